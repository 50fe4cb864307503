//! What the stages that cut parts of texts have in common: the documents that are left, and the tables of what was cut.

use std::collections::HashSet;

use ::dedup::spans::Edit;
use records::{CutSpans, EditedText, Reason};
use serde::{Deserialize, Serialize};

use super::documents::{DocumentsFile, DocumentsWire, KeptDocument};
use super::rows::{Decision, ResolvedRow};
use super::{Resolved, file_number};
use crate::engine::{BucketOfTask, Planner, Table, TableOutput, Wire, Work};
use crate::error::Result;
use crate::recipe::KeepKey;

/// The products of one rule.
#[derive(Clone, Copy)]
pub(super) struct CutTexts {
    /// The texts without the copies.
    pub(super) edited: Wire<Table<EditedText>>,
    /// What was cut.
    pub(super) cut: Wire<Table<CutSpans>>,
}

/// The documents of which parts are cut.
#[derive(Clone)]
pub(super) struct InputFiles {
    pub(super) documents: DocumentsWire,
    /// Which documents stay; of files, all do.
    pub(super) resolved: Option<Resolved>,
    /// The order in which the first occurrence of a part is the one that stays.
    pub(super) keep: Vec<KeepKey>,
    pub(super) buckets: u32,
}

impl InputFiles {
    /// The files for a planner, by name.
    pub(super) fn plan(&self, plan: &Planner<'_>) -> Result<Vec<(String, InputFile)>> {
        let resolved = self.resolved.map(|resolved| resolved.plan(plan)).transpose()?;
        let files = self.documents.files(plan)?.into_iter().map(|(name, documents)| {
            let file = file_number(&name);
            let resolved = resolved.as_ref().map(|resolved| resolved.of_file(file));
            (name, InputFile { file, documents, resolved, keep: self.keep.clone() })
        });
        Ok(files.collect())
    }
}

/// A documents file and the decisions about its documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InputFile {
    pub(super) file: u64,
    documents: DocumentsFile,
    resolved: Option<BucketOfTask<ResolvedRow>>,
    keep: Vec<KeepKey>,
}

impl InputFile {
    /// Calls `each` with the documents that are still there.
    pub(super) fn for_each(
        &self,
        work: &mut Work<'_>,
        mut each: impl FnMut(&mut Work<'_>, KeptDocument) -> Result<()>,
    ) -> Result<()> {
        let mut dropped = HashSet::new();
        if let Some(resolved) = &self.resolved {
            for row in work.lookup_rows(resolved)? {
                let ResolvedRow { file, row, decision } = row?;
                if file == self.file && !matches!(decision, Decision::KeepFor(_)) {
                    dropped.insert(row);
                }
            }
        }
        self.documents.for_each_kept(work, self.file, &self.keep, |work, document| {
            // A text of which a rule before this one left too little is empty.
            if dropped.contains(&document.document.row) || document.text.is_empty() && self.resolved.is_some() {
                return Ok(()); // counted by the stage that drops it
            }
            each(work, document)
        })
    }
}

/// Writes what is left of the documents of a file, and what was cut.
pub(super) struct CutWriter {
    edited: TableOutput<EditedText>,
    spans: TableOutput<CutSpans>,
    cut_spans: u64,
    cut_bytes: u64,
}

impl CutWriter {
    pub(super) fn new(edited: TableOutput<EditedText>, spans: TableOutput<CutSpans>) -> CutWriter {
        CutWriter { edited, spans, cut_spans: 0, cut_bytes: 0 }
    }

    /// The next document, with what is left of it if anything is cut, and whether that is too little.
    pub(super) fn push(
        &mut self,
        work: &mut Work<'_>,
        document: KeptDocument,
        edit: Option<Edit>,
        is_dropped: bool,
    ) -> Result<()> {
        let verdict = is_dropped.then_some(Reason::TooLittleLeft);
        work.counts.record(verdict);
        let Some(Edit { text, cut }) = edit else { return Ok(()) };
        let KeptDocument { document, key, .. } = document;
        self.cut_spans += cut.len() as u64;
        self.cut_bytes += cut.iter().map(|span| span.len() as u64).sum::<u64>();
        let (row, id) = (document.row, format!("{:032x}", document.id));
        let (starts, ends) = cut.iter().map(|span| (span.start as u64, span.end as u64)).unzip();
        self.spans.push(CutSpans { row, id: id.clone(), key, starts, ends, verdict })?;
        // A dropped document is one of which nothing is left.
        let text = if is_dropped { String::new() } else { text };
        self.edited.push(EditedText { row, id, text })
    }

    pub(super) fn finish(self, work: &mut Work<'_>) -> Result<()> {
        work.metric("cut_spans", self.cut_spans as f64);
        work.metric("cut_bytes", self.cut_bytes as f64);
        self.edited.finish()?;
        self.spans.finish()
    }
}
