//! Output for the comparison with PyTorch by `benches/gpt2_parity.py`: `parity MODEL TOKENS.bin OUT` reads a model of
//! Hugging Face and one sequence of 16-bit ids. It writes OUT/logits.bin (f32), OUT/gradients.safetensors and, after
//! ten steps of training on that sequence, their losses to standard output.

use std::ops::ControlFlow;
use std::path::PathBuf;

use gpt2::{InitialWeights, TokenFiles, TrainConfig, load_model, save_gradients, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, tokens, out] = &arguments[..] else { return Err("parity MODEL TOKENS.bin OUT".into()) };
    let model = load_model(model)?;
    let bytes = std::fs::read(tokens)?;
    let ids: Vec<u32> = bytes.chunks_exact(2).map(|two| u32::from(u16::from_le_bytes([two[0], two[1]]))).collect();
    let (inputs, targets) = (&ids[..ids.len() - 1], &ids[1..]);

    let logits = model.logits(inputs, inputs.len());
    let logits: Vec<u8> = logits.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(out.join("logits.bin"), logits)?;
    let mut gradients = model.zero_gradients();
    model.loss_and_gradients(inputs, targets, inputs.len(), &mut gradients);
    save_gradients(&out.join("gradients.safetensors"), &model, &gradients)?;

    let settings: TrainConfig = toml::from_str(
        "steps = 10\nbatch = 1\nlearning_rate = 1e-3\nwarmup_steps = 3\nweight_decay = 0.1\nmax_gradient_norm = 1.0\n\
         seed = 1\nevaluate_every = 10\nevaluate_batches = 1",
    )?;
    let shape = model.config();
    let tokens = TokenFiles::open(std::slice::from_ref(tokens), shape.context, shape.vocab_size)?;
    let run = out.join("training");
    train(&run, InitialWeights::Model(model.clone()), &settings, &tokens, &tokens, |progress| {
        println!("{}", progress.loss);
        ControlFlow::Continue(())
    })?;
    Ok(())
}
