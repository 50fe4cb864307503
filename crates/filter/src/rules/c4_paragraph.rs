use serde::{Deserialize, Serialize};

use super::{DatatroveDialect, Findings, Rule, Settings};
use crate::About;
use crate::list::ListError;
use crate::measure::{Limit, Measure, MeasureUnit};
use crate::text::Text;
use words::python;

/// Keeps texts with three long paragraphs, a paragraph being a line: the rule of mC4
/// (<https://arxiv.org/abs/2010.11934>, section 3.1).
///
/// Follows datatrove's `C4ParagraphFilter`, whose numbers are fixed; here they are settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct C4Paragraph {
    /// The code that is followed.
    pub dialect: DatatroveDialect,
    /// Minimum number of lines.
    pub min_lines: Limit,
    /// Minimum length of the third longest line, in code points.
    pub min_third_longest_line_chars: Limit,
}

impl Default for C4Paragraph {
    fn default() -> C4Paragraph {
        let (min_lines, min_third_longest_line_chars) = (Limit::at(3.0), Limit::at(200.0));
        C4Paragraph { dialect: DatatroveDialect::V0_10, min_lines, min_third_longest_line_chars }
    }
}

impl Settings for C4Paragraph {
    fn open(&self) -> Result<Box<dyn Rule>, ListError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rule for C4Paragraph {
    #[rustfmt::skip]
    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::new("lines", MeasureUnit::Count, "lines, empty ones with them")
                .min("min_lines", self.min_lines, "too_few_lines", "< 3 paragraphs"),
            Measure::new("third_longest_line_chars", MeasureUnit::Chars, "code points of the third longest line; 0 without one")
                .min("min_third_longest_line_chars", self.min_third_longest_line_chars, "too_short_lines", "< 3 paragraphs"),
        ]
    }

    fn apply(&self, text: &Text<'_>, _: About<'_>) -> Findings {
        let mut lines = 0u32;
        let mut longest = [0; 3];
        for line in text.as_str().split('\n') {
            lines += 1;
            // In descending order; the new one sinks to its place.
            let mut chars = python::len(line);
            for place in &mut longest {
                if chars > *place {
                    std::mem::swap(place, &mut chars);
                }
            }
        }
        Findings::of(vec![f64::from(lines), longest[2] as f64])
    }
}
