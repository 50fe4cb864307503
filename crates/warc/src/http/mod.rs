//! The HTTP message inside a record: its head, its body without codings, and what kind of content that is.
//!
//! A message that browsers and curl read is read here, however it departs from RFC 9112; where they differ, the
//! reading that keeps the page counts. What each part takes is in the tables of `docs/archives.md`.
//!
//! Left out: the LZW of `compress`, which no browser has read for long; lengths, because archives keep a head as it
//! came and a body that was changed since (`Content-Length` then counts other bytes); `X-Content-Type-Options`.

mod coding;
mod head;
mod media;
mod signature;

pub use self::coding::{BodyError, decode, decode_start};
pub use self::head::{Response, begins_message};
pub(crate) use self::media::begins_as_html;
pub use self::media::{Media, may_be_html, media};
pub use self::signature::binary_type;
