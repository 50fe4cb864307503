#!/bin/bash
# Records of WARC files beside warcio and FastWARC, in one run: benches/warc.sh DATA
#
# DATA holds warc/samples.tar.zst (benches/README.md).
# WEBTEXT_BENCH_ENV    folder of a Python environment with the peers; made here when absent
# WEBTEXT_BENCH_BIN    folder with `count`, the example of the crate `warc`; built here when absent
# WEBTEXT_BENCH_RUNS   runs of each contestant, 5
set -euo pipefail
export LC_ALL=C.UTF-8

[ $# -eq 1 ] || { echo "usage: benches/warc.sh DATA" >&2; exit 2; }
data=$(realpath "$1")
repository=$(realpath "$(dirname "$0")/..")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

environment=${WEBTEXT_BENCH_ENV:-$scratch/environment}
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet warcio fastwarc
fi

binaries=${WEBTEXT_BENCH_BIN:-}
if [ -z "$binaries" ]; then
    cargo build --release --manifest-path "$repository/Cargo.toml" -p webtext-warc --example count
    binaries=${CARGO_TARGET_DIR:-$repository/target}/release/examples
fi
# A copy: a build that goes on meanwhile must not change what is measured.
cp "$binaries/count" "$scratch/count"

mkdir "$scratch/samples"
zstd -dcq --long=27 "$data/warc/samples.tar.zst" | tar -x -C "$scratch/samples"
"$environment/bin/python" "$repository/benches/warc.py" "$scratch" --runs "${WEBTEXT_BENCH_RUNS:-5}"
