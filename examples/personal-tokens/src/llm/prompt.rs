//! The question of the VS Code extension, and its conversion into a question in the format of
//! OpenAI's API.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use crate::llm::chat::{ChatError, MOST_BYTES, by_name};
use crate::llm::models::{Model, choose};
use crate::people::projects::Project;

/// The maximum number of bytes in the name of a variable.
const MOST_NAME: usize = 255;

/// The fields of the extension's question that this service reads. Others, such as `top_k` and
/// `stream`, have no counterpart or do not matter: the response is always one JSON body.
#[derive(Deserialize)]
pub struct Prompt {
    #[serde(default)]
    model_settings: ModelSettings,
    /// The instruction to the model. It may contain variables such as `{{language}}`.
    #[serde(default)]
    context: String,
    #[serde(default)]
    user_input: String,
    #[serde(default)]
    chat_history: Vec<Message>,
    #[serde(default)]
    variables: Vec<Variable>,
}

#[derive(Deserialize, Default)]
struct ModelSettings {
    #[serde(default)]
    model: ModelName,
    temperature: Option<Number>,
    max_tokens: Option<Number>,
    top_p: Option<Number>,
}

/// The name of a model in the extension's settings. Both fields are empty if the person chose none.
#[derive(Deserialize, Default)]
struct ModelName {
    #[serde(default)]
    model_name: String,
    #[serde(default)]
    integration_uid: String,
}

#[derive(Deserialize)]
struct Message {
    role: Role,
    content: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    User,
    Assistant,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    /// A text. Other values are used in their JSON form.
    #[serde(default)]
    value: Value,
}

impl Prompt {
    /// Parses the body of a question.
    ///
    /// # Errors
    /// Returns [`ChatError::Prompt`] if the body is not an object with these fields, or if it has
    /// neither a user input nor a chat history.
    pub fn parse(body: &[u8]) -> Result<Self, ChatError> {
        let prompt: Self = serde_json::from_slice(body).map_err(|_| ChatError::Prompt)?;
        // serde would also accept an array with the values of the fields.
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        let asks = !prompt.user_input.is_empty() || !prompt.chat_history.is_empty();
        if is_object && asks { Ok(prompt) } else { Err(ChatError::Prompt) }
    }

    /// Returns the model that the question names. If it names none, returns the model that the
    /// project suggests.
    ///
    /// # Errors
    /// Returns [`ChatError::NoModel`] if the project may not use the model. If the question has a
    /// name and an integration, both must belong to the same model, so that no other model answers.
    pub fn model<'m>(&self, models: &'m [Model], project: &Project) -> Result<&'m Model, ChatError> {
        let ModelName { model_name: name, integration_uid: integration } = &self.model_settings.model;
        let found = match (name.as_str(), integration.as_str()) {
            ("", "") => choose(models, project),
            (name, "") => by_name(models).find(|model| model.name == name),
            ("", integration) => models.iter().find(|model| model.integration_uid() == integration),
            (name, integration) => {
                models.iter().find(|model| model.name == name && model.integration_uid() == integration)
            }
        };
        found.ok_or(ChatError::NoModel)
    }

    /// Returns the question to this model in the format of OpenAI's API.
    ///
    /// # Errors
    /// Returns [`ChatError::Filled`] if the context is too large after its variables are filled in.
    pub fn question(&self, model: &Model) -> Result<Value, ChatError> {
        let message = |role: &str, content: &str| json!({ "role": role, "content": content });
        let mut messages = Vec::new();
        if !self.context.is_empty() {
            messages.push(message("system", &fill(&self.context, &self.variables)?));
        }
        messages.extend(self.chat_history.iter().map(|one| message(one.role.as_str(), &one.content)));
        if !self.user_input.is_empty() {
            messages.push(message("user", &self.user_input));
        }
        let mut question = Map::from_iter([("model".into(), json!(model.name)), ("messages".into(), json!(messages))]);
        let ModelSettings { temperature, max_tokens, top_p, .. } = &self.model_settings;
        for (name, value) in [("temperature", temperature), ("max_tokens", max_tokens), ("top_p", top_p)] {
            if let Some(value) = value {
                question.insert(name.into(), json!(value));
            }
        }
        Ok(question.into())
    }
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// Replaces each variable, such as `{{language}}`, by its value. A value is not searched for
/// variables. A name without a value stays as it is. If two variables have the same name, the last
/// one counts.
///
/// # Errors
/// Returns [`ChatError::Filled`] if the result is larger than a question may be. A short text with
/// many references to a long value would otherwise fill the memory.
fn fill(text: &str, variables: &[Variable]) -> Result<String, ChatError> {
    let values: HashMap<&str, String> = variables
        .iter()
        .map(|variable| {
            let value = variable.value.as_str().map_or_else(|| variable.value.to_string(), str::to_owned);
            (variable.name.trim(), value)
        })
        .collect();
    let mut filled = String::with_capacity(text.len());
    // `at` is the end of the copied text, and `close` the next closing braces after it. Both only
    // move forwards, so the scan is linear.
    let (mut at, mut close) = (0, text.find("}}"));
    while let Some(open) = text[at..].find("{{").map(|open| at + open) {
        let name = open + 2;
        if close.is_some_and(|close| close < name) {
            close = text[name..].find("}}").map(|close| name + close);
        }
        let Some(end) = close else { break };
        let value = (end - name <= MOST_NAME).then(|| values.get(text[name..end].trim())).flatten();
        filled.push_str(&text[at..open]);
        match value {
            Some(value) => {
                filled.push_str(value);
                at = end + 2;
            }
            None => {
                filled.push_str("{{");
                at = name;
            }
        }
        if filled.len() > MOST_BYTES {
            return Err(ChatError::Filled);
        }
    }
    filled.push_str(&text[at..]);
    if filled.len() > MOST_BYTES { Err(ChatError::Filled) } else { Ok(filled) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, values: &[(&str, Value)]) -> Option<String> {
        let variable = |(name, value): &(&str, Value)| Variable { name: (*name).into(), value: value.clone() };
        fill(text, &values.iter().map(variable).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn variables_are_replaced_once() {
        let values =
            [("a", json!("{{b}}")), ("b", json!("B")), ("n", json!(3)), (" c ", json!("C")), ("b", json!("b"))];
        for (text, expected) in [
            ("", ""),
            ("no variable", "no variable"),
            ("{{a}}{{b}} {{ b }}", "{{b}}b b"),
            ("{{n}} {{c}} {{none}} {{}}", "3 C {{none}} {{}}"),
            ("{{none {{b}}", "{{none b"),
            ("{{{b}}}", "{{{b}}}"),
            ("{{b", "{{b"),
            ("b}} {{", "b}} {{"),
            ("é{{b}}é{{", "ébé{{"),
        ] {
            assert_eq!(filled(text, &values).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn filled_text_is_bounded() {
        let value = |length: usize| [("a", json!("x".repeat(length)))];
        assert_eq!(filled("{{a}}", &value(MOST_BYTES)).map(|text| text.len()), Some(MOST_BYTES));
        assert_eq!(filled("{{a}}", &value(MOST_BYTES + 1)), None);
        assert_eq!(filled("{{a}}y", &value(MOST_BYTES)), None);
        assert_eq!(filled(&"{{a}}".repeat(100_000), &value(1024 * 1024)), None);
    }

    #[test]
    fn names_are_bounded_and_many_braces_are_scanned_in_linear_time() {
        let value = |length: usize| {
            [("a", json!("x")), (&"n".repeat(length), json!("y"))].map(|(name, value)| (name.to_owned(), value))
        };
        for (length, expected) in
            [(MOST_NAME, "y".to_owned()), (MOST_NAME + 1, format!("{{{{{}}}}}", "n".repeat(MOST_NAME + 1)))]
        {
            let values = value(length);
            let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            assert_eq!(filled(&format!("{{{{{}}}}}", "n".repeat(length)), &values), Some(expected));
        }
        // A scan that looks for the closing braces again at each step would take hours.
        let braces = format!("{}}}}}", "{{".repeat(MOST_BYTES / 2 - 1));
        assert_eq!(filled(&braces, &[]), Some(braces));
    }
}
