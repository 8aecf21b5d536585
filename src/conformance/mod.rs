//! The laws of the store contract as functions, for the tests of a store. Needs the feature
//! `conformance`.
//!
//! Each law is a function whose name states the law. [`for_each_law!`](for_each_law) makes a test
//! of each law. If you write a store, add this module to its tests:
//!
//! ```
//! # #[cfg(test)]
//! mod my_store {
//!     use keyfob::{MemoryStore, conformance};
//!
//!     conformance::for_each_law! {
//!         #[tokio::test]
//!         laws = [token_store, maintenance, rules, import], // `import` if supported
//!         store = MemoryStore::new(), // your store
//!     }
//! }
//! ```
//!
//! `cargo test` then lists about 190 tests. They run in parallel, `cargo test rotate` runs some of
//! them, and a law that hangs fails after [`TIME_LIMIT`] with the name of the call under way.
//!
//! # The checks
//! - [`token_store`], [`maintenance`] and [`import`]: all laws of a trait.
//! - [`rules`]: the rules that your store restates in the language of its engine, such as SQL. They
//!   are compared with the functions of keyfob.
//! - [`shared`](shared()), [`shared_maintenance`] and [`shared_import`]: two handles or processes
//!   on one engine. Each is fresh after a write of the other, and every race holds across the two.
//! - [`unreachable`](unreachable()), [`unreachable_maintenance`] and [`unreachable_import`]: if the
//!   engine is stopped or frozen, every call fails with `Unavailable` in time.
//! - [`damaged`]: a damaged record is `Corrupt`, never `None`.
//! - [`crash_load`] and [`CrashLedger`]: an engine or a process that is killed keeps what it
//!   acknowledged.
//! - [`scope_matcher`](scope_matcher()): no store, but the
//!   [`ScopeMatcher`](crate::policy::ScopeMatcher) of your service.
//!
//! Start with `token_store` and `maintenance`. A store that several processes use needs `shared`
//! too: the laws of one handle cannot find a lock of one process, or a cache that no other process
//! empties. With [`Handles`], each law of `shared` is a test of its own:
//!
//! ```
//! # #[cfg(test)]
//! mod two_handles_on_my_store {
//!     # use std::sync::Arc;
//!     use keyfob::{MemoryStore, conformance};
//!
//!     conformance::for_each_law! {
//!         #[tokio::test]
//!         laws = [shared, shared_maintenance],
//!         store = {
//!             // Two connections of your store to one database.
//!             let a = Arc::new(MemoryStore::new());
//!             let b = Arc::clone(&a);
//!             conformance::Handles::new(a, b)
//!         },
//!     }
//! }
//! ```
//!
//! The functions [`token_store`], [`maintenance`], [`import`] and [`rules`] run all their laws in
//! one test, one after the other, and return a [`Report`]:
//!
//! ```
//! use keyfob::{MemoryStore, conformance};
//!
//! # async fn example() {
//! let store = MemoryStore::new(); // your store
//! conformance::token_store(&store).await.assert();
//! conformance::maintenance(&store).await.assert();
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
//! ```
//!
//! # What to know
//! - **A shared database is safe.** Each case uses projects with random ids, and names its owners
//!   after these projects. It does not delete its records, and changes no other records. So one
//!   database can serve all tests at the same time.
//! - **Each case tests one law.** A case makes only the calls that it needs. So if a store breaks
//!   one law, the case with the name of this law fails. The order of the cases does not matter.
//! - **A message names three things**: the value that came, the value that was expected, and the
//!   place of the check in the sources of keyfob.
//! - **Any executor works.** A case for a race polls the futures of several calls together in one
//!   task. If the store has a pool of several connections, the calls run concurrently. Run the laws
//!   with a pool of several connections, and again with a pool of one connection. The time limits
//!   need no timer of an executor.
//! - **The expected results come from keyfob.** Records are compared with the results of
//!   [`TokenRecord::apply`](crate::TokenRecord::apply) and its sibling methods, and lists with
//!   [`ListQuery::matches`](crate::store::ListQuery::matches).
//!
//! If a call must succeed but fails, the law is violated, even if the error is
//! [`Unavailable`](crate::store::StoreErrorKind::Unavailable). If an operation loses a race inside
//! the engine, for example by a deadlock, the store itself must repeat the operation.

mod alarm;
mod change;
mod change_laws;
mod count;
mod dropped;
mod for_each_law;
mod forward;
mod fresh;
mod group;
mod handles;
mod import_laws;
mod import_races;
mod imported;
mod insert;
mod issued;
mod large_group;
mod law;
mod ledger;
mod list;
mod longest;
mod maintenance_laws;
mod notice;
mod page;
mod precondition;
mod projects;
mod purge;
mod race_laws;
mod races;
mod reader;
mod recent;
mod retry;
mod revoke;
mod rotate;
mod rule_laws;
mod sample;
mod scope_matcher;
mod shared_laws;
mod together;
mod token_laws;
mod touch;
mod unreachable;
mod verdict;
mod watched;
mod work;

pub use self::change_laws::*;
pub use self::for_each_law::{TIME_LIMIT, for_each_law, within_limit};
pub use self::handles::Handles;
pub use self::import_laws::*;
#[doc(hidden)]
pub use self::law::{
    ErasedImports, ErasedMaintenance, ErasedTokens, ImportLaws, LawFuture, MaintenanceLaws, TokenLaws,
};
pub use self::ledger::{CrashLedger, crash_load};
pub use self::maintenance_laws::*;
pub use self::race_laws::*;
pub use self::rule_laws::*;
pub use self::scope_matcher::scope_matcher;
pub use self::shared_laws::*;
pub use self::token_laws::*;
pub use self::unreachable::{damaged, unreachable, unreachable_import, unreachable_maintenance};
pub use self::verdict::{Report, Violation};
pub use self::watched::{Calls, Watched};
