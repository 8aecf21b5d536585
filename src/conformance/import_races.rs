//! The test cases for concurrent imports.

use super::imported::import_one;
use super::sample::{import_key, project, record, some};
use super::together::{ROUNDS, all};
use super::verdict::{Verdict, ensure_eq};
use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::import::{ImportRowOutcome, ImportStore};
use crate::words::import_key::ImportKey;

pub(super) async fn one_import_of_a_key_wins<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let project = project()?;
    for _ in 0..ROUNDS {
        let (key, samples) = (import_key()?, [record(project)?, record(project)?, record(project)?]);
        let answers = all(samples.iter().map(|sample| import_one(store, sample, key))).await;
        let found = some(store.find_imported(&key).await?, "find_imported")?;
        for (sample, answer) in samples.iter().zip(answers) {
            let won = found.id == sample.id;
            let outcome = if won { ImportRowOutcome::Inserted } else { ImportRowOutcome::Exists(found.key()) };
            ensure_eq!(answer?, [outcome], "the outcome of one of several concurrent imports under one import key");
            let there = store.find(&sample.key()).await?.is_some();
            ensure_eq!(there, won, "whether the record of one of several concurrent imports exists");
        }
    }
    Ok(())
}

pub(super) async fn one_import_under_two_keys_at_once_wins<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    let project = project()?;
    for _ in 0..ROUNDS {
        // Two nodes compute import keys with different keys of the keyring. Each row also names the
        // import key that the other node computes.
        let keys = [import_key()?, import_key()?];
        let rows = [(record(project)?, keys[0], keys[1]), (record(project)?, keys[1], keys[0])];
        let import = |(record, import_key, other): &(TokenRecord, ImportKey, ImportKey)| {
            let row = ImportRow { record: record.clone(), import_key: *import_key, other_keys: vec![*other] };
            store.import(vec![row])
        };
        let mut inserted = 0;
        for answer in all(rows.iter().map(import)).await {
            inserted += answer?.iter().filter(|outcome| **outcome == ImportRowOutcome::Inserted).count();
        }
        ensure_eq!(inserted, 1, "concurrent imports of one token under two keys that inserted it");
    }
    Ok(())
}
