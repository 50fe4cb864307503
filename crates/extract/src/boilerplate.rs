//! Lines inside or beside a text that are certain not to be part of it, whatever the model makes of them: notices about
//! cookies, lines of dates and names under a title, "read more" links, invitations to newsletters, tables of contents,
//! and the notes of encyclopedias around an entry.
//!
//! Each rule needs two kinds of evidence (its words and its place, or its class and its words), and each was measured on
//! the annotated sets before it was kept (docs/log.md).

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::blocks::{Block, BlockKind, Blocks};
use crate::features::PageContext;
use crate::head::is_line_of_dates;
use crate::html::{Name, NameSet, NodeId, Tree, attribute, tag, tags};

/// What a block is that is no part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Boilerplate {
    /// A notice about cookies.
    CookieNotice,
    /// When the text was published, and by whom.
    Dateline,
    /// A link to another text.
    ReadMore,
    /// An invitation to a newsletter.
    Newsletter,
    /// An entry of a table of contents, or its heading.
    Contents,
    /// References, and boxes around an entry of an encyclopedia.
    Apparatus,
}

impl Boilerplate {
    /// A description for people.
    pub fn describe(self) -> &'static str {
        match self {
            Boilerplate::CookieNotice => "a notice about cookies",
            Boilerplate::Dateline => "date or author",
            Boilerplate::ReadMore => "a link to another text",
            Boilerplate::Newsletter => "an invitation to a newsletter",
            Boilerplate::Contents => "a table of contents",
            Boilerplate::Apparatus => "references or a box",
        }
    }
}

/// Longest line of each kind, in words.
const MAX_DATELINE_WORDS: u32 = 16;
const MAX_READ_MORE_WORDS: u32 = 30;
const MAX_NEWSLETTER_WORDS: u32 = 40;
const MAX_NOTICE_WORDS: u32 = 90;
/// Entries that make a table of contents; fewer under a heading that names it.
const MIN_CONTENTS: usize = 3;
const MIN_NAMED_CONTENTS: usize = 2;
/// A paragraph of this weight is running text.
const LONG_WEIGHT: f32 = 18.0;

/// Finds the boilerplate among the kept blocks of a page.
pub(crate) fn find(context: &PageContext, page: &Blocks, is_kept: impl Fn(usize) -> bool) -> Vec<Option<Boilerplate>> {
    let marks = Marks::new(context.tree(), page);
    let title = context.title_block();
    let said_in_title = title.map(|title| page.text_of(&page.blocks[title]).to_lowercase()).unwrap_or_default();
    let mut found: Vec<Option<Boilerplate>> = vec![None; page.blocks.len()];
    let zone = zone_under_title(page, title);
    for (number, block) in page.blocks.iter().enumerate() {
        if title == Some(number) || !is_kept(number) {
            continue;
        }
        let line = Line::new(block, page.text_of(block), marks.of[block.container as usize]);
        found[number] = if line.is_cookie_notice(&said_in_title) {
            Some(Boilerplate::CookieNotice)
        } else if line.marks & APPARATUS != 0 {
            Some(Boilerplate::Apparatus)
        } else if zone.contains(&number) && line.is_dateline() {
            Some(Boilerplate::Dateline)
        } else if line.is_read_more() {
            Some(Boilerplate::ReadMore)
        } else if line.is_newsletter(&said_in_title) {
            Some(Boilerplate::Newsletter)
        } else {
            None
        };
    }
    mark_contents(context.tree(), page, &marks, &mut found);
    mark_headings_of_apparatus(page, &mut found);
    found
}

/// A block as the rules look at it.
struct Line<'a> {
    block: &'a Block,
    text: &'a str,
    /// In lower case; empty when it is too long for any rule.
    lower: String,
    /// What the containers around it say.
    marks: u8,
    said: Said,
}

impl<'a> Line<'a> {
    fn new(block: &'a Block, text: &'a str, marks: u8) -> Line<'a> {
        let lower = if block.words <= MAX_NOTICE_WORDS { text.to_lowercase() } else { String::new() };
        let said = Said::of(&lower);
        Line { block, text, lower, marks, said }
    }
}

/// Which groups of phrases occur in a text.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    uses_cookies: bool,
    agrees: bool,
    mail: bool,
}

impl Said {
    /// One pass over a text in lower case for all phrases.
    fn of(lower: &str) -> Said {
        const GROUPS: [&[&str]; 3] = [USES_COOKIES, AGREES, MAIL];
        static FIND: LazyLock<AhoCorasick> =
            LazyLock::new(|| AhoCorasick::new(GROUPS.concat()).expect("few and short phrases"));
        let mut said = Said::default();
        for phrase in FIND.find_overlapping_iter(lower).map(|found| found.pattern().as_usize()) {
            if phrase < USES_COOKIES.len() {
                said.uses_cookies = true;
            } else if phrase < USES_COOKIES.len() + AGREES.len() {
                said.agrees = true;
            } else {
                said.mail = true;
            }
        }
        said
    }
}

/// What the class, id or role of a container or one around it says.
const COOKIES: u8 = 1;
const APPARATUS: u8 = 2;
const CONTENTS: u8 = 4;
const SIGN_UP: u8 = 8;

struct Marks {
    /// By container.
    of: Vec<u8>,
}

impl Marks {
    fn new(tree: &Tree, page: &Blocks) -> Marks {
        let mut of: Vec<u8> = Vec::with_capacity(page.containers.len());
        for container in &page.containers {
            let outer = of.get(container.parent as usize).copied().unwrap_or(0);
            of.push(outer | own_marks(tree, container.node));
        }
        Marks { of }
    }
}

fn own_marks(tree: &Tree, id: NodeId) -> u8 {
    // The classes of these describe the page, or the text.
    const WHOLE: NameSet = tags![HTML BODY MAIN ARTICLE];
    if WHOLE.has(tree.name(id)) {
        return 0;
    }
    let mut marks = 0;
    for name in [attribute::CLASS, attribute::ID, attribute::ROLE] {
        let Some(value) = tree.raw_attribute(id, name).filter(|value| value.len() < 300) else { continue };
        if !FIND_NAMES.is_match(value) {
            continue;
        }
        for word in value.split_ascii_whitespace() {
            let word = word.to_ascii_lowercase();
            marks |= marks_of_word(&word);
            // The notes of MediaWiki; other pages name a section so that is their text.
            let is_notes = name == attribute::CLASS && tree.name(id) == tag::OL && word == "references";
            marks |= if is_notes { APPARATUS } else { 0 };
        }
    }
    marks
}

/// What is part of every name that [`marks_of_word`] knows.
const PARTS_OF_NAMES: [&str; 24] = [
    "hatnote",
    "sitesub",
    "navbox",
    "infobox",
    "catlinks",
    "printfooter",
    "dablink",
    "sistersitebox",
    "ambox",
    "references",
    "reflist",
    "sidebar-box",
    "toc",
    "contents",
    "cookie",
    "consent",
    "gdpr",
    "onetrust",
    "ccpa",
    "cmp",
    "newsletter",
    "signup",
    "sign-up",
    "subscribe",
];

static FIND_NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let names = AhoCorasick::builder().ascii_case_insensitive(true).build(PARTS_OF_NAMES);
    names.expect("few and short names")
});

fn marks_of_word(word: &str) -> u8 {
    match word {
        "hatnote" | "sitesub" | "navbox" | "infobox" | "catlinks" | "printfooter" | "dablink" | "sistersitebox"
        | "ambox" | "vertical-navbox" | "mw-references-wrap" | "reflist" | "sidebar-box" | "navbox-styles" => APPARATUS,
        "toc" | "doc-toc" | "contents" | "table-of-contents" | "tableofcontents" | "toctree" | "toc-container"
        | "ez-toc-container" | "toc_container" => CONTENTS,
        _ if is_notice_name(word) => COOKIES,
        _ if word.contains("newsletter")
            || word.contains("signup")
            || word.contains("sign-up")
            || word.contains("subscribe") =>
        {
            SIGN_UP
        }
        _ => 0,
    }
}

/// `cookie-banner`, `gdpr_notice`, `onetrust-consent-sdk`; not `cookies`, which may be what a section is about.
fn is_notice_name(word: &str) -> bool {
    const SUBJECTS: [&str; 6] = ["cookie", "consent", "gdpr", "onetrust", "ccpa", "cmp"];
    const FORMS: [&str; 18] = [
        "banner",
        "notice",
        "bar",
        "settings",
        "popup",
        "modal",
        "message",
        "law",
        "overlay",
        "notification",
        "disclaimer",
        "preference",
        "dialog",
        "prompt",
        "alert",
        "sdk",
        "wall",
        "consent",
    ];
    has_any(word, &SUBJECTS) && FORMS.iter().any(|form| word.contains(form))
}

fn has_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}

fn begins_with_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.strip_prefix(phrase).is_some_and(|rest| !rest.starts_with(char::is_alphabetic)))
}

/// What sites say of their cookies, in lower case.
const USES_COOKIES: &[&str] = &[
    "use cookies",
    "uses cookies",
    "using cookies",
    "use of cookies",
    "accept cookies",
    "accept all cookies",
    "necessary cookies",
    "optional cookies",
    "analytics cookies",
    "cookies to improve",
    "cookies to ensure",
    "cookie policy",
    "cookie settings",
    "cookies on your device",
    "verwendet cookies",
    "verwenden cookies",
    "nutzen cookies",
    "nutzt cookies",
    "utilise des cookies",
    "utilisons des cookies",
    "utilisation de cookies",
    "utiliza cookies",
    "utilizamos cookies",
    "usa cookies",
    "usamos cookies",
    "utilizza cookie",
    "utilizziamo cookie",
    "utilizziamo i cookie",
    "gebruikt cookies",
    "gebruiken cookies",
    "файлы cookie",
    "файлов cookie",
    "plików cookie",
    "pliki cookie",
    "soubory cookie",
    "använder cookies",
    "bruker cookies",
    "bruger cookies",
    "käyttää evästeitä",
    "çerez",
    "használ cookie",
    "sütik",
    "cookie-urile",
    "χρησιμοποιεί cookies",
    "cookieを使用",
    "クッキー",
    "使用 cookie",
    "使用cookie",
    "쿠키를",
];

/// How they go on, in lower case.
const AGREES: &[&str] = &[
    "you agree",
    "you accept",
    "you consent",
    "by clicking",
    "by continuing",
    "this website uses",
    "this site uses",
    "our website uses",
    "einverstanden",
    "acceptez",
    "aceptas",
    "acepta ",
    "accetti",
    "akkoord",
    "zgod",
    "соглашаетесь",
];

impl Line<'_> {
    fn is_cookie_notice(&self, title: &str) -> bool {
        if self.block.words > MAX_NOTICE_WORDS {
            return false;
        }
        let is_in_notice =
            || self.marks & COOKIES != 0 && (self.lower.contains("cookie") || self.block.weight < LONG_WEIGHT / 2.0);
        (self.said.uses_cookies && self.said.agrees || is_in_notice())
            && !has_any(title, &["cookie", "privacy", "gdpr"])
    }

    /// A line that has dates and labels of dates alone, or that begins with "by" and is no sentence.
    fn is_dateline(&self) -> bool {
        const NO_LINES: fn(BlockKind) -> bool =
            |kind| matches!(kind, BlockKind::Heading(_) | BlockKind::Cell { .. } | BlockKind::Preformatted);
        !NO_LINES(self.block.kind)
            && self.block.words <= MAX_DATELINE_WORDS
            && (is_line_of_dates(self.text)
                || begins_with_any(&self.lower, BY) && !crate::blocks::ends_like_sentence(self.text))
    }

    fn is_read_more(&self) -> bool {
        let is_line = !matches!(self.block.kind, BlockKind::Cell { .. } | BlockKind::Preformatted);
        if !is_line || self.block.words > MAX_READ_MORE_WORDS || self.block.link_density() < 0.4 {
            return false;
        }
        let lower = self.lower_from_letter();
        let rest =
            READ_MORE.iter().find_map(|phrase| lower.strip_prefix(phrase).map(|rest| (phrase, rest.trim_start())));
        rest.is_some_and(|(phrase, rest)| {
            // "Read more about tides." is a sentence of the text.
            let is_label = phrase.ends_with(':') || !rest.starts_with(char::is_alphanumeric);
            is_label || self.block.link_density() >= 0.9 && !crate::blocks::ends_like_sentence(self.text)
        })
    }

    fn is_newsletter(&self, title: &str) -> bool {
        self.block.words <= MAX_NEWSLETTER_WORDS
            && self.said.mail
            && (self.marks & SIGN_UP != 0 || begins_with_any(self.lower_from_letter(), ASKS))
            && !has_any(title, &["newsletter", "subscri"])
    }

    fn lower_from_letter(&self) -> &str {
        self.lower.trim_start_matches(|c: char| !c.is_alphabetic())
    }
}

/// The blocks between the title and the first running text.
fn zone_under_title(page: &Blocks, title: Option<usize>) -> std::ops::Range<usize> {
    let Some(title) = title else { return 0..0 };
    let long = page.blocks.iter().skip(title + 1).position(|block| block.weight >= LONG_WEIGHT);
    long.map_or(0..0, |long| title + 1..title + 1 + long)
}

/// How lines begin that name an author, in lower case.
const BY: &[&str] = &[
    "by",
    "written by",
    "posted by",
    "von",
    "par",
    "por",
    "door",
    "автор",
    "autor",
    "author",
    "words by",
    "reported by",
];

/// How lines begin that lead to another text, in lower case.
const READ_MORE: &[&str] = &[
    "read more",
    "read also",
    "also read",
    "read next",
    "read full",
    "more on this",
    "related:",
    "related article",
    "related story",
    "related stories",
    "recommended:",
    "see also:",
    "don't miss:",
    "don’t miss:",
    "you may also like",
    "up next",
    "watch:",
    "more:",
    "lire aussi",
    "à lire aussi",
    "à lire",
    "lire également",
    "voir aussi",
    "lesen sie auch",
    "lesen sie mehr",
    "lesen sie hier",
    "mehr zum thema",
    "lea también",
    "lee también",
    "leer más",
    "te puede interesar",
    "leia também",
    "leia mais",
    "veja também",
    "leggi anche",
    "lees ook",
    "lees meer",
    "читайте также",
    "читать также",
    "читайте ещё",
    "czytaj też",
    "czytaj także",
    "zobacz też",
    "zobacz także",
    "čtěte také",
    "přečtěte si",
    "läs också",
    "läs mer",
    "læs også",
    "les også",
    "lue myös",
    "διαβάστε επίσης",
    "διαβάστε ακόμη",
    "ayrıca okuyun",
    "olvassa el",
    "citește și",
    "citeşte şi",
    "baca juga",
    "xem thêm",
    "อ่านเพิ่มเติม",
    "关連記事",
    "関連記事",
    "相关阅读",
    "延伸阅读",
    "相關新聞",
    "관련기사",
    "اقرأ أيضا",
    "اقرأ أيضًا",
];

/// How invitations to newsletters begin, in lower case.
const ASKS: &[&str] = &[
    "sign up",
    "subscribe",
    "register",
    "get the best",
    "get our",
    "join our",
    "join the",
    "want more",
    "receive",
    "abonnieren sie",
    "melden sie sich",
    "newsletter abonnieren",
    "inscrivez-vous",
    "abonnez-vous",
    "recevez",
    "suscríbete",
    "suscríbase",
    "regístrate",
    "recibe",
    "assine",
    "inscreva-se",
    "receba",
    "iscriviti",
    "schrijf je in",
    "meld je aan",
    "подпишитесь",
    "подписывайтесь",
    "zapisz się",
    "prenumerera",
    "tilmeld",
];

/// What they say of where the newsletter goes.
const MAIL: &[&str] = &[
    "newsletter",
    "inbox",
    "by email",
    "your email",
    "email alerts",
    "mailing list",
    "posteingang",
    "boîte mail",
    "boîte de réception",
    "correo",
    "рассылк",
    "skrzynk",
];

/// Headings of tables of contents, in lower case.
const CONTENTS_NAMES: &[&str] = &[
    "contents",
    "table of contents",
    "on this page",
    "in this article",
    "jump to",
    "inhalt",
    "inhaltsverzeichnis",
    "sommaire",
    "table des matières",
    "contenido",
    "índice",
    "tabla de contenidos",
    "conteúdo",
    "sumário",
    "indice",
    "sommario",
    "inhoud",
    "inhoudsopgave",
    "содержание",
    "оглавление",
    "spis treści",
    "obsah",
    "innehåll",
    "indhold",
    "innhold",
    "sisällysluettelo",
    "sisällys",
    "içindekiler",
    "tartalom",
    "cuprins",
    "περιεχόμενα",
    "المحتويات",
    "目录",
    "目錄",
    "目次",
    "목차",
    "mục lục",
    "daftar isi",
    "สารบัญ",
];

fn is_contents_name(text: &str) -> bool {
    let text = text.trim().trim_end_matches(':').to_lowercase();
    let text = text.strip_suffix("[hide]").or_else(|| text.strip_suffix("hide")).unwrap_or(&text).trim();
    CONTENTS_NAMES.contains(&text)
}

/// Marks runs of links within the page, with the heading above them.
fn mark_contents(tree: &Tree, page: &Blocks, marks: &Marks, found: &mut [Option<Boilerplate>]) {
    let mut start = 0;
    while start < page.blocks.len() {
        let is_entry = |block: &&Block| is_contents_entry(tree, block);
        let len = page.blocks[start..].iter().take_while(is_entry).count();
        if len == 0 {
            start += 1;
            continue;
        }
        let has_name = start > 0 && is_contents_name(page.text_of(&page.blocks[start - 1]));
        let is_marked = marks.of[page.blocks[start].container as usize] & CONTENTS != 0;
        let min = if has_name || is_marked { MIN_NAMED_CONTENTS } else { MIN_CONTENTS };
        // Without a name, only a list: links within the page may be the page's own short answers.
        if len >= min && (has_name || is_marked) {
            found[start..start + len].fill(Some(Boilerplate::Contents));
            if has_name {
                found[start - 1] = Some(Boilerplate::Contents);
            }
        }
        start += len;
    }
}

/// Whether a block is a link to a place on this page, and nothing else.
fn is_contents_entry(tree: &Tree, block: &Block) -> bool {
    if block.link_density() < 0.8 || matches!(block.kind, BlockKind::Heading(_) | BlockKind::Preformatted) {
        return false;
    }
    let mut at = block.first;
    for _ in 0..6 {
        if tree.name(at) == tag::A {
            return tree.raw_attribute(at, attribute::HREF).is_some_and(|href| href.starts_with('#') && href.len() > 1);
        }
        at = tree.node(at).parent;
        if tree.name(at) == Name::DOCUMENT {
            return false;
        }
    }
    false
}

/// A heading under which there are references alone goes with them.
fn mark_headings_of_apparatus(page: &Blocks, found: &mut [Option<Boilerplate>]) {
    for number in 1..found.len() {
        let is_heading = matches!(page.blocks[number - 1].kind, BlockKind::Heading(_));
        let begins = found[number] == Some(Boilerplate::Apparatus)
            && matches!(page.blocks[number].kind, BlockKind::ListItem { .. });
        if begins && is_heading {
            found[number - 1] = found[number];
        }
    }
}
