//! The page with all projects, and its dialogs.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;
use keyfob::store::StatusGroup;
use serde::Deserialize;

use crate::app::App;
use crate::people::directory::{self, Listed};
use crate::people::projects::Kind;
use crate::random;
use crate::tokens::counts;
use crate::tokens::own::Refused;
use crate::web::admin::confirm::Confirm;
use crate::web::admin::view::{Pager, View};
use crate::web::admin::{allow, said_of_tokens};
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::plural::counted;
use crate::web::sessions::SignedIn;

pub const PATH: &str = "/admin/projects";

#[derive(Template)]
#[template(path = "admin_projects.html")]
struct ProjectsPage<'a> {
    frame: Frame<'a>,
    view: &'a View,
    pager: Pager,
    projects: Vec<Project>,
    dialog: Dialog,
    said: Option<String>,
}

/// A dialog of the page.
pub enum Dialog {
    None,
    Add(Draft),
    Rename(Draft),
    Confirm(Confirm),
}

/// The form that adds or renames a project, with the values that the administrator has entered so
/// far.
#[derive(Default)]
pub struct Draft {
    /// The id of the form, or of the project that the form renames.
    pub form: String,
    pub name: String,
    pub is_public: bool,
    /// The error of the name, as a sentence.
    pub error: Option<String>,
}

/// A project, with the operations that an administrator can choose.
pub struct Project {
    pub id: i64,
    pub name: String,
    pub kind: &'static str,
    pub is_shared: bool,
    pub is_personal: bool,
    pub is_removed: bool,
    pub members: i64,
    pub live: u64,
}

impl Project {
    pub async fn new(app: &App, listed: Listed) -> Result<Self, Refused> {
        let Listed { project, members, removed } = listed;
        let kind = match project.kind {
            Kind::Personal => "Personal",
            Kind::Shared => "Shared",
            Kind::Public => "Public",
        };
        Ok(Self {
            id: project.id,
            kind,
            is_shared: project.kind == Kind::Shared,
            is_personal: project.kind == Kind::Personal,
            is_removed: removed,
            members,
            live: counts::recent(app, project.project_id(), Some(StatusGroup::Live)).await?,
            name: project.name,
        })
    }
}

/// The dialog that the URL opens, and the message that it selects.
#[derive(Deserialize)]
pub struct Asked {
    add: Option<String>,
    rename: Option<i64>,
    remove: Option<i64>,
    #[serde(rename = "revoke-all")]
    revoke_all: Option<i64>,
    said: Option<String>,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    view: Result<Query<View>, QueryRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let Query(view) = view.map_err(|_| PageError::NotFound)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let dialog = if let Some(id) = asked.rename {
        let project = find(&app, id).await?;
        Dialog::Rename(Draft { form: id.to_string(), name: project.project.name, ..Draft::default() })
    } else if let Some((id, act)) =
        asked.remove.map(|id| (id, Act::Remove)).or(asked.revoke_all.map(|id| (id, Act::RevokeAll)))
    {
        let confirm = confirm(&app, &find(&app, id).await?, act, &view).await?;
        // There is nothing to revoke if no token is live.
        confirm.map_or(Dialog::None, Dialog::Confirm)
    } else if asked.add.is_some() {
        Dialog::Add(Draft { form: random::hex128().map_err(Refused::failed)?, ..Draft::default() })
    } else {
        Dialog::None
    };
    draw(&app, &signed_in, &view, dialog, asked.said.as_deref().and_then(said)).await
}

/// Returns the message that the parameter `said` selects.
fn said(word: &str) -> Option<String> {
    match word {
        "renamed" => Some("The project is renamed.".into()),
        _ => said_of_tokens(word, "project"),
    }
}

/// Returns the project with this id, removed or not.
///
/// # Errors
/// Returns [`PageError::NotFound`] if there is no such project.
pub async fn find(app: &App, id: i64) -> Result<Listed, PageError> {
    directory::project(&app.db, id).await.map_err(Refused::failed)?.ok_or(PageError::NotFound)
}

/// Draws the page with a dialog.
pub async fn draw(
    app: &App,
    signed_in: &SignedIn,
    view: &View,
    dialog: Dialog,
    said: Option<String>,
) -> Result<Html<String>, PageError> {
    let page = directory::projects(&app.db, &view.q, view.number()).await.map_err(Refused::failed)?;
    let pager = Pager::new(&page, view, PATH);
    let mut projects = Vec::with_capacity(page.rows.len());
    for listed in page.rows {
        projects.push(Project::new(app, listed).await?);
    }
    let frame = Frame::new(app, signed_in, Here::Projects, None).await?;
    render(&ProjectsPage { frame, view, pager, projects, dialog, said })
}

/// An operation on a project that the administrator must confirm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Remove,
    RevokeAll,
}

/// Returns the dialog that asks before an operation on a project. Returns `None` if the operation
/// would revoke the project's tokens and no token is live.
///
/// # Errors
/// Returns [`PageError::NotFound`] if the project is a personal project and would be removed.
pub async fn confirm(app: &App, listed: &Listed, act: Act, view: &View) -> Result<Option<Confirm>, PageError> {
    let Listed { project, members, .. } = listed;
    let (live, name) = (counts::live(app, project.project_id(), None).await?, &project.name);
    let path = format!("{PATH}/{}", project.id);
    let (word, title, says, button) = match act {
        Act::Remove if project.kind == Kind::Personal => return Err(PageError::NotFound),
        Act::Remove => {
            let tokens = match live {
                0 => "It has no live tokens.".into(),
                live => {
                    format!("This revokes {}. Everything that uses them stops working.", counted(live, "live token"))
                }
            };
            let members = match project.kind {
                Kind::Public => "Nobody can use the project any more.".into(),
                _ => format!("It has {}, who cannot use it any more.", counted(members.cast_unsigned(), "member")),
            };
            let last = "This cannot be undone. The audit trail keeps the project's name.".into();
            ("remove", format!("Remove {name}?"), vec![tokens, members, last], "Remove".into())
        }
        Act::RevokeAll if live == 0 => return Ok(None),
        Act::RevokeAll => {
            let says = vec![
                format!(
                    "This revokes {} of all people. Everything that uses them stops working immediately.",
                    counted(live, "live token")
                ),
                "This cannot be undone. The members can still create new tokens.".into(),
            ];
            ("revoke-all", format!("Revoke all tokens of {name}?"), says, format!("Revoke {}", counted(live, "token")))
        }
    };
    Ok(Some(Confirm {
        title,
        says,
        action: format!("{path}/{word}"),
        button,
        back: view.link(PATH),
        view: view.query(),
        expects: Some(name.clone()),
        ..Confirm::default()
    }))
}
