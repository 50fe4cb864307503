//! The charset that a page or its HTTP header names.

/// Bytes in which a meta tag is looked for; the standard's 1024 miss pages that begin with long scripts.
const MAX_PRESCAN_BYTES: usize = 1 << 16;

/// The value of `charset=` in a content type, in lower case.
pub(super) fn charset_parameter(content_type: &str) -> Option<String> {
    let lower = content_type.to_ascii_lowercase();
    let mut rest = lower.as_str();
    while let Some(at) = rest.find("charset") {
        rest = rest[at + "charset".len()..].trim_start();
        if let Some(value) = rest.strip_prefix('=') {
            let value = value.trim_start().trim_start_matches(['"', '\'']);
            let end = value.find(['"', '\'', ';', ',', ' ', '>']).unwrap_or(value.len());
            return Some(value[..end].to_owned()).filter(|label| !label.is_empty());
        }
    }
    None
}

/// The label in the XML declaration or in the first meta tag of the head that has one. Comments, scripts and other
/// elements whose content is no markup are passed over.
pub(super) fn prescan(html: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&html[..html.len().min(MAX_PRESCAN_BYTES)]).to_ascii_lowercase();
    if let Some(declaration) = head.trim_start().strip_prefix("<?xml") {
        let declaration = &declaration[..declaration.find("?>").unwrap_or(0)];
        if let Some(label) = charset_parameter(&declaration.replace("encoding", "charset")) {
            return Some(label);
        }
    }
    let mut rest = head.as_str();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            // `<!-->` is a whole comment.
            rest = after(if comment.starts_with(['>', '-']) { &rest[1..] } else { comment }, "-->");
            continue;
        }
        let name_len = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let name = &rest[..name_len];
        match name {
            "meta" => {
                let (tag, behind) = tag(&rest[name_len..]);
                if let Some(label) = label_of(tag) {
                    return Some(label);
                }
                rest = behind;
            }
            "script" | "style" | "title" | "textarea" | "xmp" | "noframes" => {
                rest = after(rest, &format!("</{name}"));
            }
            "body" => return None,
            _ => {}
        }
    }
    None
}

/// The language that the tag `<html>` names, without its region: `pl` of `pl-PL`.
pub(super) fn language(html: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&html[..html.len().min(MAX_PRESCAN_BYTES)]).to_ascii_lowercase();
    let (tag, _) = tag(&head[head.find("<html")? + "<html".len()..]);
    let (_, named) = attributes(tag).find(|(name, value)| matches!(*name, "lang" | "xml:lang") && !value.is_empty())?;
    named.split(['-', '_']).next().map(|language| language.trim().to_owned())
}

/// What follows the first occurrence of an end mark; nothing without one.
fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// A tag's attributes, up to the `>` outside quotes, and what follows.
fn tag(text: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return (&text[..at], &text[at..]),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed: the tag ends where it would without it.
    let end = text.find('>').unwrap_or(text.len());
    (&text[..end], &text[end..])
}

/// The label that a meta tag declares: `charset=…`, or `content="…; charset=…"` with `http-equiv`.
fn label_of(tag: &str) -> Option<String> {
    let (mut content, mut is_equivalent) = (None, false);
    for (name, value) in attributes(tag) {
        match name {
            "charset" => {
                let label = value.trim();
                return (!label.is_empty()).then(|| label.to_owned());
            }
            "content" => content = charset_parameter(value),
            "http-equiv" => is_equivalent = value.trim() == "content-type",
            _ => {}
        }
    }
    content.filter(|_| is_equivalent)
}

fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let name_len = rest.find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/').unwrap_or(rest.len());
        if rest.is_empty() {
            return None;
        }
        let name = &rest[..name_len];
        rest = rest[name_len..].trim_start();
        let Some(value) = rest.strip_prefix('=') else {
            return Some((name, ""));
        };
        let value = value.trim_start();
        let quoted = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, behind) = match quoted {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => {
                let end = value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len());
                value.split_at(end)
            }
        };
        rest = behind;
        Some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, label: Option<&str>) {
        assert_eq!(prescan(html.as_bytes()).as_deref(), label, "{html}");
    }

    #[test]
    fn labels_in_heads() {
        check("<meta name=a><META Charset = \"KOI8-R\" >", Some("koi8-r"));
        check("<meta http-equiv=Content-Type content='text/html;charset = gbk'>", Some("gbk"));
        check("<meta content=\"text/html; charset=big5\" http-equiv=\"content-type\"/>", Some("big5"));
        check("<?xml version=\"1.0\" encoding='euc-jp'?><html>", Some("euc-jp"));
        check("<meta charset=>", None);
        check("<meta charset", None);
    }

    #[test]
    fn what_is_no_declaration() {
        check("<!-- <meta charset=gbk> --><meta charset=utf-8>", Some("utf-8"));
        check("<script>'<meta charset=gbk>'</script><meta charset=utf-8>", Some("utf-8"));
        check("<title><meta charset=gbk></title>", None);
        check("<meta name=description content='what charset=gbk means'>", None);
        check("<meta name=d content='a > b'><meta charset=euc-kr>", Some("euc-kr"));
        check("<body><meta charset=gbk>", None);
        check("<!--><meta charset=gbk>", Some("gbk"));
    }

    #[test]
    fn content_types() {
        assert_eq!(charset_parameter("text/html; Charset=\"UTF-8\"; x").as_deref(), Some("utf-8"));
        assert_eq!(charset_parameter("text/html; charset = 'gbk'").as_deref(), Some("gbk"));
        assert_eq!(charset_parameter("text/html"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, tail in "[<!\\-a-z=\"' >/]*") {
            prescan(&bytes);
            prescan(format!("<meta {tail}").as_bytes());
        }
    }
}
