//! The error pages, and the texts with which the pages show refusals.

use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::{Html, IntoResponse, Response};

use crate::people::accounts::Busy;
use crate::setup::SetupError;
use crate::tokens::expiry::{self, ExpiryError};
use crate::tokens::own::Refused;
use crate::web::time_words;

pub fn render(page: &impl Template) -> Result<Html<String>, PageError> {
    page.render().map(Html).map_err(|error| PageError::failed(error.into()))
}

/// An error that is shown as a page.
pub enum PageError {
    ForgedForm,
    NotFound,
    /// Too many requests already wait for their password to be checked.
    Busy,
    Refused(Refused),
}

impl PageError {
    pub fn failed(error: SetupError) -> Self {
        // This error is not logged, because a flood of requests would fill the log.
        if error.is::<Busy>() {
            return Self::Busy;
        }
        Self::Refused(Refused::failed(error))
    }
}

impl From<Refused> for PageError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: &'static str,
    text: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let is_busy = matches!(self, Self::Busy);
        let (status, title, text) = match self {
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Too many requests", sentence(&Busy.to_string())),
            Self::ForgedForm => (
                StatusCode::FORBIDDEN,
                "This form is out of date",
                "It does not belong to your current session, and nothing was changed. Reload the page and try again."
                    .into(),
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found", "This page does not exist.".into()),
            Self::Refused(Refused::Unknown) => {
                (StatusCode::NOT_FOUND, "Token not found", "It may have been revoked in the meantime.".into())
            }
            Self::Refused(refused @ Refused::ForbiddenProject) => {
                (StatusCode::FORBIDDEN, "No access", in_words(&refused))
            }
            Self::Refused(refused @ Refused::Failed) => {
                (StatusCode::SERVICE_UNAVAILABLE, "Something went wrong", in_words(&refused))
            }
            Self::Refused(refused) => (StatusCode::BAD_REQUEST, "That did not work", in_words(&refused)),
        };
        let mut response = match (ErrorPage { title, text }).render() {
            Ok(page) => (status, Html(page)).into_response(),
            Err(_) => status.into_response(),
        };
        if is_busy {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Returns the text with which the pages show a refusal.
pub fn in_words(refused: &Refused) -> String {
    match refused {
        Refused::Name(invalid) => match invalid.kind() {
            keyfob::error::InvalidKind::Empty => "Give the token a name.".into(),
            keyfob::error::InvalidKind::TooLong { max } => format!("The name may have at most {max} characters."),
            _ => "The name contains a character that is not allowed.".into(),
        },
        Refused::Search(invalid) => match invalid.kind() {
            keyfob::error::InvalidKind::TooLong { max } => format!("The search may have at most {max} characters."),
            _ => "The search contains a character that is not allowed.".into(),
        },
        Refused::Expiry(ExpiryError::Value) => "The expiration must be a whole number of at least 1.".into(),
        Refused::Grace(ExpiryError::Long { max: Duration::ZERO }) => "The policy allows no grace period.".into(),
        Refused::Grace(ExpiryError::Long { max }) => {
            // The result is, for example, "30 more days".
            format!("The old token may work for at most {}.", expiry::in_units(*max).replacen(' ', " more ", 1))
        }
        Refused::Grace(_) => "Choose a whole number of hours.".into(),
        Refused::PredecessorInGrace(until) => {
            let until = time_words::on_page(*until);
            format!("The token that this one replaced still works until {until}. End its grace period first.")
        }
        Refused::Scopes(_) => "Scopes are words separated by spaces, such as notes:read.".into(),
        Refused::Addresses(_) => "Enter addresses or networks, such as 203.0.113.7 or 10.0.0.0/8.".into(),
        Refused::Wider => "A token can only lose rights. Choose some of the rights that it has.".into(),
        Refused::Expiry(_) => "Choose a unit for the expiration.".into(),
        other => sentence(&other.to_string()),
    }
}

/// Returns the text as a sentence: the first letter becomes a capital letter, and a full stop is
/// added at the end.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}
