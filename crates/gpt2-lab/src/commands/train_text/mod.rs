//! `gpt2 train TEXT…`: makes tokens, a tokenizer and a file of settings out of texts, so that one line trains a model.
//!
//! The model and its schedule are chosen for a time: the largest of a few shapes that sees at least ten tokens for each
//! of the weights of its blocks. Hoffmann et al. ("Training Compute-Optimal Large Language Models", 2022) have twenty as
//! the optimum; half of it costs little loss, and gives small machines a model that is worth sampling from.
//!
//! The folder is locked before anything is written there, and the settings are written last: where they exist, the
//! tokens do, too.

mod budget;
mod inputs;
mod record;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bpe::counts::WordCounts;
use bpe::tokens::IdWidth;
use bpe::train::TrainingOptions;
use bpe::{Encoder, Specials, TokenId, Tokenizer};
use console::{Usage, count, grouped};
use gpt2::{ConfigError, ModelConfig, Precision, TrainConfig, TrainingLock, peak_gflops};

use self::budget::{Budget, schedule, seconds_of, seconds_per_step};
use self::inputs::{TextFiles, read};
use self::record::{RECORD, Record};
use crate::check_vocabulary;
use crate::commands::output::{OF_TRAINING, is_model_folder, refuse_foreign_model};
use crate::commands::plan::{duration, parse_count};
use crate::commands::train_file::{DataSection, FilePatterns, RelativeTo, SamplesSection, TrainFile};
use crate::commands::{TokenizerSource, load_tokenizer, write_tokenizer};

/// Names in the folder of a training: its settings, its tokens, and the folder of its tokenizer.
const SETTINGS: &str = "train.toml";
const TRAIN_TOKENS: &str = "train.bin";
const VALIDATION_TOKENS: &str = "validation.bin";
const TOKENIZER: &str = "tokenizer";
/// What else a training writes there.
const WRITTEN: [&str; 9] = [
    SETTINGS,
    RECORD,
    TRAIN_TOKENS,
    VALIDATION_TOKENS,
    "config.json",
    "loss.jsonl",
    "loss.csv",
    "loss.svg",
    "samples.jsonl",
];
/// Share of the tokens that is held out for validation, and the most that are.
const VALIDATION_FRACTION: f64 = 0.1;
const MAX_VALIDATION_TOKENS: usize = 1 << 20;
/// The shortest text from which there is anything to learn.
const MIN_TOKENS: usize = 300;
/// The part of `--params` that a model may be above or below without a notice.
const MAX_PARAMETER_DIFFERENCE: f64 = 0.25;

/// The part of a model that its embeddings may be without a notice: those of rare tokens learn little.
const MAX_EMBEDDINGS_SHARE: f64 = 0.8;

/// Flags of a training on texts.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TextFlags {
    /// Folder for tokens, settings and model. [default: beside the first text, its name with -model]
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// For texts: the tokenizer, by name, folder or file. [default: gpt2]
    #[arg(long, value_name = "NAME|DIR|FILE")]
    tokenizer: Option<String>,
    /// For texts: train a tokenizer of this many tokens on them.
    #[arg(long, value_name = "TOKENS", conflicts_with = "tokenizer")]
    train_tokenizer: Option<usize>,
    /// For texts: how long to train, by which the model and its schedule are chosen. [default: 8 minutes, or with
    /// --params as long as 20 tokens for each parameter take]
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<f64>,
    /// For texts: the number of parameters of the model, about, as 300k or 10M.
    #[arg(long, value_name = "N", value_parser = parse_count)]
    params: Option<u64>,
    /// For texts in JSON Lines or Parquet: the field or column that holds the text. [default: text]
    #[arg(long, value_name = "NAME")]
    text_field: Option<String>,
    /// For texts: special tokens in them, such as <|endoftext|>, become the tokens that they name. Without this flag
    /// they are ordinary text.
    #[arg(long, alias = "specials")]
    special: bool,
}

impl TextFlags {
    /// Checks that no flag for texts stands beside a file of settings, which says all of that itself.
    ///
    /// # Errors
    /// The flags that would have no effect.
    pub(crate) fn refuse_with_settings(&self, settings: &Path) -> Result<(), Usage> {
        let given = [
            ("--output", self.output.is_some()),
            ("--tokenizer", self.tokenizer.is_some()),
            ("--train-tokenizer", self.train_tokenizer.is_some()),
            ("--minutes", self.minutes.is_some()),
            ("--params", self.params.is_some()),
            ("--text-field", self.text_field.is_some()),
            ("--special", self.special),
        ];
        let given: Vec<&str> = given.into_iter().filter(|flag| flag.1).map(|flag| flag.0).collect();
        if given.is_empty() {
            return Ok(());
        }
        Err(Usage(format!(
            "{} is a file of settings, beside which these flags for texts have no effect: {}. Change it, or override it, \
             as in --set data.output=FOLDER",
            settings.display(),
            given.join(", ")
        )))
    }

    fn text_field(&self) -> &str {
        self.text_field.as_deref().unwrap_or("text")
    }
}

/// A longer file is no file of settings, in bytes.
const MAX_SETTINGS_BYTES: u64 = 1 << 20;

/// The file of settings that the inputs of `gpt2 train` are; `None` where they are texts.
///
/// # Errors
/// Settings among texts, which would be trained on; standard input, which could not be read again.
pub(crate) fn settings_among(inputs: &[PathBuf]) -> Result<Option<&Path>, Usage> {
    let is_settings = |path: &&PathBuf| {
        let is_toml = || {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("model") || table.contains_key("data"))
        };
        let may_be = || path.metadata().is_ok_and(|file| file.is_file() && file.len() <= MAX_SETTINGS_BYTES);
        path.extension().is_some_and(|extension| extension == "toml") || may_be() && is_toml()
    };
    if inputs.iter().any(|path| path.as_os_str() == "-") {
        let why = "a training that is stopped goes on from the same texts; write them to a file first";
        return Err(Usage(format!("texts cannot come from standard input: {why}")));
    }
    match (inputs.iter().find(is_settings), inputs) {
        (None, _) => Ok(None),
        (Some(path), [_]) => Ok(Some(path)),
        (Some(path), _) => Err(Usage(format!(
            "{} is a file of settings, and the only input then: its [data] names the tokens",
            path.display()
        ))),
    }
}

/// The file of settings for a training on texts, and the lock on its folder. The file is made unless the folder has one
/// of the same texts and flags: then the training goes on.
pub(crate) fn settings_of_texts(
    inputs: &[PathBuf],
    flags: &TextFlags,
    overrides: &[String],
) -> anyhow::Result<(PathBuf, TrainingLock)> {
    refuse_overrides_of_data(overrides)?;
    if let Some(minutes) = flags.minutes.filter(|minutes| !(*minutes > 0.0 && minutes.is_finite())) {
        return Err(Usage(format!("--minutes {minutes}: it must be above 0")).into());
    }
    let folder = flags.output.clone().unwrap_or_else(|| beside(&inputs[0]));
    let settings = folder.join(SETTINGS);
    refuse_models(inputs)?;
    let texts = TextFiles::of_inputs(inputs, &folder)?;
    if let Some(skipped) = texts.skipped_files() {
        tracing::warn!("{skipped}");
    }
    let written = WRITTEN.map(|name| folder.join(name));
    console::check_outputs(texts.files.iter().map(|file| &*file.path), written.iter().map(PathBuf::as_path))?;
    refuse_foreign_model(&folder, OF_TRAINING)?;
    let record = Record::new(&texts.files, flags)?;
    let is_new = !folder.exists();
    let lock = TrainingLock::take(&folder)?;
    if settings.exists() {
        record.check(&folder)?;
        tracing::info!("going on with {}; delete the folder to begin anew", settings.display());
        return Ok((settings, lock));
    }
    refuse_foreign_files(&folder)?;
    if let Err(error) = make(&folder, &texts, (record, flags), overrides) {
        // Nothing was written but the lock, as long as the texts are at fault.
        if is_new {
            let _ = std::fs::remove_file(folder.join("train.lock")).and_then(|()| std::fs::remove_dir(&folder));
        }
        return Err(error);
    }
    Ok((settings, lock))
}

/// `my-model` for `my.txt`, but `my.jsonl-model` for `my.jsonl`, which may lie beside it.
fn beside(input: &Path) -> PathBuf {
    // Of `.` and `..` the name is that of the folder itself.
    let input = if input.file_name().is_none() { input.canonicalize().unwrap_or_default() } else { input.into() };
    let name = match input.extension() {
        Some(extension) if extension == "txt" && !input.is_dir() => input.file_stem(),
        _ => input.file_name(),
    };
    input.with_file_name(format!("{}-model", name.unwrap_or_default().to_string_lossy()))
}

/// Refuses the folder of a model or of a training among texts.
fn refuse_models(inputs: &[PathBuf]) -> Result<(), Usage> {
    for input in inputs {
        let settings = input.join(SETTINGS);
        if settings.exists() {
            let message = "is the folder of a training, and no text: to go on with it, gpt2 train";
            return Err(Usage(format!("{} {message} {}", input.display(), settings.display())));
        }
        if is_model_folder(input) {
            let message = "is a model, and no text; [data] start_from of a file of settings trains on from its weights";
            return Err(Usage(format!("{} {message}", input.display())));
        }
    }
    Ok(())
}

/// Refuses settings that a training on texts makes itself.
fn refuse_overrides_of_data(overrides: &[String]) -> Result<(), Usage> {
    const OWN: [&str; 5] = ["data.train", "data.validation", "data.tokenizer", "data.output", "data.relative_to"];
    let key = |setting: &str| setting.split('=').next().unwrap_or_default().trim().to_owned();
    match overrides.iter().map(|setting| key(setting)).find(|key| OWN.contains(&&key[..])) {
        None => Ok(()),
        Some(key) => Err(Usage(format!(
            "--set {key}: a training on texts writes this itself; the flags are --tokenizer and --output"
        ))),
    }
}

/// Checks that no files of others lie in a folder that has no settings, which would be overwritten.
fn refuse_foreign_files(folder: &Path) -> Result<(), Usage> {
    let has = |name: &&&str| folder.join(name).exists();
    // A training that was killed before its settings were written has the record already.
    let is_own = Record::is_in(folder);
    let written = WRITTEN.iter().chain(&[TOKENIZER, "best.safetensors", "model.safetensors"]);
    let foreign = written.filter(|_| !is_own).chain(OF_TRAINING).find(has);
    foreign.map_or(Ok(()), |name| {
        Err(Usage(format!(
            "{} is not of a training on texts, and would be overwritten: choose another folder (-o)",
            folder.join(name).display()
        )))
    })
}

/// Makes tokens, tokenizer and settings, and then writes all of them.
fn make(
    folder: &Path,
    texts: &TextFiles,
    (record, flags): (Record, &TextFlags),
    overrides: &[String],
) -> anyhow::Result<()> {
    let read = || texts.files.iter().map(|file| read(&file.path, flags.text_field()));
    let known = match flags.train_tokenizer {
        None => Some(load_tokenizer(flags.tokenizer.as_deref().unwrap_or("gpt2"), TokenizerSource::Flag)?),
        Some(_) => None,
    };
    let vocab_size = known.as_ref().map(Tokenizer::vocab_size).or(flags.train_tokenizer).unwrap_or_default();
    let budget = Budget { minutes: flags.minutes, parameters: flags.params, peak_gflops: peak_gflops(Precision::F32) };
    check_overrides(&budget, vocab_size, overrides)?;
    let tokenizer = match known {
        Some(tokenizer) => tokenizer,
        None => train_tokenizer(read(), vocab_size, flags.special)?,
    };
    let ids = encode(&tokenizer, read(), flags.special)?;
    // Documents without a text are an end of text each, and nothing to learn from.
    let end_of_text = tokenizer.end_of_text();
    let tokens = ids.iter().filter(|&&id| Some(id) != end_of_text).count();
    ensure!(
        tokens >= MIN_TOKENS,
        "the texts have {}: there must be {MIN_TOKENS} at least",
        count(tokens as u64, "token")
    );
    let (file, seconds) = choose(&budget, tokenizer.vocab_size(), ids.len(), overrides)?;
    check_vocabulary(&tokenizer, file.model.vocab_size)?;
    let held_out = held_out(&file.model, ids.len())?;
    write(folder, &file, (&record, &tokenizer), ids.split_at(ids.len() - held_out))?;
    announce(folder, flags, &file, ids.len(), seconds)
}

/// The settings for a text of so many tokens, and the seconds of their training.
fn choose(budget: &Budget, vocab_size: usize, tokens: usize, overrides: &[String]) -> anyhow::Result<(TrainFile, f64)> {
    let (model, train) = budget.choose(vocab_size, tokens);
    let learning_rate = train.learning_rate;
    // What is timed and counted is the model that will be trained, whose shape may be overridden.
    let file = file(model, train).with(overrides)?;
    file.model.check()?;
    file.train.check()?;
    held_out(&file.model, tokens)?; // Before a step is timed, which takes long with a long context.
    let seconds = seconds_per_step(&file.model, &file.train);
    // The lengths of warm-up and rhythm follow the steps, also those that are given.
    let steps = match overrides.iter().any(|setting| setting.starts_with("train.steps=")) {
        true => file.train.steps as f64,
        false => budget.steps(&file.model, &file.train, seconds),
    };
    let train = schedule(file.model.context, steps, learning_rate);
    let file = TrainFile { train, ..file }.with(overrides)?;
    let all = seconds_of(&file.train, seconds);
    Ok((file, all))
}

/// Checks `--set` before texts are read: its keys and types, and all values that do not depend on the texts.
fn check_overrides(budget: &Budget, vocab_size: usize, overrides: &[String]) -> anyhow::Result<()> {
    let (model, train) = budget.choose(vocab_size, 1 << 30);
    let file = file(model, train).with(overrides)?;
    file.train.check()?;
    match file.model.check() {
        // Another number of channels may be chosen.
        Ok(()) | Err(ConfigError::HeadsDoNotDivideChannels { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The settings of a model in its folder.
fn file(model: ModelConfig, train: TrainConfig) -> TrainFile {
    let escaped = |name: &str| FilePatterns::One(glob::Pattern::escape(name));
    let data = DataSection {
        train: escaped(TRAIN_TOKENS),
        validation: escaped(VALIDATION_TOKENS),
        tokenizer: TOKENIZER.to_owned(),
        output: ".".into(),
        start_from: None,
        relative_to: RelativeTo::SettingsFile,
    };
    TrainFile { data, model, train, samples: Some(SamplesSection { prompt: "The".into(), max_tokens: 60 }) }
}

/// The number of tokens, the last ones, that are held out for validation.
fn held_out(model: &ModelConfig, tokens: usize) -> anyhow::Result<usize> {
    let part = (tokens as f64 * VALIDATION_FRACTION) as usize;
    let held_out = part.min(MAX_VALIDATION_TOKENS).max(model.context + 1);
    ensure!(
        tokens > 2 * held_out,
        "the texts have {}: too few to train on with a context of {}",
        count(tokens as u64, "token"),
        model.context
    );
    Ok(held_out)
}

/// Writes the record, the tokenizer, the tokens and last the settings.
fn write(
    folder: &Path,
    file: &TrainFile,
    (record, tokenizer): (&Record, &Tokenizer),
    (train, validation): (&[TokenId], &[TokenId]),
) -> anyhow::Result<()> {
    record.write(folder)?;
    write_tokenizer(&folder.join(TOKENIZER), tokenizer)?;
    let width = IdWidth::of_vocabulary(file.model.vocab_size).bytes();
    for (name, ids) in [(TRAIN_TOKENS, train), (VALIDATION_TOKENS, validation)] {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0.to_le_bytes().into_iter().take(width)).collect();
        atomic_file::write(&folder.join(name), &bytes)?;
    }
    atomic_file::write(&folder.join(SETTINGS), file.to_toml()?.as_bytes())?;
    Ok(())
}

/// Says what will be trained.
fn announce(folder: &Path, flags: &TextFlags, file: &TrainFile, tokens: usize, seconds: f64) -> anyhow::Result<()> {
    let parameters = file.model.parameters() as u64;
    if let Some(wanted) = flags.params
        && (parameters as f64 / wanted as f64 - 1.0).abs() > MAX_PARAMETER_DIFFERENCE
    {
        tracing::warn!(
            "--params {}: the nearest model has {}, of which {} are the embeddings of {}",
            grouped(wanted),
            grouped(parameters),
            grouped((file.model.vocab_size * file.model.channels) as u64),
            count(file.model.vocab_size as u64, "token")
        );
    }
    let embeddings = (file.model.vocab_size * file.model.channels) as f64 / parameters as f64;
    if flags.train_tokenizer.is_none() && embeddings > MAX_EMBEDDINGS_SHARE {
        tracing::warn!(
            "{:.0}% of the parameters are embeddings of {}: for a text of this length, --train-tokenizer {} gives a better \
             model",
            100.0 * embeddings,
            count(file.model.vocab_size as u64, "token"),
            (tokens / 256).next_power_of_two().clamp(1024, 16384)
        );
    }
    tracing::info!(
        "{} of text; a model of {}, {} in about {}. Its settings can be edited in {}:\n\n{}",
        count(tokens as u64, "token"),
        count(parameters, "parameter"),
        count(file.train.steps, "step"),
        duration(seconds),
        folder.join(SETTINGS).display(),
        file.to_toml()?
    );
    Ok(())
}

fn train_tokenizer(
    texts: impl Iterator<Item = anyhow::Result<Vec<String>>>,
    vocab_size: usize,
    special: bool,
) -> anyhow::Result<Tokenizer> {
    if !(257..=1 << 16).contains(&vocab_size) {
        return Err(Usage(format!("--train-tokenizer {vocab_size}: it must be from 257 to 65536")).into());
    }
    let mut counts = WordCounts::new();
    for texts in texts {
        for text in texts? {
            // A special token that becomes its id is no text from which merges are learned.
            let parts = if special { text.split(bpe::END_OF_TEXT).collect() } else { vec![&text[..]] };
            parts.into_iter().for_each(|part| counts.add_text(part));
        }
    }
    Ok(bpe::train::train(&counts.into_sorted(), &TrainingOptions::new(vocab_size)))
}

/// The ids of all documents, each ended by end-of-text. Special tokens in them that stay ordinary text are counted, and
/// that is said.
fn encode(
    tokenizer: &Tokenizer,
    texts: impl Iterator<Item = anyhow::Result<Vec<String>>>,
    special: bool,
) -> anyhow::Result<Vec<TokenId>> {
    let end_of_text = tokenizer.end_of_text().context("the tokenizer has no end-of-text")?;
    let mode = if special { Specials::Allowed } else { Specials::Ordinary };
    let mut encoder = Encoder::new(tokenizer);
    let mut found = vec![0u64; if special { 0 } else { tokenizer.specials().len() }];
    let mut ids = Vec::new();
    for texts in texts {
        for text in texts? {
            ids.append(&mut encoder.encode_with(&text, mode).expect("none is refused"));
            ids.push(end_of_text);
            for (found, special) in found.iter_mut().zip(tokenizer.specials()) {
                *found += text.matches(&special[..]).count() as u64;
            }
        }
    }
    for (found, special) in found.into_iter().zip(tokenizer.specials()).filter(|found| found.0 > 0) {
        tracing::warn!(
            "the texts hold {special} as ordinary characters, {}; --special makes its token of it",
            count(found, "time")
        );
    }
    Ok(ids)
}
