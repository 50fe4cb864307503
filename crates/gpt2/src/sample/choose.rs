//! Chooses the next token from its logits.
//!
//! Temperature, then top-k, then top-p, the order of Hugging Face's processors. Equal logits go by the lower
//! id, so that a choice is a function of logits, settings and one random number. The vocabulary is never
//! sorted as a whole: its most probable part is selected first, and only that is sorted.

use crate::sample::SampleOptions;

/// Candidates that are sorted first, when it is unknown how many top-p will keep.
const FIRST_CANDIDATES: usize = 64;

/// The id that `options` and a random number in [0, 1) choose. Time O(V).
pub(crate) fn choose(logits: &[f32], options: &SampleOptions, random: f64) -> u32 {
    if options.temperature <= 0.0 {
        return argmax(logits);
    }
    let weight = Weights::new(logits, options.temperature);
    let top_k = if options.top_k == 0 { logits.len() } else { options.top_k.min(logits.len()) };
    let top_p = f64::from(options.top_p);
    if top_k == logits.len() && top_p >= 1.0 {
        return draw((0..logits.len() as u32).map(|id| (id, weight.of(id))), random);
    }
    let mut order = Order::new(logits);
    if top_p >= 1.0 {
        let kept = order.first(top_k);
        return draw(kept.iter().map(|&id| (id, weight.of(id))), random);
    }
    // The smallest number of most probable tokens whose share of what top-k left reaches top-p; at least one.
    let total = if top_k == logits.len() {
        (0..logits.len() as u32).map(|id| weight.of(id)).sum::<f64>()
    } else {
        order.first(top_k).iter().map(|&id| weight.of(id)).sum()
    };
    let mut count = FIRST_CANDIDATES.min(top_k);
    loop {
        let (mut kept, mut sum) = (0, 0.0);
        let candidates = order.first(count);
        while kept < count && (kept == 0 || sum < top_p * total) {
            sum += weight.of(candidates[kept]);
            kept += 1;
        }
        if sum >= top_p * total || count == top_k {
            return draw(candidates[..kept].iter().map(|&id| (id, weight.of(id))), random);
        }
        count = (count * 8).min(top_k);
    }
}

/// The id with the highest logit; of equals, the lower id.
pub(crate) fn argmax(logits: &[f32]) -> u32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|&logit| logit >= max).unwrap_or(0) as u32
}

/// The `count` most probable ids, most probable first. Time O(V + count·log count).
pub(crate) fn top(logits: &[f32], count: usize) -> Vec<u32> {
    Order::new(logits).first(count.min(logits.len())).to_vec()
}

/// The id into whose interval of the cumulative weights the random number falls.
fn draw(weights: impl Iterator<Item = (u32, f64)>, random: f64) -> u32 {
    let weights: Vec<(u32, f64)> = weights.filter(|&(_, weight)| weight > 0.0).collect();
    let mut left = random * weights.iter().map(|&(_, weight)| weight).sum::<f64>();
    for &(id, weight) in &weights {
        left -= weight;
        if left < 0.0 {
            return id;
        }
    }
    weights.last().map_or(0, |&(id, _)| id) // by rounding, `left` may end at 0
}

/// Probabilities before they are divided by their sum.
struct Weights<'a> {
    logits: &'a [f32],
    max: f32,
    temperature: f64,
}

impl Weights<'_> {
    fn new(logits: &[f32], temperature: f32) -> Weights<'_> {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Weights { logits, max, temperature: f64::from(temperature) }
    }

    fn of(&self, id: u32) -> f64 {
        (f64::from(self.logits[id as usize] - self.max) / self.temperature).exp()
    }
}

/// Ids by descending logit and ascending id, sorted as far as was requested.
struct Order {
    /// A logit whose bits are inverted so that higher ones sort first, and its id.
    keys: Vec<u64>,
    ids: Vec<u32>,
}

impl Order {
    fn new(logits: &[f32]) -> Order {
        let key = |(id, &logit): (usize, &f32)| {
            // Adding 0 makes −0 equal to 0. For ascending bits in the order of the numbers, all bits of negative
            // numbers are inverted, and the sign of others. Then all bits are inverted, for descending order.
            let bits = (logit + 0.0).to_bits();
            let rising = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
            u64::from(!rising) << 32 | id as u64
        };
        Order { keys: logits.iter().enumerate().map(key).collect(), ids: Vec::new() }
    }

    /// The first `count` ids.
    fn first(&mut self, count: usize) -> &[u32] {
        if self.ids.len() < count {
            if count < self.keys.len() {
                self.keys.select_nth_unstable(count);
            }
            self.keys[..count].sort_unstable();
            self.ids = self.keys[..count].iter().map(|&key| key as u32).collect();
        }
        &self.ids[..count]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(temperature: f32, top_k: usize, top_p: f32) -> SampleOptions {
        SampleOptions { temperature, top_k, top_p, ..SampleOptions::greedy(1) }
    }

    /// The definition: all ids in order, cut by k, by p, and drawn from.
    fn twin(logits: &[f32], options: &SampleOptions) -> Vec<(u32, f64)> {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.sort_by(|&a, &b| logits[b as usize].partial_cmp(&logits[a as usize]).unwrap().then(a.cmp(&b)));
        order.truncate(if options.top_k == 0 { order.len() } else { options.top_k });
        let weight = |id: u32| {
            (f64::from(logits[id as usize] - logits[order[0] as usize]) / f64::from(options.temperature)).exp()
        };
        let total: f64 = order.iter().map(|&id| weight(id)).sum();
        let mut kept = Vec::new();
        let mut sum = 0.0;
        for &id in &order {
            if !kept.is_empty() && sum >= f64::from(options.top_p) * total {
                break;
            }
            sum += weight(id);
            kept.push((id, weight(id)));
        }
        kept.iter().map(|&(id, weight)| (id, weight / sum)).collect()
    }

    /// Evenly spread random numbers choose each id as often as its probability says, and no other.
    fn check(logits: &[f32], options: &SampleOptions) {
        let draws = 2000;
        let mut counts = vec![0; logits.len()];
        (0..draws).for_each(|i| counts[choose(logits, options, (f64::from(i) + 0.5) / f64::from(draws)) as usize] += 1);
        for (id, probability) in twin(logits, options) {
            let expected = probability * f64::from(draws);
            assert!((f64::from(counts[id as usize]) - expected).abs() <= 1.01, "{id}: {expected}, {options:?}");
            counts[id as usize] = 0;
        }
        assert!(counts.iter().all(|&count| count == 0), "{options:?}");
    }

    #[test]
    fn known_choices() {
        let logits = [1.0, 3.0, 2.0, 3.0, f32::NEG_INFINITY];
        assert_eq!(choose(&logits, &options(0.0, 0, 1.0), 0.9), 1);
        for i in 0..100 {
            let random = (f64::from(i) + 0.5) / 100.0;
            assert_eq!(choose(&logits, &options(1.0, 1, 1.0), random), 1);
            assert_eq!(choose(&logits, &options(1.0, 0, 0.0), random), 1);
            assert!([1, 3].contains(&choose(&logits, &options(1.0, 2, 1.0), random)));
            assert!([1, 3].contains(&choose(&logits, &options(0.01, 0, 1.0), random)));
        }
        assert_eq!(top(&[0.0, -0.0, -1.0, 5.0, f32::NEG_INFINITY], 9), [3, 0, 1, 2, 4]);
    }

    #[test]
    fn top_p_looks_past_its_first_candidates() {
        let logits: Vec<f32> = (0..700).map(|i| ((i * 37) % 700) as f32 / 500.0).collect();
        for top_p in [0.3, 0.9, 0.9999] {
            check(&logits, &options(1.0, 0, top_p));
            check(&logits, &options(0.7, 100, top_p));
        }
    }

    proptest! {
        #[test]
        fn choices_follow_the_definition(
            logits in prop::collection::vec(-4i8..4, 1..40),
            temperature in 0.2f32..3.0,
            top_k in 0usize..50,
            top_p in 0.0f32..1.2,
        ) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            check(&logits, &options(temperature, top_k, top_p));
        }
    }
}
