//! The laws for two handles, or two processes, on one engine, and the functions that run them.

use super::fresh;
use super::handles::Handles;
use super::import_laws::import_races_of;
use super::law::laws;
use super::maintenance_laws::maintenance_races_of;
use super::race_laws::races_of;
use super::verdict::Report;
use crate::store::contract::TokenStore;
use crate::store::import::ImportStore;
use crate::store::maintenance::StoreMaintenance;

/// Passes the laws for reads after a write through another handle to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_fresh_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
        fresh {
            /// Checks that `find` and `find_durable` show each kind of write that another handle
            /// has acknowledged. The store must be a [`Handles`](crate::conformance::Handles).
            find_shows_what_another_handle_wrote;
            /// Checks that `find` shows a record that another handle has inserted, even if it
            /// returned `None` before. The store must be a
            /// [`Handles`](crate::conformance::Handles).
            find_shows_what_another_handle_inserted;
            /// Checks that a list shows each kind of write that another handle has acknowledged.
            /// The store must be a [`Handles`](crate::conformance::Handles).
            list_shows_what_another_handle_wrote;
            /// Checks that a count includes the inserts and revocations that another handle has
            /// acknowledged. The store must be a [`Handles`](crate::conformance::Handles).
            count_shows_what_another_handle_wrote;
            /// Checks that a record of `find_recent` or `find_held` shows each write of another
            /// handle, unless its age says that it is older. The store must be a
            /// [`Handles`](crate::conformance::Handles).
            recent_reads_are_no_older_than_they_say;
            /// Checks that a chain shows the revocation of an issuer by another handle, unless its
            /// age says that it is older. The store must be a
            /// [`Handles`](crate::conformance::Handles).
            chains_are_no_older_than_they_say;
        }
        } }
    };
}

__keyfob_fresh_laws! { [laws] fresh_of(TokenStore) as ErasedTokens in TokenLaws }

/// Tests two handles on one engine, or two processes: each is fresh after a write of the other, and
/// every law for concurrent and dropped calls holds across the two.
///
/// Give two stores that share nothing but the engine: no pool, no cache and no lock. So this test
/// finds a store that uses a lock of its process, or a cache that does not see the writes of other
/// processes.
///
/// ```
/// use std::sync::Arc;
///
/// use keyfob::{MemoryStore, conformance};
///
/// # async fn example() {
/// // Two connections of your store to one database.
/// let a = Arc::new(MemoryStore::new());
/// let b = Arc::clone(&a);
/// conformance::shared(&a, &b).await.assert();
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(example());
/// ```
pub async fn shared<A: TokenStore, B: TokenStore>(a: &A, b: &B) -> Report {
    let (handles, mut report) = (Handles::new(a, b), Report::default());
    fresh_of(&handles, &mut report).await;
    races_of(&handles, &mut report).await;
    report
}

/// Tests the concurrent calls of [`StoreMaintenance`] across two handles on one engine.
pub async fn shared_maintenance<A, B>(a: &A, b: &B) -> Report
where
    A: TokenStore + StoreMaintenance,
    B: TokenStore + StoreMaintenance,
{
    let mut report = Report::default();
    maintenance_races_of(&Handles::new(a, b), &mut report).await;
    report
}

/// Tests the concurrent calls of [`ImportStore`] across two handles on one engine.
pub async fn shared_import<A, B>(a: &A, b: &B) -> Report
where
    A: TokenStore + StoreMaintenance + ImportStore,
    B: TokenStore + StoreMaintenance + ImportStore,
{
    let mut report = Report::default();
    import_races_of(&Handles::new(a, b), &mut report).await;
    report
}
