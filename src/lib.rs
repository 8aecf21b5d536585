#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub, clippy::unwrap_used)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[macro_use]
mod words;
mod adapters;
mod rules;
mod service;

#[cfg(feature = "sqlite")]
pub use crate::adapters::sqlite::SqliteStore;
pub use crate::rules::access::{Access, InProject, OwnProject, ProjectDemand};
pub use crate::rules::address::{AddressRange, AddressRanges};
pub use crate::rules::challenge::Challenge;
pub use crate::rules::change::Change;
pub use crate::rules::check::{Verified, check};
pub use crate::rules::foreign::ForeignToken;
pub use crate::rules::header::{Credential, HeaderError};
pub use crate::rules::mint::{Issued, MintError, NewToken, mint, mint_with};
pub use crate::rules::policy::{Lifetime, Policy, PolicyError};
pub use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenKind, TokenRecord};
pub use crate::rules::scope::{Scope, ScopeSet};
pub use crate::rules::status::{NoticeStage, Status};
pub use crate::rules::view::TokenView;
#[cfg(feature = "conformance")]
pub use crate::service::conformance;
pub use crate::service::cursor::{Cursor, Expiry, SortKey};
pub use crate::service::forward::{ErasedImport, ErasedMaintenance, ErasedStore};
pub use crate::service::import::{ImportError, ImportProgress, Imported};
pub use crate::service::memory::MemoryStore;
pub use crate::service::query::{CountQuery, Life, ListOrder, ListQuery, Page, PageSize, StatusFilter};
pub use crate::service::store::{
    Batch, ImportKey, ImportOutcome, ImportRow, ImportStore, OwnerLimit, ProjectsQuery, RevokeGroup, RevokeMatching,
    StoreMaintenance, TokenStore, Touch,
};
pub use crate::service::store_error::{StoreError, StoreErrorKind};
pub use crate::service::tokens::{IssueError, Tokens, VerifyError};
pub use crate::words::clock::{Clock, FixedClock, SystemClock};
pub use crate::words::digest::Digest;
pub use crate::words::error::{Field, Flaw, Invalid, Rejection, RngError};
pub use crate::words::foreign::{ForeignDigest, ForeignHash};
pub use crate::words::format::TokenText;
pub use crate::words::ids::{KeyNumber, Prefix, ProjectId, TokenId, TokenKey};
pub use crate::words::keyring::{Keyring, KeyringBuilder};
pub use crate::words::pepper::Pepper;
pub use crate::words::presented::PresentedToken;
pub use crate::words::secret::PlaintextToken;
pub use crate::words::shape::{ForeignAlphabet, ForeignShape};
pub use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId};
pub use crate::words::timestamp::Timestamp;
