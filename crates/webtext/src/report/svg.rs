//! Charts as inline SVG. Colours come from the page's style sheet, so that they follow light and dark.

use std::fmt::Write;

use filter::{MeasureTally, MeasureUnit, Side};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
/// Height reserved for labels.
const BELOW: f64 = 34.0;
const ABOVE: f64 = 12.0;
const RIGHT: f64 = 12.0;

/// A column chart with a label below and a number above each column.
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
            console::escape_html(label)
        );
    }
    svg + "</svg>"
}

/// Bars of a histogram at most; finer bins are joined.
const MAX_BARS: usize = 72;
/// Size of a histogram, about that at which it is shown.
const HISTOGRAM_WIDTH: f64 = 340.0;
const HISTOGRAM_HEIGHT: f64 = 84.0;

/// The two histograms of a measure, one in front of the other, with lines at its limits. The axis is that of the bins:
/// even for shares, by powers for counts and lengths.
pub fn histogram(tally: &MeasureTally) -> String {
    let title = format!("Histogram of {}", tally.measure.replace('_', " "));
    let (axis, unit) = (Axis::of(tally), tally.unit);
    let Some(axis) = axis else { return "<p class=note>No document has it.</p>".to_owned() };
    let joined = |histogram: &filter::Histogram| {
        let mut bars = vec![0u64; axis.bars];
        histogram.bins().for_each(|(bin, count)| bars[((bin - axis.first) as usize) / axis.bins_per_bar] += count);
        bars
    };
    let (all, others) = (joined(&tally.all), joined(&tally.kept_by_others));
    let highest = (all.iter().copied().max().unwrap_or(0).max(1) as f64).sqrt();
    let bottom = HISTOGRAM_HEIGHT - 18.0;
    let mut svg = open_of_size(&title, HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT);
    for (class, counts) in [("all", &all), ("others", &others)] {
        for (bar, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let height = ((bottom - 4.0) * (count as f64).sqrt() / highest).max(1.0);
            let from = axis.first + (bar * axis.bins_per_bar) as i32;
            let range = unit.bin_range(from).start..unit.bin_range(from + axis.bins_per_bar as i32 - 1).end;
            let _ = write!(
                svg,
                "<rect class={class} x={:.1} y={:.1} width={:.1} height={height:.1}><title>{} to {}: {} of {}</title></rect>",
                axis.x(f64::from(from)) + 0.5,
                bottom - height,
                (axis.x(f64::from(from) + axis.bins_per_bar as f64) - axis.x(f64::from(from)) - 1.0).max(1.0),
                super::rules::value(unit, range.start),
                super::rules::value(unit, range.end),
                others[bar],
                all[bar]
            );
        }
    }
    for limit in [Side::Min, Side::Max].into_iter().filter_map(|side| tally.limit(side)) {
        let x = axis.x(place(unit, limit)).clamp(1.0, HISTOGRAM_WIDTH - 1.0);
        let _ = write!(svg, "<line class=limit x1={x:.1} x2={x:.1} y1=0 y2={bottom} />");
    }
    for (bin, x, anchor) in [(axis.first, 0.0, "start"), (axis.end(), HISTOGRAM_WIDTH, "end")] {
        let label = super::rules::value(unit, unit.bin_range(bin).start);
        let _ = write!(svg, "<text class=label x={x:.1} y={:.1} text-anchor={anchor}>{label}</text>", bottom + 14.0);
    }
    svg + "</svg>"
}

/// The bins that a histogram shows: those that have a value, and those of the limits.
struct Axis {
    first: i32,
    bins_per_bar: usize,
    bars: usize,
}

impl Axis {
    fn of(tally: &MeasureTally) -> Option<Axis> {
        let bins: Vec<i32> = tally.all.bins().map(|(bin, _)| bin).collect();
        let limits = [Side::Min, Side::Max].into_iter().filter_map(|side| tally.limit(side));
        let limits: Vec<i32> = limits.map(|limit| tally.unit.bin_of(limit)).collect();
        bins.first()?;
        let first = *bins.iter().chain(&limits).min()?;
        let bins = (*bins.iter().chain(&limits).max()? - first) as usize + 1;
        let bins_per_bar = bins.div_ceil(MAX_BARS);
        Some(Axis { first, bins_per_bar, bars: bins.div_ceil(bins_per_bar) })
    }

    /// The bin behind the last bar.
    fn end(&self) -> i32 {
        self.first + (self.bars * self.bins_per_bar) as i32
    }

    fn x(&self, bin: f64) -> f64 {
        (bin - f64::from(self.first)) / (self.bars * self.bins_per_bar) as f64 * HISTOGRAM_WIDTH
    }
}

/// Where a value lies among the bins, with its part of a bin.
fn place(unit: MeasureUnit, value: f64) -> f64 {
    let bin = unit.bin_of(value);
    let range = unit.bin_range(bin);
    f64::from(bin) + ((value - range.start) / (range.end - range.start)).clamp(0.0, 1.0)
}

fn open(title: &str) -> String {
    open_of_size(title, WIDTH, HEIGHT)
}

fn open_of_size(title: &str, width: f64, height: f64) -> String {
    format!("<svg viewBox=\"0 0 {width} {height}\" role=img aria-label=\"{title}\"><title>{title}</title>")
}
