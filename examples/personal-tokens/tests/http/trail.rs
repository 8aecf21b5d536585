//! Tests the audit trail of a token: what it records, what it keeps, and what the purge deletes.

use std::time::Duration;

use axum::http::Request;
use keyfob::{
    Actor, ProjectId, Rejection, TokenId, TokenKey,
    events::{Event, EventSink},
    leak::LeakedToken,
    record::RevocationReason,
};
use personal_tokens::setup::{self, Settings};
use personal_tokens::tokens::purge;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{Host, Person, REVOKE_ALL, TOKENS, WHOAMI};

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
    let trail_of = async |token: &str, project: i64| {
        host.app.audit.written().await;
        ada.get(&format!("/admin/tokens/{project}/{}", id(token))).await.is(200).body
    };
    let csrf = ada.get("/admin").await.is(200).field("csrf");

    // An administrator revokes all tokens of an owner. The owner had revoked one of these tokens
    // before.
    let ended = eve.make("before", Some(shared)).await;
    eve.delete(&format!("{TOKENS}{}", ended["uuid"].as_str().unwrap())).await.is(204);
    host.clock.advance(Duration::from_secs(60));
    let hers = [text(&eve.make("a", Some(shared)).await), text(&eve.make("b", Some(shared)).await)];
    let mine = text(&ada.make("c", Some(shared)).await);
    ada.post_form("/admin/people/2/revoke-all", &format!("csrf={csrf}&typed=eve")).await.is(303);
    for token in &hers {
        let trail = trail_of(token, shared).await;
        let line = trail.split("<tr>").find(|row| row.contains("\"What\">revoked<")).expect(&trail);
        assert!(line.contains("privilege withdrawn, with all tokens of its owner") && line.contains(">you<"), "{line}");
    }
    let trail = trail_of(&text(&ended), shared).await;
    assert_eq!(trail.matches("\"What\">revoked<").count(), 1, "{trail}");
    assert!(trail.contains(">eve<") && !trail.contains("with all tokens"), "{trail}");
    assert!(!trail_of(&mine, shared).await.contains("\"What\">revoked<"));

    // The administrator revokes all tokens of a project. Then an owner revokes all of her own
    // tokens.
    host.clock.advance(Duration::from_secs(60));
    ada.post_form(&format!("/admin/projects/{shared}/revoke-all"), &format!("csrf={csrf}&typed=Open+library"))
        .await
        .is(303);
    let trail = trail_of(&mine, shared).await;
    assert!(trail.contains("cessation of operation, with all tokens of the project"), "{trail}");
    let own = text(&eve.make("own", None).await);
    host.clock.advance(Duration::from_secs(60));
    eve.post_to(REVOKE_ALL, "").await.is(200);
    let eves = host.app.projects.personal(2).await.unwrap().unwrap().id;
    let trail = trail_of(&own, eves).await;
    assert!(
        trail.contains("cessation of operation, with all tokens of its owner") && trail.contains(">eve<"),
        "{trail}"
    );
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
    let csrf = ada.get("/admin").await.is(200).field("csrf");
    // The owner revokes this token for the same reason as the group, but the administrator revokes
    // the group.
    let by_another = eve.make("a", Some(shared)).await;
    eve.delete(&format!("{TOKENS}{}", by_another["uuid"].as_str().unwrap())).await.is(204);
    let for_another_reason = text(&eve.make("b", Some(shared)).await);
    let revoke = format!("/admin/tokens/{shared}/{}/revoke", id(&for_another_reason));
    ada.post_form(&revoke, &format!("csrf={csrf}")).await.is(303);
    let with_group = text(&eve.make("c", Some(shared)).await);
    host.app.audit.written().await;
    sqlx::query("DELETE FROM token_events WHERE event = 'revoked'").execute(&host.app.pool).await.unwrap();
    let all = format!("/admin/projects/{shared}/revoke-all");
    ada.post_form(&all, &format!("csrf={csrf}&typed=Open+library")).await.is(303);
    for (token, words, who, is_with_group) in [
        (&text(&by_another), "cessation of operation", ">eve<", false),
        (&for_another_reason, "privilege withdrawn", ">you<", false),
        (&with_group, "cessation of operation", ">you<", true),
    ] {
        let page = trail(&ada, token).await;
        let line = line(&page, "revoked");
        assert!(line.contains(words) && line.contains(who), "{line}");
        assert_eq!(line.contains("with all tokens"), is_with_group, "{line}");
    }
}

/// Returns the page with the audit trail of a token, as an administrator sees it.
async fn trail(admin: &Person<'_>, token: &str) -> String {
    let project = token.split('_').nth(2).unwrap();
    admin.get(&format!("/admin/tokens/{project}/{}", id(token))).await.is(200).body
}

/// Returns the line of the trail with this event. Panics unless exactly one line has this event.
#[track_caller]
fn line<'t>(trail: &'t str, event: &str) -> &'t str {
    let what = format!("\"What\">{event}<");
    let mut lines = trail.split("<tr>").filter(|line| line.contains(&what));
    let line = lines.next().unwrap_or_else(|| panic!("no line {event}: {trail}"));
    assert!(lines.next().is_none(), "{event} has several lines: {trail}");
    line
}

async fn count(host: &Host, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&host.app.pool).await.unwrap()
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
    assert!(line(&page, "revoked").contains("cessation of operation"));
    assert!(line(&page, "issued").contains(">you<"));
    // The trail shows all refusals of one day as one line, with the time of the last refusal.
    let refused = line(&page, "failed");
    assert!(refused.contains("revoked, 101 times that day") && refused.contains("just now"), "{refused}");
    let reported = line(&page, "leaked");
    assert!(reported.contains(">a leak report<") && reported.contains("reported again, 101 times"), "{reported}");
    assert_eq!(count(&host, "SELECT count(*) FROM token_events").await, 2);

    // Each further day adds another line. The service keeps at most 100 such lines for a token.
    for _ in 0..110 {
        host.clock.advance(Duration::from_secs(24 * 60 * 60));
        host.with_token(WHOAMI, &token).await.is(401);
        host.app.audit.written().await;
    }
    assert_eq!(count(&host, "SELECT count(*) FROM token_refusals").await, 100);
    let page = trail(&ada, &token).await;
    assert!(line(&page, "revoked").contains("cessation of operation"));
    assert_eq!(page.matches("\"What\">failed<").count(), 100);
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
    assert!(line(&page, "revoked").contains("key compromise"));
    assert!(line(&page, "failed").contains("disabled, 1024 times that day"), "{page}");
    assert_eq!(host.app.audit.dropped(), 10_000 - 1024);
}

/// Returns the number of rows with this token in the service's own tables, except the table of leak
/// alarms.
async fn rows_of(host: &Host, token: &str) -> i64 {
    let mut rows = 0;
    for table in ["token_names", "token_events", "token_refusals", "bound_tokens"] {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE token_id = ?"));
        let of_table: i64 = sqlx::query_scalar(sql).bind(id(token)).fetch_one(&host.app.pool).await.unwrap();
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
    let (alarms, _) = alarms.split_once("</div>").unwrap();
    assert!(alarms.contains("<b>issuer</b>") && !alarms.contains("<b>agent</b>"), "{alarms}");
    assert!(alarms.contains("1 token that it had issued ended with it."), "{alarms}");
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
    let token = text(&host.ada().await.make("CI", None).await);
    host.app.audit.written().await;
    let before = rows_of(&host, &token).await;
    sqlx::query("DELETE FROM keyfob_tokens").execute(&host.app.pool).await.unwrap();
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
        let row = sqlx::query(sql).bind(at + number).bind(project).bind(id).bind(event).bind(actor).bind(detail);
        row.execute(&host.app.pool).await.unwrap();
    }
    // A process of the earlier version may write such rows while a process of this version runs.
    // The rows must not hide other events.
    let page = trail(&ada, &token).await;
    assert!(line(&page, "revoked").contains("cessation of operation"));

    // The earlier version did not have this table.
    sqlx::raw_sql("DROP TABLE token_refusals").execute(&host.app.pool).await.unwrap();
    // The test starts the service twice. The second start has no rows left to combine.
    for _ in 0..2 {
        setup::open(host.dir(), Settings::default(), std::sync::Arc::new(host.clock.clone())).await.unwrap();
        let page = trail(&ada, &token).await;
        for (event, words) in [("issued", ""), ("revoked", "cessation of operation"), ("reused", "3 times that day")] {
            assert!(line(&page, event).contains(words), "{event}: {page}");
        }
        assert!(page.contains("revoked, 750 times that day"), "{page}");
        // The rejected token did not prove that it knows the secret. So the row may also count
        // forged tokens with the same id, and the page shows no number.
        assert!(page.contains("digest, once or more that day"), "{page}");
        assert!(page.contains("reported again, 2 times that day"), "{page}");
        assert_eq!(count(&host, "SELECT count(*) FROM token_events").await, 3);
        assert_eq!(count(&host, "SELECT count(*) FROM token_refusals").await, 4);
    }
}
