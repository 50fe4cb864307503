//! Names of elements and attributes as small numbers, so that the parser compares and counts without strings.

use std::fmt;

use crate::word_table::{hash, packed};

/// An element's name with its namespace, or the kind of another node.
///
/// The two upper bits are the namespace, the others the tag. A tag of HTML equals its constant in [`tag`]; the same tag
/// in SVG or MathML does not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name(pub(super) u32);

const NAMESPACE_SHIFT: u32 = 30;

/// Where an element comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// HTML itself.
    Html,
    /// Drawings.
    Svg,
    /// Formulas.
    MathMl,
    /// Nodes other than elements.
    None,
}

impl Name {
    /// The root of a tree.
    pub const DOCUMENT: Name = Name(3 << NAMESPACE_SHIFT);
    /// The doctype; its span is the name and the identifiers as written.
    pub const DOCTYPE: Name = Name((3 << NAMESPACE_SHIFT) | 1);
    /// A comment.
    pub const COMMENT: Name = Name((3 << NAMESPACE_SHIFT) | 2);
    /// A run of text.
    pub const TEXT: Name = Name((3 << NAMESPACE_SHIFT) | 3);
    /// The contents of a template.
    pub const CONTENT: Name = Name((3 << NAMESPACE_SHIFT) | 4);

    /// The namespace of an element.
    pub fn namespace(self) -> Namespace {
        match self.0 >> NAMESPACE_SHIFT {
            0 => Namespace::Html,
            1 => Namespace::Svg,
            2 => Namespace::MathMl,
            _ => Namespace::None,
        }
    }

    /// Whether this is an element, of any namespace.
    pub fn is_element(self) -> bool {
        self.0 >> NAMESPACE_SHIFT != 3
    }

    pub(super) fn is_html(self) -> bool {
        self.0 >> NAMESPACE_SHIFT == 0
    }

    /// The same tag in this namespace.
    pub fn within(self, namespace: Namespace) -> Name {
        Name((self.0 & !(3 << NAMESPACE_SHIFT)) | ((namespace as u32) << NAMESPACE_SHIFT))
    }

    /// The tag without its namespace, for comparison with tags in the source.
    pub(super) fn local(self) -> Name {
        Name(self.0 & !(3 << NAMESPACE_SHIFT))
    }

    /// Index among the known tags, for tables; `None` for others.
    pub fn known(self) -> Option<usize> {
        let tag = (self.0 & !(3 << NAMESPACE_SHIFT)) as usize;
        (self.is_element() && tag < tag::COUNT).then_some(tag)
    }

    /// A tag that is not among the known ones.
    pub(super) fn unknown(number: usize) -> Name {
        Name((tag::COUNT + number) as u32)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(tag) => write!(f, "{:?}:{}", self.namespace(), tag::NAMES[tag]),
            None => write!(f, "{:?}:{}", self.namespace(), self.local().0),
        }
    }
}

/// A set of HTML tags, tested with one load.
#[derive(Clone, Copy)]
pub struct NameSet([u64; 4]);

impl NameSet {
    /// The set of these tags.
    pub const fn of(names: &[Name]) -> NameSet {
        let mut bits = [0; 4];
        let mut at = 0;
        while at < names.len() {
            let tag = names[at].0 as usize;
            bits[tag / 64] |= 1 << (tag % 64);
            at += 1;
        }
        NameSet(bits)
    }

    /// This set and another.
    pub const fn with(self, others: NameSet) -> NameSet {
        let NameSet([a, b, c, d]) = others;
        NameSet([self.0[0] | a, self.0[1] | b, self.0[2] | c, self.0[3] | d])
    }

    /// Whether an HTML tag is in the set; `false` for all other names.
    #[inline]
    pub const fn has(&self, name: Name) -> bool {
        let tag = name.0 as usize;
        tag < 256 && (self.0[tag / 64] >> (tag % 64)) & 1 == 1
    }
}

/// The set of HTML tags with these constants, `tags![A ABBR]`.
macro_rules! tags {
    ($($constant:ident)*) => { $crate::html::NameSet::of(&[$($crate::html::tag::$constant),*]) };
}
pub(crate) use tags;

/// An open-addressed table from packed names to their numbers, built by the compiler.
pub(super) struct NameTable<const SLOTS: usize> {
    keys: [u128; SLOTS],
    numbers: [u8; SLOTS],
}

impl<const SLOTS: usize> NameTable<SLOTS> {
    const fn slot(key: u128) -> usize {
        hash(key) as usize % SLOTS
    }

    const fn new(names: &[&str]) -> NameTable<SLOTS> {
        assert!(SLOTS.is_power_of_two() && names.len() < SLOTS && names.len() < 256);
        let mut table = NameTable { keys: [0; SLOTS], numbers: [0; SLOTS] };
        let mut number = 0;
        while number < names.len() {
            let key = packed(names[number].as_bytes());
            let mut slot = Self::slot(key);
            while table.keys[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            table.keys[slot] = key;
            table.numbers[slot] = number as u8;
            number += 1;
        }
        table
    }

    #[inline]
    pub(super) fn find(&self, key: u128) -> Option<usize> {
        let mut slot = Self::slot(key);
        loop {
            if self.keys[slot] == 0 {
                return None;
            }
            if self.keys[slot] == key {
                return Some(self.numbers[slot] as usize);
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

macro_rules! names {
    ($type:ident $($constant:ident $name:literal)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Number { $($constant,)* Count }
        /// Number of known names.
        pub const COUNT: usize = Number::Count as usize;
        /// The known names in the order of their numbers.
        pub static NAMES: [&str; COUNT] = [$($name,)*];
        $(#[doc = concat!("`", $name, "`")] pub const $constant: $type = $type(Number::$constant as _);)*
    };
}

/// Tags that the rules of HTML name, or that the extractor uses.
pub mod tag {
    use super::{Name, NameTable};
    names! { Name
        A "a" ABBR "abbr" ACRONYM "acronym" ADDRESS "address" ANNOTATION "annotation" ANNOTATION_XML "annotation-xml" APPLET "applet" AREA "area"
        ARTICLE "article" ASIDE "aside" AUDIO "audio" B "b" BASE "base" BASEFONT "basefont" BDI "bdi" BDO "bdo" BGSOUND "bgsound"
        BIG "big" BLOCKQUOTE "blockquote" BODY "body" BR "br" BUTTON "button" CANVAS "canvas" CAPTION "caption"
        CENTER "center" CITE "cite" CODE "code" COL "col" COLGROUP "colgroup" DATA "data" DATALIST "datalist" DD "dd"
        DEL "del" DESC "desc" DETAILS "details" DFN "dfn" DIALOG "dialog" DIR "dir" DIV "div" DL "dl" DT "dt" EM "em"
        EMBED "embed" FIELDSET "fieldset" FIGCAPTION "figcaption" FIGURE "figure" FONT "font" FOOTER "footer"
        FOREIGN_OBJECT "foreignobject" FORM "form" FRAME "frame" FRAMESET "frameset" H1 "h1" H2 "h2" H3 "h3" H4 "h4"
        H5 "h5" H6 "h6" HEAD "head" HEADER "header" HGROUP "hgroup" HR "hr" HTML "html" I "i" IFRAME "iframe"
        IMAGE "image" IMG "img" INPUT "input" INS "ins" KBD "kbd" KEYGEN "keygen" LABEL "label" LEGEND "legend" LI "li"
        LINK "link" LISTING "listing" MAIN "main" MALIGNMARK "malignmark" MAP "map" MARK "mark" MARQUEE "marquee"
        MATH "math" MENU "menu" META "meta" METER "meter" MGLYPH "mglyph" MI "mi" MN "mn" MO "mo" MS "ms"
        MTEXT "mtext" NAV "nav" NOBR "nobr" NOEMBED "noembed" NOFRAMES "noframes" NOSCRIPT "noscript" OBJECT "object"
        OL "ol" OPTGROUP "optgroup" OPTION "option" OUTPUT "output" P "p" PARAM "param" PICTURE "picture"
        PLAINTEXT "plaintext" PRE "pre" PROGRESS "progress" Q "q" RB "rb" RP "rp" RT "rt" RTC "rtc" RUBY "ruby" S "s"
        SAMP "samp" SCRIPT "script" SEARCH "search" SECTION "section" SELECT "select" SLOT "slot" SMALL "small"
        SOURCE "source" SPAN "span" STRIKE "strike" STRONG "strong" STYLE "style" SUB "sub" SUMMARY "summary" SUP "sup"
        SVG "svg" TABLE "table" TBODY "tbody" TD "td" TEMPLATE "template" TEXTAREA "textarea" TFOOT "tfoot" TH "th"
        THEAD "thead" TIME "time" TITLE "title" TR "tr" TRACK "track" TT "tt" U "u" UL "ul" VAR "var" VIDEO "video"
        WBR "wbr" XMP "xmp"
    }
    pub(in crate::html) static TABLE_OF_NAMES: NameTable<512> = NameTable::new(&NAMES);
}

/// An attribute's name, if this crate reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttributeName(pub(super) u8);

impl AttributeName {
    /// Any other.
    pub const OTHER: AttributeName = AttributeName(255);
}

/// Attributes that this crate reads.
pub mod attribute {
    use super::{AttributeName, NameTable};
    names! { AttributeName
        ALT "alt" ALTTEXT "alttext" ARIA_CONTROLS "aria-controls" ARIA_EXPANDED "aria-expanded" ARIA_HIDDEN "aria-hidden"
        ARIA_LABEL "aria-label" CHARSET "charset" CLASS "class" COLOR "color" COLSPAN "colspan" CONTENT "content"
        DATA_BS_TARGET "data-bs-target" DATA_TARGET "data-target" DATA_TOGGLE "data-toggle" DATETIME "datetime" ENCODING "encoding" FACE "face" FOR "for" HIDDEN "hidden" HREF "href"
        HTTP_EQUIV "http-equiv" ID "id" ITEMPROP "itemprop" ITEMTYPE "itemtype" LANG "lang" NAME "name" ONCLICK "onclick" PROPERTY "property"
        REL "rel" REVERSED "reversed" ROLE "role" ROWSPAN "rowspan" SHADOWROOTMODE "shadowrootmode" SIZE "size" START "start" STYLE "style" SRC "src" TITLE "title" TYPE "type"
        VALUE "value" XML_LANG "xml:lang"
    }
    pub(in crate::html) static TABLE_OF_NAMES: NameTable<128> = NameTable::new(&NAMES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for (number, name) in tag::NAMES.iter().enumerate() {
            assert_eq!(tag::TABLE_OF_NAMES.find(packed(name.as_bytes())), Some(number), "{name}");
            assert_eq!(tag::TABLE_OF_NAMES.find(packed(name.to_uppercase().as_bytes())), Some(number), "{name}");
        }
        for (number, name) in attribute::NAMES.iter().enumerate() {
            assert_eq!(attribute::TABLE_OF_NAMES.find(packed(name.as_bytes())), Some(number), "{name}");
        }
        for other in ["x", "div1", "annotation-xmlx", "a-name-of-more-than-sixteen-bytes"] {
            assert_eq!(tag::TABLE_OF_NAMES.find(packed(other.as_bytes())), None, "{other}");
        }
        assert_eq!(tag::NAMES[tag::DIV.known().unwrap()], "div");
        assert_ne!(tag::TITLE, tag::TITLE.within(Namespace::Svg));
        assert_eq!(tag::TITLE.within(Namespace::Svg).local(), tag::TITLE);
        assert!(tags![A XMP].has(tag::XMP) && !tags![A].has(tag::B));
        assert!(!tags![A].has(tag::A.within(Namespace::Svg)));
    }
}
