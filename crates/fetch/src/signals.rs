//! Signals against use for training in HTTP headers and robots.txt, and which of them are honoured.
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
    const ALL: [UsageSignal; 4] =
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
    for value in values("content-usage") {
        if says_no(&value, "train-ai") {
            found.push((UsageSignal::ContentUsage, format!("Content-Usage: {value}")));
        }
    }
    for value in values("content-signal") {
        if says_no(&value, "ai-train") {
            found.push((UsageSignal::ContentSignal, format!("Content-Signal: {value}")));
        }
    }
    found
}

/// Whether a list such as `search=yes, ai-train=no` or `train-ai=n` says no to `name`.
fn says_no(list: &str, name: &str) -> bool {
    list.split([',', ';']).filter_map(|item| item.split_once('=')).any(|(key, value)| {
        key.trim().eq_ignore_ascii_case(name) && matches!(value.trim().to_ascii_lowercase().as_str(), "n" | "no")
    })
}

/// One line of robots.txt about use.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UsageLine {
    signal: UsageSignal,
    path: String,
    is_no: bool,
    line: String,
}

/// The lines about use in the robots.txt group that applies to a crawler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UsageRules {
    lines: Vec<UsageLine>,
}

impl UsageRules {
    /// Reads the lines of the group for `agent`, or of the group for everybody; lines before any group are for
    /// everybody, too.
    pub(crate) fn parse(robots: &[u8], agent: &str) -> UsageRules {
        let text = String::from_utf8_lossy(robots);
        let (mut own, mut all, mut is_own_named) = (Vec::new(), Vec::new(), false);
        let (mut for_own, mut for_all, mut in_agents) = (false, true, false);
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("").trim();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if key == "user-agent" {
                if !in_agents {
                    (for_own, for_all) = (false, false);
                }
                in_agents = true;
                let name = value.split('/').next().unwrap_or("").trim();
                for_own |= name.eq_ignore_ascii_case(agent);
                for_all |= name == "*";
                is_own_named |= for_own;
                continue;
            }
            in_agents = false;
            let Some(parsed) = usage_line(&key, value, line) else { continue };
            if for_own {
                own.push(parsed.clone());
            }
            if for_all {
                all.push(parsed);
            }
        }
        UsageRules { lines: if is_own_named { own } else { all } }
    }

    /// The signals for a path (with its query): of each kind, the line with the longest matching path decides.
    pub(crate) fn of_path(&self, path: &str) -> Vec<(UsageSignal, String)> {
        let mut found = Vec::new();
        for signal in UsageSignal::ALL {
            let lines = self.lines.iter().filter(|line| line.signal == signal && covers(&line.path, path));
            // Of two equally long paths, the no counts.
            let decides = lines.max_by_key(|line| (line.path.len(), line.is_no));
            if let Some(line) = decides.filter(|line| line.is_no) {
                found.push((signal, format!("robots.txt: {}", line.line)));
            }
        }
        found
    }
}

fn usage_line(key: &str, value: &str, line: &str) -> Option<UsageLine> {
    let (signal, name) = match key {
        "content-usage" => (UsageSignal::ContentUsage, "train-ai"),
        "content-signal" => (UsageSignal::ContentSignal, "ai-train"),
        _ => return None,
    };
    let (path, list) = match value.split_once(char::is_whitespace) {
        Some((path, list)) if path.starts_with('/') => (path, list),
        _ => ("", value),
    };
    let is_no = says_no(list, name);
    let says = is_no || list.split([',', ';']).any(|item| item.trim().to_ascii_lowercase().starts_with(name));
    says.then(|| UsageLine { signal, path: path.to_owned(), is_no, line: line.to_owned() })
}

/// Whether a path pattern of robots.txt matches a URL's path: a prefix, with `*` for anything and `$` for the end.
fn covers(pattern: &str, path: &str) -> bool {
    let (pattern, to_end) = pattern.strip_suffix('$').map_or((pattern, false), |pattern| (pattern, true));
    let mut parts = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if to_end && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    !to_end || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(robots: &str, path: &str, expected: &[UsageSignal]) {
        let found = UsageRules::parse(robots.as_bytes(), "webtext").of_path(path);
        assert_eq!(found.iter().map(|(signal, _)| *signal).collect::<Vec<_>>(), expected, "{robots}\n{path}");
    }

    #[test]
    fn lines_of_robots_txt() {
        check("User-agent: *\nContent-Signal: search=yes, ai-train=no\n", "/", &[UsageSignal::ContentSignal]);
        check("User-agent: *\nContent-Signal: search=yes, ai-train=yes\n", "/", &[]);
        check("Content-Usage: train-ai=n\n", "/a", &[UsageSignal::ContentUsage]);
        check("User-agent: other\nContent-Usage: train-ai=n\n", "/a", &[]);
        check(
            "User-agent: other\nUser-agent: webtext\nDisallow:\nContent-Usage: train-ai=n\n",
            "/",
            &[UsageSignal::ContentUsage],
        );
        // A crawler that is named does not follow the group for everybody.
        check("User-agent: webtext\nAllow: /\n\nUser-agent: *\nContent-Usage: train-ai=n\n", "/", &[]);
    }

    #[test]
    fn the_longest_path_decides() {
        let robots = "User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open train-ai=y\nContent-Usage: /open/not* train-ai=n";
        check(robots, "/", &[UsageSignal::ContentUsage]);
        check(robots, "/open/a", &[]);
        check(robots, "/open/nothing", &[UsageSignal::ContentUsage]);
    }

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("", "/a", true),
            ("/a", "/ab", true),
            ("/a$", "/ab", false),
            ("/a$", "/a", true),
            ("/*.php", "/x/y.php?z", true),
            ("/*.php$", "/x/y.php?z", false),
            ("/*.php$", "/x.php/y.php", true),
            ("/a*b*c", "/a-b-c", true),
            ("/a*b*c", "/a-c-b", false),
        ] {
            assert_eq!(covers(pattern, path), expected, "{pattern} {path}");
        }
    }

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
    }

    #[test]
    fn a_choice_of_signals_is_a_list() {
        let honour: HonouredSignals = serde_json::from_str(r#"["noai","content-usage"]"#).unwrap();
        assert!(honour.contains(UsageSignal::Noai) && !honour.contains(UsageSignal::TdmReservation));
        assert_eq!(serde_json::to_string(&honour).unwrap(), r#"["noai","content-usage"]"#);
        assert!("nothing".parse::<UsageSignal>().unwrap_err().contains("not a signal"));
    }

    proptest::proptest! {
        #[test]
        fn any_robots_txt_is_read_without_a_panic(
            bytes: Vec<u8>,
            lines in "((User-agent|Content-Usage|Content-Signal|x): ?[*/a-z$ =,;#-]{0,20}\n){0,8}",
            path in "/[a-z*$/]{0,12}",
        ) {
            UsageRules::parse(&bytes, "webtext").of_path(&path);
            UsageRules::parse(lines.as_bytes(), "webtext").of_path(&path);
        }

        /// A pattern still matches its path when stars are inserted.
        #[test]
        fn stars_match_more(path in "/[a-z]{1,12}", cut in 1_usize..12, at_end: bool) {
            let cut = cut.min(path.len());
            let pattern = format!("{}*{}{}", &path[..cut], &path[cut..], if at_end { "$" } else { "" });
            proptest::prop_assert!(covers(&pattern, &path), "{pattern} {path}");
        }
    }
}
