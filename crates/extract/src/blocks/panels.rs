//! Hidden elements that belong to the text around them.
//!
//! What is hidden until somebody asks for it is part of the text if what asks for it stands there: the panels of an
//! accordion, tabs, the rest behind "read more". Menus, dialogs and terms are asked for too, so the element must be text,
//! and no longer than the page without it.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use super::is_invisible;
use super::more::{MAX_LABEL_BYTES, is_label_of_more};
use super::visibility::HiddenReason;
use crate::html::{NONE, Name, NameSet, NodeId, ROOT, Tree, attribute, tag, tags};
use crate::labels::{self, group};

/// A hidden element that is part of the text around it.
#[derive(Debug, Clone, Copy)]
pub struct Panel {
    /// The element.
    pub node: NodeId,
    /// The line that asks for it: a question, the name of a tab. None where it is the rest of a text.
    pub control: Option<NodeId>,
    /// What is taken away when the panel is shown: an element before it that has nothing but dots, and "read more".
    pub(super) in_its_place: [Option<NodeId>; 2],
}

/// Hidden elements that are parts of the text around them.
pub(super) struct Panels<'a> {
    tree: &'a Tree<'a>,
    candidates: HashSet<NodeId>,
    /// By id: the links and buttons that ask for it.
    controls: HashMap<&'a str, Vec<NodeId>>,
    /// Bytes of text outside all candidates.
    visible_bytes: usize,
    /// Whether elements with the labels of an overlay hold the page instead.
    holding_page: RefCell<HashMap<NodeId, bool>>,
}

/// Levels above a panel below which its control stands.
const MAX_CONTROL_LEVELS: usize = 4;
/// Nodes that are looked at for the control of a panel.
const MAX_CONTROL_NODES: usize = 60;
/// Bytes of the text before its rest, where a control says that there is more.
const MIN_BEGIN_BYTES: usize = 12;
/// Share of a panel's text that may stand in links.
const MAX_LINK_SHARE: f32 = 0.5;

const HEADINGS: NameSet = tags![H1 H2 H3 H4 H5 H6 DT SUMMARY LEGEND];
/// Elements of which no part is the text.
const OUTSIDE: NameSet = tags![NAV HEADER FOOTER ASIDE FORM DIALOG];

impl<'a> Panels<'a> {
    pub(super) fn new(tree: &'a Tree<'a>, candidates: &[(NodeId, HiddenReason)]) -> Panels<'a> {
        let candidates: HashSet<NodeId> = candidates.iter().map(|&(id, _)| id).collect();
        let (controls, holding_page) = (HashMap::new(), RefCell::default());
        let mut panels = Panels { tree, candidates, controls, visible_bytes: 0, holding_page };
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

    /// A hidden element as a panel, if it is one.
    pub(super) fn panel(&self, id: NodeId, reason: HiddenReason) -> Option<Panel> {
        let is_asked_for = matches!(reason, HiddenReason::Attribute | HiddenReason::Style | HiddenReason::Class);
        if !is_asked_for || self.is_outside(id) {
            return None;
        }
        let (bytes, link_bytes) = self.text_bytes(id);
        if bytes == 0 || link_bytes as f32 > MAX_LINK_SHARE * bytes as f32 {
            return None;
        }
        if let Some(more) = self.rest_of_text(id) {
            return Some(Panel { node: id, control: None, in_its_place: [self.dots_before(id), more] });
        }
        let control = if bytes <= self.visible_bytes { self.control(id) } else { None };
        control.map(|control| Panel { node: id, control: Some(control), in_its_place: [None; 2] })
    }

    /// The element before a panel that stands for it while it is hidden.
    fn dots_before(&self, id: NodeId) -> Option<NodeId> {
        let before = self.tree.node(id).previous;
        let is_dots =
            before != NONE && self.tree.name(before).is_element() && matches!(&*self.label(before), "..." | "…");
        is_dots.then_some(before)
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
            let is_overlay = !matches!(name, tag::BODY | tag::HTML) && labels::labels(self.tree, at).has(OVERLAY);
            if is_overlay && !self.holds_page(at) {
                return true;
            }
            at = self.tree.node(at).parent;
        }
        false
    }

    /// Whether most of the page's visible text is below an element, as in Drupal's `dialog-off-canvas-main-canvas`.
    fn holds_page(&self, id: NodeId) -> bool {
        let holds = |tree: &Tree| {
            let (mut bytes, mut at) = (0, Some(id));
            while let Some(node) = at {
                let is_left =
                    self.candidates.contains(&node) || tree.name(node).is_element() && is_invisible(tree, node);
                bytes += tree.text(node).trim().len();
                at = tree.following(node, id, !is_left);
            }
            2 * bytes > self.visible_bytes
        };
        *self.holding_page.borrow_mut().entry(id).or_insert_with(|| holds(self.tree))
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

    /// If it is the rest of a text that begins before it, since it says so or a control beside it does: that control.
    fn rest_of_text(&self, id: NodeId) -> Option<Option<NodeId>> {
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
        let outer = self.tree.node(parent).next;
        let beside = self.tree.siblings_after(id).take(4);
        let before = std::iter::once(self.tree.node(id).previous);
        let more = beside
            .chain(before)
            .chain(std::iter::once(outer))
            .filter(|&node| node != NONE)
            .find(|&node| is_label_of_more(&self.label(node)));
        let is_rest =
            if is_beside_text { says_more || more.is_some() } else { more.is_some() && self.is_behind_text(id) };
        is_rest.then_some(more)
    }

    /// Whether a text stands directly before an element, or before the inline element around it.
    fn is_behind_text(&self, id: NodeId) -> bool {
        let parent = self.tree.node(id).parent;
        let outer = if self.tree.name(parent) == tag::SPAN { self.tree.node(parent).previous } else { NONE };
        [self.tree.node(id).previous, outer].into_iter().any(|before| {
            before != NONE && !self.candidates.contains(&before) && self.label(before).len() >= MIN_BEGIN_BYTES
        })
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

    /// The control for it that stands in the text around it: one that names it, or the line before it.
    fn control(&self, id: NodeId) -> Option<NodeId> {
        let named = self.tree.raw_attribute(id, attribute::ID).and_then(|id| self.controls.get(id));
        if let Some(&control) = named.and_then(|controls| controls.iter().find(|&&control| self.is_near(control, id))) {
            return Some(control);
        }
        let tree = self.tree;
        let is_line = |node: NodeId| tree.name(node).is_element() && !tags![BR INPUT].has(tree.name(node));
        let mut before = tree.node(id).previous;
        while before != NONE && !is_line(before) {
            before = tree.node(before).previous;
        }
        if before == NONE || self.candidates.contains(&before) || self.label(before).is_empty() {
            return None;
        }
        let is_heading = HEADINGS.has(tree.name(before));
        let is_line = is_heading || self.label(before).len() <= 2 * MAX_LABEL_BYTES;
        let has_toggle = || tree.preorder(before).take(MAX_CONTROL_NODES).any(|node| self.is_toggle(node));
        let is_pair = || {
            let is_answer = || self.class(before).is_some() && self.ends_like_sentence(id);
            (is_heading || is_answer()) && self.is_one_of_many(id)
        };
        (is_line && (has_toggle() || is_pair())).then_some(before)
    }

    /// Whether the text below ends as a sentence does, not as a label.
    fn ends_like_sentence(&self, id: NodeId) -> bool {
        let texts = self.tree.preorder(id).map(|node| self.tree.text(node).trim_end()).filter(|text| !text.is_empty());
        texts.last().is_some_and(|text| text.ends_with(['.', '!', '?', '。', '！', '？', '…']))
    }

    fn class(&self, id: NodeId) -> Option<&str> {
        self.tree.raw_attribute(id, attribute::CLASS)
    }

    /// Whether something reacts to a click without leading to another page.
    fn is_toggle(&self, id: NodeId) -> bool {
        let value = |name| self.tree.raw_attribute(id, name);
        let leads_nowhere = |href: &str| href.starts_with('#') || href.is_empty() || href.starts_with("javascript:");
        let name = self.tree.name(id);
        name == tag::BUTTON
            || name == tag::LABEL && value(attribute::FOR).is_some()
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
                        "spoiler",
                        "reveal",
                        "disclosure",
                    ],
                )
    }

    /// Whether another hidden element of its kind lies beside it, or in an element like its own beside that.
    fn is_one_of_many(&self, id: NodeId) -> bool {
        let is_like = |one: NodeId, other: NodeId| {
            one != other && self.tree.name(one) == self.tree.name(other) && self.class(one) == self.class(other)
        };
        let is_hidden_like = |other: NodeId| self.candidates.contains(&other) && is_like(other, id);
        let parent = self.tree.node(id).parent;
        if self.tree.children(parent).any(is_hidden_like) {
            return true;
        }
        let around = self.tree.node(parent).parent;
        around != NONE
            && self.class(parent).is_some()
            && self
                .tree
                .children(around)
                .take(MAX_CONTROL_NODES)
                .filter(|&other| is_like(other, parent))
                .any(|other| self.tree.children(other).any(is_hidden_like))
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

#[cfg(test)]
mod tests {
    use crate::blocks::blocks;
    use crate::html::{ParseOptions, parse};

    fn check(html: &str, expected: &[&str]) {
        let page = blocks(&parse(html, ParseOptions::default()).unwrap());
        let texts: Vec<&str> = page.blocks.iter().map(|block| page.text_of(block)).collect();
        assert_eq!(texts, expected, "{html}");
    }

    #[test]
    fn panels_belong_to_their_text() {
        let intro = "<p>These are the questions that are asked most often at the desk in the hall.</p>";
        let said = &intro[3..intro.len() - 4];
        let answer = "Yes, on a lead, but not on the lower deck.";
        check(
            &format!("{intro}<dl><dt><a href='#'>Dogs?</a><dd style='display:none'>{answer}</dl>"),
            &[said, "Dogs?", answer],
        );
        check(
            &format!("<div>{intro}<button aria-controls=x>Dogs?</button><div id=x hidden>{answer}</div></div>"),
            &[said, "Dogs?", answer],
        );
        // Menus, dialogs, and what is longer than the page.
        check(
            &format!("{intro}<div><a href='#'>Menu</a><ul style='display:none'><li><a href=/a>Dogs</a></ul></div>"),
            &[said, "Menu"],
        );
        check(
            &format!("<div>{intro}<a href='#x'>Terms</a><div id=x class=modal hidden>{answer}</div></div>"),
            &[said, "Terms"],
        );
        let long = answer.repeat(9);
        check(&format!("<div>{intro}<a href='#x'>Terms</a><div id=x hidden>{long}</div></div>"), &[said, "Terms"]);
    }

    #[test]
    fn controls_of_many_kinds() {
        let long = "These are the questions that are asked most often at the desk in the hall.";
        let answer = "Yes, on a lead, but not on the lower deck.";
        // What a checkbox shows, by the label before it.
        check(
            &format!(
                "<p>{long}</p><div><input type=checkbox id=c><label for=c>Dogs?</label><div style='display:none'>{answer}</div></div>"
            ),
            &[long, "Dogs?", answer],
        );
        check(
            &format!(
                "<p>{long}</p><div><label for=c>Dogs?</label><input type=checkbox id=c><div hidden>{answer}</div></div>"
            ),
            &[long, "Dogs?", answer],
        );
        // Dots stand for the rest of a sentence until it is shown.
        check(
            &format!(
                "<p>{long} <span id=dots>...</span><span id=more style='display:none'>{answer}</span></p><button>Read more</button>"
            ),
            &[&format!("{long} {answer}")],
        );
        let name = "Ingrid is the captain.";
        for rest in [
            format!("<span class=more style='display:none'> {answer}</span> <a href='#'>Read more</a>"),
            format!("<span id=more hidden> {answer}</span><button>Show all</button>"),
            format!(
                "<span class=morecontent><span style='display:none'> {answer}</span>&nbsp;<a>Show more ></a></span>"
            ),
        ] {
            check(&format!("<p>{long}</p><p>{name}{rest}</p>"), &[long, &format!("{name} {answer}")]);
        }
        // Lines of a class before elements of another one, several times.
        let pair = format!("<div class=acc-head>Dogs?</div><div class=acc-body style='display:none'>{answer}</div>");
        check(&format!("<p>{long}</p><div>{pair}{pair}</div>"), &[long, "Dogs?", answer, "Dogs?", answer]);
        let item = format!("<div class=acc>{pair}</div>");
        check(&format!("<p>{long}</p><div>{item}{item}</div>"), &[long, "Dogs?", answer, "Dogs?", answer]);
        check(&format!("<p>{long}</p><div>{pair}</div>"), &[long, "Dogs?"]);
    }

    /// Templates name the element around the whole page after what opens beside it.
    #[test]
    fn an_overlay_that_holds_the_page_is_none() {
        let text = "<p>These are the questions that are asked most often at the desk in the hall.</p>";
        let panel = "<h3>Dogs?</h3><div class=faq-answer hidden>Yes, on a lead, but not on the lower deck.</div>";
        let html = format!("<div class=dialog-off-canvas-main-canvas>{text}<div>{panel}{panel}</div></div>");
        assert_eq!(blocks(&parse(&html, ParseOptions::default()).unwrap()).blocks.len(), 5);
        let html = format!("{text}<div class=dialog>{panel}{panel}</div>");
        assert_eq!(blocks(&parse(&html, ParseOptions::default()).unwrap()).hidden.len(), 2);
    }
}
