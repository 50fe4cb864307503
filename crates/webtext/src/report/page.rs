//! The report's HTML.

use std::fmt::Write;

use records::Reason;
use pipeline::Run;

use super::figures::{Amount, Figures, Sample};
use super::{escape, svg};

/// Characters of a sample that are shown at once; the rest is behind a fold.
const EXCERPT_CHARS: usize = 600;
/// Characters of a sample that are on the page at all.
const SAMPLE_CHARS: usize = 4000;

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub fn render(run: &Run, figures: &Figures) -> anyhow::Result<String> {
    let name = run.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{0} · webtext</title><style>{STYLE}</style><body><header><h1>{0}</h1><p class=lead>{1}</p>{2}</header><main>",
        escape(&name),
        lead(figures),
        CONTENTS
    );
    section(&mut html, "funnel", "From submissions to tokens", &funnel(figures));
    section(&mut html, "drops", "What was dropped, and why", &drops(figures));
    section(&mut html, "texts", "The texts", &texts(figures));
    if !figures.curve.is_empty() {
        section(&mut html, "model", "The model", &model(figures));
    }
    section(&mut html, "kept", "Kept: read some", &samples(&figures.kept_samples, true));
    section(&mut html, "dropped", "Dropped: read some", &dropped_samples(figures));
    section(&mut html, "stages", "Stages", &stages(figures));
    section(&mut html, "recipe", "Recipe", &format!("<pre>{}</pre>", escape(&run.recipe().to_toml()?)));
    let version = env!("CARGO_PKG_VERSION");
    let _ = write!(
        html,
        "</main><footer>webtext {version}. Every number here is in manifest.json and the Parquet tables beside this page.</footer>"
    );
    Ok(html)
}

const CONTENTS: &str = "<nav><a href=#funnel>Funnel</a> <a href=#drops>Drops</a> <a href=#texts>Texts</a> <a href=#model>Model</a> \
    <a href=#kept>Kept</a> <a href=#dropped>Dropped</a> <a href=#stages>Stages</a> <a href=#recipe>Recipe</a></nav>";

fn section(html: &mut String, id: &str, title: &str, body: &str) {
    let _ = write!(html, "<section id={id}><h2>{title}</h2>{body}</section>");
}

fn lead(figures: &Figures) -> String {
    let Amount { documents, bytes } = figures.kept;
    let tokens = figures.stage("tokens.encode").and_then(|stage| stage.figures.get("tokens")).copied().unwrap_or(0.0);
    let per_token = if tokens > 0.0 { format!(" ({:.2} bytes a token)", bytes as f64 / tokens) } else { String::new() };
    format!(
        "<b>{}</b> documents, <b>{}</b> of text, <b>{}</b> tokens{per_token}",
        grouped(documents),
        human_bytes(bytes),
        grouped(tokens as u64)
    )
}

/// The steps of the path with what is left after each.
fn funnel(figures: &Figures) -> String {
    let count =
        |stage: &str, read: bool| figures.stage(stage).map(|s| if read { s.counts.read } else { s.counts.kept });
    let merged = figures
        .stage("links.merge")
        .map(|s| s.counts.read - s.counts.dropped.get(&Reason::SameLink).copied().unwrap_or(0));
    let pages = count("pages.match", false).or(count("pages.fetch", false));
    let steps = [
        ("Records in dumps", count("links.read", true)),
        ("Links to somewhere", merged),
        ("Links kept", count("links.merge", false)),
        ("Pages", pages),
        ("Documents that pass the rules", count("documents", false)),
        ("Documents without duplicates", count("shards.scatter", false)),
    ];
    let steps: Vec<(&str, u64)> = steps.into_iter().filter_map(|(label, n)| Some((label, n?))).collect();
    let most = steps.iter().map(|(_, n)| *n).max().unwrap_or(1).max(1);
    let mut html = String::from("<table class=funnel>");
    let mut before = None;
    for (label, n) in steps {
        let share =
            before.map(|before: u64| format!("{:.1}%", 100.0 * n as f64 / before.max(1) as f64)).unwrap_or_default();
        let width = 100.0 * n as f64 / most as f64;
        let _ = write!(
            html,
            "<tr><th>{label}<td class=number>{}<td class=number>{share}<td class=wide><div class=bar style=\"width:{width:.1}%\"></div>",
            grouped(n)
        );
        before = Some(n);
    }
    html += "</table><p class=note>The percentage is of the line above.</p>";
    for stage in &figures.stages {
        for unreadable in &stage.unreadable {
            let _ = write!(
                html,
                "<p class=fault>Unreadable in {}: {}: {}</p>",
                stage.stage,
                escape(&unreadable.path),
                escape(&unreadable.error)
            );
        }
    }
    html
}

fn drops(figures: &Figures) -> String {
    let all = figures.all_drops();
    let most = all.dropped.values().copied().max().unwrap_or(1).max(1);
    let mut html =
        String::from("<table><thead><tr><th>Stage<th>Reason<th class=number>Dropped<th class=wide><th>Meaning<tbody>");
    for stage in &figures.stages {
        let mut rows: Vec<_> = stage.counts.dropped.iter().collect();
        rows.sort_by_key(|&(reason, n)| (std::cmp::Reverse(*n), *reason));
        for (i, (reason, n)) in rows.into_iter().enumerate() {
            let name = if i == 0 { stage.stage.as_str() } else { "" };
            let width = 100.0 * *n as f64 / most as f64;
            let _ = write!(
                html,
                "<tr><th>{name}<td><code>{reason}</code><td class=number>{}<td class=wide><div class=bar style=\"width:{width:.1}%\"></div><td class=note>{}",
                grouped(*n),
                escape(reason.explanation())
            );
        }
    }
    html + "</table>"
}

fn texts(figures: &Figures) -> String {
    let mut html = String::from("<div class=columns><div><h3>Words a document</h3>");
    let range: Vec<u32> = match (figures.lengths.keys().next(), figures.lengths.keys().last()) {
        (Some(&first), Some(&last)) => (first..=last).collect(),
        _ => Vec::new(),
    };
    let columns: Vec<(String, u64)> = range
        .iter()
        .map(|&power| {
            (format!("{}–{}", 1u64 << power, (2u64 << power) - 1), figures.lengths.get(&power).copied().unwrap_or(0))
        })
        .collect();
    html += &svg::columns("Kept documents by words", &columns);
    html += "</div><div><h3>Languages</h3><table><thead><tr><th>Language<th class=number>Found<th class=number>Kept<th class=number>Kept bytes<tbody>";
    let mut languages: Vec<_> = figures.languages.iter().collect();
    languages.sort_by_key(|(name, (_, all))| (std::cmp::Reverse(all.documents), name.as_str()));
    for (language, (kept, all)) in languages.iter().take(20) {
        let _ = write!(
            html,
            "<tr><th>{}<td class=number>{}<td class=number>{}<td class=number>{}",
            escape(language),
            grouped(all.documents),
            grouped(kept.documents),
            human_bytes(kept.bytes)
        );
    }
    html += "</table></div><div><h3>Top domains</h3><table><thead><tr><th>Domain<th class=number>Documents<th class=number>Text<th class=number>Share<tbody>";
    let mut domains: Vec<_> = figures.domains.iter().collect();
    domains.sort_by_key(|(name, amount)| (std::cmp::Reverse(amount.bytes), name.as_str()));
    for (domain, amount) in domains.iter().take(15) {
        let share = 100.0 * amount.bytes as f64 / figures.kept.bytes.max(1) as f64;
        let name = if domain.is_empty() { "(files)" } else { domain.as_str() };
        let _ = write!(
            html,
            "<tr><th>{}<td class=number>{}<td class=number>{}<td class=number>{share:.1}%",
            escape(name),
            grouped(amount.documents),
            human_bytes(amount.bytes)
        );
    }
    html + "</table></div></div>"
}

fn model(figures: &Figures) -> String {
    let mut html = String::from("<div class=columns><div><h3>Loss, nats a token</h3>");
    html += &gpt2::loss_curve(&figures.curve);
    html += "<p class=note><span class=\"key train\"></span> training <span class=\"key validation\"></span> validation</p></div><div><h3>It says</h3>";
    if let Some(sample) = &figures.model_sample {
        let _ = write!(html, "<blockquote>{}</blockquote>", escape(sample.trim()));
    }
    if let Some(totals) = figures.stage("model.train") {
        let figure = |name: &str| totals.figures.get(name).copied().unwrap_or(0.0);
        let _ = write!(
            html,
            "<p class=note>{} parameters; validation loss {:.3}.</p>",
            grouped(figure("parameters") as u64),
            figure("validation_loss")
        );
    }
    html + "</div></div>"
}

fn samples(samples: &[Sample], open_first: bool) -> String {
    if samples.is_empty() {
        return "<p class=note>There are none.</p>".into();
    }
    let mut html = String::new();
    for (i, sample) in samples.iter().enumerate() {
        let title = if sample.title.is_empty() { &sample.url } else { &sample.title };
        let karma = sample.karma.map(|karma| format!(" · karma {karma}")).unwrap_or_default();
        let detail = if sample.detail.is_empty() { String::new() } else { format!(" · {}", escape(&sample.detail)) };
        let text: String = sample.text.chars().take(SAMPLE_CHARS).collect();
        let (excerpt, rest) = split_at_char(&text, EXCERPT_CHARS);
        let open = if open_first && i < 2 { " open" } else { "" };
        let _ = write!(
            html,
            "<details{open}><summary><b>{}</b> <span class=note>{} words{karma}{detail}</span></summary><p class=url>{}</p><div class=text>{}",
            escape(title),
            grouped(sample.words),
            escape(&sample.url),
            escape(excerpt)
        );
        if !rest.is_empty() {
            let _ = write!(html, "<details class=more><summary>more</summary>{}</details>", escape(rest));
        }
        html += "</div></details>";
    }
    html
}

fn split_at_char(text: &str, chars: usize) -> (&str, &str) {
    let at = text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    text.split_at(at)
}

fn dropped_samples(figures: &Figures) -> String {
    let mut html = String::new();
    for (reason, dropped) in &figures.dropped_samples {
        let _ = write!(
            html,
            "<h3><code>{reason}</code> <span class=note>{}</span></h3>{}",
            escape(reason.explanation()),
            samples(dropped, false)
        );
    }
    if !figures.near_duplicates.is_empty() {
        html += "<h3>Near-duplicates</h3><table><thead><tr><th>Dropped<th>Kept<th class=number>Jaccard<tbody>";
        for duplicate in &figures.near_duplicates {
            let _ = write!(
                html,
                "<tr><td>{}<td>{}<td class=number>{:.3}",
                escape(&duplicate.key),
                escape(&duplicate.representative_key),
                duplicate.jaccard
            );
        }
        html += "</table>";
    }
    html
}

fn stages(figures: &Figures) -> String {
    let mut html = String::from(
        "<table><thead><tr><th>Stage<th class=number>Tasks<th class=number>Read<th class=number>Kept<th class=number>Dropped<th>Figures<tbody>",
    );
    for stage in &figures.stages {
        let more: Vec<String> = stage
            .figures
            .iter()
            .map(|(name, value)| format!("{} {}", name.replace('_', " "), figure(*value)))
            .collect();
        let _ = write!(
            html,
            "<tr><th>{}<td class=number>{}<td class=number>{}<td class=number>{}<td class=number>{}<td class=note>{}",
            stage.stage,
            stage.tasks,
            grouped(stage.counts.read),
            grouped(stage.counts.kept),
            grouped(stage.counts.dropped_total()),
            more.join(", ")
        );
    }
    html + "</table>"
}

fn figure(value: f64) -> String {
    if value.fract() == 0.0 { grouped(value as u64) } else { format!("{value:.3}") }
}

/// 1234567 as 1,234,567.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
        assert_eq!([grouped(0), grouped(999), grouped(1000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([human_bytes(5), human_bytes(1_500), human_bytes(2_000_000)], ["5 B", "1.5 kB", "2.0 MB"]);
    }

    #[test]
    fn text_of_others_stays_text() {
        assert_eq!(escape("<script a=\"b\">&"), "&lt;script a=&quot;b&quot;&gt;&amp;");
        assert_eq!(split_at_char("äöü", 2), ("äö", "ü"));
    }
}
