//! Probabilities and the most probable tokens from a row of logits.

/// Natural logarithms of probability from logits.
pub(crate) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum();
    logits.iter().map(|&logit| f64::from(logit) - max - total.ln()).collect()
}

/// The `top` best of a list, best first; equals by their place.
pub(crate) fn top_k(log_probabilities: &[f64], top: usize) -> Vec<u32> {
    let better =
        |&a: &u32, &b: &u32| log_probabilities[b as usize].total_cmp(&log_probabilities[a as usize]).then(a.cmp(&b));
    let mut ids: Vec<u32> = (0..log_probabilities.len() as u32).collect();
    let top = top.clamp(1, ids.len());
    if top < ids.len() {
        ids.select_nth_unstable_by(top - 1, better);
        ids.truncate(top);
    }
    ids.sort_by(better);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_come_first_and_equals_by_id() {
        assert_eq!(top_k(&[1.0, 3.0, 2.0, 3.0], 3), [1, 3, 2]);
        assert_eq!(top_k(&[1.0, 3.0], 9), [1, 0]);
    }
}
