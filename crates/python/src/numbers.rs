//! Whole numbers among arguments: each that is out of its range is a `ValueError` with the argument's name.

use std::num::NonZero;

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;

use crate::error::of_value;

/// A number that is at least `min`.
fn number<T: TryFrom<i64>>(object: &Bound<'_, PyAny>, name: &str, min: i64) -> PyResult<T> {
    let shown = || object.repr().map_or_else(|_| "it".to_owned(), |repr| repr.to_string());
    let value = match object.extract::<i64>() {
        Ok(value) => Some(value),
        Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => None,
        Err(_) => return Err(PyTypeError::new_err(format!("{name} is a whole number, not {}", shown()))),
    };
    let value = value.filter(|&value| value >= min).and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| of_value(format!("{name} = {}; it is a whole number from {min} on", shown())))
}

/// Functions that read the arguments of these names, each with its least number.
macro_rules! arguments {
    ($($name:ident: $type:ty => $min:literal,)*) => {
        $(pub(crate) fn $name(object: &Bound<'_, PyAny>) -> PyResult<$type> {
            number(object, stringify!($name), $min)
        })*
    };
}

arguments! {
    bands: usize => 1,
    rows: usize => 1,
    shingle_words: usize => 1,
    vocab_size: usize => 1,
    min_frequency: u64 => 0,
    max_nodes: usize => 0,
    max_depth: u32 => 0,
    max_record_bytes: u64 => 0,
}

/// The number of threads; `None` for all cores.
pub(crate) fn threads(object: &Bound<'_, PyAny>) -> PyResult<Option<NonZero<usize>>> {
    if object.is_none() {
        return Ok(None);
    }
    number::<usize>(object, "threads", 1).map(NonZero::new)
}
