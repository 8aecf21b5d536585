//! The revocation of groups of tokens.

use core::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::changed::Changed;
use super::failure::failed;
use super::handle::PostgresStore;
use super::lease::BEGIN_FOR_TURN;
use super::patience::in_time;
use super::store::{execute, none_left};
use super::turn::lock_turn;
use crate::adapters::sql::POSTGRES;
use crate::adapters::sql::query::and_project;
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{InSteps, push_revoked};
use crate::rules::record::Revocation;
use crate::store::group::BatchResult;
use crate::store::query::PageSize;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// The maximum time for which a group revocation stays at the head of the queue of its project's
/// revocations. After this time, the next revocation in the queue proceeds. The time is shorter
/// than the time limit of the waiting calls.
const STAY: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Revokes the tokens of an owner or a family, or the tokens bound to an issuer, until no token
    /// is left that can still work.
    ///
    /// The revocation works in steps. Each step takes the project's turn (a lock in `keyfob_turns`)
    /// again, so that other calls can take the turn between two steps. The project's other
    /// revocations in this process wait in a queue until this revocation has ended or [`STAY`] has
    /// passed.
    pub(super) async fn revoke_in_steps(
        &self,
        project: &ProjectId,
        group: &InSteps<'_>,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let left = |sql: &mut Statement| group.and_left(&POSTGRES, sql, project, revocation.at);
        // Verification already rejects tokens that are bound to an ended issuer, so no cache needs
        // a notification.
        let told = [Changed::Project(project)];
        let told = if matches!(group, InSteps::BoundTo(_)) { &[][..] } else { &told };
        let mut count = 0;
        loop {
            let mut transaction = in_time(self.begin_group(project.as_str())).await?;
            let since = Instant::now();
            loop {
                let step = in_time(async {
                    let step = revoke_rows(project, revocation, PageSize::MAX, left, &mut transaction).await?;
                    self.commit_step(&mut transaction, told).await?;
                    Ok(step)
                })
                .await?;
                count += step.count;
                if step.done {
                    return Ok(count);
                }
                if since.elapsed() >= STAY {
                    break;
                }
                let has_turn = in_time(async {
                    transaction.begin(BEGIN_FOR_TURN).await.map_err(failed)?;
                    lock_turn(project.as_str(), &mut transaction).await
                });
                if !has_turn.await? {
                    break;
                }
            }
        }
    }

    /// Takes the project's turn (a lock on the project), and revokes up to `most` tokens. `left`
    /// adds conditions to an SQL statement, which then finds only tokens to revoke.
    pub(super) async fn revoke_some(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        left: impl Fn(&mut Statement),
    ) -> Result<BatchResult, StoreError> {
        in_time(async {
            let mut transaction = self.begin_group(project.as_str()).await?;
            let batch = revoke_rows(project, revocation, most, left, &mut transaction).await?;
            self.commit(transaction, &[Changed::Project(project)]).await?;
            Ok(batch)
        })
        .await
    }
}

/// Revokes up to `most` tokens. `left` appends to a statement the conditions that the rows of these
/// tokens must meet. The connection must be in a transaction that holds the project's turn (a lock
/// on the project).
async fn revoke_rows(
    project: &ProjectId,
    revocation: &Revocation,
    most: PageSize,
    left: impl Fn(&mut Statement),
    connection: &mut PgConnection,
) -> Result<BatchResult, StoreError> {
    // PostgreSQL chooses the rows through any index. Then it locks them in ascending order of id,
    // each row through the primary key, and writes each row by its `ctid`. Without statistics on a
    // project, PostgreSQL may assume that the project has one row, and that all indices which begin
    // with the project are equally good. With joins by project and id, it then took 8 s to lock
    // 1,000 of 200,000 rows, and 10 to 17 s to write them.
    let mut sql = Statement::new("WITH first AS MATERIALIZED (SELECT id AS first_id FROM keyfob_tokens WHERE ");
    left(&mut sql);
    sql.push(" LIMIT ").bind(most.get() as i64);
    sql.push(
        "), chosen AS MATERIALIZED (SELECT chosen_place FROM (SELECT first_id FROM first ORDER BY first_id) AS sorted ",
    );
    sql.push("CROSS JOIN LATERAL (SELECT ctid AS chosen_place FROM keyfob_tokens WHERE ");
    and_project(&mut sql, project);
    sql.push(
        " AND id BETWEEN first_id AND first_id AND revoked_at IS NULL ORDER BY id LIMIT 1 FOR UPDATE) AS locked) ",
    );
    sql.push("UPDATE keyfob_tokens SET ");
    push_revoked(&mut sql, revocation).push(" FROM chosen WHERE ");
    and_project(&mut sql, project);
    sql.push(" AND ctid = chosen_place");
    loop {
        let count = execute(sql.clone(), &mut *connection).await?;
        let done = none_left(&left, &mut *connection).await?;
        // If another call changes a row while this statement waits for the row's lock, the row gets
        // a new `ctid`, and this statement does not write it. The next statement does.
        if count > 0 || done {
            return Ok(BatchResult { count, done });
        }
    }
}
