//! The share of each language in a text, by paragraphs: detects a page that is half in another language.
//!
//! Left out: languages that change within a paragraph.

use std::collections::BTreeMap;

/// Paragraphs with fewer bytes are joined with the next, since language models err on a heading or a line of a menu.
/// 200 bytes are two or three lines, a length at which lid.176 rarely errs.
pub const MIN_PARAGRAPH_BYTES: usize = 200;

/// How many bytes of a text are of which language. Blank lines and white space around paragraphs do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageShares<Label> {
    bytes: BTreeMap<Label, u64>,
    unknown_bytes: u64,
}

impl<Label: Ord> LanguageShares<Label> {
    /// Asks a model for the language of each paragraph: of each line, or of several consecutive lines until they have
    /// `min_paragraph_bytes`; a shorter rest at the end belongs to the paragraph before. Paragraphs are passed with
    /// their newlines. A paragraph for which the model gives no label counts as unknown.
    ///
    /// Time O(bytes), and the model's.
    ///
    /// ```
    /// use filter::LanguageShares;
    /// let model = |text: &str| whatlang::detect(text).map(|info| (info.lang().code(), info.confidence() as f32));
    /// let text = "The harbour is closed until the ice has gone.\n\nLe port est fermé jusqu'à la fonte des glaces.\n";
    /// let shares = LanguageShares::measure(text, 20, model);
    /// assert_eq!(shares.bytes_of(&"eng"), 45);
    /// assert!((shares.share_of(&"fra") - 0.516).abs() < 0.001);
    /// ```
    pub fn measure(
        text: &str,
        min_paragraph_bytes: usize,
        model: impl Fn(&str) -> Option<(Label, f32)>,
    ) -> LanguageShares<Label> {
        let mut shares = LanguageShares { bytes: BTreeMap::new(), unknown_bytes: 0 };
        for paragraph in paragraphs(text, min_paragraph_bytes) {
            let bytes: u64 = paragraph.lines().map(|line| line.trim().len() as u64).sum();
            match model(paragraph) {
                Some((label, _)) => *shares.bytes.entry(label).or_default() += bytes,
                None => shares.unknown_bytes += bytes,
            }
        }
        shares
    }

    /// Bytes of paragraphs in a language.
    pub fn bytes_of(&self, label: &Label) -> u64 {
        self.bytes.get(label).copied().unwrap_or(0)
    }

    /// Bytes of paragraphs without a label.
    pub fn unknown_bytes(&self) -> u64 {
        self.unknown_bytes
    }

    /// Bytes of all paragraphs.
    pub fn total_bytes(&self) -> u64 {
        self.bytes.values().sum::<u64>() + self.unknown_bytes
    }

    /// Share of a language in all bytes, those without a label included: 0 to 1, and 0 for a text without paragraphs.
    pub fn share_of(&self, label: &Label) -> f64 {
        match self.total_bytes() {
            0 => 0.0,
            total => self.bytes_of(label) as f64 / total as f64,
        }
    }

    /// Languages with their bytes, in the order of the labels.
    pub fn iter(&self) -> impl Iterator<Item = (&Label, u64)> {
        self.bytes.iter().map(|(label, &bytes)| (label, bytes))
    }
}

/// Lines, joined until each has `min_bytes`; none is blank.
fn paragraphs(text: &str, min_bytes: usize) -> Vec<&str> {
    let mut paragraphs = Vec::new();
    let mut start = None;
    let mut offset = 0;
    let mut end_of_last = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let line_start = offset + (line.len() - line.trim_start().len());
        offset += line.len();
        if trimmed.is_empty() {
            continue;
        }
        let first = *start.get_or_insert(line_start);
        end_of_last = line_start + trimmed.len();
        if end_of_last - first >= min_bytes {
            paragraphs.push(first..end_of_last);
            start = None;
        }
    }
    // A rest that is too short to be a paragraph.
    if let Some(first) = start {
        match paragraphs.last_mut() {
            Some(last) => last.end = end_of_last,
            None => paragraphs.push(first..end_of_last),
        }
    }
    paragraphs.into_iter().map(|range| &text[range]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(paragraphs(text, 5), expected, "{text:?}");
    }

    #[test]
    fn short_lines_join_the_next_or_the_last() {
        check("", &[]);
        check(" \n\n\t", &[]);
        check("one", &["one"]);
        check("first\nsecond\n\n", &["first", "second"]);
        check("Head\n\nof a text\r\n  second", &["Head\n\nof a text", "second"]);
        check("a long one\n\nend", &["a long one\n\nend"]);
    }

    #[test]
    fn bytes_are_those_of_lines() {
        let model = |text: &str| text.chars().next().filter(|first| first.is_alphabetic()).map(|first| (first, 1.0));
        let shares = LanguageShares::measure("  aaaaaa\n\n\n7777\r\n7777  \nbbbbbb\n\na", 5, model);
        assert_eq!(shares.iter().collect::<Vec<_>>(), [(&'a', 6), (&'b', 7)]);
        assert_eq!((shares.unknown_bytes(), shares.total_bytes()), (8, 21));
        assert_eq!(shares.share_of(&'b'), 7.0 / 21.0);
        assert_eq!(LanguageShares::measure("\n", 5, model).share_of(&'a'), 0.0);
    }

    proptest! {
        /// Every byte of a line's text is counted once.
        #[test]
        fn no_byte_is_lost(text in "([a-cß \r]{0,4}\n{0,2}){0,12}", min_bytes in 0usize..12) {
            let shares = LanguageShares::measure(&text, min_bytes, |_| Some(((), 1.0)));
            let expected: usize = text.split('\n').map(|line| line.trim().len()).sum();
            prop_assert_eq!(shares.total_bytes(), expected as u64);
            prop_assert!(paragraphs(&text, min_bytes).len() < 2
                || paragraphs(&text, min_bytes).iter().all(|paragraph| paragraph.len() >= min_bytes));
        }
    }
}
