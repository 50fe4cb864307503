//! The frontier: the list of links as a file sorted by host, so that a list need not fit into memory.
//!
//! No links are discovered on the way, so the list never changes and needs no database. Rows are sorted by domain, host
//! and duplicate key; a link's id is its position, from 0. Memory holds 24 bytes per host. Hosts are crawled in order of
//! their number of links, largest first, because the longest queue decides how long the whole crawl takes.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atomic_file::{AtomicFile, IoContext};
use records::Link;
use serde::{Deserialize, Serialize};
use store::sort::Sorter;
use url::Url;

use crate::host_registry::host_of;

/// Bytes that a cursor reads at a time.
const READ_BYTES: usize = 8 << 10;
const ROWS: &str = "frontier.links";
const SITES: &str = "frontier.hosts";
const HEAD: &str = "frontier.json";

/// A link in the frontier. Field order is sort order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FrontierRow {
    pub(crate) domain: String,
    pub(crate) host: String,
    pub(crate) key: String,
    pub(crate) url: String,
    /// Whether the domain has `max_pages_per_domain` links with more karma than this one.
    pub(crate) is_over: bool,
}

/// Where the links of one host are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    offset: u64,
    first_id: u64,
    pub(crate) links: u64,
}

/// `frontier.json`: what the other files were made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    source: String,
    max_pages_per_domain: u64,
    links: u64,
    checksum: u64,
}

/// A list of links on disk, sorted by host.
#[derive(Debug, Clone)]
pub struct Frontier {
    path: PathBuf,
    rows: Arc<File>,
    sites: Arc<[Site]>,
    head: Head,
}

impl Frontier {
    /// Opens the frontier of a folder; `None` if there is none, or one of another `source` or another cap.
    ///
    /// # Errors
    /// When a file of the frontier cannot be read.
    pub fn open(folder: &Path, source: &str, max_pages_per_domain: u64) -> store::Result<Option<Frontier>> {
        let Ok(text) = fs::read(folder.join(HEAD)) else { return Ok(None) };
        let Ok(head) = serde_json::from_slice::<Head>(&text) else { return Ok(None) };
        if head.source != source || head.max_pages_per_domain != max_pages_per_domain {
            return Ok(None);
        }
        Frontier::load(folder, head).map(Some)
    }

    /// Writes the frontier of a folder. `source` is any text that identifies where the links came from;
    /// `max_pages_per_domain` 0 sets no cap.
    ///
    /// Time O(n log n), twice that with a cap. Memory: `memory_bytes` for each sort, and 24 bytes per host.
    ///
    /// # Errors
    /// Those of `links`, and when a file cannot be written.
    pub fn build(
        links: impl Iterator<Item = store::Result<Link>>,
        folder: &Path,
        source: &str,
        max_pages_per_domain: u64,
        memory_bytes: usize,
    ) -> store::Result<Frontier> {
        fs::create_dir_all(folder).at("create the folder", folder)?;
        // Without its head a frontier does not count. The head is written last.
        let head = folder.join(HEAD);
        match fs::remove_file(&head) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", &head)?,
            _ => {}
        }
        let mut sorter = Sorter::new(folder, memory_bytes);
        for row in capped(links, folder, max_pages_per_domain, memory_bytes)? {
            sorter.push(row?)?;
        }
        let path = folder.join(ROWS);
        let mut file = AtomicFile::create(&path)?;
        let mut sites: Vec<Site> = Vec::new();
        let (mut host, mut links) = (None, 0);
        for row in sorter.finish()? {
            let row = row?;
            if host.as_ref() != Some(&row.host) {
                sites.push(Site { offset: file.len_bytes(), first_id: links, links: 0 });
                host = Some(row.host.clone());
            }
            sites.last_mut().expect("a host was begun").links += 1;
            links += 1;
            let bytes = postcard::to_stdvec(&row).map_err(io::Error::other).at("write", &path)?;
            file.write_all(&(bytes.len() as u32).to_le_bytes()).at("write", &path)?;
            file.write_all(&bytes).at("write", &path)?;
        }
        let written = file.commit()?;
        sites.sort_by_key(|site| (Reverse(site.links), site.first_id));
        write_sites(&folder.join(SITES), &sites)?;
        let head = Head { source: source.to_owned(), max_pages_per_domain, links, checksum: written.checksum };
        let text = serde_json::to_vec(&head).map_err(io::Error::other).at("write", &path)?;
        atomic_file::write(&folder.join(HEAD), &text)?;
        Frontier::load(folder, head)
    }

    fn load(folder: &Path, head: Head) -> store::Result<Frontier> {
        let path = folder.join(ROWS);
        let rows = Arc::new(File::open(&path).at("open", &path)?);
        Ok(Frontier { path, rows, sites: read_sites(&folder.join(SITES))?.into(), head })
    }

    /// Number of links.
    pub fn links(&self) -> u64 {
        self.head.links
    }

    /// Number of hosts.
    pub fn hosts(&self) -> usize {
        self.sites.len()
    }

    /// XXH3-64 of the rows.
    pub(crate) fn checksum(&self) -> u64 {
        self.head.checksum
    }

    /// The hosts, the one with the most links first.
    pub(crate) fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// Reads the links of a host in order.
    pub(crate) fn cursor(&self, site: Site) -> Cursor {
        Cursor {
            path: self.path.clone(),
            file: self.rows.clone(),
            offset: site.offset,
            next_id: site.first_id,
            left: site.links,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// Reads all links with their ids.
    pub(crate) fn rows(&self) -> impl Iterator<Item = store::Result<(u64, FrontierRow)>> {
        let whole = Site { offset: 0, first_id: 0, links: self.head.links };
        self.cursor(whole)
    }
}

/// Turns links into rows and marks those over their domain's cap: the ones with the least karma.
fn capped<'l>(
    links: impl Iterator<Item = store::Result<Link>> + 'l,
    folder: &Path,
    max_pages_per_domain: u64,
    memory_bytes: usize,
) -> store::Result<Box<dyn Iterator<Item = store::Result<FrontierRow>> + 'l>> {
    let row_of = |link: Link| {
        let host = Url::parse(&link.url).map(|url| host_of(&url).to_owned()).unwrap_or_default();
        FrontierRow { domain: link.domain, host, key: link.key, url: link.url, is_over: false }
    };
    if max_pages_per_domain == 0 {
        return Ok(Box::new(links.map(move |link| link.map(row_of))));
    }
    // Sorted by karma, descending; `None` comes last.
    let mut sorter = Sorter::<(String, Reverse<Option<i64>>, FrontierRow)>::new(folder, memory_bytes);
    for link in links {
        let link = link?;
        let karma = link.karma;
        let row = row_of(link);
        sorter.push((row.domain.clone(), Reverse(karma), row))?;
    }
    let (mut domain, mut rank) = (String::new(), 0);
    Ok(Box::new(sorter.finish()?.map(move |row| {
        let (of_domain, _, row) = row?;
        if of_domain != domain {
            (domain, rank) = (of_domain, 0);
        }
        rank += 1;
        Ok(FrontierRow { is_over: rank > max_pages_per_domain, ..row })
    })))
}

fn write_sites(path: &Path, sites: &[Site]) -> store::Result<()> {
    let mut file = BufWriter::new(AtomicFile::create(path)?);
    for site in sites {
        for number in [site.offset, site.first_id, site.links] {
            file.write_all(&number.to_le_bytes()).at("write", path)?;
        }
    }
    file.into_inner().map_err(io::IntoInnerError::into_error).at("write", path)?.commit()?;
    Ok(())
}

fn read_sites(path: &Path) -> store::Result<Vec<Site>> {
    let file = File::open(path).at("open", path)?;
    let count = file.metadata().at("read", path)?.len() / 24;
    let mut reader = BufReader::new(file);
    let mut number = || -> store::Result<u64> {
        let mut bytes = [0; 8];
        reader.read_exact(&mut bytes).at("read", path)?;
        Ok(u64::from_le_bytes(bytes))
    };
    (0..count).map(|_| Ok(Site { offset: number()?, first_id: number()?, links: number()? })).collect()
}

/// Reads the links of one host in order, 8 KiB at a time.
pub(crate) struct Cursor {
    path: PathBuf,
    file: Arc<File>,
    offset: u64,
    next_id: u64,
    left: u64,
    bytes: Vec<u8>,
    start: usize,
}

impl Cursor {
    fn read_row(&mut self) -> store::Result<FrontierRow> {
        self.fill(4)?;
        let len = u32::from_le_bytes(self.bytes[self.start..self.start + 4].try_into().expect("four bytes")) as usize;
        self.fill(4 + len)?;
        let bytes = &self.bytes[self.start + 4..self.start + 4 + len];
        let row = postcard::from_bytes(bytes).map_err(|error| store::Error::Damaged {
            object: self.path.display().to_string(),
            offset: self.offset - (self.bytes.len() - self.start) as u64,
            what: error.to_string(),
        })?;
        self.start += 4 + len;
        Ok(row)
    }

    /// Reads until at least `min_bytes` are buffered.
    fn fill(&mut self, min_bytes: usize) -> store::Result<()> {
        while self.bytes.len() - self.start < min_bytes {
            self.bytes.drain(..self.start);
            self.start = 0;
            let have = self.bytes.len();
            self.bytes.resize(have + READ_BYTES, 0);
            let n = self.file.read_at(&mut self.bytes[have..], self.offset).at("read", &self.path)?;
            self.bytes.truncate(have + n);
            self.offset += n as u64;
            if n == 0 {
                return Err(store::Error::Damaged {
                    object: self.path.display().to_string(),
                    offset: self.offset,
                    what: "it ends in the middle of a link".into(),
                });
            }
        }
        Ok(())
    }
}

impl Iterator for Cursor {
    type Item = store::Result<(u64, FrontierRow)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let id = self.next_id;
        self.next_id += 1;
        Some(self.read_row().map(|row| (id, row)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn link(url: &str, karma: i64) -> Link {
        let canonical = links::Canonical::parse(url).unwrap();
        Link {
            domain: canonical.domain,
            key: canonical.key,
            url: canonical.url,
            karma: Some(karma),
            submissions: 1,
            subreddit: None,
            title: None,
            created_utc: None,
            source: "test:1".into(),
            verdict: None,
        }
    }

    fn frontier(folder: &Path, urls: &[(&str, i64)], cap: u64) -> Frontier {
        let links = urls.iter().map(|&(url, karma)| Ok(link(url, karma)));
        Frontier::build(links, folder, "test", cap, 1 << 20).unwrap()
    }

    #[test]
    fn hosts_are_ordered_by_number_of_links() {
        let folder = tempfile::tempdir().unwrap();
        let urls = [("http://a.com/1", 3), ("http://www.b.com/1", 3), ("http://b.com/2", 3), ("http://www.b.com/3", 3)];
        let made = frontier(folder.path(), &urls, 0);
        let opened = Frontier::open(folder.path(), "test", 0).unwrap().unwrap();
        assert_eq!((opened.links(), opened.hosts(), opened.checksum()), (4, 3, made.checksum()));
        let urls: Vec<Vec<String>> =
            opened.sites().iter().map(|&site| opened.cursor(site).map(|row| row.unwrap().1.url).collect()).collect();
        assert_eq!(urls[0], ["http://www.b.com/1", "http://www.b.com/3"]);
        assert_eq!(urls[1..], [vec!["http://a.com/1".to_owned()], vec!["http://b.com/2".to_owned()]]);
        let ids: Vec<u64> = opened.rows().map(|row| row.unwrap().0).collect();
        assert_eq!(ids, [0, 1, 2, 3]);
        assert!(Frontier::open(folder.path(), "other", 0).unwrap().is_none());
    }

    #[test]
    fn a_capped_domain_keeps_the_most_karma() {
        let folder = tempfile::tempdir().unwrap();
        let urls = [("http://a.com/1", 3), ("http://x.a.com/2", 9), ("http://a.com/3", 5), ("http://b.com/", 1)];
        let frontier = frontier(folder.path(), &urls, 2);
        let over: Vec<String> =
            frontier.rows().map(|row| row.unwrap().1).filter(|row| row.is_over).map(|row| row.url).collect();
        assert_eq!(over, ["http://a.com/1"]);
    }

    #[test]
    fn a_truncated_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let frontier = frontier(folder.path(), &[("http://a.com/1", 3), ("http://a.com/2", 3)], 0);
        let rows = File::options().write(true).open(folder.path().join(ROWS)).unwrap();
        rows.set_len(60).unwrap();
        let error = frontier.rows().find_map(Result::err).unwrap();
        assert!(error.to_string().contains("frontier.links"), "{error}");
    }
}
