//! Tests of the operations of `Tokens` with a store, and of the adapters: guarded routes, caches,
//! leak reports and secret scanners.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

#[cfg(all(feature = "actix", feature = "axum"))]
mod actix;
#[cfg(feature = "leak")]
mod attacks;
#[cfg(feature = "axum")]
mod axum;
#[cfg(all(feature = "cache", feature = "conformance"))]
mod cached;
mod causes;
mod delegation;
mod events;
#[cfg(feature = "github")]
mod github;
#[cfg(feature = "github")]
mod github_others;
mod http;
#[cfg(feature = "sqlite")]
#[macro_use]
mod import;
#[cfg(feature = "sqlite")]
mod import_flood;
#[cfg(feature = "sqlite")]
mod import_hashes;
#[cfg(feature = "leak")]
mod leak;
mod maintenance;
#[cfg(feature = "utoipa")]
mod openapi;
mod owned;
mod owners;
#[cfg(feature = "axum")]
mod programs;
mod recheck;
#[cfg(feature = "scan")]
mod scan;
#[cfg(feature = "scan")]
mod scanners;
mod scope_matcher;
#[cfg(all(feature = "actix", feature = "axum", feature = "token-api"))]
mod token_api;
#[cfg(feature = "tonic")]
mod tonic;
mod usage;
mod verbs;
mod within;
