//! Tests the administrator's pages of projects, their members, and the tokens of a project or a
//! person.

use std::time::Duration;

use serde_json::{Value, json};

use crate::people;
use crate::support::{Answer, Host, Person, TOKENS, WHOAMI, assert_holds_no_part, items_in};

const PROJECTS: &str = "/admin/projects";

fn text(made: &Value) -> String {
    made["token"].as_str().unwrap().to_owned()
}

/// Returns the token id, which is a part of the token's text.
fn id(token: &str) -> &str {
    token.rsplit('_').nth(1).unwrap()
}

async fn add(admin: &Person<'_>, name: &str, kind: &str) -> Answer {
    let page = admin.get("/admin/projects?add=1").await.is(200);
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    admin.post_form(PROJECTS, &format!("csrf={csrf}&form={form}&name={name}&kind={kind}")).await
}

async fn act(admin: &Person<'_>, path: &str, fields: &str) -> Answer {
    let csrf = admin.get(PROJECTS).await.is(200).field("csrf");
    admin.post_form(&format!("{PROJECTS}/{path}"), &format!("csrf={csrf}&{fields}")).await
}

/// Returns the row of a token in a table.
fn row<'p>(page: &'p str, token: &str) -> &'p str {
    let key = format!("/{}\">", id(token));
    page.split("<tr>").find(|row| row.contains(&key)).unwrap_or_else(|| panic!("no row: {page}"))
}

#[tokio::test]
async fn projects_are_added_renamed_and_removed() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let added = add(&ada, "Analytical+engine", "shared").await.is(303);
    assert_eq!(added.header("location"), "/admin/projects/6/members?said=added");
    assert_eq!(add(&ada, "Commons", "public").await.is(303).header("location"), "/admin/projects/7?said=added");
    for (name, words) in [("+", "Enter a name."), ("COMMONS", "This name is taken; choose another one.")] {
        let page = add(&ada, name, "public").await.is(400).body;
        assert!(
            page.contains(&format!("id=\"name-error\">{words}")) && page.contains("value=\"public\" checked"),
            "{page}"
        );
    }
    eve.post(json!({"name": "n", "project_id": 6})).await.is(403);
    let token = text(&eve.make("n", Some(7)).await);
    let page = act(&ada, "7/rename", "name=commons").await.is(303);
    assert_eq!(page.header("location"), "/admin/projects?said=renamed");
    assert!(act(&ada, "7/rename", "name=Open+library").await.is(400).body.contains("This name is taken"));
    act(&ada, "1/rename", "name=Mine").await.is(404);
    assert!(ada.get(PROJECTS).await.body.contains(">commons</a>"));

    let dialog = ada.get("/admin/projects?remove=7").await.is(200).body;
    assert!(dialog.contains("This revokes 1 live token. Everything") && dialog.contains("Nobody can use the project"));
    assert!(act(&ada, "7/remove", "typed=Commons").await.is(400).body.contains("Type commons to confirm."));
    let removed = act(&ada, "7/remove", "typed=commons").await.is(303);
    assert_eq!(removed.header("location"), "/admin/projects?said=removed-1");
    host.with_token(WHOAMI, &token).await.is_problem(401, "revoked");
    eve.post(json!({"name": "n", "project_id": 7})).await.is(403);
    assert!(!ada.get(PROJECTS).await.body.contains("commons"));
    let page = ada.get("/admin/projects/7").await.is(200).body;
    assert!(page.contains("commons (removed)") && page.contains("Nobody can use it") && page.contains(id(&token)));
    // The number is never used again, and the name is free.
    let again = add(&ada, "commons", "public").await.is(303);
    assert_eq!(again.header("location"), "/admin/projects/8?said=added");
    act(&ada, "1/remove", "typed=Personal+(ada)").await.is(404);
    for path in
        ["/admin/projects/99", "/admin/projects/7/members", "/admin/projects/1/members", "/admin/projects?rename=99"]
    {
        ada.get(path).await.is(404);
    }
}

#[tokio::test]
async fn project_with_configured_models_cannot_be_removed() {
    let config = json!({
        "upstreams": {"main": {"url": "http://127.0.0.1:9", "credentials": {"2": "c"}}},
        "models": [{"project_id": 2, "name": "m", "upstream": "main"}]
    });
    let host = Host::start_configured(config).await;
    let ada = host.ada().await;
    let page = act(&ada, "2/remove", "typed=Difference+engine").await.is(400).body;
    assert!(page.contains("Config.json has 1 model") || page.contains("config.json has 1 model"), "{page}");
    assert!(ada.get(PROJECTS).await.body.contains("Difference engine"));
}

#[tokio::test]
async fn tokens_of_a_person_who_leaves_a_project_stop() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let path = "/admin/projects/2/members";
    let wrong = act(&ada, "2/members", "name=nobody").await.is(400).body;
    assert!(wrong.contains("id=\"name-error\">Nobody has this name.") && wrong.contains("value=\"nobody\""));
    act(&ada, "2/members", "name=+eve+").await.is(303);
    assert!(act(&ada, "2/members", "name=eve").await.is(400).body.contains("This person is already a member."));
    let token = text(&eve.make("CI", Some(2)).await);
    host.with_token(WHOAMI, &token).await.is(200);
    let page = ada.get(path).await.is(200).body;
    assert!(page.contains("1–2 of 2") && page.contains("id=\"member-2\""));
    assert!(ada.get(&format!("{path}?q=EV")).await.body.contains("1 of 1"));

    let dialog = ada.get(&format!("{path}?remove=2")).await.is(200).body;
    assert!(dialog.contains("Remove eve from Difference engine?"), "{dialog}");
    assert!(dialog.contains("Their 1 live token in this project stops working at its next request."), "{dialog}");
    act(&ada, "2/members/2/remove", "").await.is(303);
    host.with_token(WHOAMI, &token).await.is_problem(403, "owner_outside_project");
    let page = ada.get("/admin/projects/2").await.is(200).body;
    let row = row(&page, &token);
    assert!(
        row.contains("badge bad\">Blocked") && row.contains("Owner: not a member of the project any more"),
        "{row}"
    );
    ada.get(&format!("{path}?remove=2")).await.is(404);
    act(&ada, "2/members", "name=eve").await.is(303);
    host.with_token(WHOAMI, &token).await.is(200);
    act(&ada, "4/members", "name=eve").await.is(404);
    // A form can contain the text that replaced the name of a removed person.
    people::act(&ada, 2, "remove", "eve").await.is(303);
    for name in ["eve", "%012"] {
        assert!(act(&ada, "2/members", &format!("name={name}")).await.is(400).body.contains("Nobody has this name."));
    }
}

#[tokio::test]
async fn administrator_sees_who_holds_what_and_ends_it() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    let hers = text(&eve.make("Eve's script", Some(shared)).await);
    let own = text(&eve.make("Eve's own", None).await);
    let mine = text(&ada.make("Ada's", Some(shared)).await);

    let page = ada.get(&format!("/admin/projects/{shared}")).await.is(200);
    for word in
        ["Eve&#39;s script", "<a href=\"/admin/people/2\">eve</a>", "Ada&#39;s", id(&hers), id(&mine), "1–2 of 2"]
    {
        assert!(page.body.contains(word), "{word}");
    }
    assert!(!page.body.contains(id(&own)));
    let person = ada.get("/admin/people/2").await.is(200).body;
    assert!(person.contains(id(&hers)) && person.contains(id(&own)) && !person.contains(id(&mine)));
    for page in [&page.body, &person] {
        assert_holds_no_part(page, &hers);
    }

    let at = format!("/admin/tokens/{shared}/{}", id(&hers));
    let dialog = ada.get(&format!("/admin/people/2?revoke={shared}.{}", id(&hers))).await.is(200).body;
    for words in
        ["Revoke “Eve&#39;s script”?", " of eve, demo_pat_4_", "created on ", &format!("action=\"{at}/revoke\"")]
    {
        assert!(dialog.contains(words), "{words}: {dialog}");
    }
    let csrf = page.field("csrf");
    ada.post_form(&format!("{at}/revoke"), "csrf=wrong").await.is(403);
    host.with_token(WHOAMI, &hers).await.is(200);
    let done = ada.post_form(&format!("{at}/revoke"), &format!("csrf={csrf}&view=/admin/people/2")).await.is(303);
    assert_eq!(done.header("location"), "/admin/people/2?said=revoked");
    host.with_token(WHOAMI, &hers).await.is_problem(401, "revoked");
    host.with_token(WHOAMI, &mine).await.is(200);
    let page = ada.get(&format!("/admin/projects/{shared}")).await.is(200).body;
    let row = row(&page, &hers);
    assert!(row.contains("badge over\">Revoked") && row.contains("An administrator withdrew the access"), "{row}");
    assert!(row.contains("by ada, ") && !row.contains("privilege"), "{row}");
    // A form can lead back only to pages of the administration.
    let mine = format!("/admin/tokens/{shared}/{}/revoke", id(&mine));
    let done = ada.post_form(&mine, &format!("csrf={csrf}&view=https://evil.example")).await.is(303);
    assert_eq!(done.header("location"), format!("/admin/projects/{shared}?said=revoked"));
    ada.post_form(&format!("/admin/tokens/{shared}/{}/revoke", id(&own)), &format!("csrf={csrf}")).await.is(404);
    let revoked = format!("/admin/people/2?revoke={shared}.{}", id(&hers));
    for path in [
        "/admin/people/99",
        "/admin/tokens/1/x",
        "/admin/tokens/-/1aaaaaaaaaaaaaaa",
        "/admin/people/2?revoke=x",
        &revoked,
    ] {
        ada.get(path).await.is(404);
    }
}

/// The pages show what happens on the next request with a token, and not only its own record.
#[tokio::test]
async fn each_token_is_shown_as_it_works() {
    let host =
        Host::start_configured(json!({"policy": {"human": {"max_seconds": 8_640_000, "never_expiring": true}}})).await;
    let ada = host.ada().await;
    let make = async |name: &str, days: i64| {
        text(&ada.post(json!({"name": name, "expires": {"measure": "days", "value": days}})).await.is(200).json())
    };
    let never = text(&ada.post(json!({"name": "never", "expires": null})).await.is(200).json());
    let (short, active, disabled) = (make("short", 1).await, make("active", 60).await, make("disabled", 60).await);
    let rotated = ada.post(json!({"name": "old", "expires": {"measure": "days", "value": 60}})).await.is(200).json();
    let at = |made: &Value| format!("{TOKENS}{}", made["uuid"].as_str().unwrap());
    ada.post_to(&format!("{}/rotate", at(&rotated)), r#"{"grace": {"measure": "days", "value": 3}}"#).await.is(200);
    let list = ada.get(TOKENS).await.is(200).json();
    let uuid = list.as_array().unwrap().iter().find(|one| one["name"] == "disabled").unwrap()["uuid"].as_str().unwrap();
    ada.post_to(&format!("{TOKENS}{uuid}/disable"), "").await.is(200);
    host.clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    let page = ada.get("/admin/people/1").await.is(200).body;
    for (token, status, expiry) in [
        (&never, "badge good\">Active<", "expiry warn\" title=\"It works until it is revoked\">Never<"),
        (&short, "badge over\">Expired<", "expiry over\">Ended <time"),
        (&active, "badge good\">Active<", ">in 58 days<"),
        (&disabled, "badge warn\">Disabled<", ">in 58 days<"),
        (&text(&rotated), "badge warn\">Replaced · works until", "expiry warn\">Works until <time"),
    ] {
        let row = row(&page, token);
        assert!(row.contains(status) && row.contains(expiry), "{status} {expiry}: {row}");
    }
    // A stricter policy blocks the token that never expires.
    let strict = Host::start_configured(json!({"policy": {"human": {"never_expiring": true}}})).await;
    let ada = strict.ada().await;
    let never = text(&ada.post(json!({"name": "never", "expires": null})).await.is(200).json());
    std::fs::write(strict.dir().join("config.json"), r#"{"policy": {}}"#).unwrap();
    let router = strict.another(personal_tokens::setup::Settings::default()).await;
    let request = ada.request("GET", "/admin/people/1").body(axum::body::Body::empty()).unwrap();
    let page = strict.send_to(&router, request).await.is(200).body;
    let row = row(&page, &never);
    assert!(
        row.contains("badge bad\">Blocked<") && row.contains("Policy: tokens must expire within 366 days"),
        "{row}"
    );
}

#[tokio::test]
async fn long_list_is_paged_and_filtered() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let (library, engine) = (ada.project("Open library").await, ada.project("Difference engine").await);
    for number in 0..51 {
        let made = ada.make(&format!("n{number}"), Some(if number < 30 { library } else { engine })).await;
        if number == 0 {
            ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
        }
        host.clock.advance(Duration::from_millis(1));
    }
    let rows = |page: &str| page.matches("<a class=\"name\"").count();
    let link = |page: &str| {
        let (_, rest) = page.split_once("id=\"later\"").unwrap();
        rest.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&")
    };
    let first = ada.get("/admin/people/1").await.is(200).body;
    assert!(rows(&first) == 50 && first.contains("1–50 of 51"), "{}", rows(&first));
    let second = ada.get(&link(&first)).await.is(200).body;
    assert!(rows(&second) == 1 && second.contains("51 of 51") && second.contains("id=\"first\""));
    assert!(!second.contains("id=\"later\"") && second.contains(">n0<"));
    // All live tokens fit on one page.
    let live = ada.get("/admin/people/1?show=live").await.is(200).body;
    assert!(rows(&live) == 50 && live.contains("1–50 of 50") && !live.contains("id=\"later\""));
    let ended = ada.get("/admin/people/1?show=ended").await.is(200).body;
    assert!(rows(&ended) == 1 && ended.contains("1 of 1"));
    let project = ada.get(&format!("/admin/projects/{library}")).await.is(200).body;
    assert!(rows(&project) == 30 && project.contains("1–30 of 30"));
    for after in ["x", "4.x", "99.MTIz", "4."] {
        assert!(ada.get(&format!("/admin/people/1?after={after}&from=7")).await.is(200).body.contains("1–50 of 51"));
    }
}

#[tokio::test]
async fn all_tokens_of_a_project_are_revoked() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    assert!(!ada.get(PROJECTS).await.body.contains("revoke-all=4"));
    let there = [text(&ada.make("a", Some(shared)).await), text(&eve.make("b", Some(shared)).await)];
    let elsewhere = text(&ada.make("c", None).await);
    let dialog = ada.get("/admin/projects?revoke-all=4").await.is(200).body;
    assert!(dialog.contains("This revokes 2 live tokens of all people."), "{dialog}");
    let wrong = act(&ada, "4/revoke-all", "typed=Open").await.is(400).body;
    assert!(wrong.contains("This is not the name. Type Open library to confirm.") && wrong.contains("value=\"Open\""));
    host.with_token(WHOAMI, &there[0]).await.is(200);
    let done = act(&ada, "4/revoke-all", "typed=Open+library").await.is(303);
    assert_eq!(done.header("location"), "/admin/projects?said=revoked-2");
    for token in &there {
        host.with_token(WHOAMI, token).await.is_problem(401, "revoked");
    }
    host.with_token(WHOAMI, &elsewhere).await.is(200);
}

/// Another host with a clock that is ahead may have issued a token of the project.
#[tokio::test]
async fn token_from_the_future_is_revoked_with_all_others() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let shared = ada.project("Open library").await;
    let hour = Duration::from_secs(60 * 60);
    host.clock.advance(hour);
    let ahead = text(&ada.make("ahead", Some(shared)).await);
    host.clock.set(host.app.tokens.now().saturating_sub(hour));
    let present = text(&ada.make("present", Some(shared)).await);
    let done = act(&ada, "4/revoke-all", "typed=Open+library").await.is(303);
    assert_eq!(done.header("location"), "/admin/projects?said=revoked-2");
    for token in [&ahead, &present] {
        host.with_token(WHOAMI, token).await.is_problem(401, "revoked");
    }
    host.app.audit.written().await;
    // The history of each token names the revocation of the group.
    for token in [&ahead, &present] {
        let page = ada.get(&format!("/admin/tokens/{shared}/{}", id(token))).await.is(200).body;
        let history = items_in(&page, "history");
        let words = "Revoked by you: no longer needed, with all tokens of the project";
        assert!(history.contains(&words.to_owned()), "{history:?}");
    }
}

#[tokio::test]
async fn personal_projects_are_listed_only_in_a_search() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let page = ada.get(PROJECTS).await.is(200).body;
    assert!(page.contains("1–3 of 3") && !page.contains("project-1\""));
    let page = ada.get("/admin/projects?q=personal").await.is(200).body;
    assert!(page.contains("1 of 1") && page.contains("id=\"project-1\"") && !page.contains("remove=1"));
    let page = ada.get("/admin/projects?q=nothing").await.is(200).body;
    assert!(page.contains("id=\"no-hits\"") && page.contains("Clear search"));
}
