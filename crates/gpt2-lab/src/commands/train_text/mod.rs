//! `gpt2 train TEXT…`: makes tokens, a tokenizer and a file of settings out of texts, so that one line trains a model.
//!
//! The model and its schedule are chosen for a time: the largest of a few shapes that sees at least ten tokens for each
//! of the weights of its blocks. Hoffmann et al. ("Training Compute-Optimal Large Language Models", 2022) have twenty as
//! the optimum; half of it costs little loss, and gives small machines a model that is worth sampling from.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use bpe::counts::WordCounts;
use bpe::tokens::IdWidth;
use bpe::train::TrainingOptions;
use bpe::{Encoder, TokenId, Tokenizer, formats};
use console::{count, grouped};
use gpt2::{ModelConfig, Precision, TrainConfig, peak_gflops, step_times};
use texts::{DocumentOptions, Documents, Source};

use crate::commands::plan::parse_count;
use crate::commands::train_file::{DataSection, FilePatterns, SamplesSection, TrainFile};
use crate::commands::write_tokenizer;

/// Name of the file of settings in the folder of a training.
const SETTINGS: &str = "train.toml";
/// Share of the tokens that is held out for validation, and the most that are.
const VALIDATION_FRACTION: f64 = 0.1;
const MAX_VALIDATION_TOKENS: usize = 1 << 20;
/// Share of the peak rate that a training reaches with models as small as these.
const UTILIZATION: f64 = 0.3;
/// Tokens for each weight of the blocks that a model must see.
const MIN_TOKENS_PER_WEIGHT: f64 = 10.0;
/// Tokens for each parameter where only the size of the model is given: the optimum of the same work.
const TOKENS_PER_PARAMETER: f64 = 20.0;
/// How long a training takes if nothing is said.
const DEFAULT_MINUTES: f64 = 8.0;
/// The shortest training, and the steps by which one is timed.
const MIN_STEPS: u64 = 20;
const TRIAL_STEPS: usize = 3;
/// Tokens of a pass.
const BATCH_TOKENS: usize = 2048;
type Shape = (usize, usize, usize, usize, f32);

/// Layers, heads, channels, context and peak learning rate, the smallest first. Small models bear higher rates.
const SHAPES: [Shape; 7] = [
    (2, 2, 64, 128, 4e-3),
    (3, 3, 96, 128, 3e-3),
    (4, 4, 128, 128, 2e-3),
    (4, 4, 192, 256, 1.5e-3),
    (6, 6, 384, 256, 1e-3),
    (8, 8, 512, 512, 8e-4),
    (12, 12, 768, 1024, 6e-4),
];

/// Flags of a training on texts.
#[derive(clap::Args)]
pub(crate) struct TextFlags {
    /// Folder for tokens, settings and model. Default: beside the first text, its name with -model.
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// For texts: the tokenizer, by name, folder or file.
    #[arg(long, value_name = "NAME|DIR|FILE", default_value = "gpt2")]
    tokenizer: String,
    /// For texts: train a tokenizer of this many tokens on them.
    #[arg(long, value_name = "TOKENS", conflicts_with = "tokenizer")]
    train_tokenizer: Option<usize>,
    /// For texts: how long to train, by which the model and its schedule are chosen. Default: 8 minutes, or with --params
    /// as long as 20 tokens for each parameter take.
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<f64>,
    /// For texts: the number of parameters of the model, about, as 300k or 10M.
    #[arg(long, value_name = "N", value_parser = parse_count)]
    params: Option<u64>,
    /// For texts in JSON Lines or Parquet: the field or column that holds the text.
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
}

/// Whether the inputs of `gpt2 train` are a file of settings, and no texts.
pub(crate) fn are_settings(inputs: &[PathBuf]) -> bool {
    let [path] = inputs else { return false };
    let is_toml = || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("model") || table.contains_key("data"))
    };
    path.extension().is_some_and(|extension| extension == "toml") || path.is_file() && is_toml()
}

/// The file of settings for a training on texts, which is made unless the folder has one: then the training goes on.
pub(crate) fn settings_of_texts(inputs: &[PathBuf], flags: &TextFlags) -> anyhow::Result<PathBuf> {
    let folder = flags.output.clone().unwrap_or_else(|| beside(&inputs[0]));
    let settings = folder.join(SETTINGS);
    if settings.exists() {
        tracing::info!("going on with {}; delete the folder to begin anew", settings.display());
        return Ok(settings);
    }
    if let Some(minutes) = flags.minutes {
        ensure!(minutes > 0.0 && minutes.is_finite(), "--minutes {minutes}: it must be above 0");
    }
    let files = files(inputs)?;
    let texts = || files.iter().map(|path| read(path, &flags.text_field));
    let tokenizer = match flags.train_tokenizer {
        None => formats::load(&flags.tokenizer)?,
        Some(vocab_size) => train_tokenizer(texts(), vocab_size)?,
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?;
    let of_tokenizer = folder.join("tokenizer");
    std::fs::create_dir_all(&of_tokenizer).with_context(|| format!("cannot create {}", of_tokenizer.display()))?;
    write_tokenizer(&of_tokenizer, &tokenizer)?;
    let ids = encode(&tokenizer, texts())?;
    let budget = Budget { minutes: flags.minutes, parameters: flags.params, peak_gflops: peak_gflops(Precision::F32) };
    let (model, mut train) = budget.choose(tokenizer.vocab_size(), ids.len());
    let seconds = seconds_per_step(&model, &train);
    if budget.parameters.is_none() || budget.minutes.is_some() {
        // Some of the time is for validations, samples and checkpoints.
        let steps = 0.9 * 60.0 * budget.minutes.unwrap_or(DEFAULT_MINUTES) / seconds;
        train = schedule(model.context, steps, train.learning_rate);
    }
    let minutes = train.steps as f64 * seconds / 60.0;
    let file = write_tokens(&folder, &ids, (model, train), of_tokenizer)?;
    let toml = toml::to_string_pretty(&file).context("the settings are no TOML")?;
    // Last: who finds the settings finds the tokens.
    atomic_file::write(&folder.join(SETTINGS), toml.as_bytes())?;
    let (model, steps) = (&file.model, file.train.steps);
    tracing::info!(
        "{} of text; a model of {} parameters, {} steps in about {minutes:.1} minutes. Its settings can be edited in {}:\n\n{toml}",
        count(ids.len() as u64, "token"),
        grouped(model.parameters() as u64),
        grouped(steps),
        settings.display()
    );
    Ok(folder.join(SETTINGS))
}

/// `my-model` for `my.txt`.
fn beside(input: &Path) -> PathBuf {
    let stem = input.file_stem().unwrap_or_default().to_string_lossy();
    input.with_file_name(format!("{stem}-model"))
}

/// The files of inputs, those of a folder by name.
fn files(inputs: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            files.push(input.clone());
            continue;
        }
        let entries = std::fs::read_dir(input).with_context(|| format!("cannot list {}", input.display()))?;
        let mut of_folder = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", input.display()))?.path();
            of_folder.extend(path.is_file().then_some(path));
        }
        ensure!(!of_folder.is_empty(), "{} holds no file", input.display());
        of_folder.sort();
        files.append(&mut of_folder);
    }
    Ok(files)
}

/// The documents of a file: its rows, or the whole of a plain text.
fn read(path: &Path, text_field: &str) -> anyhow::Result<Vec<String>> {
    let cannot_read = || format!("cannot read {}", path.display());
    if let Source::PlainText(mut reader) =
        Source::open(File::open(path).with_context(cannot_read)?).with_context(cannot_read)?
    {
        let mut text = String::new();
        reader.read_to_string(&mut text).with_context(cannot_read)?;
        return Ok(vec![text]);
    }
    let file = File::open(path).with_context(cannot_read)?;
    let mut documents = Vec::new();
    for document in Documents::open(file, DocumentOptions::new(text_field)).with_context(cannot_read)? {
        match document.with_context(cannot_read)? {
            Ok(document) => documents.push(document.text),
            Err(malformed) => bail!("{}: {malformed:?}", path.display()),
        }
    }
    Ok(documents)
}

fn train_tokenizer(
    texts: impl Iterator<Item = anyhow::Result<Vec<String>>>,
    vocab_size: usize,
) -> anyhow::Result<Tokenizer> {
    ensure!((257..=1 << 16).contains(&vocab_size), "--train-tokenizer {vocab_size}: it must be from 257 to 65536");
    let mut counts = WordCounts::new();
    for texts in texts {
        texts?.iter().for_each(|text| counts.add_text(text));
    }
    Ok(bpe::train::train(&counts.into_sorted(), &TrainingOptions::new(vocab_size)))
}

/// The ids of all documents, each ended by end-of-text.
fn encode(
    tokenizer: &Tokenizer,
    texts: impl Iterator<Item = anyhow::Result<Vec<String>>>,
) -> anyhow::Result<Vec<TokenId>> {
    let end_of_text = tokenizer.end_of_text().context("the tokenizer has no end-of-text")?;
    let mut encoder = Encoder::new(tokenizer);
    let (mut ids, mut of_text) = (Vec::new(), Vec::new());
    for texts in texts {
        for text in texts? {
            encoder.encode_into(&text, &mut of_text);
            of_text.push(end_of_text);
            ids.append(&mut of_text);
        }
    }
    Ok(ids)
}

/// What a training may cost, and the rate of this machine.
struct Budget {
    minutes: Option<f64>,
    parameters: Option<u64>,
    peak_gflops: f64,
}

impl Budget {
    /// The number of tokens that a training of this model sees.
    fn tokens(&self, model: &ModelConfig) -> f64 {
        match (self.minutes, self.parameters) {
            (None, Some(_)) => TOKENS_PER_PARAMETER * model.parameters() as f64,
            (minutes, _) => {
                let seconds = 60.0 * minutes.unwrap_or(DEFAULT_MINUTES);
                seconds * UTILIZATION * 1e9 * self.peak_gflops / model.flops_per_token(model.context)
            }
        }
    }

    /// A model and its schedule for a text of so many tokens: the model with about the wanted number of parameters, or
    /// the largest that sees enough tokens in the time.
    fn choose(&self, vocab_size: usize, tokens: usize) -> (ModelConfig, TrainConfig) {
        // A context must fit the text, and its validation part, several times.
        let fits = |model: &ModelConfig| tokens >= 100 * model.context;
        let sees_enough = |model: &ModelConfig| {
            let of_blocks = 12 * model.layers * model.channels * model.channels;
            self.tokens(model) >= MIN_TOKENS_PER_WEIGHT * of_blocks as f64 && fits(model)
        };
        let (model, learning_rate) = match self.parameters {
            Some(wanted) => shapes_between(vocab_size)
                .min_by_key(|(model, _)| (model.parameters() as u64).abs_diff(wanted))
                .expect("there are shapes"),
            None => {
                let shapes: Vec<_> = SHAPES.iter().map(|shape| of_shape(shape, vocab_size)).collect();
                let smallest = shapes[0].clone();
                shapes.into_iter().rfind(|(model, _)| sees_enough(model)).unwrap_or(smallest)
            }
        };
        let context = model.context.min(tokens / 20).max(1);
        let model = ModelConfig { context, ..model };
        let steps = self.tokens(&model) / (batch_of(context) * context) as f64;
        (model.clone(), schedule(context, steps, learning_rate))
    }
}

/// Sequences of a pass.
fn batch_of(context: usize) -> usize {
    (BATCH_TOKENS / context).max(1)
}

/// The settings of a training.
fn schedule(context: usize, steps: f64, learning_rate: f32) -> TrainConfig {
    let steps = (steps as u64).max(MIN_STEPS);
    let settings = format!(
        "steps = {steps}\nbatch = {}\nlearning_rate = {learning_rate}\nwarmup_steps = {}\nweight_decay = 0.1\n\
         max_gradient_norm = 1.0\nseed = 1\nevaluate_every = {}\nevaluate_batches = 10\npatience = 5",
        batch_of(context),
        (steps / 10).clamp(1, 200),
        (steps / 12).max(1),
    );
    toml::from_str(&settings).expect("these are all settings")
}

/// Seconds of a step on this machine as busy as it is: the median of a few after the first.
fn seconds_per_step(model: &ModelConfig, train: &TrainConfig) -> f64 {
    let times = step_times(model, train.batch, model.context, train.precision, 1 + TRIAL_STEPS);
    let mut milliseconds: Vec<f64> = times[1..].iter().map(|time| time.milliseconds).collect();
    milliseconds.sort_by(f64::total_cmp);
    milliseconds[milliseconds.len() / 2] / 1000.0
}

/// A model of one of [`SHAPES`], and its learning rate.
fn of_shape(&(layers, heads, channels, context, rate): &Shape, vocab_size: usize) -> (ModelConfig, f32) {
    (ModelConfig::gpt2(layers, heads, channels, context, vocab_size), rate)
}

/// Models of [`SHAPES`] and of the widths between them, a head at a time; layers, context and rate are those of the
/// narrower neighbour.
fn shapes_between(vocab_size: usize) -> impl Iterator<Item = (ModelConfig, f32)> {
    SHAPES.iter().enumerate().flat_map(move |(index, shape)| {
        let (model, rate) = of_shape(shape, vocab_size);
        let next = SHAPES.get(index + 1).map_or(model.channels + 1, |next| next.2);
        let size = model.head_size();
        (model.channels..next)
            .step_by(size)
            .map(move |channels| (ModelConfig { channels, heads: channels / size, ..model.clone() }, rate))
    })
}

/// Writes the tokens into the folder; gives the settings of a training on them.
fn write_tokens(
    folder: &Path,
    ids: &[TokenId],
    (model, train): (ModelConfig, TrainConfig),
    tokenizer: PathBuf,
) -> anyhow::Result<TrainFile> {
    let held_out = ((ids.len() as f64 * VALIDATION_FRACTION) as usize).clamp(model.context + 1, MAX_VALIDATION_TOKENS);
    ensure!(ids.len() > 2 * held_out, "the texts have {}: too few to train on", count(ids.len() as u64, "token"));
    let (train_ids, validation_ids) = ids.split_at(ids.len() - held_out);
    let width = IdWidth::of_vocabulary(model.vocab_size).bytes();
    let write = |name: &str, ids: &[TokenId]| -> anyhow::Result<FilePatterns> {
        let path = folder.join(name);
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0.to_le_bytes().into_iter().take(width)).collect();
        atomic_file::write(&path, &bytes)?;
        Ok(FilePatterns::One(glob::Pattern::escape(&path.to_string_lossy())))
    };
    let data = DataSection {
        train: write("train.bin", train_ids)?,
        validation: write("validation.bin", validation_ids)?,
        tokenizer: tokenizer.to_string_lossy().into_owned(),
        output: folder.to_path_buf(),
        start_from: None,
    };
    Ok(TrainFile { data, model, train, samples: Some(SamplesSection { prompt: "The".into(), max_tokens: 60 }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_time_gives_a_larger_model_and_a_small_text_a_short_context() {
        let of = |minutes| Budget { minutes: Some(minutes), parameters: None, peak_gflops: 50.0 };
        let parameters = |minutes| of(minutes).choose(8192, 10_000_000).0.parameters();
        assert!(parameters(1.0) < parameters(60.0) && parameters(60.0) < parameters(10_000.0));
        let (model, train) = of(1.0).choose(257, 500);
        assert_eq!((model.context, train.batch), (25, 81));
        train.check().unwrap();
    }

    #[test]
    fn a_number_of_parameters_is_met_and_has_twenty_tokens_for_each() {
        for wanted in [1_000_000, 3_000_000, 10_000_000, 50_000_000] {
            let budget = Budget { minutes: None, parameters: Some(wanted), peak_gflops: 50.0 };
            let (model, train) = budget.choose(8192, 10_000_000);
            let share = model.parameters() as f64 / wanted as f64;
            assert!((0.8..1.25).contains(&share), "{} for {wanted}", model.parameters());
            let seen = train.steps as f64 * (train.batch * model.context) as f64;
            assert!((seen / model.parameters() as f64 - 20.0).abs() < 0.1);
        }
    }

    #[test]
    fn settings_are_told_from_texts() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        assert!(are_settings(&[path("a.toml", "")]) && are_settings(&[path("settings", "[data]\ntrain = \"x\"")]));
        assert!(!are_settings(&[path("a.txt", "A ferry.")]) && !are_settings(&[path("b", "x"), path("c", "[data]")]));
        assert_eq!(beside(Path::new("/x/my.txt")), Path::new("/x/my-model"));
    }
}
