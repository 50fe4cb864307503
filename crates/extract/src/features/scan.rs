//! One pass over a block's text: its characters, its words, and the groups of those words.
//!
//! Left out: words of languages other than English, and the meaning of words in context.

use std::sync::LazyLock;

use crate::blocks::Block;
use crate::head::Head;
use crate::word_table::{WordTable, hash, packed};

/// Groups of words that occur in short blocks of boilerplate; the first group is function words of English.
pub(super) const WORD_GROUPS: &[(&str, &str)] = &[
    (
        "function",
        "the of and to a in is that for it was on are as with his they at be this have from or had by but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into has two more go no way could my than been who its now did get may our me you he i",
    ),
    (
        "share",
        "share tweet facebook twitter pinterest linkedin whatsapp email print instagram reddit tumblr youtube telegram copy",
    ),
    ("comment", "comment comments reply replies respond report flag upvote downvote permalink quote likes"),
    (
        "account",
        "subscribe subscribed newsletter newsletters login signup register account password username signin log sign join inbox",
    ),
    ("consent", "cookie cookies consent gdpr privacy policy terms accept preferences"),
    ("advert", "advertisement advertisements sponsored sponsor ad ads advertising promoted affiliate commission"),
    (
        "byline",
        "by posted published updated author written filed edited contributor staff correspondent reporter editor modified",
    ),
    (
        "time",
        "january february march april june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday ago minutes hours days am pm est gmt utc",
    ),
    (
        "related",
        "related recommended popular trending latest similar stories articles posts recent also editor's picks featured most viewed",
    ),
    ("tags", "tags tagged categories category topics labels filed keywords"),
    ("paging", "previous next older newer prev page pages first last back home top menu skip"),
    ("rights", "copyright rights reserved trademark trademarks llc inc ltd © disclaimer"),
    ("more", "read more continue reading click here view see show learn full story load expand download watch listen"),
    ("credit", "photo photos photograph image images credit courtesy getty reuters ap caption source via illustration"),
    (
        "shop",
        "price cart add buy shipping quantity stock sku checkout sale discount order wishlist returns delivery off",
    ),
    (
        "forum",
        "posts joined member members topic thread forum threads views moderator join replied posting registered location offline senior junior",
    ),
    ("contact", "contact phone tel fax address mail call office hours directions map street suite"),
    ("search", "search filter sort results showing found items per clear all"),
];

static WORDS: LazyLock<WordTable> = LazyLock::new(|| WordTable::of_groups(WORD_GROUPS.iter().map(|(_, words)| *words)));

/// Properties of a block's own text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TextScan {
    pub(super) capitals: u32,
    pub(super) digits: u32,
    pub(super) commas: u32,
    pub(super) stops: u32,
    pub(super) marks: u32,
    pub(super) capital_words: u32,
    pub(super) groups: u32,
    pub(super) first_group: u32,
    pub(super) functions: u32,
    pub(super) title_words: u32,
    pub(super) hash: u64,
}

/// What a byte counts as. Words are of the first three.
#[derive(Clone, Copy)]
enum Class {
    /// A small letter, one beyond ASCII, or an apostrophe.
    Small,
    Capital,
    Digit,
    Stop,
    Comma,
    Mark,
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'\'' | 0x80.. => Class::Small,
            b'A'..=b'Z' => Class::Capital,
            b'0'..=b'9' => Class::Digit,
            b'.' | b'!' | b'?' => Class::Stop,
            b',' | b';' => Class::Comma,
            b'|' | b'/' | b'>' | b'<' | b'{' | b'}' | b'=' | b'_' | b'*' | b'#' | b'@' | b'+' => Class::Mark,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// What ends a sentence, in Chinese and Japanese, Indic scripts, Arabic, Urdu, Armenian and Ethiopic.
const FULL_STOPS: &[char] = &['。', '！', '？', '．', '।', '॥', '؟', '۔', '։', '።'];
/// What parts its clauses.
const COMMAS: &[char] = &['，', '、', '；', '،', '؛', '፣'];

/// The kind of a block's last character, as the model has learned them. Marks of other scripts count as those of ASCII;
/// typographic ones of Latin stay what they were in the training, characters beyond ASCII.
pub(super) fn kind_of_last(text: &str) -> f32 {
    match text.chars().next_back().unwrap_or(' ') {
        '.' | '。' | '．' | '।' | '۔' | '።' => 1.0,
        '!' | '?' | '！' | '？' | '؟' => 2.0,
        ':' | '：' => 3.0,
        ',' | ';' | '，' | '、' | '；' | '،' | '؛' => 4.0,
        ')' | '"' | '\'' | ']' | '）' | '」' | '』' | '】' => 5.0,
        '0'..='9' => 6.0,
        '>' | '|' | '*' | '+' => 7.0,
        last if !last.is_ascii() => 8.0,
        _ => 0.0,
    }
}

pub(super) fn mixed(a: u64, b: u64) -> u64 {
    hash(u128::from(a) | u128::from(b) << 64)
}

pub(super) fn hash_of_bytes(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mixed(state, u64::from_le_bytes(word));
    }
    state
}

/// The hash of a word, capitals aside.
fn hash_of_word(word: &[u8]) -> u64 {
    word.chunks(16).fold(word.len() as u64, |state, part| mixed(state, hash(packed(part))))
}

/// The hashes of the title's words, sorted; few enough for a linear search.
pub(super) fn title_words(head: &Head) -> Vec<u64> {
    let mut words: Vec<u64> = Vec::new();
    let title = head.title.as_deref().unwrap_or("");
    for word in title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(40) {
        words.push(hash_of_word(word.as_bytes()));
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// One pass over a block's text.
pub(super) fn scan(text: &str, title: &[u64]) -> TextScan {
    let mut found = TextScan { hash: hash_of_bytes(text.as_bytes()), ..TextScan::default() };
    if !text.is_ascii() {
        scan_beyond_ascii(text, &mut found);
    }
    let bytes = text.as_bytes();
    // Only short blocks are labels; the words of long ones show their language.
    let looks_for_title = bytes.len() < 300 && !title.is_empty();
    let (mut from, mut word_number) = (0, 0);
    for at in 0..=bytes.len() {
        let byte = bytes.get(at).copied().unwrap_or(b' ');
        match CLASSES[usize::from(byte)] {
            Class::Small => continue,
            Class::Digit => {
                found.digits += 1;
                continue;
            }
            Class::Capital => {
                found.capitals += 1;
                continue;
            }
            Class::Stop => found.stops += 1,
            Class::Comma => found.commas += 1,
            Class::Mark => found.marks += 1,
            Class::Other => {}
        }
        if at > from {
            let word = &bytes[from..at];
            found.capital_words += u32::from(word[0].is_ascii_uppercase());
            if word.len() <= 16 {
                let bits = WORDS.find(packed(word));
                found.groups |= bits;
                found.functions += bits & 1;
                if word_number == 0 {
                    found.first_group = bits;
                }
            }
            if looks_for_title && title.binary_search(&hash_of_word(word)).is_ok() {
                found.title_words += 1;
            }
            word_number += 1;
        }
        from = at + 1;
    }
    found
}

/// Capitals and marks of all scripts, as those of ASCII count. Bytes of ASCII are passed over.
fn scan_beyond_ascii(text: &str, found: &mut TextScan) {
    let mut at = 0;
    while let Some(next) = text.as_bytes()[at..].iter().position(|byte| !byte.is_ascii()) {
        at += next;
        let Some(letter) = text[at..].chars().next() else { return };
        if letter.is_uppercase() {
            found.capitals += 1;
            let is_in_word = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
            found.capital_words += u32::from(!is_in_word);
        } else if FULL_STOPS.contains(&letter) {
            found.stops += 1;
        } else if COMMAS.contains(&letter) {
            found.commas += 1;
        }
        at += letter.len_utf8();
    }
}

/// Similarity of a block to the title: share of its words in the title times share of the title's words in it.
pub(super) fn likeness(text: &TextScan, block: &Block, title_words: u32) -> f32 {
    if title_words == 0 || block.words == 0 {
        return 0.0;
    }
    let inside = (text.title_words as f32 / block.words as f32).min(1.0);
    let covered = (text.title_words as f32 / title_words as f32).min(1.0);
    inside * covered.sqrt()
}
