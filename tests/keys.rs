//! The end of a key: when it may be retired, and what is refused then.

mod support;

use std::time::Duration;

use keyfob::{
    Access, FixedClock, KeyNumber, Keyring, Lifetime, MemoryStore, NewToken, Pepper, Rejection, RetireError,
    RevocationReason, Tokens,
};
use support::{actor, new_token, now, pepper, prefix};

const HOUR: Duration = Duration::from_secs(3600);
const LEAK: RevocationReason = RevocationReason::KeyCompromise;

fn number(number: u8) -> KeyNumber {
    KeyNumber::new(number).unwrap()
}

/// Makes tokens on key 1, and holds key 2.
fn ring() -> Keyring {
    let next = Pepper::new((100..132).collect()).unwrap();
    Keyring::builder(prefix()).mint_with(number(1), pepper()).verify_with(number(2), next).build().unwrap()
}

fn service(clock: &FixedClock, ring: Keyring, store: std::sync::Arc<MemoryStore>) -> Service {
    Tokens::new(ring, store).with_clock(clock.clone())
}

type Service = Tokens<std::sync::Arc<MemoryStore>, FixedClock>;

fn short() -> NewToken {
    new_token().with_lifetime(Lifetime::For(HOUR))
}

async fn outcome(tokens: &Service, text: &str) -> Result<(), Option<Rejection>> {
    let verified = tokens.verify(text, &Access::to_own_project(&[])).await;
    verified.map(drop).map_err(|error| error.rejection())
}

#[tokio::test]
async fn a_key_is_retired_once_no_live_token_stands_on_it() {
    let (clock, store) = (FixedClock::new(now()), std::sync::Arc::default());
    let first = service(&clock, ring(), std::sync::Arc::clone(&store));
    let old = first.issue(&actor(), short()).await.unwrap();
    let text = old.token.expose_secret();
    assert!(matches!(first.retire_key(number(1)).await, Err(RetireError::Minting)));
    let forced = first.retire_key_by_force(&actor(), number(1), LEAK).await;
    assert!(matches!(forced, Err(RetireError::Minting)));
    assert_eq!(outcome(&first, text).await, Ok(()), "and nothing was revoked");

    let second = service(&clock, ring().promoted(number(2)).unwrap(), std::sync::Arc::clone(&store));
    let new = second.issue(&actor(), new_token()).await.unwrap();
    assert_eq!(new.record.id.key_number(), number(2));
    assert_eq!(outcome(&second, text).await, Ok(()));
    assert!(matches!(second.retire_key(number(1)).await, Err(RetireError::InUse { live: 1 })));
    // One that is disabled may work again, so it counts.
    second.disable(&actor(), &old.record.key()).await.unwrap();
    assert!(matches!(second.retire_key(number(1)).await, Err(RetireError::InUse { live: 1 })));
    clock.advance(HOUR);
    let found = second.key_use(number(1)).await.unwrap();
    assert_eq!((found.live, found.dead), (0, 1));
    let retired = second.retire_key(number(1)).await.unwrap();
    assert_eq!(retired.number(), number(1));

    let ring = ring().promoted(number(2)).unwrap().without(retired).unwrap();
    assert!(!ring.holds(number(1)) && ring.holds(number(2)));
    let third = service(&clock, ring, store);
    assert_eq!(outcome(&third, text).await, Err(Some(Rejection::UnknownKey)));
    assert_eq!(outcome(&third, new.token.expose_secret()).await, Ok(()));
}

/// After a leak nobody waits for the last token to end.
#[tokio::test]
async fn a_key_is_retired_by_force() {
    let (clock, store) = (FixedClock::new(now()), std::sync::Arc::default());
    let first = service(&clock, ring(), std::sync::Arc::clone(&store));
    let second = service(&clock, ring().promoted(number(2)).unwrap(), std::sync::Arc::clone(&store));
    let mut old = Vec::new();
    for place in ["145", "146", "147"] {
        let new = NewToken::new(place.parse().unwrap(), "ada".parse().unwrap(), "CI".parse().unwrap());
        old.push(first.issue(&actor(), new).await.unwrap());
    }
    let new = second.issue(&actor(), new_token()).await.unwrap();
    assert!(matches!(second.retire_key(number(1)).await, Err(RetireError::InUse { live: 3 })));
    let retired = second.retire_key_by_force(&actor(), number(1), LEAK).await.unwrap();
    for made in &old {
        assert_eq!(outcome(&second, made.token.expose_secret()).await, Err(Some(Rejection::Revoked)));
        let view = second.get(&made.record.key()).await.unwrap().unwrap();
        assert_eq!(view.revoked.unwrap().reason, LEAK);
    }
    assert_eq!(outcome(&second, new.token.expose_secret()).await, Ok(()));
    let third = service(&clock, ring().promoted(number(2)).unwrap().without(retired).unwrap(), store);
    for made in &old {
        assert_eq!(outcome(&third, made.token.expose_secret()).await, Err(Some(Rejection::UnknownKey)));
    }
    // A ring that mints with it does not lose it.
    assert!(ring().without(retired).is_err());
}
