//! Charts as inline SVG. Colours come from the page's style sheet, so that they follow light and dark.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
/// Space for labels.
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

fn open(title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{title}\"><title>{title}</title>")
}
