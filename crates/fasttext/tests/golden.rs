//! fastText's own answers, to the bit: models of every loss that it trained, dense and quantised.
//!
//! The bits are those of a build for any x86-64, which fuses nothing, with glibc's `exp` and `log`. Labels and their
//! order must be equal; a probability may differ in its last bits where glibc's single-precision `exp` is not rounded
//! correctly. What this crate answers is pinned to the bit beside it, so that every processor is held to it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use fasttext::{Model, Prediction, Scratch};

/// Four steps of a single float at 1: what fastText may differ by.
const MAX_DIFFERENCE: f32 = 4.0 * f32::EPSILON;

/// FNV-1a of the labels and the bits of all answers.
const DIGEST_OF_ALL_BITS: u64 = 0x2ef6_266c_fe26_cd90;

fn folder() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models")
}

struct Golden {
    model: String,
    text: String,
    k: usize,
    min_probability: f32,
    answers: Vec<(String, f32)>,
}

fn golden() -> Vec<Golden> {
    let questions = std::fs::read_to_string(format!("{}/questions.txt", folder())).unwrap();
    let questions: Vec<&str> = questions.split('\n').collect();
    let table = std::fs::read_to_string(format!("{}/golden.tsv", folder())).unwrap();
    let parse = |line: &str| {
        let [model, question, k, min_probability, answers] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line:?}")
        };
        let answer = |field: &str| {
            let (label, bits) = field.rsplit_once(':').unwrap();
            (label.to_owned(), f32::from_bits(u32::from_str_radix(bits, 16).unwrap()))
        };
        Golden {
            model: model.to_owned(),
            text: questions[question.parse::<usize>().unwrap()].to_owned(),
            k: k.parse().unwrap_or(usize::MAX),
            min_probability: min_probability.parse().unwrap(),
            answers: answers.split_terminator(' ').map(answer).collect(),
        }
    };
    table.lines().map(parse).collect()
}

fn digest(digest: u64, prediction: &Prediction<'_>) -> u64 {
    let bytes = prediction.label.bytes().chain(prediction.probability.to_bits().to_le_bytes());
    bytes.fold(digest, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn answers_are_those_of_fasttext() {
    let mut scratch = Scratch::default();
    let mut model = (String::new(), None);
    let (mut answers, mut with_other_bits) = (0, 0);
    let mut bits = 0xcbf2_9ce4_8422_2325;
    for golden in golden() {
        if model.0 != golden.model {
            model = (golden.model.clone(), Some(Model::open(format!("{}/{}", folder(), golden.model)).unwrap()));
        }
        let asked = model.1.as_ref().unwrap();
        let got = asked.predict_with(&mut scratch, &golden.text, golden.k, golden.min_probability);
        let place = format!("{}, k = {}: {:?}", golden.model, golden.k, golden.text);
        let labels: Vec<&str> = got.iter().map(|prediction| prediction.label).collect();
        let want: Vec<&str> = golden.answers.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels, want, "{place}");
        for (prediction, (_, want)) in got.iter().zip(&golden.answers) {
            let difference = (prediction.probability - want).abs();
            assert!(difference <= MAX_DIFFERENCE, "{place}: {prediction:?}, not {want}");
            answers += 1;
            with_other_bits += u32::from(difference > 0.0);
            bits = digest(bits, prediction);
        }
        assert_eq!(got, asked.predict(&golden.text, golden.k, golden.min_probability), "{place}");
    }
    println!("{with_other_bits} of {answers} probabilities differ from fastText's in their last bits");
    assert_eq!(bits, DIGEST_OF_ALL_BITS, "other bits than on other processors: {bits:#x}");
}

#[test]
fn a_newline_is_a_space() {
    let model = Model::open(format!("{}/softmax-pruned.ftz", folder())).unwrap();
    let (lines, line) = ("Die Schleuse\nist zu.\n\n", "Die Schleuse ist zu.");
    assert_eq!(model.predict(lines, 3, 0.0), model.predict(line, 3, 0.0));
}
