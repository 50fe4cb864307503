//! `bpe info`.

use console::count as counted;
use serde_json::{Value, json};

use super::show::readable;
use crate::explain::{Explained, explain};
use crate::tokenizer::TokenKind;
use crate::{TokenId, Tokenizer};

/// Flags of `bpe info`.
#[derive(clap::Args)]
pub struct Arguments {
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(value_name = "NAME|DIR|FILE")]
    tokenizer: String,
    /// A text: what the tokenizer does to it, step by step.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    #[command(flatten)]
    unsaid: super::FileHints,
    #[command(flatten)]
    specials: super::SpecialTokens,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = arguments.unsaid.load(&arguments.tokenizer)?;
    match &arguments.text {
        Some(text) => {
            let steps = explain(&tokenizer, text, arguments.specials.mode());
            if arguments.json { console::out!("{}", as_json(&steps))? } else { print(&tokenizer, &steps)? }
        }
        None => {
            let facts = Facts::of(&tokenizer);
            if arguments.json { console::out!("{}", facts.as_json(&tokenizer))? } else { facts.print(&tokenizer)? }
        }
    }
    Ok(())
}

/// Numbers of a vocabulary.
struct Facts {
    tokens: usize,
    longest: Vec<u8>,
    mean_bytes: f64,
    with_space: usize,
    not_utf8: usize,
    missing_bytes: usize,
    gaps: usize,
    is_fast: bool,
}

impl Facts {
    fn of(tokenizer: &Tokenizer) -> Facts {
        let tokens: Vec<&[u8]> = tokenizer.vocabulary().map(|(_, token)| token).collect();
        let share = |is: fn(&[u8]) -> bool| tokens.iter().filter(|token| is(token)).count();
        let ids = 0..tokenizer.vocab_size() as u32;
        Facts {
            tokens: tokens.len(),
            longest: tokens.iter().max_by_key(|token| token.len()).map(|token| token.to_vec()).unwrap_or_default(),
            mean_bytes: tokens.iter().map(|token| token.len()).sum::<usize>() as f64 / tokens.len().max(1) as f64,
            with_space: share(|token| token.len() > 1 && token[0] == b' '),
            not_utf8: share(|token| std::str::from_utf8(token).is_err()),
            missing_bytes: (0..=255u8).filter(|&byte| tokenizer.byte_id(byte).is_none()).count(),
            gaps: ids.filter(|&id| tokenizer.kind(TokenId(id)) == TokenKind::Absent).count(),
            is_fast: tokenizer.model().is_fast(),
        }
    }

    fn as_json(&self, tokenizer: &Tokenizer) -> Value {
        let [normalizer, pretokenizer] = tokenizer.rules().describe();
        json!({
            "vocab_size": tokenizer.vocab_size(), "tokens": self.tokens, "merges": tokenizer.merges().len(),
            "specials": tokenizer.specials(), "end_of_text": tokenizer.end_of_text(), "added_tokens": tokenizer.added_tokens(), "longest_bytes": self.longest.len(),
            "mean_bytes": self.mean_bytes, "with_space": self.with_space, "not_utf8": self.not_utf8,
            "missing_bytes": self.missing_bytes, "unused_ids": self.gaps, "normalizer": normalizer,
            "pretokenizer": pretokenizer, "is_merged_fast": self.is_fast, "unicode": crate::UNICODE_VERSION,
        })
    }

    fn print(&self, tokenizer: &Tokenizer) -> std::io::Result<()> {
        const MAX_SHOWN: usize = 12;
        let [normalizer, pretokenizer] = tokenizer.rules().describe();
        let specials = tokenizer.specials();
        let shown = specials.iter().take(MAX_SHOWN).cloned().collect::<Vec<_>>().join(" ");
        let more = specials.len().saturating_sub(MAX_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        console::out!("vocabulary     {}", tokenizer.vocab_size())?;
        if self.gaps > 0 {
            console::out!("unused ids     {}", self.gaps)?;
        }
        console::out!("merges         {}", tokenizer.merges().len())?;
        console::out!("special tokens {shown}{more}")?;
        if let Some(id) = tokenizer.end_of_text() {
            console::out!("end of text    {}, id {}", String::from_utf8_lossy(tokenizer.token(id)), id.0)?;
        }
        let ordinary: Vec<String> = tokenizer
            .added_tokens()
            .iter()
            .filter(|added| !added.special)
            .map(|a| format!("{:?}", a.content))
            .collect();
        if !ordinary.is_empty() {
            console::out!("added tokens   {}", ordinary.join(" "))?;
        }
        let longest = String::from_utf8_lossy(&self.longest);
        console::out!("longest token  {}: {longest:?}", counted(self.longest.len() as u64, "byte"))?;
        console::out!("mean length    {:.2} bytes", self.mean_bytes)?;
        console::out!("with a space   {} begin with one", self.with_space)?;
        console::out!("not UTF-8      {} are parts of characters", self.not_utf8)?;
        if self.missing_bytes > 0 {
            console::out!(
                "missing bytes  {} have no token: what holds them is not decoded as it was",
                self.missing_bytes
            )?;
        }
        console::out!("normalizer     {normalizer}")?;
        console::out!("pre-tokenizer  {pretokenizer}, Unicode {}", crate::UNICODE_VERSION)?;
        if !self.is_fast {
            console::out!("merging        by the definition, slower: the merges break a premise of the fast encoder")?;
        }
        Ok(())
    }
}

fn as_json(steps: &[Explained]) -> Value {
    let step = |step: &Explained| match step {
        Explained::Added { text, id } => json!({"added_token": text, "id": id}),
        Explained::Text { text, normalized, pretokens } => {
            let pretokens: Vec<Value> = pretokens
                .iter()
                .map(|(pretoken, ids)| json!({"pretoken": String::from_utf8_lossy(pretoken), "ids": ids}))
                .collect();
            json!({"text": text, "normalized": normalized, "pretokens": pretokens})
        }
    };
    steps.iter().map(step).collect()
}

fn print(tokenizer: &Tokenizer, steps: &[Explained]) -> std::io::Result<()> {
    let mut tokens = 0;
    for step in steps {
        match step {
            Explained::Added { text, id } => {
                tokens += 1;
                console::out!("added token  {text:?} is {}", id.0)?;
            }
            Explained::Text { text, normalized, pretokens } => {
                console::out!("text         {text:?}")?;
                if text != normalized {
                    console::out!("normalized   {normalized:?}")?;
                }
                let all: Vec<String> = pretokens.iter().map(|(pretoken, _)| readable(pretoken)).collect();
                console::out!("pretokens    {}", all.join("|"))?;
                for (pretoken, ids) in pretokens {
                    tokens += ids.len();
                    let merged: Vec<String> =
                        ids.iter().map(|&id| format!("{} {}", id.0, readable(tokenizer.token(id)))).collect();
                    console::out!(
                        "  {:16} {}",
                        readable(pretoken).replace(' ', "␣"),
                        merged.join(", ").replace("  ", " ␣")
                    )?;
                }
            }
        }
    }
    console::out!("{}", counted(tokens as u64, "token"))
}
