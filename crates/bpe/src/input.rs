//! Documents out of files: plain text, JSON Lines or Parquet; plain, `.gz` or `.zst`.
//!
//! | name ends in | documents |
//! | --- | --- |
//! | `.jsonl`, `.json` (also `.zst`, `.gz`) | the `text` field of each line |
//! | `.parquet` | the `text` column |
//! | anything else (also `.zst`, `.gz`) | the file, or its parts between a separator |

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

/// A document could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}{}", path.display(), place.as_deref().map(|p| format!(" at {p}")).unwrap_or_default())]
pub struct InputError {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub place: Option<String>,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// How files are read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Cuts plain text into documents; the separator belongs to none.
    pub separator: Option<String>,
    /// Replace invalid UTF-8 by U+FFFD instead of failing with the byte's offset.
    pub lossy: bool,
}

/// The documents of one file, in order. Memory: one document, or one batch of a Parquet file.
pub struct Documents {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Lines { reader: Box<dyn BufRead + Send>, line: u64, lossy: bool },
    Parts { reader: Box<dyn BufRead + Send>, options: Options, offset: u64, held: Vec<u8>, at: usize, ended: bool },
    Parquet { batches: ParquetRecordBatchReader, rows: std::vec::IntoIter<String> },
}

impl Documents {
    /// Opens a file; its kind is told by its name, its compression by its first bytes.
    pub fn open(path: &Path, options: &Options) -> Result<Documents, InputError> {
        let fault = |source: Box<dyn std::error::Error + Send + Sync>| InputError {
            path: path.to_path_buf(),
            place: None,
            source,
        };
        let name = path.to_string_lossy();
        let name = name.trim_end_matches(".zst").trim_end_matches(".gz");
        let kind = if name.ends_with(".parquet") {
            let file = File::open(path).map_err(|e| fault(e.into()))?;
            Kind::Parquet { batches: text_column(file).map_err(fault)?, rows: Vec::new().into_iter() }
        } else {
            let reader = open_plain(path).map_err(|e| fault(e.into()))?;
            if name.ends_with(".jsonl") || name.ends_with(".json") || name.ends_with(".ndjson") {
                Kind::Lines { reader, line: 0, lossy: options.lossy }
            } else {
                Kind::Parts { reader, options: options.clone(), offset: 0, held: Vec::new(), at: 0, ended: false }
            }
        };
        Ok(Documents { path: path.to_path_buf(), kind })
    }

    fn fault(&self, place: String, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InputError {
        InputError { path: self.path.clone(), place: Some(place), source: source.into() }
    }

    fn next_document(&mut self) -> Result<Option<String>, InputError> {
        match &mut self.kind {
            Kind::Lines { .. } => self.next_line(),
            Kind::Parts { .. } => self.next_part(),
            Kind::Parquet { .. } => self.next_row(),
        }
    }

    fn next_line(&mut self) -> Result<Option<String>, InputError> {
        #[derive(serde::Deserialize)]
        struct Row {
            text: String,
        }
        let Kind::Lines { reader, line, lossy } = &mut self.kind else { unreachable!("called for lines") };
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes);
            *line += 1;
            let place = format!("line {line}");
            match read {
                Err(error) => return Err(self.fault(place, error)),
                Ok(0) => return Ok(None),
                Ok(_) if bytes.trim_ascii().is_empty() => continue,
                Ok(_) => {}
            }
            let row = if *lossy {
                serde_json::from_str::<Row>(&String::from_utf8_lossy(&bytes))
            } else {
                serde_json::from_slice::<Row>(&bytes)
            };
            return row.map(|row| Some(row.text)).map_err(|error| self.fault(place, error));
        }
    }

    fn next_part(&mut self) -> Result<Option<String>, InputError> {
        let Kind::Parts { reader, options, offset, held, at, ended } = &mut self.kind else {
            unreachable!("called for parts")
        };
        let separator = options.separator.as_deref().unwrap_or("").as_bytes();
        let mut searched = *at;
        let part = loop {
            if !separator.is_empty()
                && let Some(found) = memchr::memmem::find(&held[searched..], separator)
            {
                let end = searched + found;
                let part = held[*at..end].to_vec();
                let consumed = end + separator.len() - *at;
                *at = end + separator.len();
                break Some((part, consumed));
            }
            // What was given out is let go once a chunk, not once a document.
            held.drain(..std::mem::take(at));
            searched = (held.len() + 1).saturating_sub(separator.len().max(1));
            let mut chunk = Vec::new();
            let read = if *ended { Ok(0) } else { reader.take(1 << 20).read_to_end(&mut chunk) };
            match read {
                Err(error) => {
                    let place = format!("byte {}", *offset + held.len() as u64);
                    return Err(self.fault(place, error));
                }
                Ok(0) => {
                    *ended = true;
                    let part = std::mem::take(held);
                    let len = part.len();
                    break (!part.is_empty()).then_some((part, len));
                }
                Ok(_) => held.append(&mut chunk),
            }
        };
        let Some((bytes, consumed)) = part else { return Ok(None) };
        let start = *offset;
        *offset += consumed as u64;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) if options.lossy => Ok(Some(String::from_utf8_lossy(error.as_bytes()).into_owned())),
            Err(error) => {
                let place = format!("byte {}", start + error.utf8_error().valid_up_to() as u64);
                Err(self.fault(place, "invalid UTF-8; --lossy replaces it by U+FFFD"))
            }
        }
    }

    fn next_row(&mut self) -> Result<Option<String>, InputError> {
        let Kind::Parquet { batches, rows } = &mut self.kind else { unreachable!("called for Parquet") };
        loop {
            if let Some(text) = rows.next() {
                return Ok(Some(text));
            }
            let batch = match batches.next() {
                None => return Ok(None),
                Some(batch) => batch,
            };
            match batch {
                Err(error) => return Err(InputError { path: self.path.clone(), place: None, source: error.into() }),
                Ok(batch) => {
                    let column = batch.column(0);
                    let texts: Vec<String> = if let Some(texts) = column.as_string_opt::<i32>() {
                        texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
                    } else if let Some(texts) = column.as_string_opt::<i64>() {
                        texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
                    } else {
                        return Err(self.fault("column text".into(), "the column does not hold strings"));
                    };
                    *rows = texts.into_iter();
                }
            }
        }
    }
}

impl Iterator for Documents {
    type Item = Result<String, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_document().transpose()
    }
}

fn text_column(file: File) -> Result<ParquetRecordBatchReader, Box<dyn std::error::Error + Send + Sync>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = builder.parquet_schema();
    let column = schema.columns().iter().position(|column| column.path().string() == "text");
    let column = column.ok_or("there is no column named text")?;
    let mask = ProjectionMask::leaves(schema, [column]);
    Ok(builder.with_projection(mask).with_batch_size(256).build()?)
}

/// Opens a file, decompressing gzip and zstd.
pub fn open_plain(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(1 << 18, File::open(path)?);
    Ok(match file.fill_buf()? {
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(file)?;
            decoder.window_log_max(31)?;
            Box::new(BufReader::with_capacity(1 << 18, decoder))
        }
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(1 << 18, flate2::bufread::MultiGzDecoder::new(file))),
        _ => Box::new(file),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], options: &Options, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let got: Vec<String> = Documents::open(&path, options)
            .and_then(Iterator::collect)
            .unwrap_or_else(|e| vec![format!("{e}: {}", e.source).replace(&*path.to_string_lossy(), "FILE")]);
        assert_eq!(got, expected, "{name}");
    }

    #[test]
    fn kinds_of_files() {
        let plain = Options::default();
        check("a.txt", b"one\ntwo", &plain, &["one\ntwo"]);
        check("a.txt", b"", &plain, &[]);
        check("a.jsonl", b"{\"text\":\"one\",\"x\":1}\n\n{\"text\":\"\"}", &plain, &["one", ""]);
        check("a.jsonl.zst", &zstd::encode_all(&b"{\"text\":\"one\"}\n"[..], 1).unwrap(), &plain, &["one"]);
        let parts = Options { separator: Some("<|end|>".into()), ..Options::default() };
        check("a.txt", b"one<|end|>two<|e<|end|><|end|>", &parts, &["one", "two<|e", ""]);
    }

    #[test]
    fn faults_name_their_place() {
        let plain = Options::default();
        check(
            "a.txt",
            b"caf\xe9",
            &plain,
            &["cannot read FILE at byte 3: invalid UTF-8; --lossy replaces it by U+FFFD"],
        );
        check("a.txt", b"caf\xe9", &Options { lossy: true, ..plain.clone() }, &["caf\u{fffd}"]);
        check(
            "a.jsonl",
            b"{\"text\":\"one\"}\n{\"txt\":1}",
            &plain,
            &["cannot read FILE at line 2: missing field `text` at line 1 column 9"],
        );
    }
}
