//! Parquet in batches of texts.

use std::fs::File;
use std::path::{Path, PathBuf};

use texts::{DocumentOptions, Documents};

use super::lossy_table::LossyTexts;
use super::{BATCH_BYTES, Fault, InputOptions, SkippedRows};

/// Maximum number of rows of a batch; needed because empty texts have no bytes.
const MAX_BATCH_ROWS: usize = 1 << 16;

/// Collects the texts of a table.
pub(super) struct TableBatches {
    path: PathBuf,
    texts: TableTexts,
    row: u64,
    skipped: Option<SkippedRows>,
}

enum TableTexts {
    Documents(Documents),
    /// With invalid UTF-8 replaced.
    Lossy(LossyTexts),
}

impl TableTexts {
    /// The next text, or what is wrong with its row.
    fn next(&mut self) -> Result<Option<Result<String, Fault>>, Fault> {
        match self {
            TableTexts::Lossy(texts) => texts.next(),
            TableTexts::Documents(documents) => {
                let document = documents.next().transpose().map_err(Fault::of_file)?;
                let text = document.map(|document| document.map(|document| document.text));
                Ok(text.map(|text| text.map_err(|malformed| Fault::at(malformed.place.to_string(), malformed.fault))))
            }
        }
    }
}

impl TableBatches {
    pub(super) fn open(path: &Path, file: File, options: &InputOptions) -> Result<TableBatches, Fault> {
        let texts = if options.lossy {
            TableTexts::Lossy(LossyTexts::open(file, &options.text_field)?)
        } else {
            let wanted = DocumentOptions::new(&options.text_field).with_max_text_bytes(usize::MAX);
            TableTexts::Documents(Documents::open(file, wanted).map_err(Fault::of_file)?)
        };
        Ok(TableBatches { path: path.to_path_buf(), texts, row: 0, skipped: options.skipped.clone() })
    }

    /// The next texts, and the number of the first one's row, from 0.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<String>)>, Fault> {
        let (first_row, mut texts, mut texts_bytes) = (self.row, Vec::new(), 0);
        while texts_bytes < BATCH_BYTES && texts.len() < MAX_BATCH_ROWS {
            let Some(text) = self.texts.next()? else { break };
            match (text, &self.skipped) {
                (Ok(text), _) => {
                    texts_bytes += text.len();
                    texts.push(text);
                }
                (Err(fault), Some(skipped)) => skipped.add(&fault.in_file(&self.path)),
                (Err(fault), None) => return Err(fault),
            }
        }
        self.row += texts.len() as u64;
        Ok((!texts.is_empty()).then_some((first_row, texts)))
    }
}
