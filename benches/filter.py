#!/usr/bin/env python3
"""Rules beside datatrove's: MB of text per CPU second of the chain Gopher repetition, Gopher quality, C4 quality, FineWeb quality.

    benches/filter.py --bin FOLDER_OF_WEBTEXT DATA [--mb 2] [--runs 3]

Needs datatrove 0.10 and spaCy. DATA/text/web-gold.jsonl.zst holds the texts; datatrove judges the first MB of them, since it is
slow, and both must give the same verdicts there. Ours is the CPU time of the whole process with one thread, files read and
written, over all texts; datatrove's begins after its imports and its first document.
"""

import argparse, json, pathlib, resource, statistics, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=pathlib.Path)
parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder with webtext")
parser.add_argument("--mb", type=float, default=2, help="text that datatrove judges")
parser.add_argument("--runs", type=int, default=3)
arguments = parser.parse_args()

RULES = "gopher_repetition,gopher_quality,c4_quality,fineweb_quality"


def datatrove_verdicts(texts):
    """Whether each text is kept, and the CPU seconds."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    chain = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter()]

    def is_kept(text):
        document = Document(text=text, id="0")
        for rule in chain:
            result = rule.filter(document)
            if result is not True and (not isinstance(result, tuple) or result[0] is not True):
                return False
        return True

    is_kept(texts[0])
    before = time.process_time()
    verdicts = [is_kept(text) for text in texts]
    return verdicts, time.process_time() - before


def ours(lines, folder):
    """The kept rows' numbers, and the CPU seconds of the process."""
    out = folder / "kept.jsonl"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [arguments.bin / "webtext", "filter", lines, "-o", out, "--rules", RULES, "--threads", "1", "-q"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    kept = {json.loads(line)["number"] for line in out.open()}
    return kept, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    web = subprocess.run(["zstd", "-dcq", arguments.data / "text/web-gold.jsonl.zst"], check=True, capture_output=True).stdout
    texts = [json.loads(line)["text"] for line in web.splitlines()]
    lines = folder / "texts.jsonl"
    lines.write_text("".join(json.dumps({"number": n, "text": text}) + "\n" for n, text in enumerate(texts)))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    few, size = [], 0
    for text in texts:
        if size >= arguments.mb * 1e6:
            break
        few.append(text)
        size += len(text.encode())
    rates, theirs = [], []
    for _ in range(arguments.runs):
        kept, seconds = ours(lines, folder)
        rates.append(megabytes / seconds)
        verdicts, seconds = datatrove_verdicts(few)
        theirs.append(size / 1e6 / seconds)
        differences = [n for n, is_kept in enumerate(verdicts) if is_kept != (n in kept)]
        if differences:
            sys.exit(f"the verdicts of {len(differences)} texts differ, such as number {differences[0]}")
    ratio = statistics.median(rates) / statistics.median(theirs)
    print(f"ours       {statistics.median(rates):9.2f} MB/s ({min(rates):.2f} to {max(rates):.2f}), {megabytes:.1f} MB")
    print(f"datatrove  {statistics.median(theirs):9.4f} MB/s ({min(theirs):.4f} to {max(theirs):.4f}), {size / 1e6:.1f} MB")
    print(f"ours is {ratio:.0f} times as fast; {len(few)} verdicts are equal")
