//! `gpt2 plan`: what a model and its training cost, before they are begun.

use std::fmt::Write;
use std::path::Path;

use anyhow::ensure;
use gpt2::{ModelConfig, Plan, Precision, peak_gflops};
use serde_json::json;

use crate::commands::train::{Settings, read_settings};

/// Parameters, memory, work and time of a training, on paper.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A file as `gpt2 train` reads it, or gpt1, gpt2, gpt2-medium, gpt2-large or gpt2-xl.
    config: String,
    /// Override a setting of the file: model.layers=12.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Sequences a pass; default: the file's, 8 for a name.
    #[arg(long)]
    batch: Option<usize>,
    /// Tokens to train on, as 300000, 5M or 9B; default: the file's, the optimal number for a name.
    #[arg(long, value_parser = parse_count)]
    tokens: Option<u64>,
    /// Share of the matrix rate that a training is assumed to reach.
    #[arg(long, default_value_t = 0.7)]
    share: f64,
    /// GFLOP/s instead of measuring this machine.
    #[arg(long, value_name = "GFLOPS")]
    rate: Option<f64>,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// Sequences a pass where neither file nor flag says.
const DEFAULT_BATCH: usize = 8;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(arguments.share > 0.0 && arguments.share <= 1.0, "--share is above 0 and at most 1");
    ensure!(arguments.rate.is_none_or(|rate| rate > 0.0), "--rate is above 0");
    let (plan, precision) = plan(arguments)?;
    let measured = arguments.rate.is_none();
    let gflops = arguments.rate.unwrap_or_else(|| peak_gflops(precision));
    let training_seconds = plan.training_seconds(gflops * 1e9 * arguments.share);
    if arguments.json {
        let rate = json!({
            "gflops": gflops, "measured": measured, "precision": precision, "share": arguments.share,
            "tokens_a_second": plan.tokens as f64 / training_seconds, "training_seconds": training_seconds,
        });
        println!("{}", json!({"plan": plan, "rate": rate}));
    } else {
        let origin = if measured { "measured here" } else { "as given" };
        let share = 100.0 * arguments.share;
        let rate = format!("at {share:.0}% (assumed) of {gflops:.0} GFLOP/s ({origin}, {precision:?})");
        print!("{}", report(&plan, training_seconds, &rate));
    }
    Ok(())
}

/// The plan, and in what matrix products hold their factors.
fn plan(arguments: &Arguments) -> anyhow::Result<(Plan, Precision)> {
    let Arguments { config, overrides, batch, tokens, .. } = arguments;
    let (model, batch, accumulate, tokens, precision) = match ModelConfig::preset(config) {
        Some(model) => {
            ensure!(overrides.is_empty(), "--set changes a file; {config} is a name");
            (model, batch.unwrap_or(DEFAULT_BATCH), 1, *tokens, Precision::F32)
        }
        None => {
            let names: Vec<&str> = ModelConfig::preset_names().collect();
            ensure!(Path::new(config).is_file(), "{config} is neither a file nor one of {}", names.join(", "));
            let Settings { model, train, .. } = read_settings(Path::new(config), overrides)?;
            let batch = batch.unwrap_or(train.batch);
            let planned = train.steps.saturating_mul(train.accumulate).saturating_mul((batch * model.context) as u64);
            (model, batch, train.accumulate, Some(tokens.unwrap_or(planned)), train.precision)
        }
    };
    model.check().map_err(anyhow::Error::msg)?;
    ensure!(batch > 0 && accumulate > 0 && tokens != Some(0), "batch, accumulate and tokens are at least 1");
    Ok((Plan::new(&model, batch, accumulate, tokens), precision))
}

/// The plan as tables.
fn report(plan: &Plan, training_seconds: f64, rate: &str) -> String {
    let model = &plan.model;
    let mut table = Table::default();
    let _ = writeln!(
        table.text,
        "{} layers, {} heads, {} channels, context {}, vocabulary {}; {} × {} sequences a step",
        model.layers, model.heads, model.channels, model.context, model.vocab_size, plan.accumulate, plan.batch
    );
    parameters(&mut table, plan);
    memory(&mut table, plan);
    work(&mut table, plan);
    time(&mut table, plan, training_seconds, rate);
    table.text
}

fn parameters(table: &mut Table, plan: &Plan) {
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

fn memory(table: &mut Table, plan: &Plan) {
    let memory = &plan.memory;
    table.title("Memory in f32");
    table.row("weights", &bytes(memory.weights), "");
    table.row("gradients", &bytes(memory.gradients), "");
    table.row("moments of AdamW", &bytes(memory.moments), "");
    table.row("activations", &bytes(memory.activations), "what a step keeps, and its buffers");
    table.row("training", &bytes(memory.training), "the sum of these");
    table.row("sampling", &bytes(memory.sampling), "weights, keys and values of one sequence, logits");
}

fn work(table: &mut Table, plan: &Plan) {
    table.title("Work");
    table.row("training, a token", &flops(plan.training_flops_a_token as f64), "6·(N − positions) + 12·L·C·T");
    table.row("forward, a token", &flops(plan.forward_flops_a_token as f64), "a third");
    table.row("tokens a step", &grouped(plan.tokens_a_step), "");
    let optimal = format!("{} steps; 20 a parameter (Hoffmann et al., 2022)", grouped(plan.optimal_steps));
    table.row("optimal tokens", &grouped(plan.optimal_tokens), &optimal);
}

fn time(table: &mut Table, plan: &Plan, training_seconds: f64, rate: &str) {
    table.title("Time");
    table.row("tokens a second", &grouped((plan.tokens as f64 / training_seconds) as u64), rate);
    let a_parameter = plan.tokens as f64 / plan.parameters.total as f64;
    let planned =
        format!("{} tokens in {} steps, {a_parameter:.1} a parameter", grouped(plan.tokens), grouped(plan.steps));
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
fn parse_count(text: &str) -> Result<u64, String> {
    let fault = || format!("{text} is no count; write 300000, 5M or 9B");
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

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let is_border = |at: usize| at > 0 && (digits.len() - at).is_multiple_of(3);
    let parts =
        digits.chars().enumerate().flat_map(|(at, digit)| is_border(at).then_some(',').into_iter().chain([digit]));
    parts.collect()
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

fn duration(seconds: f64) -> String {
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
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(duration(59.0), "59 s");
        assert_eq!(duration(3.0 * 86400.0), "3.0 days");
    }
}
