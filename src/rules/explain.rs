//! The explanation of why a token works or does not work, for support staff.

use core::fmt;

use super::access::{Access, ProjectRequirement};
use super::breach::PolicyBreach;
use super::limits::limits;
use super::outside::LaterUses;
use super::owner::OwnerState;
use super::policy::Policy;
use super::proof::Proven;
use super::record::TokenRecord;
use super::status::Status;
use super::view::TokenView;
use crate::words::rejection::Rejection;
use crate::words::timestamp::Timestamp;

/// The explanation of why a presented token works or does not work. It lists all checks that the
/// token fails, not only the first.
///
/// An explanation reveals more than a [`Challenge`](crate::Challenge), but no part of the secret.
/// Show it only to support staff and to the holder of the token. It includes the view of the
/// token's record only if the complete text of the presented token is correct.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The rejections of all checks that the token fails, in the order of the checks. The list is
    /// empty if the token works. If the text of the token is wrong or the token is unknown, the
    /// list has only the rejection for this reason.
    pub fails: Vec<Rejection>,
    /// The way in which the token breaks the policy, if it breaks the policy.
    pub breach: Option<PolicyBreach>,
    /// The view of the token's record, if the complete text of the presented token is correct.
    pub view: Option<TokenView>,
}

impl Explanation {
    /// Creates the explanation of a presented text for which there is no record with the same
    /// digest.
    pub(crate) fn of_text(rejection: Rejection) -> Self {
        Self { fails: vec![rejection], breach: None, view: None }
    }

    /// Creates the explanation of a token whose digest matches its record.
    pub(crate) fn of<P: ProjectRequirement>(
        proven: &Proven,
        owner: OwnerState,
        access: &Access<'_, P>,
        policy: &Policy,
        now: Timestamp,
        later: impl Fn(&TokenRecord) -> LaterUses,
    ) -> Self {
        let record = proven.record();
        let breach = policy.breach_with(record, now, &later);
        let mut fails: Vec<Rejection> = proven.held().life(policy, now, later).into_iter().collect();
        // The issuers are checked even if the token's own record already stops the token.
        let issuers_end = proven.held().issuers_end(policy, now);
        fails.extend(issuers_end.filter(|rejection| !fails.contains(rejection)));
        if breach.is_some() && !fails.contains(&Rejection::Policy) {
            fails.push(Rejection::Policy);
        }
        fails.extend(limits(proven.held(), owner, access, policy.scope_rules()).into_iter().flatten());
        let status = record.status(now);
        let status = if issuers_end.is_some() && status.is_live() { Status::IssuerEnded } else { status };
        Self { fails, breach, view: Some(record.view_as(status)) }
    }
}

impl fmt::Display for Explanation {
    /// Writes a line for people: the token's public part, name and owner, and then `works` or the
    /// checks that the token fails.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(view) = &self.view {
            write!(f, "{} \"{}\" of {}: ", view.public_part, view.name, view.owner)?;
        }
        if self.fails.is_empty() {
            return f.write_str("works");
        }
        for (at, rejection) in self.fails.iter().enumerate() {
            write!(f, "{}{rejection}", if at == 0 { "fails " } else { ", " })?;
        }
        match self.breach {
            Some(breach) => write!(f, " ({breach})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;

    use super::*;
    use crate::rules::proof::prove;
    use crate::rules::sample::{DAY, MS, at, disabled, project, record, revoked};
    use crate::words::timestamp::Timestamp;

    fn explained(record: TokenRecord, owner: OwnerState, access: &Access<'_>, policy: &Policy) -> Explanation {
        let proven = prove(&record.digest.clone(), Some(Arc::new(record)).into(), |_| true);
        let Ok(proven) = proven else { panic!("the digest is that of the record") };
        Explanation::of(&proven, owner, access, policy, at(0), |_| LaterUses::default())
    }

    #[test]
    fn a_token_that_works_fails_nothing() {
        let access = Access::to(&project(), &[]);
        let found = explained(record(), OwnerState::Active, &access, &Policy::default());
        assert_eq!((&found.fails[..], found.breach), (&[][..], None));
        assert_eq!(found.view, Some(record().view(at(0))));
        assert_eq!(found.to_string(), format!("{} \"CI\" of ada: works", record().public_part()));
    }

    #[test]
    fn every_failed_check_is_named_in_the_order_of_the_checks() {
        let scopes = ["admin".parse().unwrap()];
        let access = Access::to(&"146".parse().unwrap(), &scopes);
        let record =
            TokenRecord { revoked: revoked(), expires_at: None, addresses: "10.0.0.0/8".parse().unwrap(), ..record() };
        let found = explained(record, OwnerState::Suspended, &access, &Policy::default());
        let fails = [
            Rejection::Revoked,
            Rejection::Policy,
            Rejection::OwnerSuspended,
            Rejection::Project,
            Rejection::Address,
            Rejection::Scope,
        ];
        assert_eq!((&found.fails[..], found.breach), (&fails[..], Some(PolicyBreach::NeverExpires)));
    }

    #[test]
    fn a_breach_of_the_policy_is_named_once() {
        let access = Access::to(&project(), &[]);
        let record = TokenRecord { expires_at: None, ..record() };
        let found = explained(record.clone(), OwnerState::Active, &access, &Policy::default());
        assert_eq!((&found.fails[..], found.breach), (&[Rejection::Policy][..], Some(PolicyBreach::NeverExpires)));
        let text = format!(
            "{} \"CI\" of ada: fails {} ({})",
            record.public_part(),
            Rejection::Policy,
            PolicyBreach::NeverExpires
        );
        assert_eq!(found.to_string(), text);
    }

    #[test]
    fn a_use_elsewhere_keeps_a_token_inside_the_policy() {
        let (policy, record) = (Policy::default().with_max_unused(Duration::from_secs(1)), record());
        let access = Access::to(&project(), &[]);
        let with = |noted: Option<Timestamp>| {
            let proven = prove(&record.digest.clone(), Some(Arc::new(record.clone())).into(), |_| true);
            let Ok(proven) = proven else { panic!("the digest is that of the record") };
            let later = |_: &TokenRecord| LaterUses { noted, lag: Duration::ZERO };
            Explanation::of(&proven, OwnerState::Active, &access, &policy, at(0), later).breach
        };
        assert_eq!(with(None), Some(PolicyBreach::Unused));
        assert_eq!(with(Some(at(0).saturating_sub(MS))), None);
        assert_eq!(with(Some(at(0).saturating_sub(DAY))), Some(PolicyBreach::Unused));
    }

    #[test]
    fn for_a_wrong_text_only_its_fault_is_reported() {
        let found = Explanation::of_text(Rejection::Checksum);
        assert_eq!((&found.fails[..], found.breach, &found.view), (&[Rejection::Checksum][..], None, &None));
        assert_eq!(found.to_string(), format!("fails {}", Rejection::Checksum));
        let two = Explanation { fails: vec![Rejection::Disabled, Rejection::Scope], ..found };
        assert_eq!(two.to_string(), format!("fails {}, {}", Rejection::Disabled, Rejection::Scope));
    }

    #[test]
    fn a_disabled_token_is_explained_by_that_alone() {
        let record = TokenRecord { disabled: disabled(), ..record() };
        let found = explained(record, OwnerState::Active, &Access::to(&project(), &[]), &Policy::default());
        assert_eq!((&found.fails[..], found.breach), (&[Rejection::Disabled][..], None));
    }
}
