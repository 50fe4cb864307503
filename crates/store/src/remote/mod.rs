//! Object storage: S3 and what speaks its protocol, Google Cloud Storage, Azure. The last two come with the library that
//! is used, and are not tested here.
//!
//! Credentials, region and endpoint are those of the usual environment variables (`AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_SKIP_SIGNATURE`; roles of
//! containers and machines). Requests that fail in passing (5xx, slow down, refused or broken connections, no answer) are
//! tried again with growing pauses for three minutes; see [`client`].
//!
//! An object is one whose key is a path: markers of folders (`prefix/`) and keys with empty parts are left out of
//! listings.
//!
//! Left out: profiles in `~/.aws`, versions of objects, and removing the parts of uploads that a kill broke off, which
//! a lifecycle rule of the bucket does.

mod client;
mod listing;
mod runtime;
mod state;
mod store;
mod upload;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use object_store::list::PaginatedListOptions;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};

use crate::{Blob, Error, LocalBlob, LocalStore, Result, Store};
use client::{Client, check_environment, client_of};
use runtime::wait_for;
pub(crate) use state::RemoteState;
use store::RemoteStore;

/// Objects that are looked at at once.
const HEADS_AT_ONCE: usize = 64;
/// Bytes per request of sequential readers.
const READ_BYTES: u64 = 4 << 20;

/// Whether a place is a URL of object storage rather than a path.
pub fn is_remote(place: &Path) -> bool {
    let place = place.to_string_lossy();
    ["s3://", "gs://", "az://"].iter().any(|scheme| place.starts_with(scheme))
}

/// Opens the store at a place: a folder, or `s3://bucket/prefix` (`gs://`, `az://`). Nothing is read or written yet.
///
/// # Errors
/// When the URL names no bucket, or the environment has settings that contradict each other.
pub fn open(place: &Path) -> Result<Arc<dyn Store>> {
    if !is_remote(place) {
        let text = place.to_string_lossy();
        if text.contains("://") || ["s3:/", "gs:/", "az:/"].iter().any(|slip| text.starts_with(slip)) {
            let what = "neither a folder nor a place that is known: s3://bucket/prefix, gs://… or az://…";
            return Err(Error::io("use", &text, io::Error::new(io::ErrorKind::InvalidInput, what)));
        }
        return Ok(Arc::new(LocalStore::new(place)));
    }
    Ok(Arc::new(RemoteStore::new(Object::parse(place)?)))
}

/// An object, or a prefix of objects, outside of any run.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    client: Arc<dyn Client>,
    key: Key,
    url: String,
}

impl Object {
    pub(crate) fn parse(place: &Path) -> Result<Object> {
        let text = place.to_string_lossy();
        let (scheme, rest) = text.split_once("://").unwrap_or((&text, ""));
        let rest = rest.trim_end_matches('/');
        let url = format!("{scheme}://{rest}");
        let invalid = |what: String| Error::io("use", &url, io::Error::new(io::ErrorKind::InvalidInput, what));
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['*', '?', '[']) {
            return Err(invalid("the name of one bucket is missing; write s3://bucket/prefix".to_owned()));
        }
        check_environment().map_err(invalid)?;
        let key = Key::parse(key).map_err(|error| invalid(error.to_string()))?;
        let client = client_of(scheme, bucket).map_err(|error| invalid(shown_fault(&error)))?;
        Ok(Object { client, key, url })
    }

    /// The object with this key below the prefix.
    fn below(&self, key: &str) -> Result<Object> {
        let url = if key.is_empty() { self.url.clone() } else { format!("{}/{key}", self.url) };
        let full =
            [self.key.as_ref(), key].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
        let parsed = Key::parse(full);
        let key = parsed
            .map_err(|error| Error::io("use", &url, io::Error::new(io::ErrorKind::InvalidInput, error.to_string())))?;
        Ok(Object { client: self.client.clone(), key, url })
    }

    /// Length and tag; an error of kind `NotFound` when there is no such object. A bucket is none.
    fn head(&self) -> Result<ObjectMeta> {
        if self.key.as_ref().is_empty() {
            let error = io::Error::new(io::ErrorKind::NotFound, "it is a bucket; name what is in it, as with /*");
            return Err(Error::io("read", &self.url, error));
        }
        let (client, key) = (self.client.clone(), self.key.clone());
        self.named("look at", wait_for(async move { client.head(&key).await }))
    }

    fn open(&self) -> Result<Box<dyn Blob>> {
        let meta = self.head()?;
        Ok(Box::new(RemoteBlob { object: self.clone(), len_bytes: meta.size, tag: meta.e_tag }))
    }

    /// All objects below the prefix.
    fn list(&self) -> Result<Vec<ObjectMeta>> {
        let key = self.key.as_ref();
        self.list_beginning(if key.is_empty() { String::new() } else { format!("{key}/") })
    }

    /// All objects of the bucket whose keys begin so.
    fn list_beginning(&self, prefix: String) -> Result<Vec<ObjectMeta>> {
        let client = self.client.clone();
        let listed = wait_for(async move {
            let prefix = Some(&*prefix).filter(|prefix| !prefix.is_empty());
            let (mut objects, mut page_token) = (Vec::new(), None);
            loop {
                let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
                let page = client.list_paginated(prefix, options).await?;
                objects.extend(page.result.objects);
                page_token = page.page_token;
                if page_token.is_none() {
                    return Ok(objects);
                }
            }
        });
        self.named("list", listed)
    }

    fn named<T>(&self, action: &'static str, result: object_store::Result<T>) -> Result<T> {
        result.map_err(|error| Error::io(action, &self.url, self.fault(&error)))
    }

    /// A fault with the kind that callers ask for, and the whole chain of causes as text.
    fn fault(&self, error: &object_store::Error) -> io::Error {
        if is_bucket_missing(error) {
            return io::Error::other("there is no such bucket");
        }
        let (kind, is_denied) = match error {
            object_store::Error::NotFound { .. } => (io::ErrorKind::NotFound, false),
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                (io::ErrorKind::Other, true)
            }
            // Without credentials, the library asks the machine for its role.
            _ => (io::ErrorKind::Other, std::env::var_os("AWS_ACCESS_KEY_ID").is_none()),
        };
        let hint = if is_denied && self.url.starts_with("s3:") { CREDENTIALS } else { "" };
        io::Error::new(kind, format!("{}{hint}", shown_fault(error)))
    }
}

/// Said where credentials are missing or of no use.
const CREDENTIALS: &str = "; credentials are those in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role; \
                           a public bucket takes AWS_SKIP_SIGNATURE=true";

/// An error with its causes, each once: the library's own texts repeat some. Of a server's XML only what it means.
fn shown_fault(error: &object_store::Error) -> String {
    client::without_limits(&without_xml(&user_error::chain(error)))
}

/// Whether a server has said that the bucket itself is missing, by S3's code for that.
fn is_bucket_missing(error: &object_store::Error) -> bool {
    // By the server's answer, as S3 words it: the library has one kind of error for a bucket and for an object.
    matches!(error, object_store::Error::NotFound { .. })
        && user_error::chain(error).contains("<Code>NoSuchBucket</Code>")
}

/// `<Error>` of S3's protocol within a text, as `Code: Message`.
fn without_xml(text: &str) -> String {
    let found = text.find("<Error>").zip(text.rfind("</Error>"));
    let Some((start, end)) = found.filter(|(start, end)| start < end) else { return text.to_owned() };
    let xml = &text[start..end];
    let element = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.trim())
    };
    let said: Vec<&str> = ["Code", "Message"].iter().filter_map(|name| element(name)).collect();
    let before = text[..start].split("<?xml").next().unwrap_or_default();
    format!("{before}{}{}", said.join(": "), &text[end + "</Error>".len()..])
}

/// An object that is read by ranges.
struct RemoteBlob {
    object: Object,
    len_bytes: u64,
    tag: Option<String>,
}

impl Blob for RemoteBlob {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let range = offset..offset + bytes.len() as u64;
        let (client, key) = (self.object.client.clone(), self.object.key.clone());
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() }
            .with_if_match(self.tag.clone());
        let read = wait_for(async move { client.get_opts(&key, options).await?.bytes().await });
        let read = read.map_err(|error| match error {
            object_store::Error::Precondition { .. } => {
                io::Error::other(format!("{} was changed while it was read", self.object.url))
            }
            error => {
                let error = self.object.fault(&error);
                io::Error::new(error.kind(), format!("cannot read {}: {error}", self.object.url))
            }
        })?;
        if read.len() != bytes.len() {
            let what = format!("{} ends at byte {}", self.object.url, offset + read.len() as u64);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        bytes.copy_from_slice(&read);
        Ok(())
    }

    fn read_ahead_bytes(&self) -> u64 {
        READ_BYTES
    }
}

/// Opens a file, or an object by its URL.
pub fn open_blob(place: &Path) -> Result<Box<dyn Blob>> {
    match is_remote(place) {
        true => Object::parse(place)?.open(),
        false => Ok(Box::new(LocalBlob::open(place)?)),
    }
}

/// An object outside of any run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteObject {
    /// Its URL.
    pub url: PathBuf,
    /// Length in bytes.
    pub len_bytes: u64,
    /// What changes with its content: its ETag.
    pub version: String,
}

impl RemoteObject {
    fn new(url: PathBuf, meta: ObjectMeta) -> RemoteObject {
        RemoteObject { url, len_bytes: meta.size, version: meta.e_tag.unwrap_or_default() }
    }

    /// The objects at these URLs, in their order; `None` where there is none. Many are asked for at once.
    ///
    /// # Errors
    /// For a URL that names no bucket, and what the server answers.
    pub fn at(urls: &[PathBuf]) -> Result<Vec<Option<RemoteObject>>> {
        let objects = urls.iter().map(|url| Object::parse(url)).collect::<Result<Vec<_>>>()?;
        let asked: Vec<_> = objects.iter().map(|object| (object.client.clone(), object.key.clone())).collect();
        let head = |(client, key): (Arc<dyn Client>, Key)| async move {
            // A bucket is no object.
            if key.as_ref().is_empty() { None } else { Some(client.head(&key).await) }
        };
        let heads = stream::iter(asked).map(head).buffered(HEADS_AT_ONCE).collect::<Vec<_>>();
        let found = |((object, url), head): ((&Object, &PathBuf), Option<object_store::Result<ObjectMeta>>)| match head
        {
            None | Some(Err(object_store::Error::NotFound { .. })) => Ok(None),
            Some(head) => object.named("look at", head).map(|meta| Some(RemoteObject::new(url.clone(), meta))),
        };
        objects.iter().zip(urls).zip(wait_for(heads)).map(found).collect()
    }

    /// All objects below a prefix, sorted by URL.
    ///
    /// # Errors
    /// As [`RemoteObject::at`].
    pub fn below(prefix: &Path) -> Result<Vec<RemoteObject>> {
        let object = Object::parse(prefix)?;
        let root = object.url.strip_suffix(object.key.as_ref()).unwrap_or(&object.url).trim_end_matches('/').to_owned();
        Ok(RemoteObject::sorted(&root, object.list()?))
    }

    /// All objects whose URLs begin so, sorted by URL. The beginning may end within a name, and is no object itself.
    ///
    /// # Errors
    /// As [`RemoteObject::at`].
    pub fn beginning(url: &str) -> Result<Vec<RemoteObject>> {
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        // A beginning that ends within the bucket's name has none, which is refused.
        let (bucket, prefix) = rest.split_once('/').unwrap_or_default();
        let bucket = Object::parse(Path::new(&format!("{scheme}://{bucket}")))?;
        Ok(RemoteObject::sorted(&bucket.url, bucket.list_beginning(prefix.to_owned())?))
    }

    fn sorted(root: &str, listed: Vec<ObjectMeta>) -> Vec<RemoteObject> {
        let url = |meta: &ObjectMeta| PathBuf::from(format!("{root}/{}", meta.location));
        let mut objects: Vec<RemoteObject> =
            listed.into_iter().map(|meta| RemoteObject::new(url(&meta), meta)).collect();
        objects.sort_by(|a, b| a.url.cmp(&b.url));
        objects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_of_a_server_is_told_as_what_it_means() {
        let said = "status 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>No.</Message>\
                    <RequestId>1</RequestId></Error>";
        assert_eq!(without_xml(said), "status 403 Forbidden: AccessDenied: No.");
        assert_eq!(without_xml("x <Error><Code>SlowDown</Code></Error> y"), "x SlowDown y");
        for text in ["", "no XML", "<Error>", "</Error><Error>"] {
            assert_eq!(without_xml(text), text);
        }
    }
}
