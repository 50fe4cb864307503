//! The words in elements' classes, ids, roles and `itemprop`, for all who read them: the groups of [`crate::labels`] and
//! the table of [`crate::lexicon`].

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::html::{AttributeName, NodeId, Tree, attribute};
use crate::word_table::{hash, packed};

/// The attributes that are read.
pub const ATTRIBUTES: [AttributeName; 4] = [attribute::CLASS, attribute::ID, attribute::ROLE, attribute::ITEMPROP];

/// A word of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassWord<'a> {
    /// A row of letters, up to a capital behind a small letter: `site` and `Nav` in `siteNav`.
    Part(&'a [u8]),
    /// All of a name that is not small letters alone: `td-post-content`.
    Name(&'a [u8]),
}

/// Calls `each` with every word in the first bytes of an attribute's value: of each name its parts, then the name.
pub fn class_words<'a>(value: &'a str, max_bytes: usize, mut each: impl FnMut(ClassWord<'a>)) {
    let bytes = &value.as_bytes()[..value.len().min(max_bytes)];
    for name in bytes.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()) {
        let (mut from, mut is_small, mut is_all_small) = (0, false, true);
        for (at, byte) in name.iter().enumerate() {
            let is_capital = byte.is_ascii_uppercase();
            let begins = is_capital && is_small;
            is_small = byte.is_ascii_lowercase();
            is_all_small &= is_small;
            if is_small || is_capital && !begins {
                continue;
            }
            if at > from {
                each(ClassWord::Part(&name[from..at]));
            }
            from = if begins { at } else { at + 1 };
        }
        if name.len() > from {
            each(ClassWord::Part(&name[from..]));
        }
        if !is_all_small {
            each(ClassWord::Name(name));
        }
    }
}

/// What was found in the classes of a page so far, by the attribute's whole value: most elements of a page have the
/// class of another one.
#[derive(Debug)]
pub(crate) struct ByClass<'a, T>(HashMap<&'a str, T, BuildHasherDefault<BytesHasher>>);

impl<T> Default for ByClass<'_, T> {
    fn default() -> Self {
        ByClass(HashMap::default())
    }
}

impl<'a, T: Clone> ByClass<'a, T> {
    /// What `read` finds in each attribute of an element, one after another.
    pub(crate) fn each_attribute(
        &mut self,
        tree: &'a Tree,
        id: NodeId,
        mut read: impl FnMut(&str) -> T,
        mut see: impl FnMut(T),
    ) {
        for name in ATTRIBUTES {
            let Some(value) = tree.raw_attribute(id, name) else { continue };
            // The other attributes seldom repeat.
            see(if name == attribute::CLASS {
                self.0.entry(value).or_insert_with(|| read(value)).clone()
            } else {
                read(value)
            });
        }
    }
}

/// Hashes whole texts, 16 bytes at a time.
#[derive(Debug, Default)]
pub(crate) struct BytesHasher(u64);

impl Hasher for BytesHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // Capitals aside, which seldom tell classes apart.
        for part in bytes.chunks(16) {
            self.0 = hash(u128::from(self.0) ^ packed(part)).rotate_left(23);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_parts() {
        let words = |value| {
            let mut words = Vec::new();
            class_words(value, 512, |word| {
                words.push(match word {
                    ClassWord::Part(part) => String::from_utf8_lossy(part).into_owned(),
                    ClassWord::Name(name) => format!("={}", String::from_utf8_lossy(name)),
                });
            });
            words.join(" ")
        };
        assert_eq!(words("siteNav  x"), "site Nav =siteNav x");
        assert_eq!(words("Entry-Content\tpost-1234"), "Entry Content =Entry-Content post =post-1234");
        assert_eq!(words("-ad_TOP9 a1é"), "ad TOP =-ad_TOP9 a =a1é");
        assert_eq!(words(""), "");
    }
}
