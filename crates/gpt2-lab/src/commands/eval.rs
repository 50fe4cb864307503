//! `gpt2 eval`: what a model can do without having been trained for it.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use console::{Progress, Unit, count};
use serde_json::json;

use crate::commands::{TokenizerSource, ends_of_text, load};
use crate::evaluate::{EvalOptions, EvalReport, EvalTask, evaluate};

/// Evaluate a model zero-shot.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json, model.safetensors and a tokenizer.
    model: PathBuf,
    /// Task of the evaluation. docs/gpt2.md has the protocols.
    #[arg(long, value_enum)]
    task: EvalTask,
    /// The task's data: a text, JSON Lines, HellaSwag's text form, or BLiMP's folder or archive; compressed or not.
    #[arg(long, value_name = "FILE|DIR")]
    data: PathBuf,
    /// Tokenizer: `gpt2`, a folder or a file. [default: that in the model's folder]
    #[arg(long, value_name = "NAME|DIR|FILE")]
    tokenizer: Option<String>,
    /// Evaluate only the first N rows; for perplexity the first N tokens; for blimp the first N pairs of each file.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// perplexity: tokens by which the window moves. [default: half the context]
    #[arg(long, value_name = "TOKENS", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    stride: Option<usize>,
    /// summarise, translate, answer: maximum number of tokens to write. [default: 100; answer: 30]
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// summarise, translate, answer: choose among the K most probable tokens; 1 is greedy. [default: 1; summarise: 2]
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// translate, answer: use the first N rows as examples in the prompt. [default: 5]
    #[arg(long, value_name = "N")]
    examples: Option<usize>,
    /// Seed of the choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { model: folder, task, data, tokenizer, json, .. } = arguments;
    let (model, tokenizer) = load(folder, tokenizer.as_deref(), TokenizerSource::Flag)?;
    let options = EvalOptions { ends: ends_of_text(folder, &model, &tokenizer)?, ..arguments.options() };
    let unit = Unit::things(if *task == EvalTask::Perplexity { "tokens" } else { "rows" });
    let mut shown = None;
    let report = evaluate(&model, &tokenizer, *task, data, &options, &mut |done, all| {
        shown.get_or_insert_with(|| Progress::start(&task.name(), unit.clone(), all)).set(done);
    })?;
    drop(shown);
    if *json {
        console::out!("{}", json!(report))?;
    } else {
        print(&report)?;
    }
    Ok(())
}

impl Arguments {
    fn options(&self) -> EvalOptions {
        let Arguments { limit, stride, max_tokens, top_k, examples, seed, .. } = *self;
        EvalOptions { limit, stride, max_tokens, top_k, examples, seed, ends: Vec::new() }
    }
}

fn print(report: &EvalReport) -> std::io::Result<()> {
    let task_name = report.task.name();
    let names = report.metrics.iter().map(|metric| metric.name.len());
    let (task, name) = (task_name.len().max(4), names.max().unwrap_or(0).max(6));
    console::out!("{:task$}  {:name$}  {:>14}  {:>9}", "task", "metric", "value", "n")?;
    for metric in &report.metrics {
        let value = match metric.value {
            value if value.abs() < 1e6 => format!("{value:.4}"),
            value => format!("{value:.4e}"),
        };
        console::out!("{task_name:task$}  {:name$}  {value:>14}  {:>9}", metric.name, metric.n)?;
    }
    if report.truncated > 0 {
        console::out!("{} of {} truncated to the context", report.truncated, count(report.sequences, "sequence"))?;
    }
    Ok(())
}
