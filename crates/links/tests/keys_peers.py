"""Lays the table of pairs (keys.tsv) before PyPI's surt and w3lib, and prints where they see it otherwise.

    python -m venv peers && peers/bin/pip install surt w3lib
    peers/bin/python crates/links/tests/keys_peers.py

docs/links.md explains the differences, section by section.
"""

import json
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")  # surt's invalid escapes

import surt  # noqa: E402
from w3lib.url import canonicalize_url  # noqa: E402

PEERS = {"surt": surt.surt, "w3lib": canonicalize_url}


def address(cell: str) -> str:
    return json.loads(f'"{cell}"')


def verdict(key, one: str, other: str) -> str:
    """What a program says of a pair; its exception if it raises one."""
    try:
        return "same" if key(one) == key(other) else "apart"
    except Exception as error:
        return type(error).__name__


def main() -> None:
    table = Path(__file__).with_name("keys.tsv").read_text(encoding="utf-8")
    counts = {name: {"same": 0, "apart": 0} for name in PEERS}
    differing = dict.fromkeys(PEERS, 0)
    pairs = 0
    for line in table.splitlines():
        if line.startswith("["):
            print(f"\n{line}")
        if "\t" not in line:
            continue
        expected, one, other, reason = line.split("\t")
        pairs += 1
        said = {name: verdict(key, address(one), address(other)) for name, key in PEERS.items()}
        others = {name: found for name, found in said.items() if found != expected}
        for name in others:
            differing[name] += 1
            counts[name][expected] += 1
        if others:
            print(f"{expected:<6}{', '.join(f'{name}: {found}' for name, found in others.items())}")
            print(f"      {one}  {other}  ({reason})")
    print(f"\n{pairs} pairs")
    for name in PEERS:
        missed, merged = counts[name]["same"], counts[name]["apart"]
        print(f"{name} {version(name)}: {differing[name]} otherwise; {missed} kept apart that are same here, {merged} merged that are apart here")


main()
