"""What is done to whole files, as the commands do it: `encode_files` and `train_bpe`.

Each call runs the command in a process of its own, so that Ctrl-C ends it between batches, and its memory is free when it
has ended.
"""

from __future__ import annotations

import json
import operator
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from webtext._webtext import Error, Tokenizer, train_bpe_from_iterator

__all__ = ["encode_files", "run", "train_bpe"]

StrPath = str | os.PathLike[str]


def run(program: Literal["webtext", "bpe", "gpt2"], arguments: Sequence[StrPath], *, codes: tuple[int, ...] = (0,)) -> str:
    """Runs a command and returns what it prints; progress and warnings go to standard error.

    Raises `webtext.Error` with the command's message if its exit code is not among `codes`: 0 complete, 1 failed, 2 wrong
    usage, 3 finished with some inputs unreadable, 130 stopped.
    """
    start = f"import webtext._commands as c; c.{program}()"
    command = [sys.executable, "-c", start, *(os.fspath(argument) for argument in arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode not in codes:
        shown = " ".join(os.fspath(argument) for argument in arguments)
        raise Error(f"{program} {shown} ended with {done.returncode}: {done.stderr.strip() or 'it said nothing'}")
    sys.stderr.write(done.stderr)
    return done.stdout


def encode_files(
    inputs: StrPath | Iterable[StrPath],
    output: StrPath,
    *,
    tokenizer: StrPath | Tokenizer = "gpt2",
    format: Literal["nanogpt", "llmc", "megatron", "ids"] = "nanogpt",
    specials: bool = False,
    end_of_text: str | None = None,
    text_field: str | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Encodes files into one file of token ids, as `bpe encode` does, and returns its counts.

    `inputs` are text, JSON Lines or Parquet, compressed or not; `output` is written whole or not at all. `tokenizer` is
    `"gpt2"`, a tokenizer's folder or file, or a `Tokenizer`. The result has `documents`, `tokens` and `bytes`, and numpy's
    name of the ids' type as `dtype`.
    """
    with tempfile.TemporaryDirectory(prefix="webtext-") as folder:
        if isinstance(tokenizer, Tokenizer):
            tokenizer.save(folder)
            tokenizer = folder
        options = [f"--tokenizer={os.fspath(tokenizer)}", f"--format={format}"]
        options += ["--specials"] if specials else []
        options += [f"--end-of-text={end_of_text}"] if end_of_text is not None else []
        options += [*_reading(text_field, threads), "-o", os.path.abspath(output)]
        return _summary(run("bpe", ["encode", "--json", "-q", *options, "--", *_paths(inputs)]))


def train_bpe(
    inputs: StrPath | Iterable[StrPath],
    vocab_size: int,
    *,
    output: StrPath | None = None,
    pattern: str = "gpt2",
    special: Sequence[str] | None = None,
    min_frequency: int = 2,
    text_field: str | None = None,
    threads: int | None = None,
) -> Tokenizer:
    """Trains a tokenizer on files, as `bpe train` does.

    `inputs` are text, JSON Lines or Parquet, compressed or not. `pattern` is gpt2, cl100k, o200k, llama3, qwen2, deepseek3
    or a regular expression; `special` are the tokens behind all others, by default <|endoftext|>. `output` is a folder that keeps the tokenizer's
    files; a call that was interrupted goes on from the checkpoint in it. For texts in memory there is
    `train_bpe_from_iterator`.
    """
    if isinstance(special, str):
        raise TypeError(f"special is a list of tokens, such as [{special!r}]")
    special = ["<|endoftext|>"] if special is None else list(special)
    options = [f"--vocab-size={_number('vocab_size', vocab_size, 256 + len(special))}"]
    options += [f"--min-frequency={_number('min_frequency', min_frequency, 0)}", *_reading(text_field, threads)]
    with tempfile.TemporaryDirectory(prefix="webtext-") as scratch:
        folder = Path(scratch, "tokenizer") if output is None else Path(output)
        if special:
            options += [f"--pattern={pattern}", *(f"--special={token}" for token in special)]
        else:
            # The command has no flag for none; but a training that goes on from a tokenizer adds none by itself.
            bytes_alone = Path(scratch, "bytes")
            train_bpe_from_iterator([], 256, pattern=pattern, special=()).save(bytes_alone)
            options += [f"--from={bytes_alone}"]
        run("bpe", ["train", "--json", "-q", *options, "-o", folder.absolute(), "--", *_paths(inputs)])
        return Tokenizer.from_file(folder)


def _paths(inputs: StrPath | Iterable[StrPath]) -> list[StrPath]:
    return [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)


def _reading(text_field: str | None, threads: int | None) -> list[str]:
    options = [f"--text-field={text_field}"] if text_field is not None else []
    options += [f"--threads={_number('threads', threads, 1)}"] if threads is not None else []
    return options


def _number(name: str, value: int, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name} = {number}; it is a whole number from {least} on")
    return number


def _summary(printed: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(printed)
    return summary
