//! A model: its shape, and all its parameters in one flat buffer.
//!
//! Gradients and both moments of AdamW are buffers of the same order, so that clipping and updating are one pass each.
//! The computation is in `pass/`.

use std::ops::Range;

use rayon::prelude::*;

use crate::config::{Family, ModelConfig};
use crate::matmul::Start;
use crate::random::{Stream, normal};

/// A GPT: its shape and its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    config: ModelConfig,
    layout: ParameterLayout,
    pub(crate) weights: Vec<f32>,
}

/// Gradients of all weights, in the model's order. Passes add to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    flat: Vec<f32>,
    /// Whether the next pass sets them: those of the token embeddings, and all others.
    are_cleared: [bool; 2],
}

impl Gradients {
    pub(crate) fn of(flat: Vec<f32>) -> Gradients {
        Gradients { flat, are_cleared: [false; 2] }
    }

    /// All of them; [`ParameterTensor::range`] says which belong to a parameter.
    pub fn as_slice(&self) -> &[f32] {
        &self.flat
    }

    /// The same, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.flat
    }

    /// Makes them 0 for the next pass, which takes no time: until its [`Pass::backward`](crate::Pass::backward) they
    /// hold what they held.
    pub fn clear(&mut self) {
        self.are_cleared = [true; 2];
    }

    /// What the gradient of the token embeddings starts with.
    pub(crate) fn begin_embeddings(&mut self) -> Start<'static> {
        if std::mem::take(&mut self.are_cleared[0]) { Start::Zero } else { Start::Keep }
    }

    /// What the gradients of matrices start with. Those that are added up, of norms, biases and positions, become 0
    /// after [`Gradients::clear`], and so do those of the token embeddings if no loss has set them.
    pub(crate) fn begin(&mut self, model: &Model) -> Start<'static> {
        let wte = &model.layout.wte;
        if matches!(self.begin_embeddings(), Start::Zero) {
            self.flat[wte.clone()].fill(0.0);
        }
        if !std::mem::take(&mut self.are_cleared[1]) {
            return Start::Keep;
        }
        let is_added_up = |tensor: &&ParameterTensor| tensor.shape.len() == 1 || tensor.range == model.layout.wpe;
        model.tensors().iter().filter(is_added_up).for_each(|tensor| self.flat[tensor.range.clone()].fill(0.0));
        Start::Zero
    }
}

/// Where the parameters of a shape lie in the flat buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParameterLayout {
    /// (V, C): token embeddings, and the output projection, which is tied to them.
    pub(crate) wte: Range<usize>,
    /// (T, C): position embeddings.
    pub(crate) wpe: Range<usize>,
    pub(crate) blocks: Vec<Block>,
    /// The final norm; GPT-1 has none.
    pub(crate) ln_f: Option<Affine>,
    /// All of them in order, with their names.
    tensors: Vec<ParameterTensor>,
}

/// The parameters of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// (C), (C)
    pub(crate) ln_1: Affine,
    /// (C, 3C), (3C)
    pub(crate) c_attn: Affine,
    /// (C, C), (C)
    pub(crate) c_proj: Affine,
    /// (C), (C)
    pub(crate) ln_2: Affine,
    /// (C, 4C), (4C)
    pub(crate) c_fc: Affine,
    /// (4C, C), (C)
    pub(crate) mlp_c_proj: Affine,
}

/// A weight and, right after it, its bias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Affine {
    pub(crate) weight: Range<usize>,
    pub(crate) bias: Range<usize>,
}

impl Affine {
    /// Weight and bias in a buffer of the model's order.
    pub(crate) fn of<'a>(&self, flat: &'a [f32]) -> (&'a [f32], &'a [f32]) {
        (&flat[self.weight.clone()], &flat[self.bias.clone()])
    }

    /// The same, to be changed.
    pub(crate) fn of_mut<'a>(&self, flat: &'a mut [f32]) -> (&'a mut [f32], &'a mut [f32]) {
        flat[self.weight.start..self.bias.end].split_at_mut(self.weight.len())
    }
}

/// One parameter of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParameterTensor {
    /// Its name in Hugging Face's files, such as `h.3.attn.c_attn.weight`.
    pub name: String,
    /// Lengths of its axes. A linear weight is (inputs, outputs).
    pub shape: Vec<usize>,
    /// Where it lies in [`Model::weights`] and in [`Gradients`].
    pub range: Range<usize>,
}

impl ParameterTensor {
    /// Only matrices are decayed: norms and biases have one dimension.
    pub(crate) fn is_decayed(&self) -> bool {
        self.shape.len() == 2
    }
}

impl Model {
    /// A model with weights drawn from `seed`: normal with σ 0.02; GPT-2's residual projections smaller by
    /// √(2·layers), so that the sum over all blocks keeps its size.
    ///
    /// # Panics
    /// If [`ModelConfig::check`] has an error.
    pub fn new(config: &ModelConfig, seed: u64) -> Model {
        let mut model = Model::zeros(config);
        let residual = match config.family {
            Family::Gpt1 => 0.02,
            Family::Gpt2 => 0.02 / (2.0 * config.layers as f32).sqrt(),
        };
        for tensor in &model.layout.tensors {
            let deviation = if tensor.name.ends_with("c_proj.weight") { residual } else { 0.02 };
            let start = tensor.range.start;
            let weights = &mut model.weights[tensor.range.clone()];
            if tensor.is_decayed() {
                weights.par_iter_mut().enumerate().for_each(|(i, weight)| {
                    *weight = deviation * normal(seed, Stream::WEIGHTS, (start + i) as u64);
                });
            } else {
                let is_norm = tensor.name.contains("ln_") && tensor.name.ends_with("weight");
                weights.fill(if is_norm { 1.0 } else { 0.0 });
            }
        }
        model
    }

    /// A model whose weights are all 0, to be filled from a file.
    pub(crate) fn zeros(config: &ModelConfig) -> Model {
        config.check().unwrap_or_else(|error| panic!("{error}"));
        let layout = ParameterLayout::new(config);
        let len = layout.tensors.last().map_or(0, |tensor| tensor.range.end);
        Model { config: config.clone(), layout, weights: vec![0.0; len] }
    }

    /// The parameters that a model of this shape has, without making one.
    pub(crate) fn tensors_of(config: &ModelConfig) -> Vec<ParameterTensor> {
        ParameterLayout::new(config).tensors
    }

    /// The shape.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// All weights, parameter by parameter in the order of [`Model::tensors`].
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The same, to be changed.
    pub fn weights_mut(&mut self) -> &mut [f32] {
        &mut self.weights
    }

    /// Number of weights; the tied output projection counts once.
    pub fn parameters(&self) -> usize {
        self.weights.len()
    }

    /// Gradients that are all 0.
    pub fn zero_gradients(&self) -> Gradients {
        Gradients::of(vec![0.0; self.weights.len()])
    }

    /// Where each parameter lies in [`Model::weights`] and in [`Gradients`].
    pub(crate) fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// All parameters in the order of [`Model::weights`].
    ///
    /// ```
    /// let model = gpt2::Model::new(&gpt2::ModelConfig::gpt2(1, 2, 8, 6, 11), 1);
    /// let wte = &model.tensors()[0];
    /// assert_eq!((&wte.name[..], &wte.shape[..], wte.range.clone()), ("wte.weight", &[11, 8][..], 0..88));
    /// ```
    pub fn tensors(&self) -> &[ParameterTensor] {
        &self.layout.tensors
    }

    /// (V, C)
    pub(crate) fn wte(&self) -> &[f32] {
        &self.weights[self.layout.wte.clone()]
    }

    /// (T, C)
    pub(crate) fn wpe(&self) -> &[f32] {
        &self.weights[self.layout.wpe.clone()]
    }
}

impl ParameterLayout {
    fn new(config: &ModelConfig) -> ParameterLayout {
        let ModelConfig { family, layers, channels: c, context, vocab_size, .. } = *config;
        let mut list = TensorList::default();
        let [wte, wpe] = match family {
            Family::Gpt1 => ["tokens_embed.weight", "positions_embed.weight"],
            Family::Gpt2 => ["wte.weight", "wpe.weight"],
        };
        let wte = list.push(wte.into(), vec![vocab_size, c]);
        let wpe = list.push(wpe.into(), vec![context, c]);
        let block = |layer| {
            let mut affine = |name: &str, weight: &[usize]| list.push_affine(&format!("h.{layer}.{name}"), weight);
            Block {
                ln_1: affine("ln_1", &[c]),
                c_attn: affine("attn.c_attn", &[c, 3 * c]),
                c_proj: affine("attn.c_proj", &[c, c]),
                ln_2: affine("ln_2", &[c]),
                c_fc: affine("mlp.c_fc", &[c, 4 * c]),
                mlp_c_proj: affine("mlp.c_proj", &[4 * c, c]),
            }
        };
        let blocks = (0..layers).map(block).collect();
        let ln_f = match family {
            Family::Gpt1 => None,
            Family::Gpt2 => Some(list.push_affine("ln_f", &[c])),
        };
        ParameterLayout { wte, wpe, blocks, ln_f, tensors: list.tensors }
    }
}

#[derive(Default)]
struct TensorList {
    tensors: Vec<ParameterTensor>,
}

impl TensorList {
    fn push(&mut self, name: String, shape: Vec<usize>) -> Range<usize> {
        let start = self.tensors.last().map_or(0, |tensor| tensor.range.end);
        let range = start..start + shape.iter().product::<usize>();
        self.tensors.push(ParameterTensor { name, shape, range: range.clone() });
        range
    }

    /// A weight of this shape, and a bias as long as its last dimension.
    fn push_affine(&mut self, name: &str, shape: &[usize]) -> Affine {
        let weight = self.push(format!("{name}.weight"), shape.to_vec());
        let bias = self.push(format!("{name}.bias"), shape[shape.len() - 1..].to_vec());
        Affine { weight, bias }
    }
}
