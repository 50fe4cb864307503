use std::collections::HashSet;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};

use super::{DatatroveDialect, Findings, Rule, Settings};
use crate::About;
use crate::list::{self, LineSet, ListError};
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;
use crate::url_host::UrlHost;

/// Drops pages whose URL is on a list or has a word of a list.
///
/// Follows datatrove's `URLFilter`, whose lists are in its package (`assets/`). Domains, hosts and words are compared
/// case-sensitively; a word is a part of the URL between characters other than ASCII letters and digits. Sub-words are
/// searched in the lower-cased URL without any other characters. Lists have one entry per line; lines that begin with `#`
/// are comments. A blank line is an entry, too, as for datatrove: among words it is found in URLs that begin or end with
/// another character, among domains it is an address without a domain. So is a word without ASCII letters and digits.
/// The suffixes of domains are those of the public-suffix list without its private ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Url {
    /// The code that is followed.
    pub dialect: DatatroveDialect,
    /// Files of domains and hosts.
    pub domains: Vec<String>,
    /// Files of URLs.
    pub urls: Vec<String>,
    /// Files of words none of which may be in the URL.
    pub banned_words: Vec<String>,
    /// Files of words of which at most `max_soft_banned_words` may be in the URL.
    pub soft_banned_words: Vec<String>,
    /// Files of parts of words none of which may be in the URL.
    pub banned_subwords: Vec<String>,
    /// Maximum number of distinct words of `soft_banned_words`.
    pub max_soft_banned_words: Limit,
}

impl Default for Url {
    fn default() -> Url {
        let [domains, urls, banned_words, soft_banned_words, banned_subwords] = Default::default();
        let (dialect, max_soft_banned_words) = (DatatroveDialect::V0_10, Limit::at(1.0));
        Url { dialect, domains, urls, banned_words, soft_banned_words, banned_subwords, max_soft_banned_words }
    }
}

impl Settings for Url {
    fn fault(&self) -> Option<String> {
        let words = [&self.banned_words, &self.soft_banned_words, &self.banned_subwords];
        let lists = [&self.domains, &self.urls].into_iter().chain(words);
        lists.flatten().next().is_none().then(|| "it names no list, and would keep every URL".to_owned())
    }

    fn paths(&mut self) -> Vec<&mut String> {
        let lists = [&mut self.domains, &mut self.urls, &mut self.banned_words, &mut self.soft_banned_words];
        lists.into_iter().chain([&mut self.banned_subwords]).flatten().collect()
    }

    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        let mut subwords: Vec<String> = read_words(&self.banned_subwords)?.into_iter().collect();
        subwords.retain(|word| !word.is_empty()); // the original's search takes no empty word
        let malformed = |error: aho_corasick::BuildError| ListError::Malformed {
            path: self.banned_subwords.join(", "),
            line: subwords.len(),
            what: error.to_string(),
        };
        Ok(Box::new(OpenUrl {
            domains: LineSet::read(&self.domains)?,
            urls: LineSet::read(&self.urls)?,
            banned_words: read_words(&self.banned_words)?,
            soft_banned_words: read_words(&self.soft_banned_words)?,
            banned_subwords: AhoCorasick::new(&subwords).map_err(malformed)?,
            max_soft_banned_words: self.max_soft_banned_words,
        }))
    }
}

/// The words of lists, in lower case and without other characters than ASCII letters and digits.
fn read_words(paths: &[String]) -> Result<HashSet<String>, ListError> {
    let mut words = HashSet::new();
    for path in paths {
        words.extend(list::lines(&list::read(path)?).map(normalized));
    }
    Ok(words)
}

fn normalized(text: &str) -> String {
    let mut text = text.to_owned();
    text.retain(|c| c.is_ascii_alphanumeric());
    text.make_ascii_lowercase();
    text
}

/// The rule with its lists read.
struct OpenUrl {
    domains: LineSet,
    urls: LineSet,
    banned_words: HashSet<String>,
    soft_banned_words: HashSet<String>,
    banned_subwords: AhoCorasick,
    max_soft_banned_words: Limit,
}

impl Rule for OpenUrl {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        let none = Limit::at(0.0);
        let count = |name, doc| Measure::new(name, MeasureUnit::Count, doc);
        vec![
            count("listed_domain", "1 where the registrable domain is on a list")
                .max("", none, "domain", "domain"),
            count("listed_host", "1 where the host is on a list of domains")
                .max("", none, "host", "subdomain"),
            count("listed_url", "1 where the URL is on a list")
                .max("", none, "url", "url"),
            count("banned_words", "different words of the list that the URL has")
                .max("", none, "banned_word", "hard_blacklisted"),
            count("soft_banned_words", "different words of the soft list that the URL has")
                .max("max_soft_banned_words", self.max_soft_banned_words, "too_many_soft_banned_words", "soft_blacklisted"),
            count("banned_subwords", "different parts of words of the list that the URL has")
                .max("", none, "banned_subword", "blacklisted_subword"),
        ]
    }

    fn apply(&self, _: &Text<'_>, about: About<'_>) -> Findings {
        let url = about.url;
        let host = UrlHost::of(url);
        let is_listed = |domain: Option<&str>| self.domains.contains(domain.unwrap_or_default());
        let mut words: HashSet<&str> = url.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        // The original splits at runs of other characters, so that empty words are at the ends alone.
        if url.starts_with(|c: char| c.is_ascii_alphanumeric()) && url.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            words.remove("");
        }
        let count = |list: &HashSet<String>| words.iter().filter(|&&word| list.contains(word)).count();
        let normalized = normalized(url);
        let subwords: HashSet<_> =
            self.banned_subwords.find_overlapping_iter(&normalized).map(|found| found.pattern()).collect();
        let measures = [
            usize::from(is_listed(host.registrable_domain())),
            usize::from(is_listed(host.host())),
            usize::from(self.urls.contains(url)),
            count(&self.banned_words),
            count(&self.soft_banned_words),
            subwords.len(),
        ];
        Findings::of(measures.map(|measure| measure as f64).into())
    }
}
