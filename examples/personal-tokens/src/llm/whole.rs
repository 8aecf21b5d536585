//! Reads the whole response of a model, for clients that want its text in one piece.

use std::error::Error;

use axum::body::to_bytes;
use axum::response::Response;
use serde_json::Value;

use crate::llm::chat::ChatError;
use crate::llm::upstream::AskError;

/// The maximum number of bytes in the response of a model.
const MOST_ANSWER: usize = 1024 * 1024;

/// The whole response of a model.
pub enum Whole {
    /// The text with which the model answers.
    Text(String),
    /// The response with which the upstream refuses the question. The caller may see it.
    Refused(Response),
}

/// Reads the response to a question that did not ask for a stream.
///
/// # Errors
/// Returns [`AskError::Failed`] if the response is interrupted, is larger than 1 MiB, or contains
/// no text of the model.
pub async fn read(answer: Response) -> Result<Whole, ChatError> {
    if !answer.status().is_success() {
        return Ok(Whole::Refused(answer));
    }
    let failed = |error: &(dyn Error + 'static)| {
        tracing::warn!(error, "the upstream's answer cannot be read");
        ChatError::Ask(AskError::Failed)
    };
    let body = to_bytes(answer.into_body(), MOST_ANSWER).await.map_err(|error| failed(&error))?;
    let body: Value = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    match body["choices"][0]["message"]["content"].as_str() {
        Some(text) => Ok(Whole::Text(text.into())),
        None => {
            tracing::warn!("the upstream's answer contains no text");
            Err(ChatError::Ask(AskError::Failed))
        }
    }
}
