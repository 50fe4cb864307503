//! Texts made to meet every branch of what edits them: prose that repeats, lists, furniture, other scripts, random ones.

#[path = "../../../../tests/support/random_texts.rs"]
mod random_texts;

use random_texts::Random;

/// About 2 MB of texts, the same in each run.
pub fn all() -> Vec<String> {
    let mut random = Random(20_261_128);
    let mut texts: Vec<String> = EDGES.iter().map(|&text| text.to_owned()).collect();
    for n in 0..400 {
        texts.push(match n % 5 {
            0 | 1 => page(&mut random, 30),
            2 => page(&mut random, 8),
            3 => mangled(&mut random),
            _ => random_unicode(&mut random),
        });
    }
    // The characters of the first two planes, so that classes and case are those of the peer. U+1171E, a
    // mark, is no longer one that sigma takes no notice of.
    for block in 0..0x80 {
        let chars = (block * 1024..(block + 1) * 1024).filter(|&code| code != 0x1171e).filter_map(char::from_u32);
        texts.push(chars.map(|c| format!("a{c}Σ{c} 1{c}2 {c}\n")).collect());
    }
    texts
}

/// Writes the texts, for the scripts beside the golden files, to the file that `WEBTEXT_WRITE_TEXTS` names, if it does.
pub fn write(texts: &[String]) {
    random_texts::write(texts.iter());
}

const EDGES: &[&str] = &[
    "",
    " ",
    "\n",
    "\n\n\n",
    "a",
    ".",
    "...",
    "One. Two. Three.",
    "One. Two. Three. ",
    " One. Two. Three.\n",
    "One. Two. Three.\n\nFour.\n\n",
    "One.  Two.\u{a0}Three.\u{2003}Four. Five.",
    "\n\n One. Two. Three. Four.",
    "... !!! ??? ... !!! ???",
    "— — —\n…\n\n\n\n—\n.",
    "a\r\nb\rc\n\nd\x0be\x0cf\x1cg\x1dh\x1ei\x1fj\u{85}k\u{2028}l\u{2029}m\n",
    "\r\n\r\n\r\n",
    "\u{301}\n\u{301} \u{301}.\na\u{301} \u{301} b\n",
    "ΟΔΟΣ ΟΔΟΣ. ΟΔΟΣ\nΣ ΑΣ: ΑΣ:Α ΑΣ.Α ΑΣ'Α ΑΣ\u{ad}Α ΑΣ\u{301}Α ΑΣ1 1Σ Ⓐ ⒷC ǅ Aǅ ÉÀ Ⅷ İI ıı",
    "12 1,234.5 1.2.3 ٣٫١ 1،2 1⎖2⎗3⎘4 1. .1 1,a a.1 １２．３ ②½ 12,345,678",
    "Mr. Smith paid $5.00 (U.S.). He left. \"Why?\" she asked. \"Because!\" And so on...",
];

#[rustfmt::skip]
const SENTENCES: &[&str] = &[
    "The harbour master said the crane would be gone by noon.", "They're closed in winter!", "Is the ferry late?",
    "Storms at sea.", "storms, at SEA", "We paid 1,200 dollars (about 3.5%) for it.", "We paid 900 dollars (about 12%) for it.",
    "Dr. Tide lives in the U.S. and e.g. sails.", "Home", "About us", "Read more...", "Comments", "Copyright 2014",
    "We use cookies to make this page better.", "“Quay” — he said — “café naïve”.", "Yes.", "No!", "\"That is all,\" she said.",
    "これは文です。次の文です。", "यह एक वाक्य है।", "Σίσυφος ἔβαλεν ΛΙΘΟΣ.", "12 34 56 78", "...", "!!!", "***", "…", "— —", "(a) b)",
    "See the town's history.[12][edit]", "Posted on 12 May 2014 at 10:45", "She bought 3 boats?", "The tide is out",
    "Nobody knew why the boats had gone out on that night, but everyone had seen the lights.", "x", "It isn't.", "p.m.",
];
const GAPS: &[&str] = &[
    " ", " ", " ", " ", "\n", "\n", "\n\n", "  ", "\n\n\n", "\r\n", "", "\t", "\u{a0}", "\u{2028}", "\x0c", "\n \n",
    "\x1c",
];

fn page(random: &mut Random, sentences: usize) -> String {
    let mut text = String::new();
    for _ in 0..random.below(sentences) {
        text.push_str(random.of(SENTENCES));
        text.push_str(random.of(GAPS));
    }
    text
}

fn mangled(random: &mut Random) -> String {
    let text = page(random, 30);
    let signs = ['.', ' ', '\n', '"', '\'', '[', '…', '\u{a0}', '\u{1f}', '\u{200b}', 'é', '１', '-', '!'];
    random_texts::mangled(random, &text, &signs)
}

fn random_unicode(random: &mut Random) -> String {
    random_texts::random_unicode(random, 300, |random| match random.below(20) {
        0..=3 => Some(' '),
        4 => Some('.'),
        5 => Some('\n'),
        _ => None,
    })
}
