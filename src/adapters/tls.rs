//! The errors of TLS connections to databases.

use core::error::Error;
use core::fmt;
use std::io;
use std::sync::Arc;

use crate::words::store_error::{StoreError, StoreErrorKind};

/// Returns the store error for an error that TLS caused, such as a certificate that is not trusted.
/// Returns `None` if TLS did not cause the error.
pub(super) fn failed(error: &(dyn Error + 'static)) -> Option<StoreError> {
    let mut error = error;
    loop {
        if let Some(cause) = error.downcast_ref::<rustls::Error>() {
            return Some(StoreError::with_source(StoreErrorKind::Other, TlsFault(cause.clone())));
        }
        // `source` of an I/O error, or of a shared error, skips the error that it contains.
        error = if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
            &**shared
        } else if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            inner
        } else {
            error.source()?
        };
    }
}

/// A failure of TLS, with advice for the operator.
#[derive(Debug)]
struct TlsFault(rustls::Error);

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            rustls::Error::InvalidCertificate(_) => write!(
                f,
                "the server is not trusted ({}): check the root certificate and the host name in the address",
                self.0
            ),
            fault => write!(f, "the TLS connection failed ({fault}): check that the server offers TLS at this address"),
        }
    }
}

impl Error for TlsFault {}

/// Makes ring the cryptography of all TLS connections of the process, unless the service has chosen
/// another. The Redis client panics if the choice is open, which it is if a dependency of the
/// service enables another provider of rustls.
#[cfg(feature = "redis")]
pub(super) fn choose_provider() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // The call fails only if another thread has chosen meanwhile, and that choice is as good.
        drop(ring::default_provider().install_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_found_at_any_depth() {
        let fault = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let nested = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, fault));
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(nested);
        let error = failed(&shared).unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Other);
        assert_eq!(
            error.source().unwrap().to_string(),
            "the server is not trusted (invalid peer certificate: UnknownIssuer): \
             check the root certificate and the host name in the address"
        );
        let fault = failed(&rustls::Error::DecryptError).unwrap();
        assert!(fault.source().unwrap().to_string().ends_with("check that the server offers TLS at this address"));
        assert!(failed(&io::Error::other("refused")).is_none());
        assert!(failed(&io::Error::from(io::ErrorKind::ConnectionReset)).is_none());
    }
}
