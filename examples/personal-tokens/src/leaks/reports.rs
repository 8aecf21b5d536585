//! The two addresses at which leaked tokens are reported.
//!
//! Anybody may report a token whose text they have: who has it could do worse with it than end it. The answer's status and body
//! are the same whatever was reported, so that they tell nobody which texts are tokens, though its time may; GitHub's programme,
//! which signs its reports, learns it.
//!
//! What a report sets going goes on when the one who sent it does not wait.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use keyfob::{Actor, Delivery, Handled, LeakOutcome, LeakReport, Refusal, ReportError, StoreError};
use serde_json::json;

use crate::app::App;
use crate::leaks::github::GitHub;
use crate::leaks::told;
use crate::setup::SetupError;

/// The most bytes of a report by anybody, enough for 1,000 tokens with where they were found.
pub const MOST_BYTES: usize = 256 * 1024;
/// The most tokens of such a report.
const MOST_TOKENS: usize = 1000;
/// Between one try and the next, where the store fails.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

type Leak = (LeakReport, Result<LeakOutcome, StoreError>);

/// `POST /api/v2/leaks`.
pub async fn by_anybody(State(app): State<Arc<App>>, body: Result<Bytes, BytesRejection>) -> Response {
    let reports =
        match body.map_err(|_| ReportError::TooLarge).and_then(|body| LeakReport::read_all(&body, &app.finder)) {
            Ok(reports) if reports.len() > MOST_TOKENS => return refused(ReportError::TooMany),
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
    let (mut leaks, mut seen) = (Vec::new(), HashSet::new());
    for report in reports {
        // Once is enough, however often a report says it. What has a token's id and is another text is not skipped.
        let key = report.token.key();
        if key.is_some_and(|key| seen.contains(&key)) {
            continue;
        }
        let outcome = app.tokens.report_leak(&reporter, &report.token).await;
        seen.extend(key.filter(|_| outcome.as_ref().is_ok_and(|leak| leak.token().is_some())));
        leaks.push((report, outcome));
    }
    finish(app, &reporter, &mut leaks).await?;
    for (_, outcome) in leaks {
        outcome?;
    }
    Ok(())
}

/// Tells the owners, and tries again what the store failed for: nobody may send the report a second time. What it still fails for
/// stays as it is.
async fn finish(app: &App, reporter: &Actor, leaks: &mut [Leak]) -> Result<(), SetupError> {
    let mut noted = note(app, reporter, leaks).await;
    for pause in PAUSES {
        if noted.is_ok() && leaks.iter().all(|(_, outcome)| outcome.is_ok()) {
            break;
        }
        tokio::time::sleep(pause).await;
        for (report, outcome) in leaks.iter_mut().filter(|(_, outcome)| outcome.is_err()) {
            *outcome = app.tokens.report_leak(reporter, &report.token).await;
        }
        noted = note(app, reporter, leaks).await;
    }
    noted
}

async fn note(app: &App, reporter: &Actor, leaks: &[Leak]) -> Result<(), SetupError> {
    let mut noted = Ok(());
    for (report, outcome) in leaks {
        if let Ok(outcome) = outcome {
            noted = noted.and(told::note(app, reporter, report, outcome).await);
        }
    }
    noted
}

/// `POST /api/v2/leaks/github`: the webhook of GitHub's secret scanning.
pub async fn by_github(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else { return refused(ReportError::TooLarge) };
    let Some(github) = &app.github else {
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "not_found", "this service is no partner of GitHub's");
        return refusal.into_response();
    };
    let (handling, by) = (Arc::clone(&app), Arc::clone(github));
    let handled = match tokio::spawn(async move { handle(&handling, &by, &headers, &body).await }).await {
        Ok(Ok(handled)) => handled,
        Ok(Err(response)) => return response,
        Err(error) => return unavailable(&error),
    };
    // Here and not in the task: this is not reached where nobody waits for the answer, and so the report may be sent again.
    match github.webhook.answer(&handled) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => unavailable(error),
    }
}

/// Revokes what is reported and tells the owners, or says what to answer.
async fn handle(app: &App, github: &GitHub, headers: &HeaderMap, body: &[u8]) -> Result<Handled, Response> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let delivery = Delivery {
        key_id: header("github-public-key-identifier"),
        signature: header("github-public-key-signature"),
        body,
    };
    let reporter = Actor::new("GitHub secret scanning").map_err(|error| unavailable(&error))?;
    let mut handled = app.tokens.handle_github(&github.webhook, &reporter, delivery).await;
    if handled.as_ref().err().is_some_and(|error| error.is_about_keys()) {
        let are_fresh = github.fetch_keys().await;
        handled = app.tokens.handle_github(&github.webhook, &reporter, delivery).await;
        if !are_fresh && handled.as_ref().err().is_some_and(|error| error.is_about_keys()) {
            // Anybody can name a key, as often as they like: nothing for the log.
            tracing::debug!("whether a report's key is GitHub's is not to be known now");
            return Err(not_now());
        }
    }
    let mut handled = handled.map_err(refused)?;
    finish(app, &reporter, &mut handled.leaks).await.map_err(|error| unavailable(&*error))?;
    Ok(handled)
}

fn refused(error: ReportError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let reason = match error {
        ReportError::TooLarge | ReportError::TooMany => "too_large",
        ReportError::Replayed => "replayed",
        ReportError::Malformed => "malformed",
        _ => "not_signed",
    };
    Refusal::new(status, reason, error.to_string()).into_response()
}

fn unavailable(error: &(dyn Error + 'static)) -> Response {
    tracing::error!(error, "a leak report waits to be sent again");
    not_now()
}

fn not_now() -> Response {
    let detail = "the report could not be handled: send it again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).into_response()
}
