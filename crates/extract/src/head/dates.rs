//! Days in the forms in which pages write them.
//!
//! Left out: times and zones (a day is as the page writes it), calendars other than the Gregorian, and relative times
//! ("two days ago"), since a page does not say when it was fetched.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Which of two small numbers is the month, where both could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `31/5/2024`, as in most of the world.
    DayFirst,
    /// `5/31/2024`, as in the United States.
    MonthFirst,
}

/// The months' names and what they are cut to, in the languages with most pages; lower case, without a final point.
const MONTHS: [&str; 12] = [
    "january jan january. januar jänner jän janvier janv enero ene janeiro gennaio gen januari stycznia styczeń sty января январь янв січня ledna leden januára tammikuu tammikuuta ocak ocak január ianuarie ian januara ιανουαρίου ιαν يناير كانون ژانویه जनवरी มกราคม ม.ค januarja siječnja януари ינואר בינואר",
    "february feb pebruari februar février févr fév febrero fevereiro fev febbraio februari lutego luty lut февраля февраль фев лютого února únor helmikuu helmikuuta şubat február februarie φεβρουαρίου φεβ فبراير شباط فوریه फ़रवरी กุมภาพันธ์ ก.พ veljače февруари פברואר בפברואר",
    "march mar märz mär mrz mars maret marzo março maart mrt marca marzec марта март мар березня března březen maaliskuu maaliskuuta mart március martie μαρτίου μαρ مارس آذار मार्च มีนาคม มี.ค ožujka marts מרץ במרץ",
    "april apr avril avr abril abr aprile kwietnia kwiecień kwi апреля апрель апр квітня dubna duben huhtikuu huhtikuuta nisan április aprilie απριλίου απρ أبريل نيسان آوریل अप्रैल เมษายน เม.ย travnja април אפריל באפריל",
    "may mai mayo maio maggio mag mei maja maj мая май травня května květen toukokuu toukokuuta mayıs május μαΐου μαΐ مايو أيار مه मई พฤษภาคม พ.ค svibnja מאי במאי",
    "june jun juni juin junio junho giugno giu czerwca czerwiec cze июня июнь июн червня června červen kesäkuu kesäkuuta haziran június iunie ιουνίου ιουν يونيو حزيران ژوئن जून มิถุนายน มิ.ย lipnja юни יוני ביוני",
    "july jul juli juillet juil julio julho luglio lug lipca lipiec lip июля июль июл липня července červenec heinäkuu heinäkuuta temmuz július iulie ιουλίου ιουλ يوليو تموز ژوئیه जुलाई กรกฎาคม ก.ค srpnja юли יולי ביולי",
    "august aug agustus août agosto ago augustus sierpnia sierpień sie августа август авг серпня srpna srpen elokuu elokuuta ağustos augusztus αυγούστου αυγ أغسطس آب اوت अगस्त สิงหาคม ส.ค kolovoza אוגוסט באוגוסט",
    "september sep sept septembre septiembre setembro set settembre september. września wrzesień wrz сентября сентябрь сен сент вересня září syyskuu syyskuuta eylül szeptember septembrie σεπτεμβρίου σεπ سبتمبر أيلول سپتامبر सितंबर กันยายน ก.ย rujna септември ספטמבר בספטמבר",
    "october oct oktober okt octobre octubre outubro out ottobre ott października październik paź октября октябрь окт жовтня října říjen lokakuu lokakuuta ekim október octombrie οκτωβρίου οκτ أكتوبر تشرين اکتبر अक्टूबर ตุลาคม ต.ค listopada октомври אוקטובר באוקטובר",
    "november nov novembre noviembre novembro listopada listopad lis ноября ноябрь ноя нояб listopadu marraskuu marraskuuta kasım november. noiembrie νοεμβρίου νοε نوفمبر نوامبر नवंबर พฤศจิกายน พ.ย studenoga ноември листопада נובמבר בנובמבר",
    "december dec desember dezember dez décembre déc diciembre dic dezembro dicembre december. grudnia grudzień gru декабря декабрь дек грудня prosince prosinec joulukuu joulukuuta aralık decembrie δεκεμβρίου δεκ ديسمبر كانون دسامبر दिसंबर ธันวาคม ธ.ค prosinca декември דצמבר בדצמבר",
];

/// Years of the Buddhist calendar that are 1980 to 2099.
const BUDDHIST_YEARS: std::ops::Range<u32> = 2523..2643;

/// A number or word of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Number { value: u32, digits: usize },
    Month(u32),
    Word(&'a str),
}

/// The first day that a text names, as `YYYY-MM-DD`, and the bytes of the text before and up to its end.
pub(super) fn find(text: &str, order: Order) -> Option<(String, usize, usize)> {
    // Every day has a number; those of other scripts are beyond ASCII.
    if !text.bytes().any(|byte| byte.is_ascii_digit() || !byte.is_ascii()) {
        return None;
    }
    let tokens = tokens(text);
    (0..tokens.len()).find_map(|at| {
        let (start, _, _) = tokens[at];
        let (day, used) = day_at(text, &tokens[at..], order)?;
        Some((day, start, tokens[at + used - 1].1))
    })
}

/// The day of a value that is a date as a whole: any of the forms, or seconds since 1970.
pub(super) fn day(value: &str, order: Order) -> Option<String> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) && matches!(value.len(), 10 | 13) {
        return of_seconds(value[..10].parse().ok()?);
    }
    find(value, order).map(|(day, _, _)| day)
}

/// The day of a Unix time, by Howard Hinnant's `civil_from_days`.
fn of_seconds(seconds: i64) -> Option<String> {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    written(u32::try_from(year).ok()?, month as u32, day as u32)
}

fn tokens(text: &str) -> Vec<(usize, usize, Token<'_>)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let is_digit = |c: char| c.is_ascii_digit() || eastern_digit(c).is_some();
        let run = |is_such: &dyn Fn(char) -> bool| {
            text[at..].char_indices().find(|&(_, c)| !is_such(c)).map_or(text.len(), |(end, _)| at + end)
        };
        if is_digit(first) {
            let end = run(&is_digit);
            let digits = text[at..end].chars().count();
            if digits <= 8 {
                let value = text[at..end]
                    .chars()
                    .fold(0, |value, c| value * 10 + c.to_digit(10).or_else(|| eastern_digit(c)).unwrap_or(0));
                tokens.push((at, end, Token::Number { value, digits }));
            }
            at = end;
        } else if first.is_alphabetic() {
            let end = run(&|c| c.is_alphabetic() || matches!(c, '\u{900}'..='\u{97f}' | '\u{e00}'..='\u{e7f}'));
            let word = &text[at..end];
            tokens.push((at, end, month_of(word).map_or(Token::Word(word), Token::Month)));
            at = end;
        } else {
            at += first.len_utf8();
        }
    }
    tokens
}

/// Arabic-Indic and Persian digits.
fn eastern_digit(c: char) -> Option<u32> {
    match c {
        '\u{660}'..='\u{669}' => Some(c as u32 - 0x660),
        '\u{6f0}'..='\u{6f9}' => Some(c as u32 - 0x6f0),
        '０'..='９' => Some(c as u32 - '０' as u32),
        _ => None,
    }
}

fn month_of(word: &str) -> Option<u32> {
    if word.len() > 40 || word.chars().count() < 2 {
        return None;
    }
    MONTH_OF_NAME.get(&*word.to_lowercase()).copied()
}

/// By name: the month, from 1. "listopada" is October in Croatian and November in Polish; the latter has more pages, so
/// the later month has the name.
static MONTH_OF_NAME: LazyLock<HashMap<&str, u32>> = LazyLock::new(|| {
    MONTHS.iter().zip(1..).flat_map(|(names, month)| names.split(' ').map(move |name| (name, month))).collect()
});

/// The tokens that a day may have, from its first on.
type DayTokens<'t> = [Option<Token<'t>>; 6];

/// The day that these tokens begin with, and how many of them it has.
fn day_at(text: &str, tokens: &[(usize, usize, Token)], order: Order) -> Option<(String, usize)> {
    let kinds: DayTokens<'_> = std::array::from_fn(|at| tokens.get(at).map(|&(_, _, token)| token));
    // What stands between the first tokens, without white space.
    let gap = |at: usize| tokens.get(at + 1).map_or("", |next| text[tokens[at].1..next.0].trim());
    day_in_numbers(kinds, gap, order).or_else(|| day_with_name(kinds, gap))
}

/// A day whose month is a number: with marks between the numbers, or the words of a language.
fn day_in_numbers<'t>(kinds: DayTokens<'_>, gap: impl Fn(usize) -> &'t str, order: Order) -> Option<(String, usize)> {
    use Token::{Number, Word};
    match kinds {
        [
            Some(Word(era)),
            Some(Number { value: year, digits: 1..=2 }),
            Some(Word("年")),
            Some(Number { value: month, .. }),
            Some(Word("月")),
            Some(Number { value: day, .. }),
        ] if year_before_era(era).is_some() => {
            written(year_before_era(era).unwrap_or(0) + year, month, day).map(|day| (day, 6))
        }
        // Vietnamese: `3 tháng 5 năm 2024`, `3 tháng 5, 2024`.
        [
            Some(Number { value: day, digits: 1..=2 }),
            Some(Word("tháng" | "Tháng")),
            Some(Number { value: month, digits: 1..=2 }),
            Some(Word("năm")),
            Some(Number { value: year, digits: 4 }),
            _,
        ] => written(year, month, day).map(|day| (day, 5)),
        [
            Some(Number { value: day, digits: 1..=2 }),
            Some(Word("tháng" | "Tháng")),
            Some(Number { value: month, digits: 1..=2 }),
            Some(Number { value: year, digits: 4 }),
            ..,
        ] => written(year, month, day).map(|day| (day, 4)),
        [Some(Number { value, digits: 8 }), ..] => {
            written(value / 10_000, value / 100 % 100, value % 100).map(|day| (day, 1))
        }
        [
            Some(Number { value: year, digits: 4 }),
            Some(Word(a)),
            Some(Number { value: month, .. }),
            Some(Word(b)),
            Some(Number { value: day, .. }),
            _,
        ] if is_eastern(a) && is_eastern(b) => written(year, month, day).map(|day| (day, 5)),
        [
            Some(Number { value: year, digits: 4 }),
            Some(Number { value: month, digits: 1..=2 }),
            Some(Number { value: day, digits: 1..=2 }),
            ..,
        ] if is_mark(gap(0)) && is_mark(gap(1)) && !gap(0).is_empty() => written(year, month, day).map(|day| (day, 3)),
        [
            Some(Number { value: a, digits: 1..=2 }),
            Some(Number { value: b, digits: 1..=2 }),
            Some(Number { value: year, digits: digits @ (2 | 4) }),
            ..,
        ] if is_mark(gap(0)) && gap(0) == gap(1) && !gap(0).is_empty() => {
            let year = if digits == 2 { whole_year(year) } else { year };
            let month_first = a <= 12 && (b > 12 || order == Order::MonthFirst && gap(0) != ".");
            let (day, month) = if month_first { (b, a) } else { (a, b) };
            written(year, month, day).map(|day| (day, 3))
        }
        _ => None,
    }
}

/// A day whose month has its name.
fn day_with_name<'t>(kinds: DayTokens<'_>, gap: impl Fn(usize) -> &'t str) -> Option<(String, usize)> {
    use Token::{Month, Number, Word};
    let is_filling = |token: &Option<Token<'_>>| matches!(token, Some(Word(word)) if is_filler(word));
    let fillers = |tokens: &[Option<Token<'_>>]| tokens.iter().take_while(|token| is_filling(token)).count();
    match kinds {
        [
            Some(Number { value: year, digits: 4 }),
            Some(Month(month)),
            Some(Number { value: day, digits: 1..=2 }),
            ..,
        ] => written(year, month, day).map(|day| (day, 3)),
        [Some(Number { value: day, digits: 1..=2 }), rest @ ..] => {
            // `27 November 2017`, `27th of November, 2017`, `27 de noviembre de 2017`.
            let skipped = fillers(&rest);
            let Some(Some(Month(month))) = rest.get(skipped) else { return None };
            let more = fillers(&rest[skipped + 1..]);
            match rest.get(skipped + 1 + more) {
                Some(&Some(Number { value: year, digits: 4 })) => {
                    written(year, *month, day).map(|day| (day, skipped + more + 3))
                }
                Some(&Some(Number { value: year, digits: 2 })) if more == 0 && gap(skipped + 1) != ":" => {
                    written(whole_year(year), *month, day).map(|day| (day, skipped + 3))
                }
                _ => None,
            }
        }
        [Some(Month(month)), Some(Number { value: day, digits: 1..=2 }), rest @ ..] => {
            let skipped = fillers(&rest);
            match rest.get(skipped) {
                Some(&Some(Number { value: year, digits: 4 })) => {
                    written(year, month, day).map(|day| (day, skipped + 3))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// What may stand between the numbers of a day.
fn is_mark(gap: &str) -> bool {
    matches!(gap, "-" | "/" | "." | "‐" | "–" | "")
}

/// The year that two digits stand for.
fn whole_year(digits: u32) -> u32 {
    if digits < 70 { 2000 + digits } else { 1900 + digits }
}

/// The signs for year and month in Chinese, Japanese and Korean.
fn is_eastern(word: &str) -> bool {
    matches!(word, "年" | "月" | "년" | "월")
}

/// Words inside a date.
fn is_filler(word: &str) -> bool {
    matches!(
        word.to_lowercase().as_str(),
        "st" | "nd" | "rd" | "th" | "of" | "de" | "del" | "di" | "d" | "er" | "den" | "of the" | "в" | "г"
    )
}

/// A day that the calendar has; of the Buddhist calendar of Thailand, by the Gregorian one.
fn written(year: u32, month: u32, day: u32) -> Option<String> {
    let year = if BUDDHIST_YEARS.contains(&year) { year - 543 } else { year };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let is_day = (1980..2100).contains(&year) && (1..=days).contains(&day);
    is_day.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// The first year of an era of Japan, as the year before it.
fn year_before_era(word: &str) -> Option<u32> {
    match word {
        _ if word.ends_with("令和") => Some(2018),
        _ if word.ends_with("平成") => Some(1988),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(day(text, Order::DayFirst).as_deref(), (!expected.is_empty()).then_some(expected), "{text}");
    }

    #[test]
    fn forms() {
        for text in [
            "2024-05-03T10:11:00Z",
            "20240503",
            "2024/5/3 10:11",
            "2024.5.3",
            "Fri, 03 May 2024 08:00:00 GMT",
            "3 May 2024",
            "May 3, 2024",
            "May 3rd, 2024 at 9",
            "3. Mai 2024",
            "3 de mayo de 2024",
            "3 mai 2024",
            "le 3 mai 2024 à 10h",
            "3 мая 2024 г.",
            "2024年5月3日",
            "2024년 5월 3일",
            "03/05/2024",
            "3.5.2024",
            "03-05-2024",
            "3 maja 2024",
            "٣ مايو ٢٠٢٤",
            "3rd of May 2024",
            "2024 May 3",
            "Friday 3 May 2024 10.11",
            "1714730000",
            "1714730000000",
            "3-May-2024",
            "03-May-24",
            "3/5/24",
            "3 พฤษภาคม 2567",
            "令和6年5月3日",
            "発行 令和6年5月3日",
            "Ngày 3 tháng 5 năm 2024",
            "3 tháng 5, 2024",
            "3 Mei 2024",
        ] {
            check(text, "2024-05-03");
        }
        assert_eq!(day("5/3/2024", Order::MonthFirst).as_deref(), Some("2024-05-03"));
        assert_eq!(day("5/13/2024", Order::DayFirst).as_deref(), Some("2024-05-13"));
    }

    #[test]
    fn what_is_no_day() {
        for text in [
            "2024-13-01",
            "2021-02-30",
            "31 April 2024",
            "2023-02-29",
            "May",
            "12 people",
            "1,234,567",
            "10:30:2024",
            "version 1.2.3",
            "3 4 2024",
            "2024-05",
            "99999999",
            "",
        ] {
            check(text, "");
        }
    }

    #[test]
    fn leap_days() {
        check("29 February 2024", "2024-02-29");
        check("2000-02-29", "2000-02-29");
    }

    #[test]
    fn places() {
        assert_eq!(find("Updated 3 May 2024, by", Order::DayFirst), Some(("2024-05-03".to_owned(), 8, 18)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String, more in "[0-9/. a-zA-Zéа-я年月-]{0,40}") {
            find(&text, Order::DayFirst);
            day(&more, Order::MonthFirst);
        }
    }
}
