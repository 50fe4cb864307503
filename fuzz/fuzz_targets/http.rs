//! Any bytes as an HTTP message; a body that decodes keeps to the limit, compression bombs included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use warc::http::Response;

const LIMIT_BYTES: u64 = 1 << 16;

fuzz_target!(|message: &[u8]| {
    let Some(response) = Response::parse(message) else { return };
    assert!(response.body_start <= message.len());
    if let Ok(body) = response.body(message, LIMIT_BYTES) {
        assert!(body.len() as u64 <= LIMIT_BYTES, "a body over the limit");
    }
});
