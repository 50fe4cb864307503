//! What the test suites of Google's parser (google/robotstxt) and Scrapy's (scrapy/protego) ask, as cases of our own.
//!
//! Where the two disagree, `docs/robots.md` says which was followed and why. `tests/robots-suites.py` runs the suites
//! themselves against this parser and lists the differences.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use fetch::RobotsTxt;
use url::{Position, Url};

const ALLOWED: bool = true;
const DISALLOWED: bool = false;

/// Checks what a robots.txt says to crawlers about URLs.
fn check(robots: &str, cases: &[(&str, &str, bool)]) {
    for &(crawler, url, expected) in cases {
        // Not joined: two slashes at the start would begin a host.
        let url = Url::parse(&format!("http://a.example{url}")).unwrap();
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let found = RobotsTxt::parse(robots.as_bytes(), crawler).disallowed_by(path).is_none();
        assert_eq!(found, expected, "{crawler} {url} by\n{robots}");
    }
}

/// Checks paths for a crawler that has one group with these rules.
fn check_rules(rules: &str, cases: &[(&str, bool)]) {
    let cases: Vec<_> = cases.iter().map(|&(url, expected)| ("heron", url, expected)).collect();
    check(&format!("user-agent: heron\n{rules}\n"), &cases);
}

/// Checks which paths a pattern matches, and which not.
fn check_pattern(pattern: &str, matching: &[&str], others: &[&str]) {
    for path in matching {
        check_rules(&format!("disallow: {pattern}"), &[(path, DISALLOWED)]);
        check_rules(&format!("disallow: /\nallow: {pattern}"), &[(path, ALLOWED)]);
    }
    for path in others {
        check_rules(&format!("disallow: {pattern}"), &[(path, ALLOWED)]);
    }
}

#[test]
fn an_empty_file_and_an_empty_token() {
    check("", &[("heron", "/", ALLOWED), ("", "/", ALLOWED)]);
    check(
        "user-agent: heron\ndisallow: /",
        &[("", "/", ALLOWED), ("heron", "", DISALLOWED), ("heron", "/", DISALLOWED)],
    );
}

#[test]
fn fields_and_their_spelling() {
    check("user-agent: heron\ndisallow: /", &[("heron", "/a/b", DISALLOWED)]);
    check("crawler: heron\nforbid: /", &[("heron", "/a/b", ALLOWED)]);
    check("user-agent heron\ndisallow /", &[("heron", "/a/b", DISALLOWED)]);
    check("user agent heron\ndisallow /", &[("heron", "/a/b", DISALLOWED)]);
    check("user agent grey heron\ndisallow /nest", &[("grey", "/nest", DISALLOWED), ("grey", "/a", ALLOWED)]);
    for (agent, allow, disallow) in
        [("user-agent", "allow", "disallow"), ("USER-AGENT", "ALLOW", "DISALLOW"), ("uSeR-aGeNt", "aLLoW", "DisaLLow")]
    {
        let robots = format!("{agent}: heron\n{allow}: /a/\n{disallow}: /");
        check(&robots, &[("heron", "/a/b", ALLOWED), ("heron", "/b", DISALLOWED)]);
    }
    for typo in ["Dissallow", "Dissalow", "Disalow", "Diasllow", "Disallaw"] {
        check_rules(&format!("{typo}: /nest"), &[("/nest", DISALLOWED), ("/a", ALLOWED)]);
    }
    // What is no field is skipped.
    for line in ["Little: Grebe", "Little Grebe", "Invalid_directive: /a"] {
        let robots = format!("User-agent: heron\nDisallow: /a\n{line}\nUser-agent: stork\nDisallow: /b");
        check(&robots, &[("heron", "/a", DISALLOWED), ("heron", "/b", ALLOWED), ("stork", "/b", DISALLOWED)]);
    }
}

#[test]
fn groups() {
    let robots = "allow: /reeds/\n\nuser-agent: heron\ndisallow: /\nallow: /a/\nuser-agent: stork\ndisallow: /\nallow: /b/\n\n\n\
                  allow: /c/\nuser-agent: grebe\n\nuser-agent: heron\nallow: /d/\ndisallow: /";
    check(
        robots,
        &[
            ("heron", "/a/x", ALLOWED),
            ("heron", "/d/x", ALLOWED),
            ("heron", "/b/x", DISALLOWED),
            ("stork", "/b/x", ALLOWED),
            ("stork", "/c/x", ALLOWED),
            ("stork", "/d/x", DISALLOWED),
            ("grebe", "/d/x", ALLOWED),
            ("grebe", "/b/x", DISALLOWED),
            // Rules before any group are nobody's.
            ("heron", "/reeds/", DISALLOWED),
            ("stork", "/reeds/", DISALLOWED),
            ("grebe", "/reeds/", DISALLOWED),
        ],
    );
    check(
        "Disallow: /a\nCrawl-delay: 5.2\nUser-agent: heron\nDisallow: /b",
        &[("heron", "/a", ALLOWED), ("heron", "/b", DISALLOWED), ("stork", "/b", ALLOWED)],
    );
    check(
        "User-agent: heron\nUser-agent: stork\nDisallow: /a\nUser-agent: *\nDisallow: /b",
        &[
            ("heron", "/a", DISALLOWED),
            ("stork", "/a", DISALLOWED),
            ("heron", "/b", ALLOWED),
            ("grebe", "/a", ALLOWED),
            ("grebe", "/b", DISALLOWED),
        ],
    );
    // Lines that are no rules of RFC 9309 do not end the list of agents. Scrapy's parser lets them.
    for line in ["Sitemap: https://a.example/sitemap", "Unknown-line: unknown"] {
        let robots = format!("User-agent: heron\n{line}\nUser-agent: *\nDisallow: /");
        check(&robots, &[("heron", "/", DISALLOWED), ("stork", "/", DISALLOWED)]);
    }
    // Empty groups and empty rules.
    check("User-agent: heron\nDisallow: /\nUser-agent: stork", &[("stork", "/a", ALLOWED)]);
    check(
        "User-agent: heron\nDisallow:\n\nUser-agent: stork\nAllow:",
        &[("heron", "/a", ALLOWED), ("stork", "/a", ALLOWED)],
    );
    check(
        "User-agent: *\nDisallow:    /\n\nUser-agent: heron\nDisallow:",
        &[("heron", "/a.html", ALLOWED), ("stork", "/", DISALLOWED)],
    );
}

#[test]
fn everybody_else() {
    check(
        "user-agent: *\nallow: /\nuser-agent: heron\ndisallow: /",
        &[("heron", "/a", DISALLOWED), ("stork", "/a", ALLOWED)],
    );
    check("user-agent: heron\nallow: /\nuser-agent: stork\ndisallow: /", &[("grebe", "/a", ALLOWED)]);
    check(
        "User-agent: *\nDisallow: /a/\nUser-agent: heron\nDisallow: /b/",
        &[("heron", "/a/x", ALLOWED), ("heron", "/b/x", DISALLOWED), ("stork", "/a/x", DISALLOWED)],
    );
    check(
        "User-agent: stork\nDisallow: /s\n\nUser-agent: *\nDisallow: /d\n\nUser-agent: heron\nDisallow: /h",
        &[("grebe", "/d", DISALLOWED), ("heron", "/d", ALLOWED), ("stork", "/d", ALLOWED)],
    );
}

#[test]
fn product_tokens() {
    for value in ["HERON GREY", "heron grey", "HeRoN gReY", "heron/2.1", "heron (+https://a.example)"] {
        let robots = format!("User-agent: {value}\nAllow: /a/\nDisallow: /");
        for crawler in ["Heron", "heron", "HERON"] {
            check(&robots, &[(crawler, "/a/x", ALLOWED), (crawler, "/b", DISALLOWED)]);
        }
    }
    check("User-Agent: *\nDisallow: /\nUser-Agent: Heron Grey\nAllow: /a/\nDisallow: /", &[("heron", "/a/x", ALLOWED)]);
    // Whole tokens, not parts of them: RFC 9309 and Google. Scrapy's parser looks for the group's token in the crawler's name.
    let robots = "user-agent: heron-news\ndisallow: /\nallow: /1\nuser-agent: *\ndisallow: /\nallow: /2\n\
                  user-agent: heron\ndisallow: /\nallow: /3";
    for (crawler, path) in [
        ("heron-news", "/1"),
        ("heron-news2", "/1"),
        ("hero", "/2"),
        ("a", "/2"),
        ("heron", "/3"),
        ("heron-images", "/2"),
    ] {
        check(robots, &[(crawler, path, ALLOWED), (crawler, "/4", DISALLOWED)]);
    }
    // No token has letters beyond ASCII.
    check("User-agent: H\u{e4}her\nDisallow: /", &[("haeher", "/", ALLOWED), ("jay", "/", ALLOWED)]);
}

#[test]
fn the_most_specific_rule() {
    check_rules("disallow: /x/page.html\nallow: /x/", &[("/x/page.html", DISALLOWED)]);
    check_rules("allow: /x/page.html\ndisallow: /x/", &[("/x/page.html", ALLOWED), ("/x/", DISALLOWED)]);
    check_rules("disallow: \nallow: ", &[("/x/page.html", ALLOWED)]);
    check_rules("disallow: /\nallow: /", &[("/x/page.html", ALLOWED)]);
    check_rules("disallow: /x\nallow: /x/", &[("/x", DISALLOWED), ("/x/", ALLOWED)]);
    check_rules("disallow: /x/page.html\nallow: /x/page.html", &[("/x/page.html", ALLOWED)]);
    check_rules("allow: /page\ndisallow: /*.html", &[("/page.html", DISALLOWED), ("/page", ALLOWED)]);
    check_rules("allow: /x/page.\ndisallow: /*.html", &[("/x/page.html", ALLOWED), ("/x/y.html", DISALLOWED)]);
    check_rules("allow: /p\ndisallow: /", &[("/page", ALLOWED), ("/elsewhere", DISALLOWED)]);
    check_rules("allow: /folder\ndisallow: /folder", &[("/folder/page", ALLOWED)]);
    check_rules("allow: /page\ndisallow: /*.htm", &[("/page.htm", DISALLOWED)]);
    check_rules("allow: /$\ndisallow: /", &[("/", ALLOWED), ("/page.html", DISALLOWED)]);
    check_rules("allow: */p\ndisallow: /", &[("/page", ALLOWED)]);
    check_rules("allow: /page\ndisallow: */*.htm", &[("/page.htm", DISALLOWED)]);
    check_rules("disallow: /X/", &[("/x/y", ALLOWED), ("/X/y", DISALLOWED)]);
}

#[test]
fn patterns() {
    let others = &["/Fish.html", "/catfish", "/?id=fish", "/bar"];
    for pattern in ["/fish", "/fish*"] {
        let matching =
            ["/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fishheads/tasty.html", "/fish.php?id=any"];
        check_pattern(pattern, &matching, others);
    }
    check_pattern(
        "/fish/",
        &["/fish/", "/fish/salmon", "/fish/?salmon", "/fish/?id=any"],
        &["/fish", "/fish.html", "/Fish/a"],
    );
    check_pattern("/", &["/", "/a", "/a/b?c"], &[]);
    check_pattern("/*", &["/", "/a", "/a/b?c"], &[]);
    check_pattern(
        "/*.php",
        &["/a.php", "/b/a.php", "/b/a.php?c", "//b/any.php.file.html", "/a.php/", "/index?f=a.php/"],
        &["/", "/php/", "/index?php", "/windows.PHP"],
    );
    check_pattern(
        "/*.php$",
        &["/a.php", "/b/a.php"],
        &["/a.php?c", "/a.php/", "/a.php5", "/php/", "/a?php", "/aphpa", "/a.PHP"],
    );
    check_pattern("/fish*.php", &["/fish.php", "/fishheads/catfish.php?c"], &["/Fish.PHP", "/fish.ph"]);
    check_pattern(
        "/reeds/*/end$",
        &["/reeds/x/end", "/reeds/x/y/end"],
        &["/reeds", "/reeds/x/end-of-it", "/reeds/end"],
    );
    check_pattern("*m", &["/a.htm", "/a.html", "/foom", "/moo"], &["/a", "/a/b.txt"]);
    check_pattern(
        "/foo*/*bar.html",
        &["/foo/bar.html", "/food/rebar.html", "/foo/a/b/bar.html"],
        &["/food/rebarf.html"],
    );
    check_pattern("*****************/****.js", &["/x/a.js", "/a.js"], &["/a/b"]);
    check_pattern("//folder/*", &["//folder/page", "//folder/"], &["/", "/folder/page", "//folder"]);
    check_pattern("/*s=", &["/?s=a", "/a?b&s=a"], &["/", "/s/"]);
    check_pattern("/path;params?query", &["/path;params?query#fragment", "/path;params?query2"], &["/path;params"]);
    check_pattern("/?", &["/?query"], &["/", "/a?query"]);
    check_pattern("/;", &["/;params"], &["/"]);
    // A `$` that is not last, and escaped special characters, stand for themselves.
    check_pattern("/x$/abc", &["/x$/abcdef", "/x%24/abcdef"], &["/x/abc"]);
    check_pattern("/x*x$/abc", &["/xabcx$/abcdef", "/xabcx%24/abcdef"], &["/xabcx/abc"]);
    check_pattern("/y*y/abc$", &["/yabcy/abc"], &["/yabcy/abcdef"]);
    check_pattern("/x/abc%24", &["/x/abc$abc", "/x/abc$"], &["/x/abc"]);
    check_pattern("/x%2Ax/abc", &["/x*x/abc", "/x*x/abcdef"], &["/xabcx/abc"]);
    // The star matches a star, too. A last `$` is only an end: RFC 9309 and Google, not Scrapy.
    check_pattern("/x*x/abc", &["/x*x/abc"], &[]);
    check_pattern("/x/abc$", &["/x/abc"], &["/x/abc$", "/x/abc%24"]);
    // A URL as a pattern is a path.
    check_pattern("http://b.example/", &["/http://b.example/"], &["/"]);
}

#[test]
fn folders_whose_index_is_allowed() {
    let robots = "User-Agent: *\nAllow: /a/index.html\nDisallow: /";
    check(
        robots,
        &[
            ("heron", "/a/", ALLOWED),
            ("heron", "/a/index.html", ALLOWED),
            ("heron", "/a/index.htm", DISALLOWED),
            ("heron", "/b", DISALLOWED),
        ],
    );
}

#[test]
fn escapes() {
    let raw = "/a/b?qux=taz&baz=http://b.example?tar&par";
    check_pattern(raw, &[raw], &["/a/b?qux=taz"]);
    // A URL is escaped by its parser, so that both its spellings match.
    check_pattern("/a/\u{30c4}", &["/a/%E3%83%84", "/a/%e3%83%84", "/a/\u{30c4}"], &["/a/%E3%83"]);
    check_pattern("/a/%E3%83%84", &["/a/%E3%83%84", "/a/\u{30c4}"], &[]);
    // Unreserved characters: RFC 9309 and Scrapy, not Google.
    check_pattern("/a/%62%61%7A", &["/a/%62%61%7A", "/a/baz"], &["/a/bar"]);
    for pattern in ["/a%3cd.html", "/a%3Cd.html", "/a<d.html", "/a%3c*", "/a<*"] {
        check_pattern(pattern, &["/a<d.html", "/a%3cd.html", "/a%3Cd.html"], &["/a"]);
    }
    check_pattern("/a%2fb.html", &["/a%2fb.html", "/a%2Fb.html"], &["/a/b.html"]);
    check_pattern("/a/b.html", &["/a/b.html"], &["/a%2fb.html"]);
    check_pattern("/%7ejoe/index.html", &["/~joe/index.html", "/%7Ejoe/index.html"], &[]);
    check_pattern("/~joe/index.html", &["/~joe/index.html", "/%7Ejoe/index.html"], &[]);
    for pattern in ["/wiki/K%C3%A4ytt%C3%A4j%C3%A4:", "/wiki/K\u{e4}ytt\u{e4}j\u{e4}:"] {
        check_pattern(pattern, &["/wiki/K%C3%A4ytt%C3%A4j%C3%A4:", "/wiki/K\u{e4}ytt\u{e4}j\u{e4}:x"], &["/wiki/K"]);
    }
    // The examples of RFC 9309, section 2.2.2.
    check_pattern("/foo/bar?baz=quz", &["/foo/bar?baz=quz"], &["/foo/bar"]);
    let encoded = "/foo/bar?baz=https%3A%2F%2Ffoo.bar";
    check_pattern("/foo/bar?baz=https://foo.bar", &[encoded, "/foo/bar?baz=https://foo.bar"], &[]);
    check_pattern(encoded, &[encoded, "/foo/bar?baz=https://foo.bar"], &[]);
}

#[test]
fn comments_blanks_and_line_ends() {
    check(
        "User-agent: heron\n# Disallow: /\nDisallow: /a/b#c\nAllow: /",
        &[("heron", "/a/x", ALLOWED), ("heron", "/a/b", DISALLOWED)],
    );
    check(
        "\n   # one\n   User-agent: heron # two\n   # three\n   User-agent: stork\n   Disallow: /a\n   # Disallow: /b",
        &[("heron", "/a", DISALLOWED), ("stork", "/a", DISALLOWED), ("heron", "/b", ALLOWED)],
    );
    let lines = ["User-agent: heron", "Allow: /a/b", "User-agent: stork", "", "", "Disallow: /", ""];
    for end in ["\n", "\r\n", "\r"] {
        check(&lines.join(end), &[("heron", "/a/b/", ALLOWED), ("stork", "/a/b/", DISALLOWED)]);
    }
    let mixed = "User-agent: heron\nAllow: /a/b\r\nUser-agent: stork\n\r\n\nDisallow: /";
    check(mixed, &[("heron", "/a/b/", ALLOWED), ("stork", "/a/b/", DISALLOWED)]);
}

#[test]
fn byte_order_marks() {
    let rules = b"User-agent: heron\nDisallow: /a".as_slice();
    for (mark, expected) in [
        (b"\xef\xbb\xbf".as_slice(), DISALLOWED),
        (b"\xef\xbb", DISALLOWED),
        (b"\xef", DISALLOWED),
        (b"\xef\x11\xbf", ALLOWED),
    ] {
        let found = RobotsTxt::parse(&[mark, rules].concat(), "heron").disallowed_by("/a").is_none();
        assert_eq!(found, expected, "{mark:x?}");
    }
    // In the middle it spoils its line.
    check("User-agent: heron\n\u{feff}Disallow: /a", &[("heron", "/a", ALLOWED)]);
}

#[test]
fn long_lines() {
    // Google cuts lines; what is left of the rule counts.
    let long = |letter: &str| format!("/x/{}", letter.repeat(2083 * 8 - "/x/".len() - "disallow: ".len() - 1));
    check_rules(&format!("disallow: {}/qux", long("a")), &[("/fux", ALLOWED), (&(long("a") + "/fux"), DISALLOWED)]);
    let shorter =
        |letter: &str| long(letter)[..long(letter).len() + "disallow: ".len() - "allow: ".len() - 3].to_owned();
    let rules = format!("disallow: /\nallow: {}/qux\nallow: {}/qux", shorter("a"), shorter("b"));
    check_rules(&rules, &[("/", DISALLOWED), (&(shorter("a") + "/qux"), ALLOWED)]);
}

#[test]
fn the_examples_of_1994_and_1996() {
    let robots = "# robots.txt\nUser-agent: *\nDisallow: /cyberworld/map/ # endless\nDisallow: /tmp/ # soon gone\nDisallow: /foo.html";
    check(
        robots,
        &[
            ("heron", "/", ALLOWED),
            ("heron", "/foo.html", DISALLOWED),
            ("heron", "/foo.htm", ALLOWED),
            ("heron", "/foo.htmlx", DISALLOWED),
            ("heron", "/cyberworld/index.html", ALLOWED),
            ("heron", "/tmp/foo.html", DISALLOWED),
        ],
    );
    check_rules("Allow: /tmp\nDisallow: /", &[("/tmp.html", ALLOWED), ("/tmp", ALLOWED), ("/tmp/a.html", ALLOWED)]);
    check_rules("Allow: /tmp/\nDisallow: /", &[("/tmp", DISALLOWED), ("/tmp/", ALLOWED), ("/tmp/a.html", ALLOWED)]);
    let robots = "User-agent: heron\nDisallow: /\n\nUser-agent: stork\nUser-agent: grebe\nDisallow:\n\n\
                  User-agent: *\nDisallow: /org/plans.html\nAllow: /org/\nAllow: /serv\nAllow: /~mak\nDisallow: /";
    for (path, expected) in [
        ("/", DISALLOWED),
        ("/index.html", DISALLOWED),
        ("/server.html", ALLOWED),
        ("/services/fast.html", ALLOWED),
        ("/orgo.gif", DISALLOWED),
        ("/org/about.html", ALLOWED),
        ("/org/plans.html", DISALLOWED),
        ("/%7Ejim/jim.html", DISALLOWED),
        ("/%7Emak/mak.html", ALLOWED),
    ] {
        check(
            robots,
            &[
                ("heron", path, DISALLOWED),
                ("stork", path, ALLOWED),
                ("grebe", path, ALLOWED),
                ("coot", path, expected),
            ],
        );
    }
}

#[test]
fn crawl_delays() {
    let delay = |robots: &str, crawler: &str| {
        RobotsTxt::parse(robots.as_bytes(), crawler).crawl_delay().map(|delay| delay.as_secs_f64())
    };
    let robots = "User-agent: *\nDisallow: /a\nCrawl-delay: 10\nUser-agent: heron\nCrawl-delay: 15";
    assert_eq!((delay(robots, "stork"), delay(robots, "heron")), (Some(10.0), Some(15.0)));
    assert_eq!(delay("User-agent: *\nDisallow: /a\nCrawl-delay: often", "heron"), None);
    assert_eq!(delay("User-agent: *\nDisallow: /a", "heron"), None);
    assert_eq!(delay("Crawl-delay: 5.2\nUser-agent: heron\nDisallow: /a", "heron"), None);
}
