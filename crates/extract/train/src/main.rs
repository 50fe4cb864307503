//! Annotated pages → the numbers that `train.py` fits the models of main text to.
//!
//! `features` writes what the first model is told of each block, with the share of the block's words that the
//! annotators kept; `context` writes what the second model is told besides, from the first one's guesses.
//! Left out: fitting, which `train.py` does, and scoring.

mod align;

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use extract::blocks::{Blocks, blocks};
use extract::features::{Context, Names, Surroundings, describe, describe_context, describe_page};
use extract::head::{Head, head};
use extract::html::{self, Limits};
use serde::Serialize;

/// Annotated pages to numbers that a model is trained on.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Features and labels of each block: OUT.f32 (rows of numbers), OUT.jsonl (a page a line), OUT.names; features of
    /// each page: OUT.pages.f32.
    Features {
        /// A set: html/<id>.html, gold/<id>.txt and meta.json.
        set: PathBuf,
        /// Files are named after this.
        out: PathBuf,
    },
    /// Features that need the first model's guesses: OUT.context.f32 and OUT.context.names.
    Context {
        /// The same set.
        set: PathBuf,
        /// The same name; OUT.guesses has a 32-bit number for each block.
        out: PathBuf,
    },
}

/// A page of a set, as `train.py` reads it.
#[derive(Serialize)]
struct Row {
    id: String,
    page_type: Option<String>,
    host: String,
    gold_tokens: usize,
    /// Of each block, in order.
    tokens: Vec<u32>,
    kept: Vec<u32>,
    /// The block that repeats the title.
    title_block: Option<usize>,
    kinds: Vec<String>,
    texts: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Features { set, out } => features(&set, &out),
        Command::Context { set, out } => context(&set, &out),
    }
}

/// Calls `each` with every page of a set, in the order of their ids.
fn pages(
    set: &Path,
    mut each: impl FnMut(&str, &serde_json::Value, &html::Tree, &Head, &Blocks) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let meta = set.join("meta.json");
    let meta: serde_json::Value =
        serde_json::from_reader(File::open(&meta).with_context(|| format!("cannot read {}", meta.display()))?)?;
    let pages = meta["pages"].as_object().context("meta.json has no pages")?;
    let mut ids: Vec<&String> = pages.keys().collect();
    ids.sort();
    for id in ids {
        let path = set.join("html").join(format!("{id}.html"));
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let decoded = extract::charset::decode(&bytes, None);
        let source = html::with_plain_newlines(decoded.text);
        let Ok(tree) = html::parse(&source, Limits { nodes_max: 1_000_000, depth_max: 2_048, scripting: false }) else {
            eprintln!("{id}: passes the limits");
            continue;
        };
        each(id, &pages[id], &tree, &head(&tree), &blocks(&tree))?;
    }
    Ok(())
}

fn write_numbers(to: &mut impl Write, numbers: &[f32]) -> anyhow::Result<()> {
    for number in numbers {
        to.write_all(&number.to_le_bytes())?;
    }
    Ok(())
}

fn features(set: &Path, out: &Path) -> anyhow::Result<()> {
    let mut numbers = BufWriter::new(File::create(out.with_extension("f32"))?);
    let mut rows = BufWriter::new(File::create(out.with_extension("jsonl"))?);
    let mut page_numbers = BufWriter::new(File::create(out.with_extension("pages.f32"))?);
    let mut names = Names::default();
    pages(set, |id, meta, tree, head, page| {
        let gold = fs::read_to_string(set.join("gold").join(format!("{id}.txt")))?;
        let gold = align::tokens(&gold);
        let surroundings = Surroundings::new(tree, head, page);
        let mut all = Vec::new();
        let mut borders = vec![0];
        let mut features = Vec::new();
        for (number, block) in page.blocks.iter().enumerate() {
            all.extend(align::tokens(page.text_of(block)));
            borders.push(all.len());
            describe(&surroundings, number, &mut features);
            if names.0.is_empty() {
                describe(&surroundings, number, &mut names);
            }
        }
        write_numbers(&mut numbers, &features)?;
        let mut page_features = Vec::new();
        describe_page(&surroundings, &mut page_features);
        write_numbers(&mut page_numbers, &page_features)?;
        let kept = align::kept(&all, &gold);
        let in_blocks = borders.windows(2).map(|border| &kept[border[0]..border[1]]);
        let row = Row {
            id: id.to_owned(),
            page_type: meta["page_type"].as_str().map(str::to_owned),
            host: meta["url"].as_str().and_then(host).unwrap_or(id).to_owned(),
            gold_tokens: gold.len(),
            tokens: in_blocks.clone().map(|tokens| tokens.len() as u32).collect(),
            kept: in_blocks.map(|tokens| tokens.iter().filter(|kept| **kept).count() as u32).collect(),
            title_block: surroundings.title_block(),
            kinds: page.blocks.iter().map(|block| format!("{:?}", block.kind)).collect(),
            texts: page.blocks.iter().map(|block| page.text_of(block).to_owned()).collect(),
        };
        serde_json::to_writer(&mut rows, &row)?;
        writeln!(rows)?;
        Ok(())
    })?;
    fs::write(out.with_extension("names"), names.0.join("\n"))?;
    Ok(())
}

fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let host = rest.split(['/', '?', '#', ':']).next()?;
    Some(host.strip_prefix("www.").unwrap_or(host))
}

fn context(set: &Path, out: &Path) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    File::open(out.with_extension("guesses"))?.read_to_end(&mut bytes)?;
    let guesses: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let mut numbers = BufWriter::new(File::create(out.with_extension("context.f32"))?);
    let mut names = Names::default();
    let mut at = 0;
    pages(set, |_, _, tree, head, page| {
        let surroundings = Surroundings::new(tree, head, page);
        let end = at + page.blocks.len();
        ensure!(end <= guesses.len(), "there are {} guesses, too few", guesses.len());
        let context = Context::new(&surroundings, &guesses[at..end]);
        at = end;
        let mut features = Vec::new();
        for number in 0..page.blocks.len() {
            describe_context(&context, number, &mut features);
            if names.0.is_empty() {
                describe_context(&context, number, &mut names);
            }
        }
        write_numbers(&mut numbers, &features)
    })?;
    ensure!(at == guesses.len(), "there are {} guesses for {at} blocks", guesses.len());
    fs::write(out.with_extension("context.names"), names.0.join("\n"))?;
    Ok(())
}
