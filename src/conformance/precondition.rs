//! Tables of test cases for the rules that a store checks in the same operation as its write.

use super::group::revoke_group;
use super::sample::{
    absent, at, disabled, ensure_absent, owner, project, put, put_all, record, request, revocation, sibling, stored,
    successor,
};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, refused};
use crate::rules::precondition::LiveLimit;
use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenRecord};
use crate::rules::token_kind::TokenKind;
use crate::store::contract::TokenStore;
use crate::store::group::RevokeGroup;
use crate::words::ids::{ProjectId, TokenId};
use crate::words::store_error::StoreErrorKind::{Conflict, Limit};
use crate::words::text::{Actor, OwnerId, RequestId};
use crate::words::timestamp::Timestamp;

/// Values that the test cases put into records.
struct Samples {
    root: Actor,
    disabled: Disabled,
    one: Option<RequestId>,
    two: Option<RequestId>,
    /// The request id `One`, which differs from `one` only in the capital letter.
    upper: Option<RequestId>,
    bob: OwnerId,
    /// The owner id of the sample records, but with a capital letter.
    upper_ada: OwnerId,
    elsewhere: ProjectId,
    /// An id that no record has.
    nobody: TokenId,
}

impl Samples {
    fn new(project: ProjectId) -> Result<Self, Broken> {
        Ok(Self {
            root: Actor::new("root")?,
            disabled: disabled("root", 0)?,
            one: request("one")?,
            two: request("two")?,
            upper: request("One")?,
            bob: owner(project, "bob")?,
            upper_ada: owner(project, "Ada")?,
            elsewhere: sibling(project, '6')?,
            nobody: absent(project)?.id,
        })
    }

    fn revocation(&self, millis: i64) -> Revocation {
        Revocation { at: at(millis), by: self.root.clone(), reason: RevocationReason::Unspecified }
    }
}

/// A token that a case rotates at `at(10)`, with the records on which the result depends.
struct Chain {
    old: TokenRecord,
    predecessor: Option<TokenRecord>,
    /// The successor of an earlier rotation, if there is one.
    earlier: Option<TokenRecord>,
    successor: TokenRecord,
    expected_version: u64,
}

impl Chain {
    /// Returns a token that may be rotated. The grace period of its predecessor has ended.
    fn first() -> Result<Self, Broken> {
        let mut predecessor = TokenRecord { grace_until: Some(at(-50)), ..record(project()?)? };
        let old = TokenRecord { created_at: at(-100), version: 5, ..successor(&predecessor)? };
        predecessor.rotated_to = Some(old.id);
        let successor = successor(&old)?;
        Ok(Self { old, predecessor: Some(predecessor), earlier: None, successor, expected_version: 5 })
    }

    /// Returns a rotated token whose grace period has ended. The rotation may be repeated, because
    /// the successor is not confirmed yet.
    fn repeated() -> Result<Self, Broken> {
        let mut chain = Self::first()?;
        let (created_at, confirm_by, request_id) = (at(0), Some(at(1000)), request("one")?);
        let earlier = TokenRecord { created_at, confirm_by, request_id, ..successor(&chain.old)? };
        chain.old.rotated_to = Some(earlier.id);
        chain.old.grace_until = Some(at(5));
        chain.earlier = Some(earlier);
        chain.successor.request_id = request("one")?;
        Ok(chain)
    }

    fn predecessor(&mut self) -> &mut TokenRecord {
        self.predecessor.as_mut().expect("every chain begins with one")
    }

    fn earlier(&mut self) -> &mut TokenRecord {
        self.earlier.as_mut().expect("a rotation that is repeated has one")
    }
}

/// A test case that changes a token that may be rotated: a description of the change, whether the
/// changed token may be rotated, and a function that makes the change.
type ChainCase = (&'static str, bool, fn(&mut Chain, &Samples));

const FIRST: [ChainCase; 27] = [
    ("nothing differs", true, |_, _| {}),
    ("the version is one lower", false, |c, _| c.old.version = 4),
    ("the version is one higher", false, |c, _| c.old.version = 6),
    ("it is revoked", false, |c, s| c.old.revoked = Some(s.revocation(20))),
    ("it has expired", true, |c, _| c.old.expires_at = Some(at(9))),
    ("it has lapsed", true, |c, _| c.old.confirm_by = Some(at(9))),
    ("it is disabled", true, |c, s| c.old.disabled = Some(s.disabled.clone())),
    ("it is pending", true, |c, _| c.old.confirm_by = Some(at(11))),
    ("it is not valid yet", true, |c, _| c.old.not_before = Some(at(11))),
    ("its grace is over", true, |c, _| c.old.grace_until = Some(at(9))),
    ("the successor is of another project", false, |c, s| c.successor.project = s.elsewhere),
    ("it has no predecessor", true, |c, _| {
        c.predecessor = None;
        c.old.rotated_from = None;
    }),
    ("its predecessor was purged", true, |c, _| c.predecessor = None),
    ("its predecessor has no grace", true, |c, _| c.predecessor().grace_until = None),
    ("its predecessor's grace ended just before", true, |c, _| c.predecessor().grace_until = Some(at(9))),
    ("its predecessor's grace ends now", true, |c, _| c.predecessor().grace_until = Some(at(10))),
    ("its predecessor's grace ends just after", false, |c, _| c.predecessor().grace_until = Some(at(11))),
    ("its predecessor in grace is disabled", false, |c, s| {
        c.predecessor().disabled = Some(s.disabled.clone());
        c.predecessor().grace_until = Some(at(11));
    }),
    ("its predecessor in grace is revoked", true, |c, s| {
        c.predecessor().revoked = Some(s.revocation(20));
        c.predecessor().grace_until = Some(at(11));
    }),
    ("its predecessor in grace expires now", true, |c, _| {
        c.predecessor().expires_at = Some(at(10));
        c.predecessor().grace_until = Some(at(11));
    }),
    ("its predecessor in grace expires just after", false, |c, _| {
        c.predecessor().expires_at = Some(at(11));
        c.predecessor().grace_until = Some(at(12));
    }),
    ("its predecessor in grace lapses now", true, |c, _| {
        c.predecessor().confirm_by = Some(at(10));
        c.predecessor().grace_until = Some(at(11));
    }),
    ("its predecessor in grace is pending", false, |c, _| {
        c.predecessor().confirm_by = Some(at(11));
        c.predecessor().grace_until = Some(at(12));
    }),
    ("its predecessor in grace is not valid yet", false, |c, _| {
        c.predecessor().not_before = Some(at(11));
        c.predecessor().grace_until = Some(at(12));
    }),
    ("the successor has a request", true, |c, s| c.successor.request_id = s.one.clone()),
    ("it was created by the same request", true, |c, s| {
        c.old.request_id = s.one.clone();
        c.successor.request_id = s.one.clone();
    }),
    ("its successor was purged", false, |c, s| c.old.rotated_to = Some(s.nobody)),
];

const REPEATED: [ChainCase; 27] = [
    ("nothing differs", true, |_, _| {}),
    ("its grace still runs", true, |c, _| c.old.grace_until = Some(at(11))),
    ("the version is one lower", false, |c, _| c.old.version = 4),
    ("the version is one higher", false, |c, _| c.old.version = 6),
    ("it is revoked", false, |c, s| c.old.revoked = Some(s.revocation(20))),
    ("it is disabled", false, |c, s| c.old.disabled = Some(s.disabled.clone())),
    ("it expired just before", false, |c, _| c.old.expires_at = Some(at(9))),
    ("it expires now", false, |c, _| c.old.expires_at = Some(at(10))),
    ("it expires just after", true, |c, _| c.old.expires_at = Some(at(11))),
    ("it has lapsed", true, |c, _| c.old.confirm_by = Some(at(9))),
    ("its predecessor is in grace", false, |c, _| c.predecessor().grace_until = Some(at(11))),
    ("the request is a different one", false, |c, s| c.successor.request_id = s.two.clone()),
    ("the request differs in case", false, |c, s| c.successor.request_id = s.upper.clone()),
    ("it names no request", false, |c, _| c.successor.request_id = None),
    ("the first one named no request", false, |c, _| c.earlier().request_id = None),
    ("neither named a request", false, |c, _| {
        c.earlier().request_id = None;
        c.successor.request_id = None;
    }),
    ("the first successor was confirmed", false, |c, _| c.earlier().confirm_by = None),
    ("the first successor was revoked", false, |c, s| c.earlier().revoked = Some(s.revocation(5))),
    ("the first successor was changed", false, |c, _| c.earlier().version = 2),
    ("the first successor was purged", false, |c, _| c.earlier = None),
    ("the first successor lapsed just before", true, |c, _| c.earlier().confirm_by = Some(at(9))),
    ("the first successor lapsed 12 hours ago", true, |c, _| c.earlier().confirm_by = Some(repeatable(0))),
    ("the first successor lapsed longer ago", false, |c, _| c.earlier().confirm_by = Some(repeatable(-1))),
    ("the first successor expired 12 hours ago", true, |c, _| c.earlier().expires_at = Some(repeatable(0))),
    ("the first successor expired longer ago", false, |c, _| c.earlier().expires_at = Some(repeatable(-1))),
    ("the first successor's grace ended longer ago", false, |c, _| c.earlier().grace_until = Some(repeatable(-1))),
    ("the first successor is used", true, |c, _| c.earlier().last_used_at = Some(at(3))),
];

/// Returns the time `millis` ms after the earliest end of a successor that a repeat may replace.
fn repeatable(millis: i64) -> Timestamp {
    at(10 + millis).saturating_sub(TokenRecord::REPEAT_MARGIN)
}

pub(super) async fn rotations_follow_the_rule<S: TokenStore>(store: &S) -> Verdict {
    for (case, may, change) in FIRST {
        let mut chain = Chain::first()?;
        let samples = Samples::new(chain.old.project)?;
        change(&mut chain, &samples);
        rotates(store, &chain, may, &format!("a rotation, if {case}")).await?;
    }
    for (case, may, change) in REPEATED {
        let mut chain = Chain::repeated()?;
        let samples = Samples::new(chain.old.project)?;
        change(&mut chain, &samples);
        rotates(store, &chain, may, &format!("a repeated rotation, if {case}")).await?;
    }
    Ok(())
}

async fn rotates<S: TokenStore>(store: &S, chain: &Chain, may: bool, what: &str) -> Verdict {
    let Chain { old, predecessor, earlier, successor, expected_version } = chain;
    let rule = old.may_rotate(*expected_version, successor, predecessor.as_ref(), earlier.as_ref());
    ensure_eq!(rule, may, "{what}: may_rotate");
    for row in [Some(old), predecessor.as_ref(), earlier.as_ref()].into_iter().flatten() {
        put(store, row).await?;
    }
    let answer = store.rotate(&old.key(), *expected_version, successor.clone(), at(20), None).await;
    if may {
        ensure!(matches!(answer, Ok(Some(_))), "{what}: failed");
        return Ok(());
    }
    refused(answer, Conflict, what)?;
    ensure_absent(store, &successor.key(), &format!("{what}, the successor")).await
}

/// A test case that changes a live token: a description of the change, whether the owner's limit
/// counts the changed token at the time `at(0)`, and a function that makes the change.
type PlaceCase = (&'static str, bool, fn(&mut TokenRecord, &Samples));

const PLACES: [PlaceCase; 18] = [
    ("nothing differs", true, |_, _| {}),
    ("it is another owner's", false, |r, s| r.owner = s.bob.clone()),
    ("its owner differs in case", false, |r, s| r.owner = s.upper_ada.clone()),
    ("it is a service's", true, |r, _| r.kind = TokenKind::Service),
    ("it is disabled", true, |r, s| r.disabled = Some(s.disabled.clone())),
    ("it is revoked", false, |r, s| r.revoked = Some(s.revocation(0))),
    ("it is revoked at a later time", false, |r, s| r.revoked = Some(s.revocation(1))),
    ("it is not valid yet", true, |r, _| r.not_before = Some(at(1))),
    ("it lapsed just before", false, |r, _| r.confirm_by = Some(at(-1))),
    ("it lapses now", false, |r, _| r.confirm_by = Some(at(0))),
    ("it lapses just after", true, |r, _| r.confirm_by = Some(at(1))),
    ("it expired just before", false, |r, _| r.expires_at = Some(at(-1))),
    ("it expires now", false, |r, _| r.expires_at = Some(at(0))),
    ("it expires just after", true, |r, _| r.expires_at = Some(at(1))),
    ("its grace ended just before", false, |r, _| r.grace_until = Some(at(-1))),
    ("its grace ends now", false, |r, _| r.grace_until = Some(at(0))),
    ("its grace ends just after", true, |r, _| r.grace_until = Some(at(1))),
    ("its grace runs, and it expires now", false, |r, _| {
        r.expires_at = Some(at(0));
        r.grace_until = Some(at(1));
    }),
];

pub(super) async fn limits_follow_the_rule<S: TokenStore>(store: &S) -> Verdict {
    for (case, counts, change) in PLACES {
        let mut other = record(project()?)?;
        let samples = Samples::new(other.project)?;
        change(&mut other, &samples);
        put(store, &other).await?;
        // Only with a limit of 1 does the result depend on the other token.
        for (most, fits) in [(0, false), (1, !counts), (2, true)] {
            let (new, limit) = (record(other.project)?, LiveLimit { most, now: at(0) });
            let what = format!("an insert with a limit of {most} beside a token, if {case}");
            ensure_eq!(limit.has_room_for(&new, [&other]), fits, "{what}: has_room_for");
            let answer = store.insert(new.clone(), Some(limit), None).await;
            if fits {
                ensure!(answer.is_ok(), "{what}: refused");
                // Without this, the new token would count in the next round.
                store.revoke(&new.key(), &revocation("ada", -1)?).await?;
            } else {
                refused(answer, Limit, &what)?;
                ensure_absent(store, &new.key(), &what).await?;
            }
        }
    }
    Ok(())
}

/// A test case that changes an active token: a description of the change, whether a revocation at
/// `at(0)` must include the changed token, and a function that makes the change.
type ReachCase = (&'static str, bool, fn(&mut TokenRecord, &Samples));

const REACHED: [ReachCase; 15] = [
    ("nothing differs", true, |_, _| {}),
    ("it is disabled", true, |r, s| r.disabled = Some(s.disabled.clone())),
    ("it is pending", true, |r, _| r.confirm_by = Some(at(1))),
    ("it is not valid yet", true, |r, _| r.not_before = Some(at(1))),
    ("it is in grace", true, |r, _| r.grace_until = Some(at(1))),
    ("it is revoked", false, |r, s| r.revoked = Some(s.revocation(-1))),
    ("it expired a day ago", true, |r, _| r.expires_at = Some(reachable(0))),
    ("it expired longer ago", false, |r, _| r.expires_at = Some(reachable(-1))),
    ("it lapsed a day ago", true, |r, _| r.confirm_by = Some(reachable(0))),
    ("it lapsed longer ago", false, |r, _| r.confirm_by = Some(reachable(-1))),
    ("its grace ended a day ago", true, |r, _| r.grace_until = Some(reachable(0))),
    ("its grace ended longer ago", false, |r, _| r.grace_until = Some(reachable(-1))),
    ("it expired less than a day ago", true, |r, _| r.expires_at = Some(reachable(1))),
    ("it expired now", true, |r, _| r.expires_at = Some(at(0))),
    ("its grace ended longer ago, and it has not expired", false, |r, _| {
        r.expires_at = Some(at(1));
        r.grace_until = Some(reachable(-1));
    }),
];

/// Returns a time for the end of a token: 24 hours before `at(0)`, plus `millis` milliseconds.
fn reachable(millis: i64) -> Timestamp {
    at(millis).saturating_sub(TokenRecord::REVOCATION_MARGIN)
}

pub(super) async fn groups_follow_the_rule<S: TokenStore>(store: &S) -> Verdict {
    for of_owner in [true, false] {
        let first = record(project()?)?;
        let samples = Samples::new(first.project)?;
        let mut rows = Vec::new();
        for (case, reached, change) in REACHED {
            let mut row = TokenRecord { family: first.id, ..record(first.project)? };
            change(&mut row, &samples);
            ensure_eq!(row.can_still_work(at(0)), reached, "a token, if {case}: can_still_work");
            rows.push(row);
        }
        put_all(store, &rows).await?;
        let group = if of_owner { RevokeGroup::Owner(first.owner) } else { RevokeGroup::Family(first.id) };
        let revocation = revocation("root", 0)?;
        revoke_group(store, first.project, &group, &revocation).await?;
        for ((case, reached, _), row) in REACHED.iter().zip(&rows) {
            let what = format!("a token, if {case}, after the revocation of {group:?}");
            let now = stored(store, &row.key()).await?;
            if *reached {
                ensure_eq!(now.revoked.as_ref(), Some(&revocation), "{what}");
            } else if row.revoked.is_some() {
                ensure_eq!(now.revoked, row.revoked, "{what}");
            }
            // A store is free to revoke tokens that ended earlier, so the case does not check them.
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::conformance;
    use crate::store::memory::MemoryStore;
    use crate::store::ready::now;

    #[test]
    fn the_store_in_memory_follows_each_rule_in_every_case() {
        now(conformance::rules(&MemoryStore::new())).assert();
    }
}
