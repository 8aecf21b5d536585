//! Tests how long the service keeps its data: each row of the table in the README of the host.

use std::time::Duration;

use keyfob::{ProjectId, TokenId, TokenKey};
use personal_tokens::db::query;
use personal_tokens::housekeeping::{self, Job};
use personal_tokens::tokens::{gone, purge};
use serde_json::json;

use crate::support::{Host, TOKENS};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MS: Duration = Duration::from_millis(1);

fn key_of(token: &str) -> TokenKey {
    let mut parts = token.rsplit('_').skip(1);
    let (id, project) = (parts.next().unwrap(), parts.next().unwrap());
    TokenKey { project: ProjectId::new(project).unwrap(), id: TokenId::new(id).unwrap() }
}

async fn count(host: &Host, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    query(sql).value(&host.app.db).await.unwrap()
}

async fn run(host: &Host, sql: &'static str) {
    host.run(sql).await;
}

/// Creates a token and revokes it. Returns its key.
async fn revoked(host: &Host) -> TokenKey {
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    host.app.audit.written().await;
    key_of(made["token"].as_str().unwrap())
}

#[tokio::test]
async fn outcome_of_each_job_is_kept_for_the_administrator() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    let last = |job| host.app.housekeeping.last(job);
    for job in Job::ALL {
        assert_eq!(last(job), None, "{job:?}");
        housekeeping::run(&host.app, job).await.unwrap();
        let outcome = last(job).unwrap();
        assert_eq!((outcome.at, outcome.error), (host.app.tokens.now(), None), "{job:?}");
        assert_eq!(outcome.succeeded_at, Some(outcome.at), "{job:?}");
    }
    let before = host.app.tokens.now();
    host.clock.advance(Job::Purge.interval());
    host.run("ALTER TABLE token_names RENAME TO hidden").await;
    host.run("ALTER TABLE keyfob_tokens RENAME TO hidden_tokens").await;
    housekeeping::run(&host.app, Job::Purge).await.unwrap_err();
    let outcome = last(Job::Purge).unwrap();
    assert_eq!((outcome.at, outcome.succeeded_at), (host.app.tokens.now(), Some(before)));
    assert!(outcome.error.unwrap().contains("no such table"));
}

/// The trail of a token may be lost, because its queue was full, or because the token was imported.
#[tokio::test]
async fn name_of_a_token_without_a_trail_is_deleted_with_the_token() {
    let host = Host::start().await;
    revoked(&host).await;
    run(&host, "DELETE FROM token_events").await;
    host.clock.advance(90 * DAY);
    assert_eq!(purge::purge(&host.app).await.unwrap(), 0);
    assert_eq!(count(&host, "token_names").await, 1);
    host.clock.advance(MS);
    assert_eq!(purge::purge(&host.app).await.unwrap(), 1);
    assert_eq!((count(&host, "token_names").await, count(&host, "gone_tokens").await), (0, 0));
}

#[tokio::test]
async fn run_that_was_interrupted_after_deleting_a_token_is_finished_by_the_next_one() {
    let host = Host::start().await;
    let key = revoked(&host).await;
    gone::mark(&host.app.db, &[key], gone::FOUND).await.unwrap();
    assert_eq!(purge::purge(&host.app).await.unwrap(), 0);
    assert_eq!(count(&host, "token_events").await, 2, "a marked token that exists keeps its trail");
    gone::mark(&host.app.db, &[key], gone::FOUND).await.unwrap();
    host.clock.advance(90 * DAY + MS);
    assert_eq!(host.app.tokens.purge(90 * DAY).await.unwrap(), 1);
    purge::purge(&host.app).await.unwrap();
    for table in ["token_names", "token_events", "gone_tokens"] {
        assert_eq!(count(&host, table).await, 0, "{table}");
    }
}

/// A token that no run finds may be in another database, with which the operator meant to start the
/// host. Its rows stay for as long as those of an ended token.
#[tokio::test]
async fn rows_of_a_token_that_is_never_found_are_deleted_after_the_time_of_an_ended_one() {
    let host = Host::start().await;
    if !host.has_token_table() {
        return;
    }
    revoked(&host).await;
    // In another project, the host does not find the token.
    let hide = async || run(&host, "UPDATE keyfob_tokens SET project = 'away' || project").await;
    let show = async || run(&host, "UPDATE keyfob_tokens SET project = substr(project, 5)").await;
    let rows = async || {
        purge::purge(&host.app).await.unwrap();
        (count(&host, "token_names").await, count(&host, "token_events").await, count(&host, "gone_tokens").await)
    };
    hide().await;
    assert_eq!(rows().await, (1, 2, 1));
    host.clock.advance(80 * DAY);
    assert_eq!(rows().await, (1, 2, 1));
    // A run that finds the token removes the mark, so the time begins again.
    show().await;
    assert_eq!(rows().await, (1, 2, 0));
    hide().await;
    assert_eq!(rows().await, (1, 2, 1));
    host.clock.advance(90 * DAY);
    assert_eq!(rows().await, (1, 2, 1));
    host.clock.advance(MS);
    assert_eq!(rows().await, (0, 0, 0));
}

/// Each row of the table is just old enough to be deleted, or one millisecond too young.
#[tokio::test]
async fn rows_that_are_kept_for_a_fixed_time_are_deleted_after_it() {
    let host = Host::start_configured(json!({"purge_after_days": 10, "purge_alarms_after_days": 20})).await;
    if !host.is_on_sqlite() {
        return;
    }
    let now = host.app.tokens.now().as_unix_millis();
    for (table, days, insert) in [
        (
            "group_revocations",
            10,
            "INSERT INTO group_revocations (at, project, kind, value, actor, reason) VALUES (?, '1', 'owner', '1', '1', 'r')",
        ),
        ("github_deliveries", 10, "INSERT INTO github_deliveries (at, digest, key_id) VALUES (?, randomblob(32), 'k')"),
        (
            "token_refusals",
            10,
            "INSERT INTO token_refusals (at, project, token_id, event, reason, actor, day, times) \
             VALUES (?, '1', '1000000000000000', 'failed', 'expired', '', random(), 1)",
        ),
        (
            "token_leaks WHERE seen = 1",
            10,
            "INSERT INTO token_leaks (at, project, token_id, owner, name, reporter, url, seen) \
             VALUES (?, '1', hex(randomblob(8)), '1', 'n', 'r', '', 1)",
        ),
        (
            "token_leaks WHERE seen = 0",
            20,
            "INSERT INTO token_leaks (at, project, token_id, owner, name, reporter, url) \
             VALUES (?, '1', hex(randomblob(8)), '1', 'n', 'r', '')",
        ),
        ("spent_forms", 1, "INSERT INTO spent_forms (at, user_id, form) VALUES (?, 1, hex(randomblob(16)))"),
    ] {
        let days = days * i64::try_from(DAY.as_millis()).unwrap();
        for (at, left) in [(now - days - 1, 0), (now - days, 1), (now, 2)] {
            query(insert).bind(at).execute(&host.app.db).await.unwrap();
            purge::purge(&host.app).await.unwrap();
            assert_eq!(count(&host, table).await, left, "{table}");
        }
    }
}

#[tokio::test]
async fn counts_of_an_alarm_are_deleted_with_the_alarm() {
    let host = Host::start().await;
    let at = host.app.tokens.now().as_unix_millis();
    let sql = "INSERT INTO token_leaks (at, project, token_id, owner, name, reporter, url) \
               VALUES (?, '1', '1000000000000000', '1', 'n', 'r', '')";
    query(sql).bind(at).execute(&host.app.db).await.unwrap();
    run(&host, "INSERT INTO leaked_issuers VALUES ('1', '1000000000000000', 3)").await;
    for (wait, left) in [(365 * DAY, 1), (MS, 0)] {
        host.clock.advance(wait);
        purge::purge(&host.app).await.unwrap();
        assert_eq!((count(&host, "token_leaks").await, count(&host, "leaked_issuers").await), (left, left));
    }
}

#[tokio::test]
async fn notice_is_deleted_with_its_token_at_the_latest() {
    let host = Host::start().await;
    host.ada().await.make("CI", None).await;
    host.clock.advance(30 * DAY - MS);
    housekeeping::run(&host.app, Job::Notices).await.unwrap();
    assert_eq!(count(&host, "token_notices").await, 1);
    host.clock.advance(90 * DAY + MS);
    assert_eq!(purge::purge(&host.app).await.unwrap(), 0);
    assert_eq!(count(&host, "token_notices").await, 1);
    host.clock.advance(MS);
    assert_eq!(purge::purge(&host.app).await.unwrap(), 1);
    assert_eq!(count(&host, "token_notices").await, 0);
}

/// Sessions use the clock of the system, in seconds.
#[tokio::test]
async fn sessions_are_deleted_when_they_are_over() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    let (ada, _) = (host.ada().await, host.eve().await);
    run(&host, "UPDATE sessions SET expires_at = unixepoch() WHERE json_extract(data, '$.visit.user') = 2").await;
    purge::purge(&host.app).await.unwrap();
    assert_eq!(count(&host, "sessions").await, 1);
    ada.get("/settings/tokens").await.is(200);
}

/// While tokens that ended long ago still exist, the rows that explain their end are needed.
#[tokio::test]
async fn failed_purge_keeps_what_explains_the_end_of_tokens() {
    let host = Host::start().await;
    if !host.has_token_table() {
        return;
    }
    run(
        &host,
        "INSERT INTO group_revocations (at, project, kind, value, actor, reason) VALUES (0, '1', 'owner', '1', '1', 'r'); \
         INSERT INTO spent_forms (at, user_id, form) VALUES (0, 1, 'f'); \
         ALTER TABLE keyfob_tokens RENAME TO away",
    )
    .await;
    assert!(purge::purge(&host.app).await.is_err());
    assert_eq!((count(&host, "group_revocations").await, count(&host, "spent_forms").await), (1, 0));
    run(&host, "ALTER TABLE away RENAME TO keyfob_tokens").await;
    purge::purge(&host.app).await.unwrap();
    assert_eq!(count(&host, "group_revocations").await, 0);
}

/// One transaction deletes at most 500 rows, so that it does not lock the database for long.
#[tokio::test]
async fn more_rows_than_one_transaction_deletes_are_deleted_in_one_run() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    run(
        &host,
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1201) \
         INSERT INTO token_names (uuid, user_id, project, token_id) SELECT n, 1, '1', printf('%016x', n) FROM n; \
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1201) \
         INSERT INTO spent_forms (at, user_id, form) SELECT 0, 1, n FROM n",
    )
    .await;
    purge::purge(&host.app).await.unwrap();
    assert_eq!((count(&host, "spent_forms").await, count(&host, "gone_tokens").await), (0, 1201));
    host.clock.advance(90 * DAY + MS);
    purge::purge(&host.app).await.unwrap();
    assert_eq!((count(&host, "token_names").await, count(&host, "gone_tokens").await), (0, 0));
}

/// An operator who asks how long the service keeps something must find the answer.
#[tokio::test]
async fn readme_says_for_each_table_how_long_its_rows_are_kept() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("\n## Retention\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let schema = include_str!("../../src/db/schema.sql");
    let tables = schema.split("CREATE TABLE IF NOT EXISTS ").skip(1).map(|rest| rest.split_once(' ').unwrap().0);
    for table in tables {
        assert!(section.contains(&format!("`{table}`")), "the section on retention does not name {table}");
    }
}

/// One run looks for a limited number of tokens. The next run begins where the last one stopped,
/// and then at the first token again.
#[tokio::test]
async fn search_for_missing_tokens_continues_in_the_next_run() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    run(
        &host,
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5) \
         INSERT INTO token_names (uuid, user_id, project, token_id) SELECT n, 1, '1', printf('%016x', n) FROM n; \
         INSERT INTO gone_search VALUES (1, '1', printf('%016x', 3))",
    )
    .await;
    for marked in [2, 5] {
        purge::purge(&host.app).await.unwrap();
        assert_eq!(count(&host, "gone_tokens").await, marked);
    }
}
