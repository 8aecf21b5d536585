//! Tests that the guessing of passwords is slowed, and that a right password is accepted while
//! others guess.

use personal_tokens::first;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::Request;
use futures_util::future::join_all;
use personal_tokens::setup::Settings;

use crate::support::{Answer, Host};

const PASSWORD: &str = "/settings/password";
const NEW: &str = "a battery of new words";

/// Starts a host behind a proxy, which names the address of each client.
async fn behind_proxy() -> Host {
    Host::start_with(Settings { behind_tls: true, ..Settings::default() }).await
}

/// Tries to sign in from the client with this number.
async fn sign_in(host: &Host, client: u32, name: &str, password: &str) -> Answer {
    let request = Request::post("/sign-in")
        .header("sec-fetch-site", "same-origin")
        .header("x-forwarded-for", Ipv4Addr::from_bits(0x0a00_0000 + client).to_string())
        .header("content-type", "application/x-www-form-urlencoded");
    host.send(request.body(format!("name={name}&password={password}").into()).unwrap()).await
}

fn compared(host: &Host) -> u64 {
    host.app.accounts.counts().compared.load(Ordering::Relaxed)
}

fn slowed(host: &Host) -> u64 {
    host.app.accounts.counts().slowed.load(Ordering::Relaxed)
}

#[tokio::test]
async fn address_waits_after_wrong_passwords_and_others_do_not() {
    let host = behind_proxy().await;
    let right = host.first.password.clone();
    for _ in 0..5 {
        sign_in(&host, 1, "ada", "wrong").await.is(401);
    }
    let before = compared(&host);
    let refused = sign_in(&host, 1, "ada", "wrong").await.is(429);
    assert_eq!(refused.header("retry-after"), "30");
    assert!(refused.body.contains("Too many wrong passwords. Try again in 30 seconds."), "{}", refused.body);
    // The response to the right password is the same, and neither password was hashed.
    let same = sign_in(&host, 1, "ada", &right).await.is(429);
    assert_eq!((&same.body, &same.headers), (&refused.body, &refused.headers));
    // Spaces around the name make no other account of it.
    sign_in(&host, 1, "+ada+", &right).await.is(429);
    assert_eq!((compared(&host), slowed(&host)), (before, 3));

    // The person signs in from another address, and this does not end the wait of the first one.
    sign_in(&host, 2, "ada", &right).await.is(303);
    sign_in(&host, 1, "ada", &right).await.is(429);
    host.clock.advance(Duration::from_millis(29_999));
    assert_eq!(sign_in(&host, 1, "ada", &right).await.is(429).header("retry-after"), "1");
    host.clock.advance(Duration::from_millis(1));
    sign_in(&host, 1, "ada", "wrong").await.is(401);
    assert_eq!(sign_in(&host, 1, "ada", &right).await.is(429).header("retry-after"), "60");
    host.clock.advance(Duration::from_secs(60));
    sign_in(&host, 1, "ada", &right).await.is(303);
    // A right password ends the wait of its address.
    for _ in 0..5 {
        sign_in(&host, 1, "ada", "wrong").await.is(401);
    }
}

/// Otherwise, the limits would reveal which names exist.
#[tokio::test]
async fn unknown_name_is_slowed_like_a_known_one() {
    let host = behind_proxy().await;
    let answers = async |name: &str, client: u32| {
        let mut answers = Vec::new();
        for _ in 0..8 {
            let answer = sign_in(&host, client, name, "wrong").await;
            let body = answer.body.replace(&format!("value=\"{name}\""), "");
            answers.push((answer.status.as_u16(), answer.headers.get("retry-after").cloned(), body));
        }
        answers
    };
    let (known, unknown) = (answers("ada", 1).await, answers("bob", 2).await);
    assert_eq!(known, unknown);
    assert_eq!(known.iter().filter(|(status, ..)| *status == 429).count(), 3);
}

/// PostgreSQL refuses a statement with a NUL character. `tests/processes/engines.rs` sends the name
/// to each engine.
#[tokio::test]
async fn name_with_a_nul_character_is_slowed_like_any_other() {
    let host = behind_proxy().await;
    for name in ["%00", "ada%00"] {
        let before = compared(&host);
        for _ in 0..5 {
            sign_in(&host, 1, name, "wrong").await.is(401);
        }
        sign_in(&host, 1, name, "wrong").await.is(429);
        assert_eq!(compared(&host), before + 5, "each password is compared with a hash");
    }
}

#[tokio::test]
async fn many_addresses_that_guess_for_one_account_get_one_try_each() {
    let host = behind_proxy().await;
    let right = host.first.password.clone();
    // The first addresses use up what the account allows.
    for client in 0..5 {
        for _ in 0..4 {
            sign_in(&host, client, "ada", "wrong").await.is(401);
        }
    }
    for client in 5..50 {
        sign_in(&host, client, "ada", "wrong").await.is(401);
        assert_eq!(sign_in(&host, client, "ada", "wrong").await.is(429).header("retry-after"), "60");
    }
    // An address without wrong passwords is not refused because of the others.
    sign_in(&host, 50, "ada", &right).await.is(303);
    // Guessing for ada does not slow sign-ins to other accounts from the same address.
    first::add_user(&host.app.db, "eve", "eves-password").await.unwrap();
    sign_in(&host, 5, "eve", "eves-password").await.is(303);
}

/// A person with a session guesses the current password, for example at an unattended computer.
#[tokio::test]
async fn wrong_current_passwords_are_slowed_like_sign_ins() {
    let host = Host::start().await;
    let right = host.first.password.clone();
    let ada = host.ada().await;
    let csrf = ada.get(PASSWORD).await.field("csrf");
    let change = async |present: &str| {
        let fields = [("csrf", csrf.as_str()), ("present", present), ("new", NEW), ("again", NEW)];
        ada.post_form(PASSWORD, &serde_urlencoded::to_string(fields).unwrap()).await
    };
    for _ in 0..3 {
        change("wrong").await.is(400);
    }
    // Wrong passwords of sign-ins count too, because both tests of a password are the same guess.
    for _ in 0..2 {
        host.try_sign_in("ada", "wrong").await.is(401);
    }
    let before = compared(&host);
    for present in ["wrong", &right] {
        let refused = change(present).await.is(429);
        assert_eq!(refused.header("retry-after"), "30");
        let said = "<p class=\"fault\" id=\"present-error\">Too many wrong passwords. Try again in 30 seconds.";
        assert!(refused.body.contains(said), "{}", refused.body);
    }
    host.try_sign_in("ada", &right).await.is(429);
    assert_eq!(compared(&host), before);
    // A form without the csrf value neither counts nor learns anything.
    ada.post_form(PASSWORD, &format!("csrf=0&present=wrong&new={NEW}&again={NEW}")).await.is(403);
    host.clock.advance(Duration::from_secs(30));
    change(&right).await.is(303);
}

/// Sends 1,000 wrong passwords at the same time, the right one in the middle of them. All wrong
/// ones come from one address.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn right_password_is_accepted_during_1000_wrong_ones_from_one_address() {
    let host = Arc::new(behind_proxy().await);
    let right = host.first.password.clone();
    let tries = (0..1001).map(|number| {
        let (host, right) = (Arc::clone(&host), right.clone());
        tokio::spawn(async move {
            match number {
                500 => sign_in(&host, 2, "ada", &right).await,
                _ => sign_in(&host, 1, "ada", "wrong").await,
            }
        })
    });
    let answers: Vec<Answer> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers[500].status, 303);
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(401), with(429)), (5, 995));
    assert_eq!((compared(&host), slowed(&host)), (6, 995));
}

/// Each of 1,000 wrong passwords comes from another address, and no one can tell such an address
/// from that of the person. The tries for one account that are in progress are limited, so other
/// people do not notice the attack, and the person gets in by trying again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn right_password_is_accepted_during_1000_wrong_ones_from_1000_addresses() {
    let host = Arc::new(behind_proxy().await);
    first::add_user(&host.app.db, "eve", "eves-password").await.unwrap();
    let right = host.first.password.clone();
    let wrong = (0..1000).map(|number| {
        let host = Arc::clone(&host);
        tokio::spawn(async move { sign_in(&host, number, "ada", "wrong").await.status.as_u16() })
    });
    let wrong: Vec<_> = wrong.collect();
    sign_in(&host, 5000, "eve", "eves-password").await.is(303);
    let mut tries = 0;
    while sign_in(&host, 5001, "ada", &right).await.status != 303 {
        tries += 1;
        assert!(tries < 100, "the person never gets in");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let statuses: Vec<u16> = join_all(wrong).await.into_iter().map(Result::unwrap).collect();
    assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
    let wrong = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(compared(&host), wrong as u64 + 2, "a refused try is not hashed");
}
