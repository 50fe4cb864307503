//! Where a crawl keeps its files, and what they are called.

use std::path::{Path, PathBuf};

use warc::ArchiveNames;

/// Folders and file names of a crawl.
#[derive(Debug, Clone)]
pub struct CrawlPaths {
    /// Folder of the WARC files and their indexes.
    pub archive_folder: PathBuf,
    /// Folder of the journals.
    pub state_folder: PathBuf,
    /// Prefix of archive names: `pages` gives `pages-00-00000.warc.gz` (worker 0, archive 0).
    pub archive_prefix: String,
    /// Prefix of archive names in [`records::Outcome::warc`], such as `pages/`.
    pub outcome_prefix: String,
}

impl CrawlPaths {
    /// Everything in one folder, with archives called `pages-…`.
    pub fn in_folder(folder: &Path) -> CrawlPaths {
        CrawlPaths {
            archive_folder: folder.into(),
            state_folder: folder.into(),
            archive_prefix: "pages".into(),
            outcome_prefix: String::new(),
        }
    }

    /// Names of a worker's archives.
    pub(crate) fn archive_names(&self, worker: u32) -> ArchiveNames {
        ArchiveNames { folder: self.archive_folder.clone(), stem: self.stem(worker) }
    }

    /// The CDXJ index of a worker's archive.
    pub(crate) fn cdxj(&self, worker: u32, archive: u32) -> PathBuf {
        self.archive_folder.join(format!("{}-{archive:05}.cdxj", self.stem(worker)))
    }

    /// The journal of a worker.
    pub(crate) fn journal(&self, worker: u32) -> PathBuf {
        self.state_folder.join(format!("journal-{worker:02}.log"))
    }

    fn stem(&self, worker: u32) -> String {
        format!("{}-{worker:02}", self.archive_prefix)
    }
}
