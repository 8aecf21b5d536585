//! A token and the tokens that it is bound to.

use std::sync::Arc;

use super::policy::Policy;
use super::record::TokenRecord;
use crate::words::ids::{TokenId, TokenKey};

/// A token's record, if the store has one, and the records of the tokens that it is bound to: first
/// the record of its direct issuer, then the record of the issuer of that token, and so on. A
/// verification checks all of these records.
///
/// A store fills the chain. As long as [`next_issuer`](Self::next_issuer) returns a key, the store
/// looks up the record with this key and adds it. If there is no such record, the store stops. The
/// verification then rejects the token, because a bound token works only while its issuer works.
///
/// ```
/// use keyfob::{MemoryStore, TokenKey, TokenStore, record::Chain, store::StoreError};
///
/// async fn chain(store: &MemoryStore, key: &TokenKey) -> Result<Chain, StoreError> {
///     let mut chain = Chain::from(store.find(key).await?);
///     while let Some(issuer) = chain.next_issuer() {
///         let Some(issuer) = store.find(&issuer).await? else { break };
///         chain.add(issuer);
///     }
///     Ok(chain)
/// }
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Chain {
    record: Option<Arc<TokenRecord>>,
    issuers: Issuers,
}

/// The records of the tokens that a token is bound to, starting with its direct issuer. Unused
/// places at the end of the array are `None`. If the token is not bound to any token, there is no
/// array. Most tokens are not bound, so this type has only the size of a pointer.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Issuers(Option<Box<[Option<Arc<TokenRecord>>; Chain::MOST]>>);

impl Issuers {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TokenRecord>> {
        self.0.iter().flat_map(|issuers| issuers.iter().flatten())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// Adds a record after the others. Does nothing if there are already four records.
    fn add(&mut self, issuer: Arc<TokenRecord>) {
        let issuers = self.0.get_or_insert_default();
        if let Some(place) = issuers.iter_mut().find(|place| place.is_none()) {
            *place = Some(issuer);
        }
    }
}

impl Chain {
    /// The maximum number of issuers in a chain: 4. A policy may allow fewer.
    pub const MOST: usize = Policy::MAX_DEPTH as usize;

    /// Creates a chain. The first record is the record of the token itself. Adds each further
    /// record if it is the next issuer of the chain, and skips it otherwise.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "redis"))]
    pub(crate) fn of(records: impl IntoIterator<Item = Arc<TokenRecord>>) -> Self {
        let mut records = records.into_iter();
        let mut chain = Self::from(records.next());
        for issuer in records {
            if chain.next_issuer() == Some(issuer.key()) {
                chain.add(issuer);
            }
        }
        chain
    }

    /// Returns the record of the token itself, or `None` if the chain is empty.
    pub fn record(&self) -> Option<&Arc<TokenRecord>> {
        self.record.as_ref()
    }

    /// Returns the records of the issuers that the store has added, starting with the direct issuer
    /// of the token.
    pub fn issuers(&self) -> impl Iterator<Item = &Arc<TokenRecord>> {
        self.issuers.iter()
    }

    /// Returns the key of the issuer that the last record in the chain is bound to. The store must
    /// add the record with this key next. Returns `None` if the chain is empty, if its last record
    /// is not bound, or if the chain already has the maximum of [4](Self::MOST) issuers.
    #[inline]
    pub fn next_issuer(&self) -> Option<TokenKey> {
        if self.issuers.is_empty() {
            return self.record.as_ref()?.bound_to();
        }
        let (count, last) = self.issuers.iter().enumerate().last()?;
        last.bound_to().filter(|_| count + 1 < Self::MOST)
    }

    /// Adds the record whose key [`next_issuer`](Self::next_issuer) returned. Does nothing if the
    /// chain already has four issuers.
    pub fn add(&mut self, issuer: Arc<TokenRecord>) {
        self.issuers.add(issuer);
    }

    pub(crate) fn into_parts(self) -> (Option<Arc<TokenRecord>>, Issuers) {
        (self.record, self.issuers)
    }

    /// Returns the chain unchanged if `wanted` returns `true` for the token's own record. Returns
    /// an empty chain otherwise.
    pub(crate) fn filter(self, wanted: impl FnOnce(&TokenRecord) -> bool) -> Self {
        match &self.record {
            Some(record) if wanted(record) => self,
            _ => Self::default(),
        }
    }
}

impl From<Option<Arc<TokenRecord>>> for Chain {
    fn from(record: Option<Arc<TokenRecord>>) -> Self {
        Self { record, issuers: Issuers::default() }
    }
}

impl TokenRecord {
    /// Returns the key of the token's issuer if the token is bound to its issuer, and `None`
    /// otherwise. A bound token works only while its issuer works.
    #[inline]
    pub fn bound_to(&self) -> Option<TokenKey> {
        match &self.issuer {
            Some(issuer) if issuer.bound => Some(TokenKey { project: self.project, id: issuer.id }),
            _ => None,
        }
    }

    /// Returns whether this token is bound directly to the token with this id.
    pub(crate) fn is_bound_to(&self, id: &TokenId) -> bool {
        self.issuer.is_some_and(|issuer| issuer.bound && issuer.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::issuer::Issuer;
    use crate::rules::sample::{id, record};

    fn bound(own: char, to: char) -> Arc<TokenRecord> {
        let issuer = Some(Issuer { id: id(to), bound: true });
        Arc::new(TokenRecord { id: id(own), issuer, ..record() })
    }

    #[test]
    fn a_chain_names_each_issuer_up_to_the_first_unbound_one() {
        let mut chain = Chain::from(Some(bound('1', '2')));
        let mut asked = Vec::new();
        for next in [bound('2', '3'), bound('3', '4'), Arc::new(TokenRecord { id: id('4'), ..record() })] {
            asked.push(chain.next_issuer().unwrap().id);
            chain.add(next);
        }
        assert_eq!(asked, [id('2'), id('3'), id('4')]);
        assert_eq!(chain.next_issuer(), None);
        assert_eq!(chain.issuers().map(|issuer| issuer.id).collect::<Vec<_>>(), asked);
    }

    #[test]
    fn an_endless_chain_stops_at_four_issuers() {
        let mut chain = Chain::from(Some(bound('1', '1')));
        let mut added = 0;
        while chain.next_issuer().is_some() {
            chain.add(bound('1', '1'));
            added += 1;
        }
        assert_eq!((added, chain.issuers().count()), (Chain::MOST, Chain::MOST));
        chain.add(bound('1', '1'));
        assert_eq!(chain.issuers().count(), Chain::MOST);
    }

    #[test]
    fn an_independent_token_has_no_next_issuer() {
        let issuer = Some(Issuer { id: id('2'), bound: false });
        let independent = TokenRecord { issuer, ..record() };
        assert_eq!(Chain::from(Some(Arc::new(independent.clone()))).next_issuer(), None);
        assert_eq!(Chain::default().next_issuer(), None);
        assert!(bound('1', '2').is_bound_to(&id('2')) && !bound('1', '2').is_bound_to(&id('3')));
        assert!(!independent.is_bound_to(&id('2')));
    }
}
