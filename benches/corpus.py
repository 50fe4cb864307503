#!/usr/bin/env python3
"""How good a training corpus each extractor makes of the same pages: benches/corpus.py TEXTS DATA [options]

From the texts that several tools made of the same pages, models are trained that differ in nothing else, and each is
evaluated on text that people wrote or marked. TEXTS holds SET/TOOL/ID.txt as `benches/extract.sh --out TEXTS` writes it,
DATA the sets and evaluations (benches/README.md).

- Pages: those of the sets that have gold and a file of each tool. A tenth, by a hash of the page's name, is not trained
  on: its gold is evaluated. The extractor of this project must not have seen a set's pages: the default is dragnet; other
  sets need texts made with held-out probabilities (crates/extract/train).
- Texts: a document per page, in an order by hash, encoded by one tokenizer that is trained on all tools' texts together.
  Each tool's tokens are cut to the number that the least productive tool has, so that all see as many.
- Models: one shape, one pass over the tokens, one schedule; a seed decides weights and batches. Trainings take turns.
- Figures: bits per byte of the held-out gold, of WikiText-103's test part, and of LAMBADA's passages; the mean over the
  seeds with the 95% interval of Student's t, and the difference from the first tool, paired by seed.

Left out: how fast a tool is, and the quality of pages: all tools get the same ones.
"""

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path

TOOLS = ["webtext", "trafilatura", "resiliparse"]
# Two-sided 95% quantiles of Student's t by degrees of freedom.
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def main():
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    pages = common_pages(options)
    held_out = {page for page in pages if part_of(page) < options.held_out}
    training = sorted((page for page in pages if page not in held_out), key=lambda page: digest("order", page))
    print(f"{len(training)} pages to train on, {len(held_out)} whose gold is evaluated")
    evaluations = write_evaluations(options, sorted(held_out))
    texts = {tool: write_texts(options, tool, training) for tool in options.tools}
    tokenizer = train_tokenizer(options, texts.values())
    tokens = encode(options, tokenizer, texts)
    results = {tool: [] for tool in options.tools}
    for seed in range(1, options.seeds + 1):
        for tool in options.tools:  # In turn: what happens to the machine meanwhile meets all of them.
            model = train(options, tool, seed, tokenizer, tokens)
            results[tool].append({name: bits_per_byte(options, model, path) for name, path in evaluations.items()})
            print(f"seed {seed}, {tool}: {results[tool][-1]}", file=sys.stderr, flush=True)
    (options.work / "results.json").write_text(json.dumps(results, indent=1))
    print_table(results, list(evaluations), tokens)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path, metavar="TEXTS", help="SET/TOOL/ID.txt")
    parser.add_argument("data", type=Path, metavar="DATA", help="extract/SET.tar.zst and evals/")
    parser.add_argument("--sets", default="dragnet", help="sets of pages, by commas")
    parser.add_argument("--tools", default=",".join(TOOLS), help="by commas; the first is compared with the others")
    parser.add_argument("--bin", type=Path, required=True, help="folder with the binaries gpt2 and bpe")
    parser.add_argument("--work", type=Path, required=True, help="folder for everything that is made; gone on with")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out", type=float, default=0.1, help="share of the pages that are not trained on")
    parser.add_argument("--max-tokens", type=int, default=8_000_000, help="tokens of each training at most")
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--shape", default="4,6,192,256", help="layers, heads, channels, context: 2.6 million parameters")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--eval-tokens", type=int, default=200_000, help="tokens of each evaluation at most")
    options = parser.parse_args()
    options.sets, options.tools = options.sets.split(","), options.tools.split(",")
    for binary in ["gpt2", "bpe"]:
        if not (options.bin / binary).exists():
            sys.exit(f"error: {options.bin / binary} is absent\n\nhint: cargo build --release")
    return options


def digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).digest()


def part_of(page):
    """A number from 0 to 1 that depends on the page's name alone."""
    return int.from_bytes(digest("held out", page)[:8], "big") / 2**64


# -- pages and texts


def common_pages(options):
    """`SET/ID` of the pages with gold and with a file of each tool."""
    pages = []
    for name in options.sets:
        folder = unpacked(options, name)
        ids = {path.stem for path in (folder / "gold").glob("*.txt")}
        for tool in options.tools:
            there = {path.stem for path in (options.texts / name / tool).glob("*.txt")}
            if not there:
                sys.exit(f"error: no text in {options.texts / name / tool}\n\nhint: benches/extract.sh DATA {name} --out TEXTS")
            ids &= there
        pages += [f"{name}/{id}" for id in sorted(ids)]
    return pages


def unpacked(options, name):
    """The folder of a set, with `gold/`."""
    folder = options.work / "sets" / name
    if not (folder / "gold").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = options.data / f"extract/{name}.tar.zst"
        tar = subprocess.run(["zstd", "-dcq", str(archive)], stdout=subprocess.PIPE, check=True).stdout
        path = folder.parent / f"{name}.tar"
        path.write_bytes(tar)
        with tarfile.open(path) as archive:
            archive.extractall(folder.parent, filter="data")
        path.unlink()
    return folder


def read(path):
    return path.read_text(encoding="utf-8", errors="replace").strip()


def write_lines(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts if text), encoding="utf-8")
    return path


def write_texts(options, tool, pages):
    texts = (read(options.texts / page.split("/")[0] / tool / f"{page.split('/')[1]}.txt") for page in pages)
    return write_lines(options.work / f"{tool}.jsonl", texts)


def write_evaluations(options, held_out):
    """Files for `gpt2 eval --task perplexity`, by name."""
    gold = (read(unpacked(options, page.split("/")[0]) / "gold" / f"{page.split('/')[1]}.txt") for page in held_out)
    evaluations = {"gold": write_lines(options.work / "gold.jsonl", gold)}
    for name, file in [("WikiText-103", "wt103.test.decoded.txt"), ("LAMBADA", "lambada_test.jsonl")]:
        path = options.data / "evals" / file
        if path.exists():
            evaluations[name] = path
        else:
            print(f"{path} is absent and left out", file=sys.stderr)
    return evaluations


# -- tokens


def call(*command):
    process = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE)
    if process.returncode != 0:
        sys.exit(f"error: exit code {process.returncode}: {' '.join(map(str, command))}")
    return process.stdout


def train_tokenizer(options, texts):
    folder = options.work / "tokenizer"
    if not folder.exists():
        call(options.bin / "bpe", "train", "--vocab-size", options.vocab_size, "-o", folder, *texts)
    return folder


def encode(options, tokenizer, texts):
    """Tokens of each tool, as many of all: the number. They are in TOOL.bin, the last twentieth in TOOL-validation.bin."""
    ids = {}
    for tool, path in texts.items():
        whole = options.work / f"{tool}-whole.bin"
        call(options.bin / "bpe", "encode", "--tokenizer", tokenizer, path, "-o", whole)
        ids[tool] = whole.read_bytes()
        print(f"{tool}: {len(ids[tool]) // 2:,} tokens")
    tokens = min(options.max_tokens, *(len(bytes) // 2 for bytes in ids.values()))
    held_out = max(tokens // 20, int(options.shape.split(",")[3]) + 1)
    for tool, bytes in ids.items():
        (options.work / f"{tool}.bin").write_bytes(bytes[: 2 * (tokens - held_out)])
        (options.work / f"{tool}-validation.bin").write_bytes(bytes[2 * (tokens - held_out) : 2 * tokens])
    return tokens - held_out


# -- models


def train(options, tool, seed, tokenizer, tokens):
    """The folder of a model; one that is finished is not trained again."""
    layers, heads, channels, context = map(int, options.shape.split(","))
    folder = options.work / f"{tool}-{seed}"
    steps = tokens // (options.batch * context)
    settings = options.work / f"{tool}-{seed}.toml"
    settings.write_text(
        f"""[data]
train = "{options.work / tool}.bin"
validation = "{options.work / tool}-validation.bin"
tokenizer = "{tokenizer}"
output = "{folder}"

[model]
layers = {layers}
heads = {heads}
channels = {channels}
context = {context}
vocab_size = {options.vocab_size}

[train]
steps = {steps}
batch = {options.batch}
learning_rate = {options.learning_rate}
warmup_steps = {max(1, steps // 20)}
weight_decay = 0.1
max_gradient_norm = 1.0
seed = {seed}
evaluate_every = {max(1, steps // 4)}
evaluate_batches = 10
"""
    )
    call(options.bin / "gpt2", "-q", "train", settings)
    return folder


def bits_per_byte(options, model, path):
    report = call(options.bin / "gpt2", "-q", "eval", model, "--task", "perplexity", "--data", path, "--limit",
                  options.eval_tokens, "--json")
    return next(metric["value"] for metric in json.loads(report)["metrics"] if metric["name"] == "bits_per_byte")


# -- table


def interval(values):
    """Mean and half the width of its 95% interval."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.inf
    return mean, T_95.get(len(values) - 1, 1.96) * statistics.stdev(values) / math.sqrt(len(values))


def print_table(results, evaluations, tokens):
    tools, seeds = list(results), len(next(iter(results.values())))
    print(f"\nbits per byte after {tokens:,} tokens, {seeds} seeds, with 95% intervals (less is better)\n")
    print("| corpus | " + " | ".join(evaluations) + " |")
    print("|" + " --- |" * (len(evaluations) + 1))
    for tool in tools:
        cells = ["{:.4f} ± {:.4f}".format(*interval([run[name] for run in results[tool]])) for name in evaluations]
        print(f"| {tool} | " + " | ".join(cells) + " |")
    first = tools[0]
    for tool in tools[1:]:
        pairs = list(zip(results[tool], results[first]))
        cells = ["{:+.4f} ± {:.4f}".format(*interval([a[name] - b[name] for a, b in pairs])) for name in evaluations]
        print(f"| {tool} − {first} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
