//! An axum service that guards its routes with tokens, and keeps the tokens in SQLite.
//!
//! No route issues a token. To try the service, call `Tokens::issue` in `main`, before the guard
//! takes `tokens`: the example `quickstart` shows this call. The route of the repository needs a
//! token of the project in its path, with the scope `repo:read` (`NewToken::with_scopes`). The
//! example `existing_service` has routes on which users issue their tokens.
//!
//! `cargo run --example service --features axum,sqlite`

use std::{error::Error, io::Write};

use axum::{Router, routing::get};
use keyfob::access::OwnProject;
use keyfob::axum::Guard;
use keyfob::http::Authenticated;
use keyfob::store::sqlite::SqliteStore;
use keyfob::{Keyring, Pepper, Prefix, Tokens};

async fn read_repo(caller: Authenticated) -> String {
    format!("{} reads the repository of project {}", caller.owner(), caller.project())
}

/// Responds with the owner and the name of the presented token. The route accepts a token of any
/// project, because its path names no project.
async fn whoami(caller: Authenticated<OwnProject>) -> String {
    format!("{} by \"{}\"", caller.owner(), caller.name())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keyring = Keyring::new(Prefix::new("acme_pat")?, pepper("acme.pepper", "acme.db")?);
    // `open` creates the file and its table if they are missing. The paths of the pepper and of the
    // database are relative to the working directory.
    let tokens = Tokens::new(keyring, SqliteStore::open("acme.db").await?);

    let guard = Guard::new(tokens).with_realm("acme");
    let app = Router::new()
        .route("/projects/{project}/repo", get(read_repo).layer(guard.project_in_path("project", "repo:read")?))
        .route("/whoami", get(whoami).layer(guard.own_project("")?));
    // Run the service behind a proxy on this machine, because `axum::serve` has no time limit for a
    // request. Tokens that are restricted to addresses also need `Guard::with_client_address`.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, app).await?)
}

/// Reads the pepper from its file. At the first start, generates the pepper and writes the file.
///
/// Back up the file. On Unix, only the user that runs the service can read it.
///
/// # Errors
/// Returns an error if the file cannot be read or written, if it contains no valid pepper, or if it
/// is missing although the database exists.
fn pepper(path: &str, database: &str) -> Result<Pepper, Box<dyn Error>> {
    if std::fs::exists(path)? {
        let bytes = std::fs::read(path).map_err(|error| format!("cannot read the pepper {path}: {error}"))?;
        return Ok(Pepper::new(bytes)?);
    }
    // The pepper is lost. With a new one, the service would reject all existing tokens.
    if std::fs::exists(database)? {
        return Err(format!("the pepper {path} is missing although {database} exists").into());
    }
    let pepper = Pepper::generate()?;
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // The file is complete and synced to disk before it gets its final name, because no token can
    // be verified if its content is lost.
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
