//! How much a test does of what takes long: a share in `.ci/run`, all of it in `just full`.
//!
//! Included by its path, as `skip.rs` is.

/// The step through cases of which one in `n` is tested, or all where `WEBTEXT_TESTS_WHOLE=1`.
pub fn one_in(n: usize) -> usize {
    if std::env::var("WEBTEXT_TESTS_WHOLE").as_deref() == Ok("1") { 1 } else { n }
}
