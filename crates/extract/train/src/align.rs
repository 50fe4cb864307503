//! Finds which of a page's words the annotators kept, by aligning the page's words with the gold text's.

use std::collections::HashMap;

/// Words as the scorer counts them: runs of letters, digits and `_`; letters of scripts without spaces alone.
pub fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut from = None;
    for (at, c) in text.char_indices() {
        let is_word = c.is_alphanumeric() || c == '_';
        let alone = matches!(c, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}');
        if let Some(start) = from
            && (!is_word || alone)
        {
            tokens.push(&text[start..at]);
            from = None;
        }
        if alone {
            tokens.push(&text[at..at + c.len_utf8()]);
        } else if is_word && from.is_none() {
            from = Some(at);
        }
    }
    if let Some(start) = from {
        tokens.push(&text[start..]);
    }
    tokens
}

/// Lengths of the runs that are looked for as anchors, longest first.
const ANCHOR_LENGTHS: [usize; 4] = [5, 3, 2, 1];
/// Gaps of up to this many pairs of words are aligned word by word.
const MAX_PAIRS: usize = 1 << 20;

/// For each word of the page, whether it is in the gold text.
///
/// Runs that stand once in both are anchors where they keep their order; the gaps between anchors are aligned
/// with shorter runs, small gaps by their longest common subsequence.
pub fn kept(page: &[&str], gold: &[&str]) -> Vec<bool> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut number = |word| {
        let next = numbers.len() as u32;
        *numbers.entry(word).or_insert(next)
    };
    let page: Vec<u32> = page.iter().map(|word| number(word)).collect();
    let gold: Vec<u32> = gold.iter().map(|word| number(word)).collect();
    let mut kept = vec![false; page.len()];
    let mut gaps = vec![(0, page.len(), 0, gold.len(), 0)];
    while let Some((mut a, mut a_end, mut b, mut b_end, level)) = gaps.pop() {
        while a < a_end && b < b_end && page[a] == gold[b] {
            kept[a] = true;
            (a, b) = (a + 1, b + 1);
        }
        while a < a_end && b < b_end && page[a_end - 1] == gold[b_end - 1] {
            kept[a_end - 1] = true;
            (a_end, b_end) = (a_end - 1, b_end - 1);
        }
        if a == a_end || b == b_end {
            continue;
        }
        if level == ANCHOR_LENGTHS.len() {
            if (a_end - a) * (b_end - b) <= MAX_PAIRS {
                common_subsequence(&page[a..a_end], &gold[b..b_end], &mut kept[a..a_end]);
            }
            continue;
        }
        let anchors = anchors(&page[a..a_end], &gold[b..b_end], ANCHOR_LENGTHS[level]);
        if anchors.is_empty() {
            gaps.push((a, a_end, b, b_end, level + 1));
            continue;
        }
        let (mut from_a, mut from_b) = (a, b);
        for (at_a, at_b) in anchors {
            let (at_a, at_b) = (a + at_a, b + at_b);
            if at_a < from_a || at_b < from_b {
                continue;
            }
            gaps.push((from_a, at_a, from_b, at_b, level));
            let (mut end_a, mut end_b) = (at_a, at_b);
            while end_a < a_end && end_b < b_end && page[end_a] == gold[end_b] {
                kept[end_a] = true;
                (end_a, end_b) = (end_a + 1, end_b + 1);
            }
            (from_a, from_b) = (end_a, end_b);
        }
        gaps.push((from_a, a_end, from_b, b_end, level));
    }
    kept
}

/// Positions of the runs that occur once in each, as the longest sequence that ascends in both.
fn anchors(page: &[u32], gold: &[u32], len: usize) -> Vec<(usize, usize)> {
    let mut places: HashMap<&[u32], (u32, u32, usize, usize)> = HashMap::new();
    for (at, run) in page.windows(len).enumerate() {
        let place = places.entry(run).or_insert((0, 0, at, 0));
        place.0 += 1;
    }
    for (at, run) in gold.windows(len).enumerate() {
        if let Some(place) = places.get_mut(run) {
            place.1 += 1;
            place.3 = at;
        }
    }
    let mut pairs: Vec<(usize, usize)> =
        places.values().filter(|place| place.0 == 1 && place.1 == 1).map(|place| (place.2, place.3)).collect();
    pairs.sort_unstable();
    // Longest ascending subsequence of the places in the gold.
    let mut tails: Vec<usize> = Vec::new();
    let mut before = vec![usize::MAX; pairs.len()];
    for (number, pair) in pairs.iter().enumerate() {
        let place = tails.partition_point(|&tail| pairs[tail].1 < pair.1);
        if place > 0 {
            before[number] = tails[place - 1];
        }
        if place == tails.len() {
            tails.push(number);
        } else {
            tails[place] = number;
        }
    }
    let mut chain = Vec::new();
    let mut at = tails.last().copied().unwrap_or(usize::MAX);
    while at != usize::MAX {
        chain.push(pairs[at]);
        at = before[at];
    }
    chain.reverse();
    chain
}

fn common_subsequence(page: &[u32], gold: &[u32], kept: &mut [bool]) {
    let width = gold.len() + 1;
    let mut lengths = vec![0u32; (page.len() + 1) * width];
    for a in (0..page.len()).rev() {
        for b in (0..gold.len()).rev() {
            lengths[a * width + b] = if page[a] == gold[b] {
                lengths[(a + 1) * width + b + 1] + 1
            } else {
                lengths[(a + 1) * width + b].max(lengths[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b) = (0, 0);
    while a < page.len() && b < gold.len() {
        if page[a] == gold[b] {
            kept[a] = true;
            (a, b) = (a + 1, b + 1);
        } else if lengths[(a + 1) * width + b] >= lengths[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(page: &str, gold: &str, expected: &str) {
        let (page, gold) = (tokens(page), tokens(gold));
        let kept = kept(&page, &gold);
        let found: Vec<&str> = page.iter().zip(kept).filter(|(_, kept)| *kept).map(|(word, _)| *word).collect();
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn words_of_the_gold_are_found_in_order() {
        check("home news the tide came in home about", "The tide came in", "tide came in");
        check("a b c x y z a b c d", "a b c d", "a b c d");
        check("menu one two three ad four five six menu", "one two three four five six", "one two three four five six");
        check("home", "", "");
        check("日本 x", "日本", "日 本");
    }
}
