//! The list of links as a file that can be read host by host: what is to be fetched does not have to fit into memory.
//!
//! The list is closed, since nothing is discovered, so no database is needed. Rows lie sorted by domain, host and
//! duplicate key; a link's number is its place. In memory is one entry of 24 bytes for each host, the host with the
//! most links first: the longest queue decides how long the whole takes, so it begins first.

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

use crate::hosts::host_of;

/// What a cursor reads at once, of which most is the links of a host.
const READ_BYTES: usize = 8 << 10;
const ROWS: &str = "frontier.links";
const SITES: &str = "frontier.hosts";
const HEAD: &str = "frontier.json";

/// A link as the frontier holds it; sorted by domain, host and key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) domain: String,
    pub(crate) host: String,
    pub(crate) key: String,
    pub(crate) url: String,
    /// The domain has its share of pages without this one.
    pub(crate) is_over: bool,
}

/// The links of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    offset: u64,
    first_id: u64,
    pub(crate) links: u64,
}

/// What the files were made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    source: String,
    max_pages_per_domain: u64,
    links: u64,
    checksum: u64,
}

/// A list of links, sorted by host, on disk.
#[derive(Debug, Clone)]
pub struct Frontier {
    path: PathBuf,
    rows: Arc<File>,
    sites: Arc<[Site]>,
    head: Head,
}

impl Frontier {
    /// Opens the frontier of a folder, when it was made from the same source under the same cap.
    pub fn open(folder: &Path, source: &str, max_pages_per_domain: u64) -> store::Result<Option<Frontier>> {
        let Ok(text) = fs::read(folder.join(HEAD)) else { return Ok(None) };
        let Ok(head) = serde_json::from_slice::<Head>(&text) else { return Ok(None) };
        if head.source != source || head.max_pages_per_domain != max_pages_per_domain {
            return Ok(None);
        }
        Frontier::load(folder, head).map(Some)
    }

    /// Writes the frontier of a folder. `source` says what the links were read from; rows are sorted in `memory_bytes`.
    ///
    /// Time O(n log n), twice where domains are capped; memory as said, whatever the number of links.
    pub fn build(
        links: impl Iterator<Item = store::Result<Link>>,
        folder: &Path,
        source: &str,
        max_pages_per_domain: u64,
        memory_bytes: usize,
    ) -> store::Result<Frontier> {
        fs::create_dir_all(folder).at("create the folder", folder)?;
        // The head vouches for the other files; it comes back when they are whole.
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

    /// Links in it.
    pub fn links(&self) -> u64 {
        self.head.links
    }

    /// Hosts in it.
    pub fn hosts(&self) -> usize {
        self.sites.len()
    }

    /// Distinguishes one list from another.
    pub(crate) fn checksum(&self) -> u64 {
        self.head.checksum
    }

    /// Hosts, the one with the most links first.
    pub(crate) fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The links of a host, from the first on.
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

    /// Every link with its number.
    pub(crate) fn rows(&self) -> impl Iterator<Item = store::Result<(u64, Row)>> {
        let whole = Site { offset: 0, first_id: 0, links: self.head.links };
        self.cursor(whole)
    }
}

/// The rows of links, marked where their domain has more than its share: those of the least karma are over.
fn capped<'l>(
    links: impl Iterator<Item = store::Result<Link>> + 'l,
    folder: &Path,
    max_pages_per_domain: u64,
    memory_bytes: usize,
) -> store::Result<Box<dyn Iterator<Item = store::Result<Row>> + 'l>> {
    let row_of = |link: Link| {
        let host = Url::parse(&link.url).map(|url| host_of(&url).to_owned()).unwrap_or_default();
        Row { domain: link.domain, host, key: link.key, url: link.url, is_over: false }
    };
    if max_pages_per_domain == 0 {
        return Ok(Box::new(links.map(move |link| link.map(row_of))));
    }
    // The least in order is the best: `None`, no karma, reversed comes last.
    let mut sorter = Sorter::<(String, Reverse<Option<i64>>, Row)>::new(folder, memory_bytes);
    for link in links {
        let link = link?;
        let karma = link.karma;
        let row = row_of(link);
        sorter.push((row.domain.clone(), Reverse(karma), row))?;
    }
    let (mut domain, mut place) = (String::new(), 0);
    Ok(Box::new(sorter.finish()?.map(move |row| {
        let (of_domain, _, row) = row?;
        if of_domain != domain {
            (domain, place) = (of_domain, 0);
        }
        place += 1;
        Ok(Row { is_over: place > max_pages_per_domain, ..row })
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

/// Reads the links of one host in order, some kilobytes at a time.
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
    fn read_row(&mut self) -> store::Result<Row> {
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

    /// Sees to it that so many bytes are at hand.
    fn fill(&mut self, wanted: usize) -> store::Result<()> {
        while self.bytes.len() - self.start < wanted {
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
    type Item = store::Result<(u64, Row)>;

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
    fn hosts_come_by_their_links() {
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
    fn a_domain_over_its_share_keeps_the_most_karma() {
        let folder = tempfile::tempdir().unwrap();
        let urls = [("http://a.com/1", 3), ("http://x.a.com/2", 9), ("http://a.com/3", 5), ("http://b.com/", 1)];
        let frontier = frontier(folder.path(), &urls, 2);
        let over: Vec<String> =
            frontier.rows().map(|row| row.unwrap().1).filter(|row| row.is_over).map(|row| row.url).collect();
        assert_eq!(over, ["http://a.com/1"]);
    }

    #[test]
    fn a_cut_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let frontier = frontier(folder.path(), &[("http://a.com/1", 3), ("http://a.com/2", 3)], 0);
        let rows = File::options().write(true).open(folder.path().join(ROWS)).unwrap();
        rows.set_len(60).unwrap();
        let error = frontier.rows().find_map(Result::err).unwrap();
        assert!(error.to_string().contains("frontier.links"), "{error}");
    }
}
