//! The best label of each line of a file, as fastText's `predict-prob` prints it; with a number of rounds, the seconds
//! that each round took, too, on standard error.
//!
//! ```text
//! cargo run --release -p fasttext --example predict -- MODEL FILE [ROUNDS]
//! ```

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use fasttext::{Model, Scratch};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, file, rounds) = match &arguments[..] {
        [model, file] => (model, file, 1),
        [model, file, rounds] => (model, file, rounds.parse()?),
        _ => return Err("usage: predict MODEL FILE [ROUNDS]".into()),
    };
    let started = Instant::now();
    let model = Model::open(model)?;
    eprintln!("read\t{:.4}", started.elapsed().as_secs_f64());
    let text = std::fs::read_to_string(file)?;
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(&text).split('\n').collect();
    let mut scratch = Scratch::default();
    let mut answers = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        answers = lines.iter().map(|line| model.predict_with(&mut scratch, line, 1, 0.0)).collect();
        eprintln!("round\t{:.4}", started.elapsed().as_secs_f64());
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for answer in &answers {
        match answer.first() {
            Some(best) => writeln!(out, "{} {}", best.label, best.probability)?,
            None => writeln!(out)?,
        }
    }
    Ok(out.flush()?)
}
