//! Tests the administrator's page of all tokens.

use std::time::Duration;

use serde_json::json;

use crate::support::{Host, WHOAMI, text_of};

const PAGE: &str = "/admin/tokens";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the names of the tokens on a page, in the order of the page.
fn names(page: &str) -> Vec<&str> {
    let table = page.split("<tbody>").nth(1).unwrap_or_default();
    table.split("<a class=\"name\"").skip(1).map(|row| row.split(['>', '<']).nth(1).unwrap()).collect()
}

#[tokio::test]
async fn administrator_finds_the_tokens_of_all_people_by_expiry_and_use() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let idle = ada.post(json!({"name": "idle", "expires": {"measure": "days", "value": 60}})).await.is(200).json();
    host.with_token(WHOAMI, idle["token"].as_str().unwrap()).await.is(200);
    host.clock.advance(31 * DAY);
    eve.post(json!({"name": "forever", "expires": null})).await.is(200);
    let used = eve.post(json!({"name": "week", "expires": {"measure": "days", "value": 5}})).await.is(200).json();
    host.with_token(WHOAMI, used["token"].as_str().unwrap()).await.is(200);
    eve.get(PAGE).await.is(404);
    for (show, expected) in [
        ("", "forever idle week"),
        ("live", "forever idle week"),
        ("ended", ""),
        ("expires-7", "week"),
        ("no-expiry", "forever"),
        ("never-used", "forever"),
        ("unused-30", "idle"),
    ] {
        let page = ada.get(&format!("{PAGE}?show={show}")).await.is(200).body;
        let mut found = names(&page);
        found.sort_unstable();
        assert_eq!(found.join(" "), expected, "{show}");
    }
    let page = ada.get(PAGE).await.is(200).body;
    let row = page.split("<tr>").find(|row| row.contains("forever")).unwrap();
    assert!(row.contains(">eve</a>") && text_of(row).contains("in Personal (eve)"), "{row}");
    // The same choices are on the pages of a person and of a project.
    assert_eq!(names(&ada.get("/admin/people/2?show=never-used").await.is(200).body), ["forever"]);
    assert_eq!(names(&ada.get("/admin/projects/1?show=unused-30").await.is(200).body), ["idle"]);

    // The administrator revokes a token, and returns to the page.
    let revoke = row.split("href=\"").find(|link| link.contains("revoke=")).unwrap().split('"').next().unwrap();
    let dialog = ada.get(revoke).await.is(200);
    let action = dialog.body.split("<dialog").nth(1).unwrap().split("action=\"").nth(1).unwrap();
    let form = format!("csrf={}&view=%2Fadmin%2Ftokens", dialog.field("csrf"));
    let done = ada.post_form(action.split('"').next().unwrap(), &form).await.is(303);
    assert_eq!(done.header("location"), "/admin/tokens?said=revoked");
    assert_eq!(names(&ada.get(&format!("{PAGE}?show=no-expiry")).await.body), [""; 0]);
}

#[tokio::test]
async fn pages_contain_each_token_once() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let library = ada.project("Open library").await;
    for number in 0..40 {
        ada.make(&format!("a{number}"), None).await;
        eve.make(&format!("e{number}"), if number % 2 == 0 { None } else { Some(library) }).await;
    }
    for show in ["", "never-used", "no-expiry"] {
        let (mut at, mut seen) = (format!("{PAGE}?show={show}"), Vec::new());
        loop {
            let page = ada.get(&at).await.is(200).body;
            seen.extend(names(&page).into_iter().map(String::from));
            let Some((_, rest)) = page.split_once("id=\"later\"") else { break };
            at = rest.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
        }
        seen.sort();
        let count = seen.len();
        seen.dedup();
        assert_eq!((count, seen.len()), if show == "no-expiry" { (0, 0) } else { (80, 80) }, "{show}");
    }
}
