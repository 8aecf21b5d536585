//! Revoking groups, and finishing what one call left to others.

use core::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::failure::corrupt;
use super::handle::RedisStore;
use super::patience::{PATIENCE, in_time};
use super::script::{Act, Answer, BATCH, FINISH, GROUP, ISSUED, ROWS, Word};
use super::store::{refused, with_revocation};
use super::walk::sortable;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::group::{BatchResult, RevokeBatch};
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenId};
use crate::words::store_error::StoreError;

/// How long a revocation goes on writing its fence into rows.
const FINISHING: Duration = Duration::from_secs(2);

impl RedisStore {
    /// Revokes an owner or a family: a fence over the rows is the revocation, which is then written into them.
    pub(super) async fn revoke_group(
        &self,
        project: &ProjectId,
        group: &str,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let end = Instant::now() + PATIENCE;
        let act = with_revocation(self.act(&GROUP, project).arg(group), revocation).number(ROWS);
        let mut answer = self.write_behind_fences(project, &act).await?;
        let count = answer.number()?;
        match answer.word {
            Word::Done => {}
            Word::Laid => self.finish_for_a_while(project, group, end).await,
            word => return Err(refused(word)),
        }
        Ok(count)
    }

    /// Writes a fence into the rows under it, as many as there is time for. The fence itself is acknowledged, and every call
    /// honours it. What is left is finished by the next call that the fence is in the way of: a purge of the project, for one.
    async fn finish_for_a_while(&self, project: &ProjectId, group: &str, end: Instant) {
        let end = end.min(Instant::now() + FINISHING);
        if let Ok(Err(error)) = timeout_at(end, self.finish(project, group)).await {
            self.servers.faults.note("cannot finish the revocation of a group, which is in force", &error);
        }
    }

    pub(super) async fn revoke_some(
        &self,
        project: &ProjectId,
        batch: RevokeBatch,
        revocation: &Revocation,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let act = self.act(&BATCH, project);
        let act = match batch {
            RevokeBatch::CreatedBefore(time) => {
                act.arg("standing:created").arg("-").arg(format!("({}", sortable(time.as_unix_millis())))
            }
            RevokeBatch::KeyNumber(number) => {
                let first = number.as_char();
                let behind = number.char_behind();
                act.arg("standing:id").arg(format!("[{first}")).arg(format!("({behind}"))
            }
        };
        let act = with_revocation(act, revocation).number(most.get().min(ROWS));
        counted(self.write_behind_fences(project, &act).await?)
    }

    /// Revokes what is bound to a token, some at a time.
    pub(super) async fn revoke_bound(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let act = with_revocation(self.act(&ISSUED, project).arg(issuer.as_str()), revocation);
        let cut = revocation.at.saturating_sub(TokenRecord::REVOCATION_MARGIN);
        let act = act.number(cut.as_unix_millis()).number(ROWS);
        let mut count = 0;
        loop {
            let step = counted(self.servers.write(&act, self.durability).await?)?;
            count += step.count;
            if step.done {
                return Ok(count);
            }
        }
    }

    /// Does an operation before which some fences have to be gone. There are seldom any. If there is not time enough to finish
    /// them, a repeat goes on where this one ended.
    pub(super) async fn write_behind_fences(&self, project: &ProjectId, act: &Act) -> Result<Answer, StoreError> {
        in_time(async {
            loop {
                let applied = self.servers.write_to_master(act).await?;
                if applied.answer.word != Word::Fenced {
                    return self.servers.confirm(act, applied, self.durability).await;
                }
                for group in applied.answer.values() {
                    let group: String = redis::from_redis_value(group).map_err(corrupt)?;
                    self.finish(project, &group).await?;
                }
            }
        })
        .await
    }

    /// Writes a fence into all rows under it, and takes it away.
    ///
    /// It waits for no replica: on one that lacks the last of these writes, the fence is still there.
    async fn finish(&self, project: &ProjectId, group: &str) -> Result<(), StoreError> {
        let act = self.act(&FINISH, project).arg(group).number(ROWS);
        while self.servers.write_to_master(&act).await?.answer.word == Word::More {}
        Ok(())
    }
}

/// How many rows were changed, and whether any is left.
pub(super) fn counted(mut answer: Answer) -> Result<BatchResult, StoreError> {
    match answer.word {
        Word::Done => Ok(BatchResult { count: answer.number()?, done: answer.number()? == 0 }),
        word => Err(refused(word)),
    }
}
