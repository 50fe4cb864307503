//! The durable state of a task whose run is in a bucket: worked on in a folder of this machine, saved to the bucket.
//!
//! An object beside the state's files lists them, with a number that grows with each save. A machine that has the folder
//! of the latest save, and has perhaps gone on from there, goes on with its own files; any other one copies those of the
//! bucket.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atomic_file::IoContext;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::Object;
use super::runtime::wait_for;
use super::store::read_whole;
use super::upload::{RemoteUpload, unique_mark};
use crate::{BlobReader, Result, Upload, checksum_file, checksum_hex};

/// Name of the list of saved files.
const LIST: &str = "saved.json";

/// A state in a bucket and its folder.
#[derive(Debug, Clone)]
pub(crate) struct RemoteState {
    object: Object,
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
    pub(super) fn open(object: Object) -> Result<RemoteState> {
        let name = format!("webtext-state-{:032x}", xxh3_128(object.url.as_bytes()));
        let state = RemoteState { folder: std::env::temp_dir().join(name), object };
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
                let mut upload = Box::new(RemoteUpload::new(self.object.below(&name)?));
                let mut file = fs::File::open(&path).at("open", &path)?;
                io::copy(&mut file, &mut upload).at("upload", &path)?;
                upload.commit()?;
            }
            saved.files.insert(name, entry);
        }
        self.write_list(&saved)?;
        self.set_save_here(&saved)?;
        for name in before.files.keys().filter(|name| !saved.files.contains_key(*name)) {
            let object = self.object.below(name)?;
            let (client, key) = (object.client.clone(), object.key.clone());
            object.named("remove", wait_for(async move { client.delete(&key).await }))?;
        }
        Ok(())
    }

    /// The latest save; the first one, of nothing, is made here.
    fn saved(&self) -> Result<Saved> {
        let bytes = read_whole(&self.object.below(LIST)?)?;
        // A list that is no list is that of nobody: it is written in one put.
        if let Some(saved) = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(saved);
        }
        let saved = Saved { id: unique_mark(), ..Saved::default() };
        self.write_list(&saved)?;
        Ok(saved)
    }

    fn write_list(&self, saved: &Saved) -> Result<()> {
        let object = self.object.below(LIST)?;
        let payload = PutPayload::from(serde_json::to_vec(saved).expect("a list is plain data"));
        let (client, key) = (object.client.clone(), object.key.clone());
        object.named("write", wait_for(async move { client.put(&key, payload).await }))?;
        Ok(())
    }

    fn copy_here(&self, name: &str, len_bytes: u64) -> Result<()> {
        let path = self.folder.join(name);
        let blob = self.object.below(name)?.open()?;
        if blob.len_bytes() != len_bytes {
            let what = format!("it has {} bytes, and was saved with {len_bytes}", blob.len_bytes());
            return Err(crate::Error::Damaged { object: format!("{}/{name}", self.object.url), offset: 0, what });
        }
        let mut file = atomic_file::AtomicFile::create(&path)?;
        io::copy(&mut BlobReader::new(blob), &mut file).at("copy to", &path)?;
        file.commit()?;
        Ok(())
    }

    /// The names of all files in the folder, sorted; with `/` in those of inner folders.
    fn names_here(&self) -> Result<Vec<String>> {
        let listed = crate::Store::list(&crate::LocalStore::new(&self.folder), "")?;
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
