//! `tokens.encode` (a task a text shard) and `tokens.join` (one task): ids in the forms trainers read.

use std::fs::File;
use std::io::{Read, Write};

use anyhow::Context;
use bpe::tokens::{TokenFormat, llmc_header};
use bpe::{Encoder, TokenId};
use crate::manifest::FileRecord;
use store::table::{Row, TableReader, TableWriter};
use atomic_file::{AtomicFile, IoContext};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shard::ShardRow;

use crate::engine::{Run, Stage, Task, TaskPlan};
use crate::recipe::TokenForm;
use crate::stages::{shards, tokenizer};

/// Where a document's tokens lie. Table `tokens/documents-*.parquet`, in the order of the text shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// The document.
    pub id: String,
    /// Line in the text shard, from 1.
    pub line: u64,
    /// First token in the shard's ids, end-of-text tokens counted.
    pub start: u64,
    /// Tokens, without end-of-text.
    pub tokens: u64,
}

impl Row for TokenRow {}

pub(crate) struct Encode;

impl Stage for Encode {
    fn name(&self) -> &'static str {
        "tokens.encode"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let tokenizer: Vec<FileRecord> = run
            .outputs("tokenizer.make", "tokenizer/")?
            .into_iter()
            .filter(|f| f.path.ends_with("tokenizer.json"))
            .collect();
        let shards = run.outputs("shards.write", "shards/")?;
        let llmc = run.recipe().shards.tokens.contains(&TokenForm::Llmc);
        let tasks = shards.into_iter().zip(shards::names(&run.recipe().shards)).map(|(shard, name)| TaskPlan {
            inputs: std::iter::once(shard.clone()).chain(tokenizer.clone()).collect(),
            settings: json!({"shard": name, "llmc": llmc}),
            work: Box::new(move |task| encode(task, &shard, &name, llmc)),
        });
        Ok(tasks.collect())
    }
}

fn encode(task: &mut Task<'_>, shard: &FileRecord, name: &str, llmc: bool) -> anyhow::Result<()> {
    let tokenizer = tokenizer::load(task.run())?;
    let end_of_text = tokenizer.end_of_text().context("the tokenizer has no <|endoftext|>")?;
    let mut encoder = Encoder::new(&tokenizer);
    let table_name = format!("tokens/documents-{name}.parquet");
    let piece_name = format!("work/tokens.encode/{name}.u16");
    let piece_path = task.path(&piece_name);
    let mut table = TableWriter::create(&task.path(&table_name))?;
    let mut piece = AtomicFile::create(&piece_path)?;
    let (mut start, mut ids, mut bytes) = (0, Vec::new(), Vec::new());
    task.receive("shards.write", 0);
    for (line, row) in rows(task, shard)?.enumerate() {
        let row = row?;
        ids.clear();
        bytes.clear();
        encoder.encode_into(&row.text, &mut ids);
        let written = TokenFormat::Nanogpt.append(&ids, end_of_text, &mut bytes)?;
        piece.write_all(&bytes).at("write", &piece_path)?;
        table.push(TokenRow { id: row.id, line: line as u64 + 1, start, tokens: ids.len() as u64 })?;
        start += written;
        task.receive("shards.write", 1);
        task.counts.keep();
    }
    task.figure("tokens", start as f64);
    let written = table.finish()?;
    task.wrote(&table_name, written);
    let written = piece.commit()?;
    task.wrote(&piece_name, written);
    if llmc {
        write_llmc(task, name, &piece_name, start, end_of_text)?;
    }
    Ok(())
}

/// llm.c wants end-of-text before each document where nanoGPT has it behind: the same ids, one further.
fn write_llmc(task: &mut Task<'_>, name: &str, piece: &str, tokens: u64, end_of_text: TokenId) -> anyhow::Result<()> {
    let name = format!("tokens/llmc/{}.bin", name.replace('-', "_"));
    let path = task.path(&name);
    let mut file = AtomicFile::create(&path)?;
    file.write_all(&llmc_header(tokens)).at("write", &path)?;
    if tokens > 0 {
        let mut first = Vec::new();
        TokenFormat::Llmc.append(&[], end_of_text, &mut first)?;
        file.write_all(&first).at("write", &path)?;
        copy(task, piece, 2 * (tokens - 1), &mut file)?;
    }
    let written = file.commit()?;
    task.wrote(&name, written);
    Ok(())
}

/// Appends the first `len_bytes` of a file of the run.
fn copy(task: &Task<'_>, from: &str, len_bytes: u64, to: &mut AtomicFile) -> anyhow::Result<()> {
    let from = task.path(from);
    let file = File::open(&from).at("open", &from)?;
    std::io::copy(&mut file.take(len_bytes), to).at("copy", &from)?;
    Ok(())
}

fn rows(task: &Task<'_>, shard: &FileRecord) -> anyhow::Result<impl Iterator<Item = anyhow::Result<ShardRow>> + use<>> {
    let path = task.path(&shard.path);
    let lines = std::io::BufRead::lines(bpe::input::open_plain(&path).at("open", &path)?);
    Ok(lines.map(move |line| Ok(serde_json::from_str(&line.at("read", &path)?)?)))
}

pub(crate) struct Join;

impl Stage for Join {
    fn name(&self) -> &'static str {
        "tokens.join"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let pieces = run.outputs("tokens.encode", "work/")?;
        let tables = run.outputs("tokens.encode", "tokens/documents-")?;
        let nanogpt = run.recipe().shards.tokens.contains(&TokenForm::Nanogpt);
        let inputs = pieces.iter().chain(&tables).cloned().collect();
        let work = Box::new(move |task: &mut Task<'_>| {
            for split in ["train", "val"] {
                let of_split = |files: &[FileRecord]| -> Vec<FileRecord> {
                    files
                        .iter()
                        .filter(|file| {
                            file.path.contains(&format!("/{split}-")) || file.path.contains(&format!("-{split}-"))
                        })
                        .cloned()
                        .collect()
                };
                join(task, split, &of_split(&pieces), &of_split(&tables), nanogpt)?;
            }
            Ok(())
        });
        Ok(vec![TaskPlan { inputs, settings: json!({"nanogpt": nanogpt}), work }])
    }
}

fn join(
    task: &mut Task<'_>,
    split: &str,
    pieces: &[FileRecord],
    tables: &[FileRecord],
    nanogpt: bool,
) -> anyhow::Result<()> {
    if nanogpt {
        let name = format!("tokens/{split}.bin");
        let mut file = AtomicFile::create(&task.path(&name))?;
        for piece in pieces {
            copy(task, &piece.path, piece.len_bytes, &mut file)?;
        }
        let written = file.commit()?;
        task.wrote(&name, written);
    }
    let name = format!("tokens/{split}.offsets");
    let path = task.path(&name);
    let mut offsets = AtomicFile::create(&path)?;
    let mut before = 0u64;
    for (piece, table) in pieces.iter().zip(tables) {
        for row in TableReader::<TokenRow>::open(&task.path(&table.path))? {
            offsets.write_all(&(before + row?.start).to_le_bytes()).at("write", &path)?;
            task.receive("tokens.encode", 1);
            task.counts.keep();
        }
        before += piece.len_bytes / 2;
    }
    offsets.write_all(&before.to_le_bytes()).at("write", &path)?;
    task.figure(&format!("{split}_tokens"), before as f64);
    let written = offsets.commit()?;
    task.wrote(&name, written);
    Ok(())
}
