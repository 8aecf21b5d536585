//! Stores of which one method is a test's own.

/// The named methods of `TokenStore`, handed on to a field.
macro_rules! handed_on {
    ($store:ident: $($method:ident),+ $(,)?) => { $(handed_on!(@$method $store);)+ };
    (@insert $store:ident) => {
        async fn insert(
            &self,
            record: keyfob::TokenRecord,
            limit: Option<keyfob::OwnerLimit>,
        ) -> Result<std::sync::Arc<keyfob::TokenRecord>, keyfob::StoreError> {
            self.$store.insert(record, limit).await
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
    (@revoke_matching $store:ident) => {
        async fn revoke_matching(
            &self,
            matching: &keyfob::RevokeMatching,
            revocation: &keyfob::Revocation,
        ) -> Result<keyfob::Batch, keyfob::StoreError> {
            self.$store.revoke_matching(matching, revocation).await
        }
    };
    (@rotate $store:ident) => {
        async fn rotate(
            &self,
            key: &keyfob::TokenKey,
            version: u64,
            successor: keyfob::TokenRecord,
            grace_until: keyfob::Timestamp,
        ) -> Result<Option<std::sync::Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
            self.$store.rotate(key, version, successor, grace_until).await
        }
    };
    (@touch_many $store:ident) => {
        async fn touch_many(&self, touches: &[keyfob::Touch]) -> Result<u64, keyfob::StoreError> {
            self.$store.touch_many(touches).await
        }
    };
}
