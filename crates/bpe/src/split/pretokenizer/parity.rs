//! Pieces as Hugging Face's tokenizers give them: of all code points for what finds single characters, and of random
//! texts for regular expressions. `WEBTEXT_PEERS` names a Python that has them; skips with a printed reason without it.

#[path = "../../../../../tests/support/share.rs"]
mod share;
#[path = "../../../../../tests/support/skip.rs"]
mod skip;

use std::process::Command;

use super::*;
use crate::split::oniguruma::PROPERTY_NAMES;

const SCRIPT: &str = include_str!("../../../tests/pretokenizers_of_hugging_face.py");

#[derive(serde::Deserialize)]
struct Expected {
    form: Value,
    text: Option<Text>,
    pieces: Vec<(usize, usize)>,
}

/// What is split; none for all code points.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Text {
    /// A text.
    Of(String),
    /// The code points of the first two planes, and every one of the others that this divides.
    Every(u32),
}

#[test]
fn pieces_are_those_of_hugging_face() {
    let Some(python) = skip::peers("pieces_are_those_of_hugging_face", &["tokenizers"]) else { return };
    let output = Command::new(python)
        .arg("-c")
        .arg(SCRIPT)
        .arg(share::one_in(8).to_string())
        .args(PROPERTY_NAMES)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let everything: String = ('\0'..=char::MAX).collect();
    let lines = String::from_utf8(output.stdout).unwrap();
    for line in lines.lines() {
        let Expected { form, text, pieces } = serde_json::from_str(line).unwrap();
        match text {
            None => check(&form, &everything, &pieces),
            Some(Text::Of(text)) => check(&form, &text, &pieces),
            Some(Text::Every(step)) => {
                let is_in = |char: &char| u32::from(*char) < 0x2_0000 || u32::from(*char) % step == 0;
                check(&form, &everything.chars().filter(is_in).collect::<String>(), &pieces);
            }
        }
    }
    assert!(lines.lines().count() > 3_000);
}

fn check(form: &Value, text: &str, expected: &[(usize, usize)]) {
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false});
    let json = json!({"type": "Sequence", "pretokenizers": [form, byte_level]});
    let pieces = Pretokenizer::parse(&json, false).unwrap_or_else(|error| panic!("{form}: {error}")).pieces(text);
    let mut number_at = vec![0; text.len() + 1];
    text.char_indices().enumerate().for_each(|(number, (at, _))| number_at[at] = number);
    number_at[text.len()] = text.chars().count();
    let mut found = pieces.ranges.iter().map(|piece| (number_at[piece.start], number_at[piece.end]));
    let mut expected = expected.iter().copied();
    loop {
        let both = (found.next(), expected.next());
        if both.0 != both.1 {
            let shown: String = text.chars().take(60).collect();
            panic!("{form}: {both:x?} of {shown:?}");
        }
        if both.0.is_none() {
            return;
        }
    }
}
