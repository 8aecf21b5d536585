//! Reads `config.json`, which an administrator may write into the data directory. Every field is
//! optional.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::http::HeaderMap;
use axum::http::header::HOST;
use keyfob::Policy;
use reqwest::Url;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::llm::models::ModelEntry;
use crate::llm::upstream::{Upstream, Upstreams};
use crate::setup::SetupError;

/// The maximum number of live tokens of one person in one project, if `config.json` has no policy.
const MOST_LIVE_TOKENS: u64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The policy for tokens, in the format in which [`Policy`] is serialized. By default, tokens
    /// that never expire may be issued, and a person may have 100 live tokens in a project.
    pub policy: Policy,
    /// The origin at which clients reach the service, such as `https://tokens.example`. Settings
    /// files contain this origin. If it is absent, settings files contain the host of the request.
    pub public_url: Option<String>,
    /// Whether settings files tell editors to verify the service's certificate.
    pub verify_ssl: bool,
    /// The providers of models, by name.
    pub upstreams: Upstreams,
    pub models: Vec<ModelEntry>,
    /// The address at which GitHub publishes the keys of its secret scanning
    /// ([`keyfob::leak::github::GitHubKeys::ADDRESS`]). Set it if the service is a partner of
    /// GitHub's programme. If it is absent, GitHub's reports are refused. An address with `http://`
    /// must be on this machine. On a network, an attacker could replace the keys, and then send
    /// reports in GitHub's name.
    #[serde(deserialize_with = "read_url")]
    pub github_keys: Option<Url>,
    /// The number of days after which an ended token is deleted, with its audit trail (90 by
    /// default). Until then, a request with the token is refused with the reason why the token
    /// ended.
    pub purge_after_days: u32,
    /// The number of days after which the alarm of a leaked token is deleted although its owner has
    /// not dismissed it (365 by default).
    pub purge_alarms_after_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy::default().with_never_expiring(true).with_most_live_per_owner(MOST_LIVE_TOKENS),
            public_url: None,
            verify_ssl: true,
            upstreams: Upstreams::new(),
            models: Vec::new(),
            github_keys: None,
            purge_after_days: 90,
            purge_alarms_after_days: 365,
        }
    }
}

impl Config {
    /// Reads `config.json` in a data directory. Returns the default configuration if the file does
    /// not exist.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or parsed, if `public_url` is not an origin, or
    /// if the file holds credentials and other users may read it.
    pub fn read(data: &Path) -> Result<Self, SetupError> {
        let path = data.join("config.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let config: Self = serde_json::from_str(&text).map_err(|error| format!("config.json: {error}"))?;
        if config.public_url.as_deref().is_some_and(|url| !is_origin(url)) {
            return Err(
                "config.json: public_url must be http:// or https:// and a host, without a slash at the end".into()
            );
        }
        let is_secret = config.upstreams.values().any(Upstream::holds_credentials);
        if is_secret && path.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err("config.json holds credentials and other users may read it: chmod 600 it".into());
        }
        Ok(config)
    }
}

/// Deserializes [`Config::github_keys`] and checks that the address uses `https://` or is on this
/// machine.
fn read_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let url = text.parse::<Url>().ok().filter(|url| match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(is_this_machine),
        _ => false,
    });
    url.map(Some).ok_or_else(|| D::Error::custom("github_keys must be https:// and a host, or http:// on loopback"))
}

/// Returns whether the host of a URL is this machine: `localhost` or a loopback address.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns the origin at which clients reach the service. If `public_url` is configured, this is
/// the origin. If not, the function takes the host from the headers of the request. The scheme is
/// then `https` if `behind_tls` is true, and `http` otherwise.
pub fn origin(public_url: Option<&str>, behind_tls: bool, headers: &HeaderMap) -> String {
    if let Some(url) = public_url {
        return url.into();
    }
    let scheme = if behind_tls { "https" } else { "http" };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origin = Some(format!("{scheme}://{host}")).filter(|origin| is_origin(origin));
    origin.unwrap_or_else(|| format!("{scheme}://localhost"))
}

/// Returns whether a text is an origin: `http://` or `https://`, a host and optionally a port, with
/// nothing after them.
pub fn is_origin(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_a_valid_configuration() {
        let readme = include_str!("../README.md");
        let example = readme.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let config: Config = serde_json::from_str(example).expect("a configuration");
        assert!(config.verify_ssl && config.public_url.as_deref().is_some_and(is_origin));
        assert_eq!((config.models.len(), config.upstreams.len()), (1, 1));
    }

    #[test]
    fn origin_has_a_scheme_and_a_host_and_no_path() {
        for url in ["https://tokens.example", "http://127.0.0.1:8088", "http://[::1]:1"] {
            assert!(is_origin(url), "{url}");
        }
        for url in ["https://", "tokens.example", "https://a/", "https://a/b", "https://u@a", "https://a b", "ftp://a"]
        {
            assert!(!is_origin(url), "{url}");
        }
    }
}
