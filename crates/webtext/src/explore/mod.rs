//! A run as one self-contained HTML page for reading and searching documents and trying other limits.
//!
//! The page is a template, a style sheet, a program and the run's data as JSON; it loads nothing. It is a function of the
//! run's files, so it is the same for the same run. What is on the page is a sample; the report counts everything.

mod data;
mod draw;
mod gather;

use std::path::Path;

use anyhow::Context;
use pipeline::RecipeRun;

pub use data::PageData;

/// Maximum, and default, number of documents on a page.
pub const MAX_DOCUMENTS: u32 = 5_000;
/// Largest page in bytes: browsers open it without a noticeable pause.
const MAX_PAGE_BYTES: usize = 30_000_000;
/// Maximum characters of a text on the page: the first of these with which the page is not too large.
const TEXT_CHARS: [usize; 8] = [20_000, 10_000, 6_000, 4_000, 2_000, 1_000, 500, 200];

const TEMPLATE: &str = include_str!("explore.html");
const STYLE: &str = include_str!("explore.css");
/// In the order of execution.
const SCRIPTS: [&str; 5] = [
    include_str!("model.js"),
    include_str!("marks.js"),
    include_str!("documents.js"),
    include_str!("limits.js"),
    include_str!("page.js"),
];

/// Reads what the page shows: at most `max_documents` documents with texts of at most 20,000 characters.
///
/// Reads the run's tables of verdicts and of texts once each. Memory: the documents, and the ids of duplicates and
/// exclusions.
pub fn gather(folder: &Path, run: &RecipeRun, max_documents: usize) -> anyhow::Result<PageData> {
    gather::gather(folder, run, max_documents, TEXT_CHARS[0])
}

/// Renders the page. Texts are cut so that it fits in 30 MB; `max_text_chars` is set accordingly.
///
/// # Errors
/// When the page is too large with the shortest texts.
pub fn render(data: &mut PageData) -> anyhow::Result<String> {
    for max_text_chars in TEXT_CHARS {
        data.cut_texts(max_text_chars);
        let page = with_data(&data.run, &json_for_script(data)?);
        if page.len() <= MAX_PAGE_BYTES {
            return Ok(page);
        }
    }
    anyhow::bail!("the page is larger than {MAX_PAGE_BYTES} bytes; --documents asks for fewer")
}

/// Fills the template. Markers in the inserted text are not replaced.
fn with_data(title: &str, json: &str) -> String {
    let title = console::escape_html(title);
    let mut page = String::with_capacity(json.len() + (64 << 10));
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("the template closes what it opens");
        page.push_str(before);
        match name {
            "title" => page.push_str(&title),
            "style" => page.push_str(STYLE),
            "data" => page.push_str(json),
            "script" => SCRIPTS.iter().for_each(|script| page.push_str(script)),
            other => unreachable!("the template has no part {other}"),
        }
        rest = after;
    }
    page + rest
}

/// JSON for a script element: no text in it can end the element.
fn json_for_script(data: &PageData) -> anyhow::Result<String> {
    let json = serde_json::to_string(data).context("the page's data cannot be written as JSON")?;
    Ok(json.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use super::data::{PageDocument, Stratum};
    use super::*;

    fn page_of(texts: &[&str]) -> PageData {
        let document = |text: &&str| PageDocument {
            text: (*text).to_owned(),
            text_chars: text.chars().count() as u64,
            ..PageDocument::default()
        };
        let documents: Vec<_> = texts.iter().map(document).collect();
        let stratum = Stratum { documents: 1, sampled: 1 };
        PageData { documents, strata: [("kept".to_owned(), stratum)].into(), ..PageData::default() }
    }

    #[test]
    fn no_text_ends_the_script_or_is_taken_for_a_part() {
        let page = render(&mut page_of(&["</script><script>alert(1)</script><!-- {{script}}"])).unwrap();
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("\\u003c/script>") && page.contains("{{script}}") && !page.contains("<!--"));
    }

    #[test]
    fn texts_are_cut_until_the_page_fits() {
        let long = "<é".repeat(10_000);
        let mut data = page_of(&[long.as_str(); 500]);
        let page = render(&mut data).unwrap();
        assert!(page.len() <= MAX_PAGE_BYTES && page.len() > MAX_PAGE_BYTES / 3, "{}", page.len());
        assert_eq!(data.max_text_chars, 10_000);
        assert_eq!((data.documents[0].text.chars().count(), data.documents[0].text_chars), (10_000, 20_000));
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = render(&mut page_of(&["text"])).unwrap();
        for outside in ["src=", "<link", "@import", "url(", "fetch(", "import("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
