//! Inspecting a model: the result of each step of a forward pass, and the effect of changing one.
//!
//! [`Inspection`] gathers the numbers of one run over a text, for the terminal ([`Inspection::sections`]) and
//! as a page ([`Inspection::page`]) or a picture ([`Inspection::attention_svg`]); [`values()`] has those of activations. [`Intervention`] ablates or patches named activations, and [`Effect`]
//! says what that does to the prediction. [`record`] and [`write_activations`] keep activations for other
//! tools. All of it runs on [`Model::trace`](gpt2::Model::trace), which lists the names.
//!
//! Left out: gradients, sparse autoencoders, and searches over many interventions.

mod effect;
mod export;
mod intervention;
mod logits;
mod names;
mod page;
mod picture;
mod terminal;
mod values;
mod view;

pub use effect::{Effect, EffectRow};
pub use export::{record, write_activations};
pub use intervention::{Intervention, Replacement};
pub use names::{matches, select_names};
pub use page::write_page;
pub use terminal::TerminalOptions;
pub use values::values;
pub use view::{BlockView, Inspection, LensCell, Prediction, TokenView, readable};

/// An inspection failed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InspectError {
    /// No activation has this name.
    #[error("no activation is called {pattern}{meant}")]
    UnknownName {
        /// The given name or pattern.
        pattern: String,
        /// "did you mean" and a name that exists, in brackets; empty if none is like it.
        meant: String,
    },
    /// An intervention is not written as one.
    #[error("{text} is not NAME[:head=K][:position=P]: {what}")]
    Syntax {
        /// What was given.
        text: String,
        /// What is wrong with it.
        what: String,
    },
    /// A head was given for an activation that has none.
    #[error("{name} has no heads; only attn.q, .k, .v, .scores, .pattern and .z have")]
    NoHeads {
        /// The activation.
        name: String,
    },
    /// A layer, head or position that does not exist.
    #[error("there is no {what} {given}: it must be below {len}")]
    OutOfRange {
        /// Layer, head or position.
        what: &'static str,
        /// The given number.
        given: usize,
        /// How many there are.
        len: usize,
    },
    /// Whole activations can only be patched from a text of the same length.
    #[error("the texts have different lengths, {other} tokens and {own}: patch one position with :position=P")]
    Lengths {
        /// Tokens of the text that is patched from.
        other: usize,
        /// Tokens of the text that is patched.
        own: usize,
    },
    /// The page would be too large for a browser.
    #[error("a page of {tokens} tokens would hold {mebibytes} MiB of attention patterns, more than {max}")]
    PageTooLarge {
        /// Tokens of the text.
        tokens: usize,
        /// Size of the attention patterns.
        mebibytes: usize,
        /// The limit.
        max: usize,
    },
}
