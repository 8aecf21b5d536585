//! The side of a copy on an engine that the tool reads and writes only through the contract of a
//! store. Such an engine has no fence, and the contract cannot write every change of a row: see
//! [`replay`].

use std::collections::BTreeMap;

use keyfob::store::{
    CountQuery, DynStore, ListOrder, ListQuery, PageSize, ProjectsQuery, StoreErrorKind, StoreMaintenance,
};
use keyfob::{ProjectId, TokenRecord, TokenStore};
use tokio::task::JoinSet;

use super::replay;
use super::row::{Key, Row};
use super::side::{Answer, PAGE, Page, Place, Side, Target, Written};
use super::{Failure, refuse};

/// The number of calls of the store that run concurrently.
const CALLS: usize = 32;

/// A side of a copy on a store.
pub struct Contract {
    store: DynStore,
    engine: &'static str,
    /// The id of the store: its address without a password.
    id: String,
    /// The projects that were listed last, and the project after which this list begins.
    listed: (Option<ProjectId>, Vec<ProjectId>),
}

impl Contract {
    pub fn new(store: DynStore, engine: &'static str, id: String) -> Self {
        Self { store, engine, id, listed: (None, Vec::new()) }
    }

    /// Returns the first project after the given project.
    async fn project_after(&mut self, after: Option<ProjectId>) -> Result<Option<ProjectId>, Failure> {
        let (begins, projects) = &self.listed;
        let next = projects.iter().find(|project| Some(**project) > after);
        if *begins <= after
            && let Some(next) = next
        {
            return Ok(Some(*next));
        }
        let query = ProjectsQuery { after, most: PageSize::MAX, ..ProjectsQuery::default() };
        self.listed = (after, self.store.projects(&query).await?);
        Ok(self.listed.1.first().copied())
    }

    /// Returns one list of at most [`PAGE`] records after a position, and the next position.
    async fn list(&mut self, after: &Place) -> Result<(Vec<Row>, Option<Place>), Failure> {
        let project =
            if after.project.is_empty() { self.project_after(None).await? } else { Some(after.project.parse()?) };
        let Some(project) = project else { return Ok((Vec::new(), None)) };
        let mut query = ListQuery::new(project);
        (query.order, query.descending, query.most) = (ListOrder::Created, false, PageSize::MAX);
        query.after.clone_from(&after.cursor);
        let list = self.store.list(&query).await?;
        let rows = list.items.iter().map(|record| Row::of_record(record)).collect::<Result<_, _>>()?;
        let next = match list.next {
            Some(cursor) => Some(Place { cursor: Some(cursor), ..Place::before(project.as_str()) }),
            None => self.project_after(Some(project)).await?.map(|next| Place::before(next.as_str())),
        };
        Ok((rows, next))
    }

    /// Returns the records with these keys that exist.
    async fn find(&self, keys: &[Key]) -> Result<Vec<TokenRecord>, Failure> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(CALLS) {
            let mut calls = JoinSet::new();
            for key in keys {
                let (store, key) = (self.store.clone(), key.parsed()?);
                calls.spawn(async move { store.find(&key).await });
            }
            while let Some(record) = calls.join_next().await {
                found.extend(record??.map(|record| TokenRecord::clone(&record)));
            }
        }
        Ok(found)
    }
}

/// Makes the record of the store equal to `new`, as far as the contract allows. Returns whether
/// the record is equal now.
async fn write(
    store: &DynStore,
    new: &TokenRecord,
    old: Option<TokenRecord>,
    successor: Option<TokenRecord>,
) -> Result<bool, Failure> {
    let Some(old) = old else {
        return match store.insert(new.clone(), None, None).await {
            Ok(stored) => Ok(*stored == *new),
            // A repeat after an interruption: the record was inserted before.
            Err(error) if error.kind() == StoreErrorKind::Conflict => {
                Ok(store.find(&new.key()).await?.is_some_and(|stored| *stored == *new))
            }
            Err(error) => Err(error.into()),
        };
    };
    replay::apply(store, old, new, successor).await
}

fn no_fence<'s, T>(engine: &str) -> Answer<'s, T> {
    let refusal = format!("{engine} has no fence (stop the writes of your services instead)");
    Box::pin(async move { refuse(refusal) })
}

impl Side for Contract {
    fn engine(&self) -> &'static str {
        self.engine
    }

    fn has_fence(&self) -> bool {
        false
    }

    fn take_turn(&mut self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn has_table(&mut self) -> Answer<'_, bool> {
        Box::pin(async { Ok(true) })
    }

    fn count(&mut self) -> Answer<'_, u64> {
        Box::pin(async {
            let (mut count, mut after) = (0, None);
            while let Some(project) = self.project_after(after).await? {
                count += self.store.count(&CountQuery::new(project)).await?;
                after = Some(project);
            }
            Ok(count)
        })
    }

    fn imports(&mut self) -> Answer<'_, u64> {
        // The contract does not list import keys.
        Box::pin(async { Ok(0) })
    }

    fn page<'s>(&'s mut self, after: &'s Place) -> Answer<'s, Page> {
        Box::pin(async move {
            let mut page = Page { rows: Vec::new(), next: Some(after.clone()) };
            // A store with many small projects would otherwise have many small pages.
            while page.rows.len() < PAGE
                && let Some(after) = &page.next
            {
                let (rows, next) = self.list(after).await?;
                page.rows.extend(rows);
                page.next = next;
            }
            Ok(page)
        })
    }

    fn rows<'s>(&'s mut self, keys: &'s [Key]) -> Answer<'s, BTreeMap<Key, Row>> {
        Box::pin(async move {
            let records = self.find(keys).await?;
            let rows = records.iter().map(Row::of_record).collect::<Result<Vec<_>, _>>()?;
            Ok(rows.into_iter().map(|row| (row.key(), row)).collect())
        })
    }

    fn missing<'s>(&'s mut self, keys: &'s [Key]) -> Answer<'s, Vec<Key>> {
        Box::pin(async move {
            let found = self.rows(keys).await?;
            Ok(keys.iter().filter(|key| !found.contains_key(*key)).cloned().collect())
        })
    }

    fn write(&mut self, rows: Vec<Written>) -> Answer<'_, u64> {
        Box::pin(async move {
            let (mut rows, mut unequal) = (rows.into_iter(), 0);
            loop {
                let mut calls = JoinSet::new();
                for row in rows.by_ref().take(CALLS) {
                    let new = row.new.record()?;
                    let old = row.old.map(|old| old.record()).transpose()?;
                    let successor = row.successor.map(|successor| successor.record()).transpose()?;
                    let store = self.store.clone();
                    calls.spawn(async move { write(&store, &new, old, successor).await });
                }
                if calls.is_empty() {
                    return Ok(unequal);
                }
                while let Some(equal) = calls.join_next().await {
                    unequal += u64::from(!equal??);
                }
            }
        })
    }

    fn delete<'s>(&'s mut self, _: &'s [Key]) -> Answer<'s, u64> {
        // The contract deletes only ended tokens, and not chosen ones.
        Box::pin(async { Ok(0) })
    }

    fn analyze(&mut self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn known_id(&mut self) -> Answer<'_, Option<String>> {
        Box::pin(async { Ok(Some(self.id.clone())) })
    }

    fn id(&mut self) -> Answer<'_, String> {
        Box::pin(async { Ok(self.id.clone()) })
    }

    fn target(&mut self) -> Answer<'_, Target> {
        Box::pin(async {
            let (rows, _) = self.list(&Place::default()).await?;
            Ok(if rows.is_empty() { Target::Empty } else { Target::Unfenced })
        })
    }

    fn begin<'s>(&'s mut self, _: &'s str) -> Answer<'s, ()> {
        Box::pin(async { Ok(()) })
    }

    fn set_equal(&mut self, _: bool) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn open_target(&mut self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn is_fenced(&mut self) -> Answer<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    fn fence(&mut self) -> Answer<'_, ()> {
        no_fence(self.engine)
    }

    fn unfence(&mut self) -> Answer<'_, ()> {
        no_fence(self.engine)
    }

    fn close(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async { Ok(()) })
    }
}
