"""Pages, archives, rules, duplicates and URLs."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable
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
    for given in (urls, tuple(urls), pa.array(urls), pa.chunked_array([urls[:3], urls[3:]]), pa.array(urls, pa.large_string())):
        assert [page.url for page in webtext.extract_batch(pages, given)] == urls
        assert pa.table(webtext.extract_batch_arrow(pages, given)).column("url").to_pylist() == urls
    latin = "<p>Grüße aus der Straße am Hafen, in der es heute geregnet hat.</p>".encode("iso-8859-1")
    for types in (["text/html; charset=iso-8859-1", None], pa.array(["text/html; charset=iso-8859-1", None])):
        assert "Grüße" in webtext.extract_batch([latin, "<p>x"], content_types=types)[0].text
        table = pa.table(webtext.extract_batch_arrow([latin, "<p>x"], None, types))
        assert "Grüße" in table.column("text")[0].as_py()
    assert webtext.extract_batch(["<p>x"], pa.nulls(1))[0].url is None
    wrong: Any = [7]
    with pytest.raises(TypeError, match="urls: item 0 is no text"):
        webtext.extract_batch_arrow(["<p>x"], wrong)
    with pytest.raises(TypeError, match="urls: one text was given"):
        webtext.extract_batch(["<p>x"], "u")
    with pytest.raises(ValueError, match=f"urls has 1 value for {len(pages)} pages"):
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
    with pytest.raises(ValueError, match="bogus.*warcinfo, response"):
        webtext.iter_warc(path, types=["bogus"])
    with pytest.raises(TypeError, match=r"types is a list, such as \['response'\]"):
        webtext.iter_warc(path, types="response")
    only = list(webtext.iter_warc(path, types=["Response"], malformed="ignore"))
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
    of_wikipedia = webtext.Filter(["wikipedia"]).judge_batch([TEXT, TEXT], urls=pa.array([None, "https://en.wikipedia.org/wiki/F"]))
    assert [judgement.kept for judgement in of_wikipedia] == [True, False]
    batch = rules.judge_batch([TEXT, "", TEXT + "\nno end"], threads=2)
    assert [judgement.kept for judgement in batch] == [True, False, True]


def test_results_are_pickled(fixtures: Path) -> None:
    def again(found: Any) -> Any:
        return pickle.loads(pickle.dumps(found))

    page = webtext.extract(PAGE, url="https://harbour.example/lanterns")
    assert again(page).to_dict() == page.to_dict()
    url = webtext.canonical_url("https://x.example/a.pdf")
    assert again(url) == url and again(url).extension == "pdf"
    found = webtext.dedup(["a b c d e f", "a b c d e f"])
    assert again(found) == found
    rules = webtext.Filter(["gopher_quality", {"rule": "length", "min_words": 1, "max_words": 9}])
    for text in ("Too short.", TEXT):
        judgement = rules.judge(text)
        names = [name for name in dir(judgement) if not name.startswith("_") and name != "measures"]
        assert [getattr(again(judgement), name) for name in names] == [getattr(judgement, name) for name in names]
        assert repr(again(judgement)) == repr(judgement)
        assert again(judgement).measures == pytest.approx(judgement.measures, nan_ok=True)
    for record in webtext.iter_warc(fixtures / "pages.warc.gz", malformed="ignore"):
        same = again(record)
        for name in ("type", "url", "date", "captured_utc", "headers", "http_status", "content_type", "block", "offset", "is_cut"):
            assert getattr(same, name) == getattr(record, name)


def test_numbers_out_of_range_are_named() -> None:
    calls: list[tuple[str, Callable[..., object]]] = [
        ("threads", lambda n: webtext.extract_batch(["<p>x"], threads=n)),
        ("threads", lambda n: webtext.dedup(["x"], threads=n)),
        ("bands", lambda n: webtext.minhash("x", bands=n)),
        ("shingle_words", lambda n: webtext.minhash_batch(["x"], shingle_words=n)),
        ("vocab_size", lambda n: webtext.train_bpe_from_iterator(["x"], n)),
        ("vocab_size", lambda n: webtext.train_bpe("x", n)),
        ("threads", lambda n: webtext.encode_files("x", "y", threads=n)),
    ]
    for name, call in calls:
        for wrong in (0, -1, 1 << 70):
            if wrong <= 0 or name not in ("vocab_size", "threads"):
                with pytest.raises(ValueError, match=name):
                    call(wrong)
        with pytest.raises(TypeError, match=name):
            call("many")
    for name in ("max_nodes", "max_depth"):
        options: dict[str, Any] = {name: -1}
        with pytest.raises(ValueError, match=name):
            webtext.extract("<p>x", **options)


def test_an_arrow_capsule_gives_its_array_once() -> None:
    class Once:
        def __init__(self, array: Any, name: str) -> None:
            capsules = getattr(array, name)()
            setattr(Once, name, lambda self: capsules)

    once: Any = Once(pa.array(["a text"]), "__arrow_c_array__")
    assert len(webtext.extract_batch(once)) == 1
    with pytest.raises(ValueError, match="taken from its capsule before"):
        webtext.extract_batch(once)
    delattr(Once, "__arrow_c_array__")
    stream: Any = Once(pa.chunked_array([["a text"]]), "__arrow_c_stream__")
    assert len(webtext.extract_batch(stream)) == 1
    with pytest.raises(ValueError, match="taken from its capsule before"):
        webtext.extract_batch(stream)


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
