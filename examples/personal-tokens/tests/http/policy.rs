//! Tests the administrator's page of the policy, and the preview of another policy.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Host;

const POLICY: &str = "/admin/policy";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The fields of a form with keyfob's default policy.
const DEFAULT: &str = "preview=1&human_default=30+days&human_min=&human_max=366+days&service_default=30+days&service_min=\
    &service_max=366+days&agent_default=12+hours&agent_min=&agent_max=7+days&most_live_per_owner=\
    &most_live_per_issuer=20&max_depth=1&max_unused=&max_grace=30+days";

#[tokio::test]
async fn policy_in_words() {
    let host =
        Host::start_configured(json!({"policy": {"human": {"max_seconds": 7_776_000}, "most_live_per_owner": 20}}))
            .await;
    let page = host.ada().await.get(POLICY).await.is(200).body;
    for words in [
        "They live for 30 days unless the person chooses another time.",
        "They live for at most 90 days.",
        "Each one must expire.",
        "A person may have 20 live tokens in a project.",
        "A token may have 20 live agent tokens.",
        "value=\"90 days\"",
        "A token may go unused for any time.",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // Without a request for it, the page makes no preview, which reads every token.
    assert!(!page.contains("id=\"preview\""));
}

#[tokio::test]
async fn preview_names_who_would_be_hit_and_when() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    eve.make("a", Some(shared)).await;
    eve.make("b", Some(shared)).await;
    ada.post(json!({"name": "c", "expires": null})).await.is(200);

    let none = ada.get(&format!("{POLICY}?{DEFAULT}&human_never=on")).await.is(200).body;
    assert!(none.contains("This policy would block no live token.") && !none.contains("id=\"hits\""));
    let page = ada.get(&format!("{POLICY}?{DEFAULT}")).await.is(200).body;
    assert!(page.contains("This policy would block 1 live token of 1 person immediately."), "{page}");
    assert!(page.contains(">ada</a>") && page.contains("It never expires") && page.contains("Immediately"));
    let strict = DEFAULT.replace("human_max=366", "human_max=7").replace("max_unused=&", "max_unused=2+days&");
    let page = ada.get(&format!("{POLICY}?{strict}&human_never=on")).await.is(200).body;
    assert!(page.contains("would block 3 live tokens of 2 people: 2 immediately and 1 later."), "{page}");
    let row = page.split("<tr>").find(|row| row.contains(">eve</a>")).unwrap();
    assert!(row.contains("\"Tokens\">2<") && row.contains("Open library") && row.contains("It lives longer"), "{row}");
    let row = page.split("<tr>").find(|row| row.contains("It was not used for 2 days")).unwrap();
    assert!(row.contains(">ada</a>") && row.contains("<time"), "{row}");
    // The preview changes nothing.
    host.clock.advance(3 * DAY);
    assert_eq!(ada.get("/api/v2/auth/token/").await.json().as_array().unwrap().len(), 1);

    // The text for the configuration is accepted as the configuration.
    let json =
        page.split("<pre id=\"json\"").nth(1).unwrap().split_once('>').unwrap().1.split("</pre>").next().unwrap();
    let config: Value = serde_json::from_str(&json.replace("&quot;", "\"").replace("&#34;", "\"")).unwrap();
    assert_eq!(config["policy"]["human"]["max_seconds"], 604_800);
    let strict = Host::start_configured(config).await;
    strict.ada().await.post(json!({"name": "n", "expires": {"measure": "days", "value": 8}})).await.is(400);
}

#[tokio::test]
async fn wrong_values_are_marked_at_their_field() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let wrong = DEFAULT.replace("human_max=366+days", "human_max=soon").replace("max_depth=1", "max_depth=5");
    let page = ada.get(&format!("{POLICY}?{wrong}")).await.is(400).body;
    for (field, words) in
        [("human_max", "Enter a number and a unit"), ("max_depth", "Enter a whole number from 0 to 4.")]
    {
        assert!(page.contains(&format!("id=\"{field}-error\">{words}")), "{page}");
    }
    let input = page.split("<input id=\"human_max\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(input.contains("value=\"soon\"") && input.contains("aria-invalid=\"true\"") && input.contains("autofocus"));
    assert!(page.matches("autofocus").count() == 1 && !page.contains("id=\"preview\""));
    for hostile in ["preview=1", "preview=1&human_max=%3Cscript%3E"] {
        assert!(!ada.get(&format!("{POLICY}?{hostile}")).await.body.contains("<script>"));
    }
}
