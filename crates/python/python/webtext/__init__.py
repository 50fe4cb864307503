"""Text data sets from web pages: extraction, filters, de-duplication, archives and byte-level BPE.

Every function on many items takes a list or an Arrow array of any library, lets go of the interpreter, runs on all cores
(`threads=` bounds them) and gives its results in the order of the items. Ids are arrays of numpy's `uint32`; `*_arrow`
functions give Arrow data that pyarrow, polars and DuckDB take without a copy.

Wrong arguments raise `ValueError` or `TypeError`, the system's refusals `OSError`, and what fails in the work itself
`webtext.Error`.
"""

from collections.abc import Mapping, Sequence

from webtext._webtext import (
    ArchiveIterator,
    ArrowArray,
    ArrowTable,
    CanonicalUrl,
    Duplicate,
    Error,
    Filter,
    Judgement,
    Page,
    Record,
    Tokenizer,
    __version__,
    canonical_url,
    decode_html,
    dedup,
    extract,
    extract_batch,
    extract_batch_arrow,
    minhash,
    minhash_batch,
    train_bpe_from_iterator,
)
from webtext.files import encode_files, train_bpe

__all__ = [
    "ArchiveIterator",
    "ArrowArray",
    "ArrowTable",
    "CanonicalUrl",
    "Duplicate",
    "Error",
    "Filter",
    "Judgement",
    "Page",
    "Record",
    "Tokenizer",
    "__version__",
    "canonical_url",
    "decode_html",
    "dedup",
    "encode_files",
    "extract",
    "extract_batch",
    "extract_batch_arrow",
    "filter",
    "iter_warc",
    "minhash",
    "minhash_batch",
    "train_bpe",
    "train_bpe_from_iterator",
]

iter_warc = ArchiveIterator


def filter(
    text: str,
    rules: Sequence[str | Mapping[str, object]],
    *,
    url: str = "",
    title: str = "",
    site: str = "",
    generator: str = "",
) -> Judgement:
    """The verdict of rules on a text: whether it is kept, else the rule and its reason, and every measure.

    A rule is its name, which has the published limits, or a dict of settings as a recipe's `[[filter]]` has them:
    `{"rule": "gopher_quality", "min_words": 20}`. For many texts make one `Filter`, which reads its lists and models once.
    """
    return Filter(rules).judge(text, url=url, title=title, site=site, generator=generator)
