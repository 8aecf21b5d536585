//! Helpers that several test files use.
#![allow(dead_code, unused_macros, reason = "each test uses a part of it")]

#[macro_use]
pub mod handed_on;

pub mod alone;
pub mod certificates;
#[cfg(feature = "conformance")]
#[macro_use]
pub mod kit;
#[cfg(feature = "mysql")]
pub mod mariadb;
#[cfg(feature = "redis")]
pub mod network;
pub mod notes;
pub mod old_tokens;
pub mod other;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
pub mod process;
#[cfg(feature = "redis")]
pub mod redis;
pub mod size;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keyfob::{
    Actor, Error, ErrorKind, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper, Prefix, ProjectId, Timestamp,
    TokenId, TokenKey, TokenRecord, TokenStore,
    record::{Change, Revocation},
    store::{
        BatchResult, CountQuery, IssuerCondition, LastUse, ListQuery, LiveLimit, Page, PageSize, ReadResult,
        RevokeBatch, StoreError,
    },
};
use rand_core::{TryCryptoRng, TryRng};

pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub fn prefix() -> Prefix {
    Prefix::new("acme_pat").unwrap()
}

/// Returns the pepper with the bytes 00 to 1f.
pub fn pepper() -> Pepper {
    Pepper::new((0..32).collect()).unwrap()
}

pub fn keyring() -> Keyring {
    Keyring::new(prefix(), pepper())
}

pub fn project(text: &str) -> ProjectId {
    ProjectId::new(text).unwrap()
}

pub fn actor() -> Actor {
    Actor::new("ada").unwrap()
}

/// Returns a request for a token of the owner `ada` in project 145.
pub fn new_token() -> NewToken {
    NewToken::new(project("145"), OwnerId::new("ada").unwrap(), Name::new("VS Code integration").unwrap())
}

/// Returns the outcome with its error replaced by the error's kind.
pub fn kind_of<T>(outcome: Result<T, Error>) -> Result<T, ErrorKind> {
    outcome.map_err(|error| error.kind())
}

/// Returns a fixed time. Any other time would do.
pub fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// Returns the number in base62 digits, padded with zeros on the left to `width` digits.
pub fn base62(mut number: u64, width: usize) -> String {
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8(digits).unwrap()
}

/// Returns the text with its last six characters replaced by a valid checksum.
pub fn with_checksum(text: &str) -> String {
    let body = &text[..text.len() - 6];
    format!("{body}{}", base62(u64::from(crc32fast::hash(body.as_bytes())), 6))
}

/// A random generator that returns the given base62 digits, so that a test can mint a known token.
pub struct Script(pub Vec<u8>);

impl Script {
    /// Creates a generator of these digits, and then of zeros. Each two bytes that it returns
    /// encode two digits.
    pub fn of(digits: &str) -> Self {
        let value = |digit: &u8| BASE62.iter().position(|other| other == digit).unwrap() as u16;
        let pair = |pair: &[u8]| value(&pair[0]) * 62 + pair.get(1).map_or(0, value);
        Self(digits.as_bytes().chunks(2).flat_map(|digits| pair(digits).to_le_bytes()).collect())
    }
}

impl TryRng for Script {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unimplemented!("minting calls only try_fill_bytes")
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unimplemented!("minting calls only try_fill_bytes")
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            *byte = if self.0.is_empty() { 0 } else { self.0.remove(0) };
        }
        Ok(())
    }
}

impl TryCryptoRng for Script {}

/// An in-memory store that counts the calls of its methods.
#[derive(Default)]
pub struct CountingStore {
    store: MemoryStore,
    calls: AtomicU64,
    hangs: AtomicBool,
}

impl CountingStore {
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Sets whether calls of `find_recent` hang. A call that hangs never returns.
    pub fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    fn counted(&self) -> &MemoryStore {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &self.store
    }
}

impl TokenStore for CountingStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        self.counted().insert(record, limit, issuer).await
    }
    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.counted().find(key).await
    }
    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        let store = self.counted();
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        store.find_recent(key).await
    }
    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.counted().list(query).await
    }
    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.counted().count(query).await
    }
    async fn update(
        &self,
        key: &TokenKey,
        version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.counted().update(key, version, change).await
    }
    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.counted().revoke(key, revocation).await
    }
    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.counted().revoke_owner(project, owner, revocation).await
    }
    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.counted().revoke_family(project, family, revocation).await
    }
    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.counted().revoke_issued_by(project, issuer, revocation).await
    }
    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.counted().revoke_batch(project, revocation, batch, most).await
    }
    async fn rotate(
        &self,
        key: &TokenKey,
        version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.counted().rotate(key, version, successor, grace_until, issuer).await
    }
    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        self.counted().touch_many(touches).await
    }
}

/// Returns the record after applying a change to it.
pub fn changed(mut record: TokenRecord, change: impl FnOnce(&mut TokenRecord)) -> TokenRecord {
    change(&mut record);
    record
}
