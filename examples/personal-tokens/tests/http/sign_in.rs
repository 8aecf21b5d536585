//! Tests the sign-in: when sessions end, and where a person returns to after the sign-in.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use personal_tokens::db::query;
use personal_tokens::setup::Settings;

use crate::support::{Answer, Host, TOKENS, WHOAMI, assert_holds_no_part};

const PAGE: &str = "/settings/tokens";

/// A session from before a suspension may be in the hands of the person for whom the account was
/// suspended.
#[tokio::test]
async fn sessions_of_a_suspended_person_stay_ended_after_the_reinstatement() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let csrf = ada.get("/admin/people").await.is(200).field("csrf");
    let act = async |verb: &str| {
        ada.post_form(&format!("/admin/people/2/{verb}"), &format!("csrf={csrf}")).await.is(303);
    };
    eve.get(PAGE).await.is(200);
    act("suspend").await;
    eve.get(PAGE).await.is(303);
    act("reinstate").await;
    eve.get(PAGE).await.is(303);
    eve.get(TOKENS).await.is(401);
    // A new session works, and a reinstatement of a person who is not suspended ends no session.
    let eve = host.sign_in("eve", "eves-password").await;
    act("reinstate").await;
    eve.get(PAGE).await.is(200);
    ada.get(PAGE).await.is(200);
}

/// Each process reads sessions and suspensions from the database at each request, also if it caches
/// tokens.
#[tokio::test]
async fn every_process_knows_sign_outs_and_suspensions_at_the_next_request() {
    let settings = Settings { cache: Duration::from_secs(3600), ..Settings::default() };
    let host = Host::start_with(settings.clone()).await;
    let other = host.another(settings).await;
    let at_other = async |path: &str, name: &str, value: &str| {
        let request = Request::get(path).header(name, value).body(Body::empty()).unwrap();
        host.send_to(&other, request).await.status.as_u16()
    };
    let (ada, eve, again) = (host.ada().await, host.eve().await, host.sign_in("eve", "eves-password").await);
    let bearer = format!("Bearer {}", eve.make("CI", None).await["token"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(at_other(WHOAMI, "authorization", &bearer).await, 200);
    }
    assert_eq!(at_other(PAGE, "cookie", &again.cookie).await, 200);
    let csrf = again.get(PAGE).await.is(200).field("csrf");
    again.post_form("/sign-out", &format!("csrf={csrf}")).await.is(303);
    assert_eq!(at_other(PAGE, "cookie", &again.cookie).await, 303);
    assert_eq!(at_other(PAGE, "cookie", &eve.cookie).await, 200);
    let csrf = ada.get("/admin/people").await.is(200).field("csrf");
    ada.post_form("/admin/people/2/suspend", &format!("csrf={csrf}")).await.is(303);
    assert_eq!(at_other(PAGE, "cookie", &eve.cookie).await, 303);
    assert_eq!(at_other(WHOAMI, "authorization", &bearer).await, 401);
}

/// In a data directory of an earlier version, some tables lack columns.
#[tokio::test]
async fn data_directory_of_an_earlier_version_gets_the_missing_columns() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    let drop_all = "ALTER TABLE users DROP COLUMN sessions_ended; ALTER TABLE spent_forms DROP COLUMN at; \
                    ALTER TABLE github_deliveries DROP COLUMN at; \
                    INSERT INTO spent_forms (user_id, form) VALUES (1, 'f')";
    host.run(drop_all).await;
    let start = || host.another(Settings::default());
    // Several processes may start at the same time.
    drop(tokio::join!(start(), start(), start()));
    // A form of the earlier version counts as new, so that it still cannot be sent again.
    let sql = "SELECT unixepoch() * 1000 - at < 3600000 FROM spent_forms";
    let is_new: bool = query(sql).value(&host.app.db).await.unwrap();
    assert!(is_new);
    host.ada().await.get(PAGE).await.is(200);
}

/// Signs ada in with the form of this sign-in page, and returns the address to which she returns.
async fn follow(host: &Host, page: &str) -> String {
    let shown = host.with_headers(page, &[]).await.is(200);
    let mut fields = vec![("name", "ada".to_owned()), ("password", host.first.password.clone())];
    if shown.body.contains("name=\"next\"") {
        // The page escapes the value. Only this escape occurs in the addresses of the tests.
        fields.push(("next", shown.field("next").replace("&#38;", "&")));
    }
    send(host, &fields).await.is(303).header("location").to_owned()
}

async fn send(host: &Host, fields: &[(&str, String)]) -> Answer {
    let request = Request::post("/sign-in")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded");
    host.send(request.body(serde_urlencoded::to_string(fields).unwrap().into()).unwrap()).await
}

/// Sends a form without a session.
async fn post(host: &Host, path: &str, form: &str) -> Answer {
    let request = Request::post(path)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded");
    host.send(request.body(form.to_owned().into()).unwrap()).await
}

#[tokio::test]
async fn person_returns_to_the_page_that_needed_the_session() {
    let host = Host::start().await;
    for page in ["/settings/tokens?project=2&q=a%20b&sort=name", "/settings/password", "/admin/people/1", "/admin"] {
        let to = host.with_headers(page, &[]).await.is(303).header("location").to_owned();
        assert!(to.starts_with("/sign-in?next=%2F"), "{to}");
        assert_eq!(follow(&host, &to).await, page);
    }
    // The list of tokens is where people return to anyway.
    assert_eq!(host.with_headers(PAGE, &[]).await.is(303).header("location"), "/sign-in");
    assert_eq!(follow(&host, "/sign-in").await, PAGE);
}

/// A person may have pasted a token into the search.
#[tokio::test]
async fn way_back_contains_no_token() {
    let host = Host::start().await;
    let token = host.ada().await.make("CI", None).await["token"].as_str().unwrap().to_owned();
    for query in [format!("q={token}"), format!("new=1&name=CI%20{token}%20")] {
        let to = host.with_headers(&format!("{PAGE}?{query}"), &[]).await.is(303).header("location").to_owned();
        assert_holds_no_part(&to, &token);
    }
}

#[tokio::test]
async fn wrong_password_does_not_lose_the_way_back() {
    let host = Host::start().await;
    let next = "/settings/tokens?project=2&new=1".to_owned();
    let fields = [("name", "ada".to_owned()), ("password", "wrong".to_owned()), ("next", next.clone())];
    for status in [401, 401, 401, 401, 401, 429] {
        let page = send(&host, &fields).await.is(status);
        assert_eq!(page.field("next").replace("&#38;", "&"), next);
    }
}

#[tokio::test]
async fn sign_in_leads_to_no_other_site() {
    let host = Host::start().await;
    let long = format!("/{}", "a".repeat(7000));
    for next in [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "\n//evil.example",
        "/\r\nset-cookie: a=b",
        "javascript:alert(1)",
        "evil.example",
        "/\u{202e}",
        "",
        &long,
    ] {
        let query = serde_urlencoded::to_string([("next", next)]).unwrap();
        let page = host.with_headers(&format!("/sign-in?{query}"), &[]).await.is(200);
        assert!(!page.body.contains("name=\"next\""), "{next:?}");
        let fields = [("name", "ada".to_owned()), ("password", host.first.password.clone()), ("next", next.into())];
        assert_eq!(send(&host, &fields).await.is(303).header("location"), PAGE, "{next:?}");
    }
    // A page with the address twice, or one with markup in it, shows the plain form.
    host.with_headers("/sign-in?next=/a&next=/b", &[]).await.is(200);
    let page = host.with_headers("/sign-in?next=/%22%3E%3Cb%3E", &[]).await.is(200);
    assert!(page.field("next").starts_with("/&#34;&#62;&#60;b"), "{}", page.body);
}

#[tokio::test]
async fn form_without_a_session_leads_back_to_its_page() {
    let host = Host::start().await;
    let uuid = "00000000-0000-4000-8000-000000000000";
    for (path, page) in [
        (format!("{PAGE}/{uuid}/rotate"), format!("{PAGE}?rotate={uuid}")),
        (format!("{PAGE}/{uuid}/narrow"), format!("{PAGE}?narrow={uuid}")),
        (format!("{PAGE}/{uuid}/delete"), format!("{PAGE}?delete={uuid}")),
        (format!("{PAGE}/{uuid}/connect"), format!("{PAGE}?settings={uuid}")),
        (format!("{PAGE}/{uuid}/disable"), format!("{PAGE}/{uuid}")),
        ("/settings/password".into(), "/settings/password".into()),
        ("/settings/leaks/1/abc/seen".into(), PAGE.into()),
        ("/admin/people/2/suspend".into(), "/admin/people/2".into()),
        ("/admin/tokens/1/abc/revoke".into(), "/admin/tokens/1/abc".into()),
        ("/admin/models/1/remove".into(), "/admin/models".into()),
        ("/sign-out".into(), PAGE.into()),
    ] {
        let to = post(&host, &path, "csrf=0&present=secret&typed=x").await.is(303).header("location").to_owned();
        assert!(!to.contains("csrf") && !to.contains("secret"), "{to}");
        assert_eq!(follow(&host, &to).await, page, "{path}");
    }
}

/// The session ends while a person fills in a form. After the sign-in, the form contains what they
/// entered.
#[tokio::test]
async fn session_that_ended_keeps_the_draft_of_a_new_token() {
    let host = Host::start().await;
    let form = "csrf=c0ffee&form=00000000000000000000000000000000&view=project%3D2&project=2&name=CI+%26+%C3%A4&preset=custom\
                &amount=12&unit=weeks&scope=models%3Ause&scope=notes%3Aread&addresses=192.0.2.0%2F24&other=secret";
    let draft = "name=CI+%26+%C3%A4&preset=custom&amount=12&unit=weeks&scope=models%3Ause&scope=notes%3Aread\
                 &addresses=192.0.2.0%2F24";
    let ada = host.ada().await;
    let uuid = ada.make("issuer", Some(2)).await["uuid"].as_str().unwrap().to_owned();
    for (path, dialog, fields) in [
        (PAGE.to_owned(), "new=1".to_owned(), &["value=\"CI &#38; ä\"", "value=\"12\"", "192.0.2.0/24"][..]),
        (format!("{PAGE}/{uuid}/agent"), format!("agent={uuid}"), &["value=\"CI &#38; ä\"", "value=\"12\""]),
    ] {
        let to = post(&host, &path, form).await.is(303).header("location").to_owned();
        let back = follow(&host, &to).await;
        assert_eq!(back, format!("{PAGE}?project=2&{dialog}&{draft}"));
        // The form on the page contains the draft.
        let page = ada.get(&back).await.is(200);
        for value in fields {
            assert!(page.body.contains(value), "{value}: {}", page.body);
        }
    }

    // With a session, the form reaches its handler, which refuses the wrong csrf value.
    let valid = "csrf=0&form=00000000000000000000000000000000&project=2&name=CI&amount=12&unit=weeks";
    ada.post_form(PAGE, valid).await.is(403);
    // A form of another site keeps no draft.
    let request = Request::post(PAGE).header("sec-fetch-site", "cross-site");
    host.send(request.body(form.into()).unwrap()).await.is(403);
}

#[tokio::test]
async fn draft_is_bounded_and_contains_no_token() {
    let host = Host::start().await;
    let token = host.ada().await.make("CI", None).await["token"].as_str().unwrap().to_owned();
    let back = async |fields: &[(&str, &str)]| {
        let to = post(&host, PAGE, &serde_urlencoded::to_string(fields).unwrap()).await.is(303);
        follow(&host, to.header("location")).await
    };
    assert_eq!(back(&[("name", &token), ("unit", "days")]).await, format!("{PAGE}?new=1&unit=days"));
    // A character takes up to twelve characters of an address.
    let long = "\u{1f511}".repeat(300);
    let kept = back(&[("name", &long), ("addresses", &long), ("unit", "days"), ("name", "again")]).await;
    let name = "%F0%9F%94%91".repeat(255);
    assert_eq!(kept, format!("{PAGE}?new=1&name={name}&unit=days"), "the addresses do not fit");
    assert!(kept.len() < 6 * 1024);
    // A network that is cut off in the middle of its length would be a larger network.
    let networks = vec!["192.168.100.100/32"; 60];
    let kept = back(&[("name", "CI"), ("addresses", &networks.join(" "))]).await;
    assert!(kept.ends_with("192.168.100.100%2F32"), "{kept}");
    assert_eq!(kept.matches("192.168.100.100%2F32").count(), kept.matches("192.").count());
    assert!(kept.matches("192.").count() > 50);
    for (project, expected) in [("2", "project=2&"), ("2%20x", ""), ("//evil", ""), ("-", "")] {
        let kept = back(&[("project", project), ("name", "n")]).await;
        assert_eq!(kept, format!("{PAGE}?{expected}new=1&name=n"));
    }
    let scopes = vec![("scope", "models:use"); 50];
    assert_eq!(back(&scopes).await.matches("scope=").count(), 20);
    // A body that is no form, or is too large, loses the draft but not the way to sign in.
    assert_eq!(post(&host, PAGE, "%").await.is(303).header("location"), "/sign-in?next=%2Fsettings%2Ftokens%3Fnew%3D1");
    let huge = format!("name={}", "a".repeat(17 * 1024));
    assert_eq!(post(&host, PAGE, &huge).await.is(303).header("location"), "/sign-in");
}
