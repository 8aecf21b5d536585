//! The two addresses at which leaked tokens are reported.
//!
//! Anybody may report a token whose text they have: who has it could do worse with it than end it. The answer is the same
//! whatever was reported, so nobody learns which texts are tokens; GitHub's programme, which signs its reports, learns it.

use std::error::Error;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use keyfob::{Actor, Delivery, GitHubError, LeakReport, Refusal, ReportError};
use serde_json::json;

use crate::app::App;
use crate::leaks::github::GitHub;
use crate::leaks::told;
use crate::setup::SetupError;

/// The most bytes of a report by anybody, some 1,000 tokens.
pub const MOST_BYTES: usize = 256 * 1024;

/// `POST /api/v2/leaks`.
pub async fn by_anybody(State(app): State<Arc<App>>, body: Result<Bytes, BytesRejection>) -> Response {
    let reports = match body.map_err(|_| ReportError::TooLarge).and_then(|body| LeakReport::read_all(&body)) {
        Ok(reports) => reports,
        Err(error) => return refused(error),
    };
    let received = reports.len();
    match revoke(&app, reports).await {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({ "received": received }))).into_response(),
        Err(error) => unavailable(&*error),
    }
}

async fn revoke(app: &App, reports: Vec<LeakReport>) -> Result<(), SetupError> {
    let reporter = Actor::new("a leak report")?;
    for report in reports {
        let outcome = app.tokens.report_leak(&reporter, &report.token).await?;
        told::note(app, &reporter, &report, &outcome).await?;
    }
    Ok(())
}

/// `POST /api/v2/leaks/github`: the webhook of GitHub's secret scanning.
pub async fn by_github(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(github) = &app.github else {
        return Refusal::new(StatusCode::NOT_FOUND, "not_found", "this service is no partner of GitHub's")
            .into_response();
    };
    let Ok(body) = body else { return refused(ReportError::TooLarge) };
    match answer(&app, github, &headers, &body).await {
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Ok(Err(GitHubError::Report(error))) => refused(error),
        Ok(Err(error)) => unavailable(&error),
        Err(error) => unavailable(&*error),
    }
}

async fn answer(
    app: &App,
    github: &GitHub,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Result<String, GitHubError>, SetupError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let delivery = Delivery {
        key_id: header("github-public-key-identifier"),
        signature: header("github-public-key-signature"),
        body,
    };
    let reporter = Actor::new("GitHub secret scanning")?;
    let mut handled = app.tokens.handle_github(&github.webhook, &reporter, delivery).await;
    if matches!(handled, Err(GitHubError::Report(ReportError::UnknownKey))) && github.fetch_keys().await {
        handled = app.tokens.handle_github(&github.webhook, &reporter, delivery).await;
    }
    let handled = match handled {
        Ok(handled) => handled,
        Err(error) => return Ok(Err(error)),
    };
    for (report, outcome) in &handled.leaks {
        told::note(app, &reporter, report, outcome).await?;
    }
    Ok(Ok(github.webhook.answer(&handled)))
}

fn refused(error: ReportError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let reason = match error {
        ReportError::TooLarge => "too_large",
        ReportError::Replayed => "replayed",
        ReportError::Malformed => "malformed",
        _ => "not_signed",
    };
    Refusal::new(status, reason, error.to_string()).into_response()
}

fn unavailable(error: &(dyn Error + 'static)) -> Response {
    tracing::error!(error, "a leak report waits to be sent again");
    let detail = "the report could not be handled: send it again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).into_response()
}
