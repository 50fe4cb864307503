//! The header fields of a record: one string, and the ranges of names and values in it.

use std::fmt;
use std::ops::Range;

/// Header fields in their order.
///
/// ```
/// let headers: warc::Headers = [("WARC-Type", "request"), ("Content-Length", "0")].into_iter().collect();
/// assert_eq!(headers.get("warc-type"), Some("request"));
/// assert_eq!(headers.iter().last(), Some(("Content-Length", "0")));
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    text: String,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Headers {
    /// The fields of lines that end in LF or CRLF; what is not UTF-8 is replaced.
    ///
    /// A line that begins with white space continues the value before it. A line without a colon is ignored; many
    /// writers have written one by mistake.
    pub(crate) fn parse(head: &[u8]) -> Headers {
        let mut headers = Headers { text: String::from_utf8_lossy(head).into_owned(), fields: Vec::with_capacity(16) };
        let end = headers.text.len();
        let mut at = 0;
        while at < end {
            let next = memchr::memchr(b'\n', &headers.text.as_bytes()[at..end]).map_or(end, |n| at + n + 1);
            let line = at..next;
            at = next;
            if headers.text[line.clone()].starts_with([' ', '\t']) {
                headers.fold(line);
            } else if let Some(colon) = memchr::memchr(b':', &headers.text.as_bytes()[line.clone()]) {
                let colon = line.start + colon;
                let field = (trim(&headers.text, line.start..colon), trim(&headers.text, colon + 1..line.end));
                headers.fields.push(field);
            }
        }
        headers
    }

    /// Adds a line to the last value, at the end of the text: the first such line of a field moves the value there.
    fn fold(&mut self, line: Range<usize>) {
        let Some((_, value)) = self.fields.last_mut() else { return };
        let line = trim(&self.text, line);
        let len = self.text.len();
        if value.end != len {
            self.text.extend_from_within(value.clone());
            *value = len..self.text.len();
        }
        if value.start < value.end {
            self.text.push(' ');
        }
        self.text.extend_from_within(line);
        value.end = self.text.len();
    }

    /// The first value of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| self.text[field.clone()].eq_ignore_ascii_case(name));
        found.map(|(_, value)| &self.text[value.clone()])
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }
}

/// `range` without white space at both ends.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(fields: T) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            let start = headers.text.len();
            headers.text.push_str(name);
            let middle = headers.text.len();
            headers.text.push_str(value);
            headers.fields.push((start..middle, middle..headers.text.len()));
        }
        headers
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Headers) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], expected: &[(&str, &str)]) {
        assert_eq!(Headers::parse(head).iter().collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(head));
    }

    #[test]
    fn fields() {
        check(b"", &[]);
        check(b"A: b\r\nC:d\nE :  f: g \r\n", &[("A", "b"), ("C", "d"), ("E", "f: g")]);
        check(b"A: b\r\n c\r\n\td\r\nE: f\r\n g\r\n", &[("A", "b c d"), ("E", "f g")]);
        check(b" no field yet\r\nA:\r\n b\r\nno colon\r\n", &[("A", "b")]);
        check(b"A: \xff\r\nB: \xc3\xa9\r\n", &[("A", "\u{fffd}"), ("B", "é")]);
        check("\u{a0}A: b\n".as_bytes(), &[("A", "b")]);
    }

    #[test]
    fn many_folds_take_linear_room() {
        let head = [b"A: b\r\n".as_slice(), &b" c\r\n".repeat(1000)].concat();
        let headers = Headers::parse(&head);
        assert_eq!(headers.get("a").map(str::len), Some(2001));
        assert!(headers.text.len() < 2 * head.len());
    }
}
