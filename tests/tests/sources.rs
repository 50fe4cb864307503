//! Sources of pages: archives, folders of HTML and corpora of text, alone and one behind the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use pipeline::{Recipe, Summary};
use records::{Document, DocumentText, Outcome, Reason, document_id};
use serde::{Deserialize, Serialize};
use store::table::TableWriter;
use store::{LocalStore, Store};
use tempfile::TempDir;
use warc::{Date, NewRecord, Writer};
use webtext_tests::web::gzip;
use webtext_tests::{build, rows};

/// What all recipes here share.
const REST: &str = r#"
[dedup]
exact = false
[shards]
seed = 1
validation_fraction = 0.0
count = 1
tokens = ["nanogpt"]
[tokenizer]
use = "gpt2"
[limits]
buckets = 3
"#;

/// Links of a dump, before sources that take only their pages.
const LINKS: &str = r#"
[links]
dumps = ["dump.jsonl"]
min_karma = 3
karma_of = "any submission"
over_18 = "drop"
drop_domains = []
drop_extensions = []
"#;

/// A folder of inputs with the runs that are made of them.
struct Inputs {
    folder: TempDir,
}

impl Inputs {
    fn new() -> Inputs {
        Inputs { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    /// A dump that links to pages, each with a score of 5.
    fn write_links(&self, urls: &[&str], created_utc: u64) {
        let line = |url: &&str| format!("{{\"url\":\"{url}\",\"score\":5,\"created_utc\":{created_utc}}}\n");
        self.write("dump.jsonl", urls.iter().map(line).collect::<String>());
    }

    fn try_build(&self, head: &str, overrides: &[&str]) -> anyhow::Result<Built> {
        self.write("recipe.toml", format!("{head}\n{REST}"));
        let overrides: Vec<String> = overrides.iter().map(|setting| setting.to_string()).collect();
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        let summary = build(Recipe::load(&self.path("recipe.toml"), &overrides)?, folder.path())?;
        Ok(Built { folder, summary })
    }

    fn build(&self, head: &str, overrides: &[&str]) -> Built {
        self.try_build(head, overrides).unwrap()
    }

    fn fault(&self, head: &str) -> String {
        format!("{:#}", self.try_build(head, &[]).err().expect("this recipe has a fault"))
    }
}

/// A finished run.
struct Built {
    folder: TempDir,
    summary: Summary,
}

impl Built {
    fn rows<T: store::table::Row>(&self, folder: &str, prefix: &str) -> Vec<T> {
        rows(&self.folder.path().join(folder), prefix)
    }

    fn texts(&self) -> Vec<DocumentText> {
        self.rows("documents/text", "")
    }

    fn urls(&self) -> BTreeSet<String> {
        let documents: Vec<Document> = self.rows("documents", "");
        let urls: BTreeSet<String> = documents.iter().map(|document| document.url.clone()).collect();
        assert_eq!(urls.len(), documents.len(), "a page is there twice");
        urls
    }

    /// The verdicts of a source by URL; the first source has number 1.
    fn verdicts(&self, source: u32) -> BTreeMap<String, Option<Reason>> {
        let prefix = if source == 1 { "outcomes-0".to_owned() } else { format!("outcomes-{source}-") };
        let outcomes: Vec<Outcome> = self.rows("pages", &prefix);
        outcomes.into_iter().map(|outcome| (outcome.url, outcome.verdict)).collect()
    }

    fn dropped(&self, stage: &str, reason: Reason) -> u64 {
        let totals = self.summary.stages.iter().find(|totals| totals.stage == stage).unwrap();
        totals.tally.counts.dropped.get(&reason).copied().unwrap_or(0)
    }

    /// The lines of the only text shard.
    fn shard(&self) -> Vec<Sharded> {
        let bytes = fs::read(self.folder.path().join("shards/train-00000.jsonl.zst")).unwrap();
        let text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What a text shard has of a document.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sharded {
    text: String,
    id: String,
    url: String,
    domain: String,
    language: Option<String>,
    captured: Option<String>,
    warc: String,
    offset: u64,
}

/// A page that says a word.
fn page(word: &str) -> String {
    format!(
        "<!doctype html><title>{word}</title><p>The {word} ferry leaves at noon and comes back before it is dark.</p>"
    )
}

/// An archive of responses: URL, seconds since 1970, status, page.
fn archive(responses: &[(&str, u64, u16, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 0);
    for (url, seconds, status, page) in responses {
        let head =
            format!("HTTP/1.1 {status} Status\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
        let block = format!("{head}{page}");
        let record = NewRecord {
            kind: "response",
            target: Some(url),
            date: &Date::from_seconds(*seconds),
            content_type: "application/http;msgtype=response",
            headers: &[],
            block: block.as_bytes(),
            payload_start: Some(head.len()),
        };
        writer.write(&record).unwrap();
    }
    writer.into_inner()
}

fn set(urls: &[&str]) -> BTreeSet<String> {
    urls.iter().map(|url| url.to_string()).collect()
}

const URLS: [&str; 4] = ["http://a.example/", "http://b.example/", "http://c.example/", "http://d.example/"];

/// An archive with the first page and a failure in place of the second; a folder with the first three.
fn two_sources() -> Inputs {
    let inputs = Inputs::new();
    inputs.write_links(&URLS, 1_400_000_000);
    let (first, second) = ((URLS[0], 1, 200, &*page("archived")), (URLS[1], 1, 404, &*page("lost")));
    inputs.write("pages.warc.gz", archive(&[first, second]));
    for name in ["a", "b", "c"] {
        inputs.write(&format!("html/{name}.html"), page(name));
    }
    inputs.write("html/urls.tsv", "a.html\thttp://a.example/\nb.html\thttp://b.example/\nc.html\thttp://c.example/\n");
    inputs
}

#[test]
fn a_later_source_has_what_the_earlier_left() {
    let inputs = two_sources();
    let sources =
        "[[pages]]\nfrom = \"warc\"\npaths = [\"pages.warc.gz\"]\n[[pages]]\nfrom = \"html\"\npaths = [\"html\"]\n";
    let linked = inputs.build(&format!("{LINKS}{sources}"), &[]);
    assert_eq!(linked.urls(), set(&URLS[..3]));
    let first = linked.verdicts(1);
    assert_eq!(
        first.values().copied().collect::<Vec<_>>(),
        [None, Some(Reason::HttpStatus), Some(Reason::NotCaptured), Some(Reason::NotCaptured)]
    );
    let second = linked.verdicts(2);
    assert_eq!(
        second.values().copied().collect::<Vec<_>>(),
        [Some(Reason::SupersededCapture), None, None, Some(Reason::NotCaptured)]
    );
    let words: BTreeSet<String> = linked.texts().into_iter().filter_map(|text| text.title).collect();
    assert_eq!(words, set(&["archived", "b", "c"]));

    // Without links, a page of an earlier source is still not taken twice.
    let all = inputs.build(sources, &["pages.1.only_links=false", "pages.2.only_links=false"]);
    assert_eq!(all.urls(), set(&URLS[..3]));
    assert_eq!(all.dropped("pages.match-2", Reason::SupersededCapture), 1);
}

#[test]
fn wrappers_count_as_their_pages_in_links_and_captures() {
    let inputs = Inputs::new();
    let (wrapped, phone) = ("https://www.google.com/url?q=http://a.example/page&sa=U", "http://m.b.example/story");
    inputs.write_links(&[wrapped, phone], 1_400_000_000);
    let captured = ["http://a.example/page", "http://b.example/story"];
    inputs.write("pages.warc.gz", archive(&captured.map(|url| (url, 1, 200, &*page(url).leak()))));
    let source = "[pages]\nfrom = \"warc\"\npaths = [\"pages.warc.gz\"]\n";
    let unwrapped = inputs.build(&format!("{LINKS}{source}"), &["links.unwrap=[\"search\", \"mobile\"]"]);
    assert_eq!(unwrapped.urls(), set(&[captured[0], phone]));
    // Addresses are taken literally unless the recipe says otherwise.
    let literal = inputs.build(&format!("{LINKS}{source}"), &[]);
    let verdicts: Vec<_> = literal.verdicts(1).into_values().collect();
    assert_eq!(verdicts, [[Some(Reason::NotInLinks); 2], [Some(Reason::NotCaptured); 2]].concat());
}

/// A record of an archive as text: its fields, and its block.
fn record(kind: &str, url: &str, date: &str, fields: &str, block: &str) -> String {
    let len = block.len();
    format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: {date}\r\n{fields}\
         Content-Length: {len}\r\n\r\n{block}\r\n\r\n"
    )
}

fn html_message(title: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{}", page(title))
}

#[test]
fn a_revisit_has_the_content_of_the_capture_that_it_means() {
    let digest = |letter: &str| format!("WARC-Payload-Digest: sha1:{}\r\n", letter.repeat(32));
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let response =
        |url, date, letter, title: &str| record("response", url, date, &digest(letter), &html_message(title));
    let revisit = |url, fields: &str| record("revisit", url, "2016-05-05T00:00:00Z", fields, head);
    let of_first = "WARC-Refers-To-Target-URI: http://a.example/\r\nWARC-Refers-To-Date: 2015-01-01T00:00:00Z\r\n";
    // In any order and in any of the archives.
    let revisits = [
        revisit("http://by-target.example/", of_first),
        revisit("http://by-digest.example/", &digest("B")),
        revisit("http://unknown.example/", &digest("D")),
        // As wget writes it: of the same URL, which was not captured before.
        revisit("http://late.example/", ""),
        // It names another revisit; the digest leads to the content.
        revisit(
            "http://of-revisit.example/",
            &format!("WARC-Refers-To-Target-URI: http://by-digest.example/\r\n{}", digest("B")),
        ),
    ];
    let responses = [
        response("http://a.example/", "2015-01-01T00:00:00Z", "A", "first"),
        response("http://a.example/", "2016-01-01T00:00:00Z", "B", "second"),
        response("http://late.example/", "2017-01-01T00:00:00Z", "C", "late"),
    ];
    let inputs = Inputs::new();
    inputs.write("one.warc", revisits.concat());
    inputs.write("two.warc", responses.concat());
    let head = "[pages]\nfrom = \"warc\"\npaths = [\"*.warc\"]\nonly_links = false\ncapture = \"earliest\"\n";
    let built = inputs.build(head, &[]);
    let titles: BTreeMap<String, String> = {
        let documents: Vec<Document> = built.rows("documents", "");
        let texts = built.texts();
        documents.into_iter().zip(texts).map(|(document, text)| (document.url, text.title.unwrap())).collect()
    };
    let expected = [
        ("http://a.example/", "first"),
        ("http://by-digest.example/", "second"),
        ("http://by-target.example/", "first"),
        ("http://late.example/", "late"),
        ("http://of-revisit.example/", "second"),
    ];
    assert_eq!(titles, expected.map(|(url, title)| (url.to_owned(), title.to_owned())).into());
    assert_eq!(built.dropped("pages.match", Reason::Revisit), 1);
    assert_eq!(built.verdicts(1).get("http://unknown.example/"), Some(&Some(Reason::Revisit)));
}

#[test]
fn a_link_that_redirects_is_answered_by_what_it_leads_to() {
    let redirect = |url, date, location: &str| {
        record("response", url, date, "", &format!("HTTP/1.1 301 Moved Permanently\r\nLocation: {location}\r\n\r\n"))
    };
    let response = |url, date, title: &str| record("response", url, date, "", &html_message(title));
    let empty_digest = format!("WARC-Payload-Digest: sha1:{}\r\n", "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ");
    let head_of_redirect = "HTTP/1.1 308 Permanent Redirect\r\nLocation: http://new.example/page\r\n\r\n";
    let noted = "via: http://hop.example/\r\nhopsFromSeed: RR\r\nseed: http://noted.example/\r\n";
    let records = [
        redirect("http://moved.example/a", "2015-01-01T00:00:00Z", "http://new.example/page"),
        redirect("http://new.example/old", "2016-01-01T00:00:00Z", "page?#part"),
        redirect("http://gone.example/", "2015-01-01T00:00:00Z", "http://nobody.example/"),
        // The same page by another spelling.
        redirect("http://same.example/", "2015-01-01T00:00:00Z", "https://www.same.example/"),
        response("https://www.same.example/", "2015-01-01T00:00:01Z", "same"),
        response("http://new.example/page", "2015-01-01T00:00:01Z", "first"),
        response("http://new.example/page", "2016-01-01T00:00:01Z", "second"),
        record("metadata", "http://new.example/page", "2016-01-01T00:00:01Z", "", noted),
        // It has a capture of its own, and redirects years later.
        response("http://own.example/a", "2015-01-01T00:00:00Z", "own"),
        redirect("http://own.example/a", "2019-01-01T00:00:00Z", "http://new.example/page"),
        // The crawler met the same empty answer again, and kept its head.
        record("revisit", "http://again.example/", "2015-01-01T00:00:00Z", &empty_digest, head_of_redirect),
    ];
    let inputs = Inputs::new();
    inputs.write("pages.warc", records.concat());
    let linked = [
        "http://moved.example/a",
        "http://new.example/old",
        "http://gone.example/",
        "http://same.example/",
        "http://noted.example/",
        "http://own.example/a",
        "http://again.example/",
    ];
    inputs.write_links(&linked, 1_400_000_000);
    let source = "[pages]\nfrom = \"warc\"\npaths = [\"pages.warc\"]\n";
    let built = inputs.build(&format!("{LINKS}{source}"), &[]);
    let title_of = |built: &Built| -> BTreeMap<String, String> {
        let documents: Vec<Document> = built.rows("documents", "");
        let titles = built.texts().into_iter().map(|row| row.title.unwrap());
        documents.into_iter().map(|document| document.key).zip(titles).collect()
    };
    // Each by the capture of its own time.
    let expected = [
        ("example,again)/", "first"),
        ("example,moved)/a", "first"),
        ("example,new)/old", "second"),
        ("example,noted)/", "second"),
        ("example,own)/a", "own"),
        ("example,same)/", "same"),
    ];
    assert_eq!(title_of(&built), expected.map(|(key, title)| (key.to_owned(), title.to_owned())).into());
    let verdicts = built.verdicts(1);
    assert_eq!(verdicts["http://gone.example/"], Some(Reason::HttpStatus));
    // Whoever takes pages without links has each capture under its own address alone.
    let all = inputs.build(source, &["pages.only_links=false", "pages.capture=latest"]);
    let expected = [("example,new)/page", "second"), ("example,own)/a", "own"), ("example,same)/", "same")];
    assert_eq!(title_of(&all), expected.map(|(key, title)| (key.to_owned(), title.to_owned())).into());
}

#[test]
fn times_of_arc_and_warc_are_compared_as_times() {
    let inputs = Inputs::new();
    let block = html_message("January");
    let arc = format!("http://a.example/ 192.0.2.1 20120115000000 text/html {}\n{block}\n", block.len());
    inputs.write("january.arc", arc);
    let december = record("response", "http://a.example/", "2012-12-15T00:00:00Z", "", &html_message("December"));
    inputs.write("december.warc", december);
    let title = |capture: &str| {
        let head = "[pages]\nfrom = \"warc\"\npaths = [\"*arc\"]\nonly_links = false\n";
        let built = inputs.build(&format!("{head}capture = \"{capture}\"\n"), &[]);
        built.texts().remove(0).title.unwrap()
    };
    assert_eq!([title("earliest"), title("latest")], ["January", "December"]);

    // Fractions of a second count, whatever the order of the files' names is.
    let later = record("response", "http://a.example/", "2012-12-15T00:00:00.75Z", "", &html_message("A moment later"));
    inputs.write("also-december.warc", later);
    assert_eq!([title("earliest"), title("latest")], ["January", "A moment later"]);
}

#[test]
fn the_texts_of_wet_archives_and_the_archives_of_a_wacz_are_read() {
    let inputs = Inputs::new();
    let text = "A boat lies in the harbour. It waits for the tide.\nThe tide comes at noon.";
    let wet = record("conversion", "http://wet.example/", "2020-01-01T00:00:00Z", "Content-Type: text/plain\r\n", text);
    inputs.write("a.warc.wet.gz", gzip(wet.as_bytes()));
    let page = record("response", "http://zip.example/", "2020-01-01T00:00:00Z", "", &html_message("zipped"));
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("datapackage.json", &b"{}"[..]), ("archive/data.warc.gz", &gzip(page.as_bytes()))] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    inputs.write("a.wacz", zip.finish().unwrap().into_inner());
    let head = "[pages]\nfrom = \"warc\"\npaths = [\"a.warc.wet.gz\", \"a.wacz\"]\nonly_links = false\n";
    let built = inputs.build(head, &[]);
    assert_eq!(built.urls(), set(&["http://wet.example/", "http://zip.example/"]));
    let texts: Vec<String> = built.texts().into_iter().map(|row| row.text).collect();
    assert!(texts.contains(&text.to_owned()), "{texts:?}");
}

#[test]
fn an_archive_without_a_record_is_named_and_one_that_a_zip_compresses_costs_no_other() {
    let inputs = Inputs::new();
    let page = |name: &str| {
        let url = format!("http://{name}.example/");
        gzip(record("response", &url, "2020-01-01T00:00:00Z", "", &html_message(name)).as_bytes())
    };
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, method) in [
        ("a", zip::CompressionMethod::Stored),
        ("b", zip::CompressionMethod::Deflated),
        ("c", zip::CompressionMethod::Stored),
    ] {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("archive/{name}.warc.gz"), options).unwrap();
        zip.write_all(&page(name)).unwrap();
    }
    inputs.write("a.wacz", zip.finish().unwrap().into_inner());
    for (name, bytes) in [("empty.warc.gz", &b""[..]), ("zeros.warc", &[0; 1000]), ("blank.warc.gz", &gzip(b""))] {
        inputs.write(name, bytes);
    }
    let built = inputs.build("[pages]\nfrom = \"warc\"\npaths = [\"*.wa*\"]\nonly_links = false\n", &[]);
    assert_eq!(built.urls(), set(&["http://a.example/", "http://c.example/"]));
    // They are read at their places, too.
    assert_eq!(built.texts().into_iter().filter_map(|text| text.title).collect::<BTreeSet<_>>(), set(&["a", "c"]));
    let index = built.summary.stages.iter().find(|totals| totals.stage == "pages.index").unwrap();
    let mut named: Vec<String> =
        index.tally.unreadable.iter().map(|file| file.path.rsplit('/').next().unwrap().into()).collect();
    named.sort();
    assert_eq!(named, ["a.wacz", "blank.warc.gz", "empty.warc.gz", "zeros.warc"]);
}

#[test]
fn the_order_of_sources_decides() {
    let inputs = two_sources();
    let sources =
        "[[pages]]\nfrom = \"html\"\npaths = [\"html\"]\n[[pages]]\nfrom = \"warc\"\npaths = [\"pages.warc.gz\"]\n";
    let built = inputs.build(&format!("{LINKS}{sources}"), &[]);
    let words: BTreeSet<String> = built.texts().into_iter().filter_map(|text| text.title).collect();
    assert_eq!(words, set(&["a", "b", "c"]));
}

#[derive(Serialize, Deserialize)]
struct TextRow {
    text: String,
    url: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct TextAlone {
    text: String,
}

fn write_parquet<R: Serialize + serde::de::DeserializeOwned>(folder: &Path, name: &str, rows: impl Iterator<Item = R>) {
    let upload = LocalStore::new(folder).create(name).unwrap();
    let mut table = TableWriter::new(upload, name.to_owned()).unwrap();
    rows.for_each(|row| table.push(row).unwrap());
    table.finish().unwrap();
}

const TEXTS: &str = "[pages]\nfrom = \"texts\"\npaths = [\"FILE\"]\nonly_links = false\n";

#[test]
fn a_corpus_is_read_with_and_without_urls() {
    let inputs = Inputs::new();
    let text = |n: u32| format!("Boat number {n} lies in the harbour.\n\nIt is painted green.");
    let url = |n: u32| n.is_multiple_of(2).then(|| format!("http://boats.example/{n}"));
    let line = |n: u32| format!("{}\n", serde_json::json!({"text": text(n), "url": url(n), "other": n}));
    inputs.write("boats.jsonl", (1..=6).map(line).collect::<String>() + "{\"text\": 7}\nnot JSON\n");
    write_parquet(inputs.folder.path(), "boats.parquet", (1..=6).map(|n| TextRow { text: text(n), url: url(n) }));
    write_parquet(inputs.folder.path(), "alone.parquet", (1..=6).map(|n| TextAlone { text: text(n) }));
    for (file, has_urls, malformed) in
        [("boats.jsonl", true, 2), ("boats.parquet", true, 0), ("alone.parquet", false, 0)]
    {
        let built = inputs.build(&TEXTS.replace("FILE", file), &[]);
        assert_eq!(built.dropped("pages.pack", Reason::MalformedRecord), malformed, "{file}");
        let expected = (1..=6).map(|n| url(n).filter(|_| has_urls).unwrap_or_else(|| format!("file:///{file}#{n}")));
        assert_eq!(built.urls(), expected.collect(), "{file}");
        let mut texts = built.texts();
        texts.sort_by(|a, b| a.text.cmp(&b.text));
        for (n, row) in (1..=6).zip(texts) {
            assert_eq!((row.text, row.kind.as_str(), row.verdict), (text(n), "text", None), "{file}");
            assert_eq!((row.file, row.captured), (Some(format!("{file}#{n}")), None));
        }
    }
}

#[test]
fn a_corpus_whose_fields_have_other_names() {
    let inputs = Inputs::new();
    inputs
        .write("a.jsonl", "{\"content\":\"A green boat.\",\"source\":\"http://a.example/1\",\"text\":\"not this\"}\n");
    let head = TEXTS.replace("FILE", "a.jsonl");
    let built = inputs.build(&head, &["pages.text_field=content", "pages.url_field=source"]);
    assert_eq!(built.urls(), set(&["http://a.example/1"]));
    assert_eq!(built.texts()[0].text, "A green boat.");
}

#[test]
fn paths_may_be_lists() {
    let inputs = Inputs::new();
    for (n, folder) in [(1, "one"), (2, "two"), (3, "three")] {
        let url = format!("http://{folder}.example/");
        inputs.write(&format!("{folder}/{n}.warc.gz"), archive(&[(&url, 1, 200, &page(folder))]));
    }
    inputs.write("lists/all.txt", "# Two of three.\n../one/1.warc.gz\n@more.txt\n");
    inputs.write("lists/more.txt", "../two/*.warc.gz\n");
    let head = "[pages]\nfrom = \"warc\"\npaths = [\"@lists/all.txt\"]\nonly_links = false\n";
    assert_eq!(inputs.build(head, &[]).urls(), set(&["http://one.example/", "http://two.example/"]));
    inputs.write("lists/more.txt", "../four/*.warc.gz\n");
    let fault = inputs.fault(head);
    assert!(fault.contains("more.txt") && fault.contains("there is no file"), "{fault}");
}

#[test]
fn the_recipe_chooses_among_captures() {
    let inputs = Inputs::new();
    inputs.write_links(&URLS[..1], 5_000);
    let (early, near, late) = (page("early"), page("near"), page("late"));
    // Their order in the archive says nothing; a failure is never the best.
    let captures =
        [(4_900, 200, &near), (9_000, 200, &late), (1_000, 200, &early), (5_000, 500, &late), (1, 404, &early)];
    let responses: Vec<_> =
        captures.iter().map(|(time, status, page)| (URLS[0], *time, *status, page.as_str())).collect();
    inputs.write("pages.warc.gz", archive(&responses));
    let head = format!("{LINKS}[pages]\nfrom = \"warc\"\npaths = [\"pages.warc.gz\"]\n");
    for (choice, expected) in [("earliest", "early"), ("latest", "late"), ("nearest", "near")] {
        let built = inputs.build(&head, &[&format!("pages.capture={choice}")]);
        let titles: Vec<_> = built.texts().into_iter().map(|text| text.title.unwrap()).collect();
        assert_eq!(titles, [expected], "{choice}");
        assert_eq!(built.dropped("pages.match", Reason::SupersededCapture), 4);
    }
}

#[test]
fn a_sample_is_by_page() {
    let inputs = Inputs::new();
    let line = |n: u32| format!("{{\"text\":\"Boat {n}.\",\"url\":\"http://boats.example/{n}\"}}\n");
    inputs.write("boats.jsonl", (0..400).map(line).collect::<String>());
    let head = TEXTS.replace("FILE", "boats.jsonl");
    let sample = |share: &str| {
        let built = inputs.build(&head, &[&format!("pages.sample_fraction={share}")]);
        let urls = built.urls();
        assert_eq!(built.dropped("pages.match", Reason::NotSampled), 400 - urls.len() as u64);
        urls
    };
    let (tenth, half) = (sample("0.1"), sample("0.5"));
    assert!((15..70).contains(&tenth.len()) && (160..240).contains(&half.len()), "{} and {}", tenth.len(), half.len());
    assert!(tenth.is_subset(&half));
    assert_eq!(sample("1.0").len(), 400);
}

/// Three texts of one site.
fn three_texts() -> Inputs {
    let inputs = Inputs::new();
    let line = |n: u32| format!("{{\"text\":\"The boat of number {n}.\",\"url\":\"http://boats.example/{n}\"}}\n");
    inputs.write("boats.jsonl", (1..=3).map(line).collect::<String>());
    inputs
}

#[test]
fn who_asks_to_be_left_out_is() {
    let inputs = three_texts();
    let id = document_id("example,boats)/2");
    // Another spelling of the URL is the same page.
    inputs.write("exclude.txt", format!("# Two letters came.\nhttps://www.boats.example/1#top\n\n{id}\n"));
    let head = TEXTS.replace("FILE", "boats.jsonl");
    let built = inputs.build(&head, &["shards.exclude=[\"exclude.txt\"]"]);
    assert_eq!(built.dropped("shards.scatter", Reason::Excluded), 2);
    let urls: Vec<String> = built.shard().into_iter().map(|row| row.url).collect();
    assert_eq!(urls, ["http://boats.example/3"]);
}

#[test]
fn text_shards_are_parquet_when_the_recipe_says_so() {
    let inputs = two_sources();
    let head = "[pages]\nfrom = \"warc\"\npaths = [\"pages.warc.gz\"]\nonly_links = false\n";
    let (lines, parquet) = (inputs.build(head, &[]), inputs.build(head, &["shards.text=parquet"]));
    let rows: Vec<Sharded> = parquet.rows("shards", "train-00000");
    assert_eq!(rows, lines.shard());
    assert_eq!((rows.len(), rows[0].captured.as_deref()), (1, Some("1970-01-01T00:00:01Z")));
    assert!(rows[0].warc.ends_with("pages.warc.gz") && rows[0].domain == "a.example", "{rows:?}");
    let tokens = |built: &Built| fs::read(built.folder.path().join("tokens/train.bin")).unwrap();
    assert_eq!(tokens(&lines), tokens(&parquet));
}

#[test]
fn files_of_one_name_in_two_folders_are_two_pages() {
    let inputs = Inputs::new();
    inputs.write("one/index.html", page("first"));
    inputs.write("two/index.html", page("second"));
    let built = inputs.build("[pages]\nfrom = \"html\"\npaths = [\"one\", \"two\"]\nonly_links = false\n", &[]);
    assert_eq!(built.urls(), set(&["file:///one/index.html", "file:///two/index.html"]));
    // Each keeps the name of its file to the end.
    let files: BTreeMap<String, String> =
        built.texts().into_iter().map(|text| (text.title.unwrap(), text.file.unwrap())).collect();
    for (word, name) in [("first", "one/index.html"), ("second", "two/index.html")] {
        assert_eq!(files[word], name);
    }
}

#[test]
fn shards_do_not_depend_on_the_folder_of_the_inputs() {
    let recipe = "[[pages]]\nfrom = \"warc\"\npaths = [\"pages.warc.gz\"]\nonly_links = false\n\
                  [[pages]]\nfrom = \"html\"\npaths = [\"html\"]\nonly_links = false\n\
                  [[pages]]\nfrom = \"texts\"\npaths = [\"texts/*.jsonl\"]\nonly_links = false\n";
    let shards = || {
        let inputs = two_sources();
        for (n, folder) in [(1, "html/a"), (2, "html/b")] {
            inputs.write(&format!("{folder}/{n}.html"), page(&format!("page{n}")));
        }
        for name in ["one", "two"] {
            let line = serde_json::json!({"text": format!("A boat of {name} lies in the harbour.")});
            inputs.write(&format!("texts/{name}.jsonl"), format!("{line}\n"));
        }
        inputs.build(recipe, &["shards.text=parquet"]).rows::<Sharded>("shards", "train-00000")
    };
    let (here, there) = (shards(), shards());
    assert_eq!(here, there);
    let urls: Vec<&str> = here.iter().map(|row| row.url.as_str()).filter(|url| url.starts_with("file:")).collect();
    assert_eq!(
        set(&urls),
        set(&[
            "file:///source-2/a/1.html",
            "file:///source-2/b/2.html",
            "file:///source-3/one.jsonl#1",
            "file:///source-3/two.jsonl#1"
        ])
    );
    assert!(here.iter().all(|row| !row.warc.starts_with('/')), "{here:?}");
}

#[test]
fn a_list_of_urls_names_files_that_are_there() {
    let inputs = Inputs::new();
    inputs.write("html/a.html", page("a"));
    inputs.write("html/urls.tsv", "a.html\thttp://a.example/\nb.html\thttp://b.example/\n");
    let fault = inputs.fault("[pages]\nfrom = \"html\"\npaths = [\"html\"]\nonly_links = false\n");
    assert!(fault.contains("urls.tsv, line 2: there is no file") && fault.contains("b.html"), "{fault}");
}
