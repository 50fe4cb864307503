"""What the words of classes and ids mean, counted and fitted; written as crates/extract/src/lexicon.rs reads it.

A word has the share of its elements' text that was kept, page by page, and its weight for each kind of page, from
one linear model over all words. Both are made from words of several hosts alone. Left out: the text's own words.
"""

import struct

import numpy as np
import scipy.sparse

# A word that stands on fewer hosts may be one site's.
HOSTS_AT_LEAST = 4
# A word counts as if it had stood on so many more pages, on which it said nothing.
PAGES_BEFORE = 2.0
# A block weighs its words up to so many, and a little for being there: a long text is not all that a class means.
MAX_TOKENS = 60
TOKENS_MORE = 0.3
# Elements around a block whose words are counted for it.
MAX_LEVELS = 12

KIND_PENALTY = 0.03
KIND_STEPS = 150

ODDS_PARTS = 16
KIND_PARTS = 8


class Words:
    """Which words stand on which pages of the sets trained on, with the share of their text that was kept."""

    def __init__(self, sets):
        pages, hashes, shares = [], [], []  # of each word of each page
        page_of, all_hashes = [], []  # with the words of the page's own element, which are only for its kind
        hosts = []
        for s in sets:
            for page in s.pages:
                kept = shares_kept(page)
                pages.append(np.full(len(kept), len(hosts)))
                hashes.append(np.array(list(kept), dtype=np.int64))
                shares.append(np.array(list(kept.values())))
                of_page = sorted({word for words in page["words"] for word in words})
                page_of.append(np.full(len(of_page), len(hosts)))
                all_hashes.append(np.array(of_page, dtype=np.int64))
                hosts.append(page["host"])
        # A word's number is its place among the hashes in order.
        self.hashes = np.unique(np.concatenate(all_hashes))
        self.kept = (np.concatenate(pages), np.searchsorted(self.hashes, np.concatenate(hashes)), np.concatenate(shares))
        self.present = (np.concatenate(page_of), np.searchsorted(self.hashes, np.concatenate(all_hashes)))
        self.host = np.unique(hosts, return_inverse=True)[1]
        # Many pages of a host say less than as many hosts.
        self.page_weight = 1 / np.sqrt(np.bincount(self.host)[self.host])

    def lexicon(self, kinds, chosen):
        """The lexicon's bytes, made from the chosen pages alone; `kinds` has the number of each page's kind."""
        pages, words = self.present
        inside = chosen[pages]
        of_host = np.unique(self.host[pages[inside]] * len(self.hashes) + words[inside])
        is_known = np.bincount(of_host % len(self.hashes), minlength=len(self.hashes)) >= HOSTS_AT_LEAST
        odds = self.odds(chosen)[is_known]
        weights, bias = self.kind_weights(kinds, chosen, is_known)
        return lexicon_bytes(self.hashes[is_known], odds, weights, bias)

    def odds(self, chosen):
        """The logarithm of each word's odds, less that of all words."""
        pages, words, shares = self.kept
        weight = self.page_weight[pages] * chosen[pages]
        kept = np.bincount(words, weight * shares, len(self.hashes))
        all_ = np.bincount(words, weight, len(self.hashes))
        before = kept.sum() / all_.sum()
        share = (kept + PAGES_BEFORE * before) / (all_ + PAGES_BEFORE)
        return np.log(share / (1 - share)) - np.log(before / (1 - before))

    def kind_weights(self, kinds, chosen, is_known):
        """A linear model of a page's kind from the words that stand on it, each page as a vector of length one."""
        pages, words = self.present
        inside = chosen[pages] & is_known[words]
        row = np.cumsum(chosen) - 1
        column = np.cumsum(is_known) - 1
        shape = (chosen.sum(), is_known.sum())
        there = scipy.sparse.csr_matrix((np.ones(inside.sum()), (row[pages[inside]], column[words[inside]])), shape)
        length = np.sqrt(np.maximum(there.sum(axis=1).A1, 1))
        rows = scipy.sparse.hstack([scipy.sparse.diags(1 / length) @ there, np.ones((shape[0], 1))]).tocsr()
        truth = np.eye(kinds.max() + 1)[kinds[chosen]]
        fitted = softmax_regression(rows, truth, self.page_weight[chosen])
        return fitted[:-1], fitted[-1]


def shares_kept(page):
    """Of each word around a page's blocks, the share kept of what stands in elements with it."""
    above = []  # of each container, the containers whose words are counted for what stands in it, innermost first
    whole = set(page["whole"])
    for number, parent in enumerate(page["parents"]):
        above.append(([number] + (above[parent] if parent != number else []))[:MAX_LEVELS])
    words_around = {}
    tokens_of, kept_tokens_of = {}, {}
    for number, container in enumerate(page["containers"]):
        if number == page["title_block"]:  # Whether the title is kept is a setting, and nothing to be learned.
            continue
        if container not in words_around:
            around = {word for at in above[container] if at not in whole for word in page["words"][at]}
            words_around[container] = sorted(around)
        tokens = page["tokens"][number]
        block = min(tokens, MAX_TOKENS) + TOKENS_MORE
        kept = block * page["kept"][number] / max(tokens, 1)
        for word in words_around[container]:
            tokens_of[word] = tokens_of.get(word, 0) + block
            kept_tokens_of[word] = kept_tokens_of.get(word, 0) + kept
    return {word: kept_tokens_of[word] / all_ for word, all_ in tokens_of.items()}


def softmax_regression(rows, truth, weight):
    """Weights of columns for each class, by Nesterov's accelerated descent, with a penalty on all but the last row."""
    columns = rows.T.tocsr()
    step = 1 / (0.5 * largest_curvature(rows, columns, weight) + 2)
    weights = ahead = np.zeros((rows.shape[1], truth.shape[1]))
    pace = 1.0
    for _ in range(KIND_STEPS):
        sums = rows @ ahead
        likely = np.exp(sums - sums.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        slope = columns @ ((likely - truth) * weight[:, None])
        slope[:-1] += KIND_PENALTY * ahead[:-1]
        next_weights = ahead - step * slope
        next_pace = (1 + np.sqrt(1 + 4 * pace * pace)) / 2
        ahead = next_weights + (pace - 1) / next_pace * (next_weights - weights)
        weights, pace = next_weights, next_pace
    return weights


def largest_curvature(rows, columns, weight):
    """The largest eigenvalue of the weighed square of the rows, by power iteration."""
    vector = np.ones(rows.shape[1])
    for _ in range(30):
        vector = columns @ (weight * (rows @ vector))
        length = np.linalg.norm(vector)
        vector /= length
    return length


def lexicon_bytes(hashes, odds, weights, bias):
    parts = np.concatenate([odds[:, None] * ODDS_PARTS, weights * KIND_PARTS], axis=1)
    parts = np.clip(np.rint(parts), -127, 127).astype(np.int8)
    words = b"".join(struct.pack("<I", hash) + row.tobytes() for hash, row in zip(hashes, parts))
    return b"WTWORDS1" + struct.pack("<I", len(hashes)) + bias.astype("<f4").tobytes() + words
