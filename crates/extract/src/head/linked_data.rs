//! A page's linked data (JSON-LD): the entity that the page is about, its authors, day and text.
//!
//! Left out: contexts, and entities of other documents. Much of the linked data on the web is not valid JSON, so faults
//! that parsers report are mended first: line breaks in strings, commas before brackets.

use std::collections::HashMap;

use serde_json::Value;

/// What the linked data of a page says of its text.
#[derive(Debug, Default)]
pub(super) struct LinkedData {
    pub(super) headline: Option<String>,
    pub(super) authors: Vec<String>,
    pub(super) date: Option<String>,
    /// `articleBody`, or the `text` of a post.
    pub(super) body: Option<String>,
    /// Names of the publisher and of the site, which are no author and no title.
    pub(super) site_names: Vec<String>,
    /// The types of all entities at the top.
    pub(super) types: Vec<String>,
}

/// Authors of one entity that are read.
const MAX_AUTHORS: usize = 50;
/// References that are followed from an entity.
const MAX_REFERENCES: usize = 4;

/// Reads the scripts of a page; `title` tells which of several articles it is about.
pub(super) fn read(scripts: &[&str], title: Option<&str>) -> LinkedData {
    let roots: Vec<Value> = scripts.iter().filter_map(|script| parse(script)).collect();
    let mut top = Vec::new();
    for root in &roots {
        collect_top(root, &mut top);
    }
    let mut by_id = HashMap::new();
    for root in &roots {
        index(root, &mut by_id);
    }
    let mut found = LinkedData::default();
    for entity in &top {
        found.types.extend(types(entity).map(str::to_owned));
        for key in ["publisher", "sourceOrganization", "isPartOf"] {
            found.site_names.extend(entity.get(key).into_iter().flat_map(|value| names(value, &by_id)));
        }
        if types(entity)
            .any(|kind| matches!(kind, "WebSite" | "Organization" | "NewsMediaOrganization" | "Corporation"))
        {
            found.site_names.extend(text(entity.get("name")));
        }
    }
    let rank = |entity: &&&Value| {
        let is_titled = title.is_some_and(|title| {
            let headline = text(entity.get("headline")).or_else(|| text(entity.get("name")));
            headline.is_some_and(|headline| headline.len() > 8 && title.contains(&headline))
        });
        (rank_of(entity), is_titled)
    };
    // Of several equal ones the first.
    let main = top.iter().rev().max_by_key(rank).filter(|entity| rank_of(entity) > 0);
    if let Some(entity) = main {
        found.headline = text(entity.get("headline")).or_else(|| text(entity.get("name")));
        found.date = ["datePublished", "dateCreated", "uploadDate"].iter().find_map(|key| text(entity.get(*key)));
        found.body = text_with_lines(entity.get("articleBody")).or_else(|| text_with_lines(entity.get("text")));
        let authors = entity.get("author").or_else(|| entity.get("creator")).or_else(|| entity.get("authors"));
        let publishers: Vec<String> = entity.get("publisher").map(|value| names(value, &by_id)).unwrap_or_default();
        for author in authors.map(|value| names(value, &by_id)).unwrap_or_default() {
            if !publishers.contains(&author) && !found.authors.contains(&author) {
                found.authors.push(author);
            }
        }
    }
    found
}

fn parse(script: &str) -> Option<Value> {
    let script = script.trim().trim_start_matches("<!--").trim_end_matches("-->").trim();
    let script = script
        .trim_start_matches("//<![CDATA[")
        .trim_start_matches("<![CDATA[")
        .trim_end_matches("//]]>")
        .trim_end_matches("]]>");
    let script = script.trim().trim_end_matches(';');
    serde_json::from_str(script).ok().or_else(|| serde_json::from_str(&mended(script)).ok())
}

/// Raw control characters in strings as spaces, commas before closing brackets left out, and what was cut off closed.
fn mended(script: &str) -> String {
    let mut mended = String::with_capacity(script.len());
    let (mut is_string, mut is_escaped) = (false, false);
    let mut open = Vec::new();
    for c in script.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_string => is_escaped = true,
            '"' => is_string = !is_string,
            '\n' | '\r' | '\t' | '\0'..='\x1f' if is_string => {
                mended.push(' ');
                continue;
            }
            '{' | '[' if !is_string => open.push(if c == '{' { '}' } else { ']' }),
            '}' | ']' if !is_string => {
                let kept = mended.trim_end().trim_end_matches(',').len();
                mended.truncate(kept);
                if open.pop().is_none() {
                    break;
                }
            }
            _ => {}
        }
        mended.push(c);
    }
    if is_string {
        mended.push('"');
    }
    mended.extend(open.into_iter().rev());
    mended
}

/// The entities at the top: of an array, of `@graph`, and the main one of a page.
fn collect_top<'a>(root: &'a Value, top: &mut Vec<&'a Value>) {
    match root {
        Value::Array(entities) => entities.iter().for_each(|entity| collect_top(entity, top)),
        Value::Object(entity) => {
            top.push(root);
            for key in ["@graph", "mainEntity", "mainEntityOfPage"] {
                if let Some(inner) = entity.get(key).filter(|inner| !inner.is_string()) {
                    collect_top(inner, top);
                }
            }
        }
        _ => {}
    }
}

/// The entities by `@id`; a reference alone is none.
fn index<'a>(value: &'a Value, by_id: &mut HashMap<&'a str, &'a Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| index(value, by_id)),
        Value::Object(entity) => {
            if let Some(id) = entity.get("@id").and_then(Value::as_str).filter(|_| entity.len() > 1) {
                by_id.entry(id).or_insert(value);
            }
            entity.values().for_each(|value| index(value, by_id));
        }
        _ => {}
    }
}

/// The types of an entity, without the vocabulary's address.
fn types(entity: &Value) -> impl Iterator<Item = &str> {
    let (one, several) = match entity.get("@type") {
        Some(Value::String(kind)) => (Some(kind.as_str()), None),
        Some(Value::Array(kinds)) => (None, Some(kinds)),
        _ => (None, None),
    };
    let several = several.into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several).map(|kind| kind.rsplit(['/', '#', ':']).next().unwrap_or(kind))
}

/// How likely an entity of this type is what the page is about; 0 for what it is not.
fn rank_of(entity: &Value) -> u8 {
    types(entity)
        .map(|kind| match kind {
            "Comment" | "Answer" | "WebSite" | "BreadcrumbList" | "Organization" | "Person" | "ImageObject" => 0,
            "DiscussionForumPosting" | "QAPage" | "Question" | "Recipe" | "Report" | "Book" | "Course" => 4,
            _ if kind.ends_with("Article") || kind.ends_with("Posting") && kind != "JobPosting" => 5,
            "Review" | "CreativeWork" | "MedicalWebPage" | "VideoObject" | "Product" | "Event" | "JobPosting"
            | "PodcastEpisode" => 3,
            _ if kind.ends_with("Page") => 2,
            _ => 0,
        })
        .max()
        .unwrap_or(0)
}

/// The names of persons or organisations: strings, entities with a name, references, or lists of them.
fn names(value: &Value, by_id: &HashMap<&str, &Value>) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = vec![(value, 0)];
    while let Some((value, references)) = rest.pop() {
        if names.len() == MAX_AUTHORS || references > MAX_REFERENCES {
            break;
        }
        match value {
            Value::String(name) => match by_id.get(name.as_str()) {
                Some(entity) => rest.push((entity, references + 1)),
                None if name.starts_with("http") || name.contains('@') => {}
                None => names.extend(tidy(name)),
            },
            Value::Array(values) => rest.extend(values.iter().rev().map(|value| (value, references))),
            Value::Object(entity) => match entity.get("name") {
                Some(name) => rest.push((name, references)),
                None => {
                    let id = entity.get("@id").and_then(Value::as_str).and_then(|id| by_id.get(id));
                    let parts = ["givenName", "familyName"].map(|key| text(entity.get(key)));
                    match (id, parts) {
                        (Some(named), _) if named.get("name").is_some() => rest.push((named, references + 1)),
                        (_, [Some(given), Some(family)]) => names.push(format!("{given} {family}")),
                        _ => {}
                    }
                }
            },
            _ => {}
        }
    }
    names
}

fn text(value: Option<&Value>) -> Option<String> {
    let first = match value? {
        Value::Array(values) => values.first()?,
        value => value,
    };
    match first {
        Value::Number(number) => Some(number.to_string()),
        value => tidy(value.as_str()?),
    }
}

fn text_with_lines(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        value => value.as_str()?.to_owned(),
    };
    (!text.trim().is_empty()).then_some(text)
}

/// One line, with character references decoded, which templates escape twice.
fn tidy(text: &str) -> Option<String> {
    let decoded = htmlize::unescape(text);
    let line = decoded.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_in_all_forms() {
        let authors = |json: &str| read(&[json], None).authors.join("|");
        assert_eq!(authors(r#"{"@type":"NewsArticle","author":"Ann Oyster"}"#), "Ann Oyster");
        assert_eq!(
            authors(r#"{"@type":"Article","author":[{"name":"Bo Reed"},{"name":["Cy Dee","Di Eff"]}]}"#),
            "Bo Reed|Cy Dee|Di Eff"
        );
        assert_eq!(
            authors(
                r##"{"@graph":[{"@type":"Article","author":{"@id":"#a"},"publisher":{"@id":"#p"}},{"@id":"#p","@type":"Organization","name":"Reef Ltd"},{"@id":"#a","@type":"Person","name":"Zo\u00eb O&#39;Hare"}]}"##
            ),
            "Zoë O'Hare"
        );
        assert_eq!(authors(r#"{"@type":"Article","author":{"name":"Reef"},"publisher":{"name":"Reef"}}"#), "");
        assert_eq!(authors(r#"{"@type":"BlogPosting","creator":["https://reef.example/ann"]}"#), "");
    }

    #[test]
    fn the_entity_of_the_page() {
        let json = r#"[{"@type":"BreadcrumbList"},{"@type":"ItemList","itemListElement":[{"@type":"NewsArticle","datePublished":"2001-01-01"}]},
            {"@type":"NewsArticle","headline":"Tides","datePublished":"2024-02-20"}]"#;
        assert_eq!(read(&[json], None).date.as_deref(), Some("2024-02-20"));
        let two = r#"[{"@type":"Article","headline":"Of other boats","datePublished":"2001-01-01"},{"@type":"Article","headline":"Of these boats","datePublished":"2002-01-01"}]"#;
        assert_eq!(read(&[two], Some("Of these boats | Reef")).date.as_deref(), Some("2002-01-01"));
        assert_eq!(read(&[two], None).date.as_deref(), Some("2001-01-01"));
        assert_eq!(read(&[r#"{"@type":"http://schema.org/WebSite","name":"Reef"}"#], None).site_names, ["Reef"]);
    }

    #[test]
    fn faults_are_mended() {
        let found = read(
            &[
                "<!-- {\"@type\":\"Article\",\"author\":{\"name\":\"Ann\n Oyster\",},\"articleBody\":\"One.\\nTwo.\",} -->",
            ],
            None,
        );
        assert_eq!((found.authors.join("|"), found.body.as_deref()), ("Ann Oyster".to_owned(), Some("One.\nTwo.")));
        assert_eq!(
            read(&["{\"@type\":\"Article\",\"author\":\"Bo Reed\",\"headline\":\"cut of"], None).authors,
            ["Bo Reed"]
        );
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}\":,a-z@ \\\\]*") {
            read(&[&text], None);
        }
    }
}
