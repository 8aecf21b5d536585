//! The creation of a token and its record, without a store.

use rand_core::TryCryptoRng;

use super::breach::PolicyBreach;
use super::delegation::Delegation;
use super::error::Error;
use super::new_token::NewToken;
use super::notice_lead::NoticeLead;
use super::policy::Policy;
use super::record::TokenRecord;
use super::token_kind::TokenKind;
use crate::words::ids::TokenKey;
use crate::words::keyring::Keyring;
use crate::words::mint_text::{self, MintedText};
use crate::words::secret::PlaintextToken;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// A token that was just issued: the text to show once, and the record to store.
#[derive(Debug)]
pub struct Issued<R = TokenRecord> {
    /// The text of the token. Show it to the user once, and do not store it.
    pub token: PlaintextToken,
    /// The record to store.
    pub record: R,
}

/// Creates a token and its record, with random numbers from the operating system. **This function
/// stores nothing**: insert the record into your database before you show the token. You can insert
/// it in a transaction of your own.
///
/// # Errors
/// Returns [`ErrorKind::Policy`](crate::ErrorKind::Policy) if the policy does not allow the token.
/// Returns [`ErrorKind::OutsideIssuer`](crate::ErrorKind::OutsideIssuer) if the token would exceed
/// the limits of its issuing token. Returns [`ErrorKind::Rng`](crate::ErrorKind::Rng) if the random
/// number generator fails.
///
/// ```
/// use keyfob::{Actor, Clock, Keyring, Name, NewToken, OwnerId, Policy, Prefix};
/// use keyfob::{ProjectId, SystemClock, mint};
///
/// let keyring = Keyring::unkeyed(Prefix::new("acme_pat")?);
/// let (project, owner) = (ProjectId::new("145")?, OwnerId::new("ada")?);
/// let new = NewToken::new(project, owner, Name::new("VS Code integration")?);
/// let (actor, now) = (Actor::new("ada")?, SystemClock.now());
/// let issued = mint(&keyring, &Policy::default(), new, &actor, now)?;
/// assert!(issued.token.expose_secret().starts_with(&issued.record.public_part()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "os-rng")]
pub fn mint(keyring: &Keyring, policy: &Policy, new: NewToken, actor: &Actor, now: Timestamp) -> Result<Issued, Error> {
    mint_with(&mut getrandom::SysRng, keyring, policy, new, actor, now)
}

/// Creates a token and its record in the same way as [`mint`], but with random numbers from `rng`.
/// The generator must be cryptographically secure.
///
/// # Errors
/// Returns the same errors as [`mint`].
pub fn mint_with<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    keyring: &Keyring,
    policy: &Policy,
    mut new: NewToken,
    actor: &Actor,
    now: Timestamp,
) -> Result<Issued, Error> {
    new.bound(policy, now)?;
    let kind = new.kind.unwrap_or(TokenKind::Human);
    let expires_at = policy.expiry(kind, new.lifetime, now)?;
    if let Some(delegation) = &new.delegation {
        delegation.admit_expiry(expires_at)?;
    }
    let issuer = new.issuer();
    if expires_at.is_none() && issuer.is_some_and(|issuer| issuer.bound) {
        return Err(PolicyBreach::NeverExpires.into());
    }
    let confirm_by = new.confirm_within.map(|within| now.checked_add(within).ok_or(PolicyBreach::PastEndOfTime));
    let confirm_by = confirm_by.transpose()?;
    let ended = |end: Option<Timestamp>, begin| end.is_some_and(|end| end <= begin);
    if ended(expires_at, new.not_before.unwrap_or(now)) || ended(confirm_by, now) {
        return Err(PolicyBreach::NoLifetime.into());
    }

    let MintedText { token, id, digest } = mint_text::draw(rng, keyring, &new.project)?;
    let key = TokenKey { project: new.project, id };
    let created_by = new.delegation.as_ref().and_then(Delegation::creator).unwrap_or_else(|| actor.clone());
    let record = TokenRecord {
        kind,
        scopes: new.scopes,
        metadata: new.metadata,
        addresses: new.addresses,
        issuer,
        confirm_by,
        not_before: new.not_before,
        expires_at,
        request_id: new.request_id,
        // Skips the notices that are already overdue. A token with a lifetime of three days gets no
        // notice 30 or 7 days before its expiry.
        notice_lead: NoticeLead::begun(policy.notices().leads(), expires_at, now),
        ..TokenRecord::created_by(key, keyring.prefix(), digest, (new.owner, new.name), created_by, now)
    };
    Ok(Issued { token, record })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::rules::address::AddressRanges;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::lifetimes::{Lifetime, Lifetimes};
    use crate::rules::notice_schedule::NoticeSchedule;
    use crate::rules::outside_issuer::OutsideIssuer;
    use crate::rules::proof::Held;
    use crate::rules::sample::{DAY, MS, ada, at, keyring, project, record};
    use crate::rules::scope::{Scope, ScopeSet};
    use crate::words::presented::PresentedToken;
    use crate::words::text::Metadata;

    fn new() -> NewToken {
        NewToken::new(project(), "bob".parse().unwrap(), "CI".parse().unwrap())
    }

    fn minted(new: NewToken) -> Result<TokenRecord, ErrorKind> {
        let issued = mint(&keyring(), &Policy::default(), new, &ada(), at(0));
        issued.map(|issued| issued.record).map_err(|error| error.kind())
    }

    fn breach<T>(breach: PolicyBreach) -> Result<T, ErrorKind> {
        Err(ErrorKind::Policy(breach))
    }

    #[test]
    fn a_plain_token_is_a_persons_for_the_default_lifetime() {
        let record = minted(new()).unwrap();
        assert_eq!((record.kind, record.owner.as_str(), record.name.as_str()), (TokenKind::Human, "bob", "CI"));
        assert_eq!((record.created_at, record.created_by), (at(0), ada()));
        assert_eq!(record.expires_at, Some(at(0).saturating_add(30 * DAY)));
        assert_eq!((record.family, record.version), (record.id, 1));
        assert_eq!((record.confirm_by, record.not_before, record.request_id), (None, None, None));
    }

    #[test]
    fn a_token_has_what_was_asked_for() {
        let (scopes, metadata) = (ScopeSet::new("user").unwrap(), Metadata::new("{}").unwrap());
        let addresses = AddressRanges::new("10.0.0.0/8").unwrap();
        let new = new().with_kind(TokenKind::Service).with_scopes(scopes.clone()).with_metadata(metadata.clone());
        let new = new.with_addresses(addresses.clone()).with_not_before(at(5)).with_confirm_within(7 * MS);
        let new = new.with_request_id("one".parse().unwrap()).with_lifetime(Lifetime::For(DAY));
        let record = minted(new).unwrap();
        assert_eq!((record.kind, record.scopes, record.metadata), (TokenKind::Service, scopes, metadata));
        assert_eq!((record.addresses, record.not_before, record.confirm_by), (addresses, Some(at(5)), Some(at(7))));
        assert_eq!(record.request_id, Some("one".parse().unwrap()));
        assert_eq!(record.expires_at, Some(at(0).saturating_add(DAY)));
        assert_eq!(record.notice_lead, Some(NoticeLead::DAY), "notices that are overdue are skipped");
    }

    #[test]
    fn a_minted_text_parses_and_matches_its_record() {
        let keyring = keyring();
        let issued = mint(&keyring, &Policy::default(), new(), &ada(), at(0)).unwrap();
        let presented = PresentedToken::parse(issued.token.expose_secret(), &keyring).unwrap();
        assert_eq!(presented.key(), issued.record.key());
        assert!(presented.digest().ct_eq(&issued.record.digest));
        assert_eq!(issued.record.id.key_number(), keyring.minting_key());
        let other = mint(&keyring, &Policy::default(), new(), &ada(), at(0)).unwrap();
        assert_ne!(other.record.id, issued.record.id);
    }

    #[test]
    fn a_token_must_begin_before_it_ends() {
        let starts = |millis| minted(new().with_lifetime(Lifetime::Until(at(10))).with_not_before(at(millis)));
        assert!(starts(9).is_ok());
        assert_eq!(starts(10), breach(PolicyBreach::NoLifetime));
        assert_eq!(starts(11), breach(PolicyBreach::NoLifetime));
    }

    #[test]
    fn the_time_to_confirm_a_token_must_not_be_zero() {
        let within = |time| minted(new().with_confirm_within(time));
        assert_eq!(within(Duration::ZERO), breach(PolicyBreach::NoLifetime));
        assert_eq!(within(MS).unwrap().confirm_by, Some(at(1)));
        assert_eq!(within(Duration::from_nanos(1)).unwrap().confirm_by, Some(at(1)), "it is rounded up");
        assert_eq!(within(MS + Duration::from_nanos(1)).unwrap().confirm_by, Some(at(2)));
        assert_eq!(within(Duration::MAX), breach(PolicyBreach::PastEndOfTime));
    }

    #[test]
    fn notices_that_are_overdue_are_those_of_the_policys_schedule() {
        let lead = |policy: &Policy, days: u32| {
            let new = new().with_lifetime(Lifetime::For(days * DAY));
            mint(&keyring(), policy, new, &ada(), at(0)).unwrap().record.notice_lead.map(|lead| lead.to_string())
        };
        let policy = Policy::default().with_notices(NoticeSchedule::of_days([60, 7, 3]).unwrap());
        let leads = [61, 60, 8, 7, 4, 3, 1].map(|days| lead(&policy, days).unwrap_or_default());
        assert_eq!(leads, ["", "60d", "60d", "7d", "7d", "3d", "3d"]);
        assert_eq!(lead(&Policy::default(), 40), None);
    }

    /// Returns the delegation of a token that belongs to bob, may be used from 10.0.0.0/8 and
    /// expires in ten days.
    fn delegation() -> Delegation {
        let issuer = TokenRecord {
            owner: "bob".parse().unwrap(),
            scopes: ScopeSet::new("repo:* tokens:manage").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            expires_at: Some(at(0).saturating_add(10 * DAY)),
            ..record()
        };
        Delegation::new(Held::alone(issuer), Scope::new("tokens:manage").unwrap())
    }

    #[test]
    fn fields_left_open_are_taken_from_the_issuing_token() {
        let by = delegation();
        let record = minted(new().within(&by)).unwrap();
        assert_eq!((record.kind, record.addresses.as_str()), (TokenKind::Agent, "10.0.0.0/8"));
        assert_eq!(record.expires_at, Some(at(0).saturating_add(DAY / 2)), "the default of agents");
        assert_eq!(record.issuer, Some(by.issuer()));
        assert_eq!(minted(new()).unwrap().issuer, None);
        assert_eq!(record.created_by, by.actor());
        assert!(new().delegation().is_none());
        assert_eq!(new().within(&by).delegation().map(Delegation::key), Some(by.key()));
    }

    #[test]
    fn a_token_beyond_its_issuer_is_refused() {
        let by = delegation();
        let outside = |new: NewToken| {
            minted(new.within(&by)).map_err(|kind| match kind {
                ErrorKind::OutsideIssuer(outside) => outside,
                kind => panic!("{kind:?}"),
            })
        };
        assert_eq!(outside(new().with_kind(TokenKind::Service)), Err(OutsideIssuer::Kind));
        assert_eq!(outside(new().with_metadata(Metadata::new("{}").unwrap())), Err(OutsideIssuer::Metadata));
        assert_eq!(outside(new().with_scopes(ScopeSet::new("user").unwrap())), Err(OutsideIssuer::Scopes));
        assert_eq!(outside(new().with_addresses("11.0.0.0/8".parse().unwrap())), Err(OutsideIssuer::Addresses));
        assert!(outside(new().with_addresses("10.9.0.0/16".parse().unwrap())).is_ok());
        let by = by.allow_kind(TokenKind::Human);
        let until = |more: Duration| {
            let new = new().with_kind(TokenKind::Human).with_lifetime(Lifetime::For(10 * DAY + more));
            minted(new.within(&by)).map(drop)
        };
        assert_eq!(until(Duration::ZERO), Ok(()));
        assert_eq!(until(MS), Err(ErrorKind::OutsideIssuer(OutsideIssuer::Expiry)));
    }

    #[test]
    fn a_bound_token_must_expire() {
        let lifetimes = Lifetimes { never_expiring: true, ..Lifetimes::AGENT };
        let policy = Policy::default().with_lifetimes(TokenKind::Agent, lifetimes);
        let endless = TokenRecord { expires_at: None, scopes: ScopeSet::new("tokens:manage").unwrap(), ..record() };
        let by = Delegation::new(Held::alone(endless), Scope::new("tokens:manage").unwrap());
        let new = || {
            let new = NewToken::new(project(), "ada".parse().unwrap(), "CI".parse().unwrap());
            new.with_lifetime(Lifetime::Never)
        };
        let minted = |by: &Delegation| {
            let issued = mint(&keyring(), &policy, new().within(by), &ada(), at(0));
            issued.map(|issued| issued.record.expires_at).map_err(|error| error.kind())
        };
        assert_eq!(minted(&by), breach(PolicyBreach::NeverExpires));
        assert_eq!(minted(&by.independent()), Ok(None));
    }

    #[test]
    fn a_successor_keeps_the_kind_and_metadata_that_were_judged_before() {
        let old = TokenRecord {
            owner: "bob".parse().unwrap(),
            kind: TokenKind::Service,
            metadata: Metadata::new("{}").unwrap(),
            scopes: ScopeSet::new("repo:read").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            ..record()
        };
        let new = NewToken::after(&old).within(&delegation()).with_lifetime(Lifetime::For(DAY));
        let record = minted(new).unwrap();
        assert_eq!((record.kind, record.metadata, record.scopes), (old.kind, old.metadata, old.scopes));
        assert_eq!((record.name, record.addresses), (old.name, old.addresses));
    }
}
