//! The texts of a Parquet column that need not be UTF-8, as a column of bytes.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use texts::ParquetRows;

use super::Fault;

/// Reads the texts, each with invalid UTF-8 replaced by U+FFFD; a null is an empty text.
pub(super) struct LossyTexts {
    rows: ParquetRows,
    column: String,
    ready: VecDeque<Result<String, Fault>>,
}

impl LossyTexts {
    pub(super) fn open(file: File, column: &str) -> Result<LossyTexts, Fault> {
        let rows = ParquetRows::open(file, |name| name == column).map_err(Fault::of_file)?;
        rows.require_texts(column).map_err(Fault::of_file)?;
        Ok(LossyTexts { rows, column: column.to_owned(), ready: VecDeque::new() })
    }

    /// The next text, or what is wrong with its row.
    pub(super) fn next(&mut self) -> Result<Option<Result<String, Fault>>, Fault> {
        while self.ready.is_empty() {
            let Some(batch) = self.rows.next_batch().map_err(Fault::of_file)? else { return Ok(None) };
            let rows = batch.rows().map_err(Fault::of_file)?;
            for (number, row) in rows.iter() {
                let text = row.read_by(TextOfRow(&self.column));
                self.ready.push_back(text.map_err(|error| Fault::at(format!("row {number}"), error)));
            }
        }
        Ok(self.ready.pop_front())
    }
}

/// Finds the text among a row's columns.
struct TextOfRow<'c>(&'c str);

impl<'de> DeserializeSeed<'de> for TextOfRow<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, row: D) -> Result<String, D::Error> {
        row.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TextOfRow<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut row: A) -> Result<String, A::Error> {
        let mut text = String::new();
        while let Some(name) = row.next_key::<String>()? {
            if name == self.0 {
                text = row.next_value_seed(LossyText)?;
            } else {
                row.next_value::<IgnoredAny>()?;
            }
        }
        Ok(text)
    }
}

struct LossyText;

impl<'de> DeserializeSeed<'de> for LossyText {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<String, D::Error> {
        text.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LossyText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn visit_none<E: Error>(self) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, text: D) -> Result<String, D::Error> {
        text.deserialize_any(LossyText)
    }
}
