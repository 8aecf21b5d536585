//! Tests the audit trail of a token: what it records, what it keeps, and what the purge deletes.

use std::time::Duration;

use axum::http::Request;
use keyfob::{
    Actor, ProjectId, Rejection, TokenId, TokenKey,
    events::{Event, EventSink},
    leak::LeakedToken,
    record::RevocationReason,
};
use personal_tokens::db::query;
use personal_tokens::setup::{self, Settings};
use personal_tokens::tokens::purge;
use serde_json::{Value, json};

use crate::support::{Host, Person, REVOKE_ALL, TOKENS, WHOAMI, items_in};

const PAGE: &str = "/settings/tokens";

fn text(made: &Value) -> String {
    made["token"].as_str().unwrap().to_owned()
}

/// Returns the token id, which is a part of the token's text.
fn id(token: &str) -> &str {
    token.rsplit('_').nth(1).unwrap()
}

#[tokio::test]
async fn trail_of_a_token_says_that_it_was_revoked_with_its_owner() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    let csrf = ada.get("/admin/people").await.is(200).field("csrf");

    // An administrator revokes all tokens of an owner. The owner had revoked one of these tokens
    // before.
    let ended = eve.make("before", Some(shared)).await;
    eve.delete(&format!("{TOKENS}{}", ended["uuid"].as_str().unwrap())).await.is(204);
    host.clock.advance(Duration::from_secs(60));
    let hers = [text(&eve.make("a", Some(shared)).await), text(&eve.make("b", Some(shared)).await)];
    let mine = text(&ada.make("c", Some(shared)).await);
    ada.post_form("/admin/people/2/revoke-all", &format!("csrf={csrf}&typed=eve")).await.is(303);
    for token in &hers {
        let line = sentence(&trail(&ada, token).await, "Revoked");
        assert_eq!(line, "Revoked by you: access withdrawn, with all tokens of its owner in this project");
    }
    assert_eq!(sentence(&trail(&ada, &text(&ended)).await, "Revoked"), "Revoked by eve: no longer needed");
    assert!(!has_sentence(&trail(&ada, &mine).await, "Revoked"));

    // The administrator revokes all tokens of a project. Then an owner revokes all of her own
    // tokens.
    host.clock.advance(Duration::from_secs(60));
    ada.post_form(&format!("/admin/projects/{shared}/revoke-all"), &format!("csrf={csrf}&typed=Open+library"))
        .await
        .is(303);
    let line = sentence(&trail(&ada, &mine).await, "Revoked");
    assert_eq!(line, "Revoked by you: no longer needed, with all tokens of the project");
    let own = text(&eve.make("own", None).await);
    host.clock.advance(Duration::from_secs(60));
    eve.post_to(REVOKE_ALL, "").await.is(200);
    let line = sentence(&trail(&ada, &own).await, "Revoked");
    assert_eq!(line, "Revoked by eve: no longer needed, with all tokens of its owner in this project");
}

/// Two tokens of a project are revoked separately, by another actor or for another reason than the
/// rest of the project. The test deletes these two revocations from the audit trail. Then an
/// administrator revokes all tokens of the project. The trail must not claim that this operation
/// revoked the two tokens.
#[tokio::test]
async fn trail_names_a_group_only_if_its_actor_and_reason_match() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    let csrf = ada.get("/admin/people").await.is(200).field("csrf");
    // The owner revokes this token for the same reason as the group, but the administrator revokes
    // the group.
    let by_another = eve.make("a", Some(shared)).await;
    eve.delete(&format!("{TOKENS}{}", by_another["uuid"].as_str().unwrap())).await.is(204);
    let for_another_reason = text(&eve.make("b", Some(shared)).await);
    let revoke = format!("/admin/tokens/{shared}/{}/revoke", id(&for_another_reason));
    ada.post_form(&revoke, &format!("csrf={csrf}")).await.is(303);
    let with_group = text(&eve.make("c", Some(shared)).await);
    host.app.audit.written().await;
    query("DELETE FROM token_events WHERE event = 'revoked'").execute(&host.app.db).await.unwrap();
    let all = format!("/admin/projects/{shared}/revoke-all");
    ada.post_form(&all, &format!("csrf={csrf}&typed=Open+library")).await.is(303);
    for (token, said) in [
        (&text(&by_another), "Revoked by eve: no longer needed"),
        (&for_another_reason, "Revoked by you: access withdrawn"),
        (&with_group, "Revoked by you: no longer needed, with all tokens of the project"),
    ] {
        assert_eq!(sentence(&trail(&ada, token).await, "Revoked"), said);
    }
}

/// Returns the page with the audit trail of a token, as an administrator sees it.
async fn trail(admin: &Person<'_>, token: &str) -> String {
    let project = token.split('_').nth(2).unwrap();
    admin.get(&format!("/admin/tokens/{project}/{}", id(token))).await.is(200).body
}

/// Returns the sentence of the history that starts with these words. Panics unless exactly one
/// sentence does.
#[track_caller]
fn sentence(page: &str, start: &str) -> String {
    let mut found = items_in(page, "history");
    found.retain(|item| item.starts_with(start));
    assert_eq!(found.len(), 1, "{start}: {found:?} in {page}");
    found.remove(0)
}

fn has_sentence(page: &str, start: &str) -> bool {
    items_in(page, "history").iter().any(|item| item.starts_with(start))
}

async fn count(host: &Host, sql: &'static str) -> i64 {
    query(sql).value(&host.app.db).await.unwrap()
}

/// Moves the clock forward to the beginning of the next UTC day.
fn begin_day(host: &Host) {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let left = DAY - host.app.tokens.now().as_unix_millis() % DAY;
    host.clock.advance(Duration::from_millis(left.unsigned_abs()));
}

/// The holder of a revoked token presents it and reports it as leaked, once a second.
#[tokio::test]
async fn uses_of_a_revoked_token_hide_neither_its_issue_nor_its_revocation() {
    let host = Host::start().await;
    begin_day(&host);
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    let token = text(&made);
    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    let (reporter, leaked) = (Actor::new("a leak report").unwrap(), LeakedToken::new(&token).unwrap());
    for _ in 0..101 {
        host.clock.advance(Duration::from_secs(1));
        host.with_token(WHOAMI, &token).await.is(401);
        host.app.tokens.report_leak(&reporter, &leaked).await.unwrap();
    }
    let page = trail(&ada, &token).await;
    assert_eq!(sentence(&page, "Revoked"), "Revoked by you: no longer needed");
    assert_eq!(sentence(&page, "Issued"), "Issued by you");
    // The page shows all refusals of one day as one line, apart from the history.
    let refused = items_in(&page, "refusals");
    assert!(refused.len() == 1 && refused[0].ends_with(" 101 refused: revoked"), "{refused:?}");
    assert_eq!(items_in(&page, "history").len(), 2);
    assert_eq!(count(&host, "SELECT count(*) FROM token_events").await, 2);

    // Each further day adds another line. The service keeps at most 100 such lines for a token.
    for _ in 0..110 {
        host.clock.advance(Duration::from_secs(24 * 60 * 60));
        host.with_token(WHOAMI, &token).await.is(401);
        host.app.audit.written().await;
    }
    assert_eq!(count(&host, "SELECT count(*) FROM token_refusals").await, 100);
    let page = trail(&ada, &token).await;
    assert_eq!(items_in(&page, "history").len(), 2);
    assert_eq!(items_in(&page, "refusals").len(), 100);
}

/// All events of this test wait at the same time. The service writes none of them before the test
/// has recorded the last one, because the test has only one thread and awaits nothing in between.
#[tokio::test]
async fn refusals_that_wait_to_be_written_push_out_nothing_that_people_do() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let token = text(&ada.make("CI", None).await);
    host.app.audit.written().await;
    let project = ProjectId::new(token.split('_').nth(2).unwrap()).unwrap();
    let key = TokenKey { project, id: TokenId::new(id(&token)).unwrap() };
    for _ in 0..10_000 {
        host.app.audit.record(&Event::Failed { key: Some(key), rejection: Rejection::Disabled, left_out: 0 });
    }
    let actor = Actor::new("1").unwrap();
    host.app.audit.record(&Event::Revoked { key, actor: &actor, reason: RevocationReason::KeyCompromise });
    let page = trail(&ada, &token).await;
    assert_eq!(sentence(&page, "Revoked"), "Revoked by you: it leaked");
    assert!(items_in(&page, "refusals")[0].ends_with(" 1024 refused: disabled"), "{page}");
    assert_eq!(host.app.audit.dropped(), 10_000 - 1024);
}

/// Returns the number of rows with this token in the service's own tables, except the table of leak
/// alarms.
async fn rows_of(host: &Host, token: &str) -> i64 {
    let mut rows = 0;
    for table in ["token_names", "token_events", "token_refusals", "token_uses", "bound_tokens"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE token_id = ?");
        let of_table: i64 = query(sql).bind(id(token)).value(&host.app.db).await.unwrap();
        rows += of_table;
    }
    rows
}

#[tokio::test]
async fn tokens_are_deleted_with_their_trail_90_days_after_their_end() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let host = Host::start().await;
    let ada = host.ada().await;
    let live = text(&ada.post(json!({"name": "live", "scopes": "", "expires": null})).await.is(200).json());
    let issuer = text(&ada.post(json!({"name": "issuer", "scopes": "tokens:manage"})).await.is(200).json());
    let agent = text(&host.delegate(&issuer, &json!({"name": "agent", "scopes": ""})).await.is(200).json());
    let leak = Request::post("/api/v2/leaks").header("content-type", "application/json");
    let body = json!([{"token": issuer, "url": ""}, {"token": agent, "url": ""}]).to_string();
    host.send(leak.body(body.into()).unwrap()).await.is(202);
    host.with_token(WHOAMI, &issuer).await.is(401);
    let rows = async || {
        host.app.audit.written().await;
        (rows_of(&host, &live).await, rows_of(&host, &issuer).await, rows_of(&host, &agent).await)
    };
    let before = rows().await;

    host.clock.advance(90 * DAY);
    assert_eq!(purge::purge(&host.app).await.unwrap(), 0);
    host.with_token(WHOAMI, &issuer).await.is_problem(401, "revoked");
    // A refusal on another day adds another row.
    assert_eq!(rows().await, (before.0, before.1 + 1, before.2));

    host.clock.advance(Duration::from_millis(1));
    assert_eq!(purge::purge(&host.app).await.unwrap(), 2);
    assert_eq!(rows().await, (before.0, 0, 0));
    host.with_token(WHOAMI, &live).await.is(200);
    // A refusal of an unknown token adds no rows.
    host.with_token(WHOAMI, &issuer).await.is_problem(401, "invalid_token");
    assert_eq!(rows().await, (before.0, 0, 0));
    // The alarm about a person's token stays until the person dismisses it.
    let page = ada.get(PAGE).await.is(200).body;
    let (_, alarms) = page.split_once("id=\"leaked\"").unwrap();
    let (alarms, _) = alarms.split_once("</section>").unwrap();
    assert!(alarms.contains("<b>issuer</b>") && !alarms.contains("<b>agent</b>"), "{alarms}");
    assert!(alarms.contains("1 token that it had issued ended with it."), "{alarms}");
    // The token has no page any more, but the alarm still offers a replacement.
    assert!(!alarms.contains("View history") && alarms.contains("new=1&#38;name=issuer\""), "{alarms}");
}

#[tokio::test]
async fn configuration_says_when_tokens_are_deleted() {
    let host = Host::start_configured(json!({"purge_after_days": 1})).await;
    let token = text(&host.ada().await.make("CI", None).await);
    host.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    assert_eq!(purge::purge(&host.app).await.unwrap(), 0);
    host.with_token(WHOAMI, &token).await.is_problem(401, "expired");
    host.clock.advance(Duration::from_millis(1));
    assert_eq!(purge::purge(&host.app).await.unwrap(), 1);
    host.with_token(WHOAMI, &token).await.is_problem(401, "invalid_token");
}

/// If an operator starts the host with the wrong database, no token is found there. The trails of
/// these tokens must survive the purge.
#[tokio::test]
async fn purge_keeps_the_trail_of_a_token_that_it_never_found() {
    let host = Host::start().await;
    if !host.has_token_table() {
        return;
    }
    let token = text(&host.ada().await.make("CI", None).await);
    host.app.audit.written().await;
    let before = rows_of(&host, &token).await;
    query("DELETE FROM keyfob_tokens").execute(&host.app.db).await.unwrap();
    host.clock.advance(Duration::from_secs(400 * 24 * 60 * 60));
    assert_eq!(purge::purge(&host.app).await.unwrap(), 0);
    assert_eq!(rows_of(&host, &token).await, before);
}

/// An attacker can create well-formed texts of tokens that never existed, because the prefix is
/// public and everybody can compute the checksum.
#[tokio::test]
async fn refusals_of_unknown_tokens_are_not_kept() {
    let (host, elsewhere) = (Host::start().await, Host::start().await);
    let foreign = text(&elsewhere.ada().await.make("CI", None).await);
    host.with_token(WHOAMI, &foreign).await.is(401);
    host.app.audit.written().await;
    assert_eq!(count(&host, "SELECT count(*) FROM token_refusals").await, 0);
    assert_eq!(count(&host, "SELECT count(*) FROM token_events").await, 0);
}

/// An earlier version of the service wrote each refusal as a separate row, into the table of the
/// other events. When this version starts, it combines the rows that have the same day and the same
/// reason.
#[tokio::test]
async fn refusals_of_an_earlier_version_are_folded_at_the_start() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    begin_day(&host);
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    let token = text(&made);
    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    host.app.audit.written().await;
    let (project, id) = (token.split('_').nth(2).unwrap(), id(&token));
    let at = host.app.tokens.now().as_unix_millis();
    let mut before = vec![("leaked", "a leak report", ""); 3];
    before.extend([("failed", "", "revoked, 4 more before"); 150]);
    before.extend([
        ("failed", "", "digest, 7 more before"),
        ("failed", "", "unknown, 9 more before"),
        ("reused", "", "2 more before"),
    ]);
    for (number, (event, actor, detail)) in (0..).zip(before) {
        let sql = "INSERT INTO token_events (at, project, token_id, event, actor, detail) VALUES (?, ?, ?, ?, ?, ?)";
        let row = query(sql).bind(at + number).bind(project).bind(id).bind(event).bind(actor).bind(detail);
        row.execute(&host.app.db).await.unwrap();
    }
    // A process of the earlier version may write such rows while a process of this version runs.
    // The rows must not hide other events.
    let page = trail(&ada, &token).await;
    assert_eq!(sentence(&page, "Revoked"), "Revoked by you: no longer needed");

    // The earlier version did not have this table.
    host.run("DROP TABLE token_refusals").await;
    // The test starts the service twice. The second start has no rows left to combine.
    for _ in 0..2 {
        setup::open(host.dir(), Settings::default(), std::sync::Arc::new(host.clock.clone())).await.unwrap();
        let page = trail(&ada, &token).await;
        assert!(has_sentence(&page, "Issued") && has_sentence(&page, "Revoked"), "{page}");
        // The rejected token did not prove that it knows the secret. So the row may also count
        // forged tokens with the same id, and the page calls its number a lower bound.
        let refused = items_in(&page, "refusals");
        let words = "at least 1 refused: wrong secret; 750 refused: revoked; 3 refused: replaced, and its grace period was over";
        assert!(refused.len() == 1 && refused[0].ends_with(words), "{refused:?}");
        assert_eq!(count(&host, "SELECT count(*) FROM token_events").await, 3);
        assert_eq!(count(&host, "SELECT count(*) FROM token_refusals").await, 4);
    }
}
