//! Speed of matrix products and of training on this machine, and the rate that they could have at most.

use std::time::Instant;

use crate::adamw::{AdamW, AdamWUpdate, global_norm};
use crate::config::ModelConfig;
use crate::matmul::{self, Kernel, Matrix, MatrixMut, Precision, Start, Threads, multiply_by};
use crate::model::Model;
use crate::pass::{KeptActivations, Pass};
use crate::random::{Stream, bits};

/// Which factor of a product lies transposed in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductLayout {
    /// Neither, `x · w`: a forward pass.
    Plain,
    /// The right one, `x · wᵀ`: the gradient of an input, and logits.
    RightTransposed,
    /// The left one, `xᵀ · y`: the gradient of a weight.
    LeftTransposed,
}

/// Rate of a product of `rows × length` by `length × columns` on all threads, in GFLOP/s: the highest of `tries`.
///
/// # Panics
/// If the processor lacks the kernel's instructions.
pub fn product_gflops(
    kernel: Kernel,
    (rows, columns, length): (usize, usize, usize),
    layout: ProductLayout,
    precision: Precision,
    tries: usize,
) -> f64 {
    let (a, b) = (vec![0.5; rows * length], vec![0.25; length * columns]);
    let mut to = vec![0.0; rows * columns];
    let left = match layout {
        ProductLayout::LeftTransposed => Matrix::new(&a, length, rows, rows).transposed(),
        _ => Matrix::new(&a, rows, length, length),
    };
    let right = match layout {
        ProductLayout::RightTransposed => Matrix::new(&b, columns, length, length).transposed(),
        _ => Matrix::new(&b, length, columns, columns),
    };
    let seconds = (0..tries.max(1)).map(|_| {
        let begun = busy_seconds();
        let target = MatrixMut::new(&mut to, rows, columns, columns);
        multiply_by(kernel, target, Start::Zero, 1.0, left, right, Threads::All, precision);
        busy_seconds() - begun
    });
    2.0 * (rows * columns * length) as f64 / seconds.fold(f64::INFINITY, f64::min) / 1e9
}

/// This machine's peak in GFLOP/s: the rate at which all threads multiply and add in registers, with the instructions of
/// the process's kernel, measured for about a tenth of a second. For a kernel of another crate the rate of its products
/// of 1536³.
///
/// # Panics
/// As [`Kernel::chosen`] has an error.
pub fn peak_gflops(precision: Precision) -> f64 {
    let kernel = Kernel::of_process();
    let products = || product_gflops(kernel, (1536, 1536, 1536), ProductLayout::Plain, precision, 5);
    matmul::peak_gflops(kernel, precision).unwrap_or_else(products)
}

/// How long a training step took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepTime {
    /// By the clock.
    pub milliseconds: f64,
    /// That all threads ran, added up.
    pub cpu_milliseconds: f64,
}

/// Times of `steps` training steps (forward, backward, clipping, AdamW) over `batch` sequences of `t` random tokens.
pub fn step_times(config: &ModelConfig, batch: usize, t: usize, precision: Precision, steps: usize) -> Vec<StepTime> {
    let mut model = Model::new(config, 1);
    let mut gradients = model.zero_gradients();
    let mut optimiser = AdamW::new(model.parameters());
    let mut pass = Pass::new(config, precision, KeptActivations::ForBackward);
    let v = config.vocab_size as u64;
    let ids: Vec<u32> = (0..(batch * t) as u64 + 1).map(|i| (bits(1, Stream::BATCHES, i) % v) as u32).collect();
    let (inputs, targets) = (&ids[..batch * t], &ids[1..]);
    (0..steps as u64)
        .map(|step| {
            let (begun, busy_begun) = (Instant::now(), busy_seconds());
            gradients.clear();
            pass.forward(&model, inputs, t, None);
            pass.language_model_loss(&model, targets, 1.0, &mut gradients);
            pass.backward(&model, inputs, &mut gradients);
            let gradient_scale = 1.0 / global_norm(&[gradients.as_slice()]).max(1.0);
            let update = AdamWUpdate { weight_decay: 0.1, gradient_scale, ..AdamWUpdate::new(step, 6e-4) };
            optimiser.update_model(&mut model, &gradients, update);
            let busy = (busy_seconds() - busy_begun) * rayon::current_num_threads() as f64;
            StepTime { milliseconds: 1e3 * begun.elapsed().as_secs_f64(), cpu_milliseconds: 1e3 * busy }
        })
        .collect()
}

/// Seconds that the threads of this process have run, per thread of its pool: what other processes do does not count, as
/// it would in the time of day.
#[cfg(unix)]
fn busy_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    (time.tv_sec as f64 + time.tv_nsec as f64 / 1e9) / rayon::current_num_threads() as f64
}

/// The time of day, in seconds from the first call on.
#[cfg(not(unix))]
fn busy_seconds() -> f64 {
    static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed().as_secs_f64()
}
