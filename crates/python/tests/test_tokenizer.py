"""The tokenizer, against tiktoken."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tiktoken

import webtext
from webtext import Tokenizer


@pytest.fixture(scope="session")
def gpt2() -> Tokenizer:
    return Tokenizer.gpt2()


@pytest.fixture(scope="session")
def peer(gpt2: Tokenizer) -> tiktoken.Encoding:
    """tiktoken's own code with GPT-2's ranks, which it would else fetch from the network."""
    ranks = {gpt2.decode_single_token_bytes(id): id for id in range(50256)}
    pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
    return tiktoken.Encoding(
        "gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256}, explicit_n_vocab=50257
    )


def test_ids_are_tiktokens(gpt2: Tokenizer, peer: tiktoken.Encoding, texts: list[str]) -> None:
    expected = peer.encode_ordinary_batch(texts)
    assert [gpt2.encode_ordinary(text).tolist() for text in texts] == expected
    assert [ids.tolist() for ids in gpt2.encode_ordinary_batch(texts)] == expected
    assert gpt2.count_batch(texts).tolist() == [len(ids) for ids in expected] == [gpt2.count(text) for text in texts]
    assert gpt2.decode_batch(expected) == peer.decode_batch(expected) == texts
    assert gpt2.n_vocab == peer.n_vocab and gpt2.eot_token == peer.eot_token
    assert gpt2.max_token_value == peer.max_token_value and gpt2.special_tokens_set == peer.special_tokens_set


def test_ids_are_arrays(gpt2: Tokenizer) -> None:
    ids = gpt2.encode("Hello world")
    assert ids.dtype == np.uint32 and ids.tolist() == [15496, 995]
    for same in (ids, ids.tolist(), tuple(ids.tolist()), ids.astype(np.int64), ids[::1]):
        assert gpt2.decode(same) == "Hello world"
    assert gpt2.decode(np.array([15496, 0, 995, 0], np.uint32)[::2]) == "Hello world"
    assert gpt2.decode([]) == "" and gpt2.encode("").tolist() == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"allowed_special": "all"},
        {"allowed_special": {"<|endoftext|>"}},
        {"disallowed_special": ()},
        {"allowed_special": {"<|endoftext|>"}, "disallowed_special": ()},
        {"allowed_special": "all", "disallowed_special": ()},
        {"disallowed_special": ["<|endoftext|>"]},
    ],
)
def test_special_tokens_are_as_in_tiktoken(gpt2: Tokenizer, peer: tiktoken.Encoding, options: dict[str, object]) -> None:
    for text in ("one<|endoftext|>two<|endoftext|>", "<|endoftext", "none"):
        try:
            expected = peer.encode(text, **options)
        except ValueError:
            with pytest.raises(ValueError, match="allowed_special"):
                gpt2.encode(text, **options)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="text 1: "):
                gpt2.encode_batch(["", text], **options)  # type: ignore[arg-type]
        else:
            assert gpt2.encode(text, **options).tolist() == expected  # type: ignore[arg-type]


def test_some_of_several_special_tokens() -> None:
    tokenizer = webtext.train_bpe_from_iterator([], 259, special=["<a>", "<b>", "<a>b"])
    encode = tokenizer.encode
    assert encode("x<a><b>", allowed_special={"<a>"}, disallowed_special=()).tolist()[:2] == [87, 256]
    assert len(encode("<b>", allowed_special={"<a>"}, disallowed_special=())) == 3
    with pytest.raises(ValueError, match="<b>"):
        encode("x<a><b>", allowed_special={"<a>"})
    assert encode("<a>b", allowed_special="all").tolist() == [258]
    with pytest.raises(ValueError, match="no special token"):
        encode("x", allowed_special={"<c>"})
    with pytest.raises(ValueError, match="collection"):
        encode("x", allowed_special="<a>")


def test_halves_of_surrogate_pairs_are_replaced_as_in_tiktoken(gpt2: Tokenizer, peer: tiktoken.Encoding) -> None:
    for text in ("\ud83d", "a\ud83d\ude00b", "\ude00\ud83d x"):
        assert gpt2.encode_ordinary(text).tolist() == peer.encode_ordinary(text)
        assert gpt2.encode_ordinary_batch([text])[0].tolist() == peer.encode_ordinary(text)


def test_single_tokens(gpt2: Tokenizer, peer: tiktoken.Encoding) -> None:
    for token in ("Hello", b" world", b"\xff", "<|endoftext|>"):
        assert gpt2.encode_single_token(token) == peer.encode_single_token(token)
    for missing in ("no such token", b"\xff\xff"):
        with pytest.raises(KeyError):
            gpt2.encode_single_token(missing)
    with pytest.raises(KeyError):
        gpt2.decode_single_token_bytes(50257)


def test_bytes_that_are_no_text(gpt2: Tokenizer, peer: tiktoken.Encoding) -> None:
    ids = np.array([gpt2.encode_single_token(b"\xc3")], np.uint32)
    assert gpt2.decode_bytes(ids) == b"\xc3" and gpt2.decode(ids) == peer.decode(ids.tolist()) == "\ufffd"
    with pytest.raises(UnicodeDecodeError):
        gpt2.decode(ids, errors="strict")


def test_wrong_ids_are_named(gpt2: Tokenizer) -> None:
    with pytest.raises(ValueError, match="id 50257 at place 1 is not in the vocabulary of 50257"):
        gpt2.decode([1, 50257])
    for wrong in ([-1], ["a"], [1.5], [1 << 32]):
        with pytest.raises(TypeError, match="at place 0"):
            gpt2.decode(wrong)  # type: ignore[arg-type]


def test_arrow_in_and_out(gpt2: Tokenizer, texts: list[str]) -> None:
    expected = [ids.tolist() for ids in gpt2.encode_ordinary_batch(texts)]
    array = pa.array(texts)
    views = array.cast(pa.string_view())
    for given in (array, array.cast(pa.large_string()), views, pa.chunked_array([array[:5], array[5:]]), array[3:], texts):
        ids = pa.array(gpt2.encode_batch_arrow(given, disallowed_special=()))
        assert ids.type == pa.list_(pa.field("item", pa.uint32(), nullable=False))
        ids.validate(full=True)
        assert ids.to_pylist() == expected[-len(given) :]
        assert [ids.tolist() for ids in gpt2.encode_ordinary_batch(given)] == expected[-len(given) :]
    assert len(gpt2.encode_batch_arrow([])) == 0


def test_arrow_of_polars_and_duckdb(gpt2: Tokenizer) -> None:
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    frame = polars.DataFrame({"text": ["Hello world", "", "x"]})
    ids = polars.Series(gpt2.encode_batch_arrow(frame["text"]))
    assert ids.to_list() == [[15496, 995], [], [87]]
    frame = frame.with_columns(ids=ids)
    assert duckdb.sql("select sum(len(ids)) from frame").fetchall() == [(3,)]
    column = duckdb.sql("select text from frame").to_arrow_table()["text"]
    assert gpt2.count_batch(column).tolist() == [2, 0, 1]


def test_wrong_texts_are_named(gpt2: Tokenizer) -> None:
    with pytest.raises(TypeError, match="give a list of texts"):
        gpt2.encode_batch("one text")
    with pytest.raises(TypeError, match="item 1 is no text"):
        gpt2.encode_batch(["a", b"b"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="row 2 is null"):
        gpt2.encode_batch(pa.chunked_array([["a"], ["b", None]]))
    with pytest.raises(TypeError, match="Int64"):
        gpt2.encode_batch(pa.array([1]))
    with pytest.raises(TypeError, match="one column of the table"):
        gpt2.encode_batch(pa.table({"text": ["a"]}))
    with pytest.raises((ValueError, OverflowError)):
        gpt2.encode_batch(["a"], threads=0)


def test_the_same_for_any_number_of_threads(gpt2: Tokenizer, texts: list[str]) -> None:
    one = gpt2.encode_ordinary_batch(texts * 3, threads=1)
    for threads in (2, 3, 16):
        several = gpt2.encode_ordinary_batch(texts * 3, threads=threads)
        assert all(np.array_equal(a, b) for a, b in zip(one, several, strict=True))


def test_threads_of_python_share_it(gpt2: Tokenizer, texts: list[str]) -> None:
    expected = [ids.tolist() for ids in gpt2.encode_ordinary_batch(texts)]
    found: list[list[list[int]]] = []

    def work() -> None:
        found.append([gpt2.encode_ordinary(text).tolist() for text in texts])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_it_is_pickled_and_saved(gpt2: Tokenizer, texts: list[str], tmp_path: Path) -> None:
    trained = webtext.train_bpe_from_iterator(texts, 500, pattern="cl100k", special=["<x>", "<|endoftext|>"])
    for tokenizer in (gpt2, trained):
        tokenizer.save(tmp_path)
        again = [pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer), Tokenizer.from_file(tmp_path)]
        for other in [*again, Tokenizer.from_json(tokenizer.to_json())]:
            assert other.n_vocab == tokenizer.n_vocab and other.eot_token == tokenizer.eot_token
            ids = zip(other.encode_ordinary_batch(texts), tokenizer.encode_ordinary_batch(texts), strict=True)
            assert all(np.array_equal(a, b) for a, b in ids)
    assert gpt2 == pickle.loads(pickle.dumps(gpt2)) and gpt2 != trained


def test_files_that_are_missing_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        Tokenizer.from_file(tmp_path / "none")
    assert missing.value.filename == str(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="looked for tokenizer.json"):
        Tokenizer.from_file(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text('{"model": {}}')
    with pytest.raises(ValueError, match="tokenizer.json"):
        Tokenizer.from_file(file)
    (tmp_path / "own.tiktoken").write_text("YQ== 0\n")
    with pytest.raises(ValueError):
        Tokenizer.from_file(tmp_path / "own.tiktoken")


def test_training_from_texts_and_files(tmp_path: Path, texts: list[str]) -> None:
    plain = [text.replace("\r", "") for text in texts if text.strip() and "\0" not in text and "<|" not in text]
    trained = webtext.train_bpe_from_iterator((text for text in plain), 600)
    same = webtext.train_bpe_from_iterator(pa.array(plain), 600, threads=3)
    assert trained == same and trained.n_vocab == 600
    file = tmp_path / "texts.parquet"
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": plain}), file)
    from_files = webtext.train_bpe(file, 600, output=tmp_path / "tokenizer")
    assert from_files == trained == Tokenizer.from_file(tmp_path / "tokenizer")
    counts = webtext.encode_files([file], tmp_path / "ids.bin", tokenizer=trained, threads=2)
    ids = np.fromfile(tmp_path / "ids.bin", counts["dtype"])
    assert counts["documents"] == len(plain) and counts["tokens"] == len(ids)
    assert trained.decode(ids[ids != trained.eot_token].astype(np.uint32)) == "".join(plain)
    for wrong, options in ((256, {}), (600, {"special": ["a", "a"]}), (600, {"pattern": "("})):
        with pytest.raises(ValueError):
            webtext.train_bpe_from_iterator(plain, wrong, **options)
    with pytest.raises(webtext.Error, match="nosuch"):
        webtext.train_bpe(tmp_path / "nosuch.txt", 600)
    # Without special tokens, and with ones that look like flags.
    bare = webtext.train_bpe(file, 500, special=(), pattern="cl100k")
    assert bare.special_tokens == {} and bare == webtext.train_bpe_from_iterator(plain, 500, special=(), pattern="cl100k")
    dashed = webtext.train_bpe(file, 500, special=["-s", "--"])
    assert dashed == webtext.train_bpe_from_iterator(plain, 500, special=["-s", "--"])
    assert webtext.encode_files(file, tmp_path / "-o", tokenizer=dashed, end_of_text="-s")["documents"] == len(plain)
    with pytest.raises(TypeError, match="special is a list"):
        webtext.train_bpe(file, 500, special="<s>")


def test_arrow_arrays_that_are_damaged(gpt2: Tokenizer) -> None:
    # As pyarrow reads a Parquet file whose texts are no UTF-8.
    offsets = pa.py_buffer(np.array([0, 3, 8], dtype="int32"))
    damaged = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"abc\xff def"))
    calls: list[Callable[..., object]] = [
        gpt2.encode_batch,
        gpt2.encode_batch_arrow,
        gpt2.count_batch,
        webtext.extract_batch,
        webtext.dedup,
        webtext.minhash_batch,
        webtext.Filter(["gopher_quality"]).judge_batch,
    ]
    for call in calls:
        with pytest.raises(ValueError, match="is damaged"):
            call(damaged)
