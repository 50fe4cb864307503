//! `gpt2 eval`: what a model can do without having been trained for it.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use bpe::formats::{self, FormatError};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gpt2::evaluate::{EvaluateOptions, Report, Task, evaluate};
use gpt2::load_model;
use indicatif::{ProgressBar, ProgressStyle};

/// Evaluate a model zero-shot.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json, model.safetensors and a tokenizer.
    model: PathBuf,
    /// What the model is asked to do; docs/gpt2.md says how exactly.
    #[arg(long, value_parser = PossibleValuesParser::new(Task::ALL.map(Task::name)).map(task_of_name))]
    task: Task,
    /// The task's data: a text, JSON Lines, HellaSwag's six lines a story, or BLiMP's folder or archive; also .gz or .zst.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Tokenizer, by name (gpt2), file or folder; default: the model's.
    #[arg(long)]
    tokenizer: Option<String>,
    /// Only the first rows; perplexity: tokens; blimp: pairs of each file.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Perplexity: tokens by which the window moves on; default: half the context.
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    /// summarise, translate, answer: most tokens to write; default: 100, answer: 30.
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
    /// summarise, translate, answer: choose among so many tokens; 1 is greedy; default: 1, summarise: 2.
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// translate, answer: first rows that become examples in the prompt; default: 5.
    #[arg(long, value_name = "N")]
    examples: Option<usize>,
    /// Seed of the choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// No progress on stderr.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { model: folder, task, data, tokenizer, json, quiet, .. } = arguments;
    let model = load_model(folder)?;
    let tokenizer = tokenizer.clone().unwrap_or_else(|| folder.to_string_lossy().into_owned());
    let tokenizer = formats::load(&tokenizer).map_err(|error| match error {
        FormatError::NotFound(_) => anyhow!("{error}\n\nhint: --tokenizer gpt2 is GPT-2's own"),
        other => other.into(),
    })?;
    let options = EvaluateOptions {
        limit: arguments.limit,
        stride: arguments.stride,
        tokens: arguments.tokens,
        top_k: arguments.top_k,
        examples: arguments.examples,
        seed: arguments.seed,
    };
    let bar = if *quiet { ProgressBar::hidden() } else { ProgressBar::no_length() };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = evaluate(&model, &tokenizer, *task, data, &options, &mut |done, all| {
        if let Some(all) = all {
            bar.set_length(all);
        }
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    if *json {
        println!("{}", serde_json::to_string(&report).context("cannot write the report")?);
    } else {
        print(&report);
    }
    Ok(())
}

fn task_of_name(name: String) -> Task {
    Task::of_name(&name).expect("clap lets only the names of tasks through")
}

fn print(report: &Report) {
    let names = report.metrics.iter().map(|metric| metric.name.len());
    let (task, name) = (report.task.name().len().max(4), names.max().unwrap_or(0).max(6));
    println!("{:task$}  {:name$}  {:>14}  {:>9}", "task", "metric", "value", "n");
    for metric in &report.metrics {
        let value = match metric.value {
            value if value.abs() < 1e6 => format!("{value:.4}"),
            value => format!("{value:.4e}"),
        };
        println!("{:task$}  {:name$}  {value:>14}  {:>9}", report.task.name(), metric.name, metric.n);
    }
    if report.cut > 0 {
        println!("{} of {} passages were longer than the context and were cut", report.cut, report.passages);
    }
}
