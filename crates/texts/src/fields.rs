//! The text and the URL in one line of JSON or row of a table; other fields are passed over.

use std::borrow::Cow;
use std::fmt;
use std::str::Utf8Error;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{DocumentFault, DocumentOptions};

/// Fields that a message lists at most.
const MAX_FIELDS_SHOWN: usize = 20;
/// Levels of JSON: far more than data has, far fewer than take a thread's stack.
const MAX_DEPTH: usize = 1_000;

/// The text of one line of JSON Lines; a null is an empty text. It is borrowed from the line unless JSON escapes occur
/// in it. For callers that have split lines themselves; [`Documents`](crate::Documents) reads whole sources.
///
/// ```
/// assert_eq!(texts::text_of_line(br#"{"text": "The tide is out.", "id": 7}"#, "text")?, "The tide is out.");
/// let fault = texts::text_of_line(br#"{"body": ""}"#, "text").unwrap_err();
/// assert_eq!(fault.to_string(), "it has no field \"text\"; its fields are body");
/// # Ok::<(), texts::DocumentFault>(())
/// ```
///
/// # Errors
/// What is wrong with the line.
pub fn text_of_line<'l>(line: &'l [u8], text_field: &str) -> Result<Cow<'l, str>, DocumentFault> {
    let names = FieldNames { text: text_field, url: None };
    let line = utf8(line)?;
    fields_of_line(line, names)?.text.transpose()?.ok_or_else(|| no_field(text_field, &names_in_line(line)))
}

pub(crate) fn utf8(line: &[u8]) -> Result<&str, DocumentFault> {
    check_depth(line)?;
    // By vectors; the standard library's check says where the fault is.
    Ok(simdutf8::basic::from_utf8(line).or_else(|_| std::str::from_utf8(line))?)
}

/// Refuses JSON that is nested so deeply that parsers, which recurse, would run out of stack.
pub(crate) fn check_depth(line: &[u8]) -> Result<(), DocumentFault> {
    // Counted in bytes, so that vectors hold as many as they can.
    let opening_in = |part: &[u8]| part.iter().map(|&byte| u8::from(matches!(byte, b'[' | b'{'))).sum::<u8>();
    let opening: usize = line.chunks(usize::from(u8::MAX)).map(|part| usize::from(opening_in(part))).sum();
    if opening <= MAX_DEPTH {
        return Ok(());
    }
    let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
    for &byte in line {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("its JSON is nested more than {MAX_DEPTH} levels deep").into());
        }
    }
    Ok(())
}

/// Names the field that is missing, and the fields that there are.
pub(crate) fn no_field(name: &str, fields: &[impl AsRef<str>]) -> DocumentFault {
    let shown: Vec<&str> = fields.iter().map(AsRef::as_ref).take(MAX_FIELDS_SHOWN).collect();
    let more = if fields.len() > shown.len() { ", …" } else { "" };
    DocumentFault::OtherForm(match shown.is_empty() {
        true => format!("it has no field {name:?} and no other"),
        false => format!("it has no field {name:?}; its fields are {}{more}", shown.join(", ")),
    })
}

pub(crate) fn fields_of_line<'l>(line: &'l str, names: FieldNames<'_>) -> Result<Fields<'l>, DocumentFault> {
    let mut json = sonic_rs::Deserializer::from_str(line);
    let fields = names.deserialize(&mut json).and_then(|fields| json.end().map(|()| fields));
    fields.map_err(|error| match without_lone_surrogates(line) == line {
        true => DocumentFault::OtherForm(first_line(error)),
        false => DocumentFault::LoneSurrogate(first_line(error)),
    })
}

/// A line of JSON whose escapes of half a surrogate pair, which is no character, are replaced by that of U+FFFD.
///
/// ```
/// assert_eq!(texts::without_lone_surrogates(r#""a \ud83d b""#), r#""a \ufffd b""#);
/// ```
pub fn without_lone_surrogates(line: &str) -> String {
    let code_at = |at: usize| {
        let digits = line.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut kept, mut at) = (String::with_capacity(line.len()), 0);
    while let Some(found) = line[at..].find('\\') {
        kept.push_str(&line[at..at + found]);
        at += found;
        let (len, is_lone) = match (code_at(at), code_at(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, false),
            (Some(0xd800..=0xdfff), _) => (6, true),
            (Some(_), _) => (6, false),
            // The character that is escaped, which may be another backslash.
            (None, _) => (1 + line[at + 1..].chars().next().map_or(0, char::len_utf8), false),
        };
        kept.push_str(if is_lone { "\\ufffd" } else { &line[at..at + len] });
        at += len;
    }
    kept + &line[at..]
}

/// The names of all fields of a line that is JSON.
pub(crate) fn names_in_line(line: &str) -> Vec<String> {
    sonic_rs::from_str::<std::collections::BTreeMap<String, IgnoredAny>>(line)
        .map_or(Vec::new(), |fields| fields.into_keys().collect())
}

/// The first line of the JSON parser's message, which continues with an excerpt over several lines.
fn first_line(error: sonic_rs::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// What is read of a line or row.
#[derive(Default)]
pub(crate) struct Fields<'de> {
    /// `None` if there is no such field; an error for bytes that are no UTF-8.
    pub(crate) text: Option<Result<Cow<'de, str>, Utf8Error>>,
    pub(crate) url: Option<Cow<'de, str>>,
}

/// Names of the fields that are read, of JSON and of Parquet alike.
#[derive(Clone, Copy)]
pub(crate) struct FieldNames<'o> {
    text: &'o str,
    url: Option<&'o str>,
}

impl FieldNames<'_> {
    pub(crate) fn of(options: &DocumentOptions) -> FieldNames<'_> {
        FieldNames { text: &options.text_field, url: options.url_field.as_deref() }
    }
}

impl<'de> DeserializeSeed<'de> for FieldNames<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldNames<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(field) = map.next_key_seed(NameSeed(self))? {
            match field {
                Field::Text => fields.text = Some(map.next_value_seed(TextSeed)?.unwrap_or(Ok(Cow::default()))),
                // What is no text is no URL.
                Field::Url => fields.url = map.next_value_seed(UrlSeed)?,
                // One field may be both: a list of URLs is a list of short texts, too.
                Field::Both => {
                    let text = map.next_value_seed(TextSeed)?;
                    fields.url = text.clone().and_then(Result::ok);
                    fields.text = Some(text.unwrap_or(Ok(Cow::default())));
                }
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

enum Field {
    Text,
    Url,
    Both,
    Other,
}

/// Deserialises a field's name to which of the wanted fields it is.
struct NameSeed<'o>(FieldNames<'o>);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        Ok(match (name == self.0.text, Some(name) == self.0.url) {
            (true, true) => Field::Both,
            (true, false) => Field::Text,
            (false, true) => Field::Url,
            (false, false) => Field::Other,
        })
    }
}

/// A text; `None` for every other value.
struct UrlSeed;

impl<'de> DeserializeSeed<'de> for UrlSeed {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UrlSeed {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned().into()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(std::str::from_utf8(bytes).ok().map(|text| text.to_owned().into()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A text, bytes that should be UTF-8, or null.
struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Option<Result<Cow<'de, str>, Utf8Error>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Option<Result<Cow<'de, str>, Utf8Error>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or null")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Ok(text.into())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Ok(text.to_owned().into())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(Ok(text.into())))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Some(std::str::from_utf8(bytes).map(|text| text.to_owned().into())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}
