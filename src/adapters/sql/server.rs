//! The calls that the stores on a database server decide alike. Two rules order the calls on one
//! project and prevent deadlocks. A call takes the project's turn (a lock, see turn.rs) if it
//! changes the rows of a group, or if other calls must not add a row meanwhile. A call that locks
//! several rows locks them in ascending order of id.

use core::future::Future;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::access::Access;
use super::calls;
use super::changed::Changed;
use super::groups::revoke_some;
use super::lease::{Engine, Lease};
use super::patience::in_time;
use super::session::{Conditions, Session};
use super::statement::Statement;
use super::turn::pause;
use super::write::{self, InSteps};
use crate::rules::change::Change;
use crate::rules::import_row::ImportRow;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::group::BatchResult;
use crate::store::import::ImportRowOutcome;
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::timestamp::Timestamp;

/// The maximum time for which a group revocation stays at the head of the queue of its project's
/// revocations. After this time, the next revocation in the queue proceeds. The time is shorter
/// than the time limit of the waiting calls.
const STAY: Duration = Duration::from_secs(1);

/// The name of the row in `keyfob_turns` that an import locks. This lock is the turn of imports. No
/// project has this name.
const IMPORTS: &str = "";

/// A store on a database server, whose calls take turns.
pub(in crate::adapters) trait Server: Send + Sync {
    type Engine: Engine;

    fn access(&self) -> &Access<Self::Engine>;

    /// Commits the transaction, and reports the changes. Keeps the call's place in the queue for
    /// another transaction.
    fn commit_step(
        &self,
        transaction: &mut Lease<Self::Engine>,
        changed: &[Changed<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns an error if the insert of this record would exceed the limit on live tokens, or if a
    /// row with the same key exists. Does not take the project's turn.
    fn refuse_by_count(
        &self,
        record: &TokenRecord,
        limit: LiveLimit,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Commits the transaction, reports the changes, and lets the next call in the project's queue
    /// proceed.
    fn commit(
        &self,
        mut transaction: Lease<Self::Engine>,
        changed: &[Changed<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        async move {
            self.commit_step(&mut transaction, changed).await?;
            transaction.leave_line();
            Ok(())
        }
    }

    fn insert_record(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Arc<TokenRecord>, StoreError>> + Send {
        async move {
            let record = Arc::new(record);
            repeated::<Self::Engine, _, _>(|| async {
                let mut transaction = match limit {
                    None if issuer.is_none() => self.access().begin(&record.project).await?,
                    None => self.access().begin_turn(record.project.as_str()).await?,
                    Some(limit) => {
                        self.refuse_by_count(&record, limit).await?;
                        self.access().begin_turn(record.project.as_str()).await?
                    }
                };
                match calls::insert(Self::Engine::session(&mut transaction), &record, limit, issuer).await {
                    Ok(()) => {
                        self.commit(transaction, &[Changed::Token(&record.key())]).await?;
                        Ok(Arc::clone(&record))
                    }
                    Err(error) => transaction.refuse(Err(error)).await,
                }
            })
            .await
        }
    }

    fn update_record(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: &Change,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send {
        repeated::<Self::Engine, _, _>(move || async move {
            let mut transaction = self.access().begin(&key.project).await?;
            let session = Self::Engine::session(&mut transaction);
            match calls::update(session, key, expected_version, change).await {
                Ok(Some(record)) => {
                    self.commit(transaction, &[Changed::Token(key)]).await?;
                    Ok(Some(record))
                }
                outcome => transaction.refuse(outcome).await,
            }
        })
    }

    fn revoke_token(
        &self,
        key: &TokenKey,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send {
        repeated::<Self::Engine, _, _>(move || async move {
            let mut transaction = self.access().begin_revocation(&key.project).await?;
            let session = Self::Engine::session(&mut transaction);
            let record = session.change(key, write::revoke(key, revocation)).await?;
            self.commit(transaction, &[Changed::Token(key)]).await?;
            Ok(record)
        })
    }

    fn rotate_token(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: &TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send {
        repeated::<Self::Engine, _, _>(move || async move {
            // With the turn, no other call revokes a group between the read of the old token and
            // the insert of the new one.
            let mut transaction = self.access().begin_turn(key.project.as_str()).await?;
            let session = Self::Engine::session(&mut transaction);
            match calls::rotate(session, key, expected_version, successor, grace_until, issuer).await {
                Ok(Some((record, changed))) => {
                    let changed: Vec<_> = changed.iter().map(Changed::Token).collect();
                    self.commit(transaction, &changed).await?;
                    Ok(Some(record))
                }
                Ok(None) => transaction.refuse(Ok(None)).await,
                Err(error) => transaction.refuse(Err(error)).await,
            }
        })
    }

    /// Imports a batch. `find` is the query of [`calls::import`].
    fn import_rows(
        &self,
        batch: Vec<ImportRow>,
        find: &'static str,
    ) -> impl Future<Output = Result<Vec<ImportRowOutcome>, StoreError>> + Send {
        async move {
            ImportRow::ensure_unbound(&batch)?;
            let mut outcomes = Vec::with_capacity(batch.len());
            // The turn keeps two batches with the same rows from waiting for each other's locks.
            let mut transaction = in_time(self.access().begin_turn(IMPORTS)).await?;
            for row in &batch {
                let session = Self::Engine::session(&mut transaction);
                outcomes.push(in_time(calls::import(session, row, find)).await?);
            }
            let projects: BTreeSet<_> = batch.iter().map(|row| &row.record.project).collect();
            let changed: Vec<_> = projects.into_iter().map(Changed::Project).collect();
            in_time(self.commit(transaction, &changed)).await?;
            Ok(outcomes)
        }
    }

    /// Revokes the tokens of an owner or a family, or the tokens bound to an issuer, until no token
    /// is left that can still work.
    ///
    /// The revocation works in steps. Each step takes the project's turn (a lock in `keyfob_turns`)
    /// again, so that other calls can take the turn between two steps. The project's other
    /// revocations in this process wait in a queue until this revocation has ended or [`STAY`] has
    /// passed.
    fn revoke_in_steps(
        &self,
        project: &ProjectId,
        group: &InSteps<'_>,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        async move {
            let left = |sql: &mut Statement| {
                group.and_left(<Self::Engine as Engine>::Session::DIALECT, sql, project, revocation.at);
            };
            // Verification already rejects tokens that are bound to an ended issuer, so no cache
            // needs a notification.
            let told = [Changed::Project(project)];
            let told = if matches!(group, InSteps::BoundTo(_)) { &[][..] } else { &told };
            let mut count = 0;
            loop {
                let mut transaction = in_time(self.access().begin_group(project.as_str())).await?;
                let since = Instant::now();
                loop {
                    let step = in_time(async {
                        let session = Self::Engine::session(&mut transaction);
                        let step = revoke_some(session, project, revocation, PageSize::MAX, &left).await?;
                        self.commit_step(&mut transaction, told).await?;
                        Ok(step)
                    })
                    .await;
                    let step = match step {
                        Err(error) if Self::Engine::is_deadlock(&error) => break,
                        step => step?,
                    };
                    count += step.count;
                    if step.done {
                        return Ok(count);
                    }
                    if since.elapsed() >= STAY {
                        break;
                    }
                    let has_turn = in_time(async {
                        transaction.begin(Self::Engine::BEGIN_FOR_TURN).await.map_err(Self::Engine::failed)?;
                        Self::Engine::lock_turn(&mut transaction, project.as_str()).await
                    });
                    if !has_turn.await? {
                        break;
                    }
                }
            }
        }
    }

    /// Takes the project's turn (a lock on the project), and revokes up to `most` tokens that meet
    /// the conditions.
    fn revoke_batch_of(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        left: Conditions<'_>,
    ) -> impl Future<Output = Result<BatchResult, StoreError>> + Send {
        repeated::<Self::Engine, _, _>(move || async move {
            let mut transaction = self.access().begin_group(project.as_str()).await?;
            let session = Self::Engine::session(&mut transaction);
            let batch = revoke_some(session, project, revocation, most, left).await?;
            self.commit(transaction, &[Changed::Project(project)]).await?;
            Ok(batch)
        })
    }
}

/// Runs a call within the time limit. Runs it again if the server has ended its transaction because
/// of a deadlock.
pub(in crate::adapters) async fn repeated<E: Engine, T, F: Future<Output = Result<T, StoreError>>>(
    call: impl Fn() -> F,
) -> Result<T, StoreError> {
    const PAUSE: (u64, u64) = (1, 9);
    in_time(async {
        loop {
            match call().await {
                Err(error) if E::is_deadlock(&error) => tokio::time::sleep(pause(PAUSE)).await,
                done => return done,
            }
        }
    })
    .await
}
