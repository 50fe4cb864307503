//! The fetcher against hosts that mean harm, or are broken so that it comes to the same.
//!
//! Each case is a host with a script and the outcome that its one link must have. The cases of a test share
//! one run of the client. Whatever the hosts do, every link has an outcome, no connection is made to an address
//! that is not public, every archive is sound, and memory stays under a fixed limit.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use webtext_tests::web::{
    Answer, Archived, BROTLI_BOMB, Client, H2, Request, Script, Step, Tls, Web, address_of, check_archives,
    check_oracle, check_with_peers, gzip, gzip_bomb, html, inside_namespace, outcomes, page, redirect, respond, zstd,
};

/// More than a run needs with several bodies of the largest size under way, and less than one bomb unpacks to.
const MAX_MEMORY_BYTES: u64 = 300 << 20;

/// Where a proxy would listen, if the environment were believed.
const PROXY_PORT: u16 = 3128;
/// A second port with HTTP.
const OTHER_PORT: u16 = 8080;
/// A port that answers nothing, not even "no".
const DEAF_PORT: u16 = 8081;
/// A port where nothing listens.
const CLOSED_PORT: u16 = 8082;

const DELAY: Duration = Duration::from_millis(100);

/// What must become of a link.
#[derive(Debug, Clone)]
enum Expected {
    /// A page, whole.
    Kept,
    /// A page, of which the rest is missing for this reason (`WARC-Truncated`).
    Cut(&'static str),
    /// No page, for this reason.
    Dropped(&'static str),
    /// No page, for one of these reasons: what exactly is wrong is a matter of view.
    DroppedAs(&'static [&'static str]),
    /// A page, or none for one of these reasons; what matters is that the run goes on.
    KeptOr(&'static [&'static str]),
}

use Expected::{Cut, Dropped, DroppedAs, Kept, KeptOr};

/// One link and its web.
struct Case {
    url: String,
    expected: Expected,
    names: Vec<(String, Answer)>,
    secrets: Tls,
    script: Arc<dyn Fn(&Request) -> Script + Send + Sync>,
}

/// A host `<name>.example` that answers its page by the script, and has no robots.txt.
fn case(name: &str, expected: Expected, script: impl Fn(&Request) -> Script + Send + Sync + 'static) -> Case {
    Case {
        url: format!("http://{name}.example/page"),
        expected,
        names: Vec::new(),
        secrets: Tls::Good,
        script: Arc::new(script),
    }
}

impl Case {
    /// The same for another URL.
    fn url(mut self, url: &str) -> Case {
        self.url = url.to_owned();
        self
    }

    /// The same over TLS of this kind.
    fn secrets(mut self, secrets: Tls) -> Case {
        self.url = self.url.replacen("http:", "https:", 1);
        self.secrets = secrets;
        self
    }

    /// The same with this answer for a name.
    fn name(mut self, name: &str, answer: Answer) -> Case {
        self.names.push((name.to_owned(), answer));
        self
    }
}

/// The name of a case is the first label of its host.
fn label(url: &str) -> &str {
    let host = url.split("//").nth(1).unwrap();
    host.split(['.', '/', ':']).next().unwrap()
}

/// What a run left behind: the web with its log, and the pages by the URL of their link.
struct Ran {
    web: Web,
    pages: BTreeMap<String, Archived>,
}

/// Runs the client once over all cases and checks each of them.
fn check(test: &str, cases: Vec<Case>, more: impl Fn(Client) -> Client) -> Ran {
    let scripts: BTreeMap<String, _> =
        cases.iter().map(|case| (label(&case.url).to_owned(), case.script.clone())).collect();
    let names: BTreeMap<String, Answer> = cases.iter().flat_map(|case| case.names.clone()).collect();
    let secrets: BTreeMap<String, Tls> =
        cases.iter().map(|case| (label(&case.url).to_owned(), case.secrets.clone())).collect();
    let web = Web::builder()
        .names(move |name| names.get(name).cloned().unwrap_or_else(|| Answer::addresses([address_of(name)])))
        .secrets(move |host| secrets.get(host.split('.').next().unwrap()).cloned().unwrap_or(Tls::Good))
        .ports(&[OTHER_PORT, PROXY_PORT])
        .start(move |request| match scripts.get(request.label()) {
            Some(script) => script(request),
            None if request.is_robots() => respond("404 Not Found", "", b""),
            None => page(&html(&request.host)),
        });
    web.deaf_port(DEAF_PORT);

    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(&web, folder.path(), cases.iter().map(|case| &case.url));
    for (name, value) in [
        ("--min-delay-ms", "100"),
        ("--max-delay-ms", "1500"),
        ("--connect-timeout-ms", "1500"),
        ("--first-byte-timeout-ms", "1500"),
        ("--idle-timeout-ms", "1500"),
        ("--page-timeout-ms", "4000"),
        ("--max-body-bytes", "4000000"),
        ("--max-decoded-bytes", "8000000"),
        ("--max-tries", "2"),
        ("--threads", "2"),
        ("--max-concurrent-hosts", "200"),
    ] {
        client = client.flag(name, value);
    }
    let ended = more(client.switch("--json")).run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    eprintln!("{test}: {} cases in {:?}, {} MB at most", cases.len(), ended.took, ended.peak_bytes >> 20);
    assert!(ended.peak_bytes < MAX_MEMORY_BYTES, "{} bytes", ended.peak_bytes);

    let out = folder.path().join("out");
    let outcomes = outcomes(&out);
    assert_eq!(outcomes.len(), cases.len());
    assert_eq!(ended.finished()["left"], 0);
    let pages = check_archives(&out, &outcomes, 64 << 10);
    let mut wrong = Vec::new();
    for case in &cases {
        let url = links::Canonical::parse(&case.url).unwrap().url;
        let outcome = &outcomes[&url];
        let reason = outcome.verdict.map(|reason| reason.to_string());
        let reason = reason.as_deref();
        let truncated = pages.get(&url).and_then(|page| page.truncated.as_deref());
        let is_right = match case.expected {
            Kept => reason.is_none() && truncated.is_none(),
            Cut(how) => reason.is_none() && truncated == Some(how),
            Dropped(why) => reason == Some(why),
            DroppedAs(any) => reason.is_some_and(|reason| any.contains(&reason)),
            KeptOr(any) => reason.is_none_or(|reason| any.contains(&reason)),
        };
        if !is_right {
            wrong.push(format!(
                "{url}: {:?}, not {reason:?} {truncated:?}: {:?}",
                case.expected,
                outcome.detail.as_deref().unwrap_or("")
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    if !pages.is_empty() {
        check_with_peers(test, &out);
    }
    check_oracle(&web.visits(), DELAY);
    check_connections(&web);
    Ran { web, pages }
}

/// No connection was made to an address that is not one of the public ones that the names have.
fn check_connections(web: &Web) {
    for (address, times) in web.connections() {
        let is_public = match address.ip() {
            IpAddr::V4(v4) => matches!(v4.octets(), [93, 184, 216, _] | [151, 101, _, _]),
            IpAddr::V6(v6) => v6.segments()[..2] == [0x2606, 0x2800],
        };
        assert!(is_public, "{times} connections to {address}");
        assert_ne!(address.port(), PROXY_PORT, "the proxy of the environment was used");
    }
}

/// No robots.txt, and this answer for everything else.
fn without_robots(answer: impl Fn(&Request) -> Script + Send + Sync + 'static) -> impl Fn(&Request) -> Script {
    move |request| if request.is_robots() { respond("404 Not Found", "", b"") } else { answer(request) }
}

/// A case without a robots.txt.
fn plain(name: &str, expected: Expected, answer: impl Fn(&Request) -> Script + Send + Sync + 'static) -> Case {
    case(name, expected, without_robots(answer))
}

/// A case without a robots.txt that always sends the same bytes and closes.
fn raw(name: &str, expected: Expected, bytes: impl AsRef<[u8]>) -> Case {
    let bytes = bytes.as_ref().to_vec();
    plain(name, expected, move |_| vec![Step::Send(bytes.clone())])
}

/// A host that nobody may reach; a page, should somebody come.
fn unreachable(name: &str, expected: Expected) -> Case {
    plain(name, expected, |_| page(&html("secrets")))
}

const REFUSED: Expected = Dropped("address_refused");

#[test]
fn addresses_that_are_not_public() {
    const TEST: &str = "addresses_that_are_not_public";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let mut cases = vec![plain("good", Kept, |_| page(&html("good")))];

    // In the URL. The last ones are addresses only after the WHATWG parser has read them.
    for url in [
        "http://127.0.0.1/a",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://93.184.216.34/an-address-all-the-same",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "https://127.0.0.1/tls",
        "http://127.0.0.1:8080/port",
        "http://2130706433/decimal",
        "http://0x7f000001/hexadecimal",
        "http://0177.0.0.1/octal",
        "http://127.1/short",
        "http://0/zero",
        "http://user:password@127.0.0.1/user",
        "http://\u{ff11}27.0.0.1/wide",
    ] {
        cases.push(unreachable("literal", REFUSED).url(url));
    }

    // By what DNS says.
    for (number, address) in [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fd00::1",
        "fe80::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001::1",
        "2001:db8::1",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("inward{number}");
        cases.push(unreachable(&name, REFUSED).name(&format!("{name}.example"), Answer::of(address)));
    }
    cases.push(
        unreachable("localhost", REFUSED)
            .url("http://localhost/")
            .name("localhost", Answer::of("127.0.0.1"))
            .name("inner.example", Answer::of("192.168.0.1")),
    );
    // What is found once holds for all links of a host.
    for page in 0..20 {
        let inward = unreachable("inward-long", REFUSED).url(&format!("http://inward-long.example/{page}"));
        cases.push(inward.name("inward-long.example", Answer::of("10.0.0.1")));
    }
    let public: IpAddr = "93.184.216.34".parse().unwrap();
    let inward: IpAddr = "127.0.0.1".parse().unwrap();
    // Of several addresses only the public ones may be tried.
    let mixed = Answer::addresses([inward, "10.0.0.1".parse().unwrap(), public]);
    cases.push(plain("mixed", KeptOr(&["address_refused"]), |_| page(&html("mixed"))).name("mixed.example", mixed));

    // Rebinding: the name leads outward when it is looked at, and inward a moment later.
    for (name, turns) in [
        ("rebinding", vec![vec![public], vec![inward]]),
        ("rebinding-late", vec![vec![public], vec![public], vec![inward]]),
        ("rebinding-back", vec![vec![inward], vec![public]]),
    ] {
        cases.push(
            plain(name, KeptOr(&["address_refused", "robots_disallowed"]), |_| page(&html("rebound")))
                .name(&format!("{name}.example"), Answer::Turns(turns)),
        );
    }

    // By a redirect.
    for (name, location, expected) in [
        ("to-literal", "http://127.0.0.1/", REFUSED),
        ("to-metadata", "http://169.254.169.254/latest", REFUSED),
        ("to-decimal", "http://2130706433/", REFUSED),
        ("to-v6", "http://[::ffff:10.0.0.1]/", REFUSED),
        ("to-user", "http://good.example@127.0.0.1/", REFUSED),
        ("to-inward", "http://inner.example/", REFUSED),
        ("to-scheme-of-page", "//127.0.0.1/", REFUSED),
        ("to-file", "file:///etc/passwd", Dropped("unsupported_scheme")),
        ("to-ftp", "ftp://good.example/", Dropped("unsupported_scheme")),
        ("to-gopher", "gopher://127.0.0.1:6379/_FLUSHALL", Dropped("unsupported_scheme")),
        ("to-script", "javascript:alert(1)", Dropped("unsupported_scheme")),
        ("to-data", "data:text/html,<p>page", Dropped("unsupported_scheme")),
        ("to-port", "http://to-port.example:8080/page", Kept),
        ("to-closed-port", "http://to-closed-port.example:8082/", DroppedAs(&["connect_failed", "robots_disallowed"])),
    ] {
        cases.push(plain(name, expected, move |request| {
            if request.to.port() == OTHER_PORT { page(&html("moved")) } else { redirect(location) }
        }));
    }
    // The rules of a host must not be read from inside, either.
    cases.push(case("robots-inward", KeptOr(&["robots_disallowed", "address_refused"]), |request| {
        if request.is_robots() { redirect("http://127.0.0.1/robots.txt") } else { page(&html("page")) }
    }));

    // Names that lead nowhere.
    for (name, answer, expected) in [
        ("missing", Answer::NoSuchName, Dropped("connect_failed")),
        ("failed", Answer::ServerFailed, Dropped("connect_failed")),
        ("empty", Answer::addresses([]), Dropped("connect_failed")),
        ("silent", Answer::Silence, DroppedAs(&["connect_failed", "timed_out"])),
    ] {
        cases.push(unreachable(name, expected).name(&format!("{name}.example"), answer));
    }
    // One after the other, with a colon in it, and not a name at all.
    let twice = |name: &str| Answer::addresses([address_of(name), "93.184.216.35".parse().unwrap()]);
    cases.push(plain("twice", Kept, |_| page(&html("twice"))).name("twice.example", twice("twice.example")));
    let sixth = Answer::addresses(["2606:2800:220::1".parse().unwrap(), address_of("both.example")]);
    cases.push(plain("both", Kept, |_| page(&html("both"))).name("both.example", sixth));
    cases.push(plain("dotted", Kept, |_| page(&html("dotted"))).url("http://dotted.example./page"));

    // A proxy in every variable that a client might believe.
    let proxy = format!("http://93.184.216.200:{PROXY_PORT}");
    let names = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let ran = check(TEST, cases, |client| names.iter().fold(client, |client, name| client.environment(name, &proxy)));
    assert!(ran.web.lookups("rebinding.example") >= 1);
    assert_eq!(ran.web.lookups("inward-long.example"), 1);
}

/// A response whose head says `text/html` and has these headers beside it, with a body as it is.
fn coded(coding: &str, body: &[u8]) -> Script {
    respond("200 OK", &format!("Content-Type: text/html\r\nContent-Encoding: {coding}\r\n"), body)
}

/// A head without a length: the body goes on until the connection ends.
const OPEN_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";
const CHUNKED_HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

const FAULT: Expected = Dropped("http_fault");
const TOO_LARGE: Expected = Dropped("page_too_large");

#[test]
fn messages_that_are_not_as_they_should_be() {
    const TEST: &str = "messages_that_are_not_as_they_should_be";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let good = || html("good");
    let with_head = |head: &str, body: &[u8]| [head.as_bytes(), b"\r\n\r\n", body].concat();
    let mut cases = vec![plain("good", Kept, move |_| page(&good()))];

    // Bombs. The gzip one is made once.
    let bomb = gzip_bomb();
    let nested = gzip(&bomb);
    let zstd_bomb = {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        let zeros = vec![0; 1 << 20];
        (0..1024).for_each(|_| std::io::Write::write_all(&mut encoder, &zeros).unwrap());
        encoder.finish().unwrap()
    };
    for (name, coding, body) in [
        ("bomb-gzip", "gzip", bomb.clone()),
        ("bomb-x-gzip", "x-gzip", bomb.clone()),
        ("bomb-brotli", "br", BROTLI_BOMB.to_vec()),
        ("bomb-zstd", "zstd", zstd_bomb),
        ("bomb-nested", "gzip, gzip", nested),
    ] {
        cases.push(plain(name, TOO_LARGE, move |_| coded(coding, &body)));
    }
    cases.push(case("bomb-robots", KeptOr(&["robots_disallowed"]), move |request| {
        if request.is_robots() { coded("gzip", &bomb) } else { page(&html("page")) }
    }));

    // Codings that are what they say, and some that are not.
    for (name, coding, body, expected) in [
        ("coded-gzip", "gzip", gzip(&html("gzip")), Kept),
        ("coded-zstd", "zstd", zstd(&html("zstd")), Kept),
        ("coded-not", "gzip", html("plain"), KeptOr(&["http_fault"])),
        ("coded-unknown", "rot13", html("rot13"), KeptOr(&["http_fault"])),
        ("coded-many", &["gzip"; 50].join(", "), gzip(&html("one")), KeptOr(&["http_fault", "page_too_large"])),
        ("coded-cut", "gzip", gzip(&html("cut"))[..60].to_vec(), KeptOr(&["http_fault"])),
        ("coded-twice", "gzip, gzip", gzip(&gzip(&html("twice"))), KeptOr(&["http_fault"])),
    ] {
        let coding = coding.to_owned();
        cases.push(plain(name, expected, move |_| coded(&coding, &body)));
    }

    // Bodies without an end, or with another than was said.
    let zeros = vec![b'0'; 64 << 10];
    let (endless, chunk) = (zeros.clone(), [&b"10000\r\n"[..], &zeros, b"\r\n"].concat());
    cases
        .push(plain("endless", TOO_LARGE, move |_| vec![Step::Send(OPEN_HEAD.into()), Step::Endless(endless.clone())]));
    cases.push(plain("endless-chunks", TOO_LARGE, move |_| {
        vec![Step::Send(CHUNKED_HEAD.into()), Step::Endless(chunk.clone())]
    }));
    cases.push(plain("endless-tiny-chunks", KeptOr(&["page_too_large", "timed_out", "http_fault"]), |_| {
        vec![Step::Send(CHUNKED_HEAD.into()), Step::Endless(b"1\r\n0\r\n".repeat(4096))]
    }));
    let body = html("body");
    let len = body.len();
    let head = |length: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}");
    let chunks = |bytes: &[u8]| [CHUNKED_HEAD.as_bytes(), bytes].concat();
    let good_chunk = [format!("{len:x}\r\n").as_bytes(), &body, b"\r\n"].concat();
    for (name, expected, bytes) in [
        ("length-short", Kept, with_head(&head("20"), &body)),
        ("length-long", Cut("disconnect"), with_head(&head("5000"), &body)),
        ("length-none", Kept, [OPEN_HEAD.as_bytes(), &body].concat()),
        ("length-giant", DroppedAs(&["page_too_large", "http_fault"]), with_head(&head("18446744073709551615"), &body)),
        ("length-beyond", Kept, with_head(&head("99999999999999999999"), &body)),
        // Lengths that are no number, or that differ, count for nothing: the body ends with the connection.
        ("length-negative", Kept, with_head(&head("-1"), &body)),
        ("length-word", Kept, with_head(&head("many"), &body)),
        ("length-twice", Kept, with_head(&format!("{}\r\nContent-Length: 7", head("5")), &body)),
        ("length-same-twice", Kept, with_head(&format!("{0}\r\nContent-Length: {len}", head(&len.to_string())), &body)),
        ("chunks-of-old", Kept, [&b"HTTP/1.0"[..], &chunks(&good_chunk)[8..], b"0\r\n\r\n"].concat()),
        ("length-said-large", TOO_LARGE, with_head(&head("4000001"), &body)),
        ("length-only-said", FAULT, with_head(&head("100"), b"")),
        ("chunks-good", Kept, chunks(&[&good_chunk[..], b"0\r\n\r\n"].concat())),
        (
            "chunks-extended",
            Kept,
            chunks(&[format!("{len:X};a=b\r\n").as_bytes(), &body, b"\r\n0\r\nTrailer: x\r\n\r\n"].concat()),
        ),
        ("chunks-no-end", Cut("disconnect"), chunks(&good_chunk)),
        ("chunks-broken-first", FAULT, chunks(b"zzz\r\npage\r\n0\r\n\r\n")),
        ("chunks-broken-later", Cut("disconnect"), chunks(&[&good_chunk[..], b"zzz\r\npage"].concat())),
        ("chunks-giant", KeptOr(&["http_fault", "page_too_large"]), chunks(b"ffffffffffffffff\r\npage")),
        ("chunks-beyond", FAULT, chunks(b"fffffffffffffffffff\r\npage")),
        ("chunks-negative", FAULT, chunks(b"-5\r\npage\r\n0\r\n\r\n")),
        ("chunks-endless-size", DroppedAs(&["http_fault", "timed_out"]), chunks(&[b'0'; 200_000])),
        (
            "chunks-and-length",
            KeptOr(&["http_fault"]),
            [head("5").as_bytes(), b"\r\n", &chunks(&good_chunk)[17..], b"0\r\n\r\n"].concat(),
        ),
    ] {
        cases.push(raw(name, expected, bytes));
    }
    cases.push(plain("reset-at-once", DroppedAs(&["http_fault", "connect_failed"]), |_| vec![Step::Reset]));
    cases.push(raw("closed-at-once", DroppedAs(&["http_fault", "connect_failed"]), b""));
    cases.push(plain("reset-in-body", Cut("disconnect"), move |_| {
        let part = [head("5000").as_bytes(), b"\r\n\r\n", &html("part")].concat();
        vec![Step::Send(part), Step::Sleep(Duration::from_millis(100)), Step::Reset]
    }));

    // Heads.
    let giant = format!("X-Giant: {}", "x".repeat(1 << 20));
    // More lines than the HTTP library reads, and fewer bytes than the validators of archives do.
    let many: String = (0..1_500).map(|number| format!("X-{number}: y\r\n")).collect();
    let too_much = || DroppedAs(&["http_fault", "page_too_large"]);
    for (name, expected, head) in [
        ("head-giant", too_much(), format!("HTTP/1.1 200 OK\r\n{giant}")),
        ("head-many", Kept, format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{}", many.trim_end())),
        ("head-status-giant", too_much(), format!("HTTP/1.1 200 {}", "O".repeat(1 << 20))),
        ("head-no-phrase", Kept, "HTTP/1.1 200 \r\nContent-Type: text/html".into()),
        ("head-no-space", Kept, "HTTP/1.1 200\r\nContent-Type: text/html".into()),
        ("head-old", Kept, "HTTP/1.0 200 OK\r\nContent-Type: text/html".into()),
        ("head-older", FAULT, "<!doctype html><p>A page without a head".into()),
        ("head-icy", KeptOr(&["http_fault"]), "ICY 200 OK\r\nContent-Type: text/html".into()),
        ("head-lower-case", Kept, "http/1.1 200 OK\r\nContent-Type: text/html".into()),
        ("head-two-spaces", Kept, "HTTP/1.1  200  OK\r\nContent-Type: text/html".into()),
        ("head-version-2", Kept, "HTTP/2 200\r\nContent-Type: text/html".into()),
        ("head-version", KeptOr(&["http_fault"]), "HTTP/9.9 200 OK\r\nContent-Type: text/html".into()),
        // Browsers take a status without a number for 200; curl does not.
        ("head-status-word", Kept, "HTTP/1.1 OK\r\nContent-Type: text/html".into()),
        (
            "head-status-0",
            DroppedAs(&["http_fault", "http_status"]),
            "HTTP/1.1 000 Zero\r\nContent-Type: text/html".into(),
        ),
        ("head-status-999", Dropped("http_status"), "HTTP/1.1 999 Denied\r\nContent-Type: text/html".into()),
        ("head-status-204", Dropped("http_status"), "HTTP/1.1 204 Empty\r\nContent-Type: text/html".into()),
        ("head-status-206", Dropped("http_status"), "HTTP/1.1 206 Part\r\nContent-Type: text/html".into()),
        (
            "head-status-101",
            DroppedAs(&["http_fault", "http_status"]),
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade".into(),
        ),
        ("head-hint", Kept, "HTTP/1.1 103 Hint\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html".into()),
        ("head-no-colon", Kept, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nno colon here".into()),
        ("head-control", Kept, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX: a\u{1}b".into()),
        ("head-space-before-colon", Kept, "HTTP/1.1 200 OK\r\nContent-Type : text/html".into()),
        ("head-odd-name", Kept, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX(y)\u{e9}: z\r\n: none".into()),
        ("head-folded", Kept, "HTTP/1.1 200 OK\r\nContent-Type:\r\n text/html".into()),
        ("head-zero-byte", KeptOr(&["http_fault"]), "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX: a\0b".into()),
        ("head-latin", Kept, "HTTP/1.1 200 Tr\u{e8}s bien\r\nContent-Type: text/html\r\nX: \u{e9}\u{e8}".into()),
        (
            "head-types",
            KeptOr(&["not_html"]),
            "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Type: text/html".into(),
        ),
        ("head-image", Dropped("not_html"), "HTTP/1.1 200 OK\r\nContent-Type: image/png".into()),
    ] {
        cases.push(raw(name, expected, with_head(&format!("{head}\r\nConnection: close"), &html(name))));
    }
    cases.push(raw(
        "head-bare-newlines",
        KeptOr(&["http_fault"]),
        b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n<p>page",
    ));
    cases.push(raw("junk", FAULT, junk()));
    cases.push(raw("junk-ssh", FAULT, b"SSH-2.0-OpenSSH_9.6\r\n"));

    // Redirects.
    for (name, expected, location) in [
        ("circle", Dropped("too_many_redirects"), "/page"),
        ("fragments", Dropped("too_many_redirects"), "/page#again"),
        ("chain5", Kept, "/chain1"),
        ("chain6", Dropped("too_many_redirects"), "/chain1"),
        ("growing", Dropped("too_many_redirects"), "page/page"),
        ("there-and-back", Dropped("too_many_redirects"), "http://and-back.example/"),
        ("empty-location", DroppedAs(&["http_status", "too_many_redirects", "malformed_url"]), ""),
        ("bad-location", DroppedAs(&["http_status", "malformed_url"]), "http://[nothing/"),
        ("relative", Kept, "other"),
        ("spaces", Kept, "/other "),
        ("space-within", Kept, "/with space"),
        ("beyond-ascii", Kept, "/\u{e9}"),
        ("elsewhere", Kept, "//else.example/page"),
    ] {
        let last: u32 = name.strip_prefix("chain").map_or(0, |count| count.parse().unwrap());
        cases.push(plain(name, expected, move |request| match request.path.strip_prefix("/chain") {
            Some(number) if number.parse() == Ok(last) => page(&html("chain")),
            Some(number) => redirect(&format!("/chain{}", number.parse::<u32>().unwrap() + 1)),
            None if matches!(&*request.path, "/other" | "/with%20space" | "/%C3%A9") => page(&html("other")),
            None if name == "growing" => redirect(&format!("{}/page", request.path)),
            None => redirect(location),
        }));
    }
    // Not a case of its own: the host that the one above is sent to.
    let back = plain("and-back", Dropped("too_many_redirects"), |_| redirect("http://there-and-back.example/page"));
    cases.push(back.url("http://and-back.example/"));
    cases.push(raw("no-location", DroppedAs(&["http_status"]), b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"));
    let long = format!("/{}", "long/".repeat(20_000));
    cases.push(plain(
        "long-location",
        DroppedAs(&["http_status", "malformed_url", "url_too_long", "http_fault", "too_many_redirects"]),
        move |_| redirect(&long),
    ));

    // Cookies: given with everything, and never seen again.
    cases.push(case("cookies", Kept, |request| {
        let cookie = "Set-Cookie: visitor=1; Path=/\r\nContent-Type: text/html\r\n";
        match request.path.as_str() {
            "/robots.txt" => respond("200 OK", cookie, b"User-agent: *\nAllow: /\n"),
            "/page" => respond("302 Found", &format!("{cookie}Location: /second\r\n"), b""),
            _ => respond("200 OK", cookie, &html("cookies")),
        }
    }));

    // User and password of a URL are nobody's business.
    cases.push(plain("with-user", Kept, |request| match request.path.as_str() {
        "/page" => redirect("http://visitor:secret@with-user.example/second"),
        _ => page(&html("with-user")),
    }));

    // Time is no matter here: hosts that take theirs have a test of their own.
    let patient = |client: Client| {
        let client = client.flag("--first-byte-timeout-ms", 4_000).flag("--idle-timeout-ms", 4_000);
        client.flag("--page-timeout-ms", 8_000)
    };
    let ran = check(TEST, cases, patient);
    for visit in ran.web.visits() {
        let head = String::from_utf8(visit.request.head).unwrap();
        let lower = head.to_ascii_lowercase();
        assert!(!lower.contains("\r\ncookie:") && !lower.contains("\r\nreferer:"), "{head}");
        assert!(!lower.contains("\r\nauthorization:"), "{head}");
        assert!(head.contains("webtext/") && head.contains("test@example.org"), "who is this? {head}");
    }
    // The request in the archive is the one that was sent, byte by byte.
    let sent: BTreeMap<String, Vec<u8>> = ran
        .web
        .visits()
        .into_iter()
        .map(|visit| (format!("http://{}{}", visit.request.host, visit.request.path), visit.request.head))
        .collect();
    for archived in ran.pages.values() {
        let stored = String::from_utf8_lossy(&archived.request);
        assert_eq!(stored, String::from_utf8_lossy(&sent[&archived.target]), "{}", archived.target);
    }
    // What is stored is de-chunked, coded as it was sent, and as long as it says.
    for (url, archived) in &ran.pages {
        let response = warc::http::Response::parse(&archived.response).unwrap();
        assert_eq!(response.header("Transfer-Encoding"), None, "{url}");
        let body = &archived.response[response.body_start..];
        assert_eq!(response.header("Content-Length"), Some(body.len().to_string().as_str()), "{url}");
    }
    for name in ["good", "coded-gzip", "coded-zstd", "chunks-good", "chain5", "cookies"] {
        let archived = &ran.pages[&format!("http://{name}.example/page")];
        let response = warc::http::Response::parse(&archived.response).unwrap();
        let body = response.body(&archived.response, 1 << 20).unwrap();
        assert!(String::from_utf8_lossy(&body).contains("leaves at noon"), "{name}");
    }
}

/// Alone: the HTTP library skips them as long as bytes are there, and neighbours on the same thread may time out.
#[test]
fn informational_answers_without_end() {
    const TEST: &str = "informational_answers_without_end";
    if inside_namespace(module_path!(), TEST) {
        let endless = plain("hints-endless", DroppedAs(&["http_fault", "timed_out"]), |_| {
            vec![Step::Endless(b"HTTP/1.1 103 Hint\r\n\r\n".repeat(100))]
        });
        check(TEST, vec![endless], |client| client);
    }
}

/// Bytes of no meaning that hold no line.
fn junk() -> Vec<u8> {
    (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect()
}

#[test]
fn hosts_that_take_their_time() {
    const TEST: &str = "hosts_that_take_their_time";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let every = |ms| Duration::from_millis(ms);
    let trickle = move |bytes: Vec<u8>, ms| Step::Trickle { bytes, at_a_time: 1, every: every(ms) };
    let slow_page = || [OPEN_HEAD.as_bytes(), &html("slow").repeat(20)].concat();
    let cases = vec![
        plain("good", Kept, |_| page(&html("good"))),
        plain("no-answer", Dropped("timed_out"), |_| vec![Step::Hang]),
        plain("half-a-head", Dropped("timed_out"), |_| vec![Step::Send(b"HTTP/1.1 200 O".to_vec()), Step::Hang]),
        plain("slow-head", Dropped("timed_out"), move |_| vec![trickle(slow_page(), 500)]),
        plain("slow-headers", Dropped("timed_out"), move |_| {
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n".to_vec();
            vec![Step::Send(head), trickle("X-Slow: 1\r\n".repeat(100).into(), 300)]
        }),
        plain("head-and-nothing", DroppedAs(&["timed_out", "http_fault"]), |_| {
            vec![Step::Send(OPEN_HEAD.into()), Step::Hang]
        }),
        plain("slow-body", Cut("time"), move |_| {
            vec![Step::Send(OPEN_HEAD.into()), trickle(html("slow").repeat(20), 300)]
        }),
        plain("stops-in-body", Cut("time"), move |_| {
            let part = [OPEN_HEAD.as_bytes(), &html("part")].concat();
            vec![Step::Send(part), Step::Hang]
        }),
        plain("slow-chunks", Cut("time"), move |_| {
            let chunks = vec![Step::Send([CHUNKED_HEAD, "1\r\nx\r\n"].concat().into()), Step::Sleep(every(300))];
            let more = (0..100).flat_map(|_| [Step::Send(b"1\r\nx\r\n".to_vec()), Step::Sleep(every(300))]);
            chunks.into_iter().chain(more).collect()
        }),
        plain("slow-but-well", Kept, move |_| {
            let bytes = html("well");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", bytes.len());
            vec![Step::Send(head.into()), Step::Trickle { bytes, at_a_time: 16, every: every(100) }]
        }),
        plain("late-but-well", Kept, move |_| [vec![Step::Sleep(every(800))], page(&html("late"))].concat()),
        // Nobody wants this body; to read it all the same would take half an hour.
        plain("slow-unwanted", Dropped("http_status"), move |_| {
            let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 6000\r\n\r\n";
            vec![Step::Send(head.into()), trickle(vec![b'x'; 6000], 300)]
        }),
        case("robots-slow-unwanted", Kept, move |request| {
            if !request.is_robots() {
                return page(&html("page"));
            }
            let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 6000\r\n\r\n";
            vec![Step::Send(head.into()), trickle(vec![b'x'; 6000], 300)]
        }),
        // The second time it is well: what failed for a moment is tried again.
        plain("late-once", Kept, |request| if request.visit == 1 { vec![Step::Hang] } else { page(&html("again")) }),
        plain("deaf", DroppedAs(&["timed_out", "connect_failed"]), |_| page(b""))
            .url(&format!("http://deaf.example:{DEAF_PORT}/")),
        plain("closed", Dropped("connect_failed"), |_| page(b"")).url(&format!("http://closed.example:{CLOSED_PORT}/")),
        case("robots-hang", DroppedAs(&["robots_disallowed", "timed_out"]), |_| vec![Step::Hang]),
        case("robots-slow", KeptOr(&["robots_disallowed", "timed_out"]), move |request| {
            if !request.is_robots() {
                return page(&html("page"));
            }
            vec![Step::Send(OPEN_HEAD.into()), trickle(b"User-agent: *\nAllow: /\n".repeat(10), 300)]
        }),
    ];
    // The rate counts from the first ten seconds on, which no test waits for; the other limits are met before.
    let ran = check(TEST, cases, |client| client);
    let asked = |host: &str| ran.web.visits().iter().filter(|visit| visit.request.label() == host).count();
    assert_eq!(asked("late-once"), 3, "robots.txt and two tries");
    assert!(asked("no-answer") <= 3, "robots.txt and --max-tries 2");
}

#[test]
fn a_rate_below_the_least_is_cut() {
    const TEST: &str = "a_rate_below_the_least_is_cut";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    // 40 bytes/s, for longer than the ten seconds in which every rate is good enough.
    let cases = vec![plain("crawling", Cut("time"), |_| {
        let bytes = html("crawling").repeat(40);
        vec![Step::Send(OPEN_HEAD.into()), Step::Trickle { bytes, at_a_time: 4, every: Duration::from_millis(100) }]
    })];
    check(TEST, cases, |client| client.flag("--page-timeout-ms", 60_000).flag("--min-bytes-per-second", 200));
}

#[test]
fn secrets_that_are_none() {
    const TEST: &str = "secrets_that_are_none";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let answer =
        |request: &Request| if request.is_robots() { respond("404 Not Found", "", b"") } else { page(&html("tls")) };
    let no_secret = || Dropped("tls_fault");
    let broken = DroppedAs(&["http_fault", "timed_out", "connect_failed"]);
    let mut cases: Vec<Case> = [
        ("good", Kept, Tls::Good),
        ("expired", no_secret(), Tls::Expired),
        ("not-yet", no_secret(), Tls::NotYetValid),
        ("wrong-name", no_secret(), Tls::WrongName),
        ("self-signed", no_secret(), Tls::SelfSigned),
        ("garbage", no_secret(), Tls::Garbage(vec![0xff; 200])),
        ("not-tls", no_secret(), Tls::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        ("alert", no_secret(), Tls::Garbage(vec![21, 3, 3, 0, 2, 2, 40])),
        ("silent", DroppedAs(&["timed_out", "connect_failed"]), Tls::Silent),
        ("cut-off", Dropped("connect_failed"), Tls::CutOff),
        ("h2-good", Kept, Tls::H2(H2::Good)),
        ("h2-goaway-after", Kept, Tls::H2(H2::GoAwayAfterPage)),
        ("h2-goaway-before", broken.clone(), Tls::H2(H2::GoAwayBeforePage)),
        ("h2-goaway-in-page", Cut("disconnect"), Tls::H2(H2::GoAwayInPage)),
        ("h2-reset", broken.clone(), Tls::H2(H2::Reset)),
        ("h2-refused", broken.clone(), Tls::H2(H2::Refused)),
        ("h2-reset-in-page", Cut("disconnect"), Tls::H2(H2::ResetInPage)),
        ("h2-endless-headers", broken.clone(), Tls::H2(H2::EndlessHeaders)),
        ("h2-endless-pings", broken.clone(), Tls::H2(H2::EndlessPings)),
        ("h2-giant-frame", KeptOr(&["http_fault", "timed_out", "page_too_large"]), Tls::H2(H2::GiantFrame)),
        ("h2-garbage", broken, Tls::H2(H2::Garbage)),
    ]
    .into_iter()
    .map(|(name, expected, secrets)| case(name, expected, answer).secrets(secrets))
    .collect();
    // A body without a length that ends without TLS's farewell may be cut by anybody.
    let cut = plain("no-farewell", Cut("disconnect"), |_| {
        vec![
            Step::Send([OPEN_HEAD.as_bytes(), &html("cut")].concat()),
            Step::Sleep(Duration::from_millis(50)),
            Step::Drop,
        ]
    });
    cases.push(cut.secrets(Tls::Good));
    cases.push(plain("up", Kept, |request| match request.is_tls {
        true => page(&html("up")),
        false => redirect("https://up.example/page"),
    }));
    let ran = check(TEST, cases, |client| client);
    // No request goes to a host whose certificate is not right. The oracle has looked at the pauses: a library
    // that repeats a refused request by itself would not keep them.
    let faulty = ["expired", "not-yet", "wrong-name", "self-signed"];
    assert!(!ran.web.visits().iter().any(|visit| faulty.contains(&visit.request.label())));
    // It is not tried again.
    let connections = ran.web.connections();
    for name in faulty {
        let address = std::net::SocketAddr::from((address_of(&format!("{name}.example")), 443));
        assert_eq!(connections.get(&address), Some(&1), "{name}");
    }
    let refused = ran.web.visits().iter().filter(|visit| visit.request.label() == "h2-refused").count();
    assert!(refused <= 3, "robots.txt and --max-tries 2, not {refused}");
}

/// Answers robots.txt with these lines, everything else with a page.
fn ruled(name: &str, expected: Expected, rules: impl Into<Vec<u8>>) -> Case {
    let rules = rules.into();
    case(name, expected, move |request| {
        if request.is_robots() {
            respond("200 OK", "Content-Type: text/plain\r\n", &rules)
        } else {
            page(&html("page"))
        }
    })
}

/// Answers robots.txt with this script, everything else with a page.
fn robots(name: &str, expected: Expected, script: impl Fn(&Request) -> Script + Send + Sync + 'static) -> Case {
    case(name, expected, move |request| if request.is_robots() { script(request) } else { page(&html("page")) })
}

const DISALLOWED: Expected = Dropped("robots_disallowed");
const OPTED_OUT: Expected = Dropped("opted_out");

#[test]
fn rules_and_opt_outs() {
    const TEST: &str = "rules_and_opt_outs";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let padded = |pad: usize, rule: &str| format!("User-agent: *\n{}\n{rule}\n", "# pad\n".repeat(pad / 6));
    let mut cases = vec![
        ruled("allowed", Kept, "User-agent: *\nDisallow: /other\n"),
        ruled("disallowed", DISALLOWED, "User-agent: *\nDisallow: /\n"),
        ruled("by-name", DISALLOWED, "User-agent: webtext\nDisallow: /page\n\nUser-agent: *\nAllow: /\n"),
        ruled("other-name", Kept, "User-agent: otherbot\nDisallow: /\n"),
        ruled("longer-wins", Kept, "User-agent: *\nDisallow: /\nAllow: /page\n"),
        ruled("pattern", DISALLOWED, "User-agent: *\nDisallow: /*ge$\n"),
        ruled("marked", DISALLOWED, "\u{feff}User-agent: *\nDisallow: /\n"),
        ruled("with-version", DISALLOWED, "User-agent: webtext/1.0\nDisallow: /\n"),
        ruled(
            "two-groups",
            DISALLOWED,
            "User-agent: webtext\nAllow: /x\nUser-agent: *\nAllow: /\nUser-agent: WEBTEXT\nDisallow: /page\n",
        ),
        ruled("misspelled", DISALLOWED, "useragent: *\ndisalow /page\n"),
        ruled("escaped", DISALLOWED, "User-agent: *\nDisallow: /%70age\n"),
        ruled(
            "wide",
            DISALLOWED,
            "User-agent: *\nDisallow: /\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        ),
        // Cut at the limit, the rule would be for this page.
        ruled("cut-line", Kept, {
            let before =
                format!("User-agent: *\n{}\n", "#".repeat((512 << 10) - "User-agent: *\n\nDisallow: /page".len()));
            format!("{before}Disallow: /page-of-another-kind\n")
        }),
        ruled("delay-absurd", Kept, "User-agent: *\nCrawl-delay: 99999999\nAllow: /\n"),
        ruled("returns", DISALLOWED, "User-agent: *\rDisallow: /\r"),
        ruled("late-rule", DISALLOWED, padded(400 << 10, "Disallow: /page")),
        ruled("many-rules", Kept, padded(0, &"Disallow: /x*y*z*$\n".repeat(20_000))),
        ruled(
            "stars",
            KeptOr(&["robots_disallowed"]),
            format!("User-agent: *\nDisallow: /{}x$\n", "*p*a".repeat(5_000)),
        ),
        ruled("junk", Kept, junk()),
        ruled("a-page", Kept, html("robots")),
        robots("endless", KeptOr(&["robots_disallowed"]), |_| {
            vec![Step::Send(OPEN_HEAD.into()), Step::Endless(b"Disallow: /x\n".repeat(5_000))]
        }),
        robots("lower-case-head", DISALLOWED, |_| {
            vec![Step::Send("http/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /\n".into())]
        }),
        robots("status-403", Kept, |_| respond("403 No", "", b"")),
        robots("status-401", Kept, |_| respond("401 Who", "", b"")),
        robots("status-404", Kept, |_| respond("404 None", "", b"")),
        robots("status-410", Kept, |_| respond("410 Gone", "", b"")),
        robots("status-429", DISALLOWED, |_| respond("429 Slow", "", b"")),
        robots("status-500", DISALLOWED, |_| respond("500 Broken", "", b"")),
        robots("status-503", DISALLOWED, |_| respond("503 Busy", "Retry-After: 1\r\n", b"")),
        robots("status-999", KeptOr(&["robots_disallowed"]), |_| respond("999 Denied", "", b"")),
        robots("cut", DroppedAs(&["robots_disallowed", "http_fault", "connect_failed"]), |_| vec![Step::Reset]),
        robots("circle", KeptOr(&["robots_disallowed"]), |_| redirect("/robots.txt")),
        robots("moved", DISALLOWED, |_| redirect("http://disallowed.example/robots.txt")),
        robots("moved-to-missing", KeptOr(&["robots_disallowed"]), |_| redirect("http://no.such.example/robots.txt")),
        // What is missing of it may forbid the page.
        robots("broken-off", Dropped("http_fault"), |_| {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
            vec![Step::Send([head, "User-agent: *\nAllow: /\n"].concat().into())]
        }),
        robots("gzipped-large", Kept, move |_| coded("gzip", &gzip(padded(900 << 10, "Disallow: /page").as_bytes()))),
        robots("gzipped-late", DISALLOWED, move |_| {
            coded("gzip", &gzip(padded(400 << 10, "Disallow: /page").as_bytes()))
        }),
        robots("gzipped", DISALLOWED, |_| coded("gzip", &gzip(b"User-agent: *\nDisallow: /\n"))),
    ];
    // A hop is subject to the rules of the host it leads to.
    cases.push(plain("into-disallowed", DISALLOWED, |_| redirect("http://disallowed.example/page")));

    let header = |name: &str, expected: Expected, headers: &'static str| {
        plain(name, expected, move |_| {
            respond("200 OK", &format!("Content-Type: text/html\r\n{headers}\r\n"), &html("header"))
        })
    };
    cases.extend([
        header("noai", OPTED_OUT, "X-Robots-Tag: noai"),
        header("noai-case", OPTED_OUT, "x-robots-tag: NOINDEX, NoAI"),
        header("noai-named", OPTED_OUT, "X-Robots-Tag: webtext: noai"),
        header("noai-second", OPTED_OUT, "X-Robots-Tag: noindex\r\nX-Robots-Tag: noai"),
        header("noindex", Kept, "X-Robots-Tag: noindex"),
        header("tdm", OPTED_OUT, "tdm-reservation: 1"),
        header("tdm-not", Kept, "tdm-reservation: 0"),
        header("usage", OPTED_OUT, "Content-Usage: train-ai=n"),
        header("usage-among", OPTED_OUT, "Content-Usage: search=y, train-ai=n"),
        header("usage-yes", Kept, "Content-Usage: train-ai=y"),
        ruled("usage-robots", OPTED_OUT, "User-agent: *\nContent-Usage: train-ai=n\nAllow: /\n"),
        ruled("usage-path", OPTED_OUT, "User-agent: *\nContent-Usage: /page train-ai=n\nAllow: /\n"),
        ruled("usage-other-path", Kept, "User-agent: *\nContent-Usage: /other train-ai=n\nAllow: /\n"),
        ruled("signal", OPTED_OUT, "User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n"),
        ruled("signal-version", OPTED_OUT, "User-agent: webtext/1.0\nContent-Signal: ai-train=no\n"),
        ruled("signal-yes", Kept, "User-agent: *\nContent-Signal: search=yes, ai-train=yes\nAllow: /\n"),
        ruled("signal-other", Kept, "User-agent: otherbot\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /\n"),
    ]);
    let ran = check(TEST, cases, |client| client.flag("--honour", "noai,tdm-reservation,content-usage,content-signal"));
    for host in ["disallowed", "by-name", "status-503", "usage-robots", "signal"] {
        let asked = ran.web.visits().iter().any(|visit| visit.request.label() == host && !visit.request.is_robots());
        assert!(!asked || host == "usage-robots" || host == "signal", "{host} was asked for its page");
    }
}

#[test]
fn only_the_named_signals_are_honoured() {
    const TEST: &str = "only_the_named_signals_are_honoured";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let header = |name: &str, expected: Expected, headers: &'static str| {
        plain(name, expected, move |_| {
            respond("200 OK", &format!("Content-Type: text/html\r\n{headers}\r\n"), &html("header"))
        })
    };
    let cases = vec![
        header("noai", OPTED_OUT, "X-Robots-Tag: noai"),
        header("tdm", Kept, "tdm-reservation: 1"),
        header("usage", Kept, "Content-Usage: train-ai=n"),
        ruled("signal", Kept, "User-agent: *\nContent-Signal: ai-train=no\nAllow: /\n"),
    ];
    check(TEST, cases, |client| client.flag("--honour", "noai"));
}

#[test]
fn a_host_that_only_fails_is_given_up() {
    const TEST: &str = "a_host_that_only_fails_is_given_up";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let failing = |number: usize| {
        plain("failing", DroppedAs(&["http_fault", "connect_failed", "host_given_up"]), |_| vec![Step::Reset])
            .url(&format!("http://failing.example/{number}"))
    };
    let good =
        |number: usize| plain("good", Kept, |_| page(&html("good"))).url(&format!("http://good.example/{number}"));
    // A good page between two faults ends the row.
    let wavering = |number: usize| {
        let expected = if number.is_multiple_of(3) { Kept } else { DroppedAs(&["http_fault", "connect_failed"]) };
        plain("wavering", expected, |request| match request.path[1..].parse::<u32>() {
            Ok(number) if number.is_multiple_of(3) => page(&html("good")),
            _ => vec![Step::Reset],
        })
        .url(&format!("http://wavering.example/{number}"))
    };
    let cases = (10..30).map(failing).chain((10..20).map(good)).chain((10..20).map(wavering)).collect();
    let ran = check(TEST, cases, |client| client.flag("--max-consecutive-faults", 4).flag("--max-tries", 1));
    let asked = ran.web.visits().iter().filter(|visit| visit.request.label() == "failing").count();
    assert_eq!(asked, 1 + 4, "robots.txt and the faults that give it up");
}
