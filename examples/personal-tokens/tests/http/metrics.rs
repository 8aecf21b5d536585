//! Tests the page of metrics that Prometheus reads: its lines have the right format, and its
//! counters count the right events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use keyfob::Rejection;
use personal_tokens::health::Phase;
use personal_tokens::metrics;
use personal_tokens::setup::Settings;
use serde_json::json;
use tower::ServiceExt;

use crate::support::{Host, REVOKE_ALL, WHOAMI};

/// Reads the page of metrics, and returns the value of each series. A key is the series' name with
/// its label, as on the page.
async fn read(host: &Host) -> BTreeMap<String, f64> {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = metrics::router(host.app.clone()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let page = answer.into_body().collect().await.unwrap().to_bytes();
    parse(std::str::from_utf8(&page).unwrap())
}

/// Returns the value of each series on the page. Checks that the page conforms to Prometheus' [text
/// format] and to its rules for names.
///
/// [text format]: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
fn parse(page: &str) -> BTreeMap<String, f64> {
    assert!(page.ends_with('\n'));
    let (mut series, mut helped, mut typed) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    // This is the name of the metric to which the current line belongs. The lines of a metric are
    // together, and its help and its type come first.
    let mut current = String::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !text.is_empty() && !text.contains('\\'), "{line}");
            assert!(helped.insert(name.to_owned()), "twice: {line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(typed.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            current = name.into();
        } else {
            let (what, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = what.split_once('{').unwrap_or((what, ""));
            assert!(is_name(name), "{line}");
            let parts = ["_bucket", "_sum", "_count"].map(|part| format!("{current}{part}"));
            assert!(name == current || parts.iter().any(|part| part == name), "{line}");
            if what.contains('{') {
                for label in labels.strip_suffix('}').unwrap().split(',') {
                    let (label, value) = label.strip_suffix('"').unwrap().split_once("=\"").unwrap();
                    // The value of a label is one of a few fixed words. It never contains a part of
                    // a token, an owner or a project.
                    match label {
                        "le" => assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{line}"),
                        "class" => assert!(["1xx", "2xx", "3xx", "4xx", "5xx"].contains(&value), "{line}"),
                        "outcome" | "act" | "work" => {
                            assert!(value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
                        }
                        _ => panic!("{line}"),
                    }
                }
            }
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(series.insert(what.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    assert_eq!(helped, typed.into_keys().collect());
    series
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[tokio::test]
async fn numbers_follow_what_they_count() {
    // The staleness bound is so long that the cache still holds the entry of the token at the
    // token's second use, even on a busy machine.
    let host = Host::start_with(Settings { cache: Duration::from_secs(3600), ..Settings::default() }).await;
    if !host.is_on_sqlite() {
        return;
    }
    let ada = host.ada().await;
    let before = read(&host).await;
    for rejection in Rejection::ALL {
        assert!(before.contains_key(&format!("keyfob_verifications_total{{outcome=\"{rejection}\"}}")));
    }
    assert_eq!(before["keyfob_cache_max_staleness_seconds"], 3600.0);
    // A store on SQLite has no feed of invalidations.
    assert!(!before.contains_key("keyfob_cache_feed_age_seconds"));

    let token = ada.make("n", None).await["token"].as_str().unwrap().to_owned();
    let other = ada.make("other", None).await["uuid"].as_str().unwrap().to_owned();
    host.with_token(WHOAMI, &token).await.is(200);
    host.with_token(WHOAMI, &token).await.is(200);
    host.with_token(WHOAMI, "no token").await;
    ada.post_to(&format!("/api/v2/auth/token/{other}/rotate"), "").await.is(200);
    let revoked = ada.post_to(REVOKE_ALL, "").await.is(200).json();
    assert_eq!(revoked, json!({"revoked": 3}));
    host.with_token(WHOAMI, &token).await.is_problem(401, "revoked");

    let after = read(&host).await;
    let moved = |series: &str| after[series] - before[series];
    assert_eq!(moved("keyfob_verifications_total{outcome=\"verified\"}"), 2.0);
    assert_eq!(moved("keyfob_verifications_total{outcome=\"revoked\"}"), 1.0);
    assert_eq!(moved("keyfob_acts_total{act=\"issued\"}"), 2.0);
    assert_eq!(moved("keyfob_acts_total{act=\"rotated\"}"), 1.0);
    assert_eq!(moved("keyfob_acts_total{act=\"group_revoked\"}"), 1.0);
    assert_eq!(moved("keyfob_group_revoked_tokens_total"), 3.0);
    // The cache serves at least the second use of the token.
    assert!(moved("keyfob_cache_hits_total") >= 1.0);
    assert!(moved("keyfob_cache_misses_total") >= 2.0);
    assert!(after["keyfob_cache_entries"] >= 1.0);
    assert!(moved("personal_tokens_request_seconds_count{class=\"4xx\"}") >= 1.0);
    assert!(moved("personal_tokens_request_seconds_count{class=\"2xx\"}") >= 6.0);
    assert_eq!(after["personal_tokens_work_runs_total{work=\"purge\"}"], 0.0);
    for (series, value) in &before {
        assert!(!series.contains("_total") || after[series] >= *value, "{series} went back");
    }
}

#[tokio::test]
async fn without_a_cache_there_are_no_cache_metrics() {
    let host = Host::start().await;
    assert!(read(&host).await.keys().all(|series| !series.contains("cache")));
}

#[tokio::test]
async fn metrics_are_not_served_at_the_address_of_the_service() {
    let host = Host::start().await;
    host.with_headers("/metrics", &[]).await.is(404);
    host.with_headers("/health/live", &[]).await.is(200);
    host.with_headers("/health/ready", &[]).await.is(200);
    host.app.health.enter(Phase::Draining);
    host.with_headers("/health/live", &[]).await.is(200);
    let answer = host.with_headers("/health/ready", &[]).await.is(503);
    assert_eq!(answer.json(), json!({"status": "stopping"}));
}
