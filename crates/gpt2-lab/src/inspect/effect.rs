//! What an intervention does to the prediction of the next token.

use gpt2::Activation;

use crate::inspect::logits::{log_softmax, top_k};

/// Two runs' predictions of the token after one position.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The position after which the next token is predicted.
    pub position: usize,
    /// The tokens that are most probable before or after the change, by probability before.
    pub rows: Vec<EffectRow>,
    /// The token that is watched.
    pub target: EffectRow,
    /// Kullback–Leibler divergence D(before ‖ after) at the position, in nats.
    pub divergence_nats: f64,
    /// Its mean over all positions.
    pub mean_divergence_nats: f64,
}

/// A token's natural logarithms of probability before and after a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EffectRow {
    /// The token.
    pub id: u32,
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
}

impl Effect {
    /// Compares logits (T, V) of two runs over the same tokens.
    ///
    /// `target` is the token to watch, by default the most probable one of the run before; `top` tokens of each run
    /// are listed.
    ///
    /// # Panics
    /// If the shapes differ, or position or target do not exist.
    pub fn new(before: &Activation, after: &Activation, position: usize, target: Option<u32>, top: usize) -> Effect {
        assert_eq!(before.shape, after.shape, "two runs over the same tokens");
        let pairs: Vec<_> = before.rows().map(log_softmax).zip(after.rows().map(log_softmax)).collect();
        let divergences: Vec<f64> = pairs.iter().map(|(before, after)| divergence(before, after)).collect();
        let (was, is) = &pairs[position];
        let row = |id: u32| EffectRow { id, before: was[id as usize], after: is[id as usize] };
        let mut ids = [top_k(was, top), top_k(is, top)].concat();
        ids.sort_by(|&a, &b| was[b as usize].total_cmp(&was[a as usize]).then(a.cmp(&b)));
        ids.dedup();
        Effect {
            position,
            target: row(target.unwrap_or_else(|| top_k(was, 1)[0])),
            rows: ids.into_iter().map(row).collect(),
            divergence_nats: divergences[position],
            mean_divergence_nats: divergences.iter().sum::<f64>() / divergences.len() as f64,
        }
    }
}

/// Σ p (ln p − ln q), both given as logarithms. Never negative but for rounding.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_change() {
        let logits = |row: [f32; 3]| Activation { shape: vec![2, 3], data: [[0.0; 3], row].concat() };
        let (half, quarter) = (0.5f32.ln(), 0.25f32.ln());
        let effect = Effect::new(&logits([half, quarter, quarter]), &logits([quarter, quarter, half]), 1, None, 1);
        assert_eq!(effect.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(effect.target.id, 0);
        assert!((effect.target.after - effect.target.before + std::f64::consts::LN_2).abs() < 1e-6);
        // ½·ln 2 + ¼·0 − ¼·ln 2
        assert!((effect.divergence_nats - 0.25 * std::f64::consts::LN_2).abs() < 1e-6);
        assert!((effect.mean_divergence_nats - 0.125 * std::f64::consts::LN_2).abs() < 1e-6);
    }
}
