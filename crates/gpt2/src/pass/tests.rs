//! Gradients against finite differences, and what a pass must not depend on.

use super::*;
use crate::testing::perturbed;

fn shapes() -> [ModelConfig; 2] {
    [ModelConfig::gpt2(2, 2, 8, 6, 11), ModelConfig::gpt1(2, 2, 8, 6, 11)]
}

const INPUTS: [u32; 8] = [1, 5, 0, 10, 2, 2, 3, 4];
const TARGETS: [u32; 8] = [5, 0, 10, 2, 7, 3, IGNORED, 9];

fn check_gradients(config: &ModelConfig, dropout: Option<Dropout>) {
    let model = perturbed(config, 0.3);
    let mut pass = Pass::new(config, Precision::F32, KeptActivations::ForBackward);
    let mut gradients = model.zero_gradients();
    pass.forward(&model, &INPUTS, 4, dropout);
    pass.language_model_loss(&model, &TARGETS, 1.0, &mut gradients);
    pass.backward(&model, &INPUTS, &mut gradients);
    for tensor in model.tensors() {
        // Along the gradient itself the slope is its norm, far above the rounding of f32.
        let gradient = &gradients.as_slice()[tensor.range.clone()];
        let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
        let step = 3e-3;
        let mut loss_at = |sign: f32| {
            let mut moved = model.clone();
            let weights = &mut moved.weights[tensor.range.clone()];
            weights.iter_mut().zip(gradient).for_each(|(w, g)| *w += sign * step * g / norm.max(1e-12));
            pass.forward(&moved, &INPUTS, 4, dropout);
            f64::from(pass.loss(&moved, &TARGETS))
        };
        let slope = (loss_at(1.0) - loss_at(-1.0)) / (2.0 * f64::from(step));
        let difference = (slope - f64::from(norm)).abs();
        assert!(difference < 0.01 * f64::from(norm) + 2e-4, "{}: {slope} for {norm}", tensor.name);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for config in shapes() {
        check_gradients(&config, None);
        check_gradients(&config, Some(Dropout { probability: 0.2, seed: 1, pass: 7 }));
    }
}

#[test]
fn gradients_of_two_passes_add_up() {
    for config in shapes() {
        let model = perturbed(&config, 0.3);
        let mut pass = Pass::new(&config, Precision::F32, KeptActivations::ForBackward);
        let (mut once, mut twice) = (model.zero_gradients(), model.zero_gradients());
        twice.as_mut_slice().fill(f32::NAN);
        twice.clear();
        for is_once in [true, false, false] {
            let gradients = if is_once { &mut once } else { &mut twice };
            pass.forward(&model, &INPUTS, 4, None);
            pass.language_model_loss(&model, &TARGETS, 0.5, gradients);
            pass.backward(&model, &INPUTS, gradients);
        }
        for (once, twice) in once.as_slice().iter().zip(twice.as_slice()) {
            assert!((2.0 * once - twice).abs() < 1e-5, "{once}, {twice}");
        }
    }
}

#[test]
fn the_future_is_not_seen() {
    for config in shapes() {
        let model = perturbed(&config, 0.3);
        let (long, short) = (model.hidden(&[1, 2, 3, 9, 9], 5), model.hidden(&[1, 2, 3], 3));
        for (a, b) in long[..3 * 8].iter().zip(&short) {
            assert!((a - b).abs() < 1e-5);
        }
        assert_eq!(model.next_logits(&[1, 2, 3]).len(), 11);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for config in [ModelConfig::gpt2(2, 2, 64, 96, 300), ModelConfig::gpt1(2, 2, 64, 96, 300)] {
        let inputs: Vec<u32> = (0..384).map(|i| i * 7 % 300).collect();
        let targets: Vec<u32> = (0..384).map(|i| i * 11 % 300).collect();
        let gradients = |threads, precision| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let model = Model::new(&config, 1);
                let mut gradients = model.zero_gradients();
                let mut pass = Pass::new(&config, precision, KeptActivations::ForBackward);
                let dropout = Dropout { probability: 0.1, seed: 1, pass: 0 };
                pass.forward(&model, &inputs, 96, Some(dropout));
                let loss = pass.language_model_loss(&model, &targets, 1.0, &mut gradients);
                pass.backward(&model, &inputs, &mut gradients);
                (loss.to_bits(), gradients.as_slice().iter().map(|g| g.to_bits()).collect::<Vec<_>>())
            })
        };
        for precision in [Precision::F32, Precision::Bf16] {
            let one = gradients(1, precision);
            assert!(one == gradients(2, precision));
            assert!(one == gradients(3, precision));
        }
    }
}

#[test]
fn an_untrained_model_knows_nothing() {
    for config in shapes() {
        let loss = Model::new(&config, 1).loss(&[1, 2, 3], &[2, 3, 4], 3);
        assert!((loss - 11f32.ln()).abs() < 0.3, "{loss}");
    }
}
