//! Creates a SQLite file with tokens, and the PostgreSQL database to which a test moves the tokens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Clock, Name, NewToken, OwnerId, Policy, ScopeSet, SystemClock, TokenKey, TokenKind, TokenStore, Tokens,
    import::{ImportKey, ImportRow, ImportStore},
    mint,
    notices::NoticeLead,
    record::{AddressRanges, ClientText, ImportScheme, Issuer, Metadata, RequestId, RevocationReason, UsedFrom},
    rotation::Rotation,
    store::{LastUse, postgres::PostgresStore, sqlite::SqliteStore},
};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use crate::operator::tool::{Failure, address::Address, explain, moving::Move, progress::Progress};
use crate::support::postgres::{Server, shared};
use crate::support::{actor, base62, changed, keyring, project};

/// The number of tokens in the file: more than one batch of the copy, and not a multiple of the
/// batch size.
pub const TOKENS: usize = 2500;
/// The number of tokens that one call imports.
const BATCH: usize = 50_000;

pub struct World {
    _server: Arc<Server>,
    folder: TempDir,
    pub url: String,
    pub store: SqliteStore,
    /// The text and the key of each token. All tokens are imported and live.
    pub texts: Vec<(String, TokenKey)>,
}

impl World {
    /// Creates a file with [`TOKENS`] tokens and an empty database. Returns `None` if PostgreSQL is
    /// not installed.
    pub async fn new() -> Option<Self> {
        Self::of(TOKENS).await
    }

    pub async fn of(tokens: usize) -> Option<Self> {
        let server = shared()?;
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
        let mut world = Self { url: server.database(), _server: server, folder, store, texts: Vec::new() };
        world.fill(tokens).await;
        Some(world)
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("tokens.db")
    }

    /// Imports this number of tokens in seven projects.
    async fn fill(&mut self, tokens: usize) {
        let mut batch = Vec::new();
        for number in 0..tokens {
            if batch.len() == BATCH {
                self.store.import(std::mem::take(&mut batch)).await.unwrap();
            }
            let owner = OwnerId::new(&base62(number as u64 / 5, 4)).unwrap();
            let name = Name::new(&format!("Öffentlich {number}")).unwrap();
            let new = NewToken::new(project(&format!("p{}", number % 7)), owner, name);
            let minted = mint(&keyring(), &Policy::default(), new, &actor(), SystemClock.now()).unwrap();
            let mut import_key = [0; 32];
            import_key[..8].copy_from_slice(&(number as u64).to_be_bytes());
            self.texts.push((minted.token.expose_secret().to_owned(), minted.record.key()));
            batch.push(ImportRow::new(minted.record, ImportKey::from_bytes(import_key)));
        }
        self.store.import(batch).await.unwrap();
    }

    pub fn from(&self) -> Address {
        Address::Sqlite(self.file())
    }

    pub fn to(&self) -> Address {
        Address::parse(&self.url).unwrap()
    }

    pub async fn moving(&self) -> Result<Move, Failure> {
        Move::between(&self.from(), &self.to(), Progress::silent()).await
    }

    pub async fn postgres(&self) -> PostgresStore {
        PostgresStore::connect(&self.url).await.unwrap()
    }

    /// Returns a connection to PostgreSQL that may write during the move, like the connection that
    /// the move itself uses.
    pub async fn privileged(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql("SET keyfob.copying = 'yes'").execute(&mut connection).await.unwrap();
        connection
    }

    /// Creates a token whose record has a value in every column.
    pub async fn full(&self) -> TokenKey {
        let tokens = Tokens::new(keyring(), self.store.clone());
        let new = NewToken::new(project("p0"), OwnerId::new("ada").unwrap(), Name::new("Ärger").unwrap());
        let first = tokens.issue(&actor(), new).await.unwrap().record;
        let rotation = Rotation::with_grace(Duration::from_secs(60))
            .with_retry(RequestId::new("r1").unwrap(), Duration::from_secs(600));
        let second = tokens.rotate(&actor(), &first.key(), rotation).await.unwrap().issued.record;
        let of_its_own = NewToken::new(project("p0"), first.owner.clone(), first.name.clone());
        let minted = mint(&keyring(), &Policy::default(), of_its_own, &actor(), SystemClock.now()).unwrap().record;
        let record = changed((*second).clone(), |record| {
            record.id = minted.id;
            record.digest = minted.digest;
            record.kind = TokenKind::Service;
            record.scopes = ScopeSet::new("repo:read repo:write").unwrap();
            record.metadata = Metadata::new("{\"a\": 1}").unwrap();
            record.addresses = AddressRanges::new("10.0.0.0/8").unwrap();
            record.not_before = Some(second.created_at);
            record.rotated_to = Some(first.id);
            record.grace_until = Some(second.created_at);
            record.notice_lead = Some(NoticeLead::WEEK);
            record.notice_lease_until = Some(second.created_at);
            record.issuer = Some(Issuer { id: first.id, bound: false });
            record.import_scheme = Some(ImportScheme::new("blake3", "l=32", b"salt").unwrap());
        });
        let key = record.key();
        let import_key = ImportKey::from_bytes([0xff; 32]);
        self.store.import(vec![ImportRow::new(record, import_key)]).await.unwrap();
        // An import refuses bound records, so the test sets this column with SQL.
        let mut connection = SqliteStore::connect_options(self.file()).connect().await.unwrap();
        sqlx::raw_sql("UPDATE keyfob_tokens SET bound = 1 WHERE issuer IS NOT NULL")
            .execute(&mut connection)
            .await
            .unwrap();
        let client = ClientText::of_header(b"git");
        let from = UsedFrom { address: Some("10.0.0.1".parse().unwrap()), client };
        self.store.touch_many(&[LastUse { key, used_at: second.created_at, from: Some(from) }]).await.unwrap();
        let disabled = keyfob::record::Disabled { at: second.created_at, by: actor() };
        self.store.update(&key, 1, keyfob::record::Change::Disable(disabled)).await.unwrap().unwrap();
        tokens.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.unwrap();
        key
    }

    /// Copies the file as a back-up, and returns the path of the copy.
    pub async fn copy_of_file(&self) -> PathBuf {
        let path = self.folder.path().join("back-up.db");
        let mut connection = SqliteStore::connect_options(self.file()).connect().await.unwrap();
        sqlx::query("VACUUM INTO $1").bind(path.to_str().unwrap()).execute(&mut connection).await.unwrap();
        path
    }
}

/// Returns the error message of a step that must fail.
#[track_caller]
pub fn refusal<T>(outcome: Result<T, Failure>) -> String {
    explain(&*outcome.err().expect("the step is refused"))
}

/// The environment variable with the arguments of the tool, one per line. A test sets it for a
/// process of the tool, which is the same test binary.
const ARGUMENTS: &str = "KEYFOB_OPERATOR_ARGUMENTS";
/// The environment variables with the addresses of FROM and TO.
pub const FROM: &str = "KEYFOB_OPERATOR_FROM";
pub const TO: &str = "KEYFOB_OPERATOR_TO";

/// Runs the tool in a process of its own.
#[test]
#[ignore = "run by other tests"]
fn tool() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let code = runtime.block_on(crate::operator::tool::run(arguments.lines().map(str::to_owned)));
    std::process::exit(code.into());
}

/// Returns the command for a process of the tool. The arguments `env:FROM` and `env:TO` stand for
/// the two addresses.
pub fn operator(arguments: &[&str], from: &str, to: &str) -> std::process::Command {
    let arguments =
        arguments.join("\n").replace("env:FROM", &format!("env:{FROM}")).replace("env:TO", &format!("env:{TO}"));
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["operator::world::tool", "--exact", "--ignored", "--nocapture"]);
    command.env(ARGUMENTS, arguments).env(FROM, from).env(TO, to);
    command
}

/// The output of a process of the tool.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the tool to its end.
pub fn run(arguments: &[&str], from: &str, to: &str) -> Ran {
    let output = operator(arguments, from, to).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
