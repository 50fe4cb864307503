"""Records per second of archives, beside warcio and FastWARC, in interleaved runs. Called by warc.sh.

Every contestant reads every record's header and all of its block, and must come to the same number of records and
of bytes. A run is a process of its own; CPU seconds are what the system says when it ends, start-up and imports
included (some 0.1 s of the peers').
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

from peers import interleave, machine, print_table, run

# Bytes of the compressed archive, about; the samples are repeated to it.
ARCHIVE_BYTES = 300_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(machine(["warcio", "fastwarc"]))
    # In a process of its own: a child's peak memory starts from that of the process it was forked from.
    subprocess.run([sys.executable, __file__, "make", options.scratch], check=True)
    for archive in ["archive.warc.gz", "archive.warc"]:
        measure(options, options.scratch / archive)


def make_archives(scratch):
    """The samples' .warc.gz that all three read alike, again and again; and what is in them, uncompressed."""
    samples = scratch / "samples"
    names = [line.split("\t")[1] for line in open(samples / "STATS.tsv", encoding="utf-8")]
    used, texts = [], []
    for name in names:
        path = samples / name
        if not name.endswith(".warc.gz") or not path.exists():
            continue
        if not all_agree(scratch, path):
            continue
        used.append(path.read_bytes())
        # Some lack the blank lines between records, which only members make up for.
        text = gzip.decompress(used[-1])
        twice = scratch / "twice.warc"
        twice.write_bytes(text * 2)
        if all_agree(scratch, twice):
            texts.append(text)
    times = ARCHIVE_BYTES // sum(map(len, used)) + 1
    (scratch / "archive.warc.gz").write_bytes(b"".join(used) * times)
    # A third as often: uncompressed it is three times as large.
    (scratch / "archive.warc").write_bytes(b"".join(texts) * (times // 3 + 1))
    print(f"{len(used)} archives of the samples, {times} times over")


def all_agree(scratch, path):
    """Whether all three read a file to its end, and find the same in it."""
    peers = [[sys.executable, __file__, "peer", peer, path] for peer in ["fastwarc", "warcio"]]
    results = [subprocess.run(command, capture_output=True) for command in [[scratch / "count", path], *peers]]
    if any(result.returncode for result in results):
        return False
    first, *others = [json.loads(result.stdout) for result in results]
    return first["malformed"] == 0 and all(other == first for other in others)


def measure(options, archive):
    def peer(name):
        return lambda: counted(run([sys.executable, __file__, "peer", name, archive]))

    contestants = {"warc": lambda: counted(run([options.scratch / "count", archive]))}
    contestants |= {name: peer(name) for name in ["fastwarc", "fastwarc+http", "warcio", "warcio+http"]}
    results = interleave(contestants, options.runs)
    first = results["warc"][0]
    for name in ["fastwarc", "warcio"]:
        for key in ["records", "bytes"]:
            if results[name][0][key] != first[key]:
                sys.exit(f"error: {name} finds {results[name][0][key]} {key}, not {first[key]}")
    title = f"{archive.name}: {archive.stat().st_size} bytes, {first['records']} records, {first['bytes']} bytes of blocks, one thread"
    print_table(title, "records/CPU s", results, lambda result: result["records"] / result["cpu_s"])


def counted(result):
    return result | json.loads(result["output"])


def peer_fastwarc(path, parse_http=False):
    from fastwarc.warc import ArchiveIterator

    records = size = 0
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, parse_http=parse_http):
            records += 1
            size += len(record.reader.read())
    return {"records": records, "malformed": 0, "bytes": size}


def peer_warcio(path, parse_http=False):
    from warcio.archiveiterator import ArchiveIterator

    sys.stderr = open(os.devnull, "w")  # It speaks of every URL with a space in it.
    records = size = 0
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, no_record_parse=not parse_http):
            records += 1
            size += len(record.raw_stream.read())
    return {"records": records, "malformed": 0, "bytes": size}


PEERS = {
    "fastwarc": peer_fastwarc,
    "fastwarc+http": lambda path: peer_fastwarc(path, parse_http=True),
    "warcio": peer_warcio,
    "warcio+http": lambda path: peer_warcio(path, parse_http=True),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        print(json.dumps(PEERS[sys.argv[2]](sys.argv[3])))
    elif sys.argv[1:2] == ["make"]:
        make_archives(Path(sys.argv[2]))
    else:
        main()
