//! `gpt2 train`: a model as a TOML file says.

use std::path::PathBuf;

use anyhow::Context;
use bpe::formats;
use gpt2::{ModelConfig, TokenFile, TrainConfig, save_model, train};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::commands::check_vocabulary;

/// Train a model as a TOML file says.
#[derive(clap::Args)]
pub(crate) struct Arguments {
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

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { config: path, overrides, json, quiet } = arguments;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    for setting in overrides {
        apply(&mut table, setting)?;
    }
    let settings: Settings = table.try_into().with_context(|| format!("{} is no training", path.display()))?;
    let tokenizer = formats::load(&settings.data.tokenizer)?;
    check_vocabulary(&tokenizer, settings.model.vocab_size)?;
    let tokens = TokenFile::open(&settings.data.train, settings.model.context)?;
    let validation = TokenFile::open(&settings.data.validation, settings.model.context)?;
    let bar = if *quiet { ProgressBar::hidden() } else { ProgressBar::new(settings.train.steps) };
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
    if *json {
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
