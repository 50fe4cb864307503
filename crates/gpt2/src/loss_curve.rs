//! The loss curve of a training: rows, and a chart of them.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// A row of the loss curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// Steps done.
    pub step: u64,
    /// Mean loss of the batches since the row before, in nats per token.
    pub train_loss: f32,
    /// Loss on the validation tokens, in nats per token.
    pub validation_loss: f32,
    /// Learning rate of the last step.
    pub learning_rate: f32,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
/// Space for labels at the left and below.
const LEFT: f64 = 48.0;
const BELOW: f64 = 34.0;
const ABOVE: f64 = 12.0;
const RIGHT: f64 = 12.0;

/// Style of the chart in a file of its own; a page has its own style sheet for the same classes.
const STYLE: &str = "<style>\
    svg{font:12px sans-serif;background:#fff;color:#222}\
    .grid{stroke:#ccc}.label{fill:#555}.curve{fill:none;stroke-width:2}\
    .curve.train{stroke:#8aa4c8}.curve.validation{stroke:#c0392b}\
    .dot.train{fill:#8aa4c8}.dot.validation{fill:#c0392b}.key.train{fill:#5b7aa5}.key.validation{fill:#c0392b}\
    </style>";

/// The curve as CSV, a line for each row below the names of the columns.
pub fn loss_csv(rows: &[LossRow]) -> String {
    let line =
        |row: &LossRow| format!("{},{},{},{}\n", row.step, row.train_loss, row.validation_loss, row.learning_rate);
    let head = "step,train_loss,validation_loss,learning_rate\n".to_owned();
    rows.iter().map(line).fold(head, |csv, line| csv + &line)
}

/// The curve as an SVG file of its own, style sheet and legend included.
pub fn loss_curve_file(rows: &[LossRow]) -> String {
    let keys = format!(
        "<text class=\"key train\" x=\"{0:.0}\" y=\"26\" text-anchor=\"end\">training</text>\
         <text class=\"key validation\" x=\"{0:.0}\" y=\"42\" text-anchor=\"end\">validation</text>",
        WIDTH - RIGHT - 8.0
    );
    let head = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"260\" ";
    let svg = loss_curve(rows).replacen("<svg ", head, 1);
    svg.replacen("</title>", &format!("</title>{STYLE}"), 1).replace("</svg>", &format!("{keys}</svg>\n"))
}

/// The curve as an SVG element for a page that styles it: classes `grid`, `label`, `curve` and `dot`, the last two also `train` or `validation`.
pub fn loss_curve(rows: &[LossRow]) -> String {
    let losses = rows.iter().flat_map(|row| [row.train_loss, row.validation_loss]);
    let (min, max) = losses.fold((f32::MAX, f32::MIN), |(min, max), loss| (min.min(loss), max.max(loss)));
    let (floor, ceiling) = (f64::from(min.floor()), f64::from(max.ceil()).max(f64::from(min.floor()) + 1.0));
    let last = rows.last().map_or(1, |row| row.step).max(1) as f64;
    let x = |step: u64| LEFT + (WIDTH - LEFT - RIGHT) * step as f64 / last;
    let y = |loss: f32| ABOVE + (HEIGHT - ABOVE - BELOW) * (ceiling - f64::from(loss)) / (ceiling - floor);
    let title = "Loss by step";
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>");
    let mut tick = floor;
    while !rows.is_empty() && tick <= ceiling {
        let at = y(tick as f32);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" />\
             <text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0
        );
        tick += ((ceiling - floor) / 5.0).ceil().max(1.0);
    }
    for row in [rows.first(), rows.get(rows.len() / 2), rows.last()].into_iter().flatten() {
        let anchor = if row.step as f64 >= last { "end" } else { "middle" };
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x(row.step),
            HEIGHT - 12.0,
            row.step
        );
    }
    for (class, loss) in
        [("train", (|row| row.train_loss) as fn(&LossRow) -> f32), ("validation", |row| row.validation_loss)]
    {
        let points: Vec<String> = rows.iter().map(|row| format!("{:.1},{:.1}", x(row.step), y(loss(row)))).collect();
        let _ = write!(svg, "<polyline class=\"curve {class}\" points=\"{}\" />", points.join(" "));
        for row in rows {
            let what = format!("step {}: {class} loss {:.3}", row.step, loss(row));
            let (x, y) = (x(row.step), y(loss(row)));
            let _ = write!(
                svg,
                "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{what}</title></circle>"
            );
        }
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_two_lines_and_no_curve_has_none() {
        let row = |step, loss| LossRow { step, train_loss: loss, validation_loss: loss + 0.5, learning_rate: 0.1 };
        let svg = loss_curve_file(&[row(10, 4.5), row(20, 3.25)]);
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 4));
        assert!(svg.contains("step 20: validation loss 3.750"));
        assert!(!loss_curve(&[]).contains("NaN"));
    }
}
