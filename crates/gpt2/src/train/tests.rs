//! Trainings that are killed, extended, refused, and that learn.

use std::fs;

use super::*;
use crate::checkpoint::saved_training;
use crate::matmul::Precision;

fn tokens(folder: &Path, name: &str) -> TokenFiles {
    let path = folder.join(name);
    let ids: Vec<u8> = (0..4000u32).flat_map(|i| ((i * i / 7 % 13) as u16).to_le_bytes()).collect();
    fs::write(&path, ids).unwrap();
    TokenFiles::open(&[path], 8, 13).unwrap()
}

fn settings() -> TrainConfig {
    TrainConfig {
        steps: 30,
        batch: 4,
        accumulate: 1,
        learning_rate: 0.01,
        min_learning_rate_fraction: 0.1,
        warmup_steps: 5,
        weight_decay: 0.1,
        max_gradient_norm: 1.0,
        dropout: 0.0,
        precision: Precision::F32,
        seed: 1,
        evaluate_every: 10,
        evaluate_batches: 2,
        patience: None,
        checkpoint_every: None,
        checkpoint_minutes: None,
        max_checkpoints: 1,
    }
}

fn shape() -> ModelConfig {
    ModelConfig::gpt2(1, 2, 16, 8, 13)
}

fn run(folder: &Path, shape: &ModelConfig, settings: &TrainConfig, until: u64) -> Result<Trained, TrainError> {
    fs::create_dir_all(folder).unwrap();
    let (data, held_out) = (tokens(folder, "a.bin"), tokens(folder, "b.bin"));
    train(folder, InitialWeights::Random(shape), settings, &data, &held_out, |progress| {
        if progress.step < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
}

#[test]
fn a_training_that_was_broken_off_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let all = TrainConfig { accumulate: 2, dropout: 0.1, precision: Precision::Bf16, ..settings() };
    for (name, shape, settings) in [("a", shape(), settings()), ("b", ModelConfig::gpt1(2, 2, 16, 8, 13), all)] {
        let whole = run(&folder.path().join(name), &shape, &settings, u64::MAX).unwrap();
        // In the middle between two validations, whose losses are in the checkpoint, too.
        let killed = folder.path().join(name).join("killed");
        assert!(matches!(run(&killed, &shape, &settings, 17), Err(TrainError::Stopped { step: 17 })));
        let resumed = run(&killed, &shape, &settings, u64::MAX).unwrap();
        assert!(resumed.model == whole.model);
        assert_eq!(resumed.curve, whole.curve);
    }
}

#[test]
fn two_passes_of_half_a_batch_are_one_of_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let whole = TrainConfig { batch: 8, ..settings() };
    let halves = TrainConfig { batch: 4, accumulate: 2, ..settings() };
    let [whole, halves] = [("whole", whole), ("halves", halves)]
        .map(|(name, settings)| run(&folder.path().join(name), &shape(), &settings, u64::MAX).unwrap());
    let difference = (whole.curve[2].train_loss - halves.curve[2].train_loss).abs();
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn it_learns() {
    let folder = tempfile::tempdir().unwrap();
    for (name, shape) in [("gpt2", shape()), ("gpt1", ModelConfig::gpt1(1, 2, 16, 8, 13))] {
        let settings = TrainConfig { steps: 150, ..settings() };
        let trained = run(&folder.path().join(name), &shape, &settings, u64::MAX).unwrap();
        let (first, last) = (trained.curve[0].validation_loss, trained.curve.last().unwrap().validation_loss);
        assert!(last < 0.85 * first, "{first} to {last}");
    }
}

#[test]
fn divergence_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TrainConfig { learning_rate: f32::MAX, warmup_steps: 1, ..settings() };
    let error = run(folder.path(), &shape(), &settings, u64::MAX).unwrap_err();
    assert!(matches!(&error, TrainError::Diverged { batch, .. } if batch.contains("a.bin from token")), "{error}");
}

#[test]
fn a_training_out_of_patience_gives_its_best_model() {
    let folder = tempfile::tempdir().unwrap();
    // A rate that ruins what was learned while the warm-up was low.
    let settings = TrainConfig { steps: 400, learning_rate: 3.0, warmup_steps: 400, patience: Some(2), ..settings() };
    let trained = run(folder.path(), &shape(), &settings, u64::MAX).unwrap();
    let best = trained.curve.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)).unwrap();
    assert_eq!(trained.best_step, Some(best.step));
    assert_eq!(trained.curve.last().unwrap().step, best.step + 20);
    let again = run(folder.path(), &shape(), &settings, u64::MAX).unwrap();
    assert!(again.model == trained.model && again.best_step == trained.best_step);
}

#[test]
fn another_training_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &shape(), &settings(), u64::MAX).unwrap();
    let other = TrainConfig { seed: 2, ..settings() };
    let error = run(folder.path(), &shape(), &other, u64::MAX).unwrap_err();
    assert!(matches!(error, TrainError::OtherTraining { step: 30, .. }), "{error}");
    let wider = ModelConfig::gpt2(1, 2, 32, 8, 13);
    let error = run(folder.path(), &wider, &settings(), u64::MAX).unwrap_err();
    assert!(matches!(error, TrainError::OtherTraining { step: 30, .. }), "{error}");
}

#[test]
fn what_differs_from_another_training_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    run(path, &shape(), &settings(), u64::MAX).unwrap();
    let check = |shape: &ModelConfig, settings: &TrainConfig, expected: &str| {
        let message = run(path, shape, settings, u64::MAX).unwrap_err().to_string();
        assert!(message.ends_with(&format!("at step 30: {expected}")), "{message}");
    };
    let deeper = ModelConfig { layers: 2, ..shape() };
    check(&deeper, &settings(), "model.layers was 1, is 2");
    let slower = TrainConfig { learning_rate: 0.004, ..settings() };
    check(&shape(), &slower, "learning_rate was 0.01, is 0.004");
    let (data, held_out) = (tokens(path, "a.bin"), tokens(path, "b.bin"));
    fs::write(path.join("c.bin"), [7; 100]).unwrap();
    let other = TokenFiles::open(&[path.join("c.bin")], 8, 2000).unwrap();
    let train_on = |data: &TokenFiles, held_out: &TokenFiles, initial: InitialWeights<'_>| {
        let go_on = |_: TrainProgress<'_>| ControlFlow::Continue(());
        train(path, initial, &settings(), data, held_out, go_on).unwrap_err().to_string()
    };
    let shape = shape();
    let random = || InitialWeights::Random(&shape);
    assert!(train_on(&other, &held_out, random()).ends_with("30: the tokens to train on are others"));
    assert!(train_on(&data, &other, random()).ends_with("30: the tokens to validate on are others"));
    let own = InitialWeights::Model(Model::new(&shape, 5));
    assert!(train_on(&data, &held_out, own).ends_with("30: the weights of start_from are others"));
    let saved = saved_training(path).unwrap().unwrap();
    assert_eq!((saved.step, saved.settings), (30, Some(settings())));
}

#[test]
fn a_finished_training_goes_on_with_more_steps_and_another_rhythm() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &shape(), &settings(), u64::MAX).unwrap();
    let more = TrainConfig { steps: 50, evaluate_every: 7, evaluate_batches: 1, max_checkpoints: 3, ..settings() };
    let trained = run(folder.path(), &shape(), &more, u64::MAX).unwrap();
    let steps: Vec<u64> = trained.curve.iter().map(|row| row.step).collect();
    assert_eq!(steps, [10, 20, 30, 35, 42, 49, 50]);
    let message = run(folder.path(), &shape(), &TrainConfig { seed: 2, ..more }, u64::MAX).unwrap_err().to_string();
    assert!(message.contains("at step 50: seed was 1, is 2"), "{message}");
}

#[test]
fn checkpoints_come_apart_from_validations_and_the_best_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let often = TrainConfig { checkpoint_every: Some(4), ..settings() };
    fs::create_dir_all(folder.path()).unwrap();
    let (data, held_out) = (tokens(folder.path(), "a.bin"), tokens(folder.path(), "b.bin"));
    let mut saved = Vec::new();
    train(folder.path(), InitialWeights::Random(&shape()), &often, &data, &held_out, |progress| {
        saved.extend(progress.is_saved.then_some(progress.step));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(saved, [4, 8, 10, 12, 16, 20, 24, 28, 30]);
    assert!(folder.path().join("best.safetensors").exists());
    let csv = fs::read_to_string(folder.path().join("loss.csv")).unwrap();
    assert!(csv.starts_with("step,train_loss,validation_loss,learning_rate\n10,"), "{csv}");
    assert_eq!(csv.lines().count(), 4);
}

#[test]
fn two_trainings_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _held = TrainingLock::take(folder.path()).unwrap();
    let error = run(folder.path(), &shape(), &settings(), u64::MAX).unwrap_err();
    assert!(matches!(&error, TrainError::Locked(locked) if locked == folder.path()), "{error}");
}
