//! The texts of documents as rules and de-duplication left them: those of extraction, replaced where a stage edited them.
//!
//! Only edited texts are written again, so stages that edit nothing cost no disk space.

use records::{DocumentText, EditedText};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::{Planner, Table, Wire, Work};
use crate::error::{Error, Result};

/// The tables of texts of all documents files.
#[derive(Clone)]
pub(super) struct KeptTextsWire {
    pub(super) extracted: Wire<Table<DocumentText>>,
    pub(super) edited_by_rules: Wire<Table<EditedText>>,
    /// Of each stage of de-duplication that cuts texts, in order.
    pub(super) cut: Vec<Wire<Table<EditedText>>>,
}

impl KeptTextsWire {
    /// The texts of each documents file, by its name.
    pub(super) fn tables(&self, plan: &Planner<'_>) -> Result<Vec<(String, KeptTexts)>> {
        let named = |(name, extracted)| (name, KeptTexts { extracted, edited: Vec::new() });
        let mut files: Vec<(String, KeptTexts)> = plan.tables(self.extracted)?.into_iter().map(named).collect();
        for &edited in std::iter::once(&self.edited_by_rules).chain(&self.cut) {
            let pairs = plan.pairs(self.extracted, edited)?.into_iter();
            files.iter_mut().zip(pairs).for_each(|((_, texts), (_, _, edited))| texts.edited.push(edited));
        }
        Ok(files)
    }

    /// These texts as a further stage cuts them.
    pub(super) fn cut_by(&self, edited: Wire<Table<EditedText>>) -> KeptTextsWire {
        let mut texts = self.clone();
        texts.cut.push(edited);
        texts
    }
}

/// The texts of a documents file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptTexts {
    extracted: Table<DocumentText>,
    edited: Vec<Table<EditedText>>,
}

impl KeptTexts {
    /// The rows of the text table, read by the columns of `R` and counted as received.
    pub(super) fn rows<R: HasText>(&self, work: &Work<'_>) -> Result<Box<dyn Iterator<Item = Result<R>>>> {
        let edited = self.edited.iter().map(|edited| work.table(edited)).collect::<Result<Vec<_>>>()?;
        Ok(with_all_edits(work.table(&self.extracted)?, edited))
    }

    /// The same rows for looking up some of them: not counted as received.
    pub(super) fn lookup<R: HasText>(&self, work: &Work<'_>) -> Result<Box<dyn Iterator<Item = Result<R>>>> {
        let edited = self.edited.iter().map(|edited| work.lookup(edited)).collect::<Result<Vec<_>>>()?;
        Ok(with_all_edits(work.lookup(&self.extracted)?, edited))
    }
}

fn with_all_edits<R: HasText>(
    rows: impl Iterator<Item = store::Result<R>> + 'static,
    edited: Vec<impl Iterator<Item = store::Result<EditedText>> + 'static>,
) -> Box<dyn Iterator<Item = Result<R>>> {
    let rows: Box<dyn Iterator<Item = Result<R>>> = Box::new(rows.map(|row| Ok(row?)));
    edited.into_iter().fold(rows, |rows, edited| Box::new(with_edits(rows, edited)))
}

/// A row of a text table with some of its columns, among them the text.
pub trait HasText: Serialize + DeserializeOwned + 'static {
    /// The text.
    fn text_mut(&mut self) -> &mut String;
}

/// Replaces the texts of a documents file that a stage edited.
pub fn with_edits<R: HasText, E: Into<Error>>(
    rows: impl Iterator<Item = Result<R, E>>,
    edited: impl Iterator<Item = store::Result<EditedText>>,
) -> impl Iterator<Item = Result<R>> {
    let mut edited = edited.peekable();
    (0..).zip(rows).map(move |(number, row)| {
        let mut row = row.map_err(Into::into)?;
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
        let rows = ["a", "b", "c", "d"].map(|text| Ok::<_, Error>(OnlyText { text: text.into() }));
        let edit = |row, text: &str| Ok(EditedText { row, id: String::new(), text: text.into() });
        let edited = [edit(0, "A"), edit(3, "D")];
        let texts = with_edits(rows.into_iter(), edited.into_iter()).map(|row| row.unwrap().text);
        assert_eq!(texts.collect::<String>(), "AbcD");
    }
}
