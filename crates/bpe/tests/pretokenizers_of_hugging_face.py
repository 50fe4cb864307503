"""Splits texts by pre-tokenizers of Hugging Face's, and prints a JSON line for each: the pre-tokenizer, the text (none for
all code points in order, 97 for those of the first two planes and every 97th of the others), and where the pieces begin and end, in characters.

Arguments: the step through the classes, then names of properties that regular expressions may have. Classes of characters are tried on all
code points, properties on most, other regular expressions on random texts. Patterns that Oniguruma refuses are left out."""
import json, random, sys
from tokenizers import Regex, pre_tokenizers

random.seed(7)
codes = [*range(0xd800), *range(0xe000, 0x110000)]
long = {None: "".join(map(chr, codes)), 97: "".join(chr(c) for c in codes if c < 0x20000 or c % 97 == 0)}

def tell(form, text):
    made = pre_tokenizers.Split(Regex(form["pattern"]["Regex"]), form["behavior"].lower(), form["invert"]) if form["type"] == "Split" else \
        getattr(pre_tokenizers, form["type"])(**{key: value.lower() if isinstance(value, str) else value for key, value in form.items() if key != "type"})
    pieces = [list(offsets) for _, offsets in made.pre_tokenize_str(long.get(text, text))]
    print(json.dumps({"form": form, "text": text, "pieces": pieces}))

def split(regex, behavior="Isolated"):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": False}

for form in [{"type": "Punctuation", "behavior": "Removed"}, {"type": "Digits", "individual_digits": True}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"}]:
    tell(form, None)
classes = [rf"\{c}" for c in "wWdDsShH"] + [rf"[{not_}\{c}]" for c in "wWdDsShH" for not_ in ["", "^"]]
classes += [rf"\p{{{name}}}" for name in sys.argv[2:] + ["word"]] + [r"[\p{word}]", r"\P{word}", r"[\P{word}]", r"\P{^lu}", r"[\P{lu}x]"]
classes += [r"[\p{L}\p{N}&&[^\p{Han}]]", r"[^\p{L}&&[^\p{Han}]]", r"[\w&&[^\d]_]", r"[a-z\u00e9-\u00ff&&\p{L}]", "[^\\W\\d_]", r"[^(\s|[.,!?…。，、।۔،])]", r".", r"\x{4e2d}", r"[\x00-\x1f\x7f]"]
classes += ["(?i)" + c for c in ["s", "k", "x", "[a-z]", "[^a-z]", "[J-L]", "[st]", r"\p{Lu}", r"\p{L}", r"[\s\d]", r"[\w]", "'", "[^k]"]]
for regex in classes[::int(sys.argv[1])]:
    tell(split(regex, "Removed"), None if regex in [r"\w", r"\W", r"[\w]", r"\d", r"\s"] else 97)

regexes = [r"\b", r"\B", r"\b\w+\b", r"\w+|[^\w\s]+", r"^", r"$", r"^.*$", r"\n^", r"\n$", r"^\s", r"\S$", r"\s+(?!\S)|\s+", r"(?<!\p{L})\p{L}+", r"(?<=\d)(?=(?:\d{3})+(?!\d))",
           r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+", r"(?i)ab|k[a-s]t?", r"(?i:a(?-i:b))", r"(?:(?i)a|b)c", r"a{,2}b", r"\d{1,3}?", r"\p{N}{2,}", r"x*", r"\s*", r"a?", r"a|", r"|a", r"(?:)", r"a{", r"}", r"]",
           r"(?>a+)b|\p{L}", r"a++b?", r"[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}", r"\p{Lu}?+\p{Ll}++|\d{2}|\s(?=\S)", r"(?#note)é+", r"[\-\]a]+", r"[+\-*/]", r"[a-]+|[-z]", r"\A.|.\z", r"[\s\S]", r"\é|\_|\/| ", r"(a|b)+?c|\h{2}"]
few = list("abckstABKSTxzé'ſKßﬁ \n\r\t.,-_]}/0123456789中ñ²½\u200d\u200c\u0301\u00a0\u3000")
for regex in regexes:
    for _ in range(150):
        tell(split(regex), "".join(random.choices(few, k=random.randint(1, 24))))
    tell(split(regex, "Removed"), "ab\n\nkst x1234567 aab\n")
