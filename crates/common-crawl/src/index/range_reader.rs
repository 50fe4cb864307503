//! The Parquet library's view of a file that is read by ranges.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use object_store::GetRange;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, MetadataSuffixFetch};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::remote::{RangedFile, ReadError};

/// Read from the end of a file at first; footers of the real index fit.
const FOOTER_BYTES: usize = 256 << 10;
/// Parts of a file with a smaller gap than this are read in one request.
const COALESCE_BYTES: u64 = 1 << 20;

/// A remote or local file as the Parquet library reads it.
#[derive(Clone)]
pub(super) struct RangeReader {
    pub(super) file: RangedFile,
}

impl RangeReader {
    async fn read(&self, range: GetRange) -> Result<Bytes, ParquetError> {
        let read = self.file.read(range).await;
        read.map_err(|error: ReadError| ParquetError::External(Box::new(error.of(&self.file.name))))
    }
}

impl AsyncFileReader for RangeReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let len = range.end - range.start;
            let bytes = self.read(GetRange::Bounded(range)).await?;
            if bytes.len() as u64 != len {
                return Err(ParquetError::EOF("the file ends inside one of its own columns".into()));
            }
            Ok(bytes)
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        // Columns and pages that lie near each other come in one request, the rest in several at once.
        let reader = self.clone();
        async move {
            let fetch = |range| {
                let mut reader = reader.clone();
                async move { reader.get_bytes(range).await }
            };
            object_store::coalesce_ranges(&ranges, fetch, COALESCE_BYTES).await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let reader =
                ParquetMetaDataReader::new().with_arrow_reader_options(options).with_prefetch_hint(Some(FOOTER_BYTES));
            Ok(Arc::new(reader.load_via_suffix_and_finish(self).await?))
        }
        .boxed()
    }
}

impl MetadataSuffixFetch for &mut RangeReader {
    fn fetch_suffix(&mut self, suffix: usize) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move { self.read(GetRange::Suffix(suffix as u64)).await }.boxed()
    }
}
