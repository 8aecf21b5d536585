//! Asserts the exact texts that the operator reads: what the first start prints, and why a start is
//! refused. `configuration.rs` has the texts about `config.json`, and `unusable.rs` those about
//! databases.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::process::is_root;
use crate::support::process::{Process, bare, command, refusal};
use crate::support::tempdir;

/// Starts the service until it has printed this number of lines, and stops it. Returns all that it
/// printed, without the password and the port.
fn printed(command: &mut Command, lines: usize) -> String {
    let mut process = Process::start(command, lines);
    process.terminate();
    let address = process.address();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let (status, printed) = process.ended();
    assert!(status.success());
    let mut text = printed.join("\n").replace(&format!("127.0.0.1:{port}"), "127.0.0.1:PORT");
    if let Some((_, password)) = printed[0].split_once(" password ") {
        text = text.replace(password, "PASSWORD");
    }
    assert_eq!(process.log(), "");
    text
}

#[test]
fn first_start_says_what_to_try_and_to_back_up() {
    let dir = tempdir();
    let data = dir.path().join("data");
    let shown = data.display();
    assert_eq!(
        printed(&mut command(&data), 2),
        format!(
            "first sign-in, shown only once: name ada password PASSWORD
personal-tokens: http://127.0.0.1:PORT/

  Try next  sign in, choose \"Difference engine · 2\", New token, a name, Generate, Copy; then
            curl -H \"Authorization: Bearer TOKEN\" http://127.0.0.1:PORT/api/v2/auth/whoami
  Back up   {shown}/pepper              the key of all tokens: without it, each token is refused
            {shown}/personal-tokens.db  tokens, people, projects, sessions, models and the audit trail
  Stop      Ctrl-C, or SIGTERM"
        )
    );
    assert_eq!(printed(&mut command(&data), 1), "personal-tokens: http://127.0.0.1:PORT/");
}

#[test]
fn check_of_the_configuration_says_what_a_start_would_do() {
    let dir = tempdir();
    let data = dir.path().join("data");
    let shown = data.display();
    let check = || {
        let output = command(&data).arg("--check-config").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        check(),
        format!(
            "pepper: {shown}/pepper does not exist; the first start creates it
state: {shown}/personal-tokens.db is empty; the first start creates its tables
models: 0 in config.json
the configuration is in order
"
        )
    );
    assert!(!data.exists());
    printed(&mut command(&data), 2);
    assert_eq!(
        check(),
        format!(
            "pepper: {shown}/pepper
state: {shown}/personal-tokens.db
models: 0 in config.json
the configuration is in order
"
        )
    );
}

#[test]
fn wrong_options_are_named() {
    const DATABASE: &str = "must be sqlite:PATH, postgres://…, mysql://… or redis://…[,redis://…]";
    const STATE: &str = "must be sqlite:PATH, postgres://… or mysql://…";
    const ADDRESS: &str = "must be an address and a port, such as";
    const HELP: &str = "; --help lists the options";
    for (args, text) in [
        (&["--adr", "localhost:1"][..], format!("there is no option --adr{HELP}")),
        (&["serve"], format!("there is an argument that belongs to no option{HELP}")),
        (&["--addr"], format!("--addr needs a value{HELP}")),
        (&["--data-dir"], format!("--data-dir needs a value{HELP}")),
        (&["--no-never=yes"], format!("--no-never takes no value{HELP}")),
        (&["--cache", "1s", "--cache", "2s"], format!("--cache is given twice{HELP}")),
        (&["--addr", "8088"], format!("--addr {ADDRESS} 127.0.0.1:8088 or localhost:8088")),
        (&["--addr", "localhost:port"], format!("--addr {ADDRESS} 127.0.0.1:8088 or localhost:8088")),
        (&["--metrics-addr", ":1"], format!("--metrics-addr {ADDRESS} 127.0.0.1:9088 or localhost:9088")),
        (&["--cache", "30"], "--cache must be a time such as 200ms, 30s or 5m".into()),
        (&["--cache", "1h"], "--cache must be a time such as 200ms, 30s or 5m".into()),
        (&["--database-url", "oracle://ada:secret@db"], format!("--database-url {DATABASE}")),
        (&["--state-url", "oracle://ada:secret@db"], format!("--state-url {STATE}")),
        (&["--state-url", "redis://:secret@db"], format!("--state-url {STATE}: Redis can hold only tokens")),
    ] {
        assert_eq!(refusal(bare().args(args)), text, "{args:?}");
    }
    for (variable, value, text) in [
        ("DATABASE_URL", "oracle://ada:secret@db", DATABASE.to_owned()),
        ("STATE_URL", "oracle://ada:secret@db", STATE.to_owned()),
        ("STATE_URL", "redis://:secret@db", format!("{STATE}: Redis can hold only tokens")),
        ("PEPPER", "secret", "must have the pepper in base64: openssl rand -base64 32 makes one".to_owned()),
    ] {
        let dir = tempdir();
        let said = refusal(command(dir.path()).env(variable, value));
        assert_eq!(said, format!("the environment variable {variable} {text}"), "{variable}");
    }
}

#[test]
fn taken_address_is_named_with_its_option() {
    let dir = tempdir();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let text = |option: &str| {
        format!("cannot listen on {addr}: Address already in use (os error 98) (choose another address with {option})")
    };
    let main = refusal(bare().args(["--addr", &addr, "--data-dir"]).arg(dir.path()));
    assert_eq!(main, text("--addr"));
    assert_eq!(refusal(command(dir.path()).args(["--metrics-addr", &addr])), text("--metrics-addr"));
}

/// Returns the command without root's right to ignore the permissions of files.
fn unprivileged(command: &Command) -> Command {
    let mut bounded = if is_root() {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--bounding-set=-dac_override,-dac_read_search", "--"]).arg(command.get_program());
        setpriv
    } else {
        Command::new(command.get_program())
    };
    bounded.args(command.get_args());
    for variable in ["DATABASE_URL", "STATE_URL", "PEPPER"] {
        bounded.env_remove(variable);
    }
    bounded
}

#[test]
fn data_directory_that_cannot_be_used_is_named() {
    let dir = tempdir();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    let cannot = |data: &Path, why: &str| {
        format!("the data directory {} cannot be created: {why} (choose another with --data-dir)", data.display())
    };
    assert_eq!(refusal(&mut command(&file)), cannot(&file, "File exists (os error 17)"));
    let below = file.join("data");
    assert_eq!(refusal(&mut command(&below)), cannot(&below, "Not a directory (os error 20)"));
    let below = closed.join("data");
    let denied = "Permission denied (os error 13)";
    assert_eq!(refusal(&mut unprivileged(&command(&below))), cannot(&below, denied));

    // The directory exists, and takes neither the database nor the pepper.
    assert_eq!(
        refusal(&mut unprivileged(&command(&closed))),
        format!(
            "{}/personal-tokens.db cannot be used: {denied} (choose another directory with --data-dir)",
            closed.display()
        )
    );
    let mut elsewhere = command(&closed);
    elsewhere.arg("--database-url").arg(format!("sqlite:{}", dir.path().join("elsewhere.db").display()));
    assert_eq!(
        refusal(&mut unprivileged(&elsewhere)),
        format!(
            "the pepper {}/pepper cannot be written: {denied} (choose another directory with --data-dir)",
            closed.display()
        )
    );
}

#[test]
fn pepper_that_cannot_be_used_is_named() {
    let dir = tempdir();
    let (data, file) = (dir.path().join("data"), dir.path().join("a pepper"));
    let shown = file.display();
    let named = || refusal(command(&data).arg("--pepper-file").arg(&file));
    assert_eq!(
        named(),
        format!(
            "there is no pepper {shown}, which --pepper-file names: restore it from its back-up, or if no token exists yet, \
             make one (openssl rand -out {shown} 32, chmod 600 {shown})"
        )
    );
    let restore = "must have 32 to 1024 random bytes: restore it from its back-up";
    for (bytes, mode, text) in [
        (&b"0123456789abcdef0123456789abcde"[..], 0o600, format!("the pepper in {shown} {restore}")),
        (&[7; 32], 0o600, format!("the pepper in {shown} {restore}")),
        (&[7; 32], 0o640, format!("other users may read the pepper {shown}: run chmod 600 {shown}")),
    ] {
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(named(), text);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(named(), format!("the pepper {shown} cannot be read: Is a directory (os error 21)"));
    // 31 bytes in base64.
    let short = refusal(command(&data).env("PEPPER", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQ=="));
    assert_eq!(short, format!("the pepper in the environment variable PEPPER {restore}"));
}

#[test]
fn lost_pepper_beside_people_is_asked_for() {
    let dir = tempdir();
    let data = dir.path();
    printed(&mut command(data), 2);
    fs::remove_file(data.join("pepper")).unwrap();
    let data_shown = data.display();
    let text = format!(
        "{data_shown}/personal-tokens.db has people, but there is no pepper: restore {data_shown}/pepper from its back-up"
    );
    assert_eq!(refusal(&mut command(data)), text);
    assert_eq!(refusal(command(data).arg("--check-config")), text);
    assert!(!data.join("pepper").exists());
}
