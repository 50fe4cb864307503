//! Blocks against scanners.

use proptest::prelude::*;

use super::*;
use crate::simd::{WithKernel, each_kernel};

/// Collects the pretokens of a text.
struct Collected<'t> {
    text: &'t str,
    pattern: KnownPattern,
    pretokens: Vec<&'t str>,
    /// Pretokens that no block had.
    single: usize,
}

impl Visitor for &mut Collected<'_> {
    fn block(&mut self, at: usize, block: &[u8; BLOCK_BYTES], mut ends: u64) {
        assert_eq!(block, &self.text.as_bytes()[at..at + BLOCK_BYTES]);
        let mut start = at;
        while ends != 0 {
            let end = at + ends.trailing_zeros() as usize;
            ends &= ends - 1;
            self.pretokens.push(&self.text[start..end]);
            start = end;
        }
    }

    fn single(&mut self, at: usize, pretoken: &[u8]) {
        self.single += 1;
        self.pretokens.push(&self.text[at..at + pretoken.len()]);
    }
}

impl WithKernel for &mut Collected<'_> {
    type Output = ();

    fn run<K: Kernel>(mut self) {
        self.pretokens.clear();
        self.single = 0;
        visit::<K>(self.pattern, self.text, &mut self);
    }
}

/// Compares with the scanners, with every kernel; returns the share of pretokens that blocks had.
fn check(pattern: KnownPattern, text: &str) -> f64 {
    let (scanner, mut expected, mut at) = (Scanner::new(text), Vec::new(), 0);
    while at < text.len() {
        let end = scanner.end(pattern, at);
        expected.push(&text[at..end]);
        at = end;
    }
    let mut collected = Collected { text, pattern, pretokens: Vec::new(), single: 0 };
    each_kernel(&mut collected, |collected| assert_eq!(collected.pretokens, expected, "{pattern} on {text:?}"));
    1.0 - collected.single as f64 / expected.len().max(1) as f64
}

fn check_all(text: &str) {
    for pattern in KnownPattern::ALL {
        check(pattern, text);
    }
}

/// Each hard place at every distance from a block's end.
#[test]
fn hard_places_at_every_place_of_a_block() {
    for hard in [
        "don't'S 's's ''re '",
        "  x",
        "\n\nx",
        " \u{a0}x",
        "é",
        "\u{3000}\u{3000}a",
        "1a1",
        "a\n \n  b.\n\n c",
        ".\n/x",
        "12345678",
        "1²3²",
        "中文ABCd",
        "e\u{301}E",
        "❤\u{fe0f}",
        "aB.b..c .d",
        "HTTPServer's",
        "«été»",
        "  \n",
        "😀x",
    ] {
        for before in 0..80 {
            let text = "a ".repeat(before / 2) + &"b".repeat(before % 2) + hard + &" and so on".repeat(12);
            check_all(&text);
            check_all(&text.replace('b', "ю"));
        }
    }
}

/// Blocks are of no use if scanners do the work.
#[test]
fn blocks_have_nearly_all_pretokens() {
    let texts = [
        "The ferry didn't leave before 10:45, and nobody on board minded; \"why should they?\"\n\nIt rained.\n",
        "Паром не ушёл до 10:45, и никто на борту не возражал — почему бы и нет?\n\nШёл дождь.\n",
        "渡轮在10点45分之前没有离开，船上也没有人介意。为什么要介意呢？下雨了。\n",
        "नौका 10:45 से पहले नहीं निकली, और किसी को कोई आपत्ति नहीं थी। बारिश हो रही थी।\n",
        "    if let Some(x) = self.next() {\n        return Err(Error::new(x));\n    }\n",
    ];
    for text in texts {
        for pattern in KnownPattern::ALL.into_iter().filter(|&pattern| pattern != KnownPattern::DeepSeek3) {
            let share = check(pattern, &text.repeat(40));
            assert!(share > 0.95, "{pattern}: {share} of {text:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn on_any_text(text in "\\PC{0,300}|(.|\n){100,300}") {
        check_all(&text);
    }

    #[test]
    fn on_text_of_few_characters(text in "[ a'slLrREvedSAZ\n\r1.é/\t\u{17f}\u{301}中ʰǅ\u{0}\u{a0}_²\u{3000}Ж»😀]{80,400}") {
        check_all(&text);
    }

    #[test]
    fn on_words(text in "(([ \n]|  |\r\n)?[A-Z]?[a-zж中ा]{0,9}('s|[.,]|\u{2019}t|[0-9]{1,7})?){20,60}") {
        check_all(&text);
    }
}
