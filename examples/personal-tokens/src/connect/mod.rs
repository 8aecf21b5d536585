//! The files and snippets by which tools reach the service. One function makes each text, for preview and download alike.

mod jetbrains;
mod snippets;
mod vscode;

use std::fmt;

use keyfob::PlaintextToken;

/// Stands where the token belongs, when it is not known any more. A person puts the token in its place.
pub const PLACEHOLDER: &str = "PASTE_YOUR_TOKEN_HERE";

/// What a tool is told. Debug shows nothing of the token.
#[derive(Clone, Copy)]
pub struct Connection<'a> {
    /// Scheme, host and port: `https://tokens.example`.
    pub server: &'a str,
    /// The project that the token is for.
    pub project: i64,
    /// The project that the model belongs to.
    pub model_project: i64,
    pub model: &'a str,
    /// None where it is not known any more.
    pub token: Option<&'a PlaintextToken>,
    pub verify_ssl: bool,
}

impl Connection<'_> {
    fn token(&self) -> &str {
        self.token.map_or(PLACEHOLDER, PlaintextToken::expose_secret)
    }

    /// How tools name the model of a project.
    fn integration_uid(&self) -> String {
        integration_uid(self.model_project, self.model)
    }
}

pub fn integration_uid(project: i64, model: &str) -> String {
    format!("{project}_{model}")
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, project, model_project, model, verify_ssl, token: _ } = self;
        let mut fields = f.debug_struct("Connection");
        fields.field("server", server).field("project", project).field("model_project", model_project);
        fields.field("model", model).field("verify_ssl", verify_ssl).finish_non_exhaustive()
    }
}

/// What there are files for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tool {
    VsCode,
    VsCodeAlita,
    JetBrains,
    JetBrainsAlita,
    Environment,
    Curl,
    Netrc,
    Mcp,
    Python,
}

impl Tool {
    pub const ALL: [Self; 9] = [
        Self::VsCode,
        Self::VsCodeAlita,
        Self::JetBrains,
        Self::JetBrainsAlita,
        Self::Environment,
        Self::Curl,
        Self::Netrc,
        Self::Mcp,
        Self::Python,
    ];

    /// The word for it in addresses and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VsCode => "vscode",
            Self::VsCodeAlita => "vscode-alita",
            Self::JetBrains => "jetbrains",
            Self::JetBrainsAlita => "jetbrains-alita",
            Self::Environment => "env",
            Self::Curl => "curl",
            Self::Netrc => "netrc",
            Self::Mcp => "mcp",
            Self::Python => "python",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == text)
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::VsCode => "VS Code",
            Self::VsCodeAlita => "VS Code (Alita)",
            Self::JetBrains => "JetBrains",
            Self::JetBrainsAlita => "JetBrains (Alita)",
            Self::Environment => "Environment",
            Self::Curl => "curl",
            Self::Netrc => ".netrc",
            Self::Mcp => "MCP",
            Self::Python => "Python",
        }
    }

    pub const fn file_name(self) -> &'static str {
        match self {
            Self::VsCode | Self::VsCodeAlita => "settings.json",
            Self::JetBrains => "elitea.xml",
            Self::JetBrainsAlita => "alita.xml",
            Self::Environment => "service.env",
            Self::Curl => "ask.sh",
            Self::Netrc => "netrc",
            Self::Mcp => "mcp.json",
            Self::Python => "ask.py",
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::VsCode | Self::VsCodeAlita | Self::Mcp => "application/json",
            Self::JetBrains | Self::JetBrainsAlita => "application/xml",
            Self::Environment | Self::Curl | Self::Netrc | Self::Python => "text/plain; charset=utf-8",
        }
    }

    /// Where the text goes, and what to mind.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::VsCode => {
                "For the ELITEA Code extension: into .vscode/settings.json, which must not be committed, or your user settings."
            }
            Self::VsCodeAlita => {
                "For the older Alita Code extension: into .vscode/settings.json, which must not be committed."
            }
            Self::JetBrains => "Into the .idea folder. It holds no token: paste that into the plug-in's settings.",
            Self::JetBrainsAlita => {
                "For the older Alita plug-in: into the .idea folder. It holds no token: paste that into the plug-in's settings."
            }
            Self::Environment => {
                "For a shell: source it. Tools that know OpenAI's variables find the service. Keep it out of repositories."
            }
            Self::Curl => {
                "Lists the models and asks one. The token goes by standard input, so no list of processes shows it."
            }
            Self::Netrc => "Into ~/.netrc with mode 600: curl --netrc and git find it there.",
            Self::Mcp => {
                "For a client of the Model Context Protocol, with an OpenAPI bridge that it starts: the service's own API as tools."
            }
            Self::Python => "With OpenAI's package: pip install openai.",
        }
    }

    /// The text.
    pub fn text(self, connection: &Connection<'_>) -> String {
        match self {
            Self::VsCode => vscode::current(connection),
            Self::VsCodeAlita => vscode::alita(connection),
            Self::JetBrains => jetbrains::current(connection),
            Self::JetBrainsAlita => jetbrains::alita(connection),
            Self::Environment => snippets::environment(connection),
            Self::Curl => snippets::curl(connection),
            Self::Netrc => snippets::netrc(connection),
            Self::Mcp => snippets::mcp(connection),
            Self::Python => snippets::python(connection),
        }
    }
}
