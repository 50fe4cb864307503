//! The environment of a running task: opens its inputs, registers its outputs, counts its records.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use filter::FilterTally;
use records::{Counts, Reason};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::buckets::{BucketReader, BucketWriter, SpillRow};
use store::numbers::{NumbersRow, NumbersWriter};
use store::sort::{Sorted, Sorter};
use store::table::{TableReader, TableWriter};
use store::{Blob, BlobReader, State, Store, Upload, checksum_hex};
use xxhash_rust::xxh3::Xxh3;

use super::flow::{Bucket, BucketOfTask, Buckets, File, Product, Table};
use super::inputs::External;
use super::report::{Digests, Output, SAMPLES_PER_REASON, Sample, SourceRead, Tally, TaskReport, Unreadable};
use super::run::{Observer, Run, Stop};
use crate::error::{Error, Result, chain, ensure};

/// Characters of a dropped record that are kept as a sample.
const SAMPLE_CHARS: usize = 300;
/// Rows that a task sorts or writes before it asks again whether to stop: some milliseconds of work.
const ROWS_BETWEEN_STOPS: u64 = 4096;
/// Bytes of an external input that are read at once only to compute its checksum.
const HASH_BYTES: usize = 1 << 20;

/// A running task.
pub struct Work<'a> {
    run: &'a Run,
    stage: usize,
    name: String,
    shared: Arc<Shared>,
    /// Records read, kept and dropped.
    pub counts: Counts,
    tally: Tally,
    sources: Vec<SourceRead>,
}

/// What writers and readers report to their task.
#[derive(Default)]
struct Shared {
    outputs: Mutex<Vec<Output>>,
    /// Outputs that were started; all of them must be finished.
    started: AtomicU64,
    received: Mutex<BTreeMap<String, u64>>,
    stop: Stop,
}

impl Shared {
    /// Ends a task that has moved this many rows when the user asks to stop. A task can take long, and its outputs are
    /// made again as a whole.
    fn stop_at(&self, rows: u64) -> Result<()> {
        let is_stopping = rows.is_multiple_of(ROWS_BETWEEN_STOPS) && self.stop.load(Ordering::Relaxed);
        if is_stopping { Err(Error::Interrupted) } else { Ok(()) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Work<'a> {
    pub(crate) fn new(run: &'a Run, stage: usize, name: &str) -> Work<'a> {
        Work {
            run,
            stage,
            name: name.to_owned(),
            shared: Arc::new(Shared { stop: run.options().stop.clone(), ..Shared::default() }),
            counts: Counts::default(),
            tally: Tally::default(),
            sources: Vec::new(),
        }
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The store that holds the run.
    pub fn store(&self) -> &dyn Store {
        self.run.store()
    }

    /// Receives the progress of the run.
    pub fn observer(&self) -> &dyn Observer {
        self.run.observer()
    }

    /// Whether the user asked to stop; long tasks check it between checkpoints.
    pub fn is_stopping(&self) -> bool {
        self.run.is_stopping()
    }

    /// Memory of one sort, in bytes.
    pub fn sort_memory_bytes(&self) -> usize {
        self.run.options().sort_memory_bytes
    }

    // -- inputs

    /// The rows of a bucket, sorted and counted as received.
    pub fn receive<R>(&mut self, bucket: &Bucket<R>) -> Result<Sorted<R>>
    where
        R: Ord + SpillRow,
    {
        let (sorted, rows) = self.sorted(bucket)?;
        *lock(&self.shared.received).entry(bucket.from.clone()).or_default() += rows;
        Ok(sorted)
    }

    /// The rows of a bucket in the order in which they were written, task by task, counted as received.
    pub fn receive_unsorted<R>(
        &self,
        bucket: &Bucket<R>,
    ) -> Result<Received<impl Iterator<Item = store::Result<R>> + use<'a, R>>>
    where
        R: SpillRow,
    {
        let (store, number) = (self.run.store(), bucket.bucket);
        let files = self.files_of(bucket)?.into_iter();
        let rows = files.flat_map(move |file| {
            let rows = store.open(&file.key).and_then(|blob| BucketReader::new(blob, store.shown(&file.key), number));
            let (rows, fault) = match rows {
                Ok(rows) => (Some(rows), None),
                Err(error) => (None, Some(Err(error))),
            };
            fault.into_iter().chain(rows.into_iter().flatten())
        });
        Ok(self.received(&bucket.from, rows))
    }

    /// The files that have rows of a bucket.
    fn files_of<R>(&self, bucket: &Bucket<R>) -> Result<Vec<Output>> {
        let mut files = self.run.outputs_from(&bucket.from)?;
        files.retain(|file| {
            let digests = file.digests.as_ref().map_or(&[][..], |Digests(digests)| digests);
            digests.get(bucket.bucket as usize).is_some_and(|digest| *digest != 0)
        });
        Ok(files)
    }

    /// The rows of one bucket of one task's file, in the order in which they were written, counted as received.
    pub fn rows<R: SpillRow>(&self, bucket: &BucketOfTask<R>) -> Result<Received<BucketReader<R>>> {
        let blob = self.store().open(&bucket.key)?;
        let reader = BucketReader::new(blob, self.store().shown(&bucket.key), bucket.bucket)?;
        Ok(self.received(&bucket.from, reader))
    }

    /// The rows of a table, read by the columns of `R` and counted as received.
    pub fn table<R, S>(&self, table: &Table<S>) -> Result<Received<TableReader<R>>>
    where
        R: Serialize + DeserializeOwned,
    {
        Ok(self.received(&table.from, self.lookup(table)?))
    }

    /// The rows of a table, for looking up some of them: not counted as received.
    pub fn lookup<R, S>(&self, table: &Table<S>) -> Result<TableReader<R>>
    where
        R: Serialize + DeserializeOwned,
    {
        self.verify(&table.key, &table.checksum)?;
        Ok(TableReader::new(self.store().open(&table.key)?, self.store().shown(&table.key))?)
    }

    /// The rows of one bucket of one task's file that several tasks read: not counted as received.
    pub fn lookup_rows<R: SpillRow>(&self, bucket: &BucketOfTask<R>) -> Result<BucketReader<R>> {
        let blob = self.store().open(&bucket.key)?;
        Ok(BucketReader::new(blob, self.store().shown(&bucket.key), bucket.bucket)?)
    }

    /// The rows of a bucket that several tasks read, sorted: not counted as received.
    pub fn lookup_bucket<R>(&self, bucket: &Bucket<R>) -> Result<Sorted<R>>
    where
        R: Ord + SpillRow,
    {
        Ok(self.sorted(bucket)?.0)
    }

    /// The rows of a bucket, sorted, and how many there are.
    fn sorted<R>(&self, bucket: &Bucket<R>) -> Result<(Sorted<R>, u64)>
    where
        R: Ord + SpillRow,
    {
        let mut sorter = self.sorter()?;
        let mut rows = 0;
        for file in self.files_of(bucket)? {
            let blob = self.store().open(&file.key)?;
            for row in BucketReader::new(blob, self.store().shown(&file.key), bucket.bucket)? {
                sorter.push(row?)?;
                rows += 1;
                self.shared.stop_at(rows)?;
            }
        }
        Ok((sorter.finish()?, rows))
    }

    fn received<I>(&self, from: &str, rows: I) -> Received<I> {
        lock(&self.shared.received).entry(from.to_owned()).or_default();
        Received { rows, from: from.to_owned(), count: 0, shared: self.shared.clone() }
    }

    /// Compares an object with the checksum in its task's manifest, because neither Parquet nor files of ids detect
    /// every changed byte. Bucket files have checksums of their own.
    fn verify(&self, key: &str, checksum: &str) -> Result<()> {
        let mut object = BlobReader::new(self.store().open(key)?);
        let (mut hasher, mut buffer) = (Xxh3::new(), vec![0; HASH_BYTES]);
        loop {
            match object.read(&mut buffer)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        if checksum_hex(hasher.digest()) != checksum {
            let (object, what) = (self.store().shown(key), "its bytes are not those that were written".to_owned());
            return Err(store::Error::Damaged { object, offset: 0, what }.into());
        }
        Ok(())
    }

    /// A file of an earlier stage.
    pub fn file(&self, file: &File) -> Result<BlobReader> {
        self.verify(&file.key, &file.checksum)?;
        Ok(BlobReader::new(self.store().open(&file.key)?))
    }

    /// A file of an earlier stage, for readers of ranges.
    pub fn blob(&self, file: &File) -> Result<Box<dyn Blob>> {
        self.verify(&file.key, &file.checksum)?;
        Ok(self.store().open(&file.key)?)
    }

    /// The local path of a file of an earlier stage.
    pub fn local_file(&self, file: &File) -> Result<PathBuf> {
        self.verify(&file.key, &file.checksum)?;
        Ok(self.store().local_file(&file.key)?)
    }

    /// An input from outside the run. It is hashed as it is read; [`Work::finish_source`] reads the rest.
    pub fn source(&self, external: &External) -> store::Result<Source> {
        Ok(Source {
            reader: external.open()?,
            at: 0,
            hashed: Arc::new(Mutex::new(Hashed { until: 0, hasher: Xxh3::new() })),
            external: external.clone(),
        })
    }

    /// Records length and checksum of an input from outside the run, after it was read; returns the checksum.
    pub fn finish_source(&mut self, mut source: Source) -> Result<String> {
        let from = lock(&source.hashed).until;
        source.seek(SeekFrom::Start(from))?;
        let mut buffer = vec![0; HASH_BYTES];
        while source.read(&mut buffer)? > 0 {}
        let hashed = lock(&source.hashed);
        let checksum = checksum_hex(hashed.hasher.digest());
        let (url, len_bytes) = (source.external.url.clone(), hashed.until);
        self.sources.push(SourceRead { url, len_bytes, checksum: checksum.clone() });
        Ok(checksum)
    }

    // -- outputs

    /// Starts the task's table of a product.
    pub fn create_table<T, R>(&self, product: Product<T, Table<R>>) -> Result<TableOutput<R>>
    where
        R: Serialize + DeserializeOwned,
    {
        let slot = self.slot(product.name, product.key, &self.name);
        let writer = TableWriter::new(self.store().create(&slot.key)?, self.store().shown(&slot.key))?;
        Ok(TableOutput { writer, slot, rows: 0 })
    }

    /// Starts the task's table of numbers of a product, with these columns after `id`.
    pub fn create_numbers<T>(
        &self,
        product: Product<T, Table<NumbersRow>>,
        columns: &[String],
    ) -> Result<NumbersOutput> {
        let slot = self.slot(product.name, product.key, &self.name);
        let writer = NumbersWriter::new(self.store().create(&slot.key)?, self.store().shown(&slot.key), columns)?;
        Ok(NumbersOutput { writer, slot, rows: 0 })
    }

    /// Starts the task's bucket file of a product, with buckets `0..count`.
    pub fn create_buckets<T, R>(&self, product: Product<T, Buckets<R>>, count: u32) -> Result<BucketOutput<R>>
    where
        R: SpillRow,
    {
        let slot = self.slot(product.name, product.key, &self.name);
        let writer = BucketWriter::new(self.store().create(&slot.key)?, self.store().shown(&slot.key), count)?;
        Ok(BucketOutput { writer, slot, rows: 0 })
    }

    /// Starts the task's file of a product.
    pub fn create_file<T>(&self, product: Product<T, File>) -> Result<FileOutput> {
        self.create_named(product, &self.name)
    }

    /// Starts a file of a product of which the task writes several, or under a name other than the task's.
    pub fn create_named<T>(&self, product: Product<T, File>, name: &str) -> Result<FileOutput> {
        let slot = self.slot(product.name, product.key, name);
        Ok(FileOutput { upload: self.store().create(&slot.key)?, slot })
    }

    /// Writes a small file of a product at once.
    pub fn write<T>(&self, product: Product<T, File>, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.create_named(product, name)?;
        file.write_all(bytes)?;
        file.finish()
    }

    fn slot(&self, product: &'static str, key: &str, name: &str) -> Slot {
        let stage = &self.run.flow().stages()[self.stage];
        let key = key.replace("{stage}", &stage.name).replace("{suffix}", &stage.suffix).replace("{name}", name);
        self.shared.started.fetch_add(1, Ordering::Relaxed);
        Slot { product, key, shared: self.shared.clone() }
    }

    /// A folder of this task's own for files that may be lost at any time.
    pub fn scratch(&self) -> Result<PathBuf> {
        Ok(self.store().scratch(&format!("{}/{}", self.run.flow().stages()[self.stage].name, self.name))?)
    }

    /// A sorter that spills into the task's scratch folder.
    pub fn sorter<R: Ord + Serialize + DeserializeOwned>(&self) -> Result<Sorter<R>> {
        Ok(Sorter::new(self.scratch()?, self.sort_memory_bytes()))
    }

    /// Files that a later attempt of this task finds again, on any machine. `key` is a pattern as that of a product.
    pub fn state(&self, key: &str) -> Result<State> {
        let stage = &self.run.flow().stages()[self.stage];
        let key = key.replace("{stage}", &stage.name).replace("{suffix}", &stage.suffix).replace("{name}", &self.name);
        Ok(self.store().state(&key)?)
    }

    /// Makes a finished file of the state an output of the task.
    pub fn register_state<T>(&self, product: Product<T, File>, state: &State, name: &str) -> Result<File> {
        let (len_bytes, checksum) = store::checksum_file(&state.folder().join(name))?;
        let file = File { key: state.key(name), len_bytes, checksum: checksum_hex(checksum) };
        lock(&self.shared.outputs).push(Output {
            product: product.name.to_owned(),
            key: file.key.clone(),
            len_bytes,
            checksum: file.checksum.clone(),
            rows: None,
            digests: None,
            is_state: true,
        });
        Ok(file)
    }

    // -- reporting

    /// Notes a value of a metric.
    pub fn metric(&mut self, name: &str, value: f64) {
        self.tally.metrics.entry(name.to_owned()).or_default().note(value);
    }

    /// Counts a value in a histogram.
    pub fn histogram(&mut self, name: &str, value: u64) {
        match self.tally.histograms.get_mut(name) {
            Some(histogram) => histogram.note(value),
            None => self.tally.histograms.entry(name.to_owned()).or_default().note(value),
        }
    }

    /// Adds drops and measures of rules.
    pub fn tally_rules(&mut self, rules: FilterTally) {
        self.tally.rules.merge(&rules);
    }

    /// Records an input that broke off. What was read of it is kept.
    pub fn unreadable(&mut self, path: &str, error: &dyn std::error::Error) {
        let error = chain(error);
        tracing::warn!(target: "task", "unreadable: {path}: {error}");
        self.tally.unreadable.push(Unreadable { path: path.to_owned(), error });
    }

    /// Keeps the beginning of a dropped record that has no row in any table.
    pub fn sample(&mut self, reason: Reason, place: impl FnOnce() -> String, text: &str) {
        let samples = &mut self.tally.samples;
        if samples.iter().filter(|kept| kept.reason == reason).count() < SAMPLES_PER_REASON {
            samples.push(Sample { reason, place: place(), text: text.chars().take(SAMPLE_CHARS).collect() });
        }
    }

    /// The report of the finished task.
    pub(crate) fn into_report(mut self, digest: String) -> Result<TaskReport> {
        ensure!(self.counts.reconcile(), State, "the counts do not reconcile: {:?}", self.counts);
        let outputs = std::mem::take(&mut *lock(&self.shared.outputs));
        let finished = outputs.iter().filter(|output| !output.is_state).count() as u64;
        let started = self.shared.started.load(Ordering::Relaxed);
        ensure!(started == finished, Bug, "{started} outputs were started, {finished} finished");
        self.tally.counts = self.counts;
        self.tally.received = std::mem::take(&mut *lock(&self.shared.received));
        Ok(TaskReport { name: self.name, digest, outputs, sources: self.sources, tally: self.tally })
    }
}

/// Rows that are counted as received when they are read.
pub struct Received<I> {
    rows: I,
    from: String,
    count: u64,
    shared: Arc<Shared>,
}

impl<I: Iterator> Iterator for Received<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let row = self.rows.next()?;
        self.count += 1;
        Some(row)
    }
}

impl<I> Drop for Received<I> {
    fn drop(&mut self) {
        *lock(&self.shared.received).entry(std::mem::take(&mut self.from)).or_default() += self.count;
    }
}

/// The key of an output, and where to register it when it is finished.
struct Slot {
    product: &'static str,
    key: String,
    shared: Arc<Shared>,
}

impl Slot {
    fn register(self, written: atomic_file::Written, rows: Option<u64>, digests: Option<Vec<u64>>) {
        lock(&self.shared.outputs).push(Output {
            product: self.product.to_owned(),
            key: self.key,
            len_bytes: written.len_bytes,
            checksum: checksum_hex(written.checksum),
            rows,
            digests: digests.map(Digests),
            is_state: false,
        });
    }
}

/// A table that a task writes.
pub struct TableOutput<R> {
    writer: TableWriter<R>,
    slot: Slot,
    rows: u64,
}

impl<R: Serialize + DeserializeOwned> TableOutput<R> {
    /// Appends a row.
    pub fn push(&mut self, row: R) -> Result<()> {
        self.rows += 1;
        self.slot.shared.stop_at(self.rows)?;
        Ok(self.writer.push(row)?)
    }

    /// Makes the table an output of the task.
    pub fn finish(self) -> Result<()> {
        let written = self.writer.finish()?;
        self.slot.register(written, Some(self.rows), None);
        Ok(())
    }
}

/// A table of numbers that a task writes.
pub struct NumbersOutput {
    writer: NumbersWriter,
    slot: Slot,
    rows: u64,
}

impl NumbersOutput {
    /// Appends a row, with a value for each column; NaN for one that is not defined.
    pub fn push(&mut self, id: String, values: &[f64]) -> Result<()> {
        self.rows += 1;
        self.slot.shared.stop_at(self.rows)?;
        Ok(self.writer.push(id, values)?)
    }

    /// Makes the table an output of the task.
    pub fn finish(self) -> Result<()> {
        let written = self.writer.finish()?;
        self.slot.register(written, Some(self.rows), None);
        Ok(())
    }
}

/// A bucket file that a task writes.
pub struct BucketOutput<R> {
    writer: BucketWriter<R>,
    slot: Slot,
    rows: u64,
}

impl<R: SpillRow> BucketOutput<R> {
    /// Adds a row to a bucket.
    pub fn push(&mut self, bucket: u32, row: &R) -> Result<()> {
        self.rows += 1;
        self.slot.shared.stop_at(self.rows)?;
        Ok(self.writer.push(bucket, row)?)
    }

    /// Makes the file an output of the task.
    pub fn finish(self) -> Result<()> {
        let filled = self.writer.finish()?;
        self.slot.register(filled.written, Some(filled.rows), Some(filled.digests));
        Ok(())
    }
}

/// A file that a task writes.
pub struct FileOutput {
    upload: Box<dyn Upload>,
    slot: Slot,
}

impl FileOutput {
    /// The file's name in messages.
    pub fn shown(&self, work: &Work<'_>) -> String {
        work.store().shown(&self.slot.key)
    }

    /// Makes the file an output of the task.
    pub fn finish(self) -> Result<()> {
        Box::new(self).commit()?;
        Ok(())
    }
}

/// Lets any writer of objects write an output.
impl Upload for FileOutput {
    fn commit(self: Box<Self>) -> store::Result<atomic_file::Written> {
        let written = self.upload.commit()?;
        self.slot.register(written, None, None);
        Ok(written)
    }
}

impl Write for FileOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", self.slot.key));
        self.upload.write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

/// An input from outside the run. Copies share the hash of what was read.
pub struct Source {
    reader: BlobReader,
    at: u64,
    hashed: Arc<Mutex<Hashed>>,
    external: External,
}

struct Hashed {
    until: u64,
    hasher: Xxh3,
}

impl Source {
    /// The input for a reader that takes ownership.
    pub fn share(&self) -> store::Result<Source> {
        let reader = self.external.open()?;
        Ok(Source { reader, at: 0, hashed: self.hashed.clone(), external: self.external.clone() })
    }
}

impl Read for Source {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(bytes)?;
        let mut hashed = lock(&self.hashed);
        let end = self.at + n as u64;
        // Bytes that were jumped over are hashed when they are read; until then nothing after them is.
        if self.at <= hashed.until && hashed.until < end {
            let new = (hashed.until - self.at) as usize;
            hashed.hasher.update(&bytes[new..n]);
            hashed.until = end;
        }
        drop(hashed);
        self.at = end;
        Ok(n)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.reader.seek(to)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_task_ends_soon_after_the_user_asks_to_stop() {
        let shared = Shared::default();
        let ended_at = |shared: &Shared| (1..=3 * ROWS_BETWEEN_STOPS).find(|rows| shared.stop_at(*rows).is_err());
        assert_eq!(ended_at(&shared), None);
        shared.stop.store(true, Ordering::Relaxed);
        assert_eq!(ended_at(&shared), Some(ROWS_BETWEEN_STOPS));
        assert!(shared.stop_at(ROWS_BETWEEN_STOPS).unwrap_err().is_interrupted());
    }
}
