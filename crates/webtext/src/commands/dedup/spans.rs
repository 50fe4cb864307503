//! Parts of texts: copies are cut out.

use std::path::{Path, PathBuf};

use console::Exit;
use pipeline::recipe::{SpanRule, SpanScope, SpanUnit, SubstringCopies, SubstringRule};
use pipeline::stages::{EditedRows, PartRule, find_spans_in_files};
use records::{Counts, Reason};
use serde::{Deserialize, Serialize};
use texts::{DocumentRow, RowWriter};

use super::super::{Faults, ReplacedText, UnreadableRows, for_each_row_of};
use super::{Arguments, BUCKETS, By};

/// Flags for parts of texts.
#[derive(clap::Args)]
pub(super) struct Flags {
    /// Sentences in a row that are one part, with --by sentence.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    sentences: u32,
    /// Minimum number of words of a part; shorter ones are never copies.
    #[arg(long, value_name = "N", default_value_t = 8)]
    min_words: u64,
    /// Where copies of a part are looked for. The domain is that of the field `url`.
    #[arg(long, value_name = "SCOPE", default_value = "corpus")]
    within: SpanScope,
    /// Minimum number of texts with a part, from which it is cut out of all of them; without it, the first one stays.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    min_documents: Option<u64>,
    /// Minimum number of bytes of a repeated substring, with --by substring.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=SubstringRule::MAX_MIN_BYTES as i64))]
    min_bytes: u32,
    /// Which occurrences of a substring are cut.
    #[arg(long, value_name = "WHICH", default_value = "later")]
    copies: SubstringCopies,
    /// Memory of the search for substrings.
    #[arg(long, value_name = "MIB", default_value_t = SubstringRule::DEFAULT_MAX_MEMORY_MIB, value_parser = clap::value_parser!(u64).range(1..))]
    max_memory_mib: u64,
}

impl Flags {
    /// The parts that the flags name.
    fn rule(&self, by: By) -> PartRule {
        let &Flags { sentences, min_words, within, min_documents, min_bytes, copies, max_memory_mib } = self;
        let spans = |unit| {
            let sentences = sentences as usize;
            PartRule::Spans(SpanRule { sentences, min_words, within, min_documents, ..SpanRule::of(unit) })
        };
        match by {
            By::Line => spans(SpanUnit::Line),
            By::Paragraph => spans(SpanUnit::Paragraph),
            By::Document | By::Sentence => spans(SpanUnit::Sentence),
            By::Substring => {
                PartRule::Substrings(SubstringRule { min_bytes: min_bytes as usize, copies, max_memory_mib })
            }
        }
    }
}

/// The field that is added to a dropped row.
#[derive(Serialize, Deserialize)]
struct Dropped {
    verdict: String,
}

pub(super) fn run(arguments: &Arguments, folder: &Path) -> anyhow::Result<(Counts, Exit)> {
    let mut writers = Writers::create(arguments)?;
    let rule = arguments.parts.rule(arguments.by);
    let options = super::options(arguments)?;
    let found = find_spans_in_files(&arguments.inputs, "text", &rule, BUCKETS, folder, options)?;
    let unreadable = writers.write_all(&arguments.inputs, &found)?;
    let mut counts = writers.commit()?;
    let exit = unreadable.end(&mut counts);
    Ok((counts, exit))
}

/// The outputs.
struct Writers {
    kept: RowWriter<ReplacedText>,
    dropped: Option<RowWriter<Dropped>>,
    counts: Counts,
}

impl Writers {
    fn create(arguments: &Arguments) -> anyhow::Result<Writers> {
        let kept = RowWriter::create(&arguments.output)?;
        let dropped = arguments.dropped.as_deref().map(RowWriter::create).transpose()?;
        Ok(Writers { kept, dropped, counts: Counts::default() })
    }

    /// Reads the inputs once more, in step with the edited texts.
    fn write_all(&mut self, inputs: &[PathBuf], found: &EditedRows) -> anyhow::Result<UnreadableRows> {
        let mut unreadable = UnreadableRows::default();
        for (number, input) in inputs.iter().enumerate() {
            let mut edited = found.of_input(number)?.peekable();
            let rows = for_each_row_of(input, Faults::RowsNamed, &mut |row| {
                let place = row.place().number();
                let edit = edited.next_if(|next| next.as_ref().map_or(true, |(row, _)| *row == place));
                self.push(&row, edit.transpose()?.map(|(_, text)| text))
            })?;
            anyhow::ensure!(edited.next().is_none(), "{} was changed while it was read", input.display());
            unreadable.add(rows);
        }
        let is_same = self.counts.read == found.counts.kept && unreadable.rows == found.counts.dropped_total();
        anyhow::ensure!(is_same, "an input was changed while it was read");
        Ok(unreadable)
    }

    /// `text` is what is left of a row out of which something was cut; dropped rows keep the text they had.
    fn push(&mut self, row: &DocumentRow, text: Option<String>) -> anyhow::Result<()> {
        let is_dropped = text.as_ref().is_some_and(String::is_empty);
        self.counts.record(is_dropped.then_some(Reason::TooLittleLeft));
        if !is_dropped {
            return Ok(self.kept.push(row, ReplacedText { text })?);
        }
        if let Some(dropped) = &mut self.dropped {
            dropped.push(row, Dropped { verdict: Reason::TooLittleLeft.to_string() })?;
        }
        Ok(())
    }

    /// Ends the outputs.
    fn commit(self) -> anyhow::Result<Counts> {
        self.kept.commit()?;
        self.dropped.map(RowWriter::commit).transpose()?;
        Ok(self.counts)
    }
}
