//! Which links are kept: karma, dates, domains, extensions.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;

use records::{Link, Reason};
use serde::{Deserialize, Serialize};

use crate::canonical::{Canonical, Fault};
use crate::submission::{Submission, days_of_month, seconds_of_date};

/// How the scores of several submissions become one karma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KarmaOf {
    /// The highest score of one submission, as WebText did.
    #[serde(rename = "any submission")]
    AnySubmission,
    /// The sum over all submissions, as OpenWebText2 did.
    #[serde(rename = "sum of submissions")]
    SumOfSubmissions,
}

/// The karma threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Karma {
    /// The least karma that is kept.
    pub at_least: i64,
    /// Of what.
    pub of: KarmaOf,
}

/// The rules that decide about links, built once from a recipe.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The threshold.
    pub karma: Karma,
    /// Drop links that were only ever submitted as over 18.
    pub drop_over_18: bool,
    /// Seconds since 1970 of the first moment that counts.
    pub from: Option<i64>,
    /// Seconds since 1970 of the first moment that no longer counts.
    pub before: Option<i64>,
    /// Domains in lower case; each blocks its subdomains, too.
    pub drop_domains: HashSet<String>,
    /// Extensions in lower case, without a dot.
    pub drop_extensions: HashSet<String>,
    /// Longest URL in bytes.
    pub url_len_max_bytes: usize,
}

/// One submission on its way to its bucket; sorted by domain and key, then by time and place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// Registrable domain, or empty.
    pub domain: String,
    /// Duplicate key, or the URL itself when it has none.
    pub key: String,
    /// Seconds since 1970.
    pub created_utc: Option<i64>,
    /// Number of the dump in the recipe's order.
    pub dump: u32,
    /// Line in the dump, from 1.
    pub line: u64,
    /// Score.
    pub score: i64,
    /// URL to fetch.
    pub url: String,
    /// Subreddit.
    pub subreddit: Option<String>,
    /// Title of the submission.
    pub title: Option<String>,
    /// The submission's own verdict, before karma.
    pub verdict: Option<Reason>,
}

impl Policy {
    /// Reads `YYYY-MM-DD`, or a part of it from the left, as the seconds of that day, month or year: from
    /// its first, up to the first that no longer belongs to it.
    ///
    /// ```
    /// let leap_day = links::Policy::period("2016-02-29").unwrap();
    /// assert_eq!(leap_day, 1456704000..1456790400);
    /// assert_eq!(links::Policy::period("2016-02").unwrap().end, leap_day.end);
    /// assert_eq!(links::Policy::period("2017-02-29"), None);
    /// ```
    pub fn period(text: &str) -> Option<Range<i64>> {
        const DAY_SECONDS: i64 = 86_400;
        let parts: Vec<i64> = text.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let (first, last) = match *parts.as_slice() {
            [year] => ((year, 1, 1), (year, 12, 31)),
            [year, month] => ((year, month, 1), (year, month, days_of_month(year, month))),
            [year, month, day] => ((year, month, day), (year, month, day)),
            _ => return None,
        };
        let seconds = |(year, month, day)| seconds_of_date(year, month, day);
        Some(seconds(first)?..seconds(last)? + DAY_SECONDS)
    }

    /// Gives one submission its key and its own verdict.
    ///
    /// # Errors
    /// The reason why the submission is no link at all: a text post, or no URL.
    pub fn submission(&self, submission: &Submission<'_>, dump: u32, line: u64) -> Result<Row, Reason> {
        if submission.is_self {
            return Err(Reason::SelfPost);
        }
        if submission.url.trim().is_empty() {
            return Err(Reason::MissingUrl);
        }
        let mut row = Row {
            domain: String::new(),
            key: String::new(),
            created_utc: submission.created_utc,
            dump,
            line,
            score: submission.score,
            url: String::new(),
            subreddit: submission.subreddit.as_deref().map(str::to_owned),
            title: submission.title.as_deref().map(str::to_owned),
            verdict: None,
        };
        if submission.url.len() > self.url_len_max_bytes {
            row.url = truncated(&submission.url, self.url_len_max_bytes).to_owned();
            row.key = row.url.clone();
            row.verdict = Some(Reason::UrlTooLong);
            return Ok(row);
        }
        match Canonical::parse(&submission.url) {
            Err(fault) => {
                row.url = submission.url.trim().to_owned();
                row.key = row.url.clone();
                row.verdict = Some(match fault {
                    Fault::Malformed => Reason::MalformedUrl,
                    Fault::Scheme => Reason::UnsupportedScheme,
                });
            }
            Ok(canonical) => {
                row.verdict = self.verdict(submission, &canonical);
                row.domain = canonical.domain;
                row.key = canonical.key;
                row.url = canonical.url;
            }
        }
        Ok(row)
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

    /// Makes one link of all submissions with one key.
    ///
    /// The submission that decides is the one with the highest score among those with no verdict of
    /// their own (of equals, the earliest); when all have one, the link has the verdict of the highest.
    /// `dumps` are the names of the dumps by number.
    ///
    /// # Panics
    /// If there is no submission.
    pub fn merge(&self, submissions: &[Row], dumps: &[String]) -> Link {
        let rank = |row: &&Row| (row.verdict.is_none(), row.score, Reverse((row.created_utc, row.dump, row.line)));
        let decides = submissions.iter().max_by_key(rank).expect("a link has a submission");
        let eligible = submissions.iter().filter(|row| row.verdict.is_none());
        let karma = match self.karma.of {
            KarmaOf::AnySubmission => decides.score,
            KarmaOf::SumOfSubmissions if decides.verdict.is_some() => decides.score,
            KarmaOf::SumOfSubmissions => eligible.map(|row| row.score).fold(0, i64::saturating_add),
        };
        let low = (karma < self.karma.at_least).then_some(Reason::LowKarma);
        Link {
            domain: decides.domain.clone(),
            key: decides.key.clone(),
            url: decides.url.clone(),
            karma,
            submissions: submissions.len() as u32,
            subreddit: decides.subreddit.clone(),
            title: decides.title.clone(),
            created_utc: submissions.iter().filter_map(|row| row.created_utc).min(),
            source: format!("{}:{}", dumps[decides.dump as usize], decides.line),
            verdict: decides.verdict.or(low),
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
    use super::*;

    fn policy(of: KarmaOf) -> Policy {
        Policy {
            karma: Karma { at_least: 3, of },
            drop_over_18: true,
            from: Policy::period("2005").map(|years| years.start),
            before: Policy::period("2017").map(|years| years.end),
            drop_domains: ["wikipedia.org".to_owned()].into(),
            drop_extensions: ["jpg".to_owned()].into(),
            url_len_max_bytes: 2048,
        }
    }

    fn row(policy: &Policy, url: &str, score: i64, over_18: bool, year: &str) -> Row {
        let created_utc = Policy::period(year).map(|year| year.start);
        let submission = Submission { url: url.into(), score, over_18, created_utc, ..Submission::default() };
        policy.submission(&submission, 0, score as u64).unwrap()
    }

    fn check(url: &str, expected: Option<Reason>) {
        let policy = policy(KarmaOf::AnySubmission);
        let row = row(&policy, url, 5, false, "2016");
        assert_eq!(policy.merge(&[row], &["dump".into()]).verdict, expected, "{url}");
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
            (&[2, 2][..], Some(Reason::LowKarma), None),
            (&[3], None, None),
            (&[5, -4], None, Some(Reason::LowKarma)),
            (&[-1, 0, 2], Some(Reason::LowKarma), Some(Reason::LowKarma)),
        ] {
            for (of, expected) in [(KarmaOf::AnySubmission, any), (KarmaOf::SumOfSubmissions, sum)] {
                let policy = policy(of);
                let rows: Vec<Row> =
                    scores.iter().map(|&s| row(&policy, "http://a.example/", s, false, "2016")).collect();
                assert_eq!(policy.merge(&rows, &["d".into()]).verdict, expected, "{scores:?} {of:?}");
            }
        }
    }

    #[test]
    fn one_good_submission_is_enough() {
        let policy = policy(KarmaOf::AnySubmission);
        let rows = [
            row(&policy, "http://a.example/", 90, true, "2016"),
            row(&policy, "http://a.example/", 80, false, "2019"),
            row(&policy, "http://a.example/", 4, false, "2016"),
        ];
        let link = policy.merge(&rows, &["d".into()]);
        assert_eq!((link.verdict, link.karma, link.submissions), (None, 4, 3));
        let link = policy.merge(&rows[..2], &["d".into()]);
        assert_eq!(link.verdict, Some(Reason::AdultOnly));
        let link = policy.merge(&rows[1..2], &["d".into()]);
        assert_eq!(link.verdict, Some(Reason::OutsideDates));
    }

    #[test]
    fn the_order_of_submissions_does_not_matter() {
        let policy = policy(KarmaOf::SumOfSubmissions);
        let mut rows: Vec<Row> = (1..6).map(|s| row(&policy, "http://a.example/", s % 3, s == 2, "2016")).collect();
        let forward = policy.merge(&rows, &["d".into()]);
        rows.reverse();
        assert_eq!(policy.merge(&rows, &["d".into()]), forward);
    }
}
