//! Stores of which one method is a test's own.

/// The named methods of `TokenStore`, handed on to a field.
macro_rules! handed_on {
    ($store:ident: $($method:ident),+ $(,)?) => { $(handed_on!(@$method $store);)+ };
    (@insert $store:ident) => {
        async fn insert(
            &self,
            record: keyfob::TokenRecord,
            limit: Option<keyfob::OwnerLimit>,
            issuer: Option<keyfob::IssuerCondition>,
        ) -> Result<std::sync::Arc<keyfob::TokenRecord>, keyfob::StoreError> {
            self.$store.insert(record, limit, issuer).await
        }
    };
    (@find $store:ident) => {
        async fn find(
            &self,
            key: &keyfob::TokenKey,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
            self.$store.find(key).await
        }
    };
    (@find_durable $store:ident) => {
        async fn find_durable(
            &self,
            key: &keyfob::TokenKey,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
            self.$store.find_durable(key).await
        }
    };
    (@find_recent $store:ident) => {
        async fn find_recent(&self, key: &keyfob::TokenKey) -> Result<keyfob::Recent, keyfob::StoreError> {
            self.$store.find_recent(key).await
        }
    };
    (@list $store:ident) => {
        async fn list(
            &self,
            query: &keyfob::ListQuery,
        ) -> Result<keyfob::Page<std::sync::Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
            self.$store.list(query).await
        }
    };
    (@count $store:ident) => {
        async fn count(&self, query: &keyfob::CountQuery) -> Result<u64, keyfob::StoreError> {
            self.$store.count(query).await
        }
    };
    (@update $store:ident) => {
        async fn update(
            &self,
            key: &keyfob::TokenKey,
            version: u64,
            change: keyfob::Change,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
            self.$store.update(key, version, change).await
        }
    };
    (@revoke $store:ident) => {
        async fn revoke(
            &self,
            key: &keyfob::TokenKey,
            revocation: &keyfob::Revocation,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
            self.$store.revoke(key, revocation).await
        }
    };
    (@revoke_owner $store:ident) => {
        async fn revoke_owner(
            &self,
            project: &keyfob::ProjectId,
            owner: &keyfob::OwnerId,
            revocation: &keyfob::Revocation,
        ) -> Result<u64, keyfob::StoreError> {
            self.$store.revoke_owner(project, owner, revocation).await
        }
    };
    (@revoke_family $store:ident) => {
        async fn revoke_family(
            &self,
            project: &keyfob::ProjectId,
            family: &keyfob::TokenId,
            revocation: &keyfob::Revocation,
        ) -> Result<u64, keyfob::StoreError> {
            self.$store.revoke_family(project, family, revocation).await
        }
    };
    (@revoke_batch $store:ident) => {
        async fn revoke_batch(
            &self,
            project: &keyfob::ProjectId,
            revocation: &keyfob::Revocation,
            batch: keyfob::RevokeBatch,
            most: keyfob::PageSize,
        ) -> Result<keyfob::Batch, keyfob::StoreError> {
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
            issuer: Option<keyfob::IssuerCondition>,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
            self.$store.rotate(key, version, successor, grace_until, issuer).await
        }
    };
    (@touch_many $store:ident) => {
        async fn touch_many(&self, touches: &[keyfob::Touch]) -> Result<u64, keyfob::StoreError> {
            self.$store.touch_many(touches).await
        }
    };
}
