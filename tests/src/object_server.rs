//! A small server of object storage, by the protocol of S3, that fails as such servers do.
//!
//! Left out: signatures, versions, several buckets, listings of more than a page.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use xxhash_rust::xxh3::xxh3_64;

/// The name of the one bucket.
pub const BUCKET: &str = "bucket";

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 503, and nothing is done.
    Unavailable,
    /// 503 with the code `SlowDown`.
    SlowDown,
    /// The connection is closed before the request is read.
    Cut,
    /// The connection is closed after half of the body.
    HalfAnUpload,
    /// The request is done, and its answer is lost.
    LostAnswer,
    /// The connection is closed after half of the answer's body.
    HalfAnAnswer,
}

/// All faults, in turn.
pub const FAULTS: [Fault; 6] =
    [Fault::Unavailable, Fault::LostAnswer, Fault::Cut, Fault::HalfAnUpload, Fault::SlowDown, Fault::HalfAnAnswer];

/// Chooses the fault of a request by its number, if it has one.
pub type Faults = fn(u64) -> Option<Fault>;

/// A running server. It goes on until the process ends.
pub struct ObjectServer {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Object>,
    /// The parts of uploads that are under way, by id.
    uploads: BTreeMap<String, Upload>,
    requests: u64,
    faults: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Default)]
struct Object {
    bytes: Vec<u8>,
    metadata: Vec<String>,
}

#[derive(Default)]
struct Upload {
    key: String,
    metadata: Vec<String>,
    parts: BTreeMap<u32, Vec<u8>>,
}

impl Object {
    fn tag(&self) -> String {
        format!("\"{:016x}\"", xxh3_64(&self.bytes))
    }
}

impl ObjectServer {
    /// Starts a server with these faults.
    pub fn start(faults: Faults) -> ObjectServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let held = Arc::new(Mutex::new(Held::default()));
        let shared = held.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let held = shared.clone();
                thread::spawn(move || {
                    let _ = serve(&stream, &held, faults);
                });
            }
        });
        ObjectServer { address, held }
    }

    /// The environment in which commands find the server.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&format!("http://{}", self.address))
    }

    /// All objects whose keys begin so, without that beginning.
    pub fn objects(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let held = self.held.lock().unwrap();
        let below = held.objects.iter().filter_map(|(key, object)| Some((key.strip_prefix(prefix)?, object)));
        below.map(|(key, object)| (key.to_owned(), object.bytes.clone())).collect()
    }

    /// Puts an object, past all faults.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let object = Object { bytes: bytes.to_vec(), metadata: Vec::new() };
        self.held.lock().unwrap().objects.insert(key.to_owned(), object);
    }

    /// The number of requests so far.
    pub fn requests(&self) -> u64 {
        self.held.lock().unwrap().requests
    }

    /// Uploads that were begun, and neither finished nor given up by the client, which was told of them.
    pub fn open_uploads(&self) -> usize {
        self.held.lock().unwrap().uploads.len()
    }

    /// How often each fault occurred.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.held.lock().unwrap().faults.clone()
    }
}

/// The environment variables for an endpoint that checks no signature.
pub fn environment(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", "key".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
}

struct Request {
    method: String,
    key: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
}

fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into() }
}

fn serve(stream: &TcpStream, held: &Mutex<Held>, faults: Faults) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let fault = {
            let mut held = held.lock().unwrap();
            held.requests += 1;
            faults(held.requests)
        };
        let Some(request) = read_request(&mut reader, &first, fault)? else {
            count(held, fault);
            return Ok(());
        };
        let found = match fault {
            Some(Fault::Unavailable) => answer(503, ""),
            Some(Fault::SlowDown) => answer(503, "<Error><Code>SlowDown</Code></Error>"),
            _ => held.lock().unwrap().answer(&request),
        };
        let is_cut = fault == Some(Fault::HalfAnAnswer) && found.body.len() > 1 && request.method == "GET";
        if fault == Some(Fault::LostAnswer) {
            count(held, fault);
            held.lock().unwrap().forget_begun(&found);
            return Ok(());
        }
        if is_cut || found.status == 503 {
            count(held, fault);
        }
        write_answer(stream, &request, &found, is_cut)?;
        if is_cut {
            return Ok(());
        }
    }
}

fn count(held: &Mutex<Held>, fault: Option<Fault>) {
    let name = match fault {
        Some(Fault::Unavailable) => "unavailable",
        Some(Fault::SlowDown) => "slow down",
        Some(Fault::Cut) => "cut",
        Some(Fault::HalfAnUpload) => "half an upload",
        Some(Fault::LostAnswer) => "lost answer",
        Some(Fault::HalfAnAnswer) => "half an answer",
        None => return,
    };
    *held.lock().unwrap().faults.entry(name).or_default() += 1;
}

/// The request that begins with this line; `None` where the connection is cut.
fn read_request(reader: &mut impl BufRead, first: &str, fault: Option<Fault>) -> std::io::Result<Option<Request>> {
    if fault == Some(Fault::Cut) {
        return Ok(None);
    }
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let len = headers.get("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    if fault == Some(Fault::HalfAnUpload) && len > 1 {
        let mut half = vec![0; len / 2];
        reader.read_exact(&mut half)?;
        return Ok(None);
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = path.trim_start_matches('/').strip_prefix(BUCKET).unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pair =
        |pair: &str| pair.split_once('=').map_or((pair.to_owned(), String::new()), |(a, b)| (a.to_owned(), plain(b)));
    let (key, query) = (plain(path.trim_start_matches('/')), pairs.map(pair).collect());
    Ok(Some(Request { method, key, query, headers, body }))
}

/// Undoes percent-encoding.
fn plain(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
            plain.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap_or("20"), 16).unwrap_or(b' '));
        } else {
            plain.push(byte);
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn write_answer(mut stream: &TcpStream, request: &Request, found: &Answer, is_cut: bool) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\n", found.status);
    let has_length = found.headers.iter().any(|header| header.starts_with("Content-Length"));
    if !has_length {
        head += &format!("Content-Length: {}\r\n", found.body.len());
    }
    found.headers.iter().for_each(|header| head += &format!("{header}\r\n"));
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&found.body[..if is_cut { found.body.len() / 2 } else { found.body.len() }])?;
    }
    stream.flush()
}

impl Held {
    fn answer(&mut self, request: &Request) -> Answer {
        let has = |name: &str| request.query.contains_key(name);
        match request.method.as_str() {
            "GET" if request.key.is_empty() => self.list(&request.query),
            "GET" | "HEAD" => self.read(request),
            "PUT" if has("partNumber") => self.put_part(request),
            "PUT" => self.put(request),
            "POST" if has("delete") => self.delete_many(&request.body),
            "POST" if has("uploads") => self.begin(request),
            "POST" => self.complete(request),
            "DELETE" if has("uploadId") => {
                self.uploads.remove(&request.query["uploadId"]);
                answer(204, "")
            }
            "DELETE" => {
                self.objects.remove(&request.key);
                answer(204, "")
            }
            _ => answer(405, ""),
        }
    }

    fn read(&self, request: &Request) -> Answer {
        let Some(object) = self.objects.get(&request.key) else { return answer(404, "") };
        if request.headers.get("if-match").is_some_and(|tag| *tag != object.tag()) {
            return answer(412, "");
        }
        let len = object.bytes.len();
        let mut headers =
            vec![format!("ETag: {}", object.tag()), "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT".to_owned()];
        headers.extend(object.metadata.iter().cloned());
        if request.method == "HEAD" {
            headers.push(format!("Content-Length: {len}"));
            return Answer { status: 200, headers, body: Vec::new() };
        }
        let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let Some((from, to)) = range else { return Answer { status: 200, headers, body: object.bytes.clone() } };
        let from: usize = from.parse().unwrap_or(0);
        let end = to.parse::<usize>().map_or(len, |last| last + 1).min(len);
        if from >= end {
            return answer(416, "");
        }
        headers.push(format!("Content-Range: bytes {from}-{}/{len}", end - 1));
        Answer { status: 206, headers, body: object.bytes[from..end].to_vec() }
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        let prefix = query.get("prefix").cloned().unwrap_or_default();
        let found = self.objects.iter().filter(|(key, _)| key.starts_with(&prefix));
        let rows: String = found
            .map(|(key, object)| {
                let key = key.replace('&', "&amp;").replace('<', "&lt;");
                let (len, tag) = (object.bytes.len(), object.tag().replace('"', "&quot;"));
                format!("<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{tag}</ETag><Size>{len}</Size></Contents>")
            })
            .collect();
        answer(200, format!("<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"))
    }

    fn put(&mut self, request: &Request) -> Answer {
        let there = self.objects.get(&request.key);
        if request.headers.contains_key("if-none-match") && there.is_some() {
            return answer(412, "");
        }
        if let Some(tag) = request.headers.get("if-match")
            && there.is_none_or(|there| there.tag() != *tag)
        {
            return answer(if there.is_none() { 404 } else { 412 }, "");
        }
        self.keep(&request.key, Object { bytes: request.body.clone(), metadata: metadata(request) })
    }

    fn keep(&mut self, key: &str, object: Object) -> Answer {
        let headers = vec![format!("ETag: {}", object.tag())];
        self.objects.insert(key.to_owned(), object);
        Answer { status: 200, headers, body: Vec::new() }
    }

    /// Forgets the upload that this answer names, if it names one: a client that was not told its id cannot end it.
    fn forget_begun(&mut self, answer: &Answer) {
        let body = String::from_utf8_lossy(&answer.body);
        self.uploads.retain(|id, _| !body.contains(&format!("<UploadId>{id}</UploadId>")));
    }

    fn begin(&mut self, request: &Request) -> Answer {
        let id = format!("upload-{}", self.requests);
        let upload = Upload { key: request.key.clone(), metadata: metadata(request), parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), upload);
        let (key, bucket) = (&request.key, BUCKET);
        answer(
            200,
            format!(
                "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ),
        )
    }

    fn put_part(&mut self, request: &Request) -> Answer {
        let Some(upload) = self.uploads.get_mut(&request.query["uploadId"]) else { return answer(404, NO_UPLOAD) };
        let number = request.query["partNumber"].parse().unwrap_or(0);
        let part = Object { bytes: request.body.clone(), metadata: Vec::new() };
        let headers = vec![format!("ETag: {}", part.tag())];
        upload.parts.insert(number, part.bytes);
        Answer { status: 200, headers, body: Vec::new() }
    }

    fn complete(&mut self, request: &Request) -> Answer {
        let id = request.query.get("uploadId").cloned().unwrap_or_default();
        let Some(upload) = self.uploads.remove(&id) else { return answer(404, NO_UPLOAD) };
        let object = Object { bytes: upload.parts.into_values().flatten().collect(), metadata: upload.metadata };
        let tag = object.tag().replace('"', "&quot;");
        let kept = self.keep(&upload.key, object);
        let body = format!("<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>");
        Answer { body: body.into_bytes(), ..kept }
    }

    fn delete_many(&mut self, body: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(body).into_owned();
        let mut rows = String::new();
        for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
            self.objects.remove(&key.replace("&amp;", "&"));
            rows += &format!("<Deleted><Key>{key}</Key></Deleted>");
        }
        answer(200, format!("<DeleteResult>{rows}</DeleteResult>"))
    }
}

const NO_UPLOAD: &str = "<Error><Code>NoSuchUpload</Code><Message>it was finished or given up</Message></Error>";

/// The headers of an object's own metadata.
fn metadata(request: &Request) -> Vec<String> {
    let own = request.headers.iter().filter(|(name, _)| name.starts_with("x-amz-meta-"));
    own.map(|(name, value)| format!("{name}: {value}")).collect()
}
