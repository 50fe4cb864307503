#!/bin/bash
# Speed beside peers, in one run: benches/run.sh DATA [encode] [shards] [train] [links] [documents]
#
# DATA holds text/web-gold.jsonl.zst, links/*.zst and extract/{wcxb-dev,dragnet}.tar.zst (benches/README.md).
# WEBTEXT_BENCH_ENV   folder of a Python environment with the peers; made here when absent
# WEBTEXT_BENCH_BIN   folder with `webtext` and `bpe`; built here when absent
set -euo pipefail
export LC_ALL=C.UTF-8

[ $# -ge 1 ] || { echo "usage: benches/run.sh DATA [encode] [shards] [train] [links] [documents]" >&2; exit 2; }
data=$(realpath "$1")
shift
[ $# -ge 1 ] || set -- encode shards train links documents
repository=$(realpath "$(dirname "$0")/..")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

environment=${WEBTEXT_BENCH_ENV:-$scratch/environment}
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet gigatoken gigabpe rustbpe awkward numpy "datatrove[io,processing]" tiktoken tokenizers resiliparse
fi

binaries=${WEBTEXT_BENCH_BIN:-}
if [ -z "$binaries" ]; then
    cargo build --release --manifest-path "$repository/Cargo.toml" --bin webtext --bin bpe
    binaries=${CARGO_TARGET_DIR:-$repository/target}/release
fi
# A copy: a build that goes on meanwhile must not change what is measured.
mkdir "$scratch/bin"
cp "$binaries/webtext" "$binaries/bpe" "$scratch/bin/"

for what in "$@"; do
    case $what in
    encode | shards | train) ;;
    links)
        # The samples of whole records are small; twenty copies run for long enough to be timed.
        for _ in $(seq 20); do zstd -dcq --long=31 "$data"/links/RS_*.zst; done | zstd -q -3 -o "$scratch/records.zst"
        ;;
    documents)
        for set in wcxb-dev dragnet; do
            mkdir "$scratch/$set"
            zstd -dcq --long=27 "$data/extract/$set.tar.zst" | tar -x -C "$scratch/$set"
        done
        ;;
    *) echo "unknown measurement: $what (encode, shards, train, links, documents)" >&2; exit 2 ;;
    esac
done

"$environment/bin/python" "$repository/benches/peers.py" "$@" \
    --repository "$repository" --data "$data" --scratch "$scratch" --bin "$scratch/bin" --runs "${WEBTEXT_BENCH_RUNS:-5}"
