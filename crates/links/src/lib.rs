//! Reddit dumps and link lists → links: one row for each distinct link, with its fate.
//!
//! The work is in two steps, because the submissions of one link lie in many dumps:
//!
//! 1. [`read_dump`]: [`dump::Lines`] streams the records of one dump, [`Submission::parse`] reads one, and
//!    [`Policy::submission`] gives it a canonical URL, a [duplicate key](canonical) and a verdict of its own.
//! 2. [`merge_rows`]: [`Policy::merge`] makes one [`records::Link`] of all submissions with the same key.
//!
//! Left out: any access to the network, and any guess whether a link still works.

pub mod canonical;
pub mod dump;
mod policy;
mod read;
mod submission;

pub use canonical::Canonical;
pub use policy::{Karma, KarmaOf, Policy, Row};
pub use read::{Dropped, merge_rows, read_dump};
pub use submission::{Malformed, Submission};
