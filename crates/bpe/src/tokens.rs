//! Files of token ids, in the forms that trainers read.
//!
//! | format | ids | end-of-text | beside it |
//! | --- | --- | --- | --- |
//! | `nanogpt` | u16, no header | after each document | |
//! | `llmc` | u16 after 256 i32: 20240520, 1, number of tokens, 0 … | before each document | |
//! | `megatron` | u16, no header | after each document | `.idx`: lengths, offsets, documents |
//! | `ids` | decimal text, one document per line | none | |
//!
//! All numbers are little-endian. Every format but `ids` also gets `.offsets`: for each document the
//! number of tokens before it as u64, and the number of all tokens at the end.

use std::io::{self, Write};

use user_error::UserError;

use crate::TokenId;

/// Bytes of llm.c's header.
pub const LLMC_HEADER_BYTES: usize = 1024;

/// A format of token files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum TokenFormat {
    /// nanoGPT's `train.bin`.
    Nanogpt,
    /// llm.c's and modded-nanogpt's shards.
    Llmc,
    /// Megatron's indexed dataset.
    Megatron,
    /// Ids as text, one document per line.
    Ids,
}

/// An id that does not fit into the 16 bits of the binary formats.
#[derive(Debug, thiserror::Error)]
#[error("token id {0} does not fit into 16 bits")]
pub struct TooWide(pub u32);

impl UserError for TooWide {
    fn hint(&self) -> Option<String> {
        Some("use --format ids, or a vocabulary of at most 65,536".to_owned())
    }
}

impl TokenFormat {
    /// Appends one document to `bytes` and returns the number of tokens written, end-of-text included.
    ///
    /// # Errors
    /// When an id does not fit.
    pub fn append(self, ids: &[TokenId], end_of_text: TokenId, bytes: &mut Vec<u8>) -> Result<u64, TooWide> {
        let ends = self.begin_document(end_of_text, bytes)?;
        self.append_ids(ids, false, bytes)?;
        Ok(ends + ids.len() as u64 + self.end_document(end_of_text, bytes)?)
    }

    /// Appends what comes before a document; returns how many tokens that is.
    ///
    /// # Errors
    /// When the id does not fit.
    pub fn begin_document(self, end_of_text: TokenId, bytes: &mut Vec<u8>) -> Result<u64, TooWide> {
        if self != TokenFormat::Llmc {
            return Ok(0);
        }
        self.append_ids(&[end_of_text], false, bytes).map(|()| 1)
    }

    /// Appends what comes after a document; returns how many tokens that is.
    ///
    /// # Errors
    /// When the id does not fit.
    pub fn end_document(self, end_of_text: TokenId, bytes: &mut Vec<u8>) -> Result<u64, TooWide> {
        match self {
            TokenFormat::Llmc => Ok(0),
            TokenFormat::Nanogpt | TokenFormat::Megatron => self.append_ids(&[end_of_text], false, bytes).map(|()| 1),
            TokenFormat::Ids => {
                bytes.push(b'\n');
                Ok(0)
            }
        }
    }

    /// Appends ids of a document; `goes_on` says whether others of it were appended before.
    ///
    /// # Errors
    /// When an id does not fit.
    pub fn append_ids(self, ids: &[TokenId], goes_on: bool, bytes: &mut Vec<u8>) -> Result<(), TooWide> {
        if self == TokenFormat::Ids {
            for (place, id) in ids.iter().enumerate() {
                if goes_on || place > 0 {
                    bytes.push(b' ');
                }
                write!(bytes, "{}", id.0).expect("a vector takes all");
            }
            return Ok(());
        }
        if let Some(wide) = ids.iter().find(|id| id.0 > u32::from(u16::MAX)) {
            return Err(TooWide(wide.0));
        }
        bytes.extend(ids.iter().flat_map(|id| (id.0 as u16).to_le_bytes()));
        Ok(())
    }
}

/// llm.c's header for a file of this many tokens.
pub fn llmc_header(tokens: u64) -> [u8; LLMC_HEADER_BYTES] {
    let mut header = [0; LLMC_HEADER_BYTES];
    for (place, value) in [20_240_520, 1, tokens as i32].into_iter().enumerate() {
        header[4 * place..4 * place + 4].copy_from_slice(&value.to_le_bytes());
    }
    header
}

/// Writes Megatron's `.idx` for documents of these lengths in tokens, one sequence each.
///
/// # Errors
/// When the sink fails.
pub fn write_megatron_index(lengths: &[u64], to: &mut impl Write) -> io::Result<()> {
    const U16: u8 = 8;
    to.write_all(b"MMIDIDX\0\0")?;
    to.write_all(&1u64.to_le_bytes())?;
    to.write_all(&[U16])?;
    to.write_all(&(lengths.len() as u64).to_le_bytes())?;
    to.write_all(&(lengths.len() as u64 + 1).to_le_bytes())?;
    for &length in lengths {
        to.write_all(&(length as i32).to_le_bytes())?;
    }
    let mut offset = 0i64;
    for &length in lengths {
        to.write_all(&offset.to_le_bytes())?;
        offset += 2 * length as i64;
    }
    for document in 0..=lengths.len() as i64 {
        to.write_all(&document.to_le_bytes())?;
    }
    Ok(())
}

/// Reads the ids of a nanoGPT or llm.c file; a header is recognised by its magic number.
pub fn parse_binary(bytes: &[u8]) -> Vec<TokenId> {
    let has_header = bytes.len() >= LLMC_HEADER_BYTES && bytes[..4] == 20_240_520i32.to_le_bytes();
    let body = if has_header { &bytes[LLMC_HEADER_BYTES..] } else { bytes };
    body.chunks_exact(2).map(|two| TokenId(u32::from(u16::from_le_bytes([two[0], two[1]])))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: TokenFormat, expected: &[u8]) {
        let mut bytes = Vec::new();
        for ids in [&[TokenId(1), TokenId(300)][..], &[TokenId(2)]] {
            format.append(ids, TokenId(9), &mut bytes).unwrap();
        }
        assert_eq!(bytes, expected);
    }

    #[test]
    fn bytes_of_each_format() {
        check(TokenFormat::Nanogpt, &[1, 0, 44, 1, 9, 0, 2, 0, 9, 0]);
        check(TokenFormat::Megatron, &[1, 0, 44, 1, 9, 0, 2, 0, 9, 0]);
        check(TokenFormat::Llmc, &[9, 0, 1, 0, 44, 1, 9, 0, 2, 0]);
        check(TokenFormat::Ids, b"1 300\n2\n");
        assert!(TokenFormat::Nanogpt.append(&[TokenId(65_536)], TokenId(9), &mut Vec::new()).is_err());
    }

    #[test]
    fn headers_and_indexes() {
        let header = llmc_header(7);
        assert_eq!(header[..12], [0x88, 0xd8, 0x34, 0x01, 1, 0, 0, 0, 7, 0, 0, 0]);
        let mut index = Vec::new();
        write_megatron_index(&[3, 2], &mut index).unwrap();
        assert_eq!(index.len(), 9 + 8 + 1 + 8 + 8 + 2 * 4 + 2 * 8 + 3 * 8);
        assert_eq!(parse_binary(&[&header[..], &[5, 0]].concat()), [TokenId(5)]);
    }
}
