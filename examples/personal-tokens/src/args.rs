//! Reads the command line.

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser};

use crate::config::is_origin;
use crate::engine::Database;
use crate::pepper::Place;
use crate::setup::{Settings, SetupError};
use crate::telemetry::LogFormat;

/// The environment variable that holds the database URL if `--database-url` is not given.
pub const DATABASE_URL: &str = "DATABASE_URL";
/// The environment variable that holds the state URL if `--state-url` is not given.
pub const STATE_URL: &str = "STATE_URL";
/// The environment variable that holds the pepper in base64 if `--pepper-file` is not given.
pub const PEPPER: &str = "PEPPER";
/// The environment variable in which systemd names the directory with the credentials of a service.
pub const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A small service with personal access tokens: the reference host of keyfob.
///
/// Put a URL with a password into the environment variable of its option, because other people on
/// the machine can read a command line.
#[derive(Parser)]
#[command(name = "personal-tokens", version)]
struct Options {
    /// The address to listen on, a host or an IP address with a port. Port 0 chooses a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    addr: String,
    /// The directory of the pepper, of config.json, and of the database if no other is named. It is
    /// created if it does not exist.
    #[arg(long, value_name = "DIR", default_value = "personal-tokens-data")]
    data_dir: PathBuf,
    /// The database: sqlite:PATH, postgres://… or mysql://…, or redis://A[,redis://B…] for the
    /// tokens alone. By default, a SQLite file in the data directory. [env: DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<OsString>,
    /// The database of everything but the tokens, if the tokens are in Redis: sqlite:PATH,
    /// postgres://… or mysql://… [env: STATE_URL]
    #[arg(long, value_name = "URL")]
    state_url: Option<OsString>,
    /// The file of the pepper, at least 32 random bytes. It must exist. By default, the file
    /// "pepper" in the data directory, which the first start creates, or PEPPER in base64. [env:
    /// PEPPER]
    #[arg(long, value_name = "PATH")]
    pepper_file: Option<PathBuf>,
    /// Accept a token by a record that was read at most this long ago: 200ms, 30s, 5m. A token that
    /// another process revokes may work here for this time; with PostgreSQL and Redis usually only
    /// for moments, because they announce changes. By default, each request queries the database.
    #[arg(long, value_name = "TIME")]
    cache: Option<String>,
    /// A second address for operators: /metrics (Prometheus) and /health, without a sign-in.
    #[arg(long, value_name = "ADDRESS")]
    metrics_addr: Option<String>,
    /// The form of the log on standard error: text, or json with one object on each line.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: String,
    /// Send traces to this OpenTelemetry collector with gRPC: http://127.0.0.1:4317.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Forbid tokens that never expire.
    #[arg(long)]
    no_never: bool,
    /// After SIGTERM, report not ready for this time and still serve requests, so that a load
    /// balancer turns to other processes: 5s, 1m. A second SIGTERM ends this time.
    #[arg(long, value_name = "TIME", default_value = "0s")]
    drain: String,
    /// A proxy in front speaks HTTPS: make the session cookie Secure, and take the last address of
    /// X-Forwarded-For as the client's.
    #[arg(long)]
    behind_tls: bool,
    /// Check the options, config.json, the pepper and the databases, print the outcome, and exit.
    #[arg(long)]
    check_config: bool,
    /// Print a new password for this person, end all their sessions, and exit. The service may run
    /// meanwhile.
    #[arg(long, value_name = "NAME")]
    reset_password: Option<String>,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To print this text: the help or the version.
    Text(String),
    Run(Box<Args>),
}

#[derive(Debug)]
pub struct Args {
    pub addr: SocketAddr,
    pub metrics_addr: Option<SocketAddr>,
    pub data_dir: PathBuf,
    pub settings: Settings,
    /// The time for which the process still serves requests after the signal to stop.
    pub drain: Duration,
    pub log_format: LogFormat,
    /// The collector of the traces.
    pub otlp_endpoint: Option<String>,
    /// Whether the process only checks its configuration.
    pub check_config: bool,
    /// The name of the person who gets a new password. If it is set, the process prints the
    /// password and does not serve.
    pub reset_password: Option<String>,
}

impl Args {
    /// Parses the arguments. `variable` returns the value of an environment variable, which is used
    /// only if the arguments lack its option.
    ///
    /// # Errors
    /// Returns an error if an option is unknown, lacks its value, or has an invalid value. The
    /// error names the option. It does not repeat a value, because the value may be a password.
    pub fn parse(
        args: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Asked, SetupError> {
        let program = OsString::from("personal-tokens");
        let parsed = Options::command().term_width(100).try_get_matches_from([program].into_iter().chain(args));
        let options = match parsed.and_then(|matches| Options::from_arg_matches(&matches)) {
            Ok(options) => options,
            Err(asked) if matches!(asked.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                return Ok(Asked::Text(asked.to_string()));
            }
            Err(error) => return Err(explained(&error).into()),
        };
        let of_variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (database, database_from) = match options.database_url {
            Some(url) => (Some(url), "--database-url"),
            None => (of_variable(DATABASE_URL), "the environment variable DATABASE_URL"),
        };
        let (state, state_from) = match options.state_url {
            Some(url) => (Some(url), "--state-url"),
            None => (of_variable(STATE_URL), "the environment variable STATE_URL"),
        };
        let mut settings = Settings {
            allow_never: !options.no_never,
            behind_tls: options.behind_tls,
            database: database.map(|url| database_of(&url, database_from)).transpose()?,
            state: state.map(|url| state_of(&url, state_from)).transpose()?,
            database_from,
            state_from,
            pepper: options.pepper_file.map(|path| match variable(CREDENTIALS) {
                Some(folder) if path.parent() == Some(Path::new(&folder)) => Place::Credential(path),
                _ => Place::File(path),
            }),
            ..Settings::default()
        };
        if settings.pepper.is_none()
            && let Some(value) = of_variable(PEPPER)
        {
            let value = value.into_string().map_err(|_| "the environment variable PEPPER is not UTF-8")?;
            settings.pepper = Some(Place::Variable { name: PEPPER, value });
        }
        if let Some(cache) = options.cache {
            settings.cache = time(&cache, "--cache")?;
        }
        Ok(Asked::Run(Box::new(Self {
            addr: address(&options.addr, "--addr", 8088)?,
            metrics_addr: options.metrics_addr.map(|text| address(&text, "--metrics-addr", 9088)).transpose()?,
            data_dir: options.data_dir,
            settings,
            drain: time(&options.drain, "--drain")?,
            log_format: options.log_format.parse()?,
            otlp_endpoint: options.otlp_endpoint.map(|url| collector(&url)).transpose()?,
            check_config: options.check_config,
            reset_password: options.reset_password,
        })))
    }
}

/// Returns the text of an error without the values of the arguments.
fn explained(error: &clap::Error) -> String {
    let named = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(name)) if name.starts_with("--") => {
            Some(name.split(['=', ' ']).next().expect("a first part").to_owned())
        }
        _ => None,
    };
    let what = match (error.kind(), named(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(name)) => format!("there is no option {name}"),
        (ErrorKind::UnknownArgument, None) => "there is an argument that belongs to no option".to_owned(),
        (ErrorKind::ArgumentConflict, Some(name)) => format!("{name} is given twice"),
        (ErrorKind::TooManyValues, Some(name)) => format!("{name} takes no value"),
        (ErrorKind::InvalidUtf8, _) => "an argument is not UTF-8".to_owned(),
        (_, Some(name)) => format!("{name} needs a value"),
        (_, None) => "the arguments cannot be read".to_owned(),
    };
    what + "; --help lists the options"
}

/// Parses the URL of the database of the tokens. `from` is the option or the variable that has it.
fn database_of(url: &OsStr, from: &str) -> Result<Database, SetupError> {
    let parsed = url.to_str().and_then(|url| url.parse().ok());
    parsed.ok_or_else(|| format!("{from} must be sqlite:PATH, postgres://…, mysql://… or redis://…[,redis://…]").into())
}

/// Parses the URL of the database of everything else.
fn state_of(url: &OsStr, from: &str) -> Result<Database, SetupError> {
    const FORMS: &str = "must be sqlite:PATH, postgres://… or mysql://…";
    match url.to_str().and_then(|url| url.parse().ok()) {
        Some(Database::Redis(_)) => Err(format!("{from} {FORMS}: Redis can hold only tokens").into()),
        Some(database) => Ok(database),
        None => Err(format!("{from} {FORMS}").into()),
    }
}

/// Resolves an address: a host or an IP address with a port.
///
/// # Errors
/// Returns an error that names the option and the address if there is no such address.
fn address(text: &str, option: &str, example: u16) -> Result<SocketAddr, SetupError> {
    let form = || format!("{option} must be an address and a port, such as 127.0.0.1:{example} or localhost:{example}");
    let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(form().into());
    }
    let mut found = text.to_socket_addrs().map_err(|error| format!("{option}: there is no host {host}: {error}"))?;
    found.next().ok_or_else(|| format!("{option}: there is no host {host}").into())
}

/// Parses the value of an option that is a whole number with its unit: `200ms`, `30s` or `5m`.
fn time(text: &str, option: &str) -> Result<Duration, String> {
    let wrong = || format!("{option} must be a time such as 200ms, 30s or 5m");
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// Checks the address of a collector. Traces are sent without TLS, so the collector should be near.
fn collector(url: &str) -> Result<String, &'static str> {
    let is_fit = url.starts_with("http://") && is_origin(url);
    is_fit
        .then(|| url.to_owned())
        .ok_or("--otlp-endpoint must be http://, a host and a port, such as http://127.0.0.1:4317")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str], url: Option<&str>) -> Result<Args, String> {
        let variable = |name: &str| url.filter(|_| name == DATABASE_URL).map(OsString::from);
        match Args::parse(args.iter().map(OsString::from), variable).map_err(|error| error.to_string())? {
            Asked::Run(args) => Ok(*args),
            Asked::Text(text) => panic!("no text is wanted: {text}"),
        }
    }

    #[test]
    fn the_option_wins_over_the_variable() {
        let engine = |args: &[&str], variable| parsed(args, variable).expect("a database").settings.database;
        let at = |url: &str| Some(Database::Postgres(url.into()));
        assert_eq!(engine(&[], None), None);
        assert_eq!(engine(&[], Some("")), None);
        assert_eq!(engine(&[], Some("postgres://a")), at("postgres://a"));
        for given in [&["--database-url", "postgres://b"][..], &["--database-url=postgres://b"]] {
            assert_eq!(engine(given, Some("postgres://a")), at("postgres://b"));
        }
    }

    #[test]
    fn times_have_a_unit() {
        let cache = |text: &str| parsed(&["--cache", text], None).map(|args| args.settings.cache.as_millis()).ok();
        assert_eq!(parsed(&[], None).expect("no arguments").settings.cache, Duration::ZERO);
        for (text, millis) in [("0s", 0), ("200ms", 200), ("30s", 30_000), ("5m", 300_000)] {
            assert_eq!(cache(text), Some(millis), "{text}");
        }
        for text in ["", "30", "s", "-1s", "+1s", "1.5s", "30 s", "1h", "30S", "18446744073709551615m", "٣s"] {
            assert_eq!(cache(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_are_hosts_or_numbers() {
        let addr = |text: &str| parsed(&[&format!("--addr={text}")], None).map(|args| args.addr.to_string());
        assert_eq!(addr("127.0.0.1:8089"), Ok("127.0.0.1:8089".into()));
        assert_eq!(addr("[::1]:0"), Ok("[::1]:0".into()));
        let local = addr("localhost:8089").expect("each machine has this name");
        assert!(["127.0.0.1:8089", "[::1]:8089"].contains(&local.as_str()), "{local}");
        for option in ["--addr", "--metrics-addr"] {
            for text in ["8088", ":8088", "localhost", "localhost:", "localhost:65536"] {
                let refused = parsed(&[option, text], None).expect_err("refused");
                assert!(refused.starts_with(&format!("{option} must be an address and a port")), "{refused}");
            }
        }
    }

    #[test]
    fn each_wrong_option_is_named() {
        for (args, refused) in [
            (&["--adr", "localhost:1"][..], "there is no option --adr"),
            (&["--adr=localhost:1"], "there is no option --adr"),
            (&["serve"], "there is an argument that belongs to no option"),
            (&["--addr"], "--addr needs a value"),
            (&["--no-never=1"], "--no-never takes no value"),
            (&["--no-never", "--no-never"], "--no-never is given twice"),
            (&["--addr", "localhost:1", "--addr", "localhost:2"], "--addr is given twice"),
        ] {
            let said = parsed(args, None).expect_err("refused");
            assert_eq!(said, format!("{refused}; --help lists the options"), "{args:?}");
        }
        for url in ["localhost:4317", "https://a:4317", "http://a:4317/v1/traces", "http://"] {
            let refused = parsed(&["--otlp-endpoint", url], None).expect_err("refused");
            assert!(refused.starts_with("--otlp-endpoint must be http://"), "{refused}");
        }
        for (option, refused) in [
            ("--log-format=xml", "--log-format must be text or json"),
            ("--drain=5", "--drain must be a time such as 200ms, 30s or 5m"),
        ] {
            assert_eq!(parsed(&[option], None).expect_err("refused"), refused);
        }
        let redis = parsed(&["--state-url", "redis://a"], None).expect_err("refused");
        assert!(
            redis.starts_with("--state-url must be ") && redis.ends_with(": Redis can hold only tokens"),
            "{redis}"
        );
    }

    #[test]
    fn no_error_or_debug_repeats_a_password() {
        for args in [
            &["--database-url", "oracle://ada:secret@db"][..],
            &["--database-url", "redis://:secret@a,b"],
            &["--state-url=secret"],
            &["--database-ulr=postgres://ada:secret@db"],
            &["postgres://ada:secret@db"],
            &["--cache", "secret"],
            &["--addr", "secret"],
            &["--no-never=secret"],
        ] {
            let refused = parsed(args, None).expect_err("refused");
            assert!(!refused.contains("secret"), "{refused}");
        }
        let args = parsed(&["--database-url", "postgres://ada:secret@db"], None).expect("a database");
        assert!(!format!("{args:?}").contains("secret"), "{args:?}");
    }

    #[test]
    fn help_and_version_are_texts() {
        for (option, part) in [("--help", "--state-url <URL>"), ("-h", "--addr <ADDRESS>"), ("--version", "0.0.0")] {
            match Args::parse([OsString::from(option)], |_| None) {
                Ok(Asked::Text(text)) => assert!(text.contains(part), "{text}"),
                other => panic!("{option}: {other:?}"),
            }
        }
    }
}
