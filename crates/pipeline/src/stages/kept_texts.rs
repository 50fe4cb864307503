//! The texts of documents as the rules left them: those of extraction, replaced where a rule edited them.
//!
//! Only edited texts are written again, so rules that edit nothing cost no disk space.

use records::{DocumentText, EditedText};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::{Planner, Table, Wire, Work};
use crate::error::{Error, Result};

/// The tables of texts of all documents files.
#[derive(Clone, Copy)]
pub(super) struct KeptTextsWire {
    pub(super) extracted: Wire<Table<DocumentText>>,
    pub(super) edited: Wire<Table<EditedText>>,
}

impl KeptTextsWire {
    /// The texts of each documents file, by its name.
    pub(super) fn tables(self, plan: &Planner<'_>) -> Result<Vec<(String, KeptTexts)>> {
        let pairs = plan.pairs(self.extracted, self.edited)?.into_iter();
        Ok(pairs.map(|(name, extracted, edited)| (name, KeptTexts { extracted, edited })).collect())
    }
}

/// The texts of a documents file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptTexts {
    extracted: Table<DocumentText>,
    edited: Table<EditedText>,
}

impl KeptTexts {
    /// The rows of the text table, read by the columns of `R` and counted as received.
    pub(super) fn rows<R: HasText>(&self, work: &Work<'_>) -> Result<impl Iterator<Item = Result<R>> + use<R>> {
        Ok(with_edits(work.table(&self.extracted)?, work.table(&self.edited)?))
    }

    /// The same rows for looking up some of them: not counted as received.
    pub(super) fn lookup<R: HasText>(&self, work: &Work<'_>) -> Result<impl Iterator<Item = Result<R>> + use<R>> {
        Ok(with_edits(work.lookup(&self.extracted)?, work.lookup(&self.edited)?))
    }
}

/// A row of a text table with some of its columns, among them the text.
pub trait HasText: Serialize + DeserializeOwned {
    /// The text.
    fn text_mut(&mut self) -> &mut String;
}

/// Replaces the texts of a documents file that rules edited.
pub fn with_edits<R: HasText>(
    rows: impl Iterator<Item = store::Result<R>>,
    edited: impl Iterator<Item = store::Result<EditedText>>,
) -> impl Iterator<Item = Result<R>> {
    let mut edited = edited.peekable();
    (0..).zip(rows).map(move |(number, row)| {
        let mut row = row?;
        let is_later = |edit: &store::Result<EditedText>| edit.as_ref().is_ok_and(|edit| edit.row != number);
        if let Some(edit) = edited.next_if(|edit| !is_later(edit)) {
            *row.text_mut() = edit?.text;
        }
        Ok::<R, Error>(row)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct OnlyText {
        text: String,
    }

    impl HasText for OnlyText {
        fn text_mut(&mut self) -> &mut String {
            &mut self.text
        }
    }

    #[test]
    fn edits_are_laid_over_their_rows() {
        let rows = ["a", "b", "c", "d"].map(|text| Ok(OnlyText { text: text.into() }));
        let edit = |row, text: &str| Ok(EditedText { row, id: String::new(), text: text.into() });
        let edited = [edit(0, "A"), edit(3, "D")];
        let texts = with_edits(rows.into_iter(), edited.into_iter()).map(|row| row.unwrap().text);
        assert_eq!(texts.collect::<String>(), "AbcD");
    }
}
