//! BLiMP: of two sentences that differ in as little as possible, the grammatical one should be more probable.
//!
//! Both are scored as a whole, after end-of-text; a pair of equal probabilities counts as wrong. Reported are the
//! share over all pairs, and that of each phenomenon (`linguistics_term`), of which there are thirteen in 67 files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::rows::{EvalRow, not_empty, parse_rows, read_rows};
use super::scorer::{Scorer, Sequence};
use super::{EvalError, EvalMetric, EvalOptions, EvalProgress};

/// A line of a file.
#[derive(Debug, Deserialize)]
struct Pair {
    sentence_good: String,
    sentence_bad: String,
    linguistics_term: String,
}

impl EvalRow for Pair {
    const FORM: &'static str = r#"{"sentence_good": "…", "sentence_bad": "…", "linguistics_term": "…"}"#;

    fn fault(&self) -> Option<&'static str> {
        let is_empty = self.sentence_good.is_empty() || self.sentence_bad.is_empty();
        is_empty.then_some("a sentence is empty")
    }
}

/// A folder of `.jsonl` files, a tar archive of them, or one of them; `limit` is a number of pairs of each file.
pub(super) fn evaluate(
    scorer: &mut Scorer<'_>,
    path: &Path,
    options: &EvalOptions,
    progress: &mut EvalProgress<'_>,
) -> Result<Vec<EvalMetric>, EvalError> {
    let pairs = not_empty(path, read_files(path, options.limit)?.into_values().flatten().collect())?;
    let mut by_term: BTreeMap<&str, (u64, u64)> =
        pairs.iter().map(|pair| (&pair.linguistics_term[..], (0, 0))).collect();
    let sequences = |scorer: &mut Scorer<'_>, pair: &Pair| {
        [&pair.sentence_good, &pair.sentence_bad].map(|sentence| scorer.sequence(sentence, 0)).into()
    };
    let count = |pair: &Pair, _: &[Sequence], sums: &[f64]| {
        let (correct, all) = by_term.get_mut(&pair.linguistics_term[..]).expect("every term has an entry");
        *correct += u64::from(sums[0] > sums[1]);
        *all += 1;
    };
    scorer.score_rows(&pairs, sequences, count, progress);
    let accuracy = |name: String, (correct, all): (u64, u64)| EvalMetric::new(name, correct as f64 / all as f64, all);
    let total = by_term.values().fold((0, 0), |sum, of_term| (sum.0 + of_term.0, sum.1 + of_term.1));
    let terms = by_term.iter().map(|(term, &of_term)| accuracy(format!("accuracy.{term}"), of_term));
    Ok(std::iter::once(accuracy("accuracy".into(), total)).chain(terms).collect())
}

/// The pairs of all files, by name.
fn read_files(path: &Path, limit: Option<u64>) -> Result<BTreeMap<PathBuf, Vec<Pair>>, EvalError> {
    let io = |source| EvalError::io(path, source);
    let is_json_lines = |name: &Path| name.extension().is_some_and(|extension| extension == "jsonl");
    let mut files = BTreeMap::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(io)? {
            let name = entry.map_err(io)?.path();
            if is_json_lines(&name) {
                files.insert(name.clone(), read_rows(&name, limit)?);
            }
        }
    } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".tar")) {
        let file = File::open(path).and_then(texts::decompress_exactly).map_err(io)?;
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries().map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = path.join(entry.path().map_err(io)?);
            if is_json_lines(&name) {
                let pairs = parse_rows(&name, BufReader::new(entry), limit)?;
                files.insert(name, pairs);
            }
        }
    } else {
        files.insert(path.to_path_buf(), read_rows(path, limit)?);
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
