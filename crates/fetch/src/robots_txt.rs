//! robots.txt (RFC 9309): which rules a file has for one crawler, and what they say about a path.
//!
//! One reading gives all that a group says: what may be requested, what may be used for training, and the crawl delay.
//! `docs/robots.md` lists where RFC 9309, Google's and Scrapy's parsers disagree, and what was chosen. Left out: sitemaps,
//! `Request-rate`, `Visit-time`, `Host`, `Clean-param`, `Noindex`.

use std::cmp::Reverse;
use std::time::Duration;

use crate::path_pattern::{ComparablePath, PathPattern};
use crate::signals::{self, UsageSignal};

/// Bytes of a file that are read. RFC 9309, section 2.5, asks for at least 500 KiB.
pub(crate) const MAX_ROBOTS_BYTES: usize = 512 << 10;
/// Bytes of a line that are read, as in Google's parser: eight times the longest URL of some browsers, and a byte less.
const MAX_LINE_BYTES: usize = 2083 * 8 - 1;
/// Bytes of a line that are kept, for messages.
const MAX_SHOWN_BYTES: usize = 200;
/// A longer crawl delay counts as this. The settings of a crawl have a lower limit of their own.
const MAX_CRAWL_DELAY: Duration = Duration::from_secs(24 * 3600);
/// What precedes the text: the byte order marks of UTF-8, whole or cut short as Google's parser accepts them, and UTF-16.
const BYTE_ORDER_MARKS: [&[u8]; 5] = [b"\xef\xbb\xbf", b"\xef\xbb", b"\xff\xfe", b"\xfe\xff", b"\xef"];

/// The rules of a robots.txt for one crawler.
///
/// ```
/// use fetch::RobotsTxt;
///
/// let robots = RobotsTxt::parse(b"User-agent: *\nDisallow: /private\nAllow: /private/press\nCrawl-delay: 2.5", "webtext");
/// assert_eq!(robots.disallowed_by("/private/1"), Some("Disallow: /private"));
/// assert_eq!(robots.disallowed_by("/private/press?year=2026"), None);
/// assert_eq!(robots.crawl_delay().unwrap().as_millis(), 2500);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RobotsTxt {
    /// The most specific first; of equally specific ones, Allow first.
    access: Vec<AccessRule>,
    /// The most specific first; of equally specific ones, those that say no first.
    usage: Vec<UsageRule>,
    crawl_delay: Option<Duration>,
}

/// A line that allows or disallows requests.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AccessRule {
    pattern: PathPattern,
    allows: bool,
    line: Box<str>,
}

/// A line about use for training.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UsageRule {
    pattern: PathPattern,
    signal: UsageSignal,
    allows: bool,
    line: Box<str>,
}

impl RobotsTxt {
    /// Reads the rules for a crawler: those of all groups that name its product token, in any case, or those for everybody
    /// if none does. Any bytes are a robots.txt; lines that say nothing are skipped.
    ///
    /// Reads 512 KiB, and drops the line that this cuts. Time and memory are linear in that.
    pub fn parse(bytes: &[u8], product_token: &str) -> RobotsTxt {
        let text = text_of(bytes);
        let mut groups = GroupReader::new(product_token);
        for line in text.split(|byte| matches!(byte, b'\r' | b'\n')) {
            groups.read(line);
        }
        groups.finish()
    }

    /// The line that disallows a path (with its query, such as `/a?b=c`); `None` if it may be requested.
    ///
    /// The most specific rule decides, and of two equally specific ones Allow. `/robots.txt` itself is always allowed.
    /// Time is linear in the path and in all patterns.
    pub fn disallowed_by(&self, path: &str) -> Option<&str> {
        if path.split('?').next() == Some("/robots.txt") {
            return None;
        }
        let path = ComparablePath::new(path);
        let decisive = self.access.iter().find(|rule| rule.pattern.matches(&path));
        decisive.filter(|rule| !rule.allows).map(|rule| &*rule.line)
    }

    /// The signals against training on the page of a path (with its query), each with its line.
    ///
    /// Of each signal, the most specific rule decides, and of two equally specific ones that which says no.
    pub fn signals(&self, path: &str) -> Vec<(UsageSignal, &str)> {
        let path = ComparablePath::new(path);
        let decisive =
            |signal: UsageSignal| self.usage.iter().find(|rule| rule.signal == signal && rule.pattern.matches(&path));
        let rules = UsageSignal::ALL.into_iter().filter_map(decisive).filter(|rule| !rule.allows);
        rules.map(|rule| (rule.signal, &*rule.line)).collect()
    }

    /// The longest `Crawl-delay` of the groups, at most a day; `None` without one.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }
}

/// The text of a file, without byte order mark, NULs (which UTF-16 and padding have) and a line that the limit cuts.
fn text_of(bytes: &[u8]) -> Vec<u8> {
    let bytes = match bytes.get(..=MAX_ROBOTS_BYTES) {
        Some(start) => {
            let end = start.iter().rposition(|byte| matches!(byte, b'\r' | b'\n'));
            &start[..end.unwrap_or(0)]
        }
        None => bytes,
    };
    let mark = BYTE_ORDER_MARKS.into_iter().find(|mark| bytes.starts_with(mark)).unwrap_or(b"");
    bytes[mark.len()..].iter().copied().filter(|&byte| byte != 0).collect()
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    UserAgent,
    Access { allows: bool },
    Usage(UsageSignal),
    CrawlDelay,
}

impl Field {
    /// The field of this name, in any case. Accepted misspellings are those of Google's and Scrapy's parsers. As in
    /// Google's, more may follow `User-agent` and `Disallow` (`User-agents`, `Disallowed`), but not `Allow`, where reading
    /// too much would not be polite.
    fn named(name: &[u8]) -> Option<Field> {
        const USER_AGENT: [&str; 3] = ["user-agent", "useragent", "user agent"];
        const DISALLOW: [&str; 6] = ["disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"];
        const CRAWL_DELAY: [&str; 2] = ["crawl-delay", "crawl delay"];
        let begins_with =
            |known: &&str| name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known.as_bytes()));
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if USER_AGENT.iter().any(begins_with) => Some(Field::UserAgent),
            () if DISALLOW.iter().any(begins_with) => Some(Field::Access { allows: false }),
            () if is(&"allow") => Some(Field::Access { allows: true }),
            () if CRAWL_DELAY.iter().any(is) => Some(Field::CrawlDelay),
            () if is(&"content-usage") => Some(Field::Usage(UsageSignal::ContentUsage)),
            () if is(&"content-signal") => Some(Field::Usage(UsageSignal::ContentSignal)),
            () => None,
        }
    }
}

/// Splits a line without its comment into field and value. Where the colon was forgotten, blanks separate them.
fn split_line(line: &[u8]) -> Option<(Field, &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':');
    if let Some(colon) = colon
        && let Some(field) = Field::named(trim(&line[..colon]))
        // The colon of `Disallow /wiki/Special:Search` is another.
        && !line[..colon].iter().any(|byte| matches!(byte, b'/' | b'*'))
    {
        return Some((field, trim(&line[colon + 1..])));
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let blanks = line.iter().enumerate().filter(|(_, byte)| is_blank(byte)).map(|(at, _)| at);
    // The first word is the field, or the first two: `user agent`.
    let (field, value) = blanks.take(2).find_map(|at| Some((Field::named(&line[..at])?, trim(&line[at..]))))?;
    // A sentence may begin with "Allow", too.
    let is_path = value.starts_with(b"/") || value.starts_with(b"*");
    (is_path || !matches!(field, Field::Access { .. })).then_some((field, value))
}

/// Removes blanks at both ends, no-break spaces included, which pages from which rules are copied have.
fn trim(mut text: &[u8]) -> &[u8] {
    const NO_BREAK_SPACE: &[u8] = "\u{a0}".as_bytes();
    loop {
        text = text.trim_ascii();
        let shorter = text.strip_prefix(NO_BREAK_SPACE).or_else(|| text.strip_suffix(NO_BREAK_SPACE));
        let Some(shorter) = shorter else { return text };
        text = shorter;
    }
}

/// Which of a crawler's groups a line belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Audience {
    /// A group that names the crawler.
    own: bool,
    /// A group for everybody.
    everybody: bool,
}

impl Audience {
    /// All crawlers, those that a group names, too.
    const ALL: Audience = Audience { own: true, everybody: true };

    /// Adds whom a `User-agent` line names: everybody by `*`, alone or before a blank; otherwise the product token up to
    /// the first character that none has (RFC 9309, section 2.2.1).
    fn add(&mut self, value: &[u8], product_token: &[u8]) {
        if let [b'*', rest @ ..] = value
            && rest.first().is_none_or(u8::is_ascii_whitespace)
        {
            self.everybody = true;
            return;
        }
        let named = token_of(value);
        self.own |= !named.is_empty() && named.eq_ignore_ascii_case(product_token);
    }
}

fn token_of(value: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    &value[..value.iter().position(|byte| !is_part(byte)).unwrap_or(value.len())]
}

/// Collects the lines of a crawler's own groups, and those for everybody.
///
/// A group's `User-agent` lines end with its first rule. `Crawl-delay` is none in RFC 9309 and may not end them
/// (section 2.2.4); it counts for the agents that are named directly above it.
struct GroupReader<'t> {
    product_token: &'t [u8],
    /// Whom the next rule is for; `None` before any group.
    rules_for: Option<Audience>,
    delay_for: Audience,
    after_rule: bool,
    after_delay: bool,
    is_named: bool,
    access: Vec<(Audience, AccessRule)>,
    usage: Vec<(Audience, UsageRule)>,
    delays: Vec<(Audience, Duration)>,
}

impl<'t> GroupReader<'t> {
    fn new(product_token: &'t str) -> GroupReader<'t> {
        GroupReader {
            product_token: token_of(product_token.as_bytes()),
            rules_for: None,
            delay_for: Audience::default(),
            after_rule: false,
            after_delay: false,
            is_named: false,
            access: Vec::new(),
            usage: Vec::new(),
            delays: Vec::new(),
        }
    }

    fn read(&mut self, line: &[u8]) {
        let line = &line[..line.len().min(MAX_LINE_BYTES)];
        let line = trim(line.split(|&byte| byte == b'#').next().unwrap_or(b""));
        let Some((field, value)) = split_line(line) else { return };
        match field {
            Field::UserAgent => self.name_agent(value),
            Field::Access { allows } => self.add_access(allows, value, line),
            Field::Usage(signal) => self.add_usage(signal, value, line),
            Field::CrawlDelay => {
                self.after_delay = true;
                self.delays.extend(delay_of(value).map(|delay| (self.delay_for, delay)));
            }
        }
    }

    fn name_agent(&mut self, value: &[u8]) {
        if self.after_rule {
            self.rules_for = None;
        }
        if self.after_rule || self.after_delay {
            self.delay_for = Audience::default();
        }
        (self.after_rule, self.after_delay) = (false, false);
        let rules_for = self.rules_for.get_or_insert_default();
        rules_for.add(value, self.product_token);
        self.delay_for.add(value, self.product_token);
        self.is_named |= rules_for.own;
    }

    fn add_access(&mut self, allows: bool, value: &[u8], line: &[u8]) {
        self.after_rule = true;
        let Some(audience) = self.rules_for.filter(|_| !value.is_empty()) else { return };
        let line = shown(line);
        if allows && let Some(folder) = folder_of_index(value) {
            let rule = AccessRule { pattern: PathPattern::new(&folder), allows, line: line.clone() };
            self.access.push((audience, rule));
        }
        self.access.push((audience, AccessRule { pattern: PathPattern::new(value), allows, line }));
    }

    /// A signal before any group is for all crawlers: a site that reserves a use should not lose that because it has no
    /// `User-agent` line.
    fn add_usage(&mut self, signal: UsageSignal, value: &[u8], line: &[u8]) {
        self.after_rule = true;
        let audience = self.rules_for.unwrap_or(Audience::ALL);
        // A path begins with a slash and ends at a blank; anything else is the list.
        let blank = value.iter().position(u8::is_ascii_whitespace).filter(|_| value.starts_with(b"/"));
        let (path, list) = value.split_at(blank.unwrap_or(0));
        let Some(allows) = signals::allows_training(signal, &String::from_utf8_lossy(list)) else { return };
        let rule = UsageRule { pattern: PathPattern::new(path), signal, allows, line: shown(line) };
        self.usage.push((audience, rule));
    }

    fn finish(self) -> RobotsTxt {
        let is_named = self.is_named;
        let counts = |audience: &Audience| if is_named { audience.own } else { audience.everybody };
        let mut access: Vec<AccessRule> =
            self.access.into_iter().filter(|(audience, _)| counts(audience)).map(|(_, rule)| rule).collect();
        access.sort_by_key(|rule| (Reverse(rule.pattern.len_octets()), !rule.allows));
        let mut usage: Vec<UsageRule> =
            self.usage.into_iter().filter(|(audience, _)| counts(audience)).map(|(_, rule)| rule).collect();
        usage.sort_by_key(|rule| (Reverse(rule.pattern.len_octets()), rule.allows));
        let delays = self.delays.into_iter().filter(|(audience, _)| counts(audience)).map(|(_, delay)| delay);
        RobotsTxt { access, usage, crawl_delay: delays.max() }
    }
}

fn shown(line: &[u8]) -> Box<str> {
    String::from_utf8_lossy(&line[..line.len().min(MAX_SHOWN_BYTES)]).into()
}

/// The pattern of a folder whose index page is allowed: `/a/index.html` allows `/a/`, too, as in Google's parser.
fn folder_of_index(pattern: &[u8]) -> Option<Vec<u8>> {
    let slash = pattern.iter().rposition(|&byte| byte == b'/')?;
    pattern[slash..].starts_with(b"/index.htm").then(|| [&pattern[..=slash], b"$"].concat())
}

/// Seconds with an optional fraction, which a point or a comma begins; what follows, such as a unit, is not read.
fn delay_of(value: &[u8]) -> Option<Duration> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',');
    let end = value.iter().position(|byte| !is_part(byte)).unwrap_or(value.len());
    let number = String::from_utf8_lossy(&value[..end]).replace(',', ".");
    let seconds: f64 = number.parse().ok()?;
    Some(Duration::from_secs_f64(seconds.min(MAX_CRAWL_DELAY.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALLOWED: bool = true;
    const DISALLOWED: bool = false;

    /// Checks what a robots.txt says to this crawler about a path.
    fn check(robots: impl AsRef<[u8]>, path: &str, expected: bool) {
        let robots = robots.as_ref();
        let found = RobotsTxt::parse(robots, "webtext").disallowed_by(path).is_none();
        assert_eq!(found, expected, "{path} by\n{}", String::from_utf8_lossy(&robots[..robots.len().min(1000)]));
    }

    /// Checks whether `Disallow: /` below this `User-agent` line is for this crawler, and not for everybody.
    fn check_agent(value: &str, expected: bool) {
        let robots = format!("User-agent: {value}\nDisallow: /\nUser-agent: *\nAllow: /");
        check(robots, "/", !expected);
    }

    fn check_signals(robots: &str, path: &str, expected: &[UsageSignal]) {
        let robots_txt = RobotsTxt::parse(robots.as_bytes(), "webtext");
        let found: Vec<UsageSignal> = robots_txt.signals(path).into_iter().map(|(signal, _)| signal).collect();
        assert_eq!(found, expected, "{path} by\n{robots}");
    }

    fn check_delay(robots: &str, expected_ms: Option<u128>) {
        let found = RobotsTxt::parse(robots.as_bytes(), "webtext").crawl_delay();
        assert_eq!(found.map(|delay| delay.as_millis()), expected_ms, "{robots}");
    }

    #[test]
    fn the_product_token_ends_at_the_first_other_character() {
        for value in [
            "webtext",
            "WebText",
            "webtext/1.0",
            "webtext/1.0 (+https://a.example)",
            "webtext*",
            "webtext bot",
            "webtext, otherbot",
            "webtext;",
            "webtext\u{e9}",
            "webtext # us",
            "\u{a0}webtext",
        ] {
            check_agent(value, true);
        }
        for value in [
            "",
            "web",
            "webtexts",
            "webtext-news",
            "webtext_2",
            "my webtext",
            "*webtext",
            "\u{2603}",
            "\"webtext\"",
            "webt\u{e9}xt",
        ] {
            check_agent(value, false);
        }
    }

    #[test]
    fn everybody_is_a_star_alone_or_before_a_blank() {
        for (value, expected) in [
            ("*", DISALLOWED),
            ("* everybody", DISALLOWED),
            ("*\t", DISALLOWED),
            ("**", ALLOWED),
            ("*bot", ALLOWED),
            ("all", ALLOWED),
        ] {
            check(format!("User-agent: {value}\nDisallow: /"), "/", expected);
        }
    }

    #[test]
    fn groups() {
        // Several agents, blank lines between them, and two groups of one agent.
        let robots = "User-agent: otherbot\n\nUser-agent: webtext\n\nDisallow: /a\n\nDisallow: /b\n\
                      User-agent: *\nDisallow: /c\nUser-agent: WEBTEXT\nDisallow: /d";
        for (path, expected) in [("/a", DISALLOWED), ("/b", DISALLOWED), ("/c", ALLOWED), ("/d", DISALLOWED)] {
            check(robots, path, expected);
        }
        // A group without a rule allows everything, and so does an empty rule.
        check("User-agent: *\nDisallow: /\nUser-agent: webtext", "/", ALLOWED);
        check("User-agent: *\nDisallow: /\nUser-agent: webtext\nDisallow:", "/", ALLOWED);
        check("User-agent: webtext\nDisallow:\nUser-agent: *\nDisallow: /", "/", ALLOWED);
        // Rules before any group are nobody's.
        check("Disallow: /\nUser-agent: otherbot\nDisallow: /", "/", ALLOWED);
        // Other lines do not end the list of agents.
        for line in
            ["Sitemap: https://a.example/s.xml", "Crawl-delay: 5", "Clean-param: ref", "no field", "Harry: Potter"]
        {
            check(format!("User-agent: webtext\n{line}\nUser-agent: *\nDisallow: /"), "/", DISALLOWED);
        }
    }

    #[test]
    fn lines() {
        for ends in ["\n", "\r\n", "\r", "\n\r", "\r\r\n"] {
            check(["User-agent: *", "# comment", "", "Disallow: /a # comment", ""].join(ends), "/a", DISALLOWED);
        }
        for line in [
            "disallow: /a",
            "DISALLOW:/a",
            "  Disallow : \t /a  ",
            "Disallow:\u{a0}/a",
            "Disallow /a",
            "Disallow\t/a",
            "disalow: /a",
            "dissallow: /a",
            "dissalow: /a",
            "diasllow: /a",
            "disallaw: /a",
            "Disallowed: /a",
            "Disallow: a",
            "Disallow: /a#b",
        ] {
            check(format!("User-agent: *\n{line}"), "/a", DISALLOWED);
        }
        for line in [
            "Dis allow: /a",
            "Disallow",
            "Disallow/a",
            "Disallow=/a",
            ": /a",
            "/a",
            "#Disallow: /a",
            "Noindex: /a",
            "\u{feff}Disallow: /a",
        ] {
            check(format!("User-agent: *\n{line}"), "/a", ALLOWED);
        }
        for line in [
            "useragent: webtext",
            "user agent: webtext",
            "User-agent webtext",
            "user agent webtext",
            "User-agents: webtext",
            "USER-AGENT:webtext",
        ] {
            check(format!("{line}\nDisallow: /a"), "/a", DISALLOWED);
        }
        // Rules without a colon are paths, which may have colons of their own; sentences are no rules.
        check("User-agent: *\nDisallow /wiki/Special:Search", "/wiki/Special:Search?a", DISALLOWED);
        check("User-agent: *\nDisallow: /\nAllow us to explain", "/", DISALLOWED);
        check("User-agent: *\nDisallow: /\nAllowed: /", "/", DISALLOWED);
    }

    #[test]
    fn files_of_all_kinds() {
        let rules = "User-agent: *\nDisallow: /a\n";
        for mark in BYTE_ORDER_MARKS {
            check([mark, rules.as_bytes()].concat(), "/a", DISALLOWED);
        }
        let utf16 = |to_bytes: fn(u16) -> [u8; 2]| rules.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
        check([b"\xff\xfe".as_slice(), &utf16(u16::to_le_bytes)].concat(), "/a", DISALLOWED);
        check([b"\xfe\xff".as_slice(), &utf16(u16::to_be_bytes)].concat(), "/a", DISALLOWED);
        check(utf16(u16::to_le_bytes), "/a", DISALLOWED);
        check([rules.trim_end().as_bytes(), &[0; 100]].concat(), "/a", DISALLOWED);
        check("", "/a", ALLOWED);
        check([0xff; 1000], "/a", ALLOWED);
        check("<!doctype html><html>\n<p>Not found: /a\n<p>Disallow: /\n</html>", "/a", ALLOWED);
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let padded = |len_bytes: usize, rules: &str| {
            let pad = "#".repeat(len_bytes - "User-agent: *\n\n".len() - rules.len());
            format!("User-agent: *\n{pad}\n{rules}")
        };
        check(padded(MAX_ROBOTS_BYTES, "Disallow: /a"), "/a", DISALLOWED);
        check(padded(MAX_ROBOTS_BYTES + 1, "Disallow: /a\n"), "/a", DISALLOWED);
        // A cut line would say something else: here, that nothing is allowed.
        check(padded(MAX_ROBOTS_BYTES + 1, "Disallow: /a"), "/b", ALLOWED);
        check(padded(MAX_ROBOTS_BYTES + 9, "Disallow: /a/secret"), "/a", ALLOWED);
        check("x".repeat(MAX_ROBOTS_BYTES + 1), "/a", ALLOWED);
    }

    #[test]
    fn the_longest_rule_decides_and_allow_wins_ties() {
        for (rules, path, expected) in [
            ("Disallow: /\nAllow: /a", "/a", ALLOWED),
            ("Allow: /a\nDisallow: /", "/b", DISALLOWED),
            ("Allow: /a\nDisallow: /a/b", "/a/b", DISALLOWED),
            ("Disallow: /a\nAllow: /a", "/a", ALLOWED),
            ("Disallow: /a%2a\nAllow: /a%2A", "/a*", ALLOWED),
            ("Disallow: /%61\nAllow: /a", "/a", ALLOWED),
            ("Allow: /page\nDisallow: /*.htm", "/page.htm", DISALLOWED),
            ("Allow: /$\nDisallow: /", "/", ALLOWED),
            ("Allow: /$\nDisallow: /", "/?a", DISALLOWED),
            ("Allow: /a/index.html\nDisallow: /", "/a/", ALLOWED),
            ("Allow: /a/index.html\nDisallow: /", "/a/b", DISALLOWED),
            ("Allow: /a/index.php\nDisallow: /", "/a/", DISALLOWED),
            ("Disallow: /a/index.html", "/a/", ALLOWED),
            ("Disallow: /a?b=1", "/a?b=12", DISALLOWED),
            ("Disallow: /a?b=1", "/a?c=1&b=1", ALLOWED),
            ("Disallow: /a?b=1", "/a", ALLOWED),
            ("Disallow: /", "/robots.txt", ALLOWED),
            ("Disallow: /", "/robots.txt?a", ALLOWED),
            ("Disallow: /", "/robots.txt.bak", DISALLOWED),
            // A URL has no dot segments, so that these rules match none.
            ("Disallow: /a/../b", "/b", ALLOWED),
            ("Disallow: /.", "/.git/config", DISALLOWED),
        ] {
            check(format!("User-agent: *\n{rules}"), path, expected);
        }
    }

    #[test]
    fn long_lines_are_cut() {
        let long = format!("/{}", "a".repeat(MAX_LINE_BYTES - "Disallow: /".len()));
        check(format!("User-agent: *\nDisallow: {long}/b"), &format!("{long}/c"), DISALLOWED);
        let robots = RobotsTxt::parse(format!("User-agent: *\nDisallow: {long}").as_bytes(), "webtext");
        assert_eq!(robots.disallowed_by(&long).map(str::len), Some(MAX_SHOWN_BYTES));
    }

    #[test]
    fn crawl_delays() {
        for (value, expected_ms) in [
            ("3", Some(3_000)),
            ("0.5", Some(500)),
            (".5", Some(500)),
            ("1,5", Some(1_500)),
            ("10s", Some(10_000)),
            ("10 # seconds", Some(10_000)),
            ("0", Some(0)),
            ("99999999999999999999999", Some(MAX_CRAWL_DELAY.as_millis())),
            ("-1", None),
            ("", None),
            (".", None),
            ("nan", None),
            ("inf", None),
            ("soon", None),
            ("1.2.3", None),
        ] {
            check_delay(&format!("User-agent: *\nCrawl-delay: {value}"), expected_ms);
        }
        check_delay(&format!("User-agent: *\nCrawl-delay: {}", "9".repeat(1000)), Some(MAX_CRAWL_DELAY.as_millis()));
        check_delay("Crawl-delay: 5\nUser-agent: *", None);
        check_delay("User-agent: *\ncrawl delay: 5", Some(5_000));
        check_delay("User-agent: *\nCrawl-delay 5", Some(5_000));
        // Each is for the agents directly above, and the longest counts.
        check_delay(
            "User-agent: a\nCrawl-delay: 9\n\nUser-agent: *\nCrawl-delay: 5\n\nUser-agent: b\nCrawl-delay: 7",
            Some(5_000),
        );
        check_delay(
            "User-agent: webtext\nCrawl-delay: 9\nUser-agent: *\nCrawl-delay: 5\nUser-agent: webtext\nCrawl-delay: 2",
            Some(9_000),
        );
        check_delay("User-agent: webtext\nDisallow: /a\nUser-agent: *\nCrawl-delay: 5", None);
    }

    #[test]
    fn signals_are_in_groups_as_rules_are() {
        const USAGE: &[UsageSignal] = &[UsageSignal::ContentUsage];
        const SIGNAL: &[UsageSignal] = &[UsageSignal::ContentSignal];
        for (robots, path, expected) in [
            ("User-agent: *\nContent-Signal: search=yes, ai-train=no\n", "/", SIGNAL),
            ("User-agent: *\nContent-Signal: search=yes, ai-train=yes\n", "/", &[]),
            ("Content-Signal: ai-train=no\nUser-agent: webtext\nAllow: /\n", "/", SIGNAL),
            ("User-agent: *\nContent-Signal: search=no\n", "/", &[]),
            ("Content-Usage: train-ai=n\n", "/a", USAGE),
            ("User-agent: other\nContent-Usage: train-ai=n\n", "/a", &[]),
            ("User-agent: webtext/2\nContent-Usage: train-ai=n\n", "/a", USAGE),
            ("useragent: webtext\rcontent-usage : train-ai=n", "/a", USAGE),
            ("User-agent: other\nUser-agent: webtext\nDisallow:\nContent-Usage: train-ai=n\n", "/", USAGE),
            // A crawler that is named does not follow the group for everybody.
            ("User-agent: webtext\nAllow: /\n\nUser-agent: *\nContent-Usage: train-ai=n\n", "/", &[]),
            // Signals are rules: the draft that adds them to RFC 9309 says so. They end the list of agents.
            (
                "User-agent: webtext\nContent-Signal: ai-train=no\nUser-agent: *\nContent-Signal: ai-train=yes\n",
                "/",
                SIGNAL,
            ),
            (
                "User-agent: webtext\nContent-Signal: ai-train=yes\nUser-agent: *\nContent-Signal: ai-train=no\n",
                "/",
                &[],
            ),
        ] {
            check_signals(robots, path, expected);
        }
        check("User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: otherbot\nDisallow: /", "/", ALLOWED);
    }

    #[test]
    fn the_longest_path_of_a_signal_decides_and_no_wins_ties() {
        const USAGE: &[UsageSignal] = &[UsageSignal::ContentUsage];
        let robots = "User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open train-ai=y\n\
                      Content-Usage: /open/not* train-ai=n\nContent-Usage: /%7Eme$\ttrain-ai=y\n\
                      Content-Usage: /both train-ai=y\nContent-Usage: /both train-ai=n";
        for (path, expected) in [
            ("/", USAGE),
            ("/open/a", &[]),
            ("/open/nothing", USAGE),
            ("/~me", &[]),
            ("/~me/", USAGE),
            ("/both", USAGE),
        ] {
            check_signals(robots, path, expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(
            bytes: Vec<u8>,
            lines in "((User-agent|Disallow|Allow|Crawl-delay|Content-Usage|Content-Signal|x)[: ] ?[*/a-z0-9$ .,=%#-]{0,20}[\r\n]{1,2}){0,8}",
            path in "/[a-z*$%/?]{0,12}",
        ) {
            for text in [&bytes[..], lines.as_bytes()] {
                let robots = RobotsTxt::parse(text, "webtext");
                robots.disallowed_by(&path);
                robots.signals(&path);
                prop_assert!(robots.crawl_delay().is_none_or(|delay| delay <= MAX_CRAWL_DELAY));
            }
        }

        /// Comments, blank lines, line ends, case, escapes and order do not matter to rules of one group.
        #[test]
        fn spelling_and_order_do_not_matter(
            rules in prop::collection::vec(("(Allow|Disallow)", "/[a-c/*]{0,5}[$]?"), 0..6),
            path in "/[a-c/]{0,6}",
            ends in "(\n|\r\n|\r|\n\n|# x\n)",
            rotation in 0_usize..6,
        ) {
            let lines = |rules: &[(String, String)]| -> Vec<String> {
                rules.iter().map(|(field, pattern)| format!("{field}: {pattern}")).collect()
            };
            let plain = format!("User-agent: *\n{}", lines(&rules).join("\n"));
            let mut others = rules.clone();
            others.rotate_left(rotation % rules.len().max(1));
            for (field, pattern) in &mut others {
                *field = field.to_uppercase();
                *pattern = pattern.replace('b', "%62");
            }
            let other = format!("USER-AGENT:*{ends}{}{ends}", lines(&others).join(&ends));
            let allowed = |text: &str| RobotsTxt::parse(text.as_bytes(), "webtext").disallowed_by(&path).is_none();
            prop_assert_eq!(allowed(&plain), allowed(&other), "{}\n{}\n{}", plain, other, path);
        }
    }
}
