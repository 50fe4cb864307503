//! Counts the records of archives and the bytes of their blocks: `count FILE...`. It is what `benches/warc.sh` times.

use std::path::Path;

use warc::{Event, ReadError, Reader};

fn main() -> Result<(), ReadError> {
    let (mut records, mut malformed, mut bytes) = (0_u64, 0_u64, 0_u64);
    for path in std::env::args().skip(1) {
        let mut reader = Reader::open(Path::new(&path), u64::MAX)?;
        while let Some(event) = reader.next()? {
            match event {
                Event::Record(record) => {
                    records += 1;
                    bytes += record.body.len() as u64;
                }
                Event::Malformed { .. } => malformed += 1,
            }
        }
    }
    println!("{{\"records\": {records}, \"malformed\": {malformed}, \"bytes\": {bytes}}}");
    Ok(())
}
