//! The fetcher's manners and its memory: pauses, caps and rules through kills, and nothing lost by them.
//!
//! `WEBTEXT_TEST_KILLS` sets how often the client is killed under load (100 without it), `WEBTEXT_TEST_SEED`
//! when; both are printed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use records::{Outcome, Reason};
use webtext_tests::web::{
    Answer, Client, Request, Script, Step, Visit, Web, address_of, check_archives, check_oracle, check_with_peers,
    html, inside_namespace, noise, outcomes, page, respond,
};

/// What the server's clock may be late by.
const TOLERANCE: Duration = Duration::from_millis(30);

/// A page of its own for every path, and no robots.txt.
fn pages(request: &Request) -> Script {
    if request.is_robots() {
        return respond("404 Not Found", "", b"");
    }
    page(&html(&format!("{}{}", request.host, request.path)))
}

/// `http://h0.example/0`, `http://h0.example/1` …
fn urls(hosts: usize, pages: usize) -> Vec<String> {
    (0..hosts).flat_map(|host| (0..pages).map(move |page| format!("http://h{host}.example/{page}"))).collect()
}

/// A number of the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Numbers that look like chance: SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }
}

/// Checks that every link has one outcome, a page, and that it stands in the archives.
fn check_all_kept(out: &Path, urls: &[String]) -> BTreeMap<String, Outcome> {
    let outcomes = outcomes(out);
    let wanted: BTreeSet<&String> = urls.iter().collect();
    assert_eq!(outcomes.keys().collect::<BTreeSet<_>>(), wanted);
    for (url, outcome) in &outcomes {
        assert_eq!(outcome.verdict, None, "{url}: {:?}", outcome.detail);
    }
    assert_eq!(check_archives(out, &outcomes, 16 << 10).len(), urls.len());
    outcomes
}

/// Requests for pages beyond the first one of each.
fn asked_again(visits: &[Visit]) -> usize {
    let pages: Vec<_> = visits.iter().filter(|visit| !visit.request.is_robots()).collect();
    let distinct: BTreeSet<_> = pages.iter().map(|visit| (&visit.request.host, &visit.request.path)).collect();
    pages.len() - distinct.len()
}

/// For each life that ended with so many requests: its pages that were asked for in a later one, too.
fn costs_of_kills(visits: &[Visit], lives: &[usize]) -> Vec<usize> {
    let mut last_life = HashMap::new();
    let mut costs = vec![0; lives.len()];
    for (number, visit) in visits.iter().enumerate().filter(|(_, visit)| !visit.request.is_robots()) {
        let life = lives.partition_point(|end| *end <= number);
        let before = last_life.insert((&visit.request.host, &visit.request.path), life);
        if let Some(before) = before.filter(|before| *before < life) {
            costs[before] += 1;
        }
    }
    costs
}

/// The most requests under way at one moment, of those that share something.
fn most_at_once<K: std::hash::Hash + Eq>(visits: &[Visit], key: impl Fn(&Visit) -> K) -> (HashMap<K, usize>, usize) {
    let mut moments: HashMap<K, Vec<(Instant, i32)>> = HashMap::new();
    for visit in visits {
        let moments = moments.entry(key(visit)).or_default();
        moments.push((visit.begun, 1));
        moments.push((visit.ended.unwrap_or_else(Instant::now), -1));
    }
    let most = moments.into_iter().map(|(key, mut moments)| {
        moments.sort();
        let under_way = moments.iter().scan(0, |count, (_, change)| {
            *count += change;
            Some(*count)
        });
        (key, under_way.max().unwrap_or(0) as usize)
    });
    let most: HashMap<K, usize> = most.collect();
    let all = most.values().copied().max().unwrap_or(0);
    (most, all)
}

#[test]
fn pauses_hold_through_kills() {
    const TEST: &str = "pauses_hold_through_kills";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    const DELAY: Duration = Duration::from_millis(600);
    let web = Web::builder().start(pages);
    let folder = tempfile::tempdir().unwrap();
    let urls = urls(12, 5);
    let client = Client::new(&web, folder.path(), &urls)
        .flag("--min-delay-ms", DELAY.as_millis())
        .flag("--threads", 2)
        .flag("--max-group-ms", 50);
    let seed = number("WEBTEXT_TEST_SEED", 2357);
    eprintln!("{TEST}: seed {seed}");
    let mut chance = Chance(seed);
    for life in 0..10 {
        let asked = web.visits().len();
        let mut running = client.start();
        if life < 5 {
            // So short a life that hosts were asked and nothing of it is written.
            while web.visits().len() == asked && !running.has_ended_after(Duration::from_millis(5)) {}
        } else {
            running.has_ended_after(Duration::from_millis(chance.below(1_000)));
        }
        running.kill();
    }
    client.complete();
    check_all_kept(&client.out(), &urls);
    let visits = web.visits();
    let shortest = check_oracle(&visits, DELAY);
    eprintln!("{TEST}: {} requests, the shortest pause {shortest:?}", visits.len());
}

#[test]
fn long_pauses_and_rules_hold_through_a_kill() {
    const TEST: &str = "long_pauses_and_rules_hold_through_a_kill";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    // Forty times the delay that a new process leaves everybody anyway.
    const PAUSE: Duration = Duration::from_secs(4);
    let web = Web::builder().start(|request| match request.label() {
        "crawl-delay" if request.is_robots() => respond("200 OK", "", b"User-agent: *\nCrawl-delay: 4\n"),
        "busy" if request.path == "/0" && request.visit == 1 => respond("503 Busy", "Retry-After: 4\r\n", b""),
        "busy-robots" if request.is_robots() && request.visit == 1 => respond("503 Busy", "Retry-After: 4\r\n", b""),
        _ => pages(request),
    });
    let hosts = ["crawl-delay", "busy", "busy-robots", "h0"];
    let urls: Vec<String> =
        hosts.iter().flat_map(|host| (0..2).map(move |page| format!("http://{host}.example/{page}"))).collect();
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&web, folder.path(), &urls).flag("--min-delay-ms", 100).flag("--max-group-ms", 50);
    let mut running = client.start();
    let has_come = |host: &str, path: &str| {
        web.visits().iter().any(|visit| visit.request.label() == host && visit.request.path == path)
    };
    while !["crawl-delay", "busy-robots"].iter().all(|host| has_come(host, "/robots.txt")) || !has_come("busy", "/0") {
        assert!(!running.has_ended_after(Duration::from_millis(5)), "{}", running.stderr());
    }
    // Enough for the group to be written, and much less than the pause.
    assert!(!running.has_ended_after(Duration::from_millis(700)));
    running.kill();
    client.complete();
    check_all_kept(&client.out(), &urls);
    let visits = web.visits();
    check_oracle(&visits, Duration::from_millis(100));
    for host in hosts {
        let of_host: Vec<&Visit> = visits.iter().filter(|visit| visit.request.label() == host).collect();
        let rules = of_host.iter().filter(|visit| visit.request.is_robots()).count();
        assert_eq!(rules, if host == "busy-robots" { 2 } else { 1 }, "{host} was asked for rules that were known");
        let from = usize::from(host == "busy");
        let pause = of_host[from + 1].begun.duration_since(of_host[from].begun);
        assert!(host == "h0" || pause + TOLERANCE >= PAUSE, "{host}: {pause:?}");
    }
}

#[test]
fn a_link_counts_once_against_its_host_through_kills() {
    const TEST: &str = "a_link_counts_once_against_its_host_through_kills";
    const KILLS: usize = 3;
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(|request| match request.path.as_str() {
        "/0" => vec![Step::Reset],
        _ => pages(request),
    });
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&web, folder.path(), ["http://h0.example/0"])
        .flag("--min-delay-ms", 1_000)
        .flag("--max-group-ms", 50)
        .flag("--max-consecutive-faults", KILLS);
    for _ in 0..KILLS {
        let before = web.pages_asked();
        let mut running = client.start();
        while web.pages_asked() == before {
            assert!(!running.has_ended_after(Duration::from_millis(5)), "{}", running.stderr());
        }
        // Enough for the group to be written, and less than the pause before the second try.
        assert!(!running.has_ended_after(Duration::from_millis(700)));
        running.kill();
    }
    client.complete();
    let outcome = &outcomes(&client.out())["http://h0.example/0"];
    assert_eq!(outcome.verdict, Some(Reason::HttpFault), "{outcome:?}");
}

#[test]
fn slow_and_failing_hosts_are_asked_less_often() {
    const TEST: &str = "slow_and_failing_hosts_are_asked_less_often";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(|request| match request.label() {
        "slow" => [vec![Step::Sleep(Duration::from_millis(400))], pages(request)].concat(),
        "failing" if !request.is_robots() => vec![Step::Reset],
        _ => pages(request),
    });
    let urls: Vec<String> = ["slow", "failing"]
        .iter()
        .flat_map(|host| (0..5).map(move |page| format!("http://{host}.example/{page}")))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    Client::new(&web, folder.path(), &urls).flag("--min-delay-ms", 100).flag("--max-tries", 1).complete();
    let visits = web.visits();
    let pauses = |host: &str| -> Vec<Duration> {
        let begun: Vec<Instant> =
            visits.iter().filter(|visit| visit.request.label() == host).map(|visit| visit.begun).collect();
        assert_eq!(begun.len(), 6, "{host}");
        begun.windows(2).map(|two| two[1].duration_since(two[0])).collect()
    };
    // Five times the answer's 400 ms would be two seconds; ten times the delay is the most.
    for pause in pauses("slow") {
        assert!(pause + TOLERANCE >= Duration::from_millis(400 + 1_000), "{pause:?}");
    }
    // After robots.txt, then after one fault, two, three and four.
    for (pause, least_ms) in pauses("failing").into_iter().zip([100, 100, 200, 400, 800]) {
        assert!(pause + TOLERANCE >= Duration::from_millis(least_ms), "{pause:?}, not {least_ms} ms");
    }
}

#[test]
fn kills_lose_nothing() {
    const TEST: &str = "kills_lose_nothing";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    const GROUP_PAGES: usize = 16;
    const AT_ONCE: usize = 32;
    const THREADS: usize = 2;
    let (kills, seed) = (number("WEBTEXT_TEST_KILLS", 100), number("WEBTEXT_TEST_SEED", 2357));
    // Bodies of a few kilobytes, so that archives are sealed while it goes on.
    let web = Web::builder().start(|request| {
        if request.is_robots() {
            return respond("404 Not Found", "", b"");
        }
        let seed = xxh(&format!("{}{}", request.host, request.path));
        page(&[html("noise"), noise(seed, 500 + seed as usize % 6_000)].concat())
    });
    let folder = tempfile::tempdir().unwrap();
    // Enough that the last kill comes before the last page.
    let urls = urls(40, 40 + kills as usize * 2);
    let client = Client::new(&web, folder.path(), &urls)
        .flag("--min-delay-ms", 20)
        .flag("--threads", THREADS)
        .flag("--max-concurrent-requests", AT_ONCE)
        .flag("--max-group-pages", GROUP_PAGES)
        .flag("--max-group-ms", 200)
        .flag("--max-warc-bytes", 200_000);
    let mut chance = Chance(seed);
    // How many requests had come when each life ended.
    let mut lives: Vec<usize> = Vec::new();
    for _ in 0..kills {
        let mut running = client.start();
        if running.has_ended_after(Duration::from_millis(20 + chance.below(330))) {
            break;
        }
        running.kill();
        lives.push(web.visits().len());
        if lives.len() as u64 == kills.div_ceil(2) {
            // What is closed is whole, whatever was under way.
            check_with_peers(TEST, &client.out());
        }
    }
    let killed = lives.len();
    assert!(killed + 5 >= kills as usize, "only {killed} kills came before the last page");
    let ended = client.complete();
    let again = asked_again(&web.visits());
    eprintln!(
        "{TEST}: seed {seed}, {killed} kills, {} pages, {again} asked for again, the rest in {:?}",
        urls.len(),
        ended.took
    );
    check_all_kept(&client.out(), &urls);
    check_with_peers(TEST, &client.out());
    check_oracle(&web.visits(), Duration::from_millis(20));
    // What a kill may cost: a group for each thread, and what is under way.
    let allowed = THREADS * GROUP_PAGES + AT_ONCE;
    let costs = costs_of_kills(&web.visits(), &lives);
    assert!(costs.iter().all(|cost| *cost <= allowed), "{costs:?} pages were asked for again, {allowed} may be");

    // Once more: nothing is left to do, nothing is done.
    let (before, asked) = (std::fs::read(client.out().join("outcomes.parquet")).unwrap(), web.visits().len());
    client.complete();
    assert_eq!(web.visits().len(), asked);
    assert!(before == std::fs::read(client.out().join("outcomes.parquet")).unwrap());
}

fn xxh(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn hosts_say_how_often_they_may_be_asked() {
    const TEST: &str = "hosts_say_how_often_they_may_be_asked";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let busy = |status: &str, after: &str| respond(status, &format!("Retry-After: {after}\r\n"), b"busy");
    let web = Web::builder().start(move |request| {
        let is_first = request.visit == 1 && request.path == "/1";
        match request.label() {
            "crawl-delay" if request.is_robots() => respond("200 OK", "", b"User-agent: *\nCrawl-delay: 1\n"),
            "crawl-delay-long" if request.is_robots() => respond("200 OK", "", b"User-agent: *\nCrawl-delay: 86400\n"),
            "seconds" if is_first => busy("503 Busy", "2"),
            "seconds-429" if is_first => busy("429 Too Many", "2"),
            // HTTP dates have whole seconds: three of them are more than two.
            "date" if is_first => busy("503 Busy", &http_date(SystemTime::now() + Duration::from_secs(3))),
            "past-date" if is_first => busy("503 Busy", "Sun, 06 Nov 1994 08:49:37 GMT"),
            "long" if is_first => busy("503 Busy", "999999999999999999999"),
            "far-date" if is_first => busy("503 Busy", "Fri, 31 Dec 9999 23:59:59 GMT"),
            "nonsense" if is_first => busy("503 Busy", "soon, -1"),
            "always" if !request.is_robots() => busy("503 Busy", "1"),
            "robots" if request.is_robots() && request.visit == 1 => busy("503 Busy", "2"),
            "robots-long" if request.is_robots() && request.visit == 1 => busy("429 Too Many", "86400"),
            _ => pages(request),
        }
    });
    let hosts = [
        ("crawl-delay", 1_000),
        ("crawl-delay-long", 3_500),
        ("seconds", 2_000),
        ("seconds-429", 2_000),
        ("date", 2_000),
        ("past-date", 100),
        ("long", 3_500),
        ("far-date", 3_500),
        ("nonsense", 100),
        ("always", 1_000),
        ("robots", 100),
        ("robots-long", 100),
    ];
    let urls: Vec<String> =
        hosts.iter().flat_map(|(host, _)| ["1", "2"].map(|path| format!("http://{host}.example/{path}"))).collect();
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&web, folder.path(), &urls)
        .flag("--min-delay-ms", 100)
        .flag("--max-delay-ms", 3_500)
        .flag("--max-tries", 2);
    client.complete();
    let visits = web.visits();
    check_oracle(&visits, Duration::from_millis(100));
    let outcomes = outcomes(&client.out());
    for (host, pause_ms) in hosts {
        let of_host: Vec<&Visit> = visits.iter().filter(|visit| visit.request.label() == host).collect();
        // After the first page, whose answer says "later", or after any answer of a host with a Crawl-delay.
        let first = of_host.iter().position(|visit| !visit.request.is_robots()).unwrap();
        let pause = of_host[first + 1].begun.duration_since(of_host[first].begun);
        assert!(pause + TOLERANCE >= Duration::from_millis(pause_ms), "{host}: {pause:?}");
        assert!(pause < Duration::from_millis(5_000), "{host}: {pause:?}");
        for path in ["1", "2"] {
            let outcome = &outcomes[&format!("http://{host}.example/{path}")];
            let reason = outcome.verdict.map(|reason| reason.to_string());
            let expected = if host == "always" { Some("http_status") } else { None };
            assert_eq!(reason.as_deref(), expected, "{host}/{path}: {:?}", outcome.detail);
            assert_eq!(outcome.status, Some(if host == "always" { 503 } else { 200 }));
        }
    }
    for (host, pause_ms) in [("robots", 2_000), ("robots-long", 3_500)] {
        let of_host: Vec<&Visit> = visits.iter().filter(|visit| visit.request.label() == host).collect();
        assert!(of_host[0].request.is_robots() && of_host[1].request.is_robots(), "{host}");
        let pause = of_host[1].begun.duration_since(of_host[0].begun);
        assert!(pause + TOLERANCE >= Duration::from_millis(pause_ms), "{host}: {pause:?}");
    }
    let tries = visits.iter().filter(|visit| visit.request.label() == "always" && visit.request.path == "/1").count();
    assert_eq!(tries, 2, "--max-tries 2");
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, by the civil-from-days algorithm of Howard Hinnant.
fn http_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][days as usize % 7];
    let name = names[month as usize - 1];
    format!("{weekday}, {day:02} {name} {year} {:02}:{:02}:{:02} GMT", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[test]
fn dates_are_written_as_http_has_them() {
    let at = |seconds| http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(at(1_709_164_800), "Thu, 29 Feb 2024 00:00:00 GMT");
}

#[test]
fn domains_and_addresses_have_caps() {
    const TEST: &str = "domains_and_addresses_have_caps";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let shared: IpAddr = "93.184.216.77".parse().unwrap();
    let web = Web::builder()
        .names(move |name| match name.starts_with("shared") {
            true => Answer::addresses([shared]),
            false => Answer::addresses([address_of(name)]),
        })
        .start(|request| {
            let mut script = pages(request);
            // Long enough that they would meet.
            script.insert(0, Step::Sleep(Duration::from_millis(150)));
            script
        });
    // Twelve hosts of one domain, each at an address of its own; twelve domains at one address; and others.
    let mut urls: Vec<String> = Vec::new();
    for host in 0..12 {
        for page in 0..4 {
            urls.push(format!("http://part{host}.domain.example/{page}"));
            urls.push(format!("http://shared{host}.example/{page}"));
            urls.push(format!("http://h{host}.example/{page}"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&web, folder.path(), &urls)
        .flag("--min-delay-ms", 50)
        .flag("--threads", 2)
        .flag("--max-concurrent-requests", 64)
        .flag("--max-concurrent-hosts", 64)
        .flag("--max-requests-per-domain", 2)
        .flag("--max-requests-per-address", 4);
    client.complete();
    check_all_kept(&client.out(), &urls);
    let visits = web.visits();
    check_oracle(&visits, Duration::from_millis(50));
    let domain = |visit: &Visit| visit.request.host.rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    let (by_domain, most) = most_at_once(&visits, domain);
    assert!(most <= 2, "{by_domain:?}");
    let (by_address, most) = most_at_once(&visits, |visit| visit.request.to.ip());
    assert!(most <= 4, "{by_address:?}");
    let (_, most) = most_at_once(&visits, |_| ());
    assert!(most > 6, "hosts with nothing in common are asked side by side, not {most} at once");
}

#[test]
fn rules_are_asked_for_first_and_once() {
    const TEST: &str = "rules_are_asked_for_first_and_once";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().ports(&[8080]).start(|request| match request.label() {
        "h1" if request.is_robots() => respond("200 OK", "", b"User-agent: *\nDisallow: /secret\n"),
        "h2" if request.is_robots() => respond("503 Busy", "", b""),
        "h3" if request.path == "/2" => webtext_tests::web::redirect("http://h4.example/from-h3"),
        "h3" if request.path == "/3" => webtext_tests::web::redirect("http://h1.example/secret"),
        _ => pages(request),
    });
    let mut urls = urls(4, 6);
    urls.extend((0..4).map(|page| format!("http://h1.example:8080/port/{page}")));
    urls.extend((0..4).map(|page| format!("https://h1.example/tls/{page}")));
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&web, folder.path(), &urls).flag("--min-delay-ms", 50).flag("--threads", 2);
    client.complete();
    let visits = web.visits();
    check_oracle(&visits, Duration::from_millis(50));
    let mut asked: BTreeMap<_, u32> = BTreeMap::new();
    for visit in visits.iter().filter(|visit| visit.request.is_robots()) {
        *asked.entry((&visit.request.host, visit.request.to.port(), visit.request.is_tls)).or_default() += 1;
    }
    // Four hosts, two more origins of one of them, and the one a redirect leads to.
    assert_eq!(asked.len(), 4 + 2 + 1, "{asked:?}");
    // An answer that forbids for now may be looked at again.
    assert!(asked.iter().all(|((host, ..), times)| *times == 1 || *host == "h2.example"), "{asked:?}");
    assert!(!visits.iter().any(|visit| visit.request.path == "/secret"));
    let outcomes = outcomes(&client.out());
    let reason = |url: &str| outcomes[url].verdict;
    assert_eq!(reason("http://h3.example/2"), None);
    assert_eq!(outcomes["http://h3.example/2"].final_url.as_deref(), Some("http://h4.example/from-h3"));
    assert_eq!(reason("http://h3.example/3"), Some(records::Reason::RobotsDisallowed));
    assert_eq!(reason("http://h2.example/0"), Some(records::Reason::RobotsDisallowed));
}

#[test]
fn a_full_disk_is_waited_for() {
    const TEST: &str = "a_full_disk_is_waited_for";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(|request| {
        if request.is_robots() {
            return respond("404 Not Found", "", b"");
        }
        page(&noise(xxh(&format!("{}{}", request.host, request.path)), 60_000))
    });
    let folder = tempfile::tempdir().unwrap();
    let urls = urls(10, 60);
    let client = Client::new(&web, folder.path(), &urls)
        .flag("--min-delay-ms", 20)
        .flag("--threads", 2)
        .flag("--max-warc-bytes", 500_000)
        .flag("--max-group-ms", 100);
    std::fs::create_dir(client.out()).unwrap();
    let mount = |options: &str| {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(client.out()).status();
        assert!(status.unwrap().success());
    };
    mount("size=2m");
    let wait_for_pause = |running: &mut webtext_tests::web::Running| {
        let until = Instant::now() + Duration::from_secs(20);
        let says_so = |text: &str| ["room", "space", "full"].iter().any(|word| text.contains(word));
        while !says_so(&running.stderr()) {
            assert!(!running.has_ended_after(Duration::from_millis(50)), "it ended: {}", running.stderr());
            assert!(Instant::now() < until, "it says nothing of the full disk: {}", running.stderr());
        }
    };
    let mut running = client.start();
    wait_for_pause(&mut running);
    // It waits: it neither ends nor asks for pages that it cannot keep.
    assert!(!running.has_ended_after(Duration::from_secs(1)));
    let asked = web.pages_asked();
    assert!(!running.has_ended_after(Duration::from_secs(1)));
    assert!(web.pages_asked() <= asked + 10, "{} pages more were asked for", web.pages_asked() - asked);
    // A kill in this state, and a start on a disk that is still full.
    running.kill();
    let mut running = client.start();
    wait_for_pause(&mut running);
    mount("remount,size=64m");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    check_all_kept(&client.out(), &urls);
    check_with_peers(TEST, &client.out());
    let again = asked_again(&web.visits());
    eprintln!("{TEST}: {again} of {} pages asked for again", urls.len());
}

#[test]
fn too_few_files_are_enough() {
    const TEST: &str = "too_few_files_are_enough";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(|request| {
        let mut script = pages(request);
        script.insert(0, Step::Sleep(Duration::from_millis(50)));
        script
    });
    let folder = tempfile::tempdir().unwrap();
    let urls = urls(120, 2);
    let client = Client::new(&web, folder.path(), &urls)
        .flag("--min-delay-ms", 50)
        .flag("--max-concurrent-hosts", 120)
        .flag("--max-concurrent-requests", 120)
        // An archive is closed after a few pages: that takes files, too, when most are taken.
        .flag("--max-warc-bytes", 5_000)
        .max_open_files(64);
    let ended = client.complete();
    assert!(ended.stderr.to_lowercase().contains("too many open files"), "it was no test: {}", ended.stderr);
    eprintln!("{TEST}: {:?}", ended.took);
    check_all_kept(&client.out(), &urls);
}

/// Takes the way to all addresses but those of this machine from the namespace, or gives it back.
fn network(is_there: bool) {
    let change = if is_there { "add" } else { "del" };
    let route = ["local", "default", "dev", "lo"];
    let status = Command::new("ip").args(["route", change]).args(route).status();
    assert!(status.unwrap().success());
}

#[test]
fn an_outage_of_our_own_is_nobodys_fault() {
    const TEST: &str = "an_outage_of_our_own_is_nobodys_fault";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let wait_for_pause = |running: &mut webtext_tests::web::Running| {
        let until = Instant::now() + Duration::from_secs(20);
        while !running.stderr().contains("the network seems to be down") {
            assert!(!running.has_ended_after(Duration::from_millis(20)), "it ended: {}", running.stderr());
            assert!(Instant::now() < until, "it says nothing of the network: {}", running.stderr());
        }
    };
    let web = Web::builder().start(pages);
    let folder = tempfile::tempdir().unwrap();
    let urls = urls(40, 15);
    // Tries and faults are few, so that a host would soon be to blame.
    let client = Client::new(&web, folder.path(), &urls)
        .flag("--min-delay-ms", 100)
        .flag("--threads", 2)
        .flag("--max-concurrent-requests", 64)
        .flag("--max-tries", 2)
        .flag("--max-consecutive-faults", 3);
    // From the start.
    network(false);
    let mut running = client.start();
    wait_for_pause(&mut running);
    network(true);
    while web.pages_asked() < 200 {
        assert!(!running.has_ended_after(Duration::from_millis(20)), "it ended: {}", running.stderr());
    }
    // And in the middle. It is long enough for all tries of all links.
    network(false);
    assert!(!running.has_ended_after(Duration::from_secs(5)));
    network(true);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("paused: no host can be reached").count(), 2, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("resumed").count(), 2, "{}", ended.stderr);
    check_all_kept(&client.out(), &urls);
    check_oracle(&web.visits(), Duration::from_millis(100));
    assert_eq!(asked_again(&web.visits()), 0);
}

#[test]
fn silent_hosts_at_the_end_are_no_outage_for_a_new_process() {
    const TEST: &str = "silent_hosts_at_the_end_are_no_outage_for_a_new_process";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(|request| match request.label().starts_with("silent") {
        true => vec![Step::Hang],
        false => pages(request),
    });
    let folder = tempfile::tempdir().unwrap();
    let good = urls(8, 4);
    let silent: Vec<String> = (0..40).map(|host| format!("http://silent{host}.example/")).collect();
    let all: Vec<&String> = good.iter().chain(&silent).collect();
    webtext_tests::web::write_links(&folder.path().join("links.parquet"), &all);
    let client = || {
        Client::of_table(&web, folder.path())
            .flag("--min-delay-ms", 100)
            .flag("--threads", 2)
            .flag("--max-group-pages", 4)
            .flag("--max-tries", 2)
            .flag("--first-byte-timeout-ms", 1_000)
    };
    // One process hears all who answer; the next begins among the silent.
    client().flag("--budget-pages", good.len()).complete();
    let ended = client().complete();
    assert!(!ended.stderr.contains("no host can be reached"), "{}", ended.stderr);
    let outcomes = outcomes(&client().out());
    assert_eq!(outcomes.len(), all.len());
    for (url, outcome) in outcomes {
        assert_eq!(outcome.verdict.is_some(), url.starts_with("http://silent"), "{outcome:?}");
    }
}

#[test]
fn ctrl_c_ends_the_group_and_says_how_to_go_on() {
    const TEST: &str = "ctrl_c_ends_the_group_and_says_how_to_go_on";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(pages);
    let folder = tempfile::tempdir().unwrap();
    let urls = urls(10, 20);
    let client = Client::new(&web, folder.path(), &urls).flag("--min-delay-ms", 100);
    let mut running = client.start();
    assert!(!running.has_ended_after(Duration::from_millis(1_200)));
    running.interrupt();
    let ended = running.wait();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(ended.stderr.contains("go on"), "{}", ended.stderr);
    assert!(!client.out().join("outcomes.parquet").exists(), "outcomes come when nothing is left");
    let asked = web.pages_asked();
    assert!(asked > 10 && asked < urls.len(), "{asked}");
    client.complete();
    check_all_kept(&client.out(), &urls);
    check_oracle(&web.visits(), Duration::from_millis(100));
    // Nothing that had come was thrown away.
    assert_eq!(asked_again(&web.visits()), 0);
}

#[test]
fn ctrl_c_waits_for_no_rules() {
    const TEST: &str = "ctrl_c_waits_for_no_rules";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    // The rules of one host lie at another, which wants to be left in peace for longer than the test lasts.
    let web = Web::builder().start(|request| match request.label() {
        "elsewhere" if request.is_robots() => {
            let moved = webtext_tests::web::redirect("http://patient.example/robots.txt");
            [vec![Step::Sleep(Duration::from_millis(700))], moved].concat()
        }
        "patient" if request.is_robots() => respond("200 OK", "", b"User-agent: *\nCrawl-delay: 100\n"),
        _ => pages(request),
    });
    let urls = ["http://elsewhere.example/1", "http://patient.example/1"];
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&web, folder.path(), urls).flag("--min-delay-ms", 100);
    let mut running = client.start();
    while web.visits().iter().filter(|visit| visit.ended.is_some()).count() < 2 {
        assert!(!running.has_ended_after(Duration::from_millis(20)), "it ended: {}", running.stderr());
    }
    assert!(!running.has_ended_after(Duration::from_millis(500)));
    running.interrupt();
    assert!(running.has_ended_after(Duration::from_secs(30)), "it waits: {}", running.stderr());
    assert_eq!(running.wait().code, Some(130));
}

#[test]
fn budgets_end_a_run_and_the_next_goes_on() {
    const TEST: &str = "budgets_end_a_run_and_the_next_goes_on";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(pages);
    let folder = tempfile::tempdir().unwrap();
    let urls = urls(5, 20);
    let client = || {
        Client::of_table(&web, folder.path())
            .flag("--min-delay-ms", 20)
            .flag("--max-concurrent-requests", 4)
            .flag("--max-group-pages", 4)
            .switch("--json")
    };
    webtext_tests::web::write_links(&folder.path().join("links.parquet"), &urls);
    let left = |ended: &webtext_tests::web::Ended| ended.finished()["left"].as_u64().unwrap() as usize;

    let ended = client().flag("--budget-pages", 10).complete();
    let first = urls.len() - left(&ended);
    // What is under way when the budget is met is not thrown away.
    assert!((10..10 + 16).contains(&first), "{first} pages in a budget of 10");
    assert!(!client().out().join("outcomes.parquet").exists());
    // The report of hosts tells of what is done.
    let hosts = std::fs::read_to_string(client().out().join("hosts.tsv")).unwrap();
    let links = hosts.lines().skip(1).map(|line| line.split('\t').nth(1).unwrap().parse::<usize>().unwrap());
    assert_eq!(links.sum::<usize>(), first, "{hosts}");

    let ended = client().flag("--budget-bytes", 1_000).complete();
    let second = urls.len() - left(&ended);
    assert!(second > first && second < first + 40, "{second} pages after {first}");

    // Time is a budget, too: less than one pause of a host.
    let ended = client().flag("--min-delay-ms", 3_000).flag("--budget-minutes", 0.02).complete();
    assert!(left(&ended) > 0 && ended.took < Duration::from_secs(30), "{ended:?}");

    let ended = client().complete();
    assert_eq!(left(&ended), 0);
    assert_eq!(ended.finished()["counts"]["kept"], 100, "{}", ended.stdout);
    check_all_kept(&client().out(), &urls);
    assert_eq!(asked_again(&web.visits()), 0);
}

#[test]
fn a_damaged_journal_costs_no_archive() {
    const TEST: &str = "a_damaged_journal_costs_no_archive";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(|request| {
        if request.is_robots() {
            return respond("404 Not Found", "", b"");
        }
        page(&noise(xxh(&request.path), 5_000))
    });
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&web, folder.path(), urls(10, 10))
        .flag("--min-delay-ms", 20)
        .flag("--threads", 1)
        .flag("--max-group-pages", 4)
        .flag("--max-warc-bytes", 20_000);
    client.complete();
    let before = webtext_tests::files(&client.out());
    assert!(before.keys().filter(|name| name.ends_with(".warc.gz")).count() > 5);
    let path = client.out().join("journal-00.log");
    let journal = before["journal-00.log"].clone();
    let mut frames = vec![8];
    while *frames.last().unwrap() < journal.len() {
        let at = *frames.last().unwrap();
        frames.push(at + 12 + u32::from_le_bytes(journal[at..at + 4].try_into().unwrap()) as usize);
    }
    let middle = frames[frames.len() / 2];
    let mut changed = journal.clone();
    changed[middle + 20] ^= 1;
    // A length that leads behind the file's end looks like a frame that a kill has cut off, and so does a cut.
    let mut too_long = journal.clone();
    too_long[middle + 3] = 0x3f;
    let of_another_version = [b"WTFETCH0", &journal[8..]].concat();
    let cut = journal[..middle].to_vec();
    for (what, damaged) in [("bit", changed), ("length", too_long), ("version", of_another_version), ("cut", cut)] {
        std::fs::write(&path, &damaged).unwrap();
        let ended = client.run();
        assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
        assert!(ended.stderr.contains("is damaged") && ended.stderr.contains("hint: "), "{what}: {}", ended.stderr);
        let mut after = webtext_tests::files(&client.out());
        assert_eq!(after.insert("journal-00.log".into(), journal.clone()), Some(damaged), "{what}");
        assert!(after == before, "{what}");
    }
    // With the journal as it was all is done; each start adds a frame to it.
    std::fs::write(&path, &journal).unwrap();
    client.complete();
    let mut after = webtext_tests::files(&client.out());
    after.insert("journal-00.log".into(), journal);
    assert!(after == before);
}

#[test]
fn a_domain_has_a_share_and_a_plan_asks_nobody() {
    const TEST: &str = "a_domain_has_a_share_and_a_plan_asks_nobody";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    let web = Web::builder().start(pages);
    let folder = tempfile::tempdir().unwrap();
    let mut urls = urls(3, 5);
    urls.extend((0..30).map(|page| format!("http://part{}.large.example/{page}", page % 3)));
    urls.extend((0..30).map(|page| format!("http://huge.example/{page}")));
    let client = || {
        Client::of_table(&web, folder.path())
            .flag("--min-delay-ms", 20)
            .flag("--max-pages-per-domain", 12)
            .switch("--json")
    };
    webtext_tests::web::write_links(&folder.path().join("links.parquet"), &urls);
    let plan = client().switch("--plan").complete();
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["pages"], &plan["over_budget"]), (&(15 + 12 + 12).into(), &(18 + 18).into()), "{plan}");
    // Twelve pages and robots.txt, each after 20 ms and half a second: not the thirty that the host has.
    assert_eq!(plan["longest"][0], serde_json::json!(["huge.example", 12]), "{plan}");
    assert_eq!(plan["critical_path_s"], 7, "{plan}");
    assert!(plan["longest"].to_string().contains("part0.large.example"), "{plan}");
    assert!(web.connections().is_empty(), "a plan asked {:?}", web.connections());

    client().complete();
    let outcomes = outcomes(&client().out());
    assert_eq!(outcomes.len(), urls.len());
    let of_domain = |reason: Option<records::Reason>| {
        let outcomes = outcomes.values().filter(|outcome| outcome.domain == "large.example");
        outcomes.filter(|outcome| outcome.verdict == reason).count()
    };
    assert_eq!((of_domain(None), of_domain(Some(records::Reason::OverBudget))), (12, 18));
    let hosts = std::fs::read_to_string(client().out().join("hosts.tsv")).unwrap();
    assert_eq!(hosts.lines().filter(|line| line.contains("large.example")).count(), 3, "{hosts}");
    // A column a host's links, a column its pages: they sum up to what there is.
    let sum = |column: usize| -> u64 {
        let fields = hosts.lines().skip(1).map(|line| line.split('\t').nth(column).unwrap());
        fields.map(|field| field.parse::<u64>().unwrap()).sum()
    };
    assert_eq!((sum(1), sum(2)), (urls.len() as u64, 15 + 12 + 12), "{hosts}");

    // With a larger share the rest of it is fetched, and nothing twice.
    client().flag("--max-pages-per-domain", 20).complete();
    assert_eq!(webtext_tests::web::outcomes(&client().out()).values().filter(|row| row.verdict.is_none()).count(), 55);
    assert_eq!(asked_again(&web.visits()), 0);
}

#[test]
fn a_host_that_forbids_all_takes_no_memory() {
    const TEST: &str = "a_host_that_forbids_all_takes_no_memory";
    if !inside_namespace(module_path!(), TEST) {
        return;
    }
    const LINKS: usize = 200_000;
    let web = Web::builder().start(|request| match request.label() {
        "forbidden" => respond("200 OK", "", b"User-agent: *\nDisallow: /\n"),
        _ => pages(request),
    });
    let folder = tempfile::tempdir().unwrap();
    let mut urls = urls(1, 3);
    urls.extend((0..LINKS).map(|page| format!("http://forbidden.example/some/page/of/the/host/{page}")));
    let client = Client::new(&web, folder.path(), &urls)
        .flag("--min-delay-ms", 20)
        .flag("--threads", 1)
        .flag("--max-group-pages", 1_000)
        .switch("--json");
    let ended = client.complete();
    eprintln!("{TEST}: {} MB, {:?}", ended.peak_bytes >> 20, ended.took);
    let counts = &ended.finished()["counts"];
    assert_eq!((&counts["kept"], &counts["dropped"]["robots_disallowed"]), (&3.into(), &LINKS.into()), "{counts}");
    assert!(ended.peak_bytes < 200 << 20, "{} MB", ended.peak_bytes >> 20);
}
