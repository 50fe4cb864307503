"""A whole build on Ray: the bytes of the local one, with the build killed, its driver killed and a node lost under way."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402

import webtext.ray  # noqa: E402

MIB = 1 << 20
PIPELINES = Path(__file__).parents[3] / "pipelines"


def digests(run: Path) -> dict[str, str]:
    """What the run has made for people: its tables, texts and tokens."""
    folders = ("links", "pages", "documents", "duplicates", "shards", "tokenizer", "tokens")
    files = (file for folder in folders for file in sorted((run / folder).rglob("*")) if file.is_file())
    return {str(file.relative_to(run)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def start(recipe: Path, out: Path, *options: str, errors: int | None = None) -> subprocess.Popen[str]:
    command: list[str | Path] = [sys.executable, "-m", "webtext", "build", recipe, "--out", out, "-q", *options]
    return subprocess.Popen(command, stderr=errors, text=True)


def driver_of(build: subprocess.Popen[str]) -> int:
    """The process between the build and the cluster."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        drivers = subprocess.run(["pgrep", "-P", str(build.pid), "-f", "webtext.ray"], capture_output=True, text=True)
        if pids := drivers.stdout.split():
            return int(pids[0])
        time.sleep(0.05)
    raise AssertionError("the build has no driver")


def wait_for(path: Path, pattern: str, build: subprocess.Popen[str]) -> None:
    """Waits until the build has made such a file; on a busy machine Ray's workers take minutes to start."""
    end = time.monotonic() + 600
    while not list(path.glob(pattern)):
        assert build.poll() is None, f"the build ended with {build.returncode} and made no {pattern}"
        assert time.monotonic() < end, f"no {pattern} in {path}"
        time.sleep(0.1)


def test_a_build_on_ray_gives_the_bytes_of_the_local_one(tmp_path: Path) -> None:
    # The quickstart without its model.
    text = (PIPELINES / "quickstart.toml").read_text().split("[model]")[0].replace("../fixtures", str(PIPELINES / "../fixtures"))
    recipe, run = tmp_path / "recipe.toml", tmp_path / "ray"
    recipe.write_text(text + "\n[limits]\nbuckets = 3\n\n[executor]\nmemory_mib = 512\n")
    local = start(recipe, tmp_path / "local")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 * MIB})
    try:
        options = {"num_cpus": 2, "object_store_memory": 100 * MIB, "memory": 4096 * MIB}
        lost, _ = [cluster.add_node(**options) for _ in range(2)]
        cluster.wait_for_nodes()
        assert local.wait(300) == 0
        on_ray = ["--executor", "ray", "--set", f"executor.ray.address={cluster.address}"]
        killed = start(recipe, run, *on_ray)
        wait_for(run, "links/*", killed)
        killed.kill()
        killed.wait()
        driverless = start(recipe, run, *on_ray, errors=subprocess.PIPE)
        os.kill(driver_of(driverless), signal.SIGKILL)
        _, said = driverless.communicate(timeout=600)
        assert driverless.returncode == 1 and "the Ray driver has ended (signal: 9" in said, said
        again = start(recipe, run, *on_ray)
        driver = driver_of(again)
        wait_for(run, "documents/text/*", again)
        assert driver_of(again) == driver, "each stage has a driver of its own"
        cluster.remove_node(lost, allow_graceful=False)
        assert again.wait(600) == 0
        # Nothing is left to do; the function of Python gives the summary.
        assert webtext.ray.build(recipe, out=run, address=cluster.address)
    finally:
        cluster.shutdown()
    assert digests(run) == digests(tmp_path / "local") != {}
