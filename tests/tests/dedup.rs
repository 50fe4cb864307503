//! `webtext dedup` against a twin that compares every text with every kept one, on made texts of every awkward kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dedup::spans::{SpanKind, Spans, cut_ranges, shrink_to_words};
use dedup::{NormalizedWords, jaccard};
use serde_json::{Value, json};
use tempfile::TempDir;
use webtext_tests::{binary, check, json, json_rows, recipe_of_texts, stage};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const MIN_JACCARD: f64 = 0.7;

/// Pseudo-random numbers by their place, the same ones always.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 += 1;
        xxh3_64_with_seed(&self.0.to_le_bytes(), 2357) % n
    }
}

/// Texts of words out of a vocabulary, each followed by variants of itself, and the ends of the range.
fn texts() -> Vec<String> {
    let mut draw = Draw(0);
    let mut texts: Vec<String> =
        ["", " ", "!!!", "???", "one", "One!", "one two", "潮", "潮が満ちる"].map(str::to_owned).to_vec();
    for (words, word) in [(4u64, "w"), (40, "w"), (400, "w"), (60, "汐")] {
        for group in 0..12 {
            let mut text: Vec<String> = (0..words).map(|_| format!("{word}{group}x{}", draw.below(5000))).collect();
            for _ in 0..=draw.below(6) {
                texts.push(text.join(" "));
                // The next variant changes some words of this one: chains, whose ends do not resemble each other.
                for _ in 0..draw.below(1 + words / 16) {
                    let place = draw.below(words) as usize;
                    text[place] = format!("{word}{}", draw.below(1 << 40));
                }
            }
        }
    }
    let order: Vec<u64> = (0..texts.len() as u64).map(|_| draw.below(1 << 60)).collect();
    let mut shuffled: Vec<(u64, String)> = order.into_iter().zip(texts).collect();
    shuffled.sort();
    shuffled.into_iter().map(|(_, text)| text).collect()
}

/// Whether two texts are duplicates, and their similarity.
fn similarity(a: &str, b: &str) -> Option<f64> {
    let (a, b) = (NormalizedWords::of(a), NormalizedWords::of(b));
    let value = jaccard(&a.shingles(5), &b.shingles(5)).value();
    if a.text_hash() == b.text_hash() { Some(1.0) } else { Some(value).filter(|value| *value >= MIN_JACCARD) }
}

/// The twin: the numbers of the texts that stay, in the order in which they are preferred.
fn kept_by_twin(texts: &[String], order: &[usize]) -> BTreeSet<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for &number in order {
        if !kept.iter().any(|&other| similarity(&texts[number], &texts[other]).is_some()) {
            kept.push(number);
        }
    }
    kept.into_iter().collect()
}

struct Case {
    folder: TempDir,
    texts: Vec<String>,
    inputs: Vec<PathBuf>,
}

impl Case {
    /// The texts in three files, one of them compressed.
    fn new(texts: Vec<String>) -> Case {
        let folder = tempfile::tempdir().unwrap();
        let mut inputs = Vec::new();
        let mut number = 0;
        for (part, rows) in texts.chunks(texts.len().div_ceil(3)).enumerate() {
            let lines = rows.iter().map(|text| {
                number += 1;
                format!("{}\n", json!({"number": number - 1, "text": text}))
            });
            let lines: String = lines.collect();
            let path = folder.path().join(["a.jsonl", "b.jsonl.zst", "c.jsonl"][part]);
            let bytes = if part == 1 { zstd::encode_all(lines.as_bytes(), 3).unwrap() } else { lines.into_bytes() };
            fs::write(&path, bytes).unwrap();
            inputs.push(path);
        }
        Case { folder, texts, inputs }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dedup(&self, name: &str, flags: &[&str]) -> Value {
        let mut command = Command::new(binary("webtext"));
        command.arg("dedup").args(&self.inputs).arg("-o").arg(self.out(name));
        command.arg("--dropped").arg(self.out(&format!("{name}.dropped.jsonl")));
        json(&check(command.args(["--json", "-q"]).args(flags), 0))
    }

    fn numbers(&self, name: &str) -> BTreeSet<usize> {
        json_rows(&self.out(name)).iter().map(|row| row["number"].as_u64().unwrap() as usize).collect()
    }

    /// Checks that every dropped text resembles the one that stays for it.
    fn check_dropped(&self, name: &str) {
        let kept = self.numbers(name);
        let part = self.texts.len().div_ceil(3);
        for row in json_rows(&self.out(&format!("{name}.dropped.jsonl"))) {
            let file = row["representative_file"].as_str().unwrap();
            let file = self.inputs.iter().position(|input| input.to_str() == Some(file)).unwrap();
            let representative = file * part + row["representative_row"].as_u64().unwrap() as usize - 1;
            assert!(kept.contains(&representative), "{row}");
            let similarity = similarity(row["text"].as_str().unwrap(), &self.texts[representative]);
            let said = row["jaccard"].as_f64().unwrap();
            assert!(similarity.is_some_and(|similarity| (similarity - said).abs() < 1e-6), "{row}: {similarity:?}");
            assert_eq!(row["verdict"] == "exact_duplicate", said == 1.0, "{row}");
        }
    }
}

#[test]
fn what_stays_is_what_a_comparison_of_all_pairs_keeps() {
    let case = Case::new(texts());
    // So high a recall misses none of these pairs.
    let counts = case.dedup("kept.jsonl", &["--recall", "0.999999", "--threads", "1"]);
    let order: Vec<usize> = (0..case.texts.len()).collect();
    let expected = kept_by_twin(&case.texts, &order);
    assert_eq!(case.numbers("kept.jsonl"), expected);
    assert_eq!(counts["kept"], expected.len());
    assert_eq!(counts["read"], case.texts.len());
    case.check_dropped("kept.jsonl");

    // Threads, and the memory of sorts, change nothing.
    case.dedup("again.jsonl", &["--recall", "0.999999", "--threads", "3", "--max-sort-memory-mib", "1"]);
    let read = |name: &str| fs::read(case.out(name)).unwrap();
    assert!(read("kept.jsonl") == read("again.jsonl"));
    assert_eq!(json_rows(&case.out("kept.jsonl.dropped.jsonl")), json_rows(&case.out("again.jsonl.dropped.jsonl")));

    // The longest of duplicates.
    case.dedup("longest.jsonl", &["--recall", "0.999999", "--keep", "longest"]);
    let mut order: Vec<usize> = (0..case.texts.len()).collect();
    order.sort_by_key(|&number| (std::cmp::Reverse(case.texts[number].len()), number));
    assert_eq!(case.numbers("longest.jsonl"), kept_by_twin(&case.texts, &order));
    assert_eq!(
        names(case.folder.path()).iter().filter(|name| name.starts_with('.')).count(),
        0,
        "no working files stay"
    );
}

#[test]
fn exact_copies_alone() {
    let case = Case::new(texts());
    case.dedup("kept.jsonl", &["--exact-only"]);
    let mut seen = BTreeSet::new();
    let hash = |number: &usize| NormalizedWords::of(&case.texts[*number]).text_hash();
    let expected: BTreeSet<usize> = (0..case.texts.len()).filter(|number| seen.insert(hash(number))).collect();
    assert_eq!(case.numbers("kept.jsonl"), expected);
}

#[test]
fn the_ends_of_a_chain_stay() {
    let words = |from: usize| (from..from + 100).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
    // Neighbours share 81 of 111 shingles, the ends 66 of 126.
    let chain = [0, 15, 30].map(words).to_vec();
    let case = Case::new(chain);
    assert!(
        similarity(&case.texts[0], &case.texts[1]).is_some() && similarity(&case.texts[0], &case.texts[2]).is_none()
    );
    case.dedup("stars.jsonl", &["--recall", "0.999999"]);
    assert_eq!(case.numbers("stars.jsonl"), [0, 2].into());
    case.dedup("transitive.jsonl", &["--recall", "0.999999", "--clusters", "transitive"]);
    assert_eq!(case.numbers("transitive.jsonl"), [0].into());
}

#[test]
fn a_text_many_times_and_a_template_many_times() {
    let copies = |n: usize| std::iter::repeat_n("The tide comes in and goes out, as the almanac says.".to_owned(), n);
    // Half of each page is the template, so thousands of pages share bands and none is a duplicate but the last.
    let template: String = (0..60).map(|word| format!("menu{word} ")).collect();
    let page =
        |page: usize| format!("{template}{}", (0..60).map(|word| format!("p{page}w{word} ")).collect::<String>());
    let texts: Vec<String> = copies(3_000).chain((0..3_000).map(page)).chain([page(17)]).collect();
    let case = Case::new(texts);
    let counts = case.dedup("kept.jsonl", &["--max-sort-memory-mib", "1"]);
    assert_eq!((&counts["kept"], &counts["dropped"]["exact_duplicate"]), (&json!(3_001), &json!(3_000)));
}

#[test]
fn flags_without_a_meaning_are_refused() {
    let case = Case::new(vec!["The tide.".to_owned()]);
    for (flags, expected) in [
        (&["--min-bytes", "5"][..], "--by substring"),
        (&["--by", "line", "--sentences", "2"], "--by sentence"),
        (&["--by", "substring", "--within", "domain"], "--by line"),
        (&["--by", "line", "--keep", "longest"], "--by document"),
        (&["--by", "line", "--min-jaccard", "0.8"], "--by document"),
        (&["--recall", "1"], "between 0 and 1"),
        (&["--bands", "0", "--rows", "2"], "at least 1"),
        (&["--min-jaccard", "NaN"], "above 0"),
    ] {
        let mut command = Command::new(binary("webtext"));
        let output = check(command.arg("dedup").args(&case.inputs).arg("-o").arg(case.out("out.jsonl")).args(flags), 2);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{flags:?}: {said}");
        assert!(!case.out("out.jsonl").exists());
    }
}

#[test]
fn rows_of_every_kind_pass_or_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let deep = format!("{{\"text\": \"a\", \"x\": {}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let rows = [
        r#"{"text": "One two three", "url": 5}"#,
        r#"{"text": "One two four", "url": ["x"]}"#,
        r#"{"text": "One two five", "url": "\ud800"}"#,
        &deep,
    ];
    fs::write(folder.path().join("in.jsonl"), rows.join("\n")).unwrap();
    for by in ["document", "line", "substring"] {
        let mut command = Command::new(binary("webtext"));
        command.args(["dedup", "in.jsonl", "-o", "made/out.jsonl", "--by", by, "--json"]).current_dir(folder.path());
        let output = check(&mut command, 3);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("in.jsonl, line 4: its JSON is nested"), "{said}");
        assert_eq!((&json(&output)["kept"], &json(&output)["dropped"]["malformed_record"]), (&json!(3), &json!(1)));
    }
}

#[test]
fn texts_of_no_domain_have_no_furniture() {
    let line = "This line of eight words is on every page";
    let rows = (0..5).map(|n| format!("{}\n", json!({"text": format!("{line}\nPage {n}"), "url": "no address"})));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.jsonl"), rows.collect::<String>()).unwrap();
    let mut command = Command::new(binary("webtext"));
    command.args([
        "dedup",
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--by",
        "line",
        "--within",
        "domain",
        "--min-documents",
        "3",
    ]);
    check(command.current_dir(folder.path()), 0);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("in.jsonl"), read("out.jsonl"));
}

#[test]
fn an_overfull_filter_fails() {
    let folder = tempfile::tempdir().unwrap();
    let text = |page: usize| (0..200).map(|word| format!("p{page}w{word} ")).collect::<String>();
    let lines = (0..50).map(|page| format!("{}\n", json!({ "text": text(page) })));
    fs::write(folder.path().join("texts.jsonl"), lines.collect::<String>()).unwrap();
    let build = |expected: &str, code: i32| {
        let recipe = recipe_of_texts(&format!("ngram_bloom = {{ expected_ngrams = {expected} }}"));
        fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
        let mut command = Command::new(binary("webtext"));
        command.arg("build").arg(folder.path().join("recipe.toml")).arg("--out").arg(folder.path().join("run"));
        String::from_utf8(check(command.arg("-q"), code).stderr).unwrap()
    };
    assert!(build("1000", 1).contains("expected_ngrams"));
    assert!(build("0", 2).contains("expected_ngrams is at least 1"));
    build("10_000", 0);
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect()
}

/// Texts of some lines of a few, of two domains; a copy in another domain is none within one.
fn pages() -> Vec<(String, String)> {
    let mut draw = Draw(1 << 32);
    let line = |number: u64| format!("Line {number} tells of the harbour and its {number} boats, as ever");
    let page = |number: u64| {
        let lines: Vec<String> = (0..1 + draw.below(6)).map(|_| line(draw.below(40))).collect();
        let own = format!("Page {number} alone has this line of eight words or more");
        let url = format!("https://www.{}.example/{number}", ["tide", "gulls"][(number % 2) as usize]);
        (url, format!("{}\n\nMenu\n{own}\n", lines.join("\n")))
    };
    // Two more pages with a line, and a page of that line alone.
    let with =
        |number: u64| (format!("https://tide.example/{number}"), format!("{}\nPage {number} ends here", line(3)));
    (0..60).map(page).chain([with(60), with(62), ("https://tide.example/x".to_owned(), line(3))]).collect()
}

/// The twin: what is left of each text, by counting the lines in a map.
fn cut_by_twin(pages: &[(String, String)], within_domain: bool, min_documents: Option<u64>) -> Vec<Option<String>> {
    let rule = Spans { kind: SpanKind::Lines, min_words: 8 };
    let domain = |url: &str| if within_domain { url.contains("gulls").to_string() } else { String::new() };
    let mut documents: BTreeMap<(String, u64), BTreeSet<usize>> = BTreeMap::new();
    for (number, (url, text)) in pages.iter().enumerate() {
        for unit in rule.divide(text).units() {
            documents.entry((domain(url), unit.hash)).or_default().insert(number);
        }
    }
    let mut seen = BTreeSet::new();
    let left = pages.iter().map(|(url, text)| {
        let edit = rule.divide(text).cut(|unit| {
            let key = (domain(url), unit.hash);
            let is_later = !seen.insert(key.clone());
            min_documents.map_or(is_later, |min| documents[&key].len() as u64 >= min)
        });
        let left = edit.map_or_else(|| text.clone(), |edit| edit.text);
        (!left.trim().is_empty()).then_some(left)
    });
    left.collect()
}

#[test]
fn lines_are_cut_as_a_count_of_them_says() {
    let pages = pages();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (first, second) = pages.split_at(25);
    for (name, part) in [("a.jsonl", first), ("b.jsonl", second)] {
        let lines = part.iter().map(|(url, text)| format!("{}\n", json!({"url": url, "text": text})));
        fs::write(path(name), lines.collect::<String>()).unwrap();
    }
    let cut = |out: &str, flags: &[&str]| {
        let mut command = Command::new(binary("webtext"));
        command.arg("dedup").args(["a.jsonl", "b.jsonl", "-o", out, "--by", "line", "--json", "-q"]).args(flags);
        let counts = json(&check(command.arg("--dropped").arg("dropped.jsonl").current_dir(folder.path()), 0));
        (counts, json_rows(&path(out)))
    };
    for (flags, within_domain, min_documents) in [
        (&[][..], false, None),
        (&["--within", "domain"], true, None),
        (&["--within", "domain", "--min-documents", "3"], true, Some(3)),
        (&["--min-documents", "4"], false, Some(4)),
    ] {
        let (counts, kept) = cut("kept.jsonl", &[flags, &["--threads", "1"]].concat());
        let expected = cut_by_twin(&pages, within_domain, min_documents);
        let texts: Vec<&str> = kept.iter().map(|row| row["text"].as_str().unwrap()).collect();
        assert_eq!(texts, expected.iter().flatten().collect::<Vec<_>>(), "{flags:?}");
        assert_eq!(counts["kept"], texts.len());
        assert_eq!(json_rows(&path("dropped.jsonl")).len(), pages.len() - texts.len(), "{flags:?}");
        let (_, again) = cut("again.jsonl", &[flags, &["--threads", "3", "--max-sort-memory-mib", "1"]].concat());
        assert!(kept == again);
    }
    // The last page has one line, which an earlier one has, too.
    let (counts, _) = cut("kept.jsonl", &[]);
    assert!(counts["dropped"]["too_little_left"].as_u64().unwrap() >= 1, "{counts}");
}

#[test]
fn a_run_cuts_what_the_pages_of_a_domain_have_in_common() {
    let folder = tempfile::tempdir().unwrap();
    let lines = pages().into_iter().map(|(url, text)| format!("{}\n", json!({"url": url, "text": text})));
    fs::write(folder.path().join("texts.jsonl"), lines.collect::<String>()).unwrap();
    let recipe = recipe_of_texts(
        r#"spans = [
            { unit = "line", within = "domain", min_documents = 3 },
            { unit = "sentence", dialect = "datatrove-0.10" },
        ]
        substrings = { min_bytes = 1000 }"#,
    );
    fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    let run = folder.path().join("run");
    let mut command = Command::new(binary("webtext"));
    command.arg("build").arg(folder.path().join("recipe.toml")).arg("--out").arg(&run).args(["--json", "-q"]);
    let summary = json(&check(&mut command, 0));
    let counts = |name: &str| stage(&summary, name)["counts"].clone();
    // Datatrove's dialect drops texts of fewer than three sentences, if it cuts any; these stay as the first rule left them.
    let exact = counts("shards.scatter")["dropped"]["exact_duplicate"].as_u64().unwrap_or(0);
    assert_eq!(counts("dedup.cut")["read"].as_u64().unwrap() + exact, 63);
    assert!(
        stage(&summary, "dedup.cut")["metrics"]["cut_spans"]["sum"].as_f64().is_some_and(|spans| spans > 0.0),
        "{summary}"
    );
    let cut: Vec<records::CutSpans> = webtext_tests::rows(&run.join("duplicates"), "spans-00");
    assert!(!cut.is_empty());
    let shards: String = shard_texts(&run);
    let expected = cut_by_twin(&pages(), true, Some(3));
    let texts: BTreeSet<&str> = expected.iter().flatten().map(|text| text.trim()).collect();
    for text in shards.split('\0').filter(|text| !text.is_empty()) {
        assert!(texts.contains(text.trim()), "{text}");
    }
    let explained = check(Command::new(binary("webtext")).arg("explain").arg(&run).arg("https://tide.example/x"), 0);
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.contains("too_little_left") && explained.contains("1, "), "{explained}");
}

/// A run of these texts, by number, against earlier ones in the same folder; returns the numbers of the dropped ones.
fn build_against(folder: &Path, name: &str, texts: &[(usize, String)], dedup: &str) -> BTreeSet<String> {
    let row = |(number, text): &(usize, String)| {
        format!("{}\n", json!({"url": format!("https://tide.example/{number}"), "text": text}))
    };
    fs::write(folder.join("texts.jsonl"), texts.iter().map(row).collect::<String>()).unwrap();
    let recipe = recipe_of_texts(&format!("{dedup}\n[limits]\nbuckets = 3"));
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let mut command = Command::new(binary("webtext"));
    command.args(["build", "recipe.toml", "-q", "--out", name]).current_dir(folder);
    check(&mut command, 0);
    let dropped: Vec<records::Duplicate> = webtext_tests::rows(&folder.join(name).join("duplicates"), "0");
    dropped.into_iter().map(|row| row.key).collect()
}

#[test]
fn a_run_against_an_earlier_one_drops_what_both_together_would() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let texts: Vec<(usize, String)> = texts().into_iter().enumerate().filter(|(_, text)| text.len() > 3).collect();
    let (old, new) = texts.split_at(texts.len() / 2);
    let near = "near = { min_jaccard = 0.7, recall = 0.999999 }";
    let with_fingerprints = format!("fingerprints = true\n{near}");
    let dropped_of_old = build_against(folder, "old", old, &with_fingerprints);
    // The texts of the earlier run are not needed.
    for gone in ["documents", "shards", "tokens", "work", "pages"] {
        let _ = fs::remove_dir_all(folder.join("old").join(gone));
    }
    let against = format!("against = [\"old\"]\n{near}");
    let dropped = build_against(folder, "new", new, &against);

    // The twin: old texts that stayed, then new ones in the order of their ids.
    let key = |number: usize| format!("example,tide)/{number}");
    let stayed = old.iter().filter(|(number, _)| !dropped_of_old.contains(&key(*number)));
    let mut kept: Vec<&str> = stayed.map(|(_, text)| text.as_str()).collect();
    let mut in_order: Vec<(String, &(usize, String))> =
        new.iter().map(|text| (records::document_id(&key(text.0)), text)).collect();
    in_order.sort();
    let mut expected = BTreeSet::new();
    for (_, (number, text)) in in_order {
        match kept.iter().any(|other| similarity(text, other).is_some()) {
            true => drop(expected.insert(key(*number))),
            false => kept.push(text),
        }
    }
    assert_eq!(dropped, expected);
    let rows: Vec<records::Duplicate> = webtext_tests::rows(&folder.join("new/duplicates"), "0");
    let of_old = rows.iter().filter(|row| row.representative_run.is_some()).count();
    assert!(of_old > 5 && of_old < rows.len(), "{of_old} of {}", rows.len());
    let row = rows.iter().find(|row| row.representative_run.is_some()).unwrap();
    let explained = check(Command::new(binary("webtext")).args(["explain", "new", &row.id]).current_dir(folder), 0);
    assert!(String::from_utf8(explained.stdout).unwrap().contains("in the run "));

    // Other shingles cannot be compared, and a run without fingerprints is named.
    for (dedup, said) in [
        ("against = [\"old\"]\nnear = { min_jaccard = 0.7, shingle_words = 6 }", "shingles of 5 words"),
        ("against = [\"new\"]", "has no fingerprints"),
        ("against = [\"nowhere\"]", "is not the folder of a run"),
    ] {
        let recipe = recipe_of_texts(dedup);
        fs::write(folder.join("recipe.toml"), recipe).unwrap();
        let mut command = Command::new(binary("webtext"));
        let output = command.args(["build", "recipe.toml", "-q", "--out", "x"]).current_dir(folder).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains(said), "{dedup}: {stderr}");
    }
}

#[test]
fn rows_of_earlier_files_stay_and_are_not_written() {
    let all = texts();
    let (old, new) = all.split_at(all.len() / 2);
    let case = Case::new(new.to_vec());
    let lines = old.iter().map(|text| format!("{}\n", json!({ "text": text })));
    fs::write(case.out("old.jsonl"), lines.collect::<String>()).unwrap();
    let old_path = case.out("old.jsonl");
    let against = ["--against", old_path.to_str().unwrap(), "--recall", "0.999999"];
    let counts = case.dedup("kept.jsonl", &against);
    let mut kept: Vec<&String> = old.iter().collect();
    let mut expected = BTreeSet::new();
    for (number, text) in new.iter().enumerate() {
        if !kept.iter().any(|other| similarity(text, other).is_some()) {
            expected.insert(number);
            kept.push(text);
        }
    }
    assert_eq!((case.numbers("kept.jsonl"), &counts["read"]), (expected, &json!(new.len())));
}

#[test]
fn a_run_filters_n_grams_that_came_before_and_cuts_substrings() {
    let folder = tempfile::tempdir().unwrap();
    let words = |from: usize, to: usize| (from..to).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
    // A second paragraph that is the first one of the text before, and a third text that is nearly the first.
    let texts = [
        words(0, 60),
        format!("{}\n{}", words(100, 160), words(0, 59)),
        words(1, 60),
        format!("{} {} {}", words(200, 230), words(110, 150), words(300, 330)),
    ];
    let lines = texts.iter().map(|text| format!("{}\n", json!({ "text": text })));
    fs::write(folder.path().join("texts.jsonl"), lines.collect::<String>()).unwrap();
    let recipe = recipe_of_texts(
        "ngram_bloom = { expected_ngrams = 10_000, max_false_positive_rate = 1e-6 }\nsubstrings = { min_bytes = 100 }",
    );
    fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    let run = folder.path().join("run");
    let mut command = Command::new(binary("webtext"));
    command.arg("build").arg(folder.path().join("recipe.toml")).arg("--out").arg(&run).args(["--json", "-q"]);
    let summary = json(&check(&mut command, 0));
    let mut left: Vec<String> =
        shard_texts(&run).split('\0').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    left.sort();
    let without = format!("{} {}", words(200, 230), words(300, 330));
    assert_eq!(left, [texts[0].clone(), words(100, 160), without], "{summary}");
    assert_eq!(stage(&summary, "shards.scatter")["counts"]["dropped"]["too_little_left"], 1);
}

/// The texts of the training shards, each with a NUL behind it.
fn shard_texts(run: &Path) -> String {
    let shards = names(&run.join("shards")).into_iter().filter(|name| name.starts_with("train-"));
    let texts = shards.flat_map(|name| {
        let lines = zstd::decode_all(&fs::read(run.join("shards").join(name)).unwrap()[..]).unwrap();
        let lines = String::from_utf8(lines).unwrap();
        let text =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned() + "\0";
        lines.lines().map(text).collect::<Vec<_>>()
    });
    texts.collect()
}

/// The twin: a window of `n` bytes is a copy if an equal one ends before it begins, in this text or an earlier one.
fn without_later_substrings(texts: &[String], n: usize) -> Vec<String> {
    let mut first_ends: BTreeMap<&[u8], (usize, usize)> = BTreeMap::new();
    let cut = texts.iter().enumerate().map(|(number, text)| {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for start in 0..(text.len() + 1).saturating_sub(n) {
            let (of_text, end) = *first_ends.entry(&text.as_bytes()[start..start + n]).or_insert((number, start + n));
            if (of_text, end) <= (number, start) {
                match ranges.last_mut() {
                    Some(last) if last.end >= start => last.end = start + n,
                    _ => ranges.push(start..start + n),
                }
            }
        }
        let ranges = ranges.into_iter().map(|range| shrink_to_words(text, range)).filter(|range| !range.is_empty());
        cut_ranges(text, ranges).text
    });
    cut.collect()
}

#[test]
fn substrings_are_cut_where_they_occur_again() {
    let texts: Vec<String> =
        pages().into_iter().map(|(_, text)| text).chain(["ah ".repeat(100), "潮".repeat(50)]).collect();
    let case = Case::new(texts);
    for flags in [&["--threads", "1"][..], &["--threads", "3", "--max-memory-mib", "1"]] {
        case.dedup("kept.jsonl", &[&["--by", "substring", "--min-bytes", "40"], flags].concat());
        let expected = without_later_substrings(&case.texts, 40);
        let kept = json_rows(&case.out("kept.jsonl"));
        let left: Vec<&str> = kept.iter().map(|row| row["text"].as_str().unwrap()).collect();
        assert_eq!(left, expected.iter().filter(|text| !text.trim().is_empty()).collect::<Vec<_>>());
        assert!(left.iter().map(|text| text.len()).sum::<usize>() < case.texts.iter().map(String::len).sum());
    }
    // By tokens, with what was cut: in each row the spans, and without them the text that is left.
    let cut_path = case.out("cut.jsonl");
    let flags = ["--by", "substring", "--min-tokens", "12", "--cut", cut_path.to_str().unwrap()];
    case.dedup("kept.jsonl", &flags);
    let kept = json_rows(&case.out("kept.jsonl"));
    let by_number: BTreeMap<u64, &str> =
        kept.iter().map(|row| (row["number"].as_u64().unwrap(), row["text"].as_str().unwrap())).collect();
    let cut = json_rows(&cut_path);
    assert!(cut.len() > 10, "{}", cut.len());
    for row in cut {
        let number = |value: &Value| value.as_u64().unwrap() as usize;
        let (text, starts, ends) = (row["text"].as_str().unwrap(), &row["starts"], &row["ends"]);
        let spans = starts.as_array().unwrap().iter().zip(ends.as_array().unwrap());
        let spans: Vec<Range<usize>> = spans.map(|(start, end)| number(start)..number(end)).collect();
        assert!(spans.iter().all(|span| text.get(span.clone()).is_some_and(|cut| !cut.is_empty())), "{row}");
        let left = cut_ranges(text, spans).text;
        let kept = by_number.get(&row["number"].as_u64().unwrap());
        assert_eq!(kept.copied().unwrap_or_default().trim(), left.trim(), "{row}");
        assert_eq!(row["verdict"] == "too_little_left", kept.is_none(), "{row}");
    }
}

/// What a command leaves as rows of JSON, whatever it wrote; read through another command that copies all rows.
fn texts_of_table(path: &Path) -> Vec<Value> {
    let lines = path.with_extension("rows.jsonl");
    let mut filter = Command::new(binary("webtext"));
    fs::write(path.with_extension("toml"), "[[filter]]\nrule = \"length\"\nmin_words = 0\nmax_words = 1000\n").unwrap();
    filter.arg("filter").arg(path).args(["-q", "--recipe"]).arg(path.with_extension("toml")).arg("-o").arg(&lines);
    check(&mut filter, 0);
    json_rows(&lines).into_iter().map(|row| row["text"].clone()).collect()
}

/// A table whose column of texts is replaced holds the texts of all rows, not only of those that were edited.
#[test]
fn what_is_not_cut_stays_in_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let shared = "one two three four five six seven eight nine";
    let texts = [format!("{shared}\nand a second line"), "quite another text".to_owned(), format!("{shared}\nthird")];
    let lines: String = texts.iter().map(|text| format!("{}\n", json!({"text": text, "n": 1}))).collect();
    fs::write(path("in.jsonl"), &lines).unwrap();
    fs::write(path("set.jsonl"), "{\"q\":\"nothing of it\"}\n").unwrap();
    let webtext = |arguments: &[&str]| {
        check(Command::new(binary("webtext")).args(arguments).arg("-q").current_dir(folder.path()), 0);
    };
    // To a table, and from it to another.
    webtext(&["dedup", "in.jsonl", "-o", "in.parquet", "--exact-only"]);
    webtext(&["dedup", "in.parquet", "--by", "line", "-o", "cut.parquet"]);
    assert_eq!(texts_of_table(&path("cut.parquet")), [&*texts[0], &*texts[1], "third"].map(Value::from));
    webtext(&["dedup", "in.parquet", "--by", "line", "--min-words", "100", "-o", "whole.parquet"]);
    webtext(&["overlap", "in.parquet", "--eval", "set.jsonl", "--remove", "documents", "-o", "left.parquet"]);
    for name in ["whole.parquet", "left.parquet"] {
        assert_eq!(texts_of_table(&path(name)), texts.each_ref().map(|text| Value::from(&**text)), "{name}");
    }
}

/// An earlier file that breaks off is told, by the code, too: duplicates of what was not read stay.
#[test]
fn what_cannot_be_compared_with_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.jsonl"), "{\"text\":\"the tide is out\"}\n").unwrap();
    let earlier = format!(
        "{}{{\"txt\":\"no text\"}}\n",
        (0..30_000).map(|n| format!("{{\"text\":\"boat {n}\"}}\n")).collect::<String>()
    );
    fs::write(folder.path().join("malformed.jsonl"), &earlier).unwrap();
    let packed = zstd::encode_all(earlier.as_bytes(), 1).unwrap();
    fs::write(folder.path().join("cut.jsonl.zst"), &packed[..packed.len() - 99]).unwrap();
    for against in ["malformed.jsonl", "cut.jsonl.zst"] {
        let mut dedup = Command::new(binary("webtext"));
        dedup.args(["dedup", "in.jsonl", "-o", "out.jsonl", "--against", against]).current_dir(folder.path());
        check(&mut dedup, 3);
        assert_eq!(json_rows(&folder.path().join("out.jsonl")).len(), 1, "{against}");
    }
}

/// Nothing is put in the place of something.
#[test]
fn an_output_is_not_replaced_by_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("nofield.jsonl"), "{\"txt\":\"x\"}\n".repeat(30)).unwrap();
    fs::write(path("empty.jsonl"), "").unwrap();
    for command in [&["dedup"][..], &["dedup", "--by", "line"], &["filter", "--rules", "gopher_quality"]] {
        for input in ["nofield.jsonl", "empty.jsonl"] {
            fs::write(path("out.jsonl"), "{\"text\":\"good\"}\n").unwrap();
            let mut refused = Command::new(binary("webtext"));
            refused.args(command).args([input, "-o", "out.jsonl"]).current_dir(folder.path());
            let refused = check(&mut refused, 1);
            let told = String::from_utf8(refused.stderr).unwrap();
            assert!(told.contains("stays as it is") && told.lines().count() < 20, "{command:?} {input}: {told}");
            assert_eq!(fs::read_to_string(path("out.jsonl")).unwrap(), "{\"text\":\"good\"}\n");
        }
    }
}

/// Who reads only the beginning of the output leaves no working files behind.
#[test]
fn the_reader_of_the_output_may_go_away() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..5000)
        .map(|n| format!("{{\"text\":\"The boat of number {n} is out on the water, and comes back at {n}.\"}}\n"))
        .collect();
    fs::write(folder.path().join("in.jsonl"), rows).unwrap();
    let mut command = Command::new(binary("webtext"));
    command
        .args(["dedup", "in.jsonl", "--exact-only", "-o", "-", "-q"])
        .current_dir(folder.path())
        .env("TMPDIR", folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
    assert_eq!(webtext_tests::names(folder.path()), ["in.jsonl"]);
}
