//! The hash functions that a host declares for imported tokens.

use std::sync::Arc;

use super::import_scheme::ImportScheme;
use crate::words::import_digest::ImportDigest;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

type Hash = dyn Fn(&ImportScheme, &[u8]) -> Option<ImportDigest> + Send + Sync;
type Cost = dyn Fn(&ImportScheme) -> Option<u64> + Send + Sync;

/// A declared hash function. A slow function has a cost, and a highest cost that is allowed.
#[derive(Clone)]
pub(crate) struct ImportFunction {
    hash: Arc<Hash>,
    cost: Option<(Arc<Cost>, u64)>,
}

impl ImportFunction {
    pub(super) fn fast(hash: impl Fn(&ImportScheme, &[u8]) -> Option<ImportDigest> + Send + Sync + 'static) -> Self {
        Self { hash: Arc::new(hash), cost: None }
    }

    pub(super) fn slow(
        max_cost: u64,
        cost: impl Fn(&ImportScheme) -> Option<u64> + Send + Sync + 'static,
        hash: impl Fn(&ImportScheme, &[u8]) -> Option<ImportDigest> + Send + Sync + 'static,
    ) -> Self {
        Self { hash: Arc::new(hash), cost: Some((Arc::new(cost), max_cost)) }
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.cost.is_some()
    }

    /// Checks that the cost of a scheme is within the declared maximum.
    pub(super) fn admit(&self, scheme: &ImportScheme) -> Result<(), Invalid> {
        let Some((cost, max)) = &self.cost else { return Ok(()) };
        match cost(scheme) {
            None => Err(unreadable()),
            Some(cost) if cost > *max => {
                Err(Invalid::new(InvalidField::ImportScheme, InvalidKind::TooCostly { max: *max }))
            }
            Some(_) => Ok(()),
        }
    }

    /// Computes the hash of a text. Call this function only with a scheme that was admitted.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the function does not understand the scheme.
    pub(crate) fn hash(&self, scheme: &ImportScheme, text: &[u8]) -> Result<ImportDigest, Invalid> {
        (self.hash)(scheme, text).ok_or_else(unreadable)
    }
}

/// Returns the error for a scheme whose parameters or salt the function does not understand.
pub(super) fn unreadable() -> Invalid {
    Invalid::new(InvalidField::ImportScheme, InvalidKind::Shape)
}
