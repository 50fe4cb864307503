#![doc = include_str!("../README.md")]

mod address;
pub mod canonical;
mod dates;
mod key;
mod read;
mod rules;
mod sessions;
mod submission;
mod tracking;
mod wrappers;

pub use canonical::Canonical;
pub use dates::period;
pub use read::{DroppedRecord, DumpError, DumpScores, merge_rows, read_dump};
pub use rules::{KarmaOf, KarmaRule, SubmissionRow, SubmissionRules, WithoutKarma};
pub use submission::{MalformedSubmission, Submission};
pub use wrappers::{CanonicalRules, Wrapper, unwrapped};
