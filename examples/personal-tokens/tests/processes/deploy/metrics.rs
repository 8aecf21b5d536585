//! Checks the alert rules and the dashboard: they name metrics that the service has, promtool
//! accepts them, and each alert fires.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{folder, metrics_of, passes, pepper, text, unit, yaml};
use crate::postgres;
use crate::support::process::{Process, client};
use crate::support::{tempdir, until};

/// Returns the rules of the alerts.
fn rules() -> Option<Vec<Value>> {
    let file = yaml("prometheus-alerts.yaml")?;
    Some(
        file["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect(),
    )
}

/// Returns the expressions of the dashboard.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// Returns a text without its parts between these characters.
fn without(text: &str, open: char, close: char) -> String {
    let mut parts = text.split(open);
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.split_once(close).unwrap().1)
}

/// Returns the names of the metrics in an expression. These are the words that are no functions, no
/// operators and no labels.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let text = without(&without(expression, '{', '}'), '[', ']');
    let (mut rest, mut names) = (text.as_str(), BTreeSet::new());
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    while let Some(at) = rest.find(|letter: char| is_part(letter) && !letter.is_ascii_digit()) {
        let (word, after) = rest[at..].split_at(rest[at..].find(|letter| !is_part(letter)).unwrap_or(rest.len() - at));
        rest = after.trim_start();
        if ["by", "on", "without", "ignoring"].contains(&word) {
            rest = rest.split_once(')').unwrap().1;
        } else if !rest.starts_with(['(']) && !rest.starts_with("by (") && !["and", "or", "unless"].contains(&word) {
            names.insert(word.to_owned());
        }
    }
    names
}

#[test]
fn metrics_in_an_expression_are_found() {
    let found = |expression: &str| metrics_in(expression).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(found(r#"60 * sum by (act) (rate(a_total{job="$job"}[5m])) > 0"#), "a_total");
    assert_eq!(found("a unless on (instance) b"), "a b");
    assert_eq!(found(r#"sum(rate(a{x!~"b|c"}[5m])) / max(d) > 0.5 and up == 0"#), "a d up");
}

#[tokio::test]
async fn alerts_and_dashboard_name_metrics_of_the_service() {
    let (Some(rules), Some(server)) = (rules(), postgres::shared()) else { return };
    let (dir, database) = (tempdir(), server.database());
    pepper(dir.path(), 0o400);
    let process = Process::start(&mut unit::command(dir.path(), "127.0.0.1:0", &database), 3);
    assert_eq!(client().get(format!("{}/sign-in", process.address())).send().await.unwrap().status(), 200);
    until("the feed is connected", async || metrics_of(&process).await.contains("keyfob_cache_feed_age_seconds")).await;
    let page = metrics_of(&process).await;
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let mut names: BTreeSet<_> = lines.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect();
    // Prometheus itself writes this metric for each process that it reads.
    names.insert("up".to_owned());

    let alerts = rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned());
    let expressions: Vec<String> = alerts.chain(queries()).collect();
    assert!(expressions.len() > 25, "{}", expressions.len());
    let mut used = BTreeSet::new();
    for expression in &expressions {
        let metrics = metrics_in(expression);
        assert!(!metrics.is_empty() && metrics.is_subset(&names), "{expression}: {metrics:?} of {names:?}");
        used.extend(metrics);
        // The values of these labels are a fixed list, so the page has them from the start.
        for matched in
            expression.split(['{', ',', '}']).filter(|part| part.starts_with("outcome") || part.starts_with("act"))
        {
            let (label, values) = matched.split_once(['=', '!']).unwrap();
            for value in values.trim_matches(['=', '~', '"']).split('|') {
                assert!(page.contains(&format!("{{{label}=\"{value}\"}}")), "{expression}: {label} {value}");
            }
        }
    }
    // The dashboard or an alert shows each counter of the service.
    let unused: Vec<_> = names.difference(&used).filter(|name| name.ends_with("_total")).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn each_alert_says_what_happened_and_why_it_matters_and_what_to_do() {
    let Some(rules) = rules() else { return };
    for rule in rules {
        let words = rule["annotations"].as_object().unwrap();
        let keys: BTreeSet<_> = words.keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(["summary", "reason", "action"]), "{rule}");
        assert!(words.values().all(|word| word.as_str().unwrap().ends_with('.')), "{rule}");
        assert!(["info", "warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
    }
}

/// Returns the series of an hour. The number says how much a counter grows in a minute. It is the
/// value of a gauge.
fn hour(series: &[(&str, u32)]) -> Value {
    let of = |(name, number): &(&str, u32)| {
        let is_counter = name.contains("_total") || name.contains("_count");
        let values = if is_counter { format!("0+{number}x60") } else { format!("{number}x60") };
        let labels = r#"job="personal-tokens",instance="host-1:9088""#;
        let name = match name.split_once('{') {
            Some((name, label)) => format!("{name}{{{labels},{label}"),
            None => format!("{name}{{{labels}}}"),
        };
        json!({"series": name, "values": values})
    };
    series.iter().map(of).collect()
}

#[test]
fn each_alert_fires_for_its_reason_and_none_on_a_calm_day() {
    let Some(rules) = rules() else { return };
    let dir = tempdir();
    for name in ["prometheus-alerts.yaml", "prometheus.yaml"] {
        fs::copy(folder().join(name), dir.path().join(name)).unwrap();
    }
    let promtool = || {
        let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/ci-tools/bin/promtool");
        let mut command = Command::new(if fs::exists(tools).unwrap() { tools } else { "promtool" });
        command.current_dir(dir.path());
        command
    };
    passes(promtool().args(["check", "config", "prometheus.yaml"]));
    // promtool does not know the variables of Grafana.
    let query = |(number, query): (usize, &String)| json!({"record": format!("query:{number}"), "expr": query.replace("$__rate_interval", "5m")});
    let queries: Vec<Value> = queries().iter().enumerate().map(query).collect();
    fs::write(dir.path().join("queries.yaml"), json!({"groups": [{"name": "queries", "rules": queries}]}).to_string())
        .unwrap();
    passes(promtool().args(["check", "rules", "queries.yaml"]));

    let calm = hour(&[
        ("up", 1),
        ("keyfob_verifications_total{outcome=\"verified\"}", 600),
        ("keyfob_verifications_total{outcome=\"expired\"}", 200),
        ("keyfob_verifications_total{outcome=\"unavailable\"}", 0),
        ("keyfob_acts_total{act=\"issued\"}", 5),
        ("keyfob_acts_total{act=\"leaked\"}", 0),
        ("keyfob_event_sink_panics_total", 0),
        ("keyfob_cache_max_staleness_seconds", 30),
        ("keyfob_cache_feed_age_seconds", 1),
        ("personal_tokens_request_seconds_count{class=\"2xx\"}", 600),
        ("personal_tokens_request_seconds_count{class=\"5xx\"}", 6),
        ("personal_tokens_work_failures_total{work=\"expiries\"}", 0),
        ("personal_tokens_passwords_slowed_total", 1),
        ("personal_tokens_audit_entries_dropped_total", 0),
        ("personal_tokens_uses_dropped_total", 0),
    ]);
    let bad = hour(&[
        ("up", 0),
        ("keyfob_verifications_total{outcome=\"verified\"}", 600),
        ("keyfob_verifications_total{outcome=\"expired\"}", 700),
        ("keyfob_verifications_total{outcome=\"unavailable\"}", 1),
        ("keyfob_acts_total{act=\"leaked\"}", 1),
        ("keyfob_event_sink_panics_total", 0),
        ("keyfob_cache_max_staleness_seconds", 30),
        ("personal_tokens_request_seconds_count{class=\"2xx\"}", 600),
        ("personal_tokens_request_seconds_count{class=\"5xx\"}", 60),
        ("personal_tokens_work_failures_total{work=\"expiries\"}", 1),
        ("personal_tokens_passwords_slowed_total", 4),
        ("personal_tokens_audit_entries_dropped_total", 1),
        ("personal_tokens_uses_dropped_total", 1),
    ]);
    let expected = |series: Value, samples: Value| {
        let test = json!({"expr": r#"group by (alertname) (ALERTS{alertstate="firing"})"#, "eval_time": "1h", "exp_samples": samples});
        json!({"interval": "1m", "input_series": series, "promql_expr_test": [test]})
    };
    let fires = |rule: &Value| json!({"labels": format!("{{alertname={}}}", rule["alert"]), "value": 1});
    let tests = json!({
        "rule_files": ["prometheus-alerts.yaml"],
        "evaluation_interval": "1m",
        "tests": [expected(calm, json!([])), expected(bad, rules.iter().map(fires).collect())],
    });
    fs::write(dir.path().join("tests.yaml"), tests.to_string()).unwrap();
    passes(promtool().args(["test", "rules", "tests.yaml"]));
}
