//! The conversion of a record to the values of its columns, and back.

use std::borrow::Cow;

use super::columns::ColumnValue;
use crate::rules::address::AddressRanges;
use crate::rules::import_scheme::ImportScheme;
use crate::rules::issuer::Issuer;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenRecord};
use crate::rules::scope::ScopeSet;
use crate::rules::token_kind::TokenKind;
use crate::words::digest::Digest;
use crate::words::ids::{Prefix, ProjectId, TokenId, TokenKey};
use crate::words::invalid::Invalid;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId, StoredText as _};
use crate::words::timestamp::Timestamp;
use crate::words::used_from::{ClientText, UsedFrom};

impl TokenRecord {
    /// Returns the values of the record in the order of [`COLUMNS`](crate::store::COLUMNS).
    ///
    /// # Errors
    /// Returns [`Other`](StoreErrorKind::Other) if the version or the number of leases does not fit
    /// a signed 64-bit integer.
    pub fn to_columns(&self) -> Result<[ColumnValue<'_>; Self::COLUMNS], StoreError> {
        use ColumnValue::{Bytes, Null, Number, Text};
        fn text(text: &str) -> ColumnValue<'_> {
            Text(Cow::Borrowed(text))
        }
        fn text_if_any(value: Option<&str>) -> ColumnValue<'_> {
            value.map_or(Null, text)
        }
        let time = |time: Option<Timestamp>| time.map_or(Null, |time| Number(time.as_unix_millis()));
        let number = |number: u64| {
            let number =
                i64::try_from(number).map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
            Ok::<_, StoreError>(Number(number))
        };
        let (disabled, revoked) = (self.disabled.as_ref(), self.revoked.as_ref());
        let (used_from, scheme) = (self.last_used_from.as_ref(), self.import_scheme.as_ref());
        let address = used_from.and_then(|from| from.address);
        let client = used_from.and_then(|from| from.client.as_ref());
        Ok([
            text(self.prefix.as_str()),
            text(self.project.as_str()),
            text(self.id.as_str()),
            Bytes(Cow::Borrowed(self.digest.as_bytes())),
            text(self.name.as_str()),
            text(self.owner.as_str()),
            text(self.kind.as_str()),
            text(self.scopes.as_str()),
            text(self.metadata.as_str()),
            text(self.addresses.as_str()),
            Number(self.created_at.as_unix_millis()),
            text(self.created_by.as_str()),
            text_if_any(self.issuer.as_ref().map(|issuer| issuer.id.as_str())),
            self.issuer.map_or(Null, |issuer| Number(i64::from(issuer.bound))),
            time(self.confirm_by),
            time(self.not_before),
            time(self.expires_at),
            time(self.last_used_at),
            address.map_or(Null, |address| Text(Cow::Owned(address.to_string()))),
            text_if_any(client.map(ClientText::as_str)),
            time(disabled.map(|disabled| disabled.at)),
            text_if_any(disabled.map(|disabled| disabled.by.as_str())),
            time(revoked.map(|revoked| revoked.at)),
            text_if_any(revoked.map(|revoked| revoked.by.as_str())),
            text_if_any(revoked.map(|revoked| revoked.reason.as_str())),
            text(self.family.as_str()),
            text_if_any(self.rotated_from.as_ref().map(TokenId::as_str)),
            text_if_any(self.rotated_to.as_ref().map(TokenId::as_str)),
            time(self.grace_until),
            text_if_any(self.request_id.as_ref().map(RequestId::as_str)),
            self.notice_lead.map_or(Ok(Null), |lead| number(lead.as_millis()))?,
            time(self.notice_lease_until),
            number(self.notice_leases)?,
            text_if_any(scheme.map(ImportScheme::algorithm)),
            text_if_any(scheme.map(ImportScheme::parameters)),
            scheme.map_or(Null, |scheme| Bytes(Cow::Borrowed(scheme.salt()))),
            number(self.version)?,
        ])
    }

    /// Creates a record from the values of its columns. Calls `read` once for each column, in the
    /// order of [`COLUMNS`](crate::store::COLUMNS), with the position of the column, which starts
    /// at 0.
    ///
    /// # Errors
    /// - Returns [`Corrupt`](StoreErrorKind::Corrupt) if a value does not fit its type, if a
    ///   required value is null, or if columns that belong together are not all set.
    /// - Returns the error of `read` if `read` fails.
    pub fn from_columns<'v>(
        mut read: impl FnMut(usize) -> Result<ColumnValue<'v>, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut next = 0;
        let mut row = Values {
            next: &mut || {
                next += 1;
                read(next - 1)
            },
        };
        // Rust evaluates the fields in this order, which must be the order of the columns.
        let prefix = row.text(Prefix::new)?;
        let key = TokenKey { project: row.text(ProjectId::new)?, id: row.text(TokenId::new)? };
        let digest = Digest::try_from(&*row.bytes()?.ok_or_else(missing)?).map_err(corrupt)?;
        let (name, owner) = (row.text(Name::of_stored)?, row.text(OwnerId::of_stored)?);
        Ok(Self {
            kind: row.text(TokenKind::parse)?,
            scopes: row.text(ScopeSet::new)?,
            metadata: row.text(Metadata::new)?,
            addresses: row.text(AddressRanges::new)?,
            created_at: row.time()?.ok_or_else(missing)?,
            created_by: row.text(Actor::of_stored)?,
            issuer: match (row.text_if_any(TokenId::new)?, row.number()?) {
                (Some(id), Some(bound @ (0 | 1))) => Some(Issuer { id, bound: bound == 1 }),
                (None, None) => None,
                _ => return Err(missing()),
            },
            confirm_by: row.time()?,
            not_before: row.time()?,
            expires_at: row.time()?,
            last_used_at: row.time()?,
            last_used_from: row.used_from()?,
            disabled: match (row.time()?, row.text_if_any(Actor::of_stored)?) {
                (Some(at), Some(by)) => Some(Disabled { at, by }),
                (None, None) => None,
                _ => return Err(missing()),
            },
            revoked: match (row.time()?, row.text_if_any(Actor::of_stored)?, row.text_if_any(RevocationReason::parse)?)
            {
                (Some(at), Some(by), Some(reason)) => Some(Revocation { at, by, reason }),
                (None, None, None) => None,
                _ => return Err(missing()),
            },
            family: row.text(TokenId::new)?,
            rotated_from: row.text_if_any(TokenId::new)?,
            rotated_to: row.text_if_any(TokenId::new)?,
            grace_until: row.time()?,
            request_id: row.text_if_any(RequestId::of_stored)?,
            notice_lead: row.count()?.map(NoticeLead::from_millis).transpose().map_err(corrupt)?,
            notice_lease_until: row.time()?,
            notice_leases: row.count()?.ok_or_else(missing)?,
            import_scheme: row.import_scheme()?,
            version: match row.count()? {
                Some(version @ 1..) => version,
                _ => {
                    return Err(StoreError::with_source(StoreErrorKind::Corrupt, "a version is not a positive number"));
                }
            },
            ..Self::new(key, prefix, digest, owner, name, Timestamp::UNIX_EPOCH)
        })
    }
}

/// The values of a row, which are read in the order of the columns.
struct Values<'r, 'v> {
    next: &'r mut dyn FnMut() -> Result<ColumnValue<'v>, StoreError>,
}

impl<'v> Values<'_, 'v> {
    fn text_if_any<T>(&mut self, new: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<Option<T>, StoreError> {
        match (self.next)()? {
            ColumnValue::Null => Ok(None),
            ColumnValue::Text(text) => new(&text).map(Some).map_err(corrupt),
            _ => Err(of_another_kind()),
        }
    }

    fn text<T>(&mut self, new: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<T, StoreError> {
        self.text_if_any(new)?.ok_or_else(missing)
    }

    fn bytes(&mut self) -> Result<Option<Cow<'v, [u8]>>, StoreError> {
        match (self.next)()? {
            ColumnValue::Null => Ok(None),
            ColumnValue::Bytes(bytes) => Ok(Some(bytes)),
            _ => Err(of_another_kind()),
        }
    }

    fn number(&mut self) -> Result<Option<i64>, StoreError> {
        match (self.next)()? {
            ColumnValue::Null => Ok(None),
            ColumnValue::Number(number) => Ok(Some(number)),
            _ => Err(of_another_kind()),
        }
    }

    /// Reads the next value, which must be null or a number of at least 0.
    fn count(&mut self) -> Result<Option<u64>, StoreError> {
        self.number()?.map(u64::try_from).transpose().map_err(corrupt)
    }

    fn time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.number()?.map(Timestamp::from_unix_millis).transpose().map_err(corrupt)
    }

    fn used_from(&mut self) -> Result<Option<UsedFrom>, StoreError> {
        let address = match (self.next)()? {
            ColumnValue::Null => None,
            ColumnValue::Text(text) => Some(text.parse().map_err(corrupt)?),
            _ => return Err(of_another_kind()),
        };
        let from = UsedFrom { address, client: self.text_if_any(ClientText::of_stored)? };
        Ok((!from.is_empty()).then_some(from))
    }

    fn import_scheme(&mut self) -> Result<Option<ImportScheme>, StoreError> {
        let owned = |text: &str| Ok(text.to_owned());
        let (algorithm, parameters, salt) = (self.text_if_any(owned)?, self.text_if_any(owned)?, self.bytes()?);
        let Some(algorithm) = algorithm else { return Ok(None) };
        // Some engines have no empty values and store null instead of an empty parameter text or
        // salt.
        let scheme = ImportScheme::new(&algorithm, &parameters.unwrap_or_default(), &salt.unwrap_or_default());
        scheme.map(Some).map_err(corrupt)
    }
}

/// Returns a [`Corrupt`](StoreErrorKind::Corrupt) error for a value that does not fit its type.
/// `error` must not contain the value.
pub(crate) fn corrupt(error: impl core::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::with_source(StoreErrorKind::Corrupt, error)
}

fn missing() -> StoreError {
    StoreError::with_source(
        StoreErrorKind::Corrupt,
        "a required column is null, or columns that belong together are not all set",
    )
}

fn of_another_kind() -> StoreError {
    StoreError::with_source(StoreErrorKind::Corrupt, "a column holds a value of another kind")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{at, disabled, id, record, revoked};
    use crate::store::columns::{COLUMNS, ColumnKind};

    fn full() -> TokenRecord {
        let client = ClientText::of_header(b"git/2.47");
        TokenRecord {
            kind: TokenKind::Agent,
            metadata: Metadata::new("{}").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            created_by: "bob".parse().unwrap(),
            issuer: Some(Issuer { id: id('2'), bound: true }),
            confirm_by: Some(at(1)),
            not_before: Some(at(2)),
            last_used_at: Some(at(3)),
            last_used_from: Some(UsedFrom { address: Some("10.0.0.1".parse().unwrap()), client }),
            disabled: disabled(),
            revoked: revoked(),
            family: id('3'),
            rotated_from: Some(id('4')),
            rotated_to: Some(id('5')),
            grace_until: Some(at(4)),
            request_id: Some("one".parse().unwrap()),
            notice_lead: Some(NoticeLead::WEEK),
            notice_lease_until: Some(at(5)),
            notice_leases: 6,
            import_scheme: Some(ImportScheme::new("blake3", "", b"\0").unwrap()),
            version: 7,
            ..record()
        }
    }

    fn back(values: &[ColumnValue<'_>]) -> Result<TokenRecord, StoreErrorKind> {
        TokenRecord::from_columns(|at| Ok(values[at].clone())).map_err(|error| error.kind())
    }

    #[test]
    fn a_record_comes_back_from_its_columns() {
        for record in [full(), record()] {
            assert_eq!(back(&record.to_columns().unwrap()), Ok(record));
        }
    }

    #[test]
    fn a_column_has_values_of_its_kind() {
        let of = |value: &ColumnValue<'_>| match value {
            ColumnValue::Null => None,
            ColumnValue::Text(_) => Some(ColumnKind::Text),
            ColumnValue::Number(_) => Some(ColumnKind::Number),
            ColumnValue::Bytes(_) => Some(ColumnKind::Bytes),
        };
        let (full, plain) = (full(), record());
        let (full, plain) = (full.to_columns().unwrap(), plain.to_columns().unwrap());
        for (column, (full, plain)) in COLUMNS.iter().zip(full.iter().zip(&plain)) {
            assert_eq!(of(full), Some(column.kind), "{}", column.name);
            let may_be_absent = column.optional && column.name != "expires_at";
            assert_eq!(of(plain).is_none(), may_be_absent, "{}", column.name);
        }
    }

    #[test]
    fn columns_that_fit_no_record_are_corrupt() {
        let full = full();
        let values = full.to_columns().unwrap();
        let place = |name: &str| COLUMNS.iter().position(|column| column.name == name).unwrap();
        let with = |name: &str, value: ColumnValue<'static>| {
            let mut values = values.clone();
            values[place(name)] = value;
            back(&values)
        };
        let text = |text| ColumnValue::Text(Cow::Borrowed(text));
        for column in COLUMNS.iter().filter(|column| !column.optional) {
            assert_eq!(with(column.name, ColumnValue::Null), Err(StoreErrorKind::Corrupt), "{}", column.name);
        }
        for column in COLUMNS {
            let other = if column.kind == ColumnKind::Number { text("1") } else { ColumnValue::Number(1) };
            assert_eq!(with(column.name, other), Err(StoreErrorKind::Corrupt), "{}", column.name);
        }
        for alone in ["issuer", "bound", "disabled_at", "disabled_by", "revoked_at", "revoked_by", "revoked_reason"] {
            assert_eq!(with(alone, ColumnValue::Null), Err(StoreErrorKind::Corrupt), "{alone}");
        }
        for (name, number) in [("bound", 2), ("version", 0), ("version", -1), ("notice_lead", 0), ("notice_leases", -1)]
        {
            assert_eq!(with(name, ColumnValue::Number(number)), Err(StoreErrorKind::Corrupt), "{name} {number}");
        }
        for (name, value) in [("last_used_address", "here"), ("import_algorithm", "B"), ("kind", "robot")] {
            assert_eq!(with(name, text(value)), Err(StoreErrorKind::Corrupt), "{name}");
        }
    }

    #[test]
    fn numbers_that_fit_no_column_are_an_error() {
        let beyond = |record: TokenRecord| record.to_columns().map(drop).map_err(|error| error.kind());
        assert_eq!(beyond(TokenRecord { version: u64::MAX, ..record() }), Err(StoreErrorKind::Other));
        assert_eq!(beyond(TokenRecord { notice_leases: u64::MAX, ..record() }), Err(StoreErrorKind::Other));
        assert_eq!(beyond(TokenRecord { version: TokenRecord::MAX_VERSION, ..record() }), Ok(()));
    }
}
