//! Looking inside a model: what each step of a forward pass gave, and what changes when a step is changed.
//!
//! [`Inspection`] gathers what one run over a text shows, for the terminal ([`Inspection::sections`]) and
//! as a page ([`Inspection::page`]). [`Intervention`] ablates or patches named activations, and [`Effect`]
//! says what that does to the prediction. [`record`] and [`write_activations`] keep activations for other
//! tools. All of it runs on [`Model::trace`](crate::Model::trace), which lists the names.
//!
//! Left out: gradients, sparse autoencoders, and searches over many interventions.

mod effect;
mod export;
mod intervention;
mod logits;
mod names;
mod page;
mod terminal;
mod view;

pub use effect::{Effect, EffectRow};
pub use export::{record, write_activations};
pub use intervention::{Change, Intervention};
pub use names::{matches, select_names};
pub use page::write_page;
pub use terminal::TerminalOptions;
pub use view::{BlockView, Inspection, LensCell, Prediction, TokenView, readable};

/// An inspection that cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InspectError {
    /// No activation has this name.
    #[error("no activation is called {pattern}; the nearest name is {nearest}")]
    UnknownName {
        /// The name or pattern that was asked for.
        pattern: String,
        /// A name that exists.
        nearest: String,
    },
    /// The text of an intervention is not one.
    #[error("{text} is not NAME[:head=K][:position=P]: {what}")]
    Syntax {
        /// What was given.
        text: String,
        /// What is wrong with it.
        what: String,
    },
    /// A head was asked for where there are none.
    #[error("{name} is not kept by head; attn.q, .k, .v, .scores, .pattern and .z are")]
    NoHeads {
        /// The activation.
        name: String,
    },
    /// A layer, head or position that does not exist.
    #[error("there is no {what} {given}: there are {len}, counted from 0")]
    OutOfRange {
        /// Layer, head or position.
        what: &'static str,
        /// The number asked for.
        given: usize,
        /// How many there are.
        len: usize,
    },
    /// Whole activations can only be patched from a text of the same length.
    #[error("the other text has {other} tokens, this one {own}: patch one position with :position=P")]
    Lengths {
        /// Tokens of the text that is patched from.
        other: usize,
        /// Tokens of the text that is patched.
        own: usize,
    },
    /// The page would be too large for a browser.
    #[error("a page of {tokens} tokens would hold {mebibytes} MiB of attention; {most} are the most: shorten the text")]
    PageTooLarge {
        /// Tokens of the text.
        tokens: usize,
        /// Size of the attention patterns.
        mebibytes: usize,
        /// The limit.
        most: usize,
    },
}
