//! Tests the list of tokens and its dialogs: the search, the sorting, and the use without a mouse.

use std::time::Duration;

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::driver::{Browser, Driver, signed_in};
use crate::support::TOKENS;

#[tokio::test(flavor = "multi_thread")]
async fn list_follows_the_typed_search_and_keeps_the_focus() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let ada = host.ada().await;
    for name in ["Zebra", "apple", "Mango", "apple pie"] {
        host.clock.advance(Duration::from_secs(1));
        ada.make(name, None).await;
    }
    browser.goto("/settings/tokens").await;
    browser.find("#search").await.send_keys("APP").await.unwrap();
    browser.until("document.querySelectorAll('tbody tr').length === 2", "tbody").await;
    browser.until("document.activeElement.id === 'search'", "#search").await;
    browser.until("location.search.includes('q=APP')", "body").await;
    browser.see("#found", "Tokens on this page: 2").await;
    browser.find("#search").await.send_keys("x").await.unwrap();
    browser.see("#no-hits h2", "No token has “APPx” in its name or as its id").await;
    browser.follow("#no-hits a").await;
    browser.until("document.querySelectorAll('tbody tr').length === 4", "tbody").await;
    browser.see("tbody .name", "apple pie").await;
    browser.follow("th:first-child .sort").await;
    browser.see("th[aria-sort=ascending]", "Name").await;
    browser.see("tbody .name", "apple").await;
    browser.follow("th:first-child .sort").await;
    browser.see("th[aria-sort=descending]", "Name").await;
    browser.see("tbody .name", "Zebra").await;
    browser.find("#size").await.select_by_label("5").await.unwrap();
    browser.until("location.search.includes('size=5')", "body").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rotation_says_why_and_what_to_do() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let ada = host.ada().await;
    let uuid = |made: &Value| made["uuid"].as_str().unwrap().to_owned();
    let old = ada.make("CI", None).await;

    browser.ask_for_a_long_grace(&uuid(&old)).await;
    browser.see("#grace-error", "The old token may work for at most 30 more days.").await;
    assert!(browser.is_modal().await);
    browser.until("document.activeElement.id === 'grace'", "#grace").await;
    browser.keep("rotate-too-long").await;

    let new = ada.post_to(&format!("{TOKENS}{}/rotate", uuid(&old)), "").await.is(200).json();
    browser.goto(&format!("/settings/tokens?rotate={}", uuid(&new))).await;
    browser.follow("#rotate").await;
    let says = "document.querySelector('.error')?.textContent.startsWith('The token that this one replaced still works until ')";
    browser.until(says, "#dialog").await;
    assert!(browser.is_modal().await);
    browser.keep("rotate-in-grace").await;
    browser.client.set_window_size(400, 800).await.unwrap();
    browser.keep("rotate-in-grace-narrow").await;
    browser.follow("#end-grace").await;
    browser.is_told("has stopped working. Only its successor works.").await;
    browser.goto(&format!("/settings/tokens?rotate={}", uuid(&new))).await;
    browser.follow("#rotate").await;
    browser.see("#dialog-title", "CI is ready").await;
    browser.client.close().await.unwrap();
}

/// Another person may use the same browser next.
#[tokio::test(flavor = "multi_thread")]
async fn draft_is_shown_to_its_own_person_only_and_until_they_sign_out() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let (new, list) = ("/settings/tokens?new=1", "/settings/tokens");
    let draft = async || {
        browser.goto(new).await;
        browser.fill("#token-name", "CI").await;
        // Another page keeps the draft.
        browser.goto(list).await;
        browser.goto(new).await;
        browser.holds("#token-name", "CI").await;
        browser.goto(list).await;
    };
    draft().await;
    browser.click("#person > summary").await;
    browser.follow("#sign-out").await;
    browser.sign_in(&host).await;
    browser.goto(new).await;
    browser.holds("#token-name", "").await;

    draft().await;
    browser.client.delete_all_cookies().await.unwrap();
    host.eve().await;
    browser.goto(list).await;
    browser.fill("#name", "eve").await;
    browser.fill("#password", "eves-password").await;
    browser.follow("button").await;
    browser.goto(new).await;
    browser.holds("#token-name", "").await;
    browser.client.close().await.unwrap();
}

impl Browser {
    /// Sends the form for a rotation, with a longer grace period than the page offers.
    pub async fn ask_for_a_long_grace(&self, uuid: &str) {
        self.goto(&format!("/settings/tokens?rotate={uuid}")).await;
        let forge = "document.querySelector('#grace').add(new Option('Long', '4294967295', true, true))";
        self.client.execute(forge, vec![]).await.unwrap();
        self.follow("#rotate").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keyboard_alone_is_enough_and_closing_a_draft_asks_first() {
    let Some(driver) = Driver::start() else { return };
    let (_host, browser) = signed_in(&driver).await;
    browser.focus("#new").await;
    browser.arrive_by(&[Key::Enter]).await;
    browser.until("document.activeElement.id === 'token-name'", "#token-name").await;
    browser.keys("CI").await;

    // The key Escape closes a form with a draft only after a confirmation.
    browser.press(&[Key::Escape]).await;
    assert_eq!(browser.client.get_alert_text().await.unwrap(), "Close without creating the token?");
    browser.client.dismiss_alert().await.unwrap();
    browser.holds("#token-name", "CI").await;
    // The browser closes a dialog at the second Escape, if the page does not handle the key.
    browser.press(&[Key::Escape]).await;
    browser.client.dismiss_alert().await.unwrap();
    browser.holds("#token-name", "CI").await;
    // A reload keeps the draft.
    browser.arrive(async { browser.client.refresh().await.unwrap() }).await;
    browser.holds("#token-name", "CI").await;
    browser.arrive_by(&[Key::Enter]).await;
    browser.until("document.activeElement.id === 'copy'", "#copy").await;
    // Closing asks once if nothing was copied.
    browser.press(&[Key::Escape]).await;
    let asked = browser.client.get_alert_text().await.unwrap();
    assert_eq!(asked, "Close without copying the token? It cannot be shown again.");
    browser.client.dismiss_alert().await.unwrap();
    browser.find("#token").await;
    browser.arrive_by(&[Key::Escape]).await;
    browser.see("tbody .name", "CI").await;

    // The menu of a row opens and closes with the keyboard. After a dialog was closed, the focus is
    // on the button of the menu that led to it.
    let opens = async || {
        browser.focus("tbody .menu > summary").await;
        browser.press(&[Key::Enter]).await;
        browser.until("document.querySelector('tbody .menu').open", "tbody .menu").await;
    };
    opens().await;
    browser.press(&[Key::Escape]).await;
    browser.until("!document.querySelector('tbody .menu').open", "tbody .menu").await;
    browser.until("document.activeElement.matches('tbody summary')", "tbody .menu").await;
    opens().await;
    browser.focus("tbody .danger").await;
    browser.arrive_by(&[Key::Enter]).await;
    browser.until("document.activeElement.id === 'typed'", "#typed").await;
    browser.arrive_by(&[Key::Escape]).await;
    browser.until("document.activeElement.matches('tbody summary')", "tbody .menu").await;
    opens().await;
    browser.focus("tbody .danger").await;
    browser.arrive_by(&[Key::Enter]).await;
    browser.until("document.activeElement.id === 'typed'", "#typed").await;
    browser.keys("CI").await;
    browser.arrive_by(&[Key::Enter]).await;
    browser.is_told("is revoked and has stopped working.").await;

    // The choices of a tool are one group of radio buttons, so the arrow keys move between them.
    browser.focus("#new").await;
    browser.arrive_by(&[Key::Enter]).await;
    browser.until("document.activeElement.id === 'token-name'", "#token-name").await;
    browser.keys("Editor").await;
    browser.arrive_by(&[Key::Enter]).await;
    browser.until("document.activeElement.id === 'copy'", "#copy").await;
    browser.focus("[name=tool]").await;
    browser.press(&[Key::Space]).await;
    browser.until("document.querySelector('#preview').textContent.includes('eliteacode')", "#preview").await;
    browser.press(&[Key::Right]).await;
    browser.until("document.querySelector('#preview').textContent.includes('EliteASettings')", "#preview").await;
    browser.client.close().await.unwrap();
}

impl Browser {
    /// Moves the focus to the first element that matches the selector.
    async fn focus(&self, css: &str) {
        self.find(css).await;
        self.client.execute("document.querySelector(arguments[0]).focus()", vec![json!(css)]).await.unwrap();
    }

    /// Sends keys to the focused element.
    async fn press(&self, keys: &[Key]) {
        self.keys(&keys.iter().map(|key| char::from(*key)).collect::<String>()).await;
    }

    /// Sends keys that lead to another page, and waits until the other page has loaded.
    async fn arrive_by(&self, keys: &[Key]) {
        self.arrive(self.press(keys)).await;
    }

    /// Types a text into the focused element.
    async fn keys(&self, text: &str) {
        self.client.active_element().await.unwrap().send_keys(text).await.unwrap();
    }
}
