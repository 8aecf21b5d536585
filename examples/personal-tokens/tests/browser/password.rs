//! Tests the form in which people change their password, in the browser.

use crate::driver::{Driver, signed_in};

#[tokio::test(flavor = "multi_thread")]
async fn password_form_shows_each_error_at_its_field() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let elsewhere = host.ada().await;
    browser.click("#person summary").await;
    browser.follow("#person a[href='/settings/password']").await;
    browser.see("h1", "Change password").await;
    browser.keep("password").await;

    let fill = async |present: &str, new: &str, again: &str| {
        browser.fill("#present", present).await;
        browser.fill("#new", new).await;
        browser.fill("#again", again).await;
        browser.follow("main form button").await;
    };
    fill("not it", "a battery of new words", "a battery of new words").await;
    browser.see("#present-error", "This is not your current password.").await;
    browser.until("document.activeElement.id === 'present'", "#present").await;
    browser.keep("password-refused").await;
    browser.client.set_window_size(400, 800).await.unwrap();
    fill(&host.first.password, "short", "other").await;
    browser.see("#new-error", "Use at least 15 characters. A few words will do.").await;
    browser.until("document.activeElement.id === 'new'", "#new").await;
    browser.keep("password-refused-narrow").await;
    fill(&host.first.password, "a battery of new words", "a battery of new words").await;
    browser.see(".notice", "Your password is changed. All your other sessions have ended.").await;
    browser.client.set_window_size(1280, 900).await.unwrap();
    browser.keep("password-changed").await;
    assert_eq!(elsewhere.get("/settings/tokens").await.status, 303);
    browser.goto("/settings/tokens").await;
    browser.find("#new").await;
    browser.client.close().await.unwrap();
}
