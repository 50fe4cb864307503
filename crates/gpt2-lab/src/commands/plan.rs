//! `gpt2 plan`: the cost of a model and its training, computed beforehand.

use std::fmt::Write;
use std::path::Path;

use anyhow::ensure;
use console::{Usage, count, grouped};
use gpt2::{Precision, TrainingPlan, model_config, peak_gflops};
use serde_json::json;

use crate::commands::preset;
use crate::commands::train_file::TrainFile;
use crate::commands::train_text::settings_among;

/// Compute parameters, memory, operations and time of a training beforehand.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A file as `gpt2 train` reads it, a model's folder or its config.json, or gpt1, gpt2 (also gpt2-small), gpt2-medium,
    /// gpt2-large or gpt2-xl.
    config: String,
    /// Override a setting of the file: model.layers=12.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Sequences per pass. [default: the file's; for a model's name 8]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Tokens to train on, as 300000, 5M or 9B. [default: the file's; for a model's name the optimal number]
    #[arg(long, value_parser = parse_count, value_name = "N")]
    tokens: Option<u64>,
    /// Fraction of the peak rate that the training is assumed to reach.
    #[arg(long, default_value_t = 0.55, value_name = "FRACTION")]
    utilization: f64,
    /// Peak rate in GFLOP/s. [default: what this machine multiplies and adds in registers, measured briefly]
    #[arg(long, value_name = "RATE")]
    peak_gflops: Option<f64>,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

/// Sequences per pass where neither file nor flag has it.
const DEFAULT_BATCH: usize = 8;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let utilization = arguments.utilization;
    ensure!(
        utilization > 0.0 && utilization <= 1.0,
        Usage(format!("--utilization {utilization}: it must be above 0 and at most 1"))
    );
    ensure!(arguments.peak_gflops.is_none_or(|rate| rate > 0.0), Usage("--peak-gflops must be above 0".into()));
    let (plan, precision) = plan(arguments)?;
    let measured = arguments.peak_gflops.is_none();
    let peak = arguments.peak_gflops.unwrap_or_else(|| peak_gflops(precision));
    let training_seconds = plan.training_seconds(peak * 1e9 * utilization);
    if arguments.json {
        let rate = json!({
            "peak_gflops": peak, "measured": measured, "precision": precision, "utilization": utilization,
            "tokens_per_second": plan.tokens as f64 / training_seconds, "training_seconds": training_seconds,
        });
        console::out!("{}", json!({"plan": plan, "rate": rate}))?;
    } else {
        let origin = if measured { "measured here" } else { "as given" };
        let rate = format!("at {:.0}% (assumed) of {peak:.0} GFLOP/s ({origin}, {precision})", 100.0 * utilization);
        console::out!("{}", report(&plan, training_seconds, &rate).trim_end())?;
    }
    Ok(())
}

/// The plan, and the number format of the factors of matrix products.
fn plan(arguments: &Arguments) -> anyhow::Result<(TrainingPlan, Precision)> {
    let Arguments { config, overrides, batch, tokens, .. } = arguments;
    let path = Path::new(config);
    // A file or folder that is called as a model is `./gpt2`.
    let named = preset(config);
    let is_model = path.is_dir() || path.extension().is_some_and(|extension| extension == "json");
    let (model, batch, accumulate, tokens, precision) = if named.is_err() && path.is_file() && !is_model {
        let is_settings = settings_among(&[path.to_path_buf()])?.is_some();
        let what = "is a text; a plan is of settings or of a model, and gpt2 train makes settings for a text";
        ensure!(is_settings, Usage(format!("{config} {what}")));
        let TrainFile { model, train, .. } = TrainFile::read(path, overrides)?;
        let batch = batch.unwrap_or(train.batch);
        let planned = train.steps.saturating_mul(train.accumulate).saturating_mul((batch * model.context) as u64);
        (model, batch, train.accumulate, Some(tokens.unwrap_or(planned)), train.precision)
    } else {
        let model = if named.is_err() && is_model { model_config(path)? } else { named? };
        ensure!(overrides.is_empty(), Usage(format!("--set changes a file of settings; {config} is a model")));
        (model, batch.unwrap_or(DEFAULT_BATCH), 1, *tokens, Precision::F32)
    };
    model.check()?;
    ensure!(
        batch > 0 && accumulate > 0 && tokens != Some(0),
        Usage("batch, accumulate and tokens must be at least 1".into())
    );
    Ok((TrainingPlan::new(&model, batch, accumulate, tokens), precision))
}

/// The plan as tables.
fn report(plan: &TrainingPlan, training_seconds: f64, rate: &str) -> String {
    let model = &plan.model;
    let mut table = Table::default();
    let _ = writeln!(
        table.text,
        "{}, {}, {}, context {}, vocabulary {}; {} × {} per step",
        count(model.layers as u64, "layer"),
        count(model.heads as u64, "head"),
        count(model.channels as u64, "channel"),
        model.context,
        model.vocab_size,
        plan.accumulate,
        count(plan.batch as u64, "sequence")
    );
    parameters(&mut table, plan);
    memory(&mut table, plan);
    operations(&mut table, plan);
    time(&mut table, plan, training_seconds, rate);
    table.text
}

fn parameters(table: &mut Table, plan: &TrainingPlan) {
    let parameters = &plan.parameters;
    table.title("Parameters");
    for (name, part) in [
        ("token embeddings", parameters.token_embeddings),
        ("position embeddings", parameters.position_embeddings),
        ("attention", parameters.attention),
        ("mlp", parameters.mlp),
        ("norms", parameters.norms),
    ] {
        table.row(name, &grouped(part), &format!("{:.1}%", 100.0 * part as f64 / parameters.total as f64));
    }
    table.row("total", &grouped(parameters.total), "");
}

fn memory(table: &mut Table, plan: &TrainingPlan) {
    let memory = &plan.memory;
    table.title("Memory in f32");
    table.row("weights", &bytes(memory.weights), "");
    table.row("gradients", &bytes(memory.gradients), "");
    table.row("moments of AdamW", &bytes(memory.moments), "");
    table.row("activations", &bytes(memory.activations), "what a step keeps, and its buffers");
    table.row("training", &bytes(memory.training), "the sum of these");
    table.row("sampling", &bytes(memory.sampling), "weights, keys and values of one sequence, logits");
}

fn operations(table: &mut Table, plan: &TrainingPlan) {
    table.title("Operations");
    table.row("training, per token", &flops(plan.training_flops_per_token as f64), "6·(N − positions) + 12·L·C·T");
    table.row("forward, per token", &flops(plan.forward_flops_per_token as f64), "a third");
    table.row("tokens per step", &grouped(plan.tokens_per_step), "");
    let steps = count(plan.optimal_steps, "step");
    let optimal = format!("{steps}; 20 tokens per parameter (Hoffmann et al., 2022)");
    table.row("optimal tokens", &grouped(plan.optimal_tokens), &optimal);
}

fn time(table: &mut Table, plan: &TrainingPlan, training_seconds: f64, rate: &str) {
    table.title("Time");
    table.row("tokens per second", &grouped((plan.tokens as f64 / training_seconds) as u64), rate);
    let per_parameter = plan.tokens as f64 / plan.parameters.total as f64;
    let (tokens, steps) = (count(plan.tokens, "token"), count(plan.steps, "step"));
    let planned = format!("{tokens} in {steps}, {per_parameter:.1} per parameter");
    table.row("training", &duration(training_seconds), &planned);
    let optimal_seconds = training_seconds * plan.optimal_tokens as f64 / plan.tokens as f64;
    table.row("optimal training", &duration(optimal_seconds), "the optimal tokens");
}

/// Lines of a name, a value and a note.
#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn title(&mut self, title: &str) {
        let _ = writeln!(self.text, "\n{title}");
    }

    fn row(&mut self, name: &str, value: &str, note: &str) {
        let _ = writeln!(self.text, "{}", format!("  {name:<19} {value:>14}  {note}").trim_end());
    }
}

/// A count as people write it: 300000, 300_000, 5M, 2.5B.
pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    let fault = || "it is not a number; write 300000, 5M or 9B".to_owned();
    let digits = text.trim_end_matches(['k', 'K', 'M', 'B', 'T']);
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "B" => 1e9,
        "T" => 1e12,
        _ => return Err(fault()),
    };
    let count = digits.replace('_', "").parse::<f64>().map_err(|_| fault())? * factor;
    if (1.0..1e18).contains(&count) { Ok(count as u64) } else { Err(fault()) }
}

fn bytes(count: u64) -> String {
    scaled(count as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

fn flops(count: f64) -> String {
    scaled(count, 1000.0, &["FLOP", "KFLOP", "MFLOP", "GFLOP", "TFLOP"])
}

fn scaled(mut value: f64, base: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        (value, unit) = (value / base, unit + 1);
    }
    format!("{value:.1} {}", units[unit])
}

/// A time as people read it.
pub(super) fn duration(seconds: f64) -> String {
    const DAY: f64 = 86400.0;
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 2.0 * DAY => format!("{:.1} h", s / 3600.0),
        s if s < 700.0 * DAY => format!("{:.1} days", s / DAY),
        s => format!("{:.1} years", s / DAY / 365.25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (text, expected) in [("300000", 300_000), ("300_000", 300_000), ("5M", 5_000_000), ("2.5B", 2_500_000_000)]
        {
            assert_eq!(parse_count(text), Ok(expected));
        }
        for text in ["", "M", "-5", "5MB", "nan", "1e30"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(duration(59.0), "59 s");
        assert_eq!(duration(3.0 * 86400.0), "3.0 days");
    }
}
