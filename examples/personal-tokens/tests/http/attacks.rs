//! Tries attacks on a person's tokens. The service must refuse each of these attacks.

use std::time::Duration;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::Request;
use keyfob::{Actor, Name, NewToken, TokenStore, mint, record::Issuer};
use personal_tokens::db::query;
use personal_tokens::setup::Settings;
use serde_json::{Value, json};

use crate::support::{Answer, Host, REVOKE_ALL, TOKENS, WHOAMI};

const PAGE: &str = "/settings/tokens";

/// Another site makes the browser of a signed-in person send a form. The browser ignores
/// `SameSite`, so it also sends the session cookie. The form has no csrf value, a guessed value or
/// a stolen value.
#[tokio::test]
async fn a_form_of_another_site() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    let (uuid, token) = (made["uuid"].as_str().unwrap(), made["token"].as_str().unwrap());
    let page = ada.get("/settings/tokens?new=1").await;
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    let eve = host.eve().await;
    let hers = eve.get(PAGE).await.field("csrf");
    for (path, fields) in [
        (PAGE.into(), format!("form={form}&project=1&name=n&amount=1&unit=days")),
        (format!("{PAGE}/{uuid}/delete"), "typed=CI".into()),
        (format!("{PAGE}/{uuid}/rotate"), format!("form={form}&grace=0")),
        (format!("{PAGE}/{uuid}/disable"), String::new()),
        (format!("{PAGE}/{uuid}/connect"), "tool=vscode&do=download".into()),
        ("/sign-out".into(), String::new()),
        ("/settings/password".into(), "present=p&new=n&again=n".into()),
        ("/admin/people/1/revoke-all".into(), "typed=ada".into()),
        ("/admin/people/2/suspend".into(), String::new()),
        ("/admin/projects/1/revoke-all".into(), "typed=Personal+(ada)".into()),
        ("/admin/models".into(), "project=1&name=m&upstream=u".into()),
    ] {
        // The service refuses a form from another site even if it has the right csrf value.
        for site in ["cross-site", "same-site"] {
            let request = Request::post(&path)
                .header("cookie", &ada.cookie)
                .header("sec-fetch-site", site)
                .header("content-type", "application/x-www-form-urlencoded");
            let body = format!("csrf={csrf}&{fields}");
            host.send(request.body(body.into()).unwrap()).await.is(403);
        }
        // The service refuses a form from its own site if the csrf value is missing, wrong or from
        // another session.
        assert!(matches!(ada.post_form(&path, &fields).await.status.as_u16(), 403 | 422), "{path}");
        for wrong in ["", "0", &hers] {
            ada.post_form(&path, &format!("csrf={wrong}&{fields}")).await.is(403);
        }
    }
    for (method, path) in [("POST", TOKENS.into()), ("POST", REVOKE_ALL.into()), ("DELETE", format!("{TOKENS}{uuid}"))]
    {
        let request = Request::builder().method(method).uri(&path).header("cookie", &ada.cookie);
        let request = request.header("sec-fetch-site", "cross-site").header("content-type", "application/json");
        host.send(request.body(r#"{"name": "n"}"#.into()).unwrap()).await.is(403);
    }
    host.with_token(WHOAMI, token).await.is(200);
    assert_eq!(ada.get(TOKENS).await.json().as_array().unwrap().len(), 1);
    ada.get(PAGE).await.is(200);
}

/// Every page forbids that another page shows it in a frame. Two headers say so: one for new
/// browsers and one for old browsers.
#[tokio::test]
async fn a_frame_around_the_page() {
    let host = Host::start().await;
    let ada = host.ada().await;
    for path in ["/sign-in", PAGE, "/settings/tokens?new=1", "/admin", "/admin/models", "/nowhere", TOKENS] {
        let answer = ada.get(path).await;
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
}

/// An attacker puts a session id into a person's browser before the person signs in. The id is the
/// id of the attacker's own session, or an invented id. After the sign-in, the person's session
/// must have a different id.
#[tokio::test]
async fn a_session_that_was_planted() {
    let host = Host::start().await;
    let planted = host.eve().await;
    let again = planted
        .post_form("/sign-in", &format!("name=ada&password={}", host.first.password))
        .await
        .is(303)
        .header("set-cookie")
        .to_owned();
    assert!(!again.starts_with(&planted.cookie), "the id is a new one");
    planted.get(PAGE).await.is(303);
    planted.get(TOKENS).await.is(401);

    let made_up = "session=AAAAAAAAAAAAAAAAAAAAAA";
    let request = Request::post("/sign-in")
        .header("cookie", made_up)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded");
    let body = format!("name=ada&password={}", host.first.password);
    let answer = host.send(request.body(body.into()).unwrap()).await.is(303);
    assert!(!answer.header("set-cookie").starts_with(made_up));
    let request = Request::get(PAGE).header("cookie", made_up);
    host.send(request.body(Body::empty()).unwrap()).await.is(303);
}

/// An attacker sends a copied cookie after the session has expired. A session lasts eight hours.
#[tokio::test]
async fn a_session_that_has_expired() {
    let host = Host::start().await;
    let ada = host.ada().await;
    // Sessions use the system's clock, in seconds.
    let expire_in = async |seconds: i64| {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
        let change = query("UPDATE sessions SET expires_at = ?").bind(now + seconds);
        assert_eq!(change.execute(&host.app.db).await.unwrap(), 1);
    };
    expire_in(60).await;
    ada.get(PAGE).await.is(200);
    expire_in(0).await;
    assert_eq!(ada.get(PAGE).await.is(303).header("location"), "/sign-in");
    ada.get(TOKENS).await.is(401);
    ada.post(json!({"name": "n"})).await.is(401);
}

/// An attacker on the network, or a script in the page, tries to read the session cookie. The
/// attributes and the name of the cookie prevent this attack: a browser ignores a cookie
/// whose name begins with `__Host-` unless the cookie is `Secure`.
#[tokio::test]
async fn a_cookie_that_is_overheard() {
    for behind_tls in [false, true] {
        let host = Host::start_with(Settings { behind_tls, ..Settings::default() }).await;
        let answer = host.try_sign_in(&host.first.name, &host.first.password).await.is(303);
        let cookie = answer.header("set-cookie");
        let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(attributes.contains(&attribute), "{attribute}: {cookie}");
        }
        assert_eq!(cookie.starts_with("__Host-session="), behind_tls, "{cookie}");
        assert_eq!(attributes.contains(&"Secure"), behind_tls, "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
        // A browser that has seen this header sends the cookie by HTTPS only, and warns of a wrong
        // certificate. Without TLS, the header would make the service unreachable.
        let strict = answer.headers.get("strict-transport-security").map(|header| header.to_str().unwrap());
        assert_eq!(strict, behind_tls.then_some("max-age=31536000"));
    }
}

/// A person uses the id of another person's token on every route that takes a token id. Each
/// response must equal the response for an unknown id, byte by byte.
#[tokio::test]
async fn another_persons_token_by_its_id() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    let made = ada.make("CI", Some(shared)).await;
    let (uuid, token) = (made["uuid"].as_str().unwrap(), made["token"].as_str().unwrap());
    let page = eve.get("/settings/tokens?new=1").await;
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    // These are an unknown id, the id of a token that its owner deleted, and a text that is not an
    // id.
    let deleted = ada.make("gone", Some(shared)).await["uuid"].as_str().unwrap().to_owned();
    ada.delete(&format!("{TOKENS}{deleted}")).await.is(204);
    let absent = ["00000000-0000-4000-8000-000000000000", &deleted, "x"];
    let same = async |status: u16, method: &str, path: &str, body: &str| {
        let kind = if path.starts_with("/api/") { "application/json" } else { "application/x-www-form-urlencoded" };
        let ask = async |uuid: &str| {
            let request = eve.request(method, &path.replace("{uuid}", uuid)).header("content-type", kind);
            host.send(request.body(body.to_owned().into()).unwrap()).await.is(status)
        };
        let anothers = ask(uuid).await;
        for uuid in absent {
            let none = ask(uuid).await;
            let parts = |answer: &Answer| (answer.status, answer.headers.clone(), answer.body.clone());
            assert_eq!(parts(&anothers), parts(&none), "{method} {path}");
        }
    };
    for query in ["delete", "rotate", "settings"] {
        same(404, "GET", &format!("{PAGE}?{query}={{uuid}}"), "").await;
    }
    let at = format!("{PAGE}/{{uuid}}");
    same(404, "GET", &at, "").await;
    same(404, "GET", &format!("{at}/connect/vscode"), "").await;
    for (door, fields) in [
        ("delete", "typed=CI".into()),
        ("rotate", format!("form={form}&grace=0")),
        ("disable", String::new()),
        ("enable", String::new()),
        ("end-grace", String::new()),
        ("connect", "tool=vscode&do=download".into()),
        ("connect", format!("tool=vscode&do=download&token={token}")),
    ] {
        same(404, "POST", &format!("{at}/{door}"), &format!("csrf={csrf}&{fields}")).await;
    }
    let at = format!("{TOKENS}{{uuid}}");
    same(404, "GET", &at, "").await;
    same(400, "DELETE", &at, "").await;
    for verb in ["rotate", "disable", "enable", "confirm", "end-grace"] {
        same(404, "POST", &format!("{at}/{verb}"), "").await;
    }
    same(404, "POST", &format!("{at}/rename"), r#"{"name": "n"}"#).await;
    same(404, "POST", &format!("{at}/narrow"), r#"{"scopes": ""}"#).await;
    // On these routes, the path names a token by its project and its token id.
    let id = token.rsplit('_').nth(1).unwrap();
    for door in ["settings/leaks/{shared}/{id}/seen", "admin/tokens/{shared}/{id}/revoke"] {
        let ask = async |id: &str| {
            let path = door.replace("{shared}", &shared.to_string()).replace("{id}", id);
            eve.post_form(&format!("/{path}"), &format!("csrf={csrf}")).await
        };
        let (anothers, none) = (ask(id).await, ask("0123456789abcdef").await);
        assert_eq!(
            (anothers.status, anothers.headers, anothers.body),
            (none.status, none.headers, none.body),
            "{door}"
        );
    }
    let request = eve.request("POST", REVOKE_ALL).body(Body::empty()).unwrap();
    assert_eq!(host.send(request).await.is(200).json(), json!({ "revoked": 0 }));
    assert!(!eve.get(TOKENS).await.body.contains(uuid));
    host.with_token(WHOAMI, token).await.is(200);
    let after = ada.get(&format!("{TOKENS}{uuid}")).await.is(200).json();
    assert_eq!((&after["status"], &after["name"]), (&json!("active"), &json!("CI")));
}

/// A person has two projects, and presents a token of one project on every route of the other
/// project.
#[tokio::test]
async fn another_projects_token() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let (station, engine) = (ada.project("Weather station").await, ada.project("Difference engine").await);
    let made = ada.post(json!({"name": "n", "project_id": station, "scopes": "models:use notes:read"})).await;
    let made = made.is(200).json();
    let token = made["token"].as_str().unwrap();
    for door in ["projects/{}/whoami", "projects/{}/notes", "configurations/models/{}"] {
        let at = |project: &str| format!("/api/v2/{}", door.replace("{}", project));
        host.with_token(&at(&station.to_string()), token).await.is(200);
        for other in [engine, 1, 999] {
            host.with_token(&at(&other.to_string()), token).await.is_problem(403, "wrong_project");
        }
        for none in ["-", "A", "%00", "1%2f2"] {
            host.with_token(&at(none), token).await.is_problem(404, "not_found");
        }
    }
    // A token does not work in another project if the project id in its text is changed.
    let forged = token.replacen(&format!("_{station}_"), &format!("_{engine}_"), 1);
    host.with_token(WHOAMI, &forged).await.is_problem(401, "invalid_token");
}

/// A token is presented on the routes for sessions. These routes accept no token, so a token cannot
/// create, list or revoke tokens there.
#[tokio::test]
async fn a_token_that_would_manage_tokens() {
    let host = Host::start().await;
    let made = host.ada().await.make("n", None).await;
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let uuid = made["uuid"].as_str().unwrap();
    for (method, path) in [
        ("GET", TOKENS.into()),
        ("POST", TOKENS.into()),
        ("GET", format!("{TOKENS}{uuid}")),
        ("DELETE", format!("{TOKENS}{uuid}")),
        ("POST", format!("{TOKENS}{uuid}/rotate")),
        ("POST", REVOKE_ALL.into()),
    ] {
        let request = Request::builder().method(method).uri(&path).header("authorization", &bearer);
        let request = request.header("sec-fetch-site", "same-origin").header("content-type", "application/json");
        host.send(request.body(r#"{"name": "n"}"#.into()).unwrap()).await.is(401);
    }
}

/// A person sends requests with invalid fields in their bodies. Some fields are unknown to the API,
/// and others name another person or another person's project.
#[tokio::test]
async fn owner_or_project_in_the_body() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let station = ada.project("Weather station").await;
    for (field, value) in [
        ("owner", json!(1)),
        ("user_id", json!(1)),
        ("created_by", json!("1")),
        ("kind", json!("service")),
        ("id", json!(7)),
        ("uuid", json!("00000000-0000-4000-8000-000000000000")),
        ("token", json!("demo_pat_1_x")),
        ("expires_at", json!(null)),
        ("last_used_at", json!(null)),
    ] {
        let mut body = json!({"name": "n"});
        body[field] = value;
        eve.post(body).await.is(400);
    }
    // The project is not open to this person. The bodies name it by its number and by values of
    // other JSON types.
    let refused = eve.post(json!({"name": "n", "project_id": station})).await.is(403).json();
    assert_eq!(refused["error"]["code"], "project_forbidden");
    for odd in [json!("2"), json!(2.5), json!([station]), json!({"id": station}), json!(-1), json!(true)] {
        eve.post(json!({"name": "n", "project_id": odd})).await.is(400);
    }
    eve.post_text(&format!(r#"{{"name": "n", "project_id": 5, "project_id": {station}}}"#)).await.is(400);

    let page = eve.get("/settings/tokens?new=1").await;
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    let new =
        |project: i64, more: &str| format!("csrf={csrf}&form={form}&project={project}&name=n&amount=1&unit=days{more}");
    eve.post_form(PAGE, &new(station, "")).await.is(403);
    eve.post_form(PAGE, &new(station, "&view=project%3D5")).await.is(403);
    for more in ["&owner=1", "&user_id=1", "&kind=service", "&project=2", "&csrf=x"] {
        assert!(eve.post_form(PAGE, &new(5, more)).await.status.is_client_error(), "{more}");
    }
    for person in [&ada, &eve] {
        assert_eq!(person.get(TOKENS).await.json(), Value::Array(Vec::new()), "no token was created");
    }
}

/// No policy allows that two tokens are bound to each other. So only a damaged table can contain
/// such tokens. The page and the dialog must not run into an endless loop.
#[tokio::test]
async fn page_of_two_tokens_that_are_bound_to_each_other_is_answered() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let tokens = &host.app.tokens;
    let mut made = [(); 2].map(|()| {
        let new = NewToken::new("1".parse().unwrap(), "1".parse().unwrap(), Name::new("n").unwrap());
        mint(tokens.keyring(), tokens.policy(), new, &Actor::new("test").unwrap(), tokens.now()).unwrap()
    });
    let ids = [made[0].record.id, made[1].record.id];
    for (made, id) in made.iter_mut().zip([ids[1], ids[0]]) {
        made.record.issuer = Some(Issuer { id, bound: true });
        tokens.store().insert(made.record.clone(), None, None).await.unwrap();
    }
    let listed = ada.get(TOKENS).await.is(200).json();
    let uuid = listed[0]["uuid"].as_str().unwrap().to_owned();
    for page in [format!("{PAGE}/{uuid}"), format!("{PAGE}?delete={uuid}")] {
        let shown = tokio::time::timeout(Duration::from_secs(30), ada.get(&page)).await;
        assert!(shown.is_ok(), "{page} is never answered");
    }
}
