//! The page on which people sign in, and the forms that sign them in and out.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use tower_sessions::Session;

use crate::app::App;
use crate::client::Sender;
use crate::people::too_many::TooMany;
use crate::web::error::{PageError, render, sentence};
use crate::web::returns;
use crate::web::sessions::{self, SignedIn};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    name: &'a str,
    /// The address to which the person returns, if it is not the list of tokens.
    next: Option<&'a str>,
    error: Option<&'a str>,
}

#[derive(Deserialize)]
pub struct Asked {
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInForm {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOutForm {
    csrf: String,
}

pub async fn show(asked: Result<Query<Asked>, QueryRejection>) -> Result<Html<String>, PageError> {
    let next = asked.ok().and_then(|Query(asked)| asked.next);
    render(&SignInPage { name: "", next: next.as_deref().and_then(returns::own_address), error: None })
}

pub async fn sign_in(
    State(app): State<Arc<App>>,
    session: Session,
    Sender(client): Sender,
    Form(form): Form<SignInForm>,
) -> Result<Response, PageError> {
    let next = returns::own_address(&form.next);
    let page = |error: &str| render(&SignInPage { name: &form.name, next, error: Some(error) });
    let user = match app.accounts.check(&form.name, form.password, client, app.tokens.now()).await {
        Ok(user) => user,
        Err(error) => {
            let slowed = error.downcast::<TooMany>().map_err(PageError::failed)?;
            return Ok(too_many(*slowed, page(&sentence(&slowed.to_string()))?));
        }
    };
    let error = match user {
        Some(user) if !user.suspended => {
            sessions::begin(&session, &user).await.map_err(PageError::failed)?;
            return Ok(Redirect::to(next.unwrap_or(returns::HOME)).into_response());
        }
        // This text is shown only to a person who knows the password.
        Some(_) => "This account is suspended.",
        None => "The name or the password is wrong.",
    };
    Ok((StatusCode::UNAUTHORIZED, page(error)?).into_response())
}

/// Returns a page with the status 429 and the time to wait.
pub fn too_many(slowed: TooMany, page: Html<String>) -> Response {
    (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, slowed.seconds().to_string())], page).into_response()
}

pub async fn sign_out(signed_in: SignedIn, Form(form): Form<SignOutForm>) -> Result<Redirect, PageError> {
    signed_in.check_form(&form.csrf)?;
    signed_in.end().await.map_err(PageError::failed)?;
    Ok(Redirect::to("/sign-in"))
}
