#![doc = include_str!("../README.md")]

mod dictionary;
mod error;
mod loss;
mod matrix;
mod model;
mod reader;
mod top;

pub use error::{OpenError, ReadError};
pub use model::{LABEL_PREFIX, Model, Prediction, Scratch};
