//! The macro that turns laws into public functions.

/// Defines one public function that runs all laws of a trait, and one public function for each law.
/// The invocation groups the laws by the file that contains their test cases, and states each law
/// in a doc comment.
///
/// The cases are compiled once, in this crate, for a trait object. Otherwise each store would
/// compile them again in its tests.
macro_rules! laws {
    (
        $(#[$docs:meta])*
        $runner:ident $store:tt as $object:ident {
            $($file:ident { $($(#[$law:meta])+ $case:ident;)+ })+
        }
    ) => {
        laws!(@runner $store $(#[$docs])* $runner { $($($case)+)+ });
        $($(laws!(@case $store $object $file $(#[$law])+ $case);)+)+
    };
    (@runner ($($store:tt)+) $(#[$docs:meta])* $runner:ident { $($case:ident)+ }) => {
        $(#[$docs])*
        pub async fn $runner<S: $($store)+>(store: &S) -> $crate::conformance::verdict::Report {
            let mut report = $crate::conformance::verdict::Report::default();
            $(report.add(stringify!($case), $case(store).await);)+
            report
        }
    };
    (@case ($($store:tt)+) $object:ident $file:ident $(#[$law:meta])+ $case:ident) => {
        $(#[$law])+
        ///
        /// # Errors
        /// Returns a [`Violation`](crate::conformance::Violation) if the store breaks this law.
        pub async fn $case<S: $($store)+>(store: &S) -> Result<(), $crate::conformance::verdict::Violation> {
            fn tried<'s>(store: &'s dyn $object) -> core::pin::Pin<Box<dyn Future<Output = $crate::conformance::verdict::Verdict> + Send + 's>> {
                Box::pin(async move { $file::$case(&store).await })
            }
            tried(store).await.map_err(|broken| broken.of(stringify!($case)))
        }
    };
}

pub(super) use laws;
