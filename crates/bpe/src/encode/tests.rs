//! The encoder against its twin.

use std::cell::RefCell;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::GrowingText;
use crate::split::pretokenize::pretokens;
use crate::twin::{self, Twin};

static GPT2: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::gpt2);
static TWIN: LazyLock<Twin> = LazyLock::new(|| Twin::new(&GPT2));

thread_local! {
    // Shared by all texts, so that its cache is tested, too.
    static ENCODER: RefCell<Encoder<'static>> = RefCell::new(Encoder::new(&GPT2));
}

fn check(text: &str) {
    let pretokens: Vec<&str> = pretokens(text).collect();
    assert_eq!(pretokens, twin::pretokens(text), "{text:?}");
    let ids = ENCODER.with_borrow_mut(|encoder| encoder.encode(text));
    assert_eq!(ids, TWIN.encode(text), "{text:?}");
    assert_eq!(ENCODER.with_borrow_mut(|encoder| encoder.encode(text)), ids, "from the cache: {text:?}");
    assert_eq!(GPT2.decode(&ids).unwrap(), text.as_bytes());
}

#[test]
fn known_ids() {
    let ids = |text| Encoder::new(&GPT2).encode(text).iter().map(|id| id.0).collect::<Vec<_>>();
    assert_eq!(ids("Hello world!"), [15496, 995, 0]);
    assert_eq!(ids(" \n\n  x'll"), [220, 628, 220, 2124, 1183]);
    assert_eq!(ids("<|endoftext|>"), [27, 91, 437, 1659, 5239, 91, 29]);
    assert!(ids("").is_empty());
}

#[test]
fn hard_places() {
    for text in [
        "I'll we're don't 'S 's's ''re '",
        " 's  's \u{a0}x\u{2003} y",
        "a\r\n\r\nb\tc\u{85}d  ",
        "１２３ ⅷ x² Ⅷa",
        "über naïve Привет 你好 한국어 ไทย",
        "🤦🏼‍♂️ e\u{301} \u{200b}x",
        "\u{feff}\0\u{7f}",
    ] {
        check(text);
    }
    for len in [63, 64, 65, 200, 5000] {
        check(&"a".repeat(len));
        check(&" ".repeat(len));
        check(&"xyz1".repeat(len / 4));
    }
}

#[test]
fn every_class_of_character_in_every_place() {
    let kinds = ["a", "é", "中", "1", "²", "Ⅷ", " ", "\n", "\u{a0}", "\u{3000}", "'", "!", "€", "\u{301}", "s"];
    for a in kinds {
        for b in kinds {
            for c in kinds {
                let text = format!("{a}{b}{c}");
                assert_eq!(pretokens(&text).collect::<Vec<_>>(), twin::pretokens(&text), "{text:?}");
            }
        }
    }
}

/// Each text long enough for blocks, with the hard places at every distance from a block's end.
#[test]
fn borders_at_every_place_of_a_block() {
    for hard in ["'s", "'re a", "'ll", " 's", "!'s", "''d", "  x", "\n\nx", " \u{a0}x", "é", "\u{3000}\u{3000}a", "1a1"]
    {
        for before in 0..80 {
            check(&format!("{}{hard}{}", "a ".repeat(before / 2) + &"b".repeat(before % 2), " and so on".repeat(12)));
        }
    }
}

#[test]
fn special_tokens() {
    let tokenizer = Tokenizer::from_merges(&[], &["<|a|>", "<|a|>b", "end"]).unwrap();
    let mut encoder = Encoder::new(&tokenizer);
    let mut ids =
        |text| encoder.encode_with(text, Specials::Allowed).unwrap().iter().map(|id| id.0).collect::<Vec<_>>();
    assert_eq!(ids("<|a|>b<|a|>end"), [257, 256, 258]);
    assert_eq!(ids("x"), [87]);
    let refused = encoder.encode_with("x end", Specials::Refused).unwrap_err();
    assert_eq!((refused.special.as_str(), refused.at), ("end", 2));
    assert_eq!(encoder.encode_with("end", Specials::Ordinary).unwrap().len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_text_may_grow_by_any_parts(parts in proptest::collection::vec("[ a'slé\n1.]{0,12}", 0..12)) {
        let mut growing = GrowingText::new(ENCODER.with_borrow(Encoder::clone));
        let (mut ids, mut text) = (Vec::new(), String::new());
        for part in parts {
            growing.push(&part, &mut ids);
            text.push_str(&part);
            let so_far: Vec<TokenId> = ids.iter().copied().chain(growing.uncertain()).collect();
            prop_assert_eq!(so_far, TWIN.encode(&text));
        }
        growing.finish(&mut ids);
        prop_assert_eq!(ids, TWIN.encode(&text));
        let count = ENCODER.with_borrow_mut(|encoder| encoder.count(&text));
        prop_assert_eq!(count as usize, TWIN.encode(&text).len());
    }

    #[test]
    fn any_text_is_encoded_as_the_twin_does(text: String) {
        check(&text);
    }

    #[test]
    fn bytes_are_those_of_the_ids(text: String) {
        let mut encoder = ENCODER.with_borrow(Encoder::clone);
        for width in [IdWidth::Two, IdWidth::Four] {
            let (mut bytes, ids) = (Vec::new(), encoder.encode(&text));
            let count = encoder.encode_into_bytes(&text, Specials::Ordinary, width, &mut bytes).unwrap();
            prop_assert_eq!(count as usize, ids.len());
            prop_assert_eq!(crate::tokens::parse_binary(&bytes, width).unwrap(), ids);
        }
    }

    #[test]
    fn text_of_few_characters_is_encoded_as_the_twin_does(text in "[ a'slrevd\n1.é]{0,300}") {
        check(&text);
    }

    #[test]
    fn words_are_encoded_as_the_twin_does(text in "([ \n]?[a-zA-Z]{1,18}('s|[.,]|\u{2019}t)?){0,60}") {
        check(&text);
    }
}
