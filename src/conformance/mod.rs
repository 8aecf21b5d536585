//! The laws of the store contract, as functions that the tests of a store call. Feature `conformance`.
//!
//! One function per law, named after it, and three that run all of a trait's: [`token_store`], [`maintenance`] and
//! [`import`]. A fourth, [`rules`], runs tables of cases through the rules that a store may restate in the language of its
//! engine. A host that writes a store for its own database adds one test:
//!
//! ```
//! use keyfob::{MemoryStore, conformance};
//!
//! # async fn example() {
//! let store = MemoryStore::new(); // the store to be tried
//! conformance::token_store(&store).await.assert();
//! conformance::maintenance(&store).await.assert();
//! conformance::import(&store).await.assert(); // where it imports
//! conformance::rules(&store).await.assert();
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
//! ```
//!
//! - **A shared database is safe.** Cases work in projects with random ids and for owners of random names; they leave
//!   their rows behind and touch no others.
//! - **Cases stand alone.** Each tries one law, and uses other calls just as far as it cannot do without: a store that
//!   breaks one law fails the case of that name. The order does not matter.
//! - **Any executor will do.** The races are futures of one task, polled together; over a pool of connections they run
//!   at once. Run the kit with a pool of several, and with one of one.
//! - Rows are compared with what [`TokenRecord::apply`](crate::TokenRecord::apply) and its kin make of them, lists
//!   with [`ListQuery::matches`](crate::store::ListQuery::matches).
//!
//! A call that fails where it must not is a violation, also where the error is
//! [`Unavailable`](crate::store::StoreErrorKind::Unavailable): a store that loses a race inside its engine tries again by itself.
//! What the kit cannot see is whether what was acknowledged survives a crash.

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
