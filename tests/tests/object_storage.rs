//! Runs in object storage: the bytes are those of a run on disk, whatever the server does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use webtext_tests::object_server::{BUCKET, FAULTS, Fault, ObjectServer, environment};
use webtext_tests::{binary, check, files, peers, recipe_of_texts, recipe_without_model, root, stderr};

/// Documents of 80 kB each of which an archive is uploaded in several parts.
const IN_PARTS: usize = 200;

/// A corpus of random words, of so many documents, and its recipe.
fn texts(folder: &Path, documents: usize) -> PathBuf {
    let mut corpus = String::new();
    let mut state = 1u64;
    for _ in 0..documents {
        let mut text = String::new();
        while text.len() < 80_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += &format!("{:x} ", state >> 16);
        }
        corpus += &format!("{}\n", serde_json::json!({"text": text}));
    }
    fs::write(folder.join("texts.jsonl"), corpus).unwrap();
    let recipe = folder.join("recipe.toml");
    fs::write(&recipe, recipe_of_texts("[limits]\nbuckets = 2\n")).unwrap();
    recipe
}

fn build(recipe: &Path, out: &str, environment: Vec<(&'static str, String)>) -> Command {
    let mut command = Command::new(binary("webtext"));
    command.arg("build").arg(recipe).args(["--out", out, "--threads", "2", "-q"]).envs(environment);
    command
}

/// What a run holds but leases and logs.
fn content(mut objects: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    objects.retain(|key, _| !["lease/", "logs/"].iter().any(|folder| key.starts_with(folder)));
    objects
}

/// Compares by names first: a message with all bytes helps nobody.
#[track_caller]
fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    let differ: Vec<&String> =
        found.iter().filter(|(key, bytes)| expected[*key] != **bytes).map(|(key, _)| key).collect();
    assert!(differ.is_empty(), "these differ: {differ:?}");
}

/// Every fifth request fails, each time in another way.
fn now_and_then(request: u64) -> Option<Fault> {
    (request % 5 == 4).then(|| FAULTS[(request / 5) as usize % FAULTS.len()])
}

#[test]
fn a_server_that_fails_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = texts(folder.path(), IN_PARTS);
    let run = folder.path().join("run");
    check(&mut build(&recipe, &run.to_string_lossy(), Vec::new()), 0);
    let server = ObjectServer::start(now_and_then);
    check(&mut build(&recipe, &format!("s3://{BUCKET}/run"), server.environment()), 0);
    assert_same(&content(server.objects("run/")), &files(&run));
    assert_eq!(server.open_uploads(), 0);
    assert_eq!(server.faults().len(), FAULTS.len(), "each fault has occurred: {:?}", server.faults());
}

#[test]
fn a_server_that_never_answers_is_named_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = texts(folder.path(), 10);
    let server = ObjectServer::start(|_| Some(Fault::Unavailable));
    let out = format!("s3://{BUCKET}/run");
    let output = check(build(&recipe, &out, server.environment()).env("WEBTEXT_RETRY_SECONDS", "4"), 1);
    let said = stderr(&output);
    assert!(said.contains("s3://bucket/run") && said.contains("503"), "{said}");
    assert!(server.faults()["unavailable"] <= 60, "tries are bounded: {:?}", server.faults());
    let wrong = check(build(&recipe, &out, server.environment()).env("WEBTEXT_RETRY_SECONDS", "soon"), 1);
    assert!(stderr(&wrong).contains("WEBTEXT_RETRY_SECONDS is \"soon\""), "{}", stderr(&wrong));

    // One that takes connections and says nothing is told of before it is given up.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let output = check(build(&recipe, &out, environment(&endpoint)).env("WEBTEXT_RETRY_SECONDS", "24"), 1);
    let said = stderr(&output);
    let address = endpoint.trim_start_matches("http://");
    assert!(said.contains(&format!("the object storage at {address} has not answered for 1")), "{said}");
}

/// Nobody listens at the endpoint while a build runs, and then somebody does.
#[test]
fn a_server_that_is_away_for_a_while_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = texts(folder.path(), 1);
    let server = ObjectServer::start(|_| None);
    let behind = server.environment()[0].1.trim_start_matches("http://").to_owned();
    let place = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{place}");
    let mut child = build(&recipe, &format!("s3://{BUCKET}/run"), environment(&endpoint)).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert!(child.try_wait().unwrap().is_none(), "it gave up");
    let door = TcpListener::bind(place).unwrap();
    std::thread::spawn(move || {
        for near in door.incoming().flatten() {
            let far = TcpStream::connect(&behind).unwrap();
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Consoles mark folders by empty objects, and any program may write keys that are no paths.
#[test]
fn keys_that_are_no_objects_harm_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = texts(folder.path(), 1);
    let server = ObjectServer::start(|_| None);
    let corpus = fs::read(folder.path().join("texts.jsonl")).unwrap();
    for marker in ["run/", "in/", "in/sub/"] {
        server.put(marker, b"");
    }
    for key in ["in/a.jsonl", "in/sub/b.jsonl", "in/sub//odd.jsonl", "/in/c.jsonl", "in/x?y.jsonl", "in/xzy.jsonl"] {
        server.put(key, &corpus);
    }
    let out = format!("s3://{BUCKET}/run");
    let tasks_of = |pattern: &str| {
        let paths = format!("pages.paths=[\"s3://bucket/in/{pattern}\"]");
        let printed = check(build(&recipe, &out, server.environment()).args(["--dry-run", "--set", &paths]), 0).stdout;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        printed.lines().find(|line| line.starts_with("pages.pack")).unwrap_or_default().to_owned()
    };
    for (pattern, tasks) in [("**", 4), ("*", 3), ("s*/*", 1), ("x?y.jsonl", 1), ("x[z?]y.jsonl", 2)] {
        let said = tasks_of(pattern);
        assert!(said.contains(&format!(" {tasks} of {tasks} task")), "{pattern}: {said}");
    }
    let paths = "pages.paths=[\"s3://bucket/in/sub/*\"]";
    check(build(&recipe, &out, server.environment()).args(["--set", paths]), 0);
}

#[test]
fn places_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("recipe.toml");
    fs::write(&recipe, recipe_without_model().replace("../fixtures", &root().join("fixtures").to_string_lossy()))
        .unwrap();
    let server = ObjectServer::start(|_| None);
    let says = |out: &str, flags: &[&str], environment: Vec<(&'static str, String)>, code: i32, expected: &str| {
        let output = check(build(&recipe, out, environment).args(flags), code);
        assert!(stderr(&output).contains(expected), "{out} {flags:?}: {}", stderr(&output));
    };
    for out in ["s3://", "s3:///", "s3://*/run"] {
        says(out, &[], server.environment(), 1, "the name of one bucket is missing");
    }
    for out in ["s3:/bucket/run", "http://bucket/run", "S3://bucket/run"] {
        says(out, &[], server.environment(), 1, "neither a folder nor a place that is known");
    }
    let local = folder.path().join("run").to_string_lossy().into_owned();
    for paths in ["pages.paths=[\"s3://bucket\"]", "pages.paths=[\"s3://bucket/\"]"] {
        says(&local, &["--set", paths], server.environment(), 1, "there is no file s3://bucket");
    }
    says(
        &local,
        &["--set", "pages.paths=[\"s3://in*/x\"]"],
        server.environment(),
        1,
        "the name of one bucket is missing",
    );
    says("s3://bucket/run", &[], environment("nonsense"), 1, "AWS_ENDPOINT_URL is \"nonsense\", which is no URL");
    says(&local, &["--set", "executor.slurm.options=[\"--array=1\"]"], Vec::new(), 2, "webtext gives it");
    says(&local, &["--set", "executor.slurm.options=[\"--x\\nrm -rf y\"]"], Vec::new(), 2, "no option of sbatch");
}

#[test]
fn a_killed_build_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = texts(folder.path(), 10);
    let run = folder.path().join("run");
    check(&mut build(&recipe, &run.to_string_lossy(), Vec::new()), 0);
    let server = ObjectServer::start(|_| None);
    let out = format!("s3://{BUCKET}/run");
    for objects in [3, 8, 12] {
        let mut child = build(&recipe, &out, server.environment()).spawn().unwrap();
        while server.objects("run/").len() < objects && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    check(&mut build(&recipe, &out, server.environment()), 0);
    assert_same(&content(server.objects("run/")), &files(&run));
}

/// Tasks of a run that is not there yet begin at once: each finds nothing, or what another one has begun.
#[test]
fn tasks_that_begin_together_begin_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = texts(folder.path(), 1);
    let server = ObjectServer::start(|_| None);
    let corpus = fs::read(folder.path().join("texts.jsonl")).unwrap();
    (0..5).for_each(|number| server.put(&format!("texts/{number}.jsonl"), &corpus));
    for round in 0..6 {
        let task = |number: u32| {
            let mut command = build(&recipe, &format!("s3://{BUCKET}/run{round}"), server.environment());
            command.args(["--set", "pages.paths=[\"s3://bucket/texts/*\"]", "--stage", "pages.pack"]);
            command.args(["--task", &format!("{number}/5")]).spawn().unwrap()
        };
        let children: Vec<Child> = (0..5).map(task).collect();
        let codes: Vec<_> = children.into_iter().map(|mut child| child.wait().unwrap().code()).collect();
        assert_eq!(codes, [Some(0); 5]);
    }
}

/// What a listing shows of an object is not asked for again, and a list of URLs is looked at once.
#[test]
fn inputs_are_found_in_few_requests() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = texts(folder.path(), 1);
    let server = ObjectServer::start(|_| None);
    let corpus = fs::read(folder.path().join("texts.jsonl")).unwrap();
    (0..100).for_each(|number| server.put(&format!("texts/{number}.jsonl"), &corpus));
    let list: String = (0..100).map(|number| format!("texts/{number}.jsonl\n")).collect();
    server.put("list", list.as_bytes());
    let run = folder.path().join("run").to_string_lossy().into_owned();
    for (paths, most) in [("s3://bucket/texts/*.jsonl", 10), ("@s3://bucket/list", 210)] {
        let before = server.requests();
        let paths = format!("pages.paths=[{paths:?}]");
        let mut command = build(&recipe, &run, server.environment());
        let printed = check(command.args(["--dry-run", "--set", &paths]), 0).stdout;
        assert!(String::from_utf8_lossy(&printed).contains("100 of 100 tasks to do"), "{paths}");
        let requests = server.requests() - before;
        assert!(requests <= most, "{requests} requests for {paths}");
    }
}

// -- moto, the judge of what a server of S3 does

/// A running moto, which ends with the test.
struct Moto {
    python: PathBuf,
    child: Child,
    address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    /// `None`, told as a skip, where no Python has it.
    fn start(test: &str) -> Option<Moto> {
        let python = peers(test, &["moto.server", "boto3"])?;
        let program = python.with_file_name("moto_server");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let moto = Moto { python, child: command.spawn().unwrap(), address: format!("127.0.0.1:{port}") };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&moto.address).is_err() {
            assert!(Instant::now() < deadline, "moto does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        moto.put("/bucket", b"");
        Some(moto)
    }

    /// An unsigned put, as of a bucket that anybody may write to.
    fn put(&self, path: &str, body: &[u8]) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("PUT {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", self.address, body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.lines().next().is_some_and(|line| line.contains(" 200")), "{answer}");
    }

    /// Copies all objects below a prefix into a folder, by another client.
    fn download(&self, prefix: &str, to: &Path) {
        const SCRIPT: &str = "import boto3, os, sys
endpoint, prefix, to = sys.argv[1:]
client = boto3.client('s3', endpoint_url=endpoint)
for page in client.get_paginator('list_objects_v2').paginate(Bucket='bucket', Prefix=prefix):
    for key in (found['Key'] for found in page.get('Contents', [])):
        path = os.path.join(to, key[len(prefix):])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        client.download_file('bucket', key, path)";
        let endpoint = format!("http://{}", self.address);
        let mut python = Command::new(&self.python);
        check(python.args(["-c", SCRIPT, &endpoint, prefix]).arg(to).envs(environment(&endpoint)), 0);
    }
}

#[test]
fn inputs_and_run_in_buckets_give_the_same_data() {
    let Some(moto) = Moto::start("inputs_and_run_in_buckets_give_the_same_data") else { return };
    let folder = tempfile::tempdir().unwrap();
    let fixtures = root().join("fixtures");
    let recipe = |name: &str, inputs: &str| {
        let path = folder.path().join(name);
        // Few buckets, since the server is in Python and takes most of the time.
        let recipe = recipe_without_model().replace("../fixtures", inputs) + "\n[limits]\nbuckets = 3\n";
        fs::write(&path, recipe).unwrap();
        path
    };
    for entry in fs::read_dir(fixtures.join("links")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        moto.put(&format!("/bucket/inputs/links/{name}"), &fs::read(&path).unwrap());
    }
    moto.put("/bucket/inputs/pages.warc.gz", &fs::read(fixtures.join("pages.warc.gz")).unwrap());
    let variables = environment(&format!("http://{}", moto.address));
    let run = folder.path().join("run");
    check(&mut build(&recipe("local.toml", &fixtures.to_string_lossy()), &run.to_string_lossy(), Vec::new()), 0);
    let remote = recipe("remote.toml", "s3://bucket/inputs");
    check(&mut build(&remote, "s3://bucket/run", variables.clone()), 0);
    // Manifests and text shards name the archives, which are elsewhere; the rest is the same.
    let of_data = ["tokens/", "tokenizer/", "duplicates/"];
    let data = files(&run).into_iter().filter(|(key, _)| of_data.iter().any(|folder| key.starts_with(folder)));
    let copy = folder.path().join("copy");
    moto.download("run/", &copy);
    let mut compared = 0;
    for (key, bytes) in data {
        assert!(fs::read(copy.join(&key)).unwrap() == bytes, "{key}");
        compared += 1;
    }
    assert!(compared > 10);
    // Commands read the run where it is.
    let status = check(Command::new(binary("webtext")).args(["status", "s3://bucket/run"]).envs(variables.clone()), 0);
    assert!(String::from_utf8_lossy(&status.stdout).contains("tokens.join"));
    // A build that has nothing to do changes nothing, and a folder of something else is refused.
    check(&mut build(&remote, "s3://bucket/run", variables.clone()), 0);
    let refused = check(&mut build(&remote, "s3://bucket/inputs", variables.clone()), 2);
    assert!(stderr(&refused).contains("not the folder of a run"));
    // A bucket that is missing is another thing than a run that is missing.
    for command in ["status", "report", "build"] {
        let mut command = match command {
            "build" => build(&remote, "s3://nosuch/run", Vec::new()),
            name => {
                let mut command = Command::new(binary("webtext"));
                command.args([name, "s3://nosuch/run"]);
                command
            }
        };
        let said = stderr(&check(command.envs(variables.clone()), 1));
        assert!(said.contains("s3://nosuch/run") && said.contains("there is no such bucket"), "{said}");
        assert!(!said.contains("<Error>"), "{said}");
    }
}
