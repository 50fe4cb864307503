//! `bpe convert`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use user_error::UserError;

use super::check_usage;
use crate::Tokenizer;
use crate::formats::{self, Format};

/// Flags of `bpe convert`.
#[derive(clap::Args)]
pub struct Arguments {
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(value_name = "NAME|DIR|FILE")]
    tokenizer: String,
    #[command(flatten)]
    unsaid: super::FileHints,
    /// A file whose name ends in .json (tokenizer.json), .tiktoken, or .txt or .bpe (merges, with vocab.json beside
    /// them); or a folder for all files that give the same ids.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Write a .tiktoken file without the special tokens, which its readers then have to name. Without this
    /// flag, a tokenizer is refused whose special tokens the file would lose. Other added tokens are never left out.
    #[arg(long)]
    without_specials: bool,
}

/// A format in which a tokenizer would give other ids, or be read as another.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot hold this tokenizer: {why}")]
pub struct ChangesIds {
    file: String,
    why: String,
    /// Whether `--without-specials` helps.
    is_specials: bool,
}

impl UserError for ChangesIds {
    fn hint(&self) -> Option<String> {
        let hint = "a tokenizer.json holds every tokenizer";
        Some(match self.is_specials {
            true => format!("{hint}; --without-specials leaves the special tokens to the readers of the file"),
            false => hint.to_owned(),
        })
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizer = arguments.unsaid.load(&arguments.tokenizer)?;
    let output = &arguments.output;
    check_usage(output != Path::new("-"), "standard output cannot hold a tokenizer's files; name a file or a folder")?;
    check_usage(
        !Format::is_beside_merges(output),
        "a vocabulary is written beside its merges; choose another name: merges.txt, or tokenizer.json",
    )?;
    let read = formats::files_of(&arguments.tokenizer)?;
    match Format::of_name(output) {
        Some(format) => {
            let name = output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let folder = output.parent().unwrap_or(Path::new(""));
            let files = format.write(&tokenizer, name);
            let without_specials = || format.fault_without_specials(&tokenizer, &files);
            let why = if arguments.without_specials { without_specials() } else { format.fault(&tokenizer, &files) };
            if let Some(why) = why.or_else(|| format.fault_in_folder(&tokenizer, &files, folder)) {
                let is_specials = !arguments.without_specials && without_specials().is_none();
                return Err(ChangesIds { file: output.display().to_string(), why, is_specials }.into());
            }
            check_files(&read, folder, &files)?;
            write_files(folder, &files)?;
        }
        None => {
            check_usage(
                output.extension().is_none(),
                "the output ends in .json, .tiktoken, .txt or .bpe, or is a folder",
            )?;
            check_usage(!arguments.without_specials, "--without-specials is not for a folder")?;
            write_folder(&tokenizer, &read, output)?;
        }
    }
    if Format::of_name(output) == Some(Format::Tiktoken) {
        warn_of_what_is_not_written(&tokenizer, output);
    }
    Ok(())
}

/// What the readers of a `.tiktoken` file have to be told: its pattern, unless the file is known by its tokens, and its
/// special tokens.
fn warn_of_what_is_not_written(tokenizer: &Tokenizer, output: &Path) {
    let is_known = std::fs::read_to_string(output).is_ok_and(|text| formats::tiktoken::parse_with(&text, None).is_ok());
    if let Some(pattern) = tokenizer.known_pattern().filter(|_| !is_known) {
        tracing::info!("its pattern is {pattern}: readers of the file need to be told (--pattern {pattern})");
    }
    let specials = tokenizer.specials();
    if !specials.is_empty() {
        let id = |special: &String| Some(format!("{special}={}", tokenizer.special(special)?.0));
        let with_ids: Vec<String> = specials.iter().filter_map(id).collect();
        let by_bpe = if is_known { "knows them" } else { "by --special-token" };
        tracing::info!(
            "its special tokens are not in the file: tiktoken takes them as special_tokens, bpe {by_bpe}: {}",
            with_ids.join(" ")
        );
    }
}

/// Refuses to write over what was read, and over a vocabulary that was not named: that of the merges of another
/// tokenizer.
fn check_files(read: &[PathBuf], folder: &Path, files: &[(&str, String)]) -> Result<(), console::Usage> {
    let outputs: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
    console::check_outputs(read.iter().map(PathBuf::as_path), outputs.iter().map(PathBuf::as_path))?;
    let Some((named, others)) = outputs.split_first() else { return Ok(()) };
    for (other, (_, content)) in others.iter().zip(&files[1..]) {
        let is_same = || std::fs::read(other).is_ok_and(|there| there == content.as_bytes());
        check_usage(
            named.exists() || !other.exists() || is_same(),
            &format!("{} would be replaced, and is of another tokenizer; choose another folder", other.display()),
        )?;
    }
    Ok(())
}

/// All formats that give the same ids; what does not is told.
fn write_folder(tokenizer: &Tokenizer, read: &[PathBuf], folder: &Path) -> anyhow::Result<()> {
    let formats = [
        (Format::TokenizerJson, "tokenizer.json"),
        (Format::Tiktoken, "tokenizer.tiktoken"),
        (Format::Merges, "merges.txt"),
    ];
    let mut written = Vec::new();
    for (format, name) in formats {
        let files = format.write(tokenizer, name);
        match format.fault(tokenizer, &files).or_else(|| format.fault_in_folder(tokenizer, &files, folder)) {
            Some(why) => tracing::info!("left out: {name} cannot hold this tokenizer: {why}"),
            None => {
                check_files(read, folder, &files)?;
                written.extend(files);
            }
        }
    }
    refuse_others(folder, &written)?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    write_files(folder, &written)
}

/// Refuses a folder with files of another tokenizer that would stay beside those written: some programs read these.
fn refuse_others(folder: &Path, written: &[(&str, String)]) -> Result<(), console::Usage> {
    let stays = |name: &&&str| folder.join(name).exists() && !written.iter().any(|(other, _)| *other == **name);
    match formats::FILES_IN_FOLDERS.iter().find(stays) {
        None => Ok(()),
        Some(name) => Err(console::Usage(format!(
            "{} is of another tokenizer and would stay beside what is written; choose another folder",
            folder.join(name).display()
        ))),
    }
}

fn write_files(folder: &Path, files: &[(&str, String)]) -> anyhow::Result<()> {
    for (name, content) in files {
        atomic_file::write(&folder.join(name), content.as_bytes())?;
    }
    Ok(())
}
