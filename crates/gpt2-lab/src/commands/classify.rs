//! `gpt2 classify`: the predictions of a fine-tuned model, one line of JSON per input.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use console::count;
use serde_json::json;

use crate::check_vocabulary;
use crate::commands::finetune::metrics_line;
use crate::commands::{TokenizerSource, load_tokenizer};
use crate::finetune::{ClassificationMetrics, Classifier, ExampleTexts};

/// Inputs that are classified before their predictions are written.
const INPUTS_AT_ONCE: usize = 256;

/// Texts that a message names at most.
const MAX_SHOWN: usize = 8;

/// Classify texts with a fine-tuned model. Prints one line of JSON per text.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder that `gpt2 finetune` wrote.
    model: PathBuf,
    /// File, or - for standard input: one text per line; for mrpc and rte two with a tab between them; for choice {"query": …, "choices": […]}.
    input: PathBuf,
    /// The input has labels, in the format of the task's own files. Adds "gold" to each line, and prints the metrics to
    /// standard error.
    #[arg(long)]
    labelled: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { model: folder, input, labelled } = arguments;
    let classifier = Classifier::load(folder)?;
    let tokenizer = load_tokenizer(&folder.to_string_lossy(), TokenizerSource::Folder)?;
    check_vocabulary(&tokenizer, classifier.vocab_size())?;
    let task = classifier.task();
    let input = if input == Path::new("-") { Path::new("/dev/stdin") } else { input };
    let (texts, labels): (Vec<Option<ExampleTexts>>, Vec<usize>) = if *labelled {
        task.read(input)?.into_iter().map(|example| (Some(example.texts), example.label)).unzip()
    } else {
        (task.read_unlabelled(input)?, Vec::new())
    };
    let name = |index: usize| task.labels().get(index).map_or_else(|| json!(index), |label| json!(label));
    let mut stdout = std::io::stdout().lock();
    let mut predictions = Vec::new();
    let (mut number, mut truncated) = (0u64, Vec::new());
    for texts in texts.chunks(INPUTS_AT_ONCE) {
        let given: Vec<ExampleTexts> = texts.iter().flatten().cloned().collect();
        let mut found = classifier.classify(&tokenizer, &given).into_iter();
        for text in texts {
            number += 1;
            // An answer per line: a blank one has no label.
            let Some(prediction) = text.as_ref().and_then(|_| found.next()) else {
                writeln!(stdout, "{}", json!({"label": null, "probabilities": null}))
                    .context("cannot write to standard output")?;
                continue;
            };
            truncated.extend(prediction.is_truncated.then_some(number));
            let mut line = json!({"label": name(prediction.label), "probabilities": prediction.probabilities});
            if let Some(&label) = labels.get(predictions.len()) {
                line["gold"] = name(label);
            }
            writeln!(stdout, "{line}").context("cannot write to standard output")?;
            predictions.push(prediction);
        }
    }
    if !truncated.is_empty() {
        let shown: Vec<String> = truncated.iter().take(MAX_SHOWN).map(u64::to_string).collect();
        let more = if truncated.len() > MAX_SHOWN { ", …" } else { "" };
        let cut = count(truncated.len() as u64, "text");
        tracing::warn!("{cut} longer than the context, and cut: text {}{more}", shown.join(", "));
    }
    if *labelled {
        tracing::info!("{}", metrics_line(&ClassificationMetrics::new(task, &predictions, &labels)));
    }
    Ok(())
}
