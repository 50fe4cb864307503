//! `bpe compare`: two tokenizers on the same texts.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use texts::{DocumentOptions, DocumentRow, RowReader, Source};

use crate::input::{self, Batches, InputOptions, Opened, WholeDocuments};
use crate::{Encoder, TokenId, Tokenizer};

/// Documents that are listed: those in which the two differ most.
const DOCUMENTS_SHOWN: usize = 10;
/// Documents of fewer bytes are not listed, since one word decides their ratio.
const SHORT_BYTES: usize = 200;

/// Flags of `bpe compare`.
#[derive(clap::Args)]
pub struct Arguments {
    /// `gpt2`, or a tokenizer's folder or file.
    #[arg(value_name = "A")]
    a: String,
    /// The tokenizer to compare it with.
    #[arg(value_name = "B")]
    b: String,
    /// Texts to compare on: text, JSON Lines or Parquet; also .zst, .xz, .bz2 and .gz; of a folder, all its files.
    #[arg(long, required = true, num_args = 1.., value_name = "IN")]
    corpus: Vec<PathBuf>,
    /// Field of JSON Lines or Parquet by which the texts are grouped. [default: `language`, or else `source`]
    #[arg(long, value_name = "FIELD")]
    by: Option<String>,
    /// Field of JSON Lines, or column of Parquet, that holds the text.
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
    #[command(flatten)]
    unsaid: super::FileHints,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// Totals of a tokenizer over some texts.
#[derive(Default, Clone)]
struct Sums {
    documents: u64,
    bytes: u64,
    words: u64,
    tokens: u64,
    single_bytes: u64,
}

/// A document, and its number of tokens by each tokenizer.
struct Difference {
    place: String,
    begins: String,
    tokens: [u64; 2],
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let tokenizers = arguments.unsaid.load_both([&arguments.a, &arguments.b])?;
    let mut comparison = Comparison::new(&tokenizers);
    for path in super::inputs::files_of(&arguments.corpus)? {
        for_each_document(&path, arguments, |place, group, text| comparison.add(place, group, text))?;
    }
    if let Some(field) = &arguments.by {
        let is_known = comparison.groups.is_empty() || comparison.groups.keys().any(|group| !group.is_empty());
        super::check_usage(is_known, &format!("no text has a field {field:?} to be grouped --by"))?;
    }
    if arguments.json {
        console::out!("{}", comparison.as_json())?;
    } else {
        comparison.print([&arguments.a, &arguments.b])?;
    }
    Ok(())
}

/// Calls `each` with every document, its place, and its group. A malformed row is an error, since leaving it out could
/// change the comparison.
fn for_each_document(
    path: &Path,
    arguments: &Arguments,
    mut each: impl FnMut(String, &str, &str),
) -> anyhow::Result<()> {
    let name = path.display();
    let options = Arc::new(InputOptions::default());
    let source: Source<File> = match input::open(path, &options)? {
        Opened::Lines(reader) => Source::JsonLines(reader),
        Opened::Table(file) => Source::Parquet(file),
        opened @ Opened::Plain(_) => {
            let documents = WholeDocuments::of(Batches::of_opened(path, opened, &options)?);
            for (number, document) in (1..).zip(documents) {
                each(format!("{name}, document {number}"), "", &document?);
            }
            return Ok(());
        }
    };
    let failed = || format!("cannot read {name}");
    let rows = RowReader::of_source(source, DocumentOptions::new(&arguments.text_field));
    for row in rows.with_context(failed)? {
        let row = row.with_context(failed)?.with_context(failed)?;
        let group = group_of(&row, arguments.by.as_deref());
        each(format!("{name}, {}", row.place()), &group.unwrap_or_default(), row.text());
    }
    Ok(())
}

fn group_of<'r>(row: &'r DocumentRow, by: Option<&str>) -> Option<std::borrow::Cow<'r, str>> {
    match by {
        Some(field) => row.field(field),
        None => row.field("language").or_else(|| row.field("source")),
    }
}

struct Comparison<'t> {
    tokenizers: [&'t Tokenizer; 2],
    encoders: [Encoder<'t>; 2],
    /// How often each id occurs.
    uses: [Vec<u64>; 2],
    groups: BTreeMap<String, [Sums; 2]>,
    differences: Vec<Difference>,
}

impl<'t> Comparison<'t> {
    fn new(tokenizers: &'t [Tokenizer; 2]) -> Comparison<'t> {
        Comparison {
            tokenizers: tokenizers.each_ref(),
            encoders: tokenizers.each_ref().map(Encoder::new),
            uses: tokenizers.each_ref().map(|tokenizer| vec![0; tokenizer.vocab_size()]),
            groups: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    fn add(&mut self, place: String, group: &str, text: &str) {
        let words = text.split_whitespace().count() as u64;
        let mut tokens = [0; 2];
        for (which, encoder) in self.encoders.iter_mut().enumerate() {
            let ids = encoder.encode(text);
            tokens[which] = ids.len() as u64;
            let sums = &mut self.groups.entry(group.to_owned()).or_default()[which];
            sums.documents += 1;
            sums.bytes += text.len() as u64;
            sums.words += words;
            sums.tokens += ids.len() as u64;
            let tokenizer = self.tokenizers[which];
            sums.single_bytes += ids.iter().filter(|&&id| tokenizer.token(id).len() == 1).count() as u64;
            ids.iter().for_each(|&TokenId(id)| self.uses[which][id as usize] += 1);
        }
        if text.len() >= SHORT_BYTES {
            let begins = text.chars().take(60).map(|char| if char.is_control() { ' ' } else { char }).collect();
            self.differences.push(Difference { place, begins, tokens });
            if self.differences.len() > 100 * DOCUMENTS_SHOWN {
                self.keep_largest();
            }
        }
    }

    fn keep_largest(&mut self) {
        let ratio = |d: &Difference| (d.tokens[0].max(1) as f64 / d.tokens[1].max(1) as f64).ln().abs();
        self.differences.sort_by(|x, y| ratio(y).total_cmp(&ratio(x)));
        self.differences.truncate(DOCUMENTS_SHOWN);
    }

    fn total(&self) -> [Sums; 2] {
        let mut total = [Sums::default(), Sums::default()];
        for group in self.groups.values() {
            for (sum, part) in total.iter_mut().zip(group) {
                sum.documents += part.documents;
                sum.bytes += part.bytes;
                sum.words += part.words;
                sum.tokens += part.tokens;
                sum.single_bytes += part.single_bytes;
            }
        }
        total
    }

    fn unused(&self) -> [usize; 2] {
        self.uses.each_ref().map(|uses| uses.iter().filter(|&&n| n == 0).count())
    }

    fn as_json(&mut self) -> Value {
        self.keep_largest();
        let of = |sums: &Sums| {
            json!({
                "documents": sums.documents, "bytes": sums.bytes, "tokens": sums.tokens,
                "bytes_per_token": per(sums.bytes, sums.tokens), "tokens_per_word": per(sums.tokens, sums.words),
                "single_bytes": per(sums.single_bytes, sums.tokens),
            })
        };
        let both = |sums: &[Sums; 2]| json!({"a": of(&sums[0]), "b": of(&sums[1])});
        let groups: BTreeMap<&str, Value> =
            self.groups.iter().map(|(name, sums)| (name.as_str(), both(sums))).collect();
        let differences: Vec<Value> =
            self.differences.iter().map(|d| json!({"place": d.place, "a": d.tokens[0], "b": d.tokens[1]})).collect();
        let [a, b] = self.unused();
        json!({"total": both(&self.total()), "groups": groups, "unused": {"a": a, "b": b}, "differences": differences})
    }

    fn print(mut self, names: [&str; 2]) -> std::io::Result<()> {
        self.keep_largest();
        console::out!("A  {}\nB  {}\n", names[0], names[1])?;
        console::out!(
            "{:14} {:>9} {:>12}  {:>15}  {:>15}  {:>17}",
            "",
            "documents",
            "bytes",
            "bytes per token",
            "tokens per word",
            "single bytes"
        )?;
        console::out!("{:37}  {:>7} {:>7}  {:>7} {:>7}  {:>8} {:>8}", "", "A", "B", "A", "B", "A", "B")?;
        let total = self.total();
        let named = self
            .groups
            .iter()
            .filter(|_| self.groups.len() > 1)
            .map(|(name, sums)| (if name.is_empty() { "(none)" } else { name.as_str() }, sums));
        for (name, [a, b]) in named.chain([("all", &total)]) {
            let percent = |sums: &Sums| 100.0 * per(sums.single_bytes, sums.tokens);
            console::out!(
                "{name:14} {:>9} {:>12}  {:>7.3} {:>7.3}  {:>7.3} {:>7.3}  {:>7.2}% {:>7.2}%",
                a.documents,
                a.bytes,
                per(a.bytes, a.tokens),
                per(b.bytes, b.tokens),
                per(a.tokens, a.words),
                per(b.tokens, b.words),
                percent(a),
                percent(b)
            )?;
        }
        let [a, b] = self.unused();
        let sizes = self.uses.each_ref().map(Vec::len);
        console::out!("\nunused: {a} of {} ids of A, {b} of {} of B", sizes[0], sizes[1])?;
        console::out!("\nwhere they differ most (tokens of A, of B):")?;
        for Difference { place, begins, tokens: [a, b] } in &self.differences {
            console::out!("  {a:>8} {b:>8}  {place}: {begins}")?;
        }
        Ok(())
    }
}

fn per(n: u64, of: u64) -> f64 {
    n as f64 / of.max(1) as f64
}
