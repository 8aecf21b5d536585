//! What an administrator writes into `config.json` beside the database. Everything may be left out.

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

/// Live tokens of one person in one project, where the file names no policy.
const MOST_LIVE_TOKENS: u64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// As [`Policy`] is written. Where there is none, the host's own: never is allowed, as the page of the product offers
    /// it, and 100 live tokens of a person in a project.
    pub policy: Policy,
    /// Where clients reach the service (`https://tokens.example`), as settings files tell it. Where there is none, the
    /// address by which the page itself was asked for.
    pub public_url: Option<String>,
    /// Whether settings files tell editors to check the service's certificate.
    pub verify_ssl: bool,
    /// Where models are asked.
    pub upstreams: Upstreams,
    pub models: Vec<ModelEntry>,
    /// Where GitHub publishes the keys of its secret scanning ([`keyfob::leak::github::GitHubKeys::ADDRESS`]), for a service that is a partner
    /// of its programme. Where there is none, GitHub's reports are not taken. By `http://` only on this machine: whoever could alter
    /// them on their way could report in GitHub's name.
    #[serde(deserialize_with = "read_url")]
    pub github_keys: Option<Url>,
    /// How many days after its end a token is deleted, with its audit trail; 90 by default. Until
    /// then a request with it is told why it does not work.
    pub purge_after_days: u32,
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
        }
    }
}

impl Config {
    /// What stands in the data directory.
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
                "config.json: public_url must be http:// or https:// and a host, without a slash behind it".into()
            );
        }
        let is_secret = config.upstreams.values().any(Upstream::holds_credentials);
        if is_secret && path.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err("config.json holds credentials and is open to others: chmod 600 it".into());
        }
        Ok(config)
    }
}

fn read_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let url = text.parse::<Url>().ok().filter(|url| match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(is_this_machine),
        _ => false,
    });
    url.map(Some).ok_or_else(|| D::Error::custom("github_keys must be https:// and a host, or http:// on loopback"))
}

/// As a parsed address names it.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns where clients reach the service: as the administrator says, else as the request did.
pub fn origin(public_url: Option<&str>, behind_tls: bool, headers: &HeaderMap) -> String {
    if let Some(url) = public_url {
        return url.into();
    }
    let scheme = if behind_tls { "https" } else { "http" };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origin = Some(format!("{scheme}://{host}")).filter(|origin| is_origin(origin));
    origin.unwrap_or_else(|| format!("{scheme}://localhost"))
}

/// Scheme, host and port, and nothing behind them.
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
    fn the_readmes_example_is_one() {
        let readme = include_str!("../../../README.md");
        let example = readme.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let config: Config = serde_json::from_str(example).expect("a configuration");
        assert!(config.verify_ssl && config.public_url.as_deref().is_some_and(is_origin));
        assert_eq!((config.models.len(), config.upstreams.len()), (1, 1));
    }

    #[test]
    fn what_is_an_origin() {
        for url in ["https://tokens.example", "http://127.0.0.1:8088", "http://[::1]:1"] {
            assert!(is_origin(url), "{url}");
        }
        for url in ["https://", "tokens.example", "https://a/", "https://a/b", "https://u@a", "https://a b", "ftp://a"]
        {
            assert!(!is_origin(url), "{url}");
        }
    }
}
