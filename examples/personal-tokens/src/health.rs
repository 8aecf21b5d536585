//! Whether the process runs, and whether it can serve: for whatever starts it, and for whatever sends it requests.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use keyfob::{ProjectId, TokenId, TokenKey, TokenStore};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::engine::Engine;
use crate::setup::SetupError;

/// How long the databases may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer is given again: however often anybody asks, the databases are asked once in this time.
const KEPT: Duration = Duration::from_secs(1);

pub struct Health {
    /// Not through the cache, which would answer for an engine that is gone.
    engine: Engine,
    pool: SqlitePool,
    /// Of no token: looking for it costs what looking for any does.
    nobody: TokenKey,
    last: Mutex<Option<(Instant, bool)>>,
    stopping: watch::Sender<bool>,
}

impl Health {
    pub fn new(engine: Engine, pool: SqlitePool) -> Result<Self, SetupError> {
        let nobody = TokenKey { project: ProjectId::new("0")?, id: TokenId::new("1000000000000000")? };
        Ok(Self { engine, pool, nobody, last: Mutex::default(), stopping: watch::Sender::new(false) })
    }

    /// From now on the process is not ready: it is about to end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until the process is about to end.
    pub async fn stopped(&self) {
        // An error would mean that the sender is gone, which is in here.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Whether both databases answer.
    async fn answers(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((asked, answered)) = *last
            && asked.elapsed() < KEPT
        {
            return answered;
        }
        let answered = timeout(PATIENCE, async {
            self.engine.find(&self.nobody).await?;
            sqlx::query("SELECT 1 FROM users LIMIT 1").execute(&self.pool).await?;
            Ok::<_, SetupError>(())
        });
        let answered = match answered.await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "not ready");
                false
            }
            Err(_) => {
                tracing::warn!("not ready: a database does not answer in time");
                false
            }
        };
        *last = Some((Instant::now(), answered));
        answered
    }
}

/// `GET /health/live`: whoever can be asked runs.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// `GET /health/ready`: whether requests may be sent here. Why not is for the log only.
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let status = if *app.health.stopping.borrow() {
        "stopping"
    } else if !app.health.answers().await {
        "unavailable"
    } else {
        return (StatusCode::OK, Json(json!({ "status": "ready" })));
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": status })))
}
