//! Chooses the capture to copy for each link, and sorts the chosen ones by archive.
//!
//! The index and the links are in different orders, so captures are brought into the order of the links by an external
//! sort on the link's number, and the chosen ones into the order of the archives by another sort. After that both steps
//! are merges: memory does not grow with links or captures.

use std::ops::Range;

use links::{Canonical, CanonicalRules};
use records::{CaptureChoice, Link, Outcome, Reason};
use serde::{Deserialize, Serialize};
use store::sort::Sorter;
use store::table::{TableReader, TableWriter};

use crate::CopyPlan;
use crate::error::CommonCrawlError;
use crate::index::Capture;
use crate::run::RunState;
use crate::settings::CommonCrawlSettings;

/// A capture to copy. Table `plan.parquet`, sorted by archive and offset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PlannedCapture {
    pub(crate) warc_filename: String,
    pub(crate) offset: u64,
    pub(crate) len_bytes: u64,
    /// Number of the link among the kept ones.
    pub(crate) link: u32,
    pub(crate) domain: String,
    pub(crate) key: String,
    /// URL of the link.
    pub(crate) url: String,
    /// URL of the capture.
    pub(crate) captured_url: String,
    pub(crate) fetched_ms: i64,
    pub(crate) mime: Option<String>,
}

impl PlannedCapture {
    /// The capture chosen for a link, which has this number.
    fn of(link: Link, number: u32, chosen: Capture) -> PlannedCapture {
        PlannedCapture {
            warc_filename: chosen.warc_filename,
            offset: chosen.offset,
            len_bytes: chosen.len_bytes,
            link: number,
            domain: link.domain,
            key: link.key,
            url: link.url,
            captured_url: chosen.url,
            fetched_ms: chosen.fetched_ms,
            mime: chosen.mime,
        }
    }

    pub(crate) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len_bytes
    }
}

/// How usable a capture is, the best grade first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    WholePage,
    /// Common Crawl truncated the body.
    CutPage,
    TooLarge,
    NotHtml,
    OtherStatus,
}

impl Grade {
    fn of(capture: &Capture, max_page_bytes: u64) -> Grade {
        match () {
            () if capture.status != 200 => Grade::OtherStatus,
            () if !is_html(capture.mime.as_deref()) => Grade::NotHtml,
            () if capture.len_bytes > max_page_bytes => Grade::TooLarge,
            () if capture.truncated.is_some() => Grade::CutPage,
            () => Grade::WholePage,
        }
    }

    fn verdict(self) -> Option<Reason> {
        match self {
            Grade::WholePage | Grade::CutPage => None,
            Grade::TooLarge => Some(Reason::PageTooLarge),
            Grade::NotHtml => Some(Reason::NotHtml),
            Grade::OtherStatus => Some(Reason::HttpStatus),
        }
    }
}

/// A capture without a type may be a page; extraction decides later.
fn is_html(mime: Option<&str>) -> bool {
    warc::http::may_be_html(mime)
}

/// What decides between two captures of a link.
#[derive(Clone, Copy)]
struct Preference {
    choice: CaptureChoice,
    max_page_bytes: u64,
}

impl Preference {
    /// Sort key among the captures of a link; the smallest is chosen. Grade comes before time.
    fn rank(self, capture: &Capture, created_utc: Option<i64>) -> impl Ord {
        // Distances are compared with each other alone, so any unit of time serves; the index has milliseconds.
        let created_ms = created_utc.map(|seconds| seconds.saturating_mul(1000));
        let distance_ms = self.choice.distance(Some(capture.fetched_ms), created_ms);
        let grade = Grade::of(capture, self.max_page_bytes);
        (
            grade,
            distance_ms,
            capture.fetched_ms,
            &capture.warc_filename,
            capture.offset,
            capture.len_bytes,
            &capture.url,
        )
    }
}

/// Chooses for each link and writes `plan.parquet` and `misses.parquet` to the work folder.
pub(crate) fn choose(
    settings: &CommonCrawlSettings,
    state: &RunState,
    files: usize,
) -> Result<CopyPlan, CommonCrawlError> {
    let preference = Preference { choice: settings.capture, max_page_bytes: settings.max_page_bytes };
    let mut captures = Sorter::<Capture>::new(&state.folder, settings.sort_memory_bytes);
    for number in 0..files {
        for capture in TableReader::<Capture>::open(&state.captures(number))? {
            captures.push(capture?)?;
        }
    }
    let captures = captures.finish()?.map(|row| row.map_err(CommonCrawlError::from));
    let mut planned = Sorter::<PlannedCapture>::new(&state.folder, settings.sort_memory_bytes);
    let mut misses = TableWriter::<Outcome>::create(&state.path("misses.parquet"))?;
    let mut plan = CopyPlan::default();
    join(state.kept_links()?, captures, preference, &settings.canonical(), |link, number, chosen| {
        plan.links += 1;
        let verdict = chosen
            .as_ref()
            .map_or(Some(Reason::NotCaptured), |chosen| Grade::of(chosen, settings.max_page_bytes).verdict());
        plan.counts.record(verdict);
        match verdict {
            Some(verdict) => misses.push(miss(&link, chosen, verdict))?,
            None => planned.push(PlannedCapture::of(link, number, chosen.expect("without one there is a verdict")))?,
        }
        Ok(())
    })?;
    misses.finish()?;
    let mut table = TableWriter::<PlannedCapture>::create(&state.path("plan.parquet"))?;
    for row in planned.finish()? {
        table.push(row?)?;
    }
    table.finish()?;
    assert!(plan.counts.reconcile() && plan.counts.read == plan.links, "each link is counted once");
    Ok(plan)
}

/// Gives each link its best capture. Captures are sorted by the link's number. Some belong to another key with the same
/// hash, so the keys are compared here.
fn join(
    links: impl Iterator<Item = Result<Link, CommonCrawlError>>,
    captures: impl Iterator<Item = Result<Capture, CommonCrawlError>>,
    preference: Preference,
    canonical: &CanonicalRules,
    mut each: impl FnMut(Link, u32, Option<Capture>) -> Result<(), CommonCrawlError>,
) -> Result<(), CommonCrawlError> {
    let mut captures = captures.peekable();
    for (number, link) in links.enumerate() {
        let link = link?;
        let number = u32::try_from(number).expect("fewer than four billion links");
        let mut chosen: Option<Capture> = None;
        while let Some(capture) = captures.next_if(|capture| capture.as_ref().map_or(true, |c| c.link == number)) {
            let capture = capture?;
            let is_same = Canonical::parse_with(&capture.url, canonical).is_ok_and(|found| found.key == link.key);
            let is_better = chosen.as_ref().is_none_or(|chosen| {
                preference.rank(&capture, link.created_utc) < preference.rank(chosen, link.created_utc)
            });
            if is_same && is_better {
                chosen = Some(capture);
            }
        }
        each(link, number, chosen)?;
    }
    Ok(())
}

/// The outcome of a link that has no capture to copy, but perhaps one of a lower grade.
fn miss(link: &Link, capture: Option<Capture>, verdict: Reason) -> Outcome {
    let Some(capture) = capture else { return link.without_page(verdict, None) };
    let detail = match verdict {
        Reason::PageTooLarge => Some(format!("the member has {} bytes", capture.len_bytes)),
        Reason::NotHtml => capture.mime.clone(),
        Reason::HttpStatus => Some(format!("status {}", capture.status)),
        _ => None,
    };
    Outcome {
        final_url: Some(capture.url),
        status: Some(capture.status),
        content_type: capture.mime,
        captured: date(capture.fetched_ms),
        ..link.without_page(verdict, detail)
    }
}

/// A time of the index, in milliseconds since 1970, as archives write it.
pub(crate) fn date(ms: i64) -> Option<String> {
    let seconds = u64::try_from(ms.div_euclid(1000)).ok()?;
    Some(warc::Date::from_seconds(seconds).0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const PREFERENCE: Preference = Preference { choice: CaptureChoice::Nearest, max_page_bytes: 1000 };

    fn capture(url: &str, fetched_ms: i64) -> Capture {
        Capture {
            link: 0,
            fetched_ms,
            warc_filename: "a.warc.gz".into(),
            offset: 0,
            len_bytes: 100,
            status: 200,
            mime: Some("text/html".into()),
            truncated: None,
            url: url.into(),
        }
    }

    fn link(key: &str, created_utc: Option<i64>) -> Link {
        Link {
            domain: "example.com".into(),
            key: key.into(),
            url: format!("http://example.com/{key}"),
            karma: Some(3),
            submissions: 1,
            subreddit: None,
            title: None,
            created_utc,
            source: "test:1".into(),
            verdict: None,
        }
    }

    fn check(captures: &[Capture], created_utc: Option<i64>, expected_ms: i64) {
        for turn in 0..captures.len() {
            let mut captures = captures.to_vec();
            captures.rotate_left(turn);
            let mut chosen_ms = None;
            let links = [Ok(link("com,example)/a", created_utc))].into_iter();
            join(links, captures.into_iter().map(Ok), PREFERENCE, &CanonicalRules::default(), |_, _, chosen| {
                chosen_ms = chosen.map(|chosen| chosen.fetched_ms);
                Ok(())
            })
            .unwrap();
            assert_eq!(chosen_ms, Some(expected_ms));
        }
    }

    #[test]
    fn the_nearest_whole_page_is_chosen() {
        let at = |ms| capture("http://example.com/a", ms);
        check(&[at(1000), at(5000), at(9000)], Some(6), 5000);
        check(&[at(1000), at(5000), at(9000)], Some(-50), 1000);
        check(&[at(1000), at(5000), at(9000)], None, 1000);
        // Equally near: the earlier one.
        check(&[at(4000), at(8000)], Some(6), 4000);
        // Another page whose key has the same hash does not belong to this link.
        check(&[capture("http://example.com/b", 6000), at(9000)], Some(6), 9000);
        let cut = Capture { truncated: Some("length".into()), ..at(6000) };
        let moved = Capture { status: 301, ..at(6000) };
        let image = Capture { mime: Some("image/png".into()), ..at(6000) };
        let large = Capture { len_bytes: 1001, ..at(6000) };
        for worse in [&cut, &moved, &image, &large] {
            check(&[worse.clone(), at(9000)], Some(6), 9000);
        }
        check(&[moved.clone(), cut], Some(6), 6000);
        check(&[moved, Capture { fetched_ms: 7000, ..image }], Some(6), 7000);
    }

    proptest! {
        /// The naive twin of the whole join: a map from keys to rows, the best row of each link by comparing all.
        #[test]
        fn as_a_map_would_join(
            paths in prop::collection::btree_set("[a-d]{1,2}", 0..12),
            rows in prop::collection::vec(
                ("[a-d]{1,2}", 0i64..20_000, 0u64..3, prop::sample::select(vec![200u16, 404]), any::<bool>(), any::<bool>()),
                0..60,
            ),
            created in prop::option::of(0i64..20),
        ) {
            let links: Vec<Link> = paths.iter().map(|path| link(&format!("com,example)/{path}"), created)).collect();
            let captures: Vec<Capture> = rows.iter().map(|(path, ms, offset, status, www, cut)| {
                let url = format!("http://{}example.com/{path}/", if *www { "www." } else { "" });
                let truncated = cut.then(|| "length".to_owned());
                Capture { offset: *offset, status: *status, truncated, ..capture(&url, *ms) }
            }).collect();

            let filter = crate::link_filter::LinkFilter::of(links.iter().map(|link| link.key.as_str()));
            let mut sorted = Vec::new();
            for capture in &captures {
                for &number in filter.links_of(&capture.url) {
                    sorted.push(Capture { link: number, ..capture.clone() });
                }
            }
            sorted.sort();
            let mut found = Vec::new();
            join(links.iter().cloned().map(Ok), sorted.into_iter().map(Ok), PREFERENCE, &CanonicalRules::default(), |link, number, chosen| {
                found.push((link.key, chosen.map(|chosen| Capture { link: 0, ..chosen })));
                assert_eq!(number as usize + 1, found.len());
                Ok(())
            }).unwrap();

            let mut by_key: HashMap<String, Vec<Capture>> = HashMap::new();
            for capture in captures {
                by_key.entry(links::Canonical::parse(&capture.url).unwrap().key).or_default().push(capture);
            }
            let expected: Vec<(String, Option<Capture>)> = links.iter().map(|link| {
                let mut of_link = by_key.get(&link.key).cloned().unwrap_or_default();
                of_link.sort_by_key(|capture| (
                    capture.status != 200,
                    capture.status == 200 && capture.truncated.is_some(),
                    created.map_or(0, |created| (capture.fetched_ms - created * 1000).abs()),
                    capture.fetched_ms,
                    capture.offset,
                    capture.url.clone(),
                ));
                (link.key.clone(), of_link.into_iter().next())
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
