//! What is computed once per page, before its blocks are described.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::language::Language;
use super::scan::{TextScan, WORD_GROUPS, hash_of_bytes, likeness, mixed, scan, title_words};
use crate::blocks::{Block, BlockKind, Blocks, Container};
use crate::head::Head;
use crate::html::{Name, Tree, attribute, tag};
use crate::labels;
use crate::lexicon::{ClassOdds, KindScores, Lexicon, SeenWords};
use crate::votes::{Votes, votes};
use crate::word_table::hash;

/// Elements around a block that show which part of the page it is in.
pub(super) const LANDMARKS: &[(&str, Name)] = &[
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

/// A block of this weight is a paragraph of running text.
const LONG_WEIGHT: f32 = 18.0;
/// With a smaller share of English function words, a page is in another language, known or not.
const MIN_ENGLISH_SHARE: f32 = 0.06;

/// Levels above a block that are searched.
pub(super) const FAR: u8 = 30;

/// Maps whose keys are hashes already.
#[derive(Default)]
pub(super) struct Hashed(u64);

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

pub(super) type ByHash<T> = HashMap<u64, T, BuildHasherDefault<Hashed>>;

/// Sums over the blocks of one template.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Template {
    pub(super) blocks: u32,
    pub(super) words: u32,
    pub(super) bytes: u32,
    pub(super) link_bytes: u32,
    pub(super) weight: f32,
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

/// Everything about a page that the features of its blocks need.
pub struct PageContext<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) head: &'a Head,
    pub(super) page: &'a Blocks,
    pub(super) texts: Vec<TextScan>,
    /// By container: hash of its element with its class, and those of its parent and grandparent.
    pub(super) narrow: Vec<u64>,
    /// By container: hash of the names of the elements from it up to the fourth.
    pub(super) wide: Vec<u64>,
    pub(super) narrow_templates: ByHash<Template>,
    pub(super) wide_templates: ByHash<Template>,
    pub(super) texts_seen: ByHash<u32>,
    /// By container: distances to the elements of [`LANDMARKS`], [`FAR`] for none.
    pub(super) landmark_distances: Vec<[u8; LANDMARKS.len()]>,
    /// By container: distances to the label groups.
    pub(super) label_distances: Vec<[u8; labels::COUNT]>,
    /// By container: odds of the words in its classes.
    pub(super) class_odds: Vec<ClassOdds>,
    /// By container: the same with the containers around it, except the page's own element.
    pub(super) class_odds_around: Vec<ClassOdds>,
    /// Scores of the words in all classes for each kind of page.
    pub(super) class_kind_scores: KindScores,
    /// By container: how many containers with text of its template come before it below the same parent.
    pub(super) ordinals: Vec<u32>,
    /// By container: which of the page's articles it is in, 0 for none.
    pub(super) articles: Vec<u32>,
    /// First headings up to each block.
    pub(super) first_headings: Vec<u32>,
    /// Containers from the outermost to the one that holds most of the weight.
    pub(super) best: [u32; 2],
    pub(super) words_before: Vec<u32>,
    pub(super) weight_before: Vec<f32>,
    pub(super) title_words: u32,
    pub(super) title_block: Option<usize>,
    pub(super) long_before: Vec<u32>,
    pub(super) long_after: Vec<u32>,
    pub(super) counts: PageCounts,
    pub(super) votes: Votes,
    /// Words of the longest block.
    pub(super) longest: u32,
    /// Whether the page is in English.
    pub(super) is_english: bool,
}

/// Counts over a page.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PageCounts {
    pub(super) long_words: u32,
    pub(super) articles: u32,
    pub(super) has_main: bool,
    pub(super) headings: u32,
    pub(super) items: u32,
    pub(super) cells: u32,
    pub(super) code_words: u32,
    pub(super) labelled: [u32; labels::COUNT],
    pub(super) groups: [u32; WORD_GROUPS.len()],
    pub(super) functions: u32,
    pub(super) short_blocks: u32,
}

impl<'a> PageContext<'a> {
    /// Computes the context of a page. Time and memory are linear in the blocks and containers.
    pub fn new(tree: &'a Tree<'a>, head: &'a Head, page: &'a Blocks, lexicon: &Lexicon) -> PageContext<'a> {
        let title = title_words(head);
        let mut texts: Vec<TextScan> = page.blocks.iter().map(|block| scan(page.text_of(block), &title)).collect();
        let is_english = count_function_words(page, &mut texts);
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
            counts: PageCounts::default(),
            votes: votes(page, &commas, &functions),
            longest: page.blocks.iter().map(|block| block.words).max().unwrap_or(0),
            is_english,
        };
        context.walk_containers();
        context.read_classes(lexicon);
        context.walk_blocks();
        context
    }

    fn read_classes(&mut self, lexicon: &Lexicon) {
        let mut seen = SeenWords::default();
        for container in &self.page.containers {
            let mut own = lexicon.odds(self.tree, container.node, &mut seen);
            // The classes of the body describe the whole page.
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
            self.articles.push(if is_article { self.counts.articles + 1 } else { inside });
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
            // The classes of the body describe the whole page.
            if container.labels.0 != 0 && !matches!(name, tag::BODY | tag::HTML) {
                for (group, distance) in labelled.iter_mut().enumerate() {
                    if container.labels.has(group) {
                        *distance = 0;
                        self.counts.labelled[group] += 1;
                    }
                }
            }
            self.label_distances.push(labelled);
            self.counts.articles += u32::from(is_article);
            self.counts.has_main |= name == tag::MAIN;
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
                self.counts.long_words += block.words;
            }
            self.narrow_templates.entry(self.narrow[block.container as usize]).or_default().add(block);
            self.wide_templates.entry(self.wide[block.container as usize]).or_default().add(block);
            *self.texts_seen.entry(text.hash).or_default() += 1;
            let counts = &mut self.counts;
            match block.kind {
                BlockKind::Heading(_) => counts.headings += 1,
                BlockKind::ListItem { .. } => counts.items += 1,
                BlockKind::Cell { .. } => counts.cells += 1,
                BlockKind::Preformatted => counts.code_words += block.words,
                _ => {}
            }
            counts.functions += text.functions;
            counts.short_blocks += u32::from(block.words < 5);
            for (group, count) in counts.groups.iter_mut().enumerate() {
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
}

/// Counts the function words of the page's language, where it is another one than English; returns whether it is English.
fn count_function_words(page: &Blocks, texts: &mut [TextScan]) -> bool {
    let english = super::share(texts.iter().map(|text| text.functions).sum::<u32>() as f32, page.words() as f32);
    let blocks = page.blocks.iter().map(|block| page.text_of(block));
    let Some(language) = Language::of_page(blocks, page.words(), english) else { return english >= MIN_ENGLISH_SHARE };
    for (text, block) in texts.iter_mut().zip(&page.blocks) {
        text.functions = language.function_words(page.text_of(block));
    }
    false
}

/// The name of a container's element; parts of tables that lay out the page count as `<div>`.
pub(super) fn element(tree: &Tree, container: &Container) -> Name {
    if container.is_layout { tag::DIV } else { tree.name(container.node) }
}

/// Goes down from the outermost container while one child has this share of its parent's weight.
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
