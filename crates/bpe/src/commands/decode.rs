//! `bpe decode`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use user_error::UserError;

use super::{beside, is_special};
use crate::tokens::{CutOffFile, IdWidth, is_llmc, parse_binary};
use crate::{TokenId, Tokenizer};

/// Flags of `bpe decode`.
#[derive(clap::Args)]
pub struct Arguments {
    /// nanoGPT or llm.c file (.bin), or text with one document per line, its ids separated by spaces. `-` for standard
    /// input, which is binary unless it holds numbers alone.
    input: PathBuf,
    /// File for the bytes. [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    tokenizer: super::TokenizerName,
}

/// A file of numpy's, which says itself how its numbers are stored.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: it is an array of numpy's (.npy), not a file of ids", .0.display())]
pub struct NumpyArray(PathBuf);

impl UserError for NumpyArray {
    fn hint(&self) -> Option<String> {
        let name = self.0.display();
        Some(format!("python -c \"import numpy; numpy.load('{name}').astype('uint16').tofile('ids.bin')\" writes one"))
    }
}

/// A word between blanks that is no id.
#[derive(Debug, thiserror::Error)]
#[error("{}, line {line}: {word:?} is not a token id", path.display())]
pub struct NoId {
    path: PathBuf,
    line: usize,
    word: String,
}

impl UserError for NoId {
    fn hint(&self) -> Option<String> {
        Some("ids are whole numbers from 0, with blanks between them".to_owned())
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = arguments.tokenizer.load()?;
    let path = &arguments.input;
    let inputs: Vec<PathBuf> =
        arguments.tokenizer.files().into_iter().chain([path.clone(), beside(path, ".offsets")]).collect();
    console::check_outputs(inputs.iter().map(PathBuf::as_path), arguments.output.as_deref())?;
    let bytes = read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.starts_with(b"\x93NUMPY") {
        return Err(NumpyArray(path.clone()).into());
    }
    let decoded = if is_binary(path, &bytes) {
        let ids = parse_binary(&bytes, IdWidth::of_vocabulary(tokenizer.vocab_size()));
        let ids =
            ids.and_then(|ids| check_offsets(path, ids)).with_context(|| format!("cannot read {}", path.display()))?;
        tokenizer.decode(&ids).with_context(|| format!("cannot decode {}", path.display()))?
    } else {
        decode_lines(&tokenizer, path, &bytes)?
    };
    match &arguments.output {
        Some(path) => drop(atomic_file::write(path, &decoded)?),
        None => io::stdout().write_all(&decoded).context("cannot write to standard output")?,
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match path == Path::new("-") {
        true => io::stdin().read_to_end(&mut bytes)?,
        false => File::open(path)?.read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

/// By the name, or else by the content of what has none.
fn is_binary(path: &Path, bytes: &[u8]) -> bool {
    // Also what separates numbers elsewhere: it is named as a fault rather than read as binary.
    let is_text =
        || bytes.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_whitespace() || b",;[]-".contains(byte));
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin"))
        || is_llmc(bytes)
        || (path == Path::new("-") || is_special(path)) && !is_text()
}

/// The ids, if they are as many as the offsets beside the file say.
fn check_offsets(path: &Path, ids: Vec<TokenId>) -> Result<Vec<TokenId>, CutOffFile> {
    let Ok(offsets) = std::fs::read(beside(path, ".offsets")) else { return Ok(ids) };
    match offsets.last_chunk().map(|last| u64::from_le_bytes(*last)) {
        Some(said) if offsets.len().is_multiple_of(8) && said == ids.len() as u64 => Ok(ids),
        Some(said) if offsets.len().is_multiple_of(8) => {
            Err(CutOffFile::Count { found: ids.len() as u64, said: said as i64 })
        }
        _ => Err(CutOffFile::InOffsets),
    }
}

fn decode_lines(tokenizer: &Tokenizer, path: &Path, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    for (number, line) in String::from_utf8_lossy(bytes).lines().enumerate() {
        let id = |word: &str| {
            word.parse().map(TokenId).map_err(|_| NoId {
                path: path.to_path_buf(),
                line: number + 1,
                word: word.chars().take(40).collect(),
            })
        };
        let ids = line.split_whitespace().map(id).collect::<Result<Vec<TokenId>, _>>()?;
        let document = tokenizer.decode(&ids);
        decoded.extend(document.with_context(|| format!("{}, line {}", path.display(), number + 1))?);
        decoded.push(b'\n');
    }
    Ok(decoded)
}
