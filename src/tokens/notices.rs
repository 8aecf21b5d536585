//! Expiry notices. Each notice reports that a token will expire, and is sent once.

use core::fmt;
use core::time::Duration;

use super::events::Event;
use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsWith, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::TokenKey;

/// A notice that your service must send: a token expires within one of the lead times of the
/// [schedule](crate::notices::NoticeSchedule), by default 30 days, 7 days or 1 day.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// The id of the notice. Use it to acknowledge the notice. If your mail service accepts an
    /// idempotency key, use this id as the key.
    pub id: NoticeId,
    /// The token that will expire.
    pub view: TokenView,
}

/// The id of a notice: the key of a token, and a lead time. If a sender stops after it has sent a
/// notice and before it acknowledges the notice, the notice is claimed again with the same id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NoticeId {
    /// The key of the token.
    pub key: TokenKey,
    /// The lead time: how long before the expiry of the token the notice is due.
    pub lead: NoticeLead,
}

impl fmt::Display for NoticeId {
    /// Writes `project/id/lead`, for instance `145/1CkYr7JQzzpHpo1P/7d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.key.project, self.key.id, self.lead)
    }
}

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Claims up to `most` notices that are due, in all projects, and returns them.
    ///
    /// The lead times are those of the policy: see
    /// [`Policy::with_notices`](crate::Policy::with_notices). Send each notice, then
    /// [acknowledge](Self::acknowledge_notice) it. If a notice is not acknowledged, it can be
    /// claimed again after the time `lease`. Call this method regularly, for instance each hour.
    /// Each time, repeat the call until it returns no notices. Several senders may call it
    /// concurrently: each notice goes to only one of them.
    ///
    /// No notice is due for a token that was rotated, has ended, or is pending. A token has also
    /// ended if it is bound to an ended token. If several notices of a token are due because no
    /// sender ran for a while, only the latest one is claimed.
    ///
    /// If the store fails in one project, the call still claims the notices of the other projects.
    ///
    /// The call visits only the projects with due notices. If the store cannot name them, the call
    /// visits all projects: see [`StoreMaintenance::projects`]. In a project without due notices,
    /// it only reads.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the call claimed no notice
    /// and the store failed, either in a project or when it listed the projects. If the call
    /// claimed some notices, it returns them instead of the error. So if a sender repeats the call,
    /// it gets all notices of the other projects before it gets the error.
    pub async fn claim_notices(&self, lease: Duration, most: PageSize) -> Result<Vec<Notice>, Error> {
        let leads = self.policy().notices().leads().to_vec();
        let mut walk = self.walk_with(ProjectsWith::DueNotices { leads, now: self.clock.now() });
        let mut notices = Vec::new();
        while let Some(project) = walk.next().await {
            let now = self.clock.now();
            let room = most.get() - notices.len();
            let (leads, until) = (self.policy().notices().leads(), now.saturating_add(lease));
            let claimed = async {
                // No notice must be sent for a token that ended with its issuer. Both tokens are in
                // this project.
                self.revoke_orphans_in(&project).await?;
                self.store.claim_notices(&project, leads, now, until, PageSize::clamped(room)).await
            };
            let claimed = match claimed.await {
                Ok(claimed) => claimed,
                Err(error) => {
                    walk.note(project, Err(error));
                    continue;
                }
            };
            for record in claimed {
                let Some(lead) = record.due_notice(leads, now) else { continue };
                let id = NoticeId { key: record.key(), lead };
                self.tell(Event::Expiring { key: id.key, lead });
                notices.push(Notice { id, view: record.view(now) });
            }
            if notices.len() >= most.get() {
                break;
            }
        }
        match walk.end() {
            // Return the claimed notices even after a failure. Otherwise no sender could send them
            // until their leases end.
            Err(error) if notices.is_empty() => Err(error),
            _ => Ok(notices),
        }
    }

    /// Marks a notice as sent. Returns `true`, or `false` if the token does not exist, for instance
    /// because it was purged.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails.
    ///
    /// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
    /// [`ErrorKind::Store`]: crate::ErrorKind::Store
    pub async fn acknowledge_notice(&self, notice: &NoticeId) -> Result<bool, Error> {
        Ok(self.store.acknowledge_notice(&notice.key, notice.lead).await?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::sample::{DAY, MS};
    use crate::store::ready::now;
    use crate::tokens::sample::World;

    fn claim(world: &World, most: usize) -> Result<Vec<Notice>, ErrorKind> {
        now(world.tokens.claim_notices(DAY, PageSize::clamped(most))).map_err(|error| error.kind())
    }

    /// Returns a world with one token in each of these projects. The 7-day notice of each token is
    /// due.
    fn world(names: &[&str]) -> World {
        let world = World::new();
        for name in names {
            world.issued(name);
        }
        world.advance(23 * DAY);
        world
    }

    #[test]
    fn a_notice_is_claimed_once_in_a_lease_until_it_is_acknowledged() {
        let world = world(&["145"]);
        let claimed = claim(&world, 10).unwrap();
        assert_eq!((claimed.len(), claimed[0].id.lead), (1, NoticeLead::WEEK));
        assert_eq!(claimed[0].view.key(), claimed[0].id.key);
        assert_eq!(world.heard(), ["expiring"]);
        world.advance(DAY - MS);
        assert_eq!(claim(&world, 10), Ok(vec![]));
        world.advance(MS);
        assert_eq!(claim(&world, 10).unwrap()[0].id, claimed[0].id);
        assert!(now(world.tokens.acknowledge_notice(&claimed[0].id)).unwrap());
        assert_eq!(claim(&world, 10), Ok(vec![]));
        let nobody = TokenKey { id: crate::rules::sample::id('1'), ..claimed[0].id.key };
        assert!(!now(world.tokens.acknowledge_notice(&NoticeId { key: nobody, ..claimed[0].id })).unwrap());
    }

    #[test]
    fn notices_are_claimed_in_all_projects_up_to_the_number_asked_for() {
        let world = world(&["145", "146", "147"]);
        assert_eq!(claim(&world, 2).unwrap().len(), 2);
        assert_eq!(claim(&world, 2).unwrap().len(), 1);
        assert_eq!(claim(&world, 2).unwrap().len(), 0);
    }

    #[test]
    fn a_failing_project_is_reported_after_all_notices_are_claimed() {
        let world = world(&["145", "146"]);
        world.take_down("145");
        assert_eq!(claim(&world, 10).unwrap().len(), 1);
        assert_eq!(claim(&world, 10), Err(ErrorKind::Partial));
    }

    #[test]
    fn a_notice_is_named_by_its_token_and_lead() {
        let id = NoticeId { key: crate::rules::sample::record().key(), lead: NoticeLead::DAY };
        assert_eq!(id.to_string(), format!("145/{}/1d", id.key.id));
    }
}
