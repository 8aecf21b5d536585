//! Runs the conformance kit on the stores of the crate.

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, LazyLock, Weak};

#[cfg(feature = "serde")]
use std::collections::HashSet;
#[cfg(feature = "serde")]
use std::time::Duration;

use keyfob::store::DynStore;
#[cfg(feature = "serde")]
use keyfob::{
    Access, Name, Policy, Rejection, Tokens,
    clock::FixedClock,
    leak::{LeakOutcome, LeakedToken},
    mint,
    record::RevocationReason,
    rotation::Rotation,
    store::{ListOrder, ListQuery, PageSize, RevokeGroup},
};
use keyfob::{TokenStore, conformance, import::ImportStore, store::StoreMaintenance};

#[cfg(feature = "serde")]
use super::{actor, keyring, new_token, now};

/// Runs a future on the runtime that all laws in this process share, so that they can share the
/// connection pools of their stores.
pub fn run(law: impl Future<Output = ()>) {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    RUNTIME.block_on(law);
}

/// A store that the tests of a module share, and what it needs: its server or its folder.
pub struct World {
    pub store: DynStore,
    _kept: Box<dyn Any + Send + Sync>,
}

impl World {
    pub fn new(
        store: impl TokenStore + StoreMaintenance + ImportStore + 'static,
        kept: impl Any + Send + Sync,
    ) -> Option<Self> {
        Some(Self { store: DynStore::with_imports(store), _kept: Box::new(kept) })
    }

    pub fn without_imports(
        store: impl TokenStore + StoreMaintenance + 'static,
        kept: impl Any + Send + Sync,
    ) -> Option<Self> {
        Some(Self { store: DynStore::new(store), _kept: Box::new(kept) })
    }
}

/// The world of a module. It exists as long as a test holds it.
pub struct Shared(tokio::sync::Mutex<Weak<World>>);

impl Shared {
    pub const fn new() -> Self {
        Self(tokio::sync::Mutex::const_new(Weak::new()))
    }

    /// Returns the world, and makes it if no test holds it. Returns `None` if `make` does, because
    /// the engine is not installed.
    pub async fn get(&self, make: impl AsyncFnOnce() -> Option<World>) -> Option<Arc<World>> {
        let mut shared = self.0.lock().await;
        if let Some(world) = shared.upgrade() {
            return Some(world);
        }
        let world = Arc::new(make().await?);
        *shared = Arc::downgrade(&world);
        Some(world)
    }
}

/// Makes a test of each law of these lists, with one store for all of them. `$make` is an
/// expression for an optional [`World`] of the store.
macro_rules! each_law {
    ($lists:tt, $make:expr) => {
        static WORLD: crate::support::kit::Shared = crate::support::kit::Shared::new();

        keyfob::conformance::for_each_law! {
            #[test]
            laws = $lists,
            store = &(match WORLD.get(async || $make).await {
                Some(world) => world,
                None => return,
            }).store,
            runner = crate::support::kit::run,
        }
    };
}

pub async fn keeps_every_law(store: impl TokenStore + StoreMaintenance + ImportStore + 'static) {
    let store = DynStore::with_imports(store);
    keeps_the_laws_of_tokens(&store).await;
    conformance::import(&store).await.assert();
}

/// Checks every law except the laws of imports. This is for stores that support no imports.
pub async fn keeps_the_laws_of_tokens(store: &DynStore) {
    conformance::token_store(store).await.assert();
    conformance::maintenance(store).await.assert();
    conformance::rules(store).await.assert();
}

/// A text with characters that earlier versions accepted in names, owners, actors and request ids.
/// Later versions refuse the text, but stores may still contain it.
#[cfg(feature = "serde")]
pub const EARLIER: &str = "\u{1f469}\u{200d}\u{1f4bb} \u{202e}";

/// Checks that the store still serves tokens whose names, owners, actors and request ids contain
/// [`EARLIER`]. Such tokens can be listed, verified, changed, reported and revoked.
#[cfg(feature = "serde")]
pub async fn serves_texts_of_an_earlier_rule<S: TokenStore>(store: S) {
    let mut texts = Vec::new();
    for number in 0..3 {
        let made = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
        // The constructors refuse the text, but reading a stored record accepts it.
        let mut record = serde_json::to_value(&made.record).unwrap();
        for field in ["name", "owner", "created_by", "request_id"] {
            record[field] = format!("{EARLIER}{number}").into();
        }
        store.insert(serde_json::from_value(record).unwrap(), None, None).await.unwrap();
        texts.push((made.record.key(), made.token.expose_secret().to_owned()));
    }
    let tokens = Tokens::new(keyring(), store).with_clock(FixedClock::new(now()));
    let project = texts[0].0.project;
    for order in [ListOrder::Name, ListOrder::Created, ListOrder::Expires] {
        let mut query = ListQuery { order, most: PageSize::clamped(1), ..ListQuery::new(project) };
        let mut listed = Vec::new();
        loop {
            let page = tokens.list(&query).await.unwrap();
            listed.extend(page.items.into_iter().map(|view| view.key()));
            let Some(next) = page.next else { break };
            query.after = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(listed.iter().collect::<HashSet<_>>().len(), 3, "{order}: {listed:?}");
    }
    let access = Access::to(&project, &[]);
    for (key, text) in &texts {
        let view = tokens.get(key).await.unwrap().unwrap();
        assert!(
            [view.name.as_str(), view.owner.as_str(), view.created_by.as_str()]
                .iter()
                .all(|text| text.starts_with(EARLIER))
        );
        assert_eq!(*tokens.verify(text, &access).await.unwrap().owner(), view.owner);
    }
    let is_revoked = async |text: &String| {
        tokens.verify(text, &access).await.is_err_and(|error| error.rejection() == Some(Rejection::Revoked))
    };
    let [(renamed, text), (rotated, old), (_, reported)] = &texts[..] else { panic!() };
    let view = tokens.rename(&actor(), renamed, Name::new("CI").unwrap()).await.unwrap();
    let (group, reason) = (RevokeGroup::Owner(view.owner), RevocationReason::Unspecified);
    assert_eq!(tokens.revoke_group(&actor(), &project, &group, reason).await.unwrap(), 1);
    let successor = tokens.rotate(&actor(), rotated, Rotation::with_grace(Duration::ZERO)).await.unwrap();
    assert!(successor.issued.record.name.as_str().starts_with(EARLIER));
    // The actor of a revocation may have such a text too.
    let earlier = tokens.get(rotated).await.unwrap().unwrap().created_by;
    tokens.revoke(&earlier, rotated, reason).await.unwrap();
    assert_eq!(tokens.get(rotated).await.unwrap().unwrap().revoked.unwrap().by, earlier);
    let outcome = tokens.report_leak(&actor(), &LeakedToken::new(reported).unwrap()).await.unwrap();
    assert!(matches!(outcome, LeakOutcome::Revoked(_, _)));
    for text in [text, old, reported] {
        assert!(is_revoked(text).await);
    }
}
