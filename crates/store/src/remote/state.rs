//! The durable state of a task whose run is in a bucket: worked on in a folder of this machine, saved to the bucket.
//!
//! An object beside the state's files lists them, with a number that grows with each save. A machine that has the folder
//! of the latest save, and has perhaps gone on from there, goes on with its own files; any other one copies those of the
//! bucket.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atomic_file::IoContext;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::store::{RemoteStore, copy};
use super::upload::unique_mark;
use crate::{Condition, Error, LocalStore, Result, Store, checksum_file, checksum_hex};

/// Name of the list of saved files.
const LIST: &str = "saved.json";

/// A state in a bucket and its folder.
#[derive(Debug, Clone)]
pub(crate) struct RemoteState {
    /// The bucket, below the state's prefix.
    store: Arc<RemoteStore>,
    folder: PathBuf,
}

/// What was saved.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// Tells a state from one that was at the same place before, and was removed.
    id: String,
    number: u64,
    /// Length and checksum by name.
    files: BTreeMap<String, (u64, String)>,
}

impl Saved {
    /// Identifies this save.
    fn name(&self) -> String {
        format!("{} {}", self.id, self.number)
    }
}

impl RemoteState {
    /// Makes the folder what the last save was, unless this machine has gone on from there.
    pub(super) fn open(store: RemoteStore) -> Result<RemoteState> {
        let name = format!("webtext-state-{:032x}", xxh3_128(store.shown("").as_bytes()));
        let state = RemoteState { folder: std::env::temp_dir().join(name), store: Arc::new(store) };
        let saved = state.saved()?;
        if state.save_here() != Some(saved.name()) {
            if state.folder.exists() {
                fs::remove_dir_all(&state.folder).at("remove", &state.folder)?;
            }
            for (name, (len_bytes, _)) in &saved.files {
                state.copy_here(name, *len_bytes)?;
            }
            state.set_save_here(&saved)?;
        }
        fs::create_dir_all(&state.folder).at("create the folder", &state.folder)?;
        Ok(state)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Uploads what changed since the last save, removes what went, and lists what is there.
    pub(crate) fn save(&self) -> Result<()> {
        let before = self.saved()?;
        let mut saved = Saved { id: before.id.clone(), number: before.number + 1, files: BTreeMap::new() };
        for name in self.names_here()? {
            let path = self.folder.join(&name);
            let (len_bytes, checksum) = checksum_file(&path)?;
            let entry = (len_bytes, checksum_hex(checksum));
            if before.files.get(&name) != Some(&entry) {
                let mut upload = self.store.create(&name)?;
                let mut file = fs::File::open(&path).at("open", &path)?;
                io::copy(&mut file, &mut upload).at("upload", &path)?;
                upload.commit()?;
            }
            saved.files.insert(name, entry);
        }
        self.write_list(&saved)?;
        self.set_save_here(&saved)?;
        before.files.keys().filter(|name| !saved.files.contains_key(*name)).try_for_each(|name| self.store.delete(name))
    }

    /// The latest save; the first one, of nothing, is made here.
    fn saved(&self) -> Result<Saved> {
        let list = self.store.get(LIST)?;
        // A list that is no list is that of nobody: it is written in one put.
        if let Some(saved) = list.and_then(|(list, _)| serde_json::from_slice(&list).ok()) {
            return Ok(saved);
        }
        let saved = Saved { id: unique_mark(), ..Saved::default() };
        self.write_list(&saved)?;
        Ok(saved)
    }

    fn write_list(&self, saved: &Saved) -> Result<()> {
        let list = serde_json::to_vec(saved).expect("a list is plain data");
        self.store.put(LIST, &list, Condition::Always).map(drop)
    }

    fn copy_here(&self, name: &str, len_bytes: u64) -> Result<()> {
        let blob = self.store.open(name)?;
        if blob.len_bytes() != len_bytes {
            let what = format!("it has {} bytes, and was saved with {len_bytes}", blob.len_bytes());
            return Err(Error::Damaged { object: self.store.shown(name), offset: 0, what });
        }
        copy(blob, &self.folder.join(name))
    }

    /// The names of all files in the folder, sorted; with `/` in those of inner folders.
    fn names_here(&self) -> Result<Vec<String>> {
        let listed = LocalStore::new(&self.folder).list("")?;
        Ok(listed.into_iter().map(|listed| listed.key).collect())
    }

    /// Names the save that the folder goes on from; beside the folder, since its users may remove that.
    fn path_of_save_here(&self) -> PathBuf {
        self.folder.with_extension("save")
    }

    fn save_here(&self) -> Option<String> {
        fs::read_to_string(self.path_of_save_here()).ok()
    }

    fn set_save_here(&self, saved: &Saved) -> Result<()> {
        Ok(atomic_file::write(&self.path_of_save_here(), saved.name().as_bytes()).map(drop)?)
    }
}
