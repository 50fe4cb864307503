//! One worker: a heap of hosts on the time at which each may be asked again, and the requests under way.
//!
//! A worker never sleeps on a host. It takes the host that is due next, sends it one request, and puts it back with
//! the time of the next; a redirect to another host moves the link into that host's queue.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use records::Reason;
use reqwest::{Client, StatusCode};
use url::Url;

use crate::address::Names;
use crate::aimd::ConcurrencyLimit;
use crate::backlog::{Backlog, Finished, Note};
use crate::error::FetchError;
use crate::exchange::{self, Page, Refusal, check_url};
use crate::frontier::{Cursor, Row};
use crate::hosts::{Claim, Fault, host_of, origin_of};
use crate::monitor::Pauser;
use crate::network::{NetworkProbe, SilenceCause};
use crate::request::{self, CompletedRequest, End, Reachability, RulesAnswer, ask};
use crate::robots::{self, Answer, Rules};
use crate::shared::Shared;
use crate::signals;

/// How soon a worker checks again whether it is to stop.
pub(crate) const MAX_SLEEP: Duration = Duration::from_millis(200);
/// Links of one host that get their outcome without a request before others have their turn.
const LINKS_PER_TURN: usize = 256;
/// How soon a host is tried again whose domain or address has its share of requests, and how often that doubles.
pub(crate) const CROWDED_PAUSE: Duration = Duration::from_millis(50);
const MAX_CROWDED_DOUBLINGS: u32 = 6;
/// Links to be tried again that a host may have before they come first.
const MAX_RETRY_QUEUE: usize = 64;
/// While so many bytes of bodies are arriving, nothing new is asked for: 512 bodies of the largest size are 10 GiB.
const MAX_ARRIVING_BYTES: u64 = 512 << 20;
/// Links that redirects have led to one host and that wait for it; more of them come from a spider trap, or lead to
/// parked domains.
const MAX_REDIRECTED_LINKS: usize = 10_000;
/// When a host is asked again after this machine ran out of files or ports.
const OWN_FAULT_PAUSE: Duration = Duration::from_millis(500);

/// A link that is being fetched.
pub(crate) struct Job {
    id: u64,
    row: Row,
    /// The URL to ask for next.
    pub(crate) url: Url,
    /// The URLs that redirected, in their order.
    via: Vec<Url>,
    tries: u32,
    /// Why the last try gave no page.
    last: Option<Refusal>,
    /// Since when its tries got no answer from anywhere.
    silent_since: Option<Instant>,
}

/// What is to be asked of one host.
#[derive(Default)]
struct Queue {
    /// Its own links that were not begun.
    own: Option<Cursor>,
    /// Links that come first: begun ones, and those that a redirect led here.
    first: VecDeque<Job>,
    /// Links that failed and are tried again.
    again: VecDeque<Job>,
    /// How often in a row its domain or address had its share of requests.
    crowded: u32,
}

/// What a host's queue gives.
enum Next {
    /// A link that may need a request.
    Job(Box<Job>),
    /// A link had its outcome at once.
    Finished,
    /// Nothing is left, or all that is left is under way.
    Nothing,
}

/// A worker with its queues.
pub(crate) struct Worker<'c> {
    shared: &'c Shared<'c>,
    client: Client,
    names: Names,
    notes: Sender<Note>,
    backlog: &'c Backlog,
    queues: HashMap<Box<str>, Queue>,
    /// When each waiting host may be asked; every queue is here once, or its host is being asked.
    due: BinaryHeap<Reverse<(Instant, u64, Box<str>)>>,
    turn: u64,
    /// Requests that may be under way: as the settings say, or fewer after this machine ran out of files.
    concurrency: ConcurrencyLimit,
    /// Requests without an answer, until it is known whether the network is to blame.
    held: Vec<CompletedRequest>,
    failure: Option<FetchError>,
}

impl<'c> Worker<'c> {
    pub(crate) fn new(
        shared: &'c Shared<'c>,
        notes: Sender<Note>,
        backlog: &'c Backlog,
    ) -> Result<Worker<'c>, FetchError> {
        let names = shared.names.clone();
        let client = Client::builder()
            .user_agent(shared.settings.user_agent())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(names.clone()))
            .connect_timeout(Duration::from_millis(shared.settings.connect_timeout_ms))
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(shared.settings.min_delay() * 2 + Duration::from_secs(5))
            .build()
            .map_err(FetchError::Client)?;
        Ok(Worker {
            shared,
            client,
            names,
            notes,
            backlog,
            queues: HashMap::new(),
            due: BinaryHeap::new(),
            turn: 0,
            concurrency: ConcurrencyLimit::new(requests_share(shared)),
            held: Vec::new(),
            failure: None,
        })
    }

    /// Fetches until nothing is left, or it is to stop; then waits for what is under way.
    pub(crate) async fn run(mut self) -> Result<(), FetchError> {
        let mut under_way = FuturesUnordered::new();
        loop {
            let is_ending = self.shared.is_ending() || self.failure.is_some();
            self.resolve_doubt(under_way.len());
            if !is_ending {
                self.take_hosts()?;
                while under_way.len() < self.concurrency.requests()
                    && let Some((host, job)) = self.next_request()
                {
                    under_way.push(ask(self.shared, self.client.clone(), self.names.clone(), host, job));
                    self.shared.monitor.under_way.fetch_add(1, Relaxed);
                }
            }
            if under_way.is_empty() && (is_ending || self.queues.is_empty()) {
                break;
            }
            let wakes = self.due.peek().map_or(MAX_SLEEP, |Reverse((at, ..))| {
                at.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), MAX_SLEEP)
            });
            tokio::select! {
                Some(completed) = under_way.next(), if !under_way.is_empty() => {
                    self.shared.monitor.under_way.fetch_sub(1, Relaxed);
                    self.complete(completed, under_way.len());
                }
                () = tokio::time::sleep(wakes) => {}
            }
        }
        for completed in std::mem::take(&mut self.held) {
            self.ask_later(completed);
        }
        for host in self.queues.keys() {
            self.shared.hosts.leave(host);
        }
        self.shared.monitor.hosts.fetch_sub(self.queues.len() as i64, Relaxed);
        self.failure.map_or(Ok(()), Err)
    }

    /// Begins hosts of the list until enough are under way.
    fn take_hosts(&mut self) -> Result<(), FetchError> {
        let max_hosts = self.shared.settings.max_concurrent_hosts.div_ceil(self.shared.workers as usize);
        while self.queues.len() < max_hosts
            && let Some(site) = self.shared.next_site()
        {
            let mut cursor = self.shared.frontier.cursor(site);
            let Some((id, row)) = self.next_undone(&mut cursor)? else { continue };
            let host: Box<str> = row.host.as_str().into();
            let job = self.job(id, row);
            let queue = self.queue(&host);
            queue.own = Some(cursor);
            queue.first.extend(job);
        }
        Ok(())
    }

    /// The next link of a host that has no outcome from an earlier process.
    fn next_undone(&self, cursor: &mut Cursor) -> Result<Option<(u64, Row)>, FetchError> {
        for row in cursor {
            let (id, row) = row?;
            if !self.shared.completed.contains(id) {
                return Ok(Some((id, row)));
            }
        }
        Ok(None)
    }

    /// A link that is begun; none when its outcome is clear at once.
    fn job(&self, id: u64, row: Row) -> Option<Job> {
        let refusal = match Url::parse(&row.url) {
            _ if row.is_over => refusal_over_budget(),
            Err(error) => Refusal::new(Reason::MalformedUrl, error.to_string()),
            Ok(url) => {
                return Some(Job {
                    id,
                    row,
                    url: exchange::without_user(url),
                    via: Vec::new(),
                    tries: 0,
                    last: None,
                    silent_since: None,
                });
            }
        };
        self.note(Note::Finished(Box::new(Finished {
            id,
            row,
            url: None,
            result: Err(refusal),
            via: Vec::new(),
            signals: Vec::new(),
        })));
        None
    }

    /// The queue of a host, which is begun if there is none.
    fn queue(&mut self, host: &str) -> &mut Queue {
        if !self.queues.contains_key(host) {
            self.queues.insert(host.into(), Queue::default());
            self.shared.hosts.enter(host);
            self.shared.monitor.hosts.fetch_add(1, Relaxed);
            self.put_back(host.into(), Instant::now());
        }
        self.queues.get_mut(host).expect("it is there")
    }

    fn put_back(&mut self, host: Box<str>, at: Instant) {
        self.turn += 1;
        self.due.push(Reverse((at, self.turn, host)));
    }

    /// The next link that may be asked for now, its host claimed.
    fn next_request(&mut self) -> Option<(Box<str>, Job)> {
        let now = Instant::now();
        let has_room = self.shared.arriving_bytes.load(Relaxed) < MAX_ARRIVING_BYTES;
        if !has_room || self.concurrency.resumes_at() > now || self.shared.monitor.cannot_write() {
            return None;
        }
        let probe = self.shared.network.probe(now);
        match probe {
            NetworkProbe::NotNeeded | NetworkProbe::AskOneHost => {}
            NetworkProbe::Wait => return None,
            NetworkProbe::Connect(address) => {
                let limit = Duration::from_millis(self.shared.settings.connect_timeout_ms);
                tokio::spawn(request::probe(self.shared.network.clone(), address, limit));
                return None;
            }
        }
        while let Some(Reverse((at, ..))) = self.due.peek() {
            if *at > now || self.is_backlog_full() {
                return None;
            }
            let Reverse((_, _, host)) = self.due.pop()?;
            if let Some(job) = self.take_turn(&host, now) {
                if probe == NetworkProbe::AskOneHost {
                    self.shared.network.probes_by_asking(now);
                }
                return Some((host, job));
            }
        }
        None
    }

    /// A host's turn: its next link that needs a request and may have it. Otherwise the host is put back, or is done.
    fn take_turn(&mut self, host: &str, now: Instant) -> Option<Job> {
        for _ in 0..LINKS_PER_TURN {
            // A host that forbids everything may have millions of links, whose outcomes must not wait in memory.
            if self.is_backlog_full() {
                break;
            }
            let job = match self.next_job(host) {
                Next::Job(job) => *job,
                Next::Finished => continue,
                Next::Nothing => {
                    self.drop_queue(host);
                    return None;
                }
            };
            let Some(job) = self.allowed(job) else { continue };
            match self.shared.hosts.claim(host, self.shared.limits(), now) {
                Claim::Granted => {
                    self.queue(host).crowded = 0;
                    return Some(job);
                }
                Claim::GivenUp(faults) => {
                    // A link that was asked for has a reason of its own.
                    let mut job = job;
                    let given_up = || Refusal::new(Reason::HostGivenUp, format!("{faults} faults in a row"));
                    let refusal = job.last.take().unwrap_or_else(given_up);
                    self.finish(job, Err(refusal));
                }
                Claim::Later(at) => {
                    self.queue(host).first.push_front(job);
                    self.put_back(host.into(), at);
                    return None;
                }
                Claim::Crowded => {
                    self.crowded(host.into(), job);
                    return None;
                }
            }
        }
        self.put_back(host.into(), now);
        None
    }

    /// A host whose domain or address has its share of requests is asked for less and less often.
    fn crowded(&mut self, host: Box<str>, job: Job) {
        let queue = self.queue(&host);
        queue.first.push_front(job);
        queue.crowded += 1;
        let wait = CROWDED_PAUSE * 2u32.pow(queue.crowded.min(MAX_CROWDED_DOUBLINGS) - 1);
        self.put_back(host, Instant::now() + wait);
    }

    fn next_job(&mut self, host: &str) -> Next {
        let queue = self.queue(host);
        if let Some(job) = queue.first.pop_front() {
            return Next::Job(Box::new(job));
        }
        if queue.again.len() < MAX_RETRY_QUEUE
            && let Some(mut cursor) = queue.own.take()
        {
            match self.next_undone(&mut cursor) {
                Ok(None) => {}
                Ok(Some((id, row))) => {
                    let job = self.job(id, row);
                    self.queue(host).own = Some(cursor);
                    return job.map_or(Next::Finished, |job| Next::Job(Box::new(job)));
                }
                Err(error) => self.failure = Some(error),
            }
        }
        self.queue(host).again.pop_front().map_or(Next::Nothing, |job| Next::Job(Box::new(job)))
    }

    fn is_backlog_full(&self) -> bool {
        self.backlog.is_full(self.shared.settings)
    }

    fn drop_queue(&mut self, host: &str) {
        self.queues.remove(host);
        self.shared.monitor.hosts.fetch_sub(1, Relaxed);
        for name in self.shared.hosts.leave(host) {
            self.names.forget(&name);
        }
    }

    /// A link that neither its URL nor known rules forbid; otherwise it ends here.
    fn allowed(&self, job: Job) -> Option<Job> {
        if let Err(refusal) = check_url(&job.url) {
            self.finish(job, Err(refusal));
            return None;
        }
        let Some(rules) = self.shared.rules(&job.url) else { return Some(job) };
        if let Some((reason, detail)) = rules.refusal(&job.url) {
            self.finish(job, Err(Refusal { is_passing: false, ..Refusal::new(reason, detail) }));
            return None;
        }
        let signals = rules.signals(&job.url);
        if let Some((_, line)) = signals.iter().find(|(signal, _)| self.shared.settings.honour.contains(*signal)) {
            self.finish(job, Err(Refusal::new(Reason::OptedOut, line.clone())));
            return None;
        }
        Some(job)
    }

    /// After this machine ran out of files or ports: fewer concurrent requests.
    fn decrease_concurrency(&mut self, under_way: usize, refusal: &Refusal) {
        self.concurrency.decrease(under_way, Instant::now());
        let line = format!("{}; going on with {} concurrent requests", refusal.detail, self.concurrency.requests());
        self.shared.monitor.log(line);
    }

    /// What is silent may be the host or the network; until that is known, nothing is decided.
    fn complete(&mut self, mut completed: CompletedRequest, under_way: usize) {
        let network = self.shared.network;
        match completed.reachability() {
            Reachability::Answered(from) => network.answered(from),
            Reachability::Inconclusive => completed.job.silent_since = None,
            Reachability::Silent => {
                let settings = self.shared.settings;
                let since = *completed.job.silent_since.get_or_insert_with(|| Instant::now() - completed.took);
                let is_last = completed.job.tries + 1 >= settings.max_tries
                    || self.shared.hosts.consecutive_faults(&completed.host) + 1 >= settings.max_consecutive_faults;
                match network.silent(&completed.host, since, is_last) {
                    SilenceCause::Host => {}
                    SilenceCause::Undecided => return self.held.push(completed),
                    SilenceCause::Network => return self.ask_later(completed),
                }
            }
        }
        self.settle(completed, under_way);
    }

    /// What was held back is the host's fault when the network works, and no host's when it does not.
    fn resolve_doubt(&mut self, under_way: usize) {
        let (network, monitor) = (self.shared.network, self.shared.monitor);
        if network.is_out() {
            monitor.pause(
                Pauser::Network,
                "no host can be reached; is there a network? Fetching goes on when one answers".into(),
            );
            for completed in std::mem::take(&mut self.held) {
                self.ask_later(completed);
            }
            return;
        }
        monitor.unpause(Pauser::Network);
        if !network.is_in_doubt() {
            for completed in std::mem::take(&mut self.held) {
                self.settle(completed, under_way);
            }
        }
    }

    /// Puts a link back as if it had not been asked for.
    fn ask_later(&mut self, completed: CompletedRequest) {
        let CompletedRequest { host, mut job, took, .. } = completed;
        job.silent_since = None;
        let rest = self.pause(took, None, None);
        self.queue(&host).first.push_front(job);
        self.release(host, rest, Fault::Unknown);
    }

    /// What a request's end means for its host and for its link.
    fn settle(&mut self, completed: CompletedRequest, under_way: usize) {
        let CompletedRequest { host, mut job, end, took } = completed;
        let now = Instant::now();
        match end {
            End::NotAsked => {
                self.shared.hosts.release(&host, now, Fault::Unknown);
                self.crowded(host, job);
            }
            End::Rules(rules) => self.answered_rules(host, job, rules, took),
            End::Failed(refusal) if refusal.own_fault.is_some() => {
                self.shared.hosts.release(&host, now, Fault::Unknown);
                self.queue(&host).first.push_front(job);
                self.put_back(host, now + OWN_FAULT_PAUSE);
                self.decrease_concurrency(under_way, &refusal);
            }
            End::Failed(refusal) => {
                let rules = self.shared.rules(&job.url);
                let rest = self.pause(took, rules.as_deref(), None);
                job.tries += 1;
                // A link that goes on failing says nothing new of its host.
                let fault = if refusal.is_passing && job.tries == 1 { Fault::One } else { Fault::Unknown };
                let is_last = !refusal.is_passing || job.tries >= self.shared.settings.max_tries;
                if is_last {
                    self.finish(job, Err(refusal));
                } else {
                    job.last = Some(refusal);
                    self.queue(&host).again.push_back(job);
                }
                self.release(host, rest, fault);
            }
            End::Answered(page) => self.answered(host, job, *page),
        }
    }

    /// An origin's rules are known now, unless they could not be read: then they are asked for again, and after the
    /// last try nothing is allowed there.
    fn answered_rules(&mut self, host: Box<str>, mut job: Job, rules: RulesAnswer, took: Duration) {
        let RulesAnswer { answer, retry_after, .. } = rules;
        let is_passing = match &answer {
            Answer::Unreachable(reason, _) => !matches!(reason, Reason::AddressRefused | Reason::TlsFault),
            Answer::Text(_) | Answer::Absent => false,
        };
        job.tries += 1;
        let fault = match (is_passing, job.tries) {
            (false, _) => Fault::None,
            (true, 1) => Fault::One,
            (true, _) => Fault::Unknown,
        };
        let mut rest = self.pause(took, None, retry_after);
        if !is_passing || job.tries >= self.shared.settings.max_tries {
            let rules = Rules::of(&answer);
            rest = self.pause(took, Some(&rules), retry_after);
            self.shared.hosts.set_rules(&job.url, rules, Instant::now() + robots::BELIEVED_FOR);
            self.note(Note::Robots { origin: origin_of(&job.url).to_owned(), answer });
            job.tries = 0;
        }
        self.queue(&host).first.push_front(job);
        self.release(host, rest, fault);
    }

    fn answered(&mut self, host: Box<str>, mut job: Job, page: Page) {
        self.concurrency.answered();
        let rules = self.shared.rules(&job.url);
        let is_busy = page.is_busy();
        let retry_after = page.retry_after();
        let rest = self.pause(page.took, rules.as_deref(), retry_after);
        let is_fault = page.status.is_server_error() || is_busy;
        self.shared.monitor.bytes.fetch_add(page.body.len() as u64, Relaxed);
        job.tries += 1;
        let is_first = job.tries == 1;
        if is_busy && job.tries < self.shared.settings.max_tries {
            let detail = format!("status {}", page.status.as_u16());
            let refusal = Refusal::new(Reason::HttpStatus, detail);
            job.last = Some(Refusal { status: Some(page.status.as_u16()), ..refusal });
            self.queue(&host).first.push_front(job);
        } else if page.status.is_redirection() && page.target().is_some() {
            self.redirect(job, &page);
        } else {
            let mut signals = signals::of_headers(&page.headers);
            let result = self.accepted(page, &signals);
            signals.extend(rules.map(|rules| rules.signals(&job.url)).unwrap_or_default());
            self.finish_with(job, result, signals.into_iter().map(|(_, line)| line).collect());
        }
        let fault = match (is_fault, is_first) {
            (false, _) => Fault::None,
            (true, true) => Fault::One,
            (true, false) => Fault::Unknown,
        };
        self.release(host, rest, fault);
    }

    /// Moves a link into the queue of the host that a redirect names, each hop through its rules and pause.
    fn redirect(&mut self, mut job: Job, page: &Page) {
        let target = page.target().expect("the caller has looked");
        let refuse = |reason, detail: String| Refusal {
            status: Some(page.status.as_u16()),
            is_passing: false,
            ..Refusal::new(reason, detail)
        };
        job.via.push(job.url.clone());
        let refusal = if job.via.contains(&target) {
            Some(refuse(Reason::TooManyRedirects, "the redirects go in a circle".into()))
        } else if job.via.len() > self.shared.settings.max_redirects {
            let max = self.shared.settings.max_redirects;
            Some(refuse(Reason::TooManyRedirects, format!("more than {max} redirects")))
        } else if exchange::repeats_itself(&target) {
            Some(refuse(Reason::TooManyRedirects, format!("{target} repeats itself")))
        } else {
            check_url(&target).err()
        };
        job.url = target;
        job.tries = 0;
        job.last = None;
        job.silent_since = None;
        match refusal {
            Some(refusal) => self.finish(job, Err(refusal)),
            None => {
                let host: Box<str> = host_of(&job.url).into();
                let queue = self.queue(&host);
                if queue.first.len() >= MAX_REDIRECTED_LINKS {
                    let detail = format!("{MAX_REDIRECTED_LINKS} links that were led to {host} wait for it");
                    return self.finish(job, Err(refuse(Reason::TooManyRedirects, detail)));
                }
                queue.first.push_back(job);
            }
        }
    }

    /// The policy on what arrived: status, signals, type, size.
    fn accepted(&self, page: Page, found: &[(signals::Signal, String)]) -> Result<Page, Refusal> {
        let refuse = |reason, detail: String| {
            let refusal = Refusal::new(reason, detail);
            Err(Refusal { status: Some(page.status.as_u16()), is_passing: false, ..refusal })
        };
        if page.status != StatusCode::OK {
            return refuse(Reason::HttpStatus, format!("status {}", page.status.as_u16()));
        }
        if let Some((_, line)) = found.iter().find(|(signal, _)| self.shared.settings.honour.contains(*signal)) {
            return refuse(Reason::OptedOut, line.clone());
        }
        if !exchange::is_html(&page.headers, &page.body) {
            return refuse(Reason::NotHtml, page.content_type().unwrap_or_default());
        }
        exchange::check_decoded_size(&page, self.shared.settings.max_decoded_bytes)?;
        Ok(page)
    }

    /// How long the host is not asked: the setting, five times its answer's time, its Crawl-delay, or
    /// the Retry-After of a host that is busy; whichever is longest, up to the limit.
    fn pause(&self, took: Duration, rules: Option<&Rules>, retry_after: Option<Duration>) -> Duration {
        let settings = self.shared.settings;
        // Slow answers lengthen the pause tenfold at most.
        let adapted = settings.min_delay().max((5 * took).min(10 * settings.min_delay()));
        let crawl_delay = rules.map(Rules::crawl_delay).unwrap_or_default();
        adapted.max(crawl_delay).max(retry_after.unwrap_or_default()).min(settings.max_delay())
    }

    /// Ends a claim and puts the host back. Faults in a row double the pause each.
    fn release(&mut self, host: Box<str>, rest: Duration, fault: Fault) {
        let settings = self.shared.settings;
        let before = self.shared.hosts.consecutive_faults(&host) + u32::from(fault == Fault::One);
        let doubled = if fault == Fault::None { rest } else { rest * 2u32.pow(before.saturating_sub(1).min(10)) };
        let until = Instant::now() + doubled.min(settings.max_delay().max(rest));
        let consecutive_faults = self.shared.hosts.release(&host, until, fault);
        self.note(Note::Rest { host: host.clone(), until, consecutive_faults });
        self.put_back(host, until);
    }

    fn finish(&self, job: Job, result: Result<Page, Refusal>) {
        self.finish_with(job, result, Vec::new());
    }

    fn finish_with(&self, job: Job, result: Result<Page, Refusal>, signals: Vec<String>) {
        if let Ok(page) = &result {
            self.shared.count_page(page.body.len() as u64);
        }
        self.note(Note::Finished(Box::new(Finished {
            id: job.id,
            row: job.row,
            url: Some(job.url),
            result,
            via: job.via,
            signals,
        })));
    }

    fn note(&self, note: Note) {
        self.backlog.add(&note);
        // The page writer ends early only with an error, which ends the fetch.
        let _ = self.notes.send(note);
    }
}

/// A worker's share of the requests that may be under way.
fn requests_share(shared: &Shared<'_>) -> usize {
    shared.settings.max_concurrent_requests.div_ceil(shared.workers as usize)
}

/// Why a link over its domain's share has no page.
fn refusal_over_budget() -> Refusal {
    Refusal::new(Reason::OverBudget, "the domain has its share of pages")
}
