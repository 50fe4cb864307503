//! Documents put together from the pieces of batches.

use std::path::Path;
use std::sync::Arc;

use super::{Batches, InputError, InputOptions};

/// The documents of one file, in order and whole. Memory: one document and one batch.
pub struct WholeDocuments {
    batches: Batches,
    ready: std::vec::IntoIter<String>,
    unfinished: String,
}

impl WholeDocuments {
    /// Opens a file as [`Batches::open`] does.
    ///
    /// # Errors
    /// As [`Batches::open`].
    pub fn open(path: &Path, options: &InputOptions) -> Result<WholeDocuments, InputError> {
        Batches::open(path, &Arc::new(options.clone())).map(WholeDocuments::of)
    }

    /// The documents that batches are made of.
    pub(crate) fn of(batches: Batches) -> WholeDocuments {
        WholeDocuments { batches, ready: Vec::new().into_iter(), unfinished: String::new() }
    }
}

impl Iterator for WholeDocuments {
    type Item = Result<String, InputError>;

    fn next(&mut self) -> Option<Result<String, InputError>> {
        loop {
            if let Some(document) = self.ready.next() {
                return Some(Ok(document));
            }
            let batch = match self.batches.next()? {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            let mut ready = Vec::new();
            let taken = batch.for_each_piece(|piece, ends| -> Result<(), InputError> {
                self.unfinished.push_str(piece);
                if ends {
                    ready.push(std::mem::take(&mut self.unfinished));
                }
                Ok(())
            });
            if let Err(error) = taken {
                return Some(Err(error));
            }
            self.ready = ready.into_iter();
        }
    }
}
