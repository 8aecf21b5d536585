//! The implementations of the store traits for `&S`, `Arc<S>`, `Box<S>`, trait objects and
//! [`DynStore`]. The methods of each trait are listed once, at the end of this file.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use super::contract::{ChainResult, ReadResult, TokenStore};
use super::group::{BatchResult, RevokeBatch};
use super::import::{ImportRowOutcome, ImportStore};
use super::last_use::LastUse;
use super::maintenance::{ProjectsQuery, StoreMaintenance};
use super::query::{CountQuery, ListQuery, Page, PageSize};
use crate::rules::change::Change;
use crate::rules::import_row::ImportRow;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::import_key::ImportKey;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// The boxed future that each method of a trait object returns.
type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'f>>;

/// A store that supports maintenance, as a trait object.
pub(crate) trait MaintainedObject: StoreObject + MaintenanceObject {}

impl<S: TokenStore + StoreMaintenance> MaintainedObject for S {}

/// A store that supports maintenance and imports, as a trait object.
pub(crate) trait ImportingObject: MaintainedObject + ImportObject {}

impl<S: TokenStore + StoreMaintenance + ImportStore> ImportingObject for S {}

/// A store whose type the service chooses at run time. It implements [`TokenStore`],
/// [`StoreMaintenance`] and [`ImportStore`]. Each call costs one heap
/// allocation, except `find_held`.
///
/// ```
/// use keyfob::{MemoryStore, Tokens, store::DynStore};
/// # use keyfob::{Keyring, Pepper, Prefix};
///
/// # let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
/// // Create the store of the engine that the configuration names.
/// let store = DynStore::new(MemoryStore::new());
/// let tokens: Tokens<DynStore> = Tokens::new(keyring, store);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DynStore {
    store: Arc<dyn MaintainedObject>,
    imports: Option<Arc<dyn ImportObject>>,
}

impl DynStore {
    /// Creates a `DynStore` from a store that does not support imports. If your code needs the
    /// store afterwards, pass an `Arc` of the store.
    ///
    /// The methods of [`ImportStore`] then return [`Other`](crate::store::StoreErrorKind::Other).
    /// For a store that supports imports, call [`with_imports`](Self::with_imports).
    pub fn new(store: impl TokenStore + StoreMaintenance + 'static) -> Self {
        Self { store: Arc::new(store), imports: None }
    }

    /// Creates a `DynStore` from a store that supports imports.
    pub fn with_imports(store: impl TokenStore + StoreMaintenance + ImportStore + 'static) -> Self {
        let store = Arc::new(store);
        Self { store: Arc::clone(&store) as _, imports: Some(store) }
    }

    fn imports(&self) -> Result<&dyn ImportObject, StoreError> {
        let missing = || StoreError::with_source(StoreErrorKind::Other, "the store does not support imports");
        self.imports.as_deref().ok_or_else(missing)
    }
}

impl core::fmt::Debug for DynStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DynStore").finish_non_exhaustive()
    }
}

/// Implements one store trait for references, `Arc`, `Box`, [`DynStore`] and trait objects.
///
/// The macro defines an object-safe trait whose methods return boxed futures, implements it for
/// every store, and forwards each method to the store. In the list of a method's arguments, the
/// arguments before the `;` are passed by reference, and the arguments after the `;` by value.
macro_rules! forward {
    (
        $object:ident $(, $whole:ident)* for $trait:ident by $dyn:ident => $inner:expr; {
            $(fn $call:ident($($by_ref:ident: &$ref_type:ty),*; $($by_value:ident: $type:ty),*) -> $answer:ty;)+
            $(sync fn $held:ident($held_ref:ident: &$held_type:ty) -> $held_answer:ty;)?
        }
    ) => {
        pub(crate) trait $object: Send + Sync {
            $(
                fn $call<'f>(
                    &'f self,
                    $($by_ref: &'f $ref_type,)*
                    $($by_value: $type),*
                ) -> BoxFuture<'f, $answer>;
            )+
            $(fn $held(&self, $held_ref: &$held_type) -> $held_answer;)?
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
            $(
                fn $held(&self, $held_ref: &$held_type) -> $held_answer {
                    $trait::$held(self, $held_ref)
                }
            )?
        }

        forward!(@impls $trait
            [[S: $trait + ?Sized] &S, $trait(this => &**this)]
            [[S: $trait + ?Sized] Arc<S>, $trait(this => &**this)]
            [[S: $trait + ?Sized] Box<S>, $trait(this => &**this)]
            [[] DynStore, $object($dyn => $inner)]
            [[] dyn $object + '_, $object(this => this)]
            $([[] dyn $whole + '_, $object(this => this)])*
            {
                $(fn $call($($by_ref: &$ref_type),*; $($by_value: $type),*) -> $answer;)+
                $(sync fn $held($held_ref: &$held_type) -> $held_answer;)?
            }
        );
    };
    (@impls $trait:ident [$($one:tt)+] $([$($more:tt)+])* {$($calls:tt)+}) => {
        forward!(@impl $trait $($one)+ { $($calls)+ });
        forward!(@impls $trait $([$($more)+])* { $($calls)+ });
    };
    (@impls $trait:ident {$($calls:tt)+}) => {};
    (@impl $trait:ident [$($generics:tt)*] $type:ty, $through:ident($this:ident => $store:expr) {
        $(fn $call:ident($($by_ref:ident: &$ref_type:ty),*; $($by_value:ident: $value_type:ty),*) -> $answer:ty;)+
        $(sync fn $held:ident($held_ref:ident: &$held_type:ty) -> $held_answer:ty;)?
    }) => {
        #[deny(clippy::missing_trait_methods)]
        impl<$($generics)*> $trait for $type {
            $(
                async fn $call(&self, $($by_ref: &$ref_type,)* $($by_value: $value_type),*) -> Result<$answer, StoreError> {
                    let $this = self;
                    $through::$call($store, $($by_ref,)* $($by_value),*).await
                }
            )+
            $(
                #[inline]
                fn $held(&self, $held_ref: &$held_type) -> $held_answer {
                    let $this = self;
                    $through::$held($store, $held_ref)
                }
            )?
        }
    };
}

forward! {
    StoreObject, MaintainedObject, ImportingObject for TokenStore by this => &*this.store; {
        fn insert(;
            record: TokenRecord, limit: Option<LiveLimit>, issuer: Option<IssuerCondition>
        ) -> Arc<TokenRecord>;
        fn find(key: &TokenKey;) -> Option<Arc<TokenRecord>>;
        fn find_recent(key: &TokenKey;) -> ReadResult;
        fn find_recent_chain(key: &TokenKey;) -> ChainResult;
        fn find_durable(key: &TokenKey;) -> Option<Arc<TokenRecord>>;
        fn list(query: &ListQuery;) -> Page<Arc<TokenRecord>>;
        fn count(query: &CountQuery;) -> u64;
        fn update(key: &TokenKey; expected_version: u64, change: Change) -> Option<Arc<TokenRecord>>;
        fn revoke(key: &TokenKey, revocation: &Revocation;) -> Option<Arc<TokenRecord>>;
        fn revoke_owner(project: &ProjectId, owner: &OwnerId, revocation: &Revocation;) -> u64;
        fn revoke_family(project: &ProjectId, family: &TokenId, revocation: &Revocation;) -> u64;
        fn revoke_issued_by(project: &ProjectId, issuer: &TokenId, revocation: &Revocation;) -> u64;
        fn revoke_batch(
            project: &ProjectId, revocation: &Revocation;
            batch: RevokeBatch, most: PageSize
        ) -> BatchResult;
        fn rotate(
            key: &TokenKey;
            expected_version: u64, successor: TokenRecord, grace_until: Timestamp, issuer: Option<IssuerCondition>
        ) -> Option<Arc<TokenRecord>>;
        fn touch_many(touches: &[LastUse];) -> u64;
        sync fn find_held(key: &TokenKey) -> Option<ChainResult>;
    }
}

forward! {
    MaintenanceObject, MaintainedObject, ImportingObject for StoreMaintenance by this => &*this.store; {
        fn projects(query: &ProjectsQuery;) -> Vec<ProjectId>;
        fn purge(project: &ProjectId; ended_before: Timestamp, most: PageSize) -> BatchResult;
        fn ended_issuers(project: &ProjectId; now: Timestamp, most: PageSize) -> Vec<TokenId>;
        fn claim_notices(
            project: &ProjectId, leads: &[NoticeLead];
            now: Timestamp, lease_until: Timestamp, most: PageSize
        ) -> Vec<Arc<TokenRecord>>;
        fn acknowledge_notice(key: &TokenKey; lead: NoticeLead) -> Option<Arc<TokenRecord>>;
        fn scan(; after: Option<TokenKey>, most: PageSize) -> Option<Vec<Arc<TokenRecord>>>;
    }
}

forward! {
    ImportObject, ImportingObject for ImportStore by this => this.imports()?; {
        fn import(; batch: Vec<ImportRow>) -> Vec<ImportRowOutcome>;
        fn find_imported(import_key: &ImportKey;) -> Option<Arc<TokenRecord>>;
    }
}
