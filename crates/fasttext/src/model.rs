//! A whole model: reads its file, and predicts the labels of a text.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::dictionary::{Dictionary, DictionaryScratch, NgramSettings};
use crate::loss::{LabelTree, Loss, LossScratch, SigmoidTable, exp};
use crate::matrix::{InputMatrix, OutputMatrix, Shape};
use crate::reader::Reader;
use crate::top::Top;
use crate::{OpenError, ReadError};

/// The prefix of all labels of a model, unless it was trained with another one. As in fastText, a word of a text that
/// begins with it is ignored.
pub const LABEL_PREFIX: &str = "__label__";

/// The first four bytes of a model, little-endian.
pub(crate) const MAGIC: u32 = 793_712_314;

const SUPERVISED: i32 = 3;

/// A supervised model. Several threads can use it at once, each with its own [`Scratch`].
///
/// Takes about as much memory as its file is long: what is quantised stays so. Beyond that, it holds some 16 bytes per
/// word, 16 to 32 per bucket of a pruned model, and a dense output matrix that is filled up to a multiple of 16 rows.
#[derive(Debug)]
pub struct Model {
    dimension: usize,
    dictionary: Dictionary,
    input: InputMatrix,
    output: OutputMatrix,
    loss: Loss,
}

/// A label of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction<'model> {
    /// As in the model, with its [prefix](LABEL_PREFIX).
    pub label: &'model str,
    /// fastText's probability: from 0.00001 to 1.00001, since it adds 0.00001 to each.
    pub probability: f32,
}

/// Working memory of a prediction, for any number of texts and models, one after another.
///
/// Holds a few numbers per dimension and label, and 4 bytes per word of the longest text if the model has word n-grams.
#[derive(Debug, Default)]
pub struct Scratch {
    vector: Vec<f32>,
    dictionary: DictionaryScratch,
    loss: LossScratch,
    top: Top,
}

impl Model {
    /// Reads a model file, `.bin` or `.ftz`. Time and memory O(its length).
    ///
    /// # Errors
    /// When the file cannot be read, is not a supervised model, is cut off or longer than its model, or states numbers
    /// that do not fit each other: [`ReadError`] says where.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, OpenError> {
        let path = path.as_ref();
        let read = || {
            let file = File::open(path)?;
            let len_bytes = file.metadata()?.len();
            Model::read(BufReader::with_capacity(1 << 16, file), len_bytes)
        };
        read().map_err(|source| OpenError { path: path.to_owned(), source })
    }

    /// Reads a model out of memory, as [`Model::open`] does from a file.
    ///
    /// ```
    /// use fasttext::{Model, ReadError};
    /// assert!(matches!(Model::from_bytes(b"\xbaO"), Err(ReadError::CutOff { len_bytes: 2, .. })));
    /// assert!(matches!(Model::from_bytes(b"<!doctype html>"), Err(ReadError::Magic { .. })));
    /// ```
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, ReadError> {
        Model::read(bytes, bytes.len() as u64)
    }

    /// The labels with their prefix, the most frequent in training first.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = &str> {
        self.dictionary.labels().iter().map(|label| &**label)
    }

    /// Numbers per vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The `k` most probable labels of a text, best first, of those with at least `min_probability` (0 to 1; checked
    /// before the 0.00001 is added). As fastText with each newline of the text replaced by a space.
    ///
    /// Empty when nothing in the text is known to the model, not even its end. A model that was trained on lines knows
    /// the end, so that a text without words has labels, too. Hierarchical softmax leaves out labels that are less
    /// probable than 0.00001, for any `k`.
    ///
    /// Time O(bytes × longest n-gram × dimension + labels × dimension).
    pub fn predict(&self, text: &str, k: usize, min_probability: f32) -> Vec<Prediction<'_>> {
        self.predict_with(&mut Scratch::default(), text, k, min_probability)
    }

    /// [`Model::predict`] with buffers that are reused from text to text.
    pub fn predict_with(
        &self,
        scratch: &mut Scratch,
        text: &str,
        k: usize,
        min_probability: f32,
    ) -> Vec<Prediction<'_>> {
        let Scratch { vector, dictionary, loss, top } = scratch;
        let label_count = self.dictionary.labels().len();
        top.start(k.min(label_count));
        if !self.average(text, dictionary, vector) {
            return Vec::new();
        }
        self.loss.predict(&self.output, label_count, vector, min_probability, loss, top);
        let labels = self.dictionary.labels();
        let named = |&(log, label): &(f32, u32)| Prediction { label: &labels[label as usize], probability: exp(log) };
        top.sorted().iter().map(named).collect()
    }

    /// Averages the rows of the input matrix for a text; `false` when there are none.
    fn average(&self, text: &str, scratch: &mut DictionaryScratch, vector: &mut Vec<f32>) -> bool {
        vector.clear();
        vector.resize(self.dimension, 0.0);
        let mut rows = 0u64;
        self.dictionary.rows_of(text, scratch, |row| {
            self.input.add_row(row, vector);
            rows += 1;
        });
        let factor = (1.0 / rows as f64) as f32;
        vector.iter_mut().for_each(|sum| *sum *= factor);
        rows > 0
    }

    fn read<R: Read>(stream: R, len_bytes: u64) -> Result<Model, ReadError> {
        let mut reader = Reader::new(stream, len_bytes);
        let Header { dimension, loss, ngrams } = Header::read(&mut reader)?;
        let dictionary = Dictionary::read(&mut reader, ngrams)?;
        let shape = |matrix, rows| Shape { matrix, rows, columns: dimension };

        let quantised_offset = reader.offset();
        let quantised = reader.bool("quant_input")?;
        if dictionary.is_pruned() && !quantised {
            // fastText's issue 332: such a file was written by a version that lost rows.
            return Err(ReadError::Setting { name: "quant_input", value: 0, offset: quantised_offset });
        }
        let input = InputMatrix::read(&mut reader, quantised, shape("input", dictionary.rows()))?;

        let output_quantised = reader.bool("qout")?;
        let label_count = dictionary.labels().len();
        // fastText holds a quantised output for quantised inputs alone.
        let output =
            OutputMatrix::read(&mut reader, quantised && output_quantised, shape("output", label_count as u64))?;
        reader.finish()?;

        let loss = match loss {
            LossName::HierarchicalSoftmax => Loss::HierarchicalSoftmax(LabelTree::new(dictionary.label_counts())),
            LossName::NegativeSampling | LossName::OneVsAll => Loss::Sigmoid(SigmoidTable::new()),
            LossName::Softmax => Loss::Softmax,
        };
        Ok(Model { dimension, dictionary, input, output, loss })
    }
}

/// The settings in front of a model that prediction needs.
struct Header {
    dimension: usize,
    loss: LossName,
    ngrams: NgramSettings,
}

enum LossName {
    HierarchicalSoftmax,
    NegativeSampling,
    Softmax,
    OneVsAll,
}

impl Header {
    fn read<R: Read>(reader: &mut Reader<R>) -> Result<Header, ReadError> {
        let found = reader.u32()?;
        if found != MAGIC {
            return Err(ReadError::Magic { found });
        }
        let version = reader.i32()?;
        if !(11..=12).contains(&version) {
            return Err(ReadError::Version { found: version });
        }
        let dimension = reader.setting("dim", 1..=i32::MAX)? as usize;
        let [_window, _epochs, _min_count, _negatives] = [reader.i32()?, reader.i32()?, reader.i32()?, reader.i32()?];
        let word_ngrams = reader.i32()?.max(1) as usize;
        let loss = match reader.setting("loss", 1..=4)? {
            1 => LossName::HierarchicalSoftmax,
            2 => LossName::NegativeSampling,
            3 => LossName::Softmax,
            _ => LossName::OneVsAll,
        };
        let model = reader.setting("model", 1..=SUPERVISED)?;
        if model != SUPERVISED {
            return Err(ReadError::NotSupervised { model });
        }
        let bucket_offset = reader.offset();
        let bucket = reader.setting("bucket", 0..=i32::MAX)? as u32;
        let minn = reader.setting("minn", 0..=i32::MAX)? as usize;
        let mut maxn = reader.setting("maxn", 0..=i32::MAX)? as usize;
        let _update_rate = reader.i32()?;
        let _sampling_threshold = reader.i64()?;
        if version == 11 {
            // Supervised models of that time state a length but have no character n-grams.
            maxn = 0;
        }
        if bucket == 0 && (word_ngrams > 1 || maxn > 0) {
            return Err(ReadError::Setting { name: "bucket", value: 0, offset: bucket_offset });
        }
        Ok(Header { dimension, loss, ngrams: NgramSettings { word_ngrams, minn, maxn, bucket } })
    }
}
