//! The recipe: every setting that shapes a data set, in the order of the data's flow.

mod check;
mod dedup;
#[cfg(test)]
mod documented;
mod executor;
mod former;
mod overlap;
mod set;

use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

use filter::RuleSettings;
use links::{CanonicalRules, InvalidBlockedName, KarmaOf, KarmaRule, SubmissionRules, WithoutKarma, Wrapper};
use records::CaptureChoice;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use user_error::explain_unknown;

pub use dedup::{
    ClusterKind, Dedup, KeepKey, MAX_KEEP_KEYS, Near, NgramBloomRule, SpanDialect, SpanRule, SpanScope, SpanUnit,
    SubstringCopies, SubstringRule,
};
pub use executor::{
    ExecutorName, ExecutorSettings, KubernetesSettings, RaySettings, SlurmSettings, StageResources, TaskResources,
};
pub use overlap::{Overlap, RemoveOverlap};

use crate::engine::{read_text, resolve};
use crate::error::{Error, Result, Within as _, bail};

/// A recipe. A run's `recipe.toml` is it with every default spelled out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Where links come from; without it, all pages are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
    /// Where pages come from, in order: a later source is used only for pages that no earlier one has.
    #[serde(deserialize_with = "one_or_many")]
    pub pages: Vec<Pages>,
    /// How the main text of pages is extracted.
    #[serde(default)]
    pub extract: Extract,
    /// The rules for texts, in order.
    #[serde(default)]
    pub filter: Vec<RuleSettings>,
    /// What counts as a duplicate.
    pub dedup: Dedup,
    /// What documents and evaluation sets have in common; without it, they are not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// How documents are shuffled, split and written.
    pub shards: Shards,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The model; without it, the run ends with tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Limits on memory and intermediate files, not on the data.
    #[serde(default)]
    pub limits: Limits,
    /// Where tasks run.
    #[serde(default, skip_serializing)]
    pub executor: ExecutorSettings,
}

/// What `webtext links` drops without being told; a recipe names its own.
#[cfg(feature = "clap")]
const DROP_DOMAINS: &str = "wikipedia.org,reddit.com,redd.it";
#[cfg(feature = "clap")]
const DROP_EXTENSIONS: &str = "jpg,jpeg,png,gif,gifv,webm,mp4,mp3,pdf,zip";

/// `[links]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "clap", derive(clap::Args), group(skip))]
pub struct Links {
    /// Dumps and link lists: paths, patterns, or `@` and a list of them, relative to the recipe's folder.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub dumps: Vec<String>,
    /// Minimum karma of a link.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 3, allow_negative_numbers = true))]
    pub min_karma: i64,
    /// How the scores of a link's submissions become its karma.
    #[cfg_attr(feature = "clap", arg(long, value_name = "WHAT", default_value = "any submission"))]
    pub karma_of: KarmaOf,
    /// Whether links without any score are kept.
    #[serde(default = "Links::default_without_karma")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "POLICY", default_value = "drop"))]
    pub without_karma: WithoutKarma,
    /// Whether links marked over 18 are kept.
    #[cfg_attr(feature = "clap", arg(long, value_name = "POLICY", default_value = "drop"))]
    pub over_18: KeepOrDrop,
    /// First day that counts: `2005-06-23`, `2005-06` or `2005`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DATE"))]
    pub from: Option<String>,
    /// Last day, month or year that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DATE"))]
    pub until: Option<String>,
    /// Domains whose links are dropped, with their subdomains.
    #[cfg_attr(feature = "clap", arg(long, value_name = "DOMAINS", value_delimiter = ',', default_value = DROP_DOMAINS))]
    pub drop_domains: Vec<String>,
    /// Endings of paths that are not pages.
    #[cfg_attr(feature = "clap", arg(long, value_name = "EXTENSIONS", value_delimiter = ',', default_value = DROP_EXTENSIONS))]
    pub drop_extensions: Vec<String>,
    /// Wrappers that are replaced by the page that they lead to, and forms of a page that count as it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "WRAPPERS", value_delimiter = ','))]
    pub unwrap: Vec<Wrapper>,
    /// Longest URL, in bytes.
    #[serde(default = "Links::default_max_url_bytes")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES", default_value_t = Self::default_max_url_bytes()))]
    pub max_url_bytes: usize,
    /// Longest record of a dump, in bytes.
    #[serde(default = "Links::default_max_record_bytes")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "BYTES", default_value_t = Self::default_max_record_bytes()))]
    pub max_record_bytes: usize,
}

/// Keep or drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum KeepOrDrop {
    /// Keep.
    Keep,
    /// Drop.
    Drop,
}

/// `[[pages]]`, or `[pages]` for a single source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// The kind of source.
    pub from: PageSource,
    /// Its files: paths, patterns, or `@` and a list of them, relative to the recipe's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Take only pages that a kept link leads to. Default: true.
    #[serde(default = "yes")]
    pub only_links: bool,
    /// Which of several captures of a page is taken. Default: the earliest; for `common-crawl` the nearest.
    #[serde(default)]
    pub capture: Option<CaptureChoice>,
    /// Share of pages that are taken, by hash of their key; 0.01 takes every hundredth. Default: 1.
    #[serde(default = "one")]
    pub sample_fraction: f64,
    /// Largest page, decoded, in bytes. Default: 20 MiB.
    #[serde(default = "Pages::default_max_page_bytes")]
    pub max_page_bytes: u64,
    /// The field of the text (`texts`).
    #[serde(default = "Pages::default_text_field", skip_serializing_if = "Pages::is_default_text_field")]
    pub text_field: String,
    /// The field of the URL (`texts`).
    #[serde(default = "Pages::default_url_field", skip_serializing_if = "Pages::is_default_url_field")]
    pub url_field: String,
    /// Settings of the crawler (`fetch`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch: Option<fetch::CrawlSettings>,
    /// Index and archives of Common Crawl (`common-crawl`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_crawl: Option<common_crawl::CommonCrawlSettings>,
}

/// Where pages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageSource {
    /// The web, by the polite crawler.
    Fetch,
    /// WARC and ARC files.
    Warc,
    /// Folders of HTML files; `urls.tsv` in a folder gives them URLs.
    Html,
    /// JSON Lines and Parquet with a column of text: a corpus that is filtered and de-duplicated without pages.
    Texts,
    /// Captures in Common Crawl's index.
    CommonCrawl,
}

/// `[extract]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "clap", derive(clap::Args), group(skip))]
pub struct Extract {
    /// Readers' comments below an article. The posts of a forum are always main text.
    #[cfg_attr(feature = "clap", arg(long, value_name = "POLICY", default_value = "drop"))]
    pub comments: KeepOrDrop,
    /// The heading that repeats the page's title.
    #[cfg_attr(feature = "clap", arg(long, value_name = "POLICY", default_value = "keep"))]
    pub title: KeepOrDrop,
    /// Maximum number of nodes of a page's tree.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::default().max_nodes))]
    pub max_nodes: usize,
    /// Maximum nesting of a page, in elements; what nests deeper is flattened.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::default().max_depth))]
    pub max_depth: u32,
}

impl Extract {
    /// As the extractor has them.
    pub fn options(&self) -> extract::Options {
        let inclusion =
            |keep| if keep == KeepOrDrop::Keep { extract::Inclusion::Keep } else { extract::Inclusion::Drop };
        let mut options = extract::Options::default();
        (options.comments, options.title) = (inclusion(self.comments), inclusion(self.title));
        (options.max_nodes, options.max_depth) = (self.max_nodes, self.max_depth);
        options
    }
}

impl Default for Extract {
    fn default() -> Extract {
        let extract::Options { max_nodes, max_depth, .. } = extract::Options::default();
        Extract { comments: KeepOrDrop::Drop, title: KeepOrDrop::Keep, max_nodes, max_depth }
    }
}

/// `[shards]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shards {
    /// Seed of the shuffle and the split.
    pub seed: u64,
    /// Share of documents to validate on.
    pub validation_fraction: f64,
    /// Number of training shards.
    pub count: u32,
    /// Form of the text shards.
    #[serde(default)]
    pub text: shard::TextForm,
    /// Forms of token files.
    pub tokens: Vec<TokenForm>,
    /// Lists of URLs and ids to leave out: paths, patterns, or `@` and a list of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// A form of token file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenForm {
    /// `train.bin` and `val.bin`.
    Nanogpt,
    /// A file per shard, with a header.
    Llmc,
}

/// `[tokenizer]`: exactly one of the two keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokenizer {
    /// `gpt2`, or the folder or file of a tokenizer.
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
    /// Width of the residual stream.
    pub channels: usize,
    /// Longest sequence in tokens.
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
    /// Buckets of every stage that has them; also the number of tasks that can run in parallel there. Default: 16.
    pub buckets: u32,
    /// Memory of one sort, in MiB; each thread may run one. Default: 64.
    pub max_sort_memory_mib: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { buckets: 16, max_sort_memory_mib: 64 }
    }
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

/// `[pages]` is one source, `[[pages]]` several.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Pages>, D::Error> {
    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<Pages>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a section [pages], or several [[pages]]")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Vec<Pages>, A::Error> {
            Pages::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|pages| vec![pages])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Vec<Pages>, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
        }
    }

    deserializer.deserialize_any(Visitor)
}

impl Model {
    /// The shape of the model for a tokenizer of this size.
    pub fn config(&self, vocab_size: usize) -> gpt2::ModelConfig {
        gpt2::ModelConfig::gpt2(self.layers, self.heads, self.channels, self.context, vocab_size)
    }
}

impl Links {
    fn default_without_karma() -> WithoutKarma {
        WithoutKarma::Drop
    }
    fn default_max_url_bytes() -> usize {
        2048
    }
    fn default_max_record_bytes() -> usize {
        16 << 20
    }

    /// The rules of the `links` crate for submissions.
    ///
    /// # Errors
    /// When a date is invalid, or an entry is no domain or extension.
    pub fn submission_rules(&self) -> Result<SubmissionRules> {
        let period = |text: &Option<String>| {
            let read = |text: &String| {
                links::period(text).ok_or_else(|| Error::Recipe(format!("{text:?} is no date of the form 2017-12-31")))
            };
            text.as_ref().map(read).transpose()
        };
        let (from, until) = (period(&self.from)?, period(&self.until)?);
        if let (Some(first), Some(last)) = (&from, &until)
            && first.start >= last.end
        {
            let (from, until) = (self.from.as_deref().unwrap_or_default(), self.until.as_deref().unwrap_or_default());
            bail!(Recipe, "from = {from:?} is later than until = {until:?}: no link would be kept");
        }
        Ok(SubmissionRules {
            drop_over_18: self.over_18 == KeepOrDrop::Drop,
            from: from.map(|from| from.start),
            before: until.map(|until| until.end),
            drop_domains: blocked(&self.drop_domains).within(|| "drop_domains".to_owned())?,
            drop_extensions: blocked(&self.drop_extensions).within(|| "drop_extensions".to_owned())?,
            max_url_bytes: self.max_url_bytes,
            canonical: self.canonical(),
        })
    }

    /// What counts as one page: the rules of the `links` crate for every URL of a run, of links and captures alike.
    pub fn canonical(&self) -> CanonicalRules {
        CanonicalRules::unwrapping(self.unwrap.iter().copied())
    }

    /// The rule of the `links` crate for karma.
    pub fn karma(&self) -> KarmaRule {
        KarmaRule { min_karma: self.min_karma, karma_of: self.karma_of, without_karma: self.without_karma }
    }
}

/// The entries of a list of what is blocked; empty ones say nothing.
fn blocked<T: FromStr<Err = InvalidBlockedName> + Ord>(entries: &[String]) -> Result<BTreeSet<T>> {
    let given = entries.iter().filter(|entry| !entry.trim().is_empty());
    given.map(|entry| entry.parse().map_err(|fault: InvalidBlockedName| Error::Recipe(fault.to_string()))).collect()
}

impl Pages {
    /// Sets the defaults that depend on the kind of source.
    fn spell_out(&mut self) {
        let is_copied = self.from == PageSource::CommonCrawl;
        let default = if is_copied { CaptureChoice::Nearest } else { CaptureChoice::Earliest };
        self.capture.get_or_insert(default);
    }

    fn default_max_page_bytes() -> u64 {
        20 << 20
    }
    fn default_text_field() -> String {
        "text".to_owned()
    }
    pub(crate) fn default_url_field() -> String {
        "url".to_owned()
    }
    fn is_default_text_field(field: &str) -> bool {
        field == "text"
    }
    fn is_default_url_field(field: &str) -> bool {
        field == "url"
    }
}

impl Recipe {
    /// What counts as one page, for links and captures alike.
    pub fn canonical(&self) -> CanonicalRules {
        self.links.as_ref().map(Links::canonical).unwrap_or_default()
    }

    /// Reads a recipe and applies `section.key=value` settings to it.
    ///
    /// Relative paths and patterns are taken from the recipe's folder and become absolute.
    ///
    /// # Errors
    /// A sentence that names the key, the line, and for an unknown key the nearest known one or its new name.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Recipe> {
        let text = read_text(path).within(|| format!("cannot read the recipe {}", path.display()))?;
        let mut recipe = Recipe::parse(&text, overrides).within(|| format!("in the recipe {}", path.display()))?;
        // Absolute, so that a run can be continued from any folder.
        let path = if store::is_remote(path) { path.to_path_buf() } else { std::path::absolute(path)? };
        let folder = path.parent().unwrap_or(Path::new("/"));
        let absolute = |path: &mut String| *path = resolve(folder, path);
        for source in &mut recipe.pages {
            source.paths.iter_mut().for_each(absolute);
            if let Some(settings) = &mut source.common_crawl {
                let is_local = |name: &&mut String| !name.contains("://");
                settings.index.iter_mut().chain([&mut settings.data]).filter(is_local).for_each(absolute);
            }
        }
        if let Some(links) = &mut recipe.links {
            links.dumps.iter_mut().for_each(absolute);
        }
        recipe.filter.iter_mut().flat_map(RuleSettings::paths).for_each(absolute);
        recipe.dedup.against.iter_mut().for_each(absolute);
        recipe.overlap.iter_mut().flat_map(|overlap| &mut overlap.sets).for_each(absolute);
        recipe.shards.exclude.iter_mut().for_each(absolute);
        if let Some(existing) = recipe.tokenizer.existing.as_mut().filter(|name| *name != "gpt2") {
            absolute(existing);
        }
        Ok(recipe)
    }

    /// Whether an input is in object storage.
    pub fn has_remote_inputs(&self) -> bool {
        let dumps = self.links.iter().flat_map(|links| &links.dumps);
        let sets = self.overlap.iter().flat_map(|overlap| &overlap.sets);
        let pages = self.pages.iter().flat_map(|source| &source.paths);
        let mut inputs = dumps.chain(sets).chain(pages).chain(&self.dedup.against).chain(&self.shards.exclude);
        inputs.any(|input| store::is_remote(Path::new(input.trim_start_matches('@'))))
    }

    /// The rules of a file that may have only `[[filter]]`; relative paths become absolute.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn load_rules(path: &Path) -> Result<Vec<RuleSettings>> {
        #[derive(Deserialize)]
        struct OnlyRules {
            #[serde(default)]
            filter: Vec<RuleSettings>,
        }
        let text = std::fs::read_to_string(path).within(|| format!("cannot read the recipe {}", path.display()))?;
        let in_recipe = || format!("in the recipe {}", path.display());
        refuse_rules(&text.parse().map_err(|error| explain(&error)).within(in_recipe)?).within(in_recipe)?;
        let rules = toml::from_str::<OnlyRules>(&text).map_err(|error| explain(&error));
        let mut rules = rules.within(|| format!("in the recipe {}", path.display()))?.filter;
        for rule in &rules {
            rule.check().within(|| format!("in the rule {}", rule.name()))?;
        }
        let folder = std::path::absolute(path)?.parent().unwrap_or(Path::new("/")).to_path_buf();
        rules.iter_mut().flat_map(RuleSettings::paths).for_each(|path| *path = resolve(&folder, path));
        Ok(rules)
    }

    /// Parses and checks a recipe.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn parse(text: &str, overrides: &[String]) -> Result<Recipe> {
        // The text is parsed alone first, so that errors have their line number.
        let mut table: toml::Table = text.parse().map_err(|error| explain(&error))?;
        for setting in overrides {
            set::apply(&mut table, setting).within(|| format!("in --set {setting}"))?;
        }
        former::refuse(&table)?;
        refuse_rules(&table)?;
        let read = if overrides.is_empty() { toml::from_str(text) } else { from_table(&table) };
        let mut recipe: Recipe = read.map_err(|error| explain(&error))?;
        recipe.pages.iter_mut().for_each(Pages::spell_out);
        recipe.check()?;
        Ok(recipe)
    }

    /// The recipe with every default spelled out.
    pub fn to_toml(&self) -> Result<String> {
        Ok(format!(
            "# The recipe of this run with every default spelled out.\n{}",
            toml::to_string_pretty(self).map_err(|error| Error::Bug(error.to_string()))?
        ))
    }
}

/// Refuses the first rule that cannot be read, by its place and name: a type that is chosen by one of its own keys loses
/// the line.
fn refuse_rules(recipe: &toml::Table) -> Result<()> {
    let rules = recipe.get("filter").and_then(toml::Value::as_array);
    // What is no section is refused with its line.
    for (at, rule) in rules.into_iter().flatten().enumerate().filter(|(_, rule)| rule.is_table()) {
        from_table::<RuleSettings>(rule).map_err(|error| explain(&error)).within(|| {
            let name = rule.get("rule").map(|name| format!(", rule = {name}")).unwrap_or_default();
            format!("in the [[filter]] number {}{name}", at + 1)
        })?;
    }
    Ok(())
}

/// Reads what is in memory as a text is read, so that the compiler makes code for one reader; an error names the section
/// in place of a line.
fn from_table<T: DeserializeOwned>(table: &impl Serialize) -> Result<T, toml::de::Error> {
    let text = toml::to_string(table).map_err(serde::de::Error::custom)?;
    toml::from_str(&text).map_err(|mut error| {
        error.set_input(None);
        error
    })
}

/// Adds the key that is meant to the message about an unknown one.
fn explain(error: &toml::de::Error) -> Error {
    Error::Recipe(explain_unknown(&error.to_string(), error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICKSTART: &str = include_str!("../../../../pipelines/quickstart.toml");

    fn fault(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
        crate::error::chain(&Recipe::parse(text, &overrides).unwrap_err())
    }

    #[test]
    fn the_resolved_recipe_is_a_recipe() {
        let recipe = Recipe::parse(QUICKSTART, &[]).unwrap();
        assert_eq!(Recipe::parse(&recipe.to_toml().unwrap(), &[]).unwrap(), recipe);
    }

    #[test]
    fn one_source_or_several() {
        let several = QUICKSTART
            .replace("[pages]", "[[pages]]")
            .replace("[extract]", "[[pages]]\nfrom = \"html\"\npaths = [\"more\"]\n[extract]");
        let recipe = Recipe::parse(&several, &[]).unwrap();
        assert_eq!(recipe.pages.iter().map(|p| p.from).collect::<Vec<_>>(), [PageSource::Warc, PageSource::Html]);
        assert_eq!(Recipe::parse(QUICKSTART, &[]).unwrap().pages[..], recipe.pages[..1]);
        assert_eq!(
            Recipe::parse(&several, &["pages.2.sample_fraction=0.5".into()]).unwrap().pages[1].sample_fraction,
            0.5
        );
        assert!(fault(&several, &["pages.sample_fraction=0.5"]).contains("pages.1"));
        assert!(fault(&several, &["pages.3.sample_fraction=0.5"]).contains("2 entries"));
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
        assert!(fault(QUICKSTART, &["filter.length.min_word=1"]).contains("did you mean `min_words`?"));
        assert!(fault(QUICKSTART, &["filter.lenght.min_words=1"]).contains("did you mean filter.length?"));
        let message = fault(QUICKSTART, &["train.steps=4"]);
        assert!(message.contains("unknown field `train`") && !message.contains("did you mean"), "{message}");
    }

    #[test]
    fn a_rule_that_is_no_section_is_refused_with_its_line() {
        let message = fault("filter = [1]", &[]);
        assert!(message.contains("line 1") && !message.contains("unsupported"), "{message}");
    }

    #[test]
    fn settings_override() {
        let overrides = ["shards.seed=9", "links.until=\"2016\"", "pages.from=html", "filter.length.min_words=7"];
        let recipe = Recipe::parse(QUICKSTART, &overrides.map(str::to_owned)).unwrap();
        assert_eq!((recipe.shards.seed, recipe.pages[0].from), (9, PageSource::Html));
        assert!(recipe.to_toml().unwrap().contains("min_words = 7"));
        assert!(fault(QUICKSTART, &["links.until=true"]).contains("until"));
        let quoted = ["executor.stages.\"documents.extract\".memory_mib=9", "executor.stages.'links.read'.cpus = 2"];
        let stages = Recipe::parse(QUICKSTART, &quoted.map(str::to_owned)).unwrap().executor.stages;
        assert_eq!((stages["documents.extract"].memory_mib, stages["links.read"].cpus), (Some(9), Some(2)));
        assert!(fault(QUICKSTART, &["executor.stages.\"x=1"]).contains("KEY=VALUE"));
    }

    #[test]
    fn values_that_make_no_sense() {
        assert!(fault(QUICKSTART, &["shards.validation_fraction=2"]).contains("between 0 and 1"));
        assert!(fault(QUICKSTART, &["pages.sample_fraction=0"]).contains("above 0"));
        assert!(fault(QUICKSTART, &["tokenizer.use=gpt2"]).contains("either use or train"));
        assert!(fault(QUICKSTART, &["links.until=\"soon\""]).contains("no date"));
        assert!(fault(QUICKSTART, &["links.until=\"2017-01-45\""]).contains("no date"));
        assert!(fault(QUICKSTART, &["links.from=\"2015\"", "links.until=\"2014-12\""]).contains("later than"));
        assert!(fault(QUICKSTART, &["filter.language.keep=\"xx\""]).contains("not known"));
        assert!(fault(QUICKSTART, &["model.heads=3"]).contains("heads"));
    }
}
