//! The quickstart against the truth table of its fixtures.

use std::collections::BTreeMap;
use std::process::Command;

use links::Canonical;
use records::{Document, DocumentText, Duplicate, Link, Reason};
use serde_json::Value;
use webtext_tests::{binary, check, root, rows, shared_quickstart, stderr};

fn truth() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("fixtures/expected.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows of a folder's tables by duplicate key.
fn by_key<T: store::table::Row>(folder: &str, key: impl Fn(&T) -> &String) -> BTreeMap<String, T> {
    rows::<T>(&shared_quickstart().join(folder), "").into_iter().map(|row| (key(&row).clone(), row)).collect()
}

fn key(url: &str) -> String {
    Canonical::parse(url).map_or_else(|_| url.to_owned(), |canonical| canonical.key)
}

/// The share of the words of `wanted` that stand in `text`, in shingles of four.
fn share(wanted: &str, text: &str) -> f32 {
    let shingles = |text: &str| -> std::collections::BTreeSet<String> {
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
        words.windows(4).map(|w| w.join(" ")).collect()
    };
    let (wanted, text) = (shingles(wanted), shingles(text));
    wanted.intersection(&text).count() as f32 / wanted.len().max(1) as f32
}

#[test]
fn every_link_has_the_fate_that_the_truth_table_says() {
    let links = by_key("links", |row: &Link| &row.key);
    let documents = by_key("documents", |row: &Document| &row.key);
    let texts = by_key("documents/text", |row: &DocumentText| &row.key);
    let duplicates = by_key("duplicates", |row: &Duplicate| &row.key);

    let (mut pages, mut found, mut whole) = (0, 0, 0);
    for row in truth() {
        let url = row["url"].as_str().unwrap();
        if url.is_empty() || url.len() > 2048 || row["link"] == "self post" {
            // No URL and text posts have no row; too long a one has the beginning of itself as its key.
            continue;
        }
        let link = links.get(&key(url));
        assert_eq!(row["linked"].as_bool().unwrap(), link.is_some(), "{url}");
        let Some(link) = link else { continue };
        if let Some(score) = row["max_score"].as_i64() {
            assert_eq!(link.karma, Some(score), "{url}");
        }
        // The one redirect among them leads to a page that is there.
        let is_page = matches!(row["page"].as_str(), Some("html" | "empty" | "status 301")) && link.verdict.is_none();
        assert_eq!(documents.contains_key(&link.key), is_page, "{url}: {:?}", link.verdict);
        let Some(text) = row["text"].as_str().filter(|_| is_page) else { continue };
        let (document, found_text) = (&documents[&link.key], &texts[&link.key].text);
        let kind = text.as_bytes()[0];
        let expected = match kind {
            _ if row["layout"] == "teaser" || row["layout"] == "frameset" => continue,
            b'c' => Some("language"),
            b'd' => Some("length"),
            b'w' => Some("wikipedia"),
            _ => None,
        };
        let rule = match document.verdict {
            Some(Reason::Rule { rule, .. }) => Some(rule),
            verdict => verdict.map(|_| "no rule"),
        };
        assert_eq!(rule, expected, "{url}: {:?}, {found_text}", document.verdict);
        pages += 1;
        if kind == b'a' || kind == b'b' {
            let paragraphs = match row["paragraphs"].as_array() {
                Some(paragraphs) => paragraphs.iter().map(|p| p.as_str().unwrap_or("")).collect::<Vec<_>>().join("\n"),
                None => std::fs::read_to_string(root().join(format!("fixtures/texts/{text}.txt"))).unwrap(),
            };
            found += 1;
            whole += usize::from(share(&paragraphs, found_text) > 0.85);
        }
    }
    assert!(pages > 100, "{pages}");
    assert!(whole * 100 >= found * 93, "only {whole} of {found} texts were found whole");

    // Pairs at 0.9 and above are candidates with a probability of 0.9998; those below 0.6 must never be.
    for row in truth() {
        let (Some(jaccard), Some(url)) = (row["jaccard"].as_f64(), row["url"].as_str()) else { continue };
        let Some(other) = row["near_duplicate_of"].as_str().or(row["copy_of"].as_str()) else { continue };
        let together = duplicates.get(&key(url)).map(|d| &d.representative_key).is_some_and(|k| *k == key(other))
            || duplicates.get(&key(other)).is_some_and(|d| d.representative_key == key(url))
            || matches!((duplicates.get(&key(url)), duplicates.get(&key(other))), (Some(a), Some(b)) if a.representative_key == b.representative_key);
        if jaccard >= 0.9 {
            assert!(together, "{url} and {other} at {jaccard}");
        }
        if jaccard <= 0.55 {
            assert!(!together, "{url} and {other} at {jaccard}");
        }
    }
}

#[test]
fn explain_tells_a_fate_from_submission_to_tokens() {
    let run = shared_quickstart();
    let command = |url: &str| {
        let mut command = Command::new(binary("webtext"));
        command.arg("explain").arg(run).arg(url);
        command
    };
    let explain = |url: &str| String::from_utf8(check(&mut command(url), 0).stdout).unwrap();
    let documents = rows::<Document>(&run.join("documents"), "");
    let kept = documents.into_iter().find(|d| d.verdict.is_none() && d.karma > Some(3)).unwrap();
    let text = explain(&kept.url);
    for part in ["link", "karma", "page", "document", "key"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(text.contains("text shard") || text.contains("duplicate"), "{text}");
    assert_eq!(explain(&kept.id).contains(&kept.key), text.contains(&kept.key));
    let unknown = check(&mut command("https://en.wikipedia.org/wiki/Moss"), 1);
    assert!(
        stderr(&unknown).contains("no table of this run has https://en.wikipedia.org/wiki/Moss"),
        "{}",
        stderr(&unknown)
    );
    let wikipedia = truth().into_iter().find(|row| row["url"].as_str().unwrap().contains("wikipedia.org/")).unwrap();
    assert!(explain(wikipedia["url"].as_str().unwrap()).contains("dropped: blocked_domain"));
}

#[test]
fn shards_hold_the_same_documents_in_every_form() {
    let run = shared_quickstart();
    for split in ["train", "val"] {
        let bin = std::fs::read(run.join(format!("tokens/{split}.bin"))).unwrap();
        let ids: Vec<u16> = bin.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
        let offsets = std::fs::read(run.join(format!("tokens/{split}.offsets"))).unwrap();
        let offsets: Vec<u64> =
            offsets.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap())).collect();
        assert_eq!(*offsets.last().unwrap(), ids.len() as u64);
        let end_of_text = 2047;
        assert!(offsets[1..].iter().all(|&end| ids[end as usize - 1] == end_of_text));
        assert_eq!(ids.iter().filter(|&&id| id == end_of_text).count(), offsets.len() - 1);

        let decoded = check(
            Command::new(binary("bpe"))
                .arg("decode")
                .arg(run.join(format!("tokens/{split}.bin")))
                .arg("--tokenizer")
                .arg(run.join("tokenizer")),
            0,
        );
        let mut texts = String::new();
        let shards = if split == "train" { 2 } else { 1 };
        for number in 0..shards {
            let bytes = std::fs::read(run.join(format!("shards/{split}-{number:05}.jsonl.zst"))).unwrap();
            for line in String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap().lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                texts.push_str(row["text"].as_str().unwrap());
                texts.push_str("<|endoftext|>");
            }
            // llm.c's form: a header, and end-of-text before each document.
            let llmc = std::fs::read(run.join(format!("tokens/llmc/{split}_{number:05}.bin"))).unwrap();
            let count = i32::from_le_bytes(llmc[8..12].try_into().unwrap()) as usize;
            assert_eq!((llmc.len() - 1024) / 2, count);
            assert_eq!(llmc[1024..1026], 2047u16.to_le_bytes());
        }
        assert!(String::from_utf8(decoded.stdout).unwrap() == texts, "{split} does not decode to its shards");
    }
}

#[test]
fn the_report_shows_the_rules() {
    let report = std::fs::read_to_string(shared_quickstart().join("report.html")).unwrap();
    for part in ["href=#rules", "id=\"rule-length\"", "<line class=limit", "Read the documents nearest to"] {
        assert!(report.contains(part), "no {part}");
    }
}
