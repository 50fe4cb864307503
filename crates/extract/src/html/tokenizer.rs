//! Tags, text and comments from the source (section "Tokenization" of the standard).
//!
//! The states of the standard inside one token are loops here. A state between tokens is a [`TextState`], which the
//! builder returns for a start tag, or none. Nothing is copied: attributes and texts are spans of the source, which are
//! decoded when they are read.

use std::borrow::Cow;

use memchr::memmem::Finder;

use super::builder::{Builder, Isolated};
use super::names::{AttributeName, Name, attribute, tag};
use super::token::{Tag, TextState};
use super::tree::{Attribute, Span, Tree};
use super::{ParseError, ParseOptions};
use crate::word_table::packed;

pub(super) struct Tokenizer<'s> {
    /// The source, up to the end of the part that is being tokenized.
    bytes: &'s [u8],
    source: &'s str,
    at: usize,
    has_nul: bool,
    end_tag: Finder<'static>,
    builder: Builder<'s>,
    /// The `<noscript>` that `bytes` ends with.
    noscript: Option<Isolated>,
    /// Tags that [`tag`] does not know, by their lower-cased bytes.
    unknown: std::collections::HashMap<Cow<'s, [u8]>, Name>,
}

impl<'s> Tokenizer<'s> {
    pub(super) fn new(source: &'s str, options: ParseOptions) -> Tokenizer<'s> {
        let bytes = source.as_bytes();
        Tokenizer {
            bytes,
            source,
            at: 0,
            has_nul: memchr::memchr(0, bytes).is_some(),
            end_tag: Finder::new(b"</"),
            builder: Builder::new(source, options),
            noscript: None,
            unknown: std::collections::HashMap::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Tree<'s>, ParseError> {
        loop {
            while self.at < self.bytes.len() {
                self.markup();
                if let Some(error) = self.builder.error {
                    return Err(error);
                }
            }
            let Some(contents) = self.noscript.take() else { return Ok(self.builder.finish()) };
            self.builder.end_contents(contents);
            self.bytes = self.source.as_bytes();
        }
    }

    /// After a `<noscript>` whose contents are markup: they are tokenized as a source of their own up to `</noscript`.
    fn begin_noscript(&mut self) {
        let end = self.raw_end(self.at, tag::NOSCRIPT);
        if self.noscript.is_none() && end < self.bytes.len() {
            self.noscript = Some(self.builder.begin_isolated());
            self.bytes = &self.bytes[..end];
        }
    }

    /// Text up to the next `<`, and what begins there.
    fn markup(&mut self) {
        let start = self.at;
        let end = memchr::memchr(b'<', &self.bytes[start..]).map_or(self.bytes.len(), |found| start + found);
        if end > start {
            self.at = end;
            self.text(start, end);
            return;
        }
        match self.bytes.get(start + 1) {
            Some(byte) if byte.is_ascii_alphabetic() => {
                let Some(tag) = self.tag(start + 1) else { return };
                match self.builder.start_tag(tag) {
                    Some(state) => self.text_without_markup(state),
                    None if tag.name == tag::NOSCRIPT && self.builder.current_name() == tag::NOSCRIPT => {
                        self.begin_noscript();
                    }
                    None => {}
                }
            }
            Some(b'/') => self.end_tag_open(start),
            Some(b'!') => self.declaration(start),
            Some(b'?') => self.bogus_comment(start + 1),
            _ => {
                self.at = start + 1;
                self.text(start, start + 1);
            }
        }
    }

    /// Passes on a text, character references decoded.
    fn text(&mut self, start: usize, end: usize) {
        let raw = &self.source[start..end];
        if memchr::memchr(b'&', raw.as_bytes()).is_some()
            && let Cow::Owned(decoded) = htmlize::unescape(raw)
        {
            let span = self.builder.own(&decoded, start);
            self.builder.text(span, self.has_nul);
        } else {
            self.builder.text(Span::new(start, end), self.has_nul);
        }
    }

    fn end_tag_open(&mut self, start: usize) {
        match self.bytes.get(start + 2) {
            Some(byte) if byte.is_ascii_alphabetic() => {
                if let Some(tag) = self.tag(start + 2) {
                    self.builder.end_tag(tag.name);
                }
            }
            Some(b'>') => self.at = start + 3,
            Some(_) => self.bogus_comment(start + 2),
            None => {
                self.at = self.bytes.len();
                self.text(start, self.at);
            }
        }
    }

    fn declaration(&mut self, start: usize) {
        let rest = &self.bytes[start + 2..];
        if rest.starts_with(b"--") {
            self.comment(start + 4);
        } else if rest.len() >= 7 && rest[..7].eq_ignore_ascii_case(b"doctype") {
            self.doctype(start + 9);
        } else if rest.starts_with(b"[CDATA[") && self.builder.in_foreign_content() {
            let from = start + 9;
            let len = memchr::memmem::find(&self.bytes[from..], b"]]>");
            let end = len.map_or(self.bytes.len(), |len| from + len);
            self.at = (end + 3).min(self.bytes.len());
            if end > from {
                self.builder.text(Span::new(from, end), self.has_nul);
            }
        } else {
            self.bogus_comment(start + 2);
        }
    }

    /// A comment after its `<!--`: ends with `-->`, `--!>`, or right away with `>` or `->`.
    fn comment(&mut self, from: usize) {
        let rest = &self.bytes[from..];
        for (early, end) in [(&b">"[..], 1), (b"->", 2)] {
            if rest.starts_with(early) {
                self.at = from + end;
                self.builder.comment(Span::new(from, from));
                return;
            }
        }
        let mut at = 0;
        let (mut end, mut next) = (rest.len(), rest.len());
        while let Some(found) = memchr::memmem::find(&rest[at..], b"--") {
            let dashes = at + found;
            match (rest.get(dashes + 2), rest.get(dashes + 3)) {
                (Some(b'>'), _) => (end, next) = (dashes, dashes + 3),
                (Some(b'!'), Some(b'>')) => (end, next) = (dashes, dashes + 4),
                // At the end of the page, dashes of an unfinished end are not part of the comment.
                (None, _) | (Some(b'!'), None) => (end, next) = (dashes, rest.len()),
                _ => {
                    at = dashes + 1;
                    continue;
                }
            }
            break;
        }
        if next == rest.len() && end == rest.len() && rest.ends_with(b"-") {
            end -= 1;
        }
        self.at = from + next;
        self.builder.comment(Span::new(from, from + end));
    }

    /// A bogus comment, which ends at the next `>`.
    fn bogus_comment(&mut self, from: usize) {
        let end = memchr::memchr(b'>', &self.bytes[from..]).map_or(self.bytes.len(), |len| from + len);
        self.at = (end + 1).min(self.bytes.len());
        self.builder.comment(Span::new(from, end));
    }

    fn doctype(&mut self, from: usize) {
        let end = doctype_end(self.bytes, from);
        self.at = (end + 1).min(self.bytes.len());
        let closed = end < self.bytes.len();
        self.builder.doctype(Span::new(from, end), closed);
    }

    /// Reads a tag from the first letter of its name; `None` when the page ends in it.
    fn tag(&mut self, from: usize) -> Option<Tag> {
        let bytes = self.bytes;
        let mut at = from;
        while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\x0c' | b'/' | b'>') {
            at += 1;
        }
        let (name_start, name_end) = (from, at);
        let attributes_start = self.builder.tree.attributes.len();
        let mut self_closing = false;
        loop {
            match bytes.get(at) {
                None => {
                    self.at = bytes.len();
                    return None;
                }
                Some(b'>') => break,
                Some(b'/') => {
                    at += 1;
                    self_closing = bytes.get(at) == Some(&b'>');
                }
                Some(b' ' | b'\t' | b'\n' | b'\x0c') => at += 1,
                Some(_) => at = self.attribute(at),
            }
        }
        self.at = at + 1;
        let count = self.builder.tree.attributes.len() - attributes_start;
        let attributes = Span { start: attributes_start as u32, len: count as u32 };
        Some(Tag { name: self.name(name_start, name_end), attributes, self_closing })
    }

    fn name(&mut self, start: usize, end: usize) -> Name {
        let bytes = &self.bytes[start..end];
        if let Some(number) = tag::TABLE_OF_NAMES.find(packed(bytes)) {
            return Name(number as u32);
        }
        let key = if bytes.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(bytes.to_ascii_lowercase())
        } else {
            Cow::Borrowed(bytes)
        };
        let names = &mut self.builder.tree.unknown_names;
        *self.unknown.entry(key).or_insert_with(|| {
            names.push(Span::new(start, end));
            Name::unknown(names.len() - 1)
        })
    }

    /// Reads an attribute from the first byte of its name; returns the position after it.
    fn attribute(&mut self, start: usize) -> usize {
        let bytes = self.bytes;
        // A name may begin with `=`; any other delimiter ends it.
        let mut at = start + 1;
        while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\x0c' | b'/' | b'>' | b'=') {
            at += 1;
        }
        let name = Span::new(start, at);
        let known = attribute::TABLE_OF_NAMES.find(packed(&bytes[start..at]));
        let known = known.map_or(AttributeName::OTHER, |number| AttributeName(number as u8));
        let after_name = skip_blanks(bytes, at);
        let (value, next) = if bytes.get(after_name) == Some(&b'=') {
            attribute_value(bytes, skip_blanks(bytes, after_name + 1))
        } else {
            (Span::EMPTY, after_name)
        };
        self.builder.tree.attributes.push(Attribute { name, value, known });
        next
    }

    /// Reads the text of an element without markup, and its end tag.
    fn text_without_markup(&mut self, state: TextState) {
        let from = self.at;
        let name = self.builder.current_name();
        let end = match state {
            TextState::PlainText => self.bytes.len(),
            TextState::ScriptData => self.script_end(from),
            TextState::Rcdata | TextState::RawText => self.raw_end(from, name),
        };
        // A `<noscript>` in the head that is never closed has no contents, so that it does not swallow the page.
        if end == self.bytes.len() && name == tag::NOSCRIPT && !self.builder.options.scripting {
            self.builder.end_tag(name);
            return;
        }
        self.at = end;
        if end > from {
            let span = Span::new(from, end);
            match state {
                TextState::Rcdata => self.escapable_text(from, end),
                TextState::RawText | TextState::ScriptData => self.builder.raw_text(span, self.has_nul),
                TextState::PlainText if self.has_nul => {
                    let replaced = self.source[from..end].replace('\0', "\u{fffd}");
                    let span = self.builder.own(&replaced, from);
                    self.builder.text(span, false);
                }
                TextState::PlainText => self.builder.text(span, false),
            }
        }
        if end < self.bytes.len() {
            match self.tag(end + 2) {
                Some(tag) => self.builder.end_tag(tag.name),
                // The page ends in the end tag, which is therefore not one.
                None => self.at = self.bytes.len(),
            }
        }
    }

    fn escapable_text(&mut self, start: usize, end: usize) {
        let span = match htmlize::unescape(&self.source[start..end]) {
            Cow::Owned(decoded) => self.builder.own(&decoded, start),
            Cow::Borrowed(_) => Span::new(start, end),
        };
        self.builder.raw_text(span, self.has_nul);
    }

    /// The position of `</name`, followed by a byte that ends a tag's name.
    fn raw_end(&self, from: usize, name: Name) -> usize {
        let name = name.known().map_or("", |number| tag::NAMES[number]).as_bytes();
        let mut at = from;
        while let Some(found) = self.end_tag.find(&self.bytes[at..]) {
            at += found;
            if is_tag(&self.bytes[at + 2..], name) {
                return at;
            }
            at += 2;
        }
        self.bytes.len()
    }

    /// The end of a script: its first `</script`, unless a `<script` inside `<!--` comes before it.
    fn script_end(&self, from: usize) -> usize {
        let end = self.raw_end(from, tag::SCRIPT);
        if memchr::memmem::find(&self.bytes[from..end], b"<!--").is_none() {
            return end;
        }
        let bytes = self.bytes;
        let (mut escaped, mut doubly) = (false, false);
        let mut at = from;
        while let Some(found) = memchr::memchr2(b'<', b'-', &bytes[at..]) {
            at += found;
            let rest = &bytes[at..];
            if escaped && rest.starts_with(b"-->") {
                (escaped, doubly) = (false, false);
            } else if !escaped && rest.starts_with(b"<!--") {
                // Its dashes may be those of `-->` too.
                escaped = true;
                at += 1;
            } else if escaped && !doubly && rest[0] == b'<' && is_tag(&rest[1..], b"script") {
                doubly = true;
            } else if rest.starts_with(b"</") && is_tag(&rest[2..], b"script") {
                if !doubly {
                    return at;
                }
                doubly = false;
            }
            at += 1;
        }
        bytes.len()
    }
}

/// Whether a tag of exactly this name begins here.
fn is_tag(bytes: &[u8], name: &[u8]) -> bool {
    bytes.len() > name.len()
        && bytes[..name.len()].eq_ignore_ascii_case(name)
        && matches!(bytes[name.len()], b' ' | b'\t' | b'\n' | b'\x0c' | b'/' | b'>')
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\x0c')) {
        at += 1;
    }
    at
}

/// Reads a value from its first byte or quote; returns it and the position after it.
fn attribute_value(bytes: &[u8], from: usize) -> (Span, usize) {
    match bytes.get(from) {
        Some(&quote @ (b'"' | b'\'')) => {
            let end = memchr::memchr(quote, &bytes[from + 1..]).map_or(bytes.len(), |len| from + 1 + len);
            (Span::new(from + 1, end), (end + 1).min(bytes.len()))
        }
        _ => {
            let mut at = from;
            while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\x0c' | b'>') {
                at += 1;
            }
            (Span::new(from, at), at)
        }
    }
}

/// The end of a doctype: the next `>`, even in quotes.
fn doctype_end(bytes: &[u8], from: usize) -> usize {
    memchr::memchr(b'>', &bytes[from.min(bytes.len())..]).map_or(bytes.len(), |len| from + len)
}
