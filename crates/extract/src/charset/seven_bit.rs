//! Charsets that write other scripts with ASCII bytes, between escape sequences: ISO-2022-JP, and ISO-2022-KR,
//! ISO-2022-CN and HZ, which the Encoding standard no longer decodes but old pages are still written in.
//!
//! Left out: CNS 11643 in ISO-2022-CN, for which there is no table here.

use std::borrow::Cow;

use encoding_rs::{EUC_KR, Encoding, GBK, ISO_2022_JP};
use memchr::memmem;

use super::Decoded;

const JAPANESE: [&[u8]; 3] = [b"\x1b$B", b"\x1b$@", b"\x1b(I"];
const KOREAN: &[u8] = b"\x1b$)C";
const CHINESE: &[u8] = b"\x1b$)A";
/// Those of other tables than GB 2312 in ISO-2022-CN.
const OTHER_CHINESE: [&[u8]; 3] = [b"\x1b$)G", b"\x1b$)E", b"\x1b$*H"];
const SHIFT_OUT: u8 = 0x0e;
const SHIFT_IN: u8 = 0x0f;
/// Stretches of HZ that prove it without a declaration.
const MIN_STRETCHES: usize = 2;
/// GB 2312 has 87 rows, the first at 0x21.
const LAST_HZ_LEAD: u8 = 0x77;

/// A charset that the Encoding standard only replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Korean,
    Chinese,
    Hz,
}

impl Charset {
    /// The charset of a label in lower case.
    pub(super) fn for_label(label: &str) -> Option<Charset> {
        match label {
            "iso-2022-kr" | "csiso2022kr" => Some(Charset::Korean),
            "iso-2022-cn" | "iso-2022-cn-ext" => Some(Charset::Chinese),
            "hz-gb-2312" | "hz" => Some(Charset::Hz),
            _ => None,
        }
    }

    pub(super) fn decode(self, html: &[u8]) -> Decoded<'static> {
        match self {
            Charset::Korean => high(&shifted_to_euc(html, KOREAN), EUC_KR, "ISO-2022-KR"),
            Charset::Chinese => high(&shifted_to_euc(html, CHINESE), GBK, "ISO-2022-CN"),
            // Without an escape sequence it is ASCII.
            Charset::Hz => high(&hz_to_euc(html, true).unwrap_or_else(|| html.to_vec()), GBK, "HZ-GB-2312"),
        }
    }
}

/// Decodes a page of ASCII bytes in which the escape sequences of one of these charsets occur.
pub(super) fn decode<'a>(html: &'a [u8], labels: &[String]) -> Option<Decoded<'a>> {
    let has = |escape: &[u8]| memmem::find(html, escape).is_some();
    let has_shifts = memchr::memchr(SHIFT_OUT, html).is_some();
    if JAPANESE.iter().any(|escape| has(escape)) {
        let charset = ISO_2022_JP.name();
        if has_shifts {
            let text = ISO_2022_JP.decode_without_bom_handling(&katakana_by_escapes(html)).0.into_owned();
            return Some(Decoded { text: Cow::Owned(text), charset });
        }
        return Some(Decoded { text: ISO_2022_JP.decode_without_bom_handling(html).0, charset });
    }
    if has_shifts && has(KOREAN) {
        return Some(Charset::Korean.decode(html));
    }
    if has_shifts && has(CHINESE) && !OTHER_CHINESE.iter().any(|escape| has(escape)) {
        return Some(Charset::Chinese.decode(html));
    }
    let is_declared = labels.iter().any(|label| Charset::for_label(label) == Some(Charset::Hz));
    hz_to_euc(html, is_declared).map(|euc| high(&euc, GBK, "HZ-GB-2312"))
}

fn high(euc: &[u8], encoding: &'static Encoding, charset: &'static str) -> Decoded<'static> {
    let (text, _) = encoding.decode_without_bom_handling(euc);
    Decoded { text: Cow::Owned(text.into_owned()), charset }
}

/// JIS X 0201 in seven bits: the shifts enclose katakana of half width, as the escape sequences do that are decoded.
fn katakana_by_escapes(html: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(html.len());
    for byte in html {
        match *byte {
            SHIFT_OUT => escaped.extend(b"\x1b(I"),
            SHIFT_IN => escaped.extend(b"\x1b(B"),
            byte => escaped.push(byte),
        }
    }
    escaped
}

/// Between the shifts, bytes are those of EUC without the highest bit. A line's end shifts in.
fn shifted_to_euc(html: &[u8], escape: &[u8]) -> Vec<u8> {
    let mut euc = Vec::with_capacity(html.len());
    let (mut rest, mut is_shifted) = (html, false);
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            0x1b if behind.starts_with(&escape[1..]) => rest = &behind[escape.len() - 1..],
            SHIFT_OUT => is_shifted = true,
            SHIFT_IN => is_shifted = false,
            b'\n' => {
                is_shifted = false;
                euc.push(byte);
            }
            0x21..=0x7e if is_shifted => euc.push(byte | 0x80),
            _ => euc.push(byte),
        }
    }
    euc
}

/// `~{` and `~}` enclose pairs of GB 2312 without the highest bits, `~~` is a tilde, and `~` at a line's end joins it
/// with the next. `None` when the bytes are not so.
fn hz_to_euc(html: &[u8], is_declared: bool) -> Option<Vec<u8>> {
    memmem::find(html, b"~{")?;
    let mut euc = Vec::with_capacity(html.len());
    let (mut rest, mut stretches) = (html, 0);
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind.first()) {
            (b'~', Some(b'{')) => {
                let len = behind.len().min(memmem::find(behind, b"~}").unwrap_or(behind.len()));
                let pairs = &behind[1..len];
                let is_valid = pairs.len() % 2 == 0
                    && pairs
                        .chunks_exact(2)
                        .all(|pair| (0x21..=LAST_HZ_LEAD).contains(&pair[0]) && (0x21..=0x7e).contains(&pair[1]));
                if !is_valid && !is_declared {
                    return None;
                }
                if is_valid {
                    stretches += usize::from(!pairs.is_empty());
                    euc.extend(pairs.iter().map(|byte| byte | 0x80));
                    rest = behind.get(len + 2..).unwrap_or(&[]);
                } else {
                    euc.push(byte);
                }
            }
            (b'~', Some(b'~')) => {
                euc.push(byte);
                rest = &behind[1..];
            }
            (b'~', Some(b'\n')) => rest = &behind[1..],
            _ => euc.push(byte),
        }
    }
    (is_declared || stretches >= MIN_STRETCHES).then_some(euc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], labels: &[&str], expected: Option<(&str, &str)>) {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let decoded = decode(bytes, &labels);
        assert_eq!(decoded.as_ref().map(|decoded| (decoded.text.as_ref(), decoded.charset)), expected);
    }

    #[test]
    fn escapes() {
        check(b"a \x1b$B$3$s\x1b(B b", &[], Some(("a こん b", "ISO-2022-JP")));
        check(b"\x1b$)C<p>\x0e0!3*\x0f b", &[], Some(("<p>가나 b", "ISO-2022-KR")));
        check(b"\x1b$)A<p>\x0eVPND\x0f b", &[], Some(("<p>中文 b", "ISO-2022-CN")));
        check(b"a \x1b$B$3\x1b(B \x0e1\x0f b", &[], Some(("a こ ｱ b", "ISO-2022-JP")));
        check(b"<p>~{<:Ky2;~} ~~ ~{VPND~}", &[], Some(("<p>己所不 ~ 中文", "HZ-GB-2312")));
        check(b"~{VPND~}", &["hz-gb-2312"], Some(("中文", "HZ-GB-2312")));
    }

    #[test]
    fn what_only_looks_so() {
        check(b"if (~{a:1}.b) ~{c} ~}", &[], None);
        check(b"a ~{VPND~}", &[], None);
        check(b"\x1b$)A \x1b$)G \x0eVPND\x0f", &[], None);
        check(b"plain \x1b[0m", &["hz-gb-2312"], None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in "[~{}!-z\\x0e\\x0f\\x1b\n]*", is_declared: bool) {
            hz_to_euc(bytes.as_bytes(), is_declared);
            shifted_to_euc(bytes.as_bytes(), KOREAN);
        }
    }
}
