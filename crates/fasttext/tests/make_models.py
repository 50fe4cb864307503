"""Trains the small models beside this file with fastText itself, and writes what it predicts with them.

    python3 -m venv v && v/bin/pip install fasttext-wheel==0.9.2 'numpy<2' && v/bin/python make_models.py

The texts are the project's own (fixtures/texts). A model of one thread depends on no clock; `golden.tsv` holds, for each
model and line of `questions.txt`, `k`, `min_probability` and the labels with the bits of their probabilities, as fastText
returned them. A `k` of -1 asks for all labels.
"""

import pathlib
import struct
import tempfile

import fasttext

fasttext.FastText.eprint = lambda *_: None
HERE = pathlib.Path(__file__).parent
TEXTS = HERE.parents[2] / "fixtures" / "texts"
LANGUAGES = {
    "c01": "german", "c02": "french", "c03": "spanish", "c04": "portuguese", "c05": "italian", "c06": "russian",
    "c07": "japanese", "c08": "chinese", "c09": "greek", "c10": "danish",
}
# Settings of training, and of quantising if it is quantised.
MODELS = {
    "softmax-words.bin": (dict(dim=5, minCount=6), None),
    "softmax-pruned.ftz": (
        dict(dim=16, bucket=3000, minn=2, maxn=4), dict(cutoff=1500, qnorm=True, retrain=True)),
    "tree-subwords.bin": (dict(dim=8, bucket=300, minn=1, maxn=3, minCount=40, loss="hs"), None),
    "tree-quantised.ftz": (
        dict(dim=7, bucket=500, minn=3, maxn=3, minCount=20, loss="hs"), dict(dsub=3)),
    "one-vs-all-ngrams.bin": (dict(dim=4, bucket=400, wordNgrams=3, minCount=30, loss="ova"), None),
    "negative-sampling.ftz": (
        dict(dim=10, bucket=2000, wordNgrams=2, loss="ns"), dict(cutoff=900, dsub=4)),
    "many-labels-quantised-output.ftz": (
        dict(dim=6, bucket=300, minn=2, maxn=2, minCount=20, loss="softmax"), dict(qout=True, qnorm=True)),
}


def training_lines():
    """Every paragraph with its language, and for the model of many labels one of 320 topics."""
    for path in sorted(TEXTS.glob("[a-c]*.txt")):
        language = LANGUAGES.get(path.name[:3], "english")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            if line:
                yield language, f"topic{(number * 7 + sum(path.name.encode())) % 320}", line


def questions():
    """Texts of all languages, and what tries the splitting of words."""
    yield from ["", " ", "The ferry leaves at noon.", "</s>", "ferry </s> die das und nicht", "__label__german ferry",
                "__label__ ferry", "a\tb\rc\vd\fe\0f", "\u00a0\u2003 non-breaking\u00a0space", "é", "<>", "x" * 300]
    lines = [line for language, _, line in training_lines() if language != "english"]
    for number, line in enumerate(lines + [line for _, _, line in training_lines()][:400:10]):
        yield line[:60] if number % 8 else line


def main():
    rows = []
    texts = list(questions())
    with tempfile.TemporaryDirectory() as folder:
        for name, (settings, quantise) in MODELS.items():
            training = pathlib.Path(folder) / "training.txt"
            with training.open("w", encoding="utf-8") as file:
                for language, topic, line in training_lines():
                    label = topic if name.startswith("many") else language
                    file.write(f"__label__{label} {line}\n")
            model = fasttext.train_supervised(
                str(training), thread=1, epoch=20, lr=0.5, verbose=0, **{"minCount": 2, **settings})
            if quantise is not None:
                model.quantize(str(training), thread=1, verbose=0, **quantise)
            model.save_model(str(HERE / "models" / name))
            for number, text in enumerate(texts):
                k, min_probability = [(1, 0.0), (4, 0.0), (-1, 0.2)][number % 3]
                answers = model.f.predict(text + "\n", k, min_probability, "strict")
                fields = [f"{label}:{struct.unpack('<I', struct.pack('<f', p))[0]:08x}" for p, label in answers]
                rows.append("\t".join([name, str(number), str(k), str(min_probability), " ".join(fields)]))
    (HERE / "models" / "questions.txt").write_text("\n".join(texts), encoding="utf-8", newline="")
    (HERE / "models" / "golden.tsv").write_text("\n".join(rows) + "\n", encoding="ascii")


main()
