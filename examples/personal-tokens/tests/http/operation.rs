//! Tests the administrator's pages of keys and of the health of the service.

use std::time::Duration;

use personal_tokens::db::query;
use personal_tokens::housekeeping::{self, Job};
use personal_tokens::setup::Settings;

use crate::support::{Host, TOKENS};

fn cell<'p>(row: &'p str, label: &str) -> &'p str {
    row.split(&format!("data-label=\"{label}\">")).nth(1).unwrap().split("</td>").next().unwrap()
}

#[tokio::test]
async fn keys_with_the_tokens_that_use_them() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("a", None).await;
    ada.make("b", None).await;
    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    let page = ada.get("/admin/keys").await.is(200).body;
    let row = page.split("<tr id=\"key-1\">").nth(1).unwrap();
    assert!(cell(row, "Live tokens").contains(">1<") && cell(row, "Ended tokens").contains('1'), "{row}");
    assert!(cell(row, "Role").contains("Primary") && cell(row, "Check value").starts_with("Stored"));
    assert!(cell(row, "Retirement").starts_with("New tokens use this key."));
    assert!(!page.contains("key-2"));
    // The counts are kept for a minute.
    ada.make("c", None).await;
    let count = async || {
        let page = ada.get("/admin/keys").await.is(200).body;
        cell(page.split("<tr id=\"key-1\">").nth(1).unwrap(), "Live tokens").to_owned()
    };
    host.clock.advance(Duration::from_millis(59_999));
    assert!(count().await.contains(">1<"));
    host.clock.advance(Duration::from_millis(1));
    assert!(count().await.contains(">2<"));
}

#[tokio::test]
async fn health_in_words_with_the_metrics() {
    let host = Host::start_with(Settings { cache: Duration::from_secs(30), ..Settings::default() }).await;
    if !host.is_on_sqlite() {
        return;
    }
    let ada = host.ada().await;
    ada.make("a", None).await;
    let fact = async |part: &str| {
        let page = ada.get("/admin/health").await.is(200).body;
        let row = page.split("<tr>").find(|row| row.contains(&format!("class=\"name\">{part}<")));
        row.unwrap_or_else(|| panic!("no {part}: {page}")).to_owned()
    };
    for (part, state, words, metric) in [
        ("Token store", "good\">Good", "It answers.", "keyfob_verifications_total"),
        ("Cache", "good\">Good", "at most 30 seconds old", "keyfob_cache_hits_total"),
        ("Feed of changes", "over\">Not used", "works within 30 seconds", "keyfob_cache_feed_age_seconds"),
        ("Audit trail", "good\">Good", "No entry was lost", "personal_tokens_audit_entries_dropped_total"),
        ("Notices of expiry", "warn\">Attention", "No process has done it yet. It is due every 1 minute.", "None"),
        ("Deletion of old data", "warn\">Attention", "It is due every 1 day.", "None"),
        ("Keys", "good\">Good", "1 live token on key 1.", "None"),
    ] {
        let row = fact(part).await;
        assert!(row.contains(state) && row.contains(words) && row.contains(metric), "{part}: {row}");
    }
    // The names of the metrics are those that the service serves.
    let metrics = personal_tokens::metrics::page(&host.app);
    for name in ["keyfob_verifications_total", "keyfob_cache_hits_total", "personal_tokens_audit_entries_dropped_total"]
    {
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name}");
    }
    housekeeping::run(&host.app, Job::Notices).await.unwrap();
    host.clock.advance(Duration::from_secs(20));
    let row = fact("Notices of expiry").await;
    assert!(row.contains("good\">Good") && row.contains("Last done just now"), "{row}");
    query("DROP TABLE keyfob_tokens").execute(&host.app.db).await.unwrap();
    housekeeping::run(&host.app, Job::Notices).await.unwrap_err();
    host.clock.advance(Duration::from_secs(60));
    let row = fact("Notices of expiry").await;
    assert!(row.contains("bad\">Bad") && row.contains("It failed 1 minute ago: "), "{row}");
    assert!(fact("Keys").await.contains("cannot be counted"));
}
