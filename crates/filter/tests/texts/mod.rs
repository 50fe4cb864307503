//! Texts made to meet every branch of the rules: prose, lists, boilerplate, code, other scripts, broken and random ones.

#[path = "../../../../tests/support/random_texts.rs"]
mod random_texts;

use random_texts::Random;

/// About 1 MB of texts with URLs, the same in each run.
pub fn all() -> Vec<(String, String)> {
    let mut random = Random(20_260_101);
    let mut texts: Vec<String> = EDGES.iter().map(|&text| text.to_owned()).collect();
    for n in 0..900 {
        texts.push(match n % 6 {
            0 => prose(&mut random, 200),
            1 => page(&mut random),
            2 => repetitive(&mut random),
            3 => mangled(&mut random),
            4 => random_unicode(&mut random),
            _ => prose(&mut random, 30),
        });
    }
    texts.into_iter().map(|text| (text, url(&mut random))).collect()
}

/// Writes the texts, for the scripts beside the golden files, to the file that `WEBTEXT_WRITE_TEXTS` names, if it does.
#[allow(dead_code, reason = "parity.rs writes them with their URLs")]
pub fn write(texts: &[(String, String)]) {
    random_texts::write(texts.iter().map(|(text, _)| text));
}

const EDGES: &[&str] = &[
    "",
    " ",
    "\n",
    "\n\n\n",
    "a",
    ".",
    "...",
    "…",
    "#",
    "•",
    "{",
    "word",
    "one two.",
    "\u{a0}",
    "\u{1c}",
    "\r\n",
    "\u{2028}",
    "[1] [2] [3]",
    "[1] [2] [3].",
    "One two three.  [1]",
    "One two three. [1] \"",
    "  One two three.\n\n\nOne two three.  ",
    "lorem ipsum dolor sit.\nfunction() { return; } is code.",
    "Code is { here. Yes.\nLorem Ipsum dolor sit.",
    "We use coo\u{212a}ies on this page.",
    "Please enable Java[1]Script to go on.",
    "JAVASCRİPT is a word here.",
    "Terms of Use and more.\nOur Privacy Policy is here.",
    "Bloody hell, darn it.",
    "darning needles, heck_no, 5-pin plugs, étron.",
    "Mail a.b@c.de or x!y@[1.2.3.4] or a@b, at 8.8.8.8, 10.1.2.3, 999.1.1.1, 01.2.3.4, 1.2.3.4.5.6.7.8.",
    "שלום\"ר עב'ד ע\"ב' can't rock'n'roll a:b c::d 1.2.3,4 1,a a.1 a.b. _x_1 x_ カタカナ_ひらがな漢字 e\u{301}\u{200d}é \r\n\u{301}a\n\u{301}b",
    "🇩🇪🇫🇷🇪 👩\u{200d}👩\u{200d}👧 a\u{200d}👧 ❤\u{fe0f} 1\u{fe0f}\u{20e3} ①② ½ a\u{ad}b a\u{200b}b ภาษาไทย 한국어 \u{3000}\u{3000} x  \u{2003}\u{2003}y",
    "● One . . .\n• Two ...\n * Three…\n- Four. . .\n‣ Five\n▪ Six. . . .\n– Seven ……\n\n \n....... # ##",
    "THE Tide AND the sea. Then The \u{212a}ITE wITH ſtorms of TO.",
    "a b a b a bb a bb c dd c dd a b. Storms at noon. Storms at noon.",
    "ΟΔΟΣ ΟΔΟΣ. ΟΔΟΣ\nΣ Ⓐ ⒷC ǅ Aǅ ÉÀ Ⅷ İI ıı LOREM IPSUM lorem ıpſum LOREM İPSUM {}{ JavaScript javascript's \u{1e9e}",
    "三 五百 12 ½ ٣ ⑫ 〇 Ⅻ 零 a\u{323}\u{307} a\u{307}\u{323} ẛ̣ 한 \u{1fef} \u{37e} \u{2000}x\u{2001}\u{10efd}\u{301} \u{10d50}\u{10d70} \u{a7cb}",
    "é@b.com ²a@b.co.uk _@x.yz .@x.yz a..b@x.yz a@b.c- a@b.-c a@-b.c a@[1.2.3.x:] !@a.bc x!@a.bc",
];

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "the", "be", "to", "of", "and", "that", "have", "with", "The", "harbour", "master", "said", "crane", "would", "n't",
    "don't", "storms", "winter", "sea", "at", "noon", "they're", "cannot", "a", "I", "1,200", "3.5%", "U.S.", "e.g.",
    "ships", "well-known", "ferry", "Dr.", "boats", "tide", "and/or", "café", "naïve", "—", "…", "“quay”", "pier", "it",
];
const MARKS: &[&str] =
    &[". ", ". ", ". ", "? ", "! ", ", ", "; ", ".\" ", "... ", ".\n", ".\n", ".\n\n", " - ", ".  ", ": "];

fn prose(random: &mut Random, words: usize) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(words) {
        text.push_str(random.of(WORDS));
        text.push_str(if random.below(9) == 0 { random.of(MARKS) } else { " " });
    }
    text
}

#[rustfmt::skip]
const LINES: &[&str] = &[
    "Home", "About us", "• First item", "- Second item", "* Third", "Read more...", "Continue reading…", "#tag #other #more",
    "Copyright 2014", "We use cookies to make this page better.", "JavaScript must be enabled to see this page.",
    "Lorem ipsum dolor sit amet, so it goes on.", "if (x) { return 1; }", "See the town's history.[12][edit]",
    "\"That is all,\" she said.", "It was 'so'", "12 34 56 78", "Σίσυφος ἔβαλεν.", "これは文です。次の文です。", "यह एक वाक्य है।",
    "Sign in", "Sign-in to go on", "3 items in cart now", "Read more...", "12 LIKES", "1,2k shares!", "SHOUTED IN CAPITALS", "١٢٣", "①②", "ITEMS İN CART",
    "!!!", "<b>bold</b>", "2014-05-06", "See our privacy policy for more.", "write to me@example.org today.",
    "The server at 8.8.4.4 is down.", "Ask them [citation needed] about the tide[3].", "Nobody knew.  \"", "   indented   text   ",
];

fn page(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(40) {
        match random.below(3) {
            0 => text.push_str(&prose(random, 40)),
            _ => text.push_str(random.of(LINES)),
        }
        text.push_str(
            random.of(&["\n", "\n", "\n", "\n\n", "\n\n\n", "\r\n", " ", "\u{85}", "\u{2028}", "\x0c", "\n\t"]),
        );
    }
    text
}

fn repetitive(random: &mut Random) -> String {
    let phrases: Vec<String> = (0..2 + random.below(4)).map(|_| prose(random, 14)).collect();
    (0..random.below(40)).map(|_| phrases[random.below(phrases.len())].as_str()).collect()
}

fn mangled(random: &mut Random) -> String {
    let text = page(random);
    let signs =
        ['.', ' ', '\n', '"', '\'', '#', '[', ']', '{', '@', '…', '\u{a0}', '\u{1f}', '\u{200b}', 'é', '１', '-'];
    random_texts::mangled(random, &text, &signs)
}

fn random_unicode(random: &mut Random) -> String {
    random_texts::random_unicode(random, 600, |random| (random.below(5) == 0).then_some(' '))
}

fn url(random: &mut Random) -> String {
    let scheme = random.of(&["http://", "https://", "//", "", "ftp://", "HTTP://", "ht tp://"]);
    let user = random.of(&["", "", "", "me@", "me:x@y@"]);
    let host = random.of(&[
        "example.com",
        "www.bad.com",
        "BAD.com",
        "host.example.org",
        "a.host.example.org",
        "x.blocked.co.uk",
        "co.uk",
        "localhost",
        "evil.github.io",
        "other.github.io",
        "127.0.0.1",
        "[::1]",
        "a..com",
        ".bad.com",
        "bad.com.",
        "b.ck",
        "www.ck",
        "x.y.ck",
        "bad。com",
        "xn--e1afmkfd.xn--p1ai",
        "münchen.de",
        "a.b.kawasaki.jp",
        "city.kawasaki.jp",
        "foo.unknowntld",
        "x.compute.amazonaws.com",
    ]);
    let port = random.of(&["", "", ":80", ":"]);
    let path = random.of(&[
        "",
        "/",
        "/forbidden",
        "/foo/bar",
        "/FOO",
        "/gambling",
        "/cheap-win",
        "/cheap/cheap",
        "/win_prize",
        "/ca-sino",
        "/w.a.r.e.z",
        "?q=foo",
        "#foo",
        "/a%20foo",
    ]);
    format!("{scheme}{user}{host}{port}{path}")
}
