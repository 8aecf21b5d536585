//! The tables of the peers: the table that a service writes itself, and the store of
//! tower-sessions.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use tower_sessions::{MemoryStore, SessionStore, session::Id, session::Record};

use super::{Peer, Texts};
use crate::world::ready;

/// One row: what a service needs to know about a token.
pub struct Row {
    /// The stored hash, if the key of the row is not the hash.
    pub hash: String,
    pub owner: String,
    expires: SystemTime,
}

/// A table that a service writes itself: rows behind a lock, by a key.
pub struct Table<K>(RwLock<HashMap<K, Arc<Row>>>);

impl<K: Hash + Eq> Table<K> {
    /// Creates a table with one row, which expires tomorrow.
    pub fn new(key: K, hash: &str) -> Self {
        let row = Row { hash: hash.to_owned(), owner: "ada".to_owned(), expires: SystemTime::now() + DAY };
        Self(RwLock::new(HashMap::from([(key, Arc::new(row))])))
    }

    /// Returns the row with this key, unless it has expired.
    pub fn live(&self, key: &K) -> Option<Arc<Row>> {
        let row = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()?;
        (SystemTime::now() < row.expires).then_some(row)
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Returns a service that keeps its tokens as sessions in the `MemoryStore` of tower-sessions.
pub fn tower_sessions() -> Peer {
    let store = MemoryStore::default();
    let data = HashMap::from([("owner".to_owned(), "ada".into())]);
    let mut record = Record { id: Id::default(), data, expiry_date: OffsetDateTime::now_utc() + DAY };
    ready(store.create(&mut record)).expect("the store in memory never fails");
    let texts = Texts::new(record.id.to_string(), Id::default().to_string(), 10);
    let verify = move |text: &str| {
        let Ok(id) = text.parse::<Id>() else { return false };
        ready(store.load(&id)).expect("the store in memory never fails").is_some()
    };
    Peer {
        name: "tower-sessions",
        texts,
        verify: Box::new(verify),
        checks: "Expiry. The store holds the secret itself, and a look-up replaces the comparison in constant time. \
                 A typo and a forgery cost a store call.",
    }
}
