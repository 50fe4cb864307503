"""Runs RedPajama-v2's published signals over texts: `redpajama.py FOLDER < TEXTS.jsonl > redpajama.jsonl`.

The folder is `app/src` of github.com/togethercomputer/RedPajama-Data, which is in no registry; it needs nltk 3.8, numpy and
msgspec. For each text a line: the signals in the order of the rule's measures, those of lines as their sum or mean.
The lists are those beside this file, in place of the published ones.
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])
from core.document import Document
from core.quality_signals import content, lines, natural_language, repetitions

HERE = os.path.dirname(os.path.abspath(__file__))


def mean(scores):
    return sum(scores) / len(scores) if scores else None


AGGREGATE = {name: mean for name in dir(lines) if name.startswith("RPS_Lines")}
AGGREGATE["RPS_Lines_Javascript_Counts"] = sum


def load_bad_words(bad_words_dir, lang):
    return {line.strip() for line in open(os.path.join(HERE, "bad_words.txt"), encoding="utf-8")}


content.load_bad_words = load_bad_words
content.get_stop_words = lambda _: {line.strip() for line in open(os.path.join(HERE, "stop_words.txt"), encoding="utf-8")}


def open_all(module, names, **settings):
    return [getattr(module, "RPS_" + name)(**settings) for name in names.split()]


SIGNALS = [
    *open_all(
        natural_language,
        "Doc_Num_Sentences Doc_Word_Count Doc_Mean_Word_Length Doc_Symbol_To_Word_Ratio"
        " Doc_Frac_Lines_End_With_Ellipsis Doc_Frac_No_Alph_Words Doc_Frac_Unique_Words Doc_Unigram_Entropy"
        " Doc_Frac_All_Caps_Words",
    ),
    lambda document: [(0, 0, len(document.raw_lines))],
    *open_all(
        lines,
        "Lines_Javascript_Counts Lines_Ending_With_Terminal_Punctution_Mark Lines_Num_Words"
        " Lines_Uppercase_Letter_Fraction Lines_Numerical_Chars_Fraction Lines_Start_With_Bulletpoint",
    ),
    *open_all(
        repetitions,
        "Doc_Frac_Chars_Top_2gram Doc_Frac_Chars_Top_3gram Doc_Frac_Chars_Top_4gram Doc_Frac_Chars_Dupe_5Grams"
        " Doc_Frac_Chars_Dupe_6Grams Doc_Frac_Chars_Dupe_7Grams Doc_Frac_Chars_Dupe_8Grams Doc_Frac_Chars_Dupe_9Grams"
        " Doc_Frac_Chars_Dupe_10Grams",
    ),
    *open_all(
        content,
        "Doc_Lorem_Ipsum Doc_Curly_Bracket Doc_LDNOOBW_Words Doc_Stop_Word_Fraction",
        language="en",
        bad_words_dir="",
        bad_urls_dir="",
    ),
]


def value(signal, document):
    aggregate = AGGREGATE.get(type(signal).__name__, lambda scores: scores[0])
    scores = [score for _, _, score in signal(document)]
    return None if None in scores else aggregate(scores)


for line in sys.stdin:
    document = Document(json.loads(line)["text"], domain=None)
    print(json.dumps([value(signal, document) for signal in SIGNALS], separators=(",", ":")))
