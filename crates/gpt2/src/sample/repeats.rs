//! Detects that a text has begun to repeat itself.

/// Longest cycle that is looked for, in tokens.
const LONGEST_CYCLE: usize = 64;

/// Watches tokens for a cycle that has run a number of times without a break.
pub(crate) struct Repeats {
    times: usize,
    tokens: Vec<u32>,
    /// For a cycle of `i + 1` tokens: how many of the last tokens equal the one so far before them.
    matches: [usize; LONGEST_CYCLE],
}

impl Repeats {
    /// Looks for cycles that run `times` times; for 0 and 1, never finds one.
    pub(crate) fn new(times: usize) -> Repeats {
        Repeats { times, tokens: Vec::new(), matches: [0; LONGEST_CYCLE] }
    }

    /// Adds a token; true when the last tokens are a cycle of at most 64, often enough. Time O(64).
    pub(crate) fn push(&mut self, token: u32) -> bool {
        if self.times < 2 {
            return false;
        }
        for (before, matches) in self.tokens.iter().rev().zip(&mut self.matches) {
            *matches = if *before == token { *matches + 1 } else { 0 };
        }
        self.tokens.push(token);
        // A cycle that ran `times` times equals the text one turn earlier for all turns but one.
        self.matches.iter().enumerate().any(|(i, &matches)| matches >= (i + 1) * (self.times - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tokens: &[u32], times: usize, expected: Option<usize>) {
        let mut repeats = Repeats::new(times);
        assert_eq!(tokens.iter().position(|&token| repeats.push(token)), expected, "{tokens:?}");
    }

    #[test]
    fn cycles_are_found_when_their_last_turn_ends() {
        check(&[1, 2, 2, 2, 2], 3, Some(3));
        check(&[5, 1, 2, 1, 2, 1, 2], 3, Some(6));
        check(&[1, 2, 3, 1, 2, 3], 2, Some(5));
        check(&[1, 2, 3, 1, 2, 4, 1, 2, 3], 2, None);
        check(&[7; 9], 0, None);
        check(&[7; 9], 1, None);
        let long: Vec<u32> = (0..64).chain(0..64).collect();
        check(&long, 2, Some(127));
        let longer: Vec<u32> = (0..65).chain(0..65).collect();
        check(&longer, 2, None);
    }
}
