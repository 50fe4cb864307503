//! What a data set is made of and how: every number that shapes it, in the order of the data's flow.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use filter::LanguageRule;
use links::Karma;
use serde::{Deserialize, Serialize};

/// A recipe, as `recipe.toml` in a run's folder keeps it with every default spelled out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Where links come from; without it, all pages are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
    /// Where pages come from.
    pub pages: Pages,
    /// Which texts are kept.
    pub documents: Documents,
    /// What counts as a duplicate.
    pub dedup: Dedup,
    /// How documents are shuffled and split.
    pub shards: Shards,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The model; without it, the run ends with tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Limits of the machinery, not of the data.
    #[serde(default)]
    pub limits: Limits,
}

/// `[links]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Dumps and link lists: paths or patterns, relative to the recipe's folder.
    pub dumps: Vec<String>,
    /// The karma threshold.
    pub karma: Karma,
    /// What becomes of links marked over 18.
    pub over_18: Keep,
    /// First day that counts: `2005-06-23`, `2005-06` or `2005`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last day, month or year that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Domains whose links are dropped, with their subdomains.
    pub drop_domains: Vec<String>,
    /// Endings of paths that are no pages.
    pub drop_extensions: Vec<String>,
    /// Longest URL.
    #[serde(default = "Links::default_url_len_max_bytes")]
    pub url_len_max_bytes: usize,
    /// Longest line of a dump.
    #[serde(default = "Links::default_record_len_max_bytes")]
    pub record_len_max_bytes: usize,
}

/// Keep or drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Keep.
    Keep,
    /// Drop.
    Drop,
}

/// `[pages]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// The kind of source.
    pub from: PageSource,
    /// WARC files, or folders of HTML files: paths or patterns, relative to the recipe's folder.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Take only pages that a kept link asks for.
    #[serde(default = "yes")]
    pub only_links: bool,
    /// Largest page, decoded.
    #[serde(default = "Pages::default_page_len_max_bytes")]
    pub page_len_max_bytes: u64,
    /// How politely pages are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch: Option<fetch::Settings>,
}

/// Where pages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageSource {
    /// The web, politely.
    Fetch,
    /// WARC and ARC files.
    Warc,
    /// Folders of HTML files; `urls.tsv` in a folder gives them URLs.
    Html,
}

/// `[documents]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    /// The language that is kept; without it, all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageRule>,
    /// Drop copies of Wikipedia.
    pub drop_wikipedia: bool,
    /// Fewest words.
    pub words_at_least: u64,
    /// Most words.
    pub words_at_most: u64,
    /// Readers' comments below an article.
    pub comments: Keep,
    /// The heading that repeats the page's title.
    #[serde(default = "keep")]
    pub title: Keep,
    /// Most nodes of a page.
    #[serde(default = "Documents::default_nodes_max")]
    pub nodes_max: usize,
    /// Deepest nesting of a page.
    #[serde(default = "Documents::default_depth_max")]
    pub depth_max: u32,
}

/// `[dedup]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// Drop all but one of the documents with the same words.
    pub exact: bool,
    /// Drop all but one of similar documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<Near>,
}

/// `[dedup] near = {…}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Near {
    /// Words of a shingle.
    pub shingle_words: usize,
    /// Bands of a signature.
    pub bands: usize,
    /// Rows of a band.
    pub rows: usize,
    /// Similarity from which documents are near-duplicates.
    pub jaccard_at_least: f32,
}

/// `[shards]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shards {
    /// Seed of the shuffle and the split.
    pub seed: u64,
    /// Share of documents to validate on.
    pub validation: f64,
    /// Number of training shards.
    pub count: u32,
    /// Forms of token files.
    pub tokens: Vec<TokenForm>,
}

/// A form of token file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenForm {
    /// `train.bin` and `val.bin`.
    Nanogpt,
    /// A file a shard, with a header.
    Llmc,
}

/// `[tokenizer]`: one of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokenizer {
    /// `gpt2`, or a tokenizer's folder or file.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<String>,
    /// Train one on the training shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<TrainTokenizer>,
}

/// `[tokenizer] train = {…}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainTokenizer {
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Pairs that occur less often are not merged.
    pub min_frequency: u64,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width.
    pub channels: usize,
    /// Longest sequence.
    pub context: usize,
    /// How it is trained.
    pub train: gpt2::TrainConfig,
    /// Text whose continuation ends the run.
    pub sample_prompt: String,
}

/// `[limits]`: they bound memory and shape intermediate files, not the data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Buckets of every wide step; also the number of tasks that can run side by side there.
    pub buckets: u32,
    /// Memory of one sort, in MiB; each thread may run one.
    pub sort_memory_mib: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { buckets: 16, sort_memory_mib: 256 }
    }
}

fn keep() -> Keep {
    Keep::Keep
}

fn yes() -> bool {
    true
}

impl Links {
    fn default_url_len_max_bytes() -> usize {
        2048
    }
    fn default_record_len_max_bytes() -> usize {
        16 << 20
    }

    /// The rules of this section as the links crate has them.
    pub fn policy(&self) -> anyhow::Result<links::Policy> {
        let period = |text: &Option<String>| {
            let read = |text: &String| {
                links::Policy::period(text).ok_or_else(|| anyhow!("{text:?} is no date of the form 2017-12-31"))
            };
            text.as_ref().map(read).transpose()
        };
        Ok(links::Policy {
            karma: self.karma.clone(),
            drop_over_18: self.over_18 == Keep::Drop,
            from: period(&self.from)?.map(|from| from.start),
            before: period(&self.until)?.map(|until| until.end),
            drop_domains: self.drop_domains.iter().map(|d| d.to_ascii_lowercase()).collect(),
            drop_extensions: self
                .drop_extensions
                .iter()
                .map(|e| e.trim_start_matches('.').to_ascii_lowercase())
                .collect(),
            url_len_max_bytes: self.url_len_max_bytes,
        })
    }
}

impl Pages {
    fn default_page_len_max_bytes() -> u64 {
        20 << 20
    }
}

impl Documents {
    fn default_nodes_max() -> usize {
        extract::Options::default().nodes_max
    }
    fn default_depth_max() -> u32 {
        extract::Options::default().depth_max
    }
}

impl Recipe {
    /// Reads a recipe and applies `section.key=value` settings to it.
    ///
    /// Relative paths and patterns are taken from the recipe's folder and become absolute.
    ///
    /// # Errors
    /// A sentence that names the key, the line, and for an unknown key the nearest known one.
    pub fn load(path: &Path, overrides: &[String]) -> anyhow::Result<Recipe> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read the recipe {}", path.display()))?;
        let mut recipe =
            Recipe::parse(&text, overrides).with_context(|| format!("in the recipe {}", path.display()))?;
        // Absolute, so that `status` and `report` find the inputs from any folder.
        let folder = std::path::absolute(path)?.parent().unwrap_or(Path::new("/")).to_path_buf();
        let resolve = |path: &mut String| *path = folder.join(&*path).to_string_lossy().into_owned();
        recipe.pages.paths.iter_mut().for_each(resolve);
        if let Some(links) = &mut recipe.links {
            links.dumps.iter_mut().for_each(resolve);
        }
        if let Some(existing) = recipe.tokenizer.existing.as_mut().filter(|name| *name != "gpt2") {
            resolve(existing);
        }
        Ok(recipe)
    }

    /// Parses and checks a recipe.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn parse(text: &str, overrides: &[String]) -> anyhow::Result<Recipe> {
        // The text itself first, so that faults have the line they stand on.
        let table: toml::Table = text.parse()?;
        let recipe = if overrides.is_empty() {
            toml::from_str(text).map_err(|error| explain(&error))?
        } else {
            let mut table = table;
            for setting in overrides {
                apply(&mut table, setting).with_context(|| format!("in --set {setting}"))?;
            }
            Recipe::deserialize(table).map_err(|error| explain(&error))?
        };
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> anyhow::Result<()> {
        if let Some(links) = &self.links {
            links.policy().context("in [links]")?;
        }
        ensure!(
            self.links.is_some() || !self.pages.only_links,
            "[pages] only_links needs [links]; say only_links = false"
        );
        match self.pages.from {
            PageSource::Fetch => {
                ensure!(self.links.is_some(), "[pages] from = \"fetch\" needs [links]");
                ensure!(self.pages.fetch.is_some(), "[pages] from = \"fetch\" needs [pages.fetch] with a contact");
            }
            _ => ensure!(!self.pages.paths.is_empty(), "[pages] paths is empty"),
        }
        if let Some(language) = &self.documents.language {
            ensure!(
                filter::is_known_language(&language.keep),
                "[documents] language: {:?} is not known",
                language.keep
            );
        }
        if let Some(near) = &self.dedup.near {
            let sizes = [near.shingle_words, near.bands, near.rows];
            ensure!(!sizes.contains(&0), "[dedup] near: shingle_words, bands and rows are at least 1");
            ensure!(
                (0.0..=1.0).contains(&near.jaccard_at_least),
                "[dedup] near: jaccard_at_least lies between 0 and 1"
            );
        }
        ensure!((0.0..1.0).contains(&self.shards.validation), "[shards] validation lies between 0 and 1");
        ensure!(self.shards.count > 0 && self.limits.buckets > 0, "[shards] count and [limits] buckets are at least 1");
        let tokenizers = [self.tokenizer.existing.is_some(), self.tokenizer.train.is_some()];
        ensure!(tokenizers[0] != tokenizers[1], "[tokenizer] has either use or train");
        if let Some(train) = &self.tokenizer.train {
            ensure!(
                (257..=65_536).contains(&train.vocab_size),
                "[tokenizer] train: vocab_size lies between 257 and 65536"
            );
        }
        if self.model.is_some() {
            ensure!(
                self.shards.tokens.contains(&TokenForm::Nanogpt),
                "[model] is trained on the nanogpt tokens; add them to [shards] tokens"
            );
        }
        Ok(())
    }

    /// The recipe with every default spelled out.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// The files that a list of paths and patterns names, sorted. A pattern that names none is an error.
    pub fn expand(paths: &[String]) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for pattern in paths {
            let before = files.len();
            for file in glob::glob(pattern).with_context(|| format!("{pattern} is no pattern"))? {
                files.push(file?);
            }
            ensure!(files.len() > before, "there is no file {pattern}");
        }
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// Adds "did you mean" to an unknown key.
fn explain(error: &toml::de::Error) -> anyhow::Error {
    let message = error.to_string();
    let message = message.trim_end();
    let quoted: Vec<&str> = error.message().split('`').skip(1).step_by(2).collect();
    let nearest = match quoted.split_first() {
        Some((unknown, known)) if error.message().starts_with("unknown") => {
            known.iter().max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b)))
        }
        _ => None,
    };
    match nearest {
        Some(nearest) => anyhow!("{message}\ndid you mean `{nearest}`?"),
        None => anyhow!("{message}"),
    }
}

/// Applies `a.b.c=value`; the value is TOML, or a string where it is none.
fn apply(table: &mut toml::Table, setting: &str) -> anyhow::Result<()> {
    let (key, value) = setting.split_once('=').context("not of the form KEY=VALUE")?;
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    let mut at = table;
    let mut path = key.trim().split('.').peekable();
    while let Some(part) = path.next() {
        if path.peek().is_none() {
            at.insert(part.to_owned(), parsed.unwrap_or_else(|| value.trim().into()));
            return Ok(());
        }
        let section = at.entry(part).or_insert_with(|| toml::Table::new().into());
        at = section.as_table_mut().with_context(|| format!("{part} is not a section"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICKSTART: &str = include_str!("../../../pipelines/quickstart.toml");

    fn fault(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
        format!("{:#}", Recipe::parse(text, &overrides).unwrap_err())
    }

    #[test]
    fn the_resolved_recipe_is_a_recipe() {
        let recipe = Recipe::parse(QUICKSTART, &[]).unwrap();
        assert_eq!(Recipe::parse(&recipe.to_toml().unwrap(), &[]).unwrap(), recipe);
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_known() {
        let text = QUICKSTART.replace("drop_domains", "drop_domain");
        let message = fault(&text, &[]);
        assert!(
            message.contains("unknown field `drop_domain`") && message.contains("did you mean `drop_domains`?"),
            "{message}"
        );
        assert!(message.contains("line"), "{message}");
        assert!(fault(QUICKSTART, &["shards.seeds=1"]).contains("did you mean `seed`?"));
    }

    #[test]
    fn settings_override() {
        let overrides = ["shards.seed=9".to_owned(), "links.until=\"2016\"".to_owned(), "pages.from=html".to_owned()];
        let recipe = Recipe::parse(QUICKSTART, &overrides).unwrap();
        assert_eq!((recipe.shards.seed, recipe.pages.from), (9, PageSource::Html));
        assert!(fault(QUICKSTART, &["links.until=true"]).contains("until"));
    }

    #[test]
    fn values_that_make_no_sense() {
        assert!(fault(QUICKSTART, &["shards.validation=2"]).contains("between 0 and 1"));
        assert!(fault(QUICKSTART, &["tokenizer.use=gpt2"]).contains("either use or train"));
        assert!(fault(QUICKSTART, &["links.until=\"soon\""]).contains("no date"));
        assert!(fault(QUICKSTART, &["links.until=\"2017-01-45\""]).contains("no date"));
        assert!(fault(QUICKSTART, &["documents.language.keep=\"xx\""]).contains("not known"));
    }
}
