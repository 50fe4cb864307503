#![doc = include_str!("../README.md")]

mod adamw;
mod attention;
mod checkpoint;
mod config;
mod loss_curve;
mod matmul;
mod matvec;
mod model;
mod ops;
mod pass;
mod plan;
pub mod random;
mod sample;
mod score;
pub mod tensor_file;
#[cfg(test)]
mod testing;
mod throughput;
mod token_files;
mod trace;
mod train;
mod weights;

pub use adamw::{AdamW, AdamWUpdate, BETA_2_FINE_TUNING, BETA_2_PRE_TRAINING, global_norm};
pub use checkpoint::{SavedTraining, delete_training, saved_training};
pub use config::{ConfigError, Family, ModelConfig, TrainConfig};
pub use loss_curve::{LossRow, loss_curve, loss_curve_file};
pub use matmul::{Kernel, KernelError, Precision, UnknownPrecision};
pub use model::{Gradients, Model, ParameterTensor};
pub use pass::{IGNORED, KeptActivations, Pass};
pub use plan::{MemoryPlan, ParameterPlan, TrainingPlan};
pub use sample::{
    BeamOptions, Hypothesis, SampleEvent, SampleOptions, StopReason, TextStream, beam_search, sample, sample_batch,
};
pub use score::{ScoreRequest, TokenScore};
pub use tensor_file::CheckpointError;
pub use throughput::{ProductLayout, StepTime, peak_gflops, product_gflops, step_times};
pub use token_files::{TokenFileError, TokenFiles};
pub use trace::Activation;
pub use train::{InitialWeights, TrainError, TrainProgress, Trained, TrainingLock, train, train_locked};
pub use weights::{begin_of_text_id, end_of_text_ids, load_model, model_config, save_gradients, save_model};
