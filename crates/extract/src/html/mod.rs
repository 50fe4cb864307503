//! An HTML parser that keeps no strings: a page's tree as one vector of plain indices into its source.
//!
//! It follows the parsing section of the HTML standard, tokenization and tree construction, and is tested against the
//! html5lib vectors and against scraper's tree (html5ever's parser) of real pages. Each module uses those before it:
//! `names` has tags and attributes as numbers; `tree` the result; `token` what the tokenizer passes to the builder;
//! `builder` the stack of open elements; `foreign` SVG and MathML; `modes` the insertion modes in the standard's order;
//! `tokenizer` cuts the source into tags, text and comments.
//!
//! Left out: fragments (`innerHTML`), scripts that write into the page, parse errors, copies of `<option>` in
//! `<selectedcontent>`, and a head's `<noscript>`: there scripting counts as on. In the body the caller decides, since
//! some sites put their whole text into it. It ends at `</noscript`, as in browsers with scripts: nothing that is left
//! open in it affects the rest of the page.

mod builder;
mod doctype;
mod foreign;
mod modes;
mod names;
mod token;
mod tokenizer;
mod tree;

use std::borrow::Cow;

pub(crate) use names::tags;
pub use names::{AttributeName, Name, NameSet, Namespace, attribute, tag};
pub use tree::{NONE, Node, NodeId, ROOT, Tree};

use tree::OWN;

/// How a page is parsed, and within which limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseOptions {
    /// Maximum number of nodes. Default: 1,000,000.
    pub max_nodes: usize,
    /// Deepest nesting, in elements. Deeper elements are put after their parent instead of into it, as in browsers.
    /// Default: 512, as in browsers.
    pub max_depth: usize,
    /// Whether scripting counts as on: then the contents of `<noscript>` in the body are text, not markup. Default:
    /// off.
    pub scripting: bool,
}

impl Default for ParseOptions {
    fn default() -> ParseOptions {
        ParseOptions { max_nodes: 1_000_000, max_depth: 512, scripting: false }
    }
}

/// The limit that a page exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// More nodes than [`ParseOptions::max_nodes`].
    #[error("the page has more than {0} nodes")]
    TooManyNodes(usize),
    /// More bytes than 31 bits can count: places in the source are kept in 32.
    #[error("the page has 2 GiB or more")]
    TooLarge,
}

/// Parses a page whose lines end in `\n` ([`with_plain_newlines`]).
///
/// Time is linear in the bytes for real pages; memory is 32 bytes per node and 20 per attribute. White space, comments
/// and hidden elements are nodes too.
///
/// ```
/// use extract::html::{self, ROOT, tag};
///
/// let tree = html::parse("<p>One<p>Two", html::ParseOptions::default())?;
/// let paragraphs = tree.preorder(ROOT).filter(|&id| tree.name(id) == tag::P);
/// let texts: Vec<&str> = paragraphs.flat_map(|p| tree.children(p)).map(|id| tree.text(id)).collect();
/// assert_eq!(texts, ["One", "Two"]);
/// # Ok::<(), html::ParseError>(())
/// ```
///
/// # Errors
/// As soon as the page passes a limit of `options`.
pub fn parse(source: &str, options: ParseOptions) -> Result<Tree<'_>, ParseError> {
    if source.len() >= OWN as usize {
        return Err(ParseError::TooLarge);
    }
    tokenizer::Tokenizer::new(source, options).run()
}

/// A doctype as the vectors of html5lib write it, from its text.
pub fn doctype_as_written(text: &str) -> String {
    let doctype = doctype::parse(text, true);
    match (doctype.public, doctype.system) {
        (None, None) => format!("<!DOCTYPE {}>", doctype.name),
        (public, system) => {
            format!("<!DOCTYPE {} \"{}\" \"{}\">", doctype.name, public.unwrap_or_default(), system.unwrap_or_default())
        }
    }
}

/// The source with `\r
/// ` and `\r` replaced by `
/// `, the first step of the standard.
pub fn with_plain_newlines(source: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr(b'\r', source.as_bytes()).is_none() {
        return source;
    }
    let mut plain = String::with_capacity(source.len());
    let mut rest = &*source;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        plain.push('\n');
        rest = rest[at + 1..].strip_prefix('\n').unwrap_or(&rest[at + 1..]);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests;
