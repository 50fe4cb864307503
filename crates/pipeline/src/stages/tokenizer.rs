//! `tokenizer.count` (a task a training shard) counts words; `tokenizer.make` (one task) trains on the
//! counts, or takes the tokenizer that the recipe names.

use anyhow::Context;
use bpe::train::{self, WordCounts};
use bpe::{END_OF_TEXT, Tokenizer, formats, input};
use store::buckets::{BucketReader, BucketWriter};
use crate::manifest::FileRecord;
use serde_json::json;

use crate::engine::{Run, Stage, TaskPlan};
use crate::stages::paths;

pub(crate) struct Count;

impl Stage for Count {
    fn name(&self) -> &'static str {
        "tokenizer.count"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let shards = run.outputs("shards.write", "shards/train-")?;
        let tasks = shards.into_iter().map(|shard| TaskPlan {
            inputs: vec![shard.clone()],
            settings: json!({"unicode": bpe::UNICODE_VERSION}),
            work: Box::new(move |task| {
                let mut words = WordCounts::new();
                for text in input::Documents::open(&task.path(&shard.path), &input::Options::default())? {
                    words.add_text(&text?);
                }
                let name = format!("work/tokenizer.count/{:05}.words", task.number());
                let mut writer = BucketWriter::<(Vec<u8>, u64)>::create(&task.path(&name), 1)?;
                task.figure("distinct_words", words.len() as f64);
                words.into_sorted().iter().try_for_each(|word| writer.push(0, word))?;
                let written = writer.finish()?;
                task.wrote(&name, written);
                Ok(())
            }),
        });
        Ok(tasks.collect())
    }
}

pub(crate) struct Make;

impl Stage for Make {
    fn name(&self) -> &'static str {
        "tokenizer.make"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let recipe = run.recipe().tokenizer.clone();
        let inputs = match &recipe.existing {
            None => run.outputs("tokenizer.count", "work/")?,
            Some(name) => formats::file_of(name)?.map(|file| run.external(&file)).transpose()?.into_iter().collect(),
        };
        let counts = inputs.clone();
        let settings = json!({"tokenizer": recipe});
        let work = Box::new(move |task: &mut crate::engine::Task<'_>| {
            let tokenizer = match (&recipe.train, &recipe.existing) {
                (Some(options), _) => {
                    let words = words(task.run(), &counts)?;
                    let specials = vec![END_OF_TEXT.to_owned()];
                    train::train(
                        &words,
                        &train::Options {
                            vocab_size: options.vocab_size,
                            min_frequency: options.min_frequency,
                            specials,
                            ties: train::Ties::Gpt2Bytes,
                        },
                    )
                }
                (None, Some(name)) => formats::load(name)?,
                (None, None) => anyhow::bail!("[tokenizer] has neither use nor train"),
            };
            task.figure("vocab_size", tokenizer.vocab_size() as f64);
            for (name, content) in formats::files(&tokenizer) {
                task.write(&format!("tokenizer/{name}"), content.as_bytes())?;
            }
            Ok(())
        });
        Ok(vec![TaskPlan { inputs, settings, work }])
    }
}

fn words(run: &Run, counts: &[FileRecord]) -> anyhow::Result<Vec<(Vec<u8>, u64)>> {
    let mut all = WordCounts::new();
    for path in paths(run, counts) {
        for word in BucketReader::<(Vec<u8>, u64)>::open(&path, 0)? {
            let (word, count) = word?;
            all.add(&word, count);
        }
    }
    Ok(all.into_sorted())
}

/// The run's tokenizer.
pub(crate) fn load(run: &Run) -> anyhow::Result<Tokenizer> {
    let folder = run.folder().join("tokenizer");
    formats::load(&folder.to_string_lossy())
        .with_context(|| format!("cannot load the tokenizer in {}", folder.display()))
}
