#!/usr/bin/env python3
"""Fits the forests and the lexicon of main text and writes them. Needs the binary `extract-train`, and Python's
packages in the versions of requirements.txt; see README.md here for what it is trained on and what is held out.

    train.py SETS --tool BINARY --scratch DIR [--check] [--write FOLDER]

SETS holds the unpacked sets (wcxb-dev, newspaper4k; for --check also those that are only looked at). --check prints
what cross-validation by host reaches; --write fits to everything and writes forests.bin and lexicon.bin. The same bytes come out
on every run: one seed, and sums in one order whatever the threads.
"""

import argparse
import json
import pathlib
import struct
import subprocess
import sys
import zlib

import lightgbm
import numpy as np
from lexicon import Words

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "benches"))
import extract as scorer  # noqa: E402

# Sets whose licence allows a model to be trained on them. Others are only looked at.
TRAINED_ON = ["wcxb-dev", "newspaper4k"]
LOOKED_AT = ["dragnet", "cleaneval-dev", "cleanportaleval"]

# Parts of the hosts: a page is judged by forests and a lexicon that were made without its part.
FOLDS = 8
# Of links of few words that nobody kept, one in so many is looked at, and weighs for all.
TRIVIAL_KEPT_OF = 4
KINDS = ["article", "forum", "product", "documentation", "listing", "other"]
# Names of WCXB's page types in ours.
KIND_OF_TYPE = {"collection": "listing", "service": "other"}

BLOCK_TREES = {
    "objective": "cross_entropy",
    "learning_rate": 0.065,
    "num_leaves": 31,
    "max_depth": 7,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "min_sum_hessian_in_leaf": 1e-3,
    "path_smooth": 5,
    "max_bin": 63,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbose": -1,
}
FIRST_TREES = 300
SECOND_TREES = 180

KIND_TREES = BLOCK_TREES | {
    "objective": "binary",
    "learning_rate": 0.09,
    "num_leaves": 6,
    "min_data_in_leaf": 15,
    "lambda_l2": 2.0,
    "path_smooth": 0,
}
KIND_ROUNDS = 40


class Set:
    """The blocks of a set's pages, one after another."""

    def __init__(self, name, folder, scratch, tool):
        self.name, self.folder, self.out, self.tool = name, folder / name, scratch / name, tool
        self.run("pages")
        self.pages = [json.loads(line) for line in open(f"{self.out}.jsonl", encoding="utf-8")]
        tokens = [np.array(page["tokens"], dtype=np.float64) for page in self.pages]
        self.tokens = np.concatenate(tokens)
        kept = np.concatenate([np.array(page["kept"], dtype=np.float64) for page in self.pages])
        self.labels = kept / np.maximum(self.tokens, 1)
        self.first = np.concatenate([[0], np.cumsum([len(t) for t in tokens])])
        self.page = np.repeat(np.arange(len(self.pages)), [len(t) for t in tokens])
        # By host, so that no template is on both sides.
        self.page_fold = np.array([zlib.crc32(page["host"].encode()) % FOLDS for page in self.pages])
        self.fold = self.page_fold[self.page]
        self.is_title = np.zeros(len(self.tokens), dtype=bool)
        for number, page in enumerate(self.pages):
            if page["title_block"] is not None:
                self.is_title[self.first[number] + page["title_block"]] = True

    def run(self, command, *options):
        subprocess.run([self.tool, command, self.folder, self.out, *options], check=True)

    def describe(self, lexicons, lexicon_of):
        """Reads the features of blocks and pages, each page with the lexicon of its number."""
        pathlib.Path(f"{self.out}.lexicons").write_bytes(b"".join(struct.pack("<I", len(l)) + l for l in lexicons))
        pathlib.Path(f"{self.out}.lexicon_of").write_bytes(bytes(lexicon_of.tolist()))
        self.run("features")
        self.features = np.fromfile(f"{self.out}.f32", dtype=np.float32).reshape(len(self.tokens), -1)
        self.page_features = np.fromfile(f"{self.out}.pages.f32", dtype=np.float32).reshape(len(self.pages), -1)
        link_density = self.features[:, open(f"{self.out}.names").read().split("\n").index("link_density")]
        self.is_trivial = (self.tokens <= 4) & (self.labels == 0) & ((link_density > 0.9) | (self.tokens == 0))
        self.is_used = ~self.is_trivial | (np.arange(len(self.tokens)) % TRIVIAL_KEPT_OF == 0)

    def weights(self):
        """A block weighs the share of the gold that it could add or spoil, and a page at most twice its gold."""
        gold = np.maximum([page["gold_tokens"] for page in self.pages], 40)
        weights = np.minimum(self.tokens / gold[self.page], 1) + 0.0005
        of_page = np.bincount(self.page, weights, len(self.pages))
        weights /= np.maximum(1, of_page / 2)[self.page]
        # Whether the title is kept is a setting, and nothing to be learned.
        weights[self.is_title] = 0
        weights[self.is_trivial] *= TRIVIAL_KEPT_OF
        return weights

    def with_context(self, probabilities):
        """The features of the second forest."""
        probabilities.astype(np.float32).tofile(f"{self.out}.probabilities")
        self.run("first-pass")
        context = np.fromfile(f"{self.out}.context.f32", dtype=np.float32).reshape(len(self.tokens), -1)
        return np.concatenate([context, self.rows], axis=1)

    def set_kinds(self, sums):
        """What the forests of pages say of each page becomes a part of its blocks' features."""
        self.kind_margins = sums.astype(np.float32)
        self.rows = np.concatenate([self.features, self.kind_margins[self.page]], axis=1)

    def kept(self, probabilities, texts=None):
        """What the extractor keeps by these probabilities: its own decision (select.rs), titles kept.

        Its texts are written to TEXTS/SET/webtext/ID.txt.
        """
        probabilities.astype(np.float32).tofile(f"{self.out}.probabilities")
        self.kind_margins.argmax(axis=1).astype(np.uint8).tofile(f"{self.out}.kinds")
        options = []
        if texts:
            folder = texts / self.name / "webtext"
            folder.mkdir(parents=True, exist_ok=True)
            options = ["--texts", folder]
        self.run("decide", *options)
        return np.fromfile(f"{self.out}.kept", dtype=np.uint8).astype(bool)

    def text(self, number, kept):
        """A page's kept blocks as lines."""
        texts = self.pages[number]["texts"]
        return "\n".join(text for text, keep in zip(texts, kept[self.first[number] :]) if keep)

    def metrics(self, kept):
        """Shingle F1 and token-bag F1."""
        scores = []
        for number, page in enumerate(self.pages):
            gold = scorer.Text.read(self.folder / "gold" / f"{page['id']}.txt")
            scores.append(scorer.compare(gold, scorer.Text(self.text(number, kept))))
        summary = scorer.summary(scores)
        return summary["shingle_f1"], summary["bag_f1"]


def fit(rows, labels, weights, parameters, rounds):
    data = lightgbm.Dataset(rows, labels, weight=weights * (len(weights) / weights.sum()))
    return lightgbm.train(parameters, data, rounds)


def fit_sets(sets, rows, rounds, without=None):
    """Fits blocks of all sets trained on, without one fold."""
    chosen = {s.name: s.is_used & (s.fold != without) for s in sets}
    return fit(
        np.concatenate([rows[s.name][chosen[s.name]] for s in sets]),
        np.concatenate([s.labels[chosen[s.name]] for s in sets]),
        np.concatenate([s.weights()[chosen[s.name]] for s in sets]),
        BLOCK_TREES,
        rounds,
    )


def held_out(sets, rows, rounds):
    """Each block's probability by the forest that has not seen its host."""
    probabilities = {s.name: np.zeros(len(s.tokens)) for s in sets}
    for fold in range(FOLDS):
        forest = fit_sets(sets, rows, rounds, without=fold)
        for s in sets:
            inside = s.fold == fold
            probabilities[s.name][inside] = forest.predict(rows[s.name][inside])
    return probabilities


def report(label, s, first, second, texts):
    """How good the mean of both forests' probabilities is."""
    kept = s.kept((first + second) / 2, texts)
    drop, keep = s.metrics(kept & ~s.is_title), s.metrics(kept)
    print(
        f"{label:<9}{s.name:<17}{len(s.pages):>5} pages   without titles {drop[0]:.3f} / {drop[1]:.3f}"
        f"   with titles {keep[0]:.3f} / {keep[1]:.3f}",
        flush=True,
    )


def kind_labels(sets):
    """The kind of each page, as its number."""
    types = [page["page_type"] or "article" for s in sets for page in s.pages]
    return np.array([KINDS.index(KIND_OF_TYPE.get(t, t)) for t in types])


def describe_held_out(sets, words):
    """Features of the sets' pages, each page by a lexicon that was made without its host."""
    labels = kind_labels(sets)
    folds = np.concatenate([s.page_fold for s in sets])
    lexicons = [words.lexicon(labels, folds != fold) for fold in range(FOLDS)]
    for s in sets:
        s.describe(lexicons, s.page_fold)


def fit_kinds(rows, labels):
    return [fit(rows, (labels == k).astype(float), np.ones(len(labels)), KIND_TREES, KIND_ROUNDS) for k in range(len(KINDS))]


def ask_kinds(forests, rows):
    return np.stack([forest.predict(rows, raw_score=True) for forest in forests], axis=1)


def held_out_kinds(sets):
    """Gives the pages of the sets what forests say that have not seen their hosts."""
    labels = kind_labels(sets)
    rows = np.concatenate([s.page_features for s in sets])
    folds = np.concatenate([s.page_fold for s in sets])
    sums = np.zeros((len(labels), len(KINDS)))
    for fold in range(FOLDS):
        inside = folds == fold
        sums[inside] = ask_kinds(fit_kinds(rows[~inside], labels[~inside]), rows[inside])
    for s, own in zip(sets, np.split(sums, np.cumsum([len(s.pages) for s in sets])[:-1])):
        s.set_kinds(own)


def report_kinds(sets):
    labels = kind_labels(sets)
    found = np.concatenate([s.kind_margins for s in sets]).argmax(axis=1)
    print(f"kinds: {np.mean(found == labels):.3f} right")
    for number, kind in enumerate(KINDS):
        precision = np.mean(labels[found == number] == number)
        recall = np.mean(found[labels == number] == number)
        print(f"  {kind:<14}{np.sum(labels == number):>5} pages   precision {precision:.2f}   recall {recall:.2f}")


def down(threshold):
    """The largest 32-bit float that is not above: rows of 32-bit floats fall on the same side of it."""
    near = np.float32(threshold)
    return np.nextafter(near, np.float32(-np.inf)) if float(near) > threshold else near


def tree_bytes(tree):
    """One tree as crates/extract/src/forest.rs reads it."""
    splits, leaves = [], []

    def place(node):
        if "leaf_value" in node:
            leaves.append(struct.pack("<f", node["leaf_value"]))
            return 0x8000 | (len(leaves) - 1)
        assert node["decision_type"] == "<="
        at = len(splits)
        splits.append(None)
        below, above = place(node["left_child"]), place(node["right_child"])
        splits[at] = struct.pack("<HfHH", node["split_feature"], down(node["threshold"]), below, above)
        return at

    root = place(tree["tree_structure"])
    if not splits:
        assert root == 0x8000
    return struct.pack("<H", len(splits)) + b"".join(splits) + b"".join(leaves)


def forest_bytes(forest):
    dump = forest.dump_model()
    # A tree of one leaf has no walk; its value goes nowhere, and LightGBM makes one only when it can learn no more.
    trees = [tree_bytes(tree) for tree in dump["tree_info"] if "split_index" in tree["tree_structure"]]
    body = b"WTFOREST" + struct.pack("<II", forest.num_feature(), len(trees)) + b"".join(trees)
    return struct.pack("<I", len(body)) + body


def hash_of_names(out):
    """FNV-1a of 32 bits over the names of all features, one per line, by which a test finds that a feature has changed."""
    names = "\n".join(open(f"{out}.{part}").read() for part in ["names", "context.names", "pages.names"])
    state = 0x811C9DC5
    for byte in names.lower().encode():
        state = (state ^ byte) * 0x01000193 & 0xFFFFFFFF
    return struct.pack("<I", state)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=pathlib.Path)
    parser.add_argument("--tool", required=True)
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--texts", type=pathlib.Path, help="with --check: folder for the texts, held out and unseen")
    parser.add_argument("--write", type=pathlib.Path)
    arguments = parser.parse_args()

    load = lambda names: [Set(name, arguments.sets, arguments.scratch, arguments.tool) for name in names]  # noqa: E731
    sets = load(TRAINED_ON)
    words = Words(sets)
    describe_held_out(sets, words)
    held_out_kinds(sets)
    rows = {s.name: s.rows for s in sets}
    probabilities = held_out(sets, rows, FIRST_TREES)
    rows_with_context = {s.name: s.with_context(probabilities[s.name]) for s in sets}
    first = fit_sets(sets, rows, FIRST_TREES)
    second = fit_sets(sets, rows_with_context, SECOND_TREES)
    kinds = fit_kinds(np.concatenate([s.page_features for s in sets]), kind_labels(sets))
    lexicon = words.lexicon(kind_labels(sets), np.ones(len(words.host), dtype=bool))
    if arguments.write:
        forests = b"".join(forest_bytes(forest) for forest in [first, second, *kinds])
        (arguments.write / "forests.bin").write_bytes(hash_of_names(sets[0].out) + forests)
        (arguments.write / "lexicon.bin").write_bytes(lexicon)
    if arguments.check:
        second_probabilities = held_out(sets, rows_with_context, SECOND_TREES)
        for s in sets:
            report("held out", s, probabilities[s.name], second_probabilities[s.name], arguments.texts)
        report_kinds(sets)
        for s in load(LOOKED_AT):
            s.describe([lexicon], np.zeros(len(s.pages), dtype=int))
            s.set_kinds(ask_kinds(kinds, s.page_features))
            first_probabilities = first.predict(s.rows)
            report("unseen", s, first_probabilities, second.predict(s.with_context(first_probabilities)), arguments.texts)


main()
