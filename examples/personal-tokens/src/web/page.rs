//! The page *Settings → Personal tokens*.
//!
//! The page works without JavaScript: a link that opens a dialog leads to the page with this dialog
//! open. The script makes dialogs modal, updates the list as a person types a search, copies texts,
//! and removes a new token from the page when its dialog closes.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Html;
use axum_extra::extract::{Query as ListQuery, QueryRejection as ListQueryRejection};
use keyfob::{Timestamp, store::ListOrder};
use serde::Deserialize;

use crate::app::App;
use crate::connect::{PLACEHOLDER, Tool};
use crate::llm::models::{Model, choose};
use crate::people::projects::Project;
use crate::tokens::listing::{self, Total};
use crate::tokens::own::{self, OwnToken, Refused};
use crate::tokens::{notices, scopes};
use crate::web::agents::AgentDraft;
use crate::web::alarm::Alarm;
use crate::web::dialog::{Dialog, RotateFault, Which, form_id};
use crate::web::draft::{Draft, Entered, Faults};
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::pane::Pane;
use crate::web::plural;
use crate::web::rows::{self, First, Row};
use crate::web::sessions::SignedIn;
use crate::web::standing::PublicId;
use crate::web::time_words::Time;
use crate::web::view::{Column, FILTERS, ORDERS, SIZES, STATUSES, View};

/// The parameters in the page's URL that open a dialog or show a message. The other parameters of
/// the URL are the [`View`].
#[derive(Deserialize)]
pub struct Asked {
    new: Option<String>,
    delete: Option<String>,
    rotate: Option<String>,
    #[serde(rename = "end-grace")]
    end_grace: Option<String>,
    rename: Option<String>,
    narrow: Option<String>,
    settings: Option<String>,
    agent: Option<String>,
    #[serde(default)]
    tool: String,
    said: Option<String>,
    /// The UUID of the token that the message is about.
    of: Option<String>,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage<'a> {
    frame: Frame<'a>,
    project: &'a Project,
    models: &'a [Model],
    chosen: Option<&'a Model>,
    view: &'a View,
    columns: Columns,
    rows: Vec<Row>,
    /// The places of the rows in the whole list, such as "1–10 of 190".
    places: String,
    /// The project of the token that the person searched for, if it is another project.
    elsewhere: Option<Project>,
    earlier: Option<String>,
    later: Option<String>,
    dialog: Dialog<'a>,
    said: Option<String>,
    alarm: Alarm,
    ending: Vec<Ending>,
    /// The number of tokens that end within a day and that the page does not name.
    more_ending: usize,
}

struct Columns {
    name: Column,
    expires: Column,
}

/// A token that ends within a day, as the page shows it.
struct Ending {
    name: String,
    project: String,
    at: Time,
    /// The address of the dialog that rotates the token.
    rotate: String,
}

impl Ending {
    async fn new(app: &App, signed_in: &SignedIn, ending: notices::Ending, now: Timestamp) -> Result<Self, Refused> {
        let (project, view, end) = ending;
        let name = app.names.of(&view.key(), signed_in.user.id).await.map_err(Refused::failed)?;
        let rotate = View::of_project(&view.project).link_with("rotate", &name.uuid.to_string());
        Ok(Self { name: view.name.as_str().into(), project, at: Time::ahead(end, now), rotate })
    }
}

/// The list of tokens that a page shows: the project, the view of the list, and the models that the
/// person can choose.
pub struct Scene {
    pub project: Project,
    pub view: View,
    pub models: Vec<Model>,
}

impl Scene {
    /// Creates the scene for this view of the list of tokens. If `project` is given, the scene
    /// shows this project instead of the view's project.
    pub async fn new(app: &App, signed_in: &SignedIn, mut view: View, project: Option<i64>) -> Result<Self, Refused> {
        let project = own::project_of(app, &signed_in.user, project.or(view.project)).await?;
        view.project = Some(project.id);
        let models = app.models.of_project(&app.projects, &project).await.map_err(Refused::failed)?;
        Ok(Self { project, view, models })
    }

    /// Creates the scene for the project of a token. `view` is the text form of the
    /// [`View`], which may be empty.
    pub async fn of_token(app: &App, signed_in: &SignedIn, view: &str, token: &OwnToken) -> Result<Self, Refused> {
        let project = token.view.project.as_str().parse().map_err(|error| Refused::failed(Box::new(error)))?;
        Self::new(app, signed_in, View::parse(view), Some(project)).await
    }

    /// Returns the model that settings files name: the model that the person chose in the view. If
    /// the person chose none, returns the model that the project suggests. Returns `None` if the
    /// project suggests no model either.
    pub fn chosen(&self) -> Option<&Model> {
        let named = self.models.iter().find(|model| model.integration_uid() == self.view.integration);
        named.or_else(|| choose(&self.models, &self.project))
    }

    /// Returns the address of the list with a message about a finished operation on a token. `done`
    /// is the word that selects the message, such as `deleted`.
    pub fn link_after(&self, done: &str, token: &OwnToken) -> String {
        format!("{}&of={}", self.view.link_with("said", done), token.name.uuid)
    }
}

pub async fn draw(
    app: &App,
    signed_in: &SignedIn,
    scene: &Scene,
    dialog: Dialog<'_>,
    said: Option<String>,
) -> Result<Html<String>, PageError> {
    let Scene { project, view, models } = scene;
    let listing = view.listing().map_err(Refused::Search)?;
    let page = listing::page(app, &signed_in.user, project, listing).await?;
    let now = app.tokens.now();
    let link = |turn: fn(&View, &keyfob::TokenView) -> View, row: Option<&OwnToken>| {
        row.map(|row| turn(view, &row.view).link())
    };
    let earlier = if page.earlier { link(View::ahead_of, page.tokens.first()) } else { None };
    let later = if page.later { link(View::behind, page.tokens.last()) } else { None };
    let (ending, more_ending) = notices::of_user(app, &signed_in.user).await?;
    let mut named = Vec::with_capacity(ending.len());
    for one in ending {
        named.push(Ending::new(app, signed_in, one, now).await?);
    }
    render(&TokensPage {
        frame: Frame::new(app, signed_in, Here::Tokens, Some(project.id)).await?,
        project,
        models,
        chosen: scene.chosen(),
        view,
        columns: Columns { name: view.column(ListOrder::Name), expires: view.column(ListOrder::Expires) },
        rows: rows::of(app, &page.tokens, signed_in.user.id, now).await?,
        places: places(view.before(), page.tokens.len() as u64, page.total),
        elsewhere: page.elsewhere,
        earlier,
        later,
        dialog,
        said,
        alarm: Alarm::of(app, signed_in, view.query()).await?,
        ending: named,
        more_ending,
    })
}

/// Returns the places of the rows of a page in words, such as "11–20 of 190".
fn places(before: u64, rows: u64, total: Total) -> String {
    let of = match total {
        Total::Exactly(total) => total.max(before + rows).to_string(),
        Total::MoreThan(total) => format!("more than {total}"),
    };
    match rows {
        0 => "0 tokens".into(),
        1 if before == 0 && total == Total::Exactly(1) => "1 token".into(),
        rows => plural::rows(before + 1, before + rows, of),
    }
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    headers: HeaderMap,
    view: Result<Query<View>, QueryRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    entered: Result<ListQuery<Entered>, ListQueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(view) = view.map_err(|_| PageError::NotFound)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let ListQuery(entered) = entered.map_err(|_| PageError::NotFound)?;
    let Asked { new, delete, rotate, end_grace, rename, narrow, settings, agent, tool, said, of } = asked;
    let find = async |uuid: &str| own::find(&app, &signed_in.user, uuid).await;
    let token;
    // Settings name the project of their token, even if the address of the page names another one.
    let set_up = match &settings {
        Some(uuid) => Some(find(uuid).await?),
        None => None,
    };
    let scene = match &set_up {
        Some(token) => Scene::of_token(&app, &signed_in, &view.query(), token).await?,
        None => Scene::new(&app, &signed_in, view, None).await?,
    };
    let dialog = if let Some(uuid) = &delete {
        Dialog::revoke(&app, &find(uuid).await?, None).await?
    } else if let Some(uuid) = &rotate {
        Dialog::rotate(&app, &find(uuid).await?, form_id()?, None, None).await?
    } else if let Some(uuid) = &end_grace {
        Dialog::end_grace(&app, &find(uuid).await?).await?
    } else if let Some(uuid) = &rename {
        let token = find(uuid).await?;
        Dialog::rename(&app, &token, token.view.name.as_str(), None)
    } else if let Some(uuid) = &narrow {
        Dialog::narrow(&app, &find(uuid).await?, None, None, None)
    } else if let Some(uuid) = &agent {
        token = find(uuid).await?;
        Dialog::Agent(AgentDraft::new(&app, &token, form_id()?, entered, None))
    } else if let Some(token) = &set_up {
        let pane = Pane::new(&app, &headers, &scene, token, &tool, None);
        Dialog::SetUp { which: Which::of(&app, token), pane }
    } else if new.is_some() {
        Dialog::New(Box::new(Draft::new(&app, form_id()?, entered, Faults::default())))
    } else {
        Dialog::None
    };
    let said = match said {
        Some(done) => {
            // A token that is revoked meanwhile still has its name.
            let of = match &of {
                Some(uuid) => own::read(&app, &signed_in.user, uuid).await.ok(),
                None => None,
            };
            message(&done, of.as_ref())
        }
        None => None,
    };
    draw(&app, &signed_in, &scene, dialog, said).await
}

/// Returns the message about a finished operation on a token. `done` is the word in the URL.
pub fn message(done: &str, token: Option<&OwnToken>) -> Option<String> {
    let which = match token {
        Some(token) => format!("“{}” ({})", token.view.name, PublicId::of(&token.view).short()),
        None => "The token".into(),
    };
    Some(match done {
        "deleted-all" => format!("{which} and everything it issued have stopped working."),
        "deleted" => format!("{which} is revoked and has stopped working."),
        "ended" => format!("{which} has stopped working. Only its successor works."),
        "disabled" => format!("{which} is disabled: it does not work until you enable it."),
        "enabled" => format!("{which} works again."),
        "confirmed" => format!("{which} is confirmed and works."),
        "renamed" => format!("{which} has a new name."),
        "narrowed" => format!("{which} has fewer rights now."),
        "seen" => "Alarm dismissed. The history of the token keeps the place where it was found.".into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_rows_are_told_at_each_size() {
        for (before, rows, total, words) in [
            (0, 0, Total::Exactly(0), "0 tokens"),
            (0, 1, Total::Exactly(1), "1 token"),
            (0, 2, Total::Exactly(2), "1–2 of 2"),
            (10, 1, Total::Exactly(11), "11 of 11"),
            (0, 10, Total::Exactly(190), "1–10 of 190"),
            (0, 10, Total::MoreThan(1000), "1–10 of more than 1000"),
            // A token was revoked after the page before was read.
            (10, 10, Total::Exactly(19), "11–20 of 20"),
        ] {
            assert_eq!(places(before, rows, total), words);
        }
    }
}
