//! Parts cut out of a text, with the white space around them but for one gap.

use std::ops::Range;

/// A text without its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is left.
    pub text: String,
    /// What was cut, as bytes of the original text: in order, apart from each other, none empty.
    pub cut: Vec<Range<usize>>,
}

impl Edit {
    /// The text without these ranges, which are in order and do not overlap. Those that touch become one.
    pub(crate) fn without(text: &str, ranges: impl IntoIterator<Item = Range<usize>>) -> Edit {
        let mut cut: Vec<Range<usize>> = Vec::new();
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            match cut.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => cut.push(range),
            }
        }
        let mut left = String::with_capacity(text.len());
        let mut at = 0;
        for range in &cut {
            left.push_str(&text[at..range.start]);
            at = range.end;
        }
        left.push_str(&text[at..]);
        Edit { text: left, cut }
    }
}

/// Cuts ranges of bytes and nothing else. They are in order, do not overlap, and begin and end between characters; those
/// that touch become one.
pub fn cut_ranges(text: &str, ranges: impl IntoIterator<Item = Range<usize>>) -> Edit {
    Edit::without(text, ranges)
}

/// The part of a range of bytes without which no character and no word is cut in two, and no words are joined: of the
/// white space around it, some stays. It may be empty. Letters of scripts without spaces are words of their own.
///
/// ```
/// use dedup::spans::shrink_to_words;
/// assert_eq!(shrink_to_words("the tide is out", 1..13), 4..12); // between "the " and "out"
/// assert_eq!(shrink_to_words("é潮が", 1..7), 2..5);
/// ```
pub fn shrink_to_words(text: &str, range: Range<usize>) -> Range<usize> {
    let is_letter = |c: char| c.is_alphanumeric() && !words::is_unspaced(c);
    let ends_in_letter = |before: &str| before.chars().next_back().is_some_and(is_letter);
    let begins_with_letter = |after: &str| after.chars().next().is_some_and(is_letter);
    let (mut start, mut end) = (text.ceil_char_boundary(range.start), text.floor_char_boundary(range.end));
    let is_in_word = |at: usize| ends_in_letter(&text[..at]) && begins_with_letter(&text[at..]);
    if start < end && is_in_word(start) {
        start += text[start..end].find(|c| !is_letter(c)).unwrap_or(end - start);
    }
    if start < end && is_in_word(end) {
        let behind = text[start..end].char_indices().rev().find(|&(_, c)| !is_letter(c));
        end = behind.map_or(start, |(at, c)| start + at + c.len_utf8());
    }
    let is_space_or_end = |next: Option<char>| next.is_none_or(char::is_whitespace);
    let would_join =
        !is_space_or_end(text[..start].chars().next_back()) && !is_space_or_end(text[end..].chars().next());
    if start < end && would_join {
        let inner = &text[start..end];
        let leading = inner.len() - inner.trim_start().len();
        let trailing = inner.len() - inner.trim_end().len();
        // The white space in front stays, or else that behind, or else what is in front of the first word.
        (start, end) = match (leading, trailing) {
            (0, 0) if ends_in_letter(&text[..start]) && begins_with_letter(&text[end..]) => {
                (start + inner.find(is_letter).unwrap_or(inner.len()), end)
            }
            (0, 0) => (start, end),
            (0, trailing) => (start, end - trailing),
            (leading, _) => (start + leading, end),
        };
    }
    start..end.max(start)
}

/// Cuts the parts with these numbers, which are in order. Between parts there is only white space.
pub fn cut_parts(text: &str, parts: &[Range<usize>], numbers: &[usize]) -> Edit {
    let runs = numbers.chunk_by(|number, next| number + 1 == *next);
    Edit::without(text, runs.flat_map(|run| cut_of_run(text, parts, run[0], run[run.len() - 1])))
}

/// The bytes that go with the parts from the first to the last of a run: all but one of the gaps around them.
fn cut_of_run(text: &str, parts: &[Range<usize>], first: usize, last: usize) -> [Range<usize>; 2] {
    let before = first.checked_sub(1).map(|number| parts[number].end);
    let after = parts.get(last + 1).map(|part| part.start);
    let (start, end) = (parts[first].start, parts[last].end);
    match (before, after) {
        (None, None) => [0..text.len(), 0..0],
        // What is around the whole text stays.
        (None, Some(after)) => [start..after, 0..0],
        (Some(before), None) => [before..end, 0..0],
        (Some(before), Some(after)) => {
            let gaps = parts[first - 1..=last + 1].windows(2).map(|pair| pair[0].end..pair[1].start);
            // Of the strongest, the first: `max_by_key` takes the last.
            let stays = gaps.rev().max_by_key(|gap| strength(&text[gap.clone()])).expect("a gap on either side");
            [before..stays.start, stays.end..after]
        }
    }
}

/// How far a gap parts what is around it: by lines, by white space, or not at all.
fn strength(gap: &str) -> (usize, bool) {
    (gap.bytes().filter(|&byte| byte == b'\n').count(), !gap.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::Range;

    use proptest::prelude::*;

    use super::super::{Division, SpanKind, Spans, Unit};
    use super::shrink_to_words;

    #[test]
    fn ranges_shrink_to_whole_words() {
        let check = |text: &str, range: Range<usize>, expected: &str| {
            assert_eq!(&text[shrink_to_words(text, range.clone())], expected, "{text:?} {range:?}");
        };
        check("the tide is out", 0..15, "the tide is out");
        check("the tide is out", 2..13, "tide is ");
        check("the tide is out", 3..8, " tide");
        check("the tide is out", 4..8, "tide");
        check("the (tide) is out", 4..11, "(tide) ");
        check("Go. the tide-is", 2..13, "the tide-");
        check("Go.the tide-is", 2..12, "the tide-");
        check("the \n\n tide \nis out", 3..14, "tide \n");
        check("the tide is out", 5..7, "");
        check("a-b", 1..2, "");
        check("潮汐潮", 1..8, "汐");
        check("", 0..0, "");
    }

    const KINDS: [SpanKind; 4] =
        [SpanKind::Lines, SpanKind::Paragraphs, SpanKind::Sentences { n: 1 }, SpanKind::Sentences { n: 3 }];

    /// The readable twin: writes the parts that stay, each after the strongest of the gaps since the last one.
    fn twin(division: &Division<'_>, is_cut: impl Fn(usize) -> bool) -> String {
        let (text, parts) = (division.text, &division.parts);
        let stays: Vec<usize> = (0..parts.len()).filter(|&number| !is_cut(number)).collect();
        let [first, .., last] = stays[..] else {
            let Some(&only) = stays.first() else { return String::new() };
            return format!("{}{}{}", around(division).0, &text[parts[only].clone()], around(division).1);
        };
        let mut left = around(division).0.to_owned();
        left.push_str(&text[parts[first].clone()]);
        for pair in stays.windows(2) {
            let mut strongest = "";
            for number in pair[0]..pair[1] {
                let gap = &text[parts[number].end..parts[number + 1].start];
                let rank = |gap: &str| (gap.matches('\n').count(), gap.len().min(1));
                strongest = if rank(gap) > rank(strongest) { gap } else { strongest };
            }
            left.push_str(strongest);
            left.push_str(&text[parts[pair[1]].clone()]);
        }
        assert_eq!(stays.last(), Some(&last));
        left + around(division).1
    }

    /// What is before the first part and after the last.
    fn around<'t>(division: &Division<'t>) -> (&'t str, &'t str) {
        let (first, last) = (division.parts.first().unwrap(), division.parts.last().unwrap());
        (&division.text[..first.start], &division.text[last.end..])
    }

    fn check(kind: SpanKind, text: &str, copies: &[usize], expected: &str) {
        let division = Spans { kind, min_words: 0 }.divide(text);
        let edit = division.cut(|unit| copies.contains(&unit.number)).expect("copies");
        assert_eq!(edit.text, expected, "{text:?} without {copies:?}");
    }

    #[test]
    fn white_space_is_as_if_the_part_had_not_been() {
        check(SpanKind::Lines, "A\nB\n\nC\n", &[1], "A\n\nC\n");
        check(SpanKind::Lines, "A\n\nB\nC\n", &[1], "A\n\nC\n");
        check(SpanKind::Lines, "A\n\nB\n\nC\n", &[1], "A\n\nC\n");
        check(SpanKind::Lines, "A\r\nB\r\n  C", &[1], "A\r\n  C");
        check(SpanKind::Lines, "A\r\nB\r\nC", &[2], "A\r\nB");
        check(SpanKind::Lines, "\n A\nB\n", &[0], "\nB\n");
        check(SpanKind::Lines, "A\nB\n", &[0, 1], "");
        check(SpanKind::Lines, "A\nB\n\nC\nD", &[1, 2], "A\n\nD");
        check(SpanKind::Paragraphs, "A\nB\n \nC\n\n\nD", &[1], "A\nB\n\n\nD");
        check(SpanKind::Paragraphs, "A\n\nB", &[1], "A");
        check(SpanKind::Sentences { n: 1 }, "It is. So is it. Is it? Yes.", &[1, 2], "It is. Yes.");
        check(SpanKind::Sentences { n: 1 }, "It is. So it is.\nIs it?", &[1], "It is.\nIs it?");
        check(SpanKind::Sentences { n: 2 }, "It is. *** So is it. Yes\n  No.", &[1], "It is. ***\n  No.");
    }

    #[test]
    fn a_unit_has_words() {
        let units = |kind, text: &str| Spans { kind, min_words: 0 }.divide(text).units().len();
        assert_eq!(units(SpanKind::Lines, "A\n***\n\n\u{3000}\nB"), 2);
        assert_eq!(units(SpanKind::Sentences { n: 3 }, "One. Two. ***"), 0);
        assert_eq!(units(SpanKind::Sentences { n: 3 }, "... One. Two. *** Three."), 1);
        assert_eq!(Spans::of_kind(SpanKind::Lines).divide("one two three four five six seven").units(), []);
    }

    #[test]
    fn parts_that_are_touched() {
        let text = "It is. So is it.\nIs it? Yes.";
        let check = |ranges: &[Range<usize>], expected: Option<&str>| {
            let edit = Spans { kind: SpanKind::Sentences { n: 3 }, min_words: 0 }.divide(text).cut_touched(ranges);
            assert_eq!(edit.map(|edit| edit.text).as_deref(), expected, "{ranges:?}");
        };
        check(&[], None);
        check(&[6..7, 9..9], None);
        check(std::slice::from_ref(&(5..6)), Some("So is it.\nIs it? Yes."));
        check(&[20..21, 12..20], Some("It is.\nYes."));
        check(&[0..28, 3..4], Some(""));
    }

    /// Texts whose lines, gaps and sentences are of all kinds.
    fn texts() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            proptest::sample::select(vec![
                "It is. ",
                "Is it?",
                "So",
                " ",
                "\n",
                "\n\n",
                "\r\n",
                "\t",
                "***",
                "一。",
                "\u{a0}",
                "  ",
                "no (yes!) ",
                "\u{2028}",
                "\u{1c}",
                "A.\n",
            ]),
            0..25,
        )
        .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn cut_as_the_twin_cuts(text in texts(), chosen: BTreeSet<u8>, kind in 0usize..4) {
            let division = Spans { kind: KINDS[kind], min_words: 0 }.divide(&text);
            let is_copy = |number: usize| chosen.contains(&(number as u8 % 16));
            let Some(edit) = division.cut(|unit| is_copy(unit.number)) else {
                prop_assert!(!division.units.iter().any(|unit| is_copy(unit.number)));
                return Ok(());
            };
            let holds = |unit: &Unit, part: usize| {
                (unit.number..unit.number + division.parts_per_unit).contains(&part)
            };
            let is_cut = |part: usize| division.units.iter().any(|unit| is_copy(unit.number) && holds(unit, part));
            prop_assert_eq!(&edit.text, &twin(&division, is_cut));

            // The text and what was cut make the original again.
            let mut original = edit.text.clone();
            edit.cut.iter().for_each(|range| original.insert_str(range.start, &text[range.clone()]));
            prop_assert_eq!(&original, &text);
            // Only white space goes with the parts, and the ranges are apart.
            for range in &edit.cut {
                let rest: String = (range.clone()).filter(|&at| text.is_char_boundary(at))
                    .filter(|&at| !(0..division.parts.len()).any(|part| is_cut(part) && division.parts[part].contains(&at)))
                    .filter_map(|at| text[at..].chars().next()).collect();
                prop_assert!(rest.chars().all(char::is_whitespace), "{:?}", rest);
            }
            prop_assert!(edit.cut.windows(2).all(|pair| pair[0].end < pair[1].start));
        }

        #[test]
        fn parts_and_white_space_are_the_text(text in texts(), kind in 0usize..4) {
            let division = Spans { kind: KINDS[kind], min_words: 0 }.divide(&text);
            let mut at = 0;
            for part in &division.parts {
                prop_assert!(text[at..part.start].chars().all(char::is_whitespace));
                prop_assert!(part.start < part.end);
                at = part.end;
            }
            prop_assert!(text[at..].chars().all(char::is_whitespace));
        }

        /// As a crawler of duplicates would: each text once, with what came before it.
        #[test]
        fn no_copy_is_left(texts in proptest::collection::vec(texts(), 0..5), is_of_lines: bool) {
            let kind = if is_of_lines { SpanKind::Lines } else { SpanKind::Paragraphs };
            let spans = Spans { kind, min_words: 0 };
            let once = |texts: &[String]| -> Vec<String> {
                let mut seen = BTreeSet::new();
                let left = |text: &String| match spans.divide(text).cut(|unit| !seen.insert(unit.hash)) {
                    Some(edit) => edit.text,
                    None => text.clone(),
                };
                texts.iter().map(left).collect()
            };
            let left = once(&texts);
            prop_assert_eq!(&once(&left), &left);
        }

        #[test]
        fn touched_as_each_range_touches(text in texts(), ranges: Vec<(u8, u8)>, kind in 0usize..4) {
            let division = Spans { kind: KINDS[kind], min_words: 0 }.divide(&text);
            let ranges: Vec<_> = ranges.iter().map(|&(a, b)| usize::from(a.min(b)) % 60..usize::from(a.max(b)) % 60).collect();
            let is_touched = |part: usize| {
                let part = &division.parts[part];
                ranges.iter().any(|range| range.start.max(part.start) < range.end.min(part.end))
            };
            match division.cut_touched(&ranges) {
                Some(edit) => prop_assert_eq!(edit.text, twin(&division, is_touched)),
                None => prop_assert!(!(0..division.parts.len()).any(is_touched)),
            }
        }

        #[test]
        fn copies_are_equal_words(a in "[abAB .\n]{0,12}", b in "[abAB .\n]{0,12}") {
            let lines = Spans { kind: SpanKind::Paragraphs, min_words: 0 };
            let of = |text: &str| -> Vec<String> {
                lines.divide(text).units.iter().map(|unit| {
                    let words = |c: char| !c.is_alphanumeric();
                    text[unit.bytes.clone()].to_lowercase().split(words).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
                }).collect()
            };
            let hashes = |text: &str| -> Vec<u64> { lines.divide(text).units.iter().map(|unit| unit.hash).collect() };
            for (x, x_hash) in of(&a).iter().zip(hashes(&a)) {
                for (y, y_hash) in of(&b).iter().zip(hashes(&b)) {
                    prop_assert_eq!(x == y, x_hash == y_hash);
                }
            }
        }
    }
}
