//! The metadata of a page outside its text: title, author, date, language, address, opt-outs.

mod dates;
mod linked_data;
mod marks;
mod title;

use crate::blocks::white_space::without_invisible;
use crate::html::{AttributeName, Name, NameSet, NodeId, ROOT, Tree, attribute, tag, tags};
use dates::{Order, day};
use linked_data::LinkedData;
use title::TitleSources;

pub(crate) use marks::is_line_of_dates;

/// The metadata; `None` for what the page does not give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `og:title`, else the `<title>`, without the site's name; the page's heading where they are only that name.
    pub title: Option<String>,
    /// What the page says of its site, a line each: the whole `<title>` where `title` leaves a part of it out, the names
    /// of the site, and what stands below the titles of wikis.
    pub site: Option<String>,
    /// All authors: of meta tags, of the page's linked data, else of marked elements or a line that begins with "by".
    /// Neither the publisher nor the site.
    pub authors: Vec<String>,
    /// Day of publication as `YYYY-MM-DD`: a meta tag, linked data, a `<time>`, or a line that holds a date.
    pub date: Option<String>,
    /// The `lang` attribute of `<html>`.
    pub language: Option<String>,
    /// `<link rel="canonical">`, else `og:url`.
    pub canonical_url: Option<String>,
    /// `<meta name="generator">`.
    pub generator: Option<String>,
    /// Whether the page asks not to be used for training: `noai` in a robots meta tag, or `tdm-reservation` of 1.
    /// `noimageai` is about images alone.
    pub opted_out: bool,
    /// What kind of page it declares itself to be: 0 nothing, 1 article, 2 product, 3 forum or questions,
    /// 4 web site, 5 list, 6 frequently asked questions, 7 other.
    pub declared_kind: u8,
    /// The text in the page's linked data (`articleBody`), as written there.
    pub article_body: Option<String>,
}

/// Longest linked data that is read, in bytes.
const MAX_LINKED_DATA_BYTES: usize = 1 << 18;

const LOOKED_AT: NameSet = tags![HTML TITLE LINK META SCRIPT TIME A SPAN ABBR DIV P H1 H2 H3];
/// First headings that are read.
const MAX_HEADINGS: usize = 4;
/// Headings of the next levels that are read.
const MAX_LOWER_HEADINGS: usize = 12;
/// Nodes that are looked at below a marked author.
const MAX_NODES_OF_AUTHOR: usize = 12;
/// Longest heading that may be a title, in bytes.
const MAX_HEADING_BYTES: usize = 300;

/// Reads a page's head, and the few elements in its body with the same information. One pass over the nodes; a second
/// one where date or authors are not marked.
pub fn head(tree: &Tree) -> Head {
    let mut reader = Reader {
        tree,
        head: Head::default(),
        found: Found::default(),
        titles: TitleSources::default(),
        scripts: Vec::new(),
    };
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
    authors: [Vec<String>; 2],
    dates: [Option<String>; 2],
    addresses: [Option<String>; 2],
    /// The element around the first marked author.
    line_of_authors: Option<NodeId>,
}

struct Reader<'a> {
    tree: &'a Tree<'a>,
    head: Head,
    found: Found,
    titles: TitleSources,
    scripts: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn element(&mut self, id: NodeId, name: Name) {
        match name {
            tag::HTML => {
                let language = self.attribute(id, attribute::LANG).or_else(|| self.attribute(id, attribute::XML_LANG));
                set(&mut self.head.language, language);
            }
            tag::TITLE => {
                let texts = self.tree.children(id).map(|child| self.tree.text(child));
                set(&mut self.titles.title, clean(&texts.collect::<String>()));
            }
            tag::H1 if self.titles.headings.len() < MAX_HEADINGS => {
                let heading = clean(&self.tree.text_below(id)).filter(|text| text.len() <= MAX_HEADING_BYTES);
                self.titles.headings.extend(heading);
            }
            tag::H2 | tag::H3 if self.titles.lower_headings.len() < MAX_LOWER_HEADINGS => {
                let heading = clean(&self.tree.text_below(id)).filter(|text| text.len() <= MAX_HEADING_BYTES);
                self.titles.lower_headings.extend(heading);
            }
            tag::DIV if self.tree.raw_attribute(id, attribute::ID) == Some("siteSub") => {
                self.titles.tagline = clean(&self.tree.text_below(id));
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
            "og:title" => self.titles.declared.insert(0, content),
            "twitter:title" | "dc.title" | "citation_title" => self.titles.declared.push(content),
            "og:site_name" | "application-name" | "publisher" | "dc.publisher" => self.titles.site_names.push(content),
            "og:url" => set(&mut self.found.addresses[1], Some(content)),
            "og:type" => self.declare(&content),
            "generator" => set(&mut self.head.generator, Some(content)),
            "author" | "dc.creator" | "dcterms.creator" | "citation_author" | "parsely-author" | "sailthru.author"
            | "article:author" | "byl" | "authors" | "article.author" => {
                self.found.authors[0].extend(marks::names(&content));
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
            | "date_published"
            | "publication_date"
            | "citation_date"
            | "citation_online_date"
            | "article.published"
            | "dc.date.created"
            | "dcterms.issued"
            | "originalpublicationdate"
            | "article_date_original"
            | "cxenseparse:recs:publishtime" => {
                set(&mut self.found.dates[0], day(&content, Order::MonthFirst));
            }
            "robots" | "googlebot" => {
                let content = content.to_ascii_lowercase();
                self.head.opted_out |= content.split(',').any(|word| word.trim() == "noai");
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

    /// Linked data is read when all of the page is known.
    fn script(&mut self, id: NodeId) {
        let kind = self.tree.raw_attribute(id, attribute::TYPE).unwrap_or("");
        if !kind.trim().to_ascii_lowercase().starts_with("application/ld+json") {
            return;
        }
        let tree = self.tree;
        let text = tree.children(id).map(|child| tree.text(child)).next().unwrap_or("");
        if text.len() <= MAX_LINKED_DATA_BYTES {
            self.scripts.push(text);
        }
    }

    /// Metadata in the body.
    fn mark(&mut self, id: NodeId, name: Name) {
        let itemprop = self.tree.raw_attribute(id, attribute::ITEMPROP).unwrap_or("");
        if itemprop.eq_ignore_ascii_case("datePublished") || name == tag::TIME {
            let class = self.tree.raw_attribute(id, attribute::CLASS);
            let is_marked = itemprop.eq_ignore_ascii_case("datePublished")
                || class.is_some_and(|class| class.contains("publish") || class.contains("pubdate"));
            let date = self.attribute(id, attribute::DATETIME).or_else(|| self.attribute(id, attribute::CONTENT));
            if is_marked && self.found.dates[1].is_none() {
                let date = date.or_else(|| clean(&self.tree.text_below(id)));
                self.found.dates[1] = date.and_then(|date| day(&date, self.order()));
            }
        }
        let rel = if name == tag::A { self.tree.raw_attribute(id, attribute::REL).unwrap_or("") } else { "" };
        if rel.split(' ').any(|word| word == "author") || itemprop.eq_ignore_ascii_case("author") {
            self.marked_author(id);
        }
    }

    /// The author in a marked element: what it marks as a name, or all of its text. Further ones count beside the first;
    /// elsewhere they are of other texts.
    fn marked_author(&mut self, id: NodeId) {
        let tree = self.tree;
        let parent = |id: NodeId| if id == ROOT { ROOT } else { tree.node(id).parent };
        let line = parent(parent(id));
        if marks::is_outside(tree, id) || self.found.line_of_authors.is_some_and(|first| first != line) {
            return;
        }
        let is_name = |node: &NodeId| {
            let itemprop = tree.raw_attribute(*node, attribute::ITEMPROP);
            itemprop.is_some_and(|itemprop| itemprop.eq_ignore_ascii_case("name"))
        };
        let named = tree.preorder(id).skip(1).take(MAX_NODES_OF_AUTHOR).find(is_name);
        let content = named.and_then(|node| self.attribute(node, attribute::CONTENT));
        let text = content.or_else(|| clean(&marks::line_below(tree, named.unwrap_or(id))));
        let names: Vec<String> =
            text.iter().filter(|text| text.len() < 80).flat_map(|text| marks::names(text)).collect();
        if !names.is_empty() {
            self.found.line_of_authors = Some(line);
            self.found.authors[1].extend(names);
        }
    }

    /// In the United States, the month comes first.
    fn order(&self) -> Order {
        match self.head.language.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("en-us" | "en_us") => Order::MonthFirst,
            _ => Order::DayFirst,
        }
    }

    fn finish(mut self) -> Head {
        let titles = &self.titles;
        let declared_title = titles.declared.first().or(titles.title.as_ref()).cloned();
        let data = linked_data::read(&self.scripts, declared_title.as_deref());
        for kind in &data.types {
            self.declare(kind);
        }
        let order = self.order();
        self.titles.site_names.extend(data.site_names.iter().cloned());
        self.titles.headline = data.headline.clone();
        let mut head = self.head;
        head.title = self.titles.choose();
        head.site = self.titles.site(head.title.as_deref());
        let [declared, marked] = &mut self.found.dates;
        let of_data = data.date.as_deref().and_then(|date| day(date, Order::MonthFirst));
        head.date = declared.take().or(of_data).or(marked.take()).or_else(|| marks::visible_date(self.tree, order));
        head.authors = authors(self.tree, self.found.authors, &data, &self.titles.site_names);
        head.canonical_url = self.found.addresses.into_iter().flatten().next();
        head.article_body = data.body;
        head
    }
}

/// The authors of the best source that names any, each once, without the names of the site.
fn authors(tree: &Tree, [declared, marked]: [Vec<String>; 2], data: &LinkedData, site_names: &[String]) -> Vec<String> {
    let is_site = |name: &String| site_names.iter().any(|site| site.eq_ignore_ascii_case(name));
    let persons = |names: &[String]| {
        let mut persons: Vec<String> = Vec::new();
        for name in names.iter().filter(|name| !is_site(name)) {
            if !persons.iter().any(|person| person.eq_ignore_ascii_case(name)) {
                persons.push(name.clone());
            }
        }
        persons
    };
    // Whichever names more: tags often have the first author alone.
    let (declared, of_data) = (persons(&declared), persons(&data.authors));
    let best = if of_data.len() > declared.len() { of_data } else { declared };
    let best = if best.is_empty() { persons(&marked) } else { best };
    if best.is_empty() { persons(&marks::visible_authors(tree)) } else { best }
}

fn set(slot: &mut Option<String>, value: Option<String>) {
    if slot.is_none() {
        *slot = value;
    }
}

fn clean(text: &str) -> Option<String> {
    let text = without_invisible(text).split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
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
        assert_eq!(head.authors, ["Ann Oyster"]);
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
            (&head.authors[..], head.date.as_deref(), head.declared_kind),
            (&["Bo \"B\" Reed".to_owned()][..], Some("2023-12-01"), 1)
        );
        let head = check("<p><a rel=author href=/a>Cy Dee</a> <time itemprop=datePublished datetime=2020-01-02>");
        assert_eq!((&head.authors[..], head.date.as_deref()), (&["Cy Dee".to_owned()][..], Some("2020-01-02")));
    }

    #[test]
    fn what_is_not_marked() {
        let head = check(
            "<nav><time>1 May 2001</time></nav><article><h1>Tides</h1><time datetime=2017-11-27>27/11/2017</time><p>x",
        );
        assert_eq!(head.date.as_deref(), Some("2017-11-27"));
        let head = check(
            "<article><h1>Of tides</h1><p class=byline>By Ann Oyster and Bo Reed | Updated 5 May 2019, published 3 May 2019<p>x",
        );
        assert_eq!((head.authors.join("|").as_str(), head.date.as_deref()), ("Ann Oyster|Bo Reed", Some("2019-05-03")));
        let head = check(
            "<title>The Reef</title><meta property=og:site_name content='The Reef'><meta name=author content='The Reef'><h1>Of the tides</h1>",
        );
        assert_eq!((head.title.as_deref(), head.authors.len()), (Some("Of the tides"), 0));
    }
}
