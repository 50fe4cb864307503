#!/usr/bin/env python3
"""Training steps of `gpt2` beside PyTorch, contestants in turn: benches/gpt2.py [--rounds N] [--bin FILE]

Needs torch in the Python that runs it. Each contestant is a process of its own that times its steps (forward,
backward, clipping, AdamW) on made-up tokens; the first two steps of each are left out, they allocate and compile.
Given are the median over all steps of all rounds, and the ratio to ours of the same precision.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHAPES = {
    "small (6 × 384, 4 × 256 tokens)": dict(layers=6, heads=6, channels=384, context=256, t=256, batch=4),
    "124M (12 × 768, 4 × 64 tokens)": dict(layers=12, heads=12, channels=768, context=1024, t=64, batch=4),
}
CONTESTANTS = {
    "ours f32": ("f32", None),
    "PyTorch eager": ("f32", 1.7),
    "PyTorch compiled": ("f32", 1.4),
    "ours bf16": ("bf16", None),
    "PyTorch bf16 autocast": ("bf16", 1.4),
}
LEFT_OUT = 2


def command(contestant, shape, steps, binary):
    flags = [flag for key, value in shape.items() for flag in (f"--{key}", str(value))]
    flags += ["--vocab-size", "50257", "--steps", str(steps + LEFT_OUT)]
    if contestant.startswith("ours"):
        flags = ["--sequence-length" if flag == "--t" else flag for flag in flags]
        return [binary, "bench", *flags, "--precision", CONTESTANTS[contestant][0], "--json"]
    mode = {"PyTorch eager": "eager", "PyTorch compiled": "compiled", "PyTorch bf16 autocast": "bf16"}[contestant]
    return [sys.executable, str(HERE / "gpt2_torch.py"), mode, *flags]


def run(arguments):
    """What a process printed, and its peak memory in MiB."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))} ended with {process.returncode}")
    return json.loads(printed.splitlines()[-1]), usage.ru_maxrss / 1024


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=6)
    arguments.add_argument("--bin", default=None, help="the binary gpt2; built when absent")
    options = arguments.parse_args()
    binary = options.bin
    if binary is None:
        subprocess.run(["cargo", "build", "--release", "-p", "gpt2-lab"], cwd=HERE.parent, check=True)
        binary = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")) / "release" / "gpt2"
    for name, shape in SHAPES.items():
        times, peaks, shares = ({key: [] for key in CONTESTANTS} for _ in range(3))
        for _ in range(options.rounds):
            for contestant in CONTESTANTS:
                result, peak_mib = run(command(contestant, shape, options.steps, str(binary)))
                times[contestant] += result["milliseconds"][LEFT_OUT:]
                peaks[contestant].append(peak_mib)
                if "gflops" in result:
                    shares[contestant].append(result["gflops"] / result["peak_gflops"])
        tokens = shape["batch"] * shape["t"]
        print(f"\n{name}, vocabulary 50,257, medians of {options.rounds} × {options.steps} steps")
        for contestant, (precision, asked) in CONTESTANTS.items():
            rate = 1000 * tokens / statistics.median(times[contestant])
            best = 1000 * tokens / min(times[contestant])
            ours = 1000 * tokens / statistics.median(times[f"ours {precision}"])
            note = f"ours is {ours / rate:.2f}× (asked {asked}×)" if asked else f"{statistics.median(shares[contestant]):.0%} of peak"
            print(f"  {contestant:22} {rate:6.0f} tokens/s (best {best:5.0f})  {max(peaks[contestant]):6.0f} MiB  {note}")


if __name__ == "__main__":
    main()
