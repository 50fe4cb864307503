//! Zero-shot evaluation: what a model can do without having been trained for it (GPT-2 paper, section 3).
//!
//! Each task is a file of data and a way to ask, in a module of its own that says exactly what is asked and counted:
//! a figure without its protocol compares with nothing. [`evaluate`] runs one.
//!
//! Left out: the data themselves, the paper's de-tokenizers (texts are judged as they are), and accuracies' errors
//! (of `n` rows with accuracy p about √(p·(1−p)/n)).

mod blimp;
mod choices;
mod generation;
mod lambada;
pub mod metrics;
mod passages;
mod perplexity;
mod rows;
mod winograd;

use std::path::{Path, PathBuf};

use bpe::Tokenizer;
use serde::Serialize;

use crate::model::Model;
use choices::Question;
use passages::Judge;
use rows::read_rows;
use winograd::Scoring;

/// Rows that are judged between two reports of progress, and whose passages go through the model together.
const ROWS_AT_A_TIME: usize = 64;

/// What a model is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Predict the tokens of a text.
    Perplexity,
    /// Say the last word of a passage.
    Lambada,
    /// Find what a pronoun stands for, by partial and by full scoring.
    Winograd,
    /// The same on WinoGrande, by partial scoring.
    Winogrande,
    /// Choose how a story goes on.
    Hellaswag,
    /// Choose how something is done.
    Piqa,
    /// Choose a cause or an effect.
    Copa,
    /// Tell grammatical sentences from others.
    Blimp,
    /// Write a summary.
    Summarise,
    /// Translate.
    Translate,
    /// Answer questions.
    Answer,
}

impl Task {
    /// All of them.
    pub const ALL: [Task; 11] = [
        Task::Perplexity,
        Task::Lambada,
        Task::Winograd,
        Task::Winogrande,
        Task::Hellaswag,
        Task::Piqa,
        Task::Copa,
        Task::Blimp,
        Task::Summarise,
        Task::Translate,
        Task::Answer,
    ];

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Task::Perplexity => "perplexity",
            Task::Lambada => "lambada",
            Task::Winograd => "winograd",
            Task::Winogrande => "winogrande",
            Task::Hellaswag => "hellaswag",
            Task::Piqa => "piqa",
            Task::Copa => "copa",
            Task::Blimp => "blimp",
            Task::Summarise => "summarise",
            Task::Translate => "translate",
            Task::Answer => "answer",
        }
    }

    /// The task of a name.
    ///
    /// ```
    /// use gpt2::evaluate::Task;
    /// assert_eq!(Task::of_name("copa"), Some(Task::Copa));
    /// ```
    pub fn of_name(name: &str) -> Option<Task> {
        Task::ALL.into_iter().find(|task| task.name() == name)
    }
}

/// Settings of an evaluation. By default all data are used, and each task's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Only the first rows; for perplexity the first tokens, for BLiMP the first pairs of each file. Examples do not
    /// count.
    pub limit: Option<u64>,
    /// Tokens by which perplexity's window moves on, 1 to the context. Default: half the context.
    pub stride: Option<usize>,
    /// Most tokens that are written. Default: 100, for answers 30.
    pub tokens: Option<usize>,
    /// Write by choosing among so many of the likeliest tokens; 1 takes the likeliest. Default: 2 for summaries, else 1.
    pub top_k: Option<usize>,
    /// Rows that become examples in the prompt of translate and answer. Default: 5.
    pub examples: Option<usize>,
    /// Seed of the choices.
    pub seed: u64,
}

/// Is told what is done, and how much there is if that is known: rows, for perplexity tokens.
pub type Progress<'p> = dyn FnMut(u64, Option<u64>) + 'p;

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// What it is, as the task's module defines it.
    pub name: String,
    /// Accuracies, F1 and ROUGE from 0 to 1, BLEU from 0 to 100.
    pub value: f64,
    /// Rows, or tokens, words or bytes, that it is a mean over.
    pub n: u64,
}

impl Metric {
    fn new(name: impl Into<String>, value: f64, n: u64) -> Metric {
        Metric { name: name.into(), value, n }
    }
}

/// What came out of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The task.
    pub task: Task,
    /// Its figures.
    pub metrics: Vec<Metric>,
    /// Texts that the model was asked about; a question of four choices is four. Windows of perplexity do not count.
    pub passages: u64,
    /// Those that were longer than the context, and were cut: they lost their beginning, articles to be summarised
    /// their end.
    pub cut: u64,
}

/// An evaluation could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The data could not be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A text could not be read.
    #[error(transparent)]
    Text(#[from] bpe::input::InputError),
    /// A line is not what the task expects there.
    #[error("{}, line {line}: {what}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// Nothing to evaluate on.
    #[error("{} holds nothing to evaluate on", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// The model lacks some of the tokenizer's ids.
    #[error("the tokenizer has {tokens} tokens, the model only {vocab_size}")]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Ids of the model.
        vocab_size: usize,
    },
    /// Texts stand behind end-of-text.
    #[error("the tokenizer has no {}, behind which texts begin", bpe::END_OF_TEXT)]
    NoEndOfText,
    /// The window would skip tokens, or never move.
    #[error("a stride of {stride} is not between 1 and the model's context of {context}")]
    Stride {
        /// What was asked for.
        stride: usize,
        /// The model's context.
        context: usize,
    },
    /// No room is left for a prompt.
    #[error("{tokens} tokens to write leave no room for a prompt in the model's context of {context}")]
    Tokens {
        /// What was asked for.
        tokens: usize,
        /// The model's context.
        context: usize,
    },
}

impl EvaluateError {
    fn row(path: &Path, line: usize, what: String) -> EvaluateError {
        EvaluateError::Row { path: path.to_path_buf(), line, what }
    }
}

/// Asks a model to do a task on the data in `path`.
///
/// The result depends on model, data and options alone. Time is that of forward passes over all texts; memory that of
/// the data and of some 2,048 tokens in the model.
///
/// # Errors
/// [`EvaluateError`]: data that cannot be read or are not of the task's form, and options that do not fit the model.
pub fn evaluate(
    model: &Model,
    tokenizer: &Tokenizer,
    task: Task,
    path: &Path,
    options: &EvaluateOptions,
    progress: &mut Progress<'_>,
) -> Result<Report, EvaluateError> {
    let mut judge = Judge::new(model, tokenizer)?;
    let metrics = run(&mut judge, task, path, options, progress)?;
    Ok(Report { task, metrics, passages: judge.passages, cut: judge.cut })
}

fn run(
    judge: &mut Judge<'_>,
    task: Task,
    path: &Path,
    options: &EvaluateOptions,
    progress: &mut Progress<'_>,
) -> Result<Vec<Metric>, EvaluateError> {
    match task {
        Task::Perplexity => perplexity::evaluate(judge, path, options, progress),
        Task::Lambada => lambada::evaluate(judge, path, options, progress),
        Task::Winograd => winograd::evaluate(judge, path, options, &[Scoring::Partial, Scoring::Full], progress),
        Task::Winogrande => winograd::evaluate(judge, path, options, &[Scoring::Partial], progress),
        Task::Hellaswag => {
            let stories = choices::read_stories(path, options.limit)?;
            Ok(choices::evaluate(judge, &stories, "", progress))
        }
        Task::Piqa => {
            let questions: Vec<Question> = read_rows(path, options.limit)?;
            Ok(choices::evaluate(judge, &questions, choices::PIQA_PROMPT, progress))
        }
        Task::Copa => {
            let questions: Vec<Question> = read_rows(path, options.limit)?;
            Ok(choices::evaluate(judge, &questions, "", progress))
        }
        Task::Blimp => blimp::evaluate(judge, path, options, progress),
        Task::Summarise => generation::summarise(judge, path, options, progress),
        Task::Translate => generation::translate(judge, path, options, progress),
        Task::Answer => generation::answer(judge, path, options, progress),
    }
}
