#!/usr/bin/env python3
"""De-duplication: recall and precision against all true pairs, and speed and memory beside peers.

    benches/dedup.py --bin FOLDER_OF_WEBTEXT DATA [--html FOLDER] [--recall 0.99] [--documents 10000] [--runs 3]

DATA holds neardup/ (McCormick's articles, three versions of a manual) and text/english-novels.tar.zst; --html is a folder of
pages of one site. Truth is every pair of texts whose sets of word 5-grams have a Jaccard similarity of 0.7, found without any
hashing of ours. A true pair is missed if both of its texts stay; a dropped text must reach the limit with the one that stays
for it. Peers, where they are installed: datatrove (its four stages, 14 bands of 8 rows; it needs orjson and an xxhash below 4), rensa and text-dedup's parts (MinHash
of 128 permutations and their index, no verification). Times are CPU seconds of one thread; ours is the whole process, files
read and written.
"""

import argparse, collections, json, pathlib, random, re, resource, statistics, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=pathlib.Path)
parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder with webtext")
parser.add_argument("--html", type=pathlib.Path, help="folder of HTML pages of one site")
parser.add_argument("--recall", type=float, default=0.99)
parser.add_argument("--documents", type=int, default=10_000, help="texts of 2.5 kB that the speed is measured on")
parser.add_argument("--runs", type=int, default=3)
arguments = parser.parse_args()

LIMIT = 0.7


def untar(archive, folder):
    subprocess.run(["tar", "--zstd", "-xf", archive, "-C", folder], check=True)


def articles():
    """McCormick's articles, some of which are plagiarised."""
    lines = (arguments.data / "neardup/mccormick-minhash/data/articles_2500.train").read_text(errors="replace").splitlines()
    return [line.split(" ", 1)[1] for line in lines if " " in line]


def manual(folder):
    """The pages of three versions of a manual."""
    untar(arguments.data / "neardup/powershell-docs-versions.tar.zst", folder)
    return [path.read_text(errors="replace") for path in sorted(folder.rglob("*.md"))]


def novels(folder):
    untar(arguments.data / "text/english-novels.tar.zst", folder)
    return [path.read_text(errors="replace") for path in sorted(folder.rglob("*.txt"))]


def edited(texts, passages, words_each, seed):
    """Passages of novels, a third of them twice or three times, with words changed at rates up to one in twenty-four."""
    draw = random.Random(seed)
    words = [text.split() for text in texts]
    made = []
    for _ in range(passages):
        novel = draw.choice(words)
        start = draw.randrange(max(1, len(novel) - words_each))
        passage = novel[start : start + words_each]
        for _ in range(1 + (draw.random() < 0.34) * draw.choice([1, 2])):
            rate = draw.uniform(0, 1 / 24)
            made.append(" ".join(draw.choice(novel) if draw.random() < rate else word for word in passage))
    draw.shuffle(made)
    return made


def pages(html):
    """The texts of a folder of HTML pages."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([arguments.bin / "webtext", "extract", html, "-o", folder, "-q"], check=True, stdout=subprocess.DEVNULL)
        texts = [path.read_text() for path in sorted(pathlib.Path(folder).rglob("*.txt"))]
    return [text for text in texts if text.strip()]


UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"


def shingles(text):
    words = re.findall(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))} if words else set()


def true_pairs(texts):
    """Every pair that reaches the limit, with its similarity."""
    sets = [shingles(text) for text in texts]
    holders = collections.defaultdict(list)
    for number, members in enumerate(sets):
        for member in members:
            holders[member].append(number)
    shared = collections.Counter()
    for numbers in holders.values():
        for i, a in enumerate(numbers):
            for b in numbers[i + 1 :]:
                shared[a, b] += 1
    similarity = lambda a, b, n: n / (len(sets[a]) + len(sets[b]) - n)
    pairs = {(a, b): similarity(a, b, n) for (a, b), n in shared.items()}
    return {pair: value for pair, value in pairs.items() if value >= LIMIT}, sets


def dedup(lines, out, *flags):
    """Runs ours on one thread: CPU seconds and the largest memory in MB."""
    command = [arguments.bin / "webtext", "dedup", lines, "-o", out, "--min-jaccard", str(LIMIT), "--threads", "1", "-q", *flags]
    timed = subprocess.run(["/usr/bin/time", "-f", "%U %S %M", *command], check=True, capture_output=True, text=True)
    user, system, kilobytes = timed.stderr.split()[-3:]
    return float(user) + float(system), int(kilobytes) / 1024


def write(texts, path):
    with path.open("w") as file:
        file.writelines(json.dumps({"number": n, "text": text}) + "\n" for n, text in enumerate(texts))


def measure_recall(name, texts, folder):
    pairs, sets = true_pairs(texts)
    write(texts, folder / "in.jsonl")
    dedup(folder / "in.jsonl", folder / "out.jsonl", "--recall", str(arguments.recall), "--dropped", folder / "dropped.jsonl")
    kept = {json.loads(line)["number"] for line in (folder / "out.jsonl").open()}
    missed = sum(a in kept and b in kept for a, b in pairs)
    near = [value for value in pairs.values() if value < 0.75]
    wrong = 0
    for line in (folder / "dropped.jsonl").open():
        row = json.loads(line)
        a, b = sets[row["number"]], sets[row["representative_row"] - 1]
        stays = row["representative_row"] - 1 in kept
        wrong += not stays or (a or b) and len(a & b) / len(a | b) < LIMIT - 1e-6
    print(f"{name}: {len(texts)} texts, {len(pairs)} true pairs ({len(near)} below 0.75), {missed} missed: "
          f"recall {1 - missed / max(1, len(pairs)):.4f}; {len(texts) - len(kept)} dropped, {wrong} of them wrongly")


def seconds_of(run):
    """The median CPU seconds of several runs."""
    def once():
        before = time.process_time()
        run()
        return time.process_time() - before
    return statistics.median(once() for _ in range(arguments.runs))


def datatrove(texts, folder):
    """The CPU seconds of datatrove's MinHash, in this process."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.logging import logger

    logger.remove()
    config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8)
    (folder / "in").mkdir()
    with (folder / "in/texts.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts))
    part = lambda name: str(folder / name)
    stages = [
        [JsonlReader(part("in")), MinhashDedupSignature(part("signatures"), config=config)],
        [MinhashDedupBuckets(part("signatures"), part("buckets"), config=config)],
        [MinhashDedupCluster(part("buckets"), part("remove"), config=config)],
        [JsonlReader(part("in")), MinhashDedupFilter(part("remove")), JsonlWriter(part("out"), compression=None)],
    ]
    before = time.process_time()
    for number, stage in enumerate(stages):
        tasks = 14 if number == 1 else 1
        LocalPipelineExecutor(stage, tasks=tasks, workers=1, logging_dir=part(f"log{number}"), skip_completed=False).run()
    return time.process_time() - before


def rensa(texts):
    """rensa's MinHash and index over word 5-grams, from texts in memory."""
    from rensa import RMinHash, RMinHashLSH

    def run():
        index = RMinHashLSH(threshold=LIMIT, num_perm=128, num_bands=16)
        for number, text in enumerate(texts):
            words = text.lower().split()
            signature = RMinHash(num_perm=128, seed=42)
            signature.update([" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))])
            index.query(signature)
            index.insert(number, signature)
    return seconds_of(run)


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    part = lambda name: (folder / name).mkdir() or folder / name
    texts = novels(part("novels"))
    measure_recall("articles", articles(), part("a"))
    measure_recall("manual in three versions", manual(part("m")), part("b"))
    measure_recall("novels with edits", edited(texts, 2_000, 420, 1), part("c"))
    if arguments.html:
        measure_recall("pages of one site", pages(arguments.html), part("d"))

    made = edited(texts, int(arguments.documents / 1.5), 420, 2)[: arguments.documents]
    write(made, folder / "speed.jsonl")
    size = (folder / "speed.jsonl").stat().st_size / 1e6
    times, memory = zip(*(dedup(folder / "speed.jsonl", folder / "kept.jsonl", "--recall", str(arguments.recall)) for _ in range(arguments.runs)))
    ours = statistics.median(times)
    print(f"\n{len(made)} texts, {size:.0f} MB: ours {ours:.2f} s of CPU, {size / ours:.0f} MB/s, {max(memory):.0f} MB of memory")
    small = [text[:1000] for text in edited(texts, 67_000, 170, 3)[:100_000]]
    write(small, folder / "small.jsonl")
    cpu, memory = dedup(folder / "small.jsonl", folder / "kept.jsonl", "--recall", str(arguments.recall))
    print(f"{len(small)} texts of 1 kB: {cpu:.2f} s of CPU, {memory:.0f} MB of memory")
    for name, peer in [("rensa", lambda: rensa(made)), ("datatrove", lambda: datatrove(made, part("datatrove")))]:
        try:
            theirs = peer()
            print(f"{name}: {theirs:.2f} s of CPU; ours is {theirs / ours:.2f} times as fast")
        except ImportError as error:
            print(f"{name}: {error}")
