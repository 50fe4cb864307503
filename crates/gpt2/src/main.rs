//! `gpt2`: train a small model on token shards, and sample from it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bpe::{Encoder, TokenId, formats};
use clap::{Parser, Subcommand};
use gpt2::{ModelConfig, SampleOptions, TokenFile, TrainConfig, load_model, sample, save_model, train};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

/// A small GPT-2 on a CPU.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model as a TOML file says.
    Train {
        /// Settings: [data], [model], [train] (see docs/formats.md).
        config: PathBuf,
        /// Override a setting: train.steps=100.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        overrides: Vec<String>,
        /// Print a summary as JSON.
        #[arg(long)]
        json: bool,
        /// No progress on stderr.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Continue a text.
    Sample {
        /// Folder with config.json, model.safetensors and a tokenizer.
        model: PathBuf,
        /// The text to continue; default: a new document.
        #[arg(long, default_value = "")]
        prompt: String,
        /// Most tokens to add.
        #[arg(long, default_value_t = 100)]
        tokens: usize,
        /// 0 takes the likeliest token.
        #[arg(long, default_value_t = 0.8)]
        temperature: f32,
        /// Only the likeliest tokens; 0 for all.
        #[arg(long, default_value_t = 50)]
        top_k: usize,
        /// Seed of the choice.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

/// The file that `gpt2 train` reads.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    data: Data,
    model: ModelConfig,
    train: TrainConfig,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    /// Token file to train on.
    train: PathBuf,
    /// Token file to validate on.
    validation: PathBuf,
    /// Tokenizer that is copied beside the model.
    tokenizer: String,
    /// Folder for the model.
    output: PathBuf,
}

fn main() -> std::process::ExitCode {
    let result = match Arguments::parse().command {
        Command::Train { config, overrides, json, quiet } => run_train(&config, &overrides, json, quiet),
        Command::Sample { model, prompt, tokens, temperature, top_k, seed } => {
            run_sample(&model, &prompt, &SampleOptions { tokens, temperature, top_k, seed })
        }
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run_train(path: &Path, overrides: &[String], json: bool, quiet: bool) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    for setting in overrides {
        apply(&mut table, setting)?;
    }
    let settings: Settings = table.try_into().with_context(|| format!("{} is no training", path.display()))?;
    let tokenizer = formats::load(&settings.data.tokenizer)?;
    ensure!(
        tokenizer.vocab_size() <= settings.model.vocab_size,
        "the tokenizer has {} tokens, the model only {}",
        tokenizer.vocab_size(),
        settings.model.vocab_size
    );
    let tokens = TokenFile::open(&settings.data.train, settings.model.context)?;
    let validation = TokenFile::open(&settings.data.validation, settings.model.context)?;
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(settings.train.steps) };
    let style = ProgressStyle::with_template("{bar:30} step {pos}/{len}  {msg}  {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let output = &settings.data.output;
    let trained = train(output, &settings.model, &settings.train, &tokens, &validation, |progress| {
        bar.set_position(progress.step);
        if let Some(row) = progress.validated {
            bar.set_message(format!("loss {:.3}, validation {:.3}", row.train_loss, row.validation_loss));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    bar.finish();
    save_model(output, &trained.model, tokenizer.end_of_text().map(|id| id.0))?;
    for (name, content) in formats::files(&tokenizer) {
        let path = output.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if json {
        println!("{}", serde_json::json!({"parameters": trained.model.parameters(), "curve": trained.curve}));
    }
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

fn run_sample(folder: &Path, prompt: &str, options: &SampleOptions) -> anyhow::Result<()> {
    let model = load_model(folder)?;
    let tokenizer = formats::load(&folder.to_string_lossy())?;
    ensure!(
        tokenizer.vocab_size() <= model.config().vocab_size,
        "the tokenizer has {} tokens, the model only {}",
        tokenizer.vocab_size(),
        model.config().vocab_size
    );
    let ids: Vec<TokenId> = Encoder::new(&tokenizer).encode(prompt);
    let mut stdout = std::io::stdout();
    stdout.write_all(prompt.as_bytes())?;
    let mut failed = None;
    sample(&model, &tokenizer, &ids, options, |id| {
        let written = stdout.write_all(tokenizer.token(id)).and_then(|()| stdout.flush());
        failed = failed.take().or(written.err());
    });
    println!();
    failed.map_or(Ok(()), |error| Err(error).context("cannot write to standard output"))
}
