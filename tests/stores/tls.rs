//! TLS to PostgreSQL and Redis: each test starts private servers with a certificate of its own
//! authority.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use keyfob::{
    TokenStore, mint,
    record::{Revocation, RevocationReason},
    store::{
        StoreError, StoreErrorKind,
        postgres::PostgresStore,
        redis::{RedisOptions, RedisStore},
    },
};

use crate::support::certificates::{Authority, Certificate};
use crate::support::postgres::Server;
use crate::support::redis::Servers;
use crate::support::{actor, keyring, new_token, now};

/// The names of a server that the tests reach as `localhost` or `127.0.0.1`.
const RIGHT: &str = "DNS:localhost,IP:127.0.0.1";

/// Inserts, revokes and reads a token.
async fn serves<S: TokenStore>(store: &S) {
    let record = mint(&keyring(), &Default::default(), new_token(), &actor(), now()).unwrap().record;
    store.insert(record.clone(), None, None).await.unwrap();
    let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
    store.revoke(&record.key(), &revocation).await.unwrap();
    assert!(store.find(&record.key()).await.unwrap().unwrap().revoked.is_some());
}

/// Returns the kind of an error and the texts of its causes.
fn refused<T>(outcome: Result<T, StoreError>) -> (StoreErrorKind, String) {
    let error = outcome.err().expect("the connection is refused");
    let mut told = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push(error.to_string());
        cause = error.source();
    }
    (error.kind(), told.join(": "))
}

const UNKNOWN_ISSUER: &str = "the server is not trusted (invalid peer certificate: UnknownIssuer): \
     check the root certificate and the host name in the address";

fn postgres_url(database: &str, host: &str, mode: &str, root: &Path) -> String {
    let url = database.replace("@127.0.0.1:", &format!("@{host}:"));
    format!("{url}?sslmode={mode}&sslrootcert={}", root.display())
}

#[tokio::test]
async fn a_postgres_store_trusts_only_its_authority_and_the_right_host() {
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else { return };
    let Certificate { certificate, key } = authority.issue("DNS:localhost");
    let Some(server) = Server::start_with_tls(&certificate, &key) else { return };
    let database = server.database();
    let connect = async |host: &str, mode: &str, root: &Path| {
        PostgresStore::connect(&postgres_url(&database, host, mode, root)).await
    };
    let store = connect("localhost", "verify-full", &authority.root()).await.unwrap();
    store.migrate().await.unwrap();
    serves(&store).await;
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(sqlx::query_scalar::<_, bool>(encrypted).fetch_one(store.pool()).await.unwrap());

    let told = refused(connect("localhost", "verify-full", &other.root()).await);
    assert_eq!(told, (StoreErrorKind::Other, UNKNOWN_ISSUER.to_owned()));
    let (kind, told) = refused(connect("127.0.0.1", "verify-full", &authority.root()).await);
    assert_eq!(kind, StoreErrorKind::Other);
    assert!(told.contains("certificate not valid for name \"127.0.0.1\""), "{told}");
    // `verify-ca` checks the authority and not the host, and `require` checks neither.
    connect("127.0.0.1", "verify-ca", &authority.root()).await.unwrap();
    assert_eq!(refused(connect("127.0.0.1", "verify-ca", &other.root()).await).0, StoreErrorKind::Other);
    connect("127.0.0.1", "require", &other.root()).await.unwrap();
}

#[cfg(feature = "cache")]
#[tokio::test]
async fn the_feed_of_postgres_uses_tls_too() {
    use keyfob::store::cache::{Feed, FeedEvent};
    let Some(authority) = Authority::new() else { return };
    let Certificate { certificate, key } = authority.issue(RIGHT);
    let Some(server) = Server::start_with_tls(&certificate, &key) else { return };
    let url = postgres_url(&server.database(), "localhost", "verify-full", &authority.root());
    let store = PostgresStore::connect(&url).await.unwrap().telling_changes();
    store.migrate().await.unwrap();
    let mut feed = store.feed();
    assert_eq!(feed.next().await, FeedEvent::Lost);
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE backend_type = 'client backend' AND NOT ssl";
    assert_eq!(sqlx::query_scalar::<_, i64>(plain).fetch_one(store.pool()).await.unwrap(), 0);
    let (event, ()) = tokio::join!(feed.next(), serves(&store));
    assert!(matches!(event, FeedEvent::Token(_)), "{event:?}");
}

#[tokio::test]
async fn a_postgres_server_without_tls_is_refused_if_tls_is_demanded() {
    let (Some(authority), Some(server)) = (Authority::new(), crate::support::postgres::shared()) else { return };
    let database = server.database();
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = postgres_url(&database, "localhost", mode, &authority.root());
        let (kind, told) = refused(PostgresStore::connect(&url).await);
        assert_eq!(kind, StoreErrorKind::Other);
        assert!(told.contains("server does not support TLS"), "{mode}: {told}");
    }
    // `prefer`, the default, falls back to a connection without TLS.
    PostgresStore::connect(&postgres_url(&database, "localhost", "prefer", &authority.root())).await.unwrap();
}

async fn redis(url: &str, root: &Path) -> Result<RedisStore, StoreError> {
    RedisStore::connect_with(RedisOptions::new([url]).with_root_certificates(fs::read(root).unwrap())).await
}

#[tokio::test]
async fn a_redis_store_trusts_only_its_authority_and_the_right_host() {
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else { return };
    let Certificate { certificate, key } = authority.issue("DNS:localhost");
    let Some(servers) = Servers::with_tls(false, &certificate, &key, &authority.root(), false) else { return };
    let (url, elsewhere) = (servers.tls_urls("localhost").remove(0), servers.tls_urls("127.0.0.1").remove(0));
    serves(&redis(&url, &authority.root()).await.unwrap()).await;
    assert_eq!(refused(redis(&url, &other.root()).await), (StoreErrorKind::Other, UNKNOWN_ISSUER.to_owned()));
    // Without root certificates, the store trusts the authorities of the operating system, which do
    // not include the authority of this test.
    let (kind, told) = refused(RedisStore::connect([&*url]).await);
    assert_eq!(kind, StoreErrorKind::Other);
    assert!(told.contains("UnknownIssuer") || told.contains("trusted"), "{told}");
    let (kind, told) = refused(redis(&elsewhere, &authority.root()).await);
    assert_eq!(kind, StoreErrorKind::Other);
    assert!(told.contains("certificate not valid for name \"127.0.0.1\""), "{told}");
    // The address cannot turn the checks off.
    assert_eq!(refused(redis(&format!("{url}/#insecure"), &authority.root()).await).0, StoreErrorKind::Other);
}

#[tokio::test]
async fn a_redis_server_without_tls_is_refused_if_tls_is_demanded() {
    let (Some(authority), Some(servers)) = (Authority::new(), Servers::one()) else { return };
    let plain = servers.urls().remove(0);
    let url = plain.replace("redis://127.0.0.1", "rediss://localhost");
    assert!(redis(&url, &authority.root()).await.is_err());
    assert!(RedisStore::connect([url]).await.is_err());
    // An address without TLS does not fit root certificates.
    let (kind, told) = refused(redis(&plain, &authority.root()).await);
    assert_eq!(kind, StoreErrorKind::Other);
    assert!(told.contains("rediss://"), "{told}");
}

#[tokio::test]
async fn a_redis_store_presents_its_certificate() {
    let Some(authority) = Authority::new() else { return };
    let Certificate { certificate, key } = authority.issue(RIGHT);
    let own = authority.issue("DNS:service.internal");
    let Some(servers) = Servers::with_tls(false, &certificate, &key, &authority.root(), true) else { return };
    let url = servers.tls_urls("localhost").remove(0);
    assert!(redis(&url, &authority.root()).await.is_err());
    let options = RedisOptions::new([url]).with_root_certificates(fs::read(authority.root()).unwrap());
    let read = |path| fs::read(path).unwrap();
    let options = options.with_client_certificate(read(own.certificate), read(own.key));
    serves(&RedisStore::connect_with(options).await.unwrap()).await;
}

#[tokio::test]
async fn a_cluster_is_used_over_tls() {
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else { return };
    let Certificate { certificate, key } = authority.issue(RIGHT);
    let Some(servers) = Servers::with_tls(true, &certificate, &key, &authority.root(), false) else { return };
    let connect = async |root: &Path| {
        let options = RedisOptions::new(servers.tls_urls("127.0.0.1"));
        RedisStore::connect_with(options.with_root_certificates(fs::read(root).unwrap())).await
    };
    let store = connect(&authority.root()).await.unwrap();
    for _ in 0..20 {
        serves(&store).await;
    }
    // The test itself asks without TLS, by `redis-cli`.
    for node in 0..servers.count() {
        let clients = servers.ask_node(node, &["CLIENT", "LIST", "TYPE", "normal"]);
        let plain = clients.lines().filter(|client| !client.contains("cmd=client") && is_plain(client, &servers, node));
        assert_eq!(plain.count(), 0, "{clients}");
    }
    assert_eq!(refused(connect(&other.root()).await).0, StoreErrorKind::Other);
}

/// Returns whether a line of `CLIENT LIST` is about a connection to the port without TLS.
fn is_plain(client: &str, servers: &Servers, node: usize) -> bool {
    let port = servers.urls()[node].rsplit(':').next().unwrap().to_owned();
    client.split(' ').any(|field| field.starts_with("laddr=") && field.ends_with(&format!(":{port}")))
}

#[cfg(feature = "cache")]
#[tokio::test]
async fn the_feed_of_redis_uses_tls_too() {
    use keyfob::store::cache::{Feed, FeedEvent};
    let Some(authority) = Authority::new() else { return };
    let Certificate { certificate, key } = authority.issue(RIGHT);
    let Some(servers) = Servers::with_tls(false, &certificate, &key, &authority.root(), false) else { return };
    let store = redis(&servers.tls_urls("localhost")[0], &authority.root()).await.unwrap().with_feed();
    let mut feed = store.feed();
    assert_eq!(feed.next().await, FeedEvent::Lost);
    let (event, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(30), feed.next()), serves(&store));
    assert!(matches!(event, Ok(FeedEvent::Token(_))), "{event:?}");
}
