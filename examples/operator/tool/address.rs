//! The addresses of stores on the command line.

use std::env;
use std::fmt;
use std::path::PathBuf;

/// The address of a store, with its password.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// The path of a SQLite file.
    Sqlite(PathBuf),
    /// The URL of a server, such as `postgres://acme@db.internal/acme`.
    Url(String),
}

impl Address {
    /// Parses an address from the command line: `sqlite:///path`, a path, the URL of a server, or
    /// `env:NAME` for the address in an environment variable.
    ///
    /// # Errors
    /// Returns a message for the user if the variable is not set, if the address has a password
    /// that other users can read, or if the text is empty.
    pub fn from_argument(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("env:") {
            let value = env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?;
            return Self::parse(&value).map_err(|error| format!("the environment variable {name}: {error}"));
        }
        let address = Self::parse(text)?;
        if address.has_password() {
            return Err(format!(
                "{address} has a password, which other users can read on the command line \
                 (put the address into an environment variable, and write env:NAME)"
            ));
        }
        Ok(address)
    }

    /// Parses an address that may have a password.
    ///
    /// # Errors
    /// Returns a message for the user if the text is empty or not a URL with a host.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            // `sqlite:///path` has an empty host. `sqlite:path` has no host.
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err("the path of the SQLite file is empty".into())
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        match text.split_once("://") {
            Some((_, "")) => Err(format!("{text} has no host")),
            Some(_) => Ok(Self::Url(text.to_owned())),
            None if text.is_empty() => Err("the address is empty".into()),
            None => Ok(Self::Sqlite(text.into())),
        }
    }

    /// Returns the part of the URL before `://`, or `sqlite`.
    pub fn scheme(&self) -> &str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Url(url) => url.split_once("://").map_or("", |(scheme, _)| scheme),
        }
    }

    fn has_password(&self) -> bool {
        let Self::Url(url) = self else { return false };
        // A password may contain any character, so everything before the last `@` is suspected.
        let user = url.rsplit_once('@').map_or("", |(before, _)| before.split_once("://").map_or("", |(_, user)| user));
        user.contains(':') || url.to_ascii_lowercase().contains("password=")
    }
}

impl fmt::Display for Address {
    /// Writes the address without its password and without the parameters after `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::Sqlite(path) => return write!(f, "sqlite:{}", path.display()),
            Self::Url(url) => url,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        // A password may have characters that a URL does not allow. Then its end is not known.
        if user.is_some_and(|user| user.contains(['/', '?', '@'])) {
            return write!(f, "{scheme}://…");
        }
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            write!(f, "{}@", user.split(':').next().unwrap_or(""))?;
        }
        f.write_str(rest.split('?').next().unwrap_or(""))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
