//! Whole texts: copies and similar ones are dropped.

use std::path::{Path, PathBuf};

use console::Exit;
use pipeline::recipe::{Dedup, KeepKey};
use pipeline::stages::{DroppedRow, FileDuplicates, find_in_files};
use records::Counts;
use serde::{Deserialize, Serialize};
use texts::{DocumentRow, NoFields};

use super::super::file_run::unless_stopped;
use super::super::{Faults, UnreadableRows, for_each_row_of, keep_what_is_there};
use super::{Arguments, BUCKETS, Keep, Outputs};

/// The fields that are added to a dropped row.
#[derive(Serialize, Deserialize)]
struct Dropped {
    verdict: String,
    /// The input with the row that stays.
    representative_file: String,
    /// The number of its line or row, from 1.
    representative_row: u64,
    jaccard: f64,
}

pub(super) fn run(arguments: &Arguments, folder: &Path) -> anyhow::Result<(Counts, Exit)> {
    let mut outputs = Outputs::create(arguments)?;
    let keep = match arguments.keep {
        None | Some(Keep::First) => Vec::new(),
        Some(Keep::Longest) => vec![KeepKey::LongestText],
    };
    let near = (!arguments.exact_only).then(|| arguments.near.clone());
    let settings = Dedup { near, keep, clusters: arguments.clusters.unwrap_or_default(), ..Dedup::exact() };
    let options = arguments.run.options()?;
    let found = unless_stopped(find_in_files(
        &arguments.against,
        &arguments.inputs,
        &arguments.text.text_field,
        &settings,
        BUCKETS,
        folder,
        options,
    ))?;
    if found.skipped_comparisons > 0 {
        let comparisons = console::count(found.skipped_comparisons, "comparison");
        let were = if found.skipped_comparisons == 1 { "was" } else { "were" };
        tracing::warn!(
            "{comparisons} of texts that share most of their words {were} left out; near-duplicates among them may remain"
        );
    }
    let unreadable = outputs.write_all(arguments, &found)?;
    keep_what_is_there(&outputs.counts, &arguments.output)?;
    let mut counts = outputs.commit()?;
    let exit = unreadable.end(&mut counts);
    Ok((counts, if found.has_unreadable { Exit::SomeUnreadable } else { exit }))
}

impl Outputs<Dropped> {
    /// Reads the inputs once more, in step with the dropped rows.
    fn write_all(&mut self, arguments: &Arguments, found: &FileDuplicates) -> anyhow::Result<UnreadableRows> {
        let Arguments { against, inputs, .. } = arguments;
        let files: Vec<&Path> = against.iter().chain(inputs).map(PathBuf::as_path).collect();
        let mut dropped = found.dropped()?.peekable();
        let mut unreadable = UnreadableRows::default();
        for (number, input) in files.iter().enumerate().skip(against.len()) {
            let rows = for_each_row_of(input, &arguments.text, Faults::RowsNamed, &mut |row| {
                let place = (number, row.place().number());
                let duplicate = dropped.next_if(|next| next.as_ref().map_or(true, |next| next.row == place));
                self.push(&files, &row, duplicate.transpose()?)
            })?;
            unreadable.add(rows);
        }
        let is_same = dropped.next().is_none()
            && self.counts.read == found.counts.kept
            && unreadable.rows == found.counts.dropped_total();
        anyhow::ensure!(is_same, "an input was changed while it was read");
        Ok(unreadable)
    }

    fn push(&mut self, files: &[&Path], row: &DocumentRow, duplicate: Option<DroppedRow>) -> anyhow::Result<()> {
        let Some(DroppedRow { representative: (file, representative_row), jaccard, verdict, .. }) = duplicate else {
            self.counts.keep();
            return Ok(self.kept.push(row, NoFields {})?);
        };
        self.counts.drop(verdict);
        if let Some(dropped) = &mut self.dropped {
            let representative_file = files[file].display().to_string();
            let (verdict, jaccard) = (verdict.to_string(), f64::from(jaccard));
            dropped.push(row, Dropped { verdict, representative_file, representative_row, jaccard })?;
        }
        Ok(())
    }
}
