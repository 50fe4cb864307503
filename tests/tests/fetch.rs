//! The fetcher against a scripted web of its own.
//!
//! The production rules on addresses run unmodified: the test starts itself again in a network namespace
//! where public addresses lie on the loopback device and a hosts file names them. It skips with a
//! printed reason where no namespace can be made (it takes root or user namespaces, `unshare` and `ip`).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use records::{Outcome, Reason};
use store::table::TableReader;
use webtext_tests::web::gzip;
use webtext_tests::{check, link_of, path_of_test, web, write_table};

const INSIDE: &str = "WEBTEXT_TEST_IN_NAMESPACE";
const PAGE: &str = "<!doctype html><title>Page</title><p>The ferry leaves at noon and comes back before dark.</p>";
const DELAY_MS: u64 = 150;

/// Starts this test again inside a namespace; `true` when this process is already inside.
fn inside_namespace(module: &str, test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    let names = ["good", "robots", "unreadable", "redirects", "slow", "gzip"];
    let mut hosts: String = names.iter().map(|name| format!("93.184.216.34 {name}.example\n")).collect();
    hosts += "127.0.0.1 inward.example\n10.0.0.1 private.example\n";
    std::fs::write(folder.path().join("hosts"), hosts).unwrap();
    let script = "ip link set lo up && ip addr add 93.184.216.34/32 dev lo && mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--net", "--mount", "sh", "-c", script, "sh"])
        .arg(folder.path().join("hosts"))
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .env("WEBTEXT_TEST_BINARY", web::webtext());
    webtext_tests::run_inside(module, test, &mut command);
    false
}

/// When each path of each host was asked for.
type Visits = Arc<Mutex<Vec<(String, String, Instant)>>>;

/// Answers as the host's name says, one connection a thread.
fn serve(visits: Visits) {
    let listener = TcpListener::bind("93.184.216.34:80").unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let visits = visits.clone();
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let reader = BufReader::new(stream.try_clone().unwrap());
                let (mut path, mut host) = (String::new(), String::new());
                for line in reader.lines() {
                    let line = line.unwrap();
                    if let Some(rest) = line.strip_prefix("GET ") {
                        path = rest.split(' ').next().unwrap().to_owned();
                    } else if let Some(rest) = line.to_ascii_lowercase().strip_prefix("host: ") {
                        host = rest.to_owned();
                    } else if line.is_empty() {
                        break;
                    }
                }
                visits.lock().unwrap().push((host.clone(), path.clone(), Instant::now()));
                let _ = stream.write_all(&answer(&host, &path));
            });
        }
    });
}

fn answer(host: &str, path: &str) -> Vec<u8> {
    let respond = |status: &str, headers: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let html = "Content-Type: text/html\r\n";
    match (host, path) {
        ("robots.example", "/robots.txt") => {
            let rules = gzip(b"User-agent: *\nDisallow: /private\n");
            respond("200 OK", "Content-Encoding: gzip\r\nContent-Type: text/plain\r\n", &rules)
        }
        ("unreadable.example", "/robots.txt") => respond("503 Busy", "", b""),
        (_, "/robots.txt") => respond("404 Not Found", "", b""),
        ("redirects.example", "/circle") => respond("302 Found", "Location: /circle\r\n", b""),
        ("redirects.example", "/inward") => respond("302 Found", "Location: http://inward.example/\r\n", b""),
        ("redirects.example", "/literal") => respond("302 Found", "Location: http://169.254.169.254/latest\r\n", b""),
        ("redirects.example", "/good") => respond("301 Moved", "Location: http://good.example/moved\r\n", b""),
        ("good.example", "/missing") => respond("404 Not Found", html, b"gone"),
        ("good.example", "/image") => respond("200 OK", "Content-Type: image/png\r\n", b"png"),
        ("good.example", "/optout") => respond("200 OK", &format!("{html}X-Robots-Tag: noai\r\n"), PAGE.as_bytes()),
        ("good.example", "/chunked") => {
            let body = format!("{:x}\r\n{PAGE}\r\n0\r\n\r\n", PAGE.len());
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{html}Transfer-Encoding: chunked\r\n\r\n{body}")
                .into_bytes()
        }
        ("gzip.example", _) => respond("200 OK", &format!("{html}Content-Encoding: gzip\r\n"), &gzip(PAGE.as_bytes())),
        _ => respond("200 OK", html, PAGE.as_bytes()),
    }
}

const EXPECTED: &[(&str, Option<Reason>)] = &[
    ("http://good.example/1", None),
    ("http://good.example/2", None),
    ("http://good.example/3", None),
    ("http://good.example/chunked", None),
    ("http://gzip.example/", None),
    ("http://redirects.example/good", None),
    ("http://robots.example/public", None),
    ("http://good.example/missing", Some(Reason::HttpStatus)),
    ("http://good.example/image", Some(Reason::NotHtml)),
    ("http://good.example/optout", Some(Reason::OptedOut)),
    ("http://robots.example/private/1", Some(Reason::RobotsDisallowed)),
    ("http://unreadable.example/", Some(Reason::RobotsDisallowed)),
    ("http://redirects.example/circle", Some(Reason::TooManyRedirects)),
    ("http://redirects.example/inward", Some(Reason::AddressRefused)),
    ("http://redirects.example/literal", Some(Reason::AddressRefused)),
    ("http://inward.example/", Some(Reason::AddressRefused)),
    ("http://private.example/", Some(Reason::AddressRefused)),
    ("http://127.0.0.1/", Some(Reason::AddressRefused)),
    ("http://nowhere.example/", Some(Reason::ConnectFailed)),
];

/// Writes the links in their order here, which is not that of `web::write_links`: the fetcher sorts them itself.
fn write_links(path: &Path) {
    write_table(path, EXPECTED.iter().enumerate().map(|(number, (url, _))| link_of(url, number)));
}

/// The WARC files of a fetch.
fn archives(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().ends_with(".warc.gz")).collect()
}

#[test]
fn a_scripted_web_is_fetched_politely() {
    if !inside_namespace(module_path!(), "a_scripted_web_is_fetched_politely") {
        return;
    }
    let visits = Visits::default();
    serve(visits.clone());
    let folder = tempfile::tempdir().unwrap();
    let links = folder.path().join("links.parquet");
    write_links(&links);
    let out = folder.path().join("out");
    let binary = std::env::var_os("WEBTEXT_TEST_BINARY").unwrap();
    let fetch = || {
        let mut command = Command::new(&binary);
        command.arg("fetch").arg(&links).arg("-o").arg(&out).args([
            "--contact",
            "test@example.org",
            "--min-delay-ms",
            &DELAY_MS.to_string(),
            "--max-group-pages",
            "1",
        ]);
        command
    };
    // A kill in the middle: what was noted is not asked for again.
    let mut child = fetch().spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    child.kill().unwrap();
    child.wait().unwrap();
    check(&mut fetch(), 0);

    let outcomes: BTreeMap<String, Outcome> = TableReader::<Outcome>::open(&out.join("outcomes.parquet"))
        .unwrap()
        .map(|row| row.unwrap())
        .map(|row| (row.url.clone(), row))
        .collect();
    assert_eq!(outcomes.len(), EXPECTED.len());
    for (url, verdict) in EXPECTED {
        assert_eq!(outcomes[*url].verdict, *verdict, "{url}: {:?}", outcomes[*url].detail);
    }

    let visits = visits.lock().unwrap();
    let pages: Vec<&(String, String, Instant)> = visits.iter().filter(|(_, path, _)| path != "/robots.txt").collect();
    for (host, path, _) in &pages {
        assert!(!path.starts_with("/private"), "{host}{path} was asked for");
        let times = pages.iter().filter(|(h, p, _)| (h, p) == (host, path)).count();
        // The page under way at the kill is asked for again, and no other.
        assert!(times <= 2, "{host}{path} was asked for {times} times");
    }
    let twice = pages.len() - pages.iter().map(|(h, p, _)| (h, p)).collect::<std::collections::BTreeSet<_>>().len();
    assert!(twice <= 6, "{twice} pages were asked for twice: at most one per host");
    let mut last: BTreeMap<&str, Instant> = BTreeMap::new();
    let mut too_close = 0;
    for (host, _, at) in visits.iter() {
        if let Some(before) = last.insert(host, *at) {
            // A little less than the delay: the server's clock starts when a thread gets its turn.
            too_close += usize::from(at.duration_since(before) < Duration::from_millis(DELAY_MS - 40));
        }
    }
    // The new process after the kill does not know when the old one asked last.
    assert!(too_close <= 6, "{too_close} requests came too early");

    let text = check(Command::new(&binary).arg("extract").args(archives(&out)), 0);
    let pages = EXPECTED.iter().filter(|(_, verdict)| verdict.is_none()).count();
    assert_eq!(String::from_utf8_lossy(&text.stdout).matches("The ferry leaves at noon").count(), pages);
}

#[test]
fn a_skip_is_told_and_can_be_denied() {
    const TEST: &str = "a_skip_is_told_and_can_be_denied";
    const LACKS: &str = "WEBTEXT_TEST_LACKS_SOMETHING";
    if std::env::var_os(LACKS).is_some() {
        return webtext_tests::skip(TEST, "something is not there");
    }
    for (may_skip, succeeds) in [("allow", true), ("deny", false)] {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again
            .args(["--exact", &path_of_test(module_path!(), TEST)])
            .env(LACKS, "1")
            .env("WEBTEXT_TESTS_SKIP", may_skip)
            .output()
            .unwrap();
        assert_eq!(output.status.success(), succeeds, "{may_skip}");
        // The harness keeps what a passing test prints to itself; this gets past it.
        let told = webtext_tests::stderr(&output);
        assert!(told.contains(&format!("skipped: {TEST}: something is not there")), "{may_skip}: {told}");
    }
}

/// A folder with a table of links, and the command that fetches them into `out`.
fn fetch_of(folder: &Path, flags: &[&str]) -> Command {
    let links = folder.join("links.parquet");
    if !links.exists() {
        write_links(&links);
    }
    let mut command = Command::new(web::webtext());
    command.arg("fetch").arg(&links).arg("-o").arg(folder.join("out")).args(flags);
    command
}

#[test]
fn a_fetcher_without_a_contact_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let output = check(&mut fetch_of(folder.path(), &["--contact", "nobody"]), 2);
    assert!(webtext_tests::stderr(&output).contains("neither a mail address nor a web page"));
    // It says so before it does anything: to sort a long list takes minutes.
    assert!(!folder.path().join("out").exists());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |flags: &[&str], expected: &str| {
        let output = check(&mut fetch_of(folder.path(), &[&["--contact", "a@b.example"], flags].concat()), 2);
        let text = webtext_tests::stderr(&output);
        assert!(text.contains(expected), "{flags:?}: {text}");
    };
    for minutes in ["-1", "nan", "inf", "1e300"] {
        refused(&[&format!("--budget-minutes={minutes}")], "--budget-minutes");
    }
    let common_crawl = ["--from", "common-crawl", "--index", "nowhere"];
    for flag in
        ["--threads", "--budget-pages", "--budget-bytes", "--budget-minutes", "--min-delay-ms", "--max-redirects"]
    {
        refused(&[&common_crawl[..], &[flag, "7"]].concat(), &format!("{flag} does nothing"));
    }
    refused(&[&common_crawl[..], &["--honour", "none"]].concat(), "--honour does nothing");
}

#[test]
fn a_folder_has_one_fetcher() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir_all(out.join("of-another")).unwrap();
    // As killed processes leave them.
    let partial = out.join(format!(".frontier.links{}1-2", atomic_file::PARTIAL_MARK));
    let of_another = out.join("of-another").join(partial.file_name().unwrap());
    for path in [&partial, &of_another] {
        std::fs::write(path, "half").unwrap();
    }
    let lock = std::fs::File::create(out.join("lock")).unwrap();
    lock.try_lock().unwrap();
    let common_crawl: &[&str] = &["--from", "common-crawl", "--index", "nowhere"];
    let web: &[&str] = &["--contact", "a@b.example"];
    for flags in [&["--plan"][..], web, common_crawl] {
        let output = check(&mut fetch_of(folder.path(), flags), 1);
        assert!(webtext_tests::stderr(&output).contains("another webtext works in"), "{flags:?}");
        assert!(partial.exists());
    }
    drop(lock);
    check(&mut fetch_of(folder.path(), &["--plan"]), 0);
    assert!(!partial.exists() && of_another.exists());
}
