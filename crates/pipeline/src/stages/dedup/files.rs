//! De-duplication of files of texts: the same stages without a recipe, for `webtext dedup`.

use std::path::Path;
use std::sync::Arc;

use records::{Counts, CutSpans, Duplicate, EditedText, OverlapMatch, OverlapSet, Reason};
use serde::{Deserialize, Serialize};
use store::LocalStore;

use super::cut::{CutTexts, InputFiles};
use super::documents::{DocumentsWire, LEFT_OUT, RowFields};
use super::overlap::{OverlapTables, RemovedTables};
use super::{overlap, ranges, spans};
use crate::engine::{External, Flow, Options, Run, Selection, Table, Wire};
use crate::error::{OrBug as _, Result};
use crate::recipe::{Dedup, Overlap, SpanRule, SpanScope, SubstringRule};

/// The field of a row's URL.
const URL_FIELD: &str = "url";

/// The duplicates among the rows of files, and of rows of earlier files, as long as the folder with the working files exists.
pub struct FileDuplicates {
    run: Run,
    table: Wire<Table<Duplicate>>,
    /// What was read of the inputs.
    pub counts: Counts,
    /// Comparisons in large groups of candidates that were left out; the recall is then below the one that was asked for.
    pub skipped_comparisons: u64,
    /// Whether a file, an earlier one, too, or a row of an earlier one could not be read.
    pub has_unreadable: bool,
}

/// A dropped row and the row that stays for it. Rows are identified by the number of the file, from 0 and with the earlier
/// ones first, and the number of the line or row in it, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct DroppedRow {
    /// The dropped row.
    pub row: (usize, u64),
    /// The row that represents it.
    pub representative: (usize, u64),
    /// Similarity to the row that it is most similar to; in a star, that is the representative.
    pub jaccard: f32,
    /// `exact_duplicate` or `near_duplicate`.
    pub verdict: Reason,
}

/// The columns of a duplicate that are read.
#[derive(Serialize, Deserialize)]
struct Ids {
    id: String,
    representative_id: String,
    jaccard: f32,
    verdict: Reason,
}

/// Finds the duplicates among the rows of JSON Lines and Parquet files, with working files in `folder`, which must be
/// empty. Of duplicates, the row that `settings` prefer stays, then the first one. Rows of `against` stay in any case, and
/// duplicates among them are not looked for.
///
/// Memory: about the sort memory and a bucket writer for each task that runs. The files are read three times.
///
/// # Errors
/// When a file cannot be opened or has no column of texts, or the working files cannot be written.
pub fn find_in_files(
    against: &[impl AsRef<Path>],
    inputs: &[impl AsRef<Path>],
    text_field: &str,
    settings: &Dedup,
    buckets: u32,
    folder: &Path,
    options: Options,
) -> Result<FileDuplicates> {
    let paths = against.iter().map(AsRef::as_ref).chain(inputs.iter().map(AsRef::as_ref));
    let files = paths.map(External::of).collect::<Result<Vec<_>>>()?;
    let fields = RowFields { text: text_field.to_owned(), url: None };
    let documents = DocumentsWire::Rows { files, earlier: against.len(), fields };
    let mut flow = Flow::default();
    let table = super::add_documents(&mut flow, settings, &documents, buckets)?.table;
    let run = Run::new(Arc::new(LocalStore::temporary(folder)), flow, String::new(), options);
    let summary = run.build(&Selection::default())?;
    let skipped = summary.stages.iter().map(|stage| stage.tally.sum("skipped_comparisons")).sum::<f64>();
    let sign = summary.stages.into_iter().next().or_bug(|| "there is no stage".to_owned())?;
    let has_unreadable = !sign.tally.unreadable.is_empty() || sign.tally.sum(LEFT_OUT) > 0.0;
    Ok(FileDuplicates { run, table, counts: sign.tally.counts, skipped_comparisons: skipped as u64, has_unreadable })
}

impl FileDuplicates {
    /// The dropped rows in the order of the inputs.
    ///
    /// # Errors
    /// When the working files cannot be read.
    pub fn dropped(&self) -> Result<impl Iterator<Item = Result<DroppedRow>>> {
        let (_, table) = self.run.tables(self.table)?.pop().or_bug(|| "there is no table".to_owned())?;
        let rows = self.run.open_table::<Ids, _>(&table)?;
        Ok(rows.map(|row| {
            let Ids { id, representative_id, jaccard, verdict } = row?;
            Ok(DroppedRow { row: row_of(&id)?, representative: row_of(&representative_id)?, jaccard, verdict })
        }))
    }
}

/// The texts of rows out of which copies were cut, as long as the folder with the working files exists.
pub struct EditedRows {
    run: Run,
    tables: CutTexts,
    /// What was read.
    pub counts: Counts,
    /// Spans that were cut.
    pub cut_spans: u64,
    /// Bytes that were cut.
    pub cut_bytes: u64,
}

/// Which parts of texts are compared.
#[derive(Debug, Clone)]
pub enum PartRule {
    /// Lines, paragraphs or sentences.
    Spans(SpanRule),
    /// Whatever occurs twice.
    Substrings(SubstringRule),
}

/// Cuts the parts that `rule` names out of the rows of files, as [`find_in_files`] finds whole rows.
///
/// # Errors
/// As of [`find_in_files`].
pub fn find_spans_in_files(
    inputs: &[impl AsRef<Path>],
    text_field: &str,
    rule: &PartRule,
    buckets: u32,
    folder: &Path,
    options: Options,
) -> Result<EditedRows> {
    let files = inputs.iter().map(|path| External::of(path.as_ref())).collect::<Result<Vec<_>>>()?;
    let is_by_domain = matches!(rule, PartRule::Spans(rule) if rule.within == SpanScope::Domain);
    let fields = RowFields { text: text_field.to_owned(), url: is_by_domain.then(|| URL_FIELD.to_owned()) };
    let documents = DocumentsWire::Rows { files, earlier: 0, fields };
    let mut flow = Flow::default();
    let input = InputFiles { documents, keep: Vec::new(), resolved: None, buckets };
    let tables = match rule {
        PartRule::Spans(rule) => spans::add(&mut flow, 0, rule, &input),
        PartRule::Substrings(rule) => ranges::add_substrings(&mut flow, 0, rule, &input),
    };
    let run = Run::new(Arc::new(LocalStore::temporary(folder)), flow, String::new(), options);
    let summary = run.build(&Selection::default())?;
    let sum = |name: &str| {
        let metrics = summary.stages.last().map(|cut| &cut.tally.metrics);
        metrics.and_then(|metrics| metrics.get(name)).map_or(0, |metric| metric.sum as u64)
    };
    let (cut_spans, cut_bytes) = (sum("cut_spans"), sum("cut_bytes"));
    let first = summary.stages.into_iter().next().or_bug(|| "there is no stage".to_owned())?;
    Ok(EditedRows { run, tables, counts: first.tally.counts, cut_spans, cut_bytes })
}

impl EditedRows {
    /// The numbers and the texts of the edited rows of the input with this number, in order. An empty text is one of
    /// which too little is left.
    ///
    /// # Errors
    /// When the working files cannot be read.
    pub fn of_input(&self, input: usize) -> Result<impl Iterator<Item = Result<(u64, String)>> + use<>> {
        edited_rows(&self.run, self.tables.edited, input)
    }

    /// What was cut out of the edited rows of the input with this number, in order.
    ///
    /// # Errors
    /// When the working files cannot be read.
    pub fn spans(&self, input: usize) -> Result<impl Iterator<Item = Result<CutSpans>> + use<>> {
        let table = table_of_input(&self.run, self.tables.cut, input)?;
        Ok(self.run.open_table::<CutSpans, _>(&table)?.map(|row| Ok(row?)))
    }
}

/// What rows of files and evaluation sets have in common, as long as the folder with the working files exists.
pub struct FileOverlap {
    run: Run,
    removed: Option<RemovedTables>,
    /// What each set and the rows have in common.
    pub sets: Vec<OverlapSet>,
    /// What was read.
    pub counts: Counts,
    /// Files that broke off.
    pub unreadable_files: u64,
    /// Items of fewer words than an n-gram, which are not looked for.
    pub items_too_short: u64,
}

/// Compares the rows of files with evaluation sets, as [`find_in_files`] does with each other.
///
/// # Errors
/// As of [`find_in_files`], and when a set cannot be read or holds no item.
pub fn find_overlap_in_files(
    inputs: &[impl AsRef<Path>],
    text_field: &str,
    rule: &Overlap,
    folder: &Path,
    options: Options,
) -> Result<FileOverlap> {
    let files = inputs.iter().map(|path| External::of(path.as_ref())).collect::<Result<Vec<_>>>()?;
    let fields = RowFields { text: text_field.to_owned(), url: None };
    let documents = DocumentsWire::Rows { files, earlier: 0, fields };
    let mut flow = Flow::default();
    let input = InputFiles { documents, keep: Vec::new(), resolved: None, buckets: 1 };
    let OverlapTables { sets, removed } = overlap::add(&mut flow, rule, &input);
    let run = Run::new(Arc::new(LocalStore::temporary(folder)), flow, String::new(), options);
    let summary = run.build(&Selection::default())?;
    let (_, table) = run.tables(sets)?.pop().or_bug(|| "there is no table of sets".to_owned())?;
    let sets = run.open_table::<OverlapSet, _>(&table)?.collect::<store::Result<Vec<_>>>()?;
    let last = summary.stages.last().and_then(|stage| stage.tally.metrics.get("items_too_short"));
    let items_too_short = last.map_or(0, |metric| metric.max as u64);
    let count = summary.stages.into_iter().next().or_bug(|| "there is no stage".to_owned())?.tally;
    let unreadable_files = count.unreadable.len() as u64;
    Ok(FileOverlap { run, removed, sets, counts: count.counts, unreadable_files, items_too_short })
}

impl FileOverlap {
    /// The numbers and the texts of the rows of the input with this number of which something was removed, in order. An
    /// empty text is that of a dropped row.
    ///
    /// # Errors
    /// When nothing is removed, or the working files cannot be read.
    pub fn edited(&self, input: usize) -> Result<impl Iterator<Item = Result<(u64, String)>> + use<>> {
        let removed = self.removed.or_bug(|| "nothing is removed".to_owned())?;
        edited_rows(&self.run, removed.edited, input)
    }

    /// The items that rows of the input with this number met, in the order of the rows.
    ///
    /// # Errors
    /// As of [`FileOverlap::edited`].
    pub fn matches(&self, input: usize) -> Result<impl Iterator<Item = Result<OverlapMatch>> + use<>> {
        let removed = self.removed.or_bug(|| "nothing is removed".to_owned())?;
        let table = table_of_input(&self.run, removed.matches, input)?;
        Ok(self.run.open_table::<OverlapMatch, _>(&table)?.map(|row| Ok(row?)))
    }
}

fn table_of_input<R>(run: &Run, tables: Wire<Table<R>>, input: usize) -> Result<Table<R>> {
    let table = run.tables(tables)?.into_iter().nth(input);
    table.map(|(_, table)| table).or_bug(|| format!("input {input} has no table"))
}

fn edited_rows(
    run: &Run,
    edited: Wire<Table<EditedText>>,
    input: usize,
) -> Result<impl Iterator<Item = Result<(u64, String)>> + use<>> {
    let rows = run.open_table::<EditedText, _>(&table_of_input(run, edited, input)?)?;
    Ok(rows.map(|row| row.map(|row| (row.row, row.text)).map_err(Into::into)))
}

/// The input and the row that an id stands for.
fn row_of(id: &str) -> Result<(usize, u64)> {
    let number = u128::from_str_radix(id, 16).ok().or_bug(|| format!("{id} is no row's id"))?;
    Ok(((number >> 64) as usize, number as u64))
}
