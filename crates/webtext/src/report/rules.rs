//! The section on rules: what each dropped, how its measures are spread, and documents on both sides of its limits.

use std::fmt::Write;

use console::{escape_html, grouped};
use filter::{MeasureTally, MeasureUnit, RuleTally, Side};

use super::metrics::{RunMetrics, SampledDocument};
use super::near_limits::NearLimit;
use super::page::samples;
use super::svg;

/// All rules of the recipe, in its order.
pub fn rules(metrics: &RunMetrics) -> String {
    let rules = metrics.rules();
    let mut html = String::from(
        "<p class=note>A rule drops what no rule before it drops; alone, it would drop more. Bars: \
         <span class=\"key all\"></span> all documents, <span class=\"key others\"></span> those that every other rule keeps; \
         their height is the square root of the number. Lines are the recipe's limits.</p>\
         <table><thead><tr><th>Rule<th class=number>Dropped<th class=number>Alone<th class=number>Edited<th>Cut out<tbody>",
    );
    for rule in rules {
        let cuts: Vec<String> =
            rule.cuts.iter().map(|(name, n)| format!("{} {}", grouped(*n), name.replace('_', " "))).collect();
        let _ = write!(
            html,
            "<tr><th><a href=\"#rule-{0}\"><code>{0}</code></a><td class=number>{1}<td class=number>{2}<td class=number>{3}<td class=note>{4}",
            escape_html(&rule.rule),
            grouped(rule.dropped),
            grouped(rule.dropped_alone),
            grouped(rule.edited),
            escape_html(&cuts.join(", "))
        );
    }
    html += "</table>";
    for (index, rule) in rules.iter().enumerate() {
        let _ = write!(html, "<h3 id=\"rule-{0}\"><code>{0}</code></h3><div class=measures>", escape_html(&rule.rule));
        rule.measures.iter().for_each(|tally| html += &measure(tally));
        html += "</div>";
        html += &near_limits(rule, metrics.near_limits.iter().filter(|near| near.rule == index));
    }
    html
}

/// A measure with its two histograms and its limits.
fn measure(tally: &MeasureTally) -> String {
    let name = tally.measure.replace('_', " ");
    let limits = [("at least", Side::Min), ("at most", Side::Max)];
    let limits: Vec<String> = limits
        .into_iter()
        .filter_map(|(words, side)| Some(format!("{words} {}", value(tally.unit, tally.limit(side)?))))
        .collect();
    let limits = if limits.is_empty() { "no limit".to_owned() } else { limits.join(", ") };
    format!(
        "<figure><figcaption><b>{}</b> <span class=note>{}; {limits}</span></figcaption>{}</figure>",
        escape_html(&name),
        escape_html(&tally.doc),
        svg::histogram(tally)
    )
}

/// The documents nearest to each limit of a rule, collapsed.
fn near_limits<'m>(rule: &RuleTally, limits: impl Iterator<Item = &'m NearLimit<SampledDocument>>) -> String {
    let mut html = String::new();
    let mut shown_limits = 0;
    for near in limits {
        let tally = &rule.measures[near.measure];
        let Some(limit) = tally.limit(near.side) else { continue };
        if near.within.is_empty() && near.beyond.is_empty() {
            continue;
        }
        shown_limits += 1;
        let words = if near.side == Side::Min { "at least" } else { "at most" };
        let shown = |documents: &[(f64, SampledDocument)]| {
            let with_value = |(found, sample): &(f64, SampledDocument)| SampledDocument {
                detail: format!("{} {}", tally.measure.replace('_', " "), value(tally.unit, *found)),
                ..sample.clone()
            };
            samples(&documents.iter().map(with_value).collect::<Vec<_>>(), false)
        };
        let _ = write!(
            html,
            "<h4>{} {words} {}</h4><div class=columns><div><p class=note>Kept, nearest to it</p>{}</div>\
             <div><p class=note>Dropped, nearest to it</p>{}</div></div>",
            escape_html(&tally.measure.replace('_', " ")),
            value(tally.unit, limit),
            shown(&near.within),
            shown(&near.beyond)
        );
    }
    if shown_limits == 0 {
        return html;
    }
    let summary = format!("Read the documents nearest to {}", console::count(shown_limits, "limit"));
    format!("<details><summary>{summary}</summary>{html}</details>")
}

/// A value as people write it, in three or four places.
pub fn value(unit: MeasureUnit, value: f64) -> String {
    match unit {
        MeasureUnit::Count | MeasureUnit::Chars if value.fract() == 0.0 => grouped(value as u64),
        MeasureUnit::Chars => format!("{value:.2}"),
        _ => {
            let shown = format!("{value:.4}");
            shown.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_for_people() {
        assert_eq!(value(MeasureUnit::Count, 100_000.0), "100,000");
        assert_eq!(value(MeasureUnit::Chars, 4.5), "4.50");
        assert_eq!([0.3, 0.0, 0.12345, 1.0].map(|n| value(MeasureUnit::Fraction, n)), ["0.3", "0", "0.1235", "1"]);
    }
}
