//! The class `Tokenizer`, with tiktoken's names.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, LargeListArray, ListArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use bpe::formats::{self, FormatError, GivenSpecial, LoadOptions, tokenizer_json};
use bpe::{Encoder, SpecialInText, TokenId};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use user_error::UserError as _;

use crate::arrow::ArrowArray;
use crate::error::{of_content, of_io, of_value};
use crate::inputs::{self, Held};
use crate::numbers;
use crate::parallel::{self, Lent, Pool, threads};
use crate::special::{Chosen, SpecialRules, of_special};

/// A byte-level BPE tokenizer: GPT-2's, or any that the command `bpe` reads.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct Tokenizer {
    tokenizer: Arc<bpe::Tokenizer>,
    /// Copied where no idle one is left.
    first: Encoder<'static>,
    /// Encoders with what they have seen.
    idle: Pool<Encoder<'static>>,
}

/// A function of Python, and the arguments with which it makes a tokenizer again: its JSON and its end of text.
type Reduced<'py> = (Bound<'py, PyAny>, (String, Option<String>));

/// The ids of some texts, one behind the other.
#[derive(Default)]
struct EncodedChunk {
    ids: Vec<TokenId>,
    lengths: Vec<usize>,
}

impl Tokenizer {
    pub(crate) fn of(tokenizer: bpe::Tokenizer) -> Tokenizer {
        let tokenizer = Arc::new(tokenizer);
        Tokenizer { first: Encoder::shared(tokenizer.clone()), tokenizer, idle: Pool::new() }
    }

    fn encoder(&self) -> Lent<'_, Encoder<'static>> {
        self.idle.lend(|| self.first.clone())
    }

    fn load(path: &Path, options: &LoadOptions) -> PyResult<Tokenizer> {
        let loaded = formats::load_with(&path.to_string_lossy(), options);
        loaded.map(Tokenizer::of).map_err(|error| of_format(&error))
    }

    fn encode_one<'py>(
        &self,
        text: &Bound<'py, PyString>,
        rules: &SpecialRules,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let py = text.py();
        let text = inputs::readable(text)?;
        let bytes = text.to_str()?;
        let mut ids = Vec::with_capacity(bytes.len() / 4 + 8);
        let encoded = py.detach(|| rules.encode(&mut self.encoder(), bytes, &mut ids));
        encoded.map_err(|error| of_special(&error, None))?;
        Ok(PyArray1::from_slice(py, bytemuck::cast_slice(&ids)))
    }

    /// The ids of texts, in chunks and in order.
    fn encode_many(
        &self,
        py: Python<'_>,
        held: &Held<'_>,
        rules: &SpecialRules,
        asked: Option<NonZero<usize>>,
    ) -> PyResult<Vec<EncodedChunk>> {
        let texts = held.texts()?;
        let encode = |encoder: &mut Lent<'_, Encoder<'static>>, chunk: &[&str]| {
            let bytes: usize = chunk.iter().map(|text| text.len()).sum();
            let mut encoded =
                EncodedChunk { ids: Vec::with_capacity(bytes / 4 + 8), lengths: Vec::with_capacity(chunk.len()) };
            for (number, text) in chunk.iter().enumerate() {
                let before = encoded.ids.len();
                rules.encode(encoder, text, &mut encoded.ids).map_err(|error| (number, error))?;
                encoded.lengths.push(encoded.ids.len() - before);
            }
            Ok::<_, (usize, SpecialInText)>(encoded)
        };
        let chunks = parallel::map_chunks(py, &texts, threads(asked), || self.encoder(), encode)?;
        let mut before = 0;
        let mut encoded = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let chunk = chunk.map_err(|(number, error)| of_special(&error, Some(before + number)))?;
            before += chunk.lengths.len();
            encoded.push(chunk);
        }
        Ok(encoded)
    }
}

#[pymethods]
impl Tokenizer {
    /// GPT-2's tokenizer, with 50,257 tokens.
    #[staticmethod]
    fn gpt2() -> Tokenizer {
        Tokenizer::of(bpe::Tokenizer::gpt2())
    }

    /// The tokenizer in a file or a folder.
    #[staticmethod]
    #[pyo3(signature = (path, *, pattern=None, special_tokens=None, end_of_text=None))]
    fn from_file(
        path: PathBuf,
        pattern: Option<String>,
        special_tokens: Option<BTreeMap<String, u32>>,
        end_of_text: Option<String>,
    ) -> PyResult<Tokenizer> {
        let specials = special_tokens.unwrap_or_default().into_iter();
        let specials = specials.map(|(content, id)| GivenSpecial { content, id: Some(id) }).collect();
        let options =
            LoadOptions::default().with_pattern(pattern).with_specials(specials).with_end_of_text(end_of_text);
        Tokenizer::load(&path, &options)
    }

    /// The tokenizer that the text of a `tokenizer.json` describes.
    #[staticmethod]
    #[pyo3(signature = (text, *, end_of_text=None))]
    fn from_json(text: &str, end_of_text: Option<&str>) -> PyResult<Tokenizer> {
        let tokenizer = tokenizer_json::parse(text).map_err(|error| of_format(&error))?;
        let tokenizer = match end_of_text {
            Some(end) => tokenizer.with_end_of_text(end).map_err(|error| of_content(&error, None))?,
            None => tokenizer,
        };
        Ok(Tokenizer::of(tokenizer))
    }

    /// The tokenizer as the text of a `tokenizer.json`, which Hugging Face's tokenizers read.
    fn to_json(&self) -> PyResult<String> {
        formats::check_json(&self.tokenizer).map_err(|error| of_format(&error))?;
        Ok(tokenizer_json::write(&self.tokenizer))
    }

    /// Writes the tokenizer's files into a folder.
    fn save(&self, folder: PathBuf) -> PyResult<()> {
        formats::check_json(&self.tokenizer).map_err(|error| of_format(&error))?;
        std::fs::create_dir_all(&folder).map_err(|error| of_io(&error, &folder))?;
        for (name, content) in formats::files(&self.tokenizer) {
            let path = folder.join(name);
            std::fs::write(&path, content).map_err(|error| of_io(&error, &path))?;
        }
        Ok(())
    }

    /// The ids of a text.
    #[pyo3(signature = (text, *, allowed_special=None, disallowed_special=None),
        text_signature = "($self, text, *, allowed_special=(), disallowed_special='all')")]
    fn encode<'py>(
        &self,
        text: &Bound<'py, PyString>,
        allowed_special: Option<Chosen>,
        disallowed_special: Option<Chosen>,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let rules = SpecialRules::new(&self.tokenizer, allowed_special, disallowed_special)?;
        self.encode_one(text, &rules)
    }

    /// The ids of a text in which special tokens are ordinary text.
    fn encode_ordinary<'py>(&self, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        self.encode_one(text, &SpecialRules::ORDINARY)
    }

    /// The ids of each text.
    #[pyo3(signature = (texts, *, allowed_special=None, disallowed_special=None, threads=None),
        text_signature = "($self, texts, *, allowed_special=(), disallowed_special='all', threads=None)")]
    fn encode_batch<'py>(
        &self,
        texts: &Bound<'py, PyAny>,
        allowed_special: Option<Chosen>,
        disallowed_special: Option<Chosen>,
        #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let rules = SpecialRules::new(&self.tokenizer, allowed_special, disallowed_special)?;
        arrays(texts.py(), &self.encode_many(texts.py(), &inputs::texts(texts)?, &rules, threads)?)
    }

    /// The ids of each text, in which special tokens are ordinary text.
    #[pyo3(signature = (texts, *, threads=None))]
    fn encode_ordinary_batch<'py>(
        &self,
        texts: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let encoded = self.encode_many(texts.py(), &inputs::texts(texts)?, &SpecialRules::ORDINARY, threads)?;
        arrays(texts.py(), &encoded)
    }

    /// The ids of each text, as one Arrow array of lists of uint32.
    #[pyo3(signature = (texts, *, allowed_special=None, disallowed_special=None, threads=None),
        text_signature = "($self, texts, *, allowed_special=(), disallowed_special='all', threads=None)")]
    fn encode_batch_arrow(
        &self,
        texts: &Bound<'_, PyAny>,
        allowed_special: Option<Chosen>,
        disallowed_special: Option<Chosen>,
        #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
    ) -> PyResult<ArrowArray> {
        let rules = SpecialRules::new(&self.tokenizer, allowed_special, disallowed_special)?;
        let encoded = self.encode_many(texts.py(), &inputs::texts(texts)?, &rules, threads)?;
        Ok(ArrowArray::new(texts.py().detach(|| list_array(encoded))))
    }

    /// The number of tokens of a text, in which special tokens are ordinary text.
    fn count(&self, text: &Bound<'_, PyString>) -> PyResult<u64> {
        let text = inputs::readable(text)?;
        let bytes = text.to_str()?;
        Ok(text.py().detach(|| self.encoder().count(bytes)))
    }

    /// The number of tokens of each text.
    #[pyo3(signature = (texts, *, threads=None))]
    fn count_batch<'py>(
        &self,
        texts: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
    ) -> PyResult<Bound<'py, PyArray1<u64>>> {
        let (py, held) = (texts.py(), inputs::texts(texts)?);
        let texts = held.texts()?;
        let count = |encoder: &mut Lent<'_, Encoder<'static>>, chunk: &[&str]| {
            chunk.iter().map(|text| encoder.count(text)).collect::<Vec<u64>>()
        };
        let counts = parallel::map_chunks(py, &texts, parallel::threads(threads), || self.encoder(), count)?;
        Ok(PyArray1::from_vec(py, counts.concat()))
    }

    /// The text of ids.
    #[pyo3(signature = (ids, errors="replace"))]
    fn decode<'py>(&self, ids: &Bound<'py, PyAny>, errors: &str) -> PyResult<Bound<'py, PyAny>> {
        self.decode_bytes(ids)?.call_method1("decode", ("utf-8", errors))
    }

    /// The bytes of ids.
    fn decode_bytes<'py>(&self, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = ids.py();
        let decoded = match ids.extract::<PyReadonlyArray1<'_, u32>>() {
            Ok(array) => self.tokenizer.decode(bytemuck::cast_slice(&array.as_array().to_vec())),
            Err(_) => self.tokenizer.decode(&ids_of(ids)?),
        };
        Ok(PyBytes::new(py, &decoded.map_err(|error| of_value(error.to_string()))?))
    }

    /// The text of each sequence of ids.
    #[pyo3(signature = (batch, *, errors="replace"))]
    fn decode_batch<'py>(&self, batch: &Bound<'py, PyAny>, errors: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        batch.try_iter()?.map(|ids| self.decode(&ids?, errors)).collect()
    }

    /// The id of a token, given as its text or bytes.
    fn encode_single_token(&self, token: &Bound<'_, PyAny>) -> PyResult<u32> {
        let (bytes, is_text) = inputs::page(token)?;
        let special = std::str::from_utf8(bytes).ok().filter(|_| is_text).and_then(|text| self.tokenizer.special(text));
        let ordinary = || self.tokenizer.vocabulary().find(|(_, known)| *known == bytes).map(|(id, _)| id);
        let id = special.or_else(ordinary);
        id.map(|id| id.0).ok_or_else(|| PyKeyError::new_err(token.clone().unbind()))
    }

    /// The bytes of one token.
    fn decode_single_token_bytes<'py>(&self, py: Python<'py>, id: u32) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.tokenizer.decode(&[TokenId(id)]).map_err(|_| PyKeyError::new_err(id))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// One more than the largest id.
    #[getter]
    fn n_vocab(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    /// The largest id.
    #[getter]
    fn max_token_value(&self) -> usize {
        self.tokenizer.vocab_size() - 1
    }

    /// The id of the token between documents; None if the tokenizer has no such token.
    #[getter]
    fn eot_token(&self) -> Option<u32> {
        self.tokenizer.end_of_text().map(|id| id.0)
    }

    /// The special tokens and their ids.
    #[getter]
    fn special_tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tokens = PyDict::new(py);
        for token in self.tokenizer.specials() {
            tokens.set_item(token, self.tokenizer.special(token).map(|id| id.0))?;
        }
        Ok(tokens)
    }

    /// The special tokens.
    #[getter]
    fn special_tokens_set(&self) -> std::collections::HashSet<String> {
        self.tokenizer.specials().iter().cloned().collect()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        let (py, this) = (slf.py(), slf.get());
        let tokenizer = &this.tokenizer;
        let end = tokenizer.end_of_text().map(|id| String::from_utf8_lossy(tokenizer.token(id)).into_owned());
        let unpickle = PyModule::import(py, "webtext._pickle")?.getattr("tokenizer")?;
        Ok((unpickle, (this.to_json()?, end)))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Tokenizer>().is_ok_and(|other| *other.get().tokenizer == *self.tokenizer)
    }

    fn __hash__(&self) -> u64 {
        self.tokenizer.vocab_size() as u64
    }

    fn __repr__(&self) -> String {
        format!("<webtext.Tokenizer of {} tokens>", self.tokenizer.vocab_size())
    }
}

/// An array of numpy for each text.
fn arrays<'py>(py: Python<'py>, chunks: &[EncodedChunk]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for chunk in chunks {
        let mut rest: &[u32] = bytemuck::cast_slice(&chunk.ids);
        for &length in &chunk.lengths {
            let (ids, behind) = rest.split_at(length);
            list.append(PyArray1::from_slice(py, ids))?;
            rest = behind;
        }
    }
    Ok(list)
}

/// All ids in one array of lists; of large lists where there are more than 2³¹ ids.
fn list_array(chunks: Vec<EncodedChunk>) -> ArrayRef {
    let mut ids: Vec<u32> = Vec::with_capacity(chunks.iter().map(|chunk| chunk.ids.len()).sum());
    chunks.iter().for_each(|chunk| ids.extend_from_slice(bytemuck::cast_slice(&chunk.ids)));
    let lengths = chunks.iter().flat_map(|chunk| chunk.lengths.iter().copied());
    let item = Arc::new(Field::new("item", DataType::UInt32, false));
    if i32::try_from(ids.len()).is_ok() {
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        Arc::new(ListArray::new(item, offsets, Arc::new(UInt32Array::from(ids)), None))
    } else {
        let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
        Arc::new(LargeListArray::new(item, offsets, Arc::new(UInt32Array::from(ids)), None))
    }
}

/// Ids in any other sequence of whole numbers.
fn ids_of(ids: &Bound<'_, PyAny>) -> PyResult<Vec<TokenId>> {
    let one = |(place, id): (usize, PyResult<Bound<'_, PyAny>>)| {
        let id = id?;
        id.extract::<u32>().map(TokenId).map_err(|_| {
            let shown = id.repr().map_or_else(|_| "it".to_owned(), |repr| repr.to_string());
            PyTypeError::new_err(format!(
                "an id is a whole number from 0 to 4294967295, and {shown} at place {place} is none"
            ))
        })
    };
    ids.try_iter()?.enumerate().map(one).collect()
}

/// A tokenizer that cannot be read, with the command's hints in Python's words.
fn of_format(error: &FormatError) -> PyErr {
    let io = match error {
        FormatError::Io { path, source, .. } => Some((path, source)),
        FormatError::InFile { source, .. } => match &**source {
            FormatError::Io { path, source, .. } => Some((path, source)),
            _ => None,
        },
        _ => None,
    };
    match (io, error) {
        (Some((path, source)), _) => of_io(source, path),
        (None, FormatError::NotFound(path)) => {
            pyo3::exceptions::PyFileNotFoundError::new_err((2, error.to_string(), path.as_os_str().to_owned()))
        }
        _ => of_content(error, error.hint().map(|hint| hint.replace("give --pattern:", "give pattern="))),
    }
}
