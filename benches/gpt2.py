#!/usr/bin/env python3
"""Training steps of `gpt2` beside PyTorch, contestants in turn: benches/gpt2.py [--isa avx2] [--threads N] [--bin FILE]

Needs torch in the Python that runs it. Each contestant is a process of its own that times its steps (forward,
backward, clipping, AdamW) on made-up tokens; the first two steps of each are left out, they allocate and compile.
Given are the median over all steps of all rounds, and the ratio to ours of the same precision, by the clock and by CPU
time. Shares are of what the processor multiplies and adds in registers. On a busy machine take `--threads 1` and the
ratio of CPU time: with more threads, PyTorch's wait for each other actively.

`--isa avx2` has all contestants compute as if the processor had no AVX-512: GPT2_KERNEL for ours, ATEN_CPU_CAPABILITY,
MKL_ENABLE_INSTRUCTIONS and ONEDNN_MAX_CPU_ISA for PyTorch. With it, `ours, by gemm` has the products of the crate gemm.
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
# Precision, and the ratio that is asked, with AVX-512 and without.
CONTESTANTS = {
    "ours f32": ("f32", None, None),
    "PyTorch eager": ("f32", 1.7, 1.5),
    "PyTorch compiled": ("f32", 1.4, 1.25),
    "ours f32, by gemm": ("f32", None, None),
    "ours bf16": ("bf16", None, None),
    "PyTorch bf16 autocast": ("bf16", 1.4, None),
}
ISAS = {
    "all": {},
    "avx2": {
        "GPT2_KERNEL": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
}
LEFT_OUT = 2


def command(contestant, shape, options, binary):
    flags = [flag for key, value in shape.items() for flag in (f"--{key}", str(value))]
    flags += ["--vocab-size", "50257", "--steps", str(options.steps + LEFT_OUT)]
    if contestant.startswith("ours"):
        flags = ["--sequence-length" if flag == "--t" else flag for flag in flags]
        return [binary, "bench", *flags, "--precision", CONTESTANTS[contestant][0], "--json"]
    mode = {"PyTorch eager": "eager", "PyTorch compiled": "compiled", "PyTorch bf16 autocast": "bf16"}[contestant]
    return [sys.executable, str(HERE / "gpt2_torch.py"), mode, *flags, "--threads", str(options.threads)]


def run(contestant, arguments, options):
    """What a process printed, and its peak memory in MiB."""
    environment = os.environ | ISAS[options.isa] | {"RAYON_NUM_THREADS": str(options.threads)}
    if "by gemm" in contestant:
        environment["GPT2_KERNEL"] = "gemm"
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))} ended with {process.returncode}")
    return json.loads(printed.splitlines()[-1]), usage.ru_maxrss / 1024


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=6)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--isa", choices=ISAS, default="all", help="instructions that contestants may use")
    arguments.add_argument("--only", default="", help="contestants by parts of their names, by commas")
    arguments.add_argument("--bin", default=None, help="the binary gpt2; built when absent")
    options = arguments.parse_args()
    binary = options.bin
    if binary is None:
        subprocess.run(["cargo", "build", "--release", "-p", "webtext-gpt2-lab"], cwd=HERE.parent, check=True)
        binary = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")) / "release" / "gpt2"
    wanted = options.only.split(",")
    contestants = [name for name in CONTESTANTS if name == "ours f32" or any(part in name for part in wanted)]
    if options.isa == "all" and "ours f32, by gemm" in contestants:
        contestants.remove("ours f32, by gemm")
    for name, shape in SHAPES.items():
        results = {contestant: [] for contestant in contestants}
        for _ in range(options.rounds):
            for contestant in contestants:
                results[contestant].append(run(contestant, command(contestant, shape, options, str(binary)), options))
        tokens = shape["batch"] * shape["t"]
        print(f"\n{name}, vocabulary 50,257, {options.threads} threads, medians of {options.rounds} × {options.steps} steps")
        for contestant in contestants:
            print_row(contestant, results, tokens, options)


def median_step(results, key):
    return statistics.median(step for result, _ in results for step in result[key][LEFT_OUT:])


def print_row(contestant, results, tokens, options):
    precision, *asked = CONTESTANTS[contestant]
    asked, own, ours = asked[options.isa == "avx2"], results[contestant], results.get(f"ours {precision}", [])
    rate = 1000 * tokens / median_step(own, "milliseconds")
    note = ""
    if contestant.startswith("ours"):
        of = {key: statistics.median(result[key] for result, _ in own) for key in ["gflops", "peak_gflops", "product_gflops", "gemm_gflops"]}
        note = (
            f"{own[0][0]['kernel']}: {of['gflops']:.0f} GFLOP/s, {of['gflops'] / of['peak_gflops']:.0%} of {of['peak_gflops']:.0f};"
            f" products {of['product_gflops']:.0f}, {of['product_gflops'] / of['gemm_gflops']:.2f}× gemm's {of['gemm_gflops']:.0f}"
        )
    if ours and own is not ours:
        by_clock, by_cpu = (median_step(own, key) / median_step(ours, key) for key in ["milliseconds", "cpu_milliseconds"])
        note = f"ours is {by_clock:.2f}× by the clock, {by_cpu:.2f}× by CPU time" + (f" (asked {asked}×)" if asked else "")
    cpu = median_step(own, "cpu_milliseconds")
    peak_mib = max(peak for _, peak in own)
    print(f"  {contestant:22} {rate:6.0f} tokens/s  {cpu:6.0f} CPU ms/step  {peak_mib:6.0f} MiB  {note}", flush=True)


if __name__ == "__main__":
    main()
