//! The protocol of the cache: which entry the cache keeps for one key, and how each event changes
//! the entry. The functions here are pure: they use no clock, no lock and no store.
//!
//! All times are readings of the monotonic clock of one process. The clock may start at any value.
//! The protocol keeps four laws, and the module `interleavings` tests them in every order of
//! events:
//!
//! 1. If the cache returns a record, the store held this record at some time within the bound.
//! 2. After the store has acknowledged a change by this process, the cache does not return the
//!    record from before the change. After a group revocation, it does not return a token of the
//!    group as live. The same holds for a change by another process after the feed has reported it.
//! 3. After the cache has noticed a loss of the feed, it returns no record from before the loss.
//! 4. While a key stays in the cache, the cache never returns an older record after a newer one.

use core::time::Duration;

/// The number of times that the cache has dropped all entries of a project. It only grows.
pub(super) type Epoch = u64;

/// The properties of a record that the protocol needs.
pub(super) trait Versioned {
    /// Returns the version of the record.
    fn version(&self) -> u64;
    /// Returns whether the record is revoked. A revocation is final.
    fn is_revoked(&self) -> bool;
}

/// The cache entry of one key: the record that the store returned, or `None` if the store has no
/// such record.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Held<R> {
    pub(super) found: Option<R>,
    pub(super) since: Since,
}

/// The time and epoch at which a call to the store began. The age of the returned record counts
/// from this time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Since {
    pub(super) asked_at: Duration,
    pub(super) epoch: Epoch,
}

impl Since {
    /// Returns whether the cache may return a record at the time `now`, in the epoch `epoch`.
    /// `self` holds the time and the epoch at which the store call for this record began.
    pub(super) fn is_fresh(&self, now: Duration, epoch: Epoch, bound: Duration) -> bool {
        self.epoch == epoch && now.checked_sub(self.asked_at).is_none_or(|age| age < bound)
    }
}

/// Returns the entry if it is fresh, so that the cache may use it without calling the store.
/// Returns `None` if there is no entry, or if the entry is not fresh.
pub(super) fn look<R>(held: Option<&Held<R>>, now: Duration, epoch: Epoch, bound: Duration) -> Option<&Held<R>> {
    held.filter(|held| held.since.is_fresh(now, epoch, bound))
}

/// Returns the entry after a fill. A fill puts the record that the store returned after a miss into
/// the cache.
///
/// The fill is discarded in any of these cases:
///
/// - The cache has a fresh entry with a newer record.
/// - The record was changed after the store call began (`overtaken`).
/// - The epoch of the project moved after the store call began.
pub(super) fn fill<R: Versioned>(
    held: Option<Held<R>>,
    fill: Held<R>,
    overtaken: bool,
    epoch: Epoch,
    bound: Duration,
) -> Landed<R> {
    let lost = overtaken || fill.since.epoch != epoch;
    // If the entry was too old when the store call began, the fill is newer and replaces it.
    let standing = held.as_ref().filter(|held| held.since.is_fresh(fill.since.asked_at, epoch, bound));
    if lost || standing.is_some_and(|held| is_newer(held.found.as_ref(), fill.found.as_ref())) {
        return Landed { held, lost: true };
    }
    Landed { held: Some(fill), lost: false }
}

/// The result of a fill: the entry after the fill, and `lost`, which is true if the fill was
/// discarded.
#[derive(Debug)]
pub(super) struct Landed<R> {
    pub(super) held: Option<Held<R>>,
    pub(super) lost: bool,
}

/// Returns the entry after the store has acknowledged a change by this process. The changed record
/// replaces an older entry. If there is no entry, none is added, because the changed record may be
/// outdated. This happens if the store has acknowledged a later change before, and the cache has
/// evicted the entry of this later change.
pub(super) fn wrote<R: Versioned>(held: Option<Held<R>>, written: Held<R>) -> Option<Held<R>> {
    held.map(|held| if is_newer(held.found.as_ref(), written.found.as_ref()) { held } else { written })
}

/// Returns whether the record `one` is newer than the record `other`. A revoked record is newer
/// than every record that is not revoked. `None` means that there is no record. Every record is
/// newer than `None`.
fn is_newer<R: Versioned>(one: Option<&R>, other: Option<&R>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.version() > other.version() || (one.is_revoked() && !other.is_revoked()),
        // A record is newer than no record, because it may have been inserted after the read that
        // found no record. If a purge deletes a record, the epoch moves, so the entry is not fresh.
        (one, other) => one.is_some() && other.is_none(),
    }
}
