//! The OpenAPI description of guarded routes.

use keyfob::http::{CredentialPlaces, Framework, Guard, PathParameter, Refusal};
use keyfob::openapi::TokenSecurity;
use keyfob::{MemoryStore, Rejection, Tokens};
use serde_json::{Value, json};
use utoipa::{IntoResponses, Modify, OpenApi, PartialSchema};

use crate::support::keyring;

/// A framework whose requests are never read.
struct NoFramework;

impl Framework for NoFramework {
    type Request = ();

    fn header<'r>(_: &'r (), _: &'r str) -> impl Iterator<Item = &'r [u8]> {
        std::iter::empty()
    }

    fn path_parameter(_: &mut (), _: &str) -> PathParameter {
        PathParameter::Misplaced
    }

    fn peer_address(_: &mut ()) -> Option<std::net::IpAddr> {
        None
    }

    fn attach<T: Clone + Send + Sync + 'static>(_: &mut (), _: T) {}

    fn attached<T: Clone + Send + Sync + 'static>(_: &()) -> Option<T> {
        None
    }
}

fn guard() -> Guard<NoFramework> {
    Guard::new(Tokens::new(keyring(), MemoryStore::new()))
}

#[utoipa::path(get, path = "/repo", responses((status = 200, body = String), Refusal), security(("token" = ["repo:read"])))]
#[expect(dead_code, reason = "the macro needs a function")]
fn read_repo() {}

#[derive(OpenApi)]
#[openapi(paths(read_repo))]
struct Api;

fn document(security: &TokenSecurity) -> Value {
    let mut document = Api::openapi();
    security.modify(&mut document);
    serde_json::to_value(document).unwrap()
}

#[test]
fn a_guard_without_settings_has_the_scheme_bearer() {
    let document = document(&TokenSecurity::of(&guard()));
    let bearer = json!({
        "type": "http", "scheme": "bearer", "bearerFormat": "acme_pat",
        "description": "A token, which begins with `acme_pat_`.",
    });
    assert_eq!(document["components"]["securitySchemes"], json!({ "token": bearer }));
}

#[test]
fn each_place_of_the_guard_has_a_scheme() {
    let places = CredentialPlaces::new().with_scheme("Token").unwrap().with_bare_token();
    let places = places.with_header("X-API-Key").unwrap().with_header("x!key").unwrap();
    let security = TokenSecurity::of(&guard().with_places(places).with_basic_challenge());
    let document = document(&security);
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let found: Vec<_> =
        schemes.iter().map(|(name, it)| (name.as_str(), it["type"].as_str().unwrap(), &it["name"])).collect();
    let (none, authorization) = (&Value::Null, &json!("Authorization"));
    assert_eq!(
        found,
        [
            ("token", "http", none),
            ("token_bare", "apiKey", authorization),
            ("token_basic", "http", none),
            ("token_header_x-api-key", "apiKey", &json!("x-api-key")),
            ("token_header_x_key", "apiKey", &json!("x!key")),
            ("token_scheme_token", "apiKey", authorization),
        ]
    );
    assert_eq!(schemes["token_basic"]["scheme"], "basic");
    assert!(!format!("{security:?}").contains("acme_pat"));
}

#[test]
fn a_route_requires_one_scheme_and_all_scopes() {
    let guard = guard();
    let route = guard.own_project("repo:read user").unwrap();
    let security = TokenSecurity::of(&guard).with_basic();
    let requirements = serde_json::to_value(security.requirements(&route)).unwrap();
    assert_eq!(requirements, json!([{ "token": ["repo:read", "user"] }, { "token_basic": ["repo:read", "user"] }]));
    assert_eq!(document(&security)["paths"]["/repo"]["get"]["security"], json!([{ "token": ["repo:read"] }]));
}

#[test]
fn basic_is_required_once_if_it_is_added_twice() {
    let guard = guard().with_basic_challenge();
    let route = guard.own_project("").unwrap();
    let security = TokenSecurity::of(&guard).with_basic();
    let requirements = serde_json::to_value(security.requirements(&route)).unwrap();
    assert_eq!(requirements, json!([{ "token": [] }, { "token_basic": [] }]));
}

/// Every reference of the document has a target, and the schema has the members of the body.
#[test]
fn a_refusal_is_described() {
    let document = document(&TokenSecurity::of(&guard()));
    let responses = document["paths"]["/repo"]["get"]["responses"].as_object().unwrap();
    assert_eq!(responses.keys().collect::<Vec<_>>(), ["200", "400", "401", "403", "503"]);
    for (status, response) in responses.iter().skip(1) {
        let schema = response["content"]["application/problem+json"]["schema"]["$ref"].as_str().unwrap();
        assert!(document.pointer(schema.trim_start_matches('#')).is_some_and(Value::is_object), "{schema}");
        assert!(response["headers"]["Cache-Control"].is_object());
        assert_eq!(response["headers"]["WWW-Authenticate"].is_object(), status != "503", "{status}");
    }
    assert_eq!(Refusal::responses().len(), 4);

    let schema = serde_json::to_value(Refusal::schema()).unwrap();
    let body: Value = serde_json::from_str(&Refusal::challenge(Rejection::Expired, "acme").body()).unwrap();
    let body = body.as_object().unwrap();
    let members: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(members, body.keys().collect::<Vec<_>>());
    let mut required: Vec<_> =
        schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    required.sort_unstable();
    assert_eq!(required, members);
    for (member, value) in body {
        let kind = &schema["properties"][member]["type"];
        let is = |kind: &str| kind == if value.is_string() { "string" } else { "integer" };
        let kinds = kind.as_array().cloned().unwrap_or_else(|| vec![kind.clone()]);
        assert!(kinds.iter().filter_map(Value::as_str).any(is), "{member}: {kind}");
    }
}
