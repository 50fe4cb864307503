//! One file per subcommand.

pub mod build;
pub mod clean;
pub mod common_crawl;
pub mod dedup;
pub mod diff;
pub mod explain;
pub mod extract;
pub mod fetch;
pub mod filter;
pub mod links;
pub mod report;
pub mod status;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use atomic_file::AtomicFile;
use records::Counts;
use serde_json::Value;

pub use console::Usage;

/// Lets Ctrl-C end a run between tasks.
fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    console::stop_on_ctrl_c("stopping after what is under way").context("cannot listen for Ctrl-C")
}

/// Lets a command that fetches have as many open files as the system allows; with fewer it goes on more slowly.
fn allow_many_files() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Tells what became of the records: as JSON on standard output, or for people on standard error.
fn print_counts(counts: &Counts, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(counts)?);
        return Ok(());
    }
    eprintln!("{} read, {} kept", counts.read, counts.kept);
    for (reason, n) in &counts.dropped {
        eprintln!("  {n:>9} {reason}");
    }
    Ok(())
}

/// A JSON Lines file to write, compressed when its name ends in `.zst`; it appears when it is whole.
enum JsonLines {
    Plain(AtomicFile),
    Zstd(Box<zstd::Encoder<'static, AtomicFile>>),
}

impl JsonLines {
    fn create(path: &Path) -> anyhow::Result<JsonLines> {
        let file = AtomicFile::create(path)?;
        if path.extension().is_some_and(|extension| extension == "zst") {
            return Ok(JsonLines::Zstd(Box::new(zstd::Encoder::new(file, 3)?)));
        }
        Ok(JsonLines::Plain(file))
    }

    fn push(&mut self, row: &Value) -> anyhow::Result<()> {
        let line = format!("{row}\n");
        match self {
            JsonLines::Plain(file) => file.write_all(line.as_bytes()),
            JsonLines::Zstd(encoder) => encoder.write_all(line.as_bytes()),
        }
        .context("cannot write the output")
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            JsonLines::Plain(file) => file.commit()?,
            JsonLines::Zstd(encoder) => encoder.finish().context("cannot write the output")?.commit()?,
        };
        Ok(())
    }
}

/// Calls `each` with every line of JSON Lines files that holds an object with a `text`, and its place.
/// Lines that do not are named, and make the result false.
fn for_each_row(paths: &[PathBuf], mut each: impl FnMut(Value, &str) -> anyhow::Result<()>) -> anyhow::Result<bool> {
    let mut all_readable = true;
    for path in paths {
        let reader = bpe::input::open_plain(path).with_context(|| format!("cannot open {}", path.display()))?;
        for (number, line) in std::io::BufRead::lines(reader).enumerate() {
            let row = line.map_err(anyhow::Error::from).and_then(|line| Ok(serde_json::from_str::<Value>(&line)?));
            match row {
                Ok(row) if row["text"].is_string() => {
                    let text = row["text"].as_str().unwrap_or_default().to_owned();
                    each(row, &text)?;
                }
                Ok(_) => {
                    tracing::warn!("unreadable: {}, line {}: no field \"text\"", path.display(), number + 1);
                    all_readable = false;
                }
                Err(error) => {
                    tracing::warn!("unreadable: {}, line {}: {error:#}", path.display(), number + 1);
                    all_readable = false;
                    if error.is::<std::io::Error>() {
                        break;
                    }
                }
            }
        }
    }
    Ok(all_readable)
}
