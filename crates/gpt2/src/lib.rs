//! A small GPT-2 on a CPU: train on token shards, save what Hugging Face loads, sample.
//!
//! The model is that of the paper: pre-norm blocks, a final norm, learned positions, tied embeddings,
//! GELU (tanh form), residual projections initialised smaller by 1/√(2·layers). Forward and backward
//! passes are written by hand over a matrix product; every tensor carries its shape in a comment with
//! the paper's letters: **B** batch, **T** positions, **C** channels, **H** heads, **V** vocabulary,
//! **R** = B·T rows.
//!
//! The same settings and data give the same weights to the bit for any number of threads on one machine,
//! and after any kill and resume: a batch is a function of (seed, step), sums have a fixed order, and a
//! checkpoint holds everything that a step reads.
//!
//! Left out: GPUs, several machines, any layer that the two papers do not have.

mod adamw;
mod attention;
mod checkpoint;
mod config;
mod curve;
mod data;
pub mod evaluate;
mod finetune;
pub mod inspect;
mod matmul;
mod matvec;
mod model;
mod ops;
mod pass;
mod plan;
mod random;
mod rate;
mod sample;
mod score;
mod tensors;
mod trace;
mod train;
mod weights;

pub use checkpoint::forget_training;
pub use config::{Family, ModelConfig, TrainConfig};
pub use curve::{LossRow, loss_curve, loss_curve_file};
pub use data::{DataError, Tokens};
pub use finetune::{
    Answer, Classifier, DataSetError, EpochRow, Example, FineTuneConfig, FineTuneError, FineTuneProgress, FineTuned,
    Metrics, Pooling, Task, Texts, Transfer, finetune, hold_out, mean_and_deviation,
};
pub use matmul::Precision;
pub use model::{Gradients, Model};
pub use plan::{MemoryPlan, ParameterPlan, Plan};
pub use rate::{Layout, peak_gflops, product_gflops, step_milliseconds};
pub use sample::{BeamOptions, Event, Hypothesis, SampleOptions, Stop, TextStream, beam_search, sample, sample_batch};
pub use score::{Score, Span};
pub use tensors::CheckpointError;
pub use trace::Activation;
pub use train::{Beginning, Progress, TrainError, Trained, train};
pub use weights::{load_model, save_gradients, save_model};
