//! Training a tokenizer from texts in memory or from any iterator of them.

use std::num::NonZero;

use bpe::train::{Training, TrainingOptions, WordCounts};
use bpe::{END_OF_TEXT, Splitter};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::error::of_value;
use crate::inputs::{self, Held};
use crate::numbers;
use crate::parallel::{self, Lent, Pool};
use crate::tokenizer::Tokenizer;

/// Texts and characters that are taken from an iterator before the threads count their words.
const TEXTS_AT_ONCE: usize = 16 << 10;
const CHARS_AT_ONCE: usize = 32 << 20;
/// Merges between two questions whether Ctrl-C was pressed.
const MERGES_AT_ONCE: usize = 256;

/// A tokenizer that is trained on texts.
#[pyfunction]
#[pyo3(signature = (texts, vocab_size, *, pattern="gpt2", special=None, min_frequency=2, threads=None))]
pub(crate) fn train_bpe_from_iterator(
    texts: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = numbers::vocab_size)] vocab_size: usize,
    pattern: &str,
    special: Option<Vec<String>>,
    #[pyo3(from_py_with = numbers::min_frequency)] min_frequency: u64,
    #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
) -> PyResult<Tokenizer> {
    let py = texts.py();
    let special = special.unwrap_or_else(|| vec![END_OF_TEXT.to_owned()]);
    check(vocab_size, &special)?;
    let splitter = Splitter::of_pattern(pattern).map_err(of_value)?;
    let counts = count(texts, &splitter, parallel::threads(threads))?;
    let options = TrainingOptions::new(vocab_size)
        .with_min_frequency(min_frequency)
        .with_specials(special)
        .with_splitter(splitter);
    let mut training = py.detach(|| Training::new(&counts.into_sorted(), &options));
    while py.detach(|| (0..MERGES_AT_ONCE).all(|_| training.merge_next())) {
        py.check_signals()?;
    }
    Ok(py.detach(|| Tokenizer::of(training.tokenizer(None))))
}

fn check(vocab_size: usize, special: &[String]) -> PyResult<()> {
    let distinct: std::collections::HashSet<&String> = special.iter().collect();
    if distinct.len() < special.len() || special.iter().any(String::is_empty) {
        return Err(of_value("a special token is empty or given twice"));
    }
    let (least, most) = (256 + special.len(), 256 + special.len() + bpe::Tokenizer::MAX_MERGES);
    if vocab_size < least || vocab_size > most {
        return Err(of_value(format!("vocab_size = {vocab_size}, and lies between {least} and {most}")));
    }
    Ok(())
}

/// The words of all texts.
fn count(texts: &Bound<'_, PyAny>, splitter: &Splitter, threads: usize) -> PyResult<WordCounts> {
    let py = texts.py();
    let pool = Pool::<WordCounts>::new();
    let add = |held: &Held<'_>| {
        let work = |counts: &mut Lent<'_, WordCounts>, chunk: &[&str]| {
            chunk.iter().for_each(|text| counts.add_text_by(splitter, text));
        };
        parallel::map_chunks(py, &held.texts()?, threads, || pool.lend(WordCounts::new), work).map(|_| ())
    };
    if texts.is_instance_of::<PyString>() || has_arrays(texts)? {
        add(&inputs::texts(texts)?)?;
    } else {
        let (mut waiting, mut chars) = (PyList::empty(py), 0);
        for text in texts.try_iter()? {
            let text = text?;
            chars += text.len().unwrap_or(0);
            waiting.append(text)?;
            if waiting.len() >= TEXTS_AT_ONCE || chars >= CHARS_AT_ONCE {
                add(&inputs::texts(&waiting)?)?;
                (waiting, chars) = (PyList::empty(py), 0);
            }
        }
        add(&inputs::texts(&waiting)?)?;
    }
    let mut all = WordCounts::new();
    py.detach(|| pool.into_idle().into_iter().for_each(|counts| all.merge(counts)));
    Ok(all)
}

/// Whether texts are in an Arrow array.
fn has_arrays(texts: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(texts.hasattr("__arrow_c_array__")? || texts.hasattr("__arrow_c_stream__")?)
}
