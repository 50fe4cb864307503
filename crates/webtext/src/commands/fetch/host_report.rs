//! `hosts.tsv`: the report of hosts by outcome.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use atomic_file::AtomicFile;
use records::{Counts, Outcome};

/// `hosts.tsv`: a line for each host, what became of its links. Domains come in order, so one is held at a time.
pub(super) struct HostReport {
    file: AtomicFile,
    domain: String,
    hosts: BTreeMap<String, Counts>,
}

impl HostReport {
    pub(super) fn create(path: &Path) -> anyhow::Result<HostReport> {
        let mut file = AtomicFile::create(path)?;
        writeln!(file, "host\tlinks\tpages\tdropped").context("cannot write the report of hosts")?;
        Ok(HostReport { file, domain: String::new(), hosts: BTreeMap::new() })
    }

    pub(super) fn push(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        if outcome.domain != self.domain {
            self.flush()?;
            self.domain.clone_from(&outcome.domain);
        }
        let host = outcome.url.split('/').nth(2).unwrap_or("").to_owned();
        self.hosts.entry(host).or_default().record(outcome.verdict);
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        for (host, counts) in std::mem::take(&mut self.hosts) {
            let dropped: Vec<String> = counts.dropped.iter().map(|(reason, n)| format!("{reason}={n}")).collect();
            writeln!(self.file, "{host}\t{}\t{}\t{}", counts.read, counts.kept, dropped.join(" "))
                .context("cannot write the report of hosts")?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        self.file.commit()?;
        Ok(())
    }
}
