//! The duplicate key of a URL. What it merges and why is in [`canonical`](crate::canonical).

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use url::{Host, Url};
use warc::surt::{Parts, without_www};

use crate::sessions::{is_cfid, is_cftoken, is_session, without_path_sessions};
use crate::tracking::is_tracking;
use crate::wrappers::CanonicalRules;

/// The key of a URL with this host and this registrable domain.
pub(crate) fn key_of(url: &Url, host: &str, domain: &str, rules: &CanonicalRules) -> String {
    let is_address = !matches!(url.host(), Some(Host::Domain(_)));
    let site = if is_address { Cow::Borrowed(host) } else { rules.site_of(host, domain) };
    let port = url.port().map(|port| port.to_string());
    Parts {
        host: if is_address { &site } else { without_public_www(&site, domain) },
        is_address,
        port: port.as_deref(),
        path: &rules.page_of(&path_of(url.path())),
        query: &url.query().map_or_else(String::new, |query| query_of(query, domain, rules)),
        fragment: url.fragment().map(|fragment| respelled(fragment, &FRAGMENT)).as_deref(),
    }
    .key()
}

/// The host without `www.`, `www2.` and so on, unless that would leave a public suffix, which is another domain.
fn without_public_www<'a>(host: &'a str, domain: &str) -> &'a str {
    without_www(host).filter(|rest| rest.len() >= domain.len()).unwrap_or(host)
}

fn path_of(path: &str) -> Cow<'_, str> {
    match respelled(path.trim_matches('/'), &PATH) {
        Cow::Borrowed(path) => without_path_sessions(path),
        Cow::Owned(path) => Cow::Owned(without_path_sessions(&path).into_owned()),
    }
}

/// The parameters that name the page, by name. Those of one name stay in their order, which can matter (`tag[]=a&tag[]=b`).
fn query_of(query: &str, domain: &str, rules: &CanonicalRules) -> String {
    let mut parameters: Vec<Parameter<'_>> = query
        .split('&')
        .filter_map(Parameter::read)
        .filter(|p| !is_tracking(p.name(), domain) && !is_session(p.name(), p.value()))
        .filter(|p| !rules.is_form_of_page(p.name(), p.value()))
        .collect();
    // ColdFusion's session is a pair; either name alone can be a parameter of the page.
    let has = |is: fn(&str, &str) -> bool| parameters.iter().any(|p| is(p.name(), p.value()));
    if has(is_cfid) && has(is_cftoken) {
        parameters.retain(|p| !is_cfid(p.name(), p.value()) && !is_cftoken(p.name(), p.value()));
    }
    parameters.sort_by(|a, b| a.name().cmp(b.name()));
    let mut text = String::with_capacity(query.len());
    for parameter in &parameters {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&parameter.text);
    }
    text
}

/// A parameter as it is in keys: `name=value`, or `name` alone where it stands without `=`.
struct Parameter<'a> {
    text: Cow<'a, str>,
    name_len: usize,
}

impl<'a> Parameter<'a> {
    /// Reads what is between two `&`; `None` if it is empty.
    fn read(text: &'a str) -> Option<Parameter<'a>> {
        if text.is_empty() {
            return None;
        }
        let Some((name, value)) = text.split_once('=') else {
            let text = respelled(text, &NAME);
            return Some(Parameter { name_len: text.len(), text });
        };
        let (name, value) = (respelled(name, &NAME), respelled(value, &VALUE));
        let name_len = name.len();
        let text = match (name, value) {
            (Cow::Borrowed(_), Cow::Borrowed(_)) => Cow::Borrowed(text),
            (name, value) => Cow::Owned(format!("{name}={value}")),
        };
        Some(Parameter { text, name_len })
    }

    fn name(&self) -> &str {
        &self.text[..self.name_len]
    }

    fn value(&self) -> &str {
        self.text.get(self.name_len + 1..).unwrap_or("")
    }
}

/// How a part of a URL is spelled in keys.
struct Spelling {
    /// The printable ASCII characters whose escapes are kept, because the part is split at the plain ones.
    delimiters: &'static [u8],
    /// Whether `+` is a space, as it is in forms.
    plus_is_space: bool,
}

/// `;` begins a segment's parameters (RFC 3986 §3.3), and a plain `\` never gets here: the URL parser makes it a `/`.
const PATH: Spelling = Spelling { delimiters: br"/;?#\", plus_is_space: false };
const NAME: Spelling = Spelling { delimiters: b"&=#+", plus_is_space: true };
/// A value goes on to the next `&`, whatever `=` are in it.
const VALUE: Spelling = Spelling { delimiters: b"&#+", plus_is_space: true };
const FRAGMENT: Spelling = Spelling { delimiters: b"", plus_is_space: false };

/// Gives each character its one spelling. Printable ASCII is plain, unless it would be a delimiter; everything else,
/// which the URL parser has escaped, is an escape in upper case. A `%` that begins no escape stands for itself.
fn respelled<'a>(text: &'a str, spelling: &Spelling) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let first = if spelling.plus_is_space { memchr2(b'%', b'+', bytes) } else { memchr(b'%', bytes) };
    let Some(first) = first else { return Cow::Borrowed(text) };
    let mut plain = String::with_capacity(text.len() + 8);
    plain.push_str(&text[..first]);
    let mut rest = first;
    while let Some(&byte) = bytes.get(rest) {
        let escaped = escaped_byte(&bytes[rest..]);
        rest += if escaped.is_some() { 3 } else { 1 };
        match (escaped, byte) {
            (Some(byte @ 0x21..=0x7e), _) if byte != b'%' && !spelling.delimiters.contains(&byte) => {
                plain.push(char::from(byte));
            }
            (Some(byte), _) => push_escape(&mut plain, byte),
            (None, b'%') => push_escape(&mut plain, b'%'),
            (None, b'+') if spelling.plus_is_space => push_escape(&mut plain, b' '),
            // Beyond ASCII there is nothing: the parser has escaped it.
            (None, byte) => plain.push(char::from(byte)),
        }
    }
    Cow::Owned(plain)
}

/// The byte that an escape at the beginning of these bytes stands for: `%41` is `A`.
pub fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

/// Appends the escape of a byte, with capital digits as RFC 3986 recommends: `%2F`.
pub fn push_escape(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}
