"""What pickled objects are made again with."""

from webtext._webtext import Tokenizer


def tokenizer(text: str, end_of_text: str | None) -> Tokenizer:
    """A tokenizer out of its `tokenizer.json`."""
    return Tokenizer.from_json(text, end_of_text=end_of_text)
