use serde::{Deserialize, Serialize};

use super::Rule;
use crate::{About, Text};

/// Texts that are not Wikipedia's, nor copies of it: test sets are made of those. Measures: `domain`, `title`, `text`,
/// `generator`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wikipedia {}

/// How titles of its pages, and of most copies, end.
const TITLE_ENDINGS: [&str; 4] = ["- Wikipedia", "– Wikipedia", "— Wikipedia", "Wikipedia, the free encyclopedia"];
/// What stands below the title of its pages.
const TAGLINE: &str = "From Wikipedia, the free encyclopedia";
/// Characters of a text in which the tagline is looked for.
const HEAD_CHARS: usize = 600;

impl Rule for Wikipedia {
    fn judge(&self, text: &Text<'_>, about: About<'_>) -> Option<(&'static str, String)> {
        let text = text.as_str();
        if about.domain == "wikipedia.org" {
            return Some(("domain", "the domain is wikipedia.org".to_owned()));
        }
        let title = about.title.trim_end();
        if TITLE_ENDINGS.iter().any(|ending| title.ends_with(ending)) {
            return Some(("title", "the title says that it is Wikipedia's".to_owned()));
        }
        let head_end = text.char_indices().nth(HEAD_CHARS).map_or(text.len(), |(at, _)| at);
        if text[..head_end].contains(TAGLINE) {
            return Some(("text", format!("the text begins with {TAGLINE:?}")));
        }
        if about.generator.starts_with("MediaWiki") && text.contains("Wikipedia") {
            return Some(("generator", "a MediaWiki page that names Wikipedia".to_owned()));
        }
        None
    }
}
