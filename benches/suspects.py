#!/usr/bin/env python3
"""Lists the pages of a set whose gold stops early, for `benches/extract.sh … --suspects FILE`. Needs lxml.

    suspects.py SET >FILE

SET is an unpacked set: html/ID.html, gold/ID.txt. A gold stops early if the paragraph that it ends with is followed, in
the same element, by paragraphs of prose that it does not have: at least 60 words in <p> of at least 15 words each, of
which links are at most a fifth. The rule looks at no extractor's text.
"""

import pathlib
import re
import sys

import lxml.html

LAST_WORDS = 8
MIN_WORDS_OF_PARAGRAPH = 15
MIN_WORDS_LEFT_OUT = 60
MAX_LINK_SHARE = 0.2


def words(text):
    return re.findall(r"\w+", text.lower())


def is_prose(paragraph):
    of_links = sum(len(words(link.text_content())) for link in paragraph.iter("a"))
    count = len(words(paragraph.text_content()))
    return count >= MIN_WORDS_OF_PARAGRAPH and of_links <= MAX_LINK_SHARE * count


def stops_early(html, gold):
    last = words(gold)[-LAST_WORDS:]
    if len(last) < LAST_WORDS:
        return False
    known = " ".join(words(gold))
    for paragraph in lxml.html.fromstring(html).iter("p"):
        if " ".join(last) not in " ".join(words(paragraph.text_content())):
            continue
        after = [sibling for sibling in paragraph.itersiblings("p") if is_prose(sibling)]
        left_out = [p for p in after if " ".join(words(p.text_content())[:LAST_WORDS]) not in known]
        return sum(len(words(p.text_content())) for p in left_out) >= MIN_WORDS_LEFT_OUT
    return False


def main():
    folder = pathlib.Path(sys.argv[1])
    for page in sorted((folder / "html").glob("*.html")):
        gold = (folder / "gold" / f"{page.stem}.txt").read_text(encoding="utf-8")
        try:
            is_suspect = stops_early(page.read_bytes(), gold)
        except (lxml.etree.ParserError, ValueError):
            is_suspect = False
        if is_suspect:
            print(f"{folder.name}\t{page.stem}")


main()
