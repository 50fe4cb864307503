//! The title of a page without the name of its site.

/// What may stand between a title and a site's name, spaces around it.
const SEPARATORS: [&str; 12] = [" | ", "｜", " – ", " — ", " - ", " · ", " • ", " :: ", " » ", " « ", " / ", " ‹ "];
/// Signs that part a headline from the names around it.
const SIGNS: [char; 14] = ['|', '-', '–', '—', '·', '•', ':', '：', '»', '«', '_', '｜', '/', '‹'];
/// Those behind a site's name that comes first.
const SIGNS_BEHIND_SITES: [char; 3] = [':', '：', '»'];
/// Least length of a heading that is looked for in the title, in words, or in characters of scripts without spaces.
const MIN_HEADING_WORDS: usize = 3;
const MIN_HEADING_CHARACTERS: usize = 5;
/// Longest name of a site, in words.
const MAX_SITE_WORDS: usize = 6;

/// What a page says of its title, best first, and the names of its site.
#[derive(Debug, Default)]
pub(super) struct TitleSources {
    /// Values of meta tags.
    pub(super) declared: Vec<String>,
    pub(super) title: Option<String>,
    pub(super) headline: Option<String>,
    /// The page's headings of the first level, in order.
    pub(super) headings: Vec<String>,
    /// Those of the second and third.
    pub(super) lower_headings: Vec<String>,
    pub(super) site_names: Vec<String>,
    /// What MediaWiki has below the title.
    pub(super) tagline: Option<String>,
}

impl TitleSources {
    /// The title: the first source that is more than the site's name.
    pub(super) fn choose(&self) -> Option<String> {
        let heading = (self.headings.len() == 1).then(|| self.headings[0].clone());
        let sources = self.declared.iter().chain(&self.title);
        let named = sources.map(|title| self.without_site(title)).find(|title| !self.is_site(title));
        let written = [heading, self.headline.clone()].into_iter().flatten().find(|title| !self.is_site(title));
        // With nothing but the site's name, the page is the site's first, or its title was forgotten.
        named.or(written).or_else(|| self.declared.first().or(self.title.as_ref()).cloned())
    }

    /// What the page says of its site, a line each, beside the title that was chosen.
    pub(super) fn site(&self, title: Option<&str>) -> Option<String> {
        let whole = self.title.as_deref().filter(|whole| Some(*whole) != title);
        let names = self.site_names.iter().map(String::as_str);
        let mut lines: Vec<&str> = whole.into_iter().chain(names).chain(self.tagline.as_deref()).collect();
        lines.sort_unstable();
        lines.dedup();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn is_site(&self, title: &str) -> bool {
        let title = folded(title);
        title.is_empty() || self.site_names.iter().any(|name| folded(name) == title) || self.is_name_alone(&title)
    }

    /// Whether a `<title>` that the page's one heading does not repeat is the site's name: it is all that the page has
    /// as a title, and stands in no heading.
    fn is_name_alone(&self, title: &str) -> bool {
        let Some(heading) = (self.headings.len() == 1).then(|| folded(&self.headings[0])) else { return false };
        if self.lower_headings.iter().any(|lower| folded(lower) == title) {
            return false;
        }
        let has_shared_word =
            heading.split(' ').any(|word| word.chars().count() > 3 && title.split(' ').any(|other| other == word));
        let says_nothing_else = self.declared.iter().all(|declared| folded(declared) == title);
        says_nothing_else
            && title.split(' ').count() <= MAX_SITE_WORDS
            && heading.split(' ').count() >= 3
            && !has_shared_word
    }

    fn without_site(&self, title: &str) -> String {
        if let Some(heading) = self.heading_within(title) {
            return heading.to_owned();
        }
        for separator in SEPARATORS {
            let Some((before, last)) = title.rsplit_once(separator) else { continue };
            let (first, after) = title.split_once(separator).unwrap_or((before, last));
            if self.is_part_of_site(last, separator) && !before.trim().is_empty() {
                return self.without_site(before.trim());
            }
            if self.site_names.iter().any(|name| folded(name) == folded(first)) && !after.trim().is_empty() {
                return after.trim().to_owned();
            }
        }
        title.trim().to_owned()
    }

    /// The part of a title that stands in the page as a heading, if a sign parts it from a short rest that does not: sites
    /// write their names, and those of their sections, before a headline or behind it.
    fn heading_within<'t>(&self, title: &'t str) -> Option<&'t str> {
        let headings = || self.headings.iter().chain(&self.lower_headings);
        let is_site = |rest: &str, is_behind: bool| {
            let sign = if is_behind { rest.trim_start().chars().next() } else { rest.trim_end().chars().next_back() };
            let rest = folded(rest);
            // Where both parts are headings, the site's name comes first before a colon, and last behind other signs.
            let is_named_first = sign.is_some_and(|sign| SIGNS_BEHIND_SITES.contains(&sign));
            let is_heading = headings().any(|other| folded(other) == rest);
            let is_part = headings().any(|other| other.len() > rest.len() + 1 && folded(other).contains(&rest));
            let may_be = if is_heading { is_behind != is_named_first } else { !is_part };
            rest.split(' ').count() <= MAX_SITE_WORDS && may_be
        };
        let within = |heading: &&String| {
            let heading = heading.trim();
            let is_long = heading.split_whitespace().count() >= MIN_HEADING_WORDS
                || heading.chars().filter(|c| words::is_unspaced(*c)).count() >= MIN_HEADING_CHARACTERS;
            if !is_long || heading.len() >= title.len() {
                return None;
            }
            let behind = title.strip_prefix(heading).filter(|rest| rest.trim_start().starts_with(SIGNS));
            let before = title.strip_suffix(heading).filter(|rest| rest.trim_end().ends_with(SIGNS));
            let rest = behind.or(before).filter(|rest| is_site(rest, behind.is_some()))?;
            Some(if behind.is_some() { &title[..title.len() - rest.len()] } else { &title[rest.len()..] })
        };
        headings().collect::<Vec<_>>().iter().find_map(within)
    }

    /// Whether the last part of a title names the site: it is one of its names, or the page has the title without it as
    /// a heading. A bar parts nothing else.
    fn is_part_of_site(&self, last: &str, separator: &str) -> bool {
        let part = folded(last);
        let is_short = part.split(' ').count() <= MAX_SITE_WORDS;
        let is_named = self.site_names.iter().any(|name| folded(name) == part);
        let is_in_heading = self.headings.iter().any(|heading| folded(heading).contains(&part));
        let ends_heading = |title: &str| {
            let before = title.rsplit_once(separator).map(|(before, _)| folded(before));
            before.is_some_and(|before| self.headings.iter().any(|heading| folded(heading) == before))
        };
        is_named
            || is_short && matches!(separator, " | " | "｜") && !is_in_heading
            || is_short
                && self.declared.iter().chain(&self.title).any(|title| title.ends_with(last) && ends_heading(title))
    }
}

/// Lower case, words parted by single spaces, no marks.
fn folded(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(title: &str, headings: &[&str], sites: &[&str], expected: &str) {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let sources = TitleSources {
            title: Some(title.to_owned()),
            headings: owned(headings),
            site_names: owned(sites),
            ..TitleSources::default()
        };
        assert_eq!(sources.choose().as_deref(), Some(expected), "{title}");
    }

    #[test]
    fn sites_are_left_out() {
        check("Of tides | The Reef", &[], &[], "Of tides");
        check("Of tides - The Reef", &["Of tides"], &[], "Of tides");
        check("Of tides – The Reef", &[], &["The Reef"], "Of tides");
        check("The Reef » Of tides", &[], &["the reef"], "Of tides");
        check("Of tides | News | The Reef", &[], &[], "Of tides");
        check("The Reef", &["Of the tides in spring"], &[], "Of the tides in spring");
        check("The Reef", &["Of the tides"], &["The Reef"], "Of the tides");
        check("The Reef: Of the tides", &["Of the tides"], &[], "Of the tides");
        check("Of the tides - Harbour - The Reef", &["Of the tides"], &[], "Of the tides");
        check("港口的旧钟修好了_财经_环球网", &["港口的旧钟修好了"], &[], "港口的旧钟修好了");
        check("港の時計が直された｜潮新聞", &["港の時計が直された"], &[], "港の時計が直された");
        check("島の灯台｜北の通信", &["島の灯台"], &[], "島の灯台");
        check("島の灯台｜北の通信", &[], &[], "島の灯台");
    }

    #[test]
    fn a_headline_of_a_lower_level_is_the_title() {
        let sources = TitleSources {
            title: Some("Seth's Own Blog: Two deadlines".to_owned()),
            headings: vec!["Seth's Own Blog".to_owned()],
            lower_headings: vec!["Links".to_owned(), "Two deadlines".to_owned()],
            ..TitleSources::default()
        };
        assert_eq!(sources.choose().as_deref(), Some("Seth's Own Blog: Two deadlines"));
        let sources = TitleSources {
            title: Some("Closed today - Coldharbour Parish Council".to_owned()),
            headings: vec!["Closed today".to_owned()],
            lower_headings: vec!["Coldharbour Parish Council".to_owned()],
            ..sources
        };
        assert_eq!(sources.choose().as_deref(), Some("Closed today"));
        let headline = "Two deadlines, and a read";
        let sources = TitleSources {
            title: Some(format!("Seth's Own Blog: {headline}")),
            headings: vec!["Seth's Own Blog".to_owned()],
            lower_headings: vec![headline.to_owned()],
            ..sources
        };
        assert_eq!(sources.choose().as_deref(), Some(headline));
    }

    #[test]
    fn parts_of_titles_stay() {
        check("Tides - a guide", &["Tides - a guide"], &[], "Tides - a guide");
        check("Sea | Shore", &["Sea | Shore"], &[], "Sea | Shore");
        check(
            "Of the tides: why they turn",
            &["Of the tides", "Of the tides: why they turn"],
            &[],
            "Of the tides: why they turn",
        );
        check("Of tides", &["Of tides, and of the moon that draws them"], &[], "Of tides");
        check("The Reef", &[], &["The Reef"], "The Reef");
    }
}
