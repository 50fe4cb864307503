//! `gpt2 train`: trains a model by the settings in a TOML file, or on texts.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use bpe::{TokenId, Tokenizer, formats};
use console::{Unit, Usage, count, grouped};
use gpt2::{
    InitialWeights, LossRow, Model, SampleOptions, TokenFiles, TrainProgress, Trained, TrainingLock, load_model,
    peak_gflops, save_model, saved_training, train_locked,
};
use serde_json::{Value, json};

use crate::commands::output::{OF_TRAINING, is_same_folder, refuse_foreign_model, refuse_other_tokenizer};
use crate::commands::train_file::{DataSection, FilePatterns, SamplesSection, TrainFile};
use crate::commands::train_text::{TextFlags, settings_among, settings_of_texts};
use crate::commands::{TokenizerSource, load_tokenizer, write_tokenizer};
use crate::{check_vocabulary, continue_text};

/// Train a model on texts, or by the settings in a TOML file. After a kill, the same command continues.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Texts to train on: plain text, JSON Lines, Parquet, or folders of these; or a file of settings, in the sections
    /// data, model, train and samples (docs/formats.md has all keys).
    #[arg(required = true, value_name = "TEXTS|SETTINGS")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    texts: TextFlags,
    /// Override a setting: train.steps=100.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Number of threads. The weights are the same for any number. [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print a summary as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, quiet: bool) -> anyhow::Result<()> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
    }
    let (settings, lock) = match settings_among(&arguments.inputs)? {
        Some(settings) => {
            arguments.texts.refuse_with_settings(settings)?;
            (settings.to_path_buf(), None)
        }
        None => {
            let (settings, lock) = settings_of_texts(&arguments.inputs, &arguments.texts, &arguments.overrides)?;
            (settings, Some(lock))
        }
    };
    let settings = TrainFile::read(&settings, &arguments.overrides)?;
    let tokenizer = load_tokenizer(&settings.data.tokenizer, TokenizerSource::Settings)?;
    check_vocabulary(&tokenizer, settings.model.vocab_size)?;
    let open = |patterns: &FilePatterns| -> anyhow::Result<TokenFiles> {
        Ok(TokenFiles::open(&patterns.files()?, settings.model.context, settings.model.vocab_size)?)
    };
    let (tokens, validation) = (open(&settings.data.train)?, open(&settings.data.validation)?);
    let lock = lock_output(&settings, &tokenizer, lock)?;
    refuse_weights_of_other_tokenizer(&settings, &tokenizer)?;
    announce_resumption(&settings)?;
    let stop = console::stop_on_ctrl_c("stopping after this step").context("cannot listen for Ctrl-C")?;
    let mut meter = Meter::new(&settings, quiet);
    let trained = train_with_meter((&settings, &lock), &tokenizer, [&tokens, &validation], &mut meter, &stop)?;
    drop(meter);
    announce_best(&settings, &trained);
    save_model(&settings.data.output, &trained.model, tokenizer.end_of_text().map(|id| id.0))?;
    let folder = settings.data.output.display();
    tracing::info!("the model is in {folder}; to see what it writes: gpt2 sample {folder} --prompt \"The\"");
    if arguments.json {
        let summary = json!({
            "parameters": trained.model.parameters(), "train_tokens": tokens.tokens(),
            "best_step": trained.best_step, "curve": trained.curve,
        });
        console::out!("{summary}")?;
    }
    Ok(())
}

/// Checks that the output folder is free or of this training, and locks it; nothing is written there before.
fn lock_output(
    settings: &TrainFile,
    tokenizer: &Tokenizer,
    held: Option<TrainingLock>,
) -> anyhow::Result<TrainingLock> {
    let DataSection { output, start_from, .. } = &settings.data;
    if let Some(start_from) = start_from.as_deref().filter(|start_from| is_same_folder(start_from, output)) {
        let message = "is [data] start_from and [data] output: the first weights would be overwritten, and the training \
                       could not go on; choose another output";
        return Err(Usage(format!("{} {message}", start_from.display())).into());
    }
    refuse_foreign_model(output, OF_TRAINING)?;
    refuse_other_tokenizer(output, tokenizer)?;
    match held {
        // Edited settings of a training on texts may name another folder.
        Some(lock) if is_same_folder(lock.folder(), output) => Ok(lock),
        _ => Ok(TrainingLock::take(output)?),
    }
}

/// Checks that ids mean to the tokenizer what they mean to the weights that the training starts from. A folder that has no
/// tokenizer does not say.
fn refuse_weights_of_other_tokenizer(settings: &TrainFile, tokenizer: &Tokenizer) -> Result<(), Usage> {
    let Some(start_from) = &settings.data.start_from else { return Ok(()) };
    let folder = start_from.canonicalize().unwrap_or_default();
    let Ok(theirs) = formats::load(&folder.to_string_lossy()) else { return Ok(()) };
    let mut ids = (0..).map(TokenId).take(tokenizer.vocab_size().min(theirs.vocab_size()));
    match ids.find(|&id| tokenizer.token(id) != theirs.token(id)) {
        None => Ok(()),
        Some(TokenId(id)) => Err(Usage(format!(
            "the weights of [data] start_from, {}, are of another tokenizer than [data] tokenizer: id {id} is {:?} there, and \
             {:?} here; name that tokenizer, and make the tokens by it",
            start_from.display(),
            String::from_utf8_lossy(theirs.token(TokenId(id))),
            String::from_utf8_lossy(tokenizer.token(TokenId(id)))
        ))),
    }
}

/// Says at which step a training goes on, and which settings have changed.
fn announce_resumption(settings: &TrainFile) -> anyhow::Result<()> {
    let Some(saved) = saved_training(&settings.data.output)? else { return Ok(()) };
    let changes = saved.settings.map(|former| settings.train.changes(&former)).unwrap_or_default();
    let changes = if changes.is_empty() { String::new() } else { format!(": {}", changes.join("; ")) };
    let (step, steps) = (grouped(saved.step), grouped(settings.train.steps));
    if saved.step >= settings.train.steps {
        tracing::warn!(
            "the training is at step {step}, and train.steps is {steps}: no step is left{changes}; to train further, give \
             more: --set train.steps=N"
        );
    } else if saved.step > 0 {
        tracing::info!("going on at step {step} of {steps}{changes}");
    }
    Ok(())
}

/// Says why a training ended early, and which weights are kept.
fn announce_best(settings: &TrainFile, trained: &Trained) {
    let Some(patience) = settings.train.patience else { return };
    let best = trained.curve.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss));
    let (Some(best), Some(last)) = (best, trained.curve.last()) else { return };
    let early = match last.step < settings.train.steps {
        true => format!(
            "no lower validation loss in {} (train.patience): ended at step {}; ",
            count(patience, "validation"),
            last.step
        ),
        false => String::new(),
    };
    if best.step < last.step {
        tracing::info!("{early}the model is that of step {}, with a loss of {:.3}", best.step, best.validation_loss);
    }
}

fn train_with_meter(
    (settings, lock): (&TrainFile, &TrainingLock),
    tokenizer: &Tokenizer,
    [tokens, validation]: [&TokenFiles; 2],
    meter: &mut Meter,
    stop: &AtomicBool,
) -> anyhow::Result<Trained> {
    let output = &settings.data.output;
    let initial = match settings.data.start_from.as_deref().map(load_model).transpose()? {
        Some(model) if *model.config() != settings.model => {
            bail!(
                "[model] is another shape than the model of [data] start_from: {}",
                settings.model.changes(model.config()).join("; ")
            )
        }
        Some(model) => InitialWeights::Model(model),
        None => InitialWeights::Random(&settings.model),
    };
    let end_of_text = tokenizer.end_of_text().map(|id| id.0);
    write_tokenizer(output, tokenizer)?;
    // What only later steps write; the tokenizer and the checkpoint of step 0 show that there is space.
    for name in ["config.json", "model.safetensors", "samples.jsonl"] {
        ensure!(
            !output.join(name).is_dir(),
            "{} is a folder; a file will be written there",
            output.join(name).display()
        );
    }
    let mut failed = None;
    let result = train_locked(lock, initial, &settings.train, tokens, validation, |progress| {
        meter.show(&progress);
        if let (Some(row), Some(samples)) = (progress.validated, &settings.samples) {
            failed = write_sample(output, samples, tokenizer, progress.model, row).err();
        }
        let is_stopping = stop.load(Ordering::Relaxed);
        if failed.is_none() && (progress.is_saved || is_stopping) {
            // With each checkpoint comes a model that `sample` and `eval` load.
            failed = save_model(output, progress.model, end_of_text).err().map(anyhow::Error::from);
        }
        if failed.is_some() || is_stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failed.map_or(Ok(()), Err)?;
    Ok(result?)
}

/// Shows loss, tokens per second, and the share of the machine's peak rate that these reach.
struct Meter {
    shown: console::Progress,
    steps: u64,
    /// Seconds per token if all time were matrix products at the machine's peak; `None` where nothing is shown.
    seconds_per_token_at_peak: Option<f64>,
    begun: Instant,
    tokens: u64,
    validation: String,
}

impl Meter {
    fn new(settings: &TrainFile, quiet: bool) -> Meter {
        let flops = settings.model.flops_per_token(settings.model.context);
        let seconds = (!quiet).then(|| flops / 1e9 / peak_gflops(settings.train.precision));
        let steps = settings.train.steps;
        let shown = console::Progress::start("train", Unit::things("steps"), Some(steps));
        Meter {
            shown,
            steps,
            seconds_per_token_at_peak: seconds,
            begun: Instant::now(),
            tokens: 0,
            validation: String::new(),
        }
    }

    fn show(&mut self, progress: &TrainProgress<'_>) {
        let Some(seconds_per_token) = self.seconds_per_token_at_peak else { return };
        if self.tokens == 0 {
            self.shown.go_on_from(progress.step - 1);
        }
        self.tokens += progress.tokens;
        let rate = self.tokens as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        let share = 100.0 * rate * seconds_per_token;
        let metrics = format!("loss {:.3}, {rate:.0} tokens/s, {share:.0}% of peak", progress.loss);
        if let Some(row) = progress.validated {
            self.validation = format!(", validation {:.3}", row.validation_loss);
            tracing::info!("step {}/{}: {metrics}{}", progress.step, self.steps, self.validation);
        }
        self.shown.set(progress.step);
        self.shown.message(format!("{metrics}{}", self.validation));
    }
}

/// Adds a line to `samples.jsonl`, one per validation. Lines of steps that are done again are replaced.
fn write_sample(
    output: &Path,
    samples: &SamplesSection,
    tokenizer: &Tokenizer,
    model: &Model,
    row: LossRow,
) -> anyhow::Result<()> {
    let path = output.join("samples.jsonl");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let is_before = |line: &&str| {
        let line: Option<Value> = serde_json::from_str(line).ok();
        line.and_then(|line| line["step"].as_u64()).is_some_and(|step| step < row.step)
    };
    let mut lines: Vec<String> = before.lines().filter(is_before).map(str::to_owned).collect();
    let mut options = SampleOptions::greedy(samples.max_tokens);
    (options.temperature, options.top_k, options.seed) = (0.8, 40, row.step);
    let text = continue_text(model, tokenizer, &samples.prompt, &options);
    tracing::info!("step {}: {text}", row.step);
    lines.push(json!({"step": row.step, "text": text}).to_string());
    // Atomically, so that a kill does not lose the earlier lines.
    atomic_file::write(&path, (lines.join("\n") + "\n").as_bytes())?;
    Ok(())
}
