//! A service with routes that are guarded by a token, as the README shows it. `cargo run --example service --features axum,sqlite`

use std::{error::Error, io::Write};

use axum::{Router, routing::get};
use keyfob::access::OwnProject;
use keyfob::axum::{Authenticated, Guard};
use keyfob::store::sqlite::SqliteStore;
use keyfob::{Keyring, Pepper, Prefix, Tokens};

async fn read_repo(caller: Authenticated) -> String {
    format!("{} reads the repository of project {}", caller.owner(), caller.project())
}

/// Names no project, so the token's own will do.
async fn whoami(caller: Authenticated<OwnProject>) -> String {
    format!("{} by \"{}\"", caller.owner(), caller.name())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keyring = Keyring::new(Prefix::new("acme_pat")?, pepper("acme.pepper", "acme.db")?);
    // Creates the file and its table where they are missing. Both paths are relative to the working directory.
    let tokens = Tokens::new(keyring, SqliteStore::open("acme.db").await?);

    let guard = Guard::new(tokens).with_realm("acme");
    let app = Router::new()
        .route("/projects/{project}/repo", get(read_repo).layer(guard.project_in_path("project", "repo:read")?))
        .route("/whoami", get(whoami).layer(guard.own_project("")?));
    // For a proxy on this machine: by itself it waits for a request for as long as that takes.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, app).await?)
}

/// Reads the pepper, or makes it on the first start: a file of its own that only the service may read. Back it up.
fn pepper(path: &str, database: &str) -> Result<Pepper, Box<dyn Error>> {
    // Where there are tokens, a pepper that is missing is lost, and another one would refuse them all.
    if std::fs::exists(path)? || std::fs::exists(database)? {
        return Ok(Pepper::new(std::fs::read(path)?)?);
    }
    let pepper = Pepper::generate()?;
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Whole and on disk before it has its name, for without it no token ever verifies again.
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
