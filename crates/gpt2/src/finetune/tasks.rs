//! The data sets that the GPT-1 paper fine-tunes on, read as they are published.
//!
//! A file that is not in its set's form is an error with its line: a data set is small and fixed, and a
//! dropped example would change the figures. Left out: the hidden test sets of GLUE's server.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::finetune::examples::{DataSetError, Example, Fault, Texts, line_at};
use crate::finetune::rte;

/// A data set: the form of its files, the arrangement of its texts, its labels and its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Corpus of Linguistic Acceptability: is a sentence grammatical? Matthews correlation.
    ///
    /// Tab-separated: source, label, the linguists' mark, sentence.
    Cola,
    /// Stanford Sentiment Treebank, two classes: is a phrase of a film review positive? Accuracy.
    ///
    /// Label, space, phrase.
    Sst2,
    /// Microsoft Research Paraphrase Corpus: do two sentences say the same? F1 and accuracy.
    ///
    /// Tab-separated under one line of titles: label, two ids, two sentences.
    Mrpc,
    /// Recognising Textual Entailment 1 to 3: does a text entail a hypothesis? Accuracy.
    ///
    /// XML: `<pair value="TRUE">` or `<pair entailment="YES">` with `<t>` and `<h>`.
    Rte,
    /// Which of several continuations fits? Accuracy. COPA and PIQA have this form.
    ///
    /// JSON Lines: `{"query": …, "choices": […], "gold": index}`.
    Choice,
}

impl Task {
    /// What the head's outputs mean; a multiple choice has none, its outputs are the choices.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Task::Cola => &["unacceptable", "acceptable"],
            Task::Sst2 => &["negative", "positive"],
            Task::Mrpc => &["different", "paraphrase"],
            Task::Rte => &["no", "yes"],
            Task::Choice => &[],
        }
    }

    /// Reads a labelled file of this data set.
    ///
    /// # Errors
    /// An unreadable file, one without an example, or the first line that is not in the form of the set.
    pub fn read(self, path: &Path) -> Result<Vec<Example>, DataSetError> {
        read(path, |text| match self {
            Task::Cola => each_line(text, 0, cola),
            Task::Sst2 => each_line(text, 0, sst2),
            Task::Mrpc => each_line(text, 1, mrpc),
            Task::Rte => rte::parse(text),
            Task::Choice => each_line(text, 0, choice),
        })
    }

    /// Reads texts without labels, one a line: the text itself; for MRPC and RTE two texts with a tab between
    /// them; for a multiple choice `{"query": …, "choices": […]}`.
    ///
    /// # Errors
    /// As [`Task::read`].
    pub fn read_unlabelled(self, path: &Path) -> Result<Vec<Texts>, DataSetError> {
        read(path, |text| each_line(text, 0, |line| self.unlabelled(line)))
    }

    fn unlabelled(self, line: &str) -> Result<Texts, String> {
        let pair = || line.split_once('\t').ok_or("no tab between two texts");
        match self {
            Task::Cola | Task::Sst2 => Ok(Texts::Classification(line.to_owned())),
            Task::Mrpc => pair().map(|(a, b)| Texts::Similarity(a.into(), b.into())).map_err(Into::into),
            Task::Rte => {
                let (premise, hypothesis) = pair()?;
                Ok(Texts::Entailment { premise: premise.into(), hypothesis: hypothesis.into() })
            }
            Task::Choice => {
                let ChoiceLine { query, choices, .. } = ChoiceLine::parse(line)?;
                Ok(Texts::MultipleChoice { query, choices })
            }
        }
    }
}

/// Reads a file as UTF-8, with or without a byte-order mark, and gives a fault its place.
fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Result<Vec<T>, Fault>) -> Result<Vec<T>, DataSetError> {
    let path = path.to_path_buf();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(DataSetError::Io { path, source }),
    };
    let parsed = match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => Err((line_at(&bytes, error.valid_up_to()), "it is not UTF-8".to_owned())),
    };
    match parsed {
        Ok(examples) if examples.is_empty() => Err(DataSetError::Empty { path }),
        Ok(examples) => Ok(examples),
        Err((line, what)) => Err(DataSetError::Malformed { path, line, what }),
    }
}

/// Parses each line that is not blank, after `titles` lines of titles.
fn each_line<T>(text: &str, titles: usize, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Fault> {
    let lines = text.lines().enumerate().skip(titles).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| parse(line).map_err(|what| (index + 1, what))).collect()
}

fn cola(line: &str) -> Result<Example, String> {
    let [_source, label, _mark, sentence] = fields(line)?;
    Ok(Example { texts: Texts::Classification(sentence.into()), label: binary(label)? })
}

fn sst2(line: &str) -> Result<Example, String> {
    let (label, phrase) = line.split_once(' ').ok_or("no space after the label")?;
    Ok(Example { texts: Texts::Classification(phrase.into()), label: binary(label)? })
}

fn mrpc(line: &str) -> Result<Example, String> {
    let [label, _first_id, _second_id, first, second] = fields(line)?;
    Ok(Example { texts: Texts::Similarity(first.into(), second.into()), label: binary(label)? })
}

/// A line of a multiple choice.
#[derive(Deserialize)]
struct ChoiceLine {
    query: String,
    choices: Vec<String>,
    gold: Option<usize>,
}

impl ChoiceLine {
    fn parse(line: &str) -> Result<ChoiceLine, String> {
        let parsed: ChoiceLine = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if parsed.choices.len() < 2 {
            return Err(format!("{} choices, not at least 2", parsed.choices.len()));
        }
        Ok(parsed)
    }
}

fn choice(line: &str) -> Result<Example, String> {
    let ChoiceLine { query, choices, gold } = ChoiceLine::parse(line)?;
    let label = gold.ok_or("no index gold")?;
    if label >= choices.len() {
        return Err(format!("gold is {label}, but there are {} choices, from 0", choices.len()));
    }
    Ok(Example { texts: Texts::MultipleChoice { query, choices }, label })
}

/// Exactly `N` fields with a tab between them.
fn fields<const N: usize>(line: &str) -> Result<[&str; N], String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let found = fields.len();
    fields.try_into().map_err(|_| format!("{found} tab-separated fields, not {N}"))
}

fn binary(label: &str) -> Result<usize, String> {
    match label {
        "0" => Ok(0),
        "1" => Ok(1),
        _ => Err(format!("the label is {label:?}, not 0 or 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts' debug form and the label of each example, or the message of the error.
    fn check(task: Task, content: &[u8], expected: Result<&[(Texts, usize)], &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set");
        fs::write(&path, content).unwrap();
        match (task.read(&path), expected) {
            (Ok(examples), Ok(expected)) => {
                let examples: Vec<_> = examples.into_iter().map(|example| (example.texts, example.label)).collect();
                assert_eq!(examples, expected);
            }
            (Err(error), Err(expected)) => {
                let message = error.to_string().replace(&path.display().to_string(), "set");
                assert_eq!(message, expected);
            }
            (found, expected) => panic!("{found:?} for {expected:?}"),
        }
    }

    #[test]
    fn each_set_is_read_in_its_own_form() {
        let one = |text: &str| Texts::Classification(text.into());
        check(Task::Cola, b"gj04\t1\t\tYes.\ncj99\t0\t*\tNo the.\n", Ok(&[(one("Yes."), 1), (one("No the."), 0)]));
        check(Task::Sst2, b"1 a good film\n\n0 bad\r\n", Ok(&[(one("a good film"), 1), (one("bad"), 0)]));
        let mrpc = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe \"said\" it.\tIt was said.\n";
        check(
            Task::Mrpc,
            mrpc.as_bytes(),
            Ok(&[(Texts::Similarity("He \"said\" it.".into(), "It was said.".into()), 1)]),
        );
        let choices = Texts::MultipleChoice { query: "Q".into(), choices: vec!["a".into(), "b".into()] };
        check(Task::Choice, br#"{"query":"Q","choices":["a","b"],"gold":1}"#, Ok(&[(choices, 1)]));
        let pair = Texts::Entailment { premise: "A & B".into(), hypothesis: "B".into() };
        let xml = br#"<c><pair id="1" value="TRUE" task="x"><t>A &amp; B</t> <h>B</h></pair></c>"#;
        check(Task::Rte, xml, Ok(&[(pair, 1)]));
    }

    #[test]
    fn faults_have_a_line() {
        check(Task::Cola, b"a\t1\t\tx\nb\t1\tx\n", Err("set, line 2: 3 tab-separated fields, not 4"));
        check(Task::Cola, b"a\t2\t\tx\n", Err("set, line 1: the label is \"2\", not 0 or 1"));
        check(Task::Sst2, b"1\n", Err("set, line 1: no space after the label"));
        check(Task::Sst2, b"1 a\n1 b\n0 \xff\n", Err("set, line 3: it is not UTF-8"));
        check(Task::Mrpc, b"titles\n", Err("set holds no example"));
        check(Task::Choice, br#"{"query":"","choices":["a"],"gold":0}"#, Err("set, line 1: 1 choices, not at least 2"));
        let late = br#"{"query":"","choices":["a","b"],"gold":2}"#;
        check(Task::Choice, late, Err("set, line 1: gold is 2, but there are 2 choices, from 0"));
        check(Task::Choice, br#"{"query":"","choices":["a","b"]}"#, Err("set, line 1: no index gold"));
    }

    #[test]
    fn the_published_files_are_read_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/evals");
        if !folder.is_dir() {
            eprintln!("skipped: {} is absent", folder.display());
            return;
        }
        let sets = [
            (Task::Cola, "finetune/cola_train.tsv", 8551, 6023),
            (Task::Cola, "finetune/cola_dev.tsv", 527, 367),
            (Task::Sst2, "finetune/sst2_train.txt", 6920, 3610),
            (Task::Sst2, "finetune/sst2_dev.txt", 872, 444),
            (Task::Mrpc, "finetune/mrpc_train.tsv", 4076, 2753),
            (Task::Mrpc, "finetune/mrpc_test.tsv", 1725, 1147),
            (Task::Rte, "finetune/rte/rte1_dev.xml", 567, 283),
            (Task::Rte, "finetune/rte/rte1_test.xml", 800, 400),
            (Task::Rte, "finetune/rte/rte2_dev.xml", 400, 210),
            (Task::Rte, "finetune/rte/rte2_test.xml", 800, 400),
            (Task::Rte, "finetune/rte/rte3_dev.xml", 800, 412),
            (Task::Rte, "finetune/rte/rte3_test.xml", 800, 410),
            (Task::Choice, "copa.jsonl", 100, 45),
            (Task::Choice, "piqa.jsonl", 1838, 928),
        ];
        for (task, name, examples, ones) in sets {
            let read = task.read(&folder.join(name)).unwrap();
            let found = (read.len(), read.iter().filter(|example| example.label == 1).count());
            assert_eq!(found, (examples, ones), "{name}");
        }
    }
}
