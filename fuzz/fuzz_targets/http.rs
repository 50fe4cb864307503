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
    let _ = (response.media(message), response.content_type());
    if media(None, message) == Media::Text {
        assert!(!message.contains(&0) || message.len() > 1445 || matches!(message[0], 0xfe | 0xff), "binary data taken for text");
    }
});
