"""What the tests share."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[3] / "fixtures"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The project's own small inputs."""
    return FIXTURES


@pytest.fixture(scope="session")
def pages() -> list[bytes]:
    """Pages of the project's own."""
    import webtext

    records = webtext.iter_warc(FIXTURES / "pages.warc.gz", types=["response"], malformed="ignore")
    return [record.body for record in records if record.is_html and record.http_status == 200]


@pytest.fixture(scope="session")
def texts(pages: list[bytes]) -> list[str]:
    """Texts of those pages, random Unicode, and what is hard for a pre-tokenizer."""
    import webtext

    chance = random.Random(7)
    planes = [(0x20, 0x7F), (0xA0, 0x250), (0x370, 0x590), (0x3040, 0xA000), (0xAC00, 0xD7A4), (0x1F300, 0x1FAF0), (1, 0x10FFFF)]

    def letter() -> str:
        first, last = chance.choice(planes)
        code = chance.randrange(first, last)
        return " " if 0xD800 <= code < 0xE000 else chr(code)

    unicode = ["".join(letter() for _ in range(chance.randrange(200))) for _ in range(300)]
    hard = ["", " ", "  \n\n  x'll", "I'll we're don't 'S", "a" * 5000, "１２３ ⅷ x² Ⅷa", "🤦🏼‍♂️ e\u0301 \u200bx", "<|endoftext|>"]
    return [page.text for page in webtext.extract_batch(pages)] + unicode + hard
