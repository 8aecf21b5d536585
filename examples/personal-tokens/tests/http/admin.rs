//! Tests the pages and operations for administrators, and that other people cannot use them.

use serde_json::Value;

use crate::support::{Host, WHOAMI};

const PAGE: &str = "/settings/tokens";

fn text(made: &Value) -> String {
    made["token"].as_str().unwrap().to_owned()
}

/// Returns the token id, which is a part of the token's text.
fn id(token: &str) -> &str {
    token.rsplit('_').nth(1).unwrap()
}

#[tokio::test]
async fn an_administrator_sees_who_holds_what_and_ends_it() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    let hers = text(&eve.make("Eve's script", Some(shared)).await);
    let own = text(&eve.make("Eve's own", None).await);
    let mine = text(&ada.make("Ada's", Some(shared)).await);
    host.with_token(WHOAMI, &hers).await.is(200);

    let page = ada.get(&format!("/admin/projects/{shared}")).await.is(200);
    for word in ["Eve&#39;s script", "<td data-label=\"Person\">eve</td>", "Ada&#39;s", id(&hers), id(&mine)] {
        assert!(page.body.contains(word), "{word}");
    }
    assert!(!page.body.contains(id(&own)));
    let person = ada.get("/admin/people/2").await.is(200).body;
    assert!(person.contains(id(&hers)) && person.contains(id(&own)) && !person.contains(id(&mine)));
    for page in [&page.body, &person] {
        crate::support::assert_holds_no_part(page, &hers);
    }

    let (csrf, at) = (page.field("csrf"), format!("/admin/tokens/{shared}/{}", id(&hers)));
    let revoke = format!("{at}/revoke");
    ada.post_form(&revoke, "csrf=wrong").await.is(403);
    host.with_token(WHOAMI, &hers).await.is(200);
    ada.post_form(&revoke, &format!("csrf={csrf}")).await.is(303);
    host.with_token(WHOAMI, &hers).await.is_problem(401, "revoked");
    host.with_token(WHOAMI, &mine).await.is(200);
    let page = ada.get(&format!("/admin/projects/{shared}")).await.is(200).body;
    assert!(page.contains("just now by ada: privilege withdrawn"), "{page}");
    assert!(ada.get(&at).await.is(200).body.contains("Revoked by you: access withdrawn"));
    ada.post_form(&format!("/admin/tokens/{shared}/{}/revoke", id(&own)), &format!("csrf={csrf}")).await.is(404);
    for path in ["/admin/people/99", "/admin/projects/99", "/admin/tokens/1/x", "/admin/tokens/-/1aaaaaaaaaaaaaaa"] {
        ada.get(path).await.is(404);
    }

    let csrf = eve.get(PAGE).await.field("csrf");
    for path in ["/admin", "/admin/people/2", &format!("/admin/projects/{shared}"), &at, "/admin/models"] {
        eve.get(path).await.is(404);
    }
    let of_ada = format!("/admin/tokens/{shared}/{}/revoke", id(&mine));
    eve.post_form(&of_ada, &format!("csrf={csrf}")).await.is(404);
    host.with_token(WHOAMI, &mine).await.is(200);
}

#[tokio::test]
async fn long_list_has_a_second_page() {
    let host = Host::start().await;
    let ada = host.ada().await;
    for number in 0..51 {
        ada.make(&format!("n{number}"), None).await;
    }
    let first = ada.get("/admin/projects/1").await.is(200).body;
    assert_eq!(first.matches("<a class=\"name\"").count(), 50);
    let more = first.split("<a class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = ada.get(more).await.is(200).body;
    assert_eq!(second.matches("<a class=\"name\"").count(), 1);
    assert!(!second.contains("More of"));
}

#[tokio::test]
async fn an_administrator_ends_all_tokens_of_a_project() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    let there = [text(&ada.make("a", Some(shared)).await), text(&eve.make("b", Some(shared)).await)];
    let elsewhere = text(&ada.make("c", None).await);
    let path = format!("/admin/projects/{shared}/revoke-all");
    let csrf = ada.get("/admin").await.is(200).field("csrf");
    ada.post_form(&path, "csrf=wrong&typed=Open+library").await.is(403);
    assert_ne!(ada.post_form(&path, &format!("csrf={csrf}&typed=Open")).await.status, 303);
    host.with_token(WHOAMI, &there[0]).await.is(200);
    let done = ada.post_form(&path, &format!("csrf={csrf}&typed=Open+library")).await.is(303);
    assert_eq!(done.header("location"), "/admin?revoked=2");
    for token in &there {
        host.with_token(WHOAMI, token).await.is_problem(401, "revoked");
    }
    host.with_token(WHOAMI, &elsewhere).await.is(200);
    // Other people get 404 for this page.
    eve.get("/admin").await.is(404);
    let csrf = eve.get(PAGE).await.field("csrf");
    eve.post_form(&path, &format!("csrf={csrf}&typed=Open+library")).await.is(404);
}
