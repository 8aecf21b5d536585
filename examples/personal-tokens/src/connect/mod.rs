//! The settings with which tools reach the service: settings files for editors, and texts for
//! shells and programs.
//!
//! This module reads and writes no files. A text depends only on the tool and on the
//! [`Connection`], so the preview and the download are the same. Without a token, the text contains
//! a placeholder:
//!
//! ```
//! use personal_tokens::connect::{Connection, NamedModel, PLACEHOLDER, Tool};
//!
//! let mut connection = Connection {
//!     server: "https://tokens.example",
//!     project: 123,
//!     model: Some(NamedModel { project: 1, name: "gpt-4o" }),
//!     token: None,
//!     verify_ssl: true,
//! };
//! let settings = Tool::VsCode.text(&connection);
//! assert!(settings.is_some_and(|text| text.contains(PLACEHOLDER)));
//!
//! // The settings of editors name a model. Other tools can do without one.
//! connection.model = None;
//! assert!(Tool::VsCode.text(&connection).is_none());
//! assert!(Tool::Curl.text(&connection).is_some());
//! ```

mod editors;
mod quote;
mod snippets;
mod tool;

use keyfob::PlaintextToken;

pub use tool::{Generation, Group, Tool};

/// The text that settings contain instead of a token, if the service does not know the token. A
/// person replaces it with the token. No token begins or ends with this text, so the
/// placeholder cannot be mistaken for a token.
pub const PLACEHOLDER: &str = "PASTE_YOUR_TOKEN_HERE";

/// The values from which a settings text is made.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// The address of the service, such as `https://tokens.example`. It is ASCII text without
    /// spaces, and without a slash at the end.
    pub server: &'a str,
    /// The project of the token.
    pub project: i64,
    /// The model that the settings name. It is `None` if the project has no models, or if none is
    /// chosen.
    pub model: Option<NamedModel<'a>>,
    /// The token. The service knows the token only at the moment when it issues or rotates it. If
    /// the field is `None`, the text contains [`PLACEHOLDER`].
    pub token: Option<&'a PlaintextToken>,
    /// Whether editors verify the certificate of the service. Shells and programs always verify it.
    pub verify_ssl: bool,
}

/// A model that settings name.
#[derive(Clone, Copy, Debug)]
pub struct NamedModel<'a> {
    /// The project that the model belongs to.
    pub project: i64,
    pub name: &'a str,
}

impl NamedModel<'_> {
    /// Returns the name that editors use for the model.
    fn integration(&self) -> String {
        integration_uid(self.project, self.name)
    }
}

/// Returns the name that tools use for a model of a project.
pub fn integration_uid(project: i64, model: &str) -> String {
    format!("{project}_{model}")
}

impl Connection<'_> {
    fn token_text(&self) -> &str {
        self.token.map_or(PLACEHOLDER, PlaintextToken::expose_secret)
    }

    /// Returns the base URL of the models. Clients of OpenAI's API can use it.
    fn models_url(&self) -> String {
        format!("{}/llm/v1", self.server)
    }

    /// Returns the host name or the IP address of the server, without scheme and port.
    fn host(&self) -> &str {
        let authority = self.server.split_once("://").map_or(self.server, |(_, authority)| authority);
        match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split_once(':').map_or(authority, |(host, _)| host),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TOKEN: &str = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o";

    /// Returns the connection for which the tests list the expected texts.
    pub(super) fn connection(token: Option<&PlaintextToken>) -> Connection<'_> {
        Connection {
            server: "https://tokens.example",
            project: 123,
            model: Some(NamedModel { project: 1, name: "gpt-4o" }),
            token,
            verify_ssl: true,
        }
    }

    pub(super) fn token() -> PlaintextToken {
        TOKEN.parse().unwrap()
    }

    #[test]
    fn debug_shows_nothing_of_the_token() {
        let token = token();
        let shown = format!("{:?}", connection(Some(&token)));
        assert!(shown.contains("gpt-4o"));
        assert!(TOKEN.as_bytes().windows(4).all(|part| !shown.contains(str::from_utf8(part).unwrap())), "{shown}");
    }

    #[test]
    fn the_host_has_neither_scheme_nor_port() {
        for (server, host) in [
            ("https://tokens.example", "tokens.example"),
            ("http://127.0.0.1:8088", "127.0.0.1"),
            ("https://[::1]:8088", "::1"),
            ("https://[::1]", "::1"),
        ] {
            assert_eq!(Connection { server, ..connection(None) }.host(), host);
        }
    }
}
