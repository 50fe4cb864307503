//! The outcomes of a task that is under way, and how far its WARC file was good at each of them.
//!
//! Order of writes: the record, its sync, the journal's line, its sync. After a kill the journal's last
//! whole line says where the WARC file is to be cut; nothing that it names can be missing.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use ledger::Outcome;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Line {
    /// Length of the WARC file when the outcome's record was in it.
    warc_len_bytes: u64,
    outcome: Outcome,
}

/// A WARC file that grows, and its journal.
pub(crate) struct Journal {
    journal: File,
    pub(crate) warc: File,
    pub(crate) warc_len_bytes: u64,
    pub(crate) done: Vec<Outcome>,
}

impl Journal {
    /// Opens both, cutting off whatever a kill left behind the last whole line.
    ///
    /// The journal's first line is `settings`; one made under other settings, or whose WARC file is gone
    /// or shorter than it says, is begun anew.
    pub(crate) fn open(journal_path: &Path, warc_path: &Path, settings: &str) -> io::Result<Journal> {
        let mut done = Vec::new();
        let (mut journal_len, mut warc_len_bytes) = (0, 0);
        let head = format!("{settings}\n");
        if let Ok(file) = File::open(journal_path) {
            let mut reader = BufReader::new(file);
            let mut line = Vec::new();
            reader.read_until(b'\n', &mut line)?;
            let is_same = line == head.as_bytes();
            journal_len = if is_same { line.len() as u64 } else { 0 };
            line.clear();
            if !is_same {
                reader = BufReader::new(File::open("/dev/null")?);
            }
            while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
                let Ok(parsed) = serde_json::from_slice::<Line>(&line) else { break };
                journal_len += line.len() as u64;
                warc_len_bytes = parsed.warc_len_bytes;
                done.push(parsed.outcome);
                line.clear();
            }
        }
        let open = |path: &Path, len: u64| -> io::Result<File> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            file.set_len(len)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let have_bytes = fs::metadata(warc_path).map_or(0, |found| found.len());
        if have_bytes < warc_len_bytes {
            (journal_len, warc_len_bytes) = (0, 0);
            done.clear();
        }
        let mut journal = open(journal_path, journal_len)?;
        if journal_len == 0 {
            journal.write_all(head.as_bytes())?;
        }
        Ok(Journal { journal, warc: open(warc_path, warc_len_bytes)?, warc_len_bytes, done })
    }

    /// Notes an outcome whose record ends at `warc_len_bytes`.
    pub(crate) fn note(&mut self, outcome: Outcome, warc_len_bytes: u64) -> io::Result<()> {
        if warc_len_bytes != self.warc_len_bytes {
            self.warc.sync_data()?;
            self.warc_len_bytes = warc_len_bytes;
        }
        let line = Line { warc_len_bytes, outcome };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        self.journal.write_all(&bytes)?;
        self.journal.sync_data()?;
        self.done.push(line.outcome);
        Ok(())
    }
}
