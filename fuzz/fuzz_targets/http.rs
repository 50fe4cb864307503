//! Any bytes as an HTTP message; a body that decodes keeps to the limit, compression bombs included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use warc::http::{Media, Response, media};

const MAX_BYTES: u64 = 1 << 16;

fuzz_target!(|message: &[u8]| {
    let Some(response) = Response::parse(message) else { return };
    assert!(response.body_start <= message.len());
    if let Ok(body) = response.body(message, MAX_BYTES) {
        assert!(body.len() as u64 <= MAX_BYTES, "a body over the limit");
    }
    let content_type = response.header("Content-Type");
    if media(content_type, &message[response.body_start..]) == Media::Text {
        assert!(content_type.is_some(), "plain text is never guessed");
    }
});
