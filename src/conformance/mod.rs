//! The laws of the store contract as functions, for the tests of a store. Feature `conformance`.
//!
//! Each law is a function with a name that states it. Three functions run all laws of a trait:
//! [`token_store`], [`maintenance`] and [`import`]. A fourth, [`rules`], compares a store with the
//! rule functions that it may restate in the language of its engine. If you write a store, add one
//! test:
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
//! - **A shared database is safe.** Each case uses projects with random ids and owners named after
//!   them. It leaves its records behind and touches no others.
//! - **Each case tests one law.** It makes no other calls than it needs, so a store that breaks one
//!   law fails the case of that name. The order of the cases does not matter.
//! - **Any executor works.** The calls of a race are futures of one task, which are polled
//!   together. Over a pool of connections they run concurrently. Run the laws with a pool of
//!   several connections, and with a pool of one.
//! - **The expected results come from keyfob.** Records are compared with the results of
//!   [`TokenRecord::apply`](crate::TokenRecord::apply) and its sibling methods, and lists with
//!   [`ListQuery::matches`](crate::store::ListQuery::matches).
//!
//! A call that fails although it must succeed is a violation, even with
//! [`Unavailable`](crate::store::StoreErrorKind::Unavailable): a store must repeat an operation
//! that loses a race inside its engine. The laws cannot test whether acknowledged changes survive a
//! crash.

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
mod together;
mod token_laws;
mod touch;
mod verdict;

pub use self::import_laws::*;
pub use self::maintenance_laws::*;
pub use self::rule_laws::*;
pub use self::token_laws::*;
pub use self::verdict::{Report, Violation};
