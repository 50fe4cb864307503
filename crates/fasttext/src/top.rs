//! The `k` best labels in the order in which fastText lists them.
//!
//! fastText keeps them in a binary heap of its standard library with the worst in front. Which of several labels with
//! the same score stays, and in which order they are listed, follows from that heap's moves, and equal scores are
//! common: a sigmoid that is looked up in a table of 512 steps ends at 1 for every score over 8. So these are the moves
//! of libstdc++'s `push_heap`, `pop_heap` and `sort_heap`.

/// Logarithm of a probability, and the index of its label.
pub(crate) type Scored = (f32, u32);

/// The best labels so far, the worst of them in front.
#[derive(Debug, Default)]
pub(crate) struct Top {
    heap: Vec<Scored>,
    max_len: usize,
}

impl Top {
    /// Empties the heap for another `k` labels.
    pub(crate) fn start(&mut self, k: usize) {
        self.heap.clear();
        self.max_len = k;
    }

    /// Whether a score cannot get in.
    pub(crate) fn refuses(&self, score: f32) -> bool {
        self.heap.len() == self.max_len && self.heap.first().is_none_or(|worst| score < worst.0)
    }

    /// Adds a label, and drops the worst when there are more than `k`.
    pub(crate) fn push(&mut self, scored: Scored) {
        self.heap.push(scored);
        let end = self.heap.len();
        sift_up(&mut self.heap, end - 1, scored);
        if end > self.max_len {
            pop(&mut self.heap);
            self.heap.pop();
        }
    }

    /// The labels, best first.
    pub(crate) fn sorted(&mut self) -> &[Scored] {
        for end in (2..=self.heap.len()).rev() {
            pop(&mut self.heap[..end]);
        }
        &self.heap
    }
}

/// Moves the front to the end, and orders the rest as a heap again.
fn pop(heap: &mut [Scored]) {
    let end = heap.len() - 1;
    let last = heap[end];
    heap[end] = heap[0];
    sift_down(&mut heap[..end], last);
}

/// Puts a value at `hole` or above it, below the first parent that is no better.
fn sift_up(heap: &mut [Scored], mut hole: usize, value: Scored) {
    while hole > 0 {
        let parent = (hole - 1) / 2;
        if heap[parent].0 <= value.0 {
            break;
        }
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = value;
}

/// Sifts the hole at the front down along the worse children, then sifts the value up from there.
fn sift_down(heap: &mut [Scored], value: Scored) {
    let Some(last) = heap.len().checked_sub(1) else { return };
    let mut hole = 0;
    while 2 * hole + 2 <= last {
        let right = 2 * hole + 2;
        let child = if heap[right].0 > heap[right - 1].0 { right - 1 } else { right };
        heap[hole] = heap[child];
        hole = child;
    }
    if 2 * hole + 1 == last {
        heap[hole] = heap[last];
        hole = last;
    }
    sift_up(heap, hole, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn top(scores: &[u8], k: usize) -> Vec<Scored> {
        let mut top = Top::default();
        top.start(k);
        for (label, &score) in scores.iter().enumerate() {
            if !top.refuses(score.into()) {
                top.push((score.into(), label as u32));
            }
        }
        top.sorted().to_vec()
    }

    proptest! {
        /// Ties apart, these are the first of the sorted list.
        #[test]
        fn scores_are_the_best_in_order(scores in prop::collection::vec(0u8..20, 0..60), k in 0usize..70) {
            let got: Vec<f32> = top(&scores, k).iter().map(|scored| scored.0).collect();
            let mut want: Vec<f32> = scores.iter().map(|&score| score.into()).collect();
            want.sort_by(|a, b| b.total_cmp(a));
            want.truncate(k);
            prop_assert_eq!(got, want);
        }
    }
}
