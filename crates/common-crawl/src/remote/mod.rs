//! Reads ranges of files on disk, over HTTP and in S3; the last two through a [client] that retries.
//!
//! Left out: listing over HTTP (there is no such thing).

mod client;

use std::error::Error as StdError;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};
use url::Url;

use self::client::fault_of;
pub(crate) use self::client::{RetryingHttpClient, Traffic};
use crate::error::CommonCrawlError;

/// Whether a name is a URL of a server.
pub(crate) fn is_remote(name: &str) -> bool {
    ["http://", "https://", "s3://"].iter().any(|scheme| name.starts_with(scheme))
}

/// A file that can be read by ranges.
#[derive(Clone)]
pub(crate) struct RangedFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// Name of the file in messages.
    pub(crate) name: String,
    pub(crate) traffic: Arc<Traffic>,
}

/// Why a range could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file does not exist.
    Missing,
    /// The file ends before the range begins.
    BeyondEnd,
    /// Anything else, after all retries.
    Failed(object_store::Error),
}

impl RangedFile {
    /// Reads a range, which ends at the file's end at the latest.
    pub(crate) async fn read(&self, range: GetRange) -> Result<Bytes, ReadError> {
        let start = if let GetRange::Bounded(range) = &range { range.start } else { 0 };
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let read = async { self.store.get_opts(&self.path, options).await?.bytes().await };
        match read.await {
            Ok(bytes) => {
                self.traffic.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok(bytes)
            }
            Err(object_store::Error::NotFound { .. }) => Err(ReadError::Missing),
            Err(error) => match fault_of(&error) {
                Some(fault) if fault.status == Some(416) => Err(ReadError::BeyondEnd),
                Some(_) => Err(ReadError::Failed(error)),
                // Files on disk have no status, and the store's own error type is private.
                None => match self.store.head(&self.path).await {
                    Ok(meta) if meta.size <= start => Err(ReadError::BeyondEnd),
                    _ => Err(ReadError::Failed(error)),
                },
            },
        }
    }

    /// Reads a whole file, for lists of files.
    pub(crate) async fn read_whole(&self) -> Result<Bytes, ReadError> {
        let read = async { self.store.get_opts(&self.path, GetOptions::default()).await?.bytes().await };
        read.await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => ReadError::Missing,
            error => ReadError::Failed(error),
        })
    }
}

impl ReadError {
    /// The error for a file that the run cannot do without.
    pub(crate) fn of(self, name: &str) -> CommonCrawlError {
        let source: Box<dyn StdError + Send + Sync> = match self {
            ReadError::Missing => "there is no such file".into(),
            ReadError::BeyondEnd => "the file is empty, or shorter than what lists it says".into(),
            ReadError::Failed(error) => match fault_of(&error) {
                Some(fault) => fault.to_string().into(),
                None => Box::new(error),
            },
        };
        CommonCrawlError::Read { name: name.to_owned(), source }
    }
}

/// A folder, the root of a server, or a bucket.
#[derive(Clone)]
pub(crate) struct Root {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    name: String,
    traffic: Arc<Traffic>,
}

impl Root {
    /// Opens a folder, `http(s)://host/prefix` or `s3://bucket/prefix`.
    pub(crate) fn open(name: &str, client: &RetryingHttpClient) -> Result<Root, CommonCrawlError> {
        let name = name.trim_end_matches('/');
        let failed = |source: Box<dyn StdError + Send + Sync>| CommonCrawlError::Read { name: name.to_owned(), source };
        let no_retries = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        // The client is made by the connector; of these options the store itself reads only one.
        let options = ClientOptions::new().with_allow_http(true);
        let (store, prefix): (Arc<dyn ObjectStore>, Path) = if !is_remote(name) {
            let folder = if name.is_empty() { FsPath::new("/") } else { FsPath::new(name) };
            (Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(|e| failed(Box::new(e)))?), Path::default())
        } else {
            let url = Url::parse(name).map_err(|error| failed(Box::new(error)))?;
            let path = Path::from_url_path(url.path()).map_err(|error| failed(Box::new(error)))?;
            let store: Arc<dyn ObjectStore> = if url.scheme() == "s3" {
                let bucket = url.host_str().ok_or_else(|| failed("an S3 URL is s3://bucket/key".into()))?;
                let built = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_skip_signature(!has_s3_credentials())
                    .with_client_options(options)
                    .with_retry(no_retries)
                    .with_http_connector(client.clone())
                    .build();
                Arc::new(built.map_err(|error| failed(Box::new(error)))?)
            } else {
                let built = HttpBuilder::new()
                    .with_url(&url[..url::Position::BeforePath])
                    .with_client_options(options)
                    .with_retry(no_retries)
                    .with_http_connector(client.clone())
                    .build();
                Arc::new(built.map_err(|error| failed(Box::new(error)))?)
            };
            (store, path)
        };
        Ok(Root { store, prefix, name: name.to_owned(), traffic: client.traffic().clone() })
    }

    /// The file at a relative path; `None` for a path that is invalid or leads out of the root.
    pub(crate) fn file(&self, relative: &str) -> Option<RangedFile> {
        let below = Path::parse(relative).ok().filter(|path| !path.as_ref().is_empty())?;
        let path: Path = self.prefix.parts().chain(below.parts()).collect();
        let name = format!("{}/{relative}", self.name);
        Some(RangedFile { store: self.store.clone(), path, name, traffic: self.traffic.clone() })
    }

    /// The names of all files below it, in order. Not for HTTP.
    pub(crate) async fn list(&self) -> Result<Vec<String>, CommonCrawlError> {
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let listed: Vec<_> = self
            .store
            .list(prefix)
            .try_collect()
            .await
            .map_err(|error| CommonCrawlError::Read { name: self.name.clone(), source: Box::new(error) })?;
        let mut names: Vec<String> = listed
            .into_iter()
            .filter_map(|meta| Some(meta.location.prefix_match(&self.prefix)?.collect::<Path>().to_string()))
            .collect();
        names.sort();
        Ok(names)
    }
}

/// A file named in full: on disk, or by URL.
pub(crate) fn open_file(name: &str, client: &RetryingHttpClient) -> Result<RangedFile, CommonCrawlError> {
    let none = || CommonCrawlError::Read { name: name.to_owned(), source: "this names no file".into() };
    let absolute = if is_remote(name) {
        name.to_owned()
    } else {
        let path = std::path::absolute(name).map_err(|_| none())?;
        path.to_str().ok_or_else(none)?.to_owned()
    };
    let (folder, file) = absolute.rsplit_once('/').ok_or_else(none)?;
    let mut file = Root::open(folder, client)?.file(file).ok_or_else(none)?;
    file.name = name.to_owned();
    Ok(file)
}

/// Whether the environment has what signing S3 requests takes, in the variables of the AWS tools.
fn has_s3_credentials() -> bool {
    ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CommonCrawlSettings;

    fn client() -> RetryingHttpClient {
        let settings =
            CommonCrawlSettings { min_backoff_ms: 500, max_backoff_ms: 3000, ..CommonCrawlSettings::default() };
        RetryingHttpClient::new(&settings).unwrap()
    }

    #[test]
    fn names_lead_below_their_root_or_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path().to_str().unwrap(), &client()).unwrap();
        for name in ["../secret", "a/../../b", "/etc/passwd", "", "a//b", "."] {
            let file = root.file(name).map(|file| file.path);
            assert!(file.is_none() || file == Some(Path::from("etc/passwd")), "{name}: {file:?}");
        }
        let file = root.file("crawl-data/CC-MAIN-2024-10/x.warc.gz").unwrap();
        assert_eq!(file.path.as_ref(), "crawl-data/CC-MAIN-2024-10/x.warc.gz");
    }

    #[test]
    fn prefixes_of_urls_stay() {
        for (root, expected) in [
            ("https://data.commoncrawl.org/", "crawl-data/x"),
            ("https://mirror.example/cc/", "cc/crawl-data/x"),
            ("s3://commoncrawl", "crawl-data/x"),
            ("s3://mine/copy", "copy/crawl-data/x"),
        ] {
            let file = Root::open(root, &client()).unwrap().file("crawl-data/x").unwrap();
            assert_eq!(file.path.as_ref(), expected, "{root}");
        }
    }

    #[tokio::test]
    async fn ranges_of_files_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"0123456789").unwrap();
        let file = open_file(folder.path().join("file").to_str().unwrap(), &client()).unwrap();
        let read = async |range| file.read(range).await;
        assert_eq!(read(GetRange::Bounded(2..5)).await.unwrap(), "234");
        assert_eq!(read(GetRange::Bounded(8..50)).await.unwrap(), "89");
        assert_eq!(read(GetRange::Suffix(3)).await.unwrap(), "789");
        assert_eq!(read(GetRange::Suffix(30)).await.unwrap(), "0123456789");
        assert!(matches!(read(GetRange::Bounded(10..12)).await, Err(ReadError::BeyondEnd)));
        let none = open_file(folder.path().join("none").to_str().unwrap(), &client()).unwrap();
        assert!(matches!(none.read(GetRange::Bounded(0..1)).await, Err(ReadError::Missing)));
    }
}
