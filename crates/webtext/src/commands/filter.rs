//! `webtext filter`: JSON Lines through the rules.

use std::path::PathBuf;

use filter::{LanguageRule, Rules, Source};
use records::Counts;
use serde_json::json;

use super::{JsonLines, Usage, for_each_row};
use crate::Ending;

/// Flags of `webtext filter`.
#[derive(clap::Args)]
pub struct Arguments {
    /// JSON Lines with a `text` field; also .zst and .gz.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Kept rows with what they were judged by; .jsonl or .jsonl.zst.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Dropped rows with their reasons.
    #[arg(long, value_name = "OUT")]
    dropped: Option<PathBuf>,
    /// The language that is kept; `any` keeps all.
    #[arg(long, default_value = "en")]
    language: String,
    /// Least confidence of the language.
    #[arg(long, default_value_t = 0.5)]
    confidence: f64,
    /// Fewest words.
    #[arg(long, default_value_t = 100)]
    words_at_least: u64,
    /// Most words.
    #[arg(long, default_value_t = 100_000)]
    words_at_most: u64,
    /// Keep copies of Wikipedia.
    #[arg(long)]
    keep_wikipedia: bool,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let language = (arguments.language != "any")
        .then(|| LanguageRule { keep: arguments.language.clone(), at_least: arguments.confidence });
    if let Some(rule) = &language
        && !filter::is_known_language(&rule.keep)
    {
        return Err(Usage(format!("the language {:?} is not known", rule.keep)).into());
    }
    let rules = Rules {
        language,
        drop_wikipedia: !arguments.keep_wikipedia,
        words_at_least: arguments.words_at_least,
        words_at_most: arguments.words_at_most,
    };
    let mut kept = JsonLines::create(&arguments.output)?;
    let mut dropped = arguments.dropped.as_deref().map(JsonLines::create).transpose()?;
    let mut counts = Counts::default();
    let all_readable = for_each_row(&arguments.inputs, |mut row, text| {
        let field = |name: &str| row[name].as_str().unwrap_or("").to_owned();
        let (domain, title) = (field("domain"), field("title"));
        let judgement = rules.judge(text, Source { domain: &domain, title: &title, generator: "" });
        row["language"] = json!(judgement.language);
        row["language_confidence"] = json!(judgement.confidence);
        row["words"] = json!(judgement.words);
        counts.record(judgement.drop.as_ref().map(|(reason, _)| *reason));
        match (judgement.drop, &mut dropped) {
            (None, _) => kept.push(&row),
            (Some((reason, detail)), Some(dropped)) => {
                row["verdict"] = json!(reason);
                row["detail"] = json!(detail);
                dropped.push(&row)
            }
            (Some(_), None) => Ok(()),
        }
    })?;
    kept.finish()?;
    dropped.map(JsonLines::finish).transpose()?;
    super::print_counts(&counts, arguments.json)?;
    Ok(if all_readable { Ending::Complete } else { Ending::SomeUnreadable })
}
