//! A stage that loses a record fails, now and when it is built again.

use super::toy::{Fault, Lab};
use crate::error::chain;

/// Builds a flow with a mistake in it, twice: the error must contain this text both times.
fn check_fault(fault: Fault, said: &str) {
    let mut lab = Lab::new();
    lab.settings.fault = Some(fault);
    for _ in 0..2 {
        let error = chain(&lab.build().unwrap_err());
        assert!(error.contains(said), "{error}");
    }
    lab.settings.fault = None;
    lab.build().unwrap();
    lab.check_undisturbed();
}

#[test]
fn a_bucket_that_no_task_reads() {
    check_fault(Fault::ForgottenBucket, "stage count received 8 rows of read/numbers, which has 10");
}

#[test]
fn a_row_that_its_task_does_not_read() {
    check_fault(Fault::UnreadRow, "stage label received 4 rows of count/counts, which has 8");
}

#[test]
fn a_task_that_loses_count() {
    check_fault(Fault::Miscount, "stage label, task 0/4: the counts do not reconcile");
}
