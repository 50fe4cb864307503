//! The reports of tasks and stages: the manifest that ends a task, the seal that ends a stage.

use std::collections::BTreeMap;

use crate::error::Result;
use filter::FilterTally;
use records::{Counts, Reason};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

/// An object that a task wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The product that it is of.
    pub product: String,
    /// Its key in the run's store.
    pub key: String,
    /// Length in bytes.
    pub len_bytes: u64,
    /// XXH3 of its bytes, 16 hexadecimal digits.
    pub checksum: String,
    /// Rows, for tables and bucket files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The digests of a bucket file's buckets, 16 hexadecimal digits each, `-` for a run of empty ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<Digests>,
    /// Whether it is part of a durable state, which is not removed when its task runs again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_state: bool,
}

/// The digests of many buckets, of which most may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests(pub Vec<u64>);

impl Serialize for Digests {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = self.0.chunk_by(|a, b| (*a == 0) == (*b == 0)).map(|run| match run[0] {
            0 => format!("-{}", run.len()),
            _ => run.iter().map(|digest| format!("{digest:016x}")).collect(),
        });
        serializer.collect_str(&parts.collect::<Vec<_>>().join(" "))
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digests, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fault = || serde::de::Error::custom("not a list of digests");
        let mut digests = Vec::new();
        for part in text.split(' ').filter(|part| !part.is_empty()) {
            if let Some(empty) = part.strip_prefix('-') {
                let empty: usize = empty.parse().ok().filter(|&n| n <= 1 << 24).ok_or_else(fault)?;
                digests.extend(std::iter::repeat_n(0, empty));
                continue;
            }
            for digest in part.as_bytes().chunks(16) {
                let digest = std::str::from_utf8(digest).ok().and_then(|digest| u64::from_str_radix(digest, 16).ok());
                digests.push(digest.ok_or_else(fault)?);
            }
        }
        Ok(Digests(digests))
    }
}

/// An input from outside the run, as the task that read it found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRead {
    /// Its URL or path.
    pub url: String,
    /// Length in bytes.
    pub len_bytes: u64,
    /// XXH3 of its bytes, 16 hexadecimal digits.
    pub checksum: String,
}

/// An input that could not be read to its end. What was read before the fault is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The file.
    pub path: String,
    /// What is wrong and where.
    pub error: String,
}

/// A dropped record that a report can show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Why it was dropped.
    pub reason: Reason,
    /// Where it was: file and line, or file and byte.
    pub place: String,
    /// Its first characters.
    pub text: String,
}

/// A metric: number, sum and extremes of the values that were noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Metric {
    /// Adds one value.
    pub fn note(&mut self, value: f64) {
        self.merge(&Metric { count: 1, sum: value, min: value, max: value });
    }

    /// Adds the values of another task. Sums of fractions depend on the order, so it is always that of the task
    /// numbers.
    pub fn merge(&mut self, other: &Metric) {
        if other.count == 0 {
            return;
        }
        let is_first = self.count == 0;
        self.min = if is_first { other.min } else { self.min.min(other.min) };
        self.max = if is_first { other.max } else { self.max.max(other.max) };
        self.count += other.count;
        self.sum += other.sum;
    }
}

/// For each n, how many values v have 2ⁿ ≤ v < 2ⁿ⁺¹.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log2Histogram(pub Vec<u64>);

impl Log2Histogram {
    /// Counts a value; 0 counts as 1.
    pub fn note(&mut self, value: u64) {
        let power = value.max(1).ilog2() as usize;
        self.0.resize(self.0.len().max(power + 1), 0);
        self.0[power] += 1;
    }

    fn merge(&mut self, other: &Log2Histogram) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count += more);
    }
}

/// Counts and metrics of one task, or of all tasks of a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Records read, kept and dropped.
    pub counts: Counts,
    /// Rows read of each product of an earlier stage.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub received: BTreeMap<String, u64>,
    /// Metrics: tokens, bytes, loss.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Metric>,
    /// Histograms by powers of two.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub histograms: BTreeMap<String, Log2Histogram>,
    /// Drops and measures of each rule.
    #[serde(default, skip_serializing_if = "FilterTally::is_empty")]
    pub rules: FilterTally,
    /// Inputs that broke off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
    /// A few dropped records for each reason, of those that have no row in any table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

/// Samples of dropped records that are kept for each reason.
pub(crate) const SAMPLES_PER_REASON: usize = 5;

impl Tally {
    /// Adds the tally of the next task.
    pub(crate) fn merge(&mut self, other: &Tally) {
        self.counts.add(&other.counts);
        other.received.iter().for_each(|(from, rows)| *self.received.entry(from.clone()).or_default() += rows);
        other.metrics.iter().for_each(|(name, metric)| self.metrics.entry(name.clone()).or_default().merge(metric));
        other
            .histograms
            .iter()
            .for_each(|(name, histogram)| self.histograms.entry(name.clone()).or_default().merge(histogram));
        self.rules.merge(&other.rules);
        self.unreadable.extend(other.unreadable.iter().cloned());
        for sample in &other.samples {
            if self.samples.iter().filter(|kept| kept.reason == sample.reason).count() < SAMPLES_PER_REASON {
                self.samples.push(sample.clone());
            }
        }
    }

    /// The sum of a metric's values; 0 when there are none.
    pub fn sum(&self, metric: &str) -> f64 {
        self.metrics.get(metric).map_or(0.0, |metric| metric.sum)
    }
}

/// What one task did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task's name.
    pub name: String,
    /// Digest of the task: XXH3-128 of its revision and serialisation.
    pub digest: String,
    /// The objects that it wrote.
    pub outputs: Vec<Output>,
    /// Its inputs from outside the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceRead>,
    /// Counts and metrics.
    #[serde(flatten)]
    pub tally: Tally,
}

/// The record of one finished task, written after its outputs: an object that no manifest names does not exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The stage.
    pub stage: String,
    /// The stage's revision.
    pub revision: u32,
    /// The task: every input and setting.
    pub task: Value,
    /// Its report.
    #[serde(flatten)]
    pub report: TaskReport,
}

/// The header of a seal; its entries are the [`TaskReport`]s, in the order of the tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// The stage.
    pub stage: String,
    /// The stage's revision.
    pub revision: u32,
    /// Number of tasks.
    pub tasks: u32,
    /// Digest of the plan that it fulfils.
    pub plan: String,
    /// Whether the work files were removed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_pruned: bool,
    /// Rows of each product.
    pub rows: BTreeMap<String, u64>,
    /// For each product with buckets, the digest of each bucket over all tasks.
    pub digests: BTreeMap<String, Digests>,
    /// Counts and metrics.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Seal {
    /// The seal over the reports of all tasks.
    pub(crate) fn over(stage: &str, revision: u32, plan: &str, reports: &[TaskReport]) -> Seal {
        let mut seal = Seal {
            stage: stage.to_owned(),
            revision,
            tasks: reports.len() as u32,
            plan: plan.to_owned(),
            ..Seal::default()
        };
        let mut hashers: BTreeMap<&str, Vec<Option<Xxh3>>> = BTreeMap::new();
        for report in reports {
            seal.tally.merge(&report.tally);
            for output in &report.outputs {
                if let Some(rows) = output.rows {
                    *seal.rows.entry(output.product.clone()).or_default() += rows;
                }
                let Some(Digests(digests)) = &output.digests else { continue };
                let hashers = hashers.entry(&output.product).or_default();
                hashers.resize_with(hashers.len().max(digests.len()), || None);
                for (hasher, digest) in hashers.iter_mut().zip(digests).filter(|(_, digest)| **digest != 0) {
                    // The task's name is part of the digest: rows that move to another task's file must change it,
                    // since readers find them there.
                    let hasher = hasher.get_or_insert_with(Xxh3::new);
                    hasher.update(report.name.as_bytes());
                    hasher.update(&digest.to_le_bytes());
                }
            }
        }
        for (product, hashers) in hashers {
            let digests = hashers.into_iter().map(|hasher| hasher.map_or(0, |hasher| hasher.digest()));
            seal.digests.insert(product.to_owned(), Digests(digests.collect()));
        }
        seal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_as_text() {
        for digests in [vec![], vec![0, 0, 0], vec![1, 2, 0, 0, u64::MAX], vec![7]] {
            let text = serde_json::to_string(&Digests(digests.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Digests>(&text).unwrap(), Digests(digests), "{text}");
        }
        assert_eq!(serde_json::to_string(&Digests(vec![0, 0, 1])).unwrap(), r#""-2 0000000000000001""#);
        for damaged in ["\"x\"", "\"-99999999999\"", "\"é\""] {
            assert!(serde_json::from_str::<Digests>(damaged).is_err());
        }
    }

    #[test]
    fn metrics_merge() {
        let mut metric = Metric::default();
        for value in [3.0, -1.0, 2.0] {
            metric.note(value);
        }
        assert_eq!(metric, Metric { count: 3, sum: 4.0, min: -1.0, max: 3.0 });
        metric.merge(&Metric::default());
        assert_eq!(metric.count, 3);
    }

    fn report(name: &str, digests: Vec<u64>) -> TaskReport {
        let output = Output {
            product: "rows".into(),
            key: name.into(),
            len_bytes: 1,
            checksum: "c".into(),
            rows: Some(2),
            digests: Some(Digests(digests)),
            is_state: false,
        };
        TaskReport {
            name: name.into(),
            digest: "d".into(),
            outputs: vec![output],
            sources: Vec::new(),
            tally: Tally::default(),
        }
    }

    #[test]
    fn a_further_task_changes_the_buckets_that_it_writes() {
        let seal = |reports: &[TaskReport]| Seal::over("s", 1, "p", reports);
        let two = seal(&[report("a", vec![1, 2, 0]), report("b", vec![3, 0, 0])]);
        let three = seal(&[report("a", vec![1, 2, 0]), report("aa", vec![0, 5, 0]), report("b", vec![3, 0, 0])]);
        let (Digests(two_digests), Digests(three_digests)) = (&two.digests["rows"], &three.digests["rows"]);
        assert_eq!((two_digests[0], two_digests[2]), (three_digests[0], 0));
        assert_ne!(two_digests[1], three_digests[1]);
        assert_eq!((two.rows["rows"], three.rows["rows"]), (4, 6));
    }
}
