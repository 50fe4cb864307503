//! Signals against use for training in HTTP headers and lines of robots.txt, and which of them are honoured.
//!
//! The signals are `X-Robots-Tag: noai` (a convention of image sites), `tdm-reservation: 1` (TDMRep, a W3C community
//! report), `Content-Usage: train-ai=n` (the IETF's AIPREF drafts; a header, or a line of robots.txt with or
//! without a path) and `Content-Signal: ai-train=no` (a line of robots.txt). Signals in
//! the page itself are left to the extractor. Left out: `/.well-known/tdmrep.json`, which would be one more request per host.

use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};

/// A signal against use for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UsageSignal {
    /// `X-Robots-Tag: noai`.
    Noai,
    /// `tdm-reservation: 1`.
    TdmReservation,
    /// `Content-Usage: train-ai=n`.
    ContentUsage,
    /// `Content-Signal: ai-train=no`.
    ContentSignal,
}

impl UsageSignal {
    pub(crate) const ALL: [UsageSignal; 4] =
        [UsageSignal::Noai, UsageSignal::TdmReservation, UsageSignal::ContentUsage, UsageSignal::ContentSignal];

    /// The name in recipes and flags.
    fn name(self) -> &'static str {
        match self {
            UsageSignal::Noai => "noai",
            UsageSignal::TdmReservation => "tdm-reservation",
            UsageSignal::ContentUsage => "content-usage",
            UsageSignal::ContentSignal => "content-signal",
        }
    }
}

impl std::str::FromStr for UsageSignal {
    type Err = String;

    fn from_str(name: &str) -> Result<UsageSignal, String> {
        let known = UsageSignal::ALL.into_iter().find(|signal| signal.name() == name);
        known.ok_or_else(|| {
            format!("{name:?} is not a signal; known are noai, tdm-reservation, content-usage, content-signal")
        })
    }
}

/// The set of signals that drop a page. All signals are read and archived, honoured or not.
///
/// ```
/// use fetch::{HonouredSignals, UsageSignal};
///
/// let honoured = HonouredSignals::from(vec![UsageSignal::Noai]);
/// assert!(honoured.contains(UsageSignal::Noai) && !honoured.contains(UsageSignal::ContentUsage));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<UsageSignal>", into = "Vec<UsageSignal>")]
pub struct HonouredSignals {
    signals: [bool; 4],
}

impl HonouredSignals {
    /// All signals; the default.
    pub const ALL: HonouredSignals = HonouredSignals { signals: [true; 4] };

    /// Whether this signal drops a page.
    pub fn contains(self, signal: UsageSignal) -> bool {
        self.signals[signal as usize]
    }
}

/// As flags write it: names with commas between, or `none`.
impl std::fmt::Display for HonouredSignals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let chosen = UsageSignal::ALL.into_iter().filter(|&signal| self.contains(signal));
        let names: Vec<&str> = chosen.map(UsageSignal::name).collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(",") }.as_str())
    }
}

impl std::str::FromStr for HonouredSignals {
    type Err = String;

    fn from_str(names: &str) -> Result<HonouredSignals, String> {
        let chosen = names.split(',').filter(|name| *name != "none").map(str::parse);
        Ok(chosen.collect::<Result<Vec<UsageSignal>, _>>()?.into())
    }
}

impl From<Vec<UsageSignal>> for HonouredSignals {
    fn from(chosen: Vec<UsageSignal>) -> HonouredSignals {
        HonouredSignals { signals: UsageSignal::ALL.map(|signal| chosen.contains(&signal)) }
    }
}

impl From<HonouredSignals> for Vec<UsageSignal> {
    fn from(honour: HonouredSignals) -> Vec<UsageSignal> {
        UsageSignal::ALL.into_iter().filter(|&signal| honour.contains(signal)).collect()
    }
}

/// The signals in response headers, each with its header line.
pub(crate) fn of_headers(headers: &HeaderMap) -> Vec<(UsageSignal, String)> {
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    let mut found = Vec::new();
    for tag in values("x-robots-tag") {
        if tag.split([',', ':']).any(|word| word.trim().eq_ignore_ascii_case("noai")) {
            found.push((UsageSignal::Noai, format!("X-Robots-Tag: {tag}")));
        }
    }
    for value in values("tdm-reservation") {
        if value.trim() == "1" {
            found.push((UsageSignal::TdmReservation, format!("tdm-reservation: {value}")));
        }
    }
    for (signal, name) in [(UsageSignal::ContentUsage, "Content-Usage"), (UsageSignal::ContentSignal, "Content-Signal")]
    {
        let refusing = values(name).into_iter().filter(|list| allows_training(signal, list) == Some(false));
        found.extend(refusing.map(|list| (signal, format!("{name}: {list}"))));
    }
    found
}

/// Whether a list such as `search=yes, ai-train=no` (`Content-Signal`) or `train-ai=n` (`Content-Usage`) allows
/// training; `None` if it does not say, or the signal is no list.
pub(crate) fn allows_training(signal: UsageSignal, list: &str) -> Option<bool> {
    let name = match signal {
        UsageSignal::ContentUsage => "train-ai",
        UsageSignal::ContentSignal => "ai-train",
        UsageSignal::Noai | UsageSignal::TdmReservation => return None,
    };
    let items = list.split([',', ';']).map(|item| item.split_once('=').unwrap_or((item, "")));
    let answers = items.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    answers.map(|value| !(value.eq_ignore_ascii_case("n") || value.eq_ignore_ascii_case("no"))).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let check = |name: &'static str, value: &str, expected: Option<UsageSignal>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(of_headers(&headers).first().map(|(signal, _)| *signal), expected, "{name}: {value}");
        };
        check("x-robots-tag", "noindex, noai", Some(UsageSignal::Noai));
        check("x-robots-tag", "otherbot: noai", Some(UsageSignal::Noai));
        check("x-robots-tag", "noindex", None);
        check("tdm-reservation", "1", Some(UsageSignal::TdmReservation));
        check("tdm-reservation", "0", None);
        check("content-usage", "search=y, train-ai=n", Some(UsageSignal::ContentUsage));
        check("content-usage", "train-ai=y", None);
        check("content-usage", "train-ai=y, train-ai=n", Some(UsageSignal::ContentUsage));
        check("content-usage", "ai-train=n", None);
        check("content-signal", "search=yes;ai-train = No", Some(UsageSignal::ContentSignal));
    }

    #[test]
    fn a_choice_of_signals_is_a_list() {
        let honour: HonouredSignals = serde_json::from_str(r#"["noai","content-usage"]"#).unwrap();
        assert!(honour.contains(UsageSignal::Noai) && !honour.contains(UsageSignal::TdmReservation));
        assert_eq!(serde_json::to_string(&honour).unwrap(), r#"["noai","content-usage"]"#);
        assert!("nothing".parse::<UsageSignal>().unwrap_err().contains("not a signal"));
    }
}
