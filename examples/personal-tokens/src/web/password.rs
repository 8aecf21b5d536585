//! The page on which people change their own password.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::client::Sender;
use crate::people::too_many::TooMany;
use crate::web::error::{PageError, render, sentence};
use crate::web::frame::{Frame, Here};
use crate::web::sessions::SignedIn;
use crate::web::sign_in;

/// The minimum number of characters in a new password. NIST SP 800-63B-4 (section 3.1.1.2) requires
/// 15 if the password is the only factor.
const SHORTEST: usize = 15;
/// The maximum number of characters in a password. The field of the sign-in form has the same
/// limit.
const LONGEST: usize = 1024;

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    frame: Frame<'a>,
    said: Option<&'static str>,
    errors: Errors,
}

/// The errors of the fields of the form, in words.
#[derive(Default)]
struct Errors {
    present: Option<String>,
    new: Option<String>,
    again: Option<String>,
}

#[derive(Deserialize)]
pub struct Asked {
    said: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordForm {
    csrf: String,
    present: String,
    new: String,
    again: String,
}

impl PasswordForm {
    /// Checks the fields of the form, and returns the error of each wrong field. Does not check
    /// whether the current password is right.
    fn errors(&self) -> Errors {
        let (new, again) = faults(&self.new, &self.again);
        let mut errors = Errors { present: None, new, again };
        if self.present.is_empty() {
            errors.present = Some("Enter your current password.".into());
        }
        if errors.new.is_none() && self.new == self.present {
            errors.new = Some("This is your current password. Choose another one.".into());
            errors.again = None;
        }
        errors
    }
}

/// Returns the errors of a new password and of its repetition, in words.
pub fn faults(new: &str, again: &str) -> (Option<String>, Option<String>) {
    let length = new.chars().count();
    let fault = match length {
        0 => Some("Enter a new password.".into()),
        _ if length < SHORTEST => Some(format!("Use at least {SHORTEST} characters. A few words will do.")),
        _ if length > LONGEST => Some(format!("Use at most {LONGEST} characters.")),
        _ => None,
    };
    let differ = fault.is_none() && again != new;
    (fault, differ.then(|| "The two new passwords are not the same.".into()))
}

impl Errors {
    /// Returns the name of the first field with an error. The page gives this field the focus.
    fn first(&self) -> Option<&'static str> {
        let fields = [("present", &self.present), ("new", &self.new), ("again", &self.again)];
        fields.into_iter().find_map(|(name, error)| error.is_some().then_some(name))
    }
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, PageError> {
    let said = (asked.said.as_deref() == Some("changed"))
        .then_some("Your password is changed. All your other sessions have ended.");
    let frame = Frame::new(&app, &signed_in, Here::Elsewhere, None).await?;
    render(&PasswordPage { frame, said, errors: Errors::default() })
}

pub async fn change(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Sender(client): Sender,
    Form(form): Form<PasswordForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let mut errors = form.errors();
    let mut slowed = None;
    if errors.first().is_none() {
        let (user, now) = (&signed_in.user, app.tokens.now());
        match app.accounts.change_password(user, form.present, form.new, client, now).await {
            Ok(Some(user)) => {
                signed_in.renew(&user).await.map_err(PageError::failed)?;
                return Ok(Redirect::to("/settings/password?said=changed").into_response());
            }
            Ok(None) => errors.present = Some("This is not your current password.".into()),
            Err(error) => {
                let too_many = error.downcast::<TooMany>().map_err(PageError::failed)?;
                errors.present = Some(sentence(&too_many.to_string()));
                slowed = Some(*too_many);
            }
        }
    }
    let frame = Frame::new(&app, &signed_in, Here::Elsewhere, None).await?;
    let page = render(&PasswordPage { frame, said: None, errors })?;
    Ok(match slowed {
        Some(too_many) => sign_in::too_many(too_many, page),
        None => (StatusCode::BAD_REQUEST, page).into_response(),
    })
}
