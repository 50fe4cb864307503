//! The outcomes in the journals, in the order of the list.

use std::collections::HashMap;

use records::{Outcome, PageKey};
use store::sort::Sorter;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::FetchError;
use crate::frontier::Frontier;
use crate::journal::{self, Groups, JournalEntry};
use crate::paths::CrawlPaths;
use crate::resume::holds_in_any_list;
use crate::shared::CompletedSet;

/// The outcomes of a complete crawl, one per link of its list, sorted by domain and key. `memory_bytes` bounds the sort.
///
/// # Errors
/// When a journal cannot be read, or a link has no outcome.
pub fn outcomes(
    frontier: &Frontier,
    paths: &CrawlPaths,
    memory_bytes: usize,
) -> Result<impl Iterator<Item = Result<Outcome, FetchError>>, FetchError> {
    let (count, outcomes) = outcomes_so_far(frontier, paths, memory_bytes)?;
    if count != frontier.links() {
        let (state_folder, links) = (paths.state_folder.clone(), frontier.links() - count);
        return Err(FetchError::MissingOutcomes { state_folder, links });
    }
    Ok(outcomes)
}

/// The outcomes of a crawl that may not be complete, and their number; otherwise as [`outcomes`].
///
/// # Errors
/// When a journal cannot be read.
pub fn outcomes_so_far(
    frontier: &Frontier,
    paths: &CrawlPaths,
    memory_bytes: usize,
) -> Result<(u64, impl Iterator<Item = Result<Outcome, FetchError>>), FetchError> {
    let mut listed = ListedLinks { frontier, seen: CompletedSet::new(frontier.links()), ids: None };
    let mut sorter = Sorter::<(PageKey, Vec<u8>)>::new(&paths.state_folder, memory_bytes);
    for worker in 0.. {
        let path = paths.journal(worker);
        if !path.exists() {
            break;
        }
        let mut is_same_list = false;
        for group in Groups::open(&path, &journal::MAGIC)? {
            for entry in group?.1.0 {
                match entry {
                    JournalEntry::Head { frontier: list, .. } => is_same_list = list == frontier.checksum(),
                    JournalEntry::Done { id, outcome, .. } if listed.is_new(id, &outcome, is_same_list)? => {
                        let bytes = postcard::to_stdvec(&outcome).expect("an outcome is serialisable");
                        sorter.push((PageKey { domain: outcome.domain, key: outcome.key }, bytes))?;
                    }
                    _ => {}
                }
            }
        }
    }
    let sorted = sorter.finish()?;
    let outcomes = sorted.map(|row| {
        let (_, bytes) = row?;
        Ok(postcard::from_bytes(&bytes).expect("it was serialised above"))
    });
    Ok((listed.seen.count, outcomes))
}

/// The links of a list, of which each counts once.
struct ListedLinks<'f> {
    frontier: &'f Frontier,
    seen: CompletedSet,
    /// Ids by hash of the key; made when an outcome of another list is met.
    ids: Option<HashMap<u64, u64>>,
}

impl ListedLinks<'_> {
    /// Whether this is the first outcome of a link of the list. Outcomes of another list are found by their keys.
    fn is_new(&mut self, id: u64, outcome: &Outcome, is_same_list: bool) -> Result<bool, FetchError> {
        if is_same_list {
            return Ok(self.seen.insert(id));
        }
        if !holds_in_any_list(outcome) {
            return Ok(false);
        }
        let ids = match &self.ids {
            Some(ids) => ids,
            None => self.ids.insert(ids_by_key(self.frontier)?),
        };
        Ok(ids.get(&xxh3_64(outcome.key.as_bytes())).is_some_and(|&id| self.seen.insert(id)))
    }
}

fn ids_by_key(frontier: &Frontier) -> Result<HashMap<u64, u64>, FetchError> {
    let rows = frontier.rows();
    rows.map(|row| row.map(|(id, row)| (xxh3_64(row.key.as_bytes()), id)).map_err(FetchError::from)).collect()
}
