//! Digests as archives write them: `sha1:` and base32, or the same bytes in hexadecimal or base64.

use std::fmt;

use data_encoding::{BASE32, BASE64, HEXLOWER_PERMISSIVE};

/// A labelled digest. Two are equal if algorithm and bytes are, however they were written.
///
/// ```
/// use warc::Digest;
///
/// let base32 = Digest::parse("sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ");
/// assert_eq!(base32, Digest::parse("SHA-1:da39a3ee5e6b4b0d3255bfef95601890afd80709"));
/// assert_eq!(base32, Digest::parse("3i42h3s6nnfq2msvx7xzkyayscx5qbyj"));
/// assert_eq!(base32.unwrap().to_string(), "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ");
/// assert_eq!(Digest::parse("sha1:"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    /// The algorithm in lower case, without hyphens: `sha1`, `md5`, `sha256`.
    pub algorithm: String,
    /// The digest itself.
    pub bytes: Vec<u8>,
}

/// Algorithms that archives use, with the length of their digests in bytes.
const ALGORITHMS: [(&str, usize); 5] = [("md5", 16), ("sha1", 20), ("sha256", 32), ("sha384", 48), ("sha512", 64)];

impl Digest {
    /// Reads `algorithm:digest`, or a bare SHA-1 in base32 as CDX files have it. `None` where the digest has not the
    /// length that the algorithm gives.
    pub fn parse(text: &str) -> Option<Digest> {
        let (algorithm, digest) = text.trim().split_once([':', '=']).unwrap_or(("sha1", text.trim()));
        let algorithm = algorithm.trim().to_ascii_lowercase().replace('-', "");
        let len_bytes = ALGORITHMS.iter().find(|(name, _)| *name == algorithm)?.1;
        let digest = digest.trim();
        let base32 = format!("{}{}", digest.to_ascii_uppercase().trim_end_matches('='), padding(digest));
        // The lengths of the three differ, so only one of them gives as many bytes as there must be.
        let spellings = [
            HEXLOWER_PERMISSIVE.decode(digest.as_bytes()),
            BASE32.decode(base32.as_bytes()),
            BASE64.decode(digest.as_bytes()),
        ];
        let bytes = spellings.into_iter().flatten().find(|bytes| bytes.len() == len_bytes)?;
        Some(Digest { algorithm, bytes })
    }
}

/// The `=` that base32 has after a digest of this length.
fn padding(digest: &str) -> &'static str {
    &"======="[..(8 - digest.trim_end_matches('=').len() % 8) % 8]
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, BASE32.encode(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_digest() {
        for text in [
            "",
            "-",
            "sha1",
            "sha1:abc",
            "crc32:00000000",
            "sha256:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
            "sha1:=",
            "\u{17e}",
        ] {
            assert_eq!(Digest::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_is_the_same(which in 0..ALGORITHMS.len(), seed: [u8; 32]) {
            let (algorithm, len_bytes) = ALGORITHMS[which];
            let bytes: Vec<u8> = seed.iter().copied().cycle().take(len_bytes).collect();
            let expected = Some(Digest { algorithm: algorithm.to_owned(), bytes: bytes.clone() });
            for digest in [
                BASE32.encode(&bytes),
                BASE32.encode(&bytes).to_lowercase(),
                BASE32.encode(&bytes).trim_end_matches('=').to_owned(),
                HEXLOWER_PERMISSIVE.encode(&bytes),
                HEXLOWER_PERMISSIVE.encode(&bytes).to_uppercase(),
                BASE64.encode(&bytes),
            ] {
                prop_assert_eq!(Digest::parse(&format!("{algorithm}:{digest}")), expected.clone(), "{}", digest);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = Digest::parse(&text);
        }
    }
}
