//! Checks the compose file, and runs the commands of its hosts with its variables.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::{END, is_ready, pepper, program, seconds, text, texts, yaml};
use crate::postgres;
use crate::support::process::{PATIENCE, Process, output_within};
use crate::support::tempdir;

const HOSTS: [&str; 2] = ["host-1", "host-2"];

/// Starts a server that asks every user but `postgres` for a password. Creates the user and the
/// database of the compose file.
async fn server(folder: &Path) -> Option<postgres::Server> {
    let hba = folder.join("pg_hba.conf");
    fs::write(&hba, "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    let server = postgres::Server::start_in(crate::process::quick(), &[&format!("hba_file={}", hba.display())])?;
    let mut connection = PgConnection::connect(&server.database()).await.unwrap();
    for statement in [
        format!("CREATE ROLE personal_tokens LOGIN PASSWORD '{PASSWORD}'"),
        "CREATE DATABASE personal_tokens OWNER personal_tokens".to_owned(),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    Some(server)
}

const PASSWORD: &str = "the-password-of-the-database";

/// Writes the file with the password of the database, as the page says.
fn pgpass(path: &Path, password: &str) {
    fs::write(path, format!("*:*:*:personal_tokens:{password}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Returns the command of a host. `secrets` is the folder of the secrets, `data` is the data
/// directory, and `database` is the address of PostgreSQL.
fn command(host: &Value, secrets: &Path, data: &Path, database: &str) -> Command {
    let replaced = |text: &str| match text {
        "0.0.0.0:8088" | "0.0.0.0:9088" => "127.0.0.1:0".to_owned(),
        "/var/lib/personal-tokens" => data.to_str().unwrap().to_owned(),
        text => text.replace("/run/secrets", secrets.to_str().unwrap()).replace("@postgres/", &format!("@{database}/")),
    };
    let arguments: Vec<_> = texts(&host["command"]).iter().map(|argument| replaced(argument)).collect();
    let mut command = program(&arguments);
    for (name, value) in host["environment"].as_object().unwrap() {
        command.env(name, replaced(value.as_str().unwrap()));
    }
    command
}

#[tokio::test]
async fn commands_of_the_hosts_start_ready_services_with_the_password_from_a_file() {
    let Some(file) = yaml("compose.yaml") else { return };
    let dir = tempdir();
    // The user of PostgreSQL reads the file with its access rules.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let Some(server) = server(dir.path()).await else { return };
    let database = format!("127.0.0.1:{}", server.port);
    pepper(dir.path(), 0o400);
    let password = dir.path().join("pgpass");
    let on = |name: &str| command(&file["services"][name], dir.path(), &dir.path().join(name), &database);

    pgpass(&password, "another-password");
    let refused = output_within(&mut on("host-1"), PATIENCE);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("password authentication failed"), "{said}");
    assert!(!said.contains("another-password"), "{said}");

    pgpass(&password, PASSWORD);
    let one = Process::start(&mut on("host-1"), 3);
    // The second host finds the first person in the database.
    let other = Process::start(&mut on("host-2"), 2);
    assert!(is_ready(&one).await && is_ready(&other).await);
}

#[test]
fn hosts_have_time_to_drain_and_only_the_rights_that_they_need() {
    let Some(file) = yaml("compose.yaml") else { return };
    let [one, other] = HOSTS.map(|name| {
        let mut host = file["services"][name].clone();
        assert_eq!(host["image"], "personal-tokens");
        let stop: u64 = host["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
        assert!(Duration::from_secs(stop) > seconds(&texts(&host["command"]), "--drain") + END);
        assert_eq!(host["read_only"], true);
        assert_eq!(host["cap_drop"], json!(["ALL"]));
        host.as_object_mut().unwrap().remove("networks");
        host
    });
    assert_eq!(one, other, "the hosts differ only in their addresses");
}

/// A secret in the file itself or in a variable could be read with `docker inspect`.
#[test]
fn secrets_are_files_outside_the_image() {
    let Some(file) = yaml("compose.yaml") else { return };
    for (name, secret) in file["secrets"].as_object().unwrap() {
        assert!(secret["file"].as_str().unwrap().starts_with("./secrets/"), "{name}");
    }
    let declared = file["secrets"].as_object().unwrap();
    for (name, service) in file["services"].as_object().unwrap() {
        for used in service["secrets"].as_array().unwrap() {
            let used = used.as_str().or_else(|| used["source"].as_str()).unwrap();
            assert!(declared.contains_key(used), "{name} uses {used}");
        }
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap();
            let is_secret = variable.contains("PASS") || variable.contains("PEPPER");
            assert!(!is_secret || value.starts_with("/run/secrets/"), "{name}: {variable}");
            assert!(
                !value.contains("://") || !value.split('@').next().unwrap()[11..].contains(':'),
                "{name}: {variable}"
            );
        }
    }
    let ignored = fs::read_to_string(super::folder().join(".gitignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "/secrets/"), "{ignored}");
}

#[test]
fn files_name_the_same_hosts() {
    let (Some(compose), Some(prometheus)) = (yaml("compose.yaml"), yaml("prometheus.yaml")) else { return };
    let targets = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"];
    assert_eq!(texts(targets), HOSTS.map(|host| format!("{host}:9088")));
    let nginx = text("nginx.conf");
    for host in HOSTS {
        let address = compose["services"][host]["networks"]["default"]["ipv4_address"].as_str().unwrap();
        let named = texts(&compose["services"]["nginx"]["extra_hosts"]);
        assert!(named.contains(&format!("{host}:{address}")), "{named:?}");
        assert!(nginx.contains(&format!("server {host}:8088 ")), "{host}");
    }
    assert_eq!(nginx.matches(":8088 ").count(), HOSTS.len());
}
