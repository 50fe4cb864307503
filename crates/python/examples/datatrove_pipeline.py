"""A pipeline of datatrove with the steps of webtext. Takes a folder of WARC files, or makes one with a page."""

import sys
import tempfile
from pathlib import Path

from clean import small_archive
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.writers import JsonlWriter

from webtext.datatrove import Extractor, RuleFilter, TokensCounter, WarcReader

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.warc").write_bytes(small_archive().getvalue())
        steps = [
            WarcReader(sys.argv[1] if len(sys.argv) > 1 else str(folder), glob_pattern="*.warc*"),
            Extractor(add_metadata=True),
            RuleFilter([{"rule": "length", "min_words": 20, "max_words": 100_000}]),
            TokensCounter("gpt2"),
            JsonlWriter(str(folder / "out"), compression=None),
        ]
        LocalPipelineExecutor(steps, tasks=1, logging_dir=str(folder / "logs")).run()
        for file in sorted((folder / "out").iterdir()):
            print(file.read_text()[:1000])
