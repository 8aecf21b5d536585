//! Tests of the import. The tokens of an earlier service are imported by their stored hashes, and
//! then verify like the tokens of the new service.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keyfob::{
    Access, ErrorKind, Invalid, Keyring, MemoryStore, Pepper, Rejection, Timestamp, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    error::InvalidKind,
    import::{
        ImportHash, ImportKey, ImportOutcome, ImportProgress, ImportRow, ImportRowOutcome, ImportStore, ImportToken,
    },
    keys::KeyNumber,
    record::{Disabled, Revocation, RevocationReason},
    rotation::Rotation,
    store::{StoreError, sqlite::SqliteStore},
};

use crate::support::old_tokens::{digest_in_hex, old_text, shape, stored_hash};
use crate::support::{actor, keyring, new_token, now, pepper, prefix, project};

type Service<S> = Tokens<S>;

/// Creates a service on this store. The service accepts the tokens of an earlier service, and its
/// clock always shows noon.
fn service<S: TokenStore + ImportStore + Clone + 'static>(store: &S, keyring: Keyring) -> Service<S> {
    Tokens::new(keyring, store.clone()).with_clock(FixedClock::new(now())).with_imports([shape()])
}

/// Returns the token of the earlier service with this number. It was created a month before `now`,
/// and expires eleven months after `now`.
fn old(number: u64) -> Result<ImportToken, Invalid> {
    let digest = keyfob::import::ImportDigest::from_text(ImportHash::Sha256, &digest_in_hex(number))?;
    let created_at: Timestamp = "2026-10-23T12:00:00Z".parse()?;
    let mut token = ImportToken::new(digest, project("145"), "ada".parse()?, "old CI".parse()?, created_at);
    token.expires_at = Some("2027-10-23T12:00:00Z".parse()?);
    Ok(token)
}

async fn imported<S: TokenStore + ImportStore>(
    tokens: &Service<S>,
    batch: Vec<Result<ImportToken, Invalid>>,
) -> Vec<ImportOutcome> {
    tokens.import(&actor(), batch).await.unwrap()
}

/// Returns why the service rejects a request with this token, or `None` if the service accepts it.
async fn rejection<S: TokenStore>(tokens: &Service<S>, text: &str) -> Option<Rejection> {
    match tokens.verify(text, &Access::to(&project("145"), &[])).await {
        Ok(_) => None,
        Err(error) => Some(error.rejection().expect("the store of this test does not fail")),
    }
}

fn key_of(imported: ImportOutcome) -> keyfob::TokenKey {
    match imported {
        ImportOutcome::Inserted(key) => key,
        other => panic!("{other:?}"),
    }
}

/// Defines tests that each run on a `MemoryStore` and on a `SqliteStore`.
macro_rules! on_both_stores {
    ($($(#[$docs:meta])* async fn $test:ident<$s:ident>($store:ident: $($type:tt)+) $body:block)+) => {
        $(
            $(#[$docs])*
            #[tokio::test]
            async fn $test() {
                async fn run<$s: TokenStore + ImportStore + Clone + 'static>($store: $($type)+) $body
                run(Arc::new(MemoryStore::new())).await;
                let folder = tempfile::tempdir().unwrap();
                run(SqliteStore::open(folder.path().join("tokens.db")).await.unwrap()).await;
            }
        )+
    };
}

on_both_stores! {
    // The token was live at the first import. Then the earlier service disabled it, and it is
    // imported again.
    async fn a_token_that_is_imported_again_as_disabled_is_disabled<S>(store: S) {
        let tokens = service(&store, keyring());
        imported(&tokens, vec![old(1)]).await;
        let mut since = old(1).unwrap();
        since.disabled = Some(Disabled { at: now(), by: actor() });
        imported(&tokens, vec![Ok(since)]).await;
        assert_eq!(rejection(&tokens, &old_text(1)).await, Some(Rejection::Disabled));
    }

    async fn old_and_new_tokens_verify_side_by_side<S>(store: S) {
        let tokens = service(&store, keyring());
        let key = key_of(imported(&tokens, vec![old(1)]).await[0]);
        let issued = tokens.issue(&actor(), new_token()).await.unwrap();
        let (project, other) = (project("145"), project("146"));
        let verified = tokens.verify(&old_text(1), &Access::to(&project, &[])).await.unwrap();
        assert_eq!((verified.key(), verified.name().as_str()), (key, "old CI"));
        assert_eq!(rejection(&tokens, issued.token.expose_secret()).await, None);
        assert_eq!(rejection(&tokens, &old_text(2)).await, Some(Rejection::Unknown));
        let elsewhere = tokens.verify(&old_text(1), &Access::to(&other, &[])).await.unwrap_err();
        assert_eq!(elsewhere.rejection(), Some(Rejection::Project));
        assert_eq!(elsewhere.key(), Some(key));
        // The new id of an imported token is not secret. A caller that knows the id from a list
        // must not be able to form a valid token with it.
        let public = tokens.get(&key).await.unwrap().unwrap().public_part;
        assert!(rejection(&tokens, &format!("{public}_{}", "0".repeat(50))).await.is_some());
    }

    async fn an_ended_token_is_imported_and_rejected<S>(store: S) {
        let tokens = service(&store, keyring());
        let mut dead = old(1).unwrap();
        dead.expires_at = Some(now());
        let mut early = old(2).unwrap();
        early.not_before = Some(Timestamp::from_unix_millis(now().as_unix_millis() + 1).unwrap());
        // The default policy does not allow tokens that never expire.
        let mut endless = old(3).unwrap();
        endless.expires_at = None;
        imported(&tokens, vec![Ok(dead), Ok(early), Ok(endless)]).await;
        assert_eq!(rejection(&tokens, &old_text(1)).await, Some(Rejection::Expired));
        assert_eq!(rejection(&tokens, &old_text(2)).await, Some(Rejection::NotYetValid));
        assert_eq!(rejection(&tokens, &old_text(3)).await, Some(Rejection::Policy));
    }

    async fn a_bad_row_does_not_stop_the_others<S>(store: S) {
        let tokens = service(&store, keyring());
        imported(&tokens, vec![old(1)]).await;
        let bad = keyfob::import::ImportDigest::from_text(ImportHash::Sha256, "no hash").unwrap_err();
        let outcomes = imported(&tokens, vec![Err(bad), old(2), old(1), old(2), old(3)]).await;
        assert!(
            matches!(outcomes[..], [
                ImportOutcome::Rejected(why),
                ImportOutcome::Inserted(_),
                ImportOutcome::Exists(_),
                ImportOutcome::Exists(_),
                ImportOutcome::Inserted(_),
            ] if why == bad),
            "{outcomes:?}"
        );
        let mut progress = ImportProgress::default();
        progress.add(&outcomes);
        progress.add(&[]);
        assert_eq!(progress, ImportProgress { inserted: 2, exists: 2, rejected: 1 });
        assert_eq!(progress.total(), 5);
        for number in 1..=3 {
            assert_eq!(rejection(&tokens, &old_text(number)).await, None);
        }
    }

    async fn a_revoked_token_stays_revoked_after_another_import<S>(store: S) {
        let tokens = service(&store, keyring());
        let keys = imported(&tokens, vec![old(1), old(2)]).await.into_iter().map(key_of).collect::<Vec<_>>();
        let key = keys[0];
        tokens.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.unwrap();
        assert_eq!(imported(&tokens, vec![old(1), old(2)]).await, [ImportOutcome::Exists(keys[0]), ImportOutcome::Exists(keys[1])]);
        assert_eq!(rejection(&tokens, &old_text(1)).await, Some(Rejection::Revoked));
        assert_eq!(rejection(&tokens, &old_text(2)).await, None);
    }

    async fn the_successor_of_an_old_token_is_a_new_token<S>(store: S) {
        let tokens = service(&store, keyring());
        let key = key_of(imported(&tokens, vec![old(1)]).await[0]);
        let rotation = Rotation::with_grace(core::time::Duration::ZERO);
        let rotated = tokens.rotate(&actor(), &key, rotation).await.unwrap();
        assert_eq!(rejection(&tokens, &old_text(1)).await, Some(Rejection::Rotated));
        assert_eq!(rejection(&tokens, rotated.issued.token.expose_secret()).await, None);
    }

    async fn an_interrupted_import_can_be_completed<S>(store: S) {
        let tokens = service(&store, keyring());
        let (at, by) = (now(), actor());
        let revoked = || {
            let mut token = old(2)?;
            token.revoked = Some(Revocation { at, by: by.clone(), reason: RevocationReason::KeyCompromise });
            Ok::<_, Invalid>(token)
        };
        let disabled = || {
            let mut token = old(3)?;
            token.disabled = Some(Disabled { at, by: by.clone() });
            Ok::<_, Invalid>(token)
        };
        let all = || vec![old(1), revoked(), disabled()];
        // An import ends after the second of three rows. The imported rows already have their
        // state.
        let begun = imported(&tokens, all().into_iter().take(2).collect()).await;
        assert_eq!(rejection(&tokens, &old_text(2)).await, Some(Rejection::Revoked));
        let keys = begun.into_iter().map(key_of).collect::<Vec<_>>();
        let again = imported(&tokens, all()).await;
        assert_eq!(again[..2], [ImportOutcome::Exists(keys[0]), ImportOutcome::Exists(keys[1])]);
        assert_eq!(rejection(&tokens, &old_text(1)).await, None);
        assert_eq!(rejection(&tokens, &old_text(2)).await, Some(Rejection::Revoked));
        assert_eq!(rejection(&tokens, &old_text(3)).await, Some(Rejection::Disabled));

        // The token was live at the first import. Then the earlier service revoked it, and it is
        // imported again.
        let mut since = old(1).unwrap();
        since.revoked = revoked().unwrap().revoked;
        assert_eq!(imported(&tokens, vec![Ok(since)]).await, [ImportOutcome::Exists(keys[0])]);
        assert_eq!(rejection(&tokens, &old_text(1)).await, Some(Rejection::Revoked));
        // A later import never removes a revocation.
        assert_eq!(imported(&tokens, vec![old(2)]).await, [ImportOutcome::Exists(keys[1])]);
        assert_eq!(rejection(&tokens, &old_text(2)).await, Some(Rejection::Revoked));
    }

    async fn a_key_stays_needed_for_the_tokens_imported_with_it<S>(store: S) {
        let (first, second) = (KeyNumber::FIRST, KeyNumber::new(2).unwrap());
        let another = || Pepper::new((100..132).collect()).unwrap();
        let both = || Keyring::builder(prefix()).mint_with(first, pepper()).verify_with(second, another()).build().unwrap();
        let before = service(&store, both());
        let key = key_of(imported(&before, vec![old(1)]).await[0]);
        assert_eq!(key.id.key_number(), first);

        let promoted = service(&store, both().promoted(second).unwrap());
        assert_eq!(imported(&promoted, vec![old(1)]).await, [ImportOutcome::Exists(key)]);
        assert_eq!(key_of(imported(&promoted, vec![old(2)]).await[0]).id.key_number(), second);
        for tokens in [&before, &promoted] {
            assert_eq!(rejection(tokens, &old_text(1)).await, None);
            assert_eq!(rejection(tokens, &old_text(2)).await, None);
        }
        let alone = service(&store, Keyring::builder(prefix()).mint_with(second, another()).build().unwrap());
        assert_eq!(rejection(&alone, &old_text(1)).await, Some(Rejection::Unknown));
        assert_eq!(rejection(&alone, &old_text(2)).await, None);
    }

    async fn an_import_without_a_pepper_or_with_too_many_rows_is_refused<S>(store: S) {
        let unkeyed = service(&store, Keyring::unkeyed(prefix()));
        let refused = unkeyed.import(&actor(), vec![old(1)]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unkeyed);
        assert_eq!(refused.to_string(), "the operation needs a keyring with a pepper");
        let tokens = service(&store, keyring());
        let refused = tokens.import(&actor(), (0..1001).map(old).collect()).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Invalid(batch) if batch.kind() == InvalidKind::TooMany { max: 1000 }));
        assert_eq!(refused.to_string(), "import batch: more than 1000");
        assert_eq!(rejection(&tokens, &old_text(1)).await, Some(Rejection::Unknown));
        assert_eq!(imported(&tokens, (0..1000).map(old).collect()).await.len(), 1000);
        assert!(imported(&tokens, Vec::new()).await.is_empty());
    }
}

/// A store in memory that counts the look-ups by import key.
#[derive(Default)]
struct CountingImports {
    store: MemoryStore,
    asked: AtomicU64,
    fails: bool,
}

impl TokenStore for CountingImports {
    handed_on!(
        store: insert, find, find_recent, list, count, update, revoke, revoke_owner, revoke_family, revoke_issued_by, revoke_batch, rotate, touch_many
    );
}

impl ImportStore for CountingImports {
    async fn import(&self, _: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        unimplemented!("this test imports nothing")
    }
    async fn find_imported(&self, _: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.fails { Err(keyfob::store::StoreErrorKind::Unavailable.into()) } else { Ok(None) }
    }
}

fn counting(fails: bool) -> (Arc<CountingImports>, Service<Arc<CountingImports>>) {
    let imports = Arc::new(CountingImports { fails, ..CountingImports::default() });
    let tokens = Tokens::new(keyring(), Arc::clone(&imports)).with_clock(FixedClock::new(now()));
    (imports, tokens.with_imports([shape()]))
}

#[tokio::test]
async fn a_text_of_another_shape_never_reaches_the_store() {
    let (imports, tokens) = counting(false);
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let (text, typo) =
        (issued.token.expose_secret(), issued.token.expose_secret().replace("acme_pat_145", "acme_pat_146"));
    assert_eq!(rejection(&tokens, text).await, None);
    assert_eq!(rejection(&tokens, &typo).await, Some(Rejection::Checksum));
    let old = old_text(1);
    for text in ["", &old[1..], &old[..old.len() - 1], &format!("{old}0"), &format!("{old}\n"), &old.to_uppercase()] {
        assert!(rejection(&tokens, text).await.is_some_and(Rejection::is_before_store), "{text:?}");
    }
    assert_eq!(imports.asked.load(Ordering::SeqCst), 0);
    assert_eq!(rejection(&tokens, &old).await, Some(Rejection::Unknown));
    assert_eq!(imports.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_store_that_fails_is_neither_a_rejection_nor_a_pass() {
    let (_, tokens) = counting(true);
    let error = tokens.verify(&old_text(1), &Access::to(&project("145"), &[])).await.unwrap_err();
    assert_eq!(error.rejection(), None);
    assert_eq!(error.challenge().status(), 503);
}

#[tokio::test]
async fn no_old_hash_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    let tokens = service(&store, keyring());
    let outcomes = imported(&tokens, (0..200).map(old).collect()).await;
    assert_eq!(rejection(&tokens, &old_text(7)).await, None);
    let files = || ["tokens.db", "tokens.db-wal"].map(|name| fs::read(folder.path().join(name)).unwrap()).concat();
    let has = |files: &[u8], wanted: &[u8]| files.windows(wanted.len()).any(|window| window == wanted);
    let before = files();
    for number in 0..200 {
        let hash = stored_hash(number);
        for half in [&hash[..16], &hash[16..]] {
            assert!(!has(&before, half), "{number}");
        }
        assert!(!has(&before, &digest_in_hex(number).as_bytes()[..16]), "{number}");
        assert!(!has(&before, old_text(number).as_bytes()), "{number}");
    }
    // The searches below must find something: a token id, and a hash that a careless host stores in
    // the metadata. Otherwise the searches above would prove little.
    let key = key_of(outcomes[199]);
    assert!(has(&before, key.id.as_str().as_bytes()));
    let leak = sqlx::query("UPDATE keyfob_tokens SET metadata = $1 WHERE id = $2");
    leak.bind(digest_in_hex(7)).bind(key.id.as_str()).execute(store.pool()).await.unwrap();
    assert!(has(&files(), digest_in_hex(7).as_bytes()));
}
