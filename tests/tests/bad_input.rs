//! What is broken gets a name and an exit code; what is not broken beside it is kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use webtext_tests::{binary, check, json, quickstart_recipe, recipe_without_model, root, stage, stderr};

/// A run over a dump and an archive or folder of pages, without a model.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        Case { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Builds without a model; pages are an archive or a folder.
    fn build(&self, dump: &Path, from: &str, pages: &Path, out: &Path) -> Command {
        let recipe = self.write("recipe.toml", recipe_without_model().as_bytes());
        let mut command = Command::new(binary("webtext"));
        let set = |key: &str, value: &Path| format!("{key}=[{:?}]", value.to_string_lossy());
        command.arg("build").arg(recipe).arg("--out").arg(out).args(["-q", "--json"]);
        command.args([
            "--set",
            &set("links.dumps", dump),
            "--set",
            &set("pages.paths", pages),
            "--set",
            &format!("pages.from={from}"),
        ]);
        command.args(["--set", "pages.only_links=false", "--set", "filter.length.min_words=5"]);
        command
    }

    fn counts(&self, output: &std::process::Output, name: &str) -> Value {
        stage(&json(output), name)
    }
}

fn fixture(name: &str) -> PathBuf {
    root().join("fixtures").join(name)
}

const PAGE: &str =
    "<title>t</title><p>The ferry leaves at noon and comes back before dark, as it has done for years.</p>";

#[test]
fn a_truncated_dump_keeps_its_beginning_and_ends_with_3() {
    let case = Case::new();
    let mut text = String::new();
    for i in 0..20_000 {
        text += &format!("{{\"url\":\"http://a{i}.example/{i}\",\"score\":5,\"created_utc\":1400000000}}\n");
    }
    let mut bytes = zstd::encode_all(text.as_bytes(), 3).unwrap();
    bytes.truncate(bytes.len() * 9 / 10);
    let dump = case.write("RS_cut.zst", &bytes);
    let output = check(&mut case.build(&dump, "warc", &fixture("pages.warc.gz"), &case.path("run")), 3);
    let read = case.counts(&output, "links.read");
    assert!(read["counts"]["read"].as_u64().unwrap() > 5_000, "{read}");
    let error = read["unreadable"][0]["error"].as_str().unwrap();
    assert!(error.contains("RS_cut.zst") && error.contains("cannot be read past line"), "{error}");
}

#[test]
fn a_damaged_archive_keeps_its_other_records() {
    let case = Case::new();
    let mut bytes = fs::read(fixture("pages.warc.gz")).unwrap();
    let whole =
        check(&mut case.build(&fixture("links/RS_*"), "warc", &fixture("pages.warc.gz"), &case.path("whole")), 0);
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8].fill(0x55);
    let damaged = case.write("damaged.warc.gz", &bytes);
    let output = check(&mut case.build(&fixture("links/RS_*"), "warc", &damaged, &case.path("run")), 0);
    let count = |output: &std::process::Output, name: &str| {
        case.counts(output, "pages.index")["counts"][name].as_u64().unwrap()
    };
    assert!(count(&output, "kept") + 2 >= count(&whole, "kept"), "more than two records were lost");
    assert!(case.counts(&output, "pages.index")["counts"]["dropped"]["malformed_page"].as_u64() >= Some(1));

    bytes.truncate(middle + 3000);
    let torn = case.write("torn.warc.gz", &bytes[..]);
    let output = check(&mut case.build(&fixture("links/RS_*"), "warc", &torn, &case.path("torn")), 3);
    assert!(count(&output, "kept") > 30);
}

#[test]
fn hostile_pages_are_counted_drops() {
    let case = Case::new();
    let pages = case.path("pages");
    case.write("pages/deep.html", "<div>".repeat(100_000).as_bytes());
    case.write("pages/wide.html", "<b>".repeat(1_200_000).as_bytes());
    case.write("pages/attributes.html", format!("<p {}>", "a=1 b=2 ".repeat(100_000)).as_bytes());
    case.write("pages/large.html", &vec![b'x'; 21 << 20]);
    case.write("pages/empty.html", b"");
    case.write("pages/good.html", PAGE.as_bytes());
    case.write("pages/bytes.html", &(0..=255u8).cycle().take(100_000).collect::<Vec<_>>());
    case.write("pages/utf8.html", &[PAGE.as_bytes(), b" caf\xe9 \xff\xfe"].concat());
    let output = check(&mut case.build(&fixture("links/RS_2009-09.jsonl"), "html", &pages, &case.path("run")), 0);
    assert_eq!(case.counts(&output, "pages.pack")["counts"]["dropped"]["page_too_large"], 1);
    let extracted = case.counts(&output, "documents.extract");
    // A tag with 200,000 attributes costs no more than its bytes, and 100,000 levels are flattened.
    assert_eq!(extracted["counts"]["dropped"]["page_too_complex"], 1, "{extracted}");
    assert_eq!(extracted["counts"]["read"], 7);
    let filtered = case.counts(&output, "documents.filter");
    assert!(filtered["counts"]["kept"].as_u64() >= Some(1), "{filtered}");
}

#[test]
fn a_record_of_100_mb_and_one_that_is_no_json() {
    let case = Case::new();
    let mut lines = b"{\"url\":\"http://a.example/\",\"score\":5,\"created_utc\":1,\"selftext\":\"".to_vec();
    lines.extend(std::iter::repeat_n(b'x', 100 << 20));
    lines
        .extend_from_slice(b"\"}\nnot json\n\xff\xfe\n{\"url\":\"http://b.example/\",\"score\":5,\"created_utc\":1}\n");
    let dump = case.write("long.zst", &zstd::encode_all(&lines[..], 1).unwrap());
    let output = check(&mut case.build(&dump, "warc", &fixture("pages.warc.gz"), &case.path("run")), 0);
    let counts = case.counts(&output, "links.read")["counts"].clone();
    assert_eq!(
        (&counts["kept"], &counts["dropped"]["record_too_long"], &counts["dropped"]["malformed_record"]),
        (&1.into(), &1.into(), &2.into())
    );
}

#[test]
fn empty_and_foreign_inputs() {
    let case = Case::new();
    let empty = case.write("empty.zst", &zstd::encode_all(&b""[..], 1).unwrap());
    let archive = case.write("empty.warc.gz", b"");
    let output = check(&mut case.build(&empty, "warc", &archive, &case.path("run")), 3);
    let error = &case.counts(&output, "links.read")["unreadable"][0]["error"];
    assert!(error.as_str().unwrap().contains("it is empty"), "{error}");
    let foreign = case.write("foreign.warc.gz", b"this is no archive at all\nand never was\n");
    let output = check(&mut case.build(&empty, "warc", &foreign, &case.path("foreign")), 3);
    assert!(case.counts(&output, "pages.index")["unreadable"][0]["error"].as_str().unwrap().contains("no record"));
    let output = check(&mut case.build(&case.path("absent.zst"), "warc", &archive, &case.path("absent")), 1);
    assert!(
        stderr(&output).contains("there is no file") && stderr(&output).contains("absent.zst"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn faulty_recipes_and_flags_end_with_2() {
    let case = Case::new();
    let fixtures = root().join("fixtures").to_string_lossy().into_owned();
    let good = fs::read_to_string(quickstart_recipe()).unwrap().replace("../fixtures", &fixtures);
    let build = |text: &str, flags: &[&str]| {
        let recipe = case.write("faulty.toml", text.as_bytes());
        let mut command = Command::new(binary("webtext"));
        stderr(&check(command.arg("build").arg(recipe).arg("--out").arg(case.path("run")).args(flags), 2))
    };
    assert!(build(&good.replace("min_karma =", "min_carma ="), &[]).contains("did you mean `min_karma`?"));
    assert!(build("[links", &[]).contains("line 1"));
    assert!(build(&good, &["--set", "shards.validation_fraction=7"]).contains("between 0 and 1"));
    assert!(build(&good, &["--stage", "documnets.filter"]).contains("did you mean documents.filter?"));
    assert!(build(&good, &["--task", "1/2"]).contains("--stage"));
    assert!(!case.path("run").exists(), "a faulty call leaves nothing behind");
}

#[test]
fn a_folder_that_cannot_be_written() {
    let case = Case::new();
    let blocked = case.write("blocked", b"a file where a folder is wanted");
    let output =
        check(&mut case.build(&fixture("links/RS_*"), "warc", &fixture("pages.warc.gz"), &blocked.join("run")), 1);
    assert!(
        stderr(&output).contains("blocked/run") && stderr(&output).contains("Not a directory"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_full_disk_is_named_and_the_run_goes_on_when_there_is_room() {
    let case = Case::new();
    let disk = case.path("disk");
    fs::create_dir_all(&disk).unwrap();
    let mount = |options: &str| Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk).output();
    if !mount("size=200k").is_ok_and(|output| output.status.success()) {
        webtext_tests::skip("a_full_disk", "no tmpfs can be mounted here");
        return;
    }
    let run = disk.join("run");
    let output = case.build(&fixture("links/RS_*"), "warc", &fixture("pages.warc.gz"), &run).output().unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk).status().unwrap();
    let again = case.build(&fixture("links/RS_*"), "warc", &fixture("pages.warc.gz"), &run).output().unwrap();
    let undisturbed =
        check(&mut case.build(&fixture("links/RS_*"), "warc", &fixture("pages.warc.gz"), &case.path("other/run")), 0);
    let same = std::panic::catch_unwind(|| webtext_tests::assert_same(&run, &case.path("other/run")));
    Command::new("umount").arg(&disk).status().unwrap();
    assert!(remounted.success());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("No space left on device") && stderr(&output).contains("hint: free some space"),
        "{}",
        stderr(&output)
    );
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(!undisturbed.stdout.is_empty());
    same.unwrap();
}

#[test]
fn bpe_names_the_byte_that_is_no_utf8() {
    let case = Case::new();
    let text = case.write("text.txt", b"good so far \xff bad");
    let encode = |flags: &[&str]| {
        let mut command = Command::new(binary("bpe"));
        command
            .arg("encode")
            .arg(&text)
            .arg("-o")
            .arg(case.path("ids.txt"))
            .args(["--format", "ids", "-q"])
            .args(flags);
        command
    };
    let output = check(&mut encode(&[]), 1);
    assert!(stderr(&output).contains("at byte 12: invalid UTF-8"), "{}", stderr(&output));
    assert!(!case.path("ids.txt").exists());
    check(&mut encode(&["--lossy"]), 0);
}

#[test]
fn a_row_without_a_text_is_named_and_counted() {
    let case = Case::new();
    let rows = concat!(
        "{\"id\":1.50,\"text\":\"The ferry leaves at noon.\"}\n{\"body\":7}\n",
        "{\"text\":null}\n{\"id\":2,\"text\":\"The ferry leaves at noon.\"}\n",
    );
    let input = case.write("a.jsonl", rows.as_bytes());
    let run = |command: &str, input: &Path, output: &Path, flags: &[&str]| {
        let mut webtext = Command::new(binary("webtext"));
        webtext.args([command, "--json"]).arg(input).arg("-o").arg(output).args(flags);
        webtext
    };
    let table = case.path("kept.parquet");
    let recipe = case.write("rules.toml", b"[[filter]]\nrule = \"length\"\nmin_words = 0\nmax_words = 1000\n");
    let output = check(&mut run("filter", &input, &table, &["--recipe", &recipe.to_string_lossy()]), 3);
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&counts["read"], &counts["kept"]), (&4.into(), &3.into()));
    assert_eq!(counts["dropped"]["malformed_record"], 1);
    let message = "a.jsonl, line 2: it has no field \"text\"; its fields are body";
    assert_eq!(stderr(&output).matches(message).count(), 1, "{}", stderr(&output));

    let (lines, dropped) = (case.path("kept.jsonl.gz"), case.path("dropped.parquet"));
    let output = check(&mut run("dedup", &table, &lines, &["--dropped", &dropped.to_string_lossy()]), 0);
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&counts["kept"], &counts["dropped"]["exact_duplicate"]), (&2.into(), &1.into()));
    assert!(dropped.exists());
    let output = check(&mut run("dedup", &input, &case.path("again.jsonl"), &[]), 3);
    assert_eq!(stderr(&output).matches(message).count(), 1, "{}", stderr(&output));
    let kept = fs::read_to_string(case.path("again.jsonl")).unwrap();
    assert_eq!(kept, "{\"id\":1.50,\"text\":\"The ferry leaves at noon.\"}\n{\"text\":null}\n");
}

#[test]
fn no_output_replaces_an_input_or_another_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let lines = "{\"id\": 7, \"text\": \"The tide is out.\"}\n".repeat(3);
    fs::write(path("in.jsonl"), &lines).unwrap();
    std::os::unix::fs::symlink(path("in.jsonl"), path("link.jsonl")).unwrap();
    let refused = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(binary(program));
        let said = stderr(&check(command.args(arguments).current_dir(folder.path()), 2));
        assert!(said.contains("choose another name"), "{said}");
        assert_eq!(fs::read_to_string(path("in.jsonl")).unwrap(), lines);
    };
    let rules = ["--rules", "gopher_quality"];
    refused("webtext", &[&["filter", "in.jsonl", "-o", "in.jsonl"], &rules[..]].concat());
    refused("webtext", &[&["filter", "in.jsonl", "-o", "./link.jsonl"], &rules[..]].concat());
    refused("webtext", &[&["filter", "in.jsonl", "-o", "a.jsonl", "--dropped", "a.jsonl"], &rules[..]].concat());
    refused("webtext", &[&["filter", "in.jsonl", "-o", "a.parquet", "--measures", "a.parquet"], &rules[..]].concat());
    refused("webtext", &["dedup", "in.jsonl", "-o", "out.jsonl", "--dropped", "in.jsonl"]);
    refused("webtext", &["links", "in.jsonl", "-o", "a.parquet", "--dropped", "in.jsonl"]);
    refused("bpe", &["encode", "in.jsonl", "-o", "in.jsonl"]);
}

#[test]
fn a_full_standard_output_is_an_error_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("in.jsonl");
    fs::write(&lines, "{\"text\": \"The tide is out.\"}\n").unwrap();
    let mut filter = Command::new(binary("webtext"));
    filter.arg("filter").arg(&lines).arg("-o").arg(folder.path().join("out.jsonl"));
    filter.args(["--rules", "gopher_quality", "--json"]);
    for command in [&mut filter, Command::new(binary("gpt2")).args(["plan", "gpt2"])] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let said = stderr(&check(command.stdout(full).stderr(std::process::Stdio::piped()), 1));
        assert!(said.contains("No space left") && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_fault_in_a_rule_names_the_rule() {
    let case = Case::new();
    let recipe = |rules: &str| {
        let path = case.path("rules.toml");
        fs::write(&path, rules).unwrap();
        path
    };
    let texts = case.write("texts.jsonl", b"{\"text\": \"a\"}\n");
    let said = |rules: &str| {
        let mut command = Command::new(binary("webtext"));
        command.arg("filter").arg(&texts).arg("-o").arg(case.path("out.jsonl")).arg("--recipe").arg(recipe(rules));
        stderr(&check(&mut command, 2))
    };
    let good = "[[filter]]\nrule = \"wikipedia\"\n";
    let message = said(&format!("{good}[[filter]]\nrule = \"gopher_quality\"\nmin_wrods = 3\n"));
    assert!(message.contains("number 2, rule = \"gopher_quality\"") && message.contains("did you mean"), "{message}");
    let message = said(&format!("{good}[[filter]]\nrule = \"length\"\nmin_words = \"100\"\nmax_words = 9\n"));
    assert!(message.contains("number 2, rule = \"length\""), "{message}");
    for (limits, expected) in [
        ("min_words = 100\nmax_words = 10", "min_words = 100 is more than max_words = 10"),
        ("max_bullet_line_fraction = -1", "below 0"),
        ("min_alphabetic_word_fraction = 1.5", "above 1"),
        ("stop_words = []", "stop_words has 0"),
    ] {
        let message = said(&format!("[[filter]]\nrule = \"gopher_quality\"\n{limits}\n"));
        assert!(message.contains(expected), "{message}");
    }
    // DCLM counts each occurrence: one word may come twice.
    let mut command = Command::new(binary("webtext"));
    let dclm = "[[filter]]\nrule = \"gopher_quality\"\ndialect = \"dclm\"\nstop_words = [\"the\"]\n";
    command.arg("filter").arg(&texts).arg("-o").arg(case.path("out.jsonl")).arg("--recipe").arg(recipe(dclm));
    check(&mut command, 0);
    let message = said("[[filter]]\nrule = \"url\"\n");
    assert!(message.contains("names no list"), "{message}");
}

/// A table of URLs that is none of links.
#[derive(serde::Serialize, serde::Deserialize)]
struct OtherRow {
    url: String,
}

#[test]
fn what_is_no_table_of_links_is_named_with_the_command_that_makes_one() {
    let case = Case::new();
    let list = case.write("links.jsonl", b"{\"url\":\"http://a.example/\",\"score\":5}\n");
    let table = case.path("other.parquet");
    let mut other = store::table::TableWriter::create(&table).unwrap();
    other.push(OtherRow { url: "http://a.example/".to_owned() }).unwrap();
    other.finish().unwrap();
    for links in [list, table] {
        for flags in [&["--from", "web"][..], &["--from", "common-crawl", "--index", "index.parquet"]] {
            let mut command = Command::new(binary("webtext"));
            command.arg("fetch").arg(&links).arg("-o").arg(case.path("out"));
            let said = stderr(&check(command.args(["--contact", "a@b.example"]).args(flags), 1));
            assert!(said.contains("is no table of links; webtext links"), "{said}");
            assert!(!case.path("out").exists());
        }
    }
}

#[test]
fn a_corpus_without_the_field_of_texts_is_named() {
    let case = Case::new();
    let texts = case.write("texts.jsonl", b"{\"body\":\"The tide.\"}\n{\"body\":\"The boat.\"}\n");
    let mut command = case.build(&fixture("links/RS_2009-09.jsonl"), "texts", &texts, &case.path("run"));
    let output = check(&mut command, 3);
    let pack = case.counts(&output, "pages.pack");
    let error = pack["unreadable"][0]["error"].as_str().unwrap();
    assert!(error.contains("no record has a text in the field \"text\""), "{error}");
}
