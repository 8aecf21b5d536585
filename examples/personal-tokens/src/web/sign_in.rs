//! The page on which people sign in, and the forms that sign them in and out.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use tower_sessions::Session;

use crate::app::App;
use crate::web::error::{PageError, render};
use crate::web::sessions::{self, SignedIn};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    name: &'a str,
    error: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInForm {
    name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOutForm {
    csrf: String,
}

pub async fn show() -> Result<Html<String>, PageError> {
    render(&SignInPage { name: "", error: None })
}

pub async fn sign_in(
    State(app): State<Arc<App>>,
    session: Session,
    Form(form): Form<SignInForm>,
) -> Result<Response, PageError> {
    let user = app.accounts.check(&form.name, form.password).await.map_err(PageError::failed)?;
    let error = match user {
        Some(user) if !user.suspended => {
            sessions::begin(&session, &user).await.map_err(PageError::failed)?;
            return Ok(Redirect::to("/settings/tokens").into_response());
        }
        // This text is shown only to a person who knows the password.
        Some(_) => "This account is suspended.",
        None => "The name or the password is wrong.",
    };
    let page = render(&SignInPage { name: &form.name, error: Some(error) })?;
    Ok((StatusCode::UNAUTHORIZED, page).into_response())
}

pub async fn sign_out(signed_in: SignedIn, Form(form): Form<SignOutForm>) -> Result<Redirect, PageError> {
    signed_in.check_form(&form.csrf)?;
    signed_in.end().await.map_err(PageError::failed)?;
    Ok(Redirect::to("/sign-in"))
}
