//! HTML bytes → main text, title and hints.
//!
//! The steps, each in its module: [`charset`] decodes as browsers do; `tree` keeps what html5ever
//! builds in one vector of plain indices, under a budget of nodes and depth; `blocks` weighs every
//! element's own text against its links; `main_text` walks down to the element that holds the main
//! text and writes its blocks as lines.
//!
//! Left out: executing scripts, visual layout, any learned model, any rule that names a site, and any
//! limit by the clock. The same bytes give the same text on every machine.

mod blocks;
pub mod charset;
mod main_text;
mod tree;

pub use charset::Decoded;

/// What a page is read with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Keep readers' comments below an article. Default: no.
    pub keep_comments: bool,
    /// Most nodes of a page's tree. Default: 1,000,000.
    pub nodes_max: usize,
    /// Deepest nesting of a page's tree. Default: 2,048 (browsers flatten at 512).
    pub depth_max: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { keep_comments: false, nodes_max: 1_000_000, depth_max: 2_048 }
    }
}

/// What was found on a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Main text. Paragraphs are separated by blank lines, list items begin with `- `, table cells are
    /// separated by ` | `, preformatted text keeps its lines. Empty when there is none.
    pub text: String,
    /// `og:title`, else the `<title>`.
    pub title: Option<String>,
    /// The `lang` attribute of `<html>`.
    pub language: Option<String>,
    /// `<link rel="canonical">`.
    pub canonical_url: Option<String>,
    /// `<meta name="generator">`.
    pub generator: Option<String>,
    /// The page's robots meta tag carries `noai` or `noimageai`.
    pub opted_out: bool,
    /// Name of the charset that the bytes were decoded with.
    pub charset: &'static str,
}

/// Why a page could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The tree nests deeper than the limit.
    #[error("the page nests deeper than {0} elements")]
    TooDeep(u32),
    /// The tree has more nodes than the limit.
    #[error("the page has more than {0} nodes")]
    TooManyNodes(usize),
    /// A tag has more attributes than any page needs.
    #[error("a tag has more than {0} attributes")]
    TooManyAttributes(usize),
}

/// Extracts the main text of a page.
///
/// `content_type` is the HTTP header's value, whose charset goes before what the page says of itself.
/// Time is linear in the bytes for real pages; memory some 100 bytes a node and the text.
///
/// ```
/// let html = b"<title>Moss</title><nav><a href=/>Home</a></nav><p>Moss grows slowly, and on stone.</p>";
/// let page = extract::extract(html, Some("text/html; charset=utf-8"), &extract::Options::default())?;
/// assert_eq!(page.text, "Moss grows slowly, and on stone.");
/// assert_eq!(page.title.as_deref(), Some("Moss"));
/// # Ok::<(), extract::ExtractError>(())
/// ```
///
/// # Errors
/// When the page's tree passes a limit of `options`.
pub fn extract(html: &[u8], content_type: Option<&str>, options: &Options) -> Result<Page, ExtractError> {
    let decoded = charset::decode(html, content_type);
    let tree = tree::Tree::parse(&decoded.text, options)?;
    let mut page = main_text::head(&tree);
    page.charset = decoded.charset;
    page.text = main_text::main_text(&tree, options);
    Ok(page)
}
