//! What a tokenizer does to a text, step by step, for people.

use std::convert::Infallible;

use crate::split::sections::{Section, for_each_section};
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
    let mut explained = Vec::new();
    let result = for_each_section(tokenizer.rules(), tokenizer.matchers(), text, specials, &mut |section| {
        match section {
            Section::Added { token, text, .. } => {
                explained.push(Explained::Added { text: text.to_owned(), id: token.id });
            }
            Section::Text { normalized: "", .. } => {}
            Section::Text { original, normalized } => {
                let pieces = tokenizer.rules().pieces(normalized);
                let pretokens = pieces.ranges.into_iter().map(|range| {
                    let pretoken = &pieces.bytes[range];
                    (pretoken.to_vec(), encoder.merge(pretoken))
                });
                let pretokens = pretokens.collect();
                explained.push(Explained::Text { text: original.into(), normalized: normalized.into(), pretokens });
            }
        }
        Ok(())
    });
    let Ok(()): Result<(), Infallible> = result;
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
