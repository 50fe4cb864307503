//! `webtext explore`: the page of a run, read by a browser that moves a slider, types a search and uses keys alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use pipeline::{Options, Recipe, RecipeRun, Selection};
use serde_json::Value;
use tempfile::TempDir;
use webtext_tests::browser::Browser;
use webtext_tests::{binary, check, json, recipe_without_model, root, skip, stderr};

/// Published rules beside the quickstart's, loose enough that documents are left.
const RULES: &str = r#"
[[filter]]
rule = "gopher_repetition"
dialect = "datatrove-0.10"

[[filter]]
rule = "gopher_quality"
dialect = "datatrove-0.10"
min_words = 120

[[filter]]
rule = "fineweb_quality"
dialect = "datatrove-0.10"

[[filter]]
rule = "c4_quality"
dialect = "datatrove-0.10"
require_terminal_punctuation = false

[[filter]]
rule = "pii"
dialect = "datatrove-0.10"
"#;

/// The quickstart's recipe with other rules before its own.
fn recipe(rules: &str) -> String {
    let fixtures = root().join("fixtures");
    let text = recipe_without_model().replace("../fixtures", &fixtures.to_string_lossy());
    text.replacen("[[filter]]", &format!("{rules}\n[[filter]]"), 1)
}

/// Builds the stages of a recipe up to one of them, all for none.
fn build(recipe: &str, last: Option<&str>, out: &Path) {
    let options = Options::quiet().with_threads(2);
    let run = RecipeRun::new(out, Recipe::parse(recipe, &[]).unwrap(), options).unwrap().run;
    let Some(last) = last else {
        run.build(&Selection::default()).unwrap();
        return;
    };
    for stage in run.flow().names().into_iter().map(str::to_owned).collect::<Vec<_>>() {
        run.build(&Selection { stage: Some(stage.clone()), ..Selection::default() }).unwrap();
        if stage == last {
            return;
        }
    }
    panic!("no stage {last}");
}

/// A run with rules that ends behind the duplicates; every test reads it, and none changes it.
fn run() -> &'static Path {
    static RUN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let made = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("harbour");
        build(&recipe(RULES), Some("dedup.resolve"), &run);
        (folder, run)
    });
    &made.1
}

fn explore(run: &Path, page: &Path, flags: &[&str]) -> Value {
    let mut command = Command::new(binary("webtext"));
    command.arg("explore").arg(run).arg("-o").arg(page).arg("--json").args(flags);
    json(&check(&mut command, 0))
}

/// The data of a page.
fn data_of(page: &Path) -> Value {
    let html = std::fs::read_to_string(page).unwrap();
    let (_, data) = html.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn the_page_has_every_reason_and_is_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other, small] = ["one.html", "other.html", "small.html"].map(|name| folder.path().join(name));
    let summary = explore(run(), &one, &[]);
    explore(run(), &other, &[]);
    assert!(std::fs::read(&one).unwrap() == std::fs::read(&other).unwrap());
    assert!(summary["unfinished"].as_array().unwrap().iter().any(|stage| stage == "shards.scatter"), "{summary}");
    let data = data_of(&one);
    let documents = data["documents"].as_array().unwrap();
    assert_eq!(summary["documents"], documents.len());
    assert_eq!(data["documents_of_run"], documents.len());
    let measures: usize =
        data["rules"].as_array().unwrap().iter().map(|rule| rule["measures"].as_array().unwrap().len()).sum();
    for document in documents {
        let values = document["measures"].as_array().unwrap().len();
        let reason = document["reason"].as_str().unwrap_or("kept");
        let was_judged =
            document["is_dropped_by_rule"] == true || matches!(reason, "kept" | "exact_duplicate" | "near_duplicate");
        assert_eq!(values, if was_judged { measures } else { 0 }, "{document}");
    }

    explore(run(), &small, &["--documents", "20"]);
    let few = data_of(&small);
    assert_eq!(few["documents"].as_array().unwrap().len(), 20);
    let strata = few["strata"].as_object().unwrap();
    assert_eq!(strata["kept"]["sampled"], 10);
    assert_eq!(strata.len(), data["strata"].as_object().unwrap().len());
    for (reason, stratum) in strata {
        assert_eq!(stratum["documents"], data["strata"][reason]["documents"], "{reason}");
    }
}

#[test]
fn a_folder_without_a_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("webtext"));
    command.arg("explore").arg(folder.path()).arg("-o").arg(folder.path().join("page.html"));
    assert!(stderr(&check(&mut command, 1)).contains("is not the folder of a run"));
}

/// A browser, unless there is none.
fn browser(test: &str) -> Option<Browser> {
    match Browser::start() {
        Ok(browser) => Some(browser),
        Err(why) => {
            skip(test, format!("no chromium: {why}"));
            None
        }
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_browser_reads_searches_and_moves_a_slider_by_keys_alone() {
    let Some(mut browser) = browser("explore: the page in a browser") else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("explore.html");
    explore(run(), &page, &[]);
    browser.show_as(1400, 900, "light");
    browser.open(&page);

    // The page judges as the run did.
    let differ =
        "documents.filter(doc => isJudged(doc) && (failures(doc).length > 0) !== doc.is_dropped_by_rule).length";
    assert_eq!(browser.eval(differ), 0);
    assert_eq!(browser.eval("document.getElementById('unfinished').hidden"), false);

    // A search finds what the texts have, and nothing else.
    browser.press("/");
    browser.wait("document.activeElement.id === 'search'");
    browser.type_text("harbour \"the tide\"");
    browser.wait("filters.terms.length === 2 && document.querySelectorAll('#list li').length > 0");
    let expected = "documents.filter(doc => ['harbour', 'the tide'].every(term => [doc.title, doc.url, doc.text].join('\\n').toLowerCase().includes(term))).length";
    let found = browser.eval("document.querySelectorAll('#list li').length");
    assert_eq!(browser.eval(&format!("Math.min(50, {expected})")), found);
    assert!(number(&found) < number(&browser.eval("documents.length")));

    // Out of the field and to a document; what was searched for is marked in it.
    browser.press("Escape");
    browser.press("j");
    browser.wait("location.hash.length === 33 && document.querySelector('#reader mark.search') !== null");
    let first = browser.eval("filters.chosen.id");
    browser.press("j");
    browser.wait(&format!("filters.chosen.id !== {first}"));
    browser.press("k");
    browser.wait(&format!("filters.chosen.id === {first}"));
    browser.press("Escape");
    browser.wait("filters.chosen === null");

    // What led to a verdict is marked.
    browser.eval("document.getElementById('clear').click()");
    let repeated = browser.eval("documents.find(doc => doc.reason?.startsWith('gopher_repetition.duplicate') || doc.reason?.startsWith('fineweb_quality.duplicate'))?.id ?? null");
    if let Some(id) = repeated.as_str() {
        browser.eval(&format!("location.hash = '{id}'"));
        browser.wait("document.querySelectorAll('#text mark.rule').length > 0");
    }
    assert!(repeated.is_string(), "no document of the fixtures repeats itself");

    // A slider is moved; the page says what is kept then, and how the recipe says so.
    browser.eval("location.hash = 'limits'");
    browser.wait(
        "!document.getElementById('view-limits').hidden && document.querySelector('[data-key=min_words]') !== null",
    );
    browser.eval("document.querySelector('[data-measure=\"gopher_quality.words\"] [data-key=min_words]').focus()");
    for _ in 0..200 {
        browser.press("ArrowRight");
    }
    browser.wait("document.getElementById('lines') !== null");
    let limit = number(
        &browser.eval("limitOf(measures.find(m => m.rule.name === 'gopher_quality' && m.name === 'words'), 'min')"),
    );
    assert!(limit > 120.0, "{limit}");
    let lines = browser.eval("document.getElementById('lines').textContent");
    let expected = format!("[[filter]]\nrule = \"gopher_quality\"\nmin_words = {limit}  # was 120\n");
    assert_eq!(lines, expected.as_str());
    let values = "documents.filter(doc => doc.reason === null && doc.measures[measures.find(m => m.rule.name === 'gopher_quality' && m.name === 'words').index] < LIMIT).length";
    let dropped = browser.eval(&values.replace("LIMIT", &limit.to_string()));
    assert!(number(&dropped) > 0.0);
    let effect = browser.eval("document.getElementById('effect').textContent");
    assert!(
        effect.as_str().unwrap().contains(&format!("Newly dropped: {dropped} ({dropped} on this page)")),
        "{effect}"
    );
    // The same recipe with that line drops as many more.
    let again = folder.path().join("again");
    build(
        &recipe(&RULES.replace("min_words = 120", &format!("min_words = {limit}"))),
        Some("documents.filter"),
        &again,
    );
    let kept_by_rules = |page: &Path| {
        let data = data_of(page);
        data["documents"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| !d["measures"].as_array().unwrap().is_empty() && d["is_dropped_by_rule"] == false)
            .count()
    };
    let page_again = folder.path().join("again.html");
    explore(&again, &page_again, &[]);
    let by_page = browser.eval("documents.filter(doc => isJudged(doc) && failures(doc).length === 0).length");
    assert_eq!(by_page, kept_by_rules(&page_again));

    // The documents that would go are found by the facet that the link chooses.
    browser.eval("[...document.querySelectorAll('#effect button')].at(-1).focus()");
    browser.press("Enter");
    browser.wait("!document.getElementById('view-documents').hidden");
    assert_eq!(browser.eval("foundDocuments().length"), dropped);
    assert!(browser.eval("document.querySelector('#list .verdict').textContent").as_str().unwrap().contains('→'));

    // A narrow window shows the list or the document, and is never wider than it is.
    browser.show_as(390, 800, "dark");
    for hash in ["documents", "limits", "recipe", "about", repeated.as_str().unwrap()] {
        browser.eval(&format!("location.hash = '{hash}'"));
        browser.wait(&format!("location.hash === '#{hash}' && document.documentElement.scrollWidth <= 390"));
    }
    browser.wait("getComputedStyle(document.getElementById('list')).display !== 'none' && document.getElementById('list').offsetParent === null");
    let unlabelled = "[...document.querySelectorAll('input, select, button')].filter(e => !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).length";
    assert_eq!(browser.eval(unlabelled), 0);
    assert_eq!(browser.faults, Vec::<String>::new());
}

#[test]
fn a_finished_run_without_rules() {
    let folder = tempfile::tempdir().unwrap();
    let (run, page) = (folder.path().join("plain"), folder.path().join("explore.html"));
    let text = recipe("");
    let (before, after) = (text.split_once("[[filter]]").unwrap().0, text.split_once("[dedup]").unwrap().1);
    build(&format!("{before}[dedup]{after}"), None, &run);
    let summary = explore(&run, &page, &[]);
    assert_eq!(summary["unfinished"], serde_json::json!([]));
    let Some(mut browser) = browser("explore: a page without rules") else { return };
    browser.open(&page);
    assert_eq!(browser.eval("document.getElementById('unfinished').hidden"), true);
    assert!(number(&browser.eval("document.querySelectorAll('#list li').length")) > 0.0);
    browser.press("j");
    browser.wait("document.getElementById('text') !== null");
    browser.eval("location.hash = 'limits'");
    browser.wait("document.getElementById('rules').textContent.includes('no rules')");
    assert_eq!(browser.faults, Vec::<String>::new());
}
