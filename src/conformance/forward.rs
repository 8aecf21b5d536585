//! The macro that implements the store traits for a store around other stores.

/// Implements [`TokenStore`], [`StoreMaintenance`] and [`ImportStore`] for a type with these type
/// parameters, if all of them implement the trait. Each method runs the macro `$body` with the
/// store, the trait, the name of the method and its arguments. The macro `$held` does the same for
/// the synchronous method [`find_held`](crate::TokenStore::find_held).
///
/// [`TokenStore`]: crate::TokenStore
/// [`StoreMaintenance`]: crate::store::StoreMaintenance
/// [`ImportStore`]: crate::import::ImportStore
macro_rules! forward_stores {
    ([$($store:ident),+] $type:ty, $body:ident, $held:ident) => {
        $crate::conformance::forward::forward_stores! {
            @trait [$($store),+] $type, $body, $crate::store::contract::TokenStore, $held {
                fn insert(
                    record: TokenRecord, limit: Option<LiveLimit>, issuer: Option<IssuerCondition>
                ) -> Arc<TokenRecord>;
                fn find(key: &TokenKey) -> Option<Arc<TokenRecord>>;
                fn find_recent(key: &TokenKey) -> ReadResult;
                fn find_recent_chain(key: &TokenKey) -> ChainResult;
                fn find_durable(key: &TokenKey) -> Option<Arc<TokenRecord>>;
                fn list(query: &ListQuery) -> Page<Arc<TokenRecord>>;
                fn count(query: &CountQuery) -> u64;
                fn update(key: &TokenKey, expected_version: u64, change: Change) -> Option<Arc<TokenRecord>>;
                fn revoke(key: &TokenKey, revocation: &Revocation) -> Option<Arc<TokenRecord>>;
                fn revoke_owner(project: &ProjectId, owner: &OwnerId, revocation: &Revocation) -> u64;
                fn revoke_family(project: &ProjectId, family: &TokenId, revocation: &Revocation) -> u64;
                fn revoke_issued_by(project: &ProjectId, issuer: &TokenId, revocation: &Revocation) -> u64;
                fn revoke_batch(
                    project: &ProjectId, revocation: &Revocation, batch: RevokeBatch, most: PageSize
                ) -> BatchResult;
                fn rotate(
                    key: &TokenKey, expected_version: u64, successor: TokenRecord, grace_until: Timestamp,
                    issuer: Option<IssuerCondition>
                ) -> Option<Arc<TokenRecord>>;
                fn touch_many(touches: &[LastUse]) -> u64;
            }
        }
        $crate::conformance::forward::forward_stores! {
            @trait [$($store),+] $type, $body, $crate::store::maintenance::StoreMaintenance {
                fn projects(query: &ProjectsQuery) -> Vec<ProjectId>;
                fn purge(project: &ProjectId, ended_before: Timestamp, most: PageSize) -> BatchResult;
                fn ended_issuers(project: &ProjectId, now: Timestamp, most: PageSize) -> Vec<TokenId>;
                fn claim_notices(
                    project: &ProjectId, leads: &[NoticeLead], now: Timestamp, lease_until: Timestamp, most: PageSize
                ) -> Vec<Arc<TokenRecord>>;
                fn acknowledge_notice(key: &TokenKey, lead: NoticeLead) -> Option<Arc<TokenRecord>>;
                fn scan(after: Option<TokenKey>, most: PageSize) -> Option<Vec<Arc<TokenRecord>>>;
            }
        }
        $crate::conformance::forward::forward_stores! {
            @trait [$($store),+] $type, $body, $crate::store::import::ImportStore {
                fn import(batch: Vec<ImportRow>) -> Vec<ImportRowOutcome>;
                fn find_imported(import_key: &ImportKey) -> Option<Arc<TokenRecord>>;
            }
        }
    };
    (@trait [$($store:ident),+] $type:ty, $body:ident, $trait:path $(, $held:ident)? {
        $(fn $call:ident($($argument:ident: $argument_type:ty),*) -> $answer:ty;)+
    }) => {
        const _: () = {
            use std::sync::Arc;
            #[allow(unused_imports, reason = "each trait needs a part of them")]
            use $crate::{
                rules::{
                    change::Change, import_row::ImportRow, notice_lead::NoticeLead,
                    precondition::{IssuerCondition, LiveLimit},
                    record::{Revocation, TokenRecord},
                },
                store::{
                    contract::{ChainResult, ReadResult},
                    group::{BatchResult, RevokeBatch},
                    import::ImportRowOutcome,
                    last_use::LastUse,
                    maintenance::ProjectsQuery,
                    query::{CountQuery, ListQuery, Page, PageSize},
                },
                words::{
                    ids::{ProjectId, TokenId, TokenKey},
                    import_key::ImportKey, text::OwnerId, timestamp::Timestamp,
                },
            };

            #[deny(clippy::missing_trait_methods)]
            impl<$($store: $trait),+> $trait for $type {
                $(
                    async fn $call(
                        &self,
                        $($argument: $argument_type),*
                    ) -> Result<$answer, $crate::words::store_error::StoreError> {
                        $body!(self, $call($($argument),*))
                    }
                )+
                $(
                    fn find_held(&self, key: &TokenKey) -> Option<ChainResult> {
                        $held!(self, find_held(key))
                    }
                )?
            }
        };
    };
}

pub(super) use forward_stores;
