//! A page as a list of blocks: runs of text that a reader sees as one paragraph, heading, item or cell.

use html5ever::local_name as name;

use crate::tree::{Data, NONE, NodeId, ROOT, Tree};

/// What a block is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Paragraph,
    Heading,
    ListItem,
    /// A cell; cells with the same row are printed on one line.
    Cell(NodeId),
    Preformatted,
}

/// A run of text below one block-level element.
#[derive(Debug)]
pub(crate) struct Block {
    /// The innermost block-level element around the text.
    pub(crate) node: NodeId,
    pub(crate) kind: Kind,
    /// White space collapsed, except in preformatted text and at `<br>`.
    pub(crate) text: String,
    /// Words.
    pub(crate) words: u32,
    /// Bytes of the text that lie inside links.
    pub(crate) link_bytes: u32,
}

impl Block {
    /// Share of the text inside links, 0 to 1.
    pub(crate) fn link_density(&self) -> f32 {
        self.link_bytes as f32 / self.text.len().max(1) as f32
    }

    /// How much this block speaks for being main text, in words: sentences count whole, labels little,
    /// links nothing.
    pub(crate) fn weight(&self) -> f32 {
        let words = self.words as f32;
        let density = self.link_density();
        let sentence = self
            .text
            .trim_end_matches(['"', '”', '’', ')', '»', '\''])
            .ends_with(['.', '!', '?', '…', '。', '！', '？', ':']);
        let share = match self.kind {
            _ if density > 0.5 => 0.0,
            Kind::Heading => 0.1,
            Kind::Preformatted => 0.7,
            Kind::Cell(_) | Kind::ListItem if !sentence => 0.3,
            _ if self.words >= 20 || (sentence && self.words >= 6) => 1.0,
            _ if sentence => 0.6,
            _ => 0.2,
        };
        words * share * (1.0 - density)
    }
}

/// Elements that never hold text a reader sees as part of the page's content.
pub(crate) fn is_invisible(tree: &Tree, id: NodeId) -> bool {
    let Data::Element(element, _) = &tree.node(id).data else { return false };
    if element.ns != html5ever::ns!(html) {
        return true; // svg and math hold labels and formulas that do not read as text
    }
    match element.local {
        name!("script")
        | name!("style")
        | name!("noscript")
        | name!("template")
        | name!("head")
        | name!("iframe")
        | name!("object")
        | name!("embed")
        | name!("canvas")
        | name!("audio")
        | name!("video")
        | name!("map")
        | name!("select")
        | name!("textarea")
        | name!("button")
        | name!("input")
        | name!("dialog")
        | name!("noframes")
        | name!("datalist") => true,
        _ => is_hidden(tree, id),
    }
}

fn is_hidden(tree: &Tree, id: NodeId) -> bool {
    let Data::Element(_, attributes) = &tree.node(id).data else { return false };
    attributes.iter().any(|attribute| {
        let value = &*attribute.value;
        match &*attribute.name.local {
            "hidden" => !value.eq_ignore_ascii_case("until-found"),
            "aria-hidden" => value.eq_ignore_ascii_case("true"),
            "style" if value.len() < 1000 => {
                let style: String = value.to_ascii_lowercase().split_ascii_whitespace().collect();
                style.contains("display:none") || style.contains("visibility:hidden")
            }
            _ => false,
        }
    })
}

/// Elements that begin and end a line of their own.
fn is_block_level(tree: &Tree, id: NodeId) -> bool {
    matches!(
        tree.name(id),
        name!("address")
            | name!("article")
            | name!("aside")
            | name!("blockquote")
            | name!("body")
            | name!("caption")
            | name!("center")
            | name!("dd")
            | name!("details")
            | name!("dir")
            | name!("div")
            | name!("dl")
            | name!("dt")
            | name!("fieldset")
            | name!("figcaption")
            | name!("figure")
            | name!("footer")
            | name!("form")
            | name!("h1")
            | name!("h2")
            | name!("h3")
            | name!("h4")
            | name!("h5")
            | name!("h6")
            | name!("header")
            | name!("hgroup")
            | name!("hr")
            | name!("html")
            | name!("legend")
            | name!("li")
            | name!("main")
            | name!("menu")
            | name!("nav")
            | name!("ol")
            | name!("p")
            | name!("pre")
            | name!("section")
            | name!("summary")
            | name!("table")
            | name!("tbody")
            | name!("td")
            | name!("tfoot")
            | name!("th")
            | name!("thead")
            | name!("tr")
            | name!("ul")
            | name!("listing")
            | name!("xmp")
            | name!("plaintext")
            | name!("search")
    )
}

/// Cuts a page into its blocks, in document order. One pass over the tree, no recursion.
pub(crate) fn blocks(tree: &Tree) -> Vec<Block> {
    let mut cutter = Cutter {
        tree,
        blocks: Vec::new(),
        stack: vec![ROOT],
        text: String::new(),
        link_bytes: 0,
        links: 0,
        preformatted: 0,
    };
    let mut at = ROOT;
    loop {
        let entered = cutter.enter(at);
        let child = tree.node(at).first_child;
        if entered && child != NONE {
            at = child;
            continue;
        }
        if entered {
            cutter.leave(at);
        }
        while at != ROOT && tree.node(at).next == NONE {
            at = tree.node(at).parent;
            cutter.leave(at);
        }
        if at == ROOT {
            break;
        }
        at = tree.node(at).next;
    }
    cutter.blocks
}

struct Cutter<'a> {
    tree: &'a Tree,
    blocks: Vec<Block>,
    /// Block-level elements around the current place.
    stack: Vec<NodeId>,
    text: String,
    link_bytes: u32,
    links: u32,
    preformatted: u32,
}

impl Cutter<'_> {
    /// Enters a node; `false` when its children are to be passed over.
    fn enter(&mut self, id: NodeId) -> bool {
        match &self.tree.node(id).data {
            Data::Text(text) => {
                self.push_text(text);
                return false;
            }
            Data::Fragment => return true,
            Data::Element(..) => {}
        }
        if is_invisible(self.tree, id) {
            return false;
        }
        match self.tree.name(id) {
            name!("br") => self.push_break(),
            name!("a") => self.links += 1,
            name!("pre") | name!("listing") | name!("xmp") | name!("plaintext") => self.preformatted += 1,
            _ => {}
        }
        if is_block_level(self.tree, id) {
            // Flush under the outer element before the inner one opens.
            self.flush();
            self.stack.push(id);
        }
        true
    }

    /// Leaves an element that was entered.
    fn leave(&mut self, id: NodeId) {
        if self.stack.last() == Some(&id) && id != ROOT {
            self.flush();
            self.stack.pop();
        }
        match self.tree.name(id) {
            name!("a") => self.links -= 1,
            name!("pre") | name!("listing") | name!("xmp") | name!("plaintext") => self.preformatted -= 1,
            _ => {}
        }
    }

    fn push_text(&mut self, text: &str) {
        let start = self.text.len();
        if self.preformatted > 0 {
            self.text.push_str(text);
        } else {
            push_collapsed(&mut self.text, text);
        }
        if self.links > 0 {
            self.link_bytes += (self.text.len() - start) as u32;
        }
    }

    /// One `<br>` ends a line; two end a paragraph.
    fn push_break(&mut self) {
        while self.text.ends_with(' ') {
            self.text.pop();
        }
        if self.text.ends_with('\n') && self.preformatted == 0 {
            self.flush();
        } else if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    fn flush(&mut self) {
        let preformatted = self.preformatted > 0;
        let trimmed = if preformatted { self.text.trim_matches('\n').trim_end() } else { self.text.trim() };
        if trimmed.trim().is_empty() {
            self.text.clear();
            self.link_bytes = 0;
            return;
        }
        let text = trimmed.to_owned();
        self.text.clear();
        let words = count_words(&text);
        let node = *self.stack.last().expect("the root is always on the stack");
        let kind = if preformatted { Kind::Preformatted } else { self.kind() };
        self.blocks.push(Block { node, kind, text, words, link_bytes: self.link_bytes });
        self.link_bytes = 0;
    }

    fn kind(&self) -> Kind {
        for (distance, &id) in self.stack.iter().rev().take(3).enumerate() {
            match self.tree.name(id) {
                name!("h1") | name!("h2") | name!("h3") | name!("h4") | name!("h5") | name!("h6") => {
                    return Kind::Heading;
                }
                name!("li") | name!("dd") => return Kind::ListItem,
                name!("td") | name!("th") if distance == 0 => return Kind::Cell(self.tree.node(id).parent),
                _ => {}
            }
        }
        Kind::Paragraph
    }
}

/// Appends text with each run of white space as one space, joining onto what is there.
fn push_collapsed(to: &mut String, text: &str) {
    let mut space = to.is_empty() || to.ends_with([' ', '\n']);
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
        if run > 0 {
            to.push_str(&rest[..run]);
            space = false;
            rest = &rest[run..];
        }
        let blank = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        if blank > 0 && !space {
            to.push(' ');
            space = true;
        }
        rest = &rest[blank..];
    }
}

/// Words as runs without white space; in scripts without spaces, every second letter begins one.
fn count_words(text: &str) -> u32 {
    let mut words = 0;
    let mut unspaced = 0;
    for word in text.split_whitespace() {
        words += 1;
        if !word.is_ascii() {
            unspaced += word.chars().filter(|&c| is_unspaced(c)).count() as u32;
        }
    }
    words + unspaced / 2
}

/// Letters of scripts that write no spaces: Thai, kana, Han.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    fn check(html: &str, expected: &[&str]) {
        let tree = Tree::parse(html, &Options::default()).unwrap();
        let texts: Vec<String> = blocks(&tree).into_iter().map(|b| b.text).collect();
        assert_eq!(texts, expected, "{html}");
    }

    #[test]
    fn paragraphs_and_inline_tags() {
        check("<p>a <b>b</b><i>c</i>  d\n<p>e", &["a bc d", "e"]);
        check("x<div>y</div>z", &["x", "y", "z"]);
        check("a<br>b<br><br>c", &["a\nb", "c"]);
        check("<ul><li><span>one</span> <a>two</a></ul>", &["one two"]);
        check("<pre>  if x:\n    y\n</pre>", &["  if x:\n    y"]);
        check("<div><div></div></div><p>after", &["after"]);
    }

    #[test]
    fn what_no_reader_sees() {
        check(
            "<p>a<script>'</p>'</script><span hidden>b</span><span style='DISPLAY: none'>c</span><p aria-hidden=true>d<p>e",
            &["a", "e"],
        );
        check("<svg><text>a</text></svg><noscript>b</noscript><template>c</template>d", &["d"]);
    }

    #[test]
    fn kinds_and_links() {
        let tree =
            Tree::parse("<h2>h</h2><li><p>i<table><tr><td>c<td><a href=x>d</a></table>", &Options::default()).unwrap();
        let blocks = blocks(&tree);
        assert_eq!(blocks[0].kind, Kind::Heading);
        assert_eq!(blocks[1].kind, Kind::ListItem);
        assert!(matches!((blocks[2].kind, blocks[3].kind), (Kind::Cell(a), Kind::Cell(b)) if a == b));
        assert_eq!((blocks[2].link_density(), blocks[3].link_density()), (0.0, 1.0));
    }
}
