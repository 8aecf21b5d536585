//! Tests agent tokens in the browser: a person creates them under another token, uses them, sees
//! them in the tree of issued tokens, and revokes them together with their issuer.

use serde_json::json;

use crate::driver::{Browser, Driver, get, signed_in};

impl Browser {
    /// Creates an agent token with the form that is open, and returns the token's text. The pop-up
    /// that shows the token stays open.
    async fn make_agent(&self, name: &str, scope: &str) -> String {
        self.fill("#token-name", name).await;
        self.fill("#amount", "10").await;
        self.find("#unit").await.select_by_label("Minutes").await.unwrap();
        self.click(&format!("#scopes input[value='{scope}']")).await;
        self.follow("#generate").await;
        self.find("#token").await.text().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_token_is_created_used_shown_and_revoked_with_its_issuer() {
    let Some(driver) = Driver::start() else { return };
    let (_host, browser) = signed_in(&driver).await;
    let laptop = browser.make("Laptop", "30", "Days").await;
    browser.done().await;
    browser.see("tbody .name", "Laptop").await;

    // The form for an agent token opens from the list, and from the page of the issuing token.
    browser.follow(&browser.in_menu("a[href*='agent=']").await).await;
    assert!(browser.is_modal().await);
    browser.see("#dialog-title", "New agent token").await;
    browser.see("#most", "At most 7 days.").await;
    assert_eq!(browser.count("#scopes input").await, 1, "only the scopes that the token itself has");
    browser.holds("#amount", "12").await;
    browser.keep("agent-1-form").await;
    let agent = browser.make_agent("Review agent", "models:use").await;
    browser
        .until(
            "document.querySelector('dialog').textContent.includes('It ends with the token that issued it.')",
            "dialog",
        )
        .await;
    browser.keep("agent-2-shown-once").await;
    browser.done().await;
    browser.see("tbody .issuer", "Agent token of Laptop").await;
    browser
        .client
        .execute("[...document.querySelectorAll('a.name')].find(a => a.textContent === 'Laptop').id = 'laptop'", vec![])
        .await
        .unwrap();
    browser.follow("#laptop").await;
    browser.see("#issued-title", "Issued tokens").await;
    browser.until("document.querySelector('#issued .used').textContent.startsWith('Never used')", "#issued").await;
    browser.click("#more-open").await;
    browser.follow("#agent").await;
    let other = browser.make_agent("Night agent", "models:use").await;
    browser.done().await;

    // After each token was used, the tree shows the time and the client address of its last use.
    let whoami = format!("http://{}/api/v2/auth/whoami", browser.address);
    for token in [&laptop, &agent, &other] {
        assert_eq!(get(&whoami, token).await.0, 200);
    }
    browser
        .client
        .execute("[...document.querySelectorAll('a.name')].find(a => a.textContent === 'Laptop').id = 'laptop'", vec![])
        .await
        .unwrap();
    browser.follow("#laptop").await;
    assert_eq!(browser.count("#issued .tree li").await, 2);
    let used = "[...document.querySelectorAll('#issued .used')].every(line => /^Last used just now\\s+from 127\\.0\\.0\\.1/.test(line.textContent))";
    browser.until(used, "#issued").await;
    let history = browser.text("#history").await;
    assert!(history.contains("Issued “Review agent” ("), "{history}");
    browser.keep("agent-3-tree").await;
    browser.client.set_window_size(400, 800).await.unwrap();
    browser.keep("agent-3-tree-narrow").await;
    let fits = "return document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(browser.client.execute(fits, vec![]).await.unwrap(), json!(true));
    browser.client.set_window_size(1280, 900).await.unwrap();

    // The button shows the number of tokens that end together with their issuer.
    browser.click("#more-open").await;
    browser.follow("#revoke").await;
    browser.see("#ends-too", "It issued 2 agent tokens, which end with it.").await;
    browser.see("#delete", "Revoke with everything it issued (2)").await;
    browser.find("#typed").await.send_keys("Laptop").await.unwrap();
    browser.keep("agent-4-revoke").await;
    browser.follow("#delete").await;
    browser.is_told("and everything it issued have stopped working.").await;
    for token in [&agent, &other] {
        let (status, problem) = get(&whoami, token).await;
        assert_eq!((status, &problem["reason"]), (401, &json!("issuer_ended")));
    }
    assert_eq!(get(&whoami, &laptop).await.1["reason"], "revoked");
    browser
        .until("[...document.querySelectorAll('tbody .badge')].every(badge => badge.textContent === 'Ended')", "tbody")
        .await;
    browser.keep("agent-5-ended").await;
    browser.client.close().await.unwrap();
}
