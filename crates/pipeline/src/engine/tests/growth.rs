//! Metadata and opened files grow with tasks, never with tasks × files.

use super::toy::{Lab, one_task};
use super::watched::Watched;

/// A built lab with so many input files.
fn lab(inputs: u64) -> Lab {
    let lab = Lab::new();
    for number in 0..inputs - 3 {
        lab.write_input(&format!("more-{number:03}"), &[number % 90]);
    }
    lab.build().unwrap();
    lab
}

/// Bytes below `tasks/`.
fn metadata_bytes(lab: &Lab) -> u64 {
    let objects = lab.objects().into_iter();
    objects.filter(|(key, _)| key.starts_with("tasks/")).map(|(_, bytes)| bytes.len() as u64).sum()
}

/// Objects opened, read and listed by the task of a stage that is done again alone.
fn reads_of_one_task(lab: &Lab, stage: &str, task: &str, number: u32, of: u32) -> usize {
    std::fs::remove_file(lab.path(&format!("tasks/{stage}/{task}.json"))).unwrap();
    let watched = Watched::new(lab.store());
    let summary = lab.run_in(watched.clone()).build(&one_task(stage, number, of)).unwrap();
    assert_eq!(summary.tasks_run, 1);
    watched.reads()
}

#[test]
fn with_tasks_alone() {
    let (few, many) = (lab(50), lab(500));
    let (few_bytes, many_bytes) = (metadata_bytes(&few), metadata_bytes(&many));
    assert!(many_bytes <= 12 * few_bytes, "{few_bytes} bytes for 50 inputs, {many_bytes} for 500");
    let reads = [reads_of_one_task(&few, "read", "a", 0, 50), reads_of_one_task(&many, "read", "a", 0, 500)];
    assert!(reads[0] == reads[1] && reads[0] <= 20, "{reads:?}");
    // A build seals what the single tasks did.
    few.build().unwrap();
    many.build().unwrap();
    let reads = [reads_of_one_task(&few, "label", "0", 0, 4), reads_of_one_task(&many, "label", "0", 0, 4)];
    assert!(reads[0] == reads[1] && reads[0] <= 30, "{reads:?}");
}
