//! Zero-shot evaluation: what a model can do without having been trained for it (GPT-2 paper, section 3).
//!
//! Each task has a file of data and a prompt, in a module of its own that defines exactly what is scored: a metric is
//! only comparable with another of the same protocol. [`evaluate`] runs a task.
//!
//! Left out: the data themselves, the paper's de-tokenizers (texts are scored as they are), and the standard errors of
//! accuracies (√(p·(1−p)/n) for n rows and an accuracy of p).

mod blimp;
mod choices;
mod generation;
mod lambada;
pub mod metrics;
mod perplexity;
mod rows;
mod scorer;
mod winograd;

use std::io;
use std::path::{Path, PathBuf};

use bpe::Tokenizer;
use clap::ValueEnum;
use gpt2::Model;
use serde::Serialize;

use crate::tokens::VocabularyError;
use choices::Question;
use rows::read_rows;
use scorer::Scorer;
use winograd::Scoring;

/// A task of the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EvalTask {
    /// Predict every token of a text.
    Perplexity,
    /// Predict the last word of a passage.
    Lambada,
    /// Find what a pronoun refers to, by partial and by full scoring.
    Winograd,
    /// The same on WinoGrande, by partial scoring.
    Winogrande,
    /// Choose how a story goes on.
    Hellaswag,
    /// Choose how to reach a physical goal.
    Piqa,
    /// Choose a cause or an effect.
    Copa,
    /// Distinguish grammatical sentences from ungrammatical ones.
    Blimp,
    /// Write a summary.
    Summarise,
    /// Translate.
    Translate,
    /// Answer questions.
    Answer,
}

impl EvalTask {
    /// The name, as on the command line.
    ///
    /// ```
    /// assert_eq!(gpt2_lab::evaluate::EvalTask::Copa.name(), "copa");
    /// ```
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Settings of an evaluation. By default all data are used, and each task's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvalOptions {
    /// Only the first rows; for perplexity the first tokens, for BLiMP the first pairs of each file. Examples in a
    /// prompt do not count.
    pub limit: Option<u64>,
    /// Tokens by which perplexity's window moves on, from 1 to the context. Default: half the context.
    pub stride: Option<usize>,
    /// Maximum number of tokens to write. Default: 100, for answers 30.
    pub max_tokens: Option<usize>,
    /// Write by choosing among the `top_k` most probable tokens; 1 is greedy. Default: 2 for summaries, else 1.
    pub top_k: Option<usize>,
    /// Rows that become examples in the prompt of translate and answer. Default: 5.
    pub examples: Option<usize>,
    /// Seed of the choices.
    pub seed: u64,
    /// Ids that end what is written. Default: the tokenizer's end-of-text.
    pub ends: Vec<u32>,
}

/// Called with the number of rows done and, if it is known, of all rows; for perplexity of tokens.
pub type EvalProgress<'p> = dyn FnMut(u64, Option<u64>) + 'p;

/// A metric of the evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EvalMetric {
    /// Its name; the task's module defines it.
    pub name: String,
    /// Accuracies, F1 and ROUGE from 0 to 1, BLEU from 0 to 100.
    pub value: f64,
    /// Rows, tokens, words or bytes that it is a mean over.
    pub n: u64,
}

impl EvalMetric {
    fn new(name: impl Into<String>, value: f64, n: u64) -> EvalMetric {
        EvalMetric { name: name.into(), value, n }
    }
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EvalReport {
    /// The task.
    pub task: EvalTask,
    /// Its metrics.
    pub metrics: Vec<EvalMetric>,
    /// Sequences that the model was given; a question of four choices is four. The windows of perplexity do not count.
    pub sequences: u64,
    /// Those of them that were longer than the context: they lost their beginning, articles to be summarised their end.
    pub truncated: u64,
}

/// An evaluation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The data cannot be opened.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The data are damaged.
    #[error("cannot read {}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Where, and why.
        #[source]
        source: texts::Error,
    },
    /// A line or row is not what the task expects.
    #[error("{}, line {line}: {what}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line or row, from 1.
        line: u64,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// There is no row.
    #[error("{} holds nothing to evaluate on", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// The model lacks some of the tokenizer's ids.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// Sequences begin after end-of-text.
    #[error("the tokenizer has no {}, after which sequences begin", bpe::END_OF_TEXT)]
    NoEndOfText,
    /// The window would skip tokens, or never move.
    #[error("the stride is {stride}; it must be from 1 to the model's context of {context}")]
    Stride {
        /// The given stride.
        stride: usize,
        /// The model's context.
        context: usize,
    },
    /// No room is left for a prompt.
    #[error("{max_tokens} tokens to write leave no room for a prompt in the model's context of {context}")]
    NoRoomForPrompt {
        /// Tokens to write.
        max_tokens: usize,
        /// The model's context.
        context: usize,
    },
}

impl EvalError {
    fn row(path: &Path, line: u64, what: String) -> EvalError {
        EvalError::Row { path: path.to_path_buf(), line, what }
    }

    fn io(path: &Path, source: io::Error) -> EvalError {
        EvalError::Io { path: path.to_path_buf(), source }
    }
}

/// Evaluates a model on a task, with the data in `path`.
///
/// The result depends on model, data and options alone. Time: forward passes over all texts. Memory: the data, and the
/// activations of about 2,048 tokens.
///
/// # Errors
/// Data that cannot be read or are not of the task's form; a tokenizer or options that do not fit the model.
pub fn evaluate(
    model: &Model,
    tokenizer: &Tokenizer,
    task: EvalTask,
    path: &Path,
    options: &EvalOptions,
    progress: &mut EvalProgress<'_>,
) -> Result<EvalReport, EvalError> {
    let mut scorer = Scorer::new(model, tokenizer)?;
    let metrics = run(&mut scorer, task, path, options, progress)?;
    Ok(EvalReport { task, metrics, sequences: scorer.sequences, truncated: scorer.truncated })
}

fn run(
    scorer: &mut Scorer<'_>,
    task: EvalTask,
    path: &Path,
    options: &EvalOptions,
    progress: &mut EvalProgress<'_>,
) -> Result<Vec<EvalMetric>, EvalError> {
    match task {
        EvalTask::Perplexity => perplexity::evaluate(scorer, path, options, progress),
        EvalTask::Lambada => lambada::evaluate(scorer, path, options, progress),
        EvalTask::Winograd => winograd::evaluate(scorer, path, options, &[Scoring::Partial, Scoring::Full], progress),
        EvalTask::Winogrande => winograd::evaluate(scorer, path, options, &[Scoring::Partial], progress),
        EvalTask::Hellaswag => {
            let stories = choices::read_stories(path, options.limit)?;
            Ok(choices::evaluate(scorer, &stories, "", progress))
        }
        EvalTask::Piqa => {
            let questions: Vec<Question> = read_rows(path, options.limit)?;
            Ok(choices::evaluate(scorer, &questions, choices::PIQA_PROMPT, progress))
        }
        EvalTask::Copa => {
            let questions: Vec<Question> = read_rows(path, options.limit)?;
            Ok(choices::evaluate(scorer, &questions, "", progress))
        }
        EvalTask::Blimp => blimp::evaluate(scorer, path, options, progress),
        EvalTask::Summarise => generation::summarise(scorer, path, options, progress),
        EvalTask::Translate => generation::translate(scorer, path, options, progress),
        EvalTask::Answer => generation::answer(scorer, path, options, progress),
    }
}
