//! The macro that turns laws into public functions.

use core::pin::Pin;

use super::verdict::Violation;
use crate::store::contract::TokenStore;
use crate::store::erased::{ImportingObject, MaintainedObject, StoreObject};
use crate::store::import::ImportStore;
use crate::store::maintenance::StoreMaintenance;

/// A law under way, on a store whose type is erased.
#[doc(hidden)]
pub type LawFuture<'s> = Pin<Box<dyn Future<Output = Result<(), Violation>> + Send + 's>>;

/// Defines a store whose type is erased, and the type that has its laws as functions. The macro
/// [`for_each_law!`](super::for_each_law) uses them: otherwise each test would compile its law for
/// the type of its store.
macro_rules! erased {
    ($($laws:ident for $erased:ident($object:ident) of $($bound:ident)+;)+) => {
        $(
            #[doc(hidden)]
            #[allow(missing_debug_implementations, reason = "only a macro uses it")]
            pub struct $laws;

            #[doc(hidden)]
            #[allow(missing_debug_implementations, reason = "only a macro uses it")]
            #[derive(Clone, Copy)]
            pub struct $erased<'s>(pub(super) &'s dyn $object);

            impl<'s> $erased<'s> {
                /// Erases the type of a store.
                pub fn new<S: $($bound +)+>(store: &'s S) -> Self {
                    Self(store)
                }
            }
        )+
    };
}

erased! {
    TokenLaws for ErasedTokens(StoreObject) of TokenStore;
    MaintenanceLaws for ErasedMaintenance(MaintainedObject) of TokenStore StoreMaintenance;
    ImportLaws for ErasedImports(ImportingObject) of TokenStore StoreMaintenance ImportStore;
}

/// Defines one public function for each law, and a function that runs all of them and adds their
/// results to a report. The invocation groups the laws by the file that contains their test cases,
/// and states each law in a doc comment.
///
/// The cases are compiled once, in this crate, for a trait object. Otherwise each store would
/// compile them again in its tests.
macro_rules! laws {
    (
        $runner:ident $store:tt as $erased:ident in $laws:ident {
            $($file:ident { $($(#[$law:meta])+ $case:ident;)+ })+
        }
    ) => {
        laws!(@runner $store $runner { $($($case)+)+ });
        $($(laws!(@case $store $erased $laws $file $(#[$law])+ $case);)+)+
    };
    (@runner ($($store:tt)+) $runner:ident { $($case:ident)+ }) => {
        /// Runs all laws of this list and adds their results to the report.
        pub(super) async fn $runner<S: $($store)+>(store: &S, report: &mut $crate::conformance::verdict::Report) {
            $(report.add(stringify!($case), $case(store).await);)+
        }
    };
    (@case ($($store:tt)+) $erased:ident $laws:ident $file:ident $(#[$law:meta])+ $case:ident) => {
        $(#[$law])+
        ///
        /// # Errors
        /// Returns a [`Violation`](crate::conformance::Violation) if the store breaks this law.
        pub async fn $case<S: $($store)+>(store: &S) -> Result<(), $crate::conformance::verdict::Violation> {
            $crate::conformance::law::$laws::$case($crate::conformance::law::$erased::new(store)).await
        }

        impl $crate::conformance::law::$laws {
            #[doc(hidden)]
            pub fn $case<'s>(store: $crate::conformance::law::$erased<'s>) -> $crate::conformance::law::LawFuture<'s> {
                Box::pin(async move { $file::$case(&store.0).await.map_err(|broken| broken.of(stringify!($case))) })
            }
        }
    };
}

pub(super) use laws;
