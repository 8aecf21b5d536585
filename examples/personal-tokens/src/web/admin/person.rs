//! The administrator's page of one person: their account, and all their tokens.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Html;

use crate::app::App;
use crate::people::projects::{Kind, Project};
use crate::tokens::counts;
use crate::tokens::own::Refused;
use crate::web::admin::allow;
use crate::web::admin::confirm::Confirm;
use crate::web::admin::people::{self, PATH, Person, owner_id};
use crate::web::admin::show::Show;
use crate::web::admin::token_list::{self, Asked, TokenList};
use crate::web::admin::view::View;
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::plural;
use crate::web::sessions::SignedIn;

/// The maximum number of projects that the page names.
const MOST: usize = 50;

#[derive(Template)]
#[template(path = "admin_person.html")]
struct PersonPage<'a> {
    frame: Frame<'a>,
    person: Person,
    /// The projects that the person can use, at most [`MOST`].
    projects: Vec<Project>,
    more_projects: usize,
    /// The list of people to which the forms lead back.
    view: View,
    list: TokenList,
    confirm: Option<Confirm>,
    said: Option<String>,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let path = format!("{PATH}/{id}");
    let person = Person::new(&app, people::find(&app, id).await?, signed_in.user.id).await?;
    let confirm = match &asked.revoke {
        Some(token) => Some(token_list::confirm(&app, token, &path).await?),
        None => None,
    };
    let owner = owner_id(id);
    let with_tokens = counts::projects(&app, &owner).await?;
    let list = TokenList::read(&app, &with_tokens, Some(owner), &asked, path).await?;
    // A removed person can use nothing, not even the public projects.
    let usable = match person.is_removed {
        true => Vec::new(),
        false => app.projects.of_user(id).await.map_err(Refused::failed)?,
    };
    let more_projects = usable.len().saturating_sub(MOST);
    let projects = usable.into_iter().take(MOST).collect();
    let said = asked.said.as_deref().and_then(token_list::said);
    let frame = Frame::new(&app, &signed_in, Here::People, None).await?;
    render(&PersonPage { frame, person, projects, more_projects, view: View::default(), list, confirm, said })
}
