//! Examples of a labelled data set, and what can be wrong with its files.

use std::path::PathBuf;

use gpt2::random::{Stream, uniform};

/// The stream that chooses the held-out examples.
const HELD_OUT: Stream = Stream::new(22);

/// An example: its texts and, for training and evaluation, its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledExample {
    /// What the model reads.
    pub texts: ExampleTexts,
    /// Index in [`FineTuneTask::labels`](super::FineTuneTask::labels), or of the right choice.
    pub label: usize,
}

/// The texts of an example, by the arrangement that the paper has for them (its Figure 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExampleTexts {
    /// `start text extract`
    Classification(String),
    /// `start premise delimiter hypothesis extract`
    Entailment {
        /// What is given.
        premise: String,
        /// What may follow from it.
        hypothesis: String,
    },
    /// Both orders, `start a delimiter b extract` and `start b delimiter a extract`, pooled and added: neither
    /// of the two texts comes first.
    Similarity(String, String),
    /// `start query delimiter choice extract` for each choice.
    MultipleChoice {
        /// What all choices follow.
        query: String,
        /// At least two.
        choices: Vec<String>,
    },
}

/// A data set could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataSetError {
    /// The system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A line is not in the data set's format.
    #[error("{}, line {line}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// There is no example.
    #[error("{} holds no example", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// The number of a line, from 1, and what is wrong with it.
pub(crate) type LineFault = (usize, String);

/// The line, from 1, of a byte.
pub(crate) fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes[..offset].iter().filter(|&&byte| byte == b'\n').count()
}

/// Splits a set that has no part for evaluation: the examples to train on, and about this share to evaluate on. Which
/// they are depends on their index alone.
pub fn hold_out(examples: Vec<LabelledExample>, share: f64) -> [Vec<LabelledExample>; 2] {
    // A constant seed: runs with several seeds are compared on the same examples.
    let is_held_out = |place: usize| uniform(0, HELD_OUT, place as u64) < share;
    let (held_out, train): (Vec<_>, Vec<_>) =
        examples.into_iter().enumerate().partition(|(place, _)| is_held_out(*place));
    [train, held_out].map(|examples| examples.into_iter().map(|(_, example)| example).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_held_out() {
        let example = |label| LabelledExample { texts: ExampleTexts::Classification(String::new()), label };
        let [train, held_out] = hold_out((0..1000).map(example).collect(), 0.1);
        assert_eq!(train.len() + held_out.len(), 1000);
        assert!((70..130).contains(&held_out.len()), "{}", held_out.len());
        let [all, none] = hold_out(train.clone(), 0.0);
        assert_eq!((all, none), (train, vec![]));
    }
}
