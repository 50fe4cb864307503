//! `gpt2 finetune`: makes a classifier from a trained model and a labelled data set, as in the GPT-1 paper.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use bpe::Tokenizer;
use console::{Progress, Unit, Usage, count};
use gpt2::{Model, TrainingLock};
use serde_json::{Value, json};

use crate::commands::output::{OF_CLASSIFIER, is_same_folder, refuse_foreign_model, refuse_other_tokenizer};
use crate::commands::{TokenizerSource, load, write_tokenizer};
use crate::finetune::{
    ClassificationMetrics, EpochRow, FineTuneConfig, FineTuneProgress, FineTuneTask, LabelledExample, Transfer,
    finetune, hold_out, mean_and_deviation,
};

/// Fine-tune a model to classify texts, as in the GPT-1 paper.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json, model.safetensors and a tokenizer.
    model: PathBuf,
    /// The data set: it decides the format of the files, the head and the metric.
    #[arg(long, value_enum)]
    task: FineTuneTask,
    /// Labelled file to train on; several are concatenated.
    #[arg(long, required = true, value_name = "FILE")]
    train: Vec<PathBuf>,
    /// Labelled file to evaluate on after each epoch; several are concatenated. [default: a part of the training files]
    #[arg(long, value_name = "FILE")]
    dev: Vec<PathBuf>,
    /// Without --dev: fraction of the training examples that is evaluated on and not trained on.
    #[arg(long, default_value_t = 0.1, conflicts_with = "dev", value_name = "FRACTION")]
    hold_out: f64,
    /// Folder for the classifier; with several seeds, for a folder of each. [default: print metrics only]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Take over the embeddings and the first N blocks only; the others get fresh weights. [default: all blocks]
    #[arg(long, value_name = "N", conflicts_with = "from_scratch")]
    layers: Option<usize>,
    /// Take over nothing: a model of the same shape with fresh weights.
    #[arg(long)]
    from_scratch: bool,
    /// Seeds of new weights, order and dropout. With several, mean and standard deviation are printed.
    #[arg(long, visible_alias = "seed", value_delimiter = ',', default_value = "1", value_name = "N,…")]
    seeds: Vec<u64>,
    #[command(flatten)]
    config: FineTuneConfig,
    /// Print every epoch of every seed as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (model, tokenizer) = load(&arguments.model, None, TokenizerSource::Folder)?;
    let task = arguments.task;
    let _locks = arguments.lock_folders(&tokenizer)?;
    let [train, dev] = arguments.examples()?;
    let mut runs = Vec::new();
    for &seed in &arguments.seeds {
        let settings = arguments.settings(seed);
        let epochs = tune(arguments, &model, &tokenizer, [&train, &dev], &settings)?;
        let last = epochs.last().context("there is at least one epoch")?.dev;
        if !arguments.json {
            console::out!("seed {seed}: {}", metrics_line(&last))?;
        }
        runs.push((last.headline(task), json!({"settings": settings, "epochs": epochs})));
    }
    let metric = runs.first().context("there is at least one seed")?.0.0;
    let (mean, deviation) = mean_and_deviation(&runs.iter().map(|run| run.0.1).collect::<Vec<_>>());
    if arguments.json {
        let headline = json!({"metric": metric, "mean": mean, "deviation": deviation});
        let examples = json!({"train": train.len(), "dev": dev.len()});
        let runs: Vec<Value> = runs.into_iter().map(|(_, run)| run).collect();
        console::out!("{}", json!({"task": task, "examples": examples, "headline": headline, "runs": runs}))?;
    } else if runs.len() > 1 {
        console::out!("{metric} over {} seeds: {mean:.4} ± {deviation:.4}", runs.len())?;
    }
    Ok(())
}

/// One seed's fine-tuning; writes its folder.
fn tune(
    arguments: &Arguments,
    model: &Model,
    tokenizer: &Tokenizer,
    [train, dev]: [&[LabelledExample]; 2],
    settings: &FineTuneConfig,
) -> anyhow::Result<Vec<EpochRow>> {
    let task = arguments.task;
    let mut shown = None;
    let tuned =
        finetune(model, tokenizer, task, [train, dev], settings, |progress| show(&mut shown, settings, progress))?;
    drop(shown);
    if tuned.truncated > 0 {
        tracing::warn!("{} truncated to the context", count(tuned.truncated, "sequence"));
    }
    if let Some(folder) = arguments.folder(settings.seed) {
        let summary = json!({
            "version": env!("CARGO_PKG_VERSION"), "task": task, "settings": settings, "epochs": tuned.epochs,
            "examples": {"train": train.len(), "dev": dev.len()}, "truncated": tuned.truncated,
        });
        // First, since by this file the same command knows the folder again if the rest is not written to its end.
        atomic_file::write(&folder.join("finetune.json"), format!("{summary:#}\n").as_bytes())?;
        write_tokenizer(&folder, tokenizer)?;
        tuned.classifier.save(&folder, tokenizer.end_of_text().map(|id| id.0))?;
    }
    Ok(tuned.epochs)
}

fn show(shown: &mut Option<Progress>, settings: &FineTuneConfig, progress: FineTuneProgress) {
    let FineTuneProgress { step, steps, loss, language_model_loss, epoch, .. } = progress;
    let label = || format!("seed {}", settings.seed);
    let shown = shown.get_or_insert_with(|| Progress::start(&label(), Unit::things("steps"), Some(steps)));
    shown.set(step);
    shown.message(format!("loss {loss:.3}, language model {language_model_loss:.3}"));
    if let Some(EpochRow { epoch, train_loss, dev, .. }) = epoch {
        tracing::info!("epoch {epoch}: training loss {train_loss:.4}; {}", metrics_line(&dev));
    }
}

impl Arguments {
    /// The examples to train on and those to evaluate on.
    fn examples(&self) -> anyhow::Result<[Vec<LabelledExample>; 2]> {
        let read = |paths: &[PathBuf]| -> anyhow::Result<Vec<LabelledExample>> {
            let files = paths.iter().map(|path| self.task.read(path)).collect::<Result<Vec<_>, _>>()?;
            Ok(files.concat())
        };
        let train = read(&self.train)?;
        if !self.dev.is_empty() {
            return Ok([train, read(&self.dev)?]);
        }
        ensure!(
            (0.0..1.0).contains(&self.hold_out),
            Usage(format!("--hold-out {}: it must be at least 0 and below 1", self.hold_out))
        );
        let [train, dev] = hold_out(train, self.hold_out);
        tracing::info!(
            "no --dev: training on {}, evaluating on {}",
            count(train.len() as u64, "example"),
            count(dev.len() as u64, "example")
        );
        ensure!(!dev.is_empty(), "no example is left to evaluate on; raise --hold-out or give --dev");
        Ok([train, dev])
    }

    fn settings(&self, seed: u64) -> FineTuneConfig {
        let mut settings = self.config.clone();
        settings.seed = seed;
        settings.transfer = match self.layers {
            _ if self.from_scratch => Transfer::Nothing,
            Some(blocks) => Transfer::Blocks(blocks),
            None => Transfer::All,
        };
        settings
    }

    /// Locks the folders of all seeds, so that no other command writes there; they must be free or of a classifier.
    fn lock_folders(&self, tokenizer: &Tokenizer) -> anyhow::Result<Vec<TrainingLock>> {
        let folders: Vec<PathBuf> = self.seeds.iter().filter_map(|&seed| self.folder(seed)).collect();
        for folder in &folders {
            if is_same_folder(folder, &self.model) {
                let shown = folder.display();
                return Err(
                    Usage(format!("{shown} is the model, and would be overwritten: choose another output")).into()
                );
            }
            refuse_foreign_model(folder, OF_CLASSIFIER)?;
            refuse_other_tokenizer(folder, tokenizer)?;
        }
        let mut distinct = folders.clone();
        distinct.sort();
        distinct.dedup();
        if distinct.len() < folders.len() {
            return Err(Usage("--seeds has a seed twice, whose classifiers would be in one folder".into()).into());
        }
        Ok(folders.iter().map(|folder| TrainingLock::take(folder)).collect::<Result<_, _>>()?)
    }

    /// Where a seed's classifier goes.
    fn folder(&self, seed: u64) -> Option<PathBuf> {
        let output = self.output.as_ref()?;
        Some(if self.seeds.len() > 1 { output.join(format!("seed-{seed}")) } else { output.clone() })
    }
}

/// The metrics of a data set on one line.
pub(crate) fn metrics_line(metrics: &ClassificationMetrics) -> String {
    let ClassificationMetrics { examples, loss, accuracy, f1, matthews, .. } = metrics;
    let mut line = format!("{}: loss {loss:.4}, accuracy {accuracy:.4}", count(*examples, "example"));
    if let (Some(f1), Some(matthews)) = (f1, matthews) {
        line += &format!(", F1 {f1:.4}, Matthews {matthews:.4}");
    }
    line
}
