"""Runs the tasks of `webtext build --executor ray` on a Ray cluster.

`python -m webtext.ray --address ADDRESS` is a child of the build, which decides what runs: this driver bounds nothing and
retries nothing. It reads JSON lines from standard input,

    {"id": 5, "command": ["webtext", "build", …], "cpus": 1.0, "memory_bytes": 2000000000, "avoid": ["a node's id", …]}

starts each as a Ray task, and writes JSON lines to standard output:

    {"id": 5, "state": "running", "node": "…"}
    {"id": 5, "state": "ended", "code": 0, "node": "…", "output": "the last 4 kB of its standard error"}
    {"state": "waiting", "reason": "what is asked for, and what the cluster has"}
    {"state": "refused", "reason": "what is asked for, and what the nodes have, of which none has enough"}

`code` is null where nobody knows how the command ended, as when its node died; `output` has the reason. The last two come
where nothing runs and nothing has begun for a while. When standard input
ends, or on SIGTERM, all that runs is cancelled, and the driver exits with 0.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

__all__ = ["build", "main"]

OUTPUT_BYTES = 4096
# Variables of the driver that tasks get: credentials of object storage, and webtext's own.
VARIABLES = ("AWS_", "GOOGLE_", "AZURE_", "WEBTEXT_")
# Seconds in which the cluster must answer.
CONNECT_SECONDS = 10
# Seconds without a running task after which the driver says why; a cluster that grows by itself may take longer.
WAIT_SECONDS = float(os.environ.get("WEBTEXT_RAY_WAIT_SECONDS", "60"))
# Seconds that tasks have to end when they are cancelled, before they are killed.
CANCEL_SECONDS = 6


# Runs a command in this process group. When the other end of standard input is gone, which is the task, it kills the group:
# no signal or death of the task leaves anything behind.
WATCHER = """
import os, signal, subprocess, sys, threading
def watch():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
try:
    code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
except OSError as error:
    sys.stderr.write(f"cannot start {sys.argv[1]}: {error}\\n")
    code = 127
os._exit(code if code >= 0 else 128 - code)
"""


def run_task(command: list[str], folder: str, variables: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """What a Ray task does: runs the command in a process group of its own, which dies with the task.

    Gives the node, and then the exit code and the end of standard error.
    """
    import ray

    yield {"state": "running", "node": ray.get_runtime_context().get_node_id()}
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", WATCHER, *command],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        yield {"state": "ended", "code": 127, "output": f"cannot run in {folder}: {error}"}
        return
    assert child.stderr is not None
    try:
        tail, is_open = b"", True
        while is_open or child.poll() is None:
            # In short waits: Ray's cancellation comes between two of Python's own instructions.
            if select.select([child.stderr], [], [], 0.2)[0] and is_open:
                chunk = os.read(child.stderr.fileno(), 1 << 16)
                tail, is_open = (tail + chunk)[-OUTPUT_BYTES:], bool(chunk)
            if child.poll() is not None and is_open:
                # What the command has left behind holds its standard error.
                kill_group(child.pid)
    finally:
        kill_group(child.pid)
        child.wait()
    yield {"state": "ended", "code": child.returncode, "output": tail.decode("utf-8", "replace")}


def kill_group(group: int) -> None:
    """Kills a process group, if there is one."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Driver:
    """Starts tasks, and says how they end."""

    def __init__(self, address: str, messages: IO[str]) -> None:
        import ray

        self.ray = ray
        self.messages = messages
        self.lock = threading.Lock()
        self.running: dict[int, Any] = {}
        # Those of them that no node has begun.
        self.waiting: dict[int, dict[str, Any]] = {}
        self.placed = 0
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        ray.cloudpickle.register_pickle_by_value(sys.modules[run_task.__module__])
        self.task = ray.remote(run_task)
        self.variables = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
        threading.Thread(target=self.watch, daemon=True).start()

    def start(self, request: dict[str, Any]) -> None:
        options: dict[str, Any] = {"num_cpus": request.get("cpus", 1.0), "max_retries": 0, "num_returns": "streaming"}
        if memory := request.get("memory_bytes"):
            options["memory"] = memory
        if strategy := self.elsewhere(request):
            options["scheduling_strategy"] = strategy
        stream = self.task.options(**options).remote(request["command"], os.getcwd(), self.variables)
        with self.lock:
            self.running[request["id"]] = stream
            self.waiting[request["id"]] = request
        threading.Thread(target=self.follow, args=(request["id"], stream), daemon=True).start()

    def elsewhere(self, request: dict[str, Any]) -> Any:
        """Another live node that is large enough, if there is one; the task goes elsewhere if that node is lost."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        avoid = request.get("avoid", [])
        if not avoid:
            return None
        large = (node["NodeID"] for node in self.nodes() if fits(request, node["Resources"]))
        others = sorted(node for node in large if node not in avoid)
        if not others:
            return None
        self.placed += 1
        return NodeAffinitySchedulingStrategy(others[self.placed % len(others)], soft=True)

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that are alive."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def watch(self) -> None:
        """Says why nothing begins, once nothing has run for a while."""
        since = warned = time.monotonic()
        while True:
            time.sleep(min(5.0, WAIT_SECONDS / 4))
            with self.lock:
                request = next(iter(self.waiting.values()), None)
                is_idle = request is not None and len(self.waiting) == len(self.running)
            now = time.monotonic()
            if request is None or not is_idle:
                since = warned = now
            elif now - since >= WAIT_SECONDS and now - warned >= WAIT_SECONDS:
                warned = now + 9 * WAIT_SECONDS
                self.send(self.obstacle(request))

    def obstacle(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is asked for and what there is, as a message."""
        asked = shown({"CPU": request.get("cpus", 1.0), "memory": request.get("memory_bytes", 0)})
        nodes = [node["Resources"] for node in self.nodes()]
        if any(fits(request, node) for node in nodes):
            free = shown(self.ray.available_resources())
            return {"state": "waiting", "reason": f"Ray has begun no task for a while: each asks for {asked}; free are {free}"}
        have = "; ".join(sorted(shown(node) for node in nodes)) or "nothing, as there is no node"
        hint = "set executor.cpus and executor.memory_mib, or those of the stage"
        return {"state": "refused", "reason": f"no node of the Ray cluster has {asked}, which a task asks for; they have {have}: {hint}"}

    def follow(self, number: int, stream: Any) -> None:
        """Says what becomes of a task, until its end."""
        node, is_ended = None, False
        try:
            for reference in stream:
                message = self.ray.get(reference)
                with self.lock:
                    self.waiting.pop(number, None)
                node = message.get("node", node)
                is_ended = message["state"] == "ended"
                if is_ended:
                    self.forget(number)  # Ray does not bear that what has just ended is cancelled
                self.send({"id": number, **message, "node": node})
        except Exception as error:  # whatever Ray raises: the build must hear of it
            if not is_ended:
                output = str(error)[-OUTPUT_BYTES:]
                self.send({"id": number, "state": "ended", "code": None, "node": node, "output": output})
        self.forget(number)

    def forget(self, number: int) -> None:
        """Takes a task off those that are cancelled at the end."""
        with self.lock:
            self.running.pop(number, None)
            self.waiting.pop(number, None)

    def send(self, message: dict[str, Any]) -> None:
        with self.lock:
            try:
                self.messages.write(json.dumps(message) + "\n")
                self.messages.flush()
            except BrokenPipeError:
                pass  # the build is gone, and standard input ends

    def cancel(self) -> None:
        """Cancels what runs, and waits for its end."""
        for force in (False, True):
            with self.lock:
                streams = list(self.running.values())
            for stream in streams:
                self.ray.cancel(stream, force=force)
            end = time.monotonic() + CANCEL_SECONDS
            while self.running and time.monotonic() < end:
                time.sleep(0.05)


def fits(request: dict[str, Any], resources: Mapping[str, float]) -> bool:
    """Whether a node with these resources, if nothing else runs there, can run what is asked for."""
    cpus, memory = request.get("cpus", 1.0), request.get("memory_bytes", 0)
    return bool(resources.get("CPU", 0) >= cpus and resources.get("memory", 0) >= memory)


def shown(resources: Mapping[str, float]) -> str:
    """Processors and memory, for people."""
    return f"{resources.get('CPU', 0):g} CPU and {int(resources.get('memory', 0)) >> 20} MiB"


def check_address(address: str) -> None:
    """Raises OSError if nobody answers at `HOST:PORT`: Ray itself tries for a minute, and then ends the process."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


class _Stopped(Exception):
    """SIGTERM came."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The driver."""
    parser = argparse.ArgumentParser(prog="python -m webtext.ray", description="Runs tasks of webtext build on Ray.")
    parser.add_argument("--address", default="auto", help="the cluster, as ray.init takes it")
    address = parser.parse_args(arguments).address
    # Ray prints to standard output, which is the build's.
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        check_address(address)
        driver = Driver(address, messages)
    except ImportError as error:
        print(f"error: --executor ray needs Ray ({error}): pip install 'ray>=2.40'", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"error: there is no Ray cluster at {address}: {error}", file=sys.stderr)
        return 1

    def stop(*_: object) -> None:
        raise _Stopped

    signal.signal(signal.SIGTERM, stop)
    # Ctrl-C is the build's, which closes standard input when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for line in sys.stdin:
            if line.strip():
                driver.start(json.loads(line))
    except _Stopped:
        pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    driver.cancel()
    return 0


def build(
    recipe: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    address: str | None = None,
    set: Mapping[str, object] | None = None,
    **options: object,
) -> dict[str, Any]:
    """Builds a recipe on a Ray cluster, as `webtext build RECIPE --executor ray` does, and returns its summary.

    `out` is the run's folder, which all nodes see; `address` is the cluster's, `set` has keys of the recipe with their values
    (`{"dedup.exact": True}`), and any other option is the flag of its name (`stage="documents.extract"`, `dry_run=True`,
    `exclude=["a", "b"]`). What is None is left out. Progress goes to standard error. Raises `webtext.Error` if
    a task failed for good; the same call goes on where the run stopped.
    """
    from webtext import Error

    command = ["build", os.fspath(recipe), "--executor", "ray", "--json"]
    command += ["--out", os.fspath(out)] if out is not None else []
    settings = {**({} if address is None else {"executor.ray.address": address}), **(set or {})}
    command += [f"--set={key}={toml(value, key)}" for key, value in settings.items() if value is not None]
    for name, value in options.items():
        command += flags("--" + name.replace("_", "-"), value)
    start = "import webtext._commands as c; c.webtext()"
    done = subprocess.run([sys.executable, "-c", start, *command], stdout=subprocess.PIPE, text=True)
    # With 3 some inputs were unreadable; standard error names them.
    if done.returncode not in (0, 3):
        raise Error(f"webtext {' '.join(command)} ended with {done.returncode}; standard error says why")
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def toml(value: object, key: str) -> str:
    """A value as TOML writes it; `key` names it in errors."""
    if hasattr(value, "tolist"):  # a number or an array of numpy's
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        # What JSON escapes, TOML reads, and it also wants the one control character that JSON leaves.
        return json.dumps(os.fspath(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml(str(name), key)} = {toml(inner, key)}" for name, inner in value.items()) + "}"
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return "[" + ", ".join(toml(inner, key) for inner in value) + "]"
    raise TypeError(f"set has {value!r} for {key}, which is no value of a recipe")


def flags(flag: str, value: object) -> list[str]:
    """A flag of the command: alone for True, several times for a list, and not at all for False and None."""
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, os.PathLike)):
        return [word for inner in value for word in flags(flag, inner)]
    return [f"{flag}={os.fspath(value) if isinstance(value, os.PathLike) else value}"]


if __name__ == "__main__":
    sys.exit(main())
