"""Main text by `webtext` and by peers, side by side: how near to the gold, and how fast. Called by extract.sh.

A contestant reads all pages of a set first; only extraction, decoding included, is timed, in user CPU
seconds of one thread. Each contestant is a process of its own, and its texts are kept as OUT/SET/TOOL/ID.txt.

Left out: layout and markup of the texts (only words count), metadata, and any page's URL: no tool is told it.
"""

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

SETS = ["newspaper4k", "dragnet", "wcxb-dev", "cleaneval-dev", "cleanportaleval"]

# Scripts that set no spaces between words: Thai, kana, Han and Hangul. Each of their characters is a token.
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
SHINGLE_TOKENS = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"default: {' '.join(SETS)}")
    parser.add_argument("--only", metavar="TOOL,...", help=f"of {', '.join(TOOLS)}")
    parser.add_argument("--runs", type=int, default=1, help="runs of each tool; the median of their times is given")
    parser.add_argument("--types", action="store_true", help="also a table by type of page, where a set names types")
    parser.add_argument("--suspects", type=Path, metavar="FILE", help="lines of set, tab, page: gold not to be trusted")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the texts, as DIR/SET/TOOL/ID.txt")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all metrics")
    for name in ["data", "scratch", "peers", "webtext"]:
        parser.add_argument(f"--{name}", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    out = options.out or options.scratch / "out"
    tools = chosen_tools(options)
    suspects = read_suspects(options.suspects)
    versions = versions_of(tools, options)
    print(f"{machine()}; {', '.join(f'{tool} {version}' for tool, version in versions.items())}")

    results = {}
    for name in options.sets or SETS:
        folder = unpack(options.data / f"extract/{name}.tar.zst", options.scratch / name)
        runs = {tool: [] for tool in tools}
        for number in range(options.runs):  # In turns: what the machine does meanwhile meets all of them.
            for tool in tools:
                runs[tool].append(run(tool, folder, out / name / tool, options))
                print(f"{name}: {tool}, run {number + 1}: {runs[tool][-1]}", file=sys.stderr, flush=True)
        results[name] = evaluate_set(folder, runs, out / name, suspects.get(name, set()))

    print_sets(results, "all")
    if any(result["pages"]["sound"] < result["pages"]["all"] for result in results.values()):
        print_sets(results, "sound")
    if options.types:
        for name, result in results.items():
            print_types(name, result)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "versions": versions, "sets": results}, indent=1))


# -- contestants
#
# The gold of news and blogs is without readers' comments and alternative texts of images: peers that have a switch
# for them are told to leave them out, as `webtext` does by default. Else they have their defaults.


def python_trafilatura(**arguments):
    import trafilatura

    return lambda page: trafilatura.extract(page, include_comments=False, **arguments)


def python_readability():
    """With `html_partial`: else some articles are cleaned away as what is in the page that is wrapped round them."""
    from readability import Document
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    return lambda page: text_of_html(Document(bytes_to_str(page, detect_encoding(page))).summary(html_partial=True))


def python_resiliparse():
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    options = {"main_content": True, "comments": False, "alt_texts": False}
    return lambda page: extract_plain_text(bytes_to_str(page, detect_encoding(page)), **options)


def python_magic_html():
    from magic_html import GeneralExtractor
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    extractor = GeneralExtractor()
    return lambda page: text_of_html(extractor.extract(bytes_to_str(page, detect_encoding(page)))["html"])


# Python peers by what makes their function of a page's bytes, with the package that they are in.
PYTHON_PEERS = {
    "trafilatura": (python_trafilatura, "trafilatura"),
    "trafilatura-precision": (lambda: python_trafilatura(favor_precision=True), "trafilatura"),
    "readability-lxml": (python_readability, "readability-lxml"),
    "resiliparse": (python_resiliparse, "resiliparse"),
    "magic-html": (python_magic_html, "magic-html"),
}
# Peers in extract.rs, with their crate.
RUST_PEERS = {"rs-trafilatura": "rs-trafilatura", "trafilatura-crate": "trafilatura", "dom_smoothie": "dom_smoothie"}
TOOLS = ["webtext", *PYTHON_PEERS, *RUST_PEERS]

# Elements of which browsers begin a new line.
BLOCKS = set(
    "address article aside blockquote body br button caption center dd details dialog dir div dl dt fieldset figcaption"
    " figure footer form h1 h2 h3 h4 h5 h6 header hr legend li main menu nav ol option p pre search section select"
    " summary table tbody td textarea tfoot th thead tr ul".split()
)


def text_of_html(html):
    """The text of a piece of HTML, for peers whose answer is HTML: lxml's text_content with line breaks at blocks."""
    import lxml.html
    from lxml import etree

    if not html or not html.strip():
        return ""
    parts = []
    for event, element in etree.iterwalk(lxml.html.document_fromstring(html), events=("start", "end", "comment", "pi")):
        if event == "start":
            parts.append("\n" if element.tag in BLOCKS else "")
            parts.append(element.text or "")
        else:
            parts.append("\n" if element.tag in BLOCKS else "")
            parts.append(element.tail or "")
    lines = (line.strip() for line in "".join(parts).splitlines())
    return "\n".join(line for line in lines if line)


def run_python_peer(tool, pages_folder, out):
    """In a process of its own: writes the texts and prints what it took. A page at which the peer fails has no text."""
    import logging

    logging.disable()
    extract = PYTHON_PEERS[tool][0]()
    pages = {path.stem: path.read_bytes() for path in sorted(Path(pages_folder).iterdir())}
    texts = {}
    failed = 0
    start_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    for id, page in pages.items():
        try:
            texts[id] = extract(page)
        except Exception:  # Whatever a peer raises is its answer to the page.
            failed += 1
    user_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime - start_s
    for id in pages:
        Path(out, f"{id}.txt").write_text(texts.get(id) or "", encoding="utf-8", errors="replace")
    print(json.dumps({"pages": len(pages), "failed": failed, "user_s": user_s}))


def chosen_tools(options):
    """Those asked for, or all that are there."""
    here = {"webtext"} if options.webtext.exists() else set()
    for tool, (_, package) in PYTHON_PEERS.items():
        if version_of_package(package):
            here.add(tool)
    if (options.peers / "peers").exists():
        here.update(RUST_PEERS)
    asked = options.only.split(",") if options.only else TOOLS
    for tool in asked:
        if tool not in TOOLS:
            sys.exit(f"error: unknown tool {tool}\n\nhint: there are {', '.join(TOOLS)}")
        if tool not in here:
            if options.only:
                sys.exit(f"error: {tool} is not installed in {options.peers}")
            print(f"{tool} is absent and left out", file=sys.stderr)
    return [tool for tool in TOOLS if tool in asked and tool in here]


def run(tool, folder, out, options):
    """One run of a tool over a set: its texts in `out`; the numbers of pages and, of a peer, failures; user CPU seconds."""
    out.mkdir(parents=True, exist_ok=True)
    pages = folder / "html"
    if tool == "webtext":
        # 3: pages that could not be read are named, and the run went on.
        call([options.webtext, "extract", pages, "-o", out], allowed=(0, 3))
        result = json.loads(call([options.webtext, "extract", "--bench", pages], allowed=(0, 3)))
    elif tool in RUST_PEERS:
        result = json.loads(call([options.peers / "peers", tool, folder, out]))
    else:
        result = json.loads(call([sys.executable, __file__, "peer", tool, pages, out]))
    there = sum(1 for _ in pages.iterdir())
    if result["pages"] != there:
        sys.exit(f"error: {tool} had {result['pages']} pages of the {there} in {pages}")
    return {key: result[key] for key in ["pages", "failed", "user_s"] if key in result}


def call(command, allowed=(0,)):
    process = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE)
    if process.returncode not in allowed:
        sys.exit(f"error: exit code {process.returncode}: {' '.join(map(str, command))}")
    return process.stdout


# -- scores


def evaluate_set(folder, runs, out, suspects):
    """Figures of each tool over all pages of a set, over those whose gold is not suspect, and by type of page."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    gold = {id: Text.read(folder / f"gold/{id}.txt") for id in meta["pages"]}
    suspects = suspects | {id for id, page in meta["pages"].items() if page.get("suspect")}
    groups = {"all": list(gold), "sound": [id for id in gold if id not in suspects]}
    for id, page in meta["pages"].items():
        if "page_type" in page:
            groups.setdefault(f"type {page['page_type']}", []).append(id)

    result = {"pages": {group: len(ids) for group, ids in groups.items()}, "tools": {}}
    for tool, tool_runs in runs.items():
        scores = {id: compare(text, Text.read(out / tool / f"{id}.txt")) for id, text in gold.items()}
        user_s = statistics.median(run["user_s"] for run in tool_runs)
        result["tools"][tool] = {
            "pages_per_s": tool_runs[0]["pages"] / user_s if user_s else float("inf"),
            "user_s": [run["user_s"] for run in tool_runs],
            "failed": tool_runs[0].get("failed", 0),
            "scores": {group: summary(scores[id] for id in ids) for group, ids in groups.items() if ids},
        }
    return result


class Text:
    """A text as what is compared of it: the multisets of its shingles, and of its lower-cased tokens."""

    def __init__(self, text):
        tokens = TOKEN.findall(text)
        self.bag = Counter(map(str.lower, tokens))
        if len(tokens) < SHINGLE_TOKENS:  # All there is stands for a shingle.
            self.shingles = Counter([tuple(tokens)] if tokens else [])
        else:
            self.shingles = Counter(zip(*(tokens[at:] for at in range(SHINGLE_TOKENS))))

    @classmethod
    def read(cls, path):
        """A page without a file has no text."""
        return cls(path.read_text(encoding="utf-8", errors="replace") if path.exists() else "")


def compare(gold, predicted):
    return {"shingles": overlap(gold.shingles, predicted.shingles), "bag": overlap(gold.bag, predicted.bag)}


def overlap(gold, predicted):
    """How many are in both, in the gold and in the prediction."""
    return (gold & predicted).total(), gold.total(), predicted.total()


def summary(scores):
    """Shingles: mean precision of the pages with a text and mean recall of those with a gold, F1 of the two means.
    Bags: the mean of the pages' F1. In both a page counts once, however long it is."""
    scores = list(scores)
    shingles = [score["shingles"] for score in scores]
    precision = mean(both / predicted for both, _, predicted in shingles if predicted)
    recall = mean(both / gold for both, gold, _ in shingles if gold)
    bags = [score["bag"] for score in scores]
    return {
        "shingle_f1": harmonic(precision, recall),
        "shingle_precision": precision,
        "shingle_recall": recall,
        "bag_f1": mean(bag_f1(*bag) for bag in bags),
        "empty": sum(gold > 0 and predicted == 0 for _, gold, predicted in bags),
    }


def bag_f1(both, gold, predicted):
    """Of a page without main text, nothing is the right answer."""
    return 2 * both / (gold + predicted) if gold + predicted else 1.0


def harmonic(a, b):
    return 2 * a * b / (a + b) if a + b else 0.0


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def read_suspects(path):
    suspects = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path else []:
        name, id, *_ = line.split("\t")
        suspects.setdefault(name, set()).add(id)
    return suspects


# -- tables


def print_sets(results, group):
    print("\nshingle F1 / token-bag F1 / pages per user CPU second" + (", without suspect gold" if group == "sound" else ""))
    columns = {f"{name} ({result['pages'][group]})": result["tools"] for name, result in results.items()}
    tools = next(iter(results.values()))["tools"]
    rows = {}
    for tool in tools:
        metrics = [by_tool[tool] for by_tool in columns.values()]
        rows[tool] = [f"{cell(each['scores'].get(group))} {each['pages_per_s']:>5.0f}" for each in metrics]
    print_table(list(columns), rows)


def print_types(name, result):
    groups = sorted(group for group in result["pages"] if group.startswith("type "))
    if groups:
        print(f"\n{name} by type of page: shingle F1 / token-bag F1")
        rows = {tool: [cell(metrics["scores"][group]) for group in groups] for tool, metrics in result["tools"].items()}
        print_table([f"{group.removeprefix('type ')} ({result['pages'][group]})" for group in groups], rows)


def cell(scores):
    return f"{scores['shingle_f1']:.3f} {scores['bag_f1']:.3f}" if scores else "-"


def print_table(columns, rows):
    widths = [max(len(column), *(len(cells[at]) for cells in rows.values())) for at, column in enumerate(columns)]
    for label, cells in [("", columns), *rows.items()]:
        print(f"{label:22}" + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)), flush=True)


# -- surroundings


def unpack(archive, folder):
    """The folder in the archive: html/ID.html, gold/ID.txt and meta.json."""
    if not archive.exists():
        sys.exit(f"error: {archive} is absent")
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(["zstd", "-dcq", "--long=27", archive], stdout=subprocess.PIPE) as zstd:
        subprocess.run(["tar", "-x", "-C", folder], stdin=zstd.stdout, check=True)
    if zstd.returncode != 0:
        sys.exit(f"error: {archive} cannot be unpacked")
    return next(folder.rglob("meta.json")).parent


def versions_of(tools, options):
    lock = options.peers / "crate/Cargo.lock"
    crates = dict(re.findall(r'name = "(.+)"\nversion = "(.+)"', lock.read_text())) if lock.exists() else {}
    versions = {}
    for tool in tools:
        if tool == "webtext":
            versions[tool] = call([options.webtext, "--version"]).decode().split()[-1]
        elif tool in RUST_PEERS:
            versions[tool] = crates[RUST_PEERS[tool]]
        else:
            versions[tool] = version_of_package(PYTHON_PEERS[tool][1])
    return versions


def version_of_package(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine():
    models = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    cpu = models[0] if models else platform.processor()
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; Python {platform.python_version()}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        run_python_peer(*sys.argv[2:])
    else:
        main()
