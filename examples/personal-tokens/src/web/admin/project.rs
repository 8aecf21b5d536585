//! The administrator's page of one project, with all its tokens.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Html;

use crate::app::App;
use crate::tokens::own::Refused;
use crate::web::admin::allow;
use crate::web::admin::confirm::Confirm;
use crate::web::admin::projects::{self, PATH, Project};
use crate::web::admin::show::Show;
use crate::web::admin::token_list::{self, Asked, TokenList};
use crate::web::admin::view::View;
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::plural::counted;
use crate::web::sessions::SignedIn;

#[derive(Template)]
#[template(path = "admin_project.html")]
struct ProjectPage<'a> {
    frame: Frame<'a>,
    project: Project,
    /// The number of members, in words.
    members: String,
    /// The number of models in the project, in words. It is `None` if there are none.
    models: Option<String>,
    /// The list of projects to which the forms lead back.
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
    let listed = projects::find(&app, id).await?;
    let confirm = match &asked.revoke {
        Some(token) => Some(token_list::confirm(&app, token, &path).await?),
        None => None,
    };
    let list = TokenList::read(&app, &[listed.project.project_id()], None, &asked, path).await?;
    let models = app.models.all(&app.projects).await.map_err(Refused::failed)?;
    let models = models.iter().filter(|model| model.project_id == id).count() as u64;
    let models = (models > 0).then(|| counted(models, "model"));
    let project = Project::new(&app, listed).await?;
    let members = counted(project.members.cast_unsigned(), "member");
    let said = asked.said.as_deref().and_then(|word| match word {
        "added" => Some("The project is added. Everybody can use it.".into()),
        _ => token_list::said(word),
    });
    let frame = Frame::new(&app, &signed_in, Here::Projects, None).await?;
    render(&ProjectPage { frame, project, members, models, view: View::default(), list, confirm, said })
}
