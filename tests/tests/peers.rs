//! What other tools make of the same input: tiktoken and Hugging Face for ids, warcio and FastWARC for archives.
//!
//! Needs a Python that has them: `WEBTEXT_PEERS` names it (`.ci/run` makes one). Skips with a printed
//! reason without it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use webtext_tests::{binary, check, names, one_in, peers, real_data, root, skip, unpack};

/// What is taken of a page: tiktoken encodes some 12 MB/s per thread, and the pages are of 700 MB.
const MAX_PAGE_BYTES: u64 = 64 << 10;

/// The Python that has these modules.
fn python(test: &str, modules: &[&str]) -> Option<Command> {
    peers(test, modules).map(Command::new)
}

/// Encodes each document of text and JSON Lines files with tiktoken and compares with a file of ids, in which
/// each ends with <|endoftext|>. Invalid UTF-8 is replaced by Python's decoder here, and by ours there.
const TIKTOKEN: &str = r#"
import sys, json, array, itertools, os, tiktoken
def bytes_of():
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table = {chr(b): b for b in printable}
    table.update({chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in printable)})
    return table
table = bytes_of(); ranks = {}
order = [b for b in range(256) if b in set(range(33, 127)) | set(range(161, 173)) | set(range(174, 256))]
order += [b for b in range(256) if b not in set(order)]
for i, b in enumerate(order): ranks[bytes([b])] = i
for line in open(sys.argv[1], encoding='utf-8').read().split('\n')[1:-1]:
    ranks[b''.join(bytes([table[c]]) for part in line.split(' ') for c in part)] = len(ranks)
pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
gpt2 = tiktoken.Encoding('gpt2', pat_str=pattern, mergeable_ranks=ranks, special_tokens={'<|endoftext|>': 50256})
def documents():
    for path in sys.argv[3:]:
        if path.endswith('.jsonl'):
            for n, line in enumerate(open(path, 'rb'), 1): yield f'{path}, line {n}', json.loads(line)['text']
        else:
            text = open(path, 'rb').read().decode('utf-8', 'replace')
            if text: yield path, text # an empty file has no document
ours = array.array('H'); ours.frombytes(open(sys.argv[2], 'rb').read())
if sys.byteorder == 'big': ours.byteswap()
count = at = 0; documents = documents()
while some := list(itertools.islice(documents, 128)):
    for (place, text), want in zip(some, gpt2.encode_ordinary_batch([t for _, t in some], num_threads=os.cpu_count())):
        want = array.array('H', [*want, 50256]); got = ours[at:at + len(want)]
        if want != got:
            n = next((n for n, (w, g) in enumerate(zip(want, got)) if w != g), len(got))
            sys.exit(f'{place}: token {n} of {len(want)}: {want[n:n + 8]}, not {got[n:n + 8]}, behind {gpt2.decode(want[max(0, n - 8):n])!r}')
        at += len(want); count += 1
assert at == len(ours), f'{len(ours) - at} more ids than there are'
print(count)
"#;

/// Checks that `bpe encode` and tiktoken give the same ids for files in a folder; returns how many documents
/// they hold. Both read the files themselves.
fn check_ids(mut python: Command, folder: &Path, files: &[String]) -> u64 {
    let ids = folder.join("ids.bin");
    let mut encode = Command::new(binary("bpe"));
    encode.current_dir(folder).arg("encode").args(files).args(["--lossy", "-q", "--json", "-o"]).arg(&ids);
    let summary: serde_json::Value = serde_json::from_slice(&check(&mut encode, 0).stdout).unwrap();
    python.current_dir(folder).args(["-c", TIKTOKEN]).arg(root().join("crates/bpe/assets/gpt2/vocab.bpe")).arg(&ids);
    let output = check(python.args(files), 0);
    let count: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert_eq!(summary["documents"], count);
    count
}

#[test]
fn ids_are_those_of_tiktoken() {
    let Some(python) = python("ids_are_those_of_tiktoken", &["tiktoken"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    let mut push = |text: &str| lines.push_str(&format!("{}\n", serde_json::json!({ "text": text })));
    for entry in std::fs::read_dir(root().join("fixtures/texts")).unwrap() {
        push(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    // Every code point, each between letters and after a space; then in neighbourhoods of other classes.
    let chars: Vec<char> = (1..0x11_0000u32).filter_map(char::from_u32).collect();
    for chunk in chars.chunks(4096) {
        push(&chunk.iter().flat_map(|&c| ['a', c, ' ', c, '1', c]).collect::<String>());
        push(&chunk.iter().collect::<String>());
    }
    let mut state = 1u64;
    for _ in 0..300 {
        let random: String = (0..400)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let pick = (state >> 33) as usize;
                if pick.is_multiple_of(3) {
                    [' ', '\n', '\'', 's', '\u{a0}', '1', 'é', '!'][pick / 3 % 8]
                } else {
                    chars[pick % chars.len()]
                }
            })
            .collect();
        push(&random);
    }
    std::fs::write(folder.path().join("texts.jsonl"), lines).unwrap();
    check_ids(python, folder.path(), &["texts.jsonl".into()]);
}

/// Pages as they are, tags and scripts included: long words, odd characters, broken encodings. Then prose,
/// texts of 60 languages, and every code point in every order that the collection has.
#[test]
fn ids_of_real_texts_are_those_of_tiktoken() {
    let test = "ids_of_real_texts_are_those_of_tiktoken";
    let Some(python) = python(test, &["tiktoken"]) else { return };
    let Some(data) = real_data(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in names(&data) {
        let Some((set, file)) = name.split_once('/') else { continue };
        let to = folder.path().join(set);
        if !["extract", "text", "unicode", "langid"].contains(&set) {
            continue;
        }
        std::fs::create_dir_all(&to).unwrap();
        if file.ends_with(".tar.zst") {
            if !unpack(&data.join(&name), &to) {
                return skip(test, format!("{name} cannot be unpacked"));
            }
        } else {
            let plain = File::create(to.join(file.trim_end_matches(".zst"))).unwrap();
            let packed = File::open(data.join(&name)).unwrap();
            if file.ends_with(".zst") {
                zstd::stream::copy_decode(packed, plain).unwrap();
            } else {
                std::io::copy(&mut &packed, &mut &plain).unwrap();
            }
        }
    }
    // A .json file would be taken for JSON Lines; those here are of the collections, not of the web.
    let mut files: Vec<String> = names(folder.path()).into_iter().filter(|name| !name.ends_with(".json")).collect();
    let max_folder_bytes =
        std::env::var("WEBTEXT_PARITY_MB").map_or(8 / one_in(2) as u64, |mb| mb.parse::<u64>().unwrap()) << 20;
    let mut left_bytes: BTreeMap<PathBuf, u64> = BTreeMap::new();
    files.retain(|name| {
        let path = folder.path().join(name);
        let left = left_bytes.entry(path.parent().unwrap().to_owned()).or_insert(max_folder_bytes);
        let file = File::options().write(true).open(&path).unwrap();
        let max_bytes = if name.contains("/html/") { MAX_PAGE_BYTES.min(*left) } else { *left };
        // A line of JSON that is cut off would be no text.
        let len_bytes = file.metadata().unwrap().len();
        let len_bytes = if name.ends_with(".jsonl") { len_bytes } else { len_bytes.min(max_bytes) };
        file.set_len(len_bytes).unwrap();
        *left = left.saturating_sub(len_bytes);
        len_bytes > 0
    });
    let documents = check_ids(python, folder.path(), &files);
    assert!(documents > 5_000, "{documents}");
}

/// Trains with Hugging Face's trainer on the same files, compares merges, and loads what `bpe train` wrote.
const HUGGING_FACE: &str = r#"
import sys, json, glob
from tokenizers import Tokenizer, models, trainers, pre_tokenizers
ours, size = sys.argv[1], int(sys.argv[2]); files = sys.argv[3:]
theirs = Tokenizer(models.BPE()); theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trainer = trainers.BpeTrainer(vocab_size=size - 1, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
theirs.train_from_iterator((open(f, encoding='utf-8').read() for f in files), trainer)
want = json.loads(theirs.to_str())['model']['merges']
got = [line.split(' ') for line in open(ours + '/merges.txt', encoding='utf-8').read().split('\n')[1:-1]]
assert [list(m) for m in want] == got, next((i, w, g) for i, (w, g) in enumerate(zip(want, got)) if list(w) != g)
loaded = Tokenizer.from_file(ours + '/tokenizer.json')
pair = Tokenizer(models.BPE.from_file(ours + '/vocab.json', ours + '/merges.txt'))
pair.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
import base64, tiktoken
ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in open(ours + '/tokenizer.tiktoken'))}
pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
third = tiktoken.Encoding('ours', pat_str=pattern, mergeable_ranks=ranks, special_tokens={'<|endoftext|>': size - 1})
for f in files:
    text = open(f, encoding='utf-8').read()
    ids = loaded.encode(text).ids
    assert ids == pair.encode(text).ids == third.encode_ordinary(text), f
    print(*ids)
"#;

#[test]
fn training_and_files_are_those_of_hugging_face() {
    let Some(mut python) = python("training_and_files_are_those_of_hugging_face", &["tokenizers", "tiktoken"]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut texts: Vec<_> =
        std::fs::read_dir(root().join("fixtures/texts")).unwrap().map(|e| e.unwrap().path()).collect();
    texts.sort();
    let tokenizer = folder.path().join("tokenizer");
    check(
        Command::new(binary("bpe"))
            .arg("train")
            .args(&texts)
            .args(["--vocab-size", "3000", "-q", "-o"])
            .arg(&tokenizer),
        0,
    );
    let output = check(python.args(["-c", HUGGING_FACE]).arg(&tokenizer).arg("3000").args(&texts), 0);
    let ids = folder.path().join("ids.txt");
    check(
        Command::new(binary("bpe"))
            .arg("encode")
            .args(&texts)
            .args(["--format", "ids", "-q", "--tokenizer"])
            .arg(&tokenizer)
            .arg("-o")
            .arg(&ids),
        0,
    );
    assert!(String::from_utf8_lossy(&output.stdout) == std::fs::read_to_string(ids).unwrap());
}

/// Trains with rustbpe on GPT-2's pattern and compares the tokens in their order.
const RUSTBPE: &str = r#"
import sys, base64, rustbpe
ours, size = sys.argv[1], int(sys.argv[2])
theirs = rustbpe.Tokenizer()
pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
theirs.train_from_iterator((open(f, encoding='utf-8').read() for f in sys.argv[3:]), size - 1, pattern=pattern)
want = [bytes(token) for token, rank in sorted(theirs.get_mergeable_ranks(), key=lambda entry: entry[1])][256:]
got = [base64.b64decode(line.split(' ')[0]) for line in open(ours + '/tokenizer.tiktoken')][256:]
assert want == got, next((i, w, g) for i, (w, g) in enumerate(zip(want, got)) if w != g)
print(len(got), 'merges')
"#;

#[test]
fn training_with_its_order_of_ties_is_that_of_rustbpe() {
    let Some(mut python) = python("training_with_its_order_of_ties_is_that_of_rustbpe", &["rustbpe"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut texts: Vec<_> =
        std::fs::read_dir(root().join("fixtures/texts")).unwrap().map(|e| e.unwrap().path()).collect();
    texts.sort();
    if let Some(data) = real_data("the real half of training_with_its_order_of_ties_is_that_of_rustbpe") {
        texts.push(data.join("text/tinyshakespeare.txt"));
    }
    let mut train = Command::new(binary("bpe"));
    train.arg("train").args(&texts).args(["--vocab-size", "4000", "--ties", "raw-bytes", "-q", "-o"]);
    check(train.arg(folder.path()), 0);
    let training: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("training.json")).unwrap()).unwrap();
    assert_eq!(training["ties"], "raw_bytes");
    check(python.args(["-c", RUSTBPE]).arg(folder.path()).arg("4000").args(&texts), 0);
}

#[test]
fn archives_pass_other_validators() {
    let Some(mut python) = python("archives_pass_other_validators", &["warcio", "fastwarc"]) else { return };
    // What pages.pack writes goes through the same writer as what is fetched.
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("pages");
    std::fs::create_dir(&pages).unwrap();
    std::fs::write(pages.join("a.html"), "<p>The ferry leaves at noon and comes back before dark.").unwrap();
    let text = std::fs::read_to_string(root().join("pipelines/quickstart.toml")).unwrap();
    let recipe = folder.path().join("recipe.toml");
    std::fs::write(
        &recipe,
        format!("[pages]{}", text.split("[model]").next().unwrap().split("[pages]").nth(1).unwrap()),
    )
    .unwrap();
    let set = [
        format!("pages.paths=[{:?}]", pages.to_str().unwrap()),
        "pages.from=html".into(),
        "pages.only_links=false".into(),
    ];
    let flags = set.iter().flat_map(|s| ["--set", s.as_str()]);
    check(
        Command::new(binary("webtext"))
            .arg("build")
            .arg(&recipe)
            .args(flags)
            .args(["-q", "--out"])
            .arg(folder.path().join("run")),
        0,
    );
    let packed = names(&folder.path().join("run/pages"));
    let packed = packed.iter().find(|name| name.ends_with(".warc.gz")).unwrap();
    let archive = folder.path().join("run/pages").join(packed);
    let code = "import sys\nfrom warcio.cli import main\ntry: main(['check', sys.argv[1]])\nexcept SystemExit as end: assert not end.code, end.code\n\
        from fastwarc.warc import ArchiveIterator\nrecords = list(ArchiveIterator(open(sys.argv[1], 'rb')))\nassert len(records) == 1, records\n";
    check(python.args(["-c", code]).arg(&archive), 0);
}

/// Reads token files as the trainers do that they are for, without their code: what nanoGPT's `get_batch`,
/// llm.c's `DataLoader` and Megatron's `IndexedDataset` ask of a file. Prints the documents' ids that each finds.
const TRAINERS: &str = r#"
import json, struct, sys
import numpy as np
end = 50256
def split(ids, before):
    documents, current = [], None if before else []
    for i in ids:
        if i == end:
            if current is not None: documents.append(current)
            current = []
        else: current.append(int(i))
    return documents + [current] if before else documents
def nanogpt(path):
    data = np.memmap(path, dtype=np.uint16, mode='r')
    block = 8
    starts = np.random.default_rng(1).integers(0, len(data) - block, 4)
    x = np.stack([data[i:i + block].astype(np.int64) for i in starts])
    y = np.stack([data[i + 1:i + 1 + block].astype(np.int64) for i in starts])
    assert (x[:, 1:] == y[:, :-1]).all() and x.max() <= end
    return split(data, before=False)
def llmc(path):
    raw = open(path, 'rb').read()
    header = np.frombuffer(raw[:1024], dtype=np.int32)
    assert header[0] == 20240520 and header[1] == 1, 'magic and version'
    assert len(raw) == 1024 + 2 * int(header[2]), 'the file is as long as its header says'
    return split(np.frombuffer(raw, dtype=np.uint16, offset=1024), before=True)
def megatron(path):
    index = open(path[:-4] + '.idx', 'rb').read() if path.endswith('.bin') else None
    assert index[:9] == b'MMIDIDX\0\0'
    version, code, sequences, documents = struct.unpack_from('<QBQQ', index, 9)
    assert version == 1 and np.dtype(np.uint16) == {1: np.uint8, 4: np.int32, 8: np.uint16}[code]
    at = 34
    lengths = np.frombuffer(index, np.int32, sequences, at); at += 4 * sequences
    pointers = np.frombuffer(index, np.int64, sequences, at); at += 8 * sequences
    bounds = np.frombuffer(index, np.int64, documents, at); at += 8 * documents
    assert at == len(index) and bounds[-1] == sequences
    data = np.memmap(path, dtype=np.uint16, mode='r')
    assert sum(map(int, lengths)) == len(data)
    found = [data[p // 2:p // 2 + n].tolist() for p, n in zip(pointers, lengths)]
    assert all(ids[-1] == end for ids in found)
    return [ids[:-1] for ids in found]
print(json.dumps([nanogpt(sys.argv[1]), llmc(sys.argv[2]), megatron(sys.argv[3])]))
"#;

#[test]
fn trainers_read_the_shards() {
    let Some(mut python) = python("trainers_read_the_shards", &["numpy"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let texts = ["One document.", "Another, the longest of the three documents here.", "Ünïcode — and the last"];
    let lines: String = texts.iter().map(|text| format!("{}\n", serde_json::json!({"text": text}))).collect();
    std::fs::write(folder.path().join("texts.jsonl"), lines).unwrap();
    let encode = |format: &str, out: &str| {
        let mut encode = Command::new(binary("bpe"));
        encode.current_dir(folder.path()).args(["encode", "texts.jsonl", "-q", "--format", format, "-o", out]);
        check(&mut encode, 0);
    };
    encode("nanogpt", "nanogpt.bin");
    encode("llmc", "llmc.bin");
    encode("megatron", "megatron.bin");
    encode("ids", "ids.txt");
    let ids = std::fs::read_to_string(folder.path().join("ids.txt")).unwrap();
    let expected: Vec<Vec<u32>> =
        ids.lines().map(|line| line.split(' ').map(|id| id.parse().unwrap()).collect()).collect();
    python.current_dir(folder.path()).args(["-c", TRAINERS, "nanogpt.bin", "llmc.bin", "megatron.bin"]);
    let found: Vec<Vec<Vec<u32>>> = serde_json::from_slice(&check(&mut python, 0).stdout).unwrap();
    for (trainer, found) in ["nanoGPT", "llm.c", "Megatron"].iter().zip(found) {
        assert_eq!(found, expected, "{trainer}");
    }
}
