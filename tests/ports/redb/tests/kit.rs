//! The laws of a store over redb.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use keyfob::{conformance, store::Layered};
use redb::Database;
use redb_port::Redb;

#[tokio::test]
async fn every_law_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::create(folder.path().join("tokens.redb")).unwrap());
    let store = Layered::new(Redb::new(database).unwrap());
    conformance::token_store(&store).await.assert();
    conformance::maintenance(&store).await.assert();
    conformance::import(&store).await.assert();
    conformance::rules(&store).await.assert();
}
