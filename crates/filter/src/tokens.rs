//! The seam to the tokenizer.

use crate::python;

/// Toy.
pub fn for_each_token(text: &str, mut each: impl FnMut(usize, usize)) {
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < text.len() {
        let rest = &text[at..];
        let ws = rest.len() - rest.trim_start_matches(python::is_space).len();
        if ws > 0 {
            let skip = usize::from(at > 0 && bytes[at] == b' ');
            if ws > skip {
                each(at + skip, at + ws);
            }
            at += ws;
            continue;
        }
        let len = rest.find(python::is_space).unwrap_or(rest.len());
        let chunk = &rest[..len];
        let stem = chunk.trim_end_matches(['.', '!', '?', '"', '\'', ',']);
        if !stem.is_empty() {
            each(at, at + stem.len());
        }
        for i in stem.len()..len {
            each(at + i, at + i + 1);
        }
        at += len;
    }
}

/// Toy.
pub fn ends_sentence(token: &str) -> bool {
    let mut chars = token.chars();
    matches!((chars.next(), chars.next()), (Some(c), None) if crate::rules::is_terminal(c))
}
