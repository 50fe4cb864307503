//! `webtext overlap`: what texts and evaluation sets have in common, and texts without it, by the stages of a run.

use std::path::PathBuf;

use console::Exit;
use dedup::overlap::{ItemIndex, NgramFilter};
use pipeline::recipe::{Overlap, RemoveOverlap};
use pipeline::stages::{FileOverlap, find_overlap_in_files};
use records::{Counts, OverlapMatch, OverlapSet, Reason};
use serde::{Deserialize, Serialize};
use texts::{DocumentRow, NoFields, RowWriter};

use super::file_run::{RunFlags, check_files, unless_stopped, working_folder};
use super::{Faults, TextField, UnreadableRows, for_each_row_of, keep_what_is_there, push_with_text};

/// Flags of `webtext overlap`.
#[derive(clap::Args)]
pub struct Arguments {
    /// JSON Lines or Parquet with a text in each row; also .zst and .gz. They are read up to three times.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    text: TextField,
    /// Evaluation sets: JSON Lines, of which all texts in a line are one item; or plain text, of which each part between
    /// blank lines is one; also .zst and .gz.
    #[arg(long, required = true, value_name = "FILE", num_args = 1..)]
    eval: Vec<String>,
    /// Words of the n-grams that are counted.
    #[arg(long, value_name = "N", default_value_t = NgramFilter::GPT2_WORDS)]
    ngram_words: usize,
    /// Also write the inputs without what they have in common with the sets, to OUT.
    #[arg(long, value_name = "WHAT", requires = "output")]
    remove: Option<RemoveOverlap>,
    /// Rows with all their fields; .jsonl, also .zst and .gz, or .parquet. Working files lie beside it.
    #[arg(short, long, value_name = "OUT", requires = "remove")]
    output: Option<PathBuf>,
    /// Rows that are dropped, and those of which sentences were cut, as they were, with the item that each one met; same
    /// formats as OUT.
    #[arg(long, value_name = "OUT", requires = "remove")]
    matches: Option<PathBuf>,
    /// Words of the n-grams by which items are found.
    #[arg(long, value_name = "N", default_value_t = ItemIndex::<u32>::GPT3_WORDS, requires = "remove")]
    remove_ngram_words: usize,
    /// Maximum number of rows that hold an n-gram; what is in more of them is a quotation or a template, and stays.
    #[arg(long, value_name = "N", default_value_t = ItemIndex::<u32>::GPT3_MAX_DOCUMENTS, requires = "remove", value_parser = clap::value_parser!(u64).range(1..))]
    max_documents: u64,
    #[command(flatten)]
    run: RunFlags,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Printed<'a> {
    sets: &'a [OverlapSet],
    #[serde(flatten)]
    removed: Option<&'a Counts>,
}

/// The fields that are added to a row that met an item.
#[derive(Serialize, Deserialize)]
struct Matched {
    verdict: String,
    /// The item: file and line.
    item: String,
    /// Text that both have.
    matched: String,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Arguments { inputs, eval, output, matches, .. } = arguments;
    let sets: Vec<PathBuf> = eval.iter().map(PathBuf::from).collect();
    let rule = Overlap {
        ngram_words: arguments.ngram_words,
        remove: arguments.remove,
        remove_ngram_words: arguments.remove_ngram_words,
        max_documents: arguments.max_documents,
        ..Overlap::of(eval.clone())
    };
    rule.check()?;
    check_files(inputs.iter().chain(&sets), output.iter().chain(matches))?;
    let mut outputs = output.as_ref().map(|_| Outputs::create(arguments)).transpose()?;
    let folder = working_folder(output.as_deref())?;
    let (text_field, options) = (&arguments.text.text_field, arguments.run.options()?);
    let found = unless_stopped(find_overlap_in_files(inputs, text_field, &rule, folder.path(), options))?;
    if found.items_too_short > 0 {
        let items = console::count(found.items_too_short, "item");
        let words = console::count(rule.remove_ngram_words as u64, "word");
        let (have, are) = if found.items_too_short == 1 { ("has", "is") } else { ("have", "are") };
        tracing::warn!("{items} {have} fewer than {words} in a row, and {are} not looked for");
    }
    let unreadable = match &mut outputs {
        Some(outputs) => outputs.write_all(arguments, &found)?,
        None => UnreadableRows { rows: found.counts.dropped_total(), files: found.unreadable_files },
    };
    if let (Some(outputs), Some(output)) = (&outputs, output) {
        keep_what_is_there(&outputs.counts, output)?;
    }
    let mut counts = outputs.map(Outputs::commit).transpose()?.unwrap_or_default();
    let exit = unreadable.end(&mut counts);
    let removed = rule.remove.map(|_| &counts);
    if arguments.json {
        console::out!("{}", serde_json::to_string(&Printed { sets: &found.sets, removed })?)?;
        return Ok(exit);
    }
    print(&found.sets)?;
    removed.map_or(Ok(()), |counts| super::print_counts(counts, false))?;
    Ok(exit)
}

fn print(sets: &[OverlapSet]) -> std::io::Result<()> {
    let percent = |found: u64, of: u64| if of == 0 { 0.0 } else { 100.0 * found as f64 / of as f64 };
    let width = sets.iter().map(|row| row.set.chars().count()).max().unwrap_or(0).max(3);
    console::out!("{:width$}  {:>8}  {:>10}  {:>10}  {:>10}", "set", "items", "n-grams", "in inputs", "of inputs")?;
    for row in sets {
        let in_inputs = percent(row.found_in_corpus, row.set_ngrams);
        let of_inputs = percent(row.found_in_set, row.corpus_ngrams);
        let OverlapSet { set, items, set_ngrams, .. } = row;
        console::out!("{set:width$}  {items:>8}  {set_ngrams:>10}  {in_inputs:>9.2}%  {of_inputs:>9.4}%")?;
    }
    Ok(())
}

/// What is written where something is removed.
struct Outputs {
    kept: RowWriter<NoFields>,
    matches: Option<RowWriter<Matched>>,
    counts: Counts,
}

impl Outputs {
    fn create(arguments: &Arguments) -> anyhow::Result<Outputs> {
        let output = arguments.output.as_deref().ok_or_else(|| anyhow::anyhow!("--remove needs -o"))?;
        Ok(Outputs {
            kept: RowWriter::create(output)?,
            matches: arguments.matches.as_deref().map(RowWriter::create).transpose()?,
            counts: Counts::default(),
        })
    }

    fn commit(self) -> anyhow::Result<Counts> {
        self.kept.commit()?;
        self.matches.map(RowWriter::commit).transpose()?;
        Ok(self.counts)
    }

    /// Reads the inputs once more, in step with what was found in them.
    fn write_all(&mut self, arguments: &Arguments, found: &FileOverlap) -> anyhow::Result<UnreadableRows> {
        let mut unreadable = UnreadableRows::default();
        for (number, input) in arguments.inputs.iter().enumerate() {
            let mut edited = found.edited(number)?.peekable();
            let mut matches = found.matches(number)?.peekable();
            let rows = for_each_row_of(input, &arguments.text, Faults::RowsNamed, &mut |row| {
                let place = row.place().number();
                let edit = edited.next_if(|next| next.as_ref().map_or(true, |(row, _)| *row == place)).transpose()?;
                let of_row = || matches.next_if(|next| next.as_ref().map_or(true, |met| met.row == place));
                let matches = std::iter::from_fn(of_row).collect::<pipeline::Result<Vec<_>>>()?;
                self.push(&row, edit.map(|(_, text)| text), &matches)
            })?;
            let is_same = edited.next().is_none() && matches.next().is_none();
            anyhow::ensure!(is_same, "{} was changed while it was read", input.display());
            unreadable.add(rows);
        }
        let is_same = self.counts.read == found.counts.kept && unreadable.rows == found.counts.dropped_total();
        anyhow::ensure!(is_same, "an input was changed while it was read");
        Ok(unreadable)
    }

    /// `left` is the text of a row of which something was removed.
    fn push(&mut self, row: &DocumentRow, left: Option<String>, met: &[OverlapMatch]) -> anyhow::Result<()> {
        let is_dropped = left.as_ref().is_some_and(String::is_empty);
        self.counts.record(is_dropped.then_some(Reason::InEvaluationSet));
        if let Some(matches) = &mut self.matches {
            for OverlapMatch { item, start, end, verdict, .. } in met {
                let verdict = verdict.map_or_else(|| "cut".to_owned(), |verdict| verdict.to_string());
                let matched = row.text().get(*start as usize..*end as usize).unwrap_or_default().to_owned();
                matches.push(row, Matched { verdict, item: item.clone(), matched })?;
            }
        }
        if is_dropped { Ok(()) } else { push_with_text(&mut self.kept, row, left) }
    }
}
