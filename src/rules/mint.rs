//! Making a token.

use core::time::Duration;

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::address::AddressRanges;
use super::breach::PolicyBreach;
use super::delegation::Delegation;
use super::error::Error;
use super::lifetimes::Lifetime;
use super::notice_stage::NoticeStage;
use super::outside_issuer::OutsideIssuer;
use super::policy::Policy;
use super::record::{TokenKind, TokenRecord};
use super::scope::ScopeSet;
use crate::words::alphabet;
use crate::words::format;
use crate::words::ids::{ProjectId, TokenId};
use crate::words::keyring::Keyring;
use crate::words::secret::PlaintextToken;
use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId};
use crate::words::timestamp::Timestamp;

/// A token to be made: for a project, acting for an owner, with a name that tells what it is for.
///
/// The owner is what the host knows from its own session; it is never read from a request body, which is why
/// this type cannot be deserialized.
#[derive(Clone, Debug)]
pub struct NewToken {
    project: ProjectId,
    owner: OwnerId,
    name: Name,
    kind: Option<TokenKind>,
    scopes: ScopeSet,
    metadata: Metadata,
    addresses: AddressRanges,
    not_before: Option<Timestamp>,
    lifetime: Lifetime,
    confirm_within: Option<Duration>,
    request_id: Option<RequestId>,
    delegation: Option<Delegation>,
    /// Whether it takes over from another, whose kind and metadata were judged when that was issued.
    takes_over: bool,
}

impl NewToken {
    /// For a person, without scopes, from any address, from now on, as long as the policy says by default.
    pub fn new(project: ProjectId, owner: OwnerId, name: Name) -> Self {
        Self {
            project,
            owner,
            name,
            kind: None,
            scopes: ScopeSet::default(),
            metadata: Metadata::default(),
            addresses: AddressRanges::default(),
            not_before: None,
            lifetime: Lifetime::default(),
            confirm_within: None,
            request_id: None,
            delegation: None,
            takes_over: false,
        }
    }

    /// As an existing token, which it takes over from.
    pub(super) fn after(old: &TokenRecord) -> Self {
        let new = Self { takes_over: true, ..Self::new(old.project, old.owner.clone(), old.name.clone()) };
        new.with_kind(old.kind)
            .with_scopes(old.scopes.clone())
            .with_metadata(old.metadata.clone())
            .with_addresses(old.addresses.clone())
    }

    /// How long it shall live.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime, ..self }
    }

    /// What it may do.
    #[must_use]
    pub fn with_scopes(self, scopes: ScopeSet) -> Self {
        Self { scopes, ..self }
    }

    /// For a person or a service. If nothing is said, for a person, or of the kind of the issuing token.
    #[must_use]
    pub fn with_kind(self, kind: TokenKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Text of the host's own, kept beside it.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }

    /// Where it may be used from.
    #[must_use]
    pub fn with_addresses(self, addresses: AddressRanges) -> Self {
        Self { addresses, ..self }
    }

    /// It does not work before this time.
    #[must_use]
    pub fn with_not_before(self, not_before: Timestamp) -> Self {
        Self { not_before: Some(not_before), ..self }
    }

    /// It does not work until it is [confirmed](crate::Tokens::confirm), and ends by itself if that takes longer than this:
    /// a few minutes. So no live token that nobody holds stays behind where the answer to its maker was lost.
    #[must_use]
    pub fn with_confirm_within(self, confirm_within: Duration) -> Self {
        Self { confirm_within: Some(confirm_within), ..self }
    }

    /// The caller's id of the request.
    #[must_use]
    pub fn with_request_id(self, request_id: RequestId) -> Self {
        Self { request_id: Some(request_id), ..self }
    }

    /// Issues it at the request of a token, within which it stays: if nothing else was said, it may be used from the same
    /// addresses, is of the same kind and ends no later. Its `created_by` is then the issuing token, whoever the actor is.
    #[must_use]
    pub fn within(self, delegation: &Delegation) -> Self {
        Self { delegation: Some(delegation.clone()), ..self }
    }

    /// Returns whether it is for this owner in this project.
    pub(crate) fn is_for(&self, owner: &OwnerId, project: &ProjectId) -> bool {
        self.owner == *owner && self.project == *project
    }

    /// Returns the token at whose request it is issued, for a store's [condition](Delegation::condition).
    pub fn delegation(&self) -> Option<&Delegation> {
        self.delegation.as_ref()
    }
}

impl NewToken {
    /// What was left open, within the issuing token.
    fn bounded(mut self, policy: &Policy, now: Timestamp) -> Result<Self, OutsideIssuer> {
        let Some(delegation) = self.delegation.take() else { return Ok(self) };
        let kind = *self.kind.get_or_insert(delegation.kind());
        if !self.takes_over {
            delegation.admit_new(kind, &self.metadata)?;
        }
        if self.addresses == AddressRanges::default() {
            self.addresses = delegation.addresses().clone();
        }
        if self.lifetime == Lifetime::Default {
            let lifetimes = policy.lifetimes(kind);
            self.lifetime = Lifetime::For(delegation.shorten(lifetimes.nearest(lifetimes.default), now));
        }
        delegation.admit(&self.project, &self.owner, &self.scopes, &self.addresses)?;
        Ok(Self { delegation: Some(delegation), ..self })
    }
}

/// A token just made: the text to show once, and the record to store.
#[derive(Debug)]
pub struct Issued<R = TokenRecord> {
    /// The token in clear, to be shown once.
    pub token: PlaintextToken,
    /// What to store of it.
    pub record: R,
}

/// Makes a token with the operating system's generator. **Nothing is stored**: insert the record, in a transaction
/// of your own if you like, before you show the token.
///
/// # Errors
/// Returns [`ErrorKind::Policy`](crate::ErrorKind::Policy) or [`ErrorKind::OutsideIssuer`](crate::ErrorKind::OutsideIssuer) if the
/// policy or the issuing token does not allow it, and [`ErrorKind::Rng`](crate::ErrorKind::Rng) if there is no randomness.
///
/// ```
/// use keyfob::{Actor, Clock, Keyring, Name, NewToken, OwnerId, Policy, Prefix};
/// use keyfob::{ProjectId, SystemClock, mint};
///
/// let keyring = Keyring::unkeyed(Prefix::new("acme_pat")?);
/// let new = NewToken::new(ProjectId::new("145")?, OwnerId::new("ada")?, Name::new("VS Code integration")?);
/// let issued = mint(&keyring, &Policy::default(), new, &Actor::new("ada")?, SystemClock.now())?;
/// assert!(issued.token.expose_secret().starts_with(&issued.record.public_part()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn mint(keyring: &Keyring, policy: &Policy, new: NewToken, actor: &Actor, now: Timestamp) -> Result<Issued, Error> {
    mint_with(&mut getrandom::SysRng, keyring, policy, new, actor, now)
}

/// As [`mint`], with a generator of the host's own, which must be cryptographically secure.
///
/// # Errors
/// As of [`mint`].
pub fn mint_with<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    keyring: &Keyring,
    policy: &Policy,
    new: NewToken,
    actor: &Actor,
    now: Timestamp,
) -> Result<Issued, Error> {
    let new = new.bounded(policy, now)?;
    let kind = new.kind.unwrap_or(TokenKind::Human);
    let expires_at = policy.expiry(kind, new.lifetime, now)?;
    if let Some(delegation) = &new.delegation {
        delegation.admit_expiry(expires_at)?;
    }
    let confirm_by = new.confirm_within.map(|within| now.checked_add(within).ok_or(PolicyBreach::PastEndOfTime));
    let confirm_by = confirm_by.transpose()?;
    let ended = |end: Option<Timestamp>, begin| end.is_some_and(|end| end <= begin);
    if ended(expires_at, new.not_before.unwrap_or(now)) || ended(confirm_by, now) {
        return Err(PolicyBreach::NoLifetime.into());
    }

    let mut digits = Zeroizing::new([0; 15 + 33]);
    alphabet::random(rng, digits.as_mut_slice())?;
    let (public, secret) = digits.split_first_chunk::<15>().expect("48 digits were drawn");
    let mut handle = [alphabet::digit(keyring.minting_key().get()); TokenId::LEN];
    handle[1..].copy_from_slice(public);
    let id = TokenId::from_checked(handle);
    let secret: &[u8; 33] = secret.try_into().expect("33 of 48 digits are left");

    let digest = keyring.minting_digest(&new.project, &id, secret);
    let text = format::render(keyring.prefix(), &new.project, &id, secret, &digest.tag());
    let record = TokenRecord {
        prefix: keyring.prefix(),
        project: new.project,
        id,
        digest,
        name: new.name,
        owner: new.owner,
        kind,
        scopes: new.scopes,
        metadata: new.metadata,
        addresses: new.addresses,
        created_at: now,
        created_by: new.delegation.as_ref().map_or_else(|| actor.clone(), Delegation::actor),
        confirm_by,
        not_before: new.not_before,
        expires_at,
        last_used_at: None,
        disabled: None,
        revoked: None,
        family: id,
        rotated_from: None,
        rotated_to: None,
        grace_until: None,
        request_id: new.request_id,
        // A token for three days is not announced to end in thirty.
        notice_stage: NoticeStage::of(expires_at, now),
        notice_lease_until: None,
        version: 1,
    };
    Ok(Issued { token: PlaintextToken::rendered(text), record })
}
