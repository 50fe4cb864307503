//! What a person sees of a page whose style sheets and scripts are not run.
//!
//! `aria-hidden` hides from screen readers alone. An element that is hidden until somebody asks for it may belong to the
//! text around it ([`super::panels`]). Left out: style sheets, since half of their rules are for other widths and states.

use std::collections::HashMap;

use super::is_invisible;
use super::panels::{Panel, Panels};
use crate::html::{NodeId, ROOT, Tree, attribute};

/// Why an element and all below it are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HiddenReason {
    /// The attribute `hidden`.
    Attribute,
    /// Its style: `display: none`, or `visibility: hidden`.
    Style,
    /// Its style puts it out of sight: off the screen, or cut to nothing.
    OutOfSight,
    /// A class with which Bootstrap hides at any width of the window.
    Class,
    /// A class with which templates mark what is for screen readers alone.
    ForScreenReaders,
    /// A dialog of a program that asks for consent on other sites' pages.
    Consent,
    /// Dots, or "read more", in place of a text that is hidden until somebody asks for it.
    InPlaceOfPanel,
}

impl HiddenReason {
    /// A description for people.
    pub fn describe(self) -> &'static str {
        match self {
            HiddenReason::Attribute => "hidden by its attribute",
            HiddenReason::Style => "hidden by its style",
            HiddenReason::OutOfSight => "out of sight by its style",
            HiddenReason::Class => "hidden by its class",
            HiddenReason::ForScreenReaders => "for screen readers alone",
            HiddenReason::Consent => "a dialog that asks for consent",
            HiddenReason::InPlaceOfPanel => "in place of a text that is shown",
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
    let class = tree.raw_attribute(id, attribute::CLASS).unwrap_or("");
    if class.split_ascii_whitespace().any(is_for_screen_readers) {
        return Some(HiddenReason::ForScreenReaders);
    }
    if is_hidden_at_any_width(class) {
        return Some(HiddenReason::Class);
    }
    let mut names = tree.raw_attribute(id, attribute::ID).into_iter().chain(class.split_ascii_whitespace());
    names.any(is_of_consent).then_some(HiddenReason::Consent)
}

/// `d-none`, but not `d-none d-md-block`, which wide windows show. Of the text in such elements, 1% is in the gold of
/// wcxb-dev and none in newspaper4k's; of that in Tailwind's `hidden`, which many pages show by their scripts, 7%.
fn is_hidden_at_any_width(class: &str) -> bool {
    let mut names = class.split_ascii_whitespace();
    class.contains("d-none")
        && names.clone().any(|name| name == "d-none")
        && !names.any(|name| name != "d-none" && name.starts_with("d-"))
}

/// Whether an id or a class is the name that a program for consent gives its dialog.
fn is_of_consent(name: &str) -> bool {
    matches!(
        name,
        "didomi-host"
            | "didomi-popup"
            | "didomi-notice"
            | "cmpbox"
            | "cmpwrapper"
            | "qc-cmp2-container"
            | "fc-ab-root"
            | "fc-consent-root"
            | "usercentrics-root"
            | "CybotCookiebotDialog"
            | "tarteaucitronRoot"
            | "onetrust-consent-sdk"
    ) || name.starts_with("sp_message_container")
}

/// Whether a class is one of those that the large frameworks give to what is out of sight: some have a prefix.
fn is_for_screen_readers(class: &str) -> bool {
    let has_prefix = |rest: &str| rest.is_empty() || rest.ends_with(['-', '_']) && !matches!(rest, "not-" | "is-not-");
    let ends_with = |ending| class.strip_suffix(ending).is_some_and(has_prefix);
    // Every class of every element is looked at: its end tells most of them.
    match class.as_bytes().last_chunk() {
        Some(b"en") => ends_with("visually-hidden") || ends_with("visuallyhidden"),
        Some(b"ly") => ends_with("sr-only") || ends_with("screen-reader-only"),
        Some(b"xt") => ends_with("screen-reader-text"),
        Some(b"le") => class == "element-invisible",
        Some(b"nk") => class == "mw-jump-link",
        _ => false,
    }
}

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
pub(super) struct Hidden {
    pub(super) reasons: HashMap<NodeId, HiddenReason>,
    /// What is hidden at first and belongs to the text around it.
    pub(super) panels: Vec<Panel>,
}

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
        let mut hidden = Hidden::default();
        if candidates.is_empty() {
            return hidden;
        }
        let panels = Panels::new(tree, &candidates);
        for (id, reason) in candidates {
            match panels.panel(id, reason) {
                Some(panel) => {
                    let in_its_place = panel.in_its_place.into_iter().flatten();
                    hidden.reasons.extend(in_its_place.map(|node| (node, HiddenReason::InPlaceOfPanel)));
                    hidden.panels.push(panel);
                }
                None => {
                    hidden.reasons.insert(id, reason);
                }
            }
        }
        hidden
    }
}
