//! Plans: the tasks of a stage, made from the seals of the stages that it reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use atomic_file::IoContext;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::catalogue::Catalogue;
use store::table::TableReader;
use store::{BlobReader, LocalBlob, LocalStore, Store as _};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::flow::{Bucket, BucketOfTask, Buckets, File, PlannedTask, StageRef, Table, Wire};
use super::report::{Digests, Output, Seal, TaskReport};
use super::run::{RECIPE, Run};
use crate::error::{Result, Within as _, bail, ensure};

/// Lists that name further lists are followed no deeper.
const MAX_LIST_DEPTH: u32 = 4;

/// The header of a plan; its entries are the [`PlannedTask`]s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The stage.
    pub stage: String,
    /// Digest of all tasks.
    pub digest: String,
    /// Digest of the recipe for which the plan was made.
    pub recipe: String,
    /// The stages that this one reads, and the checksums of their seals.
    pub upstream: BTreeMap<String, String>,
}

/// The digest of the tasks of a stage.
pub(crate) fn digest_of(tasks: &[PlannedTask], revision: u32) -> String {
    let mut hasher = Xxh3::new();
    for task in tasks {
        hasher.update(task.name.as_bytes());
        hasher.update(&[0]);
        hasher.update(task.digest(revision).as_bytes());
    }
    format!("{:032x}", hasher.digest128())
}

/// The name of a task, and the tables that two stages wrote under it.
pub type TablePair<A, B> = (String, Table<A>, Table<B>);

/// The products of earlier stages, for a stage that plans its tasks.
pub struct Planner<'a> {
    run: &'a Run,
    upstream: RefCell<BTreeSet<usize>>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(run: &'a Run) -> Planner<'a> {
        Planner { run, upstream: RefCell::default() }
    }

    /// The stages whose products were asked for.
    pub(crate) fn upstream(self) -> BTreeSet<usize> {
        self.upstream.into_inner()
    }

    /// The tables that a stage wrote, with the names of their tasks.
    pub fn tables<R>(&self, wire: Wire<Table<R>>) -> Result<Vec<(String, Table<R>)>> {
        self.upstream.borrow_mut().insert(wire.stage);
        self.run.tables(wire)
    }

    /// The tables of two stages that have the same tasks.
    pub fn pairs<A, B>(&self, a: Wire<Table<A>>, b: Wire<Table<B>>) -> Result<Vec<TablePair<A, B>>> {
        let (a, b) = (self.tables(a)?, self.tables(b)?);
        let names = |(one, other): (&String, &String)| one == other;
        let are_equal =
            a.len() == b.len() && a.iter().map(|(name, _)| name).zip(b.iter().map(|(name, _)| name)).all(names);
        ensure!(are_equal, Bug, "two stages that go together have other tasks");
        Ok(a.into_iter().zip(b).map(|((name, a), (_, b))| (name, a, b)).collect())
    }

    /// The files that a stage wrote, with the names of their tasks.
    pub fn files(&self, wire: Wire<File>) -> Result<Vec<(String, File)>> {
        let outputs = self.outputs(wire.stage, wire.product)?.into_iter();
        let file = |output: Output| File { key: output.key, len_bytes: output.len_bytes, checksum: output.checksum };
        Ok(outputs.map(|(task, output)| (task, file(output))).collect())
    }

    /// The buckets `0..count` of a stage, each over all its tasks.
    pub fn buckets<R>(&self, wire: Wire<Buckets<R>>, count: u32) -> Result<Vec<Bucket<R>>> {
        self.upstream.borrow_mut().insert(wire.stage);
        let seal = self.run.seal_of(wire.stage)?;
        let digests = seal.header().digests.get(wire.product).map_or(&[][..], |Digests(digests)| digests);
        ensure!(digests.len() <= count as usize, Input, "{} has {} buckets, not {count}", wire.product, digests.len());
        let from = self.from(wire.stage, wire.product);
        let bucket = |bucket: u32| Bucket {
            from: from.clone(),
            bucket,
            digest: format!("{:016x}", digests.get(bucket as usize).copied().unwrap_or(0)),
            row: std::marker::PhantomData,
        };
        Ok((0..count).map(bucket).collect())
    }

    /// The buckets of each task of a stage, with the tasks' names.
    pub fn buckets_of_tasks<R>(&self, wire: Wire<Buckets<R>>) -> Result<Vec<(String, Vec<BucketOfTask<R>>)>> {
        let from = self.from(wire.stage, wire.product);
        let outputs = self.outputs(wire.stage, wire.product)?.into_iter();
        let buckets = |output: Output| {
            let Digests(digests) = output.digests.unwrap_or(Digests(Vec::new()));
            let bucket = |(bucket, digest): (usize, u64)| BucketOfTask {
                from: from.clone(),
                key: output.key.clone(),
                bucket: bucket as u32,
                digest: format!("{digest:016x}"),
                row: std::marker::PhantomData,
            };
            digests.into_iter().enumerate().map(bucket).collect()
        };
        Ok(outputs.map(|(task, output)| (task, buckets(output))).collect())
    }

    /// The tasks of a stage with their reports.
    pub fn reports<T>(&self, stage: StageRef<T>) -> Result<Vec<TaskReport>> {
        let wire = stage.product(super::flow::Product::<T, File>::new("", ""));
        self.upstream.borrow_mut().insert(wire.stage);
        Ok(self.run.seal_of(wire.stage)?.entries()?.collect::<store::Result<_>>()?)
    }

    fn outputs(&self, stage: usize, product: &str) -> Result<Vec<(String, Output)>> {
        self.upstream.borrow_mut().insert(stage);
        self.run.outputs(stage, product)
    }

    fn from(&self, stage: usize, product: &str) -> String {
        format!("{}/{product}", self.run.flow().stages()[stage].name)
    }
}

/// An input from outside the run, identified by location, length and modification time, without reading it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct External {
    /// Path or URL.
    pub url: String,
    /// Length in bytes.
    pub len_bytes: u64,
    /// When it was last changed: nanoseconds since 1970, or an ETag.
    pub version: String,
}

impl External {
    /// The identity of a local file.
    pub fn of(path: &Path) -> Result<External> {
        let metadata = std::fs::metadata(path).at("look at", path)?;
        let since = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let version = since.map_or(0, |since| since.as_nanos()).to_string();
        Ok(External { url: path.to_string_lossy().into_owned(), len_bytes: metadata.len(), version })
    }

    /// The objects that another run, in `folder`, wrote of a stage's product, with the names of their tasks.
    ///
    /// # Errors
    /// When the folder is not that of a run, or the stage is not done there.
    pub fn of_run(folder: &Path, stage: &str, product: &str) -> Result<Vec<(String, External)>> {
        let shown = folder.display();
        let run = LocalStore::new(folder);
        ensure!(run.get(RECIPE)?.is_some(), Input, "{shown} is not the folder of a run: it has no {RECIPE}");
        let seal = Catalogue::<Seal, TaskReport>::open(&run, &Run::key(stage, "seal"))?;
        let Some(seal) = seal else { bail!(Input, "in the run {shown}, stage {stage} is not done, or not part of it") };
        let mut objects = Vec::new();
        for report in seal.entries()? {
            let TaskReport { name, outputs, .. } = report?;
            for output in outputs.iter().filter(|output| output.product == product) {
                objects.push((name.clone(), External::of(&folder.join(&output.key))?));
            }
        }
        Ok(objects)
    }

    /// The last part of its path, which names it in records.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// Opens it as a table, by the columns of `R`.
    pub fn open_table<R: Serialize + DeserializeOwned>(&self) -> store::Result<TableReader<R>> {
        TableReader::new(Box::new(LocalBlob::open(Path::new(&self.url))?), self.url.clone())
    }

    /// Opens it for reading.
    pub fn open(&self) -> store::Result<BlobReader> {
        Ok(BlobReader::new(Box::new(LocalBlob::open(Path::new(&self.url))?)))
    }
}

/// The files that a list of paths names, sorted: paths, patterns (`*`, `?`, `[…]`, `**`), and with an `@` before it a
/// file with one such entry per line, relative to that file's folder.
///
/// # Errors
/// When an entry names no file.
pub fn expand(entries: &[String]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    expand_into(entries, MAX_LIST_DEPTH, &mut files)?;
    files.sort();
    files.dedup();
    Ok(files)
}

/// As [`expand`], for inputs that must be files: folders that match a pattern are skipped.
///
/// # Errors
/// When an entry names no file, or names a folder without a pattern.
pub fn expand_files(entries: &[String]) -> Result<Vec<PathBuf>> {
    if let Some(folder) = entries.iter().find(|entry| Path::new(entry).is_dir()) {
        bail!(Input, "{folder} is a folder; name its files, as {folder}/*");
    }
    let mut files = expand(entries)?;
    files.retain(|path| !path.is_dir());
    ensure!(!files.is_empty() || entries.is_empty(), Input, "there is no file {}, only folders", entries.join(", "));
    Ok(files)
}

fn expand_into(entries: &[String], depth: u32, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in entries {
        let before = files.len();
        if let Some(list) = entry.strip_prefix('@') {
            ensure!(depth > 0, Input, "{entry} is a list in a list in a list");
            let folder = Path::new(list).parent().unwrap_or(Path::new("."));
            let text = read_list(Path::new(list))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let inner: Vec<String> = lines.map(|line| resolve(folder, line)).collect();
            expand_into(&inner, depth - 1, files).within(|| format!("in the list {list}"))?;
        } else if Path::new(entry).exists() {
            files.push(PathBuf::from(entry)); // a name may hold the signs of patterns
        } else {
            for file in glob::glob(entry).within(|| format!("{entry} is no pattern"))? {
                files.push(file?);
            }
        }
        ensure!(files.len() > before, Input, "there is no file {entry}");
    }
    Ok(())
}

fn read_list(path: &Path) -> Result<String> {
    let file = std::fs::File::open(path).at("open", path)?;
    let mut text = String::new();
    let mut plain = texts::decompress(file).at("read", path)?;
    std::io::Read::read_to_string(&mut plain, &mut text).at("read", path)?;
    Ok(text)
}

/// An entry of a list of paths, made absolute with the folder that it is relative to.
pub fn resolve(folder: &Path, entry: &str) -> String {
    match entry.strip_prefix('@') {
        Some(list) => format!("@{}", without_dots(&folder.join(list)).display()),
        // The folder is taken literally, whatever pattern characters its name has.
        None if entry.contains(['*', '?', '[']) && !folder.join(entry).exists() && Path::new(entry).is_relative() => {
            let ups = Path::new(entry).components().take_while(|part| *part == Component::ParentDir).count();
            let parts = Path::new(entry)
                .components()
                .skip_while(|part| matches!(part, Component::ParentDir | Component::CurDir));
            let folder = without_dots(&folder.join("../".repeat(ups)));
            format!("{}/{}", glob::Pattern::escape(&folder.display().to_string()), parts.collect::<PathBuf>().display())
        }
        None => without_dots(&folder.join(entry)).display().to_string(),
    }
}

/// A path without `.` and `..`, so that a file has one name however a recipe refers to it.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

/// Cuts items, in their order, into runs that stay the same when other items are added or removed. A run begins at an
/// item whose name has a hash divisible by `mean_items`, or at one with which the bytes would exceed `max_bytes`.
pub fn stable_runs<T>(
    items: Vec<T>,
    mean_items: u64,
    max_bytes: u64,
    name_and_bytes: impl Fn(&T) -> (&str, u64),
) -> Vec<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    let mut run_bytes = 0u64;
    for item in items {
        let (name, bytes) = name_and_bytes(&item);
        let begins = xxh3_64(name.as_bytes()).is_multiple_of(mean_items);
        if runs.is_empty() || begins || run_bytes.saturating_add(bytes) > max_bytes {
            runs.push(Vec::new());
            run_bytes = 0;
        }
        run_bytes += bytes;
        runs.last_mut().expect("one was pushed").push(item);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_stable() {
        let items: Vec<String> = (0..1000).map(|n| format!("crawl/{n:05}.warc.gz")).collect();
        let cut = |items: &[String]| stable_runs(items.to_vec(), 16, 1 << 20, |name| (name, 1000));
        let whole = cut(&items);
        assert!((30..120).contains(&whole.len()), "{}", whole.len());
        let without: Vec<String> = items.iter().filter(|name| !name.contains("00500")).cloned().collect();
        let changed = cut(&without).iter().filter(|run| !whole.contains(run)).count();
        assert!(changed <= 2, "{changed} runs changed");
        // Large items are alone.
        assert!(stable_runs(items, 16, 100, |name| (name, 1000)).iter().all(|run| run.len() == 1));
    }

    #[test]
    fn a_file_has_one_name() {
        let folder = Path::new("/data/pipelines");
        assert_eq!(resolve(folder, "../crawl/./*.warc.gz"), "/data/crawl/*.warc.gz");
        assert_eq!(resolve(folder, "@../list"), "@/data/list");
        assert_eq!(resolve(folder, "/absolute"), "/absolute");
        assert_eq!(resolve(Path::new("/d[1]/pipelines"), "../x/*.gz"), "/d[[]1[]]/x/*.gz");
    }

    #[test]
    fn lists_and_patterns() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["a.warc", "b.warc", "c [1].warc"] {
            std::fs::write(path(name), "").unwrap();
        }
        std::fs::write(path("list"), "# two\na.warc\n\n*[1].warc\n").unwrap();
        let names = |entries: &[String]| {
            let files = expand(entries).unwrap().into_iter();
            files.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[path("*.warc")]), ["a.warc", "b.warc", "c [1].warc"]);
        assert_eq!(names(&[path("c [1].warc")]), ["c [1].warc"]);
        std::fs::write(path("list"), "# two\na.warc\nb.*\n").unwrap();
        assert_eq!(names(&[format!("@{}", path("list")), path("a.warc")]), ["a.warc", "b.warc"]);
        assert!(expand(&[path("d*")]).unwrap_err().to_string().contains("there is no file"));
        std::fs::write(path("list"), "@list\n").unwrap();
        assert!(crate::error::chain(&expand(&[format!("@{}", path("list"))]).unwrap_err()).contains("list in a list"));
    }
}
