//! `webtext fetch --from common-crawl` against an index and archives in Common Crawl's layout, on disk and behind
//! nginx.
//!
//! Tests that need a server skip with a printed reason where there is no nginx.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int16Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use records::{Link, Outcome, Reason};
use store::table::{TableReader, TableWriter};
use webtext_tests::web::gzip;
use webtext_tests::{binary, check, link_of, peers, stderr, write_table};

const CRAWL: &str = "CC-MAIN-2024-10";
/// Milliseconds since 1970 at which the crawl of the tests begins.
const BEGIN_MS: i64 = 1_708_000_000_000;
/// Pages beside the special ones.
const PAGES: usize = 120;

/// A row of the index.
#[derive(Clone)]
struct Row {
    url: String,
    fetched_ms: i64,
    status: i16,
    mime: &'static str,
    truncated: Option<&'static str>,
    archive: String,
    offset: i32,
    len: i32,
}

/// Common Crawl's key, which is not ours: it lowers the case of all.
fn surt(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1.to_lowercase();
    let (host, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let host = host.strip_prefix("www.").unwrap_or(host);
    let labels: Vec<&str> = host.rsplit('.').collect();
    format!("{})/{path}", labels.join(","))
}

/// What lies below the root of a Common Crawl server.
struct World {
    data: PathBuf,
    links: Vec<(String, Option<i64>)>,
    /// For each link by its URL: why there is no page, or the URL of the capture.
    expected: BTreeMap<String, Result<String, Reason>>,
    rows: Vec<Row>,
    archives: Vec<Vec<u8>>,
}

impl World {
    fn archive_name(number: usize) -> String {
        format!(
            "crawl-data/{CRAWL}/segments/1707947473347.0/warc/CC-MAIN-20240220211055-20240221001055-{number:05}.warc.gz"
        )
    }

    fn folder_of_index(&self) -> PathBuf {
        self.data.join(format!("cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc"))
    }

    /// Puts a capture into an archive: request, response and metadata, a member each, as the crawler does.
    fn capture(&mut self, url: &str, after_s: i64, archive: usize) -> &mut Row {
        let body = format!(
            "<!doctype html><title>Page</title><p>This is what stood at {url} when the crawler came by, {after_s} seconds after it began.</p>{}",
            "<p>The ferry leaves at noon and comes back before dark, in every weather but fog.</p>"
                .repeat(1 + url.len() % 7)
        );
        let http = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{body}");
        let record = |kind: &str, block: &str| {
            format!(
                "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Date: 2024-02-20T21:10:55Z\r\nWARC-Record-ID: <urn:uuid:{kind}>\r\nContent-Length: {}\r\nContent-Type: application/http; msgtype={kind}\r\nWARC-Target-URI: {url}\r\n\r\n{block}\r\n\r\n",
                block.len()
            )
        };
        let file = &mut self.archives[archive];
        file.extend(gzip(record("request", "GET / HTTP/1.1\r\n\r\n").as_bytes()));
        let offset = file.len() as i32;
        file.extend(gzip(record("response", &http).as_bytes()));
        let len = file.len() as i32 - offset;
        file.extend(gzip(record("metadata", "fetchTimeMs: 12\r\n").as_bytes()));
        self.rows.push(Row {
            url: url.to_owned(),
            fetched_ms: BEGIN_MS + after_s * 1000,
            status: 200,
            mime: "text/html",
            truncated: None,
            archive: World::archive_name(archive),
            offset,
            len,
        });
        self.rows.last_mut().unwrap()
    }

    fn link(&mut self, url: &str, after_s: Option<i64>, expected: Result<&str, Reason>) {
        self.links.push((url.to_owned(), after_s.map(|after_s| BEGIN_MS / 1000 + after_s)));
        let url = links::Canonical::parse(url).unwrap().url;
        self.expected.insert(url, expected.map(str::to_owned));
    }

    fn make(data: &Path) -> World {
        let warcinfo = gzip(b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n");
        let mut world = World {
            data: data.to_path_buf(),
            links: Vec::new(),
            expected: BTreeMap::new(),
            rows: Vec::new(),
            archives: vec![warcinfo; 6],
        };
        for n in 0..PAGES {
            let url = format!("https://host{}.example.com/page/{n}", n % 17);
            world.capture(&url, n as i64, n % 4);
            world.link(&url, Some(0), Ok(&url));
        }
        // Pages of the same hosts that no link asks for.
        for n in 0..PAGES {
            world.capture(&format!("https://host{}.example.com/other/{n}", n % 17), 0, n % 4);
            world.capture(&format!("https://elsewhere{n}.example.net/"), 0, n % 4);
        }
        // The same page in other words; the index has another key for it.
        world.capture("https://WWW.Example.org/Some/Path/?b=2&a=1&utm_source=x#top", 5, 0);
        world.link(
            "http://example.org/Some/Path?a=1&b=2",
            None,
            Ok("https://WWW.Example.org/Some/Path/?b=2&a=1&utm_source=x#top"),
        );
        // Another page under the same key of the index.
        world.capture("https://example.org/some/path?a=1&b=2", 5, 1);
        // Captures at several times.
        for (name, created, url) in [
            ("early", Some(-50), "http://early.example/"),
            ("late", Some(900_000), "https://www.late.example/"),
            ("middle", Some(420_000), "https://middle.example/"),
            ("undated", None, "http://undated.example/"),
        ] {
            world.capture(&format!("http://{name}.example/"), 0, 0);
            world.capture(&format!("https://{name}.example/"), 400_000, 1);
            world.capture(&format!("https://www.{name}.example/"), 800_000, 2);
            world.link(&format!("http://{name}.example/"), created, Ok(url));
        }
        // A capture that was cut counts only where there is no whole one.
        world.capture("http://cut.example/", 100, 0).truncated = Some("length");
        world.capture("http://cut.example/?sid=0123456789abcdef0123456789abcdef", 500_000, 1);
        world.link("http://cut.example/", Some(100), Ok("http://cut.example/?sid=0123456789abcdef0123456789abcdef"));
        world.capture("http://onlycut.example/", 100, 0).truncated = Some("length");
        world.link("http://onlycut.example/", None, Ok("http://onlycut.example/"));
        // What there is no page of.
        world.link("http://never.example.com/", None, Err(Reason::NotCaptured));
        world.link("http://host1.example.com/never", None, Err(Reason::NotCaptured));
        world.capture("http://gone.example/", 0, 0).status = 404;
        world.link("http://gone.example/", None, Err(Reason::HttpStatus));
        world.capture("http://paper.example/x", 0, 0).mime = "application/pdf";
        world.link("http://paper.example/x", None, Err(Reason::NotHtml));
        // Rows that name what no archive has.
        world.capture("http://escape.example/", 0, 0).archive = "../../etc/passwd".into();
        world.link("http://escape.example/", None, Err(Reason::MalformedPage));
        world.capture("http://negative.example/", 0, 0).offset = -1;
        world.link("http://negative.example/", None, Err(Reason::NotCaptured));
        world.capture("http://lost.example/", 0, 0).archive = World::archive_name(99);
        world.link("http://lost.example/", None, Err(Reason::HttpFault));
        // A range that holds another record, and one that holds none.
        let other = world.capture("http://other.example/a", 0, 0).clone();
        let row = world.capture("http://other.example/b", 0, 0);
        (row.offset, row.len) = (other.offset, other.len);
        world.link("http://other.example/b", None, Err(Reason::MalformedPage));
        let row = world.capture("http://half.example/", 0, 1);
        row.offset += 7;
        world.link("http://half.example/", None, Err(Reason::MalformedPage));
        // A damaged member, an archive that breaks off inside a member, and one that ends before it.
        let row = world.capture("http://damaged.example/", 0, 3).clone();
        let middle = (row.offset + row.len / 2) as usize;
        world.archives[3][middle] ^= 0x55;
        world.link("http://damaged.example/", None, Err(Reason::MalformedPage));
        world.capture("http://whole.example/", 0, 4);
        world.link("http://whole.example/", None, Ok("http://whole.example/"));
        let row = world.capture("http://torn.example/", 0, 4).clone();
        world.archives[4].truncate((row.offset + row.len / 2) as usize);
        world.link("http://torn.example/", None, Err(Reason::MalformedPage));
        let row = world.capture("http://beyond.example/", 0, 5).clone();
        world.archives[5].truncate(row.offset as usize - 10);
        world.link("http://beyond.example/", None, Err(Reason::MalformedPage));

        for (number, bytes) in world.archives.iter().enumerate() {
            let path = data.join(World::archive_name(number));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        world.rows.sort_by_cached_key(|row| (surt(&row.url), row.fetched_ms));
        // Every third row in a file: ranges of keys overlap, as they do between crawls.
        for part in 0..3 {
            let rows: Vec<Row> = world.rows.iter().skip(part).step_by(3).cloned().collect();
            let path = world.folder_of_index().join(format!("part-{part:05}-0a1b.c000.gz.parquet"));
            write_index(&path, &rows, None);
        }
        // What is no page has a folder of its own, and is not read.
        let robots = world.folder_of_index().with_file_name("subset=robotstxt").join("part-00000.gz.parquet");
        fs::create_dir_all(robots.parent().unwrap()).unwrap();
        fs::write(robots, "no Parquet").unwrap();
        let mut paths = String::new();
        for subset in ["robotstxt", "warc"] {
            for part in 0..3 {
                paths += &format!(
                    "cc-index/table/cc-main/warc/crawl={CRAWL}/subset={subset}/part-{part:05}-0a1b.c000.gz.parquet\n"
                );
            }
        }
        fs::write(data.join(format!("crawl-data/{CRAWL}/cc-index-table.paths.gz")), gzip(paths.as_bytes())).unwrap();
        write_links(&data.join("links.parquet"), &world.links);
        world
    }
}

/// A part of the index with the real columns and types, but for those that nothing reads.
fn write_index(path: &Path, rows: &[Row], without: Option<&str>) {
    let text = |of: &dyn Fn(&Row) -> Option<String>| Arc::new(StringArray::from_iter(rows.iter().map(of))) as ArrayRef;
    let host = |row: &Row| row.url.split('/').nth(2).unwrap().to_lowercase();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("url_surtkey", text(&|row| Some(surt(&row.url)))),
        ("url", text(&|row| Some(row.url.clone()))),
        ("url_host_name", text(&|row| Some(host(row)))),
        ("url_host_registered_domain", text(&|_| Some("example.com".into()))),
        (
            "fetch_time",
            Arc::new(
                TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.fetched_ms)).with_timezone("UTC"),
            ),
        ),
        ("fetch_status", Arc::new(Int16Array::from_iter_values(rows.iter().map(|row| row.status)))),
        ("content_digest", text(&|_| Some("CH7IV3XAD3M7A42JARKRLJ3T5PGGCGXD".into()))),
        ("content_mime_type", text(&|_| Some("text/html".into()))),
        ("content_mime_detected", text(&|row| Some(row.mime.into()))),
        ("content_truncated", text(&|row| row.truncated.map(str::to_owned))),
        ("warc_filename", text(&|row| Some(row.archive.clone()))),
        ("warc_record_offset", Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.offset)))),
        ("warc_record_length", Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.len)))),
        ("warc_segment", text(&|_| Some("1707947473347.0".into()))),
    ];
    let columns = columns.into_iter().filter(|(name, _)| Some(*name) != without);
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(Default::default()))
        .set_max_row_group_row_count(Some(40))
        .set_data_page_row_count_limit(10)
        .set_write_batch_size(5)
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn write_links(path: &Path, links: &[(String, Option<i64>)]) {
    let links = links.iter().enumerate();
    let mut rows: Vec<Link> =
        links.map(|(number, (url, created_utc))| Link { created_utc: *created_utc, ..link_of(url, number) }).collect();
    // A link that was dropped is not looked for.
    rows.push(Link {
        key: "com,example,host0)/other/0".into(),
        domain: "example.com".into(),
        url: "https://host0.example.com/other/0".into(),
        verdict: Some(Reason::LowKarma),
        ..rows[0].clone()
    });
    rows.sort_by(|a, b| (&a.domain, &a.key).cmp(&(&b.domain, &b.key)));
    write_table(path, rows);
}

/// nginx on a port of its own, with all its files in a folder of the test.
struct Nginx {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Nginx {
    fn start(test: &str, data: &Path, folder: &Path) -> Option<Nginx> {
        let program = ["/usr/sbin/nginx", "nginx"].into_iter().find(|name| {
            Command::new(name).arg("-v").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        });
        let Some(program) = program else {
            webtext_tests::skip(test, "there is no nginx here");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (data, dir) = (data.display(), folder.display());
        // `busy` answers most requests of a burst with 503; `slow` makes them wait for their turn.
        let config = format!(
            r#"daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 64; }}
http {{
  log_format requests '$status "$request" $http_range "$http_user_agent"';
  access_log {dir}/access.log requests;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  limit_req_zone $binary_remote_addr zone=busy:1m rate=40r/s;
  limit_req_zone $binary_remote_addr zone=slow:1m rate=60r/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {data}; }}
    location /bucket/ {{ alias {data}/; }}
    location /busy/ {{ alias {data}/; limit_req zone=busy burst=4 nodelay; error_page 503 = @busy; }}
    location @busy {{ add_header Retry-After 0 always; return 503 "SlowDown"; }}
    location /slow/ {{ alias {data}/; limit_req zone=slow burst=1000; }}
    location /forbidden/ {{ return 403; }}
    location /ill/ {{ return 500; }}
    location /whole/ {{ alias {data}/; max_ranges 0; }}
  }}
}}
"#
        );
        let path = folder.join("nginx.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(program);
        let child =
            command.arg("-p").arg(folder).arg("-c").arg(&path).arg("-e").arg(folder.join("error.log")).spawn().unwrap();
        let nginx = Nginx { child, port, log: folder.join("access.log") };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let error = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(20), "nginx does not start: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `webtext fetch --from common-crawl` with small archives.
fn fetch(links: &Path, out: &Path, data: &str, index: &[&str]) -> Command {
    let mut command = Command::new(binary("webtext"));
    command.arg("fetch").arg(links).arg("-o").arg(out).args(["--from", "common-crawl", "--data", data, "--index"]);
    command.args(index).args(["--contact", "test@example.org", "--max-warc-bytes", "8000", "--min-backoff-ms", "20"]);
    command
}

fn outcomes(out: &Path) -> Vec<Outcome> {
    TableReader::<Outcome>::open(&out.join("outcomes.parquet")).unwrap().map(|row| row.unwrap()).collect()
}

/// The files that a run is for: archives and outcomes.
fn results(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(out).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap())).collect()
}

fn assert_same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in a {
        assert!(b[name] == *bytes, "{name} differs");
    }
}

/// The run on disk, which all others are compared with.
fn on_disk(world: &World, out: &Path) -> BTreeMap<String, Vec<u8>> {
    let data = world.data.to_str().unwrap();
    let index = world.folder_of_index();
    check(&mut fetch(&world.data.join("links.parquet"), out, data, &[index.to_str().unwrap()]), 0);
    results(out)
}

#[test]
fn each_link_gets_its_page_or_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::make(&folder.path().join("data"));
    let out = folder.path().join("out");
    let files = on_disk(&world, &out);
    let found = outcomes(&out);
    assert_eq!(found.len(), world.links.len());
    assert!(found.is_sorted_by_key(|row| (row.domain.clone(), row.key.clone())));
    let mut members: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &found {
        let expected = &world.expected[&row.url];
        match expected {
            Err(reason) => assert_eq!((row.verdict, row.warc.as_ref()), (Some(*reason), None), "{}", row.url),
            Ok(url) => {
                assert_eq!((row.verdict, row.final_url.as_ref()), (None, Some(url)), "{}: {:?}", row.url, row.detail);
                // The member is that of the archive, byte for byte.
                let candidates = world.rows.iter().filter(|r| r.url == *url && r.status == 200);
                let capture = candidates.min_by_key(|row| row.fetched_ms).unwrap();
                let archive = fs::read(world.data.join(&capture.archive)).unwrap();
                let member = &archive[capture.offset as usize..(capture.offset + capture.len) as usize];
                let name = row.warc.as_deref().unwrap();
                let at = row.offset.unwrap() as usize;
                assert_eq!(&files[name][at..at + member.len()], member, "{}", row.url);
                *members.entry(files.get_key_value(name).unwrap().0).or_default() += 1;
            }
        }
    }
    // Nothing but a warcinfo and these members is in the archives.
    assert!(members.len() > 3, "there should be several archives: {members:?}");
    for (name, n) in &members {
        let mut plain = String::new();
        flate2::bufread::MultiGzDecoder::new(&files[*name][..]).read_to_string(&mut plain).unwrap();
        assert!(plain.starts_with("WARC/1.1\r\nWARC-Type: warcinfo"), "{name}");
        assert_eq!(plain.matches("WARC-Type: ").count() as u64, n + 1, "{name}");
    }
    assert_eq!(files.keys().filter(|name| name.ends_with(".warc.gz")).count(), members.len());
    assert!(files.keys().all(|name| !name.ends_with(".open")));
    let text = check(Command::new(binary("webtext")).arg("extract").arg(out.join("pages-00000.warc.gz")), 0);
    assert!(String::from_utf8_lossy(&text.stdout).contains("This is what stood at"));

    // Other readers find the archives sound.
    if let Some(python) = peers("the archives of each_link_gets_its_page_or_a_reason", &["warcio", "fastwarc"]) {
        // warcio ends the process by itself, with 0 when all digests fit.
        let code = "import sys\nfrom warcio.cli import main\ntry:\n main(['check', sys.argv[1]])\n\
            except SystemExit as end:\n assert not end.code\n\
            from fastwarc.warc import ArchiveIterator\nprint(len(list(ArchiveIterator(open(sys.argv[1], 'rb')))))";
        for (name, n) in &members {
            let output = check(Command::new(&python).args(["-c", code]).arg(out.join(name)), 0);
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), (n + 1).to_string(), "{name}");
        }
    }

    // A second call finds all done and writes the same.
    assert_same(&files, &on_disk(&world, &out));
    // The numbers of requests and of threads change nothing.
    let data = world.data.to_str().unwrap();
    let parts: Vec<String> =
        (0..3).map(|n| format!("{}/part-{n:05}-0a1b.c000.gz.parquet", world.folder_of_index().display())).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let other = folder.path().join("other");
    let mut command = fetch(&world.data.join("links.parquet"), &other, data, &parts);
    check(
        command.args(["--max-concurrent-requests", "1", "--max-concurrent-index-files", "3", "--max-gap-bytes", "0"]),
        0,
    );
    assert_same(&files, &results(&other));
}

#[test]
fn a_server_gives_the_same_bytes_as_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::make(&folder.path().join("data"));
    let Some(nginx) = Nginx::start("a_server_gives_the_same_bytes_as_a_disk", &world.data, folder.path()) else {
        return;
    };
    let expected = on_disk(&world, &folder.path().join("disk"));
    let links = world.data.join("links.parquet");
    let list = nginx.url(&format!("crawl-data/{CRAWL}/cc-index-table.paths.gz"));

    let out = folder.path().join("http");
    let plan = check(fetch(&links, &out, &nginx.url(""), &[&list]).args(["--plan", "--json"]), 0);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let with_page = world.expected.values().filter(|expected| expected.is_ok()).count() as u64;
    assert_eq!(plan["links"], world.links.len());
    assert!(plan["counts"]["kept"].as_u64().unwrap() >= with_page, "{plan}");
    assert!(plan["requests"].as_u64().unwrap() < 40, "neighbours are coalesced: {plan}");
    assert!(plan["index"]["row_groups_read"].as_u64() < plan["index"]["row_groups"].as_u64(), "{plan}");
    assert!(plan["index"]["rows_read"].as_u64() < plan["index"]["rows"].as_u64(), "{plan}");
    assert!(!nginx.log().contains("/segments/"), "no archive is asked for before the plan is carried out");
    let before = nginx.log().len();
    check(&mut fetch(&links, &out, &nginx.url(""), &[&list]), 0);
    assert_same(&expected, &results(&out));
    let log = nginx.log();
    assert!(!log[before..].contains(".parquet"), "the plan is taken up: {}", &log[before..]);
    assert!(log.lines().all(|line| line.contains("(+test@example.org)")), "{log}");

    // A burst that the server refuses: each request is tried again, and all of it arrives.
    let out = folder.path().join("busy");
    let mut command = fetch(
        &links,
        &out,
        &nginx.url("busy"),
        &[&nginx.url(&format!("busy/crawl-data/{CRAWL}/cc-index-table.paths.gz"))],
    );
    check(command.args(["--max-gap-bytes", "0", "--max-request-bytes", "1", "--max-tries", "30"]), 0);
    assert_same(&expected, &results(&out));
    assert!(nginx.log().lines().filter(|line| line.starts_with("503")).count() > 5, "{}", nginx.log());

    // S3's form of requests, unsigned.
    let out = folder.path().join("s3");
    let parts: Vec<String> = (0..3)
        .map(|n| {
            format!(
                "s3://bucket/cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-{n:05}-0a1b.c000.gz.parquet"
            )
        })
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    check(fetch(&links, &out, "s3://bucket", &parts).env("AWS_ENDPOINT", nginx.url("").trim_end_matches('/')), 0);
    assert_same(&expected, &results(&out));
}

#[test]
fn kills_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::make(&folder.path().join("data"));
    let Some(nginx) = Nginx::start("kills_lose_and_double_nothing", &world.data, folder.path()) else { return };
    let expected = on_disk(&world, &folder.path().join("disk"));
    let links = world.data.join("links.parquet");
    let out = folder.path().join("out");
    let list = nginx.url(&format!("slow/crawl-data/{CRAWL}/cc-index-table.paths.gz"));
    let command = || {
        let mut command = fetch(&links, &out, &nginx.url("slow"), &[&list]);
        command.args(["--max-gap-bytes", "0", "--max-request-bytes", "1"]);
        command
    };
    // One kill while the index is read, and then each time the journal has grown.
    let journal = out.join("common-crawl/pages/journal");
    let mut kills = 0;
    let mut last = 0;
    loop {
        let mut child = command().stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            let len = fs::metadata(&journal).map_or(0, |found| found.len());
            if len > last + 8 || (kills == 0 && begun.elapsed() > Duration::from_millis(150)) {
                last = len;
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        match ended {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => kills += 1,
        }
        assert!(kills < 60);
        // Archives that have their name are whole at any time.
        for (name, bytes) in results(&out).iter().filter(|(name, _)| name.ends_with(".warc.gz")) {
            assert!(expected[name] == *bytes, "{name} after {kills} kills");
        }
    }
    assert!(kills > 3, "{kills} kills");
    assert_same(&expected, &results(&out));
    let asked = nginx.log().lines().filter(|line| line.contains("/segments/")).count();
    let captures = world.links.len();
    assert!(asked <= captures + kills * 40, "{asked} requests for {captures} captures and {kills} kills");
}

#[test]
fn what_cannot_go_on_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::make(&folder.path().join("data"));
    let data = world.data.to_str().unwrap();
    let links = world.data.join("links.parquet");
    let index = world.folder_of_index();
    let index = index.to_str().unwrap();
    let refused = |command: &mut Command, code: i32, text: &str| {
        let output = check(command, code);
        assert!(stderr(&output).contains(text), "{}", stderr(&output));
    };
    let out = folder.path().join("out");

    // An index without a column names it and the file.
    for column in ["url_surtkey", "url", "fetch_time", "fetch_status", "warc_filename", "warc_record_offset"] {
        let path = folder.path().join(format!("without-{column}.parquet"));
        write_index(&path, &world.rows, Some(column));
        let text = format!("without-{column}.parquet is no index of captures: the column {column} is missing");
        refused(&mut fetch(&links, &folder.path().join(column), data, &[path.to_str().unwrap()]), 1, &text);
    }
    // Columns that older crawls lack may be missing.
    let path = folder.path().join("older.parquet");
    write_index(&path, &world.rows, Some("content_truncated"));
    check(&mut fetch(&links, &folder.path().join("older"), data, &[path.to_str().unwrap()]), 0);

    let not_parquet = folder.path().join("text.parquet");
    fs::write(&not_parquet, "no Parquet at all").unwrap();
    let not_parquet = not_parquet.to_str().unwrap();
    refused(&mut fetch(&links, &out, data, &[not_parquet]), 1, "text.parquet is no index of captures");
    let out = folder.path().join("out2");
    refused(
        &mut fetch(&links, &out, data, &["/nowhere.parquet"]),
        1,
        "cannot read /nowhere.parquet: there is no such file",
    );
    let out = folder.path().join("out3");
    refused(fetch(&links, &out, data, &[data.rsplit_once('/').unwrap().0]).arg("--plan"), 1, "is no index");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    let out = folder.path().join("out4");
    refused(&mut fetch(&links, &out, data, &[empty]), 1, "it names no Parquet file");
    let out = folder.path().join("out5");
    refused(&mut fetch(&links, &out, empty, &[index]), 1, "hint: is --data the root that the index means?");

    // A folder serves one run.
    let out = folder.path().join("out6");
    check(&mut fetch(&links, &out, data, &[index]), 0);
    refused(&mut fetch(&links, &out, data, &[path.to_str().unwrap()]), 1, "was begun with another index");
    let fewer = folder.path().join("fewer.parquet");
    write_links(&fewer, &world.links[1..]);
    refused(&mut fetch(&fewer, &out, data, &[index]), 1, "was begun with other links");

    // Whom a server should write to must be known, also when only a part comes from one.
    let mut command = Command::new(binary("webtext"));
    command.arg("fetch").arg(&links).arg("-o").arg(&out).args(["--from", "common-crawl", "--index", index]);
    refused(&mut command, 2, "neither a mail address nor a web page");
    refused(command.args(["--contact", "nobody"]), 2, "neither a mail address nor a web page");
    let mut command = Command::new(binary("webtext"));
    command.arg("fetch").arg(&links).arg("-o").arg(&out).args(["--from", "common-crawl"]);
    refused(&mut command, 2, "--index");

    let Some(nginx) = Nginx::start("what_cannot_go_on_says_why", &world.data, folder.path()) else { return };
    let out = folder.path().join("out7");
    let forbidden = nginx.url("forbidden/a.parquet");
    refused(&mut fetch(&links, &out, data, &[&forbidden]), 1, "the server answers with status 403");
    let out = folder.path().join("out8");
    let ill = nginx.url("ill");
    refused(fetch(&links, &out, &ill, &[index]).args(["--max-tries", "3"]), 1, "status 500, 3 times");
    // The plan stands; with the right root the run goes on.
    refused(fetch(&links, &out, &nginx.url("whole"), &[index]).args(["--max-tries", "3"]), 1, "cannot read");
    check(&mut fetch(&links, &out, &nginx.url(""), &[index]), 0);
    assert_same(&results(&folder.path().join("out6")), &results(&out));
    refused(
        &mut fetch(&links, &folder.path().join("out9"), data, &[&nginx.url("cc-index/")]),
        1,
        "do not list folders",
    );
}

/// Rows per second and memory of the join, on an index as large as `WEBTEXT_INDEX_ROWS` says (default 3 million).
///
/// `cargo test --release -p webtext-tests common_crawl::measurement_of_a_large_index -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn measurement_of_a_large_index() {
    const PAGES_OF_HOST: usize = 30;
    const FILES: usize = 3;
    let n_rows: usize = std::env::var("WEBTEXT_INDEX_ROWS").map_or(3_000_000, |rows| rows.parse().unwrap());
    let hosts = n_rows / PAGES_OF_HOST;
    let folder = tempfile::tempdir().unwrap();
    let url = |host: usize, page: usize| {
        format!("https://www.h{host:08}.com/articles/2016/03/what-happened-on-day-{page}-of-the-long-journey.html")
    };
    // Every third host is wanted: its even pages, and as many that were never captured.
    let links = folder.path().join("links.parquet");
    let mut table = TableWriter::create(&links).unwrap();
    let mut n_links = 0;
    for host in (0..hosts).step_by(3) {
        let pages = (0..PAGES_OF_HOST).step_by(2).chain(PAGES_OF_HOST..PAGES_OF_HOST + PAGES_OF_HOST / 2);
        let created_utc = Some(BEGIN_MS / 1000);
        let mut rows: Vec<Link> =
            pages.map(|page| Link { created_utc, source: String::new(), ..link_of(&url(host, page), page) }).collect();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        for link in rows {
            n_links += 1;
            table.push(link).unwrap();
        }
    }
    table.finish().unwrap();
    let index = folder.path().join("index/subset=warc");
    fs::create_dir_all(&index).unwrap();
    for file in 0..FILES {
        let path = index.join(format!("part-{file:05}.gz.parquet"));
        let properties = WriterProperties::builder()
            .set_compression(Compression::GZIP(Default::default()))
            .set_max_row_group_row_count(Some(250_000))
            .build();
        let mut writer: Option<ArrowWriter<fs::File>> = None;
        for chunk in (hosts * file / FILES..hosts * (file + 1) / FILES).collect::<Vec<_>>().chunks(2000) {
            let urls: Vec<String> =
                chunk.iter().flat_map(|&host| (0..PAGES_OF_HOST).map(move |page| url(host, page))).collect();
            let n = urls.len();
            let same = |text: &str| Arc::new(StringArray::from(vec![text; n])) as ArrayRef;
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("url_surtkey", Arc::new(StringArray::from_iter_values(urls.iter().map(|url| surt(url))))),
                ("fetch_time", Arc::new(TimestampMillisecondArray::from(vec![BEGIN_MS; n]))),
                ("fetch_status", Arc::new(Int16Array::from(vec![200; n]))),
                ("content_mime_type", same("text/html")),
                ("content_mime_detected", same("text/html")),
                ("warc_filename", same(&World::archive_name(chunk[0] % 640))),
                ("warc_record_offset", Arc::new(Int32Array::from_iter_values((0..n as i32).map(|i| i * 17_000)))),
                ("warc_record_length", Arc::new(Int32Array::from(vec![17_000; n]))),
                ("url", Arc::new(StringArray::from_iter_values(&urls))),
            ];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let writer = writer.get_or_insert_with(|| {
                ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), Some(properties.clone()))
                    .unwrap()
            });
            writer.write(&batch).unwrap();
        }
        writer.unwrap().close().unwrap();
    }
    let out = folder.path().join("out");
    let mut command = fetch(&links, &out, folder.path().to_str().unwrap(), &[index.to_str().unwrap()]);
    let mut child = command.args(["--plan", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    let mut peak = String::new();
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        if let Some(line) = status.lines().find(|line| line.starts_with("VmHWM")) {
            peak = line.to_owned();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = begun.elapsed().as_secs_f64();
    let mut plan = String::new();
    child.stdout.unwrap().read_to_string(&mut plan).unwrap();
    eprintln!("{n_links} links, {n_rows} rows, {took:.1} s: {:.0} rows/s; {peak}\n{plan}", n_rows as f64 / took);
}
