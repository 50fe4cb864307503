//! The best label of each line of a file, as fastText's `predict-prob` prints it.
//!
//! ```text
//! cargo run --release -p webtext-fasttext --example predict -- MODEL FILE
//! ```

use std::error::Error;
use std::io::Write;

use fasttext::{Model, Scratch};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, file] = &arguments[..] else { return Err("usage: predict MODEL FILE".into()) };
    let model = Model::open(model)?;
    let text = std::fs::read_to_string(file)?;
    let mut scratch = Scratch::default();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in text.strip_suffix('\n').unwrap_or(&text).split('\n') {
        match model.predict_with(&mut scratch, line, 1, 0.0).first() {
            Some(best) => writeln!(out, "{} {}", best.label, best.probability)?,
            None => writeln!(out)?,
        }
    }
    Ok(out.flush()?)
}
