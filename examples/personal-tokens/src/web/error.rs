//! A page instead of the one that was asked for, and refusals in the words of the pages.

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

/// A page instead of the one that was asked for.
pub enum PageError {
    ForgedForm,
    NotFound,
    /// Too many requests wait for the same.
    Busy,
    Refused(Refused),
}

impl PageError {
    pub fn failed(error: SetupError) -> Self {
        // Not logged, because a flood would fill the log.
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
                "It did not come from a page of your present session. Nothing was changed.".into(),
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found", "There is no such page.".into()),
            Self::Refused(Refused::Unknown) => {
                (StatusCode::NOT_FOUND, "No such token", "It may have been deleted meanwhile.".into())
            }
            Self::Refused(refused @ Refused::ForbiddenProject) => {
                (StatusCode::FORBIDDEN, "Not yours", in_words(&refused))
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

/// A refusal in the words of the form.
pub fn in_words(refused: &Refused) -> String {
    match refused {
        Refused::Name(invalid) => match invalid.kind() {
            keyfob::error::InvalidKind::Empty => "Give the token a name.".into(),
            keyfob::error::InvalidKind::TooLong { max } => format!("The name may have at most {max} characters."),
            _ => "The name holds a character that is not allowed.".into(),
        },
        Refused::Search(invalid) => match invalid.kind() {
            keyfob::error::InvalidKind::TooLong { max } => format!("The search may have at most {max} characters."),
            _ => "The search holds a character that is not allowed.".into(),
        },
        Refused::Expiry(ExpiryError::Value) => "The expiration must be a whole number of at least 1.".into(),
        Refused::Grace(ExpiryError::Long { max: Duration::ZERO }) => "The old token may not work any longer.".into(),
        Refused::Grace(ExpiryError::Long { max }) => {
            // "30 more days"
            format!("The old token may work for at most {}.", expiry::in_units(*max).replacen(' ', " more ", 1))
        }
        Refused::Grace(_) => "Choose a whole number of hours.".into(),
        Refused::PredecessorInGrace(until) => {
            let until = time_words::on_page(*until);
            format!("The token that this one replaced still works until {until}. End its grace period first.")
        }
        Refused::Scopes(_) => "Scopes are words separated by spaces, such as notes:read.".into(),
        Refused::Expiry(_) => "Choose a unit for the expiration.".into(),
        other => sentence(&other.to_string()),
    }
}

/// With a capital and a full stop.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}
