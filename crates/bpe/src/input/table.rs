//! Parquet in batches of texts.

use std::fs::File;
use std::path::{Path, PathBuf};

use texts::{DocumentOptions, Documents};

use super::{BATCH_BYTES, Fault, InputOptions, SkippedRows};

/// Maximum number of rows of a batch; needed because empty texts have no bytes.
const MAX_BATCH_ROWS: usize = 1 << 16;

/// Collects the texts of a table.
pub(super) struct TableBatches {
    path: PathBuf,
    documents: Documents,
    row: u64,
    skipped: Option<SkippedRows>,
}

impl TableBatches {
    pub(super) fn open(path: &Path, file: File, options: &InputOptions) -> Result<TableBatches, Fault> {
        let wanted = DocumentOptions::new(&options.text_field).with_max_text_bytes(usize::MAX);
        let documents = Documents::open(file, wanted).map_err(Fault::of_file)?;
        Ok(TableBatches { path: path.to_path_buf(), documents, row: 0, skipped: options.skipped.clone() })
    }

    /// The next texts, and the number of the first one's row, from 0.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<String>)>, Fault> {
        let (first_row, mut texts, mut texts_bytes) = (self.row, Vec::new(), 0);
        while texts_bytes < BATCH_BYTES && texts.len() < MAX_BATCH_ROWS {
            let Some(document) = self.documents.next() else { break };
            match document.map_err(Fault::of_file)? {
                Ok(document) => {
                    texts_bytes += document.text.len();
                    texts.push(document.text);
                }
                Err(malformed) => {
                    let fault = Fault::at(malformed.place.to_string(), malformed.what);
                    let Some(skipped) = &self.skipped else { return Err(fault) };
                    skipped.add(&fault.in_file(&self.path));
                }
            }
        }
        self.row += texts.len() as u64;
        Ok((!texts.is_empty()).then_some((first_row, texts)))
    }
}
