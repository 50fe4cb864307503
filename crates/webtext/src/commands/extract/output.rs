//! Texts of pages, made by several threads and written in the order of the pages.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use console::{Exit, count};
use rayon::ThreadPool;
use rayon::prelude::*;
use serde_json::json;

use super::pages::{Content, Found, InputPage, Source, Unreadable, has_no_tag};
use super::{Arguments, Format};

/// Pages and bytes that are gathered before the threads extract them.
const PAGES_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 64 << 20;

/// Extracts pages and writes them, and counts what cannot be read.
pub(super) struct Output<'a> {
    arguments: &'a Arguments,
    options: &'a extract::Options,
    threads: &'a ThreadPool,
    waiting: Vec<Found>,
    waiting_bytes: usize,
    /// Whether there are more pages than one, which then are told apart by name.
    are_several: bool,
    /// Files, pages and parts of archives that could not be read.
    unreadable: u64,
    /// Pages that were written, and those of them without a text.
    pages: u64,
    empty: u64,
    overlays: u64,
    /// How many pages have been written under a stem.
    pages_by_stem: HashMap<String, u64>,
}

/// What is written of a page.
struct Written {
    text: String,
    overlay: Option<String>,
    is_empty: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(arguments: &'a Arguments, options: &'a extract::Options, threads: &'a ThreadPool) -> Output<'a> {
        Output {
            arguments,
            options,
            threads,
            waiting: Vec::new(),
            waiting_bytes: 0,
            are_several: false,
            unreadable: 0,
            pages: 0,
            empty: 0,
            overlays: 0,
            pages_by_stem: HashMap::new(),
        }
    }

    /// Takes a page, or what could not be read.
    pub(super) fn push(&mut self, found: Found) -> anyhow::Result<()> {
        self.waiting_bytes += match &found {
            Ok(InputPage { content: Content::Html { bytes, .. }, .. }) => bytes.len(),
            Ok(InputPage { content: Content::Text(text), .. }) => text.len(),
            Err(_) => 0,
        };
        self.waiting.push(found);
        if self.waiting.len() < PAGES_AT_ONCE && self.waiting_bytes < BYTES_AT_ONCE {
            return Ok(());
        }
        self.write_waiting()
    }

    /// Writes what is left; says how many pages had no text.
    pub(super) fn finish(mut self) -> anyhow::Result<Exit> {
        self.write_waiting()?;
        if self.empty > 0 {
            let have = if self.empty == 1 { "has" } else { "have" };
            tracing::warn!("{} of {} {have} no main text", self.empty, count(self.pages, "page"));
        }
        Ok(if self.unreadable == 0 { Exit::Complete } else { Exit::SomeUnreadable })
    }

    fn write_waiting(&mut self) -> anyhow::Result<()> {
        self.waiting_bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        self.are_several |= waiting.len() > 1 || self.pages > 0;
        let (arguments, options) = (self.arguments, self.options);
        let extracted: Vec<(String, Source, Result<Written, Unreadable>)> = self.threads.install(|| {
            let extract = |found: Found| match found {
                Ok(page) => extracted(page, arguments, options),
                Err(unreadable) => (String::new(), Source::default(), Err(unreadable)),
            };
            waiting.into_par_iter().map(extract).collect()
        });
        for (stem, source, written) in extracted {
            match written {
                Ok(written) => self.write(&stem, &source, &written)?,
                Err(Unreadable { what, error }) => {
                    tracing::warn!("unreadable: {what}: {error}");
                    self.unreadable += 1;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, stem: &str, source: &Source, written: &Written) -> anyhow::Result<()> {
        self.pages += 1;
        self.empty += u64::from(written.is_empty);
        if let (Some(overlay), Some(path)) = (&written.overlay, &self.arguments.explain_html) {
            self.overlays += 1;
            atomic_file::write(&numbered(path, self.overlays), overlay.as_bytes())?;
        }
        let Some(folder) = &self.arguments.output else { return self.print(source, &written.text) };
        let end = match self.arguments.format {
            Format::Text if self.arguments.markdown => "md",
            Format::Text => "txt",
            Format::Markdown => "md",
            Format::Json => "json",
        };
        // Pages of the same stem are numbered, so that none replaces another.
        let number = self.pages_by_stem.entry(stem.to_owned()).or_insert(0);
        *number += 1;
        let path = numbered(&folder.join(format!("{stem}.{end}")), *number);
        if is_same_file(&path, Path::new(&source.file)) {
            bail!("the text of {} would be written over it; give another folder with -o", source.file);
        }
        atomic_file::write(&path, format!("{}\n", written.text).as_bytes())?;
        Ok(())
    }

    /// Prints a text; for a person who reads several, with its name.
    fn print(&self, source: &Source, text: &str) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        let name = source.url.as_ref().unwrap_or(&source.file);
        let name = Some(name.as_str()).filter(|_| stdout.is_terminal() && self.are_several);
        match writeln!(stdout, "{}{text}", head(self.arguments.format, self.pages == 1, name)) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                bail!("cannot write to standard output: {error}")
            }
            _ => Ok(()),
        }
    }
}

/// What is printed before a page: a blank line behind another one, as between paragraphs, and the page's name. Objects of
/// JSON are lines.
fn head(format: Format, is_first: bool, name: Option<&str>) -> String {
    if format == Format::Json {
        return String::new();
    }
    let blank = if is_first { "" } else { "\n" };
    let name = name.map(|name| format!("==> {name} <==\n")).unwrap_or_default();
    format!("{blank}{name}")
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

/// `a.html`, `a-2.html`, `a-3.html` …
fn numbered(path: &Path, number: u64) -> PathBuf {
    if number == 1 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = path.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{number}{end}"))
}

fn extracted(
    InputPage { stem, source, content }: InputPage,
    arguments: &Arguments,
    options: &extract::Options,
) -> (String, Source, Result<Written, Unreadable>) {
    let written = match content {
        Content::Text(text) => Ok(Written {
            is_empty: text.is_empty(),
            overlay: None,
            text: match arguments.format {
                Format::Json => json(&extract::Page { text, ..Default::default() }, &source),
                Format::Text | Format::Markdown => text,
            },
        }),
        Content::Html { bytes, content_type, charset } => {
            let mut options = options.clone();
            options.charset = charset;
            let written = extract::with_analysis(&bytes, content_type.as_deref(), &options, |analysis| {
                let overlay = arguments.explain_html.is_some().then(|| extract::explain::overlay(analysis));
                let page = analysis.page(&options);
                Written { text: text_of(arguments, &page, analysis, &source), overlay, is_empty: page.text.is_empty() }
            });
            let unreadable = |error| Unreadable { what: source.url.as_ref().unwrap_or(&source.file).clone(), error };
            match written {
                Ok(written) if written.is_empty && has_no_tag(&bytes) && !bytes.trim_ascii().is_empty() => {
                    Err(unreadable("it is no page: it has neither a tag nor a sentence".to_owned()))
                }
                written => written.map_err(|error| unreadable(error.to_string())),
            }
        }
    };
    (stem, source, written)
}

/// The output for a page.
fn text_of(arguments: &Arguments, page: &extract::Page, analysis: &extract::Analysis, source: &Source) -> String {
    if arguments.explain {
        let colours = arguments.output.is_none() && std::io::stdout().is_terminal();
        let (kind, kept, blocks) = (page.kind.name(), page.parts.len(), analysis.reasons.len());
        let name = source.url.as_ref().unwrap_or(&source.file);
        let head = format!("# {kind} page, {kept} of {blocks} blocks kept: {name}\n");
        return head + extract::explain::list(analysis, colours).trim_end();
    }
    if arguments.format == Format::Json { json(page, source) } else { page.text.clone() }
}

/// A page as one JSON object.
fn json(page: &extract::Page, source: &Source) -> String {
    let blocks: Vec<_> = page
        .parts
        .iter()
        .map(|part| {
            json!({
                "kind": extract::explain::kind(part.kind),
                "start": part.range.start,
                "end": part.range.end,
                "source_offset": part.source_offset,
                "probability": part.probability,
            })
        })
        .collect();
    let head = &page.head;
    json!({
        "file": source.file,
        "url": source.url,
        "record_id": source.record_id,
        "title": head.title,
        "author": head.authors.first(),
        "authors": head.authors.join("; "),
        "date": head.date,
        "language": head.language,
        "canonical_url": head.canonical_url,
        "opted_out": head.opted_out,
        "kind": page.kind.name(),
        "charset": page.charset,
        "replacement_characters": page.replacement_characters,
        "text": page.text,
        "blocks": blocks,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_line_is_between_pages_on_terminals_and_in_pipes() {
        assert_eq!(head(Format::Text, true, None), "");
        assert_eq!(head(Format::Text, false, None), "\n");
        assert_eq!(head(Format::Markdown, false, Some("a.html")), "\n==> a.html <==\n");
        assert_eq!(head(Format::Text, true, Some("a.html")), "==> a.html <==\n");
        assert_eq!(head(Format::Json, false, Some("a.html")), "");
    }
}
