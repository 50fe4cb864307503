//! `bpe show`: a text with its tokens.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::Context;

use crate::{Encoder, TokenId, Tokenizer};

/// Background colours of adjacent tokens, in turn (256-colour palette), light enough for black letters.
const COLOURS: [u8; 6] = [153, 157, 222, 219, 159, 186];

/// Flags of `bpe show`.
#[derive(clap::Args)]
pub struct Arguments {
    /// A text, or the path of a file with one; - for standard input.
    #[arg(value_name = "TEXT|FILE")]
    text: String,
    #[command(flatten)]
    tokenizer: super::TokenizerName,
    /// Print one token per line, with its id.
    #[arg(long)]
    ids: bool,
    /// Print an HTML page; it shows the id of the token under the pointer.
    #[arg(long, conflicts_with = "ids")]
    html: bool,
    #[command(flatten)]
    specials: super::SpecialTokens,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = arguments.tokenizer.load()?;
    let text = match arguments.text.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?,
        // Also a pipe, such as a shell gives for `<(…)`.
        path if Path::new(path).exists() && !Path::new(path).is_dir() => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {path} as a text"))?
        }
        text => text.to_owned(),
    };
    let ids = Encoder::new(&tokenizer).encode_with(&text, arguments.specials.mode())?;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let shown = match () {
        () if arguments.html => as_html(&tokenizer, &ids),
        () if arguments.ids => with_ids(&tokenizer, &ids),
        () if colour => in_colour(&tokenizer, &ids),
        () => plain(&tokenizer, &ids),
    };
    match std::io::Write::write_all(&mut std::io::stdout(), shown.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// A token in readable form: text, with invalid bytes as `<e4>`, and line ends as `⏎`.
pub(super) fn readable(token: &[u8]) -> String {
    let mut text = String::new();
    for chunk in token.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\n' => text.push('⏎'),
                '\t' => text.push('⇥'),
                char if char.is_control() => text.extend(char.escape_default()),
                char => text.push(char),
            }
        }
        chunk.invalid().iter().for_each(|byte| write!(text, "<{byte:02x}>").expect("a string takes all"));
    }
    text
}

/// Line ends of a token, which are printed after it.
fn line_ends(token: &[u8]) -> String {
    "\n".repeat(token.iter().filter(|&&byte| byte == b'\n').count())
}

fn in_colour(tokenizer: &Tokenizer, ids: &[TokenId]) -> String {
    let mut shown = String::new();
    for (&id, colour) in ids.iter().zip(COLOURS.iter().cycle()) {
        let token = tokenizer.token(id);
        let _ = write!(shown, "\x1b[30;48;5;{colour}m{}\x1b[0m{}", readable(token), line_ends(token));
    }
    format!("{shown}\n{}\n", console::count(ids.len() as u64, "token"))
}

fn plain(tokenizer: &Tokenizer, ids: &[TokenId]) -> String {
    let mut shown = String::new();
    for &id in ids {
        let token = tokenizer.token(id);
        let _ = write!(shown, "{}|{}", readable(token), line_ends(token));
    }
    format!("{shown}\n{}\n", console::count(ids.len() as u64, "token"))
}

fn with_ids(tokenizer: &Tokenizer, ids: &[TokenId]) -> String {
    let lines = ids.iter().map(|&id| format!("{:>7}  {}\n", id.0, readable(tokenizer.token(id)).replace(' ', "␣")));
    lines.collect()
}

fn as_html(tokenizer: &Tokenizer, ids: &[TokenId]) -> String {
    let mut shown = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Tokens</title><style>\
         body{font:1.1em/1.7 ui-monospace,monospace;max-width:60em;margin:2em auto;padding:0 1em;white-space:pre-wrap;color:#111;background:#fff}\
         span{border-radius:3px;padding:.1em 0}span:nth-child(6n){background:#afd7ff}span:nth-child(6n+1){background:#afffaf}\
         span:nth-child(6n+2){background:#ffd787}span:nth-child(6n+3){background:#ffafff}span:nth-child(6n+4){background:#afffff}\
         span:nth-child(6n+5){background:#d7d787}footer{margin-top:2em;color:#555}</style><body>",
    );
    for &id in ids {
        let token = tokenizer.token(id);
        let _ =
            write!(shown, "<span title={}>{}</span>{}", id.0, console::escape_html(&readable(token)), line_ends(token));
    }
    let _ = writeln!(
        shown,
        "<footer>{}; point at one to see its id.</footer></body></html>",
        console::count(ids.len() as u64, "token")
    );
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_legible_without_colour() {
        let gpt2 = Tokenizer::gpt2();
        let ids = Encoder::new(&gpt2).encode("The tide\ncame <in>");
        assert_eq!(plain(&gpt2, &ids), "The| tide|⏎|\nc|ame| <|in|>|\n8 tokens\n");
        assert!(with_ids(&gpt2, &ids).starts_with("    464  The\n  20013  ␣tide\n    198  ⏎\n"));
        assert_eq!(readable(b"\xe2\x82a\t\0"), "<e2><82>a⇥\\u{0}");
        let html = as_html(&gpt2, &ids);
        assert!(html.contains("<span title=1279> &lt;</span>"), "{html}");
        assert!(in_colour(&gpt2, &ids).contains("\x1b[0m"));
    }
}
