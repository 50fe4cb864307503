//! The trained part: how likely each block is main text, and what kind of page it stands on.
//!
//! The forests lie in `model/forests.bin`, which `train/train.py` writes: for each forest its length in bytes
//! (4, little-endian) and the forest as [`crate::forest`] has it. First the two that look at blocks, then one
//! for each [`PageKind`]. The words of `model/lexicon.bin` are read by [`crate::lexicon`].

use std::sync::LazyLock;

use crate::PageKind;
use crate::blocks::Blocks;
use crate::features::{Context, Surroundings, describe, describe_context, describe_page};
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

/// A block whose first guess is below this is not looked at twice.
const HOPELESS: f32 = 0.01;
/// One in so many trees of the first forest is asked about every block.
const EARLY_PART: usize = 4;
/// A block whose sum is below this by then is boilerplate, and is guessed to be so.
const PLAIN: f32 = -3.0;
const PLAIN_GUESS: f32 = 0.002;
/// Blocks that are described at once; a row is a kilobyte.
const BATCH: usize = 512;

struct Model {
    first: Forest,
    second: Forest,
    kinds: Vec<Forest>,
}

impl Model {
    fn read(mut bytes: &[u8]) -> Option<Model> {
        let mut forests = Vec::new();
        while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
            let (forest, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            forests.push(Forest::read(forest)?);
            bytes = rest;
        }
        let kinds = (forests.len() == 2 + PageKind::ALL.len()).then(|| forests.split_off(2))?;
        let second = forests.pop()?;
        Some(Model { first: forests.pop()?, second, kinds })
    }
}

/// How much speaks for each kind of page, in the order of [`PageKind::ALL`].
#[derive(Debug, Clone, Copy)]
pub struct KindSums([f32; PageKind::ALL.len()]);

impl KindSums {
    /// The kind that most speaks for.
    pub fn kind(&self) -> PageKind {
        let best = (0..self.0.len()).max_by(|&a, &b| self.0[a].total_cmp(&self.0[b]));
        best.map_or(PageKind::Other, |best| PageKind::ALL[best])
    }
}

/// Asks the forests of pages.
pub fn page_kind(around: &Surroundings) -> KindSums {
    let mut row = Vec::new();
    describe_page(around, &mut row);
    let mut sums = [0.0; PageKind::ALL.len()];
    for (sum, forest) in sums.iter_mut().zip(&MODEL.kinds) {
        *sum = forest.sums(&row)[0];
    }
    KindSums(sums)
}

/// The probability that a block is main text, for each block of a page.
///
/// The first forest sees each block, what is around it, and what kind of page it stands on; the second sees
/// besides what the first made of the neighbours, so that a short block inside a text is told from one beside it.
/// The mean of both is better than the second alone.
pub fn probabilities(around: &Surroundings, page: &Blocks, kind: &KindSums) -> Vec<f32> {
    let model = &*MODEL;
    let mut guesses = Vec::with_capacity(page.blocks.len());
    let mut rows = Vec::new();
    for start in (0..page.blocks.len()).step_by(BATCH) {
        let end = page.blocks.len().min(start + BATCH);
        rows.clear();
        for number in start..end {
            describe(around, number, &mut rows);
            rows.extend_from_slice(&kind.0);
        }
        first_guesses(&model.first, &rows, end - start, &mut guesses);
    }
    let context = Context::new(around, &guesses);
    let hopeful: Vec<usize> = (0..guesses.len()).filter(|&number| guesses[number] >= HOPELESS).collect();
    let mut second = Vec::with_capacity(hopeful.len());
    let mut second_rows = Vec::new();
    for batch in hopeful.chunks(BATCH) {
        second_rows.clear();
        for &number in batch {
            describe_context(&context, number, &mut second_rows);
            if page.blocks.len() <= BATCH {
                let width = model.first.features();
                second_rows.extend_from_slice(&rows[number * width..][..width]);
            } else {
                describe(around, number, &mut second_rows);
                second_rows.extend_from_slice(&kind.0);
            }
        }
        second.extend(model.second.sums(&second_rows));
    }
    for (number, sum) in hopeful.into_iter().zip(second) {
        guesses[number] = (guesses[number] + sigmoid(sum)) / 2.0;
    }
    guesses
}

/// Appends what the first forest makes of each block of a batch. Most blocks of a page are plain boilerplate,
/// which a part of the trees tells; the others are not asked about them.
fn first_guesses(forest: &Forest, rows: &[f32], blocks: usize, to: &mut Vec<f32>) {
    let width = forest.features();
    let early = forest.trees() / EARLY_PART;
    let mut sums = vec![0.0; blocks];
    forest.add(0..early, rows, &mut sums);
    let open: Vec<usize> = (0..blocks).filter(|&number| sums[number] >= PLAIN).collect();
    let mut open_rows = Vec::with_capacity(open.len() * width);
    for &number in &open {
        open_rows.extend_from_slice(&rows[number * width..][..width]);
    }
    let mut open_sums: Vec<f32> = open.iter().map(|&number| sums[number]).collect();
    forest.add(early..forest.trees(), &open_rows, &mut open_sums);
    let first = to.len();
    to.resize(first + blocks, PLAIN_GUESS);
    for (number, sum) in open.into_iter().zip(open_sums) {
        to[first + number] = sigmoid(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::blocks;
    use crate::features::Names;
    use crate::head::Head;
    use crate::html::{Limits, parse};

    /// How many features the two forests of blocks and those of pages are made for, and how many there are.
    fn feature_counts(around: &Surroundings) -> [(usize, usize); 3] {
        let mut names = [Names::default(), Names::default(), Names::default()];
        describe(around, 0, &mut names[0]);
        describe_context(&Context::new(around, &vec![0.0; around.len()]), 0, &mut names[1]);
        describe_page(around, &mut names[2]);
        let [blocks, context, page] = names.map(|names| names.0.len());
        let first = blocks + PageKind::ALL.len();
        let model = &*MODEL;
        [(model.first.features(), first), (model.second.features(), context + first), (model.kinds[0].features(), page)]
    }

    /// A feature was added or taken away: the model has to be trained again (`train/README.md`).
    #[test]
    fn the_model_is_that_of_these_features() {
        let tree = parse("<p>text", Limits { nodes_max: 100, depth_max: 100, scripting: false }).unwrap();
        let (head, page) = (Head::default(), blocks(&tree));
        for (of_model, of_code) in feature_counts(&Surroundings::new(&tree, &head, &page, lexicon())) {
            assert_eq!(of_model, of_code);
        }
    }
}
