//! The laws of the store contract as functions, for the tests of a store. Needs the feature
//! `conformance`.
//!
//! Each law is a function whose name states the law. Three functions run all laws of a trait:
//! [`token_store`], [`maintenance`] and [`import`]. A fourth function, [`rules`], tests the rules
//! that a store may restate in the language of its engine, such as SQL. It compares the store with
//! the functions of keyfob that define these rules. If you write a store, add one test:
//!
//! ```
//! use keyfob::{MemoryStore, conformance};
//!
//! # async fn example() {
//! let store = MemoryStore::new(); // your store
//! conformance::token_store(&store).await.assert();
//! conformance::maintenance(&store).await.assert();
//! conformance::import(&store).await.assert(); // if it supports imports
//! conformance::rules(&store).await.assert();
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
//! ```
//!
//! [`scope_matcher`](scope_matcher()) tests no store. It tests the
//! [`ScopeMatcher`](crate::policy::ScopeMatcher) of your service.
//!
//! - **A shared database is safe.** Each case uses projects with random ids, and names its owners
//!   after these projects. It does not delete its records, and changes no other records.
//! - **Each case tests one law.** A case makes only the calls that it needs. So if a store breaks
//!   one law, the case with the name of this law fails. The order of the cases does not matter.
//! - **Any executor works.** A case for a race polls the futures of several calls together in one
//!   task. If the store has a pool of several connections, the calls run concurrently. Run the laws
//!   with a pool of several connections, and again with a pool of one connection.
//! - **The expected results come from keyfob.** Records are compared with the results of
//!   [`TokenRecord::apply`](crate::TokenRecord::apply) and its sibling methods, and lists with
//!   [`ListQuery::matches`](crate::store::ListQuery::matches).
//!
//! If a call must succeed but fails, the law is violated, even if the error is
//! [`Unavailable`](crate::store::StoreErrorKind::Unavailable). If an operation loses a race inside
//! the engine, for example by a deadlock, the store itself must repeat the operation. The laws
//! cannot test whether acknowledged changes survive a crash.

mod change;
mod count;
mod dropped;
mod group;
mod import_laws;
mod imported;
mod insert;
mod issued;
mod law;
mod list;
mod maintenance_laws;
mod notice;
mod page;
mod precondition;
mod projects;
mod purge;
mod races;
mod recent;
mod retry;
mod revoke;
mod rotate;
mod rule_laws;
mod sample;
mod scope_matcher;
mod together;
mod token_laws;
mod touch;
mod verdict;
mod work;

pub use self::import_laws::*;
pub use self::maintenance_laws::*;
pub use self::rule_laws::*;
pub use self::scope_matcher::scope_matcher;
pub use self::token_laws::*;
pub use self::verdict::{Report, Violation};
