//! Parquet in batches of texts.

use std::fs::File;
use std::path::Path;

use texts::{DocumentOptions, Documents};

use super::{BATCH_BYTES, Fault, InputOptions};

/// Maximum number of rows of a batch; needed because empty texts have no bytes.
const MAX_BATCH_ROWS: usize = 1 << 16;

/// Collects the texts of a table.
pub(super) struct TableBatches {
    documents: Documents,
    row: u64,
}

impl TableBatches {
    pub(super) fn open(path: &Path, options: &InputOptions) -> Result<TableBatches, Fault> {
        if path == Path::new("-") {
            return Err(Fault::of_file(texts::Error::ParquetInPipe));
        }
        let file = File::open(path).map_err(Fault::of_file)?;
        let wanted = DocumentOptions::new(&options.text_field).with_max_text_bytes(usize::MAX);
        Ok(TableBatches { documents: Documents::open(file, wanted).map_err(Fault::of_file)?, row: 0 })
    }

    /// The next texts, and the number of the first one's row, from 0.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<String>)>, Fault> {
        let (first_row, mut texts, mut texts_bytes) = (self.row, Vec::new(), 0);
        while texts_bytes < BATCH_BYTES && texts.len() < MAX_BATCH_ROWS {
            let Some(document) = self.documents.next() else { break };
            let document = document.map_err(Fault::of_file)?;
            let document = document.map_err(|malformed| Fault::at(malformed.place.to_string(), malformed.what))?;
            texts_bytes += document.text.len();
            texts.push(document.text);
        }
        self.row += texts.len() as u64;
        Ok((!texts.is_empty()).then_some((first_row, texts)))
    }
}
