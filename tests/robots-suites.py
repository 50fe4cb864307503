"""Runs the test suites of google/robotstxt and scrapy/protego against this project's parser of robots.txt.

    git clone https://github.com/google/robotstxt
    git clone https://github.com/scrapy/protego
    cargo build -p webtext-fetch --example robots
    python3 tests/robots-suites.py target/debug/examples/robots robotstxt protego

Google's cases are read from robots_test.cc. Those that build their file in a loop are not, and are counted. Protego's are
collected by running its tests with a class in place of its own that asks both parsers; pytest is needed for that.
Each difference is printed; docs/robots.md explains them. The exit code is 1 if there is another than those.
"""

import json
import pathlib
import re
import subprocess
import sys

# Differences that docs/robots.md explains: suite, a part of the file, crawler, URL.
EXPECTED = [
    ("google", "Allow: /foo/bar/\u30c4", "FooBot", "http://foo.bar/foo/bar/\u30c4"),
    ("google", "Allow: /foo/bar/%E3%83%84", "FooBot", "http://foo.bar/foo/bar/\u30c4"),
    ("google", "Allow: /foo/bar/%62%61%7A", "FooBot", "http://foo.bar/foo/bar/baz"),
    ("google", "User-Agent: Foo Bar", "Foo Bar", "http://foo.bar/x/y"),
    ("protego", "user-agent: hedwig", "hedwig-images", None),
    ("protego", "user-agent: hedwig", "hedwig-new", None),
    ("protego", "User-Agent: J\u00e4vla-Foobot", None, None),
    ("protego", "Invalid_directive: /gb.html", "agent", None),
    ("protego", "user-agent: foo*bot", None, None),
    ("protego", "disallow: /x/abc$\n", "FooBot", None),
    ("protego", "User-agent: 1bot", None, None),
    ("protego", "User-agent: Rule", None, None),
]


class Parser:
    """The example program `robots --json`."""

    def __init__(self, program):
        self.process = subprocess.Popen([program, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, robots, agent, url):
        self.process.stdin.write(json.dumps({"robots": robots, "agent": agent, "url": url}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Report:
    def __init__(self):
        self.cases = self.differences = self.unexplained = 0

    def add(self, suite, robots, agent, url, theirs, ours):
        self.cases += 1
        if theirs == ours:
            return
        self.differences += 1
        is_expected = any(
            suite == of and part in robots and crawler in (None, agent) and address in (None, url)
            for of, part, crawler, address in EXPECTED
        )
        self.unexplained += not is_expected
        mark = "explained" if is_expected else "NEW"
        print(f"{mark}: {suite}: {agent!r} {url!r}: theirs {theirs}, ours {ours}\n    {robots!r}")


LITERAL = r'(?:"(?:[^"\\]|\\.)*"\s*)+'


def text_of(literals):
    """The text of adjacent C++ literals, with the escapes that the suite has."""
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"', literals)
    text = "".join(parts)
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r", "t": "\t"}.get(m[1], m[1]), text)


def google(folder, parser, report):
    source = (folder / "robots_test.cc").read_text()
    source = re.sub(r"^\s*//.*$", "", source, flags=re.M)
    source = source.replace("absl::string_view()", '""')
    statement = re.compile(
        rf"(?:absl::string_view|std::string|const std::string) (?P<name>\w+)\s*=\s*(?P<text>{LITERAL});"
        r"|EXPECT_(?P<expected>TRUE|FALSE)\(\s*IsUserAgentAllowed\(\s*(?P<robots>\w+|\"\"),\s*"
        rf"(?P<agent>{LITERAL}),\s*(?P<url>{LITERAL}|\w+|absl::StrCat\([^;]*?\))\s*\)\)"
    )
    names, skipped = {}, 0
    for found in statement.finditer(source):
        if found["name"]:
            names[found["name"]] = text_of(found["text"])
            continue
        is_built = "absl::StrAppend(&robotstxt" in source[max(0, found.start() - 700) : found.start()]
        url = names.get(found["url"]) if found["url"][0] not in '"a' else text_of(found["url"])
        url = names.get(found["url"], url)
        robots = "" if found["robots"] == '""' else names.get(found["robots"])
        if "StrCat" in found["url"] or robots is None or url is None or (is_built and "LineTooLong" in name_of_test(source, found)):
            skipped += 1
            continue
        agent = text_of(found["agent"])
        # The suite asks for an empty URL as for the root.
        ours = parser.ask(robots, agent, url or "/")["allowed"]
        report.add("google", robots, agent, url, found["expected"] == "TRUE", ours)
    print(f"google: {skipped} cases were not extracted (they build their file in a loop)")


def name_of_test(source, found):
    """The name of the test that a match is in."""
    return source[source.rfind("TEST(", 0, found.start()) :][:80]


def protego(folder, parser, report):
    sys.path.insert(0, str(folder / "src"))
    import protego as theirs
    import pytest

    class Both(theirs.Protego):
        @classmethod
        def parse(cls, content):
            both = super().parse(content)
            both.content = content
            return both

        def can_fetch(self, url, user_agent):
            expected = super().can_fetch(url, user_agent)
            # A path that lacks its slash is none; the suite has one.
            path = url if "://" in url or url.startswith("/") else "/" + url
            try:
                found = parser.ask(self.content, user_agent, path)["allowed"]
            except ValueError:
                found = None
            report.add("protego", self.content, user_agent, url, expected, found)
            return expected

        def crawl_delay(self, user_agent):
            expected = super().crawl_delay(user_agent)
            found = parser.ask(self.content, user_agent, "/")["crawl_delay"]
            report.add("protego", self.content, user_agent, "(crawl delay)", expected, found)
            return expected

    theirs.Protego = Both
    tests = [str(folder / "tests" / name) for name in ("test_protego.py", "test_on_google_spec.py")]
    code = pytest.main(["-q", "-s", "--no-header", "-p", "no:cacheprovider", "-c", "/dev/null", *tests])
    assert code == 0, "protego's own tests fail"


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    parser, report = Parser(sys.argv[1]), Report()
    google(pathlib.Path(sys.argv[2]), parser, report)
    protego(pathlib.Path(sys.argv[3]).resolve(), parser, report)
    print(f"{report.cases} cases, {report.differences} differences, {report.unexplained} of them not explained")
    sys.exit(1 if report.unexplained else 0)


main()
