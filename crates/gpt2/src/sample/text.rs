//! Converts a stream of tokens, which may end inside a character, to text.

/// Turns the bytes of tokens into text, as soon as it is certain.
///
/// The bytes of a character are held back until it is complete, and text that may begin a stop string until it is known
/// whether it does. Invalid UTF-8 becomes U+FFFD, as in `String::from_utf8_lossy`.
///
/// ```
/// let mut text = gpt2::TextStream::new(&["END".into()]);
/// assert_eq!(text.push("é".as_bytes()), ("é".into(), false));
/// assert_eq!(text.push(&"…".as_bytes()[..2]), ("".into(), false));
/// assert_eq!(text.push(&[0xA6, b' ', b'E', b'N']), ("… ".into(), false));
/// assert_eq!(text.push(b"D!"), ("".into(), true));
/// ```
#[derive(Debug, Clone)]
pub struct TextStream {
    stops: Vec<String>,
    /// Beginning of a character.
    bytes: Vec<u8>,
    /// Whole characters that may begin a stop string.
    text: String,
    has_stopped: bool,
}

impl TextStream {
    /// A stream that ends before the first of these strings. Empty strings are ignored.
    pub fn new(stops: &[String]) -> TextStream {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        TextStream { stops, bytes: Vec::new(), text: String::new(), has_stopped: false }
    }

    /// Adds bytes; returns the text that became certain, and whether a stop string was found. After that, add no more.
    pub fn push(&mut self, bytes: &[u8]) -> (String, bool) {
        if self.has_stopped {
            return (String::new(), true);
        }
        self.bytes.extend_from_slice(bytes);
        let len = certain_len(&self.bytes);
        self.text.push_str(&String::from_utf8_lossy(&self.bytes[..len]));
        self.bytes.drain(..len);
        let found = self.stops.iter().filter_map(|stop| self.text.find(stop)).min();
        self.has_stopped = found.is_some();
        let end = found.unwrap_or_else(|| self.text.len() - self.held_len());
        let held = self.text.split_off(end);
        (std::mem::replace(&mut self.text, held), self.has_stopped)
    }

    /// What was held back, at the end of the tokens.
    pub fn finish(self) -> String {
        if self.has_stopped { String::new() } else { self.text + &String::from_utf8_lossy(&self.bytes) }
    }

    /// Bytes of the longest suffix of `text` that begins a stop string.
    fn held_len(&self) -> usize {
        let begins =
            |stop: &String| (1..stop.len()).rev().find(|&len| self.text.as_bytes().ends_with(&stop.as_bytes()[..len]));
        // A stop string's first bytes may end within a character, but the text's end does not.
        self.stops.iter().filter_map(begins).max().unwrap_or(0)
    }
}

/// Bytes that form complete characters, or can never become one.
fn certain_len(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    if let Some(last) = bytes.utf8_chunks().last().map(|chunk| chunk.invalid()) {
        let is_begun = !last.is_empty() && std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
        end -= if is_begun { last.len() } else { 0 };
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text of `parts`, and the parts of it as they came.
    fn run(parts: &[&[u8]], stops: &[&str]) -> (String, Vec<String>) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.into()).collect();
        let mut stream = TextStream::new(&stops);
        let mut seen: Vec<String> = parts.iter().map(|part| stream.push(part).0).collect();
        seen.push(stream.finish());
        (seen.concat(), seen)
    }

    #[test]
    fn characters_come_whole() {
        let smile = "😀".as_bytes();
        let (text, seen) = run(&[b"a", &smile[..1], &smile[1..3], &smile[3..], b"b"], &[]);
        assert_eq!((text.as_str(), seen[1].as_str(), seen[3].as_str()), ("a😀b", "", "😀"));
        assert_eq!(run(&[b"a\xFF", b"b\xF0"], &[]).0, "a\u{FFFD}b\u{FFFD}");
        assert_eq!(run(&[b"\xF0\x9F", b"b"], &[]).1, ["", "\u{FFFD}b", ""]);
    }

    #[test]
    fn stop_strings_end_the_text_and_are_not_shown() {
        assert_eq!(run(&[b"one\n", b"\ntwo"], &["\n\n"]).1, ["one", "", ""]);
        assert_eq!(run(&[b"one\n", b"two"], &["\n\n"]).1, ["one", "\ntwo", ""]);
        assert_eq!(run(&[b"aab", b"aac", b"x"], &["aac", "zz"]).0, "aab");
        assert_eq!(run(&[b"a\n"], &["\n\n", ""]).1, ["a", "\n"]);
        assert_eq!(run(&["ab→".as_bytes()], &["→→"]).1, ["ab", "→"]);
        // Two held beginnings at once: the longer one counts.
        assert_eq!(run(&[b"xab", b"abc"], &["ababd", "abc"]).0, "xab");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_text(bytes in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'),
            Just(0xC3), Just(0xA9), Just(0xF0), Just(0x9F), Just(0x98), any::<u8>()], 0..40), size in 1usize..6) {
            let parts: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(run(&parts, &[]).0, String::from_utf8_lossy(&bytes));
            let whole = String::from_utf8_lossy(&bytes).into_owned();
            let expected = whole.split("ab").next().unwrap_or("").to_owned();
            prop_assert_eq!(run(&parts, &["ab"]).0, expected);
        }
    }
}
