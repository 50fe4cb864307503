//! What a model is told of each block: its text, its place, its containers, its neighbours, its page.
//!
//! [`PageContext`] is what is computed once a page; [`describe`] writes one block's features through a
//! [`FeatureSink`], which takes the numbers or, for the list of names, the names. A feature is added or taken away in
//! one place, and the model is trained again (`train/`). Trees split at thresholds, so no feature needs a scale:
//! there is no logarithm here, whose last bit is another on another machine.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use words::is_unspaced;

use crate::PageKind;
use crate::blocks::{Block, BlockKind, Blocks, Container, ends_like_sentence};
use crate::head::Head;
use crate::html::{Name, NameSet, Tree, attribute, tag, tags};
use crate::labels::{self, GROUPS};
use crate::lexicon::{self, ClassOdds, KindScores, Lexicon, SeenWords};
use crate::votes::{Votes, votes};
use crate::word_table::{WordTable, hash, packed};

/// Takes features one by one.
pub trait FeatureSink {
    /// A feature; `of` tells which of several of one name it is.
    fn put(&mut self, name: &'static str, of: &'static str, value: f32);
}

impl FeatureSink for Vec<f32> {
    #[inline]
    fn put(&mut self, _: &'static str, _: &'static str, value: f32) {
        self.push(value);
    }
}

/// The names of the features, in order.
#[derive(Debug, Default)]
pub struct FeatureNames(pub Vec<String>);

impl FeatureSink for FeatureNames {
    fn put(&mut self, name: &'static str, of: &'static str, _: f32) {
        self.0.push(if of.is_empty() { name.to_owned() } else { format!("{name}.{of}") });
    }
}

/// Groups of words that short blocks of boilerplate are made of; the first is function words of English.
const WORD_GROUPS: &[(&str, &str)] = &[
    (
        "function",
        "the of and to a in is that for it was on are as with his they at be this have from or had by but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into has two more go no way could my than been who its now did get may our me you he i",
    ),
    (
        "share",
        "share tweet facebook twitter pinterest linkedin whatsapp email print instagram reddit tumblr youtube telegram copy",
    ),
    ("comment", "comment comments reply replies respond report flag upvote downvote permalink quote likes"),
    (
        "account",
        "subscribe subscribed newsletter newsletters login signup register account password username signin log sign join inbox",
    ),
    ("consent", "cookie cookies consent gdpr privacy policy terms accept preferences"),
    ("advert", "advertisement advertisements sponsored sponsor ad ads advertising promoted affiliate commission"),
    (
        "byline",
        "by posted published updated author written filed edited contributor staff correspondent reporter editor modified",
    ),
    (
        "time",
        "january february march april june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday ago minutes hours days am pm est gmt utc",
    ),
    (
        "related",
        "related recommended popular trending latest similar stories articles posts recent also editor's picks featured most viewed",
    ),
    ("tags", "tags tagged categories category topics labels filed keywords"),
    ("paging", "previous next older newer prev page pages first last back home top menu skip"),
    ("rights", "copyright rights reserved trademark trademarks llc inc ltd © disclaimer"),
    ("more", "read more continue reading click here view see show learn full story load expand download watch listen"),
    ("credit", "photo photos photograph image images credit courtesy getty reuters ap caption source via illustration"),
    (
        "shop",
        "price cart add buy shipping quantity stock sku checkout sale discount order wishlist returns delivery off",
    ),
    (
        "forum",
        "posts joined member members topic thread forum threads views moderator join replied posting registered location offline senior junior",
    ),
    ("contact", "contact phone tel fax address mail call office hours directions map street suite"),
    ("search", "search filter sort results showing found items per clear all"),
];

static WORDS: LazyLock<WordTable> = LazyLock::new(|| WordTable::of_groups(WORD_GROUPS.iter().map(|(_, words)| *words)));

/// Elements around a block that say what it is part of.
const LANDMARKS: &[(&str, Name)] = &[
    ("nav", tag::NAV),
    ("header", tag::HEADER),
    ("footer", tag::FOOTER),
    ("aside", tag::ASIDE),
    ("main", tag::MAIN),
    ("article", tag::ARTICLE),
    ("section", tag::SECTION),
    ("form", tag::FORM),
    ("table", tag::TABLE),
    ("blockquote", tag::BLOCKQUOTE),
    ("figure", tag::FIGURE),
    ("ul", tag::UL),
    ("ol", tag::OL),
    ("dl", tag::DL),
    ("details", tag::DETAILS),
    ("noscript", tag::NOSCRIPT),
];

// Pages that annotators have read are short: half have under 600 words, few over 3,000. What is longer than
// these sizes counts as just as long, so that a book is not taken for something unlike any text.
const BLOCK_WORDS: f32 = 100.0;
const PAGE_WORDS: f32 = 1_000.0;
const PAGE_BLOCKS: f32 = 50.0;
const POINTS: f32 = 60.0;

/// A block of this weight is a paragraph of running text.
const LONG_WEIGHT: f32 = 18.0;

/// Levels that are looked at for the elements around a block.
const FAR: u8 = 30;

/// Maps whose keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<Hashed>>;

/// What a block's own text is like.
#[derive(Debug, Clone, Copy, Default)]
struct Text {
    capitals: u32,
    digits: u32,
    commas: u32,
    stops: u32,
    marks: u32,
    capital_words: u32,
    groups: u32,
    first_group: u32,
    functions: u32,
    title_words: u32,
    hash: u64,
}

/// Sums over the blocks of one template.
#[derive(Debug, Clone, Copy, Default)]
struct Template {
    blocks: u32,
    words: u32,
    bytes: u32,
    link_bytes: u32,
    weight: f32,
}

impl Template {
    fn add(&mut self, block: &Block) {
        self.blocks += 1;
        self.words += block.words;
        self.bytes += block.bytes();
        self.link_bytes += block.link_bytes;
        self.weight += block.weight;
    }
}

/// What is known of a page before any of its blocks is described.
pub struct PageContext<'a> {
    tree: &'a Tree<'a>,
    head: &'a Head,
    page: &'a Blocks,
    texts: Vec<Text>,
    /// By container: its element with its class, its parent's and grandparent's.
    narrow: Vec<u64>,
    /// By container: the names of the elements from it up to the fourth.
    wide: Vec<u64>,
    narrow_templates: ByHash<Template>,
    wide_templates: ByHash<Template>,
    texts_seen: ByHash<u32>,
    /// By container: distances to the elements of [`LANDMARKS`], [`FAR`] for none.
    landmark_distances: Vec<[u8; LANDMARKS.len()]>,
    /// By container: distances to the label groups.
    label_distances: Vec<[u8; labels::COUNT]>,
    /// By container: what the words of its classes mean.
    class_odds: Vec<ClassOdds>,
    /// By container: the same with the containers around it, the page's own element aside.
    class_odds_around: Vec<ClassOdds>,
    /// How much the words of all classes speak for each kind of page.
    class_kind_scores: KindScores,
    /// By container: how many with text of its template stood before it below the same parent.
    ordinals: Vec<u32>,
    /// By container: which of the page's articles it is in, 0 for none.
    articles: Vec<u32>,
    /// First headings up to each block.
    first_headings: Vec<u32>,
    /// Containers from the outermost to the one that holds most of the weight.
    best: [u32; 2],
    words_before: Vec<u32>,
    weight_before: Vec<f32>,
    title_words: u32,
    title_block: Option<usize>,
    long_before: Vec<u32>,
    long_after: Vec<u32>,
    kinds: PageKinds,
    votes: Votes,
    /// Most words of a block.
    longest: u32,
}

/// Counts over a page.
#[derive(Debug, Clone, Copy, Default)]
struct PageKinds {
    long_words: u32,
    articles: u32,
    has_main: bool,
    headings: u32,
    items: u32,
    cells: u32,
    code_words: u32,
    labelled: [u32; labels::COUNT],
    groups: [u32; WORD_GROUPS.len()],
    functions: u32,
    short_blocks: u32,
}

impl<'a> PageContext<'a> {
    /// Gathers what the features of a page's blocks are made of. Time and memory are linear in the blocks and
    /// containers.
    pub fn new(tree: &'a Tree<'a>, head: &'a Head, page: &'a Blocks, lexicon: &Lexicon) -> PageContext<'a> {
        let title = title_words(head);
        let texts: Vec<Text> = page.blocks.iter().map(|block| text(page.text_of(block), &title)).collect();
        let commas: Vec<u32> = texts.iter().map(|text| text.commas).collect();
        let functions: Vec<u32> = texts.iter().map(|text| text.functions).collect();
        let mut context = PageContext {
            tree,
            head,
            page,
            texts,
            narrow: Vec::new(),
            wide: Vec::new(),
            narrow_templates: ByHash::default(),
            wide_templates: ByHash::default(),
            texts_seen: ByHash::default(),
            landmark_distances: Vec::new(),
            label_distances: Vec::new(),
            class_odds: Vec::new(),
            class_odds_around: Vec::new(),
            class_kind_scores: KindScores::default(),
            ordinals: Vec::new(),
            articles: Vec::new(),
            first_headings: Vec::new(),
            best: [descend(page, 0.75), descend(page, 0.5)],
            words_before: Vec::new(),
            weight_before: Vec::new(),
            title_words: title.len() as u32,
            title_block: None,
            long_before: Vec::new(),
            long_after: Vec::new(),
            kinds: PageKinds::default(),
            votes: votes(page, &commas, &functions),
            longest: page.blocks.iter().map(|block| block.words).max().unwrap_or(0),
        };
        context.walk_containers();
        context.read_classes(lexicon);
        context.walk_blocks();
        context
    }

    fn read_classes(&mut self, lexicon: &Lexicon) {
        let mut seen = SeenWords::default();
        for container in &self.page.containers {
            let mut own = ClassOdds::default();
            for name in lexicon::ATTRIBUTES {
                if let Some(value) = self.tree.raw_attribute(container.node, name) {
                    lexicon.add(value, &mut own, &mut seen);
                }
            }
            // What the body says is said of the whole page.
            if matches!(self.tree.name(container.node), tag::BODY | tag::HTML) {
                own = ClassOdds::default();
            }
            let outer = self.class_odds_around.get(container.parent as usize).copied().unwrap_or_default();
            self.class_odds.push(own);
            self.class_odds_around.push(own.inside(&outer));
        }
        self.class_kind_scores = lexicon.kinds(&seen);
    }

    fn walk_containers(&mut self) {
        let mut own: Vec<(u64, u64)> = Vec::with_capacity(self.page.containers.len());
        let mut siblings: ByHash<u32> = ByHash::default();
        for (number, container) in self.page.containers.iter().enumerate() {
            let name = element(self.tree, container);
            let parent = container.parent as usize;
            let class = self.tree.raw_attribute(container.node, attribute::CLASS).unwrap_or("");
            let tag = hash(u128::from(name.known().map_or(u64::MAX, |n| n as u64 + 1)));
            let with_class = mixed(tag, hash_of_bytes(class.as_bytes()));
            own.push((with_class, tag));
            let grandparent = self.page.containers[parent].parent as usize;
            self.narrow.push(mixed(with_class, mixed(own[parent].0, own[grandparent].0)));
            let far = self.page.containers[grandparent].parent as usize;
            self.wide.push(mixed(mixed(tag, own[parent].1), mixed(own[grandparent].1, own[far].1)));
            let is_root = parent == number;
            let alike = siblings.entry(mixed(with_class, container.parent.into())).or_default();
            self.ordinals.push(*alike);
            *alike += u32::from(container.words > 0);
            let is_article = name == tag::ARTICLE && container.words > 0;
            let inside = if is_root { 0 } else { self.articles[parent] };
            self.articles.push(if is_article { self.kinds.articles + 1 } else { inside });
            let mut landmarks = if is_root {
                [FAR; LANDMARKS.len()]
            } else {
                self.landmark_distances[parent].map(|d| (d + 1).min(FAR))
            };
            for (distance, (_, wanted)) in landmarks.iter_mut().zip(LANDMARKS) {
                if name == *wanted {
                    *distance = 0;
                }
            }
            self.landmark_distances.push(landmarks);
            let mut labelled =
                if is_root { [FAR; labels::COUNT] } else { self.label_distances[parent].map(|d| (d + 1).min(FAR)) };
            // What the body says is said of the whole page.
            if container.labels.0 != 0 && !matches!(name, tag::BODY | tag::HTML) {
                for (group, distance) in labelled.iter_mut().enumerate() {
                    if container.labels.has(group) {
                        *distance = 0;
                        self.kinds.labelled[group] += 1;
                    }
                }
            }
            self.label_distances.push(labelled);
            self.kinds.articles += u32::from(is_article);
            self.kinds.has_main |= name == tag::MAIN;
        }
    }

    fn walk_blocks(&mut self) {
        let (mut words, mut weight, mut long) = (0, 0.0, u32::MAX);
        let mut first_headings = 0;
        let mut best_title = 0.0;
        for (number, block) in self.page.blocks.iter().enumerate() {
            self.words_before.push(words);
            self.weight_before.push(weight);
            self.long_before.push(if long == u32::MAX { 100 } else { (number as u32 - long).min(100) });
            first_headings += u32::from(block.kind == BlockKind::Heading(1));
            self.first_headings.push(first_headings);
            words += block.words;
            weight += block.weight;
            let text = &self.texts[number];
            if block.weight >= LONG_WEIGHT {
                long = number as u32;
                self.kinds.long_words += block.words;
            }
            self.narrow_templates.entry(self.narrow[block.container as usize]).or_default().add(block);
            self.wide_templates.entry(self.wide[block.container as usize]).or_default().add(block);
            *self.texts_seen.entry(text.hash).or_default() += 1;
            let kinds = &mut self.kinds;
            match block.kind {
                BlockKind::Heading(_) => kinds.headings += 1,
                BlockKind::ListItem { .. } => kinds.items += 1,
                BlockKind::Cell(_) => kinds.cells += 1,
                BlockKind::Preformatted => kinds.code_words += block.words,
                _ => {}
            }
            kinds.functions += text.functions;
            kinds.short_blocks += u32::from(block.words < 5);
            for (group, count) in kinds.groups.iter_mut().enumerate() {
                *count += text.groups >> group & 1;
            }
            let likeness = likeness(text, block, self.title_words)
                + if matches!(block.kind, BlockKind::Heading(1)) { 0.3 } else { 0.0 };
            if likeness > best_title + 0.01
                && likeness > 0.6
                && self.landmark_distances[block.container as usize][0] == FAR
            {
                best_title = likeness;
                self.title_block = Some(number);
            }
        }
        self.words_before.push(words);
        self.weight_before.push(weight);
        let mut next = u32::MAX;
        self.long_after = vec![100; self.page.blocks.len()];
        for (number, block) in self.page.blocks.iter().enumerate().rev() {
            if next != u32::MAX {
                self.long_after[number] = (next - number as u32).min(100);
            }
            if block.weight >= LONG_WEIGHT {
                next = number as u32;
            }
        }
    }

    /// The block that repeats the page's title, if one does.
    pub fn title_block(&self) -> Option<usize> {
        self.title_block
    }

    /// How many blocks the page has.
    pub fn len(&self) -> usize {
        self.page.blocks.len()
    }

    /// Whether the page has no block.
    pub fn is_empty(&self) -> bool {
        self.page.blocks.is_empty()
    }

    /// Whether a block stands in what calls itself comments.
    pub fn is_comment(&self, block: usize) -> bool {
        self.label_distances[self.page.blocks[block].container as usize][const { labels::group("comment") }] < FAR
    }

    /// Whether a block is for readers without scripts only.
    pub fn is_for_scriptless(&self, block: usize) -> bool {
        let noscript = LANDMARKS.iter().position(|(_, name)| *name == tag::NOSCRIPT);
        noscript.is_some_and(|at| self.landmark_distances[self.page.blocks[block].container as usize][at] < FAR)
    }

    /// The block's template: its element with its class, and those of the two around it.
    pub(crate) fn template(&self, block: usize) -> u64 {
        self.narrow[self.page.blocks[block].container as usize]
    }
}

/// The element of a container; parts of tables that lay out the page are what later pages use `<div>` for.
fn element(tree: &Tree, container: &Container) -> Name {
    if container.is_layout { tag::DIV } else { tree.name(container.node) }
}

/// Down from the outermost container while one child holds this share of its parent's weight.
fn descend(page: &Blocks, share: f32) -> u32 {
    let mut heaviest: Vec<u32> = (0..page.containers.len() as u32).collect();
    for (number, container) in page.containers.iter().enumerate().skip(1) {
        let parent = container.parent as usize;
        let best = heaviest[parent] as usize;
        if best == parent || page.containers[best].weight < container.weight {
            heaviest[parent] = number as u32;
        }
    }
    let mut at = 0u32;
    while let Some(container) = page.containers.get(at as usize) {
        let child = heaviest[at as usize];
        let weight = page.containers[child as usize].weight;
        if child == at || weight <= 0.0 || weight < share * container.weight {
            break;
        }
        at = child;
    }
    at
}

fn mixed(a: u64, b: u64) -> u64 {
    hash(u128::from(a) | u128::from(b) << 64)
}

fn hash_of_bytes(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mixed(state, u64::from_le_bytes(word));
    }
    state
}

/// The words of the page's title, sorted; few enough to be searched.
fn title_words(head: &Head) -> Vec<u64> {
    let mut words: Vec<u64> = Vec::new();
    let title = head.title.as_deref().unwrap_or("");
    for word in title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(40) {
        words.push(hash_of_bytes(&word.as_bytes().to_ascii_lowercase()));
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// One pass over a block's text.
fn text(text: &str, title: &[u64]) -> Text {
    let mut found = Text { hash: hash_of_bytes(text.as_bytes()), ..Text::default() };
    let bytes = text.as_bytes();
    // Only short blocks are labels; the words of long ones tell their language.
    let looks_for_title = bytes.len() < 300 && !title.is_empty();
    let (mut from, mut word_number) = (0, 0);
    for at in 0..=bytes.len() {
        let byte = bytes.get(at).copied().unwrap_or(b' ');
        if byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'\'' {
            found.digits += u32::from(byte.is_ascii_digit());
            found.capitals += u32::from(byte.is_ascii_uppercase());
            continue;
        }
        match byte {
            b'.' | b'!' | b'?' => found.stops += 1,
            b',' | b';' => found.commas += 1,
            b'|' | b'/' | b'>' | b'<' | b'{' | b'}' | b'=' | b'_' | b'*' | b'#' | b'@' | b'+' => found.marks += 1,
            _ => {}
        }
        if at > from {
            let word = &bytes[from..at];
            found.capital_words += u32::from(word[0].is_ascii_uppercase());
            if word.len() <= 16 {
                let bits = WORDS.find(packed(word));
                found.groups |= bits;
                found.functions += bits & 1;
                if word_number == 0 {
                    found.first_group = bits;
                }
            }
            if looks_for_title && title.binary_search(&hash_of_bytes(&word.to_ascii_lowercase())).is_ok() {
                found.title_words += 1;
            }
            word_number += 1;
        }
        from = at + 1;
    }
    found
}

/// How much a block is the title: share of its words in the title times share of the title it covers.
fn likeness(text: &Text, block: &Block, title_words: u32) -> f32 {
    if title_words == 0 || block.words == 0 {
        return 0.0;
    }
    let inside = (text.title_words as f32 / block.words as f32).min(1.0);
    let covered = (text.title_words as f32 / title_words as f32).min(1.0);
    inside * covered.sqrt()
}

fn share(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Writes the features of one block.
pub fn describe(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    own_text(context, number, to);
    own_element(context, number, to);
    containers(context, number, to);
    neighbours(context, number, to);
    place(context, number, to);
    voted(context, number, to);
    page(context, to);
}

fn own_text(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let block = &context.page.blocks[number];
    let text = context.page.text_of(block);
    let found = &context.texts[number];
    let (words, bytes) = (block.words.max(1) as f32, block.bytes().max(1) as f32);
    to.put("words", "", (block.words as f32).min(BLOCK_WORDS));
    to.put("bytes", "", bytes.min(BLOCK_WORDS * 8.0));
    to.put("word_len", "", bytes / words);
    to.put("link_density", "", block.link_density());
    to.put("links", "", block.links.min(20) as f32);
    to.put("stops", "", found.stops.min(15) as f32);
    to.put("stops_per_word", "", found.stops as f32 / words);
    to.put("commas_per_word", "", found.commas as f32 / words);
    to.put("digits", "", found.digits as f32 / bytes);
    to.put("capitals", "", found.capitals as f32 / bytes);
    to.put("capital_words", "", found.capital_words as f32 / words);
    to.put("marks", "", found.marks as f32 / words);
    to.put("function_words", "", found.functions as f32 / words);
    to.put("is_sentence", "", f32::from(ends_like_sentence(text)));
    let last = text.bytes().next_back().unwrap_or(b' ');
    to.put(
        "last",
        "",
        match last {
            b'.' => 1.0,
            b'!' | b'?' => 2.0,
            b':' => 3.0,
            b',' | b';' => 4.0,
            b')' | b'"' | b'\'' | b']' => 5.0,
            b'0'..=b'9' => 6.0,
            b'>' | b'|' | b'*' | b'+' => 7.0,
            _ if last >= 0x80 => 8.0,
            _ => 0.0,
        },
    );
    let first = text.chars().next().unwrap_or(' ');
    to.put(
        "first",
        "",
        match first {
            _ if is_unspaced(first) => 6.0,
            _ if first.is_uppercase() => 1.0,
            _ if first.is_lowercase() => 2.0,
            _ if first.is_numeric() => 3.0,
            '"' | '“' | '\'' | '‘' | '«' => 4.0,
            _ => 5.0,
        },
    );
    to.put("lines", "", text.bytes().filter(|&b| b == b'\n').count().min(20) as f32);
    to.put("likeness_to_title", "", likeness(found, block, context.title_words));
    to.put("is_title_block", "", f32::from(context.title_block == Some(number)));
    to.put("times_on_page", "", context.texts_seen.get(&found.hash).copied().unwrap_or(1).min(20) as f32);
    let is_short = block.words <= 30;
    for (group, (name, _)) in WORD_GROUPS.iter().enumerate().skip(1) {
        let value = (found.groups >> group & 1) + (found.first_group >> group & 1);
        to.put("says", name, if is_short { value as f32 } else { -1.0 });
    }
}

fn own_element(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let block = &context.page.blocks[number];
    let container = block.container as usize;
    to.put(
        "kind",
        "",
        match block.kind {
            BlockKind::Paragraph => 0.0,
            BlockKind::Heading(level) => f32::from(level),
            BlockKind::ListItem { .. } => 7.0,
            BlockKind::Term => 8.0,
            BlockKind::Definition => 9.0,
            BlockKind::Cell(_) => 10.0,
            BlockKind::Preformatted => 11.0,
        },
    );
    const OTHER: NameSet = tags![SECTION ARTICLE MAIN BODY];
    let name = element(context.tree, &context.page.containers[container]);
    to.put(
        "element",
        "",
        match name {
            tag::P => 0.0,
            tag::DIV => 1.0,
            tag::LI => 2.0,
            tag::TD | tag::TH => 3.0,
            tag::FIGCAPTION | tag::CAPTION => 4.0,
            tag::BLOCKQUOTE => 5.0,
            tag::FORM | tag::FIELDSET | tag::LEGEND => 6.0,
            tag::SUMMARY | tag::DETAILS => 7.0,
            tag::HEADER | tag::FOOTER | tag::NAV | tag::ASIDE => 8.0,
            tag::ADDRESS => 9.0,
            _ if OTHER.has(name) => 10.0,
            _ => 11.0,
        },
    );
    to.put("depth", "", context.page.containers[container].depth as f32);
    to.put("quotes", "", f32::from(block.quotes));
    let first = context.tree.node(block.first).parent;
    to.put(
        "inline",
        "",
        match context.tree.name(first) {
            tag::A => 1.0,
            tag::STRONG | tag::B => 2.0,
            tag::EM | tag::I | tag::CITE => 3.0,
            tag::SPAN | tag::FONT => 4.0,
            tag::BUTTON | tag::LABEL => 5.0,
            tag::SMALL => 6.0,
            tag::TIME => 7.0,
            tag::CODE | tag::KBD | tag::SAMP => 8.0,
            _ => 0.0,
        },
    );
    for ((name, _), distance) in LANDMARKS.iter().zip(context.landmark_distances[container]) {
        to.put("in", name, f32::from(distance));
    }
    for ((name, _), distance) in GROUPS.iter().zip(context.label_distances[container]) {
        to.put("labelled", name, f32::from(distance));
    }
    let mut at = container;
    for level in ["own", "parent", "second", "third", "fourth"] {
        to.put("class_odds", level, context.class_odds[at].mean());
        at = context.page.containers[at].parent as usize;
    }
    let meaning = &context.class_odds_around[container];
    to.put("class_odds", "least", meaning.least);
    to.put("class_odds", "most", meaning.most);
    to.put("class_odds", "mean", meaning.mean());
    to.put("class_words", "", meaning.words.min(30) as f32);
}

fn containers(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let block = &context.page.blocks[number];
    let all = &context.page.containers;
    let page = &all[0];
    let mut at = block.container;
    for level in ["own", "parent", "second", "third", "fourth"] {
        let here = &all[at as usize];
        to.put("container_link_density", level, share(here.link_bytes as f32, here.bytes as f32));
        to.put("container_words", level, (here.words as f32).min(PAGE_WORDS));
        to.put("container_weight", level, share(here.weight, page.weight.min(PAGE_WORDS)).min(1.0));
        to.put("container_blocks", level, (here.blocks as f32).min(PAGE_BLOCKS));
        to.put("container_sentences", level, share(here.weight, here.words as f32));
        at = here.parent;
    }
    for (name, best) in ["three_quarters", "half"].into_iter().zip(context.best) {
        let (above_block, above_best) = levels_to_common(all, block.container, best);
        to.put("inside_best", name, if above_best == 0 { above_block as f32 } else { -(above_best as f32) });
        to.put("best_weight", name, share(all[best as usize].weight, page.weight));
    }
    let narrow = context.narrow_templates[&context.narrow[block.container as usize]];
    let wide = context.wide_templates[&context.wide[block.container as usize]];
    for (name, template) in [("narrow", narrow), ("wide", wide)] {
        to.put("template_blocks", name, (template.blocks as f32).min(PAGE_BLOCKS));
        to.put("template_words", name, share(template.words as f32, page.words as f32));
        to.put("template_mean_words", name, share(template.words as f32, template.blocks as f32).min(BLOCK_WORDS));
        to.put("template_link_density", name, share(template.link_bytes as f32, template.bytes as f32));
        to.put("template_sentences", name, share(template.weight, template.words as f32));
        to.put("template_weight", name, share(template.weight, page.weight));
    }
}

/// What the rules say ([`crate::votes`]).
fn voted(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let (votes, all) = (&context.votes, &context.page.containers);
    let block = &context.page.blocks[number];
    let (above_block, above_top) = levels_to_common(all, block.container, votes.top);
    to.put("inside_top", "", if above_top == 0 { above_block as f32 } else { -(above_top as f32) });
    let top = votes.points[votes.top as usize];
    let mut at = all[block.container as usize].parent;
    for level in ["parent", "second", "third"] {
        to.put("points", level, share(votes.points[at as usize], top));
        at = all[at as usize].parent;
    }
    to.put("top_points", "", top.min(POINTS));
    to.put("vote_alone", "", f32::from(votes.alone[number]));
    to.put("vote_among", "", f32::from(votes.among[number]));
    to.put("vote_before", "", f32::from(votes.sides[number].0));
    to.put("vote_after", "", f32::from(votes.sides[number].1));
    to.put("share_of_longest", "", share(block.words as f32, (context.longest as f32).min(BLOCK_WORDS)).min(1.0));
    to.put("share_of_weight", "", share(block.weight, all[0].weight.min(PAGE_WORDS)).min(1.0));
}

fn neighbours(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let blocks = &context.page.blocks;
    let steps: [(&str, isize); 6] = [("-3", -3), ("-2", -2), ("-1", -1), ("+1", 1), ("+2", 2), ("+3", 3)];
    for (name, step) in steps {
        let other = number.checked_add_signed(step).and_then(|at| blocks.get(at).map(|block| (at, block)));
        let Some((at, block)) = other else {
            for feature in ["near_words", "near_link_density", "near_weight", "near_kind", "near_apart"] {
                to.put(feature, name, -1.0);
            }
            continue;
        };
        to.put("near_words", name, (block.words as f32).min(BLOCK_WORDS));
        to.put("near_link_density", name, block.link_density());
        to.put("near_weight", name, block.weight.min(BLOCK_WORDS));
        to.put(
            "near_kind",
            name,
            match block.kind {
                BlockKind::Heading(_) => 1.0,
                BlockKind::ListItem { .. } => 2.0,
                BlockKind::Cell(_) => 3.0,
                BlockKind::Preformatted => 4.0,
                _ => 0.0,
            },
        );
        to.put("near_apart", name, apart(context, number, at) as f32);
    }
    for (name, radius) in [("5", 5), ("15", 15)] {
        let from = number.saturating_sub(radius);
        let to_end = (number + radius + 1).min(blocks.len());
        let words = context.words_before[to_end] - context.words_before[from];
        let weight = context.weight_before[to_end] - context.weight_before[from];
        to.put("window_words", name, (words as f32 / (to_end - from) as f32).min(BLOCK_WORDS));
        to.put("window_sentences", name, share(weight, words as f32));
    }
}

/// Levels from a block's container up to the one that holds the other block too.
fn apart(context: &PageContext, block: usize, other: usize) -> u32 {
    let blocks = &context.page.blocks;
    levels_to_common(&context.page.containers, blocks[block].container, blocks[other].container).0
}

/// Levels from each of two containers up to the innermost one around both.
fn levels_to_common(all: &[Container], mut a: u32, mut b: u32) -> (u32, u32) {
    let (mut above_a, mut above_b) = (0, 0);
    while a != b {
        if all[a as usize].depth >= all[b as usize].depth {
            a = all[a as usize].parent;
            above_a += 1;
        } else {
            b = all[b as usize].parent;
            above_b += 1;
        }
    }
    (above_a, above_b)
}

fn place(context: &PageContext, number: usize, to: &mut impl FeatureSink) {
    let blocks = context.page.blocks.len();
    let page = &context.page.containers[0];
    to.put("place", "blocks", number as f32 / blocks as f32);
    to.put("place", "words", share(context.words_before[number] as f32, page.words as f32));
    to.put("place", "weight", share(context.weight_before[number], page.weight));
    to.put("number", "", (number as f32).min(PAGE_BLOCKS));
    to.put("to_end", "", ((blocks - number) as f32).min(PAGE_BLOCKS));
    to.put("long_before", "", context.long_before[number] as f32);
    to.put("long_after", "", context.long_after[number] as f32);
    to.put("first_headings", "", context.first_headings[number].min(20) as f32);
    let mut at = context.page.blocks[number].container;
    to.put("article", "", context.articles[at as usize].min(50) as f32);
    for level in ["own", "parent", "second", "third", "fourth", "fifth"] {
        to.put("ordinal", level, context.ordinals[at as usize].min(25) as f32);
        at = context.page.containers[at as usize].parent;
    }
    let from_title = context.title_block.map_or(-PAGE_BLOCKS, |title| number as f32 - title as f32);
    to.put("from_title", "", from_title.clamp(-PAGE_BLOCKS, PAGE_BLOCKS));
    let title = context.title_block.unwrap_or(0);
    let weight = context.weight_before[number] - context.weight_before[title];
    to.put("weight_from_title", "", share(weight, page.weight));
}

/// Writes the features of a page as a whole, which tell its kind.
pub fn describe_page(context: &PageContext, to: &mut impl FeatureSink) {
    page(context, to);
    let all = &context.page.containers[0];
    for ((name, _), labelled) in GROUPS.iter().zip(context.kinds.labelled) {
        to.put("page_labels", name, labelled as f32);
    }
    for ((name, _), said) in WORD_GROUPS.iter().zip(context.kinds.groups) {
        to.put("page_words_said", name, said as f32 / context.len().max(1) as f32);
    }
    let best = &context.page.containers[context.best[1] as usize];
    to.put("page_best_weight", "", share(best.weight, all.weight));
    to.put("page_best_blocks", "", share(best.blocks as f32, all.blocks as f32));
    to.put("page_top_points", "", context.votes.points[context.votes.top as usize].min(POINTS));
    to.put("page_longest", "", (context.longest as f32).min(BLOCK_WORDS));
    for (kind, class_odds) in PageKind::ALL.iter().zip(context.class_kind_scores) {
        to.put("page_classes", kind.name(), class_odds);
    }
    to.put("page_templates", "", share(context.narrow_templates.len() as f32, context.len() as f32));
}

fn page(context: &PageContext, to: &mut impl FeatureSink) {
    let page = &context.page.containers[0];
    let kinds = &context.kinds;
    let blocks = context.page.blocks.len() as f32;
    to.put("page_words", "", (page.words as f32).min(PAGE_WORDS));
    to.put("page_blocks", "", blocks.min(PAGE_BLOCKS));
    to.put("page_link_density", "", share(page.link_bytes as f32, page.bytes as f32));
    to.put("page_sentences", "", share(page.weight, page.words as f32));
    to.put("page_long", "", share(kinds.long_words as f32, page.words as f32));
    to.put("page_long_words", "", (kinds.long_words as f32).min(PAGE_WORDS));
    to.put("page_articles", "", kinds.articles.min(20) as f32);
    to.put("page_has_main", "", f32::from(kinds.has_main));
    to.put("page_headings", "", kinds.headings as f32 / blocks);
    to.put("page_items", "", kinds.items as f32 / blocks);
    to.put("page_cells", "", kinds.cells as f32 / blocks);
    to.put("page_code", "", share(kinds.code_words as f32, page.words as f32));
    to.put("page_short", "", kinds.short_blocks as f32 / blocks);
    to.put("page_function_words", "", share(kinds.functions as f32, page.words as f32));
    to.put("page_title", "", f32::from(context.title_block.is_some()));
    to.put("page_type", "", context.head.declared_kind as f32);
    for (group, (name, _)) in GROUPS.iter().enumerate() {
        if matches!(
            *name,
            "comment" | "forum" | "product" | "review" | "code" | "documentation" | "listing" | "article"
        ) {
            to.put("page_labelled", name, kinds.labelled[group] as f32);
        }
    }
    for (group, (name, _)) in WORD_GROUPS.iter().enumerate() {
        if matches!(*name, "comment" | "forum" | "shop" | "time" | "more") {
            to.put("page_says", name, kinds.groups[group] as f32 / blocks);
        }
    }
}

/// Writes what a first probability says of a block's surroundings: the features that a second model gets besides.
pub struct FirstPass<'a> {
    context: &'a PageContext<'a>,
    probabilities: &'a [f32],
    /// By container: words times probability.
    expected_words: Vec<f32>,
    templates: ByHash<(f32, f32)>,
    expected_words_before: Vec<f32>,
    best: u32,
    sure_before: Vec<u32>,
    sure_after: Vec<u32>,
    top: f32,
}

/// A block with this probability or more is one that another may lean on.
const SURE: f32 = 0.7;

impl<'a> FirstPass<'a> {
    /// `probabilities` has the first model's probability of each block.
    pub fn new(context: &'a PageContext<'a>, probabilities: &'a [f32]) -> FirstPass<'a> {
        let page = context.page;
        let mut expected_words = vec![0.0f32; page.containers.len()];
        let mut templates: ByHash<(f32, f32)> = ByHash::default();
        let mut expected_words_before = vec![0.0f32];
        let (mut sure_before, mut sure_after) = (Vec::new(), vec![100; page.blocks.len()]);
        let mut last_sure = None;
        for (number, (block, &probability)) in page.blocks.iter().zip(probabilities).enumerate() {
            let weighed = probability * block.words as f32;
            expected_words[block.container as usize] += weighed;
            let template = templates.entry(context.template(number)).or_default();
            template.0 += weighed;
            template.1 += block.words as f32;
            expected_words_before.push(expected_words_before[number] + weighed);
            sure_before.push(last_sure.map_or(100, |sure: usize| (number - sure).min(100) as u32));
            if probability >= SURE && block.words >= 8 {
                last_sure = Some(number);
            }
        }
        let mut next_sure = None;
        for number in (0..page.blocks.len()).rev() {
            if let Some(sure) = next_sure {
                sure_after[number] = usize::min(sure - number, 100) as u32;
            }
            if probabilities[number] >= SURE && page.blocks[number].words >= 8 {
                next_sure = Some(number);
            }
        }
        for at in (1..expected_words.len()).rev() {
            expected_words[page.containers[at].parent as usize] += expected_words[at];
        }
        let best = descend_expected_words(page, &expected_words, 0.8);
        let top = probabilities.iter().copied().fold(0.0, f32::max);
        FirstPass {
            context,
            probabilities,
            expected_words,
            templates,
            expected_words_before,
            best,
            sure_before,
            sure_after,
            top,
        }
    }
}

fn descend_expected_words(page: &Blocks, expected_words: &[f32], share: f32) -> u32 {
    let mut best = 0;
    // Parents stand before children, so the last that qualifies on the path is the innermost.
    for (number, container) in page.containers.iter().enumerate().skip(1) {
        if container.parent == best
            && expected_words[number] >= share * expected_words[0]
            && expected_words[number] > 0.0
        {
            best = number as u32;
        }
    }
    best
}

/// Writes the features of a block that need the first model's probabilities.
pub fn describe_first_pass(first_pass: &FirstPass, number: usize, to: &mut impl FeatureSink) {
    let context = first_pass.context;
    let page = context.page;
    let block = &page.blocks[number];
    let probability =
        |at: usize, step: isize| at.checked_add_signed(step).and_then(|at| first_pass.probabilities.get(at));
    to.put("probability", "", first_pass.probabilities[number]);
    let steps = [("-4", -4), ("-3", -3), ("-2", -2), ("-1", -1), ("+1", 1), ("+2", 2), ("+3", 3), ("+4", 4)];
    for (name, step) in steps {
        to.put("probability_near", name, probability(number, step).copied().unwrap_or(-0.1));
    }
    for (name, radius) in [("5", 5), ("12", 12), ("30", 30)] {
        for (before, from, end) in [
            (true, number.saturating_sub(radius), number),
            (false, number + 1, (number + 1 + radius).min(page.blocks.len())),
        ] {
            let end = end.max(from.min(page.blocks.len()));
            let from = from.min(end);
            let expected_words = first_pass.expected_words_before[end] - first_pass.expected_words_before[from];
            let words = context.words_before[end] - context.words_before[from];
            to.put(
                if before { "probability_before" } else { "probability_after" },
                name,
                share(expected_words, words as f32),
            );
        }
    }
    let mut at = block.container;
    for level in ["own", "parent", "second", "third", "fourth", "fifth"] {
        let here = &page.containers[at as usize];
        // Without the block itself, unless it is all there is.
        let own = first_pass.probabilities[number] * block.words as f32;
        let others = here.words - block.words;
        let mean = if others > 0 { (first_pass.expected_words[at as usize] - own) / others as f32 } else { -0.1 };
        to.put("probability_container", level, mean);
        to.put(
            "probability_container_share",
            level,
            share(first_pass.expected_words[at as usize], first_pass.expected_words[0].min(PAGE_WORDS)).min(1.0),
        );
        at = here.parent;
    }
    let (expected_words, words) = first_pass.templates[&context.template(number)];
    let others = words - block.words as f32;
    let own = first_pass.probabilities[number] * block.words as f32;
    to.put("probability_template", "", if others > 0.0 { (expected_words - own) / others } else { -0.1 });
    to.put("probability_page", "", share(first_pass.expected_words[0], page.containers[0].words as f32));
    to.put("probability_page_words", "", first_pass.expected_words[0].min(PAGE_WORDS));
    to.put("probability_top", "", first_pass.top);
    to.put("probability_place", "", share(first_pass.expected_words_before[number], first_pass.expected_words[0]));
    to.put("sure_before", "", first_pass.sure_before[number] as f32);
    to.put("sure_after", "", first_pass.sure_after[number] as f32);
    let (mut at, mut levels) = (block.container, 0.0);
    while page.containers[at as usize].depth > page.containers[first_pass.best as usize].depth {
        at = page.containers[at as usize].parent;
        levels += 1.0;
    }
    to.put("in_probable_best", "", if at == first_pass.best { levels } else { -1.0 });
}
