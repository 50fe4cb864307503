//! Texts and pages as callers give them: lists, any other iterable, or Arrow arrays.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use user_error::count;

use crate::arrow::arrays_of;

/// What keeps the bytes of texts or pages in memory while threads read them: Python's objects, which do not change, or
/// Arrow's arrays.
pub(crate) enum Held<'py> {
    Strings(Vec<Bound<'py, PyString>>),
    Objects(Vec<Bound<'py, PyAny>>),
    Arrays(Vec<ArrayRef>),
}

/// A string whose UTF-8 can be borrowed. What is no text, halves of surrogate pairs, is replaced as tiktoken does it.
pub(crate) fn readable<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
    let py = text.py();
    match text.to_str() {
        Ok(_) => Ok(text.clone()),
        Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(py) => {
            let units = text.call_method1("encode", ("utf-16", "surrogatepass"))?;
            Ok(units.call_method1("decode", ("utf-16", "replace"))?.cast_into()?)
        }
        Err(error) => Err(error),
    }
}

/// Texts, kept in memory; [`Held::texts`] borrows them.
pub(crate) fn texts<'py>(object: &Bound<'py, PyAny>) -> PyResult<Held<'py>> {
    if object.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("one text was given where many are expected; give a list of texts"));
    }
    if let Some(arrays) = arrays_of(object)? {
        return Ok(Held::Arrays(without_nulls(typed(arrays, is_text, TEXTS)?)?));
    }
    let mut strings = Vec::with_capacity(object.len().unwrap_or(0));
    for (number, text) in object.try_iter()?.enumerate() {
        let text = text?;
        let string = text.cast::<PyString>().map_err(|_| of_wrong_type(number, &text, "a text (str)"))?;
        strings.push(readable(string)?);
    }
    Ok(Held::Strings(strings))
}

/// Pages, each text or bytes, kept in memory; [`Held::pages`] borrows them.
pub(crate) fn pages<'py>(object: &Bound<'py, PyAny>) -> PyResult<Held<'py>> {
    if object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("one page was given where many are expected; give a list of pages"));
    }
    if let Some(arrays) = arrays_of(object)? {
        let is_page = |kind: &DataType| {
            use DataType::{Binary, BinaryView, LargeBinary, LargeUtf8, Utf8, Utf8View};
            matches!(kind, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView)
        };
        return Ok(Held::Arrays(without_nulls(typed(arrays, is_page, "pages (string or binary)")?)?));
    }
    let mut objects = Vec::with_capacity(object.len().unwrap_or(0));
    for (number, page) in object.try_iter()?.enumerate() {
        let page = page?;
        match page.cast::<PyString>() {
            Ok(text) => objects.push(readable(text)?.into_any()),
            Err(_) if page.is_instance_of::<PyBytes>() => objects.push(page),
            Err(_) => return Err(of_wrong_type(number, &page, "a page (str or bytes)")),
        }
    }
    Ok(Held::Objects(objects))
}

fn of_wrong_type(number: usize, item: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    let name = item.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("item {number} is no {}, but {name}", expected.trim_start_matches("a ")))
}

/// The types of Arrow that hold texts, in words.
const TEXTS: &str = "texts (string, large_string or string_view)";

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// One value for each of so many items, where some are given; any of them may be missing (`None`, null).
pub(crate) fn of_each(
    object: Option<&Bound<'_, PyAny>>,
    items: usize,
    noun: &str,
    name: &str,
) -> PyResult<Vec<Option<String>>> {
    let Some(object) = object else { return Ok(vec![None; items]) };
    let named = |what: String| PyTypeError::new_err(format!("{name}: {what}"));
    if object.is_instance_of::<PyString>() {
        return Err(named(format!("one text was given; give one for each of the {noun}")));
    }
    let mut values = Vec::with_capacity(items);
    if let Some(arrays) = arrays_of(object)? {
        let is_right = |kind: &DataType| is_text(kind) || *kind == DataType::Null;
        for array in typed(arrays, is_right, TEXTS)? {
            values.extend(optional_texts(&array));
        }
    } else {
        for (number, value) in object.try_iter()?.enumerate() {
            let value = value?;
            values.push(match value.cast::<PyString>() {
                Ok(text) => Some(readable(text)?.to_str()?.to_owned()),
                Err(_) if value.is_none() => None,
                Err(_) => {
                    return Err(named(of_wrong_type(number, &value, "a text (str)").value(value.py()).to_string()));
                }
            });
        }
    }
    if values.len() != items {
        let (values, items) = (count(values.len() as u64, "value"), count(items as u64, noun));
        return Err(PyValueError::new_err(format!("{name} has {values} for {items}")));
    }
    Ok(values)
}

/// The texts of an array, which may have nulls.
fn optional_texts(array: &ArrayRef) -> Vec<Option<String>> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(owned).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(owned).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(owned).collect(),
        _ => vec![None; array.len()],
    }
}

/// The arrays, if they have a right type.
fn typed(arrays: Vec<ArrayRef>, is_right: fn(&DataType) -> bool, expected: &str) -> PyResult<Vec<ArrayRef>> {
    let mut row = 0;
    for array in &arrays {
        if !is_right(array.data_type()) {
            let hint =
                if matches!(array.data_type(), DataType::Struct(_)) { "; give one column of the table" } else { "" };
            let text = format!("the Arrow array has no {expected}, but {}{hint}", array.data_type());
            return Err(PyTypeError::new_err(text));
        }
        // Others write arrays without looking at their bytes, as pyarrow does when it reads Parquet.
        if let Err(error) = array.to_data().validate_full() {
            return Err(PyValueError::new_err(format!("the Arrow array from row {row} on is damaged: {error}")));
        }
        row += array.len();
    }
    Ok(arrays)
}

/// The arrays, if no row is null.
fn without_nulls(arrays: Vec<ArrayRef>) -> PyResult<Vec<ArrayRef>> {
    let mut row = 0;
    for array in &arrays {
        if array.null_count() > 0 {
            let null = (0..array.len()).find(|&at| array.is_null(at)).unwrap_or(0);
            let text = format!("row {} is null; drop or fill nulls first", row + null);
            return Err(PyValueError::new_err(text));
        }
        row += array.len();
    }
    Ok(arrays)
}

impl Held<'_> {
    /// The texts, in order.
    pub(crate) fn texts(&self) -> PyResult<Vec<&str>> {
        let mut texts = Vec::new();
        match self {
            Held::Strings(strings) => {
                texts.reserve(strings.len());
                for string in strings {
                    texts.push(string.to_str()?);
                }
            }
            Held::Objects(_) => {}
            Held::Arrays(arrays) => {
                for array in arrays {
                    match array.data_type() {
                        DataType::Utf8 => texts.extend(array.as_string::<i32>().iter().flatten()),
                        DataType::LargeUtf8 => texts.extend(array.as_string::<i64>().iter().flatten()),
                        _ => texts.extend(array.as_string_view().iter().flatten()),
                    }
                }
            }
        }
        Ok(texts)
    }

    /// The pages, in order, and whether each is text.
    pub(crate) fn pages(&self) -> PyResult<Vec<(&[u8], bool)>> {
        let mut pages: Vec<(&[u8], bool)> = Vec::new();
        match self {
            Held::Objects(objects) => {
                for object in objects {
                    pages.push(page(object)?);
                }
            }
            Held::Strings(_) => pages.extend(self.texts()?.into_iter().map(|text| (text.as_bytes(), true))),
            Held::Arrays(arrays) => {
                for array in arrays {
                    match array.data_type() {
                        DataType::Binary => pages.extend(array.as_binary::<i32>().iter().flatten().map(|b| (b, false))),
                        DataType::LargeBinary => {
                            pages.extend(array.as_binary::<i64>().iter().flatten().map(|b| (b, false)));
                        }
                        DataType::BinaryView => {
                            pages.extend(array.as_binary_view().iter().flatten().map(|b| (b, false)))
                        }
                        DataType::Utf8 => {
                            pages.extend(array.as_string::<i32>().iter().flatten().map(|text| (text.as_bytes(), true)));
                        }
                        DataType::LargeUtf8 => {
                            pages.extend(array.as_string::<i64>().iter().flatten().map(|text| (text.as_bytes(), true)));
                        }
                        _ => pages.extend(array.as_string_view().iter().flatten().map(|text| (text.as_bytes(), true))),
                    }
                }
            }
        }
        Ok(pages)
    }
}

/// The bytes of a page, and whether they are text.
pub(crate) fn page<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<(&'a [u8], bool)> {
    if let Ok(text) = object.cast::<PyString>() {
        return Ok((text.to_str()?.as_bytes(), true));
    }
    let bytes = object.cast::<PyBytes>();
    bytes.map(|bytes| (bytes.as_bytes(), false)).map_err(|_| of_wrong_type(0, object, "a page (str or bytes)"))
}
