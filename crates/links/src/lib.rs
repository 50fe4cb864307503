#![doc = include_str!("../README.md")]

mod address;
pub mod canonical;
mod dates;
mod json;
mod key;
mod read;
mod rules;
mod sessions;
mod submission;
mod tracking;
mod value;
mod wrappers;

pub use canonical::Canonical;
pub use dates::period;
pub use key::{escaped_byte, push_escape};
pub use read::{DroppedRecord, DumpError, DumpFault, DumpScores, merge_rows, read_dump};
pub use rules::{
    BlockedDomain, BlockedExtension, InvalidBlockedName, KarmaOf, KarmaRule, SubmissionRow, SubmissionRules,
    WithoutKarma,
};
pub use submission::{MalformedSubmission, Submission, unescape_html};
pub use wrappers::{CanonicalRules, Wrapper, unwrapped};
