#!/bin/bash
# Repeated substrings beside the tool of "Deduplicating Training Data Makes Language Models Better", in one run:
# benches/substrings.sh TOOL TEXTS.jsonl...
#
# TOOL is `dedup_dataset` of github.com/google-research/deduplicate-text-datasets, built with --release. The texts are the
# field "text" of JSON Lines; the first 100 MB of them count.
# WEBTEXT_BENCH_ENV    folder of a Python environment with numpy; made here when absent
# WEBTEXT_BENCH_BIN    folder with `substrings`, the example of the crate `dedup`; built here when absent
# WEBTEXT_BENCH_RUNS   runs of each contestant, 3
set -euo pipefail
export LC_ALL=C.UTF-8

[ $# -ge 2 ] || { echo "usage: benches/substrings.sh TOOL TEXTS.jsonl..." >&2; exit 2; }
tool=$(realpath "$1")
shift
repository=$(realpath "$(dirname "$0")/..")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

environment=${WEBTEXT_BENCH_ENV:-$scratch/environment}
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet numpy
fi

binaries=${WEBTEXT_BENCH_BIN:-}
if [ -z "$binaries" ]; then
    cargo build --release --manifest-path "$repository/Cargo.toml" -p webtext-dedup --example substrings
    binaries=${CARGO_TARGET_DIR:-$repository/target}/release/examples
fi
# A copy: a build that goes on meanwhile must not change what is measured.
cp "$binaries/substrings" "$tool" "$scratch/"

"$environment/bin/python" "$repository/benches/substrings.py" "$scratch" --runs "${WEBTEXT_BENCH_RUNS:-3}" "$@"
