//! Tests of behaviour that only a sequence of several operations shows: races between two
//! processes, random histories, known traps, and cached tokens after a revocation.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "sqlite")]
mod lifecycle_model;
#[cfg(feature = "sqlite")]
mod races;
#[cfg(all(feature = "cache", feature = "postgres", feature = "redis"))]
mod staleness;
#[cfg(feature = "sqlite")]
mod traps;
