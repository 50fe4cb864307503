//! `gpt2 bench`: how fast a shape of model trains here.

use clap::ValueEnum;
use gpt2::{ModelConfig, Precision, peak_gflops, step_milliseconds};

/// Measure training steps on made-up tokens: the figure to hold against other trainers.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A model of the papers: gpt1, gpt2, gpt2-medium, gpt2-large, gpt2-xl. The other flags change it.
    #[arg(default_value = "gpt2")]
    preset: String,
    /// Blocks.
    #[arg(long)]
    layers: Option<usize>,
    /// Attention heads.
    #[arg(long)]
    heads: Option<usize>,
    /// Width.
    #[arg(long)]
    channels: Option<usize>,
    /// Longest sequence.
    #[arg(long)]
    context: Option<usize>,
    /// Number of ids.
    #[arg(long)]
    vocab_size: Option<usize>,
    /// Sequences a step.
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// Tokens a sequence; default: the context.
    #[arg(long)]
    t: Option<usize>,
    /// Steps to measure.
    #[arg(long, default_value_t = 8)]
    steps: usize,
    /// In what matrix products hold their factors.
    #[arg(long, value_enum, default_value_t = Factors::F32)]
    precision: Factors,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
}

/// [`Precision`] as a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Factors {
    F32,
    Bf16,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut config = ModelConfig::preset(&arguments.preset).ok_or_else(|| {
        let known: Vec<_> = ModelConfig::preset_names().collect();
        anyhow::anyhow!("no model is called {}; known are {}", arguments.preset, known.join(", "))
    })?;
    let Arguments { layers, heads, channels, context, vocab_size, batch, steps, .. } = *arguments;
    config.layers = layers.unwrap_or(config.layers);
    config.heads = heads.unwrap_or(config.heads);
    config.channels = channels.unwrap_or(config.channels);
    config.context = context.unwrap_or(config.context);
    config.vocab_size = vocab_size.unwrap_or(config.vocab_size);
    config.check().map_err(anyhow::Error::msg)?;
    let t = arguments.t.unwrap_or(config.context);
    anyhow::ensure!((1..=config.context).contains(&t) && batch > 0, "1 to {} tokens a sequence", config.context);
    let precision = match arguments.precision {
        Factors::F32 => Precision::F32,
        Factors::Bf16 => Precision::Bf16,
    };
    let milliseconds = step_milliseconds(&config, batch, t, precision, steps);
    let mut sorted = milliseconds.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let rate = (batch * t) as f64 / median * 1000.0;
    let gflops = config.flops_a_token(t) * rate / 1e9;
    let peak = peak_gflops(precision);
    if arguments.json {
        let summary = serde_json::json!({
            "milliseconds": milliseconds, "tokens_a_second": rate, "gflops": gflops, "peak_gflops": peak,
        });
        println!("{summary}");
    } else {
        println!(
            "{rate:.0} tokens/s, {gflops:.0} GFLOP/s: {:.0}% of the {peak:.0} that products reach",
            100.0 * gflops / peak
        );
    }
    Ok(())
}
