//! An axum service that guards its routes with tokens and keeps them in SQLite, as in the README.
//!
//! `cargo run --example service --features axum,sqlite`

use std::{error::Error, io::Write};

use axum::{Router, routing::get};
use keyfob::access::OwnProject;
use keyfob::axum::{Authenticated, Guard};
use keyfob::store::sqlite::SqliteStore;
use keyfob::{Keyring, Pepper, Prefix, Tokens};

async fn read_repo(caller: Authenticated) -> String {
    format!("{} reads the repository of project {}", caller.owner(), caller.project())
}

/// Accepts a token of any project, because the route names no project.
async fn whoami(caller: Authenticated<OwnProject>) -> String {
    format!("{} by \"{}\"", caller.owner(), caller.name())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keyring = Keyring::new(Prefix::new("acme_pat")?, pepper("acme.pepper", "acme.db")?);
    // Creates the file and its table if they are missing. Both paths are relative to the working
    // directory.
    let tokens = Tokens::new(keyring, SqliteStore::open("acme.db").await?);

    let guard = Guard::new(tokens).with_realm("acme");
    let app = Router::new()
        .route("/projects/{project}/repo", get(read_repo).layer(guard.project_in_path("project", "repo:read")?))
        .route("/whoami", get(whoami).layer(guard.own_project("")?));
    // Run it behind a proxy on this machine, because this server has no time limit for a request.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, app).await?)
}

/// Reads the pepper from its file, or generates it at the first start. Back the file up.
///
/// Only the user of the service can read the file.
fn pepper(path: &str, database: &str) -> Result<Pepper, Box<dyn Error>> {
    // If there are tokens but no pepper, the pepper is lost. A new pepper would reject all tokens.
    if std::fs::exists(path)? || std::fs::exists(database)? {
        return Ok(Pepper::new(std::fs::read(path)?)?);
    }
    let pepper = Pepper::generate()?;
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // The file is complete and on disk before it gets its name: no token verifies without it.
    let aside = format!("{path}.{}", std::process::id());
    let mut file = options.write(true).create(true).truncate(true).open(&aside)?;
    file.write_all(pepper.expose_secret())?;
    file.sync_all()?;
    std::fs::hard_link(&aside, path)?;
    std::fs::remove_file(aside)?;
    #[cfg(unix)]
    std::fs::File::open(".")?.sync_all()?;
    Ok(pepper)
}
