//! Tests the pages for administrators in the browser.

use serde_json::{Value, json};

use crate::driver::{Driver, get, signed_in};

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_ends_all_tokens_of_a_person() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let eve = host.eve().await;
    let shared = host.ada().await.project("Open library").await;
    let text = |made: Value| made["token"].as_str().unwrap().to_owned();
    let hers =
        [text(eve.make("a", None).await), text(eve.make("b", None).await), text(eve.make("c", Some(shared)).await)];
    let mine = text(host.ada().await.make("mine", None).await);
    let whoami = format!("http://{}/api/v2/auth/whoami", browser.address);
    for token in hers.iter().chain([&mine]) {
        assert_eq!(get(&whoami, token).await.0, 200);
    }
    browser.goto("/admin/people").await;
    browser.see("#person-2 .live", "3 live tokens of eve").await;
    // The tokens of a suspended person are rejected. They work again after the administrator has
    // reinstated the person.
    browser.click("#person-2 summary").await;
    browser.follow("#person-2 a[href*='suspend=2']").await;
    assert!(browser.is_modal().await);
    browser.follow("#delete").await;
    browser.see(".notice", "The person is suspended. Their tokens and sessions do not work.").await;
    let (status, problem) = get(&whoami, &hers[0]).await;
    assert_eq!((status, &problem["reason"]), (401, &json!("owner_suspended")));
    browser.click("#person-2 summary").await;
    browser.follow("#person-2 form[action$='/reinstate'] button").await;
    browser.find("#person-2 .badge.good").await;
    assert_eq!(get(&whoami, &hers[0]).await.0, 200);

    browser.click("#person-2 summary").await;
    browser.follow("#person-2 a[href*='revoke-all=2']").await;
    // The button works only if the name is right.
    browser.fill("#typed", "ev").await;
    assert_eq!(
        browser.client.execute("return document.querySelector('#delete').disabled", vec![]).await.unwrap(),
        true
    );
    browser.fill("#typed", "eve").await;
    browser.follow("#delete").await;
    browser.see(".notice", "3 tokens were revoked and have stopped working.").await;
    for token in &hers {
        let (status, problem) = get(&whoami, token).await;
        assert_eq!((status, &problem["reason"]), (401, &json!("revoked")), "at the next request");
    }
    assert_eq!(get(&whoami, &mine).await.0, 200);
    // A dialog that is closed leads back to the list, and the focus to its button.
    browser.click("#person-2 summary").await;
    browser.follow("#person-2 a[href*='remove=2']").await;
    browser.follow("[data-close]").await;
    browser.until("!document.querySelector('dialog') && location.search === ''", "html").await;
    browser.client.close().await.unwrap();
}

/// A person is added, gets a link, chooses a password in another browser, and is signed in there.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_invites_a_person() {
    let Some(driver) = Driver::start() else { return };
    let (_host, browser) = signed_in(&driver).await;
    browser.goto("/admin/people").await;
    browser.follow("#add").await;
    browser.fill("#name", "Ada").await;
    browser.follow("#submit").await;
    // The error is at its field, which has the focus and the name.
    browser.see("#name-error", "This name is taken; choose another one.").await;
    browser.holds("#name", "Ada").await;
    browser.until("document.activeElement === document.querySelector(arguments[0])", "#name").await;
    browser.fill("#name", "grace").await;
    browser.follow("#submit").await;
    let link = browser.find("#link").await.text().await.unwrap();
    assert!(link.contains("/join/"));
    browser.follow("#done").await;
    assert_eq!(browser.client.source().await.unwrap().matches(&link).count(), 0);
    browser.find("#person-2 .badge.warn").await;

    browser.client.delete_all_cookies().await.unwrap();
    browser.client.goto(&link).await.unwrap();
    browser.fill("#new", "a battery of many words").await;
    browser.fill("#again", "a battery of many words").await;
    browser.follow("button").await;
    browser.see("#person .who", "grace").await;
    assert_eq!(browser.count("nav a[href='/admin/people']").await, 0);
    browser.client.goto(&link).await.unwrap();
    browser.see("h1", "This link does not work any more").await;
    browser.client.close().await.unwrap();
}
