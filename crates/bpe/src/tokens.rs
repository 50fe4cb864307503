//! Files of token ids, in the forms that trainers read.
//!
//! | format | ids | end-of-text | beside it |
//! | --- | --- | --- | --- |
//! | `nanogpt` | u16 or u32, no header | after each document | |
//! | `llmc` | u16 after 256 i32: 20240520, 1, number of tokens, 0 …; u32 after 20240801, 7, … | before each document | |
//! | `megatron` | u16 or i32, no header | after each document | `.idx`: lengths, offsets, documents |
//! | `ids` | decimal text, one document per line | none | |
//!
//! Ids are u16 for a vocabulary of at most 65,536, else u32. All numbers are little-endian. Every format but `ids` also
//! gets `.offsets`: for each document the number of tokens before it as u64, and the number of all tokens at the end.

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

/// Bytes of an id in the binary formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdWidth {
    /// u16.
    Two,
    /// u32.
    Four,
}

impl IdWidth {
    /// The least width for all ids of a vocabulary.
    pub fn of_vocabulary(vocab_size: usize) -> IdWidth {
        if vocab_size <= 1 << 16 { IdWidth::Two } else { IdWidth::Four }
    }

    /// The number of bytes.
    pub fn bytes(self) -> usize {
        match self {
            IdWidth::Two => 2,
            IdWidth::Four => 4,
        }
    }

    /// NumPy's name of the type.
    pub fn dtype(self) -> &'static str {
        match self {
            IdWidth::Two => "uint16",
            IdWidth::Four => "uint32",
        }
    }
}

/// A format, and the width of its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLayout {
    /// The format.
    pub format: TokenFormat,
    /// The width of its ids; of no effect on `ids`.
    pub width: IdWidth,
}

/// A number of tokens for which a format has no room.
#[derive(Debug, thiserror::Error)]
#[error("{what} holds at most {} tokens, and there are more", i32::MAX)]
pub struct TooManyTokens {
    what: &'static str,
}

impl UserError for TooManyTokens {
    fn hint(&self) -> Option<String> {
        Some("encode fewer texts into one file, or use --format nanogpt".to_owned())
    }
}

/// An id that does not fit into the 16 bits of the binary formats.
#[derive(Debug, thiserror::Error)]
#[error("token id {0} does not fit into 16 bits")]
#[non_exhaustive]
pub struct TooWide(pub u32);

impl UserError for TooWide {
    fn hint(&self) -> Option<String> {
        Some("use --format ids, or a vocabulary of at most 65,536".to_owned())
    }
}

impl TokenLayout {
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
        if self.format != TokenFormat::Llmc {
            return Ok(0);
        }
        self.append_ids(&[end_of_text], false, bytes).map(|()| 1)
    }

    /// Appends what comes after a document; returns how many tokens that is.
    ///
    /// # Errors
    /// When the id does not fit.
    pub fn end_document(self, end_of_text: TokenId, bytes: &mut Vec<u8>) -> Result<u64, TooWide> {
        match self.format {
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
        match (self.format, self.width) {
            (TokenFormat::Ids, _) => {
                for (place, id) in ids.iter().enumerate() {
                    if goes_on || place > 0 {
                        bytes.push(b' ');
                    }
                    write!(bytes, "{}", id.0).expect("a vector takes all");
                }
            }
            (_, IdWidth::Two) => {
                if let Some(wide) = ids.iter().find(|id| id.0 > u32::from(u16::MAX)) {
                    return Err(TooWide(wide.0));
                }
                bytes.extend(ids.iter().flat_map(|id| (id.0 as u16).to_le_bytes()));
            }
            (_, IdWidth::Four) => bytes.extend(ids.iter().flat_map(|id| id.0.to_le_bytes())),
        }
        Ok(())
    }

    /// Refuses more tokens than the format's counts have room for: of all documents, and of the longest.
    ///
    /// # Errors
    /// When there are.
    pub fn check_counts(self, tokens: u64, longest: u64) -> Result<(), TooManyTokens> {
        let (count, what) = match self.format {
            TokenFormat::Llmc => (tokens, "llm.c's header"),
            TokenFormat::Megatron => (longest, "a document in Megatron's index"),
            TokenFormat::Nanogpt | TokenFormat::Ids => return Ok(()),
        };
        if count > i32::MAX as u64 { Err(TooManyTokens { what }) } else { Ok(()) }
    }
}

const LLMC_MAGIC: i32 = 20_240_520;
/// Of files with ids of 32 bits, as llm.c has them for Llama 3.
const LLMC_WIDE_MAGIC: i32 = 20_240_801;

/// llm.c's header for a file of this many tokens, which are at most 2³¹ - 1.
pub fn llmc_header(tokens: u64, width: IdWidth) -> [u8; LLMC_HEADER_BYTES] {
    let (magic, version) = match width {
        IdWidth::Two => (LLMC_MAGIC, 1),
        IdWidth::Four => (LLMC_WIDE_MAGIC, 7),
    };
    let mut header = [0; LLMC_HEADER_BYTES];
    for (place, value) in [magic, version, tokens as i32].into_iter().enumerate() {
        header[4 * place..4 * place + 4].copy_from_slice(&value.to_le_bytes());
    }
    header
}

/// Writes Megatron's `.idx` for documents of these lengths in tokens, one sequence each.
///
/// # Errors
/// When the sink fails.
pub fn write_megatron_index(lengths: &[u64], width: IdWidth, to: &mut impl Write) -> io::Result<()> {
    // Megatron's codes of types: int32 and uint16.
    let code: u8 = if width == IdWidth::Two { 8 } else { 4 };
    to.write_all(b"MMIDIDX\0\0")?;
    to.write_all(&1u64.to_le_bytes())?;
    to.write_all(&[code])?;
    to.write_all(&(lengths.len() as u64).to_le_bytes())?;
    to.write_all(&(lengths.len() as u64 + 1).to_le_bytes())?;
    for &length in lengths {
        to.write_all(&(length as i32).to_le_bytes())?;
    }
    let mut offset = 0i64;
    for &length in lengths {
        to.write_all(&offset.to_le_bytes())?;
        offset += width.bytes() as i64 * length as i64;
    }
    for document in 0..=lengths.len() as i64 {
        to.write_all(&document.to_le_bytes())?;
    }
    Ok(())
}

/// A file of ids that is not whole.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutOffFile {
    /// Its length is no multiple of an id's.
    #[error("it ends inside an id: it is cut off, or of another vocabulary")]
    InId,
    /// It is shorter than llm.c's header, with which it begins.
    #[error("it ends inside llm.c's header: it is cut off")]
    InHeader,
    /// llm.c's header is of a version that is not known: its ids may be stored otherwise.
    #[error("its header of llm.c has the version {version}; 1 and 7 are known")]
    Version {
        /// The version.
        version: i32,
    },
    /// The offsets beside it are no whole numbers of 64 bits.
    #[error("the .offsets beside it end inside a number: they are cut off, or of another program")]
    InOffsets,
    /// It has not as many ids as llm.c's header, or the offsets beside it, say.
    #[error("it holds {found} tokens, and is said to have {said}: it is cut off, or of another file")]
    Count {
        /// Ids in the file.
        found: u64,
        /// Ids that it should have.
        said: i64,
    },
}

/// Whether bytes begin as llm.c's files do.
#[cfg(feature = "cli")]
pub(crate) fn is_llmc(bytes: &[u8]) -> bool {
    width_of_llmc(bytes).is_some()
}

fn width_of_llmc(bytes: &[u8]) -> Option<IdWidth> {
    match i32::from_le_bytes(*bytes.first_chunk()?) {
        LLMC_MAGIC => Some(IdWidth::Two),
        LLMC_WIDE_MAGIC => Some(IdWidth::Four),
        _ => None,
    }
}

/// Reads the ids of a nanoGPT or llm.c file. A header says how wide they are; without one, they have `width`.
///
/// # Errors
/// When the file is cut off: inside of an id, or, where a header says how many there are, anywhere.
pub fn parse_binary(bytes: &[u8], width: IdWidth) -> Result<Vec<TokenId>, CutOffFile> {
    let (body, width, said) = match width_of_llmc(bytes) {
        Some(width) => {
            let (header, body) = bytes.split_at_checked(LLMC_HEADER_BYTES).ok_or(CutOffFile::InHeader)?;
            if header[..8] != llmc_header(0, width)[..8] {
                let version = i32::from_le_bytes([header[4], header[5], header[6], header[7]]);
                return Err(CutOffFile::Version { version });
            }
            (body, width, Some(i32::from_le_bytes([header[8], header[9], header[10], header[11]])))
        }
        None => (bytes, width, None),
    };
    if !body.len().is_multiple_of(width.bytes()) {
        return Err(CutOffFile::InId);
    }
    let found = (body.len() / width.bytes()) as u64;
    if let Some(said) = said.map(i64::from).filter(|&said| u64::try_from(said) != Ok(found)) {
        return Err(CutOffFile::Count { found, said });
    }
    Ok(match width {
        IdWidth::Two => {
            body.chunks_exact(2).map(|two| TokenId(u32::from(u16::from_le_bytes([two[0], two[1]])))).collect()
        }
        IdWidth::Four => body.chunks_exact(4).map(|b| TokenId(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: TokenFormat, width: IdWidth, expected: &[u8]) {
        let mut bytes = Vec::new();
        for ids in [&[TokenId(1), TokenId(300)][..], &[TokenId(2)]] {
            TokenLayout { format, width }.append(ids, TokenId(9), &mut bytes).unwrap();
        }
        assert_eq!(bytes, expected);
    }

    #[test]
    fn bytes_of_each_format() {
        check(TokenFormat::Nanogpt, IdWidth::Two, &[1, 0, 44, 1, 9, 0, 2, 0, 9, 0]);
        check(TokenFormat::Megatron, IdWidth::Two, &[1, 0, 44, 1, 9, 0, 2, 0, 9, 0]);
        check(TokenFormat::Llmc, IdWidth::Two, &[9, 0, 1, 0, 44, 1, 9, 0, 2, 0]);
        check(TokenFormat::Ids, IdWidth::Two, b"1 300\n2\n");
        check(TokenFormat::Llmc, IdWidth::Four, &[9, 0, 0, 0, 1, 0, 0, 0, 44, 1, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0]);
        let narrow = TokenLayout { format: TokenFormat::Nanogpt, width: IdWidth::Two };
        assert!(narrow.append(&[TokenId(65_536)], TokenId(9), &mut Vec::new()).is_err());
    }

    #[test]
    fn counts_that_a_header_has_no_room_for_are_refused() {
        let layout = |format| TokenLayout { format, width: IdWidth::Two };
        assert!(layout(TokenFormat::Llmc).check_counts(1 << 31, 1).is_err());
        assert!(layout(TokenFormat::Llmc).check_counts((1 << 31) - 1, 1).is_ok());
        assert!(layout(TokenFormat::Megatron).check_counts(1 << 40, 1 << 31).is_err());
        assert!(layout(TokenFormat::Megatron).check_counts(1 << 40, 1 << 30).is_ok());
    }

    #[test]
    fn headers_and_indexes() {
        let header = llmc_header(7, IdWidth::Two);
        assert_eq!(header[..12], [0x88, 0xd8, 0x34, 0x01, 1, 0, 0, 0, 7, 0, 0, 0]);
        let cut_off = parse_binary(&[&header[..], &[5, 0]].concat(), IdWidth::Four);
        assert_eq!(cut_off, Err(CutOffFile::Count { found: 1, said: 7 }));
        assert_eq!(parse_binary(&header[..500], IdWidth::Two), Err(CutOffFile::InHeader));
        let mut index = Vec::new();
        write_megatron_index(&[3, 2], IdWidth::Two, &mut index).unwrap();
        assert_eq!(index.len(), 9 + 8 + 1 + 8 + 8 + 2 * 4 + 2 * 8 + 3 * 8);
        let header = llmc_header(1, IdWidth::Two);
        assert_eq!(parse_binary(&[&header[..], &[5, 0]].concat(), IdWidth::Four).unwrap(), [TokenId(5)]);
        let header = llmc_header(1, IdWidth::Four);
        assert_eq!(header[..12], [0xa1, 0xd9, 0x34, 0x01, 7, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(parse_binary(&[&header[..], &[5, 0, 1, 0]].concat(), IdWidth::Two).unwrap(), [TokenId(65_541)]);
        assert_eq!(parse_binary(&[5, 0, 1], IdWidth::Two), Err(CutOffFile::InId));
    }
}
