//! A look-up of the issuers of many tokens. It reads each issuer from the store only once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::rules::chain::Chain;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::words::ids::TokenKey;
use crate::words::store_error::StoreError;

/// The records of the issuers that were already looked up. A record is `None` if the issuer does
/// not exist.
#[derive(Default)]
pub(super) struct Issuers(HashMap<TokenKey, Option<Arc<TokenRecord>>>);

impl Issuers {
    /// Returns the chain of a token: its record, and the records of the tokens that it is bound to.
    pub(super) async fn chain_of<S: TokenStore>(
        &mut self,
        store: &S,
        record: Arc<TokenRecord>,
    ) -> Result<Chain, StoreError> {
        let mut chain = Chain::from(Some(record));
        while let Some(key) = chain.next_issuer() {
            let found = match self.0.get(&key) {
                Some(found) => found.clone(),
                None => {
                    let found = store.find(&key).await?;
                    self.0.insert(key, found.clone());
                    found
                }
            };
            let Some(issuer) = found else { break };
            chain.add(issuer);
        }
        Ok(chain)
    }
}
