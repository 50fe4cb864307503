#![allow(clippy::single_range_in_vec_init, reason = "spans are lists of ranges")]

use proptest::prelude::*;

use super::*;
use crate::share;

/// The readable twin: compares every window with every other one.
fn twin(documents: &[Vec<u8>], settings: &SubstringSettings) -> Vec<Vec<Range<u64>>> {
    let (step, len) = (settings.unit.len_bytes(), settings.window_bytes());
    let windows: Vec<(usize, usize)> = documents
        .iter()
        .enumerate()
        .flat_map(|(number, document)| {
            (0..(document.len() + 1).saturating_sub(len)).step_by(step).map(move |at| (number, at))
        })
        .collect();
    let bytes = |(number, at): (usize, usize)| &documents[number][at..at + len];
    let counts = |window: (usize, usize), other: (usize, usize)| match settings.copies {
        Copies::All => other != window,
        Copies::Later => other.0 < window.0 || (other.0 == window.0 && other.1 + len <= window.1),
    };
    let mut repeated: Vec<Vec<bool>> = documents.iter().map(|document| vec![false; document.len()]).collect();
    for &window in &windows {
        if windows.iter().any(|&other| counts(window, other) && bytes(other) == bytes(window)) {
            repeated[window.0][window.1..window.1 + len].fill(true);
        }
    }
    repeated.iter().map(|bytes| runs(bytes)).collect()
}

fn runs(bytes: &[bool]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, set)| **set) {
        match runs.last_mut() {
            Some(last) if last.end == at as u64 => last.end += 1,
            _ => runs.push(at as u64..at as u64 + 1),
        }
    }
    runs
}

fn found(documents: &[Vec<u8>], settings: &SubstringSettings) -> Vec<Vec<Range<u64>>> {
    let folder = tempfile::tempdir().unwrap();
    let mut corpus = Substrings::new(folder.path(), settings.clone()).unwrap();
    for document in documents {
        corpus.push(document).unwrap();
    }
    corpus.find().unwrap().collect::<Result<_, _>>().unwrap()
}

const SETTINGS: SubstringSettings = SubstringSettings {
    unit: SequenceUnit::Byte,
    min_units: 4,
    copies: Copies::All,
    max_memory_bytes: 1 << 20,
    threads: 1,
};

fn check(documents: &[&str], all: &[&[Range<u64>]], later: &[&[Range<u64>]]) {
    let documents: Vec<Vec<u8>> = documents.iter().map(|document| document.as_bytes().to_vec()).collect();
    for (copies, expected) in [(Copies::All, all), (Copies::Later, later)] {
        let settings = SubstringSettings { copies, ..SETTINGS };
        assert_eq!(found(&documents, &settings), expected, "{copies:?} of {documents:?}");
        assert_eq!(twin(&documents, &settings), expected, "the twin: {copies:?} of {documents:?}");
    }
}

#[test]
fn spans() {
    check(&[], &[], &[]);
    check(&["", "abc", "abcd", ""], &[&[], &[], &[], &[]], &[&[], &[], &[], &[]]);
    check(&["abcd", "xabcdy"], &[&[0..4], &[1..5]], &[&[], &[1..5]]);
    // Across the border of two documents there is no window.
    check(&["abcd", "ab", "cd"], &[&[], &[], &[]], &[&[], &[], &[]]);
    // Windows that overlap or touch are one span.
    check(&["abcdefgh", "abcdefgh"], &[&[0..8], &[0..8]], &[&[], &[0..8]]);
    check(&["abcd", "efgh", "abcdefgh"], &[&[0..4], &[0..4], &[0..8]], &[&[], &[], &[0..8]]);
    // A window may overlap its copy, which then is not a later one.
    check(&["aaaaa"], &[&[0..5]], &[&[]]);
    check(&["aaaaaaaa"], &[&[0..8]], &[&[4..8]]);
    check(&["abababababab"], &[&[0..12]], &[&[4..12]]);
}

#[test]
fn tokens_are_compared_as_wholes() {
    let settings = SubstringSettings { unit: SequenceUnit::Token16, min_units: 2, ..SETTINGS };
    let tokens = |ids: &[u16]| ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>();
    // The bytes of 0x0102 and 0x0103 are also in 0x0201 and 0x0302, but not where a token begins.
    let documents =
        [tokens(&[0x0102, 0x0103, 7]), tokens(&[0x0302, 0x0102, 0x0103]), tokens(&[0x0201, 0x0301, 0x0001])];
    assert_eq!(found(&documents, &settings), [vec![0..4], vec![2..6], vec![]]);
}

#[test]
fn one_text_many_times() {
    let documents = vec![b"one text, many times".to_vec(); 100_000];
    let settings = SubstringSettings { min_units: 12, max_memory_bytes: 1 << 22, ..SETTINGS };
    assert!(found(&documents, &settings).iter().all(|spans| *spans == [0..20]));
    let later = found(&documents, &SubstringSettings { copies: Copies::Later, ..settings });
    assert!(later[0].is_empty() && later[1..].iter().all(|spans| *spans == [0..20]));
}

#[test]
fn one_letter_many_times() {
    // In parts, each of which has the same single window.
    let settings = SubstringSettings { min_units: 100, max_memory_bytes: 1 << 23, ..SETTINGS };
    let length = 3_000_000 / share::one_in(4) as u64;
    assert_eq!(found(&[vec![b'a'; length as usize]], &settings), [vec![0..length]]);
    let settings = SubstringSettings { copies: Copies::Later, ..settings };
    let length = 10_000_000 / share::one_in(4) as u64;
    assert_eq!(found(&[vec![b'a'; length as usize]], &settings), [vec![100..length]]);
}

#[test]
fn a_repeat_as_long_as_a_part() {
    let random = |length: u64| (0..length).map(|i| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes()) as u8);
    let document: Vec<u8> = random(1 << 18).collect();
    let documents = [document.clone(), document[1..].to_vec()];
    let settings = SubstringSettings { min_units: 1000, max_memory_bytes: 1 << 18, copies: Copies::Later, ..SETTINGS };
    assert_eq!(found(&documents, &settings), [vec![], vec![0..(1 << 18) - 1]]);
}

#[test]
fn what_cannot_be_is_refused() {
    let new = |settings| Substrings::new(&std::env::temp_dir(), settings);
    let refused = |settings| new(settings).err().map(|error| error.to_string());
    assert_eq!(refused(SubstringSettings { min_units: 0, ..SETTINGS }).unwrap(), "min_units must be from 1 to 65536");
    assert_eq!(refused(SubstringSettings { threads: 0, ..SETTINGS }).unwrap(), "threads must be from 1 to 4096");
    let mut corpus = new(SubstringSettings { unit: SequenceUnit::Token16, ..SETTINGS }).unwrap();
    corpus.push(b"even").unwrap();
    let expected = "document 1 has 3 bytes, which is no whole number of 16-bit tokens";
    assert_eq!(corpus.push(b"odd").unwrap_err().to_string(), expected);
    let nowhere = Substrings::new(Path::new("/no/such/folder"), SETTINGS).err().unwrap();
    assert_eq!(nowhere.to_string(), "cannot write or read scratch files in /no/such/folder");
}

#[test]
fn too_little_memory_is_refused_with_what_suffices() {
    let find = |max_memory_bytes| {
        let mut corpus =
            Substrings::new(&std::env::temp_dir(), SubstringSettings { max_memory_bytes, ..SETTINGS }).unwrap();
        (0..1000).try_for_each(|_| corpus.push(b"this is said a thousand times")).unwrap();
        corpus.find()
    };
    let error = find(1000).err().unwrap();
    assert_eq!(error.to_string(), "1000 bytes of memory are too few for 29000 bytes of text that may repeat");
    assert_eq!(error.hint().unwrap(), "8192 bytes suffice");
    let SubstringError::TooLittleMemory { needed_bytes, .. } = error else { panic!("{error:?}") };
    assert_eq!(find(needed_bytes).unwrap().count(), 1000);
    assert!(find(needed_bytes / 2).is_err());
}

fn documents() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Few letters make many repeats; a phrase makes long ones.
    let piece = prop_oneof![
        3 => "[ab]{0,6}",
        1 => Just("the same old phrase".to_owned()),
        1 => Just("aaaaaaaaaaaaaaa".to_owned()),
        1 => "[a-z]{0,20}",
        1 => "[a-z]{0,100}",
    ];
    prop::collection::vec(prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat().into_bytes()), 0..12)
}

proptest! {
    #[test]
    fn spans_are_the_twins(
        mut documents in documents(),
        min_units in 1_usize..24,
        unit in prop_oneof![Just(SequenceUnit::Byte), Just(SequenceUnit::Token16)],
        copies in prop_oneof![Just(Copies::All), Just(Copies::Later)],
        part_bytes in prop_oneof![Just(64_u64), Just(128), Just(1 << 20)],
        batch in 1_usize..9,
        text_in_memory: bool,
        threads in 1_usize..4,
    ) {
        for document in &mut documents {
            document.truncate(document.len() / unit.len_bytes() * unit.len_bytes());
        }
        let settings = SubstringSettings { unit, min_units, copies, threads, ..SETTINGS };
        let plan = Plan { threads, copies, window_bytes: settings.window_bytes(), part_bytes, batch, text_in_memory };
        let folder = tempfile::tempdir().unwrap();
        let mut corpus = Substrings::new(folder.path(), settings.clone()).unwrap();
        for document in &documents {
            corpus.push(document).unwrap();
        }
        let repeats = corpus.find_with(|_| Ok(plan)).unwrap();
        let spans: Vec<_> = repeats.collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(spans, twin(&documents, &settings));
    }
}
