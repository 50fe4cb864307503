//! The TOML file that `gpt2 train` reads; `docs/formats.md` has its keys.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use console::Usage;
use gpt2::{ModelConfig, TrainConfig};
use serde::{Deserialize, Serialize};

/// The settings of a training.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainFile {
    pub(crate) data: DataSection,
    pub(crate) model: ModelConfig,
    pub(crate) train: TrainConfig,
    /// Absent: no samples.
    pub(crate) samples: Option<SamplesSection>,
}

/// `[data]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataSection {
    /// Token files to train on: a file, a pattern with `*`, or a list of these.
    pub(crate) train: FilePatterns,
    /// Token files to validate on.
    pub(crate) validation: FilePatterns,
    /// Tokenizer that is copied beside the model.
    pub(crate) tokenizer: String,
    /// Folder for the model.
    pub(crate) output: PathBuf,
    /// Folder of a model whose weights the training begins with. Absent: random weights.
    pub(crate) start_from: Option<PathBuf>,
}

/// `[samples]`: what the model writes after each validation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SamplesSection {
    /// The text to continue.
    pub(crate) prompt: String,
    /// Tokens to add at most.
    pub(crate) max_tokens: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum FilePatterns {
    One(String),
    Many(Vec<String>),
}

impl FilePatterns {
    /// The files, in the order of the patterns and of their names.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let patterns = match self {
            FilePatterns::One(pattern) => std::slice::from_ref(pattern),
            FilePatterns::Many(patterns) => patterns,
        };
        let mut files = Vec::new();
        for pattern in patterns {
            let before = files.len();
            for path in glob::glob(pattern).with_context(|| format!("{pattern} is not a pattern of file names"))? {
                files.push(path?);
            }
            if files.len() == before {
                bail!("no file matches {pattern}");
            }
        }
        Ok(files)
    }
}

impl TrainFile {
    /// Reads a file and applies settings of the form `section.key=value`.
    pub(crate) fn read(path: &Path, overrides: &[String]) -> anyhow::Result<TrainFile> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        TrainFile::parse(&text, path, overrides).map_err(|error| Usage(format!("{error:#}")).into())
    }

    fn parse(text: &str, path: &Path, overrides: &[String]) -> anyhow::Result<TrainFile> {
        let in_file = || format!("in {}", path.display());
        let mut table: toml::Table = text.parse().with_context(in_file)?;
        for setting in overrides {
            apply(&mut table, setting).with_context(|| format!("in --set {setting}"))?;
        }
        refuse_former_keys(&table).with_context(in_file)?;
        table.try_into().with_context(in_file)
    }
}

/// Applies `section.key=value`; the value is TOML, or a string where it is not.
fn apply(table: &mut toml::Table, setting: &str) -> anyhow::Result<()> {
    let (key, value) = setting.split_once('=').context("it is not KEY=VALUE")?;
    let (section, key) = key.split_once('.').context("the key has no section, as in train.steps=100")?;
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
    let section = section.as_table_mut().context("the key's first part is not a section")?;
    section.insert(key.to_owned(), parsed.unwrap_or_else(|| value.into()));
    Ok(())
}

/// Refuses a former key; the message gives its present name.
fn refuse_former_keys(table: &toml::Table) -> anyhow::Result<()> {
    let of_train = TrainConfig::FORMER_KEYS.map(|(former, now)| ("train", former, now));
    for (section, former, now) in of_train.into_iter().chain([("samples", "tokens", "max_tokens")]) {
        if table.get(section).is_some_and(|section| section.get(former).is_some()) {
            bail!("the key `{former}` of [{section}] has another name now: write `{now}`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_key_is_refused_with_its_new_name() {
        let check = |text: &str, expected: &str| {
            let message = refuse_former_keys(&text.parse().unwrap()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check("[train]\nclip_norm = 1.0", "write `max_gradient_norm`");
        check("[samples]\ntokens = 5", "write `max_tokens`");
        assert!(refuse_former_keys(&"[train]\nmax_gradient_norm = 1.0".parse().unwrap()).is_ok());
    }
}
