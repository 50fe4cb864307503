//! GPT-2's order of the 256 bytes, and the characters that stand for them in its files.
//!
//! Bytes that are printable in Latin-1 come first and stand for themselves; the others follow in
//! ascending order as U+0100 and on, so that no file holds a blank or a control character.

/// Whether a byte stands for itself.
const fn is_printable(byte: u8) -> bool {
    matches!(byte, 33..=126 | 161..=172 | 174..=255)
}

/// The byte with each of the first 256 ids.
pub(crate) const BYTE_OF_ID: [u8; 256] = {
    let mut order = [0; 256];
    let mut next = 0;
    let mut pass = 0;
    while pass < 2 {
        let mut byte = 0;
        while byte < 256 {
            if is_printable(byte as u8) == (pass == 0) {
                order[next] = byte as u8;
                next += 1;
            }
            byte += 1;
        }
        pass += 1;
    }
    order
};

/// The id of each byte.
pub(crate) const ID_OF_BYTE: [u8; 256] = {
    let mut ids = [0; 256];
    let mut id = 0;
    while id < 256 {
        ids[BYTE_OF_ID[id] as usize] = id as u8;
        id += 1;
    }
    ids
};

/// Number of bytes that stand for themselves.
const PRINTABLE: u32 = 188;

/// A token as GPT-2's files write it.
pub(crate) fn to_visible(bytes: &[u8]) -> String {
    let char_of = |&byte: &u8| {
        if is_printable(byte) {
            byte as char
        } else {
            let after = u32::from(ID_OF_BYTE[byte as usize]) - PRINTABLE;
            char::from_u32(0x100 + after).expect("below U+0144")
        }
    };
    bytes.iter().map(char_of).collect()
}

/// The bytes of a token as GPT-2's files write it; `None` for a character that stands for no byte.
pub(crate) fn from_visible(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|char| match u32::from(char) {
            code @ 0..=255 if is_printable(code as u8) => Some(code as u8),
            code @ 0x100..=0x143 => Some(BYTE_OF_ID[(PRINTABLE + code - 0x100) as usize]),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_places() {
        assert_eq!((ID_OF_BYTE[b'!' as usize], ID_OF_BYTE[b' ' as usize], ID_OF_BYTE[b'\n' as usize]), (0, 220, 198));
        assert_eq!(to_visible(b" a\n"), "ĠaĊ");
        for byte in 0..=255 {
            assert_eq!(from_visible(&to_visible(&[byte])), Some(vec![byte]));
        }
        assert_eq!(from_visible(" "), None);
    }
}
