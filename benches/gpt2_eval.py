"""`gpt2 eval` beside plain loops over Hugging Face's model: every metric of every task must be the same.

    pip install torch transformers tiktoken rouge-score sacrebleu
    cargo build --release -p webtext-gpt2-lab
    python benches/gpt2_eval.py DATA --gpt2 target/release/gpt2

DATA is a folder with `gpt2-vocab/` and `evals/` (LAMBADA, HellaSwag, PIQA, COPA, Winograd, WinoGrande, BLiMP,
WikiText-103). Without `--model`, a small model is drawn at random and trained for a minute on LAMBADA itself and on
the prompts of the tasks that write, so that accuracies are not those of chance, and answers not all wrong. The loops
here ask for one text at a time, without batches, filling or caches.

Fails if a metric differs by more than 1e-4 of itself, an accuracy at all, or a number of rows.
Without rouge-score and sacrebleu the tasks that write are left out.
"""

import argparse
import io
import json
import math
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import tiktoken
import torch
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from transformers import GPT2Config, GPT2LMHeadModel

from gpt2_metrics import token_f1, words

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
RELATIVE = 1e-4
END_OF_TEXT = 50256


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--gpt2", type=Path, required=True, help="the binary")
    parser.add_argument("--model", type=Path, help="folder in Hugging Face's form, with GPT-2's tokenizer")
    parser.add_argument("--limit", type=int, default=200, help="rows of a task; BLiMP: a tenth of them of each file")
    parser.add_argument("--tokens", type=int, default=5000, help="tokens of perplexity's text")
    parser.add_argument("--steps", type=int, default=300, help="training steps of the random model")
    parser.add_argument("--only", help="tasks, with commas")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        evals = write_prompts(options.data / "evals", Path(scratch))
        folder = options.model or make_model(options, json_lines(evals["prompts.jsonl"]), Path(scratch) / "model")
        reference = Reference(folder, options)
        differ = 0
        print(f"{'task':<11} {'metric':<42} {'gpt2 eval':>14} {'transformers':>14} {'n':>7}")
        for name, loop, data, flags in TASKS:
            if options.only and name not in options.only.split(","):
                continue
            try:
                theirs = loop(reference, evals[data], options)
            except ModuleNotFoundError as error:
                print(f"{name:<11} left out: {error}")
                continue
            limit = {"perplexity": options.tokens, "blimp": options.limit // 10}.get(name, options.limit)
            ours = run(options.gpt2, folder, name, evals[data], limit, flags)
            differ += compare(name, ours, theirs)
    if differ:
        sys.exit(f"{differ} metrics differ")


def run(binary, model, task, data, limit, flags):
    command = [binary, "eval", model, "--task", task, "--data", data, "--limit", str(limit), "--tokenizer", "gpt2"]
    out = subprocess.run(command + flags + ["--json", "--quiet"], check=True, capture_output=True, text=True).stdout
    return {metric["name"]: (metric["value"], metric["n"]) for metric in json.loads(out)["metrics"]}


def compare(task, ours, theirs):
    """Prints both columns; the number of metrics that differ."""
    differ = 0
    for name in sorted(ours.keys() | theirs.keys()):
        (a, n), (b, m) = ours.get(name, (math.nan, 0)), theirs.get(name, (math.nan, 0))
        exact = "accuracy" in name
        same = n == m and (a == b if exact else abs(a - b) <= RELATIVE * abs(b))
        differ += not same
        print(f"{task:<11} {name:<42} {a:>14.7g} {b:>14.7g} {n:>7}{'' if same else '  differs'}")
    return differ


def encoding(data):
    vocab = data / "gpt2-vocab"
    ranks = data_gym_to_mergeable_bpe_ranks(str(vocab / "vocab.bpe"), str(vocab / "encoder.json"))
    return tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def make_model(options, prompts, folder):
    """Two layers, two heads, 64 channels, context 128; weights drawn wide, then trained for a while."""
    torch.manual_seed(1)
    config = GPT2Config(n_layer=2, n_head=2, n_embd=64, n_positions=128, vocab_size=50257, initializer_range=0.2,
                        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    model = GPT2LMHeadModel(config)
    encoder = encoding(options.data)
    ids = [END_OF_TEXT]
    for row in json_lines(options.data / "evals/lambada_test.jsonl")[: 10 * options.limit]:
        ids += encoder.encode_ordinary(row["text"]) + [END_OF_TEXT]
    asked = "".join(
        f"{row['source']} = {row['target']}\nQ: {row['question']}\nA: {row['answers'][0]}\n\n" for row in prompts
    )
    asked = encoder.encode_ordinary(asked)
    ids += asked * (len(ids) // len(asked))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(options.steps):
        starts = torch.randint(0, len(ids) - 128, (4,)).tolist()
        batch = torch.tensor([ids[start : start + 128] for start in starts])
        loss = model(batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"a model of 2 layers, loss {loss.item():.3f} after {options.steps} steps", file=sys.stderr)
    model.save_pretrained(folder)
    return folder


class Reference:
    """A model that is asked for one text at a time."""

    def __init__(self, folder, options):
        self.model = GPT2LMHeadModel.from_pretrained(folder).eval()
        self.context = self.model.config.n_positions
        self.encoder = encoding(options.data)

    @torch.no_grad()
    def log_probabilities(self, tokens):
        """(T, V) after each of the tokens."""
        return torch.log_softmax(self.model(torch.tensor([tokens])).logits[0].double(), -1)

    def split(self, text, start):
        """The tokens of a text, and the place of the first that holds a byte from `start` (characters) on."""
        tokens = self.encoder.encode_ordinary(text)
        start = len(text[:start].encode())
        place = end = 0
        while place < len(tokens) and end + len(self.encoder.decode_single_token_bytes(tokens[place])) <= start:
            end += len(self.encoder.decode_single_token_bytes(tokens[place]))
            place += 1
        if place == 0:
            tokens, place = [END_OF_TEXT] + tokens, 1
        excess = max(0, len(tokens) - self.context - 1)
        return tokens[excess:], max(1, place - excess)

    def judge(self, text, start):
        """Of each token that holds a byte from `start` on: its log-probability, and all of them (V)."""
        tokens, place = self.split(text, start)
        rows = self.log_probabilities(tokens[:-1])
        return [(rows[i - 1][tokens[i]].item(), tokens[i], rows[i - 1]) for i in range(place, len(tokens))]

    def total(self, text, start):
        return sum(own for own, _, _ in self.judge(text, start))

    def write(self, tokens, most, is_last):
        """Greedy, until end-of-text."""
        written = []
        while len(written) < most:
            token = self.log_probabilities((tokens + written)[-self.context :])[-1].argmax().item()
            if token == END_OF_TEXT:
                break
            written.append(token)
            if is_last(self.encoder.decode_single_token_bytes(token)):
                break
        return self.encoder.decode(written)


def json_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# -- tasks, each as its definition says


def perplexity(reference, path, options):
    text = path.read_text()
    ids = reference.encoder.encode_ordinary(text)[: options.tokens]
    text = b"".join(reference.encoder.decode_single_token_bytes(id) for id in ids)
    context, stride, nats = reference.context, reference.context // 4, 0.0
    tokens, done = [END_OF_TEXT] + ids, 1
    while done < len(tokens):
        new = context if done == 1 else stride
        start = max(0, done + new - context - 1)
        window = tokens[start : done + new]
        rows = reference.log_probabilities(window[:-1])
        nats -= sum(rows[i - 1][window[i]].item() for i in range(done - start, len(window)))
        done += new
    words = len(text.decode(errors="replace").split())
    return {
        "nats_per_token": (nats / len(ids), len(ids)),
        "perplexity_per_token": (math.exp(nats / len(ids)), len(ids)),
        "perplexity_per_word": (math.exp(nats / words), words),
        "bits_per_byte": (nats / math.log(2) / len(text), len(text)),
    }


def lambada(reference, path, options):
    source = (Path(__file__).parent / "../crates/gpt2-lab/src/evaluate/lambada.rs").read_text()
    stop_words = set(re.findall(r'"(.*?)"', source.split("STOP_WORDS: &[&str] = &[")[1].split("];")[0]))
    texts = [reference.encoder.decode_single_token_bytes(id) for id in range(END_OF_TEXT)]
    stop = [text.lower().removeprefix(b" ").decode(errors="replace") in stop_words for text in texts]
    allowed = ~torch.tensor(stop + [False])
    results = {"last_token": [], "last_word": [], "last_word_filtered": []}
    for row in json_lines(path)[: options.limit]:
        text = row["text"].rstrip()
        start = re.search(r"\S+$", text).start()
        judged = reference.judge(text, start)
        is_argmax = [own >= row.max().item() for own, _, row in judged]
        results["last_token"].append((is_argmax[-1], judged[-1][0]))
        nats = sum(own for own, _, _ in judged)
        results["last_word"].append((all(is_argmax), nats))
        own, token, row = judged[0]
        if allowed[token]:
            rest = torch.logsumexp(row[allowed], 0).item()
            right = own >= row[allowed].max().item() and all(is_argmax[1:])
            results["last_word_filtered"].append((right, nats - rest))
    metrics, n = {}, len(results["last_word"])
    for name, pairs in results.items():
        metrics[f"{name}_accuracy"] = (sum(right for right, _ in pairs) / n, n)
        metrics[f"{name}_perplexity"] = (math.exp(-sum(nats for _, nats in pairs) / len(pairs)), len(pairs))
    return metrics


def winograd(reference, path, options, full=True):
    rows = json_lines(path)[: options.limit]
    partial_right = full_right = 0
    for row in rows:
        blank = "" if row["continuation"][0] in ".,;:!?')%" else " "
        texts = [(option + blank + row["continuation"], len(option)) for option in row["context_options"]]
        partial_right += best(reference.total(text, start) for text, start in texts) == row["gold"]
        full_right += full and best(reference.total(text, 0) for text, _ in texts) == row["gold"]
    metrics = {"partial_accuracy": (partial_right / len(rows), len(rows))}
    return metrics | ({"full_accuracy": (full_right / len(rows), len(rows))} if full else {})


def winogrande(reference, path, options):
    return winograd(reference, path, options, full=False)


def best(numbers):
    numbers = list(numbers)
    return numbers.index(max(numbers))


def choices(reference, rows, prompt=""):
    right = [0, 0, 0]
    for row in rows:
        context = row["query"].rstrip() + prompt
        judged = [reference.judge(f"{context} {choice.strip()}", len(context)) for choice in row["choices"]]
        sums = [sum(own for own, _, _ in one) for one in judged]
        right[0] += best(sums) == row["gold"]
        right[1] += best(s / len(c.strip().encode()) for s, c in zip(sums, row["choices"])) == row["gold"]
        right[2] += best(s / len(one) for s, one in zip(sums, judged)) == row["gold"]
    names = ["accuracy", "accuracy_per_byte", "accuracy_per_token"]
    return {name: (count / len(rows), len(rows)) for name, count in zip(names, right)}


def hellaswag(reference, path, options):
    text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True, text=True).stdout
    lines = text.splitlines()[: 6 * options.limit]
    stories = [lines[i : i + 6] for i in range(0, len(lines), 6)]
    rows = [{"query": story[0], "gold": int(story[1]), "choices": story[2:]} for story in stories]
    return choices(reference, rows)


def piqa(reference, path, options):
    return choices(reference, json_lines(path)[: options.limit], "\nAnswer:")


def copa(reference, path, options):
    return choices(reference, json_lines(path)[: options.limit])


def blimp(reference, path, options):
    archive = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    right = {"": []}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            if not member.name.endswith(".jsonl"):
                continue
            lines = files.extractfile(member).read().decode().splitlines()
            for row in map(json.loads, lines[: options.limit // 10]):
                good, bad = (reference.total(row[f"sentence_{which}"], 0) for which in ["good", "bad"])
                for name in ["", f".{row['linguistics_term']}"]:
                    right.setdefault(name, []).append(good > bad)
    return {f"accuracy{name}": (sum(all_of) / len(all_of), len(all_of)) for name, all_of in right.items()}


# -- tasks that write; the lines are made of other tasks' data, as only sameness is looked at


def write_prompts(evals, scratch):
    paths = {path.name: path for path in evals.iterdir()}
    lambada, copa = json_lines(evals / "lambada_test.jsonl"), json_lines(evals / "copa.jsonl")
    rows = [
        {"text": story["text"], "summary": story["text"][-80:], "source": row["query"], "target": story["text"][:80],
         "question": row["query"], "answers": [["yes", "no"][number % 2], "a third answer"]}
        for number, (story, row) in enumerate(zip(lambada[:15], copa))
    ]
    paths["prompts.jsonl"] = scratch / "prompts.jsonl"
    paths["prompts.jsonl"].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return paths


def summarise(reference, path, options):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    rows, sums = json_lines(path)[: options.limit], dict.fromkeys(["rouge1", "rouge2", "rougeL"], 0.0)
    prompt = reference.encoder.encode_ordinary("\nTL;DR:")
    for row in rows:
        ids = reference.encoder.encode_ordinary(row["text"].rstrip())[: reference.context - 40 - len(prompt)]
        written = reference.write(ids + prompt, 40, lambda _: False).strip()
        ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)", written)]
        summary = written[: ends[2]] if len(ends) > 2 else written
        for name, score in scorer.score(row["summary"], summary).items():
            sums[name] += score.fmeasure
    return {f"rouge_{name[5:].lower()}_f1": (total / len(rows), len(rows)) for name, total in sums.items()}


def first_line(reference, prompt):
    ids = reference.encoder.encode_ordinary(prompt)[-(reference.context - 40) :]
    written = reference.write(ids, 40, lambda token: b"\n" in token)
    return written.split("\n")[0].strip()


def translate(reference, path, options):
    import sacrebleu

    rows = json_lines(path)
    examples = "".join(f"{row['source']} = {row['target']}\n" for row in rows[:2])
    rows = rows[2 : 2 + options.limit]
    written = [first_line(reference, f"{examples}{row['source']} =") for row in rows]
    return {"bleu": (sacrebleu.corpus_bleu(written, [[row["target"] for row in rows]]).score, len(rows))}


def answer(reference, path, options):
    rows = json_lines(path)
    examples = "".join(f"Q: {row['question']}\nA: {row['answers'][0]}\n\n" for row in rows[:2])
    rows = rows[2 : 2 + options.limit]
    exact = f1 = 0.0
    for row in rows:
        written = words(first_line(reference, f"{examples}Q: {row['question']}\nA:"))
        exact += any(written == words(one) for one in row["answers"])
        f1 += max(token_f1(written, words(one)) for one in row["answers"])
    return {"exact_match": (exact / len(rows), len(rows)), "f1": (f1 / len(rows), len(rows))}


WRITE = ["--max-tokens", "40", "--top-k", "1", "--examples", "2"]
TASKS = [
    ("perplexity", perplexity, "wt103.test.decoded.txt", ["--stride", "32"]),
    ("lambada", lambada, "lambada_test.jsonl", []),
    ("winograd", winograd, "winograd_wsc.jsonl", []),
    ("winogrande", winogrande, "winogrande.jsonl", []),
    ("hellaswag", hellaswag, "hellaswag_val_full.txt.zst", []),
    ("piqa", piqa, "piqa.jsonl", []),
    ("copa", copa, "copa.jsonl", []),
    ("blimp", blimp, "blimp.tar.zst", []),
    ("summarise", summarise, "prompts.jsonl", WRITE),
    ("translate", translate, "prompts.jsonl", WRITE),
    ("answer", answer, "prompts.jsonl", WRITE),
]

if __name__ == "__main__":
    main()
