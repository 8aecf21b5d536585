//! Tests the page on which people change their own password. The page works without JavaScript.

use std::sync::atomic::Ordering;

use axum::http::Request;
use personal_tokens::people::changes;

use crate::support::{Host, WHOAMI};

/// The path of the page.
const PATH: &str = "/settings/password";
/// A valid new password.
const NEW: &str = "a battery of new words";

fn form(csrf: &str, present: &str, new: &str, again: &str) -> String {
    let fields = [("csrf", csrf), ("present", present), ("new", new), ("again", again)];
    serde_urlencoded::to_string(fields).unwrap()
}

#[tokio::test]
async fn changing_the_password_ends_all_other_sessions() {
    let host = Host::start().await;
    let (name, old) = (host.first.name.clone(), host.first.password.clone());
    let (ada, elsewhere, eve) = (host.ada().await, host.ada().await, host.eve().await);
    let token = ada.make("CI", None).await["token"].as_str().unwrap().to_owned();
    let page = ada.get("/settings/tokens").await.is(200);
    assert!(page.body.contains("href=\"/settings/password\""));

    let page = ada.get(PATH).await.is(200);
    let csrf = page.field("csrf");
    let done = ada.post_form(PATH, &form(&csrf, &old, NEW, NEW)).await.is(303);
    assert_eq!(done.header("location"), "/settings/password?said=changed");
    // The session gets a new id, so a copy of the old cookie no longer works.
    let cookie = done.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_ne!(cookie, ada.cookie);
    let here = crate::support::Person { host: &host, cookie };
    assert!(here.get("/settings/password?said=changed").await.is(200).body.contains("Your password is changed."));
    for ended in [&ada, &elsewhere] {
        assert_eq!(ended.get(PATH).await.is(303).header("location"), "/sign-in?next=%2Fsettings%2Fpassword");
        ended.get("/api/v2/auth/token/").await.is(401);
    }
    eve.get(PATH).await.is(200);
    host.with_token(WHOAMI, &token).await.is(200);

    host.try_sign_in(&name, &old).await.is(401);
    host.sign_in(&name, &NEW.replace(' ', "+")).await;
    // After the change, another change requires the new password as the current password.
    let csrf = here.get(PATH).await.field("csrf");
    let other = "yet another battery of words";
    here.post_form(PATH, &form(&csrf, &old, other, other)).await.is(400);
    here.post_form(PATH, &form(&csrf, NEW, other, other)).await.is(303);
}

/// Both requests contain the password that is valid when they begin. The second request must not
/// overwrite the password that the first request has set. Otherwise, a person who knows an old
/// password could undo a reset by `--reset-password`.
#[tokio::test]
async fn one_of_two_concurrent_changes_succeeds() {
    let host = Host::start().await;
    let ada = host.app.accounts.find(1).await.unwrap().unwrap();
    let (old, now) = (&host.first.password, host.app.tokens.now());
    let change = |new: &str| host.app.accounts.change_password(&ada, old.clone(), new.into(), None, now);
    let (one, other) = ("one+battery+of+words", "another+battery+of+words");
    let (first, second) = tokio::join!(change(&one.replace('+', " ")), change(&other.replace('+', " ")));
    let (first, second) = (first.unwrap().is_some(), second.unwrap().is_some());
    assert_ne!(first, second, "exactly one change succeeds");
    host.try_sign_in("ada", one).await.is(if first { 303 } else { 401 });
    host.try_sign_in("ada", other).await.is(if second { 303 } else { 401 });
}

/// Otherwise, the session would get a mark from after the suspension, and would work again after
/// the reinstatement.
#[tokio::test]
async fn suspension_during_a_change_ends_the_session() {
    let host = Host::start().await;
    let eve = host.eve().await;
    let csrf = eve.get(PATH).await.field("csrf");
    let compared = || host.app.accounts.counts().compared.load(Ordering::Relaxed);
    let before = compared();
    let suspension = async {
        // The change has read the stored hash, and compares it with the password.
        while compared() == before {
            tokio::task::yield_now().await;
        }
        changes::suspend(&host.app.db, 1, 2).await.unwrap().unwrap();
        changes::reinstate(&host.app.db, 2).await.unwrap().unwrap();
    };
    let form = form(&csrf, "eves-password", NEW, NEW);
    let (answer, ()) = tokio::join!(eve.post_form(PATH, &form), suspension);
    let cookie = answer.headers.get("set-cookie").map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    let here = crate::support::Person { host: &host, cookie: cookie.unwrap_or(&eve.cookie).to_owned() };
    here.get(PATH).await.is(303);
}

#[tokio::test]
async fn each_error_is_shown_at_its_field_and_changes_nothing() {
    let host = Host::start().await;
    let old = host.first.password.clone();
    let ada = host.ada().await;
    let csrf = ada.get(PATH).await.field("csrf");
    let long = "x".repeat(1025);
    for (present, new, again, field, said) in [
        ("wrong", NEW, NEW, "present", "This is not your current password."),
        ("", NEW, NEW, "present", "Enter your current password."),
        (&old, "", "", "new", "Enter a new password."),
        (&old, "fourteen chars", "fourteen chars", "new", "Use at least 15 characters."),
        (&old, &long, &long, "new", "Use at most 1024 characters."),
        (&old, &old, &old, "new", "This is your current password."),
        (&old, NEW, "a battery of old words", "again", "The two new passwords are not the same."),
        (&old, NEW, "", "again", "The two new passwords are not the same."),
    ] {
        let answer = ada.post_form(PATH, &form(&csrf, present, new, again)).await.is(400);
        let at_field = format!("<p class=\"fault\" id=\"{field}-error\">{said}");
        assert!(answer.body.contains(&at_field), "{field}: {}", answer.body);
        let input = answer.body.split(&format!("<input id=\"{field}\"")).nth(1).unwrap().split('>').next().unwrap();
        assert!(input.contains("aria-invalid=\"true\"") && input.contains("autofocus"), "{input}");
        assert_eq!(answer.body.matches("autofocus").count(), 1);
        // The page must not contain the passwords that the person has typed.
        assert!(!answer.body.contains(&old) && !answer.body.contains(NEW));
    }
    // A password of fifteen characters is long enough in any script, because characters are counted
    // and not bytes.
    host.sign_in(&host.first.name, &old).await;
    ada.post_form(PATH, &form(&csrf, &old, "пятнадцать букв", "пятнадцать букв")).await.is(303);
}

#[tokio::test]
async fn forged_and_unauthenticated_forms_change_no_password() {
    let host = Host::start().await;
    let old = host.first.password.clone();
    let (ada, eve) = (host.ada().await, host.eve().await);
    let (csrf, hers) = (ada.get(PATH).await.field("csrf"), eve.get(PATH).await.field("csrf"));
    for wrong in ["", "0", &hers] {
        ada.post_form(PATH, &form(wrong, &old, NEW, NEW)).await.is(403);
    }
    for site in ["cross-site", "same-site"] {
        let request = Request::post(PATH).header("cookie", &ada.cookie).header("sec-fetch-site", site);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        host.send(request.body(form(&csrf, &old, NEW, NEW).into()).unwrap()).await.is(403);
    }
    let request = Request::post(PATH).header("sec-fetch-site", "same-origin");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    host.send(request.body(form(&csrf, &old, NEW, NEW).into()).unwrap()).await.is(303);
    host.sign_in(&host.first.name, &old).await;
}
