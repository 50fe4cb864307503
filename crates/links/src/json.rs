//! The fields of an object of JSON, one after the other: values are passed over rather than parsed.
//!
//! A whole submission has a hundred fields, of which ten are read. The object itself is held to the grammar: quotes,
//! colons, commas, and nothing behind its end. Of a value that is passed over, only its end is looked for: the quote that
//! closes a text, the bracket that closes an object or array, the character behind a number. So bad bytes in a field that
//! nobody reads do not cost the record, and any valid JSON gives what a full parser gives. A nested value takes no stack.

use std::borrow::Cow;

use memchr::{memchr2, memchr3};

/// Bytes of a text that are searched word by word before `memchr` is called: most texts in a record are shorter.
const SHORT_TEXT_BYTES: usize = 32;

/// Where and why a line is no object of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no object of JSON: {expected} is missing at byte {at}")]
pub(crate) struct JsonFault {
    expected: &'static str,
    /// From 1.
    at: usize,
}

/// A value as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RawValue<'a> {
    Text(RawText<'a>),
    /// A number, `true`, `false`, `null`, or what else stands where one may be; never empty.
    Literal(&'a [u8]),
    Object(&'a [u8]),
    Array(&'a [u8]),
}

/// A text as it is written, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawText<'a> {
    bytes: &'a [u8],
    has_escapes: bool,
}

/// The fields of an object that are not read yet.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    json: &'a [u8],
    at: usize,
    is_first: bool,
}

impl<'a> Fields<'a> {
    /// The fields of an object, without white space around it.
    pub(crate) fn of(json: &'a [u8]) -> Result<Fields<'a>, JsonFault> {
        let fields = Fields { json, at: 1, is_first: true };
        if json.first() == Some(&b'{') { Ok(fields) } else { Err(JsonFault { expected: "`{`", at: 1 }) }
    }

    /// The next field; `None` at the end of the object, which is that of the line. Inlined always: as a result that is
    /// moved from frame to frame, in pieces that overlap, a field took as long as to find it.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<(RawText<'a>, RawValue<'a>)>, JsonFault> {
        match (self.next_token(), self.is_first) {
            (Some(b'"'), true) => self.is_first = false,
            (Some(b','), false) => {
                self.at += 1;
                if self.next_token() != Some(b'"') {
                    return self.fault("a name in quotes");
                }
            }
            (Some(b'}'), _) => {
                self.at += 1;
                return if self.next_token().is_none() { Ok(None) } else { self.fault("the end of the line") };
            }
            (_, true) => return self.fault("a name in quotes"),
            (_, false) => return self.fault("`,` or `}`"),
        }
        let name = self.text()?;
        if self.next_token() != Some(b':') {
            return self.fault("`:`");
        }
        self.at += 1;
        let value = match self.next_token() {
            Some(b'"') => RawValue::Text(self.text()?),
            Some(b'{') => RawValue::Object(self.nested(b'{', b'}')?),
            Some(b'[') => RawValue::Array(self.nested(b'[', b']')?),
            _ => RawValue::Literal(self.literal()?),
        };
        Ok(Some((name, value)))
    }

    /// The next byte that is not white space; it is not passed.
    #[inline]
    fn next_token(&mut self) -> Option<u8> {
        loop {
            match self.json.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Passes a text whose opening quote is next.
    #[inline(always)]
    fn text(&mut self) -> Result<RawText<'a>, JsonFault> {
        let start = self.at + 1;
        let mut at = start;
        let mut has_escapes = false;
        while let Some(found) = self.json.get(at..).and_then(quote_or_backslash) {
            at += found;
            if self.json[at] == b'"' {
                self.at = at + 1;
                return Ok(RawText { bytes: &self.json[start..at], has_escapes });
            }
            has_escapes = true;
            at += 2;
        }
        self.at = self.json.len();
        self.fault("`\"`")
    }

    /// Passes an object or array whose opening bracket is next. Brackets of the other kind are paired inside of it where
    /// it is JSON at all, so these are not looked at.
    fn nested(&mut self, open: u8, close: u8) -> Result<&'a [u8], JsonFault> {
        let start = self.at;
        self.at += 1;
        let mut depth = 1usize;
        while let Some(found) = memchr3(b'"', open, close, &self.json[self.at..]) {
            self.at += found;
            match self.json[self.at] {
                b'"' => {
                    self.text()?;
                    continue;
                }
                byte if byte == open => depth += 1,
                _ => depth -= 1,
            }
            self.at += 1;
            if depth == 0 {
                return Ok(&self.json[start..self.at]);
            }
        }
        self.at = self.json.len();
        self.fault(if close == b'}' { "`}`" } else { "`]`" })
    }

    /// Passes a value that is no text, object or array.
    #[inline(always)]
    fn literal(&mut self) -> Result<&'a [u8], JsonFault> {
        let rest = &self.json[self.at..];
        // Most values are one of these, behind which a comma stands. By patterns they are compared without a call.
        let word_bytes = match rest {
            [b'n', b'u', b'l', b'l', b',', ..] | [b't', b'r', b'u', b'e', b',', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', b',', ..] => 5,
            _ => 0,
        };
        if word_bytes > 0 {
            self.at += word_bytes;
            return Ok(&rest[..word_bytes]);
        }
        let is_of_literal = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let len_bytes = rest.iter().take_while(is_of_literal).count();
        if len_bytes == 0 {
            return self.fault("a value");
        }
        self.at += len_bytes;
        Ok(&rest[..len_bytes])
    }

    fn fault<T>(&self, expected: &'static str) -> Result<T, JsonFault> {
        Err(JsonFault { expected, at: self.at + 1 })
    }
}

/// The place of the first quote or backslash.
#[inline]
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < SHORT_TEXT_BYTES {
        let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { break };
        let word = u64::from_le_bytes(*word);
        let found =
            zero_bytes(word ^ u64::from_ne_bytes([b'"'; 8])) | zero_bytes(word ^ u64::from_ne_bytes([b'\\'; 8]));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found)
}

/// The high bit of each byte that is zero, exact up to the lowest such byte (Mycroft).
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
}

impl<'a> RawText<'a> {
    /// The bytes between the quotes, if they are the text itself: a text with escapes is equal to none of them.
    #[inline]
    pub(crate) fn plain(self) -> Option<&'a [u8]> {
        (!self.has_escapes).then_some(self.bytes)
    }

    /// The text, with its escapes undone. What stands for no character, as half of a surrogate pair or a byte that is not
    /// UTF-8, becomes U+FFFD, and the text is an `Err`.
    pub(crate) fn decode(self) -> Result<Cow<'a, str>, String> {
        let decoded = match self.has_escapes {
            false => Cow::Borrowed(self.bytes),
            true => Cow::Owned(without_escapes(self.bytes)),
        };
        match decoded {
            Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(_) => Err(String::from_utf8_lossy(bytes).into_owned()),
            },
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(error) => Err(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            },
        }
    }
}

/// A byte that occurs nowhere in UTF-8: it stands for an escape that is no character, until the text is checked as a
/// whole.
const NO_CHARACTER: u8 = 0xff;

fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        let (char, len_bytes) = escaped(&rest[at..]);
        match char {
            Some(char) => plain.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            None => plain.push(NO_CHARACTER),
        }
        rest = &rest[at + len_bytes..];
    }
    plain.extend_from_slice(rest);
    plain
}

/// The character that an escape stands for, if it is one, and the length of the escape.
fn escaped(bytes: &[u8]) -> (Option<char>, usize) {
    let char = match bytes.get(1) {
        Some(&quote @ (b'"' | b'\\' | b'/')) => char::from(quote),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return code_point(bytes),
        other => return (None, 1 + other.map_or(0, |_| 1)),
    };
    (Some(char), 2)
}

/// The character of `\u0041`, or of two such that are a surrogate pair.
fn code_point(bytes: &[u8]) -> (Option<char>, usize) {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        u16::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_hex)?, 16).ok()
    };
    let Some(first) = unit(0) else { return (None, 2) };
    let pair = char::decode_utf16([first].into_iter().chain(unit(6))).next();
    match pair {
        Some(Ok(char)) => (Some(char), if char.len_utf16() == 2 { 12 } else { 6 }),
        _ => (None, 6),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names_and_values(json: &str) -> Result<Vec<(String, String)>, String> {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut fields = Fields::of(json.as_bytes()).map_err(|fault| fault.to_string())?;
        let mut seen = Vec::new();
        while let Some((name, value)) = fields.next().map_err(|fault| fault.to_string())? {
            let value = match value {
                RawValue::Text(text) => format!("{:?}", text.decode()),
                RawValue::Literal(bytes) | RawValue::Object(bytes) | RawValue::Array(bytes) => shown(bytes),
            };
            seen.push((name.decode().map_or_else(|lossy| lossy, Cow::into_owned), value));
        }
        Ok(seen)
    }

    fn check(json: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(names_and_values(json), Ok(expected), "{json}");
    }

    fn check_fault(json: &str, expected: &str) {
        assert_eq!(names_and_values(json), Err(format!("it is no object of JSON: {expected}")), "{json}");
    }

    #[test]
    fn values_of_every_kind() {
        check("{}", &[]);
        check(
            r#"{ "a" : 1 , "b":[1,{"x":"]"}],"c":{"d":{"e":"}\""}} }"#,
            &[("a", "1"), ("b", r#"[1,{"x":"]"}]"#), ("c", r#"{"d":{"e":"}\""}}"#)],
        );
        check(
            r#"{"a":true,"a":null,"":-1.5e3,"n":NaN}"#,
            &[("a", "true"), ("a", "null"), ("", "-1.5e3"), ("n", "NaN")],
        );
    }

    #[test]
    fn texts_and_their_escapes() {
        check(r#"{"\u0061\n":"\"\\\/\b\f\r\t"}"#, &[("a\n", r#"Ok("\"\\/\u{8}\u{c}\r\t")"#)]);
        check(r#"{"a":"\ud83d\ude00 \u00e9"}"#, &[("a", "Ok(\"😀 é\")")]);
        check(r#"{"a":"x\ud83dy"}"#, &[("a", "Err(\"x\u{fffd}y\")")]);
        check(r#"{"a":"\ude00\ud83d"}"#, &[("a", "Err(\"\u{fffd}\u{fffd}\")")]);
        check(r#"{"a":"\ud83d\u0041"}"#, &[("a", "Err(\"\u{fffd}A\")")]);
        check(r#"{"a":"\x \u12"}"#, &[("a", "Err(\"\u{fffd} \u{fffd}12\")")]);
        check(
            &format!("{{\"{}\":\"{}\\\"\"}}", "k".repeat(99), "v".repeat(99)),
            &[(&"k".repeat(99), &format!("Ok(\"{}\\\"\")", "v".repeat(99)))],
        );
    }

    #[test]
    fn what_is_no_object() {
        check_fault("[1]", "`{` is missing at byte 1");
        check_fault("null", "`{` is missing at byte 1");
        check_fault("{", "a name in quotes is missing at byte 2");
        check_fault("{,}", "a name in quotes is missing at byte 2");
        check_fault(r#"{"a":1,}"#, "a name in quotes is missing at byte 8");
        check_fault("{'a':1}", "a name in quotes is missing at byte 2");
        check_fault("{a:1}", "a name in quotes is missing at byte 2");
        check_fault(r#"{"a" 1}"#, "`:` is missing at byte 6");
        check_fault(r#"{"a":'x'}"#, "a value is missing at byte 6");
        check_fault(r#"{"a":}"#, "a value is missing at byte 6");
        check_fault(r#"{"a":1 "b":2}"#, "`,` or `}` is missing at byte 8");
        check_fault(r#"{"a":1"#, "`,` or `}` is missing at byte 7");
        check_fault(r#"{"a":"x"#, "`\"` is missing at byte 8");
        check_fault(r#"{"a":"x\"#, "`\"` is missing at byte 9");
        check_fault(r#"{"a":{"b":1}"#, "`,` or `}` is missing at byte 13");
        check_fault(r#"{"a":[[1]"#, "`]` is missing at byte 10");
        check_fault(r#"{"a":1}{"a":2}"#, "the end of the line is missing at byte 8");
        check_fault("{\"a\":1}\0\0", "the end of the line is missing at byte 8");
    }

    #[test]
    fn depth_takes_no_stack() {
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert_eq!(names_and_values(&deep).unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn the_search_by_words_finds_what_the_plain_one_does(text in "[a\"\\\\é\u{80}]{0,60}", from in 0usize..60) {
            let bytes = text.as_bytes().get(from..).unwrap_or_default();
            prop_assert_eq!(quote_or_backslash(bytes), bytes.iter().position(|b| matches!(b, b'"' | b'\\')));
        }

        #[test]
        fn any_bytes_are_fields_or_a_fault(bytes: Vec<u8>, json in "\\{(\"[a\\\\\"]{0,3}\":?[\\[{\"a1]{0,4}[\\]}\"]{0,4},?){0,3}\\}?") {
            for bytes in [&bytes[..], json.as_bytes()] {
                let mut fields = Fields::of(bytes);
                while let Ok(Ok(Some((name, value)))) = fields.as_mut().map(Fields::next) {
                    let _ = name.decode();
                    if let RawValue::Text(text) = value {
                        let _ = text.decode();
                    }
                }
            }
        }
    }
}
