"""Reads the rules of spaCy's English tokenizer and sentencizer into tables/english/.

    python -m venv spacy && spacy/bin/pip install spacy==3.8.18
    spacy/bin/python crates/words/tables/english.py

Classes of characters are tried out, code point by code point, on the expressions that spaCy compiles; so are classes of
Unicode (white space, digits, letters, punctuation), which are those of the Python that runs this: 3.11 has Unicode 14.
What the code in src/english/ takes for granted about the shape of these expressions is asserted here.

| file | content |
| --- | --- |
| classes.tsv | first and last code point (hexadecimal) and the classes of a range, as bits in the order of CLASSES |
| special_cases.tsv | tokens of a special case, separated by spaces; after a tab, those it has without special cases, if it is also looked for among tokens |
| quantities.txt | what is split off behind a digit: units, currencies, a plus |
| patterns.txt | prefixes, suffixes, infixes and URLs as expressions, for the readable twin |
"""

import pathlib
import re
import sys
import unicodedata

import spacy
from spacy.lang import char_classes as c
from spacy.pipeline import Sentencizer
from spacy.symbols import ORTH
from spacy.tokenizer import Tokenizer

OUT = pathlib.Path(__file__).parent / "english"
tokenizer = spacy.blank("en").tokenizer
prefixes, suffixes, infixes, url = (
    getattr(tokenizer, name).__self__.pattern
    for name in ("prefix_search", "suffix_search", "infix_finditer", "url_match")
)


def expect(pattern, pieces, form):
    """Asserts that an expression is made of these alternatives."""
    assert pattern == "|".join(form.format(piece) for piece in pieces if piece.strip()), pattern


def check_shapes():
    """What src/english/affixes.rs and src/english/url.rs are written for."""
    behind_period = f"(?<=[0-9{c.ALPHA_LOWER}%²\\-\\+{c.PUNCT}(?:{c.CONCAT_QUOTES})])\\."
    conditional = [
        r"(?<=[0-9])\+",
        r"(?<=°[FfCcKk])\.",
        f"(?<=[0-9])(?:{c.CURRENCY})",
        f"(?<=[0-9])(?:{c.UNITS})",
        behind_period,
        f"(?<=[{c.ALPHA_UPPER}][{c.ALPHA_UPPER}])\\.",
    ]
    plain = c.LIST_PUNCT + c.LIST_ELLIPSES + c.LIST_QUOTES
    possessives = ["'s", "'S", "’s", "’S"]
    expect(prefixes, ["§", "%", "=", "—", "–", r"\+(?![0-9])"] + plain + c.LIST_CURRENCY + c.LIST_ICONS, "^{}")
    expect(suffixes, plain + c.LIST_ICONS + possessives + ["—", "–"] + conditional, "{}$")
    lower_or_quote, upper_or_quote = c.ALPHA_LOWER + c.CONCAT_QUOTES, c.ALPHA_UPPER + c.CONCAT_QUOTES
    between = [
        r"(?<=[0-9])[+\-\*^](?=[0-9-])",
        f"(?<=[{lower_or_quote}])\\.(?=[{upper_or_quote}])",
        f"(?<=[{c.ALPHA}]),(?=[{c.ALPHA}])",
        f"(?<=[{c.ALPHA}0-9])(?:{c.HYPHENS})(?=[{c.ALPHA}])",
        f"(?<=[{c.ALPHA}0-9])[:<>=/](?=[{c.ALPHA}])",
    ]
    expect(infixes, c.LIST_ELLIPSES + c.LIST_ICONS + between, "{}")
    assert c.LIST_ELLIPSES == [r"\.\.+", "…"] and c.HYPHENS == "-|–|—|--|---|——|~"
    # Of several characters: these. The shorter alternative comes first among prefixes.
    assert [p for p in plain if len(p.replace("\\", "")) > 1] == ["……", r"\.\.+"]
    assert [p for p in c.LIST_CURRENCY if len(p) > 1] == [r"\$", r"US\$", r"C\$", r"A\$"]
    assert tokenizer.token_match is None and tokenizer.faster_heuristics
    return behind_period


# A class is a bit; each has the test that says which characters it holds.
behind_period = re.compile(check_shapes())
CLASSES = {
    "SPACE": str.isspace,
    "PREFIX": lambda a: a != "+" and re.match(prefixes, a),
    "SUFFIX": re.compile(suffixes).match,
    "INFIX": re.compile(infixes).match,
    "ALPHA": re.compile(f"[{c.ALPHA}]").match,
    "LOWER": re.compile(f"[{c.ALPHA_LOWER}]").match,
    "UPPER": re.compile(f"[{c.ALPHA_UPPER}]").match,
    "QUOTE": re.compile(f"[{c.CONCAT_QUOTES}]").match,
    "BEFORE_PERIOD": lambda a: behind_period.search(a + "."),
    "SCHEME": re.compile(r"[\w\+\-\.]").match,
    "HOST": re.compile("[A-Za-z0-9\u00a1-\uffff]").match,
    "DIGIT": re.compile(r"\d").match,
    "PUNCTUATION": lambda a: unicodedata.category(a).startswith("P"),
    "SENTENCE_END": set(Sentencizer.default_punct_chars).__contains__,
}
CODE_POINTS = [n for n in range(0x110000) if not 0xD800 <= n < 0xE000]


def write(name, lines):
    (OUT / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def ranges(key):
    """Ranges of code points with the same key, as [first, last, key]."""
    found = []
    for n in CODE_POINTS:
        value = key(chr(n))
        if found and found[-1][1] == n - 1 and found[-1][2] == value:
            found[-1][1] = n
        else:
            found.append([n, n, value])
    return found


def classes_of(char):
    return sum(1 << bit for bit, test in enumerate(CLASSES.values()) if test(char))


def special_cases():
    """Special cases but for white space and single signs, which are one token in any case."""
    plain = Tokenizer(tokenizer.vocab, {}, *(re.compile(p).search for p in (prefixes, suffixes)), re.compile(infixes).finditer, url_match=tokenizer.url_match)
    for text, tokens in sorted(tokenizer.rules.items()):
        tokens = [token[ORTH] for token in tokens]
        pieces = [token.text for token in plain(text)]
        assert "".join(tokens) == text and len(tokens) <= 3
        if text.isspace():
            assert tokens == [text]
            continue
        assert "\t" not in text and " " not in text
        line = " ".join(tokens)
        if tokenizer.find_prefix(text) or tokenizer.find_infix(text) or tokenizer.find_suffix(text):
            assert len(pieces) > 1 or tokens == pieces
            line += "\t" + " ".join(pieces) if len(pieces) > 1 else ""
        yield line


def spelled_out(pattern):
    """The expression with \\w and \\d as ranges of this Python's Unicode."""
    for short in (r"\w", r"\d"):
        inside = "".join(
            f"\\U{first:08x}-\\U{last:08x}" for first, last, found in ranges(lambda a: bool(re.match(short, a))) if found
        )
        pattern = pattern.replace("[" + short, "[" + inside).replace(short, f"[{inside}]")
    return pattern


assert len(sys.argv) == 1, __doc__
OUT.mkdir(exist_ok=True)
write("classes.tsv", (f"{first:x}\t{last:x}\t{bits:x}" for first, last, bits in ranges(classes_of) if bits))
write("special_cases.tsv", special_cases())
quantities = {piece.replace("\\", "") for piece in c.LIST_CURRENCY + c.UNITS.split("|")} | {"+"}
assert not any(digit in quantity for quantity in quantities for digit in "0123456789")
write("quantities.txt", sorted(quantities))
write("patterns.txt", [prefixes, suffixes, infixes, spelled_out(url)])
