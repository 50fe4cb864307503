"""Runs DCLM's published code over texts: `dclm.py lines|gopher FOLDER < TEXTS.jsonl > dclm_lines.jsonl`.

The folder is `baselines/mappers` of github.com/mlfoundations/dclm, which is in no registry. Only the functions that are
needed are taken, so that what it imports need not be there; what they count in are fastText's words, those of uniseg
0.10.1 (Unicode 16), and NLTK's n-grams. For each text a line.

`lines`: of the line modifiers the 64-bit FNV-1a hash of what is left of the text (none for one that is dropped on the
way), and the share of words that are gone.

`gopher`: of the page filters whether they keep the text, and each value that they compare with a limit; none where they
have no value to compare. A limit that notes what it is compared with tells the values as the filters have them.
"""

import ast
import json
import re
import sys
from collections import Counter
from typing import Callable, Dict, List, Optional, Tuple, Union

import fasttext
from nltk import ngrams
from uniseg.wordbreak import words

scope = {
    "re": re,
    "CONTENT": "text",
    "factory_function": lambda f: f,
    "Callable": Callable,
    "Counter": Counter,
    "Dict": Dict,
    "List": List,
    "Optional": Optional,
    "Tuple": Tuple,
    "Union": Union,
    "fasttext": fasttext,
    "ngrams": ngrams,
    "words": words,
}


def take(path, names):
    for node in ast.parse(open(f"{sys.argv[2]}/{path}").read()).body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            exec(compile(ast.Module([node], []), path, "exec"), scope)


take("core_utils.py", ["split_words", "split_paragraphs"])
take(
    "modifiers.py",
    [
        "uppercase_ratio_line_modifier",
        "numeric_ratio_line_modifier",
        "counter_line_modifier",
        "line_length_modifier",
        "substring_line_modifier",
    ],
)
take(
    "filters/content_filters.py",
    [
        "page_length_filter",
        "word_length_filter",
        "symbol_ratio_filter",
        "bullet_count_filter",
        "ellipsis_count_filter",
        "alphabetic_word_ratio_filter",
        "stop_word_filter",
        "repetition_filter",
        "massive_web_repetition_filters",
    ],
)


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def lines(text):
    phrase = scope["substring_line_modifier"]
    steps = [
        lambda page: scope["uppercase_ratio_line_modifier"](page, max_ratio=0.5),
        lambda page: scope["numeric_ratio_line_modifier"](page, max_ratio=0.999999),
        scope["counter_line_modifier"](),
        lambda page: scope["line_length_modifier"](page, min_length=2),
        phrase(max_length=10, banlist="items in cart", remove_substring_only=True),
        phrase(max_length=10, banlist="Read more...", location="suffix", remove_substring_only=True),
        phrase(max_length=10, banlist="Sign-in", location="prefix", remove_substring_only=True),
    ]
    count = lambda text: len(scope["split_words"](text, ignore_punctuation=True))
    page, before = {"text": text}, count(text)
    kept = all(step(page) for step in steps)
    share = (before - count(page["text"])) / before if kept and before else 1.0
    return {"hash": fnv(page["text"]) if kept else None, "removed_words": share}


class Limit:
    """Notes the last value that it is compared with, and is never broken."""

    value = None
    factor = None

    def note(self, value):
        self.value = value if self.factor is None else value / self.factor if self.factor else None
        return False

    __lt__ = __gt__ = __le__ = note

    def __ge__(self, value):
        self.note(value)
        return True

    def __mul__(self, factor):
        self.factor = factor
        return self


def noted(name, key, text, **settings):
    limit = Limit()
    scope[name]({"text": text}, **{key: limit}, **settings)
    return limit.value


def alphabetic(text):
    """The filter has the share of the other words."""
    others, count = noted("alphabetic_word_ratio_filter", "max_ratio", text), len(text.split())
    return None if others is None else (count - round(others * count)) / count


PAGE_LENGTH = {"length_type": "word", "ignore_punctuation": True}


def gopher(text):
    page = {"text": text}
    quality = [
        noted("page_length_filter", "max_length", text, **PAGE_LENGTH),
        noted("word_length_filter", "max_length", text),
        noted("symbol_ratio_filter", "max_symbol_to_word_ratio", text),
        noted("bullet_count_filter", "max_bullet_start_ratio", text),
        noted("ellipsis_count_filter", "max_ellipsis_end_ratio", text),
        alphabetic(text),
        noted("stop_word_filter", "min_stop_word", text) or 0,
    ]
    keeps = [
        scope["page_length_filter"](page, min_length=50, max_length=100000, **PAGE_LENGTH),
        scope["word_length_filter"](page, min_length=3, max_length=10),
        scope["symbol_ratio_filter"](page, max_symbol_to_word_ratio=0.1),
        scope["bullet_count_filter"](page, max_bullet_start_ratio=0.9),
        scope["ellipsis_count_filter"](page, max_ellipsis_end_ratio=0.3),
        scope["alphabetic_word_ratio_filter"](page, max_ratio=0.2),
        scope["stop_word_filter"](page, count_unique=False, min_stop_word=2),
    ]
    of = lambda granularity, **more: noted("repetition_filter", "max_fraction", text, granularity=granularity, **more)
    repetition = [
        of("paragraph", count_characters=False),
        of("paragraph"),
        of("line", count_characters=False),
        of("line"),
        *(of(n) for n in range(2, 11)),
    ]
    keeps_repetition = bool(scope["massive_web_repetition_filters"](page))
    return {"keeps": [all(keeps), keeps_repetition], "quality": quality, "repetition": repetition}


of_text = {"lines": lines, "gopher": gopher}[sys.argv[1]]
for line in sys.stdin:
    print(json.dumps(of_text(json.loads(line)["text"]), separators=(",", ":")))
