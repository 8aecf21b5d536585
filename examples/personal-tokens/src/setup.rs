//! Starts the service: the data directory, the pepper, the databases and the first sign-in.

use std::error::Error;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Clock, Keyring, Prefix, Tokens,
    keys::KeyringError,
    leak::Finder,
    store::{ProjectsQuery, StoreMaintenance, sqlite::SqliteStore},
    tokens::Usage,
};

use crate::app::App;
use crate::bodies::Bodies;
use crate::config::Config;
use crate::db::{Db, takeover};
use crate::engine::{Database, Engine};
use crate::first::{self, FirstSignIn};
use crate::health::Health;
use crate::housekeeping::Housekeeping;
use crate::key_checks;
use crate::leaks::github::GitHub;
use crate::leaks::reports::Doors;
use crate::llm::models::Models;
use crate::llm::upstream::Asker;
use crate::metrics::{Acts, Counted, Requests};
use crate::people::accounts::Accounts;
use crate::people::owners::TokenOwners;
use crate::people::projects::Projects;
use crate::pepper::{self, Place};
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
pub const DATABASE: &str = "personal-tokens.db";
/// The file name of the pepper in the data directory.
const PEPPER: &str = "pepper";

/// The settings that an administrator chooses on the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    pub allow_never: bool,
    pub behind_tls: bool,
    /// The database of the tokens. `None` means the SQLite file in the data directory.
    pub database: Option<Database>,
    /// The database of everything else. `None` means the database of the tokens, or the SQLite file
    /// in the data directory if the tokens are in Redis.
    pub state: Option<Database>,
    /// Where the pepper is. `None` means a file in the data directory.
    pub pepper: Option<Place>,
    /// The maximum staleness of the cache. Zero means no cache.
    pub cache: Duration,
}

impl Default for Settings {
    /// Returns the settings of a command line without options. Unlike the default policy of
    /// `keyfob`, these settings allow tokens that never expire.
    fn default() -> Self {
        Self { allow_never: true, behind_tls: false, database: None, state: None, pepper: None, cache: Duration::ZERO }
    }
}

impl Settings {
    /// Returns where the pepper is. The default is a file in the data directory `data`.
    pub fn pepper(&self, data: &Path) -> Place {
        self.pepper.clone().unwrap_or_else(|| Place::DataDir(data.join(PEPPER)))
    }

    /// Returns the database of the tokens and that of everything else. The default is the SQLite
    /// file in the data directory `data`.
    pub fn databases(&self, data: &Path) -> (Database, Database) {
        let file = || Database::Sqlite(data.join(DATABASE));
        let tokens = self.database.clone().unwrap_or_else(file);
        let state = self.state.clone().unwrap_or_else(|| match &tokens {
            // Redis has no tables, so the rest stays in the data directory.
            Database::Redis(_) => file(),
            other => other.clone(),
        });
        (tokens, state)
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
    let created = DirBuilder::new().recursive(true).mode(0o700).create(data);
    created.map_err(|error| format!("the data directory {} cannot be created: {error}", data.display()))?;
    let mut config = Config::read(data)?;
    // The command-line option can only forbid what `config.json` allows.
    if !settings.allow_never {
        config.policy = config.policy.with_never_expiring(false);
    }
    let file = data.join(DATABASE);
    let (tokens_at, state_at) = settings.databases(data);
    let place = settings.pepper(data);
    let prefix = Prefix::new(PREFIX)?;
    if state_at != Database::Sqlite(file.clone()) && file.try_exists()? {
        // The file of an earlier version knows the pepper before the new database does.
        let old = Db::of_store(&SqliteStore::open(&file).await?);
        let old_at = Database::Sqlite(file.clone());
        match place.read()? {
            Some(pepper) => {
                let compared = key_checks::compare_in(&old, &Keyring::new(prefix, pepper)).await;
                compared.map_err(|error| in_place(error, &place, &old_at))?;
            }
            // A new pepper would not fit the people and the tokens that are taken over.
            None if old.has_table("users").await? => {
                return Err(format!("{old_at} has people, but there is no pepper: restore {place}").into());
            }
            None => {}
        }
        old.close().await;
    }
    // A start that is refused because of the tokens leaves no file beside them.
    let existing = match &state_at {
        Database::Sqlite(path) if state_at != tokens_at && !path.try_exists()? => None,
        database => Some(database.connect_state().await?),
    };
    // Look for the tables first: another process that starts for the first time writes the pepper
    // before it creates the tables.
    let had_state = match &existing {
        Some(db) => db.has_table("users").await?,
        None => false,
    };
    let of_file = place.read()?.map(|pepper| Keyring::new(prefix, pepper));
    if let (Some(keyring), Some(db)) = (&of_file, &existing) {
        key_checks::compare_in(db, keyring).await.map_err(|error| in_place(error, &place, &state_at))?;
    }
    let shared = existing.as_ref().and_then(Db::sqlite).filter(|_| tokens_at == state_at);
    let (engine, store) = tokens_at.open(settings.cache, shared).await.map_err(|error| tokens_at.away(&error))?;
    let keyring = match of_file {
        Some(keyring) => keyring,
        // With a new pepper, every existing token would be refused as if it were forged.
        None if had_state => {
            return Err(format!("{state_at} has people, but there is no pepper: restore {place}").into());
        }
        None if !engine.projects(&ProjectsQuery::default()).await?.is_empty() => {
            return Err(format!("{tokens_at} holds tokens, but there is no pepper: restore {place}").into());
        }
        None => Keyring::new(prefix, pepper::make(&data.join(PEPPER))?),
    };
    let db = match existing {
        Some(db) => db,
        None => state_at.connect_state().await?,
    };
    db.create_tables().await?;
    if state_at != Database::Sqlite(file.clone()) {
        take_over(&file, &db, &state_at, &engine).await?;
    }
    refusals::fold(&db).await?;
    key_checks::settle(&db, &keyring, &engine).await.map_err(|error| in_place(error, &place, &state_at))?;

    let accounts = Accounts::new(db.clone()).await?;
    let finder = Finder::new(keyring.prefixes().iter().copied());
    let health = Health::new(engine, db.clone())?;
    let audit = Audit::start(db.clone(), Arc::clone(&clock));
    let uses = Uses::new(db.clone(), Arc::clone(&clock));
    let acts = Arc::<Acts>::default();
    let github = config.github_keys.take().map(|address| GitHub::new(address, Arc::clone(&clock), db.clone()));
    let github = github.transpose()?.map(Arc::new);
    let asker = Asker::new()?;
    let tokens = Tokens::new(keyring, store)
        .with_policy(config.policy.clone())
        .with_clock(clock)
        .with_owners(TokenOwners::new(db.clone()))
        .with_usage(Usage::default().with_origins())
        .with_events(Counted { acts: Arc::clone(&acts), sink: uses.before(audit.clone()) });
    let (entries, upstreams) = (std::mem::take(&mut config.models), std::mem::take(&mut config.upstreams));
    let (models, first) = first::sign_in(&db, Models::new(db.clone(), upstreams), entries, tell).await?;
    let app = App {
        tokens: Arc::new(tokens),
        accounts,
        projects: Projects::new(db.clone()),
        models,
        asker,
        names: TokenNames::new(db.clone()),
        audit,
        uses,
        acts,
        requests: Requests::default(),
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
        db,
        behind_tls: settings.behind_tls,
    };
    Ok((Arc::new(app), first))
}

/// Takes over people, projects, sessions and the audit trail from the SQLite file of the data
/// directory, and logs how many rows.
///
/// # Errors
/// Returns an error if the file has tokens and the database of the tokens has none, because the
/// tokens must be copied first. Also returns an error if a database fails.
async fn take_over(file: &Path, db: &Db, state_at: &Database, engine: &Engine) -> Result<(), SetupError> {
    if !file.try_exists()? {
        return Ok(());
    }
    let old = SqliteStore::open(file).await?;
    let all = ProjectsQuery::default();
    if !old.projects(&all).await?.is_empty() && engine.projects(&all).await?.is_empty() {
        return Err(format!(
            "{} holds tokens and the new database holds none: copy them first (cargo run --example operator -- copy), or \
             move the file away",
            file.display()
        )
        .into());
    }
    let Some(report) = takeover::take_over(file, db).await? else { return Ok(()) };
    for (table, rows) in report.iter().filter(|(_, rows)| *rows > 0) {
        tracing::info!(table, rows, "taken over into {state_at}");
    }
    tracing::info!("the state of {} has been taken over; the file is no longer used", file.display());
    Ok(())
}

/// Adds help to a [`KeyringError::WrongPepper`]: the path of the pepper file, and the SQL that
/// deletes check values of a wrong pepper. Returns other errors unchanged.
pub fn in_place(error: SetupError, place: &Place, database: &Database) -> SetupError {
    let Some(KeyringError::WrongPepper(wrong)) = error.downcast_ref() else { return error };
    let numbers: Vec<_> = wrong.iter().map(|number| number.get().to_string()).collect();
    format!(
        "{error} as {place}; if this pepper is the right one, an earlier start that could not check its pepper stored the \
         wrong value: then delete it with DELETE FROM key_checks WHERE number IN ({}) in {database}",
        numbers.join(", ")
    )
    .into()
}
