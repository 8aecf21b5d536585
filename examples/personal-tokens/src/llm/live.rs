//! Checks the token of a caller again while a long response is in progress. After the token has
//! ended, for instance because it was revoked, the response is interrupted within a few seconds.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use keyfob::access::ProjectRequirement;
use keyfob::http::{Authenticated, Refusal};
use tokio::time::{Instant, sleep};

/// The time between two checks of a token.
const PAUSE: Duration = Duration::from_secs(2);
/// The time for which a response continues if the token cannot be checked, because the store does
/// not respond.
const UNCHECKED: Duration = Duration::from_secs(30);

/// Runs `work` and returns its result. If the caller's token ends earlier, stops `work` and returns
/// the refusal that a new request with the token would get.
pub async fn unless_ended<P: ProjectRequirement, T>(
    caller: &Authenticated<P>,
    work: impl Future<Output = T>,
) -> Result<T, Refusal> {
    let mut ended = pin!(ended(caller.clone()));
    let mut work = pin!(work);
    tokio::select! {
        biased;
        refusal = &mut ended => Err(refusal),
        result = &mut work => Ok(result),
    }
}

/// Returns the response with a body that is interrupted after the caller's token has ended. The
/// client sees that the body is not complete.
pub fn while_live<P: ProjectRequirement + 'static>(caller: &Authenticated<P>, response: Response) -> Response {
    let caller = caller.clone();
    response.map(|body| {
        let ended = Box::pin(ended(caller));
        let pieces = stream::unfold(Some((body.into_data_stream(), ended)), async |state| {
            let (mut pieces, mut ended): (BodyDataStream, _) = state?;
            tokio::select! {
                biased;
                refusal = &mut ended => Some((Err(axum::Error::new(Ended(refusal.reason()))), None)),
                piece = pieces.next() => Some((piece?, Some((pieces, ended)))),
            }
        });
        Body::from_stream(pieces)
    })
}

/// Checks the caller's token every [`PAUSE`]. Returns the refusal after the token has ended, or if
/// the store has not responded for a long time.
async fn ended<P: ProjectRequirement>(mut caller: Authenticated<P>) -> Refusal {
    let mut checked = Instant::now();
    loop {
        sleep(PAUSE).await;
        match caller.recheck().await {
            Ok(again) => (caller, checked) = (again, Instant::now()),
            Err(refusal) if refusal.status() != StatusCode::SERVICE_UNAVAILABLE || checked.elapsed() > UNCHECKED => {
                return refusal;
            }
            Err(refusal) => {
                let cause = refusal.cause().map(|error| error as &dyn std::error::Error);
                tracing::warn!(cause, "a token cannot be checked again; its response continues for now");
            }
        }
    }
}

/// The error that interrupts a body after the token has ended.
#[derive(Debug)]
struct Ended(&'static str);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the caller's token was refused before the end of the response: {}", self.0)
    }
}

impl std::error::Error for Ended {}
