#!/usr/bin/env python3
"""Makes crates/extract/model/function_words.tsv: the most frequent words of the languages with most pages on the web.

    function_words.py SENTENCES > crates/extract/model/function_words.tsv

SENTENCES has a language's code, a tab and a sentence on each line: here the 60,000 sentences of the benchmark of
nitotm/efficient-language-detector (Apache-2.0). A line of the output has the code, how much rarer these words are
than those of English, and the words. Of Chinese and Japanese they are characters, of Thai two to four of them.
"""

import re
import sys
from collections import Counter

LANGUAGES = """en es de ja fr pt ru it nl pl tr fa zh vi ms cs ko uk hu ar ro sv sk el da fi he bg no th hr lt""".split()
WORDS = 60
# Scripts without spaces, as crates/words has them.
UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
# Their characters that are words or endings.
CHARACTERS = {
    "zh": re.compile("[的一是不在了有和我到上他也就能要以之这這那与與为為而从從对對把被让讓们們但还還都很会會所其个個于於及或等着著过過地得你她它说說时時没沒后後因如并並则則却卻只又再已将將向由啊吗嗎呢吧]"),
    "ja": re.compile("[\u3041-\u3096]"),
}
# Thai is known by these, which are words; its most frequent runs of characters are parts of any word.
THAI = "และ ที่ ของ ใน เป็น การ ได้ ว่า มี ไม่ ให้ จะ กับ นี้ จาก โดย ซึ่ง หรือ แต่ เพื่อ ความ คือ แล้ว ก็ ยัง ถึง ต้อง เมื่อ อยู่ กว่า"


def words_of(sentence, language):
    if language in CHARACTERS:
        return CHARACTERS[language].findall(sentence)
    return [word for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", sentence.lower()) if len(word.encode()) <= 16]


def count(sentence):
    """As crates/words counts."""
    return len(sentence.split()) + len(UNSPACED.findall(sentence)) // 2


def main():
    sentences = {}
    for line in open(sys.argv[1], encoding="utf-8"):
        language, sentence = line.rstrip("\n").split("\t", 1)
        sentences.setdefault(language, []).append(sentence)
    shares, tables = {}, {}
    for language in LANGUAGES:
        here = sentences[language]
        counts = Counter(word for sentence in here for word in words_of(sentence, language))
        words = THAI.split() if language == "th" else [word for word, _ in counts.most_common(WORDS)]
        found = sum(map("".join(here).count, words)) if language == "th" else sum(counts[word] for word in words)
        shares[language] = found / sum(map(count, here))
        tables[language] = words
    for language in LANGUAGES:
        print(language, f"{shares['en'] / shares[language]:.2f}", " ".join(tables[language]), sep="\t")


main()
