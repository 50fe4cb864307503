//! The fetcher for hours, in minutes: a scripted web of thousands of hosts, faults, and kills.
//!
//! ```text
//! cargo build --release -p webtext
//! cargo run --release -p webtext-tests --bin soak -- --hosts 10000 --pages 200000 --kills 10
//! cargo run --release -p webtext-tests --bin soak -- --throughput --hosts 2000 --pages 40000 [--tls] [--gzip]
//! cargo run --release -p webtext-tests --bin soak -- --replay 20000
//! ```
//!
//! What stands behind `--` goes to the client. The web runs on one thread of this process, the client is the
//! `webtext` that lies beside it (`WEBTEXT_TEST_BINARY` names another). It takes a network namespace: root or
//! user namespaces, `unshare` and `ip`; and as many open files as requests are under way.
//!
//! Whatever is found wrong ends the program with a panic; metrics come last.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use records::{Link, Outcome};
use store::table::TableReader;
use webtext_tests::web::{
    Answer, Client, Request, Script, Step, Web, check_archives, check_oracle, check_oracle_through, check_with_peers,
    cpu_of_children, go_inside_namespace, gzip, html, noise, numbered, outcomes, page, redirect, respond, webtext,
    write_links,
};
use webtext_tests::{check, root, unpack};

/// A soak of the fetcher.
#[derive(Parser)]
struct Arguments {
    /// Hosts, each a domain of its own.
    #[arg(long, default_value_t = 10_000)]
    hosts: usize,
    /// How many addresses the hosts share; without it, each has its own.
    #[arg(long)]
    addresses: Option<u32>,
    /// Links, spread evenly over the hosts.
    #[arg(long, default_value_t = 200_000)]
    pages: usize,
    /// How often the client is killed and started again.
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// Longest time between two kills.
    #[arg(long, default_value_t = 20.0, value_name = "S")]
    kill_after_s: f64,
    /// Where the faults lie and when the kills come.
    #[arg(long, default_value_t = 2357)]
    seed: u64,
    /// The client's pause between two requests to a host.
    #[arg(long, default_value_t = 200, value_name = "MS")]
    min_delay_ms: u64,
    /// Measures pages per second of the client's processor time: no faults, no kills, no log.
    #[arg(long)]
    throughput: bool,
    /// All links are https.
    #[arg(long)]
    tls: bool,
    /// Bodies of the throughput run, before coding.
    #[arg(long, default_value_t = 60_000, value_name = "BYTES")]
    body_bytes: usize,
    /// Bodies of the throughput run are sent as gzip.
    #[arg(long)]
    gzip: bool,
    /// Fetches this many real links from real pages (needs the data folder beside the checkout, zstd and tar).
    #[arg(long, value_name = "LINKS")]
    replay: Option<usize>,
    /// Keeps the client's files here, rather than in a folder that vanishes.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Flags for the client.
    #[arg(last = true)]
    client: Vec<String>,
}

fn main() {
    let arguments = Arguments::parse();
    assert!(webtext().is_file(), "there is no {}; build it first", webtext().display());
    go_inside_namespace();
    let temporary = tempfile::tempdir().unwrap();
    let folder = arguments.keep.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    fs::create_dir_all(&folder).unwrap();
    match arguments.replay {
        Some(links) => replay(&arguments, links, &folder),
        None if arguments.throughput => throughput(&arguments, &folder),
        None => soak(&arguments, &folder),
    }
}

/// What the host of a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    Good,
    /// robots.txt forbids everything.
    Forbids,
    /// There is no such name.
    Missing,
    /// It takes connections and says nothing.
    Silent,
}

/// What becomes of a link on a good host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Page,
    /// As gzip, in chunks.
    Coded,
    /// A pause in the middle.
    Slow,
    /// To a page of the same host.
    Moved,
    /// To a page of the next good host.
    MovedAway,
    /// First "later", then a page.
    Busy,
    /// Less body than was said.
    BrokenOff,
    /// The connection is reset before anything came.
    Reset,
    Missing,
}

/// A number from a text and the seed.
fn draw(seed: u64, text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        >> 8
}

fn host_of(seed: u64, host: &str) -> Host {
    match draw(seed, host) % 200 {
        0..2 => Host::Forbids,
        2..4 => Host::Missing,
        4 => Host::Silent,
        _ => Host::Good,
    }
}

fn fate_of(seed: u64, host: &str, path: &str) -> Fate {
    // Where a redirect leads there is always a page.
    if path.starts_with("/moved") {
        return Fate::Page;
    }
    match draw(seed, &format!("{host}{path}")) % 100 {
        0..3 => Fate::Moved,
        3..5 => Fate::MovedAway,
        5..7 => Fate::Busy,
        7..9 => Fate::Slow,
        9..11 => Fate::BrokenOff,
        11..13 => Fate::Reset,
        13..15 => Fate::Missing,
        15..30 => Fate::Coded,
        _ => Fate::Page,
    }
}

/// The script of the faulty web.
fn faulty(seed: u64, hosts: usize, request: &Request) -> Script {
    let host = host_of(seed, &request.host);
    if host == Host::Silent {
        return vec![Step::Hang];
    }
    if request.is_robots() {
        return match host {
            Host::Forbids => respond("200 OK", "", b"User-agent: *\nDisallow: /\n"),
            _ => respond("404 Not Found", "", b""),
        };
    }
    let number = draw(seed, &request.path);
    let name = format!("{}{}", request.host, request.path);
    let body = [html(&name), noise(draw(seed, &name), 200 + number as usize % 8_000)].concat();
    match fate_of(seed, &request.host, &request.path) {
        Fate::Page => page(&body),
        Fate::Coded => {
            let body = gzip(&body);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            vec![Step::Send(head.into()), Step::Send(chunk), Step::KeepAlive]
        }
        Fate::Slow => {
            let Step::Send(bytes) = page(&body).remove(0) else { unreachable!("a page is one step") };
            let (begin, end) = bytes.split_at(bytes.len() / 2);
            vec![Step::Send(begin.into()), Step::Sleep(Duration::from_millis(700)), Step::Send(end.into())]
        }
        Fate::Moved => redirect(&format!("/moved{}", request.path)),
        Fate::MovedAway => {
            let own: usize = request.label()[1..].parse().unwrap();
            let next = (own + 1..).map(|host| format!("h{}.example", host % hosts));
            let next = next.take(hosts).find(|host| host_of(seed, host) == Host::Good);
            let scheme = if request.is_tls { "https" } else { "http" };
            redirect(&format!("{scheme}://{}/moved{}", next.unwrap(), request.path))
        }
        Fate::Busy if request.visit == 1 => respond("503 Busy", "Retry-After: 1\r\n", b""),
        Fate::Busy => page(&body),
        Fate::BrokenOff => {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", body.len() + 9);
            vec![Step::Send([head.as_bytes(), &body].concat())]
        }
        Fate::Reset => vec![Step::Reset],
        Fate::Missing => respond("404 Not Found", "Content-Type: text/html\r\n", b"gone"),
    }
}

/// Whether an outcome is one that the script can lead to.
fn is_right(seed: u64, url: &str, outcome: &Outcome, truncated: Option<&str>) -> bool {
    let rest = url.split_once("//").unwrap().1;
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let reason = outcome.verdict.map_or("kept".to_owned(), |reason| reason.to_string());
    let expected: &[&str] = match host_of(seed, host) {
        Host::Forbids => &["robots_disallowed"],
        Host::Missing => &["connect_failed", "host_given_up"],
        Host::Silent => &["timed_out", "robots_disallowed", "host_given_up"],
        Host::Good => match fate_of(seed, host, path) {
            Fate::Reset => &["http_fault", "connect_failed"],
            Fate::Missing => &["http_status"],
            Fate::BrokenOff => return reason == "kept" && truncated == Some("disconnect"),
            _ => return reason == "kept" && truncated.is_none(),
        },
    };
    expected.contains(&reason.as_str())
}

/// The client as the flags of this run have it.
fn client(arguments: &Arguments, web: &Web, folder: &Path) -> Client {
    let mut client = Client::of_table(web, folder)
        .flag("--min-delay-ms", arguments.min_delay_ms)
        .flag("--max-concurrent-hosts", 2_000)
        .flag("--max-concurrent-requests", 500)
        .limit(Duration::from_secs(24 * 3_600));
    for flag in &arguments.client {
        client = client.switch(flag);
    }
    client
}

/// Where the hosts are.
fn names(arguments: &Arguments) -> impl Fn(&str) -> Answer + Send + Sync + use<> {
    let addresses = arguments.addresses.unwrap_or(1 << 16).clamp(1, 1 << 16);
    move |name| numbered(name, addresses)
}

fn urls(arguments: &Arguments) -> Vec<String> {
    let scheme = if arguments.tls { "https" } else { "http" };
    let hosts = arguments.hosts;
    (0..arguments.pages).map(|page| format!("{scheme}://h{}.example/{}", page % hosts, page / hosts)).collect()
}

/// Faults and kills; then everything must be where it belongs.
fn soak(arguments: &Arguments, folder: &Path) {
    let (seed, hosts) = (arguments.seed, arguments.hosts);
    let lookup = names(arguments);
    let names = move |name: &str| match host_of(seed, name) {
        Host::Missing => Answer::NoSuchName,
        _ => lookup(name),
    };
    let web = Web::builder().names(names).without_heads().start(move |request| faulty(seed, hosts, request));
    let urls = urls(arguments);
    write_links(&folder.join("links.parquet"), &urls);
    let client = client(arguments, &web, folder)
        .flag("--connect-timeout-ms", 3_000)
        .flag("--first-byte-timeout-ms", 3_000)
        .flag("--idle-timeout-ms", 3_000)
        .flag("--max-delay-ms", 5_000)
        .flag("--max-warc-bytes", 50_000_000);
    let ran = run_with_kills(arguments, &client);

    let outcomes = outcomes(&client.out());
    assert_eq!(outcomes.keys().collect::<BTreeSet<_>>(), urls.iter().collect::<BTreeSet<_>>());
    let pages = check_archives(&client.out(), &outcomes, 4 << 10);
    let wrong: Vec<String> = outcomes
        .iter()
        .filter(|(url, outcome)| {
            let truncated = pages.get(*url).and_then(|page| page.truncated.as_deref());
            !is_right(seed, url, outcome, truncated)
        })
        .map(|(url, outcome)| format!("{url}: {outcome:?}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} outcomes are wrong, such as\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    check_with_peers("soak", &client.out());
    let visits = web.visits();
    let shortest = check_oracle_through(&visits, Duration::from_millis(arguments.min_delay_ms), &ran.killed_at);
    // More requests for a page than one, but for those that the script asks for.
    let mut times: HashMap<(&str, &str), usize> = HashMap::new();
    for visit in visits.iter().filter(|visit| !visit.request.is_robots()) {
        *times.entry((&visit.request.host, &visit.request.path)).or_default() += 1;
    }
    let again: usize = times
        .iter()
        .filter(|((host, path), _)| !matches!(fate_of(seed, host, path), Fate::Busy | Fate::Reset))
        .map(|(_, times)| times - 1)
        .sum();
    report(&outcomes, &ran);
    println!("requests           {}", visits.len());
    println!("asked for again    {again} after {} kills", ran.killed_at.len());
    println!("shortest pause     {shortest:?}");
}

/// What the runs of one client took together.
struct Ran {
    killed_at: Vec<Instant>,
    took: Duration,
    cpu: Duration,
    peak_bytes: u64,
}

/// Runs the client to its end with kills on the way.
fn run_with_kills(arguments: &Arguments, client: &Client) -> Ran {
    let cpu_before = cpu_of_children();
    let mut ran = Ran { killed_at: Vec::new(), took: Duration::ZERO, cpu: Duration::ZERO, peak_bytes: 0 };
    for number in 0..arguments.kills {
        let part = draw(arguments.seed, &format!("kill {number}")) % 1_000;
        let mut running = client.start();
        if running.has_ended_after(Duration::from_secs_f64(arguments.kill_after_s * (part + 1) as f64 / 1_000.0)) {
            eprintln!("it was done before kill {number}");
            break;
        }
        let killed = running.kill();
        ran.killed_at.push(Instant::now());
        ran.took += killed.took;
        ran.peak_bytes = ran.peak_bytes.max(killed.peak_bytes);
        eprintln!("kill {number} after {:.1?}, {} MB", killed.took, killed.peak_bytes >> 20);
    }
    let ended = client.complete();
    ran.took += ended.took;
    ran.peak_bytes = ran.peak_bytes.max(ended.peak_bytes);
    ran.cpu = cpu_of_children() - cpu_before;
    ran
}

fn report(outcomes: &BTreeMap<String, Outcome>, ran: &Ran) {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for outcome in outcomes.values() {
        let reason = outcome.verdict.map_or("kept".to_owned(), |reason| reason.to_string());
        *reasons.entry(reason).or_default() += 1;
    }
    for (reason, count) in &reasons {
        println!("{reason:<18} {count}");
    }
    let kept = reasons.get("kept").copied().unwrap_or(0) as f64;
    println!("links              {}", outcomes.len());
    println!("time               {:.1} s, {:.0} pages/s", ran.took.as_secs_f64(), kept / ran.took.as_secs_f64());
    println!(
        "client's processor {:.1} s, {:.0} pages per second of it",
        ran.cpu.as_secs_f64(),
        kept / ran.cpu.as_secs_f64()
    );
    println!("client's memory    {} MB at most", ran.peak_bytes >> 20);
}

/// Words as English has them, so that bodies compress as pages do.
fn body(seed: u64, len_bytes: usize) -> Vec<u8> {
    let words: Vec<String> =
        (0..4_000).map(|n| noise(n, 2 + (n * n % 9) as usize)).map(|w| String::from_utf8(w).unwrap()).collect();
    let mut body = String::from_utf8(html("throughput")).unwrap();
    let mut counter: u64 = 0;
    while body.len() < len_bytes {
        // The product of two draws makes the first words frequent.
        let (a, b) = (draw(seed, &counter.to_string()) % 63, draw(!seed, &counter.to_string()) % 63);
        body.push_str(&words[(a * b) as usize]);
        body.push_str(if counter.is_multiple_of(12) { "</p>\n<p class=\"text\">" } else { " " });
        counter += 1;
    }
    body.truncate(len_bytes);
    body.into_bytes()
}

/// How much a client does with a second of processor time.
fn throughput(arguments: &Arguments, folder: &Path) {
    // No two bodies are the same: of one that was archived before, only a reference would be written.
    let bodies: Vec<Vec<u8>> = (0..64).map(|seed| body(seed, arguments.body_bytes)).collect();
    let coded: Vec<Vec<u8>> = bodies.iter().map(|body| gzip(body)).collect();
    let is_gzip = arguments.gzip;
    let web = Web::builder().names(names(arguments)).without_heads().start(move |request| {
        if request.is_robots() {
            return vec![Step::Send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()), Step::KeepAlive];
        }
        let own = format!("<p>{:016x}</p>", draw(1, &format!("{}{}", request.host, request.path)));
        let number = draw(0, &request.path) as usize % bodies.len();
        // A second gzip member is part of the same body.
        let (body, end, coding) = match is_gzip {
            true => (&coded[number], gzip(own.as_bytes()), "Content-Encoding: gzip\r\n"),
            false => (&bodies[number], own.into_bytes(), ""),
        };
        let len = body.len() + end.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n{coding}Content-Length: {len}\r\n\r\n"
        );
        vec![Step::Send([head.as_bytes(), body, &end].concat()), Step::KeepAlive]
    });
    web.count_only();
    let urls = urls(arguments);
    write_links(&folder.join("links.parquet"), &urls);
    let client = client(arguments, &web, folder);
    let ran = run_with_kills(&Arguments { kills: 0, client: Vec::new(), keep: None, ..*arguments }, &client);
    let outcomes = outcomes(&client.out());
    assert_eq!(outcomes.len(), urls.len());
    assert!(outcomes.values().all(|outcome| outcome.verdict.is_none()), "every page is a good one");
    report(&outcomes, &ran);
}

/// Real links, answered with real pages. What each page is does not matter; that each link has its outcome does.
fn replay(arguments: &Arguments, count: usize, folder: &Path) {
    let data = root().parent().unwrap().join("shared/data");
    assert!(data.is_dir(), "--replay needs {}", data.display());
    write_real_links(&data, count, folder);
    for set in ["dragnet", "wcxb-dev"] {
        assert!(unpack(&data.join(format!("extract/{set}.tar.zst")), &folder.join("html")), "{set} does not unpack");
    }
    let html = folder.join("html");
    let answers: Vec<Script> = webtext_tests::names(&html)
        .iter()
        .filter(|name| name.ends_with(".html"))
        .enumerate()
        .map(|(number, name)| {
            let body = fs::read(html.join(name)).unwrap();
            // As the web is: most of it coded.
            match number % 3 {
                0 => page(&body),
                _ => respond("200 OK", "Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &gzip(&body)),
            }
        })
        .collect();
    let web = Web::builder().names(names(arguments)).start(move |request| {
        if request.is_robots() {
            return respond("404 Not Found", "", b"");
        }
        answers[draw(0, &format!("{}{}", request.host, request.path)) as usize % answers.len()].clone()
    });
    let client = client(arguments, &web, folder);
    let started = Instant::now();
    let ran = run_with_kills(arguments, &client);
    eprintln!("fetched in {:.1?}", started.elapsed());

    let table = TableReader::<Link>::open(&folder.join("links.parquet")).unwrap();
    let wanted: BTreeSet<String> =
        table.map(Result::unwrap).filter(|link| link.verdict.is_none()).map(|link| link.url).collect();
    let outcomes = outcomes(&client.out());
    assert_eq!(outcomes.keys().collect::<BTreeSet<_>>(), wanted.iter().collect::<BTreeSet<_>>());
    check_archives(&client.out(), &outcomes, 4 << 10);
    check_with_peers("soak --replay", &client.out());
    let visits = web.visits();
    check_oracle(&visits, Duration::from_millis(arguments.min_delay_ms));
    report(&outcomes, &ran);
    println!("requests           {}", visits.len());
}

/// A sample of the real links, spread over all of them, as `webtext links` makes a table of them.
fn write_real_links(data: &Path, count: usize, folder: &Path) {
    let dump = fs::File::open(data.join("links/karma3-links.jsonl.zst")).unwrap();
    let lines = || BufReader::new(zstd::Decoder::new(dump.try_clone().unwrap()).unwrap()).lines().map(Result::unwrap);
    let step = 1_247_791 / count.max(1);
    let sample: String = lines().step_by(step.max(1)).take(count).map(|line| line + "\n").collect();
    fs::write(folder.join("links.jsonl"), sample).unwrap();
    let (from, to) = (folder.join("links.jsonl"), folder.join("links.parquet"));
    check(Command::new(webtext()).arg("links").arg(from).arg("-o").arg(to), 0);
}
