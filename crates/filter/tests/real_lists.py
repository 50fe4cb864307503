"""Published lists and texts that they strike: datatrove's URL lists, and bad words of the npm package naughty-words.

Called by parity.rs: the folder that the lists go to, a file of JSON Lines for the texts, en.json of naughty-words, and the step
through the texts.
"""

import json
import pathlib
import random
import sys
import tarfile

import datatrove

folder, texts, naughty_words = map(pathlib.Path, sys.argv[1:4])
step = int(sys.argv[4])
assets = pathlib.Path(datatrove.__file__).parent / "assets"
for name in ("banned_words", "soft_banned_words", "banned_subwords"):
    (folder / name).write_bytes((assets / f"{name}.txt").read_bytes())
with tarfile.open(assets / "url_filterblacklistsv0_3_0.tar.gz", "r:gz") as tar:
    tar.extractall(folder, filter="data")
bad_words = json.loads(naughty_words.read_text(encoding="utf-8"))
(folder / "bad_words").write_text("\n".join(bad_words) + "\n", encoding="utf-8")
(folder / "unigrams").write_text("word,count\nthe,100\nsea,2\n", encoding="utf-8")

draw = random.Random(1)
lines = lambda name: (folder / name).read_text(encoding="utf-8").splitlines()
domains, urls = draw.sample(lines("domains"), 300), draw.sample(lines("urls"), 100)
made = [f"http://{domain}/page" for domain in domains]
made += [f"https://www.{domain}" for domain in domains[:100]] + [f"http://{domain[1:]}/" for domain in domains[:100]]
made += [f"http://{url}" for url in urls] + urls
for name in ("banned_words", "soft_banned_words", "banned_subwords"):
    words = [line.strip() for line in lines(name)]
    made += [f"http://shop.example/{word}/page" for word in words]
    made += [f"http://x{word}y.example/a-{draw.choice(words)}-b_{draw.choice(words)}" for word in words]
sentences = ["The {} is out with the tide.", "{}", "un{}able, said the mate.", "({})! \u00ab{}\u00bb", "{}{}"]
with texts.open("w", encoding="utf-8") as out:
    for number in range(0, max(len(made), len(bad_words) * len(sentences)), step):
        word = bad_words[number // len(sentences) % len(bad_words)]
        text = sentences[number % len(sentences)].format(word.upper() if number % 7 == 0 else word, word)
        out.write(json.dumps({"text": text, "url": made[number % len(made)]}) + "\n")
