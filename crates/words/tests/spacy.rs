//! Compares tokens, sentences and words with those of spaCy itself and of datatrove.
//!
//! Needs a Python that has them (`pip install spacy datatrove`): `WEBTEXT_PEERS` names it. Skips with a printed reason
//! without it. By default some 4,000 spliced texts and 1 MB of real ones; `WEBTEXT_PARITY_TEXTS` and
//! `WEBTEXT_PARITY_MB` ask for more, `WEBTEXT_PARITY_SEED` for other splices.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "../../../tests/support/share.rs"]
mod share;
#[path = "../../../tests/support/skip.rs"]
mod skip;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use skip::{peers, real_data, tell};
use words::english;

/// The Python, if it has spaCy and datatrove.
fn python(test: &str) -> Option<PathBuf> {
    peers(test, &["spacy", "datatrove"])
}

/// A number that the environment may set.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Runs a command of `spacy_parity.py`; returns what it prints.
fn spacy(python: &Path, arguments: &[&Path]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spacy_parity.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Compares the results on texts, each preceded by its length in bytes; returns how many there were.
fn check(python: &Path, texts: &[u8]) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let (texts_path, spans_path) = (folder.path().join("texts"), folder.path().join("spans"));
    let mut spans = std::io::BufWriter::new(fs::File::create(&spans_path).unwrap());
    let mut rest = texts;
    while let Some((head, tail)) = rest.split_first_chunk() {
        let (text, next) = tail.split_at(u32::from_le_bytes(*head) as usize);
        write_spans(&mut spans, std::str::from_utf8(text).unwrap());
        rest = next;
    }
    drop(spans);
    fs::write(&texts_path, texts).unwrap();
    spacy(python, &["check".as_ref(), &texts_path, &spans_path]).parse().unwrap()
}

fn write_spans(out: &mut impl Write, text: &str) {
    let (mut tokens, mut sentences, mut words) = (Vec::new(), Vec::new(), Vec::new());
    english::for_each_token(text, |token| tokens.extend([token.start, token.end]));
    english::for_each_sentence(text, |sentence| sentences.extend([sentence.start, sentence.end]));
    english::for_each_word(text, |word| words.push(word.len()));
    for list in [tokens, sentences, words] {
        for number in std::iter::once(list.len()).chain(list) {
            out.write_all(&u32::try_from(number).unwrap().to_le_bytes()).unwrap();
        }
    }
}

fn push(texts: &mut Vec<u8>, text: &str) {
    texts.extend((text.len() as u32).to_le_bytes());
    texts.extend(text.as_bytes());
}

/// A generator whose first state is the seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % limit as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const SIGNS: &str = ". .. ... … …… , ; : ! ? ¿ ( ) [ ] { } < > - -- --- – — —— ~ / + * ^ = % $ # @ & _ | \\ \" ' ’ ‘ “ ” ` « » \
    「 」 （ ） ： ， 。 · ° ☃ 😀 👩‍👩 \u{301} \u{200b} \u{feff} \0 \u{7f} € £ ¥ US$ C$ A$ ² ½ ¬ ಠ ツ ╯ ︵ ┻━┻ 's 'S ’s ’S n't 'll 've 're \
    °C. °F. °k. )) :-) ): >.< ^_^ (^_^) o_O </3 <333 ><(((*> :') =| ._. -_- \\n \\t <space> C++ \\\")";
const WORDS: &str = "a B cd EF Gh 7 10 2024 x1 5km 10kg 3m² 5US$ 9+ 8 p.m a.m. 11pm 12a.m. i.e e.g. Mr. Mrs Dr St. Ill ill it its he she \
    that dont can't cannot gonna let's ma'am o'clock y'all how'd'y not've vs. v.s Ph.D. U.S. U.S.A. and/or w/o 'Cause nuff é ß Ä Я ж дм \
    кг/ч слово 字 漢字 ー か 한국 ع كم ٣ ७ क ไทย \u{10400} 𝒳 ﬁ ª ŉ İ ı straße naïve l'été O'Neil rock'n'roll IS_ALPHA ORTH";
const URLS: &str = "http:// https:// www. example.org https://www.example.org/a?b#c user@example.com ftp://a:b@c.de mailto: 1.2.3.4 \
    10.0.0.1 172.16.0.1 192.168.1.1 255.1.1.1 .com .co.uk :80 :123456 :// a_b-.c.d //x.de/~u/ é.fr 例え.jp a..b .Com";
const SPACES: [&str; 15] = [
    " ", " ", " ", " ", "  ", "\n", "\n\n", "\t", " \n ", "\u{a0}", "\u{3000}", "\u{2028}", "\u{85}", "\u{1c}", "\r\n",
];

/// Texts spliced from what the rules are about, and changed at random places. The same seed gives the same texts.
fn spliced_texts(count: u64, seed: u64) -> Vec<u8> {
    let split = |list: &'static str| list.split_ascii_whitespace().collect::<Vec<_>>();
    let specials = include_str!("../tables/english/special_cases.tsv").lines();
    let specials: Vec<String> = specials.map(|line| line.split('\t').next().unwrap().replace(' ', "")).collect();
    let specials: Vec<&str> = specials.iter().map(String::as_str).collect();
    let quantities: Vec<&str> = include_str!("../tables/english/quantities.txt").lines().collect();
    let (signs, words, urls) = (split(SIGNS), split(WORDS), split(URLS));
    let lists = [&signs[..], &signs, &words, &words, &specials, &SPACES, &SPACES, &urls, &quantities];
    let mut random = Random(seed);
    let mut texts = Vec::new();
    for number in 0..count {
        let mut text = String::new();
        let pieces = if number % 1000 == 0 { 2000 } else { 1 + random.below(12) };
        for _ in 0..pieces {
            let list = random.below(lists.len());
            let repeats = if random.below(12) == 0 { 1 + random.below(20) } else { 1 };
            text.push_str(&random.pick(lists[list]).repeat(repeats));
        }
        (0..random.below(3)).for_each(|_| mutate(&mut text, &signs, &mut random));
        push(&mut texts, &text);
    }
    texts
}

/// Removes a character or inserts a sign or any character.
fn mutate(text: &mut String, signs: &[&str], random: &mut Random) {
    let boundaries = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let at = boundaries.take(1 + random.below(text.len() + 1)).last().unwrap_or(0);
    match random.below(3) {
        0 if at < text.len() => drop(text.remove(at)),
        1 => text.insert_str(at, random.pick(signs)),
        _ => text.insert(at, char::from_u32(random.below(0x3_0000) as u32).unwrap_or('\u{e000}')),
    }
}

#[test]
fn spliced_texts_are_split_as_by_spacy() {
    let Some(python) = python("spliced_texts_are_split_as_by_spacy") else { return };
    let (count, seed) =
        (setting("WEBTEXT_PARITY_TEXTS", 4_000 / share::one_in(4) as u64), setting("WEBTEXT_PARITY_SEED", 1));
    let texts = spliced_texts(count, seed);
    assert_eq!(check(&python, &texts), count);
    tell(format!("{count} spliced texts of seed {seed}, {} bytes: no difference", texts.len()));
}

/// Characters in each role: as an affix, between letters, around a period and a digit, in a URL. The first blocks
/// of the first plane, some or all of the rest of two planes, and a sample of the others, where letters and
/// unassigned code points form long ranges.
#[test]
fn characters_are_split_as_by_spacy() {
    let Some(python) = python("characters_are_split_as_by_spacy") else { return };
    let two_planes = (0..0x3200).chain((0x3200..0x2_0000).step_by(share::one_in(21)));
    let chars = two_planes.chain((0x2_0000..0x11_0000).step_by(97 * share::one_in(4))).filter_map(char::from_u32);
    let chars: Vec<char> = chars.collect();
    let mut texts = Vec::new();
    for chunk in chars.chunks(512) {
        let each = |c: &char| format!("{c} 5{c} a{c}b {c}a {c}. a,{c} a.{c} {c}.b x.{c}{c} a{c}://b.cd\n");
        push(&mut texts, &chunk.iter().map(each).collect::<String>());
    }
    check(&python, &texts);
}

#[test]
fn real_texts_are_split_as_by_spacy() {
    let test = "real_texts_are_split_as_by_spacy";
    let Some(python) = python(test) else { return };
    let Some(data) = real_data(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (texts, max_mb) = (folder.path().join("texts"), setting("WEBTEXT_PARITY_MB", 1).to_string());
    let bytes_by_kind = spacy(&python, &["collect".as_ref(), &data, &texts, max_mb.as_ref()]);
    let count = check(&python, &fs::read(texts).unwrap());
    tell(format!("{count} real texts: no difference; bytes by kind: {bytes_by_kind}"));
}
