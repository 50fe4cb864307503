"""From an archive to texts: records, main text, rules, duplicates and tokens. Takes a WARC file, or makes a small one."""

import io
import sys

import webtext

ARTICLE = "<p>The ferry to the island leaves at noon, and it comes back with the tide that follows.</p>" * 4


def small_archive() -> io.BytesIO:
    """Three pages, of which two are the same."""
    archive = b""
    for number, title in enumerate(["Ferry", "Ferry", "Quay"]):
        html = f"<title>{title}</title><h1>{title}</h1>{ARTICLE.replace('ferry', title.lower())}".encode()
        message = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://x.example/{number}\r\n"
        archive += head.encode() + f"Content-Length: {len(message)}\r\n\r\n".encode() + message + b"\r\n\r\n"
    return io.BytesIO(archive)


records = webtext.iter_warc(sys.argv[1] if len(sys.argv) > 1 else small_archive(), types=["response"])
found = [(record.url, record.body) for record in records if record.is_html and record.http_status == 200]
pages = webtext.extract_batch([body for _, body in found], [url for url, _ in found])
rules = webtext.Filter(["wikipedia", {"rule": "length", "min_words": 20, "max_words": 100_000}])
kept = [page for page, verdict in zip(pages, rules.judge_batch([page.text for page in pages])) if verdict.kept]
duplicates = {duplicate.index for duplicate in webtext.dedup([page.text for page in kept])}
texts = [page.text for number, page in enumerate(kept) if number not in duplicates]
tokens = int(webtext.Tokenizer.gpt2().count_batch(texts).sum())
print(f"{len(pages)} pages, {len(kept)} kept, {len(duplicates)} duplicates; {len(texts)} texts of {tokens} tokens")
