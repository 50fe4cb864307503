"""What spaCy makes of texts, compared with the spans that tests/spacy.rs wrote.

    spacy_parity.py collect FOLDER TEXTS MAX_MB   texts out of ../shared/data
    spacy_parity.py check TEXTS SPANS             compares; prints how many texts there were

TEXTS holds each text behind its length in bytes, SPANS three lists of numbers for each text, each behind its length:
begins and ends of tokens, begins and ends of sentences, lengths of words. All in bytes, as u32, little endian.
"""

import array
import concurrent.futures
import contextlib
import io
import itertools
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tarfile

import numpy

# A file is cut here: spaCy takes some kilobytes of memory per word.
MAX_TEXT_CHARS = 200_000
# Texts that wait for a process, at most.
JOBS_AT_ONCE = 2_000


def zstd(path):
    return subprocess.run(["zstd", "-dcq", "--long=27", path], stdout=subprocess.PIPE, check=True).stdout


def archive(path):
    with tarfile.open(fileobj=io.BytesIO(zstd(path))) as tar:
        for member in tar:
            if member.isfile():
                yield member.name, tar.extractfile(member).read().decode("utf-8", "replace")


def strip_badly(html):
    """Tags are gone; scripts, styles and character references stay."""
    return re.sub(r"<[^>]{0,200}>", " ", html)


def collection(folder):
    """Texts of every kind, a bit of each in turn, as (kind, text)."""
    data = pathlib.Path(folder)
    pages = (page for path in sorted((data / "extract").glob("*.zst")) for page in archive(path) if page[0].endswith(".html"))
    odd = (path for part in ("unicode", "html5lib", "gpt2-vocab") for path in sorted((data / part).rglob("*")))
    modules = sorted(pathlib.Path(os.__file__).parent.glob("*.py"))
    sources = {
        "web": (json.loads(line)["text"] for line in zstd(data / "text/web-gold.jsonl.zst").decode().split("\n") if line),
        "novels": (text for _, text in archive(data / "text/english-novels.tar.zst")),
        # One page in four as it is.
        "html": (strip_badly(text) if n % 4 else text for n, (_, text) in enumerate(pages)),
        "manuals": (text for _, text in archive(data / "neardup/powershell-docs-versions.tar.zst")),
        "languages": iter([zstd(data / "langid/eld-big-test.txt.zst").decode("utf-8", "replace")]),
        "odd": (path.read_bytes().decode("utf-8", "replace") for path in odd if path.is_file()),
        "code": (path.read_text("utf-8", "replace") for path in modules),
    }
    while sources:
        for kind, source in list(sources.items()):
            some = list(itertools.islice(source, 8))
            for text in some:
                for at in range(0, len(text), MAX_TEXT_CHARS):
                    yield kind, text[at : at + MAX_TEXT_CHARS]
            if not some:
                del sources[kind]


def collect(folder, out, max_mb):
    limit = int(max_mb) * 1_000_000
    total = {}
    with open(out, "wb") as file:
        for kind, text in collection(folder):
            raw = text.encode("utf-8", "replace")
            if sum(total.values()) + len(raw) > limit:
                break
            # Novels and pages, which are large, leave room for the others.
            if total.get(kind, 0) < limit * 2 // 5:
                file.write(struct.pack("<I", len(raw)) + raw)
                total[kind] = total.get(kind, 0) + len(raw)
    print(json.dumps(total))


def texts(path):
    with open(path, "rb") as file:
        while head := file.read(4):
            yield file.read(struct.unpack("<I", head)[0])


def spans(path):
    with open(path, "rb") as file:

        def numbers(head):
            (count,) = struct.unpack("<I", head)
            return array.array("I", file.read(4 * count))

        while head := file.read(4):
            yield numbers(head), numbers(file.read(4)), numbers(file.read(4))


def prepare():
    global nlp, datatrove
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    try:
        from datatrove.utils.word_tokenizers import SpaCyTokenizer

        datatrove = SpaCyTokenizer("en")
    except ImportError:
        datatrove = None


def byte_offsets(text):
    """Offset in bytes of each character and of the end."""
    codes = numpy.frombuffer(text.encode("utf-32-le"), "<u4")
    lens = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
    return numpy.concatenate([[0], numpy.cumsum(lens)])


def spacys_spans(text):
    """Tokens and sentences by spaCy: begins and ends in bytes, in turn."""
    at = byte_offsets(text)
    attributes = nlp(text).to_array(["IDX", "LENGTH", "SENT_START"]).astype(numpy.int64)
    begins, ends = at[attributes[:, 0]], at[attributes[:, 0] + attributes[:, 1]]
    starts = numpy.flatnonzero(attributes[:, 2] == 1)
    last = numpy.append(starts[1:], len(begins)) - 1
    return [numpy.stack(pair, axis=1).ravel() for pair in ((begins, ends), (begins[starts], ends[last]))]


def difference(job):
    """What is not as spaCy has it, if anything."""
    number, raw, (tokens, sentences, words) = job
    text = raw.decode("utf-8")
    # A zone forgets the text's words behind it; otherwise the vocabulary grows without end. It spoils the word
    # IS_ALPHA, which has the number by which spaCy's hash table marks a deleted slot: the next text with it is an
    # error, and datatrove then deletes the word.
    is_spoilt = "IS_ALPHA" in text
    with contextlib.nullcontext() if is_spoilt else nlp.memory_zone():
        expected = spacys_spans(text) if text else ([], [])
    for what, want, got in zip(("token", "sentence"), expected, (tokens, sentences)):
        if not numpy.array_equal(want, got):
            n = next((n for n, (w, g) in enumerate(zip(want, got)) if w != g), min(len(want), len(got))) // 2
            wanted, found = (show(raw, spans[max(0, 2 * n - 6) : 2 * n + 10]) for spans in (want, got))
            return f"text {number}, {what} {n}: spaCy {wanted}, not {found}"
    if datatrove and number % 8 == 0 and not is_spoilt:
        if list(words) != [len(word.encode()) for word in datatrove.word_tokenize(text)]:
            return f"text {number}: datatrove has other words"
    return None


def show(raw, spans):
    return [raw[a:b].decode("utf-8", "replace")[:60] for a, b in zip(spans[::2], spans[1::2])]


def check(texts_path, spans_path):
    count = failed = 0
    jobs = zip(itertools.count(), texts(texts_path), spans(spans_path))
    # A pool of `multiprocessing` waits for ever when one of its processes is killed; an executor takes all jobs at once.
    with concurrent.futures.ProcessPoolExecutor(initializer=prepare) as pool:
        while some := list(itertools.islice(jobs, JOBS_AT_ONCE)):
            for found in pool.map(difference, some, chunksize=8):
                count += 1
                if found:
                    failed += 1
                    if failed <= 20:
                        print(found, file=sys.stderr)
    if failed:
        sys.exit(f"{failed} of {count} texts differ")
    print(count)


if __name__ == "__main__":
    {"collect": collect, "check": check}[sys.argv[1]](*sys.argv[2:])
