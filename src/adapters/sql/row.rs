//! A record as a row, and back.

use core::error::Error;

use sqlx::{ColumnIndex, Decode, Row, Type};

use super::statement::{Statement, Value};
use crate::rules::address::AddressRanges;
use crate::rules::notice_stage::NoticeStage;
use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenKind, TokenRecord};
use crate::rules::scope::ScopeSet;
use crate::store::import::ImportKey;
use crate::words::digest::Digest;
use crate::words::ids::{Prefix, ProjectId, TokenId, TokenKey};
use crate::words::invalid::Invalid;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId, StoredText as _};
use crate::words::timestamp::Timestamp;

/// The columns of a record, in the order in which [`record`] reads them and [`insert`] writes them.
macro_rules! columns {
    () => {
        "prefix, project, id, digest, name, owner, kind, scopes, metadata, addresses, created_at, created_by, \
         confirm_by, not_before, expires_at, last_used_at, disabled_at, disabled_by, revoked_at, revoked_by, \
         revoked_reason, family, rotated_from, rotated_to, grace_until, request_id, notice_stage, \
         notice_lease_until, version"
    };
}
pub(in crate::adapters) use columns;

/// `INSERT … SELECT` with every value bound, open for a `WHERE`.
pub(in crate::adapters) fn insert(
    record: &TokenRecord,
    import_key: Option<&ImportKey>,
) -> Result<Statement, StoreError> {
    const HEAD: &str = concat!("INSERT INTO keyfob_tokens (", columns!(), ", name_folded");
    let version =
        i64::try_from(record.version).map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
    let (disabled, revoked) = (record.disabled.as_ref(), record.revoked.as_ref());
    let mut query = Statement::new(HEAD);
    let values: [Value; 30] = [
        record.prefix.as_str().into(),
        record.project.as_str().into(),
        record.id.as_str().into(),
        record.digest.as_bytes().as_slice().into(),
        record.name.as_str().into(),
        record.owner.as_str().into(),
        record.kind.as_str().into(),
        record.scopes.as_str().into(),
        record.metadata.as_str().into(),
        record.addresses.as_str().into(),
        record.created_at.as_unix_millis().into(),
        record.created_by.as_str().into(),
        record.confirm_by.map(Timestamp::as_unix_millis).into(),
        record.not_before.map(Timestamp::as_unix_millis).into(),
        record.expires_at.map(Timestamp::as_unix_millis).into(),
        record.last_used_at.map(Timestamp::as_unix_millis).into(),
        disabled.map(|disabled| disabled.at.as_unix_millis()).into(),
        disabled.map(|disabled| disabled.by.as_str()).into(),
        revoked.map(|revoked| revoked.at.as_unix_millis()).into(),
        revoked.map(|revoked| revoked.by.as_str()).into(),
        revoked.map(|revoked| revoked.reason.as_str()).into(),
        record.family.as_str().into(),
        record.rotated_from.as_ref().map(TokenId::as_str).into(),
        record.rotated_to.as_ref().map(TokenId::as_str).into(),
        record.grace_until.map(Timestamp::as_unix_millis).into(),
        record.request_id.as_ref().map(RequestId::as_str).into(),
        record.notice_stage.as_str().into(),
        record.notice_lease_until.map(Timestamp::as_unix_millis).into(),
        version.into(),
        record.name.folded().into(),
    ];
    query.push(if import_key.is_some() { ", import_key) SELECT " } else { ") SELECT " }).bind_all(values);
    if let Some(key) = import_key {
        query.push(", ").bind(key.as_bytes().as_slice());
    }
    Ok(query)
}

/// The record of a row of [`columns!`].
///
/// # Errors
/// [`Corrupt`](StoreErrorKind::Corrupt) where a value does not fit its type.
pub(in crate::adapters) fn record<'r, R: Row>(row: &'r R) -> Result<TokenRecord, StoreError>
where
    usize: ColumnIndex<R>,
    Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<&'r [u8]>: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut row = Values { row, next: 0 };
    // Fields are read in the order in which they stand here, which is that of the columns.
    Ok(TokenRecord {
        prefix: row.text(Prefix::new)?,
        project: row.text(ProjectId::new)?,
        id: row.text(TokenId::new)?,
        digest: Digest::try_from(row.value::<Option<&[u8]>>()?.ok_or_else(missing)?).map_err(corrupt)?,
        name: row.text(Name::of_stored)?,
        owner: row.text(OwnerId::of_stored)?,
        kind: row.text(TokenKind::parse)?,
        scopes: row.text(ScopeSet::new)?,
        metadata: row.text(Metadata::new)?,
        addresses: row.text(AddressRanges::new)?,
        created_at: row.time()?.ok_or_else(missing)?,
        created_by: row.text(Actor::of_stored)?,
        confirm_by: row.time()?,
        not_before: row.time()?,
        expires_at: row.time()?,
        last_used_at: row.time()?,
        disabled: match (row.time()?, row.text_if_any(Actor::of_stored)?) {
            (Some(at), Some(by)) => Some(Disabled { at, by }),
            (None, None) => None,
            _ => return Err(missing()),
        },
        revoked: match (row.time()?, row.text_if_any(Actor::of_stored)?, row.text_if_any(RevocationReason::parse)?) {
            (Some(at), Some(by), Some(reason)) => Some(Revocation { at, by, reason }),
            (None, None, None) => None,
            _ => return Err(missing()),
        },
        family: row.text(TokenId::new)?,
        rotated_from: row.text_if_any(TokenId::new)?,
        rotated_to: row.text_if_any(TokenId::new)?,
        grace_until: row.time()?,
        request_id: row.text_if_any(RequestId::of_stored)?,
        notice_stage: row.text(NoticeStage::parse)?,
        notice_lease_until: row.time()?,
        version: row.number()?.ok_or_else(missing)?.try_into().map_err(corrupt)?,
    })
}

/// The project of a row that is nothing else.
pub(in crate::adapters) fn project<'r, R: Row>(row: &'r R) -> Result<ProjectId, StoreError>
where
    usize: ColumnIndex<R>,
    Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
{
    Values { row, next: 0 }.text(ProjectId::new)
}

/// The key of a row of project and id.
pub(in crate::adapters) fn key<'r, R: Row>(row: &'r R) -> Result<TokenKey, StoreError>
where
    usize: ColumnIndex<R>,
    Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut row = Values { row, next: 0 };
    Ok(TokenKey { project: row.text(ProjectId::new)?, id: row.text(TokenId::new)? })
}

/// The values of a row, one after the other.
struct Values<'r, R> {
    row: &'r R,
    next: usize,
}

impl<'r, R: Row> Values<'r, R>
where
    usize: ColumnIndex<R>,
{
    fn value<T: Decode<'r, R::Database> + Type<R::Database>>(&mut self) -> Result<T, StoreError> {
        let at = self.next;
        self.next += 1;
        self.row.try_get(at).map_err(corrupt)
    }

    fn text<T>(&mut self, new: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<T, StoreError>
    where
        Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.text_if_any(new)?.ok_or_else(missing)
    }

    fn text_if_any<T>(&mut self, new: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<Option<T>, StoreError>
    where
        Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.value::<Option<&str>>()?.map(new).transpose().map_err(corrupt)
    }

    fn number(&mut self) -> Result<Option<i64>, StoreError>
    where
        Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.value()
    }

    fn time(&mut self) -> Result<Option<Timestamp>, StoreError>
    where
        Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.number()?.map(Timestamp::from_unix_millis).transpose().map_err(corrupt)
    }
}

/// A value does not fit its type. No cause echoes it.
pub(in crate::adapters) fn corrupt(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::with_source(StoreErrorKind::Corrupt, error)
}

/// Of values that stand together, one is not there.
fn missing() -> StoreError {
    StoreError::with_source(StoreErrorKind::Corrupt, "a column is NULL whose companion is not")
}
