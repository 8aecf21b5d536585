//! Tests TLS from the service to its databases. Each test starts private servers with a certificate
//! of its own authority.

use std::path::Path;

use crate::certificates::{Authority, Certificate};
use crate::support::process::{Process, Visitor, command, refusal, whoami};
use crate::support::{TOKENS, tempdir};
use crate::{mariadb, postgres, redis};

/// Starts the service with these databases, and checks that it issues, verifies and revokes tokens.
async fn serves(database: &str, state: Option<&str>) {
    let dir = tempdir();
    let mut command = command(&dir.path().join("data"));
    command.env("DATABASE_URL", database).args(["--cache", "30s"]);
    if let Some(state) = state {
        command.env("STATE_URL", state);
    }
    let process = Process::start(&mut command, 2);
    let at = process.address();
    let visitor = Visitor::sign_in(&at, process.first()).await;
    let made = visitor.make(&at).await;
    let token = made["token"].as_str().unwrap();
    assert_eq!(whoami(&visitor.client, &at, token).await.unwrap(), 200);
    let url = format!("{at}{TOKENS}{}", made["uuid"].as_str().unwrap());
    assert_eq!(visitor.of(visitor.client.delete(url)).send().await.unwrap().status(), 204);
    assert_eq!(whoami(&visitor.client, &at, token).await.unwrap(), 401);
}

/// Returns the message with which the service refuses to start with this database.
fn said(database: &str) -> String {
    let dir = tempdir();
    refusal(command(dir.path()).args(["--database-url", database]))
}

/// Returns the URL with this host, and this query.
fn with(database: &str, host: &str, query: &str) -> String {
    database.replace("@127.0.0.1:", &format!("@{host}:")) + query
}

const OTHER_AUTHORITY: &str =
    "cannot be used: invalid peer certificate: UnknownIssuer (name the root certificate of the server as";
const OTHER_HOST: &str = "cannot be used: invalid peer certificate: certificate not valid for name \"127.0.0.1\"; certificate is only \
                          valid for DnsName(\"localhost\") (use a host name of the certificate in --database-url)";
const NO_TLS: &str =
    "cannot be used: server does not support TLS (turn on TLS at the server, or correct --database-url)";

fn verified(root: &Path) -> String {
    format!("?sslmode=verify-full&sslrootcert={}", root.display())
}

#[tokio::test]
async fn postgresql_is_used_over_tls() {
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else { return };
    let Certificate { certificate, key } = authority.issue("DNS:localhost");
    let Some(server) = postgres::Server::start_with_tls(&certificate, &key) else { return };
    let (database, port) = (server.database(), server.port);
    let right = verified(&authority.root());
    serves(&with(&database, "localhost", &right), None).await;

    let name = format!("the PostgreSQL database at localhost:{port}");
    assert_eq!(
        said(&with(&database, "localhost", &verified(&other.root()))),
        format!("{name} {OTHER_AUTHORITY} sslrootcert in --database-url)")
    );
    assert_eq!(
        said(&with(&database, "127.0.0.1", &right)),
        format!("the PostgreSQL database at 127.0.0.1:{port} {OTHER_HOST}")
    );
    let missing = authority.root().with_file_name("missing.pem");
    assert_eq!(
        said(&with(&database, "localhost", &verified(&missing))),
        format!(
            "{name} cannot be used: {} cannot be read: No such file or directory (os error 2) (correct sslrootcert in --database-url)",
            missing.display()
        )
    );
}

#[tokio::test]
async fn mariadb_is_used_over_tls() {
    let verified = |root: &Path| format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={}", root.display());
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else { return };
    let Certificate { certificate, key } = authority.issue("DNS:localhost");
    let Some(server) = mariadb::Server::start_with_tls(&certificate, &key) else { return };
    let (database, port) = (server.database(), server.port);
    let right = verified(&authority.root());
    serves(&with(&database, "localhost", &right), None).await;

    assert_eq!(
        said(&with(&database, "localhost", &verified(&other.root()))),
        format!("the MariaDB database at localhost:{port} {OTHER_AUTHORITY} ssl-ca in --database-url)")
    );
    assert_eq!(
        said(&with(&database, "127.0.0.1", &right)),
        format!("the MariaDB database at 127.0.0.1:{port} {OTHER_HOST}")
    );
}

#[tokio::test]
async fn redis_is_used_over_tls_with_the_state_in_postgresql_over_tls() {
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else { return };
    let Certificate { certificate, key } = authority.issue("DNS:localhost");
    let Some(server) = postgres::Server::start_with_tls(&certificate, &key) else { return };
    let Some(servers) = redis::Servers::with_tls(false, &certificate, &key, &authority.root(), false) else { return };
    let url = |host: &str, root: &Path| format!("{}/?ssl_ca_certs={}", servers.tls_urls(host)[0], root.display());
    let state = with(&server.database(), "localhost", &verified(&authority.root()));
    serves(&url("localhost", &authority.root()), Some(&state)).await;

    let name = |host: &str| format!("the {}", servers.tls_urls(host)[0].replace("rediss://", "Redis server at "));
    assert_eq!(
        said(&url("localhost", &other.root())),
        format!("{} {OTHER_AUTHORITY} ssl_ca_certs in --database-url)", name("localhost"))
    );
    // Without the parameter, the service trusts the authorities of the operating system.
    assert_eq!(
        said(&servers.tls_urls("localhost")[0]),
        format!("{} {OTHER_AUTHORITY} ssl_ca_certs in --database-url)", name("localhost"))
    );
    assert_eq!(said(&url("127.0.0.1", &authority.root())), format!("{} {OTHER_HOST}", name("127.0.0.1")));
}

#[tokio::test]
async fn servers_without_tls_are_refused_if_the_url_demands_tls() {
    let Some(authority) = Authority::new() else { return };
    let root = authority.root();
    let Some(server) = postgres::shared() else { return };
    let database = with(&server.database(), "localhost", &verified(&root));
    assert_eq!(said(&database), format!("the PostgreSQL database at localhost:{} {NO_TLS}", server.port));

    let Some(server) = mariadb::shared() else { return };
    let query = format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={}", root.display());
    let database = with(&server.database(), "localhost", &query);
    assert_eq!(said(&database), format!("the MariaDB database at localhost:{} {NO_TLS}", server.port));

    let Some(servers) = redis::Servers::one() else { return };
    let plain = servers.urls().remove(0);
    let address = plain.replace("redis://127.0.0.1", "localhost");
    assert_eq!(
        said(&format!("rediss://{address}?ssl_ca_certs={}", root.display())),
        format!(
            "the Redis server at {address} cannot be used: timed out (start the server with TLS, or correct the address in \
             --database-url)"
        )
    );
    // A root certificate without TLS is a mistake.
    assert_eq!(
        said(&format!("{plain}?ssl_ca_certs={}", root.display())),
        format!(
            "the {} cannot be used: Constructing a TLS client requires a URL with the `rediss://` scheme (correct --database-url)",
            plain.replace("redis://", "Redis server at ")
        )
    );
}
