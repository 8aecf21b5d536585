//! Checks that no four characters of a secret appear in what a guard creates, passes on or attaches
//! to a response.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{ServiceConfig, resource};
use actix_web::{Error, HttpRequest};
use keyfob::actix::Guard;
use keyfob::clock::FixedClock;
use keyfob::http::{Authenticated, CredentialPlaces};
use keyfob::record::mint_with;
use keyfob::{MemoryStore, Policy, TokenStore, Tokens};

use crate::actix::world::{call, request};
use crate::axum::world::in_project;
use crate::support::{Script, actor, keyring, new_token, now};

/// The `Debug` texts that a handler or a middleware could log.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<String>>);

impl Seen {
    fn show(&self, value: &impl Debug) {
        *self.0.lock().unwrap() += &format!("{value:?} {value:#?}\n");
    }
}

#[tokio::test]
async fn nothing_shows_four_characters_of_a_secret() {
    let seen = Seen::default();
    // The secret of this token is always the same, so that it has no four characters of a logged
    // word.
    let mut drawn = Script::of("0qQ1zZ8xX3jJ7kKWv5yYqZ0Xw9HhJ2zKqVx4UuQjZ6kXyW7v");
    let made = mint_with(&mut drawn, &keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let store = MemoryStore::new();
    store.insert(made.record.clone(), None, None).await.unwrap();
    let tokens = Tokens::new(keyring(), store).with_clock(FixedClock::new(now()));
    let text = made.token.expose_secret();
    let tail = text.rsplit('_').next().unwrap();
    let guard = Guard::new(tokens).with_places(CredentialPlaces::new().with_header("x-api-key").unwrap());
    let route = guard.project_in_path("project", "").unwrap();
    seen.show(&guard);
    seen.show(&route);

    let inside = {
        let seen = seen.clone();
        move |caller: Authenticated, http: HttpRequest, request: ServiceRequest, next: Next<_>| {
            seen.show(&http);
            seen.show(&http.headers());
            seen.show(&request);
            seen.show(&caller);
            drop(http);
            forward(request, next)
        }
    };
    async fn forward(
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        next.call(request).await
    }
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/{project}").get(in_project).wrap(from_fn(inside.clone())).wrap(route.clone()));
        app.service(resource("/").get(in_project).wrap(route.clone()));
    };
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
        ("/146", &[token]),
        (&format!("/{text}"), &[token]),
        ("/", &[token]),
    ] {
        let response = call(app, request(path, headers)).await;
        met.push(response.status().as_u16());
        seen.show(&response);
        seen.show(&response.error());
    }
    assert_eq!(met, [200, 200, 400, 400, 401, 403, 404, 500]);
    let seen = seen.0.lock().unwrap();
    // The search must find the public parts of the token and the marked headers.
    assert!(seen.contains(made.record.id.as_str()) && seen.contains("\"x-api-key\": Sensitive"), "{seen}");
    for at in 0..tail.len() - 3 {
        assert!(!seen.contains(&tail[at..at + 4]), "{} of {tail}", &tail[at..at + 4]);
    }
}
