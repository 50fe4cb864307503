//! What a robots.txt says to a crawler about URLs.
//!
//! ```sh
//! cargo run -p webtext-fetch --example robots -- robots.txt webtext https://a.example/page /another?page
//! cargo run -p webtext-fetch --example robots -- --json < cases.jsonl      # used by tests/robots-suites.py
//! ```
//!
//! With `--json`, each line of standard input is `{"robots": …, "agent": …, "url": …}`, and so many lines come back:
//! `{"allowed": …, "line": …, "crawl_delay": …}`.

use std::error::Error;
use std::io::{self, BufRead, Write};

use fetch::RobotsTxt;
use serde_json::{Value, json};
use url::{Position, Url};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag] if flag == "--json" => answer_lines(),
        [file, agent, urls @ ..] if !urls.is_empty() => {
            let robots = RobotsTxt::parse(&std::fs::read(file)?, agent);
            for url in urls {
                let path = path_of(url)?;
                match robots.disallowed_by(&path) {
                    Some(line) => println!("disallowed  {url}  {line}"),
                    None => println!("allowed     {url}"),
                }
                for (_, line) in robots.signals(&path) {
                    println!("signal      {url}  {line}");
                }
            }
            if let Some(delay) = robots.crawl_delay() {
                println!("crawl delay {} s", delay.as_secs_f64());
            }
            Ok(())
        }
        _ => Err("usage: robots FILE AGENT URL… | robots --json".into()),
    }
}

fn answer_lines() -> Result<(), Box<dyn Error>> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let case: Value = serde_json::from_str(&line?)?;
        let text = |name: &str| case[name].as_str().unwrap_or("");
        let robots = RobotsTxt::parse(text("robots").as_bytes(), text("agent"));
        let line = robots.disallowed_by(&path_of(text("url"))?).map(str::to_owned);
        let crawl_delay = robots.crawl_delay().map(|delay| delay.as_secs_f64());
        writeln!(output, "{}", json!({"allowed": line.is_none(), "line": line, "crawl_delay": crawl_delay}))?;
        output.flush()?;
    }
    Ok(())
}

/// Path and query of a URL, or of a path.
fn path_of(url: &str) -> Result<String, url::ParseError> {
    let url = Url::parse("http://a.example/")?.join(url)?;
    Ok(url[Position::BeforePath..Position::AfterQuery].to_owned())
}
