"""What datatrove's filters say of texts, with every measure by datatrove's own code.

Reads JSON Lines of {"text", "url"}, writes a line of verdicts for each. Called by parity.rs. The lists are read from the
folder that is the third argument.
"""

import json
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace

import datatrove.pipeline.filters.c4_filters as c4
import datatrove.pipeline.filters.unigram_log_probs as unigram
import datatrove.pipeline.filters.url_filter as url_filter
import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4BadWordsFilter,
    C4ParagraphFilter,
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    URLFilter,
)
from datatrove.pipeline.filters import gopher_repetition_filter as repetition
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.utils.text import PUNCTUATION_SET, split_into_words
from datatrove.utils.typeshelper import Languages

LISTS = sys.argv[3]
ENGLISH = Languages.english
np.seterr(all="ignore")


def verdict(filter, text, url=""):
    """The reason why the text is dropped, or none; the text behind it."""
    document = Document(text=text, id="", metadata={"url": url})
    try:
        result = filter.filter(document)
    except (ZeroDivisionError, AssertionError):
        return "error", text
    reason = None
    if isinstance(result, tuple):
        result, reason = result
    return (None if bool(result) else reason or ""), document.text


def ratio(a, b):
    return a / b if b else None


class GopherRepetition:
    name = "gopher_repetition"
    filter = GopherRepetitionFilter()

    def measures(self, text, url):
        f, n = self.filter, len(text)
        paragraphs = f.paragraph_exp.split(text.strip())
        p, pc = repetition.find_duplicates(paragraphs)
        lines = f._line_splitter.split(text)
        l, lc = repetition.find_duplicates(lines)
        yield from (n, ratio(p, len(paragraphs)), ratio(pc, n), ratio(l, len(lines)), ratio(lc, n))
        words = split_into_words(text, ENGLISH)
        for k, _ in f.top_n_grams:
            grams = repetition.get_n_grams(words, k)
            yield ratio(repetition.find_top_duplicate(grams) if grams else 0, n)
        for k, _ in f.dup_n_grams:
            yield ratio(repetition.find_all_duplicate(words, k), n)


class GopherQuality:
    name = "gopher_quality"
    filter = GopherQualityFilter()

    def measures(self, text, url):
        words = split_into_words(text, ENGLISH)
        n = len(words)
        plain = [w for w in words if any(ch not in PUNCTUATION_SET for ch in w)]
        yield len(plain)
        yield float(np.mean([len(w) for w in plain])) if plain else None
        yield ratio(text.count("#"), n)
        yield ratio(text.count("...") + text.count("…"), n)
        lines = text.splitlines()
        yield ratio(sum(s.lstrip().startswith(("•", "-")) for s in lines), len(lines))
        yield ratio(sum(s.rstrip().endswith(("...", "…")) for s in lines), len(lines))
        yield ratio(sum(any(c.isalpha() for c in w) for w in words), n)
        yield len(self.filter.stop_words.intersection(words))


class C4Quality:
    name = "c4_quality"
    settings = {}

    def __init__(self):
        self.filter = C4QualityFilter(**self.settings)
        self.open = C4QualityFilter(
            **{**self.settings, "filter_lorem_ipsum": False, "filter_curly_bracket": False, "min_num_sentences": 0},
        )
        self.stats = {}
        self.open.stat_update = lambda name: self.stats.update({name: self.stats.get(name, 0) + 1})

    def edited(self, text):
        """The text as if no line dropped it, and how many sentences it has."""
        self.stats, count, original = {}, [0], c4.split_into_sentences

        def counted(line, language):
            sentences = original(line, language)
            count[0] += len(sentences)
            return sentences

        if self.open.split_paragraph:
            c4.split_into_sentences = counted
        try:
            _, text = verdict(self.open, text)
        finally:
            c4.split_into_sentences = original
        return text, count[0] if self.open.split_paragraph else self.stats.get("line-kept", 0)

    def measures(self, text, url):
        # Lines with "lorem ipsum" or a bracket: those that are reached, told by letting only them through.
        for switch in ("filter_lorem_ipsum", "filter_curly_bracket"):
            yield self.lines_with(text, switch)
        yield self.edited(text)[1]

    def lines_with(self, text, switch):
        """Lines that get as far as a check and fail it: each is given to the filter as if it was the only one."""
        if ("lorem" if "lorem" in switch else "{") not in text.lower():
            return 0
        lines = text.splitlines() if self.open.split_paragraph else c4.split_into_sentences(text, ENGLISH)
        settings = {**self.settings, "filter_lorem_ipsum": False, "filter_curly_bracket": False, switch: True}
        probe = C4QualityFilter(**{**settings, "min_num_sentences": -1, "split_paragraph": False})
        original, c4.split_into_sentences = c4.split_into_sentences, lambda line, _: [line]
        try:
            return sum(verdict(probe, line)[0] is not None for line in lines)
        finally:
            c4.split_into_sentences = original


class C4WithoutPunctuation(C4Quality):
    settings = {"filter_no_terminal_punct": False}


class C4BySentence(C4Quality):
    settings = {"split_paragraph": False}


class C4Open(C4Quality):
    settings = {
        "remove_citations": False,
        "filter_no_terminal_punct": False,
        "min_words_per_line": -1,
        "max_word_length": -1,
        "filter_javascript": False,
        "filter_policy": False,
    }


class C4Paragraph:
    name = "c4_paragraph"
    filter = C4ParagraphFilter()

    def measures(self, text, url):
        lengths = sorted(map(len, text.split("\n")), reverse=True)
        yield len(lengths)
        yield lengths[2] if len(lengths) > 2 else 0


def found(word, text):
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


class C4BadWords:
    name = "c4_bad_words"
    c4.cached_asset_path_or_download = lambda *_, **__: os.path.join(LISTS, "bad_words")
    filter = C4BadWordsFilter()
    words = {line.strip() for line in open(os.path.join(LISTS, "bad_words"), encoding="utf-8")}
    words -= set().union(*c4._BADWORDS_ALLOWLIST.values())

    def measures(self, text, url):
        text, border = text.lower(), re.compile(r"\W|$")
        places = ((m, m + len(w)) for w in self.words for m in found(w, text))
        yield sum(bool((a == 0 or border.match(text[a - 1])) and border.match(text, b)) for a, b in places)


class FineWebQuality:
    name = "fineweb_quality"
    filter = FineWebQualityFilter()

    def measures(self, text, url):
        lines = [line for line in text.split("\n") if line.strip() != ""]
        yield len(lines)
        yield ratio(sum(1 for line in lines if line.endswith(self.filter.stop_chars)), len(lines))
        yield ratio(sum(1 for line in lines if len(line) <= self.filter.short_line_length), len(lines))
        yield ratio(repetition.find_duplicates(lines)[1], len(text.replace("\n", "")))
        yield ratio(text.count("\n"), len(split_into_words(text, ENGLISH)))


class Url:
    name = "url"
    def __init__(self):
        lines = lambda name: open(os.path.join(LISTS, name), encoding="utf-8").readlines()
        self.filter = URLFilter(
            extra_domains=lines("domains"),
            extra_urls=lines("urls"),
            banned_words=lines("banned_words"),
            soft_banned_words=lines("soft_banned_words"),
            banned_subwords=lines("banned_subwords"),
            use_integrated_lists=False,
        )
        from tldextract import TLDExtract

        self.filter.tldextractor = TLDExtract(suffix_list_urls=(), cache_dir=None)

    def measures(self, text, url):
        f = self.filter
        info = f.tldextractor(url)
        words = set(url_filter.normalizer.split(url))
        yield int(info.top_domain_under_public_suffix in f.block_listed_domains)
        yield int(info.fqdn in f.block_listed_domains)
        yield int(url in f.block_listed_url)
        yield len(words & f.banned_words)
        yield len(words & f.soft_banned_words)
        # Its automaton takes no empty word.
        yield sum(word in url_filter.normalize(url) for word in f.banned_subwords if word)


class Pii:
    name = "pii"

    def edited(self, text):
        formatter = PIIFormatter()
        return formatter.format(text), None


class Unigram:
    name = "unigram_log_probability"

    def __init__(self):
        unigram.cached_assets_path = lambda **_: LISTS
        unigram.os = SimpleNamespace(
            path=SimpleNamespace(join=lambda a, _: os.path.join(a, "unigrams"), isfile=lambda _: True)
        )
        self.filter = unigram.UnigramLogProbFilter()

    def measures(self, text, url):
        yield float(self.filter.get_logprob(SimpleNamespace(text=text)))


def of_rule(rule, text, url):
    result = {}
    if hasattr(rule, "filter"):
        result["upstream"] = verdict(rule.filter, text, url)[0]
    if getattr(rule, "measures", None):
        result["measures"] = list(rule.measures(text, url))
    if hasattr(rule, "edited"):
        result["text"] = rule.edited(text)[0]
    return result


RULES = [
    GopherRepetition(),
    GopherQuality(),
    C4Quality(),
    C4WithoutPunctuation(),
    C4BySentence(),
    C4Open(),
    C4Paragraph(),
    C4BadWords(),
    FineWebQuality(),
    Url(),
    Pii(),
    Unigram(),
]
# FineWeb's order; the C4 rule without its terminal punctuation edits what the last one reads.
CHAIN = [RULES[0], RULES[1], RULES[3], RULES[8]]


def judge(line):
    row = json.loads(line)
    text, url = row["text"], row["url"]
    rules = [of_rule(rule, text, url) for rule in RULES]
    chain = []
    for rule in CHAIN:
        result = of_rule(rule, text, url)
        chain.append(result)
        text = result.get("text", text)
    return json.dumps({"rules": rules, "chain": chain})


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as lines, open(sys.argv[2], "w", encoding="utf-8") as out:
        # `multiprocessing.Pool` waits for ever when one of its processes is killed.
        with ProcessPoolExecutor() as pool:
            for result in pool.map(judge, lines, chunksize=16):
                out.write(result + "\n")
