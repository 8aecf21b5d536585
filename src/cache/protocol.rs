//! The protocol of the cache: what it holds for one key, and how each event changes that. It is
//! pure: it has no clock, no lock and no store.
//!
//! Times are on one process's monotonic clock, which may start anywhere. The protocol keeps four
//! laws, which `interleavings` tests in every order of events:
//!
//! 1. A result was true at some time within the bound.
//! 2. After a change by this process is acknowledged, no result is from before it: neither the old
//!    record after a change, nor a live record after a revocation that matches it. The same holds
//!    for a change by another process after the feed reports it.
//! 3. After the feed is known to be lost, no result is from before the loss.
//! 4. While a key stays in the cache, its results never go back to an older record.

use core::time::Duration;

/// The number of times that all entries of a project were dropped. It only grows.
pub(super) type Epoch = u64;

/// The properties of a record that the protocol needs.
pub(super) trait Versioned {
    /// Returns the version of the record.
    fn version(&self) -> u64;
    /// Returns whether the record is revoked, which is final.
    fn is_revoked(&self) -> bool;
}

/// The entry of one key: the result of the store, which may be that there is no such record.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Held<R> {
    pub(super) found: Option<R>,
    pub(super) since: Since,
}

/// The time and epoch of a result, both taken before the call of the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Since {
    pub(super) asked_at: Duration,
    pub(super) epoch: Epoch,
}

impl Since {
    /// Returns whether a result from then may be returned at `now`.
    pub(super) fn is_fresh(&self, now: Duration, epoch: Epoch, bound: Duration) -> bool {
        self.epoch == epoch && now.checked_sub(self.asked_at).is_none_or(|age| age < bound)
    }
}

/// Returns the entry if it may be returned without calling the store.
pub(super) fn look<R>(held: Option<&Held<R>>, now: Duration, epoch: Epoch, bound: Duration) -> Option<&Held<R>> {
    held.filter(|held| held.since.is_fresh(now, epoch, bound))
}

/// Returns the entry after a fill, which is the store's result after a miss.
///
/// A fill is write-if-absent. It loses to a newer version, to a change of its key since it began
/// (`overtaken`), and to an epoch that moved since it began.
pub(super) fn fill<R: Versioned>(
    held: Option<Held<R>>,
    fill: Held<R>,
    overtaken: bool,
    epoch: Epoch,
    bound: Duration,
) -> Landed<R> {
    let lost = overtaken || fill.since.epoch != epoch;
    // An entry that was too old when the fill began counts as absent, because the fill is newer.
    let standing = held.as_ref().filter(|held| held.since.is_fresh(fill.since.asked_at, epoch, bound));
    if lost || standing.is_some_and(|held| is_newer(held.found.as_ref(), fill.found.as_ref())) {
        return Landed { held, lost: true };
    }
    Landed { held: Some(fill), lost: false }
}

/// An entry after a fill, and whether the fill was discarded.
#[derive(Debug)]
pub(super) struct Landed<R> {
    pub(super) held: Option<Held<R>>,
    pub(super) lost: bool,
}

/// Returns the entry after a change by this process is acknowledged. The record of the change
/// replaces an older entry. An absent entry stays absent: a later change may have been acknowledged
/// earlier, and its entry evicted.
pub(super) fn wrote<R: Versioned>(held: Option<Held<R>>, written: Held<R>) -> Option<Held<R>> {
    held.map(|held| if is_newer(held.found.as_ref(), written.found.as_ref()) { held } else { written })
}

/// Returns whether `one` is newer than `other`. A revocation is newer than everything else.
fn is_newer<R: Versioned>(one: Option<&R>, other: Option<&R>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.version() > other.version() || (one.is_revoked() && !other.is_revoked()),
        // A record is newer than its absence: absence comes first, and a purge moves the epoch.
        (one, other) => one.is_some() && other.is_none(),
    }
}
