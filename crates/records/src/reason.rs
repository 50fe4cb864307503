//! The reasons for which a submission, link, page or document is dropped.
//!
//! The reasons of stages are a closed list. The reason of a recipe's rule is `rule.measure`, after the measure that was
//! out of its limits, so that a new rule changes nothing here.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name of a rule or a measure that is accepted from a table.
const MAX_NAME_BYTES: usize = 64;

macro_rules! reasons {
    ($($variant:ident = $name:literal, $why:literal;)*) => {
        /// Why something was dropped. The name in files and reports is the fault in snake case, or `rule.measure`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $why] $variant,)*
            /// A rule of the recipe: one of its measures was out of its limits.
            Rule {
                /// The rule's name.
                rule: &'static str,
                /// The measure's name.
                measure: &'static str,
            },
        }

        impl Reason {
            /// Every reason but those of rules, in the order of the stages that use them.
            pub const ALL: &[Reason] = &[$(Reason::$variant),*];

            /// The name in files, reports and on the command line, but for the reason of a rule.
            fn fixed_name(self) -> Option<&'static str> {
                match self { $(Reason::$variant => Some($name),)* Reason::Rule { .. } => None }
            }

            /// One sentence for people who read a report.
            pub fn explanation(self) -> &'static str {
                match self { $(Reason::$variant => $why,)* Reason::Rule { .. } => "A measure of this rule was out of the recipe's limits." }
            }

            fn from_fixed_name(name: &str) -> Option<Reason> {
                match name { $($name => Some(Reason::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    // links: records of a dump
    MalformedRecord = "malformed_record", "The record of the dump does not have the form or the types that are expected.";
    RecordTooLong = "record_too_long", "The line of the dump is longer than the recipe allows.";
    SelfPost = "self_post", "The submission is a text post; it links to nothing outside Reddit.";
    MissingUrl = "missing_url", "The submission has no URL.";
    // links: one verdict per link
    MalformedUrl = "malformed_url", "The URL cannot be parsed, or has no host.";
    UrlTooLong = "url_too_long", "The URL is longer than the recipe allows.";
    UnsupportedScheme = "unsupported_scheme", "The URL is neither http nor https.";
    AdultOnly = "adult_only", "Every submission of the link has a fault; the one that decides is marked over 18.";
    OutsideDates = "outside_dates", "Every submission of the link has a fault; the one that decides is outside the recipe's dates.";
    BlockedDomain = "blocked_domain", "The recipe blocks the link's domain.";
    BlockedExtension = "blocked_extension", "The recipe blocks the extension of the link's path.";
    MissingKarma = "missing_karma", "No submission of the link has a score, and the recipe drops such links.";
    LowKarma = "low_karma", "The karma is below the recipe's threshold.";
    // links and pages: one verdict per row that was merged into another
    SameLink = "same_link", "Another submission of the same link; it is counted in the link's row.";
    // pages
    NotAResponse = "not_a_response", "The record is not an HTTP response or resource (request, metadata, warcinfo …).";
    MalformedPage = "malformed_page", "The archived record or its HTTP head cannot be parsed.";
    Revisit = "revisit", "The record only refers to another capture of the same content, which is not in the source.";
    SupersededCapture = "superseded_capture", "Another capture of the same link was chosen.";
    NotInLinks = "not_in_links", "The page belongs to no kept link.";
    NotSampled = "not_sampled", "The page is not in the sample that the recipe takes.";
    NotCaptured = "not_captured", "No archive holds a page for the link.";
    AddressRefused = "address_refused", "The host resolves to an address that is not public, or is an address itself.";
    RobotsDisallowed = "robots_disallowed", "robots.txt forbids the fetch, or could not be read.";
    OptedOut = "opted_out", "The response or the page carries a signal against use for training.";
    ConnectFailed = "connect_failed", "No connection: name not found, or refused.";
    TlsFault = "tls_fault", "The host's certificate is invalid, or the host does not speak TLS.";
    TimedOut = "timed_out", "The host did not answer within the limits.";
    TooManyRedirects = "too_many_redirects", "The redirects loop, or are more than the limit.";
    PageTooLarge = "page_too_large", "The body is larger than the limit.";
    HttpFault = "http_fault", "The HTTP exchange failed: bad framing, bad content coding, a closed connection.";
    HttpStatus = "http_status", "The final status is not 200.";
    NotHtml = "not_html", "The content type is not HTML.";
    OverBudget = "over_budget", "The registrable domain has max_pages_per_domain links with more karma.";
    HostGivenUp = "host_given_up", "The host failed too often in a row; its remaining links were dropped.";
    // documents
    PageTooComplex = "page_too_complex", "The page has too many nodes.";
    NoText = "no_text", "No main text was found.";
    // dedup
    ExactDuplicate = "exact_duplicate", "The normalised text equals that of the representative.";
    NearDuplicate = "near_duplicate", "The text is a near-duplicate of the representative.";
    TooLittleLeft = "too_little_left", "Too little is left without the spans that other documents have, too.";
    InEvaluationSet = "in_evaluation_set", "The text and an item of an evaluation set have an n-gram in common.";
    // shards
    Excluded = "excluded", "A list of URLs and ids to exclude names the document.";
}

impl Reason {
    /// The reason of a rule: `rule.measure`.
    ///
    /// ```
    /// let reason = records::Reason::of_rule("length", "words");
    /// assert_eq!(reason.to_string(), "length.words");
    /// assert_eq!("length.words".parse(), Ok(reason));
    /// ```
    pub fn of_rule(rule: &str, measure: &str) -> Reason {
        Reason::Rule { rule: interned(rule), measure: interned(measure) }
    }
}

impl std::str::FromStr for Reason {
    type Err = String;

    fn from_str(name: &str) -> Result<Reason, String> {
        if let Some(reason) = Reason::from_fixed_name(name) {
            return Ok(reason);
        }
        let (rule, measure) = name.split_once('.').unwrap_or((name, ""));
        let is_name = |part: &str| {
            part.len() <= MAX_NAME_BYTES
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        // A name without a dot is a reason of an earlier or later version.
        if is_name(rule) && is_name(measure) {
            Ok(Reason::of_rule(rule, measure))
        } else {
            Err(format!("{name:?} is no reason"))
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::Rule { rule, measure: "" } => f.pad(rule),
            Reason::Rule { rule, measure } => f.pad(&format!("{rule}.{measure}")),
            fixed => f.pad(fixed.fixed_name().expect("every other reason has one")),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reason, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The name with a static lifetime: each distinct name is leaked once. Recipes have a few dozen.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_snake_case_distinct_and_round_trip() {
        let mut seen = BTreeSet::new();
        for reason in
            Reason::ALL.iter().copied().chain([Reason::of_rule("length", "words"), Reason::of_rule("gone", "")])
        {
            let name = reason.to_string();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.'), "{name}");
            assert!(seen.insert(name.clone()), "{name} twice");
            assert_eq!(name.parse(), Ok(reason));
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Reason>(&format!("\"{name}\"")).unwrap(), reason);
        }
        assert!("no reason".parse::<Reason>().is_err());
        assert_eq!(Reason::of_rule("length", "words"), "length.words".parse().unwrap());
    }
}
