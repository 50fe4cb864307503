"""A tokenizer of one's own: trained on texts, saved for Hugging Face and tiktoken, and used on files."""

import tempfile
from pathlib import Path

import webtext

texts = [f"The tide of day {day} comes in at {day % 24} and goes out {day % 7} hours later." for day in range(2000)]
tokenizer = webtext.train_bpe_from_iterator(texts, 500, pattern="cl100k")
print(tokenizer, tokenizer.encode("The tide comes in.").tolist())

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    tokenizer.save(folder / "tokenizer")
    print(sorted(file.name for file in (folder / "tokenizer").iterdir()))
    (folder / "days.txt").write_text("\n\n".join(texts))
    print(webtext.encode_files(folder / "days.txt", folder / "days.bin", tokenizer=tokenizer))
