"""What pickled objects are made again with."""

from typing import Any

from webtext._webtext import CanonicalUrl, Duplicate, Judgement, Page, Record, Tokenizer


def tokenizer(text: str, end_of_text: str | None) -> Tokenizer:
    """A tokenizer out of its `tokenizer.json`."""
    return Tokenizer.from_json(text, end_of_text=end_of_text)


def page(fields: dict[str, Any]) -> Page:
    """A page out of `Page.to_dict`."""
    return Page._of(fields)


def canonical_url(*fields: Any) -> CanonicalUrl:
    """A URL out of its fields."""
    return CanonicalUrl._of(*fields)


def duplicate(*fields: Any) -> Duplicate:
    """A duplicate out of its fields."""
    return Duplicate._of(*fields)


def judgement(*fields: Any) -> Judgement:
    """A judgement out of its fields."""
    return Judgement._of(*fields)


def record(*fields: Any) -> Record:
    """A record of an archive out of its headers and its block."""
    return Record._of(*fields)
