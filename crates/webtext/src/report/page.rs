//! The report's HTML.

use std::fmt::Write;
use std::path::Path;

use console::{count, escape_html, grouped};
use pipeline::recipe::PageSource;
use pipeline::{Recipe, RecipeRun, Totals};
use records::Reason;

use super::metrics::{Amount, RunMetrics, SampledDocument};
use super::svg;

/// Unreadable inputs that are always visible; the rest is collapsed.
const MAX_UNREADABLE_SHOWN: usize = 5;
/// Characters of a sample that are always visible; the rest is collapsed.
const EXCERPT_CHARS: usize = 600;
/// Longest sample on the page, in characters.
const SAMPLE_CHARS: usize = 4000;

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub fn render(folder: &Path, run: &RecipeRun, metrics: &RunMetrics) -> anyhow::Result<String> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{0} · webtext</title><style>{STYLE}</style><body><header><h1>{0}</h1><p class=lead>{1}</p>{2}</header><main>",
        escape_html(&name),
        lead(metrics),
        contents(metrics)
    );
    let inputs = Inputs::of(&run.recipe, metrics);
    section(&mut html, "funnel", &format!("From {} to tokens", inputs.name), &funnel(metrics, &inputs));
    section(&mut html, "drops", "What was dropped, and why", &drops(metrics));
    if !metrics.rules().is_empty() {
        section(&mut html, "rules", "The rules", &super::rules::rules(metrics));
    }
    section(&mut html, "texts", "The texts", &texts(metrics));
    if !metrics.curve.is_empty() {
        section(&mut html, "model", "The model", &model(metrics));
    }
    section(&mut html, "kept", "Kept: read some", &samples(&metrics.kept_samples, true));
    section(&mut html, "dropped", "Dropped: read some", &dropped_samples(metrics));
    section(&mut html, "stages", "Stages", &stages(metrics));
    section(&mut html, "recipe", "Recipe", &format!("<pre>{}</pre>", escape_html(&run.recipe.to_toml()?)));
    let version = env!("CARGO_PKG_VERSION");
    let _ = write!(
        html,
        "</main><footer>webtext {version}. Every number here is in manifest.json and the Parquet tables beside this page.</footer>"
    );
    Ok(html)
}

/// Links to the sections that the page has.
fn contents(metrics: &RunMetrics) -> String {
    let sections = [
        ("funnel", "Funnel", true),
        ("drops", "Drops", true),
        ("rules", "Rules", !metrics.rules().is_empty()),
        ("texts", "Texts", true),
        ("model", "Model", !metrics.curve.is_empty()),
        ("kept", "Kept", true),
        ("dropped", "Dropped", true),
        ("stages", "Stages", true),
        ("recipe", "Recipe", true),
    ];
    let shown = sections.into_iter().filter(|(.., is_there)| *is_there);
    let links: Vec<String> = shown.map(|(id, name, _)| format!("<a href=#{id}>{name}</a>")).collect();
    format!("<nav>{}</nav>", links.join(" "))
}

fn section(html: &mut String, id: &str, title: &str, body: &str) {
    let _ = write!(html, "<section id={id}><h2>{title}</h2>{body}</section>");
}

fn lead(metrics: &RunMetrics) -> String {
    let Amount { documents, bytes } = metrics.kept;
    let tokens = metrics.stage("tokens.encode").map_or(0.0, |stage| stage.tally.sum("tokens"));
    let per_token =
        if tokens > 0.0 { format!(" ({:.2} bytes per token)", bytes as f64 / tokens) } else { String::new() };
    format!(
        "<b>{}</b> document{}, <b>{}</b> of text, <b>{}</b> tokens{per_token}",
        grouped(documents),
        if documents == 1 { "" } else { "s" },
        human_bytes(bytes),
        grouped(tokens as u64)
    )
}

/// What a run begins with.
struct Inputs {
    /// As the funnel's title has it.
    name: &'static str,
    /// The first line of the funnel of a run without links.
    label: &'static str,
}

impl Inputs {
    fn of(recipe: &Recipe, metrics: &RunMetrics) -> Inputs {
        let are_all = |source: PageSource| recipe.pages.iter().all(|pages| pages.from == source);
        let (name, label) = match () {
            () if metrics.stage("links.read").is_some() => ("submissions", "Captures in archives"),
            () if are_all(PageSource::Html) => ("files", "HTML files"),
            () if are_all(PageSource::Texts) => ("texts", "Texts"),
            () => ("captures", "Captures in archives"),
        };
        Inputs { name, label }
    }
}

/// The steps of the path with the number of records after each.
fn steps(metrics: &RunMetrics, inputs: &Inputs) -> Vec<(&'static str, u64)> {
    let sum = |name: &str, of: &dyn Fn(&Totals) -> u64| {
        let mut stages = metrics.stages(name).peekable();
        stages.peek()?;
        Some(stages.map(of).sum::<u64>())
    };
    let kept = |name: &str| sum(name, &|totals| totals.tally.counts.kept);
    let distinct_links = |totals: &Totals| {
        let counts = &totals.tally.counts;
        counts.read - counts.dropped.get(&Reason::SameLink).copied().unwrap_or(0)
    };
    let has_links = kept("links.merge").is_some();
    let pages = [kept("pages.match"), kept("pages.fetch"), kept("pages.copy")];
    let steps = [
        ("Records in dumps", sum("links.read", &|totals| totals.tally.counts.read)),
        ("Links to somewhere", sum("links.merge", &distinct_links)),
        ("Links kept", kept("links.merge")),
        // Links and captures are two inputs: a smaller number of one than of the other is not a loss.
        (inputs.label, kept("pages.index").filter(|_| !has_links)),
        ("Pages", pages.into_iter().flatten().reduce(|a, b| a + b)),
        ("Documents with text", kept("documents.extract")),
        ("Documents that pass the rules", kept("documents.filter")),
        ("Documents without duplicates", kept("shards.scatter")),
    ];
    steps.into_iter().filter_map(|(label, n)| Some((label, n?))).collect()
}

fn funnel(metrics: &RunMetrics, inputs: &Inputs) -> String {
    let steps = steps(metrics, inputs);
    let most = steps.iter().map(|(_, n)| *n).max().unwrap_or(1).max(1);
    let mut html = String::from("<table class=funnel>");
    let mut before = None;
    for (label, n) in steps {
        // Pages without a link may outnumber the links.
        let share = before
            .filter(|before| n <= *before)
            .map(|before: u64| format!("{:.1}%", 100.0 * n as f64 / before.max(1) as f64))
            .unwrap_or_default();
        let width = 100.0 * n as f64 / most as f64;
        let _ = write!(
            html,
            "<tr><th>{label}<td class=number>{}<td class=number>{share}<td class=wide><div class=bar style=\"width:{width:.1}%\"></div>",
            grouped(n)
        );
        before = Some(n);
    }
    html += "</table><p class=note>The percentage is of the line above.</p>";
    html + &unreadable(metrics)
}

/// The inputs that broke off; a long list is collapsed.
fn unreadable(metrics: &RunMetrics) -> String {
    let mut lines = Vec::new();
    for stage in &metrics.stages {
        for unreadable in &stage.tally.unreadable {
            lines.push(format!(
                "<p class=fault>Unreadable in {}: {}: {}</p>",
                stage.stage,
                escape_html(&unreadable.path),
                escape_html(&unreadable.error)
            ));
        }
    }
    let (shown, folded) = lines.split_at(lines.len().min(MAX_UNREADABLE_SHOWN));
    let mut html = shown.concat();
    if !folded.is_empty() {
        let are = if folded.len() == 1 { "is" } else { "are" };
        let _ = write!(
            html,
            "<details><summary class=fault>{} {are} unreadable</summary>{}</details>",
            count(folded.len() as u64, "further input"),
            folded.concat()
        );
    }
    html
}

fn drops(metrics: &RunMetrics) -> String {
    let all = metrics.all_drops();
    let most = all.dropped.values().copied().max().unwrap_or(1).max(1);
    let mut html =
        String::from("<table><thead><tr><th>Stage<th>Reason<th class=number>Dropped<th class=wide><th>Meaning<tbody>");
    for stage in &metrics.stages {
        let mut rows: Vec<_> = stage.tally.counts.dropped.iter().collect();
        rows.sort_by_key(|&(reason, n)| (std::cmp::Reverse(*n), *reason));
        for (i, (reason, n)) in rows.into_iter().enumerate() {
            let name = if i == 0 { stage.stage.as_str() } else { "" };
            let width = 100.0 * *n as f64 / most as f64;
            let _ = write!(
                html,
                "<tr><th>{name}<td><code>{reason}</code><td class=number>{}<td class=wide><div class=bar style=\"width:{width:.1}%\"></div><td class=note>{}",
                grouped(*n),
                escape_html(&metrics.explanation(*reason))
            );
        }
    }
    html + "</table>"
}

fn texts(metrics: &RunMetrics) -> String {
    let mut html = String::from("<div class=columns><div><h3>Words per document</h3>");
    let range: Vec<u32> = match (metrics.lengths.keys().next(), metrics.lengths.keys().last()) {
        (Some(&first), Some(&last)) => (first..=last).collect(),
        _ => Vec::new(),
    };
    let columns: Vec<(String, u64)> = range
        .iter()
        .map(|&power| {
            (format!("{}–{}", 1u64 << power, (2u64 << power) - 1), metrics.lengths.get(&power).copied().unwrap_or(0))
        })
        .collect();
    html += &svg::columns("Kept documents by words", &columns);
    html += "</div><div><h3>Languages, by bytes of text</h3><table><thead><tr><th>Language<th class=number>Found<th class=number>Share<th class=number>Kept<th class=number>Documents kept<tbody>";
    let mut languages: Vec<_> = metrics.languages.iter().collect();
    languages.sort_by_key(|(name, (_, all))| (std::cmp::Reverse(all.bytes), name.as_str()));
    let all_bytes: u64 = languages.iter().map(|(_, (_, all))| all.bytes).sum();
    for (language, (kept, all)) in languages.iter().take(20) {
        let _ = write!(
            html,
            "<tr><th>{}<td class=number>{}<td class=number>{:.2}%<td class=number>{}<td class=number>{} of {}",
            escape_html(language),
            human_bytes(all.bytes),
            100.0 * all.bytes as f64 / all_bytes.max(1) as f64,
            human_bytes(kept.bytes),
            grouped(kept.documents),
            grouped(all.documents)
        );
    }
    html += "</table></div><div><h3>Top domains</h3><table><thead><tr><th>Domain<th class=number>Documents<th class=number>Text<th class=number>Share<tbody>";
    let mut domains: Vec<_> = metrics.domains.iter().collect();
    domains.sort_by_key(|(name, amount)| (std::cmp::Reverse(amount.bytes), name.as_str()));
    for (domain, amount) in domains.iter().take(15) {
        let share = 100.0 * amount.bytes as f64 / metrics.kept.bytes.max(1) as f64;
        let name = if domain.is_empty() { "(files)" } else { domain.as_str() };
        let _ = write!(
            html,
            "<tr><th>{}<td class=number>{}<td class=number>{}<td class=number>{share:.1}%",
            escape_html(name),
            grouped(amount.documents),
            human_bytes(amount.bytes)
        );
    }
    html + "</table></div></div>"
}

fn model(metrics: &RunMetrics) -> String {
    let mut html = String::from("<div class=columns><div><h3>Loss, nats per token</h3>");
    html += &gpt2::loss_curve(&metrics.curve);
    html += "<p class=note><span class=\"key train\"></span> training <span class=\"key validation\"></span> validation</p></div><div><h3>It says</h3>";
    if let Some(sample) = &metrics.model_sample {
        let _ = write!(html, "<blockquote>{}</blockquote>", escape_html(sample.trim()));
    }
    if let Some(totals) = metrics.stage("model.train") {
        let _ = write!(
            html,
            "<p class=note>{} parameters; validation loss {:.3}.</p>",
            grouped(totals.tally.sum("parameters") as u64),
            totals.tally.sum("validation_loss")
        );
    }
    html + "</div></div>"
}

/// Documents behind a fold each.
pub(super) fn samples(samples: &[SampledDocument], open_first: bool) -> String {
    if samples.is_empty() {
        return "<p class=note>There are none.</p>".into();
    }
    let mut html = String::new();
    for (i, sample) in samples.iter().enumerate() {
        let title = if sample.title.is_empty() { &sample.url } else { &sample.title };
        let karma = sample.karma.map(|karma| format!(" · karma {karma}")).unwrap_or_default();
        let detail =
            if sample.detail.is_empty() { String::new() } else { format!(" · {}", escape_html(&sample.detail)) };
        let text: String = sample.text.chars().take(SAMPLE_CHARS).collect();
        let (excerpt, rest) = split_at_char(&text, EXCERPT_CHARS);
        let open = if open_first && i < 2 { " open" } else { "" };
        let _ = write!(
            html,
            "<details{open}><summary><b>{}</b> <span class=note>{}{karma}{detail}</span></summary><p class=url>{}</p><div class=text>{}",
            escape_html(title),
            count(sample.words, "word"),
            escape_html(&sample.url),
            escape_html(excerpt)
        );
        if !rest.is_empty() {
            let _ = write!(html, "<details class=more><summary>more</summary>{}</details>", escape_html(rest));
        }
        html += "</div></details>";
    }
    html
}

fn split_at_char(text: &str, chars: usize) -> (&str, &str) {
    let at = text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    text.split_at(at)
}

fn dropped_samples(metrics: &RunMetrics) -> String {
    let mut html = String::new();
    for (reason, dropped) in &metrics.dropped_samples {
        let _ = write!(
            html,
            "<h3><code>{reason}</code> <span class=note>{}</span></h3>{}",
            escape_html(&metrics.explanation(*reason)),
            samples(dropped, false)
        );
    }
    if !metrics.near_duplicates.is_empty() {
        html += "<h3>Near-duplicates</h3><table><thead><tr><th>Dropped<th>Kept<th class=number>Jaccard<tbody>";
        for duplicate in &metrics.near_duplicates {
            let _ = write!(
                html,
                "<tr><td>{}<td>{}<td class=number>{:.3}",
                escape_html(&duplicate.key),
                escape_html(&duplicate.representative_key),
                duplicate.jaccard
            );
        }
        html += "</table>";
    }
    html + &overlap(metrics)
}

/// What evaluation sets and the documents have in common.
fn overlap(metrics: &RunMetrics) -> String {
    if metrics.overlap.is_empty() {
        return String::new();
    }
    let percent = |found: u64, of: u64| if of == 0 { 0.0 } else { 100.0 * found as f64 / of as f64 };
    let mut html = String::from(
        "<h3>Overlap with evaluation sets</h3><table><thead><tr><th>Set<th class=number>Items\
         <th class=number>N-grams in the documents<th class=number>Of the documents' n-grams<tbody>",
    );
    for row in &metrics.overlap {
        let name = row.set.rsplit('/').next().unwrap_or(&row.set);
        let in_corpus = percent(row.found_in_corpus, row.set_ngrams);
        let of_corpus = percent(row.found_in_set, row.corpus_ngrams);
        let _ = write!(
            html,
            "<tr><td>{}<td class=number>{}<td class=number>{in_corpus:.2}%<td class=number>{of_corpus:.4}%",
            escape_html(name),
            grouped(row.items)
        );
    }
    html + "</table>"
}

fn stages(metrics: &RunMetrics) -> String {
    let mut html = String::from(
        "<table><thead><tr><th>Stage<th class=number>Tasks<th class=number>Read<th class=number>Kept<th class=number>Dropped<th>Metrics<tbody>",
    );
    for stage in &metrics.stages {
        let sums = stage.tally.metrics.iter();
        let more: Vec<String> =
            sums.map(|(name, metric)| format!("{} {}", name.replace('_', " "), number(metric.sum))).collect();
        let _ = write!(
            html,
            "<tr><th>{}<td class=number>{}<td class=number>{}<td class=number>{}<td class=number>{}<td class=note>{}",
            stage.stage,
            stage.tasks,
            grouped(stage.tally.counts.read),
            grouped(stage.tally.counts.kept),
            grouped(stage.tally.counts.dropped_total()),
            more.join(", ")
        );
    }
    html + "</table>"
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { grouped(value as u64) } else { format!("{value:.3}") }
}

fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([human_bytes(5), human_bytes(1_500), human_bytes(2_000_000)], ["5 B", "1.5 kB", "2.0 MB"]);
    }

    #[test]
    fn a_text_is_parted_between_characters() {
        assert_eq!(split_at_char("äöü", 2), ("äö", "ü"));
    }
}
