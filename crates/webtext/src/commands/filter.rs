//! `webtext filter`: rows of JSON Lines and Parquet through the rules of a recipe, or through published ones by name.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use console::Exit;
use filter::{About, Filter, FilterMeasure, FilterTally, Judgement, RuleSettings};
use pipeline::Recipe;
use rayon::prelude::*;
use records::{Counts, Reason};
use serde::{Deserialize, Serialize};
use store::numbers::NumbersWriter;
use texts::{DocumentRow, NoFields, RowWriter};

use super::{Faults, TextField, Usage, for_each_row, push_with_text};

/// Bytes of text that all threads together judge at once.
const BATCH_BYTES: usize = 16 << 20;
/// Rows that are judged at once, however short.
const BATCH_ROWS: usize = 4096;

/// Flags of `webtext filter`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("by").required(true)))]
pub struct Arguments {
    /// JSON Lines or Parquet with a text in each row; also .zst and .gz. Some rules also read the fields url, domain, title
    /// and generator.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    text: TextField,
    /// Kept rows with all their fields, the text as the rules left it; .jsonl, also .zst and .gz, or .parquet.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Dropped rows with all their fields, the rule, its measure and the reason; same formats as OUT.
    #[arg(long, value_name = "OUT")]
    dropped: Option<PathBuf>,
    /// Apply the [[filter]] rules of this TOML file.
    #[arg(long, value_name = "FILE", group = "by")]
    recipe: Option<PathBuf>,
    /// Apply these rules with published limits: gopher_repetition,gopher_quality,c4_quality,fineweb_quality. c4_quality
    /// is as in FineWeb, without the rule on punctuation at the end of lines.
    #[arg(long, value_name = "NAME", value_delimiter = ',', group = "by")]
    rules: Vec<String>,
    /// Write the measures of every row, kept or not: `id`, of rows without one their number from 0, and a column per
    /// measure.
    #[arg(long, value_name = "OUT.parquet", value_parser = super::table_name())]
    measures: Option<PathBuf>,
    /// Threads that judge. The outputs are the same for any number. [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Print the counts, and what each rule did, as JSON.
    #[arg(long)]
    json: bool,
}

/// The fields that are added to a dropped row.
#[derive(Serialize, Deserialize)]
struct Dropped {
    /// The rule.
    rule: String,
    /// What it measured: `words`. Counts and runs have `rule.measure` as the reason.
    measure: String,
    /// The fault: `too_few_words`.
    reason: String,
    /// The value and the limit.
    detail: String,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    counts: &'a Counts,
    rules: &'a FilterTally,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Arguments { inputs, output, dropped, measures, .. } = arguments;
    let outputs = [Some(output), dropped.as_ref(), measures.as_ref()].into_iter().flatten();
    console::check_outputs(inputs.iter().map(PathBuf::as_path), outputs.map(PathBuf::as_path))?;
    let filter = Filter::new(&rules(arguments)?)?;
    let threads = arguments.threads.unwrap_or(0) as usize; // 0 is rayon's for one per core
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("cannot start threads")?;
    let mut outputs = Outputs::create(arguments, &filter)?;
    let (mut batch, mut batch_bytes) = (Vec::new(), 0);
    let unreadable = for_each_row(&arguments.inputs, &arguments.text, Faults::Named, |row| {
        batch_bytes += row.text().len();
        batch.push(row);
        if batch_bytes >= BATCH_BYTES || batch.len() >= BATCH_ROWS {
            outputs.push_all(&filter, &pool, &batch)?;
            batch.clear();
            batch_bytes = 0;
        }
        Ok(())
    })?;
    outputs.push_all(&filter, &pool, &batch)?;
    super::keep_what_is_there(&outputs.counts, output)?;
    let (mut counts, tally) = outputs.commit()?;
    let ending = unreadable.end(&mut counts);
    if arguments.json {
        console::out!("{}", serde_json::to_string(&Printed { counts: &counts, rules: &tally })?)?;
    } else {
        super::print_counts(&counts, false)?;
    }
    Ok(ending)
}

/// The output files and the counts.
struct Outputs {
    kept: RowWriter<NoFields>,
    dropped: Option<RowWriter<Dropped>>,
    measures: Option<NumbersWriter>,
    counts: Counts,
    tally: FilterTally,
}

impl Outputs {
    fn create(arguments: &Arguments, filter: &Filter) -> anyhow::Result<Outputs> {
        let columns: Vec<String> = filter.measures().iter().map(FilterMeasure::name).collect();
        let measures = arguments.measures.as_deref().map(|path| NumbersWriter::create(path, &columns));
        Ok(Outputs {
            kept: RowWriter::create(&arguments.output)?,
            dropped: arguments.dropped.as_deref().map(RowWriter::create).transpose()?,
            measures: measures.transpose()?,
            counts: Counts::default(),
            tally: FilterTally::of(filter),
        })
    }

    /// Judges rows in parallel, and writes them in their order.
    fn push_all(&mut self, filter: &Filter, pool: &rayon::ThreadPool, rows: &[DocumentRow]) -> anyhow::Result<()> {
        let judgements: Vec<Judgement<'_>> = pool.install(|| rows.par_iter().map(|row| judge(filter, row)).collect());
        rows.iter().zip(judgements).try_for_each(|(row, judgement)| self.push(row, judgement))
    }

    fn push(&mut self, row: &DocumentRow, judgement: Judgement<'_>) -> anyhow::Result<()> {
        self.tally.note(&judgement);
        if let Some(measures) = &mut self.measures {
            let id = row.identifier("id").map_or_else(|| self.counts.read.to_string(), Cow::into_owned);
            measures.push(id, &judgement.measures)?;
        }
        let Some(failure) = judgement.failure else {
            self.counts.keep();
            let edited = (*judgement.text != *row.text()).then(|| judgement.text.into_owned());
            return push_with_text(&mut self.kept, row, edited);
        };
        self.counts.drop(Reason::of_rule(failure.rule, failure.measure));
        if let Some(dropped) = &mut self.dropped {
            let [rule, measure, reason] = [failure.rule, failure.measure, failure.fault].map(str::to_owned);
            dropped.push(row, Dropped { rule, measure, reason, detail: failure.detail })?;
        }
        Ok(())
    }

    fn commit(self) -> anyhow::Result<(Counts, FilterTally)> {
        self.kept.commit()?;
        self.dropped.map(RowWriter::commit).transpose()?;
        self.measures.map(NumbersWriter::finish).transpose()?;
        Ok((self.counts, self.tally))
    }
}

fn judge<'r>(filter: &Filter, row: &'r DocumentRow) -> Judgement<'r> {
    let field = |name: &str| row.field(name).unwrap_or_default();
    let (url, mut domain, title) = (field("url"), field("domain"), field("title"));
    let (site, generator) = (field("site"), field("generator"));
    if domain.is_empty()
        && let Ok(canonical) = links::Canonical::parse(&url)
    {
        domain = canonical.domain.into();
    }
    filter.judge(row.text(), About { url: &url, domain: &domain, title: &title, site: &site, generator: &generator })
}

/// The rules of the flags.
fn rules(arguments: &Arguments) -> anyhow::Result<Vec<RuleSettings>> {
    match &arguments.recipe {
        Some(path) => recipe_rules(path),
        None => arguments.rules.iter().map(|name| named_rule(name)).collect(),
    }
}

fn recipe_rules(path: &Path) -> anyhow::Result<Vec<RuleSettings>> {
    let rules = Recipe::load_rules(path).map_err(|error| Usage(format!("{:#}", anyhow::Error::from(error))))?;
    if rules.is_empty() {
        return Err(Usage(format!("{} has no [[filter]]", path.display())).into());
    }
    Ok(rules)
}

/// A rule with its published limits.
fn named_rule(name: &str) -> anyhow::Result<RuleSettings> {
    RuleSettings::published(name).map_err(|error| {
        let hint = if RuleSettings::NAMES.contains(&name) {
            "; write the rule into a file as [[filter]], and give it as --recipe"
        } else {
            ""
        };
        Usage(format!("--rules {name}: {error}{hint}")).into()
    })
}
