#!/usr/bin/env python3
"""Logits, every gradient tensor, ten steps of training and greedy text beside Hugging Face's transformers.

    python benches/gpt2_parity.py          # needs torch, transformers, safetensors, numpy; builds what it runs

Random models of both families are saved by transformers and read by ours; a model saved by ours is read by
transformers. Fails where anything differs by more than 1e-4 of the largest element of its tensor.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-4
VOCABULARY = 1000
CONTEXT = 96


def build():
    wanted = ["-p", "webtext-gpt2", "-p", "webtext-gpt2-lab", "-p", "webtext-bpe", "--bin", "gpt2", "--bin", "bpe", "--example", "parity"]
    subprocess.run(["cargo", "build", "--release", "--quiet", *wanted], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / "parity", target / "release" / "gpt2"


def models():
    """(name, model) with weights large enough that nothing is a near-tie, biases and norms not at rest."""
    torch.manual_seed(1)
    shape = dict(vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=96, n_layer=3, n_head=4)
    off = dict(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0, bos_token_id=999, eos_token_id=999)
    for name, model in [
        ("GPT-2", GPT2LMHeadModel(GPT2Config(**shape, **off, initializer_range=0.08))),
        ("GPT-1", OpenAIGPTLMHeadModel(OpenAIGPTConfig(**shape, **off, initializer_range=0.08))),
    ]:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        yield name, model.train()


def relative(ours, theirs):
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12))


def rate(step, steps=10, warmup=3, highest=1e-3):
    if step < warmup:
        return highest * (step + 1) / warmup
    part = min((step - warmup) / max(steps - warmup, 1), 1.0)
    floor = 0.1 * highest
    return floor + 0.5 * (1 + math.cos(math.pi * part)) * (highest - floor)


def ten_steps(model, inputs, targets):
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step in range(10):
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs[None]).logits[0], targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses


def check(name, model, parity, folder):
    """The worst relative differences of logits, gradients and losses."""
    model.save_pretrained(folder / "model", safe_serialization=True)
    ids = np.random.default_rng(2).integers(0, VOCABULARY, CONTEXT + 1).astype(np.uint16)
    (folder / "ids.bin").write_bytes(ids.tobytes())
    out = folder / "out"
    out.mkdir()
    ran = subprocess.run([parity, folder / "model", folder / "ids.bin", out], capture_output=True, text=True, check=True)
    inputs, targets = (torch.from_numpy(part.astype(np.int64)) for part in (ids[:-1], ids[1:]))

    logits = model(inputs[None]).logits[0]
    torch.nn.functional.cross_entropy(logits, targets).backward()
    ours = np.fromfile(out / "logits.bin", dtype=np.float32).reshape(CONTEXT, VOCABULARY)
    rows = {"logits": relative(ours, logits.detach().numpy())}
    gradients = load_file(out / "gradients.safetensors")
    theirs = {key.removeprefix("transformer."): p.grad.numpy() for key, p in model.named_parameters() if p.grad is not None}
    theirs.pop("lm_head.weight", None)
    assert gradients.keys() == theirs.keys(), gradients.keys() ^ theirs.keys()
    for key, gradient in theirs.items():
        rows[f"gradient of {key}"] = relative(gradients[key], gradient)
    losses = [float(line) for line in ran.stdout.split()]
    for step, (a, b) in enumerate(zip(losses, ten_steps(model, inputs, targets), strict=True)):
        rows[f"loss of step {step}"] = abs(a - b) / b
    worst = max(rows, key=rows.get)
    print(f"{name}: {len(rows)} comparisons, logits {rows['logits']:.1e}, worst {rows[worst]:.1e} ({worst})")
    return rows[worst] <= TOLERANCE


def check_greedy(kind, parity_folder, gpt2):
    """A checkpoint trained by ours, loaded by transformers: the same greedy text."""
    trained = parity_folder / "trained"
    ids = np.random.default_rng(3).integers(0, 300, 4000).astype(np.uint16)
    (parity_folder / "tokens.bin").write_bytes(ids.tobytes())
    family = "gpt2" if kind is GPT2LMHeadModel else "gpt1"
    tokenizer = parity_folder / "tokenizer"
    bpe = gpt2.parent / "bpe"
    (parity_folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog " * 50)
    subprocess.run([bpe, "train", parity_folder / "text.txt", "--vocab-size", "300", "-o", tokenizer, "-q"], check=True)
    config = parity_folder / "train.toml"
    config.write_text(
        f'[data]\ntrain = "{parity_folder}/tokens.bin"\nvalidation = "{parity_folder}/tokens.bin"\n'
        f'tokenizer = "{tokenizer}"\noutput = "{trained}"\n[model]\nfamily = "{family}"\nlayers = 2\nheads = 2\n'
        "channels = 64\ncontext = 64\nvocab_size = 300\n[train]\nsteps = 60\nbatch = 4\nlearning_rate = 3e-3\n"
        "warmup_steps = 5\nweight_decay = 0.1\nmax_gradient_norm = 1.0\nseed = 1\nevaluate_every = 30\nevaluate_batches = 1\n"
    )
    subprocess.run([gpt2, "train", config, "-q"], check=True)
    model = kind.from_pretrained(trained).eval()
    prompt = "the quick"
    sample = [gpt2, "sample", trained, "--prompt", prompt, "--max-tokens", "40", "--temperature", "0", "--json"]
    ours = json.loads(subprocess.run(sample, capture_output=True, text=True, check=True).stdout)
    start = torch.tensor([ours["prompt_ids"]])
    theirs = model.generate(start, max_new_tokens=40, do_sample=False, pad_token_id=0)[0, start.shape[1] :].tolist()
    same = theirs[: len(ours["ids"])] == ours["ids"]
    print(f"{kind.__name__}: greedy text of a model trained here {'equal' if same else 'DIFFERENT'}")
    return same


def main():
    parity, gpt2 = build()
    good = True
    for name, model in models():
        with tempfile.TemporaryDirectory() as folder:
            good &= check(name, model, parity, Path(folder))
    for kind in [GPT2LMHeadModel, OpenAIGPTLMHeadModel]:
        with tempfile.TemporaryDirectory() as folder:
            good &= check_greedy(kind, Path(folder), gpt2)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
