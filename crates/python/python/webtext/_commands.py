"""The console scripts `webtext`, `bpe` and `gpt2`: the commands in this process, with its arguments and signals."""

import os
import signal
import sys
from typing import NoReturn

from webtext._webtext import run_command


def _run(program: str) -> NoReturn:
    # As a program of its own has them: Python's handler runs between its own instructions, of which there are none until the
    # command ends. A Ctrl-C that is ignored, as of jobs in the background, stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    # Executors start more of this Python.
    os.environ["WEBTEXT_PYTHON"] = sys.executable
    code = run_command(program, sys.argv[1:])
    # At once: a command has written what it writes, and threads of it may still wait for the network.
    sys.stdout.flush()
    os._exit(code)


def webtext() -> NoReturn:
    """The command `webtext`."""
    _run("webtext")


def bpe() -> NoReturn:
    """The command `bpe`."""
    _run("bpe")


def gpt2() -> NoReturn:
    """The command `gpt2`."""
    _run("gpt2")
