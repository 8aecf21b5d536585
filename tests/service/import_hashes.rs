//! Tests of the import of tokens whose hashes are not SHA-2 hashes of the text: BLAKE3, SHA-256
//! with a salt in a column, and bcrypt.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use keyfob::{
    Access, ErrorKind, Invalid, Keyring, MemoryStore, Policy, Rejection, TokenKey, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    error::{InvalidField, InvalidKind},
    import::{
        ImportAlphabet, ImportDigest, ImportHash, ImportOutcome, ImportShape, ImportStore, ImportToken, Imports,
        SaltedImport,
    },
    leak::LeakedToken,
    record::{ImportScheme, Revocation, RevocationReason},
    rotation::Rotation,
    store::{StoreErrorKind, sqlite::SqliteStore},
};
use sha2::{Digest, Sha256};

use crate::support::{actor, keyring, now, pepper, prefix, project};

/// The cost of bcrypt in these tests. It is the lowest cost, so that the tests are fast.
const COST: u32 = 4;

/// Returns a secret of 32 hexadecimal digits. Real secrets are random.
fn secret(number: u64) -> String {
    format!("{number:032x}")
}

/// Returns the text of a token that was hashed with BLAKE3.
fn blake3_text(number: u64) -> String {
    format!("b3-{}", secret(number))
}

/// Returns the text of a token with an id. Its secret was hashed with a salt.
fn salted_text(number: u64) -> String {
    format!("old_{number}_{}", secret(number))
}

fn salt(number: u64) -> [u8; 16] {
    u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

fn salted_sha256(salt: &[u8], text: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(text).finalize().into()
}

/// Returns what the column `hash` of the old table has for a token that was hashed with bcrypt.
fn stored_by_bcrypt(number: u64, cost: u32) -> String {
    bcrypt::hash_with_salt(secret(number), cost, salt(number)).unwrap().to_string()
}

fn token(digest: ImportDigest) -> Result<ImportToken, Invalid> {
    let mut token =
        ImportToken::new(digest, project("145"), "ada".parse()?, "old CI".parse()?, "2026-10-23T12:00:00Z".parse()?);
    token.expires_at = Some("2027-10-23T12:00:00Z".parse()?);
    Ok(token)
}

fn salted(number: u64, scheme: ImportScheme, digest: ImportDigest) -> Result<ImportToken, Invalid> {
    let mut token = token(digest)?;
    token.salted = Some(SaltedImport::new(&format!("old_{number}"), scheme)?);
    Ok(token)
}

pub fn of_blake3(number: u64) -> Result<ImportToken, Invalid> {
    token(ImportDigest::parse(32, blake3::hash(blake3_text(number).as_bytes()).to_hex().as_str())?)
}

pub fn of_salted_sha256(number: u64) -> Result<ImportToken, Invalid> {
    let scheme = ImportScheme::new("salted-sha256", "", &salt(number))?;
    salted(number, scheme, salted_sha256(&salt(number), secret(number).as_bytes()).into())
}

pub fn of_bcrypt(number: u64) -> Result<ImportToken, Invalid> {
    let (scheme, digest) = ImportScheme::of_bcrypt(&stored_by_bcrypt(number, COST))?;
    salted(number, scheme, digest)
}

fn bcrypt(scheme: &ImportScheme, text: &[u8]) -> Option<ImportDigest> {
    let (cost, salt) = (scheme.parameters().parse().ok()?, scheme.salt().try_into().ok()?);
    let computed = bcrypt::hash_with_salt(text, cost, salt).ok()?;
    Some(ImportScheme::of_bcrypt(&computed.to_string()).ok()?.1)
}

/// Declares the tokens of the old system. Each hash of bcrypt is counted.
fn imports(hashes: &Arc<AtomicU64>) -> Imports {
    let hashes = Arc::clone(hashes);
    let blake3 = |text: &[u8]| <[u8; 32]>::from(blake3::hash(text));
    let by_blake3 = ImportShape::hashed_by("b3-", 32..=32, ImportAlphabet::LowerHex, blake3).unwrap();
    let by_id = ImportShape::salted("old_", 34..=60, ImportAlphabet::Base64Url, |text| text.rsplit_once('_')).unwrap();
    Imports::new([by_blake3, by_id])
        .with_function("salted-sha256", |scheme, text| Some(salted_sha256(scheme.salt(), text).into()))
        .with_slow_function(
            "bcrypt",
            u64::from(COST),
            |scheme| scheme.parameters().parse().ok(),
            move |scheme, text| {
                hashes.fetch_add(1, Ordering::SeqCst);
                bcrypt(scheme, text)
            },
        )
}

/// A service, and the number of bcrypt hashes that it has computed.
struct Service<S>(Tokens<S>, Arc<AtomicU64>);

impl<S: TokenStore + ImportStore + Clone + 'static> Service<S> {
    fn new(store: &S, keyring: Keyring) -> Self {
        let hashes = Arc::default();
        let tokens = Tokens::new(keyring, store.clone()).with_clock(FixedClock::new(now()));
        Self(tokens.with_imports(imports(&hashes)), hashes)
    }

    fn hashes(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }

    async fn import(&self, batch: Vec<Result<ImportToken, Invalid>>) -> Vec<ImportOutcome> {
        self.0.import(&actor(), batch).await.unwrap()
    }

    /// Returns why the service rejects a request with this text, or `None` if it accepts it.
    async fn rejection(&self, text: &str) -> Option<Rejection> {
        match self.0.verify(text, &Access::to(&project("145"), &[])).await {
            Ok(_) => None,
            Err(error) => Some(error.rejection().expect("the store of this test does not fail")),
        }
    }

    /// Returns the kind of the error that is neither a pass nor a rejection.
    async fn failure(&self, text: &str) -> StoreErrorKind {
        let error = self.0.verify(text, &Access::to(&project("145"), &[])).await.unwrap_err();
        assert_eq!((error.rejection(), error.challenge().status()), (None, 503));
        error.store_error().unwrap().kind()
    }
}

fn key_of(outcome: ImportOutcome) -> TokenKey {
    match outcome {
        ImportOutcome::Inserted(key) => key,
        other => panic!("{other:?}"),
    }
}

fn rejected(field: InvalidField, kind: InvalidKind) -> impl Fn(&ImportOutcome) -> bool {
    move |outcome| matches!(outcome, ImportOutcome::Rejected(why) if (why.field(), why.kind()) == (field, kind))
}

on_both_stores! {
    async fn tokens_of_each_hash_are_verified_by_their_old_texts<S>(store: S) {
        let service = Service::new(&store, keyring());
        let outcomes = service.import(vec![of_blake3(1), of_salted_sha256(2), of_bcrypt(3)]).await;
        let keys: Vec<TokenKey> = outcomes.into_iter().map(key_of).collect();
        for (text, key) in [blake3_text(1), salted_text(2), salted_text(3)].iter().zip(&keys) {
            let verified = service.0.verify(text, &Access::to(&project("145"), &[])).await.unwrap();
            assert_eq!((verified.key(), verified.name().as_str()), (*key, "old CI"));
        }
        // Another secret of the same length, and an id of no token.
        let with_secret = |id: u64, of: u64| format!("old_{id}_{}", secret(of));
        assert_eq!(service.rejection(&blake3_text(9)).await, Some(Rejection::Unknown));
        assert_eq!(service.rejection(&with_secret(2, 3)).await, Some(Rejection::Digest));
        assert_eq!(service.rejection(&with_secret(3, 2)).await, Some(Rejection::Digest));
        let elsewhere = project("146");
        let key_in = async |text: &str| service.0.verify(text, &Access::to(&elsewhere, &[])).await.unwrap_err().key();
        assert_eq!(key_in(&with_secret(2, 3)).await, None, "the public part is no proof");
        assert_eq!(key_in(&salted_text(2)).await, Some(keys[1]));
        assert_eq!(service.rejection(&with_secret(9, 9)).await, Some(Rejection::Unknown));
        assert!(service.rejection(&format!("old_2.{}", secret(2))).await.is_some_and(Rejection::is_before_store));
    }

    async fn a_slow_hash_is_computed_only_for_a_known_id_and_once_for_a_text_that_passed<S>(store: S) {
        let service = Service::new(&store, keyring());
        let key = key_of(service.import(vec![of_bcrypt(3)]).await[0]);
        assert_eq!(service.hashes(), 0);
        assert_eq!(service.rejection(&salted_text(4)).await, Some(Rejection::Unknown));
        assert_eq!(service.hashes(), 0, "no token has this id");
        let wrong = format!("old_3_{}", secret(4));
        for hashes in 1..=2 {
            assert_eq!(service.rejection(&wrong).await, Some(Rejection::Digest));
            assert_eq!(service.hashes(), hashes, "a text that has not passed is not remembered");
        }
        for _ in 0..3 {
            assert_eq!(service.rejection(&salted_text(3)).await, None);
            assert_eq!(service.hashes(), 3);
        }
        // The text is remembered, and the record is still read and judged.
        service.0.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.unwrap();
        assert_eq!(service.rejection(&salted_text(3)).await, Some(Rejection::Revoked));
        assert_eq!(service.hashes(), 3);
        // Another process computes the hash of its own.
        let other = Service::new(&store, keyring());
        assert_eq!(other.rejection(&salted_text(3)).await, Some(Rejection::Revoked));
        assert_eq!(other.hashes(), 1);
    }

    async fn salted_tokens_are_imported_once_and_take_over_later_revocations<S>(store: S) {
        let service = Service::new(&store, keyring());
        let key = key_of(service.import(vec![of_bcrypt(3)]).await[0]);
        assert_eq!(service.import(vec![of_bcrypt(3)]).await, [ImportOutcome::Exists(key)]);
        let mut revoked = of_bcrypt(3).unwrap();
        let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
        revoked.revoked = Some(revocation.clone());
        // Another token with the same public part is not the existing one, and does not revoke it.
        let mut other = salted(3, ImportScheme::new("salted-sha256", "", b"").unwrap(), [7; 32].into()).unwrap();
        other.revoked = Some(revocation);
        let outcomes = service.import(vec![Ok(other)]).await;
        assert!(outcomes.iter().all(rejected(InvalidField::ImportPublicPart, InvalidKind::Duplicate)), "{outcomes:?}");
        assert_eq!(service.rejection(&salted_text(3)).await, None);
        assert_eq!(service.import(vec![Ok(revoked)]).await, [ImportOutcome::Exists(key)]);
        assert_eq!(service.rejection(&salted_text(3)).await, Some(Rejection::Revoked));
    }

    async fn a_scheme_that_costs_too_much_or_is_not_declared_is_not_imported<S>(store: S) {
        let service = Service::new(&store, keyring());
        let scheme = |algorithm: &str, parameters: &str| ImportScheme::new(algorithm, parameters, &salt(3)).unwrap();
        let row = |scheme| salted(3, scheme, [7; 23].into());
        let too_costly = InvalidKind::TooCostly { max: u64::from(COST) };
        for (scheme, kind) in [
            (scheme("bcrypt", "5"), too_costly),
            (scheme("bcrypt", "31"), too_costly),
            (scheme("bcrypt", "n=5"), InvalidKind::Shape),
            (scheme("pbkdf2-sha256", "1000"), InvalidKind::Undeclared),
        ] {
            let outcomes = service.import(vec![row(scheme), of_blake3(1)]).await;
            assert!(rejected(InvalidField::ImportScheme, kind)(&outcomes[0]), "{outcomes:?}");
            assert!(!matches!(outcomes[1], ImportOutcome::Rejected(_)));
        }
        // A token that was imported with a higher limit is neither accepted nor rejected.
        let hashes = Arc::default();
        let before = Tokens::new(keyring(), store.clone()).with_imports(
            imports(&hashes).with_slow_function("bcrypt", 31, |_| Some(5), bcrypt),
        );
        before.import(&actor(), vec![row(scheme("bcrypt", "5"))]).await.unwrap();
        assert_eq!(service.failure(&salted_text(3)).await, StoreErrorKind::Corrupt);
        assert_eq!(service.hashes(), 0);
        let undeclared = ImportShape::salted("old_", 34..=60, ImportAlphabet::Base64Url, |text| text.rsplit_once('_'));
        let undeclared = Tokens::new(keyring(), store).with_imports([undeclared.unwrap()]);
        let service = Service(undeclared, Arc::default());
        assert_eq!(service.failure(&salted_text(3)).await, StoreErrorKind::Corrupt);
    }

    async fn a_salted_token_is_found_under_each_key_of_the_keyring<S>(store: S) {
        use keyfob::{Pepper, keys::KeyNumber};
        let (first, second) = (KeyNumber::FIRST, KeyNumber::new(2).unwrap());
        let ring = || {
            let another = Pepper::new((100..132).collect()).unwrap();
            Keyring::builder(prefix()).mint_with(first, pepper()).verify_with(second, another).build().unwrap()
        };
        let before = Service::new(&store, ring());
        let key = key_of(before.import(vec![of_bcrypt(3)]).await[0]);
        let promoted = Service::new(&store, ring().promoted(second).unwrap());
        assert_eq!(promoted.import(vec![of_bcrypt(3)]).await, [ImportOutcome::Exists(key)]);
        assert_eq!(key_of(promoted.import(vec![of_salted_sha256(4)]).await[0]).id.key_number(), second);
        for service in [&before, &promoted] {
            for number in [3, 4] {
                assert_eq!(service.rejection(&salted_text(number)).await, None);
            }
        }
    }

    async fn a_salted_token_can_be_rotated_explained_and_reported<S>(store: S) {
        let service = Service::new(&store, keyring());
        let keys: Vec<_> = service.import(vec![of_bcrypt(3), of_bcrypt(4)]).await.into_iter().map(key_of).collect();
        let grace = Rotation::with_grace(core::time::Duration::ZERO);
        let rotated = service.0.rotate(&actor(), &keys[0], grace).await.unwrap();
        let successor = store.find(&rotated.issued.record.key()).await.unwrap().unwrap();
        assert_eq!(successor.import_scheme, None);
        assert_eq!(service.rejection(&salted_text(3)).await, Some(Rejection::Rotated));
        assert_eq!(service.rejection(rotated.issued.token.expose_secret()).await, None);
        let explained = service.0.explain(&salted_text(4), &Access::to(&project("146"), &[])).await.unwrap();
        assert_eq!(explained.fails, [Rejection::Project]);
        let leaked = LeakedToken::new(&salted_text(4)).unwrap();
        let outcome = service.0.report_leak(&actor(), &leaked).await.unwrap();
        assert_eq!(outcome.token().map(|token| token.key()), Some(keys[1]));
        assert_eq!(service.rejection(&salted_text(4)).await, Some(Rejection::Revoked));
    }

    async fn an_import_without_a_pepper_is_found_until_the_migration_to_a_pepper_ends<S>(store: S) {
        let unkeyed = Service::new(&store, Keyring::unkeyed(prefix()));
        let all = || vec![of_blake3(1), of_salted_sha256(2), of_bcrypt(3)];
        let texts = [blake3_text(1), salted_text(2), salted_text(3)];
        let refused = unkeyed.0.import(&actor(), all()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unkeyed);
        let outcomes = unkeyed.0.import_without_pepper(&actor(), all()).await.unwrap();
        let keys: Vec<_> = outcomes.into_iter().map(key_of).collect();
        let migrating = || {
            let builder = Keyring::builder(prefix()).mint_with(keyfob::keys::KeyNumber::FIRST, pepper());
            builder.accept_unkeyed_for_migration().build().unwrap()
        };
        let migrating = Service::new(&store, migrating());
        let refused = migrating.0.import_without_pepper(&actor(), all()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Keyed);
        let exists = keys.iter().map(|key| ImportOutcome::Exists(*key)).collect::<Vec<_>>();
        assert_eq!(migrating.import(all()).await, exists);
        let after = Service::new(&store, keyring());
        for text in &texts {
            assert_eq!(unkeyed.rejection(text).await, None);
            assert_eq!(migrating.rejection(text).await, None);
            assert_eq!(after.rejection(text).await, Some(Rejection::Unknown));
        }
    }
}

/// Sanctum of Laravel stores the SHA-256 of the part after `|`, and finds the row by the id before
/// it. Old systems have texts of many forms.
#[tokio::test]
async fn texts_of_other_systems_fit_a_shape() {
    let sha256 = |text: &[u8]| <[u8; 32]>::from(Sha256::digest(text));
    let after_bar = move |text: &[u8]| {
        let bar = text.iter().position(|byte| *byte == b'|').map_or(0, |bar| bar + 1);
        sha256(&text[bar..])
    };
    let plain = |prefix: &str, rest, alphabet| ImportShape::new(prefix, rest, alphabet, ImportHash::Sha256).unwrap();
    for (shape, text, hashed) in [
        (plain("", 36..=36, ImportAlphabet::Uuid), "67e55044-10b1-426f-9247-bb680e5fe0c8", None),
        (plain("", 44..=44, ImportAlphabet::Base64), "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ+8=", None),
        (plain("acme.", 20..=64, ImportAlphabet::Token68), "acme.QWxhZGRpbg.c2VzYW1lIG9wZW4~", None),
        (plain("dop-", 20..=20, ImportAlphabet::Base62), "dop-0123456789ABCDEFGHij", None),
        (
            ImportShape::hashed_by("", 42..=60, ImportAlphabet::Visible, after_bar).unwrap(),
            "17|0123456789abcdef0123456789abcdef01234567",
            Some("0123456789abcdef0123456789abcdef01234567"),
        ),
    ] {
        let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
        let tokens = tokens.with_imports([shape]);
        let old = token(sha256(hashed.unwrap_or(text).as_bytes()).into());
        tokens.import(&actor(), vec![old]).await.unwrap();
        // The text passes a header as other clients write it.
        let header = format!("Bearer {text}");
        let credential = keyfob::Credential::from_authorization([header.as_bytes()], &keyring()).unwrap();
        let verified = tokens.verify(credential.as_ref(), &Access::to(&project("145"), &[])).await;
        assert!(verified.is_ok(), "{text}: {verified:?}");
        assert!(tokens.recognizes(text.as_bytes()));
    }
}

/// The host needs no store of keyfob: its own table has the records and their look-up keys.
#[test]
fn a_host_without_a_store_adopts_and_checks_rows() {
    use keyfob::import::{ImportRow, adopt, check_imported};
    let (imports, keyring, policy) = (imports(&Arc::default()), keyring(), Policy::default());
    let rows = [of_blake3(1), of_salted_sha256(2), of_bcrypt(3)];
    let rows = rows.map(|token| adopt(&keyring, &policy, &imports, token.unwrap(), &actor(), now()).unwrap());
    let find = |rows: &[ImportRow], key| {
        rows.iter().find(|row| row.import_key == key).map(|row| Arc::<TokenRecord>::new(row.record.clone()))
    };
    let verify = |text: &str| {
        let mut kind = Err(ErrorKind::Rejected(Rejection::Unknown));
        for look_up in imports.look_ups(&keyring, text.as_bytes()) {
            if let Some(record) = find(&rows, *look_up.key()) {
                let access = Access::to(&project("145"), &[]);
                let verified = check_imported(&look_up, Some(record), &access, &policy, now());
                kind = verified.map(|verified| verified.key()).map_err(|error| error.kind());
                if kind != Err(ErrorKind::Rejected(Rejection::Digest)) {
                    break;
                }
            }
        }
        kind
    };
    for (text, row) in [blake3_text(1), salted_text(2), salted_text(3)].iter().zip(&rows) {
        assert_eq!(verify(text), Ok(row.record.key()));
    }
    assert_eq!(verify(&format!("old_3_{}", secret(2))), Err(ErrorKind::Rejected(Rejection::Digest)));
    assert_eq!(verify(&salted_text(4)), Err(ErrorKind::Rejected(Rejection::Unknown)));
}

/// The slow hashes run where the host says. If its threads are gone, nothing waits forever.
#[tokio::test]
async fn a_host_runs_slow_hashes_on_its_own_threads() {
    let store = Arc::new(MemoryStore::new());
    let (send, receive) = mpsc::channel();
    let spawner = move |job| send.send(job).unwrap();
    let tokens = Tokens::new(keyring(), Arc::clone(&store)).with_clock(FixedClock::new(now()));
    let tokens = tokens.with_imports(imports(&Arc::default()).with_spawner(spawner));
    tokens.import(&actor(), vec![of_bcrypt(3)]).await.unwrap();
    let (text, project) = (salted_text(3), project("145"));
    let access = Access::to(&project, &[]);
    let run = async { tokio::task::spawn_blocking(receive_job(&receive)).await.unwrap() };
    let (verified, ()) = tokio::join!(biased; tokens.verify(&text, &access), run);
    assert!(verified.is_ok());
    let wrong = format!("old_3_{}", secret(4));
    let (failed, ()) = tokio::join!(biased; tokens.verify(&wrong, &access), async { drop(receive_job(&receive)) });
    assert_eq!(failed.unwrap_err().store_error().unwrap().kind(), StoreErrorKind::Unavailable);
}

/// Returns the job that the service handed over. The service hands it over before it waits.
fn receive_job(jobs: &mpsc::Receiver<Box<dyn FnOnce() + Send>>) -> Box<dyn FnOnce() + Send> {
    jobs.try_recv().expect("`join!` polls the verification first")
}

#[tokio::test]
async fn no_hash_of_another_scheme_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    let service = Service::new(&store, keyring());
    let outcomes = service.import(vec![of_blake3(1), of_salted_sha256(2), of_bcrypt(3)]).await;
    for text in [blake3_text(1), salted_text(2), salted_text(3)] {
        assert_eq!(service.rejection(&text).await, None);
    }
    let files = ["tokens.db", "tokens.db-wal"].map(|name| std::fs::read(folder.path().join(name)).unwrap()).concat();
    let has = |wanted: &[u8]| files.windows(wanted.len()).any(|window| window == wanted);
    let of_bcrypt = stored_by_bcrypt(3, COST);
    let hashes = [
        blake3::hash(blake3_text(1).as_bytes()).as_bytes().to_vec(),
        salted_sha256(&salt(2), secret(2).as_bytes()).to_vec(),
        bcrypt::bcrypt(COST, salt(3), &[secret(3).as_bytes(), &[0]].concat())[..16].to_vec(),
        of_bcrypt.as_bytes()[of_bcrypt.len() - 31..].to_vec(),
    ];
    for hash in hashes {
        assert!(!has(&hash[..16]), "{hash:?}");
    }
    // The ids of the tokens must be found. Otherwise the search would prove nothing.
    for outcome in outcomes {
        assert!(has(key_of(outcome).id.as_str().as_bytes()));
    }
}
