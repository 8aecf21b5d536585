//! The administrator's page of all tokens, one project after the other.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;

use crate::app::App;
use crate::web::admin::allow;
use crate::web::admin::confirm::Confirm;
use crate::web::admin::show::Show;
use crate::web::admin::token_list::{self, Asked, TokenList};
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::sessions::SignedIn;

pub const PATH: &str = "/admin/tokens";

#[derive(Template)]
#[template(path = "admin_tokens.html")]
struct TokensPage<'a> {
    frame: Frame<'a>,
    list: TokenList,
    confirm: Option<Confirm>,
    said: Option<String>,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let confirm = match &asked.revoke {
        Some(token) => Some(token_list::confirm(&app, token, PATH).await?),
        None => None,
    };
    let list = TokenList::read_everywhere(&app, &asked, PATH.into()).await?;
    let said = asked.said.as_deref().and_then(token_list::said);
    let frame = Frame::new(&app, &signed_in, Here::AllTokens, None).await?;
    render(&TokensPage { frame, list, confirm, said })
}
