//! A dry run of a policy. It shows which tokens the policy would block, before you apply it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::issuers::Issuers;
use super::service::Tokens;
use crate::rules::breach::PolicyBreach;
use crate::rules::error::Error;
use crate::rules::policy::Policy;
use crate::store::contract::TokenStore;
use crate::store::maintenance::StoreMaintenance;
use crate::store::query::{StatusFilter, StatusGroup};
use crate::words::ids::ProjectId;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A group of live tokens that a policy would block. All tokens of the group have the same owner
/// and project. The policy would block them by the same rule, starting at the same time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct PolicyHit {
    /// The time from which the policy would block the tokens. It is the current time if the policy
    /// would block them now, and otherwise the start of the day (UTC) on which the policy would
    /// begin to block them.
    pub from: Timestamp,
    /// The project of the tokens.
    pub project: ProjectId,
    /// The owner of the tokens.
    pub owner: OwnerId,
    /// The rule that would block the tokens.
    pub breach: PolicyBreach,
    /// The number of tokens in this group.
    pub tokens: u64,
}

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Returns which live tokens would be blocked if `policy` replaced the current policy, and from
    /// which day on. The call does not change the policy or any token.
    ///
    /// The result is sorted by time. It leaves out a token if the token ends before the policy
    /// would block it. A bound token is included if the policy would block one of its issuers, or
    /// if its chain is longer than the policy allows.
    ///
    /// The call reads all records, in pages of up to 1,000, and the issuer of each bound token. So
    /// its cost grows with the number of tokens. If the store does not support
    /// [`scan`](StoreMaintenance::scan), the call makes at least one call of the store for each
    /// project.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails.
    ///
    /// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
    /// [`ErrorKind::Store`]: crate::ErrorKind::Store
    pub async fn dry_run(&self, policy: &Policy) -> Result<Vec<PolicyHit>, Error> {
        let now = self.clock.now();
        let mut hits = BTreeMap::new();
        let mut records = self.every_record(StatusFilter { group: StatusGroup::Live, at: now });
        // The look-ups of issuers are kept for one project, because issuers are in the project of
        // their tokens.
        let (mut issuers, mut issuers_of) = (Issuers::default(), None);
        while let Some(page) = records.next().await? {
            for record in page {
                let project = record.project;
                if issuers_of.replace(project) != Some(project) {
                    issuers = Issuers::default();
                }
                let chain = issuers.chain_of(&self.store, Arc::clone(&record)).await?;
                // The token already does not work under the current policy, because of one of its
                // issuers.
                if chain.issuers_end(self.policy(), now) {
                    continue;
                }
                let Some((from, breach)) = policy.chain_outside_from(&chain) else { continue };
                if record.ends_at().is_none_or(|end| from < end) {
                    let day = if from <= now { now } else { from.start_of_day().max(now) };
                    *hits.entry((day, project, record.owner.clone(), breach)).or_default() += 1;
                }
            }
        }
        let hit = |((from, project, owner, breach), tokens)| PolicyHit { from, project, owner, breach, tokens };
        Ok(hits.into_iter().map(hit).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::rules::lifetimes::Lifetime;
    use crate::rules::new_token::NewToken;
    use crate::rules::record::RevocationReason;
    use crate::rules::sample::{DAY, MS, ada, at};
    use crate::store::query::PageSize;
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project};

    fn issue(world: &World, name: &str, owner: &str, days: u32) {
        let new = NewToken::new(project(name), owner.parse().unwrap(), "CI".parse().unwrap());
        world.issued_as(new.with_lifetime(Lifetime::For(days * DAY)));
    }

    fn hits(world: &World, policy: &Policy) -> Vec<(Timestamp, String, PolicyBreach, u64)> {
        let run = |unscanned| {
            world.store.unscanned.store(unscanned, Ordering::SeqCst);
            now(world.tokens.dry_run(policy)).unwrap()
        };
        let hits = run(true);
        assert_eq!(run(false), hits, "with and without `scan`");
        let hits = hits.into_iter();
        hits.map(|hit| (hit.from, format!("{}/{}", hit.project, hit.owner), hit.breach, hit.tokens)).collect()
    }

    #[test]
    fn tokens_that_a_policy_would_block_now_are_counted_by_owner_and_project() {
        let world = World::new();
        for (name, owner, days) in [("145", "ada", 20), ("145", "ada", 30), ("145", "bob", 20), ("146", "ada", 20)] {
            issue(&world, name, owner, days);
        }
        issue(&world, "145", "ada", 10);
        let expected = [("145/ada", 2), ("145/bob", 1), ("146/ada", 1)];
        let expected = expected.map(|(whose, count)| (at(0), whose.to_owned(), PolicyBreach::TooLong, count));
        assert_eq!(hits(&world, &Policy::default().with_max_lifetime(10 * DAY)), expected);
        assert_eq!(hits(&world, &Policy::default()), []);
    }

    #[test]
    fn tokens_that_end_before_they_would_be_blocked_are_left_out() {
        let world = World::new();
        issue(&world, "145", "ada", 10);
        let blocked = |unused| hits(&world, &Policy::default().with_max_unused(unused)).len();
        assert_eq!([blocked(10 * DAY - MS), blocked(10 * DAY), blocked(10 * DAY + MS)], [1, 0, 0]);
    }

    #[test]
    fn tokens_that_a_policy_would_block_later_are_reported_by_day() {
        let world = World::new();
        issue(&world, "145", "ada", 30);
        let on = |unused| hits(&world, &Policy::default().with_max_unused(unused))[0].0;
        assert_eq!(on(2 * DAY), at(0).saturating_add(2 * DAY).start_of_day());
        assert_eq!(on(MS), at(0), "later today is not before now");
        world.advance(3 * DAY);
        assert_eq!(on(2 * DAY), at(0).saturating_add(3 * DAY), "it is blocked already");
    }

    #[test]
    fn dead_tokens_are_not_counted_and_nothing_is_changed() {
        let world = World::new();
        let key = world.issued("145").record.key();
        now(world.tokens.revoke(&ada(), &key, RevocationReason::default())).unwrap();
        let live = world.issued("145").record;
        let strict = Policy::default().with_max_lifetime(DAY);
        assert_eq!(hits(&world, &strict)[0].3, 1);
        assert_eq!(*world.stored(&live.key()), *live);
    }

    #[test]
    fn all_pages_of_a_project_are_counted() {
        let world = World::new();
        for _ in 0..=PageSize::MAX.get() {
            world.issued("145");
        }
        let strict = Policy::default().with_max_lifetime(DAY);
        assert_eq!(hits(&world, &strict)[0].3, PageSize::MAX.get() as u64 + 1);
    }
}
