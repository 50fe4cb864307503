//! Records of ARC, the format before WARC: a line with five or ten fields, then the block.

use std::net::IpAddr;

/// The line before an ARC record: `URL IP date type length`; version 2 has five more fields before the length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ArcLine<'a> {
    pub(crate) target: &'a str,
    pub(crate) address: &'a str,
    pub(crate) date: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) len_bytes: u64,
}

/// Fields of version 2 between type and length: result code, checksum, location, offset, file name.
const MORE_FIELDS: usize = 5;

impl<'a> ArcLine<'a> {
    /// Reads a line. Some writers left spaces in URLs and in types as they were, so the fields are found by the date:
    /// the first word that is one and stands behind an address, or behind any word where no address is found.
    pub(crate) fn parse(line: &'a str) -> Option<ArcLine<'a>> {
        let words = words(line);
        let is_address = |word: &str| word.parse::<IpAddr>().is_ok();
        let date_behind = |is_behind: &dyn Fn(&str) -> bool| {
            (2..words.len().saturating_sub(1)).find(|&at| is_date(words[at].text) && is_behind(words[at - 1].text))
        };
        let date = date_behind(&is_address).or_else(|| date_behind(&|_| true))?;
        let (len, middle) = words[date + 1..].split_last()?;
        let target = &line[words[0].start..words[date - 2].end()];
        Some(ArcLine {
            target: target.contains(':').then_some(target)?,
            address: words[date - 1].text,
            date: words[date].text,
            content_type: content_type(line, middle),
            len_bytes: len.text.parse().ok()?,
        })
    }

    /// Whether a line is so certainly one of these that a record can be looked for by it: with an address and a date to
    /// the second.
    pub(crate) fn is_certain(line: &[u8]) -> bool {
        let parsed = str::from_utf8(line).ok().and_then(ArcLine::parse);
        parsed.is_some_and(|arc| arc.address.parse::<IpAddr>().is_ok() && arc.date.len() >= 12)
    }
}

/// The words between date and length without those that version 2 has in addition.
fn content_type<'a>(line: &'a str, middle: &[Word<'_>]) -> &'a str {
    let is_number = |word: &Word<'_>| word.text.bytes().all(|byte| byte.is_ascii_digit());
    let of_type = match middle.len().checked_sub(MORE_FIELDS) {
        Some(len) if is_number(&middle[len]) && is_number(&middle[len + 3]) => &middle[..len],
        _ => middle,
    };
    match (of_type.first(), of_type.last()) {
        (Some(first), Some(last)) => &line[first.start..last.end()],
        _ => "",
    }
}

/// A date of ARC: fourteen digits, or fewer of older writers, or more for fractions of a second.
fn is_date(word: &str) -> bool {
    (8..=17).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// A word of a line, and where it begins.
struct Word<'a> {
    start: usize,
    text: &'a str,
}

impl Word<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

fn words(line: &str) -> Vec<Word<'_>> {
    let mut start = 0;
    let mut words = Vec::new();
    for text in line.split([' ', '\t', '\r', '\n']) {
        if !text.is_empty() {
            words.push(Word { start, text });
        }
        start += text.len() + 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(line: &str, expected: Option<(&str, &str, &str, &str, u64)>) {
        let found =
            ArcLine::parse(line).map(|arc| (arc.target, arc.address, arc.date, arc.content_type, arc.len_bytes));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn lines() {
        let url = "http://a.example/";
        let date = "20120115000000";
        check(&format!("{url} 192.0.2.1 {date} text/html 12"), Some((url, "192.0.2.1", date, "text/html", 12)));
        check(&format!("{url} 192.0.2.1 {date} text/html 12\r\n"), Some((url, "192.0.2.1", date, "text/html", 12)));
        check(&format!("{url} 2001:db8::1 {date} text/html 12"), Some((url, "2001:db8::1", date, "text/html", 12)));
        check(
            &format!("{url} 192.0.2.1 {date} text/html; charset=utf-8 12"),
            Some((url, "192.0.2.1", date, "text/html; charset=utf-8", 12)),
        );
        check(&format!("{url} 192.0.2.1 {date}  12"), Some((url, "192.0.2.1", date, "", 12)));
        check(
            &format!("{url}a b 20 c 192.0.2.1 {date} text/html 12"),
            Some(("http://a.example/a b 20 c", "192.0.2.1", date, "text/html", 12)),
        );
        check(
            &format!("{url} 192.0.2.1 {date} text/html 200 - - 1234567890 x.arc.gz 12"),
            Some((url, "192.0.2.1", date, "text/html", 12)),
        );
        check(
            &format!("{url}a b 192.0.2.1 {date} text/html, text/plain 200 K7 - 0 x.arc 12"),
            Some(("http://a.example/a b", "192.0.2.1", date, "text/html, text/plain", 12)),
        );
        check(
            &format!("filedesc://x.arc 0.0.0.0 {date} text/plain 200 - - 0 x.arc 77"),
            Some(("filedesc://x.arc", "0.0.0.0", date, "text/plain", 77)),
        );
        check(
            &format!("{url} 192.0.2.1 201201150000 text/html 12"),
            Some((url, "192.0.2.1", "201201150000", "text/html", 12)),
        );
        check(&format!("{url} a.example {date} text/html 12"), Some((url, "a.example", date, "text/html", 12)));
        check(&format!("{url} - {date} text/html 12"), Some((url, "-", date, "text/html", 12)));
        check(&format!("{url}\t192.0.2.1\t{date}\ttext/html\t12"), Some((url, "192.0.2.1", date, "text/html", 12)));
    }

    #[test]
    fn what_is_no_line() {
        for line in [
            "",
            "http://a.example/ 192.0.2.1 20120115000000 text/html",
            "http://a.example/ 192.0.2.1 20120115000000 text/html -1",
            "http://a.example/ 192.0.2.1 yesterday text/html 12",
            "a page 192.0.2.1 20120115000000 text/html 12",
            "HTTP/1.1 200 OK",
            "20120115000000 12",
        ] {
            check(line, None);
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line: String, words in "[a0:. /\\t\u{17e}]{0,40}( 192.0.2.1)?( 20120115000000)?[ a1]{0,9}") {
            let _ = (ArcLine::parse(&line), ArcLine::parse(&words), ArcLine::is_certain(words.as_bytes()));
        }
    }
}
