//! `webtext explain`: one record through all stages.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;
use console::{Exit, count};
use pipeline::RecipeRun;
use pipeline::engine::{Sample, StageState, Table, Wire};
use pipeline::stages::{DroppedRecordFound, TokenRow, find_dropped_record, mentions_url};
use records::{
    CutSpans, Document, DocumentText, Duplicate, Exclusion, Link, Outcome, OverlapMatch, Reason, document_id,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shard::Split;

/// Characters of the text that are shown.
const TEXT_CHARS: usize = 400;

/// Flags of `webtext explain`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run.
    run: PathBuf,
    /// A URL in any spelling, or a document id.
    target: String,
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let run = RecipeRun::open(&arguments.run)?;
    let target = arguments.target.trim();
    let is_id = target.len() == 32 && target.bytes().all(|b| b.is_ascii_hexdigit());
    let keys = if is_id {
        let found = find(&run, Some(run.products.documents), |row: &Document| row.id == target)?;
        match found {
            Some((_, document)) => vec![document.key],
            None => bail!("no document of this run has the id {target}"),
        }
    } else {
        keys_of(&run, target)?
    };
    let mut found = None;
    for key in &keys {
        let id = if is_id { target.to_owned() } else { document_id(key) };
        let fate = Fate::of(&run, key, &id)?;
        if !fate.is_unknown() {
            found = Some((key, id, fate));
            break;
        }
    }
    let Some((key, id, fate)) = found else { return explain_without_row(&run, target, &keys[0], arguments.json) };
    if arguments.json {
        console::out!("{}", fate.to_json(key, &id))?;
    } else {
        fate.print(&run, target, key, &id)?;
        if fate.is_not_captured() {
            // A record that cannot be read has no page, and so no row.
            for (stage, Sample { place, reason, .. }) in samples_of(&run, target)? {
                console::out!("  but         {stage} dropped a record of it, at {place}: {reason}")?;
            }
        }
    }
    Ok(Exit::Complete)
}

/// The samples that name a URL, each with its stage.
fn samples_of(run: &RecipeRun, target: &str) -> anyhow::Result<Vec<(String, Sample)>> {
    let is_of_target = |sample: &Sample| mentions_url(&sample.text, target);
    let of_stage = |totals: pipeline::engine::Totals| {
        let samples = totals.tally.samples.into_iter().filter(is_of_target);
        samples.map(move |sample| (totals.stage.clone(), sample)).collect::<Vec<_>>()
    };
    Ok(run.run.all_totals()?.into_iter().flat_map(of_stage).collect())
}

/// The keys under which a URL may have rows: its own, that of the URL without HTML's escapes, as dumps have it, and, of
/// what was dropped before it had a page, what is kept of its spelling.
fn keys_of(run: &RecipeRun, target: &str) -> anyhow::Result<Vec<String>> {
    let canonical = run.recipe.canonical();
    let unescaped = links::unescape_html(target.into());
    let mut keys = vec![pipeline::stages::key_of(target, &canonical)];
    let others = [pipeline::stages::key_of(&unescaped, &canonical), unescaped.to_string(), target.to_owned()];
    if run.recipe.links.as_ref().is_some_and(|links| unescaped.len() > links.max_url_bytes) {
        let is_begun_with = |row: &Link| row.verdict == Some(Reason::UrlTooLong) && unescaped.starts_with(&row.key);
        keys.extend(find(run, run.products.links, is_begun_with)?.map(|(_, link)| link.key));
    }
    for key in others {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Says what became of a URL that no table has, since records can be dropped before they have a row: by a sample, or by
/// reading the dumps again.
///
/// # Errors
/// When nothing is known of it.
fn explain_without_row(run: &RecipeRun, target: &str, key: &str, is_json: bool) -> anyhow::Result<Exit> {
    let sampled = samples_of(run, target)?.into_iter().next();
    let dropped = match sampled {
        Some((stage, Sample { place, reason, .. })) => Some((stage, DroppedRecordFound { place, reason })),
        None => in_dumps(run, target).map(|found| ("links.read".to_owned(), found)),
    };
    if let Some((stage, DroppedRecordFound { place, reason })) = dropped {
        if is_json {
            let dropped = json!({"key": key, "dropped": {"stage": stage, "place": place, "reason": reason}});
            console::out!("{dropped}")?;
        } else {
            let explanation = reason.explanation();
            console::out!("{target} was dropped by {stage}, at {place}: {reason} ({explanation})")?;
        }
        return Ok(Exit::Complete);
    }
    let mut without_row = Vec::new();
    for totals in run.run.all_totals()? {
        let samples = &totals.tally.samples;
        let reasons: BTreeSet<Reason> = samples.iter().map(|sample| sample.reason).collect();
        // The dumps were read for it; of their longest records nothing was.
        let is_unseen = |reason: &&Reason| totals.stage != "links.read" || **reason == Reason::RecordTooLong;
        let counts = reasons.iter().filter(is_unseen);
        let counts = counts.filter_map(|reason| Some((totals.tally.counts.dropped.get(reason)?, reason)));
        without_row.extend(counts.map(|(n, reason)| format!("{} {n} {reason}", totals.stage)));
    }
    let unfinished = run.run.status()?.into_iter().find(|stage| stage.state != StageState::Done);
    if let Some(stage) = unfinished {
        bail!("no table of this run has {target} (key {key}), but the run is not finished: {} is to do", stage.stage);
    }
    let about = match without_row.is_empty() {
        true => "no dump links to it, and no archive holds it".to_owned(),
        false => format!(
            "no dump links to it and no archive holds it, unless it is among the records that were dropped before they had \
             a row: {}",
            without_row.join(", ")
        ),
    };
    bail!("no table of this run has {target} (key {key}): {about}")
}

/// Looks for a URL in the dumps themselves, where these dropped records of which no sample is kept.
fn in_dumps(run: &RecipeRun, target: &str) -> Option<DroppedRecordFound> {
    let links = run.recipe.links.as_ref()?;
    tracing::info!("no table has it; reading the dumps again for it");
    find_dropped_record(links, target).unwrap_or_else(|error| {
        tracing::warn!("the dumps cannot be read again: {:#}", anyhow::Error::from(error));
        None
    })
}

/// The rows of all tables about one link.
struct Fate {
    link: Option<Link>,
    outcome: Option<Outcome>,
    document: Option<(String, Document)>,
    text: Option<DocumentText>,
    duplicate: Option<Duplicate>,
    cut: Vec<CutSpans>,
    overlap: Option<OverlapMatch>,
    exclusion: Option<Exclusion>,
    tokens: Option<(String, TokenRow)>,
}

impl Fate {
    fn of(run: &RecipeRun, key: &str, id: &str) -> anyhow::Result<Fate> {
        let products = &run.products;
        let superseded = Some(Reason::SupersededCapture);
        let is_outcome = |row: &Outcome| row.key == key && row.verdict != superseded;
        let mut outcomes = Vec::new();
        for &outcome in &products.outcomes {
            outcomes.extend(find(run, Some(outcome), is_outcome)?.map(|(_, row)| row));
        }
        // The outcome of the source that has a page, or else of the last source.
        let answered = outcomes.iter().position(|outcome| outcome.verdict.is_none());
        let outcome = match answered {
            Some(at) => Some(outcomes.swap_remove(at)),
            None => outcomes.pop(),
        };
        let mut cut = Vec::new();
        for &spans in &products.cut {
            cut.extend(find(run, Some(spans), |row: &CutSpans| row.id == id)?.map(|(_, row)| row));
        }
        let exclusion = find(run, Some(products.excluded), |row: &Exclusion| row.id == id)?.map(|(_, row)| row);
        Ok(Fate {
            link: find(run, products.links, |row: &Link| row.key == key)?.map(|(_, row)| row),
            outcome,
            document: find(run, Some(products.documents), |row: &Document| row.id == id)?,
            text: match &exclusion {
                None => find(run, Some(products.texts), |row: &DocumentText| row.id == id)?.map(|(_, row)| row),
                Some(_) => None, // somebody asked that it be shown to nobody
            },
            exclusion,
            cut,
            overlap: find(run, products.overlap_matches, |row: &OverlapMatch| row.id == id)?.map(|(_, row)| row),
            duplicate: find(run, Some(products.duplicates), |row: &Duplicate| row.id == id)?.map(|(_, row)| row),
            tokens: find(run, Some(products.tokens), |row: &TokenRow| row.id == id)?,
        })
    }

    /// Whether the link's page is in no archive.
    fn is_not_captured(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.verdict == Some(Reason::NotCaptured))
    }

    fn is_unknown(&self) -> bool {
        self.link.is_none() && self.outcome.is_none() && self.document.is_none()
    }

    fn to_json(&self, key: &str, id: &str) -> Value {
        let tokens = self.tokens.as_ref().map(|(table, row)| json!({"shard": shard_of(table), "row": row}));
        json!({
            "key": key, "id": id, "link": self.link, "page": self.outcome, "document": self.document.as_ref().map(|(_, row)| row),
            "text": self.text, "exclusion": self.exclusion, "duplicate": self.duplicate, "cut": self.cut, "overlap": self.overlap, "tokens": tokens,
        })
    }

    fn print(&self, run: &RecipeRun, target: &str, key: &str, id: &str) -> std::io::Result<()> {
        line("key", key)?;
        let url = self.link.as_ref().map(|link| &link.url).or(self.outcome.as_ref().map(|outcome| &outcome.url));
        if let Some(url) = url.filter(|url| *url != target && target != id) {
            line("answers as", url)?;
        }
        line("id", id)?;
        self.link.iter().try_for_each(print_link)?;
        self.outcome.iter().try_for_each(print_page)?;
        self.document.iter().try_for_each(|(table, document)| self.print_document(table, document))?;
        self.duplicate.iter().try_for_each(print_duplicate)?;
        for CutSpans { starts, ends, verdict: reason, .. } in &self.cut {
            console::out!("cut")?;
            line("verdict", verdict(*reason, None))?;
            let bytes: u64 = starts.iter().zip(ends).map(|(start, end)| end - start).sum();
            line("spans", format!("{}, {} that other documents have, too", starts.len(), count(bytes, "byte")))?;
        }
        if let Some(OverlapMatch { item, start, end, verdict: reason, .. }) = &self.overlap {
            console::out!("overlap")?;
            line("verdict", verdict(*reason, None))?;
            let are = if end - start == 1 { "is" } else { "are" };
            line("item", format!("{item}; {} {are} the same", count(end - start, "byte")))?;
        }
        if let Some((table, row)) = &self.tokens {
            console::out!("tokens")?;
            let shard = shard_of(table);
            let form = run.recipe.shards.text.extension();
            line("text shard", format!("shards/{shard}.{form}, row {}", row.line))?;
            line("tokens", format!("{} from token {} of the shard on", row.tokens, row.start))?;
            let split = if shard.starts_with(Split::Val.as_str()) { "validation" } else { "training" };
            line("split", format!("{split}; shuffled with seed {}", run.recipe.shards.seed))?;
        }
        Ok(())
    }

    fn print_document(&self, table: &str, document: &Document) -> std::io::Result<()> {
        console::out!("\ndocument")?;
        line("table", table)?;
        let text = self.text.as_ref();
        line("title", text.and_then(|text| text.title.as_deref()).unwrap_or_default())?;
        if let Some(file) = text.and_then(|text| text.file.as_ref()) {
            line("file", file)?;
        }
        let charset = text.map_or("", |text| text.charset.as_str());
        let (words, bytes) = (count(document.words, "word"), count(document.text_bytes, "byte"));
        line("text", format!("{words}, {bytes}, {charset}"))?;
        let language = document.language.as_deref().unwrap_or("none");
        let confidence = document.language_confidence.unwrap_or(0.0);
        line("language", format!("{language}, confidence {confidence:.2}"))?;
        let excluded = self.exclusion.as_ref().map(|exclusion| exclusion.verdict);
        line("verdict", verdict(document.verdict.or(excluded), document.detail.as_deref()))?;
        let begin: String = text.map(|text| text.text.chars().take(TEXT_CHARS).collect()).unwrap_or_default();
        console::out!("\n    {}\n", begin.replace('\n', "\n    "))
    }
}

fn print_link(link: &Link) -> std::io::Result<()> {
    console::out!("\nlink")?;
    line("url", &link.url)?;
    let subreddit = link.subreddit.as_ref().map(|name| format!(", r/{name}")).unwrap_or_default();
    line("submitted", format!("{}; {}{subreddit}", count(u64::from(link.submissions), "time"), link.source))?;
    line("karma", link.karma.map_or_else(|| "none".to_owned(), |karma| karma.to_string()))?;
    line("verdict", verdict(link.verdict, None))
}

fn print_page(outcome: &Outcome) -> std::io::Result<()> {
    console::out!("\npage")?;
    if let Some(url) = outcome.final_url.as_ref().filter(|url| **url != outcome.url) {
        line("final url", url)?;
    }
    if let (Some(warc), Some(offset)) = (&outcome.warc, outcome.offset) {
        let captured = outcome.captured.as_deref().unwrap_or("no date");
        line("archived", format!("{warc} at byte {offset}, {captured}"))?;
    }
    if let Some(status) = outcome.status {
        line("answer", format!("{status}, {}", outcome.content_type.as_deref().unwrap_or("no content type")))?;
    }
    line("verdict", verdict(outcome.verdict, outcome.detail.as_deref()))
}

fn print_duplicate(duplicate: &Duplicate) -> std::io::Result<()> {
    console::out!("duplicate")?;
    line("verdict", verdict(Some(duplicate.verdict), None))?;
    line("similarity", format!("{:.3} to {}", duplicate.jaccard, duplicate.similar_to))?;
    let of_run = duplicate.representative_run.as_ref().map(|run| format!(" in the run {run}")).unwrap_or_default();
    let (id, key) = (&duplicate.representative_id, &duplicate.representative_key);
    line("kept copy", format!("{id} ({key}){of_run}"))
}

fn line(label: &str, text: impl std::fmt::Display) -> std::io::Result<()> {
    console::out!("  {label:11} {text}")
}

fn verdict(verdict: Option<Reason>, detail: Option<&str>) -> String {
    let Some(reason) = verdict else { return "kept".to_owned() };
    let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("dropped: {reason}{detail}\n              {}", reason.explanation())
}

/// The shard of a table: `train-00000` of `tokens/documents-train-00000.parquet`.
fn shard_of(table: &str) -> &str {
    table.trim_start_matches("tokens/documents-").trim_end_matches(".parquet")
}

/// The first wanted row of a product's tables, and its table.
fn find<T: Serialize + DeserializeOwned>(
    run: &RecipeRun,
    product: Option<Wire<Table<T>>>,
    wanted: impl Fn(&T) -> bool,
) -> anyhow::Result<Option<(String, T)>> {
    let Some(product) = product.filter(|product| run.run.has(*product)) else { return Ok(None) };
    for (_, table) in run.run.tables(product)? {
        for row in run.run.open_table::<T, T>(&table)? {
            let row = row?;
            if wanted(&row) {
                return Ok(Some((table.key, row)));
            }
        }
    }
    Ok(None)
}
