//! Tests how long the service keeps its data: each row of the table in the README of the host.

use personal_tokens::housekeeping::{self, Job};

use crate::support::Host;

#[tokio::test]
async fn outcome_of_each_job_is_kept_for_the_administrator() {
    let host = Host::start().await;
    let last = |job| host.app.housekeeping.last(job);
    for job in Job::ALL {
        assert_eq!(last(job), None, "{job:?}");
        housekeeping::run(&host.app, job).await;
        let outcome = last(job).unwrap();
        assert_eq!((outcome.at, outcome.error), (host.app.tokens.now(), None), "{job:?}");
        assert_eq!(outcome.succeeded_at, Some(outcome.at), "{job:?}");
    }
    let before = host.app.tokens.now();
    host.clock.advance(Job::Purge.interval());
    sqlx::raw_sql("ALTER TABLE token_names RENAME TO hidden").execute(&host.app.pool).await.unwrap();
    sqlx::raw_sql("ALTER TABLE keyfob_tokens RENAME TO hidden_tokens").execute(&host.app.pool).await.unwrap();
    housekeeping::run(&host.app, Job::Purge).await;
    let outcome = last(Job::Purge).unwrap();
    assert_eq!((outcome.at, outcome.succeeded_at), (host.app.tokens.now(), Some(before)));
    assert!(outcome.error.unwrap().contains("no such table"));
}
