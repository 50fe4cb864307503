//! Prints the spans of repeated substrings, as `benches/substrings.sh` asks for them:
//! `substrings FILE SCRATCH bytes|tokens MIN-UNITS all|later MAX-MEMORY-BYTES THREADS`.
//!
//! FILE has each document behind its length, a `u32` with the low byte first. A line of the output is a document's number
//! and the two ends of a span in it.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use dedup::substrings::{Copies, SequenceUnit, SubstringSettings, Substrings};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, scratch, unit, min_units, copies, max_memory_bytes, threads] = arguments.as_slice() else {
        return Err("usage: substrings FILE SCRATCH bytes|tokens MIN-UNITS all|later MAX-MEMORY-BYTES THREADS".into());
    };
    let settings = SubstringSettings {
        unit: if unit == "tokens" { SequenceUnit::Token16 } else { SequenceUnit::Byte },
        min_units: min_units.parse()?,
        copies: if copies == "later" { Copies::Later } else { Copies::All },
        max_memory_bytes: max_memory_bytes.parse()?,
        threads: threads.parse()?,
    };
    let mut corpus = Substrings::new(Path::new(scratch), settings)?;
    let mut input = BufReader::new(File::open(file)?);
    let (mut length, mut document) = ([0; 4], Vec::new());
    while input.read_exact(&mut length).is_ok() {
        document.resize(u32::from_le_bytes(length) as usize, 0);
        input.read_exact(&mut document)?;
        corpus.push(&document)?;
    }
    let repeats = corpus.find()?;
    eprintln!("{:?}", repeats.counts());
    let mut output = BufWriter::new(std::io::stdout().lock());
    for (document, spans) in repeats.enumerate() {
        for span in spans? {
            writeln!(output, "{document} {} {}", span.start, span.end)?;
        }
    }
    output.flush()?;
    Ok(())
}
