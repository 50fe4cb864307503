//! Authors and dates in the body of a page that says nothing of them elsewhere.

use std::sync::LazyLock;

use super::dates::{Order, day, find};
use crate::html::{NameSet, NodeId, ROOT, Tree, attribute, tag, tags};
use crate::word_table::{WordTable, packed};

/// Elements that hold a line about the text.
const LINES: NameSet = tags![SPAN DIV P LI A ABBR ADDRESS SMALL EM I STRONG B CITE DD TIME H2 H3 H4 H5 H6];
/// Parts of the page that are not about the text.
const OUTSIDE: NameSet = tags![NAV ASIDE FOOTER];
/// Longest line about a text, in bytes.
const MAX_LINE_BYTES: usize = 160;
/// Longest name, in words and bytes.
const MAX_NAME_WORDS: usize = 5;
const MAX_NAME_BYTES: usize = 60;
/// Longest line that is nothing but a date, in bytes, and the nodes in it.
const MAX_DATE_LINE_BYTES: usize = 80;
const MAX_NODES_OF_SHORT_LINE: usize = 8;
/// Nodes that are looked at below a candidate.
const MAX_NODES: usize = 30;
/// Words of classes and ids.
const WORDS: [&str; 4] = [
    "date time timestamp published publish pubdate posted dateline datetime byline meta postdate info entrydate fecha datum tarih dato",
    "byline author authors writer autor",
    "comment comments related sidebar recommended footer",
    "updated modified update",
];
/// Of lines with a date, and of lines with an author.
const DATE: u32 = 1;
const AUTHOR: u32 = 2;
/// Of what is beside the text.
const BESIDE: u32 = 4;
/// Of a day on which the text was changed.
const CHANGE: u32 = 8;

static FIND_WORDS: LazyLock<WordTable> = LazyLock::new(|| WordTable::of_groups(WORDS.into_iter()));

/// What stands before a day on which the text was changed, not published; in lower case.
const CHANGED: &[&str] = &[
    "updated",
    "update",
    "modified",
    "edited",
    "revised",
    "last change",
    "aktualisiert",
    "geändert",
    "mis à jour",
    "mise à jour",
    "modifié",
    "actualizado",
    "actualización",
    "atualizado",
    "aggiornato",
    "bijgewerkt",
    "обновлено",
    "изменено",
    "zaktualizowano",
    "aktualizacja",
    "更新",
    "最終更新",
    "güncelleme",
    "upd",
    "stand:",
    "received",
    "accepted",
    "reviewed",
    "retrieved",
    "accessed",
    "copyright",
    "©",
    "born",
    "uppdaterad",
    "opdateret",
    "ενημέρωση",
];

/// The names in a line: "By Ann Oyster and Bo Reed" has two. Addresses are no names.
pub(super) fn names(line: &str) -> Vec<String> {
    let line = person_in(without_by(line.trim()));
    let parts: Vec<&str> = split_names(line);
    let are_names = parts.iter().all(|part| is_name(part));
    let parts = if are_names && parts.len() > 1 { parts } else { vec![line] };
    let first = parts[0];
    let is_kept = |name: &&str| {
        let is_address = name.starts_with("http") || name.contains('@') || name.starts_with("www.");
        let last = name.rsplit(' ').next().unwrap_or_default().to_lowercase();
        // "Reuters Staff" alone is who wrote it.
        let is_office = *name != first && OFFICES.contains(&last.as_str());
        !is_address && !is_office && !name.starts_with('(') && name.contains(char::is_alphabetic)
    };
    parts.into_iter().map(str::trim).filter(is_kept).map(str::to_owned).collect()
}

/// What stands before names, in lower case; the first one with which a line begins counts.
const BEFORE_NAMES: &[&str] = &[
    "written by ",
    "posted by ",
    "written by:",
    "posted by:",
    "by ",
    "作者：",
    "作者:",
    "文／",
    "记者：",
    "記者：",
    "von ",
    "par ",
    "por ",
    "di ",
    "door ",
    "автор: ",
    "author: ",
    "by: ",
    "text: ",
    "autor: ",
    "auteur: ",
    "autora: ",
    "geschreven door ",
    "skrevet af ",
    "skrevet av ",
    "skriven av ",
    "text av ",
    "av ",
    "af ",
    "scritto da ",
    "a cura di ",
    "escrito por ",
    "publicado por ",
    "écrit par ",
    "publié par ",
    "verfasst von ",
    "text von ",
    "ein beitrag von ",
    "autore: ",
    "autorka: ",
    "yazan: ",
    "yazar: ",
    "haber: ",
    "oleh: ",
    "oleh ",
    "penulis: ",
    "tác giả: ",
    "írta: ",
    "szerző: ",
    "kirjoittanut ",
    "लेखक: ",
    "โดย ",
    "ผู้เขียน: ",
    "كتب: ",
    "كتب ",
    "بقلم: ",
    "بقلم ",
    "نویسنده: ",
    "מאת: ",
    "מאת ",
    "文: ",
    "文：",
    "撰文：",
    "記者 ",
    "记者 ",
];

/// What stands behind names; letters of ASCII in lower case.
const BEHIND_NAMES: &[&str] = &[
    " http",
    " last updated",
    " updated",
    "published",
    " posted on",
    " view bio",
    " is a ",
    " for ",
    " stand:",
    " veröffentlicht",
    " aktualisiert",
    " publié",
    " mis à jour",
    " publicado",
    " actualizado",
    " atualizado",
    " pubblicato",
    " aggiornato",
    " gepubliceerd",
    " publicerad",
    " uppdaterad",
    " opublikowano",
    " опубликовано",
    " Опубликовано",
    " обновлено",
    " Обновлено",
];
/// What ends the name of an office, in lower case: `Political Editor`.
const OFFICES: &[&str] = &[
    "editor",
    "correspondent",
    "reporter",
    "writer",
    "journalist",
    "columnist",
    "contributor",
    "producer",
    "analyst",
    "staff",
    "redakteur",
    "redakteurin",
    "korrespondent",
    "journaliste",
    "correspondant",
    "periodista",
    "redactor",
    "redactora",
    "giornalista",
];

/// A line up to what stands behind names: marks, addresses, and when the text was written.
fn person_in(line: &str) -> &str {
    let marks = line.find(['|', '•', '·', '–', '—', '／', '｜']).unwrap_or(line.len());
    // Lower case of other scripts may have other lengths, so that letters beyond ASCII stay as they are.
    let lower = line.to_ascii_lowercase();
    let end = BEHIND_NAMES.iter().filter_map(|word| lower.find(word)).fold(marks, usize::min);
    let name = line[..end].trim();
    name.strip_suffix(" 기자").unwrap_or(name)
}

fn split_names(line: &str) -> Vec<&str> {
    let mut parts = vec![line];
    for separator in [";", ", and ", ",", " and ", " AND ", " And ", " & ", " und ", " et ", " y ", " и ", "、", "，"]
    {
        parts = parts.into_iter().flat_map(|part| part.split(separator)).collect();
    }
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Two to five words, each with a capital or of a script without them.
fn is_name(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let begins = |word: &&str| word.chars().next().is_some_and(|c| c.is_alphabetic() && !c.is_lowercase());
    let is_particle = |word: &&str| {
        matches!(
            *word,
            "de" | "van"
                | "von"
                | "der"
                | "la"
                | "da"
                | "di"
                | "den"
                | "al"
                | "bin"
                | "le"
                | "du"
                | "dos"
                | "del"
                | "el"
        )
    };
    let is_unspaced = text.chars().all(words::is_unspaced) && text.chars().count() <= 5;
    text.len() <= MAX_NAME_BYTES
        && (is_unspaced
            || (2..=MAX_NAME_WORDS).contains(&words.len())
                && words.first().is_some_and(begins)
                && words.iter().all(|word| begins(word) || is_particle(word)))
}

fn without_by(line: &str) -> &str {
    let by = BEFORE_NAMES.iter().find(|by| {
        line.get(..by.len()).is_some_and(|head| head.eq_ignore_ascii_case(by) || head.to_lowercase() == **by)
    });
    by.map_or(line, |by| line[by.len()..].trim())
}

/// The lines about the text whose class or id has one of the words, in document order; for dates, `<time>` is one.
fn lines(tree: &Tree, words: u32) -> impl Iterator<Item = (NodeId, String)> {
    (ROOT..tree.node_count() as NodeId).filter_map(move |id| {
        let name = tree.name(id);
        let is_time = name == tag::TIME && words & DATE != 0;
        let is_labelled = LINES.has(name)
            && [attribute::CLASS, attribute::ID, attribute::ITEMPROP]
                .into_iter()
                .any(|name| tree.raw_attribute(id, name).is_some_and(|value| has_word(value, words)));
        if !(is_time || is_labelled) || is_outside(tree, id) || tree.preorder(id).nth(MAX_NODES).is_some() {
            return None;
        }
        let text = line_below(tree, id);
        (text.len() <= MAX_LINE_BYTES).then_some((id, text))
    })
}

/// The short lines of the page that no class tells about, in document order: those with a text that may be what is looked
/// for. A line of several such texts comes as often.
fn short_lines(tree: &Tree, max_bytes: usize, may_be: fn(&str) -> bool) -> impl Iterator<Item = (NodeId, String)> {
    (ROOT..tree.node_count() as NodeId).filter_map(move |id| {
        let text = tree.text(id).trim();
        if text.is_empty() || text.len() > max_bytes || !may_be(text) {
            return None;
        }
        let line = tree.node(id).parent;
        let is_short = LINES.has(tree.name(line)) && tree.preorder(line).nth(MAX_NODES_OF_SHORT_LINE).is_none();
        let text = is_short.then(|| line_below(tree, line)).filter(|text| text.len() <= max_bytes)?;
        Some((line, text))
    })
}

/// Whether four digits may be a year, of the Gregorian calendar or the Buddhist one: a first look, since finding a date
/// compares each word with the names of months.
fn has_year(text: &str) -> bool {
    let is_year =
        |digits: &[u8]| digits.iter().all(u8::is_ascii_digit) && matches!(&digits[..2], b"19" | b"20" | b"25" | b"26");
    text.as_bytes().windows(4).any(is_year)
}

/// The text below an element in one line, its elements parted by spaces.
pub(super) fn line_below(tree: &Tree, id: NodeId) -> String {
    let texts: Vec<&str> = tree.preorder(id).map(|node| tree.text(node)).filter(|text| !text.is_empty()).collect();
    texts.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a word of these groups of [`WORDS`] stands in a class or id.
fn has_word(value: &str, groups: u32) -> bool {
    let words = value.as_bytes().split(|byte| !byte.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.map(packed).any(|word| FIND_WORDS.find(word) & groups != 0)
}

/// In a list of links, beside the text, or in a comment.
pub(super) fn is_outside(tree: &Tree, id: NodeId) -> bool {
    let mut at = id;
    while at != ROOT && at != crate::html::NONE {
        let is_comment = || {
            let class = tree.raw_attribute(at, attribute::CLASS).or_else(|| tree.raw_attribute(at, attribute::ID));
            class.is_some_and(|class| has_word(class, BESIDE))
        };
        let name = tree.name(at);
        if OUTSIDE.has(name) || !matches!(name, tag::BODY | tag::HTML) && name.is_element() && is_comment() {
            return true;
        }
        at = tree.node(at).parent;
    }
    false
}

/// The first day in a line about the text on which it was not only changed.
pub(super) fn visible_date(tree: &Tree, order: Order) -> Option<String> {
    let mut changed = None;
    for (id, text) in lines(tree, DATE) {
        let is_modified =
            tree.raw_attribute(id, attribute::ITEMPROP).is_some_and(|value| value.eq_ignore_ascii_case("dateModified"))
                || tree.raw_attribute(id, attribute::CLASS).is_some_and(|class| has_word(class, CHANGE));
        let before = text_before(tree, id);
        let of_title = tree.attribute(id, attribute::TITLE).filter(|_| tree.name(id) == tag::ABBR);
        let datetime = tree.attribute(id, attribute::DATETIME).or(of_title).and_then(|value| day(&value, order));
        let published = match &datetime {
            Some(_) if is_modified || is_change(&format!("{before} {text}")) => None,
            Some(day) => Some(day.clone()),
            None => published_in(&before, &text, order).filter(|_| !is_modified),
        };
        if published.is_some() {
            return published;
        }
        changed = changed.or(datetime).or_else(|| find(&text, order).map(|(day, _, _)| day));
    }
    changed.or_else(|| {
        let mut dates = short_lines(tree, MAX_DATE_LINE_BYTES, has_year);
        dates.find_map(|(id, line)| {
            let date = is_line_of_dates(&line).then(|| published_in("", &line, order)).flatten()?;
            (!is_outside(tree, id)).then_some(date)
        })
    })
}

/// The text that stands directly before an element, on the same line.
fn text_before(tree: &Tree, id: NodeId) -> String {
    let before = tree.node(id).previous;
    if before == crate::html::NONE { String::new() } else { tree.text(before).trim().to_lowercase() }
}

/// The first day in a text that no word before it says to be one of a change.
fn published_in(before: &str, text: &str, order: Order) -> Option<String> {
    let mut rest = text;
    let mut said = before.to_owned();
    while let Some((day, start, end)) = find(rest, order) {
        said.push(' ');
        said.push_str(&rest[..start]);
        if !is_change(&said) {
            return Some(day);
        }
        said.clear();
        rest = &rest[end..];
        // A time behind the day is no word.
    }
    None
}

fn is_change(said: &str) -> bool {
    let said = said.to_lowercase();
    CHANGED.iter().any(|word| said.contains(word))
}

/// The names in lines that say "by", or whose class says that they name the author.
pub(super) fn visible_authors(tree: &Tree) -> Vec<String> {
    for (_, text) in lines(tree, AUTHOR) {
        let line = person_in(without_by(&text));
        // Behind the names stand dates and sections.
        let end = line.find(['|', '•', '·', '–', '—', '(', '/']).unwrap_or(line.len());
        let end = find(line, Order::DayFirst).map_or(end, |(_, start, _)| end.min(start));
        let mut names: Vec<&str> = split_names(&line[..end]);
        while names.last().is_some_and(|name| !is_name(name)) {
            names.pop();
        }
        if !names.is_empty() && names.iter().all(|name| is_name(name)) {
            return names.into_iter().map(str::to_owned).collect();
        }
    }
    // Chinese pages have the author beside the date and the source, in a line of any class.
    let said = short_lines(tree, MAX_LINE_BYTES, |text| text.contains("作者")).find_map(|(id, line)| {
        let (_, name) = line.split_once("作者：").or_else(|| line.split_once("作者:"))?;
        let name = name.trim_start().split([' ', '　', '|', '，', '。']).next()?;
        (is_name(name) && !is_outside(tree, id)).then(|| name.to_owned())
    });
    if let Some(name) = said {
        return vec![name];
    }
    let says_by = |text: &str| {
        let lower = text.to_lowercase();
        let label = lower.trim_end_matches([':', '：', ' ']);
        SAY_BY.contains(&label)
            || SAY_BY_BEFORE_COLON.iter().any(|by| lower.strip_prefix(by).is_some_and(|rest| rest.starts_with(':')))
    };
    let names_in = |(id, line): (NodeId, String)| {
        let name = person_in(without_by(&line));
        (name.len() < line.len() && is_name(name) && !is_outside(tree, id)).then(|| vec![name.to_owned()])
    };
    short_lines(tree, MAX_LINE_BYTES, says_by).find_map(names_in).unwrap_or_default()
}

/// Texts that stand alone before a name, in lower case.
const SAY_BY: &[&str] = &["by", "von", "par", "por", "автор", "author", "autor", "auteur"];
/// Those that begin a line with a name behind a colon.
const SAY_BY_BEFORE_COLON: &[&str] = &["author", "autor", "autora", "auteur", "автор", "written by"];

/// Words in a line of dates that say what happened then, and days and zones.
#[rustfmt::skip]
const DATE_LABELS: &[&str] = &[
    "published", "posted", "updated", "last", "first", "modified", "edited", "created", "on", "at", "date", "issued",
    "received", "accepted", "revised", "online", "print", "release", "released", "am", "pm", "gmt", "utc", "est",
    "edt", "cet", "cest", "bst", "pst", "pdt", "ist", "et", "pt", "hrs", "h", "uhr", "monday", "tuesday", "wednesday",
    "thursday", "friday", "saturday", "sunday", "mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat",
    "sun", "veröffentlicht", "aktualisiert", "vom", "um", "stand", "montag", "dienstag", "mittwoch", "donnerstag",
    "freitag", "samstag", "sonntag", "publié", "mis", "à", "jour", "le", "modifié", "lundi", "mardi", "mercredi",
    "jeudi", "vendredi", "samedi", "dimanche", "publicado", "actualizado", "atualizado", "el", "em", "às", "a", "las",
    "lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo", "pubblicato", "aggiornato", "il",
    "alle", "ore", "gepubliceerd", "bijgewerkt", "op", "om", "опубликовано", "обновлено", "в", "года", "г", "дата",
    "opublikowano", "aktualizacja", "dodano", "godz", "publicerad", "uppdaterad", "kl", "发布", "更新", "公開", "時間", "时间",
    "日期", "発行", "日", "時", "分", "时", "erstellt", "original", "originally", "the", "of", "to", "hour", "time",
    "submitted", "available", "since",
];

/// Whether a line has nothing but days, times, and words that say what happened on them.
pub(crate) fn is_line_of_dates(line: &str) -> bool {
    let mut rest = line;
    let mut others = String::new();
    let mut days = 0;
    while let Some((_, start, end)) = find(rest, Order::DayFirst) {
        others.push_str(&rest[..start]);
        others.push(' ');
        days += 1;
        rest = &rest[end..];
    }
    others.push_str(rest);
    let mut words = others.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    days > 0
        && words.all(|word| {
            word.bytes().all(|b| b.is_ascii_digit())
                || is_time(word)
                || DATE_LABELS.contains(&word.to_lowercase().as_str())
        })
}

/// `10h30`, `9am`, `20T10`, `9時30分`.
fn is_time(word: &str) -> bool {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let is_of_clock = word.chars().all(|c| c.is_ascii_digit() || matches!(c, '時' | '时' | '分' | '秒' | '点'));
    digits > 0 && digits <= 2 && (word.len() <= 5 || is_of_clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_lines() {
        for (line, expected) in [
            ("By Ann Oyster and Bo Reed", &["Ann Oyster", "Bo Reed"][..]),
            ("By Ann Oyster, Political Editor", &["Ann Oyster"]),
            ("By Reuters Staff", &["Reuters Staff"]),
            ("Анна Устрица Опубликовано 3 мая", &["Анна Устрица"]),
            ("By Ann Oyster for The Tidal Post", &["Ann Oyster"]),
            ("Käthe Muschel Stand: 05.11.2020", &["Käthe Muschel"]),
            ("Av Åsa Öberg Publicerad 3 maj", &["Åsa Öberg"]),
            ("Yazan: Çağrı Şahin", &["Çağrı Şahin"]),
            ("Oleh Budi Santoso", &["Budi Santoso"]),
            ("लेखक: राजेश कुमार", &["राजेश कुमार"]),
            ("โดย สุดา ใจดี", &["สุดา ใจดี"]),
            ("كتب: منى حسن", &["منى حسن"]),
            ("מאת: רות לוי", &["רות לוי"]),
            ("記者 陳大文／台北報導", &["陳大文"]),
            ("박민수 기자", &["박민수"]),
        ] {
            assert_eq!(names(line), expected, "{line}");
        }
    }

    #[test]
    fn lines_of_dates_alone() {
        for line in [
            "2021年3月5日 9時30分",
            "Published on March 5, 2021 at 9:30 am",
            "Stand: 05.11.2020 | Erstellt am 02.11.2020",
        ] {
            assert!(is_line_of_dates(line), "{line}");
        }
        assert!(!is_line_of_dates("The tide of March 5, 2021 was high"));
    }
}
