"""What datatrove's sentence dedup makes of texts, by datatrove's own code.

    sentence_dedup.py TEXTS OUT [SETTINGS]

Reads JSON Lines of {"text"}. Writes a line for each text: for each of the settings (their numbers in SETTINGS, such as
`0,2`; else all) the XXH64 of its units, each as a hash and a number in 16 hexadecimal digits, and of its text when the
filter has seen it; null for one that is dropped. `../sentence_dedup.rs` makes the texts and has the same settings;
`sentence_dedup.jsonl` was made by datatrove 0.10.1, spaCy 3.8.18, regex 2026.11.19, Python 3.11.7.

In all settings but the last, a unit counts as a copy if its hash is a multiple of 5: so every text is edited.
"""

import json
import os
import struct
import sys
import tempfile

from datatrove.data import Document
from datatrove.pipeline.dedup.sentence_dedup import (
    SentDedupConfig,
    SentenceDedupFilter,
    SentenceDedupSignature,
    SentenceFindDedups,
)
from xxhash import xxh64_hexdigest

SETTINGS = [
    SentDedupConfig(),
    SentDedupConfig(n_sentences=1, min_words_to_remove_span=6, min_doc_words=10, min_num_sentences=2),
    SentDedupConfig(n_sentences=2, split_sentences=False, min_words_to_remove_span=5, min_doc_words=0),
    SentDedupConfig(n_sentences=2, min_doc_words=20, min_num_sentences=0),
]
LAST = len(SETTINGS) - 1


def documents(texts):
    return (Document(text=text, id=str(number)) for number, text in enumerate(texts))


def find(folder, config, texts):
    """The copies as datatrove finds them: all but the first in the order of texts."""
    SentenceDedupSignature(f"{folder}/signatures", config=config).run(documents(texts))
    SentenceFindDedups(f"{folder}/signatures", f"{folder}/copies", config=config).run()


def choose(folder, units):
    """The copies that are multiples of 5, in the files of datatrove's second step."""
    os.makedirs(f"{folder}/copies/0000")
    with open(f"{folder}/copies/0000/00000.c4_dup", "wb") as out:
        for of_text in units:
            for hash, document, number in of_text:
                if hash % 5 == 0:
                    out.write(struct.pack("<IH", document, number))


def of_settings(number, texts):
    config = SETTINGS[number]
    with tempfile.TemporaryDirectory() as folder:
        signature = SentenceDedupSignature(f"{folder}/unused", config=config)
        units = [signature.get_hashes(document, i) for i, document in enumerate(documents(texts))]
        find(folder, config, texts) if number == LAST else choose(folder, units)
        kept = {}
        for document in SentenceDedupFilter(f"{folder}/copies", config=config).run(documents(texts)):
            kept[int(document.id)] = xxh64_hexdigest(document.text.encode())
    for i, of_text in enumerate(units):
        yield xxh64_hexdigest("".join(f"{hash:016x}{number:016x}" for hash, _, number in of_text)), kept.get(i)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    chosen = [int(number) for number in sys.argv[3].split(",")] if len(sys.argv) > 3 else range(len(SETTINGS))
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        for row in zip(*(of_settings(number, texts) for number in chosen)):
            out.write(json.dumps(row, separators=(",", ":")) + "\n")
