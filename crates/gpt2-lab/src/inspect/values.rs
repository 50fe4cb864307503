//! Activations of one position as numbers, to be checked by hand.

use std::fmt::Write;

use gpt2::Activation;

/// Numbers of a line.
const PER_LINE: usize = 8;

/// An activation's numbers at a position: a row of (T, …); of (H, T, …) a row for each head; of scores and patterns the
/// keys up to the position. `columns` bounds the numbers of a row, 0 for all.
pub fn values(name: &str, activation: &Activation, position: usize, columns: usize) -> String {
    let [.., positions, width] = activation.shape[..] else { return format!("{name}: no rows\n") };
    let mut out = format!("{name}  {:?}\n", activation.shape);
    let is_of_keys = name.ends_with("attn.scores") || name.ends_with("attn.pattern");
    let shown = if is_of_keys { position + 1 } else { width };
    let kept = if columns == 0 { shown } else { shown.min(columns) };
    for (head, row) in activation.rows().skip(position).step_by(positions).enumerate() {
        if activation.shape.len() == 3 {
            let _ = writeln!(out, "  head {head}");
        }
        for line in row[..kept].chunks(PER_LINE) {
            let numbers: String = line.iter().map(|number| format!("{number:>9.3}")).collect();
            let _ = writeln!(out, "{numbers}");
        }
        if kept < shown {
            let _ = writeln!(out, "   … {} more", shown - kept);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_position_of_each_head() {
        let activation = Activation { shape: vec![2, 2, 3], data: (0..12).map(|i| i as f32).collect() };
        let expected =
            "z  [2, 2, 3]\n  head 0\n    3.000    4.000\n   … 1 more\n  head 1\n    9.000   10.000\n   … 1 more\n";
        assert_eq!(values("z", &activation, 1, 2), expected);
        let pattern = Activation { shape: vec![1, 2, 2], data: vec![1.0, 0.0, 0.25, 0.75] };
        assert_eq!(values("attn.pattern", &pattern, 0, 0), "attn.pattern  [1, 2, 2]\n  head 0\n    1.000\n");
    }
}
