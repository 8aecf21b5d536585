//! Tests the conformance kit with broken stores. Each broken store breaks one law, and fails
//! exactly the case for this law. For each case of the kit, there is a broken store that fails it.

mod faults;
mod store;

use std::collections::BTreeSet;

use faults::Fault;
use keyfob::conformance::{self, Report};
use store::BrokenStore;

async fn tried(store: &BrokenStore) -> [Report; 3] {
    [conformance::token_store(store).await, conformance::maintenance(store).await, conformance::import(store).await]
}

fn failed(reports: &[Report]) -> Vec<&'static str> {
    reports.iter().flat_map(|report| &report.failed).map(|violation| violation.case).collect()
}

#[tokio::test]
async fn without_a_fault_every_law_is_kept() {
    for report in tried(&BrokenStore::without_fault()).await {
        report.assert();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_fails_the_case_of_its_law_and_no_other() {
    let trial = |fault| tokio::spawn(async move { (fault, tried(&BrokenStore::new(fault)).await) });
    let trials: Vec<_> = Fault::ALL.iter().copied().map(trial).collect();
    let mut wrong = Vec::new();
    for trial in trials {
        let (fault, reports) = trial.await.unwrap();
        if failed(&reports) != [fault.case()] {
            wrong.push(format!("{fault:?} must fail only {}:", fault.case()));
            wrong.extend(reports.iter().map(Report::to_string));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn each_case_is_failed_by_a_fault() {
    let reports = tried(&BrokenStore::without_fault()).await;
    let cases: BTreeSet<_> = reports.iter().flat_map(|report| report.passed.iter().copied()).collect();
    let broken: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.case()).collect();
    // The comparison finds cases that no fault fails, and faults that name a case that does not
    // exist.
    assert_eq!(cases, broken);
}

#[tokio::test]
#[should_panic(expected = "1 broken\n  a_second_revoke_leaves_the_version: the version that the second call returned")]
async fn a_report_panics_with_its_violations() {
    conformance::token_store(&BrokenStore::new(Fault::RevokeAgainRaisesTheVersion)).await.assert();
}

#[tokio::test]
async fn a_case_names_itself() {
    let store = BrokenStore::new(Fault::RevokeKeepsTheVersion);
    let violation = conformance::revoke_raises_the_version(&store).await.unwrap_err();
    assert_eq!(violation.case, "revoke_raises_the_version");
    assert!(conformance::rotate_raises_the_version(&store).await.is_ok());
}
