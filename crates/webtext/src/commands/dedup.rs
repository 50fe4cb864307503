//! `webtext dedup`: rows of JSON Lines and Parquet without their duplicates.
//!
//! Signatures are held in memory (about 500 bytes per document) and the texts are read three times. For larger sets,
//! `webtext build` does the same in buckets.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use console::Exit;
use dedup::{Edge, MinHash, candidate_pairs, clusters, jaccard, shingles, text_hash};
use pipeline::recipe::Near;
use records::{Counts, Reason};
use serde::{Deserialize, Serialize};
use texts::{NoFields, RowWriter};

use super::{Faults, Usage, for_each_row};

/// Flags of `webtext dedup`.
#[derive(clap::Args)]
pub struct Arguments {
    /// JSON Lines or Parquet with a `text` field; also .zst and .gz. Of duplicates, the first in the input stays.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Kept rows with all their fields; .jsonl, also .zst and .gz, or .parquet.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Dropped rows with all their fields, each with the number of the row that represents it; same formats as OUT.
    #[arg(long, value_name = "OUT")]
    dropped: Option<PathBuf>,
    #[command(flatten)]
    near: Near,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// The fields that are added to a dropped row.
#[derive(Serialize, Deserialize)]
struct Dropped {
    verdict: String,
    /// The number of the row that represents it, from 0, over all inputs.
    representative_row: u64,
    jaccard: f64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(pipe) = arguments.inputs.iter().find(|path| path.exists() && !path.is_file()) {
        return Err(Usage(format!("{} is no file, and inputs are read three times", pipe.display())).into());
    }
    let Near { shingle_words, bands, rows, min_jaccard } = arguments.near;
    arguments.near.check()?;
    let outputs = std::iter::once(&arguments.output).chain(&arguments.dropped);
    console::check_outputs(arguments.inputs.iter().map(PathBuf::as_path), outputs.map(PathBuf::as_path))?;
    let family = MinHash::new(bands, rows);
    let mut by_text: HashMap<u64, u64> = HashMap::new();
    let mut by_band: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut edges: Vec<Edge<u64>> = Vec::new();
    let mut row_count = 0u64;
    let unreadable = for_each_row(&arguments.inputs, Faults::Named, |row| {
        let text = row.text();
        let number = row_count;
        row_count += 1;
        let first = *by_text.entry(text_hash(text)).or_insert(number);
        if first != number {
            edges.push(Edge { a: first, b: number, jaccard: 1.0, exact: true });
            return Ok(());
        }
        for band in family.bands(&family.signature(&shingles(text, shingle_words))) {
            by_band.entry(band).or_default().push(number);
        }
        Ok(())
    })?;
    // Only the shingles of documents in candidate pairs are held.
    let mut wanted: HashMap<u64, Vec<u64>> = HashMap::new();
    by_band.retain(|_, members| members.len() > 1);
    by_band.values().flatten().for_each(|&number| drop(wanted.insert(number, Vec::new())));
    let mut number = 0;
    for_each_row(&arguments.inputs, Faults::Known, |row| {
        if let Some(held) = wanted.get_mut(&number) {
            *held = shingles(row.text(), shingle_words);
        }
        number += 1;
        Ok(())
    })?;
    for members in by_band.values() {
        for (a, b) in candidate_pairs(members.len()) {
            let (a, b) = (members[a], members[b]);
            let similarity = jaccard(&wanted[&a], &wanted[&b]);
            if similarity >= min_jaccard {
                edges.push(Edge { a, b, jaccard: similarity, exact: false });
            }
        }
    }
    let members: BTreeMap<u64, dedup::Member<u64>> = clusters(edges).into_iter().map(|m| (m.document, m)).collect();
    let mut kept = RowWriter::create(&arguments.output)?;
    let mut dropped = arguments.dropped.as_deref().map(RowWriter::create).transpose()?;
    let mut counts = Counts::default();
    let mut number = 0;
    for_each_row(&arguments.inputs, Faults::Known, |row| {
        let member = members.get(&number);
        number += 1;
        let Some(member) = member else {
            counts.keep();
            return Ok(kept.push(&row, NoFields {})?);
        };
        let reason = if member.exact { Reason::ExactDuplicate } else { Reason::NearDuplicate };
        counts.drop(reason);
        if let Some(dropped) = &mut dropped {
            let (verdict, jaccard) = (reason.to_string(), f64::from(member.jaccard));
            dropped.push(&row, Dropped { verdict, representative_row: member.representative, jaccard })?;
        }
        Ok(())
    })?;
    kept.commit()?;
    dropped.map(RowWriter::commit).transpose()?;
    let ending = unreadable.end(&mut counts);
    super::print_counts(&counts, arguments.json)?;
    Ok(ending)
}
