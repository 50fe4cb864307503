//! `gpt2 sample`: continue one text, token by token, or those of a file.

use std::fs::File;
use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bpe::Tokenizer;
use clap::builder::RangedU64ValueParser;
use console::{Usage, count};
use gpt2::{
    BeamOptions, Model, SampleEvent, SampleOptions, StopReason, TextStream, beam_search, begin_of_text_id, sample_batch,
};
use serde_json::{Value, json};
use texts::{Line, Lines, Source};

use crate::bytes_of;
use crate::commands::{TokenizerSource, ends_of_text, load};

/// Longest line of a file of prompts, in bytes.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Beams at most: each has keys and values of its own.
const MAX_BEAMS: usize = 1 << 12;

/// What is written into a row of JSON Lines.
const WRITTEN_FIELDS: [&str; 3] = ["text", "tokens", "stop"];

/// Continue a text, or those of a file.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json and model.safetensors, and a tokenizer unless --tokenizer names one.
    model: PathBuf,
    /// Tokenizer: `gpt2`, a folder or a file. [default: that in the model's folder]
    #[arg(long, value_name = "NAME|DIR|FILE")]
    tokenizer: Option<String>,
    /// The text to continue. [default: a new document]
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "prompts")]
    prompt: String,
    /// File of texts to continue, or - for standard input: one per line, or JSON Lines with "prompt". Prints one line of JSON per text.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Read special tokens in prompts, such as <|endoftext|>, as the tokens that they name.
    #[arg(long)]
    special: bool,
    /// Texts of a file that are continued in parallel.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    batch: usize,
    /// Maximum number of tokens to add; end-of-text ends a text earlier.
    #[arg(long, default_value_t = 100, value_name = "N")]
    max_tokens: usize,
    /// 0 takes the most probable token each time (greedy), 1 follows the model's probabilities.
    #[arg(long, default_value_t = 0.8)]
    temperature: f32,
    /// Choose among the K most probable tokens; 0 for all.
    #[arg(long, default_value_t = 50, value_name = "K")]
    top_k: usize,
    /// Of what --top-k left, choose among the most probable tokens whose probabilities add up to P; 1 for all.
    #[arg(long, default_value_t = 1.0, value_name = "P")]
    top_p: f32,
    /// Stop when the new tokens end in a cycle of at most 64 tokens that ran N times; 0 for never.
    #[arg(long, default_value_t = 0, value_name = "N")]
    stop_repeats: usize,
    /// Stop before this string, which is not printed. May be given several times.
    #[arg(long, value_name = "STRING")]
    stop: Vec<String>,
    /// Seed of the choices. Text i of a file, from 0, has the seed plus i.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Beam search with N beams: temperature, top-k, top-p and seed are ignored.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    beams: Option<usize>,
    /// Beam search: a text's score is the sum of its log probabilities over its length to this power.
    #[arg(long, default_value_t = 1.0, requires = "beams", value_name = "POWER")]
    length_penalty: f64,
    /// Beam search: stop as soon as there are as many finished texts as beams.
    #[arg(long, requires = "beams")]
    early_stopping: bool,
    /// Print the text, its ids, why it ended, and tokens per second as JSON.
    #[arg(long, conflicts_with = "prompts")]
    json: bool,
}

/// The new part of a text.
#[derive(Default)]
struct Continuation {
    ids: Vec<u32>,
    text: String,
    stop: Option<StopReason>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    check(arguments)?;
    let (model, tokenizer) = load(&arguments.model, arguments.tokenizer.as_deref(), TokenizerSource::Flag)?;
    let mut ends = ends_of_text(&arguments.model, &model, &tokenizer)?.into_iter();
    let (end_of_text, other_ends) = (ends.next(), ends.collect());
    let begin_of_text = begin_of_text_id(&arguments.model)?.filter(|&id| (id as usize) < model.config().vocab_size);
    let writer = Writer { model, tokenizer, begin_of_text, end_of_text, other_ends };
    match &arguments.prompts {
        Some(path) => continue_file(&writer, path, arguments),
        None => continue_one(&writer, arguments),
    }
}

/// A model, its tokenizer, and the ids that end a text. A text without a prompt begins after `begin_of_text`, or else
/// after the first of the others.
struct Writer {
    model: Model,
    tokenizer: Tokenizer,
    begin_of_text: Option<u32>,
    end_of_text: Option<u32>,
    other_ends: Vec<u32>,
}

impl Writer {
    /// The ids of a prompt. One that is longer than the context loses its beginning, which is said with its `place`.
    fn encode(&self, prompt: &str, place: &str, arguments: &Arguments) -> Vec<u32> {
        let specials = if arguments.special { bpe::Specials::Allowed } else { bpe::Specials::Ordinary };
        let ids = bpe::Encoder::new(&self.tokenizer).encode_with(prompt, specials);
        let ids: Vec<u32> = ids.expect("none is refused").into_iter().map(|id| id.0).collect();
        let context = self.model.config().context;
        if ids.len() > context {
            tracing::warn!("{place} has {} tokens; the model sees the last {context}", ids.len());
        }
        if ids.is_empty() { self.begin_of_text.into_iter().collect() } else { ids }
    }
}

fn check(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { temperature, top_p, stop_repeats, length_penalty, beams, stop, .. } = arguments;
    ensure!(
        temperature.is_finite() && *temperature >= 0.0,
        Usage(format!("--temperature {temperature}: it must be at least 0"))
    );
    ensure!((0.0..=1.0).contains(top_p), Usage(format!("--top-p {top_p}: it must be from 0 to 1")));
    ensure!(
        *stop_repeats != 1,
        Usage("--stop-repeats 1: every text has run once; write 2 or more, or 0 for never".into())
    );
    ensure!(length_penalty.is_finite(), Usage(format!("--length-penalty {length_penalty}: it must be finite")));
    ensure!(beams.is_none_or(|beams| beams <= MAX_BEAMS), Usage(format!("--beams: there may be {MAX_BEAMS} at most")));
    let has_stops = *stop_repeats > 0 || !stop.is_empty();
    ensure!(beams.is_none() || !has_stops, Usage("--beams cannot be combined with --stop or --stop-repeats".into()));
    Ok(())
}

/// Continues the texts, one by one with beams, else in parallel; `each` gets a text's index and the event.
fn continue_all(
    Writer { model, tokenizer, end_of_text, other_ends, .. }: &Writer,
    prompts: &[Vec<u32>],
    arguments: &Arguments,
    mut each: impl FnMut(usize, SampleEvent) -> ControlFlow<()>,
) {
    let end_of_text = *end_of_text;
    let Some(width) = arguments.beams else {
        let mut options = SampleOptions::greedy(arguments.max_tokens);
        options.temperature = arguments.temperature;
        options.top_k = arguments.top_k;
        options.top_p = arguments.top_p;
        options.stop_repeats = arguments.stop_repeats;
        options.seed = arguments.seed;
        options.vocab_size = tokenizer.vocab_size();
        options.other_ends.clone_from(other_ends);
        return sample_batch(model, prompts, end_of_text, &options, arguments.batch, each);
    };
    let mut options = BeamOptions::new(width, arguments.max_tokens);
    options.length_penalty = arguments.length_penalty;
    options.early_stopping = arguments.early_stopping;
    options.vocab_size = tokenizer.vocab_size();
    options.other_ends.clone_from(other_ends);
    for (index, prompt) in prompts.iter().enumerate() {
        let best = beam_search(model, prompt, end_of_text, &options).swap_remove(0);
        best.ids.iter().for_each(|&id| _ = each(index, SampleEvent::Token(id)));
        let _ = each(index, SampleEvent::End(best.stop));
    }
}

/// Continues one text, which is printed token by token, or as JSON at its end.
fn continue_one(writer: &Writer, arguments: &Arguments) -> anyhow::Result<()> {
    let prompt = writer.encode(&arguments.prompt, "the prompt", arguments);
    let mut stdout = std::io::stdout().lock();
    let mut show = |text: &str| match arguments.json {
        true => Ok(()),
        false => stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()),
    };
    let mut written = show(&arguments.prompt);
    let mut text = Continuation::default();
    let mut stream = TextStream::new(&arguments.stop);
    let start = Instant::now();
    let mut first = None;
    continue_all(writer, std::slice::from_ref(&prompt), arguments, |_, event| {
        first.get_or_insert_with(|| start.elapsed());
        let (part, flow) = text.add(&writer.tokenizer, &mut stream, event);
        if written.is_ok() {
            written = show(&part);
        }
        if written.is_ok() { flow } else { ControlFlow::Break(()) }
    });
    let elapsed = start.elapsed();
    written.and_then(|()| show("\n")).context("cannot write to standard output")?;
    if arguments.json {
        console::out!("{}", summary(&prompt, &text, first.unwrap_or(elapsed), elapsed))?;
    }
    Ok(())
}

/// What `--json` prints. The first token's time is that of reading the prompt; the rate is that of the others.
fn summary(prompt: &[u32], text: &Continuation, first: Duration, elapsed: Duration) -> Value {
    let rest = text.ids.len().saturating_sub(1);
    let rate = (rest > 0).then(|| rest as f64 / (elapsed - first).as_secs_f64());
    json!({
        "text": text.text, "stop": reason(text.stop), "ids": text.ids, "prompt_ids": prompt,
        "prompt_seconds": first.as_secs_f64(), "seconds": elapsed.as_secs_f64(), "tokens_per_second": rate,
    })
}

/// Why a text ended, by name.
fn reason(stop: Option<StopReason>) -> Value {
    // The caller stops a text only because of --stop.
    if stop == Some(StopReason::Caller) { json!("stop_string") } else { json!(stop) }
}

/// Continues the texts of a file, and prints a line of JSON for each, in the file's order.
fn continue_file(writer: &Writer, path: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let rows = read_prompts(path)?;
    let encode = |(line, row): &(u64, Value)| {
        let place = format!("the prompt of {}, line {line},", path.display());
        writer.encode(row["prompt"].as_str().unwrap_or(""), &place, arguments)
    };
    let prompts: Vec<Vec<u32>> = rows.iter().map(encode).collect();
    let mut texts: Vec<(Continuation, TextStream)> =
        rows.iter().map(|_| (Continuation::default(), TextStream::new(&arguments.stop))).collect();
    let mut rows = rows.into_iter().enumerate().peekable();
    let mut stdout = std::io::stdout().lock();
    let mut written = Ok(());
    let start = Instant::now();
    continue_all(writer, &prompts, arguments, |index, event| {
        let (text, stream) = &mut texts[index];
        let (_, flow) = text.add(&writer.tokenizer, stream, event);
        while let Some((row, (_, mut line))) = rows.next_if(|&(row, _)| texts[row].0.stop.is_some()) {
            let Continuation { ids, text, stop } = &texts[row].0;
            line["text"] = json!(text);
            line["tokens"] = json!(ids.len());
            line["stop"] = reason(*stop);
            written = std::mem::replace(&mut written, Ok(())).and_then(|()| writeln!(stdout, "{line}"));
        }
        if written.is_ok() { flow } else { ControlFlow::Break(()) }
    });
    written.context("cannot write to standard output")?;
    let tokens: usize = texts.iter().map(|(text, _)| text.ids.len()).sum();
    let seconds = start.elapsed().as_secs_f64();
    let (texts, rate) = (count(texts.len() as u64, "text"), tokens as f64 / seconds);
    tracing::info!("{texts}, {}, {rate:.1} tokens/s", count(tokens as u64, "token"));
    Ok(())
}

/// The prompts of a file, each an object with `prompt`, and their lines from 1.
fn read_prompts(path: &Path) -> anyhow::Result<Vec<(u64, Value)>> {
    let cannot_read = || format!("cannot read {}", path.display());
    let source: Source<File> = match path == Path::new("-") {
        true => Source::open_pipe(std::io::stdin()),
        false => Source::open_file(path),
    }
    .with_context(cannot_read)?;
    match source {
        Source::JsonLines(reader) => read_objects(path, reader).with_context(cannot_read),
        Source::PlainText(reader) => {
            let row = |(number, line): (u64, std::io::Result<String>)| Ok((number, json!({ "prompt": line? })));
            let prompts: std::io::Result<Vec<(u64, Value)>> = (1..).zip(reader.lines()).map(row).collect();
            prompts.with_context(cannot_read)
        }
        Source::Parquet(_) => bail!("{} is Parquet; prompts are lines of text or JSON Lines", path.display()),
    }
}

/// Objects with a text `prompt`, one per line that is not blank.
fn read_objects(path: &Path, reader: impl BufRead) -> anyhow::Result<Vec<(u64, Value)>> {
    let mut lines = Lines::new(reader, MAX_LINE_BYTES);
    let mut rows = Vec::new();
    let mut replaced = None;
    while let Some((number, line)) = lines.next()? {
        let place = || format!("{}, line {number}", path.display());
        let Line::Whole(line) = line else { bail!("{}: it is longer than {MAX_LINE_BYTES} bytes", place()) };
        let row: Value = serde_json::from_slice(line).with_context(place)?;
        ensure!(row["prompt"].is_string(), "{}: it is not an object with a text \"prompt\"", place());
        let own = WRITTEN_FIELDS.into_iter().find(|field| row.get(field).is_some());
        replaced = replaced.or(own.map(|field| (number, field)));
        rows.push((number, row));
    }
    if let Some((line, field)) = replaced {
        tracing::warn!("{}, line {line}: its \"{field}\" is replaced by that of the continuation", path.display());
    }
    Ok(rows)
}

impl Continuation {
    /// Applies an event; returns the text that became certain, and whether to continue.
    fn add(&mut self, tokenizer: &Tokenizer, stream: &mut TextStream, event: SampleEvent) -> (String, ControlFlow<()>) {
        let (part, has_stopped) = match event {
            SampleEvent::Token(id) => {
                self.ids.push(id);
                stream.push(bytes_of(tokenizer, id))
            }
            SampleEvent::End(stop) => {
                self.stop = Some(stop);
                (std::mem::replace(stream, TextStream::new(&[])).finish(), false)
            }
        };
        self.text.push_str(&part);
        (part, if has_stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}
