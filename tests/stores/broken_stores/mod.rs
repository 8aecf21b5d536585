//! Tests the conformance kit with broken stores. Each broken store breaks one law, and fails the
//! case for this law. Beside it, it fails only cases that see the faults of several laws. For each
//! case of the kit, there is a broken store that fails it.

mod faults;
mod handle;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

use faults::Fault;
use handle::{Handle, HandleFault};
use keyfob::MemoryStore;
use keyfob::conformance::{self, Report};
use store::BrokenStore;

use crate::support::size::is_full;

async fn tried(store: &BrokenStore) -> [Report; 3] {
    [conformance::token_store(store).await, conformance::maintenance(store).await, conformance::import(store).await]
}

fn failed(reports: &[Report]) -> Vec<&'static str> {
    reports.iter().flat_map(|report| &report.failed).map(|violation| violation.case).collect()
}

/// Returns whether this law also fails for faults of other laws: it compares whole records or two
/// refusals, its group is a larger one of another law, or it needs a whole list of projects.
fn sees_several(case: &str) -> bool {
    case.starts_with("a_reader_")
        || case.contains("_longest_")
        || case.starts_with("projects_with_")
        || ["insert_says_conflict_before_the_limit", "no_rotation_slips_past_a_large_group"].contains(&case)
}

#[tokio::test]
async fn without_a_fault_every_law_is_kept() {
    for report in tried(&BrokenStore::without_fault()).await {
        report.assert();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_fails_the_case_of_its_law() {
    let trials: Vec<_> = Fault::ALL.iter().map(|fault| (fault, tokio::spawn(fault.tried()))).collect();
    for (fault, trial) in trials {
        let violation = trial.await.unwrap().expect_err(&format!("{fault:?} must fail {}", fault.case()));
        assert_eq!(violation.case, fault.case());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_fails_the_case_of_its_law_and_no_other() {
    let trial = |fault| tokio::spawn(async move { (fault, tried(&BrokenStore::new(fault)).await) });
    // Each trial runs all laws.
    let one_of = if is_full() { 1 } else { 60 };
    let trials: Vec<_> = Fault::ALL.iter().copied().step_by(one_of).map(trial).collect();
    let mut wrong = Vec::new();
    for trial in trials {
        let (fault, reports) = trial.await.unwrap();
        let failed = failed(&reports);
        let (own, others): (Vec<_>, Vec<_>) = failed.into_iter().partition(|case| *case == fault.case());
        if own.is_empty() || !others.into_iter().all(sees_several) {
            wrong.push(format!("{fault:?} must fail only {}:", fault.case()));
            wrong.extend(reports.iter().map(Report::to_string));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn each_case_is_failed_by_a_fault() {
    let reports = tried(&BrokenStore::without_fault()).await;
    let engine = MemoryStore::new();
    let of_handles = conformance::shared(&engine, &engine).await;
    let cases = reports.iter().chain([&of_handles]).flat_map(|report| report.passed.iter().copied());
    let cases: BTreeSet<_> = cases.collect();
    let broken = Fault::ALL.iter().map(|fault| fault.case()).chain(HandleFault::ALL.iter().map(|fault| fault.case()));
    let broken: BTreeSet<_> = broken.collect();
    // The comparison finds cases that no fault fails, and faults that name a case that does not
    // exist.
    assert_eq!(cases, broken);
}

/// Returns the reports of a handle alone and of two handles on one engine.
async fn tried_with_handles(fault: HandleFault) -> [Report; 2] {
    let engine = Arc::new(MemoryStore::new());
    let alone = conformance::token_store(&Handle::new(Arc::clone(&engine), fault)).await;
    let (first, second) = (Handle::new(Arc::clone(&engine), fault), Handle::new(engine, fault));
    [alone, conformance::shared(&first, &second).await]
}

/// The laws of one handle cannot find these faults.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_handle_fails_the_case_of_its_law_with_two_handles() {
    for fault in HandleFault::ALL.iter().copied() {
        let [alone, of_two] = tried_with_handles(fault).await;
        assert!(alone.failed.is_empty(), "{fault:?} alone: {alone}");
        assert!(failed(std::slice::from_ref(&of_two)).contains(&fault.case()), "{fault:?}: {of_two}");
    }
}

/// The faults of the stores that passed an earlier version of the kit, each with the law that finds
/// it: reads of uncommitted rows, a rotation without the turn of its project, a rotation in two
/// transactions, a lock of one process, and a cache that no other process empties.
#[tokio::test]
async fn a_fault_that_once_passed_is_found_in_each_of_fifty_runs() {
    for _ in 0..50 {
        for fault in [None, Some(Fault::RefusedCallsAreSeen)] {
            let result = conformance::a_reader_sees_nothing_of_a_refused_call(&store(fault)).await;
            assert_eq!(result.is_err(), fault.is_some(), "{fault:?}");
        }
        for fault in [None, Some(Fault::RotateMissesItsTurn)] {
            let result = conformance::no_rotation_slips_past_a_group(&store(fault)).await;
            assert_eq!(result.is_err(), fault.is_some(), "{fault:?}");
        }
        for fault in [None, Some(Fault::RotateInTwoTransactions)] {
            let result = conformance::a_reader_beside_a_rotation_sees_all_or_nothing(&store(fault)).await;
            assert_eq!(result.is_err(), fault.is_some(), "{fault:?}");
        }
        let handles = handles(HandleFault::UpdatesLockTheirProcess);
        assert!(conformance::one_update_of_a_version_wins(&handles).await.is_err());
        let handles = self::handles(HandleFault::FindKeepsRows);
        assert!(conformance::find_shows_what_another_handle_wrote(&handles).await.is_err());
    }
}

fn store(fault: Option<Fault>) -> BrokenStore {
    fault.map_or_else(BrokenStore::without_fault, BrokenStore::new)
}

/// Returns two handles with this fault on one engine.
fn handles(fault: HandleFault) -> conformance::Handles<Handle, Handle> {
    let engine = Arc::new(MemoryStore::new());
    conformance::Handles::new(Handle::new(Arc::clone(&engine), fault), Handle::new(engine, fault))
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
