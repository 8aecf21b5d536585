//! The operations that read the records for a verification, from the cache or the store.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use super::cached::Cached;
use super::counts::Counters;
use super::deadline::within;
use super::held::Held;
use super::protocol::Since;
use super::shards::{Answer, Flight, Found, Looked};
use crate::store::contract::{ChainResult, ReadResult, TokenStore};
use crate::words::ids::TokenKey;
use crate::words::store_error::{StoreError, StoreErrorKind};

impl<S: TokenStore> Cached<S> {
    /// Returns a record from the cache. If the cache has no fresh record, reads it from the store.
    pub(super) async fn recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        match self.look(key) {
            Ok(held) => Ok(held),
            Err(flight) => self.wait_for(key, flight).await,
        }
    }

    /// Returns the record from the cache, or `None` if the cache has no fresh record.
    #[inline]
    pub(super) fn held(&self, key: &TokenKey) -> Option<ReadResult> {
        let cache = &*self.cache;
        if cache.bound.is_zero() { None } else { cache.shards.held(key, cache.now()) }
    }

    /// Returns the record from the cache. If the cache has no fresh record, returns `Err` with the
    /// shared store call to wait for. If the bound is zero, returns `Err(None)`, because the caller
    /// then calls the store directly.
    #[inline]
    pub(super) fn look(&self, key: &TokenKey) -> Result<ReadResult, Option<Arc<Flight>>> {
        let cache = &*self.cache;
        if cache.bound.is_zero() {
            return Err(None);
        }
        match cache.shards.look(key, cache.now()) {
            Looked::Held(held) => Ok(held),
            Looked::Join(flight) => {
                Counters::add(&cache.counters.joined);
                Err(Some(flight))
            }
            Looked::Start(flight) => Err(Some(flight)),
        }
    }

    /// Waits for a shared call to the store and returns its record. If `flight` is `None`, calls
    /// the store directly.
    pub(super) async fn wait_for(&self, key: &TokenKey, flight: Option<Arc<Flight>>) -> Result<ReadResult, StoreError> {
        let cache = &*self.cache;
        let Some(flight) = flight else { return self.store.find(key).await.map(ReadResult::now) };
        let waiting = Waiting { cache, key, flight };
        let answer = waiting.flight.answer.get_or_init(|| self.ask(key, &waiting.flight));
        let Some(answer) = within(self.patience, answer).await else {
            Counters::add(&cache.counters.given_up);
            cache.shards.give_up(key, &waiting.flight);
            return Err(StoreError::with_source(StoreErrorKind::Unavailable, NoAnswer));
        };
        let Answer { since, found } = answer.clone();
        let found = found.map_err(|error| StoreError::with_source(error.kind(), error))?;
        let age = cache.age(since);
        if age > cache.bound {
            return Err(StoreError::with_source(StoreErrorKind::Unavailable, TooOld));
        }
        Ok(ReadResult { record: found, age })
    }

    /// Calls the store. Puts the record into the cache, unless the record was changed during the
    /// call.
    async fn ask(&self, key: &TokenKey, flight: &Arc<Flight>) -> Answer {
        Counters::add(&self.cache.counters.misses);
        let (since, found) = self.ask_store(key).await;
        let found = found.map_err(Arc::new);
        match &found {
            Ok(found) if !self.cache.shards.land(key, flight, found, since) => {
                Counters::add(&self.cache.counters.fills_lost);
            }
            Ok(_) => {}
            Err(_) => self.cache.shards.end(key, flight),
        }
        Answer { since, found }
    }

    /// Reads a token and its issuers by one call to the store. This call is not shared, and the
    /// cache keeps none of the records.
    pub(super) async fn ask_for_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        let cache = &*self.cache;
        Counters::add(&cache.counters.misses);
        let asked_at = cache.now();
        let Some(answer) = within(self.patience, self.store.find_recent_chain(key)).await else {
            Counters::add(&cache.counters.given_up);
            return Err(StoreError::with_source(StoreErrorKind::Unavailable, NoAnswer));
        };
        let ChainResult { chain, age } = answer?;
        let age = cache.now().saturating_sub(asked_at).saturating_add(age);
        if age > cache.bound {
            return Err(StoreError::with_source(StoreErrorKind::Unavailable, TooOld));
        }
        Ok(ChainResult { chain, age })
    }

    /// Reads a record from the store. Also returns a `Since`: the time from which the age of the
    /// record counts, and the epoch in which the call began.
    async fn ask_store(&self, key: &TokenKey) -> (Since, Result<Found, StoreError>) {
        let mut since = self.cache.since(&key.project);
        match self.store.find_recent(key).await {
            Ok(ReadResult { record, age: Duration::ZERO }) => (since, Ok(record)),
            Ok(ReadResult { record, age }) => {
                // The record is from a standby, and was at most this old when the call began.
                since.asked_at = since.asked_at.saturating_sub(age);
                if self.cache.age(since) <= self.cache.bound {
                    return (since, Ok(record));
                }
                (self.cache.since(&key.project), self.store.find(key).await)
            }
            Err(error) => (since, Err(error)),
        }
    }
}

/// A caller that waits for a shared call to the store. If all waiting callers are dropped, the call
/// is removed.
struct Waiting<'c> {
    cache: &'c Held,
    key: &'c TokenKey,
    flight: Arc<Flight>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.flight.answer.get().is_none() {
            self.cache.shards.leave(self.key, &self.flight);
        }
    }
}

/// The source of the `Unavailable` error that the cache returns if a record was older than the
/// bound when the store returned it.
#[derive(Debug)]
struct TooOld;

impl fmt::Display for TooOld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the result of the store was older than the maximum staleness of the cache when it arrived")
    }
}

impl core::error::Error for TooOld {}

/// The source of the `Unavailable` error that the cache returns if the store call takes longer than
/// the patience, the maximum time that a caller waits.
#[derive(Debug)]
struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store did not respond within the patience of the cache")
    }
}

impl core::error::Error for NoAnswer {}
