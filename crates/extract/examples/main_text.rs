//! Prints the main text of HTML files, each below its name: `main_text PAGE.html…`

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    for path in std::env::args().skip(1) {
        let html = fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
        let page = extract::extract(&html, None, &extract::Options::default())?;
        println!("{path} ({}, {})\n\n{}\n", page.kind.name(), page.charset, page.text);
    }
    Ok(())
}
