//! The maintenance operations of the Redis store: listing projects, purging tokens, finding ended
//! issuers and claiming notices.

use std::sync::Arc;

use super::failure::corrupt;
use super::group::counted;
use super::handle::RedisStore;
use super::list::placed;
use super::script::{ACKNOWLEDGE, Act, CLAIM, ENDED, PURGE, PURGEABLE, ROWS, Word};
use super::store::{projects_key, record_if_any, refused};
use super::walk::{Walk, sortable};
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::TokenRecord;
use crate::store::group::BatchResult;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::order::ListOrder;
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::timestamp::Timestamp;

impl StoreMaintenance for RedisStore {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        // The result may have projects without the work that the query names.
        let ProjectsQuery { owner, with: _, after, most } = query;
        let key = projects_key(owner.as_ref().map(|owner| owner.as_str()));
        let from = after.as_ref().map_or("-".to_owned(), |after| format!("({after}"));
        let act = Act::plain("ZRANGEBYLEX", &key).arg(from).args(["+", "LIMIT", "0"]).number(most.get());
        let projects: Vec<String> = redis::from_redis_value(self.servers.ask(&act).await?).map_err(corrupt)?;
        projects.iter().map(|project| ProjectId::new(project).map_err(corrupt)).collect()
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        // Without this check, a purge that deletes nothing would still wait for the replicas, and
        // this wait writes a key.
        let purgeable = PURGEABLE.on(project).number(ended_before.as_unix_millis());
        if self.servers.read(&purgeable).await?.number()? == 0 {
            return Ok(BatchResult { count: 0, done: true });
        }
        let act = self.act(&PURGE, project).number(ended_before.as_unix_millis()).number(most.get().min(ROWS));
        counted(self.write_behind_fences(project, &act).await?)
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        let cut = now.saturating_sub(TokenRecord::REVOCATION_MARGIN).as_unix_millis();
        let (mut found, mut from) = (Vec::new(), "-".to_owned());
        loop {
            let act = self.act(&ENDED, project).arg(&from).number(now.as_unix_millis()).number(cut).number(ROWS);
            let answer = self.servers.write_to_master(&act).await?.answer;
            if answer.word != Word::Done {
                return Err(refused(answer.word));
            }
            let mut ids = answer.values().map(|id| redis::from_redis_value::<String>(id).map_err(corrupt));
            let last = ids.next().unwrap_or_else(|| Err(corrupt("a script returned too few values")))?;
            for id in ids {
                found.push(TokenId::new(&id?).map_err(corrupt)?);
            }
            if last.is_empty() || found.len() >= most.get() {
                found.truncate(most.get());
                return Ok(found);
            }
            from = format!("({last}");
        }
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let mut claimed: Vec<Arc<TokenRecord>> = Vec::new();
        loop {
            let is_due = |record: &TokenRecord| {
                let free = record.notice_lease_until.is_none_or(|lease| lease <= now);
                free && record.due_notice(leads, now).is_some() && claimed.iter().all(|claimed| claimed.id != record.id)
            };
            let left = (most.get() - claimed.len()).min(ROWS);
            let due = self.matching(expiring(*project, leads, now), left, is_due).await?;
            if due.is_empty() {
                return Ok(claimed);
            }
            // This process has decided which notices are due. The script claims a notice only if
            // its row has not been changed or claimed since the row was read.
            let act = self.act(&CLAIM, project).number(lease_until.as_unix_millis());
            let act =
                due.iter().fold(act, |act, due| act.arg(due.id.as_str()).number(due.version).number(due.notice_leases));
            let answer = self.servers.write_to_master(&act).await?.answer;
            if answer.word != Word::Done {
                return Err(refused(answer.word));
            }
            for row in answer.values() {
                claimed.push(Arc::new(placed(*project, row)?.1));
            }
            if claimed.len() >= most.get() {
                return Ok(claimed);
            }
        }
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let act = self.act(&ACKNOWLEDGE, &key.project).arg(key.id.as_str()).number(lead.as_millis());
        record_if_any(key, self.servers.write(&act, self.durability).await?)
    }
}

/// Returns a walk (a range of an index) along the tokens that expire soon enough for a notice, in
/// the order of their expiry.
fn expiring(project: ProjectId, leads: &[NoticeLead], now: Timestamp) -> Walk {
    let until = leads.iter().map(|lead| lead.horizon(now)).max().unwrap_or(now).as_unix_millis();
    let mut walk = Walk::along(project, None, ListOrder::Expires);
    walk.from = format!("[{}", sortable(now.as_unix_millis() + 1)).into_bytes();
    walk.to = format!("({}", sortable(until + 1)).into_bytes();
    walk
}
