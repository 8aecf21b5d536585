//! Tests the page of a token and the alarms about leaked tokens in the browser: what they show, that
//! nothing is wider than the window, and their accessibility in both colour schemes.

use std::time::Duration;

use axum::http::Request;
use serde_json::{Value, json};

use crate::accessibility::axe;
use crate::driver::{Browser, Driver, Scheme, open};
use crate::support::{Host, Person, TOKENS, WHOAMI};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn uuid(made: &Value) -> &str {
    made["uuid"].as_str().unwrap()
}

fn token(made: &Value) -> &str {
    made["token"].as_str().unwrap()
}

/// The tokens whose pages the tests look at.
struct Tokens {
    /// A token with uses and refusals on several days, with agent tokens and a predecessor.
    busy: Value,
    leaked: Value,
}

async fn report(host: &Host, made: &Value) {
    let url = format!("https://paste.example/{}?found=<b>1</b>", "a-long-path-".repeat(20));
    let body = json!([{"token": token(made), "url": url}]).to_string();
    let request = Request::post("/api/v2/leaks").header("content-type", "application/json");
    host.send(request.body(body.into()).unwrap()).await.is(202);
}

/// Issues an agent token under a token, with this token and without a person.
async fn delegate(host: &Host, issuer: &Value, body: &Value) -> Value {
    let request = Request::post("/api/v2/auth/token/self/delegate").header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", token(issuer)));
    host.send(request.body(body.to_string().into()).unwrap()).await.is(200).json()
}

async fn tokens(host: &Host, ada: &Person<'_>) -> Tokens {
    let hostile = format!("Backup \u{5d0}\u{5d1}\u{5d2} {}", "n".repeat(230));
    let body =
        json!({"name": hostile, "scopes": "tokens:manage notes:read", "expires": {"measure": "days", "value": 90}});
    let first = ada.post(body).await.is(200).json();
    let rotate = format!("{TOKENS}{}/rotate", uuid(&first));
    let busy = ada.post_to(&rotate, r#"{"grace": {"measure": "days", "value": 7}}"#).await.is(200).json();
    let agent = delegate(host, &busy, &json!({"name": hostile, "scopes": "notes:read"})).await;
    delegate(host, &busy, &json!({"name": "Worker", "scopes": ""})).await;
    host.with_token(WHOAMI, token(&agent)).await.is(200);
    for day in 0..5 {
        for _ in 0..=day * 2 {
            host.with_token(WHOAMI, token(&busy)).await.is(200);
        }
        host.with_token("/api/v2/projects/2/whoami", token(&busy)).await.is(403);
        host.clock.advance(DAY);
    }
    for verb in ["disable", "enable"] {
        ada.post_to(&format!("{TOKENS}{}/{verb}", uuid(&busy)), "").await.is(200);
    }
    let body = json!({"name": hostile, "scopes": "tokens:manage"});
    let leaked = ada.post(body).await.is(200).json();
    delegate(host, &leaked, &json!({"name": "agent", "scopes": ""})).await;
    for number in 0..5 {
        let made = ada.make(&format!("Grafana {number}"), None).await;
        report(host, &made).await;
    }
    host.clock.advance(Duration::from_secs(60));
    report(host, &leaked).await;
    host.with_token(WHOAMI, token(&leaked)).await.is(401);
    Tokens { busy, leaked }
}

impl Browser {
    /// Checks a page at several widths: no element is wider than the window, and axe-core finds
    /// nothing.
    async fn fits(&self, axe: Option<&str>, name: &str, scheme: Scheme) {
        for (width, height) in [(1280, 2000), (768, 2000), (400, 3000)] {
            self.client.set_window_size(width, height).await.unwrap();
            let script = "return [...document.querySelectorAll('main *, dialog *')].filter(one => !one.closest('.unseen, svg') && \
                one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 200))";
            let wide = self.client.execute(script, vec![]).await.unwrap();
            assert_eq!(wide, json!([]), "{name}, {width} wide");
            let scrolls = "return document.documentElement.scrollWidth > innerWidth";
            assert_eq!(self.client.execute(scrolls, vec![]).await.unwrap(), json!(false), "{name}, {width} wide");
            if let Some(axe) = axe {
                let found = self.violations(axe).await;
                assert!(found.is_empty(), "{name}, {scheme:?}, {width} wide: {found:#?}");
            }
            self.keep(&format!("{name}-{scheme:?}-{width}").to_lowercase()).await;
        }
        self.client.set_window_size(1280, 900).await.unwrap();
    }
}

async fn in_scheme(scheme: Scheme) {
    let Some(driver) = Driver::start() else { return };
    let axe = axe();
    let host = Host::start().await;
    let ada = host.ada().await;
    let Tokens { busy, leaked } = tokens(&host, &ada).await;
    let browser = open(&driver, &host, scheme).await;
    browser.sign_in(&host).await;
    // The list of this project is empty, so the page shows only the alarms.
    browser.goto("/settings/tokens?project=2").await;
    assert_eq!((browser.count(".leak").await, browser.text(".more-leaks").await), (5, "And 1 more".into()));
    browser.fits(axe.as_deref(), "alarms", scheme).await;
    browser.goto("/settings/leaks").await;
    browser.fits(axe.as_deref(), "all-alarms", scheme).await;
    browser.goto(&format!("/settings/tokens/{}", uuid(&busy))).await;
    let script = "document.querySelectorAll('details.folded').forEach(one => (one.open = true))";
    browser.client.execute(script, vec![]).await.unwrap();
    browser.fits(axe.as_deref(), "token-busy", scheme).await;
    browser.click("#more-open").await;
    browser.fits(axe.as_deref(), "token-menu", scheme).await;
    browser.goto(&format!("/settings/tokens/{}", uuid(&leaked))).await;
    browser.fits(axe.as_deref(), "token-leaked", scheme).await;
    let mut parts = token(&busy).split('_').skip(2);
    let of_admin = format!("/admin/tokens/{}/{}", parts.next().unwrap(), parts.next().unwrap());
    browser.goto(&of_admin).await;
    browser.fits(axe.as_deref(), "token-of-admin", scheme).await;
    browser.follow("#revoke").await;
    assert!(browser.is_modal().await);
    browser.fits(axe.as_deref(), "token-revoke", scheme).await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_and_have_no_violation_in_light() {
    in_scheme(Scheme::Light).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_and_have_no_violation_in_dark() {
    in_scheme(Scheme::Dark).await;
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
