//! Checks the systemd unit, and runs its command.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{END, PROGRAM, is_ready, output, passes, pepper, program, seconds, text};
use crate::postgres;
use crate::support::process::{PATIENCE, Process, output_within};
use crate::support::tempdir;

/// The maximum exposure of the unit, in tenths. `systemd-analyze security` gives 100 to a service
/// without restrictions.
const EXPOSURE: u32 = 12;

/// Returns the values of a key of the unit, in their order.
fn values(key: &str) -> Vec<String> {
    let unit = text("personal-tokens.service").replace("\\\n", " ");
    let values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.map(str::to_owned).collect()
}

/// Returns the arguments of the unit's command, with the state and the credentials in this folder
/// and with these addresses.
pub(super) fn arguments(folder: &Path, addr: &str, metrics_addr: &str) -> Vec<String> {
    let [command] = &values("ExecStart")[..] else { panic!("one command") };
    let [own, credential, variables] = [values("StateDirectory"), values("LoadCredential"), values("Environment")]
        .map(|mut values| values.pop().unwrap());
    assert_eq!((own.as_str(), credential.split(':').next()), ("personal-tokens", Some("pepper")));
    // The unit names both variables, so an administrator can set them in the file.
    for variable in ["ADDR=", "METRICS_ADDR="] {
        assert!(variables.split(' ').any(|given| given.starts_with(variable)), "{variables}");
    }
    let folder = folder.to_str().unwrap();
    let command = command.replace("${ADDR}", addr).replace("${METRICS_ADDR}", metrics_addr);
    let command = command.replace("%S", folder).replace("%d", folder);
    assert!(!command.contains(['$', '%']), "{command}");
    let mut words = command.split_whitespace().map(str::to_owned);
    assert_eq!(words.next().as_deref(), Some(PROGRAM));
    words.collect()
}

/// Returns the command of the unit. `folder` has the credentials, and gets the state.
pub(super) fn command(folder: &Path, addr: &str, database: &str) -> Command {
    let mut command = program(&arguments(folder, addr, "127.0.0.1:0"));
    command.env("CREDENTIALS_DIRECTORY", folder).env("DATABASE_URL", database);
    command
}

#[test]
fn systemd_accepts_the_unit_and_finds_it_confined() {
    let dir = tempdir();
    let unit = dir.path().join("personal-tokens.service");
    fs::write(&unit, text("personal-tokens.service").replace(PROGRAM, env!("CARGO_BIN_EXE_personal-tokens"))).unwrap();
    passes(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    let judge = |unit: &Path| {
        let threshold = format!("--threshold={EXPOSURE}");
        output(Command::new("systemd-analyze").args(["security", "--offline=true", &threshold]).arg(unit))
    };
    let Some(judged) = judge(&unit) else { return };
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));

    // A wrong key and a missing restriction are found.
    let wrong = text("personal-tokens.service").replace("RestrictNamespaces", "RestrictNamespace");
    fs::write(&unit, wrong.replace(PROGRAM, env!("CARGO_BIN_EXE_personal-tokens"))).unwrap();
    let verified = output(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit)).unwrap();
    assert!(String::from_utf8_lossy(&verified.stderr).contains("RestrictNamespace"));
    assert!(!judge(&unit).unwrap().status.success());
}

#[test]
fn unit_waits_for_the_end_of_the_process() {
    let stop = values("TimeoutStopSec").pop().unwrap();
    let stop: u64 = stop.strip_suffix('s').unwrap().parse().unwrap();
    let drain = seconds(&arguments(Path::new("/"), "", ""), "--drain");
    assert!(Duration::from_secs(stop) > drain + END);
    assert_eq!(values("KillSignal"), ["SIGTERM"]);
}

#[tokio::test]
async fn command_of_the_unit_starts_a_ready_service() {
    let Some(server) = postgres::shared() else { return };
    let (dir, database) = (tempdir(), server.database());
    // systemd may pass a credential with this mode, and then grants the access with a list.
    pepper(dir.path(), 0o440);
    let process = Process::start(&mut command(dir.path(), "127.0.0.1:0", &database), 3);
    assert!(is_ready(&process).await);
    let state: Vec<_> = fs::read_dir(dir.path().join("personal-tokens")).unwrap().collect();
    assert!(state.is_empty(), "everything is in the database: {state:?}");
}

#[test]
fn pepper_that_others_may_read_is_refused_unless_it_is_a_credential() {
    let refused = |mode: u32, is_credential: bool| {
        let dir = tempdir();
        pepper(dir.path(), mode);
        // The check of the pepper comes before the first call to this database.
        let mut command = command(dir.path(), "127.0.0.1:0", "sqlite:/nonexistent/tokens.db");
        if !is_credential {
            command.env("CREDENTIALS_DIRECTORY", "/run/credentials/other.service");
        }
        let output = output_within(command.arg("--check-config"), PATIENCE);
        String::from_utf8(output.stderr).unwrap().contains("other users may read the pepper")
    };
    assert!(!refused(0o600, false) && !refused(0o400, true) && !refused(0o440, true));
    assert!(refused(0o440, false) && refused(0o444, true) && refused(0o460, true));
}
