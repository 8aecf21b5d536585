//! Tests the sign-in: when sessions end, how guessing is slowed, and where a person returns to.

use personal_tokens::setup::Settings;

use crate::support::{Host, TOKENS};

const PAGE: &str = "/settings/tokens";

/// A session from before a suspension may be in the hands of the person for whom the account was
/// suspended.
#[tokio::test]
async fn sessions_of_a_suspended_person_stay_ended_after_the_reinstatement() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let csrf = ada.get("/admin").await.is(200).field("csrf");
    let act = async |verb: &str| {
        ada.post_form(&format!("/admin/people/2/{verb}"), &format!("csrf={csrf}")).await.is(303);
    };
    eve.get(PAGE).await.is(200);
    act("suspend").await;
    eve.get(PAGE).await.is(303);
    act("reinstate").await;
    eve.get(PAGE).await.is(303);
    eve.get(TOKENS).await.is(401);
    // A new session works, and a reinstatement of a person who is not suspended ends no session.
    let eve = host.sign_in("eve", "eves-password").await;
    act("reinstate").await;
    eve.get(PAGE).await.is(200);
    ada.get(PAGE).await.is(200);
}

/// A data directory of an earlier version has a table of people without the column that counts how
/// often their sessions were ended.
#[tokio::test]
async fn data_directory_of_an_earlier_version_gets_the_missing_columns() {
    let host = Host::start().await;
    sqlx::raw_sql("ALTER TABLE users DROP COLUMN sessions_ended").execute(&host.app.pool).await.unwrap();
    let start = || host.another(Settings::default());
    // Several processes may start at the same time.
    drop(tokio::join!(start(), start(), start()));
    host.ada().await.get(PAGE).await.is(200);
}
