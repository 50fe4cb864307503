//! The interface that storage must offer, and its implementation on local disk.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use atomic_file::{AtomicFile, IoContext, Written};
use xxhash_rust::xxh3::xxh3_128;

use crate::Result;
use crate::remote::RemoteState;

/// A place that holds a run: a folder on local disk, or a prefix in object storage.
///
/// It offers what object storage offers: reading ranges, putting whole objects (on a condition, if need be), listing
/// and deleting. There is no rename, no append, no modification time and no lock. Keys are relative, `/` between their
/// parts.
pub trait Store: Send + Sync {
    /// Opens an object for reading ranges of it.
    fn open(&self, key: &str) -> Result<Box<dyn Blob>>;

    /// Starts an object that exists once it is committed, and then replaces an earlier one.
    fn create(&self, key: &str) -> Result<Box<dyn Upload>>;

    /// A small object and its tag; `None` when there is none.
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Tag)>>;

    /// Puts a small object. If the object has equal bytes already, the put succeeds, whatever the condition.
    fn put(&self, key: &str, bytes: &[u8], condition: Condition) -> Result<PutOutcome>;

    /// All objects whose keys lie below `folder`, sorted by key.
    fn list(&self, folder: &str) -> Result<Vec<Listed>>;

    /// Deletes an object; one that does not exist is no error.
    fn delete(&self, key: &str) -> Result<()>;

    /// A folder on this machine for the durable state below `folder`; see [`State`].
    fn state(&self, folder: &str) -> Result<State>;

    /// A folder on this machine for files that may be lost at any time.
    fn scratch(&self, folder: &str) -> Result<PathBuf>;

    /// A local file with an object's bytes, for libraries that read nothing else: the object itself on local disk,
    /// a copy below [`Store::scratch`] elsewhere.
    fn local_file(&self, key: &str) -> Result<PathBuf>;

    /// Free space in bytes, if it is known.
    fn free_bytes(&self) -> Option<u64>;

    /// An object as messages name it.
    fn shown(&self, key: &str) -> String;

    /// Removes temporary files of writers that were killed. Call it only while no process writes.
    fn sweep(&self) -> Result<()>;
}

/// An object that is open for reading.
pub trait Blob: Send + Sync {
    /// Length in bytes.
    fn len_bytes(&self) -> u64;

    /// Fills `bytes` from `offset` on.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Bytes that a sequential reader asks for at once.
    fn read_ahead_bytes(&self) -> u64 {
        256 << 10
    }
}

/// An object that is being written.
pub trait Upload: Write + Send {
    /// Makes the object visible, whole and durable.
    fn commit(self: Box<Self>) -> Result<Written>;
}

/// Identifies an object's content, as an ETag does: it changes with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(u128);

/// When a put may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Unconditionally.
    Always,
    /// Only if there is no such object.
    IfAbsent,
    /// Only if the object still has this content.
    IfUnchanged(Tag),
}

/// The result of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object has these bytes now; its tag.
    Put(Tag),
    /// The condition did not hold, and other bytes are there.
    Lost,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub len_bytes: u64,
}

/// Files that outlive the process and the machine that wrote them: a crawl's journal and archives, a training's
/// checkpoint. They are worked on in a folder of this machine; [`State::save`] makes what is there durable.
#[derive(Debug, Clone)]
pub struct State {
    folder: PathBuf,
    prefix: String,
    remote: Option<RemoteState>,
}

impl State {
    /// The folder on this machine.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key of a file of the state, as the store knows it.
    pub fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// Makes the folder's files durable. On local disk they are as soon as they are synced.
    pub fn save(&self) -> Result<()> {
        self.remote.as_ref().map_or(Ok(()), RemoteState::save)
    }

    /// The state of a run in a bucket.
    pub(crate) fn of_remote(prefix: String, remote: RemoteState) -> State {
        State { folder: remote.folder().to_path_buf(), prefix, remote: Some(remote) }
    }
}

impl Tag {
    /// The tag of an object with these bytes.
    pub fn of(bytes: &[u8]) -> Tag {
        Tag(xxh3_128(bytes))
    }
}

/// A [`Store`] in a folder of a local or shared file system.
#[derive(Debug, Clone)]
pub struct LocalStore {
    folder: PathBuf,
    is_durable: bool,
}

/// Marks files that the store keeps beside its objects for locking; they are never listed.
const GUARD_MARK: &str = ".guard";
/// Folder of files that may be lost at any time.
const SCRATCH: &str = "scratch";

impl LocalStore {
    /// The store in `folder`, which is made when the first object is.
    pub fn new(folder: impl Into<PathBuf>) -> LocalStore {
        LocalStore { folder: folder.into(), is_durable: true }
    }

    /// The store in a folder that is removed with the process: nothing in it is worth waiting for the disk.
    pub fn temporary(folder: impl Into<PathBuf>) -> LocalStore {
        LocalStore { folder: folder.into(), is_durable: false }
    }

    fn create_file(&self, key: &str) -> Result<AtomicFile> {
        let file = AtomicFile::create(&self.path(key))?;
        Ok(if self.is_durable { file } else { file.without_sync() })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    /// Blocks other conditional puts of this key until it is dropped. The kernel releases the lock when the process
    /// ends.
    fn guard(&self, path: &Path) -> Result<Guard> {
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).at("create the folder", folder)?;
        let name = format!(".{}{GUARD_MARK}", path.file_name().unwrap_or_default().to_string_lossy());
        let path = folder.join(name);
        loop {
            let file = File::create(&path).at("create", &path)?;
            file.lock().at("lock", &path)?;
            // Whoever held the lock before may have removed the file: then others lock another one.
            let locked = file.metadata().at("look at", &path)?.ino();
            if fs::metadata(&path).is_ok_and(|there| there.ino() == locked) {
                return Ok(Guard { file, path });
            }
        }
    }
}

/// A lock on an object's conditional puts. Its file goes with it, while it is locked.
struct Guard {
    file: File,
    path: PathBuf,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        // As in [`atomic_file::FileLock`]: a child that is being started may have it open.
        let _ = self.file.unlock();
    }
}

impl Store for LocalStore {
    fn open(&self, key: &str) -> Result<Box<dyn Blob>> {
        Ok(Box::new(LocalBlob::open(&self.path(key))?))
    }

    fn create(&self, key: &str) -> Result<Box<dyn Upload>> {
        Ok(Box::new(self.create_file(key)?))
    }

    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Tag)>> {
        let path = self.path(key);
        match fs::read(&path) {
            Ok(bytes) => {
                let tag = Tag::of(&bytes);
                Ok(Some((bytes, tag)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Ok(Err(error).at("read", &path)?),
        }
    }

    fn put(&self, key: &str, bytes: &[u8], condition: Condition) -> Result<PutOutcome> {
        let path = self.path(key);
        let _guard = match condition {
            Condition::Always => None,
            _ => Some(self.guard(&path)?),
        };
        let found = if condition == Condition::Always { None } else { self.get(key)?.map(|(_, tag)| tag) };
        let tag = Tag::of(bytes);
        match (condition, found) {
            (_, Some(found)) if found == tag => return Ok(PutOutcome::Put(tag)),
            (Condition::IfAbsent, Some(_)) => return Ok(PutOutcome::Lost),
            (Condition::IfUnchanged(expected), found) if found != Some(expected) => return Ok(PutOutcome::Lost),
            _ => {}
        }
        let mut file = self.create_file(key)?;
        file.write_all(bytes).at("write", &path)?;
        file.commit()?;
        Ok(PutOutcome::Put(tag))
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        let mut folders = vec![folder.trim_end_matches('/').to_owned()];
        while let Some(at) = folders.pop() {
            let path = self.path(&at);
            let entries = match fs::read_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.at("list", &path)?,
            };
            for entry in entries {
                let entry = entry.at("list", &path)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let key = if at.is_empty() { name.clone() } else { format!("{at}/{name}") };
                let metadata = match entry.metadata() {
                    // Deleted since it was listed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    other => other.at("look at", &entry.path())?,
                };
                if metadata.is_dir() {
                    folders.push(key);
                } else if !name.contains(atomic_file::PARTIAL_MARK) && !name.ends_with(GUARD_MARK) {
                    listed.push(Listed { key, len_bytes: metadata.len() });
                }
            }
        }
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Ok(Err(error).at("remove", &path)?),
            _ => Ok(()),
        }
    }

    fn state(&self, folder: &str) -> Result<State> {
        let path = self.path(folder);
        fs::create_dir_all(&path).at("create the folder", &path)?;
        Ok(State { folder: path, prefix: folder.trim_end_matches('/').to_owned(), remote: None })
    }

    fn scratch(&self, folder: &str) -> Result<PathBuf> {
        let path = self.folder.join(SCRATCH).join(folder);
        fs::create_dir_all(&path).at("create the folder", &path)?;
        Ok(path)
    }

    fn local_file(&self, key: &str) -> Result<PathBuf> {
        Ok(self.path(key))
    }

    fn free_bytes(&self) -> Option<u64> {
        let mut folder = std::path::absolute(&self.folder).ok()?;
        while !folder.exists() {
            folder = folder.parent()?.to_path_buf();
        }
        let free = rustix::fs::statvfs(&folder).ok()?;
        Some(free.f_bavail.saturating_mul(free.f_frsize))
    }

    fn shown(&self, key: &str) -> String {
        self.path(key).display().to_string()
    }

    fn sweep(&self) -> Result<()> {
        let _ = fs::remove_dir_all(self.folder.join(SCRATCH));
        Ok(atomic_file::sweep(&self.folder)?)
    }
}

impl Upload for AtomicFile {
    fn commit(self: Box<Self>) -> Result<Written> {
        Ok(AtomicFile::commit(*self)?)
    }
}

/// A local file as a [`Blob`].
pub struct LocalBlob {
    file: File,
    len_bytes: u64,
}

impl LocalBlob {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<LocalBlob> {
        let file = File::open(path).at("open", path)?;
        let len_bytes = file.metadata().at("look at", path)?.len();
        Ok(LocalBlob { file, len_bytes })
    }
}

impl Blob for LocalBlob {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }
}

/// A [`Blob`] as `Read` and `Seek`, buffered.
pub struct BlobReader {
    blob: Box<dyn Blob>,
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte in the blob.
    start: u64,
    /// Offset of the next byte to read.
    at: u64,
}

impl BlobReader {
    /// Reads from the beginning.
    pub fn new(blob: Box<dyn Blob>) -> BlobReader {
        BlobReader { blob, buffer: Vec::new(), start: 0, at: 0 }
    }
}

impl Read for BlobReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let end = self.start + self.buffer.len() as u64;
        if !(self.start..end).contains(&self.at) {
            let len = self.blob.len_bytes().saturating_sub(self.at).min(self.blob.read_ahead_bytes());
            self.buffer.resize(len as usize, 0);
            self.blob.read_at(self.at, &mut self.buffer)?;
            self.start = self.at;
        }
        let held = &self.buffer[(self.at - self.start) as usize..];
        let n = held.len().min(bytes.len());
        bytes[..n].copy_from_slice(&held[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.blob.len_bytes().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a seek before the first byte"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, LocalStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::new(folder.path().join("run"));
        (folder, store)
    }

    #[test]
    fn conditions_of_a_put() {
        let (_folder, store) = store();
        let PutOutcome::Put(tag) = store.put("a/b", b"one", Condition::IfAbsent).unwrap() else {
            panic!("nothing was there")
        };
        assert_eq!(store.put("a/b", b"two", Condition::IfAbsent).unwrap(), PutOutcome::Lost);
        // The condition does not hold, but the bytes are equal: success.
        assert_eq!(store.put("a/b", b"one", Condition::IfAbsent).unwrap(), PutOutcome::Put(tag));
        let PutOutcome::Put(second) = store.put("a/b", b"two", Condition::IfUnchanged(tag)).unwrap() else {
            panic!("unchanged")
        };
        assert_eq!(store.put("a/b", b"three", Condition::IfUnchanged(tag)).unwrap(), PutOutcome::Lost);
        assert_eq!(store.get("a/b").unwrap().unwrap(), (b"two".to_vec(), second));
        assert_eq!(store.put("c", b"x", Condition::IfUnchanged(tag)).unwrap(), PutOutcome::Lost);
    }

    #[test]
    fn one_of_many_writers_wins() {
        let (_folder, store) = store();
        let won = std::thread::scope(|scope| {
            let put = |n: u8| {
                let store = &store;
                scope.spawn(move || store.put("lease", &[n], Condition::IfAbsent).unwrap() != PutOutcome::Lost)
            };
            let all: Vec<_> = (0..8).map(put).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
    }

    #[test]
    fn listings_hold_objects_alone() {
        let (_folder, store) = store();
        for key in ["x/b", "x/a/c", "y"] {
            store.put(key, key.as_bytes(), Condition::IfAbsent).unwrap();
        }
        let unfinished = store.create("x/unfinished").unwrap();
        let keys = |folder: &str| store.list(folder).unwrap().into_iter().map(|l| l.key).collect::<Vec<_>>();
        assert_eq!(keys("x"), ["x/a/c", "x/b"]);
        assert_eq!(keys(""), ["x/a/c", "x/b", "y"]);
        assert!(keys("z").is_empty());
        unfinished.commit().unwrap();
        assert_eq!(keys("x"), ["x/a/c", "x/b", "x/unfinished"]);
        store.delete("x/b").unwrap();
        store.delete("x/b").unwrap();
        assert_eq!(keys("x"), ["x/a/c", "x/unfinished"]);
    }

    #[test]
    fn a_blob_reads_and_seeks() {
        let (_folder, store) = store();
        let bytes: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        store.put("blob", &bytes, Condition::Always).unwrap();
        let mut reader = BlobReader::new(store.open("blob").unwrap());
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        for at in [999_999u64, 0, 300_000, 5] {
            reader.seek(SeekFrom::Start(at)).unwrap();
            let mut one = [0];
            reader.read_exact(&mut one).unwrap();
            assert_eq!(one[0], bytes[at as usize]);
        }
        assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), 999_999);
        assert!(reader.seek(SeekFrom::Current(-2_000_000)).is_err());
    }
}
