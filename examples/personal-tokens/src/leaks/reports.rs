//! The two addresses at which leaked tokens are reported.
//!
//! Anybody may report a token whose text they have: who has it could do worse with it than end it. The answer is the same
//! whatever was reported, so nobody learns which texts are tokens; GitHub's programme, which signs its reports, learns it.
//!
//! What a report sets going goes on when the one who sent it does not wait.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use keyfob::{Actor, Delivery, LeakReport, Refusal, ReportError};
use serde_json::json;

use crate::app::App;
use crate::leaks::told;
use crate::setup::SetupError;

/// The most bytes of a report by anybody, enough for 1,000 tokens with where they were found.
pub const MOST_BYTES: usize = 256 * 1024;
/// The most tokens of such a report.
const MOST_TOKENS: usize = 1000;

/// `POST /api/v2/leaks`.
pub async fn by_anybody(State(app): State<Arc<App>>, body: Result<Bytes, BytesRejection>) -> Response {
    let reports = match body.map_err(|_| ReportError::TooLarge).and_then(|body| LeakReport::read_all(&body)) {
        Ok(reports) if reports.len() > MOST_TOKENS => return refused(ReportError::TooLarge),
        Ok(reports) => reports,
        Err(error) => return refused(error),
    };
    let received = reports.len();
    match tokio::spawn(async move { revoke(&app, reports).await }).await {
        Ok(Ok(())) => (StatusCode::ACCEPTED, Json(json!({ "received": received }))).into_response(),
        Ok(Err(error)) => unavailable(&*error),
        Err(error) => unavailable(&error),
    }
}

/// All are tried, also behind one that fails.
async fn revoke(app: &App, reports: Vec<LeakReport>) -> Result<(), SetupError> {
    let reporter = Actor::new("a leak report")?;
    let (mut outcome, mut seen) = (Ok(()), HashSet::new());
    for report in reports {
        // Once is enough, however often a report says it. What has a token's id and is another text is not skipped.
        let key = report.token.key();
        if key.is_some_and(|key| seen.contains(&key)) {
            continue;
        }
        match app.tokens.report_leak(&reporter, &report.token).await {
            Ok(leak) => {
                outcome = outcome.and(told::note(app, &reporter, &report, &leak).await);
                seen.extend(key.filter(|_| leak.token().is_some()));
            }
            Err(error) => outcome = Err(error.into()),
        }
    }
    outcome
}

/// `POST /api/v2/leaks/github`: the webhook of GitHub's secret scanning.
pub async fn by_github(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else { return refused(ReportError::TooLarge) };
    match tokio::spawn(async move { answer(&app, &headers, &body).await }).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => unavailable(&*error),
        Err(error) => unavailable(&error),
    }
}

async fn answer(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Response, SetupError> {
    let Some(github) = &app.github else {
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "not_found", "this service is no partner of GitHub's");
        return Ok(refusal.into_response());
    };
    let webhook = &github.webhook;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let delivery = Delivery {
        key_id: header("github-public-key-identifier"),
        signature: header("github-public-key-signature"),
        body,
    };
    let reporter = Actor::new("GitHub secret scanning")?;
    let mut handled = app.tokens.handle_github(webhook, &reporter, delivery).await;
    if handled.as_ref().err().is_some_and(|error| error.is_about_keys()) {
        let are_fresh = github.fetch_keys().await;
        handled = app.tokens.handle_github(webhook, &reporter, delivery).await;
        if !are_fresh && handled.as_ref().err().is_some_and(|error| error.is_about_keys()) {
            return Err("whether the key is GitHub's is not to be known now".into());
        }
    }
    let handled = match handled {
        Ok(handled) => handled,
        Err(error) => return Ok(refused(error)),
    };
    let mut noted = Ok(());
    for (report, outcome) in &handled.leaks {
        if let Ok(outcome) = outcome {
            noted = noted.and(told::note(app, &reporter, report, outcome).await);
        }
    }
    noted?;
    match webhook.answer(&handled) {
        Ok(body) => Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response()),
        Err(error) => Ok(unavailable(error)),
    }
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
