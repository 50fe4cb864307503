//! The metadata of a page outside its text: title, author, date, language, address, opt-outs.

use crate::html::{AttributeName, Name, NameSet, NodeId, ROOT, Tree, attribute, tag, tags};

/// The metadata; `None` for what the page does not give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `og:title`, else the `<title>`.
    pub title: Option<String>,
    /// A meta tag, `rel=author` or the author in the page's linked data.
    pub author: Option<String>,
    /// Day of publication as `YYYY-MM-DD`: a meta tag, linked data, or a `<time>` that is marked as such.
    pub date: Option<String>,
    /// The `lang` attribute of `<html>`.
    pub language: Option<String>,
    /// `<link rel="canonical">`, else `og:url`.
    pub canonical_url: Option<String>,
    /// `<meta name="generator">`.
    pub generator: Option<String>,
    /// Whether the page asks not to be used for training: `noai` or `noimageai` in a robots meta tag, or
    /// `tdm-reservation` of 1.
    pub opted_out: bool,
    /// What kind of page it declares itself to be: 0 nothing, 1 article, 2 product, 3 forum or questions,
    /// 4 web site, 5 list, 6 frequently asked questions, 7 other.
    pub declared_kind: u8,
}

/// Longest linked data that is read, in bytes.
const MAX_LINKED_DATA_BYTES: usize = 1 << 18;

const LOOKED_AT: NameSet = tags![HTML TITLE LINK META SCRIPT TIME A SPAN ABBR];

/// Reads a page's head, and the few elements in its body with the same information. One pass over the nodes.
pub fn head(tree: &Tree) -> Head {
    let mut reader = Reader { tree, head: Head::default(), found: Found::default() };
    for id in ROOT..tree.node_count() as NodeId {
        if LOOKED_AT.has(tree.name(id)) {
            reader.element(id, tree.name(id));
        }
    }
    reader.finish()
}

/// Values of one property from several sources, the best source first.
#[derive(Default)]
struct Found {
    titles: [Option<String>; 3],
    authors: [Option<String>; 3],
    dates: [Option<String>; 3],
    addresses: [Option<String>; 2],
}

struct Reader<'a> {
    tree: &'a Tree<'a>,
    head: Head,
    found: Found,
}

impl Reader<'_> {
    fn element(&mut self, id: NodeId, name: Name) {
        match name {
            tag::HTML => {
                let language = self.attribute(id, attribute::LANG).or_else(|| self.attribute(id, attribute::XML_LANG));
                set(&mut self.head.language, language);
            }
            tag::TITLE => {
                let texts = self.tree.children(id).map(|child| self.tree.text(child));
                set(&mut self.found.titles[1], clean(&texts.collect::<String>()));
            }
            tag::LINK => self.link(id),
            tag::META => self.meta(id),
            tag::SCRIPT => self.script(id),
            _ => self.mark(id, name),
        }
    }

    fn attribute(&self, id: NodeId, name: AttributeName) -> Option<String> {
        self.tree.attribute(id, name).and_then(|value| clean(&value))
    }

    fn link(&mut self, id: NodeId) {
        let rel = self.tree.raw_attribute(id, attribute::REL).unwrap_or("");
        if rel.eq_ignore_ascii_case("canonical") {
            let address = self.attribute(id, attribute::HREF);
            set(&mut self.found.addresses[0], address);
        }
    }

    fn meta(&mut self, id: NodeId) {
        let labels = [attribute::PROPERTY, attribute::NAME, attribute::ITEMPROP];
        let Some(label) = labels.into_iter().find_map(|name| self.tree.raw_attribute(id, name)) else { return };
        let label = label.trim().to_ascii_lowercase();
        let Some(content) = self.attribute(id, attribute::CONTENT) else { return };
        match label.as_str() {
            "og:title" => set(&mut self.found.titles[0], Some(content)),
            "twitter:title" | "dc.title" => set(&mut self.found.titles[2], Some(content)),
            "og:url" => set(&mut self.found.addresses[1], Some(content)),
            "og:type" => self.declare(&content),
            "generator" => set(&mut self.head.generator, Some(content)),
            "author" | "dc.creator" | "dcterms.creator" | "citation_author" | "parsely-author" | "sailthru.author"
            | "article:author" | "byl"
                // Some pages give the address of a profile instead of a name.
                if !content.starts_with("http") =>
            {
                set(&mut self.found.authors[0], Some(without_by(&content)));
            }
            "article:published_time"
            | "datepublished"
            | "date"
            | "dc.date"
            | "dc.date.issued"
            | "dcterms.created"
            | "dcterms.date"
            | "pubdate"
            | "publishdate"
            | "publish-date"
            | "parsely-pub-date"
            | "sailthru.date"
            | "citation_publication_date"
            | "og:published_time"
            | "date_published" => {
                set(&mut self.found.dates[0], day(&content));
            }
            "robots" | "googlebot" => {
                let content = content.to_ascii_lowercase();
                self.head.opted_out |= content.split(',').any(|word| matches!(word.trim(), "noai" | "noimageai"));
            }
            "tdm-reservation" => self.head.opted_out |= content == "1",
            _ => {}
        }
    }

    fn declare(&mut self, kind: &str) {
        let lower = kind.to_ascii_lowercase();
        let declared = match lower.as_str() {
            kind if kind.contains("article")
                || kind.contains("posting") && !kind.contains("job") && !kind.contains("forum") =>
            {
                1
            }
            kind if kind.contains("product") => 2,
            kind if kind.contains("forum") || kind.contains("qapage") || kind.contains("question") => 3,
            "website" | "webpage" | "blog" => 4,
            kind if kind.contains("list") || kind.contains("collection") => 5,
            "faqpage" => 6,
            _ => 7,
        };
        // The most specific one is kept.
        let rank = |kind: u8| match kind {
            0 => 0,
            7 => 1,
            4 => 2,
            5 => 3,
            6 => 4,
            _ => 5,
        };
        if rank(declared) > rank(self.head.declared_kind) {
            self.head.declared_kind = declared;
        }
    }

    /// Linked data, searched for three keys without a parser, since much of it is not valid JSON.
    fn script(&mut self, id: NodeId) {
        let kind = self.tree.raw_attribute(id, attribute::TYPE).unwrap_or("");
        if !kind.trim().eq_ignore_ascii_case("application/ld+json") {
            return;
        }
        let texts = self.tree.children(id).map(|child| self.tree.text(child)).next().unwrap_or("");
        if texts.len() > MAX_LINKED_DATA_BYTES {
            return;
        }
        if let Some(date) = json_string_after(texts, "\"datePublished\"") {
            set(&mut self.found.dates[1], day(&date));
        }
        if let Some(at) = texts.find("\"author\"")
            && let Some(name) = json_string_after(head_of(&texts[at..], 400), "\"name\"")
        {
            set(&mut self.found.authors[1], clean(&name));
        }
        for kind in ["Article", "BlogPosting", "Product", "QAPage", "DiscussionForumPosting", "FAQPage", "ItemList"] {
            if texts.contains(&format!("{kind}\"")) && texts.contains("\"@type\"") {
                self.declare(kind);
            }
        }
    }

    /// Metadata in the body.
    fn mark(&mut self, id: NodeId, name: Name) {
        let itemprop = self.tree.raw_attribute(id, attribute::ITEMPROP).unwrap_or("");
        if itemprop.eq_ignore_ascii_case("datePublished") || name == tag::TIME {
            let is_marked = itemprop.eq_ignore_ascii_case("datePublished")
                || self.tree.raw_attribute(id, attribute::CLASS).is_some_and(|class| class.contains("publish"));
            let date = self.attribute(id, attribute::DATETIME).or_else(|| self.attribute(id, attribute::CONTENT));
            if is_marked && let Some(date) = date {
                set(&mut self.found.dates[2], day(&date));
            }
        }
        let rel = if name == tag::A { self.tree.raw_attribute(id, attribute::REL).unwrap_or("") } else { "" };
        if rel.split(' ').any(|word| word == "author") || itemprop.eq_ignore_ascii_case("author") {
            let texts = self.tree.preorder(id).map(|below| self.tree.text(below));
            let text = clean(&texts.collect::<String>()).filter(|text| text.len() < 80);
            set(&mut self.found.authors[2], text.map(|text| without_by(&text)));
        }
    }

    fn finish(self) -> Head {
        let mut head = self.head;
        let first = |options: &mut dyn Iterator<Item = Option<String>>| options.flatten().next();
        head.title = first(&mut self.found.titles.into_iter());
        head.author = first(&mut self.found.authors.into_iter());
        head.date = first(&mut self.found.dates.into_iter());
        head.canonical_url = first(&mut self.found.addresses.into_iter());
        head
    }
}

fn set(slot: &mut Option<String>, value: Option<String>) {
    if slot.is_none() {
        *slot = value;
    }
}

fn head_of(text: &str, len: usize) -> &str {
    let mut end = len.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn clean(text: &str) -> Option<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

fn without_by(name: &str) -> String {
    let is_by = name.get(..3).is_some_and(|by| by.eq_ignore_ascii_case("by "));
    if is_by { name[3..].trim().to_owned() } else { name.to_owned() }
}

/// The string after a key, its simple escapes undone.
fn json_string_after(text: &str, key: &str) -> Option<String> {
    let rest = text[text.find(key)? + key.len()..].trim_start().strip_prefix(':')?.trim_start();
    let rest = rest.strip_prefix('"')?;
    let mut end = 0;
    let bytes = rest.as_bytes();
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    let raw = rest.get(..end)?;
    Some(raw.replace("\\/", "/").replace("\\\"", "\"").replace("\\n", " "))
}

/// The day at the beginning of a date, if there is one: `2024-05-31T10:00Z`, `20240531`, `2024/5/31`.
fn day(text: &str) -> Option<String> {
    let digits: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).take(3).collect();
    let (year, month, day) = match digits.as_slice() {
        [all, ..] if all.len() == 8 => (&all[..4], &all[4..6], &all[6..]),
        [year, month, day] if year.len() == 4 && text.trim_start().starts_with(year) => (*year, *month, *day),
        _ => return None,
    };
    let (year, month, day): (u32, u32, u32) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let is_day = (1980..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_day.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::{ParseOptions, parse};

    fn check(html: &str) -> Head {
        head(&parse(html, ParseOptions { max_nodes: 10_000, max_depth: 100, scripting: true }).unwrap())
    }

    #[test]
    fn heads() {
        let head = check(
            "<html lang=en><title> A\n b | Site</title><meta property=og:title content='A b'><link rel=canonical href=/x>
            <meta name=author content='By Ann Oyster'><meta name=robots content='noindex, NoAI'>
            <meta property=article:published_time content=2024-05-31T10:00:00Z><meta property=og:type content=article>",
        );
        assert_eq!(head.title.as_deref(), Some("A b"));
        assert_eq!(head.author.as_deref(), Some("Ann Oyster"));
        assert_eq!(head.date.as_deref(), Some("2024-05-31"));
        assert_eq!(head.canonical_url.as_deref(), Some("/x"));
        assert_eq!((head.language.as_deref(), head.opted_out, head.declared_kind), (Some("en"), true, 1));
    }

    #[test]
    fn linked_data_and_marks() {
        let head = check(
            r#"<script type="application/ld+json">{"@type":"NewsArticle","author":[{"@type":"Person","name":"Bo \"B\" Reed"}],
            "datePublished": "20231201",}</script>"#,
        );
        assert_eq!(
            (head.author.as_deref(), head.date.as_deref(), head.declared_kind),
            (Some("Bo \"B\" Reed"), Some("2023-12-01"), 1)
        );
        let head = check("<p><a rel=author href=/a>Cy Dee</a> <time itemprop=datePublished datetime=2020-01-02>");
        assert_eq!((head.author.as_deref(), head.date.as_deref()), (Some("Cy Dee"), Some("2020-01-02")));
    }

    #[test]
    fn days() {
        assert_eq!(day("2024/5/3 10:11"), Some("2024-05-03".to_owned()));
        assert_eq!(day("3 May 2024"), None);
        assert_eq!(day("2024-13-01"), None);
    }
}
