"""Repeated substrings of at least 100 bytes, beside Lee et al.'s tool, in interleaved runs. Called by substrings.sh.

A run goes from a file of documents to the ranges that repeat. With one thread the tool makes one suffix array; with two it
makes one of each half at the same time and merges them, as its scripts do for large files. The ranges inside documents must
be the same, or the run fails.
"""

import argparse
import json
import shutil
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from peers import interleave, machine, print_table, run

CORPUS_BYTES = 100_000_000
DOCUMENT_BYTES = 5000
MIN_BYTES = 100
MAX_MEMORY_BYTES = [1 << 30, 1 << 26]
# What the tool wants between documents: two bytes that no text has, and a number.
SEPARATOR_BYTES = 6
# By how many bytes its parts overlap.
OVERLAP_BYTES = 100_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scratch", type=Path)
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(machine(["numpy"]))
    # In a process of its own: a child's peak memory starts from that of the process it was forked from.
    subprocess.run([sys.executable, __file__, "make", options.scratch, *options.texts], check=True)
    for threads in [1, 2]:
        measure(options, threads)


def make(scratch, texts):
    """The corpus in two forms: each document behind its length, and each behind the tool's separator."""
    made = documents = 0
    with open(scratch / "documents", "wb") as ours, open(scratch / "data", "wb") as theirs:
        for text in (json.loads(line)["text"].encode() for path in texts for line in open(path, encoding="utf-8")):
            # No text may look like a separator.
            text = text.replace(b"\0", b"")[: CORPUS_BYTES - made]
            for at in range(0, len(text), DOCUMENT_BYTES):
                document = text[at : at + DOCUMENT_BYTES]
                ours.write(struct.pack("<I", len(document)) + document)
                theirs.write(b"\xff\xff" + struct.pack("<I", documents) + document)
                made += len(document)
                documents += 1
    print(f"{documents} documents, {made} bytes")


def measure(options, threads):
    scratch = options.scratch

    def ours(max_memory_bytes):
        settings = ["bytes", MIN_BYTES, "all", max_memory_bytes, threads]
        return run([scratch / "substrings", scratch / "documents", scratch, *settings])

    contestants = {
        f"{max_memory_bytes >> 20} MiB": lambda max_memory_bytes=max_memory_bytes: ours(max_memory_bytes)
        for max_memory_bytes in MAX_MEMORY_BYTES
    }
    contestants["dedup_dataset"] = lambda: reference(scratch, threads)
    results = interleave(contestants, options.runs)
    expected = subprocess.run([sys.executable, __file__, "spans", scratch], capture_output=True, check=True).stdout
    for name in list(contestants)[:-1]:
        if results[name][0]["output"] != expected:
            sys.exit(f"error: the ranges with {name} are not those of dedup_dataset")
    print(f"\n{len(expected.splitlines())} ranges, the same of all")
    for unit, key in [("CPU", "cpu_s"), ("wall", "wall_s")]:
        title = f"{MIN_BYTES} bytes or more, {threads} thread{'s' * (threads > 1)}"
        print_table(title, f"MB/{unit} s", results, lambda result: CORPUS_BYTES / 1e6 / result[key])


def reference(scratch, threads):
    """The tool's own steps, as one result."""
    tool, data, cache = scratch / "dedup_dataset", scratch / "data", scratch / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    for old in scratch.glob("data.*"):
        old.unlink()
    start = time.perf_counter()
    if threads == 1:
        steps = [run([tool, "make", "--data-file", data])]
    else:
        steps = make_in_parts(tool, data, threads)
    length = ["--length-threshold", MIN_BYTES, "--cache-dir", cache]
    steps.append(run([tool, "self-similar", "--data-file", data, *length, "--num-threads", threads]))
    steps.append(run([tool, "collect", "--data-file", data, *length]))
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": sum(step["cpu_s"] for step in steps),
        "peak_mib": max(step["peak_mib"] for step in steps),
    }


def make_in_parts(tool, data, threads):
    size = data.stat().st_size
    part = size // threads
    ends = [min((number + 1) * part + OVERLAP_BYTES, size) for number in range(threads - 1)] + [size]
    borders = [(number * part, end) for number, end in enumerate(ends)]

    def make_part(border):
        return run([tool, "make-part", "--data-file", data, "--start-byte", border[0], "--end-byte", border[1]])

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(make_part, borders))
    # They ran at the same time.
    parts[0]["peak_mib"] = sum(part["peak_mib"] for part in parts)
    merged = data.with_name("data.merged")
    paths = [argument for start, end in borders for argument in ["--suffix-path", f"{data}.part.{start}-{end}"]]
    merge = run([tool, "merge", "--output-file", merged, *paths, "--num-threads", threads])
    join = run(["sh", "-c", f"cat '{merged}'.table.bin.* > '{data}.table.bin'"])
    return [*parts, merge, join]


def print_spans(scratch):
    """The tool's windows that lie inside a document, as ranges: its own ranges take in bytes of separators."""
    import numpy

    raw = (scratch / "documents").read_bytes()
    lengths, at = [], 0
    while at < len(raw):
        lengths.append(struct.unpack_from("<I", raw, at)[0])
        at += 4 + lengths[-1]
    lengths = numpy.array(lengths)
    starts = numpy.cumsum(lengths + SEPARATOR_BYTES) - lengths
    files = [numpy.fromfile(path, dtype="<u4") for path in (scratch / "cache").glob("dups_data_*")]
    windows = numpy.unique(numpy.concatenate(files)).astype(numpy.int64)
    documents = numpy.searchsorted(starts, windows, side="right") - 1
    places = windows - starts[documents]
    inside = (documents >= 0) & (places + MIN_BYTES <= lengths[documents])
    documents, places = documents[inside], places[inside]
    first = numpy.ones(len(places), bool)
    first[1:] = (documents[1:] != documents[:-1]) | (places[1:] > places[:-1] + MIN_BYTES)
    begins = numpy.flatnonzero(first)
    ends = places[numpy.append(begins[1:], len(places)) - 1] + MIN_BYTES
    for span in zip(documents[begins], places[begins], ends):
        print(*span)


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1:2] == ["spans"]:
        print_spans(Path(sys.argv[2]))
    else:
        main()
