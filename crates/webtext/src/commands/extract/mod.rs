//! `webtext extract`: the main text of HTML files, of folders of them, and of the pages in archives.

mod output;
mod pages;
mod zip_pages;

use std::path::PathBuf;

use anyhow::Context;
use console::Exit;
use extract::Charset;
use serde_json::json;

use self::output::Output;
use self::pages::{Said, each_page, pages_below};

/// Flags of `webtext extract`.
#[derive(clap::Args)]
pub struct Arguments {
    /// HTML files, archives (WARC, ARC, WET, WACZ), each compressed or not, ZIP files and folders of them, or - for standard input.
    /// The kind of a file is told by its content.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Folder for one STEM.txt per page; pages of archives are numbered. [default: standard output]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    extract: pipeline::recipe::Extract,
    /// Output format of a page. JSON is one object per page, with the offsets of each block.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Text as Markdown, also that in JSON.
    #[arg(long)]
    markdown: bool,
    /// Print every block with its probability and why it was kept or dropped, instead of the text.
    #[arg(long)]
    explain: bool,
    /// Write the page with coloured blocks to this file: kept ones green, dropped ones red. Further pages go to files
    /// with a number.
    #[arg(long, value_name = "FILE")]
    explain_html: Option<PathBuf>,
    /// Content type of files and standard input, as a server would send it: a hint about the charset, which the bytes
    /// may disprove.
    #[arg(long, value_name = "TYPE", conflicts_with = "charset")]
    content_type: Option<String>,
    /// Charset of files and standard input, whatever they and their bytes say; --content-type is a hint.
    #[arg(long, value_name = "NAME", value_parser = known_charset)]
    charset: Option<Charset>,
    /// Number of threads. The output is in the order of the input for any number. [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Measure the time of extracting all files, read beforehand, on one thread; prints JSON.
    #[arg(long, conflicts_with_all = ["output", "explain", "explain_html"])]
    bench: bool,
}

fn known_charset(name: &str) -> Result<Charset, String> {
    let unknown = "no charset has this name in the Encoding standard; utf-8, windows-1252 and gbk are some";
    Charset::for_label(name).ok_or_else(|| unknown.to_owned())
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut options = arguments.extract.options();
    if arguments.format == Format::Markdown || arguments.markdown {
        options.format = extract::Format::Markdown;
    }
    if arguments.bench {
        options.charset = arguments.charset;
        return bench(&arguments.inputs, &options);
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.unwrap_or(0) as usize);
    let threads = threads.build().context("cannot start threads")?;
    let mut output = Output::new(arguments, &options, &threads);
    let said = Said { content_type: arguments.content_type.as_deref(), charset: arguments.charset };
    each_page(&arguments.inputs, said, &mut |found| output.push(found))?;
    output.finish()
}

/// Reads all pages first, so that only extraction is timed; one thread, user time.
fn bench(inputs: &[PathBuf], options: &extract::Options) -> anyhow::Result<Exit> {
    let mut pages = Vec::new();
    for input in inputs {
        let files = if input.is_dir() { pages_below(input)?.0 } else { vec![input.clone()] };
        for path in files {
            pages.push(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    let before = user_seconds()?;
    let mut bytes = 0;
    for page in &pages {
        bytes += extract::extract(page, None, options).map_or(0, |page| page.text.len());
    }
    let user_s = user_seconds()? - before;
    let html_bytes: usize = pages.iter().map(Vec::len).sum();
    console::out!(
        "{}",
        json!({
            "pages": pages.len(), "html_bytes": html_bytes, "text_bytes": bytes, "user_s": user_s,
            "pages_per_s": pages.len() as f64 / user_s, "mb_per_s": html_bytes as f64 / 1e6 / user_s,
        })
    )?;
    Ok(Exit::Complete)
}

/// User CPU time of this process so far, in seconds, from /proc.
fn user_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("--bench needs /proc")?;
    // The second field is the program's name in brackets, which may contain any character.
    let fields = stat.rsplit(')').next().unwrap_or("");
    let ticks: f64 =
        fields.split_whitespace().nth(11).and_then(|t| t.parse().ok()).context("/proc/self/stat is odd")?;
    // USER_HZ is 100 on every Linux.
    Ok(ticks / 100.0)
}
