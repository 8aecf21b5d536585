//! Tests the one-time links with which invited people choose a password.

use personal_tokens::first;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use personal_tokens::db::query;
use personal_tokens::people::{accounts, invitations};

use crate::page::{Log, keep_events_of_interest};
use crate::people::{PEOPLE, act, add, link, row};
use crate::support::{Answer, Host, Person};

const PASSWORD: &str = "a+battery+of+many+words";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sends the form of an invitation without a session.
async fn join(host: &Host, path: &str, new: &str, again: &str) -> Answer {
    let request = Request::post(path).header("sec-fetch-site", "same-origin");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    host.send(request.body(format!("new={new}&again={again}").into()).unwrap()).await
}

async fn open(host: &Host, path: &str) -> Answer {
    host.send(Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn invited_person_chooses_a_password_and_is_signed_in() {
    let host = Host::start().await;
    let ada = host.ada().await;
    assert_eq!(ada.get("/admin").await.is(303).header("location"), PEOPLE);
    let page = add(&ada, "+eve+", "member").await.is(200).body;
    let path = link(&page);
    assert_eq!(path.len(), "/join/".len() + 32);
    // Until the person joins, no password fits.
    for password in ["", "x", PASSWORD] {
        host.try_sign_in("eve", password).await.is(401);
    }
    let list = ada.get(PEOPLE).await.is(200).body;
    assert!(row(&list, 2).contains("Invited · link valid until") && row(&list, 2).contains(">Member<"));
    // The code is in no other page and not in the database.
    assert!(!list.contains(&path));
    let code = path.trim_start_matches("/join/");
    for file in std::fs::read_dir(host.dir()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(code.len()).any(|window| window == code.as_bytes()));
    }

    let form = open(&host, &path).await.is(200).body;
    assert!(form.contains("Welcome, eve"));
    for (new, again, field, words) in [
        ("", "", "new", "Enter a new password."),
        ("fourteen+chars", "fourteen+chars", "new", "Use at least 15 characters."),
        (PASSWORD, "other", "again", "The two new passwords are not the same."),
    ] {
        let page = join(&host, &path, new, again).await.is(400).body;
        assert!(page.contains(&format!("id=\"{field}-error\">{words}")), "{page}");
        assert_eq!(page.matches("autofocus").count(), 1);
    }
    let joined = join(&host, &path, PASSWORD, PASSWORD).await.is(303);
    assert_eq!(joined.header("location"), "/settings/tokens");
    let cookie = joined.header("set-cookie").split(';').next().unwrap().to_owned();
    let eve = Person { host: &host, cookie };
    assert!(eve.get("/settings/tokens").await.is(200).body.contains("Personal (eve)"));
    eve.get(PEOPLE).await.is(404);
    // The link has been used. The person signs in with the password.
    open(&host, &path).await.is(404);
    join(&host, &path, "another+battery+of+words", "another+battery+of+words").await.is(404);
    host.sign_in("eve", PASSWORD).await;
    assert!(row(&ada.get(PEOPLE).await.body, 2).contains("badge good\">Active<"));
    assert!(act(&ada, 2, "invite", "").await.is(400).body.contains("has already chosen a password"));
}

#[tokio::test]
async fn link_works_once_for_seven_days_and_a_new_link_replaces_it() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let first = link(&add(&ada, "eve", "member").await.is(200).body);
    let second = link(&act(&ada, 2, "invite", "").await.is(200).body);
    assert_ne!(first, second);
    open(&host, &first).await.is(404);
    host.clock.advance(7 * DAY - Duration::from_millis(1));
    open(&host, &second).await.is(200);
    host.clock.advance(Duration::from_millis(1));
    for answer in [open(&host, &second).await, join(&host, &second, PASSWORD, PASSWORD).await] {
        assert!(answer.is(404).body.contains("This link does not work any more"));
    }
    assert!(row(&ada.get(PEOPLE).await.body, 2).contains("Invited · link expired"));
    // Of concurrent uses, exactly one succeeds.
    let third = link(&act(&ada, 2, "invite", "").await.is(200).body);
    let use_it = async |new: &'static str| join(&host, &third, new, new).await.status.as_u16();
    let mut used: [u16; 4] = tokio::join!(
        use_it("one+battery+of+words"),
        use_it("two+batteries+of+words"),
        use_it("three+batteries+of+words"),
        use_it("four+batteries+of+words")
    )
    .into();
    used.sort_unstable();
    assert_eq!(used, [303, 404, 404, 404]);
    // No link works for a suspended person.
    let fourth = link(&add(&ada, "bob", "member").await.is(200).body);
    act(&ada, 3, "suspend", "").await.is(303);
    open(&host, &fourth).await.is(404);
    join(&host, &fourth, PASSWORD, PASSWORD).await.is(404);
    // An operator has set a password, which the link must not replace.
    let fifth = link(&add(&ada, "kim", "member").await.is(200).body);
    first::reset_password(host.dir(), &host.settings, "kim", |_| Ok(())).await.unwrap();
    open(&host, &fifth).await.is(404);
    for path in ["/join/", "/join/x", "/join/0123456789abcdef0123456789abcdef"] {
        open(&host, path).await.is(404);
    }
}

/// Otherwise, a session that begins with the mark would outlive a reset of the password in between.
#[tokio::test]
async fn session_mark_of_an_invited_person_is_that_of_the_chosen_password() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let path = link(&add(&ada, "eve", "member").await.is(200).body);
    let (db, code) = (&host.app.db, path.trim_start_matches("/join/"));
    let eve = invitations::accept(db, code, "chosen", host.app.tokens.now()).await.unwrap().unwrap();
    accounts::set_password(db, "eve", "reset").await.unwrap();
    assert_eq!((eve.id, eve.session_mark), (2, accounts::session_mark(0, "chosen")));
    let now = accounts::find(db, 2).await.unwrap().unwrap();
    assert_eq!(now.session_mark, accounts::session_mark(0, "reset"));
}

/// The holder of the code becomes the person. So the code must not reach those who read the log.
#[tokio::test]
async fn code_is_in_no_log_line() {
    keep_events_of_interest();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    let host = Host::start().await;
    let ada = host.ada().await;
    let first = link(&add(&ada, "eve", "member").await.is(200).body);
    let second = link(&act(&ada, 2, "invite", "").await.is(200).body);
    for path in [&first, &second] {
        open(&host, path).await;
        join(&host, path, "short", "short").await;
    }
    join(&host, &second, PASSWORD, PASSWORD).await.is(303);
    query("DROP TABLE invitations").execute(&host.app.db).await.unwrap();
    open(&host, &second).await.is(503);
    join(&host, &second, PASSWORD, PASSWORD).await.is(503);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("request failed"), "the test captures the log");
    for path in [&first, &second] {
        assert!(!log.contains(path.trim_start_matches("/join/")), "{log}");
    }
}
