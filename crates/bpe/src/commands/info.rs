//! `bpe info`.

use serde_json::json;

use crate::{TokenId, formats};

/// Flags of `bpe info`.
#[derive(clap::Args)]
pub struct Arguments {
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(value_name = "NAME|DIR|FILE")]
    tokenizer: String,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = formats::load(&arguments.tokenizer)?;
    let merges = tokenizer.merges().len();
    let tokens: Vec<&[u8]> = (0..256 + merges as u32).map(|id| tokenizer.token(TokenId(id))).collect();
    let longest = tokens.iter().max_by_key(|token| token.len()).copied().unwrap_or_default();
    let share = |is: fn(&[u8]) -> bool| tokens.iter().filter(|token| is(token)).count();
    let with_space = share(|token| token.len() > 1 && token[0] == b' ');
    let not_utf8 = share(|token| std::str::from_utf8(token).is_err());
    let mean = tokens.iter().map(|token| token.len()).sum::<usize>() as f64 / tokens.len() as f64;
    if arguments.json {
        console::out!(
            "{}",
            json!({
                "vocab_size": tokenizer.vocab_size(), "merges": merges, "specials": tokenizer.specials(),
                "longest_bytes": longest.len(), "mean_bytes": mean, "with_space": with_space, "not_utf8": not_utf8,
                "unicode": crate::UNICODE_VERSION,
            })
        )?;
        return Ok(());
    }
    console::out!("vocabulary     {}", tokenizer.vocab_size())?;
    console::out!("merges         {merges}")?;
    console::out!("special tokens {}", tokenizer.specials().join(" "))?;
    console::out!("longest token  {} bytes: {:?}", longest.len(), String::from_utf8_lossy(longest))?;
    console::out!("mean length    {mean:.2} bytes")?;
    console::out!("with a space   {with_space} begin with one")?;
    console::out!("not UTF-8      {not_utf8} are parts of characters")?;
    console::out!("pre-tokenizer  GPT-2's, Unicode {}", crate::UNICODE_VERSION)?;
    Ok(())
}
