# Format and lints, warnings denied.
check:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings

# All tests, examples in the documentation included.
test:
    CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true cargo test --release --workspace

# The Python wheel, built and tested in an environment of its own.
wheel:
    crates/python/check.sh

# Speed beside peers: just bench DATA [encode] [shards] [train] [links] [documents]; without DATA, how.
bench *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ -z "{{ arguments }}" ]; then
        echo "just bench DATA [encode] [shards] [train] [links] [documents]     (what DATA holds: benches/README.md)"
    else
        benches/run.sh {{ arguments }}
    fi

# The fetcher on a scripted web of 10,000 hosts, with faults and kills; --throughput and --replay measure it.
soak *arguments:
    cargo build --release -p webtext
    cargo run --release -p webtext-tests --bin soak -- {{ arguments }}

# Each fuzz target for a minute; needs a nightly toolchain and cargo-fuzz.
fuzz seconds="60":
    #!/usr/bin/env bash
    set -euo pipefail
    for target in fuzz/fuzz_targets/*.rs; do
        name=$(basename "$target" .rs)
        cargo +nightly fuzz run --no-default-features --features "$name" "$name" -- -max_total_time={{ seconds }} -timeout=20
    done

# The whole path on the pages in fixtures/.
demo:
    cargo run --release --bin webtext -- build pipelines/quickstart.toml

# As .ci/run, it takes root on Debian or Ubuntu; and a nightly toolchain with cargo-fuzz. Peers are those of .ci/run.
# What takes longer than CI has: parity at size, every fuzz target, the soak. Before a release or the merge of a large change.
full:
    WEBTEXT_TESTS_WHOLE=1 WEBTEXT_TEST_KILLS=400 PROPTEST_CASES=256 .ci/run
    WEBTEXT_PEERS="${WEBTEXT_PEERS:-$(realpath "${WEBTEXT_PEERS_ENV:-target/peers}")/bin/python}" just parity
    just fuzz 120
    just soak
    just soak --throughput

# Words, sentences, rules and sentence dedup against spaCy and datatrove, on many texts; with TEXTS, a JSON Lines file, on those, too.
parity TEXTS="":
    #!/usr/bin/env bash
    set -euo pipefail
    : "${WEBTEXT_PEERS:?names a Python that has spaCy and datatrove; .ci/run makes one in target/peers}"
    WEBTEXT_PARITY_MB=100 WEBTEXT_PARITY_TEXTS=1000000 cargo test --release -p webtext-words --test spacy
    WEBTEXT_PARITY_MB=1000 cargo test --release -p webtext-tests peers::ids_of_real_texts
    if [ -n "{{ TEXTS }}" ]; then
        WEBTEXT_PARITY_TEXTS="$(realpath "{{ TEXTS }}")" cargo test --release -p webtext-filter --test parity
        WEBTEXT_PARITY_TEXTS="$(realpath "{{ TEXTS }}")" cargo test --release -p webtext-dedup --test sentence_dedup
    else
        cargo test --release -p webtext-filter --test parity
        cargo test --release -p webtext-dedup --test sentence_dedup
    fi

# Licences, sources and doubled versions of dependencies.
deny:
    command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
    cargo deny check bans licenses sources

# Makes the files in fixtures/ again.
fixtures:
    python3 fixtures/make.py
