//! Tests of the stores: the laws of the store contract, and the features that only one engine has.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "conformance")]
mod broken_stores;
#[cfg(feature = "conformance")]
mod conformance;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod frozen;
mod idle;
#[cfg(all(feature = "cache", any(feature = "postgres", feature = "redis")))]
mod issued;
#[cfg(feature = "conformance")]
mod layered;
#[cfg(all(feature = "mysql", feature = "conformance"))]
mod mysql;
#[cfg(all(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod operator;
#[cfg(all(feature = "postgres", feature = "conformance"))]
mod postgres;
#[cfg(all(feature = "cache", feature = "postgres", feature = "conformance"))]
mod postgres_replica;
#[cfg(all(feature = "redis", feature = "conformance"))]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(all(feature = "sqlite", feature = "conformance"))]
mod sqlite_conformance;
#[cfg(all(feature = "sqlite", feature = "conformance"))]
mod sqlite_crash;
#[cfg(feature = "sqlite")]
mod sqlite_secrets;
#[cfg(feature = "sqlite")]
mod sqlite_twin;
#[cfg(all(feature = "tls", feature = "postgres", feature = "redis"))]
mod tls;
#[cfg(feature = "conformance")]
mod unreachable;
#[cfg(feature = "sqlite")]
mod upgrade;
