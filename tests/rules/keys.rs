//! Tests the keys of a keyring: when a key may be retired, which tokens are rejected after that,
//! and how a wrong pepper is found.

use std::time::Duration;

use keyfob::{
    Access, ErrorKind, Keyring, Lifetime, MemoryStore, NewToken, Pepper, Rejection, Tokens,
    clock::FixedClock,
    error::InvalidField,
    keys::{KeyCheck, KeyNumber, KeyringError},
    record::RevocationReason,
};

use crate::support::{actor, kind_of, new_token, now, pepper, prefix};

const HOUR: Duration = Duration::from_secs(3600);
const LEAK: RevocationReason = RevocationReason::KeyCompromise;

fn number(number: u8) -> KeyNumber {
    KeyNumber::new(number).unwrap()
}

/// Returns a keyring that mints tokens with key 1, and that verifies tokens of keys 1 and 2.
fn ring() -> Keyring {
    let next = Pepper::new((100..132).collect()).unwrap();
    Keyring::builder(prefix()).mint_with(number(1), pepper()).verify_with(number(2), next).build().unwrap()
}

fn service(clock: &FixedClock, ring: Keyring, store: std::sync::Arc<MemoryStore>) -> Service {
    Tokens::new(ring, store).with_clock(clock.clone())
}

type Service = Tokens<std::sync::Arc<MemoryStore>>;

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
    assert_eq!(kind_of(first.retire_key(number(1)).await).unwrap_err(), ErrorKind::KeyMints);
    let forced = first.retire_key_by_force(&actor(), number(1), LEAK).await;
    assert_eq!(kind_of(forced).unwrap_err(), ErrorKind::KeyMints);
    assert_eq!(outcome(&first, text).await, Ok(()), "nothing was revoked");

    let second = service(&clock, ring().promoted(number(2)).unwrap(), std::sync::Arc::clone(&store));
    let new = second.issue(&actor(), new_token()).await.unwrap();
    assert_eq!(new.record.id.key_number(), number(2));
    assert_eq!(outcome(&second, text).await, Ok(()));
    assert_eq!(kind_of(second.retire_key(number(1)).await).unwrap_err(), ErrorKind::KeyInUse { live: 1 });
    // A disabled token may be enabled again, so it counts as a live token of the key.
    second.disable(&actor(), &old.record.key()).await.unwrap();
    assert_eq!(kind_of(second.retire_key(number(1)).await).unwrap_err(), ErrorKind::KeyInUse { live: 1 });
    clock.advance(HOUR);
    let found = second.key_use(number(1)).await.unwrap();
    assert_eq!((found.live, found.ended), (0, 1));
    let retired = second.retire_key(number(1)).await.unwrap();
    assert_eq!(retired.number(), number(1));

    let ring = ring().promoted(number(2)).unwrap().without(retired).unwrap();
    assert!(!ring.holds(number(1)) && ring.holds(number(2)));
    let third = service(&clock, ring, store);
    assert_eq!(outcome(&third, text).await, Err(Some(Rejection::UnknownKey)));
    assert_eq!(outcome(&third, new.token.expose_secret()).await, Ok(()));
}

/// After a leak of the pepper, the operator retires the key without waiting for the end of the
/// tokens that use it.
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
    assert_eq!(kind_of(second.retire_key(number(1)).await).unwrap_err(), ErrorKind::KeyInUse { live: 3 });
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
    // The key with which a keyring mints tokens cannot be removed from the keyring.
    assert!(ring().without(retired).is_err());
}

/// Returns the check values of all keys in the form in which a host stores them.
fn stored(ring: &Keyring) -> Vec<(KeyNumber, KeyCheck)> {
    ring.key_checks().map(|(number, check)| (number, KeyCheck::from_bytes(*check.as_bytes()))).collect()
}

fn numbers(checks: &[(KeyNumber, KeyCheck)]) -> Vec<u8> {
    checks.iter().map(|(number, _)| number.get()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Another implementation computed the check values in the data file. The file's first line names
/// that implementation.
#[test]
fn key_check_vectors() {
    let mut count = 0;
    for line in include_str!("../data/key_checks.tsv").lines().filter(|line| !line.starts_with('#')) {
        let [name, pepper, check] = line.split('\t').collect::<Vec<_>>().try_into().expect("three columns");
        let bytes = pepper.as_bytes().chunks(2).map(|digits| std::str::from_utf8(digits).unwrap());
        let bytes = bytes.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
        // The check value of a pepper depends neither on the key number nor on the prefix.
        for (prefix, at) in [("acme_pat", 1), ("check", 61)] {
            let pepper = Pepper::new(Clone::clone(&bytes)).expect(name);
            let ring = Keyring::builder(prefix.parse().unwrap()).mint_with(number(at), pepper).build().unwrap();
            let made: Vec<_> =
                stored(&ring).iter().map(|(number, made)| (number.get(), hex(made.as_bytes()))).collect();
            assert_eq!(made, [(at, check.to_owned())], "{name}");
        }
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn a_wrong_pepper_is_found_before_the_first_request() {
    let table = stored(&ring());
    assert_eq!(numbers(&table), [1, 2]);
    let pepper = |seed: u8| Pepper::new((seed..seed + 32).collect()).unwrap();
    let wrong = |ring: &Keyring| ring.compare_key_checks(table.clone()).unwrap_err();
    let one = Keyring::new(prefix(), pepper(7));
    assert_eq!(wrong(&one), KeyringError::WrongPepper(vec![number(1)]));
    assert_eq!(
        wrong(&one).to_string(),
        "wrong pepper for key 1: the stored check value was made with another pepper (restore the right pepper from its back-up)"
    );
    // The peppers of two keys are swapped, and the third key is new.
    let swapped = Keyring::builder(prefix()).mint_with(number(3), pepper(7));
    let swapped =
        swapped.verify_with(number(2), crate::support::pepper()).verify_with(number(1), pepper(100)).build().unwrap();
    assert_eq!(wrong(&swapped), KeyringError::WrongPepper(vec![number(1), number(2)]));
    assert!(wrong(&swapped).to_string().starts_with("wrong pepper for key 1, 2: "));
    // The stored check value differs in a single bit.
    let mut bytes = *table[1].1.as_bytes();
    bytes[15] ^= 1;
    let altered = [table[0], (number(2), KeyCheck::from_bytes(bytes))];
    assert_eq!(ring().compare_key_checks(altered).unwrap_err(), KeyringError::WrongPepper(vec![number(2)]));
    // If the host stores a right and a wrong check value for the same key, the pepper counts as
    // wrong.
    assert!(ring().compare_key_checks([table[0], altered[1], table[1]]).is_err());
}

#[test]
fn keys_that_are_new_or_absent_are_told_apart_from_wrong_ones() {
    let compared = |ring: &Keyring, table: Vec<(KeyNumber, KeyCheck)>| {
        let compared = ring.compare_key_checks(table).unwrap();
        (numbers(&compared.new), compared.absent.iter().map(|number| number.get()).collect::<Vec<_>>())
    };
    let table = stored(&ring());
    assert_eq!(compared(&ring(), Vec::new()), (vec![1, 2], vec![]), "the first start");
    assert_eq!(compared(&ring(), table.clone()), (vec![], vec![]));
    assert_eq!(compared(&ring(), vec![table[1]]), (vec![1], vec![]));
    let one = Keyring::new(prefix(), pepper());
    assert_eq!(compared(&one, table.clone()), (vec![], vec![2]));
    let promoted = ring().promoted(number(2)).unwrap();
    assert_eq!(compared(&promoted, table.clone()), (vec![], vec![]), "a promotion changes no pepper");
    // Key 0 has no pepper, so it has no check value.
    let unkeyed = Keyring::unkeyed(prefix());
    assert_eq!(compared(&unkeyed, table), (vec![], vec![1, 2]));
    let beside = Keyring::builder(prefix()).mint_with(number(1), pepper()).accept_unkeyed_for_migration();
    assert_eq!(numbers(&stored(&beside.build().unwrap())), [1]);
    assert!(Keyring::builder(prefix()).build().unwrap().key_checks().next().is_none());
}

#[tokio::test]
async fn a_retired_key_has_no_check_value_any_more() {
    let tokens = service(&FixedClock::new(now()), ring().promoted(number(2)).unwrap(), std::sync::Arc::default());
    let retired = tokens.retire_key(number(1)).await.unwrap();
    let left = ring().promoted(number(2)).unwrap().without(retired).unwrap();
    assert_eq!(numbers(&stored(&left)), [2]);
}

#[test]
fn only_16_bytes_are_a_key_check() {
    assert!(KeyCheck::try_from([7; 16].as_slice()).is_ok());
    for bytes in [&[7; 15][..], &[7; 17], &[]] {
        let error = KeyCheck::try_from(bytes).unwrap_err();
        assert_eq!(
            (error.field(), error.to_string().as_str()),
            (InvalidField::KeyCheck, "key check value: not of the expected shape")
        );
    }
}
