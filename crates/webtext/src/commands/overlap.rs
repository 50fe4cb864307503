//! `webtext overlap`: what texts and evaluation sets have in common, and texts without it.
//!
//! The study is that of the GPT-2 paper, section 4: Bloom filters of 8-grams, with at most one false positive in 10⁸. What
//! is removed is found by an exact index of 13-grams instead, and only if few texts hold it.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use console::Exit;
use dedup::bloom::BloomFilter;
use dedup::for_each_ngram;
use dedup::overlap::{DocumentCounts, ItemIndex, NgramFilter, NgramShare};
use dedup::spans::{SpanKind, Spans};
use records::{Counts, Reason};
use serde::{Deserialize, Serialize};
use texts::{DocumentRow, RowWriter, Source};

use super::{Faults, ReplacedText, UnreadableRows, Usage, for_each_row};

/// Flags of `webtext overlap`.
#[derive(clap::Args)]
pub struct Arguments {
    /// JSON Lines or Parquet with a `text` field; also .zst and .gz. They are read two or three times.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Evaluation sets: JSON Lines, of which all texts in a line are one item; or plain text, of which each part between
    /// blank lines is one; also .zst and .gz.
    #[arg(long, required = true, value_name = "FILE", num_args = 1..)]
    eval: Vec<PathBuf>,
    /// Words of the n-grams that are counted.
    #[arg(long, value_name = "N", default_value_t = NgramFilter::GPT2_WORDS, value_parser = words)]
    ngram_words: usize,
    /// Memory of the Bloom filter of the inputs: about 5 bytes for each word.
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..))]
    max_memory_mib: u64,
    /// Also write the inputs without what they have in common with the sets, to OUT.
    #[arg(long, value_name = "WHAT", requires = "output")]
    remove: Option<Remove>,
    /// Rows with all their fields; .jsonl, also .zst and .gz, or .parquet.
    #[arg(short, long, value_name = "OUT", requires = "remove")]
    output: Option<PathBuf>,
    /// Rows that are dropped, and those of which sentences were cut, as they were, with the item that each one met; same
    /// formats as OUT.
    #[arg(long, value_name = "OUT", requires = "remove")]
    matches: Option<PathBuf>,
    /// Words of the n-grams by which items are found.
    #[arg(long, value_name = "N", default_value_t = ItemIndex::<u32>::GPT3_WORDS, value_parser = words, requires = "remove")]
    remove_ngram_words: usize,
    /// Maximum number of rows that hold an n-gram; what is in more of them is a quotation or a template, and stays.
    #[arg(long, value_name = "N", default_value_t = ItemIndex::<u32>::GPT3_MAX_DOCUMENTS, requires = "remove", value_parser = clap::value_parser!(u64).range(1..))]
    max_documents: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What is removed where a row and an item meet.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Remove {
    /// The sentences that hold a common n-gram.
    Spans,
    /// The whole row.
    Documents,
}

fn words(text: &str) -> Result<usize, String> {
    let number = text.parse().map_err(|_| "not a whole number".to_owned())?;
    if (1..=64).contains(&number) { Ok(number) } else { Err("not between 1 and 64".to_owned()) }
}

/// What an evaluation set and the inputs have in common.
#[derive(Serialize)]
struct SetReport {
    set: String,
    items: u64,
    /// N-grams of the set, and those of them that the inputs hold.
    set_ngrams: u64,
    found_in_inputs: u64,
    /// N-grams of the inputs, and those of them that the set holds.
    input_ngrams: u64,
    found_in_set: u64,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Printed<'a> {
    sets: &'a [SetReport],
    #[serde(flatten)]
    removed: Option<&'a Counts>,
}

/// The fields that are added to a row that meets an item.
#[derive(Serialize, Deserialize)]
struct Matched {
    verdict: String,
    /// The item: file and line.
    item: String,
    /// Text that both have.
    matched: String,
}

/// An evaluation set.
struct EvaluationSet {
    name: String,
    /// Line of each item, from 1, and its text.
    items: Vec<(u64, String)>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Arguments { inputs, eval, output, matches, .. } = arguments;
    if let Some(pipe) = inputs.iter().find(|path| path.exists() && !path.is_file()) {
        return Err(Usage(format!("{} is no file, and inputs are read several times", pipe.display())).into());
    }
    let read = inputs.iter().chain(eval).map(PathBuf::as_path);
    console::check_outputs(read, output.iter().chain(matches).map(PathBuf::as_path))?;
    super::prepare_outputs(output.iter().chain(matches))?;
    let sets = eval.iter().map(|path| EvaluationSet::read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let (reports, unreadable) = study(arguments, &sets)?;
    let mut counts = match arguments.remove {
        None => Counts::default(),
        Some(remove) => Removal::new(arguments, &sets, remove)?.run(arguments)?,
    };
    let exit = unreadable.end(&mut counts);
    let removed = arguments.remove.map(|_| &counts);
    if arguments.json {
        console::out!("{}", serde_json::to_string(&Printed { sets: &reports, removed })?)?;
        return Ok(exit);
    }
    print(&reports)?;
    removed.map_or(Ok(()), |counts| super::print_counts(counts, false))?;
    Ok(exit)
}

impl EvaluationSet {
    fn read(path: &Path) -> anyhow::Result<EvaluationSet> {
        let at = || format!("cannot read {}", path.display());
        let (lines, is_json) = match Source::open_file(path).with_context(at)? {
            Source::JsonLines(lines) => (lines, true),
            Source::PlainText(_) if is_named_json(path) => {
                return Err(Usage(format!("{} is not JSON Lines: it begins with no object", path.display())).into());
            }
            Source::PlainText(lines) => (lines, false),
            Source::Parquet(_) => {
                return Err(
                    Usage(format!("{} is Parquet; evaluation sets are JSON Lines or text", path.display())).into()
                );
            }
        };
        let mut items: Vec<(u64, String)> = Vec::new();
        let mut is_open = false;
        for (number, line) in (1..).zip(lines.lines()) {
            let line = line.with_context(at)?;
            if is_json {
                if !line.trim().is_empty() {
                    let value =
                        serde_json::from_str(&line).with_context(|| format!("{}, line {number}", path.display()))?;
                    items.push((number, texts_of(&value)));
                }
            } else if line.trim().is_empty() {
                is_open = false;
            } else if is_open && let Some((_, text)) = items.last_mut() {
                *text += "\n";
                *text += &line;
            } else {
                is_open = true;
                items.push((number, line));
            }
        }
        if items.is_empty() {
            return Err(Usage(format!("{} holds no item", path.display())).into());
        }
        Ok(EvaluationSet { name: path.display().to_string(), items })
    }
}

/// Whether a file's name says that it is JSON.
fn is_named_json(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.trim_end_matches(".zst").trim_end_matches(".gz");
    [".jsonl", ".ndjson", ".json"].iter().any(|ending| name.ends_with(ending))
}

/// All texts in a JSON value, with blank lines between them: no n-gram goes from one to the next.
fn texts_of(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(texts_of).collect::<Vec<_>>().join("\n\n"),
        Value::Object(fields) => fields.values().map(texts_of).collect::<Vec<_>>().join("\n\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

/// The parts of an item, between blank lines.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").filter(|part| !part.trim().is_empty())
}

/// Measures both directions. The inputs are read twice: to count their n-grams, and to fill a filter of that size.
fn study(arguments: &Arguments, sets: &[EvaluationSet]) -> anyhow::Result<(Vec<SetReport>, UnreadableRows)> {
    let (n, rate) = (arguments.ngram_words, NgramFilter::GPT2_FALSE_POSITIVE_RATE);
    let mut of_sets = Vec::new();
    for set in sets {
        let texts = || set.items.iter().flat_map(|(_, text)| parts(text));
        let mut ngrams = 0;
        texts().for_each(|text| for_each_ngram(text, n, |_, _| ngrams += 1));
        let mut filter = NgramFilter::new(n, ngrams, rate)?;
        for text in texts() {
            filter.insert(text);
        }
        of_sets.push(filter);
    }
    let mut found = vec![NgramShare::default(); sets.len()];
    let unreadable = for_each_row(&arguments.inputs, Faults::Named, |row| {
        found.iter_mut().zip(&of_sets).for_each(|(found, filter)| *found += filter.share(row.text()));
        Ok(())
    })?;
    let input_ngrams = found.first().map_or(0, |found| found.ngrams);
    drop(of_sets);
    let bytes = BloomFilter::bytes_for(input_ngrams, rate)?;
    if bytes > arguments.max_memory_mib << 20 {
        let needed = bytes.div_ceil(1 << 20);
        let what = format!(
            "a Bloom filter of the inputs' {input_ngrams} n-grams takes {needed} MiB; give --max-memory-mib {needed}"
        );
        return Err(Usage(what).into());
    }
    let mut inputs = NgramFilter::new(n, input_ngrams, rate)?;
    for_each_row(&arguments.inputs, Faults::Unnamed, |row| {
        inputs.insert(row.text());
        Ok(())
    })?;
    let report = |(set, found_in_set): (&EvaluationSet, NgramShare)| {
        let mut share = NgramShare::default();
        set.items.iter().flat_map(|(_, text)| parts(text)).for_each(|text| share += inputs.share(text));
        SetReport {
            set: set.name.clone(),
            items: set.items.len() as u64,
            set_ngrams: share.ngrams,
            found_in_inputs: share.found,
            input_ngrams: found_in_set.ngrams,
            found_in_set: found_in_set.found,
        }
    };
    Ok((sets.iter().zip(found).map(report).collect(), unreadable))
}

fn print(reports: &[SetReport]) -> std::io::Result<()> {
    let percent = |found: u64, of: u64| if of == 0 { 0.0 } else { 100.0 * found as f64 / of as f64 };
    let width = reports.iter().map(|report| report.set.chars().count()).max().unwrap_or(0).max(3);
    console::out!("{:width$}  {:>8}  {:>10}  {:>10}  {:>10}", "set", "items", "n-grams", "in inputs", "of inputs")?;
    for report in reports {
        let in_inputs = percent(report.found_in_inputs, report.set_ngrams);
        let of_inputs = percent(report.found_in_set, report.input_ngrams);
        let (set, items, ngrams) = (&report.set, report.items, report.set_ngrams);
        console::out!("{set:width$}  {items:>8}  {ngrams:>10}  {in_inputs:>9.2}%  {of_inputs:>9.4}%")?;
    }
    Ok(())
}

/// Removes what rows and items have in common.
struct Removal {
    index: ItemIndex<String>,
    documents: DocumentCounts,
    remove: Remove,
    max_documents: u64,
    kept: RowWriter<ReplacedText>,
    matches: Option<RowWriter<Matched>>,
    counts: Counts,
}

impl Removal {
    fn new(arguments: &Arguments, sets: &[EvaluationSet], remove: Remove) -> anyhow::Result<Removal> {
        let mut index = ItemIndex::new(arguments.remove_ngram_words);
        for set in sets {
            for (line, text) in &set.items {
                index.add(format!("{}:{line}", set.name), text);
            }
        }
        if index.without_ngrams() > 0 {
            let words = arguments.remove_ngram_words;
            tracing::warn!(
                "{} items have fewer than {words} words in a row, and are not looked for",
                index.without_ngrams()
            );
        }
        let output = arguments.output.as_deref().context("--remove needs -o")?;
        Ok(Removal {
            documents: index.counts(),
            index,
            remove,
            max_documents: arguments.max_documents,
            kept: RowWriter::create(output)?,
            matches: arguments.matches.as_deref().map(RowWriter::create).transpose()?,
            counts: Counts::default(),
        })
    }

    fn run(mut self, arguments: &Arguments) -> anyhow::Result<Counts> {
        for_each_row(&arguments.inputs, Faults::Unnamed, |row| {
            self.documents.add(&self.index, row.text());
            Ok(())
        })?;
        for_each_row(&arguments.inputs, Faults::Unnamed, |row| self.push(&row))?;
        self.kept.commit()?;
        self.matches.map(RowWriter::commit).transpose()?;
        Ok(self.counts)
    }

    fn push(&mut self, row: &DocumentRow) -> anyhow::Result<()> {
        let text = row.text();
        let found = self.index.matches(text, &self.documents, self.max_documents);
        if found.is_empty() {
            self.counts.keep();
            return Ok(self.kept.push(row, ReplacedText { text: None })?);
        }
        let left = match self.remove {
            Remove::Documents => None,
            Remove::Spans => {
                let ranges: Vec<_> = found.iter().map(|found| found.bytes.clone()).collect();
                let sentences = Spans { kind: SpanKind::Sentences { n: 1 }, min_words: 0 };
                sentences.divide(text).cut_touched(&ranges).map(|edit| edit.text).filter(|text| !text.trim().is_empty())
            }
        };
        let verdict = left.is_none().then_some(Reason::InEvaluationSet);
        self.counts.record(verdict);
        if let Some(matches) = &mut self.matches {
            // One row for each item, with the longest text that both have.
            let mut of_items: BTreeMap<&String, &str> = BTreeMap::new();
            for found in &found {
                let matched = &text[found.bytes.clone()];
                let longest = of_items.entry(found.item).or_insert(matched);
                if matched.len() > longest.len() {
                    *longest = matched;
                }
            }
            for (item, matched) in of_items {
                let verdict = verdict.map_or_else(|| "cut".to_owned(), |verdict| verdict.to_string());
                matches.push(row, Matched { verdict, item: item.clone(), matched: matched.to_owned() })?;
            }
        }
        match left {
            Some(text) => Ok(self.kept.push(row, ReplacedText { text: Some(text) })?),
            None => Ok(()),
        }
    }
}
