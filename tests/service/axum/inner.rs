//! The inner service of a guarded service: which instance the guard calls, and when it clones the
//! service.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{Method, Request, Response};
use keyfob::axum::Axum;
use keyfob::http::{Caller, Framework, RouteGuard};
use tower::{Layer, Service};

use crate::axum::world::{bearer, request};
use crate::http::world::{Pace, World};
use crate::support::project;

/// The numbers that all clones of a service share.
#[derive(Default)]
struct Counts {
    clones: AtomicUsize,
    calls: AtomicUsize,
    /// The places that `poll_ready` has reserved, and that were neither used nor given back.
    reserved: AtomicUsize,
}

impl Counts {
    fn read(&self) -> (usize, usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (read(&self.clones), read(&self.calls), read(&self.reserved))
    }
}

/// A service that reserves a place in `poll_ready`, as a limit on concurrency does. A call uses the
/// place. A drop gives the place back.
struct Inner {
    counts: Arc<Counts>,
    is_ready: bool,
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        self.counts.clones.fetch_add(1, Ordering::SeqCst);
        Self { counts: Arc::clone(&self.counts), is_ready: false }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.counts.reserved.fetch_sub(usize::from(self.is_ready), Ordering::SeqCst);
    }
}

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.counts.reserved.fetch_add(usize::from(!self.is_ready), Ordering::SeqCst);
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(self.is_ready, "another instance was ready");
        assert!(request.extensions().get::<Caller>().is_some(), "the caller is attached");
        self.is_ready = false;
        self.counts.reserved.fetch_sub(1, Ordering::SeqCst);
        self.counts.calls.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(Body::empty())))
    }
}

/// Makes a service ready, and calls it with these headers. Returns the status of the response.
async fn send<S>(service: &mut S, headers: &[(&str, &str)]) -> u16
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    poll_fn(|context| service.poll_ready(context)).await.unwrap();
    service.call(request(Method::GET, "/", headers)).await.unwrap().status().as_u16()
}

fn route<F: Framework>(world: &World) -> RouteGuard<F> {
    world.guard::<F>().project(project("145"), "repo:read").unwrap()
}

/// Puts a layer around the inner service, and checks the counts after each of four requests.
async fn check<L, S>(pace: Pace, authorization: &str, layer: L)
where
    L: Layer<Inner, Service = S>,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let clones = if pace == Pace::FromMemory { [0, 0, 1] } else { [1, 2, 3] };
    let good = [("authorization", authorization)];
    let counts = Arc::new(Counts::default());
    let mut service = layer.layer(Inner { counts: Arc::clone(&counts), is_ready: false });
    assert_eq!(send(&mut service, &good).await, 200);
    assert_eq!(counts.read(), (clones[0], 1, 0), "{pace:?}");
    assert_eq!(send(&mut service, &good).await, 200);
    assert_eq!(counts.read(), (clones[1], 2, 0), "{pace:?}");
    // A guarded service that stays open must not keep the place of a refused request.
    assert_eq!(send(&mut service, &[]).await, 401);
    assert_eq!(counts.read(), (clones[2], 2, 0), "{pace:?}");
    assert_eq!(send(&mut service, &good).await, 200);
    assert_eq!((counts.read().1, counts.read().2), (3, 0), "{pace:?}");
}

#[tokio::test]
async fn the_instance_that_was_ready_is_called_or_dropped() {
    for pace in [Pace::FromMemory, Pace::AfterWait] {
        let world = World::at(pace);
        let authorization = bearer(&world.issue(world.usual()).await);
        check(pace, &authorization, route::<Axum>(&world)).await;
        #[cfg(feature = "tonic")]
        check(pace, &authorization, route::<keyfob::tonic::Tonic>(&world)).await;
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_while_it_waits_gives_its_place_back() {
    let world = World::at(Pace::AfterWait);
    let authorization = bearer(&world.issue(world.usual()).await);
    let counts = Arc::new(Counts::default());
    let mut service = route::<Axum>(&world).layer(Inner { counts: Arc::clone(&counts), is_ready: false });
    poll_fn(|context| service.poll_ready(context)).await.unwrap();
    let answer = service.call(request(Method::GET, "/", &[("authorization", &authorization)]));
    assert_eq!(counts.read(), (1, 0, 1));
    drop(answer);
    assert_eq!(counts.read(), (1, 0, 0));
}

/// Calls a service in front of which a function of the host panics. Checks the count of places.
async fn check_panic<F: Framework>(world: &World)
where
    RouteGuard<F>: Layer<Inner>,
    <RouteGuard<F> as Layer<Inner>>::Service: Service<Request<Body>, Error = Infallible>,
{
    let guard = world.guard::<F>().with_client_address(|_| panic!("a function of the host"));
    let counts = Arc::new(Counts::default());
    let inner = Inner { counts: Arc::clone(&counts), is_ready: false };
    let mut service = guard.project(project("145"), "").unwrap().layer(inner);
    poll_fn(|context| service.poll_ready(context)).await.unwrap();
    assert_eq!(counts.read().2, 1);
    let answer = catch_unwind(AssertUnwindSafe(|| service.call(request(Method::GET, "/", &[]))));
    assert!(answer.is_err());
    assert_eq!(counts.read(), (1, 0, 0));
}

/// A layer outside may catch the panic, and keep the guarded service open.
#[tokio::test]
async fn a_request_whose_check_panics_gives_its_place_back() {
    let world = World::at(Pace::FromMemory);
    check_panic::<Axum>(&world).await;
    #[cfg(feature = "tonic")]
    check_panic::<keyfob::tonic::Tonic>(&world).await;
}

/// The functions of the host that need no credential are called once for each request.
#[tokio::test]
async fn a_function_of_the_host_is_called_once_even_if_the_store_waits() {
    for pace in [Pace::FromMemory, Pace::AfterWait] {
        let world = World::at(pace);
        let authorization = bearer(&world.issue(world.usual()).await);
        let calls = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let count = |at: usize| {
            let calls = Arc::clone(&calls);
            move || calls[at].fetch_add(1, Ordering::SeqCst)
        };
        let (address, metadata, by) = (count(0), count(1), count(2));
        let guard = world.guard::<Axum>().with_client_address(move |_| {
            address();
            None
        });
        let guard = guard.with_resource_metadata(move |_| {
            metadata();
            None
        });
        let route = guard.project_by(
            move |_| {
                by();
                Ok::<_, keyfob::Invalid>(project("145"))
            },
            "",
        );
        let counts = Arc::new(Counts::default());
        let mut service = route.unwrap().layer(Inner { counts, is_ready: false });
        assert_eq!(send(&mut service, &[("authorization", &authorization)]).await, 200);
        assert_eq!(calls.each_ref().map(|calls| calls.load(Ordering::SeqCst)), [1; 3], "{pace:?}");
    }
}
