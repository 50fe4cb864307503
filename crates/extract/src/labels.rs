//! Groups of words in elements' class, id and role.
//!
//! The words are those that templates of all kinds share. Among them are names of services whose buttons and boxes are
//! on other sites' pages; no word is specific to one site.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use crate::class_words::{ATTRIBUTES, ByClass, ClassWord, class_words};
use crate::html::{NodeId, Tree};
use crate::word_table::{WordTable, packed};

/// A set of groups, one bit each, in the order of [`GROUPS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Labels(pub u32);

impl Labels {
    /// Whether the group of this number is in the set.
    pub fn has(self, group: usize) -> bool {
        self.0 >> group & 1 == 1
    }

    /// Takes the group of this number out of the set.
    pub fn remove(&mut self, group: usize) {
        self.0 &= !(1 << group);
    }
}

/// A group and its words, in lower case.
pub const GROUPS: &[(&str, &str)] = &[
    (
        "comment",
        "comment comments commentlist commentary disqus respond replies reply discussion commenter kommentar kommentare kommentarer commentaire commentaires comentario comentarios commento commenti reactie reacties komentarz komentarze komentare yorum yorumlar kommentti kommentit",
    ),
    ("sidebar", "sidebar side rail aside secondary complementary rightcolumn leftcolumn rightcol leftcol sidenav"),
    (
        "navigation",
        "nav navbar navigation menu menubar submenu dropdown topnav subnav mainmenu navmenu sitemap toolbar tabs tab",
    ),
    ("footer", "footer foot bottom contentinfo colophon copyright legal disclaimer"),
    ("header", "header head masthead banner topbar top logo branding hero"),
    (
        "share",
        "share sharing sharebar social socials follow like likes tweet addthis bookmark bookmarks facebook twitter print email",
    ),
    (
        "related",
        "related recommended recommendations recommend recirc more similar popular trending latest recent also upsell outbrain taboola next-up mostread readmore suggested",
    ),
    (
        "advertisement",
        "ad ads advert adverts advertisement advertising adsbygoogle sponsor sponsored sponsors promo promotion promoted dfp commercial affiliate partner partners",
    ),
    (
        "byline",
        "byline author authors meta metadata date time timestamp published posted dateline writer credits postmeta entrymeta info",
    ),
    ("title", "title headline heading subtitle entrytitle posttitle"),
    ("content", "content contents main maincontent body text copy"),
    (
        "article",
        "article articlebody entry post posts story storybody single blog news hentry articletext postbody postcontent entrycontent",
    ),
    ("widget", "widget widgets module box panel block sidebox gadget portlet component"),
    (
        "overlay",
        "modal popup overlay cookie cookies consent gdpr dialog lightbox tooltip toast notification notice alert paywall interstitial",
    ),
    (
        "listing",
        "list listing items item grid card cards tile tiles row results result feed archive catalog category collection carousel slider slide slides gallery thumbnails thumb thumbnail",
    ),
    (
        "product",
        "product products price prices cart shop sku buy add-to-cart variant shipping specification specs checkout quantity",
    ),
    ("review", "review reviews rating ratings stars testimonial testimonials feedback"),
    (
        "forum",
        "forum thread threads topic topics message messages postrow answer answers question questions qa bbs board signature sig userinfo poster avatar profile user member username",
    ),
    ("search", "search searchform searchbox find filter filters facet facets sort"),
    (
        "account",
        "login signin signup register registration account subscribe subscription newsletter join mailing optin",
    ),
    ("tags", "tag tags tagcloud keywords categories labels topics breadcrumb breadcrumbs crumb crumbs"),
    ("paging", "pagination pager paging pages page-numbers prev previous next navlinks"),
    ("caption", "caption captions credit figcaption photo image img picture media wp-caption legend"),
    ("code", "code highlight codehilite sourcecode snippet prettyprint syntax example literal"),
    (
        "documentation",
        "doc docs documentation document section markdown prose rst wiki manual reference api toc tableofcontents readme",
    ),
    ("summary", "summary excerpt teaser teasers abstract intro lead lede deck description standfirst dek blurb desc"),
    (
        "hidden",
        "hidden hide invisible offscreen visuallyhidden sr-only screen reader skip noprint hidden-print mobile-only print-only",
    ),
    ("table", "table infobox navbox data datatable tabular"),
    ("faq", "faq faqs accordion collapse expandable toggle details qna"),
    (
        "event",
        "event events job jobs location address contact map hours phone recipe ingredients instructions directions",
    ),
];

/// Number of groups.
pub const COUNT: usize = GROUPS.len();

/// The number of a group. An unknown name does not compile where the number is a constant.
pub const fn group(name: &str) -> usize {
    let mut number = 0;
    while number < COUNT {
        if same(GROUPS[number].0.as_bytes(), name.as_bytes()) {
            return number;
        }
        number += 1;
    }
    panic!("there is no such group of labels")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

static WORDS: LazyLock<WordTable> = LazyLock::new(|| WordTable::of_groups(GROUPS.iter().map(|(_, words)| *words)));

/// Bytes of one attribute that are read. The model was trained with fewer here than in the lexicon; with as many, 76 of
/// 4,439 annotated pages have other probabilities and seven another text.
const MAX_ATTRIBUTE_BYTES: usize = 256;
/// Length in bytes of a name that may be a word of its own.
const NAME_BYTES: RangeInclusive<usize> = 6..=16;

/// The groups whose words occur in an element's class, id, role or `itemprop`.
pub fn labels(tree: &Tree, id: NodeId) -> Labels {
    let values = ATTRIBUTES.into_iter().filter_map(|name| tree.raw_attribute(id, name));
    Labels(values.fold(0, |labels, value| labels | of_text(value)))
}

/// [`labels`] of the elements of one page.
#[derive(Default)]
pub(crate) struct LabelReader<'a>(ByClass<'a, u32>);

impl<'a> LabelReader<'a> {
    pub(crate) fn labels(&mut self, tree: &'a Tree, id: NodeId) -> Labels {
        let mut labels = 0;
        self.0.each_attribute(tree, id, of_text, |of_value| labels |= of_value);
        Labels(labels)
    }
}

/// The groups of the words in an attribute's value.
fn of_text(value: &str) -> u32 {
    let words = &*WORDS;
    let mut labels = 0;
    class_words(value, MAX_ATTRIBUTE_BYTES, |word| {
        labels |= match word {
            ClassWord::Part(part) => words.find(packed(part)),
            ClassWord::Name(name) if NAME_BYTES.contains(&name.len()) => words.find(packed(name)),
            ClassWord::Name(_) => 0,
        };
    });
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_classes() {
        let groups = |value| {
            let labels = Labels(of_text(value));
            let names = GROUPS.iter().enumerate().filter(|(number, _)| labels.has(*number)).map(|(_, (name, _))| *name);
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(groups("related-posts x"), "related article");
        assert_eq!(groups("siteNav"), "navigation");
        assert_eq!(groups("AD_top"), "header advertisement");
        assert_eq!(groups("sr-only"), "hidden");
        assert_eq!(groups("entryContent"), "content article");
        assert_eq!(groups("shadow download adverbs"), "");
    }
}
