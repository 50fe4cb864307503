//! `webtext extract`: HTML files, folders of them and WARC files to main text.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ledger::atomic;
use warc::http::Response;
use warc::{Event, Kind, Reader};

use crate::Ending;

/// Largest page.
const PAGE_MAX_BYTES: u64 = 64 << 20;

/// Flags of `webtext extract`.
#[derive(clap::Args)]
pub struct Arguments {
    /// HTML files, folders of them, WARC files, or - for standard input.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Folder for one <stem>.txt a page (WARC pages are numbered); default: standard output.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Keep readers' comments.
    #[arg(long)]
    comments: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let options = extract::Options { keep_comments: arguments.comments, ..extract::Options::default() };
    let mut sink = Sink { folder: arguments.output.as_deref(), faults: 0, names: HashMap::new() };
    for input in &arguments.inputs {
        let name = input.to_string_lossy();
        if name == "-" {
            let mut html = Vec::new();
            std::io::stdin().read_to_end(&mut html).context("cannot read standard input")?;
            sink.page("stdin", &html, None, &options)?;
        } else if input.is_dir() {
            for path in html_files(input)? {
                sink.file(&path, &options)?;
            }
        } else if [".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz"].iter().any(|end| name.ends_with(end)) {
            sink.archive(input, &options)?;
        } else {
            sink.file(input, &options)?;
        }
    }
    Ok(if sink.faults == 0 { Ending::Complete } else { Ending::SomeUnreadable })
}

struct Sink<'a> {
    folder: Option<&'a Path>,
    faults: usize,
    names: HashMap<String, usize>,
}

impl Sink<'_> {
    fn file(&mut self, path: &Path, options: &extract::Options) -> anyhow::Result<()> {
        let html = match std::fs::read(path) {
            Ok(html) => html,
            Err(error) => return self.fault(&path.to_string_lossy(), &error),
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        self.page(&stem, &html, None, options)
    }

    fn page(
        &mut self,
        stem: &str,
        html: &[u8],
        content_type: Option<&str>,
        options: &extract::Options,
    ) -> anyhow::Result<()> {
        let page = match extract::extract(html, content_type, options) {
            Ok(page) => page,
            Err(error) => return self.fault(stem, &error),
        };
        match self.folder {
            Some(folder) => {
                // Two files of one name get numbers rather than one file.
                let times = self.names.entry(stem.to_owned()).or_insert(0);
                *times += 1;
                let name = if *times == 1 { format!("{stem}.txt") } else { format!("{stem}-{times}.txt") };
                atomic::write(&folder.join(name), format!("{}\n", page.text).as_bytes())?;
            }
            None => match writeln!(std::io::stdout(), "{}", page.text) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    bail!("cannot write to standard output: {error}")
                }
                _ => {}
            },
        }
        Ok(())
    }

    fn archive(&mut self, path: &Path, options: &extract::Options) -> anyhow::Result<()> {
        let mut reader = match Reader::open(path, PAGE_MAX_BYTES) {
            Ok(reader) => reader,
            Err(error) => return self.fault(&path.to_string_lossy(), &error),
        };
        let stem = path.file_name().unwrap_or_default().to_string_lossy();
        let mut number = 0;
        while let Some(event) = reader.next()? {
            let record = match event {
                Event::Record(record) => record,
                Event::Malformed { location, what } => {
                    let what = std::io::Error::other(what);
                    self.fault(&format!("{} at byte {}", path.display(), location.offset), &what)?;
                    continue;
                }
            };
            if record.kind == Kind::Resource && record.header("Content-Type") == Some("text/html") {
                number += 1;
                self.page(&format!("{stem}-{number:06}"), &record.body, None, options)?;
            }
            if record.kind != Kind::Response {
                continue;
            }
            let Some(response) = Response::parse(&record.body) else { continue };
            let content_type = response.header("Content-Type");
            if response.status != 200 || !content_type.is_some_and(|kind| kind.to_ascii_lowercase().contains("html")) {
                continue;
            }
            number += 1;
            match response.body(&record.body, PAGE_MAX_BYTES) {
                Ok(html) => self.page(&format!("{stem}-{number:06}"), &html, content_type, options)?,
                Err(error) => self.fault(record.target().unwrap_or("a page without a URL"), &error)?,
            }
        }
        Ok(())
    }

    fn fault(&mut self, what: &str, error: &dyn std::error::Error) -> anyhow::Result<()> {
        eprintln!("unreadable: {what}: {error}");
        self.faults += 1;
        Ok(())
    }
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
