//! `gpt2 classify`: the answers of a fine-tuned model, a line of JSON for each input.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use bpe::formats;
use gpt2::{Classifier, Metrics, Texts};
use serde_json::json;

use crate::commands::check_vocabulary;
use crate::commands::finetune::figures;

/// Inputs that are classified before their answers are written.
const INPUTS_AT_ONCE: usize = 256;

/// Classify texts with a fine-tuned model: a line of JSON for each.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder that `gpt2 finetune` wrote.
    model: PathBuf,
    /// A text a line; for mrpc and rte two with a tab between them; for choice {"query": …, "choices": […]}.
    input: PathBuf,
    /// The input has labels, in the form of the task's own files; the figures go to stderr.
    #[arg(long)]
    labelled: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { model: folder, input, labelled } = arguments;
    let classifier = Classifier::load(folder)?;
    let tokenizer = formats::load(&folder.to_string_lossy())?;
    check_vocabulary(&tokenizer, classifier.vocab_size())?;
    let task = classifier.task();
    let (texts, labels): (Vec<Texts>, Vec<usize>) = if *labelled {
        task.read(input)?.into_iter().map(|example| (example.texts, example.label)).unzip()
    } else {
        (task.read_unlabelled(input)?, Vec::new())
    };
    let name = |index: usize| task.labels().get(index).map_or_else(|| json!(index), |label| json!(label));
    let mut stdout = std::io::stdout().lock();
    let mut answers = Vec::new();
    for texts in texts.chunks(INPUTS_AT_ONCE) {
        for answer in classifier.classify(&tokenizer, texts) {
            let mut line = json!({"label": name(answer.label), "probabilities": answer.probabilities});
            if let Some(&label) = labels.get(answers.len()) {
                line["gold"] = name(label);
            }
            writeln!(stdout, "{line}").context("cannot write to standard output")?;
            answers.push(answer);
        }
    }
    if *labelled {
        eprintln!("{}", figures(&Metrics::new(task, &answers, &labels)));
    }
    Ok(())
}
