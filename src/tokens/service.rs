//! The service over a store: glue between the rules, the store and the clock. Its verbs stand in files of their own.

use std::sync::Arc;

use super::emit::Events;
use super::events::{Counts, Event, EventSink};
use super::find_imported::Imports;
use super::owners::{AllActive, Owners};
use super::usage::Usage;
use crate::rules::policy::Policy;
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::store::erased::ErasedImport;
use crate::store::query::{ListQuery, Page};
use crate::words::clock::{Clock, SystemClock};
use crate::words::ids::TokenKey;
use crate::words::import_shape::ForeignShape;
use crate::words::keyring::Keyring;
use crate::words::store_error::StoreError;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// The tokens of one store, from issue to purge.
///
/// It is glue: what is decided is decided by [`mint`](crate::mint), [`check`](crate::check()), [`rotate`](crate::rotate()) and
/// [`judge`](crate::TokenRecord::judge), which a host may also call by itself. Any number of them may share a store; put it
/// into an `Arc` to share it between tasks. The verbs, and what each does to a token, are told in
/// [`lifecycle`](crate::lifecycle).
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
pub struct Tokens<S, C = SystemClock, O = AllActive> {
    pub(super) keyring: Keyring,
    pub(super) store: S,
    policy: Policy,
    /// The policy as it is applied to tokens that exist: without the rule on disuse where last uses are not written.
    pub(super) applied: Policy,
    pub(super) clock: C,
    pub(super) owners: O,
    /// Whether asking them may take time.
    pub(super) asks_owners: bool,
    pub(super) usage: Option<Usage>,
    pub(super) events: Option<Events>,
    pub(super) imports: Option<Imports>,
}

impl<S: TokenStore> Tokens<S> {
    /// Tokens with the default [`Policy`] and the system's clock; owners are not asked for, last uses not written and events
    /// not told.
    pub fn new(keyring: Keyring, store: S) -> Self {
        let (policy, applied) = (Policy::default(), Policy::default());
        let (clock, owners, asks_owners) = (SystemClock, AllActive, false);
        Self { keyring, store, policy, applied, clock, owners, asks_owners, usage: None, events: None, imports: None }
    }
}

impl<S: TokenStore, C: Clock, O: Owners> Tokens<S, C, O> {
    /// The same under another policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }.with_applied()
    }

    /// The same with another clock, such as a [`FixedClock`](crate::FixedClock) in tests.
    #[must_use]
    pub fn with_clock<D: Clock>(self, clock: D) -> Tokens<S, D, O> {
        let Self { keyring, store, policy, applied, clock: _, owners, asks_owners, usage, events, imports } = self;
        Tokens { keyring, store, policy, applied, clock, owners, asks_owners, usage, events, imports }
    }

    /// The same, asking the host at each verification whether the token's owner is still active.
    #[must_use]
    pub fn with_owners<H: Owners>(self, owners: H) -> Tokens<S, C, H> {
        let Self { keyring, store, policy, applied, clock, owners: _, asks_owners: _, usage, events, imports } = self;
        Tokens { keyring, store, policy, applied, clock, owners, asks_owners: true, usage, events, imports }
    }

    /// The same, noting last uses. They are gathered in memory and **written by
    /// [`flush_usage`](Self::flush_usage) only**, which the host calls from time to time and before it stops.
    #[must_use]
    pub fn with_usage(self, usage: Usage) -> Self {
        Self { usage: Some(usage), ..self }.with_applied()
    }

    /// The same, telling a sink what happens, and counting it.
    #[must_use]
    pub fn with_events(self, sink: impl EventSink + 'static) -> Self {
        Self { events: Some(Events::new(Arc::new(sink))), ..self }
    }

    /// The same, verifying beside its own tokens those that were [imported](Self::import), by the shapes of their old texts.
    /// `store` is the same store once more: `ErasedImport::new(store.clone())`.
    ///
    /// An old text is looked for only where it is none of keyfob's own and has one of the shapes. It has no keyed tag,
    /// so that any text of such a shape reaches the store: once for each key of the ring.
    #[must_use]
    pub fn with_imports(self, store: ErasedImport, shapes: impl IntoIterator<Item = ForeignShape>) -> Self {
        Self { imports: Some(Imports::new(store, shapes.into_iter().collect())), ..self }
    }

    fn with_applied(self) -> Self {
        let applied = if self.usage.is_some() { self.policy.clone() } else { self.policy.without_max_unused() };
        Self { applied, ..self }
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

    /// How many verifications had which outcome; `None` without [events](Self::with_events).
    pub fn counts(&self) -> Option<Counts> {
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
