//! The model and the schedule for a time or a size.

use gpt2::{ModelConfig, TrainConfig, step_times};

/// Share of the peak rate that a training reaches with models as small as these.
const UTILIZATION: f64 = 0.3;
/// Tokens for each weight of the blocks that a model must see.
const MIN_TOKENS_PER_WEIGHT: f64 = 10.0;
/// Tokens for each parameter where only the size of the model is given: the optimum of the same work.
const TOKENS_PER_PARAMETER: f64 = 20.0;
/// How long a training takes if nothing is said.
const DEFAULT_MINUTES: f64 = 8.0;
/// The shortest training, and the steps by which one is timed.
const MIN_STEPS: u64 = 20;
const TRIAL_STEPS: usize = 3;
/// Validations of a training, their batches, and the steps between two at least, so that a short one is no longer than it
/// should be.
const VALIDATIONS: u64 = 12;
const VALIDATION_BATCHES: u64 = 10;
const MIN_STEPS_PER_VALIDATION: u64 = 10;
/// The part of a step's time that its forward pass takes.
const FORWARD_SHARE: f64 = 1.0 / 3.0;
/// Tokens of a pass.
const BATCH_TOKENS: usize = 2048;
type Shape = (usize, usize, usize, usize, f32);

/// Layers, heads, channels, context and peak learning rate, the smallest first. Small models bear higher rates.
const SHAPES: [Shape; 7] = [
    (2, 2, 64, 128, 4e-3),
    (3, 3, 96, 128, 3e-3),
    (4, 4, 128, 128, 2e-3),
    (4, 4, 192, 256, 1.5e-3),
    (6, 6, 384, 256, 1e-3),
    (8, 8, 512, 512, 8e-4),
    (12, 12, 768, 1024, 6e-4),
];

/// What a training may cost, and the rate of this machine.
pub(super) struct Budget {
    pub(super) minutes: Option<f64>,
    pub(super) parameters: Option<u64>,
    pub(super) peak_gflops: f64,
}

impl Budget {
    /// The number of tokens that a training of this model sees.
    fn tokens(&self, model: &ModelConfig) -> f64 {
        match (self.minutes, self.parameters) {
            (None, Some(_)) => TOKENS_PER_PARAMETER * model.parameters() as f64,
            (minutes, _) => {
                let seconds = 60.0 * minutes.unwrap_or(DEFAULT_MINUTES);
                seconds * UTILIZATION * 1e9 * self.peak_gflops / model.flops_per_token(model.context)
            }
        }
    }

    /// A model and its schedule for a text of so many tokens: the model with about the wanted number of parameters, or
    /// the largest that sees enough tokens in the time.
    pub(super) fn choose(&self, vocab_size: usize, tokens: usize) -> (ModelConfig, TrainConfig) {
        // A context must fit the text, and its validation part, several times.
        let fits = |model: &ModelConfig| tokens >= 100 * model.context;
        let sees_enough = |model: &ModelConfig| {
            let of_blocks = 12 * model.layers * model.channels * model.channels;
            self.tokens(model) >= MIN_TOKENS_PER_WEIGHT * of_blocks as f64 && fits(model)
        };
        let (model, learning_rate) = match self.parameters {
            Some(wanted) => shapes_between(vocab_size)
                .min_by_key(|(model, _)| (model.parameters() as u64).abs_diff(wanted))
                .expect("there are shapes"),
            None => {
                let shapes: Vec<_> = SHAPES.iter().map(|shape| of_shape(shape, vocab_size)).collect();
                let smallest = shapes[0].clone();
                shapes.into_iter().rfind(|(model, _)| sees_enough(model)).unwrap_or(smallest)
            }
        };
        let context = model.context.min(tokens / 20).max(1);
        let model = ModelConfig { context, ..model };
        let steps = self.tokens(&model) / (batch_of(context) * context) as f64;
        (model.clone(), schedule(context, steps, learning_rate))
    }

    /// The steps of a model with these settings, of which one takes so many seconds.
    pub(super) fn steps(&self, model: &ModelConfig, train: &TrainConfig, seconds: f64) -> f64 {
        if self.parameters.is_some() && self.minutes.is_none() {
            let tokens_per_step = train.batch as u64 * train.accumulate * model.context as u64;
            return self.tokens(model) / tokens_per_step as f64;
        }
        // Some of the time is for samples and checkpoints, and some for validations, which are as many for any length.
        let steps = 0.95 * 60.0 * self.minutes.unwrap_or(DEFAULT_MINUTES) / seconds;
        let validations = (VALIDATIONS + 1) as f64 * validation_steps();
        (steps - validations).max(steps / 2.0)
    }
}

/// The steps that take as long as a validation, which is a forward pass.
fn validation_steps() -> f64 {
    VALIDATION_BATCHES as f64 * FORWARD_SHARE
}

/// Seconds of a whole training, of which a step takes so many.
pub(super) fn seconds_of(train: &TrainConfig, seconds_per_step: f64) -> f64 {
    let validations = (train.steps / train.evaluate_every + 1) as f64;
    (train.steps as f64 + validations * train.evaluate_batches as f64 * FORWARD_SHARE) * seconds_per_step
}

/// Sequences of a pass.
fn batch_of(context: usize) -> usize {
    (BATCH_TOKENS / context).max(1)
}

/// The settings of a training.
pub(super) fn schedule(context: usize, steps: f64, learning_rate: f32) -> TrainConfig {
    let steps = (steps as u64).max(MIN_STEPS);
    let settings = format!(
        "steps = {steps}\nbatch = {}\nlearning_rate = {learning_rate}\nwarmup_steps = {}\nweight_decay = 0.1\n\
         max_gradient_norm = 1.0\nseed = 1\nevaluate_every = {}\nevaluate_batches = {VALIDATION_BATCHES}\npatience = 5",
        batch_of(context),
        (steps / 10).clamp(1, 200),
        (steps / VALIDATIONS).max(MIN_STEPS_PER_VALIDATION),
    );
    toml::from_str(&settings).expect("these are all settings")
}

/// Seconds of a step on this machine as busy as it is: the median of a few after the first.
pub(super) fn seconds_per_step(model: &ModelConfig, train: &TrainConfig) -> f64 {
    let times = step_times(model, train.batch, model.context, train.precision, 1 + TRIAL_STEPS);
    let mut milliseconds: Vec<f64> = times[1..].iter().map(|time| time.milliseconds).collect();
    milliseconds.sort_by(f64::total_cmp);
    milliseconds[milliseconds.len() / 2] / 1000.0
}

/// A model of one of [`SHAPES`], and its learning rate.
fn of_shape(&(layers, heads, channels, context, rate): &Shape, vocab_size: usize) -> (ModelConfig, f32) {
    (ModelConfig::gpt2(layers, heads, channels, context, vocab_size), rate)
}

/// Models of [`SHAPES`] and of the widths between them, a head at a time; layers, context and rate are those of the
/// narrower neighbour.
fn shapes_between(vocab_size: usize) -> impl Iterator<Item = (ModelConfig, f32)> {
    SHAPES.iter().enumerate().flat_map(move |(index, shape)| {
        let (model, rate) = of_shape(shape, vocab_size);
        let next = SHAPES.get(index + 1).map_or(model.channels + 1, |next| next.2);
        let size = model.head_size();
        (model.channels..next)
            .step_by(size)
            .map(move |channels| (ModelConfig { channels, heads: channels / size, ..model.clone() }, rate))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_time_gives_a_larger_model_and_a_small_text_a_short_context() {
        let of = |minutes| Budget { minutes: Some(minutes), parameters: None, peak_gflops: 50.0 };
        let parameters = |minutes| of(minutes).choose(8192, 10_000_000).0.parameters();
        assert!(parameters(1.0) < parameters(60.0) && parameters(60.0) < parameters(10_000.0));
        let (model, train) = of(1.0).choose(257, 500);
        assert_eq!((model.context, train.batch), (25, 81));
        train.check().unwrap();
    }

    #[test]
    fn a_number_of_parameters_is_met_and_has_twenty_tokens_for_each() {
        for wanted in [1_000_000, 3_000_000, 10_000_000, 50_000_000] {
            let budget = Budget { minutes: None, parameters: Some(wanted), peak_gflops: 50.0 };
            let (model, train) = budget.choose(8192, 10_000_000);
            let share = model.parameters() as f64 / wanted as f64;
            assert!((0.8..1.25).contains(&share), "{} for {wanted}", model.parameters());
            let seen = train.steps as f64 * (train.batch * model.context) as f64;
            assert!((seen / model.parameters() as f64 - 20.0).abs() < 0.1);
        }
    }
}
