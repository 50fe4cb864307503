"""Tokens per second of `gpt2 sample` and of Hugging Face's `generate`, in turns, and the same text from both.

    python benches/gpt2_sample.py --gpt2 target/release/gpt2 [small] [124M] [--runs 5] [--threads 2]

Needs torch, transformers and safetensors. The models have random weights, drawn so wide (deviation 0.1) that no two
tokens are nearly as likely as each other: greedy texts and those of beam search must be equal id by id, or the run
fails. Both sides have their weights in memory before the clock starts, and read the prompt before the rate's clock
does: a rate is that of all new tokens but the first. Greedy choice, key/value cache, f32, batch of one.

Only a calm machine gives a ratio: torch's threads wait for each other in a loop, and lose far more than ours when
another program takes one of their cores.

Left out: half precision, GPUs, and batches, for which `generate` wants padding.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

# Layers, heads, channels, context; new tokens, which with the prompt stay within the context.
MODELS = {"small": (6, 6, 384, 256, 200), "124M": (12, 12, 768, 1024, 200)}
PROMPT = "The harbour lay quiet under the first light, and the boats had not yet gone out."
END_OF_TEXT = 50256
BEAMS = 4
BEAM_TOKENS = 30


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(MODELS)}")
    parser.add_argument("--gpt2", type=Path, required=True, metavar="FILE", help="the binary, a release build")
    parser.add_argument("--runs", type=int, default=5, help="runs of each; the median is given")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all metrics")
    options = parser.parse_intermixed_args()
    results = {}
    print(f"{machine()}, {options.threads} threads; tokens per second, medians of {options.runs} (range)\n")
    print("| model | gpt2 sample | transformers generate | ratio | prompt, ms: ours | theirs | beams equal |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in options.models or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = result = compare(name, Path(folder), options)
        ours, theirs = (show(result[side]) for side in ["ours", "theirs"])
        ratio = statistics.median(result["ours"]) / statistics.median(result["theirs"])
        prompts = [f"{1000 * statistics.median(result[side]):.0f}" for side in ["ours_prompt", "theirs_prompt"]]
        print(f"| {name} | {ours} | {theirs} | {ratio:.2f} | {' | '.join(prompts)} | {result['beams']} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def compare(name, folder, options):
    import torch

    torch.set_num_threads(options.threads)
    model, new_tokens = make_model(name, folder)
    result = {"ours": [], "theirs": [], "ours_prompt": [], "theirs_prompt": []}
    theirs(model, ours(folder, 1, options)["prompt_ids"], 5)  # Once for nothing: imports and caches.
    for _ in range(options.runs):  # In turns: what the machine does meanwhile meets both.
        our = ours(folder, new_tokens, options)
        ids, prompt_seconds, rate = theirs(model, our["prompt_ids"], new_tokens)
        assert our["ids"] == ids, f"{name}: the texts differ: {our['ids']} and {ids}"
        result["ours"].append(our["tokens_per_second"])
        result["theirs"].append(rate)
        result["ours_prompt"].append(our["prompt_seconds"])
        result["theirs_prompt"].append(prompt_seconds)
    make_end_likely(model)
    model.save_pretrained(folder)
    result["beams"] = compare_beams(model, folder, our["prompt_ids"], options)
    return result


def make_model(name, folder):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    layers, heads, channels, context, new_tokens = MODELS[name]
    torch.manual_seed(1)
    config = GPT2Config(n_layer=layers, n_head=heads, n_embd=channels, n_positions=context, initializer_range=0.1)
    model = GPT2LMHeadModel(config).eval()
    model.save_pretrained(folder)
    return model, new_tokens


def make_end_likely(model):
    """Lets texts end now and then: end-of-text gets a logit about as high as the best of the others."""
    import torch

    with torch.no_grad():
        bias = model.transformer.ln_f.bias.normal_(std=0.1)
        model.transformer.wte.weight[END_OF_TEXT] = 1.1 * bias


def ours(folder, tokens, options, *flags):
    """What `gpt2 sample --json` says."""
    command = [options.gpt2, "sample", folder, "--tokenizer", "gpt2", "--prompt", PROMPT, "--max-tokens", str(tokens)]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(options.threads)}
    run = subprocess.run([*command, "--temperature", "0", "--json", *flags], env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(run.stdout)


def theirs(model, prompt, tokens):
    """New ids, seconds to the first token, and tokens per second after it."""
    import torch
    from transformers.generation.streamers import BaseStreamer

    class Clock(BaseStreamer):
        """Notes when each token comes. The prompt is put first."""

        def __init__(self):
            self.times = []

        def put(self, _):
            self.times.append(time.perf_counter())

        def end(self):
            pass

    clock = Clock()
    with torch.inference_mode():
        out = generate(model, prompt, tokens, streamer=clock)
    prompted, first, last = clock.times[0], clock.times[1], clock.times[-1]
    return out[len(prompt) :], first - prompted, (len(clock.times) - 2) / (last - first)


def generate(model, prompt, tokens, **arguments):
    import torch

    ids = torch.tensor([prompt])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        do_sample=False,
        use_cache=True,
        pad_token_id=END_OF_TEXT,
        eos_token_id=END_OF_TEXT,
        **arguments,
    )
    return out[0].tolist()


def compare_beams(model, folder, prompt, options):
    """Whether beam search gives the same ids under each rule of stopping."""
    import torch

    equal = 0
    cases = [(early, penalty) for early in [False, True] for penalty in ["0.0", "1.0", "2.0"]]
    for early, penalty in cases:
        flags = ["--beams", str(BEAMS), "--length-penalty", penalty, *(["--early-stopping"] if early else [])]
        our = ours(folder, BEAM_TOKENS, options, *flags)["ids"]
        with torch.inference_mode():
            out = generate(model, prompt, BEAM_TOKENS, num_beams=BEAMS, length_penalty=float(penalty), early_stopping=early)
        their = [id for id in out[len(prompt) :] if id != END_OF_TEXT]
        assert our == their, f"beams, early_stopping={early}, length_penalty={penalty}: {our} and {their}"
        equal += 1
    return f"{equal} of {len(cases)}"


def show(rates):
    return f"{statistics.median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f})"


def machine():
    import torch
    import transformers

    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    cpu = names[0] if names else platform.processor()
    return f"{cpu}, torch {torch.__version__}, transformers {transformers.__version__}"


if __name__ == "__main__":
    main()
