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
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::contradictions;
use crate::llm::models::ModelEntry;
use crate::llm::upstream::{Upstream, Upstreams};
use crate::setup::SetupError;

/// The file name of the configuration in the data directory.
pub const FILE: &str = "config.json";
/// The maximum number of characters in the name of an upstream, which the database stores.
const LONGEST_NAME: usize = 255;
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
    /// not exist. `allow_never` is whether the command line allows tokens that never expire.
    ///
    /// # Errors
    /// Returns an error that names the file if the file cannot be read or parsed, if a field has an
    /// invalid value, if the policy contradicts itself or the command line, or if the file holds
    /// credentials and other users may read it. The error does not repeat a value, because the
    /// value may be a credential.
    pub fn read(data: &Path, allow_never: bool) -> Result<Self, SetupError> {
        let path = data.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::default().allowing(allow_never));
            }
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display()).into()),
        };
        let config = Self::parse(&text, allow_never).map_err(|why| format!("{}: {why}", path.display()))?;
        let is_secret = config.upstreams.values().any(Upstream::holds_credentials);
        if is_secret && path.metadata()?.permissions().mode() & 0o077 != 0 {
            let path = path.display();
            return Err(format!("{path} holds credentials, and other users may read it: run chmod 600 {path}").into());
        }
        Ok(config)
    }

    /// Returns the configuration with a policy that allows tokens that never expire only if the
    /// command line does.
    fn allowing(self, never: bool) -> Self {
        if never { self } else { Self { policy: self.policy.with_never_expiring(false), ..self } }
    }

    /// Parses the text of the file and checks the fields.
    fn parse(text: &str, allow_never: bool) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let config: Self = serde_path_to_error::deserialize(&mut reader).map_err(explained)?;
        reader.end().map_err(|error| syntax(&error))?;
        let written: Value = serde_json::from_str(text).map_err(|error| syntax(&error))?;
        // serde also accepts an array with the values of the fields.
        for (value, place) in [(Some(&written), ""), (written.get("policy"), "policy ")] {
            if value.is_some_and(|value| !value.is_object()) {
                return Err(format!("{place}must be an object"));
            }
        }
        if let Some(contradiction) = contradictions::first(&config.policy, &written["policy"], allow_never) {
            return Err(contradiction);
        }
        if config.public_url.as_deref().is_some_and(|url| !is_origin(url)) {
            return Err("public_url must be http:// or https:// and a host, without a slash at the end".into());
        }
        let is_name = |name: &String| {
            !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control)
        };
        if !config.upstreams.keys().all(is_name) {
            return Err(format!(
                "upstreams: a name must have 1 to {LONGEST_NAME} characters, without control characters"
            ));
        }
        Ok(config.allowing(allow_never))
    }
}

/// Returns what is wrong with a field, with its place. The text of the error may repeat a value, so
/// only a part of it is used.
fn explained(error: serde_path_to_error::Error<serde_json::Error>) -> String {
    let (mut path, error) = (field(error.path()), error.into_inner());
    let text = error.to_string();
    let (what, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    let what = match what.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("must be {}", kind(expected)),
        _ if what.contains("expected key to be a number") => "each key must be the number of a project".into(),
        _ if !error.is_data() => return syntax(&error),
        _ => what.to_owned(),
    };
    // The text names an unknown field, so the path need not.
    if let Some(parent) = what.split('`').nth(1).and_then(|name| path.strip_suffix(name)) {
        path = parent.trim_end_matches('.').to_owned();
    }
    let between = match (path.is_empty(), what.starts_with("must ")) {
        (true, _) => "",
        (false, true) => " ",
        (false, false) => ": ",
    };
    format!("{path}{between}{what} (line {}, column {})", error.line(), error.column())
}

/// Returns where the text is not JSON, and why.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (what, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    format!("not valid JSON: {what} (line {}, column {})", error.line(), error.column())
}

/// Returns the path of a field. Shows no key of `credentials`, because the key and the credential
/// may have been exchanged by mistake.
fn field(path: &serde_path_to_error::Path) -> String {
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => shown += &format!("[{index}]"),
            Segment::Map { key } if shown.is_empty() => shown += key,
            Segment::Map { key } => shown += &format!(".{key}"),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        if shown.ends_with(".credentials") {
            break;
        }
    }
    shown
}

/// Returns the type of a field in the words of JSON.
fn kind(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number, not below 0",
        "i64" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
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
    url.map(Some).ok_or_else(|| D::Error::custom("must be https:// and a host, or http:// on loopback"))
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
