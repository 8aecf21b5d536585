//! Receives reports of leaked tokens, at two routes.
//!
//! Anybody who has the text of a token may report it, because with the text they could do worse
//! than revoke the token. The status and the body of the response are the same for every text, so
//! that they do not reveal which texts are tokens. The response time may differ. Only GitHub, which
//! signs its reports, learns which texts are tokens.
//!
//! A report is processed to the end even if its sender closes the connection.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use keyfob::{
    Actor, Error as TokenError, Invalid,
    error::InvalidKind,
    http::Refusal,
    leak::{
        LeakOutcome, LeakReport,
        github::{DeliveryRefusal, GitHubDelivery, ProcessedReport},
    },
};
use serde_json::json;

use crate::app::App;
use crate::bodies::{self, Bodies, Room};
use crate::client::Client as Reporter;
use crate::leaks::github::GitHub;
use crate::leaks::reporter::Rates;
use crate::leaks::{deliveries, told};
use crate::setup::SetupError;

/// The maximum number of bytes in an unsigned report. It is enough for 1,000 tokens with the
/// addresses at which they were found.
pub const MOST_BYTES: usize = 256 * 1024;
/// The maximum number of tokens in an unsigned report.
const MOST_TOKENS: usize = 1000;
/// The pauses before the retries of revocations and writes that failed.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

type Leak = (LeakReport, Result<LeakOutcome, TokenError>);

/// The limits on reports in memory. Unsigned reports, GitHub's reports, and reports that wait for
/// GitHub's keys have separate limits.
pub struct Doors {
    by_anybody: Arc<Bodies<Reporter>>,
    by_github: Arc<Bodies<Reporter>>,
    for_keys: Arc<Bodies<Reporter>>,
    rates: Rates,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            by_anybody: Bodies::new(16, 4),
            by_github: Bodies::new(4, 2),
            for_keys: Bodies::new(4, 2),
            rates: Rates::default(),
        }
    }
}

/// Answers `POST /api/v2/leaks`, which receives an unsigned report from anybody.
pub async fn by_anybody(State(app): State<Arc<App>>, request: Request) -> Response {
    let reporter = Reporter::of(request.headers(), request.extensions(), app.behind_tls);
    if request.body().size_hint().lower() > MOST_BYTES as u64 {
        return refused(Unfit::TooLarge);
    }
    if let Err(wait) = app.doors.rates.take(reporter, Instant::now()) {
        return too_many(wait);
    }
    let Some(room) = app.doors.by_anybody.take(reporter).await else { return busy() };
    let read = read(request).await.and_then(|body| {
        let reports = LeakReport::read_up_to(MOST_TOKENS, &body, &app.finder);
        reports.map_err(Unfit::from)
    });
    let reports = match read {
        Ok(reports) => reports,
        Err(error) => return refused(error),
    };
    let received = reports.len();
    let revoked = tokio::spawn(async move {
        let _room = room;
        revoke(&app, reports).await
    });
    match revoked.await {
        Ok(Ok(())) => (StatusCode::ACCEPTED, Json(json!({ "received": received }))).into_response(),
        Ok(Err(error)) => unavailable(&*error),
        Err(error) => unavailable(&error),
    }
}

async fn read(request: Request) -> Result<Bytes, Unfit> {
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Unfit::TooLarge,
        // The connection failed.
        _ => Unfit::Malformed,
    })
}

/// Revokes the reported tokens. If one token cannot be revoked, the function still revokes the
/// others.
///
/// # Errors
/// Returns the first error, but only after the function has tried to revoke all reported tokens.
async fn revoke(app: &App, reports: Vec<LeakReport>) -> Result<(), SetupError> {
    let reporter = Actor::new("a leak report")?;
    let (mut leaks, mut seen) = (Vec::new(), HashSet::new());
    for report in reports {
        // Skip an entry if an earlier entry of this report has revoked the token. An earlier entry
        // with the same token id but a wrong secret has not revoked it.
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

/// Stores the leaks, so that the owners of the tokens see them. After each of the [`PAUSES`],
/// retries the revocations and writes that failed, because the sender may be unable to send the
/// report again. If every retry of a revocation fails, its outcome in `leaks` remains an error.
async fn finish(app: &App, reporter: &Actor, leaks: &mut [Leak]) -> Result<(), SetupError> {
    let mut is_noted = vec![false; leaks.len()];
    let mut noted = note(app, reporter, leaks, &mut is_noted).await;
    for pause in PAUSES {
        if noted.is_ok() && leaks.iter().all(|(_, outcome)| outcome.is_ok()) {
            break;
        }
        tokio::time::sleep(pause).await;
        for (report, outcome) in leaks.iter_mut().filter(|(_, outcome)| outcome.is_err()) {
            *outcome = app.tokens.report_leak(reporter, &report.token).await;
        }
        noted = note(app, reporter, leaks, &mut is_noted).await;
    }
    noted
}

/// Stores each leak whose token was revoked, so that the owner of the token sees the leak. Skips
/// the leaks that are marked in `is_noted`, and marks those that it stores. If a leak were stored
/// twice, its bound tokens would be counted twice.
///
/// # Errors
/// Returns the first error, but only after the function has tried to store all leaks.
async fn note(app: &App, reporter: &Actor, leaks: &[Leak], is_noted: &mut [bool]) -> Result<(), SetupError> {
    let mut noted = Ok(());
    for ((report, outcome), is_noted) in leaks.iter().zip(is_noted).filter(|(_, is_noted)| !**is_noted) {
        if let Ok(outcome) = outcome {
            let done = told::note(app, reporter, report, outcome).await;
            *is_noted = done.is_ok();
            noted = noted.and(done);
        }
    }
    noted
}

/// Answers `POST /api/v2/leaks/github`, the webhook of GitHub's secret scanning. The headers are
/// checked before the body is read. Few bodies are read at the same time, because each may have 4
/// MiB, and only the complete body shows whether GitHub has signed it.
pub async fn by_github(State(app): State<Arc<App>>, request: Request) -> Response {
    let Some(github) = &app.github else {
        let refusal = Refusal::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "this service is not a partner of GitHub's secret scanning",
        );
        return refusal.into_response();
    };
    let reporter = Reporter::of(request.headers(), request.extensions(), app.behind_tls);
    let Some(signed) = Signed::of(request.headers()) else { return refused(Unfit::NotSigned) };
    if request.body().size_hint().lower() > LeakReport::MAX_BYTES as u64 {
        return refused(Unfit::TooLarge);
    }
    if let Err(wait) = app.doors.rates.may_be_github(reporter, Instant::now()) {
        return too_many(wait);
    }
    let Some(room) = app.doors.by_github.take(reporter).await else { return busy() };
    let body = match read(request).await {
        Ok(body) => body,
        Err(error) => return refused(error),
    };
    let key_id = signed.key_id.clone();
    let (handling, by) = (Arc::clone(&app), Arc::clone(github));
    let handled = tokio::spawn(async move {
        let delivery = GitHubDelivery { key_id: &signed.key_id, signature: &signed.signature, body: &body };
        let handled = handle(&handling, &by, delivery, reporter, room).await;
        if let Err(NotHandled::Refused(Unfit::NotSigned)) = &handled {
            handling.doors.rates.is_not_github(reporter, Instant::now());
        }
        handled.map(|handled| (handled, delivery.digest()))
    });
    let (handled, digest) = match handled.await {
        Ok(Ok(handled)) => handled,
        Ok(Err(NotHandled::Refused(error))) => return refused(error),
        Ok(Err(NotHandled::Busy)) => return busy(),
        Ok(Err(NotHandled::TooMany(wait))) => return too_many(wait),
        Ok(Err(NotHandled::Later)) => return not_now(),
        Err(error) => return unavailable(&error),
    };
    // This is outside the task: if the connection is lost, this line is not reached, and GitHub may
    // send the report again.
    let answer = match github.webhook.answer(&handled) {
        Ok(answer) => answer,
        Err(error) => return unavailable(error),
    };
    if let Err(error) = deliveries::note(&app.db, &digest, &key_id, app.tokens.now()).await {
        // GitHub gets its response anyway: a replay changes nothing, and GitHub may not send the
        // report again.
        tracing::error!(error = &error as &dyn Error, "cannot store that a report of GitHub's was answered");
    }
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

/// The values of the two headers with which GitHub signs a report.
struct Signed {
    key_id: String,
    signature: String,
}

impl Signed {
    /// The maximum number of characters in each of the two headers. A longer value cannot come from
    /// GitHub, because its key ids and signatures are shorter.
    const MOST: usize = 256;

    /// Reads the headers. Returns `None` if a header is missing, occurs twice, or has a value that
    /// GitHub cannot have sent.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let only = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
            (1..=Self::MOST).contains(&value.len()).then(|| value.to_owned())
        };
        let (key_id, signature) = (only("github-public-key-identifier")?, only("github-public-key-signature")?);
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        signature.bytes().all(is_base64).then_some(Self { key_id, signature })
    }
}

/// The reason why a report was not handled.
enum NotHandled {
    Refused(Unfit),
    /// Too many reports wait for keys.
    Busy,
    /// The sender has named too many unknown keys. The field is the time to wait.
    TooMany(Duration),
    /// The report must be sent again. The log says why.
    Later,
}

impl NotHandled {
    fn failed(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "cannot handle a leak report; its sender has to send it again");
        Self::Later
    }
}

/// Revokes the tokens of a signed report and stores the leaks, so that the owners see them.
async fn handle(
    app: &App,
    github: &GitHub,
    delivery: GitHubDelivery<'_>,
    sender: Option<Reporter>,
    room: Room<Reporter>,
) -> Result<ProcessedReport, NotHandled> {
    // A stranger does not learn from this whether the report was answered before, because the
    // signature is checked before a replay is refused.
    let digest = delivery.digest();
    match deliveries::is_answered(&app.db, &digest).await {
        Ok(true) => github.webhook.remember(digest),
        Ok(false) => {}
        Err(error) => return Err(NotHandled::failed(&error)),
    }
    let reporter = Actor::new("GitHub secret scanning").map_err(|error| NotHandled::failed(&error))?;
    let (mut room_now, mut why) = (room, None);
    let (kept, refused) = (&mut room_now, &mut why);
    let newer_keys = || async move {
        let Doors { for_keys, rates, .. } = &app.doors;
        if let Err(wait) = rates.may_wait_for_keys(sender, Instant::now()) {
            *refused = Some(NotHandled::TooMany(wait));
            return None;
        }
        // The fetch of keys may take long, and anybody can cause it. Meanwhile, reports with known
        // keys need the room that this report gives back.
        let Some(room) = for_keys.take_now(sender.as_ref()) else {
            *refused = Some(NotHandled::Busy);
            return None;
        };
        *kept = room;
        let keys = github.fetch_keys().await;
        if keys.is_none() {
            // This is only a debug line, because anybody could fill the log by naming unknown keys.
            tracing::debug!("cannot check now whether the key of a report is GitHub's");
            rates.waited_for_no_key(sender, Instant::now());
            *refused = Some(NotHandled::Later);
        }
        keys
    };
    let handled = github.webhook.handle(&app.tokens, &reporter, delivery, newer_keys).await;
    let mut handled = handled.map_err(|refusal| why.unwrap_or(NotHandled::Refused(refusal.into())))?;
    finish(app, &reporter, &mut handled.leaks).await.map_err(|error| NotHandled::failed(&*error))?;
    drop(room_now);
    Ok(handled)
}

/// The reason why a report is refused.
#[derive(Clone, Copy)]
enum Unfit {
    TooLarge,
    Malformed,
    NotSigned,
    Replayed,
}

impl From<Invalid> for Unfit {
    fn from(invalid: Invalid) -> Self {
        match invalid.kind() {
            InvalidKind::TooLong { .. } | InvalidKind::TooMany { .. } => Self::TooLarge,
            _ => Self::Malformed,
        }
    }
}

impl From<DeliveryRefusal> for Unfit {
    fn from(refusal: DeliveryRefusal) -> Self {
        match refusal {
            DeliveryRefusal::Invalid(invalid) => invalid.into(),
            DeliveryRefusal::Replayed => Self::Replayed,
            _ => Self::NotSigned,
        }
    }
}

fn refused(unfit: Unfit) -> Response {
    let (status, reason, detail) = match unfit {
        Unfit::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the report is too large"),
        Unfit::Malformed => (StatusCode::BAD_REQUEST, "malformed", "the report is not a JSON array of tokens"),
        Unfit::NotSigned => (StatusCode::FORBIDDEN, "not_signed", "the report is not signed by a key that GitHub uses"),
        Unfit::Replayed => (StatusCode::CONFLICT, "replayed", "the report was handled before"),
    };
    Refusal::new(status, reason, detail).into_response()
}

fn unavailable(error: &(dyn Error + 'static)) -> Response {
    tracing::error!(error, "cannot handle a leak report; its sender has to send it again");
    not_now()
}

fn not_now() -> Response {
    let detail = "the report could not be handled; send it again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).into_response()
}

/// Returns the response to a report that is refused because too many reports are being read.
fn busy() -> Response {
    let detail = "too many reports are being read; send it again";
    after(bodies::PATIENCE, Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail))
}

fn too_many(wait: Duration) -> Response {
    after(
        wait,
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "too many reports were sent; send it again later"),
    )
}

/// Returns the response for a refusal, with the header `Retry-After`.
fn after(wait: Duration, refusal: Refusal) -> Response {
    let mut response = refusal.into_response();
    // The time is rounded up, so that the next try is not too early.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
