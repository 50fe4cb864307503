//! An object that is written in parts and appears whole.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use atomic_file::Written;
use bytes::Bytes;
use object_store::{
    Attribute, Attributes, GetOptions, MultipartUpload, ObjectStoreExt, PutMultipartOptions, PutPayload,
};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::Object;
use super::runtime::wait_for;
use crate::{Result, Upload};

/// Bytes of a part. An upload has at most 10,000 parts, so an object at most 80 GB.
const PART_BYTES: usize = 8 << 20;
/// Marks which upload made an object.
const MARK: &str = "webtext-upload";

/// An upload. Until a part is full nothing is sent: a small object is one put.
pub(super) struct RemoteUpload {
    object: Object,
    part: Vec<u8>,
    parts: Option<Parts>,
    hasher: Box<Xxh3>,
    len_bytes: u64,
}

/// The parts that were sent.
struct Parts {
    upload: Box<dyn MultipartUpload>,
    mark: String,
}

impl RemoteUpload {
    pub(super) fn new(object: Object) -> RemoteUpload {
        RemoteUpload { object, part: Vec::new(), parts: None, hasher: Box::new(Xxh3::new()), len_bytes: 0 }
    }

    fn send_part(&mut self) -> Result<()> {
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => self.begin()?,
        };
        let payload = PutPayload::from(Bytes::from(std::mem::take(&mut self.part)));
        let sent = parts.upload.put_part(payload);
        let sent = wait_for(sent);
        self.parts = Some(parts); // also after an error, so that it is aborted
        self.object.named("write", sent)
    }

    fn begin(&self) -> Result<Parts> {
        let mark = unique_mark();
        let attributes = Attributes::from_iter([(Attribute::Metadata(MARK.into()), mark.clone())]);
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let (client, key) = (self.object.client.clone(), self.object.key.clone());
        let begun = wait_for(async move { client.put_multipart_opts(&key, options).await });
        Ok(Parts { upload: self.object.named("write", begun)?, mark })
    }

    /// Ends an upload of several parts. The answer to an earlier try may have been lost: then the upload is unknown, and
    /// the object that it made is there.
    fn complete(&mut self, parts: Parts) -> Result<()> {
        let Parts { mut upload, mark } = parts;
        let (completed, upload) = wait_for(async move { (upload.complete().await, upload) });
        let Err(error) = completed else { return Ok(()) };
        if self.is_there(&mark) {
            return Ok(());
        }
        self.parts = Some(Parts { upload, mark });
        self.object.named("finish writing", Err(error))
    }

    fn is_there(&self, mark: &str) -> bool {
        let (client, key) = (self.object.client.clone(), self.object.key.clone());
        let found =
            wait_for(async move { client.get_opts(&key, GetOptions { head: true, ..GetOptions::default() }).await });
        found.is_ok_and(|found| {
            found.meta.size == self.len_bytes
                && found.attributes.get(&Attribute::Metadata(MARK.into())).is_some_and(|found| found.as_ref() == mark)
        })
    }
}

/// A text that no other upload, of any machine, is marked with.
pub(super) fn unique_mark() -> String {
    static UPLOADS: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let holder = crate::lease::Holder::this_process();
    let number = UPLOADS.fetch_add(1, Ordering::Relaxed);
    format!("{:032x}", xxh3_128(format!("{holder} {since} {number}").as_bytes()))
}

impl Write for RemoteUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..n]);
        self.hasher.update(&bytes[..n]);
        self.len_bytes += n as u64;
        if self.part.len() == PART_BYTES {
            self.send_part().map_err(io::Error::other)?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for RemoteUpload {
    fn commit(mut self: Box<Self>) -> Result<Written> {
        if self.parts.is_some() {
            if !self.part.is_empty() {
                self.send_part()?;
            }
            let parts = self.parts.take().expect("seen above");
            self.complete(parts)?;
        } else {
            let (client, key) = (self.object.client.clone(), self.object.key.clone());
            let payload = PutPayload::from(Bytes::from(std::mem::take(&mut self.part)));
            let put = wait_for(async move { client.put(&key, payload).await });
            self.object.named("write", put)?;
        }
        Ok(Written { len_bytes: self.len_bytes, checksum: self.hasher.digest() })
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        if let Some(Parts { mut upload, .. }) = self.parts.take() {
            // If it fails, the bucket's own rule removes the parts.
            let _ = wait_for(async move { upload.abort().await });
        }
    }
}
