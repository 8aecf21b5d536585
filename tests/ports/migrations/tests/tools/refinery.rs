//! refinery: files in one folder, such as `V2__keyfob_tokens.sql`.

use port_support::postgres;
use refinery::{Runner, load_sql_migrations};

use super::{folder, postgres_is_ready, sqlite_is_ready};

fn path_of(number: usize, name: &str) -> String {
    format!("V{number}__{name}.sql")
}

#[tokio::test]
async fn migrates_a_sqlite_file() {
    let folder = folder("sqlite", path_of);
    let path = folder.path().join("host.db");
    let mut connection = rusqlite::Connection::open(&path).unwrap();
    let runner = Runner::new(&load_sql_migrations(folder.path()).unwrap());
    for count in [2, 0] {
        assert_eq!(runner.run(&mut connection).unwrap().applied_migrations().len(), count);
    }
    drop(connection);
    sqlite_is_ready(&path).await;
}

#[tokio::test]
async fn migrates_a_postgres_database() {
    let Some(server) = postgres::shared() else { return };
    let (folder, url) = (folder("postgres", path_of), server.database());
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let runner = Runner::new(&load_sql_migrations(folder.path()).unwrap());
    for count in [2, 0] {
        assert_eq!(runner.run_async(&mut client).await.unwrap().applied_migrations().len(), count);
    }
    drop(client);
    driver.await.unwrap().unwrap();
    postgres_is_ready(&url).await;
}
