//! Any bytes as a robots.txt: they are read, what decides is a line of the file, and the delay is bounded. Neither a
//! comment nor a group of somebody else changes what is said about a path.
#![no_main]

use fetch::RobotsTxt;
use libfuzzer_sys::fuzz_target;

const MAX_DELAY_SECONDS: u64 = 24 * 3600;

fuzz_target!(|input: (&[u8], &str)| {
    let (robots, path) = input;
    let path = format!("/{path}");
    let parsed = RobotsTxt::parse(robots, "webtext");
    let decision = parsed.disallowed_by(&path).map(str::to_owned);
    parsed.signals(&path);
    assert!(parsed.crawl_delay().is_none_or(|delay| delay.as_secs() <= MAX_DELAY_SECONDS));
    // A file at the limit is cut, and its last line with it.
    if robots.len() < 1 << 18 {
        let more = [robots, b"\n# comment\n\nUser-agent: otherbot\nDisallow: /\nUser-agent: otherbot\nAllow: /"].concat();
        let again = RobotsTxt::parse(&more, "webtext");
        // Agents without a rule at the end of the file share the next group.
        if RobotsTxt::parse(&[robots, b"\nDisallow: /otherbot"].concat(), "webtext") == parsed {
            assert_eq!(again.disallowed_by(&path).map(str::to_owned), decision);
        }
    }
});
