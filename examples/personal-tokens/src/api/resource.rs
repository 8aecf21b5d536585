//! The metadata of the protected resources (RFC 9728). Clients of the Model Context Protocol read
//! this metadata.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::app::App;
use crate::config::origin;
use crate::tokens::scopes;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// The path of the endpoint of the Model Context Protocol. The endpoint has its own metadata,
/// because a client compares the address of the endpoint with the address in the metadata.
const MCP: &str = "/mcp";

/// Returns the address of the metadata for the resource at a path.
pub fn metadata_address(origin: &str, path: &str) -> String {
    let of_resource = if path == MCP { MCP } else { "" };
    format!("{origin}{WELL_KNOWN}{of_resource}")
}

/// Answers `GET /.well-known/oauth-protected-resource`: the metadata of the whole service.
pub async fn of_service(State(app): State<Arc<App>>, headers: HeaderMap) -> Json<Value> {
    metadata(&app, &headers, "")
}

/// Answers `GET /.well-known/oauth-protected-resource/mcp`: the metadata of the endpoint of the
/// Model Context Protocol.
pub async fn of_mcp(State(app): State<Arc<App>>, headers: HeaderMap) -> Json<Value> {
    metadata(&app, &headers, MCP)
}

/// Returns the metadata of a resource. The metadata names no authorization server, because people
/// create tokens on the page.
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
