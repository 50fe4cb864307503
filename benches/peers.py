"""Speed of `bpe` and `webtext` beside peers, in interleaved runs. Called by run.sh.

Each run is a process of its own; CPU seconds and peak memory are what the system says about it when
it ends. This driver imports no peer: a child's peak starts from that of the process it was forked from.

Left out: plots, statistics beyond median and range, and any number without a peer's beside it.
"""

import argparse
import filecmp
import html
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse
from importlib import metadata
from pathlib import Path

# GPT-2's pattern with possessive quantifiers, as tiktoken ships it.
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
END_OF_TEXT = "<|endoftext|>"

# Sections that a recipe must have, and that no stage measured here depends on.
REST_OF_RECIPE = """
[dedup]
exact = true
near = { shingle_words = 5, bands = 14, rows = 8, min_jaccard = 0.7 }

[shards]
seed = 2357
validation_fraction = 0.1
count = 1
tokens = ["nanogpt"]

[tokenizer]
use = "gpt2"
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measurements", nargs="+", choices=list(MEASUREMENTS))
    for name in ["repository", "data", "scratch", "bin"]:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    for name in options.measurements:
        MEASUREMENTS[name](options)


# -- (a) text to ids


def measure_encode(options):
    """MB/s of text, one thread. `bpe bench` builds its tables inside the time; the peers' are built before it."""
    texts = options.data / "text/web-gold.jsonl.zst"
    vocab = options.repository / "crates/bpe/assets/gpt2/vocab.bpe"
    plain = options.scratch / "texts.jsonl"
    with open(plain, "wb") as file:
        subprocess.run(["zstd", "-dcq", "--long=31", texts], stdout=file, check=True)
    contestants = {
        "bpe": lambda: summary_of(run([options.bin / "bpe", "bench", plain, "--threads", "1", "--json", "--quiet"])),
        "gigatoken": lambda: summary_of(run_peer("gigatoken", tokenizer_json(options), plain)),
        "tiktoken": lambda: summary_of(run_peer("tiktoken", vocab, plain)),
        "tokenizers": lambda: summary_of(run_peer("tokenizers", vocab, plain)),
    }
    results = interleave(contestants, options.runs)
    tokens = {name: runs[0]["tokens"] for name, runs in results.items()}
    if len(set(tokens.values())) != 1:
        sys.exit(f"error: the numbers of tokens differ: {tokens}")
    first = results["bpe"][0]
    title = f"encode: {first['bytes']} bytes of text, {first['tokens']} tokens in each, one thread"
    print_table(title, "MB/s", results, lambda result: result["mb_per_s"])


def tokenizer_json(options):
    """GPT-2's vocabulary as a tokenizer.json, which `bpe train` of nothing does not make: by the tokenizers library."""
    path = options.scratch / "tokenizer.json"
    if not path.exists():
        run([sys.executable, __file__, "peer", "write_tokenizer_json", options.repository / "crates/bpe/assets/gpt2/vocab.bpe", path])
    return path


def peer_write_tokenizer_json(vocab, path):
    gpt2_by_tokenizers(vocab).save(path)
    return {}


def peer_gigatoken(tokenizer, texts):
    os.environ["RAYON_NUM_THREADS"] = "1"
    import awkward
    import gigatoken

    documents = texts_of(texts)
    tokenizer = gigatoken.Tokenizer(tokenizer)
    size = sum(len(document.encode()) for document in documents)
    start = time.perf_counter()
    ids = tokenizer.encode_batch(documents, parallel=False)
    # Counting the ids of its result is slow, and not what is measured.
    mb_per_s = size / 1e6 / (time.perf_counter() - start)
    return {"mb_per_s": mb_per_s, "bytes": size, "tokens": int(awkward.sum(awkward.num(ids)))}


def peer_tiktoken(vocab, texts):
    import tiktoken

    ranks = {token: rank for rank, token in enumerate(gpt2_tokens(vocab))}
    encoding = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: len(ranks)})
    documents = texts_of(texts)
    return timed_encode(documents, lambda: sum(len(encoding.encode_ordinary(document)) for document in documents))


def peer_tokenizers(vocab, texts):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = gpt2_by_tokenizers(vocab)
    documents = texts_of(texts)
    # In slices, because an Encoding holds some hundred bytes per token.
    slices = [documents[at : at + 100] for at in range(0, len(documents), 100)]
    return timed_encode(
        documents, lambda: sum(len(encoding) for part in slices for encoding in tokenizer.encode_batch_fast(part))
    )


def gpt2_by_tokenizers(vocab):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    visible = visible_bytes()
    tokens = ["".join(visible[byte] for byte in token) for token in gpt2_tokens(vocab)]
    merges = [tuple(line.split(" ")) for line in merge_lines(vocab)]
    tokenizer = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
    return tokenizer


def timed_encode(documents, count_tokens):
    """The same metrics as `bpe bench --json`."""
    size = sum(len(document.encode()) for document in documents)
    start = time.perf_counter()
    tokens = count_tokens()
    return {"mb_per_s": size / 1e6 / (time.perf_counter() - start), "bytes": size, "tokens": tokens}


def texts_of(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def merge_lines(vocab):
    return Path(vocab).read_text(encoding="utf-8").split("\n")[1:-1]


def gpt2_tokens(vocab):
    """The bytes of every token by rank: 256 bytes, visible ones first, then a token a merge."""
    byte_of = {character: byte for byte, character in visible_bytes().items()}
    tokens = [bytes([byte]) for byte in visible_bytes()]
    for line in merge_lines(vocab):
        tokens.append(bytes(byte_of[character] for character in line.replace(" ", "")))
    return tokens


def visible_bytes():
    """Byte to the character that stands for it in vocab.bpe, in the order of the ids."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


# -- (b) JSON Lines to shards


def measure_shards(options):
    """MB/s of text from JSON Lines to nanoGPT's form, wall time of whole processes, all cores."""
    lines = options.scratch / "lines.jsonl"
    with open(lines, "wb") as file:
        for _ in range(2):
            subprocess.run(["zstd", "-dcq", "--long=31", options.data / "text/web-gold.jsonl.zst"], stdout=file, check=True)
    size = summary_of(run_peer("text_bytes", lines))["bytes"]
    ours, theirs = options.scratch / "ours.bin", options.scratch / "gigatoken.bin"
    contestants = {
        "bpe": lambda: run([options.bin / "bpe", "encode", lines, "-o", ours, "--quiet"]),
        "gigatoken": lambda: run_peer("gigatoken_shards", tokenizer_json(options), lines, theirs),
        "datatrove": lambda: run_peer("datatrove", tokenizer_json(options), lines, options.scratch / "datatrove"),
    }
    results = interleave(contestants, options.runs)
    if not filecmp.cmp(ours, theirs, shallow=False):
        sys.exit("error: the shards of bpe and gigatoken differ")
    print_table(f"shards: {size} bytes of text in JSON Lines to u16, all cores", "MB/s", results, lambda result: size / 1e6 / result["wall_s"])


def peer_text_bytes(lines):
    return {"bytes": sum(len(document.encode()) for document in texts_of(lines))}


def peer_gigatoken_shards(tokenizer, lines, shard):
    import awkward
    import gigatoken
    import numpy

    ids = gigatoken.Tokenizer(tokenizer).encode_files(gigatoken.JsonlFileSource([lines]))
    ends = awkward.Array(numpy.full((len(ids), 1), 50256, dtype=numpy.uint32))
    flat = awkward.to_numpy(awkward.flatten(awkward.concatenate([ids, ends], axis=1)))
    flat.astype(numpy.uint16).tofile(shard)
    return {}


def peer_datatrove(tokenizer, lines, folder):
    sys.stderr = open(os.devnull, "w")  # It logs at length.
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    shutil.rmtree(folder, ignore_errors=True)
    pipeline = [
        JsonlReader(str(Path(lines).parent), glob_pattern=Path(lines).name),
        DocumentTokenizer(f"{folder}/out", tokenizer_name_or_path=tokenizer, eos_token=END_OF_TEXT, shuffle_documents=False),
    ]
    LocalPipelineExecutor(pipeline, tasks=1, workers=1, logging_dir=f"{folder}/logs").run()
    return {}


# -- (c) texts to merges


def measure_train(options):
    """Wall seconds to a vocabulary of 50,257, all cores; ours are of the whole process."""
    web, mix = options.scratch / "web.txt", options.scratch / "novels-and-web.txt"
    run_peer("write_texts", options.data, options.scratch, web, mix)
    for text in [web, mix]:
        folder = options.scratch / "trained"
        contestants = {
            "bpe": lambda: run([options.bin / "bpe", "train", text, "--vocab-size", "50257", "-o", folder, "--quiet"]),
            "gigabpe": lambda: timed_by_itself(run_peer("gigabpe", text, options.scratch / "gigabpe.json")),
            "rustbpe": lambda: timed_by_itself(run_peer("rustbpe", text)),
        }
        results = interleave(contestants, options.runs)
        title = f"train: {text.stat().st_size} bytes of {text.stem}, vocabulary of 50257, all cores"
        print_table(title, "trainings/min", results, lambda result: 60 / result["wall_s"])


def peer_write_texts(data, scratch, web, mix):
    """In a process of its own: what this driver has held would be a peak of all that it starts."""
    lines = subprocess.run(["zstd", "-dcq", "--long=31", f"{data}/text/web-gold.jsonl.zst"], stdout=subprocess.PIPE, check=True)
    texts = [json.loads(line)["text"] for line in lines.stdout.decode().strip().split("\n")]
    Path(web).write_text("\n\n".join(texts), encoding="utf-8")
    novels = Path(scratch) / "novels"
    novels.mkdir()
    subprocess.run(f"zstd -dcq '{data}/text/english-novels.tar.zst' | tar -x -C '{novels}'", shell=True, check=True)
    parts = [path.read_bytes() for path in sorted(novels.rglob("*.txt"))] + [Path(web).read_bytes()]
    Path(mix).write_bytes(b"\n\n".join(parts))
    return {}


def timed_by_itself(result):
    return result | {"wall_s": json.loads(result["output"])["wall_s"]}


def peer_gigabpe(text, output):
    import gigabpe

    start = time.perf_counter()
    gigabpe.train_tokenizer([text], 50257, output, special_tokens=[END_OF_TEXT], min_frequency=2)
    return {"wall_s": time.perf_counter() - start}


def peer_rustbpe(text):
    import rustbpe

    start = time.perf_counter()
    content = Path(text).read_text(encoding="utf-8")
    pieces = (content[at : at + 1_000_000] for at in range(0, len(content), 1_000_000))
    rustbpe.Tokenizer().train_from_iterator(pieces, 50256, pattern=PATTERN)
    return {"wall_s": time.perf_counter() - start}


# -- (d) dumps to submissions


def measure_links(options):
    """Records a CPU second of the stage `links.read`: decompress, parse, canonicalise, judge, write buckets."""
    lists = {"link list": options.data / "links/karma3-links.jsonl.zst", "whole records": options.scratch / "records.zst"}
    for name, dump in lists.items():
        pages = options.repository / "fixtures/pages.warc.gz"
        recipe = options.scratch / "links.toml"
        recipe.write_text(
            f"""[links]
dumps = [{json.dumps(str(dump))}]
min_karma = 3
karma_of = "any submission"
over_18 = "drop"
drop_domains = ["wikipedia.org", "reddit.com", "redd.it"]
drop_extensions = ["jpg", "png", "gif", "pdf"]

[pages]
from = "warc"
paths = [{json.dumps(str(pages))}]
{REST_OF_RECIPE}"""
        )
        contestants = {
            "webtext": lambda: build_stage(options, recipe, "links.read", afresh=True),
            "Python": lambda: summary_of(run_peer("links", dump)),
        }
        results = interleave(contestants, options.runs)
        for result in results["webtext"]:
            result["records"] = result["counts"]["read"]
        records = {name: runs[0]["records"] for name, runs in results.items()}
        if len(set(records.values())) != 1:
            sys.exit(f"error: the numbers of records differ: {records}")
        title = f"links: {name}, {records['webtext']} records, one thread"
        print_table(title, "records/CPU s", results, lambda result: result["records"] / result["cpu_s"])


def peer_links(dump):
    """What a script would do at the least: JSON, HTML escapes, the URL's parts. The `zstd` command's time is not counted."""
    cpu = time.process_time()
    records = 0
    with subprocess.Popen(["zstd", "-dcq", "--long=31", dump], stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            records += 1
            try:
                urllib.parse.urlsplit(html.unescape(json.loads(line).get("url") or ""))
            except ValueError:
                pass  # Neither JSON nor a URL; the other side counts it as a drop.
    return {"records": records, "cpu_s": time.process_time() - cpu}


# -- (e) pages to documents


def measure_documents(options):
    """MB of HTML a CPU second. Ours is the whole stage: archive, text, Parquet."""
    for name in ["wcxb-dev", "dragnet"]:
        found = list((options.scratch / name).rglob("html"))
        if len(found) != 1:
            sys.exit(f"error: {name} has {len(found)} folders of the name html")
        pages = found[0]
        recipe = options.scratch / f"{name}.toml"
        recipe.write_text(f'[pages]\nfrom = "html"\npaths = [{json.dumps(str(pages))}]\nonly_links = false\n{REST_OF_RECIPE}')
        for stage in ["pages.pack", "pages.index", "pages.match", "pages.select"]:
            build_stage(options, recipe, stage, afresh=stage == "pages.pack")
        contestants = {
            "webtext": lambda: build_stage(options, recipe, "documents.extract"),
            "resiliparse": lambda: summary_of(run_peer("resiliparse", pages)),
        }
        results = interleave(contestants, options.runs)
        first = results["webtext"][0]
        html_bytes = first["metrics"]["html_bytes"]
        title = f"documents: {name}, {first['counts']['read']} pages, {html_bytes:.0f} bytes of HTML, one thread"
        print_table(title, "MB/CPU s", results, lambda result: html_bytes / 1e6 / result["cpu_s"])


def peer_resiliparse(pages):
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    cpu = time.process_time()
    characters = 0
    for path in sorted(Path(pages).rglob("*.html")):
        page = path.read_bytes()
        tree = HTMLTree.parse_from_bytes(page, detect_encoding(page))
        characters += len(extract_plain_text(tree, main_content=True))
    return {"characters": characters, "cpu_s": time.process_time() - cpu}


# -- runs


def build_stage(options, recipe, stage, afresh=False):
    """Does one stage of a recipe; its tasks' counts and metrics, CPU seconds and peak memory."""
    folder = options.scratch / f"run-{recipe.stem}"
    if afresh:
        shutil.rmtree(folder, ignore_errors=True)
    tasks = folder / "tasks" / stage
    shutil.rmtree(tasks, ignore_errors=True)  # Without its manifest a task is done again.
    command = [options.bin / "webtext", "build", recipe, "--out", folder, "--stage", stage, "--threads", "1", "--quiet"]
    # 3: some of the samples are cut off on purpose, and are named.
    result = run(command, allowed=(0, 3))
    manifests = [json.loads(path.read_text()) for path in sorted(tasks.glob("*.json"))]
    result["counts"] = {key: sum(m["counts"][key] for m in manifests) for key in ["read", "kept"]}
    metrics = [(name, metric["sum"]) for m in manifests for name, metric in m.get("metrics", {}).items()]
    result["metrics"] = {name: sum(value for other, value in metrics if other == name) for name, _ in metrics}
    return result


def run_peer(name, *arguments):
    return run([sys.executable, __file__, "peer", name, *arguments])


def run(command, allowed=(0,)):
    """Runs a command; its output, wall and CPU seconds (user and system) and peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in allowed:
        sys.exit(f"error: exit code {process.returncode}: {' '.join(map(str, command))}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return {"output": output, "wall_s": time.perf_counter() - start, "cpu_s": cpu_s, "peak_mib": usage.ru_maxrss / 1024}


def summary_of(result):
    """A run with the JSON that it printed; a `cpu_s` of its own (without start-up) goes before the system's."""
    return result | json.loads(result["output"])


def interleave(contestants, runs):
    """Every contestant once, then again: what the machine does meanwhile meets them all."""
    results = {name: [] for name in contestants}
    for _ in range(runs):
        for name, contestant in contestants.items():
            results[name].append(contestant())
    return results


def print_table(title, unit, results, rate):
    """Medians with their range, and each peer's share of the first one's rate."""
    print(f"\n{title}\n  {'':12} {unit:>14} {'range':>23} {'peak MiB':>9} {'ours is':>8}")
    rates = {name: [rate(result) for result in runs] for name, runs in results.items()}
    ours = statistics.median(next(iter(rates.values())))
    for name, values in rates.items():
        median = statistics.median(values)
        peak = max(result["peak_mib"] for result in results[name])
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"  {name:12} {median:14.1f} {spread:>23} {peak:9.0f} {ours / median:7.2f}×", flush=True)


def machine(names=("gigatoken", "gigabpe", "tiktoken", "tokenizers", "rustbpe", "datatrove", "resiliparse")):
    models = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} absent")
    cpu = models[0] if models else platform.processor()
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; Python {platform.python_version()}, {', '.join(versions)}"


MEASUREMENTS = {
    "encode": measure_encode,
    "shards": measure_shards,
    "train": measure_train,
    "links": measure_links,
    "documents": measure_documents,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        peer = {name.removeprefix("peer_"): peer for name, peer in globals().items() if name.startswith("peer_")}
        print(json.dumps(peer[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
