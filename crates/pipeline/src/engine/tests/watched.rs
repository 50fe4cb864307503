//! A store that records its operations, and calls a test's hook before each write.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use atomic_file::Written;
use store::{Blob, Condition, Listed, LocalStore, PutOutcome, Result, State, Store, Tag, Upload};

/// An operation on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// An object was opened, or a small one read, or a folder listed.
    Read,
    /// An upload or a small object became visible.
    Put,
    /// An object was deleted.
    Delete,
}

/// Called before each write with its number, its kind and its key; an error replaces the write.
type Hook = Box<dyn Fn(usize, Verb, &str) -> io::Result<()> + Send + Sync>;

/// A [`LocalStore`] whose operations are recorded.
#[derive(Clone)]
pub(super) struct Watched {
    inner: LocalStore,
    log: Arc<Mutex<Vec<(Verb, String)>>>,
    before_write: Arc<Hook>,
}

impl Watched {
    /// A store without a hook.
    pub(super) fn new(inner: LocalStore) -> Watched {
        Watched::with_hook(inner, |_, _, _| Ok(()))
    }

    /// Calls `before_write` before each write.
    pub(super) fn with_hook(
        inner: LocalStore,
        before_write: impl Fn(usize, Verb, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Watched {
        Watched { inner, log: Arc::default(), before_write: Arc::new(Box::new(before_write)) }
    }

    /// Fails from the write with this number on, as after a kill.
    pub(super) fn killed_before(inner: LocalStore, number: usize) -> Watched {
        Watched::with_hook(
            inner,
            move |write, _, _| if write < number { Ok(()) } else { Err(io::Error::other("killed")) },
        )
    }

    /// Refuses writes of keys for which `is_refused` is true.
    pub(super) fn refusing(inner: LocalStore, kind: io::ErrorKind, is_refused: fn(&str) -> bool) -> Watched {
        Watched::with_hook(inner, move |_, _, key| if is_refused(key) { Err(kind.into()) } else { Ok(()) })
    }

    /// How often objects were opened, read or listed.
    pub(super) fn reads(&self) -> usize {
        self.log.lock().unwrap().iter().filter(|(verb, _)| *verb == Verb::Read).count()
    }

    /// How often objects were put or deleted.
    pub(super) fn writes(&self) -> usize {
        self.log.lock().unwrap().iter().filter(|(verb, _)| *verb != Verb::Read).count()
    }

    /// The tasks that were finished, as `stage/task`, in that order.
    pub(super) fn tasks_run(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let puts = log.iter().filter(|(verb, _)| *verb == Verb::Put);
        puts.filter_map(|(_, key)| Some(key.strip_prefix("tasks/")?.strip_suffix(".json")?.to_owned())).collect()
    }

    fn note(&self, verb: Verb, key: &str) {
        self.log.lock().unwrap().push((verb, key.to_owned()));
    }

    fn write(&self, verb: Verb, key: &str) -> Result<()> {
        (self.before_write)(self.writes(), verb, key).map_err(|source| {
            store::Error::Io(atomic_file::Error { action: "write", path: self.inner.shown(key).into(), source })
        })?;
        self.note(verb, key);
        Ok(())
    }
}

impl Store for Watched {
    fn open(&self, key: &str) -> Result<Box<dyn Blob>> {
        self.note(Verb::Read, key);
        self.inner.open(key)
    }

    fn create(&self, key: &str) -> Result<Box<dyn Upload>> {
        let upload = Some(self.inner.create(key)?);
        Ok(Box::new(WatchedUpload { upload, key: key.to_owned(), store: self.clone() }))
    }

    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Tag)>> {
        self.note(Verb::Read, key);
        self.inner.get(key)
    }

    fn put(&self, key: &str, bytes: &[u8], condition: Condition) -> Result<PutOutcome> {
        self.write(Verb::Put, key)?;
        self.inner.put(key, bytes, condition)
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        self.note(Verb::Read, folder);
        self.inner.list(folder)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.write(Verb::Delete, key)?;
        self.inner.delete(key)
    }

    fn state(&self, folder: &str) -> Result<State> {
        self.inner.state(folder)
    }

    fn scratch(&self, folder: &str) -> Result<PathBuf> {
        self.inner.scratch(folder)
    }

    fn local_file(&self, key: &str) -> Result<PathBuf> {
        self.inner.local_file(key)
    }

    fn free_bytes(&self) -> Option<u64> {
        self.inner.free_bytes()
    }

    fn shown(&self, key: &str) -> String {
        self.inner.shown(key)
    }

    fn sweep(&self) -> Result<()> {
        self.inner.sweep()
    }
}

struct WatchedUpload {
    upload: Option<Box<dyn Upload>>,
    key: String,
    store: Watched,
}

impl Write for WatchedUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.as_mut().expect("open until committed").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.as_mut().expect("open until committed").flush()
    }
}

impl Upload for WatchedUpload {
    fn commit(mut self: Box<Self>) -> Result<Written> {
        let upload = self.upload.take().expect("open until committed");
        if let Err(error) = self.store.write(Verb::Put, &self.key) {
            std::mem::forget(upload); // its temporary file stays, as after a kill
            return Err(error);
        }
        upload.commit()
    }
}
