//! Converts annotated pages to the numbers from which `train.py` trains the models of main text.
//!
//! `pages` writes each page's blocks with the share of their words that the annotators kept, and the words of its
//! classes; `features` writes the first model's features of each block, once there are lexicons of such words;
//! `first-pass` writes the additional features of the second model, from the first one's probabilities; `decide` says
//! which blocks the extractor keeps by given probabilities. Left out: training, which `train.py` does, and scoring.

mod align;

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use extract::blocks::{Blocks, Container, blocks};
use extract::class_words::ATTRIBUTES;
use extract::features::{FeatureNames, FirstPass, PageContext, describe, describe_first_pass, describe_page};
use extract::head::{Head, head};
use extract::html::{self, ParseOptions, tag};
use extract::lexicon::{self, Lexicon};
use extract::select::select;
use extract::{Analysis, Options, PageKind};
use serde::Serialize;

/// Converts annotated pages to training data.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Texts and labels of each block: OUT.jsonl (one page per line).
    Pages {
        /// A set: html/ID.html, gold/ID.txt and meta.json.
        set: PathBuf,
        /// Prefix of the names of output files.
        out: PathBuf,
    },
    /// Features of each block: OUT.f32 (rows of numbers), OUT.names; features of each page: OUT.pages.f32, OUT.pages.names.
    Features {
        /// The same set.
        set: PathBuf,
        /// The same prefix. OUT.lexicons has lexicons, each after its length in 4 bytes, and OUT.lexicon_of a byte for
        /// each page: the number of its lexicon.
        out: PathBuf,
    },
    /// Which blocks are kept, by the extractor's own decision: OUT.kept has a byte for each block.
    Decide {
        /// The same set.
        set: PathBuf,
        /// The same prefix. OUT.probabilities has a 32-bit float for each block, OUT.kinds a byte for each page: the
        /// number of its kind.
        out: PathBuf,
        /// Folder for the texts that the extractor would write, ID.txt.
        #[arg(long)]
        texts: Option<PathBuf>,
    },
    /// Features that need the first model's probabilities: OUT.context.f32 and OUT.context.names.
    FirstPass {
        /// The same set.
        set: PathBuf,
        /// The same prefix. OUT.probabilities has a 32-bit float for each block.
        out: PathBuf,
    },
}

/// A page of a set, as `train.py` reads it.
#[derive(Serialize)]
struct AnnotatedPage {
    id: String,
    page_type: Option<String>,
    host: String,
    gold_tokens: usize,
    /// Of each block, in order.
    tokens: Vec<u32>,
    kept: Vec<u32>,
    /// The block that repeats the title.
    title_block: Option<usize>,
    texts: Vec<String>,
    /// Of each block, its container.
    containers: Vec<u32>,
    /// Of each container, the one around it.
    parents: Vec<u32>,
    /// Of each container, the hashes of its classes' words, each once.
    words: Vec<Vec<u32>>,
    /// The container whose classes describe the whole page, and the one around it.
    whole: Vec<usize>,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Pages { set, out } => write_pages(&set, &out),
        Command::Features { set, out } => features(&set, &out),
        Command::FirstPass { set, out } => context(&set, &out),
        Command::Decide { set, out, texts } => decide(&set, &out, texts.as_deref()),
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
        let Ok(tree) = html::parse(&source, ParseOptions::default()) else {
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

fn write_pages(set: &Path, out: &Path) -> anyhow::Result<()> {
    let mut rows = BufWriter::new(File::create(out.with_extension("jsonl"))?);
    let none = Lexicon::default();
    pages(set, |id, meta, tree, head, page| {
        let gold = fs::read_to_string(set.join("gold").join(format!("{id}.txt")))?;
        let gold = align::tokens(&gold);
        let mut all = Vec::new();
        let mut borders = vec![0];
        for block in &page.blocks {
            all.extend(align::tokens(page.text_of(block)));
            borders.push(all.len());
        }
        let kept = align::kept(&all, &gold);
        let in_blocks = borders.windows(2).map(|border| &kept[border[0]..border[1]]);
        let is_whole = |number: &usize| matches!(tree.name(page.containers[*number].node), tag::BODY | tag::HTML);
        let row = AnnotatedPage {
            id: id.to_owned(),
            page_type: meta["page_type"].as_str().map(str::to_owned),
            host: meta["url"].as_str().and_then(host).unwrap_or(id).to_owned(),
            gold_tokens: gold.len(),
            tokens: in_blocks.clone().map(|tokens| tokens.len() as u32).collect(),
            kept: in_blocks.map(|tokens| tokens.iter().filter(|kept| **kept).count() as u32).collect(),
            title_block: PageContext::new(tree, head, page, &none).title_block(),
            texts: page.blocks.iter().map(|block| page.text_of(block).to_owned()).collect(),
            containers: page.blocks.iter().map(|block| block.container).collect(),
            parents: page.containers.iter().map(|container| container.parent).collect(),
            words: page.containers.iter().map(|container| class_words(tree, container)).collect(),
            whole: (0..page.containers.len()).filter(is_whole).collect(),
        };
        serde_json::to_writer(&mut rows, &row)?;
        writeln!(rows)?;
        Ok(())
    })
}

/// The hashes of a container's words, each once.
fn class_words(tree: &html::Tree, container: &Container) -> Vec<u32> {
    let mut words = Vec::new();
    for name in ATTRIBUTES {
        if let Some(value) = tree.raw_attribute(container.node, name) {
            lexicon::words(value, |hash| words.push(hash));
        }
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// Lexicons, each after its length.
fn read_lexicons(path: &Path) -> anyhow::Result<Vec<Lexicon>> {
    let bytes = fs::read(path)?;
    let mut rest = &bytes[..];
    let mut lexicons = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (lexicon, after) =
            after.split_at_checked(u32::from_le_bytes(*len) as usize).context("lexicons end early")?;
        lexicons.push(Lexicon::read(lexicon).context("what should be a lexicon is none")?);
        rest = after;
    }
    Ok(lexicons)
}

fn features(set: &Path, out: &Path) -> anyhow::Result<()> {
    let lexicons = read_lexicons(&out.with_extension("lexicons"))?;
    let mut lexicon_of = fs::read(out.with_extension("lexicon_of"))?.into_iter();
    let mut numbers = BufWriter::new(File::create(out.with_extension("f32"))?);
    let mut page_numbers = BufWriter::new(File::create(out.with_extension("pages.f32"))?);
    let (mut names, mut page_names) = (FeatureNames::default(), FeatureNames::default());
    pages(set, |id, _, tree, head, page| {
        let lexicon = lexicon_of.next().and_then(|number| lexicons.get(usize::from(number)));
        let lexicon = lexicon.with_context(|| format!("{id} has no lexicon"))?;
        let context = PageContext::new(tree, head, page, lexicon);
        let mut features = Vec::new();
        for number in 0..page.blocks.len() {
            describe(&context, number, &mut features);
            if names.0.is_empty() {
                describe(&context, number, &mut names);
            }
        }
        write_numbers(&mut numbers, &features)?;
        let mut page_features = Vec::new();
        describe_page(&context, &mut page_features);
        if page_names.0.is_empty() {
            describe_page(&context, &mut page_names);
        }
        write_numbers(&mut page_numbers, &page_features)
    })?;
    fs::write(out.with_extension("names"), names.0.join("\n"))?;
    fs::write(out.with_extension("pages.names"), page_names.0.join("\n"))?;
    Ok(())
}

fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let host = rest.split(['/', '?', '#', ':']).next()?;
    Some(host.strip_prefix("www.").unwrap_or(host))
}

fn read_probabilities(out: &Path) -> anyhow::Result<Vec<f32>> {
    let mut bytes = Vec::new();
    File::open(out.with_extension("probabilities"))?.read_to_end(&mut bytes)?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn decide(set: &Path, out: &Path, texts: Option<&Path>) -> anyhow::Result<()> {
    let probabilities = read_probabilities(out)?;
    let mut kinds = fs::read(out.with_extension("kinds"))?.into_iter();
    let mut kept = Vec::with_capacity(probabilities.len());
    let none = Lexicon::default();
    let options = Options::default();
    pages(set, |id, _, tree, head, page| {
        let kind = kinds.next().and_then(|kind| PageKind::ALL.get(usize::from(kind)).copied());
        let kind = kind.with_context(|| format!("{id} has no kind"))?;
        let context = PageContext::new(tree, head, page, &none);
        let own =
            probabilities.get(kept.len()..kept.len() + page.blocks.len()).context("there are too few probabilities")?;
        let reasons = select(&context, page, own, kind, &options);
        kept.extend(reasons.iter().map(|reason| u8::from(reason.is_kept())));
        if let Some(folder) = texts {
            let (probabilities, reasons) = (own, &reasons[..]);
            let analysis = Analysis { tree, head, blocks: page, probabilities, reasons, kind, charset: "" };
            fs::write(folder.join(format!("{id}.txt")), analysis.page(&options).text)?;
        }
        Ok(())
    })?;
    fs::write(out.with_extension("kept"), kept)?;
    Ok(())
}

fn context(set: &Path, out: &Path) -> anyhow::Result<()> {
    let probabilities = read_probabilities(out)?;
    let mut numbers = BufWriter::new(File::create(out.with_extension("context.f32"))?);
    let mut names = FeatureNames::default();
    // The second model's own features do without a lexicon.
    let none = Lexicon::default();
    let mut at = 0;
    pages(set, |_, _, tree, head, page| {
        let context = PageContext::new(tree, head, page, &none);
        let end = at + page.blocks.len();
        ensure!(end <= probabilities.len(), "there are {} probabilities, too few", probabilities.len());
        let first_pass = FirstPass::new(&context, &probabilities[at..end]);
        at = end;
        let mut features = Vec::new();
        for number in 0..page.blocks.len() {
            describe_first_pass(&first_pass, number, &mut features);
            if names.0.is_empty() {
                describe_first_pass(&first_pass, number, &mut names);
            }
        }
        write_numbers(&mut numbers, &features)
    })?;
    ensure!(at == probabilities.len(), "there are {} probabilities for {at} blocks", probabilities.len());
    fs::write(out.with_extension("context.names"), names.0.join("\n"))?;
    Ok(())
}
