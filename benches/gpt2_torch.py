#!/usr/bin/env python3
"""PyTorch's side of benches/gpt2.py: training steps of a GPT-2 written as nanoGPT's users write it.

Prints one line of JSON: milliseconds of each step, of the clock and of the processor. Modes: eager, compiled (torch.compile), bf16 (autocast).
The attention is torch's fused one, the optimiser its fused AdamW: the fastest that torch offers on a CPU.
"""

import argparse
import json
import math
import resource
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(channels)
        self.c_attn = nn.Linear(channels, 3 * channels)
        self.c_proj = nn.Linear(channels, channels)
        self.ln_2 = nn.LayerNorm(channels)
        self.c_fc = nn.Linear(channels, 4 * channels)
        self.mlp_c_proj = nn.Linear(4 * channels, channels)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (
            part.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            for part in self.c_attn(self.ln_1(x)).split(c, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(b, t, c))
        return x + self.mlp_c_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, layers, heads, channels, context, vocab_size):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, channels)
        self.wpe = nn.Embedding(context, channels)
        self.blocks = nn.ModuleList(Block(channels, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(channels)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deviation = 0.02 / math.sqrt(2 * layers) if "c_proj" in name else 0.02
                nn.init.normal_(weight, std=deviation)

    def forward(self, inputs, targets):
        x = self.wte(inputs) + self.wpe(torch.arange(inputs.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("mode", choices=["eager", "compiled", "bf16", "bf16-compiled"])
    for name in ["layers", "heads", "channels", "context", "t", "vocab-size", "batch", "steps"]:
        arguments.add_argument(f"--{name}", type=int, required=True)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = Model(options.layers, options.heads, options.channels, options.context, options.vocab_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    run = torch.compile(model) if "compiled" in options.mode else model
    ids = torch.randint(0, options.vocab_size, (options.batch, options.t + 1))
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    milliseconds, cpu_milliseconds = [], []
    for step in range(options.steps):
        begun, cpu_begun = time.perf_counter(), time.process_time()
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.mode.startswith("bf16")):
            loss = run(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        loss.item()
        milliseconds.append(1000 * (time.perf_counter() - begun))
        cpu_milliseconds.append(1000 * (time.process_time() - cpu_begun))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    metrics = {"milliseconds": milliseconds, "cpu_milliseconds": cpu_milliseconds, "peak_mib": round(peak_mib)}
    print(json.dumps({"mode": options.mode, **metrics}))


if __name__ == "__main__":
    main()
