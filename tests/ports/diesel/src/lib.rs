//! A token store over diesel-async, as a template for services whose database belongs to diesel.
//!
//! The store uses the table `keyfob_tokens` of keyfob's migrations for PostgreSQL. Three rules keep
//! the laws of the store contract:
//!
//! - **Turns.** Every write first takes the turn of its project, a lock that it holds until its
//!   transaction ends. So the write may read records, decide with keyfob's own rules, and write:
//!   nothing changes in between. The price is that a project writes one thing at a time.
//! - **Tasks.** Every write runs in a task of its own. If its caller drops the call, the write
//!   still ends as a whole.
//! - **Time limits.** Every call fails after 5 seconds. The server ends a statement or an idle
//!   transaction that takes longer, and thereby releases the turn.
//!
//! The statements are raw SQL, because diesel's query builder needs a field for each of the 38
//! columns. diesel prepares raw SQL at each call, which takes one more round trip. Put the store
//! into a `Cached` store if this matters.
//!
//! To use it, copy `lib.rs`, `row.rs` and `maintenance.rs` into a crate of their own, with the
//! dependencies in the `Cargo.toml` beside them. The store needs only the table `keyfob_tokens`. It
//! does not use the other tables of the migrations, but create them all the same, so that later
//! migrations apply. There is no `check_schema`: run the conformance kit in your tests instead.
//!
//! `insert` with a limit loads every unrevoked token of the owner and of the issuer, so that
//! keyfob's own rule can count them. If owners have many tokens, count them in SQL.

mod maintenance;
mod row;

use std::sync::Arc;
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncPgConnection as Connection, RunQueryDsl, SimpleAsyncConnection};
use keyfob::store::StoreErrorKind::{Conflict, Corrupt, IssuerChanged, Limit, Other, Unavailable};
use keyfob::{
    OwnerId, ProjectId, Timestamp, TokenId, TokenKey, TokenRecord, TokenStore,
    record::{Change, Revocation},
    store::{
        BatchResult, CountQuery, Cursor, IssuerCondition, LastUse, ListQuery, LiveLimit, Page, PageSize, RevokeBatch,
        StoreError, StoreErrorKind,
    },
};

use crate::row::{Value, bind, insert, records, save, scan};

const PATIENCE: Duration = Duration::from_secs(5);

/// The time limits of the server for a transaction.
const LIMITS: &str = "SET LOCAL lock_timeout = '4s'; SET LOCAL statement_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// Takes the turn of a project. Any lock that lasts until the end of the transaction would do.
const TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('keyfob ' || $1, 0))";

/// A token store on a diesel pool. A clone shares the pool.
#[derive(Clone)]
pub struct DieselStore {
    pool: Pool<Connection>,
}

/// The error of a call. diesel's transactions need a type that diesel's errors convert to.
#[derive(Debug)]
pub(crate) struct Fault(StoreError);

pub(crate) type Outcome<T> = Result<T, Fault>;

/// A part of a call: an async closure whose future is `Send`. Rust has no shorter name for this
/// yet.
trait Act<C, T>: AsyncFnOnce(C) -> Outcome<T> + FnOnce(C) -> <Self as Act<C, T>>::Future {
    type Future: Future<Output = Outcome<T>>;
}

impl<F, C, T, R> Act<C, T> for F
where
    F: AsyncFnOnce(C) -> Outcome<T> + FnOnce(C) -> R,
    R: Future<Output = Outcome<T>>,
{
    type Future = R;
}

impl DieselStore {
    /// Creates a store on a pool of the service. Run keyfob's migrations before.
    #[must_use]
    pub fn new(pool: Pool<Connection>) -> Self {
        Self { pool }
    }

    async fn read<T>(
        &self,
        act: impl AsyncFnOnce(&mut Connection) -> Outcome<T> + for<'c> Act<&'c mut Connection, T, Future: Send>,
    ) -> Result<T, StoreError> {
        let read = async {
            let mut connection = self.pool.get().await.map_err(|error| StoreError::with_source(Unavailable, error))?;
            act(&mut connection).await.map_err(|Fault(error)| error)
        };
        tokio::time::timeout(PATIENCE, read).await.map_err(|late| StoreError::with_source(Unavailable, late))?
    }

    /// Runs a write in its own task and transaction, with the turn of the project.
    async fn write<T: Send + 'static>(
        &self,
        project: ProjectId,
        act: impl AsyncFnOnce(&mut Connection) -> Outcome<T>
        + for<'c> Act<&'c mut Connection, T, Future: Send>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let write = async move {
            let in_turn = async move |connection: &mut Connection| {
                connection.batch_execute(LIMITS).await?;
                sql_query(TURN).bind::<Text, _>(project.as_str()).execute(connection).await?;
                act(connection).await
            };
            // At another isolation level, a statement might not see what the last holder of the
            // turn has committed.
            let run = async move |connection: &mut Connection| {
                connection.build_transaction().read_committed().run(in_turn).await
            };
            store.read(run).await
        };
        tokio::spawn(write).await.map_err(|panic| StoreError::with_source(Other, panic))?
    }

    /// Revokes records that meet a condition on the value `$2`, and that are not revoked yet.
    async fn revoke_some(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        condition: &'static str,
        value: Value,
    ) -> Result<BatchResult, StoreError> {
        const REVOKE: &str = "UPDATE keyfob_tokens SET revoked_at = $1, revoked_by = $2, revoked_reason = $3, \
             version = least(version, 9223372036854775806) + 1 WHERE project = $4 AND id = ANY($5)";
        let (project, revocation) = (*project, revocation.clone());
        self.write(project, async move |connection| {
            let sql = format!("project = $1 AND revoked_at IS NULL AND {condition} LIMIT {}", most.get() + 1);
            let sql = bind(sql_query(row::select(&sql)).into_boxed(), Value::from(project.as_str()));
            let found = records(connection, bind(sql, value)).await?;
            let ids: Vec<&str> = found.iter().take(most.get()).map(|record| record.id.as_str()).collect();
            let sql = sql_query(REVOKE).bind::<BigInt, _>(revocation.at.as_unix_millis());
            let sql = sql.bind::<Text, _>(revocation.by.as_str()).bind::<Text, _>(revocation.reason.as_str());
            let sql = sql.bind::<Text, _>(project.as_str()).bind::<Array<Text>, _>(&ids);
            let count = sql.execute(connection).await? as u64;
            Ok(BatchResult { count, done: found.len() <= most.get() })
        })
        .await
    }

    /// Revokes the records that meet a condition and can still work, in steps of 1,000. Each step
    /// selects among all records again, and so finds a successor that was inserted meanwhile.
    async fn revoke_group(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        condition: &'static str,
        value: &str,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let step = self.revoke_some(project, revocation, PageSize::MAX, condition, value.into()).await?;
            count += step.count;
            if step.done {
                return Ok(count);
            }
        }
    }
}

/// Returns the record with this key, if there is one.
pub(crate) async fn find(connection: &mut Connection, key: TokenKey) -> Outcome<Option<TokenRecord>> {
    let sql = sql_query(row::select("project = $1 AND id = $2")).into_boxed();
    let sql = bind(bind(sql, key.project.as_str().into()), key.id.as_str().into());
    Ok(records(connection, sql).await?.pop())
}

/// Returns the record with this id in the project of `key`, if an id is given and the record
/// exists.
async fn near(connection: &mut Connection, key: TokenKey, id: Option<TokenId>) -> Outcome<Option<TokenRecord>> {
    match id {
        Some(id) => find(connection, TokenKey { id, ..key }).await,
        None => Ok(None),
    }
}

async fn check_issuer(connection: &mut Connection, key: TokenKey, issuer: Option<IssuerCondition>) -> Outcome<()> {
    let found = near(connection, key, issuer.map(|condition| condition.id)).await?;
    let holds = issuer.is_none_or(|condition| condition.holds(found.as_ref()));
    if holds { Ok(()) } else { Err(IssuerChanged.into()) }
}

impl TokenStore for DieselStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        const COUNTED: &str = "project = $1 AND revoked_at IS NULL AND (owner = $2 OR issuer = $3)";
        self.write(record.project, async move |connection| {
            let key = record.key();
            if find(connection, key).await?.is_some() {
                return Err(Conflict.into());
            }
            if let Some(limit) = limit {
                let sql = sql_query(row::select(COUNTED)).into_boxed();
                let sql = bind(bind(sql, key.project.as_str().into()), record.owner.as_str().into());
                let issuer = record.issuer.as_ref().map(|issuer| issuer.id.as_str());
                let others = records(connection, bind(sql, issuer.into())).await?;
                if !limit.has_room_for(&record, &others) {
                    return Err(Limit.into());
                }
            }
            check_issuer(connection, key, issuer).await?;
            insert(connection, &record).await?;
            Ok(Arc::new(record))
        })
        .await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let key = *key;
        self.read(async move |connection| Ok(find(connection, key).await?.map(Arc::new))).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        let after = query.checked_after().map_err(|error| StoreError::with_source(Other, error))?.cloned();
        let query = query.clone();
        self.read(async move |connection| {
            let (most, mut items) = (query.most.get(), Vec::new());
            let keep = |record: TokenRecord| {
                if query.matches(&record) {
                    items.push(Arc::new(record));
                }
                items.len() <= most
            };
            scan(connection, &query, after, keep).await?;
            let more = items.len() > most;
            items.truncate(most);
            let next = items.last().filter(|_| more).map(|last| Cursor::of(last, query.order));
            Ok(Page { items, next })
        })
        .await
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        let query = query.clone();
        self.read(async move |connection| {
            let all = ListQuery { owner: query.owner.clone(), ..ListQuery::new(query.project) };
            let mut count = 0;
            let keep = |record: TokenRecord| {
                count += u64::from(query.matches(&record));
                true
            };
            scan(connection, &all, None, keep).await?;
            Ok(count)
        })
        .await
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let key = *key;
        self.write(key.project, async move |connection| {
            let Some(mut record) = find(connection, key).await? else { return Ok(None) };
            if record.version != expected_version {
                return Err(Conflict.into());
            }
            record.apply(change);
            save(connection, &record).await?;
            Ok(Some(Arc::new(record)))
        })
        .await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let (key, revocation) = (*key, revocation.clone());
        self.write(key.project, async move |connection| {
            let Some(mut record) = find(connection, key).await? else { return Ok(None) };
            if record.revoke(&revocation) {
                save(connection, &record).await?;
            }
            Ok(Some(Arc::new(record)))
        })
        .await
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_group(project, revocation, "owner = $2", owner.as_str()).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_group(project, revocation, "family = $2", family.as_str()).await
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_group(project, revocation, "bound = 1 AND issuer = $2", issuer.as_str()).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let (condition, value) = match batch {
            RevokeBatch::CreatedBefore(time) => ("created_at < $2", Value::Number(Some(time.as_unix_millis()))),
            RevokeBatch::KeyNumber(number) => ("left(id, 1) = $2", Value::Text(Some(number.as_char().to_string()))),
        };
        self.revoke_some(project, revocation, most, condition, value).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let key = *key;
        self.write(key.project, async move |connection| {
            let Some(mut old) = find(connection, key).await? else { return Ok(None) };
            let predecessor = near(connection, key, old.rotated_from).await?;
            let earlier = near(connection, key, old.rotated_to).await?;
            let may = old.may_rotate(expected_version, &successor, predecessor.as_ref(), earlier.as_ref());
            if !may || find(connection, successor.key()).await?.is_some() {
                return Err(Conflict.into());
            }
            check_issuer(connection, key, issuer).await?;
            if let Some(mut earlier) = earlier {
                earlier.revoke(&Revocation::superseded_by(&successor));
                save(connection, &earlier).await?;
            }
            insert(connection, &successor).await?;
            old.rotate_to(successor.id, grace_until);
            save(connection, &old).await?;
            Ok(Some(Arc::new(old)))
        })
        .await
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        const TOUCH: &str = "UPDATE keyfob_tokens SET last_used_at = used_at, last_used_address = address, \
             last_used_client = client \
             FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) AS touch (touched, used_at, address, client) \
             WHERE project = $1 AND id = touched AND (last_used_at IS NULL OR last_used_at < used_at)";
        let mut changed = 0;
        for (project, uses) in LastUse::latest(touches) {
            let (mut ids, mut times, mut addresses, mut clients) = (vec![], vec![], vec![], vec![]);
            for (id, LastUse { used_at, from, .. }) in uses {
                ids.push(id.as_str().to_owned());
                times.push(used_at.as_unix_millis());
                addresses.push(from.as_ref().and_then(|from| from.address).map(|address| address.to_string()));
                clients.push(from.as_ref().and_then(|from| from.client.as_ref()).map(|text| text.as_str().to_owned()));
            }
            changed += self
                .write(project, async move |connection| {
                    let sql = sql_query(TOUCH).bind::<Text, _>(project.as_str()).bind::<Array<Text>, _>(ids);
                    let sql = sql.bind::<Array<BigInt>, _>(times).bind::<Array<Nullable<Text>>, _>(addresses);
                    Ok(sql.bind::<Array<Nullable<Text>>, _>(clients).execute(connection).await? as u64)
                })
                .await?;
        }
        Ok(changed)
    }
}

impl From<StoreErrorKind> for Fault {
    fn from(kind: StoreErrorKind) -> Self {
        Self(kind.into())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Conflict,
            Error::DatabaseError(DatabaseErrorKind::CheckViolation | DatabaseErrorKind::NotNullViolation, _) => Other,
            Error::DeserializationError(_) => Corrupt,
            // diesel does not report the SQLSTATE. A time limit, a full disk and a shutdown of the
            // server have no kind of their own.
            _ => Unavailable,
        };
        Self(StoreError::with_source(kind, error))
    }
}
