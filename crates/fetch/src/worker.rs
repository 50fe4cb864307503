//! One worker: a heap of hosts on the time at which each may be asked again, and the requests under way.
//!
//! A worker never sleeps on a host. It takes the host that is due next, sends it one request, and puts it back with
//! the time of the next; a redirect to another host moves the link into that host's queue.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
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
use crate::archive::{Backlog, Finished, Note, refusal_over_budget};
use crate::error::FetchError;
use crate::exchange::{self, Page, Refusal, Wanted, check_url, exchange};
use crate::frontier::{Cursor, Row};
use crate::hosts::{Claim, Fault, host_of, origin_of};
use crate::monitor::Pauser;
use crate::network::{Look, Network, Silence};
use crate::robots::{self, Answer, Rules};
use crate::shared::Shared;
use crate::signals;

/// How soon a worker looks again whether it is to stop.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Links of one host that get their outcome without a request before others have their turn.
const LINKS_A_TURN: usize = 256;
/// How soon a host is tried again whose domain or address has its share of requests, and how often that doubles.
const CROWDED: Duration = Duration::from_millis(50);
const CROWDED_DOUBLINGS: u32 = 6;
/// Links to be tried again that a host may have before they come first.
const AGAIN_MAX: usize = 64;
/// So many good answers allow one more request at once, after the number had to be lowered.
const WELL_FOR_ONE_MORE: usize = 16;
/// While so many bytes of bodies are arriving, nothing new is asked for: 512 bodies of the largest size are 10 GiB.
const ARRIVING_MAX_BYTES: u64 = 512 << 20;
/// Links that redirects have led to one host and that wait for it; more of them are the work of a trap, or of a seller
/// of domains.
const REDIRECTED_MAX: usize = 10_000;
/// How long nothing new is begun after this machine ran out of files or ports.
const OWN_FAULT_PAUSE: Duration = Duration::from_millis(500);

/// A link on its way.
struct Job {
    id: u64,
    row: Row,
    /// The URL to ask for next.
    url: Url,
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

/// A request's end.
struct Landed {
    host: Box<str>,
    job: Job,
    end: End,
    took: Duration,
}

impl Landed {
    fn heard(&self) -> Heard {
        match &self.end {
            End::Answered(page) => Heard::Somebody(page.address),
            End::Rules(rules) => rules.heard,
            End::Failed(refusal) => Heard::of(refusal),
            End::NotAsked => Heard::Something,
        }
    }
}

/// What a request brought to ear.
#[derive(Clone, Copy)]
enum Heard {
    /// An answer, from there if that is known.
    Somebody(Option<SocketAddr>),
    /// Something that tells neither of the host nor of the network.
    Something,
    /// Nothing at all.
    Nothing,
}

impl Heard {
    fn of(refusal: &Refusal) -> Heard {
        if refusal.is_silence { Heard::Nothing } else { Heard::Something }
    }
}

enum End {
    /// It was not asked: its address has its share of requests already, or the whole is to stop.
    NotAsked,
    /// robots.txt came first.
    Rules(RulesAnswer),
    Answered(Box<Page>),
    Failed(Refusal),
}

/// What came of asking for a robots.txt.
struct RulesAnswer {
    answer: Answer,
    /// How long who answered wants to be left in peace.
    retry_after: Option<Duration>,
    heard: Heard,
}

impl RulesAnswer {
    fn of_refusal(refusal: Refusal) -> RulesAnswer {
        let heard = Heard::of(&refusal);
        RulesAnswer { answer: Answer::Unreachable(refusal.reason, refusal.detail), retry_after: None, heard }
    }

    fn absent() -> RulesAnswer {
        RulesAnswer { answer: Answer::Absent, retry_after: None, heard: Heard::Something }
    }
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
    requests_max: usize,
    /// Requests that went well since the number was lowered or raised.
    well: usize,
    resumes_at: Instant,
    /// Requests without an answer, until it is known whether the network is to blame.
    held: Vec<Landed>,
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
            .pool_idle_timeout(shared.settings.delay() * 2 + Duration::from_secs(5))
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
            requests_max: requests_share(shared),
            well: 0,
            resumes_at: Instant::now(),
            held: Vec::new(),
            failure: None,
        })
    }

    /// Fetches until nothing is left, or it is to stop; then waits for what is under way.
    pub(crate) async fn run(mut self) -> Result<(), FetchError> {
        let mut flights = FuturesUnordered::new();
        loop {
            let is_ending = self.shared.is_ending() || self.failure.is_some();
            self.look_at_network(flights.len());
            if !is_ending {
                self.take_hosts()?;
                while flights.len() < self.requests_max
                    && let Some((host, job)) = self.next_request()
                {
                    flights.push(ask(self.shared, self.client.clone(), self.names.clone(), host, job));
                    self.shared.monitor.under_way.fetch_add(1, Relaxed);
                }
            }
            if flights.is_empty() && (is_ending || self.queues.is_empty()) {
                break;
            }
            let wakes = self.due.peek().map_or(LOOK_AGAIN, |Reverse((at, ..))| {
                at.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), LOOK_AGAIN)
            });
            tokio::select! {
                Some(landed) = flights.next(), if !flights.is_empty() => {
                    self.shared.monitor.under_way.fetch_sub(1, Relaxed);
                    self.hear(landed, flights.len());
                }
                () = tokio::time::sleep(wakes) => {}
            }
        }
        for landed in std::mem::take(&mut self.held) {
            self.ask_later(landed);
        }
        for host in self.queues.keys() {
            self.shared.hosts.leave(host);
        }
        self.shared.monitor.hosts.fetch_sub(self.queues.len() as i64, Relaxed);
        self.failure.map_or(Ok(()), Err)
    }

    /// Begins hosts of the list until enough are under way.
    fn take_hosts(&mut self) -> Result<(), FetchError> {
        let most = self.shared.settings.hosts_at_once.div_ceil(self.shared.workers as usize);
        while self.queues.len() < most
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
            if !self.shared.done.contains(id) {
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
        let has_room = self.shared.arriving_bytes.load(Relaxed) < ARRIVING_MAX_BYTES;
        if !has_room || self.resumes_at > now || self.shared.monitor.cannot_write() {
            return None;
        }
        let look = self.shared.network.look(now);
        match look {
            Look::Well | Look::ByAsking => {}
            Look::Wait => return None,
            Look::At(address) => {
                let limit = Duration::from_millis(self.shared.settings.connect_timeout_ms);
                tokio::spawn(look_at(self.shared.network.clone(), address, limit));
                return None;
            }
        }
        while let Some(Reverse((at, ..))) = self.due.peek() {
            if *at > now || self.is_backlog_full() {
                return None;
            }
            let Reverse((_, _, host)) = self.due.pop()?;
            if let Some(job) = self.take_turn(&host, now) {
                if look == Look::ByAsking {
                    self.shared.network.asks(now);
                }
                return Some((host, job));
            }
        }
        None
    }

    /// A host's turn: its next link that needs a request and may have it. Otherwise the host is put back, or is done.
    fn take_turn(&mut self, host: &str, now: Instant) -> Option<Job> {
        for _ in 0..LINKS_A_TURN {
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
            match self.shared.hosts.claim(host, self.shared.shares(), now) {
                Claim::Granted => {
                    self.queue(host).crowded = 0;
                    return Some(job);
                }
                Claim::GivenUp(faults) => {
                    // Who was asked for himself has a reason of his own.
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
        let wait = CROWDED * 2u32.pow(queue.crowded.min(CROWDED_DOUBLINGS) - 1);
        self.put_back(host, Instant::now() + wait);
    }

    fn next_job(&mut self, host: &str) -> Next {
        let queue = self.queue(host);
        if let Some(job) = queue.first.pop_front() {
            return Next::Job(Box::new(job));
        }
        if queue.again.len() < AGAIN_MAX
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

    /// After this machine ran out of files or ports: fewer requests at once, and one more again for each few that go
    /// well.
    fn make_do(&mut self, under_way: usize, refusal: &Refusal) {
        self.requests_max = (under_way / 2).max(1);
        self.well = 0;
        self.resumes_at = Instant::now() + OWN_FAULT_PAUSE;
        let line = format!("{}; going on with {} requests at once", refusal.detail, self.requests_max);
        self.shared.monitor.say(line);
    }

    fn recover(&mut self) {
        self.well += 1;
        if self.well >= WELL_FOR_ONE_MORE && self.requests_max < requests_share(self.shared) {
            self.requests_max += 1;
            self.well = 0;
        }
    }

    /// What is silent may be the host or the network; until that is known, nothing is decided.
    fn hear(&mut self, mut landed: Landed, under_way: usize) {
        let network = self.shared.network;
        match landed.heard() {
            Heard::Somebody(from) => network.heard(from),
            Heard::Something => landed.job.silent_since = None,
            Heard::Nothing => {
                let settings = self.shared.settings;
                let since = *landed.job.silent_since.get_or_insert_with(|| Instant::now() - landed.took);
                let is_last = landed.job.tries + 1 >= settings.tries_max
                    || self.shared.hosts.faults_in_a_row(&landed.host) + 1 >= settings.faults_in_a_row_max;
                match network.silent(&landed.host, since, is_last) {
                    Silence::Host => {}
                    Silence::Unclear => return self.held.push(landed),
                    Silence::Network => return self.ask_later(landed),
                }
            }
        }
        self.land(landed, under_way);
    }

    /// What was held back is the host's fault when the network is well, and nobody's when it is not.
    fn look_at_network(&mut self, under_way: usize) {
        let (network, monitor) = (self.shared.network, self.shared.monitor);
        if network.is_out() {
            monitor.pause(Pauser::Network, "nobody can be reached; is there a network? It is tried again".into());
            for landed in std::mem::take(&mut self.held) {
                self.ask_later(landed);
            }
            return;
        }
        monitor.unpause(Pauser::Network);
        if !network.is_in_doubt() {
            for landed in std::mem::take(&mut self.held) {
                self.land(landed, under_way);
            }
        }
    }

    /// Puts a link back as if it had not been asked for.
    fn ask_later(&mut self, landed: Landed) {
        let Landed { host, mut job, took, .. } = landed;
        job.silent_since = None;
        let rest = self.pause(took, None, None);
        self.queue(&host).first.push_front(job);
        self.release(host, rest, Fault::Unknown);
    }

    /// What a request's end means for its host and for its link.
    fn land(&mut self, landed: Landed, under_way: usize) {
        let Landed { host, mut job, end, took } = landed;
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
                self.make_do(under_way, &refusal);
            }
            End::Failed(refusal) => {
                let rules = self.shared.rules(&job.url);
                let rest = self.pause(took, rules.as_deref(), None);
                job.tries += 1;
                // A link that goes on failing says nothing new of its host.
                let fault = if refusal.is_passing && job.tries == 1 { Fault::One } else { Fault::Unknown };
                let is_last = !refusal.is_passing || job.tries >= self.shared.settings.tries_max;
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
        if !is_passing || job.tries >= self.shared.settings.tries_max {
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
        self.recover();
        let rules = self.shared.rules(&job.url);
        let is_busy = page.is_busy();
        let retry_after = page.retry_after();
        let rest = self.pause(page.took, rules.as_deref(), retry_after);
        let is_fault = page.status.is_server_error() || is_busy;
        self.shared.monitor.bytes.fetch_add(page.body.len() as u64, Relaxed);
        job.tries += 1;
        let is_first = job.tries == 1;
        if is_busy && job.tries < self.shared.settings.tries_max {
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
        } else if job.via.len() > self.shared.settings.redirects_max {
            let most = self.shared.settings.redirects_max;
            Some(refuse(Reason::TooManyRedirects, format!("more than {most} redirects")))
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
                if queue.first.len() >= REDIRECTED_MAX {
                    let detail = format!("{REDIRECTED_MAX} links that were led to {host} wait for it");
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
        if !exchange::is_html(&page.headers) {
            return refuse(Reason::NotHtml, page.content_type().unwrap_or_default());
        }
        exchange::check_decoded_size(&page, self.shared.settings.decoded_max_bytes)?;
        Ok(page)
    }

    /// How long the host is left in peace: the setting, five times its answer's time, its Crawl-delay, or
    /// the Retry-After of a host that is busy; whichever is longest, up to the limit.
    fn pause(&self, took: Duration, rules: Option<&Rules>, retry_after: Option<Duration>) -> Duration {
        let settings = self.shared.settings;
        // Slow answers lengthen the pause tenfold at most.
        let adapted = settings.delay().max((5 * took).min(10 * settings.delay()));
        let crawl_delay = rules.map(Rules::crawl_delay).unwrap_or_default();
        adapted.max(crawl_delay).max(retry_after.unwrap_or_default()).min(settings.delay_max())
    }

    /// Ends a claim and puts the host back. Faults in a row double the pause each.
    fn release(&mut self, host: Box<str>, rest: Duration, fault: Fault) {
        let settings = self.shared.settings;
        let before = self.shared.hosts.faults_in_a_row(&host) + u32::from(fault == Fault::One);
        let doubled = if fault == Fault::None { rest } else { rest * 2u32.pow(before.saturating_sub(1).min(10)) };
        let until = Instant::now() + doubled.min(settings.delay_max().max(rest));
        let faults_in_a_row = self.shared.hosts.release(&host, until, fault);
        self.note(Note::Rest { host: host.clone(), until, faults_in_a_row });
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
        // The archivist ends early only with an error, which ends the whole.
        let _ = self.notes.send(note);
    }
}

/// Finds out whether anybody takes connections at an address that has answered before.
async fn look_at(network: Arc<Network>, address: SocketAddr, limit: Duration) {
    match tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => network.heard(None),
        // Who refuses is there.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => network.heard(None),
        _ => network.looked_in_vain(),
    }
}

/// A worker's share of the requests that may be under way.
fn requests_share(shared: &Shared<'_>) -> usize {
    shared.settings.requests_at_once.div_ceil(shared.workers as usize)
}

/// Sends a claimed host one request: for its robots.txt, if that is not known, else for the link.
async fn ask(shared: &Shared<'_>, client: Client, names: Names, host: Box<str>, job: Job) -> Landed {
    let started = Instant::now();
    let limit = Duration::from_millis(shared.settings.connect_timeout_ms);
    let url = job.url.clone();
    let answer = async {
        let addresses = match names.look_up(url.host_str().unwrap_or(""), limit).await {
            // That holds for all of the host's links: as rules do, so that it is not found out for each of them.
            Err(refusal) if refusal.reason == Reason::AddressRefused => {
                return Ok(End::Rules(RulesAnswer::of_refusal(refusal)));
            }
            other => other?,
        };
        if !shared.hosts.settle_address(&host, addresses[0], shared.shares()) {
            return Ok(End::NotAsked);
        }
        if shared.rules(&url).is_none() {
            return Ok(ask_robots(shared, &client, &names, &url).await?.map_or(End::NotAsked, End::Rules));
        }
        shared.monitor.requests.fetch_add(1, Relaxed);
        let page = exchange(&client, &url, Wanted::Page, shared.settings, &shared.arriving_bytes).await;
        Ok(End::Answered(Box::new(page.map_err(|refusal| refusal.at(&addresses))?)))
    };
    let end = answer.await.unwrap_or_else(End::Failed);
    Landed { host, job, end, took: started.elapsed() }
}

/// An origin's robots.txt, redirects followed to wherever they lead; none when the whole is to stop before. An error
/// is this machine's own.
async fn ask_robots(
    shared: &Shared<'_>,
    client: &Client,
    names: &Names,
    url: &Url,
) -> Result<Option<RulesAnswer>, Refusal> {
    let Ok(mut at) = url.join("/robots.txt") else { return Ok(Some(RulesAnswer::absent())) };
    // RFC 9309 asks for at least five redirects, which may lead to other hosts.
    for hop in 0..=5 {
        if hop > 0 && host_of(&at) == host_of(url) {
            tokio::time::sleep(shared.settings.delay()).await;
        }
        let page = match ask_robots_at(shared, client, names, url, &at).await {
            Err(refusal) if refusal.own_fault.is_some() => return Err(refusal),
            Err(refusal) => return Ok(Some(RulesAnswer::of_refusal(refusal))),
            Ok(Some(page)) => page,
            Ok(None) => return Ok(None),
        };
        let (retry_after, heard) = (page.retry_after(), Heard::Somebody(page.address));
        let status = page.status.as_u16();
        let answer = match (status, page.target()) {
            (200..=299, _) => rules_text(page),
            (429 | 500.., _) => Answer::Unreachable(Reason::RobotsDisallowed, format!("status {status}")),
            (300..=399, Some(target)) => {
                at = target;
                continue;
            }
            _ => Answer::Absent,
        };
        return Ok(Some(RulesAnswer { answer, retry_after, heard }));
    }
    Ok(Some(RulesAnswer::absent()))
}

/// The text of a robots.txt that came: its first half mebibyte, decoded, if no part of that is missing.
fn rules_text(page: Page) -> Answer {
    if let Some(cut) = page.cut {
        // What is behind the break may forbid what is before it allows.
        let reason = if cut == exchange::Cut::Time { Reason::TimedOut } else { Reason::HttpFault };
        return Answer::Unreachable(reason, "it broke off".into());
    }
    // Asked for as it is; some servers compress all the same.
    match warc::http::decode_start(&page.body, &page.coding(), exchange::ROBOTS_MAX_BYTES) {
        Ok(plain) => Answer::Text(plain.unwrap_or(page.body)),
        Err(error) => Answer::Unreachable(Reason::RobotsDisallowed, error.to_string()),
    }
}

/// One hop on the way to a robots.txt; nothing when the whole is to stop before. Another host is claimed for it, and
/// left its pause; whoever waits for it too long gives up, since two hosts could be waiting for each other.
async fn ask_robots_at(
    shared: &Shared<'_>,
    client: &Client,
    names: &Names,
    url: &Url,
    at: &Url,
) -> Result<Option<Page>, Refusal> {
    check_url(at)?;
    let limit = Duration::from_millis(shared.settings.connect_timeout_ms);
    let other = (host_of(at) != host_of(url)).then(|| host_of(at).to_owned());
    if let Some(other) = &other {
        let gives_up = Instant::now() + Duration::from_millis(shared.settings.page_timeout_ms);
        loop {
            if shared.is_ending() {
                return Ok(None);
            }
            let now = Instant::now();
            match shared.hosts.claim(other, shared.shares(), now) {
                Claim::Granted => break,
                Claim::Later(when) if when < gives_up => {
                    tokio::time::sleep_until(when.min(now + LOOK_AGAIN).into()).await;
                }
                Claim::Crowded if now < gives_up => tokio::time::sleep(CROWDED).await,
                _ => return Err(Refusal::new(Reason::TimedOut, format!("{other}, where it is to be, is busy"))),
            }
        }
    }
    let page = async {
        let addresses = names.look_up(at.host_str().unwrap_or(""), limit).await?;
        shared.monitor.requests.fetch_add(1, Relaxed);
        let page = exchange(client, at, Wanted::Robots, shared.settings, &shared.arriving_bytes).await;
        page.map_err(|refusal| refusal.at(&addresses))
    };
    let page = page.await;
    if let Some(other) = &other {
        let retry_after = page.as_ref().ok().and_then(Page::retry_after).unwrap_or_default();
        let rest = shared.settings.delay().max(retry_after.min(shared.settings.delay_max()));
        shared.hosts.release(other, Instant::now() + rest, Fault::Unknown);
    }
    page.map(Some)
}
