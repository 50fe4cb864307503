//! Ids in shards of a given number of tokens, cut as llm.c's preparation of FineWeb (`dev/data/fineweb.py`) cuts them: a
//! shard has exactly that many tokens, whatever document it ends in; the next begins with the rest of that document. Only
//! the last shard has fewer. All shards together have the tokens of the one file that is written without them.
//!
//! Shards lie in a hidden folder beside their names until the last is complete: a failure leaves nothing.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use console::{Stopped, Usage};
use tempfile::TempDir;

use super::Encoded;
use crate::commands::{beside, check_usage, is_special};
use crate::tokens::{TokenFormat, TokenLayout, llmc_header};

/// Refuses what cannot be cut into shards.
pub(super) fn check(output: &Path, format: TokenFormat) -> Result<(), Usage> {
    let why = match format {
        TokenFormat::Nanogpt | TokenFormat::Llmc => None,
        TokenFormat::Megatron => Some("megatron: its index is of whole documents, and a cut one would become two"),
        TokenFormat::Ids => Some("ids: its lines are whole documents"),
    };
    if let Some(why) = why {
        return Err(Usage(format!("--shard-tokens is not for --format {why}")));
    }
    let is_name = output != Path::new("-") && output.file_name().is_some() && !is_special(output);
    check_usage(is_name, "--shard-tokens needs the name of a file, from which the shards have theirs")
}

/// The two parts of the output's name between which a shard's number stands.
fn around_number(output: &Path) -> (OsString, OsString) {
    let mut before = output.file_stem().unwrap_or_default().to_owned();
    before.push("-");
    let mut behind = OsString::new();
    if let Some(extension) = output.extension() {
        behind.push(".");
        behind.push(extension);
    }
    (before, behind)
}

/// The file of a shard, and that of its offsets.
pub(super) fn names(output: &Path, number: u64) -> [PathBuf; 2] {
    let (mut name, behind) = around_number(output);
    name.push(format!("{number:05}"));
    name.push(behind);
    let shard = output.with_file_name(name);
    [shard.clone(), beside(&shard, OFFSETS)]
}

const OFFSETS: &str = ".offsets";

/// Shards that are there already, and their offsets.
pub(super) fn older(output: &Path) -> Result<Vec<PathBuf>, Usage> {
    let (before, behind) = around_number(output);
    let is_shard = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        let name = name.strip_suffix(OFFSETS.as_bytes()).unwrap_or(name);
        let number = name.strip_prefix(before.as_encoded_bytes());
        let number = number.and_then(|rest| rest.strip_suffix(behind.as_encoded_bytes()));
        number.is_some_and(|number| number.len() >= 5 && number.iter().all(u8::is_ascii_digit))
    };
    match fs::read_dir(folder_of(output)) {
        Ok(entries) => Ok(entries
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .filter(|name| is_shard(name))
            .map(|name| output.with_file_name(name))
            .collect()),
        // It is made with the first shard.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Usage(format!("cannot read the folder {}: {error}", folder_of(output).display()))),
    }
}

fn folder_of(output: &Path) -> &Path {
    output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes ids to shards, and the places in them where documents begin.
pub(super) struct ShardWriter {
    output: PathBuf,
    layout: TokenLayout,
    shard_tokens: u64,
    /// Where complete shards wait for the last.
    folder: TempDir,
    /// Number of complete shards.
    complete: u64,
    /// The shard at hand; none before its first token.
    file: Option<BufWriter<File>>,
    /// Its tokens, fewer than a shard has.
    tokens: u64,
    /// Where documents begin in it.
    begins: Vec<u64>,
}

impl ShardWriter {
    pub(super) fn create(output: &Path, layout: TokenLayout, shard_tokens: u64) -> anyhow::Result<ShardWriter> {
        if layout.format == TokenFormat::Llmc {
            let max = i32::MAX as u64;
            check_usage(shard_tokens <= max, &format!("--shard-tokens is at most {max} for --format llmc"))?;
        }
        let failed = || format!("cannot create a folder in {}", folder_of(output).display());
        fs::create_dir_all(folder_of(output)).with_context(failed)?;
        let prefix = format!(".{}{}", output.file_name().unwrap_or_default().display(), atomic_file::PARTIAL_MARK);
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(folder_of(output)).with_context(failed)?;
        let (output, begins) = (output.to_path_buf(), Vec::new());
        Ok(ShardWriter { output, layout, shard_tokens, folder, complete: 0, file: None, tokens: 0, begins })
    }

    /// Takes a batch. A batch may be many shards, each of which is written to the disk: `stop` is looked at before each.
    pub(super) fn push(&mut self, encoded: &Encoded, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut end = encoded.lengths.iter().sum::<u64>() - encoded.begun_lengths().iter().sum::<u64>();
        let mut begins = encoded.begun_lengths().iter().map(|length| {
            end += length;
            end - length
        });
        let mut begin = begins.next();
        let (mut rest, mut done) = (encoded.bytes.as_slice(), 0);
        while !rest.is_empty() {
            if stop.load(Ordering::Relaxed) {
                return Err(Stopped.into());
            }
            let width = self.layout.width.bytes();
            let taken = (self.shard_tokens - self.tokens).min((rest.len() / width) as u64);
            while let Some(at) = begin.filter(|&at| at < done + taken) {
                self.begins.push(self.tokens + at - done);
                begin = begins.next();
            }
            let (ids, behind) = rest.split_at(taken as usize * width);
            self.write(ids)?;
            self.tokens += taken;
            if self.tokens == self.shard_tokens {
                self.end_shard()?;
            }
            (rest, done) = (behind, done + taken);
        }
        // What begins behind the last id has its first in a later batch.
        self.begins.extend(begin.into_iter().chain(begins).map(|at| self.tokens + at - done));
        Ok(())
    }

    fn failed(&self) -> String {
        format!("cannot write {}", names(&self.output, self.complete)[0].display())
    }

    /// Where a file lies until all are complete.
    fn waiting(&self, path: &Path) -> PathBuf {
        self.folder.path().join(path.file_name().unwrap_or_default())
    }

    fn header(&self) -> Vec<u8> {
        match self.layout.format {
            TokenFormat::Llmc => llmc_header(self.tokens, self.layout.width).to_vec(),
            _ => Vec::new(),
        }
    }

    fn write(&mut self, ids: &[u8]) -> anyhow::Result<()> {
        if self.file.is_none() {
            let path = self.waiting(&names(&self.output, self.complete)[0]);
            let file = File::create(path).with_context(|| self.failed())?;
            let mut file = BufWriter::with_capacity(1 << 20, file);
            // It is written again when the number of tokens is known.
            file.write_all(&self.header()).with_context(|| self.failed())?;
            self.file = Some(file);
        }
        let file = self.file.as_mut().expect("just created");
        let written = file.write_all(ids);
        written.with_context(|| self.failed())
    }

    fn end_shard(&mut self) -> anyhow::Result<()> {
        self.write(&[])?;
        let [_, offsets] = names(&self.output, self.complete);
        let (header, failed) = (self.header(), self.failed());
        let places: Vec<u8> = self.begins.iter().chain([&self.tokens]).flat_map(|place| place.to_le_bytes()).collect();
        let ended = self.file.take().map_or(Ok(()), |file| {
            let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            file.write_all(&header)?;
            file.sync_all()?;
            let mut file = File::create(self.waiting(&offsets))?;
            file.write_all(&places)?;
            file.sync_all()
        });
        ended.context(failed)?;
        (self.complete, self.tokens) = (self.complete + 1, 0);
        self.begins.clear();
        Ok(())
    }

    /// Puts all shards in their places, and removes older ones; returns how many there are, at least one.
    pub(super) fn finish(mut self) -> anyhow::Result<u64> {
        if self.tokens > 0 || self.complete == 0 {
            self.end_shard()?;
        }
        for path in older(&self.output)? {
            fs::remove_file(&path).with_context(|| format!("cannot replace {}", path.display()))?;
        }
        let mut placed = Vec::new();
        for path in (0..self.complete).flat_map(|number| names(&self.output, number)) {
            let moved = fs::rename(self.waiting(&path), &path);
            placed.push(path);
            if let Err(error) = moved {
                placed.iter().for_each(|path| drop(fs::remove_file(path)));
                return Err(error).with_context(|| format!("cannot write {}", self.output.display()));
            }
        }
        let synced = File::open(folder_of(&self.output)).and_then(|folder| folder.sync_all());
        synced.with_context(|| format!("cannot sync the folder {}", folder_of(&self.output).display()))?;
        Ok(self.complete)
    }
}
