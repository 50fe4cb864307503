//! What the writer costs: milliseconds and share of the plain size for each level, on pages of a folder.
//!
//! `write FOLDER [MIN_BYTES MAX_BYTES]`; only files of that many bytes count (all without them).

use std::time::Instant;

use warc::{Date, NewRecord, Writer};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first() else {
        eprintln!("usage: write FOLDER [MIN_BYTES MAX_BYTES]");
        std::process::exit(2);
    };
    let bound = |n: usize, default| arguments.get(n).and_then(|bytes| bytes.parse().ok()).unwrap_or(default);
    let (min, max) = (bound(1, 0), bound(2, usize::MAX));
    let mut blocks = Vec::new();
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
    for entry in std::fs::read_dir(folder)? {
        let page = std::fs::read(entry?.path())?;
        if (min..=max).contains(&page.len()) {
            blocks.push([head, &page[..]].concat());
        }
    }
    let plain: usize = blocks.iter().map(Vec::len).sum();
    println!("{} pages of {} bytes on average", blocks.len(), plain / blocks.len().max(1));
    let date = Date::epoch();
    for level in [0, 1, 2, 3, 4, 6, 9] {
        let start = Instant::now();
        let mut writer = Writer::new(std::io::sink(), 0).with_level(level);
        for block in &blocks {
            writer.write(&NewRecord {
                kind: "response",
                target: Some("https://a.example/"),
                date: &date,
                content_type: "application/http;msgtype=response",
                headers: &[],
                block,
                payload_start: Some(head.len()),
            })?;
        }
        let ms = start.elapsed().as_secs_f64() * 1e3 / blocks.len().max(1) as f64;
        println!(
            "level {level}: {ms:.3} ms per page, {:.1}% of the plain size",
            100.0 * writer.offset() as f64 / plain as f64
        );
    }
    Ok(())
}
