//! What the classes, ids and roles around a block say of cookies, newsletters, contents and notes.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::has_any;
use crate::blocks::Blocks;
use crate::html::{NameSet, NodeId, Tree, attribute, tag, tags};

/// What the class, id or role of a container or one around it says, a bit each.
pub(super) const COOKIES: u8 = 1;
pub(super) const APPARATUS: u8 = 2;
pub(super) const CONTENTS: u8 = 4;
pub(super) const SIGN_UP: u8 = 8;
pub(super) const SIGNATURE: u8 = 16;

pub(super) struct Marks {
    /// By container.
    pub(super) of: Vec<u8>,
}

impl Marks {
    pub(super) fn new(tree: &Tree, page: &Blocks) -> Marks {
        let mut of: Vec<u8> = Vec::with_capacity(page.containers.len());
        for container in &page.containers {
            let outer = of.get(container.parent as usize).copied().unwrap_or(0);
            of.push(outer | own_marks(tree, container.node));
        }
        Marks { of }
    }
}

fn own_marks(tree: &Tree, id: NodeId) -> u8 {
    // The classes of these describe the page, or the text.
    const WHOLE: NameSet = tags![HTML BODY MAIN ARTICLE];
    if WHOLE.has(tree.name(id)) {
        return 0;
    }
    let mut marks = 0;
    for name in [attribute::CLASS, attribute::ID, attribute::ROLE] {
        let Some(value) = tree.raw_attribute(id, name).filter(|value| value.len() < 300) else { continue };
        if !FIND_NAMES.is_match(value) {
            continue;
        }
        for word in value.split_ascii_whitespace() {
            let word = word.to_ascii_lowercase();
            marks |= marks_of_word(&word);
            // The notes of MediaWiki; other pages name a section so that is their text.
            let is_notes = name == attribute::CLASS && tree.name(id) == tag::OL && word == "references";
            marks |= if is_notes { APPARATUS } else { 0 };
        }
    }
    marks
}

/// What is part of every name that [`marks_of_word`] knows.
const PARTS_OF_NAMES: [&str; 26] = [
    "hatnote",
    "sitesub",
    "navbox",
    "infobox",
    "catlinks",
    "printfooter",
    "dablink",
    "sistersitebox",
    "ambox",
    "references",
    "reflist",
    "sidebar-box",
    "toc",
    "contents",
    "cookie",
    "consent",
    "gdpr",
    "onetrust",
    "ccpa",
    "cmp",
    "subscription-widget",
    "newsletter",
    "signup",
    "sign-up",
    "subscribe",
    "sig",
];

static FIND_NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let names = AhoCorasick::builder().ascii_case_insensitive(true).build(PARTS_OF_NAMES);
    names.expect("few and short names")
});

fn marks_of_word(word: &str) -> u8 {
    match word {
        "hatnote" | "sitesub" | "navbox" | "infobox" | "catlinks" | "printfooter" | "dablink" | "sistersitebox"
        | "ambox" | "vertical-navbox" | "mw-references-wrap" | "reflist" | "sidebar-box" | "navbox-styles" => APPARATUS,
        "toc" | "doc-toc" | "contents" | "table-of-contents" | "tableofcontents" | "toctree" | "toc-container"
        | "ez-toc-container" | "toc_container" => CONTENTS,
        "signature" | "signatures" | "sig" | "post-signature" | "post_signature" | "postsignature" | "post-sig"
        | "post_sig" | "message-signature" | "message__signature" | "user-signature" | "user_signature"
        | "signaturecontainer" | "bbp-signature" | "forum-signature" | "author-signature" => SIGNATURE,
        _ if is_notice_name(word) => COOKIES,
        _ if word.contains("newsletter")
            || word.contains("signup")
            || word.contains("sign-up")
            || word.contains("subscribe")
            || word.starts_with("subscription-widget") =>
        {
            SIGN_UP
        }
        _ => 0,
    }
}

/// `cookie-banner`, `gdpr_notice`, `onetrust-consent-sdk`; not `cookies`, which may be what a section is about.
fn is_notice_name(word: &str) -> bool {
    const SUBJECTS: [&str; 5] = ["cookie", "consent", "gdpr", "onetrust", "ccpa"];
    const FORMS: [&str; 18] = [
        "banner",
        "notice",
        "bar",
        "settings",
        "popup",
        "modal",
        "message",
        "law",
        "overlay",
        "notification",
        "disclaimer",
        "preference",
        "dialog",
        "prompt",
        "alert",
        "sdk",
        "wall",
        "consent",
    ];
    // `cmp-wall`; Adobe's names of components begin with `cmp-`, too: `cmp-promo-banner`.
    let of_platform = word.strip_prefix("cmp").map(|rest| rest.trim_start_matches(['-', '_']));
    let is_of_platform = of_platform.is_some_and(|rest| FORMS.iter().any(|form| rest.starts_with(form)));
    is_of_platform || has_any(word, &SUBJECTS) && FORMS.iter().any(|form| word.contains(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_part_that_is_looked_for() {
        for name in [
            "hatnote",
            "sitesub",
            "vertical-navbox",
            "infobox",
            "catlinks",
            "printfooter",
            "dablink",
            "sistersitebox",
            "ambox",
            "mw-references-wrap",
            "reflist",
            "sidebar-box",
            "navbox-styles",
            "toc",
            "doc-toc",
            "contents",
            "table-of-contents",
            "toctree",
            "toc-container",
            "ez-toc-container",
            "toc_container",
            "references",
            "Cookie-Banner",
            "gdpr_notice",
            "onetrust-consent-sdk",
            "ccpa-bar",
            "cmp-wall",
            "subscription-widget-wrap",
            "my-newsletter",
            "signup",
            "sign-up",
            "subscribe-box",
            "signature",
            "post_sig",
            "signaturecontainer",
        ] {
            assert!(FIND_NAMES.is_match(name), "{name}");
            assert!(name == "references" || marks_of_word(&name.to_ascii_lowercase()) != 0, "{name}");
        }
        assert_eq!(marks_of_word("cookies"), 0);
        assert_eq!(marks_of_word("cmp-promo-banner"), 0);
    }
}
