//! Any bytes as a page, within a small budget; the same bytes give the same text.
#![no_main]

use extract::{Options, extract};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let options = Options { nodes_max: 20_000, depth_max: 256, ..Options::default() };
    for content_type in [None, Some("text/html; charset=shift_jis")] {
        let page = extract(bytes, content_type, &options);
        assert_eq!(page, extract(bytes, content_type, &options));
    }
});
