//! Serves two health checks. The program that starts the process uses the first one, which shows
//! that the process runs. The load balancer uses the second one, which shows whether the process
//! can serve requests.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use keyfob::{ProjectId, TokenId, TokenKey, TokenStore};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::db::{Db, query};
use crate::engine::Engine;
use crate::setup::SetupError;

/// The time within which both databases must respond.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time for which the result of a check is reused. So the databases are queried at most once in
/// this time, however often the health is requested.
const KEPT: Duration = Duration::from_secs(1);

pub struct Health {
    /// The database of the tokens without its cache, because a cache could return a token although
    /// the database is unreachable.
    engine: Engine,
    db: Db,
    /// A key that no token has. Looking it up costs the same as looking up an existing token.
    nobody: TokenKey,
    last: Mutex<Option<(Instant, bool)>>,
    phase: watch::Sender<Phase>,
}

/// What the process does from its start to its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    Serving,
    /// The process still serves requests, but a load balancer must send it no more of them.
    Draining,
    /// The process accepts no more requests.
    Stopping,
}

impl Health {
    pub fn new(engine: Engine, db: Db) -> Result<Self, SetupError> {
        let nobody = TokenKey { project: ProjectId::new("0")?, id: TokenId::new("1000000000000000")? };
        Ok(Self { engine, db, nobody, last: Mutex::default(), phase: watch::Sender::new(Phase::Serving) })
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Waits until the process has reached a phase.
    pub async fn reached(&self, phase: Phase) {
        // An error would mean that the sender is gone, but `self` holds it.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Returns whether the process serves requests without an end in sight.
    pub fn is_serving(&self) -> bool {
        *self.phase.borrow() == Phase::Serving
    }

    /// Returns whether both databases respond within [`PATIENCE`]. Each result is reused for
    /// [`KEPT`].
    pub async fn answers(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((asked, answered)) = *last
            && asked.elapsed() < KEPT
        {
            return answered;
        }
        let answered = timeout(PATIENCE, async {
            self.engine.find(&self.nobody).await?;
            query("SELECT 1 FROM users LIMIT 1").execute(&self.db).await?;
            Ok::<_, SetupError>(())
        });
        let answered = match answered.await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "not ready: a database failed");
                false
            }
            Err(_) => {
                tracing::warn!("not ready: a database did not answer within a second");
                false
            }
        };
        *last = Some((Instant::now(), answered));
        answered
    }
}

/// Answers `GET /health/live`. Any response shows that the process runs.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// Answers `GET /health/ready` with status 200 if requests may be sent to this process, and with
/// 503 otherwise. The log has the cause of a failure.
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let status = if !app.health.is_serving() {
        "stopping"
    } else if !app.health.answers().await {
        "unavailable"
    } else {
        return (StatusCode::OK, Json(json!({ "status": "ready" })));
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": status })))
}

/// Lets each response close its connection while the process drains. Then a load balancer cannot
/// send a request on a connection that the process is about to close.
pub async fn close_while_draining(State(app): State<Arc<App>>, mut response: Response) -> Response {
    if !app.health.is_serving() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
