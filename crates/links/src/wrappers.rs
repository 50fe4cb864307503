//! Addresses that lead to a page of another address: what a recipe may have read as that page.
//!
//! A *wrapper* carries its target in its own address: `google.com/url?q=…`, an archive's copy, an AMP cache. It is
//! replaced by the target, in the URL and in the key. The *forms* of a page, for phones or as AMP, are addresses of their
//! own that are fetched as they are; only their key is that of the page. Nothing here asks the network, so short links
//! (`t.co`, `archive.is/AbCd`) stay what they are. All of it is off by default.

use std::borrow::Cow;
use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::{Host, Position, Url};

use crate::address;

/// Wrappers in wrappers that are opened: an archived Google result of an AMP page has three. What is left is kept.
const MAX_WRAPPERS: usize = 5;

/// What counts as the page that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Wrapper {
    /// Results of search engines: `google.com/url?q=`, `duckduckgo.com/l/?uddg=`, `bing.com/ck/a`, `r.search.yahoo.com`.
    Search,
    /// Redirects that sites lay over links that leave them: `out.reddit.com`, `l.facebook.com`, `t.umblr.com`,
    /// `youtube.com/redirect`, `href.li` and the like.
    Redirect,
    /// Copies in web archives and caches: `web.archive.org/web/2015…/http://…`, `webcache.googleusercontent.com`.
    Archive,
    /// AMP caches, which are wrappers (`google.com/amp/s/…`, `cdn.ampproject.org/c/s/…`), and the AMP form of a page on
    /// its own site (`amp.` hosts, `/amp/`, `.amp.html`, `?amp=1`).
    Amp,
    /// The form of a page for phones: hosts with `m.` or `mobile.`
    Mobile,
}

/// What the canonical form of a URL merges beyond spellings. The default is nothing.
///
/// ```
/// use links::{Canonical, CanonicalRules, Wrapper};
///
/// let wrapped = "https://www.google.com/url?q=http://m.example.com/page&sa=U";
/// let rules = CanonicalRules::unwrapping([Wrapper::Search, Wrapper::Mobile]);
/// let canonical = Canonical::parse_with(wrapped, &rules).unwrap();
/// assert_eq!(canonical.url, "http://m.example.com/page");
/// assert_eq!(canonical.key, "com,example)/page");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CanonicalRules {
    /// What is replaced by the page that it leads to. Default: nothing.
    pub unwrap: BTreeSet<Wrapper>,
}

impl CanonicalRules {
    /// Rules that replace these.
    pub fn unwrapping(wrappers: impl IntoIterator<Item = Wrapper>) -> CanonicalRules {
        CanonicalRules { unwrap: wrappers.into_iter().collect() }
    }

    /// The URL without its wrappers, the innermost first; the URL itself if it has none.
    pub(crate) fn unwrapped(&self, mut url: Url) -> Url {
        for _ in 0..MAX_WRAPPERS {
            let Some(target) = self.unwrap.iter().find_map(|&wrapper| unwrapped(&url, wrapper)) else { break };
            url = target;
        }
        url
    }

    /// The host of the page: without labels that name a form of it (`m.`, `amp.`).
    pub(crate) fn site_of<'a>(&self, host: &'a str, domain: &str) -> Cow<'a, str> {
        let is_form = |label: &str| match label {
            "m" | "mobile" => self.unwrap.contains(&Wrapper::Mobile),
            "amp" => self.unwrap.contains(&Wrapper::Amp),
            _ => false,
        };
        // `m.example.com`, `en.m.example.com`; never a label of the registrable domain.
        let Some(labels) = host.strip_suffix(domain).and_then(|labels| labels.strip_suffix('.')) else {
            return Cow::Borrowed(host);
        };
        if self.unwrap.is_empty() || !labels.split('.').any(is_form) {
            return Cow::Borrowed(host);
        }
        let labels = labels.split('.').filter(|label| !is_form(label));
        Cow::Owned(labels.chain([domain]).collect::<Vec<_>>().join("."))
    }

    /// The path of the page, given without slashes at its ends: `news/1` of `amp/news/1`, `news/1/amp`.
    pub(crate) fn page_of<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if !self.unwrap.contains(&Wrapper::Amp) {
            return Cow::Borrowed(path);
        }
        if let Some(page) = path.strip_suffix(".amp.html") {
            return Cow::Owned(format!("{page}.html"));
        }
        let ends = [path.strip_prefix("amp/"), path.strip_suffix("/amp"), path.strip_suffix(".amp")];
        Cow::Borrowed(ends.into_iter().flatten().find(|page| !page.is_empty()).unwrap_or(path))
    }

    /// Whether a parameter asks for a form of the page.
    pub(crate) fn is_form_of_page(&self, name: &str, value: &str) -> bool {
        self.unwrap.contains(&Wrapper::Amp)
            && match name {
                "amp" => matches!(value, "" | "1" | "true"),
                "outputType" | "output" => value == "amp",
                _ => is_of_amp_viewer(name),
            }
    }
}

/// The target of a URL that is such a wrapper; `None` for every other URL. One layer: the target may be a wrapper again.
///
/// ```
/// use links::{Wrapper, unwrapped};
///
/// let archived = "http://web.archive.org/web/20150102030405/http://example.com/?a=1".parse().unwrap();
/// assert_eq!(unwrapped(&archived, Wrapper::Archive).unwrap().as_str(), "http://example.com/?a=1");
/// let short = "http://archive.is/AbCd".parse().unwrap();
/// assert_eq!(unwrapped(&short, Wrapper::Archive), None);
/// ```
pub fn unwrapped(url: &Url, wrapper: Wrapper) -> Option<Url> {
    let Some(Host::Domain(host)) = url.host() else { return None };
    let target = match wrapper {
        Wrapper::Search => of_search(url, host),
        Wrapper::Redirect => of_redirect(url, host),
        Wrapper::Archive => of_archive(url, host),
        Wrapper::Amp => of_amp_cache(url, host),
        Wrapper::Mobile => None,
    }?;
    // Not a path on the wrapper's own site, which the reader of addresses would lay on another one.
    let is_path = target.starts_with('/') && !target.starts_with("//");
    let target = if is_path { None } else { address::read(&target).ok() }?;
    target.host_str().is_some_and(|host| host.contains(['.', ':'])).then_some(target)
}

/// A wrapper whose target is the value of a parameter.
struct InParameter {
    /// The host, or a domain above it.
    domain: &'static str,
    /// Without regard to slashes at its end; `*` for any.
    path: &'static str,
    parameter: &'static str,
}

const fn at(domain: &'static str, path: &'static str, parameter: &'static str) -> InParameter {
    InParameter { domain, path, parameter }
}

/// Redirects of sites, as ClearURLs (`redirections`) and Brave (`debounce.json`) list them.
const REDIRECTS: &[InParameter] = &[
    at("out.reddit.com", "*", "url"),
    at("facebook.com", "/l.php", "u"),
    at("l.instagram.com", "/", "u"),
    at("l.messenger.com", "/l.php", "u"),
    at("t.umblr.com", "/redirect", "z"),
    at("youtube.com", "/redirect", "q"),
    at("vk.com", "/away.php", "to"),
    at("steamcommunity.com", "/linkfilter", "url"),
    at("steamcommunity.com", "/linkfilter", "u"),
    at("linkedin.com", "/redir/redirect", "url"),
    at("linkedin.com", "/safety/go", "url"),
    at("medium.com", "/r", "url"),
    at("stumbleupon.com", "/refer.php", "url"),
    at("curseforge.com", "/linkout", "remoteUrl"),
    at("slack-redir.net", "/link", "url"),
    at("getpocket.com", "/redirect", "url"),
    at("exit.sc", "/", "url"),
    at("gate.sc", "/", "url"),
    at("safelinks.protection.outlook.com", "/", "url"),
    at("go.redirectingat.com", "/", "url"),
    at("go.skimresources.com", "/", "url"),
    at("redirect.viglink.com", "/", "u"),
];

/// Sites whose whole query is the target: they hide where a reader came from.
const IN_QUERY: &[&str] = &["href.li", "anonym.to", "anon.to", "nullrefer.com", "hiderefer.com", "dereferer.org"];

/// Hosts that replay archived pages below `…/TIME/URL`.
const ARCHIVES: &[&str] = &[
    "web.archive.org",
    "wayback.archive.org",
    "liveweb.archive.org",
    "replay.waybackmachine.org",
    "wayback.archive-it.org",
    "archive.today",
    "archive.is",
    "archive.ph",
    "archive.li",
    "archive.vn",
    "archive.fo",
    "archive.md",
    "arquivo.pt",
    "webarchive.org.uk",
    "webarchive.loc.gov",
    "webarchive.nationalarchives.gov.uk",
];

fn of_search(url: &Url, host: &str) -> Option<String> {
    let path = url.path();
    if is_google(host) && path.ends_with("/url") {
        return value_of(url, "q").filter(|q| q.contains("://")).or_else(|| value_of(url, "url"));
    }
    if is_within(host, "duckduckgo.com") && path.trim_end_matches('/') == "/l" {
        return value_of(url, "uddg");
    }
    if is_within(host, "bing.com") && path == "/ck/a" {
        // `a1` and the address in base64.
        let bytes = BASE64URL_NOPAD.decode(value_of(url, "u")?.strip_prefix("a1")?.as_bytes()).ok()?;
        return String::from_utf8(bytes).ok();
    }
    if host == "r.search.yahoo.com" {
        let (_, target) = path.split_once("/RU=")?;
        return decoded(target.split('/').next()?);
    }
    if host == "rds.yahoo.com" {
        let (_, target) = url[Position::BeforePath..].split_once("/**")?;
        return decoded(target);
    }
    None
}

fn of_redirect(url: &Url, host: &str) -> Option<String> {
    let path = url.path().trim_end_matches('/');
    let is_of = |redirect: &&InParameter| {
        is_within(host, redirect.domain) && (redirect.path == "*" || path == redirect.path.trim_end_matches('/'))
    };
    let in_parameter = REDIRECTS.iter().filter(is_of).find_map(|redirect| value_of(url, redirect.parameter));
    if in_parameter.is_some() {
        return in_parameter;
    }
    if is_one_of(host, IN_QUERY) || (is_within(host, "deviantart.com") && path == "/users/outgoing") {
        return decoded(url.query()?);
    }
    // Mozilla's has a signature of 64 hexadecimal digits before the target.
    if matches!(host, "outgoing.prod.mozaws.net" | "prod.outgoing.prod.webservices.mozgcp.net") {
        let (_, target) = url[Position::BeforePath..].strip_prefix("/v1/")?.split_once('/')?;
        return decoded(target);
    }
    if is_within(host, "stumbleupon.com") {
        let (_, target) = url[Position::BeforePath..].strip_prefix("/su/")?.split_once('/')?;
        return Some(target.to_owned());
    }
    None
}

fn of_archive(url: &Url, host: &str) -> Option<String> {
    if host == "webcache.googleusercontent.com" && url.path() == "/search" {
        // `cache:ID:URL WORDS`, the id and the words of the search being optional.
        let query = value_of(url, "q")?;
        let cached = query.strip_prefix("cache:")?.split(' ').next()?;
        let is_id = |id: &str| id.len() == 12 && !id.contains('.');
        return Some(match cached.split_once(':') {
            Some((id, target)) if is_id(id) => target.to_owned(),
            _ => cached.to_owned(),
        });
    }
    if is_within(host, "webcitation.org") && url.path() == "/query" {
        return value_of(url, "url");
    }
    let is_archive = is_one_of(host, ARCHIVES) || (is_within(host, "archive.org") && url.path().starts_with("/web/"));
    let rest = if is_archive { url[Position::BeforePath..].strip_prefix('/') } else { None }?;
    replayed(rest)
}

/// The target behind a time (`20150102`, `20150102030405id_`) or that begins with a scheme: at most three segments of the
/// archive come before it. A time with `*` is a list of captures, which is no copy of the page.
fn replayed(path: &str) -> Option<String> {
    let mut rest = path;
    for _ in 0..4 {
        if ["http:/", "https:/", "http%3A", "https%3A"].iter().any(|scheme| rest.starts_with(scheme)) {
            return decoded_address(rest);
        }
        let (segment, behind) = rest.split_once('/')?;
        if segment.contains('*') {
            return None;
        }
        if is_time(segment) {
            return decoded_address(behind);
        }
        rest = behind;
    }
    None
}

/// Four to fourteen digits, then marks of two letters and `_`.
fn is_time(segment: &str) -> bool {
    let marks = segment.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = segment.len() - marks.len();
    let are_marks = marks
        .as_bytes()
        .chunks(3)
        .all(|mark| matches!(mark, [a, b, b'_'] if a.is_ascii_lowercase() && b.is_ascii_lowercase()));
    (4..=14).contains(&digits) && are_marks
}

fn of_amp_cache(url: &Url, host: &str) -> Option<String> {
    let path = &url[Position::BeforePath..];
    let rest = if is_google(host) {
        path.strip_prefix("/amp/")?
    } else if is_within(host, "cdn.ampproject.org") || is_within(host, "bing-amp.com") {
        // Content, as a viewer shows it, or as a web package; `/i/` and `/r/` are images and fonts.
        ["/c/", "/v/", "/wp/"].into_iter().find_map(|kind| path.strip_prefix(kind))?
    } else {
        return None;
    };
    let (scheme, rest) = rest.strip_prefix("s/").map_or(("http", rest), |rest| ("https", rest));
    Some(without_viewer_parameters(&format!("{scheme}://{rest}")))
}

/// AMP viewers add parameters of their own to the target's.
fn without_viewer_parameters(target: &str) -> String {
    let Some((page, query)) = target.split_once('?') else { return target.to_owned() };
    let name_of = |parameter: &str| parameter.split('=').next().unwrap_or("").to_owned();
    let kept: Vec<&str> = query.split('&').filter(|parameter| !is_of_amp_viewer(&name_of(parameter))).collect();
    if kept.is_empty() { page.to_owned() } else { format!("{page}?{}", kept.join("&")) }
}

fn is_of_amp_viewer(name: &str) -> bool {
    matches!(name, "usqp" | "amp_js_v" | "amp_gsa" | "amp_lite" | "amp_r" | "amp_tf" | "amp_ct")
}

/// Whether a host is a domain or below it.
fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_one_of(host: &str, domains: &[&str]) -> bool {
    domains.iter().any(|domain| is_within(host, domain))
}

/// `www.google.co.uk`, not `google.example.com`.
fn is_google(host: &str) -> bool {
    public_suffix::registrable_domain(host).is_some_and(|domain| domain.starts_with("google."))
}

/// The value of a parameter, with a scheme that was escaped twice undone once more.
fn value_of(url: &Url, name: &str) -> Option<String> {
    let (_, value) = url.query_pairs().find(|(key, value)| key == name && !value.is_empty())?;
    decoded_address(&value)
}

/// An address, decoded once if its scheme is escaped.
fn decoded_address(text: &str) -> Option<String> {
    let is_escaped = ["http%3a", "https%3a"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    if is_escaped { decoded(text) } else { Some(text.to_owned()) }
}

/// Text without its escapes, if it is UTF-8.
fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}
