//! Path patterns of robots.txt (RFC 9309, sections 2.2.2 and 2.2.3): a prefix of a path, `*` for any octets, a last `$`
//! for the end.
//!
//! Patterns and paths are compared in one spelling. An escape of an ASCII character is that character, except where that
//! would change how the URL is split: `%2F`, `%3F` and `%23` stay apart from `/`, `?` and `#`, and `%25` from `%`. Behind
//! the `?` a slash or another `?` splits nothing, and is its escape. Octets that a URL cannot have are escaped, in upper
//! case. RFC 9309 escapes all reserved characters and gives this spelling as an example for a query; in a path it would
//! take `/a%2Fb` for `/a/b`, which RFC 3986 (section 2.2) and the draft of 1996 tell apart.

use links::{escaped_byte, push_escape};

/// Any octets, in a pattern. No path has it: a NUL is `%00` there.
const WILDCARD: char = '\0';

/// Which part of a URL the octets are in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Query,
}

/// The path and query of a URL, spelled for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ComparablePath {
    /// With `%2F` and `%3F` as they are, for patterns that do not say where the query begins.
    path: String,
    /// With `%2F` and `%3F` of the query as `/` and `?`, for patterns with a `?`.
    path_and_query: String,
}

/// A pattern, spelled for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern {
    text: String,
    is_anchored: bool,
    has_query: bool,
}

impl ComparablePath {
    /// Spells a path with its query, such as `/a%7Eb?c=d`.
    pub(crate) fn new(path: &str) -> ComparablePath {
        let spelled = |has_query| spell(path.as_bytes(), has_query, char::from);
        ComparablePath { path: spelled(false), path_and_query: spelled(true) }
    }
}

impl PathPattern {
    /// Reads a pattern. An empty one matches every path. One that begins neither with `/` nor with `*` lacks its slash.
    pub(crate) fn new(pattern: &[u8]) -> PathPattern {
        let (octets, is_anchored) = pattern.strip_suffix(b"$").map_or((pattern, false), |octets| (octets, true));
        let has_query = octets.contains(&b'?');
        let mut text = spell(octets, has_query, |octet| if octet == b'*' { WILDCARD } else { char::from(octet) });
        if !pattern.is_empty() && !text.starts_with(['/', WILDCARD]) {
            text.insert(0, '/');
        }
        PathPattern { text, is_anchored, has_query }
    }

    /// How specific the pattern is: its octets, `*` and `$` counted as Google counts them.
    pub(crate) fn len_octets(&self) -> usize {
        self.text.len() + usize::from(self.is_anchored)
    }

    /// Whether the pattern matches a path. Linear in both: what follows a `*` matches where it first can, and nothing is
    /// tried again.
    pub(crate) fn matches(&self, path: &ComparablePath) -> bool {
        let path = if self.has_query { &path.path_and_query } else { &path.path };
        let mut pieces = self.text.split(WILDCARD);
        let Some(mut rest) = path.strip_prefix(pieces.next().unwrap_or("")) else { return false };
        let Some(last) = pieces.next_back() else { return !self.is_anchored || rest.is_empty() };
        for piece in pieces {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        if self.is_anchored { rest.ends_with(last) } else { rest.contains(last) }
    }
}

/// Spells octets for comparison, each unescaped one that a URL can have by `unescaped`. With `has_query`, the query
/// begins at the first `?`.
fn spell(octets: &[u8], has_query: bool, unescaped: impl Fn(u8) -> char) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut part = Part::Path;
    let mut at = 0;
    while at < octets.len() {
        if let Some(octet) = escaped_byte(&octets[at..]) {
            at += 3;
            match octet {
                b'?' | b'/' if part == Part::Query => text.push(char::from(octet)),
                b'?' | b'/' => push_escape(&mut text, octet),
                _ if can_stand_in_url(octet) => text.push(char::from(octet)),
                _ => push_escape(&mut text, octet),
            }
            continue;
        }
        let octet = octets[at];
        at += 1;
        if can_stand_in_url(octet) {
            text.push(unescaped(octet));
        } else {
            push_escape(&mut text, octet);
        }
        if octet == b'?' && has_query {
            part = Part::Query;
        }
    }
    text
}

/// Whether an octet is an unreserved or reserved character of RFC 3986 (sections 2.2 and 2.3), without `#`, which ends
/// what is compared.
fn can_stand_in_url(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, path: &str, expected: bool) {
        let found = PathPattern::new(pattern.as_bytes()).matches(&ComparablePath::new(path));
        assert_eq!(found, expected, "{pattern} {path}");
        assert_eq!(twin(pattern, path), expected, "the twin: {pattern} {path}");
    }

    /// The readable twin: one octet after the other, every length of a `*` tried.
    fn twin(pattern: &str, path: &str) -> bool {
        let PathPattern { text, is_anchored, has_query } = PathPattern::new(pattern.as_bytes());
        let path = ComparablePath::new(path);
        let path = if has_query { path.path_and_query } else { path.path };
        twin_from(&text.chars().collect::<Vec<_>>(), is_anchored, &path.chars().collect::<Vec<_>>())
    }

    fn twin_from(pattern: &[char], is_anchored: bool, path: &[char]) -> bool {
        match pattern {
            [] => !is_anchored || path.is_empty(),
            [WILDCARD, rest @ ..] => (0..=path.len()).any(|skipped| twin_from(rest, is_anchored, &path[skipped..])),
            [octet, rest @ ..] => path.first() == Some(octet) && twin_from(rest, is_anchored, &path[1..]),
        }
    }

    #[test]
    fn prefixes_stars_and_ends() {
        for (pattern, path, expected) in [
            ("", "/a", true),
            ("/", "/", true),
            ("/a", "/ab", true),
            ("/a", "/A", false),
            ("/a", "/ba", false),
            ("/a/", "/a", false),
            ("/a$", "/ab", false),
            ("/a$", "/a", true),
            ("/$", "/", true),
            ("/$", "/?a", false),
            ("/a*", "/a", true),
            ("*", "/", true),
            ("*b", "/ab", true),
            ("*$", "/anything", true),
            ("/*.php", "/x/y.php?z", true),
            ("/*.php", "/php", false),
            ("/*.php$", "/x/y.php?z", false),
            ("/*.php$", "/x.php/y.php", true),
            ("/a*b*c", "/a-b-c", true),
            ("/a*b*c", "/a-c-b", false),
            ("/a**b", "/ab", true),
            ("/*a*a$", "/ba", false),
            ("/*ab$", "/ab-ab", true),
            ("/a$b", "/a$bc", true),
            ("/a$b", "/ab", false),
            ("/a$$", "/a$", true),
            ("/a*$b", "/ax$bc", true),
        ] {
            check(pattern, path, expected);
        }
    }

    #[test]
    fn a_missing_slash_is_added() {
        check("private", "/private/1", true);
        check("private", "/not/private", false);
        check("http://a.example/", "/http://a.example/b", true);
        check("?id", "/?id=1", true);
        check("$", "/", true);
    }

    #[test]
    fn escapes_of_either_case_and_raw_octets_are_one() {
        for (one, other) in [
            ("/~joe", "/%7Ejoe"),
            ("/~joe", "/%7ejoe"),
            ("/%62%61%7A", "/baz"),
            ("/a%3cb", "/a%3Cb"),
            ("/a<b", "/a%3Cb"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/caf\u{e9}", "/caf%c3%a9"),
            ("/a b", "/a%20b"),
            ("/(a)", "/%28a%29"),
            ("/a;b=c", "/a%3Bb%3Dc"),
            ("/a?b=https://c.example", "/a?b=https%3A%2F%2Fc.example"),
            ("/a?b?c", "/a?b%3Fc"),
            ("/100%", "/100%25"),
            ("/%zz", "/%25zz"),
        ] {
            check(one, other, true);
            check(other, one, true);
        }
        check("/caf%E9", "/caf%e9", true);
        assert!(PathPattern::new(b"/caf\xe9").matches(&ComparablePath::new("/caf%E9")));
    }

    #[test]
    fn escapes_that_would_change_the_path_stay() {
        check("/a%2Fb", "/a/b", false);
        check("/a%2fb", "/a%2Fb", true);
        check("/a/b", "/a%2Fb", false);
        check("/a%3Fb", "/a?b", false);
        check("/a?b", "/a%3Fb", false);
        check("/a%2Bb?c=+", "/a+b?c=%20", false);
        // Where the query begins is not known behind a star.
        check("/*to=%2Fb", "/a?to=%2Fb", true);
        check("/*to=/b", "/a?to=/b", true);
        // An escaped special character stands for itself.
        check("/a%24", "/a$", true);
        check("/a%24", "/a", false);
        check("/a%2Ab", "/a*b", true);
        check("/a%2Ab", "/axb", false);
        check("/%00", "/", false);
    }

    #[test]
    fn specificity_counts_octets_as_a_url_has_them() {
        for (pattern, expected) in [
            ("/", 1),
            ("/a*$", 4),
            ("/\u{e9}", 7),
            ("/%C3%A9", 7),
            ("/%7Ea", 3),
            ("/~a", 3),
            ("/(a)", 4),
            ("/%28a%29", 4),
            ("", 0),
        ] {
            assert_eq!(PathPattern::new(pattern.as_bytes()).len_octets(), expected, "{pattern}");
        }
    }

    #[test]
    fn hostile_patterns_take_linear_time() {
        let path = ComparablePath::new(&format!("/{}", "a".repeat(1 << 16)));
        let pattern = PathPattern::new(format!("/{}b$", "*a".repeat(1 << 14)).as_bytes());
        let started = std::time::Instant::now();
        assert!(!pattern.matches(&path));
        assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn the_twin_agrees(
            pattern in "[/*$?a-c%]{0,2}([/*$?a-c]|%2F|%2f|%61|\u{e9}){0,10}[$]?",
            path in "/([/*$?a-c]|%2F|%61|%C3%A9){0,12}",
        ) {
            let found = PathPattern::new(pattern.as_bytes()).matches(&ComparablePath::new(&path));
            prop_assert_eq!(found, twin(&pattern, &path), "{} {}", pattern, path);
        }

        /// A pattern still matches its path when stars are inserted.
        #[test]
        fn stars_match_more(path in "/[a-z]{1,12}", cut in 1_usize..12, at_end: bool) {
            let cut = cut.min(path.len());
            let pattern = format!("{}*{}{}", &path[..cut], &path[cut..], if at_end { "$" } else { "" });
            prop_assert!(PathPattern::new(pattern.as_bytes()).matches(&ComparablePath::new(&path)), "{} {}", pattern, path);
        }

        /// Spelling twice changes nothing, and a path matches itself as a pattern however its characters are escaped.
        #[test]
        fn any_spelling_matches_itself(path in "/[ -~\u{e9}]{0,16}", escaped: u16) {
            let one = ComparablePath::new(&path);
            prop_assert_eq!(&ComparablePath::new(&one.path).path, &one.path);
            // What has a special meaning in a pattern is escaped there; slashes and what begins the query are not.
            let spelled: String = path.bytes().enumerate().map(|(at, octet)| match octet {
                b'/' | b'?' | b'%' => char::from(octet).to_string(),
                b'*' | b'$' => format!("%{octet:02x}"),
                _ if octet >= 0x80 || escaped >> (at % 16) & 1 == 1 => format!("%{octet:02x}"),
                _ => char::from(octet).to_string(),
            }).collect();
            // A percent sign that was none may have become one.
            prop_assume!(!path.contains('%'));
            prop_assert!(PathPattern::new(spelled.as_bytes()).matches(&one), "{} {}", spelled, path);
        }
    }
}
