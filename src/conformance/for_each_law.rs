//! The macro that makes a test of each law, and the function that runs a law in such a test.

#![allow(clippy::test_attr_in_doctest, reason = "the examples are modules of tests")]

use core::future::Future;
use core::time::Duration;

use super::alarm::{NoResult, within};
use super::verdict::Violation;
use super::watched::Calls;

/// The time after which a test of [`for_each_law!`](super::for_each_law) fails, if the macro is
/// given no other limit.
pub const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Runs one law. If it does not end within the limit, returns a violation that names the calls
/// under way. [`for_each_law!`](super::for_each_law) calls this function.
///
/// The limit needs no timer of an executor. If a call blocks its thread, the law cannot be ended.
/// The message then goes to the standard error when the limit has passed.
///
/// # Errors
/// - Returns the violation of the law.
/// - Returns a [`Violation`] if the law does not end within the limit, or if the system has no
///   thread for the limit.
pub async fn within_limit(
    case: &'static str,
    limit: Duration,
    calls: &Calls,
    law: impl Future<Output = Result<(), Violation>> + Send,
) -> Result<(), Violation> {
    let watched = calls.clone();
    let rings = move || eprintln!("{case}: did not end within {limit:?}; {watched}");
    // The law is dropped after the message is made, because dropping it ends the calls.
    let mut law = Box::pin(law);
    within(limit, rings, &mut law).await.unwrap_or_else(|no_result| {
        let what = match no_result {
            NoResult::TimedOut => format!("did not end within {limit:?}; {calls}"),
            NoResult::NoThread => "cannot start a thread for the time limit".to_owned(),
        };
        Err(Violation { case, what })
    })
}

/// Makes a test of each law, named after the law. `cargo test` then lists the laws, runs them in
/// parallel and filters them, and a test that fails or hangs names its law.
///
/// - The attributes go to each test, for example `#[tokio::test]`.
/// - `laws` names lists of laws: `token_store`, `maintenance`, `import`, `rules`, `shared`,
///   `shared_maintenance` and `shared_import`. The function of the same name in
///   [`conformance`](crate::conformance) says what they contain.
/// - `store` is an expression for the store of one law. It may await, and `return` skips the law.
///   All laws can share one database, because each law uses projects of its own.
/// - `runner` is optional: a function that runs a future to its end, such as the `block_on` of your
///   executor. The tests are then synchronous functions. Stores of all tests can then share a
///   connection pool, because their calls run on one runtime.
/// - `limit` is optional: the [`Duration`](core::time::Duration) after which a law fails with a
///   message that names the calls under way. The default is
///   [`TIME_LIMIT`](crate::conformance::TIME_LIMIT).
///
/// Put each store into a module of its own, because the tests of all stores have the same names.
///
/// ```
/// # #[cfg(test)]
/// mod my_store {
///     use keyfob::{MemoryStore, conformance};
///
///     conformance::for_each_law! {
///         #[tokio::test]
///         laws = [token_store, maintenance, rules, import],
///         store = MemoryStore::new(), // your store
///     }
/// }
/// ```
///
/// With a runner:
///
/// ```
/// # #[cfg(test)]
/// mod my_store {
///     use keyfob::{MemoryStore, conformance};
///
///     fn run(law: impl Future<Output = ()>) {
///         // Your executor. This one is of tokio.
///         tokio::runtime::Runtime::new().unwrap().block_on(law);
///     }
///
///     conformance::for_each_law! {
///         #[test]
///         laws = [token_store, maintenance],
///         store = MemoryStore::new(),
///         runner = run,
///         limit = core::time::Duration::from_secs(60),
///     }
/// }
/// ```
#[macro_export]
macro_rules! __keyfob_for_each_law {
    (
        $(#[$test:meta])+
        laws = [$($list:ident),+ $(,)?],
        store = $store:expr
        $(, runner = $runner:expr)?
        $(,)?
    ) => {
        $crate::__keyfob_for_each_law! {
            @lists [$($list)+]
            { [$(#[$test])+] [$store] [$($runner)?] [$crate::conformance::TIME_LIMIT] }
        }
    };
    (
        $(#[$test:meta])+
        laws = [$($list:ident),+ $(,)?],
        store = $store:expr,
        $(runner = $runner:expr,)?
        limit = $limit:expr
        $(,)?
    ) => {
        $crate::__keyfob_for_each_law! {
            @lists [$($list)+] { [$(#[$test])+] [$store] [$($runner)?] [$limit] }
        }
    };
    (@lists [$($list:ident)+] $test:tt) => {
        $($crate::__keyfob_for_each_law! { @$list $test })+
    };
    (@token_store $test:tt) => {
        $crate::__keyfob_for_each_law! { @law keyfob_token_store_law ErasedTokens $test }
        $crate::__keyfob_token_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_token_store_law TokenLaws $test }
        $crate::__keyfob_change_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_token_store_law TokenLaws $test }
        $crate::__keyfob_race_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_token_store_law TokenLaws $test }
    };
    (@maintenance $test:tt) => {
        $crate::__keyfob_for_each_law! { @law keyfob_maintenance_law ErasedMaintenance $test }
        $crate::__keyfob_maintenance_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_maintenance_law MaintenanceLaws $test }
        $crate::__keyfob_maintenance_race_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_maintenance_law MaintenanceLaws $test }
    };
    (@import $test:tt) => {
        $crate::__keyfob_for_each_law! { @law keyfob_import_law ErasedImports $test }
        $crate::__keyfob_import_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_import_law ImportLaws $test }
        $crate::__keyfob_import_race_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_import_law ImportLaws $test }
    };
    (@rules $test:tt) => {
        $crate::__keyfob_for_each_law! { @law keyfob_rules_law ErasedTokens $test }
        $crate::__keyfob_rule_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_rules_law TokenLaws $test }
    };
    (@shared $test:tt) => {
        $crate::__keyfob_for_each_law! { @law keyfob_shared_law ErasedTokens $test }
        $crate::__keyfob_fresh_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_shared_law TokenLaws $test }
        $crate::__keyfob_race_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_shared_law TokenLaws $test }
    };
    (@shared_maintenance $test:tt) => {
        $crate::__keyfob_for_each_law! { @law keyfob_shared_maintenance_law ErasedMaintenance $test }
        $crate::__keyfob_maintenance_race_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_shared_maintenance_law MaintenanceLaws $test }
    };
    (@shared_import $test:tt) => {
        $crate::__keyfob_for_each_law! { @law keyfob_shared_import_law ErasedImports $test }
        $crate::__keyfob_import_race_laws! { [$crate::__keyfob_for_each_law] @tests keyfob_shared_import_law ImportLaws $test }
    };
    (@law $run:ident $erased:ident { [$(#[$test:meta])+] [$store:expr] [$($runner:expr)?] [$limit:expr] }) => {
        /// Makes the store and runs one law on it.
        async fn $run(
            case: &'static str,
            law: for<'s> fn($crate::conformance::$erased<'s>) -> $crate::conformance::LawFuture<'s>,
        ) {
            let store = $store;
            let store = $crate::conformance::Watched::new(&store);
            let law = law($crate::conformance::$erased::new(&store));
            let result = $crate::conformance::within_limit(case, $limit, &store.calls(), law).await;
            if let Err(violation) = result {
                panic!("{violation}");
            }
        }
    };
    (@tests $run:ident $laws:ident $test:tt { $($file:ident { $($(#[$law:meta])+ $case:ident;)+ })+ }) => {
        $($($crate::__keyfob_for_each_law! { @test $run $laws $case $test })+)+
    };
    (@test $run:ident $laws:ident $case:ident { [$(#[$test:meta])+] [$store:expr] [] [$limit:expr] }) => {
        $(#[$test])+
        async fn $case() {
            $run(stringify!($case), $crate::conformance::$laws::$case).await;
        }
    };
    (@test $run:ident $laws:ident $case:ident { [$(#[$test:meta])+] [$store:expr] [$runner:expr] [$limit:expr] }) => {
        $(#[$test])+
        fn $case() {
            $runner($run(stringify!($case), $crate::conformance::$laws::$case));
        }
    };
}

#[doc(inline)]
pub use __keyfob_for_each_law as for_each_law;
