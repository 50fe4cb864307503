//! Where the files of a fetch lie.

use std::path::{Path, PathBuf};

use warc::ArchiveNames;

/// Where the files of a fetch lie.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder of the WARC files.
    pub archive: PathBuf,
    /// Folder of the journals and the frontier.
    pub state: PathBuf,
    /// What the names of WARC files begin with: `pages` gives `pages-00-00000.warc.gz`.
    pub prefix: String,
    /// What precedes the names of WARC files in outcomes, such as `pages/`.
    pub shown: String,
}

impl Place {
    /// One folder for everything, its WARC files called `pages-…`.
    pub fn folder(folder: &Path) -> Place {
        Place { archive: folder.into(), state: folder.into(), prefix: "pages".into(), shown: String::new() }
    }

    /// What the archives of a worker are called.
    pub(crate) fn archive_names(&self, worker: u32) -> ArchiveNames {
        ArchiveNames { folder: self.archive.clone(), stem: format!("{}-{worker:02}", self.prefix) }
    }

    /// The index beside a worker's archive.
    pub(crate) fn cdxj(&self, worker: u32, number: u32) -> PathBuf {
        self.archive.join(format!("{}-{worker:02}-{number:05}.cdxj", self.prefix))
    }

    /// The journal of a worker.
    pub(crate) fn journal(&self, worker: u32) -> PathBuf {
        self.state.join(format!("journal-{worker:02}.log"))
    }
}
