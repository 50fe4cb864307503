//! BLEU (Papineni et al. 2002) of a corpus, as `sacrebleu` computes it by default: one reference, sequences of up to
//! four tokens, brevity penalty, tokenisation `13a`, case kept, smoothing `exp`.

use super::{common, counts_of};

/// Longest sequence of tokens that is compared.
const ORDER: usize = 4;

/// BLEU of pairs of what was found and what was expected, 0 to 100.
///
/// Matches and lengths are summed over all pairs before they are divided. Where no sequence of a length matches,
/// smoothing takes 1/2 of a match, 1/4 where that comes a second time, and so on.
///
/// ```
/// # use gpt2_lab::evaluate::metrics::corpus_bleu;
/// assert!((corpus_bleu([("The cat sat on it.", "The cat sat on it.")]) - 100.0).abs() < 1e-9);
/// ```
pub fn corpus_bleu<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> f64 {
    let (mut right, mut all) = ([0u64; ORDER], [0u64; ORDER]);
    let (mut found_length, mut expected_length) = (0u64, 0u64);
    for (found, expected) in pairs {
        let (found, expected) = (tokens_13a(found), tokens_13a(expected));
        for n in 1..=ORDER {
            right[n - 1] += common(&found, &expected, n);
            all[n - 1] += counts_of(&found, n).values().sum::<u64>();
        }
        found_length += found.len() as u64;
        expected_length += expected.len() as u64;
    }
    if right == [0; ORDER] || all.contains(&0) {
        return 0.0;
    }
    let mut share_of_match = 1.0;
    let log_precision = |(&right, &all): (&u64, &u64)| {
        if right > 0 {
            return (right as f64 / all as f64).ln();
        }
        share_of_match /= 2.0;
        (share_of_match / all as f64).ln()
    };
    let mean = right.iter().zip(&all).map(log_precision).sum::<f64>() / ORDER as f64;
    let brevity = (1.0 - expected_length as f64 / found_length as f64).min(0.0);
    100.0 * (mean + brevity).exp()
}

/// The tokens of mteval-v13a: ASCII punctuation is a token of its own, except apostrophes, and full stops, commas and
/// hyphens inside numbers or words.
fn tokens_13a(text: &str) -> Vec<String> {
    let text = text.trim_end().replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let mut apart = String::from(" ");
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '\'' | ',' | '-' | '.') {
            apart.extend([' ', c, ' ']);
        } else {
            apart.push(c);
        }
    }
    apart.push(' ');
    let is_stop = |c: char| matches!(c, '.' | ',');
    let text = replace_pairs(&apart, |a, b| !a.is_ascii_digit() && is_stop(b), |a, b| vec![a, ' ', b, ' ']);
    let text = replace_pairs(&text, |a, b| is_stop(a) && !b.is_ascii_digit(), |a, b| vec![' ', a, ' ', b]);
    let text = replace_pairs(&text, |a, b| a.is_ascii_digit() && b == '-', |a, b| vec![a, ' ', b, ' ']);
    text.split_whitespace().map(str::to_owned).collect()
}

/// Replaces pairs of neighbours from left to right, no character in two of them: what a regular expression does.
fn replace_pairs(text: &str, is_pair: impl Fn(char, char) -> bool, by: impl Fn(char, char) -> Vec<char>) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(a) = characters.next() {
        match characters.next_if(|&b| is_pair(a, b)) {
            Some(b) => replaced.extend(by(a, b)),
            None => replaced.push(a),
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let check = |text: &str, expected: &str| assert_eq!(tokens_13a(text).join(" "), expected, "{text:?}");
        check("Hello, world!", "Hello , world !");
        check("It's 1,000.5 km-long.", "It's 1,000.5 km-long .");
        check("a &quot;b&quot; (c)", "a \" b \" ( c )");
        check("1-2 and...", "1 - 2 and . . .");
        check("", "");
    }
}
