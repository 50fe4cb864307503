"""Steps for datatrove that take the place of its own, one for one: the same documents, verdicts and ids, sooner.

```python
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.writers import JsonlWriter
from webtext.datatrove import Extractor, GopherQualityFilter, TokensCounter, WarcReader

steps = [WarcReader("warcs/"), Extractor(), GopherQualityFilter(), TokensCounter("gpt2"), JsonlWriter("out/")]
LocalPipelineExecutor(steps, tasks=8).run()
```

Documents go through each step in batches, on one thread, since datatrove runs tasks side by side; `threads=` changes that.
`import webtext` does not import datatrove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

try:
    from datatrove.data import Document, DocumentsPipeline
    from datatrove.pipeline.extractors.base import BaseExtractor
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.readers.base import BaseDiskReader
    from datatrove.pipeline.tokens import DocumentTokenizer as _DocumentTokenizer
    from datatrove.pipeline.tokens import TokensCounter as _TokensCounter
    from datatrove.utils.batching import batched
    from datatrove.utils.typeshelper import StatHints
except ImportError as error:
    raise ImportError(f"webtext.datatrove needs datatrove ({error}): pip install 'datatrove>=0.10,<0.11'") from error

import webtext

__all__ = [
    "C4QualityFilter",
    "DocumentTokenizer",
    "Extractor",
    "FineWebQualityFilter",
    "GopherQualityFilter",
    "GopherRepetitionFilter",
    "RuleFilter",
    "TokensCounter",
    "WarcReader",
]

# Documents that a step works on at once.
BATCH_SIZE = 256


class WarcReader(BaseDiskReader):
    """Reads pages of WARC, ARC, WET and WACZ files: in place of datatrove's `WarcReader`, with its arguments; `compression` is
    that of the files, whatever is said.

    A document has the page's HTML as its text, decoded by the charset that it is in. Parts of an archive that are no records
    are named in a warning.
    """

    name = "🕷 Warc (webtext)"

    def __init__(
        self,
        data_folder: Any,
        paths_file: Any = None,
        compression: str | None = "infer",
        limit: int = -1,
        skip: int = 0,
        file_progress: bool = False,
        doc_progress: bool = False,
        adapter: Callable[..., dict[str, Any]] | None = None,
        text_key: str = "text",
        id_key: str = "id",
        default_metadata: dict[str, Any] | None = None,
        recursive: bool = True,
        glob_pattern: str | None = None,
        shuffle_files: bool = False,
    ) -> None:
        super().__init__(
            data_folder,
            paths_file,
            limit,
            skip,
            file_progress,
            doc_progress,
            adapter,
            text_key,
            id_key,
            default_metadata,
            recursive,
            glob_pattern,
            shuffle_files,
        )

    def read_file(self, filepath: str) -> Iterator[Document]:
        with self.data_folder.open(filepath, "rb") as file:
            records = webtext.iter_warc(file, types=("response", "resource", "conversion"))
            for number, record in enumerate(records):
                with self.track_time():
                    document = self._document(record, filepath, number)
                if document:
                    yield document

    def _document(self, record: webtext.Record, filepath: str, number: int) -> Document | None:
        if record.type == "conversion":
            text = record.body.decode("utf-8", "replace")
        elif record.is_html:
            text = webtext.decode_html(record.body, record.content_type)
        else:
            return None
        data = {"text": text, "id": record.headers.get("WARC-Record-ID"), "url": record.url, "date": record.date}
        if data["id"] is None:
            del data["id"]
        return self.get_document_from_dict(data, filepath, number)


class Extractor(BaseExtractor):
    """The main text of pages: in place of datatrove's `Trafilatura`.

    No process and no time limit are needed: pages beyond `max_nodes` nodes are dropped and counted as `clean_error`.
    `add_metadata` puts the page's title, authors, date and language into the document's metadata, where they are missing.
    """

    name = "⛏ webtext"

    def __init__(
        self, *, include_comments: bool = False, max_nodes: int = 1_000_000, add_metadata: bool = False, threads: int = 1
    ) -> None:
        super().__init__(timeout=0)
        self.options: dict[str, Any] = {"include_comments": include_comments, "max_nodes": max_nodes}
        self.add_metadata = add_metadata
        self.threads = threads

    def extract(self, text: str) -> str:
        return webtext.extract(text, **self.options).text

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for batch in batched(data, BATCH_SIZE):
            with self.track_time(unit="batch"):
                pages = self._pages(batch)
            for document, page in zip(batch, pages):
                self.stat_update(StatHints.total)
                if page is None:
                    self.stat_update("clean_error")
                    continue
                self.stat_update("extracted")
                document.text = page.text
                if not page.text:
                    self.stat_update(StatHints.dropped)
                    continue
                if self.add_metadata:
                    found = {"title": page.title, "authors": page.authors, "date": page.date, "language": page.language}
                    document.metadata.update({k: v for k, v in found.items() if v and not document.metadata.get(k)})
                self.stat_update(StatHints.forwarded)
                self.update_doc_stats(document)
                yield document

    def _pages(self, batch: Sequence[Document]) -> list[webtext.Page | None]:
        """Of pages beyond a limit, None."""
        texts = [document.text for document in batch]
        try:
            return list(webtext.extract_batch(texts, threads=self.threads, **self.options))
        except webtext.Error:
            return [self._page(text) for text in texts]

    def _page(self, text: str) -> webtext.Page | None:
        try:
            return webtext.extract(text, **self.options)
        except webtext.Error:
            return None


class RuleFilter(BaseFilter):
    """Rules of webtext, by name or with the settings of a recipe's `[[filter]]`.

    A document that is dropped has the reason that the followed code gives it, or `rule.reason`. One that a rule edits goes on
    with the edited text.
    """

    name = "📏 webtext"

    def __init__(
        self,
        rules: Iterable[str | Mapping[str, object]],
        exclusion_writer: Any = None,
        batch_size: int = BATCH_SIZE,
        threads: int = 1,
    ) -> None:
        super().__init__(exclusion_writer, batch_size)
        self.settings = list(rules)
        self.threads = threads
        webtext.Filter(self.settings)  # faults are named now, not in a task

    def __getstate__(self) -> dict[str, Any]:
        # Tasks are pickled; each opens its own rules.
        return {name: value for name, value in self.__dict__.items() if name != "rules"}

    @cached_property
    def rules(self) -> webtext.Filter:
        return webtext.Filter(self.settings)

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        texts = [document.text for document in batch]
        urls = [document.metadata.get("url") for document in batch]
        judgements = self.rules.judge_batch(texts, urls=urls, threads=self.threads)
        return [self._verdict(document, judgement) for document, judgement in zip(batch, judgements)]

    def _verdict(self, document: Document, judgement: webtext.Judgement) -> bool | tuple[bool, str]:
        if not judgement.kept:
            return False, judgement.upstream_reason or f"{judgement.rule}.{judgement.reason}"
        if judgement.edited_text is not None:
            document.text = judgement.edited_text
        return True


def _limit(value: float | None) -> float | str:
    """A limit as recipes have it; datatrove takes None, 0 and, for some, -1 as none."""
    return "none" if not value or value < 0 else value


def _english(language: str) -> None:
    if language not in ("eng", "eng_Latn", "en"):
        raise ValueError(f"language = {language!r}: the rule finds English words; use datatrove's own filter for others")


class GopherQualityFilter(RuleFilter):
    """In place of datatrove's `GopherQualityFilter`, with its arguments."""

    name = "🥇 Gopher Quality (webtext)"

    def __init__(
        self,
        min_doc_words: int | None = 50,
        max_doc_words: int | None = 100000,
        min_avg_word_length: int | None = 3,
        max_avg_word_length: int | None = 10,
        max_symbol_word_ratio: float | None = 0.1,
        max_bullet_lines_ratio: float | None = 0.9,
        max_ellipsis_lines_ratio: float | None = 0.3,
        max_non_alpha_words_ratio: float | None = 0.8,
        min_stop_words: int | None = 2,
        stop_words: Sequence[str] | None = None,
        exclusion_writer: Any = None,
        language: str = "eng",
    ) -> None:
        _english(language)
        rule: dict[str, object] = {
            "rule": "gopher_quality",
            "min_words": _limit(min_doc_words),
            "max_words": _limit(max_doc_words),
            "min_mean_word_chars": _limit(min_avg_word_length),
            "max_mean_word_chars": _limit(max_avg_word_length),
            "max_hashes_per_word": _limit(max_symbol_word_ratio),
            "max_ellipses_per_word": _limit(max_symbol_word_ratio),
            "max_bullet_line_fraction": _limit(max_bullet_lines_ratio),
            "max_ellipsis_line_fraction": _limit(max_ellipsis_lines_ratio),
            "min_alphabetic_word_fraction": _limit(max_non_alpha_words_ratio),
            "min_stop_words": _limit(min_stop_words),
        }
        if stop_words is not None:
            rule["stop_words"] = list(stop_words)
        super().__init__([rule], exclusion_writer)


class GopherRepetitionFilter(RuleFilter):
    """In place of datatrove's `GopherRepetitionFilter`, with its arguments."""

    name = "👯 Gopher Repetition (webtext)"

    def __init__(
        self,
        dup_line_frac: float | None = 0.3,
        dup_para_frac: float | None = 0.3,
        dup_line_char_frac: float | None = 0.2,
        dup_para_char_frac: float | None = 0.2,
        top_n_grams: Sequence[tuple[int, float]] = ((2, 0.2), (3, 0.18), (4, 0.16)),
        dup_n_grams: Sequence[tuple[int, float]] = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)),
        exclusion_writer: Any = None,
        language: str = "eng",
    ) -> None:
        _english(language)
        rule: dict[str, object] = {
            "rule": "gopher_repetition",
            "max_duplicate_line_fraction": _limit(dup_line_frac),
            "max_duplicate_paragraph_fraction": _limit(dup_para_frac),
            "max_duplicate_line_char_fraction": _limit(dup_line_char_frac),
            "max_duplicate_paragraph_char_fraction": _limit(dup_para_char_frac),
        }
        top, duplicate = dict(top_n_grams), dict(dup_n_grams)
        rule |= {f"max_top_{n}_gram_char_fraction": top.pop(n, "none") for n in range(2, 5)}
        rule |= {f"max_duplicate_{n}_gram_char_fraction": duplicate.pop(n, "none") for n in range(5, 11)}
        if top or duplicate:
            raise ValueError("top_n_grams has n of 2 to 4, and dup_n_grams of 5 to 10")
        super().__init__([rule], exclusion_writer)


class C4QualityFilter(RuleFilter):
    """In place of datatrove's `C4QualityFilter`, with its arguments."""

    name = "⛰ C4 Quality (webtext)"

    def __init__(
        self,
        exclusion_writer: Any = None,
        split_paragraph: bool = True,
        remove_citations: bool = True,
        filter_no_terminal_punct: bool = True,
        min_num_sentences: int = 5,
        min_words_per_line: int = 3,
        max_word_length: int = 1000,
        filter_lorem_ipsum: bool = True,
        filter_javascript: bool = True,
        filter_curly_bracket: bool = True,
        filter_policy: bool = True,
        language: str = "eng",
    ) -> None:
        _english(language)
        rule: dict[str, object] = {
            "rule": "c4_quality",
            "dialect": "datatrove-0.10",
            "split_by": "lines" if split_paragraph else "sentences",
            "remove_citations": remove_citations,
            "require_terminal_punctuation": filter_no_terminal_punct,
            "min_sentences": _limit(min_num_sentences),
            "min_line_words": _limit(min_words_per_line),
            "max_word_chars": _limit(max_word_length),
            "max_lorem_ipsum_lines": 0 if filter_lorem_ipsum else "none",
            "remove_javascript_lines": filter_javascript,
            "max_curly_bracket_lines": 0 if filter_curly_bracket else "none",
            "remove_policy_lines": filter_policy,
        }
        super().__init__([rule], exclusion_writer)


class FineWebQualityFilter(RuleFilter):
    """In place of datatrove's `FineWebQualityFilter`, with its arguments but `stop_chars`."""

    name = "🍷 FineWeb Quality (webtext)"

    def __init__(
        self,
        exclusion_writer: Any = None,
        line_punct_thr: float = 0.12,
        line_punct_exclude_zero: bool = False,
        short_line_thr: float = 0.67,
        short_line_length: int = 30,
        char_duplicates_ratio: float = 0.01,
        new_line_ratio: float = 0.3,
        language: str = "eng",
    ) -> None:
        _english(language)
        rule: dict[str, object] = {
            "rule": "fineweb_quality",
            "min_terminal_punctuation_line_fraction": line_punct_thr,
            "keep_without_terminal_punctuation": line_punct_exclude_zero,
            "max_short_line_fraction": short_line_thr,
            "max_short_line_chars": short_line_length,
            "max_duplicate_line_char_fraction": char_duplicates_ratio,
            "max_newlines_per_word": new_line_ratio,
        }
        super().__init__([rule], exclusion_writer)


@dataclass
class _Encoding:
    """What datatrove reads of an encoding."""

    ids: Any


class _Adapter:
    """A tokenizer as datatrove calls one: special tokens in texts are tokens, and each text may end with one."""

    def __init__(self, tokenizer: webtext.Tokenizer, eos_token: str | None, threads: int) -> None:
        import numpy as np

        self.tokenizer = tokenizer
        self.threads = threads
        eos = [] if eos_token is None else [tokenizer.special_tokens[eos_token]]
        self.ending = np.array(eos, dtype=np.uint32)
        self.join: Callable[[Any], Any] = np.concatenate

    def encode_batch(self, texts: list[str]) -> list[_Encoding]:
        allowed = {"allowed_special": "all", "disallowed_special": ()}
        encoded = self.tokenizer.encode_batch(texts, threads=self.threads, **allowed)
        return [_Encoding(self.join((ids, self.ending)) if len(self.ending) else ids) for ids in encoded]

    def get_vocab_size(self) -> int:
        return self.tokenizer.n_vocab


class _WithTokenizer:
    """Loads the tokenizer of a step: `gpt2`, or a file or folder of one."""

    tokenizer_name_or_path: str
    eos_token: str | None
    threads = 1

    @cached_property
    def tokenizer(self) -> _Adapter:
        name = self.tokenizer_name_or_path
        tokenizer = webtext.Tokenizer.gpt2() if name == "gpt2" else webtext.Tokenizer.from_file(name)
        if self.eos_token is not None and self.eos_token not in tokenizer.special_tokens:
            known = ", ".join(tokenizer.special_tokens)
            raise ValueError(f"eos_token = {self.eos_token!r} is no special token of {name}, which has {known}")
        return _Adapter(tokenizer, self.eos_token, self.threads)


class TokensCounter(_WithTokenizer, _TokensCounter):
    """Counts the tokens of each document: in place of datatrove's `TokensCounter`, with its arguments."""

    name = "📊 Counter (webtext)"


class DocumentTokenizer(_WithTokenizer, _DocumentTokenizer):
    """Writes the ids of documents to files: in place of datatrove's `DocumentTokenizer`, with its arguments but
    `save_loss_metadata`.
    """

    name = "✍️ Writer (webtext)"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.save_loss_metadata:
            raise ValueError("save_loss_metadata needs the places of tokens in the text: use datatrove's own step")
