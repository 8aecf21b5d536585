//! The administrator's page: all people and projects with the numbers of their live tokens. Here an
//! administrator can revoke all tokens of a person or a project, and can suspend people.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use keyfob::{
    Actor, OwnerId, ProjectId, TokenStore,
    record::RevocationReason,
    store::{CountQuery, ProjectsQuery, RevokeGroup, StatusFilter, StatusGroup, StoreMaintenance},
};
use serde::Deserialize;

use crate::app::App;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::tokens::own::Refused;
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::sessions::SignedIn;

#[derive(Template)]
#[template(path = "admin.html")]
struct AdminPage<'a> {
    frame: Frame<'a>,
    people: Vec<Person>,
    /// The projects, each with the number of its live tokens.
    projects: Vec<(Project, u64)>,
    notice: Option<String>,
}

struct Person {
    user: User,
    /// The names of the projects in which the person has live tokens, each with the number of these
    /// tokens.
    projects: Vec<(String, u64)>,
    live: u64,
}

#[derive(Deserialize)]
pub struct Asked {
    revoked: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonForm {
    csrf: String,
    /// The name of the person or the project. The administrator types it to confirm an operation
    /// that cannot be undone.
    #[serde(default)]
    typed: String,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let named = app.projects.all().await.map_err(Refused::failed)?;
    let mut people = Vec::new();
    for user in app.accounts.all().await.map_err(Refused::failed)? {
        let projects = live_by_project(&app, &named, &user).await?;
        let live = projects.iter().map(|(_, live)| live).sum();
        people.push(Person { user, projects, live });
    }
    let mut projects = Vec::new();
    for project in named {
        let live = live(&app, project.project_id(), None).await?;
        projects.push((project, live));
    }
    let notice = asked.revoked.map(|count| match count {
        1 => String::from("1 token was revoked and has stopped working."),
        count => format!("{count} tokens were revoked and have stopped working."),
    });
    let frame = Frame::new(&app, &signed_in, Here::People, None).await?;
    render(&AdminPage { frame, people, projects, notice })
}

/// Returns the projects in which the person has live tokens, each with the number of live tokens.
async fn live_by_project(app: &App, named: &[Project], user: &User) -> Result<Vec<(String, u64)>, Refused> {
    let store = app.tokens.store();
    let mut counts = Vec::new();
    let mut query = ProjectsQuery { owner: Some(user.owner_id()), ..ProjectsQuery::default() };
    loop {
        let projects = store.projects(&query).await.map_err(Refused::failed)?;
        let Some(last) = projects.last() else { return Ok(counts) };
        query.after = Some(*last);
        for project in projects {
            match live(app, project, Some(user.owner_id())).await? {
                0 => {}
                live => {
                    let known = named.iter().find(|one| one.project_id() == project);
                    counts.push((known.map_or_else(|| format!("project {project}"), |one| one.name.clone()), live));
                }
            }
        }
    }
}

pub async fn revoke_all(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<PersonForm>,
) -> Result<Response, PageError> {
    let person = person(&app, &signed_in, id, &form).await?;
    if form.typed.trim() != person.name {
        return Err(Refused::State("the name does not match the person's".into()).into());
    }
    let (actor, group) = (Actor::from(&signed_in.user.owner_id()), RevokeGroup::Owner(person.owner_id()));
    let revoked = app.tokens.revoke_everywhere(&actor, &group, RevocationReason::PrivilegeWithdrawn, None).await;
    let count = revoked.map_err(Refused::failed)?;
    Ok(Redirect::to(&format!("/admin?revoked={count}")).into_response())
}

pub async fn suspend(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<PersonForm>,
) -> Result<Redirect, PageError> {
    let person = person(&app, &signed_in, id, &form).await?;
    if person.id == signed_in.user.id {
        return Err(Refused::State("you cannot suspend yourself".into()).into());
    }
    app.accounts.suspend(person.id, true).await.map_err(Refused::failed)?;
    Ok(Redirect::to("/admin"))
}

pub async fn reinstate(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<PersonForm>,
) -> Result<Redirect, PageError> {
    let person = person(&app, &signed_in, id, &form).await?;
    app.accounts.suspend(person.id, false).await.map_err(Refused::failed)?;
    Ok(Redirect::to("/admin"))
}

/// Returns the number of live tokens in a project. If `owner` is given, counts only the tokens of
/// this owner.
async fn live(app: &App, project: ProjectId, owner: Option<OwnerId>) -> Result<u64, Refused> {
    let mut count = CountQuery::new(project);
    count.owner = owner;
    count.status = Some(StatusFilter { group: StatusGroup::Live, at: app.tokens.now() });
    app.tokens.store().count(&count).await.map_err(Refused::failed)
}

/// Revokes every token of a project, for all owners.
pub async fn revoke_project(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<PersonForm>,
) -> Result<Redirect, PageError> {
    allow(&signed_in)?;
    signed_in.check_form(&form.csrf)?;
    let projects = app.projects.all().await.map_err(Refused::failed)?;
    let project = projects.into_iter().find(|project| project.id == id).ok_or(PageError::NotFound)?;
    if form.typed.trim() != project.name {
        return Err(Refused::State("the name does not match the project's".into()).into());
    }
    let actor = Actor::from(&signed_in.user.owner_id());
    // The group contains all existing tokens, including tokens created in this millisecond.
    let all = RevokeGroup::CreatedBefore(app.tokens.now().saturating_add(Duration::from_millis(1)));
    let reason = RevocationReason::CessationOfOperation;
    let revoked = app.tokens.revoke_group(&actor, &project.project_id(), &all, reason).await;
    let count = revoked.map_err(Refused::failed)?;
    Ok(Redirect::to(&format!("/admin?revoked={count}")))
}

/// Returns the person with this id, for a form of an administrator.
///
/// # Errors
/// Returns [`PageError`] if the caller is not an administrator, if the form is forged, or if there
/// is no such person.
async fn person(app: &App, signed_in: &SignedIn, id: i64, form: &PersonForm) -> Result<User, PageError> {
    allow(signed_in)?;
    signed_in.check_form(&form.csrf)?;
    app.accounts.find(id).await.map_err(Refused::failed)?.ok_or(PageError::NotFound)
}

/// Checks that the person is an administrator. For other people, the page does not exist.
///
/// # Errors
/// Returns [`PageError::NotFound`] if the person is not an administrator.
pub fn allow(signed_in: &SignedIn) -> Result<(), PageError> {
    if signed_in.user.admin { Ok(()) } else { Err(PageError::NotFound) }
}
