#!/bin/bash
# Main text beside peers, how good and how fast: benches/extract.sh DATA [SET ...] [options of extract.py]
#
# DATA holds extract/SET.tar.zst (benches/README.md).
# WEBTEXT_BENCH_PEERS    folder in which the peers are kept; gone afterwards when not given
# WEBTEXT_BENCH_PYTHON   Python that runs the peers; python3 when not given. magic-html wants 3.12
# WEBTEXT_BENCH_BIN      folder with `webtext`; built here when absent
set -euo pipefail
export LC_ALL=C.UTF-8

[ $# -ge 1 ] || { echo "usage: benches/extract.sh DATA [SET ...] [--only TOOL,...] [--runs N] [--types] [--out DIR] [--json FILE]" >&2; exit 2; }
data=$(realpath "$1")
shift
repository=$(realpath "$(dirname "$0")/..")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

peers=$(realpath -m "${WEBTEXT_BENCH_PEERS:-$scratch/peers}")
mkdir -p "$peers/crate/src"
if [ ! -x "$peers/environment/bin/python" ]; then
    "${WEBTEXT_BENCH_PYTHON:-python3}" -m venv "$peers/environment"
    # pip 23.2 stumbles over what readability-lxml asks of lxml.
    "$peers/environment/bin/pip" install --quiet --upgrade pip
    "$peers/environment/bin/pip" install --quiet trafilatura readability-lxml resiliparse
    "$peers/environment/bin/pip" install --quiet magic-html || echo "magic-html is left out: it cannot be installed here" >&2
fi

if [ ! -x "$peers/peers" ]; then
    cp "$repository/benches/extract.rs" "$peers/crate/src/main.rs"
    cat > "$peers/crate/Cargo.toml" <<'TOML'
[package]
name = "peers"
version = "0.0.0"
edition = "2024"

[dependencies]
chardetng = "1"
dom_smoothie = "0.19"
encoding_rs = "0.8"
libc = "0.2"
mimalloc = { version = "0.1", default-features = false }
rs-trafilatura = "0.2"
trafilatura = "0.6"

[profile.release]
lto = "thin"
codegen-units = 4

[workspace]
TOML
    if cargo build --release --manifest-path "$peers/crate/Cargo.toml"; then
        cp "${CARGO_TARGET_DIR:-$peers/crate/target}/release/peers" "$peers/peers"
    else
        echo "the peers in Rust are left out: they cannot be built here" >&2
    fi
fi

binaries=${WEBTEXT_BENCH_BIN:-}
if [ -z "$binaries" ]; then
    cargo build --release --manifest-path "$repository/Cargo.toml" --bin webtext
    binaries=${CARGO_TARGET_DIR:-$repository/target}/release
fi
# A copy: a build that goes on meanwhile must not change what is measured.
cp "$binaries/webtext" "$scratch/webtext"

"$peers/environment/bin/python" "$repository/benches/extract.py" "$@" \
    --data "$data" --scratch "$scratch" --peers "$peers" --webtext "$scratch/webtext"
