//! The limits that a delegation sets for new tokens: the limits of the issuing token and of all
//! tokens that it is bound to.

use core::time::Duration;

use super::address::AddressRanges;
use super::breach::PolicyBreach;
use super::delegation::Delegation;
use super::error::Error;
use super::outside_issuer::OutsideIssuer;
use super::policy::Policy;
use super::record::TokenRecord;
use super::scope::ScopeSet;
use super::scope_rules::ScopeRules;
use super::token_kind::TokenKind;
use crate::words::ids::ProjectId;
use crate::words::text::{Metadata, OwnerId};
use crate::words::timestamp::Timestamp;

impl Delegation {
    /// Checks that the issuing token may issue a new token of this kind with this metadata, and
    /// that the policy allows the length of the resulting chain.
    pub(super) fn admit_new(&self, kind: TokenKind, metadata: &Metadata, policy: &Policy) -> Result<(), Error> {
        let kind_is_allowed = match kind {
            TokenKind::Human => self.kinds.human,
            TokenKind::Service => self.kinds.service,
            TokenKind::Agent => true,
        };
        if !kind_is_allowed {
            Err(OutsideIssuer::Kind.into())
        } else if !self.any_metadata && *metadata != Metadata::default() {
            Err(OutsideIssuer::Metadata.into())
        } else if !self.binds && !self.held.issuers.is_empty() {
            Err(OutsideIssuer::Independent.into())
        } else if self.binds && self.held.issuers.len() + 1 > policy.max_depth() {
            Err(PolicyBreach::ChainTooLong.into())
        } else {
            Ok(())
        }
    }

    /// Checks that the issuing token may rotate the token `old`.
    pub(super) fn admit_rotation(&self, old: &TokenRecord, rules: ScopeRules) -> Result<(), OutsideIssuer> {
        let issued = old.issuer.is_some_and(|issuer| issuer.id == self.record().id);
        if old.key() != self.key() && !issued {
            return Err(self.other_place(old).unwrap_or(OutsideIssuer::NotIssued));
        }
        self.admit(&old.project, &old.owner, &old.scopes, &old.addresses, rules)
    }

    fn other_place(&self, old: &TokenRecord) -> Option<OutsideIssuer> {
        if old.project != self.record().project {
            return Some(OutsideIssuer::Project);
        }
        (old.owner != self.record().owner).then_some(OutsideIssuer::Owner)
    }

    /// Checks that a token with this project, this owner, these scopes and these addresses stays
    /// within the limits of the issuing token and of all tokens that the issuing token is bound to.
    /// `rules` are the rules by which the policy compares scopes.
    pub(super) fn admit(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        scopes: &ScopeSet,
        addresses: &AddressRanges,
        rules: ScopeRules,
    ) -> Result<(), OutsideIssuer> {
        if *project != self.record().project {
            Err(OutsideIssuer::Project)
        } else if *owner != self.record().owner {
            Err(OutsideIssuer::Owner)
        } else if !self.held.all(|record| rules.covers(&record.scopes, scopes)) {
            Err(OutsideIssuer::Scopes)
        } else if !self.held.all(|record| record.addresses.covers(addresses)) {
            Err(OutsideIssuer::Addresses)
        } else if !self.may_manage && !self.replaces_itself && rules.allows(scopes, &self.manage) {
            Err(OutsideIssuer::Manage)
        } else {
            Ok(())
        }
    }

    /// Returns the delegation with the rules for the rotation of `old`. If `old` is the issuing
    /// token itself, two rules change:
    ///
    /// - The successor may keep the scope for issuing tokens.
    /// - The successor may end after the grace period of the issuing token. An earlier attempt of
    ///   the same rotation may have started this grace period.
    pub(super) fn for_rotation_of(self, old: &TokenRecord) -> Self {
        Self { replaces_itself: old.key() == self.key(), ..self }
    }

    fn ends_at(&self) -> Option<Timestamp> {
        let own = if self.replaces_itself { self.record().expires_at } else { self.record().ends_at() };
        self.held.issuers.iter().filter_map(|issuer| issuer.ends_at()).chain(own).min()
    }

    /// Checks that a token with this expiry ends no later than the issuing token and all tokens
    /// that the issuing token is bound to.
    pub(super) fn admit_expiry(&self, expires_at: Option<Timestamp>) -> Result<(), OutsideIssuer> {
        match self.ends_at() {
            Some(end) if expires_at.is_none_or(|expires_at| expires_at > end) => Err(OutsideIssuer::Expiry),
            _ => Ok(()),
        }
    }

    /// Returns the lifetime, shortened so that it ends no later than the issuing token. The
    /// lifetime begins at `now`.
    pub(super) fn shorten(&self, lifetime: Duration, now: Timestamp) -> Duration {
        self.ends_at().map_or(lifetime, |end| lifetime.min(end.saturating_since(now)))
    }

    /// Returns the addresses of a new token if the request names no addresses. Goes through the
    /// chain, starting with the issuing token, and returns the first list of addresses that lies
    /// within the lists of all tokens in the chain. If there is no such list, returns the list of
    /// the issuing token.
    pub(super) fn addresses(&self) -> AddressRanges {
        let within_all = |addresses: &&AddressRanges| self.held.all(|record| record.addresses.covers(addresses));
        let nearest = self.held.records().map(|record| &record.addresses).find(within_all);
        nearest.unwrap_or(&self.record().addresses).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::delegation::samples::{bound, delegation, delegation_of, issuer};
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::issuer::Issuer;
    use crate::rules::sample::{DAY, MS, at, id};

    #[test]
    fn a_new_token_is_for_an_agent_without_metadata_unless_more_is_allowed() {
        let (none, some) = (Metadata::default(), Metadata::new("{}").unwrap());
        let outside = |by: &Delegation, kind, metadata: &Metadata| {
            by.admit_new(kind, metadata, &Policy::default()).map_err(|error| error.kind())
        };
        let by = delegation(issuer());
        let of_kind = |by: &Delegation| TokenKind::ALL.iter().map(|kind| outside(by, *kind, &none).is_ok()).collect();
        let allowed: Vec<bool> = of_kind(&by);
        assert_eq!(allowed, [false, false, true], "{:?}", TokenKind::ALL);
        assert_eq!(outside(&by, TokenKind::Human, &none), Err(ErrorKind::OutsideIssuer(OutsideIssuer::Kind)));
        assert_eq!(outside(&by, TokenKind::Agent, &some), Err(ErrorKind::OutsideIssuer(OutsideIssuer::Metadata)));
        let by = by.allow_kind(TokenKind::Service);
        assert_eq!(of_kind(&by), [false, true, true]);
        assert_eq!(of_kind(&by.clone().allow_kind(TokenKind::Human).allow_kind(TokenKind::Agent)), [true; 3]);
        assert_eq!(outside(&by.allow_metadata(), TokenKind::Service, &some), Ok(()));
    }

    #[test]
    fn a_chain_is_as_long_as_the_policy_allows_and_stays_bound() {
        let admitted = |by: Delegation, depth| {
            let policy = Policy::default().with_max_depth(depth);
            by.admit_new(TokenKind::Agent, &Metadata::default(), &policy).map_err(|error| error.kind())
        };
        let too_long = Err(ErrorKind::Policy(PolicyBreach::ChainTooLong));
        assert_eq!([0, 1, 2].map(|depth| admitted(delegation(issuer()), depth)), [too_long, Ok(()), Ok(())]);
        let of_bound = || delegation_of([bound(), issuer()]);
        assert_eq!([1, 2, 3].map(|depth| admitted(of_bound(), depth)), [too_long, Ok(()), Ok(())]);
        assert_eq!(admitted(delegation(issuer()).independent(), 0), Ok(()));
        let independent = Err(ErrorKind::OutsideIssuer(OutsideIssuer::Independent));
        assert_eq!(admitted(of_bound().independent(), 4), independent);
    }

    #[test]
    fn issued_tokens_stay_within_every_token_of_the_chain() {
        let admitted = |by: &Delegation, project: &str, owner: &str, scopes: &str, addresses: &str| {
            let (scopes, addresses) = (ScopeSet::new(scopes).unwrap(), AddressRanges::new(addresses).unwrap());
            by.admit(&project.parse().unwrap(), &owner.parse().unwrap(), &scopes, &addresses, ScopeRules::WILDCARDS)
        };
        let by = delegation(issuer());
        assert_eq!(admitted(&by, "145", "ada", "repo:read", "10.1.0.0/16"), Ok(()));
        assert_eq!(admitted(&by, "145", "ada", "repo:*", "10.0.0.0/8"), Ok(()));
        assert_eq!(admitted(&by, "146", "ada", "", "10.0.0.0/8"), Err(OutsideIssuer::Project));
        assert_eq!(admitted(&by, "145", "bob", "", "10.0.0.0/8"), Err(OutsideIssuer::Owner));
        assert_eq!(admitted(&by, "145", "ada", "user", "10.0.0.0/8"), Err(OutsideIssuer::Scopes));
        assert_eq!(admitted(&by, "145", "ada", "", ""), Err(OutsideIssuer::Addresses), "any address");
        assert_eq!(admitted(&by, "145", "ada", "", "10.0.0.0/7"), Err(OutsideIssuer::Addresses));
        // This issuer was narrowed after it had issued the bound token.
        let above = TokenRecord {
            scopes: ScopeSet::new("repo:read tokens:manage").unwrap(),
            addresses: AddressRanges::new("10.1.2.0/24").unwrap(),
            ..issuer()
        };
        let by = delegation_of([bound(), above]);
        assert_eq!(admitted(&by, "145", "ada", "repo:read", "10.1.2.0/25"), Ok(()));
        assert_eq!(admitted(&by, "145", "ada", "repo:write", "10.1.2.0/25"), Err(OutsideIssuer::Scopes));
        assert_eq!(admitted(&by, "145", "ada", "repo:read", "10.1.0.0/16"), Err(OutsideIssuer::Addresses));
        assert_eq!(by.addresses().as_str(), "10.1.2.0/24");
    }

    #[test]
    fn issued_tokens_cannot_issue_unless_allowed_even_by_a_wildcard() {
        for (granted, scopes) in
            [("tokens:*", "tokens:manage"), ("tokens:*", "tokens:*"), ("*", "tokens:*"), ("*", "*")]
        {
            let by = delegation(TokenRecord { scopes: ScopeSet::new(granted).unwrap(), ..issuer() });
            let admitted = |by: Delegation| {
                let scopes = ScopeSet::new(scopes).unwrap();
                by.admit(&issuer().project, &issuer().owner, &scopes, &issuer().addresses, ScopeRules::WILDCARDS)
            };
            assert_eq!(admitted(by.clone()), Err(OutsideIssuer::Manage), "{scopes}");
            assert_eq!(admitted(by.clone().allow_manage()), Ok(()));
            assert_eq!(admitted(by.for_rotation_of(&issuer())), Ok(()), "its own successor");
        }
    }

    #[test]
    fn a_delegation_rotates_its_own_token_and_tokens_it_issued() {
        let by = delegation(issuer());
        let own = by.clone().for_rotation_of(&issuer());
        assert_eq!(own.admit_rotation(&issuer(), ScopeRules::WILDCARDS), Ok(()));
        let scopes = ScopeSet::new("repo:read").unwrap();
        for bound in [true, false] {
            let issued = TokenRecord {
                id: id('2'),
                issuer: Some(Issuer { id: id('1'), bound }),
                scopes: scopes.clone(),
                ..issuer()
            };
            assert_eq!(by.admit_rotation(&issued, ScopeRules::WILDCARDS), Ok(()));
            let wider = TokenRecord { scopes: ScopeSet::new("user").unwrap(), ..issued };
            assert_eq!(by.admit_rotation(&wider, ScopeRules::WILDCARDS), Err(OutsideIssuer::Scopes));
        }
        // `created_by` proves nothing, because a service may name any actor as the creator.
        let another = TokenRecord { id: id('2'), created_by: by.actor(), scopes, ..issuer() };
        assert_eq!(by.admit_rotation(&another, ScopeRules::WILDCARDS), Err(OutsideIssuer::NotIssued));
        let of_another = TokenRecord { issuer: Some(Issuer { id: id('3'), bound: true }), ..another.clone() };
        assert_eq!(by.admit_rotation(&of_another, ScopeRules::WILDCARDS), Err(OutsideIssuer::NotIssued));
        let elsewhere = TokenRecord { project: "146".parse().unwrap(), ..another.clone() };
        assert_eq!(by.admit_rotation(&elsewhere, ScopeRules::WILDCARDS), Err(OutsideIssuer::Project));
        let of_bob = TokenRecord { owner: "bob".parse().unwrap(), ..another };
        assert_eq!(by.admit_rotation(&of_bob, ScopeRules::WILDCARDS), Err(OutsideIssuer::Owner));
    }

    #[test]
    fn issued_tokens_do_not_outlive_any_token_of_the_chain() {
        for by in [delegation(issuer()), delegation_of([bound(), issuer()])] {
            assert_eq!(by.admit_expiry(Some(at(-1))), Ok(()));
            assert_eq!(by.admit_expiry(Some(at(0))), Ok(()));
            assert_eq!(by.admit_expiry(Some(at(1))), Err(OutsideIssuer::Expiry));
            assert_eq!(by.admit_expiry(None), Err(OutsideIssuer::Expiry));
            assert_eq!(by.shorten(DAY, at(0).saturating_sub(2 * DAY)), DAY);
            assert_eq!(by.shorten(DAY, at(0).saturating_sub(DAY)), DAY);
            assert_eq!(by.shorten(DAY, at(0).saturating_sub(DAY - MS)), DAY - MS);
        }
        let endless = delegation(TokenRecord { expires_at: None, ..issuer() });
        assert_eq!(endless.admit_expiry(None), Ok(()));
        assert_eq!(endless.shorten(DAY, at(0)), DAY);
    }

    #[test]
    fn only_its_own_successor_may_outlive_its_grace() {
        let issuer = TokenRecord { grace_until: Some(at(-5)), ..issuer() };
        let by = delegation(issuer.clone());
        assert_eq!(by.admit_expiry(Some(at(-4))), Err(OutsideIssuer::Expiry));
        let own = by.clone().for_rotation_of(&issuer);
        assert_eq!(own.admit_expiry(Some(at(-4))), Ok(()));
        assert_eq!(own.admit_expiry(Some(at(1))), Err(OutsideIssuer::Expiry));
        let other = by.for_rotation_of(&TokenRecord { id: id('2'), ..issuer });
        assert_eq!(other.admit_expiry(Some(at(-4))), Err(OutsideIssuer::Expiry));
    }
}
