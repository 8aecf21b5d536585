//! Text that stands in a file of another language and comes out of it as it was.

use serde_json::Value;

/// A JSON string, its quotes with it. Of what is not ASCII nothing is escaped.
///
/// It is a string of Python too: each escape that `serde_json` writes means the same there, and none of the characters
/// it leaves alone ends a line of Python.
pub(super) fn json(text: &str) -> String {
    Value::from(text).to_string()
}

/// One word of a POSIX shell, its quotes with it. Between single quotes nothing has a meaning but the next one.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What stands between the double quotes of an attribute of XML 1.0.
///
/// Tab and line ends become references, for a parser reads the bare ones as blanks (section 3.3.3). The characters that
/// XML cannot hold in any spelling (section 2.2) become U+FFFD: the file stays well-formed, and the name no longer fits
/// the model's. Whoever lets models be named should refuse such names.
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
    fn json_escapes_what_it_must_and_no_more() {
        assert_eq!(json("a\"b\\c\n\u{1}"), r#""a\"b\\c\n\u0001""#);
        assert_eq!(json("模型 Ж 🦀 \u{2028}"), "\"模型 Ж 🦀 \u{2028}\"");
    }

    #[test]
    fn a_shell_word_holds_its_own_quotes() {
        assert_eq!(shell(""), "''");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn an_attribute_is_well_formed_whatever_it_is_given() {
        assert_eq!(attribute("&<>\"'"), "&amp;&lt;&gt;&quot;&apos;");
        assert_eq!(attribute("\t\n\r "), "&#9;&#10;&#13; ");
        assert_eq!(attribute("\0\u{8}\u{B}\u{1F}\u{FFFE}\u{FFFF}"), "\u{FFFD}".repeat(6));
        assert_eq!(attribute("\u{7F}\u{85}\u{2028}\u{FFFD}"), "\u{7F}\u{85}\u{2028}\u{FFFD}");
    }
}
