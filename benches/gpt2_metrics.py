"""What `rouge-score`, `sacrebleu` and SQuAD's rules say about pairs of texts, for the tests of `gpt2 eval`'s metrics.

    pip install rouge-score sacrebleu
    python benches/gpt2_metrics.py > crates/gpt2-lab/src/evaluate/metrics/recorded.jsonl

A line is a pair and its six metrics; the last line is the BLEU of all pairs together.
SQuAD's script is no package: `words` and `token_f1` follow its definitions. `--random N` makes more random pairs.
"""

import argparse
import json
import random
import re
import string
from collections import Counter

# Found, expected.
PAIRS = [
    ("The cat sat on the mat.", "The cat is on the mat."),
    ("the the the the the", "The cat is on the mat, the dog is not."),
    ("", "Nothing was said."),
    ("Nothing was said.", ""),
    ("", ""),
    ("The", "a"),
    ("Norwegian Blue", "the Norwegian Blue, a parrot"),
    ("It's 1,000.5 km-long; isn't it?", "It's 1,000.50 km long, isn't it?"),
    ("In 2019-2020 (two years) sales rose 3.5%...", "Sales rose by 3.5% in 2019-2020."),
    ("Le chat s'est assis sur le tapis, n'est-ce pas ?", "Le chat est assis sur le tapis, n'est-ce pas ?"),
    ("&quot;Quoted&quot; text &amp; more", "\"Quoted\" text & more"),
    ("Zürich – the Café’s naïve owner", "the café's naive owner in Zürich"),
    ("a–the–b", "–b"),
    ("An apple a day keeps the doctor away", "an apple, a day: keeps THE doctor away!"),
    ("one two three four five", "five four three two one"),
    ("one two three four", "one two three four five six seven eight nine ten"),
    ("word-\nbreak and\nlines <skipped> here", "wordbreak and lines here"),
    ("Kelvin K and İstanbul", "kelvin k and istanbul"),
    (".,.,1,.2-3-a..b", ".,.,1,.2-3-a..c 4"),
    ("_under_score_ a_the_b", "underscore athe b"),
]
SYLLABLES = ["the", "a", "an", "cat", "Dog", "runs", "1", "2,5", "é", "x-y", ".", ",", "!", "'s", "–", "(", "&", "\n", "/"]


def main():
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", type=int, default=20, metavar="N", help="random pairs")
    options = parser.parse_args()
    generator = random.Random(1)
    pairs = PAIRS + [(random_text(generator), random_text(generator)) for _ in range(options.random)]
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    for found, expected in pairs:
        rouge = scorer.score(expected, found)
        row = {"found": found, "expected": expected}
        row |= {f"rouge_{name}": rouge[f"rouge{name.upper()}"].fmeasure for name in ["1", "2", "l"]}
        row["bleu"] = sacrebleu.corpus_bleu([found], [[expected]]).score
        row["exact_match"] = float(words(found) == words(expected))
        row["token_f1"] = token_f1(words(found), words(expected))
        print(json.dumps(row, ensure_ascii=False))
    found, expected = zip(*pairs)
    print(json.dumps({"corpus_bleu": sacrebleu.corpus_bleu(found, [expected]).score}))


def random_text(generator):
    parts = generator.choices(SYLLABLES, k=generator.randint(1, 25))
    return "".join(part + generator.choice(["", " ", " "]) for part in parts)


def words(answer):
    bare = "".join(character for character in answer.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def token_f1(found, expected):
    if not found and not expected:
        return 1.0
    common = sum((Counter(found) & Counter(expected)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(found), common / len(expected)
    return 2 * precision * recall / (precision + recall)


if __name__ == "__main__":
    main()
