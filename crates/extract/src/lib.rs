#![doc = include_str!("../README.md")]
//!
//! # Steps
//!
//! Each is a module: [`charset`] decodes; [`html`] builds the standard's tree, within limits; [`blocks`] cuts it into
//! paragraphs, headings, items and cells; [`features`] describes each block by its text, its containers, its neighbours
//! and its page; [`model`] gives the probability that it is main text; [`select`] decides; `print` writes lines or
//! Markdown; [`head`] reads title, author, date and opt-outs; [`explain`] shows the decision for each block. Features
//! that are not whole numbers are computed by IEEE 754 arithmetic alone.

mod article_body;
pub mod blocks;
pub mod boilerplate;
pub mod charset;
pub mod class_words;
pub mod explain;
pub mod features;
pub mod forest;
pub mod head;
pub mod html;
pub mod labels;
pub mod lexicon;
pub mod model;
mod print;
pub mod select;
mod votes;
mod word_table;

use std::ops::Range;

pub use charset::{Charset, Decoded};
pub use head::Head;

use blocks::{BlockKind, Blocks};
use features::PageContext;
use html::{ParseError, ParseOptions, Tree};
use select::BlockReason;

/// Whether something is part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inclusion {
    /// It is kept.
    Keep,
    /// It is left out.
    Drop,
}

/// How the text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Paragraphs separated by blank lines, list items as `- ` lines indented by depth, cells of a row separated
    /// by ` | `, preformatted text as it stands.
    Text,
    /// Markdown: headings, lists with their numbers, quotes, tables, fenced code.
    Markdown,
}

/// Which parts are main text, the output format, and limits on the page.
///
/// ```
/// let mut options = extract::Options::default();
/// options.format = extract::Format::Markdown;
/// let html = b"<title>Moss</title><h1>Moss</h1><p>Moss grows slowly, and on stone. It has no roots.</p>";
/// let page = extract::extract(html, None, &options)?;
/// assert_eq!(page.text, "# Moss\n\nMoss grows slowly, and on stone. It has no roots.");
/// # Ok::<(), extract::ExtractError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Readers' comments below an article. Default: drop. The posts of a forum are its main text.
    pub comments: Inclusion,
    /// The heading that repeats the page's title. Default: keep.
    pub title: Inclusion,
    /// Output format. Default: text.
    pub format: Format,
    /// The charset that pages are in, whatever they and their bytes say. Default: by evidence ([`charset::decode`]).
    pub charset: Option<Charset>,
    /// Largest page in bytes, before decoding. Default: 64 MiB.
    pub max_bytes: usize,
    /// Maximum number of nodes of a page's tree. Default: 1,000,000.
    pub max_nodes: usize,
    /// Deepest nesting of a page's tree, in elements; deeper elements are flattened. Default: 512, as in browsers.
    pub max_depth: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            comments: Inclusion::Drop,
            title: Inclusion::Keep,
            format: Format::Text,
            charset: None,
            max_bytes: 64 << 20,
            max_nodes: 1_000_000,
            max_depth: 512,
        }
    }
}

/// The kind of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageKind {
    /// One text: news, a blog entry, an encyclopedia's entry.
    Article,
    /// Posts of several people: forums, questions and answers.
    Forum,
    /// Something for sale.
    Product,
    /// A manual or a reference.
    Documentation,
    /// Many entries with a line or two each.
    Listing,
    /// None of these: services, institutions, front pages.
    #[default]
    Other,
}

impl PageKind {
    /// All kinds, in the order of the model's forests.
    pub const ALL: [PageKind; 6] = [
        PageKind::Article,
        PageKind::Forum,
        PageKind::Product,
        PageKind::Documentation,
        PageKind::Listing,
        PageKind::Other,
    ];

    /// The name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            PageKind::Article => "article",
            PageKind::Forum => "forum",
            PageKind::Product => "product",
            PageKind::Documentation => "documentation",
            PageKind::Listing => "listing",
            PageKind::Other => "other",
        }
    }
}

/// The text and metadata of a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Main text, written as [`Options::format`] says. Empty when there is none.
    pub text: String,
    /// The blocks of the text, in order.
    pub parts: Vec<Part>,
    /// Metadata.
    pub head: Head,
    /// The kind of the page.
    pub kind: PageKind,
    /// Name of the charset that the bytes were decoded with.
    pub charset: &'static str,
    /// U+FFFD in the text, for bytes that are invalid in the charset.
    pub replacement_characters: u64,
}

/// A block of a page's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its kind.
    pub kind: BlockKind,
    /// Its place in [`Page::text`], in bytes, without list marks and indents.
    pub range: Range<usize>,
    /// Where its first text begins in the page as UTF-8 with plain line feeds, in bytes.
    pub source_offset: usize,
    /// Probability that it is main text, by the model, 0 to 1.
    pub probability: f32,
}

/// Why a page could not be read: it exceeds a limit of [`Options`], or is in UTF-32. No content is an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The page has more bytes than [`Options::max_bytes`].
    #[error("the page has more than {0} bytes")]
    TooLarge(usize),
    /// The page is in UTF-32, which is no charset of the web.
    #[error("the page is in UTF-32, which is no charset of the web; convert it to UTF-8")]
    Utf32,
    /// The page's tree passes a limit.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// Extracts the main text of a page.
///
/// `content_type` is the HTTP header's value, whose charset takes precedence over that of the page. Time is linear in
/// the bytes for real pages; memory some 32 bytes per node, 1 kB per block, and the text.
///
/// ```
/// let html = b"<title>Moss</title><nav><a href=/>Home</a></nav><article><p>Moss grows slowly, and on stone. It has
///     no roots, and what it drinks it takes out of the air, with the leaves that it has.</p></article>";
/// let page = extract::extract(html, Some("text/html; charset=utf-8"), &extract::Options::default())?;
/// assert!(page.text.starts_with("Moss grows slowly, and on stone."));
/// assert_eq!(page.head.title.as_deref(), Some("Moss"));
/// # Ok::<(), extract::ExtractError>(())
/// ```
///
/// # Errors
/// When the page passes a limit of `options`, or is in UTF-32.
pub fn extract(html: &[u8], content_type: Option<&str>, options: &Options) -> Result<Page, ExtractError> {
    with_analysis(html, content_type, options, |analysis| analysis.page(options))
}

/// Everything known of a page's blocks, before and after the decision.
pub struct Analysis<'a> {
    /// The tree.
    pub tree: &'a Tree<'a>,
    /// Metadata.
    pub head: &'a Head,
    /// The blocks.
    pub blocks: &'a Blocks,
    /// Probability of each block.
    pub probabilities: &'a [f32],
    /// Reason of each block.
    pub reasons: &'a [BlockReason],
    /// The kind of the page.
    pub kind: PageKind,
    /// The encoding by which the page was read.
    pub charset: &'static str,
}

/// Analyses a page and passes the analysis to a callback, for explanations.
///
/// # Errors
/// When the page passes a limit of `options`, or is in UTF-32.
pub fn with_analysis<T>(
    html: &[u8],
    content_type: Option<&str>,
    options: &Options,
    see: impl FnOnce(&Analysis) -> T,
) -> Result<T, ExtractError> {
    if html.len() > options.max_bytes {
        return Err(ExtractError::TooLarge(options.max_bytes));
    }
    if charset::is_utf32(html) {
        return Err(ExtractError::Utf32);
    }
    let decoded = match options.charset {
        Some(charset) => charset.decode(html),
        None => charset::decode(html, content_type),
    };
    let source = html::with_plain_newlines(decoded.text);
    let parse_options =
        ParseOptions { max_nodes: options.max_nodes, max_depth: options.max_depth as usize, scripting: false };
    let tree = html::parse(&source, parse_options)?;
    let head = head::head(&tree);
    let blocks = blocks::blocks(&tree);
    let context = PageContext::new(&tree, &head, &blocks, model::lexicon());
    let kind = model::page_kind(&context);
    let probabilities = model::probabilities(&context, &blocks, &kind);
    let kind = kind.kind();
    let reasons = select::select(&context, &blocks, &probabilities, kind, options);
    let (probabilities, reasons) = (&probabilities[..], &reasons[..]);
    Ok(see(&Analysis {
        tree: &tree,
        head: &head,
        blocks: &blocks,
        probabilities,
        reasons,
        kind,
        charset: decoded.charset,
    }))
}

impl Analysis<'_> {
    /// The page as [`extract`] gives it.
    pub fn page(&self, options: &Options) -> Page {
        let kept: Vec<usize> = (0..self.reasons.len()).filter(|&number| self.reasons[number].is_kept()).collect();
        if let Some(body) = self.linked_body(&kept, options) {
            return self.page_of_body(&body, options);
        }
        let (text, ranges) = print::print(self.blocks, &kept, options.format);
        let part = |(&number, range): (&usize, Range<usize>)| {
            let block = &self.blocks.blocks[number];
            Part {
                kind: block.kind,
                range,
                source_offset: self.tree.source_offset(block.first),
                probability: self.probabilities[number],
            }
        };
        self.with_text(kept.iter().zip(ranges).map(part).collect(), text)
    }

    /// The text in the linked data, where the page has no other.
    fn linked_body(&self, kept: &[usize], options: &Options) -> Option<Blocks> {
        let body = self.head.article_body.as_ref()?;
        let is_title = |&number: &usize| self.reasons[number] == BlockReason::Title;
        let own = kept.iter().filter(|number| !is_title(number)).map(|&number| self.blocks.blocks[number].words).sum();
        // Where nothing was kept, neither was the heading.
        let title = self.head.title.as_deref().filter(|_| options.title == Inclusion::Keep);
        let is_heading = |block: &&blocks::Block| {
            matches!(block.kind, BlockKind::Heading(_)) && Some(self.blocks.text_of(block)) == title
        };
        let heading = self.blocks.blocks.iter().find(is_heading).map(|block| self.blocks.text_of(block));
        article_body::stand_in(body, heading, own)
    }

    fn page_of_body(&self, body: &Blocks, options: &Options) -> Page {
        let all: Vec<usize> = (0..body.blocks.len()).collect();
        let (text, ranges) = print::print(body, &all, options.format);
        let source_offset = memchr::memmem::find(self.tree.source().as_bytes(), b"\"articleBody\"").unwrap_or(0);
        let part = |(block, range): (&blocks::Block, Range<usize>)| Part {
            kind: block.kind,
            range,
            source_offset,
            probability: 1.0,
        };
        self.with_text(body.blocks.iter().zip(ranges).map(part).collect(), text)
    }

    fn with_text(&self, parts: Vec<Part>, text: String) -> Page {
        Page {
            parts,
            replacement_characters: text.chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count() as u64,
            text,
            head: self.head.clone(),
            kind: self.kind,
            charset: self.charset,
        }
    }
}
