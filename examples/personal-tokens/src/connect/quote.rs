//! Quotes text for JSON, Python, shells and XML, so that their parsers read the text unchanged.

use serde_json::Value;

/// Returns the text as a JSON string, including the quotes. Characters outside ASCII are not
/// escaped.
///
/// The result is also a valid string in Python. Each escape that `serde_json` writes has the same
/// meaning in Python. `serde_json` escapes every character that would end a line in Python.
pub(super) fn json(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns the text as one word of a POSIX shell, in single quotes. Between single quotes, only a
/// single quote is special.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns the text escaped for use between the double quotes of an attribute in XML 1.0.
///
/// Tabs and line ends become references, because a parser would read them as spaces (section
/// 3.3.3). Characters that XML cannot contain in any form (section 2.2) become U+FFFD, so that the
/// file stays well-formed. If a model's name had such a character, the name in the file would not
/// match the model. So the service refuses these characters in the names of models.
pub(super) fn attribute(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => quoted.push_str("&amp;"),
            '<' => quoted.push_str("&lt;"),
            '>' => quoted.push_str("&gt;"),
            '"' => quoted.push_str("&quot;"),
            '\'' => quoted.push_str("&apos;"),
            '\t' => quoted.push_str("&#9;"),
            '\n' => quoted.push_str("&#10;"),
            '\r' => quoted.push_str("&#13;"),
            '\0'..' ' | '\u{FFFE}' | '\u{FFFF}' => quoted.push('\u{FFFD}'),
            char => quoted.push(char),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_only_what_it_must() {
        assert_eq!(json("a\"b\\c\n\u{1}"), r#""a\"b\\c\n\u0001""#);
        assert_eq!(json("模型 Ж 🦀 \u{2028}"), "\"模型 Ж 🦀 \u{2028}\"");
    }

    #[test]
    fn a_shell_word_holds_its_own_quotes() {
        assert_eq!(shell(""), "''");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn attribute_is_well_formed_for_any_text() {
        assert_eq!(attribute("&<>\"'"), "&amp;&lt;&gt;&quot;&apos;");
        assert_eq!(attribute("\t\n\r "), "&#9;&#10;&#13; ");
        assert_eq!(attribute("\0\u{8}\u{B}\u{1F}\u{FFFE}\u{FFFF}"), "\u{FFFD}".repeat(6));
        assert_eq!(attribute("\u{7F}\u{85}\u{2028}\u{FFFD}"), "\u{7F}\u{85}\u{2028}\u{FFFD}");
    }
}
