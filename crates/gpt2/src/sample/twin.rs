//! The readable twin of the cached pass, for tests: a whole pass in f64, loop by loop as in the papers.

use crate::config::{Family, ModelConfig};
use crate::model::{Affine, Model};

/// Logits (V) after the last of `tokens`.
pub(crate) fn next_logits(model: &Model, tokens: &[u32]) -> Vec<f32> {
    let ModelConfig { family, heads, channels: c, .. } = *model.config();
    let float = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let mut x: Vec<Vec<f64>> = Vec::new(); // (T, C)
    for (position, &token) in tokens.iter().enumerate() {
        let (token, place) = (float(&model.wte()[token as usize * c..][..c]), float(&model.wpe()[position * c..][..c]));
        x.push(sum(&token, &place));
    }
    for block in &model.layout().blocks {
        let linear = |affine: &Affine, x: &[f64]| linear(model, affine, x);
        let norm = |affine: &Affine, x: &[f64]| norm(model, affine, x);
        let mlp =
            |x: &[f64]| linear(&block.mlp_c_proj, &linear(&block.c_fc, x).into_iter().map(gelu).collect::<Vec<_>>());
        let attn = |x: Vec<Vec<f64>>| {
            let qkv: Vec<Vec<f64>> = x.iter().map(|x| linear(&block.c_attn, x)).collect();
            (0..x.len()).map(|t| linear(&block.c_proj, &attention(&qkv[..=t], heads, c))).collect::<Vec<_>>()
        };
        if family == Family::Gpt2 {
            let attn_out = attn(x.iter().map(|x| norm(&block.ln_1, x)).collect());
            x = x.iter().zip(&attn_out).map(|(x, attn_out)| sum(x, attn_out)).collect();
            x = x.iter().map(|x| sum(x, &mlp(&norm(&block.ln_2, x)))).collect();
        } else {
            let attn_out = attn(x.clone());
            x = x.iter().zip(&attn_out).map(|(x, attn_out)| norm(&block.ln_1, &sum(x, attn_out))).collect();
            x = x.iter().map(|n| norm(&block.ln_2, &sum(n, &mlp(n)))).collect();
        }
    }
    let last = x.last().expect("a token");
    let last = model.layout().ln_f.as_ref().map_or(last.clone(), |ln_f| norm(model, ln_f, last));
    model.wte().chunks(c).map(|token| dot(&float(token), &last) as f32).collect()
}

/// What the last of `qkv` (T, 3C) attends to: (C).
fn attention(qkv: &[Vec<f64>], heads: usize, c: usize) -> Vec<f64> {
    let size = c / heads;
    let head = |head: usize| {
        let part = |t: usize, which: usize| &qkv[t][which * c + head * size..][..size];
        let scores = (0..qkv.len()).map(|t| dot(part(qkv.len() - 1, 0), part(t, 1)) / (size as f64).sqrt());
        let weights: Vec<f64> = scores.map(f64::exp).collect();
        let total: f64 = weights.iter().sum();
        (0..size)
            .map(|i| weights.iter().enumerate().map(|(t, weight)| weight / total * part(t, 2)[i]).sum())
            .collect::<Vec<f64>>()
    };
    (0..heads).flat_map(head).collect()
}

fn linear(model: &Model, affine: &Affine, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = affine.of(&model.weights);
    let column = |o: usize| (0..x.len()).map(|i| x[i] * f64::from(weight[i * bias.len() + o])).sum::<f64>();
    bias.iter().enumerate().map(|(o, &bias)| column(o) + f64::from(bias)).collect()
}

fn norm(model: &Model, affine: &Affine, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = affine.of(&model.weights);
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64 + 1e-5).sqrt();
    let scaled = |i: usize| (x[i] - mean) / deviation * f64::from(weight[i]) + f64::from(bias[i]);
    (0..x.len()).map(scaled).collect()
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
