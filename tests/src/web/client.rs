//! The fetcher as its users have it, a process with files; and what must be true of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use records::Outcome;
use serde_json::Value;
use store::table::TableReader;
use warc::{Event, Kind, Location, Reader};

use super::{Visit, Web, webtext};

/// Nothing in a test takes longer; a soak sets its own limit.
const LIMIT: Duration = Duration::from_secs(150);

/// `webtext fetch` over a table of links, with its flags.
pub struct Client {
    folder: PathBuf,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    max_open_files: Option<u32>,
    limit: Duration,
}

/// A run of the client that came to its end.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The most memory it had, as far as was looked.
    pub peak_bytes: u64,
    /// From start to end.
    pub took: Duration,
}

/// Writes the links of these URLs as `webtext links` would, sorted by domain and key.
///
/// # Panics
/// When two have the same key: only one of them would be fetched.
pub fn write_links<S: AsRef<str>>(path: &Path, urls: impl IntoIterator<Item = S>) {
    let mut links = BTreeMap::new();
    for (number, url) in urls.into_iter().enumerate() {
        let link = crate::link_of(url.as_ref(), number);
        let before = links.insert((link.domain.clone(), link.key.clone()), link);
        assert!(before.is_none(), "{} and {before:?}", url.as_ref());
    }
    crate::write_table(path, links.into_values());
}

impl Client {
    /// A client for these URLs; its output is `out` below the folder.
    pub fn new<S: AsRef<str>>(web: &Web, folder: &Path, urls: impl IntoIterator<Item = S>) -> Client {
        write_links(&folder.join("links.parquet"), urls);
        Client::of_table(web, folder)
    }

    /// A client for the table `links.parquet` in the folder.
    pub fn of_table(web: &Web, folder: &Path) -> Client {
        let authority = ("SSL_CERT_FILE".to_owned(), web.authority().to_str().unwrap().to_owned());
        Client {
            folder: folder.to_path_buf(),
            flags: vec!["--contact".into(), "test@example.org".into()],
            environment: vec![authority],
            max_open_files: None,
            limit: LIMIT,
        }
    }

    /// The same with a flag and its value, in place of an earlier one.
    pub fn flag(mut self, name: &str, value: impl ToString) -> Client {
        if let Some(place) = self.flags.iter().position(|flag| flag == name) {
            self.flags.drain(place..place + 2);
        }
        self.flags.extend([name.to_owned(), value.to_string()]);
        self
    }

    /// The same with a flag that has no value.
    pub fn switch(mut self, name: &str) -> Client {
        self.flags.push(name.to_owned());
        self
    }

    /// The same with an environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Client {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a limit on open files.
    pub fn max_open_files(mut self, files: u32) -> Client {
        self.max_open_files = Some(files);
        self
    }

    /// The same with more time.
    pub fn limit(mut self, limit: Duration) -> Client {
        self.limit = limit;
        self
    }

    /// Where its files are.
    pub fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// Starts it; what it prints goes to files.
    pub fn start(&self) -> Running {
        let mut command = match self.max_open_files {
            None => Command::new(webtext()),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"]).arg(webtext());
                shell
            }
        };
        command.arg("fetch").arg(self.folder.join("links.parquet")).arg("-o").arg(self.out()).args(&self.flags);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let printed = |name: &str| File::create(self.folder.join(name)).unwrap();
        command.stdout(printed("stdout")).stderr(printed("stderr"));
        Running {
            child: command.spawn().unwrap(),
            folder: self.folder.clone(),
            started: Instant::now(),
            limit: self.limit,
            peak_bytes: 0,
        }
    }

    /// Runs it to its end.
    pub fn run(&self) -> Ended {
        self.start().wait()
    }

    /// Runs it to its end, which must be a good one.
    pub fn complete(&self) -> Ended {
        let ended = self.run();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }
}

/// A client at work.
pub struct Running {
    child: Child,
    folder: PathBuf,
    started: Instant,
    limit: Duration,
    peak_bytes: u64,
}

impl Running {
    /// Waits for the end, and looks at its memory meanwhile.
    ///
    /// # Panics
    /// When it does not end within the limit.
    pub fn wait(mut self) -> Ended {
        while !self.has_ended() {
            assert!(self.started.elapsed() < self.limit, "no end after {:?}:\n{}", self.limit, self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.ended()
    }

    /// Waits for this long; whether it has come to its end.
    pub fn has_ended_after(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while !self.has_ended() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Kills it as a power cut would.
    pub fn kill(mut self) -> Ended {
        self.has_ended();
        // It may have ended this moment.
        let _ = self.child.kill();
        self.ended()
    }

    /// Sends it what Ctrl-C sends.
    pub fn interrupt(&self) {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// What it printed so far as errors and progress.
    pub fn stderr(&self) -> String {
        read(&self.folder.join("stderr"))
    }

    fn has_ended(&mut self) -> bool {
        self.peak_bytes = self.peak_bytes.max(peak_bytes(self.child.id()).unwrap_or(0));
        self.child.try_wait().unwrap().is_some()
    }

    fn ended(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        Ended {
            code: status.code(),
            stdout: read(&self.folder.join("stdout")),
            stderr: self.stderr(),
            peak_bytes: self.peak_bytes,
            took: self.started.elapsed(),
        }
    }
}

impl Ended {
    /// The last event that `--json` printed.
    pub fn finished(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_else(|| panic!("it printed no event: {self:?}"));
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["event"], "finished", "{event}");
        event
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The most memory that a living process had.
fn peak_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Processor time of all children that have ended.
pub fn cpu_of_children() -> Duration {
    let status = fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which is in brackets, field 3 comes first; cutime and cstime are 16 and 17.
    let fields: Vec<&str> = status[status.rfind(')').unwrap() + 1..].split_whitespace().collect();
    let ticks: u64 = fields[13..15].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // Linux counts in hundredths whatever its own clock is.
    Duration::from_millis(ticks * 10)
}

/// The outcomes by URL, which must be in the order that is promised and one for each.
pub fn outcomes(out: &Path) -> BTreeMap<String, Outcome> {
    let mut outcomes = BTreeMap::new();
    let mut last = None;
    for outcome in TableReader::<Outcome>::open(&out.join("outcomes.parquet")).unwrap() {
        let outcome = outcome.unwrap();
        let place = (outcome.domain.clone(), outcome.key.clone());
        assert!(last.as_ref() < Some(&place), "{place:?} behind {last:?}");
        last = Some(place);
        let before = outcomes.insert(outcome.url.clone(), outcome);
        assert!(before.is_none(), "{before:?} twice");
    }
    outcomes
}

/// A page in an archive.
#[derive(Debug, Clone)]
pub struct Archived {
    /// `WARC-Target-URI`.
    pub target: String,
    /// For a `revisit`, the URL of the response with the same body.
    pub same_as: Option<String>,
    /// `WARC-Truncated`, if the page is not whole.
    pub truncated: Option<String>,
    /// The response as it is stored, cut at the limit.
    pub response: Vec<u8>,
    /// The request as it is stored.
    pub request: Vec<u8>,
}

/// Reads all archives of a finished run and checks them against the outcomes: every record is sound, every page
/// that was kept is where its outcome says, no page is there twice, every index leads to its records.
/// Returns the pages by the URL of their link; blocks are read up to `limit_bytes`.
pub fn check_archives(
    out: &Path,
    outcomes: &BTreeMap<String, Outcome>,
    limit_bytes: u64,
) -> BTreeMap<String, Archived> {
    let names = crate::names(out);
    let left: Vec<&String> = names.iter().filter(|name| name.ends_with(".open")).collect();
    assert!(left.is_empty(), "still open: {left:?}");
    let mut pages: HashMap<(String, u64), Archived> = HashMap::new();
    for name in names.iter().filter(|name| name.ends_with(".warc.gz")) {
        let found = read_archive(&out.join(name), limit_bytes);
        check_index(out, name, &found);
        pages.extend(found.into_iter().map(|(offset, page)| ((name.clone(), offset), page)));
    }
    let revisits = pages.values().filter_map(|page| Some((page.target.as_str(), page.same_as.as_deref()?)));
    let revisits: BTreeSet<(&str, &str)> = revisits.collect();
    let mut used = BTreeSet::new();
    let mut by_url = BTreeMap::new();
    for (url, outcome) in outcomes.iter().filter(|(_, outcome)| outcome.verdict.is_none()) {
        let place = (outcome.warc.clone().unwrap(), outcome.offset.unwrap());
        let page = pages.get(&place).unwrap_or_else(|| panic!("{url}: no page at {place:?}"));
        assert_eq!(page.same_as, None, "{url}: {place:?} has no body of its own");
        assert!(!page.request.is_empty(), "{url}: no request beside the response");
        // Where a page had the body of an earlier one, the outcome leads to that, and a revisit says so.
        let target = outcome.final_url.as_deref().unwrap();
        let is_there = page.target == target || revisits.contains(&(target, page.target.as_str()));
        assert!(is_there, "{url}: at {place:?} is {}", page.target);
        used.insert(place);
        by_url.insert(url.clone(), page.clone());
    }
    // Of what no outcome leads to, nothing is a second copy of a page.
    let targets: BTreeSet<&str> = by_url.values().map(|page| page.target.as_str()).collect();
    for (place, page) in pages.iter().filter(|(place, page)| page.same_as.is_none() && !used.contains(*place)) {
        let is_page = page.response.starts_with(b"HTTP/1.1 200");
        assert!(!(is_page && targets.contains(page.target.as_str())), "{} stands at {place:?}, too", page.target);
    }
    seek_some(out, outcomes, &by_url);
    by_url
}

/// The responses of an archive by their offset, with their requests.
fn read_archive(path: &Path, limit_bytes: u64) -> BTreeMap<u64, Archived> {
    let mut reader = Reader::open(path, limit_bytes).unwrap();
    let mut pages = BTreeMap::new();
    let mut offsets: HashMap<String, u64> = HashMap::new();
    let mut is_first = true;
    while let Some(event) = reader.next().unwrap() {
        let record = match event {
            Event::Record(record) => record,
            Event::Malformed { location, fault } => panic!("{}: {location:?}: {fault}", path.display()),
        };
        assert_eq!(is_first, record.kind == Kind::Warcinfo, "{}: {:?}", path.display(), record.headers);
        is_first = false;
        match record.kind {
            Kind::Response | Kind::Revisit => {
                offsets.insert(record.header("WARC-Record-ID").unwrap().to_owned(), record.location.offset);
                let same_as = record.header("WARC-Refers-To-Target-URI").map(str::to_owned);
                assert_eq!(same_as.is_some(), record.kind == Kind::Revisit, "{:?}", record.headers);
                let page = Archived {
                    target: record.target().unwrap().to_owned(),
                    same_as,
                    truncated: record.header("WARC-Truncated").map(str::to_owned),
                    request: Vec::new(),
                    response: record.body,
                };
                pages.insert(record.location.offset, page);
            }
            Kind::Request => {
                let to = record.header("WARC-Concurrent-To").unwrap();
                let offset = offsets.get(to).unwrap_or_else(|| panic!("{}: no {to} before", path.display()));
                pages.get_mut(offset).unwrap().request = record.body;
            }
            _ => {}
        }
    }
    pages
}

/// Checks that each line of the index leads to a response, and that each response has a line.
fn check_index(out: &Path, archive: &str, pages: &BTreeMap<u64, Archived>) {
    let path = out.join(archive.replace(".warc.gz", ".cdxj"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.is_sorted(), "{}", path.display());
    let mut offsets = BTreeSet::new();
    for line in lines {
        // A key may have braces of its own.
        let fields: Value = serde_json::from_str(line.splitn(3, ' ').nth(2).unwrap()).unwrap();
        // Numbers are strings in the CDXJ that pywb writes, and numbers in others'.
        let offset = &fields["offset"];
        let offset = offset.as_u64().or_else(|| offset.as_str()?.parse().ok()).unwrap();
        let page = pages.get(&offset).unwrap_or_else(|| panic!("{}: {line}: no response there", path.display()));
        assert_eq!(fields["url"].as_str(), Some(page.target.as_str()), "{line}");
        assert!(fields["filename"].as_str().unwrap().ends_with(archive), "{line}");
        offsets.insert(offset);
    }
    assert_eq!(offsets.len(), pages.len(), "{}", path.display());
}

/// Goes to some pages directly, as later stages do.
fn seek_some(out: &Path, outcomes: &BTreeMap<String, Outcome>, pages: &BTreeMap<String, Archived>) {
    for (url, page) in pages.iter().step_by(pages.len() / 100 + 1) {
        let outcome = &outcomes[url];
        let mut reader = Reader::open(&out.join(outcome.warc.as_ref().unwrap()), 1 << 20).unwrap();
        reader.seek(Location { offset: outcome.offset.unwrap(), offset_in_member: 0 }).unwrap();
        let Some(Event::Record(record)) = reader.next().unwrap() else { panic!("{url}: no record there") };
        assert_eq!((record.kind, record.target()), (Kind::Response, Some(page.target.as_str())));
    }
}

/// Lets warcio and FastWARC check every archive; without a Python that has them (`WEBTEXT_PEERS`), says so.
pub fn check_with_peers(test: &str, out: &Path) {
    let Some(python) = crate::peers(&format!("the archives of {test}"), &["warcio", "fastwarc"]) else { return };
    let tools = python.parent().unwrap();
    let archives: Vec<PathBuf> =
        crate::names(out).iter().filter(|name| name.ends_with(".warc.gz")).map(|name| out.join(name)).collect();
    crate::check(Command::new(tools.join("warcio")).arg("check").args(&archives), 0);
    for archive in &archives {
        crate::check(Command::new(tools.join("fastwarc")).args(["check", "-p", "-q"]).arg(archive), 0);
    }
}

/// The oracle of politeness. Checks that no two requests to a host came closer than the delay, and that each
/// origin was asked for robots.txt before anything else; returns the shortest pause that was seen.
pub fn check_oracle(visits: &[Visit], delay: Duration) -> Duration {
    check_oracle_through(visits, delay, &[])
}

/// The same where clients were killed: what a server was still sending to one of them overlaps nothing.
pub fn check_oracle_through(visits: &[Visit], delay: Duration, killed_at: &[Instant]) -> Duration {
    /// The server's clock starts when its thread gets its turn.
    const TOLERANCE: Duration = Duration::from_millis(30);
    let mut last: HashMap<&str, &Visit> = HashMap::new();
    let mut origins = BTreeSet::new();
    let mut shortest = Duration::MAX;
    for visit in visits {
        let request = &visit.request;
        let origin = (&request.host, request.is_tls, request.to.port());
        if request.is_robots() {
            origins.insert(origin);
        } else {
            assert!(origins.contains(&origin), "{}{} before robots.txt", request.host, request.path);
        }
        if let Some(before) = last.insert(&request.host, visit) {
            let pause = visit.begun.duration_since(before.begun);
            shortest = shortest.min(pause);
            assert!(
                pause + TOLERANCE >= delay,
                "{}: {} came {pause:?} after {}, not {delay:?}",
                request.host,
                request.path,
                before.request.path
            );
            let is_over = before.ended.is_some_and(|ended| ended <= visit.begun + TOLERANCE);
            let was_killed = killed_at.iter().any(|killed| (before.begun..visit.begun).contains(killed));
            assert!(is_over || was_killed, "{}: {} overlaps {}", request.host, request.path, before.request.path);
        }
    }
    shortest
}
