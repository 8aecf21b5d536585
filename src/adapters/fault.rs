//! A counter of failures in background work. Such work has no caller to which it could return an
//! error.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::words::store_error::StoreError;

/// A counter of the failures of background work. Each failure is also logged if the feature
/// `tracing` is on.
#[derive(Debug, Default)]
pub(super) struct Faults(AtomicU64);

impl Faults {
    /// Counts one failure, and logs it if the feature `tracing` is on. `what` says what failed,
    /// such as "cannot listen for changes".
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "only the log names them"))]
    pub(super) fn note(&self, what: &'static str, error: &StoreError) {
        self.0.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "tracing")]
        tracing::warn!(target: "keyfob", error = %causes::Causes(error), "{what}");
    }

    /// Returns the number of failures counted so far.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(feature = "tracing")]
mod causes {
    use core::error::Error;
    use core::fmt;

    /// An error that is displayed with all of its causes. The text of a `StoreError` itself names
    /// only the kind of the error.
    pub(super) struct Causes<'e>(pub(super) &'e dyn Error);

    impl fmt::Display for Causes<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)?;
            let mut cause = self.0.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::store_error::StoreErrorKind;

    #[test]
    fn each_failure_is_counted() {
        let faults = Faults::default();
        for noted in 0..3 {
            assert_eq!(faults.count(), noted);
            faults.note("cannot write a beat", &StoreErrorKind::Unavailable.into());
        }
        assert_eq!(faults.count(), 3);
    }

    #[cfg(feature = "tracing")]
    #[test]
    fn the_causes_of_a_failure_are_logged() {
        let error = StoreError::with_source(StoreErrorKind::Unavailable, "connection refused");
        assert_eq!(causes::Causes(&error).to_string(), "the token store is unavailable: connection refused");
    }
}
