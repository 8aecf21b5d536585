//! Tests tokens for agents: a session or another token issues them, pages and the API list them,
//! and they end together with their issuer.

use personal_tokens::db::query;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use keyfob::{
    Actor, ProjectId, TokenId, TokenKey,
    events::{Event, EventSink},
    record::{Issuer, RevocationReason},
};
use serde_json::{Value, json};

use crate::support::{Answer, Host, Person, REVOKE_ALL, TOKENS, WHOAMI, items_in, text_of as text_of_html};

/// The path of the route on which the presented token issues another token.
const DELEGATE: &str = "/api/v2/auth/token/self/delegate";

fn text_of(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

fn path_of(token: &Value, verb: &str) -> String {
    format!("{TOKENS}{}{verb}", token["uuid"].as_str().unwrap())
}

fn public_id(token: &Value) -> &str {
    text_of(token).rsplit('_').nth(1).unwrap()
}

impl Host {
    /// Requests an agent token. `token` authenticates the request and is the issuer of the agent
    /// token.
    pub async fn delegate(&self, token: &str, body: &Value) -> Answer {
        let request = Request::post(DELEGATE).header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

/// Creates a token for ada. This token may issue other tokens.
async fn manager(ada: &Person<'_>) -> Value {
    ada.post(json!({"name": "Laptop", "scopes": "models:use notes:read tokens:manage"})).await.is(200).json()
}

#[tokio::test]
async fn a_token_issues_a_bound_one_for_an_agent() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    let body = json!({
        "name": "Review agent", "scopes": "notes:read", "expires": {"measure": "minutes", "value": 10},
    });
    let agent = host.delegate(text_of(&laptop), &body).await.is(200).json();
    assert_eq!(
        (&agent["name"], &agent["scopes"], &agent["kind"]),
        (&json!("Review agent"), &json!("notes:read"), &json!("agent"))
    );
    assert_eq!(agent["issuer"], json!({"public_id": public_id(&laptop), "bound": true}));
    assert_eq!((&agent["user_id"], &agent["project_id"]), (&laptop["user_id"], &laptop["project_id"]));
    let end: keyfob::Timestamp = agent["expires"].as_str().unwrap().parse().unwrap();
    assert_eq!(end.saturating_since(host.app.tokens.now()).as_secs(), 600);
    host.with_token("/api/v2/projects/1/notes", text_of(&agent)).await.is(200);
    host.with_token("/llm/v1/models", text_of(&agent)).await.is_problem(403, "insufficient_scope");

    // If the request names no lifetime, the token gets the policy's default lifetime for agents.
    let agent = host.delegate(text_of(&laptop), &json!({"name": "n", "scopes": ""})).await.is(200).json();
    let end: keyfob::Timestamp = agent["expires"].as_str().unwrap().parse().unwrap();
    assert_eq!(end.saturating_since(host.app.tokens.now()).as_secs(), 12 * 3600);
}

#[tokio::test]
async fn each_refused_delegation_says_why() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    for (body, status, reason, detail) in [
        (
            json!({"name": "n", "scopes": "notes:write"}),
            422,
            "outside_issuer",
            "a token cannot grant scopes that it does not have",
        ),
        (json!({"name": "n", "scopes": "", "expires": null}), 422, "policy", "a token must expire"),
        (
            json!({"name": "n", "scopes": "", "expires": {"measure": "days", "value": 8}}),
            422,
            "policy",
            "a token may live for at most 7 days",
        ),
        (
            json!({"name": "n", "scopes": "", "expires": 7}),
            400,
            "invalid",
            "expires: must be null or an object of measure and value",
        ),
        (json!({"name": "", "scopes": ""}), 400, "invalid", "name"),
        (json!({"name": "n"}), 400, "invalid", "the body must be an object of the fields of this call"),
        (json!({"name": "n", "scopes": "", "project_id": 2}), 400, "invalid", "the body must be"),
    ] {
        let answer = host.delegate(text_of(&laptop), &body).await;
        assert!(answer.json()["detail"].as_str().unwrap().contains(detail), "{body}: {}", answer.body);
        answer.is_problem(status, reason);
    }
    let request = Request::post(DELEGATE).header("authorization", format!("Bearer {}", text_of(&laptop)));
    host.send(request.body(Body::from("{}")).unwrap()).await.is_problem(415, "not_json");

    // A token without the scope `tokens:manage` is refused. So is a request without a token.
    let plain = ada.make("n", None).await;
    let answer = host.delegate(text_of(&plain), &json!({"name": "n", "scopes": ""})).await;
    assert!(answer.header("www-authenticate").contains(r#", scope="tokens:manage""#));
    answer.is_problem(403, "insufficient_scope");
    let request = Request::post(DELEGATE).header("cookie", &ada.cookie).header("sec-fetch-site", "same-origin");
    let answer = host.send(request.body(Body::empty()).unwrap()).await;
    assert!(
        answer
            .header("www-authenticate")
            .contains(r#"realm="personal-tokens", scope="tokens:manage", resource_metadata="http://"#)
    );
    answer.is_problem(401, "missing_token");
}

#[tokio::test]
async fn a_bound_token_issues_no_further_than_the_policy_allows() {
    let named = json!({"name": "n", "scopes": "tokens:manage"});
    let host = Host::start().await;
    let laptop = manager(&host.ada().await).await;
    let agent = host.delegate(text_of(&laptop), &named).await.is(200).json();
    let refused = host.delegate(text_of(&agent), &json!({"name": "n", "scopes": ""})).await;
    assert_eq!(refused.json()["detail"], "the chain of issuing tokens would be longer than the policy allows");
    refused.is_problem(422, "policy");

    let policy = json!({"policy": {"human": {"never_expiring": true}, "max_depth": 2, "most_live_per_issuer": 2}});
    let host = Host::start_configured(policy).await;
    let laptop = manager(&host.ada().await).await;
    let agent = host.delegate(text_of(&laptop), &named).await.is(200).json();
    let second = host.delegate(text_of(&agent), &named).await.is(200).json();
    host.delegate(text_of(&second), &named).await.is_problem(422, "policy");
    // The policy lets a token issue at most two tokens.
    host.delegate(text_of(&laptop), &named).await.is(200);
    host.delegate(text_of(&laptop), &named).await.is_problem(409, "limit");
    // If the first token of the chain is revoked, the last token of the chain ends too.
    host.ada().await.delete(&path_of(&laptop, "")).await.is(204);
    host.with_token(WHOAMI, text_of(&second)).await.is_problem(401, "issuer_ended");
}

#[tokio::test]
async fn person_creates_an_agent_token_under_their_own_token() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let engine = ada.project("Difference engine").await;
    let ci = ada.make("CI", Some(engine)).await;
    let body = json!({"name": "Agent", "scopes": "models:use"}).to_string();
    let agent = ada.post_to(&path_of(&ci, "/delegate"), &body).await.is(200).json();
    assert_eq!((&agent["project_id"], &agent["kind"]), (&json!(engine), &json!("agent")));
    assert_eq!(agent["issuer"], json!({"public_id": public_id(&ci), "bound": true}));
    host.with_token(WHOAMI, text_of(&agent)).await.is(200);

    // An agent token cannot have more rights than its issuer, even if the person has more rights.
    for (body, status, words) in [
        (json!({"name": "n", "scopes": "notes:read"}), 409, "a token cannot grant scopes that it does not have"),
        (
            json!({"name": "n", "scopes": "", "expires": {"measure": "weeks", "value": 2}}),
            400,
            "a token may live for at most 7 days",
        ),
        (json!({"name": "n"}), 400, "the body must be an object of the fields of this call"),
    ] {
        let refused = ada.post_to(&path_of(&ci, "/delegate"), &body.to_string()).await.is(status).json();
        assert_eq!(refused, json!({"error": words}));
    }
    // An agent token cannot issue another token unless the policy allows it. A disabled token
    // cannot issue any token.
    let refused = ada.post_to(&path_of(&agent, "/delegate"), &body).await.is(400).json();
    assert_eq!(refused["error"], "the chain of issuing tokens would be longer than the policy allows");
    ada.post_to(&path_of(&ci, "/disable"), "").await.is(200);
    assert_eq!(ada.get(&path_of(&agent, "")).await.json()["status"], "issuer_ended");
    let refused = ada.post_to(&path_of(&ci, "/delegate"), &body).await.is(409).json();
    assert!(refused["error"].as_str().unwrap().starts_with("the issuing token does not work any more"), "{refused}");
    host.with_token(WHOAMI, text_of(&agent)).await.is_problem(401, "issuer_ended");
    ada.post_to(&path_of(&ci, "/enable"), "").await.is(200);
    host.with_token(WHOAMI, text_of(&agent)).await.is(200);

    // Another person gets the same response as for a token that does not exist.
    let eve = host.eve().await;
    eve.post_to(&path_of(&ci, "/delegate"), &body).await.is(404);
    eve.get(&path_of(&ci, "/issued")).await.is(404);
}

#[tokio::test]
async fn what_a_token_issued_is_listed_with_its_last_use() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    assert_eq!(ada.get(&path_of(&laptop, "/issued")).await.is(200).json(), json!([]));
    let mut made = Vec::new();
    for name in ["first", "second"] {
        host.clock.advance(Duration::from_secs(1));
        made.push(host.delegate(text_of(&laptop), &json!({"name": name, "scopes": ""})).await.is(200).json());
    }
    let authorization = format!("Bearer {}", text_of(&made[0]));
    host.with_headers(WHOAMI, &[("authorization", &authorization), ("user-agent", "agent/1.0")]).await.is(200);
    ada.delete(&path_of(&made[1], "")).await.is(204);
    let listed = ada.get(&path_of(&laptop, "/issued")).await.is(200).json();
    let column = |field: &str| listed.as_array().unwrap().iter().map(|one| one[field].clone()).collect::<Vec<_>>();
    assert_eq!(column("name"), ["second", "first"]);
    assert_eq!(column("status"), ["revoked", "active"]);
    assert_eq!(column("last_used_at"), [Value::Null, json!(host.app.tokens.now().to_string())]);
    // The test sends its requests without a network connection, so no address is recorded.
    assert_eq!(column("last_used_from"), [Value::Null, json!({"address": null, "client": "agent/1.0"})]);
    assert!(column("issuer").iter().all(|issuer| issuer["bound"] == true));
}

#[tokio::test]
async fn behind_a_proxy_the_address_of_a_use_comes_from_its_header() {
    use personal_tokens::setup::Settings;

    let host = Host::start_with(Settings { behind_tls: true, ..Settings::default() }).await;
    let made = host.app.tokens.of(&"1".parse().unwrap(), &"1".parse().unwrap());
    let made = made.issue(made.new_token("n".parse().unwrap())).await.unwrap();
    let authorization = format!("Bearer {}", made.token.expose_secret());
    let headers = [("authorization", authorization.as_str()), ("x-forwarded-for", "192.0.2.1, 203.0.113.7")];
    host.with_headers(WHOAMI, &headers).await.is(200);
    host.app.tokens.flush_usage().await.unwrap();
    let used = host.app.tokens.get(&made.record.key()).await.unwrap().unwrap().last_used_from.unwrap();
    assert_eq!(used.address, Some("203.0.113.7".parse().unwrap()));
}

#[tokio::test]
async fn a_use_over_a_connection_has_its_address() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("n", None).await;
    let address = host.serve().await;
    let url = format!("http://{address}{WHOAMI}");
    let client = reqwest::Client::builder().user_agent("tester/2").build().unwrap();
    assert_eq!(client.get(url).bearer_auth(text_of(&made)).send().await.unwrap().status().as_u16(), 200);
    let shown = ada.get(&path_of(&made, "")).await.is(200).json();
    assert_eq!(shown["last_used_from"], json!({"address": "127.0.0.1", "client": "tester/2"}));
}

/// The test uses the pages without their JavaScript.
#[tokio::test]
async fn agent_token_is_created_by_a_form_and_shown_in_the_tree() {
    let host = Host::start_configured(json!({"policy": {"human": {"never_expiring": true}, "max_depth": 2}})).await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    let uuid = laptop["uuid"].as_str().unwrap();
    let page = format!("/settings/tokens/{uuid}");
    let before = ada.get(&page).await.is(200);
    assert!(!before.body.contains("Issued tokens") && before.body.contains("id=\"agent\""));

    let form = ada.get(&format!("/settings/tokens?agent={uuid}")).await.is(200);
    assert!(form.body.contains("Issued by <b>Laptop</b>") && !form.body.contains("value=\"tokens:manage\""));
    let (csrf, id) = (form.field("csrf"), form.field("form"));
    let fields = format!("csrf={csrf}&form={id}&name=Review+agent&unit=hours&scope=notes%3Aread");
    // If the service refuses the form, the page shows the form again with the user's input.
    let wrong = ada.post_form(&format!("{page}/agent"), &format!("{fields}&amount=200")).await.is(400);
    assert!(wrong.body.contains("A token may live for at most 7 days."), "{}", wrong.body);
    assert!(wrong.body.contains("value=\"Review agent\"") && wrong.body.contains("value=\"notes:read\" checked"));
    let more = ada.post_form(&format!("{page}/agent"), &format!("{fields}&amount=1&scope=notes%3Awrite")).await.is(400);
    assert!(more.body.contains("A token cannot grant scopes that it does not have."));
    ada.post_form(&format!("{page}/agent"), &fields.replace(&csrf, "no")).await.is(422);
    ada.post_form(&format!("{page}/agent"), &format!("{}&amount=1", fields.replace(&csrf, "no"))).await.is(403);
    let shown = ada.post_form(&format!("{page}/agent"), &format!("{fields}&amount=1")).await.is(200);
    assert!(shown.body.contains("It ends with the token that issued it."));
    // If the same form is sent again, no second token is created.
    ada.post_form(&format!("{page}/agent"), &format!("{fields}&amount=1")).await.is(303);

    // The first token issues another agent token, and this agent token issues a third token.
    let agent = host.delegate(text_of(&laptop), &json!({"name": "Planner", "scopes": "tokens:manage"})).await.is(200);
    host.delegate(text_of(&agent.json()), &json!({"name": "<i>Worker", "scopes": ""})).await.is(200);
    let whole = ada.get(&page).await.is(200).body;
    let (_, tree) = whole.split_once("Issued tokens").unwrap();
    let (tree, _) = tree.split_once("</section>").unwrap();
    for name in ["Review agent", "Planner", "Worker"] {
        assert!(tree.contains(name), "{tree}");
    }
    assert!(!tree.contains("<i>"), "{tree}");
    assert_eq!((tree.matches("<ul").count(), tree.matches("<li").count()), (2, 3), "{tree}");
    // The history has the token that ada issued with the form. The token that “Laptop” issued by
    // itself is in a list of its own.
    let ([by_ada, first], [by_itself]) = (&items_in(&whole, "history")[..], &items_in(&whole, "own-issues")[..]) else {
        panic!("{whole}")
    };
    assert!(
        by_ada.starts_with("Issued “Review agent” (1") && by_ada.ends_with("…) under this token by you"),
        "{by_ada}"
    );
    assert!(by_itself.starts_with("Issued “Planner” (1") && by_itself.ends_with("…)"), "{by_itself}");
    assert_eq!(first, "Issued by you");
    assert!(whole.contains("<a href=\"#issued\">3 tokens</a>"), "{whole}");
    let (before, _) = tree.split_once(">Planner</a>").unwrap();
    let agents_page = before.rsplit_once("href=\"").unwrap().1.split('"').next().unwrap();
    let of_agent = ada.get(agents_page).await.is(200).body;
    let (_, issuer) = of_agent.split_once("<dd id=\"issuer\">").unwrap();
    let start: String = public_id(&laptop).chars().take(4).collect();
    assert!(issuer.starts_with(&format!("<a href=\"{page}\">“Laptop” ({start}…)</a>")), "{issuer}");
    assert!(issuer.contains("It ends with that token."), "{issuer}");
    let (_, created) = of_agent.split_once("<dd id=\"created\">").unwrap();
    assert!(text_of_html(created).starts_with(&format!("just now by the token “Laptop” ({start}…)")), "{created}");
    let said = format!("Issued by the token “Laptop” ({start}…). It ends with that token");
    assert_eq!(items_in(&of_agent, "history"), [said]);

    // If the issuer is disabled, the tokens that it issued are blocked. They would still end with
    // the issuer if it were revoked, so the dialog counts them.
    ada.post_to(&path_of(&laptop, "/disable"), "").await.is(200);
    let blocked = ada.get(&page).await.is(200).body;
    assert_eq!(blocked.matches(">Blocked</span>").count(), 3, "{blocked}");
    assert_eq!(blocked.matches("Issuer: “Laptop” does not work").count(), 2, "{blocked}");
    let dialog = ada.get(&format!("/settings/tokens?delete={uuid}")).await.is(200);
    assert!(dialog.body.contains("Revoke with everything it issued (3)"));
    ada.post_to(&path_of(&laptop, "/enable"), "").await.is(200);

    // A leak report about the issuer ends all three tokens together with the issuer. The list of
    // tokens says so.
    let dialog = ada.get(&format!("/settings/tokens?delete={uuid}")).await.is(200);
    assert!(dialog.body.contains("Revoke with everything it issued (3)"));
    let report = json!([{"token": text_of(&laptop), "type": "t", "url": "https://paste.example/1", "source": "s"}]);
    let request = Request::post("/api/v2/leaks").header("content-type", "application/json");
    host.send(request.body(Body::from(report.to_string())).unwrap()).await.is(202);
    let list = ada.get("/settings/tokens").await.is(200);
    assert!(list.body.contains("3 tokens that it had issued ended with it."), "{}", list.body);
    // An administrator sees the tree of a token that has ended, and the reason for which the tokens
    // in the tree ended.
    let key = public_id(&laptop);
    let of_admin = ada.get(&format!("/admin/tokens/1/{key}")).await.is(200);
    assert!(of_admin.body.contains("Issued tokens") && !of_admin.body.contains("id=\"agent\""));
    let history = items_in(&of_admin.body, "history");
    assert!(history.contains(&"2 tokens that it had issued ended with it".to_owned()), "{history:?}");
    let id = public_id(&agent.json()).to_owned();
    let of_agent = ada.get(&format!("/admin/tokens/1/{id}")).await.is(200);
    let reason = "<span class=\"reason small\">Ended with “Laptop”, which issued it</span>";
    assert!(of_agent.body.contains(reason), "{}", of_agent.body);
    let history = items_in(&of_agent.body, "history");
    assert!(history.contains(&"Revoked by a leak report: with the token that issued it".to_owned()), "{history:?}");
}

#[tokio::test]
async fn trail_keeps_what_people_did_beside_many_issued_tokens() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    ada.post_to(&path_of(&laptop, "/disable"), "").await.is(200);
    ada.post_to(&path_of(&laptop, "/enable"), "").await.is(200);
    // A token that ada issues with her session counts as one of her operations.
    let named = |name: &str| json!({"name": name, "scopes": "", "expires": {"measure": "seconds", "value": 1}});
    ada.post_to(&path_of(&laptop, "/delegate"), &named("by ada").to_string()).await.is(200);
    for _ in 0..101 {
        host.delegate(text_of(&laptop), &named("by the token")).await.is(200);
        host.clock.advance(Duration::from_secs(1));
    }
    host.app.audit.written().await;
    let page = ada.get(&format!("/settings/tokens/{}", laptop["uuid"].as_str().unwrap())).await.is(200).body;
    let history = items_in(&page, "history");
    for words in ["Issued by you", "Disabled by you", "Enabled by you", "Issued “by ada”"] {
        assert!(history.iter().any(|line| line.starts_with(words)), "not in the history any more: {words}");
    }
    assert_eq!(history.len(), 4, "{history:?}");
    assert_eq!(items_in(&page, "own-issues").len(), 100);
    // The entries of tokens that another token issued are limited in the database too.
    let kept = "SELECT count(*) FROM token_events WHERE event = 'issued_token'";
    let (kept,): (i64,) = query(kept).fetch_one(&host.app.db).await.unwrap();
    assert_eq!(kept, 101);
}

/// A token issues 10,000 tokens, more than the queue of unwritten entries can hold. The entry of a
/// person's revocation must not be lost. Nothing is written before the last event, because the test
/// has one thread and does not pause.
#[tokio::test]
async fn issued_tokens_that_wait_to_be_written_push_out_nothing_that_people_do() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    host.app.audit.written().await;
    let project = ProjectId::new(&laptop["project_id"].to_string()).unwrap();
    let key = TokenKey { project, id: TokenId::new(public_id(&laptop)).unwrap() };
    let (ada_herself, token) = (Actor::new("1").unwrap(), Actor::new("token demo_pat_1").unwrap());
    let issuer = Some(Issuer { id: key.id, bound: true });
    for _ in 0..10_000 {
        host.app.audit.record(&Event::Issued { key, issuer, actor: &token });
    }
    let reason = RevocationReason::KeyCompromise;
    host.app.audit.record(&Event::Revoked { key, actor: &ada_herself, reason });
    host.app.audit.written().await;
    let (revoked,): (i64,) =
        query("SELECT count(*) FROM token_events WHERE event = 'revoked'").fetch_one(&host.app.db).await.unwrap();
    assert_eq!((revoked, host.app.audit.dropped()), (1, 20_000 - 1024));
}

#[tokio::test]
async fn trail_of_an_agent_that_ended_with_its_issuer_outlasts_a_later_revocation_of_all() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    let agent = host.delegate(text_of(&laptop), &json!({"name": "n", "scopes": ""})).await.is(200).json();
    let page = format!("/admin/tokens/{}/{}", agent["project_id"], public_id(&agent));
    ada.delete(&path_of(&laptop, "")).await.is(204);
    host.clock.advance(Duration::from_secs(3600));
    assert_eq!(host.app.tokens.revoke_orphans().await.unwrap(), 1);
    host.app.audit.written().await;
    let words = "with the token that issued it";
    assert!(ada.get(&page).await.is(200).body.contains(words));
    // A day later, the owner revokes all of her other tokens.
    host.clock.advance(Duration::from_secs(24 * 3600));
    let other = ada.post(json!({"name": "other", "scopes": "tokens:manage"})).await.is(200).json();
    let others = host.delegate(text_of(&other), &json!({"name": "n", "scopes": ""})).await.is(200).json();
    ada.post_to(REVOKE_ALL, "").await.is(200);
    host.app.audit.written().await;
    assert!(ada.get(&page).await.is(200).body.contains(words));
    // The agent token of the other token ended with all tokens of the owner. The trail names this
    // reason, and not the end of the issuer.
    let page = format!("/admin/tokens/{}/{}", others["project_id"], public_id(&others));
    assert!(ada.get(&page).await.is(200).body.contains("with all tokens of its owner"));
}

#[tokio::test]
async fn rotation_dialog_says_how_many_agent_tokens_end_with_the_old_token() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    let path = format!("/settings/tokens?rotate={}", laptop["uuid"].as_str().unwrap());
    assert!(!ada.get(&path).await.is(200).body.contains("id=\"ends-too\""));
    let agent = host.delegate(text_of(&laptop), &json!({"name": "n", "scopes": ""})).await.is(200).json();
    assert!(ada.get(&path).await.is(200).body.contains("Its 1 agent token ends with the old token."));
    for _ in 0..2 {
        host.delegate(text_of(&laptop), &json!({"name": "n", "scopes": ""})).await.is(200);
    }
    let dialog = ada.get(&path).await.is(200);
    assert!(dialog.body.contains("Its 3 agent tokens end with the old token."));
    // The dialog also shows this number if it is shown again because of invalid input.
    let form = format!("csrf={}&form={}&grace=x", dialog.field("csrf"), dialog.field("form"));
    let fault = ada.post_form(&path_of(&laptop, "/rotate").replace(TOKENS, "/settings/tokens/"), &form).await.is(400);
    assert!(fault.body.contains("Its 3 agent tokens end with the old token."));

    ada.post_to(&path_of(&laptop, "/rotate"), r#"{"grace": null}"#).await.is(200);
    host.with_token(WHOAMI, text_of(&agent)).await.is_problem(401, "issuer_ended");
}

#[tokio::test]
async fn notices_name_tokens_of_people_before_those_of_agents() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let laptop = manager(&ada).await;
    for _ in 0..6 {
        let body = json!({"name": "harmless", "scopes": "", "expires": {"measure": "hours", "value": 30}});
        host.delegate(text_of(&laptop), &body).await.is(200);
    }
    ada.post(json!({"name": "Nightly backup", "expires": {"measure": "hours", "value": 31}})).await.is(200);
    host.clock.advance(Duration::from_secs(8 * 3600));
    personal_tokens::tokens::notices::gather(&host.app).await.unwrap();
    let shown = async || {
        let page = ada.get("/settings/tokens").await.is(200).body;
        let (_, notices) = page.split_once("id=\"ending\"").unwrap();
        notices.split_once("</div>").unwrap().0.to_owned()
    };
    let notices = shown().await;
    assert!(notices.find("Nightly backup").unwrap() < notices.find("harmless").unwrap(), "{notices}");
    assert_eq!((notices.matches("<li>").count(), notices.contains("and 2 more")), (5, true), "{notices}");
    // The notice does not count tokens that have ended.
    ada.post_to(REVOKE_ALL, "").await.is(200);
    assert!(!ada.get("/settings/tokens").await.is(200).body.contains("id=\"ending\""));
}
