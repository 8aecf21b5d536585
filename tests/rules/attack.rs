//! An attacker presents a million tokens that are rejected. The memory use must stay constant, the
//! events must stay few, and the store must not be called.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use keyfob::{
    Access, Keyring, Pepper, Policy, Rejection, Tokens,
    clock::FixedClock,
    events::{Event, EventSink},
    keys::KeyNumber,
    mint,
    tokens::Usage,
};

use crate::heap;
use crate::support::{CountingStore, actor, keyring, new_token, now, prefix, project, with_checksum};

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a store in memory does not wait"),
    }
}

/// The number of events, and the number of rejections that the events report.
#[derive(Default)]
struct Tally {
    events: AtomicU64,
    spoken_for: AtomicU64,
}

impl EventSink for Tally {
    fn record(&self, event: &Event<'_>) {
        let Event::Failed { left_out, .. } = event else { panic!("{event:?}") };
        self.events.fetch_add(1, Ordering::Relaxed);
        self.spoken_for.fetch_add(left_out + 1, Ordering::Relaxed);
    }
}

/// Returns texts that are rejected before the store is called, each with the expected reason. The
/// texts cover every reason for which a text is rejected so early.
fn refused() -> Vec<(String, Rejection)> {
    let made = |ring: &Keyring| mint(ring, &Policy::default(), new_token(), &actor(), now()).unwrap().token;
    let valid = made(&keyring()).expose_secret().to_owned();
    let at = valid.len() - 50;
    let forged = |from: usize, to: &str| with_checksum(&format!("{}{to}{}", &valid[..from], &valid[from + to.len()..]));
    let other = Pepper::new((100..132).collect()).unwrap();
    let other = Keyring::new(prefix(), other);
    let foreign =
        Keyring::builder(prefix()).mint_with(KeyNumber::new(9).unwrap(), crate::support::pepper()).build().unwrap();
    let other_digit = |at: usize| if valid.as_bytes()[at] == b'A' { "B" } else { "A" };
    vec![
        (String::new(), Rejection::Length),
        ("x".repeat(1_000_000), Rejection::Length),
        ("é".repeat(40), Rejection::NotAscii),
        (valid.replace("acme_pat", "acme_cat"), Rejection::Prefix),
        (valid.replace("_145_", "_14-_"), Rejection::Shape),
        (format!("{}0", &valid[..valid.len() - 1]).replace("acme_pat_145_1", "acme_pat_145_2"), Rejection::Checksum),
        (forged(at, other_digit(at)), Rejection::Tag),
        (forged(at + 40, other_digit(at + 40)), Rejection::Tag),
        (made(&other).expose_secret().to_owned(), Rejection::Tag),
        (made(&Keyring::unkeyed(prefix())).expose_secret().to_owned(), Rejection::Unkeyed),
        (made(&foreign).expose_secret().to_owned(), Rejection::UnknownKey),
    ]
}

#[test]
fn a_million_rejected_tokens_cost_no_memory_no_store_and_few_events() {
    const ROUNDS: u64 = 100_000;
    const SECONDS: u64 = 5;
    let texts = refused();
    let total = ROUNDS * texts.len() as u64;
    assert!(total >= 1_000_000);
    let (clock, tally) = (FixedClock::new(now()), Arc::new(Tally::default()));
    let tokens = Tokens::new(keyring(), CountingStore::default())
        .with_clock(clock.clone())
        .with_usage(Usage::default())
        .with_events(Arc::clone(&tally));
    let (project, mut peak) = (project("145"), 0);
    let access = Access::to(&project, &[]);
    let before = heap::live();
    for round in 0..ROUNDS {
        for (text, rejection) in &texts {
            let error = ready(tokens.verify(text, &access)).unwrap_err();
            assert_eq!(error.rejection(), Some(*rejection));
        }
        if (round + 1) % (ROUNDS / SECONDS) == 0 {
            peak = peak.max(heap::live() - before);
            clock.advance(Duration::from_secs(1));
        }
    }
    assert!(peak <= 1024, "{peak} more bytes were allocated");
    assert_eq!(tokens.store().calls(), 0);
    let counts = tokens.counts().unwrap();
    assert_eq!(counts.all_rejected(), total);
    assert_eq!((counts.verified, counts.unavailable), (0, 0));
    // Each reason for a rejection emits at most ten events a second. An event also reports the
    // number of rejections since the previous event of the same reason. The last second's
    // rejections after the tenth are in no event yet.
    let kinds = Rejection::ALL.iter().filter(|rejection| counts.rejected(**rejection) > 0).count() as u64;
    let events = tally.events.load(Ordering::Relaxed);
    assert_eq!(kinds, 8);
    assert_eq!(events, kinds * SECONDS * Event::SAMPLES);
    let last_second = total / SECONDS;
    assert_eq!(tally.spoken_for.load(Ordering::Relaxed), total - last_second + kinds * Event::SAMPLES);
}
