//! A record as the fields of a hash, and back.

use redis::Value;

use super::failure::corrupt;
use crate::rules::address::AddressRanges;
use crate::rules::notice_stage::NoticeStage;
use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenKind, TokenRecord};
use crate::rules::scope::ScopeSet;
use crate::words::digest::Digest;
use crate::words::ids::{Prefix, TokenId, TokenKey};
use crate::words::invalid::Invalid;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId, StoredText as _};
use crate::words::timestamp::Timestamp;

/// A field's name and its value. An empty value is no field.
pub(super) type Field = (&'static str, Vec<u8>);

pub(super) fn text(name: &'static str, value: &str) -> Field {
    (name, value.into())
}

pub(super) fn time(name: &'static str, value: Option<Timestamp>) -> Field {
    (name, value.map(|time| time.as_unix_millis().to_string()).unwrap_or_default().into())
}

/// A name, and what it is searched and sorted by: made here, for engines fold differently.
pub(super) fn name(name: &Name) -> [Field; 2] {
    [text("na", name.as_str()), ("nf", name.folded().into())]
}

/// The fields of a record, the empty ones left out. The key has its project and id.
pub(super) fn fields(record: &TokenRecord) -> Result<Vec<Field>, StoreError> {
    if !(1..=TokenRecord::MAX_VERSION).contains(&record.version) {
        return Err(StoreError::with_source(StoreErrorKind::Other, "a version must be at least 1, and of 63 bits"));
    }
    let (disabled, revoked) = (record.disabled.as_ref(), record.revoked.as_ref());
    let id = |name, id: Option<TokenId>| text(name, id.as_ref().map_or("", TokenId::as_str));
    let mut fields = vec![
        text("px", record.prefix.as_str()),
        ("dg", record.digest.as_bytes().to_vec()),
        text("ow", record.owner.as_str()),
        text("ki", record.kind.as_str()),
        text("sc", record.scopes.as_str()),
        text("me", record.metadata.as_str()),
        text("ad", record.addresses.as_str()),
        time("ca", Some(record.created_at)),
        text("cb", record.created_by.as_str()),
        time("co", record.confirm_by),
        time("nb", record.not_before),
        time("ex", record.expires_at),
        time("lu", record.last_used_at),
        time("da", disabled.map(|disabled| disabled.at)),
        text("db", disabled.map_or("", |disabled| disabled.by.as_str())),
        time("ra", revoked.map(|revoked| revoked.at)),
        text("rb", revoked.map_or("", |revoked| revoked.by.as_str())),
        text("rr", revoked.map_or("", |revoked| revoked.reason.as_str())),
        id("fa", Some(record.family)),
        id("rf", record.rotated_from),
        id("rt", record.rotated_to),
        time("gr", record.grace_until),
        text("rq", record.request_id.as_ref().map_or("", RequestId::as_str)),
        text("ns", record.notice_stage.as_str()),
        time("nl", record.notice_lease_until),
        ("ve", record.version.to_string().into()),
    ];
    fields.extend(name(&record.name));
    fields.retain(|(_, value)| !value.is_empty());
    Ok(fields)
}

/// The record of a row as the scripts answer it: the values of `FIELDS` in rows.lua, in that order, and a fence where one
/// lies over it.
///
/// # Errors
/// [`Corrupt`](StoreErrorKind::Corrupt) where a value does not fit its type.
pub(super) fn record(key: &TokenKey, row: Value) -> Result<TokenRecord, StoreError> {
    let Value::Array(values) = row else { return Err(corrupt("an index names a row that is not there")) };
    let mut row = Values(values.into_iter());
    let record = TokenRecord {
        prefix: row.text(Prefix::new)?,
        digest: row.next()?.ok_or_else(missing).and_then(|bytes| Digest::try_from(&bytes[..]).map_err(corrupt))?,
        name: row.text(Name::of_stored)?,
        owner: row.text(OwnerId::of_stored)?,
        kind: row.text(TokenKind::parse)?,
        scopes: row.text_or_empty(ScopeSet::new)?,
        metadata: row.text_or_empty(Metadata::new)?,
        addresses: row.text_or_empty(AddressRanges::new)?,
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
        version: match row.number()? {
            Some(version @ 1..) => version.unsigned_abs(),
            _ => return Err(corrupt("a version is not a number from 1 on")),
        },
        project: key.project,
        id: key.id,
    };
    row.under_its_fence(record)
}

/// The values of a row, one after the other.
struct Values(std::vec::IntoIter<Value>);

impl Values {
    fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.0.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::Nil) | None => Ok(None),
            Some(_) => Err(corrupt("a field is not text")),
        }
    }

    fn text_if_any<T>(&mut self, new: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.next()? else { return Ok(None) };
        new(str::from_utf8(&bytes).map_err(corrupt)?).map(Some).map_err(corrupt)
    }

    fn text<T>(&mut self, new: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<T, StoreError> {
        self.text_if_any(new)?.ok_or_else(missing)
    }

    fn text_or_empty<T: Default>(&mut self, new: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<T, StoreError> {
        Ok(self.text_if_any(new)?.unwrap_or_default())
    }

    fn number(&mut self) -> Result<Option<i64>, StoreError> {
        let Some(bytes) = self.next()? else { return Ok(None) };
        str::from_utf8(&bytes).map_err(corrupt)?.parse().map(Some).map_err(corrupt)
    }

    fn time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.number()?.map(Timestamp::from_unix_millis).transpose().map_err(corrupt)
    }

    /// Revoked, where a fence says so that is not written into the row yet: `time reason actor`.
    fn under_its_fence(mut self, mut record: TokenRecord) -> Result<TokenRecord, StoreError> {
        let Some(fence) = self.next()? else { return Ok(record) };
        let fence = str::from_utf8(&fence).map_err(corrupt)?;
        let mut parts = fence.splitn(3, ' ');
        let mut part = || parts.next().ok_or_else(missing);
        let at = part()?.parse().map_err(corrupt).and_then(|at| Timestamp::from_unix_millis(at).map_err(corrupt))?;
        let reason = RevocationReason::parse(part()?).map_err(corrupt)?;
        let by = Actor::of_stored(part()?).map_err(corrupt)?;
        record.revoke(&Revocation { at, by, reason });
        Ok(record)
    }
}

/// What must be there is not.
fn missing() -> StoreError {
    corrupt("a field is missing that the row must have")
}

#[cfg(test)]
mod tests {
    /// What is read by position stands in the order in which the scripts answer it.
    #[test]
    fn rows_are_read_in_the_order_of_the_scripts() {
        const ORDER: &str = "'px', 'dg', 'na', 'ow', 'ki', 'sc', 'me', 'ad', 'ca', 'cb', 'co', 'nb', 'ex', 'lu', 'da', \
             'db', 'ra', 'rb', 'rr', 'fa', 'rf', 'rt', 'gr', 'rq', 'ns', 'nl', 've',";
        let script = include_str!("lua/rows.lua").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(script.contains(&format!("FIELDS = {{ {ORDER} }}")), "{script}");
    }
}
