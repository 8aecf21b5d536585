//! The options of a connection to Redis.

use core::fmt;

use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo, RedisResult};

/// The addresses of Redis servers, and the options for the connections to them. Pass the options to
/// [`RedisStore::connect_with`](super::handle::RedisStore::connect_with).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::store::redis::{RedisOptions, RedisStore};
///
/// let options = RedisOptions::new(["redis://10.0.0.1:6379"]).unchecked();
/// let store = RedisStore::connect_with(options).await?;
/// # Ok(())
/// # }
/// ```
///
/// With the feature `tls` and an address `rediss://`, the connection uses TLS. The client checks
/// the certificate of the server and its host name. It trusts the certificates of the operating
/// system, unless [`with_root_certificates`](Self::with_root_certificates) sets others. Without the
/// feature, such an address is refused.
#[derive(Clone)]
pub struct RedisOptions {
    pub(super) urls: Vec<String>,
    pub(super) checked: bool,
    #[cfg(feature = "tls")]
    roots: Option<Vec<u8>>,
    #[cfg(feature = "tls")]
    identity: Option<redis::ClientTlsConfig>,
}

impl RedisOptions {
    /// Creates options for some nodes of a cluster, or for a single server at its address.
    pub fn new<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            urls: urls.into_iter().map(Into::into).collect(),
            checked: true,
            #[cfg(feature = "tls")]
            roots: None,
            #[cfg(feature = "tls")]
            identity: None,
        }
    }

    /// Connects without a check of the servers' settings. Use this option for servers that refuse
    /// `CONFIG GET`, as some hosted servers do.
    ///
    /// You are responsible for the settings of every node, including replicas: `appendonly yes`,
    /// `appendfsync always`, no `maxmemory-policy` that begins with `allkeys`, and in a cluster no
    /// `cluster-replica-validity-factor 0`. On a node without these settings, **an acknowledged
    /// revocation may be lost in a crash**.
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { checked: false, ..self }
    }

    /// Trusts only servers whose certificates were issued by these authorities, and no authority of
    /// the operating system. `pem` contains one or more certificates in PEM format. With this
    /// option, each address must begin with `rediss://`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_root_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { roots: Some(pem.into()), ..self }
    }

    /// Presents this certificate to servers that ask for one (`tls-auth-clients yes`). Both values
    /// are in PEM format. With this option, each address must begin with `rediss://`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_client_certificate(self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let identity = redis::ClientTlsConfig { client_cert: certificate.into(), client_key: key.into() };
        Self { identity: Some(identity), ..self }
    }

    /// Creates a client for one of the addresses.
    pub(super) fn client(&self, url: &str) -> RedisResult<Client> {
        // Nagle's algorithm is off, because commands are small and each waits for its reply.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info()?.set_tcp_settings(tcp);
        #[cfg(feature = "tls")]
        if matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
            crate::adapters::tls::choose_provider();
        }
        #[cfg(feature = "tls")]
        if let Some(certificates) = self.certificates() {
            return Client::build_with_tls(info, certificates);
        }
        Client::open(info)
    }

    /// Returns the certificates for TLS, if the caller has set any.
    #[cfg(feature = "tls")]
    pub(super) fn certificates(&self) -> Option<redis::TlsCertificates> {
        let (client_tls, root_cert) = (self.identity.clone(), self.roots.clone());
        (client_tls.is_some() || root_cert.is_some()).then_some(redis::TlsCertificates { client_tls, root_cert })
    }
}

impl fmt::Debug for RedisOptions {
    /// Shows neither the addresses, which may contain passwords, nor the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions").field("checked", &self.checked).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let options = RedisOptions::new(["rediss://ada:secret@10.0.0.1"]);
        let options = options.with_root_certificates("root").with_client_certificate("certificate", "private key");
        assert_eq!(format!("{options:?}"), "RedisOptions { checked: true, .. }");
    }

    #[test]
    fn certificates_demand_tls() {
        let options = RedisOptions::new(["redis://10.0.0.1"]).with_root_certificates("");
        assert!(options.client("redis://10.0.0.1").is_err());
        assert!(options.client("rediss://10.0.0.1").is_ok());
        assert!(options.with_root_certificates("-----BEGIN CERTIFICATE-----\n").client("rediss://10.0.0.1").is_err());
    }
}
