//! Checks that a long-lived connection closes when its token ends.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get as on_get;
use keyfob::{
    ScopeSet,
    access::{InProject, OwnProject, ProjectRequirement},
    axum::Axum,
    http::{Authenticated, Refusal, RouteGuard},
    owners::OwnerState,
    record::{Narrowing, RevocationReason},
};

use crate::axum::world::{HOUR, MS, World, with};
use crate::support::{actor, new_token, project};

type Kept<P> = Arc<Mutex<Option<Authenticated<P>>>>;

/// Sends a request to a handler that stores its `Authenticated` caller. Returns this caller after
/// the response.
async fn kept(world: &World, made: &crate::axum::world::Made) -> Authenticated {
    let slot = Kept::default();
    let within = Arc::clone(&slot);
    let keep = async move |caller: Authenticated| *within.lock().unwrap() = Some(caller);
    let guard = world.guard.project_in_path("project", "repo:read").unwrap();
    let app = Router::new().route("/projects/{project}", on_get(keep).layer(guard));
    with(&app, "/projects/145", made).await.passed("");
    let caller = slot.lock().unwrap().take();
    caller.unwrap()
}

fn lasts<T: Clone + Send + Sync + 'static>(_: &T) {}

fn told(again: Result<Authenticated, Refusal>) -> (u16, &'static str) {
    again.map_or_else(|refusal| (refusal.status(), refusal.reason()), |_| (200, ""))
}

#[tokio::test]
async fn it_ends_when_the_token_expires() {
    let world = World::new();
    let caller = kept(&world, &world.usual().await).await;
    lasts(&caller);
    world.clock.advance(HOUR - MS);
    let again = caller.recheck().await.unwrap();
    assert_eq!((again.key(), again.owner()), (caller.key(), caller.owner()));
    world.clock.advance(MS);
    assert_eq!(told(again.recheck().await), (401, "expired"));
}

#[tokio::test]
async fn it_ends_when_the_token_is_revoked_or_its_owner_suspended() {
    let world = World::new();
    let caller = kept(&world, &world.usual().await).await;
    for (state, expected) in [
        (OwnerState::Suspended, (401, "owner_suspended")),
        (OwnerState::OutsideProject, (403, "owner_outside_project")),
        (OwnerState::Active, (200, "")),
    ] {
        *world.directory.0.lock().unwrap() = state;
        assert_eq!(told(caller.recheck().await), expected);
    }
    world.tokens.revoke(&actor(), &caller.key(), RevocationReason::CessationOfOperation).await.unwrap();
    let refusal = caller.recheck().await.unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (401, "revoked"));
    assert_eq!(refusal.cause().unwrap().key(), Some(caller.key()));
}

#[tokio::test]
async fn it_ends_when_the_route_needs_more_than_the_token_still_has() {
    let world = World::new();
    let caller = kept(&world, &world.usual().await).await;
    let only = |scopes| Narrowing { scopes: Some(ScopeSet::new(scopes).unwrap()), ..Narrowing::default() };
    world.tokens.narrow(&actor(), &caller.key(), only("repo:read")).await.unwrap();
    assert_eq!(caller.recheck().await.unwrap().scopes().as_str(), "repo:read");
    world.tokens.narrow(&actor(), &caller.key(), only("")).await.unwrap();
    assert_eq!(told(caller.recheck().await), (403, "insufficient_scope"));
}

/// A handler passes the caller to a spawned task. The task ends when the token ends.
#[tokio::test]
async fn a_spawned_task_ends_with_the_token() {
    let world = World::new();
    let caller = kept(&world, &world.usual().await).await;
    let key = caller.key();
    let task = tokio::spawn(async move {
        let mut caller = caller;
        loop {
            caller = match caller.recheck().await {
                Ok(caller) => caller,
                Err(refusal) => return refusal.reason(),
            };
            tokio::task::yield_now().await;
        }
    });
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    world.tokens.revoke(&actor(), &key, RevocationReason::default()).await.unwrap();
    assert_eq!(task.await.unwrap(), "revoked");
}

#[tokio::test]
async fn a_caller_of_its_own_project_can_be_rechecked() {
    let world = World::new();
    let slot = Kept::<OwnProject>::default();
    let within = Arc::clone(&slot);
    let keep = async move |caller: Authenticated<OwnProject>| *within.lock().unwrap() = Some(caller);
    let app = Router::new().route("/", on_get(keep).layer(world.guard.own_project("").unwrap()));
    with(&app, "/", &world.issue(new_token()).await).await.passed("");
    let caller = slot.lock().unwrap().take().unwrap();
    assert_eq!(caller.recheck().await.unwrap().verified().key(), caller.key());
    world.tokens.disable(&actor(), &caller.key()).await.unwrap();
    assert_eq!(caller.recheck().await.unwrap_err().reason(), "disabled");
}

/// A recheck uses the client address of the original request.
#[tokio::test]
async fn the_address_is_kept() {
    let world = World::new();
    let made = world.issue(new_token().with_addresses("10.0.0.0/8".parse().unwrap())).await;
    let guard = world.guard.clone().with_client_address(|_| Some([10, 0, 0, 1].into()));
    let slot = Kept::default();
    let within = Arc::clone(&slot);
    let keep = async move |caller: Authenticated| *within.lock().unwrap() = Some(caller);
    let app = Router::new().route("/", on_get(keep).layer(guard.project(made.record.project, "").unwrap()));
    with(&app, "/", &made).await.passed("");
    let caller = slot.lock().unwrap().take().unwrap();
    assert_eq!(told(caller.recheck().await), (200, ""));
    let narrowing = Narrowing { addresses: Some("10.1.0.0/16".parse().unwrap()), ..Narrowing::default() };
    world.tokens.narrow(&actor(), &caller.key(), narrowing).await.unwrap();
    assert_eq!(told(caller.recheck().await), (403, "wrong_address"));
}

/// A recheck repeats the checks of all guards, also if the kind of their project requirements
/// changes from guard to guard, and even if the handler takes the caller of a guard further
/// outside.
#[tokio::test]
async fn it_ends_when_one_of_three_guards_needs_more() {
    async fn kept<P: ProjectRequirement + 'static>(world: &World, guards: [RouteGuard<Axum>; 3]) -> Authenticated<P> {
        let made = world.issue(new_token().with_scopes(ScopeSet::new("a b c").unwrap())).await;
        let slot = Kept::<P>::default();
        let within = Arc::clone(&slot);
        let keep = async move |caller: Authenticated<P>| *within.lock().unwrap() = Some(caller);
        let [outer, middle, inner] = guards;
        let app = Router::new().route("/", on_get(keep).route_layer(inner).route_layer(middle).layer(outer));
        with(&app, "/", &made).await.passed("");
        slot.lock().unwrap().take().unwrap()
    }
    for rest in ["b c", "a c", "a b"] {
        let world = World::new();
        let own = |scope| world.guard.own_project(scope).unwrap();
        let in_145 = |scope| world.guard.project(project("145"), scope).unwrap();
        let of_own = [
            kept::<OwnProject>(&world, [own("a"), in_145("b"), own("c")]).await,
            kept::<OwnProject>(&world, [in_145("a"), own("b"), in_145("c")]).await,
        ];
        let of_145 = [
            kept::<InProject>(&world, [in_145("a"), own("b"), in_145("c")]).await,
            kept::<InProject>(&world, [own("a"), in_145("b"), own("c")]).await,
        ];
        for (of_own, of_145) in of_own.into_iter().zip(of_145) {
            let (of_own, of_145) = (of_own.recheck().await.unwrap(), of_145.recheck().await.unwrap());
            for key in [of_own.key(), of_145.key()] {
                let only = Narrowing { scopes: Some(ScopeSet::new(rest).unwrap()), ..Narrowing::default() };
                world.tokens.narrow(&actor(), &key, only).await.unwrap();
            }
            assert_eq!(of_own.recheck().await.unwrap_err().reason(), "insufficient_scope", "{rest}");
            assert_eq!(of_145.recheck().await.unwrap_err().reason(), "insufficient_scope", "{rest}");
        }
    }
}

/// The guard of the router requires one scope, and the guard of the route requires another. Routers
/// with many routes are often built like this. A new request needs both scopes, and so does a
/// recheck.
#[tokio::test]
async fn it_ends_when_an_outer_guard_needs_more_than_the_token_still_has() {
    let world = World::new();
    let made = world.issue(new_token().with_scopes(ScopeSet::new("repo:read chat:use").unwrap())).await;
    let slot = Kept::default();
    let within = Arc::clone(&slot);
    let keep = async move |caller: Authenticated| *within.lock().unwrap() = Some(caller);
    let guard = |scopes| world.guard.project_in_path("project", scopes).unwrap();
    let app = Router::new()
        .route("/projects/{project}", on_get(keep).layer(guard("chat:use")))
        .route_layer(guard("repo:read"));
    with(&app, "/projects/145", &made).await.passed("");
    let caller = slot.lock().unwrap().take().unwrap();
    let only = Narrowing { scopes: Some(ScopeSet::new("chat:use").unwrap()), ..Narrowing::default() };
    world.tokens.narrow(&actor(), &caller.key(), only).await.unwrap();
    let anew = with(&app, "/projects/145", &made).await;
    assert_eq!(anew.status.as_u16(), 403, "a new request is refused");
    assert_eq!(told(caller.recheck().await), (403, "insufficient_scope"));
}
