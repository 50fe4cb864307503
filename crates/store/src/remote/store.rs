//! A [`Store`] below a prefix of a bucket.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use atomic_file::IoContext;
use bytes::Bytes;
use object_store::{Error as RemoteError, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use tempfile::TempDir;

use super::runtime::wait_for;
use super::state::RemoteState;
use super::upload::RemoteUpload;
use super::{Object, is_bucket_missing};
use crate::{Blob, BlobReader, Condition, Listed, PutOutcome, Result, State, Store, Tag, Upload};

/// A store in a bucket. Scratch files lie in the system's folder for such (`TMPDIR`), and go with the store.
#[derive(Debug)]
pub(super) struct RemoteStore {
    root: Object,
    scratch: OnceLock<TempDir>,
    /// Held while a local copy is made.
    copying: Mutex<()>,
}

impl RemoteStore {
    pub(super) fn new(root: Object) -> RemoteStore {
        RemoteStore { root, scratch: OnceLock::new(), copying: Mutex::new(()) }
    }

    fn scratch_root(&self) -> Result<PathBuf> {
        if let Some(folder) = self.scratch.get() {
            return Ok(folder.path().to_path_buf());
        }
        let parent = std::env::temp_dir();
        let made = tempfile::Builder::new().prefix("webtext-").tempdir_in(&parent).at("make a folder in", &parent)?;
        // Another thread may have been faster; then this one's folder goes again.
        Ok(self.scratch.get_or_init(|| made).path().to_path_buf())
    }

    /// The bytes of an object, and the tag that the server gives them.
    fn fetch(&self, object: &Object) -> Result<Option<(Vec<u8>, UpdateVersion)>> {
        let (client, key) = (object.client.clone(), object.key.clone());
        let found = wait_for(async move {
            let found = client.get(&key).await?;
            let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?.to_vec(), version))
        });
        match found {
            Err(error @ RemoteError::NotFound { .. }) if !is_bucket_missing(&error) => Ok(None),
            other => object.named("read", other).map(Some),
        }
    }

    /// Whether an object has these bytes: the answer to an earlier try of a put may have been lost.
    fn outcome_if_equal(&self, object: &Object, bytes: &[u8]) -> Result<PutOutcome> {
        let found = self.fetch(object)?;
        Ok(if found.is_some_and(|(found, _)| found == bytes) {
            PutOutcome::Put(Tag::of(bytes))
        } else {
            PutOutcome::Lost
        })
    }
}

impl Store for RemoteStore {
    fn open(&self, key: &str) -> Result<Box<dyn Blob>> {
        self.root.below(key)?.open()
    }

    fn create(&self, key: &str) -> Result<Box<dyn Upload>> {
        Ok(Box::new(RemoteUpload::new(self.root.below(key)?)))
    }

    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Tag)>> {
        let found = self.fetch(&self.root.below(key)?)?;
        Ok(found.map(|(bytes, _)| {
            let tag = Tag::of(&bytes);
            (bytes, tag)
        }))
    }

    fn put(&self, key: &str, bytes: &[u8], condition: Condition) -> Result<PutOutcome> {
        let object = self.root.below(key)?;
        let mode = match condition {
            Condition::Always => PutMode::Overwrite,
            Condition::IfAbsent => PutMode::Create,
            Condition::IfUnchanged(expected) => match self.fetch(&object)? {
                Some((found, _)) if found == bytes => return Ok(PutOutcome::Put(Tag::of(bytes))),
                Some((found, version)) if Tag::of(&found) == expected => PutMode::Update(version),
                _ => return Ok(PutOutcome::Lost),
            },
        };
        let (client, key) = (object.client.clone(), object.key.clone());
        let payload = PutPayload::from(Bytes::copy_from_slice(bytes));
        let options = PutOptions { mode, ..PutOptions::default() };
        match wait_for(async move { client.put_opts(&key, payload, options).await }) {
            Ok(_) => Ok(PutOutcome::Put(Tag::of(bytes))),
            Err(
                RemoteError::AlreadyExists { .. } | RemoteError::Precondition { .. } | RemoteError::NotFound { .. },
            ) if condition != Condition::Always => self.outcome_if_equal(&object, bytes),
            Err(error) => object.named("write", Err(error)),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let root = self.root.key.as_ref();
        let listed = self.root.below(folder.trim_end_matches('/'))?.list()?.into_iter();
        let below = |location: &str| {
            let rest = location.strip_prefix(root)?;
            Some(rest.trim_start_matches('/').to_owned())
        };
        let mut listed: Vec<Listed> = listed
            .filter_map(|meta| Some(Listed { key: below(meta.location.as_ref())?, len_bytes: meta.size }))
            .collect();
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let object = self.root.below(key)?;
        let (client, key) = (object.client.clone(), object.key.clone());
        match wait_for(async move { client.delete(&key).await }) {
            Err(RemoteError::NotFound { .. }) => Ok(()),
            other => object.named("remove", other),
        }
    }

    fn state(&self, folder: &str) -> Result<State> {
        let prefix = folder.trim_end_matches('/').to_owned();
        let remote = RemoteState::open(RemoteStore::new(self.root.below(&prefix)?))?;
        Ok(State::of_remote(prefix, remote))
    }

    fn scratch(&self, folder: &str) -> Result<PathBuf> {
        let path = self.scratch_root()?.join(folder);
        fs::create_dir_all(&path).at("create the folder", &path)?;
        Ok(path)
    }

    fn local_file(&self, key: &str) -> Result<PathBuf> {
        let path = self.scratch_root()?.join("copies").join(key);
        let _copying = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        let blob = self.open(key)?;
        if !fs::metadata(&path).is_ok_and(|found| found.len() == blob.len_bytes()) {
            copy(blob, &path)?;
        }
        Ok(path)
    }

    fn free_bytes(&self) -> Option<u64> {
        None
    }

    fn shown(&self, key: &str) -> String {
        if key.is_empty() { self.root.url.clone() } else { format!("{}/{key}", self.root.url) }
    }

    fn sweep(&self) -> Result<()> {
        Ok(()) // an upload that was not finished is no object
    }
}

/// Copies an object to a file.
pub(super) fn copy(blob: Box<dyn Blob>, to: &Path) -> Result<()> {
    let mut file = atomic_file::AtomicFile::create(to)?;
    io::copy(&mut BlobReader::new(blob), &mut file).at("copy to", to)?;
    file.commit()?;
    Ok(())
}
