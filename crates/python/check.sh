#!/usr/bin/env bash
# Builds the wheel, installs it into a clean environment and tests it there: types, stubs, tests, the README's lines and the
# examples. WEBTEXT_WHEEL_ENV is that environment, made again when its requirements change (default: target/wheel-env);
# WEBTEXT_WHEELS is where the wheel is left (default: target/wheels). `check.sh environment` makes the environment alone,
# `check.sh wheel` the wheel, too.
set -euo pipefail
cd "$(dirname "$0")"
root=$(realpath ../..)
target=${CARGO_TARGET_DIR:-$root/target}
environment=${WEBTEXT_WHEEL_ENV:-$target/wheel-env}
wheels=${WEBTEXT_WHEELS:-$target/wheels}
max_wheel_mb=45

# Installs into the environment of a Python, with a tenth of pip's processor time; by pip where uv cannot reach an index that
# pip's own settings name.
install_into() {
    "$environment/bin/uv" pip install --quiet --python "$@" || "$environment/bin/pip" --python "$1" install --quiet "${@:2}"
}

if ! cmp -s tests/requirements.txt "$environment/requirements.txt"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet uv
    install_into "$environment/bin/python" 'maturin==1.16.0' -r tests/requirements.txt
    cp tests/requirements.txt "$environment/"
fi
bin=$environment/bin
if [ "${1:-}" = environment ]; then exit; fi

echo "== wheel"
rm -rf "$wheels"
"$bin/maturin" build --quiet --release --locked --out "$wheels"
wheel=$(echo "$wheels"/webtext-*.whl)
bytes=$(stat -c %s "$wheel")
echo "$(basename "$wheel"): $((bytes / 1000000)).$((bytes / 100000 % 10)) MB of at most $max_wheel_mb MB"
((bytes <= max_wheel_mb * 1000000))
if [ "${1:-}" = wheel ]; then exit; fi

echo "== installation, with what it requires alone"
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
python3 -m venv --without-pip "$clean/env"
install_into "$clean/env/bin/python" "$wheel"
# The README's lines, in an empty folder: nothing comes from this repository.
sed -n '/^```python$/,/^```$/{/^```/d;p}' README.md >"$clean/readme.py"
(cd "$clean" && env/bin/python readme.py && for program in webtext bpe gpt2; do "env/bin/$program" --version; done)

install_into "$bin/python" --force-reinstall --no-deps "$wheel"
echo "== types"
"$bin/mypy"
(cd "$clean" && "$bin/python" -m mypy.stubtest webtext._webtext)
echo "== tests"
"$bin/pytest" --quiet -p no:cacheprovider
echo "== examples"
for example in examples/*.py; do
    (cd "$clean" && "$bin/python" "$OLDPWD/$example" >"$clean/said" 2>&1) || { cat "$clean/said"; echo "$example failed"; exit 1; }
done
