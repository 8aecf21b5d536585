//! The cache's protocol: what is held of one key, and what each event makes of it. Pure: no clock, no lock, no store.
//!
//! Times run on one process's monotonic clock, from any beginning. The laws, which `interleavings` tries in every order:
//!
//! 1. What is answered was true at some time no longer ago than the bound.
//! 2. Once an act of this process is acknowledged, nothing from before it is answered: not the old record behind a change,
//!    not a live one behind a matching revocation. The same once another process's act was told of by the feed.
//! 3. Once the feed is known to be lost, nothing from before that is answered.
//! 4. As long as a key stays held, its answers never go back to an older one.

use core::time::Duration;

/// How often all that is held of a project was given up at once. It only grows.
pub(super) type Epoch = u64;

/// What the protocol must know of a record.
pub(super) trait Versioned {
    fn version(&self) -> u64;
    /// Whether it can never be anything else any more.
    fn is_revoked(&self) -> bool;
}

/// What is held of a key: the store's answer, which may be that there is no such row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Held<R> {
    pub(super) found: Option<R>,
    pub(super) since: Since,
}

/// From when an answer is: the time and the epoch from before the store was asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Since {
    pub(super) asked_at: Duration,
    pub(super) epoch: Epoch,
}

impl Since {
    /// Whether an answer from then may be given now.
    pub(super) fn is_fresh(&self, now: Duration, epoch: Epoch, bound: Duration) -> bool {
        self.epoch == epoch && now.checked_sub(self.asked_at).is_none_or(|age| age < bound)
    }
}

/// What is answered without the store.
pub(super) fn look<R>(held: Option<&Held<R>>, now: Duration, epoch: Epoch, bound: Duration) -> Option<&Held<R>> {
    held.filter(|held| held.since.is_fresh(now, epoch, bound))
}

/// What is held once a fill lands: what the store answered to a miss. Write-if-absent: it loses to a newer version, to
/// anything of this key that was written or told since it began (`overtaken`), and to an epoch that has moved.
pub(super) fn fill<R: Versioned>(
    held: Option<Held<R>>,
    fill: Held<R>,
    overtaken: bool,
    epoch: Epoch,
    bound: Duration,
) -> Landed<R> {
    let lost = overtaken || fill.since.epoch != epoch;
    // What could not be answered when the fill began counts as absent: the store's answer is from after it.
    let standing = held.as_ref().filter(|held| held.since.is_fresh(fill.since.asked_at, epoch, bound));
    if lost || standing.is_some_and(|held| is_newer(held.found.as_ref(), fill.found.as_ref())) {
        return Landed { held, lost: true };
    }
    Landed { held: Some(fill), lost: false }
}

/// What is held, and whether the fill was in vain.
#[derive(Debug)]
pub(super) struct Landed<R> {
    pub(super) held: Option<Held<R>>,
    pub(super) lost: bool,
}

/// What is held once an act of this process is acknowledged, with the record that it gave: it overwrites what is there.
/// Where nothing is, it stays so: a later act may have been acknowledged before, and what it left evicted.
pub(super) fn wrote<R: Versioned>(held: Option<Held<R>>, written: Held<R>) -> Option<Held<R>> {
    held.map(|held| if is_newer(held.found.as_ref(), written.found.as_ref()) { held } else { written })
}

/// Whether one answer is from after the other. A revocation is the last there is.
fn is_newer<R: Versioned>(one: Option<&R>, other: Option<&R>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.version() > other.version() || (one.is_revoked() && !other.is_revoked()),
        // A row that is known is newer than its absence: rows begin absent, and a purge moves the epoch.
        (one, other) => one.is_some() && other.is_none(),
    }
}
