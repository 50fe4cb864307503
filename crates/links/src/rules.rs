//! Which links are kept: karma, dates, domains, extensions.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use records::{Link, PageKey, Reason};
use serde::{Deserialize, Serialize};

use crate::canonical::{Canonical, UrlFault};
use crate::submission::Submission;
use crate::wrappers::CanonicalRules;

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
    /// Domains; each blocks its subdomains, too.
    pub drop_domains: BTreeSet<BlockedDomain>,
    /// Extensions of paths.
    pub drop_extensions: BTreeSet<BlockedExtension>,
    /// Longest URL in bytes.
    pub max_url_bytes: usize,
    /// What the canonical form of a URL merges beyond spellings.
    pub canonical: CanonicalRules,
}

/// A domain that is blocked with all its subdomains, in the form in which URLs have it: lower case, in Punycode.
///
/// A dot or `*.` before it and a dot behind it change nothing, nor does `http://…/` around it. A URL of a page, a port or
/// a user is refused: it would block more than it names.
///
/// ```
/// use links::BlockedDomain;
/// let domain: BlockedDomain = "http://B.example/".parse()?;
/// assert_eq!(domain.as_str(), "b.example");
/// assert_eq!("*.bücher.example".parse::<BlockedDomain>()?.as_str(), "xn--bcher-kva.example");
/// let error = "http://b.example/page".parse::<BlockedDomain>().unwrap_err();
/// assert_eq!(error.to_string(), "\"http://b.example/page\" is not a domain; domains are blocked as a whole: b.example");
/// # Ok::<(), links::InvalidBlockedName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlockedDomain(String);

/// An extension of a URL's path that is blocked, in lower case and without its dot.
///
/// `.jpg`, `*.jpg` and `JPG` are `jpg`. What no URL can have as its extension is refused: of `x.tar.gz` it is `gz`.
///
/// ```
/// use links::BlockedExtension;
/// assert_eq!(".JPG".parse::<BlockedExtension>()?.as_str(), "jpg");
/// let error = "tar.gz".parse::<BlockedExtension>().unwrap_err();
/// assert_eq!(error.to_string(), "\"tar.gz\" is not an extension; that of a URL is what follows its last dot: gz");
/// # Ok::<(), links::InvalidBlockedName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlockedExtension(String);

/// A rule that no link could ever match, or that would match others than it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not {what}; {instead}")]
pub struct InvalidBlockedName {
    given: String,
    what: &'static str,
    instead: String,
}

impl BlockedDomain {
    /// The domain as URLs have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BlockedExtension {
    /// The extension as [`Canonical`] has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlockedDomain {
    type Err = InvalidBlockedName;

    fn from_str(given: &str) -> Result<BlockedDomain, InvalidBlockedName> {
        let invalid = |instead: String| InvalidBlockedName { given: given.to_owned(), what: "a domain", instead };
        let text = given.trim();
        let is_url = text.contains("://");
        let text = text.split_once("://").map_or(text, |(_, behind)| behind);
        let (authority, rest) = text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()));
        let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        // An IPv6 address has colons inside of its brackets, and no port behind them.
        let is_with_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let name = if is_with_port { host.rsplit_once(':').map_or(host, |(name, _)| name) } else { host };
        let name = name.strip_prefix("*.").unwrap_or(name).trim_matches('.');
        let example = || "write it like wikipedia.org".to_owned();
        // URLs may have hosts with a comma or an asterisk; who writes one here means something else.
        let is_plain = !name.contains([',', ';', '*', '\'', '"', '!', '$', '&', '(', ')', '+', '=']);
        let parsed = url::Host::parse(name).ok().filter(|_| is_plain);
        let host_of_urls = parsed.ok_or_else(|| invalid(example()))?.to_string();
        let is_whole = (rest.is_empty() || rest == "/" && is_url) && host == authority;
        if !is_whole || is_with_port {
            return Err(invalid(format!("domains are blocked as a whole: {host_of_urls}")));
        }
        Ok(BlockedDomain(host_of_urls))
    }
}

impl FromStr for BlockedExtension {
    type Err = InvalidBlockedName;

    fn from_str(given: &str) -> Result<BlockedExtension, InvalidBlockedName> {
        let invalid = |instead: String| InvalidBlockedName { given: given.to_owned(), what: "an extension", instead };
        let text = given.trim();
        let name = text.strip_prefix('*').unwrap_or(text);
        let extension = name.strip_prefix('.').unwrap_or(name).to_ascii_lowercase();
        // The rule is asked itself, so that the two cannot differ.
        let of_url = |extension: &str| {
            let page = Canonical::parse(&format!("http://a.example/x.{extension}"));
            page.ok().and_then(|canonical| canonical.extension)
        };
        match of_url(&extension) {
            Some(found) if found == extension => Ok(BlockedExtension(extension)),
            Some(found) => Err(invalid(format!("that of a URL is what follows its last dot: {found}"))),
            None => Err(invalid("write it like jpg: at most 8 letters and digits".to_owned())),
        }
    }
}

macro_rules! text_forms {
    ($($rule:ty),*) => {
        $(impl fmt::Display for $rule {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$rule> for String {
            fn from(rule: $rule) -> String {
                rule.0
            }
        }

        impl TryFrom<String> for $rule {
            type Error = InvalidBlockedName;

            fn try_from(given: String) -> Result<$rule, InvalidBlockedName> {
                given.parse()
            }
        }

        /// As text, so that a set of them can be asked for a part of a URL.
        impl std::borrow::Borrow<str> for $rule {
            fn borrow(&self) -> &str {
                &self.0
            }
        })*
    };
}

text_forms!(BlockedDomain, BlockedExtension);

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
        match Canonical::parse_with(&submission.url, &self.canonical) {
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
        if canonical.extension.as_ref().is_some_and(|e| self.drop_extensions.contains(e.as_str())) {
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
            drop_domains: ["wikipedia.org".parse().unwrap()].into(),
            drop_extensions: ["jpg".parse().unwrap()].into(),
            max_url_bytes: 2048,
            canonical: CanonicalRules::default(),
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

    fn check_domain(given: &str, expected: Result<&str, &str>) {
        let parsed = given.parse::<BlockedDomain>().map_err(|error| error.instead);
        assert_eq!(parsed.as_ref().map(BlockedDomain::as_str).map_err(String::as_str), expected, "{given}");
    }

    #[test]
    fn domains_as_people_write_them() {
        for given in [
            "b.example",
            "B.Example",
            ".b.example",
            "*.b.example",
            "b.example.",
            " b.example ",
            "http://b.example/",
            "https://b.example",
        ] {
            check_domain(given, Ok("b.example"));
        }
        check_domain("www.b.example", Ok("www.b.example"));
        check_domain("bücher.example", Ok("xn--bcher-kva.example"));
        check_domain("10.0.0.1", Ok("10.0.0.1"));
        check_domain("http://[2606:2800::1]/", Ok("[2606:2800::1]"));
        check_domain("com", Ok("com"));
        for given in [
            "http://b.example/page",
            "b.example/page",
            "b.example/",
            "b.example:8080",
            "http://b.example:80/",
            "b.example?x",
            "me@b.example",
        ] {
            check_domain(given, Err("domains are blocked as a whole: b.example"));
        }
        for given in ["", " ", ".", "*", "*.", "http://", "b example", "b.example,c.example", "a*.example", "1.2.3.4.5"]
        {
            check_domain(given, Err("write it like wikipedia.org"));
        }
    }

    #[test]
    fn a_blocked_domain_is_that_of_the_urls_it_names() {
        let rules = SubmissionRules {
            drop_domains: ["http://Bücher.example/", "*.example.org"].map(|given| given.parse().unwrap()).into(),
            ..rules()
        };
        for url in
            ["http://bücher.example/", "https://www.BÜCHER.example/x", "http://example.org/", "http://a.b.example.org/"]
        {
            assert!(rules.blocks(&Canonical::parse(url).unwrap().host), "{url}");
        }
        assert!(!rules.blocks("notexample.org"));
    }

    #[test]
    fn extensions_as_people_write_them() {
        for given in ["jpg", ".jpg", "JPG", "*.jpg", " .Jpg "] {
            assert_eq!(given.parse::<BlockedExtension>().unwrap().as_str(), "jpg", "{given}");
        }
        for given in ["", ".", "*", "tar.gz", "image/jpeg", "x y", "jpg,png", "extensions", "é", "jpg/", "..jpg"] {
            assert!(given.parse::<BlockedExtension>().is_err(), "{given}");
        }
    }

    #[test]
    fn rules_are_texts_in_files() {
        let json = serde_json::to_string(&rules()).unwrap();
        assert!(json.contains(r#""drop_domains":["wikipedia.org"],"drop_extensions":["jpg"]"#), "{json}");
        assert_eq!(serde_json::from_str::<SubmissionRules>(&json).unwrap(), rules());
        assert!(serde_json::from_str::<SubmissionRules>(&json.replace("\"jpg", "\"tar.gz")).is_err());
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
