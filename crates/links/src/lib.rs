#![doc = include_str!("../README.md")]

pub mod canonical;
mod dates;
mod read;
mod rules;
mod submission;

pub use canonical::Canonical;
pub use dates::period;
pub use read::{DroppedRecord, DumpError, DumpScores, merge_rows, read_dump};
pub use rules::{KarmaOf, KarmaRule, SubmissionRow, SubmissionRules, WithoutKarma};
pub use submission::{MalformedSubmission, Submission};
