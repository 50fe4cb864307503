"""What DCLM's Bloom filter makes of texts, by its own functions.

    bff.py DCLM TEXTS > bff.jsonl

DCLM is a clone of <https://github.com/mlfoundations/dclm>, at commit 361714b for `bff.jsonl`; TEXTS has JSON Lines of
{"text"}, which `../ngram_bloom.rs` writes. Writes a line for each text: for each of the settings the XXH64 of what
`--remove-type old-both` leaves of it, or null where it is left out.

The program itself needs the libraries of a cloud. So the functions that judge a document are taken out of its source and
compiled with a reader of lines. Its hashes are random; with 1e-12 of false positives that makes no difference.
"""

import re
import subprocess
import sys
import tempfile

FUNCTIONS = ["not_whitespace", "tokenize", "process_line_oldboth"]
METHODS = ["new", "hashes", "insert_hashes", "contains_hashes"]
MANIFEST = """
[package]
name = "bff"
version = "0.1.0"
edition = "2021"
[dependencies]
ahash = { version = "=0.8.11", features = ["runtime-rng"] }
rand = "0.8"
rayon = "1"
serde_json = "1"
unicode-segmentation = "=1.11.0"
xxhash-rust = { version = "0.8", features = ["xxh64"] }
[workspace]
"""
HEAD = """
use ahash::RandomState;
use rand::Rng;
use rayon::prelude::*;
use serde_json::Value;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::io::BufRead;
use std::mem::size_of;
use std::sync::atomic::{AtomicU32, Ordering};
use unicode_segmentation::UnicodeSegmentation;
"""
MAIN = """
fn main() {
    let settings = [(13, 13, 0.8), (3, 5, 0.5)];
    let filters: Vec<_> = settings.iter().map(|_| BloomFilter::new(1 << 26, 40)).collect();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let of_settings = |(&(min, max, threshold), filter): (&(usize, usize, f64), &BloomFilter)| {
            let (data, ..) = process_line_oldboth(&line, filter, min, max, threshold, false, false);
            let text = data["text"].as_str().unwrap();
            let is_left = !text.trim().is_empty();
            is_left.then(|| format!("{:016x}", xxhash_rust::xxh64::xxh64(text.as_bytes(), 0)))
        };
        let row: Vec<_> = settings.iter().zip(&filters).map(of_settings).collect();
        println!("{}", serde_json::to_string(&row).unwrap());
    }
}
"""


def item(source, name, indent):
    """The function with this name, to the bracket that closes it."""
    return re.search(rf"^{indent}fn {name}\(.*?^{indent}}}$", source, re.S | re.M).group()


source = subprocess.check_output(["git", "-C", sys.argv[1], "show", "HEAD:dedup/bff/src/main.rs"], text=True)
struct = re.search(r"^struct BloomFilter \{.*?^\}$", source, re.S | re.M).group()
methods = "\n".join(item(source, name, "    ") for name in METHODS)
functions = "\n".join(item(source, name, "") for name in FUNCTIONS)
with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/Cargo.toml", "w") as out:
        out.write(MANIFEST)
    with open(f"{folder}/main.rs", "w") as out:
        out.write(f"{HEAD}{struct}\nimpl BloomFilter {{\n{methods}\n}}\n{functions}\n{MAIN}")
    with open(f"{folder}/Cargo.toml", "a") as out:
        out.write('[[bin]]\nname = "bff"\npath = "main.rs"\n')
    target = ["--target-dir", f"{folder}/target", "--manifest-path", f"{folder}/Cargo.toml"]
    with open(sys.argv[2]) as texts:
        subprocess.run(["cargo", "run", "--quiet", "--release", *target], stdin=texts, check=True)
