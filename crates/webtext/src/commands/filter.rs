//! `webtext filter`: JSON Lines through the rules.

use std::path::PathBuf;

use console::Exit;
use filter::{About, Filter, Language, Length, RuleSettings, Wikipedia, detect_language};
use records::{Counts, Reason};
use serde_json::json;

use super::{JsonLines, Usage, for_each_row};

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
    min_confidence: f64,
    /// Fewest words.
    #[arg(long, default_value_t = 100)]
    min_words: u64,
    /// Most words.
    #[arg(long, default_value_t = 100_000)]
    max_words: u64,
    /// Keep copies of Wikipedia.
    #[arg(long)]
    keep_wikipedia: bool,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let filter = Filter::new(&rules(arguments)?)?;
    let mut kept = JsonLines::create(&arguments.output)?;
    let mut dropped = arguments.dropped.as_deref().map(JsonLines::create).transpose()?;
    let mut counts = Counts::default();
    let all_readable = for_each_row(&arguments.inputs, |mut row, text| {
        let field = |name: &str| row[name].as_str().unwrap_or("").to_owned();
        let (url, domain, title) = (field("url"), field("domain"), field("title"));
        let judgement = filter.judge(text, About { url: &url, domain: &domain, title: &title, generator: "" });
        let (language, language_confidence) = detect_language(text).unzip();
        row["language"] = json!(language);
        row["language_confidence"] = json!(language_confidence);
        row["words"] = json!(words::count(text));
        let reason = judgement.failure.as_ref().map(|failure| Reason::of_rule(failure.rule, failure.measure));
        counts.record(reason);
        match (judgement.failure, &mut dropped) {
            (None, _) => kept.push(&row),
            (Some(failure), Some(dropped)) => {
                row["verdict"] = json!(reason);
                row["detail"] = json!(failure.detail);
                dropped.push(&row)
            }
            (Some(_), None) => Ok(()),
        }
    })?;
    kept.finish()?;
    dropped.map(JsonLines::finish).transpose()?;
    super::print_counts(&counts, arguments.json)?;
    Ok(if all_readable { Exit::Complete } else { Exit::SomeUnreadable })
}

/// The rules of the flags, in the order of the quickstart's recipe.
fn rules(arguments: &Arguments) -> anyhow::Result<Vec<RuleSettings>> {
    let mut rules = Vec::new();
    if !arguments.keep_wikipedia {
        rules.push(RuleSettings::Wikipedia(Wikipedia {}));
    }
    rules.push(RuleSettings::Length(Length { min_words: arguments.min_words, max_words: arguments.max_words }));
    if arguments.language != "any" {
        let (keep, min_confidence) = (arguments.language.clone(), arguments.min_confidence);
        rules.push(RuleSettings::Language(Language { keep, min_confidence }));
    }
    for rule in &rules {
        rule.check().map_err(|error| Usage(error.to_string()))?;
    }
    Ok(rules)
}
