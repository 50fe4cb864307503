#![doc = include_str!("../README.md")]

pub mod canonical;
mod dates;
mod json;
mod read;
mod rules;
mod submission;
mod value;

pub use canonical::Canonical;
pub use dates::period;
pub use read::{DroppedRecord, DumpError, DumpFault, DumpScores, merge_rows, read_dump};
pub use rules::{
    BlockedDomain, BlockedExtension, InvalidRule, KarmaOf, KarmaRule, SubmissionRow, SubmissionRules, WithoutKarma,
};
pub use submission::{MalformedSubmission, Submission};
