//! A recipe that fetches: links of a dump, asked of a scripted web, become documents, also through a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use records::{Document, DocumentText, Outcome, Reason};
use webtext_tests::object_server::{BUCKET, ObjectServer};
use webtext_tests::web::{Web, inside_namespace, page, redirect, respond, webtext};
use webtext_tests::{check, rows};

const HOSTS: usize = 12;
const PAGES: usize = 10;

/// A page whose words no other page has in this order.
fn text(host: &str, path: &str) -> String {
    let number: usize = path.trim_matches('/').parse().unwrap_or(0);
    let sentence = |n: usize| {
        format!(
            "<p>On day {n} of the journey to {host} the travellers counted {} boats and wrote it all down.</p>",
            n * number
        )
    };
    format!("<!doctype html><title>{host}{path}</title>{}", (1..12).map(sentence).collect::<String>())
}

fn recipe(folder: &Path) {
    let links: String = (0..HOSTS * PAGES)
        .map(|n| {
            let url = format!("http://h{}.example/{}", n % HOSTS, n / HOSTS);
            format!("{{\"url\":\"{url}\",\"score\":{},\"created_utc\":1400000000}}\n", 3 + n % 7)
        })
        .collect();
    fs::write(folder.join("RS_2014-05"), links).unwrap();
    let recipe = r#"
        [links]
        dumps = ["RS_2014-05"]
        min_karma = 3
        karma_of = "any submission"
        over_18 = "drop"
        drop_domains = []
        drop_extensions = []
        [pages]
        from = "fetch"
        [pages.fetch]
        contact = "test@example.org"
        min_delay_ms = 60
        # Several archives a task.
        max_warc_bytes = 20_000
        max_group_pages = 8
        max_group_ms = 100
        [[filter]]
        rule = "wikipedia"
        [[filter]]
        rule = "length"
        min_words = 20
        max_words = 100_000
        [[filter]]
        rule = "language"
        keep = "en"
        min_confidence = 0.5
        [dedup]
        exact = true
        [shards]
        seed = 1
        validation_fraction = 0.1
        count = 1
        tokens = ["nanogpt"]
        [tokenizer]
        use = "gpt2"
        [limits]
        buckets = 3
    "#;
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
}

fn web() -> Web {
    Web::builder().start(|request| match (request.label(), request.path.as_str()) {
        (_, "/robots.txt") => respond("404 Not Found", "", b""),
        // The same page under two links, and one that is gone.
        ("h1", "/1") => redirect("http://h1.example/2"),
        ("h2", "/3") => respond("410 Gone", "", b""),
        (host, path) => page(text(host, path).as_bytes()),
    })
}

/// Waits until half of the pages were asked for.
fn wait_for_half(web: &Web) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while web.visits().len() < HOSTS * PAGES / 2 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A crawl whose run is in a bucket is stopped on one machine and goes on on another one.
#[test]
fn a_crawl_in_a_bucket_goes_on_elsewhere() {
    const TEST: &str = "a_crawl_in_a_bucket_goes_on_elsewhere";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let (web, server) = (web(), ObjectServer::start(|_| None));
    let folder = tempfile::tempdir().unwrap();
    recipe(folder.path());
    let build = |machine: &str| {
        let scratch = folder.path().join(machine);
        fs::create_dir_all(&scratch).unwrap();
        let mut command = Command::new(webtext());
        command.arg("build").arg(folder.path().join("recipe.toml")).args([
            "--out",
            &format!("s3://{BUCKET}/run"),
            "-q",
        ]);
        command.env("TMPDIR", scratch).envs(server.environment());
        command
    };
    let mut stopped = build("first").spawn().unwrap();
    wait_for_half(&web);
    check(Command::new("kill").args(["-INT", &stopped.id().to_string()]), 0);
    assert_eq!(stopped.wait().unwrap().code(), Some(130));
    let asked = web.pages_asked();
    assert!((HOSTS..HOSTS * PAGES).contains(&asked), "{asked}");
    check(&mut build("second"), 0);
    // The redirect's target is a link, too.
    assert!(web.pages_asked() <= HOSTS * PAGES + 1, "{} pages were asked for", web.pages_asked());
    let outcomes = || server.objects("run/pages/outcomes-").into_iter();
    let folder = tempfile::tempdir().unwrap();
    outcomes().for_each(|(key, bytes)| fs::write(folder.path().join(key.replace('/', "-")), bytes).unwrap());
    let outcomes: Vec<Outcome> = rows(folder.path(), "");
    let urls: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.url.as_str()).collect();
    assert_eq!((outcomes.len(), urls.len()), (HOSTS * PAGES, HOSTS * PAGES));
    let archives = server.objects("run/");
    assert!(outcomes.iter().filter_map(|outcome| outcome.warc.as_ref()).all(|warc| archives.contains_key(warc)));
}

#[test]
fn links_become_documents() {
    const TEST: &str = "links_become_documents";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = web();
    let folder = tempfile::tempdir().unwrap();
    recipe(folder.path());
    let run = folder.path().join("run");
    let build = || {
        let mut command = Command::new(webtext());
        command.arg("build").arg(folder.path().join("recipe.toml")).arg("--out").arg(&run).arg("-q");
        command
    };
    let mut killed = build().spawn().unwrap();
    wait_for_half(&web);
    killed.kill().unwrap();
    killed.wait().unwrap();
    check(&mut build(), 0);

    let outcomes: Vec<Outcome> = rows(&run.join("pages"), "outcomes-");
    assert_eq!(outcomes.len(), HOSTS * PAGES);
    let dropped: Vec<(&str, Reason)> =
        outcomes.iter().filter_map(|outcome| Some((outcome.url.as_str(), outcome.verdict?))).collect();
    assert_eq!(dropped, [("http://h2.example/3", Reason::HttpStatus)]);
    let archives: BTreeSet<&str> = outcomes.iter().filter_map(|outcome| outcome.warc.as_deref()).collect();
    assert!(archives.len() > 3, "a task has several archives: {archives:?}");
    assert!(archives.iter().all(|archive| run.join(archive).is_file()), "{archives:?}");

    let documents: Vec<Document> = rows(&run.join("documents"), "");
    let texts: Vec<DocumentText> = rows(&run.join("documents/text"), "");
    let titles: BTreeMap<&str, &str> =
        texts.iter().filter_map(|text| Some((text.id.as_str(), text.title.as_deref()?))).collect();
    let by_url: BTreeMap<&str, &Document> =
        documents.iter().map(|document| (document.url.as_str(), document)).collect();
    assert_eq!((documents.len(), by_url.len()), (HOSTS * PAGES - 1, HOSTS * PAGES - 1));
    for (url, document) in by_url {
        let name = url.trim_start_matches("http://").replace(".example", "");
        // What was redirected has the text of the page that it led to.
        let expected = if name == "h1/1" { "h1/2" } else { &name };
        assert_eq!(titles.get(document.id.as_str()), Some(&expected), "{url}");
        assert_eq!(document.verdict, None, "{url}: {:?}", document.detail);
    }
    // A build with nothing to do asks nobody.
    let asked = web.visits().len();
    check(&mut build(), 0);
    assert_eq!(web.visits().len(), asked);
}
