//! Counts the records of archives by type: `count FILE...`
use std::collections::BTreeMap;
use std::path::Path;
use warc::{Event, Reader};
fn main() {
    let mut c: BTreeMap<String, u64> = BTreeMap::new();
    let mut bytes = 0u64;
    for p in std::env::args().skip(1) {
        let mut r = Reader::open(Path::new(&p), 1 << 30).unwrap();
        while let Some(e) = r.next().unwrap() {
            match e {
                Event::Record(rec) => {
                    *c.entry(format!("{:?}", rec.kind)).or_default() += 1;
                    bytes += rec.body.len() as u64;
                }
                Event::Malformed { .. } => *c.entry("malformed".into()).or_default() += 1,
            }
        }
    }
    println!("{c:?} {bytes}");
}
