//! What the inputs are, and where a training goes.

use super::*;

#[test]
fn settings_are_told_from_texts_and_do_not_stand_among_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let are = |inputs: &[PathBuf]| settings_among(inputs).map(|found| found.is_some()).ok();
    assert_eq!(are(&[path("a.toml", "")]), Some(true));
    assert_eq!(are(&[path("settings", "[data]\ntrain = \"x\"")]), Some(true));
    assert_eq!(are(&[path("a.txt", "A ferry.")]), Some(false));
    assert_eq!(are(&[path("b", "x"), path("c", "A ferry. [data]")]), Some(false));
    assert_eq!(are(&[path("a.toml", ""), path("a.txt", "A ferry.")]), None);
    assert_eq!(are(&[path("a.txt", "A ferry."), path("c", "[data]")]), None);
}

#[test]
fn texts_of_one_stem_have_folders_of_their_own() {
    let check = |input: &str, expected: &str| assert_eq!(beside(Path::new(input)), Path::new(expected));
    check("/x/my.txt", "/x/my-model");
    check("/x/my.jsonl", "/x/my.jsonl-model");
    check("my.txt.gz", "my.txt.gz-model");
    check("texts/", "texts-model");
    let here = std::env::current_dir().unwrap();
    let name = format!("{}-model", here.file_name().unwrap().to_string_lossy());
    assert_eq!(beside(Path::new(".")), here.with_file_name(name));
}

#[test]
fn what_is_overridden_is_what_is_chosen() {
    let budget = Budget { minutes: None, parameters: Some(150_000), peak_gflops: 50.0 };
    let set = ["model.layers=1", "model.context=40", "train.steps=70"].map(str::to_owned);
    let (file, seconds) = choose(&budget, 300, 10_000, &set).unwrap();
    assert_eq!((file.model.layers, file.model.context, file.train.steps), (1, 40, 70));
    assert_eq!((file.train.warmup_steps, file.train.evaluate_every), (7, 10));
    assert!(seconds > 0.0);
    let toml = file.to_toml().unwrap();
    assert!(toml.contains("layers = 1\n") && toml.contains("steps = 70\n"), "{toml}");
    let check = |setting: &str, expected: &str| {
        let message = format!("{:#}", check_overrides(&budget, 300, &[setting.to_owned()]).unwrap_err());
        assert!(message.contains(expected), "{message}");
    };
    check("train.stepps=3", "stepps");
    check("train.learning_rate=fast", "learning_rate");
    check("train.dropout=2.0", "dropout is 2");
    check("model.layers=0", "layers is 0");
    check_overrides(&budget, 300, &["model.heads=7".to_owned()]).unwrap();
    assert!(refuse_overrides_of_data(&["data.output=x".to_owned()]).is_err());
}

#[test]
fn a_special_token_in_a_text_becomes_its_id_only_if_asked() {
    let tokenizer = Tokenizer::gpt2();
    let ids = |special| {
        let texts = [Ok(vec!["a<|endoftext|>b".to_owned()])];
        encode(&tokenizer, texts.into_iter(), special).unwrap()
    };
    assert_eq!(ids(true), [64, 50256, 65, 50256].map(TokenId));
    assert!(ids(false).len() > 4);
}
