//! Parses a doctype, which decides whether a page is in quirks mode.

/// Public identifiers whose pages are quirky, whatever follows, in lower case.
const QUIRKY_PREFIXES: &[&str] = &[
    "+//silmaril//dtd html pro v0r11 19970101//",
    "-//as//dtd html 3.0 aswedit + extensions//",
    "-//advasoft ltd//dtd html 3.0 aswedit + extensions//",
    "-//ietf//dtd html 2.0 level 1//",
    "-//ietf//dtd html 2.0 level 2//",
    "-//ietf//dtd html 2.0 strict level 1//",
    "-//ietf//dtd html 2.0 strict level 2//",
    "-//ietf//dtd html 2.0 strict//",
    "-//ietf//dtd html 2.0//",
    "-//ietf//dtd html 2.1e//",
    "-//ietf//dtd html 3.0//",
    "-//ietf//dtd html 3.2 final//",
    "-//ietf//dtd html 3.2//",
    "-//ietf//dtd html 3//",
    "-//ietf//dtd html level 0//",
    "-//ietf//dtd html level 1//",
    "-//ietf//dtd html level 2//",
    "-//ietf//dtd html level 3//",
    "-//ietf//dtd html strict level 0//",
    "-//ietf//dtd html strict level 1//",
    "-//ietf//dtd html strict level 2//",
    "-//ietf//dtd html strict level 3//",
    "-//ietf//dtd html strict//",
    "-//ietf//dtd html//",
    "-//metrius//dtd metrius presentational//",
    "-//microsoft//dtd internet explorer 2.0 html strict//",
    "-//microsoft//dtd internet explorer 2.0 html//",
    "-//microsoft//dtd internet explorer 2.0 tables//",
    "-//microsoft//dtd internet explorer 3.0 html strict//",
    "-//microsoft//dtd internet explorer 3.0 html//",
    "-//microsoft//dtd internet explorer 3.0 tables//",
    "-//netscape comm. corp.//dtd html//",
    "-//netscape comm. corp.//dtd strict html//",
    "-//o'reilly and associates//dtd html 2.0//",
    "-//o'reilly and associates//dtd html extended 1.0//",
    "-//o'reilly and associates//dtd html extended relaxed 1.0//",
    "-//sq//dtd html 2.0 hotmetal + extensions//",
    "-//softquad software//dtd hotmetal pro 6.0::19990601::extensions to html 4.0//",
    "-//softquad//dtd hotmetal pro 4.0::19971010::extensions to html 4.0//",
    "-//spyglass//dtd html 2.0 extended//",
    "-//sun microsystems corp.//dtd hotjava html//",
    "-//sun microsystems corp.//dtd hotjava strict html//",
    "-//w3c//dtd html 3 1995-03-24//",
    "-//w3c//dtd html 3.2 draft//",
    "-//w3c//dtd html 3.2 final//",
    "-//w3c//dtd html 3.2//",
    "-//w3c//dtd html 3.2s draft//",
    "-//w3c//dtd html 4.0 frameset//",
    "-//w3c//dtd html 4.0 transitional//",
    "-//w3c//dtd html experimental 19960712//",
    "-//w3c//dtd html experimental 970421//",
    "-//w3c//dtd w3 html//",
    "-//w3o//dtd w3 html 3.0//",
    "-//webtechs//dtd mozilla html 2.0//",
    "-//webtechs//dtd mozilla html//",
];

/// Public identifiers that are quirky if they are equal to one of these.
const QUIRKY: &[&str] = &["-//w3o//dtd w3 html strict 3.0//en//", "-/w3c/dtd html 4.0 transitional/en", "html"];

/// Public identifiers that are quirky without a system identifier.
const QUIRKY_ALONE: &[&str] = &["-//w3c//dtd html 4.01 frameset//", "-//w3c//dtd html 4.01 transitional//"];

/// The parts of a doctype.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Doctype {
    pub(super) name: String,
    pub(super) public: Option<String>,
    pub(super) system: Option<String>,
    /// Whether it has a syntax error.
    broken: bool,
}

/// Parses the text between `<!doctype` and `>`.
pub(super) fn parse(text: &str, closed: bool) -> Doctype {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0c');
    let text = text.trim_start_matches(blank);
    let (name, rest) = text.split_at(text.find(blank).unwrap_or(text.len()));
    let mut doctype = Doctype { name: name.to_ascii_lowercase().replace('\0', "\u{fffd}"), ..Doctype::default() };
    doctype.broken = name.is_empty() || !closed;
    let rest = rest.trim_start_matches(blank);
    let keyword = rest.get(..6).unwrap_or("").to_ascii_lowercase();
    match keyword.as_str() {
        "public" => {
            let rest = doctype.identifier(&rest[6..], |doctype| &mut doctype.public);
            if !rest.trim_start_matches(blank).is_empty() {
                doctype.identifier(rest, |doctype| &mut doctype.system);
            }
        }
        "system" => {
            doctype.identifier(&rest[6..], |doctype| &mut doctype.system);
        }
        _ => doctype.broken |= !rest.is_empty(),
    }
    doctype
}

impl Doctype {
    /// A quoted identifier; returns the rest.
    fn identifier<'t>(&mut self, text: &'t str, part: fn(&mut Doctype) -> &mut Option<String>) -> &'t str {
        let text = text.trim_start_matches([' ', '\t', '\n', '\x0c']);
        let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            self.broken = true;
            return "";
        };
        let inside = &text[1..];
        let len = inside.find(quote);
        self.broken |= len.is_none();
        let len = len.unwrap_or(inside.len());
        *part(self) = Some(inside[..len].replace('\0', "\u{fffd}"));
        inside.get(len + 1..).unwrap_or("")
    }
}

/// Whether the page is in quirks mode, where a table does not end a paragraph.
pub(super) fn is_quirky(text: &str, closed: bool) -> bool {
    let doctype = parse(text, closed);
    let public = doctype.public.as_deref().unwrap_or("").to_ascii_lowercase();
    let system = doctype.system.as_deref().map(str::to_ascii_lowercase);
    doctype.broken
        || doctype.name != "html"
        || QUIRKY.contains(&public.as_str())
        || QUIRKY_PREFIXES.iter().any(|prefix| public.starts_with(prefix))
        || (system.is_none() && QUIRKY_ALONE.iter().any(|prefix| public.starts_with(prefix)))
        || system.as_deref() == Some("http://www.ibm.com/data/dtd/v11/ibmxhtml1-transitional.dtd")
}
