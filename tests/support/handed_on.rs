//! A macro for test stores that implement only one or two methods of `TokenStore` themselves.

/// Implements the named methods of `TokenStore`. Each method calls the same method of the store in
/// the field `$store`.
macro_rules! handed_on {
    ($store:ident: $($method:ident),+ $(,)?) => { $(handed_on!(@$method $store);)+ };
    (@insert $store:ident) => {
        async fn insert(
            &self,
            record: keyfob::TokenRecord,
            limit: Option<keyfob::store::LiveLimit>,
            issuer: Option<keyfob::store::IssuerCondition>,
        ) -> Result<std::sync::Arc<keyfob::TokenRecord>, keyfob::store::StoreError> {
            self.$store.insert(record, limit, issuer).await
        }
    };
    (@find $store:ident) => {
        async fn find(
            &self,
            key: &keyfob::TokenKey,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
            self.$store.find(key).await
        }
    };
    (@find_durable $store:ident) => {
        async fn find_durable(
            &self,
            key: &keyfob::TokenKey,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
            self.$store.find_durable(key).await
        }
    };
    (@find_recent $store:ident) => {
        async fn find_recent(&self, key: &keyfob::TokenKey) -> Result<keyfob::store::ReadResult, keyfob::store::StoreError> {
            self.$store.find_recent(key).await
        }
    };
    (@list $store:ident) => {
        async fn list(
            &self,
            query: &keyfob::store::ListQuery,
        ) -> Result<keyfob::store::Page<std::sync::Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
            self.$store.list(query).await
        }
    };
    (@count $store:ident) => {
        async fn count(&self, query: &keyfob::store::CountQuery) -> Result<u64, keyfob::store::StoreError> {
            self.$store.count(query).await
        }
    };
    (@update $store:ident) => {
        async fn update(
            &self,
            key: &keyfob::TokenKey,
            version: u64,
            change: keyfob::record::Change,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
            self.$store.update(key, version, change).await
        }
    };
    (@revoke $store:ident) => {
        async fn revoke(
            &self,
            key: &keyfob::TokenKey,
            revocation: &keyfob::record::Revocation,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
            self.$store.revoke(key, revocation).await
        }
    };
    (@revoke_owner $store:ident) => {
        async fn revoke_owner(
            &self,
            project: &keyfob::ProjectId,
            owner: &keyfob::OwnerId,
            revocation: &keyfob::record::Revocation,
        ) -> Result<u64, keyfob::store::StoreError> {
            self.$store.revoke_owner(project, owner, revocation).await
        }
    };
    (@revoke_family $store:ident) => {
        async fn revoke_family(
            &self,
            project: &keyfob::ProjectId,
            family: &keyfob::TokenId,
            revocation: &keyfob::record::Revocation,
        ) -> Result<u64, keyfob::store::StoreError> {
            self.$store.revoke_family(project, family, revocation).await
        }
    };
    (@find_recent_chain $store:ident) => {
        async fn find_recent_chain(
            &self,
            key: &keyfob::TokenKey,
        ) -> Result<keyfob::store::ChainResult, keyfob::store::StoreError> {
            self.$store.find_recent_chain(key).await
        }
    };
    (@revoke_issued_by $store:ident) => {
        async fn revoke_issued_by(
            &self,
            project: &keyfob::ProjectId,
            issuer: &keyfob::TokenId,
            revocation: &keyfob::record::Revocation,
        ) -> Result<u64, keyfob::store::StoreError> {
            self.$store.revoke_issued_by(project, issuer, revocation).await
        }
    };
    (@revoke_batch $store:ident) => {
        async fn revoke_batch(
            &self,
            project: &keyfob::ProjectId,
            revocation: &keyfob::record::Revocation,
            batch: keyfob::store::RevokeBatch,
            most: keyfob::store::PageSize,
        ) -> Result<keyfob::store::BatchResult, keyfob::store::StoreError> {
            self.$store.revoke_batch(project, revocation, batch, most).await
        }
    };
    (@rotate $store:ident) => {
        async fn rotate(
            &self,
            key: &keyfob::TokenKey,
            version: u64,
            successor: keyfob::TokenRecord,
            grace_until: keyfob::Timestamp,
            issuer: Option<keyfob::store::IssuerCondition>,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
            self.$store.rotate(key, version, successor, grace_until, issuer).await
        }
    };
    (@touch_many $store:ident) => {
        async fn touch_many(&self, touches: &[keyfob::store::LastUse]) -> Result<u64, keyfob::store::StoreError> {
            self.$store.touch_many(touches).await
        }
    };
}
