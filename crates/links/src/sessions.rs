//! Session ids in URLs, which differ from visit to visit while the page is the same.
//!
//! A name is not enough: Slashdot's `sid=08/01/02/123` is a story. So each name comes with the shape of the ids that
//! its software makes. The shapes are those of Internet Archive's `surt`, and longer ones that software documents.
//! Left out: ids under names that are too common to tell (`s`, `id`, `session`).

use std::borrow::Cow;

/// Whether a parameter of a query or of a path's segment is a session id. ColdFusion's, which is a pair of parameters, is
/// known by [`is_cfid`] and [`is_cftoken`].
pub(crate) fn is_session(name: &str, value: &str) -> bool {
    // This answers for nearly all parameters.
    if value.len() < MIN_CHARS {
        return false;
    }
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    let are_alphanumeric = |len: usize| value.len() == len && value.bytes().all(|b| b.is_ascii_alphanumeric());
    if is(&"jsessionid") {
        is_servlet_id(value)
    } else if is(&"asp.net_sessionid") {
        are_alphanumeric(24)
    } else if PHP_NAMES.iter().any(is) {
        is_php_id(value)
    } else if NAMES_OF_32.iter().any(is) {
        are_alphanumeric(32)
    } else {
        is_asp_name(name) && value.len() == 24 && value.bytes().all(|b| b.is_ascii_alphabetic())
    }
}

/// ColdFusion's counter of visitors: a session only beside its token.
pub(crate) fn is_cfid(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("cfid")
        && !value.is_empty()
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The token beside it: eight digits, or a UUID behind hexadecimal digits.
pub(crate) fn is_cftoken(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("cftoken")
        && value.len() >= 8
        && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// Cuts `;jsessionid=…` off the segments of a path, and takes out ASP.NET's segments `(S(…))`.
pub(crate) fn without_path_sessions(path: &str) -> Cow<'_, str> {
    let mut path = Cow::Borrowed(path);
    if path.contains(';') {
        path = Cow::Owned(path.split('/').map(without_session_parameters).collect::<Vec<_>>().join("/"));
    }
    if path.starts_with('(') || path.contains("/(") {
        let is_page = path.to_ascii_lowercase().contains(".aspx");
        let is_kept = |segment: &&str| !is_cookieless_segment(segment, is_page);
        path = Cow::Owned(path.split('/').filter(is_kept).collect::<Vec<_>>().join("/"));
    }
    match path {
        Cow::Borrowed(path) => Cow::Borrowed(path.trim_matches('/')),
        Cow::Owned(path) => Cow::Owned(path.trim_matches('/').to_owned()),
    }
}

/// Names of PHP's sessions: its own, and those of osCommerce, xt:Commerce and Zen Cart.
const PHP_NAMES: [&str; 4] = ["phpsessid", "oscsid", "xtcsid", "zenid"];

/// Names under which many programs have an MD5 or 32 alphanumerics, as `surt` takes them.
const NAMES_OF_32: [&str; 3] = ["sid", "sessionid", "session_id"];

/// The shortest id that is told from a word: PHP's `session.sid_length` begins at 22. Of servlet containers, Jetty's ids
/// have 22 characters and more, ATG's 23, GlassFish's 28, Tomcat's 32, WebLogic's 52; those of Resin, with 12 to 14, are
/// not told.
const MIN_CHARS: usize = 22;

/// PHP's `session.sid_length` ends at 256; 26 and 32 were the defaults of its versions.
fn is_php_id(value: &str) -> bool {
    (MIN_CHARS..=256).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b','))
}

/// The id, and behind a `.`, `!`, `:` or `~` the node that holds it.
fn is_servlet_id(value: &str) -> bool {
    let id = value.split(['.', '!', ':', '~']).next().unwrap_or("");
    id.len() >= MIN_CHARS && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// `ASPSESSIONID` and eight letters that IIS draws.
fn is_asp_name(name: &str) -> bool {
    let name = name.as_bytes();
    name.len() == 20
        && name[..12].eq_ignore_ascii_case(b"aspsessionid")
        && name[12..].iter().all(|b| b.is_ascii_alphabetic())
}

/// A segment without parameters such as `;jsessionid=…`, which ends at the next `;` (Servlet 3.0 §7.1.3).
fn without_session_parameters(segment: &str) -> Cow<'_, str> {
    let is_id = |parameter: &&str| parameter.split_once('=').is_some_and(|(name, value)| is_session(name, value));
    if !segment.split(';').skip(1).any(|parameter| is_id(&parameter)) {
        return Cow::Borrowed(segment);
    }
    // What comes before the first `;` is no parameter, so it stays whatever it looks like.
    let (page, parameters) = segment.split_once(';').unwrap_or((segment, ""));
    let kept = parameters.split(';').filter(|parameter| !is_id(parameter));
    Cow::Owned([page].into_iter().chain(kept).collect::<Vec<_>>().join(";"))
}

/// `(S(24 characters))`, with ASP.NET's other tickets `A(…)` and `F(…)` beside it. In its first version a segment was
/// `(24 characters)`, which could be a word in brackets, so it counts only on the way to an `.aspx` page.
fn is_cookieless_segment(segment: &str, is_page: bool) -> bool {
    let Some(inside) = segment.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return false };
    let is_id = |id: &str| id.len() == 24 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_id(inside) {
        return is_page;
    }
    let mut has_session = false;
    let mut rest = inside;
    while let Some((letter, behind)) = rest.split_once('(') {
        let Some((ticket, next)) = behind.split_once(')') else { return false };
        has_session |= letter.eq_ignore_ascii_case("s") && is_id(ticket);
        if letter.len() != 1 || ticket.is_empty() {
            return false;
        }
        rest = next;
    }
    has_session && rest.is_empty()
}
