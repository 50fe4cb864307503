//! `webtext explain`: one record from end to end.

use std::path::PathBuf;

use anyhow::bail;
use store::table::{Row, TableReader};
use records::{Document, Duplicate, Link, Outcome, Reason, document_id};
use links::Canonical;
use pipeline::Run;
use pipeline::stages::TokenRow;
use serde_json::{Value, json};
use shard::Split;

use crate::Ending;

/// Characters of the text that are shown.
const TEXT_CHARS: usize = 400;

/// Flags of `webtext explain`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run.
    run: PathBuf,
    /// A URL in any of its variants, or a document's id.
    target: String,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let run = Run::open(&arguments.run)?;
    let target = arguments.target.trim();
    let is_id = target.len() == 32 && target.bytes().all(|b| b.is_ascii_hexdigit());
    let (key, id) = if is_id {
        let found = find(&run, "documents", "documents/", |row: &Document| row.id == target)?;
        match found {
            Some((_, document)) => (document.key, target.to_owned()),
            None => bail!("no document of this run has the id {target}"),
        }
    } else {
        let key = match target.strip_prefix("file:///") {
            Some(path) => format!("file)/{path}"),
            None => Canonical::parse(target).map_or_else(|_| target.to_owned(), |canonical| canonical.key),
        };
        let id = document_id(&key);
        (key, id)
    };
    let fate = Fate::of(&run, &key, &id)?;
    if arguments.json {
        println!("{}", fate.to_json(&key, &id));
    } else if fate.link.is_none() && fate.outcome.is_none() && fate.document.is_none() {
        println!(
            "{target}\n  key         {key}\n  This run has no record of it: no dump links to it, and no archive holds it."
        );
    } else {
        fate.print(&run, &key, &id);
    }
    Ok(Ending::Complete)
}

/// The rows that speak of one link.
struct Fate {
    link: Option<Link>,
    outcome: Option<Outcome>,
    document: Option<(String, Document)>,
    duplicate: Option<Duplicate>,
    tokens: Option<(String, TokenRow)>,
}

impl Fate {
    fn of(run: &Run, key: &str, id: &str) -> anyhow::Result<Fate> {
        let from_web = run.recipe().pages.from == pipeline::recipe::PageSource::Fetch;
        let pages = if from_web { "pages.fetch" } else { "pages.match" };
        let superseded = Some(Reason::SupersededCapture);
        let is_outcome = |row: &Outcome| row.key == key && row.verdict != superseded;
        Ok(Fate {
            link: find(run, "links.merge", "links/", |row: &Link| row.key == key)?.map(|(_, row)| row),
            outcome: find(run, pages, "pages/outcomes-", is_outcome)?.map(|(_, row)| row),
            document: find(run, "documents", "documents/", |row: &Document| row.id == id)?,
            duplicate: find(run, "dedup.cluster", "duplicates/", |row: &Duplicate| row.id == id)?.map(|(_, row)| row),
            tokens: find(run, "tokens.encode", "tokens/documents-", |row: &TokenRow| row.id == id)?,
        })
    }

    fn to_json(&self, key: &str, id: &str) -> Value {
        let tokens = self.tokens.as_ref().map(|(table, row)| json!({"shard": shard_of(table), "row": row}));
        json!({
            "key": key, "id": id, "link": self.link, "page": self.outcome, "document": self.document.as_ref().map(|(_, row)| row),
            "duplicate": self.duplicate, "tokens": tokens,
        })
    }

    fn print(&self, run: &Run, key: &str, id: &str) {
        let line = |label: &str, text: String| println!("  {label:11} {text}");
        let verdict = |verdict: Option<Reason>, detail: &Option<String>| match verdict {
            None => "kept".to_owned(),
            Some(reason) => {
                let detail = detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
                format!("dropped: {reason}{detail}\n              {}", reason.explanation())
            }
        };
        line("key", key.to_owned());
        line("id", id.to_owned());
        if let Some(link) = &self.link {
            println!("\nlink");
            line("url", link.url.clone());
            let subreddit = link.subreddit.as_ref().map(|name| format!(", r/{name}")).unwrap_or_default();
            line("submitted", format!("{} times; {}{subreddit}", link.submissions, link.source));
            line("karma", link.karma.to_string());
            line("verdict", verdict(link.verdict, &None));
        }
        if let Some(outcome) = &self.outcome {
            println!("\npage");
            if let Some(url) = outcome.final_url.as_ref().filter(|url| **url != outcome.url) {
                line("final url", url.clone());
            }
            if let (Some(warc), Some(offset)) = (&outcome.warc, outcome.offset) {
                line(
                    "archived",
                    format!("{warc} at byte {offset}, {}", outcome.captured.as_deref().unwrap_or("no date")),
                );
            }
            if let Some(status) = outcome.status {
                line("answer", format!("{status}, {}", outcome.content_type.as_deref().unwrap_or("no content type")));
            }
            line("verdict", verdict(outcome.verdict, &outcome.detail));
        }
        if let Some((table, document)) = &self.document {
            println!("\ndocument");
            line("table", table.clone());
            line("title", document.title.clone().unwrap_or_default());
            let language = document.language.as_deref().unwrap_or("none");
            let confidence = document.language_confidence.unwrap_or(0.0);
            line("text", format!("{} words, {} bytes, {}", document.words, document.text.len(), document.charset));
            line("language", format!("{language}, confidence {confidence:.2}"));
            line("verdict", verdict(document.verdict, &document.detail));
            let begin: String = document.text.chars().take(TEXT_CHARS).collect();
            println!("\n    {}\n", begin.replace('\n', "\n    "));
        }
        if let Some(duplicate) = &self.duplicate {
            println!("duplicate");
            line("verdict", verdict(Some(duplicate.verdict), &None));
            line("similarity", format!("{:.3} to {}", duplicate.jaccard, duplicate.similar_to));
            line("kept copy", format!("{} ({})", duplicate.representative_id, duplicate.representative_key));
        }
        if let Some((table, row)) = &self.tokens {
            println!("tokens");
            let shard = shard_of(table);
            line("text shard", format!("shards/{shard}.jsonl.zst, line {}", row.line));
            line("tokens", format!("{} from token {} of the shard on", row.tokens, row.start));
            let split = if shard.starts_with(Split::Val.as_str()) { "validation" } else { "training" };
            line("split", format!("{split}; shuffled with seed {}", run.recipe().shards.seed));
        }
    }
}

/// `tokens/documents-train-00000.parquet` is of `train-00000`.
fn shard_of(table: &str) -> &str {
    table.trim_start_matches("tokens/documents-").trim_end_matches(".parquet")
}

/// The first row of a stage's tables that is wanted, and the table it stands in.
fn find<T: Row>(
    run: &Run,
    stage: &str,
    prefix: &str,
    wanted: impl Fn(&T) -> bool,
) -> anyhow::Result<Option<(String, T)>> {
    for table in run.outputs(stage, prefix)? {
        if !table.path.ends_with(".parquet") {
            continue;
        }
        for row in TableReader::<T>::open(&run.folder().join(&table.path))? {
            let row = row?;
            if wanted(&row) {
                return Ok(Some((table.path, row)));
            }
        }
    }
    Ok(None)
}
