//! Supervised [fastText](https://fasttext.cc) models, `.bin` and quantised `.ftz`: reads them and predicts labels.
//!
//! Labels are those of fastText's own `predict`, in its order, ties included; probabilities differ from its by rounding
//! alone. They are **the same bits on every processor**: each sum is taken over single floats in fastText's order, one
//! accumulator per sum, so that wider vectors hold more sums and never split one; Rust does not fuse a product into a
//! sum; and `exp` and `log` come from the crate `libm`, since the system's choose other code on other processors.
//!
//! Left out: training, quantising, word vectors, unsupervised models, autotuning, and text of several lines: a newline
//! counts as a space, which is how fastText's callers pass documents to it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/softmax-pruned.ftz");
//! let model = fasttext::Model::open(path)?;
//! let best = model.predict("The ferry leaves at noon.", 1, 0.0);
//! assert_eq!(best[0].label.strip_prefix(fasttext::LABEL_PREFIX), Some("english"));
//! # Ok(())
//! # }
//! ```

mod dictionary;
mod error;
mod loss;
mod matrix;
mod model;
mod reader;
mod top;

pub use error::{OpenError, ReadError};
pub use model::{LABEL_PREFIX, Model, Prediction, Scratch};
