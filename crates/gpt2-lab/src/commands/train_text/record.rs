//! What a training on texts was made of, by which the same command line goes on with it and another one is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use console::Usage;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::Xxh3;

use super::inputs::TextFile;
use super::{SETTINGS, TextFlags};

/// Name of the record in the folder of a training.
pub(super) const RECORD: &str = "texts.json";
/// Differences that a message names at most.
const MAX_SHOWN: usize = 6;

/// The texts and flags of a training.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    version: String,
    texts: Vec<TextRecord>,
    /// The flags by which settings are chosen, by name; null for one that was not given.
    flags: Map<String, Value>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TextRecord {
    /// The file's name, or its path below the folder that was given.
    name: String,
    len_bytes: u64,
    /// XXH3-64 of the file, in hexadecimal.
    checksum: String,
}

impl Record {
    /// Reads each file once.
    pub(super) fn new(files: &[TextFile], flags: &TextFlags) -> anyhow::Result<Record> {
        let texts = files.iter().map(TextRecord::new).collect::<anyhow::Result<_>>()?;
        Ok(Record { version: env!("CARGO_PKG_VERSION").to_owned(), texts, flags: flags.recorded() })
    }

    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self).context("plain values")?;
        atomic_file::write(&folder.join(RECORD), format!("{json}\n").as_bytes())?;
        Ok(())
    }

    /// Whether a folder has a record, which another file of its name is not.
    pub(super) fn is_in(folder: &Path) -> bool {
        let bytes = std::fs::read(folder.join(RECORD)).unwrap_or_default();
        serde_json::from_slice::<Record>(&bytes).is_ok()
    }

    /// Checks that a folder's training is of these texts and flags.
    ///
    /// # Errors
    /// What differs, and what to do.
    pub(super) fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(RECORD);
        let former = match std::fs::read(&path) {
            Ok(bytes) => {
                let former: Record =
                    serde_json::from_slice(&bytes).with_context(|| format!("{} cannot be used", path.display()))?;
                self.changes(&former)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                vec![format!("it has no {RECORD}, which would say what it was made of")]
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        if former.is_empty() {
            return Ok(());
        }
        let more = former.len().saturating_sub(MAX_SHOWN);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        Err(Usage(format!(
            "{} holds another training: {}{more}. Choose another folder (-o), delete it to begin anew, or go on with it \
             as it is, perhaps for more steps (--set train.steps=N): gpt2 train {}",
            folder.display(),
            former[..former.len().min(MAX_SHOWN)].join("; "),
            folder.join(SETTINGS).display()
        ))
        .into())
    }

    /// What differs from a former record, in words.
    fn changes(&self, former: &Record) -> Vec<String> {
        let (now, before) = (by_name(&self.texts), by_name(&former.texts));
        let mut changes = Vec::new();
        for (key, text) in &now {
            match before.get(key) {
                None => changes.push(format!("{} was not among its texts", text.name)),
                Some(before) if before != text => {
                    let lengths = format!("{} bytes, is {}", before.len_bytes, text.len_bytes);
                    changes.push(format!("{} has another content (was {lengths})", text.name));
                }
                Some(_) => {}
            }
        }
        let missing = before.keys().filter(|key| !now.contains_key(*key));
        changes.extend(missing.map(|(name, _)| format!("{name} was among its texts, and is not now")));
        if changes.is_empty() && self.texts != former.texts {
            changes.push("its texts were in another order".to_owned());
        }
        let shown = |value: &Value| if value.is_null() { "not given".to_owned() } else { value.to_string() };
        for (name, value) in &self.flags {
            let before = former.flags.get(name).unwrap_or(&Value::Null);
            if before != value {
                changes.push(format!("--{name} was {}, is {}", shown(before), shown(value)));
            }
        }
        changes
    }
}

/// Texts by their names; of several with one name, such as files of two folders, each has its number among them.
fn by_name(texts: &[TextRecord]) -> BTreeMap<(&str, usize), &TextRecord> {
    let mut counts = BTreeMap::new();
    let numbered = texts.iter().map(|text| {
        let count: &mut usize = counts.entry(&*text.name).or_default();
        *count += 1;
        ((&*text.name, *count), text)
    });
    numbered.collect()
}

impl TextRecord {
    fn new(file: &TextFile) -> anyhow::Result<TextRecord> {
        let cannot_read = || format!("cannot read {}", file.path.display());
        let mut reader = File::open(&file.path).with_context(cannot_read)?;
        let (mut hasher, mut buffer, mut len_bytes) = (Xxh3::new(), vec![0; 1 << 20], 0);
        loop {
            let read = reader.read(&mut buffer).with_context(cannot_read)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            len_bytes += read as u64;
        }
        let checksum = format!("{:016x}", hasher.digest());
        Ok(TextRecord { name: file.name.clone(), len_bytes, checksum })
    }
}

impl TextFlags {
    /// The flags that a record has.
    fn recorded(&self) -> Map<String, Value> {
        let TextFlags { tokenizer, train_tokenizer, minutes, params, text_field, special, output: _ } = self;
        let flags = json!({
            "tokenizer": tokenizer, "train-tokenizer": train_tokenizer, "minutes": minutes, "params": params,
            "text-field": text_field, "special": special.then_some(true),
        });
        flags.as_object().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            TextFile { path, name: name.to_owned() }
        };
        let flags = TextFlags { params: Some(10_000), ..TextFlags::default() };
        Record::new(&[file("a.txt", "one"), file("b.txt", "two")], &flags).unwrap().write(folder.path()).unwrap();
        let check = |files: &[TextFile], flags: &TextFlags, expected: &[&str]| {
            let message = Record::new(files, flags).unwrap().check(folder.path()).err().map(|error| error.to_string());
            assert_eq!(message.is_some(), !expected.is_empty(), "{message:?}");
            expected.iter().for_each(|expected| assert!(message.as_ref().unwrap().contains(expected), "{message:?}"));
        };
        check(&[file("a.txt", "one"), file("b.txt", "two")], &flags, &[]);
        check(&[file("a.txt", "one")], &flags, &["b.txt was among its texts"]);
        check(
            &[file("a.txt", "ONE"), file("b.txt", "two")],
            &flags,
            &["a.txt has another content (was 3 bytes, is 3)"],
        );
        check(&[file("b.txt", "two"), file("a.txt", "one")], &flags, &["another order"]);
        let twice = || [file("a.txt", "one"), file("a.txt", "two")];
        let other = tempfile::tempdir().unwrap();
        let [one, two] = twice();
        std::fs::write(other.path().join("a.txt"), "one").unwrap();
        let texts = [TextFile { path: other.path().join("a.txt"), ..one }, two];
        let record = Record::new(&texts, &flags).unwrap();
        assert!(!Record::is_in(other.path()));
        record.write(other.path()).unwrap();
        assert!(Record::is_in(other.path()) && Record::new(&texts, &flags).unwrap().check(other.path()).is_ok());
        let more = TextFlags { train_tokenizer: Some(400), ..TextFlags::default() };
        check(
            &[file("a.txt", "one"), file("b.txt", "two"), file("c.txt", "")],
            &more,
            &["c.txt was not", "--train-tokenizer was not given, is 400", "--params was 10000, is not given", "-o"],
        );
        std::fs::remove_file(folder.path().join(RECORD)).unwrap();
        check(&[file("a.txt", "one")], &flags, &["it has no texts.json"]);
    }
}
