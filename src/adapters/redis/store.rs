//! The token store on Redis. The revocation of groups is in group.rs, and lists and counts are in
//! list.rs.

use std::sync::Arc;

use super::failure::corrupt;
use super::handle::RedisStore;
use super::list::placed;
use super::patience::in_time;
use super::row::{self, Field};
use super::script::{Act, Answer, CHAIN, FIND, INSERT, REVOKE, ROTATE, TOUCH, UPDATE, Word};
use crate::rules::chain::Chain;
use crate::rules::change::Change;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::contract::{ChainResult, ReadResult, TokenStore};
use crate::store::group::{BatchResult, RevokeBatch};
use crate::store::last_use::LastUse;
use crate::store::query::{CountQuery, ListQuery, Page, PageSize};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// The maximum number of last uses that one call of a script writes.
const TOUCHES: usize = 500;

impl TokenStore for RedisStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        let key = record.key();
        let act = self.act(&INSERT, &key.project).arg(key.id.as_str());
        let act = match limit {
            Some(LiveLimit { most, now }) => act.number(most).number(now.as_unix_millis()),
            None => act.arg("").arg(""),
        };
        let act = with_fields(with_issuer(act, issuer), row::fields(&record)?);
        let insert = async {
            self.name_project(&record).await?;
            self.write_behind_fences(&key.project, &act).await
        };
        let answer = in_time(insert).await?;
        match answer.word {
            Word::Done => Ok(Arc::new(record)),
            word => Err(refused(word)),
        }
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let answer = self.servers.read(&FIND.on(&key.project).arg(key.id.as_str())).await?;
        record_if_any(key, answer)
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.find(key).await.map(ReadResult::now)
    }

    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        let act = CHAIN.on(&key.project).arg(key.id.as_str()).number(Chain::MOST + 1);
        let rows = self.servers.read(&act).await?.values();
        let records = rows.map(|row| Ok(Arc::new(placed(key.project, row)?.1)));
        Ok(ChainResult::now(Chain::of(records.collect::<Result<Vec<_>, StoreError>>()?)))
    }

    async fn find_durable(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let act = FIND.on(&key.project).arg(key.id.as_str());
        record_if_any(key, self.servers.write(&act, self.durability).await?)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.page(query).await
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.number_of(query).await
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let act = self.act(&UPDATE, &key.project).arg(key.id.as_str()).number(expected_version);
        let act = with_fields(act, changed_fields(&change));
        record_if_any(key, self.servers.write(&act, self.durability).await?)
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let act = with_revocation(self.act(&REVOKE, &key.project).arg(key.id.as_str()), revocation);
        record_if_any(key, self.servers.write(&act, self.durability).await?)
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_group(project, &format!("owner:{owner}"), revocation).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_group(project, &format!("family:{family}"), revocation).await
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_bound(project, issuer, revocation).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.revoke_some(project, batch, revocation, most).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        if successor.project != key.project {
            // A script can read only one project.
            return match self.find(key).await? {
                Some(_) => Err(StoreErrorKind::Conflict.into()),
                None => Ok(None),
            };
        }
        let act = self.act(&ROTATE, &key.project).arg(key.id.as_str()).number(expected_version);
        let act = act.number(grace_until.as_unix_millis()).arg(successor.id.as_str());
        let act = with_fields(with_issuer(act, issuer), row::fields(&successor)?);
        // The successor may have another owner than the token that it replaces, so the project may
        // be new for this owner.
        let rotate = async {
            self.name_project(&successor).await?;
            self.servers.write(&act, self.durability).await
        };
        record_if_any(key, in_time(rotate).await?)
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        let mut moved = 0;
        for (project, touches) in LastUse::latest(touches) {
            let touches: Vec<_> = touches.into_iter().collect();
            for touches in touches.chunks(TOUCHES) {
                let act = self.act(&TOUCH, &project);
                let act = touches.iter().fold(act, |act, (id, last)| {
                    let act = act.arg(id.as_str()).number(last.used_at.as_unix_millis());
                    row::used_from(last.from.as_ref()).into_iter().fold(act, |act, (_, text)| act.arg(text))
                });
                moved += self.servers.write_to_master(&act).await?.answer.number()?;
            }
        }
        Ok(moved)
    }
}

impl RedisStore {
    /// Adds the project to the set of all projects and to the set of the owner's projects. The
    /// caller must call this function before it inserts the token. If the insert then fails, the
    /// sets name a project without tokens, which the contract of `projects` allows.
    async fn name_project(&self, record: &TokenRecord) -> Result<(), StoreError> {
        for key in [projects_key(None), projects_key(Some(record.owner.as_str()))] {
            let act = Act::plain("ZADD", &key).arg("0").arg(record.project.as_str());
            self.servers.change(&act, self.durability).await?;
        }
        Ok(())
    }
}

/// Returns the key of the set of all projects or, if an owner is given, of the set of the owner's
/// projects.
pub(super) fn projects_key(owner: Option<&str>) -> String {
    match owner {
        Some(owner) => format!("keyfob:projects:{owner}"),
        None => "keyfob:projects".to_owned(),
    }
}

fn with_fields(act: Act, fields: impl IntoIterator<Item = Field>) -> Act {
    fields.into_iter().fold(act, |act, (name, value)| act.arg(name).arg(value))
}

fn with_issuer(act: Act, issuer: Option<IssuerCondition>) -> Act {
    match issuer {
        Some(IssuerCondition { id, version }) => act.arg(id.as_str()).number(version),
        None => act.arg("").arg(""),
    }
}

/// Returns the fields that a change sets. A field with an empty value is cleared.
fn changed_fields(change: &Change) -> Vec<Field> {
    match change {
        Change::Rename(name) => row::name(name).into(),
        Change::Disable(disabled) => {
            vec![row::time("da", Some(disabled.at)), row::text("db", disabled.by.as_str())]
        }
        Change::Enable => vec![row::text("da", ""), row::text("db", "")],
        Change::Confirm => vec![row::text("co", "")],
        Change::EndGrace(at) => vec![row::time("gr", Some(*at))],
        Change::Narrow { scopes, addresses, expires_at } => {
            vec![row::text("sc", scopes.as_str()), row::text("ad", addresses.as_str()), row::time("ex", *expires_at)]
        }
    }
}

pub(super) fn with_revocation(act: Act, revocation: &Revocation) -> Act {
    let Revocation { at, by, reason } = revocation;
    act.number(at.as_unix_millis()).arg(reason.as_str()).arg(by.as_str())
}

/// Returns the record in the reply of a script, or `None` if the script has found no row.
pub(super) fn record_if_any(key: &TokenKey, mut answer: Answer) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    match answer.word {
        Word::Done => Ok(Some(Arc::new(row::record(key, answer.value()?)?))),
        Word::None => Ok(None),
        word => Err(refused(word)),
    }
}

/// Returns the error for the word with which a script refused an operation.
pub(super) fn refused(word: Word) -> StoreError {
    match word {
        Word::Conflict => StoreErrorKind::Conflict.into(),
        Word::Limit => StoreErrorKind::Limit.into(),
        Word::Issuer => StoreErrorKind::IssuerChanged.into(),
        _ => corrupt("a script returned an unexpected word"),
    }
}
