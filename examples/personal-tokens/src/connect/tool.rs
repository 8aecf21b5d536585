//! The tools for which the service writes settings, with their names and hints.

use super::{Connection, editors, snippets};

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

/// A group of tools on a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    VsCode,
    JetBrains,
    Other,
}

/// The generation of an editor's extension. The extension changed its name once, and the names of
/// its settings changed too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Generation {
    Elitea,
    Alita,
}

/// The properties of a tool that do not depend on the connection.
struct Facts {
    word: &'static str,
    label: &'static str,
    file_name: &'static str,
    content_type: &'static str,
    hint: &'static str,
}

const JSON: &str = "application/json";
const XML: &str = "application/xml";
const TEXT: &str = "text/plain; charset=utf-8";

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

    /// Returns whether the page shows this tool immediately. The page lists the others under
    /// "More".
    pub fn is_common(self) -> bool {
        matches!(self, Self::VsCode | Self::JetBrains | Self::Curl | Self::Python | Self::Mcp)
    }

    /// Returns the word for the tool in URLs. The word never changes.
    pub fn as_str(self) -> &'static str {
        self.facts().word
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == word)
    }

    /// Returns the tool's name for people.
    pub fn label(self) -> &'static str {
        self.facts().label
    }

    pub fn file_name(self) -> &'static str {
        self.facts().file_name
    }

    pub fn content_type(self) -> &'static str {
        self.facts().content_type
    }

    /// Returns a hint for people: where to put the settings text, and what else to do.
    pub fn hint(self) -> &'static str {
        self.facts().hint
    }

    pub fn group(self) -> Group {
        match self {
            Self::VsCode | Self::VsCodeAlita => Group::VsCode,
            Self::JetBrains | Self::JetBrainsAlita => Group::JetBrains,
            Self::Environment | Self::Curl | Self::Netrc | Self::Mcp | Self::Python => Group::Other,
        }
    }

    /// Returns whether the text for this tool contains the token or the placeholder.
    pub fn holds_token(self) -> bool {
        matches!(self, Self::VsCode | Self::VsCodeAlita | Self::Environment | Self::Netrc | Self::Mcp)
    }

    /// Returns whether the settings of this tool must name a model. Without one, the tool would not
    /// know which model to use.
    pub fn needs_model(self) -> bool {
        self.group() != Group::Other
    }

    /// Returns the settings text for the tool, which is both the preview and the download. If the
    /// text contains the token, the text is as secret as the token. Returns `None` if the tool
    /// [needs a model](Self::needs_model) and the connection has none.
    pub fn text(self, connection: &Connection<'_>) -> Option<String> {
        Some(match self {
            Self::VsCode => editors::vs_code(Generation::Elitea, connection, connection.model?),
            Self::VsCodeAlita => editors::vs_code(Generation::Alita, connection, connection.model?),
            Self::JetBrains => editors::jet_brains(Generation::Elitea, connection, connection.model?),
            Self::JetBrainsAlita => editors::jet_brains(Generation::Alita, connection, connection.model?),
            Self::Environment => snippets::environment(connection),
            Self::Curl => snippets::curl(connection),
            Self::Netrc => snippets::netrc(connection),
            Self::Mcp => snippets::mcp(connection),
            Self::Python => snippets::python(connection),
        })
    }

    fn facts(self) -> Facts {
        match self {
            Self::VsCode => Facts {
                word: "vscode",
                label: "VS Code",
                file_name: "settings.json",
                content_type: JSON,
                hint: "For the extension ELITEA Code: add these lines to your user settings (Preferences: Open User \
                       Settings (JSON)), or save the file as .vscode/settings.json. Do not commit it with the \
                       token in it. At its start, the extension may report \"ELITEA Code: Invalid LLMAuth JWT token\", because it \
                       expects another format; it works all the same, so you can ignore this message.",
            },
            Self::VsCodeAlita => Facts {
                word: "vscode-alita",
                label: "VS Code (Alita)",
                file_name: "settings.json",
                content_type: JSON,
                hint: "For the older extension Alita Code: add these lines to your user settings (Preferences: Open \
                       User Settings (JSON)), or save the file as .vscode/settings.json. Do not commit it with \
                       the token in it.",
            },
            Self::JetBrains => Facts {
                word: "jetbrains",
                label: "JetBrains",
                file_name: "elitea.xml",
                content_type: XML,
                hint: "For the plug-in ELITEA Code: save the file in the .idea folder of your project. The token is \
                       not in it: paste it into the plug-in's settings yourself.",
            },
            Self::JetBrainsAlita => Facts {
                word: "jetbrains-alita",
                label: "JetBrains (Alita)",
                file_name: "alita.xml",
                content_type: XML,
                hint: "For the older plug-in Alita Code: save the file in the .idea folder of your project. The token \
                       is not in it: paste it into the plug-in's settings yourself.",
            },
            Self::Environment => Facts {
                word: "env",
                label: "Environment",
                file_name: "environment.sh",
                content_type: TEXT,
                hint: "Save the file, make it readable only by you (chmod 600 environment.sh) and load it with . \
                       ./environment.sh. If you paste it into a shell, the token stays in its history.",
            },
            Self::Curl => Facts {
                word: "curl",
                label: "curl",
                file_name: "connect.sh",
                content_type: TEXT,
                hint: "Load the environment variables first. The token is read from TOKEN, so it appears neither in \
                       the shell's history nor in the list of processes. The commands list the models and ask the chosen one, if \
                       you have chosen one.",
            },
            Self::Netrc => Facts {
                word: "netrc",
                label: ".netrc",
                file_name: "netrc",
                content_type: TEXT,
                hint: "Add these lines to ~/.netrc (on Windows %USERPROFILE%\\_netrc) and make it readable only by you with \
                       chmod 600 ~/.netrc. Then curl --netrc sends the token to this host, on any port.",
            },
            Self::Mcp => Facts {
                word: "mcp",
                label: "MCP",
                file_name: "mcp.json",
                content_type: JSON,
                hint: "For a client of the Model Context Protocol: add the entry to its mcpServers. Its tools list the \
                       project's models and ask one. Keep it secret: the token belongs into it.",
            },
            Self::Python => Facts {
                word: "python",
                label: "Python",
                file_name: "connect.py",
                content_type: "text/x-python; charset=utf-8",
                hint: "It needs the package openai (pip install openai). Load the environment variables first: the token \
                       is read from OPENAI_API_KEY.",
            },
        }
    }
}

impl Group {
    pub const ALL: [Self; 3] = [Self::VsCode, Self::JetBrains, Self::Other];

    pub fn label(self) -> &'static str {
        match self {
            Self::VsCode => "VS Code",
            Self::JetBrains => "JetBrains",
            Self::Other => "Shells and programs",
        }
    }

    /// Returns the tools of the group, the most common one first.
    pub fn tools(self) -> impl Iterator<Item = Tool> {
        Tool::ALL.into_iter().filter(move |tool| tool.group() == self)
    }
}

impl Generation {
    /// Returns the extension's name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Elitea => "ELITEA Code",
            Self::Alita => "Alita Code",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{connection, token};
    use super::super::{Connection, NamedModel, PLACEHOLDER};
    use super::*;

    #[test]
    fn words_in_urls_are_fixed() {
        let words = Tool::ALL.map(Tool::as_str);
        assert_eq!(
            words,
            ["vscode", "vscode-alita", "jetbrains", "jetbrains-alita", "env", "curl", "netrc", "mcp", "python"]
        );
        for tool in Tool::ALL {
            assert_eq!(Tool::parse(tool.as_str()), Some(tool));
        }
        for word in ["", "VSCODE", "vscode ", "emacs"] {
            assert_eq!(Tool::parse(word), None, "{word}");
        }
    }

    #[test]
    fn each_tool_is_in_one_group() {
        let grouped: Vec<_> = Group::ALL.into_iter().flat_map(Group::tools).collect();
        assert_eq!(grouped, Tool::ALL);
    }

    #[test]
    fn text_holds_the_token_or_the_placeholder_only_if_the_tool_does() {
        let token = token();
        let secret = token.expose_secret();
        for tool in Tool::ALL {
            let with = tool.text(&connection(Some(&token))).unwrap();
            let without = tool.text(&connection(None)).unwrap();
            assert_eq!(with.contains(secret), tool.holds_token(), "{tool:?}");
            assert_eq!(without.contains(PLACEHOLDER), tool.holds_token(), "{tool:?}");
            assert!(!with.contains(PLACEHOLDER), "{tool:?}");
            if !tool.holds_token() {
                let parts = secret.as_bytes().windows(4).map(|part| str::from_utf8(part).unwrap());
                assert_eq!(parts.filter(|part| with.contains(part)).count(), 0, "{tool:?}");
            }
        }
    }

    fn names_model(tool: Tool) -> bool {
        !matches!(tool, Tool::Environment | Tool::Netrc | Tool::Mcp)
    }

    #[test]
    fn text_names_the_model_if_the_tool_does() {
        let model = Some(NamedModel { project: 1, name: "unmistakable" });
        let named = Connection { model, ..connection(None) };
        for tool in Tool::ALL {
            assert_eq!(tool.text(&named).unwrap().contains("unmistakable"), names_model(tool), "{tool:?}");
        }
    }

    #[test]
    fn only_editors_need_a_model() {
        let token = token();
        let unnamed = Connection { model: None, ..connection(Some(&token)) };
        for tool in Tool::ALL {
            assert_eq!(tool.text(&unnamed).is_none(), tool.needs_model(), "{tool:?}");
            assert!(!tool.needs_model() || names_model(tool), "{tool:?}");
            // A tool whose text names no model has the same text without one.
            if !names_model(tool) {
                assert_eq!(tool.text(&unnamed), tool.text(&connection(Some(&token))), "{tool:?}");
            }
        }
    }

    #[test]
    fn each_hint_consists_of_whole_sentences() {
        for tool in Tool::ALL {
            let hint = tool.hint();
            assert!(hint.ends_with('.') && !hint.contains("  ") && !hint.contains('\n'), "{hint}");
        }
    }

    #[test]
    fn files_end_with_one_line_break_and_lines_end_without_spaces() {
        for tool in Tool::ALL {
            for connection in [connection(None), Connection { model: None, ..connection(None) }] {
                let Some(text) = tool.text(&connection) else { continue };
                assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{tool:?}");
                assert!(text.lines().all(|line| line == line.trim_end()), "{tool:?}");
                assert!(!text.contains(['\r', '\t']), "{tool:?}");
            }
        }
    }
}
