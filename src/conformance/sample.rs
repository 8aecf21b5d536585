//! The sample records of the test cases. Their ids are random and their owners are named after the
//! project, so that the cases can run in a shared database.

use core::borrow::Borrow;
use core::time::Duration;
use std::sync::Arc;

use super::verdict::{Broken, Verdict, ensure};
use crate::rules::address::AddressRanges;
use crate::rules::import_scheme::ImportScheme;
use crate::rules::issuer::Issuer;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenRecord};
use crate::rules::scope::ScopeSet;
use crate::rules::status::Status;
use crate::rules::token_kind::TokenKind;
use crate::store::contract::TokenStore;
use crate::store::query::{StatusFilter, StatusGroup};
use crate::words::digest::Digest;
use crate::words::folded::FoldedName;
use crate::words::ids::{Prefix, ProjectId, TokenId, TokenKey};
use crate::words::import_key::ImportKey;
use crate::words::random;
use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId};
use crate::words::timestamp::Timestamp;

/// Returns the time that is `millis` milliseconds after noon on a fixed day. Many test cases use
/// `at(0)` as the current time, or as the time at which a token ends.
pub(super) fn at(millis: i64) -> Timestamp {
    const NOON: i64 = 1_795_435_200_000; // 2026-11-23T12:00:00Z
    Timestamp::from_unix_millis(NOON + millis).expect("the cases play around one noon")
}

/// One day. The cases use it for the leads of notices and for times of creation.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns `N` random base62 digits.
fn random<const N: usize>() -> Result<[u8; N], Broken> {
    let mut digits = [0; N];
    random::digits(&mut getrandom::SysRng, &mut digits)?;
    Ok(digits)
}

/// Returns a new random project id of the maximum length. A store that truncates ids confuses the
/// project with its [`sibling`].
pub(super) fn project() -> Result<ProjectId, Broken> {
    let stem = random::<31>()?.map(|digit| digit.to_ascii_lowercase());
    Ok(ProjectId::new(&format!("{}5", String::from_utf8_lossy(&stem)))?)
}

/// Returns the id of this project, with the last character replaced by `last`.
pub(super) fn sibling(project: ProjectId, last: char) -> Result<ProjectId, Broken> {
    let stem = &project.as_str()[..ProjectId::MAX_LEN - 1];
    Ok(ProjectId::new(&format!("{stem}{last}"))?)
}

/// Returns a new random token id that begins with `first`, the character of its key number.
pub(super) fn id(first: char) -> Result<TokenId, Broken> {
    let digits = random::<15>()?;
    Ok(TokenId::new(&format!("{first}{}", String::from_utf8_lossy(&digits)))?)
}

/// Returns a new random token id for a record [`in_the_middle`], with this digit after the first
/// character.
fn id_with(second: char) -> Result<TokenId, Broken> {
    Ok(TokenId::new(&format!("1{second}{}", String::from_utf8_lossy(&random::<14>()?)))?)
}

/// Returns the record with an id that sorts between the ids of [`beside`]. Its family begins with
/// itself.
pub(super) fn in_the_middle(record: TokenRecord) -> Result<TokenRecord, Broken> {
    let id = id_with('V')?;
    Ok(TokenRecord { id, family: id, ..record })
}

/// Returns a new random id for a successor. It sorts below all records [`in_the_middle`] in half of
/// the rounds, and above them in the other half, so that a store that walks along the ids misses
/// it in either direction.
pub(super) fn beside(round: usize) -> Result<TokenId, Broken> {
    id_with(if (round / 2).is_multiple_of(2) { '0' } else { 'z' })
}

/// Returns a random token key under which no record exists.
pub(super) fn absent(project: ProjectId) -> Result<TokenKey, Broken> {
    Ok(TokenKey { project, id: id('1')? })
}

/// Returns the folded form of a part of a name.
pub(super) fn folded(part: &str) -> Result<FoldedName, Broken> {
    Ok(FoldedName::new(part)?)
}

/// Returns an owner id that is unique to the project.
pub(super) fn owner(project: ProjectId, name: &str) -> Result<OwnerId, Broken> {
    Ok(OwnerId::new(&format!("{name}@{project}"))?)
}

/// Returns this text as the name of a token.
pub(super) fn name(text: &str) -> Result<Name, Broken> {
    Ok(Name::new(text)?)
}

/// Returns this text as the request id of a record.
pub(super) fn request(text: &str) -> Result<Option<RequestId>, Broken> {
    Ok(Some(RequestId::new(text)?))
}

/// Returns a new random import key.
pub(super) fn import_key() -> Result<ImportKey, Broken> {
    Ok(ImportKey::from_bytes(random()?))
}

/// Returns a revocation by this actor at `at(millis)`.
pub(super) fn revocation(by: &str, millis: i64) -> Result<Revocation, Broken> {
    Ok(Revocation { at: at(millis), by: Actor::new(by)?, reason: RevocationReason::KeyCompromise })
}

/// Returns the value of the field `disabled` for a token that the actor `by` disabled at
/// `at(millis)`.
pub(super) fn disabled(by: &str, millis: i64) -> Result<Disabled, Broken> {
    Ok(Disabled { at: at(millis), by: Actor::new(by)? })
}

/// Returns a minimal record: an active token of the owner `ada`. The token never expires.
pub(super) fn record(project: ProjectId) -> Result<TokenRecord, Broken> {
    let key = TokenKey { project, id: id('1')? };
    let digest = Digest::from_bytes(random()?);
    let record =
        TokenRecord::new(key, Prefix::new("kit_pat")?, digest, owner(project, "ada")?, name("sample")?, at(-1000));
    Ok(TokenRecord { created_by: Actor::new("ada")?, ..record })
}

/// Returns a record with every column set, except `last_used_at` and `revoked`.
pub(super) fn full(project: ProjectId) -> Result<TokenRecord, Broken> {
    Ok(TokenRecord {
        name: name("Ünï \u{301}code 名 \u{1f511} 'quoted' \"%_\\")?,
        kind: TokenKind::Service,
        scopes: ScopeSet::new("repo:* user:read ~!#$%&'()*+,-./")?,
        metadata: Metadata::new(" {\"a\": \"\u{10ffff}\r\n\t\u{1}\"} ")?,
        addresses: AddressRanges::new("10.0.0.0/8, 2001:db8::/32, ::1")?,
        created_by: Actor::new("service 'ci'; -- \u{0301}")?,
        confirm_by: Some(at(86_400_000)),
        not_before: Some(at(-500)),
        expires_at: Some(at(90_000_000)),
        disabled: Some(disabled("root", -3)?),
        family: id('0')?,
        rotated_from: Some(id('z')?),
        rotated_to: Some(id('Z')?),
        grace_until: Some(at(80_000_001)),
        request_id: request("req \u{1f501}")?,
        issuer: Some(Issuer { id: id('3')?, bound: true }),
        notice_lead: Some(NoticeLead::WEEK),
        notice_lease_until: Some(at(7)),
        notice_leases: 3,
        import_scheme: Some(ImportScheme::new("pbkdf2-sha256", "i=1000,l=32", b"\0salt\xff")?),
        version: 41,
        ..record(project)?
    })
}

/// Returns a new token that can be inserted as the successor of `old`.
pub(super) fn successor(old: &TokenRecord) -> Result<TokenRecord, Broken> {
    Ok(TokenRecord {
        created_at: at(10),
        created_by: Actor::new("rotator")?,
        family: old.family,
        rotated_from: Some(old.id),
        ..record(old.project)?
    })
}

/// Returns one record for every combination of the fields that a status depends on. In each record,
/// each of these fields is either set or `None`. A field that is set has the time `at(0)`.
pub(super) fn every_status(project: ProjectId) -> Result<Vec<TokenRecord>, Broken> {
    let end = |bits: u8, bit: u8| (bits & bit != 0).then(|| at(0));
    let revoked = revocation("ada", 0)?;
    let disabled = disabled("ada", 0)?;
    let record = |bits: u8| {
        Ok(TokenRecord {
            confirm_by: end(bits, 1),
            not_before: end(bits, 2),
            expires_at: end(bits, 4),
            grace_until: end(bits, 8),
            disabled: (bits & 16 != 0).then(|| disabled.clone()),
            revoked: (bits & 32 != 0).then(|| revoked.clone()),
            ..record(project)?
        })
    };
    (0..64).map(record).collect()
}

/// Returns filters for every status and set of statuses, just before, at and just after `at(0)`.
/// The records of [`every_status`] change their status at `at(0)`.
pub(super) fn status_filters() -> impl Iterator<Item = StatusFilter> + Send {
    let each = Status::ALL.iter().flat_map(|status| [StatusGroup::Only(*status), StatusGroup::Except(*status)]);
    let lives = each.chain([StatusGroup::Live, StatusGroup::Ended]);
    lives.flat_map(|life| [-1, 0, 1].map(|millis| StatusFilter { group: life, at: at(millis) }))
}

/// Inserts a record without a limit and without an issuer condition.
pub(super) async fn put<S: TokenStore>(store: &S, record: &TokenRecord) -> Verdict {
    store.insert(record.clone(), None, None).await?;
    Ok(())
}

/// Inserts records without a limit and without an issuer condition.
pub(super) async fn put_all<S: TokenStore>(store: &S, records: &[TokenRecord]) -> Verdict {
    for record in records {
        put(store, record).await?;
    }
    Ok(())
}

/// Inserts a record. Then reads the record from the store, and returns it.
pub(super) async fn kept<S: TokenStore>(store: &S, record: &TokenRecord) -> Result<Arc<TokenRecord>, Broken> {
    put(store, record).await?;
    stored(store, &record.key()).await
}

/// Returns the stored record under this key. Fails the case if there is no such record.
pub(super) async fn stored<S: TokenStore>(store: &S, key: &TokenKey) -> Result<Arc<TokenRecord>, Broken> {
    some(store.find(key).await?, "find")
}

/// Returns the record that a call returned. Fails the case if the call returned `None`.
#[track_caller]
pub(super) fn some<T>(answer: Option<T>, call: &str) -> Result<T, Broken> {
    match answer {
        Some(answer) => Ok(answer),
        None => Err(Broken::new(format!("{call}: expected an existing record, but got None"))),
    }
}

/// Checks that no record with this key exists.
pub(super) async fn ensure_absent<S: TokenStore>(store: &S, key: &TokenKey, what: &str) -> Verdict {
    ensure!(store.find(key).await?.is_none(), "{what}: a record exists that must not");
    Ok(())
}

/// Returns the sorted ids of records. Duplicates stay, so that a comparison finds them.
pub(super) fn ids<R: Borrow<TokenRecord>>(records: impl IntoIterator<Item = R>) -> Vec<TokenId> {
    let mut ids: Vec<TokenId> = records.into_iter().map(|record| record.borrow().id).collect();
    ids.sort();
    ids
}
