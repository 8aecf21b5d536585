#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub, clippy::unwrap_used)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
// docs.rs says beside each item which feature brings it.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod words;
mod adapters;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "scan")]
mod leak;
mod rules;
mod store;
mod tokens;

#[doc = include_str!("lifecycle.md")]
pub mod lifecycle {
    #[expect(unused_imports, reason = "for the links of its page")]
    use crate::*;
}

#[doc = include_str!("operations.md")]
/// # Figures: what a verification costs
#[doc = include_str!("operations/cost.md")]
///
#[doc = include_str!("operations/cost.svg")]
///
/// # Figures: how the cost grows
#[doc = include_str!("operations/growth.md")]
///
#[doc = include_str!("operations/growth.svg")]
pub mod operations {
    #[expect(unused_imports, reason = "for the links of its page")]
    use crate::*;
}

#[cfg(feature = "axum")]
pub use crate::adapters::axum::{
    authenticated::Authenticated,
    guard::Guard,
    layer::{GuardLayer, Guarded},
    refusal::Refusal,
};
#[cfg(feature = "github")]
pub use crate::adapters::github::{
    public_keys::{GitHubKeys, GitHubKeysError},
    webhook::{Delivery, GitHubWebhook, Handled},
};
#[cfg(feature = "postgres")]
pub use crate::adapters::postgres::PostgresStore;
#[cfg(all(feature = "postgres", feature = "cache"))]
pub use crate::adapters::postgres::feed::PostgresFeed;
#[cfg(all(feature = "redis", feature = "cache"))]
pub use crate::adapters::redis::feed::RedisFeed;
#[cfg(feature = "redis")]
pub use crate::adapters::redis::{RedisStore, durability::Durability};
#[cfg(feature = "sqlite")]
pub use crate::adapters::sqlite::SqliteStore;
#[cfg(feature = "tracing")]
pub use crate::adapters::tracing::TracingSink;
#[cfg(feature = "cache")]
pub use crate::cache::{
    cached::Cached,
    counts::CacheCounts,
    feed::{Feed, Told},
};
#[cfg(feature = "tracing-subscriber")]
pub use crate::leak::log::{RedactedLine, RedactedLog};
#[cfg(feature = "leak")]
pub use crate::leak::report::{LeakReport, ReportError};
#[cfg(feature = "scan")]
pub use crate::leak::{
    finder::{Finder, Found, Search},
    redactor::Redactor,
    scanner_rules::ScannerFormat,
};
pub use crate::rules::access::{Access, InProject, OwnProject, ProjectDemand};
pub use crate::rules::address::{AddressRange, AddressRanges};
pub use crate::rules::challenge::Challenge;
pub use crate::rules::change::Change;
pub use crate::rules::change_request::{Narrowing, Transition, TransitionError};
pub use crate::rules::check::{Verified, check};
pub use crate::rules::delegation::{Manager, WithinError};
pub use crate::rules::explain::Explanation;
pub use crate::rules::import_token::ForeignToken;
pub use crate::rules::mint::{Issued, MintError, NewToken, mint, mint_with};
pub use crate::rules::owner::OwnerState;
pub use crate::rules::policy::{Lifetime, Lifetimes, Policy, PolicyBreach, PolicyError};
pub use crate::rules::precondition::IssuerCondition;
pub use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenKind, TokenRecord};
pub use crate::rules::rotation::{Rotation, Succession, SuccessionError, rotate};
pub use crate::rules::scope::{Scope, ScopeSet};
pub use crate::rules::status::{NoticeStage, Status};
pub use crate::rules::view::TokenView;
pub use crate::store::contract::{
    Batch, ImportKey, ImportOutcome, ImportRow, ImportStore, OwnerLimit, ProjectsQuery, Recent, RevokeBatch,
    RevokeGroup, StoreMaintenance, TokenStore, Touch,
};
pub use crate::store::cursor::{Cursor, Expiry, SortKey};
pub use crate::store::erased::{ErasedImport, ErasedMaintenance, ErasedStore};
pub use crate::store::memory::MemoryStore;
pub use crate::store::query::{CountQuery, Life, ListOrder, ListQuery, Page, PageSize, StatusFilter};
pub use crate::tokens::change_verbs::{ChangeError, ConfirmError};
pub use crate::tokens::dry_run::PolicyHit;
pub use crate::tokens::events::{Changed, Counts, Event, EventSink};
pub use crate::tokens::import::{ImportError, ImportProgress, Imported};
pub use crate::tokens::issue::IssueError;
pub use crate::tokens::notices::{Notice, NoticeId};
pub use crate::tokens::owners::{AllActive, Owners, OwnersError};
pub use crate::tokens::projects::Interrupted;
pub use crate::tokens::report_leak::LeakOutcome;
pub use crate::tokens::retire::{KeyUse, RetireError};
pub use crate::tokens::rotate::{Predecessor, RotateError, Rotated};
pub use crate::tokens::service::Tokens;
pub use crate::tokens::usage::Usage;
pub use crate::tokens::verify::VerifyError;
pub use crate::words::clock::{Clock, FixedClock, SystemClock};
pub use crate::words::credential::{Credential, HeaderError};
pub use crate::words::digest::Digest;
pub use crate::words::error::{Field, Flaw, Invalid, Rejection, RngError};
pub use crate::words::folded::FoldedName;
pub use crate::words::format::TokenText;
pub use crate::words::ids::{KeyNumber, Prefix, ProjectId, TokenId, TokenKey};
pub use crate::words::import_digest::{ForeignDigest, ForeignHash};
pub use crate::words::import_shape::{ForeignAlphabet, ForeignShape};
pub use crate::words::key_check::{ComparedKeys, KeyCheck, WrongPepper};
pub use crate::words::keyring::{Keyring, KeyringBuilder, RetiredKey};
pub use crate::words::leaked::LeakedToken;
pub use crate::words::pepper::Pepper;
pub use crate::words::presented::PresentedToken;
pub use crate::words::secret::PlaintextToken;
pub use crate::words::store_error::{StoreError, StoreErrorKind};
pub use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId};
pub use crate::words::timestamp::Timestamp;
pub use crate::words::visible::is_shown;
