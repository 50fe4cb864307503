//! A fine-tuned model: its parts, its files, and its predictions.
//!
//! The folder holds `config.json` and `model.safetensors` as any model's does, and `head.safetensors`: the
//! tensors `weight` (O, C) and `bias` (O), and one entry of metadata, `head`, with [`HeadMetadata`] as JSON.

use std::path::Path;

use bpe::Tokenizer;
use gpt2::tensor_file::{self, TensorData, TensorFile};
use gpt2::{CheckpointError, KeptActivations, Model, ModelConfig, Pass, Precision, load_model, save_model};
use serde::{Deserialize, Serialize};

use crate::finetune::batches::MicroBatch;
use crate::finetune::examples::ExampleTexts;
use crate::finetune::head::{ClassPrediction, Head, Outputs, Pooling};
use crate::finetune::inputs::{EncodedExample, InputEncoder, SpecialTokens};
use crate::finetune::metrics::ClassificationMetrics;
use crate::finetune::tasks::FineTuneTask;

/// Examples that are classified between two sorts by length.
const EXAMPLES_AT_ONCE: usize = 256;

/// A model with a head for one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    pub(crate) task: FineTuneTask,
    pub(crate) model: Model,
    pub(crate) head: Head,
    pub(crate) specials: SpecialTokens,
}

/// The metadata of `head.safetensors`.
#[derive(Debug, Serialize, Deserialize)]
struct HeadMetadata {
    task: FineTuneTask,
    /// Names of the outputs, for other readers; they follow from the task.
    labels: Vec<String>,
    pooling: Pooling,
    #[serde(flatten)]
    specials: SpecialTokens,
}

impl Classifier {
    /// The task it was made for.
    pub fn task(&self) -> FineTuneTask {
        self.task
    }

    /// Weights of model and head.
    pub fn parameters(&self) -> usize {
        self.model.parameters() + self.head.weights.len()
    }

    /// Number of ids of its model, the special tokens included; its tokenizer has fewer.
    pub fn vocab_size(&self) -> usize {
        self.model.config().vocab_size
    }

    /// Its prediction for each of `texts`.
    ///
    /// # Panics
    /// If the tokenizer has ids past the model's vocabulary, or the texts are not of the task's kind.
    pub fn classify(&self, tokenizer: &Tokenizer, texts: &[ExampleTexts]) -> Vec<ClassPrediction> {
        let mut encoder = InputEncoder::new(tokenizer, self.specials, self.model.config().context);
        let mut are_truncated = Vec::with_capacity(texts.len());
        let encode = |texts: &ExampleTexts| {
            let before = encoder.truncated;
            let example = EncodedExample { sequences: encoder.sequences(texts), label: 0 };
            are_truncated.push(encoder.truncated > before);
            example
        };
        let mut predictions = self.predictions(&texts.iter().map(encode).collect::<Vec<_>>());
        predictions.iter_mut().zip(are_truncated).for_each(|(prediction, is)| prediction.is_truncated = is);
        predictions
    }

    /// The metrics of its predictions for these examples.
    pub(crate) fn metrics(&self, examples: &[EncodedExample]) -> ClassificationMetrics {
        let labels: Vec<usize> = examples.iter().map(|example| example.label).collect();
        ClassificationMetrics::new(self.task, &self.predictions(examples), &labels)
    }

    fn predictions(&self, examples: &[EncodedExample]) -> Vec<ClassPrediction> {
        // By length, so that there is little padding.
        let mut order: Vec<usize> = (0..examples.len()).collect();
        order.sort_by_key(|&index| examples[index].longest());
        let mut predictions =
            vec![ClassPrediction { label: 0, probabilities: Vec::new(), is_truncated: false }; examples.len()];
        let mut pass = Pass::new(self.model.config(), Precision::F32, KeptActivations::Nothing);
        for indices in order.chunks(EXAMPLES_AT_ONCE) {
            let batch: Vec<&EncodedExample> = indices.iter().map(|&index| &examples[index]).collect();
            for micro_batch in MicroBatch::of_batch(&batch, self.model.config().context) {
                pass.forward(&self.model, &micro_batch.inputs, micro_batch.t, None);
                let logits = self.head.logits(pass.hidden(), &micro_batch);
                for (&index, logits) in indices[micro_batch.first..].iter().zip(logits) {
                    predictions[index] = ClassPrediction::new(&logits);
                }
            }
        }
        predictions
    }

    /// Writes `config.json`, `model.safetensors` and `head.safetensors` into a folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path, end_of_text: Option<u32>) -> Result<(), CheckpointError> {
        save_model(folder, &self.model, end_of_text)?;
        let Head { outputs, channels, pooling, ref weights } = self.head;
        let labels = self.task.labels().iter().map(|&label| label.to_owned()).collect();
        let settings = HeadMetadata { task: self.task, labels, pooling, specials: self.specials };
        let settings = serde_json::to_string(&settings).expect("plain values");
        let (weight, bias) = weights.split_at(outputs.rows() * channels);
        let shape = [outputs.rows(), channels];
        let tensors = vec![
            ("weight".to_owned(), TensorData { shape: &shape, data: weight }),
            ("bias".to_owned(), TensorData { shape: &shape[..1], data: bias }),
        ];
        tensor_file::write(&folder.join("head.safetensors"), tensors, ("head", settings))
    }

    /// Reads a folder that [`Classifier::save`] wrote.
    ///
    /// # Errors
    /// A file that is missing or damaged, or does not fit the others.
    pub fn load(folder: &Path) -> Result<Classifier, CheckpointError> {
        let model = load_model(folder)?;
        let path = folder.join("head.safetensors");
        let malformed = |what: String| CheckpointError::malformed(&path, what);
        if !path.exists() {
            return Err(malformed("it is not there: the folder holds no classifier, which gpt2 finetune makes".into()));
        }
        let file = TensorFile::open(&path)?;
        let settings = file.entry("head").ok_or_else(|| malformed("it has no metadata named head".into()))?;
        let settings = serde_json::from_str(settings).map_err(|error| malformed(error.to_string()))?;
        let HeadMetadata { task, specials, pooling, .. } = settings;
        let ModelConfig { channels, vocab_size, context, .. } = *model.config();
        let SpecialTokens { start, delimiter, extract } = specials;
        if [start, delimiter, extract].iter().any(|&id| id as usize >= vocab_size) {
            return Err(malformed(format!("its special tokens are not among the model's {vocab_size} ids")));
        }
        if context < InputEncoder::MIN_CONTEXT {
            return Err(malformed(format!("the model's context of {context} has no room for two texts")));
        }
        let outputs = task.outputs();
        let mut weights = vec![0.0; outputs.rows() * (channels + 1)];
        let (weight, bias) = weights.split_at_mut(outputs.rows() * channels);
        file.read("weight", &[outputs.rows(), channels], weight)?;
        file.read("bias", &[outputs.rows()], bias)?;
        let head = Head { pooling, outputs, channels, weights };
        Ok(Classifier { task, model, head, specials })
    }
}

impl FineTuneTask {
    /// What a head for this task puts out.
    pub(crate) fn outputs(self) -> Outputs {
        match self {
            FineTuneTask::Choice => Outputs::Choices,
            _ => Outputs::Labels(self.labels().len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn classifier(task: FineTuneTask) -> Classifier {
        let model = Model::new(&ModelConfig::gpt2(1, 2, 8, 16, 259), 1);
        let head = Head::new(task.outputs(), Pooling::Mean, 8, 1);
        Classifier { task, model, head, specials: SpecialTokens::after(256) }
    }

    #[test]
    fn a_classifier_comes_back() {
        for task in [FineTuneTask::Cola, FineTuneTask::Choice] {
            let folder = tempfile::tempdir().unwrap();
            let classifier = classifier(task);
            classifier.save(folder.path(), None).unwrap();
            assert_eq!(Classifier::load(folder.path()).unwrap(), classifier);
        }
    }

    #[test]
    fn predictions_do_not_depend_on_what_else_is_asked() {
        let tokenizer = Tokenizer::bytes_only();
        let classifier = classifier(FineTuneTask::Mrpc);
        let texts = |a: &str, b: &str| ExampleTexts::Similarity(a.into(), b.into());
        let all = [texts("a", "b"), texts("b", "a"), texts("a much longer", "text")];
        let together = classifier.classify(&tokenizer, &all);
        let are_truncated: Vec<bool> = together.iter().map(|prediction| prediction.is_truncated).collect();
        assert_eq!(are_truncated, [false, false, true]);
        let together: Vec<_> = together.into_iter().map(|prediction| prediction.probabilities).collect();
        for (texts, together) in all.iter().zip(&together) {
            let alone = &classifier.classify(&tokenizer, std::slice::from_ref(texts))[0].probabilities;
            assert!(alone.iter().zip(together).all(|(a, b)| (a - b).abs() < 1e-6), "{alone:?} {together:?}");
            assert!((alone.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        // Both orders are added.
        assert!((together[0][0] - together[1][0]).abs() < 1e-6);
    }

    #[test]
    fn hostile_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        classifier(FineTuneTask::Cola).save(folder.path(), None).unwrap();
        let path = folder.path().join("head.safetensors");
        let whole = fs::read(&path).unwrap();
        let replace = |from: &str, to: &str| {
            let text = String::from_utf8_lossy(&whole[..whole.len() - 72]).replace(from, to);
            [text.as_bytes(), &whole[whole.len() - 72..]].concat()
        };
        let mut not_a_number = whole.clone();
        let end = not_a_number.len();
        not_a_number[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let hostile = [
            whole[..whole.len() - 1].to_vec(),
            Vec::new(),
            not_a_number,
            replace("cola", "cota"),
            replace("256", "999"),
            replace("bias", "bits"),
            replace("[2,8]", "[8,2]"),
        ];
        for bytes in hostile {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(Classifier::load(folder.path()), Err(CheckpointError::Malformed { .. })));
        }
    }
}
