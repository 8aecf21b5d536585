//! What is the same for every fault of either engine.

use std::time::{Duration, Instant};

use crate::staleness::revoker::{Counts, Revoker, TOKENS};
use crate::staleness::{BOUND, FEED, FORGETS, ISSUERS};
use crate::support::other::nanos;

/// A cache with the bound that follows the feed.
pub const SOUND: &[(&str, &str)] = &[(FORGETS, "1"), (FEED, "1")];
/// The same, of tokens whose issuers end.
pub const SOUND_OF_ISSUERS: &[(&str, &str)] = &[(FORGETS, "1"), (FEED, "1"), (ISSUERS, "1")];
/// One that goes by its feed alone.
pub const FEED_ONLY: &[(&str, &str)] = &[(FEED, "1")];
/// For what is a matter of moments.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The bound holds, whatever happens in the midst of each of these rounds, and the feed comes back. What happens says how
/// often it cut the feed. Gives what the other process did, and how many acts were to be repeated.
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
    // Each time it is lost twice, when that is known and when it is there again; but where one cut follows another closely, both
    // may be one loss.
    feed_is_well(&mut revoker, 1 + cuts / 2).await;
    let counts = revoker.counts();
    let seen = revoker.stop();
    println!(
        "{what}: {} revocations in {:.1?}, {} acts repeated, delay 99 % {:?}, most {:?}; hits {:.1} %; feed cut {cuts} times, lost {}; \
         verifications without an answer {}, the longest {:?}",
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

/// Waits until the feed, if there is one, was lost so often, and tells something again.
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
            "the feed never came back: lost {} times of {losses}, well: {}, verifications without an answer: {}",
            counts.feed_losses,
            counts.feed_is_well,
            counts.unanswered
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// While the engine is down, there is no answer once what is held is older than the bound; and all is as it was when it is up
/// again. A cache that never forgets goes on answering, which shows that the first can fail.
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
            "down and up: verifications without an answer {}, the last {:?} after it was up; the longest {:?}",
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

/// A cache that goes by its feed alone accepts what is revoked while that is silent, so the bound is what holds then, and the
/// measures of it can fail; once the loss is known, it has forgotten all.
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
