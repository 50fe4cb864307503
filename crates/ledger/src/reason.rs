//! The closed list of reasons for which a submission, link, page or document is dropped.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($variant:ident = $name:literal, $why:literal;)*) => {
        /// Why something was dropped. The name in files and reports is the fault in snake case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $(#[doc = $why] #[serde(rename = $name)] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the stages that use them.
            pub const ALL: &[Reason] = &[$(Reason::$variant),*];

            /// The name in files, reports and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$variant => $name),* }
            }

            /// One sentence for people who read a report.
            pub fn explanation(self) -> &'static str {
                match self { $(Reason::$variant => $why),* }
            }

            /// The reason with this name.
            pub fn from_name(name: &str) -> Option<Reason> {
                match name { $($name => Some(Reason::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    // links: records of a dump
    MalformedRecord = "malformed_record", "The line of the dump is not a JSON object with the expected types.";
    RecordTooLong = "record_too_long", "The line of the dump is longer than the recipe allows.";
    SelfPost = "self_post", "The submission is a text post; it links to nothing outside Reddit.";
    MissingUrl = "missing_url", "The submission has no URL.";
    // links: one verdict a link
    MalformedUrl = "malformed_url", "The URL cannot be parsed, or has no host.";
    UrlTooLong = "url_too_long", "The URL is longer than the recipe allows.";
    UnsupportedScheme = "unsupported_scheme", "The URL is neither http nor https.";
    AdultOnly = "adult_only", "The submission that decides is marked over 18, and no other is without fault.";
    OutsideDates = "outside_dates", "The submission that decides lies outside the recipe's dates, and no other is without fault.";
    BlockedDomain = "blocked_domain", "The recipe blocks the link's domain.";
    BlockedExtension = "blocked_extension", "The path ends like a file that is not a page.";
    LowKarma = "low_karma", "The karma is below the recipe's threshold.";
    // links and pages: one verdict a row that stood for the same thing
    SameLink = "same_link", "Another submission of the same link; counted into it.";
    // pages
    NotAResponse = "not_a_response", "The record is not an HTTP response or resource (request, metadata, warcinfo …).";
    MalformedPage = "malformed_page", "The archived record or its HTTP head cannot be parsed.";
    Revisit = "revisit", "The record only refers to another capture of the same content.";
    SupersededCapture = "superseded_capture", "Another capture of the same link was chosen.";
    NotInLinks = "not_in_links", "The page belongs to no kept link.";
    NotCaptured = "not_captured", "No archive holds a page for the link.";
    AddressRefused = "address_refused", "The host resolves to an address that is not public, or is an address itself.";
    RobotsDisallowed = "robots_disallowed", "robots.txt forbids the fetch, or could not be read.";
    OptedOut = "opted_out", "The response or the page carries a signal against use for training.";
    ConnectFailed = "connect_failed", "No connection: name not found, or refused.";
    TlsFault = "tls_fault", "The host's certificate is not right, or what it speaks is not TLS.";
    TimedOut = "timed_out", "The host did not answer within the limits.";
    TooManyRedirects = "too_many_redirects", "The redirects loop, or are more than the limit.";
    PageTooLarge = "page_too_large", "The body is larger than the limit.";
    HttpFault = "http_fault", "The exchange broke: bad framing, bad coding, a closed connection.";
    HttpStatus = "http_status", "The final status is not 200.";
    NotHtml = "not_html", "The content type is not HTML.";
    OverBudget = "over_budget", "The registrable domain has its share of pages; these have less karma.";
    HostGivenUp = "host_given_up", "The host failed too often in a row; its other links were left.";
    // documents
    PageTooComplex = "page_too_complex", "The page nests too deep or has too many nodes.";
    NoText = "no_text", "No main text was found.";
    Wikipedia = "wikipedia", "The text is Wikipedia's or a copy of it.";
    OtherLanguage = "other_language", "The language is not the one kept.";
    UncertainLanguage = "uncertain_language", "The language is the one kept, with too little confidence.";
    TooFewWords = "too_few_words", "The text has fewer words than the recipe asks.";
    TooManyWords = "too_many_words", "The text has more words than the recipe allows.";
    // dedup
    ExactDuplicate = "exact_duplicate", "The normalised text equals that of the representative.";
    NearDuplicate = "near_duplicate", "The text is a near-duplicate of the representative.";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_snake_case_distinct_and_round_trip() {
        let mut seen = std::collections::BTreeSet::new();
        for &reason in Reason::ALL {
            let name = reason.as_str();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(seen.insert(name), "{name} twice");
            assert_eq!(Reason::from_name(name), Some(reason));
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{name}\""));
        }
    }
}
