//! What the API is, as an OpenAPI document.
//!
//! Written by hand, in files that other tools read as well. The tests keep it true: its paths are those of
//! [`crate::api::routes`], and every answer that any test gets from such a path is one that it describes.

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::app::App;

/// Its parts: each group of routes has one, which [`document`] lays over the others.
const PARTS: [&str; 8] = [
    include_str!("openapi/document.json"),
    include_str!("openapi/schemas.json"),
    include_str!("openapi/answers.json"),
    include_str!("openapi/tokens.json"),
    include_str!("openapi/callers.json"),
    include_str!("openapi/leaks.json"),
    include_str!("openapi/models.json"),
    include_str!("openapi/health.json"),
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut whole = Value::Null;
    for part in PARTS {
        lay_over(&mut whole, serde_json::from_str(part).expect("the parts are compiled in, and a test reads them"));
    }
    whole
});

/// `GET /api/v2/openapi.json`.
pub async fn show(State(app): State<Arc<App>>) -> Json<Value> {
    Json(document(&app))
}

/// The document, with the name that the session's cookie has here.
pub fn document(app: &App) -> Value {
    let mut document = DOCUMENT.clone();
    document["components"]["securitySchemes"]["session"]["name"] = app.session_cookie().into();
    document
}

/// Objects are joined; anything else takes the place of what was there.
fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                lay_over(below.entry(name).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}
