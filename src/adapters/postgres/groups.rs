//! The revocation of groups.

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

/// The time that a revocation stays at the head of its project's line of revocations. After that,
/// the next call in line proceeds. The time limit of the waiting calls is longer.
const STAY: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Revokes the tokens of an owner or a family, or the tokens bound to an issuer, until none is
    /// left that can still work.
    ///
    /// Each step takes the project's turn anew, so other calls can proceed between two steps, at
    /// most one of each process. Other revocations of this process wait meanwhile.
    pub(super) async fn revoke_in_steps(
        &self,
        project: &ProjectId,
        group: &InSteps<'_>,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let left = |sql: &mut Statement| group.and_left(&POSTGRES, sql, project, revocation.at);
        // Tokens bound to an ended issuer are refused already, so no cache needs a notification.
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

    /// Revokes up to `most` of the rows that meet the conditions, with the project's turn.
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

/// Revokes up to `most` of the rows that meet the conditions. The transaction must have the
/// project's turn.
async fn revoke_rows(
    project: &ProjectId,
    revocation: &Revocation,
    most: PageSize,
    left: impl Fn(&mut Statement),
    connection: &mut PgConnection,
) -> Result<BatchResult, StoreError> {
    // The rows are chosen through any index and then locked in ascending order of id. Each row is
    // locked through the primary key and written by its `ctid`. Without statistics on a project,
    // PostgreSQL may assume that it has one row, and that all indices which begin with the project
    // are equally good. Joins by project and id of 1,000 of 200,000 rows then took 8 s to lock and
    // 10 to 17 s to write.
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
        // A row that another call changed while this one waited for its lock has a new `ctid`. The
        // next statement writes it.
        if count > 0 || done {
            return Ok(BatchResult { count, done });
        }
    }
}
