//! Tests the page of one token, for its owner and for an administrator: of live, ended and leaked
//! tokens.

use std::time::Duration;

use axum::body::Body;
use keyfob::{
    Actor, ProjectId, TokenId, TokenKey,
    events::{ChangeKind, Event, EventSink},
};
use personal_tokens::db::query;
use personal_tokens::housekeeping::{self, Job};
use personal_tokens::setup::Settings;
use serde_json::{Value, json};

use crate::support::{Host, Person, TOKENS, WHOAMI, items_in, text_of};

const PAGE: &str = "/settings/tokens";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn token_of(made: &Value) -> &str {
    made["token"].as_str().unwrap()
}

/// Returns the address of the page of a token.
fn page_of(made: &Value) -> String {
    format!("{PAGE}/{}", made["uuid"].as_str().unwrap())
}

fn key_of(made: &Value) -> TokenKey {
    let mut parts = token_of(made).split('_').skip(2);
    let project = ProjectId::new(parts.next().unwrap()).unwrap();
    TokenKey { project, id: TokenId::new(parts.next().unwrap()).unwrap() }
}

/// Returns the first four characters of a token id, with which sentences name a token.
fn short(made: &Value) -> String {
    key_of(made).id.as_str().chars().take(4).collect()
}

/// Returns the text of a fact in the summary. `id` is the id of its element.
#[track_caller]
fn fact(page: &str, id: &str) -> String {
    let (_, rest) = page.split_once(&format!("<dd id=\"{id}\">")).unwrap_or_else(|| panic!("no fact {id}: {page}"));
    text_of(rest.split("</dd>").next().unwrap())
}

/// Returns the ids of the operations that the page offers.
fn offers(page: &str) -> Vec<&'static str> {
    const ALL: [&str; 10] =
        ["replace", "rotate", "enable", "confirm-token", "end-grace", "agent", "rename", "narrow", "disable", "revoke"];
    ALL.into_iter().filter(|id| page.contains(&format!(" id=\"{id}\""))).collect()
}

async fn report(host: &Host, made: &Value) {
    let body = json!([{"token": token_of(made), "url": "https://paste.example/raw/1"}]).to_string();
    let request = axum::http::Request::post("/api/v2/leaks").header("content-type", "application/json");
    host.send(request.body(body.into()).unwrap()).await.is(202);
}

async fn change(person: &Person<'_>, made: &Value, verb: &str, body: &str) -> Value {
    let path = format!("{TOKENS}{}/{verb}", made["uuid"].as_str().unwrap());
    person.post_to(&path, body).await.is(200).json()
}

#[tokio::test]
async fn owner_reads_the_history_of_ended_tokens_and_nobody_else_does() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    let csrf = ada.get("/admin/people").await.is(200).field("csrf");
    let [own, withdrawn, leaked, expired] = [
        eve.make("own", None).await,
        eve.make("w", Some(shared)).await,
        eve.make("l", None).await,
        eve.make("e", None).await,
    ];
    eve.delete(&format!("{TOKENS}{}", own["uuid"].as_str().unwrap())).await.is(204);
    let revoke = format!("/admin/tokens/{shared}/{}/revoke", key_of(&withdrawn).id);
    ada.post_form(&revoke, &format!("csrf={csrf}")).await.is(303);
    report(&host, &leaked).await;
    host.clock.advance(31 * DAY);
    for (made, status, sentence) in [
        (&own, "Revoked It was no longer needed", "Revoked by you: no longer needed"),
        (
            &withdrawn,
            "Revoked An administrator withdrew the access",
            "Revoked by an administrator (ada): access withdrawn",
        ),
        (
            &leaked,
            "Revoked It leaked",
            "Found in public and revoked. Reported by somebody who had found it, found at https://paste.example/raw/1",
        ),
        (&expired, "Expired", "Issued by you"),
    ] {
        let page = eve.get(&page_of(made)).await.is(200).body;
        assert_eq!(fact(&page, "status"), status);
        assert_eq!(items_in(&page, "history")[0], sentence);
        // Each other operation would be refused.
        assert_eq!(offers(&page), ["replace"], "{status}");
        let name = made["name"].as_str().unwrap();
        let project = key_of(made).project;
        let link = format!("{PAGE}?project={project}&#38;new=1&#38;name={name}&#38;scope=models%3Ause\"");
        assert!(page.contains(&link), "{page}");
        for word in ["privilege_withdrawn", "key_compromise", "cessation", "person 2"] {
            assert!(!page.contains(word), "{word}");
        }
        ada.get(&page_of(made)).await.is(404);
    }
    for path in ["x", "00000000-0000-0000-0000-000000000000"] {
        eve.get(&format!("{PAGE}/{path}")).await.is(404);
    }
}

#[tokio::test]
async fn token_of_a_left_project_can_only_be_revoked() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Weather station").await;
    query("INSERT INTO memberships (project_id, user_id) VALUES (?, 2)")
        .bind(shared)
        .execute(&host.app.db)
        .await
        .unwrap();
    let made = eve.make("CI", Some(shared)).await;
    assert_eq!(offers(&eve.get(&page_of(&made)).await.is(200).body).first(), Some(&"rotate"));
    host.app.projects.leave(shared, 2).await.unwrap();
    let page = eve.get(&page_of(&made)).await.is(200).body;
    assert_eq!(fact(&page, "status"), "Blocked Owner: not a member of the project any more");
    let project = format!("Weather station · {shared} You are no longer a member of this project.");
    assert_eq!(fact(&page, "of-project"), project);
    assert_eq!(offers(&page), ["revoke"]);
    let dialog = page.split("id=\"revoke\"").nth(1).unwrap().split("href=\"").nth(1).unwrap();
    let dialog = eve.get(&dialog.split('"').next().unwrap().replace("&#38;", "&")).await.is(200);
    let uuid = made["uuid"].as_str().unwrap();
    let form = format!("csrf={}&typed=CI", dialog.field("csrf"));
    eve.post_form(&format!("/settings/tokens/{uuid}/delete"), &form).await.is(303);
    host.with_token(WHOAMI, made["token"].as_str().unwrap()).await.is_problem(401, "revoked");
    assert!(offers(&eve.get(&page_of(&made)).await.is(200).body).is_empty());
}

#[tokio::test]
async fn summary_has_the_facts_of_a_token() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let body = json!({"name": "CI", "scopes": "notes:read models:use", "addresses": "192.0.2.0/24", "expires": null});
    let made = ada.post(body).await.is(200).json();
    let page = ada.get(&page_of(&made)).await.is(200).body;
    assert_eq!(fact(&page, "status"), "Active");
    assert_eq!(fact(&page, "of-project"), "Personal (ada) · 1");
    assert_eq!(fact(&page, "addresses"), "192.0.2.0/24");
    assert!(fact(&page, "scopes").contains("Read the project's notes notes:read"), "{page}");
    assert!(fact(&page, "created").starts_with("just now by you, with the API"), "{page}");
    assert_eq!((fact(&page, "expires"), fact(&page, "used")), ("Never".into(), "Never used".into()));
    assert!(page.contains("<span class=\"expiry warn\""), "never expiring is amber");
    assert_eq!(offers(&page), ["rotate", "agent", "rename", "narrow", "disable", "revoke"]);
    // After such an operation, the person stays on the page of the token.
    let csrf = ada.get(&page_of(&made)).await.field("csrf");
    let done = ada.post_form(&format!("{}/disable", page_of(&made)), &format!("csrf={csrf}&stay=1")).await.is(303);
    assert_eq!(done.header("location"), format!("{}?said=disabled", page_of(&made)));
    let page = ada.get(done.header("location")).await.is(200).body;
    assert!(page.contains("The token is disabled: it does not work until you enable it."), "{page}");
    assert_eq!(fact(&page, "status"), "Disabled");
    assert_eq!(offers(&page), ["enable", "rename", "narrow", "revoke"]);
}

#[tokio::test]
async fn pending_token_is_confirmed_on_its_page() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let body = json!({"name": "CI", "confirm_within": {"measure": "hours", "value": 1}});
    let made = ada.post(body).await.is(200).json();
    let page = ada.get(&page_of(&made)).await.is(200);
    assert_eq!(fact(&page.body, "status"), "Pending Confirm it before you use it");
    assert_eq!(offers(&page.body), ["confirm-token", "rename", "narrow", "disable", "revoke"]);
    let form = format!("csrf={}&stay=1", page.field("csrf"));
    ada.post_form(&format!("{}/confirm", page_of(&made)), &form).await.is(303);
    let page = ada.get(&page_of(&made)).await.is(200).body;
    assert_eq!((fact(&page, "status").as_str(), &items_in(&page, "history")[0][..]), ("Active", "Confirmed by you"));
}

#[tokio::test]
async fn token_that_a_form_created_says_so() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let form = ada.get(&format!("{PAGE}?new=1")).await.is(200);
    let fields = format!("csrf={}&form={}&project=1&name=CI&preset=30", form.field("csrf"), form.field("form"));
    ada.post_form(PAGE, &fields).await.is(200);
    let list = ada.get(PAGE).await.is(200).body;
    let uuid = list.split("<tr id=\"token-").nth(1).unwrap().split('"').next().unwrap();
    let page = ada.get(&format!("{PAGE}/{uuid}")).await.is(200).body;
    assert!(fact(&page, "created").starts_with("just now by you, on the page"), "{page}");
}

#[tokio::test]
async fn rotation_links_both_tokens() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let old = ada.make("Nightly <b>backup", None).await;
    let new = change(&ada, &old, "rotate", r#"{"grace": {"measure": "hours", "value": 1}}"#).await;
    let named = |made: &Value| format!("“Nightly <b>backup” ({}…)", short(made));
    let page = ada.get(&page_of(&old)).await.is(200).body;
    assert!(fact(&page, "status").starts_with("Replaced · works until "), "{page}");
    assert_eq!(fact(&page, "successor"), named(&new));
    assert!(
        page.contains(&format!("<dd id=\"successor\"><a href=\"{}\">", page_of(&new))) && !page.contains("<b>backup")
    );
    let history = items_in(&page, "history");
    assert!(history[0].starts_with(&format!("Replaced by {}, works until ", named(&new))), "{history:?}");
    assert!(history[0].ends_with(" UTC. Rotated by you"), "{history:?}");
    assert_eq!(offers(&page), ["end-grace", "agent", "rename", "narrow", "disable", "revoke"]);

    let page = ada.get(&page_of(&new)).await.is(200).body;
    assert!(fact(&page, "created").starts_with("just now by you, as a replacement"), "{page}");
    assert_eq!(fact(&page, "predecessor"), named(&old));
    assert_eq!(items_in(&page, "history"), [format!("Issued by you to replace {}", named(&old))]);
    host.clock.advance(Duration::from_secs(1));
    host.with_token(WHOAMI, token_of(&old)).await.is(200);
    let page = ada.get(&page_of(&new)).await.is(200).body;
    assert_eq!(fact(&page, "predecessor"), format!("{} That token is still in use.", named(&old)));

    host.clock.advance(Duration::from_secs(3600));
    let page = ada.get(&page_of(&old)).await.is(200).body;
    assert_eq!((fact(&page, "status").as_str(), &offers(&page)[..]), ("Replaced", &["replace"][..]));
    assert!(items_in(&page, "history")[0].contains(", worked until "), "{page}");
    host.with_token(WHOAMI, token_of(&old)).await.is(401);
    let refused = items_in(&ada.get(&page_of(&old)).await.is(200).body, "refusals");
    assert!(refused[0].ends_with(" 1 refused: replaced, and its grace period was over"), "{refused:?}");
}

#[tokio::test]
async fn changes_are_in_words_with_the_names_of_their_actors() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    let key = key_of(&made);
    host.eve().await;
    for (how, actor) in [
        (ChangeKind::Renamed, "1"),
        (ChangeKind::Disabled, "2"),
        (ChangeKind::Enabled, "99"),
        (ChangeKind::Narrowed, "token demo_pat_1_1aaaaaaaaaaaaaaa"),
        (ChangeKind::Confirmed, "GitHub secret scanning"),
        (ChangeKind::GraceEnded, "1"),
    ] {
        host.app.audit.record(&Event::Changed { key, how, actor: &Actor::new(actor).unwrap() });
    }
    // A later version may store an event that this version does not know.
    host.app.audit.written().await;
    query("UPDATE token_events SET event = 'renewed' WHERE event = 'grace_ended'").execute(&host.app.db).await.unwrap();
    let history = items_in(&ada.get(&page_of(&made)).await.is(200).body, "history");
    assert_eq!(
        history,
        [
            "Scopes or addresses reduced by a deleted token (1aaa…)",
            "Changed by you",
            "Confirmed by a leak report from GitHub",
            "Enabled by a removed person",
            "Disabled by eve",
            "Renamed by you",
            "Issued by you",
        ]
    );
}

#[tokio::test]
async fn older_operations_are_on_further_pages() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    let (key, actor) = (key_of(&made), Actor::new("1").unwrap());
    for number in 0..250 {
        let how = if number % 2 == 0 { ChangeKind::Disabled } else { ChangeKind::Enabled };
        host.app.audit.record(&Event::Changed { key, how, actor: &actor });
    }
    let (mut path, mut pages) = (page_of(&made), Vec::new());
    loop {
        let page = ada.get(&path).await.is(200).body;
        pages.push(items_in(&page, "history"));
        // Only the first page has the other sections.
        assert_eq!(page.contains("id=\"uses\""), pages.len() == 1);
        let Some((_, link)) = page.split_once("id=\"older\" rel=\"next\" href=\"") else { break };
        path = link.split(['"', '#']).next().unwrap().to_owned();
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 51]);
    assert_eq!(pages[2].last().unwrap(), "Issued by you");
    ada.get(&format!("{}?before=x", page_of(&made))).await.is(404);
}

#[tokio::test]
async fn uses_are_counted_by_day() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let (made, other) = (ada.make("CI", None).await, ada.make("other", None).await);
    let empty = ada.get(&page_of(&made)).await.is(200).body;
    assert!(empty.contains("id=\"no-uses\"") && !empty.contains("<svg viewBox"), "{empty}");
    for uses in [3, 2] {
        for _ in 0..uses {
            host.with_token(WHOAMI, token_of(&made)).await.is(200);
        }
        host.with_token(WHOAMI, token_of(&other)).await.is(200);
        host.with_token("/api/v2/projects/2/whoami", token_of(&made)).await.is(403);
        host.clock.advance(DAY);
    }
    let page = ada.get(&page_of(&made)).await.is(200).body;
    assert_eq!(numbers(&page), [("2".into(), "1".into()), ("3".into(), "1".into())]);
    assert!(page.contains("5 accepted</span>") && page.contains("2 refused</span>"), "{page}");
    assert_eq!(page.matches("<rect class=\"accepted\"").count(), 2);
    assert!(!page.contains("only a sample"), "{page}");
    assert!(!page.contains(" style="), "the policy for content forbids it");
    let refused = items_in(&page, "refusals");
    assert!(refused.len() == 2 && refused[0].ends_with(" 1 refused: used for another project"), "{refused:?}");
    // The counts of a day disappear from the page after 30 days.
    host.clock.advance(27 * DAY);
    assert_eq!(numbers(&ada.get(&page_of(&made)).await.is(200).body).len(), 2);
    host.clock.advance(DAY);
    assert_eq!(numbers(&ada.get(&page_of(&made)).await.is(200).body), [("2".into(), "1".into())]);
}

/// Returns the accepted and the refused requests of each day of the table, the latest day first.
fn numbers(page: &str) -> Vec<(String, String)> {
    let cell = |row: &str, label: &str| {
        let (_, cell) = row.split_once(&format!("<td data-label=\"{label}\">")).unwrap();
        text_of(cell.split("</td>").next().unwrap())
    };
    let rows = page.split("<tr><th scope=\"row\">").skip(1);
    rows.map(|row| (cell(row, "Accepted"), cell(row, "Refused"))).collect()
}

/// keyfob emits at most ten events of accepted requests in a second. So the counts of a busy day
/// are lower bounds.
#[tokio::test]
async fn page_says_that_the_counts_of_a_busy_day_are_lower_bounds() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    for _ in 0..12 {
        host.with_token(WHOAMI, token_of(&made)).await.is(200);
    }
    host.clock.advance(Duration::from_secs(1));
    host.with_token(WHOAMI, token_of(&made)).await.is(200);
    let page = ada.get(&page_of(&made)).await.is(200).body;
    assert_eq!(numbers(&page), [("at least 11".into(), "0".into())]);
    assert!(page.contains("only a sample"), "{page}");
}

async fn stored_counts(host: &Host) -> i64 {
    query("SELECT count(*) FROM token_uses").value(&host.app.db).await.unwrap()
}

#[tokio::test]
async fn counts_of_uses_are_written_regularly_and_deleted_after_31_days() {
    let host = Host::start().await;
    let made = host.ada().await.make("CI", None).await;
    host.with_token(WHOAMI, token_of(&made)).await.is(200);
    assert_eq!(stored_counts(&host).await, 0);
    housekeeping::run(&host.app, Job::Usage).await.unwrap();
    for (days, left) in [(0, 1), (31, 1), (1, 0)] {
        host.clock.advance(days * DAY);
        housekeeping::run(&host.app, Job::Purge).await.unwrap();
        assert_eq!(stored_counts(&host).await, left);
    }
}

#[tokio::test]
async fn counts_of_uses_are_deleted_with_their_token() {
    let host = Host::start_configured(json!({"purge_after_days": 1})).await;
    let ada = host.ada().await;
    let [ended, live] = [ada.make("ended", None).await, ada.make("live", None).await];
    for made in [&ended, &live] {
        host.with_token(WHOAMI, token_of(made)).await.is(200);
    }
    housekeeping::run(&host.app, Job::Usage).await.unwrap();
    ada.delete(&format!("{TOKENS}{}", ended["uuid"].as_str().unwrap())).await.is(204);
    host.clock.advance(2 * DAY);
    housekeeping::run(&host.app, Job::Purge).await.unwrap();
    assert_eq!(stored_counts(&host).await, 1);
    ada.get(&page_of(&ended)).await.is(404);
    assert_eq!(numbers(&ada.get(&page_of(&live)).await.is(200).body).len(), 1);
}

#[tokio::test]
async fn token_that_leaked_after_its_end_shows_the_report_once() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    host.clock.advance(Duration::from_secs(60));
    report(&host, &made).await;
    let first = items_in(&ada.get(&page_of(&made)).await.is(200).body, "history");
    assert!(first[0].starts_with("Found in public, after it was revoked. Reported by somebody"), "{first:?}");
    host.clock.advance(Duration::from_secs(60));
    report(&host, &made).await;
    let history = items_in(&ada.get(&page_of(&made)).await.is(200).body, "history");
    assert_eq!(history.len(), 3, "{history:?}");
    assert_eq!(history[1..], ["Revoked by you: no longer needed", "Issued by you"]);
}

#[tokio::test]
async fn token_that_the_policy_blocks_says_why() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.post(json!({"name": "CI", "expires": null})).await.is(200).json();
    // An administrator starts the service again with a stricter policy.
    let strict = host.another(Settings { allow_never: false, ..Settings::default() }).await;
    let page =
        host.send_to(&strict, ada.request("GET", &page_of(&made)).body(Body::empty()).unwrap()).await.is(200).body;
    assert!(fact(&page, "status").starts_with("Blocked Policy: tokens must expire within "), "{page}");
    // The successor of a rotation complies with the policy.
    assert!(offers(&page).contains(&"rotate"), "{page}");
}

#[tokio::test]
async fn administrator_reads_the_page_of_any_token_and_revokes_it_in_a_dialog() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let made = eve.post(json!({"name": "Eve's <i>script", "scopes": "tokens:manage"})).await.is(200).json();
    let agent = host.delegate(token_of(&made), &json!({"name": "agent", "scopes": ""})).await.is(200).json();
    let at = format!("/admin/tokens/{}/{}", key_of(&made).project, key_of(&made).id);
    let page = ada.get(&at).await.is(200).body;
    assert_eq!((fact(&page, "owner").as_str(), &offers(&page)[..]), ("eve", &["revoke"][..]));
    assert_eq!(items_in(&page, "history"), ["Issued by eve"]);
    assert!(!page.contains("<dialog") && !page.contains("<i>"), "{page}");
    let asked = ada.get(&format!("{at}?revoke=1")).await.is(200);
    let (_, dialog) = asked.body.split_once("<dialog").unwrap();
    let words = text_of(&format!("<{dialog}"));
    for said in
        ["Revoke this token of eve?", "Eve's <i>script, created just now", "1 token that it issued ends with it."]
    {
        assert!(words.contains(said), "{words}");
    }
    let public = token_of(&made).rsplit_once('_').unwrap().0;
    assert!(words.contains(public), "{words}");
    host.with_token(WHOAMI, token_of(&agent)).await.is(200);
    ada.post_form(&format!("{at}/revoke"), &format!("csrf={}", asked.field("csrf"))).await.is(303);
    host.with_token(WHOAMI, token_of(&made)).await.is_problem(401, "revoked");
    let page = ada.get(&format!("{at}?revoke=1")).await.is(200).body;
    assert!(!page.contains("<dialog") && offers(&page).is_empty(), "{page}");
    eve.get(&at).await.is(404);
}
