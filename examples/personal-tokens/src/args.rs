//! Reads the command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::setup::{Settings, SetupError};

pub const HELP: &str = "\
personal-tokens: a small service with personal access tokens

  --addr ADDRESS          the address to listen on (127.0.0.1:8088); port 0 chooses a free port
  --data-dir DIR          the directory of the pepper, the host's own database and config.json
                          (personal-tokens-data); it is created if it does not exist
  --database-url URL      the database of the tokens: sqlite:PATH, postgres://… or redis://A[,redis://B…]; by
                          default the SQLite file of the data directory. Put a URL with a password into the
                          environment variable DATABASE_URL, because other people on the machine can read a
                          command line
  --cache TIME            accept a token by a record that was read at most this long ago: 200ms, 30s, 5m. A token
                          that another process revokes may work here for this time; with PostgreSQL and Redis
                          usually only for moments, because they announce changes. By default each request
                          queries the database
  --metrics-addr ADDRESS  a second address for operators: /metrics (Prometheus) and /health, without a sign-in
  --no-never              forbid tokens that never expire
  --behind-tls            a proxy in front speaks HTTPS: make the session cookie Secure, and take the last address of
                          X-Forwarded-For as the client's
  --reset-password NAME   print a new password for this person, end all their sessions, and exit; the service may
                          run meanwhile
  --help, -h              print this text

People, projects, sessions, models and the audit trail stay in the data directory, whichever database holds the tokens.
Several processes on one machine may share a data directory and a database; each needs its own address.
";

/// The environment variable that holds the database URL if `--database-url` is not given.
pub const DATABASE_URL: &str = "DATABASE_URL";

#[derive(Debug)]
pub struct Args {
    pub addr: SocketAddr,
    pub metrics_addr: Option<SocketAddr>,
    pub data_dir: PathBuf,
    pub settings: Settings,
    /// The name of the person who gets a new password. If it is set, the process prints the
    /// password and does not serve.
    pub reset_password: Option<String>,
}

impl Args {
    /// Parses the arguments. `database_url` is the value of [`DATABASE_URL`] and is used only if
    /// the arguments name no database. Returns `None` if the arguments ask for help.
    ///
    /// # Errors
    /// Returns an error if an option is unknown, lacks its value, or has an invalid value. No error
    /// repeats a value, because the value may be a password.
    pub fn parse(
        args: impl IntoIterator<Item = OsString>,
        database_url: Option<OsString>,
    ) -> Result<Option<Self>, SetupError> {
        let mut parsed = Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 8088)),
            metrics_addr: None,
            data_dir: "personal-tokens-data".into(),
            settings: Settings::default(),
            reset_password: None,
        };
        let mut database_url = database_url.filter(|url| !url.is_empty());
        let mut given = args.into_iter();
        while let Some(arg) = given.next() {
            let mut value = || given.next().ok_or("the last option needs a value; --help lists the options");
            match arg.to_str() {
                Some("--addr") => {
                    const FORM: &str = "--addr must be an IP address and a port, such as 127.0.0.1:8088";
                    parsed.addr = value()?.to_string_lossy().parse().map_err(|_| FORM)?;
                }
                Some("--metrics-addr") => {
                    const FORM: &str = "--metrics-addr must be an IP address and a port, such as 127.0.0.1:9088";
                    parsed.metrics_addr = Some(value()?.to_string_lossy().parse().map_err(|_| FORM)?);
                }
                Some("--data-dir") => parsed.data_dir = value()?.into(),
                Some("--database-url") => database_url = Some(value()?),
                Some("--cache") => parsed.settings.cache = time(&value()?.to_string_lossy())?,
                Some("--reset-password") => {
                    let name = value()?.into_string().map_err(|_| "the name after --reset-password is not UTF-8")?;
                    parsed.reset_password = Some(name);
                }
                Some("--no-never") => parsed.settings.allow_never = false,
                Some("--behind-tls") => parsed.settings.behind_tls = true,
                Some("--help" | "-h") => return Ok(None),
                _ => return Err("there is an unknown option; --help lists the options".into()),
            }
        }
        if let Some(url) = database_url {
            parsed.settings.database = Some(url.to_str().ok_or("the database URL is not UTF-8")?.parse()?);
        }
        Ok(Some(parsed))
    }
}

/// Parses a whole number with its unit: `200ms`, `30s` or `5m`.
fn time(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "--cache must be a time such as 200ms, 30s or 5m";
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| FORM)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err(FORM),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or(FORM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Database;

    fn parsed(args: &[&str], database_url: Option<&str>) -> Result<Args, String> {
        let parsed = Args::parse(args.iter().map(OsString::from), database_url.map(OsString::from));
        parsed.map(|args| args.expect("no help is wanted")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_option_wins_over_the_variable() {
        let engine = |args: &[&str], variable| parsed(args, variable).expect("a database").settings.database;
        let at = |url: &str| Some(Database::Postgres(url.into()));
        assert_eq!(engine(&[], None), None);
        assert_eq!(engine(&[], Some("")), None);
        assert_eq!(engine(&[], Some("postgres://a")), at("postgres://a"));
        assert_eq!(engine(&["--database-url", "postgres://b"], Some("postgres://a")), at("postgres://b"));
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
    fn a_bad_address_is_refused_by_the_name_of_its_option() {
        for option in ["--addr", "--metrics-addr"] {
            let refused = parsed(&[option, "8088"], None).expect_err("refused");
            assert!(refused.starts_with(option), "{refused}");
        }
    }

    #[test]
    fn no_error_or_debug_repeats_a_password() {
        for args in [
            &["--database-url", "mysql://ada:secret@db"][..],
            &["--database-url", "redis://:secret@a,b"],
            &["postgres://ada:secret@db"],
            &["--cache", "secret"],
            &["--addr", "secret"],
        ] {
            let refused = parsed(args, None).expect_err("refused");
            assert!(!refused.contains("secret"), "{refused}");
        }
        let args = parsed(&["--database-url", "postgres://ada:secret@db"], None).expect("a database");
        assert!(!format!("{args:?}").contains("secret"), "{args:?}");
    }
}
