//! Parts of texts: copies are cut out.

use std::path::{Path, PathBuf};

use console::Exit;
use pipeline::recipe::{SpanRule, SpanScope, SpanUnit, SubstringCopies, SubstringRule};
use pipeline::stages::{EditedRows, PartRule, find_spans_in_files};
use records::{Counts, CutSpans, Reason};
use serde::{Deserialize, Serialize};
use texts::{DocumentRow, RowWriter};

use super::super::file_run::unless_stopped;
use super::super::{Faults, UnreadableRows, Usage, for_each_row_of, keep_what_is_there, push_with_text};
use super::{Arguments, BUCKETS, By, Outputs};

/// Flags for parts of texts.
#[derive(clap::Args)]
pub(super) struct Flags {
    /// Sentences in a row that are one part, with --by sentence. [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sentences: Option<u32>,
    /// Minimum number of words of a line, paragraph or run of sentences; shorter ones are never copies. [default: 8]
    #[arg(long, value_name = "N")]
    min_words: Option<u64>,
    /// Where copies of these are looked for. The domain is that of the field `url`. [default: corpus]
    #[arg(long, value_name = "SCOPE")]
    within: Option<SpanScope>,
    /// Cut a line, paragraph or run of sentences out of all texts that hold it if they are at least this many. Without
    /// this flag, the first copy stays.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    min_documents: Option<u64>,
    /// Minimum number of bytes of a repeated substring, with --by substring. [default: 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=SubstringRule::MAX_MIN_LENGTH as i64))]
    min_bytes: Option<u32>,
    /// Minimum number of GPT-2's tokens of a repeated substring, in place of --min-bytes.
    #[arg(long, value_name = "N", conflicts_with = "min_bytes", value_parser = clap::value_parser!(u32).range(1..=SubstringRule::MAX_MIN_LENGTH as i64))]
    min_tokens: Option<u32>,
    /// Which occurrences of a substring are cut: all but the first, or all. [default: later]
    #[arg(long, value_name = "WHICH")]
    copies: Option<SubstringCopies>,
    /// Memory of the search for substrings. [default: 2048]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    max_memory_mib: Option<u64>,
    /// Rows out of which something was cut, as they were, with the bytes of each span (`starts`, `ends`) and whether
    /// too little was left; same formats as OUT.
    #[arg(long, value_name = "OUT")]
    pub(super) cut: Option<PathBuf>,
}

/// Bytes of a repeated substring where none are given.
const DEFAULT_MIN_BYTES: u32 = 200;

impl Flags {
    /// Refuses flags that have no meaning for these parts.
    pub(super) fn check(&self, by: By) -> anyhow::Result<()> {
        let of_units = self.min_words.is_some() || self.within.is_some() || self.min_documents.is_some();
        let length = self.min_bytes.or(self.min_tokens);
        let of_substrings = length.is_some() || self.copies.is_some() || self.max_memory_mib.is_some();
        let fault = match by {
            By::Sentence => None,
            _ if self.sentences.is_some() => Some("--sentences goes with --by sentence"),
            By::Line | By::Paragraph => None,
            _ if of_units => {
                Some("--min-words, --within and --min-documents go with --by line, paragraph and sentence")
            }
            By::Document if self.cut.is_some() => Some("--cut goes with --by other than document"),
            By::Document | By::Substring => None,
        };
        let fault = match by {
            By::Substring => fault,
            _ if of_substrings => {
                Some("--min-bytes, --min-tokens, --copies and --max-memory-mib go with --by substring")
            }
            _ => fault,
        };
        fault.map_or(Ok(()), |fault| Err(Usage(fault.to_owned()).into()))
    }

    /// The parts that the flags name.
    fn rule(&self, by: By) -> PartRule {
        let spans = |unit| {
            let mut rule = SpanRule { min_documents: self.min_documents, ..SpanRule::of(unit) };
            rule.sentences = self.sentences.map_or(rule.sentences, |sentences| sentences as usize);
            rule.min_words = self.min_words.unwrap_or(rule.min_words);
            rule.within = self.within.unwrap_or(rule.within);
            PartRule::Spans(rule)
        };
        match by {
            By::Line => spans(SpanUnit::Line),
            By::Paragraph => spans(SpanUnit::Paragraph),
            By::Document | By::Sentence => spans(SpanUnit::Sentence),
            By::Substring => PartRule::Substrings(SubstringRule {
                min_bytes: self.min_tokens.is_none().then(|| self.min_bytes.unwrap_or(DEFAULT_MIN_BYTES) as usize),
                min_tokens: self.min_tokens.map(|tokens| tokens as usize),
                copies: self.copies.unwrap_or_default(),
                max_memory_mib: self.max_memory_mib.unwrap_or(SubstringRule::DEFAULT_MAX_MEMORY_MIB),
            }),
        }
    }
}

/// The field that is added to a dropped row.
#[derive(Serialize, Deserialize)]
struct Dropped {
    verdict: String,
}

/// The fields that are added to a row out of which something was cut.
#[derive(Serialize, Deserialize)]
struct Cut {
    verdict: String,
    /// First byte of each span, in the text.
    starts: Vec<u64>,
    /// The byte behind the last one of each span.
    ends: Vec<u64>,
}

pub(super) fn run(arguments: &Arguments, folder: &Path) -> anyhow::Result<(Counts, Exit)> {
    let mut outputs = Outputs::create(arguments)?;
    let mut cut = arguments.parts.cut.as_deref().map(RowWriter::create).transpose()?;
    let rule = arguments.parts.rule(arguments.by);
    let options = arguments.run.options()?;
    let (inputs, text_field) = (&arguments.inputs, &arguments.text.text_field);
    let found = unless_stopped(find_spans_in_files(inputs, text_field, &rule, BUCKETS, folder, options))?;
    let unreadable = outputs.write_all(arguments, &found, cut.as_mut())?;
    keep_what_is_there(&outputs.counts, &arguments.output)?;
    let mut counts = outputs.commit()?;
    cut.map(RowWriter::commit).transpose()?;
    let exit = unreadable.end(&mut counts);
    let (bytes, spans) = (console::count(found.cut_bytes, "byte"), console::count(found.cut_spans, "span"));
    let were = if found.cut_bytes == 1 { "was" } else { "were" };
    tracing::info!("{bytes} in {spans} {were} cut");
    Ok((counts, exit))
}

impl Outputs<Dropped> {
    /// Reads the inputs once more, in step with the edited texts.
    fn write_all(
        &mut self,
        arguments: &Arguments,
        found: &EditedRows,
        mut cut: Option<&mut RowWriter<Cut>>,
    ) -> anyhow::Result<UnreadableRows> {
        let mut unreadable = UnreadableRows::default();
        for (number, input) in arguments.inputs.iter().enumerate() {
            // A row of spans for each edited row.
            let mut edited = found.of_input(number)?.zip(found.spans(number)?).peekable();
            let rows = for_each_row_of(input, &arguments.text, Faults::RowsNamed, &mut |row| {
                let place = row.place().number();
                let edit = edited.next_if(|(edit, _)| edit.as_ref().map_or(true, |(row, _)| *row == place));
                let Some((edit, spans)) = edit else { return self.push(&row, None) };
                if let Some(cut) = &mut cut {
                    let CutSpans { starts, ends, verdict, .. } = spans?;
                    let verdict = verdict.map_or_else(|| "cut".to_owned(), |verdict| verdict.to_string());
                    cut.push(&row, Cut { verdict, starts, ends })?;
                }
                self.push(&row, Some(edit?.1))
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
            return push_with_text(&mut self.kept, row, text);
        }
        if let Some(dropped) = &mut self.dropped {
            dropped.push(row, Dropped { verdict: Reason::TooLittleLeft.to_string() })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::super::{name_of_value, stated_default};
    use super::*;

    #[derive(Parser)]
    struct FlagsAlone {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn the_help_states_the_defaults() {
        let flags = FlagsAlone::parse_from(["dedup"]).flags;
        let PartRule::Spans(spans) = flags.rule(By::Sentence) else { panic!("sentences are spans") };
        let PartRule::Substrings(substrings) = flags.rule(By::Substring) else { panic!("substrings are no spans") };
        let expected = [
            ("sentences", spans.sentences.to_string()),
            ("min_words", spans.min_words.to_string()),
            ("within", name_of_value(&spans.within)),
            ("min_bytes", substrings.min_bytes.unwrap().to_string()),
            ("copies", name_of_value(&substrings.copies)),
            ("max_memory_mib", substrings.max_memory_mib.to_string()),
        ];
        for (flag, default) in expected {
            assert_eq!(stated_default::<Flags>(flag), default, "{flag}");
        }
    }
}
