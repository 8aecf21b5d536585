//! The status of a token, computed from its own record and the records of its issuers.

use super::chain::Chain;
use super::policy::Policy;
use super::proof::Held;
use super::status::Status;
use super::view::TokenView;
use crate::words::timestamp::Timestamp;

impl Chain {
    /// Returns the status of the token at `now`, taking its issuers into account. Returns `None` if
    /// the chain is empty.
    ///
    /// The status is [`IssuerEnded`](Status::IssuerEnded) if the token is [live](Status::is_live)
    /// according to its own record, but one of its issuers does not work or the chain is longer
    /// than the policy allows.
    pub fn status(&self, policy: &Policy, now: Timestamp) -> Option<Status> {
        let status = self.record()?.status(now);
        Some(if status.is_live() && self.issuers_end(policy, now) { Status::IssuerEnded } else { status })
    }

    /// Returns whether one of the token's issuers does not work, or the chain is longer than the
    /// policy allows. The token's own status does not affect the result.
    pub(crate) fn issuers_end(&self, policy: &Policy, now: Timestamp) -> bool {
        let (record, issuers) = self.clone().into_parts();
        record.is_some_and(|record| Held { record, issuers }.issuers_end(policy, now).is_some())
    }

    /// Returns the view of the token at `now`. The view shows the [status](Self::status) that takes
    /// the issuers into account. Returns `None` if the chain is empty.
    pub fn view(&self, policy: &Policy, now: Timestamp) -> Option<TokenView> {
        Some(self.record()?.view_as(self.status(policy, now)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::delegation::samples::{bound, chain, issuer};
    use crate::rules::record::TokenRecord;
    use crate::rules::sample::{at, disabled, revoked};

    #[test]
    fn a_live_token_is_shown_as_ended_if_its_issuer_does_not_work() {
        let policy = Policy::default();
        let status = |records: Vec<TokenRecord>| chain(records).status(&policy, at(-1));
        assert_eq!(status(vec![]), None);
        assert_eq!(status(vec![issuer()]), Some(Status::Active));
        assert_eq!(status(vec![bound(), issuer()]), Some(Status::Active));
        assert_eq!(status(vec![bound()]), Some(Status::IssuerEnded), "the issuer is missing");
        let ended = || TokenRecord { disabled: disabled(), ..issuer() };
        assert_eq!(status(vec![bound(), ended()]), Some(Status::IssuerEnded));
        let both = vec![TokenRecord { revoked: revoked(), ..bound() }, ended()];
        assert_eq!(status(both), Some(Status::Revoked), "its own end comes first");
        let stopped = vec![TokenRecord { disabled: disabled(), ..bound() }, ended()];
        assert_eq!(status(stopped), Some(Status::IssuerEnded));
        let view = chain([bound(), ended()]).view(&policy, at(-1)).unwrap();
        assert_eq!((view.id, view.status), (bound().id, Status::IssuerEnded));
    }

    #[test]
    fn the_limit_on_disuse_is_not_applied_to_issuers() {
        let policy = Policy::default().with_max_unused(crate::rules::sample::MS);
        assert_eq!(chain([bound(), issuer()]).status(&policy, at(-1)), Some(Status::Active));
    }
}
