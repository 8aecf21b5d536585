//! The OpenAPI document of the API.
//!
//! The document is written by hand, in JSON files that other tools can read. Tests check that the
//! document has exactly the paths of [`crate::api::routes`], and that every response in the tests
//! matches the document.

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::app::App;

/// The JSON files of the document, one for each group of routes. [`DOCUMENT`] merges them.
const PARTS: [&str; 9] = [
    include_str!("openapi/document.json"),
    include_str!("openapi/schemas.json"),
    include_str!("openapi/answers.json"),
    include_str!("openapi/tokens.json"),
    include_str!("openapi/callers.json"),
    include_str!("openapi/leaks.json"),
    include_str!("openapi/models.json"),
    include_str!("openapi/extension.json"),
    include_str!("openapi/health.json"),
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut whole = Value::Null;
    for part in PARTS {
        lay_over(&mut whole, serde_json::from_str(part).expect("the parts are compiled in, and a test reads them"));
    }
    whole
});

/// Answers `GET /api/v2/openapi.json`.
pub async fn show(State(app): State<Arc<App>>) -> Json<Value> {
    Json(document(&app))
}

/// Returns the OpenAPI document, and enters the configured name of the session cookie in it.
pub fn document(app: &App) -> Value {
    let mut document = DOCUMENT.clone();
    document["components"]["securitySchemes"]["session"]["name"] = app.session_cookie().into();
    document
}

/// Merges `above` into `below`. Two objects are merged field by field. Any other value of `above`
/// replaces the value in `below`.
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
