//! The service over a store: glue between the rules, the store and the clock.

use core::error::Error;
use core::fmt;
use std::sync::Arc;

use super::query::{ListQuery, Page};
use super::store::{OwnerLimit, TokenStore};
use super::store_error::{StoreError, StoreErrorKind};
use crate::rules::access::{Access, ProjectDemand};
use crate::rules::challenge::Challenge;
use crate::rules::check::{Verified, check};
use crate::rules::mint::{Issued, MintError, NewToken, mint};
use crate::rules::policy::Policy;
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::rules::view::TokenView;
use crate::words::clock::{Clock, SystemClock};
use crate::words::error::Rejection;
use crate::words::ids::TokenKey;
use crate::words::keyring::Keyring;
use crate::words::presented::PresentedToken;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// Issues, verifies, lists and revokes the tokens of one store.
///
/// It is glue: what is decided is decided by [`mint`] and [`check`](crate::check()), which a host may also call by
/// itself. It holds no state beside what it is given, so any number of them may share a store; put it into an `Arc`
/// to share it between tasks.
///
/// ```
/// use keyfob::{Access, Actor, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper, Prefix, ProjectId, Tokens};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?)?;
/// let tokens = Tokens::new(keyring, MemoryStore::new());
///
/// let (project, ada) = (ProjectId::new("145")?, OwnerId::new("ada")?);
/// let new = NewToken::new(project, ada.clone(), Name::new("VS Code integration")?);
/// let issued = tokens.issue(&Actor::from(&ada), new).await?;
/// println!("{}", issued.token.expose_secret()); // once, to ada
///
/// let verified = tokens.verify(issued.token.expose_secret(), &Access::to(&project, &[])).await?;
/// assert_eq!(verified.owner(), &ada);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
pub struct Tokens<S, C = SystemClock> {
    keyring: Keyring,
    store: S,
    policy: Policy,
    clock: C,
    most_live: Option<u64>,
}

impl<S: TokenStore> Tokens<S> {
    /// Tokens with the default [`Policy`] and the system's clock.
    pub fn new(keyring: Keyring, store: S) -> Self {
        Self { keyring, store, policy: Policy::default(), clock: SystemClock, most_live: None }
    }
}

impl<S: TokenStore, C: Clock> Tokens<S, C> {
    /// The same under another policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same with another clock, such as a [`FixedClock`](crate::FixedClock) in tests.
    #[must_use]
    pub fn with_clock<D: Clock>(self, clock: D) -> Tokens<S, D> {
        let Self { keyring, store, policy, most_live, clock: _ } = self;
        Tokens { keyring, store, policy, clock, most_live }
    }

    /// The same with a bound on the live tokens that one owner has in one project, held by the store in the act of inserting.
    #[must_use]
    pub fn with_most_live_per_owner(self, most_live: u64) -> Self {
        Self { most_live: Some(most_live), ..self }
    }

    /// The keyring.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The present time of its clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes a token and stores its record. `actor` is who asks for it, from the host's own session; the token's owner is
    /// in `new`. Whether the one may make tokens for the other is the host's to ask.
    ///
    /// # Errors
    /// [`IssueError`] where the policy forbids it, the owner has too many, there is no randomness or the store fails. Then
    /// no token has been handed out; a store that failed without an answer may hold a record that nobody has the token of.
    pub async fn issue(&self, actor: &Actor, new: NewToken) -> Result<Issued<Arc<TokenRecord>>, IssueError> {
        let now = self.clock.now();
        let Issued { token, record } = mint(&self.keyring, &self.policy, new, actor, now)?;
        let limit = self.most_live.map(|most| OwnerLimit { most, now });
        let record = self.store.insert(record, limit).await?;
        Ok(Issued { token, record })
    }

    /// Verifies a presented token for an access: at most one store call, and none for a malformed one or, with a pepper, a
    /// forged one.
    ///
    /// # Errors
    /// [`VerifyError`], which tells the outside no more than it may know, and holds the reason for your logs.
    pub async fn verify<T, P>(&self, token: &T, access: &Access<'_, P>) -> Result<Verified<P>, VerifyError>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
        P: ProjectDemand,
    {
        let token = PresentedToken::parse(token, &self.keyring)?;
        let key = token.key();
        let record = self.store.find(&key).await.map_err(|error| VerifyError { why: error.into(), key: Some(key) })?;
        // The clock is read last: a store that took its time must not make an ended token live.
        check(&token, record, access, &self.policy, self.clock.now())
            .map_err(|rejection| VerifyError { why: rejection.into(), key: Some(key) })
    }

    /// One page of a project's tokens.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails.
    pub async fn list(&self, query: &ListQuery) -> Result<Page<TokenView>, StoreError> {
        let page = self.store.list(query).await?;
        let now = self.clock.now();
        Ok(page.map(|record| record.view(now)))
    }

    /// One token, dead or alive.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails.
    pub async fn get(&self, key: &TokenKey) -> Result<Option<TokenView>, StoreError> {
        let record = self.store.find(key).await?;
        Ok(record.map(|record| record.view(self.clock.now())))
    }

    /// Revokes a token for ever. `actor` is written down, not asked whether it may: compare [`get`](Self::get)'s `owner`
    /// first where people end their own tokens.
    ///
    /// A second call changes nothing and gives what the first one did. `None` where there is no such token.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails; it may be called again.
    pub async fn revoke(
        &self,
        actor: &Actor,
        key: &TokenKey,
        reason: RevocationReason,
    ) -> Result<Option<TokenView>, StoreError> {
        let now = self.clock.now();
        let revocation = Revocation { at: now, by: actor.clone(), reason };
        let record = self.store.revoke(key, &revocation).await?;
        Ok(record.map(|record| record.view(now)))
    }
}

/// Why no token was issued.
#[derive(Debug)]
#[non_exhaustive]
pub enum IssueError {
    /// It was not made.
    Mint(MintError),
    /// The owner has as many live tokens as allowed.
    Limit,
    /// The store failed.
    Store(StoreError),
}

impl From<MintError> for IssueError {
    fn from(error: MintError) -> Self {
        Self::Mint(error)
    }
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Limit => Self::Limit,
            _ => Self::Store(error),
        }
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mint(error) => error.fmt(f),
            Self::Limit => f.write_str("the owner has too many live tokens"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for IssueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Mint(_) | Self::Limit => None,
        }
    }
}

/// Why a token was not verified. Display says what the outside may know; [`rejection`](Self::rejection) is for logs.
#[derive(Debug)]
pub struct VerifyError {
    why: Why,
    key: Option<TokenKey>,
}

#[derive(Debug)]
enum Why {
    Rejected(Rejection),
    Unavailable(StoreError),
}

impl VerifyError {
    /// The reason; `None` where the store failed, which is neither a rejection nor a pass.
    pub fn rejection(&self) -> Option<Rejection> {
        match self.why {
            Why::Rejected(rejection) => Some(rejection),
            Why::Unavailable(_) => None,
        }
    }

    /// The token that was presented, for logs: its project and public id, once its text and tag were found right.
    pub fn key(&self) -> Option<TokenKey> {
        self.key
    }

    /// What to answer.
    pub fn challenge(&self) -> Challenge {
        match self.why {
            Why::Rejected(rejection) => rejection.into(),
            Why::Unavailable(_) => Challenge::UNAVAILABLE,
        }
    }
}

impl From<Rejection> for Why {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<StoreError> for Why {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

/// A refusal by a rule, for hosts that call [`check`] themselves.
impl From<Rejection> for VerifyError {
    fn from(rejection: Rejection) -> Self {
        Self { why: rejection.into(), key: None }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.challenge().description())
    }
}

impl Error for VerifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.why {
            Why::Rejected(_) => None,
            Why::Unavailable(error) => Some(error),
        }
    }
}
