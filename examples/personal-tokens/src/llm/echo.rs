//! The built-in model with which people can try the service. It repeats the last message of the
//! user, in the formats of OpenAI's API.

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use keyfob::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub struct Question {
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Value,
}

/// Returns the response to a question. Returns `None` if the question contains no text of the user
/// that can be repeated.
pub fn answer(question: &Question, model: &str, now: Timestamp) -> Option<Response> {
    let asked = question.messages.iter().rev().find(|message| message.role == "user")?;
    let text = asked.content.as_str()?;
    let created = now.as_unix_millis() / 1000;
    let id = format!("chatcmpl-{created}");
    if question.stream {
        let delta = json!({ "role": "assistant", "content": text });
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": "stop" });
        let chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": [choice],
        });
        let events = format!("data: {chunk}\n\ndata: [DONE]\n\n");
        return Some(([(CONTENT_TYPE, "text/event-stream")], events).into_response());
    }
    let message = json!({ "role": "assistant", "content": text });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    let answer =
        json!({ "id": id, "object": "chat.completion", "created": created, "model": model, "choices": [choice] });
    Some(Json(answer).into_response())
}
