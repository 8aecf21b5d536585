//! Tests that a form which creates a token creates one token, even if it is sent many times at the
//! same time. The requests arrive over real connections, at two processes that share a data
//! directory.

use personal_tokens::db::query;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use futures_util::future::join_all;
use personal_tokens::serve::{Limits, serve};
use personal_tokens::setup::Settings;
use tokio::net::TcpListener;

use crate::support::process::client;
use crate::support::{Host, Person, TOKENS};

const PAGE: &str = "/settings/tokens";
/// The number of times that each form is sent to each of the two processes.
const TIMES: usize = 12;

async fn served(router: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router, Limits::default(), std::future::pending()));
    address
}

/// Sends the same form [`TIMES`] times to each address at the same time. Each request has its own
/// connection. Returns the statuses and the redirections.
async fn send_to_all(addresses: &[SocketAddr], ada: &Person<'_>, path: &str, form: &str) -> Vec<(u16, String)> {
    let send = async |address: SocketAddr| {
        let request = client().post(format!("http://{address}{path}")).header("cookie", &ada.cookie);
        let request = request.header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form.to_owned()).send().await.unwrap();
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location.unwrap_or_default())
    };
    let sent = addresses.iter().flat_map(|address| [*address; TIMES]).map(send);
    join_all(sent).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_form_that_is_sent_many_times_to_two_processes_has_its_effect_once() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let addresses = [host.serve().await, served(host.another(Settings::default()).await).await];
    let csrf = ada.get(PAGE).await.field("csrf");
    let live = async || ada.get(TOKENS).await.is(200).json().as_array().unwrap().len();

    let uuid = ada.make("issuer", None).await["uuid"].as_str().unwrap().to_owned();
    let mut expected = 1;
    for (dialog, path, fields) in [
        ("new=1".into(), PAGE.into(), "project=1&name=new&amount=30&unit=days&scope=models:use"),
        (format!("agent={uuid}"), format!("{PAGE}/{uuid}/agent"), "name=agent&amount=10&unit=minutes"),
        (format!("rotate={uuid}"), format!("{PAGE}/{uuid}/rotate"), "grace=1"),
    ] {
        let form = ada.get(&format!("{PAGE}?{dialog}")).await.is(200).field("form");
        let answers = send_to_all(&addresses, &ada, &path, &format!("csrf={csrf}&form={form}&{fields}")).await;
        let created = answers.iter().filter(|(status, _)| *status == 200).count();
        let others: Vec<_> = answers.iter().filter(|(status, _)| *status != 200).collect();
        assert_eq!(created, 1, "{dialog}: {answers:?}");
        assert!(others.iter().all(|(status, to)| *status == 303 && to.starts_with(PAGE)), "{dialog}: {answers:?}");
        expected += 1;
        assert_eq!(live().await, expected, "{dialog}");
    }
}

/// The database fails after the token is stored and before the response is made. If the form could
/// be sent again, it would create a second token, because the service does not know about the
/// first.
#[tokio::test]
async fn form_whose_request_failed_halfway_creates_no_second_token() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    let ada = host.ada().await;
    let uuid = ada.make("issuer", None).await["uuid"].as_str().unwrap().to_owned();
    let csrf = ada.get(PAGE).await.field("csrf");
    let sql = async |sql: &'static str| query(sql).execute(&host.app.db).await.unwrap();
    let mut expected = 1;
    for (dialog, path, fields) in [
        ("new=1".into(), PAGE.into(), "project=1&name=new&amount=30&unit=days"),
        (format!("agent={uuid}"), format!("{PAGE}/{uuid}/agent"), "name=agent&amount=10&unit=minutes"),
        (format!("rotate={uuid}"), format!("{PAGE}/{uuid}/rotate"), "grace=1"),
    ] {
        let form = ada.get(&format!("{PAGE}?{dialog}")).await.is(200).field("form");
        let form = format!("csrf={csrf}&form={form}&{fields}");
        sql("CREATE TRIGGER failing BEFORE INSERT ON token_names BEGIN SELECT RAISE(ABORT, 'no'); END").await;
        ada.post_form(&path, &form).await.is(503);
        sql("DROP TRIGGER failing").await;
        assert!(ada.post_form(&path, &form).await.is(303).header("location").starts_with(PAGE), "{dialog}");
        expected += 1;
        assert_eq!(ada.get(TOKENS).await.is(200).json().as_array().unwrap().len(), expected, "{dialog}");
    }
    // A form that was refused before anything was stored can be corrected and sent again.
    let form = ada.get(&format!("{PAGE}?new=1")).await.is(200).field("form");
    for (name, status) in [("", 400), ("corrected", 200), ("corrected", 303)] {
        let form = format!("csrf={csrf}&form={form}&project=1&name={name}&amount=30&unit=days");
        ada.post_form(PAGE, &form).await.is(status);
    }
}

/// If a form could not be marked as used, it is not marked, and the person can send it again.
#[tokio::test]
async fn form_that_could_not_be_marked_as_used_stays_usable() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    let ada = host.ada().await;
    let csrf = ada.get(PAGE).await.field("csrf");
    let sql = async |sql: &'static str| query(sql).execute(&host.app.db).await.unwrap();
    // The person has sent the maximum number of forms, so the next one drops the oldest.
    sql("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 128) \
         INSERT INTO spent_forms (user_id, form) SELECT 1, printf('%032x', n) FROM n")
    .await;
    let form = ada.get(&format!("{PAGE}?new=1")).await.is(200).field("form");
    let form = format!("csrf={csrf}&form={form}&project=1&name=new&amount=30&unit=days");
    sql("CREATE TRIGGER failing BEFORE DELETE ON spent_forms BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    ada.post_form(PAGE, &form).await.is(503);
    sql("DROP TRIGGER failing").await;
    ada.post_form(PAGE, &form).await.is(200);
}
