//! The metadata of the protected resources (RFC 9728), which clients of the Model Context Protocol look for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::app::App;
use crate::config::origin;
use crate::tokens::scopes;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// The end point that is a resource of its own, because clients compare the address they were given with the metadata's.
const MCP: &str = "/mcp";

/// Returns the address of the metadata of what is at this path.
pub fn metadata_address(origin: &str, path: &str) -> String {
    let of_resource = if path == MCP { MCP } else { "" };
    format!("{origin}{WELL_KNOWN}{of_resource}")
}

/// `GET /.well-known/oauth-protected-resource`: the whole service.
pub async fn of_service(State(app): State<Arc<App>>, headers: HeaderMap) -> Json<Value> {
    metadata(&app, &headers, "")
}

/// `GET /.well-known/oauth-protected-resource/mcp`: the end point of the Model Context Protocol.
pub async fn of_mcp(State(app): State<Arc<App>>, headers: HeaderMap) -> Json<Value> {
    metadata(&app, &headers, MCP)
}

/// No authorization server is named: people make tokens on the page.
fn metadata(app: &App, headers: &HeaderMap, resource: &str) -> Json<Value> {
    let origin = origin(app.config.public_url.as_deref(), app.behind_tls, headers);
    let scopes: Vec<&str> = scopes::ALL.iter().map(|known| known.scope).collect();
    Json(json!({
        "resource": format!("{origin}{resource}"),
        "resource_name": "personal-tokens",
        "bearer_methods_supported": ["header"],
        "scopes_supported": scopes,
    }))
}
