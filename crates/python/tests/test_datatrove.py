"""Steps for datatrove, against datatrove's own."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datatrove")

from datatrove.data import Document  # noqa: E402
from datatrove.pipeline import filters, tokens  # noqa: E402

import webtext  # noqa: E402
from webtext import datatrove as ours  # noqa: E402


def documents(texts: list[str]) -> list[Document]:
    return [Document(text=text, id=str(number), metadata={"url": "https://x.example/"}) for number, text in enumerate(texts)]


@pytest.fixture(scope="module")
def prose(texts: list[str]) -> list[str]:
    """Texts on both sides of each limit."""
    chance = random.Random(3)
    words = "the tide of that and have be with harbour # ... lantern 1234 • crane, Lorem ipsum { javascript cookie policy [1]".split()
    made = []
    for _ in range(300):
        some = chance.sample(words, chance.randrange(1, len(words)))
        lines = [" ".join(chance.choice(some) for _ in range(chance.randrange(1, 14))) for _ in range(chance.randrange(1, 30))]
        ends = [chance.choice((".", "!", "", "...", '"')) for _ in lines]
        made.append("\n".join(line + end for line, end in zip(lines, ends, strict=True)))
    return [text for text in texts if text.strip() and text.isprintable()][:100] + made


PAIRS: list[tuple[Any, Any, dict[str, Any]]] = [
    (ours.GopherQualityFilter, filters.GopherQualityFilter, {}),
    (ours.GopherQualityFilter, filters.GopherQualityFilter, {"min_doc_words": 5, "min_stop_words": None}),
    (ours.GopherQualityFilter, filters.GopherQualityFilter, {"min_doc_words": 9, "stop_words": ["tide", "crane"]}),
    (ours.GopherRepetitionFilter, filters.GopherRepetitionFilter, {}),
    (ours.GopherRepetitionFilter, filters.GopherRepetitionFilter, {"dup_line_frac": None, "top_n_grams": ((2, 0.5),)}),
    (ours.C4QualityFilter, filters.C4QualityFilter, {}),
    (ours.C4QualityFilter, filters.C4QualityFilter, {"filter_no_terminal_punct": False, "min_num_sentences": -1}),
    (ours.C4QualityFilter, filters.C4QualityFilter, {"split_paragraph": False, "filter_curly_bracket": False}),
    (ours.FineWebQualityFilter, filters.FineWebQualityFilter, {}),
    (ours.FineWebQualityFilter, filters.FineWebQualityFilter, {"line_punct_exclude_zero": True, "new_line_ratio": 0.5}),
]


@pytest.mark.parametrize(("own", "peer", "options"), PAIRS)
def test_filters_give_the_same_verdicts_and_texts(own: Any, peer: Any, options: dict[str, Any], prose: list[str]) -> None:
    """Where datatrove's own code divides by zero, which it does for texts without words, ours drops the text."""
    compared, dropped = 0, 0
    step, peer_step = own(**options), peer(**options)
    for text in prose:
        mine, theirs = documents([text])[0], documents([text])[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = peer_step.filter(theirs)
            except ZeroDivisionError:
                continue
        result = step.filter(mine)
        assert as_pair(result) == as_pair(expected), text
        kept = as_pair(expected)[0]
        assert not kept or mine.text == theirs.text
        compared += 1
        dropped += not kept
    assert compared > 300 and 0 < dropped


def as_pair(result: bool | tuple[bool, str]) -> tuple[bool, str | None]:
    return (bool(result[0]), result[1]) if isinstance(result, tuple) else (bool(result), None)


def test_a_filter_runs_in_batches_and_is_pickled(prose: list[str]) -> None:
    import pickle

    step = pickle.loads(pickle.dumps(ours.RuleFilter([{"rule": "length", "min_words": 20, "max_words": 500}])))
    kept = [document.id for document in step.run(documents(prose))]
    assert 0 < len(kept) < len(prose)
    assert step.stats["total"].total == len(prose) and step.stats["dropped_length.too_few_words"].total > 0
    with pytest.raises(ValueError, match="did you mean"):
        ours.RuleFilter(["gopher"])
    with pytest.raises(ValueError, match="language"):
        ours.GopherQualityFilter(language="deu")


def test_pages_of_archives(fixtures: Path, pages: list[bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        reader = ours.WarcReader(str(fixtures), glob_pattern="pages.warc.gz")
        found = list(reader.run())
        limited = list(ours.WarcReader(str(fixtures), glob_pattern="pages.warc.gz", limit=3).run())
    assert len(found) >= len(pages) and [document.id for document in limited] == [document.id for document in found[:3]]
    assert all(document.metadata["url"] and document.metadata["date"] and document.metadata["file_path"] for document in found)
    extracted = list(ours.Extractor(add_metadata=True).run(iter(found)))
    assert len(extracted) > 20 and any(document.metadata.get("title") for document in extracted)


def test_pages_that_cannot_be_read_are_counted() -> None:
    step = ours.Extractor(max_nodes=50)
    good = "<p>The ferry leaves at noon, and comes back with the tide, as it has always done.</p>"
    found = list(step.run(iter(documents([good, "<p>word" * 100, "<p></p>", good]))))
    assert [document.id for document in found] == ["0", "3"] and "ferry" in found[0].text
    counts = {name: step.stats[name].total for name in ("total", "extracted", "clean_error", "forwarded", "dropped")}
    assert counts == {"total": 4, "extracted": 3, "clean_error": 1, "forwarded": 2, "dropped": 1}


def test_tokens_are_those_of_hugging_face(tmp_path: Path, texts: list[str]) -> None:
    webtext.Tokenizer.gpt2().save(tmp_path)
    file = str(tmp_path / "tokenizer.json")
    mine, theirs = documents(texts), documents(texts)
    for step, docs in ((ours.TokensCounter(file, True), mine), (tokens.TokensCounter(file, True), theirs)):
        list(step.run(iter(docs)))
    counts = [[document.metadata["token_count"] for document in docs] for docs in (mine, theirs)]
    assert counts[0] == [len(webtext.Tokenizer.gpt2().encode(t, allowed_special="all")) + 1 for t in texts]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("shuffle", [False, True])
def test_files_of_tokens_are_the_same(tmp_path: Path, texts: list[str], shuffle: bool) -> None:
    webtext.Tokenizer.gpt2().save(tmp_path / "tokenizer")
    file = str(tmp_path / "tokenizer" / "tokenizer.json")
    for name, step in (("mine", ours.DocumentTokenizer), ("theirs", tokens.DocumentTokenizer)):
        options = {"eos_token": "<|endoftext|>", "seed": 5, "shuffle_documents": shuffle}
        list(step(str(tmp_path / name), file, **options).run(iter(documents(texts))) or ())
    names = sorted(path.name for path in (tmp_path / "theirs").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "mine").iterdir()) and len(names) >= 2
    for name in names:
        assert (tmp_path / "mine" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes(), name
    with pytest.raises(ValueError, match="save_loss_metadata"):
        ours.DocumentTokenizer(str(tmp_path), file, save_loss_metadata=True)
