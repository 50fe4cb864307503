//! `model.train`: one task. It continues from its own checkpoint after a kill.

use std::ops::ControlFlow;

use atomic_file::IoContext;
use bpe::{Encoder, TokenId, formats};
use gpt2::{
    InitialWeights, SampleOptions, TokenFiles, TrainError, TrainProgress, delete_training, sample, save_model, train,
};
use serde::{Deserialize, Serialize};

use super::{only_task, tokenizer};
use crate::engine::{File, Flow, Product, Task, Wire, Work};
use crate::error::{Error, OrBug as _, Result, Within as _};
use crate::recipe::Model;

/// Tokens of the sample that ends a run.
const SAMPLE_TOKENS: usize = 80;
/// Where checkpoints lie.
const STATE: &str = "state/{stage}/{name}";

/// Adds the stage.
pub(super) fn add(flow: &mut Flow, model: &Model, bins: Wire<File>, tokenizer: Wire<File>) {
    let model = model.clone();
    flow.stage("model.train", move |plan| {
        let bins = plan.files(bins)?;
        let of_split = |split: &str| {
            let bin = bins.iter().find(|(name, _)| name == split).map(|(_, file)| file.clone());
            bin.or_bug(|| format!("there are no {split} tokens"))
        };
        Ok(only_task(TrainModel {
            train: of_split("train")?,
            validation: of_split("val")?,
            tokenizer: tokenizer::whole(plan.files(tokenizer)?)?,
            model: model.clone(),
        }))
    });
}

/// Trains the model.
#[derive(Serialize, Deserialize)]
struct TrainModel {
    train: File,
    validation: File,
    tokenizer: File,
    model: Model,
}

impl TrainModel {
    const FILES: Product<TrainModel, File> = Product::new("files", "model/{name}");
}

impl Task for TrainModel {
    const REVISION: u32 = 1;

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let tokenizer = tokenizer::load(work, &self.tokenizer)?;
        let recipe = &self.model;
        let config = recipe.config(tokenizer.vocab_size());
        let open = |file: &File| -> Result<TokenFiles> {
            Ok(TokenFiles::open(&[work.local_file(file)?], config.context, config.vocab_size)?)
        };
        let tokens = open(&self.train)?;
        let validation = open(&self.validation).within(|| {
            "the validation split is too small for the model's context; raise [shards] validation_fraction".to_owned()
        })?;
        let state = work.state(STATE)?;
        let folder = state.folder();
        let steps = recipe.train.steps;
        let (observer, is_stopping) = (work.observer(), || work.is_stopping());
        let report = |now: TrainProgress<'_>| {
            observer.task_does(&format!("step {}/{steps}, loss {:.3}", now.step, now.loss));
            if let Some(row) = now.validated {
                let (step, loss, validation) = (row.step, row.train_loss, row.validation_loss);
                tracing::info!("    step {step:5}  loss {loss:.3}  validation {validation:.3}");
                if let Err(error) = state.save() {
                    tracing::warn!("the checkpoint is on this machine alone: {error}");
                }
            }
            // A checkpoint is written after this step, so stopping loses nothing.
            if is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let initial = || InitialWeights::Random(&config);
        let mut trained = train(folder, initial(), &recipe.train, &tokens, &validation, report);
        if let Err(TrainError::OtherTraining { .. }) = trained {
            // The recipe or the tokens have changed: the checkpoint is of no use.
            delete_training(folder)?;
            trained = train(folder, initial(), &recipe.train, &tokens, &validation, report);
        }
        state.save()?;
        let trained = match trained {
            Err(TrainError::Stopped { .. }) => return Err(Error::Interrupted),
            other => other?,
        };
        self.write_model(work, &tokenizer, &trained)
    }
}

impl TrainModel {
    fn write_model(&self, work: &mut Work<'_>, tokenizer: &bpe::Tokenizer, trained: &gpt2::Trained) -> Result<()> {
        let last = trained.curve.last().or_bug(|| "a training had no step".to_owned())?;
        work.metric("parameters", trained.model.parameters() as f64);
        work.metric("train_loss", f64::from(last.train_loss));
        work.metric("validation_loss", f64::from(last.validation_loss));
        let end_of_text = tokenizer.end_of_text().map(|id| id.0);
        let built = work.scratch()?.join("model");
        save_model(&built, &trained.model, end_of_text)?;
        for name in ["config.json", "model.safetensors"] {
            let path = built.join(name);
            work.write(TrainModel::FILES, name, &std::fs::read(&path).at("read", &path)?)?;
        }
        for (name, content) in formats::files(tokenizer) {
            work.write(TrainModel::FILES, name, content.as_bytes())?;
        }
        let curve: String = trained.curve.iter().map(|row| format!("{}\n", serde_json::json!(row))).collect();
        work.write(TrainModel::FILES, "loss.jsonl", curve.as_bytes())?;

        let mut text = self.model.sample_prompt.clone().into_bytes();
        let prompt = Encoder::new(tokenizer).encode(&self.model.sample_prompt);
        let prompt: Vec<u32> = prompt.into_iter().map(|id| id.0).collect();
        let seed = self.model.train.seed;
        let mut options = SampleOptions::greedy(SAMPLE_TOKENS);
        options.vocab_size = tokenizer.vocab_size();
        (options.temperature, options.top_k, options.seed) = (0.8, 40, seed);
        sample(&trained.model, &prompt, end_of_text, &options, |id| {
            text.extend_from_slice(tokenizer.token(TokenId(id)));
        });
        text.push(b'\n');
        work.write(TrainModel::FILES, "sample.txt", String::from_utf8_lossy(&text).as_bytes())
    }
}
