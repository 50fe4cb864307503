//! Documents out of JSON Lines and Parquet.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::error::Error as _;
use std::io::{BufRead, Read, Seek};

use crate::fields::{FieldNames, Fields, fields_of_line, names_in_line, no_field, utf8};
use crate::{
    DocumentFault, Error, Line, Lines, MalformedRecord, ParquetBatch, ParquetRow, ParquetRows, RecordPlace, Source,
    records_in,
};

/// Longest text in bytes by default: 128 MiB.
pub const DEFAULT_MAX_TEXT_BYTES: usize = 128 << 20;

/// Maximum number of bytes that a byte of text takes in JSON: `\u0000` to `\u001f`.
const MAX_ESCAPE_BYTES: usize = 6;
/// Bytes of a line that other fields may take.
const MAX_OTHER_FIELDS_BYTES: usize = 16 << 20;

/// Which fields are read, and how long a text may be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentOptions {
    /// The field or column of the text. Default: `text`.
    pub text_field: String,
    /// The field or column of the document's URL, if that is read. Default: none.
    pub url_field: Option<String>,
    /// Longest text in bytes. A longer one is a [`MalformedRecord`]. Default: [`DEFAULT_MAX_TEXT_BYTES`].
    pub max_text_bytes: usize,
}

impl Default for DocumentOptions {
    fn default() -> DocumentOptions {
        DocumentOptions::new("text")
    }
}

impl DocumentOptions {
    /// Texts of this field, and no URLs.
    pub fn new(text_field: impl Into<String>) -> DocumentOptions {
        let max_text_bytes = DEFAULT_MAX_TEXT_BYTES;
        DocumentOptions { text_field: text_field.into(), url_field: None, max_text_bytes }
    }

    /// The same with URLs of this field.
    pub fn with_url_field(self, url_field: impl Into<String>) -> DocumentOptions {
        DocumentOptions { url_field: Some(url_field.into()), ..self }
    }

    /// The same with another limit on a text's length in bytes.
    pub fn with_max_text_bytes(self, max_text_bytes: usize) -> DocumentOptions {
        DocumentOptions { max_text_bytes, ..self }
    }

    /// Longest line, in bytes, whose text may be within the limit.
    pub(crate) fn max_line_bytes(&self) -> usize {
        self.max_text_bytes.saturating_mul(MAX_ESCAPE_BYTES).saturating_add(MAX_OTHER_FIELDS_BYTES)
    }

    pub(crate) fn check_length(&self, text: &str) -> Result<(), DocumentFault> {
        if text.len() > self.max_text_bytes {
            return Err(format!("the text is {} bytes long, more than {}", text.len(), self.max_text_bytes).into());
        }
        Ok(())
    }
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextDocument {
    /// The text; empty where the source has a null.
    pub text: String,
    /// The URL, if URLs are read and the source has one here.
    pub url: Option<String>,
    /// Where the document is in its source.
    pub place: RecordPlace,
}

/// The documents of one source, in order. Memory: one line of JSON, or a page of each Parquet column and 64 rows.
pub struct Documents {
    options: DocumentOptions,
    records: Records,
    /// Decoded documents that are not returned yet.
    ready: VecDeque<Record>,
    is_broken: bool,
}

/// A line or row: a document, or why it is none.
type Record = Result<TextDocument, MalformedRecord>;

enum Records {
    Lines(Lines<Box<dyn BufRead + Send>>),
    Parquet(ParquetRows),
}

impl Documents {
    /// Opens JSON Lines, compressed or not, or Parquet; the source's content tells which, see [`Source::open`].
    ///
    /// # Errors
    /// When the source cannot be read, is neither of the two, or lacks the column of the text. A line of JSON without
    /// that field is a [`MalformedRecord`], since other lines may have it. A source may lack URLs in either form.
    pub fn open<R: Read + Seek + Send + 'static>(source: R, options: DocumentOptions) -> Result<Documents, Error> {
        let records = match Source::open(source)? {
            Source::PlainText(mut reader) => return Err(records_in(&mut reader).err().unwrap_or(Error::PlainText)),
            Source::JsonLines(mut reader) => {
                records_in(&mut reader)?;
                Records::Lines(Lines::new(reader, options.max_line_bytes()))
            }
            Source::Parquet(source) => {
                let url = options.url_field.as_deref();
                let rows = ParquetRows::open(source, |column| column == options.text_field || Some(column) == url)?;
                rows.require_texts(&options.text_field)?;
                if let Some(url) = url.filter(|url| rows.columns().iter().any(|column| column == url)) {
                    rows.require_texts(url)?;
                }
                Records::Parquet(rows)
            }
        };
        Ok(Documents { options, records, ready: VecDeque::new(), is_broken: false })
    }

    fn next_record(&mut self) -> Result<Option<Record>, Error> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            match &mut self.records {
                Records::Lines(lines) => {
                    return Ok(lines.next()?.map(|(number, line)| document_of_line(number, line, &self.options)));
                }
                Records::Parquet(rows) => match rows.next_batch()? {
                    None => return Ok(None),
                    Some(batch) => self.ready = documents_of_rows(&batch, &self.options)?,
                },
            }
        }
    }
}

impl Iterator for Documents {
    type Item = Result<Result<TextDocument, MalformedRecord>, Error>;

    /// The next line or row that is not blank. After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken {
            return None;
        }
        let record = self.next_record().transpose();
        self.is_broken = matches!(record, Some(Err(_)));
        record
    }
}

fn document_of_line(number: u64, line: Line<'_>, options: &DocumentOptions) -> Record {
    let place = RecordPlace::Line(number);
    let line = match line {
        Line::Whole(line) => line,
        Line::TooLong(len_bytes) => return Err(too_long(place, len_bytes)),
    };
    let document = utf8(line).and_then(|line| {
        let Fields { text, url } = fields_of_line(line, FieldNames::of(options))?;
        let text = text.transpose()?.ok_or_else(|| no_field(&options.text_field, &names_in_line(line)))?;
        options.check_length(&text)?;
        Ok(TextDocument { text: text.into_owned(), url: url.map(Cow::into_owned), place })
    });
    document.map_err(|fault| MalformedRecord { place, fault })
}

pub(crate) fn too_long(place: RecordPlace, len_bytes: u64) -> MalformedRecord {
    MalformedRecord { place, fault: format!("the line is {len_bytes} bytes long").into() }
}

fn documents_of_rows(batch: &ParquetBatch, options: &DocumentOptions) -> Result<VecDeque<Record>, Error> {
    let document_of_row = |(number, row): (u64, ParquetRow<'_, '_>)| {
        let place = RecordPlace::Row(number);
        let fields = row.read_by(FieldNames::of(options));
        let fields = fields.map_err(|error| error.source().map(ToString::to_string).unwrap_or_default().into());
        let document = fields.and_then(|Fields { text, url }| {
            let text = text.transpose()?.unwrap_or_default();
            options.check_length(&text)?;
            Ok(TextDocument { text: text.into_owned(), url: url.map(Cow::into_owned), place })
        });
        document.map_err(|fault| MalformedRecord { place, fault })
    };
    Ok(batch.rows()?.iter().map(document_of_row).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BinaryArray, DictionaryArray, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
    };
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::decompress::tests::in_every_compression;

    fn options() -> DocumentOptions {
        DocumentOptions::default().with_url_field("url").with_max_text_bytes(40)
    }

    /// A line for each document, malformed line or error.
    fn shown(bytes: Vec<u8>, options: &DocumentOptions) -> Vec<String> {
        let documents = match Documents::open(Cursor::new(bytes), options.clone()) {
            Ok(documents) => documents,
            Err(error) => return vec![error.to_string()],
        };
        documents
            .map(|document| match document {
                Ok(Ok(TextDocument { text, url, place })) => {
                    format!("{} {text} {}", place.number(), url.unwrap_or_default())
                }
                Ok(Err(MalformedRecord { place, fault })) => format!("{} ! {fault}", place.number()),
                Err(error) => error.to_string(),
            })
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    fn check(bytes: Vec<u8>, expected: &[&str]) {
        assert_eq!(shown(bytes, &options()), expected);
    }

    fn table(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Vec<u8> {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true))).unwrap();
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn lines_of_json() {
        let lines = concat!(
            "{\"url\":\"http://a.example/\",\"text\":\"The \\u0074ide\",\"more\":{\"text\":[1]}}\n\n",
            "{\"text\":null}\r\n",
            "{\"text\":\"last\",\"url\":null}",
        );
        for bytes in in_every_compression(lines.as_bytes()) {
            check(bytes, &["1 The tide http://a.example/", "3", "4 last"]);
        }
        check(vec![], &[]);
    }

    #[test]
    fn reading_goes_on_behind_a_malformed_line() {
        let mut lines = b"{\"txt\":\"x\"}\n{\"text\":7}\n{\"text\":\"caf\xe9\"}\n[]\n{\"text\":\"a\"} x\n".to_vec();
        lines.extend(format!("{{\"text\":\"{}\"}}\n{{\"text\":\"kept\"}}\n", "x".repeat(41)).bytes());
        let expected = [
            "1 ! it has no field \"text\"; its fields are txt",
            "2 ! invalid type: integer",
            "3 ! invalid utf-8 sequence",
            "4 ! ",
            "5 ! ",
            "6 ! the text is 41 bytes long, more than 40",
            "7 kept",
        ];
        let seen = shown(lines, &options());
        assert_eq!(seen.len(), expected.len());
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(seen.starts_with(expected), "{seen:?} is not {expected:?}");
        }
    }

    #[test]
    fn columns_of_every_type_of_text_and_every_codec() {
        let texts = [Some("one"), None, Some("")];
        let columns: [ArrayRef; 5] = [
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new(LargeStringArray::from(texts.to_vec())),
            Arc::new(StringViewArray::from(texts.to_vec())),
            Arc::new(BinaryArray::from(texts.map(|text| text.map(str::as_bytes)).to_vec())),
            Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ];
        let codecs = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(Default::default()),
            Compression::BROTLI(Default::default()),
            Compression::LZ4_RAW,
            Compression::ZSTD(Default::default()),
        ];
        for column in &columns {
            for codec in codecs {
                let more: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
                let table = table(vec![("n", more), ("url", columns[0].clone()), ("text", column.clone())], codec);
                check(table, &["1 one one", "2", "3"]);
            }
        }
    }

    #[test]
    fn a_malformed_row_is_an_event_and_a_wrong_column_an_error() {
        let texts: ArrayRef = Arc::new(BinaryArray::from(vec![&b"one"[..], b"caf\xe9", &[b'x'; 41], b"last"]));
        let urls: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 4]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
        let whole = table(vec![("text", texts.clone()), ("url", urls.clone())], Compression::SNAPPY);
        let seen = shown(whole, &options());
        assert!(seen[1].starts_with("2 ! ") && seen[1].contains("utf-8"), "{seen:?}");
        assert_eq!([&seen[0], &seen[2], &seen[3]], ["1 one", "3 ! the text is 41 bytes long, more than 40", "4 last"]);

        let without = table(vec![("body", texts), ("url", urls.clone())], Compression::SNAPPY);
        check(without, &["it has no column \"text\"; its columns are body, url"]);
        let of_numbers = table(vec![("text", numbers), ("url", urls)], Compression::SNAPPY);
        check(of_numbers, &["its column \"text\" holds Int64 rather than texts"]);
    }

    #[test]
    fn one_field_may_be_text_and_url() {
        let both = DocumentOptions::new("url").with_url_field("url");
        let column: ArrayRef = Arc::new(StringArray::from(vec!["http://a.example/"]));
        for bytes in [br#"{"url":"http://a.example/"}"#.to_vec(), table(vec![("url", column)], Compression::SNAPPY)] {
            assert_eq!(shown(bytes, &both), ["1 http://a.example/ http://a.example/"]);
        }
    }

    #[test]
    fn rows_are_counted_over_batches_and_row_groups() {
        let texts = (1..=1000).map(|row| format!("text {row}"));
        let column: ArrayRef = Arc::new(texts.map(Some).collect::<StringArray>());
        let batch = RecordBatch::try_from_iter([("text", column)]).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(300)).build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let seen = shown(bytes, &DocumentOptions::default());
        assert_eq!(seen, (1..=1000).map(|row| format!("{row} text {row}")).collect::<Vec<_>>());
    }

    #[test]
    fn what_holds_no_documents_says_so() {
        check(b"The tide is out.".to_vec(), &["it is plain text, and documents are read from JSON Lines or Parquet"]);
        check(b"PAR1".to_vec(), &["it cannot be read as Parquet past row 0"]);
        let column: ArrayRef = Arc::new(StringArray::from(vec!["one"; 100]));
        let whole = table(vec![("text", column.clone()), ("url", column)], Compression::SNAPPY);
        for cut in [8, whole.len() / 2, whole.len() - 1] {
            check(whole[..cut].to_vec(), &["it cannot be read as Parquet past row 0"]);
        }
    }

    #[test]
    fn nothing_follows_an_error() {
        let text: Vec<u8> = (0..20_000).flat_map(|i| format!("{{\"text\":\"line {i}\"}}\n").into_bytes()).collect();
        let mut bytes = zstd::encode_all(&text[..], 1).unwrap();
        bytes.truncate(bytes.len() - 10);
        let events: Vec<_> = Documents::open(Cursor::new(bytes), options()).unwrap().collect();
        let (last, before) = events.split_last().unwrap();
        assert!(!before.is_empty() && before.iter().all(Result::is_ok));
        assert!(matches!(last, Err(Error::Read { line, .. }) if *line == before.len() as u64), "{last:?}");
    }

    /// A table of 100 rows with one byte changed.
    fn read_with_damage(at: usize, to: u8) -> Vec<String> {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["one"; 100]));
        let mut bytes = table(vec![("text", column.clone()), ("url", column)], Compression::SNAPPY);
        let at = at % bytes.len();
        bytes[at] = to;
        shown(bytes, &options())
    }

    #[test]
    fn damage_that_the_library_panics_at_is_an_error() {
        assert_eq!(read_with_damage(1790, 1), ["it cannot be read as Parquet past row 0"]);
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_table_is_an_error_and_never_a_panic(at in 0usize..2000, to: u8) {
            read_with_damage(at, to);
        }
    }
}
