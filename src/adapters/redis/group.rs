//! The revocation of groups of tokens. If an earlier call did not finish its revocation, the
//! functions of this module finish it.

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

/// The maximum time that a call spends on writing the revocation of a large group into the rows of
/// the group.
const FINISHING: Duration = Duration::from_secs(2);

impl RedisStore {
    /// Revokes the tokens of an owner or a family. For a large group, the function first writes one
    /// entry, called a fence, which makes every token of the group count as revoked. Then it writes
    /// the revocation into each row.
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

    /// Writes the revocation of a group into its rows. Stops when all rows are written, when
    /// [`FINISHING`] has passed, or at `end`, which is the time limit of the call.
    ///
    /// The group must already have a fence: an acknowledged entry that makes every call treat the
    /// rows of the group as revoked. So if rows are left, they count as revoked, too. Some
    /// operations, such as a purge of the project, cannot run while there is a fence. The next such
    /// operation first writes the revocation into the rows that are left.
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

    /// Revokes the tokens that are bound to an issuer, in steps of up to [`ROWS`] rows.
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

    /// Runs an operation that fences may block. A fence is the revocation of a group that is not
    /// yet written into all rows of the group. If fences block the operation, which is rare, this
    /// function first writes their revocations into the rows. If the time limit ends this work, a
    /// repeat of the operation continues it.
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

    /// Writes the revocation of a group into all rows of the group, and then removes the fence of
    /// the group. The fence is a stored entry: as long as it exists, all rows of the group count as
    /// revoked.
    ///
    /// This function does not wait for replicas. Its last write removes the fence. A replica that
    /// lacks this write still has the fence, so the rows count as revoked there, too.
    async fn finish(&self, project: &ProjectId, group: &str) -> Result<(), StoreError> {
        let act = self.act(&FINISH, project).arg(group).number(ROWS);
        while self.servers.write_to_master(&act).await?.answer.word == Word::More {}
        Ok(())
    }
}

/// Returns the number of rows that a script has changed, and whether no row is left to change.
pub(super) fn counted(mut answer: Answer) -> Result<BatchResult, StoreError> {
    match answer.word {
        Word::Done => Ok(BatchResult { count: answer.number()?, done: answer.number()? == 0 }),
        word => Err(refused(word)),
    }
}
