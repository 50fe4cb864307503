"""Overhead of the Python package: `encode_batch` beside tiktoken, and `extract_batch` beside the command.

    benches/python.py HTML_FOLDER [WEBTEXT]

Needs the wheel and tiktoken in this Python. WEBTEXT is the command, by default the one of the wheel. Both sides run in turn,
and a ratio is of times within a round: of the clock for encoding, on all cores, of the processor for extraction. The median is
printed, and the exit code is 1 below a goal.
"""

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import tiktoken

import webtext

ROUNDS = 7
SHORT_TEXTS = 100_000
SHORT_CHARS = 100


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def tiktoken_gpt2(gpt2):
    """tiktoken's own code with GPT-2's ranks, without the network."""
    ranks = {gpt2.decode_single_token_bytes(id): id for id in range(50256)}
    pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
    return tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})


def short_texts(pages):
    text = "\n".join(page.text for page in webtext.extract_batch(pages))
    text *= SHORT_TEXTS * SHORT_CHARS // len(text) + 1
    return [text[n * SHORT_CHARS : (n + 1) * SHORT_CHARS] for n in range(SHORT_TEXTS)]


def encode_beside_tiktoken(texts):
    gpt2 = webtext.Tokenizer.gpt2()
    peer, threads = tiktoken_gpt2(gpt2), os.cpu_count()
    assert [ids.tolist() for ids in gpt2.encode_batch(texts[:1000])] == peer.encode_ordinary_batch(texts[:1000])
    ratios = []
    for _ in range(ROUNDS):
        ours = seconds(lambda: gpt2.encode_batch(texts))
        theirs = seconds(lambda: peer.encode_ordinary_batch(texts, num_threads=threads))
        ratios.append(theirs / ours)
        print(f"  encode_batch {ours * 1000:.0f} ms, tiktoken {theirs * 1000:.0f} ms: {ratios[-1]:.1f}", file=sys.stderr)
    arrow = statistics.median(seconds(lambda: gpt2.encode_batch_arrow(texts)) for _ in range(ROUNDS))
    print(f"  encode_batch_arrow {arrow * 1000:.0f} ms", file=sys.stderr)
    return statistics.median(ratios)


def extract_beside_the_command(folder, pages, command):
    """User time on one thread; the command's own benchmark has read the files before."""
    ratios = []
    for _ in range(ROUNDS):
        before = os.times().user
        webtext.extract_batch(pages, threads=1)
        ours = os.times().user - before
        said = subprocess.run([command, "extract", "--bench", folder], stdout=subprocess.PIPE, check=True).stdout
        theirs = json.loads(said)["user_s"]
        ratios.append(theirs / ours)
        print(f"  extract_batch {ours:.2f} s, command {theirs:.2f} s: {ratios[-1]:.2f}", file=sys.stderr)
    return statistics.median(ratios)


def main():
    folder = Path(sys.argv[1])
    command = sys.argv[2] if len(sys.argv) > 2 else f"{sysconfig.get_path('scripts')}/webtext"
    pages = [path.read_bytes() for path in sorted(folder.rglob("*.html"))]
    encode = encode_beside_tiktoken(short_texts(pages))
    extract = extract_beside_the_command(folder, pages, command)
    print(f"encode_batch of {SHORT_TEXTS:,} short texts: {encode:.1f} times tiktoken's rate (goal 5)")
    print(f"extract_batch of {len(pages):,} pages: {extract:.2f} of the command's rate (goal 0.80)")
    return int(encode < 5 or extract < 0.8)


if __name__ == "__main__":
    sys.exit(main())
