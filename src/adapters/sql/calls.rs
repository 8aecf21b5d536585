//! The operations that all stores on SQL databases decide alike. Each function runs in a
//! transaction of the caller. If the function fails, the caller rolls the transaction back.

use std::sync::Arc;

use super::row;
use super::session::Session;
use super::statement::Statement;
use super::write::{self, and_key, and_limit};
use crate::rules::change::Change;
use crate::rules::import_row::ImportRow;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::import::ImportRowOutcome;
use crate::words::ids::{TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::timestamp::Timestamp;

type Found = Option<Arc<TokenRecord>>;

/// Inserts a record. If there is a limit, no other call of the project may insert or rotate until
/// the transaction ends.
pub(in crate::adapters) async fn insert<S: Session>(
    session: &mut S,
    record: &TokenRecord,
    limit: Option<LiveLimit>,
    issuer: Option<IssuerCondition>,
) -> Result<(), StoreError> {
    let mut sql = row::insert(record, None)?;
    if let Some(limit) = limit {
        and_limit(S::DIALECT, &mut sql, record, limit);
    }
    // The issuer's row stays locked from here to the commit. So no revocation of the issuer is
    // acknowledged before the commit.
    let holds = match issuer {
        Some(condition) => {
            let key = TokenKey { project: record.project, id: condition.id };
            condition.holds(session.locked(&key).await?.as_ref())
        }
        None => true,
    };
    match session.write(sql).await? {
        0 => Err(StoreErrorKind::Limit.into()),
        _ if !holds => Err(StoreErrorKind::IssuerChanged.into()),
        _ => Ok(()),
    }
}

/// Changes one record, if it has the expected version.
pub(in crate::adapters) async fn update<S: Session>(
    session: &mut S,
    key: &TokenKey,
    expected_version: u64,
    change: &Change,
) -> Result<Found, StoreError> {
    let record = session.change(key, write::update(key, expected_version, change)).await?;
    if record.is_none() && session.find(key).await?.is_some() {
        return Err(StoreErrorKind::Conflict.into());
    }
    Ok(record)
}

/// Rotates a token. No other call of the project may rotate or revoke a group until the transaction
/// ends. Returns the new record of the rotated token, and the keys of all tokens that changed.
pub(in crate::adapters) async fn rotate<S: Session>(
    session: &mut S,
    key: &TokenKey,
    expected_version: u64,
    successor: &TokenRecord,
    grace_until: Timestamp,
    issuer: Option<IssuerCondition>,
) -> Result<Option<(Arc<TokenRecord>, Vec<TokenKey>)>, StoreError> {
    let chain = session.locked_chain(key, issuer).await?;
    let near = |id: TokenId| chain.iter().find(|record| record.id == id);
    let Some(old) = near(key.id) else { return Ok(None) };
    let earlier = old.rotated_to.and_then(near);
    if !old.may_rotate(expected_version, successor, old.rotated_from.and_then(near), earlier) {
        return Err(StoreErrorKind::Conflict.into());
    }
    let holds = issuer.is_none_or(|condition| condition.holds(near(condition.id)));
    let mut keys = vec![*key, successor.key()];
    if let Some(earlier) = earlier {
        let mut sql = write::set_revoked(&Revocation::superseded_by(successor));
        and_key(&mut sql, &earlier.key());
        session.write(sql).await?;
        keys.push(earlier.key());
    }
    // The insert comes before the check of the issuer, because an existing key is a conflict even
    // if the issuer has changed.
    session.write(row::insert(successor, None)?).await?;
    if !holds {
        return Err(StoreErrorKind::IssuerChanged.into());
    }
    let record = session.change(key, write::rotate_to(key, &successor.id, grace_until)).await?;
    Ok(record.map(|record| (record, keys)))
}

/// Imports one row. `find` is a query for the key of the token that was imported under a look-up
/// key, up to the value of this key. No other import may run until the transaction ends.
pub(in crate::adapters) async fn import<S: Session>(
    session: &mut S,
    row: &ImportRow,
    find: &'static str,
) -> Result<ImportRowOutcome, StoreError> {
    for key in row.keys() {
        let mut sql = Statement::new(find);
        sql.bind(key.as_bytes().as_slice());
        if let Some(key) = session.key(sql).await? {
            return Ok(ImportRowOutcome::Exists(key));
        }
    }
    Ok(match session.insert_imported(row).await? {
        true => ImportRowOutcome::Inserted,
        false => ImportRowOutcome::Exists(row.record.key()),
    })
}
