//! Tests in the browser how a person uses the page of a token and the alarms about leaked tokens.

use axum::http::Request;
use serde_json::{Value, json};

use crate::driver::{Driver, Scheme, open};
use crate::support::Host;

fn uuid(made: &Value) -> &str {
    made["uuid"].as_str().unwrap()
}

async fn report(host: &Host, made: &Value) {
    let body = json!([{"token": made["token"], "url": "https://paste.example/raw/1"}]).to_string();
    let request = Request::post("/api/v2/leaks").header("content-type", "application/json");
    host.send(request.body(body.into()).unwrap()).await.is(202);
}

/// A person finds the card of a leaked token, reads its history, and creates a replacement.
#[tokio::test(flavor = "multi_thread")]
async fn leaked_token_is_replaced_from_its_card() {
    let Some(driver) = Driver::start() else { return };
    let host = Host::start().await;
    let ada = host.ada().await;
    let body = json!({"name": "Grafana", "scopes": "notes:read"});
    let leaked = ada.post(body).await.is(200).json();
    report(&host, &leaked).await;
    let browser = open(&driver, &host, Scheme::Light).await;
    browser.sign_in(&host).await;
    browser.see(".leak b", "Grafana").await;
    browser.follow(".leak a[href='/settings/tokens/UUID']".replace("UUID", uuid(&leaked)).as_str()).await;
    browser.see("#status .reason", "It leaked").await;
    browser.follow("#replace").await;
    browser.holds("#token-name", "Grafana").await;
    let chosen =
        "[...document.querySelectorAll('#scopes input:checked')].map(one => one.value).join() === 'notes:read'";
    browser.until(chosen, "#scopes").await;
    browser.follow("#generate").await;
    browser.find("#token").await;
    browser.client.close().await.unwrap();
}
