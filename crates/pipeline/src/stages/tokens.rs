//! `tokens.encode` (a task per text shard) and `tokens.join` (a task per split): token files in the forms that trainers
//! read.

use std::io::{Read, Seek, Write};

use bpe::tokens::{IdWidth, TokenFormat, TokenLayout, llmc_header};
use bpe::{Encoder, TokenId, Tokenizer};
use serde::{Deserialize, Serialize};
use shard::{Split, TextForm};

use super::shards::{TextShards, is_train};
use super::tokenizer;
use crate::engine::{File, FileOutput, Flow, Product, Table, Task, Wire, Work};
use crate::error::{OrBug as _, Result, bail, ensure};
use crate::recipe::{Shards, TokenForm};

/// The place of a document's tokens. Table `tokens/documents-*.parquet`, in the order of the text shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// The document.
    pub id: String,
    /// Row in the text shard, from 1.
    pub line: u64,
    /// First token in the shard's ids, end-of-text tokens counted.
    pub start: u64,
    /// Tokens, without end-of-text.
    pub tokens: u64,
}

/// The products that later stages and commands read.
pub(super) struct Tokens {
    pub(super) documents: Wire<Table<TokenRow>>,
    pub(super) bins: Wire<File>,
}

/// Adds the stages.
pub(super) fn add(flow: &mut Flow, settings: &Shards, shards: TextShards, files: Wire<File>) -> Tokens {
    let forms = settings.tokens.clone();
    let encode = flow.stage("tokens.encode", move |plan| {
        let tokenizer = tokenizer::whole(plan.files(files)?)?;
        let llmc = forms.contains(&TokenForm::Llmc);
        let unicode = bpe::UNICODE_VERSION.to_owned();
        let task = |(name, shard)| {
            let (tokenizer, unicode) = (tokenizer.clone(), unicode.clone());
            (name, EncodeShard { shard, form: shards.form, tokenizer, unicode, llmc })
        };
        Ok(plan.files(shards.files)?.into_iter().map(task).collect())
    });
    let (ids, documents) = (encode.product(EncodeShard::IDS), encode.product(EncodeShard::DOCUMENTS));
    let nanogpt = settings.tokens.contains(&TokenForm::Nanogpt);
    let join = flow.stage("tokens.join", move |plan| {
        let tokenizer = tokenizer::whole(plan.files(files)?)?;
        let (ids, documents) = (plan.files(ids)?, plan.tables(documents)?);
        let shards: Vec<_> =
            ids.into_iter().zip(documents).map(|((name, ids), (_, table))| (name, ids, table)).collect();
        let of_split = |split: Split| {
            let of_split = shards.iter().filter(|(name, ..)| is_train(name) == (split == Split::Train));
            let shards =
                of_split.map(|(_, ids, documents)| JoinedShard { ids: ids.clone(), documents: documents.clone() });
            let tokenizer = tokenizer.clone();
            (split.as_str().to_owned(), JoinShards { shards: shards.collect(), nanogpt, tokenizer })
        };
        Ok([Split::Train, Split::Val].map(of_split).into())
    });
    Tokens { documents, bins: join.product(JoinShards::BIN) }
}

/// What is read of a shard's row.
#[derive(Serialize, Deserialize)]
struct IdAndText {
    id: String,
    text: String,
}

/// Encodes one text shard.
#[derive(Serialize, Deserialize)]
struct EncodeShard {
    shard: File,
    form: TextForm,
    tokenizer: File,
    /// Version of Unicode that decides which characters are letters.
    unicode: String,
    llmc: bool,
}

impl EncodeShard {
    const DOCUMENTS: Product<EncodeShard, Table<TokenRow>> =
        Product::new("documents", "tokens/documents-{name}.parquet");
    /// Ids of one shard in nanoGPT's form, to be joined into one file.
    const IDS: Product<EncodeShard, File> = Product::new("ids", "work/{stage}/{name}.ids");
    const LLMC: Product<EncodeShard, File> = Product::new("llmc", "tokens/llmc/{name}.bin");
}

/// Writes the ids of documents in one form.
trait TokenSink {
    fn push(&mut self, ids: &[TokenId]) -> Result<()>;
    fn finish(self: Box<Self>, work: &Work<'_>) -> Result<()>;
}

/// The least width for the ids of a tokenizer, and its token between documents.
fn width_and_end(tokenizer: &Tokenizer) -> Result<(IdWidth, TokenId)> {
    let end_of_text = tokenizer.end_of_text().or_bug(|| "the tokenizer has no <|endoftext|>".to_owned())?;
    Ok((IdWidth::of_vocabulary(tokenizer.vocab_size()), end_of_text))
}

impl Task for EncodeShard {
    const REVISION: u32 = 2;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let tokenizer = tokenizer::load(work, &self.tokenizer)?;
        let (width, end_of_text) = width_and_end(&tokenizer)?;
        let mut encoder = Encoder::new(&tokenizer);
        let mut documents = work.create_table(EncodeShard::DOCUMENTS)?;
        let mut sinks: Vec<Box<dyn TokenSink>> = vec![Box::new(NanogptSink::new(work, width, end_of_text)?)];
        if self.llmc {
            sinks.push(Box::new(LlmcSink::new(work, width, end_of_text)?));
        }
        let blob = work.blob(&self.shard)?;
        let (mut start, mut ids) = (0, Vec::new());
        for (line, row) in self.form.read::<IdAndText>(blob, work.store().shown(&self.shard.key))?.enumerate() {
            let IdAndText { id, text } = row?;
            ids.clear();
            encoder.encode_into(&text, &mut ids);
            sinks.iter_mut().try_for_each(|sink| sink.push(&ids))?;
            documents.push(TokenRow { id, line: line as u64 + 1, start, tokens: ids.len() as u64 })?;
            start += ids.len() as u64 + 1;
            work.counts.keep();
        }
        work.metric("tokens", start as f64);
        documents.finish()?;
        sinks.into_iter().try_for_each(|sink| sink.finish(work))
    }
}

/// Ids without a header, end-of-text after each document.
struct NanogptSink {
    file: FileOutput,
    layout: TokenLayout,
    end_of_text: TokenId,
    bytes: Vec<u8>,
}

impl NanogptSink {
    fn new(work: &Work<'_>, width: IdWidth, end_of_text: TokenId) -> Result<NanogptSink> {
        let layout = TokenLayout { format: TokenFormat::Nanogpt, width };
        Ok(NanogptSink { file: work.create_file(EncodeShard::IDS)?, layout, end_of_text, bytes: Vec::new() })
    }
}

impl TokenSink for NanogptSink {
    fn push(&mut self, ids: &[TokenId]) -> Result<()> {
        self.bytes.clear();
        self.layout.append(ids, self.end_of_text, &mut self.bytes)?;
        Ok(self.file.write_all(&self.bytes)?)
    }

    fn finish(self: Box<Self>, _: &Work<'_>) -> Result<()> {
        self.file.finish()
    }
}

/// Ids after a header that has their number, end-of-text before each document. They are kept in an unnamed file until
/// that number is known.
struct LlmcSink {
    waiting: std::io::BufWriter<std::fs::File>,
    layout: TokenLayout,
    tokens: u64,
    end_of_text: TokenId,
    bytes: Vec<u8>,
}

impl LlmcSink {
    fn new(work: &Work<'_>, width: IdWidth, end_of_text: TokenId) -> Result<LlmcSink> {
        let layout = TokenLayout { format: TokenFormat::Llmc, width };
        let waiting = std::io::BufWriter::new(store::sort::unnamed_file(&work.scratch()?)?);
        Ok(LlmcSink { waiting, layout, tokens: 0, end_of_text, bytes: Vec::new() })
    }
}

impl TokenSink for LlmcSink {
    fn push(&mut self, ids: &[TokenId]) -> Result<()> {
        self.bytes.clear();
        self.tokens += self.layout.append(ids, self.end_of_text, &mut self.bytes)?;
        Ok(self.waiting.write_all(&self.bytes)?)
    }

    fn finish(self: Box<Self>, work: &Work<'_>) -> Result<()> {
        let mut waiting = self.waiting.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        waiting.rewind()?;
        if let Err(error) = self.layout.check_counts(self.tokens, 0) {
            bail!(Input, "{error}: {} in shard {}; raise [shards] count", self.tokens, work.name());
        }
        // Its readers look for `train_00000.bin`.
        let mut file = work.create_named(EncodeShard::LLMC, &work.name().replace('-', "_"))?;
        file.write_all(&llmc_header(self.tokens, self.layout.width))?;
        std::io::copy(&mut waiting, &mut file)?;
        file.finish()
    }
}

/// The ids of one shard and the table of their documents.
#[derive(Clone, Serialize, Deserialize)]
struct JoinedShard {
    ids: File,
    documents: Table<TokenRow>,
}

/// What is read of a document's tokens.
#[derive(Serialize, Deserialize)]
struct TokenRange {
    start: u64,
    tokens: u64,
}

/// What a split's `.meta.json` says of its ids, as NumPy and nanoGPT's readers need it.
#[derive(Serialize)]
struct SplitMeta {
    dtype: &'static str,
    vocab_size: usize,
    end_of_text: TokenId,
    tokens: u64,
}

/// Joins the shards of a split.
#[derive(Serialize, Deserialize)]
struct JoinShards {
    shards: Vec<JoinedShard>,
    nanogpt: bool,
    tokenizer: File,
}

impl JoinShards {
    const BIN: Product<JoinShards, File> = Product::new("bin", "tokens/{name}.bin");
    const OFFSETS: Product<JoinShards, File> = Product::new("offsets", "tokens/{name}.offsets");
    const META: Product<JoinShards, File> = Product::new("meta", "tokens/{name}.meta.json");
}

impl Task for JoinShards {
    const REVISION: u32 = 2;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let tokenizer = tokenizer::load(work, &self.tokenizer)?;
        let (width, end_of_text) = width_and_end(&tokenizer)?;
        if self.nanogpt {
            let mut bin = work.create_file(JoinShards::BIN)?;
            for shard in &self.shards {
                let copied = std::io::copy(&mut work.file(&shard.ids)?.take(u64::MAX), &mut bin)?;
                ensure!(copied == shard.ids.len_bytes, Bug, "{} has changed", shard.ids.key);
            }
            bin.finish()?;
        }
        let mut offsets = work.create_file(JoinShards::OFFSETS)?;
        let mut before = 0u64;
        for shard in &self.shards {
            let mut of_shard = 0;
            for row in work.table::<TokenRange, _>(&shard.documents)? {
                let TokenRange { start, tokens } = row?;
                offsets.write_all(&(before + start).to_le_bytes())?;
                of_shard = start + tokens + 1;
                work.counts.keep();
            }
            let is_whole = of_shard * width.bytes() as u64 == shard.ids.len_bytes;
            ensure!(is_whole, Bug, "{} has not the {of_shard} tokens of its table", shard.ids.key);
            before += of_shard;
        }
        offsets.write_all(&before.to_le_bytes())?;
        let name = format!("{}_tokens", work.name());
        work.metric(&name, before as f64);
        offsets.finish()?;
        let meta = SplitMeta { dtype: width.dtype(), vocab_size: tokenizer.vocab_size(), end_of_text, tokens: before };
        let mut file = work.create_file(JoinShards::META)?;
        let line = serde_json::json!(meta).to_string();
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
        file.finish()
    }

    fn min_output_bytes(&self) -> u64 {
        if self.nanogpt { self.shards.iter().map(|shard| shard.ids.len_bytes).sum() } else { 0 }
    }
}
