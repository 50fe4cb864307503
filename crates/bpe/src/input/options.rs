//! How files are read.

use texts::TextFormat;

use super::SkippedRows;
use crate::RunCutter;
use crate::split::pretokenize::Cuts;

/// How files are read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InputOptions {
    /// The format of all files. Default: by each file's name, or else its content.
    pub format: Option<TextFormat>,
    /// The field or column of the text. Default: `text`.
    pub text_field: String,
    /// Splits plain text into documents; the separator is part of none. Default: a file is one document.
    pub separator: Option<String>,
    /// Replace invalid UTF-8 by U+FFFD instead of failing with the byte's offset. Default: `false`.
    pub lossy: bool,
    /// Longest line of JSON Lines, in bytes. Default: 128 MiB.
    pub max_line_bytes: usize,
    /// Where a plain text may be cut. Default: where GPT-2's pattern allows it.
    pub cuts: Cuts,
    /// Cuts pretokens of a plain text that are too long to be held. Default: none, a pretoken is held whole.
    pub run_cutter: Option<RunCutter>,
    /// Counts rows without a text, which are left out. Default: such a row is an error.
    pub(super) skipped: Option<SkippedRows>,
}

impl Default for InputOptions {
    fn default() -> InputOptions {
        let max_line_bytes = texts::DEFAULT_MAX_TEXT_BYTES;
        let (text_field, cuts) = ("text".to_owned(), Cuts::default());
        InputOptions {
            format: None,
            text_field,
            separator: None,
            lossy: false,
            max_line_bytes,
            cuts,
            run_cutter: None,
            skipped: None,
        }
    }
}

impl InputOptions {
    /// The same with documents that end at a separator.
    pub fn with_separator(self, separator: impl Into<String>) -> InputOptions {
        InputOptions { separator: Some(separator.into()), ..self }
    }

    /// The same for another format, whatever the names say.
    pub fn with_format(self, format: TextFormat) -> InputOptions {
        InputOptions { format: Some(format), ..self }
    }

    /// The same for texts of another field.
    pub fn with_text_field(self, text_field: impl Into<String>) -> InputOptions {
        InputOptions { text_field: text_field.into(), ..self }
    }

    /// The same with invalid UTF-8 replaced, or not.
    pub fn with_lossy(self, lossy: bool) -> InputOptions {
        InputOptions { lossy, ..self }
    }

    /// The same with rows that have no text left out and counted.
    pub fn with_bad_rows_skipped(self) -> InputOptions {
        InputOptions { skipped: Some(SkippedRows::default()), ..self }
    }

    /// The rows that were left out so far, if they are.
    pub fn skipped_rows(&self) -> Option<&SkippedRows> {
        self.skipped.as_ref()
    }

    /// The same with long pretokens cut.
    pub fn with_run_cutter(self, run_cutter: Option<RunCutter>) -> InputOptions {
        InputOptions { run_cutter, ..self }
    }

    /// The same with texts cut where a tokenizer allows it.
    pub fn with_cuts(self, cuts: Cuts) -> InputOptions {
        InputOptions { cuts, ..self }
    }

    /// The same with another limit on a line's length.
    pub fn with_max_line_bytes(self, max_line_bytes: usize) -> InputOptions {
        InputOptions { max_line_bytes, ..self }
    }
}
