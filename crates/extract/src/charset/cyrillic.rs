//! Which of two charsets for Cyrillic letters a page is in, by the words that each gives: the alphabet lies at other places
//! in each, so that a wrong one gives rare letters, capitals and signs inside words.

use encoding_rs::Encoding;

/// Over two thirds of a text in Russian, Ukrainian, Bulgarian, Serbian or Macedonian are these letters; of an alphabet
/// that is out of order they are some two fifths.
const COMMON: &str = "оаеинтсрвлкі";
/// What a capital or a sign inside a word costs, in common letters: no text has many.
const FAULT: i64 = 2;

/// How much the text that a charset gives is like words: the higher, the more.
pub(super) fn score(html: &[u8], encoding: &'static Encoding) -> i64 {
    let text = encoding.decode_without_bom_handling(html).0;
    let is_letter = |c: char| c.is_alphabetic() && !c.is_ascii();
    let is_lower = |c: char| is_letter(c) && c.is_lowercase();
    let (mut before, mut last) = (' ', ' ');
    let mut score = 0;
    for c in text.chars() {
        if is_letter(c) && c.to_lowercase().next().is_some_and(|lower| COMMON.contains(lower)) {
            score += 1;
        }
        // `маЯк`, `ма†к`; hyphens, apostrophes and stress marks are of ASCII or no faults worth a word.
        let has_capital = is_lower(last) && is_letter(c) && !is_lower(c);
        let has_sign = is_lower(before) && is_sign(last) && is_lower(c);
        if has_capital || has_sign {
            score -= FAULT;
        }
        (before, last) = (last, c);
    }
    score
}

/// Characters beyond ASCII that stand in no word.
fn is_sign(c: char) -> bool {
    !c.is_ascii() && !c.is_alphabetic() && !matches!(c, '\u{ad}' | '\u{300}'..='\u{36f}' | '’' | '–' | '—')
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{IBM866, ISO_8859_5, KOI8_R, KOI8_U, WINDOWS_1251, X_MAC_CYRILLIC};

    /// The charset that a text was written in has the best score, or one that gives the same text.
    fn check(text: &str) {
        let all = [WINDOWS_1251, KOI8_R, KOI8_U, ISO_8859_5, IBM866, X_MAC_CYRILLIC];
        for written in all {
            let (bytes, _, is_lossy) = written.encode(text);
            if is_lossy {
                continue;
            }
            for other in all.into_iter().filter(|other| other.decode_without_bom_handling(&bytes).0 != text) {
                let scores = (score(&bytes, written), score(&bytes, other));
                assert!(scores.0 > scores.1, "{} as {}: {scores:?} {text}", written.name(), other.name());
            }
        }
    }

    #[test]
    fn the_right_charset_gives_words() {
        check("Смотритель маяка говорит, что здание стояло пустым одиннадцать лет, с тех пор как лампу перевели.");
        check("СМОТРИТЕЛЬ МАЯКА ГОВОРИТ, ЧТО ЗДАНИЕ СТОЯЛО ПУСТЫМ ОДИННАДЦАТЬ ЛЕТ.");
        check("Новая ярмарка. Я знаю: яхта моя, а маяк твой.");
        check("Доглядач маяка каже, що будівля стояла порожньою одинадцять років, відколи їхню лампу перевели.");
        check("Пазачът на фара казва, че сградата е стояла празна единадесет години.");
    }
}
