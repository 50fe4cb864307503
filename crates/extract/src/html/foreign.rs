//! SVG and MathML (section "The rules for parsing tokens in foreign content" of the standard).

use super::builder::{Builder, MATHML_TEXT, Open, SVG_HTML};
use super::names::{Name, NameSet, Namespace, attribute, tag, tags};
use super::token::Tag;
use super::tree::NodeId;

/// Start tags that end foreign content, wherever they are.
const BREAKOUT: NameSet = tags![
    B BIG BLOCKQUOTE BODY BR CENTER CODE DD DIV DL DT EM EMBED H1 H2 H3 H4 H5 H6 HEAD HR I IMG LI LISTING MENU META
    NOBR OL P PRE RUBY S SMALL SPAN STRONG STRIKE SUB SUP TABLE TT U UL VAR
];

impl Builder<'_> {
    pub(super) fn in_foreign_content(&self) -> bool {
        self.open.last().is_some_and(|open| !open.name.is_html())
    }

    fn is_mathml_text(&self, open: Open) -> bool {
        open.name.namespace() == Namespace::MathMl && MATHML_TEXT.has(open.name.local())
    }

    fn is_html_integration(&self, open: Open) -> bool {
        match open.name.namespace() {
            Namespace::Svg => SVG_HTML.has(open.name.local()),
            Namespace::MathMl if open.name.local() == tag::ANNOTATION_XML => {
                let encoding = self.tree.attribute(open.id, attribute::ENCODING).unwrap_or_default();
                ["text/html", "application/xhtml+xml"].iter().any(|e| encoding.eq_ignore_ascii_case(e))
            }
            _ => false,
        }
    }

    /// Whether text here is foreign text.
    pub(super) fn is_foreign_text(&self) -> bool {
        let Some(&current) = self.open.last() else { return false };
        !current.name.is_html() && !self.is_mathml_text(current) && !self.is_html_integration(current)
    }

    /// Reads a start tag by these rules if they apply; `false` when those of HTML do.
    pub(super) fn foreign_start_tag(&mut self, tag: Tag) -> bool {
        let Some(&current) = self.open.last() else { return false };
        let name = tag.name;
        if current.name.is_html()
            || (self.is_mathml_text(current) && !matches!(name, tag::MGLYPH | tag::MALIGNMARK))
            || (current.name == tag::ANNOTATION_XML.within(Namespace::MathMl) && name == tag::SVG)
            || self.is_html_integration(current)
        {
            return false;
        }
        if BREAKOUT.has(name) || (name == tag::FONT && self.has_font_attribute(tag)) {
            self.break_out();
            return false;
        }
        self.insert_foreign_in(tag, current.name.namespace());
        true
    }

    fn has_font_attribute(&self, tag: Tag) -> bool {
        let range = tag.attributes.start as usize..(tag.attributes.start + tag.attributes.len) as usize;
        let known = [attribute::COLOR, attribute::FACE, attribute::SIZE];
        self.tree.attributes[range].iter().any(|a| known.contains(&a.known))
    }

    /// Back to the innermost element whose contents are HTML.
    fn break_out(&mut self) {
        while let Some(&current) = self.open.last()
            && !current.name.is_html()
            && !self.is_mathml_text(current)
            && !self.is_html_integration(current)
        {
            self.pop();
        }
    }

    /// `<svg>` or `<math>` itself.
    pub(super) fn insert_foreign(&mut self, tag: Tag) {
        let namespace = if tag.name == tag::SVG { Namespace::Svg } else { Namespace::MathMl };
        self.insert_foreign_in(tag, namespace);
    }

    fn insert_foreign_in(&mut self, tag: Tag, namespace: Namespace) -> NodeId {
        let tag = Tag { name: tag.name.within(namespace), ..tag };
        if tag.self_closing { self.insert_void(tag) } else { self.insert(tag) }
    }

    /// Reads an end tag by these rules if they apply; `false` when those of HTML do.
    pub(super) fn foreign_end_tag(&mut self, name: Name) -> bool {
        if !self.in_foreign_content() {
            return false;
        }
        if matches!(name, tag::BR | tag::P) {
            self.break_out();
            return false;
        }
        for place in (1..self.open.len()).rev() {
            let open = self.open[place];
            if open.name.is_html() {
                return false;
            }
            if open.name.local() == name {
                while self.open.len() > place {
                    self.pop();
                }
                return true;
            }
        }
        true
    }
}
