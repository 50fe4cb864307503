//! The Python package `webtext`: what the crates of this project do to texts, pages and archives, for programs in Python.
//!
//! This crate is the thin part: it turns Python's values into the crates' and back, and says where each lies. Names that
//! users know from tiktoken, trafilatura and warcio are theirs. Every call on many items lets go of the interpreter, runs
//! on several threads, gives its results in the order of the items and ends on Ctrl-C.
//!
//! Left out: what only files have to do with, `encode_files` and `train_bpe`. They are the commands themselves, called by
//! `python/webtext/files.py`.

mod archives;
mod arrow;
mod commands;
mod duplicates;
mod error;
mod inputs;
mod numbers;
mod pages;
mod parallel;
mod pickle;
mod rules;
mod special;
mod tokenizer;
mod train;
mod urls;

/// Trees of pages are millions of small allocations; the system's allocator costs a fifth more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The native half of the package `webtext`.
#[pyo3::pymodule]
mod _webtext {
    #[pymodule_export]
    use crate::archives::{ArchiveIterator, Record};
    #[pymodule_export]
    use crate::arrow::{ArrowArray, ArrowTable};
    #[pymodule_export]
    use crate::commands::run_command;
    #[pymodule_export]
    use crate::duplicates::{Duplicate, dedup_texts, minhash, minhash_batch};
    #[pymodule_export]
    use crate::error::Error;
    #[pymodule_export]
    use crate::pages::{Page, decode_html, extract_batch, extract_batch_arrow, extract_page};
    #[pymodule_export]
    use crate::rules::{Filter, Judgement};
    #[pymodule_export]
    use crate::tokenizer::Tokenizer;
    #[pymodule_export]
    use crate::train::train_bpe_from_iterator;
    #[pymodule_export]
    use crate::urls::{CanonicalUrl, canonical_url};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
