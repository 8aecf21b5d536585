//! Tests the list of a project's models: its contents, and the callers that get it, by a token or
//! by a session.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::upstream::Upstream;
use crate::support::{Answer, Host, Person, TOKENS};
use personal_tokens::db::query;

fn path_of(project: i64, query: &str) -> String {
    format!("/api/v2/configurations/models/{project}{query}")
}

fn names(answer: &Answer) -> Vec<(i64, String)> {
    let answer = answer.json();
    let items = answer["items"].as_array().unwrap();
    assert_eq!(answer["total"], items.len());
    let name = |item: &Value| (item["project_id"].as_i64().unwrap(), item["name"].as_str().unwrap().to_owned());
    items.iter().map(name).collect()
}

async fn add_model(host: &Host, project: i64, name: &str) {
    query("INSERT INTO models (project_id, name, upstream, is_default) VALUES (?, ?, 'main', 0)")
        .bind(project)
        .bind(name)
        .execute(&host.app.db)
        .await
        .unwrap();
}

#[tokio::test]
async fn list_has_the_projects_own_models_and_on_request_the_shared_ones() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(4, "public"), (2, "own"), (3, "other"), (4, "own")])).await;
    // A model that is also in the database is listed once.
    add_model(&host, 2, "own").await;
    add_model(&host, 2, "added").await;
    let ada = host.ada().await;
    let own = [(2, "own".to_owned()), (2, "added".to_owned())];
    let all = [&own[..], &[(4, "public".into()), (4, "own".into())]].concat();
    for query in ["", "?include_shared=false", "?section=llm", "?offset=0&limit=1"] {
        assert_eq!(names(&ada.get(&path_of(2, query)).await.is(200)), own, "{query}");
    }
    for query in ["?include_shared=true", "?include_shared=true&section=llm", "?section=llm&include_shared=true&a=b"] {
        assert_eq!(names(&ada.get(&path_of(2, query)).await.is(200)), all, "{query}");
    }
    for query in ["?section=embedding", "?include_shared=true&section=", "?section=LLM"] {
        assert_eq!(ada.get(&path_of(2, query)).await.is(200).json(), json!({"total": 0, "items": []}), "{query}");
    }
    for query in ["?include_shared=yes", "?include_shared=", "?include_shared=true&include_shared=true"] {
        ada.get(&path_of(2, query)).await.is_problem(400, "invalid");
    }
    assert_eq!(
        ada.get(&path_of(4, "")).await.is(200).json()["items"][0],
        json!({"name": "public", "project_id": 4, "default": false, "integration_uid": "4_public", "shared": false})
    );
    assert_eq!(names(&ada.get(&path_of(1, "")).await.is(200)), []);
    assert_eq!(names(&ada.get(&path_of(4, "?include_shared=true")).await.is(200)).len(), 2);
}

#[tokio::test]
async fn members_list_models_with_their_session() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let hers = host.app.projects.personal(2).await.unwrap().unwrap().id;
    for (person, project) in [(&ada, 1), (&ada, 2), (&ada, 4), (&eve, hers), (&eve, 4)] {
        let shared = person.get(&path_of(project, "?include_shared=true")).await.is(200);
        assert_eq!(names(&shared), [(4, "echo".into())]);
    }
    // The response is the same for a project of others and for one that does not exist.
    for project in [1, 2, 3, 999] {
        let error = eve.get(&path_of(project, "")).await.is(403).json();
        assert_eq!(
            error["error"],
            json!({"message": "you don't have access to this project", "type": "permission_error", "code": "project_forbidden"})
        );
    }
    for none in ["A", "-1", "0", "+1", "01", "%ff", "%00", "1%2f2", "99999999999999999999"] {
        ada.get(&format!("/api/v2/configurations/models/{none}")).await.is_problem(404, "not_found");
    }
    ada.get("/api/v2/configurations/models/").await.is_problem(404, "not_found");
    ada.post_to(&path_of(1, ""), "").await.is_problem(405, "method_not_allowed");

    host.app.projects.leave(2, 1).await.unwrap();
    ada.get(&path_of(2, "")).await.is(403);
    host.suspend_ada().await;
    assert_eq!(ada.get(&path_of(1, "")).await.is(401).json(), json!({"error": "sign in first"}));
    let ended = Person { host: &host, cookie: "session=AAAA".into() };
    assert_eq!(ended.get(&path_of(1, "")).await.is(401).json(), json!({"error": "sign in first"}));
    host.with_headers(&path_of(1, ""), &[]).await.is_problem(401, "missing_token");
    host.with_headers(&path_of(1, ""), &[("cookie", "other=1")]).await.is_problem(401, "missing_token");
}

/// A token in the request decides alone. If it is refused, the session in the same request does not
/// help. A header with another text is no token, so the session decides.
#[tokio::test]
async fn bad_token_is_not_passed_on_to_the_cookie() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("n", Some(2)).await;
    let token = made["token"].as_str().unwrap();
    let send = async |project: i64, name: &str, value: &str| {
        let request = ada.request("GET", &path_of(project, "")).header(name, value);
        host.send(request.body(Body::empty()).unwrap()).await
    };
    let bearer = format!("Bearer {token}");
    send(2, "authorization", &bearer).await.is(200);
    send(2, "x-api-key", token).await.is(200);
    // The session alone may list the models of project 1.
    ada.get(&path_of(1, "")).await.is(200);
    send(1, "authorization", &bearer).await.is_problem(403, "wrong_project");
    let mistyped = &token[..token.len() - 1];
    send(2, "authorization", &format!("Bearer {mistyped}")).await.is_problem(401, "invalid_token");
    send(2, "x-api-key", mistyped).await.is_problem(401, "invalid_token");
    for (name, value) in [("authorization", "Bearer rubbish"), ("authorization", "Digest x"), ("x-api-key", "")] {
        send(2, name, value).await.is(200);
    }
    let without = ada.post(json!({"name": "n", "project_id": 2, "scopes": ""})).await.is(200).json();
    let without = format!("Bearer {}", without["token"].as_str().unwrap());
    send(2, "authorization", &without).await.is_problem(403, "insufficient_scope");
    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    send(2, "authorization", &bearer).await.is_problem(401, "revoked");
    // The routes that name no project in their address require a token.
    ada.get("/llm/v1/models").await.is_problem(401, "missing_token");
    let question = Request::post("/llm/v1/chat/completions").header("cookie", &ada.cookie);
    host.send(question.header("sec-fetch-site", "same-origin").body("{}".into()).unwrap())
        .await
        .is_problem(401, "missing_token");
}
