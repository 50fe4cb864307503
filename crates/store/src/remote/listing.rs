//! Listings without the keys that are no paths.
//!
//! Consoles and file browsers mark folders by empty objects whose keys end at a `/`, and any program may write keys with
//! empty parts or dots. The library refuses a whole page of a listing for one of the latter, and shows the former as
//! objects that are not there; so both are taken out of the server's answer.

use object_store::path::Path as Key;

/// A page of a listing by the protocol of S3, without the keys that are no paths; of those that mark no folder, the first
/// is told.
pub(super) fn without_odd_keys(page: &str) -> String {
    let mut kept = String::with_capacity(page.len());
    let (mut rest, mut odd) = (page, Vec::new());
    while let Some((start, end)) = next_entry(rest) {
        let key = key_of(&rest[start..end]);
        let is_path = Key::parse(&key).is_ok_and(|parsed| parsed.as_ref() == key);
        kept.push_str(&rest[..if is_path { end } else { start }]);
        rest = &rest[end..];
        if !is_path && !key.ends_with('/') {
            odd.push(key);
        }
    }
    if let Some(first) = odd.first() {
        tracing::warn!("keys that are no paths are left out of a listing: {} of a page, such as {first:?}", odd.len());
    }
    kept + rest
}

/// Where the next object of a listing begins and ends.
fn next_entry(page: &str) -> Option<(usize, usize)> {
    const END: &str = "</Contents>";
    let start = page.find("<Contents>")?;
    let end = start + page[start..].find(END)? + END.len();
    Some((start, end))
}

/// The key of an object in a listing.
fn key_of(entry: &str) -> String {
    let key = entry.split_once("<Key>").and_then(|(_, rest)| Some(rest.split_once("</Key>")?.0));
    unescaped(key.unwrap_or_default())
}

/// A text of XML without its references.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').unwrap_or((part, ""));
        let number = match name.strip_prefix("#x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => name.strip_prefix('#').and_then(|digits| digits.parse().ok()),
        };
        plain.extend(match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => number.and_then(char::from_u32),
        });
        plain.push_str(rest);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[&str]) -> String {
        let entry = |key: &&str| format!("<Contents><Key>{key}</Key><Size>0</Size></Contents>");
        format!("<R><Prefix>a</Prefix>{}<X/></R>", keys.iter().map(entry).collect::<String>())
    }

    #[test]
    fn keys_that_are_no_paths_are_left_out() {
        let paths = ["a/b", "a/b c&amp;d", "a/&lt;x&gt;", "ä", "a%2Fb", "a..b/.c"];
        let others = ["a/", "/a", "a//b", "a/../b", ".", "a/&#x7;b", "a&#10;"];
        let all: Vec<&str> = others[..3].iter().chain(&paths).chain(&others[3..]).copied().collect();
        assert_eq!(without_odd_keys(&page(&all)), page(&paths));
        assert_eq!(without_odd_keys(&page(&others)), page(&[]));
    }

    #[test]
    fn what_is_no_listing_stays() {
        for text in ["", "<R></R>", "<Contents>", "</Contents><Contents>", "<Error>no</Error>"] {
            assert_eq!(without_odd_keys(text), text);
        }
    }
}
