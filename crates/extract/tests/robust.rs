//! Pages that are truncated, broken, hostile or huge, and what must hold for each of them (`golden/robust.md` numbers
//! the cases; comments here have these numbers).
//!
//! Which blocks are main text is learned, so there are two kinds of claims. What is certain must hold for any bytes:
//! see [`certain`]. What is obvious must hold for one plain article, see [`article`], however it is wrapped, broken or
//! encoded. Nothing is timed: sizes are bounded instead.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread;

use encoding_rs::{Encoding, GBK, UTF_8, WINDOWS_1251, WINDOWS_1252};
use extract::blocks::{BlockKind, blocks, is_invisible};
use extract::html::{self, Name, Namespace, ParseError, ParseOptions, ROOT, tag};
use extract::{ExtractError, Format, Inclusion, Options, Page, charset, extract, labels, with_analysis};
use proptest::prelude::*;

const TITLE: &str = "How the harbour was kept";

const OPENINGS: [&str; 10] = [
    "In the early morning",
    "After the long winter",
    "Before the market opened",
    "Without much warning",
    "On most quiet evenings",
    "Some years later",
    "For a good while",
    "During the second week",
    "Against all advice",
    "To everybody's surprise",
];
const PEOPLE: [&str; 12] = [
    "the old ferryman",
    "a retired teacher",
    "the baker's daughter",
    "one of the gardeners",
    "the youngest clerk",
    "the lighthouse keeper",
    "a travelling tailor",
    "the second mate",
    "the owner of the mill",
    "a nurse from the valley",
    "the harbour master",
    "our neighbour's son",
];
const DEEDS: [&str; 10] =
    ["carried", "repaired", "described", "painted", "counted", "sold", "guarded", "measured", "collected", "forgot"];
const THINGS: [&str; 12] = [
    "the wooden boats along the river",
    "a box of letters from the capital",
    "the broken clock above the gate",
    "all the nets that hung in the shed",
    "the maps of the northern coast",
    "some chairs for the new school",
    "the last barrels of salted fish",
    "a cart full of yellow apples",
    "the bells of the small chapel",
    "every lamp on the long pier",
    "the ropes of the heavy ferry",
    "a garden wall of loose stones",
];
const REASONS: [&str; 10] = [
    "because nobody else had found the time to do it.",
    "although the rain had not stopped for three days.",
    "and the whole street talked about it until autumn.",
    "while the children watched from the open window.",
    "so that the work was done before the snow came.",
    "but the money for it never arrived in the town.",
    "which was more than anyone had dared to hope.",
    "and then went home without saying a single word.",
    "until the council at last agreed to pay for it.",
    "as people in that part of the country always do.",
];

/// A sentence of some 20 words, another one for each number below 144,000.
fn sentence(number: usize) -> String {
    let mut rest = number * 7_919 % 144_000;
    let mut pick = |from: &[&'static str]| {
        let picked = from[rest % from.len()];
        rest /= from.len();
        picked
    };
    format!("{}, {} {} {}, {}", pick(&OPENINGS), pick(&PEOPLE), pick(&DEEDS), pick(&THINGS), pick(&REASONS))
}

fn sentences(count: usize) -> Vec<String> {
    (0..count).map(sentence).collect()
}

fn as_paragraphs(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| format!("<p>{sentence}</p>\n")).collect()
}

const NAV: &str = "<nav><ul><li><a href=/>Home</a></li><li><a href=/news>News</a></li><li><a href=/about>About us</a>\
    </li><li><a href=/contact>Contact</a></li></ul></nav>\n";
const FOOTER: &str = "<footer><p><a href=/privacy>Privacy</a> | <a href=/terms>Terms</a></p></footer>\n";

fn page_of(head: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=en>\n<head>{head}<title>{TITLE}</title></head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A page with navigation, an article of this inner HTML below its title, and a footer.
fn article_of(inner: &str) -> String {
    page_of("<meta charset=utf-8>", &format!("{NAV}<article><h1>{TITLE}</h1>\n{inner}</article>\n{FOOTER}"))
}

/// The plain article with these paragraphs.
fn article(paragraphs: &[String]) -> String {
    article_of(&as_paragraphs(paragraphs))
}

/// Its text.
fn text_of(paragraphs: &[String]) -> String {
    format!("{TITLE}\n\n{}", paragraphs.join("\n\n"))
}

/// Pseudo-random numbers, the same at each run (splitmix64).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// The defaults, changed.
fn options(change: impl FnOnce(&mut Options)) -> Options {
    let mut options = Options::default();
    change(&mut options);
    options
}

/// The page as `extract` gives it by default, after checking with every option what is certain for any bytes:
/// [`check_certain`], and that the same bytes give the same page.
fn certain(html: &[u8], content_type: Option<&str>) -> Result<Page, ExtractError> {
    let default = extract(html, content_type, &Options::default())?;
    let visible = visible_texts(html, content_type);
    check_certain(&default, &visible, Format::Text);
    // Large pages are not read nine times.
    let policies: &[Inclusion] =
        if html.len() < 100_000 { &[Inclusion::Keep, Inclusion::Drop] } else { &[Inclusion::Drop] };
    for &comments in policies {
        for &title in policies {
            let options = |format| {
                options(|options| (options.comments, options.title, options.format) = (comments, title, format))
            };
            let text = extract(html, content_type, &options(Format::Text))?;
            let markdown = extract(html, content_type, &options(Format::Markdown))?;
            check_certain(&text, &visible, Format::Text);
            check_certain(&markdown, &visible, Format::Markdown);
            let sources = |page: &Page| page.parts.iter().map(|part| part.source_offset).collect::<Vec<_>>();
            assert_eq!(sources(&text), sources(&markdown), "the format decides what is kept");
        }
    }
    assert_eq!(extract(html, content_type, &Options::default()).as_ref(), Ok(&default), "another page the second time");
    Ok(default)
}

/// Parts are non-empty pieces of the text in order, with nothing but marks between them; no part has a word that
/// the page does not show at that place; no long part stands there twice; no line ends in a blank and no two lines in a row are empty, save in
/// preformatted text.
fn check_certain(page: &Page, visible: &[String; 2], format: Format) {
    let marks = |gap: &str| match format {
        // Numbers and letters are those that the page gave to the items of a list.
        Format::Text => gap.split(['\n', '|']).all(|mark| {
            let mark = mark.trim();
            mark.is_empty()
                || mark == "-"
                || mark.len() <= 12
                    && mark.ends_with('.')
                    && mark.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        }),
        Format::Markdown => gap.chars().all(|c| " -|\n>#*`.0123456789".contains(c)),
    };
    let (mut end, mut texts) = (0, HashSet::new());
    for part in &page.parts {
        let gap = &page.text[end..part.range.start];
        assert!(marks(gap) && !gap.contains("\n\n\n"), "between two parts stands {gap:?}");
        assert!(gap.len() <= 64 || format == Format::Markdown, "{} bytes of marks", gap.len());
        end = part.range.end;
        let text = &page.text[part.range.clone()];
        assert!(!text.trim().is_empty(), "an empty part");
        let is_clean = !text.contains("\n\n") && text.split('\n').all(|line| !line.ends_with(char::is_whitespace));
        assert!(is_clean || part.kind == BlockKind::Preformatted, "white space in {text:?}");
        let may_repeat = matches!(part.kind, BlockKind::Preformatted | BlockKind::Heading(_));
        let is_long = text.split_whitespace().count() >= 20;
        assert!(texts.insert(text) || may_repeat || !is_long, "twice: {text:?}");
        assert!((0.0..=1.0).contains(&part.probability));
    }
    assert!(marks(&page.text[end..]), "at the end stands {:?}", &page.text[end..]);
    // Linked data is shown nowhere.
    if format == Format::Text && page.head.article_body.is_none() {
        let words = || page.parts.iter().flat_map(|part| page.text[part.range.clone()].split_whitespace());
        let missing = missing_word(&visible[0], words()).and_then(|_| missing_word(&visible[1], words()));
        assert_eq!(missing, None, "the page does not show it there:\n{:.2000}", page.text);
    }
    assert!(!page.text.contains('\0'));
    assert_eq!(page.replacement_characters, page.text.matches('\u{fffd}').count() as u64);
}

/// Characters that only tell where a word may be parted.
const NO_TEXT: [char; 4] = ['\u{ad}', '\u{200b}', '\u{2060}', '\u{feff}'];

/// Signs that are written between a number and its exponent, or a formula's parts.
const SIGNS: [char; 6] = ['^', '_', '(', ')', '{', '}'];

/// The texts of a page one after another: what is shown, and what is shown when scripts have shown the hidden.
fn visible_texts(html: &[u8], content_type: Option<&str>) -> [String; 2] {
    let source = html::with_plain_newlines(charset::decode(html, content_type).text);
    let tree = html::parse(&source, ParseOptions::default()).expect("what extract accepts");
    let hidden: HashSet<u32> = blocks(&tree).hidden.into_iter().map(|(id, _)| id).collect();
    [false, true].map(|with_hidden| {
        let (mut visible, mut at) = (String::new(), Some(ROOT));
        while let Some(id) = at {
            let name = tree.name(id);
            let is_code = name == tag::SCRIPT || name == tag::STYLE || name == Name::COMMENT;
            let is_shown = !is_code
                && (id == ROOT
                    || name == Name::CONTENT
                    || name == Name::TEXT
                    // Formulas are written from their markup.
                    || name.namespace() == Namespace::MathMl
                    || !is_invisible(&tree, id))
                && (with_hidden || !hidden.contains(&id));
            if name == Name::TEXT {
                let is_text = |c: &char| !NO_TEXT.contains(c) && (!c.is_control() || c.is_whitespace());
                visible.extend(tree.text(id).chars().filter(is_text));
            }
            at = tree.following(id, ROOT, is_shown);
        }
        visible
    })
}

/// The first of the words that is missing: each must be in the visible text after the one before.
fn missing_word<'a>(visible: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = 0;
    for word in words {
        match visible[seen..].find(word) {
            Some(at) => seen += at + word.len(),
            // Exponents, indices and formulas are written in another way than they are shown.
            None if word.contains(SIGNS) => {}
            None => return Some(word),
        }
    }
    None
}

#[track_caller]
fn text(html: impl AsRef<[u8]>) -> String {
    certain(html.as_ref(), None).expect("a page within the limits").text
}

#[track_caller]
fn check(html: impl AsRef<[u8]>, expected: &str) {
    let html = html.as_ref();
    let found = text(html);
    let shown = String::from_utf8_lossy(&html[..html.len().min(2_000)]);
    assert!(found == expected, "found\n{found:.2000}\n\nexpected\n{expected:.2000}\n\nin\n{shown}");
}

/// Every sentence is in the text once, in this order.
#[track_caller]
fn check_once_in_order(text: &str, sentences: &[String]) {
    let mut end = 0;
    for sentence in sentences {
        assert_eq!(text.matches(sentence.as_str()).count(), 1, "{sentence:?} in\n{text:.2000}");
        let at = text.find(sentence.as_str());
        assert!(at >= Some(end), "{sentence:?} is out of order in\n{text:.2000}");
        end = at.map_or(end, |at| at + sentence.len());
    }
}

/// All the sentences are in the text, or none is.
#[track_caller]
fn check_whole_or_empty(text: &str, sentences: &[String]) {
    let found = sentences.iter().filter(|sentence| text.contains(sentence.as_str())).count();
    assert!(found == 0 || found == sentences.len(), "{found} of {} paragraphs:\n{text}", sentences.len());
    if found > 0 {
        check_once_in_order(text, sentences);
    }
}

/// The pages of `tests/golden` by name.
fn golden_pages() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut pages: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .expect("a folder of the repository")
        .map(|entry| entry.expect("a file of it").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "html"))
        .map(|path| {
            let name = path.file_stem().expect("a name before .html").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("a file that can be read"))
        })
        .collect();
    pages.sort();
    assert!(pages.len() > 50);
    pages
}

#[test]
fn the_plain_article() {
    assert!((0..20_000).all(|number| sentence(number).split(' ').count() >= 15));
    for count in [2, 3, 5, 50] {
        check(article(&sentences(count)), &text_of(&sentences(count)));
    }
}

// Bytes and charsets.

/// Case 1.
#[test]
fn golden_pages_cut_anywhere() {
    // The page with formulas is left out: the twin of the check finds no single place for the parts of a cut formula.
    for (name, html) in golden_pages().into_iter().filter(|(name, _)| !name.contains("physics-notes")) {
        for len in (0..html.len()).step_by(97) {
            let page = extract(&html[..len], None, &Options::default()).unwrap();
            let decoded = charset::decode(&html[..len], None).text;
            assert!(page.text.len() <= decoded.len(), "{name} cut at {len}");
        }
        certain(&html, None).unwrap();
        certain(&html[..html.len() / 2], None).unwrap();
    }
}

/// Case 2.
#[test]
fn random_bytes() {
    let mut seeded = Seeded(2);
    let headers = [None, Some("utf-8"), Some("gbk"), Some("shift_jis"), Some("utf-16le"), Some("x-unknown")];
    for len in [0, 1, 2, 3, 100, 5_000, 65_536] {
        for charset in headers {
            // As they come, and with every fourth byte one that markup is made of.
            for markup in [&b""[..], b"<>/ =\"'&;!-pabdivtrl#x"] {
                let mut byte = |_| match seeded.below(4) {
                    0 if !markup.is_empty() => seeded.pick(markup),
                    _ => seeded.below(256) as u8,
                };
                let bytes: Vec<u8> = (0..len).map(&mut byte).collect();
                let content_type = charset.map(|charset| format!("text/html; charset={charset}"));
                let page = certain(&bytes, content_type.as_deref()).unwrap();
                assert!(Encoding::for_label(page.charset.as_bytes()).is_some(), "{}", page.charset);
            }
        }
    }
}

/// Case 3, on any page.
#[test]
fn golden_pages_with_one_byte_changed() {
    let mut seeded = Seeded(3);
    for (_, html) in golden_pages() {
        for _ in 0..50 {
            let mut changed = html.clone();
            changed[seeded.below(html.len())] = seeded.below(256) as u8;
            extract(&changed, None, &Options::default()).unwrap();
        }
    }
}

/// Case 3, on the plain article: a letter for a letter changes one line.
#[test]
fn a_letter_changed() {
    let mut seeded = Seeded(33);
    let paragraphs = sentences(5);
    for _ in 0..200 {
        let (mut changed, which) = (paragraphs.clone(), seeded.below(5));
        let letters: Vec<usize> =
            changed[which].char_indices().filter(|(_, c)| c.is_alphabetic()).map(|(at, _)| at).collect();
        let at = seeded.pick(&letters);
        let letter = seeded.pick(&["e", "x", "Q", "z"]);
        changed[which].replace_range(at..=at, letter);
        check(article(&changed), &text_of(&changed));
    }
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

/// Case 4.
#[test]
fn byte_order_marks_win() {
    let (paragraphs, accents) = (sentences(5), ["naïve", "日本"]);
    let paragraphs: Vec<String> =
        paragraphs.iter().enumerate().map(|(at, s)| s.replace("the ", &format!("the {} ", accents[at % 2]))).collect();
    let marked = format!("\u{feff}{}", article(&paragraphs).replace("charset=utf-8", "charset=windows-1251"));
    for bytes in [marked.clone().into_bytes(), utf16(&marked, u16::to_le_bytes), utf16(&marked, u16::to_be_bytes)] {
        check(bytes, &text_of(&paragraphs));
    }
}

const RUSSIAN: [&str; 5] = [
    "Ранним утром старый паромщик вышел на берег и долго смотрел, как туман поднимается над водой и уходит к дальним холмам.",
    "Он помнил времена, когда моста ещё не было, и каждый, кто хотел попасть на рынок, должен был ждать его лодки на пристани.",
    "Теперь люди ездили через мост, но по воскресеньям дети всё равно приходили к нему и просили перевезти их на другую сторону.",
    "Паромщик никогда не брал с них денег, потому что считал, что реку нужно показывать даром, пока она ещё течёт мимо города.",
    "Осенью лодку вытащили на песок, и вся улица собралась, чтобы помочь ему перекрасить борта в тот же самый зелёный цвет.",
];
const CHINESE: [&str; 5] = [
    "清晨，老船夫走到岸边，望着雾气从水面慢慢升起，飘向远处的山丘，心里想着今天会不会有人来坐他的船。",
    "他还记得没有桥的日子，那时候每个想去集市的人，都要在码头上等他的小船，有时一等就是一个上午。",
    "现在人们都从桥上过河，可是到了星期天，孩子们还是会跑来找他，请他把他们送到对岸去看一看。",
    "老船夫从来不收他们的钱，因为他觉得，只要这条河还从城边流过，就应该让大家免费看看它的样子。",
    "秋天到了，小船被拖上沙滩，整条街的人都来帮忙，把船身重新漆成和从前一模一样的绿色。",
];

/// Case 5. The prescan reads 4,096 bytes; after that the guess must be right.
#[test]
fn meta_tag_behind_a_comment() {
    let paragraphs = RUSSIAN.map(str::to_owned);
    let body = format!("{NAV}<article><h1>{TITLE}</h1>{}</article>{FOOTER}", as_paragraphs(&paragraphs));
    for len in [0, 1_000, 3_900, 5_000, 100_000] {
        let head = format!("<!--{}--><meta charset=windows-1251>", "-x".repeat(len / 2));
        let html = page_of(&head, &body);
        check(WINDOWS_1251.encode(&html).0, &text_of(&paragraphs));
    }
}

/// Case 6. The header goes before the meta tag; UTF-8 that is called latin1 is UTF-8 all the same.
#[test]
fn header_against_meta_tag() {
    let paragraphs: Vec<String> = sentences(5).iter().map(|s| s.replace(" the ", " the café é ")).collect();
    let declarations = [None, Some(UTF_8), Some(WINDOWS_1252), Some(GBK)];
    for header in declarations {
        for meta in declarations {
            for bytes_in in [UTF_8, WINDOWS_1252, GBK] {
                let meta_tag = meta.map(|meta| format!("<meta charset={}>", meta.name()));
                let body = format!("{NAV}<article><h1>{TITLE}</h1>{}</article>{FOOTER}", as_paragraphs(&paragraphs));
                let html = page_of(&meta_tag.unwrap_or_default(), &body);
                let content_type = header.map(|header| format!("text/html; charset={}", header.name()));
                let page = certain(&bytes_in.encode(&html).0, content_type.as_deref()).unwrap();
                let winner = header.or(meta);
                if winner == Some(bytes_in) || (bytes_in == UTF_8 && winner != Some(GBK)) {
                    assert_eq!(page.text, text_of(&paragraphs), "{header:?} {meta:?} {bytes_in:?}");
                }
            }
        }
    }
}

/// Case 7.
#[test]
fn a_torn_character() {
    let paragraphs = CHINESE.map(str::to_owned);
    check(article(&paragraphs), &text_of(&paragraphs));
    let mut bytes = article(&paragraphs).into_bytes();
    let third = article(&paragraphs).find(&paragraphs[2]).unwrap();
    // The last of the three bytes of the fifth character.
    bytes.remove(third + 5 * 3 - 1);
    let page = certain(&bytes, None).unwrap();
    assert_eq!((page.charset, page.replacement_characters), ("UTF-8", 1));
    for paragraph in [0, 1, 3, 4] {
        assert!(page.text.contains(&paragraphs[paragraph]), "{}", page.text);
    }
}

/// Case 8. Control characters in the text are dropped, a reference to nothing is U+FFFD, `&#x85;` is windows-1252's ellipsis.
#[test]
fn characters_that_no_text_has() {
    let odd = [
        ("\0", ""),
        ("\u{1}", ""),
        ("&#27;", ""),
        ("\u{7f}", ""),
        ("\u{fffe}", "\u{fffe}"),
        ("&#0;", "\u{fffd}"),
        ("&#xD800;", "\u{fffd}"),
        ("&#x110000;", "\u{fffd}"),
        ("&#x85;", "…"),
    ];
    let with = |side: fn(&(&'static str, &'static str)) -> &'static str| -> Vec<String> {
        odd.iter()
            .zip(sentences(9))
            .map(|(pair, s)| {
                s.replace("ed the", &format!("e{}d the", side(pair))).replacen("the", &format!("th{}e", side(pair)), 1)
            })
            .collect()
    };
    check(article(&with(|pair| pair.0)), &text_of(&with(|pair| pair.1)));
}

/// Case 9.
#[test]
fn line_ends() {
    let inner = format!(
        "{}<p>This is how the ferryman\nwrote it down\nin the end:</p><pre>\none boat\n    two boats\n\nthree</pre>{}",
        as_paragraphs(&sentences(3)),
        as_paragraphs(&[sentence(4)])
    );
    let html = article_of(&inner);
    let expected = text(&html);
    check_once_in_order(&expected, &sentences(3));
    check(html.replace('\n', "\r\n"), &expected);
    check(html.replace('\n', "\r"), &expected);
}

// Size and shape.

/// What is nested, and the depth that one of it takes.
const NESTED: [(&str, usize); 9] = [
    ("<div>", 1),
    ("<b>", 1),
    ("<font>", 1),
    ("<span>", 1),
    ("<x-y>", 1),
    ("<blockquote>", 1),
    ("<ul><li>", 2),
    ("<table><tr><td>", 4),
    ("<svg><g>", 2),
];

fn nested(tags: &str, times: usize) -> String {
    let inner = format!("{NAV}<article><h1>{TITLE}</h1>{}</article>{FOOTER}", as_paragraphs(&sentences(5)));
    page_of("", &format!("{}{inner}", tags.repeat(times)))
}

/// Case 10. Depth is flattened; the text is there in its order.
#[test]
fn deep_nesting() {
    for (tags, _) in NESTED {
        for times in [500, 2_000, 3_000, 100_000] {
            let found = text(nested(tags, times));
            check_whole_or_empty(&found, &sentences(5));
            if !tags.contains("svg") {
                assert!(!found.is_empty(), "{tags} {times} times");
            }
        }
    }
    check_once_in_order(&text(nested("<div>", 2_000)), &sentences(5));
}

/// Case 11. Nothing recurses: a small stack does.
#[test]
fn deep_inside_a_paragraph() {
    let paragraphs = sentences(5);
    let words: Vec<String> = (0..60)
        .flat_map(|at| sentence(100 + at).split(' ').map(str::to_owned).collect::<Vec<_>>())
        .take(1_500)
        .collect();
    let deep: String = words.iter().map(|word| format!("<span>{word} ")).collect();
    let html = article_of(&format!("{}<p>{deep}</p>", as_paragraphs(&paragraphs)));
    let found = thread::Builder::new().stack_size(512 << 10).spawn(move || text(html)).unwrap().join().unwrap();
    assert!(found.ends_with(&words.join(" ")), "{found}");
}

/// Case 12.
#[test]
fn many_nodes() {
    let check = |start: &str, piece: &str| {
        let html = format!("{start}{}", piece.repeat(1_100_000));
        let found = extract(html.as_bytes(), None, &Options::default());
        assert_eq!(found, Err(ExtractError::Parse(ParseError::TooManyNodes(1_000_000))), "{start} {piece}");
    };
    check("", "<p>");
    check("", "<br>");
    check("<table>", "<td>");
    check("", "<!---->");
    check("", "x<!---->");
    // No node is made for a cell outside of a table.
    assert_eq!(text("<td>".repeat(1_100_000)), "");
}

/// The limits of bytes and nodes, and that each is an error from one too much on.
#[test]
fn limits() {
    let html = article(&sentences(5));
    let nodes =
        with_analysis(html.as_bytes(), None, &Options::default(), |analysis| analysis.tree.node_count()).unwrap();
    let with = |max_bytes, max_nodes, max_depth| {
        let options = options(|options| {
            (options.max_bytes, options.max_nodes, options.max_depth) = (max_bytes, max_nodes, max_depth);
        });
        extract(html.as_bytes(), None, &options).map(|page| page.text)
    };
    assert_eq!(with(html.len(), nodes, 10), Ok(text_of(&sentences(5))));
    assert_eq!(with(html.len() - 1, nodes, 10), Err(ExtractError::TooLarge(html.len() - 1)));
    assert_eq!(with(html.len(), nodes - 1, 10), Err(ExtractError::Parse(ParseError::TooManyNodes(nodes - 1))));
    // Flattened, a page has a text all the same.
    assert!(with(html.len(), nodes, 4).is_ok_and(|text| text.contains(&sentence(4))));
}

/// Neither half a text nor none: whoever has such a page learns what it is.
#[test]
fn utf32_is_refused_by_name() {
    let html = article(&sentences(5));
    let mark = "\u{feff}";
    for text in [html.clone(), format!("{mark}{html}")] {
        for bytes in [u32::to_le_bytes, u32::to_be_bytes] {
            let page: Vec<u8> = text.chars().flat_map(|c| bytes(u32::from(c))).collect();
            let error = extract(&page, Some("text/html; charset=utf-8"), &Options::default()).unwrap_err();
            assert_eq!(error, ExtractError::Utf32);
            assert!(error.to_string().contains("UTF-32"));
        }
    }
}

/// Case 13. There is no limit of attributes.
#[test]
fn many_attributes() {
    let attributes: String = (0..1_000_000).map(|at| format!(" a{at}=1")).collect();
    let of_tag = article(&sentences(5)).replace("<article>", &format!("<article{attributes}>"));
    check(of_tag, &text_of(&sentences(5)));
    let same = article(&sentences(5)).replace("<body>", &format!("<body{}>", " class=x".repeat(1_000_000)));
    check(same, &text_of(&sentences(5)));
    let tag = format!("<p{attributes}>");
    for (open, close) in [
        ("<script>", "</script>"),
        ("<style>", "</style>"),
        ("<textarea>", "</textarea>"),
        ("<!--", "-->"),
        ("<p title='", "'>"),
    ] {
        check(article_of(&format!("{open}{tag}{close}{}", as_paragraphs(&sentences(5)))), &text_of(&sentences(5)));
    }
}

/// Case 14.
#[test]
fn long_attributes() {
    for name in ["class", "style", "id", "data-x"] {
        let value = "display: block; wide ".repeat(500_000);
        let html = article(&sentences(5)).replace("<article>", &format!("<article {name}='{value}'>"));
        check(html, &text_of(&sentences(5)));
    }
}

fn node_count(html: &str) -> usize {
    let mut options = ParseOptions::default();
    options.max_nodes = 4_000_000;
    html::parse(html, options).expect("a page within the limits").node_count()
}

/// Case 15. Each paragraph opens all formatting anew, three of a kind at most: nodes stay linear in the bytes.
#[test]
fn formatting_left_open() {
    let page = |times: usize| -> String {
        (0..times).map(|at| format!("<p>x<b class=i{}><i><font size={}>", at % 10, at % 10)).collect()
    };
    let counts = [500, 1_000, 2_000, 4_000].map(|times| node_count(&page(times)));
    assert!(counts.windows(2).all(|pair| pair[1] < pair[0] * 21 / 10), "{counts:?}");
    let html = page(2_000);
    assert!(matches!(
        extract(html.as_bytes(), None, &Options::default()),
        Ok(_) | Err(ExtractError::Parse(ParseError::TooManyNodes(_)))
    ));
}

/// Case 16.
#[test]
fn text_misplaced_in_a_table() {
    let html = format!("<table>{}</table>", "x<tr>".repeat(50_000));
    let visible = &visible_texts(html.as_bytes(), None)[0];
    assert_eq!((visible.len(), visible.matches('x').count()), (50_000, 50_000));
    assert!(text(&html).len() <= 50_000);
    let apart = format!("<table>{}</table>", "x<p><tr>".repeat(20_000));
    assert_eq!(visible_texts(apart.as_bytes(), None)[0].len(), 20_000);
    text(apart);
}

/// Case 17. Up to the choice nothing is lost, and no text is gathered twice. The choice is checked on 150
/// paragraphs only.
#[test]
fn a_long_page() {
    check(article(&sentences(150)), &text_of(&sentences(150)));
    let paragraphs = sentences(20_000);
    let html = article(&paragraphs);
    check_blocks(&html, &paragraphs);
    assert!(text(&html).len() <= html.len());
}

/// All of these are blocks of the page, in this order, and nothing is gathered twice.
#[track_caller]
fn check_blocks(html: &str, expected: &[String]) {
    with_analysis(html.as_bytes(), None, &Options::default(), |analysis| {
        let page = analysis.blocks;
        assert!(page.text.len() <= html.len());
        let mut texts = page.blocks.iter().map(|block| page.text_of(block));
        for block in expected {
            assert!(texts.any(|text| text == block), "no block {block:.200}");
        }
    })
    .expect("a page within the limits");
}

/// Case 18. A paragraph of some MB, of words, of Han characters or of one word, is one block; main text or not, it
/// is not cut.
#[test]
fn one_long_paragraph() {
    let words = sentences(40_000).join(" ");
    let han = CHINESE.concat().repeat(5_000);
    let word = "abcdefgh".repeat(500_000);
    for long in [words, han, word] {
        let paragraphs = [sentence(40_001), long.clone(), sentence(40_002)];
        check_blocks(&article(&paragraphs), &paragraphs);
        let page = certain(article(&paragraphs).as_bytes(), None).unwrap();
        let mut parts = page.parts.iter().filter(|part| part.range.len() > 1_000);
        assert!(parts.all(|part| page.text[part.range.clone()] == long));
    }
    let paragraphs = [sentences(100).join(" ")];
    check(article(&paragraphs), &text_of(&paragraphs));
}

/// Case 19. A script of some MB with strings that look like markup.
#[test]
fn long_scripts() {
    let paragraphs = sentences(6);
    let (before, after) = paragraphs.split_at(3);
    for piece in ["'</p><p>no text'; ", "'<!-- no text'; ", "'<script>no text'; ", "'</scr' + 'ipt>no text'; "] {
        let script = piece.repeat(100_000);
        for end in ["</script>", ""] {
            let after = as_paragraphs(after);
            let html = article_of(&format!("{}<script>{script}{end}{after}", as_paragraphs(before)));
            check(html, &text_of(if end.is_empty() { before } else { &paragraphs }));
        }
    }
    // By the standard, `<!--` and then `<script` in a script require two end tags.
    let twice = "<script>'<!--' + '<script>'</script> no text </script>";
    check(article_of(&format!("{}{twice}{}", as_paragraphs(before), as_paragraphs(after))), &text_of(&paragraphs));
}

/// Case 20.
#[test]
fn nothing() {
    for html in
        ["", " ", "\u{feff}", "<!", "<!--", "<html", "</p>", "<![CDATA[", "<p", "<p a", "<p a='", "</", "<!DOCTYPE"]
    {
        check(html, "");
    }
    for html in ["<", "&", "&#", "&amp"] {
        assert!(["", "<", "&", "&#"].contains(&text(html).as_str()), "{html}");
    }
}

// Output.

/// Case 21. The indent of lists has a limit, or sixty kB of nested lists would be tens of MB of indents.
#[test]
fn indents_do_not_multiply() {
    let paragraphs = sentences(2_000);
    let items: String = paragraphs.iter().map(|sentence| format!("<li>{sentence}")).collect();
    let html = article_of(&format!("{}{items}", "<ul><li>".repeat(900)));
    let found = text(&html);
    assert!(found.len() <= 2 * html.len());
    let short = format!("{}{}", "<ul><li>".repeat(900), "<li>x".repeat(10_000));
    for format in [Format::Text, Format::Markdown] {
        let page = extract(short.as_bytes(), None, &options(|options| options.format = format)).unwrap();
        assert!(page.text.len() <= 10 * short.len());
    }
}

/// Case 22.
#[test]
fn many_cells() {
    let check = |html: &str, cells: usize| {
        let tree_text = &visible_texts(html.as_bytes(), None)[0];
        assert_eq!(tree_text.matches("cell").count(), cells);
        for format in [Format::Text, Format::Markdown] {
            let page = extract(html.as_bytes(), None, &options(|options| options.format = format)).unwrap();
            assert!(page.text.len() <= 4 * html.len());
            assert!(page.text.matches("cell").count() <= cells);
        }
        text(html);
    };
    check(&article_of(&format!("{}<table><tr>{}</table>", sentence(0), "<td>A cell.".repeat(20_000))), 20_000);
    check(&article_of(&format!("{}<table>{}</table>", sentence(0), "<tr><td>A cell.".repeat(20_000))), 20_000);
    check(&article_of(&"<table><tr><td>A cell.</table>".repeat(5_000)), 5_000);
}

/// Case 23. Only copies of whole passages go.
#[test]
fn repeats_that_belong() {
    let lines = "    let boat = 1;\n".repeat(5);
    let inner = format!("{}<pre>{lines}</pre>{}", as_paragraphs(&sentences(3)), as_paragraphs(&[sentence(4)]));
    assert!(text(article_of(&inner)).contains(lines.trim_end()));
    let refrain = "And the river goes on.";
    let stanzas: Vec<String> = (0..6).flat_map(|at| [sentence(at), refrain.to_owned()]).collect();
    check(article(&stanzas), &text_of(&stanzas));
}

// Markup.

/// Case 24.
#[test]
fn unclosed_raw_text() {
    let paragraphs = sentences(6);
    let (before, after) = paragraphs.split_at(3);
    for open in ["<script>var a = 'lost", "<style>.lost{}", "<title>", "<textarea>", "<!--", "<iframe>", "<noembed>"] {
        let html = article_of(&format!("{}{open}{}", as_paragraphs(before), as_paragraphs(after)));
        check(html, &text_of(before));
    }
}

/// Case 25. What follows `<plaintext>` is text to the end, tags and all.
#[test]
fn old_preformatted_elements() {
    let paragraphs = sentences(6);
    let (before, after) = paragraphs.split_at(3);
    for name in ["plaintext", "xmp", "listing"] {
        let inner = format!("{}<{name}>{}</{name}>{}", as_paragraphs(before), sentence(9), as_paragraphs(after));
        let found = text(article_of(&inner));
        check_once_in_order(&found, before);
        if name == "plaintext" {
            assert!(!found.contains(&sentence(9)) || found.contains(&format!("<p>{}</p>\n", after[0])), "{found}");
        } else {
            check_once_in_order(&found, &paragraphs);
        }
    }
}

/// Case 26.
#[test]
fn misnested_inline_tags() {
    let paragraphs = sentences(9);
    for inline in ["b", "i", "em", "strong", "font", "u", "code", "small", "nobr", "span", "big", "x-y"] {
        for (open, close) in [("<p>", ""), ("<div>", "</div>"), ("<section>", "</section>")] {
            let three = |three: &[String]| {
                let [a, b, c] = three else { unreachable!("nine are three threes") };
                format!("{open}<{inline}>{a} {open}{b}</{inline}> {c}{close}{close}")
            };
            let inner: String = paragraphs.chunks(3).map(three).collect();
            check_once_in_order(&text(article_of(&inner)), &paragraphs);
        }
    }
}

const COMMON: [&str; 40] = [
    "html", "head", "body", "title", "p", "div", "span", "a", "b", "i", "table", "tbody", "tr", "td", "th", "ul", "ol",
    "li", "dl", "dt", "dd", "h1", "h2", "form", "select", "option", "br", "hr", "img", "script", "style", "template",
    "svg", "math", "button", "object", "frameset", "textarea", "article", "nav",
];

/// Case 27.
#[test]
fn end_tags_only() {
    let mut seeded = Seeded(27);
    for _ in 0..50 {
        let mut names = COMMON;
        seeded.shuffle(&mut names);
        let ends: String = names.iter().map(|name| format!("</{name}>")).collect();
        check(format!("{ends}{}", article(&sentences(5))), &text_of(&sentences(5)));
        let body = format!("<body>{ends}");
        check(article(&sentences(5)).replace("<body>", &body), &text_of(&sentences(5)));
    }
}

/// Case 28. Their attributes go to the first body and root; all else of them goes nowhere.
#[test]
fn second_body_and_head() {
    let paragraphs = sentences(6);
    let (before, after) = paragraphs.split_at(3);
    let with = |tags: &str| article_of(&format!("{}{tags}{}", as_paragraphs(before), as_paragraphs(after)));
    check(with("<body class=x><html lang=de><head><title>Another</title></head>"), &text_of(&paragraphs));
    check_whole_or_empty(&text(with("<body class=nav hidden>")), &paragraphs);
    check_whole_or_empty(&text(with("<html hidden>")), &paragraphs);
}

/// Case 29.
#[test]
fn templates() {
    let paragraphs = sentences(5);
    let inner = as_paragraphs(&paragraphs);
    check(page_of("", &format!("<template>{inner}</template>")), "");
    check_whole_or_empty(
        &text(article_of(&format!("<x-y><template shadowrootmode=open>{inner}</template></x-y>"))),
        &paragraphs,
    );
    check(article_of(&format!("{inner}{}", "<template>".repeat(1_000))), &text_of(&paragraphs));
}

/// Case 30.
#[test]
fn wrapped_in_what_is_no_wrapper() {
    let paragraphs = sentences(5);
    let inner = as_paragraphs(&paragraphs);
    for tag in ["details", "label", "form", "fieldset", "center", "marquee", "details open", "main", "section", "x-y"] {
        let name = tag.split(' ').next().unwrap();
        check(article_of(&format!("<{tag}>{inner}</{name}>")), &text_of(&paragraphs));
    }
    // Not in a link or a button: whether paragraphs that are links are main text is for the model to decide.
    for tag in [
        "select",
        "option",
        "object",
        "noscript",
        "iframe",
        "svg",
        "math",
        "dialog",
        "dialog open",
        "video",
        "audio",
        "canvas",
        "map",
        "ruby",
        "rt",
        "applet",
        "datalist",
        "optgroup",
        "noframes",
        "frameset",
    ] {
        let name = tag.split(' ').next().unwrap();
        check_whole_or_empty(&text(article_of(&format!("<{tag}>{inner}</{name}>"))), &paragraphs);
    }
    let foreign = format!("<svg><foreignObject><div>{inner}</div></foreignObject></svg>");
    check_whole_or_empty(&text(article_of(&foreign)), &paragraphs);
}

/// Case 31.
#[test]
fn white_space() {
    let mut seeded = Seeded(31);
    let paragraphs = sentences(5);
    let blanks = [" ", "\t", "\n", "\u{a0}", "\u{3000}", "\u{2028}", "&#32;", "&nbsp;", "\r\n"];
    for _ in 0..50 {
        let inner: String = paragraphs
            .iter()
            .map(|sentence| {
                let words: Vec<&str> = sentence.split(' ').collect();
                let mut spaced = String::from("<p>");
                for word in words {
                    spaced.push_str(word);
                    for _ in 0..1 + seeded.below(4) {
                        spaced.push_str(seeded.pick(&blanks));
                    }
                }
                spaced
            })
            .collect();
        check(article_of(&inner), &text_of(&paragraphs));
    }
}

/// Case 31, the blocks themselves.
#[test]
fn words_are_joined_by_inline_tags_only() {
    let check = |html: &str, expected: &str| {
        let tree = html::parse(html, ParseOptions::default()).unwrap();
        let page = blocks(&tree);
        let texts: Vec<&str> = page.blocks.iter().map(|block| page.text_of(block)).collect();
        assert_eq!(texts.join("|"), expected, "{html}");
    };
    check("<p>a<br>b", "a\nb");
    check("<table><td>a<td>b", "a|b");
    check("<ul><li>a<li>b", "a|b");
    check("<div>a</div>b", "a|b");
    for inline in ["b", "span", "a href=/", "x-y", "wbr", "font", "!----", "sup"] {
        let name = inline.split(' ').next().unwrap();
        check(&format!("<p>a<{inline}>b</{name}>"), "ab");
        check(&format!("<p>a <{inline}>b</{name}>"), "a b");
    }
}

/// Case 32.
#[test]
fn entities() {
    let named = [("é", "&eacute;"), ("—", "&mdash;"), ("“", "&ldquo;"), ("ü", "&uuml"), ("€", "&euro;"), ("&", "&amp")];
    let paragraphs: Vec<String> = sentences(6)
        .iter()
        .zip(named)
        .map(|(s, (c, _))| s.replace(" the ", &format!(" the caf{c} {c} x{c} ")))
        .collect();
    let check = |written: &dyn Fn(char) -> String| {
        let inner: Vec<String> = paragraphs.iter().map(|p| p.chars().map(written).collect()).collect();
        check(article(&inner), &text_of(&paragraphs));
    };
    let is_plain = |c: char| c.is_ascii() && c != '&';
    check(&|c| if is_plain(c) { c.to_string() } else { format!("&#{};", c as u32) });
    check(&|c| if is_plain(c) { c.to_string() } else { format!("&#x{:x};", c as u32) });
    check(&|c| if is_plain(c) { c.to_string() } else { format!("&#X{:X}", c as u32) });
    check(&|c| named.iter().find(|(of, _)| of.chars().eq([c])).map_or(c.to_string(), |(_, name)| (*name).to_owned()));
}

/// Case 32: one decoding, not two.
#[test]
fn an_entity_of_an_entity() {
    let mut paragraphs = sentences(5);
    paragraphs[2] += " It is written &amp;lt;p&amp;gt; here.";
    let decoded: Vec<String> = paragraphs.iter().map(|p| p.replace("&amp;", "&")).collect();
    check(article(&paragraphs), &text_of(&decoded));
}

/// Case 33.
#[test]
fn case_and_quotes() {
    let mut seeded = Seeded(33);
    let paragraphs = sentences(5);
    for _ in 0..50 {
        let mut random_case = |name: &str| -> String {
            name.chars().map(|c| if seeded.below(2) == 0 { c.to_ascii_uppercase() } else { c }).collect()
        };
        let inner: String = paragraphs
            .iter()
            .map(|sentence| {
                let (p, class, end) = (random_case("p"), random_case("class"), random_case("p"));
                format!("<{p} {class}=QtextQ>{sentence}</{end}>")
            })
            .collect();
        let html =
            article_of(&inner).replace("article", &random_case("article")).replace("footer", &random_case("footer"));
        let quote = seeded.pick(&["'", "\"", ""]);
        check(html.replace('Q', quote), &text_of(&paragraphs));
    }
}

// Choice of the main text.

/// Case 34, without a list of 1,000 links beside the article, which a model of the kind "listing" may take for text.
#[test]
fn boilerplate_grows() {
    let paragraphs = sentences(5);
    for count in [1, 10, 100, 1_000] {
        let links: String = (0..count).map(|at| format!("<li><a href=/{at}>Topic number {at}</a></li>")).collect();
        let list = format!("<ul>{links}</ul>");
        let html = article(&paragraphs);
        check(html.replace("<nav><ul>", &format!("<nav><ul>{links}")), &text_of(&paragraphs));
        check(html.replace("<footer>", &format!("<footer>{list}")), &text_of(&paragraphs));
        if count <= 100 {
            check(html.replace("<footer>", &format!("<div class=sidebar>{list}</div><footer>")), &text_of(&paragraphs));
        }
    }
}

/// Case 35.
#[test]
fn wrappers_do_not_matter() {
    let mut seeded = Seeded(35);
    let paragraphs = sentences(5);
    for count in [1, 2, 3, 5, 10, 20, 40] {
        let mut open = String::new();
        for _ in 0..count {
            let mut name = || (0..7).map(|_| (b'a' + seeded.below(26) as u8) as char).collect::<String>();
            open += &format!("<div class={} id={}>", name(), name());
        }
        let html = article(&paragraphs)
            .replace("<article>", &format!("{open}<article>"))
            .replace("</article>", &format!("</article>{}", "</div>".repeat(count)));
        check(html, &text_of(&paragraphs));
    }
}

/// Case 36.
#[test]
fn order_does_not_matter() {
    let paragraphs = sentences(5);
    let main = format!("<article><h1>{TITLE}</h1>{}</article>", as_paragraphs(&paragraphs));
    let aside = "<aside><h3>Most read</h3><ul><li><a href=/1>A bridge for the south</a><li><a href=/2>Snow in May</a></ul></aside>";
    let parts = [NAV, &main, aside, FOOTER];
    for order in 0..4usize.pow(4) {
        let places = [order % 4, order / 4 % 4, order / 16 % 4, order / 64];
        if (0..4).all(|place| places.contains(&place)) {
            check(page_of("", &places.map(|place| parts[place]).concat()), &text_of(&paragraphs));
        }
    }
}

/// Case 37.
#[test]
fn inline_noise_does_not_matter() {
    let mut seeded = Seeded(37);
    let paragraphs = sentences(5);
    let inline = [
        "<span>",
        "</span>",
        "<font size=2>",
        "</font>",
        "<wbr>",
        "<!-- lost -->",
        "<script>lost</script>",
        "<style>lost</style>",
    ];
    for _ in 0..50 {
        let mut inner = String::new();
        for sentence in &paragraphs {
            inner.push_str(seeded.pick(&["", "<div></div>", "<div> </div>", "<script>'</p>lost'</script>"]));
            inner.push_str("<p>");
            for word in sentence.split_inclusive(' ') {
                inner.push_str(if seeded.below(3) == 0 { seeded.pick(&inline) } else { "" });
                inner.push_str(word);
            }
            inner.push_str("</p>");
        }
        check(article_of(&inner), &text_of(&paragraphs));
    }
}

/// Case 39. Every word that templates use for something else, as the class of the one thing on the page.
#[test]
fn every_class_is_a_trap() {
    let paragraphs = sentences(5);
    for word in labels::GROUPS.iter().flat_map(|(_, words)| words.split(' ')) {
        let inner = format!("<div class={word}><h1>{TITLE}</h1>{}</div>", as_paragraphs(&paragraphs));
        let found = text(page_of("", &inner));
        check_whole_or_empty(&found, &paragraphs);
    }
}

/// Case 40.
#[test]
fn hidden_paragraphs() {
    let paragraphs = sentences(8);
    for attribute in [
        "hidden",
        "hidden=hidden",
        "style='display:none'",
        "style='position:absolute; left:-9999px'",
        "class=sr-only",
        "style='color:red; DISPLAY : none !important'",
    ] {
        for which in 0..8 {
            let inner = as_paragraphs(&paragraphs);
            let before = format!("<p>{}", paragraphs[which]);
            let html = article_of(&inner.replace(&before, &before.replace("<p>", &format!("<p {attribute}>"))));
            let mut rest = paragraphs.clone();
            rest.remove(which);
            check(html, &text_of(&rest));
        }
    }
    // Hidden from screen readers alone.
    let shown = as_paragraphs(&paragraphs).replacen("<p>", "<p aria-hidden=true>", 2);
    check(article_of(&shown), &text_of(&paragraphs));
}

/// Case 41.
#[test]
fn the_same_page_twice() {
    let html = article(&sentences(5));
    check_once_in_order(&text(format!("{html}{html}")), &sentences(5));
}

/// Case 42. A page of links may be a list that is its own main text; its rows of links are not.
#[test]
fn links_only() {
    let link = |at: usize| {
        let words: Vec<String> = sentence(at).split(' ').skip(at % 5).take(2 + at % 5).map(str::to_owned).collect();
        format!("<a href=/{at}>{}</a>", words.join(" "))
    };
    for (open, close) in [("<li>", "</li>"), ("<tr><td>", "</td></tr>"), ("<div>", "</div>"), ("", " | "), ("", "<br>")]
    {
        let links: String = (0..500).map(|at| format!("{open}{}{close}", link(at))).collect();
        let around = if open.starts_with("<tr>") { ("<table>", "</table>") } else { ("<ul>", "</ul>") };
        let found = text(page_of("", &format!("{}{links}{}", around.0, around.1)));
        assert!(found.is_empty() || !open.is_empty(), "{found}");
    }
}

/// Case 43.
#[test]
fn comments_as_asked() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/long-comments");
    let html = fs::read(path.with_extension("html")).unwrap();
    let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
    let with = |comments| extract(&html, None, &options(|options| options.comments = comments)).unwrap().text;
    assert_eq!(with(Inclusion::Drop), expected);
    let both = with(Inclusion::Keep);
    let paragraphs: Vec<String> = expected.split("\n\n").map(str::to_owned).collect();
    check_once_in_order(&both, &paragraphs);
    assert!(both.len() > 2 * expected.len(), "{both}");
}

// What holds for every input.

/// The text as a page is the text again.
#[test]
fn again_gives_the_same() {
    let paragraphs = sentences(6);
    check(as_paragraphs(&paragraphs), &paragraphs.join("\n\n"));
}

/// The text depends neither on the thread nor on the pages before.
#[test]
fn pages_do_not_meet() {
    let pages = golden_pages();
    let read = |pages: &[(String, Vec<u8>)]| -> Vec<Page> {
        pages.iter().map(|(_, html)| extract(html, None, &Options::default()).unwrap()).collect()
    };
    let expected = read(&pages);
    thread::scope(|scope| {
        let reversed = scope.spawn(|| {
            let backwards: Vec<_> = pages.iter().rev().cloned().collect();
            let mut found = read(&backwards);
            found.reverse();
            found
        });
        assert!(read(&pages) == expected);
        assert!(reversed.join().unwrap() == expected);
    });
}

/// A character, a tag or an entity at any place of a page of some 16 kB, where other parsers change their buffer.
#[test]
fn no_border_is_special() {
    let mut paragraphs = sentences(5);
    paragraphs[0] += " Ein Boot—größer &amp; <b>älter</b> als alle.";
    let expected: Vec<String> =
        paragraphs.iter().map(|p| p.replace("&amp;", "&").replace("<b>", "").replace("</b>", "")).collect();
    for len in 16_384 - 1_000..16_384 + 10 {
        let filler = format!("<!--{}-->", "x".repeat(len));
        let html = article(&paragraphs).replace("<title>", &format!("{filler}<title>"));
        let page = extract(html.as_bytes(), None, &Options::default()).unwrap();
        assert_eq!(page.text, text_of(&expected), "{len}");
    }
}

/// Markup of all kinds in any order. Each `@` becomes a word of its own. Blanks around all text keep words from
/// being joined across what no reader sees, such as `a<svg>b</svg>c`.
fn soup() -> impl Strategy<Value = String> {
    let names = prop::sample::select(&COMMON[..]);
    let more = prop::sample::select(vec![
        "pre",
        "blockquote",
        "noscript",
        "font",
        "details",
        "summary",
        "caption",
        "col",
        "nobr",
        "main",
        "h3",
        "label",
        "plaintext",
        "xmp",
        "x-y",
        "foreignObject",
        "mi",
        "ruby",
        "rt",
        "menu",
        "center",
        "colgroup",
        "optgroup",
        "em",
    ]);
    let pieces = prop_oneof![
        4 => Just(" @ ".to_owned()),
        2 => Just(" @ @ @ @ @ @ @ @ @ @ @ @ the @ of. ".to_owned()),
        4 => prop_oneof![names.clone(), more.clone()].prop_map(|name| format!("<{name}>")),
        4 => prop_oneof![names, more].prop_map(|name| format!("</{name}>")),
        1 => prop::sample::select(vec![
            "<!-- @ -->", "<script> @ </script>", "<style> @ </style>", "<p hidden>", "<div title=' @ '>", "<br>", "\n",
            " &amp; ", " &nbsp; ", " &#0; ", "<a href=/>", "<td colspan=2>", "<![CDATA[ @ ]]>", "<!DOCTYPE html>", " < ",
            "<div class=comment>", "<ol>", "<template shadowrootmode=open>", "<input type=hidden>", " é日\0 ",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(pieces, 0..120).prop_map(|pieces| {
        let mut soup = String::new();
        for (number, piece) in pieces.concat().split('@').enumerate() {
            if number > 0 {
                soup += &format!("word{number}.");
            }
            soup += piece;
        }
        soup
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// What is certain, and that no word comes twice.
    #[test]
    fn any_markup(html in soup()) {
        let page = certain(html.as_bytes(), None).unwrap();
        for word in page.text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with("word")) {
            let times = page.text.matches(&format!("{word}.")).count();
            prop_assert_eq!(times, 1, "{} in {}", word, page.text);
        }
    }

    /// What is certain, for any bytes under any header.
    #[test]
    fn any_bytes(bytes: Vec<u8>, header: Option<String>) {
        certain(&bytes, header.as_deref()).unwrap();
    }
}
