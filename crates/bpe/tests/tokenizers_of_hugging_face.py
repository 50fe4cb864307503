"""Trains a tokenizer of each form with Hugging Face's trainer, and encodes texts with it.

Arguments: a folder to write to, and files to train on. Of each form NAME, the folder NAME holds `tokenizer.json`, and
`expected.json` the ids of each text of `texts.jsonl` with special tokens as text and with special tokens as ids. And a
`.tiktoken` file, with the ids that tiktoken gives by several patterns.
"""
import json, os, random, sys
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

folder, files = sys.argv[1], sys.argv[2:]
corpus = [open(path, encoding="utf-8").read() for path in files]
random.seed(1)

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CASES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT4O = "|".join([rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CASES}", rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CASES}",
                  r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK3 = [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]

def byte_level(regex=False, prefix=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)

def split(pattern, behavior="isolated", invert=False, end=True):
    one = pre_tokenizers.Split(pattern if isinstance(pattern, str) and len(pattern) < 3 else Regex(pattern), behavior, invert)
    return pre_tokenizers.Sequence([one, byte_level()]) if end else one

def steps(*all):
    return pre_tokenizers.Sequence(list(all))

def train(pre, normalizer=None, specials=("<|endoftext|>",), alphabet=True, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre
    if normalizer: tokenizer.normalizer = normalizer
    initial = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=initial, special_tokens=list(specials), show_progress=False)
    tokenizer.train_from_iterator(corpus if alphabet else [corpus[0][:2000]], trainer)
    return json.loads(tokenizer.to_str())

def added(form, *tokens):
    tokenizer = Tokenizer.from_str(json.dumps(form))
    tokenizer.add_tokens(list(tokens))
    return json.loads(tokenizer.to_str())

def every_split(form):
    """All ways to make each token of two others, as the files have them that were made of tiktoken's."""
    vocab, merges = form["model"]["vocab"], []
    for token in sorted({"".join(m if isinstance(m, list) else m.split(" ")) for m in form["model"]["merges"]}, key=vocab.get):
        merges += [[token[:i], token[i:]] for i in range(1, len(token)) if token[:i] in vocab and token[i:] in vocab]
    form["model"].update(merges=merges, ignore_merges=True)
    return form

def shuffled(form):
    random.shuffle(form["model"]["merges"])
    return form

def beyond_merges(form):
    vocab = form["model"]["vocab"]
    for word in ["Ġunreachable", "token", "zzzz", "ĠĠĠĠx"]: vocab.setdefault(word, max(vocab.values()) + 1)
    form["model"]["ignore_merges"] = True
    return form

def far_ids(form):
    ids = {token: 70_000 + 3 * id for token, id in form["model"]["vocab"].items()}
    form["model"]["vocab"] = ids
    for token in form["added_tokens"]: token["id"] = 70_000 + 3 * token["id"]
    return form

def with_template(form):
    tokenizer = Tokenizer.from_str(json.dumps(form))
    end = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", end)])
    return json.loads(tokenizer.to_str())

flags = [AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True), AddedToken("day", single_word=True),
         AddedToken("Größe", normalized=True), AddedToken("<|x|>", special=True), AddedToken("<|x|>y"),
         AddedToken("    ", normalized=False), AddedToken("ﬁ", normalized=True), AddedToken("\n\n\n", normalized=False)]
# Characters that stand for bytes, and white space that takes white space.
bytes_and_blanks = [AddedToken("é", single_word=True, normalized=False), AddedToken("ñ", special=True, normalized=False), AddedToken("à", normalized=False),
                    AddedToken("Ġ", special=True, normalized=False), AddedToken("\n", lstrip=True, rstrip=True, normalized=False), AddedToken("  ", rstrip=True, normalized=False)]

def ignoring_merges(form):
    form["model"]["ignore_merges"] = True
    return form

first = ("<s>", "<pad>", "</s>", "<unk>", "<|endoftext|>")

FORMS = {
    "gpt2": lambda: train(byte_level(True)),
    "specials-first": lambda: train(byte_level(True), specials=first),
    "prefix-space": lambda: train(byte_level(True, True)),
    "llama3": lambda: every_split(train(split(LLAMA3))),
    "qwen2": lambda: added(train(split(QWEN2), normalizers.NFC()), AddedToken("<tool>", normalized=False), AddedToken("    ", normalized=False)),
    "qwen35": lambda: train(split(QWEN35), normalizers.NFC()),
    "gpt4o": lambda: train(split(GPT4O, "removed", True)),
    "deepseek3": lambda: train(steps(*[split(p, end=False) for p in DEEPSEEK3], byte_level())),
    "starcoder": lambda: train(steps(pre_tokenizers.Digits(individual_digits=True), byte_level(True))),
    "digits-together": lambda: train(steps(pre_tokenizers.Digits(individual_digits=False), byte_level(True, True))),
    "falcon": lambda: train(steps(pre_tokenizers.Punctuation("contiguous"), byte_level(True), pre_tokenizers.Digits(False), split("[0-9][0-9][0-9]", end=False))),
    "punctuation": lambda: train(steps(pre_tokenizers.Punctuation("merged_with_next"), byte_level(True))),
    "added-flags": lambda: added(train(byte_level(True)), *flags),
    "added-bytes-and-blanks": lambda: added(train(byte_level(True)), *bytes_and_blanks),
    "special-is-whole": lambda: ignoring_merges(train(byte_level(True), specials=("<|endoftext|>", "day", "Größe"))),
    "special-is-outside": lambda: ignoring_merges(added(train(byte_level(True)), AddedToken("day", special=True), AddedToken("1day", special=True))),
    "added-flags-nfkc": lambda: added(train(split(LLAMA3), normalizers.NFKC()), *flags),
    "replace-prepend": lambda: added(train(byte_level(True), normalizers.Sequence([normalizers.Replace(Regex("[0-9]+"), "#"), normalizers.Replace("é", "e"), normalizers.Prepend(">")])), *flags),
    "lowercase-nfd": lambda: added(train(byte_level(True), normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.Strip()])), *flags),
    "few-bytes": lambda: train(byte_level(True), alphabet=False),
    "unknown-token": lambda: train(byte_level(True), specials=first, alphabet=False, unk_token="<unk>"),
    "unknown-fused": lambda: train(byte_level(True), specials=first, alphabet=False, unk_token="<unk>", fuse_unk=True),
    "shuffled-merges": lambda: shuffled(train(split(LLAMA3))),
    "beyond-merges": lambda: beyond_merges(train(split(QWEN2))),
    "far-ids": lambda: far_ids(train(split(LLAMA3), specials=first)),
    "template": lambda: with_template(train(byte_level(True))),
    "removed": lambda: train(split(" ", "removed")),
    "merged-with-previous": lambda: train(split(r"\s+", "merged_with_previous")),
    "merged-with-next": lambda: train(split(" ", "merged_with_next")),
    "contiguous": lambda: train(split("[aeiou]", "contiguous", True)),
    "whitespace": lambda: train(steps(pre_tokenizers.Whitespace(), byte_level())),
    "whitespace-split": lambda: train(steps(pre_tokenizers.WhitespaceSplit(), byte_level(False, True))),
    "lines": lambda: train(split(r"^.*$")),
    "possessive": lambda: train(split(r"\p{Lu}?+\p{Ll}++|\d{2}|\s(?=\S)|(?<!a)b")),
}

def texts():
    yield from corpus
    yield from ["", " ", "It's  12 o'clock!\n\n  IT'LL  ", "<|endoftext|>a <|x|>y<|x|> <left> <right>  day days day, 1day Größe ﬁ ﬁn",
                "你好世界 これは テスト 한국어 ABC日本123", "e\u0301 \u00e9 Å \u212b ① \u32ff\u0338 \u1e9b\u0323", "a\u200b\0\0b\u0085 \u2028 \ufeff"]
    tokens = ["<|endoftext|>", "<s>", "<unk>", "<tool>"] + [token.content for token in flags]
    few = "abcABCXYZ'stmdeéÉžßſK  \n\r\t.,;:/-_!?#0123456789àñ中国日本語カな한ก\u0e31ขनम्\u0301\u0308\u00a0\u3000²Ⅷǅʰªµ\0😀🏽\u200d\u2028ﬁ①\u1e9b"
    for number in range(500):
        text = "".join(random.choice(few) for _ in range(random.randint(0, 60)))
        for _ in range(number % 3):
            at = random.randint(0, len(text))
            text = text[:at] + random.choice(["", " ", "  "]) + random.choice(tokens) + random.choice(["", " ", "\n"]) + text[at:]
        yield text
    for _ in range(200):
        yield "".join(chr(c) for c in random.choices([*range(0xd800), *range(0xe000, 0x20000)], k=40))

texts = list(texts())
with open(f"{folder}/texts.jsonl", "w", encoding="utf-8") as lines:
    lines.writelines(json.dumps({"text": text}) + "\n" for text in texts)
for name, make in FORMS.items():
    os.makedirs(f"{folder}/{name}", exist_ok=True)
    with open(f"{folder}/{name}/tokenizer.json", "w", encoding="utf-8") as file:
        json.dump(make(), file, ensure_ascii=False)

def expect(path):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    ids = []
    for as_text in [True, False]:
        tokenizer.encode_special_tokens = as_text
        ids.append([encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)])
    return ids

real = os.environ.get("WEBTEXT_TOKENIZERS")
paths = [f"{folder}/{name}/tokenizer.json" for name in FORMS]
if real:
    paths += sorted(os.path.join(at, name) for at, _, names in os.walk(real) for name in names if name.endswith("tokenizer.json"))
with open(f"{folder}/expected.jsonl", "w", encoding="utf-8") as lines:
    for path in paths:
        as_text, as_ids = expect(path)
        lines.write(json.dumps({"tokenizer": path, "as_text": as_text, "as_ids": as_ids}) + "\n")

# Patterns that tiktoken's engine reads otherwise than Hugging Face's, or that leave a part of a text out.
import base64, tiktoken
def bytes_of(token):
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in visible]
    byte_of = {chr(byte): byte for byte in visible} | {chr(256 + at): byte for at, byte in enumerate(others)}
    return bytes(byte_of[char] for char in token)
form = train(split(GPT2), specials=())
ranks = {bytes_of(token): id for token, id in form["model"]["vocab"].items()}
with open(f"{folder}/own.tiktoken", "wb") as file:
    file.writelines(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())
specials = {"<|endoftext|>": len(ranks) + 3, "<|other|>": len(ranks) + 4}
with open(f"{folder}/expected.jsonl", "a", encoding="utf-8") as lines:
    for pattern in [r"\b\w+\b|\W+", r"\s+$|\S+|\s+", r"[\w']+|[^\w']+", r"\p{L}+", "[a-z]+|[A-Z]+", "(?s:.)", r"(?i)the|\p{L}+|[^\p{L}]",
                    r"\d{1,3}(?=(?:\d{3})*\b)|\D+|\d", "gpt2", "cl100k"]:
        named = {"gpt2": GPT2, "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"}
        encoding = tiktoken.Encoding("own", pat_str=named.get(pattern, pattern), mergeable_ranks=ranks, special_tokens=specials)
        as_text = [encoding.encode_ordinary(text) for text in texts]
        as_ids = [encoding.encode(text, allowed_special="all") for text in texts]
        given = ["--pattern", pattern] + [f"--special-token={token}={id}" for token, id in specials.items()]
        lines.write(json.dumps({"tokenizer": f"{folder}/own.tiktoken", "flags": given, "as_text": as_text, "as_ids": as_ids}) + "\n")

# tiktoken's own files, if they are there: by name, since the file does not say its pattern.
if real:
    import tiktoken.load, tiktoken_ext.openai_public as public
    # The npm package tiktoken has the ranks as lines of `! FIRST_RANK TOKEN TOKEN …`.
    for name in os.listdir(real):
        if not name.endswith("_base.json"): continue
        with open(os.path.join(folder, name.replace(".json", ".tiktoken")), "w") as file:
            for line in json.load(open(os.path.join(real, name)))["bpe_ranks"].splitlines():
                _, first, *tokens = line.split(" ")
                file.writelines(f"{token} {rank}\n" for rank, token in enumerate(tokens, int(first)))
    found = {}
    for at, _, names in [*os.walk(real), *os.walk(folder)]:
        for name in names:
            path = os.path.join(at, name)
            if os.path.getsize(path) < 10_000_000: found.setdefault(__import__("hashlib").sha256(open(path, "rb").read()).hexdigest(), path)
    def load(url, expected_hash=None): return tiktoken.load.load_tiktoken_bpe(found[expected_hash])
    public.load_tiktoken_bpe = load
    with open(f"{folder}/expected.jsonl", "a", encoding="utf-8") as lines:
        for make, sha256 in [(public.p50k_base, "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"),
                             (public.cl100k_base, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
                             (public.o200k_base, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d")]:
            if sha256 not in found: continue
            encoding = tiktoken.Encoding(**make())
            as_text = [encoding.encode_ordinary(text) for text in texts]
            as_ids = [encoding.encode(text, allowed_special="all") for text in texts]
            lines.write(json.dumps({"tokenizer": found[sha256], "as_text": as_text, "as_ids": as_ids}) + "\n")
            print(make.__name__, file=sys.stderr)
print(len(paths))
