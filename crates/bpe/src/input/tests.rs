//! Files of every kind, whole documents, and faults.

use super::*;

fn check(name: &str, bytes: &[u8], options: &InputOptions, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let got: Vec<String> = WholeDocuments::open(&path, options)
        .and_then(Iterator::collect)
        .unwrap_or_else(|e| vec![format!("{e}: {}", e.source).replace(&*path.to_string_lossy(), "FILE")]);
    assert_eq!(got, expected, "{name}");
}

#[test]
fn kinds_of_files() {
    let plain = InputOptions::default();
    check("a.txt", b"one\ntwo", &plain, &["one\ntwo"]);
    check("a.txt", b"", &plain, &[]);
    check("a.jsonl", b"{\"text\":\"one\",\"x\":1}\n\n{\"text\":\"\"}", &plain, &["one", ""]);
    check("a.jsonl", b"", &plain, &[]);
    check("a.jsonl", b"\xef\xbb\xbf{\"text\":\"one\"}", &plain, &["one"]);
    check("a.jsonl.zst", &zstd::encode_all(&b"{\"text\":\"o\\\"ne\"}\n"[..], 1).unwrap(), &plain, &["o\"ne"]);
    let parts = InputOptions::default().with_separator("<|end|>");
    check("a.txt", b"one<|end|>two<|e<|end|><|end|>", &parts, &["one", "two<|e", ""]);
}

fn table(rows: usize) -> Vec<u8> {
    let texts = (0..rows).map(|row| (row % 3 != 1).then(|| format!("{row} {}", "x".repeat(row % 50 * 100))));
    let column: arrow_array::ArrayRef = Arc::new(texts.collect::<arrow_array::StringArray>());
    let batch = arrow_array::RecordBatch::try_from_iter([("id", column.clone()), ("text", column)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn rows_of_parquet_come_in_batches_and_nulls_are_empty() {
    check("a.parquet", &table(3), &InputOptions::default(), &["0 ", "", &format!("2 {}", "x".repeat(200))]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, table(5000)).unwrap();
    let batches: Vec<Batch> = Batches::open(&path, &Arc::default()).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(batches.len() > 1 && batches.iter().rev().skip(1).all(|batch| batch.len_bytes() >= BATCH_BYTES));
    let mut rows = 0;
    for batch in batches {
        assert_eq!(batch.place, rows);
        batch
            .for_each_piece(|_, ends| -> Result<(), InputError> {
                rows += u64::from(ends);
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(rows, 5000);
}

#[test]
fn faults_name_their_place() {
    let plain = InputOptions::default();
    check("a.txt", b"caf\xe9", &plain, &["cannot read FILE at byte 3: invalid UTF-8"]);
    check("a.txt", b"caf\xe9", &plain.clone().with_lossy(true), &["caf\u{fffd}"]);
    check(
        "a.jsonl",
        b"{\"text\":\"one\"}\n{\"txt\":1}",
        &plain,
        &["cannot read FILE at line 2: it has no field \"text\"; its fields are txt"],
    );
    let short = plain.with_max_line_bytes(100);
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(BATCH_BYTES));
    check("a.jsonl", long.as_bytes(), &short, &["cannot read FILE at line 1: a line of more than 100 bytes"]);
}

#[test]
fn a_line_that_is_too_long_may_be_left_out() {
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(2 * BATCH_BYTES));
    let lines = format!("{{\"text\":\"one\"}}\n{long}\n{{\"text\":\"two\"}}\n{long}");
    let options = InputOptions::default().with_max_line_bytes(100).with_bad_rows_skipped();
    check("a.jsonl", lines.as_bytes(), &options, &["one", "two"]);
    let skipped = options.skipped_rows().unwrap();
    assert_eq!(skipped.rows(), 2);
    assert!(skipped.first().unwrap().contains("at line 2"));
}

/// Texts over many batches, in every format, are returned whole.
#[test]
fn long_documents_come_in_pieces_and_are_put_together() {
    let long: String = (0..900_000).map(|i| format!("{i:x}é ")).collect();
    let documents = ["first", &long, "", "in between", &long[..BATCH_BYTES], "last"];
    let options = InputOptions::default().with_separator("<|end|>");
    let joined: String = documents.iter().map(|d| format!("{d}<|end|>")).collect();
    check("a.txt", joined.as_bytes(), &options, &documents);
    check("a.txt.gz", &gzip(long.as_bytes()), &InputOptions::default(), &[&long]);
    let lines: String = documents.iter().map(|d| format!("{{\"text\":\"{d}\"}}\n")).collect();
    check("a.jsonl", lines.as_bytes(), &InputOptions::default(), &documents);
}

#[test]
fn a_sample_is_of_whole_documents() {
    let folder = tempfile::tempdir().unwrap();
    let long: String = (0..900_000).map(|i| format!("{i:x} ")).collect();
    let documents: Vec<String> =
        (0..40).map(|i| if i % 20 == 7 { long.clone() } else { format!("short {i}") }).collect();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, documents.iter().map(|d| format!("{d}#")).collect::<String>()).unwrap();
    let options = Arc::new(InputOptions::default().with_separator("#"));
    let mut sample = vec![String::new()];
    for batch in Batches::open(&path, &options).unwrap() {
        let taken = batch.unwrap().for_each_sampled_piece(0.5, |piece, ends| -> Result<(), InputError> {
            sample.last_mut().unwrap().push_str(piece);
            if ends {
                sample.push(String::new());
            }
            Ok(())
        });
        taken.unwrap();
    }
    assert_eq!(sample.pop().unwrap(), "");
    assert!((8..32).contains(&sample.len()) && sample.iter().all(|document| documents.contains(document)));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    let mut coded = Vec::new();
    encoder.read_to_end(&mut coded).unwrap();
    coded
}
