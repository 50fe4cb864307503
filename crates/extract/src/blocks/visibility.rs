//! What a person sees of a page whose style sheets and scripts are not run.
//!
//! `aria-hidden` hides from screen readers alone. An element that is hidden until somebody asks for it belongs to the
//! text around it, if what asks for it stands there: the panels of an accordion, tabs, the rest behind "read more".
//! Menus, dialogs and terms are asked for too, so the element must be text, and no longer than the page without it.
//! Left out: style sheets, since half of their rules are for other widths and states.

use std::collections::{HashMap, HashSet};

use super::is_invisible;
use crate::html::{Name, NameSet, NodeId, ROOT, Tree, attribute, tag, tags};
use crate::labels::{self, group};

/// Why an element and all below it are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HiddenReason {
    /// The attribute `hidden`.
    Attribute,
    /// Its style: `display: none`, or `visibility: hidden`.
    Style,
    /// Its style puts it out of sight: off the screen, or cut to nothing.
    OutOfSight,
    /// A class with which templates mark what is for screen readers alone.
    ForScreenReaders,
}

impl HiddenReason {
    /// A description for people.
    pub fn describe(self) -> &'static str {
        match self {
            HiddenReason::Attribute => "hidden by its attribute",
            HiddenReason::Style => "hidden by its style",
            HiddenReason::OutOfSight => "out of sight by its style",
            HiddenReason::ForScreenReaders => "for screen readers alone",
        }
    }
}

/// Why an element, taken alone, and all below it are hidden when the page has loaded.
pub fn hidden_reason(tree: &Tree, id: NodeId) -> Option<HiddenReason> {
    if let Some(value) = tree.raw_attribute(id, attribute::HIDDEN) {
        // React streams parts of a page as hidden elements of these ids, which its script moves into place at once.
        let is_streamed = tree.raw_attribute(id, attribute::ID).is_some_and(|id| id.starts_with("S:"));
        return (!value.eq_ignore_ascii_case("until-found") && !is_streamed).then_some(HiddenReason::Attribute);
    }
    if let Some(style) = tree.raw_attribute(id, attribute::STYLE) {
        if is_declared(style, "display", |value| starts_with(value, "none"))
            || is_declared(style, "visibility", |value| starts_with(value, "hidden"))
        {
            return Some(HiddenReason::Style);
        }
        if is_out_of_sight(style) {
            return Some(HiddenReason::OutOfSight);
        }
    }
    let class = tree.raw_attribute(id, attribute::CLASS)?;
    class
        .split_ascii_whitespace()
        .any(|name| SCREEN_READER_CLASSES.contains(&name))
        .then_some(HiddenReason::ForScreenReaders)
}

/// Names that the large frameworks give to what is out of sight.
const SCREEN_READER_CLASSES: [&str; 8] = [
    "sr-only",
    "visually-hidden",
    "visuallyhidden",
    "screen-reader-text",
    "screen-reader-only",
    "element-invisible",
    "u-visually-hidden",
    "mw-jump-link",
];

/// Whether a style attribute declares the property with such a value.
pub(super) fn is_declared(style: &str, property: &str, is_such: impl Fn(&str) -> bool) -> bool {
    declarations(style).any(|(key, value)| key.eq_ignore_ascii_case(property) && is_such(value))
}

/// The properties of a style attribute with their values. Styles are short: bytes are looked at one by one, which needs
/// no call.
fn declarations(style: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = style;
    let position = |text: &str, sign: u8| text.bytes().position(|byte| byte == sign);
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = position(rest, b';').unwrap_or(rest.len());
            let declaration = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or("");
            if let Some(colon) = position(declaration, b':') {
                return Some((declaration[..colon].trim(), declaration[colon + 1..].trim()));
            }
        }
        None
    })
}

fn starts_with(value: &str, word: &str) -> bool {
    value.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
}

/// A thousand pixels or more to the left or above, or cut to nothing.
fn is_out_of_sight(style: &str) -> bool {
    let is_far = |value: &str| {
        let digits = value.strip_prefix('-').map_or(0, |digits| digits.bytes().take_while(u8::is_ascii_digit).count());
        digits >= 4 || value.starts_with("-999")
    };
    let is_nothing = |value: &str| {
        let value: String = value.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        ["rect(0,0,0,0)", "rect(0px,0px,0px,0px)", "rect(1px,1px,1px,1px)", "rect(000", "rect(0000)"]
            .iter()
            .any(|nothing| value.starts_with(nothing))
    };
    style.len() > 8
        && (["left", "top", "text-indent", "margin-left"].iter().any(|property| is_declared(style, property, is_far))
            || is_declared(style, "clip", is_nothing))
}

/// The elements that are left out as hidden, with everything below them.
#[derive(Debug, Default)]
pub(super) struct Hidden(pub(super) HashMap<NodeId, HiddenReason>);

impl Hidden {
    /// Decides about each element that is hidden when taken alone.
    pub(super) fn of(tree: &Tree) -> Hidden {
        let mut candidates: Vec<(NodeId, HiddenReason)> = Vec::new();
        let mut at = ROOT;
        loop {
            let is_element = tree.name(at).is_element();
            if is_element && let Some(reason) = hidden_reason(tree, at) {
                candidates.push((at, reason));
            }
            match tree.following(at, ROOT, !is_element || !is_invisible(tree, at)) {
                Some(next) => at = next,
                None => break,
            }
        }
        if candidates.is_empty() {
            return Hidden::default();
        }
        let panels = Panels::new(tree, &candidates);
        Hidden(candidates.into_iter().filter(|&(id, reason)| !panels.has(id, reason)).collect())
    }
}

/// Hidden elements that are parts of the text around them.
struct Panels<'a> {
    tree: &'a Tree<'a>,
    candidates: HashSet<NodeId>,
    /// By id: the links and buttons that ask for it.
    controls: HashMap<&'a str, Vec<NodeId>>,
    /// Bytes of text outside all candidates.
    visible_bytes: usize,
}

/// Levels above a panel below which its control stands.
const MAX_CONTROL_LEVELS: usize = 4;
/// Nodes that are looked at for the control of a panel.
const MAX_CONTROL_NODES: usize = 60;
/// Longest label of a control that shows the rest of a text, in bytes.
const MAX_LABEL_BYTES: usize = 60;
/// Share of a panel's text that may stand in links.
const MAX_LINK_SHARE: f32 = 0.5;

const HEADINGS: NameSet = tags![H1 H2 H3 H4 H5 H6 DT SUMMARY LEGEND];
/// Elements of which no part is the text.
const OUTSIDE: NameSet = tags![NAV HEADER FOOTER ASIDE FORM DIALOG];

impl<'a> Panels<'a> {
    fn new(tree: &'a Tree<'a>, candidates: &[(NodeId, HiddenReason)]) -> Panels<'a> {
        let candidates: HashSet<NodeId> = candidates.iter().map(|&(id, _)| id).collect();
        let mut panels = Panels { tree, candidates, controls: HashMap::new(), visible_bytes: 0 };
        let mut at = Some(ROOT);
        while let Some(id) = at {
            let name = tree.name(id);
            let is_left = name.is_element() && (is_invisible(tree, id) || panels.candidates.contains(&id));
            if name == Name::TEXT {
                panels.visible_bytes += tree.text(id).trim().len();
            } else if name.is_element() && !is_left {
                panels.add_controls(id);
            }
            at = tree.following(id, ROOT, !is_left);
        }
        panels
    }

    fn add_controls(&mut self, id: NodeId) {
        let names = [attribute::ARIA_CONTROLS, attribute::DATA_TARGET, attribute::DATA_BS_TARGET, attribute::HREF];
        for name in names {
            let Some(value) = self.tree.raw_attribute(id, name) else { continue };
            let target = if name == attribute::ARIA_CONTROLS { Some(value) } else { value.strip_prefix('#') };
            if let Some(target) = target.filter(|target| !target.is_empty()) {
                self.controls.entry(target).or_default().push(id);
            }
        }
    }

    /// Whether a hidden element is a panel.
    fn has(&self, id: NodeId, reason: HiddenReason) -> bool {
        let is_asked_for = matches!(reason, HiddenReason::Attribute | HiddenReason::Style);
        if !is_asked_for || self.is_outside(id) {
            return false;
        }
        let (bytes, link_bytes) = self.text_bytes(id);
        if bytes == 0 || link_bytes as f32 > MAX_LINK_SHARE * bytes as f32 {
            return false;
        }
        self.is_rest_of_text(id) || (bytes <= self.visible_bytes && self.is_controlled(id))
    }

    /// Whether it is in a part of the page that is no text, or a dialog.
    fn is_outside(&self, id: NodeId) -> bool {
        const OVERLAY: usize = group("overlay");
        const NAVIGATION: usize = group("navigation");
        let own = labels::labels(self.tree, id);
        let is_tab = self.has_role(id, "tabpanel") || self.says(id, &["tab"]);
        if own.has(OVERLAY) || own.has(NAVIGATION) && !is_tab {
            return true;
        }
        let mut at = id;
        while at != ROOT {
            let name = self.tree.name(at);
            if OUTSIDE.has(name) || name == tag::BODY && self.tree.node(id).parent == at {
                return true;
            }
            if !matches!(name, tag::BODY | tag::HTML) && labels::labels(self.tree, at).has(OVERLAY) {
                return true;
            }
            at = self.tree.node(at).parent;
        }
        false
    }

    fn has_role(&self, id: NodeId, role: &str) -> bool {
        self.tree.raw_attribute(id, attribute::ROLE).is_some_and(|value| value.eq_ignore_ascii_case(role))
    }

    /// Whether one of the words stands in its class or id.
    fn says(&self, id: NodeId, words: &[&str]) -> bool {
        [attribute::CLASS, attribute::ID].into_iter().any(|name| {
            self.tree.raw_attribute(id, name).is_some_and(|value| {
                let value = value.to_ascii_lowercase();
                value.split(|c: char| !c.is_ascii_alphabetic()).any(|word| words.contains(&word))
            })
        })
    }

    /// Bytes of the visible text below, and of that in links.
    fn text_bytes(&self, id: NodeId) -> (usize, usize) {
        let (mut bytes, mut link_bytes, mut link) = (0, 0, None);
        let mut at = Some(id);
        while let Some(node) = at {
            let name = self.tree.name(node);
            if link.is_some_and(|link| !self.is_below(node, link)) {
                link = None;
            }
            if name == tag::A && link.is_none() {
                link = Some(node);
            }
            if name == Name::TEXT {
                let len = self.tree.text(node).trim().len();
                bytes += len;
                link_bytes += if link.is_some() { len } else { 0 };
            }
            at = self.tree.following(node, id, !name.is_element() || !is_invisible(self.tree, node));
        }
        (bytes, link_bytes)
    }

    fn is_below(&self, mut id: NodeId, top: NodeId) -> bool {
        while id != top && id != ROOT {
            id = self.tree.node(id).parent;
        }
        id == top
    }

    /// Whether it is the rest of a text that begins before it: it says so, or a control beside it does.
    fn is_rest_of_text(&self, id: NodeId) -> bool {
        let says_more = self.says(
            id,
            &[
                "more",
                "readmore",
                "moretext",
                "morecontent",
                "showmore",
                "rest",
                "remaining",
                "truncated",
                "fulltext",
                "expandable",
            ],
        );
        let parent = self.tree.node(id).parent;
        let is_beside_text = self.tree.children(parent).any(|child| {
            child != id
                && !self.candidates.contains(&child)
                && (self.tree.name(child) == Name::TEXT || self.tree.name(child).is_element())
                && self.label(child).len() > MAX_LABEL_BYTES
        });
        if !is_beside_text {
            return false;
        }
        let outer = self.tree.node(parent).next;
        let beside = self.tree.siblings_after(id).take(4);
        let before = std::iter::once(self.tree.node(id).previous);
        says_more
            || beside
                .chain(before)
                .chain(std::iter::once(outer))
                .filter(|&node| node != crate::html::NONE)
                .any(|node| is_label_of_more(&self.label(node)))
    }

    /// The text of a control with its white space collapsed, cut a little beyond the longest label.
    fn label(&self, id: NodeId) -> String {
        let mut text = String::new();
        for node in self.tree.preorder(id).take(MAX_CONTROL_NODES) {
            super::white_space::push_collapsed(&mut text, 0, self.tree.text(node));
            if text.len() > 2 * MAX_LABEL_BYTES {
                break;
            }
        }
        text.trim().to_owned()
    }

    /// Whether a control for it stands in the text around it: one that names it, or the line before it.
    fn is_controlled(&self, id: NodeId) -> bool {
        let named = self.tree.raw_attribute(id, attribute::ID).and_then(|id| self.controls.get(id));
        if named.is_some_and(|controls| controls.iter().any(|&control| self.is_near(control, id))) {
            return true;
        }
        let tree = self.tree;
        let mut before = tree.node(id).previous;
        while before != crate::html::NONE && !(tree.name(before).is_element() && tree.name(before) != tag::BR) {
            before = tree.node(before).previous;
        }
        if before == crate::html::NONE || self.candidates.contains(&before) || self.label(before).is_empty() {
            return false;
        }
        let is_line = HEADINGS.has(tree.name(before)) || self.label(before).len() <= 2 * MAX_LABEL_BYTES;
        let mut below = tree.preorder(before).take(MAX_CONTROL_NODES);
        is_line
            && (below.any(|node| self.is_toggle(node)) || HEADINGS.has(tree.name(before)) && self.is_one_of_many(id))
    }

    /// Whether something reacts to a click without leading to another page.
    fn is_toggle(&self, id: NodeId) -> bool {
        let value = |name| self.tree.raw_attribute(id, name);
        let leads_nowhere = |href: &str| href.starts_with('#') || href.is_empty() || href.starts_with("javascript:");
        let name = self.tree.name(id);
        name == tag::BUTTON
            || name == tag::A && value(attribute::HREF).is_none_or(leads_nowhere)
            || self.has_role(id, "button")
            || self.has_role(id, "tab")
            || [attribute::ARIA_EXPANDED, attribute::ARIA_CONTROLS, attribute::ONCLICK, attribute::DATA_TOGGLE]
                .into_iter()
                .any(|name| value(name).is_some())
            || name.is_element()
                && self.says(
                    id,
                    &[
                        "accordion",
                        "toggle",
                        "toggler",
                        "collapse",
                        "collapsible",
                        "faq",
                        "question",
                        "expand",
                        "expander",
                    ],
                )
    }

    /// Whether another hidden element of its kind lies beside it.
    fn is_one_of_many(&self, id: NodeId) -> bool {
        let class = self.tree.raw_attribute(id, attribute::CLASS);
        self.tree.children(self.tree.node(id).parent).any(|other| {
            other != id
                && self.candidates.contains(&other)
                && self.tree.name(other) == self.tree.name(id)
                && self.tree.raw_attribute(other, attribute::CLASS) == class
        })
    }

    /// Whether both are in one element a few levels above the panel, other than the whole page.
    fn is_near(&self, control: NodeId, id: NodeId) -> bool {
        let mut around = self.tree.node(id).parent;
        for _ in 0..MAX_CONTROL_LEVELS {
            if around == ROOT || matches!(self.tree.name(around), tag::BODY | tag::HTML) {
                return false;
            }
            if self.is_below(control, around) {
                return !self.is_modal_control(control);
            }
            around = self.tree.node(around).parent;
        }
        false
    }

    fn is_modal_control(&self, control: NodeId) -> bool {
        self.tree
            .raw_attribute(control, attribute::DATA_TOGGLE)
            .is_some_and(|value| value.eq_ignore_ascii_case("modal"))
    }
}

/// What controls say that show the rest of a text, in lower case.
const LABELS_OF_MORE: &[&str] = &[
    "read more",
    "show more",
    "see more",
    "view more",
    "more",
    "continue reading",
    "read full",
    "read the full",
    "show full",
    "expand",
    "load more",
    "mehr",
    "weiterlesen",
    "mehr lesen",
    "mehr anzeigen",
    "lire la suite",
    "lire plus",
    "afficher plus",
    "voir plus",
    "leer más",
    "ver más",
    "mostrar más",
    "seguir leyendo",
    "leia mais",
    "ler mais",
    "mostrar mais",
    "leggi tutto",
    "leggi di più",
    "mostra altro",
    "continua a leggere",
    "lees meer",
    "lees verder",
    "meer lezen",
    "toon meer",
    "czytaj więcej",
    "czytaj dalej",
    "pokaż więcej",
    "rozwiń",
    "číst dále",
    "zobrazit více",
    "читать далее",
    "читать полностью",
    "показать полностью",
    "показать ещё",
    "развернуть",
    "далее",
    "ещё",
    "читати далі",
    "показати більше",
    "läs mer",
    "visa mer",
    "læs mere",
    "les mer",
    "lue lisää",
    "näytä lisää",
    "devamını oku",
    "daha fazla",
    "tovább",
    "citește mai mult",
    "mai mult",
    "διαβάστε περισσότερα",
    "περισσότερα",
    "اقرأ المزيد",
    "عرض المزيد",
    "بیشتر",
    "ادامه مطلب",
    "xem thêm",
    "đọc tiếp",
    "baca selengkapnya",
    "selengkapnya",
    "อ่านต่อ",
    "อ่านเพิ่มเติม",
    "続きを読む",
    "もっと見る",
    "展开",
    "展开全文",
    "阅读全文",
    "查看更多",
    "顯示更多",
    "더 보기",
    "더보기",
    "और पढ़ें",
];

fn is_label_of_more(label: &str) -> bool {
    let label = label.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
    label.len() <= MAX_LABEL_BYTES
        && LABELS_OF_MORE.iter().any(|&more| {
            label == more
                || label.strip_prefix(more).is_some_and(|rest| more.contains(' ') && rest.starts_with([' ', '.']))
        })
}
