//! JSON Lines in batches of whole lines, which are parsed by the thread that processes the batch.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use texts::DocumentFault;

use super::{BATCH_BYTES, Fault, InputOptions, Reader, read_more};

/// Whole lines of a file.
#[derive(Debug)]
pub(super) struct LineBatch {
    pub(super) bytes: Vec<u8>,
    /// The number of the first line in the file.
    pub(super) first_line: u64,
}

impl LineBatch {
    /// The text of each line that is not blank.
    pub(super) fn texts<'b>(&'b self, options: &'b InputOptions) -> impl Iterator<Item = Result<Cow<'b, str>, Fault>> {
        let lines = (self.first_line..).zip(self.bytes.split(|&byte| byte == b'\n'));
        let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
        lines.map(|(number, line)| text_of(line, options).map_err(|fault| Fault::at(format!("line {number}"), fault)))
    }
}

fn text_of<'l>(line: &'l [u8], options: &InputOptions) -> Result<Cow<'l, str>, DocumentFault> {
    let text = texts::text_of_line(line, &options.text_field);
    if !options.lossy || text.is_ok() {
        return text;
    }
    let line = texts::without_lone_surrogates(&String::from_utf8_lossy(line));
    texts::text_of_line(line.as_bytes(), &options.text_field).map(|text| Cow::Owned(text.into_owned()))
}

/// Cuts a file into batches of lines.
pub(super) struct LineBatches {
    path: PathBuf,
    reader: Reader,
    held: Vec<u8>,
    /// The number of the first line that is held.
    line: u64,
    has_ended: bool,
}

impl LineBatches {
    pub(super) fn new(path: &Path, reader: Reader) -> LineBatches {
        LineBatches { path: path.to_path_buf(), reader, held: Vec::new(), line: 1, has_ended: false }
    }

    pub(super) fn next(&mut self, options: &InputOptions) -> Result<Option<LineBatch>, Fault> {
        let (mut first_line, mut searched) = (self.line, 0);
        loop {
            let end = match self.has_ended {
                true => Some(self.held.len()),
                false => memchr::memrchr(b'\n', &self.held[searched..]).map(|at| searched + at + 1),
            };
            if let Some(end) = end.filter(|_| self.has_ended || self.held.len() >= BATCH_BYTES) {
                if end == 0 {
                    return Ok(None);
                }
                let rest = self.held.split_off(end);
                let bytes = std::mem::replace(&mut self.held, rest);
                self.line += count_lines(&bytes);
                return Ok(Some(LineBatch { bytes, first_line }));
            }
            // Only a line whose end is not found yet is searched further.
            searched = if end.is_none() { self.held.len() } else { 0 };
            if self.held.len() > options.max_line_bytes && end.is_none() {
                let what = format!("a line of more than {} bytes", options.max_line_bytes);
                let fault = Fault::at(format!("line {first_line}"), what);
                let Some(skipped) = &options.skipped else { return Err(fault) };
                skipped.add(&fault.in_file(&self.path));
                self.skip_line()?;
                (first_line, searched) = (self.line, 0);
                continue;
            }
            match read_more(&mut self.reader, &mut self.held) {
                Ok(0) => self.has_ended = true,
                Ok(_) => {}
                Err(error) => return Err(Fault::at(format!("line {}", first_line + count_lines(&self.held)), error)),
            }
        }
    }
}

impl LineBatches {
    /// Drops the line that the held bytes are a part of.
    fn skip_line(&mut self) -> Result<(), Fault> {
        while !self.has_ended {
            self.held.clear();
            match read_more(&mut self.reader, &mut self.held) {
                Ok(0) => self.has_ended = true,
                Ok(_) => {}
                Err(error) => return Err(Fault::at(format!("line {}", self.line), error)),
            }
            if let Some(end) = memchr::memchr(b'\n', &self.held) {
                self.held.drain(..=end);
                break;
            }
        }
        self.line += 1;
        Ok(())
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_surrogate_pair_is_replaced_if_that_is_asked_for() {
        let check = |json: &str, expected: &str| {
            let line = format!("{{\"text\":\"{json}\"}}");
            let lossy = InputOptions::default().with_lossy(true);
            assert_eq!(text_of(line.as_bytes(), &lossy).unwrap(), expected, "{json}");
        };
        check(r"cut \ud83d off", "cut \u{fffd} off");
        check(r"\ud83d\ude00 \ude00 \ud83d\ud83d\ude00", "😀 \u{fffd} \u{fffd}😀");
        check(r"\\ud83d \u00e9\ud83d", "\\ud83d é\u{fffd}");
        assert!(text_of(br#"{"text":"\ud83d"}"#, &InputOptions::default()).is_err());
    }
}
