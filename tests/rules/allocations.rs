//! Counts the heap allocations of a verification.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use keyfob::{
    Access, Keyring, MemoryStore, Policy, PresentedToken, Rejection, Scope, ScopeSet, Tokens, check, clock::FixedClock,
    mint, record::AddressRanges,
};

use crate::heap;
use crate::support::{actor, keyring, new_token, now, project, with_checksum};

/// Calls a closure. Returns the number of allocations that the closure made on this thread, and the
/// closure's result.
pub fn allocations<T>(act: impl FnOnce() -> T) -> (u64, T) {
    let before = heap::allocations();
    let value = black_box(act());
    (heap::allocations() - before, value)
}

pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a store in memory does not wait"),
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| Box::new(7)).0, 1);
    assert_eq!(allocations(|| 7).0, 0);
}

/// The token has scopes and address ranges, so that its verification runs every check. The store
/// holds a thousand other tokens.
///
/// A thread copies a record at its second read, so the first verifications are not counted. The
/// error for a token whose text is right has one box, which holds the key.
#[test]
fn a_verification_allocates_nothing_unless_it_rejects_a_known_key() {
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    for _ in 0..1000 {
        ready(tokens.issue(&actor(), new_token())).unwrap();
    }
    let new = new_token()
        .with_scopes(ScopeSet::new("profile repo:*").unwrap())
        .with_addresses(AddressRanges::new("10.0.0.0/8 2001:db8::/32").unwrap());
    let issued = ready(tokens.issue(&actor(), new)).unwrap();
    let text = issued.token.expose_secret();
    let (project, scopes) = (project("145"), [Scope::new("repo:read").unwrap()]);
    let access = Access::to(&project, &scopes).from_address([10, 1, 2, 3].into());

    (0..2).for_each(|_| drop(ready(tokens.verify(text, &access)).unwrap()));
    let (count, verified) = allocations(|| ready(tokens.verify(text, &access)));
    assert_eq!(verified.unwrap().owner().as_str(), "ada");
    assert_eq!(count, 0, "valid");

    let other = Keyring::unkeyed(crate::support::prefix());
    let unknown = mint(tokens.keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let unkeyed = mint(&other, &Policy::default(), new_token(), &actor(), now()).unwrap();
    // A text with the id and the tag of a valid token, another secret and a valid checksum. Without
    // the pepper, an attacker cannot compute the tag of this text.
    let swapped = with_checksum(&text.replace(&text[text.len() - 50..text.len() - 17], &"A".repeat(33)));
    let wrong = if text.ends_with('0') { '1' } else { '0' };
    for (what, presented, expected) in [
        ("empty", "", Rejection::Length),
        ("malformed", &text[1..], Rejection::Prefix),
        ("mistyped", &format!("{}{wrong}", &text[..text.len() - 1]), Rejection::Checksum),
        ("unkeyed", unkeyed.token.expose_secret(), Rejection::Unkeyed),
        ("forged", &swapped, Rejection::Tag),
        ("unknown", unknown.token.expose_secret(), Rejection::Unknown),
    ] {
        let boxes = u64::from(!expected.is_before_store());
        let (count, refused) = allocations(|| ready(tokens.verify(presented, &access)));
        assert_eq!(refused.unwrap_err().rejection(), Some(expected), "{what}");
        assert_eq!(count, boxes, "{what}");
    }

    // With a pepper, a wrong secret never passes the check of the tag. So the test changes the
    // digest in the record instead.
    let mut record = (*issued.record).clone();
    record.digest = unknown.record.digest;
    let presented = PresentedToken::parse(text, tokens.keyring()).unwrap();
    let mut ended = (*issued.record).clone();
    ended.grace_until = Some(now());
    for (what, record, expected) in [
        ("check of a rotated token", Some(Arc::new(ended)), Some(Rejection::Rotated)),
        ("wrong secret", Some(Arc::new(record)), Some(Rejection::Digest)),
        ("check without a record", None, Some(Rejection::Unknown)),
        ("valid check", Some(Arc::clone(&issued.record)), None),
    ] {
        let (count, checked) = allocations(|| check(&presented, record.into(), &access, tokens.policy(), now()));
        assert_eq!(checked.err(), expected, "{what}");
        assert_eq!(count, 0, "{what}");
    }
}
