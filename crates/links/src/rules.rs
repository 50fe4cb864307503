//! Which links are kept: karma, dates, domains, extensions.

use std::collections::BTreeSet;

use records::{Link, PageKey, Reason};
use serde::{Deserialize, Serialize};

use crate::canonical::{Canonical, UrlFault};
use crate::submission::Submission;

/// How the scores of several submissions become one karma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum KarmaOf {
    /// The highest score of one submission, as WebText did.
    #[serde(rename = "any submission")]
    #[cfg_attr(feature = "clap", value(name = "any submission"))]
    AnySubmission,
    /// The sum over all submissions, as OpenWebText2 did.
    #[serde(rename = "sum of submissions")]
    #[cfg_attr(feature = "clap", value(name = "sum of submissions"))]
    SumOfSubmissions,
}

/// What becomes of links whose submissions have no scores, as those of plain lists of URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum WithoutKarma {
    /// They are kept, as if the threshold were met.
    Keep,
    /// They are dropped as `missing_karma`.
    Drop,
}

/// Requirements on a submission other than karma. Reading dumps depends on these alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionRules {
    /// Drop links that were only ever submitted as over 18.
    pub drop_over_18: bool,
    /// Seconds since 1970 (UTC): earlier submissions do not count.
    pub from: Option<i64>,
    /// Seconds since 1970 (UTC): submissions from this time on do not count.
    pub before: Option<i64>,
    /// Domains in lower case; each blocks its subdomains, too.
    pub drop_domains: BTreeSet<String>,
    /// Extensions in lower case, without a dot.
    pub drop_extensions: BTreeSet<String>,
    /// Longest URL in bytes.
    pub max_url_bytes: usize,
}

/// How karma is computed, and how much a link needs. Merging submissions into links depends on this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KarmaRule {
    /// The lowest karma that is kept.
    pub min_karma: i64,
    /// How the scores of a link's submissions become its karma.
    pub karma_of: KarmaOf,
    /// Whether links without any score are kept.
    pub without_karma: WithoutKarma,
}

store::spill_rows!(SubmissionRow = 1);

/// One submission on its way to its bucket; sorted by page, then by time, dump and line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubmissionRow {
    /// The page that it leads to. A URL that is malformed or too long is its own key, without a domain.
    pub page: PageKey,
    /// Seconds since 1970 (UTC).
    pub created_utc: Option<i64>,
    /// Name of the dump.
    pub dump: String,
    /// Line or row in the dump, from 1.
    pub line: u64,
    /// Score, if the dump has one.
    pub score: Option<i64>,
    /// URL to fetch.
    pub url: String,
    /// Subreddit.
    pub subreddit: Option<String>,
    /// Title of the submission.
    pub title: Option<String>,
    /// The submission's own verdict, before karma.
    pub verdict: Option<Reason>,
}

impl SubmissionRules {
    /// Canonicalises a submission's URL and applies the rules. `dump` and `line` say where the record is.
    ///
    /// # Errors
    /// The reason why the submission is no link at all: a text post, or no URL.
    pub fn submission(&self, submission: &Submission<'_>, dump: &str, line: u64) -> Result<SubmissionRow, Reason> {
        if submission.is_self {
            return Err(Reason::SelfPost);
        }
        if submission.url.trim().is_empty() {
            return Err(Reason::MissingUrl);
        }
        let (page, url, verdict) = self.page(submission);
        Ok(SubmissionRow {
            page,
            created_utc: submission.created_utc,
            dump: dump.to_owned(),
            line,
            score: submission.score,
            url,
            subreddit: submission.subreddit.as_deref().map(str::to_owned),
            title: submission.title.as_deref().map(str::to_owned),
            verdict,
        })
    }

    /// The page that a submission leads to, the URL to fetch, and the reason to drop it, if there is one.
    fn page(&self, submission: &Submission<'_>) -> (PageKey, String, Option<Reason>) {
        let without_page = |url: &str, verdict| {
            let page = PageKey { domain: String::new(), key: url.to_owned() };
            (page, url.to_owned(), Some(verdict))
        };
        if submission.url.len() > self.max_url_bytes {
            return without_page(truncated(&submission.url, self.max_url_bytes), Reason::UrlTooLong);
        }
        match Canonical::parse(&submission.url) {
            Err(UrlFault::Malformed) => without_page(submission.url.trim(), Reason::MalformedUrl),
            Err(UrlFault::Scheme) => without_page(submission.url.trim(), Reason::UnsupportedScheme),
            Ok(canonical) => {
                let verdict = self.verdict(submission, &canonical);
                (PageKey { domain: canonical.domain, key: canonical.key }, canonical.url, verdict)
            }
        }
    }

    fn verdict(&self, submission: &Submission<'_>, canonical: &Canonical) -> Option<Reason> {
        if self.blocks(&canonical.host) {
            return Some(Reason::BlockedDomain);
        }
        if canonical.extension.as_ref().is_some_and(|e| self.drop_extensions.contains(e)) {
            return Some(Reason::BlockedExtension);
        }
        if self.drop_over_18 && submission.over_18 {
            return Some(Reason::AdultOnly);
        }
        let early = |from| submission.created_utc.is_none_or(|at| at < from);
        let late = |before| submission.created_utc.is_none_or(|at| at >= before);
        if self.from.is_some_and(early) || self.before.is_some_and(late) {
            return Some(Reason::OutsideDates);
        }
        None
    }

    /// Whether the host or a domain above it is blocked.
    pub fn blocks(&self, host: &str) -> bool {
        let mut rest = host;
        loop {
            if self.drop_domains.contains(rest) {
                return true;
            }
            match rest.split_once('.') {
                Some((_, parent)) => rest = parent,
                None => return false,
            }
        }
    }
}

impl KarmaRule {
    /// Merges all submissions with one key into a link.
    ///
    /// The submission that decides is the one with the highest score among those without a verdict of their own; of
    /// equal scores, the first in order. If all have a verdict, the one with the highest score decides, and its verdict
    /// is the link's. A submission without a score ranks below all that have one.
    ///
    /// # Panics
    /// If there is no submission.
    pub fn merge(&self, submissions: &[SubmissionRow]) -> Link {
        let rank = |row: &&SubmissionRow| (row.verdict.is_none(), row.score);
        let decides = submissions.iter().max_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| b.cmp(a)));
        let decides = decides.expect("a link has a submission");
        let karma = self.karma(decides, submissions);
        Link {
            domain: decides.page.domain.clone(),
            key: decides.page.key.clone(),
            url: decides.url.clone(),
            karma,
            submissions: submissions.len() as u32,
            subreddit: decides.subreddit.clone(),
            title: decides.title.clone(),
            created_utc: submissions.iter().filter_map(|row| row.created_utc).min(),
            source: format!("{}:{}", decides.dump, decides.line),
            verdict: decides.verdict.or_else(|| self.karma_verdict(karma)),
        }
    }

    /// The karma of a link; `None` if none of the submissions that count has a score.
    fn karma(&self, decides: &SubmissionRow, submissions: &[SubmissionRow]) -> Option<i64> {
        if self.karma_of == KarmaOf::AnySubmission || decides.verdict.is_some() {
            return decides.score;
        }
        let eligible = submissions.iter().filter(|row| row.verdict.is_none());
        eligible.filter_map(|row| row.score).reduce(i64::saturating_add)
    }

    fn karma_verdict(&self, karma: Option<i64>) -> Option<Reason> {
        match karma {
            Some(karma) => (karma < self.min_karma).then_some(Reason::LowKarma),
            None => (self.without_karma == WithoutKarma::Drop).then_some(Reason::MissingKarma),
        }
    }
}

/// The longest prefix of at most `len_bytes` that ends at a character.
fn truncated(text: &str, len_bytes: usize) -> &str {
    let mut end = len_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::period;

    fn rules() -> SubmissionRules {
        SubmissionRules {
            drop_over_18: true,
            from: period("2005").map(|year| year.start),
            before: period("2017").map(|year| year.end),
            drop_domains: ["wikipedia.org".to_owned()].into(),
            drop_extensions: ["jpg".to_owned()].into(),
            max_url_bytes: 2048,
        }
    }

    fn karma(karma_of: KarmaOf) -> KarmaRule {
        KarmaRule { min_karma: 3, karma_of, without_karma: WithoutKarma::Drop }
    }

    fn row(url: &str, score: Option<i64>, over_18: bool, year: &str) -> SubmissionRow {
        let created_utc = period(year).map(|year| year.start);
        let submission = Submission { url: url.into(), score, over_18, created_utc, ..Submission::default() };
        rules().submission(&submission, "dump", 1).unwrap()
    }

    fn check(url: &str, expected: Option<Reason>) {
        let row = row(url, Some(5), false, "2016");
        assert_eq!(karma(KarmaOf::AnySubmission).merge(&[row]).verdict, expected, "{url}");
    }

    #[test]
    fn verdicts_of_a_url() {
        check("http://example.com/", None);
        check("https://en.wikipedia.org/wiki/Moss", Some(Reason::BlockedDomain));
        check("https://notwikipedia.org/wiki/Moss", None);
        check("https://wikipedia.org.example.com/", None);
        check("http://example.com/a.jpg", Some(Reason::BlockedExtension));
        check("http://", Some(Reason::MalformedUrl));
        check("ftp://example.com/", Some(Reason::UnsupportedScheme));
        check(&format!("http://example.com/{}", "é".repeat(2000)), Some(Reason::UrlTooLong));
    }

    #[test]
    fn karma_of_any_or_of_the_sum() {
        for (scores, any, sum) in [
            (&[Some(2), Some(2)][..], Some(Reason::LowKarma), None),
            (&[Some(3)], None, None),
            (&[Some(5), Some(-4)], None, Some(Reason::LowKarma)),
            (&[Some(-1), Some(0), Some(2)], Some(Reason::LowKarma), Some(Reason::LowKarma)),
            (&[None, Some(4), None], None, None),
            (&[None, Some(-1)], Some(Reason::LowKarma), Some(Reason::LowKarma)),
            (&[None, None], Some(Reason::MissingKarma), Some(Reason::MissingKarma)),
        ] {
            for (of, expected) in [(KarmaOf::AnySubmission, any), (KarmaOf::SumOfSubmissions, sum)] {
                let rows: Vec<SubmissionRow> =
                    scores.iter().map(|&score| row("http://a.example/", score, false, "2016")).collect();
                assert_eq!(karma(of).merge(&rows).verdict, expected, "{scores:?} {of:?}");
            }
        }
    }

    #[test]
    fn a_link_without_scores_is_what_the_recipe_says() {
        let mut rule = karma(KarmaOf::SumOfSubmissions);
        let rows = [row("http://a.example/", None, false, "2016")];
        assert_eq!((rule.merge(&rows).karma, rule.merge(&rows).verdict), (None, Some(Reason::MissingKarma)));
        rule.without_karma = WithoutKarma::Keep;
        assert_eq!((rule.merge(&rows).karma, rule.merge(&rows).verdict), (None, None));
        // The score of a submission that does not count is not the link's.
        let rows = [rows[0].clone(), row("http://a.example/", Some(1), true, "2016")];
        assert_eq!((rule.merge(&rows).karma, rule.merge(&rows).verdict), (None, None));
    }

    #[test]
    fn one_good_submission_is_enough() {
        let rule = karma(KarmaOf::AnySubmission);
        let rows = [
            row("http://a.example/", Some(90), true, "2016"),
            row("http://a.example/", Some(80), false, "2019"),
            row("http://a.example/", Some(4), false, "2016"),
        ];
        let link = rule.merge(&rows);
        assert_eq!((link.verdict, link.karma, link.submissions), (None, Some(4), 3));
        assert_eq!(rule.merge(&rows[..2]).verdict, Some(Reason::AdultOnly));
        assert_eq!(rule.merge(&rows[1..2]).verdict, Some(Reason::OutsideDates));
    }

    #[test]
    fn rows_sort_by_page_time_dump_and_line() {
        let row = |url: &str, created_utc, dump: &str, line| {
            let submission = Submission { url: url.into(), created_utc, ..Submission::default() };
            rules().submission(&submission, dump, line).unwrap()
        };
        let sorted = [
            row("http://a.example/", None, "d", 9),
            row("http://a.example/", Some(5), "d", 8),
            row("http://a.example/", Some(6), "c", 7),
            row("http://a.example/", Some(6), "d", 2),
            row("http://a.example/", Some(6), "d", 10),
            row("http://b.example/", None, "a", 1),
        ];
        assert!(sorted.is_sorted());
    }

    proptest! {
        #[test]
        fn the_order_of_submissions_and_dumps_does_not_matter(
            fields in proptest::collection::vec((proptest::option::of(0i64..3), any::<bool>(), 0u64..3, 0u8..3), 1..6),
            from in 0usize..6,
            of_sum: bool,
        ) {
            let rule = karma(if of_sum { KarmaOf::SumOfSubmissions } else { KarmaOf::AnySubmission });
            let mut rows: Vec<SubmissionRow> = fields
                .iter()
                .map(|&(score, over_18, line, dump)| {
                    let row = row("http://a.example/", score, over_18, "2016");
                    SubmissionRow { line, dump: format!("dump {dump}"), ..row }
                })
                .collect();
            let expected = rule.merge(&rows);
            rows.rotate_left(from % fields.len());
            prop_assert_eq!(rule.merge(&rows), expected.clone());
            rows.reverse();
            prop_assert_eq!(rule.merge(&rows), expected);
        }
    }
}
