//! The rows of the table.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::{
    Access, Keyring, Policy, Scope, ScopeSet, TokenStore, mint,
    owners::OwnerState,
    record::{AddressRanges, Digest, RevocationReason},
    rotation::Rotation,
};

use crate::http::table::Expected::{self, Passed, Refused};
use crate::http::table::{Headers, Route, Row};
use crate::http::world::{HOUR, MS, Made, World};
use crate::support::{actor, changed, keyring, new_token, now, prefix, project, with_checksum};

const PATH: Route = Route::Path("145");
const ADA: Expected = Passed("ada in 145");
const INVALID: Expected = Refused(401, "invalid_token");

fn text(made: &Made) -> String {
    made.token.expose_secret().to_owned()
}

fn authorization(value: impl AsRef<[u8]>) -> Headers {
    vec![("authorization", value.as_ref().to_vec())]
}

fn bearer(text: &str) -> Headers {
    authorization(format!("Bearer {text}"))
}

fn basic(pair: &str) -> Headers {
    authorization(format!("Basic {}", STANDARD.encode(pair)))
}

/// Returns headers with one more.
fn and(mut headers: Headers, name: &'static str, value: &str) -> Headers {
    headers.push((name, value.as_bytes().to_vec()));
    headers
}

async fn usual(world: &World) -> String {
    text(&world.issue(world.usual()).await)
}

/// Returns the header with a new token, after an operation on it.
async fn after(world: &World, act: impl AsyncFnOnce(&Made)) -> Headers {
    let made = world.issue(world.usual()).await;
    act(&made).await;
    bearer(&text(&made))
}

async fn rotated(world: &World, later: std::time::Duration) -> Headers {
    after(world, async |made| {
        world.tokens().rotate(&actor(), &made.record.key(), Rotation::with_grace(MS * 2)).await.unwrap();
        world.clock.advance(later);
    })
    .await
}

/// Returns the header with a token that is bound to another token, after an operation on the
/// latter.
async fn bound(world: &World, act: impl AsyncFnOnce(&Made)) -> Headers {
    let manage = Scope::new("tokens:write").unwrap();
    let scopes = ScopeSet::new("repo:read tokens:write").unwrap();
    let issuer = world.issue(world.usual().with_scopes(scopes)).await;
    let verified = world.tokens().verify(&text(&issuer), &Access::to(&project("145"), &[])).await.unwrap();
    let delegation = verified.delegate(&manage).unwrap();
    let scopes = ScopeSet::new("repo:read").unwrap();
    let child = new_token().with_lifetime(keyfob::Lifetime::For(HOUR / 2)).with_scopes(scopes).within(&delegation);
    let child = text(&world.issue(child).await);
    act(&issuer).await;
    bearer(&child)
}

async fn from_network(world: &World, address: Option<&str>) -> Headers {
    let ranges = AddressRanges::new("10.0.0.0/8").unwrap();
    let headers = bearer(&text(&world.issue(world.usual().with_addresses(ranges)).await));
    match address {
        Some(address) => and(headers, "x-real-ip", address),
        None => headers,
    }
}

async fn in_header(world: &World, projects: &[&str]) -> Headers {
    let headers = bearer(&usual(world).await);
    projects.iter().fold(headers, |headers, project| and(headers, "x-project", project))
}

async fn at_host(world: &World, host: &str) -> Headers {
    and(bearer(&usual(world).await), "x-host", host)
}

macro_rules! rows {
    ($($name:literal: $method:ident $route:expr, |$world:ident| $headers:expr => $expected:expr;)+) => {
        vec![$(Row {
            name: $name,
            route: $route,
            method: stringify!($method),
            prepare: |$world| Box::pin(async move { let _ = $world; $headers }),
            expected: $expected,
        },)+]
    };
}

#[rustfmt::skip]
pub fn rows() -> Vec<Row> {
    rows! {
        // A credential that does not prove anything.
        "no credential": GET PATH, |world| vec![] => Refused(401, "missing_token");
        "not a token": GET PATH, |world| bearer("nonsense") => INVALID;
        "an empty word in quotes": GET PATH, |world| bearer("''") => Refused(400, "malformed_header");
        "a mistyped token": GET PATH, |world| bearer(&usual(world).await.replacen("145", "154", 1)) => INVALID;
        "a token without its last character": GET PATH, |world| {
            let token = usual(world).await;
            bearer(&token[..token.len() - 1])
        } => INVALID;
        "a token of another prefix": GET PATH, |world| bearer(&usual(world).await.replace("acme_pat", "acme_pet")) => INVALID;
        "a forged tag": GET PATH, |world| bearer(&with_checksum(&usual(world).await.replace("_145_", "_146_"))) => INVALID;
        "a token without a pepper": GET PATH, |world| {
            let issued = mint(&Keyring::unkeyed(prefix()), &Policy::default(), new_token(), &actor(), now()).unwrap();
            bearer(issued.token.expose_secret())
        } => INVALID;
        "an unknown token": GET PATH, |world| {
            bearer(mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().token.expose_secret())
        } => INVALID;
        "another secret under the id": GET PATH, |world| {
            let issued = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
            let other = changed(issued.record, |record| record.digest = Digest::from_bytes([7; 32]));
            world.store.insert(other, None, None).await.unwrap();
            bearer(issued.token.expose_secret())
        } => INVALID;

        // A token that was issued.
        "a good token": GET PATH, |world| bearer(&usual(world).await) => ADA;
        "one millisecond before the expiry": GET PATH, |world| after(world, async |_| world.clock.advance(HOUR - MS)).await => ADA;
        "at the expiry": GET PATH, |world| after(world, async |_| world.clock.advance(HOUR)).await => Refused(401, "expired");
        "revoked": GET PATH, |world| after(world, async |made| {
            world.tokens().revoke(&actor(), &made.record.key(), RevocationReason::default()).await.unwrap();
        }).await => Refused(401, "revoked");
        "rotated, in grace": GET PATH, |world| rotated(world, MS).await => ADA;
        "rotated, after its grace": GET PATH, |world| rotated(world, MS * 2).await => Refused(401, "rotated");
        "disabled": GET PATH, |world| after(world, async |made| {
            world.tokens().disable(&actor(), &made.record.key()).await.unwrap();
        }).await => Refused(401, "disabled");
        "pending": GET PATH, |world| bearer(&text(&world.issue(world.usual().with_confirm_within(MS)).await)) => Refused(401, "pending");
        "lapsed": GET PATH, |world| {
            let headers = bearer(&text(&world.issue(world.usual().with_confirm_within(MS)).await));
            world.clock.advance(MS);
            headers
        } => Refused(401, "lapsed");
        "not yet valid": GET PATH, |world| {
            bearer(&text(&world.issue(world.usual().with_not_before(now().saturating_add(MS))).await))
        } => Refused(401, "not_yet_valid");
        "outside the policy": GET PATH, |world| after(world, async |_| {
            world.set_policy(Policy::default().with_max_lifetime(MS));
        }).await => Refused(401, "policy");
        "bound to a token": GET PATH, |world| bound(world, async |_| ()).await => ADA;
        "bound to a revoked token": GET PATH, |world| bound(world, async |issuer| {
            world.tokens().revoke(&actor(), &issuer.record.key(), RevocationReason::default()).await.unwrap();
        }).await => Refused(401, "issuer_ended");
        "bound to a disabled token": GET PATH, |world| bound(world, async |issuer| {
            world.tokens().disable(&actor(), &issuer.record.key()).await.unwrap();
        }).await => Refused(401, "issuer_ended");
        "a suspended owner": GET PATH, |world| after(world, async |_| world.set_owners(Some(OwnerState::Suspended))).await => Refused(401, "owner_suspended");
        "an owner outside the project": GET PATH, |world| after(world, async |_| {
            world.set_owners(Some(OwnerState::OutsideProject));
        }).await => Refused(403, "owner_outside_project");
        "a directory that fails": GET PATH, |world| after(world, async |_| world.set_owners(None)).await => Refused(503, "unavailable");
        "a store that fails": GET PATH, |world| after(world, async |_| world.switch_off()).await => Refused(503, "unavailable");
        "another project": GET Route::Path("146"), |world| bearer(&usual(world).await) => Refused(403, "wrong_project");
        "a missing scope": GET PATH, |world| bearer(&text(&world.issue(new_token()).await)) => Refused(403, "insufficient_scope");
        "an allowed address": GET PATH, |world| from_network(world, Some("10.255.0.1")).await => ADA;
        "another address": GET PATH, |world| from_network(world, Some("11.0.0.1")).await => Refused(403, "wrong_address");
        "an address that is not one": GET PATH, |world| from_network(world, Some("10.0.0")).await => Refused(403, "wrong_address");

        // The form of the credential.
        "bearer in lower case": GET PATH, |world| authorization(format!("bearer {}", usual(world).await)) => ADA;
        "a token in quotes": GET PATH, |world| bearer(&format!("'{}',", usual(world).await)) => ADA;
        "no token after the scheme": GET PATH, |world| authorization("Bearer") => Refused(400, "malformed_header");
        "another scheme": GET PATH, |world| authorization("Digest username=ada") => Refused(401, "wrong_scheme");
        "no scheme": GET PATH, |world| authorization(usual(world).await) => Refused(401, "wrong_scheme");
        "bytes that are not ASCII": GET PATH, |world| authorization(b"Bearer acme_pat_\xff\xfe") => INVALID;
        "a value of more than 8 KiB": GET PATH, |world| bearer(&format!("acme_pat_{}", "x".repeat(8192))) => Refused(400, "malformed_header");
        "the same header twice": GET PATH, |world| {
            let token = usual(world).await;
            and(bearer(&token), "authorization", &format!("Bearer {token}"))
        } => Refused(400, "repeated_token");
        "a foreign header and a token": GET PATH, |world| and(authorization("Digest x"), "authorization", &format!("Bearer {}", usual(world).await)) => Refused(400, "repeated_token");
        "Basic with the token as the user name": GET PATH, |world| basic(&format!("{}:x", usual(world).await)) => ADA;
        "Basic with the token as the password": GET PATH, |world| basic(&format!("eve:{}", usual(world).await)) => ADA;
        "Basic with two tokens": GET PATH, |world| {
            let token = usual(world).await;
            basic(&format!("{token}:{token}"))
        } => Refused(400, "repeated_token");
        "Basic without a token": GET PATH, |world| basic("ada:secret") => INVALID;
        "Basic that is not base64": GET PATH, |world| authorization("Basic %%%") => Refused(400, "malformed_header");
        "Basic without a colon": GET PATH, |world| basic("ada") => Refused(400, "malformed_header");
        "X-API-Key": GET PATH, |world| and(vec![], "x-api-key", &usual(world).await) => ADA;
        "X-API-Key without a value": GET PATH, |world| and(vec![], "x-api-key", "") => Refused(400, "malformed_header");
        "two places": GET PATH, |world| {
            let token = usual(world).await;
            and(bearer(&token), "x-api-key", &token)
        } => Refused(400, "repeated_token");
        "no credential where Basic is asked for": GET Route::Basic, |world| vec![] => Refused(401, "missing_token");
        "a bad token where Basic is asked for": GET Route::Basic, |world| basic("acme_pat_x:x") => INVALID;
        "another scope where Basic is asked for": GET Route::Basic, |world| bearer(&text(&world.issue(new_token()).await)) => Refused(403, "insufficient_scope");
        "Basic where it is asked for": GET Route::Basic, |world| basic(&format!("ada:{}", usual(world).await)) => ADA;

        // Methods.
        "HEAD with a token": HEAD PATH, |world| bearer(&usual(world).await) => ADA;
        "HEAD without a token": HEAD PATH, |world| vec![] => Refused(401, "missing_token");
        "OPTIONS without a token": OPTIONS PATH, |world| vec![] => Refused(401, "missing_token");
        "POST with a token": POST PATH, |world| bearer(&usual(world).await) => ADA;
        "POST without a token": POST PATH, |world| vec![] => Refused(401, "missing_token");

        // The project of the request.
        "a project that cannot exist": GET Route::Path("Not-A-Project"), |world| bearer(&usual(world).await) => Refused(404, "not_found");
        "the project in a header": GET Route::Header, |world| in_header(world, &["145"]).await => ADA;
        "another project in a header": GET Route::Header, |world| in_header(world, &["146"]).await => Refused(403, "wrong_project");
        "no project in a header": GET Route::Header, |world| in_header(world, &[]).await => Refused(400, "invalid_project");
        "two projects in headers": GET Route::Header, |world| in_header(world, &["145", "145"]).await => Refused(400, "invalid_project");
        "a malformed project in a header": GET Route::Header, |world| in_header(world, &["1 45"]).await => Refused(400, "invalid_project");
        "the project in the host name": GET Route::By, |world| at_host(world, "145.acme.example").await => ADA;
        "another project in the host name": GET Route::By, |world| at_host(world, "146.acme.example").await => Refused(403, "wrong_project");
        "a malformed project in the host name": GET Route::By, |world| at_host(world, "..").await => Refused(400, "invalid");
        "a fixed project": GET Route::Fixed, |world| bearer(&usual(world).await) => ADA;
        "the token's own project": GET Route::Own, |world| bearer(&text(&world.issue(new_token()).await)) => Passed("ada of 145");
        "no credential for the own project": GET Route::Own, |world| vec![] => Refused(401, "missing_token");
        "a project that the handler compares": GET Route::Late, |world| bearer(&usual(world).await) => ADA;
        "another project that the handler compares": GET Route::Late, |world| {
            let new = keyfob::NewToken::new(project("146"), "ada".parse().unwrap(), "CI".parse().unwrap());
            bearer(&text(&world.issue(new).await))
        } => Refused(403, "wrong_project");

        // Beside another authentication.
        "beside: a good token": GET Route::Beside, |world| bearer(&usual(world).await) => Passed("token of ada");
        "beside: a good token and a session": GET Route::Beside, |world| and(bearer(&usual(world).await), "cookie", "session=x") => Passed("token of ada");
        "beside: a session": GET Route::Beside, |world| and(vec![], "cookie", "session=x") => Passed("other");
        "beside: nothing": GET Route::Beside, |world| vec![] => Passed("other");
        "beside: a signed token": GET Route::Beside, |world| bearer("eyJhbGciOiJIUzI1NiJ9.e30.c2ln") => Passed("other");
        "beside: another user's password": GET Route::Beside, |world| basic("ada:secret") => Passed("other");
        "beside: a mistyped token and a session": GET Route::Beside, |world| {
            and(bearer(&usual(world).await.replacen("145", "154", 1)), "cookie", "session=x")
        } => INVALID;
        "beside: a revoked token and a session": GET Route::Beside, |world| and(after(world, async |made| {
            world.tokens().revoke(&actor(), &made.record.key(), RevocationReason::default()).await.unwrap();
        }).await, "cookie", "session=x") => Refused(401, "revoked");
        "beside: a bad token as a password": GET Route::Beside, |world| basic("ada:acme_pat_x") => INVALID;
        "beside: a signed token and a token": GET Route::Beside, |world| and(bearer("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"), "x-api-key", &usual(world).await) => Refused(400, "repeated_token");
        "beside: a token without a scope": GET Route::Beside, |world| bearer(&text(&world.issue(new_token()).await)) => Refused(403, "insufficient_scope");
        "beside: a store that fails": GET Route::Beside, |world| after(world, async |_| world.switch_off()).await => Refused(503, "unavailable");
        "beside: a handler for tokens only": GET Route::BesideStrict, |world| bearer(&usual(world).await) => ADA;
        "beside: no token for a handler for tokens only": GET Route::BesideStrict, |world| and(vec![], "cookie", "session=x") => Refused(401, "missing_token");
        "beside: a signed token for a handler for tokens only": GET Route::BesideStrict, |world| bearer("eyJhbGciOiJIUzI1NiJ9.e30.c2ln") => INVALID;

        // Faults of the service.
        "no guard": GET Route::Unguarded, |world| bearer(&usual(world).await) => Refused(500, "unguarded");
        "a guard of another kind": GET Route::WrongKind, |world| bearer(&usual(world).await) => Refused(500, "unguarded");
        "a guard on a path without a project": GET Route::Misplaced, |world| bearer(&usual(world).await) => Refused(500, "misplaced_guard");
    }
}
