//! Which of the charsets for Latin letters a page is in: those for Central Europe, Turkey and the Baltic are taken for
//! Western Europe's by servers that declare one charset for all pages, and for each other.

use encoding_rs::{
    Encoding, ISO_8859_2, ISO_8859_4, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_13, ISO_8859_15, ISO_8859_16,
    WINDOWS_1250, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257,
};

/// Languages, their letters beyond ASCII, and the charsets that pages in them are in.
const ALPHABETS: [(&[&str], &str, &[&Encoding]); 10] = [
    (&["pl"], "ąćęłńóśźż", CENTRAL),
    (&["cs"], "áčďéěíňóřšťúůýž", CENTRAL),
    (&["sk"], "áäčďéíĺľňóôŕšťúýž", CENTRAL),
    (&["hu"], "áéíóöőúüű", CENTRAL),
    (&["ro"], "ăâîșşțţ", &[WINDOWS_1250, ISO_8859_2, ISO_8859_16]),
    (&["hr", "bs", "sr", "sl", "sh"], "čćđšž", CENTRAL),
    (&["tr", "az"], "çğıöşüâîûə", &[WINDOWS_1254]),
    (&["lt"], "ąčęėįšųūž", BALTIC),
    (&["lv"], "āčēģīķļņšūž", BALTIC),
    (&["et"], "äõöüšž", BALTIC),
];
const CENTRAL: &[&Encoding] = &[WINDOWS_1250, ISO_8859_2];
const BALTIC: &[&Encoding] = &[WINDOWS_1257, ISO_8859_13, ISO_8859_4];

/// The charsets of Windows whose letters are nearly those of a standard's, with signs where that has control characters.
const OF_WINDOWS: [(&Encoding, &Encoding); 8] = [
    (ISO_8859_2, WINDOWS_1250),
    (ISO_8859_4, WINDOWS_1257),
    (ISO_8859_6, WINDOWS_1256),
    (ISO_8859_7, WINDOWS_1253),
    (ISO_8859_8, WINDOWS_1255),
    (ISO_8859_13, WINDOWS_1257),
    (ISO_8859_15, WINDOWS_1252),
    (ISO_8859_16, WINDOWS_1250),
];

/// So many more letters of the page's language prove another charset, or so many signs inside words.
const MIN_LETTERS: i64 = 3;

/// Whether [`charset_of`] decides about a charset: those for Latin letters, and those that have a twin of Windows.
pub(super) fn decides_about(encoding: &'static Encoding) -> bool {
    let is_latin = [WINDOWS_1250, WINDOWS_1252, WINDOWS_1254, WINDOWS_1257].contains(&encoding);
    is_latin || OF_WINDOWS.iter().any(|(standard, _)| *standard == encoding)
}

/// The charset of a page in one for Latin letters, given what it declares or else looks like: the one that gives letters
/// of the language that the page says it is in; without one, `guessed`, where words have signs inside.
pub(super) fn charset_of(
    html: &[u8],
    likely: &'static Encoding,
    guessed: &'static Encoding,
    language: Option<&str>,
) -> &'static Encoding {
    let of_language = language.and_then(|language| {
        let (_, letters, charsets) = ALPHABETS.iter().find(|(languages, ..)| languages.contains(&language))?;
        let score = |encoding| letters_of_language(html, encoding, letters);
        let best = charsets.iter().copied().max_by_key(|charset| (score(charset), *charset == likely))?;
        (score(best) >= score(likely) + MIN_LETTERS).then_some(best)
    });
    let by_signs = || {
        if guessed == likely {
            return None;
        }
        let (signs, signs_guessed) = (signs_in_words(html, likely), signs_in_words(html, guessed));
        (signs >= MIN_LETTERS && signs > 4 * signs_guessed).then_some(guessed)
    };
    let charset = of_language.or_else(by_signs).unwrap_or(likely);
    let twin = OF_WINDOWS.iter().find(|(standard, _)| *standard == charset).map(|(_, windows)| *windows);
    let has_controls = html.iter().any(|byte| (0x80..0xa0).contains(byte));
    // Some letters are at other places: a stray byte in a page of the standard's charset changes nothing.
    let fits = |windows: &&'static Encoding| signs_in_words(html, windows) <= signs_in_words(html, charset);
    twin.filter(|_| has_controls).filter(fits).unwrap_or(charset)
}

/// The letters beyond ASCII that belong to a language, less the characters beyond ASCII in words that do not.
fn letters_of_language(html: &[u8], encoding: &'static Encoding, letters: &str) -> i64 {
    let text = encoding.decode_without_bom_handling(html).0;
    let of_char = |(before, c): (char, char)| match c {
        _ if c.is_ascii() => 0,
        _ if c.to_lowercase().next().is_some_and(|lower| letters.contains(lower))
            || c == 'İ' && letters.contains('ı') =>
        {
            1
        }
        _ if c.is_alphabetic() || before.is_alphabetic() || c.is_control() => -1,
        _ => 0,
    };
    std::iter::once(' ').chain(text.chars()).zip(text.chars()).map(of_char).sum()
}

/// How many signs and control characters stand between two letters: `przyjê³a`.
fn signs_in_words(html: &[u8], encoding: &'static Encoding) -> i64 {
    let text = encoding.decode_without_bom_handling(html).0;
    let chars: Vec<char> = text.chars().filter(|c| *c != '\u{ad}').collect();
    let is_sign = |c: char| {
        matches!(c, '\u{80}'..='\u{9f}' | '¡'..='§' | '©'..='¬' | '®'..='¶' | '¸'..='¿' | '×' | '÷')
            && !c.is_alphabetic()
    };
    let between = chars.windows(3).filter(|w| w[0].is_alphabetic() && is_sign(w[1]) && w[2].is_lowercase());
    between.count() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, written: &'static Encoding, likely: &'static Encoding, language: Option<&str>) {
        let (bytes, _, _) = written.encode(text);
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
        detector.feed(&bytes, true);
        let guessed = detector.guess(None, chardetng::Utf8Detection::Deny);
        let found = charset_of(&bytes, likely, guessed, language);
        assert_eq!(found.decode(&bytes).0, text, "{} for {}", found.name(), written.name());
    }

    const POLISH: &str = "Rada przyjęła w środę uchwałę o źródłach: woda była zimna, łąka żółta, a książę spał.";

    #[test]
    fn by_the_letters_of_the_language() {
        for written in [WINDOWS_1250, ISO_8859_2] {
            for likely in [WINDOWS_1252, ISO_8859_2, WINDOWS_1250] {
                check(POLISH, written, likely, Some("pl"));
                check("Město je ve středu uzavřené, říká žena s kůží.", written, likely, Some("cs"));
                check("A következő hűvös őszön a tűz és a víz közé állt.", written, likely, Some("hu"));
            }
        }
        check(
            "Köprünün onarımına başlandı, şoförler ve işçiler yağmuru bekliyor.",
            WINDOWS_1254,
            WINDOWS_1252,
            Some("tr"),
        );
        check("Miesto tiltą uždarė trečiadienį, sakė ąžuolų prižiūrėtojas.", WINDOWS_1257, WINDOWS_1250, Some("lt"));
        // A page of another language keeps what it declares.
        check("Où est passé l'été, garçon ? À Noël, dit l'œuvre.", WINDOWS_1252, WINDOWS_1252, Some("fr"));
        check("Straße nach Łódź, sagt Ödön.", WINDOWS_1250, WINDOWS_1250, Some("de"));
    }

    #[test]
    fn by_signs_in_words() {
        check(&POLISH.repeat(4), ISO_8859_2, WINDOWS_1252, None);
        check("Die Fläche von 12 m² kostet 3½ £ je m³, ©2004.", WINDOWS_1252, WINDOWS_1252, None);
    }

    #[test]
    fn control_characters_are_signs_of_windows() {
        check("„Woda” – rzekł", WINDOWS_1250, ISO_8859_2, None);
        check("Ο «καφές» – είπε…", WINDOWS_1253, ISO_8859_7, None);
        // One that is stray: the letters say that the page is in the standard's charset.
        let (polish, ..) = ISO_8859_2.encode(POLISH);
        let bytes = [&polish[..], &[0x85]].concat();
        assert_eq!(charset_of(&bytes, ISO_8859_2, ISO_8859_2, None), ISO_8859_2);
        assert_eq!(charset_of(&bytes, ISO_8859_2, WINDOWS_1250, Some("pl")), ISO_8859_2);
    }
}
