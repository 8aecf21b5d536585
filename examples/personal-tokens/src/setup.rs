//! The first start, and every other: the data directory, the pepper, the database, the first sign-in.

use std::error::Error;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use keyfob::{Clock, Keyring, Pepper, Prefix, Tokens, Usage};
use sqlx::SqlitePool;

use crate::app::{App, Store};
use crate::config::Config;
use crate::llm::models::Models;
use crate::llm::upstream::Asker;
use crate::people::accounts::{self, Accounts};
use crate::people::owners::TokenOwners;
use crate::people::projects::{self, Kind, Projects};
use crate::random;
use crate::tokens::audit::Audit;
use crate::tokens::names::TokenNames;

pub type SetupError = Box<dyn Error + Send + Sync>;

/// Stands in every token: a service of your own chooses its own, once.
const PREFIX: &str = "demo_pat";

/// What an administrator chooses.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub allow_never: bool,
    pub behind_tls: bool,
}

impl Default for Settings {
    /// Tokens that never expire are allowed, as the page of the product offers them; `keyfob` by itself allows none.
    fn default() -> Self {
        Self { allow_never: true, behind_tls: false }
    }
}

/// The person that the first start makes. Debug shows no password.
pub struct FirstSignIn {
    pub name: String,
    pub password: String,
}

impl fmt::Debug for FirstSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstSignIn").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Opens the data directory, and makes what is not there yet.
pub async fn open(
    data: &Path,
    settings: Settings,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<App>, Option<FirstSignIn>), SetupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    let mut config = Config::read(data)?;
    // An option of the command line can only forbid.
    if !settings.allow_never {
        config.policy = config.policy.with_never_expiring(false);
    }
    let database = data.join("personal-tokens.db");
    let pepper = match read_pepper(&data.join("pepper"))? {
        Some(pepper) => pepper,
        // A new pepper would stop every token there is, and would look like a theft of all of them.
        None if database.exists() => return Err("the database is there but its pepper file is not: restore it".into()),
        None => make_pepper(&data.join("pepper"))?,
    };
    // One file for the tokens and for what the host keeps: one thing to back up, beside the pepper.
    let store = Store::open(&database).await?;
    let pool = store.pool().clone();
    sqlx::raw_sql(include_str!("schema.sql")).execute(&pool).await?;

    // Before the first sign-in: once that exists, nothing may fail until its password is printed.
    let accounts = Accounts::new(pool.clone()).await?;
    let keyring = Keyring::new(Prefix::new(PREFIX)?, pepper)?;
    let first = first_sign_in(&pool).await?;
    let audit = Audit::start(pool.clone(), Arc::clone(&clock));
    let tokens = Tokens::new(keyring, store)
        .with_policy(config.policy.clone())
        .with_clock(clock)
        .with_owners(TokenOwners::new(pool.clone()))
        .with_usage(Usage::default())
        .with_events(audit.clone());
    let projects = Projects::new(pool.clone());
    let (entries, upstreams) = (std::mem::take(&mut config.models), std::mem::take(&mut config.upstreams));
    let models = Models::open(pool.clone(), &projects, entries, upstreams).await?;
    let app = App {
        tokens: Arc::new(tokens),
        accounts,
        projects,
        models,
        asker: Asker::new()?,
        names: TokenNames::new(pool.clone()),
        audit,
        config,
        pool,
        behind_tls: settings.behind_tls,
    };
    Ok((Arc::new(app), first))
}

fn read_pepper(path: &Path) -> Result<Option<Pepper>, SetupError> {
    let mode = match path.metadata() {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if mode & 0o077 != 0 {
        return Err("the pepper file is open to others: chmod 600 it".into());
    }
    Ok(Some(Pepper::new(std::fs::read(path)?)?))
}

/// Written aside and then linked, so that the file is whole or not there, and never another one's.
fn make_pepper(path: &Path) -> Result<Pepper, SetupError> {
    let pepper = Pepper::generate()?;
    let aside = path.with_extension(random::hex128()?);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    // The umask only takes rights away; this also holds where a default ACL gives some.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(pepper.expose_secret())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    linked?;
    // The name must last as well as the bytes.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(pepper)
}

/// One person, their own project, two shared ones and a public one, where the database has nobody yet.
async fn first_sign_in(pool: &SqlitePool) -> Result<Option<FirstSignIn>, SetupError> {
    let (people,): (i64,) = sqlx::query_as("SELECT count(*) FROM users").fetch_one(pool).await?;
    if people > 0 {
        return Ok(None);
    }
    let (name, password) = ("ada", random::hex128()?);
    let user = add_user(pool, name, &password).await?;
    accounts::appoint(pool, user).await?;
    for shared in ["Difference engine", "Weather station"] {
        let project = projects::insert(pool, shared, Kind::Shared, None).await?;
        projects::join(pool, project, user).await?;
    }
    projects::insert(pool, "Open library", Kind::Public, None).await?;
    Ok(Some(FirstSignIn { name: name.into(), password }))
}

/// Adds a person with their personal project.
pub async fn add_user(pool: &SqlitePool, name: &str, password: &str) -> Result<i64, SetupError> {
    let hash = accounts::hash(password.into()).await?;
    let mut transaction = pool.begin().await?;
    let user = accounts::insert(&mut *transaction, name, &hash).await?;
    projects::insert(&mut *transaction, &format!("Personal ({name})"), Kind::Personal, Some(user)).await?;
    transaction.commit().await?;
    Ok(user)
}
