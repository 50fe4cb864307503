//! The loop of a fine-tuning: batches, the sum of both losses, and updates of model and head.

use bpe::Tokenizer;
use gpt2::random::Dropout;
use gpt2::{AdamW, AdamWUpdate, BETA_2_FINE_TUNING, Gradients, KeptActivations, Model, Pass, global_norm};
use serde::Serialize;

use crate::finetune::batches::{self, MicroBatch};
use crate::finetune::classifier::Classifier;
use crate::finetune::examples::LabelledExample;
use crate::finetune::head::Head;
use crate::finetune::inputs::{EncodedExample, InputEncoder, SpecialTokens};
use crate::finetune::metrics::ClassificationMetrics;
use crate::finetune::tasks::FineTuneTask;
use crate::finetune::transfer::transfer;
use crate::finetune::{FineTuneConfig, FineTuneError};
use crate::tokens::check_vocabulary;

/// The head's dropout site; the model's are numbered from 0.
const HEAD_SITE: u64 = (1 << 16) - 1;

/// What a fine-tuning reports after each step.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FineTuneProgress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The head's mean loss over the step's batch, in nats per example.
    pub loss: f64,
    /// The auxiliary loss, before its weight, in nats per token; 0 where that weight is 0.
    pub language_model_loss: f64,
    /// Set after the last step of an epoch.
    pub epoch: Option<EpochRow>,
}

/// An epoch's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EpochRow {
    /// From 1.
    pub epoch: u64,
    /// Mean of the head's loss over the epoch's steps.
    pub train_loss: f64,
    /// Mean of the auxiliary loss over the epoch's steps, before its weight.
    pub language_model_loss: f64,
    /// Figures of the examples that were not trained on.
    pub dev: ClassificationMetrics,
}

/// A finished fine-tuning.
#[derive(Debug)]
#[non_exhaustive]
pub struct FineTuned {
    /// The model after the last epoch.
    pub classifier: Classifier,
    /// All epochs.
    pub epochs: Vec<EpochRow>,
    /// Sequences that lost their end because they were longer than the context; a pair loses that of its longer text.
    pub truncated: u64,
}

/// Fine-tunes a model on `train` and evaluates it on `dev` after each epoch; `dev` changes no weight.
///
/// `report` is called after each step.
///
/// # Errors
/// Settings out of range or unfit for the model, a tokenizer with more tokens than the model, no examples, divergence.
///
/// # Panics
/// If an example's texts or label are not the task's.
pub fn finetune(
    base: &Model,
    tokenizer: &Tokenizer,
    task: FineTuneTask,
    [train, dev]: [&[LabelledExample]; 2],
    settings: &FineTuneConfig,
    mut report: impl FnMut(FineTuneProgress),
) -> Result<FineTuned, FineTuneError> {
    let config = base.config();
    settings.check(config.layers)?;
    // With those that fine-tuning adds, so that what it saves is read again.
    check_vocabulary(tokenizer, config.vocab_size)
        .and_then(|()| check_vocabulary(tokenizer, config.vocab_size + SpecialTokens::COUNT))?;
    if train.is_empty() || dev.is_empty() {
        return Err(FineTuneError::NoExamples);
    }
    if config.context < InputEncoder::MIN_CONTEXT {
        return Err(FineTuneError::ContextTooShort { context: config.context });
    }
    let specials = SpecialTokens::after(config.vocab_size);
    let mut encoder = InputEncoder::new(tokenizer, specials, config.context);
    let (train, dev) = (encoder.examples(train), encoder.examples(dev));
    let head = Head::new(task.outputs(), settings.pooling, config.channels, settings.seed);
    let model = transfer(base, settings.transfer, settings.seed);
    let mut trainer = Trainer::new(Classifier { task, model, head, specials }, settings);
    let steps = settings.epochs * train.len().div_ceil(settings.batch) as u64;
    let (mut step, mut epochs) = (0, Vec::new());
    for epoch in 1..=settings.epochs {
        let batches = batches::of_epoch(&train, settings.batch, settings.seed, epoch);
        let mut sums = Losses::default();
        for (number, batch) in batches.iter().enumerate() {
            let batch: Vec<&EncodedExample> = batch.iter().map(|&index| &train[index]).collect();
            let losses = trainer.step(&batch, epoch, step, steps)?;
            step += 1;
            sums.head += losses.head / batches.len() as f64;
            sums.language_model += losses.language_model / batches.len() as f64;
            let is_last = number + 1 == batches.len();
            let row = is_last.then(|| EpochRow {
                epoch,
                train_loss: sums.head,
                language_model_loss: sums.language_model,
                dev: trainer.classifier.metrics(&dev),
            });
            epochs.extend(row);
            let (loss, language_model_loss) = (losses.head, losses.language_model);
            report(FineTuneProgress { step, steps, loss, language_model_loss, epoch: row });
        }
    }
    Ok(FineTuned { classifier: trainer.classifier, epochs, truncated: encoder.truncated })
}

/// Both losses of a batch, each a mean.
#[derive(Debug, Clone, Copy, Default)]
struct Losses {
    /// Nats per example.
    head: f64,
    /// Nats per token.
    language_model: f64,
}

/// A classifier that is being trained, with all buffers of its size.
struct Trainer<'a> {
    settings: &'a FineTuneConfig,
    classifier: Classifier,
    gradients: Gradients,
    head_gradients: Vec<f32>,
    optimiser: AdamW,
    head_optimiser: AdamW,
    pass: Pass,
}

impl<'a> Trainer<'a> {
    fn new(classifier: Classifier, settings: &'a FineTuneConfig) -> Trainer<'a> {
        let (weights, head_weights) = (classifier.model.parameters(), classifier.head.weights.len());
        Trainer {
            settings,
            gradients: classifier.model.zero_gradients(),
            head_gradients: vec![0.0; head_weights],
            optimiser: AdamW::new(weights),
            head_optimiser: AdamW::new(head_weights),
            pass: Pass::new(classifier.model.config(), settings.precision, KeptActivations::ForBackward),
            classifier,
        }
    }

    /// One update; `step` counts from 0.
    fn step(&mut self, batch: &[&EncodedExample], epoch: u64, step: u64, steps: u64) -> Result<Losses, FineTuneError> {
        let losses = self.loss_and_gradients(batch, step);
        let loss = losses.head + f64::from(self.settings.language_model_weight) * losses.language_model;
        let norm = global_norm(&[self.gradients.as_slice(), &self.head_gradients]);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(FineTuneError::Diverged { epoch, step: step + 1, loss, norm });
        }
        let max_gradient_norm = self.settings.max_gradient_norm;
        let mut update = AdamWUpdate::new(step, self.settings.rate_at(step, steps));
        update.beta_2 = BETA_2_FINE_TUNING;
        update.weight_decay = self.settings.weight_decay;
        update.gradient_scale = if norm > max_gradient_norm { max_gradient_norm / norm } else { 1.0 };
        self.update(update);
        Ok(losses)
    }

    /// Sets the gradients to those of `head loss + λ · language-modelling loss` over a batch.
    fn loss_and_gradients(&mut self, batch: &[&EncodedExample], step: u64) -> Losses {
        let FineTuneConfig { language_model_weight, head_dropout, seed, .. } = *self.settings;
        let Classifier { model, head, .. } = &self.classifier;
        let head_mask = Dropout { probability: head_dropout, seed, pass: step }.mask(HEAD_SITE);
        let micro_batches = MicroBatch::of_batch(batch, model.config().context);
        let predicted = micro_batches.iter().map(MicroBatch::predicted).sum::<usize>() as f64;
        let examples = batch.len() as f64;
        let mut losses = Losses::default();
        self.gradients.clear();
        self.head_gradients.fill(0.0);
        for (number, micro_batch) in micro_batches.iter().enumerate() {
            let pass = &mut self.pass;
            // Each pass of a step drops its own elements.
            let dropout = Dropout { probability: self.settings.dropout, seed, pass: (step << 20) | number as u64 };
            pass.forward(model, &micro_batch.inputs, micro_batch.t, Some(dropout));
            if language_model_weight > 0.0 {
                let share = micro_batch.predicted() as f64 / predicted;
                let scale = language_model_weight * share as f32;
                let loss = pass.language_model_loss(model, &micro_batch.targets, scale, &mut self.gradients);
                losses.language_model += share * f64::from(loss);
            } else {
                pass.d_hidden_mut().fill(0.0);
            }
            let hidden = pass.hidden().to_vec();
            let scale = (1.0 / examples) as f32;
            let to = (pass.d_hidden_mut(), &mut self.head_gradients[..]);
            losses.head += head.loss_and_gradients(&hidden, micro_batch, Some(head_mask), scale, to.0, to.1) / examples;
            pass.backward(model, &micro_batch.inputs, &mut self.gradients);
        }
        losses
    }

    fn update(&mut self, update: AdamWUpdate) {
        let Classifier { model, head, .. } = &mut self.classifier;
        self.optimiser.update_model(model, &self.gradients, update);
        let (all, matrix) = (head.weights.len(), head.outputs.rows() * head.channels);
        for (range, is_decayed) in [(0..matrix, true), (matrix..all, false)] {
            self.head_optimiser.update(&mut head.weights, &self.head_gradients, range, is_decayed, update);
        }
    }
}

#[cfg(test)]
mod tests {
    use gpt2::ModelConfig;
    use gpt2::random::{Stream, bits, normal};

    use super::*;
    use crate::finetune::batches::EXAMPLE_ORDER;
    use crate::finetune::examples::ExampleTexts;
    use crate::finetune::{Pooling, Transfer};

    fn base() -> Model {
        Model::new(&ModelConfig::gpt2(2, 2, 16, 24, 256), 1)
    }

    fn quick() -> FineTuneConfig {
        FineTuneConfig { epochs: 4, batch: 8, learning_rate: 5e-3, warmup_fraction: 0.1, ..FineTuneConfig::default() }
    }

    /// Words whose label is whether there is an `x` in them.
    fn words(count: u64) -> Vec<LabelledExample> {
        let word = |number: u64| {
            let letter = |place| b"abcx"[(bits(9, EXAMPLE_ORDER, 16 * number + place) % 4) as usize] as char;
            let word: String = (0..2 + number % 4).map(letter).collect();
            LabelledExample { label: usize::from(word.contains('x')), texts: ExampleTexts::Classification(word) }
        };
        (0..count).map(word).collect()
    }

    fn check_learns(task: FineTuneTask, examples: &[LabelledExample], settings: &FineTuneConfig) {
        let (dev, train) = examples.split_at(examples.len() / 4);
        let tokenizer = Tokenizer::bytes_only();
        let tuned = finetune(&base(), &tokenizer, task, [train, dev], settings, |_| ()).unwrap();
        let last = tuned.epochs.last().unwrap();
        assert!(last.dev.accuracy > 0.9, "{task:?} {settings:?}: {last:?}");
    }

    #[test]
    fn it_learns_with_any_pooling() {
        for pooling in [Pooling::Last, Pooling::Mean, Pooling::Max] {
            check_learns(FineTuneTask::Sst2, &words(400), &FineTuneConfig { pooling, ..quick() });
        }
    }

    #[test]
    fn it_learns_pairs_and_choices() {
        let letter = |number: u64, place| ["a", "b"][(bits(8, EXAMPLE_ORDER, 2 * number + place) % 2) as usize];
        let example = |number, texts: fn(&str, &str) -> (ExampleTexts, bool)| {
            let (texts, label) = texts(letter(number, 0), letter(number, 1));
            LabelledExample { texts, label: usize::from(label) }
        };
        let entailment = |a: &str, b: &str| {
            (ExampleTexts::Entailment { premise: a.into(), hypothesis: b.into() }, a == "a" && b == "b")
        };
        let similarity = |a: &str, b: &str| (ExampleTexts::Similarity(a.into(), b.into()), a == "a" || b == "a");
        let choice = |a: &str, b: &str| {
            let other = if b == "a" { "b" } else { "a" };
            (ExampleTexts::MultipleChoice { query: a.into(), choices: vec![b.into(), other.into()] }, b == "b")
        };
        type Kind = fn(&str, &str) -> (ExampleTexts, bool);
        for (task, texts) in
            [(FineTuneTask::Rte, entailment as Kind), (FineTuneTask::Mrpc, similarity), (FineTuneTask::Choice, choice)]
        {
            let examples: Vec<_> = (0..300).map(|number| example(number, texts)).collect();
            // Random letters have no next token to learn, and 16 channels no room to try.
            check_learns(task, &examples, &FineTuneConfig { epochs: 10, language_model_weight: 0.0, ..quick() });
        }
    }

    #[test]
    fn the_gradient_of_both_losses_agrees_with_finite_differences() {
        let settings = FineTuneConfig { language_model_weight: 0.7, dropout: 0.2, ..quick() };
        let tokenizer = Tokenizer::bytes_only();
        let specials = SpecialTokens::after(256);
        let model = transfer(&base(), Transfer::All, 1);
        let perturbed = |(i, weight): (usize, &f32)| weight + 0.1 * normal(4, Stream::WEIGHTS, i as u64);
        let weights: Vec<f32> = model.weights().iter().enumerate().map(perturbed).collect();
        let mut head = Head::new(FineTuneTask::Mrpc.outputs(), Pooling::Mean, 16, 1);
        head.weights.iter_mut().for_each(|weight| *weight *= 20.0);
        let texts =
            |a: &str, b: &str, label| LabelledExample { texts: ExampleTexts::Similarity(a.into(), b.into()), label };
        let examples = [texts("abc", "d", 1), texts("e", "fgh ij", 0), texts("k", "l", 1)];
        let encoded = InputEncoder::new(&tokenizer, specials, 24).examples(&examples);
        let batch: Vec<&EncodedExample> = encoded.iter().collect();
        let classifier = Classifier { task: FineTuneTask::Mrpc, model, head, specials };
        let mut trainer = Trainer::new(classifier, &settings);
        let mut loss = |weights: &[f32]| {
            trainer.classifier.model.weights_mut().copy_from_slice(weights);
            let losses = trainer.loss_and_gradients(&batch, 0);
            (losses.head + 0.7 * losses.language_model, trainer.gradients.as_slice().to_vec())
        };
        let (_, gradients) = loss(&weights);
        // Along the gradient itself the slope is its norm.
        let norm = global_norm(&[&gradients]);
        let mut moved = |step: f32| {
            let moved: Vec<f32> = weights.iter().zip(&gradients).map(|(w, g)| w + step * g / norm).collect();
            loss(&moved).0
        };
        let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((slope / f64::from(norm) - 1.0).abs() < 0.01, "{slope} for {norm}");
    }

    #[test]
    fn micro_batches_add_up_to_the_batch() {
        // A batch of one long and several short examples is split; its gradient is the mean over all examples.
        let tokenizer = Tokenizer::bytes_only();
        let model = Model::new(&ModelConfig::gpt2(1, 2, 8, 4096, 259), 1);
        let specials = SpecialTokens::after(256);
        let example = |text: String| LabelledExample { texts: ExampleTexts::Classification(text), label: 1 };
        let examples = [example("a".into()), example("ab".into()), example("abc ".repeat(1000))];
        let encoded = InputEncoder::new(&tokenizer, specials, 4096).examples(&examples);
        let settings = FineTuneConfig { dropout: 0.0, head_dropout: 0.0, language_model_weight: 0.0, ..quick() };
        let head = Head::new(FineTuneTask::Cola.outputs(), Pooling::Last, 8, 1);
        let mut trainer = Trainer::new(Classifier { task: FineTuneTask::Cola, model, head, specials }, &settings);
        let mut gradients = |batch: &[&EncodedExample]| {
            trainer.loss_and_gradients(batch, 0);
            trainer.head_gradients.clone()
        };
        let whole = gradients(&encoded.iter().collect::<Vec<_>>());
        let alone: Vec<Vec<f32>> = encoded.iter().map(|example| gradients(&[example])).collect();
        for (i, whole) in whole.iter().enumerate() {
            let mean = alone.iter().map(|gradients| gradients[i]).sum::<f32>() / 3.0;
            assert!((whole - mean).abs() < 1e-5, "{whole} {mean}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (train, dev) = (words(40), words(10));
        let settings = FineTuneConfig { epochs: 1, ..quick() };
        let weights = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let tokenizer = Tokenizer::bytes_only();
            let tune = || finetune(&base(), &tokenizer, FineTuneTask::Cola, [&train, &dev], &settings, |_| ()).unwrap();
            let tuned = pool.install(tune);
            (tuned.classifier, tuned.epochs)
        };
        let one = weights(1);
        assert!(one == weights(2));
        assert!(one == weights(3));
    }

    #[test]
    fn divergence_is_named() {
        let settings = FineTuneConfig { learning_rate: 1e30, warmup_fraction: 0.0, ..quick() };
        let words = words(40);
        let tokenizer = Tokenizer::bytes_only();
        let error = finetune(&base(), &tokenizer, FineTuneTask::Cola, [&words, &words], &settings, |_| ()).unwrap_err();
        assert!(matches!(error, FineTuneError::Diverged { epoch: 1, .. }), "{error}");
    }

    #[test]
    fn unfit_settings_are_named() {
        let tokenizer = Tokenizer::bytes_only();
        let words = words(4);
        let check = |settings: FineTuneConfig, train: &[LabelledExample], expected: &str| {
            let error =
                finetune(&base(), &tokenizer, FineTuneTask::Cola, [train, &words], &settings, |_| ()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        let three = FineTuneConfig { transfer: Transfer::Blocks(3), ..quick() };
        check(three, &words, "3 blocks cannot be taken over: the model has 2");
        check(FineTuneConfig { batch: 0, ..quick() }, &words, "batch is 0; it must be at least 1");
        check(FineTuneConfig { dropout: 1.0, ..quick() }, &words, "dropout is 1; it must be at least 0 and below 1");
        let rate = FineTuneConfig { learning_rate: f32::NAN, ..quick() };
        check(rate, &words, "learning_rate is NaN; it must be finite and at least 0");
        check(quick(), &[], "both training and evaluation need at least one example");
    }
}
