//! A forward pass of one sequence in which every step has a name and can be seen or changed.
//!
//! It is written to be read beside the papers, and is the reference that the fast pass in `pass/` is tested
//! against. Left out: batches, gradients, and every trick that would save time or memory.
//!
//! | name | shape | what it is |
//! | --- | --- | --- |
//! | `wte`, `wpe`, `embed` | (T, C) | embeddings of the tokens, of their positions, and the sum |
//! | `blocks.N.ln_1`, `blocks.N.ln_2` | (T, C) | layer norms |
//! | `blocks.N.attn.q`, `.k`, `.v` | (H, T, D) | queries, keys and values; D is C / H |
//! | `blocks.N.attn.scores` | (H, T, T) | q·k / √D; −∞ where a key lies in the query's future |
//! | `blocks.N.attn.pattern` | (H, T, T) | softmax of a query's scores; 0 in its future |
//! | `blocks.N.attn.z` | (H, T, D) | values mixed by the pattern |
//! | `blocks.N.attn.out` | (T, C) | z of all heads, projected |
//! | `blocks.N.resid_mid` | (T, C) | the sum after attention |
//! | `blocks.N.mlp.pre`, `.post` | (T, 4C) | before and after GELU |
//! | `blocks.N.mlp.out` | (T, C) | projected |
//! | `blocks.N.resid_post` | (T, C) | the sum after the MLP |
//! | `ln_f` | (T, C) | the final norm; GPT-1 has none |
//! | `logits` | (T, V) | |
//!
//! The names are those that interpretability tools use; a head is always the first axis.

use crate::config::{Family, ModelConfig};
use crate::matmul::{Matrix, MatrixMut, Precision, Start, Threads, multiply};
use crate::model::{Affine, Block, Model};

/// The papers' ε.
const EPSILON: f32 = 1e-5;

/// The result of one step of a forward pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    /// Lengths of its axes, the outermost first.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub data: Vec<f32>,
}

impl Activation {
    /// Rows of its last axis: (T, C) has T of them, (H, T, D) has H·T.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + DoubleEndedIterator {
        self.data.chunks_exact(self.columns())
    }

    /// Length of the last axis.
    fn columns(&self) -> usize {
        *self.shape.last().expect("an activation has axes")
    }
}

impl Model {
    /// Runs the model over one sequence and gives the logits (T, V).
    ///
    /// `hook` gets every activation with its name, in the order of computation, and may change it: what follows is
    /// computed from the changed values. The shape must stay the same.
    ///
    /// ```
    /// let model = gpt2::Model::new(&gpt2::ModelConfig::gpt2(2, 2, 8, 6, 11), 1);
    /// let mut names = Vec::new();
    /// let logits = model.trace(&[3, 1, 4], |name, _| names.push(name.to_owned()));
    /// assert_eq!(logits.shape, [3, 11]);
    /// assert_eq!(names[3], "blocks.0.ln_1");
    /// ```
    ///
    /// # Panics
    /// If there is no token, or more than the context; if an id is past the vocabulary; if the hook changes
    /// a shape.
    pub fn trace(&self, tokens: &[u32], mut hook: impl FnMut(&str, &mut Activation)) -> Activation {
        let ModelConfig { context, vocab_size, .. } = *self.config();
        assert!(!tokens.is_empty() && tokens.len() <= context, "one token at least, the context at max");
        assert!(tokens.iter().all(|&id| (id as usize) < vocab_size), "ids lie in the vocabulary of {vocab_size}");
        let mut x = self.embed(tokens, &mut hook);
        for (layer, block) in self.layout().blocks.iter().enumerate() {
            let mut see = |name: &str, shape: &[usize], data: Vec<f32>| {
                show(&mut hook, &format!("blocks.{layer}.{name}"), shape, data)
            };
            x = match self.config().family {
                Family::Gpt1 => self.post_norm_block(block, x, &mut see),
                Family::Gpt2 => self.pre_norm_block(block, x, &mut see),
            };
        }
        let (t, c) = (tokens.len(), self.config().channels);
        if let Some(ln_f) = &self.layout().ln_f {
            x = show(&mut hook, "ln_f", &[t, c], self.layer_norm(&x, ln_f));
        }
        let logits = show(&mut hook, "logits", &[t, vocab_size], self.unembed(&x));
        Activation { shape: vec![t, vocab_size], data: logits }
    }

    /// The names that [`Model::trace`] gives, in its order.
    pub fn activation_names(&self) -> Vec<String> {
        let block = match self.config().family {
            Family::Gpt1 => [&ATTENTION[..], &["resid_mid", "ln_1"], &MLP, &["resid_post", "ln_2"]].concat(),
            Family::Gpt2 => [&["ln_1"], &ATTENTION[..], &["resid_mid", "ln_2"], &MLP, &["resid_post"]].concat(),
        };
        let mut names: Vec<String> = ["wte", "wpe", "embed"].map(str::to_owned).into();
        for layer in 0..self.config().layers {
            names.extend(block.iter().map(|name| format!("blocks.{layer}.{name}")));
        }
        names.extend(self.layout().ln_f.as_ref().map(|_| "ln_f".to_owned()));
        names.push("logits".to_owned());
        names
    }

    /// The name of the activation that block `layer` passes on to the next.
    pub fn block_output(&self, layer: usize) -> String {
        match self.config().family {
            Family::Gpt1 => format!("blocks.{layer}.ln_2"),
            Family::Gpt2 => format!("blocks.{layer}.resid_post"),
        }
    }

    /// Logit lens: the logits (T, V) that the residual stream `x` (T, C) between two blocks would give if it were the
    /// last, by the final norm (GPT-1 has none) and the output projection.
    pub fn logit_lens(&self, x: &[f32]) -> Vec<f32> {
        match &self.layout().ln_f {
            Some(ln_f) => self.unembed(&self.layer_norm(x, ln_f)),
            None => self.unembed(x),
        }
    }

    /// `wte[token] + wpe[position]`: (T, C).
    fn embed(&self, tokens: &[u32], hook: &mut impl FnMut(&str, &mut Activation)) -> Vec<f32> {
        let c = self.config().channels;
        let shape = [tokens.len(), c];
        let wte = tokens.iter().flat_map(|&id| &self.wte()[id as usize * c..][..c]).copied().collect();
        let wte = show(hook, "wte", &shape, wte);
        let wpe = show(hook, "wpe", &shape, self.wpe()[..tokens.len() * c].to_vec());
        show(hook, "embed", &shape, sum(&wte, &wpe))
    }

    /// GPT-2: `x + attn(ln_1(x))`, then `x + mlp(ln_2(x))`.
    fn pre_norm_block(&self, block: &Block, x: Vec<f32>, see: &mut See<'_>) -> Vec<f32> {
        let shape = self.stream_shape(&x);
        let normed = see("ln_1", &shape, self.layer_norm(&x, &block.ln_1));
        let attn_out = self.attention(block, &normed, see);
        let x = see("resid_mid", &shape, sum(&x, &attn_out));
        let normed = see("ln_2", &shape, self.layer_norm(&x, &block.ln_2));
        let mlp_out = self.mlp(block, &normed, see);
        see("resid_post", &shape, sum(&x, &mlp_out))
    }

    /// GPT-1: `ln_1(x + attn(x))`, then `ln_2(x + mlp(x))`.
    fn post_norm_block(&self, block: &Block, x: Vec<f32>, see: &mut See<'_>) -> Vec<f32> {
        let shape = self.stream_shape(&x);
        let attn_out = self.attention(block, &x, see);
        let x = see("resid_mid", &shape, sum(&x, &attn_out));
        let x = see("ln_1", &shape, self.layer_norm(&x, &block.ln_1));
        let mlp_out = self.mlp(block, &x, see);
        let x = see("resid_post", &shape, sum(&x, &mlp_out));
        see("ln_2", &shape, self.layer_norm(&x, &block.ln_2))
    }

    /// Causal attention of all heads, projected: (T, C) from (T, C).
    fn attention(&self, block: &Block, x: &[f32], see: &mut See<'_>) -> Vec<f32> {
        let ModelConfig { heads: h, channels: c, .. } = *self.config();
        let (t, d) = (x.len() / c, c / h);
        let qkv = self.linear(x, &block.c_attn); // (T, 3C): q, k and v side by side, in each the heads
        let split = |which: usize| -> Vec<f32> {
            let of_head = |head| (0..t).flat_map(move |row| (row * 3 * c + which * c + head * d..).take(d));
            (0..h).flat_map(of_head).map(|at| qkv[at]).collect()
        };
        let q = see("attn.q", &[h, t, d], split(0));
        let k = see("attn.k", &[h, t, d], split(1));
        let v = see("attn.v", &[h, t, d], split(2));
        let mut scores = Vec::with_capacity(h * t * t);
        for (q, k) in q.chunks(t * d).zip(k.chunks(t * d)) {
            scores.extend(product(Matrix::of(q, d), Matrix::of(k, d).transposed()));
        }
        for (at, scores) in scores.chunks_mut(t).enumerate() {
            scores.iter_mut().for_each(|score| *score /= (d as f32).sqrt());
            scores[at % t + 1..].fill(f32::NEG_INFINITY);
        }
        let scores = see("attn.scores", &[h, t, t], scores);
        let pattern = scores.chunks(t).enumerate().flat_map(|(at, scores)| causal_softmax(scores, at % t)).collect();
        let pattern = see("attn.pattern", &[h, t, t], pattern);
        let mut z = Vec::with_capacity(h * t * d);
        for (pattern, v) in pattern.chunks(t * t).zip(v.chunks(t * d)) {
            z.extend(product(Matrix::of(pattern, t), Matrix::of(v, d)));
        }
        let z = see("attn.z", &[h, t, d], z);
        // (T, C): the heads side by side again.
        let joined: Vec<f32> = (0..t)
            .flat_map(|row| (0..h).flat_map(move |head| (head * t + row) * d..(head * t + row + 1) * d))
            .map(|at| z[at])
            .collect();
        see("attn.out", &[t, c], self.linear(&joined, &block.c_proj))
    }

    /// `c_proj(gelu(c_fc(x)))`: (T, C) from (T, C).
    fn mlp(&self, block: &Block, x: &[f32], see: &mut See<'_>) -> Vec<f32> {
        let [t, c] = self.stream_shape(x);
        let pre = see("mlp.pre", &[t, 4 * c], self.linear(x, &block.c_fc));
        let post = see("mlp.post", &[t, 4 * c], pre.into_iter().map(gelu).collect());
        see("mlp.out", &[t, c], self.linear(&post, &block.mlp_c_proj))
    }

    /// `(x − mean) / σ · weight + bias` of each row: (T, C) from (T, C).
    fn layer_norm(&self, x: &[f32], affine: &Affine) -> Vec<f32> {
        let (weight, bias) = affine.of(&self.weights);
        let mut y = Vec::with_capacity(x.len());
        for x in x.chunks(weight.len()) {
            let mean = x.iter().sum::<f32>() / x.len() as f32;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / x.len() as f32;
            let deviation = (variance + EPSILON).sqrt();
            y.extend(x.iter().zip(weight.iter().zip(bias)).map(|(x, (w, b))| (x - mean) / deviation * w + b));
        }
        y
    }

    /// `x · weight + bias`: (T, O) from (T, I).
    fn linear(&self, x: &[f32], affine: &Affine) -> Vec<f32> {
        let (weight, bias) = affine.of(&self.weights);
        let outputs = bias.len();
        let inputs = weight.len() / outputs;
        let mut y = product(Matrix::of(x, inputs), Matrix::of(weight, outputs));
        y.chunks_mut(outputs).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias));
        y
    }

    fn stream_shape(&self, x: &[f32]) -> [usize; 2] {
        let c = self.config().channels;
        [x.len() / c, c]
    }
}

const ATTENTION: [&str; 7] = ["attn.q", "attn.k", "attn.v", "attn.scores", "attn.pattern", "attn.z", "attn.out"];
const MLP: [&str; 3] = ["mlp.pre", "mlp.post", "mlp.out"];

/// Shows an activation of a block to the hook, and returns it as the hook left it.
type See<'a> = dyn FnMut(&str, &[usize], Vec<f32>) -> Vec<f32> + 'a;

fn show(hook: &mut impl FnMut(&str, &mut Activation), name: &str, shape: &[usize], data: Vec<f32>) -> Vec<f32> {
    let mut activation = Activation { shape: shape.to_vec(), data };
    hook(name, &mut activation);
    let len = shape.iter().product::<usize>();
    assert!(activation.shape == shape && activation.data.len() == len, "a hook keeps the shape of {name}");
    activation.data
}

/// `a · b`: (rows, columns).
fn product(a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    let (rows, columns) = (a.row_count(), b.transposed().row_count());
    let mut to = vec![0.0; rows * columns];
    let target = MatrixMut::of(&mut to, columns);
    multiply(target, Start::Zero, 1.0, a, b, Threads::All, Precision::F32);
    to
}

fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Softmax over the scores up to the query's own position; 0 for its future.
fn causal_softmax(scores: &[f32], query: usize) -> Vec<f32> {
    let past = &scores[..=query];
    let max = past.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = past.iter().map(|score| (score - max).exp()).collect();
    let total: f32 = powers.iter().sum();
    let mut pattern: Vec<f32> = powers.iter().map(|power| power / total).collect();
    pattern.resize(scores.len(), 0.0);
    pattern
}

/// GELU in the tanh form that both models use.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + ((2.0 / std::f32::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::perturbed;

    /// Largest difference, relative to the largest value.
    fn distance(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        let size = a.iter().fold(0.0f32, |max, a| max.max(a.abs()));
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / size
    }

    /// The fast pass gives what the readable one gives.
    fn check_twins(config: &ModelConfig) {
        let model = perturbed(config, 0.2);
        let tokens: Vec<u32> = (0..13).map(|i| i * i * 7 % config.vocab_size as u32).collect();
        let mut last = Vec::new();
        let output = model.block_output(config.layers - 1);
        let name = if config.family == Family::Gpt2 { "ln_f" } else { &output };
        let logits = model.trace(&tokens, |at, activation| {
            if at == name {
                last.clone_from(&activation.data);
            }
        });
        assert!(distance(&last, &model.hidden(&tokens, tokens.len())) < 1e-5);
        for (at, score) in model.score(&tokens).iter().enumerate() {
            let row = &logits.data[at * config.vocab_size..][..config.vocab_size];
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = row.iter().map(|logit| (logit - max).exp()).sum();
            let expected = row[tokens[at + 1] as usize] - max - total.ln();
            assert!((score.log_probability - expected).abs() < 1e-5 * expected.abs().max(1.0), "{score:?} {expected}");
        }
    }

    #[test]
    fn the_fast_pass_has_this_twin() {
        check_twins(&ModelConfig::gpt2(3, 4, 32, 16, 50));
        check_twins(&ModelConfig::gpt2(1, 1, 24, 13, 7));
        check_twins(&ModelConfig::gpt1(3, 4, 32, 16, 50));
    }

    #[test]
    fn names_are_those_that_come() {
        for config in [ModelConfig::gpt1(2, 2, 8, 6, 11), ModelConfig::gpt2(2, 2, 8, 6, 11)] {
            let model = perturbed(&config, 0.2);
            let mut names = Vec::new();
            model.trace(&[1, 2, 3], |name, _| names.push(name.to_owned()));
            assert_eq!(names, model.activation_names());
            assert!(names.contains(&model.block_output(1)));
        }
    }

    #[test]
    fn a_change_reaches_all_that_follows_and_nothing_before() {
        let model = perturbed(&ModelConfig::gpt2(2, 2, 8, 6, 11), 0.2);
        let run = |change: bool| {
            let mut all = Vec::new();
            model.trace(&[1, 2, 3, 4], |name, activation| {
                if change && name == "blocks.1.attn.z" {
                    activation.data.fill(0.0);
                }
                all.push((name.to_owned(), activation.clone()));
            });
            all
        };
        let at = model.activation_names().iter().position(|name| name == "blocks.1.attn.z").unwrap();
        for (place, (before, after)) in run(false).iter().zip(run(true)).enumerate() {
            assert_eq!(*before == after, place < at, "{}", before.0);
        }
    }

    #[test]
    fn patterns_are_causal_and_sum_to_1() {
        let model = perturbed(&ModelConfig::gpt1(2, 2, 8, 6, 11), 0.2);
        model.trace(&[5, 4, 3, 2], |name, activation| {
            if name.ends_with("attn.pattern") {
                for (row, weights) in activation.rows().enumerate() {
                    assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                    assert!(weights[row % 4 + 1..].iter().all(|&weight| weight == 0.0));
                }
            }
        });
    }
}
