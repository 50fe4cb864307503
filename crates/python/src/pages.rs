//! The main text and the metadata of pages.

use std::num::NonZero;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, ListArray, StringArray, StringViewArray};
use extract::{Format, Inclusion, Options};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arrow::ArrowTable;
use crate::error::{Error, chain, of_value, of_work};
use crate::inputs;
use crate::numbers;
use crate::parallel;
use crate::pickle::{Reduced, reduced};

/// What a page that is text says of its charset.
const UTF8: &str = "text/html; charset=utf-8";

/// The main text and the metadata of a page.
#[pyclass(frozen, module = "webtext", get_all)]
pub(crate) struct Page {
    /// Main text; empty where there is none.
    text: String,
    /// Title without the site's name.
    title: Option<String>,
    /// All authors.
    authors: Vec<String>,
    /// Day of publication as YYYY-MM-DD.
    date: Option<String>,
    /// Language that the page declares.
    language: Option<String>,
    /// URL that was given.
    url: Option<String>,
    /// URL that the page gives as its own.
    canonical_url: Option<String>,
    /// What the page says of its site, a line each.
    site: Option<String>,
    /// `<meta name="generator">`.
    generator: Option<String>,
    /// article, forum, product, documentation, listing or other.
    kind: String,
    /// Charset by which bytes were decoded.
    charset: String,
    /// Whether the page asks not to be used for training.
    opted_out: bool,
    /// U+FFFD in the text.
    replacement_characters: u64,
}

impl Page {
    fn of(page: extract::Page, url: Option<String>) -> Page {
        let extract::Page { text, head, kind, charset, replacement_characters, .. } = page;
        Page {
            text,
            title: head.title,
            authors: head.authors,
            date: head.date,
            language: head.language,
            url,
            canonical_url: head.canonical_url,
            site: head.site,
            generator: head.generator,
            kind: kind.name().to_owned(),
            charset: charset.to_owned(),
            opted_out: head.opted_out,
            replacement_characters,
        }
    }
}

#[pymethods]
impl Page {
    /// All fields by name.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fields = PyDict::new(py);
        fields.set_item("text", &self.text)?;
        fields.set_item("title", &self.title)?;
        fields.set_item("authors", &self.authors)?;
        fields.set_item("date", &self.date)?;
        fields.set_item("language", &self.language)?;
        fields.set_item("url", &self.url)?;
        fields.set_item("canonical_url", &self.canonical_url)?;
        fields.set_item("site", &self.site)?;
        fields.set_item("generator", &self.generator)?;
        fields.set_item("kind", &self.kind)?;
        fields.set_item("charset", &self.charset)?;
        fields.set_item("opted_out", self.opted_out)?;
        fields.set_item("replacement_characters", self.replacement_characters)?;
        Ok(fields)
    }

    /// A page of these fields.
    #[staticmethod]
    fn _of(fields: &Bound<'_, PyDict>) -> PyResult<Page> {
        let field = |name: &str| fields.as_any().get_item(name);
        Ok(Page {
            text: field("text")?.extract()?,
            title: field("title")?.extract()?,
            authors: field("authors")?.extract()?,
            date: field("date")?.extract()?,
            language: field("language")?.extract()?,
            url: field("url")?.extract()?,
            canonical_url: field("canonical_url")?.extract()?,
            site: field("site")?.extract()?,
            generator: field("generator")?.extract()?,
            kind: field("kind")?.extract()?,
            charset: field("charset")?.extract()?,
            opted_out: field("opted_out")?.extract()?,
            replacement_characters: field("replacement_characters")?.extract()?,
        })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        reduced(py, "page", (self.to_dict(py)?,))
    }

    fn __str__(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        let characters = user_error::count(self.text.chars().count() as u64, "character");
        format!("<webtext.Page {:?}: {} of {characters}>", self.title, self.kind)
    }
}

/// The options of all functions here, by trafilatura's names.
fn options(comments: bool, title: bool, format: &str, max_nodes: usize, max_depth: u32) -> PyResult<Options> {
    let inclusion = |included| if included { Inclusion::Keep } else { Inclusion::Drop };
    let mut options = Options::default();
    (options.comments, options.title) = (inclusion(comments), inclusion(title));
    (options.max_nodes, options.max_depth) = (max_nodes, max_depth);
    options.format = match format {
        "text" | "txt" => Format::Text,
        "markdown" => Format::Markdown,
        other => return Err(of_value(format!("output_format = {other:?}; it is \"text\" or \"markdown\""))),
    };
    Ok(options)
}

/// The main text and the metadata of a page.
#[pyfunction(name = "extract")]
#[pyo3(signature = (html, url=None, content_type=None, *, include_comments=false, include_title=true,
    output_format="text", max_nodes=1_000_000, max_depth=512))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn extract_page(
    html: &Bound<'_, PyAny>,
    url: Option<String>,
    content_type: Option<String>,
    include_comments: bool,
    include_title: bool,
    output_format: &str,
    #[pyo3(from_py_with = numbers::max_nodes)] max_nodes: usize,
    #[pyo3(from_py_with = numbers::max_depth)] max_depth: u32,
) -> PyResult<Page> {
    let options = options(include_comments, include_title, output_format, max_nodes, max_depth)?;
    let held = inputs::pages(PyList::new(html.py(), [html])?.as_any())?;
    let (bytes, is_text) = held.pages()?[0];
    let content_type = if is_text { Some(UTF8) } else { content_type.as_deref() };
    let page = html.py().detach(|| extract::extract(bytes, content_type, &options));
    Ok(Page::of(page.map_err(|error| of_work(&error))?, url))
}

/// The text of a page's bytes, decoded by the charset that they are in.
#[pyfunction]
#[pyo3(signature = (html, content_type=None))]
pub(crate) fn decode_html(py: Python<'_>, html: &[u8], content_type: Option<&str>) -> String {
    py.detach(|| extract::charset::decode(html, content_type).text.into_owned())
}

/// The pages in order; those that pass a limit with the reason.
fn extract_all(
    html: &Bound<'_, PyAny>,
    content_types: Option<&Bound<'_, PyAny>>,
    options: &Options,
    threads: Option<NonZero<usize>>,
) -> PyResult<Vec<Result<extract::Page, extract::ExtractError>>> {
    let held = inputs::pages(html)?;
    let pages = held.pages()?;
    let content_types = inputs::of_each(content_types, pages.len(), "page", "content_types")?;
    let items: Vec<(&[u8], Option<&str>)> = std::iter::zip(pages, &content_types)
        .map(|((bytes, is_text), of_page)| (bytes, if is_text { Some(UTF8) } else { of_page.as_deref() }))
        .collect();
    let extract = |&(bytes, content_type): &(&[u8], Option<&str>)| extract::extract(bytes, content_type, options);
    parallel::map(html.py(), &items, parallel::threads(threads), extract)
}

/// The main text and the metadata of each page.
#[pyfunction]
#[pyo3(signature = (html, urls=None, content_types=None, *, include_comments=false, include_title=true,
    output_format="text", max_nodes=1_000_000, max_depth=512, threads=None))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn extract_batch(
    html: &Bound<'_, PyAny>,
    urls: Option<&Bound<'_, PyAny>>,
    content_types: Option<&Bound<'_, PyAny>>,
    include_comments: bool,
    include_title: bool,
    output_format: &str,
    #[pyo3(from_py_with = numbers::max_nodes)] max_nodes: usize,
    #[pyo3(from_py_with = numbers::max_depth)] max_depth: u32,
    #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
) -> PyResult<Vec<Page>> {
    let options = options(include_comments, include_title, output_format, max_nodes, max_depth)?;
    let pages = extract_all(html, content_types, &options, threads)?;
    let urls = inputs::of_each(urls, pages.len(), "page", "urls")?;
    let page = |(number, (page, url)): (usize, (Result<extract::Page, extract::ExtractError>, Option<String>))| {
        let named = |error: &extract::ExtractError| {
            let which = url.as_deref().map(|url| format!(", {url}")).unwrap_or_default();
            let hint = "hint: extract_batch_arrow gives the other pages, with the reason in a column";
            Error::new_err(format!("page {number}{which}: {}\n{hint}", chain(error)))
        };
        page.map_err(|error| named(&error)).map(|page| Page::of(page, url.clone()))
    };
    std::iter::zip(pages, urls).enumerate().map(page).collect()
}

/// The main text and the metadata of each page as an Arrow table.
#[pyfunction]
#[pyo3(signature = (html, urls=None, content_types=None, *, include_comments=false, include_title=true,
    output_format="text", max_nodes=1_000_000, max_depth=512, threads=None))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn extract_batch_arrow(
    html: &Bound<'_, PyAny>,
    urls: Option<&Bound<'_, PyAny>>,
    content_types: Option<&Bound<'_, PyAny>>,
    include_comments: bool,
    include_title: bool,
    output_format: &str,
    #[pyo3(from_py_with = numbers::max_nodes)] max_nodes: usize,
    #[pyo3(from_py_with = numbers::max_depth)] max_depth: u32,
    #[pyo3(from_py_with = numbers::threads)] threads: Option<NonZero<usize>>,
) -> PyResult<ArrowTable> {
    let options = options(include_comments, include_title, output_format, max_nodes, max_depth)?;
    let pages = extract_all(html, content_types, &options, threads)?;
    let urls = inputs::of_each(urls, pages.len(), "page", "urls")?;
    Ok(html.py().detach(|| table(&pages, urls)))
}

fn table(pages: &[Result<extract::Page, extract::ExtractError>], urls: Vec<Option<String>>) -> ArrowTable {
    let of = |value: fn(&extract::Page) -> Option<&str>| -> ArrayRef {
        let values = pages.iter().map(|page| page.as_ref().ok().and_then(value));
        Arc::new(values.collect::<StringArray>())
    };
    // Views: the texts of a batch may have more bytes than 32-bit offsets reach.
    let texts = pages.iter().map(|page| page.as_ref().ok().map(|page| page.text.as_str()));
    let opted_out = pages.iter().map(|page| page.as_ref().ok().map(|page| page.head.opted_out));
    let errors = pages.iter().map(|page| page.as_ref().err().map(|error| chain(error)));
    ArrowTable::new(vec![
        ("text", Arc::new(texts.collect::<StringViewArray>())),
        ("title", of(|page| page.head.title.as_deref())),
        ("authors", Arc::new(authors(pages))),
        ("date", of(|page| page.head.date.as_deref())),
        ("language", of(|page| page.head.language.as_deref())),
        ("url", Arc::new(StringArray::from(urls))),
        ("canonical_url", of(|page| page.head.canonical_url.as_deref())),
        ("site", of(|page| page.head.site.as_deref())),
        ("generator", of(|page| page.head.generator.as_deref())),
        ("kind", of(|page| Some(page.kind.name()))),
        ("charset", of(|page| Some(page.charset))),
        ("opted_out", Arc::new(opted_out.collect::<BooleanArray>())),
        ("error", Arc::new(errors.collect::<StringArray>())),
    ])
}

fn authors(pages: &[Result<extract::Page, extract::ExtractError>]) -> ListArray {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for page in pages {
        match page {
            Ok(page) => lists.append_value(page.head.authors.iter().map(Some)),
            Err(_) => lists.append_null(),
        }
    }
    lists.finish()
}
