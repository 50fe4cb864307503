#!/usr/bin/env python3
"""Archives to tokens beside datatrove, in one run: WARC → main text → GPT-2 tokens, one process each in turn.

    benches/datatrove_warc.py BIN FOLDER [--runs 3]

BIN is a release build of `webtext`, FOLDER has HTML files, of which one archive of responses is made; run it with a
Python that has `datatrove[io,processing]`, `trafilatura` and `lxml_html_clean`.
Ours also filters, removes near-duplicates and writes its tables, on one thread; datatrove's chain is WarcReader,
Trafilatura and DocumentTokenizer with the same tokenizer, one task. Prints CPU seconds, wall time, peak memory and the
ratio of medians.
"""

import argparse, gzip, json, os, pathlib, shutil, subprocess, sys, tempfile, time

RECIPE = """
[pages]
from = "warc"
paths = PATHS
only_links = false
[[filter]]
rule = "length"
min_words = 1
max_words = 1_000_000
[dedup]
exact = true
near = { shingle_words = 5, bands = 14, rows = 8, min_jaccard = 0.7 }
[shards]
seed = 1
validation_fraction = 0.01
count = 1
tokens = ["nanogpt"]
[tokenizer]
use = "gpt2"
"""

PEER = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.tokens import DocumentTokenizer
if __name__ == "__main__":
    folder, out, tokenizer = sys.argv[1:]
    extract = Trafilatura(favour_precision=True, timeout=10)
    tokenize = DocumentTokenizer(
        out + "/tokens", tokenizer_name_or_path=tokenizer, eos_token="<|endoftext|>", shuffle_documents=False
    )
    steps = [WarcReader(folder, glob_pattern="*.warc.gz"), extract, tokenize]
    LocalPipelineExecutor(pipeline=steps, tasks=1, workers=1, logging_dir=out + "/logs").run()
"""


def make_archive(pages, archive):
    with open(archive, "wb") as file:
        for number, page in enumerate(pages):
            body = page.read_bytes()
            http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012}>\r\n"
                f"WARC-Target-URI: http://a.example/{number}\r\nWARC-Date: 2017-01-01T00:00:00Z\r\n"
                f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
            )
            file.write(gzip.compress(head.encode() + http + b"\r\n\r\n"))


def run(command):
    """Wall seconds, CPU seconds of the process and its children, peak bytes."""
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("pages", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp())
    folder = scratch / "archives"
    folder.mkdir()
    make_archive(sorted(arguments.pages.glob("*.html")), folder / "pages.warc.gz")
    recipe = scratch / "recipe.toml"
    recipe.write_text(RECIPE.replace("PATHS", json.dumps([f"{folder}/*.warc.gz"])))
    ours = [arguments.binary, "build", recipe, "--out", scratch / "ours", "--threads", "1", "-q"]
    run(ours)
    tokenizer = scratch / "tokenizer.json"
    shutil.copy(scratch / "ours/tokenizer/tokenizer.json", tokenizer)
    # A file of its own: its workers import it again.
    peer = scratch / "peer.py"
    peer.write_text(PEER)
    results = {"webtext": [], "datatrove": []}
    for _ in range(arguments.runs):
        shutil.rmtree(scratch / "ours", ignore_errors=True)
        results["webtext"].append(run(ours))
        shutil.rmtree(scratch / "peer", ignore_errors=True)
        results["datatrove"].append(run([sys.executable, peer, folder, scratch / "peer", tokenizer]))
    summary = json.loads((scratch / "ours/manifest.json").read_text())
    stages = {stage["stage"]: stage for stage in summary["stages"]}
    print(f"{stages['documents.extract']['counts']['read']} pages; medians of {arguments.runs} runs in turn")
    if not list((scratch / "peer/tokens").rglob("*.ds")):
        sys.exit("datatrove has written no tokens")
    medians = {}
    for name, rows in results.items():
        medians[name] = [sorted(column)[len(column) // 2] for column in zip(*rows)]
        wall, cpu, peak = medians[name]
        print(f"  {name:10} {wall:7.1f} s wall  {cpu:7.1f} s CPU  {peak / 1e6:6.0f} MB")
    print(f"  ours is {medians['datatrove'][1] / medians['webtext'][1]:.1f} times as fast by CPU time, "
          f"{medians['datatrove'][0] / medians['webtext'][0]:.1f} by the clock")
    shutil.rmtree(scratch)


main()
