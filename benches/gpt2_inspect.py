#!/usr/bin/env python3
"""Holds every activation that `gpt2 inspect --activations` writes against transformers' own.

    python benches/gpt2_inspect.py --gpt2 target/release/gpt2

A model with random weights is made (wide enough in range that no step is a mere rounding), run by both, and compared
tensor by tensor; fails if one differs by more than 1e-4 of its largest value. Needs torch, transformers, safetensors.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

TEXT = "The harbour was quiet. The boats lay on the mud, and the gulls stood about as if they had paid for it."
LAYERS, HEADS, CHANNELS = 3, 4, 48
WORST = 1e-4


def model_of(family):
    """A random model of a family, its biases and norms moved from rest."""
    torch.manual_seed(1)
    shape = dict(n_layer=LAYERS, n_head=HEADS, n_embd=CHANNELS, n_positions=64, vocab_size=50257)
    if family == "gpt1":
        config = OpenAIGPTConfig(**shape, initializer_range=0.1)
        model = OpenAIGPTLMHeadModel(config)
    else:
        config = GPT2Config(**shape, initializer_range=0.1, attn_implementation="eager")
        model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def by_head(x):
    """(T, C) to (H, T, D)."""
    return x.view(len(x), HEADS, CHANNELS // HEADS).transpose(0, 1)


def reference(model, family, ids):
    """All activations by the names that `gpt2 inspect` uses."""
    kept, hooks = {}, []

    def keep(module, take):
        hooks.append(module.register_forward_hook(lambda _, inputs, output: take(inputs[0], output)))

    def output(name):
        def take(_, y):
            kept[name] = (y[0] if isinstance(y, tuple) else y).squeeze(0)
        return take

    def both(before, after):
        def take(x, y):
            kept[before], kept[after] = x.squeeze(0), y.squeeze(0)
        return take

    transformer = model.transformer
    keep(transformer.tokens_embed if family == "gpt1" else transformer.wte, output("wte"))
    keep(transformer.positions_embed if family == "gpt1" else transformer.wpe, output("wpe"))
    keep(transformer.drop, output("embed"))
    for layer, block in enumerate(transformer.h):
        at = f"blocks.{layer}."
        if family == "gpt1":
            keep(block.ln_1, both(at + "resid_mid", at + "ln_1"))
            keep(block.ln_2, both(at + "resid_post", at + "ln_2"))
        else:
            keep(block.ln_1, output(at + "ln_1"))
            keep(block.ln_2, both(at + "resid_mid", at + "ln_2"))
            keep(block, output(at + "resid_post"))
        keep(block.attn.c_attn, output(at + "qkv"))
        keep(block.attn.c_proj, both(at + "joined", at + "attn.out"))
        keep(block.mlp.c_fc, output(at + "mlp.pre"))
        keep(block.mlp.c_proj, both(at + "mlp.post", at + "mlp.out"))
    if family == "gpt2":
        keep(transformer.ln_f, output("ln_f"))
    with torch.no_grad():
        run = model(torch.tensor([ids]), output_attentions=True)
    kept["logits"] = run.logits[0]
    for layer, pattern in enumerate(run.attentions):
        at = f"blocks.{layer}.attn."
        q, k, v = (by_head(part) for part in kept.pop(f"blocks.{layer}.qkv").split(CHANNELS, dim=1))
        future = torch.ones(len(ids), len(ids), dtype=torch.bool).triu(1)
        scores = (q @ k.transpose(1, 2) / (CHANNELS // HEADS) ** 0.5).masked_fill(future, float("-inf"))
        z = by_head(kept.pop(f"blocks.{layer}.joined"))
        kept |= {at + "q": q, at + "k": k, at + "v": v, at + "scores": scores, at + "pattern": pattern[0], at + "z": z}
    return kept


def ours(binary, model, folder):
    """The same names by `gpt2 inspect`, and the ids that it ran over."""
    model.save_pretrained(folder)
    path = Path(folder) / "activations.safetensors"
    command = [binary, "inspect", folder, TEXT, "--tokenizer", "gpt2", "--activations", path]
    subprocess.run(command, check=True)
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["run"])["tokens"]


def difference(a, b):
    """Largest difference, relative to the largest finite value; infinite where infinities or shapes differ."""
    finite = torch.isfinite(b)
    if a.shape != b.shape or not torch.equal(torch.isfinite(a), finite):
        return float("inf")
    return ((a[finite] - b[finite]).abs().max() / b[finite].abs().max()).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpt2", default="target/release/gpt2", help="the binary")
    parser.add_argument("--family", choices=["gpt1", "gpt2"], default="gpt2")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = model_of(arguments.family)
    with tempfile.TemporaryDirectory() as folder:
        mine, ids = ours(arguments.gpt2, model, folder)
    theirs = reference(model, arguments.family, ids)
    if mine.keys() != theirs.keys():
        sys.exit(f"names differ: {sorted(mine.keys() ^ theirs.keys())}")
    differences = {name: difference(mine[name], theirs[name]) for name in theirs}
    for name, worst in differences.items():
        print(f"{name:24} {str(tuple(mine[name].shape)):16} {worst:.1e}")
    worst = max(differences.values())
    print(f"{len(ids)} tokens, {len(differences)} activations, largest difference {worst:.1e}")
    if worst > WORST:
        sys.exit(f"more than {WORST}")


if __name__ == "__main__":
    main()
