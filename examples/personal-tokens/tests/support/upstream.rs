//! A stand-in for the provider of a model. It listens on a loopback port and records the requests
//! that it receives.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request that the service sent to the provider.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A stand-in for the provider of a model.
pub struct Upstream {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    /// Starts a provider that calls this function to create the response to each request.
    pub async fn answering(answer: impl Fn(&Asked) -> Response + Clone + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let router = Router::new().fallback(async move |request: Request| {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let one = Asked { method: parts.method, uri: parts.uri, headers: parts.headers, body };
            noted.lock().unwrap().push(one.clone());
            answer(&one)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, asked }
    }

    /// Starts a provider whose models answer each question with "Rain".
    pub async fn start() -> Self {
        Self::answering(|asked| {
            let text = format!("Rain, says {}", asked.json()["model"].as_str().unwrap());
            axum::Json(json!({ "choices": [{ "message": { "role": "assistant", "content": text } }] })).into_response()
        })
        .await
    }

    /// Returns the requests that the provider has received since the last call of this function.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Returns a `config.json` with these models of this provider. Each model is given by its
    /// project and its name. The credential of a project is `credential-of-PROJECT`.
    pub fn config(&self, models: &[(i64, &str)]) -> Value {
        let credentials: serde_json::Map<String, Value> = models
            .iter()
            .map(|(project, _)| (project.to_string(), json!(format!("credential-of-{project}"))))
            .collect();
        let models: Vec<Value> = models
            .iter()
            .map(|(project, name)| json!({ "project_id": project, "name": name, "upstream": "main" }))
            .collect();
        let url = format!("http://{}/v1", self.address);
        json!({ "upstreams": { "main": { "url": url, "credentials": credentials } }, "models": models })
    }
}
