//! `gpt2 finetune`: a trained model and a labelled data set become a classifier, as in the GPT-1 paper.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bpe::{Tokenizer, formats};
use gpt2::{
    EpochRow, Example, FineTuneConfig, FineTuneProgress, Metrics, Model, Pooling, Precision, Task, Transfer, finetune,
    hold_out, mean_and_deviation,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::commands::load;

/// Fine-tune a model on a labelled data set, as in the GPT-1 paper.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json, model.safetensors and a tokenizer.
    model: PathBuf,
    /// The data set, which decides the form of its files, the head and the metric.
    #[arg(long, value_enum)]
    task: Task,
    /// Labelled file to train on; several are joined.
    #[arg(long, required = true, value_name = "FILE")]
    train: Vec<PathBuf>,
    /// Labelled file to evaluate on after each epoch; several are joined. Default: a part of the training files.
    #[arg(long, value_name = "FILE")]
    dev: Vec<PathBuf>,
    /// Share of the training files that is evaluated on and not trained on.
    #[arg(long, default_value_t = 0.1, conflicts_with = "dev", value_name = "SHARE")]
    hold_out: f64,
    /// Folder for the classifier; a folder in it for each of several seeds. Default: figures alone.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Take over the embeddings and the first N layers only; the others get fresh weights. Default: all layers.
    #[arg(long, value_name = "N", conflicts_with = "from_scratch")]
    layers: Option<usize>,
    /// Take over nothing: a model of the same shape with fresh weights.
    #[arg(long)]
    from_scratch: bool,
    /// How a sequence's hidden states become one vector.
    #[arg(long, value_enum, default_value_t)]
    pooling: Pooling,
    /// Seeds of new weights, order and dropout; with several, mean and deviation are printed.
    #[arg(long, visible_alias = "seed", value_delimiter = ',', default_value = "1", value_name = "N,…")]
    seeds: Vec<u64>,
    #[command(flatten)]
    numbers: Numbers,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
    /// No progress on stderr.
    #[arg(short, long)]
    quiet: bool,
}

/// The numbers of the paper's section 4.1.
#[derive(clap::Args)]
struct Numbers {
    /// Times that every example is seen.
    #[arg(long, default_value_t = FineTuneConfig::default().epochs)]
    epochs: u64,
    /// Examples a step.
    #[arg(long, default_value_t = FineTuneConfig::default().batch)]
    batch: usize,
    /// Highest learning rate.
    #[arg(long, default_value_t = FineTuneConfig::default().learning_rate)]
    learning_rate: f32,
    /// Share of all steps over which the rate rises, before it falls to 0.
    #[arg(long, default_value_t = FineTuneConfig::default().warmup_fraction)]
    warmup_fraction: f64,
    /// Decoupled weight decay, on matrices only.
    #[arg(long, default_value_t = FineTuneConfig::default().weight_decay)]
    weight_decay: f32,
    /// The gradient's norm is cut to this.
    #[arg(long, default_value_t = FineTuneConfig::default().clip_norm)]
    clip_norm: f32,
    /// Weight of the auxiliary language-modelling loss; 0 leaves it out.
    #[arg(long, default_value_t = FineTuneConfig::default().language_model_weight)]
    lambda: f32,
    /// Dropout inside the model.
    #[arg(long, default_value_t = FineTuneConfig::default().dropout)]
    dropout: f32,
    /// Dropout of the vector that the head sees.
    #[arg(long, default_value_t = FineTuneConfig::default().head_dropout)]
    head_dropout: f32,
    /// Hold the factors of matrix products in bfloat16 while training.
    #[arg(long)]
    bf16: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (model, tokenizer) = load(&arguments.model)?;
    let task = arguments.task;
    let [train, dev] = arguments.examples()?;
    let mut runs = Vec::new();
    for &seed in &arguments.seeds {
        let settings = arguments.settings(seed);
        let epochs = tune(arguments, &model, &tokenizer, [&train, &dev], &settings)?;
        let last = epochs.last().context("there is at least one epoch")?.dev;
        if !arguments.json {
            println!("seed {seed}: {}", figures(&last));
        }
        runs.push((last.headline(task), json!({"settings": settings, "epochs": epochs})));
    }
    let metric = runs.first().context("there is at least one seed")?.0.0;
    let (mean, deviation) = mean_and_deviation(&runs.iter().map(|run| run.0.1).collect::<Vec<_>>());
    if arguments.json {
        let headline = json!({"metric": metric, "mean": mean, "deviation": deviation});
        let examples = json!({"train": train.len(), "dev": dev.len()});
        let runs: Vec<Value> = runs.into_iter().map(|(_, run)| run).collect();
        println!("{}", json!({"task": task, "examples": examples, "headline": headline, "runs": runs}));
    } else if runs.len() > 1 {
        println!("{metric} over {} seeds: {mean:.4} ± {deviation:.4}", runs.len());
    }
    Ok(())
}

/// One seed's fine-tuning; writes its folder.
fn tune(
    arguments: &Arguments,
    model: &Model,
    tokenizer: &Tokenizer,
    [train, dev]: [&[Example]; 2],
    settings: &FineTuneConfig,
) -> anyhow::Result<Vec<EpochRow>> {
    let task = arguments.task;
    let bar = if arguments.quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("{bar:30} step {pos}/{len}  {msg}  {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = |progress: FineTuneProgress| {
        let FineTuneProgress { step, steps, loss, language_model_loss, epoch } = progress;
        bar.set_length(steps);
        bar.set_position(step);
        bar.set_message(format!("loss {loss:.3}, language model {language_model_loss:.3}"));
        if let (Some(row), false) = (epoch, arguments.quiet) {
            let EpochRow { epoch, train_loss, dev, .. } = row;
            bar.suspend(|| eprintln!("epoch {epoch}: training loss {train_loss:.4}; {}", figures(&dev)));
        }
    };
    let tuned = finetune(model, tokenizer, task, [train, dev], settings, report)?;
    bar.finish();
    if tuned.shortened > 0 {
        eprintln!("{} sequences were longer than the context and lost their end", tuned.shortened);
    }
    if let Some(folder) = arguments.folder(settings.seed) {
        tuned.classifier.save(&folder, tokenizer.end_of_text().map(|id| id.0))?;
        for (name, content) in formats::files(tokenizer) {
            write(&folder.join(name), &content)?;
        }
        let summary = json!({
            "version": env!("CARGO_PKG_VERSION"), "task": task, "settings": settings, "epochs": tuned.epochs,
            "examples": {"train": train.len(), "dev": dev.len()}, "shortened": tuned.shortened,
        });
        write(&folder.join("finetune.json"), &format!("{summary:#}\n"))?;
    }
    Ok(tuned.epochs)
}

impl Arguments {
    /// The examples to train on and those to evaluate on.
    fn examples(&self) -> anyhow::Result<[Vec<Example>; 2]> {
        let task = self.task;
        let read = |paths: &[PathBuf]| -> anyhow::Result<Vec<Example>> {
            let files = paths.iter().map(|path| task.read(path)).collect::<Result<Vec<_>, _>>()?;
            Ok(files.concat())
        };
        let train = read(&self.train)?;
        if !self.dev.is_empty() {
            return Ok([train, read(&self.dev)?]);
        }
        ensure!((0.0..1.0).contains(&self.hold_out), "--hold-out {} is not a share", self.hold_out);
        let parts = hold_out(train, self.hold_out);
        if !self.quiet {
            eprintln!("no --dev: {} examples are trained on, {} evaluated on", parts[0].len(), parts[1].len());
        }
        ensure!(!parts[1].is_empty(), "no example is left to evaluate on; raise --hold-out or give --dev");
        Ok(parts)
    }

    fn settings(&self, seed: u64) -> FineTuneConfig {
        let Numbers {
            epochs,
            batch,
            learning_rate,
            warmup_fraction,
            weight_decay,
            clip_norm,
            lambda,
            dropout,
            head_dropout,
            bf16,
        } = self.numbers;
        let transfer = match self.layers {
            _ if self.from_scratch => Transfer::Nothing,
            Some(layers) => Transfer::Layers(layers),
            None => Transfer::All,
        };
        FineTuneConfig {
            epochs,
            batch,
            learning_rate,
            warmup_fraction,
            weight_decay,
            clip_norm,
            language_model_weight: lambda,
            dropout,
            head_dropout,
            precision: if bf16 { Precision::Bf16 } else { Precision::F32 },
            pooling: self.pooling,
            transfer,
            seed,
        }
    }

    /// Where a seed's classifier goes.
    fn folder(&self, seed: u64) -> Option<PathBuf> {
        let output = self.output.as_ref()?;
        Some(if self.seeds.len() > 1 { output.join(format!("seed-{seed}")) } else { output.clone() })
    }
}

/// The figures of a set on one line.
pub(crate) fn figures(metrics: &Metrics) -> String {
    let Metrics { examples, loss, accuracy, f1, matthews } = metrics;
    let mut line = format!("{examples} examples: loss {loss:.4}, accuracy {accuracy:.4}");
    if let (Some(f1), Some(matthews)) = (f1, matthews) {
        line += &format!(", F1 {f1:.4}, Matthews {matthews:.4}");
    }
    line
}

fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    atomic_file::write(path, content.as_bytes())?;
    Ok(())
}
