//! Changing named activations in the middle of a forward pass.

use std::collections::BTreeMap;
use std::ops::Range;

use gpt2::{Activation, Model};

use crate::inspect::{InspectError, record, select_names};

/// What an activation is replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// Zeros.
    Zero,
    /// Its mean over the sequence's positions. A row of `attn.scores` or `attn.pattern` gets the mean of its own
    /// past instead, so that a query attends to its whole past alike and never to its future.
    Mean,
    /// The same activation of another text's run.
    Patch,
}

/// A change to all activations whose names fit a pattern, or to one head or one position of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervention {
    /// A name, in which `*` stands for any text.
    pub pattern: String,
    /// Only this head.
    pub head: Option<usize>,
    /// Only this position.
    pub position: Option<usize>,
    /// What takes their place.
    pub change: Replacement,
}

impl Intervention {
    /// Reads an ablation: `NAME[:head=K][:position=P][:mean]`; zeros unless it says `mean`.
    ///
    /// ```
    /// use gpt2_lab::inspect::{Replacement, Intervention};
    /// let ablation = Intervention::ablation("blocks.3.attn.z:head=1:mean").unwrap();
    /// assert_eq!((ablation.head, ablation.change), (Some(1), Replacement::Mean));
    /// ```
    ///
    /// # Errors
    /// A part that is none of these.
    pub fn ablation(text: &str) -> Result<Intervention, InspectError> {
        match text.rsplit_once(':') {
            Some((rest, "mean")) => Self::parse(text, rest, Replacement::Mean),
            Some((rest, "zero")) => Self::parse(text, rest, Replacement::Zero),
            _ => Self::parse(text, text, Replacement::Zero),
        }
    }

    /// Reads a patch: `NAME[:head=K][:position=P]`.
    ///
    /// # Errors
    /// A part that is none of these.
    pub fn patch(text: &str) -> Result<Intervention, InspectError> {
        Self::parse(text, text, Replacement::Patch)
    }

    fn parse(whole: &str, text: &str, change: Replacement) -> Result<Intervention, InspectError> {
        let fault = |what: String| InspectError::Syntax { text: whole.to_owned(), what };
        let mut parts = text.split(':');
        let pattern = parts.next().filter(|name| !name.is_empty()).ok_or_else(|| fault("it has no name".into()))?;
        let mut intervention = Intervention { pattern: pattern.to_owned(), head: None, position: None, change };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let number = || value.parse().map_err(|_| fault(format!("{part} has no number")));
            match key {
                "head" => intervention.head = Some(number()?),
                "position" => intervention.position = Some(number()?),
                _ => return Err(fault(format!("{part} is unknown"))),
            }
        }
        Ok(intervention)
    }

    /// Logits (T, V) of a run with all `interventions`; `other` is the text that is patched from.
    ///
    /// Where two change the same values, the later one has the last word.
    ///
    /// # Errors
    /// Names, heads and positions that do not exist; texts of different lengths.
    ///
    /// # Panics
    /// As [`Model::trace`], and if something is patched without `other`.
    pub fn run(
        model: &Model,
        tokens: &[u32],
        interventions: &[Intervention],
        other: Option<&[u32]>,
    ) -> Result<Activation, InspectError> {
        let all = model.activation_names();
        let mut names = Vec::new();
        for intervention in interventions {
            let fitting = select_names(&all, &[&intervention.pattern])?;
            intervention.check(model, tokens.len(), other.map(<[u32]>::len), &fitting)?;
            names.push(fitting);
        }
        let patched: Vec<&str> = names.concat();
        let from = other.map(|other| record(model, other, &patched)).unwrap_or_default();
        Ok(model.trace(tokens, |name, activation| {
            for (intervention, _) in interventions.iter().zip(&names).filter(|(_, names)| names.contains(&name)) {
                intervention.apply(name, activation, &from);
            }
        }))
    }

    fn check(&self, model: &Model, own: usize, other: Option<usize>, names: &[&str]) -> Result<(), InspectError> {
        if let Some(head) = self.head {
            let headless = names.iter().find(|name| !is_by_head(name));
            if let Some(name) = headless {
                return Err(InspectError::NoHeads { name: (*name).to_owned() });
            }
            in_range("head", head, model.config().heads)?;
        }
        if let Some(position) = self.position {
            in_range("position", position, own)?;
        }
        match (self.change, other) {
            (Replacement::Patch, None) => panic!("a patch needs a text that it comes from"),
            (Replacement::Patch, Some(other)) => match self.position {
                Some(position) => in_range("position", position, other),
                None if other != own => Err(InspectError::Lengths { other, own }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn apply(&self, name: &str, activation: &mut Activation, from: &BTreeMap<String, Activation>) {
        let &[.., positions, columns] = &activation.shape[..] else { return };
        let heads = if is_by_head(name) { activation.shape[0] } else { 1 };
        let one_or_all = |one: Option<usize>, len: usize| one.map_or(0..len, |one| one..one + 1);
        for head in one_or_all(self.head, heads) {
            let mean = self.mean(name, activation, head * positions..(head + 1) * positions);
            for position in one_or_all(self.position, positions) {
                let row = &mut activation.data[(head * positions + position) * columns..][..columns];
                let row = if is_causal(name) { &mut row[..=position] } else { row };
                match self.change {
                    Replacement::Zero => row.fill(0.0),
                    Replacement::Mean if is_causal(name) => {
                        let mean = row.iter().sum::<f32>() / row.len() as f32;
                        row.fill(mean);
                    }
                    Replacement::Mean => row.copy_from_slice(&mean),
                    Replacement::Patch => {
                        let from = &from[name];
                        let (positions, columns) = (from.shape[from.shape.len() - 2], from.shape[from.shape.len() - 1]);
                        row.copy_from_slice(&from.data[(head * positions + position) * columns..][..row.len()]);
                    }
                }
            }
        }
    }

    /// The mean of the rows in a range, column by column; empty if the intervention needs no mean.
    fn mean(&self, name: &str, activation: &Activation, rows: Range<usize>) -> Vec<f32> {
        if self.change != Replacement::Mean || is_causal(name) {
            return Vec::new();
        }
        let len = rows.len() as f32;
        let mut mean = vec![0.0; *activation.shape.last().expect("an activation has axes")];
        for row in activation.rows().skip(rows.start).take(rows.len()) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / len);
        }
        mean
    }
}

/// Whether an activation's first axis is the head.
fn is_by_head(name: &str) -> bool {
    [".attn.q", ".attn.k", ".attn.v", ".attn.z"].iter().any(|end| name.ends_with(end)) || is_causal(name)
}

/// Whether an activation's last two axes are query and key.
fn is_causal(name: &str) -> bool {
    name.ends_with(".attn.scores") || name.ends_with(".attn.pattern")
}

/// Checks that a number is below `len`.
pub(crate) fn in_range(what: &'static str, given: usize, len: usize) -> Result<(), InspectError> {
    if given < len { Ok(()) } else { Err(InspectError::OutOfRange { what, given, len }) }
}

#[cfg(test)]
mod tests {
    use gpt2::ModelConfig;

    use super::*;

    const TOKENS: [u32; 4] = [3, 1, 4, 1];

    fn model() -> Model {
        let mut model = Model::new(&ModelConfig::gpt2(2, 2, 8, 6, 11), 3);
        model.weights_mut().iter_mut().for_each(|weight| *weight *= 8.0);
        model
    }

    /// Runs one intervention and gives the activation of this name as it was left.
    fn changed(text: &str, name: &str) -> Activation {
        let intervention = Intervention::ablation(text).unwrap();
        let mut seen = None;
        model().trace(&TOKENS, |at, activation| {
            if at == name {
                intervention.apply(at, activation, &BTreeMap::new());
                seen = Some(activation.clone());
            }
        });
        seen.unwrap()
    }

    #[test]
    fn zeros_reach_one_head_or_one_position() {
        let z = changed("blocks.0.attn.z:head=1", "blocks.0.attn.z"); // (2, 4, 4)
        assert!(z.data[..16].iter().all(|&x| x != 0.0) && z.data[16..].iter().all(|&x| x == 0.0));
        let x = changed("blocks.0.resid_post:position=2", "blocks.0.resid_post"); // (4, 8)
        let zeros: Vec<bool> = x.rows().map(|row| row.iter().all(|&x| x == 0.0)).collect();
        assert_eq!(zeros, [false, false, true, false]);
    }

    #[test]
    fn means_are_over_positions_and_never_over_the_future() {
        let x = changed("blocks.0.mlp.out:mean", "blocks.0.mlp.out");
        assert!(x.rows().all(|row| row == &x.data[..8]));
        let pattern = changed("blocks.0.attn.pattern:mean", "blocks.0.attn.pattern");
        let third: Vec<f32> = pattern.rows().nth(2).unwrap().to_vec();
        assert!(third[..3].iter().all(|weight| (weight - 1.0 / 3.0).abs() < 1e-6) && third[3] == 0.0);
    }

    #[test]
    fn patching_the_whole_stream_makes_the_other_run() {
        let (model, other) = (model(), [5, 6, 7, 8]);
        let patch = Intervention::patch("blocks.0.resid_post").unwrap();
        let patched = Intervention::run(&model, &TOKENS, &[patch], Some(&other)).unwrap();
        assert_eq!(patched, model.trace(&other, |_, _| ()));
    }

    #[test]
    fn a_position_is_patched_from_a_text_of_another_length() {
        let model = model();
        let patch = Intervention::patch("blocks.*.attn.pattern:head=0:position=1").unwrap();
        let patched = Intervention::run(&model, &TOKENS, std::slice::from_ref(&patch), Some(&[5, 6])).unwrap();
        let plain = model.trace(&TOKENS, |_, _| ());
        assert_eq!(patched.data[..11], plain.data[..11]);
        assert_ne!(patched.data[11..22], plain.data[11..22]);
        let short = Intervention::run(&model, &TOKENS, &[patch], Some(&[5]));
        assert_eq!(short.unwrap_err(), InspectError::OutOfRange { what: "position", given: 1, len: 1 });
    }

    #[test]
    fn what_does_not_exist_is_named() {
        let run = |text: &str| {
            Intervention::ablation(text)
                .and_then(|ablation| Intervention::run(&model(), &TOKENS, &[ablation], None))
                .unwrap_err()
                .to_string()
        };
        assert!(run("blocks.7.attn.z").contains("did you mean blocks."));
        assert!(run("blocks.0.ln_1:head=0").contains("has no heads"));
        assert!(run("blocks.0.attn.z:head=2").contains("there is no head 2"));
        assert!(run("embed:position=9").contains("there is no position 9"));
        assert!(run("embed:heads=1").contains("heads=1 is unknown"));
        assert!(run("embed:head=one").contains("has no number"));
        assert!(run(":mean").contains("no name"));
        let patch = Intervention::patch("embed").unwrap();
        let lengths = Intervention::run(&model(), &TOKENS, &[patch], Some(&[1]));
        assert_eq!(lengths.unwrap_err(), InspectError::Lengths { other: 1, own: 4 });
    }
}
