//! Extractors that are Rust crates: `peers TOOL SET OUT` reads SET/html/*.html, writes OUT/<stem>.txt and
//! prints `{"pages":N,"failed":N,"user_s":X}`. Copied into a crate of its own and built by extract.sh.
//!
//! Only extraction is timed, decoding included, in user CPU seconds. A page at which a peer fails or panics
//! has the empty text.

use std::path::{Path, PathBuf};

// As in `webtext`: allocation is no part of what is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Extractor = fn(&[u8]) -> Option<String>;

/// How far into a page HTML's encoding sniffing looks for `charset=`.
const PRESCAN_BYTES: usize = 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tool, set, out] = arguments.as_slice() else { panic!("usage: peers TOOL SET OUT") };
    let extractor: Extractor = match tool.as_str() {
        "rs-trafilatura" => rs_trafilatura,
        "trafilatura-crate" => trafilatura,
        "dom_smoothie" => dom_smoothie,
        _ => panic!("unknown tool: {tool}"),
    };
    let pages = read_pages(&Path::new(set).join("html"));
    std::panic::set_hook(Box::new(|_| {}));

    let start_s = user_s();
    let texts: Vec<Option<String>> =
        pages.iter().map(|(_, html)| std::panic::catch_unwind(|| extractor(html)).unwrap_or(None)).collect();
    let user_s = user_s() - start_s;

    for ((path, _), text) in pages.iter().zip(&texts) {
        let name = format!("{}.txt", path.file_stem().expect("a stem").to_string_lossy());
        std::fs::write(Path::new(out).join(name), text.as_deref().unwrap_or("")).expect("a text is written");
    }
    let failed = texts.iter().filter(|text| text.is_none()).count();
    println!("{{\"pages\":{},\"failed\":{failed},\"user_s\":{user_s}}}", pages.len());
}

fn rs_trafilatura(html: &[u8]) -> Option<String> {
    rs_trafilatura::extract_bytes(html).ok().map(|result| result.content_text)
}

/// With the fallback, as trafilatura itself has it by default.
fn trafilatura(html: &[u8]) -> Option<String> {
    let options = trafilatura::Options::default().with_fallback(true);
    trafilatura::extract(&decode(html), &options).ok().map(|result| result.content_text)
}

/// With line breaks at blocks; by default words of two blocks may be joined.
fn dom_smoothie(html: &[u8]) -> Option<String> {
    let config = dom_smoothie::Config { text_mode: dom_smoothie::TextMode::Formatted, ..Default::default() };
    let mut page = dom_smoothie::Readability::new(&*decode(html), None, Some(config)).ok()?;
    page.parse().ok().map(|article| article.text_content.to_string())
}

/// For crates that take a string: byte order mark, then UTF-8, then the declared encoding, then a guess.
fn decode(html: &[u8]) -> std::borrow::Cow<'_, str> {
    if let Some((encoding, _)) = encoding_rs::Encoding::for_bom(html) {
        return encoding.decode(html).0;
    }
    if let Ok(text) = std::str::from_utf8(html) {
        return text.into();
    }
    let encoding = declared(&html[..html.len().min(PRESCAN_BYTES)]).unwrap_or_else(|| {
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
        detector.feed(html, true);
        detector.guess(None, chardetng::Utf8Detection::Allow)
    });
    encoding.decode(html).0
}

fn declared(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let at = head.windows(8).position(|window| window.eq_ignore_ascii_case(b"charset="))?;
    let label = head[at + 8..].split(|byte| b"\"' ;/>".contains(byte)).find(|part| !part.is_empty())?;
    encoding_rs::Encoding::for_label(label)
}

fn read_pages(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("a folder of pages");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(&path).expect("a page"))).collect()
}

/// User CPU seconds of this process so far.
fn user_s() -> f64 {
    // SAFETY: `rusage` is plain numbers, for which zeros are valid, and is written by the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    usage.ru_utime.tv_sec as f64 + usage.ru_utime.tv_usec as f64 / 1e6
}
