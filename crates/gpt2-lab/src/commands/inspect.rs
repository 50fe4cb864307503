//! `gpt2 inspect`: shows the activations of a model for a text, and the effect of changing them.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bpe::Tokenizer;
use console::{Usage, count};
use gpt2::Model;

use crate::commands::{TokenizerSource, load};
use crate::inspect::{
    Effect, Inspection, Intervention, TerminalOptions, record, select_names, values, write_activations, write_page,
};

/// Show the result of each step of a forward pass: embeddings, attention, norms, logit lens. Or change a step and show
/// the effect.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with config.json, model.safetensors and a tokenizer.
    model: PathBuf,
    /// A text, or the path of a file with one; `-` for standard input.
    #[arg(value_name = "TEXT|FILE")]
    text: String,
    /// Tokenizer: `gpt2`, a folder or a file. [default: that in the model's folder]
    #[arg(long, value_name = "NAME|DIR|FILE")]
    tokenizer: Option<String>,
    /// Begin after end-of-text, as a new document does.
    #[arg(long)]
    new_document: bool,
    /// Show only this block, counted from 0.
    #[arg(long)]
    layer: Option<usize>,
    /// Show only this head, counted from 0; with --layer its whole attention map.
    #[arg(long)]
    head: Option<usize>,
    /// The position whose attention, norms and predictions are shown, counted from 0. [default: the last]
    #[arg(long)]
    position: Option<usize>,
    /// Number of predictions per list.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Wait for Enter after each section.
    #[arg(long)]
    step: bool,
    /// Write an HTML page with everything instead; it loads nothing from elsewhere.
    #[arg(long, value_name = "FILE", conflicts_with = "activations")]
    html: Option<PathBuf>,
    /// Write activations to a safetensors file instead.
    #[arg(long, value_name = "FILE.safetensors")]
    activations: Option<PathBuf>,
    /// Write the attention of all heads as a picture instead.
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["html", "activations"])]
    svg: Option<PathBuf>,
    /// Print the numbers of activations at the position instead, of those that --names says.
    #[arg(long, conflicts_with_all = ["html", "activations", "svg"], requires = "names")]
    values: bool,
    /// With --values: numbers of a row at most, 0 for all.
    #[arg(long, default_value_t = 16, value_name = "N", requires = "values")]
    columns: usize,
    /// Names of the activations to write or to print; * stands for any text, as in 'blocks.3.attn.pattern,*.mlp.post'.
    #[arg(long, default_value = "*", value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
    /// Set an activation to zero, or to its mean, and show the effect. May be given several times.
    #[arg(long, value_name = "NAME[:head=K][:position=P][:mean]", conflicts_with_all = ["html", "activations", "svg", "values"])]
    ablate: Vec<String>,
    /// Replace an activation by that of the text of --from, and show the effect. May be given several times.
    #[arg(long, value_name = "NAME[:head=K][:position=P]", requires = "from", conflicts_with_all = ["html", "activations", "svg", "values"])]
    patch: Vec<String>,
    /// The text whose activations --patch takes.
    #[arg(long, value_name = "TEXT|FILE", requires = "patch")]
    from: Option<String>,
    /// With --ablate or --patch: the token whose probability is compared. [default: the most probable one]
    #[arg(long, value_name = "TOKEN")]
    target: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.refuse_inputs_as_outputs()?;
    let (model, tokenizer) = load(&arguments.model, arguments.tokenizer.as_deref(), TokenizerSource::Flag)?;
    let text = read(&arguments.text)?;
    let tokens = encode(&model, &tokenizer, &text, arguments.new_document)?;
    if let Some(path) = &arguments.activations {
        return export(&model, &text, &tokens, path, &arguments.names);
    }
    if !arguments.ablate.is_empty() || !arguments.patch.is_empty() {
        return intervene(arguments, &model, &tokenizer, &tokens);
    }
    ensure!(arguments.target.is_none(), Usage("--target needs --ablate or --patch".into()));
    if arguments.values {
        return print_values(arguments, &model, &tokens);
    }
    let inspection = Inspection::new(&model, &tokenizer, &tokens, arguments.top.into());
    let position = arguments.position.unwrap_or(tokens.len() - 1);
    inspection.check(arguments.layer, arguments.head, position)?;
    if let Some(path) = &arguments.html {
        write_page(path, &inspection.page()?)?;
        tracing::info!("wrote {}", path.display());
        return Ok(());
    }
    if let Some(path) = &arguments.svg {
        write_page(path, &inspection.attention_svg())?;
        tracing::info!("wrote {}", path.display());
        return Ok(());
    }
    let options = TerminalOptions { layer: arguments.layer, head: arguments.head, position, colour: is_coloured() };
    print(&inspection.sections(&options), arguments.step)
}

impl Arguments {
    /// Checks that no output is a file of the model, of the tokenizer, or of a text.
    fn refuse_inputs_as_outputs(&self) -> anyhow::Result<()> {
        let mut inputs: Vec<PathBuf> = Vec::new();
        let named = [Some(&self.text), self.from.as_ref(), self.tokenizer.as_ref()];
        inputs.extend(named.into_iter().flatten().map(PathBuf::from));
        let folders = std::iter::once(self.model.clone()).chain(self.tokenizer.as_ref().map(PathBuf::from));
        for folder in folders.filter(|path| path.is_dir()) {
            let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
            inputs.extend(entries.flatten().map(|entry| entry.path()));
        }
        let outputs = [&self.html, &self.activations, &self.svg].into_iter().flatten();
        console::check_outputs(inputs.iter().map(PathBuf::as_path), outputs.map(PathBuf::as_path))?;
        Ok(())
    }
}

fn export(model: &Model, text: &str, tokens: &[u32], path: &Path, names: &[String]) -> anyhow::Result<()> {
    let patterns: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    let all = model.activation_names();
    let kept = record(model, tokens, &select_names(&all, &patterns)?);
    write_activations(path, &kept, text, tokens)?;
    tracing::info!("wrote {} to {}", count(kept.len() as u64, "activation"), path.display());
    Ok(())
}

fn print_values(arguments: &Arguments, model: &Model, tokens: &[u32]) -> anyhow::Result<()> {
    let patterns: Vec<&str> = arguments.names.iter().map(|name| name.trim()).collect();
    let all = model.activation_names();
    let names = select_names(&all, &patterns)?;
    let position = arguments.position.unwrap_or(tokens.len() - 1);
    check_position(position, tokens.len())?;
    let kept = record(model, tokens, &names);
    let sections: Vec<String> =
        names.iter().map(|name| values(name, &kept[*name], position, arguments.columns)).collect();
    print(&[sections.concat()], false)
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
    check_position(position, tokens.len())?;
    let target = arguments.target.as_deref().map(|target| single_token(tokenizer, target)).transpose()?;
    let after = Intervention::run(model, tokens, &interventions, other.as_deref())?;
    let before = model.trace(tokens, |_, _| ());
    let effect = Effect::new(&before, &after, position, target, arguments.top.into());
    print(&[effect.table(tokenizer, is_coloured())], false)
}

fn check_position(position: usize, len: usize) -> Result<(), Usage> {
    if position < len {
        return Ok(());
    }
    Err(Usage(format!("there is no position {position}: the text has {}", count(len as u64, "token"))))
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

/// The ids of a text, checked against the model's context and vocabulary.
fn encode(model: &Model, tokenizer: &Tokenizer, text: &str, new_document: bool) -> anyhow::Result<Vec<u32>> {
    let mut tokens = crate::encode(tokenizer, text);
    if new_document || tokens.is_empty() {
        tokens.insert(0, tokenizer.end_of_text().context("the tokenizer has no end-of-text")?.0);
    }
    let (len, context) = (tokens.len(), model.config().context);
    ensure!(len <= context, "the text has {len} tokens, more than the model's context of {context}");
    Ok(tokens)
}

/// The id of a text that is one token.
fn single_token(tokenizer: &Tokenizer, text: &str) -> anyhow::Result<u32> {
    let ids = crate::encode(tokenizer, text);
    if let [id] = ids[..] {
        return Ok(id);
    }
    let note = if text.starts_with(' ') { "" } else { "; most words begin with a space, as in ' the'" };
    Err(Usage(format!("--target '{text}' is {}, not one{note}", count(ids.len() as u64, "token"))).into())
}

fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints sections with an empty line between them, or each after Enter.
fn print(sections: &[String], step: bool) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    for (number, section) in sections.iter().enumerate() {
        let gap = if number > 0 && !step { "\n" } else { "" };
        let written = stdout.write_all(format!("{gap}{section}").as_bytes()).and_then(|()| stdout.flush());
        written.context("cannot write to standard output")?;
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
