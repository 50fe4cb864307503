//! Checks of a recipe before anything is read or written.

use std::path::Path;

use bpe::formats;

use super::{Dedup, Extract, Overlap, PageSource, Pages, Recipe, TokenForm};
use crate::engine::{expand_files, expand_folders};
use crate::error::{Error, Result, Within as _, bail, ensure};

/// Maximum number of shards, and of buckets.
const MAX_COUNT: u32 = 65_536;
/// Most ids of a tokenizer that is trained: more than any published one has.
const MAX_VOCAB_SIZE: usize = 1 << 20;

impl Recipe {
    /// Checks the numbers, and that sections fit each other.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(links) = &self.links {
            links.submission_rules().within(|| "in [links]".to_owned())?;
        }
        ensure!(!self.pages.is_empty(), Recipe, "[[pages]] has no source");
        for source in &self.pages {
            source.check(self.links.is_some()).within(|| "in [pages]".to_owned())?;
        }
        let Extract { max_nodes, max_depth, .. } = self.extract;
        ensure!(max_nodes > 0 && max_depth > 0, Recipe, "[extract] max_nodes and max_depth are at least 1");
        for rule in &self.filter {
            rule.check().within(|| format!("in the rule {}", rule.name()))?;
        }
        self.dedup.check().within(|| "in [dedup]".to_owned())?;
        self.overlap.as_ref().map_or(Ok(()), Overlap::check).within(|| "in [overlap]".to_owned())?;
        ensure!(
            (0.0..1.0).contains(&self.shards.validation_fraction),
            Recipe,
            "[shards] validation_fraction lies between 0 and 1"
        );
        let counts = 1..=MAX_COUNT;
        ensure!(counts.contains(&self.shards.count), Recipe, "[shards] count lies between 1 and {MAX_COUNT}");
        ensure!(counts.contains(&self.limits.buckets), Recipe, "[limits] buckets lies between 1 and {MAX_COUNT}");
        ensure!(self.limits.max_sort_memory_mib > 0, Recipe, "[limits] max_sort_memory_mib is at least 1");
        let tokenizers = [self.tokenizer.existing.is_some(), self.tokenizer.train.is_some()];
        ensure!(tokenizers[0] != tokenizers[1], Recipe, "[tokenizer] has either use or train");
        if let Some(train) = &self.tokenizer.train {
            ensure!(
                (257..=MAX_VOCAB_SIZE).contains(&train.vocab_size),
                Recipe,
                "[tokenizer] train: vocab_size lies between 257 and {MAX_VOCAB_SIZE}"
            );
        }
        self.executor.check()?;
        self.check_model()
    }

    fn check_model(&self) -> Result<()> {
        let Some(model) = &self.model else { return Ok(()) };
        ensure!(
            self.shards.tokens.contains(&TokenForm::Nanogpt),
            Recipe,
            "[model] is trained on the nanogpt tokens; add them to [shards] tokens"
        );
        let refuse = |section: &str, fault: gpt2::ConfigError| Error::Recipe(format!("in [{section}]: {fault}"));
        model.config(MAX_VOCAB_SIZE).check().map_err(|fault| refuse("model", fault))?;
        model.train.check().map_err(|fault| refuse("model.train", fault))?;
        Ok(())
    }

    /// Checks every path and the tokenizer that the recipe names outside the run. No file is read as a whole.
    ///
    /// # Errors
    /// A sentence that names what does not exist.
    pub fn check_inputs(&self) -> Result<()> {
        if let Some(links) = &self.links {
            expand_files(&links.dumps).within(|| "in [links] dumps".to_owned())?;
        }
        for source in &self.pages {
            let expand = if source.from == PageSource::Html { expand_folders } else { expand_files };
            expand(&source.paths).within(|| "in [pages] paths".to_owned())?;
        }
        for rule in &self.filter {
            for path in rule.clone().paths() {
                let is_file = Path::new(path).is_file();
                ensure!(is_file, Input, "in the rule {}: there is no file {path}", rule.name());
            }
        }
        for run in &self.dedup.against {
            Dedup::fingerprints_of(run).within(|| "in [dedup] against".to_owned())?;
        }
        if let Some(overlap) = &self.overlap {
            expand_files(&overlap.sets).within(|| "in [overlap] sets".to_owned())?;
        }
        expand_files(&self.shards.exclude).within(|| "in [shards] exclude".to_owned())?;
        if let Some(name) = &self.tokenizer.existing {
            let tokenizer = formats::load(name).within(|| "in [tokenizer] use".to_owned())?;
            ensure!(tokenizer.end_of_text().is_some(), Input, "[tokenizer] use: the tokenizer has no <|endoftext|>");
        }
        Ok(())
    }
}

impl Pages {
    fn check(&self, has_links: bool) -> Result<()> {
        ensure!(has_links || !self.only_links, Recipe, "only_links needs [links]; say only_links = false");
        ensure!(self.max_page_bytes > 0, Recipe, "max_page_bytes is at least 1");
        ensure!(
            self.sample_fraction > 0.0 && self.sample_fraction <= 1.0,
            Recipe,
            "sample_fraction lies above 0 and is at most 1"
        );
        match self.from {
            PageSource::Fetch => {
                ensure!(has_links, Recipe, "from = \"fetch\" needs [links]");
                let settings = self.fetch.as_ref().ok_or_else(|| missing("fetch", "pages.fetch", "a contact"))?;
                if let Err(fault) = settings.check() {
                    bail!(Recipe, "[pages.fetch]: {fault}");
                }
            }
            PageSource::CommonCrawl => {
                ensure!(has_links, Recipe, "from = \"common-crawl\" needs [links]");
                let settings = self.common_crawl.as_ref();
                settings.ok_or_else(|| missing("common-crawl", "pages.common_crawl", "an index"))?.check()?;
            }
            PageSource::Warc | PageSource::Html | PageSource::Texts => {
                ensure!(!self.paths.is_empty(), Recipe, "paths is empty");
            }
        }
        let is_right = |settings: bool, source: PageSource| !settings || self.from == source;
        ensure!(is_right(self.fetch.is_some(), PageSource::Fetch), Recipe, "[pages.fetch] belongs to from = \"fetch\"");
        ensure!(
            is_right(self.common_crawl.is_some(), PageSource::CommonCrawl),
            Recipe,
            "[pages.common_crawl] belongs to from = \"common-crawl\""
        );
        Ok(())
    }
}

/// The error for a source without the section that it requires.
fn missing(from: &str, section: &str, key: &str) -> Error {
    Error::Recipe(format!("from = {from:?} needs [{section}] with {key}"))
}
