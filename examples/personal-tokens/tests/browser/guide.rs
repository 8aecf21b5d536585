//! Tests what the guide for users promises. Each test covers one line of the guide and writes
//! screenshots to `target/screenshots`.

use std::time::Duration;

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::driver::{Browser, Driver, get, signed_in};

#[tokio::test(flavor = "multi_thread")]
async fn line_1_a_project_drop_down_switches_between_projects_and_their_tokens() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let ada = host.ada().await;
    let (engine, station) = (ada.project("Difference engine").await, ada.project("Weather station").await);
    ada.make("for the engine", Some(engine)).await;
    ada.make("for the station", Some(station)).await;
    browser.see("h1", "Personal tokens").await;
    browser.see("nav [aria-current=page]", "Personal tokens").await;
    browser.see("#no-tokens h2", "No tokens in this project yet").await;
    for (project, name) in [("Weather station", "for the station"), ("Difference engine", "for the engine")] {
        browser.switch(project).await;
        browser.see("tbody .name", name).await;
        assert_eq!(browser.count("tbody tr").await, 1);
    }
    browser.keep("guide-1-projects").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn line_2_plus_opens_a_form_with_a_name_and_an_expiration_after_which_the_token_ends() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    browser.follow("#new").await;
    assert!(browser.is_modal().await);
    browser.until("document.querySelector('[name=preset]:checked').value === '30'", "#expiration").await;
    let line =
        "/^Expires on \\d+ \\w+ \\d{4}, \\d\\d:\\d\\d\\.$/.test(document.querySelector('#expires-on').textContent)";
    browser.until(line, "#expires-on").await;
    browser.click("[name=preset][value=never]").await;
    browser.see("#expires-on", "Never expires.").await;
    browser.click("[name=preset][value=custom]").await;
    browser.holds("#amount", "30").await;
    browser.holds("#unit", "days").await;
    for unit in ["Days", "Weeks", "Hours", "Minutes"] {
        browser.find("#unit").await.select_by_label(unit).await.unwrap();
    }
    // If the service refuses the form, the page shows the form again, with the reason and with the
    // user's input.
    browser.fill("#token-name", "VSCode Integration").await;
    browser.fill("#amount", "4000").await;
    browser.find("#unit").await.select_by_label("Days").await.unwrap();
    browser.follow("#generate").await;
    browser.see("#expiry-error", "A token may live for at most 366 days.").await;
    browser.until("document.activeElement.id === 'amount'", "#amount").await;
    browser.holds("#token-name", "VSCode Integration").await;
    browser.keep("guide-2-form").await;
    browser.fill("#amount", "1").await;
    browser.find("#unit").await.select_by_label("Minutes").await.unwrap();
    browser.follow("#generate").await;
    let token = browser.text("#token").await;
    browser.done().await;
    browser.see("tbody .name", "VSCode Integration").await;
    browser.see("tbody .expiry", "in 1 minute").await;

    let whoami = format!("http://{}/api/v2/auth/whoami", browser.address);
    host.clock.advance(Duration::from_millis(59_999));
    assert_eq!(get(&whoami, &token).await.0, 200);
    host.clock.advance(Duration::from_millis(1));
    let (status, problem) = get(&whoami, &token).await;
    assert_eq!((status, &problem["reason"]), (401, &json!("expired")));
    browser.client.refresh().await.unwrap();
    browser.see("tbody .badge", "Expired").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn line_3_the_token_is_shown_once_with_a_copy_button_and_a_warning() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let token = browser.make("VSCode Integration", "30", "Days").await;
    assert!(browser.is_modal().await);
    browser.see("#warning b", "Copy it now. It is shown only once.").await;
    browser.keep("guide-3-shown-once").await;
    browser.click("#copy").await;
    browser.see("#copy", "Copied").await;

    // The page does not contain the token after the pop-up is closed, after a reload, or after the
    // button "Back" of the browser.
    browser.done().await;
    browser.see("tbody .name", "VSCode Integration").await;
    browser.holds_nothing_of(&token).await;
    browser.client.refresh().await.unwrap();
    browser.see("tbody .expiry", "in 30 days").await;
    browser.holds_nothing_of(&token).await;
    browser.client.back().await.unwrap();
    browser.holds_nothing_of(&token).await;

    // A reload of the page with the pop-up closes the pop-up, and does not create a second token.
    browser.goto("/settings/tokens").await;
    host.clock.advance(Duration::from_secs(1));
    let other = browser.make("Night job", "1", "Hours").await;
    browser.client.refresh().await.unwrap();
    browser.see("tbody .expiry", "in 1 hour").await;
    browser.holds_nothing_of(&other).await;
    assert_eq!(host.ada().await.get(crate::support::TOKENS).await.json().as_array().unwrap().len(), 2);

    // The test pastes the clipboard into a text field, to check that the copy button has copied the
    // token to the clipboard.
    browser.follow("#new").await;
    browser.find("#token-name").await.send_keys(&format!("{}v", char::from(Key::Control))).await.unwrap();
    browser.holds("#token-name", &token).await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn line_4_a_token_authorises_the_api_acting_for_its_user_in_its_project() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let station = host.ada().await.project("Weather station").await;
    browser.switch("Weather station").await;
    browser.see("#no-tokens h2", "No tokens in this project yet").await;
    let token = browser.make("Script", "30", "Days").await;
    assert!(token.starts_with(&format!("demo_pat_{station}_")));
    let at = |path: &str| format!("http://{}{path}", browser.address);
    let (status, body) = get(&at("/api/v2/auth/whoami"), &token).await;
    assert_eq!(status, 200);
    assert_eq!((&body["user"]["name"], &body["project"]["name"]), (&json!("ada"), &json!("Weather station")));
    let (status, models) = get(&at("/llm/v1/models"), &token).await;
    assert_eq!((status, &models["data"][0]["id"]), (200, &json!("echo")));
    browser.done().await;
    browser.client.refresh().await.unwrap();
    browser.see("tbody td:nth-child(4) time", "just now").await;
    browser.see("tbody .from", "from 127.0.0.1").await;
    browser.keep("guide-4-last-used").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn line_5_an_integration_option_and_ready_settings_for_vs_code_and_jetbrains() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let token = browser.make("VSCode Integration", "30", "Days").await;

    // While the pop-up is open, the preview of a tool's settings equals the downloaded file. The
    // settings for VS Code contain the token.
    for (tool, file) in [
        ("vscode", "settings.json"),
        ("vscode-alita", "settings.json"),
        ("jetbrains", "elitea.xml"),
        ("jetbrains-alita", "alita.xml"),
    ] {
        let shown = browser.preview(tool).await;
        browser.click("#download").await;
        assert_eq!(browser.downloaded(file).await, shown, "{tool}");
        assert_eq!(shown.contains(&token), file == "settings.json", "{tool}");
        assert!(!shown.contains("PASTE_YOUR_TOKEN_HERE"), "{tool}");
        if tool == "vscode" {
            browser.keep("guide-5-settings").await;
            let settings: Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(settings["eliteacode.LLMServerUrl"], format!("http://{}", browser.address));
            let held = settings["eliteacode.LLMAuthToken"].as_str().unwrap();
            assert_eq!(get(&format!("http://{}/llm/v1/models", browser.address), held).await.0, 200);
        }
    }

    // After the pop-up is closed, the menu beside the token in the list offers the same files. The
    // file for VS Code then contains a placeholder instead of the token.
    browser.done().await;
    for (icon, file) in [("vscode", "settings.json"), ("jetbrains", "elitea.xml")] {
        browser.click(&browser.in_menu(&format!("a[download][href*='/connect/{icon}?']")).await).await;
        let text = browser.downloaded(file).await;
        browser.follow("tbody .steps > a[href*='settings=']").await;
        assert_eq!(browser.preview(icon).await, text);
        assert_eq!(text.contains("PASTE_YOUR_TOKEN_HERE"), icon == "vscode");
        browser.follow("[data-close]").await;
    }

    // In a public project, no model is selected at first. The person selects one in the dialog.
    let library = host.ada().await.project("Open library").await;
    host.ada().await.make("Reader", Some(library)).await;
    browser.goto(&format!("/settings/tokens?project={library}")).await;
    browser.see("tbody .name", "Reader").await;
    assert_eq!(browser.count("tbody a[download]").await, 0);
    browser.follow("tbody .steps > a[href*='settings=']").await;
    browser.click("[name=tool][value=vscode]").await;
    browser
        .until("document.querySelector('#said').textContent.startsWith('Choose an integration option')", "#said")
        .await;
    browser.find("#pane-integration").await.select_by_label("echo").await.unwrap();
    browser.until("document.querySelector('#preview').textContent.includes('_echo')", "#preview").await;
    browser.keep("guide-5-integration").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn line_6_best_practice_descriptive_names_rotation_and_ending_unused_tokens() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let old = browser.make("Deployment of the Büro, every night", "30", "Days").await;
    browser.done().await;
    browser.see("tbody .name", "Deployment of the Büro, every night").await;
    browser.see("tbody td:nth-child(4)", "Never used").await;
    // The list shows the newest token first.
    host.clock.advance(Duration::from_secs(1));
    browser.follow(&browser.in_menu("a[href*='rotate=']").await).await;
    browser.find("#grace").await.select_by_value("1").await.unwrap();
    browser.follow("#rotate").await;
    browser.see("#dialog-title", "Deployment of the Büro, every night is ready").await;
    let new = browser.text("#token").await;
    assert_ne!(old, new);
    let settings: Value = serde_json::from_str(&browser.preview("vscode").await).unwrap();
    assert_eq!(settings["eliteacode.authToken"], new);
    let whoami = format!("http://{}/api/v2/auth/whoami", browser.address);
    host.clock.advance(Duration::from_secs(1));
    for token in [&old, &new] {
        assert_eq!(get(&whoami, token).await.0, 200, "both work");
    }
    browser.done().await;
    browser.until("document.body.textContent.includes('Still in use.')", "body").await;
    host.clock.advance(Duration::from_secs(3598));
    assert_eq!(get(&whoami, &old).await.0, 200);
    browser.keep("guide-6-rotated").await;

    browser.follow("tbody .steps > a[href*='end-grace=']").await;
    browser.until("document.querySelector('#use').textContent.startsWith('It is still in use:')", "#use").await;
    browser.keep("guide-6-end").await;
    browser.follow("#end-now").await;
    browser.is_told("has stopped working. Only its successor works.").await;
    let (status, problem) = get(&whoami, &old).await;
    assert_eq!((status, &problem["reason"]), (401, &json!("rotated")));
    assert_eq!(get(&whoami, &new).await.0, 200);

    // A disabled token is rejected until it is enabled again.
    browser.follow(&browser.in_menu("form[action$='/disable'] button").await).await;
    browser.see("tbody .badge", "Disabled").await;
    assert_eq!(get(&whoami, &new).await.1["reason"], "disabled");
    browser.follow("form[action$='/enable'] button").await;
    browser.see("tbody .badge", "Active").await;
    assert_eq!(get(&whoami, &new).await.0, 200);

    // The page of the token lists the events in its history.
    browser.follow("tbody a.name").await;
    let issued = "document.querySelector(arguments[0])?.textContent.startsWith('Issued by you to replace “')";
    browser.until(issued, "#history li:last-child").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn line_7_troubleshooting_wrong_project_expired_revoked_lost_and_where_to_ask() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let engine = host.ada().await.project("Difference engine").await;
    let token = browser.make("VSCode Integration", "30", "Days").await;
    browser.done().await;
    let at = |path: &str| format!("http://{}/api/v2/{path}", browser.address);
    let (status, problem) = get(&at(&format!("projects/{engine}/whoami")), &token).await;
    assert_eq!((status, &problem["reason"]), (403, &json!("wrong_project")));

    // A user deletes a lost token. The button works only after the user has typed the token's name.
    browser.follow(&browser.in_menu(".danger").await).await;
    browser.fill("#typed", "VSCode").await;
    assert!(!browser.find("#delete").await.is_enabled().await.unwrap());
    assert_eq!(get(&at("auth/whoami"), &token).await.0, 200);
    browser.find("#typed").await.send_keys(" Integration").await.unwrap();
    browser.keep("guide-7-delete").await;
    browser.follow("#delete").await;
    browser.is_told("is revoked and has stopped working.").await;
    let (status, problem) = get(&at("auth/whoami"), &token).await;
    assert_eq!((status, &problem["reason"]), (401, &json!("revoked")));
    assert_eq!(problem["detail"], "the token was revoked");
    browser.find("#no-tokens").await;

    browser.click(".help summary").await;
    for word in ["Wrong project.", "Expired or revoked.", "Lost.", "administrator"] {
        assert!(browser.text(".help").await.contains(word));
    }
    browser.keep("guide-7-help").await;
    browser.client.close().await.unwrap();
}

impl Browser {
    /// Selects a tool, and returns the preview of its settings.
    async fn preview(&self, tool: &str) -> String {
        let before = self.text("#preview").await;
        let radio = format!("[name=tool][value={tool}]");
        let script =
            "const radio = document.querySelector(arguments[0]); const was = radio.checked; radio.click(); return was";
        let was = self.client.execute(script, vec![json!(radio)]).await.unwrap();
        if was == false {
            self.until(&format!("document.querySelector('#preview').textContent !== {}", json!(before)), "#preview")
                .await;
        }
        self.text("#preview").await
    }
}
