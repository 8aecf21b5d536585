//! The settings by which tools reach the service: settings files of editors, and texts for shells
//! and programs.
//!
//! This module reads and writes nothing. A text is a function of the tool and of the
//! [`Connection`], so the preview and the download are the same:
//!
//! ```
//! use personal_tokens::connect::{Connection, PLACEHOLDER, Tool};
//!
//! let connection = Connection {
//!     server: "https://tokens.example",
//!     project: 123,
//!     model_project: 1,
//!     model: "gpt-4o",
//!     token: None,
//!     verify_ssl: true,
//! };
//! assert!(Tool::VsCode.text(&connection).contains(PLACEHOLDER));
//! ```

mod editors;
mod quote;
mod snippets;
mod tool;

use keyfob::PlaintextToken;

pub use tool::{Generation, Group, Tool};

/// The text that takes the place of an unknown token. A person can find and replace it. No token
/// begins or ends with it, so it cannot be mistaken for one.
pub const PLACEHOLDER: &str = "PASTE_YOUR_TOKEN_HERE";

/// The facts that a settings file contains.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// The address of the service, such as `https://tokens.example`: ASCII without spaces, without
    /// a slash at the end.
    pub server: &'a str,
    /// The token's project.
    pub project: i64,
    /// The project that the model belongs to.
    pub model_project: i64,
    /// The model's name.
    pub model: &'a str,
    /// The token, which is known only when it is issued or rotated. Without it the text contains
    /// [`PLACEHOLDER`].
    pub token: Option<&'a PlaintextToken>,
    /// Whether editors verify the service's certificate. Shells and programs always do.
    pub verify_ssl: bool,
}

/// Returns the name by which tools know a model of a project.
pub fn integration_uid(project: i64, model: &str) -> String {
    format!("{project}_{model}")
}

impl Connection<'_> {
    fn token_text(&self) -> &str {
        self.token.map_or(PLACEHOLDER, PlaintextToken::expose_secret)
    }

    /// Returns the name by which editors know the model.
    fn integration(&self) -> String {
        integration_uid(self.model_project, self.model)
    }

    /// Returns the address of the models for clients of OpenAI's API.
    fn models_url(&self) -> String {
        format!("{}/llm/v1", self.server)
    }

    /// Returns only the server's name or IP address.
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

    /// Returns the connection of the expected texts in these tests.
    pub(super) fn connection(token: Option<&PlaintextToken>) -> Connection<'_> {
        Connection {
            server: "https://tokens.example",
            project: 123,
            model_project: 1,
            model: "gpt-4o",
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
