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
    let id: i64 = 2;
    browser.goto("/admin").await;
    browser.see(&format!("#person-{id} .live"), "3").await;
    // The tokens of a suspended person are rejected. They work again after the administrator has
    // reinstated the person.
    browser.follow(&format!("#person-{id} form[action$='/suspend'] button")).await;
    browser.find(&format!("#person-{id} form[action$='/reinstate']")).await;
    let (status, problem) = get(&whoami, &hers[0]).await;
    assert_eq!((status, &problem["reason"]), (401, &json!("owner_suspended")));
    browser.follow(&format!("#person-{id} form[action$='/reinstate'] button")).await;
    browser.find(&format!("#person-{id} form[action$='/suspend']")).await;
    assert_eq!(get(&whoami, &hers[0]).await.0, 200);

    browser.fill(&format!("#person-{id} input[name=typed]"), "eve").await;
    browser.follow(&format!("#person-{id} .danger")).await;
    browser.see(".notice", "3 tokens were revoked and have stopped working.").await;
    for token in &hers {
        let (status, problem) = get(&whoami, token).await;
        assert_eq!((status, &problem["reason"]), (401, &json!("revoked")), "at the next request");
    }
    assert_eq!(get(&whoami, &mine).await.0, 200);
    // The suspension has ended the person's session. A person who is not an administrator gets 404
    // for the page.
    eve.get("/admin").await.is(303);
    let eve = host.sign_in("eve", "eves-password").await;
    eve.get("/admin").await.is(404);
    browser.client.close().await.unwrap();
}
