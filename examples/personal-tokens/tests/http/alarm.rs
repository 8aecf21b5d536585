//! Tests the alarms of leaked tokens, as their owner sees them.

use std::time::Duration;

use axum::http::Request;
use serde_json::json;

use crate::support::{Host, assert_holds_no_part, text_of};

const PAGE: &str = "/settings/tokens";

/// Reports a token. The web address of the report contains HTML, which the page must show as plain
/// text.
async fn report(host: &Host, token: &str) {
    let url = "https://paste.example/1?<script>alert(1)</script>";
    let body = json!([{ "token": token, "url": url }]).to_string();
    let request = Request::post("/api/v2/leaks").header("content-type", "application/json");
    host.send(request.body(body.into()).unwrap()).await.is(202);
}

/// Returns the cards of the alarms on a page, each as text.
fn cards(page: &str) -> Vec<String> {
    let Some((_, alarms)) = page.split_once("<section id=\"leaked\"") else { return Vec::new() };
    let (alarms, _) = alarms.split_once("</section>").unwrap();
    alarms.split("<div class=\"alarm leak\">").skip(1).map(text_of).collect()
}

#[tokio::test]
async fn card_says_what_ended_and_what_still_works() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.post(json!({"name": "Grafana", "scopes": "tokens:manage"})).await.is(200).json();
    let token = made["token"].as_str().unwrap();
    host.delegate(token, &json!({"name": "agent", "scopes": ""})).await.is(200);
    // A holder of the token has rotated it, and has issued a token that does not end with it.
    let body = json!({"grace": {"measure": "hours", "value": 1}}).to_string();
    let path = format!("/api/v2/auth/token/{}/rotate", made["uuid"].as_str().unwrap());
    let new = ada.post_to(&path, &body).await.is(200).json();
    report(&host, token).await;
    host.clock.advance(Duration::from_secs(240));
    let page = ada.get(PAGE).await.is(200).body;
    let [card] = &cards(&page)[..] else { panic!("{page}") };
    let short: String = new["token"].as_str().unwrap().split('_').nth(3).unwrap().chars().take(4).collect();
    for words in [
        "Grafana was found in public and revoked 4 minutes ago.",
        "Where: https://paste.example/1?<script>alert(1)</script>",
        "Reported by somebody who had found it.",
        "1 token that it had issued ended with it.",
        &format!("“Grafana” ({short}…), which replaced it, still works."),
    ] {
        assert!(card.contains(words), "{words}: {card}");
    }
    // The links of the card lead to the page of the token and to a form with its properties.
    let history = format!("{PAGE}/{}", made["uuid"].as_str().unwrap());
    assert!(page.contains(&format!("href=\"{history}\"")), "{page}");
    ada.get(&history).await.is(200);
    let form = "/settings/tokens?project=1&#38;new=1&#38;name=Grafana&#38;scope=tokens%3Amanage\"";
    assert!(page.contains(form), "{page}");
    ada.get(&form.replace("&#38;", "&").replace('"', "")).await.is(200);
}

/// After an owner has created a replacement, a live token has the name of the leaked token. The
/// card distinguishes them, and does not ask for another replacement.
#[tokio::test]
async fn card_names_the_replacement_once_it_exists() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let leaked = ada.make("Grafana", None).await;
    ada.make("Grafana", None).await;
    report(&host, leaked["token"].as_str().unwrap()).await;
    let page = ada.get(PAGE).await.is(200).body;
    let [card] = &cards(&page)[..] else { panic!("{page}") };
    let id = leaked["token"].as_str().unwrap().split('_').nth(3).unwrap();
    let token = format!("Token: demo_pat_1_{}…{} in Personal (ada) · 1", &id[..4], &id[12..]);
    assert!(card.contains(&token) && card.contains("Create replacement"), "{card}");
    assert!(!card.contains("another token after the leak"), "the other token is older than the leak: {card}");
    host.clock.advance(Duration::from_secs(60));
    let new = ada.make("Grafana", None).await;
    let page = ada.get(PAGE).await.is(200).body;
    let [card] = &cards(&page)[..] else { panic!("{page}") };
    let short = &new["token"].as_str().unwrap().split('_').nth(3).unwrap()[..4];
    let words = format!("You have created another token after the leak: “Grafana” ({short}…).");
    assert!(card.contains(&words) && !card.contains("Create replacement"), "{card}");
}

#[tokio::test]
async fn card_of_a_token_in_a_left_project_offers_no_replacement() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let shared = ada.project("Weather station").await;
    let made = ada.make("CI", Some(shared)).await;
    report(&host, made["token"].as_str().unwrap()).await;
    host.app.projects.leave(shared, 1).await.unwrap();
    let page = ada.get(PAGE).await.is(200).body;
    let [card] = &cards(&page)[..] else { panic!("{page}") };
    assert!(!card.contains("Create replacement") && card.contains("View history"), "{card}");
    ada.get(&format!("{PAGE}/{}", made["uuid"].as_str().unwrap())).await.is(200);
}

#[tokio::test]
async fn all_alarms_are_on_a_page_of_their_own_and_can_be_dismissed_together() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    for number in 0..7 {
        let made = ada.make(&format!("CI {number}"), None).await;
        report(&host, made["token"].as_str().unwrap()).await;
    }
    let hers = eve.make("hers", None).await;
    report(&host, hers["token"].as_str().unwrap()).await;
    assert_eq!(cards(&ada.get(PAGE).await.is(200).body).len(), 5);
    let page = ada.get("/settings/leaks").await.is(200);
    assert_eq!(cards(&page.body).len(), 7);
    assert_holds_no_part(&page.body, hers["token"].as_str().unwrap());
    // A dismissed alarm leads back to this page.
    let form = page.body.split("action=\"/settings/leaks/1/").nth(1).unwrap().split('"').next().unwrap();
    let csrf = page.field("csrf");
    let done = ada.post_form(&format!("/settings/leaks/1/{form}"), &format!("csrf={csrf}")).await.is(303);
    assert_eq!(done.header("location"), "/settings/leaks");
    assert_eq!(cards(&ada.get("/settings/leaks").await.is(200).body).len(), 6);
    ada.post_form("/settings/leaks/seen", "csrf=wrong").await.is(403);
    ada.post_form("/settings/leaks/seen", &format!("csrf={csrf}")).await.is(303);
    assert!(ada.get("/settings/leaks").await.is(200).body.contains("id=\"no-leaks\""));
    assert_eq!(cards(&eve.get(PAGE).await.is(200).body).len(), 1);
}
