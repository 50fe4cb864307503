//! The data sets that the GPT-1 paper fine-tunes on, read as they are published.
//!
//! A line that is not in its set's format is an error with its number: a data set is small and fixed, and a dropped
//! example would change the metrics. Left out: the hidden test sets of GLUE's server.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::finetune::examples::{DataSetError, ExampleTexts, LabelledExample, LineFault, line_at};
use crate::finetune::rte;

/// A data set: the format of its files, the arrangement of its texts, its labels and its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FineTuneTask {
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

impl FineTuneTask {
    /// Names of the head's outputs; a multiple choice has none: its outputs are the choices.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            FineTuneTask::Cola => &["unacceptable", "acceptable"],
            FineTuneTask::Sst2 => &["negative", "positive"],
            FineTuneTask::Mrpc => &["different", "paraphrase"],
            FineTuneTask::Rte => &["no", "yes"],
            FineTuneTask::Choice => &[],
        }
    }

    /// Reads a labelled file of this data set.
    ///
    /// # Errors
    /// An unreadable file, one without an example, or the first line that is not in the set's format.
    pub fn read(self, path: &Path) -> Result<Vec<LabelledExample>, DataSetError> {
        read(path, |text| match self {
            FineTuneTask::Cola => each_line(text, 0, cola),
            FineTuneTask::Sst2 => each_line(text, 0, sst2),
            // A file without its line of titles begins with a label.
            FineTuneTask::Mrpc => {
                each_line(text, usize::from(!["0\t", "1\t"].iter().any(|label| text.starts_with(label))), mrpc)
            }
            FineTuneTask::Rte => rte::parse(text),
            FineTuneTask::Choice => each_line(text, 0, choice),
        })
    }

    /// Reads texts without labels, one per line: the text itself; for MRPC and RTE two texts with a tab between them;
    /// for a multiple choice `{"query": …, "choices": […]}`. A blank line has no texts.
    ///
    /// # Errors
    /// As [`FineTuneTask::read`].
    pub fn read_unlabelled(self, path: &Path) -> Result<Vec<Option<ExampleTexts>>, DataSetError> {
        let parse = |(index, line): (usize, &str)| match line.trim() {
            "" => Ok(None),
            _ => self.unlabelled(line).map(Some).map_err(|what| (index + 1, what)),
        };
        read(path, |text| text.lines().enumerate().map(parse).collect())
    }

    fn unlabelled(self, line: &str) -> Result<ExampleTexts, String> {
        let pair = || line.split_once('\t').ok_or("there must be two texts with a tab between them");
        match self {
            FineTuneTask::Cola | FineTuneTask::Sst2 => Ok(ExampleTexts::Classification(line.to_owned())),
            FineTuneTask::Mrpc => pair().map(|(a, b)| ExampleTexts::Similarity(a.into(), b.into())).map_err(Into::into),
            FineTuneTask::Rte => {
                let (premise, hypothesis) = pair()?;
                Ok(ExampleTexts::Entailment { premise: premise.into(), hypothesis: hypothesis.into() })
            }
            FineTuneTask::Choice => {
                let ChoiceLine { query, choices, .. } = ChoiceLine::parse(line)?;
                Ok(ExampleTexts::MultipleChoice { query, choices })
            }
        }
    }
}

/// Reads a file as UTF-8, compressed or not, with or without a byte order mark, and gives a fault its line.
fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Result<Vec<T>, LineFault>) -> Result<Vec<T>, DataSetError> {
    let path = path.to_path_buf();
    let mut bytes = Vec::new();
    let plain = File::open(&path).and_then(texts::decompress);
    if let Err(source) = plain.and_then(|mut plain| plain.read_to_end(&mut bytes)) {
        return Err(DataSetError::Io { path, source });
    }
    let parsed = match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text),
        Err(error) => Err((line_at(&bytes, error.valid_up_to()), "it is not UTF-8".to_owned())),
    };
    match parsed {
        Ok(examples) if examples.is_empty() => Err(DataSetError::Empty { path }),
        Ok(examples) => Ok(examples),
        Err((line, what)) => Err(DataSetError::Malformed { path, line, what }),
    }
}

/// Parses each line that is not blank, after `titles` lines of titles.
fn each_line<T>(text: &str, titles: usize, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, LineFault> {
    let lines = text.lines().enumerate().skip(titles).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| parse(line).map_err(|what| (index + 1, what))).collect()
}

fn cola(line: &str) -> Result<LabelledExample, String> {
    let [_source, label, _mark, sentence] = fields(line)?;
    Ok(LabelledExample { texts: ExampleTexts::Classification(sentence.into()), label: binary(label)? })
}

fn sst2(line: &str) -> Result<LabelledExample, String> {
    let (label, phrase) = line.split_once(' ').ok_or("there must be a label, a space and a phrase")?;
    Ok(LabelledExample { texts: ExampleTexts::Classification(phrase.into()), label: binary(label)? })
}

fn mrpc(line: &str) -> Result<LabelledExample, String> {
    let [label, _first_id, _second_id, first, second] = fields(line)?;
    Ok(LabelledExample { texts: ExampleTexts::Similarity(first.into(), second.into()), label: binary(label)? })
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
            return Err(format!("there must be at least 2 choices, not {}", parsed.choices.len()));
        }
        Ok(parsed)
    }
}

fn choice(line: &str) -> Result<LabelledExample, String> {
    let ChoiceLine { query, choices, gold } = ChoiceLine::parse(line)?;
    let label = gold.ok_or("the field gold is missing")?;
    if label >= choices.len() {
        return Err(format!("gold is {label}, but it must be below the number of choices, {}", choices.len()));
    }
    Ok(LabelledExample { texts: ExampleTexts::MultipleChoice { query, choices }, label })
}

/// Exactly `N` fields with a tab between them.
fn fields<const N: usize>(line: &str) -> Result<[&str; N], String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let found = fields.len();
    fields.try_into().map_err(|_| format!("there must be {N} tab-separated fields, not {found}"))
}

fn binary(label: &str) -> Result<usize, String> {
    match label {
        "0" => Ok(0),
        "1" => Ok(1),
        _ => Err(format!("the label must be 0 or 1, not {label:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts' debug form and the label of each example, or the message of the error.
    fn check(task: FineTuneTask, content: &[u8], expected: Result<&[(ExampleTexts, usize)], &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set");
        std::fs::write(&path, content).unwrap();
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
        let one = |text: &str| ExampleTexts::Classification(text.into());
        check(
            FineTuneTask::Cola,
            b"gj04\t1\t\tYes.\ncj99\t0\t*\tNo the.\n",
            Ok(&[(one("Yes."), 1), (one("No the."), 0)]),
        );
        check(FineTuneTask::Sst2, b"1 a good film\n\n0 bad\r\n", Ok(&[(one("a good film"), 1), (one("bad"), 0)]));
        let mrpc = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe \"said\" it.\tIt was said.\n";
        check(
            FineTuneTask::Mrpc,
            mrpc.as_bytes(),
            Ok(&[(ExampleTexts::Similarity("He \"said\" it.".into(), "It was said.".into()), 1)]),
        );
        let untitled = ExampleTexts::Similarity("One.".into(), "Two.".into());
        check(FineTuneTask::Mrpc, b"0\t7\t8\tOne.\tTwo.\n", Ok(&[(untitled, 0)]));
        let choices = ExampleTexts::MultipleChoice { query: "Q".into(), choices: vec!["a".into(), "b".into()] };
        check(FineTuneTask::Choice, br#"{"query":"Q","choices":["a","b"],"gold":1}"#, Ok(&[(choices, 1)]));
        let pair = ExampleTexts::Entailment { premise: "A & B".into(), hypothesis: "B".into() };
        let xml = br#"<c><pair id="1" value="TRUE" task="x"><t>A &amp; B</t> <h>B</h></pair></c>"#;
        check(FineTuneTask::Rte, xml, Ok(&[(pair, 1)]));
    }

    #[test]
    fn faults_have_a_line() {
        check(
            FineTuneTask::Cola,
            b"a\t1\t\tx\nb\t1\tx\n",
            Err("set, line 2: there must be 4 tab-separated fields, not 3"),
        );
        check(FineTuneTask::Cola, b"a\t2\t\tx\n", Err("set, line 1: the label must be 0 or 1, not \"2\""));
        check(FineTuneTask::Sst2, b"1\n", Err("set, line 1: there must be a label, a space and a phrase"));
        check(FineTuneTask::Sst2, b"1 a\n1 b\n0 \xff\n", Err("set, line 3: it is not UTF-8"));
        check(FineTuneTask::Mrpc, b"titles\n", Err("set holds no example"));
        check(
            FineTuneTask::Choice,
            br#"{"query":"","choices":["a"],"gold":0}"#,
            Err("set, line 1: there must be at least 2 choices, not 1"),
        );
        let late = br#"{"query":"","choices":["a","b"],"gold":2}"#;
        check(FineTuneTask::Choice, late, Err("set, line 1: gold is 2, but it must be below the number of choices, 2"));
        check(
            FineTuneTask::Choice,
            br#"{"query":"","choices":["a","b"]}"#,
            Err("set, line 1: the field gold is missing"),
        );
    }

    #[test]
    fn the_published_files_are_read_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/evals");
        if !folder.is_dir() {
            eprintln!("skipped: {} is absent", folder.display());
            return;
        }
        let sets = [
            (FineTuneTask::Cola, "finetune/cola_train.tsv", 8551, 6023),
            (FineTuneTask::Cola, "finetune/cola_dev.tsv", 527, 367),
            (FineTuneTask::Sst2, "finetune/sst2_train.txt", 6920, 3610),
            (FineTuneTask::Sst2, "finetune/sst2_dev.txt", 872, 444),
            (FineTuneTask::Mrpc, "finetune/mrpc_train.tsv", 4076, 2753),
            (FineTuneTask::Mrpc, "finetune/mrpc_test.tsv", 1725, 1147),
            (FineTuneTask::Rte, "finetune/rte/rte1_dev.xml", 567, 283),
            (FineTuneTask::Rte, "finetune/rte/rte1_test.xml", 800, 400),
            (FineTuneTask::Rte, "finetune/rte/rte2_dev.xml", 400, 210),
            (FineTuneTask::Rte, "finetune/rte/rte2_test.xml", 800, 400),
            (FineTuneTask::Rte, "finetune/rte/rte3_dev.xml", 800, 412),
            (FineTuneTask::Rte, "finetune/rte/rte3_test.xml", 800, 410),
            (FineTuneTask::Choice, "copa.jsonl", 100, 45),
            (FineTuneTask::Choice, "piqa.jsonl", 1838, 928),
        ];
        for (task, name, examples, ones) in sets {
            let read = task.read(&folder.join(name)).unwrap();
            let found = (read.len(), read.iter().filter(|example| example.label == 1).count());
            assert_eq!(found, (examples, ones), "{name}");
        }
    }
}
