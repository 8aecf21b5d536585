#![doc = include_str!("guide/front.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub, clippy::unwrap_used)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
// With this attribute, docs.rs shows beside each item the feature that the item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// A layer has items that only the layers of a later level use.
#![cfg_attr(not(feature = "service"), allow(dead_code, unreachable_pub))]

#[macro_use]
mod words;
#[cfg(feature = "service")]
mod adapters;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "rules")]
mod rules;

pub use crate::words::{
    ids::{Prefix, ProjectId, TokenId, TokenKey},
    invalid::Invalid,
    rejection::Rejection,
    secret::PlaintextToken,
};

#[cfg(feature = "mac")]
pub use crate::words::{credential::Credential, keyring::Keyring, pepper::Pepper, presented::PresentedToken};

#[cfg(all(feature = "rules", feature = "os-rng"))]
pub use crate::rules::mint::mint;
#[cfg(feature = "rules")]
pub use crate::rules::{
    access::Access,
    challenge::Challenge,
    check::{Verified, check},
    delegation::Delegation,
    error::Error,
    error_kind::ErrorKind,
    lifetimes::Lifetime,
    mint::Issued,
    new_token::NewToken,
    policy::Policy,
    record::TokenRecord,
    scope::{Scope, ScopeSet},
    status::Status,
    token_kind::TokenKind,
    verify_error::VerifyError,
    view::TokenView,
};
#[cfg(feature = "rules")]
pub use crate::store::{contract::TokenStore, memory::MemoryStore};
#[cfg(feature = "rules")]
pub use crate::words::{
    clock::{Clock, SystemClock},
    text::{Actor, Name, OwnerId},
    timestamp::Timestamp,
};

#[cfg(feature = "service")]
pub use crate::tokens::service::Tokens;

#[cfg(feature = "rules")]
pub mod access {
    //! The parts of an [`Access`](crate::Access): the requirements that a token must meet.

    pub use crate::rules::access::{InProject, OwnProject, ProjectRequirement};
}

#[cfg(feature = "actix")]
pub mod actix {
    #![doc = include_str!("guide/actix.md")]

    #[cfg(feature = "token-api")]
    pub use crate::adapters::actix::token_api::token_api;
    pub use crate::adapters::actix::{
        framework::{Actix, Guard},
        middleware::GuardedService,
    };
}

#[cfg(feature = "axum")]
pub mod axum {
    #![doc = include_str!("guide/axum.md")]
    //! # A complete service
    //!
    #![cfg_attr(feature = "sqlite", doc = "```no_run")]
    #![cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
    #![doc = include_str!("../examples/service.rs")]
    //! ```

    #[cfg(feature = "token-api")]
    pub use crate::adapters::axum::token_api::token_api;
    pub use crate::adapters::axum::{
        framework::{Axum, Guard},
        layer::GuardedService,
    };
}

#[cfg(feature = "rules")]
pub mod clock {
    //! Clocks besides [`SystemClock`](crate::SystemClock): a fast one, and one for tests.

    pub use crate::words::clock::{CoarseClock, FixedClock};
}

#[cfg(feature = "conformance")]
pub mod conformance;

pub mod error {
    //! The types that give the details of an error, and the error for unreadable headers.

    #[cfg(feature = "rules")]
    pub use crate::rules::{outside_issuer::OutsideIssuer, partial_failure::PartialFailure};
    #[cfg(feature = "mac")]
    pub use crate::words::credential::HeaderError;
    pub use crate::words::invalid::{InvalidField, InvalidKind};
}

#[cfg(feature = "service")]
pub mod events {
    //! The events that a token service emits: issued, rejected, reused, revoked and others.

    #[cfg(feature = "tracing")]
    pub use crate::adapters::tracing::TracingSink;
    pub use crate::tokens::events::{ChangeKind, Event, EventSink, VerificationCounts};
}

#[cfg(feature = "service")]
pub mod guide;

#[cfg(feature = "mac")]
pub mod http {
    #![doc = include_str!("guide/http.md")]

    #[cfg(feature = "service")]
    pub use crate::adapters::http::{
        authenticated::Authenticated,
        caller::{Caller, OtherCaller},
        framework::{Framework, PathParameter},
        guard::Guard,
        refusal::Refusal,
        route::RouteGuard,
    };
    #[cfg(feature = "token-api")]
    pub use crate::adapters::http::{
        member::Member,
        token_api::{TokenApiRequest, TokenApiResponse},
    };
    pub use crate::words::find_credential::FoundCredential;
    pub use crate::words::places::CredentialPlaces;
}

#[cfg(feature = "rules")]
pub mod import {
    #![doc = include_str!("guide/import.md")]

    pub use crate::rules::adopt::adopt_with;
    #[cfg(feature = "os-rng")]
    pub use crate::rules::adopt::{adopt, adopt_without_pepper};
    pub use crate::rules::import_look_up::{ImportLookUp, check_imported};
    pub use crate::rules::import_row::ImportRow;
    pub use crate::rules::import_token::ImportToken;
    pub use crate::rules::imports::Imports;
    pub use crate::rules::salted_import::SaltedImport;
    pub use crate::store::import::{ImportRowOutcome, ImportStore};
    #[cfg(feature = "service")]
    pub use crate::tokens::import_outcome::{ImportOutcome, ImportProgress};
    pub use crate::words::import_alphabet::ImportAlphabet;
    pub use crate::words::import_digest::{ImportDigest, ImportHash};
    pub use crate::words::import_key::ImportKey;
    pub use crate::words::import_shape::ImportShape;
}

pub mod keys {
    //! The types to build a keyring, to rotate its peppers, and to check the peppers at start-up.

    #[cfg(feature = "service")]
    pub use crate::tokens::retire::KeyUse;
    pub use crate::words::ids::KeyNumber;
    #[cfg(feature = "mac")]
    pub use crate::words::{
        compare_key_checks::ComparedKeys, key_check::KeyCheck, keyring::KeyringBuilder, keyring_error::KeyringError,
        retired_key::RetiredKey,
    };
}

pub mod leak {
    //! The types to find leaked tokens in text, to keep tokens out of logs, and to report leaks.

    #[cfg(feature = "leak")]
    mod encoded;
    #[cfg(feature = "scan")]
    pub(crate) mod finder;
    #[cfg(feature = "scan")]
    mod heads;
    #[cfg(feature = "tracing-subscriber")]
    pub(crate) mod log;
    #[cfg(feature = "scan")]
    pub(crate) mod redactor;
    #[cfg(feature = "leak")]
    pub(crate) mod report;
    #[cfg(feature = "scan")]
    pub(crate) mod scanner_rules;

    #[cfg(feature = "scan")]
    pub use self::finder::{Finder, FoundToken, StreamFinder};
    #[cfg(feature = "tracing-subscriber")]
    pub use self::log::{RedactedLine, RedactedLog};
    #[cfg(feature = "scan")]
    pub use self::redactor::Redactor;
    #[cfg(feature = "leak")]
    pub use self::report::LeakReport;
    #[cfg(feature = "scan")]
    pub use self::scanner_rules::ScannerFormat;
    #[cfg(feature = "service")]
    pub use crate::tokens::{issued::IssuedTokens, report_leak::LeakOutcome};
    pub use crate::words::leaked::LeakedToken;

    #[cfg(feature = "github")]
    pub mod github {
        //! The webhook by which GitHub's secret scanning reports leaked tokens. Needs the feature
        //! `github`.

        pub use crate::adapters::github::others::{
            GitHubLabel, OtherReport, OtherTokens, OtherTokensError, ReportedText,
        };
        pub use crate::adapters::github::public_keys::GitHubKeys;
        pub use crate::adapters::github::refusal::DeliveryRefusal;
        pub use crate::adapters::github::webhook::{GitHubDelivery, GitHubWebhook, ProcessedReport};
    }
}

#[cfg(feature = "rules")]
pub mod notices {
    //! The notices that warn the owner of a token before the token expires.

    pub use crate::rules::notice_lead::NoticeLead;
    pub use crate::rules::notice_schedule::NoticeSchedule;
    #[cfg(feature = "service")]
    pub use crate::tokens::notices::{Notice, NoticeId};
}

#[cfg(feature = "utoipa")]
pub mod openapi {
    #![doc = include_str!("guide/openapi.md")]

    pub use crate::adapters::openapi::security::TokenSecurity;
}

#[cfg(feature = "service")]
pub mod owners {
    //! The hook by which keyfob asks your service whether the owner of a token is still active.

    pub use crate::rules::owner::OwnerState;
    pub use crate::tokens::owners::{Owners, OwnersError};
}

#[cfg(feature = "rules")]
pub mod policy {
    //! The parts of a [`Policy`](crate::Policy), the matcher that compares scopes, and the ways in
    //! which a token can breach a policy.

    pub use crate::rules::breach::PolicyBreach;
    pub use crate::rules::lifetimes::Lifetimes;
    pub use crate::rules::scope_matcher::{ScopeMatcher, Wildcards};
    #[cfg(feature = "service")]
    pub use crate::tokens::dry_run::PolicyHit;
}

#[cfg(feature = "mac")]
pub mod record {
    //! The parts of a [`TokenRecord`](crate::TokenRecord), and the changes to a record.

    #[cfg(feature = "rules")]
    pub use crate::rules::{
        address::{AddressRange, AddressRanges},
        chain::Chain,
        change::Change,
        change_request::{ChangeRequest, Narrowing},
        import_scheme::ImportScheme,
        issuer::Issuer,
        mint::mint_with,
        record::{Disabled, Revocation, RevocationReason},
    };
    pub use crate::words::digest::Digest;
    #[cfg(feature = "rules")]
    pub use crate::words::{
        text::{Metadata, RequestId},
        used_from::{ClientText, UsedFrom},
        visible::is_shown,
    };
}

#[cfg(feature = "rules")]
pub mod rotation {
    //! The types for the rotation of a token, which replaces the token by a successor.

    #[cfg(feature = "os-rng")]
    pub use crate::rules::rotate::rotate;
    pub use crate::rules::rotate::rotate_with;
    pub use crate::rules::rotation::{PreparedRotation, Rotation};
    #[cfg(feature = "service")]
    pub use crate::tokens::rotate::{Predecessor, Rotated};
}

#[cfg(feature = "rules")]
pub mod store {
    //! The contract that every store must fulfil, and the stores that keyfob provides.

    pub(crate) mod basic;
    pub(crate) mod columns;
    pub(crate) mod contract;
    pub(crate) mod cursor;
    pub(crate) mod erased;
    pub(crate) mod group;
    pub(crate) mod id_hash;
    pub(crate) mod import;
    pub(crate) mod last_use;
    pub(crate) mod layered;
    mod layered_import;
    pub(crate) mod maintenance;
    pub(crate) mod memory;
    mod near;
    mod operations;
    pub(crate) mod order;
    pub(crate) mod query;
    #[cfg(test)]
    pub(crate) mod ready;
    pub(crate) mod row;
    mod rows;
    mod turns;

    pub use self::basic::{BasicImportStore, BasicStore, Write};
    pub use self::columns::{COLUMNS, Column, ColumnKind, ColumnValue};
    pub use self::contract::{ChainResult, ReadResult};
    pub use self::cursor::{Cursor, Expiry, SortKey};
    pub use self::erased::DynStore;
    pub use self::group::{BatchResult, RevokeBatch, RevokeGroup};
    pub use self::last_use::LastUse;
    pub use self::layered::Layered;
    pub use self::maintenance::{ProjectsQuery, ProjectsWith, StoreMaintenance};
    pub use self::order::ListOrder;
    pub use self::query::{CountQuery, ListQuery, Page, PageSize, StatusFilter, StatusGroup};
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub use crate::adapters::sql::migration::Migration;
    pub use crate::rules::precondition::{IssuerCondition, LiveLimit};
    pub use crate::words::folded::FoldedName;
    pub use crate::words::store_error::{StoreError, StoreErrorKind};

    #[cfg(feature = "cache")]
    pub mod cache {
        //! A cache over any store, with a maximum age that you set. Needs the feature `cache`.

        pub use crate::cache::{
            cached::Cached,
            counts::CacheCounts,
            feed::{Feed, FeedEvent},
        };
    }

    #[cfg(feature = "mysql")]
    pub mod mysql {
        //! A store on MariaDB. Needs the feature `mysql`.

        pub use crate::adapters::mysql::handle::MysqlStore;
    }

    #[cfg(feature = "postgres")]
    pub mod postgres {
        //! A store on PostgreSQL. Needs the feature `postgres`.

        #[cfg(feature = "cache")]
        pub use crate::adapters::postgres::feed::PostgresFeed;
        pub use crate::adapters::postgres::handle::PostgresStore;
    }

    #[cfg(feature = "redis")]
    pub mod redis {
        //! A store on Redis Cluster, or on a single Redis server. Needs the feature `redis`.

        #[cfg(feature = "cache")]
        pub use crate::adapters::redis::feed::RedisFeed;
        pub use crate::adapters::redis::{durability::Durability, handle::RedisStore, options::RedisOptions};
    }

    #[cfg(feature = "sqlite")]
    pub mod sqlite {
        //! A store on embedded SQLite. Needs the feature `sqlite`.

        pub use crate::adapters::sqlite::handle::SqliteStore;
    }
}

pub mod text {
    #![doc = include_str!("guide/text.md")]
    //!
    //! ```
    #![doc = include_str!("../examples/hash_index.rs")]
    //! ```

    pub use crate::words::format::TokenText;
    #[cfg(feature = "os-rng")]
    pub use crate::words::mint_text::mint_text;
    #[cfg(feature = "mac")]
    pub use crate::words::mint_text::{MintedText, mint_text_with};
}

#[cfg(feature = "service")]
pub mod tokens {
    //! The types that the methods of [`Tokens`](crate::Tokens) take and return.

    pub(crate) mod change_verbs;
    pub(crate) mod dry_run;
    mod emit;
    pub(crate) mod events;
    mod every_record;
    mod explain;
    mod find_imported;
    mod flush;
    mod found;
    mod import;
    pub(crate) mod import_outcome;
    pub(crate) mod issue;
    pub(crate) mod issued;
    mod issuers;
    pub(crate) mod judge;
    pub(crate) mod notices;
    pub(crate) mod owned;
    pub(crate) mod owners;
    mod passed_texts;
    pub(crate) mod projects;
    mod promise;
    mod purge;
    pub(crate) mod report_leak;
    pub(crate) mod retire;
    mod revoke;
    mod revoke_group;
    pub(crate) mod rotate;
    #[cfg(test)]
    mod sample;
    mod sampler;
    pub(crate) mod service;
    mod slow_hashes;
    pub(crate) mod usage;
    mod verify;

    pub use self::owned::OwnerTokens;
    pub use self::usage::Usage;
    pub use crate::rules::explain::Explanation;
}

#[cfg(feature = "tonic")]
pub mod tonic {
    #![doc = include_str!("guide/tonic.md")]

    pub use crate::adapters::tonic::{
        framework::{Guard, Tonic},
        layer::GuardedService,
        methods::MethodGuards,
        request::GuardedRequest,
    };
}

/// The README, whose examples are compiled as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
