//! Writes rows of documents as JSON Lines or Parquet, by the name of the file.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use std::io::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json_fields::JsonFields;
use crate::parquet_writer::ParquetRowWriter;
use crate::row_json::json_of_row;
use crate::rows::RowFields;
use crate::{CompressedFile, Compression, DocumentRow, TextFormat, WriteError};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Endings of formats that a writer could be asked for by mistake.
const OTHER_ENDINGS: [&str; 11] =
    ["csv", "tsv", "txt", "xlsx", "xml", "html", "arrow", "feather", "orc", "avro", "zip"];

/// No additional fields.
#[derive(Debug, Clone, Copy, Default, Serialize, serde::Deserialize)]
pub struct NoFields {}

/// Writes rows with all their fields, and the fields of `A` after them. The file appears when it is complete.
///
/// A name that ends in `.parquet` makes a table, any other JSON Lines, compressed for `.zst` and `.gz`. A field of `A`
/// takes the place of one with the same name.
///
/// From JSON Lines to JSON Lines, values are copied byte for byte. A table made from tables has their columns and
/// types, so the inputs must agree in them. A table made from JSON Lines has a column for each field of any row. These
/// are known only after the last row: until then rows are in an unnamed file beside the table. A column must not hold a
/// text in one row and a number or an object in another. In JSON Lines made from a table, times, dates and decimals are
/// texts.
///
/// Memory: one row; for a table a group of rows, 64 MiB.
///
/// ```
/// use std::io::Cursor;
/// use texts::{DocumentOptions, RowReader, RowWriter};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Judged {
///     words: u64,
/// }
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("out.jsonl");
/// let mut writer = RowWriter::create(&path)?;
/// for row in RowReader::open(Cursor::new(r#"{"id": 7.50, "text": "The tide"}"#), DocumentOptions::default())? {
///     writer.push(&row??, Judged { words: 2 })?;
/// }
/// writer.commit()?;
/// assert_eq!(std::fs::read_to_string(path)?, "{\"id\":7.50,\"text\":\"The tide\",\"words\":2}\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RowWriter<A> {
    path: PathBuf,
    output: Output<A>,
    added: PhantomData<fn(A)>,
}

enum Output<A> {
    Lines(CompressedFile),
    Parquet(Box<ParquetRowWriter<A>>),
}

impl<A: Serialize + DeserializeOwned> RowWriter<A> {
    /// Creates the temporary file, and its folder if there is none; `-` is standard output.
    ///
    /// # Errors
    /// When the system refuses, or the name asks for a format that is not written: Parquet that is compressed as a
    /// whole, or another one such as `.csv`.
    pub fn create(path: &Path) -> Result<RowWriter<A>, WriteError> {
        let path = if path == Path::new("-") { Path::new("/dev/stdout") } else { path };
        let output = match (TextFormat::of_name(path), Compression::of_name(path)) {
            (TextFormat::Parquet, None) => Output::Parquet(Box::new(ParquetRowWriter::create(path)?)),
            (TextFormat::Parquet, Some(_)) => return Err(WriteError::CompressedParquet { path: path.to_path_buf() }),
            (TextFormat::PlainText, _) if names_other_format(path) => {
                return Err(WriteError::OtherFormat { path: path.to_path_buf() });
            }
            _ => Output::Lines(CompressedFile::create(path)?),
        };
        Ok(RowWriter { path: path.to_path_buf(), output, added: PhantomData })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// When the file cannot be written, or cannot hold the row.
    pub fn push(&mut self, row: &DocumentRow, added: A) -> Result<(), WriteError> {
        match &mut self.output {
            Output::Parquet(writer) => writer.push(row, added),
            Output::Lines(file) => {
                let line = json_fields(row, &added).and_then(|fields| Ok(fields.to_line()?));
                let line = line.map_err(|source| WriteError::Row { path: self.path.clone(), source })?;
                file.write_all(&line).map_err(|source| WriteError::Write { path: self.path.clone(), source })
            }
        }
    }

    /// Completes the file and makes it visible.
    ///
    /// # Errors
    /// When the file cannot be written, or its rows do not fit into one table.
    pub fn commit(self) -> Result<(), WriteError> {
        match self.output {
            Output::Lines(file) => file.commit(),
            Output::Parquet(writer) => writer.commit(),
        }
    }
}

/// Whether a name ends as those of another format do.
fn names_other_format(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    OTHER_ENDINGS.iter().any(|other| ending == *other)
}

/// The fields of a row and its additions.
pub(crate) fn json_fields(row: &DocumentRow, added: &impl Serialize) -> Result<JsonFields, AnyError> {
    let mut fields = match &row.fields {
        RowFields::Json(fields) => fields.clone(),
        RowFields::Table { batch, row } => json_of_row(batch, *row)?,
    };
    fields.set_all(JsonFields::of(added)?);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BinaryArray, Float32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMillisecondArray,
    };
    use parquet::arrow::ArrowWriter;
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::{DocumentOptions, RowReader, Source};

    #[derive(Serialize, Deserialize)]
    struct Judged {
        words: u64,
        language: Option<String>,
    }

    fn judge(row: &DocumentRow) -> Judged {
        let words = row.text().split_whitespace().count() as u64;
        Judged { words, language: (words > 1).then(|| "eng".into()) }
    }

    fn read(path: &Path) -> Vec<DocumentRow> {
        let source = Source::open_file(path).unwrap();
        RowReader::of_source(source, DocumentOptions::default()).unwrap().map(|row| row.unwrap().unwrap()).collect()
    }

    /// Writes the rows of files, with additions, to a file of this name; returns its content as JSON Lines.
    fn passed_on(inputs: &[&Path], name: &str) -> Result<Vec<String>, WriteError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut writer = RowWriter::create(&path)?;
        for row in inputs.iter().flat_map(|input| read(input)) {
            writer.push(&row, judge(&row))?;
        }
        assert!(!path.exists(), "it is not whole yet");
        writer.commit()?;
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        Ok(read(&path).iter().map(as_json).collect())
    }

    fn as_json(row: &DocumentRow) -> String {
        serde_json::to_string(&json_fields(row, &NoFields {}).unwrap()).unwrap()
    }

    fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn table(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    const LINES: &str = concat!(
        "{\"id\": 12345678901234567890123, \"text\":\"one t\\u0077o\", \"more\":{\"b\":[1.50],\"a\":null}, \"words\":\"old\"}\n",
        "{\"text\":null,\"only\":true}\n",
    );

    #[test]
    fn lines_keep_their_fields_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        let input = write(folder.path(), "a.jsonl", LINES.as_bytes());
        for name in ["b.jsonl", "b.NDJSON.zst", "b.jsonl.gz", "b"] {
            assert_eq!(
                passed_on(&[&input], name).unwrap(),
                [
                    "{\"id\":12345678901234567890123,\"text\":\"one t\\u0077o\",\"more\":{\"b\":[1.50],\"a\":null},\"words\":2,\"language\":\"eng\"}",
                    "{\"text\":null,\"only\":true,\"words\":0,\"language\":null}",
                ],
                "{name}"
            );
        }
    }

    #[test]
    fn lines_become_a_table_with_a_column_for_each_field() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "{\"text\":\"one two\",\"n\":1}\n{\"n\":2.5,\"text\":\"x\",\"tags\":[\"a\"],\"of\":{\"k\":7}}\n";
        let input = write(folder.path(), "a.jsonl", lines.as_bytes());
        assert_eq!(
            passed_on(&[&input], "b.parquet").unwrap(),
            [
                r#"{"text":"one two","n":1.0,"words":2,"language":"eng","tags":null,"of":null}"#,
                r#"{"text":"x","n":2.5,"words":1,"language":null,"tags":["a"],"of":{"k":7}}"#,
            ]
        );
        let mixed = write(folder.path(), "m.jsonl", b"{\"text\":\"\",\"x\":1}\n{\"text\":\"\",\"x\":\"1\"}\n");
        let error = passed_on(&[&mixed], "b.parquet").unwrap_err();
        assert!(matches!(error, WriteError::Row { .. }), "{error}");
        let empty = write(folder.path(), "e.jsonl", b"");
        assert_eq!(passed_on(&[&empty], "b.parquet").unwrap(), [""; 0]);
    }

    fn columns() -> Vec<(&'static str, ArrayRef)> {
        let lists = vec![Some(vec![Some(1), None]), None, Some(vec![])];
        vec![
            ("time", Arc::new(TimestampMillisecondArray::from(vec![Some(1_500), None, Some(0)])) as ArrayRef),
            ("text", Arc::new(StringArray::from(vec![Some("one two"), None, Some("x")]))),
            ("list", Arc::new(ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>(lists))),
            ("share", Arc::new(Float32Array::from(vec![0.1, f32::NAN, 2.0]))),
            ("words", Arc::new(Int64Array::from(vec![7, 8, 9]))),
            ("bytes", Arc::new(BinaryArray::from(vec![&b"caf\xc3\xa9"[..], b"", b"a"]))),
        ]
    }

    #[test]
    fn tables_keep_their_columns_and_lines_have_words_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let input = write(folder.path(), "a.parquet", &table(columns()));
        let expected = [
            r#"{"time":"1970-01-01T00:00:01.500","text":"one two","list":[1,null],"share":0.1,"words":2,"bytes":"café","language":"eng"}"#,
            r#"{"time":null,"text":null,"list":null,"share":null,"words":0,"bytes":"","language":null}"#,
            r#"{"time":"1970-01-01T00:00:00","text":"x","list":[],"share":2.0,"words":1,"bytes":"a","language":null}"#,
        ];
        assert_eq!(passed_on(&[&input], "b.jsonl").unwrap(), expected);
        assert_eq!(passed_on(&[&input], "b.parquet").unwrap(), expected);
        assert_eq!(passed_on(&[&input, &input], "b.parquet").unwrap(), [expected, expected].concat());
        let other = write(folder.path(), "b.parquet", &table(columns().split_off(1)));
        let error = passed_on(&[&input, &other], "c.parquet").unwrap_err();
        assert!(matches!(error, WriteError::OtherColumns { .. }), "{error}");
        let lines = write(folder.path(), "b.jsonl", b"{\"text\":\"x\"}");
        assert!(matches!(passed_on(&[&input, &lines], "c.parquet"), Err(WriteError::OtherColumns { .. })));
        assert!(matches!(passed_on(&[&lines, &input], "c.parquet"), Err(WriteError::OtherColumns { .. })));
    }

    #[test]
    fn names_that_ask_for_what_is_not_written() {
        let created = |name: &str| RowWriter::<NoFields>::create(Path::new(name)).map(drop);
        assert!(matches!(created("a.parquet.zst"), Err(WriteError::CompressedParquet { .. })));
        assert!(matches!(created("a.jsonl.xz"), Err(WriteError::Write { .. })));
        for other in ["a.csv", "a.TSV", "a.txt", "a.arrow"] {
            assert!(matches!(created(other), Err(WriteError::OtherFormat { .. })), "{other}");
        }
    }

    #[test]
    fn another_text_is_in_the_place_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let lines = write(folder.path(), "a.jsonl", LINES.as_bytes());
        let texts = write(folder.path(), "a.parquet", &table(columns()));
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"one two"[..]), None, Some(b"x")]));
        let mut of_bytes = columns();
        of_bytes[1].1 = bytes;
        let bytes = write(folder.path(), "b.parquet", &table(of_bytes));
        for input in [lines, texts, bytes] {
            for name in ["out.jsonl", "out.parquet"] {
                let path = folder.path().join(name);
                let mut writer = RowWriter::create(&path).unwrap();
                let rows = read(&input);
                writer.push(&rows[0].with_text("other \u{e9}".into()).unwrap(), NoFields {}).unwrap();
                writer.push(&rows[1], NoFields {}).unwrap();
                writer.commit().unwrap();
                let written = read(&path);
                assert_eq!((written[0].text(), written[1].text()), ("other \u{e9}", ""));
                assert!(as_json(&written[1]).contains("\"text\":null"), "a text that is not edited stays a null");
                let others = |row: &DocumentRow| as_json(&row.with_text(String::new()).unwrap());
                if name == "out.jsonl" || input.extension().is_some_and(|ending| ending == "parquet") {
                    assert_eq!(others(&written[0]), others(&rows[0]));
                }
            }
        }
    }

    #[test]
    fn rows_may_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let input = write(folder.path(), "a.parquet", &table(columns()));
        for name in ["b.parquet", "b.jsonl.gz"] {
            let path = folder.path().join(name);
            let mut writer = RowWriter::create(&path).unwrap();
            read(&input).iter().for_each(|row| writer.push(row, NoFields {}).unwrap());
            writer.commit().unwrap();
            let lines = |path: &Path| read(path).iter().map(as_json).collect::<Vec<_>>();
            assert_eq!(lines(&path), lines(&input));
        }
    }

    proptest! {
        #[test]
        fn any_line_is_a_row_or_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..60), json in "\\{(\"text\":(\"[a\\\\\"]{0,4}\"|null|7),?){0,2}\\}") {
            for bytes in [bytes, json.into_bytes()] {
                if let Ok(rows) = RowReader::open(std::io::Cursor::new(bytes), DocumentOptions::default()) {
                    rows.for_each(|row| drop(row.map(|row| row.map(|row| as_json(&row)))));
                }
            }
        }
    }
}
