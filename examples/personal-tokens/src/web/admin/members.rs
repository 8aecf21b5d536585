//! The administrator's page with the members of a shared project.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::people::directory::{self, Listed};
use crate::people::project_changes;
use crate::people::projects::Kind;
use crate::tokens::counts;
use crate::tokens::own::Refused;
use crate::web::admin::confirm::Confirm;
use crate::web::admin::people::owner_id;
use crate::web::admin::projects;
use crate::web::admin::view::{Pager, View};
use crate::web::admin::{allow, allow_form, in_words};
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::plural::counted;
use crate::web::sessions::SignedIn;

#[derive(Template)]
#[template(path = "admin_members.html")]
struct MembersPage<'a> {
    frame: Frame<'a>,
    id: i64,
    name: &'a str,
    path: &'a str,
    view: &'a View,
    pager: Pager,
    members: Vec<Member>,
    draft: Draft,
    confirm: Option<Confirm>,
    said: Option<&'static str>,
}

struct Member {
    id: i64,
    name: String,
    is_suspended: bool,
    /// The number of the person's live tokens in the project.
    live: u64,
}

/// The form that adds a member, with the name that the administrator has entered so far.
#[derive(Default)]
struct Draft {
    name: String,
    error: Option<String>,
}

#[derive(Deserialize)]
pub struct Asked {
    remove: Option<i64>,
    said: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddForm {
    csrf: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveForm {
    csrf: String,
    #[serde(default)]
    view: String,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    view: Result<Query<View>, QueryRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let Query(view) = view.map_err(|_| PageError::NotFound)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let listed = shared(&app, id).await?;
    let confirm = match asked.remove {
        Some(person) => Some(confirm(&app, &listed, person, &view).await?),
        None => None,
    };
    let said = match asked.said.as_deref() {
        Some("added") => Some("The project is added. Add the people who work in it."),
        Some("joined") => Some("The person is a member now and can create tokens for this project."),
        Some("left") => Some("The person is not a member any more. Their tokens for this project do not work."),
        _ => None,
    };
    draw(&app, &signed_in, &listed, &view, Draft::default(), confirm, said).await
}

/// Returns a shared project that is not removed. Other projects have no members to choose.
async fn shared(app: &App, id: i64) -> Result<Listed, PageError> {
    let listed = projects::find(app, id).await?;
    if listed.removed || listed.project.kind != Kind::Shared { Err(PageError::NotFound) } else { Ok(listed) }
}

fn path(project: i64) -> String {
    format!("{}/{project}/members", projects::PATH)
}

async fn draw(
    app: &App,
    signed_in: &SignedIn,
    listed: &Listed,
    view: &View,
    draft: Draft,
    confirm: Option<Confirm>,
    said: Option<&'static str>,
) -> Result<Html<String>, PageError> {
    let project = &listed.project;
    let page = directory::members(&app.db, project.id, &view.q, view.number()).await.map_err(Refused::failed)?;
    let path = path(project.id);
    let pager = Pager::new(&page, view, &path);
    let mut members = Vec::with_capacity(page.rows.len());
    for person in page.rows {
        let live = counts::live(app, project.project_id(), Some(owner_id(person.id))).await?;
        members.push(Member { id: person.id, name: person.name, is_suspended: person.suspended, live });
    }
    let frame = Frame::new(app, signed_in, Here::Projects, None).await?;
    let (id, name) = (project.id, &*project.name);
    render(&MembersPage { frame, id, name, path: &path, view, pager, members, draft, confirm, said })
}

/// Returns the dialog that asks before a person leaves a project.
///
/// # Errors
/// Returns [`PageError::NotFound`] if the person is not a member.
async fn confirm(app: &App, listed: &Listed, person: i64, view: &View) -> Result<Confirm, PageError> {
    let project = &listed.project;
    if !directory::is_member(&app.db, project.id, person).await.map_err(Refused::failed)? {
        return Err(PageError::NotFound);
    }
    let named = directory::person(&app.db, person).await.map_err(Refused::failed)?.ok_or(PageError::NotFound)?;
    let live = counts::live(app, project.project_id(), Some(owner_id(person))).await?;
    let tokens = match live {
        0 => "They have no live tokens in this project.".into(),
        1 => "Their 1 live token in this project stops working at its next request.".into(),
        live => format!("Their {} in this project stop working at their next request.", counted(live, "live token")),
    };
    let path = path(project.id);
    Ok(Confirm {
        title: format!("Remove {} from {}?", named.name, project.name),
        says: vec![tokens, "The tokens work again if you add the person again. To end them, revoke them.".into()],
        action: format!("{path}/{person}/remove"),
        button: "Remove".into(),
        back: view.link(&path),
        view: view.query(),
        ..Confirm::default()
    })
}

pub async fn add(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<AddForm>,
) -> Result<Response, PageError> {
    allow_form(&signed_in, &form.csrf)?;
    let listed = shared(&app, id).await?;
    match project_changes::add_member(&app.db, id, &form.name).await.map_err(Refused::failed)? {
        Ok(()) => Ok(Redirect::to(&format!("{}?said=joined", path(id))).into_response()),
        Err(denied) => {
            let draft = Draft { name: form.name, error: Some(in_words(denied)) };
            let page = draw(&app, &signed_in, &listed, &View::default(), draft, None, None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

pub async fn remove(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((id, person)): Path<(i64, i64)>,
    Form(form): Form<RemoveForm>,
) -> Result<Redirect, PageError> {
    allow_form(&signed_in, &form.csrf)?;
    shared(&app, id).await?;
    app.projects.leave(id, person).await.map_err(Refused::failed)?;
    Ok(Redirect::to(&View::parse(&form.view).link_with(&path(id), "said", "left")))
}
