//! What a tokenizer does to a text, step by step, for people.

use crate::added::Part;
use crate::{Encoder, Specials, TokenId, Tokenizer};

/// A part of a text on its way to ids.
#[derive(Debug, PartialEq, Eq)]
pub enum Explained {
    /// An added token that was cut out.
    Added {
        /// The text that it takes, with white space beside it if it takes that.
        text: String,
        /// Its id.
        id: TokenId,
    },
    /// What is between added tokens.
    Text {
        /// As it was.
        text: String,
        /// After the normalizer.
        normalized: String,
        /// The pretokens, and the ids of each.
        pretokens: Vec<(Vec<u8>, Vec<TokenId>)>,
    },
}

/// The steps for one text.
pub fn explain(tokenizer: &Tokenizer, text: &str, specials: Specials) -> Vec<Explained> {
    let mut encoder = Encoder::new(tokenizer);
    let with_specials = specials != Specials::Ordinary;
    let parts =
        |which: usize, text: &str, explained: &mut Vec<Explained>, each: &mut dyn FnMut(&str, &mut Vec<Explained>)| {
            let Some(matcher) = &tokenizer.matchers()[which] else { return each(text, explained) };
            for part in matcher.parts(text, with_specials) {
                match part {
                    Part::Token(token, bytes) => {
                        explained.push(Explained::Added { text: text[bytes].to_owned(), id: token.id });
                    }
                    Part::Text(bytes) => each(&text[bytes], explained),
                }
            }
        };
    let mut explained = Vec::new();
    parts(0, text, &mut explained, &mut |text, explained| {
        let normalized = tokenizer.rules().normalize(text);
        parts(1, &normalized, explained, &mut |part, explained| {
            if part.is_empty() {
                return;
            }
            let pieces = tokenizer.rules().pieces(part);
            let mut pretokens = Vec::with_capacity(pieces.ranges.len());
            for range in pieces.ranges {
                let pretoken = &pieces.bytes[range];
                pretokens.push((pretoken.to_vec(), encoder.merge(pretoken)));
            }
            let original = if part == normalized { text } else { part };
            explained.push(Explained::Text { text: original.to_owned(), normalized: part.to_owned(), pretokens });
        });
    });
    explained
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_give_the_ids() {
        let gpt2 = Tokenizer::gpt2();
        let text = "It's <|endoftext|>so";
        let explained = explain(&gpt2, text, Specials::Allowed);
        let ids: Vec<TokenId> = explained
            .iter()
            .flat_map(|step| match step {
                Explained::Added { id, .. } => vec![*id],
                Explained::Text { pretokens, .. } => pretokens.iter().flat_map(|(_, ids)| ids.clone()).collect(),
            })
            .collect();
        assert_eq!(ids, Encoder::new(&gpt2).encode_with(text, Specials::Allowed).unwrap());
        assert!(matches!(&explained[0], Explained::Text { pretokens, .. } if pretokens[1].0 == b"'s"));
        assert_eq!(explained[1], Explained::Added { text: "<|endoftext|>".into(), id: TokenId(50256) });
    }
}
