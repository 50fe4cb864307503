//! Signatures of texts, and which texts stand for which.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::convert::Infallible;
use std::num::NonZero;

use dedup::{
    BandGroup, BandHash, Bands, ExactPair, Jaccard, MAX_PERMUTATIONS, MinHash, NearPair, NormalizedWords, Ranked,
    Sketch, Stars,
};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::of_value;
use crate::inputs;
use crate::numbers;
use crate::parallel;
use crate::pickle::{Reduced, reduced};

/// A text that is dropped, and the one that stays for it.
#[pyclass(frozen, module = "webtext", get_all, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct Duplicate {
    /// The place of the dropped text, from 0.
    index: usize,
    /// The place of the text that stays.
    representative: usize,
    /// Jaccard similarity of the two, computed from their shingles.
    jaccard: f64,
    /// Whether both have the same words.
    is_exact: bool,
}

#[pymethods]
impl Duplicate {
    /// A duplicate of these fields.
    #[staticmethod]
    fn _of(index: usize, representative: usize, jaccard: f64, is_exact: bool) -> Duplicate {
        Duplicate { index, representative, jaccard, is_exact }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        reduced(py, "duplicate", (self.index, self.representative, self.jaccard, self.is_exact))
    }

    fn __repr__(&self) -> String {
        let Duplicate { index, representative, jaccard, is_exact } = self;
        let is_exact = if *is_exact { "True" } else { "False" };
        format!("Duplicate(index={index}, representative={representative}, jaccard={jaccard:?}, is_exact={is_exact})")
    }
}

/// The MinHash signature of a text.
#[pyfunction]
#[pyo3(signature = (text, *, bands=26, rows=5, shingle_words=5))]
pub(crate) fn minhash<'py>(
    text: &Bound<'py, PyString>,
    #[pyo3(from_py_with = numbers::bands)] bands: usize,
    #[pyo3(from_py_with = numbers::rows)] rows: usize,
    #[pyo3(from_py_with = numbers::shingle_words)] shingle_words: usize,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    let family = MinHash::new(shape(bands, rows, shingle_words)?);
    let text = inputs::readable(text)?;
    let bytes = text.to_str()?;
    let signature = text.py().detach(|| family.signature(&NormalizedWords::of(bytes).shingles(shingle_words)));
    Ok(PyArray1::from_vec(text.py(), signature))
}

/// The MinHash signatures of texts, a row for each.
#[pyfunction]
#[pyo3(signature = (texts, *, bands=26, rows=5, shingle_words=5, threads=None))]
pub(crate) fn minhash_batch<'py>(
    texts: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = numbers::bands)] bands: usize,
    #[pyo3(from_py_with = numbers::rows)] rows: usize,
    #[pyo3(from_py_with = numbers::shingle_words)] shingle_words: usize,
    #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
) -> PyResult<Bound<'py, PyArray2<u32>>> {
    let family = MinHash::new(shape(bands, rows, shingle_words)?);
    let held = inputs::texts(texts)?;
    let sign = |text: &&str| family.signature(&NormalizedWords::of(text).shingles(shingle_words));
    let signatures = parallel::map(texts.py(), &held.texts()?, parallel::threads(threads), sign)?;
    let all = PyArray1::from_vec(texts.py(), signatures.concat());
    all.reshape([signatures.len(), bands * rows])
}

fn shape(bands: usize, rows: usize, shingle_words: usize) -> PyResult<Bands> {
    if bands == 0 || rows == 0 || shingle_words == 0 || bands.saturating_mul(rows) > MAX_PERMUTATIONS {
        let limits =
            format!("bands, rows and shingle_words are at least 1, and bands × rows at most {MAX_PERMUTATIONS}");
        return Err(of_value(limits));
    }
    Ok(Bands { bands, rows })
}

/// A text in the order of preference, and its place in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ranking {
    rank: usize,
    index: usize,
}

impl Ranked for Ranking {
    fn place(&self) -> (u64, u64) {
        (0, self.rank as u64)
    }
}

/// What is compared of a text.
struct Signed {
    text_hash: u64,
    shingles: Vec<u64>,
    bands: Vec<BandHash>,
    sketch: Sketch,
}

/// Which texts are dropped, and for which others.
#[pyfunction(name = "dedup")]
#[pyo3(signature = (texts, *, min_jaccard=0.7, recall=0.99, shingle_words=5, exact_only=false, keep="first", threads=None))]
pub(crate) fn dedup_texts(
    texts: &Bound<'_, PyAny>,
    min_jaccard: f64,
    recall: f64,
    #[pyo3(from_py_with = numbers::shingle_words)] shingle_words: usize,
    exact_only: bool,
    keep: &str,
    #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
) -> PyResult<Vec<Duplicate>> {
    let py = texts.py();
    let fault = "min_jaccard lies above 0 and is at most 1, recall lies between 0 and 1";
    let bands = Bands::for_recall(min_jaccard, recall).ok_or_else(|| of_value(fault))?;
    let bands = shape(bands.bands, bands.rows, shingle_words)?;
    let family = MinHash::new(bands);
    let held = inputs::texts(texts)?;
    let texts = held.texts()?;
    let threads = parallel::threads(threads);
    let order = ranked(&texts, keep)?;
    let sign = |ranking: &Ranking| signed(texts[ranking.index], &family, shingle_words, exact_only);
    let all = parallel::map(py, &order, threads, sign)?;
    let (first, exact) = exact_pairs(&order, &all);
    let near = if exact_only { Vec::new() } else { py.detach(|| candidates(&first, &all, bands)) };
    let similarity = |&(earlier, later): &(Ranking, Ranking)| {
        let jaccard = dedup::jaccard(&all[earlier.rank].shingles, &all[later.rank].shingles);
        NearPair { later, earlier, jaccard }
    };
    let mut near = parallel::map(py, &near, threads, similarity)?;
    near.retain(|pair| pair.jaccard.value() >= min_jaccard);
    near.sort_unstable_by_key(|pair| (pair.later, pair.earlier));
    let infallible = |pair| Ok::<_, Infallible>(pair);
    let exact = exact.into_iter().map(|(earlier, later)| Ok::<_, Infallible>(ExactPair { earlier, later }));
    let mut found: Vec<Duplicate> = Stars::new(near.into_iter().map(infallible), exact).map(duplicate).collect();
    found.sort_unstable_by_key(|duplicate| duplicate.index);
    Ok(found)
}

/// The texts in the order in which they are preferred.
fn ranked(texts: &[&str], keep: &str) -> PyResult<Vec<Ranking>> {
    let mut indices: Vec<usize> = (0..texts.len()).collect();
    match keep {
        "first" => {}
        "longest" => indices.sort_by_key(|&index| Reverse(texts[index].len())),
        other => return Err(of_value(format!("keep = {other:?}; it is \"first\" or \"longest\""))),
    }
    Ok(indices.into_iter().enumerate().map(|(rank, index)| Ranking { rank, index }).collect())
}

fn signed(text: &str, family: &MinHash, shingle_words: usize, exact_only: bool) -> Signed {
    let words = NormalizedWords::of(text);
    let text_hash = words.text_hash();
    if exact_only || words.is_empty() {
        return Signed { text_hash, shingles: Vec::new(), bands: Vec::new(), sketch: Sketch::default() };
    }
    let shingles = words.shingles(shingle_words);
    let signature = family.signature(&shingles);
    Signed { text_hash, bands: family.bands(&signature).collect(), sketch: family.sketch(&signature), shingles }
}

/// The first text of each that have the same words, and the pairs of it and the others, sorted.
fn exact_pairs(order: &[Ranking], all: &[Signed]) -> (Vec<Ranking>, Vec<(Ranking, Ranking)>) {
    let mut by_hash: HashMap<u64, Ranking> = HashMap::with_capacity(order.len());
    let (mut first, mut pairs) = (Vec::new(), Vec::new());
    for (&ranking, signed) in order.iter().zip(all) {
        let earlier = *by_hash.entry(signed.text_hash).or_insert(ranking);
        if earlier == ranking {
            first.push(ranking);
        } else {
            pairs.push((earlier, ranking));
        }
    }
    pairs.sort_unstable();
    (first, pairs)
}

/// The pairs of texts that agree in a band, each once.
fn candidates(first: &[Ranking], all: &[Signed], shape: Bands) -> Vec<(Ranking, Ranking)> {
    let of_text = |&ranking: &Ranking| all[ranking.rank].bands.iter().map(move |&band| (band, ranking));
    let mut bands: Vec<(BandHash, Ranking)> = first.iter().flat_map(of_text).collect();
    bands.sort_unstable();
    let mut pairs = Vec::new();
    let mut group = BandGroup::new(shape);
    for same in bands.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
        for &(_, ranking) in same {
            let compare = |&earlier: &Ranking, &later: &Ranking| {
                pairs.push((earlier, later));
                Ok::<_, Infallible>(())
            };
            let Ok(()) = group.push(ranking, all[ranking.rank].sketch.clone(), compare);
        }
        group.end();
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn duplicate(found: Result<dedup::Represented<Ranking>, Infallible>) -> Duplicate {
    let Ok(dedup::Represented { document, representative, jaccard, is_exact, .. }) = found;
    let jaccard = if is_exact { Jaccard::EXACT.value() } else { jaccard.value() };
    Duplicate { index: document.index, representative: representative.index, jaccard, is_exact }
}
