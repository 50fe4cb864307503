//! `gpt2 inspect`: what a model does with a text.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use bpe::{Encoder, TokenId, Tokenizer, formats};
use gpt2::inspect::{
    Effect, Inspection, Intervention, TerminalOptions, record, select_names, write_activations, write_page,
};
use gpt2::{Model, load_model};

use crate::commands::check_vocabulary;

/// Look inside a model: embeddings, attention, norms, logit lens; change a step and see the effect.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json, model.safetensors and a tokenizer.
    model: PathBuf,
    /// A text, or the path of a file with one; - for standard input.
    #[arg(value_name = "TEXT|FILE")]
    text: String,
    /// `gpt2`, or a tokenizer's folder or file, instead of the model's own.
    #[arg(long, value_name = "NAME|DIR|FILE")]
    tokenizer: Option<String>,
    /// Begin after end-of-text, as a new document does.
    #[arg(long)]
    new_document: bool,
    /// Only this block, counted from 0.
    #[arg(long)]
    layer: Option<usize>,
    /// Only this head, counted from 0; with --layer its whole map.
    #[arg(long)]
    head: Option<usize>,
    /// The token to look from, counted from 0; default: the last.
    #[arg(long)]
    position: Option<usize>,
    /// Predictions to list.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Wait for Enter after each section.
    #[arg(long)]
    step: bool,
    /// Write one page with everything in it instead.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write activations as tensors instead.
    #[arg(long, value_name = "FILE.safetensors")]
    activations: Option<PathBuf>,
    /// Which activations, with * for any text: 'blocks.3.attn.pattern,*.mlp.post'.
    #[arg(long, default_value = "*", value_name = "NAMES", value_delimiter = ',', requires = "activations")]
    names: Vec<String>,
    /// Set an activation to zero, or to its mean, and show the effect; may be given again.
    #[arg(long, value_name = "NAME[:head=K][:position=P][:mean]", conflicts_with_all = ["html", "activations"])]
    ablate: Vec<String>,
    /// Replace an activation by that of the text of --from and show the effect; may be given again.
    #[arg(long, value_name = "NAME[:head=K][:position=P]", requires = "from", conflicts_with_all = ["html", "activations"])]
    patch: Vec<String>,
    /// The text that --patch takes from.
    #[arg(long, value_name = "TEXT|FILE", requires = "patch")]
    from: Option<String>,
    /// The token whose probability is watched; default: the likeliest one.
    #[arg(long, value_name = "TOKEN")]
    target: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let model = load_model(&arguments.model)?;
    let name = arguments.tokenizer.clone().unwrap_or_else(|| arguments.model.to_string_lossy().into_owned());
    let tokenizer = formats::load(&name)?;
    check_vocabulary(&tokenizer, model.config().vocab_size)?;
    let text = read(&arguments.text)?;
    let tokens = encode(&model, &tokenizer, &text, arguments.new_document)?;
    if let Some(path) = &arguments.activations {
        return export(&model, &text, &tokens, path, &arguments.names);
    }
    if !arguments.ablate.is_empty() || !arguments.patch.is_empty() {
        return intervene(arguments, &model, &tokenizer, &tokens);
    }
    ensure!(arguments.target.is_none(), "--target is watched while --ablate or --patch changes something");
    let inspection = Inspection::new(&model, &tokenizer, &tokens, arguments.top.into());
    let position = arguments.position.unwrap_or(tokens.len() - 1);
    inspection.check(arguments.layer, arguments.head, position)?;
    if let Some(path) = &arguments.html {
        write_page(path, &inspection.page()?)?;
        eprintln!("wrote {}", path.display());
        return Ok(());
    }
    let options = TerminalOptions { layer: arguments.layer, head: arguments.head, position, colour: is_coloured() };
    print(&inspection.sections(&options), arguments.step)
}

fn export(model: &Model, text: &str, tokens: &[u32], path: &Path, names: &[String]) -> anyhow::Result<()> {
    let patterns: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    let all = model.activation_names();
    let kept = record(model, tokens, &select_names(&all, &patterns)?);
    write_activations(path, &kept, text, tokens)?;
    eprintln!("wrote {} activations to {}", kept.len(), path.display());
    Ok(())
}

fn intervene(arguments: &Arguments, model: &Model, tokenizer: &Tokenizer, tokens: &[u32]) -> anyhow::Result<()> {
    let other = match &arguments.from {
        Some(from) => Some(encode(model, tokenizer, &read(from)?, arguments.new_document)?),
        None => None,
    };
    let ablations = arguments.ablate.iter().map(|text| Intervention::ablation(text));
    let patches = arguments.patch.iter().map(|text| Intervention::patch(text));
    let interventions = ablations.chain(patches).collect::<Result<Vec<_>, _>>()?;
    let position = arguments.position.unwrap_or(tokens.len() - 1);
    ensure!(position < tokens.len(), "there is no position {position}: the text has {} tokens", tokens.len());
    let target = arguments.target.as_deref().map(|target| single_token(tokenizer, target)).transpose()?;
    let after = Intervention::run(model, tokens, &interventions, other.as_deref())?;
    let before = model.trace(tokens, |_, _| ());
    let effect = Effect::new(&before, &after, position, target, arguments.top.into());
    print(&[effect.table(tokenizer, is_coloured())], false)
}

/// The text itself, or that of a file or of standard input.
fn read(text: &str) -> anyhow::Result<String> {
    match text {
        "-" => std::io::read_to_string(std::io::stdin()).context("cannot read standard input"),
        path if Path::new(path).is_file() => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {path} as a text"))
        }
        text => Ok(text.to_owned()),
    }
}

/// The ids of a text that the model can take.
fn encode(model: &Model, tokenizer: &Tokenizer, text: &str, new_document: bool) -> anyhow::Result<Vec<u32>> {
    let mut tokens: Vec<u32> = Encoder::new(tokenizer).encode(text).iter().map(|id| id.0).collect();
    if new_document || tokens.is_empty() {
        tokens.insert(0, tokenizer.end_of_text().context("the tokenizer has no end-of-text")?.0);
    }
    let (len, context) = (tokens.len(), model.config().context);
    ensure!(len <= context, "the text has {len} tokens, the model's context {context}\n\nhint: shorten the text");
    Ok(tokens)
}

/// The id of a text that is one token.
fn single_token(tokenizer: &Tokenizer, text: &str) -> anyhow::Result<u32> {
    let ids = Encoder::new(tokenizer).encode(text);
    if let [TokenId(id)] = ids[..] {
        return Ok(id);
    }
    let hint = if text.starts_with(' ') { "" } else { "\n\nhint: most words begin with a space, as in ' the'" };
    bail!("--target '{text}' is {} tokens, not one{hint}", ids.len())
}

fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints sections with an empty line between them, or each after Enter.
fn print(sections: &[String], step: bool) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    for (number, section) in sections.iter().enumerate() {
        let gap = if number > 0 && !step { "\n" } else { "" };
        match stdout.write_all(format!("{gap}{section}").as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other.context("cannot write to standard output")?,
        }
        if step && number + 1 < sections.len() {
            eprint!("Enter for the next step … ");
            let read = std::io::stdin().read_line(&mut String::new()).context("cannot read standard input")?;
            if read == 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}
