#!/usr/bin/env python3
"""What a run costs that is not work on pages: many small archives, a build with nothing to do, one task alone.

    benches/scale.py BIN [--archives 1000 20000] [--before BIN] [--keep FOLDER]

BIN is a release build of `webtext`. Archives of five pages of about 2.4 kB are made of a fixed random source. For each
number of archives it prints: wall and CPU time and peak memory of the whole build on two threads, the bytes below
`tasks/`, the time of a build with nothing to do, and the time of a process that does one task of `documents.extract`
again; beside them what is asked for, and whether it is reached. With `--before`, another binary and its recipe
(`--before-recipe`, with ARCHIVES for the pattern) take turns with BIN over 90,000 pages in 90 archives.
"""

import argparse, gzip, json, os, pathlib, random, shutil, subprocess, sys, tempfile, time

ASKED = {1000: (12e6, 2.0, 0.3, 300e6), 20000: (240e6, 20.0, 0.3, 300e6)}

RECIPE = """
[pages]
from = "warc"
paths = ["ARCHIVES"]
only_links = false
[[filter]]
rule = "length"
min_words = 50
max_words = 100_000
[[filter]]
rule = "language"
keep = "en"
min_confidence = 0.5
[dedup]
exact = true
near = { shingle_words = 5, bands = 14, rows = 8, min_jaccard = 0.7 }
[shards]
seed = 2357
validation_fraction = 0.02
count = 2
tokens = ["nanogpt", "llmc"]
[tokenizer]
use = "gpt2"
"""

WORDS = """the of and to in a is that for it as was with be by on not he his but at are this have from they which had
were or an she we one all there their has been would her who will if more no out so said what up its about into than
them can only other new some could time these two may then do first any my now such like our over man me even most made
after also did many before must through years where much your way well down should because each just those people how
too little state good very make world still own see men work long get here between both life being under never day same
another know while last might us great old year off come since against go came right used take three harbour winter
crane letter window garden road village morning river""".split()


def page(number):
    choose = random.Random(number)
    paragraphs = "".join(f"<p>{' '.join(choose.choice(WORDS) for _ in range(75))}.</p>" for _ in range(6))
    title = f"Page {number}"
    return f"<!doctype html><html><head><title>{title}</title></head><body><article><h1>{title}</h1>{paragraphs}</article></body></html>"


def make_archives(folder, archives, pages_each):
    folder.mkdir(parents=True)
    for archive in range(archives):
        with open(folder / f"{archive:06}.warc.gz", "wb") as file:
            for number in range(archive * pages_each, (archive + 1) * pages_each):
                body = page(number).encode()
                http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                head = (
                    f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012}>\r\n"
                    f"WARC-Target-URI: http://host{number % 997}.example{number % 13}.com/page/{number}\r\n"
                    f"WARC-Date: 2017-01-01T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
                    f"Content-Length: {len(http)}\r\n\r\n"
                )
                file.write(gzip.compress(head.encode() + http + b"\r\n\r\n", 1))


def run(*command):
    """Wall seconds, CPU seconds, peak bytes, standard output."""
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output


def verdict(value, asked):
    return "reached" if value <= asked else "MISSED"


def scale(binary, scratch, archives):
    folder = scratch / f"archives-{archives}"
    make_archives(folder, archives, 5)
    recipe = scratch / f"scale-{archives}.toml"
    recipe.write_text(RECIPE.replace("ARCHIVES", f"{folder}/*.warc.gz"))
    out = scratch / f"run-{archives}"
    build = [binary, "build", recipe, "--out", out, "--threads", "2", "-q"]
    wall, cpu, peak, _ = run(*build)
    metadata = sum(file.stat().st_size for file in (out / "tasks").rglob("*") if file.is_file())
    nothing, *_ = run(*build)
    stages = json.loads(run(binary, "status", out, "--json")[3])
    tasks = next(stage["tasks"] for stage in stages if stage["stage"] == "documents.extract")
    # The longest time to a first input is that of a task whose input is read at once: one that is done.
    task, *_ = run(*build, "--stage", "documents.extract", "--task", f"{tasks // 2}/{tasks}")
    asked = ASKED.get(archives, (float("inf"),) * 4)
    print(f"{archives} archives of five pages")
    print(f"  whole build       {wall:8.1f} s wall  {cpu:8.1f} s CPU")
    print(f"  peak memory       {peak / 1e6:8.0f} MB      (asked {asked[3] / 1e6:.0f}: {verdict(peak, asked[3])})")
    print(f"  below tasks/      {metadata / 1e6:8.1f} MB      (asked {asked[0] / 1e6:.0f}: {verdict(metadata, asked[0])})")
    print(f"  nothing to do     {nothing:8.2f} s       (asked {asked[1]}: {verdict(nothing, asked[1])})")
    print(f"  one task, started {task:8.2f} s       (asked {asked[2]}: {verdict(task, asked[2])})", flush=True)
    shutil.rmtree(out)
    shutil.rmtree(folder)


def beside(binary, before, before_recipe, scratch, runs):
    folder = scratch / "archives-90"
    make_archives(folder, 90, 1000)
    contestants = {}
    for name, program, text in [("now", binary, RECIPE), ("before", before, pathlib.Path(before_recipe).read_text())]:
        recipe = scratch / f"{name}.toml"
        recipe.write_text(text.replace("ARCHIVES", f"{folder}/*.warc.gz"))
        contestants[name] = (program, recipe, [])
    for _ in range(runs):
        for name, (program, recipe, results) in contestants.items():
            out = scratch / f"run-{name}"
            results.append(run(program, "build", recipe, "--out", out, "--threads", "2", "-q")[:3])
            shutil.rmtree(out)
    print(f"90,000 pages in 90 archives, medians of {runs} runs in turn")
    medians = {}
    for name, (_, _, results) in contestants.items():
        medians[name] = [sorted(column)[len(column) // 2] for column in zip(*results)]
        wall, cpu, peak = medians[name]
        print(f"  {name:8} {wall:6.1f} s wall  {cpu:6.1f} s CPU  {peak / 1e6:6.0f} MB")
    print(f"  CPU time now is {medians['now'][1] / medians['before'][1]:.2f} of before")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--archives", type=int, nargs="*", default=[1000, 20000])
    parser.add_argument("--before")
    parser.add_argument("--before-recipe")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    scratch = pathlib.Path(arguments.keep or tempfile.mkdtemp())
    try:
        for archives in arguments.archives:
            scale(arguments.binary, scratch, archives)
        if arguments.before:
            beside(arguments.binary, arguments.before, arguments.before_recipe, scratch, arguments.runs)
    finally:
        if not arguments.keep:
            shutil.rmtree(scratch)


main()
