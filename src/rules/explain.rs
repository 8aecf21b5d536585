//! Why a token works or does not, for support staff.

use core::fmt;

use super::access::{Access, ProjectRequirement};
use super::breach::PolicyBreach;
use super::check::limits;
use super::outside::LaterUses;
use super::owner::OwnerState;
use super::policy::Policy;
use super::proof::{Proven, life};
use super::record::TokenRecord;
use super::view::TokenView;
use crate::words::rejection::Rejection;
use crate::words::timestamp::Timestamp;

/// Everything that is known of a presented token: which checks it fails, not the first only, and what its record says.
///
/// It tells more than a [`Challenge`](crate::Challenge) and holds no part of the secret. Show it to support staff and to
/// whoever holds the token; the record is there only where the whole token was right.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What it fails, in the order of the checks; empty where it works. Where its text is wrong or it is unknown, nothing
    /// beyond is known.
    pub fails: Vec<Rejection>,
    /// What puts it outside the policy.
    pub breach: Option<PolicyBreach>,
    /// What the record says.
    pub view: Option<TokenView>,
}

impl Explanation {
    /// Of a token that was refused before its record was seen.
    pub(crate) fn of_text(rejection: Rejection) -> Self {
        Self { fails: vec![rejection], breach: None, view: None }
    }

    /// Of a token that its presenter has proved to hold.
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
        let mut fails: Vec<Rejection> = life(record, policy, now, later).into_iter().collect();
        if breach.is_some() && !fails.contains(&Rejection::Policy) {
            fails.push(Rejection::Policy);
        }
        fails.extend(limits(record, owner, access));
        Self { fails, breach, view: Some(record.view(now)) }
    }
}

impl fmt::Display for Explanation {
    /// In a few words, for people: what it is called, what it fails.
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
