//! Inputs from outside the run: which files a recipe names, and what identifies each. Files are those of this machine, or
//! objects of object storage by their URLs.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use atomic_file::IoContext;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::catalogue::Catalogue;
use store::table::TableReader;
use store::{BlobReader, RemoteObject, is_remote};

use super::report::{Seal, TaskReport};
use super::run::{RECIPE, Run};
use crate::error::{Result, Within as _, bail, ensure};

/// Lists that name further lists are followed no deeper.
const MAX_LIST_DEPTH: u32 = 4;

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
    /// The identities of the files that a list of paths names, sorted by them. Objects of object storage are identified
    /// by the listings and looks that find them.
    ///
    /// # Errors
    /// As [`expand_files`].
    pub fn of_files(entries: &[String]) -> Result<Vec<External>> {
        let identify = |found: Found| match found.object {
            Some(object) => Ok(External::of_object(object)),
            None => External::of_local(&found.path),
        };
        find_files(entries)?.into_iter().map(identify).collect()
    }

    /// The identities of all files below a folder or a prefix, sorted.
    pub fn below(folder: &Path) -> Result<Vec<External>> {
        if is_remote(folder) {
            return Ok(RemoteObject::below(folder)?.into_iter().map(External::of_object).collect());
        }
        let mut files = Vec::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(at) = folders.pop() {
            for entry in std::fs::read_dir(&at).at("list", &at)? {
                let path = entry.at("list", &at)?.path();
                if path.is_dir() { folders.push(path) } else { files.push(External::of_local(&path)?) }
            }
        }
        files.sort();
        Ok(files)
    }

    /// The identity of a local file, or of an object by its URL.
    pub fn of(path: &Path) -> Result<External> {
        if !is_remote(path) {
            return External::of_local(path);
        }
        match RemoteObject::at(&[path.to_path_buf()])?.pop().flatten() {
            Some(object) => Ok(External::of_object(object)),
            None => bail!(Input, "there is no file {}", path.display()),
        }
    }

    fn of_object(object: RemoteObject) -> External {
        let RemoteObject { url, len_bytes, version } = object;
        External { url: url.to_string_lossy().into_owned(), len_bytes, version }
    }

    fn of_local(path: &Path) -> Result<External> {
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
        let run = store::open(folder)?;
        ensure!(run.get(RECIPE)?.is_some(), Input, "{shown} is not the folder of a run: it has no {RECIPE}");
        let seal = Catalogue::<Seal, TaskReport>::open(&*run, &Run::key(stage, "seal"))?;
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
        TableReader::new(store::open_blob(Path::new(&self.url))?, self.url.clone())
    }

    /// All its bytes.
    pub fn read(&self) -> store::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes).at("read", Path::new(&self.url))?;
        Ok(bytes)
    }

    /// Opens it for reading.
    pub fn open(&self) -> store::Result<BlobReader> {
        Ok(BlobReader::new(store::open_blob(Path::new(&self.url))?))
    }
}

/// The files that a list of paths names, sorted: paths and URLs, patterns (`*`, `?`, `[…]`, `**`), and with an `@` before it
/// a file with one such entry per line, relative to that file's folder. Folders that match a pattern are skipped.
///
/// # Errors
/// When an entry names no file, or names a folder without a pattern.
pub fn expand_files(entries: &[String]) -> Result<Vec<PathBuf>> {
    Ok(find_files(entries)?.into_iter().map(|found| found.path).collect())
}

/// As [`expand_files`], for inputs that must be folders.
///
/// # Errors
/// When an entry names nothing, or a file.
pub fn expand_folders(entries: &[String]) -> Result<Vec<PathBuf>> {
    let found = find(entries)?;
    if let Some(Found { path, .. }) = found.iter().find(|found| !found.is_folder) {
        bail!(Input, "{} is no folder", path.display());
    }
    Ok(found.into_iter().map(|found| found.path).collect())
}

/// A file or folder that an entry names.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    /// What is known of an object.
    object: Option<RemoteObject>,
    is_folder: bool,
    /// Whether the entry is its name rather than a pattern.
    is_named: bool,
}

impl Found {
    fn local(path: PathBuf, is_named: bool) -> Found {
        Found { is_folder: path.is_dir(), path, object: None, is_named }
    }
}

fn find_files(entries: &[String]) -> Result<Vec<Found>> {
    let mut found = find(entries)?;
    if let Some(Found { path, .. }) = found.iter().find(|found| found.is_folder && found.is_named) {
        let shown = path.to_string_lossy();
        bail!(Input, "{shown} is a folder; name its files, as {}/*", shown.trim_end_matches('/'));
    }
    found.retain(|found| !found.is_folder);
    ensure!(!found.is_empty() || entries.is_empty(), Input, "there is no file {}, only folders", entries.join(", "));
    Ok(found)
}

/// What entries name, each once, sorted by path.
fn find(entries: &[String]) -> Result<Vec<Found>> {
    let (mut found, mut urls) = (Vec::new(), Vec::new());
    find_into(entries, MAX_LIST_DEPTH, &mut found, &mut urls)?;
    for (url, object) in urls.iter().zip(RemoteObject::at(&urls)?) {
        let is_folder = object.is_none();
        let is_there = !is_folder || !RemoteObject::below(url)?.is_empty();
        ensure!(is_there, Input, "there is no file {}", url.display());
        found.push(Found { path: url.clone(), object, is_folder, is_named: true });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// Adds what entries name to `found`, and the URLs that are no patterns to `urls`: they are looked at together.
fn find_into(entries: &[String], depth: u32, found: &mut Vec<Found>, urls: &mut Vec<PathBuf>) -> Result<()> {
    for entry in entries {
        let before = found.len() + urls.len();
        let path = Path::new(entry);
        if let Some(list) = entry.strip_prefix('@') {
            ensure!(depth > 0, Input, "{entry} is a list in a list in a list");
            let folder = Path::new(list).parent().unwrap_or(Path::new("."));
            let text = read_list(Path::new(list))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let inner: Vec<String> = lines.map(|line| resolve(folder, line)).collect();
            find_into(&inner, depth - 1, found, urls).within(|| format!("in the list {list}"))?;
        } else if is_remote(path) {
            match entry.find(['*', '?', '[']) {
                None => urls.push(path.to_path_buf()),
                Some(first_sign) => found.extend(matching_objects(entry, first_sign)?),
            }
        } else if path.exists() {
            found.push(Found::local(path.to_path_buf(), true)); // a name may hold the signs of patterns
        } else {
            for file in glob::glob(entry).within(|| format!("{entry} is no pattern"))? {
                found.push(Found::local(file?, false));
            }
        }
        ensure!(found.len() + urls.len() > before, Input, "there is no file {entry}");
    }
    Ok(())
}

/// The objects that a URL with signs of patterns matches, whose first is at this byte. As on disk, an object that has the
/// pattern as its name is meant alone.
fn matching_objects(url: &str, first_sign: usize) -> Result<Vec<Found>> {
    let pattern = glob::Pattern::new(url);
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    // Up to the sign within the last name: a bucket may hold much else beside.
    let mut objects = RemoteObject::beginning(&url[..first_sign])?;
    let is_named = objects.iter().any(|object| object.url == Path::new(url));
    if is_named {
        objects.retain(|object| object.url == Path::new(url));
    } else {
        let pattern = pattern.within(|| format!("{url} is no pattern"))?;
        objects.retain(|object| pattern.matches_path_with(&object.url, options));
    }
    let found =
        |object: RemoteObject| Found { path: object.url.clone(), object: Some(object), is_folder: false, is_named };
    Ok(objects.into_iter().map(found).collect())
}

/// Reads a text that people wrote, which may be an object.
///
/// # Errors
/// When there is no such file, it cannot be read, or its bytes are not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    BlobReader::new(store::open_blob(path)?).read_to_string(&mut text).at("read", path)?;
    Ok(text)
}

fn read_list(path: &Path) -> Result<String> {
    let mut text = String::new();
    let mut plain = texts::decompress(BlobReader::new(store::open_blob(path)?)).at("read", path)?;
    plain.read_to_string(&mut text).at("read", path)?;
    Ok(text)
}

/// An entry of a list of paths, made absolute with the folder that it is relative to. URLs of objects stay as they are.
pub fn resolve(folder: &Path, entry: &str) -> String {
    match entry.strip_prefix('@') {
        Some(list) => format!("@{}", joined(folder, list)),
        // The folder is taken literally, whatever pattern characters its name has.
        None if entry.contains(['*', '?', '[']) && is_pattern_here(folder, entry) => {
            let ups = Path::new(entry).components().take_while(|part| *part == Component::ParentDir).count();
            let parts = Path::new(entry)
                .components()
                .skip_while(|part| matches!(part, Component::ParentDir | Component::CurDir));
            let folder = joined(folder, &"../".repeat(ups));
            format!("{}/{}", glob::Pattern::escape(&folder), parts.collect::<PathBuf>().display())
        }
        None => joined(folder, entry),
    }
}

fn is_pattern_here(folder: &Path, entry: &str) -> bool {
    let entry = Path::new(entry);
    !is_remote(entry) && !is_remote(folder) && entry.is_relative() && !folder.join(entry).exists()
}

/// A path or URL relative to a folder, without `.` and `..`.
fn joined(folder: &Path, entry: &str) -> String {
    if is_remote(Path::new(entry)) {
        return entry.to_owned();
    }
    let text = folder.to_string_lossy();
    match text.split_once("://").filter(|_| is_remote(folder) && Path::new(entry).is_relative()) {
        Some((scheme, rest)) => format!("{scheme}://{}", without_dots(&Path::new(rest).join(entry)).display()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name() {
        let folder = Path::new("/data/pipelines");
        assert_eq!(resolve(folder, "../crawl/./*.warc.gz"), "/data/crawl/*.warc.gz");
        assert_eq!(resolve(folder, "@../list"), "@/data/list");
        assert_eq!(resolve(folder, "/absolute"), "/absolute");
        assert_eq!(resolve(Path::new("/d[1]/pipelines"), "../x/*.gz"), "/d[[]1[]]/x/*.gz");
    }

    #[test]
    fn urls_are_absolute() {
        let folder = Path::new("/data/pipelines");
        assert_eq!(resolve(folder, "s3://crawl/2024/*.warc.gz"), "s3://crawl/2024/*.warc.gz");
        assert_eq!(resolve(folder, "@s3://crawl/warc.paths.gz"), "@s3://crawl/warc.paths.gz");
        let bucket = Path::new("s3://crawl/recipes");
        assert_eq!(resolve(bucket, "../2024/*.warc.gz"), "s3://crawl/2024/*.warc.gz");
        assert_eq!(resolve(bucket, "@./list"), "@s3://crawl/recipes/list");
        assert_eq!(resolve(bucket, "/absolute"), "/absolute");
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
            let files = expand_files(entries).unwrap().into_iter();
            files.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[path("*.warc")]), ["a.warc", "b.warc", "c [1].warc"]);
        assert_eq!(names(&[path("c [1].warc")]), ["c [1].warc"]);
        std::fs::write(path("list"), "# two\na.warc\nb.*\n").unwrap();
        assert_eq!(names(&[format!("@{}", path("list")), path("a.warc")]), ["a.warc", "b.warc"]);
        assert!(expand_files(&[path("d*")]).unwrap_err().to_string().contains("there is no file"));
        std::fs::write(path("list"), "@list\n").unwrap();
        assert!(
            crate::error::chain(&expand_files(&[format!("@{}", path("list"))]).unwrap_err()).contains("list in a list")
        );
    }
}
