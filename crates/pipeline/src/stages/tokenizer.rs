//! `tokenizer.count` (a task per training shard) counts pretokens; `tokenizer.make` (one task) trains on the counts, or
//! copies the tokenizer that the recipe names.

use bpe::train::{self, WordCounts};
use bpe::{Tokenizer, formats};
use serde::{Deserialize, Serialize};
use shard::TextForm;

use super::only_task;
use super::shards::{TextShards, is_train};
use crate::engine::{Bucket, Buckets, External, File, Flow, Product, Task, Wire, Work};
use crate::error::{OrBug as _, Result, Within as _, bail};
use crate::recipe::{Recipe, TrainTokenizer};

/// Adds the stages; returns the tokenizer's files.
pub(super) fn add(flow: &mut Flow, recipe: &Recipe, shards: TextShards) -> Wire<File> {
    let settings = recipe.tokenizer.clone();
    let counts = settings.train.is_some().then(|| {
        let count = flow.stage("tokenizer.count", move |plan| {
            let shards_of_train = plan.files(shards.files)?.into_iter().filter(|(name, _)| is_train(name));
            let unicode = bpe::UNICODE_VERSION.to_owned();
            let task = |(name, shard)| (name, CountPretokens { shard, form: shards.form, unicode: unicode.clone() });
            Ok(shards_of_train.map(task).collect())
        });
        count.product(CountPretokens::COUNTS)
    });
    let make = flow.stage("tokenizer.make", move |plan| {
        let task = match (&settings.train, &settings.existing, counts) {
            (Some(options), _, Some(counts)) => {
                let counts = plan.buckets(counts, 1)?.remove(0);
                MakeTokenizer {
                    train: Some(TrainedOn { counts, options: options.clone() }),
                    existing: None,
                    files: vec![],
                }
            }
            (_, Some(name), _) => {
                let files = formats::file_of(name)?.map(|file| External::of(&file)).transpose()?;
                MakeTokenizer { train: None, existing: Some(name.clone()), files: files.into_iter().collect() }
            }
            _ => bail!(Input, "[tokenizer] has neither use nor train"),
        };
        Ok(only_task(task))
    });
    make.product(MakeTokenizer::FILES)
}

/// What is read of a shard's row.
#[derive(Serialize, Deserialize)]
struct OnlyText {
    text: String,
}

/// Counts the pretokens of one text shard.
#[derive(Serialize, Deserialize)]
struct CountPretokens {
    shard: File,
    form: TextForm,
    /// Version of Unicode that decides which characters are letters.
    unicode: String,
}

impl CountPretokens {
    const COUNTS: Product<CountPretokens, Buckets<(Vec<u8>, u64)>> =
        Product::new("counts", "work/{stage}/{name}.counts");
}

impl Task for CountPretokens {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut counts = WordCounts::new();
        let blob = work.blob(&self.shard)?;
        for row in self.form.read::<OnlyText>(blob, work.store().shown(&self.shard.key))? {
            counts.add_text(&row?.text);
        }
        work.metric("distinct_pretokens", counts.len() as f64);
        let mut output = work.create_buckets(CountPretokens::COUNTS, 1)?;
        counts.into_sorted().iter().try_for_each(|pretoken| output.push(0, pretoken))?;
        output.finish()
    }
}

/// The counts and options of a training.
#[derive(Serialize, Deserialize)]
struct TrainedOn {
    counts: Bucket<(Vec<u8>, u64)>,
    options: TrainTokenizer,
}

/// Trains a tokenizer, or copies an existing one.
#[derive(Serialize, Deserialize)]
struct MakeTokenizer {
    train: Option<TrainedOn>,
    existing: Option<String>,
    /// The files of the existing tokenizer.
    files: Vec<External>,
}

impl MakeTokenizer {
    const FILES: Product<MakeTokenizer, File> = Product::new("files", "tokenizer/{name}");
}

impl Task for MakeTokenizer {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let tokenizer = match (&self.train, &self.existing) {
            (Some(TrainedOn { counts, options }), _) => {
                let mut all = WordCounts::new();
                for pretoken in work.receive_unsorted(counts)? {
                    let (pretoken, count) = pretoken?;
                    all.add(&pretoken, count);
                }
                let options = train::TrainingOptions::new(options.vocab_size).with_min_frequency(options.min_frequency);
                train::train(&all.into_sorted(), &options)
            }
            (None, Some(name)) => formats::load(name)?,
            (None, None) => bail!(Input, "[tokenizer] has neither use nor train"),
        };
        for file in &self.files {
            let source = work.source(file)?;
            work.finish_source(source)?;
        }
        work.metric("vocab_size", tokenizer.vocab_size() as f64);
        for (name, content) in formats::files(&tokenizer) {
            work.write(MakeTokenizer::FILES, name, content.as_bytes())?;
        }
        Ok(())
    }
}

/// The file of a tokenizer that contains all of it.
const WHOLE: &str = "tokenizer.json";

/// The one file of the run's tokenizer that stages which use it depend on.
pub(super) fn whole(files: Vec<(String, File)>) -> Result<File> {
    let whole = files.into_iter().map(|(_, file)| file).find(|file| file.key.ends_with(WHOLE));
    whole.or_bug(|| "tokenizer.make has written no tokenizer.json".to_owned())
}

/// Loads the run's tokenizer.
pub(super) fn load(work: &Work<'_>, file: &File) -> Result<Tokenizer> {
    let path = work.local_file(file)?;
    formats::load(&path.to_string_lossy()).within(|| format!("cannot load the tokenizer {}", path.display()))
}
