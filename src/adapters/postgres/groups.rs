//! Revoking groups.

use super::store::{and_chosen, execute, none_left};
use super::{Changed, PostgresStore, in_time};
use crate::adapters::sql::POSTGRES;
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{and_can_still_work, push_revoked};
use crate::rules::record::Revocation;
use crate::service::query::PageSize;
use crate::service::store::{Batch, RevokeGroup};
use crate::service::store_error::StoreError;
use crate::words::ids::ProjectId;

impl PostgresStore {
    /// Revokes an owner's or a family's tokens step by step, until a step finds none that can still work.
    pub(super) async fn revoke_in_steps(
        &self,
        project: &ProjectId,
        group: &RevokeGroup,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let left = |sql: &mut Statement| and_can_still_work(&POSTGRES, sql, project, group, revocation.at);
        let mut count = 0;
        loop {
            let step = self.revoke_some(project, revocation, PageSize::MAX, left).await?;
            count += step.count;
            if step.done {
                return Ok(count);
            }
        }
    }

    /// Revokes some of the rows that meet the conditions, with the project's turn.
    pub(super) async fn revoke_some(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        left: impl Fn(&mut Statement),
    ) -> Result<Batch, StoreError> {
        in_time(async {
            // Some are chosen as an index gives them, then locked by ascending id.
            let mut sql = Statement::new("WITH first AS MATERIALIZED (SELECT id AS first_id FROM keyfob_tokens WHERE ");
            left(&mut sql);
            sql.push(" LIMIT ").bind(most.get() as i64);
            sql.push(
                "), chosen AS MATERIALIZED (SELECT id AS chosen_id FROM keyfob_tokens JOIN first ON id = first_id WHERE ",
            );
            left(&mut sql);
            sql.push(" ORDER BY id FOR UPDATE OF keyfob_tokens) UPDATE keyfob_tokens SET ");
            push_revoked(&mut sql, revocation).push(" FROM chosen WHERE ");
            and_chosen(&mut sql, project);
            let mut transaction = self.begin_turn(project.as_str()).await?;
            let count = execute(sql, &mut transaction).await?;
            let done = none_left(&left, &mut transaction).await?;
            self.commit(transaction, &[Changed::Project(project)]).await?;
            Ok(Batch { count, done })
        })
        .await
    }
}
