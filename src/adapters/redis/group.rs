//! Revoking groups, and finishing what one call left to others.

use super::RedisStore;
use super::failure::corrupt;
use super::list::sortable;
use super::script::{Act, Answer, BATCH, FINISH, GROUP, Word};
use super::store::{refused, with_revocation};
use crate::rules::record::Revocation;
use crate::service::query::PageSize;
use crate::service::store::{Batch, RevokeBatch};
use crate::service::store_error::StoreError;
use crate::words::ids::ProjectId;

/// The most rows that one script changes, so that none runs for more than a few ten milliseconds: a server does nothing else
/// meanwhile, and one that is silent for too long is taken for dead by its cluster.
pub(super) const ROWS: usize = 250;

impl RedisStore {
    /// Revokes an owner or a family: a fence over the rows is the revocation, which is then written into them.
    pub(super) async fn revoke_group(
        &self,
        project: &ProjectId,
        group: &str,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let act = with_revocation(self.act(&GROUP, project).arg(group), revocation).number(ROWS);
        let mut answer = self.write_behind_fences(project, &act).await?;
        let count = answer.number()?;
        match answer.word {
            Word::Done => {}
            // The act is done. Where this fails, somebody else will finish it, and until then every call honours the fence.
            Word::Laid => self.finish(project, group).await.unwrap_or_default(),
            word => return Err(refused(word)),
        }
        Ok(count)
    }

    pub(super) async fn revoke_some(
        &self,
        project: &ProjectId,
        batch: RevokeBatch,
        revocation: &Revocation,
        most: PageSize,
    ) -> Result<Batch, StoreError> {
        let act = self.act(&BATCH, project);
        let act = match batch {
            RevokeBatch::CreatedBefore(time) => {
                act.arg("standing:created").arg("-").arg(format!("({}", sortable(time.as_unix_millis())))
            }
            RevokeBatch::KeyNumber(number) => {
                let first = number.as_char();
                let behind = char::from_u32(u32::from(first) + 1).unwrap_or(char::MAX);
                act.arg("standing:id").arg(format!("[{first}")).arg(format!("({behind}"))
            }
        };
        let act = with_revocation(act, revocation).number(most.get().min(ROWS));
        counted(self.write_behind_fences(project, &act).await?)
    }

    /// Does an act before which some fences have to be gone. There are seldom any.
    pub(super) async fn write_behind_fences(&self, project: &ProjectId, act: &Act) -> Result<Answer, StoreError> {
        loop {
            let answer = self.servers.write(act).await?;
            if answer.word != Word::Fenced {
                return Ok(answer);
            }
            for group in answer.values() {
                let group: String = redis::from_redis_value(group).map_err(corrupt)?;
                self.finish(project, &group).await?;
            }
        }
    }

    /// Writes a fence into all rows under it, and takes it away.
    async fn finish(&self, project: &ProjectId, group: &str) -> Result<(), StoreError> {
        let act = self.act(&FINISH, project).arg(group).number(ROWS);
        while self.servers.write(&act).await?.word == Word::More {}
        Ok(())
    }
}

/// How many rows were changed, and whether any is left.
pub(super) fn counted(mut answer: Answer) -> Result<Batch, StoreError> {
    match answer.word {
        Word::Done => Ok(Batch { count: answer.number()?, done: answer.number()? == 0 }),
        word => Err(refused(word)),
    }
}
