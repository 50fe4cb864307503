//! `links.read`: one task per dump; `links.merge`: one task per bucket of registrable domains.

use ::links::{DroppedRecord, DumpError, DumpScores, KarmaRule, SubmissionRow, SubmissionRules, merge_rows, read_dump};
use records::{Link, Reason};
use serde::{Deserialize, Serialize};
use store::bucket_of;
use user_error::UserError as _;
use xxhash_rust::xxh3::xxh3_64;

use super::bucket_name;
use super::shards::key_of;
use crate::engine::{Bucket, Buckets, External, Flow, Product, Table, Task, Wire, Work};
use crate::error::{Error, Result, chain};
use crate::recipe::Links;

/// Scored records from which their mean is meaningful, and the mean below which the dump was made too early.
const MIN_SCORED_RECORDS: u64 = 1000;
const MIN_MATURE_MEAN: f64 = 1.5;

/// Adds the stages; returns the tables of links, one per bucket.
pub(super) fn add(flow: &mut Flow, settings: &Links, buckets: u32) -> Wire<Table<Link>> {
    let links = settings.clone();
    let read = flow.stage("links.read", move |_| {
        let mut tasks = Vec::new();
        for dump in External::of_files(&links.dumps)? {
            let rules = links.submission_rules()?;
            let task = ReadDump { dump, rules, max_record_bytes: links.max_record_bytes, buckets };
            tasks.push((task_name(&task.dump), task));
        }
        Ok(tasks)
    });
    let submissions = read.product(ReadDump::SUBMISSIONS);
    let links = settings.clone();
    let merge = flow.stage("links.merge", move |plan| {
        let submissions = plan.buckets(submissions, buckets)?.into_iter();
        let task = |submissions: Bucket<SubmissionRow>| {
            (bucket_name(submissions.bucket), MergeLinks { submissions, karma: links.karma() })
        };
        Ok(submissions.map(task).collect())
    });
    merge.product(MergeLinks::LINKS)
}

/// A dump's file name with a hash of its path, since other dumps may have the same name.
fn task_name(dump: &External) -> String {
    let name: String =
        dump.name().chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    format!("{name}-{:08x}", xxh3_64(dump.url.as_bytes()) as u32)
}

/// Reads the submissions of one dump.
#[derive(Serialize, Deserialize)]
struct ReadDump {
    dump: External,
    /// Karma is applied when links are merged; changing it reads no dump again.
    rules: SubmissionRules,
    max_record_bytes: usize,
    buckets: u32,
}

impl ReadDump {
    const SUBMISSIONS: Product<ReadDump, Buckets<SubmissionRow>> =
        Product::new("submissions", "work/{stage}/{name}.submissions");
}

impl Task for ReadDump {
    const REVISION: u32 = 4; // records among URLs, URLs among records, commas behind these

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut submissions = work.create_buckets(ReadDump::SUBMISSIONS, self.buckets)?;
        let source = work.source(&self.dump)?;
        let name = self.dump.name();
        let read = read_dump(source.share()?, name, &self.rules, self.max_record_bytes, |line| -> Result<()> {
            match line {
                Ok(row) => {
                    submissions.push(bucket_of(row.page.bucket_bytes(), self.buckets), &row)?;
                    work.counts.keep();
                }
                Err(DroppedRecord { reason, line, text, .. }) => {
                    work.counts.drop(reason);
                    work.sample(reason, || format!("{}:{line}", self.dump.url), &text);
                }
            }
            Ok(())
        });
        match read {
            Ok(scores) => self.log_scores(work, scores),
            Err(Error::Dump(error)) => {
                work.unreadable(&self.dump.url, &error);
                if let Some(hint) = error.hint() {
                    tracing::warn!(target: "task", "{}: {hint}", self.dump.url);
                }
            }
            Err(error) => return Err(error),
        }
        work.finish_source(source)?;
        submissions.finish()
    }
}

impl ReadDump {
    /// Notes the sum of the scores, and warns if their mean shows that the dump was made too early: scores grow for
    /// some days.
    fn log_scores(&self, work: &mut Work<'_>, scores: DumpScores) {
        work.metric("score_sum", scores.sum as f64);
        if let Some(mean) = scores.mean().filter(|mean| *mean < MIN_MATURE_MEAN)
            && scores.submissions >= MIN_SCORED_RECORDS
        {
            tracing::warn!(
                "the mean score of {} is {mean:.2}: its scores may be too young to tell, and few links are kept",
                self.dump.url
            );
        }
    }
}

/// A record of a dump that was dropped before it had a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedRecordFound {
    /// The dump and the line.
    pub place: String,
    /// Why it was dropped.
    pub reason: Reason,
}

/// Reads the dumps of a recipe again, up to a dropped record that links to `url` or, being malformed, contains it.
///
/// Only samples of such records are kept in a run: there are as many text posts as links. Time: that of reading the
/// dumps.
///
/// # Errors
/// When a dump is no longer there. What cannot be read in one is passed over.
pub fn find_dropped_record(settings: &Links, url: &str) -> Result<Option<DroppedRecordFound>> {
    /// Why reading ends.
    enum End {
        Found(DroppedRecordFound),
        Fault(DumpError),
    }
    impl From<DumpError> for End {
        fn from(fault: DumpError) -> End {
            End::Fault(fault)
        }
    }
    let rules = settings.submission_rules()?;
    let unescaped = ::links::unescape_html(url.into());
    let key = key_of(&unescaped, &rules.canonical);
    for dump in External::of_files(&settings.dumps)? {
        let read = read_dump(dump.open()?, dump.name(), &rules, settings.max_record_bytes, |record| match record {
            Err(DroppedRecord { reason, line, url: of_record, text }) => {
                let is_meant = match of_record {
                    Some(of_record) => of_record == unescaped || key_of(&of_record, &rules.canonical) == key,
                    None => mentions_url(&text, url),
                };
                let found = || DroppedRecordFound { place: format!("{}:{line}", dump.url), reason };
                if is_meant { Err(End::Found(found())) } else { Ok(()) }
            }
            Ok(_) => Ok(()),
        });
        match read {
            Err(End::Found(found)) => return Ok(Some(found)),
            Err(End::Fault(fault)) => tracing::warn!("{}", chain(&fault)),
            Ok(_) => {}
        }
    }
    Ok(None)
}

/// Whether a text has a URL in it, and not as a part of another one.
///
/// ```
/// use pipeline::stages::mentions_url;
/// assert!(mentions_url(r#"{"url":"http://a.example/x","score"#, "http://a.example/x"));
/// assert!(!mentions_url(r#"{"url":"http://a.example/xy","score"#, "http://a.example/x"));
/// ```
pub fn mentions_url(text: &str, url: &str) -> bool {
    let is_of_url = |c: char| c.is_alphanumeric() || "-._~:/?#@!$&'*+,;=%".contains(c);
    let stands_alone = |at: usize| {
        let (before, behind) = (&text[..at], &text[at + url.len()..]);
        !before.ends_with(is_of_url) && !behind.starts_with(is_of_url)
    };
    url.contains(':') && text.match_indices(url).any(|(at, _)| stands_alone(at))
}

/// Merges all submissions with one key into a link.
#[derive(Serialize, Deserialize)]
struct MergeLinks {
    submissions: Bucket<SubmissionRow>,
    karma: KarmaRule,
}

impl MergeLinks {
    const LINKS: Product<MergeLinks, Table<Link>> = Product::new("links", "links/{name}.parquet");
}

impl Task for MergeLinks {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let rows = work.receive(&self.submissions)?.map(|row| row.map_err(Error::from));
        let mut table = work.create_table(MergeLinks::LINKS)?;
        merge_rows(rows, &self.karma, &mut work.counts, |link| table.push(link))?;
        table.finish()
    }
}
