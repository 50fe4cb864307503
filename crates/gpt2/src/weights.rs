//! Models on disk: `config.json` and `model.safetensors` in Hugging Face's format; OpenAI's names are read, too.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use user_error::count;

use crate::config::{Family, ModelConfig};
use crate::model::{Gradients, Model, ParameterTensor};
use crate::tensor_file::{self, CheckpointError, TensorData, TensorFile, TensorSet, write_whole};

/// Writes `config.json` and `model.safetensors` into a folder, as `GPT2LMHeadModel` (GPT-1: `OpenAIGPTLMHeadModel`)
/// loads them.
///
/// The output projection is tied to `wte` and therefore absent, as in Hugging Face's own files. Each file
/// appears when it is whole, `config.json` last.
///
/// # Errors
/// What the system refuses.
pub fn save_model(folder: &Path, model: &Model, end_of_text: Option<u32>) -> Result<(), CheckpointError> {
    save_weights(&folder.join("model.safetensors"), model)?;
    let json = serde_json::to_string_pretty(&config_json(model.config(), end_of_text)).expect("plain values");
    write_whole(&folder.join("config.json"), format!("{json}\n").as_bytes())
}

/// Writes the weights alone.
pub(crate) fn save_weights(path: &Path, model: &Model) -> Result<(), CheckpointError> {
    tensor_file::write(path, named(model, "", &model.weights), ("format", "pt".into()))
}

/// Writes gradients under the names of the weights, for comparison with other programs.
///
/// # Errors
/// What the system refuses.
pub fn save_gradients(path: &Path, model: &Model, gradients: &Gradients) -> Result<(), CheckpointError> {
    tensor_file::write(path, named(model, "", gradients.as_slice()), ("format", "pt".into()))
}

/// All tensors of a buffer in the model's order, each with `prefix` before its name.
pub(crate) fn named<'a>(model: &'a Model, prefix: &str, flat: &'a [f32]) -> Vec<(String, TensorData<'a>)> {
    let tensor = |tensor: &'a ParameterTensor| {
        let data = &flat[tensor.range.clone()];
        (format!("{prefix}{}", tensor.name), TensorData { shape: &tensor.shape, data })
    };
    model.tensors().iter().map(tensor).collect()
}

fn config_json(config: &ModelConfig, end_of_text: Option<u32>) -> Value {
    let mut json = json!({
        "n_layer": config.layers, "n_head": config.heads, "n_embd": config.channels,
        "n_positions": config.context, "n_ctx": config.context, "vocab_size": config.vocab_size,
        "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "tie_word_embeddings": true,
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        "bos_token_id": end_of_text, "eos_token_id": end_of_text,
    });
    let own = match config.family {
        Family::Gpt1 => [
            ("architectures", json!(["OpenAIGPTLMHeadModel"])),
            ("model_type", json!("openai-gpt")),
            ("afn", json!("gelu")),
        ],
        Family::Gpt2 => [
            ("architectures", json!(["GPT2LMHeadModel"])),
            ("model_type", json!("gpt2")),
            ("activation_function", json!("gelu_new")),
        ],
    };
    own.into_iter().for_each(|(key, value)| json[key] = value);
    json
}

/// Reads a folder that [`save_model`] or Hugging Face wrote, of either family.
///
/// # Errors
/// Missing or malformed files; a model whose computation differs from the two papers' (another activation, norms with
/// another ε, a separate output projection); weights that are missing, of another shape or not finite.
pub fn load_model(folder: &Path) -> Result<Model, CheckpointError> {
    let path = folder.join("config.json");
    let json = read_json(&path)?;
    let config = parse_config(&json).map_err(|what| CheckpointError::malformed(&path, what))?;
    let (path, tensors) = open_weights(folder)?;
    let model = load_tensors(&path, &tensors, "", &config)?;
    if json["tie_word_embeddings"].as_bool() == Some(false)
        && !tensors.names().iter().any(|name| is_output_projection(name))
    {
        let what = "config.json says that the output projection is not tied to the embeddings \
                    (tie_word_embeddings), but there is no lm_head.weight";
        return Err(CheckpointError::malformed(&path, what));
    }
    refuse_unused(&path, &tensors, &config)?;
    Ok(model)
}

/// Whether a tensor is the output projection.
fn is_output_projection(name: &str) -> bool {
    matches!(name, "lm_head.weight" | "transformer.lm_head.weight")
}

/// Tensors that a message names at most.
const MAX_SHOWN: usize = 4;

/// Checks that every tensor is one of the model: blocks beyond the shape, biases and adapters change what is computed.
/// Masks, which attention has here in any case, are none.
fn refuse_unused(path: &Path, tensors: &TensorSet, config: &ModelConfig) -> Result<(), CheckpointError> {
    let layout = Model::tensors_of(config);
    let known: HashSet<String> = layout.iter().flat_map(|tensor| aliases("", &tensor.name)).collect();
    let is_mask = |name: &str| name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
    let is_unused = |name: &String| !known.contains(name) && !is_output_projection(name) && !is_mask(name);
    let mut unused: Vec<String> = tensors.names().into_iter().filter(is_unused).collect();
    if unused.is_empty() {
        return Ok(());
    }
    unused.sort_unstable();
    let more = unused.len().saturating_sub(MAX_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = format!(
        "a model of the shape in config.json, with {}, has no {}{more}: what it computes would be another model's",
        count(config.layers as u64, "block"),
        unused[..unused.len().min(MAX_SHOWN)].join(", ")
    );
    Err(CheckpointError::malformed(path, what))
}

/// The JSON of a file, with or without a byte order mark.
fn read_json(path: &Path) -> Result<Value, CheckpointError> {
    let bytes = fs::read(path).map_err(|source| CheckpointError::io("read", path, source))?;
    let json = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(json).map_err(|error| CheckpointError::malformed(path, error.to_string()))
}

/// The shape of a model by its folder's `config.json`, or by that file.
///
/// # Errors
/// A file that cannot be read or is no JSON; a model whose computation differs from the two papers'.
pub fn model_config(folder_or_file: &Path) -> Result<ModelConfig, CheckpointError> {
    let path = if folder_or_file.is_dir() { folder_or_file.join("config.json") } else { folder_or_file.to_path_buf() };
    parse_config(&read_json(&path)?).map_err(|what| CheckpointError::malformed(&path, what))
}

/// The ids that end a text: the `eos_token_id` of a folder's `generation_config.json` or else of its `config.json`, one or
/// a list; none where neither says anything.
///
/// # Errors
/// A file that cannot be read or is no JSON; what is no id.
pub fn end_of_text_ids(folder: &Path) -> Result<Vec<u32>, CheckpointError> {
    let generation = folder.join("generation_config.json");
    if generation.exists() {
        let ids = end_of_text_ids_in(&generation)?;
        if !ids.is_empty() {
            return Ok(ids);
        }
    }
    end_of_text_ids_in(&folder.join("config.json"))
}

/// The id after which a text begins that has no prompt: the `bos_token_id` of a folder's `generation_config.json` or else
/// of its `config.json`; `None` where neither has one.
///
/// # Errors
/// A file that cannot be read or is no JSON.
pub fn begin_of_text_id(folder: &Path) -> Result<Option<u32>, CheckpointError> {
    for name in ["generation_config.json", "config.json"] {
        let path = folder.join(name);
        let json = if path.exists() { read_json(&path)? } else { Value::Null };
        if let Some(id) = json["bos_token_id"].as_u64().and_then(|id| u32::try_from(id).ok()) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn end_of_text_ids_in(path: &Path) -> Result<Vec<u32>, CheckpointError> {
    let json = read_json(path)?;
    let ids = match &json["eos_token_id"] {
        Value::Null => return Ok(Vec::new()),
        Value::Array(ids) => ids.clone(),
        id => vec![id.clone()],
    };
    let id = |id: &Value| {
        let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
        number.ok_or_else(|| CheckpointError::malformed(path, format!("eos_token_id: {id} is no id of a token")))
    };
    ids.iter().map(id).collect()
}

/// The tensors of a folder: `model.safetensors`, or the parts that an index names.
fn open_weights(folder: &Path) -> Result<(PathBuf, TensorSet), CheckpointError> {
    let path = folder.join("model.safetensors");
    let index = folder.join("model.safetensors.index.json");
    if !path.exists() && index.exists() {
        let malformed = |what: String| CheckpointError::malformed(&index, what);
        let json = read_json(&index)?;
        let map = json["weight_map"].as_object().ok_or_else(|| malformed("it has no weight_map".into()))?;
        let names: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
        // A name is that of a file beside the index, and leads nowhere else.
        if let Some(name) = names.iter().find(|name| name.contains(['/', '\\'])) {
            return Err(malformed(format!("the part {name:?} is no name of a file in this folder")));
        }
        let parts = names.iter().map(|name| TensorFile::open(&folder.join(name)));
        let parts = TensorSet::of(parts.collect::<Result<_, _>>()?);
        let mut tensors = parts.names();
        tensors.sort_unstable();
        if let Some(twice) = tensors.windows(2).find(|two| two[0] == two[1]) {
            return Err(malformed(format!("the tensor {} stands in two of its parts", twice[0])));
        }
        return Ok((index, parts));
    }
    let pickled = ["pytorch_model.bin", "pytorch_model.bin.index.json"].iter().find(|name| folder.join(name).exists());
    if let Some(name) = pickled.filter(|_| !path.exists()) {
        let what = "it is a pickle, which can run any code and is not read. transformers converts it: \
                    AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True)";
        return Err(CheckpointError::malformed(&folder.join(name), what));
    }
    let file = TensorFile::open(&path)?;
    Ok((path, TensorSet::of(vec![file])))
}

/// A model's weights out of tensors with `prefix` before their names.
pub(crate) fn load_tensors(
    path: &Path,
    file: &TensorSet,
    prefix: &str,
    config: &ModelConfig,
) -> Result<Model, CheckpointError> {
    // The shape is only what a file claims: it is checked against all tensors before memory is allocated.
    if config.layers > file.tensors() {
        return Err(CheckpointError::malformed(
            path,
            format!("it has fewer tensors than {}", count(config.layers as u64, "layer")),
        ));
    }
    let layout = Model::tensors_of(config);
    let mut names = Vec::with_capacity(layout.len());
    for tensor in &layout {
        let name = aliases(prefix, &tensor.name).into_iter().find(|name| file.shape(name).is_some());
        names.push(name.ok_or_else(|| {
            CheckpointError::malformed(path, format!("the tensor {prefix}{} is missing", tensor.name))
        })?);
    }
    let mut model = Model::zeros(config);
    for (tensor, name) in layout.iter().zip(names) {
        file.read(&name, &tensor.shape, &mut model.weights[tensor.range.clone()])?;
    }
    if let Some(head) = ["lm_head.weight", "transformer.lm_head.weight"].iter().find(|name| file.shape(name).is_some())
    {
        let mut projection = vec![0.0; model.wte().len()];
        file.read(head, &[config.vocab_size, config.channels], &mut projection)?;
        if projection != model.wte() {
            return Err(CheckpointError::malformed(path, "its output projection is not tied to its embeddings"));
        }
    }
    Ok(model)
}

/// The possible names of a tensor: Hugging Face's with and without its prefix, OpenAI's of 2019
/// (`model/h0/attn/c_attn/w`).
fn aliases(prefix: &str, name: &str) -> [String; 3] {
    let openai = match name.strip_prefix("h.") {
        Some(rest) => format!("h{}", rest.replace('.', "/")),
        None => name.replace('.', "/"),
    };
    let openai = match openai.rsplit_once('/') {
        Some((of @ ("wte" | "wpe"), _)) => of.to_owned(),
        Some((of, "weight")) => format!("{of}/{}", if of.contains("ln_") { "g" } else { "w" }),
        Some((of, _)) => format!("{of}/b"),
        None => openai,
    };
    [format!("{prefix}{name}"), format!("transformer.{prefix}{name}"), format!("model/{openai}")]
}

/// The shape in Hugging Face's `config.json`, if this crate computes what it asks for.
fn parse_config(json: &Value) -> Result<ModelConfig, String> {
    let family = match json["model_type"].as_str() {
        Some("gpt2") | None => Family::Gpt2,
        Some("openai-gpt") => Family::Gpt1,
        Some(other) => return Err(format!("model_type is {other}; known are gpt2 and openai-gpt")),
    };
    let number = |name: &str| {
        let number = json[name].as_u64().and_then(|n| usize::try_from(n).ok());
        number.ok_or_else(|| format!("no number {name}"))
    };
    let config = ModelConfig {
        family,
        layers: number("n_layer")?,
        heads: number("n_head")?,
        channels: number("n_embd")?,
        context: number("n_positions")?,
        vocab_size: number("vocab_size")?,
    };
    config.check().map_err(|error| error.to_string())?;
    let (key, known) = match family {
        Family::Gpt1 => ("afn", &["gelu", "gelu_new"][..]),
        Family::Gpt2 => ("activation_function", &["gelu_new", "gelu_pytorch_tanh"][..]),
    };
    if let Some(activation) = json[key].as_str().filter(|activation| !known.contains(activation)) {
        return Err(format!("{key} is {activation}; known is {}", known[0]));
    }
    if json["layer_norm_epsilon"].as_f64().is_some_and(|epsilon| (epsilon - 1e-5).abs() > 1e-9) {
        return Err("layer_norm_epsilon is not 1e-5".into());
    }
    let inner = json["n_inner"].as_u64();
    if inner.is_some_and(|inner| inner != 4 * config.channels as u64) {
        return Err("n_inner is not four times n_embd".into());
    }
    // `reorder_and_upcast_attn` asks for the precision that attention has here in any case, and untied embeddings are
    // read if the two tensors are equal.
    for key in ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] {
        if json[key].as_bool() == Some(true) {
            return Err(format!("{key} is true, which this program does not compute"));
        }
    }
    if json["scale_attn_weights"].as_bool() == Some(false) {
        return Err("scale_attn_weights must be true".into());
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ModelConfig {
        ModelConfig::gpt2(1, 2, 4, 5, 7)
    }

    #[test]
    fn a_model_comes_back() {
        for config in [config(), ModelConfig::gpt1(2, 2, 4, 5, 7)] {
            let folder = tempfile::tempdir().unwrap();
            let model = Model::new(&config, 1);
            save_model(folder.path(), &model, Some(6)).unwrap();
            assert_eq!(load_model(folder.path()).unwrap(), model);
        }
    }

    #[test]
    fn a_model_in_parts_and_one_with_a_projection_of_its_own_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let model = Model::new(&config(), 1);
        save_model(folder, &model, None).unwrap();
        let mut json = config_json(&config(), None);
        (json["tie_word_embeddings"], json["reorder_and_upcast_attn"]) = (json!(false), json!(true));
        fs::write(folder.join("config.json"), json.to_string()).unwrap();
        fs::remove_file(folder.join("model.safetensors")).unwrap();
        let mut tensors = named(&model, "transformer.", &model.weights);
        let [rows, columns] = [config().vocab_size, config().channels];
        let shape = [rows, columns];
        tensors.push(("lm_head.weight".into(), TensorData { shape: &shape, data: model.wte() }));
        let mut map = serde_json::Map::new();
        for (number, part) in tensors.chunks(7).enumerate() {
            let name = format!("model-{number}.safetensors");
            part.iter().for_each(|(tensor, _)| _ = map.insert(tensor.clone(), json!(name)));
            tensor_file::write(&folder.join(name), part.to_vec(), ("format", "pt".into())).unwrap();
        }
        let index = folder.join("model.safetensors.index.json");
        fs::write(&index, json!({"metadata": {}, "weight_map": map}).to_string()).unwrap();
        assert_eq!(load_model(folder).unwrap(), model);
        let stale = tensors[7..8].to_vec();
        tensor_file::write(&folder.join("model-stale.safetensors"), stale, ("format", "pt".into())).unwrap();
        map.insert("stale".into(), json!("model-stale.safetensors"));
        fs::write(&index, json!({"metadata": {}, "weight_map": map}).to_string()).unwrap();
        assert!(load_model(folder).unwrap_err().to_string().contains("in two of its parts"));
        fs::write(&index, r#"{"weight_map": {"wte.weight": "../../etc/passwd"}}"#).unwrap();
        assert!(matches!(load_model(folder), Err(CheckpointError::Malformed { .. })));
        fs::remove_file(&index).unwrap();
        fs::write(folder.join("pytorch_model.bin"), b"PK").unwrap();
        assert!(load_model(folder).unwrap_err().to_string().contains("safe_serialization"));
    }

    #[test]
    fn what_would_be_left_out_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let model = Model::new(&ModelConfig { layers: 2, ..config() }, 1);
        let check = |extra: &[&str], change: &dyn Fn(&mut Value), expected: Option<&str>| {
            let mut json = config_json(model.config(), None);
            change(&mut json);
            // With a byte order mark, as some editors write it.
            fs::write(folder.join("config.json"), format!("\u{feff}{json}")).unwrap();
            let mut tensors = named(&model, "", &model.weights);
            tensors.extend(extra.iter().map(|name| (String::from(*name), TensorData { shape: &[1], data: &[0.5] })));
            tensor_file::write(&folder.join("model.safetensors"), tensors, ("format", "pt".into())).unwrap();
            let found = load_model(folder).err().map(|error| error.to_string());
            match expected {
                Some(expected) => assert!(found.clone().is_some_and(|what| what.contains(expected)), "{found:?}"),
                None => assert_eq!(found, None),
            }
        };
        check(&[], &|_| (), None);
        check(&["h.0.attn.bias", "transformer.h.1.attn.masked_bias"], &|_| (), None);
        check(&[], &|json| json["n_layer"] = json!(1), Some("with 1 block, has no h.1.attn.c_attn.bias, "));
        check(&["lm_head.bias"], &|_| (), Some("has no lm_head.bias"));
        check(&["h.0.attn.c_attn.lora_A.weight", "score.weight"], &|_| (), Some("lora_A.weight, score.weight"));
        check(&[], &|json| json["tie_word_embeddings"] = json!(false), Some("there is no lm_head.weight"));
    }

    #[test]
    fn the_ids_that_end_a_text_are_a_number_a_list_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let check = |config: Value, generation: Option<Value>, expected: Option<&[u32]>| {
            fs::write(folder.path().join("config.json"), json!({"eos_token_id": config}).to_string()).unwrap();
            let path = folder.path().join("generation_config.json");
            match generation {
                Some(id) => fs::write(path, json!({"eos_token_id": id}).to_string()).unwrap(),
                None => _ = fs::remove_file(path),
            }
            assert_eq!(end_of_text_ids(folder.path()).ok().as_deref(), expected);
        };
        check(json!(5), None, Some(&[5]));
        check(json!([299, 5]), None, Some(&[299, 5]));
        check(json!(null), None, Some(&[]));
        check(json!(5), Some(json!([7, 8])), Some(&[7, 8]));
        check(json!(5), Some(json!(null)), Some(&[5]));
        check(json!(-1), None, None);
        check(json!("x"), None, None);
        check(json!([5, 1.5]), None, None);
    }

    #[test]
    fn openais_names_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::new(&config(), 1);
        save_model(folder.path(), &model, None).unwrap();
        let mut tensors = Vec::new();
        let shapes: Vec<Vec<usize>> = model.tensors().iter().map(|tensor| [&[1], &tensor.shape[..]].concat()).collect();
        for (tensor, shape) in model.tensors().iter().zip(&shapes) {
            let name = aliases("", &tensor.name)[2].clone();
            tensors.push((name, TensorData { shape, data: &model.weights[tensor.range.clone()] }));
        }
        let names: Vec<&str> = tensors.iter().map(|(name, _)| &name[..]).collect();
        for name in ["model/wte", "model/h0/ln_1/g", "model/h0/attn/c_attn/w", "model/h0/mlp/c_proj/b", "model/ln_f/b"]
        {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        tensor_file::write(&folder.path().join("model.safetensors"), tensors, ("k", "v".into())).unwrap();
        assert_eq!(load_model(folder.path()).unwrap(), model);
    }

    #[test]
    fn what_is_not_computed_is_refused() {
        let good = config_json(&config(), None);
        assert_eq!(parse_config(&good), Ok(config()));
        for (key, value) in [
            ("activation_function", json!("relu")),
            ("layer_norm_epsilon", json!(1e-6)),
            ("n_inner", json!(10)),
            ("scale_attn_by_inverse_layer_idx", json!(true)),
            ("scale_attn_weights", json!(false)),
            ("model_type", json!("llama")),
            ("n_head", json!(3)),
            ("n_layer", json!(-1)),
            ("n_embd", json!(0)),
        ] {
            let mut json = good.clone();
            json[key] = value;
            assert!(parse_config(&json).is_err(), "{key}");
        }
    }

    #[test]
    fn hostile_models_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::new(&config(), 1);
        save_model(folder.path(), &model, None).unwrap();
        let path = folder.path().join("model.safetensors");
        let whole = fs::read(&path).unwrap();
        let mut not_a_number = whole.clone();
        let end = not_a_number.len();
        not_a_number[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        for bytes in [&whole[..whole.len() - 3], &not_a_number] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(load_model(folder.path()), Err(CheckpointError::Malformed { .. })));
        }
        // A shape that would take all memory, with the weights of a small one.
        fs::write(&path, whole).unwrap();
        let mut json = config_json(&config(), None);
        json["vocab_size"] = json!(u32::MAX);
        json["n_layer"] = json!(2_000_000);
        fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
        assert!(matches!(load_model(folder.path()), Err(CheckpointError::Malformed { .. })));
    }
}
