//! The test cases for texts of the maximum length. A column that is too narrow in bytes refuses or
//! truncates them.

use core::net::Ipv6Addr;

use super::list::all_of;
use super::sample::{at, full, ids, kept, project, record, some, stored};
use super::verdict::{Broken, Verdict, ensure_eq, same};
use crate::rules::address::AddressRanges;
use crate::rules::change::Change;
use crate::rules::import_scheme::ImportScheme;
use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenRecord};
use crate::rules::scope::ScopeSet;
use crate::store::contract::TokenStore;
use crate::store::last_use::LastUse;
use crate::store::order::ListOrder;
use crate::store::query::ListQuery;
use crate::words::folded::FoldedName;
use crate::words::ids::Prefix;
use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId};
use crate::words::used_from::{ClientText, UsedFrom};

/// A character of four bytes, the maximum in UTF-8.
const WIDE: &str = "\u{1f511}";

/// Returns `count` wide characters.
fn wide(count: usize) -> String {
    WIDE.repeat(count)
}

/// Returns the longest texts of 16,384 bytes for scopes: 128 scopes, separated by spaces.
fn scopes() -> Result<ScopeSet, Broken> {
    // 127 characters each, and one space between two of them.
    let scopes: Vec<String> = (0..128).map(|number| format!("{number:x>127}")).collect();
    Ok(ScopeSet::new(&scopes.join(" "))?)
}

/// Returns as many address ranges as a token may have, each as long as possible.
fn addresses() -> Result<AddressRanges, Broken> {
    let range = |number| format!("2001:db8:aaaa:bbbb:cccc:dddd:eeee:{:x}/128", 0xf000 + number);
    let ranges: Vec<String> = (0..AddressRanges::MAX).map(range).collect();
    Ok(AddressRanges::new(&ranges.join(", "))?)
}

/// Returns a record in which every text has its maximum length in bytes.
fn longest(sample: TokenRecord) -> Result<TokenRecord, Broken> {
    let actor = Actor::new(&wide(Actor::MAX_CHARS))?;
    Ok(TokenRecord {
        prefix: Prefix::new(&"p".repeat(Prefix::MAX_LEN))?,
        name: Name::new(&wide(Name::MAX_CHARS))?,
        owner: OwnerId::new(&wide(OwnerId::MAX_CHARS))?,
        scopes: scopes()?,
        metadata: Metadata::new(&wide(Metadata::MAX_BYTES / WIDE.len()))?,
        addresses: addresses()?,
        created_by: actor.clone(),
        disabled: Some(Disabled { at: at(-3), by: actor.clone() }),
        revoked: Some(Revocation { at: at(-1), by: actor, reason: RevocationReason::CessationOfOperation }),
        request_id: Some(RequestId::new(&wide(RequestId::MAX_CHARS))?),
        last_used_at: Some(at(-2)),
        last_used_from: used_from()?,
        import_scheme: Some(ImportScheme::new(
            &"a".repeat(ImportScheme::MAX_ALGORITHM),
            &"p".repeat(ImportScheme::MAX_PARAMETERS),
            &[0xff; ImportScheme::MAX_SALT],
        )?),
        ..sample
    })
}

/// Returns the longest address and client text of a use.
fn used_from() -> Result<Option<UsedFrom>, Broken> {
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0xaaaa, 0xbbbb, 0xcccc, 0xdddd, 0xeeee, 0xffff);
    Ok(Some(UsedFrom { address: Some(address.into()), client: Some(ClientText::new(&wide(ClientText::MAX_CHARS))?) }))
}

pub(super) async fn insert_keeps_the_longest_texts<S: TokenStore>(store: &S) -> Verdict {
    let sample = longest(full(project()?)?)?;
    let inserted = store.insert(sample.clone(), None, None).await?;
    same(&inserted, &sample, "the record with the longest texts that insert returned")?;
    same(&*stored(store, &sample.key()).await?, &sample, "the record with the longest texts")
}

pub(super) async fn changes_keep_the_longest_texts<S: TokenStore>(store: &S) -> Verdict {
    let mut expected = TokenRecord::clone(&*kept(store, &record(project()?)?).await?);
    let key = expected.key();
    let by = Actor::new(&wide(Actor::MAX_CHARS))?;
    let changes = [
        Change::Rename(Name::new(&wide(Name::MAX_CHARS))?),
        Change::Disable(Disabled { at: at(1), by: by.clone() }),
        Change::Narrow { scopes: scopes()?, addresses: addresses()?, expires_at: None },
    ];
    for change in changes {
        some(store.update(&key, expected.version, change.clone()).await?, "update")?;
        expected.apply(change);
    }
    store.touch_many(&[LastUse { key, used_at: at(2), from: used_from()? }]).await?;
    expected.touch(at(2), used_from()?.as_ref());
    let revocation = Revocation { at: at(3), by, reason: RevocationReason::CessationOfOperation };
    some(store.revoke(&key, &revocation).await?, "revoke")?;
    expected.revoke(&revocation);
    same(&*stored(store, &key).await?, &expected, "a record after changes to the longest texts")
}

pub(super) async fn lists_find_the_longest_names<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    // The folded form of this letter has two characters. So the second name has the longest folded
    // form, in characters, and the first one has the longest form in bytes.
    for text in [WIDE, "\u{130}"] {
        let name = Name::new(&text.repeat(Name::MAX_CHARS))?;
        let sample = kept(store, &TokenRecord { name: name.clone(), ..record(project)? }).await?;
        let name_contains = Some(FoldedName::from(&name));
        let query = ListQuery { name_contains, order: ListOrder::Name, ..all_of(project) };
        let found = ids(store.list(&query).await?.items);
        ensure_eq!(found, [sample.id], "the tokens whose names contain the longest name");
    }
    Ok(())
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    /// The docs of stores state this limit.
    #[test]
    fn a_record_has_at_most_64_kib_as_json() {
        let mut longest = longest(record(project().unwrap()).unwrap()).unwrap();
        // JSON writes such a character as six bytes.
        longest.metadata = Metadata::new(&"\u{1}".repeat(Metadata::MAX_BYTES)).unwrap();
        let size = serde_json::to_vec(&longest).unwrap().len();
        assert!((50_000..=65_536).contains(&size), "{size} bytes");
    }
}
