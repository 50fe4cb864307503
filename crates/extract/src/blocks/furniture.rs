//! What templates put into headings, code and sentences for use on the page: signs that link to a heading, `[edit]`,
//! numbers of lines, buttons that copy, marks of footnotes.

use crate::html::{NONE, Name, NameSet, NodeId, ROOT, Tree, attribute, tag, tags};

/// Nodes that are looked at below a candidate.
const MAX_NODES: usize = 12;
/// Longest text of a sign or a label, in bytes.
const MAX_LABEL_BYTES: usize = 40;
/// Levels above an element in which a heading or code is looked for.
const MAX_LEVELS: usize = 6;
/// Cells behind a gutter in which code is looked for.
const MAX_CELLS: usize = 4;
/// Ascending numbers that make a column a gutter without a class that says so.
const MIN_LINE_NUMBERS: u32 = 3;

const HEADINGS: NameSet = tags![H1 H2 H3 H4 H5 H6 DT];
const INLINE: NameSet = tags![A SPAN BUTTON SMALL SUP I B EM];

/// Signs of links to the heading or definition they stand in.
const ANCHORS: &[&str] = &["¶", "#", "§", "🔗", "⚓", "∞", "↩", "↩︎", "↑", "^", "⏎", "🔗︎", ""];

/// What links to the editor of a section say, in lower case and without brackets.
const EDIT: &[&str] = &[
    "edit",
    "edit source",
    "edit section",
    "bearbeiten",
    "quelltext bearbeiten",
    "modifier",
    "modifier le code",
    "editar",
    "editar código",
    "editar código-fonte",
    "editar a fonte",
    "modifica",
    "modifica wikitesto",
    "bewerken",
    "brontekst bewerken",
    "править",
    "править код",
    "правити",
    "редагувати",
    "edytuj",
    "edytuj kod",
    "upravit",
    "redigera",
    "redigér",
    "rediger",
    "muokkaa",
    "değiştir",
    "編集",
    "编辑",
    "編輯",
    "편집",
    "επεξεργασία",
    "ویرایش",
    "عدل",
    "sửa đổi",
    "sunting",
    "แก้ไข",
    "szerkesztés",
    "modificare",
];

/// What buttons say that copy code.
const COPY: &[&str] = &[
    "copy",
    "copy code",
    "copied",
    "copied!",
    "copy to clipboard",
    "copy snippet",
    "copy link",
    "kopieren",
    "copier",
    "copiar",
    "copia",
    "kopiëren",
    "копировать",
    "скопировать",
    "kopiuj",
    "复制",
    "复制代码",
    "複製",
    "コピー",
    "복사",
    "salin",
    "sao chép",
];

/// Whether an element is such furniture and is left out with all below it.
pub(super) fn is_furniture(tree: &Tree, id: NodeId, name: Name) -> bool {
    if name == tag::BUTTON {
        return is_copy_label(tree, id);
    }
    if matches!(name, tag::TD | tag::PRE | tag::SPAN | tag::DIV | tag::TH | tag::CODE) && is_gutter(tree, id, name) {
        return true;
    }
    if INLINE.has(name) && (is_anchor(tree, id, name) || is_edit_link(tree, id)) {
        return true;
    }
    name == tag::A && is_footnote_link(tree, id)
}

fn class_has(tree: &Tree, id: NodeId, is_such: impl Fn(&str) -> bool) -> bool {
    let class = tree.raw_attribute(id, attribute::CLASS);
    class.is_some_and(|class| class.split_ascii_whitespace().any(is_such))
}

/// The whole text below, without white space around it; `None` when it is longer than a label.
pub(super) fn label(tree: &Tree, id: NodeId) -> Option<String> {
    let mut text = String::new();
    for (seen, node) in tree.preorder(id).enumerate() {
        text.push_str(tree.text(node));
        if text.trim().len() > MAX_LABEL_BYTES || seen > MAX_NODES {
            return None;
        }
    }
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn has_around(tree: &Tree, id: NodeId, names: NameSet) -> bool {
    let mut at = tree.node(id).parent;
    for _ in 0..MAX_LEVELS {
        if at == NONE || at == ROOT {
            return false;
        }
        if names.has(tree.name(at)) {
            return true;
        }
        at = tree.node(at).parent;
    }
    false
}

fn leads_within_page(tree: &Tree, id: NodeId) -> bool {
    tree.raw_attribute(id, attribute::HREF).is_some_and(|href| memchr::memchr(b'#', href.as_bytes()).is_some())
}

/// A link that is a sign alone: in a heading, or of a class for it.
fn is_anchor(tree: &Tree, id: NodeId, name: Name) -> bool {
    if name != tag::A || !leads_within_page(tree, id) {
        return false;
    }
    let Some(label) = label(tree, id).filter(|label| ANCHORS.contains(&label.as_str())) else { return false };
    label == "¶"
        || label.starts_with('↩')
        || has_around(tree, id, HEADINGS)
        || class_has(tree, id, |name| {
            matches!(name, "headerlink" | "anchor" | "anchorjs-link" | "header-anchor" | "hash-link" | "permalink")
        })
}

/// `[edit]` behind a heading, and what leads from a definition to its source.
fn is_edit_link(tree: &Tree, id: NodeId) -> bool {
    if class_has(tree, id, |name| {
        matches!(name, "mw-editsection" | "editsection" | "edit-section" | "viewcode-link" | "viewcode-back")
    }) {
        return true;
    }
    let Some(text) = (has_around(tree, id, HEADINGS)).then(|| label(tree, id)).flatten() else { return false };
    let is_bracketed = text.starts_with('[') && text.ends_with(']');
    let leads_to_editor = tree.raw_attribute(id, attribute::HREF).is_some_and(|href| href.contains("edit"));
    let text = text.trim_matches(['[', ']', ' ']).to_lowercase();
    (is_bracketed || leads_to_editor) && EDIT.contains(&text.as_str())
}

fn is_copy_label(tree: &Tree, id: NodeId) -> bool {
    label(tree, id).is_some_and(|label| COPY.contains(&label.to_lowercase().as_str()))
}

/// Numbers of lines beside code: by the class, or as the first cell of a row whose other cell is code.
fn is_gutter(tree: &Tree, id: NodeId, name: Name) -> bool {
    let is_marked = class_has(tree, id, |name| {
        const WORDS: [&str; 13] = [
            "gutter",
            "linenos",
            "lineno",
            "linenumbers",
            "crayon-num",
            "crayon-nums",
            "linenodiv",
            "line-no",
            "hljs-ln-numbers",
            "rouge-gutter",
            "blob-num",
            "ln",
            "lnt",
        ];
        WORDS.contains(&name)
            || name.starts_with("lineno")
            || name.ends_with("-gutter")
            || name.ends_with("linenumber")
            || name.ends_with("line-number")
            || name.ends_with("line-numbers")
    });
    if is_marked {
        return line_numbers(tree, id).is_some();
    }
    let is_cell = matches!(name, tag::TD | tag::TH);
    is_cell && is_beside_code(tree, id) && line_numbers(tree, id).is_some_and(|count| count >= MIN_LINE_NUMBERS)
}

/// How many numbers the text below has, if they ascend one by one and there is nothing else.
fn line_numbers(tree: &Tree, id: NodeId) -> Option<u32> {
    let (mut count, mut last) = (0, None);
    for node in tree.preorder(id) {
        for word in tree.text(node).split_whitespace() {
            let number: u32 = word.trim_end_matches(['.', ':', '|']).parse().ok()?;
            if last.is_some_and(|last: u32| last.checked_add(1) != Some(number)) {
                return None;
            }
            last = Some(number);
            count += 1;
        }
    }
    Some(count)
}

fn is_beside_code(tree: &Tree, id: NodeId) -> bool {
    const CODE: NameSet = tags![PRE CODE];
    let mut cells = tree.siblings_after(id).take(MAX_CELLS);
    cells.any(|cell| tree.preorder(cell).take(MAX_NODES).any(|node| CODE.has(tree.name(node))))
}

/// Whether a text is the mark of a footnote: a number, a letter or a sign, in brackets or not.
pub(super) fn is_mark(text: &str) -> bool {
    let inner = text.trim().trim_matches(['[', ']', '(', ')', '{', '}', ' ', '\u{a0}', '^']);
    let is_short = inner.chars().count() <= 4 && !inner.is_empty();
    is_short
        && (inner.bytes().all(|byte| byte.is_ascii_digit())
            || inner.chars().count() == 1 && inner.chars().all(char::is_alphabetic)
            || inner.chars().all(|c| matches!(c, '*' | '†' | '‡' | '§' | '¶' | '#' | '∗' | '⁎'))
            || is_labelled_number(inner))
}

/// `n 1`, `a1`, `nb 2`.
fn is_labelled_number(text: &str) -> bool {
    let letters = text.bytes().take_while(u8::is_ascii_lowercase).count();
    letters <= 2 && text.len() > letters && text[letters..].trim().bytes().all(|byte| byte.is_ascii_digit())
}

/// A link of a class or role for marks of footnotes, or back from one.
fn is_footnote_link(tree: &Tree, id: NodeId) -> bool {
    if !leads_within_page(tree, id) {
        return false;
    }
    let role = tree.raw_attribute(id, attribute::ROLE).unwrap_or("");
    let is_labelled = role == "doc-noteref"
        || role == "doc-backlink"
        || class_has(tree, id, |name| {
            matches!(
                name,
                "footnote-ref"
                    | "footnote-reference"
                    | "footnote-backref"
                    | "footnote-back"
                    | "footnoteref"
                    | "noteref"
                    | "footnote-anchor"
            )
        });
    is_labelled && label(tree, id).is_some_and(|label| is_mark(&label) || ANCHORS.contains(&label.as_str()))
}
