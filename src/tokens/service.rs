//! The token service, which connects the rules, a store and a clock. Most methods of [`Tokens`] are
//! in other files of this folder, one file for each operation.

use core::fmt;
use std::sync::Arc;

use super::emit::Events;
use super::events::{Event, EventSink, VerificationCounts};
use super::find_imported::ImportFinder;
use super::issuers::Issuers;
use super::owners::{ErasedOwners, Owners};
use super::usage::Usage;
use crate::rules::error::Error;
use crate::rules::imports::Imports;
use crate::rules::policy::Policy;
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::store::import::ImportStore;
use crate::store::query::{ListQuery, Page};
use crate::words::clock::{Clock, SystemClock};
use crate::words::ids::TokenKey;
use crate::words::keyring::Keyring;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// The token service: issues, verifies, changes and ends the tokens of one store.
///
/// A `Tokens` has a [`Keyring`], a [store](TokenStore), a [`Policy`] and a clock. To share a
/// `Tokens` between tasks, put it into an `Arc`. Several `Tokens`, in one process or in several
/// processes, may use the same store.
///
/// Your service can also apply the rules without a store, because they are pure functions:
/// [`mint`](crate::mint), [`check`](crate::check()), [`rotate`](crate::rotation::rotate()) and
/// [`judge`](crate::TokenRecord::judge).
///
/// | task | methods |
/// | --- | --- |
/// | set up | [`new`](Self::new), [`with_policy`](Self::with_policy), [`with_owners`](Self::with_owners), [`with_usage`](Self::with_usage), [`with_events`](Self::with_events), [`with_imports`](Self::with_imports) |
/// | on every request | [`verify`](Self::verify); [`recheck`](Self::recheck) for open connections |
/// | for the owner of tokens | [`of`](Self::of), a handle that reaches only the tokens of one owner |
/// | issue and change | [`issue`](Self::issue), [`confirm`](Self::confirm), [`rename`](Self::rename), [`narrow`](Self::narrow), [`disable`](Self::disable), [`enable`](Self::enable), [`rotate`](Self::rotate), [`end_grace`](Self::end_grace) |
/// | end | [`revoke`](Self::revoke), [`revoke_presented`](Self::revoke_presented), [`revoke_group`](Self::revoke_group), [`revoke_everywhere`](Self::revoke_everywhere), [`report_leak`](Self::report_leak) |
/// | look up | [`get`](Self::get), [`list`](Self::list), [`predecessor`](Self::predecessor), [`explain`](Self::explain), [`counts`](Self::counts) |
/// | run regularly | [`flush_usage`](Self::flush_usage), [`claim_notices`](Self::claim_notices), [`purge`](Self::purge) |
/// | operate | [`dry_run`](Self::dry_run), [`key_use`](Self::key_use), [`retire_key`](Self::retire_key), [`import`](Self::import) |
///
/// [`lifecycle`](crate::guide::lifecycle) shows the states of a token and an example of each
/// method.
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
/// println!("{}", issued.token.expose_secret()); // show it once, to ada
///
/// let access = Access::to(&project, &[]);
/// let verified = tokens.verify(issued.token.expose_secret(), &access).await?;
/// assert_eq!(verified.owner(), &ada);
/// # Ok(())
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(example()).unwrap();
/// ```
pub struct Tokens<S> {
    pub(super) keyring: Keyring,
    pub(super) store: S,
    policy: Policy,
    /// The policy for existing tokens. It equals `policy`, except that it lacks the rule on disuse
    /// if the service does not record last uses.
    pub(super) applied: Policy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) owners: Option<Arc<dyn ErasedOwners>>,
    pub(super) usage: Option<Usage>,
    pub(super) events: Option<Events>,
    pub(super) imports: Option<ImportFinder<S>>,
}

impl<S: TokenStore> Tokens<S> {
    /// Creates a service with the default [`Policy`] and the clock of the system.
    ///
    /// By default, the service does not check owners, does not record last uses, emits no events
    /// and does not verify imported tokens. The `with_…` methods enable these features.
    pub fn new(keyring: Keyring, store: S) -> Self {
        let (policy, applied, clock) = (Policy::default(), Policy::default(), Arc::new(SystemClock));
        Self { keyring, store, policy, applied, clock, owners: None, usage: None, events: None, imports: None }
    }

    /// Sets the policy. The policy applies to new tokens, and to existing tokens each time that
    /// they are verified.
    ///
    /// The rule on disuse ([`Policy::with_max_unused`]) applies to existing tokens only if the
    /// service [records last uses](Self::with_usage).
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }.with_applied()
    }

    /// Sets the clock, for instance to a [`FixedClock`](crate::clock::FixedClock) in tests.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Sets the hook that reports whether the owner of a token is still active. The service calls
    /// the hook at each verification, and each time that a token issues or rotates a token.
    #[must_use]
    pub fn with_owners(self, owners: impl Owners + 'static) -> Self {
        Self { owners: Some(Arc::new(owners)), ..self }
    }

    /// Records when each token was last used. The service collects the last uses in memory. **Only
    /// [`flush_usage`](Self::flush_usage) writes them to the store.** Call it regularly, and once
    /// more before the process stops.
    #[must_use]
    pub fn with_usage(self, usage: Usage) -> Self {
        Self { usage: Some(usage), ..self }.with_applied()
    }

    /// Sets the sink that receives the [`Event`] of each operation. Events of verifications are
    /// sampled. With a sink, the service also counts verifications: see [`counts`](Self::counts).
    #[must_use]
    pub fn with_events(self, sink: impl EventSink + 'static) -> Self {
        Self { events: Some(Events::new(Arc::new(sink))), ..self }
    }

    /// Makes the service verify [imported](Self::import) tokens too. Pass the shapes of their
    /// texts. If some of their hashes are salted or slow, pass [`Imports`], which have the
    /// functions too.
    ///
    /// The service looks up an imported token only if the presented text has one of the shapes and
    /// is not a keyfob token with a correct checksum. Unlike a keyfob token, an imported token has
    /// no keyed tag, so forgeries cannot be rejected without the store. Each unknown text costs one
    /// store call for each shape that it has and each key of the keyring.
    #[must_use]
    pub fn with_imports(self, imports: impl Into<Imports>) -> Self
    where
        S: ImportStore,
    {
        Self { imports: Some(ImportFinder::new(imports.into())), ..self }
    }

    fn with_applied(self) -> Self {
        let applied = if self.usage.is_some() { self.policy.clone() } else { self.policy.without_max_unused() };
        Self { applied, ..self }
    }

    /// Returns whether a text begins like a token of this service: with a prefix of the keyring and
    /// `_`, or in the shape of an [imported](Self::with_imports) token. The service must judge such
    /// a text, and must never leave it to another authentication. This function calls no store.
    pub fn recognizes(&self, text: &[u8]) -> bool {
        self.keyring.recognizes(text) || self.imports().is_some_and(|imports| imports.fits(text))
    }

    /// Returns whether the service records the origins of uses.
    pub(crate) fn records_origins(&self) -> bool {
        self.usage.as_ref().is_some_and(Usage::has_origins)
    }

    /// Returns the keyring that the service was created with.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Returns the store that the service was created with.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the policy that was set. The returned policy includes its rule on disuse, if any.
    /// The service does not apply this rule unless it [records last uses](Self::with_usage).
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the declaration of imported tokens, or `None` if none was
    /// [set](Self::with_imports).
    pub fn imports(&self) -> Option<&Imports> {
        self.imports.as_ref().map(ImportFinder::imports)
    }

    /// Returns the current time of the service's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns one page of a project's tokens, as the query selects and orders them. Tokens that
    /// have ended are included, unless the query excludes them.
    ///
    /// A live token does not work if it is bound to a token that has ended, is disabled or breaks
    /// the policy. The view of such a live token shows [`Status::IssuerEnded`]. The status filter
    /// of the query considers only the token's own record, not its issuers.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails. Returns
    /// [`ErrorKind::Store`] if the cursor of the query comes from a query with another order.
    ///
    /// [`Status::IssuerEnded`]: crate::Status::IssuerEnded
    /// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
    /// [`ErrorKind::Store`]: crate::ErrorKind::Store
    pub async fn list(&self, query: &ListQuery) -> Result<Page<TokenView>, Error> {
        let Page { items, next } = self.store.list(query).await?;
        let now = self.now();
        let mut issuers = Issuers::default();
        let mut views = Vec::with_capacity(items.len());
        for record in items {
            // If the token itself has ended, its view shows its own status, and its issuers do not
            // matter.
            if record.bound_to().is_none() || !record.status(now).is_live() {
                views.push(record.view(now));
                continue;
            }
            let chain = issuers.chain_of(&self.store, record).await?;
            views.extend(chain.view(&self.policy, now));
        }
        Ok(Page { items: views, next })
    }

    /// Returns one token, even if it has ended. Returns `None` if there is no such token.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) or
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store fails.
    pub async fn get(&self, key: &TokenKey) -> Result<Option<TokenView>, Error> {
        let chain = self.chain(key).await?;
        Ok(chain.view(&self.policy, self.clock.now()))
    }

    /// Returns the number of verifications with each outcome since the event sink was set. Returns
    /// `None` if no sink was set by [`with_events`](Self::with_events).
    pub fn counts(&self) -> Option<VerificationCounts> {
        self.events.as_ref().map(Events::counts)
    }

    pub(super) fn reported_again(&self, key: TokenKey, actor: &Actor, now: Timestamp) {
        if let Some(events) = &self.events {
            events.reported_again(key, actor, now);
        }
    }

    /// Emits an event if the service has a sink.
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
    fn a_service_returns_what_it_was_created_with() {
        let world = World::new().with(|tokens| tokens.with_policy(Policy::default().with_most_live_per_owner(3)));
        assert_eq!(world.tokens.policy().most_live_per_owner(), Some(3));
        assert_eq!(world.tokens.now(), at(0));
        assert_eq!(world.tokens.keyring().minting_key(), ring(&[1]).minting_key());
        assert!(Arc::ptr_eq(world.tokens.store(), &world.store));
        assert!(world.tokens.counts().is_some());
        assert!(Tokens::new(ring(&[1]), MemoryStore::new()).counts().is_none(), "without events");
    }

    #[test]
    fn the_rule_on_disuse_is_applied_only_with_usage() {
        let policy = || Policy::default().with_max_unused(DAY);
        let without = World::new().with(|tokens| tokens.with_policy(policy())).tokens;
        assert_eq!((without.applied.max_unused(), without.policy().max_unused()), (None, Some(DAY)));
        let before = World::new().with(|tokens| tokens.with_usage(Usage::default()).with_policy(policy())).tokens;
        let after = World::new().with(|tokens| tokens.with_policy(policy()).with_usage(Usage::default())).tokens;
        assert_eq!((before.applied.max_unused(), after.applied.max_unused()), (Some(DAY), Some(DAY)));
    }

    #[test]
    fn views_show_the_current_status() {
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
