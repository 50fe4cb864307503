//! The trained model: the probability that each block is main text, and the kind of the page.
//!
//! The forests are in `model/forests.bin`, which `train/train.py` writes: 4 bytes with the hash of the names of the
//! features that they were trained on, then for each forest its length in bytes (4, little-endian) and the forest in
//! the format of [`crate::forest`]. The first two are for blocks, then there is one
//! for each [`PageKind`]. `model/lexicon.bin` is read by [`crate::lexicon`].

use std::sync::LazyLock;

use crate::PageKind;
use crate::blocks::Blocks;
use crate::features::{FirstPass, PageContext, describe_alone, describe_first_pass, describe_in_common, describe_page};
use crate::forest::{Forest, sigmoid};
use crate::lexicon::Lexicon;

static BYTES: &[u8] = include_bytes!("../model/forests.bin");

static LEXICON_BYTES: &[u8] = include_bytes!("../model/lexicon.bin");

static LEXICON: LazyLock<Lexicon> =
    LazyLock::new(|| Lexicon::read(LEXICON_BYTES).expect("the words are those of this version"));

/// The words that the model knows.
pub fn lexicon() -> &'static Lexicon {
    &LEXICON
}

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::read(BYTES).expect("the forests are those of this version"));

/// A block whose first probability is below this skips the second forest.
const MIN_CANDIDATE_PROBABILITY: f32 = 0.01;
/// The trees of the first forest that are evaluated for every block, a quarter of them.
const EARLY_TREES: usize = 75;
/// A block whose margin is then below this is boilerplate and gets [`BOILERPLATE_PROBABILITY`].
const MIN_EARLY_MARGIN: f32 = -3.0;
const BOILERPLATE_PROBABILITY: f32 = 0.002;
/// Blocks whose features are computed at once; a row is a kilobyte.
const BATCH: usize = 512;

struct Model {
    /// The first trees of the first forest, and the others.
    first: [Forest; 2],
    second: Forest,
    kinds: Vec<Forest>,
}

impl Model {
    fn read(bytes: &[u8]) -> Option<Model> {
        let (_names, mut bytes) = bytes.split_first_chunk::<4>()?;
        let mut forests = Vec::new();
        while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
            let (forest, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            forests.push(forest);
            bytes = rest;
        }
        let [first, second, kinds @ ..] = &forests[..] else { return None };
        let kinds: Vec<Forest> = kinds.iter().map(|kind| Forest::read(kind)).collect::<Option<_>>()?;
        (kinds.len() == PageKind::ALL.len()).then_some(())?;
        Some(Model { first: Forest::read_in_two(first, EARLY_TREES)?, second: Forest::read(second)?, kinds })
    }
}

/// The margin of each kind of page, in the order of [`PageKind::ALL`].
#[derive(Debug, Clone, Copy)]
pub struct KindMargins([f32; PageKind::ALL.len()]);

impl KindMargins {
    /// The kind with the largest margin.
    pub fn kind(&self) -> PageKind {
        let best = (0..self.0.len()).max_by(|&a, &b| self.0[a].total_cmp(&self.0[b]));
        best.map_or(PageKind::Other, |best| PageKind::ALL[best])
    }
}

/// Evaluates the forests of pages.
pub fn page_kind(context: &PageContext) -> KindMargins {
    let mut row = Vec::new();
    describe_page(context, &mut row);
    let mut margins = [0.0; PageKind::ALL.len()];
    for (margin, forest) in margins.iter_mut().zip(&MODEL.kinds) {
        *margin = forest.margins(&row)[0];
    }
    KindMargins(margins)
}

/// The probability that a block is main text, for each block of a page.
///
/// The first forest sees each block, its neighbours and containers, and the kind of its page; the second also sees the first one's
/// probabilities of the neighbours, so that it can distinguish a short block inside a text from one beside it. The mean
/// of both is better than the second alone.
pub fn probabilities(context: &PageContext, page: &Blocks, kind: &KindMargins) -> Vec<f32> {
    let model = &*MODEL;
    let mut probabilities = Vec::with_capacity(page.blocks.len());
    let width = model.first[0].features();
    let of_page = features_of_page(context, kind);
    let mut rows = Vec::with_capacity(page.blocks.len().min(BATCH) * width);
    for start in (0..page.blocks.len()).step_by(BATCH) {
        let end = page.blocks.len().min(start + BATCH);
        rows.clear();
        for number in start..end {
            describe_alone(context, number, &mut rows);
            rows.extend_from_slice(&of_page);
        }
        first_probabilities(&model.first, &rows, end - start, &mut probabilities);
    }
    let first_pass = FirstPass::new(context, &probabilities);
    let candidates: Vec<usize> =
        (0..probabilities.len()).filter(|&number| probabilities[number] >= MIN_CANDIDATE_PROBABILITY).collect();
    let mut second = Vec::with_capacity(candidates.len());
    let mut second_rows = Vec::with_capacity(candidates.len().min(BATCH) * model.second.features());
    for batch in candidates.chunks(BATCH) {
        second_rows.clear();
        for &number in batch {
            describe_first_pass(&first_pass, number, &mut second_rows);
            if page.blocks.len() <= BATCH {
                second_rows.extend_from_slice(&rows[number * width..][..width]);
            } else {
                describe_alone(context, number, &mut second_rows);
                second_rows.extend_from_slice(&of_page);
            }
        }
        second.extend(model.second.margins(&second_rows));
    }
    for (number, margin) in candidates.into_iter().zip(second) {
        probabilities[number] = (probabilities[number] + sigmoid(margin)) / 2.0;
    }
    probabilities
}

/// The features that all blocks of a page have in common, which are the last ones of each.
fn features_of_page(context: &PageContext, kind: &KindMargins) -> Vec<f32> {
    let mut features = Vec::new();
    describe_in_common(context, &mut features);
    features.extend_from_slice(&kind.0);
    features
}

/// Appends the first forest's probability of each block of a batch. Most blocks of a page are plain boilerplate, which
/// a part of the trees recognises; the others are not evaluated for them.
fn first_probabilities([early, late]: &[Forest; 2], rows: &[f32], blocks: usize, to: &mut Vec<f32>) {
    let margins = early.margins(rows);
    let open: Vec<usize> = (0..blocks).filter(|&number| margins[number] >= MIN_EARLY_MARGIN).collect();
    let mut open_margins: Vec<f32> = open.iter().map(|&number| margins[number]).collect();
    late.add(rows, &open, &mut open_margins);
    let first = to.len();
    to.resize(first + blocks, BOILERPLATE_PROBABILITY);
    for (number, margin) in open.into_iter().zip(open_margins) {
        to[first + number] = sigmoid(margin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::blocks;
    use crate::features::{FeatureNames, describe};
    use crate::head::Head;
    use crate::html::{ParseOptions, parse};

    /// For the two forests of blocks and for those of pages: the number of features that they were trained on, and the
    /// present one.
    fn feature_counts(context: &PageContext) -> [(usize, usize); 3] {
        let mut names = [FeatureNames::default(), FeatureNames::default(), FeatureNames::default()];
        describe(context, 0, &mut names[0]);
        describe_first_pass(&FirstPass::new(context, &vec![0.0; context.len()]), 0, &mut names[1]);
        describe_page(context, &mut names[2]);
        let [blocks, first_pass, page] = names.map(|names| names.0.len());
        let first = blocks + PageKind::ALL.len();
        let model = &*MODEL;
        [
            (model.first[0].features(), first),
            (model.second.features(), first_pass + first),
            (model.kinds[0].features(), page),
        ]
    }

    /// The hash of all names, one per line: of blocks, of blocks after the first forest, of pages.
    fn hash_of_names(context: &PageContext) -> u32 {
        let mut names = FeatureNames::default();
        describe(context, 0, &mut names);
        describe_first_pass(&FirstPass::new(context, &vec![0.0; context.len()]), 0, &mut names);
        describe_page(context, &mut names);
        crate::lexicon::hash(names.0.join("\n").as_bytes())
    }

    /// A feature was added, taken away, renamed or moved: the model has to be trained again (`train/README.md`).
    #[test]
    fn the_model_is_that_of_these_features() {
        let tree = parse("<p>text", ParseOptions::default()).unwrap();
        let (head, page) = (Head::default(), blocks(&tree));
        let context = PageContext::new(&tree, &head, &page, lexicon());
        for (of_model, of_code) in feature_counts(&context) {
            assert_eq!(of_model, of_code);
        }
        assert_eq!(BYTES.first_chunk(), Some(&hash_of_names(&context).to_le_bytes()));
    }
}
