"""The Ray driver, alone: a cluster of two nodes on this machine, and small shell commands."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402

import webtext.ray  # noqa: E402

MIB = 1 << 20
# For what takes a second on an idle machine: Ray starts a process of Python for each task, beside all other tests.
PATIENCE_SECONDS = 300


class DriverProcess:
    """A driver as `webtext build` has it: requests to its standard input, messages from its standard output."""

    def __init__(self, address: str, folder: Path) -> None:
        command = [sys.executable, "-m", "webtext.ray", "--address", address]
        variables = {**os.environ, "WEBTEXT_TEST": "from the driver", "AWS_REGION": "nowhere-1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=variables
        )
        self.messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.waiting: dict[tuple[str, int], dict[str, Any]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.messages.put(json.loads(line))
        self.messages.put(None)

    def ask(self, number: int, script: str, **options: Any) -> None:
        assert self.process.stdin is not None
        request = {"id": number, "command": ["sh", "-c", script], "cpus": 1.0, "memory_bytes": 10 * MIB, **options}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def next(self, state: str, number: int) -> dict[str, Any]:
        """The next message of this state about this task; others wait."""
        while (state, number) not in self.waiting:
            message = self.messages.get(timeout=PATIENCE_SECONDS)
            assert message is not None, "the driver ended"
            # That tasks wait is told of all, and tasks of a driver that was killed hold a node for a while.
            if message["state"] == "waiting":
                continue
            self.waiting[message["state"], message["id"]] = message
        return self.waiting.pop((state, number))

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 * MIB})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=100 * MIB)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture
def driver(cluster: Any, tmp_path: Path) -> Iterator[DriverProcess]:
    driver = DriverProcess(cluster.address, tmp_path)
    yield driver
    driver.process.kill()


def wait_for(condition: Any) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def test_commands_run_and_say_how_they_end(driver: DriverProcess, tmp_path: Path) -> None:
    driver.ask(1, 'echo "$WEBTEXT_TEST, $AWS_REGION" > said; echo out; echo error >&2')
    driver.ask(2, "head -c 9000 /dev/zero | tr '\\0' x >&2; exit 7")
    driver.ask(3, "kill -9 $$")
    driver.ask(4, "exit 0", command=["no-such-command"])
    first = driver.next("ended", 1)
    assert (first["code"], first["output"]) == (0, "error\n")
    assert len(first["node"]) > 8
    assert (tmp_path / "said").read_text() == "from the driver, nowhere-1\n"
    second, third, fourth = (driver.next("ended", number) for number in (2, 3, 4))
    assert (second["code"], second["output"]) == (7, "x" * 4096)
    assert third["code"] == 137
    assert fourth["code"] == 127 and "no-such-command" in fourth["output"]
    assert driver.end() == 0


def test_a_node_is_avoided_and_tasks_run_side_by_side(driver: DriverProcess) -> None:
    driver.ask(1, "true")
    node = driver.next("ended", 1)["node"]
    driver.ask(2, "sleep 1", avoid=[node])
    other = driver.next("ended", 2)["node"]
    assert other != node
    # With no other node left, an avoided one is better than none.
    driver.ask(3, "true", avoid=[node, other])
    assert driver.next("ended", 3)["code"] == 0


@pytest.mark.parametrize("how", ["end of input", "SIGTERM"])
def test_what_runs_is_cancelled(driver: DriverProcess, tmp_path: Path, how: str) -> None:
    driver.ask(1, "echo $$ > pid; sleep 600 & wait")
    assert driver.next("running", 1)["node"]
    pid = tmp_path / "pid"
    wait_for(lambda: pid.exists() and pid.read_text().strip())
    group = int(pid.read_text())
    if how == "SIGTERM":
        driver.process.send_signal(signal.SIGTERM)
        assert driver.process.wait(PATIENCE_SECONDS) == 0
    else:
        assert driver.end() == 0
    wait_for(lambda: not group_lives(group))


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    # A process that nobody waits for yet is not alive.
    states = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True).stdout.split()
    return any(not state.startswith("Z") for state in states)


def test_a_missing_cluster_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "webtext.ray", "--address", "127.0.0.1:1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == "" and "no Ray cluster at 127.0.0.1:1" in done.stderr


def test_build_calls_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[Any] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        said.append(command[3:])
        return subprocess.CompletedProcess(command, said_code, '{"kept": 3}')

    monkeypatch.setattr(subprocess, "run", run)
    for said_code in (0, 3):
        values: dict[str, object] = {"limits.buckets": 4, "dedup.exact": True, "x": None, "dedup.near": {"recall": 0.9}, "pages.paths": ["a", 'b"']}
        flags: dict[str, Any] = {"dry_run": True, "json": False, "stage": "-s", "exclude": ["a", Path("b")], "threads": None}
        summary = webtext.ray.build("a.toml", out=tmp_path, address="auto", set=values, **flags)
        assert summary == {"kept": 3}
    settings = ['--set=executor.ray.address="auto"', "--set=limits.buckets=4", "--set=dedup.exact=true"]
    settings += ['--set=dedup.near={"recall" = 0.9}', '--set=pages.paths=["a", "b\\""]']
    settings += ["--dry-run", "--stage=-s", "--exclude=a", "--exclude=b"]
    assert said[0] == ["build", "a.toml", "--executor", "ray", "--json", "--out", str(tmp_path), *settings]
    said_code = 1
    with pytest.raises(webtext.Error, match="ended with 1"):
        webtext.ray.build("a.toml")
    with pytest.raises(TypeError, match="shards.seed"):
        webtext.ray.build("a.toml", set={"shards.seed": b"x"})


def test_what_no_node_has_is_said(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBTEXT_RAY_WAIT_SECONDS", "1")
    driver = DriverProcess(cluster.address, tmp_path)
    try:
        driver.ask(1, "true", cpus=64.0)
        message = driver.messages.get(timeout=PATIENCE_SECONDS)
        assert message is not None and message["state"] == "refused", message
        assert "64 CPU and 10 MiB" in message["reason"] and "1 CPU and" in message["reason"]
    finally:
        driver.process.kill()


def test_a_lost_node_is_reported(cluster: Any, driver: DriverProcess, tmp_path: Path) -> None:
    nodes = list(cluster.worker_nodes)
    driver.ask(1, "echo $$ > pid-1; sleep 600")
    driver.ask(2, "echo $$ > pid-2; sleep 600")
    places = {driver.next("running", number)["node"]: number for number in (1, 2)}
    assert len(places) == 2
    lost = next(node for node in nodes if node.node_id in places)
    number = places[lost.node_id]
    pid = tmp_path / f"pid-{number}"
    wait_for(lambda: pid.exists() and pid.read_text().strip())
    cluster.remove_node(lost, allow_graceful=False)
    ended = driver.next("ended", number)
    assert (ended["code"], ended["node"]) == (None, lost.node_id)
    assert ended["output"]
    # Its process is gone with it; the other one runs on, and a new task finds the other node.
    wait_for(lambda: not group_lives(int(pid.read_text())))
    driver.ask(3, "true", cpus=0, avoid=[lost.node_id])
    assert driver.next("ended", 3)["code"] == 0
    assert driver.end() == 0
