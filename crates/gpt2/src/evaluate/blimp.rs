//! BLiMP: of two sentences that differ in as little as possible, the grammatical one should be likelier.
//!
//! Both are judged as a whole, behind end-of-text; a pair whose probabilities are equal is wrong. Reported are the
//! share over all pairs, and that of each phenomenon (`linguistics_term`), of which there are thirteen in 67 files.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use texts::decompress_file;

use super::passages::{Judge, Passage};
use super::rows::{Row, is_named, not_empty, parse_rows};
use super::{EvaluateError, EvaluateOptions, Metric, Progress, ROWS_AT_A_TIME};

/// A line of a file.
#[derive(Debug, Deserialize)]
struct Pair {
    sentence_good: String,
    sentence_bad: String,
    linguistics_term: String,
}

impl Row for Pair {
    const FORM: &'static str = r#"{"sentence_good": "…", "sentence_bad": "…", "linguistics_term": "…"}"#;

    fn fault(&self) -> Option<&'static str> {
        let is_empty = self.sentence_good.is_empty() || self.sentence_bad.is_empty();
        is_empty.then_some("a sentence is empty")
    }
}

/// A folder of `.jsonl` files, a tar archive of them, or one of them; `limit` is a number of pairs of each file.
pub(super) fn evaluate(
    judge: &mut Judge<'_>,
    path: &Path,
    options: &EvaluateOptions,
    progress: &mut Progress<'_>,
) -> Result<Vec<Metric>, EvaluateError> {
    let files = read_files(path, options.limit).map_err(|fault| match fault {
        Fault::Io(source) => EvaluateError::Io { path: path.to_path_buf(), source },
        Fault::Row(error) => error,
    })?;
    let pairs = not_empty(path, files.into_values().flatten().collect())?;
    let mut by_term: BTreeMap<&str, (u64, u64)> = BTreeMap::new(); // right, all
    for (chunk, some) in pairs.chunks(ROWS_AT_A_TIME).enumerate() {
        let sentences = some.iter().flat_map(|pair| [&pair.sentence_good, &pair.sentence_bad]);
        let passages: Vec<Passage> = sentences.map(|sentence| judge.passage(sentence, 0)).collect();
        for (pair, scores) in some.iter().zip(judge.log_probabilities(&passages).chunks(2)) {
            let (right, all) = by_term.entry(&pair.linguistics_term).or_default();
            *right += u64::from(scores[0] > scores[1]);
            *all += 1;
        }
        progress((chunk * ROWS_AT_A_TIME + some.len()) as u64, Some(pairs.len() as u64));
    }
    let accuracy = |name: String, (right, all): (u64, u64)| Metric::new(name, right as f64 / all as f64, all);
    let total = by_term.values().fold((0, 0), |sum, of_term| (sum.0 + of_term.0, sum.1 + of_term.1));
    let terms = by_term.iter().map(|(term, &of_term)| accuracy(format!("accuracy.{term}"), of_term));
    Ok(std::iter::once(accuracy("accuracy".into(), total)).chain(terms).collect())
}

enum Fault {
    Io(io::Error),
    Row(EvaluateError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// The pairs of all files, by name.
fn read_files(path: &Path, limit: Option<u64>) -> Result<BTreeMap<PathBuf, Vec<Pair>>, Fault> {
    let mut files = BTreeMap::new();
    let is_lines = |name: &Path| name.extension().is_some_and(|extension| extension == "jsonl");
    let mut read = |name: PathBuf, file: &mut dyn Read| {
        let pairs = parse_rows(&name, file, limit).map_err(Fault::Row)?;
        files.insert(name, pairs);
        Ok::<(), Fault>(())
    };
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            let name = entry?.path();
            if is_lines(&name) {
                read(name.clone(), &mut decompress_file(&name)?)?;
            }
        }
    } else if is_named(path, ".tar") {
        let mut archive = tar::Archive::new(decompress_file(path)?);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = path.join(entry.path()?);
            if is_lines(&name) {
                read(name, &mut entry)?;
            }
        }
    } else {
        read(path.to_path_buf(), &mut decompress_file(path)?)?;
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"sentence_good": "a", "sentence_bad": "b", "linguistics_term": "t"}"#;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// Pairs by file, whether it lies in a folder or in an archive.
    fn check(files: &[(&str, &str)], limit: Option<u64>, expected: Option<&[usize]>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tar");
        std::fs::write(&path, archive(files)).unwrap();
        files.iter().for_each(|(name, content)| std::fs::write(folder.path().join(name), content).unwrap());
        for path in [&path, folder.path()] {
            let numbers = read_files(path, limit).ok().map(|read| read.values().map(Vec::len).collect::<Vec<_>>());
            assert_eq!(numbers.as_deref(), expected);
        }
    }

    #[test]
    fn folders_and_archives() {
        let two = format!("{LINE}\n{LINE}\n");
        check(&[("b.jsonl", &two), ("a.jsonl", LINE), ("README", "text")], None, Some(&[1, 2]));
        check(&[("b.jsonl", &two), ("a.jsonl", LINE)], Some(1), Some(&[1, 1]));
        check(&[("a.jsonl", "{}")], None, None);
    }

    #[test]
    fn a_broken_archive_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tar");
        let whole = archive(&[("a.jsonl", &format!("{LINE}\n").repeat(100))]);
        for bytes in [&whole[..700], &[7; 2000]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read_files(&path, None).is_err());
        }
    }
}
