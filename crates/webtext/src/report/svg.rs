//! Charts as inline SVG. Colours come from the page's style sheet, so that they follow light and dark.

use std::fmt::Write;

use gpt2::LossRow;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
/// Space for labels at the left and below.
const LEFT: f64 = 48.0;
const BELOW: f64 = 34.0;
const ABOVE: f64 = 12.0;
const RIGHT: f64 = 12.0;

/// Columns with a label below and a number above each.
pub fn columns(title: &str, columns: &[(String, u64)]) -> String {
    let most = columns.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1) as f64;
    let step = (WIDTH - RIGHT) / columns.len().max(1) as f64;
    let (top, bottom) = (ABOVE + 16.0, HEIGHT - BELOW);
    let mut svg = open(title);
    for (i, (label, n)) in columns.iter().enumerate() {
        let height = (bottom - top) * *n as f64 / most;
        let (x, y) = (step * i as f64 + step * 0.12, bottom - height);
        let middle = x + step * 0.38;
        let _ = write!(
            svg,
            "<rect class=bar x={x:.1} y={y:.1} width={:.1} height={height:.1} rx=2 />\
             <text class=number x={middle:.1} y={:.1} text-anchor=middle>{n}</text>\
             <text class=label x={middle:.1} y={:.1} text-anchor=middle>{}</text>",
            step * 0.76,
            y - 5.0,
            bottom + 18.0,
            super::escape(label)
        );
    }
    svg + "</svg>"
}

/// The loss on training and validation tokens over the steps.
pub fn loss_curve(rows: &[LossRow]) -> String {
    let losses = rows.iter().flat_map(|row| [row.train_loss, row.validation_loss]);
    let (least, most) = losses.fold((f32::MAX, f32::MIN), |(least, most), loss| (least.min(loss), most.max(loss)));
    let (floor, ceiling) = (f64::from(least.floor()), f64::from(most.ceil()).max(f64::from(least.floor()) + 1.0));
    let last = rows.last().map_or(1, |row| row.step).max(1) as f64;
    let x = |step: u64| LEFT + (WIDTH - LEFT - RIGHT) * step as f64 / last;
    let y = |loss: f32| ABOVE + (HEIGHT - ABOVE - BELOW) * (ceiling - f64::from(loss)) / (ceiling - floor);
    let mut svg = open("Loss by step");
    let mut tick = floor;
    while tick <= ceiling {
        let at = y(tick as f32);
        let _ = write!(
            svg,
            "<line class=grid x1={LEFT} x2={:.1} y1={at:.1} y2={at:.1} /><text class=label x={:.1} y={:.1} text-anchor=end>{tick}</text>",
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
            "<text class=label x={:.1} y={:.1} text-anchor={anchor}>{}</text>",
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
            let _ = write!(
                svg,
                "<circle class=\"dot {class}\" cx={:.1} cy={:.1} r=3><title>{what}</title></circle>",
                x(row.step),
                y(loss(row))
            );
        }
    }
    svg + "</svg>"
}

fn open(title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{title}\"><title>{title}</title>")
}
