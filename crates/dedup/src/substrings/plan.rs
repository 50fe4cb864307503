//! How the memory is divided.

use super::{Copies, SubstringError, SubstringSettings};

/// Bytes at the peak of sorting a part, for each of its text: 4 of the suffix array, 1 of the text, 1/8 of where windows
/// begin; the rest is for buffers and for tables of the sort.
const SORT_BYTES: u64 = 6;

/// Largest part: a place in it is a positive `i32`.
const MAX_PART_BYTES: u64 = (1 << 31) - (1 << 22);

/// Below this, a part for each thread is not worth a merge.
const SMALL_PART_BYTES: u64 = 1 << 20;

/// Entries that a part's cursor reads at once when there is memory enough.
const MAX_BATCH: u64 = 1 << 10;

/// Entries below which windows are rather read from disk than from a copy of the text in memory.
const SMALL_BATCH: u64 = 1 << 6;

/// Sizes that follow from the settings and the text that may repeat.
pub(super) struct Plan {
    pub threads: usize,
    pub copies: Copies,
    pub window_bytes: usize,
    /// Bytes of all parts but the last, a multiple of 64.
    pub part_bytes: u64,
    /// Entries of a part that are read at once in the merge.
    pub batch: usize,
    /// Whether the text is in memory during the merge.
    pub text_in_memory: bool,
}

impl Plan {
    pub(super) fn new(settings: &SubstringSettings, candidate_bytes: u64) -> Result<Plan, SubstringError> {
        Plan::within(settings.max_memory_bytes, settings, candidate_bytes).ok_or_else(|| {
            let limits = (10..63).map(|bits| 1 << bits);
            let works = |limit: &u64| Plan::within(*limit, settings, candidate_bytes).is_some();
            SubstringError::TooLittleMemory {
                max_memory_bytes: settings.max_memory_bytes,
                candidate_bytes,
                needed_bytes: limits.filter(|limit| *limit > settings.max_memory_bytes).find(works).unwrap_or(u64::MAX),
            }
        })
    }

    fn within(max_memory_bytes: u64, settings: &SubstringSettings, candidate_bytes: u64) -> Option<Plan> {
        let window_bytes = settings.window_bytes() as u64;
        let threads = settings.threads as u64;
        let fits = (max_memory_bytes / threads / SORT_BYTES).checked_sub(window_bytes)?.min(MAX_PART_BYTES);
        let fair = candidate_bytes.div_ceil(threads).max(SMALL_PART_BYTES).next_multiple_of(64);
        let part_bytes = fits.min(fair) / 64 * 64;
        if part_bytes == 0 {
            return None;
        }
        let cursors = candidate_bytes.div_ceil(part_bytes).max(1) * threads;
        let left_bytes = max_memory_bytes.checked_sub(candidate_bytes.div_ceil(8))?;
        // An entry takes four bytes as it is read, eight when decoded, and its window.
        let batch_in = |bytes: u64| bytes / cursors / (window_bytes + 12);
        let beside_text = left_bytes.checked_sub(candidate_bytes).map_or(0, batch_in);
        let text_in_memory = beside_text >= SMALL_BATCH;
        let batch = if text_in_memory { beside_text } else { batch_in(left_bytes) }.min(MAX_BATCH) as usize;
        (batch > 0).then_some(Plan {
            threads: settings.threads,
            copies: settings.copies,
            window_bytes: settings.window_bytes(),
            part_bytes,
            batch,
            text_in_memory,
        })
    }
}
