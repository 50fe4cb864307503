//! Builds whose tasks others do: Slurm, with a controller and two nodes on this machine, of which one is lost under way; and
//! jobs of Kubernetes. (Python's tests have Ray.)

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use webtext_tests::{assert_same, binary, check, recipe_without_model, root, skip, stderr};

/// A cluster in a folder, which ends with the test.
struct Cluster {
    folder: TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        ["n1", "n2"].iter().for_each(|node| self.lose(node));
        self.kill("slurmctld");
    }
}

impl Cluster {
    /// `None`, told as a skip, where there is no Slurm, or no right to start it.
    fn start(test: &str) -> Option<Cluster> {
        let has = |name: &str| {
            Command::new("sh")
                .args(["-c", &format!("PATH=$PATH:/usr/sbin command -v {name}")])
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        if !["slurmctld", "slurmd", "sbatch", "munged"].iter().all(|name| has(name)) {
            skip(test, "there is no Slurm here (Debian's slurm-wlm and munge)");
            return None;
        }
        let cluster = Cluster { folder: tempfile::tempdir().unwrap() };
        fs::write(cluster.configuration(), cluster.settings()).unwrap();
        let start = format!(
            "export PATH=$PATH:/usr/sbin; mkdir -p /run/munge state n1 n2 && chown munge: /run/munge && \
             (pgrep -x munged > /dev/null || runuser -u munge -- munged) && \
             slurmctld -f {0} && sleep 1 && slurmd -N n1 -f {0} && slurmd -N n2 -f {0}",
            cluster.configuration().display()
        );
        let started = Command::new("sh").args(["-c", &start]).current_dir(cluster.folder.path()).output().unwrap();
        if !started.status.success() {
            skip(test, format!("Slurm does not start: {}", stderr(&started)));
            return None;
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while !cluster.sinfo().contains("idle") {
            assert!(Instant::now() < deadline, "{}", cluster.sinfo());
            thread::sleep(Duration::from_millis(300));
        }
        Some(cluster)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    fn settings(&self) -> String {
        let host = Command::new("uname").arg("-n").output().unwrap().stdout;
        let host = String::from_utf8_lossy(&host).trim().to_owned();
        let folder = self.folder.path().display();
        let node = |name: &str, port: u16| {
            format!("NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=2000\n")
        };
        // Arrays are small here, so that a stage takes several.
        format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmctldPort=17100\n\
             StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/%n\nSlurmctldPidFile={folder}/slurmctld.pid\n\
             SlurmdPidFile={folder}/%n.pid\nSlurmctldLogFile={folder}/slurmctld.log\nSlurmdLogFile={folder}/%n.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\n\
             SelectTypeParameters=CR_Core\nReturnToService=2\nAuthType=auth/munge\nSlurmdTimeout=6\nKillWait=1\n\
             MaxArraySize=3\n{}{}PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP\n",
            node("n1", 17001),
            node("n2", 17002)
        )
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env("SLURM_CONF", self.configuration());
        command
    }

    fn sinfo(&self) -> String {
        String::from_utf8_lossy(&self.command("sinfo").output().unwrap().stdout).into_owned()
    }

    /// The nodes on which jobs run.
    fn busy_nodes(&self) -> String {
        let listed = self.command("squeue").args(["--noheader", "--states=RUNNING", "--format=%N"]).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).into_owned()
    }

    fn kill(&self, daemon: &str) {
        let process = fs::read_to_string(self.folder.path().join(format!("{daemon}.pid"))).unwrap_or_default();
        let _ = Command::new("kill").args(["-9", process.trim()]).stderr(Stdio::null()).status();
    }

    /// Ends a node without a word, as when its machine is lost: its daemon, those who watch over its jobs, and the jobs.
    fn lose(&self, node: &str) {
        self.kill(node);
        let script = format!(
            "for p in /proc/[0-9]*; do if grep -qsaz '^SLURMD_NODENAME={node}$' $p/environ; then
                 parent=$(sed -n 's/^PPid:[[:space:]]*//p' $p/status)
                 grep -qsa slurmstepd /proc/$parent/cmdline && kill -9 $parent
                 kill -9 ${{p#/proc/}}
             fi; done; true"
        );
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }
}

/// The quickstart without its model, with a program that takes two seconds longer for each task of the first stages.
fn recipe(folder: &Path) -> PathBuf {
    let slow = folder.join("slow.sh");
    let program = binary("webtext");
    // A file says on which node a task of the first stages has just begun.
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *links.*)\n\
         sign={}/begun.$SLURMD_NODENAME; touch $sign; sleep 2; rm -f $sign;;\n\
         esac\nexec {} \"$@\"\n",
        folder.display(),
        program.display()
    );
    fs::write(&slow, script).unwrap();
    let made = Command::new("chmod").arg("+x").arg(&slow).status().unwrap();
    assert!(made.success());
    let text = recipe_without_model().replace("../fixtures", &root().join("fixtures").to_string_lossy());
    let path = folder.join("recipe.toml");
    let executor = format!(
        "[limits]\nbuckets = 4\n[executor]\nmemory_mib = 500\nmax_minutes = 5\ncommand = [{slow:?}]\n[executor.slurm]\npoll_seconds = 1\n"
    );
    fs::write(&path, format!("{text}\n{executor}")).unwrap();
    path
}

fn build(cluster: &Cluster, recipe: &Path, out: &Path) -> Command {
    let mut command = cluster.command(&binary("webtext").to_string_lossy());
    command.arg("build").arg(recipe).arg("--out").arg(out).args(["--executor", "slurm"]);
    command
}

/// One test, since there is one controller: a node is lost, the build is killed, and the bytes are the local ones.
#[test]
fn a_lost_node_and_a_killed_build() {
    let Some(cluster) = Cluster::start("a_lost_node_and_a_killed_build") else { return };
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path());
    let (local, out) = (folder.path().join("local/run"), folder.path().join("slurm/run"));
    check(Command::new(binary("webtext")).arg("build").arg(&recipe).arg("--out").arg(&local).arg("-q"), 0);

    // The build is killed once its first jobs run; they go on.
    let mut killed = build(&cluster, &recipe, &out).stderr(Stdio::null()).spawn().unwrap();
    wait_until("a job runs", || !cluster.busy_nodes().is_empty());
    killed.kill().unwrap();
    killed.wait().unwrap();

    let child = build(&cluster, &recipe, &out).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let merged = out.join("tasks/links.merge/plan");
    let begun = folder.path().join("begun.n2");
    wait_until("the second stage begins", || merged.exists());
    wait_until("a task of it begins on the second node", || begun.exists());
    cluster.lose("n2");
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("is tried again"), "{said}");
    assert_same(&local, &out);
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within 90 s: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A script is written out for people, and nothing else is.
#[test]
fn the_script_can_be_read_before() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path());
    let out = folder.path().join("run");
    let mut command = Command::new(binary("webtext"));
    command.arg("build").arg(&recipe).arg("--out").arg(&out).args(["--executor", "slurm", "--dry-run"]);
    let printed = String::from_utf8(check(&mut command, 0).stdout).unwrap();
    assert!(printed.contains("#SBATCH --array=0-4%5\n") && printed.contains("#SBATCH --mem=500M\n"), "{printed}");
    assert!(!out.exists());
}

/// The command of an Indexed Job, with the variable that Kubernetes sets.
#[test]
fn jobs_of_kubernetes() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path());
    let out = folder.path().join("run");
    let webtext = |flags: &[&str]| {
        let mut command = Command::new(binary("webtext"));
        command.arg("build").arg(&recipe).arg("--out").arg(&out).args(flags);
        command
    };
    let printed = String::from_utf8(check(&mut webtext(&["--executor", "kubernetes", "--dry-run"]), 0).stdout).unwrap();
    assert!(printed.contains("completionMode: Indexed\n  completions: 5\n"), "{printed}");
    let line = printed.lines().find_map(|line| line.trim().strip_prefix("command: ")).unwrap();
    let words: Vec<String> = serde_json::from_str(line).unwrap();
    // The recipe that the manifest names is written by the first command that does anything.
    check(&mut webtext(&["--stage", "links.read", "--task", "0/5"]), 0);
    for index in 0..5 {
        check(Command::new(&words[0]).args(&words[1..]).env("JOB_COMPLETION_INDEX", index.to_string()), 0);
    }
    let said = stderr(&check(&mut webtext(&["--stage", "links.read"]), 0));
    assert!(said.contains("done before"), "{said}");
    let refused = check(&mut webtext(&["--executor", "kubernetes"]), 2);
    assert!(stderr(&refused).contains("--dry-run"), "{}", stderr(&refused));
    let lost = check(Command::new(&words[0]).args(&words[1..]), 2);
    assert!(stderr(&lost).contains("JOB_COMPLETION_INDEX"), "{}", stderr(&lost));
}
