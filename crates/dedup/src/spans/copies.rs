//! Which occurrences of a unit are cut.

/// Where a unit stands among all units with its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// How many came before it, in an order of documents that the caller fixes.
    pub earlier: u64,
    /// How many documents hold the unit, this one with them: of the corpus, or of the domain.
    pub documents: u64,
}

/// Decides which units are copies that are cut.
///
/// ```
/// use dedup::spans::{CopyRule, Occurrence};
/// let furniture = CopyRule::Furniture { min_documents: 3 };
/// assert!(furniture.is_copy(Occurrence { earlier: 0, documents: 3 }));
/// assert!(!furniture.is_copy(Occurrence { earlier: 1, documents: 2 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyRule {
    /// All but the first: "we discarded all but one of any three-sentence span" (C4, section 2.2). A second occurrence
    /// in the same document is a copy, too.
    AllButFirst,
    /// All, the first with them, of a unit that is in so many documents. What repeats on the pages of a site is its
    /// furniture, of which not even one copy is text.
    Furniture {
        /// Minimum number of documents. A lower limit than 3 cuts what one page quotes from another.
        min_documents: u64,
    },
}

impl CopyRule {
    /// Whether this occurrence is cut.
    pub fn is_copy(&self, occurrence: Occurrence) -> bool {
        match *self {
            CopyRule::AllButFirst => occurrence.earlier > 0,
            CopyRule::Furniture { min_documents } => occurrence.documents >= min_documents,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: CopyRule, earlier: u64, documents: u64, expected: bool) {
        assert_eq!(rule.is_copy(Occurrence { earlier, documents }), expected, "{rule:?} {earlier} {documents}");
    }

    #[test]
    fn one_stays_or_none() {
        check(CopyRule::AllButFirst, 0, 9, false);
        check(CopyRule::AllButFirst, 1, 1, true);
        let furniture = CopyRule::Furniture { min_documents: 3 };
        check(furniture, 0, 3, true);
        check(furniture, 7, 2, false);
        check(furniture, 2, 4, true);
    }
}
