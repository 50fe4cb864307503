//! `webtext filter`: rows of JSON Lines and Parquet through the rules.

use std::path::PathBuf;

use console::Exit;
use filter::{About, Filter, Language, Length, RuleSettings, Wikipedia, detect_language};
use records::{Counts, Reason};
use serde::{Deserialize, Serialize};
use texts::RowWriter;

use super::{Faults, Usage, for_each_row};

/// Flags of `webtext filter`.
#[derive(clap::Args)]
pub struct Arguments {
    /// JSON Lines or Parquet with a `text` field; also .zst and .gz.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Kept rows with all their fields and the measures; .jsonl, also .zst and .gz, or .parquet.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Dropped rows with all their fields, the measures and the reason; as OUT.
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

/// What is added to a row.
#[derive(Serialize, Deserialize)]
struct Measures {
    language: Option<String>,
    language_confidence: Option<f64>,
    words: u64,
}

/// What is added to a dropped row.
#[derive(Serialize, Deserialize)]
struct Dropped {
    language: Option<String>,
    language_confidence: Option<f64>,
    words: u64,
    verdict: String,
    detail: String,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let filter = Filter::new(&rules(arguments)?)?;
    let mut kept = RowWriter::create(&arguments.output)?;
    let mut dropped = arguments.dropped.as_deref().map(RowWriter::create).transpose()?;
    let mut counts = Counts::default();
    let unreadable = for_each_row(&arguments.inputs, Faults::Named, |row| {
        let field = |name: &str| row.field(name).unwrap_or_default();
        let (url, domain, title) = (field("url"), field("domain"), field("title"));
        let judgement = filter.judge(row.text(), About { url: &url, domain: &domain, title: &title, generator: "" });
        let reason = judgement.failure.as_ref().map(|failure| Reason::of_rule(failure.rule, failure.measure));
        counts.record(reason);
        let (language, language_confidence) = detect_language(row.text()).unzip();
        let (language, language_confidence) = (language.map(str::to_owned), language_confidence.map(f64::from));
        let words = words::count(row.text());
        match (judgement.failure.zip(reason), &mut dropped) {
            (None, _) => kept.push(&row, Measures { language, language_confidence, words })?,
            (Some((failure, reason)), Some(dropped)) => {
                let (verdict, detail) = (reason.to_string(), failure.detail);
                dropped.push(&row, Dropped { language, language_confidence, words, verdict, detail })?;
            }
            (Some(_), None) => {}
        }
        Ok(())
    })?;
    kept.commit()?;
    dropped.map(RowWriter::commit).transpose()?;
    let ending = unreadable.end(&mut counts);
    super::print_counts(&counts, arguments.json)?;
    Ok(ending)
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
