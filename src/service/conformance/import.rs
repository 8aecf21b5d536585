//! The laws of import.

use super::report::{Broken, Verdict, ensure, ensure_eq, refused, same};
use super::sample::{
    at, ensure_absent, every_status, full, import_key, name, project, put, record, revocation, some, stored,
};
use crate::rules::record::TokenRecord;
use crate::service::store::{ImportStore, TokenStore};
use crate::service::store_error::StoreErrorKind::Conflict;

pub(super) async fn import_keeps_every_column<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let sample = TokenRecord { revoked: Some(revocation("root", -3)?), ..full(project()?)? };
    let key = import_key()?;
    same(&*store.import(sample.clone(), key).await?, &sample, "the record that import answered")?;
    let found = some(store.find_imported(&key).await?, "find_imported")?;
    same(&found, &sample, "the record found by its import key")?;
    same(&*stored(store, &sample.key()).await?, &sample, "the record found by its key")
}

pub(super) async fn find_imported_answers_dead_rows<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    for sample in every_status(project()?)? {
        let key = import_key()?;
        store.import(sample.clone(), key).await?;
        let found = store.find_imported(&key).await?;
        let what = format!("a row that is {}", sample.status(at(1)));
        ensure_eq!(found.map(|found| found.id), Some(sample.id), "find_imported of {what}");
    }
    Ok(())
}

pub(super) async fn find_imported_answers_none_for_the_absent<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let sample = record(project()?)?;
    let key = import_key()?;
    store.import(sample, key).await?;
    let mut bytes = *key.as_bytes();
    bytes[31] ^= 1;
    let Ok(found) = store.find_imported(&bytes.as_slice().try_into()?).await else {
        return Err(Broken::new("find_imported of no row: an error, not None"));
    };
    ensure!(found.is_none(), "find_imported of a key that differs in its last bit: a record, not None");
    Ok(())
}

pub(super) async fn import_refuses_a_known_import_key<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    let key = import_key()?;
    store.import(first.clone(), key).await?;
    // An old hash is unique in the whole service, so its key is so over all projects.
    for second in [record(first.project)?, record(project()?)?] {
        refused(store.import(second.clone(), key).await, Conflict, "import under an import key that exists")?;
        ensure_absent(store, &second.key(), "after an import that was refused").await?;
    }
    let found = some(store.find_imported(&key).await?, "find_imported")?;
    ensure_eq!(found.key(), first.key(), "what is found by the import key");
    Ok(())
}

pub(super) async fn import_refuses_a_known_key<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    put(store, &first).await?;
    let second = TokenRecord { id: first.id, name: name("another")?, ..record(first.project)? };
    let key = import_key()?;
    refused(store.import(second, key).await, Conflict, "import of a record whose key exists")?;
    same(&*stored(store, &first.key()).await?, &first, "the row that was there first")?;
    let found = store.find_imported(&key).await?;
    ensure!(found.is_none(), "the import key of an import that was refused finds a record");
    Ok(())
}

pub(super) async fn imported_records_are_revoked_like_others<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let sample = record(project()?)?;
    let key = import_key()?;
    store.import(sample.clone(), key).await?;
    some(store.revoke(&sample.key(), &revocation("root", 1)?).await?, "revoke")?;
    let found = some(store.find_imported(&key).await?, "find_imported")?;
    ensure!(found.revoked.is_some(), "find_imported of a token revoked since: not revoked");
    Ok(())
}
