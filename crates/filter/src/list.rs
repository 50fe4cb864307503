//! Lists of words, domains and addresses, read from files that a recipe names: they have licences of their own, and none
//! is compiled in.

use std::fs;

/// A list or model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The file cannot be read.
    #[error("cannot read the list {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line does not have the list's format.
    #[error("{path}, line {line}: {what}")]
    Malformed {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A model cannot be read.
    #[error(transparent)]
    Model(#[from] fasttext::OpenError),
    /// A model does not have the rule's label.
    #[error("the model {path} has no label {label}; it has {known}, …")]
    Label {
        /// The model's file.
        path: String,
        /// The label.
        label: String,
        /// Its most frequent labels.
        known: String,
    },
}

/// The text of a list.
pub fn read(path: &str) -> Result<String, ListError> {
    fs::read_to_string(path).map_err(|source| ListError::Read { path: path.to_owned(), source })
}

/// A set of strings, one per line. Memory: the files, and 16 bytes per line.
pub struct LineSet {
    text: String,
    /// Byte ranges of the lines, sorted by content.
    lines: Vec<(usize, usize)>,
}

impl LineSet {
    /// The lines of files, without white space at their ends, and without lines that begin with `#`. A blank line is the
    /// empty string.
    pub fn read(paths: &[String]) -> Result<LineSet, ListError> {
        let mut text = String::new();
        for path in paths {
            text.push_str(&read(path)?);
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
        }
        let start = text.as_ptr() as usize;
        let line = |line: &str| (line.as_ptr() as usize - start, line.len());
        let mut lines: Vec<_> = self::lines(&text).map(words::python::strip).map(line).collect();
        let at = |&(start, len): &(usize, usize)| &text[start..start + len];
        lines.sort_unstable_by(|a, b| at(a).cmp(at(b)));
        Ok(LineSet { text, lines })
    }

    /// Whether the string is in the set. Time O(log lines).
    pub fn contains(&self, string: &str) -> bool {
        self.lines.binary_search_by(|&(start, len)| self.text[start..start + len].cmp(string)).is_ok()
    }
}

/// Lines that do not begin with `#`.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name).to_str().unwrap().to_owned();
            fs::write(&path, text).unwrap();
            path
        };
        let set = LineSet::read(&[path("a", "b.org \n#c.org\n\na.org"), path("b", "d.org\r\n")]).unwrap();
        assert_eq!(
            ["a.org", "b.org", "c.org", "d.org", ""].map(|line| set.contains(line)),
            [true, true, false, true, true]
        );
        assert!(!LineSet::read(&[path("c", "b.org\na.org\n"), path("d", "d.org")]).unwrap().contains(""));
        assert!(LineSet::read(&["missing".to_owned()]).err().unwrap().to_string().contains("missing"));
    }
}
