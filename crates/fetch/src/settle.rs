//! What a finished request means for its link and its host: an outcome, a retry, a redirect, a pause.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use records::Reason;
use reqwest::StatusCode;

use crate::CrawlSettings;
use crate::backlog::Note;
use crate::host_queues::Job;
use crate::host_registry::{HostHealth, host_of, origin_of};
use crate::http_client::Reading;
use crate::monitor::Pauser;
use crate::network::SilenceCause;
use crate::pacing::{PauseRequest, pause, pause_after_faults};
use crate::page::Page;
use crate::refusal::Refusal;
use crate::request::{CompletedRequest, Reachability, RequestEnd};
use crate::robots::{self, RobotsAnswer, RobotsRules};
use crate::robots_request::RobotsReply;
use crate::signals::{self, UsageSignal};
use crate::target_url::{check_url, has_repeated_segments};
use crate::worker::Worker;

/// Links that redirects have led to one host and that wait for it. More of them come from a spider trap, or lead to
/// parked domains.
const MAX_REDIRECTED_LINKS: usize = 10_000;
/// Pause of a host after this machine ran out of file descriptors or ports.
const LOCAL_FAULT_PAUSE: Duration = Duration::from_millis(500);

impl Worker<'_> {
    /// Settles a finished request, unless it was silent and the network may be down.
    pub(crate) fn complete(&mut self, mut completed: CompletedRequest, in_flight: usize) {
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
                    SilenceCause::Undecided => return self.undecided.push(completed),
                    SilenceCause::Network => return self.postpone(completed),
                }
            }
        }
        self.settle(completed, in_flight);
    }

    /// Decides about silent requests once it is known whether the network is down: if it works, the hosts are at fault.
    pub(crate) fn decide_silences(&mut self, in_flight: usize) {
        let (network, monitor) = (self.shared.network, self.shared.monitor);
        if network.is_out() {
            let why = "no host can be reached: the network seems to be down; the crawl resumes when a host answers";
            monitor.pause(Pauser::Network, why.into());
            for completed in std::mem::take(&mut self.undecided) {
                self.postpone(completed);
            }
            return;
        }
        monitor.unpause(Pauser::Network);
        if !network.is_in_doubt() {
            for completed in std::mem::take(&mut self.undecided) {
                self.settle(completed, in_flight);
            }
        }
    }

    /// Puts a link back as if it had not been requested.
    pub(crate) fn postpone(&mut self, completed: CompletedRequest) {
        let CompletedRequest { host, mut job, took, .. } = completed;
        job.silent_since = None;
        let rest = self.pause(took, None, None);
        self.queues.queue(&host).first.push_front(job);
        self.release(host, rest, HostHealth::Unknown);
    }

    fn settle(&mut self, completed: CompletedRequest, in_flight: usize) {
        let CompletedRequest { host, job, end, took } = completed;
        tracing::trace!("{}: {end} after {} ms", job.url, took.as_millis());
        match end {
            RequestEnd::NotSent => {
                self.shared.hosts.release(&host, Instant::now(), HostHealth::Unknown);
                self.queues.put_back_crowded(host, job);
            }
            RequestEnd::Robots(reply) => self.settle_robots(host, job, reply, took),
            RequestEnd::Answered(page) => self.settle_page(host, job, *page),
            RequestEnd::Failed(refusal) if refusal.local_fault.is_some() => {
                self.settle_local_fault(host, job, &refusal, in_flight);
            }
            RequestEnd::Failed(refusal) => self.settle_failure(host, job, refusal, took),
        }
    }

    /// The origin's rules are known now, or could not be read. Then they are requested again, and after the last try
    /// nothing is allowed at the origin.
    fn settle_robots(&mut self, host: Box<str>, mut job: Job, reply: RobotsReply, took: Duration) {
        let RobotsReply { answer, retry_after, is_unreadable, .. } = reply;
        let is_transient = match &answer {
            RobotsAnswer::Unreachable(reason, _) => !matches!(reason, Reason::AddressRefused | Reason::TlsFault),
            RobotsAnswer::Text(_) | RobotsAnswer::Absent => false,
        };
        if is_unreadable {
            job.reading = Reading::Lenient;
        }
        job.tries += 1;
        let health = self.health_after(&job, is_transient);
        let mut rest = self.pause(took, None, retry_after);
        if !is_transient || job.tries >= self.shared.settings.max_tries {
            let rules = RobotsRules::of(&answer);
            tracing::debug!("{}: robots.txt {answer}", origin_of(&job.url));
            rest = self.pause(took, Some(&rules), retry_after);
            self.shared.hosts.set_rules(&job.url, rules, Instant::now() + robots::VALID_FOR);
            self.note(Note::Robots { origin: origin_of(&job.url).to_owned(), answer });
            job.tries = 0;
        }
        self.queues.queue(&host).first.push_front(job);
        self.release(host, rest, health);
    }

    fn settle_page(&mut self, host: Box<str>, mut job: Job, page: Page) {
        self.concurrency.answered();
        self.queues.queue(&host).reading = page.reading;
        let rules = self.shared.rules(&job.url);
        let is_busy = page.is_busy();
        let rest = self.pause(page.took, rules.as_deref(), page.retry_after());
        let is_fault = page.status.is_server_error() || is_busy;
        self.shared.monitor.bytes.fetch_add(page.body.len() as u64, Relaxed);
        job.tries += 1;
        let health = self.health_after(&job, is_fault);
        if is_busy && job.tries < self.shared.settings.max_tries {
            job.last = Some(status_refusal(page.status));
            self.queues.queue(&host).first.push_front(job);
        } else if page.status.is_redirection()
            && let Some(target) = page.redirect_target()
        {
            self.redirect(job, target, page.status);
        } else {
            let mut signals = signals::of_headers(&page.headers);
            let result = accept(self.shared.settings, page, &signals);
            signals.extend(rules.map(|rules| rules.signals(&job.url)).unwrap_or_default());
            self.finish_with(job, result, signals.into_iter().map(|(_, line)| line).collect());
        }
        self.release(host, rest, health);
    }

    fn settle_local_fault(&mut self, host: Box<str>, job: Job, refusal: &Refusal, in_flight: usize) {
        let now = Instant::now();
        self.shared.hosts.release(&host, now, HostHealth::Unknown);
        self.queues.queue(&host).first.push_front(job);
        self.queues.put_back(host, now + LOCAL_FAULT_PAUSE);
        let before = self.concurrency.requests();
        self.concurrency.decrease(in_flight, now);
        let limit = self.concurrency.requests();
        if limit < before {
            tracing::warn!("{}; continuing with {limit} concurrent requests", refusal.detail);
        }
    }

    fn settle_failure(&mut self, host: Box<str>, mut job: Job, refusal: Refusal, took: Duration) {
        let rules = self.shared.rules(&job.url);
        let rest = self.pause(took, rules.as_deref(), None);
        job.tries += 1;
        let health = match refusal.is_transient {
            true => self.health_after(&job, true),
            false => HostHealth::Unknown,
        };
        if refusal.is_transient && job.tries < self.shared.settings.max_tries {
            if refusal.is_unreadable {
                job.reading = Reading::Lenient;
            }
            job.last = Some(refusal);
            self.queues.queue(&host).retries.push_back(job);
        } else {
            self.finish(job, Err(refusal));
        }
        self.release(host, rest, health);
    }

    /// Moves a link into the queue of the host that a redirect leads to, whose rules and pauses then apply.
    fn redirect(&mut self, mut job: Job, target: url::Url, status: StatusCode) {
        let too_many = |detail: String| Refusal::permanent(Reason::TooManyRedirects, detail).with_status(status);
        let max_redirects = self.shared.settings.max_redirects;
        job.via.push(std::mem::replace(&mut job.url, target));
        (job.tries, job.last, job.silent_since, job.reading) = (0, None, None, Reading::Library);
        let refusal = match () {
            () if job.via.contains(&job.url) => Some(too_many("the redirects form a loop".into())),
            () if job.via.len() > max_redirects => {
                Some(too_many(format!("more than {}", user_error::count(max_redirects as u64, "redirect"))))
            }
            () if has_repeated_segments(&job.url) => Some(too_many(format!("the path of {} repeats itself", job.url))),
            () => check_url(&job.url).err(),
        };
        if let Some(refusal) = refusal {
            return self.finish(job, Err(refusal));
        }
        let host = host_of(&job.url).to_owned();
        let queue = self.queues.queue(&host);
        if queue.first.len() >= MAX_REDIRECTED_LINKS {
            let detail = format!("{MAX_REDIRECTED_LINKS} redirected links wait for {host}");
            return self.finish(job, Err(too_many(detail)));
        }
        queue.first.push_back(job);
    }

    /// The health of a host after a try for a link, and notes a fault that is counted. Only the first try counts, by whatever
    /// process: a link that keeps failing shows nothing new about its host.
    fn health_after(&mut self, job: &Job, is_fault: bool) -> HostHealth {
        if !is_fault {
            return HostHealth::Good;
        }
        if job.tries > 1 || self.shared.faulted.contains(&job.id) {
            return HostHealth::Unknown;
        }
        self.note(Note::Faulted { id: job.id });
        HostHealth::Failed
    }

    fn pause(&self, took: Duration, rules: Option<&RobotsRules>, retry_after: Option<Duration>) -> Duration {
        let crawl_delay = rules.map(RobotsRules::crawl_delay).unwrap_or_default();
        let retry_after = retry_after.unwrap_or_default();
        pause(self.shared.settings, PauseRequest { answer_time: took, crawl_delay, retry_after })
    }

    /// Ends the claim of a host and puts it back after a pause, which consecutive faults lengthen.
    fn release(&mut self, host: Box<str>, rest: Duration, health: HostHealth) {
        let faults = self.shared.hosts.consecutive_faults(&host);
        let rest = match health {
            HostHealth::Good => rest,
            HostHealth::Unknown => pause_after_faults(self.shared.settings, rest, faults),
            HostHealth::Failed => pause_after_faults(self.shared.settings, rest, faults + 1),
        };
        let until = Instant::now() + rest;
        let consecutive_faults = self.shared.hosts.release(&host, until, health);
        self.note(Note::Rest { host: host.clone(), until, consecutive_faults });
        self.queues.put_back(host, until);
    }
}

fn status_refusal(status: StatusCode) -> Refusal {
    Refusal::permanent(Reason::HttpStatus, format!("status {}", status.as_u16())).with_status(status)
}

/// Decides whether a response is kept, by status, signals against training, type and size.
fn accept(settings: &CrawlSettings, page: Page, found: &[(UsageSignal, String)]) -> Result<Page, Refusal> {
    if page.status != StatusCode::OK {
        return Err(status_refusal(page.status));
    }
    if let Some((_, line)) = found.iter().find(|(signal, _)| settings.honour.contains(*signal)) {
        return Err(Refusal::permanent(Reason::OptedOut, line.clone()).with_status(page.status));
    }
    if !page.may_be_html() {
        let content_type = page.content_type().unwrap_or_default();
        return Err(Refusal::permanent(Reason::NotHtml, content_type).with_status(page.status));
    }
    page.check_decoded_size(settings.max_decoded_bytes)?;
    Ok(page)
}
