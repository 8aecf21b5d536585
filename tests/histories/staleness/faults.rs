//! The checks that the tests of all faults share, for both engines.

use std::time::{Duration, Instant};

use crate::staleness::revoker::{Counts, Revoker, TOKENS};
use crate::staleness::{BOUND, FEED, FORGETS, ISSUERS};
use crate::support::other::nanos;

/// The environment variables for a verifying process whose cache bounds the age of its records and
/// follows the feed.
pub const SOUND: &[(&str, &str)] = &[(FORGETS, "1"), (FEED, "1")];
/// The environment variables for a verifying process in tests that revoke the issuers of the
/// tokens, and not the tokens themselves. The cache of the process is the same as for [`SOUND`].
pub const SOUND_OF_ISSUERS: &[(&str, &str)] = &[(FORGETS, "1"), (FEED, "1"), (ISSUERS, "1")];
/// The environment variables for a verifying process whose cache follows the feed, but does not
/// bound the age of its records.
pub const FEED_ONLY: &[(&str, &str)] = &[(FEED, "1")];
/// The maximum time that a test waits for an expected state, such as a feed that has recovered. The
/// state is normally reached within moments.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Checks that, during a fault, verification accepts no token for longer than the bound after the
/// token's revocation. Also checks that the feed recovers. `what` names the fault in the output of
/// the test. `happening` causes the fault once in each round, and returns how often it cut the
/// feed. This function returns the counts of the verifying process, and the number of operations
/// that were repeated.
pub async fn is_bounded_amid(
    what: &str,
    mut revoker: Revoker,
    rounds: usize,
    mut happening: impl AsyncFnMut(usize) -> u64,
) -> (Counts, usize) {
    feed_is_well(&mut revoker, 1).await;
    let (began, mut cuts) = (Instant::now(), 0);
    for number in 0..rounds {
        let mut round = revoker.issue().await;
        revoker.revoke_amid(&mut round, async { cuts += happening(number).await }).await;
        revoker.end(round).await;
    }
    // Each cut counts as two losses of the feed: one when the cache notices the cut, and one when
    // the feed is back. If two cuts follow closely, both may count as one loss.
    feed_is_well(&mut revoker, 1 + cuts / 2).await;
    let counts = revoker.counts();
    let seen = revoker.stop();
    println!(
        "{what}: {} revocations in {:.1?}, {} operations repeated, delay 99 % {:?}, most {:?}; hits {:.1} %; feed cut {cuts} times, lost {}; \
         verifications without a result {}, the longest {:?}",
        seen.delays.len(),
        began.elapsed(),
        seen.repeated,
        seen.percentile(99),
        seen.percentile(100),
        counts.hit_rate() * 100.0,
        counts.feed_losses,
        counts.unanswered,
        counts.longest,
    );
    assert_eq!((seen.delays.len(), seen.too_late(), seen.never_refused), (rounds * TOKENS, 0, 0));
    assert_eq!((seen.refused_too_early, counts.strange.as_str()), (0, "none"));
    (counts, seen.repeated)
}

/// Waits until the feed was lost at least `losses` times and delivers events again. Returns
/// immediately if the verifying process follows no feed.
async fn feed_is_well(revoker: &mut Revoker, losses: u64) {
    if !revoker.follows {
        return;
    }
    let asked = Instant::now();
    loop {
        let counts = revoker.counts();
        if counts.feed_is_well && counts.feed_losses >= losses {
            return;
        }
        assert!(
            asked.elapsed() < PATIENCE,
            "the feed did not recover: lost {} of {losses} times, delivers events: {}, verifications without a result: {}",
            counts.feed_losses,
            counts.feed_is_well,
            counts.unanswered
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Checks that verification fails while the engine is down and the cached records are older than
/// the bound, and that verification works again after the engine is up. Then checks that a cache
/// without a bound accepts tokens while the engine is down. This shows that verification fails in
/// the first check because of the bound.
pub async fn has_no_answer_while_it_is_down(
    database: &str,
    downs: usize,
    mut stop: impl AsyncFnMut(),
    mut start: impl AsyncFnMut(),
) {
    let mut revoker = Revoker::start(database, database, SOUND).await;
    feed_is_well(&mut revoker, 1).await;
    for _ in 0..downs {
        let mut round = revoker.issue().await;
        revoker.revoke_some(&mut round).await;
        stop().await;
        let down_at = nanos();
        tokio::time::sleep(BOUND + Duration::from_millis(1)).await;
        for tried in revoker.try_all() {
            assert_eq!(tried.outcome, "unavailable");
            assert!(tried.accepted <= down_at + BOUND.as_nanos() as u64);
        }
        start().await;
        let up_at = nanos();
        revoker.revoke(&mut round).await;
        revoker.end(round).await;
        let counts = revoker.counts();
        println!(
            "down and up: verifications without a result {}, the last {:?} after it was up; the longest {:?}",
            counts.unanswered,
            Duration::from_nanos(counts.unanswered_at.saturating_sub(up_at)),
            counts.longest,
        );
        assert_eq!(counts.strange, "none");
    }
    feed_is_well(&mut revoker, 1 + 2 * downs as u64).await;
    let seen = revoker.stop();
    assert_eq!((seen.delays.len(), seen.too_late(), seen.never_refused), (downs * TOKENS, 0, 0));
    assert_eq!(seen.refused_too_early, 0);

    let mut revoker = Revoker::start(database, database, &[]).await;
    let _round = revoker.issue().await;
    stop().await;
    tokio::time::sleep(BOUND + Duration::from_millis(1)).await;
    assert!(revoker.try_all().iter().all(|tried| tried.outcome == "ok"));
    start().await;
    revoker.stop();
}

/// Checks that a cache without a bound accepts revoked tokens while its feed is silent. So at such
/// times, only the bound keeps a cache from accepting them, and the tests of the bound would fail
/// if the bound had no effect. Also checks that the cache rejects all revoked tokens after it has
/// noticed the loss of the feed.
pub async fn only_the_bound_holds_while_the_feed_is_silent(mut revoker: Revoker, silence: impl AsyncFnOnce() -> u64) {
    feed_is_well(&mut revoker, 1).await;
    let mut round = revoker.issue().await;
    let losses = revoker.counts().feed_losses;
    assert_eq!(silence().await, 1);
    revoker.revoke(&mut round).await;
    tokio::time::sleep(BOUND + Duration::from_millis(1)).await;
    assert!(revoker.try_all().iter().any(|tried| tried.outcome == "ok"));
    feed_is_well(&mut revoker, losses + 2).await;
    revoker.end(round).await;
    let seen = revoker.stop();
    assert!(seen.too_late() > 0 && seen.never_refused == 0, "{seen:?}");
}
