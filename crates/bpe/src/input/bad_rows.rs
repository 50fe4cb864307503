//! What becomes of rows without a text.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::InputError;

/// Rows that were left out, counted over all files that are read with the same options.
#[derive(Debug, Clone, Default)]
pub struct SkippedRows {
    rows: Arc<AtomicU64>,
    first: Arc<OnceLock<String>>,
}

impl SkippedRows {
    /// Their number.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// What was wrong with one of the first.
    pub fn first(&self) -> Option<String> {
        self.first.get().cloned()
    }

    pub(super) fn add(&self, error: &InputError) {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.first.get_or_init(|| format!("{error}: {}", error.source));
    }
}
