//! Bytes to text by evidence: byte-order mark, then what the bytes themselves prove, then the HTTP header and the meta
//! tag as far as the bytes do not disprove them, then a guess.
//!
//! Browsers obey a declaration even where it makes the page unreadable. Here it is only a hint: valid UTF-8 with bytes
//! beyond ASCII is practically never in another charset, escape sequences of ISO-2022 stand in no other, and text of a
//! script other than Latin has high bytes in runs, which Latin text has not.

use std::borrow::Cow;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, IBM866, ISO_2022_JP, ISO_8859_2, ISO_8859_5, ISO_8859_15, KOI8_R,
    KOI8_U, REPLACEMENT, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1254,
    X_MAC_CYRILLIC, X_USER_DEFINED,
};
mod cyrillic;
mod declared;
mod latin;
mod seven_bit;

use declared::{charset_parameter, language, prescan};

/// Bytes at the beginning in which UTF-16 without a mark, and UTF-32, are recognised.
const SAMPLE_BYTES: usize = 4096;
/// One fault in so many characters does not disprove them.
const MIN_CHARS_PER_FAULT: usize = 100;
/// High bytes from which on their statistics say something.
const MIN_HIGH_BYTES: usize = 20;
/// Latin text in a charset of one byte has next to no valid sequences of UTF-8; that in Chinese, Japanese and Korean ones
/// has one to some ten faults. So half a sequence per fault proves a page of UTF-8 that says to be one,
const MIN_VALID_PER_TWO_FAULTS: usize = 1;
/// two per fault one that says nothing, or that it is in Latin letters,
const MIN_VALID_PER_TWO_FAULTS_UNDECLARED: usize = 4;
/// and ten one that says to be in another script.
const MIN_VALID_PER_TWO_FAULTS_OF_OTHERS: usize = 20;

const LATIN: [&Encoding; 5] = [WINDOWS_1252, WINDOWS_1250, WINDOWS_1254, ISO_8859_2, ISO_8859_15];

/// A decoded page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text; borrowed when the bytes were UTF-8 already.
    pub text: Cow<'a, str>,
    /// The charset's name in the Encoding standard, or `HZ-GB-2312`, `ISO-2022-KR` and `ISO-2022-CN`, which it no longer
    /// has.
    pub charset: &'static str,
}

/// A charset that somebody who knows says pages are in: neither the bytes nor the page disprove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(Known);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Standard(&'static Encoding),
    /// In the order that the bytes show.
    Utf16,
    SevenBit(seven_bit::Charset),
}

impl Charset {
    /// The charset of a label of the Encoding standard. Those that it only replaces are read where they can be.
    ///
    /// ```
    /// use extract::charset::Charset;
    ///
    /// let charset = Charset::for_label("x-mac-cyrillic").expect("it is in the standard");
    /// assert_eq!(charset.decode(b"\x8f\xe0\xf0\xee\xec").text, "Паром");
    /// assert_eq!(Charset::for_label("utf-32"), None);
    /// ```
    pub fn for_label(label: &str) -> Option<Charset> {
        let label = label.trim().to_ascii_lowercase();
        let known = match seven_bit::Charset::for_label(&label) {
            Some(charset) => Known::SevenBit(charset),
            None if label == "utf-16" => Known::Utf16,
            None => Known::Standard(Encoding::for_label(label.as_bytes()).filter(|found| *found != REPLACEMENT)?),
        };
        Some(Charset(known))
    }

    /// Decodes a page as of this charset, whatever its bytes look like; a mark of the charset is left out.
    pub fn decode(self, html: &[u8]) -> Decoded<'_> {
        let encoding = match self.0 {
            Known::Standard(encoding) => encoding,
            Known::Utf16 => match Encoding::for_bom(html) {
                Some((encoding, _)) if encoding != UTF_8 => encoding,
                _ => utf16_without_mark(html).unwrap_or(UTF_16LE),
            },
            Known::SevenBit(charset) => return charset.decode(html),
        };
        let (text, _) = encoding.decode_with_bom_removal(html);
        Decoded { text, charset: encoding.name() }
    }
}

/// Whether a page is in UTF-32, with or without a mark. The HTML standard forbids to support it, and no browser does.
///
/// ```
/// let page: Vec<u8> = "<p>x".chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
/// assert!(extract::charset::is_utf32(&page) && !extract::charset::is_utf32(b"<p>x"));
/// ```
pub fn is_utf32(html: &[u8]) -> bool {
    let sample = &html[..html.len().min(SAMPLE_BYTES)];
    if memchr::memchr(0, sample).is_none() {
        return false;
    }
    let (units, _) = sample.as_chunks::<4>();
    let is_page = |from: fn([u8; 4]) -> u32| {
        let char_of = |unit: &[u8; 4]| char::from_u32(from(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
        let text: String = units.iter().map(char_of).collect();
        has_few_faults(&text) && (text.starts_with('\u{feff}') || has_tag(&text))
    };
    is_page(u32::from_le_bytes) || is_page(u32::from_be_bytes)
}

/// Decodes a page. Bytes that are invalid in the charset become U+FFFD.
///
/// ```
/// let decoded = extract::charset::decode(b"caf\xe9", Some("text/html; charset=iso-8859-1"));
/// assert_eq!((decoded.text.as_ref(), decoded.charset), ("café", "windows-1252"));
/// let lie = extract::charset::decode("café".as_bytes(), Some("text/html; charset=gb2312"));
/// assert_eq!((lie.text.as_ref(), lie.charset), ("café", "UTF-8"));
/// ```
pub fn decode<'a>(html: &'a [u8], content_type: Option<&str>) -> Decoded<'a> {
    if let Some((encoding, _)) = Encoding::for_bom(html) {
        return decoded_as(html, encoding);
    }
    if let Some(encoding) = utf16_without_mark(html) {
        return decoded_as(html, encoding);
    }
    if html.is_ascii() {
        return decoded_ascii(html, content_type);
    }
    if let Ok(text) = std::str::from_utf8(html) {
        return Decoded { text: Cow::Borrowed(text), charset: UTF_8.name() };
    }
    decoded_as(html, legacy(html, content_type))
}

fn decoded_as<'a>(html: &'a [u8], encoding: &'static Encoding) -> Decoded<'a> {
    let (text, encoding, _) = encoding.decode(html);
    Decoded { text, charset: encoding.name() }
}

/// The charsets that a page declares, the HTTP header first; labels as written, in lower case.
fn declarations(html: &[u8], content_type: Option<&str>) -> Vec<String> {
    let header = content_type.and_then(charset_parameter);
    header.into_iter().chain(prescan(html)).collect()
}

/// A page of ASCII bytes is the same in nearly all charsets; some old ones write other scripts with such bytes.
fn decoded_ascii<'a>(html: &'a [u8], content_type: Option<&str>) -> Decoded<'a> {
    let labels = declarations(html, content_type);
    if let Some(decoded) = seven_bit::decode(html, &labels) {
        return decoded;
    }
    let encoding = labels.iter().find_map(|label| usable(label)).unwrap_or(UTF_8);
    let charset = if encoding == ISO_2022_JP { UTF_8.name() } else { encoding.name() };
    Decoded { text: String::from_utf8_lossy(html), charset }
}

/// The encoding of a label, if pages are in it: not the one that replaces everything, not that of binary data, and not
/// UTF-16, since the label or the page's first bytes were read as ASCII.
fn usable(label: &str) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label.as_bytes())?;
    let is_usable = ![REPLACEMENT, X_USER_DEFINED, UTF_16LE, UTF_16BE].contains(&encoding);
    is_usable.then_some(encoding)
}

/// The charset of a page that is neither ASCII nor valid UTF-8.
fn legacy(html: &[u8], content_type: Option<&str>) -> &'static Encoding {
    let declared: Vec<_> = declarations(html, content_type).iter().filter_map(|label| usable(label)).collect();
    let valid_per_two_faults = match declared.first() {
        Some(&encoding) if encoding == UTF_8 => MIN_VALID_PER_TWO_FAULTS,
        Some(&encoding) if !LATIN.contains(&encoding) => MIN_VALID_PER_TWO_FAULTS_OF_OTHERS,
        _ => MIN_VALID_PER_TWO_FAULTS_UNDECLARED,
    };
    if is_mostly_utf8(html, valid_per_two_faults) {
        return UTF_8;
    }
    let guessed = guess(html);
    let is_possible = |&encoding: &&'static Encoding| encoding != UTF_8 && !is_disproved(html, encoding, guessed);
    let likely = declared.into_iter().find(is_possible).unwrap_or(guessed);
    if latin::decides_about(likely) && latin::decides_about(guessed) {
        return latin::charset_of(html, likely, guessed, language(html).as_deref());
    }
    likely
}

/// Whether the bytes cannot be text in this charset.
fn is_disproved(html: &[u8], encoding: &'static Encoding, guessed: &'static Encoding) -> bool {
    const CYRILLIC: [&Encoding; 6] = [WINDOWS_1251, KOI8_R, KOI8_U, ISO_8859_5, IBM866, X_MAC_CYRILLIC];
    const MULTIBYTE: [&Encoding; 6] = [SHIFT_JIS, EUC_JP, GBK, GB18030, BIG5, EUC_KR];
    if MULTIBYTE.contains(&encoding) {
        return has_many_faults(html, encoding);
    }
    if LATIN.contains(&encoding) {
        return !LATIN.contains(&guessed) && has_high_bytes_in_runs(html);
    }
    // The guess knows neither all charsets of Cyrillic nor that a page says which one it is in.
    let are_cyrillic = CYRILLIC.contains(&encoding) && CYRILLIC.contains(&guessed);
    are_cyrillic
        && encoding != guessed
        && has_high_bytes_in_runs(html)
        && cyrillic::score(html, encoding) < cyrillic::score(html, guessed)
}

/// Whether over a tenth of the characters beyond ASCII are invalid in the charset, or most are katakana of half width,
/// which every byte of another charset is in Shift_JIS.
fn has_many_faults(html: &[u8], encoding: &'static Encoding) -> bool {
    let text = encoding.decode_without_bom_handling(html).0;
    let (mut faults, mut others) = (0, 0);
    let halves = text.chars().filter(|letter| matches!(letter, '\u{ff61}'..='\u{ff9f}')).count();
    for letter in text.chars().filter(|letter| !letter.is_ascii()) {
        // Areas for private use are what unassigned places of some tables are decoded to.
        let is_fault = matches!(letter, char::REPLACEMENT_CHARACTER | '\u{80}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}');
        *if is_fault { &mut faults } else { &mut others } += 1;
    }
    faults > others / 10 || halves * 2 > others
}

/// Whether most bytes beyond ASCII follow another one: so in scripts other than Latin.
fn has_high_bytes_in_runs(html: &[u8]) -> bool {
    let high = html.iter().filter(|byte| !byte.is_ascii()).count();
    let pairs = html.windows(2).filter(|pair| !pair[0].is_ascii() && !pair[1].is_ascii()).count();
    high >= MIN_HIGH_BYTES && pairs * 2 > high
}

/// UTF-16 whose mark was lost: markup has a zero in every second byte.
fn utf16_without_mark(html: &[u8]) -> Option<&'static Encoding> {
    let sample = &html[..html.len().min(SAMPLE_BYTES)];
    memchr::memchr(0, sample)?;
    let units = sample.len() / 2;
    let zeros = |place: usize| sample.iter().skip(place).step_by(2).filter(|&&byte| byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    // Letters of other scripts have zeros at the other place, too: U+4E00, U+3000. They are no tags there.
    let is_utf16 = |zeros: usize, others: usize, encoding| {
        let is_of_ascii = units >= 4 && zeros * 4 >= units && others * 20 <= zeros;
        is_of_ascii || zeros > 0 && is_page_in(sample, encoding)
    };
    match () {
        () if is_utf16(second, first, UTF_16LE) => Some(UTF_16LE),
        () if is_utf16(first, second, UTF_16BE) => Some(UTF_16BE),
        () => None,
    }
}

/// Whether bytes are markup, with few faults, in an encoding of two bytes.
fn is_page_in(sample: &[u8], encoding: &'static Encoding) -> bool {
    let (text, _) = encoding.decode_without_bom_handling(&sample[..sample.len() & !1]);
    // The sample may end between two surrogates.
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    has_tag(text) && has_few_faults(text)
}

/// Whether next to no character is a control character or invalid.
fn has_few_faults(text: &str) -> bool {
    let is_fault = |c: &char| *c == char::REPLACEMENT_CHARACTER || c.is_control() && !c.is_whitespace();
    text.chars().filter(is_fault).count() * MIN_CHARS_PER_FAULT <= text.chars().count()
}

/// Whether something begins like a tag or a comment.
fn has_tag(text: &str) -> bool {
    let is_tag = |behind: &str| behind.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
    text.split('<').skip(1).any(is_tag)
}

/// Whether there are enough valid sequences for the faults. One that the end cuts off is no fault.
fn is_mostly_utf8(bytes: &[u8], valid_per_two_faults: usize) -> bool {
    let mut faults = 0;
    let mut multibyte = 0;
    let mut is_cut_off = false;
    for chunk in bytes.utf8_chunks() {
        multibyte += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        faults += usize::from(!chunk.invalid().is_empty());
        is_cut_off = std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
    }
    faults -= usize::from(is_cut_off);
    multibyte > 0 && faults * valid_per_two_faults <= multibyte * 2
}

fn guess(html: &[u8]) -> &'static Encoding {
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(html, true);
    detector.guess(None, chardetng::Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &[u8], content_type: Option<&str>, text: &str, charset: &str) {
        let decoded = decode(html, content_type);
        assert_eq!((decoded.text.as_ref(), decoded.charset), (text, charset));
    }

    #[test]
    fn in_the_order_of_browsers() {
        check(b"\xef\xbb\xbf\xc3\xa9", Some("text/html; charset=koi8-r"), "é", "UTF-8");
        check(b"\xff\xfe\xe9\x00", None, "é", "UTF-16LE");
        check(
            b"\xe9<meta charset=utf-8>",
            Some("text/html; charset=\"latin1\""),
            "é<meta charset=utf-8>",
            "windows-1252",
        );
        check(b"<meta charset='shift_jis'>\x83\x65", None, "<meta charset='shift_jis'>テ", "Shift_JIS");
        let meta = b"<META http-equiv=Content-Type content='text/html; charset=windows-1251'>\xcf";
        check(meta, None, "<META http-equiv=Content-Type content='text/html; charset=windows-1251'>П", "windows-1251");
        check("é".as_bytes(), None, "é", "UTF-8");
    }

    #[test]
    fn what_the_bytes_disprove() {
        check("naïve".as_bytes(), Some("text/html; charset=iso-8859-1"), "naïve", "UTF-8");
        check(b"<meta charset=utf-16>abc", None, "<meta charset=utf-16>abc", "UTF-8");
        check(
            b"un caf\xe9 tr\xe8s noir, s'il vous pla\xeet",
            Some("text/html; charset=utf-8"),
            "un café très noir, s'il vous plaît",
            "windows-1252",
        );
        check(
            "ééééééé\u{fffd}".as_bytes().split_last().unwrap().1,
            Some("a; charset=utf-8"),
            "ééééééé\u{fffd}",
            "UTF-8",
        );
    }

    #[test]
    fn evidence_over_declarations() {
        let labels = "shift_jis euc-jp iso-2022-jp gbk gb18030 big5 euc-kr koi8-r windows-1251 iso-8859-5 tis-620 iso-2022-kr \
                      hz-gb-2312 x-user-defined windows-1252 utf-16";
        for label in labels.split(' ') {
            let html = format!("<meta charset={label}><p>naïve, 日本");
            check(html.as_bytes(), None, &html, "UTF-8");
        }
        // One torn character does not make a page of UTF-8 one of GBK.
        let torn = "Страница о лодках и о тех, кто их строит".as_bytes();
        assert_eq!(decode(&torn[..torn.len() - 1], Some("text/html; charset=gbk")).charset, "UTF-8");
    }

    #[test]
    fn legacy_pages_whatever_they_declare() {
        let russian = "Старый паром ходил между берегами каждое утро, пока не построили мост выше по реке.";
        let japanese = "港の古い時計は長いあいだ止まったままでしたが、この春にようやく直されました。";
        let chinese = "港口的旧钟停了很多年，今年春天终于修好了，人们又能听见它的声音。";
        let cases: [(&str, &'static Encoding, &str); 8] = [
            (russian, WINDOWS_1251, "iso-8859-1"),
            (russian, KOI8_R, "windows-1251"),
            (russian, ISO_8859_5, "utf-8"),
            (russian, WINDOWS_1251, ""),
            (japanese, EUC_JP, "shift_jis"),
            (japanese, SHIFT_JIS, ""),
            (chinese, GBK, "utf-8"),
            (chinese, GBK, "iso-8859-1"),
        ];
        for (text, encoding, label) in cases {
            let bytes = encoding.encode(text).0;
            let header = format!("text/html; charset={label}");
            assert_eq!(decode(&bytes, Some(&header)).text, text, "{} as {label}", encoding.name());
        }
    }

    #[test]
    fn utf16_whose_mark_was_lost() {
        let text = "<p>Fährhaus am Fluß";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&little, None, text, "UTF-16LE");
        check(&big, Some("text/html; charset=utf-8"), text, "UTF-16BE");
        check(b"<p>\0", None, "<p>\0", "UTF-8");
        for text in [
            "<p>Паром ходил каждое утро.</p><p>Мост построили выше.",
            "<p>港口的旧钟停了很多年。</p>",
            "<td>潮は満ちる</td>",
        ] {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            check(&little, None, text, "UTF-16LE");
            check(&big, Some("text/html; charset=utf-8"), text, "UTF-16BE");
        }
    }

    #[test]
    fn utf16_with_zeros_at_both_places() {
        for text in [
            // U+3000, U+4E00, U+5F00 and U+6700 have a zero where ASCII has none.
            "<p>\u{3000}\u{3000}一开始，港口的旧钟停了很多年，最近一个春天终于开始走，人们最先听见一声钟响，一个接一个打开了窗。</p>",
            "<p>一年前最初に開いた港の時計は、一番長いあいだ止まったままでしたが、最近一人の職人に直されました。",
            // One character that was lost before, and a vertical tab.
            &format!("<td>{}\u{fffd}\u{b}</td>", "潮は満ちる。".repeat(40)),
        ] {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            check(&little, None, text, "UTF-16LE");
            check(&big, Some("text/html; charset=utf-8"), text, "UTF-16BE");
        }
    }

    #[test]
    fn utf32_is_known() {
        for text in
            ["<p>Fährhaus am Fluß", "<p>港口的旧钟停了很多年。</p>", "<!-- \u{1f6a2} -->", "\u{feff}Паром ходил"]
        {
            let little: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
            let big: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
            assert!(is_utf32(&little) && is_utf32(&big), "{text}");
            for of_16 in [u16::to_le_bytes, u16::to_be_bytes] {
                let bytes: Vec<u8> = text.encode_utf16().flat_map(of_16).collect();
                assert!(!is_utf32(&bytes), "{text}");
            }
            assert!(!is_utf32(text.as_bytes()));
        }
        assert!(!is_utf32(b"<p>\0\0\0\0") && !is_utf32(b"\0\0\0<\0\0\0\x01") && !is_utf32(b""));
    }

    #[test]
    fn a_declared_charset_of_cyrillic_that_gives_words() {
        let text = "Смотритель маяка говорит, что здание стояло пустым одиннадцать лет. Новая лампа моя, а яхта твоя.";
        let all = [WINDOWS_1251, KOI8_R, ISO_8859_5, IBM866, X_MAC_CYRILLIC];
        for encoding in all {
            let bytes = encoding.encode(text).0;
            let label = encoding.name().to_ascii_lowercase();
            check(&bytes, Some(&format!("text/html; charset={label}")), text, encoding.name());
            // One that lies gives none.
            for lie in all.into_iter().filter(|lie| *lie != encoding && encoding != X_MAC_CYRILLIC) {
                let decoded = decode(&bytes, Some(&format!("text/html; charset={}", lie.name()))).text;
                assert_eq!(decoded, text, "{label} as {}", lie.name());
            }
        }
    }

    #[test]
    fn a_charset_that_is_known_is_obeyed() {
        let check = |label: &str, bytes: &[u8], text: &str| {
            let decoded = Charset::for_label(label).unwrap().decode(bytes).text;
            assert_eq!(decoded, text, "{label}");
        };
        check("windows-1252", "é".as_bytes(), "Ã©");
        check("UTF-8", b"\xef\xbb\xbf\xc3\xa9", "é");
        check("utf-16le", "港口".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().as_slice(), "港口");
        check("utf-16", b"\xfe\xff\x00\xe9", "é");
        check("utf-16", b"\x00<\x00p\x00>", "<p>");
        check("iso-2022-kr", b"\x1b$)C\x0e0!3*\x0f b", "가나 b");
        check("iso-2022-cn", b"\x1b$)A\x0eVPND\x0f", "中文");
        check("hz-gb-2312", b"~{VPND~}", "中文");
        check("hz-gb-2312", b"a", "a");
        assert!(["utf-32", "replacement", "windows-9", ""].iter().all(|label| Charset::for_label(label).is_none()));
    }

    #[test]
    fn utf8_with_some_bytes_of_another_charset() {
        let charset = |html: &[u8], label: &str| decode(html, Some(&format!("a; charset={label}"))).charset;
        let page = |text: &str, others: usize| [text.as_bytes(), &b" it\x92s".repeat(others)].concat();
        assert_eq!(charset(&page("naïve café “no”", 2), "utf-8"), "UTF-8");
        assert_eq!(charset(&page("Café: “no”, naïve, ça, “yes”", 8), "utf-8"), "UTF-8");
        assert_eq!(charset(&page("Café: “no”, naïve", 1), "iso-8859-1"), "UTF-8");
        // A template of UTF-8 around a text that is not.
        assert_eq!(charset(&page("© “Harbour News”", 50), "utf-8"), "windows-1252");
        // A page that was cut in the middle of a letter.
        let cut = "naïve and then “".as_bytes();
        for label in ["utf-8", "iso-8859-1", "gbk"] {
            assert_eq!(charset(&cut[..cut.len() - 1], label), "UTF-8", "{label}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, header: Option<String>) {
            decode(&bytes, header.as_deref());
        }
    }
}
