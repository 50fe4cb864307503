"""The native half of the package `webtext`."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ArchiveIterator",
    "Record",
    "ArrowArray",
    "ArrowTable",
    "run_command",
    "Duplicate",
    "dedup",
    "minhash",
    "minhash_batch",
    "Error",
    "Page",
    "decode_html",
    "extract_batch",
    "extract_batch_arrow",
    "extract",
    "Filter",
    "Judgement",
    "Tokenizer",
    "train_bpe_from_iterator",
    "CanonicalUrl",
    "canonical_url",
    "__version__",
]
__version__: str

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

_Arrow = _ArrowArray | _ArrowStream
_Values = Iterable[str | None] | _Arrow
_Special = Literal["all"] | Collection[str]

class Error(Exception):
    """What webtext could not do: a page, an archive or a command failed."""

@final
class Tokenizer:
    """A byte-level BPE tokenizer: GPT-2's, or any that the command `bpe` reads.

    Methods have tiktoken's names. Texts are `str`; halves of surrogate pairs in them count as U+FFFD, as in tiktoken. It can
    be pickled and shared by threads.
    """

    @staticmethod
    def gpt2() -> Tokenizer:
        """GPT-2's tokenizer, with 50,257 tokens."""
    @staticmethod
    def from_file(
        path: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        special_tokens: dict[str, int] | None = None,
        end_of_text: str | None = None,
    ) -> Tokenizer:
        """The tokenizer in a file or a folder.

        What `bpe --tokenizer` takes, the name gpt2 too. Reads tokenizer.json, merges.txt with vocab.json, vocab.bpe and .tiktoken, and refuses what would give other ids than
        the program whose file it is. `pattern` says how texts are split where the file does not: gpt2, cl100k, o200k, llama3,
        qwen2, deepseek3 or a regular expression. `special_tokens` has those of a .tiktoken file, which names none, with
        their ids; the default is `<|endoftext|>` behind all tokens. `end_of_text` names the token between documents.
        """
    @staticmethod
    def from_json(text: str, *, end_of_text: str | None = None) -> Tokenizer:
        """The tokenizer that the text of a `tokenizer.json` describes."""
    def to_json(self) -> str:
        """The tokenizer as the text of a `tokenizer.json`, which Hugging Face's tokenizers read."""
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the tokenizer's files into a folder.

        tokenizer.json, and of merges.txt with vocab.json and tokenizer.tiktoken those that give the same ids without it.
        """
    def encode(
        self, text: str, *, allowed_special: _Special = (), disallowed_special: _Special = "all"
    ) -> NDArray[np.uint32]:
        """The ids of a text.

        Special tokens of `allowed_special` become their ids. Those of `disallowed_special`, by default all that are not
        allowed, raise ValueError. All others are ordinary text.
        """
    def encode_ordinary(self, text: str) -> NDArray[np.uint32]:
        """The ids of a text in which special tokens are ordinary text."""
    def encode_batch(
        self,
        texts: Iterable[str] | _Arrow,
        *,
        allowed_special: _Special = (),
        disallowed_special: _Special = "all",
        threads: int | None = None,
    ) -> list[NDArray[np.uint32]]:
        """The ids of each text."""
    def encode_ordinary_batch(
        self, texts: Iterable[str] | _Arrow, *, threads: int | None = None
    ) -> list[NDArray[np.uint32]]:
        """The ids of each text, in which special tokens are ordinary text."""
    def encode_batch_arrow(
        self,
        texts: Iterable[str] | _Arrow,
        *,
        allowed_special: _Special = (),
        disallowed_special: _Special = "all",
        threads: int | None = None,
    ) -> ArrowArray:
        """The ids of each text, as one Arrow array of lists of uint32."""
    def count(self, text: str) -> int:
        """The number of tokens of a text, in which special tokens are ordinary text."""
    def count_batch(self, texts: Iterable[str] | _Arrow, *, threads: int | None = None) -> NDArray[np.uint64]:
        """The number of tokens of each text."""
    def decode(self, ids: Iterable[int] | NDArray[np.uint32], errors: str = "replace") -> str:
        """The text of ids.

        The bytes of ids need not be UTF-8: `errors` is what `bytes.decode` does then. An id that stands for nothing raises
        ValueError.
        """
    def decode_bytes(self, ids: Iterable[int] | NDArray[np.uint32]) -> bytes:
        """The bytes of ids."""
    def decode_batch(
        self, batch: Iterable[Iterable[int] | NDArray[np.uint32]], *, errors: str = "replace"
    ) -> list[str]:
        """The text of each sequence of ids."""
    def encode_single_token(self, token: str | bytes) -> int:
        """The id of a token, given as its text or bytes.

        Raises KeyError if there is no such token.
        """
    def decode_single_token_bytes(self, id: int) -> bytes:
        """The bytes of one token.

        Raises KeyError if there is no such token.
        """
    @property
    def n_vocab(self) -> int:
        """One more than the largest id."""
    @property
    def max_token_value(self) -> int:
        """The largest id."""
    @property
    def eot_token(self) -> int | None:
        """The id of the token between documents; None if the tokenizer has no such token."""
    @property
    def special_tokens(self) -> dict[str, int]:
        """The special tokens and their ids."""
    @property
    def special_tokens_set(self) -> set[str]:
        """The special tokens."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def train_bpe_from_iterator(
    texts: Iterable[str] | _Arrow,
    vocab_size: int,
    *,
    pattern: str = "gpt2",
    special: Sequence[str] | None = None,
    min_frequency: int = 2,
    threads: int | None = None,
) -> Tokenizer:
    """A tokenizer that is trained on texts.

    Of the texts only their distinct words and how often each occurs are held. `vocab_size` includes the 256 bytes and
    `special`, by default <|endoftext|>; there are fewer tokens if no other pair occurs `min_frequency` times. `pattern` is gpt2, cl100k, o200k, llama3,
    qwen2, deepseek3 or a regular expression.
    """

@final
class Page:
    """The main text and the metadata of a page."""

    @staticmethod
    def _of(fields: dict[str, Any]) -> Page: ...

    @property
    def text(self) -> str:
        """Main text; empty where there is none."""
    @property
    def title(self) -> str | None:
        """Title without the site's name."""
    @property
    def authors(self) -> list[str]:
        """All authors."""
    @property
    def date(self) -> str | None:
        """Day of publication as YYYY-MM-DD."""
    @property
    def language(self) -> str | None:
        """Language that the page declares."""
    @property
    def url(self) -> str | None:
        """URL that was given."""
    @property
    def canonical_url(self) -> str | None:
        """URL that the page gives as its own."""
    @property
    def site(self) -> str | None:
        """What the page says of its site, a line each."""
    @property
    def generator(self) -> str | None:
        """`<meta name="generator">`."""
    @property
    def kind(self) -> str:
        """article, forum, product, documentation, listing or other."""
    @property
    def charset(self) -> str:
        """Charset by which bytes were decoded."""
    @property
    def opted_out(self) -> bool:
        """Whether the page asks not to be used for training."""
    @property
    def replacement_characters(self) -> int:
        """U+FFFD in the text."""
    def to_dict(self) -> dict[str, Any]:
        """All fields by name."""

def extract(
    html: str | bytes,
    url: str | None = None,
    content_type: str | None = None,
    *,
    include_comments: bool = False,
    include_title: bool = True,
    output_format: str = "text",
    max_nodes: int = 1000000,
    max_depth: int = 512,
) -> Page:
    """The main text and the metadata of a page.

    `content_type` is the HTTP header's value, whose charset helps to decode bytes; a page that is `str` is decoded already.
    `output_format` is "text" or "markdown". A page with more than `max_nodes` nodes raises `webtext.Error`; one that nests
    deeper than `max_depth` is flattened, as browsers do it.
    """

def decode_html(html: bytes, content_type: str | None = None) -> str:
    """The text of a page's bytes, decoded by the charset that they are in.

    What `content_type` and the page say of it are hints, which the bytes may disprove.
    """

def extract_batch(
    html: Iterable[str | bytes] | _Arrow,
    urls: _Values | None = None,
    content_types: _Values | None = None,
    *,
    include_comments: bool = False,
    include_title: bool = True,
    output_format: str = "text",
    max_nodes: int = 1000000,
    max_depth: int = 512,
    threads: int | None = None,
) -> list[Page]:
    """The main text and the metadata of each page.

    A page that passes a limit raises `webtext.Error`, which says which one it is.
    """

def extract_batch_arrow(
    html: Iterable[str | bytes] | _Arrow,
    urls: _Values | None = None,
    content_types: _Values | None = None,
    *,
    include_comments: bool = False,
    include_title: bool = True,
    output_format: str = "text",
    max_nodes: int = 1000000,
    max_depth: int = 512,
    threads: int | None = None,
) -> ArrowTable:
    """The main text and the metadata of each page as an Arrow table.

    A row for each page. Where a page passes a limit, its column `error` says so and the others are null.
    """

@final
class Filter:
    """Rules in their order, with the files that they read."""

    def __new__(cls, rules: Iterable[str | Mapping[str, object]]) -> Filter:
        """A filter with these rules.

        A rule is its name, which has the published limits, or a dict of settings as a recipe's `[[filter]]` has them.
        """
    @staticmethod
    def known_rules() -> list[str]:
        """The names of all rules that there are."""
    @property
    def rules(self) -> list[str]:
        """The names of the rules, in order."""
    def judge(
        self, text: str, *, url: str = "", title: str = "", site: str = "", generator: str = ""
    ) -> Judgement:
        """The verdict on a text."""
    def judge_batch(
        self,
        texts: Iterable[str] | _Arrow,
        *,
        urls: _Values | None = None,
        threads: int | None = None,
    ) -> list[Judgement]:
        """The verdict on each text."""

@final
class Judgement:
    """The verdict on a text."""

    @staticmethod
    def _of(
        failure: tuple[str, str, str, str, str] | None,
        faults: Sequence[tuple[str, str | None]],
        measures: Sequence[tuple[str, float]],
        text: str | None,
    ) -> Judgement: ...

    @property
    def kept(self) -> bool:
        """Whether the text is kept."""
    @property
    def rule(self) -> str | None:
        """The rule that drops the text."""
    @property
    def measure(self) -> str | None:
        """The measure that is out of its limits."""
    @property
    def reason(self) -> str | None:
        """The name of the fault, such as too_few_words."""
    @property
    def upstream_reason(self) -> str | None:
        """The name of the fault in the code that the rule follows, if it has one."""
    @property
    def detail(self) -> str | None:
        """The value and the limit."""
    @property
    def failures(self) -> dict[str, str]:
        """The reason of each rule that would drop the text if it were the only one."""
    @property
    def measures(self) -> dict[str, float]:
        """Every measure by `rule.measure`; nan where one is not defined for the text."""
    @property
    def edited_text(self) -> str | None:
        """The text as the rules left it; None where no rule changed it."""
    def __bool__(self) -> bool: ...

@final
class Duplicate:
    """A text that is dropped, and the one that stays for it."""

    @staticmethod
    def _of(index: int, representative: int, jaccard: float, is_exact: bool) -> Duplicate: ...

    @property
    def index(self) -> int:
        """The place of the dropped text, from 0."""
    @property
    def representative(self) -> int:
        """The place of the text that stays."""
    @property
    def jaccard(self) -> float:
        """Jaccard similarity of the two, computed from their shingles."""
    @property
    def is_exact(self) -> bool:
        """Whether both have the same words."""
    def __eq__(self, other: object, /) -> bool: ...

def minhash(text: str, *, bands: int = 26, rows: int = 5, shingle_words: int = 5) -> NDArray[np.uint32]:
    """The MinHash signature of a text.

    It has bands × rows numbers. The share of numbers that two signatures have in common estimates the Jaccard similarity of
    the sets of `shingle_words` words in a row.
    """

def minhash_batch(
    texts: Iterable[str] | _Arrow,
    *,
    bands: int = 26,
    rows: int = 5,
    shingle_words: int = 5,
    threads: int | None = None,
) -> NDArray[np.uint32]:
    """The MinHash signatures of texts, a row for each."""

def dedup(
    texts: Iterable[str] | _Arrow,
    *,
    min_jaccard: float = 0.7,
    recall: float = 0.99,
    shingle_words: int = 5,
    exact_only: bool = False,
    keep: str = "first",
    threads: int | None = None,
) -> list[Duplicate]:
    """Which texts are dropped, and for which others.

    MinHash proposes pairs, and finds one of similarity `min_jaccard` with probability `recall`; the similarity that decides
    is computed from the shingles. A text is dropped if it resembles one that stays and comes before it (with `keep="longest"`:
    is longer). In memory: 8 bytes for each word of all texts; `webtext dedup` does it for files of any size.
    """

@final
class CanonicalUrl:
    """A URL in its two forms: the one that is fetched, and the key by which duplicates are found."""

    @staticmethod
    def _of(url: str, key: str, domain: str, host: str, extension: str | None) -> CanonicalUrl: ...

    @property
    def url(self) -> str:
        """The URL to fetch."""
    @property
    def key(self) -> str:
        """Equal for URLs of one page."""
    @property
    def domain(self) -> str:
        """Registrable domain by the public-suffix list."""
    @property
    def host(self) -> str:
        """Host in lower case."""
    @property
    def extension(self) -> str | None:
        """What follows the last dot of the path, in lower case; None without one."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def canonical_url(url: str, *, unwrap: Sequence[str] = ()) -> CanonicalUrl:
    """The canonical form of a URL.

    `unwrap` lists what counts as the page that it leads to: search, redirect, archive, amp, mobile. What is no address of a
    web page raises ValueError.
    """

@final
class ArchiveIterator:
    """The records of an archive, one after the other.

    WARC, ARC, WET and WACZ, compressed with gzip or zstd or not; the content tells which.
    """

    def __new__(
        cls,
        source: str | os.PathLike[str] | _Readable,
        *,
        types: Sequence[str] | None = None,
        malformed: str = "warn",
        max_record_bytes: int = 67108864,
    ) -> ArchiveIterator:
        """Opens an archive.

        `source` is a path or an object with `read(n)`, of which `seek` is called for damage and WACZ alone. `types` are those
        of records to give, by default all. Parts of the archive that are no records are named in a warning, with
        `malformed="raise"` in a `webtext.Error`. A block is cut at `max_record_bytes`.
        """
    def __iter__(self) -> Iterator[Record]: ...
    def __next__(self) -> Record: ...

@final
class Record:
    """A record of an archive."""

    @staticmethod
    def _of(
        kind: str,
        offset: tuple[int, int],
        headers: Sequence[tuple[str, str]],
        body: bytes,
        lengths: tuple[int, int],
        faults: tuple[bool, bool],
    ) -> Record: ...

    @property
    def type(self) -> str:
        """Its type in lower case."""
    @property
    def url(self) -> str | None:
        """WARC-Target-URI."""
    @property
    def date(self) -> str | None:
        """WARC-Date as it stands."""
    @property
    def captured_utc(self) -> int | None:
        """The date in seconds since 1970."""
    @property
    def record_id(self) -> str | None:
        """WARC-Record-ID without angle brackets."""
    @property
    def headers(self) -> dict[str, str]:
        """The record's headers; of those with one name, the first."""
    @property
    def http_status(self) -> int | None:
        """The status of an HTTP response."""
    @property
    def http_headers(self) -> list[tuple[str, str]] | None:
        """The header fields of an HTTP response, as they stand; None for any other record."""
    @property
    def content_type(self) -> str | None:
        """The content's type and charset."""
    @property
    def is_html(self) -> bool:
        """Whether the content is HTML."""
    @property
    def body(self) -> bytes:
        """The content without its transfer and content codings."""
    @property
    def block(self) -> bytes:
        """The block as it is stored, with the head of an HTTP message."""
    @property
    def offset(self) -> tuple[int, int]:
        """Where the record begins: the byte of the archive, and within that compressed member."""
    @property
    def is_cut(self) -> bool:
        """Whether the block was longer than max_record_bytes, and is cut there."""

@final
class ArrowArray:
    """An Arrow array, which pyarrow, polars and other libraries take without a copy: `pyarrow.array(array)`,
    `polars.Series(array)`.
    """

    def __arrow_c_schema__(self) -> object:
        """Arrow's PyCapsule interface: the array's type."""
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Arrow's PyCapsule interface: type and array, in the type that it has."""
    def __len__(self) -> int: ...

@final
class ArrowTable:
    """An Arrow table, which pyarrow, polars, DuckDB and other libraries take without a copy: `pyarrow.table(table)`,
    `polars.DataFrame(table)`.
    """

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
    def __arrow_c_schema__(self) -> object:
        """Arrow's PyCapsule interface: the table's schema."""
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Arrow's PyCapsule interface: schema and rows as an array of structures."""
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Arrow's PyCapsule interface: the table as a stream of one batch."""
    def __len__(self) -> int: ...

def run_command(program: str, arguments: Sequence[str]) -> int:
    """Runs a command in this process, and returns its exit code. Once per process: it starts the log, and may listen for
    Ctrl-C.
    """
