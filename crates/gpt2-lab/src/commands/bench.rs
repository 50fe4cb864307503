//! `gpt2 bench`: how fast a model of some shape trains on this machine.

use clap::builder::RangedU64ValueParser;
use console::Usage;
use gpt2::{Kernel, ModelConfig, Precision, ProductLayout, StepTime, peak_gflops, product_gflops, step_times};
use serde_json::json;

use crate::commands::preset;
use crate::precision_parser;

/// Measure training steps on random tokens, for comparison with other trainers.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A model of the papers: gpt1, gpt2, gpt2-medium, gpt2-large or gpt2-xl. The other flags change its shape.
    #[arg(default_value = "gpt2")]
    preset: String,
    /// Number of blocks.
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Attention heads per block.
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Width of the residual stream.
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Longest sequence in tokens.
    #[arg(long, value_name = "TOKENS")]
    context: Option<usize>,
    /// Number of token ids.
    #[arg(long, value_name = "N")]
    vocab_size: Option<usize>,
    /// Sequences per step.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    batch: usize,
    /// Tokens per sequence. [default: the context]
    #[arg(long, value_name = "TOKENS", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    sequence_length: Option<usize>,
    /// Steps to measure.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    steps: usize,
    /// Number format of the factors of matrix products.
    #[arg(long, default_value_t, value_parser = precision_parser())]
    precision: Precision,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let &Arguments { batch, steps, precision, .. } = arguments;
    let config = arguments.shape()?;
    let t = arguments.sequence_length.unwrap_or(config.context);
    anyhow::ensure!(
        t <= config.context,
        Usage(format!("--sequence-length {t} is above the context of {}", config.context))
    );
    let times = step_times(&config, batch, t, precision, steps);
    let column = |of: fn(&StepTime) -> f64| times.iter().map(of).collect::<Vec<f64>>();
    let (milliseconds, cpu_milliseconds) = (column(|time| time.milliseconds), column(|time| time.cpu_milliseconds));
    let tokens_per_second = (batch * t) as f64 / median(&milliseconds) * 1000.0;
    let gflops = config.flops_per_token(t) * tokens_per_second / 1e9;
    let (kernel, peak) = (Kernel::chosen()?, peak_gflops(precision));
    // Of the shape of c_fc, which is the most frequent of a model's products.
    let shape = (batch * t, 4 * config.channels, config.channels);
    let [own, of_gemm] = [(kernel, precision), (Kernel::Gemm, Precision::F32)]
        .map(|(kernel, precision)| product_gflops(kernel, shape, ProductLayout::Plain, precision, 10));
    if arguments.json {
        let summary = json!({
            "kernel": kernel.name(), "milliseconds": milliseconds, "cpu_milliseconds": cpu_milliseconds,
            "tokens_per_second": tokens_per_second, "gflops": gflops, "peak_gflops": peak,
            "product_gflops": own, "gemm_gflops": of_gemm,
        });
        console::out!("{summary}")?;
    } else {
        let share = |rate: f64| 100.0 * rate / peak;
        console::out!(
            "{kernel}, {precision}: {tokens_per_second:.0} tokens/s, {gflops:.0} GFLOP/s: {:.0}% of the {peak:.0} that the \
             processor can do\nproducts {own:.0} GFLOP/s ({:.0}%), those of the crate gemm in f32 {of_gemm:.0}",
            share(gflops),
            share(own)
        )?;
    }
    Ok(())
}

impl Arguments {
    /// The preset with the given sizes.
    fn shape(&self) -> anyhow::Result<ModelConfig> {
        let mut config = preset(&self.preset)?;
        let sizes = [
            (&mut config.layers, self.layers),
            (&mut config.heads, self.heads),
            (&mut config.channels, self.channels),
            (&mut config.context, self.context),
            (&mut config.vocab_size, self.vocab_size),
        ];
        for (size, given) in sizes {
            *size = given.unwrap_or(*size);
        }
        config.check()?;
        Ok(config)
    }
}

/// The upper median of at least one number.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
