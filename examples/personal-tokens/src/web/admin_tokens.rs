//! The administrator's pages with the tokens of one project or one person, including revoked
//! tokens.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{Html, Redirect};
use keyfob::{
    Actor, OwnerId, ProjectId, TokenId, TokenKey, TokenView,
    record::RevocationReason,
    store::{Cursor, ListQuery, PageSize, ProjectsQuery, StoreMaintenance},
};
use serde::Deserialize;

use crate::app::App;
use crate::people::accounts::User;
use crate::tokens::own::{self, Refused};
use crate::web::admin::allow;
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::sessions::SignedIn;
use crate::web::time_words::Time;
use crate::web::token;

const A_PAGE: usize = 50;

#[derive(Template)]
#[template(path = "admin_tokens.html")]
struct TokensPage<'a> {
    frame: Frame<'a>,
    title: String,
    tables: Vec<Table>,
}

/// A table of tokens of one project.
struct Table {
    caption: String,
    rows: Vec<Row>,
    /// The address of the next page, if there are more tokens.
    more: Option<String>,
}

struct Row {
    project: ProjectId,
    id: TokenId,
    name: String,
    public_part: String,
    owner: String,
    created: Time,
    last_used: Option<Time>,
    expires: Option<Time>,
    status: String,
    is_live: bool,
    is_revoked: bool,
    /// The time, the actor and the reason of the revocation, in words.
    revoked: Option<String>,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    after: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeForm {
    csrf: String,
}

pub async fn of_project(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let projects = app.projects.all().await.map_err(Refused::failed)?;
    let project = projects.into_iter().find(|project| project.id == id).ok_or(PageError::NotFound)?;
    let people = app.accounts.all().await.map_err(Refused::failed)?;
    let mut query = ListQuery::new(project.project_id());
    // An invalid position counts as the start of the list.
    query.after = asked.after.parse().ok().filter(|cursor: &Cursor| cursor.key.order() == query.order);
    let table = table(&app, &people, &query, project.name.clone(), id).await?;
    let frame = Frame::new(&app, &signed_in, Here::Projects, None).await?;
    render(&TokensPage { frame, title: format!("Tokens of {}", project.name), tables: vec![table] })
}

pub async fn of_person(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let person = app.accounts.find(id).await.map_err(Refused::failed)?.ok_or(PageError::NotFound)?;
    let names = app.projects.all().await.map_err(Refused::failed)?;
    let people = [person];
    let person = &people[0];
    let mut asked = ProjectsQuery { owner: Some(person.owner_id()), ..ProjectsQuery::default() };
    let mut tables = Vec::new();
    loop {
        let projects = app.tokens.store().projects(&asked).await.map_err(Refused::failed)?;
        let Some(last) = projects.last() else { break };
        asked.after = Some(*last);
        for project in projects {
            let mut query = ListQuery::new(project);
            query.owner = Some(person.owner_id());
            let known = names.iter().find(|one| one.project_id() == project);
            let caption = known.map_or_else(|| format!("Project {project}"), |one| one.name.clone());
            let table = table(&app, &people, &query, caption, known.map_or(0, |one| one.id)).await?;
            if !table.rows.is_empty() {
                tables.push(table);
            }
        }
    }
    let frame = Frame::new(&app, &signed_in, Here::People, None).await?;
    render(&TokensPage { frame, title: format!("Tokens of {}", person.name), tables })
}

async fn table(app: &App, people: &[User], query: &ListQuery, caption: String, project: i64) -> Result<Table, Refused> {
    let mut query = query.clone();
    query.most = PageSize::clamped(A_PAGE);
    let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
    let now = app.tokens.now();
    let name_of = |owner: &OwnerId| {
        let person = people.iter().find(|person| person.owner_id() == *owner);
        person.map_or_else(|| format!("person {owner}"), |person| person.name.clone())
    };
    let row = |view: TokenView| Row {
        project: view.project,
        id: view.id,
        owner: name_of(&view.owner),
        created: Time::ago(view.created_at, now),
        last_used: view.last_used_at.map(|time| Time::ago(time, now)),
        expires: view.expires_at.map(|end| if end <= now { Time::ago(end, now) } else { Time::ahead(end, now) }),
        status: view.status.to_string(),
        is_live: view.status.is_live(),
        is_revoked: view.revoked.is_some(),
        revoked: view.revoked.as_ref().map(|revoked| {
            let by = people.iter().find(|person| person.owner_id().as_str() == revoked.by.as_str());
            let by = by.map_or_else(|| revoked.by.to_string(), |person| person.name.clone());
            format!("{} by {by}: {}", Time::ago(revoked.at, now).words, revoked.reason.as_str().replace('_', " "))
        }),
        name: view.name.as_str().into(),
        public_part: view.public_part,
    };
    let more = page.next.map(|next| format!("/admin/projects/{project}?after={next}"));
    Ok(Table { caption, rows: page.items.into_iter().map(row).collect(), more })
}

/// Returns the page of any token, for an administrator.
pub async fn history(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((project, id)): Path<(String, String)>,
    asked: Result<Query<token::Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    own::write_uses(&app).await;
    let view = app.tokens.get(&key(&project, &id)?).await.map_err(Refused::failed)?.ok_or(PageError::NotFound)?;
    token::show_any(&app, &signed_in, &view, asked).await
}

fn key(project: &str, id: &str) -> Result<TokenKey, PageError> {
    let project = ProjectId::new(project).map_err(|_| PageError::NotFound)?;
    Ok(TokenKey { project, id: TokenId::new(id).map_err(|_| PageError::NotFound)? })
}

/// Answers the form with which an administrator revokes any token.
pub async fn revoke(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((project, id)): Path<(String, String)>,
    Form(form): Form<RevokeForm>,
) -> Result<Redirect, PageError> {
    allow(&signed_in)?;
    signed_in.check_form(&form.csrf)?;
    let key = key(&project, &id)?;
    let actor = Actor::from(&signed_in.user.owner_id());
    let revoked = app.tokens.revoke(&actor, &key, RevocationReason::PrivilegeWithdrawn).await;
    revoked.map_err(Refused::by)?;
    Ok(Redirect::to(&format!("/admin/projects/{project}")))
}
