//! `bpe train`.

use std::borrow::Cow;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use atomic_file::AtomicFile;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check_usage;
use super::inputs::OpenedInputs;
use crate::counts::{SpillingCounts, read_words_of, write_words_of};
use crate::formats::TrainingRecord;
use crate::input::Batch;
use crate::train::{Ties, Training, TrainingOptions};
use crate::{END_OF_TEXT, Splitter, Tokenizer, formats};

/// Flags of `bpe train`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Text, JSON Lines or Parquet, by the name or else the content; also .zst, .xz, .bz2 and .gz. `-` for standard
    /// input; of a folder, all its files.
    #[arg(required_unless_present = "counts", value_name = "IN")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    reading: super::Reading,
    /// Extend a tokenizer: its ids, merges, added tokens and its way of splitting are kept; new merges follow its
    /// merges, and their ids follow all of its ids.
    #[arg(long, value_name = "NAME|DIR|FILE")]
    from: Option<String>,
    /// How texts are split into words: gpt2, cl100k, o200k, llama3, qwen2, deepseek3, or a regular expression. With
    /// --from only for files that do not say it. [default: gpt2]
    #[arg(long, value_name = "NAME|REGEX")]
    pattern: Option<String>,
    /// A special token behind all others, in place of <|endoftext|>; may be given several times. [default: <|endoftext|>;
    /// with --from none beside its own]
    #[arg(long = "special", value_name = "TOKEN")]
    specials: Vec<String>,
    /// Size of the vocabulary: the 256 bytes or the ids of --from, new merges and special tokens. Several sizes give one
    /// folder each.
    #[arg(long, value_name = "N,…", value_delimiter = ',', required = true)]
    vocab_size: Vec<usize>,
    /// Pairs that occur less often are not merged.
    #[arg(long, value_name = "N", default_value_t = 2)]
    min_frequency: u64,
    /// Order of pairs with the same count: as in Hugging Face's trainer, or as in rustbpe.
    #[arg(long, value_enum, default_value = "gpt2-bytes")]
    ties: Ties,
    /// Share of documents to count, 0 to 1, chosen by a hash of the file's name and their place in it.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    sample: f64,
    /// Train on the word counts of --save-counts instead of texts. --pattern must be the one that they
    /// were counted with.
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    counts: Option<PathBuf>,
    /// Also write the word counts.
    #[arg(long, value_name = "FILE")]
    save_counts: Option<PathBuf>,
    /// Folder for merges.txt, vocab.json, tokenizer.json, tokenizer.tiktoken and training.json.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Seconds between checkpoints, from which the next call continues; 0 for one after every 256 merges.
    #[arg(long, value_name = "N", default_value_t = 20)]
    checkpoint_seconds: u64,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    check_usage(arguments.sample > 0.0 && arguments.sample <= 1.0, "--sample lies above 0 and up to 1")?;
    let sizes = arguments.sizes();
    let pattern = arguments.pattern.as_deref();
    let to_load = formats::LoadOptions::default().with_pattern(arguments.pattern.clone());
    let base = arguments.from.as_deref().map(|name| formats::load_with(name, &to_load)).transpose()?;
    base.as_ref().map(formats::check_json).transpose()?;
    let splitter = match &base {
        Some(base) => Splitter::of_tokenizer(base),
        None => Splitter::of_pattern(pattern.unwrap_or("gpt2")).map_err(console::Usage)?,
    };
    let options = TrainingOptions::new(sizes[sizes.len() - 1])
        .with_min_frequency(arguments.min_frequency)
        .with_ties(arguments.ties)
        .with_specials(arguments.specials())
        .with_splitter(splitter);
    let start = Start { base, options };
    start.check(&sizes)?;
    // What is missing is known before the folder is made.
    let inputs = super::Inputs { paths: arguments.paths.clone(), reading: arguments.reading.clone() };
    let cuts = start.options.splitter.cuts();
    let inputs = if arguments.counts.is_none() { Some(inputs.opened(cuts)?) } else { None };
    check_outputs(arguments, &sizes, inputs.as_ref())?;
    std::fs::create_dir_all(&arguments.output)
        .with_context(|| format!("cannot create {}", arguments.output.display()))?;
    let stop = super::stop_on_ctrl_c()?;
    let Counted { words, documents } = count(arguments, inputs.as_ref(), &start.options.splitter, &stop)?;
    if let Some(path) = &arguments.save_counts {
        let mut file = AtomicFile::create(path)?;
        let counts = words.iter().map(|(word, count)| (word.as_slice(), *count));
        write_words_of(&start.options.splitter, counts, &mut file)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.commit()?;
    }
    let (training, resumed) = train(&words, &start, arguments, &stop)?;
    let mut ladder = Vec::new();
    for &size in &sizes {
        let folder = arguments.folder(&sizes, size);
        ladder.push(write_size(&training, size, &folder, arguments, documents, words.len())?);
    }
    // The tokenizers are written, so the checkpoint is no longer needed.
    let _ = std::fs::remove_file(checkpoint_path(&arguments.output));
    atomic_file::sweep_here(&arguments.output)?;
    report(arguments, documents, words.len(), resumed, &ladder)
}

impl Arguments {
    /// The sizes in ascending order.
    fn sizes(&self) -> Vec<usize> {
        let mut sizes = self.vocab_size.clone();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    fn specials(&self) -> Vec<String> {
        let has_default = self.specials.is_empty() && self.from.is_none();
        if has_default { vec![END_OF_TEXT.to_owned()] } else { self.specials.clone() }
    }

    /// The folder for the tokenizer of one size.
    fn folder(&self, sizes: &[usize], size: usize) -> PathBuf {
        if sizes.len() == 1 { self.output.clone() } else { self.output.join(size.to_string()) }
    }
}

/// What a training begins with.
struct Start {
    /// Instead of bytes alone.
    base: Option<Tokenizer>,
    options: TrainingOptions,
}

impl Start {
    /// Whether vocabularies of these sizes, which ascend, can be made.
    fn check(&self, sizes: &[usize]) -> Result<(), console::Usage> {
        if self.base.is_none() {
            let least = 256 + self.options.specials.len();
            let specials = self.options.specials.join(", ");
            check_usage(sizes[0] >= least, &format!("a vocabulary has at least the 256 bytes and {specials}"))?;
        }
        let base = self.base.as_ref().map_or_else(|| Cow::Owned(Tokenizer::bytes_only()), Cow::Borrowed);
        [sizes[0], sizes[sizes.len() - 1]].into_iter().try_for_each(|vocab_size| {
            let options = TrainingOptions { vocab_size, ..self.options.clone() };
            options.check_from(&base).map_err(|error| console::Usage(error.to_string()))
        })
    }

    fn training(&self, words: &[(Vec<u8>, u64)]) -> anyhow::Result<Training> {
        Ok(match &self.base {
            Some(base) => Training::from_tokenizer(base, words, &self.options)?,
            None => Training::new(words, &self.options),
        })
    }

    /// Hash of the words and of what the merges depend on.
    fn fingerprint(&self, words: &[(Vec<u8>, u64)]) -> String {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for (word, count) in words {
            hasher.update(&(word.len() as u64).to_le_bytes());
            hasher.update(word);
            hasher.update(&count.to_le_bytes());
        }
        let TrainingOptions { min_frequency, ties, specials, .. } = &self.options;
        let base = self.base.as_ref().map(formats::tokenizer_json::write);
        // The size is not part of it: a larger vocabulary begins with the merges of a smaller one.
        hasher.update(json!([min_frequency, ties, crate::UNICODE_VERSION, specials, base]).to_string().as_bytes());
        format!("{:016x}", hasher.digest())
    }
}

/// No file of a tokenizer may be an input: neither the file of `--from` nor what is read beside it.
fn check_outputs(arguments: &Arguments, sizes: &[usize], inputs: Option<&OpenedInputs>) -> Result<(), console::Usage> {
    let names = ["merges.txt", "vocab.json", "tokenizer.json", "tokenizer.tiktoken", "training.json"];
    let folders = sizes.iter().map(|&size| arguments.folder(sizes, size));
    let outputs = folders.flat_map(|folder| names.map(|name| folder.join(name))).chain(arguments.save_counts.clone());
    let outputs: Vec<PathBuf> = outputs.collect();
    let base = arguments.from.as_deref().and_then(|name| formats::files_of(name).ok()).unwrap_or_default();
    let beside = base.iter().flat_map(|file| names.map(|name| file.with_file_name(name)));
    let read: Vec<PathBuf> = beside.chain(base.iter().cloned()).chain(arguments.counts.clone()).collect();
    let texts = inputs.into_iter().flat_map(OpenedInputs::paths);
    console::check_outputs(texts.chain(read.iter().map(PathBuf::as_path)), outputs.iter().map(PathBuf::as_path))
}

struct Counted {
    words: Vec<(Vec<u8>, u64)>,
    documents: u64,
}

/// Counts words in the given memory, or reads the counts of an earlier training.
fn count(
    arguments: &Arguments,
    inputs: Option<&OpenedInputs>,
    splitter: &Splitter,
    stop: &AtomicBool,
) -> anyhow::Result<Counted> {
    if let Some(path) = &arguments.counts {
        let failed = || format!("cannot read the word counts {}", path.display());
        let file = File::open(path).with_context(failed)?;
        let file = BufReader::with_capacity(1 << 18, file);
        let words = read_words_of(splitter, file).with_context(failed)?.into_sorted();
        return Ok(Counted { words, documents: 0 });
    }
    let memory_bytes = arguments.reading.memory_bytes() / 2 / arguments.reading.threads();
    // A worker adds its counts to these when it ends.
    let sets: Mutex<Vec<SpillingCounts>> = Mutex::new(Vec::new());
    struct Worker<'s> {
        counts: Option<SpillingCounts>,
        sets: &'s Mutex<Vec<SpillingCounts>>,
    }
    impl Drop for Worker<'_> {
        fn drop(&mut self) {
            self.sets.lock().expect("no worker panics with it").extend(self.counts.take());
        }
    }
    let mut documents = 0;
    let worker = || {
        let mut worker =
            Worker { counts: Some(SpillingCounts::new(memory_bytes).with_splitter(splitter.clone())), sets: &sets };
        move |batch: Batch| -> anyhow::Result<u64> {
            let counts = worker.counts.as_mut().expect("taken when the worker ends");
            let mut documents = 0;
            batch.for_each_sampled_piece(arguments.sample, |piece, ends| -> anyhow::Result<()> {
                documents += u64::from(ends);
                counts.add_text(piece).context("cannot write word counts to the folder for temporary files")
            })?;
            Ok(documents)
        }
    };
    let inputs = inputs.expect("there are texts if there are no counts");
    inputs.map(stop, worker, |n: u64| {
        documents += n;
        Ok(())
    })?;
    inputs.warn_of_skipped();
    let sets = sets.into_inner().expect("no worker panics with it");
    let words = SpillingCounts::into_sorted(sets).context("cannot read word counts back")?;
    Ok(Counted { words, documents })
}

/// The checkpoint of a training.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    /// Hash of the words and the options: the merges of others are of no use.
    fingerprint: String,
    merges: Vec<(u32, u32)>,
}

fn checkpoint_path(output: &Path) -> PathBuf {
    output.join("merges.checkpoint.json")
}

/// Trains, continuing from the checkpoint if there is one for the same words and options; returns how many merges it
/// held.
fn train(
    words: &[(Vec<u8>, u64)],
    start: &Start,
    arguments: &Arguments,
    stop: &AtomicBool,
) -> anyhow::Result<(Training, usize)> {
    let fingerprint = start.fingerprint(words);
    let path = checkpoint_path(&arguments.output);
    let mut training = start.training(words)?;
    let held = std::fs::read(&path).ok().and_then(|json| serde_json::from_slice::<Checkpoint>(&json).ok());
    if let Some(held) = held.filter(|held| held.fingerprint == fingerprint)
        && !training.replay(&held.merges)
    {
        training = start.training(words)?;
    }
    let resumed = training.merges().len();
    let between = Duration::from_secs(arguments.checkpoint_seconds);
    let mut last = Instant::now();
    while training.merge_next() {
        if !training.merges().len().is_multiple_of(256) {
            continue;
        }
        let is_stopped = stop.load(Ordering::Relaxed);
        if is_stopped || last.elapsed() >= between {
            let checkpoint = Checkpoint { fingerprint: fingerprint.clone(), merges: training.merges().to_vec() };
            atomic_file::write(&path, &serde_json::to_vec(&checkpoint)?)?;
            last = Instant::now();
        }
        if is_stopped {
            return Err(anyhow::Error::new(console::Stopped).context("the same command goes on from the checkpoint"));
        }
    }
    Ok((training, resumed))
}

/// Writes the tokenizer of one size, and `training.json`.
fn write_size(
    training: &Training,
    size: usize,
    folder: &Path,
    arguments: &Arguments,
    documents: u64,
    words: usize,
) -> anyhow::Result<Value> {
    let tokenizer = training.tokenizer(Some(size));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (files, left_out) = formats::files_of_training(&tokenizer);
    for (name, why) in left_out {
        tracing::info!("left out: {name} cannot hold this tokenizer: {why}");
        remove_older(&folder.join(name))?;
    }
    for (name, content) in files {
        atomic_file::write(&folder.join(name), content.as_bytes())?;
    }
    let (bytes, tokens) = (training.text_bytes(), training.tokens_of(size));
    let TrainingRecord { pattern, added_tokens } = TrainingRecord::of(&tokenizer);
    let row = json!({
        "version": env!("CARGO_PKG_VERSION"), "vocab_size": tokenizer.vocab_size(), "from": arguments.from,
        "min_frequency": arguments.min_frequency, "ties": arguments.ties, "pattern": pattern, "added_tokens": added_tokens,
        "sample": arguments.sample, "unicode": crate::UNICODE_VERSION, "documents": documents, "distinct_words": words,
        "bytes": bytes, "tokens": tokens, "bytes_per_token": bytes as f64 / tokens.max(1) as f64,
    });
    atomic_file::write(&folder.join("training.json"), format!("{row:#}\n").as_bytes())?;
    // A kill may have left a temporary file; no other training writes to this folder.
    atomic_file::sweep_here(folder)?;
    Ok(row)
}

/// Removes a file that an earlier training wrote: it is of another tokenizer.
fn remove_older(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn report(arguments: &Arguments, documents: u64, words: usize, resumed: usize, ladder: &[Value]) -> anyhow::Result<()> {
    if arguments.json {
        let sizes: Vec<Value> = ladder
            .iter()
            .map(|row| json!({"vocab_size": row["vocab_size"], "tokens": row["tokens"], "bytes_per_token": row["bytes_per_token"]}))
            .collect();
        console::out!(
            "{}",
            json!({
                "documents": documents, "distinct_words": words, "vocab_size": ladder[ladder.len() - 1]["vocab_size"],
                "merges_resumed": resumed, "sizes": sizes,
            })
        )?;
        return Ok(());
    }
    let (documents, words) = (console::count(documents, "document"), console::count(words as u64, "distinct word"));
    tracing::info!("{documents}, {words}, into {}", arguments.output.display());
    if resumed > 0 {
        tracing::info!("  resumed after the {} of an earlier call", console::count(resumed as u64, "merge"));
    }
    tracing::info!(
        "  other programs than bpe take tokenizer.json: merges.txt and tokenizer.tiktoken are read together with \
         training.json, which has their pattern and special tokens"
    );
    for row in ladder {
        let per_token = row["bytes_per_token"].as_f64().unwrap_or(0.0);
        tracing::info!("  vocabulary {:>7}  {per_token:.3} bytes per token", row["vocab_size"].to_string());
    }
    let (asked, last) = (arguments.vocab_size.iter().max(), ladder[ladder.len() - 1]["vocab_size"].as_u64());
    if asked.is_some_and(|&asked| last < Some(asked as u64)) {
        let times = console::count(arguments.min_frequency, "time");
        tracing::warn!("the vocabulary is smaller than asked for: no other pair occurs {times} in the texts");
    }
    Ok(())
}
