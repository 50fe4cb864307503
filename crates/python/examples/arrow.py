"""Texts as Arrow columns: tokens of a polars frame, pages of a pyarrow array, and DuckDB over both."""

import duckdb
import polars as pl
import pyarrow as pa

import webtext

gpt2 = webtext.Tokenizer.gpt2()
frame = pl.DataFrame({"text": ["The tide comes in.", "It goes out again.", ""]})
frame = frame.with_columns(ids=pl.Series(gpt2.encode_batch_arrow(frame["text"])))
print(frame)

html = pa.array([b"<title>Tides</title><p>The tide comes in twice a day.</p>", b"<title>Quay</title><p>It was lit.</p>"])
pages = webtext.extract_batch_arrow(html)
print(duckdb.sql("select title, kind, length(text) as characters from pages order by title"))
