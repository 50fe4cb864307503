//! `model.train`: one task. It goes on from its own checkpoint after a kill.

use std::ops::ControlFlow;

use anyhow::Context;
use bpe::{Encoder, TokenId, formats};
use gpt2::{
    Beginning, ModelConfig, Progress, SampleOptions, Tokens, TrainError, forget_training, sample, save_model, train,
};
use atomic_file::IoContext;
use crate::manifest::FileRecord;
use serde_json::json;

use crate::engine::{Interrupted, Run, Stage, Task, TaskPlan};
use crate::recipe::Model;
use crate::stages::tokenizer;

/// Tokens of the sample that ends a run.
const SAMPLE_TOKENS: usize = 80;

pub(crate) struct Train;

impl Stage for Train {
    fn name(&self) -> &'static str {
        "model.train"
    }

    fn plan(&self, run: &Run) -> anyhow::Result<Vec<TaskPlan>> {
        let model = run.recipe().model.clone().context("the recipe has no [model]")?;
        let bins = run.outputs("tokens.join", "tokens/")?.into_iter().filter(|file| file.path.ends_with(".bin"));
        let tokenizer = run.outputs("tokenizer.make", "tokenizer/")?;
        let inputs: Vec<FileRecord> = bins.chain(tokenizer).collect();
        let settings = json!({"model": model});
        Ok(vec![TaskPlan { inputs, settings, work: Box::new(move |task| train_model(task, &model)) }])
    }
}

fn train_model(task: &mut Task<'_>, recipe: &Model) -> anyhow::Result<()> {
    let tokenizer = tokenizer::load(task.run())?;
    let config =
        ModelConfig::gpt2(recipe.layers, recipe.heads, recipe.channels, recipe.context, tokenizer.vocab_size());
    let open = |name: &str| Tokens::open(&[task.path(name)], config.context, config.vocab_size);
    let tokens = open("tokens/train.bin")?;
    let validation = open("tokens/val.bin")
        .context("the validation split is too small for the model's context; raise [shards] validation")?;
    let folder = task.scratch()?;
    let run = task.run();
    let steps = recipe.train.steps;
    let report = |progress: Progress<'_>| {
        run.progress().message(format!("step {}/{steps}, loss {:.3}", progress.step, progress.loss));
        if let Some(row) = progress.validated {
            run.progress().line(&format!(
                "    step {:5}  loss {:.3}  validation {:.3}",
                row.step, row.train_loss, row.validation_loss
            ));
        }
        // A checkpoint is written behind this step, so stopping loses nothing.
        if run.is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut trained = train(&folder, Beginning::Random(&config), &recipe.train, &tokens, &validation, report);
    if let Err(TrainError::OtherTraining { .. }) = trained {
        // The recipe or the tokens have changed: what they led to is of no use.
        forget_training(&folder)?;
        trained = train(&folder, Beginning::Random(&config), &recipe.train, &tokens, &validation, report);
    }
    let trained = match trained {
        Err(TrainError::Stopped { .. }) => return Err(Interrupted.into()),
        other => other?,
    };
    let last = trained.curve.last().context("a training has at least one step")?;
    task.figure("parameters", trained.model.parameters() as f64);
    task.figure("train_loss", f64::from(last.train_loss));
    task.figure("validation_loss", f64::from(last.validation_loss));

    let built = folder.join("model");
    save_model(&built, &trained.model, tokenizer.end_of_text().map(|id| id.0))?;
    for name in ["config.json", "model.safetensors"] {
        let path = built.join(name);
        task.write(&format!("model/{name}"), &std::fs::read(&path).at("read", &path)?)?;
    }
    for (name, content) in formats::files(&tokenizer) {
        task.write(&format!("model/{name}"), content.as_bytes())?;
    }
    let curve: String = trained.curve.iter().map(|row| format!("{}\n", json!(row))).collect();
    task.write("model/loss.jsonl", curve.as_bytes())?;
    let mut text = recipe.sample_prompt.clone().into_bytes();
    let prompt: Vec<u32> = Encoder::new(&tokenizer).encode(&recipe.sample_prompt).into_iter().map(|id| id.0).collect();
    let seed = recipe.train.seed;
    let options = SampleOptions { temperature: 0.8, top_k: 40, seed, ..SampleOptions::greedy(SAMPLE_TOKENS) };
    let end_of_text = tokenizer.end_of_text().map(|id| id.0);
    sample(&trained.model, &prompt, end_of_text, &options, |id| text.extend_from_slice(tokenizer.token(TokenId(id))));
    text.push(b'\n');
    task.write("model/sample.txt", String::from_utf8_lossy(&text).as_bytes())
}
