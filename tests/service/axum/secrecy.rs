//! Checks that no four characters of a secret appear in what a guard creates, passes on or logs.

use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get as on_get;
use keyfob::{
    MemoryStore, Policy, TokenStore, Tokens,
    axum::Guard,
    clock::FixedClock,
    http::{Authenticated, CredentialPlaces, Refusal},
    record::mint_with,
};
use tower::Layer;
use tracing_subscriber::fmt::MakeWriter;

use crate::axum::world::{get, in_project};
use crate::support::{Script, actor, keyring, new_token, now};

/// A buffer that collects all log lines. The test also writes the `Debug` text of some values to
/// the buffer.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u8>>>);

impl Seen {
    fn show(&self, value: &impl Debug) {
        writeln!(self.0.lock().unwrap(), "{value:?} {value:#?}").unwrap();
    }
}

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Seen {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Writes the `Debug` text of everything that the guard passes to a handler into `seen`, and logs
/// the request.
async fn inside(State(seen): State<Seen>, caller: Authenticated, request: Request, next: Next) -> Response {
    tracing::trace!(?request, "guarded");
    seen.show(&request);
    seen.show(request.headers());
    seen.show(&caller);
    seen.show(&caller.recheck().await);
    next.run(request).await
}

/// Writes the `Debug` text of a response to `seen`. If the response is a refusal, also writes the
/// text of the refusal and its cause, and logs the refusal.
async fn outside(State(seen): State<Seen>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    seen.show(&response);
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        tracing::warn!(error = refusal as &dyn std::error::Error, ?refusal);
        seen.show(refusal);
        seen.show(&refusal.cause());
    }
    response
}

/// Installs a global log subscriber, so that no event is disabled while the process runs. Without a
/// subscriber, a test on another thread that reaches an event first can disable this event for all
/// threads.
fn keep_events_of_interest() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).expect("no other test sets one");
    });
}

#[tokio::test]
async fn nothing_shows_four_characters_of_a_secret() {
    keep_events_of_interest();
    let seen = Seen::default();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(seen.clone()).finish();
    let _log = tracing::subscriber::set_default(log);

    // The secret of this token is always the same. In about one run in a hundred, a random secret
    // would contain four characters that also occur in a logged word.
    let mut drawn = Script::of("0qQ1zZ8xX3jJ7kKWv5yYqZ0Xw9HhJ2zKqVx4UuQjZ6kXyW7v");
    let made = mint_with(&mut drawn, &keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let store = MemoryStore::new();
    store.insert(made.record.clone(), None, None).await.unwrap();
    let tokens =
        Tokens::new(keyring(), store).with_clock(FixedClock::new(now())).with_events(keyfob::events::TracingSink);
    let text = made.token.expose_secret();
    let tail = text.rsplit('_').next().unwrap();

    let guard = Guard::new(tokens).with_places(CredentialPlaces::new().with_header("x-api-key").unwrap());
    let layer = guard.project_in_path("project", "").unwrap();
    seen.show(&guard);
    seen.show(&layer);
    seen.show(&layer.layer(tower::service_fn(|_: Request| async { Ok::<Response, Refusal>(Response::default()) })));
    let app = Router::new()
        .route(
            "/{project}",
            on_get(in_project).route_layer(from_fn_with_state(seen.clone(), inside)).layer(layer.clone()),
        )
        .route("/", on_get(in_project).layer(layer))
        .layer(from_fn_with_state(seen.clone(), outside));
    let bearer = format!("Bearer {text}");
    let short = &bearer[..bearer.len() - 1];
    let token = ("authorization", bearer.as_str());
    let mut met = Vec::new();
    for (path, headers) in [
        ("/145", &[token][..]),
        ("/145", &[("x-api-key", text)]),
        ("/145", &[token, ("x-api-key", text)]),
        ("/145", &[token, token]),
        ("/145", &[("authorization", short)]),
        ("/145", &[("authorization", text)]),
        ("/146", &[token]),
        ("/A", &[token]),
        (&format!("/{text}"), &[token]),
        ("/", &[token]),
    ] {
        let answer = get(&app, path, headers).await;
        met.push(answer.status.as_u16());
        seen.show(&(answer.headers, answer.body));
    }
    assert_eq!(met, [200, 200, 400, 400, 401, 401, 403, 404, 404, 500]);
    let seen = String::from_utf8(seen.0.lock().unwrap().clone()).unwrap();
    // The search must find the public parts of the token. Otherwise it would prove little that it
    // finds no secret.
    assert!(seen.contains(made.record.id.as_str()) && seen.contains("Sensitive") && seen.contains("TRACE"));
    for at in 0..tail.len() - 3 {
        assert!(!seen.contains(&tail[at..at + 4]), "{} of {tail}", &tail[at..at + 4]);
    }
}
