//! `gpt2 train`: a model as a TOML file says.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use bpe::{Encoder, TokenId, Tokenizer, formats};
use gpt2::{
    Beginning, LossRow, Model, ModelConfig, Progress, SampleOptions, Tokens, TrainConfig, TrainError, Trained,
    load_model, peak_gflops, sample, save_model, train,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::commands::{check_vocabulary, is_stopping, stop_on_ctrl_c};

/// Train a model as a TOML file says; call it again to go on after a kill.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Settings: [data], [model], [train], [samples] (see docs/formats.md).
    config: PathBuf,
    /// Override a setting: train.steps=100.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Threads; default: all cores. The weights are the same for any number.
    #[arg(long)]
    threads: Option<usize>,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
    /// No progress on stderr.
    #[arg(short, long)]
    quiet: bool,
}

/// The file that `gpt2 train` reads.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) data: Data,
    pub(crate) model: ModelConfig,
    pub(crate) train: TrainConfig,
    /// Absent: no samples.
    pub(crate) samples: Option<Samples>,
}

/// `[data]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    /// Token files to train on: a file, a pattern with `*`, or a list of these.
    train: Patterns,
    /// Token files to validate on.
    validation: Patterns,
    /// Tokenizer that is copied beside the model.
    tokenizer: String,
    /// Folder for the model.
    output: PathBuf,
    /// Folder of a model whose weights the training begins with; absent: random ones.
    start_from: Option<PathBuf>,
}

/// `[samples]`: what the model says at each validation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Samples {
    /// The text to continue.
    prompt: String,
    /// Tokens to add.
    tokens: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Many(Vec<String>),
}

impl Patterns {
    /// The files, in the order of the patterns and of their names.
    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let patterns = match self {
            Patterns::One(pattern) => std::slice::from_ref(pattern),
            Patterns::Many(patterns) => patterns,
        };
        let mut files = Vec::new();
        for pattern in patterns {
            let before = files.len();
            for path in glob::glob(pattern).with_context(|| format!("{pattern} is no pattern of files"))? {
                files.push(path?);
            }
            if files.len() == before {
                bail!("no file is named {pattern}");
            }
        }
        Ok(files)
    }
}

/// Reads the settings of a training; `overrides` are `section.key=value`.
pub(crate) fn read_settings(path: &Path, overrides: &[String]) -> anyhow::Result<Settings> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    for setting in overrides {
        apply(&mut table, setting)?;
    }
    table.try_into().with_context(|| format!("{} is no training", path.display()))
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
    }
    let settings = read_settings(&arguments.config, &arguments.overrides)?;
    let tokenizer = formats::load(&settings.data.tokenizer)?;
    check_vocabulary(&tokenizer, settings.model.vocab_size)?;
    settings.model.check().map_err(anyhow::Error::msg)?;
    let open = |patterns: &Patterns| -> anyhow::Result<Tokens> {
        Ok(Tokens::open(&patterns.files()?, settings.model.context, settings.model.vocab_size)?)
    };
    let (tokens, validation) = (open(&settings.data.train)?, open(&settings.data.validation)?);
    stop_on_ctrl_c()?;
    let trained = with_progress(&settings, &tokenizer, &tokens, &validation, arguments.quiet)?;
    save(&settings.data.output, &trained, &tokenizer)?;
    if arguments.json {
        let summary = serde_json::json!({
            "parameters": trained.model.parameters(), "train_tokens": tokens.tokens(),
            "stopped_early_for": trained.stopped_early_for, "curve": trained.curve,
        });
        println!("{summary}");
    }
    Ok(())
}

fn with_progress(
    settings: &Settings,
    tokenizer: &Tokenizer,
    tokens: &Tokens,
    validation: &Tokens,
    quiet: bool,
) -> anyhow::Result<Trained> {
    let mut meter = Meter::new(settings, quiet);
    let mut failed = None;
    let output = &settings.data.output;
    let start = settings.data.start_from.as_deref().map(load_model).transpose()?;
    if let Some(model) = start.as_ref().filter(|model| *model.config() != settings.model) {
        bail!("the model in [data] start_from is {:?}, [model] says {:?}", model.config(), settings.model);
    }
    let beginning = start.as_ref().map_or(Beginning::Random(&settings.model), Beginning::Model);
    let result = train(output, beginning, &settings.train, tokens, validation, |progress| {
        meter.show(&progress);
        if let (Some(row), Some(samples)) = (progress.validated, &settings.samples) {
            let written = write_sample(output, samples, tokenizer, progress.model, row);
            failed = written.err();
        }
        if failed.is_some() || is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    meter.bar.finish();
    match (result, failed) {
        (_, Some(error)) => Err(error),
        (Err(error @ TrainError::OtherTraining { .. }), None) => {
            let hint = "hint: choose another [data] output, or delete its checkpoint files to begin anew";
            Err(anyhow::Error::msg(format!("{error}\n\n{hint}")))
        }
        (Err(error @ TrainError::Diverged { .. }), None) => {
            let hint = "hint: lower [train] learning_rate or raise warmup_steps";
            Err(anyhow::Error::msg(format!("{error}\n\n{hint}")))
        }
        (result, None) => Ok(result?),
    }
}

fn save(output: &Path, trained: &Trained, tokenizer: &Tokenizer) -> anyhow::Result<()> {
    save_model(output, &trained.model, tokenizer.end_of_text().map(|id| id.0))?;
    for (name, content) in formats::files(tokenizer) {
        atomic_file::write(&output.join(name), content.as_bytes())?;
    }
    Ok(())
}

/// The progress line: loss, tokens a second, and the share of what this machine's products reach.
struct Meter {
    bar: ProgressBar,
    /// Floating-point operations a token over those a second at the peak; `None` where nobody looks.
    seconds_a_token_at_peak: Option<f64>,
    begun: Instant,
    tokens: u64,
    validation: String,
}

impl Meter {
    fn new(settings: &Settings, quiet: bool) -> Meter {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(settings.train.steps) };
        let style = ProgressStyle::with_template("{bar:24} step {pos}/{len}  {msg}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let flops = settings.model.flops_a_token(settings.model.context);
        let seconds = (!quiet).then(|| flops / 1e9 / peak_gflops(settings.train.precision));
        Meter { bar, seconds_a_token_at_peak: seconds, begun: Instant::now(), tokens: 0, validation: String::new() }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        let Some(seconds_a_token) = self.seconds_a_token_at_peak else { return };
        self.tokens += progress.tokens;
        let rate = self.tokens as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        let figures =
            format!("loss {:.3}, {rate:.0} tokens/s, {:.0}% of peak", progress.loss, 100.0 * rate * seconds_a_token);
        if let Some(row) = progress.validated {
            self.validation = format!(", validation {:.3}", row.validation_loss);
            if self.bar.is_hidden() {
                // Not on a terminal: a plain line for each validation.
                eprintln!("step {}/{}: {figures}{}", progress.step, self.bar.length().unwrap_or(0), self.validation);
            }
        }
        self.bar.set_position(progress.step);
        self.bar.set_message(format!("{figures}{}", self.validation));
    }
}

/// `samples.jsonl`: a line for each validation. Lines of steps that are done again are cut off.
fn write_sample(
    output: &Path,
    samples: &Samples,
    tokenizer: &Tokenizer,
    model: &Model,
    row: LossRow,
) -> anyhow::Result<()> {
    let path = output.join("samples.jsonl");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let is_before = |line: &&str| {
        let line: Option<serde_json::Value> = serde_json::from_str(line).ok();
        line.and_then(|line| line["step"].as_u64()).is_some_and(|step| step < row.step)
    };
    let mut lines: Vec<String> = before.lines().filter(is_before).map(str::to_owned).collect();
    let mut text = samples.prompt.clone().into_bytes();
    let prompt: Vec<u32> = Encoder::new(tokenizer).encode(&samples.prompt).iter().map(|id| id.0).collect();
    let options =
        SampleOptions { temperature: 0.8, top_k: 40, seed: row.step, ..SampleOptions::greedy(samples.tokens) };
    let end_of_text = tokenizer.end_of_text().map(|id| id.0);
    sample(model, &prompt, end_of_text, &options, |id| text.extend_from_slice(tokenizer.token(TokenId(id))));
    lines.push(serde_json::json!({"step": row.step, "text": String::from_utf8_lossy(&text)}).to_string());
    // Whole or not at all: the lines before are not lost to a kill.
    atomic_file::write(&path, (lines.join("\n") + "\n").as_bytes())?;
    Ok(())
}

/// Applies `section.key=value`; the value is TOML, or a string where it is none.
fn apply(table: &mut toml::Table, setting: &str) -> anyhow::Result<()> {
    let (key, value) = setting.split_once('=').with_context(|| format!("--set {setting}: not KEY=VALUE"))?;
    let (section, key) = key.split_once('.').with_context(|| format!("--set {setting}: the key has no section"))?;
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
    let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
    let section = section.as_table_mut().with_context(|| format!("--set {setting}: not a section"))?;
    section.insert(key.to_owned(), parsed.unwrap_or_else(|| value.into()));
    Ok(())
}
