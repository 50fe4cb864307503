//! The forms of text shards.

use std::io::{BufRead, BufReader, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::table::{TableReader, TableWriter};
use store::{Blob, BlobReader, Error, Result, Upload};

use crate::ShardRow;

/// zstd level for JSON Lines; higher levels take much longer and save little.
const ZSTD_LEVEL: i32 = 6;

/// In which form text shards are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextForm {
    /// JSON Lines in zstd.
    #[default]
    #[serde(rename = "jsonl.zst")]
    JsonLinesZstd,
    /// Parquet, a column for each field.
    #[serde(rename = "parquet")]
    Parquet,
}

/// Where the documents of a text shard are pushed.
pub trait TextSink {
    /// Appends a document.
    fn push(&mut self, row: &ShardRow) -> Result<()>;

    /// Makes the shard visible.
    fn finish(self: Box<Self>) -> Result<()>;
}

impl TextForm {
    /// File extension of shards in this form, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            TextForm::JsonLinesZstd => "jsonl.zst",
            TextForm::Parquet => "parquet",
        }
    }

    /// Starts a shard in an object that messages name as `shown`.
    pub fn sink(self, upload: Box<dyn Upload>, shown: String) -> Result<Box<dyn TextSink>> {
        Ok(match self {
            TextForm::JsonLinesZstd => Box::new(JsonLinesSink::new(upload, shown)?),
            TextForm::Parquet => Box::new(ParquetSink(TableWriter::new(upload, shown)?)),
        })
    }

    /// The documents of a shard in order, by the fields of `R`.
    pub fn read<R>(self, blob: Box<dyn Blob>, shown: String) -> Result<Box<dyn Iterator<Item = Result<R>>>>
    where
        R: Serialize + DeserializeOwned + 'static,
    {
        if self == TextForm::Parquet {
            return Ok(Box::new(TableReader::new(blob, shown)?));
        }
        let decoder = zstd::Decoder::new(BlobReader::new(blob)).map_err(|error| Error::io("read", &shown, error))?;
        let lines = BufReader::with_capacity(1 << 16, decoder).lines();
        Ok(Box::new(lines.map(move |line| {
            let line = line.map_err(|error| Error::io("read", &shown, error))?;
            serde_json::from_str(&line).map_err(|source| Error::Row { object: shown.clone(), source: Box::new(source) })
        })))
    }
}

struct JsonLinesSink {
    encoder: zstd::Encoder<'static, Box<dyn Upload>>,
    shown: String,
}

impl JsonLinesSink {
    fn new(upload: Box<dyn Upload>, shown: String) -> Result<JsonLinesSink> {
        let encoder = zstd::Encoder::new(upload, ZSTD_LEVEL).and_then(|mut encoder| {
            encoder.include_checksum(true)?;
            Ok(encoder)
        });
        Ok(JsonLinesSink { encoder: encoder.map_err(|error| Error::io("write", &shown, error))?, shown })
    }
}

impl TextSink for JsonLinesSink {
    fn push(&mut self, row: &ShardRow) -> Result<()> {
        let written = serde_json::to_writer(&mut self.encoder, row).map_err(std::io::Error::from);
        written.and_then(|()| self.encoder.write_all(b"\n")).map_err(|error| Error::io("write", &self.shown, error))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let upload = self.encoder.finish().map_err(|error| Error::io("write", &self.shown, error))?;
        upload.commit().map(drop)
    }
}

struct ParquetSink(TableWriter<ShardRow>);

impl TextSink for ParquetSink {
    fn push(&mut self, row: &ShardRow) -> Result<()> {
        self.0.push(row.clone())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.0.finish().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use store::{LocalStore, Store};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct IdAndText {
        id: String,
        text: String,
    }

    #[test]
    fn rows_come_back_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::new(folder.path());
        let row = |n: u32| ShardRow {
            text: format!("a\n{n}"),
            id: n.to_string(),
            karma: Some(3),
            offset: u64::from(n),
            ..ShardRow::default()
        };
        for form in [TextForm::JsonLinesZstd, TextForm::Parquet] {
            let key = format!("shard.{}", form.extension());
            let mut sink = form.sink(store.create(&key).unwrap(), key.clone()).unwrap();
            (0..500).for_each(|n| sink.push(&row(n)).unwrap());
            sink.finish().unwrap();
            let whole = form.read::<ShardRow>(store.open(&key).unwrap(), key.clone()).unwrap();
            assert_eq!(whole.map(|row| row.unwrap()).collect::<Vec<_>>(), (0..500).map(row).collect::<Vec<_>>());
            let mut parts = form.read::<IdAndText>(store.open(&key).unwrap(), key).unwrap();
            assert_eq!(parts.nth(7).unwrap().unwrap(), IdAndText { id: "7".into(), text: "a\n7".into() });
        }
    }
}
