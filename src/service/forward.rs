//! A reference, an `Arc` and a `Box` of a store are stores; so is an erased one. The calls of each trait are listed once, at the end.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use super::query::{CountQuery, ListQuery, Page, PageSize};
use super::store::{
    Batch, ImportKey, ImportOutcome, ImportRow, ImportStore, OwnerLimit, ProjectsQuery, Recent, RevokeMatching,
    StoreMaintenance, TokenStore, Touch,
};
use super::store_error::StoreError;
use crate::rules::change::Change;
use crate::rules::record::{Revocation, TokenRecord};
use crate::rules::status::NoticeStage;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::timestamp::Timestamp;

/// The future of an erased call.
type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'f>>;

/// For one trait: the forwards, an object-safe twin with boxed futures, and the erased store that holds one.
/// A call lists its arguments by reference before the `;`, those by value after it.
macro_rules! forward {
    (
        $(#[$docs:meta])*
        $erased:ident($object:ident) for $trait:ident {
            $(fn $call:ident($($by_ref:ident: &$ref_type:ty),*; $($by_value:ident: $type:ty),*) -> $answer:ty;)+
        }
    ) => {
        forward!(@pointers $trait [&S] [Arc<S>] [Box<S>] {
            $(fn $call($($by_ref: &$ref_type),*; $($by_value: $type),*) -> $answer;)+
        });

        $(#[$docs])*
        #[derive(Clone)]
        pub struct $erased(Arc<dyn $object>);

        impl $erased {
            /// Erases a store. To keep the store too, erase an `Arc` of it.
            pub fn new(store: impl $trait + 'static) -> Self {
                Self(Arc::new(store))
            }
        }

        impl core::fmt::Debug for $erased {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($erased)).finish_non_exhaustive()
            }
        }

        trait $object: Send + Sync {
            $(
                fn $call<'f>(
                    &'f self,
                    $($by_ref: &'f $ref_type,)*
                    $($by_value: $type),*
                ) -> BoxFuture<'f, $answer>;
            )+
        }

        impl<S: $trait> $object for S {
            $(
                fn $call<'f>(
                    &'f self,
                    $($by_ref: &'f $ref_type,)*
                    $($by_value: $type),*
                ) -> BoxFuture<'f, $answer> {
                    Box::pin($trait::$call(self, $($by_ref,)* $($by_value),*))
                }
            )+
        }

        #[deny(clippy::missing_trait_methods)]
        impl $trait for $erased {
            $(
                async fn $call(&self, $($by_ref: &$ref_type,)* $($by_value: $type),*) -> Result<$answer, StoreError> {
                    $object::$call(&*self.0, $($by_ref,)* $($by_value),*).await
                }
            )+
        }
    };
    (@pointers $trait:ident [$pointer:ty] $([$more:ty])* {$($calls:tt)+}) => {
        forward!(@pointer $trait $pointer { $($calls)+ });
        forward!(@pointers $trait $([$more])* { $($calls)+ });
    };
    (@pointers $trait:ident {$($calls:tt)+}) => {};
    (@pointer $trait:ident $pointer:ty {
        $(fn $call:ident($($by_ref:ident: &$ref_type:ty),*; $($by_value:ident: $type:ty),*) -> $answer:ty;)+
    }) => {
        #[deny(clippy::missing_trait_methods)]
        impl<S: $trait + ?Sized> $trait for $pointer {
            $(
                async fn $call(&self, $($by_ref: &$ref_type,)* $($by_value: $type),*) -> Result<$answer, StoreError> {
                    (**self).$call($($by_ref,)* $($by_value),*).await
                }
            )+
        }
    };
}

forward! {
    /// A [`TokenStore`] of a type that is chosen at run time. Each call costs one box.
    ErasedStore(StoreObject) for TokenStore {
        fn insert(; record: TokenRecord, limit: Option<OwnerLimit>) -> Arc<TokenRecord>;
        fn find(key: &TokenKey;) -> Option<Arc<TokenRecord>>;
        fn find_recent(key: &TokenKey;) -> Recent;
        fn list(query: &ListQuery;) -> Page<Arc<TokenRecord>>;
        fn count(query: &CountQuery;) -> u64;
        fn update(key: &TokenKey; expected_version: u64, change: Change) -> Option<Arc<TokenRecord>>;
        fn revoke(key: &TokenKey, revocation: &Revocation;) -> Option<Arc<TokenRecord>>;
        fn revoke_matching(matching: &RevokeMatching, revocation: &Revocation;) -> Batch;
        fn rotate(
            key: &TokenKey;
            expected_version: u64, successor: TokenRecord, grace_until: Timestamp
        ) -> Option<Arc<TokenRecord>>;
        fn touch_many(touches: &[Touch];) -> u64;
    }
}

forward! {
    /// A [`StoreMaintenance`] of a type that is chosen at run time.
    ErasedMaintenance(MaintenanceObject) for StoreMaintenance {
        fn projects(query: &ProjectsQuery;) -> Vec<ProjectId>;
        fn purge(project: &ProjectId; ended_before: Timestamp, most: PageSize) -> Batch;
        fn claim_notices(
            project: &ProjectId;
            now: Timestamp, lease_until: Timestamp, most: PageSize
        ) -> Vec<Arc<TokenRecord>>;
        fn acknowledge_notice(key: &TokenKey; stage: NoticeStage) -> Option<Arc<TokenRecord>>;
    }
}

forward! {
    /// An [`ImportStore`] of a type that is chosen at run time.
    ErasedImport(ImportObject) for ImportStore {
        fn import(; batch: Vec<ImportRow>) -> Vec<ImportOutcome>;
        fn find_imported(import_key: &ImportKey;) -> Option<Arc<TokenRecord>>;
    }
}
