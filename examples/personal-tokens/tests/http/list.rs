//! Tests the list of tokens and its dialogs, without a browser: what the list says about a token,
//! the filters, the search, and the form for a new token.

use std::time::Duration;

use personal_tokens::setup::Settings;
use serde_json::{Value, json};

use crate::support::{Host, Person, TOKENS, WHOAMI, assert_holds_no_part};

const PAGE: &str = "/settings/tokens";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn text(made: &Value) -> String {
    made["token"].as_str().unwrap().into()
}

fn uuid(made: &Value) -> String {
    made["uuid"].as_str().unwrap().into()
}

/// Returns the row of a token in the list.
#[track_caller]
fn row<'p>(page: &'p str, made: &Value) -> &'p str {
    let (_, rest) = page.split_once(&format!("<tr id=\"token-{}\"", uuid(made))).expect(page);
    rest.split("</tr>").next().unwrap()
}

/// Returns the names of the tokens on a page, in the order of the page.
fn names(page: &str) -> Vec<&str> {
    page.split("<a class=\"name\"").skip(1).map(|row| row.split(['>', '<']).nth(1).unwrap()).collect()
}

/// Issues a token that expires after this many days, or never.
async fn make(person: &Person<'_>, name: &str, days: Option<u32>) -> Value {
    let expires = days.map(|days| json!({"measure": "days", "value": days}));
    person.post(json!({"name": name, "expires": expires})).await.is(200).json()
}

/// A policy that becomes stricter blocks tokens that were issued before. The list says so, because
/// the service rejects these tokens.
#[tokio::test]
async fn token_that_the_policy_blocks_is_shown_as_blocked_with_the_rule() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let (never, long) = (make(&ada, "never", None).await, make(&ada, "long", Some(90)).await);
    let fine = make(&ada, "fine", Some(7)).await;
    let config = json!({"policy": {"human": {"max_seconds": 30 * 86_400}}});
    std::fs::write(host.dir().join("config.json"), config.to_string()).unwrap();
    let strict = host.another(Settings::default()).await;
    let request = ada.request("GET", PAGE).body(axum::body::Body::empty()).unwrap();
    let page = host.send_to(&strict, request).await.is(200).body;
    for (made, rule) in
        [(&never, "Policy: tokens must expire within 30 days"), (&long, "Policy: tokens may live for at most 30 days")]
    {
        let row = row(&page, made);
        assert!(row.contains("badge bad\">Blocked<") && row.contains(rule), "{row}");
        assert!(row.contains(">Replace<") && !row.contains("Active"), "{row}");
    }
    assert!(row(&page, &fine).contains("badge good\">Active<"));
    // What the list says is what happens.
    for (made, status) in [(&never, 403), (&long, 403), (&fine, 200)] {
        let request = axum::http::Request::get(WHOAMI).header("authorization", format!("Bearer {}", text(made)));
        let answer = host.send_to(&strict, request.body(axum::body::Body::empty()).unwrap()).await;
        let is_rejected = answer.status.as_u16() != 200;
        assert_eq!(is_rejected, status != 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn token_that_never_expires_is_shown_in_amber() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = make(&ada, "never", None).await;
    let page = ada.get(PAGE).await.is(200).body;
    assert!(row(&page, &made).contains("class=\"expiry warn\" title=\"It works until it is revoked\">Never<"));
}

#[tokio::test]
async fn list_tells_the_places_of_its_rows_and_the_total() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let places = async |query: &str| {
        let page = ada.get(&format!("{PAGE}?{query}")).await.is(200).body;
        let (_, rest) = page.split_once("id=\"places\">").unwrap();
        (rest.split('<').next().unwrap().to_owned(), page)
    };
    make(&ada, "CI", Some(1)).await;
    assert_eq!(places("").await.0, "1 token");
    for number in 0..11 {
        host.clock.advance(Duration::from_secs(1));
        make(&ada, &format!("n{number}"), Some(1)).await;
    }
    let (first, page) = places("size=5").await;
    assert_eq!(first, "1–5 of 12");
    let link = |page: &str, id: &str| {
        let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap();
        let link = rest.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
        link.replace("&#38;", "&").strip_prefix("/settings/tokens?").unwrap().to_owned()
    };
    let (second, page) = places(&link(&page, "later")).await;
    assert_eq!(second, "6–10 of 12");
    let (third, page) = places(&link(&page, "later")).await;
    assert_eq!(third, "11–12 of 12");
    assert_eq!(places(&link(&page, "earlier")).await.0, "6–10 of 12");
    assert_eq!(places("size=5&q=n1").await.0, "1–2 of 2");
    // The address of a page may contain any number.
    let earlier = link(&page, "earlier");
    let (start, _) = earlier.split_once("&at=").unwrap();
    let huge = places(&format!("{start}&at={}", u64::MAX)).await.0;
    assert!(huge.ends_with(&format!("of {}", u64::MAX)), "{huge}");
}

#[tokio::test]
async fn filters_select_by_status_expiry_and_last_use() {
    let host = Host::start().await;
    let ada = host.ada().await;
    make(&ada, "ended", Some(1)).await;
    make(&ada, "idle", Some(60)).await;
    host.clock.advance(35 * DAY);
    let used = make(&ada, "week", Some(5)).await;
    host.with_token(WHOAMI, &text(&used)).await.is(200);
    make(&ada, "month", Some(20)).await;
    make(&ada, "never", None).await;
    let revoked = make(&ada, "revoked", Some(30)).await;
    ada.delete(&format!("{TOKENS}{}", uuid(&revoked))).await.is(204);
    for (filter, expected) in [
        ("", "ended idle month never week"),
        ("status=live", "idle month never week"),
        ("status=expired", "ended"),
        ("status=revoked", "revoked"),
        ("status=all", "ended idle month never revoked week"),
        ("status=live&only=expires-7", "week"),
        ("status=live&only=expires-30", "idle month week"),
        ("only=no-expiry", "never"),
        ("only=no-expiry&sort=-expires", "never"),
        ("status=live&only=never-used", "idle month never"),
        ("status=live&only=unused-30", "idle"),
        ("status=live&only=unused-90", ""),
    ] {
        let page = ada.get(&format!("{PAGE}?sort=name&{filter}")).await;
        let page = if filter.contains("sort=") { ada.get(&format!("{PAGE}?{filter}")).await } else { page };
        assert_eq!(names(&page.is(200).body).join(" "), expected, "{filter}");
    }
    let none = ada.get(&format!("{PAGE}?status=live&only=unused-90")).await.body;
    assert!(none.contains("No token matches the filter") && none.contains("Clear search"));
}

#[tokio::test]
async fn search_finds_a_token_by_its_id_and_never_repeats_a_secret() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let station = ada.project("Weather station").await;
    let (made, other) = (make(&ada, "CI", Some(1)).await, make(&ada, "other", Some(1)).await);
    let elsewhere = ada.make("there", Some(station)).await;
    let public = |made: &Value| text(made).rsplit_once('_').unwrap().0.to_owned();
    let id = public(&made).rsplit_once('_').unwrap().1.to_owned();
    for searched in [id.clone(), public(&made), text(&made)] {
        let page = ada.get(&format!("{PAGE}?q={searched}")).await.is(200).body;
        assert_eq!(names(&page), ["CI"], "{searched}");
        assert_holds_no_part(&page, &text(&made));
    }
    let page = ada.get(&format!("{PAGE}?q={}", text(&elsewhere))).await.is(200).body;
    assert!(page.contains("This token is for Weather station"), "{page}");
    assert!(page.contains(&format!("project={station}&#38;q={}", public(&elsewhere))), "{page}");
    assert_holds_no_part(&page, &text(&elsewhere));
    // Another person's token is not found.
    let eve = host.eve().await;
    let page = eve.get(&format!("{PAGE}?q={}", public(&other))).await.is(200).body;
    assert!(page.contains("id=\"no-hits\"") && !page.contains("This token is for"), "{page}");
    // A name may look like an id.
    make(&ada, "1abcdefghijklmno job", Some(1)).await;
    assert_eq!(names(&ada.get(&format!("{PAGE}?q=1abcdefghijklmno")).await.body), ["1abcdefghijklmno job"]);
}

#[tokio::test]
async fn form_offers_the_lifetimes_that_the_policy_allows_with_their_dates() {
    let host = Host::start_configured(json!({"policy": {"human": {"max_seconds": 30 * 86_400}}})).await;
    host.clock.set("2026-11-28T14:05:00Z".parse().unwrap());
    let page = host.ada().await.get(&format!("{PAGE}?new=1")).await.is(200).body;
    for (preset, is_offered) in [("7", true), ("30", true), ("90", false), ("custom", true), ("never", false)] {
        assert_eq!(page.contains(&format!("name=\"preset\" value=\"{preset}\"")), is_offered, "{preset}");
    }
    assert!(page.contains("name=\"preset\" value=\"30\" data-end=\"2026-12-28T14:05:00"), "{page}");
    assert!(page.contains("Expires on <time") && page.contains(">28 Dec 2026, 14:05 UTC</time>"), "{page}");
    assert!(page.contains("At most 30 days."), "{page}");
}

#[tokio::test]
async fn form_takes_a_preset_a_project_and_addresses() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let station = ada.project("Weather station").await;
    let page = ada.get(&format!("{PAGE}?new=1")).await.is(200);
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    let send = async |fields: &str| ada.post_form(PAGE, &format!("csrf={csrf}&form={form}&{fields}")).await;
    let fault = |body: &str, id: &str| {
        let (_, rest) = body.split_once(&format!("id=\"{id}\" role=\"alert\">")).expect(body);
        rest.split('<').next().unwrap().to_owned()
    };
    // Each error is at its field, and the first wrong field gets the focus.
    let wrong = send(&format!("project={station}&name=+&preset=30")).await.is(400).body;
    assert_eq!(fault(&wrong, "name-error"), "Give the token a name.");
    let wrong = send(&format!("project={station}&name=n&preset=30&addresses=nowhere")).await.is(400).body;
    assert_eq!(fault(&wrong, "addresses-error"), "Enter addresses or networks, such as 203.0.113.7 or 10.0.0.0/8.");
    let field = wrong.split("id=\"addresses\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(field.contains("value=\"nowhere\"") && field.contains("autofocus"), "{field}");
    let wrong = send(&format!("project={station}&name=n&preset=custom&amount=4000&unit=days")).await.is(400).body;
    assert_eq!(fault(&wrong, "expiry-error"), "A token may live for at most 366 days.");
    assert!(wrong.contains("name=\"preset\" value=\"custom\" checked"));
    // The dialog covers the list of the chosen project.
    let fields = format!("view=project%3D1&project={station}&name=n&preset=7&scope=models%3Ause&addresses=192.0.2.7");
    let made = send(&fields).await.is(200);
    assert!(made.body.contains("n is ready") && made.body.contains("Weather station"));
    let listed = ada.get(TOKENS).await.json();
    let token = &listed.as_array().unwrap()[0];
    assert_eq!((&token["project_id"], &token["addresses"]), (&json!(station), &json!("192.0.2.7/32")));
    let page = ada.get(&format!("{PAGE}?project={station}")).await.is(200).body;
    assert!(page.contains("in 7 days"));
}

#[tokio::test]
async fn replacement_of_a_token_begins_with_its_name_project_and_scopes() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let station = ada.project("Weather station").await;
    let body =
        json!({"name": "Büro & co", "project_id": station, "scopes": "notes:read own:scope", "addresses": "192.0.2.7"});
    let made = ada.post(body).await.is(200).json();
    host.clock.advance(31 * DAY);
    let page = ada.get(&format!("{PAGE}?project={station}")).await.is(200).body;
    let row = row(&page, &made);
    let link = row.split("href=\"").find(|link| link.contains("new=1")).unwrap().split('"').next().unwrap();
    let form = ada.get(&link.replace("&#38;", "&")).await.is(200).body;
    let (_, form) = form.split_once("<dialog").unwrap();
    assert!(form.contains("value=\"Büro &#38; co\""), "{form}");
    assert!(form.contains("value=\"notes:read\" checked") && form.contains("value=\"own:scope\" checked"), "{form}");
    assert!(!form.contains("value=\"models:use\" checked"), "{form}");
    assert!(form.contains(&format!("<option value=\"{station}\" selected>")), "{form}");
    assert!(form.contains("value=\"192.0.2.7/32\""), "{form}");
}

#[tokio::test]
async fn dialog_says_whether_an_old_token_is_still_used_before_it_ends() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let old = make(&ada, "CI", Some(30)).await;
    host.with_token(WHOAMI, &text(&old)).await.is(200);
    host.clock.advance(Duration::from_secs(60));
    let page = ada.get(&format!("{PAGE}?rotate={}", uuid(&old))).await.is(200);
    let form = format!("csrf={}&form={}&grace=24", page.field("csrf"), page.field("form"));
    let rotated = ada.post_form(&format!("{PAGE}/{}/rotate", uuid(&old)), &form).await.is(200).body;
    assert!(rotated.contains("The old token works until"), "{rotated}");
    let dialog = format!("{PAGE}?end-grace={}", uuid(&old));
    assert!(row(&ada.get(PAGE).await.is(200).body, &old).contains("Not used since rotation."));
    let unused = ada.get(&dialog).await.is(200).body;
    assert!(unused.contains("It was not used since its rotation; the last use was <time"), "{unused}");
    host.clock.advance(Duration::from_secs(60));
    host.with_token(WHOAMI, &text(&old)).await.is(200);
    assert!(row(&ada.get(PAGE).await.is(200).body, &old).contains("Still in use."));
    let used = ada.get(&dialog).await.is(200).body;
    assert!(used.contains("<b>It is still in use:</b>") && used.contains("button main danger"), "{used}");
    let end = format!("csrf={}&view=project%3D1", page.field("csrf"));
    ada.post_form(&format!("{PAGE}/{}/end-grace", uuid(&old)), &end).await.is(303);
    // The ended token has a successor, so the list offers its history and no replacement.
    let list = ada.get(PAGE).await.is(200).body;
    assert!(row(&list, &old).contains(">History<") && !row(&list, &old).contains(">Replace<"), "{list}");
}

#[tokio::test]
async fn token_is_renamed_and_narrowed_in_dialogs_that_name_it() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.post(json!({"name": "CI", "scopes": "models:use notes:read"})).await.is(200).json();
    let (id, public) = (uuid(&made), text(&made).rsplit_once('_').unwrap().0.to_owned());
    let csrf = ada.get(PAGE).await.field("csrf");
    for dialog in ["rename", "narrow", "rotate", "delete", "settings"] {
        let body = ada.get(&format!("{PAGE}?{dialog}={id}")).await.is(200).body;
        let (_, dialog) = body.split_once("<dialog").unwrap();
        assert!(dialog.contains("<b>CI</b>") && dialog.contains(&format!("title=\"{public}\"")), "{dialog}");
    }
    let post = async |verb: &str, fields: &str| {
        ada.post_form(&format!("{PAGE}/{id}/{verb}"), &format!("csrf={csrf}&view=project%3D1&{fields}")).await
    };
    ada.post_form(&format!("{PAGE}/{id}/rename"), "csrf=no&name=x").await.is(403);
    let wrong = post("rename", "name=+").await.is(400).body;
    assert!(wrong.contains("Give the token a name.") && wrong.contains("id=\"new-name\" name=\"name\" value=\" \""));
    let done = post("rename", "name=Night+job").await.is(303);
    assert_eq!(done.header("location"), format!("{PAGE}?project=1&said=renamed&of={id}"));
    let page = ada.get(done.header("location")).await.is(200).body;
    assert!(page.contains(">Night job<") && page.contains("“Night job” (demo_pat_1_"), "{page}");

    let wider = post("narrow", "scope=tokens%3Amanage").await.is(400).body;
    assert!(wider.contains("id=\"narrow-error\""), "{wider}");
    post("narrow", "scope=models%3Ause&addresses=192.0.2.0%2F24").await.is(303);
    let narrowed = ada.get(&format!("{TOKENS}{id}")).await.json();
    assert_eq!((&narrowed["scopes"], &narrowed["addresses"]), (&json!("models:use"), &json!("192.0.2.0/24")));
    host.with_token("/api/v2/projects/1/notes", &text(&made)).await.is_problem(403, "wrong_address");
}
