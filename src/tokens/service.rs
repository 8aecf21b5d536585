//! The service over a store: glue between the rules, the store and the clock. Its verbs stand in files of their own.

use core::fmt;
use std::sync::Arc;

use super::emit::Events;
use super::events::{Event, EventSink, VerificationCounts};
use super::find_imported::Imports;
use super::issuers::Issuers;
use super::owners::{ErasedOwners, Owners};
use super::usage::Usage;
use crate::rules::error::Error;
use crate::rules::policy::Policy;
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::store::import::ImportStore;
use crate::store::query::{ListQuery, Page};
use crate::words::clock::{Clock, SystemClock};
use crate::words::ids::TokenKey;
use crate::words::import_shape::ImportShape;
use crate::words::keyring::Keyring;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// The tokens of one store, from issue to purge.
///
/// It is glue: what is decided is decided by [`mint`](crate::mint), [`check`](crate::check()), [`rotate`](crate::rotation::rotate()) and
/// [`judge`](crate::TokenRecord::judge), which a host may also call by itself. Any number of them may share a store; put it
/// into an `Arc` to share it between tasks. The verbs, and what each does to a token, are told in
/// [`lifecycle`](crate::guide::lifecycle).
///
/// ```
/// use keyfob::{Access, Actor, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper};
/// use keyfob::{Prefix, ProjectId, Tokens};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
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
pub struct Tokens<S> {
    pub(super) keyring: Keyring,
    pub(super) store: S,
    policy: Policy,
    /// The policy as it is applied to tokens that exist: without the rule on disuse if last uses are not written.
    pub(super) applied: Policy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) owners: Option<Arc<dyn ErasedOwners>>,
    pub(super) usage: Option<Usage>,
    pub(super) events: Option<Events>,
    pub(super) imports: Option<Imports<S>>,
}

impl<S: TokenStore> Tokens<S> {
    /// Makes a service with the default [`Policy`] and the system's clock. It asks for no owners, writes no last uses and emits
    /// no events.
    pub fn new(keyring: Keyring, store: S) -> Self {
        let (policy, applied, clock) = (Policy::default(), Policy::default(), Arc::new(SystemClock));
        Self { keyring, store, policy, applied, clock, owners: None, usage: None, events: None, imports: None }
    }

    /// Replaces the policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }.with_applied()
    }

    /// Replaces the clock, for instance by a [`FixedClock`](crate::clock::FixedClock) in tests.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Asks the host at each verification whether the token's owner is still active.
    #[must_use]
    pub fn with_owners(self, owners: impl Owners + 'static) -> Self {
        Self { owners: Some(Arc::new(owners)), ..self }
    }

    /// Records when each token was last used. Uses are gathered in memory and **written by
    /// [`flush_usage`](Self::flush_usage) only**, which the host calls from time to time and before it stops.
    #[must_use]
    pub fn with_usage(self, usage: Usage) -> Self {
        Self { usage: Some(usage), ..self }.with_applied()
    }

    /// Emits an event to a sink for whatever happens, and counts verifications.
    #[must_use]
    pub fn with_events(self, sink: impl EventSink + 'static) -> Self {
        Self { events: Some(Events::new(Arc::new(sink))), ..self }
    }

    /// Verifies, beside its own tokens, those that were [imported](Self::import), by the shapes of their old texts.
    ///
    /// An old text is looked for only if it is none of keyfob's own and has one of the shapes. It has no keyed tag,
    /// so any text of such a shape reaches the store: once for each key of the ring.
    #[must_use]
    pub fn with_imports(self, shapes: impl IntoIterator<Item = ImportShape>) -> Self
    where
        S: ImportStore,
    {
        Self { imports: Some(Imports::new(shapes.into_iter().collect())), ..self }
    }

    fn with_applied(self) -> Self {
        let applied = if self.usage.is_some() { self.policy.clone() } else { self.policy.without_max_unused() };
        Self { applied, ..self }
    }

    /// Returns the keyring.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the present time of its clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lists one page of a project's tokens.
    ///
    /// # Errors
    /// Returns [`Error`] if the store fails.
    pub async fn list(&self, query: &ListQuery) -> Result<Page<TokenView>, Error> {
        let Page { items, next } = self.store.list(query).await?;
        let now = self.now();
        let mut issuers = Issuers::default();
        let mut views = Vec::with_capacity(items.len());
        for record in items {
            // What has ended by itself has ended, whatever became of its issuer.
            if record.bound_to().is_none() || !record.status(now).is_live() {
                views.push(record.view(now));
                continue;
            }
            let chain = issuers.chain_of(&self.store, record).await?;
            views.extend(chain.view(&self.policy, now));
        }
        Ok(Page { items: views, next })
    }

    /// Returns one token, dead or alive; `None` if there is no such token.
    ///
    /// # Errors
    /// Returns [`Error`] if the store fails.
    pub async fn get(&self, key: &TokenKey) -> Result<Option<TokenView>, Error> {
        let chain = self.chain(key).await?;
        Ok(chain.view(&self.policy, self.clock.now()))
    }

    /// How many verifications had which outcome; `None` without [events](Self::with_events).
    pub fn counts(&self) -> Option<VerificationCounts> {
        self.events.as_ref().map(Events::counts)
    }

    pub(super) fn reported_again(&self, key: TokenKey, actor: &Actor, now: Timestamp) {
        if let Some(events) = &self.events {
            events.reported_again(key, actor, now);
        }
    }

    /// Tells the sink, where there is one.
    pub(super) fn tell(&self, event: Event<'_>) {
        if let Some(events) = &self.events {
            events.tell(&event);
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Tokens<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keyring, store, policy, .. } = self;
        f.debug_struct("Tokens")
            .field("keyring", keyring)
            .field("store", store)
            .field("policy", policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::record::RevocationReason;
    use crate::rules::sample::{DAY, ada, at, id};
    use crate::rules::status::Status;
    use crate::store::memory::MemoryStore;
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project, ring};

    #[test]
    fn a_service_has_what_it_was_given() {
        let world = World::new().with(|tokens| tokens.with_policy(Policy::default().with_most_live_per_owner(3)));
        assert_eq!(world.tokens.policy().most_live_per_owner(), Some(3));
        assert_eq!(world.tokens.now(), at(0));
        assert_eq!(world.tokens.keyring().minting_key(), ring(&[1]).minting_key());
        assert!(Arc::ptr_eq(world.tokens.store(), &world.store));
        assert!(world.tokens.counts().is_some());
        assert!(Tokens::new(ring(&[1]), MemoryStore::new()).counts().is_none(), "without events");
    }

    #[test]
    fn the_rule_on_disuse_is_applied_only_where_last_uses_are_written() {
        let policy = || Policy::default().with_max_unused(DAY);
        let without = World::new().with(|tokens| tokens.with_policy(policy())).tokens;
        assert_eq!((without.applied.max_unused(), without.policy().max_unused()), (None, Some(DAY)));
        let before = World::new().with(|tokens| tokens.with_usage(Usage::default()).with_policy(policy())).tokens;
        let after = World::new().with(|tokens| tokens.with_policy(policy()).with_usage(Usage::default())).tokens;
        assert_eq!((before.applied.max_unused(), after.applied.max_unused()), (Some(DAY), Some(DAY)));
    }

    #[test]
    fn tokens_are_shown_as_they_are_now() {
        let world = World::new();
        let key = world.issued("145").record.key();
        let get = |key: &TokenKey| now(world.tokens.get(key)).unwrap();
        assert_eq!(get(&key).unwrap().status, Status::Active);
        assert_eq!(get(&TokenKey { id: id('1'), ..key }), None);
        world.advance(30 * DAY);
        assert_eq!(get(&key).unwrap().status, Status::Expired);
        let listed = now(world.tokens.list(&ListQuery::new(project("145")))).unwrap();
        assert_eq!(listed.items, [get(&key).unwrap()]);
        now(world.tokens.revoke(&ada(), &key, RevocationReason::default())).unwrap();
        assert_eq!(get(&key).unwrap().status, Status::Revoked, "dead or alive");
        world.take_down("145");
        assert!(now(world.tokens.get(&key)).is_err());
    }
}
