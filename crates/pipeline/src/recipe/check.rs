//! What can be said of a recipe before anything is read or written.

use anyhow::{Context, bail, ensure};
use bpe::formats;

use super::{Extract, PageSource, Pages, Recipe, TokenForm};
use crate::engine::{expand, expand_files};

/// Most shards, and most buckets of a wide step.
const MAX_COUNT: u32 = 65_536;
/// Longest MinHash signature.
const MAX_PERMUTATIONS: usize = 65_536;
/// Most ids that token files of two bytes can have.
const MAX_VOCAB_SIZE: usize = 65_536;

impl Recipe {
    /// Checks the numbers and how sections fit together.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(links) = &self.links {
            links.submission_rules().context("in [links]")?;
        }
        ensure!(!self.pages.is_empty(), "[[pages]] has no source");
        for source in &self.pages {
            source.check(self.links.is_some()).context("in [pages]")?;
        }
        let Extract { max_nodes, max_depth, .. } = self.extract;
        ensure!(max_nodes > 0 && max_depth > 0, "[extract] max_nodes and max_depth are at least 1");
        for rule in &self.filter {
            rule.check().with_context(|| format!("in the rule {}", rule.name()))?;
        }
        if let Some(near) = &self.dedup.near {
            let sizes = [near.shingle_words, near.bands, near.rows];
            ensure!(!sizes.contains(&0), "[dedup] near: shingle_words, bands and rows are at least 1");
            let permutations = near.bands.saturating_mul(near.rows);
            ensure!(
                permutations <= MAX_PERMUTATIONS,
                "[dedup] near: bands × rows is {permutations}, and at most {MAX_PERMUTATIONS}"
            );
            ensure!((0.0..=1.0).contains(&near.min_jaccard), "[dedup] near: min_jaccard lies between 0 and 1");
        }
        ensure!((0.0..1.0).contains(&self.shards.validation), "[shards] validation lies between 0 and 1");
        let counts = 1..=MAX_COUNT;
        ensure!(counts.contains(&self.shards.count), "[shards] count lies between 1 and {MAX_COUNT}");
        ensure!(counts.contains(&self.limits.buckets), "[limits] buckets lies between 1 and {MAX_COUNT}");
        ensure!(self.limits.sort_memory_mib > 0, "[limits] sort_memory_mib is at least 1");
        let tokenizers = [self.tokenizer.existing.is_some(), self.tokenizer.train.is_some()];
        ensure!(tokenizers[0] != tokenizers[1], "[tokenizer] has either use or train");
        if let Some(train) = &self.tokenizer.train {
            ensure!(
                (257..=65_536).contains(&train.vocab_size),
                "[tokenizer] train: vocab_size lies between 257 and 65536"
            );
        }
        self.check_model()
    }

    fn check_model(&self) -> anyhow::Result<()> {
        let Some(model) = &self.model else { return Ok(()) };
        ensure!(
            self.shards.tokens.contains(&TokenForm::Nanogpt),
            "[model] is trained on the nanogpt tokens; add them to [shards] tokens"
        );
        let sizes = [model.layers, model.heads, model.channels, model.context];
        ensure!(!sizes.contains(&0), "[model] layers, heads, channels and context are at least 1");
        ensure!(
            model.channels.is_multiple_of(model.heads),
            "[model] heads ({}) must divide channels ({})",
            model.heads,
            model.channels
        );
        Ok(())
    }

    /// Checks everything that the recipe names outside of the run: every path and the tokenizer. Nothing is read whole.
    ///
    /// # Errors
    /// A sentence that names what is not there.
    pub fn check_inputs(&self) -> anyhow::Result<()> {
        if let Some(links) = &self.links {
            expand_files(&links.dumps).context("in [links] dumps")?;
        }
        for source in &self.pages {
            if source.from != PageSource::Html {
                expand_files(&source.paths).context("in [pages] paths")?;
                continue;
            }
            for path in expand(&source.paths).context("in [pages] paths")? {
                ensure!(path.is_dir(), "[pages] paths: {} is no folder of HTML files", path.display());
            }
        }
        expand_files(&self.shards.exclude).context("in [shards] exclude")?;
        if let Some(name) = &self.tokenizer.existing {
            let tokenizer = formats::load(name).context("in [tokenizer] use")?;
            tokenizer.end_of_text().context("the tokenizer has no <|endoftext|>")?;
            let size = tokenizer.vocab_size();
            ensure!(size <= MAX_VOCAB_SIZE, "[tokenizer] use: {size} ids do not fit into token files of two bytes");
        }
        Ok(())
    }
}

impl Pages {
    fn check(&self, has_links: bool) -> anyhow::Result<()> {
        ensure!(has_links || !self.only_links, "only_links needs [links]; say only_links = false");
        ensure!(self.max_page_bytes > 0, "max_page_bytes is at least 1");
        ensure!(self.sample > 0.0 && self.sample <= 1.0, "sample lies above 0 and is at most 1");
        match self.from {
            PageSource::Fetch => {
                ensure!(has_links, "from = \"fetch\" needs [links]");
                let settings = self.fetch.as_ref().context("from = \"fetch\" needs [pages.fetch] with a contact")?;
                if let Err(fault) = settings.check() {
                    bail!("[pages.fetch]: {fault}");
                }
            }
            PageSource::CommonCrawl => {
                ensure!(has_links, "from = \"common-crawl\" needs [links]");
                let settings = self.common_crawl.as_ref();
                settings.context("from = \"common-crawl\" needs [pages.common_crawl] with an index")?.check()?;
            }
            PageSource::Warc | PageSource::Html | PageSource::Texts => {
                ensure!(!self.paths.is_empty(), "paths is empty");
            }
        }
        let is_right = |settings: bool, source: PageSource| !settings || self.from == source;
        ensure!(is_right(self.fetch.is_some(), PageSource::Fetch), "[pages.fetch] belongs to from = \"fetch\"");
        ensure!(
            is_right(self.common_crawl.is_some(), PageSource::CommonCrawl),
            "[pages.common_crawl] belongs to from = \"common-crawl\""
        );
        Ok(())
    }
}
