//! The texts that are trained on: the files of folders, and what is left out of them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use console::{Usage, count};
use texts::{DocumentOptions, Documents, ForeignFormat, Source, records_in};

/// Files that a message names at most.
const MAX_SHOWN: usize = 8;

/// A file to train on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextFile {
    pub(super) path: PathBuf,
    /// The file's name; of a file of a folder, its path below that.
    pub(super) name: String,
}

/// The files of inputs, and of folders what was left out and why.
#[derive(Debug, Default)]
pub(super) struct TextFiles {
    pub(super) files: Vec<TextFile>,
    skipped: Vec<(PathBuf, String)>,
}

impl TextFiles {
    /// The files of inputs in their order, those of a folder and of the folders below it by name. `output` is none.
    pub(super) fn of_inputs(inputs: &[PathBuf], output: &Path) -> anyhow::Result<TextFiles> {
        let mut found = TextFiles::default();
        for input in inputs {
            if input.is_dir() {
                let before = found.files.len();
                found.add_folder(input, input, output, &mut Vec::new())?;
                if found.files.len() == before {
                    let why = found.skipped_files().map(|skipped| format!("; {skipped}")).unwrap_or_default();
                    return Err(Usage(format!("{} holds no file to train on{why}", input.display())).into());
                }
            } else {
                refuse_records(input)?;
                let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.files.push(TextFile { path: input.clone(), name });
            }
        }
        Ok(found)
    }

    fn add_folder(&mut self, root: &Path, folder: &Path, output: &Path, seen: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        let cannot_list = || format!("cannot list {}", folder.display());
        // Links may lead back to a folder above.
        let real = folder.canonicalize().with_context(cannot_list)?;
        if seen.contains(&real) {
            return Ok(());
        }
        seen.push(real);
        let entries = std::fs::read_dir(folder).with_context(cannot_list)?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
        let mut paths = paths.with_context(cannot_list)?;
        paths.sort();
        for path in paths {
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            let reason = match std::fs::metadata(&path) {
                _ if is_hidden => Some("hidden".to_owned()),
                Err(_) => Some("a link that leads nowhere".to_owned()),
                Ok(found) if found.is_dir() && crate::commands::output::is_same_folder(&path, output) => {
                    Some("the folder of this training".to_owned())
                }
                Ok(found) if found.is_dir() && crate::commands::output::is_model_folder(&path) => {
                    Some("the folder of a model".to_owned())
                }
                Ok(found) if found.is_dir() => {
                    self.add_folder(root, &path, output, seen)?;
                    continue;
                }
                Ok(found) if !found.is_file() => Some("no regular file".to_owned()),
                Ok(_) => unfit(&path)?,
            };
            match reason {
                Some(reason) => self.skipped.push((path, reason)),
                None => {
                    let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                    self.files.push(TextFile { path, name });
                }
            }
        }
        Ok(())
    }

    /// What was left out, in words; `None` where nothing was.
    pub(super) fn skipped_files(&self) -> Option<String> {
        let shown: Vec<String> = self
            .skipped
            .iter()
            .take(MAX_SHOWN)
            .map(|(path, reason)| format!("{} ({reason})", path.display()))
            .collect();
        let more = self.skipped.len().saturating_sub(MAX_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let skipped = count(self.skipped.len() as u64, "path");
        (!shown.is_empty()).then(|| format!("skipped {skipped}: {}{more}", shown.join(", ")))
    }
}

/// Why a file of a folder is no text to train on, by its content; a table or XML also by its name, since prose may begin
/// as they do.
fn unfit(path: &Path) -> anyhow::Result<Option<String>> {
    let is_named = |names: &[&str]| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        names.contains(&&extension[..])
    };
    let format = match format_of(path)? {
        Some(ForeignFormat::DelimitedTable) if !is_named(&["csv", "tsv"]) => None,
        Some(ForeignFormat::Xml) if !is_named(&["xml", "svg", "rss", "atom"]) => None,
        other => other,
    };
    Ok(format.map(|format| format.to_string()))
}

/// What a file is, where it is known to be no plain text, JSON Lines or Parquet.
fn format_of(path: &Path) -> anyhow::Result<Option<ForeignFormat>> {
    let cannot_read = || format!("cannot read {}", path.display());
    let opened = Source::open(File::open(path).with_context(cannot_read)?);
    let mut reader = match opened {
        Ok(Source::Parquet(_)) => return Ok(None),
        Ok(Source::JsonLines(reader) | Source::PlainText(reader)) => reader,
        Err(texts::Error::Foreign(format)) => return Ok(Some(format)),
        Err(error) => return Err(error).with_context(cannot_read),
    };
    match records_in(&mut reader) {
        Ok(_) => Ok(None),
        Err(texts::Error::Foreign(format)) => Ok(Some(format)),
        Err(error) => Err(error).with_context(cannot_read),
    }
}

/// Refuses records that are not on lines of their own, which would be trained on as they are written.
fn refuse_records(path: &Path) -> anyhow::Result<()> {
    match format_of(path)? {
        Some(format @ (ForeignFormat::JsonArray | ForeignFormat::JsonDocument | ForeignFormat::Warc)) => {
            Err(texts::Error::Foreign(format)).with_context(|| format!("cannot train on {}", path.display()))
        }
        Some(format @ (ForeignFormat::Html | ForeignFormat::Xml)) => {
            tracing::warn!("{} is {format}, as it seems; its tags are trained on, too", path.display());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The documents of a file: its rows, or the whole of a plain text.
pub(super) fn read(path: &Path, text_field: &str) -> anyhow::Result<Vec<String>> {
    let cannot_read = || format!("cannot read {}", path.display());
    if let Source::PlainText(mut reader) =
        Source::open(File::open(path).with_context(cannot_read)?).with_context(cannot_read)?
    {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).with_context(cannot_read)?;
        return Ok(vec![utf8(bytes).with_context(cannot_read)?]);
    }
    let file = File::open(path).with_context(cannot_read)?;
    let mut documents = Vec::new();
    for document in Documents::open(file, DocumentOptions::new(text_field)).with_context(cannot_read)? {
        match document.with_context(cannot_read)? {
            Ok(document) => documents.push(document.text),
            Err(malformed) => bail!("{}, {malformed}", path.display()),
        }
    }
    Ok(documents)
}

/// A text of UTF-8.
fn utf8(bytes: Vec<u8>) -> anyhow::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count();
        let byte = error.as_bytes()[at];
        anyhow!(
            "line {line}: the byte {byte:02x} at {at} is not UTF-8; of Latin-1, iconv -f LATIN1 -t UTF-8 makes UTF-8"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_to_their_ground_and_what_is_skipped_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("texts");
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("b.txt", "Title, place\nA ferry, late.\n");
        write("sub/deep/a.jsonl", "{\"text\": \"A ferry.\"}\n");
        write("sub/tags.txt", "<|endoftext|>A ferry.");
        write(".hidden", "x");
        write("page.html", "<html><p>A ferry.");
        write("table.csv", "name,place\nferry,quay\n");
        write("array.json", "[{\"text\": \"A ferry.\"}]");
        write("model/train.toml", "x");
        write("other/train.lock", "");
        write("other/samples.jsonl", "{\"text\": \"A ferry.\"}\n");
        std::os::unix::fs::symlink("nowhere", root.join("link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("sub/loop")).unwrap();
        let found = TextFiles::of_inputs(std::slice::from_ref(&root), &root.join("model")).unwrap();
        let names: Vec<&str> = found.files.iter().map(|file| &file.name[..]).collect();
        assert_eq!(names, ["b.txt", "sub/deep/a.jsonl", "sub/tags.txt"]);
        let skipped = found.skipped_files().unwrap();
        for expected in [
            "skipped 7 paths",
            ".hidden (hidden)",
            "array.json (one array",
            "link (a link that",
            "model (the folder of this",
            "other (the folder of a model",
            "page.html (a web page",
            "table.csv (a table",
        ] {
            assert!(skipped.contains(expected), "{expected}: {skipped}");
        }
        let array = root.join("array.json");
        assert!(TextFiles::of_inputs(&[array], Path::new("m")).unwrap_err().to_string().contains("array.json"));
        let error = TextFiles::of_inputs(&[root.join("model")], &root).unwrap();
        assert!(error.skipped_files().is_none());
    }

    #[test]
    fn a_text_that_is_no_utf8_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, b"one\ncaf\xe9\n").unwrap();
        let message = format!("{:#}", read(&path, "text").unwrap_err());
        assert!(message.contains("line 2: the byte e9 at 7"), "{message}");
        std::fs::write(&path, "{\"text\": \"a\"}\n{\"x\": 1}\n").unwrap();
        let message = format!("{:#}", read(&path, "text").unwrap_err());
        assert!(message.contains("a.txt, line 2: ") && !message.contains("MalformedRecord"), "{message}");
    }
}
