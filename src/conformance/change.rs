//! The test cases for `TokenStore::update`.

use super::sample::{
    absent, at, disabled, ensure_absent, full, id, kept, name, project, record, revocation, some, stored,
};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, refused, same, same_but_version};
use crate::rules::address::AddressRanges;
use crate::rules::change::Change;
use crate::rules::record::TokenRecord;
use crate::rules::scope::ScopeSet;
use crate::store::contract::TokenStore;
use crate::store::last_use::LastUse;
use crate::words::store_error::StoreErrorKind::Conflict;
use crate::words::timestamp::Timestamp;

/// Returns changes of every kind, including changes that set a value and changes that clear it.
fn changes() -> Result<Vec<Change>, Broken> {
    Ok(vec![
        Change::Rename(name("renamed: Ж \u{1f600}")?),
        Change::Disable(disabled("root", 4)?),
        Change::Enable,
        Change::Confirm,
        Change::EndGrace(at(6)),
        Change::Narrow {
            scopes: ScopeSet::new("repo:read")?,
            addresses: AddressRanges::new("10.1.0.0/16")?,
            expires_at: Some(at(77)),
        },
        Change::Narrow {
            scopes: ScopeSet::default(),
            addresses: AddressRanges::default(),
            expires_at: Some(Timestamp::MAX),
        },
        Change::Narrow { scopes: ScopeSet::default(), addresses: AddressRanges::default(), expires_at: None },
    ])
}

pub(super) async fn update_makes_each_change<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for change in changes()? {
        for sample in [record(project)?, full(project)?] {
            let before = kept(store, &sample).await?;
            let mut expected = TokenRecord::clone(&before);
            expected.apply(change.clone());
            let answer = some(store.update(&before.key(), before.version, change.clone()).await?, "update")?;
            same_but_version(&answer, &expected, &format!("the record returned for {change:?}"))?;
            let found = stored(store, &before.key()).await?;
            same_but_version(&found, &expected, &format!("the record stored after {change:?}"))?;
        }
    }
    Ok(())
}

pub(super) async fn update_raises_the_version<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for change in changes()? {
        let before = kept(store, &full(project)?).await?;
        let answer = some(store.update(&before.key(), before.version, change.clone()).await?, "update")?;
        let found = stored(store, &before.key()).await?;
        ensure_eq!(answer.version, before.version + 1, "the version returned for {change:?}");
        ensure_eq!(found.version, before.version + 1, "the version stored after {change:?}");
    }
    Ok(())
}

pub(super) async fn update_needs_the_expected_version<S: TokenStore>(store: &S) -> Verdict {
    let before = kept(store, &full(project()?)?).await?;
    for version in [before.version - 1, before.version + 1, 0, TokenRecord::MAX_VERSION] {
        for change in changes()? {
            let result = store.update(&before.key(), version, change).await;
            refused(result, Conflict, &format!("update of version {}, expecting {version}", before.version))?;
        }
    }
    same(&*stored(store, &before.key()).await?, &before, "the record after refused updates")
}

pub(super) async fn update_answers_none_for_the_absent<S: TokenStore>(store: &S) -> Verdict {
    let key = absent(project()?)?;
    let Ok(answer) = store.update(&key, 1, Change::Enable).await else {
        return Err(Broken::new("update of an absent record: an error, not None"));
    };
    ensure!(answer.is_none(), "update of an absent record: a record, not None");
    ensure_absent(store, &key, "after an update of an absent record").await
}

pub(super) async fn update_leaves_a_revoked_token_revoked<S: TokenStore>(store: &S) -> Verdict {
    let revoked = Some(revocation("ada", -7)?);
    let sample = TokenRecord { revoked, ..record(project()?)? };
    for change in changes()? {
        let sample = TokenRecord { id: id('1')?, ..sample.clone() };
        let before = kept(store, &sample).await?;
        let answer = some(store.update(&before.key(), before.version, change.clone()).await?, "update")?;
        let found = stored(store, &before.key()).await?;
        ensure_eq!(answer.revoked, sample.revoked, "the revocation returned for {change:?}");
        ensure_eq!(found.revoked, sample.revoked, "the revocation stored after {change:?}");
    }
    Ok(())
}

pub(super) async fn update_leaves_the_last_use<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for change in changes()? {
        let before = kept(store, &record(project)?).await?;
        // The token is used between the read and the change. The use does not raise the version, so
        // the version check cannot detect it. A store that wrote back the whole record as it was
        // read would lose the use.
        store.touch_many(&[LastUse { key: before.key(), used_at: at(3), from: None }]).await?;
        let touched = stored(store, &before.key()).await?.last_used_at;
        let answer = some(store.update(&before.key(), before.version, change.clone()).await?, "update")?;
        let found = stored(store, &before.key()).await?;
        ensure_eq!(answer.last_used_at, touched, "the last use returned for {change:?}");
        ensure_eq!(found.last_used_at, touched, "the last use stored after {change:?}");
    }
    Ok(())
}
