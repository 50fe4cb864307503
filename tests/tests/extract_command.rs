//! `webtext extract` as a tool: inputs known by content, rows in the order of the input, faults named.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use webtext_tests::web::gzip;
use webtext_tests::{binary, check, stderr};

const SAYS: &str = "The ferry leaves the old harbour at noon, and it comes back before it is dark.";

fn page(word: &str) -> String {
    format!(
        "<!doctype html><title>{word}</title><article><h1>{word}</h1><p>{SAYS}</p><p>The {word} is late.</p></article>"
    )
}

fn record(kind: &str, url: &str, content_type: &str, block: &str) -> String {
    format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{url}>\r\nWARC-Target-URI: {url}\r\n\
         WARC-Date: 2020-01-01T00:00:00Z\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{block}\r\n\r\n",
        block.len()
    )
}

/// Inputs of many kinds, with names that say nothing.
fn inputs() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let response = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{}", page("archived"));
    write("1", page("plain").as_bytes());
    write("2", &gzip(page("packed").as_bytes()));
    write("3", record("response", "http://a.example/", "application/http; msgtype=response", &response).as_bytes());
    write("4", &gzip(record("conversion", "http://b.example/", "text/plain", SAYS).as_bytes()));
    write("5", b"<title>empty</title>");
    folder
}

fn extract(folder: &Path) -> Command {
    let mut command = Command::new(binary("webtext"));
    command.current_dir(folder).arg("extract");
    command
}

#[test]
fn inputs_are_known_by_their_content_and_rows_have_their_order() {
    let folder = inputs();
    let names = ["1", "2", "3", "4", "5"];
    let rows = |threads: &str| {
        let mut command = extract(folder.path());
        let output = check(command.args(names).args(["--format", "json", "--threads", threads]), 0);
        assert!(stderr(&output).contains("1 of 5 pages has no main text"), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let one = rows("1");
    assert_eq!(one, rows("3"));
    let rows: Vec<Value> = one.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().map(|row| row["file"].as_str().unwrap()).collect::<Vec<_>>(), names);
    assert!(rows[..4].iter().all(|row| row["text"].as_str().unwrap().contains(SAYS)), "{one}");
    assert_eq!((&rows[2]["url"], &rows[3]["url"]), (&"http://a.example/".into(), &"http://b.example/".into()));
    assert_eq!(rows[2]["record_id"], "<urn:uuid:http://a.example/>");
}

#[test]
fn what_is_no_page_is_named() {
    let folder = inputs();
    let noise: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let files: [(&str, &[u8], &str); 8] = [
        ("a.html", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        ("b.html", b"%PDF-1.7\n%", "application/pdf"),
        ("c.html", &noise, "binary data"),
        ("d.html", b"PK\x03\x04 no zip", "ZIP"),
        ("e.html", b"{\"text\": \"The ferry leaves at noon, says <b>the harbour</b>.\"}", "JSON"),
        ("e.jsonl", b"{\"text\": \"<p>one</p>\"}\n{\"text\": \"two\"}\n", "JSON"),
        ("f.html", b"body { color: red }\n.a { margin: 0 }\n", "neither a tag nor a sentence"),
        ("g.html", b"a,b,c\n1,2,3\n", "neither a tag nor a sentence"),
    ];
    for (name, bytes, what) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
        let output = check(extract(folder.path()).args(["1", name]), 3);
        let message = stderr(&output);
        assert!(message.contains(name) && message.contains(what), "{message}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(SAYS));
    }
    let output = check(extract(folder.path()).args(["1", "no-such-file"]), 3);
    assert!(stderr(&output).contains("no-such-file"));
}

/// Marks, zeros and blank lines before the first record are none.
#[test]
fn an_archive_is_known_behind_what_is_no_record() {
    let folder = inputs();
    let archive = fs::read(folder.path().join("3")).unwrap();
    for before in ["\u{feff}", "\0\0\0\0", "\r\n\r\n", "\u{feff}\r\n"] {
        fs::write(folder.path().join("marked"), [before.as_bytes(), &archive].concat()).unwrap();
        let output = check(extract(folder.path()).args(["marked", "--format", "json"]), 0);
        let row: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(row["url"], "http://a.example/", "{before:?}");
    }
}

#[test]
fn each_page_has_its_own_picture() {
    let folder = inputs();
    check(extract(folder.path()).args(["1", "2", "--explain-html", "shown.html"]), 0);
    let shown = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(shown("shown.html").contains("plain") && shown("shown-2.html").contains("packed"));
}

/// A site that was saved as a ZIP file: its pages, stored and compressed, and nothing of what lies beside them.
#[test]
fn pages_in_a_zip_file() {
    let folder = inputs();
    let zip = |files: &[(&str, &str)]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (number, (name, text)) in files.iter().enumerate() {
            let method = [zip::CompressionMethod::Deflated, zip::CompressionMethod::Stored][number % 2];
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            zip.start_file(*name, options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let site = zip(&[("a/index.html", &page("zipped")), ("b", &page("stored")), ("style.css", "p { margin: 0 }")]);
    fs::write(folder.path().join("site"), site).unwrap();
    let output = check(extract(folder.path()).args(["site", "--format", "json"]), 0);
    let rows: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        rows.iter().map(|row| row["file"].as_str().unwrap()).collect::<Vec<_>>(),
        ["site/a/index.html", "site/b"]
    );
    assert!(rows[0]["text"].as_str().unwrap().contains("The zipped is late."));
    // An archive whose last record is a ZIP file stays one.
    let mut archive = fs::read(folder.path().join("3")).unwrap();
    let site = fs::read(folder.path().join("site")).unwrap();
    let head =
        "WARC/1.0\r\nWARC-Type: resource\r\nWARC-Record-ID: <urn:uuid:z>\r\nWARC-Target-URI: http://z.example/\r\n";
    write!(archive, "{head}Content-Type: application/zip\r\nContent-Length: {}\r\n\r\n", site.len()).unwrap();
    archive.extend([&site[..], b"\r\n\r\n"].concat());
    fs::write(folder.path().join("archive"), archive).unwrap();
    let output = check(extract(folder.path()).arg("archive"), 0);
    assert!(String::from_utf8(output.stdout).unwrap().contains("The archived is late."));
    fs::write(folder.path().join("none"), zip(&[("style.css", "p { margin: 0 }")])).unwrap();
    let output = check(extract(folder.path()).arg("none"), 3);
    assert!(stderr(&output).contains("neither a page nor an archive"), "{}", stderr(&output));
}

#[test]
fn a_folder_is_read_once_though_links_lead_around_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("site/inner");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("no-ending"), page("deep")).unwrap();
    fs::write(inner.join("notes.txt"), "The harbour is closed.").unwrap();
    std::os::unix::fs::symlink("..", inner.join("around")).unwrap();
    let output = check(extract(folder.path()).args(["site", "--format", "json"]), 0);
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(stderr(&output).contains("left out: 1 file, such as "), "{}", stderr(&output));
}

/// Pages of one stem go to files of their own, and none to the file it was read from.
#[test]
fn no_text_is_written_over_another_nor_over_its_page() {
    let folder = inputs();
    let path = |name: &str| folder.path().join(name);
    for (place, word) in [("x", "first"), ("y", "second")] {
        fs::create_dir(path(place)).unwrap();
        fs::write(path(place).join("page.html"), page(word)).unwrap();
    }
    check(extract(folder.path()).args(["x/page.html", "y/page.html", "-o", "texts"]), 0);
    let text = |name: &str| fs::read_to_string(path("texts").join(name)).unwrap();
    assert!(text("page.txt").contains("The first is late.") && text("page-2.txt").contains("The second is late."));
    fs::write(path("x/page.txt"), page("itself")).unwrap();
    let output = check(extract(folder.path()).args(["x/page.txt", "-o", "x"]), 1);
    assert!(stderr(&output).contains("written over it"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(path("x/page.txt")).unwrap(), page("itself"));
}

#[test]
fn a_charset_that_is_said_and_markdown_in_json() {
    let folder = inputs();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    // "The ferry is late" in windows-1251; no byte of it says so.
    write("legacy", b"<title>x</title><article><h1>\xcf\xe0\xf0\xee\xec</h1><p>\xcf\xe0\xf0\xee\xec \xee\xef\xee\xe7\xe4\xe0\xeb.</p></article>");
    let output = check(extract(folder.path()).args(["legacy", "--charset", "windows-1251"]), 0);
    assert!(String::from_utf8(output.stdout).unwrap().contains("Паром опоздал."));
    let output = check(extract(folder.path()).args(["legacy", "--charset", "windows-9"]), 2);
    assert!(stderr(&output).contains("no charset has this name"), "{}", stderr(&output));
    let output = check(extract(folder.path()).args(["1", "--format", "json", "--markdown"]), 0);
    let row: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(row["text"].as_str().unwrap().starts_with("# plain"), "{row}");
}

#[test]
fn a_page_over_the_limit_is_named_and_one_behind_a_skippable_frame_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let blanks = " ".repeat(64 << 20);
    let large = format!("{}{blanks}", page("large"));
    write("large.html", large.as_bytes());
    write("large.html.gz", &gzip(large.as_bytes()));
    let frame = zstd::encode_all(page("framed").as_bytes(), 3).unwrap();
    write("framed.html", &[b"\x50\x2a\x4d\x18\0\0\0\0".as_slice(), &frame].concat());
    let output = check(extract(folder.path()).args(["large.html", "large.html.gz", "framed.html"]), 3);
    let said = stderr(&output);
    for name in ["large.html", "large.html.gz"] {
        assert!(said.contains(&format!("{name}: it has more than 64 MiB")), "{said}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("The framed is late."), "{said}");
}
