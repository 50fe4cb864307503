//! A fine-tuned model: what it is made of, how it is kept in a folder, and how it answers.
//!
//! The folder holds `config.json` and `model.safetensors` as any model's does, and `head.safetensors`: the
//! tensors `weight` (O, C) and `bias` (O), and one entry of metadata, `head`, with [`HeadSettings`] as JSON.

use std::path::Path;

use bpe::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::finetune::batches::Part;
use crate::finetune::examples::Texts;
use crate::finetune::head::{Answer, Head, Outputs, Pooling};
use crate::finetune::inputs::{Encoded, InputEncoder, Specials};
use crate::finetune::metrics::Metrics;
use crate::finetune::tasks::Task;
use crate::matmul::Precision;
use crate::model::Model;
use crate::pass::{Keep, Pass};
use crate::tensors::{self, Borrowed, CheckpointError, TensorFile};
use crate::weights::{load_model, save_model};

/// Examples that are held as sequences at a time when a whole set is classified.
const EXAMPLES_AT_ONCE: usize = 256;

/// A model with a head for one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    pub(crate) task: Task,
    pub(crate) model: Model,
    pub(crate) head: Head,
    pub(crate) specials: Specials,
}

/// The metadata of `head.safetensors`.
#[derive(Debug, Serialize, Deserialize)]
struct HeadSettings {
    task: Task,
    /// What the outputs mean, for other readers; it follows from the task.
    labels: Vec<String>,
    pooling: Pooling,
    #[serde(flatten)]
    specials: Specials,
}

impl Classifier {
    /// The task it was made for.
    pub fn task(&self) -> Task {
        self.task
    }

    /// Weights of model and head.
    pub fn parameters(&self) -> usize {
        self.model.parameters() + self.head.weights.len()
    }

    /// Ids of its model, the special tokens among them; its tokenizer has fewer.
    pub fn vocab_size(&self) -> usize {
        self.model.config().vocab_size
    }

    /// Its answer to each of `texts`.
    ///
    /// # Panics
    /// If the tokenizer has ids past the model's vocabulary, or the texts are not of the task's kind.
    pub fn classify(&self, tokenizer: &Tokenizer, texts: &[Texts]) -> Vec<Answer> {
        let mut encoder = InputEncoder::new(tokenizer, self.specials, self.model.config().context);
        let encode = |texts: &Texts| Encoded { sequences: encoder.sequences(texts), label: 0 };
        self.answers(&texts.iter().map(encode).collect::<Vec<_>>())
    }

    /// How good its answers to these examples are.
    pub(crate) fn metrics(&self, examples: &[Encoded]) -> Metrics {
        let labels: Vec<usize> = examples.iter().map(|example| example.label).collect();
        Metrics::new(self.task, &self.answers(examples), &labels)
    }

    fn answers(&self, examples: &[Encoded]) -> Vec<Answer> {
        // By length, so that there is little padding.
        let mut order: Vec<usize> = (0..examples.len()).collect();
        order.sort_by_key(|&index| examples[index].longest());
        let mut answers = vec![Answer { label: 0, probabilities: Vec::new() }; examples.len()];
        let mut pass = Pass::new(self.model.config(), Precision::F32, Keep::Nothing);
        for indices in order.chunks(EXAMPLES_AT_ONCE) {
            let batch: Vec<&Encoded> = indices.iter().map(|&index| &examples[index]).collect();
            for part in Part::of_batch(&batch, self.model.config().context) {
                pass.forward(&self.model, &part.inputs, part.t, None);
                let logits = self.head.logits(pass.hidden(), &part);
                for (&index, logits) in indices[part.first..].iter().zip(logits) {
                    answers[index] = Answer::new(&logits);
                }
            }
        }
        answers
    }

    /// Writes `config.json`, `model.safetensors` and `head.safetensors` into a folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path, end_of_text: Option<u32>) -> Result<(), CheckpointError> {
        save_model(folder, &self.model, end_of_text)?;
        let Head { outputs, channels, pooling, ref weights } = self.head;
        let labels = self.task.labels().iter().map(|&label| label.to_owned()).collect();
        let settings = HeadSettings { task: self.task, labels, pooling, specials: self.specials };
        let settings = serde_json::to_string(&settings).expect("plain values");
        let (weight, bias) = weights.split_at(outputs.rows() * channels);
        let shape = [outputs.rows(), channels];
        let tensors = vec![
            ("weight".to_owned(), Borrowed { shape: &shape, data: weight }),
            ("bias".to_owned(), Borrowed { shape: &shape[..1], data: bias }),
        ];
        tensors::write(&folder.join("head.safetensors"), tensors, ("head", settings))
    }

    /// Reads a folder that [`Classifier::save`] wrote.
    ///
    /// # Errors
    /// A file that is absent, damaged, or does not fit the others.
    pub fn load(folder: &Path) -> Result<Classifier, CheckpointError> {
        let model = load_model(folder)?;
        let path = folder.join("head.safetensors");
        let malformed = |what: String| CheckpointError::malformed(&path, what);
        let file = TensorFile::open(&path)?;
        let settings = file.entry("head").ok_or_else(|| malformed("it has no metadata named head".into()))?;
        let settings = serde_json::from_str(settings).map_err(|error| malformed(error.to_string()))?;
        let HeadSettings { task, specials, pooling, .. } = settings;
        let ModelConfig { channels, vocab_size, context, .. } = *model.config();
        let Specials { start, delimiter, extract } = specials;
        if [start, delimiter, extract].iter().any(|&id| id as usize >= vocab_size) {
            return Err(malformed(format!("its special tokens are not among the model's {vocab_size}")));
        }
        if context < InputEncoder::CONTEXT_AT_LEAST {
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

impl Task {
    /// What a head for this task puts out.
    pub(crate) fn outputs(self) -> Outputs {
        match self {
            Task::Choice => Outputs::Choices,
            _ => Outputs::Labels(self.labels().len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn classifier(task: Task) -> Classifier {
        let model = Model::new(&ModelConfig::gpt2(1, 2, 8, 16, 259), 1);
        let head = Head::new(task.outputs(), Pooling::Mean, 8, 1);
        Classifier { task, model, head, specials: Specials::after(256) }
    }

    #[test]
    fn a_classifier_comes_back() {
        for task in [Task::Cola, Task::Choice] {
            let folder = tempfile::tempdir().unwrap();
            let classifier = classifier(task);
            classifier.save(folder.path(), None).unwrap();
            assert_eq!(Classifier::load(folder.path()).unwrap(), classifier);
        }
    }

    #[test]
    fn answers_do_not_depend_on_what_else_is_asked() {
        let tokenizer = Tokenizer::bytes_only();
        let classifier = classifier(Task::Mrpc);
        let texts = |a: &str, b: &str| Texts::Similarity(a.into(), b.into());
        let all = [texts("a", "b"), texts("b", "a"), texts("a much longer", "text")];
        let together = classifier.classify(&tokenizer, &all);
        let together: Vec<_> = together.into_iter().map(|answer| answer.probabilities).collect();
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
        classifier(Task::Cola).save(folder.path(), None).unwrap();
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
