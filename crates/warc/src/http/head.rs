//! The head of a response: status line and header fields.

use std::borrow::Cow;

use super::coding::{self, BodyError, Part};
use super::media::{self, Media, MediaType};

/// A longer head is none. Chrome reads 256 KiB, curl 300.
const MAX_HEAD_BYTES: usize = 256 << 10;

/// Bytes of anything before `HTTP/`, such as a byte-order mark, that are skipped; Chrome skips as many.
const MAX_SLOP_BYTES: usize = 4;

/// An HTTP response's head, and where its body begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields in their order. A value that is not UTF-8 is taken as Latin-1.
    pub headers: Vec<(String, String)>,
    /// Offset of the body in the message.
    pub body_start: usize,
}

impl Response {
    /// Reads the head of a response; `None` when the bytes are not one. Interim responses before it (`100 Continue`)
    /// are skipped.
    ///
    /// ```
    /// let message = b"http/1.1  200\nContent-Type : text/html\nno colon\n\n<p>";
    /// let response = warc::http::Response::parse(message).unwrap();
    /// assert_eq!((response.status, response.header("content-type")), (200, Some("text/html")));
    /// assert_eq!(&message[response.body_start..], b"<p>");
    /// ```
    pub fn parse(message: &[u8]) -> Option<Response> {
        let mut response = parse_from(message, 0)?;
        while (100..200).contains(&response.status) && begins_message(&message[response.body_start..]) {
            response = parse_from(message, response.body_start)?;
        }
        Some(response)
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of this name, in any case of it.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// `Location` of a redirect (status 301, 302, 303, 307, 308) as the server wrote it: it may be relative to the URL
    /// that was asked for.
    ///
    /// ```
    /// let response = warc::http::Response::parse(b"HTTP/1.1 301 Moved\r\nLocation: /new\r\n\r\n").unwrap();
    /// assert_eq!(response.redirect_target(), Some("/new"));
    /// ```
    pub fn redirect_target(&self) -> Option<&str> {
        matches!(self.status, 301 | 302 | 303 | 307 | 308).then(|| self.header("Location")).flatten()
    }

    /// The type that all `Content-Type` fields say together, as the Fetch standard extracts it: `text/html`, with
    /// `;charset=…` where they name one; `None` where they say nothing that can be used.
    ///
    /// ```
    /// let message = b"HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=gbk\r\nContent-Type: TEXT/HTML, none\r\n\r\n";
    /// let response = warc::http::Response::parse(message).unwrap();
    /// assert_eq!(response.content_type().as_deref(), Some("text/html;charset=gbk"));
    /// ```
    pub fn content_type(&self) -> Option<String> {
        MediaType::of(self.values("Content-Type")).map(|media_type| media_type.to_string())
    }

    /// What kind of content `message` has: by its type, and by the first bytes of the decoded body where the type says
    /// too little. See [`media`](super::media()).
    pub fn media(&self, message: &[u8]) -> Media {
        let media_type = MediaType::of(self.values("Content-Type"));
        let body = match media_type.as_ref().map(MediaType::declares) {
            Some(media::Declared::Other) => return Media::Other,
            _ => self.plain(message, Part::Start { max_bytes: media::SNIFFED_BYTES as u64 }),
        };
        media::of(media_type.as_ref(), body.as_deref().unwrap_or(&[]))
    }

    /// The body of `message` without transfer and content coding, at most `max_bytes` long.
    ///
    /// Names of codings that nobody knows stand for none, and a body that is plain already, or coded once where the
    /// head says twice, is taken as it is. A page that is coded although its head does not say so is decoded, too. A
    /// body whose coded data breaks off, or is damaged on the way, gives what could be decoded of it.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`]; [`BodyError::Damaged`] where nothing can be decoded and the body is no text either.
    pub fn body<'a>(&self, message: &'a [u8], max_bytes: u64) -> Result<Cow<'a, [u8]>, BodyError> {
        let body = self.plain(message, Part::Whole { max_bytes })?;
        if body.len() as u64 > max_bytes {
            return Err(BodyError::TooLarge { max_bytes });
        }
        Ok(body)
    }

    /// The body, or its start, without its codings; what is not coded is given whole.
    fn plain<'a>(&self, message: &'a [u8], part: Part) -> Result<Cow<'a, [u8]>, BodyError> {
        let mut body = Cow::Borrowed(&message[self.body_start.min(message.len())..]);
        let transfer = self.joined("Transfer-Encoding");
        if coding::names(&transfer).any(|name| name == "chunked")
            && let Some(plain) = coding::dechunk(&body, part)
        {
            body = Cow::Owned(plain);
        }
        // Codings are listed in the order in which they were applied: those of the content, then those of the transfer.
        let codings = format!("{},{transfer}", self.joined("Content-Encoding"));
        if let Some(plain) = coding::undo(&body, &codings, part)? {
            body = Cow::Owned(plain);
        }
        let declared = MediaType::of(self.values("Content-Type")).map_or(media::Declared::Unknown, |t| t.declares());
        if declared != media::Declared::Other
            && let Some(plain) = coding::undo_unsaid(&body, part)?
            // Without a type, a file of that compression is more likely than a page.
            && (declared != media::Declared::Unknown || media::of(None, &plain) == Media::Html)
        {
            body = Cow::Owned(plain);
        }
        Ok(body)
    }

    /// All values of a name, as if they were written as one.
    fn joined(&self, name: &str) -> String {
        self.values(name).collect::<Vec<_>>().join(",")
    }
}

/// Whether the bytes begin with the status line of a response.
pub fn begins_message(message: &[u8]) -> bool {
    status_line(message, 0).is_some()
}

/// The head that begins at `start`.
fn parse_from(message: &[u8], start: usize) -> Option<Response> {
    let (status, mut lines) = status_line(message, start)?;
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let at = lines.at;
        if at - start > MAX_HEAD_BYTES {
            return None;
        }
        // A head that breaks off still has status and type.
        let Some(line) = lines.next() else { break };
        if line.is_empty() {
            break;
        }
        // The blank line is missing: no name begins like that.
        if line.starts_with(b"<") && media::begins_as_html(line) {
            lines.at = at;
            break;
        }
        for line in line.split(|&byte| byte == b'\r') {
            read_field(line, &mut headers);
        }
    }
    Some(Response { status, headers, body_start: lines.at })
}

/// Reads a header line; one without a name or a colon says nothing.
fn read_field(line: &[u8], headers: &mut Vec<(String, String)>) {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        let more = text(line.trim_ascii());
        if let (Some((_, value)), false) = (headers.last_mut(), more.is_empty()) {
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str(&more);
        }
        return;
    }
    let Some(colon) = memchr::memchr(b':', line) else { return };
    let name = line[..colon].trim_ascii();
    if !name.is_empty() {
        headers.push((text(name).into_owned(), text(line[colon + 1..].trim_ascii()).into_owned()));
    }
}

/// The bytes as UTF-8, or else as Latin-1, which any bytes are.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// The status in the line with which a message begins, and the lines after it. Blank lines before it are skipped
/// (RFC 9112, section 2.2, asks servers to).
fn status_line(message: &[u8], start: usize) -> Option<(u16, Lines<'_>)> {
    let blank = message.get(start..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let start = start + blank;
    let protocol_at = |slop: usize| {
        let name = message.get(start + slop..start + slop + 4)?;
        (name.eq_ignore_ascii_case(b"HTTP") || slop == 0 && name.eq_ignore_ascii_case(b"ICY ")).then_some(slop)
    };
    let start = start + (0..=MAX_SLOP_BYTES).find_map(protocol_at)?;
    let mut lines = Lines { message, at: start, end: line_end(&message[start..]) };
    let status = status_of(lines.next()?)?;
    Some((status, lines))
}

/// The status in a status line, whatever the protocol's version. Without a number it is 200, as in browsers, if there
/// is a version.
fn status_of(line: &[u8]) -> Option<u16> {
    let protocol = line.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(line.len());
    let (protocol, rest) = line.split_at(protocol);
    let has_version = protocol.get(4) == Some(&b'/');
    if protocol.len() > 4 && !has_version {
        return None;
    }
    let rest = rest.trim_ascii_start();
    match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 if has_version => Some(200),
        3 => str::from_utf8(&rest[..3]).ok()?.parse().ok(),
        _ => None,
    }
}

/// How the lines of a head end.
#[derive(Clone, Copy)]
enum LineEnd {
    /// LF, or CR and LF. A CR elsewhere ends a line as well, but is never the end of the head.
    Lf,
    /// CR alone.
    Cr,
}

/// How the first line ends, and so all others.
fn line_end(message: &[u8]) -> LineEnd {
    let Some(at) = memchr::memchr2(b'\r', b'\n', message) else { return LineEnd::Lf };
    match message[at..].iter().find(|&&byte| byte != b'\r') {
        Some(b'\n') => LineEnd::Lf,
        // `HTTP/1.1 200 O\rK` is one line with an odd letter if it has an end of the other kind and no field follows.
        _ if memchr::memchr(b'\n', &message[at..]).is_some_and(|lf| !message[at..at + lf].contains(&b':')) => {
            LineEnd::Lf
        }
        _ => LineEnd::Cr,
    }
}

/// The lines of a head from `at` on, without their ends.
struct Lines<'m> {
    message: &'m [u8],
    at: usize,
    end: LineEnd,
}

impl<'m> Lines<'m> {
    /// The next line; the last may lack its end. `None` at the message's end.
    fn next(&mut self) -> Option<&'m [u8]> {
        let rest = self.message.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = match self.end {
            LineEnd::Lf => memchr::memchr(b'\n', rest),
            LineEnd::Cr => memchr::memchr(b'\r', rest),
        };
        self.at += end.map_or(rest.len(), |end| end + 1);
        let mut line = &rest[..end.unwrap_or(rest.len())];
        // One CR is the standard's; a few archives went through tools that added another.
        while let Some(shorter) = line.strip_suffix(b"\r") {
            line = shorter;
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(message: &str, expected: Option<u16>) {
        assert_eq!(Response::parse(message.as_bytes()).map(|response| response.status), expected, "{message:?}");
    }

    #[test]
    fn status_lines() {
        for line in [
            "HTTP/1.1 200 OK",
            "http/1.1 200 OK",
            "Http/1.0 200",
            "HTTP/1.1 200",
            "HTTP/1.1 200 ",
            "HTTP/1.1   200\tOK",
            "HTTP/1.1\t200\tOK",
            "HTTP/1.1 200OK",
            "HTTP/1.1 200 Alles in Ordnung, ja",
            "HTTP/1.1 200 \u{dc}bung",
            "HTTP/2 200",
            "HTTP/2.0 200 OK",
            "HTTP/3 200",
            "HTTP/0.9 200 OK",
            "HTTP/11 200 OK",
            "HTTP/ 200 OK",
            "HTTP 200 OK",
            "HTTP 200",
            "ICY 200 OK",
            // Browsers take a missing number for success.
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 OK",
            "\r\nHTTP/1.1 200 OK",
            "\n\n \t\nHTTP/1.1 200 OK",
            "\u{feff}HTTP/1.1 200 OK",
        ] {
            for end in ["\r\n\r\n", "\n\n", "\r\r\n\r\r\n", "\r\r", "\r\n", "\n", ""] {
                status(&format!("{line}{end}"), Some(200));
                status(
                    &format!("{line}{end}").replace("200", "404").replace("\r\n\r\n", "\r\na: b\r\n\r\n"),
                    match line {
                        "HTTP/1.1" | "HTTP/1.1 " | "HTTP/1.1 OK" => Some(200),
                        _ => Some(404),
                    },
                );
            }
        }
        for none in [
            "",
            "\r\n",
            "200 OK\r\n\r\n",
            "SSH-2.0\r\n",
            "HTTP is a protocol\r\n",
            "HTTPS/1.1 200 OK\r\n",
            "HTTP",
            "HTTP/1.1 2000 OK\r\n",
            "HTTP/1.1 20\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "<!doctype html>HTTP/1.1 200 OK\r\n",
            "ICY",
        ] {
            status(none, None);
        }
    }

    #[test]
    fn interim_responses_are_skipped() {
        status("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Some(200));
        status("HTTP/1.1 100 Continue\r\n\r\n", Some(100));
        status("HTTP/1.1 101 Switching\r\n\r\nbytes", Some(101));
        // What follows a final response is its body.
        status("HTTP/1.1 404 Gone\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Some(404));
    }

    /// A head, its fields and its body.
    fn check(message: &[u8], fields: &[(&str, &str)], body: &[u8]) {
        let response = Response::parse(message).unwrap();
        let found: Vec<(&str, &str)> = response.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let shown = String::from_utf8_lossy(message);
        assert_eq!((found.as_slice(), &message[response.body_start..]), (fields, body), "{shown:?}");
    }

    #[test]
    fn header_lines() {
        let fields = [("A", "b"), ("C", "d")];
        check(b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n<p>", &fields, b"<p>");
        check(b"HTTP/1.1 200 OK\nA:b\nC :d\t\n\n<p>", &fields, b"<p>");
        check(b"HTTP/1.1 200 OK\r\nA: b\r\nno colon\r\n: no name\r\n\t\r\nC:  d\r\n\r\n<p>", &fields, b"<p>");
        check(b"HTTP/1.1 200 OK\r\n folds nothing\r\nA:\r\n b\r\n\tc\r\n\r\n", &[("A", "b c")], b"");
        // A bare CR ends a line, but not the head.
        check(b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\r\n\r\n<p>", &fields, b"<p>");
        check(b"HTTP/1.1 200 OK\rA: b\rC: d\r\r<p>\r\r\n", &fields, b"<p>\r\r\n");
        check(b"HTTP/1.1 200 O\rK\r\nA: b\r\nC: d\r\n\r\n<p>", &fields, b"<p>");
        check(b"HTTP/1.1 200 OK\r\nA: \x01b\0\x7f\r\nB\0: c\r\n\r\n", &[("A", "\u{1}b\0\u{7f}"), ("B\0", "c")], b"");
        check(
            b"HTTP/1.1 200 OK\r\nA: caf\xe9\r\nB: caf\xc3\xa9\r\n\r\n",
            &[("A", "caf\u{e9}"), ("B", "caf\u{e9}")],
            b"",
        );
        // Heads without an end.
        check(b"HTTP/1.1 200 OK\r\nA: b\r\nC: d", &fields, b"");
        check(b"HTTP/1.1 200 OK\r\nA: b\r\n<html><p>x: y\r\n\r\n", &[("A", "b")], b"<html><p>x: y\r\n\r\n");
        let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"A: b\r\n".repeat(MAX_HEAD_BYTES / 5)].concat();
        assert_eq!(Response::parse(&endless), None);
    }

    #[test]
    fn a_page_of_lines_that_end_with_cr_keeps_its_colons() {
        check(b"HTTP/1.1 200 OK\rA: b\r\rx: y\nz", &[("A", "b")], b"x: y\nz");
    }
}
