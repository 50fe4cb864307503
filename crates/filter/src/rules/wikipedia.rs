use serde::{Deserialize, Serialize};

use super::{Findings, Rule, Settings};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;

/// Drops texts of Wikipedia and copies of them, because test sets are made from those.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wikipedia {}

/// Endings of the titles of its pages, and of most copies.
const TITLE_ENDINGS: [&str; 4] = ["- Wikipedia", "– Wikipedia", "— Wikipedia", "Wikipedia, the free encyclopedia"];
/// The line below the title of its pages.
const TAGLINE: &str = "From Wikipedia, the free encyclopedia";
/// Characters at the beginning of a text in which the tagline is looked for.
const HEAD_CHARS: usize = 600;

impl Settings for Wikipedia {
    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for Wikipedia {
    fn measures(&self) -> Vec<Measure> {
        let sign = |name, doc, fault| Measure::new(name, MeasureUnit::Count, doc).max("", Limit::at(0.0), fault, "");
        vec![
            sign("domain", "1 where the domain is wikipedia.org", "wikipedia_domain"),
            sign("title", "1 where the title says that it is Wikipedia's", "wikipedia_title"),
            sign("text", "1 where the text begins with Wikipedia's tagline", "wikipedia_text"),
            sign("generator", "1 where a MediaWiki page names Wikipedia", "wikipedia_generator"),
        ]
    }

    fn apply(&self, text: &Text<'_>, about: About<'_>) -> Findings {
        let text = text.as_str();
        let title = about.title.trim_end();
        let head_end = text.char_indices().nth(HEAD_CHARS).map_or(text.len(), |(at, _)| at);
        let names = || about.site.lines().filter(|line| *line != TAGLINE).chain([title]);
        let signs = [
            about.domain == "wikipedia.org",
            names().any(|name| TITLE_ENDINGS.iter().any(|ending| name.ends_with(ending))),
            text[..head_end].contains(TAGLINE) || about.site.contains(TAGLINE),
            about.generator.starts_with("MediaWiki")
                && [text, about.site].iter().any(|said| said.contains("Wikipedia")),
        ];
        Findings::of(signs.map(|sign| f64::from(u8::from(sign))).into())
    }
}
