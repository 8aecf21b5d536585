//! Starts the service: the data directory, the pepper, the databases and the first sign-in.

use std::error::Error;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Clock, Keyring, Pepper, Prefix, Tokens,
    keys::KeyringError,
    leak::Finder,
    store::{ProjectsQuery, StoreMaintenance, postgres::PostgresFeed, sqlite::SqliteStore},
    tokens::Usage,
};
use sqlx::{SqliteConnection, SqliteExecutor, SqlitePool};

use crate::app::App;
use crate::bodies::Bodies;
use crate::columns;
use crate::config::Config;
use crate::engine::{self, Database, Engine};
use crate::health::Health;
use crate::housekeeping::Housekeeping;
use crate::key_checks;
use crate::leaks::github::GitHub;
use crate::leaks::reports::Doors;
use crate::llm::models::{ModelEntry, Models};
use crate::llm::upstream::Asker;
use crate::metrics::{Acts, Counted};
use crate::people::accounts::{self, Accounts};
use crate::people::invitations;
use crate::people::owners::TokenOwners;
use crate::people::projects::{self, Kind, Projects};
use crate::random;
use crate::tokens::audit::Audit;
use crate::tokens::counts::ProjectCounts;
use crate::tokens::key_counts::KeyCounts;
use crate::tokens::names::TokenNames;
use crate::tokens::refusals;
use crate::tokens::uses::Uses;

pub type SetupError = Box<dyn Error + Send + Sync>;

/// The prefix of every token of this service. Choose another prefix for your own service, and do
/// not change it later.
pub const PREFIX: &str = "demo_pat";

/// The file name of the host's own database in the data directory.
const DATABASE: &str = "personal-tokens.db";

/// The settings that an administrator chooses on the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    pub allow_never: bool,
    pub behind_tls: bool,
    /// The database of the tokens. `None` means the SQLite file in the data directory.
    pub database: Option<Database>,
    /// The maximum staleness of the cache. Zero means no cache.
    pub cache: Duration,
}

impl Default for Settings {
    /// Returns the settings of a command line without options. Unlike the default policy of
    /// `keyfob`, these settings allow tokens that never expire.
    fn default() -> Self {
        Self { allow_never: true, behind_tls: false, database: None, cache: Duration::ZERO }
    }
}

/// A person's name and a new password, which is generated at the first start and by a reset. Debug
/// does not show the password.
pub struct FirstSignIn {
    pub name: String,
    pub password: String,
}

impl fmt::Debug for FirstSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstSignIn").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Opens the data directory. If it is new, creates the pepper, the tables, and one person with four
/// projects, and returns the name and the password of this person.
///
/// # Errors
/// Returns an error in the same cases as [`open_telling`].
pub async fn open(
    data: &Path,
    settings: Settings,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<App>, Option<FirstSignIn>), SetupError> {
    open_telling(data, settings, clock, |_| Ok(())).await
}

/// Opens the data directory like [`open`]. If the function creates the first person, it calls
/// `tell` with their name and password just before it commits the account. If `tell` fails, the
/// account is not created, and a later call creates it with another password.
///
/// # Errors
/// Returns an error if the directory or `config.json` is not usable, if the pepper is missing,
/// readable by other users or wrong, if a database fails, or if `tell` fails.
pub async fn open_telling(
    data: &Path,
    settings: Settings,
    clock: Arc<dyn Clock>,
    tell: impl FnOnce(&FirstSignIn) -> Result<(), SetupError>,
) -> Result<(Arc<App>, Option<FirstSignIn>), SetupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    let mut config = Config::read(data)?;
    // The command-line option can only forbid what `config.json` allows.
    if !settings.allow_never {
        config.policy = config.policy.with_never_expiring(false);
    }
    let file = data.join(DATABASE);
    // Look for the database file first: another process that starts for the first time writes the
    // pepper before this file, and opening the tokens' database may create this file.
    let had_file = file.try_exists()?;
    let pepper_file = data.join("pepper");
    let prefix = Prefix::new(PREFIX)?;
    let of_file = read_pepper(&pepper_file)?.map(|pepper| Keyring::new(prefix, pepper));
    if let Some(keyring) = &of_file
        && had_file
    {
        key_checks::compare_in(&file, keyring).await.map_err(|error| in_place(error, &pepper_file, &file))?;
    }
    let tokens_elsewhere = match &settings.database {
        Some(database) => Some(database.open(settings.cache).await?),
        None => None,
    };
    let keyring = match of_file {
        Some(keyring) => keyring,
        // With a new pepper, every existing token would be refused as if it were forged.
        None if had_file => {
            return Err("the data directory has a database but no pepper file: restore the pepper".into());
        }
        None => {
            if let Some((engine, _)) = &tokens_elsewhere
                && !engine.projects(&ProjectsQuery::default()).await?.is_empty()
            {
                return Err(
                    "the database holds tokens but the data directory has no pepper file: restore the pepper".into()
                );
            }
            Keyring::new(prefix, make_pepper(&pepper_file)?)
        }
    };
    // The host's own tables are always in the data directory, beside the pepper. By default the
    // tokens are in the same file, so that there is one thing to back up.
    let own = SqliteStore::open(&file).await?;
    let pool = own.pool().clone();
    sqlx::raw_sql(include_str!("schema.sql")).execute(&pool).await?;
    columns::add_missing(&pool).await?;
    refusals::fold(&pool).await?;
    let (engine, store) =
        tokens_elsewhere.unwrap_or_else(|| engine::behind(Engine::new(own), settings.cache, None::<PostgresFeed>));
    key_checks::settle(&pool, &keyring, &engine).await.map_err(|error| in_place(error, &pepper_file, &file))?;

    let accounts = Accounts::new(pool.clone()).await?;
    let finder = Finder::new(keyring.prefixes().iter().copied());
    let health = Health::new(engine, pool.clone())?;
    let audit = Audit::start(pool.clone(), Arc::clone(&clock));
    let uses = Uses::new(pool.clone(), Arc::clone(&clock));
    let acts = Arc::<Acts>::default();
    let github = config.github_keys.take().map(|address| GitHub::new(address, Arc::clone(&clock), pool.clone()));
    let github = github.transpose()?.map(Arc::new);
    let asker = Asker::new()?;
    let tokens = Tokens::new(keyring, store)
        .with_policy(config.policy.clone())
        .with_clock(clock)
        .with_owners(TokenOwners::new(pool.clone()))
        .with_usage(Usage::default().with_origins())
        .with_events(Counted { acts: Arc::clone(&acts), sink: uses.before(audit.clone()) });
    let (entries, upstreams) = (std::mem::take(&mut config.models), std::mem::take(&mut config.upstreams));
    let (models, first) = first_sign_in(&pool, Models::new(pool.clone(), upstreams), entries, tell).await?;
    let app = App {
        tokens: Arc::new(tokens),
        accounts,
        projects: Projects::new(pool.clone()),
        models,
        asker,
        names: TokenNames::new(pool.clone()),
        audit,
        uses,
        acts,
        key_counts: KeyCounts::default(),
        project_counts: ProjectCounts::default(),
        health,
        housekeeping: Housekeeping::default(),
        github,
        doors: Doors::default(),
        // At most 16 questions to models are in memory, and at most 4 of one person. Each may have
        // 4 MiB.
        questions: Bodies::new(16, 4),
        finder,
        config,
        pool,
        behind_tls: settings.behind_tls,
    };
    Ok((Arc::new(app), first))
}

/// Adds help to a [`KeyringError::WrongPepper`]: the path of the pepper file, and the SQL that
/// deletes check values of a wrong pepper. Returns other errors unchanged.
fn in_place(error: SetupError, pepper_file: &Path, file: &Path) -> SetupError {
    let Some(KeyringError::WrongPepper(wrong)) = error.downcast_ref() else { return error };
    let numbers: Vec<_> = wrong.iter().map(|number| number.get().to_string()).collect();
    let (pepper_file, file) = (pepper_file.display(), file.display());
    format!(
        "{error} as {pepper_file}; if this pepper is the right one, an earlier start that could not check its pepper stored the \
         wrong value: then delete it with DELETE FROM key_checks WHERE number IN ({}) in {file}",
        numbers.join(", ")
    )
    .into()
}

/// Reads the pepper from its file. Returns `None` if the file does not exist.
///
/// # Errors
/// Returns an error if other users may read the file, or if the file cannot be read or holds no
/// valid pepper.
fn read_pepper(path: &Path) -> Result<Option<Pepper>, SetupError> {
    let mode = match path.metadata() {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if mode & 0o077 != 0 {
        return Err("other users may read the pepper file: chmod 600 it".into());
    }
    Ok(Some(Pepper::new(std::fs::read(path)?)?))
}

/// Creates a pepper and its file. If another process has created the file at the same time, returns
/// the pepper of that file. The bytes are written to a temporary file, which is then linked to
/// `path`. So the file at `path` is always complete, and no process overwrites the file of another
/// process.
fn make_pepper(path: &Path) -> Result<Pepper, SetupError> {
    let pepper = Pepper::generate()?;
    let aside = path.with_extension(random::hex128()?);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    // The umask can only remove rights. This call also removes rights that a default ACL grants.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(pepper.expose_secret())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    let pepper = match linked {
        Ok(()) => pepper,
        // Another process that started at the same time was faster: use its pepper.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read_pepper(path)?.ok_or("the pepper file was created and removed at the same time; start again")?
        }
        Err(error) => return Err(error.into()),
    };
    // Synchronize the directory, which holds the name of the file.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(pepper)
}

/// Creates one person, their personal project, two shared projects and a public project, if the
/// database has no person yet. Then checks the models of the configuration, which may name these
/// projects. If several processes start at the same time, only one of them creates these rows.
async fn first_sign_in(
    pool: &SqlitePool,
    mut models: Models,
    entries: Vec<ModelEntry>,
    tell: impl FnOnce(&FirstSignIn) -> Result<(), SetupError>,
) -> Result<(Models, Option<FirstSignIn>), SetupError> {
    let is_first = !has_people(pool).await?;
    let first = FirstSignIn { name: "ada".into(), password: random::hex128()? };
    let hash = if is_first { accounts::hash(first.password.clone()).await? } else { String::new() };
    // If there is no person yet, take the write lock before looking again, so that only one process
    // creates the rows.
    let mut transaction = match is_first {
        true => pool.begin_with("BEGIN IMMEDIATE").await?,
        false => pool.begin().await?,
    };
    let is_first = is_first && !has_people(&mut *transaction).await?;
    if is_first {
        make_first(&mut transaction, &first.name, &hash).await?;
    }
    models.configure(&projects::all(&mut *transaction).await?, entries)?;
    if !is_first {
        return Ok((models, None));
    }
    tell(&first)?;
    transaction
        .commit()
        .await
        .map_err(|error| format!("the sign-in that was printed is void, start again: {error}"))?;
    Ok((models, Some(first)))
}

async fn make_first(connection: &mut SqliteConnection, name: &str, hash: &str) -> sqlx::Result<()> {
    let user = insert_user(&mut *connection, name, hash).await?;
    accounts::appoint(&mut *connection, user).await?;
    for shared in ["Difference engine", "Weather station"] {
        let project = projects::insert(&mut *connection, shared, Kind::Shared, None).await?;
        projects::join(&mut *connection, project, user).await?;
    }
    projects::insert(&mut *connection, "Open library", Kind::Public, None).await?;
    Ok(())
}

/// Replaces a person's password with a new random password. `tell` receives the new password before
/// it is stored. The database is not locked while `tell` runs, because printing may wait for a
/// terminal. The person's sessions end in every process.
///
/// # Errors
/// Returns an error if there is no database, if no person has this name, if `tell` fails, or if the
/// new password cannot be stored.
pub async fn reset_password(
    data: &Path,
    name: &str,
    tell: impl FnOnce(&FirstSignIn) -> Result<(), SetupError>,
) -> Result<(), SetupError> {
    let file = data.join(DATABASE);
    if !file.try_exists()? {
        return Err(format!("there is no database {}: give its directory with --data-dir", file.display()).into());
    }
    let pool = SqliteStore::open(&file).await?.pool().clone();
    if !accounts::exists(&pool, name).await? {
        return Err(format!("there is no person named {name:?}").into());
    }
    let new = FirstSignIn { name: name.into(), password: random::hex128()? };
    let hash = accounts::hash(new.password.clone()).await?;
    tell(&new)?;
    // The link of an invitation must not replace the new password.
    invitations::end(&pool, name).await?;
    let void = |why: &dyn fmt::Display| format!("the password that was printed is void, try again: {why}");
    if !accounts::set_password(&pool, name, &hash).await.map_err(|error| void(&error))? {
        return Err(void(&format_args!("there is no person named {name:?} any more")).into());
    }
    pool.close().await;
    Ok(())
}

async fn has_people(db: impl SqliteExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM users)").fetch_one(db).await
}

/// Adds a person with a personal project. Returns the person's id.
///
/// # Errors
/// Returns an error if another person has this name, if the database fails, or if the password
/// cannot be hashed.
pub async fn add_user(pool: &SqlitePool, name: &str, password: &str) -> Result<i64, SetupError> {
    let hash = accounts::hash(password.into()).await?;
    let mut transaction = pool.begin().await?;
    let user = insert_user(&mut transaction, name, &hash).await?;
    transaction.commit().await?;
    Ok(user)
}

async fn insert_user(connection: &mut SqliteConnection, name: &str, hash: &str) -> sqlx::Result<i64> {
    let user = accounts::insert(&mut *connection, name, hash).await?;
    projects::insert(connection, &format!("Personal ({name})"), Kind::Personal, Some(user)).await?;
    Ok(user)
}
