"""Runs DCLM's line modifiers over texts: `dclm.py MODIFIERS.py < TEXTS.jsonl > dclm.jsonl`.

The file is `baselines/mappers/modifiers.py` of github.com/mlfoundations/dclm, which is in no
registry. Only the functions that are needed are taken, so that what it imports need not be there. For each text
a line: the 64-bit FNV-1a hash of what is left of it (none for a text that is dropped on the way), and the share of words
that are gone.
"""

import ast
import json
import re
import sys
from typing import Dict, List, Optional, Union

NAMES = [
    "uppercase_ratio_line_modifier",
    "numeric_ratio_line_modifier",
    "counter_line_modifier",
    "line_length_modifier",
    "substring_line_modifier",
]
scope = {"re": re, "CONTENT": "text", "factory_function": lambda f: f, "List": List, "Dict": Dict, "Union": Union, "Optional": Optional}
for node in ast.parse(open(sys.argv[1]).read()).body:
    if isinstance(node, ast.FunctionDef) and node.name in NAMES:
        exec(compile(ast.Module([node], []), sys.argv[1], "exec"), scope)


def words(text):
    """What fastText's tokenizer gives, without what begins as punctuation does."""
    return [w for w in re.split("[ \n\r\t\v\f\0]+", text) if w and w[0].isalnum()]


phrase = scope["substring_line_modifier"]
STEPS = [
    lambda page: scope["uppercase_ratio_line_modifier"](page, max_ratio=0.5),
    lambda page: scope["numeric_ratio_line_modifier"](page, max_ratio=0.999999),
    scope["counter_line_modifier"](),
    lambda page: scope["line_length_modifier"](page, min_length=2),
    phrase(max_length=10, banlist="items in cart", remove_substring_only=True),
    phrase(max_length=10, banlist="Read more...", location="suffix", remove_substring_only=True),
    phrase(max_length=10, banlist="Sign-in", location="prefix", remove_substring_only=True),
]


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


for line in sys.stdin:
    text = json.loads(line)["text"]
    page, before = {"text": text}, len(words(text))
    kept = all(step(page) for step in STEPS)
    share = (before - len(words(page["text"]))) / before if kept and before else 1.0
    print(json.dumps({"hash": fnv(page["text"]) if kept else None, "removed_words": share}))
