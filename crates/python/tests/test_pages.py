"""Pages, archives, rules, duplicates and URLs."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import webtext

PAGE = b"""<html lang="en"><head><title>Lanterns on the quay | The Harbour Post</title>
<meta name="author" content="Ada Vale"><meta property="article:published_time" content="2021-03-04T05:06:07Z"></head>
<body><nav><a href="/">Home</a> <a href="/news">News</a></nav><article><h1>Lanterns on the quay</h1>
<p>The lanterns along the quay were lit again last night, for the first time since the storm took half of them.</p>
<p>Those who live beside the water came out to look, and many of them stayed until the ferry had left.</p>
</article><footer>All rights reserved</footer></body></html>"""


def test_extract() -> None:
    page = webtext.extract(PAGE, url="https://harbour.example/lanterns")
    assert page.title == "Lanterns on the quay" and page.authors == ["Ada Vale"] and page.date == "2021-03-04"
    assert page.language == "en" and page.url == "https://harbour.example/lanterns"
    assert "stayed until the ferry" in page.text and "rights" not in page.text and "News" not in page.text
    assert str(page) == page.text and page.to_dict()["text"] == page.text
    public = {name for name in dir(page) if not name.startswith("_") and name != "to_dict"}
    assert set(page.to_dict()) == public
    assert webtext.extract(PAGE.decode()).text == page.text
    assert webtext.extract(PAGE, output_format="markdown").text.startswith("# Lanterns")
    assert not webtext.extract(PAGE, include_title=False).text.startswith("Lanterns")
    assert webtext.extract("").text == ""


def test_it_answers_where_trafilatura_is_called() -> None:
    trafilatura = pytest.importorskip("trafilatura")
    theirs = trafilatura.bare_extraction(PAGE.decode(), url="https://harbour.example/", with_metadata=True)
    ours = webtext.extract(PAGE.decode(), url="https://harbour.example/", include_comments=False)
    fields = ("title", "date", "url")
    assert [getattr(ours, name) for name in fields[:2]] == [getattr(theirs, name) for name in fields[:2]]
    words = set(theirs.text.split())
    assert len(words & set(ours.text.split())) >= 0.9 * len(words)


def test_charsets() -> None:
    page = "<p>Grüße aus der Straße am Hafen, in der es heute geregnet hat.</p>".encode("iso-8859-1")
    assert "Grüße" in webtext.extract(page, content_type="text/html; charset=iso-8859-1").text
    assert "Grüße" in webtext.decode_html(page, "text/html; charset=iso-8859-1")
    text = '<meta charset="iso-8859-1"><p>Grüße aus der Straße am Hafen.</p>'
    assert "Grüße" in webtext.extract(text).text


def test_batches(pages: list[bytes]) -> None:
    assert len(pages) > 20
    one = [webtext.extract(page).to_dict() for page in pages]
    assert [page.to_dict() for page in webtext.extract_batch(pages)] == one
    assert [page.to_dict() for page in webtext.extract_batch(pa.array(pages), threads=3)] == one
    table = pa.table(webtext.extract_batch_arrow(pages))
    assert table.column("text").to_pylist() == [page["text"] for page in one]
    assert table.column("authors").to_pylist() == [page["authors"] for page in one]
    assert table.column("error").null_count == len(pages)
    urls = [f"https://x.example/{n}" for n in range(len(pages))]
    assert [page.url for page in webtext.extract_batch(pages, urls)] == urls
    with pytest.raises(ValueError, match=f"urls has 1 values for {len(pages)} pages"):
        webtext.extract_batch(pages, urls[:1])


def test_pages_beyond_a_limit_are_named() -> None:
    large = "<p>word" * 200
    with pytest.raises(webtext.Error, match="page 1, u: "):
        webtext.extract_batch(["<p>a", large], ["t", "u"], max_nodes=100)
    table = pa.table(webtext.extract_batch_arrow(["<p>a", large], max_nodes=100))
    assert table.column("error").is_null().to_pylist() == [True, False]
    assert table.column("text").is_null().to_pylist() == [False, True]
    with pytest.raises(webtext.Error):
        webtext.extract(large, max_nodes=100)
    with pytest.raises(TypeError, match="str or bytes"):
        webtext.extract(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="output_format"):
        webtext.extract(large, output_format="html")


def test_tables_for_polars_and_duckdb(pages: list[bytes]) -> None:
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    table = table_of_pages = webtext.extract_batch_arrow(pages)
    frame = polars.DataFrame(table)
    assert frame.columns == table.column_names and len(frame) == len(table) == len(pages)
    assert duckdb.sql("select count(text) from frame").fetchall() == [(len(pages),)]
    connection = duckdb.connect()
    connection.register("pages", pa.table(table))
    assert connection.sql("select count(text) from pages").fetchall() == [(len(pages),)]
    assert duckdb.sql("select count(text) from table_of_pages").fetchall() == [(len(pages),)]


def test_archives(fixtures: Path) -> None:
    path = fixtures / "pages.warc.gz"
    records = list(webtext.iter_warc(path, malformed="ignore"))
    assert len(records) > 20 and {"warcinfo", "response"} <= {record.type for record in records}
    response = next(record for record in records if record.type == "response" and record.http_status == 200)
    assert response.url and response.date and response.captured_utc and response.record_id
    assert response.headers["WARC-Type"] == "response" and response.http_headers
    assert response.block.endswith(response.body[-20:]) or response.body

    def keys(found: Any) -> list[tuple[str, str | None, bytes]]:
        return [(record.type, record.url, record.block) for record in found]

    expected = keys(records)
    plain = gzip.decompress(path.read_bytes())

    class Stream:
        """Only what a connection offers."""

        def __init__(self, data: bytes) -> None:
            self.inner = io.BytesIO(data)

        def read(self, size: int) -> bytes:
            return self.inner.read(min(size, 1000))

    for source in (str(path), path.open("rb"), gzip.open(path), io.BytesIO(plain), Stream(path.read_bytes()), Stream(plain)):
        assert keys(webtext.iter_warc(source, malformed="ignore")) == expected
    only = list(webtext.iter_warc(path, types=["response"], malformed="ignore"))
    assert keys(only) == [key for key in expected if key[0] == "response"]


def test_archives_are_read_as_warcio_reads_them(fixtures: Path) -> None:
    archiveiterator = pytest.importorskip("warcio.archiveiterator")
    path = fixtures / "pages.warc.gz"
    with path.open("rb") as file:
        theirs = {
            record.rec_headers["WARC-Record-ID"].strip("<>"): record.content_stream().read()
            for record in archiveiterator.ArchiveIterator(file)
            if record.rec_type == "response"
        }
    ours = {record.record_id: record for record in webtext.iter_warc(path, types=["response"], malformed="ignore")}
    same = [ours[id].body == body for id, body in theirs.items() if id in ours]
    # Of the others, the codings are wrong on purpose.
    assert len(same) > 20 and sum(same) >= 0.9 * len(same)


def test_what_is_wrong_with_an_archive_is_said(tmp_path: Path) -> None:
    good = b"WARC/1.0\r\nWARC-Type: resource\r\nWARC-Target-URI: file:a\r\nContent-Length: 1\r\n\r\nx\r\n\r\n"
    bad = tmp_path / "bad.warc"
    bad.write_bytes(good + b"nonsense\r\n\r\n" + good)
    with pytest.warns(RuntimeWarning, match="bad.warc at byte 8"):
        assert len(list(webtext.iter_warc(bad))) == 2
    with pytest.raises(webtext.Error, match="bad.warc at byte 8"):
        list(webtext.iter_warc(bad, malformed="raise"))
    with pytest.raises(FileNotFoundError) as missing:
        webtext.iter_warc(tmp_path / "none.warc")
    assert missing.value.filename == str(tmp_path / "none.warc")

    class Broken:
        def read(self, size: int) -> bytes:
            raise ConnectionResetError("the server is gone")

    with pytest.raises(ConnectionResetError, match="the server is gone"):
        list(webtext.iter_warc(Broken()))
    with pytest.raises(TypeError):
        webtext.iter_warc(7)  # type: ignore[arg-type]


TEXT = "The ferry leaves at noon, and comes back with the tide. It has done so for as long as anyone can remember. " * 6


def test_filter() -> None:
    judgement = webtext.filter("Too short.", ["gopher_quality", {"rule": "length", "min_words": 1, "max_words": 9}])
    assert not judgement and not judgement.kept
    assert (judgement.rule, judgement.measure, judgement.reason) == ("gopher_quality", "words", "too_few_words")
    assert judgement.upstream_reason == "gopher_short_doc" and "min_words = 50" in (judgement.detail or "")
    assert judgement.measures["length.words"] == 2.0 and judgement.failures == {"gopher_quality": "too_few_words"}
    kept = webtext.filter(TEXT, ["gopher_quality"])
    assert kept and kept.rule is None and kept.reason is None and kept.edited_text is None
    assert webtext.filter(TEXT, []).measures == {}
    wikipedia = webtext.filter(TEXT, ["wikipedia"], url="https://en.wikipedia.org/wiki/Ferry")
    assert (wikipedia.rule, wikipedia.measure) == ("wikipedia", "domain")
    rules = webtext.Filter([{"rule": "c4_quality", "dialect": "datatrove-0.10", "min_sentences": 1}])
    edited = rules.judge(TEXT + "\nno end")
    assert edited.kept and edited.edited_text == TEXT.strip()
    batch = rules.judge_batch([TEXT, "", TEXT + "\nno end"], threads=2)
    assert [judgement.kept for judgement in batch] == [True, False, True]


def test_wrong_rules_are_named() -> None:
    with pytest.raises(ValueError, match="did you mean gopher_quality"):
        webtext.filter("", ["gopher_qualty"])
    with pytest.raises(ValueError, match="min_word"):
        webtext.filter("", [{"rule": "gopher_quality", "min_word": 3}])
    with pytest.raises(ValueError, match="min_words = 9 is more than max_words"):
        webtext.filter("", [{"rule": "length", "min_words": 9, "max_words": 3}])
    with pytest.raises(ValueError, match='no name under "rule"'):
        webtext.filter("", [{"min_words": 3}])
    with pytest.raises(TypeError, match="a list"):
        webtext.filter("", "gopher_quality")
    with pytest.raises(ValueError, match="needs settings"):
        webtext.filter("", ["length"])
    with pytest.raises(ValueError, match="nosuch"):
        webtext.filter("", [{"rule": "c4_bad_words", "list": "/nosuch/list", "seed": 1}])
    assert "gopher_quality" in webtext.Filter.known_rules()


def test_dedup() -> None:
    words = [f"word{n}" for n in range(100)]
    near = [*words[:99], "other"]
    texts = [" ".join(words), "something else", " ".join(near), " ".join(words).upper(), "", "!!!", ""]
    found = webtext.dedup(texts)
    assert [(d.index, d.representative, d.is_exact) for d in found] == [(2, 0, False), (3, 0, True), (6, 4, True)]
    shared, either = 95, 97
    assert found[0].jaccard == pytest.approx(shared / either) and found[1].jaccard == 1.0
    assert webtext.dedup(pa.array(texts), threads=2) == found
    assert [d.index for d in webtext.dedup(texts, exact_only=True)] == [3, 6]
    assert [d.index for d in webtext.dedup(texts, min_jaccard=0.99)] == [3, 6]
    longest = webtext.dedup(["a b c d e f", "a b c d e f, and more", "A b c d e f!"], keep="longest", min_jaccard=0.9)
    assert [(d.index, d.representative) for d in longest] == [(0, 2)]
    for wrong in ({"min_jaccard": 0.0}, {"recall": 1.0}, {"keep": "last"}, {"shingle_words": 0}):
        with pytest.raises(ValueError):
            webtext.dedup(texts, **wrong)


def test_signatures_estimate_the_similarity() -> None:
    words = [f"w{n}" for n in range(400)]
    a, b = " ".join(words[:300]), " ".join(words[100:])
    signatures = webtext.minhash_batch([a, b, a], bands=128, rows=4)
    assert signatures.shape == (3, 512) and signatures.dtype == np.uint32
    assert np.array_equal(signatures[0], webtext.minhash(a, bands=128, rows=4)) and np.array_equal(*signatures[[0, 2]])
    assert abs(np.mean(signatures[0] == signatures[1]) - 196 / 396) < 0.1
    with pytest.raises(ValueError):
        webtext.minhash(a, bands=0)


def test_canonical_url() -> None:
    url = webtext.canonical_url("HTTP://www.Example.co.uk:80/b/?utm_source=x&z=%7e&a=2#top")
    assert str(url) == url.url == "http://www.example.co.uk/b/?utm_source=x&z=%7e&a=2"
    assert (url.key, url.domain, url.host) == ("uk,co,example)/b?a=2&z=~", "example.co.uk", "www.example.co.uk")
    assert url == webtext.canonical_url(url.url) and len({url, webtext.canonical_url(url.url)}) == 1
    wrapped = webtext.canonical_url("https://www.google.com/url?q=http://x.example/a.PDF&sa=U", unwrap=["search"])
    assert (wrapped.url, wrapped.extension) == ("http://x.example/a.PDF", "pdf")
    for wrong in ("mailto:a@b.example", "http://", "not a url"):
        with pytest.raises(ValueError):
            webtext.canonical_url(wrong)
    with pytest.raises(ValueError, match="archive"):
        webtext.canonical_url("http://x.example", unwrap=["everything"])
