#!/usr/bin/env python3
"""The recipe of docs/gpt2.md beside nanoGPT at equal settings: same tokens, shape, batch, rates and steps.

    python benches/gpt2_nanogpt.py DATA NANOGPT [--steps 600] [--keep FOLDER]

DATA holds text/web-gold.jsonl.zst and text/english-novels.tar.zst, NANOGPT is a checkout of karpathy/nanoGPT.
Needs torch, numpy, safetensors, and `zstd` and `tar`. A twentieth of the documents, by a hash of their text, is
held out. nanoGPT's model is written as Hugging Face's and judged by the same `gpt2 eval` as ours. Both draw
their own weights and batches, so the metrics differ by chance as two seeds do.
"""

import argparse
import hashlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHAPE = dict(layers=4, heads=4, channels=256, context=128, vocab_size=8192)
BATCH, RATE, WARMUP = 32, 1.5e-3, 50
JUDGED_TOKENS = 200_000  # of what is held out


def texts(data):
    web = subprocess.run(["zstd", "-dcq", data / "text/web-gold.jsonl.zst"], capture_output=True, check=True).stdout
    for line in web.splitlines():
        yield json.loads(line)["text"]
    with tempfile.TemporaryDirectory() as folder:
        archive = data / "text/english-novels.tar.zst"
        subprocess.run(f"zstd -dcq --long=27 '{archive}' | tar -x -C '{folder}'", shell=True, check=True)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                yield path.read_text(encoding="utf-8", errors="replace")


def prepare(data, folder, binaries):
    with open(folder / "train.jsonl", "w") as train, open(folder / "val.jsonl", "w") as held_out:
        for text in texts(data):
            number = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 20
            (held_out if number == 0 else train).write(json.dumps({"text": text}) + "\n")
    bpe = binaries / "bpe"
    vocabulary = str(SHAPE["vocab_size"])
    subprocess.run([bpe, "train", folder / "train.jsonl", "--vocab-size", vocabulary, "-o", folder / "tokenizer", "-q"], check=True)
    for split in ["train", "val"]:
        encode = [bpe, "encode", folder / f"{split}.jsonl", "--tokenizer", folder / "tokenizer", "-o", folder / f"{split}.bin", "-q"]
        subprocess.run(encode, check=True)


def ours(folder, binaries, steps, precision):
    output = folder / f"ours-{precision}"
    config = folder / f"{precision}.toml"
    shape = "\n".join(f"{key} = {value}" for key, value in SHAPE.items())
    config.write_text(
        f'[data]\ntrain = "{folder}/train.bin"\nvalidation = "{folder}/val.bin"\ntokenizer = "{folder}/tokenizer"\n'
        f'output = "{output}"\n[model]\n{shape}\n[train]\nsteps = {steps}\nbatch = {BATCH}\nlearning_rate = {RATE}\n'
        f'warmup_steps = {WARMUP}\nweight_decay = 0.1\nmax_gradient_norm = 1.0\nprecision = "{precision}"\nseed = 1\n'
        f"evaluate_every = {max(steps // 10, 1)}\nevaluate_batches = 4\n"
    )
    begun = time.monotonic()
    subprocess.run([binaries / "gpt2", "train", config, "-q"], check=True)
    return output, time.monotonic() - begun


def nanogpt(folder, checkout, steps):
    data = checkout / "data" / "webtext-bench"
    data.mkdir(exist_ok=True)
    for split in ["train", "val"]:
        (data / f"{split}.bin").write_bytes((folder / f"{split}.bin").read_bytes())
    (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": SHAPE["vocab_size"]}))
    out = folder / "nanogpt"
    flags = dict(
        dataset="webtext-bench", out_dir=out, device="cpu", dtype="float32", compile=False, bias=True, dropout=0.0,
        n_layer=SHAPE["layers"], n_head=SHAPE["heads"], n_embd=SHAPE["channels"], block_size=SHAPE["context"],
        batch_size=BATCH, gradient_accumulation_steps=1, max_iters=steps, lr_decay_iters=steps, warmup_iters=WARMUP,
        learning_rate=RATE, min_lr=RATE / 10, weight_decay=0.1, grad_clip=1.0, eval_interval=steps, eval_iters=1,
        log_interval=100,
    )
    begun = time.monotonic()
    command = [sys.executable, "train.py", *(f"--{key}={value}" for key, value in flags.items())]
    subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    return out / "ckpt.pt", time.monotonic() - begun


def converted(checkpoint, like, folder):
    """nanoGPT's weights in the form of ours: its linear layers are transposed, its embeddings stand twice."""
    import torch
    from safetensors.torch import save_file

    weights = torch.load(checkpoint, map_location="cpu", weights_only=False)["model"]
    tensors = {}
    for name, tensor in weights.items():
        name = name.removeprefix("transformer.")
        if name != "lm_head.weight":
            linear = name.endswith(("attn.c_attn.weight", "c_proj.weight", "c_fc.weight"))
            tensors[name] = (tensor.t() if linear else tensor).contiguous()
    out = folder / "nanogpt-converted"
    out.mkdir()
    for path in like.iterdir():
        if path.name not in ["model.safetensors", "loss.svg"] and not path.name.startswith("checkpoint"):
            (out / path.name).write_bytes(path.read_bytes())
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    return out


def judged(model, folder, binaries):
    command = [binaries / "gpt2", "eval", model, "--task", "perplexity", "--data", folder / "val.jsonl", "--json"]
    command += ["--limit", str(JUDGED_TOKENS)]
    metrics = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["metrics"]
    return {metric["name"]: metric["value"] for metric in metrics}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("data", type=Path)
    arguments.add_argument("nanogpt", type=Path)
    arguments.add_argument("--steps", type=int, default=600)
    arguments.add_argument("--bin", type=Path, default=None, help="folder with gpt2 and bpe; built when absent")
    arguments.add_argument("--keep", type=Path, default=None)
    options = arguments.parse_args()
    binaries = options.bin
    if binaries is None:
        subprocess.run(["cargo", "build", "--release", "-p", "webtext-gpt2-lab", "-p", "webtext-bpe"], cwd=ROOT, check=True)
        binaries = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    binaries = binaries.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.keep or scratch).resolve()
        folder.mkdir(exist_ok=True)
        prepare(options.data, folder, binaries)
        rows = {}
        for precision in ["f32", "bf16"]:
            model, seconds = ours(folder, binaries, options.steps, precision)
            rows[f"ours {precision}"] = (judged(model, folder, binaries), seconds)
        checkpoint, seconds = nanogpt(folder, options.nanogpt.resolve(), options.steps)
        rows["nanoGPT f32"] = (judged(converted(checkpoint, model, folder), folder, binaries), seconds)
        tokens = options.steps * BATCH * SHAPE["context"]
        print(f"{options.steps} steps of {BATCH} × {SHAPE['context']} tokens")
        for name, (metrics, seconds) in rows.items():
            shown = ", ".join(f"{key} {value:.4f}" for key, value in metrics.items())
            print(f"{name:12} {seconds:6.0f} s ({tokens / seconds:.0f} tokens/s)  {shown}")


if __name__ == "__main__":
    main()
