//! The test cases for `ImportStore::import` and `ImportStore::find_imported`.

use super::sample::{
    at, ensure_absent, every_status, full, import_key, name, project, put, record, revocation, some, stored,
};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, same};
use crate::rules::import_row::ImportRow;
use crate::rules::issuer::Issuer;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::import::ImportRowOutcome::{self, Exists, Inserted};
use crate::store::import::ImportStore;
use crate::store::maintenance::StoreMaintenance;
use crate::store::query::PageSize;
use crate::words::import_key::ImportKey;

/// Imports a new record under a new import key, and returns this key.
pub(super) async fn put_imported<S: ImportStore>(store: &S, record: &TokenRecord) -> Result<ImportKey, Broken> {
    let key = import_key()?;
    ensure_eq!(import_one(store, record, key).await?, [Inserted], "the outcome of an import");
    Ok(key)
}

/// Imports one record under an import key, and returns the outcomes.
pub(super) async fn import_one<S: ImportStore>(
    store: &S,
    record: &TokenRecord,
    import_key: ImportKey,
) -> Result<Vec<ImportRowOutcome>, Broken> {
    Ok(store.import(vec![ImportRow::new(record.clone(), import_key)]).await?)
}

pub(super) async fn import_keeps_every_column<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let full = full(project()?)?;
    let issuer = full.issuer.map(|issuer| Issuer { bound: false, ..issuer });
    let sample = TokenRecord { revoked: Some(revocation("root", -3)?), issuer, ..full };
    let key = put_imported(store, &sample).await?;
    let found = some(store.find_imported(&key).await?, "find_imported")?;
    same(&found, &sample, "the record found by its import key")?;
    same(&*stored(store, &sample.key()).await?, &sample, "the record found by its key")
}

pub(super) async fn import_answers_each_row_in_order<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    ensure_eq!(store.import(Vec::new()).await?, [], "the outcomes of an empty import");
    let project = project()?;
    let there = record(project)?;
    let known = put_imported(store, &there).await?;
    let mut batch = Vec::new();
    for import_key in [import_key()?, known, import_key()?] {
        batch.push(ImportRow::new(record(project)?, import_key));
    }
    let outcomes = store.import(batch.clone()).await?;
    ensure_eq!(
        outcomes,
        [Inserted, Exists(there.key()), Inserted],
        "the outcomes of an import whose second row exists"
    );
    stored(store, &batch[0].record.key()).await?;
    stored(store, &batch[2].record.key()).await?;
    Ok(())
}

pub(super) async fn import_takes_no_bound_record<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    let issuer = Some(Issuer { id: first.id, bound: true });
    let bound = TokenRecord { issuer, ..record(first.project)? };
    let batch = vec![ImportRow::new(first.clone(), import_key()?), ImportRow::new(bound.clone(), import_key()?)];
    ensure!(store.import(batch).await.is_err(), "an import took a record that is bound to another");
    ensure_absent(store, &first.key(), "an import of a bound record").await?;
    ensure_absent(store, &bound.key(), "an import of a bound record").await
}

pub(super) async fn import_knows_the_rows_before<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    let key = import_key()?;
    let same_import_key = record(first.project)?;
    let batch = vec![
        ImportRow::new(first.clone(), key),
        ImportRow::new(same_import_key.clone(), key),
        ImportRow::new(first.clone(), import_key()?),
    ];
    let outcomes = store.import(batch).await?;
    ensure_eq!(
        outcomes,
        [Inserted, Exists(first.key()), Exists(first.key())],
        "the outcomes if the first row has the keys of the others"
    );
    ensure_absent(store, &same_import_key.key(), "after an import of one import key twice").await?;
    same(&*stored(store, &first.key()).await?, &first, "the record of the first of two rows with one key")
}

pub(super) async fn find_imported_answers_dead_rows<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    for sample in every_status(project()?)? {
        let key = put_imported(store, &sample).await?;
        let found = store.find_imported(&key).await?;
        let what = format!("a record that is {}", sample.status(at(1)));
        ensure_eq!(found.map(|found| found.id), Some(sample.id), "find_imported of {what}");
    }
    Ok(())
}

pub(super) async fn find_imported_answers_none_for_the_absent<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let key = put_imported(store, &record(project()?)?).await?;
    let mut bytes = *key.as_bytes();
    bytes[31] ^= 1;
    let Ok(found) = store.find_imported(&bytes.as_slice().try_into()?).await else {
        return Err(Broken::new("find_imported of an unknown import key: an error, not None"));
    };
    ensure!(found.is_none(), "find_imported of a key that differs in its last bit: a record, not None");
    Ok(())
}

pub(super) async fn import_never_replaces_an_import_key<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    let key = put_imported(store, &first).await?;
    // An old hash is unique in the whole service, so its import key is unique in all projects.
    for second in [record(first.project)?, record(project()?)?] {
        ensure_eq!(
            import_one(store, &second, key).await?,
            [Exists(first.key())],
            "the outcome under an import key that exists"
        );
        ensure_absent(store, &second.key(), "after an import under an import key that exists").await?;
    }
    let found = some(store.find_imported(&key).await?, "find_imported")?;
    ensure_eq!(found.key(), first.key(), "the record found by the import key");
    Ok(())
}

pub(super) async fn import_knows_a_token_under_another_key<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    let there = put_imported(store, &first).await?;
    let second = record(first.project)?;
    let row = ImportRow { other_keys: vec![import_key()?, there], ..ImportRow::new(second.clone(), import_key()?) };
    let key = row.import_key;
    ensure_eq!(store.import(vec![row]).await?, [Exists(first.key())], "the outcome if another look-up key exists");
    ensure_absent(store, &second.key(), "after an import of which another look-up key exists").await?;
    ensure!(
        store.find_imported(&key).await?.is_none(),
        "the look-up key of a row that was not inserted finds a record"
    );
    Ok(())
}

pub(super) async fn import_never_replaces_a_token<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    put(store, &first).await?;
    let second = TokenRecord { id: first.id, name: name("another")?, ..record(first.project)? };
    let key = import_key()?;
    ensure_eq!(
        import_one(store, &second, key).await?,
        [Exists(first.key())],
        "the outcome of a record whose key exists"
    );
    same(&*stored(store, &first.key()).await?, &first, "the existing record")?;
    let found = store.find_imported(&key).await?;
    ensure!(found.is_none(), "the import key of a row that was not inserted finds a record");
    Ok(())
}

pub(super) async fn imported_records_are_revoked_like_others<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let sample = record(project()?)?;
    let key = put_imported(store, &sample).await?;
    some(store.revoke(&sample.key(), &revocation("root", 1)?).await?, "revoke")?;
    let found = some(store.find_imported(&key).await?, "find_imported")?;
    ensure!(found.revoked.is_some(), "find_imported of a token revoked since: not revoked");
    Ok(())
}

pub(super) async fn a_purged_import_key_is_free<S>(store: &S) -> Verdict
where
    S: TokenStore + StoreMaintenance + ImportStore,
{
    let sample = TokenRecord { expires_at: Some(at(-1)), ..record(project()?)? };
    let key = put_imported(store, &sample).await?;
    store.purge(&sample.project, at(0), PageSize::MAX).await?;
    ensure!(store.find_imported(&key).await?.is_none(), "find_imported of a purged token: a record, not None");
    let second = record(sample.project)?;
    ensure_eq!(import_one(store, &second, key).await?, [Inserted], "the outcome under a purged token's import key");
    let found = some(store.find_imported(&key).await?, "find_imported")?;
    ensure_eq!(found.key(), second.key(), "the record found by the import key of a purged token, imported again");
    Ok(())
}
