//! One worker: sends requests to the hosts that are due, and never sleeps on a host.
//!
//! A worker takes the host that is due first, claims it, sends one request, and puts it back with the time of its next
//! request. What a finished request means is decided in [`crate::settle`].

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use records::Reason;
use url::Url;

use crate::aimd::ConcurrencyLimit;
use crate::backlog::{Backlog, Finished, Note};
use crate::error::FetchError;
use crate::frontier::FrontierRow;
use crate::host_queues::{HostQueues, Job, MAX_SLEEP, NextLink};
use crate::host_registry::Claim;
use crate::http_client::HttpClient;
use crate::network::NetworkProbe;
use crate::page::Page;
use crate::refusal::Refusal;
use crate::request::{self, CompletedRequest};
use crate::shared::Shared;
use crate::target_url::{check_url, without_user};

/// Links of one host that may get their outcome without a request before other hosts have their turn.
const MAX_LINKS_PER_TURN: usize = 256;
/// While bodies of this size are arriving, no request starts. Without a limit, 512 bodies of the largest size could take
/// 10 GiB of memory.
const MAX_ARRIVING_BYTES: u64 = 512 << 20;

/// A worker with its queues.
pub(crate) struct Worker<'c> {
    pub(crate) shared: &'c Shared<'c>,
    client: HttpClient,
    notes: Sender<Note>,
    backlog: &'c Backlog,
    pub(crate) queues: HostQueues<'c>,
    /// Requests that may be in flight.
    pub(crate) concurrency: ConcurrencyLimit,
    /// Silent requests, until it is known whether the network is down.
    pub(crate) undecided: Vec<CompletedRequest>,
    failure: Option<FetchError>,
}

impl<'c> Worker<'c> {
    pub(crate) fn new(
        shared: &'c Shared<'c>,
        notes: Sender<Note>,
        backlog: &'c Backlog,
    ) -> Result<Worker<'c>, FetchError> {
        let max_requests = shared.settings.max_concurrent_requests.div_ceil(shared.workers as usize);
        Ok(Worker {
            shared,
            client: HttpClient::new(shared.settings, shared.resolver)?,
            notes,
            backlog,
            queues: HostQueues::new(shared),
            concurrency: ConcurrencyLimit::new(max_requests),
            undecided: Vec::new(),
            failure: None,
        })
    }

    /// Crawls until no link is left or the crawl is ending, then waits for the requests in flight.
    pub(crate) async fn run(mut self) -> Result<(), FetchError> {
        let mut in_flight = FuturesUnordered::new();
        loop {
            let is_ending = self.shared.is_ending() || self.failure.is_some();
            self.decide_silences(in_flight.len());
            if !is_ending {
                self.begin_hosts()?;
                while in_flight.len() < self.concurrency.requests()
                    && let Some((host, job)) = self.next_request()
                {
                    let (client, resolver) = (self.client.clone(), self.shared.resolver.clone());
                    in_flight.push(request::request(self.shared, client, resolver, host, job));
                    self.shared.monitor.in_flight.fetch_add(1, Relaxed);
                }
            }
            if in_flight.is_empty() && (is_ending || self.queues.is_empty()) {
                break;
            }
            tokio::select! {
                Some(completed) = in_flight.next(), if !in_flight.is_empty() => {
                    self.shared.monitor.in_flight.fetch_sub(1, Relaxed);
                    self.complete(completed, in_flight.len());
                }
                () = tokio::time::sleep(self.time_to_next_due()) => {}
            }
        }
        for completed in std::mem::take(&mut self.undecided) {
            self.postpone(completed);
        }
        self.queues.remove_all();
        self.failure.map_or(Ok(()), Err)
    }

    fn time_to_next_due(&self) -> Duration {
        self.queues.next_due().map_or(MAX_SLEEP, |at| {
            at.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), MAX_SLEEP)
        })
    }

    /// Begins hosts of the list until this worker has its share of them.
    fn begin_hosts(&mut self) -> Result<(), FetchError> {
        let max_hosts = self.shared.settings.max_concurrent_hosts.div_ceil(self.shared.workers as usize);
        while self.queues.len() < max_hosts
            && let Some(site) = self.shared.next_site()
        {
            self.queues.begin(site)?;
        }
        Ok(())
    }

    /// The next link that may be requested now, its host claimed.
    fn next_request(&mut self) -> Option<(Box<str>, Job)> {
        let now = Instant::now();
        let has_room = self.shared.arriving_bytes.load(Relaxed) < MAX_ARRIVING_BYTES;
        if !has_room || self.concurrency.resumes_at() > now || self.shared.monitor.cannot_write() {
            return None;
        }
        let probe = self.shared.network.probe(now);
        match probe {
            NetworkProbe::NotNeeded | NetworkProbe::RequestOneHost => {}
            NetworkProbe::Wait => return None,
            NetworkProbe::Connect(address) => {
                let timeout = Duration::from_millis(self.shared.settings.connect_timeout_ms);
                tokio::spawn(request::probe(self.shared.network.clone(), address, timeout));
                return None;
            }
        }
        while !self.is_backlog_full() {
            let host = self.queues.pop_due(now)?;
            if let Some(job) = self.take_turn(&host, now) {
                if probe == NetworkProbe::RequestOneHost {
                    self.shared.network.note_request_probe(now);
                }
                return Some((host, job));
            }
        }
        None
    }

    /// The next link of a host that needs a request and may have it now. Without one, the host is put back or removed.
    fn take_turn(&mut self, host: &str, now: Instant) -> Option<Job> {
        for _ in 0..MAX_LINKS_PER_TURN {
            // A host that forbids everything may have millions of links, whose outcomes must not wait in memory.
            if self.is_backlog_full() {
                break;
            }
            let job = match self.queues.next_link(host) {
                Ok(NextLink::Begun(job)) => Some(*job),
                Ok(NextLink::New(id, row)) => self.begin_link(id, row),
                Ok(NextLink::None) => {
                    for name in self.queues.remove(host) {
                        self.shared.resolver.forget(&name);
                    }
                    return None;
                }
                Err(error) => {
                    self.failure = Some(error.into());
                    return None;
                }
            };
            let Some(mut job) = job.and_then(|job| self.allowed(job)) else { continue };
            match self.shared.hosts.claim(host, self.shared.limits(), now) {
                Claim::Granted => {
                    self.queues.note_claimed(host);
                    job.reading = job.reading.max(self.queues.queue(host).reading);
                    return Some(job);
                }
                Claim::GivenUp(faults) => {
                    // A link that was requested before keeps the reason of its last try.
                    tracing::debug!("{}: the host is given up after {faults} faults in a row", job.url);
                    let given_up = || Refusal::new(Reason::HostGivenUp, format!("{faults} faults in a row"));
                    let refusal = job.last.take().unwrap_or_else(given_up);
                    self.finish(job, Err(refusal));
                }
                Claim::Later(at) => {
                    self.queues.queue(host).first.push_front(job);
                    self.queues.put_back(host.into(), at);
                    return None;
                }
                Claim::Crowded => {
                    self.queues.put_back_crowded(host.into(), job);
                    return None;
                }
            }
        }
        self.queues.put_back(host.into(), now);
        None
    }

    /// Begins a link of the list; `None` if it has its outcome without a request.
    fn begin_link(&self, id: u64, row: FrontierRow) -> Option<Job> {
        let refusal = match Url::parse(&row.url) {
            _ if row.is_over => Refusal::new(Reason::OverBudget, "the domain has its share of pages"),
            Err(error) => Refusal::new(Reason::MalformedUrl, error.to_string()),
            Ok(url) => return Some(Job::new(id, row, without_user(url))),
        };
        let (via, signals) = (Vec::new(), Vec::new());
        self.note(Note::Finished(Box::new(Finished { id, row, url: None, result: Err(refusal), via, signals })));
        None
    }

    /// The link, unless its URL or the known rules forbid it: then it gets its outcome here.
    fn allowed(&self, job: Job) -> Option<Job> {
        match self.refusal_before_request(&job.url) {
            None => Some(job),
            Some(refusal) => {
                self.finish(job, Err(refusal));
                None
            }
        }
    }

    fn refusal_before_request(&self, url: &Url) -> Option<Refusal> {
        if let Err(refusal) = check_url(url) {
            return Some(refusal);
        }
        let rules = self.shared.rules(url)?;
        if let Some((reason, detail)) = rules.refusal(url) {
            return Some(Refusal::permanent(reason, detail));
        }
        let signals = rules.signals(url);
        let honoured = signals.into_iter().find(|(signal, _)| self.shared.settings.honour.contains(*signal));
        honoured.map(|(_, line)| Refusal::new(Reason::OptedOut, line))
    }

    fn is_backlog_full(&self) -> bool {
        self.backlog.is_full(self.shared.settings)
    }

    /// Gives a link its outcome.
    pub(crate) fn finish(&self, job: Job, result: Result<Page, Refusal>) {
        self.finish_with(job, result, Vec::new());
    }

    /// Gives a link its outcome, with the signals that its host sent.
    pub(crate) fn finish_with(&self, job: Job, result: Result<Page, Refusal>, signals: Vec<String>) {
        if let Ok(page) = &result {
            self.shared.count_page(page.body.len() as u64);
        }
        let Job { id, row, url, via, .. } = job;
        self.note(Note::Finished(Box::new(Finished { id, row, url: Some(url), result, via, signals })));
    }

    /// Sends a message to the page writer.
    pub(crate) fn note(&self, note: Note) {
        self.backlog.add(&note);
        // The page writer ends early only with an error, and that ends the crawl.
        let _ = self.notes.send(note);
    }
}
