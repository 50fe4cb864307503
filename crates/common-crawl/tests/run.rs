//! Whole runs against an index and archives on disk.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use common_crawl::{CommonCrawlError, CommonCrawlSettings, CopyRun, LinkSource};
use parquet::arrow::ArrowWriter;
use records::{CaptureChoice, Link, Outcome, Reason};
use store::table::TableWriter;

const PAGES: usize = 40;

fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn url(page: usize) -> String {
    format!("https://h{}.example.com/p{page}", page % 7)
}

/// Two captures of each page but the last, 1,000 s and 5,000 s after 1970, in one archive; returns their members.
fn make_data(folder: &Path) -> BTreeMap<(usize, i64), Vec<u8>> {
    let mut members = BTreeMap::new();
    let (mut archive, mut rows) = (Vec::new(), Vec::new());
    for (page, time_s) in (0..PAGES - 1).flat_map(|page| [(page, 1_000), (page, 5_000)]) {
        let block = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>page {page} at {time_s}");
        let (url, len) = (url(page), block.len());
        let member = gzip(&format!(
            "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nContent-Length: {len}\r\n\r\n{block}\r\n\r\n"
        ));
        rows.push((format!("com,example,h{})/p{page}", page % 7), url, time_s, archive.len(), member.len()));
        archive.extend_from_slice(&member);
        members.insert((page, time_s), member);
    }
    fs::write(folder.join("a.warc.gz"), archive).unwrap();
    rows.sort();
    let texts =
        |of: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..rows.len()).map(of))) };
    let numbers = |of: &dyn Fn(usize) -> usize| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values((0..rows.len()).map(|row| of(row) as i32)))
    };
    let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.2 * 1000));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("url_surtkey", texts(&|row| rows[row].0.clone())),
        ("url", texts(&|row| rows[row].1.clone())),
        ("fetch_time", Arc::new(times)),
        ("fetch_status", numbers(&|_| 200)),
        ("warc_filename", texts(&|_| "a.warc.gz".into())),
        ("warc_record_offset", numbers(&|row| rows[row].3)),
        ("warc_record_length", numbers(&|row| rows[row].4)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(folder.join("index.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    members
}

fn links() -> Vec<Link> {
    let link = |page: usize| {
        let canonical = links::Canonical::parse(&url(page)).unwrap();
        Link {
            domain: canonical.domain,
            key: canonical.key,
            url: canonical.url,
            karma: None,
            submissions: 1,
            subreddit: None,
            title: None,
            created_utc: Some(4_000),
            source: format!("test:{page}"),
            verdict: None,
        }
    };
    let mut links: Vec<Link> = (0..PAGES).map(link).collect();
    links.sort_by_key(Link::page);
    // No capture is looked for where the link was dropped.
    links[3].verdict = Some(Reason::LowKarma);
    links
}

fn rows(links: &[Link]) -> LinkSource<'_> {
    LinkSource::Rows(Box::new(links.iter().cloned().map(Ok)))
}

fn settings(data: &Path) -> CommonCrawlSettings {
    CommonCrawlSettings {
        index: vec![data.join("index.parquet").display().to_string()],
        data: data.display().to_string(),
        max_gap_bytes: 0,
        max_request_bytes: 1,
        max_warc_bytes: 2_000,
        ..CommonCrawlSettings::default()
    }
}

fn run<'a>(folder: &'a Path, prefix: &'a str, stop: &'a (dyn Fn() -> bool + Sync)) -> CopyRun<'a> {
    CopyRun { folder, prefix, shown: "pages/", stop, progress: &|_| {} }
}

fn outcomes(
    source: LinkSource<'_>,
    settings: &CommonCrawlSettings,
    run: &CopyRun<'_>,
) -> Result<Vec<Outcome>, CommonCrawlError> {
    common_crawl::fetch(source, settings, run)?.collect()
}

/// Archives of a folder, each under what follows its prefix.
fn archives(folder: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let own = names.filter_map(|name| Some((name.strip_prefix(prefix)?.to_owned(), name)));
    own.map(|(rest, name)| (rest, fs::read(folder.join(name)).unwrap())).collect()
}

#[test]
fn a_captured_link_names_archive_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path(), folder.path().join("out"));
    let (members, links) = (make_data(data), links());
    for (choice, time_s) in [(CaptureChoice::Earliest, 1_000), (CaptureChoice::Nearest, 5_000)] {
        let settings = CommonCrawlSettings { capture: choice, ..settings(data) };
        let prefix = format!("{choice:?}");
        let found = outcomes(rows(&links), &settings, &run(&out, &prefix, &|| false)).unwrap();
        let kept: Vec<&Link> = links.iter().filter(|link| link.verdict.is_none()).collect();
        assert_eq!(found.len(), kept.len());
        let archives = archives(&out, &prefix);
        assert!(archives.len() > 3, "several archives: {}", archives.len());
        for (outcome, link) in found.iter().zip(kept) {
            assert_eq!((&outcome.domain, &outcome.key), (&link.domain, &link.key));
            let page: usize = link.source.strip_prefix("test:").unwrap().parse().unwrap();
            let Some(member) = members.get(&(page, time_s)) else {
                assert_eq!(outcome, &link.without_page(Reason::NotCaptured, None));
                continue;
            };
            let name = outcome.warc.as_deref().and_then(|name| name.strip_prefix("pages/")).unwrap();
            let offset = outcome.offset.unwrap() as usize;
            let archive = &archives[name.strip_prefix(&prefix).unwrap()];
            assert_eq!(&archive[offset..offset + member.len()], member, "{}", link.url);
        }
    }
}

#[test]
fn rows_a_table_and_stops_give_the_same_archives() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path(), folder.path().join("out"));
    make_data(data);
    let (links, settings) = (links(), settings(data));
    let expected = outcomes(rows(&links), &settings, &run(&out, "rows", &|| false)).unwrap();

    let table_path = data.join("links.parquet");
    let mut table = TableWriter::create(&table_path).unwrap();
    links.iter().for_each(|link| table.push(link.clone()).unwrap());
    table.finish().unwrap();
    outcomes(LinkSource::Table(&table_path), &settings, &run(&out, "table", &|| false)).unwrap();
    assert_eq!(archives(&out, "table-"), archives(&out, "rows-"));

    // Each call copies five more captures.
    let mut calls = 0;
    loop {
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Relaxed) >= 5;
        match outcomes(rows(&links), &settings, &run(&out, "stops", &stop)) {
            Err(CommonCrawlError::Stopped) => calls += 1,
            found => {
                assert_eq!(found.unwrap().len(), expected.len());
                break;
            }
        }
        assert!(calls < 50);
    }
    assert!(calls > 3, "{calls}");
    assert_eq!(archives(&out, "stops-"), archives(&out, "rows-"));
}

#[test]
fn a_folder_serves_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path(), folder.path().join("out"));
    make_data(data);
    let (links, settings) = (links(), settings(data));
    let run = run(&out, "pages", &|| false);
    let plan = common_crawl::plan(rows(&links), &settings, &run).unwrap();
    assert_eq!((plan.links, plan.counts.kept), (PAGES as u64 - 1, PAGES as u64 - 2));
    let other = CommonCrawlSettings { capture: CaptureChoice::Latest, ..settings.clone() };
    let refused = |source, settings: &CommonCrawlSettings| match common_crawl::fetch(source, settings, &run) {
        Err(CommonCrawlError::OtherRun { what, .. }) => what,
        other => panic!("{:?}", other.map(|_| ())),
    };
    assert_eq!(refused(rows(&links), &other), "another choice of captures");
    assert_eq!(refused(rows(&links[1..]), &settings), "other links");
    let unsorted: Vec<Link> = links.iter().rev().cloned().collect();
    let elsewhere = CopyRun { prefix: "other", ..run };
    let error = common_crawl::plan(rows(&unsorted), &settings, &elsewhere).unwrap_err();
    assert!(matches!(error, CommonCrawlError::Unsorted { .. }), "{error}");
    // While the outcomes are read, no other process can work here.
    let reading = common_crawl::fetch(rows(&links), &settings, &run).unwrap();
    assert!(matches!(common_crawl::plan(rows(&links), &settings, &run), Err(CommonCrawlError::Locked(_))));
    drop(reading);
    common_crawl::plan(rows(&links), &settings, &run).unwrap();
}
