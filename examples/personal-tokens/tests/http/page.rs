//! Tests the pages without their JavaScript: the forms, the dialogs and the token that is shown
//! once. After a page has shown the token, no other response may contain it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use personal_tokens::db::query;
use personal_tokens::tokens::notices;
use serde_json::{Value, json};

use crate::support::{Host, Person, REVOKE_ALL, TOKENS, WHOAMI, assert_holds_no_part};

const PAGE: &str = "/settings/tokens";

fn token_in(body: &str) -> &str {
    let (_, rest) = body.split_once("id=\"token\"").unwrap();
    rest.split_once('>').unwrap().1.split('<').next().unwrap()
}

#[tokio::test]
async fn sign_in_renews_the_session_and_sign_out_ends_it() {
    let host = Host::start().await;
    let wrong = Request::post("/sign-in")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = host.send(wrong.body("name=ada&password=wrong".into()).unwrap()).await.is(401);
    assert!(answer.headers.get("set-cookie").is_none());
    let known = answer.body.replace("value=\"ada\"", "value=\"bob\"");
    let unknown = Request::post("/sign-in")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(host.send(unknown.body("name=bob&password=wrong".into()).unwrap()).await.is(401).body, known);

    let ada = host.ada().await;
    let again = ada
        .post_form("/sign-in", &format!("name=ada&password={}", host.first.password))
        .await
        .is(303)
        .header("set-cookie")
        .to_owned();
    assert!(!again.starts_with(&ada.cookie), "the id is a new one");
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(again.contains(flag), "{again}");
    }
    ada.get(PAGE).await.is(303);

    let ada = host.ada().await;
    ada.post_form("/sign-out", "csrf=wrong").await.is(403);
    let csrf = ada.get(PAGE).await.is(200).field("csrf");
    ada.post_form("/sign-out", &format!("csrf={csrf}")).await.is(303);
    ada.get(PAGE).await.is(303);
    let (sessions,): (i64,) = query("SELECT count(*) FROM sessions").fetch_one(&host.app.db).await.unwrap();
    assert_eq!(sessions, 1, "only the second of the three sessions is left");
}

#[tokio::test]
async fn token_is_created_shown_once_and_deleted_by_its_name() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let station = ada.project("Weather station").await;
    let at = format!("{PAGE}?project={station}");
    assert!(ada.get(&at).await.is(200).body.contains("No tokens in this project yet"));

    let page = ada.get(&format!("{at}&new=1")).await.is(200);
    assert!(page.body.contains("value=\"30\"") && page.body.contains("<option value=\"days\" selected>"));
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    let send = format!("csrf={csrf}&form={form}&project={station}&name=VSCode+%26+co&amount=5&unit=minutes");
    let shown = ada.post_form(PAGE, &send).await.is(200);
    let token = token_in(&shown.body).to_owned();
    host.with_token(&format!("/api/v2/projects/{station}/whoami"), &token).await.is(200);

    // A reload of the page that shows the token sends the form again. The service then neither
    // creates a second token nor shows the first token again.
    assert_eq!(ada.post_form(PAGE, &send).await.is(303).header("location"), at);
    let list = ada.get(&at).await.is(200);
    assert_eq!(list.body.matches("<tr id=\"token-").count(), 1);
    for text in ["VSCode &#38; co", "in 5 minutes", "just now", "Active", token.rsplit_once('_').unwrap().0] {
        assert!(list.body.contains(text), "{text}");
    }
    assert_holds_no_part(&list.body, &token);

    let uuid = ada.get(TOKENS).await.json()[0]["uuid"].as_str().unwrap().to_owned();
    ada.get(&format!("{at}&delete={uuid}")).await.is(200);
    let path = format!("{PAGE}/{uuid}/delete");
    ada.post_form(&path, &format!("csrf=no&view=project%3D{station}&typed=VSCode+%26+co")).await.is(403);
    let wrong = ada.post_form(&path, &format!("csrf={csrf}&view=project%3D{station}&typed=vscode")).await.is(400);
    assert!(wrong.body.contains("The name does not match."));
    host.with_token(WHOAMI, &token).await.is(200);
    ada.post_form(&path, &format!("csrf={csrf}&view=project%3D{station}&typed=VSCode+%26+co")).await.is(303);
    host.with_token(WHOAMI, &token).await.is_problem(401, "revoked");
    ada.post_form(&path, &format!("csrf={csrf}&view=project%3D{station}&typed=VSCode+%26+co")).await.is(404);
}

/// Without the JavaScript of the page, a double click sends the form several times.
#[tokio::test]
async fn form_that_is_sent_several_times_concurrently_creates_one_token() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let page = ada.get(&format!("{PAGE}?new=")).await.is(200);
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    let send = format!("csrf={csrf}&form={form}&project=1&name=twice&amount=30&unit=days");
    let answers = join_all((0..5).map(|_| ada.post_form(PAGE, &send))).await;
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(200), with(303)), (1, 4));
    let list = ada.get(TOKENS).await.is(200).json();
    assert_eq!(list.as_array().unwrap().len(), 1);

    // The form for a rotation also has its effect only once.
    let uuid = list[0]["uuid"].as_str().unwrap();
    let form = ada.get(&format!("{PAGE}?rotate={uuid}")).await.is(200).field("form");
    let send = format!("csrf={csrf}&form={form}&grace=1");
    let path = format!("{PAGE}/{uuid}/rotate");
    let answers = join_all((0..5).map(|_| ada.post_form(&path, &send))).await;
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(200), with(303)), (1, 4));
    assert_eq!(ada.get(TOKENS).await.is(200).json().as_array().unwrap().len(), 2);
}

/// Each form that creates a token contains a random number. The service stores the numbers of the
/// forms that a person has sent, so that no form is processed twice. It keeps only the latest
/// numbers of each person.
#[tokio::test]
async fn forms_that_were_sent_are_remembered_within_bounds() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    let (ada, eve) = (host.ada().await, host.eve().await);
    let send = async |person: &Person<'_>, form: &str| {
        let csrf = person.get(PAGE).await.is(200).field("csrf");
        let send = format!(
            "csrf={csrf}&form={form}&project={}&name=n&amount=30&unit=days",
            match person.cookie == ada.cookie {
                true => 1,
                false => host.app.projects.personal(2).await.unwrap().unwrap().id,
            }
        );
        person.post_form(PAGE, &send).await.status.as_u16()
    };
    let form = |number: usize| format!("{number:032x}");
    assert_eq!((send(&ada, &form(0)).await, send(&ada, &form(0)).await), (200, 303));
    // If another person sends a form with the same number, it counts as another form.
    assert_eq!((send(&eve, &form(0)).await, send(&eve, &form(0)).await), (200, 303));
    // The service does not store a number that has another format than the numbers of its forms.
    assert_eq!(send(&ada, "0").await, 303);
    let many = "INSERT INTO spent_forms (user_id, form) WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM \
                number WHERE n < 200) SELECT 1, printf('%032x', n) FROM number";
    host.run(many).await;
    assert_eq!((send(&ada, &form(201)).await, send(&ada, &form(201)).await), (200, 303));
    assert_eq!(send(&ada, &form(200)).await, 303);
    let count = "SELECT count(*) FROM spent_forms";
    assert_eq!(query(count).value::<i64>(&host.app.db).await.unwrap(), 128 + 1);
}

#[tokio::test]
async fn invalid_form_comes_back_with_its_draft_and_the_reason() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let page = ada.get("/settings/tokens?new=1").await.is(200);
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    for (fields, word) in [
        ("name=+&amount=30&unit=days", "Give the token a name."),
        ("name=n%00&amount=30&unit=days", "The name contains a character that is not allowed."),
        ("name=n&amount=0&unit=days", "The expiration must be a whole number of at least 1."),
        ("name=n&amount=-1&unit=days", "The expiration must be a whole number of at least 1."),
        ("name=n&amount=&unit=days", "The expiration must be a whole number of at least 1."),
        ("name=n&amount=1e3&unit=days", "The expiration must be a whole number of at least 1."),
        ("name=n&amount=367&unit=days", "A token may live for at most 366 days."),
        ("name=n&amount=99999999999999999999&unit=weeks", "A token may live for at most 366 days."),
        ("name=n&amount=3&unit=years", "Choose a unit for the expiration."),
    ] {
        let answer = ada.post_form(PAGE, &format!("csrf={csrf}&form={form}&project=1&{fields}")).await.is(400);
        assert!(answer.body.contains(word), "{fields}");
        assert_eq!(answer.field("form"), form);
    }
    ada.post_form(PAGE, &format!("csrf={csrf}x&form={form}&project=1&name=n&amount=1&unit=days")).await.is(403);
    ada.post_form(PAGE, &format!("csrf={csrf}&form={form}&project=9999&name=n&amount=1&unit=days")).await.is(403);
    let owner = format!("csrf={csrf}&form={form}&project=1&name=n&amount=1&unit=days&owner=2");
    ada.post_form(PAGE, &owner).await.is(422);
    assert_eq!(ada.get(TOKENS).await.json(), json!([]));
    // If the same form is sent with corrected input, it creates a token.
    ada.post_form(PAGE, &format!("csrf={csrf}&form={form}&project=1&name=n&unit=never")).await.is(200);
    ada.get("/settings/tokens?project=x").await.is(404);
    ada.get("/settings/tokens?delete=x").await.is(404);
}

#[tokio::test]
async fn names_are_text_and_not_markup() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let name = "<script>alert(1)</script>\"'><b>";
    let made = ada.make(name, None).await;
    assert_eq!(made["name"], name);
    let uuid = made["uuid"].as_str().unwrap();
    for page in ["/settings/tokens".into(), format!("/settings/tokens?delete={uuid}")] {
        let body = ada.get(&page).await.is(200).body;
        assert!(!body.contains("<script>alert") && !body.contains("'><b>") && !body.contains("\"'>"));
    }
}

/// The name of a token must not contain an emoji of several code points. An earlier version did not
/// have this rule, so a row with such a name may exist.
#[tokio::test]
async fn row_with_a_name_from_before_the_rule_is_listed_verified_and_ended() {
    const NAME: &str = "\u{1f469}\u{200d}\u{1f4bb} laptop";
    let host = Host::start().await;
    if !host.has_token_table() {
        return;
    }
    let ada = host.ada().await;
    let [deleted, reported, other] = [ada.make("a", None).await, ada.make("b", None).await, ada.make("c", None).await];
    for made in [&deleted, &reported] {
        let change = "UPDATE keyfob_tokens SET name = ?1, name_folded = ?1 WHERE id = ?2";
        let id = made["token"].as_str().unwrap().rsplit('_').nth(1).unwrap();
        let change = query(change).bind(NAME).bind(id).execute(&host.app.db);
        assert_eq!(change.await.unwrap(), 1);
    }
    assert!(ada.get(TOKENS).await.is(200).body.contains("laptop"));
    for page in [PAGE, "/settings/tokens?sort=name", "/admin/projects/1"] {
        assert!(ada.get(page).await.is(200).body.contains(NAME), "{page}");
    }
    let at = |made: &Value| format!("{TOKENS}{}", made["uuid"].as_str().unwrap());
    let text = |made: &Value| made["token"].as_str().unwrap().to_owned();
    assert_eq!(ada.get(&at(&deleted)).await.is(200).json()["name"], NAME);
    host.with_token(WHOAMI, &text(&deleted)).await.is(200);

    ada.delete(&at(&deleted)).await.is(204);
    host.with_token(WHOAMI, &text(&deleted)).await.is_problem(401, "revoked");
    let report = json!([{ "token": text(&reported) }]).to_string();
    host.send(Request::post("/api/v2/leaks").body(report.into()).unwrap()).await.is(202);
    host.with_token(WHOAMI, &text(&reported)).await.is_problem(401, "revoked");
    ada.post_to(REVOKE_ALL, "").await.is(200);
    host.with_token(WHOAMI, &text(&other)).await.is_problem(401, "revoked");
}

#[derive(Clone, Default)]
pub struct Log(pub Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps all tracing events enabled for the whole process. Without this function, if a test on
/// another thread reaches an event first, `tracing` may disable the event for all threads.
pub fn keep_events_of_interest() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).expect("no other test sets one");
    });
}

#[tokio::test]
async fn no_answer_but_the_first_and_no_log_line_holds_a_part_of_the_secret() {
    keep_events_of_interest();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());

    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("n", None).await;
    let token = made["token"].as_str().unwrap();
    let uuid = made["uuid"].as_str().unwrap();
    host.answered.lock().unwrap().clear();

    for path in ["/", PAGE, "/settings/tokens?new=1", TOKENS, &format!("{TOKENS}{uuid}")] {
        ada.get(path).await;
    }
    ada.get(&format!("{PAGE}?delete={uuid}")).await.is(200);
    // The test also sends the token in places where no token belongs: in a path, a query, the name
    // of a field, a wrong header and a cookie.
    ada.get(&format!("{TOKENS}{token}")).await;
    ada.get(&format!("{PAGE}?project={token}")).await;
    ada.get(&format!("/{token}")).await;
    ada.post_text(&format!("{{\"{token}\": 1}}")).await;
    ada.post(json!({"name": "n", "expires": token, "project_id": token})).await;
    host.with_headers(WHOAMI, &[("cookie", &format!("session={token}"))]).await;
    host.with_headers(PAGE, &[("cookie", &format!("session={token}"))]).await;
    host.with_headers(WHOAMI, &[("authorization", token)]).await;
    host.with_token(WHOAMI, &format!("{token}x")).await;
    host.with_token(WHOAMI, token).await.is(200);
    host.with_token("/api/v2/projects/7/whoami", token).await.is(403);
    ada.delete(&format!("{TOKENS}{uuid}")).await.is(204);
    host.with_token(WHOAMI, token).await.is(401);
    host.send(Request::get(PAGE).body(Body::empty()).unwrap()).await;

    assert_holds_no_part(&host.answered.lock().unwrap(), token);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("event=\"failed\""), "the test captures the log");
    assert_holds_no_part(&log, token);
}

#[tokio::test]
async fn a_token_is_disabled_and_enabled_and_a_scope_opens_a_route() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let station = ada.project("Weather station").await;
    let at = format!("{PAGE}?project={station}");
    let page = ada.get(&format!("{at}&new=1")).await.is(200);
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    let new = format!("csrf={csrf}&form={form}&project={station}&name=n&amount=3&unit=days&scope=notes%3Aread");
    let made = ada.post_form(PAGE, &new).await.is(200);
    let token = token_in(&made.body).to_owned();
    let notes = format!("/api/v2/projects/{station}/notes");
    host.with_token(&notes, &token).await.is(200);
    let without = ada.make("without", Some(station)).await["token"].as_str().unwrap().to_owned();
    host.with_token(&notes, &without).await.is_problem(403, "insufficient_scope");

    let list = ada.get(&at).await.is(200).body;
    let action = list.split("action=\"").find(|text| text.contains("/disable\"")).unwrap();
    let disable = action.split('"').next().unwrap().to_owned();
    let form = format!("csrf={csrf}&view=project%3D{station}%26q%3Dn");
    let back = ada.post_form(&disable, &form).await.is(303);
    assert!(back.header("location").starts_with(&format!("{at}&q=n&said=disabled&of=")));
    ada.post_form(&disable.replace("/disable", "/end-grace"), &form).await.is(400);
    let stopped: Vec<_> = [&token, &without].into_iter().collect();
    let mut disabled = 0;
    for token in &stopped {
        disabled += u16::from(host.with_token(WHOAMI, token).await.status == 401);
    }
    assert_eq!(disabled, 1);
    ada.post_form(&disable.replace("/disable", "/enable"), &form).await.is(303);
    for token in stopped {
        host.with_token(WHOAMI, token).await.is(200);
    }
}

#[tokio::test]
async fn expiry_notice_of_a_token_stays_until_it_is_rotated() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let station = ada.project("Weather station").await;
    let uuid = ada.make("CI", Some(station)).await["uuid"].as_str().unwrap().to_owned();
    let seen = async || {
        notices::gather(&host.app).await.unwrap();
        // The notice is on all pages for tokens. This page belongs to another project than the
        // token.
        ada.get(PAGE).await.is(200).body.contains("<li><b>CI</b> in Weather station")
    };
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    host.clock.advance(29 * DAY - Duration::from_millis(1));
    assert!(!seen().await);
    host.clock.advance(Duration::from_millis(1));
    // The session has not expired, because sessions use the real clock and not the test's clock.
    assert!(seen().await);
    assert!(seen().await, "the notice stays until the token is rotated");
    let eve = host.eve().await;
    assert!(!eve.get(PAGE).await.is(200).body.contains("id=\"ending\""));

    let page = ada.get(&format!("{PAGE}?rotate={uuid}")).await.is(200);
    let form = format!("csrf={}&form={}&grace=1", page.field("csrf"), page.field("form"));
    ada.post_form(&format!("{PAGE}/{uuid}/rotate"), &form).await.is(200);
    assert!(!seen().await, "its successor lives longer");
}

#[tokio::test]
async fn token_is_created_and_its_settings_downloaded_without_the_script() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let page = ada.get("/settings/tokens?new=1").await.is(200);
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    let made =
        format!("csrf={csrf}&form={form}&project=1&view=project%3D1&name=n&amount=1&unit=days&scope=models%3Ause");
    let shown = ada.post_form("/settings/tokens", &made).await.is(200);
    let token = shown.field("token");
    let action = shown.body.split("id=\"pane\"").next().unwrap().rsplit("action=\"").next().unwrap().to_owned();
    let action = action.split('"').next().unwrap();
    let send = format!("csrf={csrf}&view=project%3D1&integration=4_echo&token={token}&tool=vscode");
    // The button "Show" shows the pop-up again, with the chosen settings. The button "Download"
    // returns the same settings as a file.
    let shown = ada.post_form(action, &format!("{send}&do=show")).await.is(200);
    let file = ada.post_form(action, &format!("{send}&do=download")).await.is(200);
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"settings.json\"");
    let preview = shown.body.split("aria-label=\"Preview\">").nth(1).unwrap().split("</pre>").next().unwrap();
    assert_eq!(preview.replace("&#34;", "\""), file.body);
}

/// Returns a `config.json` whose policy has this maximum grace period, in seconds.
fn with_max_grace(seconds: u64) -> Value {
    json!({ "policy": { "max_grace_seconds": seconds } })
}

#[tokio::test]
async fn invalid_grace_period_is_an_error_at_its_field() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let uuid = ada.make("n", None).await["uuid"].as_str().unwrap().to_owned();
    let page = ada.get(&format!("{PAGE}?rotate={uuid}")).await.is(200);
    assert!(!page.body.contains("grace-error") && !page.body.contains("aria-invalid"));
    let asks = async |grace: &str| {
        let form = format!("csrf={}&form={}&grace={grace}", page.field("csrf"), page.field("form"));
        ada.post_form(&format!("{PAGE}/{uuid}/rotate"), &form).await
    };
    let at_field = |body: &str, words: &str| {
        assert!(body.contains(" aria-invalid=\"true\" aria-describedby=\"grace-error\""), "{body}");
        assert!(body.contains(&format!("<p class=\"fault\" id=\"grace-error\" role=\"alert\">{words}</p>")), "{body}");
    };
    for grace in ["721", "4294967295", "4294967296", "18446744073709551616", &"9".repeat(400)] {
        at_field(&asks(grace).await.is(400).body, "The old token may work for at most 30 more days.");
    }
    for grace in ["", "x", "-1", "1.5", "%2B1"] {
        at_field(&asks(grace).await.is(400).body, "Choose a whole number of hours.");
    }
    assert_eq!(ada.get(TOKENS).await.json().as_array().unwrap().len(), 1, "nothing was rotated");
    asks("720").await.is(200);
}

#[tokio::test]
async fn form_offers_the_grace_periods_that_the_policy_allows() {
    for (seconds, offered, chosen, words) in [
        (172_800, "0 1 24 48", "24", "at most 2 more days"),
        (86_400, "0 1 24", "24", "at most 1 more day"),
        (7_200, "0 1 2", "2", "at most 2 more hours"),
        (5_400, "0 1", "1", "at most 90 more minutes"),
        (1, "0", "0", "at most 1 more second"),
        (0, "0", "0", "allows no grace period"),
    ] {
        let host = Host::start_configured(with_max_grace(seconds)).await;
        let ada = host.ada().await;
        let uuid = ada.make("n", None).await["uuid"].as_str().unwrap().to_owned();
        let page = ada.get(&format!("{PAGE}?rotate={uuid}")).await.is(200);
        let (_, select) = page.body.split_once("name=\"grace\"").unwrap();
        let options = select.split("</select>").next().unwrap();
        let values: Vec<_> = options.split("value=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(values.join(" "), offered);
        assert!(options.contains(&format!("value=\"{chosen}\" selected")), "{options}");
        let form = |grace: &str| format!("csrf={}&form={}&grace={grace}", page.field("csrf"), page.field("form"));
        let refused = ada.post_form(&format!("{PAGE}/{uuid}/rotate"), &form("168")).await.is(400);
        assert!(refused.body.contains(words), "{words}: {}", refused.body);
        ada.post_form(&format!("{PAGE}/{uuid}/rotate"), &form(chosen)).await.is(200);
    }
}

#[tokio::test]
async fn a_token_whose_predecessor_still_works_says_so_and_ends_it() {
    let host = Host::start().await;
    host.clock.set("2026-11-28T14:05:59.999Z".parse().unwrap());
    let ada = host.ada().await;
    let first = ada.make("n", None).await;
    let second = ada.post_to(&format!("{TOKENS}{}/rotate", first["uuid"].as_str().unwrap()), "").await.is(200).json();
    let rotate = format!("{PAGE}/{}/rotate", second["uuid"].as_str().unwrap());
    let page = ada.get(&format!("{PAGE}?rotate={}", second["uuid"].as_str().unwrap())).await.is(200);
    let form = format!("csrf={}&form={}&grace=1", page.field("csrf"), page.field("form"));

    let refused = ada.post_form(&rotate, &form).await.is(400).body;
    let words =
        "The token that this one replaced still works until 29 Nov 2026, 14:05 UTC. End its grace period first.";
    assert!(refused.contains(words), "{refused}");
    let end = format!("{PAGE}/{}/end-grace", first["uuid"].as_str().unwrap());
    let (_, dialog) = refused.split_once("<dialog").unwrap();
    assert!(dialog.contains(&format!("action=\"{end}\"")), "the dialog ends it: {refused}");
    let old = first["token"].as_str().unwrap();
    host.with_token(WHOAMI, old).await.is(200);
    ada.post_form(&end, &format!("csrf={}", page.field("csrf"))).await.is(303);
    host.with_token(WHOAMI, old).await.is_problem(401, "rotated");
    ada.post_form(&rotate, &form).await.is(200);
}
