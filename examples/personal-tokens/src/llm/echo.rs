//! The built-in model: it repeats the last thing it was told, in the shapes of OpenAI's API. For trying the service out.

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

/// The answer; none where there is nothing to repeat.
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
