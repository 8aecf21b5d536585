//! The test case for rotations during the revocation of a group that takes several steps.

use super::group::revoke_group;
use super::list::all_of;
use super::sample::{at, beside, in_the_middle, project, record, revocation, successor};
use super::together::{all, both};
use super::verdict::{Broken, Verdict, ensure};
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::group::RevokeGroup;
use crate::store::query::{ListQuery, PageSize, StatusFilter, StatusGroup};
use crate::words::store_error::StoreErrorKind::Conflict;

/// A number of tokens that exceeds the maximum for one step of a revocation.
const ROWS: usize = PageSize::MAX.get() + 24;

/// The number of tokens at each end of the order of ids that are rotated during the revocation.
const ROTATED: usize = 8;

pub(super) async fn no_rotation_slips_past_a_large_group<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..2 {
        let first = in_the_middle(record(project()?)?)?;
        let mut records = vec![first.clone()];
        while records.len() < ROWS {
            let id = in_the_middle(first.clone())?.id;
            records.push(TokenRecord { id, ..first.clone() });
        }
        for some in records.chunks(32) {
            for inserted in all(some.iter().map(|record| store.insert(record.clone(), None, None))).await {
                inserted?;
            }
        }
        // A step takes the first or the last ids. So these tokens are in different steps.
        records.sort_by_key(|record| record.id);
        let ends = records.iter().take(ROTATED).chain(records.iter().rev().take(ROTATED));
        let mut rotations = Vec::new();
        for (number, old) in ends.enumerate() {
            rotations.push((old.key(), old.version, TokenRecord { id: beside(number)?, ..successor(old)? }));
        }
        let group = match round {
            0 => RevokeGroup::Owner(first.owner.clone()),
            _ => RevokeGroup::Family(first.family),
        };
        let revocation = revocation("root", 1)?;
        let revoke = revoke_group(store, first.project, &group, &revocation);
        let rotate = rotations.iter().map(|(key, version, new)| store.rotate(key, *version, new.clone(), at(20), None));
        // The revocation starts first, so that the rotations come between its steps.
        let (revoked, rotated) = both(0, revoke, all(rotate)).await;
        revoked?;
        for result in rotated {
            if let Err(error) = result
                && error.kind() != Conflict
            {
                return Err(Broken::from(error));
            }
        }
        let live = Some(StatusFilter { group: StatusGroup::Live, at: at(30) });
        let left = store.list(&ListQuery { status: live, ..all_of(first.project) }).await?.items;
        let successors = left.iter().filter(|record| record.rotated_from.is_some()).count();
        ensure!(
            left.is_empty(),
            "{group:?}: expected no live token after the revocation of {ROWS} tokens with concurrent rotations, but \
             {} are live, {successors} of them successors",
            left.len()
        );
    }
    Ok(())
}
