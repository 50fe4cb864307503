//! `gpt2 sample`: continue one text, as it comes, or those of a file.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bpe::{Encoder, TokenId, Tokenizer, formats};
use gpt2::{BeamOptions, Event, Model, SampleOptions, Stop, TextStream, beam_search, load_model, sample_batch};
use serde_json::{Value, json};

use crate::commands::{check_vocabulary, load};

/// Continue a text, or those of a file.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json and model.safetensors, and a tokenizer unless --tokenizer names one.
    model: PathBuf,
    /// A tokenizer's folder or file, or gpt2; default: the model's folder.
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<String>,
    /// The text to continue; default: a new document.
    #[arg(long, default_value = "", conflicts_with = "prompts")]
    prompt: String,
    /// Texts to continue: a line each, or JSON Lines with "prompt" where the name ends in .jsonl. Prints JSON Lines.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Texts of a file that are continued side by side.
    #[arg(long, default_value_t = 8, value_parser = positive)]
    batch: usize,
    /// Most tokens to add.
    #[arg(long, default_value_t = 100)]
    tokens: usize,
    /// 0 takes the likeliest token.
    #[arg(long, default_value_t = 0.8)]
    temperature: f32,
    /// Only the likeliest tokens; 0 for all.
    #[arg(long, default_value_t = 50)]
    top_k: usize,
    /// Only the fewest of the likeliest tokens whose probabilities reach this sum; 1 for all.
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    /// Stop when the text ends in a cycle of at most 64 tokens that ran this often; 0 for never.
    #[arg(long, default_value_t = 0, value_name = "TIMES")]
    stop_repeats: usize,
    /// Stop before this string; may be given several times.
    #[arg(long, value_name = "STRING")]
    stop: Vec<String>,
    /// Seed of the choice; a file's first text has it, the next one more, and so on.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Search for the likeliest text with this many beams; temperature, top-k, top-p and seed have no say.
    #[arg(long, value_name = "WIDTH", value_parser = positive)]
    beams: Option<usize>,
    /// Beams: power of the length by which a text's score is divided.
    #[arg(long, default_value_t = 1.0, requires = "beams")]
    length_penalty: f64,
    /// Beams: stop as soon as there are as many finished texts as beams.
    #[arg(long, requires = "beams")]
    early_stopping: bool,
    /// Print the text with its ids, why it ended, and tokens a second, as JSON.
    #[arg(long, conflicts_with = "prompts")]
    json: bool,
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "not a number of at least 1".into())
}

/// A continuation.
#[derive(Default)]
struct Text {
    ids: Vec<u32>,
    text: String,
    stop: Option<Stop>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    check(arguments)?;
    let (model, tokenizer) = match &arguments.tokenizer {
        None => load(&arguments.model)?,
        Some(name) => (load_model(&arguments.model)?, formats::load(name)?),
    };
    check_vocabulary(&tokenizer, model.config().vocab_size)?;
    match &arguments.prompts {
        Some(path) => continue_file(&model, &tokenizer, path, arguments),
        None => continue_one(&model, &tokenizer, arguments),
    }
}

fn check(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { temperature, top_p, stop_repeats, length_penalty, beams, stop, .. } = arguments;
    ensure!(temperature.is_finite() && *temperature >= 0.0, "--temperature {temperature}: at least 0");
    ensure!((0.0..=1.0).contains(top_p), "--top-p {top_p}: from 0 to 1");
    ensure!(*stop_repeats != 1, "--stop-repeats 1: any text has run once; 2 or more, or 0 for never");
    ensure!(length_penalty.is_finite(), "--length-penalty {length_penalty}: a number");
    ensure!(beams.is_none() || (*stop_repeats == 0 && stop.is_empty()), "--beams has no --stop and no --stop-repeats");
    Ok(())
}

/// Continues the texts one by one or side by side; `each` gets what happens to which.
fn continue_all(
    model: &Model,
    tokenizer: &Tokenizer,
    prompts: &[Vec<u32>],
    arguments: &Arguments,
    mut each: impl FnMut(usize, Event) -> ControlFlow<()>,
) {
    let &Arguments { tokens, temperature, top_k, top_p, stop_repeats, seed, length_penalty, early_stopping, .. } =
        arguments;
    let end_of_text = tokenizer.end_of_text().map(|id| id.0);
    let Some(width) = arguments.beams else {
        let options = SampleOptions { tokens, temperature, top_k, top_p, stop_repeats, seed };
        return sample_batch(model, prompts, end_of_text, &options, arguments.batch, each);
    };
    let options = BeamOptions { width, tokens, length_penalty, early_stopping };
    for (index, prompt) in prompts.iter().enumerate() {
        let best = beam_search(model, prompt, end_of_text, &options).swap_remove(0);
        best.ids.iter().for_each(|&id| _ = each(index, Event::Token(id)));
        let _ = each(index, Event::End(best.stop));
    }
}

/// Continues one text. It appears as it comes, or as JSON at its end.
fn continue_one(model: &Model, tokenizer: &Tokenizer, arguments: &Arguments) -> anyhow::Result<()> {
    let prompt = encode(tokenizer, &arguments.prompt);
    let mut stdout = std::io::stdout().lock();
    let mut show = |text: &str| match arguments.json {
        true => Ok(()),
        false => stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()),
    };
    let mut written = show(&arguments.prompt);
    let mut text = Text::default();
    let mut stream = TextStream::new(&arguments.stop);
    let start = Instant::now();
    let mut first = None;
    continue_all(model, tokenizer, std::slice::from_ref(&prompt), arguments, |_, event| {
        first.get_or_insert_with(|| start.elapsed());
        let more = text.add(tokenizer, &mut stream, event);
        let (part, flow) = more;
        if written.is_ok() {
            written = show(&part);
        }
        if written.is_ok() { flow } else { ControlFlow::Break(()) }
    });
    let elapsed = start.elapsed();
    written.and_then(|()| show("\n")).context("cannot write to standard output")?;
    if arguments.json {
        println!("{}", summary(&prompt, &text, first.unwrap_or(elapsed), elapsed));
    }
    Ok(())
}

/// What `--json` prints. The first token's time is that of reading the prompt; the rate is that of the others.
fn summary(prompt: &[u32], text: &Text, first: Duration, elapsed: Duration) -> Value {
    let rest = text.ids.len().saturating_sub(1);
    let rate = (rest > 0).then(|| rest as f64 / (elapsed - first).as_secs_f64());
    json!({
        "text": text.text, "stop": reason(text.stop), "ids": text.ids, "prompt_ids": prompt,
        "prompt_seconds": first.as_secs_f64(), "seconds": elapsed.as_secs_f64(), "tokens_per_second": rate,
    })
}

/// Why a text ended, by name.
fn reason(stop: Option<Stop>) -> Value {
    // Here a caller has had enough when --stop says so.
    if stop == Some(Stop::Caller) { json!("stop_string") } else { json!(stop) }
}

/// Continues the texts of a file, and prints a line of JSON for each, in the file's order.
fn continue_file(model: &Model, tokenizer: &Tokenizer, path: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let rows = read_prompts(path)?;
    let prompts: Vec<Vec<u32>> =
        rows.iter().map(|row| encode(tokenizer, row["prompt"].as_str().unwrap_or(""))).collect();
    let mut texts: Vec<(Text, TextStream)> =
        rows.iter().map(|_| (Text::default(), TextStream::new(&arguments.stop))).collect();
    let mut rows = rows.into_iter().enumerate().peekable();
    let mut stdout = std::io::stdout().lock();
    let mut written = Ok(());
    let start = Instant::now();
    continue_all(model, tokenizer, &prompts, arguments, |index, event| {
        let (text, stream) = &mut texts[index];
        let (_, flow) = text.add(tokenizer, stream, event);
        while let Some((row, mut line)) = rows.next_if(|&(row, _)| texts[row].0.stop.is_some()) {
            let Text { ids, text, stop } = &texts[row].0;
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
    eprintln!("{} texts, {tokens} tokens, {:.1} a second", texts.len(), tokens as f64 / seconds);
    Ok(())
}

/// The prompts of a file, each an object with `prompt`.
fn read_prompts(path: &Path) -> anyhow::Result<Vec<Value>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_json = path.extension().is_some_and(|extension| extension == "jsonl");
    let mut rows = Vec::new();
    for (number, line) in std::io::BufReader::new(file).lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        if !is_json {
            rows.push(json!({ "prompt": line }));
            continue;
        }
        let row: Value = serde_json::from_str(&line).with_context(place)?;
        if !row["prompt"].is_string() {
            bail!("{}: not an object with a text \"prompt\"", place());
        }
        rows.push(row);
    }
    Ok(rows)
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    Encoder::new(tokenizer).encode(text).into_iter().map(|id| id.0).collect()
}

impl Text {
    /// Adds what happened; gives the text that became certain, and whether to go on.
    fn add(&mut self, tokenizer: &Tokenizer, stream: &mut TextStream, event: Event) -> (String, ControlFlow<()>) {
        let (part, has_stopped) = match event {
            Event::Token(id) => {
                self.ids.push(id);
                // A model may have ids that its tokenizer lacks; they have no text.
                let known = (id as usize) < tokenizer.vocab_size();
                stream.push(if known { tokenizer.token(TokenId(id)) } else { b"" })
            }
            Event::End(stop) => {
                self.stop = Some(stop);
                (std::mem::replace(stream, TextStream::new(&[])).finish(), false)
            }
        };
        self.text.push_str(&part);
        (part, if has_stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}
