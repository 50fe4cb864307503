//! `webtext extract`: the main text of HTML files, of folders of them, and of the pages in archives.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use console::Exit;
use serde_json::json;
use warc::http::{BodyError, Media};
use warc::{Event, Reader, Record};

/// Larger pages, in bytes, are reported as unreadable.
const MAX_PAGE_BYTES: u64 = 64 << 20;

/// Flags of `webtext extract`.
#[derive(clap::Args)]
pub struct Arguments {
    /// HTML files, folders of them, WARC and ARC files, or - for standard input.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Folder for one STEM.txt per page; pages of archives are numbered. [default: standard output]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    extract: pipeline::recipe::Extract,
    /// Output format of a page. JSON is one object per page, with the offsets of each block.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print every block with its probability and why it was kept or dropped, instead of the text.
    #[arg(long)]
    explain: bool,
    /// Write the page with coloured blocks to this file: kept ones green, dropped ones red.
    #[arg(long, value_name = "FILE")]
    explain_html: Option<PathBuf>,
    /// Content type of files and standard input, as a server would send it: a hint about the charset, which the bytes
    /// may disprove.
    #[arg(long, value_name = "TYPE", conflicts_with = "charset")]
    content_type: Option<String>,
    /// Charset of files and standard input, as a hint: short for --content-type "text/html; charset=NAME".
    #[arg(long, value_name = "NAME")]
    charset: Option<String>,
    /// Measure the time of extracting all files, read beforehand, on one thread; prints JSON.
    #[arg(long, conflicts_with_all = ["output", "explain", "explain_html"])]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut options = arguments.extract.options();
    if arguments.format == Format::Markdown {
        options.format = extract::Format::Markdown;
    }
    if arguments.bench {
        return bench(&arguments.inputs, &options);
    }
    let content_type =
        arguments.content_type.clone().or(arguments.charset.as_ref().map(|name| format!("text/html; charset={name}")));
    let mut output = Output {
        arguments,
        content_type,
        unreadable: 0,
        pages: 0,
        empty: 0,
        pages_by_stem: HashMap::new(),
        source: Source::default(),
    };
    for input in &arguments.inputs {
        let name = input.to_string_lossy();
        if name == "-" {
            let mut html = Vec::new();
            std::io::stdin().read_to_end(&mut html).context("cannot read standard input")?;
            output.source = Source { file: "-".to_owned(), ..Source::default() };
            let content_type = output.content_type.clone();
            output.page("stdin", &html, content_type.as_deref(), &options)?;
        } else if input.is_dir() {
            for path in html_files(input)? {
                output.file(&path, &options)?;
            }
        } else if [".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz"].iter().any(|end| name.ends_with(end)) {
            output.archive(input, &options)?;
        } else {
            output.file(input, &options)?;
        }
    }
    if output.empty > 0 {
        tracing::warn!("{} of {} pages have no main text", output.empty, output.pages);
    }
    Ok(if output.unreadable == 0 { Exit::Complete } else { Exit::SomeUnreadable })
}

/// Writes pages, and counts what cannot be read.
struct Output<'a> {
    arguments: &'a Arguments,
    /// What files and standard input are said to be.
    content_type: Option<String>,
    /// Files, pages and parts of archives that could not be read.
    unreadable: u64,
    /// Pages that were read, and those of them without a text.
    pages: u64,
    empty: u64,
    /// Where the present page is from.
    source: Source,
    /// How many pages have been written under a stem.
    pages_by_stem: HashMap<String, u64>,
}

/// Where a page is from.
#[derive(Default)]
struct Source {
    file: String,
    url: Option<String>,
    record_id: Option<String>,
}

impl Output<'_> {
    fn file(&mut self, path: &Path, options: &extract::Options) -> anyhow::Result<()> {
        let html = match std::fs::read(path) {
            Ok(html) => html,
            Err(error) => return self.report_unreadable(&path.to_string_lossy(), &error),
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        self.source = Source { file: path.to_string_lossy().into_owned(), ..Source::default() };
        let content_type = self.content_type.clone();
        self.page(&stem, &html, content_type.as_deref(), options)
    }

    fn page(
        &mut self,
        stem: &str,
        html: &[u8],
        content_type: Option<&str>,
        options: &extract::Options,
    ) -> anyhow::Result<()> {
        let written = extract::with_analysis(html, content_type, options, |analysis| {
            let overlay = self.arguments.explain_html.is_some().then(|| extract::explain::overlay(analysis));
            let page = analysis.page(options);
            (self.written(&page, analysis), overlay, page.text.is_empty())
        });
        let (text, overlay, is_empty) = match written {
            Ok(written) => written,
            Err(error) => return self.report_unreadable(stem, &error),
        };
        self.pages += 1;
        self.empty += u64::from(is_empty);
        if let (Some(overlay), Some(path)) = (overlay, &self.arguments.explain_html) {
            atomic_file::write(path, overlay.as_bytes())?;
        }
        match &self.arguments.output {
            Some(folder) => {
                let end = match self.arguments.format {
                    Format::Text => "txt",
                    Format::Markdown => "md",
                    Format::Json => "json",
                };
                // Pages of the same stem are numbered, so that none replaces another.
                let number = self.pages_by_stem.entry(stem.to_owned()).or_insert(0);
                *number += 1;
                let name = if *number == 1 { format!("{stem}.{end}") } else { format!("{stem}-{number}.{end}") };
                atomic_file::write(&folder.join(name), format!("{text}\n").as_bytes())?;
            }
            None => match writeln!(std::io::stdout(), "{text}") {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    bail!("cannot write to standard output: {error}")
                }
                _ => {}
            },
        }
        Ok(())
    }

    /// The output for a page.
    fn written(&self, page: &extract::Page, analysis: &extract::Analysis) -> String {
        if self.arguments.explain {
            let colours = self.arguments.output.is_none() && std::io::stdout().is_terminal();
            let head = format!(
                "# {} page, {} of {} blocks kept\n",
                page.kind.name(),
                page.parts.len(),
                analysis.reasons.len()
            );
            return head + extract::explain::list(analysis, colours).trim_end();
        }
        if self.arguments.format == Format::Json { json(page, &self.source) } else { page.text.clone() }
    }

    fn archive(&mut self, path: &Path, options: &extract::Options) -> anyhow::Result<()> {
        let mut reader = match Reader::open(path, MAX_PAGE_BYTES) {
            Ok(reader) => reader,
            Err(error) => return self.report_unreadable(&error.archive, &error.source),
        };
        let stem = path.file_name().unwrap_or_default().to_string_lossy();
        let mut number = 0;
        while let Some(event) = reader.next()? {
            let record = match event {
                Event::Record(record) => record,
                Event::Malformed { location, fault } => {
                    let place = format!("{} at byte {}", path.display(), location.offset);
                    self.report_unreadable(&place, &std::io::Error::other(fault))?;
                    continue;
                }
            };
            let Some(page) = html_page(&record) else { continue };
            number += 1;
            self.source = Source {
                file: path.to_string_lossy().into_owned(),
                url: record.target().map(str::to_owned),
                record_id: record.header("WARC-Record-ID").map(str::to_owned),
            };
            match page {
                Ok(page) => {
                    self.page(&format!("{stem}-{number:06}"), &page.html, page.content_type.as_deref(), options)?
                }
                Err(error) => self.report_unreadable(record.target().unwrap_or("a page without a URL"), &error)?,
            }
        }
        Ok(())
    }

    fn report_unreadable(&mut self, what: &str, error: &dyn std::error::Error) -> anyhow::Result<()> {
        tracing::warn!("unreadable: {what}: {error}");
        self.unreadable += 1;
        Ok(())
    }
}

/// A page of an archive, without transfer and content coding.
struct HtmlPage {
    html: Vec<u8>,
    content_type: Option<String>,
}

/// The page that a record holds, if it holds one.
fn html_page(record: &Record) -> Option<Result<HtmlPage, BodyError>> {
    let capture = record.capture().ok()?;
    if capture.status.is_some_and(|status| status != 200) || capture.media != Media::Html {
        return None;
    }
    let html = capture.body(MAX_PAGE_BYTES).map(Cow::into_owned);
    Some(html.map(|html| HtmlPage { html, content_type: capture.content_type.clone() }))
}

fn html_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).with_context(|| format!("cannot list {}", at.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("html") || e.eq_ignore_ascii_case("htm"))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
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

/// Reads all pages first, so that only extraction is timed; one thread, user time.
fn bench(inputs: &[PathBuf], options: &extract::Options) -> anyhow::Result<Exit> {
    let mut pages = Vec::new();
    for input in inputs {
        let files = if input.is_dir() { html_files(input)? } else { vec![input.clone()] };
        for path in files {
            pages.push(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    let before = user_seconds()?;
    let mut bytes = 0;
    for page in &pages {
        bytes += extract::extract(page, None, options).map_or(0, |page| page.text.len());
    }
    let user_s = user_seconds()? - before;
    let html_bytes: usize = pages.iter().map(Vec::len).sum();
    console::out!(
        "{}",
        json!({
            "pages": pages.len(), "html_bytes": html_bytes, "text_bytes": bytes, "user_s": user_s,
            "pages_per_s": pages.len() as f64 / user_s, "mb_per_s": html_bytes as f64 / 1e6 / user_s,
        })
    )?;
    Ok(Exit::Complete)
}

/// User CPU time of this process so far, in seconds, from /proc.
fn user_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("--bench needs /proc")?;
    // The second field is the program's name in brackets, which may contain any character.
    let fields = stat.rsplit(')').next().unwrap_or("");
    let ticks: f64 =
        fields.split_whitespace().nth(11).and_then(|t| t.parse().ok()).context("/proc/self/stat is odd")?;
    // USER_HZ is 100 on every Linux.
    Ok(ticks / 100.0)
}
