//! spaCy's tokenizer read literally: its regular expressions in a regex engine, its lists of tokens, its sorted phrases.
//!
//! The names are those of spaCy's `tokenizer.pyx`, so that the two can be read side by side. Left out: its cache, which
//! changes no token, and the tokens' norms.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use fancy_regex::Regex;
use proptest::prelude::*;

struct Twin {
    prefix_search: Regex,
    suffix_search: Regex,
    infix_finditer: Regex,
    url_match: Regex,
    specials: HashMap<String, Vec<String>>,
    /// Tokens of special cases as they are without special cases.
    special_matcher: HashSet<Vec<String>>,
}

/// Tokens, and whether a single space follows each.
type Doc = Vec<(String, bool)>;

static TWIN: LazyLock<Twin> = LazyLock::new(|| {
    let mut patterns = include_str!("../../tables/english/patterns.txt").lines().map(|line| Regex::new(line).unwrap());
    let mut twin = Twin {
        prefix_search: patterns.next().unwrap(),
        suffix_search: patterns.next().unwrap(),
        infix_finditer: patterns.next().unwrap(),
        url_match: patterns.next().unwrap(),
        specials: HashMap::new(),
        special_matcher: HashSet::new(),
    };
    for line in include_str!("../../tables/english/special_cases.tsv").lines() {
        let tokens: Vec<String> = line.split('\t').next().unwrap().split(' ').map(str::to_owned).collect();
        twin.specials.insert(tokens.concat(), tokens);
    }
    let matched = |special: &&String| {
        let patterns = [&twin.prefix_search, &twin.suffix_search, &twin.infix_finditer];
        patterns.iter().any(|pattern| pattern.is_match(special).unwrap())
    };
    let split = |special: &String| twin.tokenize(special, false).into_iter().map(|(token, _)| token).collect();
    twin.special_matcher = twin.specials.keys().filter(matched).map(split).collect();
    twin
});

impl Twin {
    fn call(&self, text: &str) -> Doc {
        let doc = self.tokenize_affixes(text);
        self.apply_special_cases(doc)
    }

    fn tokenize_affixes(&self, text: &str) -> Doc {
        let is_space = |char: char| char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char);
        let mut doc = Doc::new();
        let Some(first) = text.chars().next() else { return doc };
        let (mut start, mut in_ws) = (0, is_space(first));
        for (i, char) in text.char_indices() {
            if is_space(char) != in_ws {
                if start < i {
                    doc.extend(self.tokenize(&text[start..i], true));
                }
                start = i;
                if char == ' ' {
                    doc.last_mut().unwrap().1 = true;
                    start = i + 1;
                }
                in_ws = !in_ws;
            }
        }
        if start < text.len() {
            doc.extend(self.tokenize(&text[start..], true));
        }
        doc
    }

    fn tokenize(&self, span: &str, with_special_cases: bool) -> Doc {
        let special = |text: &str| if with_special_cases { self.specials.get(text) } else { None };
        let (mut prefixes, mut suffixes) = (Vec::new(), Vec::new());
        let mut string = span;
        let mut last_size = usize::MAX;
        while !string.is_empty() && string.len() != last_size && special(string).is_none() {
            last_size = string.len();
            let pre_len = self.prefix_search.find(string).unwrap().map_or(0, |found| found.end());
            let (prefix, minus_pre) = string.split_at(pre_len);
            if pre_len != 0 && special(minus_pre).is_some() {
                string = minus_pre;
                prefixes.push(prefix);
                break;
            }
            let suf_len = self.suffix_search.find(minus_pre).unwrap().map_or(0, |found| found.as_str().len());
            let (minus_suf, suffix) = string.split_at(string.len() - suf_len);
            if suf_len != 0 && special(minus_suf).is_some() {
                string = minus_suf;
                suffixes.push(suffix);
                break;
            }
            string = &string[pre_len..string.len() - suf_len];
            prefixes.extend(Some(prefix).filter(|prefix| !prefix.is_empty()));
            suffixes.extend(Some(suffix).filter(|suffix| !suffix.is_empty()));
        }
        let mut tokens: Vec<&str> = prefixes;
        match special(string) {
            Some(special) => tokens.extend(special.iter().map(String::as_str)),
            None => self.attach_tokens(string, &mut tokens),
        }
        tokens.extend(suffixes.iter().rev());
        tokens.into_iter().map(|token| (token.to_owned(), false)).collect()
    }

    fn attach_tokens<'t>(&self, string: &'t str, tokens: &mut Vec<&'t str>) {
        if self.url_match.is_match(string).unwrap() {
            return tokens.push(string);
        }
        let mut start = 0;
        for found in self.infix_finditer.find_iter(string).map(Result::unwrap).filter(|found| found.start() != 0) {
            if found.start() != start {
                tokens.push(&string[start..found.start()]);
            }
            tokens.push(found.as_str());
            start = found.end();
        }
        if start < string.len() {
            tokens.push(&string[start..]);
        }
    }

    fn apply_special_cases(&self, doc: Doc) -> Doc {
        let longest = self.special_matcher.iter().map(Vec::len).max().unwrap();
        let mut spans: Vec<Range<usize>> = Vec::new();
        for start in 0..doc.len() {
            for end in start + 1..=doc.len().min(start + longest) {
                let tokens: Vec<String> = doc[start..end].iter().map(|(token, _)| token.clone()).collect();
                if self.special_matcher.contains(&tokens) {
                    spans.push(start..end);
                }
            }
        }
        // filter_special_spans: the longest first, then the first.
        spans.sort_by_key(|span| (usize::MAX - span.len(), span.start));
        let (mut seen, mut filtered) = (HashSet::new(), HashMap::new());
        for span in spans {
            if !seen.contains(&span.start) && !seen.contains(&(span.end - 1)) {
                filtered.insert(span.start, span.end);
            }
            seen.extend(span);
        }
        let (mut out, mut i) = (Doc::new(), 0);
        while i < doc.len() {
            let end = filtered.get(&i).copied().unwrap_or(i + 1);
            let last = end - 1;
            let text: String = doc[i..end]
                .iter()
                .enumerate()
                .map(|(n, (token, spacy))| format!("{token}{}", if *spacy && i + n < last { " " } else { "" }))
                .collect();
            match self.specials.get(&text) {
                Some(special) if filtered.contains_key(&i) => {
                    out.extend(special.iter().map(|token| (token.clone(), false)));
                    out.last_mut().unwrap().1 = doc[last].1;
                }
                _ => out.extend_from_slice(&doc[i..end]),
            }
            i = end;
        }
        out
    }
}

fn check(text: &str) {
    let mut tokens = Vec::new();
    super::for_each_token(text, |token| tokens.push(&text[token]));
    let expected: Vec<String> = TWIN.call(text).into_iter().map(|(token, _)| token).collect();
    assert_eq!(tokens, expected, "{text:?}");
}

/// What texts are spliced of: special cases, affixes, units, URLs, white space, letters of every class.
fn pieces() -> Vec<String> {
    let mut pieces: Vec<String> = TWIN.specials.keys().cloned().collect();
    pieces.sort();
    pieces.extend(include_str!("../../tables/english/quantities.txt").lines().map(|unit| format!("5{unit}")));
    let others = "a B cd EF 7 10 . .. ... … …… , ; : ! ? ( ) [ ] { } < > - -- --- – — —— ~ / + * ^ = % $ # @ & _ | \\ \" ' ’ ‘ “ ” \
        « » ( - ) : - ) . . s S 's ’s 'S °C. °F. ° 5+ x+5 é ß Ä Я ж 字 ー か 한 ع ٣ ² ½ € £ US$ C$ ☃ 😀 👩‍👩 \u{301} \u{200b} \u{feff} \0 \
        http:// https://www.example.org/a?b#c user@example.com ftp://a:b@c.de 1.2.3.4 10.0.0.1 .com .co.uk :80 ://";
    pieces.extend(others.split(' ').map(str::to_owned));
    for spaces in [" ", "  ", "\n", "\n\n", "\t", " \n", "\u{a0}", "\u{3000}", "\u{2028}", "\u{85}", "\u{1c}", "\r\n"] {
        pieces.extend(std::iter::repeat_n(spaces.to_owned(), 12));
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn tokens_are_those_of_the_twin(text in prop::collection::vec(prop::sample::select(pieces()), 0..12)) {
        check(&text.concat());
    }

    #[test]
    fn signs_are_split_as_by_the_twin(text in "[-:;()<>=_./'’o0DPX8^*|\\[\\] a.,~+—…5]{0,16}") {
        check(&text);
    }

    #[test]
    fn any_text_is_split_as_by_the_twin(text in any::<String>()) {
        check(&text);
    }
}

#[test]
fn characters_are_of_the_classes_that_the_twin_has() {
    let chars = (0..=0x10_ffff).step_by(61).filter_map(char::from_u32);
    for char in chars {
        check(&format!("{char} 5{char} a{char}b {char}a {char}. Z{char}. a,{char} a.{char}"));
    }
}

#[test]
fn windows_of_phrases_change_nothing() {
    for unit in [": ", "' ", "_", "o_o ", ": ) ", ":-) ", "( ._ . ) ", ">.<", "a . ", "( ಠ _ ಠ ", ": ( ( "] {
        for repeats in [1, 20, 40, 63, 64, 65, 127, 128, 129, 400] {
            check(&unit.repeat(repeats));
            check(&format!("x{}x:)", unit.repeat(repeats)));
        }
    }
}
