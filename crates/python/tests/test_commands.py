"""The commands in the wheel: arguments, exit codes, signals and pipes; and what help() shows."""

from __future__ import annotations

import ast
import inspect
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest

import webtext
from webtext import _webtext

SCRIPTS = Path(sysconfig.get_path("scripts"))


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("program", ["webtext", "bpe", "gpt2"])
def test_scripts_are_the_commands(program: str) -> None:
    help = run(SCRIPTS / program, "--help")
    assert help.returncode == 0 and f"Usage: {program} " in help.stdout
    assert run(SCRIPTS / program, "--version").stdout == f"{program} {webtext.__version__}\n"
    wrong = run(SCRIPTS / program, "--nonsense")
    assert wrong.returncode == 2 and "--nonsense" in wrong.stderr and not wrong.stdout
    assert run(SCRIPTS / program).returncode == 2


def test_the_module_is_the_command() -> None:
    assert run(sys.executable, "-m", "webtext", "--version").stdout == f"webtext {webtext.__version__}\n"


def test_exit_codes_and_output(tmp_path: Path) -> None:
    missing = run(SCRIPTS / "bpe", "count", tmp_path / "none.txt")
    assert missing.returncode == 1 and missing.stderr.startswith("error: ")
    (tmp_path / "a.txt").write_text("Hello world")
    ids = run(SCRIPTS / "bpe", "encode", tmp_path / "a.txt", "--format", "ids", "-o", "-", "-q")
    assert (ids.returncode, ids.stdout) == (0, "15496 995\n")
    # A name that is no UTF-8.
    odd = os.fsdecode(b"\xff.txt")
    (tmp_path / odd).write_text("x")
    assert run(SCRIPTS / "bpe", "count", odd, cwd=tmp_path).returncode == 0


def test_a_closed_pipe_ends_it_quietly() -> None:
    command = f"'{SCRIPTS / 'bpe'}' info gpt2 | true; echo ${{PIPESTATUS[0]}}"
    done = run("bash", "-c", command)
    assert done.stderr == "" and done.stdout in ("0\n", "141\n")


def heed_ctrl_c() -> None:
    """Jobs in the background are started with Ctrl-C ignored, and so may be these tests."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_stops_it(tmp_path: Path) -> None:
    fifo = tmp_path / "texts"
    os.mkfifo(fifo)
    command: list[str | Path] = [SCRIPTS / "bpe", "count", fifo]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=heed_ctrl_c)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # a second one ends it at once
    assert process.wait(20) in (130, -signal.SIGINT)


def test_ctrl_c_stops_a_call() -> None:
    heed_ctrl_c()
    text = " ".join(map(str, range(20_000)))  # every shingle another: no machine is done with 10,000 of these in 0.3 s
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        webtext.minhash_batch([text] * 10_000, bands=64, rows=16)
    assert time.monotonic() - start < 10


def test_children_of_a_command_know_this_python() -> None:
    code = "import os, webtext._commands as c; c.run_command = lambda *_: print(os.environ['WEBTEXT_PYTHON']) or 0; c.webtext()"
    assert run(sys.executable, "-c", code).stdout.strip() == sys.executable


def test_docstrings_begin_as_the_stub_has_them() -> None:
    stub = ast.parse((Path(inspect.getfile(webtext)).parent / "_webtext.pyi").read_text())

    def first(text: str | None) -> str:
        return " ".join((text or "").split("\n\n")[0].split())

    def compare(nodes: list[ast.stmt], owner: object, path: str) -> int:
        compared = 0
        for node in nodes:
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
                continue
            found = getattr(owner, node.name)
            assert first(ast.get_docstring(node)) == first(found.__doc__), f"{path}{node.name}"
            compared += 1
            if isinstance(node, ast.ClassDef):
                compared += compare(node.body, found, f"{node.name}.")
        return compared

    assert compare(stub.body, _webtext, "") > 60
