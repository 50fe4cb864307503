//! Lines inside or beside a text that are certain not to be part of it, whatever the model makes of them: notices about
//! cookies, lines of dates and names under a title, "read more" links, invitations to newsletters, tables of contents,
//! and the notes of encyclopedias around an entry.
//!
//! Each rule needs two kinds of evidence (its words and its place, or its class and its words), and each was measured on
//! the annotated sets before it was kept (docs/log.md).

mod links;
mod marks;
mod phrases;

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use self::marks::{APPARATUS, CONTENTS, COOKIES, Marks, SIGN_UP, SIGNATURE};
use self::phrases::{
    ADVERTISEMENT_LABELS, AGREES, ASKS, ASKS_ABOUT_PAGE, BUTTONS, BY, CONTENTS_NAMES, COUNTED, EDITORS,
    LABELS_OF_WRITERS, MAIL, READ_MORE, STAMPS, STRONG_LABELS_OF_WRITERS, USES_COOKIES,
};
use crate::PageKind;
use crate::blocks::{Block, BlockKind, Blocks};
use crate::features::PageContext;
use crate::head::{Head, is_line_of_dates};
use crate::html::{Name, Tree, attribute, tag};

/// What a block is that is no part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Boilerplate {
    /// A notice about cookies.
    CookieNotice,
    /// When the text was published, and by whom.
    Dateline,
    /// A link to another text.
    ReadMore,
    /// An invitation to a newsletter.
    Newsletter,
    /// An entry of a table of contents, or its heading.
    Contents,
    /// References, and boxes around an entry of an encyclopedia.
    Apparatus,
    /// A list of links to other texts.
    LinkList,
    /// The name of the site as a heading above the page's title.
    SiteName,
    /// What stands where an advertisement is.
    Advertisement,
    /// What a board says of the writer of a post.
    Writer,
    /// What a writer puts below each post.
    Signature,
    /// How many liked, shared or answered.
    Count,
    /// Whether the page was of use.
    Question,
    /// What a button of a shop says, and whether there is any left.
    Button,
}

impl Boilerplate {
    /// A description for people.
    pub fn describe(self) -> &'static str {
        match self {
            Boilerplate::CookieNotice => "a notice about cookies",
            Boilerplate::Dateline => "date or author",
            Boilerplate::ReadMore => "a link to another text",
            Boilerplate::Newsletter => "an invitation to a newsletter",
            Boilerplate::Contents => "a table of contents",
            Boilerplate::Apparatus => "references or a box",
            Boilerplate::LinkList => "a list of links to other texts",
            Boilerplate::SiteName => "the name of the site",
            Boilerplate::Advertisement => "a label of an advertisement",
            Boilerplate::Writer => "about the writer of a post",
            Boilerplate::Signature => "a signature",
            Boilerplate::Button => "a button of a shop",
            Boilerplate::Count => "a count of likes or answers",
            Boilerplate::Question => "a question about the page",
        }
    }
}

/// Longest line of each kind, in words.
const MAX_DATELINE_WORDS: u32 = 16;
const MAX_READ_MORE_WORDS: u32 = 30;
const MAX_NEWSLETTER_WORDS: u32 = 40;
const MAX_NOTICE_WORDS: u32 = 90;
const MAX_LABEL_WORDS: u32 = 8;
const MAX_WRITER_WORDS: u32 = 40;
const MAX_SIGNATURE_WORDS: u32 = 80;
const MAX_BUTTON_WORDS: u32 = 5;
const MAX_COUNT_WORDS: u32 = 4;
const MAX_STAMP_WORDS: u32 = 10;
const MAX_QUESTION_WORDS: u32 = 24;
const MAX_EDITOR_BYTES: usize = 60;
/// Longest line of a name with a date, as boards and magazines have them.
const MAX_BYLINE_WORDS: u32 = 24;
/// Labels that make a line one about a writer.
const MIN_WRITER_LABELS: usize = 2;
/// Lines with one such label and its value that make all of them such lines.
const MIN_FACTS: usize = 3;
/// Answers to a question about the page, and the longest of them in words.
const MAX_ANSWERS: usize = 2;
const MAX_ANSWER_WORDS: u32 = 12;
/// Texts in elements for signatures that make all of them signatures; a single one may be a letter's.
const MIN_SIGNATURES: usize = 3;
/// Entries that make a table of contents; fewer under a heading that names it.
const MIN_CONTENTS: usize = 3;
const MIN_NAMED_CONTENTS: usize = 2;
/// A paragraph of this weight is running text.
const LONG_WEIGHT: f32 = 18.0;

/// Finds the boilerplate among the kept blocks of a page.
pub(crate) fn find(
    context: &PageContext,
    page: &Blocks,
    kind: PageKind,
    is_kept: impl Fn(usize) -> bool,
) -> Vec<Option<Boilerplate>> {
    let marks = Marks::new(context.tree(), page);
    let is_of_shop = matches!(kind, PageKind::Listing | PageKind::Product);
    let title = context.title_block();
    let said_in_title = title.map(|title| page.text_of(&page.blocks[title]).to_lowercase()).unwrap_or_default();
    let mut found: Vec<Option<Boilerplate>> = vec![None; page.blocks.len()];
    let zone = zone_under_title(page, title);
    let is_in_signature = |block: &&Block| marks.of[block.container as usize] & SIGNATURE != 0;
    let has_signatures = page.blocks.iter().filter(is_in_signature).count() >= MIN_SIGNATURES;
    let mut facts_about_writers = Vec::new();
    for (number, block) in page.blocks.iter().enumerate() {
        if title == Some(number) || !is_kept(number) {
            continue;
        }
        let line = Line::new(block, page.text_of(block), marks.of[block.container as usize]);
        if line.is_fact_about_writer() {
            facts_about_writers.push(number);
        }
        found[number] = if line.is_cookie_notice(&said_in_title) {
            Some(Boilerplate::CookieNotice)
        } else if title.is_some_and(|title| number < title) && is_site_name(context.head(), &line) {
            Some(Boilerplate::SiteName)
        } else if is_label_of_advertisement(&line) {
            Some(Boilerplate::Advertisement)
        } else if line.marks & APPARATUS != 0 {
            Some(Boilerplate::Apparatus)
        } else if zone.contains(&number) && line.is_dateline() || line.is_stamp() {
            Some(Boilerplate::Dateline)
        } else if line.is_read_more() {
            Some(Boilerplate::ReadMore)
        } else if line.is_newsletter(&said_in_title) {
            Some(Boilerplate::Newsletter)
        } else if line.is_about_writer() {
            Some(Boilerplate::Writer)
        } else if line.is_signature(has_signatures) {
            Some(Boilerplate::Signature)
        } else if kind != PageKind::Listing && line.is_count() {
            Some(Boilerplate::Count)
        } else if is_of_shop && line.is_button() {
            Some(Boilerplate::Button)
        } else if line.is_question_about_page() {
            Some(Boilerplate::Question)
        } else {
            None
        };
    }
    // One such line alone may be a fact about a ship.
    if facts_about_writers.len() >= MIN_FACTS {
        facts_about_writers.into_iter().for_each(|number| found[number] = Some(Boilerplate::Writer));
    }
    mark_answers_about_page(page, &mut found);
    mark_contents(context.tree(), page, &marks, &mut found);
    // The model has learned from English pages, and keeps lists of headlines and teasers in others. On English pages the
    // rule for lists would lose 0.0004 on wcxb-dev and newspaper4k, where lists of links are part of articles, and that
    // for teasers 0.0006 and 0.0005. The latter gains 0.0106 on daniel-dev's Russian pages.
    if !context.is_english() {
        links::mark(context, page, kind, is_kept, &mut found);
    }
    mark_headings_of_apparatus(page, &mut found);
    found
}

/// Whether a heading of the first level is what the page says of its site, and no part of its title.
fn is_site_name(head: &Head, line: &Line) -> bool {
    let name = line.lower.trim();
    let is_heading = matches!(line.block.kind, BlockKind::Heading(1)) && !name.is_empty();
    let is_in = |text: &Option<String>| text.as_ref().is_some_and(|text| text.to_lowercase().contains(name));
    is_heading && is_in(&head.site) && !is_in(&head.title)
}

/// Whether a line is nothing but the label that sites put above an advertisement.
fn is_label_of_advertisement(line: &Line) -> bool {
    let label = line.lower.trim_matches(|c: char| !c.is_alphanumeric());
    line.block.words <= MAX_LABEL_WORDS && ADVERTISEMENT_LABELS.contains(&label)
}

/// A block as the rules look at it.
struct Line<'a> {
    block: &'a Block,
    text: &'a str,
    /// In lower case; empty when it is too long for any rule.
    lower: String,
    /// What the containers around it say.
    marks: u8,
    said: Said,
}

impl<'a> Line<'a> {
    fn new(block: &'a Block, text: &'a str, marks: u8) -> Line<'a> {
        let lower = if block.words <= MAX_NOTICE_WORDS { text.to_lowercase() } else { String::new() };
        let said = Said::of(&lower);
        Line { block, text, lower, marks, said }
    }
}

/// Which groups of phrases occur in a text.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    uses_cookies: bool,
    agrees: bool,
    mail: bool,
}

impl Said {
    /// One pass over a text in lower case for all phrases.
    fn of(lower: &str) -> Said {
        const GROUPS: [&[&str]; 3] = [USES_COOKIES, AGREES, MAIL];
        static FIND: LazyLock<AhoCorasick> =
            LazyLock::new(|| AhoCorasick::new(GROUPS.concat()).expect("few and short phrases"));
        let mut said = Said::default();
        for phrase in FIND.find_overlapping_iter(lower).map(|found| found.pattern().as_usize()) {
            if phrase < USES_COOKIES.len() {
                said.uses_cookies = true;
            } else if phrase < USES_COOKIES.len() + AGREES.len() {
                said.agrees = true;
            } else {
                said.mail = true;
            }
        }
        said
    }
}

fn has_year(text: &str) -> bool {
    text.as_bytes().windows(4).any(|four| four.iter().all(u8::is_ascii_digit))
}

fn has_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}

fn begins_with_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.strip_prefix(phrase).is_some_and(|rest| !rest.starts_with(char::is_alphabetic)))
}

impl Line<'_> {
    fn is_cookie_notice(&self, title: &str) -> bool {
        if self.block.words > MAX_NOTICE_WORDS {
            return false;
        }
        let is_in_notice =
            || self.marks & COOKIES != 0 && (self.lower.contains("cookie") || self.block.weight < LONG_WEIGHT / 2.0);
        (self.said.uses_cookies && self.said.agrees || is_in_notice())
            && !has_any(title, &["cookie", "privacy", "gdpr"])
    }

    /// A line that has dates and labels of dates alone, or that begins with "by" and is no sentence.
    fn is_dateline(&self) -> bool {
        let is_line =
            !matches!(self.block.kind, BlockKind::Heading(_) | BlockKind::Cell { .. } | BlockKind::Preformatted);
        is_line && (self.block.words <= MAX_DATELINE_WORDS && is_line_of_dates(self.text) || self.is_byline())
    }

    /// A line that begins with "by" and is no sentence; a longer one has a date as well.
    fn is_byline(&self) -> bool {
        begins_with_any(&self.lower, BY)
            && !crate::blocks::ends_like_sentence(self.text)
            && (self.block.words <= MAX_DATELINE_WORDS || self.block.words <= MAX_BYLINE_WORDS && has_year(&self.lower))
    }

    /// What boards and editors put beside a post or below a text: `asked 4 years ago`, `（责任编辑：王小明）`.
    fn is_stamp(&self) -> bool {
        let is_line =
            !matches!(self.block.kind, BlockKind::Heading(_) | BlockKind::Cell { .. } | BlockKind::Preformatted);
        if !is_line || self.block.words > MAX_STAMP_WORDS {
            return false;
        }
        let lower = self.lower_from_letter();
        let stamped = STAMPS.iter().find_map(|stamp| lower.strip_prefix(stamp)?.strip_prefix(' '));
        let is_stamped = stamped.is_some_and(|rest| {
            let has_digit = rest.bytes().any(|byte| byte.is_ascii_digit());
            has_digit && (rest.ends_with(" ago") || rest.ends_with(" times") || is_line_of_dates(rest))
                || rest == "today"
        });
        is_stamped || self.lower.len() <= MAX_EDITOR_BYTES && EDITORS.iter().any(|editor| lower.starts_with(editor))
    }

    /// "Was this page helpful? Yes No".
    fn is_question_about_page(&self) -> bool {
        self.block.words <= MAX_QUESTION_WORDS
            && ASKS_ABOUT_PAGE.iter().any(|ask| self.lower_from_letter().starts_with(ask.trim_start_matches('¿')))
    }

    fn is_read_more(&self) -> bool {
        let is_line = !matches!(self.block.kind, BlockKind::Cell { .. } | BlockKind::Preformatted);
        if !is_line || self.block.words > MAX_READ_MORE_WORDS || self.block.link_density() < 0.4 {
            return false;
        }
        let lower = self.lower_from_letter();
        let rest =
            READ_MORE.iter().find_map(|phrase| lower.strip_prefix(phrase).map(|rest| (phrase, rest.trim_start())));
        rest.is_some_and(|(phrase, rest)| {
            // "Read more about tides." is a sentence of the text.
            let is_link =
                self.block.link_bytes as usize + 1 >= rest.len() && !crate::blocks::ends_like_sentence(self.text);
            let is_label = phrase.ends_with(':') || !rest.starts_with(char::is_alphanumeric) || is_link;
            is_label || self.block.link_density() >= 0.9 && !crate::blocks::ends_like_sentence(self.text)
        })
    }

    fn is_newsletter(&self, title: &str) -> bool {
        self.block.words <= MAX_NEWSLETTER_WORDS
            && self.said.mail
            && (self.marks & SIGN_UP != 0 || begins_with_any(self.lower_from_letter(), ASKS))
            && !has_any(title, &["newsletter", "subscri"])
    }

    /// `mora · Posts: 212 · Joined: May 2009`.
    fn is_about_writer(&self) -> bool {
        let is_code = self.block.kind == BlockKind::Preformatted;
        if is_code || self.block.words > MAX_WRITER_WORDS || crate::blocks::ends_like_sentence(self.text) {
            return false;
        }
        let is_label = |before: &str| {
            LABELS_OF_WRITERS
                .iter()
                .any(|label| before.strip_suffix(label).is_some_and(|before| !before.ends_with(char::is_alphanumeric)))
        };
        let colons = self.lower.match_indices([':', '：']);
        colons.filter(|(at, _)| is_label(self.lower[..*at].trim_end())).count() >= MIN_WRITER_LABELS
    }

    /// One such label with a number or a day, and nothing else.
    fn is_fact_about_writer(&self) -> bool {
        if self.block.words > MAX_STAMP_WORDS {
            return false;
        }
        let Some((label, value)) = self.lower.split_once([':', '：']) else { return false };
        let value = value.trim();
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit() || b",. ".contains(&byte));
        STRONG_LABELS_OF_WRITERS.contains(&label.trim()) && (is_number || is_line_of_dates(value))
    }

    /// A text in an element for it, if it begins with the dashes of one or is one of several.
    fn is_signature(&self, has_signatures: bool) -> bool {
        // The class `sig` of a term is that of a function's signature in manuals.
        let is_line = !matches!(self.block.kind, BlockKind::Term | BlockKind::Preformatted);
        let is_marked = is_line && self.marks & SIGNATURE != 0 && self.block.words <= MAX_SIGNATURE_WORDS;
        is_marked && (has_signatures || begins_with_any(self.text.trim(), &["--", "__", "—", "–", "~~", "=="]))
    }

    /// `Add to cart`, and nothing else.
    fn is_button(&self) -> bool {
        let is_line = !matches!(self.block.kind, BlockKind::Heading(_) | BlockKind::Cell { .. });
        is_line
            && self.block.words <= MAX_BUTTON_WORDS
            && BUTTONS.contains(&self.lower.trim_matches(|c: char| !c.is_alphabetic()))
    }

    /// A number and what it counts, and nothing else.
    fn is_count(&self) -> bool {
        let is_line = !matches!(self.block.kind, BlockKind::Heading(_) | BlockKind::Cell { .. });
        let counted = self.lower.trim_matches(|c: char| !c.is_alphabetic());
        is_line
            && self.block.words <= MAX_COUNT_WORDS
            && self.lower.bytes().any(|byte| byte.is_ascii_digit())
            && COUNTED.contains(&counted)
    }

    fn lower_from_letter(&self) -> &str {
        self.lower.trim_start_matches(|c: char| !c.is_alphabetic())
    }
}

/// The blocks between the title and the first running text.
fn zone_under_title(page: &Blocks, title: Option<usize>) -> std::ops::Range<usize> {
    let Some(title) = title else { return 0..0 };
    let long = page.blocks.iter().skip(title + 1).position(|block| block.weight >= LONG_WEIGHT);
    // A long line of names and dates counts as such a text.
    long.map_or(0..0, |long| title + 1..title + 2 + long)
}

/// Marks what stands behind a question about the page: its answers.
fn mark_answers_about_page(page: &Blocks, found: &mut [Option<Boilerplate>]) {
    for number in 1..found.len() {
        let block = &page.blocks[number];
        let is_short = block.words <= MAX_ANSWER_WORDS && !matches!(block.kind, BlockKind::Heading(_));
        let is_near = (1..=MAX_ANSWERS).any(|back| {
            number.checked_sub(back).is_some_and(|before| {
                found[before] == Some(Boilerplate::Question)
                    && page.text_of(&page.blocks[before]).trim_end().ends_with(['?', '？'])
            })
        });
        if is_short && is_near && found[number].is_none() && !crate::blocks::ends_like_sentence(page.text_of(block)) {
            found[number] = Some(Boilerplate::Question);
        }
    }
}

fn is_contents_name(text: &str) -> bool {
    let text = text.trim().trim_end_matches(':').to_lowercase();
    let text = text.strip_suffix("[hide]").or_else(|| text.strip_suffix("hide")).unwrap_or(&text).trim();
    CONTENTS_NAMES.contains(&text)
}

/// Marks runs of links within the page, with the heading above them.
fn mark_contents(tree: &Tree, page: &Blocks, marks: &Marks, found: &mut [Option<Boilerplate>]) {
    let mut start = 0;
    while start < page.blocks.len() {
        let is_entry = |block: &&Block| is_contents_entry(tree, block);
        let len = page.blocks[start..].iter().take_while(is_entry).count();
        if len == 0 {
            start += 1;
            continue;
        }
        let has_name = start > 0 && is_contents_name(page.text_of(&page.blocks[start - 1]));
        let is_marked = marks.of[page.blocks[start].container as usize] & CONTENTS != 0;
        let min = if has_name || is_marked { MIN_NAMED_CONTENTS } else { MIN_CONTENTS };
        // Without a name, only a list: links within the page may be the page's own short answers.
        if len >= min && (has_name || is_marked) {
            found[start..start + len].fill(Some(Boilerplate::Contents));
            if has_name {
                found[start - 1] = Some(Boilerplate::Contents);
            }
        }
        start += len;
    }
}

/// Whether a block is a link to a place on this page, and nothing else.
fn is_contents_entry(tree: &Tree, block: &Block) -> bool {
    if block.link_density() < 0.8 || matches!(block.kind, BlockKind::Heading(_) | BlockKind::Preformatted) {
        return false;
    }
    let mut at = block.first;
    for _ in 0..6 {
        if tree.name(at) == tag::A {
            return tree.raw_attribute(at, attribute::HREF).is_some_and(|href| href.starts_with('#') && href.len() > 1);
        }
        at = tree.node(at).parent;
        if tree.name(at) == Name::DOCUMENT {
            return false;
        }
    }
    false
}

/// A heading under which there are references alone goes with them.
fn mark_headings_of_apparatus(page: &Blocks, found: &mut [Option<Boilerplate>]) {
    for number in 1..found.len() {
        let is_heading = matches!(page.blocks[number - 1].kind, BlockKind::Heading(_));
        let begins = found[number] == Some(Boilerplate::Apparatus)
            && matches!(page.blocks[number].kind, BlockKind::ListItem { .. });
        if begins && is_heading {
            found[number - 1] = found[number];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_finds_what_each_phrase_alone_does() {
        for text in ["we use cookies, you agree", "your email and our cookie policy", "tides", "", "by clicking"] {
            let said = Said::of(text);
            assert_eq!(said.uses_cookies, has_any(text, USES_COOKIES), "{text}");
            assert_eq!(said.agrees, has_any(text, AGREES), "{text}");
            assert_eq!(said.mail, has_any(text, MAIL), "{text}");
        }
        for (group, phrases) in [USES_COOKIES, AGREES, MAIL].into_iter().enumerate() {
            for phrase in phrases {
                let said = Said::of(&format!("x{phrase}x"));
                assert!([said.uses_cookies, said.agrees, said.mail][group], "{phrase}");
            }
        }
    }
}
