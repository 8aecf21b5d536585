//! No output of the crate contains a part of a secret: no `Debug` or `Display` text, no error and
//! no header.

use std::collections::HashSet;
use std::error::Error;
use std::fmt::Debug;

use keyfob::{
    Access, Challenge, Credential, Keyring, MemoryStore, Pepper, PlaintextToken, Policy, PresentedToken, Rejection,
    TokenStore, Tokens,
    clock::FixedClock,
    mint,
    record::{Digest, RevocationReason, mint_with},
    store::{DynStore, ListQuery, StoreError, StoreErrorKind},
    text::TokenText,
};
use rand_core::{TryCryptoRng, TryRng};

use crate::support::{Script, actor, keyring, new_token, now, pepper, project, with_checksum};

/// All sequences of four characters that occur in the secrets.
struct Secrets(HashSet<[u8; 4]>);

impl Secrets {
    fn of(secrets: &[&[u8]]) -> Self {
        Self(secrets.iter().flat_map(|secret| secret.windows(4)).map(|run| run.try_into().unwrap()).collect())
    }

    fn stand_in(&self, text: &str) -> bool {
        text.as_bytes().windows(4).any(|run| self.0.contains(run))
    }

    #[track_caller]
    fn absent_from_debug(&self, value: &impl Debug) {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert!(!self.stand_in(&text), "{text}");
        }
    }

    #[track_caller]
    fn absent_from_error(&self, error: &impl Error) {
        self.absent_from_debug(error);
        let mut cause: Option<&dyn Error> = Some(error);
        while let Some(error) = cause {
            assert!(!self.stand_in(&error.to_string()), "{error}");
            cause = error.source();
        }
    }
}

/// Returns the part of a token's text that consists of the secret, the tag and the checksum.
fn tail_of(text: &str) -> &[u8] {
    text.rsplit('_').next().unwrap().as_bytes()
}

/// Returns the bytes as they are commonly printed: in upper-case and lower-case hexadecimal, and as
/// a list of numbers.
fn printed(bytes: &[u8]) -> [String; 3] {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{bytes:?}");
    [hex.to_uppercase(), hex, list]
}

#[test]
fn the_search_finds_what_is_there() {
    let secrets = Secrets::of(&[b"abcdefgh"]);
    assert!(secrets.stand_in("..cdef.."));
    assert!(!secrets.stand_in("..cde.efgi"));
}

/// Mints a token with a fixed secret. About one random secret in a hundred contains four characters
/// that also occur in a message, and would make the test fail.
fn known_token(keyring: &Keyring) -> keyfob::Issued {
    let mut drawn = Script::of("0qQ1zZ8xX3jJ7kKWv5yYqZ0Xw9HhJ2zKqVx4UuQjZ6kXyW7v");
    mint_with(&mut drawn, keyring, &Policy::default(), new_token(), &actor(), now()).unwrap()
}

#[tokio::test]
async fn nothing_shows_four_characters_of_a_secret() {
    let issued = known_token(&keyring());
    let store = MemoryStore::new();
    store.insert(issued.record.clone(), None, None).await.unwrap();
    let tokens = Tokens::new(keyring(), DynStore::new(store)).with_clock(FixedClock::new(now()));
    let text = issued.token.expose_secret();
    let digest = printed(issued.record.digest.as_bytes());
    let pepper_bytes = printed(pepper().expose_secret());
    let mut hidden: Vec<&[u8]> = vec![tail_of(text)];
    // A short part of a printed list, such as "0, 1", may occur in any list. So the test searches
    // for four characters of the hexadecimal forms, but only for the whole list of numbers.
    hidden.extend([&digest[0], &digest[1], &pepper_bytes[0], &pepper_bytes[1]].map(|text| text.as_bytes()));
    let secrets = Secrets::of(&hidden);
    let [list_of_digest, list_of_pepper] = [&digest[2], &pepper_bytes[2]].map(|list| &list[1..list.len() - 1]);

    let project = project("145");
    let access = Access::to(&project, &[]);
    let verified = tokens.verify(text, &access).await.unwrap();
    let view = tokens.get(&verified.key()).await.unwrap().unwrap();
    let page = tokens.list(&ListQuery::new(project)).await.unwrap();
    let parsed = PresentedToken::parse(text, tokens.keyring()).unwrap();
    let header = format!("Bearer {text}");
    let credential = Credential::from_authorization([&header], &keyring()).unwrap();
    secrets.absent_from_debug(&issued);
    secrets.absent_from_debug(&issued.token);
    secrets.absent_from_debug(&issued.record);
    secrets.absent_from_debug(&tokens);
    secrets.absent_from_debug(&verified);
    secrets.absent_from_debug(&view);
    secrets.absent_from_debug(&page);
    secrets.absent_from_debug(&parsed);
    secrets.absent_from_debug(&parsed.text());
    secrets.absent_from_debug(&credential);
    secrets.absent_from_debug(&pepper());
    secrets.absent_from_debug(&text.parse::<PlaintextToken>().unwrap());
    for shown in [format!("{issued:?}"), format!("{view:?}"), format!("{:?}", issued.record.digest)] {
        assert!(!shown.contains(list_of_digest));
    }
    for shown in [format!("{tokens:?}"), format!("{:?}", tokens.keyring()), format!("{:?}", pepper())] {
        assert!(!shown.contains(list_of_pepper));
    }
    // The output must show the public parts. Otherwise the search above would prove little.
    assert!(format!("{issued:?}").contains(issued.record.id.as_str()));

    tokens.revoke(&actor(), &verified.key(), RevocationReason::KeyCompromise).await.unwrap();
    let error = tokens.verify(text, &access).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Revoked));
    secrets.absent_from_error(&error);
}

/// Presents texts that are rejected for different reasons. Each text contains most of a real
/// secret.
#[tokio::test]
async fn no_refusal_shows_its_input() {
    let issued = known_token(&keyring());
    let store = MemoryStore::new();
    store.insert(issued.record.clone(), None, None).await.unwrap();
    let tokens = Tokens::new(keyring(), store).with_clock(FixedClock::new(now()));
    let text = issued.token.expose_secret();
    let secrets = Secrets::of(&[tail_of(text)]);
    let other =
        mint(&Keyring::unkeyed(crate::support::prefix()), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let foreign = project("146");
    let mut met = HashSet::new();
    for refused in [
        text[1..].to_owned(),
        text[30..].to_owned(),
        format!("{text}_{text}"),
        format!("{}é", &text[..text.len() - 1]),
        format!("{}-", &text[..text.len() - 1]),
        with_checksum(&text.replace("145", "146")),
        text.replace("145", "146"),
        format!("x{text}"),
        other.token.expose_secret().to_owned(),
        with_checksum(&text.replacen(&issued.record.id.as_str()[..1], "2", 1)),
        text.to_owned(),
    ] {
        let error = tokens.verify(&refused, &Access::to(&foreign, &[])).await.unwrap_err();
        met.insert(error.rejection().unwrap());
        secrets.absent_from_error(&error);
        secrets.absent_from_error(&error.rejection().unwrap());
        let challenge = error.challenge();
        secrets.absent_from_debug(&challenge);
        assert!(!secrets.stand_in(&challenge.www_authenticate("acme").unwrap()));
        if let Err(rejection) = TokenText::parse(&refused) {
            secrets.absent_from_error(&rejection);
        }
    }
    assert!(met.len() >= 7, "{met:?}");
    for value in [text.to_owned(), format!("Digest {text}"), format!("Basic {text}"), format!("{text} {text}")] {
        if let Err(error) = Credential::from_authorization([&value, &value], &keyring()) {
            secrets.absent_from_error(&error);
            secrets.absent_from_debug(&Challenge::from(error));
        }
        let Err(error) = Credential::from_authorization([&value], &keyring()) else { panic!("no such scheme") };
        secrets.absent_from_error(&error);
    }
    // A person may paste a token into any other field.
    for invalid in [
        keyfob::Prefix::new(text).unwrap_err(),
        keyfob::ProjectId::new(text).unwrap_err(),
        keyfob::TokenId::new(text).unwrap_err(),
        keyfob::Name::new(&text.repeat(4)).unwrap_err(),
        keyfob::Scope::new(&format!("{text} {text}")).unwrap_err(),
        keyfob::record::AddressRanges::new(text).unwrap_err(),
        text.parse::<keyfob::Timestamp>().unwrap_err(),
        text.parse::<keyfob::store::Cursor>().unwrap_err(),
        Digest::try_from(text.as_bytes()).unwrap_err(),
    ] {
        secrets.absent_from_error(&invalid);
    }
}

/// A check value reveals no token. But an attacker that has the check value could test guesses of
/// the pepper.
#[test]
fn nothing_shows_four_characters_of_a_key_check() {
    let (ring, other) = (keyring(), Keyring::new(crate::support::prefix(), Pepper::new((7..39).collect()).unwrap()));
    let checks: Vec<_> = ring.key_checks().collect();
    let shown = printed(checks[0].1.as_bytes());
    // Short parts of a printed list, such as ", 25", would occur by chance, so they are left out.
    let secrets = Secrets::of(&[shown[0].as_bytes(), shown[1].as_bytes()]);
    let new = ring.compare_key_checks([]).unwrap();
    let wrong = other.compare_key_checks(checks.clone()).unwrap_err();
    secrets.absent_from_debug(&checks);
    secrets.absent_from_debug(&ring);
    secrets.absent_from_debug(&new);
    secrets.absent_from_error(&wrong);
    assert_eq!(format!("{:?}", checks[0].1), "KeyCheck(..)");
    for text in [format!("{checks:?}"), format!("{ring:?}"), format!("{new:?}"), format!("{wrong:?} {wrong}")] {
        assert!(!text.contains(shown[2].trim_matches(['[', ']'])), "{text}");
    }
}

/// A random generator that writes some bytes and then fails.
struct Failing;

impl TryRng for Failing {
    type Error = std::io::Error;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Err(std::io::Error::other("no entropy"))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Err(std::io::Error::other("no entropy"))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(7);
        Err(std::io::Error::other("no entropy"))
    }
}

impl TryCryptoRng for Failing {}

#[test]
fn a_failing_generator_is_an_error_and_makes_nothing() {
    let made = mint_with(&mut Failing, &keyring(), &Policy::default(), new_token(), &actor(), now());
    assert_eq!(made.unwrap_err().to_string(), "the random number generator failed");
}

#[test]
fn a_store_error_names_its_kind_only() {
    let error = StoreError::with_source(StoreErrorKind::Other, "near \"s3cr3t\": syntax error");
    assert_eq!(error.to_string(), "the token store failed");
    assert!(error.source().is_some());
}
