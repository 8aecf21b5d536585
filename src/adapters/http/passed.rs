//! The caller of an outer guard, without the type of its project requirement.

use core::pin::Pin;
use std::sync::Arc;

use super::refusal::Refusal;
use crate::words::ids::TokenKey;

/// The verified caller that a guard outside has attached to a request. It contains the caller of
/// the next guard outside, if there is one.
#[derive(Clone)]
pub(super) struct Passed(pub(super) Arc<dyn Recheck>);

/// A verified caller that can be checked again. The trait hides the type of the project
/// requirement.
pub(super) trait Recheck: Send + Sync {
    fn key(&self) -> TokenKey;

    /// Returns the number of guards that have verified the token, the guard of this caller
    /// included.
    fn guards(&self) -> usize;

    /// Checks the token again for the requirements of the guard and of all guards outside.
    fn again(&self) -> Rechecked<'_>;
}

pub(super) type Rechecked<'f> = Pin<Box<dyn Future<Output = Result<Passed, Refusal>> + Send + 'f>>;
